# SPDX-License-Identifier: GPL-2.0
"""What the demo's steps inside the VM share: progress, waiting, counters."""

import glob
import os
import subprocess
import time


class StepFailed(Exception):
    """A step found something wrong; the hint says what to look at."""

    def __init__(self, what, hint=""):
        super().__init__(what)
        self.hint = hint


def say(text):
    print(text, flush=True)


def run(*args, check=True, timeout=60):
    """Run a short command and return its output; a failure names the command."""
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise StepFailed(f"`{' '.join(args)}` failed: {done.stdout.strip()[-400:]}")
    return done.stdout


def wait_for(what, probe, seconds, alive=None):
    """Return the first true value of probe(), polled until the time is up."""
    end = time.monotonic() + seconds
    while True:
        value = probe()
        if value:
            return value
        if alive is not None and alive.poll() is not None:
            raise StepFailed(f"{alive.args[0]} ended with status {alive.returncode} "
                             f"while waiting for {what}")
        if time.monotonic() > end:
            raise StepFailed(f"waited {seconds} s in vain for {what}")
        time.sleep(0.2)


def stop(process, seconds=10):
    """End a child of ours, gently first."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def read_text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def has_counters(dev):
    """Only our nodes have counters; stock vhost-net has none."""
    return os.path.basename(dev).startswith("vhost-mmu")


def counters(pid):
    """All counters of a process's devices, summed over devices: {queue: {name: value}}."""
    queues = {}
    for path in glob.glob(f"/sys/kernel/debug/vhost_mmu/net-{pid}-*/vq*"):
        queue = queues.setdefault(os.path.basename(path), {})
        for line in read_text(path).splitlines():
            name, value = line.split(None, 1)
            if value.isdigit():
                queue[name] = queue.get(name, 0) + int(value)
            else:
                queue[name] = value
    return queues


def require(condition, what, hint=""):
    if not condition:
        raise StepFailed(what, hint)
