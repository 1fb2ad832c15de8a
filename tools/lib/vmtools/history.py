# SPDX-License-Identifier: GPL-2.0
"""What earlier checks are remembered by: times, and the last complete one."""
import json
import os
import subprocess
import time

from . import TOP, cache_dir, kernels


def _file(name):
    return os.path.join(cache_dir(), "check", name)


def _load(name):
    try:
        with open(_file(name), encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def _save(name, value):
    """Whole or not at all.  A cache that may not be written is no failure."""
    target = _file(name)
    temporary = f"{target}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump(value, f, indent=1, sort_keys=True)
            f.write("\n")
        os.replace(temporary, target)
    except OSError:
        pass


def times():
    """Seconds that each stage took the last time that it passed."""
    return _load("times.json")


def remember_times(new):
    """Add to times()."""
    _save("times.json", {**times(), **new})


def _git(*arguments):
    done = subprocess.run(["git", "-C", TOP, *arguments],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def state():
    """What is checked: the commit, whether files differ from it, kernels."""
    releases = {}
    for name in kernels.NAMES:
        try:
            releases[name] = kernels.resolve(name).kver
        except kernels.KernelMissing:
            releases[name] = "missing"
    return {"commit": _git("rev-parse", "--short=12", "HEAD") or "unknown",
            "dirty": _git("status", "--porcelain") != "",
            "kernels": releases,
            "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}


def remember_all(before, passed, failed, skipped, seconds, failures):
    """Keep the result of a complete check; "before" is state() at its start."""
    _save("all.json", {**before, "passed": passed, "failed": failed,
                       "skipped": skipped, "seconds": round(seconds),
                       "failures": failures})


def last_all():
    """The last complete check, in a sentence."""
    last = _load("all.json")
    try:
        dirty = " with changes" if last["dirty"] else ""
        here = "this commit" if last["commit"] == state()["commit"] else \
            "another commit"
        return (f"{last['date']}, commit {last['commit']}{dirty} ({here}): "
                f"{last['passed']} passed, {last['failed']} failed, "
                f"{last['skipped']} skipped in {last['seconds'] // 60} min, on "
                + ", ".join(sorted(set(last["kernels"].values()))))
    except KeyError:
        return "never on this machine (make check-all)"
