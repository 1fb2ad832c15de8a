# SPDX-License-Identifier: GPL-2.0
"""Run commands, each in a session of its own of which nothing stays behind."""
import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

# How long a session may take to clean up after SIGTERM.
GRACE = 10


class Stopped(Exception):
    """kill_all() was called: nothing is started any more."""


@dataclass
class Result:
    """How a command ended.  status is that of a shell: 124 after a timeout, 127
    if there is no such command, 128 + N after signal N.  output is its text,
    both streams, unless it went to a log."""
    status: int
    seconds: float
    timed_out: bool = False
    output: str = None


_lock = threading.Lock()
_live = set()
_stopped = False


def _members(session):
    """The processes of a session that still run."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8",
                      errors="replace") as f:
                state, _, _, its = f.read().rsplit(")", 1)[1].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its) == session and state not in "ZX":
            yield int(name)


class Child:
    """A command that runs, in a session of its own: a self-test puts each test
    into a process group of its own.  Leaving the "with" kills whatever is left
    of the session."""

    def __init__(self, argv, nice=0, **kwargs):
        # setpriv: the child ends with us even if we are killed by SIGKILL.
        prefix = ["setpriv", "--pdeathsig", "TERM", "--"]
        if nice:
            prefix += ["nice", "-n", str(nice)]
        with _lock:
            if _stopped:
                raise Stopped()
            # __exit__() waits for it.
            self.popen = subprocess.Popen(  # pylint: disable=consider-using-with
                prefix + list(map(str, argv)), stdin=subprocess.DEVNULL,
                start_new_session=True, **kwargs)
            _live.add(self)
        self.pidfd = os.pidfd_open(self.popen.pid)

    def __enter__(self):
        return self

    def ended(self, seconds=None):
        """Wait for the end for so long (for ever); True if it came."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if seconds is None
                              else max(0, seconds) * 1000))

    def signal(self, number):
        """Send a signal to the whole session; True if anybody is in it."""
        # The leader is not reaped yet, so that its number is not used again.
        members = list(_members(self.popen.pid))
        for pid in members:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        return bool(members)

    def __exit__(self, *_exception):
        if not self.ended(0):
            self.signal(signal.SIGTERM)
            self.ended(GRACE)
        # Again for what was forked meanwhile; what cannot die is left alone.
        end = time.monotonic() + GRACE
        while self.signal(signal.SIGKILL) and time.monotonic() < end:
            time.sleep(0.01)
        with _lock:
            _live.discard(self)
            self.popen.wait()
        os.close(self.pidfd)

    @property
    def status(self):
        """Its status as a shell has it, once the "with" is left."""
        code = self.popen.returncode
        return code if code >= 0 else 128 - code


def run(argv, log=None, timeout=None, cwd=None, env=None, nice=0):
    """Run a command without standard input and wait for it.

    log      a path (written anew) or an open binary file (appended to);
             without it the output is in the result
    timeout  in seconds; then the whole session is killed
    env      variables to set besides those that are set
    nice     by how much to be nicer
    """
    start = time.monotonic()
    with contextlib.ExitStack() as stack:
        if log is None:
            out = stack.enter_context(tempfile.TemporaryFile())
        elif hasattr(log, "fileno"):
            out = log
            out.flush()
        else:
            out = stack.enter_context(open(log, "wb"))
        with Child(argv, nice, stdout=out, stderr=subprocess.STDOUT, cwd=cwd,
                   env={**os.environ, **env} if env else None) as child:
            by_itself = child.ended(timeout)
        output = None
        if log is None:
            out.seek(0)
            output = out.read().decode(errors="replace")
    return Result(child.status if by_itself else 124,
                  time.monotonic() - start, not by_itself, output)


def kill_all():
    """Kill what other threads run, and let them start nothing more."""
    global _stopped
    _stopped = True
    _signal_all(signal.SIGTERM)
    end = time.monotonic() + GRACE
    # The threads that run them take them off the list.
    while _live and time.monotonic() < end:
        time.sleep(0.05)
    _signal_all(signal.SIGKILL)


def _signal_all(number):
    with _lock:
        for child in _live:
            child.signal(number)


def _on_signal(number, _frame):
    # The clean-up that follows is not disturbed.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise SystemExit(130 if number == signal.SIGINT else 143)


def handle_signals():
    """Let SIGINT, SIGTERM and SIGHUP end the program by SystemExit, so that
    every "finally" runs.  For the start of main()."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
