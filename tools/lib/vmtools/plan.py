# SPDX-License-Identifier: GPL-2.0
"""What tools/check runs: its stages, and what a daily check leaves out."""
import fnmatch
import glob
import os
from collections import namedtuple

from . import kernels, path, vm

# Selftest programs that a check runs on each kernel.  All of them run where the
# kernel is the one that most people will have; on the others, those that meet
# what is different there.  tools/check --all runs all of them everywhere.
ALL = ("*",)
PROGRAMS = {
    "6.12": ALL,
    # Other locks in the mm, kthreads as workers, other helpers in compat/.
    "6.1": ("smoke", "abi", "backend", "data", "data_backend",
            "data_large", "data_wait", "live_module", "live_multi", "vhost_*", "inval_fork", "inval_fallback",
            "inval_killed", "inval_migrate", "payload_fork", "payload_tap",
            "payload_twin", "mmu_abi", "mmu_age", "mmu_demand", "mmu_exit",
            "mmu_limit", "mmu_memslot", "mmu_notify", "mmu_pin", "mmu_race",
            "mmu_stats"),
    # KASAN, lockdep and the test hooks: races, life times, hostile input.
    "debug": ("smoke", "abi_fuzz", "data_backend", "data_broken", "live_*",
              "vhost_*", "inval_exit", "inval_install", "inval_killed",
              "inval_reclaim", "inval_uffd", "payload_change",
              "payload_tap", "mmu_dirty", "mmu_exit", "mmu_gone", "mmu_limit",
              "mmu_memslot", "mmu_race", "mmu_split"),
}
WHY = {
    "6.1": "what depends least on the version",
    "debug": "where KASAN and lockdep have least to find",
}

# name     as for --only
# lane     "vm": one after another, or "host": beside them, at low priority
# command  what to run; {log} is the name of its log without an ending
# after    the stages that must have passed before
# daily    False: by --all only; why: the reason
# quick    part of --quick
# counted  it must print totals
# limit    in seconds; what takes longer hangs
Stage = namedtuple("Stage", "name lane command after daily quick counted limit "
                   "why programs")


class PlanError(Exception):
    """The plan does not fit the tree."""


def programs():
    """The names of the selftest programs, as selftests/run finds them."""
    return sorted(os.path.basename(name)[:-2]
                  for name in glob.glob(path("selftests", "*.c")))


def chosen(globs, names):
    """The names that match; a glob that matches none is an error."""
    found = set()
    for pattern in globs:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise PlanError(f"no selftest program matches {pattern}: bring "
                            "tools/lib/vmtools/plan.py up to date")
        found.update(matching)
    return sorted(found)


def _stage(name, lane, command, after=(), daily=True, quick=True, counted=False,
           limit=3600, why="", programs_of=()):
    return Stage(name, lane, command, after, daily, quick, counted, limit, why,
                 programs_of)


def _locked(lock, command):
    """Two checks of one tree do not build in the same folder at once."""
    os.makedirs(path("build"), exist_ok=True)
    return ["flock", path("build", f".{lock}.lock"), *command]


def _selftests(kernel, complete):
    names = chosen(ALL if complete else PROGRAMS[kernel], programs())
    globs = ALL if complete else PROGRAMS[kernel]
    filters = [] if globs == ALL else [f"--filter={g}" for g in globs]
    filters = [part for f in filters for part in f.split("=", 1)]
    timeout = 5400 if kernel == "debug" else 2700
    return _stage(
        f"selftests-{kernel}", "vm",
        vm.command(["selftests/run", *filters], kernel=kernel, numa=True,
                   timeout=timeout, append="secretmem.enable=1",
                   env={"VT_FULL": "1"} if complete else None,
                   log="{log}.kernel"),
        after=(f"build-{kernel}", "build-selftests"), quick=kernel == "6.12",
        counted=True, limit=timeout + vm.SLACK, programs_of=names)


def stages(complete=False):
    """All stages in order; those of a lane run in this order."""
    build = "tools/build-modules"
    result = [
        _stage("build-selftests", "host",
               _locked("selftests", ["make", "-s", "-C", "selftests"])),
        _stage("build-6.12", "host", [build, "6.12"]),
        _stage("build-6.1", "host", [build, "6.1"], quick=False),
        _stage("lib", "host", ["tools/lib/test"], counted=True),
        _stage("style", "host", ["tools/style/run"], counted=True),
        _stage("debug-kernel", "host", ["tools/debug-kernel/build"],
               quick=False, limit=7200),
        _stage("build-debug", "host", [build, "debug"], quick=False,
               after=("debug-kernel",)),
        _stage("headers", "host", [build, "--headers", "6.12"]),
        _stage("sparse-6.12", "host", [build, "--sparse", "6.12"]),
        _stage("unit", "host",
               _locked("unit", ["make", "-C", "selftests/unit", "check"]),
               counted=True),
        _stage("models", "host", _locked("models", ["models/run"]), counted=True),
        _stage("sparse-6.1", "host", [build, "--sparse", "6.1"], daily=False,
               quick=False, why="the sources are the same but for compat/"),
    ]
    # They are built only: without 9p they do not boot from the host's files.
    for row in kernels.TABLE:
        if row.flavour == "cloud":
            result.append(_stage(
                f"build-{row.name}", "host", [build, row.name], daily=False,
                quick=False,
                why="differs from its big sister in the configuration only"))
    result.append(_stage("vm", "vm", ["tools/vm/test", "6.12"], quick=False,
                         counted=True))
    for kernel in PROGRAMS:
        result.append(_selftests(kernel, complete))
    result += [
        _stage("migrate", "vm", ["tools/demo/run", "--only", "migrate"],
               quick=False, after=("build-6.12",), limit=900),
        _stage("vm-debug", "vm", ["tools/vm/test", "debug"], daily=False,
               quick=False, counted=True, after=("debug-kernel",),
               why="the harness seldom changes"),
        _stage("mutants", "vm", ["tools/mutants/run"], daily=False, quick=False,
               counted=True, limit=6 * 3600,
               after=("build-selftests", "debug-kernel"),
               why="each boots a VM of its own"),
    ]
    return result


BEGIN = ".. begin: tools/check --table\n"
END = ".. end: tools/check --table\n"
DOCUMENT = "Documentation/testing.rst"
WIDTH = 76


def _wrap(words, width):
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def table():
    """What a check leaves out, in reStructuredText."""
    rows = []
    names = programs()
    for kernel, globs in PROGRAMS.items():
        out = sorted(set(names) - set(chosen(globs, names)))
        if out:
            rows.append((f"selftests-{kernel}", " ".join(out), WHY[kernel]))
    rows += [(s.name, "all of it", s.why) for s in stages() if not s.daily]
    widths = (17, 32, WIDTH - 17 - 32 - 2)
    rule = " ".join("=" * w for w in widths)
    lines = [rule, _line(("Stage", "Left out by make check", "Why"), widths), rule]
    for row in rows:
        cells = [_wrap(cell.split(), w) for cell, w in zip(row, widths)]
        for i in range(max(map(len, cells))):
            # A first column that is empty goes on with the row above.
            lines.append(_line([c[i] if i < len(c) else "" for c in cells],
                               widths))
    return "\n".join(lines + [rule]) + "\n"


def _line(cells, widths):
    return " ".join(c.ljust(w) for c, w in zip(cells, widths)).rstrip()


def with_table(text):
    """The document, with the table as it should be."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise PlanError(f"{DOCUMENT} has no place for the table, between "
                        f"'{BEGIN.strip()}' and '{END.strip()}'")
    return f"{before}{begin}\n{table()}\n{end}{after}"
