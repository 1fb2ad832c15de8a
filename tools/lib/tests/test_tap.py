# SPDX-License-Identifier: GPL-2.0
"""TAP: what counts and what is no result."""
import io
import unittest

from vmtools import tap

LINE = "# Totals: pass:1 fail:2 xfail:3 xpass:4 skip:5 error:6"


class Read(unittest.TestCase):
    """Logs."""

    def test_line(self):
        totals = tap.totals(LINE + "\n")
        self.assertEqual(totals, tap.Totals(1, 2, 3, 4, 5, 6))
        self.assertEqual((totals.good, totals.bad, totals.count), (4, 12, 21))
        self.assertEqual(str(totals), LINE)

    def test_no_line(self):
        for line in ("", "# Totals:", LINE[:-1], " " + LINE, "# " + LINE):
            with self.subTest(line):
                self.assertIsNone(tap.totals(line))

    def test_missing_totals_are_no_result(self):
        self.assertIsNone(tap.parse(["ok 1 a", "1..1"]).totals)

    def test_only_the_outer_totals_count(self):
        log = tap.parse(["# " + LINE, LINE, LINE])
        self.assertEqual(log.totals.passed, 2)

    def test_lists(self):
        log = tap.parse(["not ok 1 x", "# Skipped, and why:", "#   a: b",
                         "# Failed:", "#   c", "# other", "#   d"])
        self.assertEqual(log.not_ok, ["not ok 1 x"])
        self.assertEqual(log.skipped, ["a: b"])
        self.assertEqual(log.failed, ["c"])


class Write(unittest.TestCase):
    """The writer, read back."""

    def test_round(self):
        out = io.StringIO()
        writer = tap.Writer(out)
        writer.ok("a")
        writer.not_ok("b", "why\nso")
        writer.skip("c", "no")
        self.assertEqual(writer.finish(), 1)
        text = out.getvalue()
        self.assertIn("# why\n# so\nnot ok 2 b\nok 3 c # SKIP no\n1..3\n", text)
        self.assertEqual(tap.parse(text.splitlines()).totals,
                         tap.Totals(1, 1, 0, 0, 1, 0))

    def test_nothing_is_no_pass(self):
        writer = tap.Writer(io.StringIO())
        writer.skip("a", "no")
        self.assertEqual(writer.finish(), 1)


if __name__ == "__main__":
    unittest.main()
