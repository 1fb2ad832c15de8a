# SPDX-License-Identifier: GPL-2.0
"""Break one piece of a copy of a tree and see whether a test notices."""
import concurrent.futures
import os
import re
import shutil
import tempfile
import time
from collections import namedtuple

from . import proc

KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"

# verdict  killed, survived, or broken: the mutant says nothing about the tests
# reason   the first line that says why
Verdict = namedtuple("Verdict", "name verdict reason seconds")

# What says in a log what went wrong.
WHY = re.compile(r"not ok|BUG:|KASAN|WARNING:|possible circular|Oops|error:|"
                 r"Kernel panic|Assertion|runtime error")


class Broken(Exception):
    """The mutant cannot be made or tried."""


class Text:
    """Replace a text that must be in the file exactly once."""

    def __init__(self, old, new):
        self.old, self.new = old, new

    def __call__(self, text):
        found = text.count(self.old)
        if found != 1:
            raise Broken(f"the text to break is there {found} times, not once")
        if self.old == self.new:
            raise Broken("it changes nothing")
        return text.replace(self.old, self.new)


class Sed:
    """Change a file by a script of sed, which must change something."""

    def __init__(self, script):
        self.script = script

    def __call__(self, text):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            done = proc.run(["sed", "-e", self.script, f.name],
                            env={"LC_ALL": "C.UTF-8"})
        if done.status:
            raise Broken(f"sed: {done.output.strip()}")
        if done.output == text:
            raise Broken("the script changes nothing: the source has changed")
        return done.output


def apply(top, file, edit):
    """Change a file below top by a Text or a Sed; raise Broken if that does not
    work."""
    name = os.path.join(top, file)
    try:
        with open(name, encoding="utf-8") as f:
            text = f.read()
    except FileNotFoundError:
        raise Broken(f"there is no file {file}") from None
    try:
        changed = edit(text)
    except Broken as e:
        raise Broken(f"{file}: {e}") from None
    with open(name, "w", encoding="utf-8") as f:
        f.write(changed)


def copy_tree(parts, source, target):
    """Copy files and folders of a tree, with their times: make sees no change."""
    for part in parts:
        src, dst = os.path.join(source, part), os.path.join(target, part)
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        if os.path.isdir(src):
            shutil.copytree(src, dst, symlinks=True,
                            ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(src, dst)


def read(log):
    """All of a log."""
    with open(log, encoding="utf-8", errors="replace") as f:
        return f.read()


def first_reason(log, pattern=WHY):
    """The first line of a log that matches, or its last line."""
    last = "no output"
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            if pattern.search(line):
                return line.strip()[:90]
            last = line.strip()[:90] or last
    return last


class Job:
    """How mutants of one tree are tried.  Derive from it.

    A mutant has at least a name, a file (below the copy) and an edit.
    """

    # The statuses of test() that are no verdict.
    no_verdict = (2, 126, 127)

    def folder(self):
        """Where the copy of the tree is made; a context manager."""
        return tempfile.TemporaryDirectory(prefix="vhost-mmu-mutant-")

    def copy(self, mutant, top):
        """Make the copy of the tree in the folder top, which is empty or what
        folder() left in it."""
        raise NotImplementedError

    def build(self, mutant, top, log):
        """Build it; return a status.  log is an open binary file."""
        return 0

    def test(self, mutant, top, log):
        """Run the tests; return a status: 0 is a survivor."""
        raise NotImplementedError

    def reason(self, mutant, status, log):
        """Why the tests failed, from the name of the log."""
        return first_reason(log)


def try_one(job, mutant, logdir):
    """Return the Verdict of one mutant; its log is logdir/NAME.log."""
    start = time.monotonic()
    name = os.path.join(logdir, f"{mutant.name}.log")
    verdict, reason = _try(job, mutant, name)
    return Verdict(mutant.name, verdict, reason, time.monotonic() - start)


def _try(job, mutant, name):
    with job.folder() as top, open(name, "wb") as log:
        try:
            job.copy(mutant, top)
            apply(top, mutant.file, mutant.edit)
        except Broken as e:
            log.write(f"{e}\n".encode())
            return BROKEN, str(e)
        status = job.build(mutant, top, log)
        log.flush()
        if status:
            return BROKEN, "does not build: " + first_reason(name)
        status = job.test(mutant, top, log)
        log.flush()
        if status == 0:
            return SURVIVED, "the tests pass"
        if status in job.no_verdict:
            return BROKEN, "the tests did not run: " + first_reason(name)
        return KILLED, job.reason(mutant, status, name)


def try_all(job, mutants, logdir, jobs=1):
    """Yield the Verdicts of mutants, as they come, of so many at a time."""
    os.makedirs(logdir, exist_ok=True)
    if jobs == 1:
        # In the main thread, where a signal ends what runs.
        for mutant in mutants:
            yield try_one(job, mutant, logdir)
        return
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        try:
            running = [pool.submit(try_one, job, m, logdir) for m in mutants]
            for future in concurrent.futures.as_completed(running):
                yield future.result()
        except BaseException:
            proc.kill_all()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
