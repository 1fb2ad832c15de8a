# SPDX-License-Identifier: GPL-2.0
"""Tables, plot, goals and comparison of benchmark results."""

import statistics

from groups import GROUPS

COLUMNS = (("instr", "insns"), ("STAC", "stac"), ("LFENCE", "lfence"),
           ("locked", "lock"), ("rep iter", "rep"))
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


def print_panel(kernel, work, ms, top):
    """One table of groups, all devices side by side, then the top functions."""
    print(f"\n== {kernel}  {work}: per packet, kernel only ==")
    width = 34
    head = " " * width
    names = " " * width
    for m in ms:
        block = "".join(f"{title:>9}" for title, _ in COLUMNS)
        names += f"  {m['device']:^{len(block)}}"
        head += "  " + block
    print(names)
    print(head)
    for group in GROUPS:
        rows = [m["groups"][group] for m in ms]
        if all(row["insns"] < 0.05 for row in rows):
            continue
        print(f"{group:{width}}" + "".join("  " + counts(row) for row in rows))
    print(f"{'total':{width}}" + "".join("  " + counts(m["kernel_total"]) for m in ms))
    base = ms[0]
    for m in ms[1:]:
        if base["device"] == "stock":
            t, b = m["kernel_total"], base["kernel_total"]
            print(f"{m['device']} against stock: instructions {change(t['insns'], b['insns'])}, "
                  f"STAC {change(t['stac'], b['stac'])}, LFENCE {change(t['lfence'], b['lfence'])}")
    for m in ms:
        print(f"\n   top functions, {m['device']} ({m['packets']} packets, "
              f"{m['kicks']} kicks, {m['naps']} naps, user {m['user_total']['insns']:.0f} instr)")
        for f in m["functions"][:top]:
            name = f"{f['name']} [{f['module']}]" if f["module"] else f["name"]
            print(f"   {name[:44]:44} {f['group'][:27]:27} {counts(f)}")


def counts(row):
    """The cells of one device in one row."""
    cells = f"{row['insns']:9.1f}"
    for _, measure in COLUMNS[1:]:
        cells += f"{row[measure]:9.2f}" if row[measure] >= 0.005 else f"{'.':>9}"
    return cells


def print_wall(result):
    """Ratios of the pairs: the times themselves say nothing about hardware."""
    if not result["wall"]:
        return
    print("\n== wall clock, two virtual CPUs: packet rate against stock, median of pairs ==")
    for w in result["wall"]:
        ratios = w["ratios"]
        note = "   (control: stock against itself)" if w["device"] == "stock" else ""
        print(f"{w['kernel']:6} {w['work']:10} {w['device']:12} {statistics.median(ratios):6.2f}"
              f"   {min(ratios):.2f} .. {max(ratios):.2f}   {len(ratios)} pairs of "
              f"{w['packets']} packets{note}")


def print_skipped(result):
    """Every skip with its reason."""
    for s in result["skipped"]:
        print(f"SKIP {s['kernel']} {s['device']}: {s['reason']}")


def print_all(result, top):
    """Everything there is to say on the terminal."""
    for kernel, work, ms in panels(result):
        print_panel(kernel, work, ms, top)
    print_wall(result)
    if result["skipped"]:
        print()
    print_skipped(result)


def check(result, goals):
    """Print each goal's outcome; return how many are missed."""
    print("\n== goals ==")
    missed = 0
    kernels = sorted({m["kernel"] for m in result["measurements"]})
    for kernel in kernels:
        for goal in goals["goals"]:
            work, device, measure = goal["work"], goal["device"], goal["measure"]
            m = find(result, kernel, work, device)
            stock = find(result, kernel, work, "stock")
            what = f"{kernel} {work} {device}: {measure}"
            if not m or ("max_of_stock" in goal and not stock):
                print(f"MISSED  {what}: not measured")
                missed += 1
                continue
            value = m["kernel_total"][measure]
            limit = goal["max"] if "max" in goal else \
                goal["max_of_stock"] * stock["kernel_total"][measure]
            word = "met   " if value <= limit else "MISSED"
            missed += value > limit
            print(f"{word}  {what} {value:.2f}, at most {limit:.2f}")
    if not kernels:
        print("MISSED  nothing was measured")
        missed += 1
    return missed


def compare(result, earlier, tolerance):
    """Compare instruction counts with an earlier result; return deviations."""
    print(f"\n== against the earlier result, tolerance {tolerance} % ==")
    bad = 0
    common = 0
    for m in result["measurements"]:
        e = find(earlier, m["kernel"], m["work"], m["device"])
        if not e:
            continue
        common += 1
        now, then = m["kernel_total"]["insns"], e["kernel_total"]["insns"]
        off = 100 * (now - then) / then
        bad += abs(off) > tolerance
        print(f"{'same  ' if abs(off) <= tolerance else 'DIFFER'}  {m['kernel']} {m['work']} "
              f"{m['device']}: {then:.1f} then, {now:.1f} now, {off:+.2f} %")
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
        row[0].invert_yaxis()
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
