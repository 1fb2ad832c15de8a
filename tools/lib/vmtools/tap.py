# SPDX-License-Identifier: GPL-2.0
"""Read and write TAP, and the line "# Totals:" of the kernel's selftests."""
import re
import sys
from dataclasses import dataclass, field, fields

TOTALS = re.compile(r"# Totals: pass:(\d+) fail:(\d+) xfail:(\d+) "
                    r"xpass:(\d+) skip:(\d+) error:(\d+)")


@dataclass
class Totals:
    """Counts of a run, in the order of the line."""
    passed: int = 0
    fail: int = 0
    xfail: int = 0
    xpass: int = 0
    skip: int = 0
    error: int = 0

    def __add__(self, other):
        return Totals(*(getattr(self, f.name) + getattr(other, f.name)
                        for f in fields(self)))

    def __str__(self):
        return (f"# Totals: pass:{self.passed} fail:{self.fail} "
                f"xfail:{self.xfail} xpass:{self.xpass} skip:{self.skip} "
                f"error:{self.error}")

    @property
    def good(self):
        """What came out as it should."""
        return self.passed + self.xfail

    @property
    def bad(self):
        """What did not."""
        return self.fail + self.xpass + self.error

    @property
    def count(self):
        """All that has a result or a reason why not."""
        return self.good + self.bad + self.skip


def totals(line):
    """The Totals of a line, or None."""
    match = TOTALS.match(line)
    return Totals(*map(int, match.groups())) if match else None


@dataclass
class Log:
    """What a log says.  totals is None if it has no line of totals at all: a
    run without one was cut short, which is no result."""
    totals: Totals = None
    not_ok: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    failed: list = field(default_factory=list)


# The lists that selftests/run prints before its totals.
SECTIONS = {"# Skipped, and why:": "skipped", "# Failed:": "failed"}


def parse(lines):
    """Read a log.  Only lines at the start of a line count: what a runner
    passes on from a program within is indented by another "# "."""
    log = Log()
    section = None
    for line in lines:
        line = line.rstrip("\n")
        if section is not None and line.startswith("#   "):
            section.append(line[4:])
            continue
        name = SECTIONS.get(line)
        section = getattr(log, name) if name else None
        if line.startswith("not ok"):
            log.not_ok.append(line)
        found = totals(line)
        if found:
            log.totals = (log.totals or Totals()) + found
    return log


def parse_file(name):
    """Read a log by its name."""
    with open(name, encoding="utf-8", errors="replace") as f:
        return parse(f)


class Writer:
    """Write TAP.  The plan comes last, when it is known."""

    def __init__(self, out=None):
        self.out = out or sys.stdout
        self.totals = Totals()
        self.number = 0

    def _line(self, text):
        print(text, file=self.out, flush=True)

    def header(self):
        """The first line, for what is not passed on by another runner."""
        self._line("TAP version 13")

    def comment(self, text):
        """Lines that are no results."""
        for line in text.splitlines() or [""]:
            self._line(f"# {line}".rstrip())

    def _result(self, word, text):
        self.number += 1
        self._line(f"{word} {self.number} {text}")

    def ok(self, name):
        """A pass."""
        self.totals.passed += 1
        self._result("ok", name)

    def not_ok(self, name, why=""):
        """A failure, with lines that say why before it."""
        if why:
            self.comment(why)
        self.totals.fail += 1
        self._result("not ok", name)

    def skip(self, name, reason):
        """Not run, for a reason."""
        self.totals.skip += 1
        self._result("ok", f"{name} # SKIP {reason}")

    def test(self, name, good, why=""):
        """A pass or a failure."""
        if good:
            self.ok(name)
        else:
            self.not_ok(name, why)
        return good

    def finish(self):
        """Plan and totals; the exit status."""
        self._line(f"1..{self.number}")
        self._line(str(self.totals))
        return int(self.totals.bad > 0 or self.totals.good == 0)
