# SPDX-License-Identifier: GPL-2.0
"""Tables, plot, goals and comparison of benchmark results."""

import statistics

import mmu
from groups import GROUPS

COLUMNS = (("instr", "insns"), ("STAC", "stac"), ("LFENCE", "lfence"), ("locked", "lock"))
FUNCTION_COLUMNS = (*COLUMNS, ("rep", "rep"))
# The scheduler decides how often the sender is preempted: shown, not judged.
CHAOTIC = ("rx",)
COLOURS = {"stock": "#8c96a3", "ours-kernel": "#1f77b4", "ours-user": "#e08a1e"}


def find(result, kernel, work, device):
    """The measurement of these three, or None."""
    for m in result["measurements"]:
        if (m["kernel"], m["work"], m["device"]) == (kernel, work, device):
            return m
    return None


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
        rows = [m["groups"][group] for m in ms]
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
        stock = find(result, kernel, work, "stock")
        for m in ms:
            total = m["kernel_total"]
            against = "" if not stock or m is stock else ", ".join(
                f"{title} {change(total[measure], stock['kernel_total'][measure])}"
                for title, measure in COLUMNS)
            print(f"{kernel:11}{work:10}{m['device']:13}{cells(total, COLUMNS)}   {against}".rstrip())


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


def print_all(result, top):
    """Everything there is to say on the terminal."""
    for kernel, work, ms in panels(result):
        print_panel(kernel, work, ms, top)
    if result["measurements"]:
        print_summary(result)
    print_wall(result)
    mmu.print_all(result, top)
    if result["skipped"]:
        print()
    print_skipped(result)


def goal_value(m, goal):
    """The figure a goal limits."""
    value = m["kernel_total"][goal["measure"]]
    if "except" in goal:
        value -= m["groups"][goal["except"]][goal["measure"]]
    return value


def check(result, goals, only=None):
    """Print each goal's outcome, perhaps of one part; return how many are missed."""
    print("\n== goals ==")
    missed = 0
    if only != "mmu":
        missed += check_packets(result, goals)
    if only != "packets" and (only or "mmu" in result):
        missed += mmu.check(result, goals["mmu"])
    return missed


def check_packets(result, goals):
    """The goals of the packets."""
    missed = 0
    kernels = sorted({m["kernel"] for m in result["measurements"]})
    for kernel in kernels:
        for goal in goals["goals"]:
            work, device, measure = goal["work"], goal["device"], goal["measure"]
            m = find(result, kernel, work, device)
            stock = find(result, kernel, work, "stock")
            what = f"{kernel} {work} {device}: {measure}"
            if "except" in goal:
                what += f" outside {goal['except']}"
            if not m or ("max_of_stock" in goal and not stock):
                print(f"MISSED  {what}: not measured")
                missed += 1
                continue
            value = goal_value(m, goal)
            limit = goal["max"] if "max" in goal else \
                goal["max_of_stock"] * goal_value(stock, goal)
            word = "met   " if value <= limit else "MISSED"
            missed += value > limit
            print(f"{word}  {what} {value:.2f}, at most {limit:.2f}")
    if not kernels:
        print("MISSED  nothing was measured")
        missed += 1
    return missed


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
        word = "same  " if abs(off) <= tolerance else "DIFFER"
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

    shown = panels(result)
    kernels = list(dict.fromkeys(kernel for kernel, _, _ in shown))
    works = list(dict.fromkeys(work for _, work, _ in shown))
    figure, grid = pyplot.subplots(
        len(kernels), len(works), squeeze=False, sharey=True,
        figsize=(2.6 + 4.2 * len(works), 1.1 + 4.9 * len(kernels)))
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
    figure.suptitle("Kernel instructions per packet by function group", fontsize=14)
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_panel(axes, ms):
    """The bars of one kernel and one work."""
    height = 0.84 / len(ms)
    longest = max(m["groups"][g]["insns"] for m in ms for g in GROUPS)
    for i, m in enumerate(ms):
        values = [m["groups"][group]["insns"] for group in GROUPS]
        places = [g + (i - (len(ms) - 1) / 2) * height for g in range(len(GROUPS))]
        t = m["kernel_total"]
        axes.barh(places, values, height * 0.92, color=COLOURS.get(m["device"], "#666666"),
                  label=f"{m['device']}: {t['insns']:.0f} instr, {t['stac']:.2f} STAC, "
                        f"{t['lfence']:.2f} LFENCE")
        for place, value in zip(places, values):
            axes.text(value + longest * 0.015, place, f"{value:.0f}", va="center", fontsize=8)
    axes.set_xlim(0, longest * 1.14)
    axes.set_xlabel("instructions per packet", fontsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), fontsize=9, frameon=False)
