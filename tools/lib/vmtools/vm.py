# SPDX-License-Identifier: GPL-2.0
"""Run a command in a VM: what a Python program says to tools/vm/run."""
from . import path, proc

# What its exit status means besides that of the command.
TIMEOUT, DIED, USAGE = 124, 125, 2
# What it says if the VM ended with no word of the kernel's.
VANISHED = "the VM died without a status"

# Beyond its own timeout it needs this long at most to start and to clean up.
SLACK = 60


def command(argv, kernel="6.12", timeout=None, smp=None, mem=None, numa=False,
            icount=False, accel=None, plugin=(), share=(), env=None, append=(),
            log=None, qemu=(), top=None):
    """The command line of tools/vm/run, as a list.  top: another tree's."""
    line = [path("tools/vm/run") if top is None else f"{top}/tools/vm/run",
            "--kernel", kernel]
    for option, value in (("--timeout", timeout), ("--smp", smp),
                          ("--mem", mem), ("--accel", accel), ("--log", log)):
        if value is not None:
            line += [option, str(value)]
    line += ["--numa"] * bool(numa) + ["--icount"] * bool(icount)
    for option, values in (("--plugin", plugin), ("--share", share),
                           ("--append", append), ("--qemu", qemu),
                           ("--env", [f"{k}={v}" for k, v in (env or {}).items()])):
        for value in [values] if isinstance(values, str) else values:
            line += [option, str(value)]
    return line + ["--"] + list(map(str, argv))


def run(argv, output=None, cwd=None, nice=0, **options):
    """Run a command in a VM, its output in the file "output" or in the result;
    the options are those of command()."""
    timeout = options.setdefault("timeout", 900)
    return proc.run(command(argv, **options), log=output, cwd=cwd, nice=nice,
                    timeout=timeout + SLACK)
