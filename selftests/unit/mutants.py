#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Break a copy of the sources on purpose, one thing at a time, and see that a
unit test fails each time.

The ways to break them are in mutants.tsv.  A mutant that no test kills is a hole
in the tests; one that changes nothing is out of date.
"""
import argparse
import fnmatch
import glob
import os
import re
import sys
import tempfile
from collections import namedtuple

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tools", "lib"))

# pylint: disable=wrong-import-position
from vmtools import mutants, path, proc

# The programs of the unit tests, see the Makefile.
TESTS = ("split_test", "notify_test", "random_test", "inval_test", "geometry_test",
         "walk_test", "table_test", "slots_test", "hold_test", "access_test",
         "install_test", "space_test", "tlb_test", "log_test", "coalesce_test",
         "tun_dev_test", "busypoll_test")

# Which of them look at a file: the first pattern that matches.
TESTS_OF = (
    ("*/inval.[ch]", "inval_test geometry_test"),
    ("mmu/geometry.h", "geometry_test"),
    ("mmu/pt.h", "geometry_test"),
    ("mmu/pte.h", "geometry_test"),
    ("mmu/*slot*", "slots_test"),
    ("space/install.c", "install_test"),
    ("space/space.c", "space_test"),
    ("space/*", "slots_test"),
    ("mmu/access.c", "access_test"),
    ("mmu/dirty_log.c", "hold_test"),
    ("mmu/*", "walk_test hold_test table_test"),
    ("virtqueue/split*.h", "split_test notify_test random_test"),
    ("virtqueue/log.[ch]", "log_test"),
    ("virtqueue/*", "tlb_test log_test"),
    ("net/coalesce.[ch]", "coalesce_test"),
    ("net/tun_dev.[ch]", "tun_dev_test"),
    ("net/busypoll.[ch]", "busypoll_test"),
)

STEPS = {"UNIT_STEPS": "100000", "MAKEFLAGS": "", "MFLAGS": ""}
# A broken source may walk for ever: the test is killed after so many times what
# it takes otherwise, but not before so many seconds.
PATIENCE = 6
SECONDS = 30
LONGEST = 600

Mutant = namedtuple("Mutant", "name file edit tests")


def read(name=os.path.join(HERE, "mutants.tsv")):
    """The mutants of a list."""
    found = []
    with open(name, encoding="utf-8") as f:
        for line in f:
            if not line.strip() or line.startswith("#"):
                continue
            mutant, pattern, script = line.rstrip("\n").split("\t", 2)
            tests = next(tests for p, tests in TESTS_OF
                         if fnmatch.fnmatch(pattern.replace("[ch]", "c"), p))
            found.append(Mutant(mutant, pattern, mutants.Sed(script), tests.split()))
    return found


def locate(mutant):
    """The mutant with its file, of those that its pattern matches the one that
    the script changes.  Without one the mutant is out of date."""
    changed = []
    for name in sorted(glob.glob(path("vhost_mmu", mutant.file))):
        with open(name, encoding="utf-8") as f:
            try:
                mutant.edit(f.read())
            except mutants.Broken as e:
                if "changes nothing" not in str(e):
                    raise
                continue
        changed.append(os.path.relpath(name, TOP))
    if len(changed) != 1:
        raise mutants.Broken(
            f"{mutant.file}: matches {' '.join(changed) or 'nothing'}: bring it up to "
            "date in selftests/unit/mutants.tsv")
    return mutant._replace(file=changed[0])


class Unit(mutants.Job):
    """Mutants that the unit tests are built against."""

    def __init__(self):
        self.built = None
        self.took = {}

    def copy(self, mutant, top):
        mutants.copy_tree(["vhost_mmu", "include"], TOP, top)
        if not self.built:
            return
        # What does not depend on the broken file need not be built again: make
        # knows from the lists of headers, once they name this copy.
        mutants.copy_tree(["out"], self.built, top)
        for name in glob.glob(f"{top}/out/**/*.d", recursive=True):
            with open(name, encoding="utf-8") as f:
                text = f.read()
            with open(name, "w", encoding="utf-8") as f:
                f.write(text.replace(self.built, top))

    def first(self, tests, top, log):
        """Build and run tests until one fails: its status, or 2 if not built."""
        for test in tests:
            # Canaries and checks do: the sanitizers take long to build.
            status = proc.run(["make", "-s", "-C", HERE, f"SRC={top}/vhost_mmu",
                               f"OUT={top}/out", "SANITIZE=", "CFLAGS=-O0 -w",
                               f"{top}/out/{test}"], log=log, env=STEPS).status
            if status:
                return 2
            log.write(f"# {test}\n".encode())
            limit = max(SECONDS, PATIENCE * self.took.get(test, LONGEST / PATIENCE))
            done = proc.run([f"{top}/out/{test}"], log=log, timeout=limit, env=STEPS,
                            cwd=HERE)
            if done.status:
                # That of a failed kselftest program may be anything.
                return 124 if done.timed_out else 1
            self.took.setdefault(test, done.seconds)
        return 0

    def test(self, mutant, top, log):
        return self.first(mutant.tests, top, log)

    def reason(self, mutant, status, log):
        test = "no test"
        with open(log, encoding="utf-8", errors="replace") as f:
            for line in f:
                match = re.match(r"not ok \d+ (\S+)", line)
                if match:
                    return match.group(1)
                match = re.match(r"# (\w+_test)$", line)
                test = match.group(1) if match else test
        return f"{test} " + ("takes too long" if status == 124 else "crashes")

    def prepare(self, top, log):
        """Build the tests against a copy that is whole; they must pass there, or
        every mutant would seem to be killed."""
        self.copy(None, top)
        with open(log, "wb") as f:
            if self.first(TESTS, top, f):
                return False
        self.built = top
        return True


def try_all(chosen, jobs, scratch):
    """Yield the verdicts; raise Broken if the tests fail without any mutant."""
    job, good = Unit(), []
    os.makedirs(scratch, exist_ok=True)
    for mutant in chosen:
        try:
            good.append(locate(mutant))
        except mutants.Broken as e:
            yield mutants.Verdict(mutant.name, mutants.BROKEN, str(e), 0)
    with tempfile.TemporaryDirectory(prefix="vhost-mmu-unit-") as whole:
        log = os.path.join(scratch, "none.log")
        if not job.prepare(whole, log):
            raise mutants.Broken("the tests fail without any mutant: see " + log)
        yield from mutants.try_all(job, good, scratch, jobs)


def main():
    p = argparse.ArgumentParser(prog="selftests/unit/mutants.py", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", metavar="MUTANT", help="only these (all)")
    p.add_argument("--list", action="store_true", help="list them, run nothing")
    p.add_argument("-j", "--jobs", type=int, default=os.cpu_count(), metavar="N",
                   help="so many at a time (%(default)s)")
    args = p.parse_args()
    known = {m.name: m for m in read()}
    for name in args.names:
        if name not in known:
            p.error(f"no mutant {name}, see --list")
    chosen = [known[n] for n in args.names] or list(known.values())
    if args.list:
        for m in chosen:
            print(f"{m.name:22} {m.file:22} {' '.join(m.tests):34} {m.edit.script}")
        return 0

    proc.handle_signals()
    bad = 0
    scratch = path("build", "unit-mutants")
    try:
        for v in try_all(chosen, args.jobs, scratch):
            bad += v.verdict != mutants.KILLED
            print(f"{v.name:22} {v.verdict:9} {v.seconds:4.0f} s  {v.reason}", flush=True)
    except mutants.Broken as e:
        print(f"selftests/unit/mutants.py: {e}", file=sys.stderr)
        return 2
    print(f"{len(chosen) - bad} killed, {bad} not; logs in {scratch}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
