# SPDX-License-Identifier: GPL-2.0
"""Mutants: what is killed, what survives, and what is neither."""
import os
import tempfile
import unittest
from collections import namedtuple

from vmtools import mutants, proc

Mutant = namedtuple("Mutant", "name file edit")
SOURCE = "one\ntwo\ntwo\n"


class Job(mutants.Job):
    """A tree of one file, which is tested by a shell."""

    def __init__(self, test="grep -qx one file", build="true"):
        self.commands = build, test

    def copy(self, mutant, top):
        with open(f"{top}/file", "w", encoding="ascii") as f:
            f.write(SOURCE)

    def _run(self, command, top, log):
        return proc.run(["sh", "-c", command], log=log, cwd=top).status

    def build(self, mutant, top, log):
        return self._run(self.commands[0], top, log)

    def test(self, mutant, top, log):
        return self._run(self.commands[1], top, log)


class Try(unittest.TestCase):
    """Verdicts."""

    def verdict(self, edit, job=None, file="file"):
        """Of one mutant."""
        with tempfile.TemporaryDirectory() as logs:
            return mutants.try_one(job or Job(), Mutant("m", file, edit), logs)

    def expect(self, want, *arguments, **kwargs):
        """The verdict, which is returned."""
        verdict = self.verdict(*arguments, **kwargs)
        self.assertEqual(verdict.verdict, want, verdict)
        return verdict

    def test_text(self):
        self.expect("killed", mutants.Text("one", "1"))
        self.expect("survived", mutants.Text("one\n", "one\nthree\n"))

    def test_text_that_does_not_apply(self):
        job = Job(test="false")
        for edit in (mutants.Text("three", ""), mutants.Text("two", ""),
                     mutants.Text("one", "one")):
            self.expect("broken", edit, job)
        self.expect("broken", mutants.Text("one", ""), job, file="other")

    def test_sed(self):
        self.expect("killed", mutants.Sed("s/one/1/"))
        self.expect("survived", mutants.Sed("/^one/,/^two/s/two/2/"))

    def test_sed_that_does_not_apply(self):
        job = Job(test="false")
        self.expect("broken", mutants.Sed("s/three//"), job)
        self.expect("broken", mutants.Sed("s/one"), job)

    def test_build_fails(self):
        why = self.expect("broken", mutants.Text("one", "1"),
                          Job(build="echo error: x; false"))
        self.assertEqual(why.reason, "does not build: error: x")

    def test_tests_do_not_run(self):
        for status in (2, 126, 127):
            self.expect("broken", mutants.Text("one", "1"),
                        Job(test=f"exit {status}"))

    def test_reason(self):
        why = self.expect("killed", mutants.Text("one", "1"),
                          Job(test="echo a; echo not ok 1 b; echo c; exit 1"))
        self.assertEqual(why.reason, "not ok 1 b")

    def test_many(self):
        many = [Mutant(f"m{i}", "file", mutants.Text("one", str(i)))
                for i in range(8)]
        for jobs in (1, 3):
            with tempfile.TemporaryDirectory() as logs:
                found = list(mutants.try_all(Job(), many, logs, jobs))
                self.assertEqual({v.name for v in found},
                                 {m.name for m in many})
                self.assertEqual({v.verdict for v in found}, {"killed"})
                self.assertEqual(len(os.listdir(logs)), 8)


if __name__ == "__main__":
    unittest.main()
