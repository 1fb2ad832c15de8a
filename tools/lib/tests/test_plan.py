# SPDX-License-Identifier: GPL-2.0
"""The plan of a check, against the tree that it is for."""
import unittest

from vmtools import kernels, path, plan


class Plan(unittest.TestCase):
    """Stages and programs."""

    def test_globs_match_programs(self):
        names = plan.programs()
        self.assertIn("smoke", names)
        for kernel, globs in plan.PROGRAMS.items():
            for pattern in globs:
                with self.subTest(kernel=kernel, glob=pattern):
                    self.assertTrue(plan.chosen([pattern], names))

    def test_a_glob_without_a_program_is_an_error(self):
        with self.assertRaises(plan.PlanError):
            plan.chosen(("smoke", "no_such_*"), plan.programs())

    def test_programs_are_left_out_for_a_reason(self):
        for kernel, globs in plan.PROGRAMS.items():
            self.assertIn(kernel, kernels.NAMES)
            self.assertEqual(globs == plan.ALL, kernel not in plan.WHY)
        for stage in plan.stages():
            self.assertEqual(stage.daily, not stage.why, stage.name)

    def test_all_leaves_nothing_out(self):
        names = plan.programs()
        for stage in plan.stages(True):
            if stage.name.startswith("selftests-"):
                self.assertEqual(stage.programs, names, stage.name)
                self.assertIn("VT_FULL=1", stage.command, stage.name)

    def test_each_kernel_is_built_and_tested(self):
        names = {s.name for s in plan.stages(True)}
        for row in kernels.TABLE:
            self.assertIn(f"build-{row.name}", names)
            if row.flavour != "cloud":
                self.assertIn(f"selftests-{row.name}", names)

    def test_order(self):
        stages = plan.stages(True)
        lane = {s.name: s.lane for s in stages}
        self.assertEqual(len(lane), len(stages))
        seen = set()
        for stage in stages:
            for before in stage.after:
                self.assertIn(before, seen, "or its lane waits for ever")
            seen.add(stage.name)
            if stage.name.startswith(("selftests-", "vm", "mutants")):
                self.assertEqual(stage.lane, "vm")

    def test_document(self):
        with open(path(plan.DOCUMENT), encoding="utf-8") as f:
            text = f.read()
        self.assertEqual(text, plan.with_table(text),
                         "run tools/check --write-table")


if __name__ == "__main__":
    unittest.main()
