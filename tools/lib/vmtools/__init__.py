# SPDX-License-Identifier: GPL-2.0
"""What the runners on the host share: kernels, TAP, processes, mutants, VMs.

A program in tools/ finds it with

    sys.path.insert(0, os.path.join(TOP, "tools", "lib"))

Only the standard library of Debian bookworm's Python is used.
"""
import os

# The tree that this file is in, which may be a copy: a mutant's, for instance.
TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))


def cache_dir():
    """Where kernels, the kernel source and past results are kept."""
    return os.environ.get("VHOST_MMU_CACHE") or "/var/cache/vhost-mmu"


def path(*parts):
    """A path below the top of the tree."""
    return os.path.join(TOP, *parts)
