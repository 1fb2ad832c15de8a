# SPDX-License-Identifier: GPL-2.0
"""What a healthy kernel never prints, and never is tainted by."""
import re

SPLAT = re.compile(
    r"BUG:|WARNING:|Oops|KASAN|UBSAN|KFENCE|general protection fault"
    r"|soft lockup|hard LOCKUP|rcu: INFO|suspicious RCU usage"
    r"|possible (circular|recursive|irq) lock|inconsistent lock state"
    r"|INFO: possible|sleeping function called|scheduling while atomic"
    r"|bad unlock balance|held lock freed|blocked for more than"
    r"|Kernel panic|refcount_t:|list_(add|del) corruption|Bad page state"
    r"|unable to handle|invalid opcode|stack-protector|Modules linked in")

# Boot messages that merely mention such a word.
HARMLESS = re.compile(
    r"KASAN: .* mode|KernelAddressSanitizer initialized|kfence: initialized"
    r"|Spectre V2 : WARNING|UBSAN: enabled")

# Bad page, oops, warning, soft lockup.
BAD_TAINT = 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14

# So many lines of a splat are shown.
SHOWN = 60


def splat(lines):
    """The first splat and what follows it, as numbered lines; [] if there is
    none."""
    lines = [line for line in lines if not HARMLESS.search(line)]
    for i, line in enumerate(lines):
        if SPLAT.search(line):
            return [f"{i + 1 + n}: {text}"
                    for n, text in enumerate(lines[i:i + 1 + SHOWN])]
    return []


def stale_breakpoint(lines):
    """Did the kernel itself run into a breakpoint that was gone?

    It patches its code by way of one, and waits until no CPU can be about to run
    it.  The emulator, on several threads, now and then still runs it: an oops that
    no kernel makes.  In a module it may be the module's doing.
    """
    for i, line in enumerate(lines):
        if "Oops: int3" in line:
            rip = next((text for text in lines[i:i + 12] if "RIP: " in text), "")
            return bool(re.search(r"RIP: 0010:\S+$", rip.rstrip()))
    return False


def booted(lines):
    """Has the guest got as far as tools/vm/guest?"""
    return any(re.search(r"\] vm: up$", line) for line in lines)


def read_status(text):
    """(status, taint) of the line that the guest sends at its end, or None."""
    match = re.fullmatch(r"exit (\d+) taint (\d+)", text.strip())
    return tuple(map(int, match.groups())) if match else None
