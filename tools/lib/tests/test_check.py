# SPDX-License-Identifier: GPL-2.0
"""What tools/check makes of a stage: a result that cannot be counted is none."""
import glob
import importlib.machinery
import importlib.util
import tempfile
import types
import unittest

from vmtools import path


def load():
    """tools/check as a module."""
    loader = importlib.machinery.SourceFileLoader("check", path("tools/check"))
    spec = importlib.util.spec_from_loader("check", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


CHECK = load()


def totals(passed=0, fail=0, skip=0):
    """The line that ends a log."""
    return (f"# Totals: pass:{passed} fail:{fail} xfail:0 xpass:0 skip:{skip} "
            "error:0\n")


class Outcomes(unittest.TestCase):
    """Logs and statuses, and what is counted."""

    def outcome(self, text, status=0, counted=True):
        """The outcome of a stage with that log."""
        stage = types.SimpleNamespace(name="some", counted=counted, programs=())
        with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
            log.write(text)
            log.flush()
            return CHECK.Outcome(stage, status, log.name)

    def test_passes(self):
        one = self.outcome("ok 1 a\n" + totals(passed=3, skip=1))
        self.assertEqual((one.passed, one.failed, one.skipped), (3, 0, 1))

    def test_status_alone(self):
        self.assertEqual(self.outcome("built\n", counted=False).passed, 1)
        self.assertEqual(self.outcome("no\n", 1, counted=False).failed, 1)

    def test_no_totals(self):
        self.assertEqual(self.outcome("ok 1 a\n").failed, 1)

    def test_nothing_counted(self):
        for counted in (True, False):
            with self.subTest(counted):
                self.assertEqual(self.outcome(totals(), counted=counted).failed, 1)

    def test_everything_skipped(self):
        self.assertEqual(self.outcome(totals(skip=5)).failed, 1)

    def test_a_failure_beside_clean_totals(self):
        self.assertEqual(self.outcome("not ok 1 a\n" + totals(passed=3)).failed, 1)

    def test_status_beside_clean_totals(self):
        self.assertEqual(self.outcome(totals(passed=3), 1).failed, 1)

    def test_counted_failures_stay(self):
        self.assertEqual(self.outcome("not ok 1 a\n" + totals(3, 2), 1).failed, 2)

    def test_no_end(self):
        self.assertEqual(self.outcome(totals(passed=3), 124).failed, 1)


class Again(unittest.TestCase):
    """A VM that the emulator let down is tried again, and no other."""

    def runs(self, oops, status, healthy_after):
        """Begun how often anew, the last status, and how many logs there are."""
        with tempfile.TemporaryDirectory() as folder:
            script = (f"cd {folder}; echo x >>n; [ $(wc -l <n) -gt {healthy_after} ] && exit 0;"
                      f"printf '{oops}\\nRIP: 0010:f+0x1/0x2\\n'; exit {status}")
            stage = types.SimpleNamespace(name="s", command=["sh", "-c", script], limit=60)
            run = CHECK.Running(stage, folder, 0)
            run.run()
            return run.let_down, run.status, len(glob.glob(f"{folder}/*.log"))

    def test_again(self):
        int3 = "Oops: int3: 0000"
        self.assertEqual(self.runs(int3, 125, 0), (0, 0, 1))
        self.assertEqual(self.runs(int3, 125, 1), (1, 0, 2))
        self.assertEqual(self.runs(int3, 125, 9), (2, 125, 3))
        self.assertEqual(self.runs(int3, 1, 9), (0, 1, 1))
        self.assertEqual(self.runs("Oops: 0002", 125, 9), (0, 125, 1))


if __name__ == "__main__":
    unittest.main()
