# SPDX-License-Identifier: GPL-2.0
"""The kernel log: what is a splat, and what is a status."""
import unittest

from vmtools import kernel_log


class Log(unittest.TestCase):
    """Lines as kernels print them."""

    def test_splats(self):
        for line in ("BUG: KASAN: slab-use-after-free in f+0x1/0x2 [m]",
                     "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2",
                     "WARNING: possible circular locking dependency detected",
                     "Oops: general protection fault, probably for ...",
                     "watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
                     "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                     "INFO: task a:1 blocked for more than 120 seconds.",
                     "Kernel panic - not syncing: x",
                     "refcount_t: underflow; use-after-free."):
            with self.subTest(line):
                self.assertEqual(kernel_log.splat(["a", f"[ 1.0] {line}", "b"]),
                                 [f"2: [ 1.0] {line}", "3: b"])

    def test_harmless(self):
        self.assertEqual(kernel_log.splat([
            "kasan: KernelAddressSanitizer initialized",
            "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
            "loop: module loaded"]), [])

    def test_stale_breakpoint(self):
        def log(oops, rip):
            return ["5: [ 1.0] " + oops, "6: [ 1.0] CPU: 1", "7: [ 1.0] " + rip]
        int3 = "Oops: int3: 0000 [#1] PREEMPT SMP NOPTI"
        own = "RIP: 0010:folio_add_lru+0xd/0x50"
        self.assertTrue(kernel_log.stale_breakpoint(log(int3, own)))
        self.assertFalse(kernel_log.stale_breakpoint(log(int3, own + " [vhost_mmu]")))
        self.assertFalse(kernel_log.stale_breakpoint(log("Oops: 0002 [#1]", own)))
        self.assertFalse(kernel_log.stale_breakpoint(log(int3, "")))
        self.assertFalse(kernel_log.stale_breakpoint([]))

    def test_booted(self):
        self.assertTrue(kernel_log.booted(["[ 1.0] a", "[ 2.0] vm: up", "b"]))
        self.assertFalse(kernel_log.booted(["[ 1.0] a", "[ 2.0] vm: upset"]))

    def test_status(self):
        self.assertEqual(kernel_log.read_status("exit 3 taint 4096\n"), (3, 4096))
        for text in ("", "exit 3", "exit taint", "exit 0 taint", "xexit 0 taint 0",
                     "exit 0 taint 0\nmore"):
            with self.subTest(text):
                self.assertIsNone(kernel_log.read_status(text))


if __name__ == "__main__":
    unittest.main()
