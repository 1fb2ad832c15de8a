# SPDX-License-Identifier: GPL-2.0
"""Commands: their status, and that nothing of them stays."""
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from vmtools import path, proc


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def alive(pid):
    """Whether a process still runs: a signal takes a moment to end it.  One
    that nobody has waited for does not run."""
    end = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return _runs(pid)


class Run(unittest.TestCase):
    """proc.run()."""

    def test_status_and_output(self):
        done = proc.run(["sh", "-c", "echo a; echo b >&2; echo $X; exit 3"],
                        env={"X": "y"})
        self.assertEqual((done.status, done.output), (3, "a\nb\ny\n"))
        self.assertEqual(proc.run(["/no/such"]).status, 127)
        self.assertEqual(proc.run(["sh", "-c", "kill -9 $$"]).status, 137)

    def test_log(self):
        with tempfile.TemporaryDirectory() as top:
            proc.run(["echo", "a"], log=f"{top}/log")
            with open(f"{top}/log", "ab") as f:
                proc.run(["echo", "b"], log=f)
            with open(f"{top}/log", encoding="ascii") as f:
                self.assertEqual(f.read(), "a\nb\n")

    def test_timeout_kills_the_session(self):
        start = time.monotonic()
        done = proc.run(["sh", "-c", "sleep 60 & echo $!; wait"], timeout=0.5)
        self.assertTrue(done.timed_out)
        self.assertEqual(done.status, 124)
        self.assertLess(time.monotonic() - start, 30)
        self.assertFalse(alive(int(done.output)))

    def test_timeout_kills_other_groups(self):
        program = ("import os, time\nos.setpgid(0, 0)\n"
                   "print(os.getpid(), flush=True)\ntime.sleep(60)\n")
        done = proc.run(["sh", "-c", f"{sys.executable} -c '{program}' & wait"],
                        timeout=2)
        self.assertTrue(done.timed_out)
        self.assertFalse(alive(int(done.output)))

    def test_the_end_kills_what_is_left(self):
        done = proc.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"])
        self.assertEqual(done.status, 0)
        self.assertFalse(alive(int(done.output)))

    def test_a_signal_kills_the_session(self):
        program = (f"import sys; sys.path.insert(0, {path('tools/lib')!r})\n"
                   "from vmtools import proc\nproc.handle_signals()\n"
                   "proc.run(['sh', '-c', 'sleep 60 & echo $! >\"$0\"; wait', "
                   "sys.argv[1]])\n")
        for number, want in ((signal.SIGTERM, 143), (signal.SIGINT, 130),
                             (signal.SIGKILL, -9)):
            with self.subTest(number), tempfile.TemporaryDirectory() as top:
                name = f"{top}/pid"
                with subprocess.Popen([sys.executable, "-c", program, name]) as p:
                    while not (os.path.exists(name) and os.path.getsize(name)):
                        time.sleep(0.05)
                    with open(name, encoding="ascii") as f:
                        pid = int(f.read())
                    os.kill(p.pid, number)
                    self.assertEqual(p.wait(30), want)
                if number != signal.SIGKILL:
                    self.assertFalse(alive(pid))
                else:
                    # Only the leader is known to the kernel.
                    os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    unittest.main()
