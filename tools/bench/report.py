# SPDX-License-Identifier: GPL-2.0
"""Tables, plots and comparison of benchmark results."""

import statistics

import mmu
import net
from goals import figure, find
from groups import GROUPS
from works import CURVES, MAIN, PAIR, curve

COLUMNS = (("instr", "insns"), ("STAC", "stac"), ("LFENCE", "lfence"), ("locked", "lock"))
FUNCTION_COLUMNS = (*COLUMNS, ("rep", "rep"))
# The scheduler decides how often the sender is preempted: shown, not judged.
CHAOTIC = ("rx",)
# Works of few packets: one sleep of the driver more or less shows, in percent.
FEW_TOLERANCE = 1
COLOURS = {"stock": "#8c96a3", "ours-kernel": "#1f77b4", "ours-copy": "#59a14f",
           "ours-user": "#e08a1e"}
NOTHING = {"insns": 0, "stac": 0, "lfence": 0, "lock": 0, "rep": 0}
# Large packets, after the curves in the table of sizes.
LARGE = {"tx-gso": "TX, TCP, 17 descriptors", "tx-gso-indirect": "TX, the same in a table",
         "rx-gso": "RX, TCP, sender included"}


def panels(result):
    """What was measured together: (kernel, work, measurements by device)."""
    seen = {}
    for m in result["measurements"]:
        seen.setdefault((m["kernel"], m["work"]), []).append(m)
    return [(kernel, work, ms) for (kernel, work), ms in seen.items()]


def change(value, base):
    """How much smaller or larger than stock, for people."""
    return f"{100 * (value - base) / base:+.0f}%" if base else ""


def header(columns):
    """Titles over the cells of one device."""
    return "".join(f"{title:>8}" for title, _ in columns)


def cells(row, columns):
    """The numbers of one device in one row."""
    text = f"{row['insns']:8.1f}"
    for _, measure in columns[1:]:
        text += f"{row[measure]:8.2f}" if row[measure] >= 0.005 else f"{'.':>8}"
    return text


def print_panel(kernel, work, ms, top):
    """One table of groups, all devices side by side, then the top functions."""
    print(f"\n== {work} on {kernel}: kernel instructions and others per packet ==")
    head = header(COLUMNS)
    print(f"{'':27}" + "".join(f"  {m['device']:>{len(head)}}" for m in ms))
    print(f"{'function group':27}" + f"  {head}" * len(ms))
    for group in GROUPS:
        rows = [m["groups"].get(group, NOTHING) for m in ms]
        if any(row["insns"] >= 0.05 for row in rows):
            print(f"{group:27}" + "".join("  " + cells(row, COLUMNS) for row in rows))
    print(f"{'total':27}" + "".join("  " + cells(m["kernel_total"], COLUMNS) for m in ms))
    rep = "".join(f"  {m['kernel_total']['rep']:8.1f}{'':{len(head) - 8}}" for m in ms)
    print(f"{'of it, string iterations':27}{rep}".rstrip())
    for m in ms:
        print(f"\n   {m['device']}: {m['packets']} packets, {m['kicks']} kicks, {m['naps']} naps, "
              f"{m['user_total']['insns']:.0f} user instructions a packet")
        print(f"   {'top functions':44} {'group':27}{header(FUNCTION_COLUMNS)}")
        for f in m["functions"][:top]:
            name = f"{f['name']} [{f['module']}]" if f["module"] else f["name"]
            print(f"   {name[:44]:44} {f['group']:27}{cells(f, FUNCTION_COLUMNS)}")


def print_summary(result):
    """The totals of everything, against stock where that was measured."""
    print("\n== summary: kernel, per packet ==")
    print(f"{'kernel':11}{'work':10}{'device':13}{header(COLUMNS)}   against stock")
    for kernel, work, ms in panels(result):
        if work not in MAIN:
            continue
        stock = find(result, kernel, work, "stock")
        for m in ms:
            total = m["kernel_total"]
            against = "" if not stock or m is stock else ", ".join(
                f"{title} {change(total[measure], stock['kernel_total'][measure])}"
                for title, measure in COLUMNS)
            print(f"{kernel:11}{work:10}{m['device']:13}{cells(total, COLUMNS)}   {against}".rstrip())


def size_rows(result):
    """(kernel, title, size, work) of what was measured with several sizes."""
    kernels = dict.fromkeys(m["kernel"] for m in result["measurements"])
    rows = [(title, size, work) for base, title in CURVES.items() for size, work in curve(base)]
    rows += [(title, None, work) for work, title in LARGE.items()]
    return [(kernel, title, size or find(result, kernel, work, PAIR[0])["size"], work)
            for kernel in kernels for title, size, work in rows
            if all(find(result, kernel, work, device) for device in PAIR)]


def print_sizes(result):
    """The curves and the large packets: string instructions apart, they are most of it."""
    rows = size_rows(result)
    if len(rows) <= 4:
        return
    print("\n== by size: kernel, per packet; rep: iterations of string instructions, "
          "which `instr` is without ==")
    columns = f"{'instr':>9}{'rep':>9}{'STAC':>8}"
    print(f"{'':44}" + "".join(f"  {device:>{len(columns)}}" for device in PAIR))
    print(f"{'kernel':8}{'work':28}{'bytes':>8}" + f"  {columns}" * 2)
    for kernel, title, size, work in rows:
        cell = ""
        for device in PAIR:
            m = find(result, kernel, work, device)
            cell += f"  {figure(m, 'straight'):9.0f}{figure(m, 'rep'):9.0f}{figure(m, 'stac'):8.2f}"
        print(f"{kernel:8}{title:28}{size:8}{cell}")


def print_sides(result):
    """How much of receiving is the device's, and how much of that the sender's own."""
    rows = []
    for kernel, work, ms in panels(result):
        if not work.startswith("rx") or work not in MAIN:
            continue
        sender = find(result, kernel, "send", "none")
        rows += [f"{kernel:11}{work:10}{m['device']:13}{figure(m, 'device side'):8.1f}"
                 + (f"{figure(sender, 'device side'):15.1f}{figure(m, 'receiver', sender):12.1f}"
                    if sender else "") for m in ms]
    if rows:
        print("\n== of receiving: vhost, vhost_net, iotlb, user access, usercopy, iov_iter, copies ==")
        print(f"{'kernel':11}{'work':10}{'device':13}{'instr':>8}"
              f"{'sender alone':>15}{'the rest':>12}")
        print("\n".join(rows))


def print_wall(result):
    """Ratios of the pairs: the times themselves say nothing about hardware."""
    if not result["wall"]:
        return
    print("\n== wall clock, two virtual CPUs: packet rate against stock, median of pairs ==")
    busy = [w["host_load"] for w in result["wall"] if w["host_load"] > 1.5 * w["host_cpus"]]
    if busy:
        print(f"The host was busy (load {max(busy):.1f}): these ratios mean little.")
    for w in result["wall"]:
        ratios = w["ratios"]
        note = "   (control: stock against itself)" if w["device"] == "stock" else ""
        print(f"{w['kernel']:11}{w['work']:10} {w['device']:12} {statistics.median(ratios):6.2f}"
              f"   {min(ratios):.2f} .. {max(ratios):.2f}   {len(ratios)} pairs of "
              f"{w['packets']} packets{note}")


def print_skipped(result):
    """Every skip with its reason."""
    for s in result["skipped"]:
        hint = f" (tools/build-modules {s['kernel']} builds it)" if "not found" in s["reason"] else ""
        print(f"SKIP {s['kernel']} {s['device']}: {s['reason']}{hint}")


def print_all(result, works, top):
    """Everything there is to say on the terminal, by function of these works."""
    for kernel, work, ms in panels(result):
        if work in works:
            print_panel(kernel, work, ms, top)
    if result["measurements"]:
        print_summary(result)
        print_sizes(result)
        print_sides(result)
    print_wall(result)
    net.print_all(result)
    mmu.print_all(result, top)
    if result["skipped"]:
        print()
    print_skipped(result)


def compare(result, earlier, tolerance):
    """Compare instruction counts with an earlier result; return deviations."""
    print(f"\n== against the earlier result, string iterations left out, tolerance {tolerance} % ==")
    bad = 0
    common = 0
    for m in result["measurements"]:
        e = find(earlier, m["kernel"], m["work"], m["device"])
        if not e:
            continue
        common += 1
        # Whether a fragment page is zeroed or used again depends on where the
        # batches fall on it, and one page is 4096 iterations.
        now, then = (t["insns"] - t["rep"] for t in (m["kernel_total"], e["kernel_total"]))
        off = 100 * (now - then) / then
        allowed = tolerance if m["work"] in MAIN else max(tolerance, FEW_TOLERANCE)
        word = "same  " if abs(off) <= allowed else "DIFFER"
        if m["work"] in CHAOTIC:
            word = "      "
        bad += word == "DIFFER"
        print(f"{word}  {m['kernel']} {m['work']} {m['device']}: {then:.1f} then, "
              f"{now:.1f} now, {off:+.2f} %")
    differ, found = mmu.compare(result, earlier, tolerance)
    bad += differ
    common += found
    if not common:
        print("DIFFER  the two have nothing in common")
    return bad if common else 1


def plot(result, path):
    """Instructions per packet by function group, the devices side by side."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [panel for panel in panels(result) if panel[1] in MAIN]
    if not shown:
        return False
    kernels = list(dict.fromkeys(kernel for kernel, _, _ in shown))
    works = list(dict.fromkeys(work for _, work, _ in shown))
    devices = max(len(ms) for _, _, ms in shown)
    picture, grid = pyplot.subplots(
        len(kernels), len(works), squeeze=False, sharey=True,
        figsize=(2.6 + 4.2 * len(works), 1.1 + (2.2 + 0.13 * len(GROUPS) * devices) * len(kernels)))
    for axes in grid.flat:
        axes.set_axis_off()
    for kernel, work, ms in shown:
        axes = grid[kernels.index(kernel)][works.index(work)]
        axes.set_axis_on()
        draw_panel(axes, ms)
        axes.set_title(f"{work}, {kernel}", fontsize=12, fontweight="bold")
    for row in grid:
        row[0].set_yticks(range(len(GROUPS)), GROUPS, fontsize=10)
    # The axes share it: once for all.
    grid[0][0].invert_yaxis()
    picture.suptitle("Kernel instructions per 64-byte packet by function group", fontsize=14)
    picture.tight_layout(rect=(0, 0, 1, 0.98))
    picture.savefig(path, dpi=110)
    pyplot.close(picture)
    return True


def plot_sizes(result, path):
    """Instructions and STAC over the packet size, a column a curve, a row a kernel."""
    kernels = list(dict.fromkeys(row[0] for row in size_rows(result) if row[3] not in MAIN))
    if not kernels:
        return False
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    picture, grid = pyplot.subplots(len(kernels), len(CURVES), squeeze=False,
                                    figsize=(5.6 * len(CURVES), 0.8 + 3.6 * len(kernels)))
    for kernel, row in zip(kernels, grid):
        for (base, title), axes in zip(CURVES.items(), row):
            draw_curve(axes, result, kernel, base)
            axes.set_title(f"{title}, {kernel}", fontsize=12, fontweight="bold")
    handles, labels = grid[0][0].get_legend_handles_labels()
    picture.legend(handles, labels, loc="upper center", ncol=len(labels), fontsize=10, frameon=False)
    picture.tight_layout(rect=(0, 0, 1, 1 - 0.32 / picture.get_figheight()))
    picture.savefig(path, dpi=110)
    pyplot.close(picture)
    return True


def draw_curve(axes, result, kernel, base):
    """Both devices of one curve: solid with string iterations, dotted without, bars of STAC."""
    for device, above in zip(PAIR, (6, -13)):
        points = [(size, find(result, kernel, work, device)) for size, work in curve(base)]
        points = [(size, m) for size, m in points if m]
        if not points:
            continue
        sizes = [size for size, _ in points]
        for measure, style, name in (("insns", "o-", device),
                                     ("straight", ".:", f"{device}, without string iterations")):
            axes.plot(sizes, [figure(m, measure) for _, m in points], style,
                      color=COLOURS[device], label=name)
        for size, m in points:
            stac = figure(m, "stac")
            axes.annotate(f"{stac:.{1 if stac >= 1 else 2}f}", (size, figure(m, "insns")), fontsize=8,
                          xytext=(0, above), textcoords="offset points", ha="center",
                          color=COLOURS[device])
    axes.set_ylim(bottom=0)
    axes.margins(y=0.12)
    axes.set_xticks([size for size, _ in curve(base)])
    axes.tick_params(labelsize=9)
    axes.tick_params(axis="x", labelrotation=60)
    axes.set_xlabel("bytes in a packet (figures at the points: STAC)", fontsize=9)
    axes.set_ylabel("kernel instructions per packet", fontsize=9)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw_panel(axes, ms):
    """The bars of one kernel and one work."""
    height = 0.84 / len(ms)
    longest = max(m["groups"].get(g, NOTHING)["insns"] for m in ms for g in GROUPS)
    for i, m in enumerate(ms):
        values = [m["groups"].get(group, NOTHING)["insns"] for group in GROUPS]
        places = [g + (i - (len(ms) - 1) / 2) * height for g in range(len(GROUPS))]
        t = m["kernel_total"]
        axes.barh(places, values, height * 0.92, color=COLOURS.get(m["device"], "#666666"),
                  label=f"{m['device']}: {t['insns']:.0f} instr, {t['stac']:.2f} STAC, "
                        f"{t['lfence']:.2f} LFENCE")
        for place, value in zip(places, values):
            axes.text(value + longest * 0.015, place, f"{value:.0f}", va="center", fontsize=7)
    axes.set_xlim(0, longest * 1.14)
    axes.set_xlabel("instructions per packet", fontsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.07), fontsize=9, frameon=False)
