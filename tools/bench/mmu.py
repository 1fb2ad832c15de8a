# SPDX-License-Identifier: GPL-2.0
"""What the second-stage MMU costs, /dev/vhost-mmu beside KVM in one VM."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess

import counts

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
# KVM_PRE_FAULT_MEMORY is younger than 6.1.
KERNEL = "6.12"
THREADS = (1, 2, 4, 8)
KEPT_FUNCTIONS = 25
COLOURS = {"kvm": "#8c96a3", "vhost_mmu": "#1f77b4"}

# name: title, what a unit is, and the options of mmubench.
COUNTED = {
    "populate-4k": ("populate, 4K pages", "a page", "--work populate"),
    "populate-2m": ("populate, 2M pages", "an entry", "--work populate --huge"),
    "zap-empty": ("MADV_DONTNEED, no memslot", "a call", "--work zap-empty"),
    "zap-unrelated": ("MADV_DONTNEED, page in no memslot", "a call", "--work zap-unrelated"),
    "zap-between": ("MADV_DONTNEED, page between memslots", "a call", "--work zap-between"),
    "zap-mapped": ("MADV_DONTNEED, page mapped", "a call", "--work zap-mapped"),
}
# The system call without an MMU: what the other zaps add to it is their cost.
PLAIN = "zap-plain"


class Failed(Exception):
    """A VM run failed; says what to look at."""


def run_vm(out, raw, jobs, vm_options, symbols):
    """Run the jobs in one VM; each job is a dictionary that gets its result."""
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    with open(raw / "jobs", "w", encoding="ascii") as f:
        for n, job in enumerate(jobs):
            f.write(f"{n} {job['device']} {job['lock']} {job['options']}\n")
    command = [TOP / "tools/vm/run", "--kernel", KERNEL, "--share", raw,
               "--log", raw / "console", *vm_options, "--",
               HERE / "inside-mmu.sh", raw, out / "mmubench", TOP / "build",
               *(["symbols"] if symbols else [])]
    status = subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
    if status:
        raise Failed(f"the VM run on {KERNEL} ended with status {status}; see {raw}/console")
    for n, job in enumerate(jobs):
        skip = raw / f"{n}.skip"
        job["skip"] = skip.read_text().strip() if skip.exists() else None
        if not job["skip"]:
            job["result"] = json.loads((raw / f"{n}.json").read_text())
    return (raw / "release").read_text().strip()


def note_skips(result, jobs):
    """Record each reason once."""
    for job in jobs:
        device = job["device"] + (" (exclusive lock)" if job["lock"] == "exclusive" else "")
        entry = {"kernel": KERNEL, "device": device, "reason": job["skip"]}
        if job["skip"] and entry not in result["skipped"]:
            result["skipped"].append(entry)


def count_jobs(args):
    """What the counted run does, the jobs with other modules last."""
    mb = 16 if args.quick else 64
    number = 500 if args.quick else 1000
    jobs = [{"work": PLAIN, "device": "none", "threads": 1, "lock": "shared",
             "options": f"--work zap-empty --count {number}"}]
    for work, (_, _, options) in COUNTED.items():
        # Of 2M pages few are enough to miss what is allocated once.
        size = f"--count {number}" if "zap" in work else \
            f"--mb {max(mb, 64) if 'huge' in options else mb}"
        jobs += [{"work": work, "device": device, "threads": 1, "lock": "shared",
                  "options": f"{options} {size}"} for device in ("vhost_mmu", "kvm")]
    for device, lock in (("vhost_mmu", "shared"), ("kvm", "shared"), ("vhost_mmu", "exclusive")):
        jobs += [{"work": "faults", "device": device, "threads": threads, "lock": lock,
                  "options": f"--work faults --mb {mb} --threads {threads}"}
                 for threads in THREADS]
    return jobs


def per_unit(section, symbols, units):
    """Counts of one unit by function: {(name, module): {measure: number}}."""
    return {function: {m: counter[m] / units for m in counts.MEASURES}
            for function, counter in counts.per_function(section, symbols).items()}


def added(functions, plain):
    """What each function costs more than in the plain call."""
    nothing = dict.fromkeys(counts.MEASURES, 0)
    return {function: {m: functions.get(function, nothing)[m] - plain.get(function, nothing)[m]
                       for m in counts.MEASURES}
            for function in functions.keys() | plain.keys()}


def largest(functions):
    """The functions that count most, as a list."""
    listed = [{"name": name, "module": module} | {m: round(v, 4) for m, v in numbers.items()}
              for (name, module), numbers in functions.items()]
    listed.sort(key=lambda f: (-abs(f["insns"]), f["name"]))
    return listed[:KEPT_FUNCTIONS]


def count(args, out, result):
    """Kernel instructions, one virtual CPU."""
    raw = out / "raw" / "mmu-count"
    jobs = count_jobs(args)
    release = run_vm(out, raw, jobs, ["--timeout", "1200", "--icount",
                                      "--plugin", f"{out}/plugin.so,out={raw}/counts"], True)
    note_skips(result, jobs)
    done = [job for job in jobs if not job["skip"]]
    sections = counts.read_sections(raw / "counts")
    if len(sections) != len(done):
        raise Failed(f"{len(done)} jobs ran but the plugin counted {len(sections)}")
    symbols = {lock: counts.Symbols(raw / f"kallsyms-{lock}")
               for lock in {job["lock"] for job in done}}
    plain = {}
    for job, section in zip(done, sections):
        functions = per_unit(section, symbols[job["lock"]], job["result"]["units"])
        if job["work"] == PLAIN:
            plain = functions
        total = {m: round(sum(f[m] for f in functions.values()), 4) for m in counts.MEASURES}
        if job["work"].startswith("zap-") and job["work"] != PLAIN:
            functions = added(functions, plain)
        result["mmu"].append(
            {"kernel": KERNEL, "release": release}
            | {key: job[key] for key in ("work", "device", "threads", "lock")}
            | {"units": job["result"]["units"], "stats": job["result"]["stats"],
               "kernel_total": total, "functions": largest(functions)})


def timed(args, out, result):
    """What needs two virtual CPUs, or no counting: time, tables, the storm."""
    mb = 64 if args.quick else 256
    faults = [{"work": "faults", "device": device, "threads": threads, "lock": lock,
               "options": f"--work faults --mb {mb} --threads {threads}"}
              for device, lock in (("kvm", "shared"), ("vhost_mmu", "shared"),
                                   ("vhost_mmu", "exclusive"))
              for _ in range(args.pairs) for threads in (1, 2)]
    others = [{"work": f"tables-{size}", "device": device, "lock": "shared",
               "options": f"--work tables --mb 256{' --huge' if size == '2m' else ''}"}
              for size in ("4k", "2m") for device in ("vhost_mmu", "kvm")]
    others.append({"work": "storm", "device": "vhost_mmu", "lock": "shared",
                   "options": f"--work storm --threads 4 --seconds {2 if args.quick else 10}"})
    # Modules are loaded again where the lock changes: once.
    jobs = sorted(others + faults, key=lambda job: job["lock"] != "shared")
    run_vm(out, out / "raw" / "mmu-timed", jobs, ["--timeout", "1200", "--smp", "2"], False)
    note_skips(result, jobs)
    load = {"host_load": os.getloadavg()[0], "host_cpus": os.cpu_count()}
    for device, lock in dict.fromkeys((job["device"], job["lock"]) for job in faults):
        mine = [job for job in faults if (job["device"], job["lock"]) == (device, lock)]
        if any(job["skip"] for job in mine):
            continue
        times = [job["result"]["ns"] for job in mine]
        result["mmu_wall"].append({
            "kernel": KERNEL, "work": "faults", "device": device, "lock": lock,
            "units": mine[0]["result"]["units"],
            "pairs_ns": list(zip(times[::2], times[1::2])),
            "ratios": [round(a / b, 4) for a, b in zip(times[::2], times[1::2])]} | load)
    for job in others:
        if job["skip"]:
            continue
        row = {"kernel": KERNEL, "work": job["work"], "device": job["device"]}
        if job["work"] == "storm":
            result["mmu_storm"].append(row | {"accesses": job["result"]["units"],
                                              "stats": job["result"]["stats"]} | load)
        else:
            result["mmu_tables"].append(row | {"bytes_per_gib": job["result"]["units"] * 4096,
                                               "stats": job["result"]["stats"]})


def measure(args, out, result):
    """Both runs."""
    result |= {"mmu": [], "mmu_wall": [], "mmu_tables": [], "mmu_storm": []}
    print(f"-- the MMU on {KERNEL}: counting, one VM", flush=True)
    count(args, out, result)
    print(f"-- the MMU on {KERNEL}: time and tables, one VM", flush=True)
    timed(args, out, result)
    return result


def find(result, work, device, threads=1, lock="shared"):
    """The counted row of these, or None."""
    for row in result.get("mmu", []):
        if (row["work"], row["device"], row["threads"], row["lock"]) == \
                (work, device, threads, lock):
            return row
    return None


def insns(row):
    """Kernel instructions of a row, None without one."""
    return row["kernel_total"]["insns"] if row else None


def cost(result, work, device, threads=1, lock="shared"):
    """What a goal limits: of a zap only what it adds to the plain call."""
    value = insns(find(result, work, device, threads, lock))
    if work.startswith("zap-"):
        plain = insns(find(result, PLAIN, "none"))
        return None if value is None or plain is None else value - plain
    return value


def text(value, form="{:.0f}"):
    """A number, or a dash."""
    return "-" if value is None else form.format(value)


def rows(result):
    """The table of both MMUs: title, unit, KVM, vhost_mmu; for terminal and README."""
    found = []
    for work, (title, unit, _) in COUNTED.items():
        if work.startswith("zap-"):
            title = f"{title}: added"
        found.append((title, f"instructions {unit}",
                      text(cost(result, work, "kvm")), text(cost(result, work, "vhost_mmu"))))
    for threads in THREADS:
        title = f"faults from {threads} thread{'s' if threads > 1 else ''}"
        found.append((title, "instructions a page", text(cost(result, "faults", "kvm", threads)),
                      text(cost(result, "faults", "vhost_mmu", threads))))
    tables = {(t["work"], t["device"]): t["bytes_per_gib"] / 1024
              for t in result.get("mmu_tables", [])}
    for size in ("4k", "2m"):
        found.append((f"tables for 1 GiB in {size.upper()} pages", "KiB",
                      text(tables.get((f"tables-{size}", "kvm"))),
                      text(tables.get((f"tables-{size}", "vhost_mmu")))))
    return found


def print_all(result, top):
    """Everything about the MMU on the terminal."""
    if not result.get("mmu"):
        return
    for row in result["mmu"]:
        if row["work"] == "faults" and row["threads"] > 1:
            continue
        print(f"\n   {row['work']} {row['device']}, {row['lock']} lock: {row['units']} units, "
              f"kernel instructions {insns(row):.1f}, locked {row['kernel_total']['lock']:.2f}, "
              f"string iterations {row['kernel_total']['rep']:.1f}")
        if row["work"].startswith("zap-") and row["work"] != PLAIN and top:
            print("   more than without an MMU:")
        for f in row["functions"][:top]:
            name = f"{f['name']} [{f['module']}]" if f["module"] else f["name"]
            print(f"   {name[:50]:50}{f['insns']:9.1f}{f['lock']:8.2f}{f['rep']:8.1f}")
    print(f"\n== the MMU on {KERNEL} ==")
    print(f"{'':46}{'':28}{'kvm':>10}{'vhost_mmu':>11}")
    for title, unit, kvm, ours in rows(result):
        print(f"{title:46}{unit:28}{kvm:>10}{ours:>11}")
    plain = find(result, PLAIN, "none")
    if plain:
        print(f"A plain process pays {insns(plain):.0f} instructions for MADV_DONTNEED.")
    exclusive = [cost(result, "faults", "vhost_mmu", t, "exclusive") for t in THREADS]
    if any(exclusive):
        print("Faults under the exclusive lock, threads "
              + ", ".join(f"{t}: {text(v)}" for t, v in zip(THREADS, exclusive)))
    for w in result["mmu_wall"]:
        busy = " (busy host: means little)" if w["host_load"] > 1.5 * w["host_cpus"] else ""
        print(f"{w['device']}, {w['lock']} lock: two threads on two CPUs against one, rate "
              f"{statistics.median(w['ratios']):.2f} ({min(w['ratios']):.2f} .. "
              f"{max(w['ratios']):.2f}, {len(w['ratios'])} pairs){busy}")
    for s in result["mmu_storm"]:
        print(f"Longest drain in the storm: {s['stats']['drain_max_ns'] / 1000:.0f} us of emulated "
              f"time, {s['stats']['drains']} drains, {s['accesses']} accesses")


def outcome(what, value, limit):
    """Print one goal; return whether it is missed."""
    if value is None or limit is None:
        print(f"MISSED  mmu {what}: not measured")
        return True
    print(f"{'met   ' if value <= limit else 'MISSED'}  mmu {what} {value:.2f}, at most {limit:.2f}")
    return value > limit


def check(result, goals):
    """Print each goal's outcome; return how many are missed."""
    missed = 0
    for goal in goals:
        work, device = goal["work"], goal["device"]
        value = cost(result, work, device)
        added = " added" if work.startswith("zap-") else ""
        if "max" in goal:
            missed += outcome(f"{work} {device}: insns{added}", value, goal["max"])
        if "max_of_kvm" in goal:
            kvm = cost(result, work, "kvm")
            missed += outcome(f"{work} {device}: insns{added}", value,
                              None if kvm is None else goal["max_of_kvm"] * kvm)
        if "max_of_one_thread" in goal:
            for threads in THREADS[1:]:
                missed += outcome(
                    f"{work} {device}, {threads} threads: insns", cost(result, work, device, threads),
                    None if value is None else goal["max_of_one_thread"] * value)
        if "stat" in goal:
            for threads in THREADS:
                row = find(result, work, device, threads)
                missed += outcome(f"{work} {device}, {threads} threads: {goal['stat']}",
                                  row["stats"].get(goal["stat"]) if row else None,
                                  goal["stat_max"])
    return missed


def compare(result, earlier, tolerance):
    """Compare the counts with an earlier result; return deviations and common rows."""
    bad = common = 0
    for row in result.get("mmu", []):
        then = insns(find(earlier, row["work"], row["device"], row["threads"], row["lock"]))
        if not then:
            continue
        common += 1
        off = 100 * (insns(row) - then) / then
        bad += abs(off) > tolerance
        print(f"{'DIFFER' if abs(off) > tolerance else 'same  '}  mmu {row['work']} {row['device']}, "
              f"{row['threads']} threads, {row['lock']} lock: {then:.1f} then, "
              f"{insns(row):.1f} now, {off:+.2f} %")
    return bad, common


def plot(result, path):
    """What one operation costs in both MMUs, and faults over threads."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (bars, lines) = pyplot.subplots(1, 2, figsize=(11, 4.2))
    for i, (device, colour) in enumerate(COLOURS.items()):
        values = [cost(result, work, device) or 0 for work in COUNTED]
        places = [n + (i - 0.5) * 0.4 for n in range(len(COUNTED))]
        bars.barh(places, values, 0.36, color=colour, label=device)
        for place, value in zip(places, values):
            bars.text(value, place, f" {value:.0f}", va="center", fontsize=8)
        for lock, style in (("shared", "o-"), ("exclusive", "s:")):
            points = [(t, cost(result, "faults", device, t, lock)) for t in THREADS]
            points = [p for p in points if p[1] is not None]
            if points:
                lines.plot(*zip(*points), style, color=colour, label=f"{device}, {lock} lock")
    bars.set_yticks(range(len(COUNTED)), [
        title + (": added" if work.startswith("zap-") else "")
        for work, (title, _, _) in COUNTED.items()], fontsize=9)
    bars.invert_yaxis()
    bars.margins(x=0.12)
    bars.set_xlabel("kernel instructions", fontsize=9)
    lines.set_xscale("log", base=2)
    lines.set_xticks(THREADS, THREADS)
    lines.margins(y=0.15)
    lines.set_ylim(bottom=0)
    lines.set_xlabel("threads on one CPU", fontsize=9)
    lines.set_ylabel("kernel instructions a fault", fontsize=9)
    for axes in (bars, lines):
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(fontsize=9, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
