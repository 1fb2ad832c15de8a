# SPDX-License-Identifier: GPL-2.0
"""Run commands, each in a process group of its own that never stays behind."""
import contextlib
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

# How long a group may take to clean up after SIGTERM.
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


def _signal_group(child, number):
    # The leader is not reaped yet, so that its number is not used again.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _ended(pidfd, seconds):
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if seconds is None else max(0, seconds) * 1000))


def _terminate(child, pidfd):
    _signal_group(child, signal.SIGTERM)
    _ended(pidfd, GRACE)


def _start(argv, nice, **kwargs):
    # setpriv: the child ends with us even if we are killed by SIGKILL.
    prefix = ["setpriv", "--pdeathsig", "TERM", "--"]
    if nice:
        prefix += ["nice", "-n", str(nice)]
    with _lock:
        if _stopped:
            raise Stopped()
        child = subprocess.Popen(prefix + list(map(str, argv)), process_group=0,
                                 **kwargs)
        _live.add(child)
    return child


def _wait(child, timeout):
    """True if it ended by itself.  Whatever is left of its group is killed."""
    pidfd = os.pidfd_open(child.pid)
    try:
        by_itself = _ended(pidfd, timeout)
        if not by_itself:
            _terminate(child, pidfd)
        return by_itself
    except BaseException:
        _terminate(child, pidfd)
        raise
    finally:
        _signal_group(child, signal.SIGKILL)
        with _lock:
            _live.discard(child)
            child.wait()
        os.close(pidfd)


def run(argv, log=None, timeout=None, cwd=None, env=None, nice=0):
    """Run a command without standard input and wait for it.

    log      a path (written anew) or an open binary file (appended to);
             without it the output is in the result
    timeout  in seconds; then the whole group is killed
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
        child = _start(argv, nice, stdin=subprocess.DEVNULL, stdout=out,
                       stderr=subprocess.STDOUT, cwd=cwd,
                       env={**os.environ, **env} if env else None)
        by_itself = _wait(child, timeout)
        output = None
        if log is None:
            out.seek(0)
            output = out.read().decode(errors="replace")
    code = child.returncode
    status = 124 if not by_itself else code if code >= 0 else 128 - code
    return Result(status, time.monotonic() - start, not by_itself, output)


def kill_all():
    """Kill what other threads run, and let them start nothing more."""
    global _stopped
    with _lock:
        _stopped = True
        for child in _live:
            _signal_group(child, signal.SIGTERM)


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
