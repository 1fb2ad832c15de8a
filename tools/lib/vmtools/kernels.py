# SPDX-License-Identifier: GPL-2.0
"""The table of kernels, and where the files of each are."""
import os
import re
import subprocess
from collections import namedtuple

from . import cache_dir, path

# name     what every tool calls it
# release  the releases that it can be, as a regular expression (None: built here)
# image    the package that has the image and the modules; it is only unpacked
# headers  the package to build modules against
# flavour  debian, cloud or debug
# use      what it is here for
Row = namedtuple("Row", "name release image headers flavour use")

IMAGE = "linux-image-{}-unsigned"
HEADERS = "linux-headers-{}"

TABLE = (
    Row("6.1", r"6\.1\.0-[0-9]+-amd64", IMAGE, HEADERS, "debian",
        "the stable kernel of Debian 12: all tests, benchmark"),
    Row("6.1-cloud", r"6\.1\.0-[0-9]+-cloud-amd64", IMAGE, HEADERS, "cloud",
        "its configuration for cloud machines: builds (no 9p, so no VM)"),
    Row("6.12", r"6\.12\.[0-9]+\+deb12-amd64", IMAGE, HEADERS, "debian",
        "the kernel of bookworm-backports or -security: all tests, benchmark, demo"),
    Row("6.12-cloud", r"6\.12\.[0-9]+\+deb12-cloud-amd64", IMAGE, HEADERS,
        "cloud", "its configuration for cloud machines: builds (no 9p, so no VM)"),
    Row("debug", None, None, None, "debug",
        "6.12 with KASAN and lockdep (tools/debug-kernel): all tests"),
)

DEFAULT = "6.12"
NAMES = tuple(row.name for row in TABLE)

# kver     the release
# kdir     the tree to build external modules against
# vmlinuz  the image to boot
# moddir   its lib/modules/KVER directory
Kernel = namedtuple("Kernel", "name kver kdir vmlinuz moddir")


class KernelMissing(Exception):
    """There is no such kernel here; the text says what to do."""


def row(name):
    """The row of a name, or None: a full release has no row."""
    return next((r for r in TABLE if r.name == name), None)


def version_key(release):
    """Sort releases as sort -V does: numbers as numbers."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part)
            for part in re.findall(r"[0-9]+|[^0-9]+", release)]


def newest(pattern, releases):
    """The newest of the releases that match all of the pattern, or None."""
    matching = [r for r in releases if re.fullmatch(pattern, r)]
    return max(matching, key=version_key, default=None)


def unpacked():
    """The releases that are unpacked in the cache."""
    try:
        return os.listdir(os.path.join(cache_dir(), "kernels"))
    except FileNotFoundError:
        return []


def resolve(name):
    """The Kernel of a name of the table or of a full release."""
    entry = row(name)
    if entry and entry.flavour == "debug":
        return _resolve_debug(name)
    kver = newest(entry.release, unpacked()) if entry else name
    base = os.path.join(cache_dir(), "kernels", kver or "none")
    if not kver or not os.path.isfile(f"{base}/boot/vmlinuz-{kver}"):
        raise KernelMissing(f"kernel {name} is not in {cache_dir()}/kernels: "
                            "run tools/setup")
    return Kernel(name, kver, f"/usr/src/linux-headers-{kver}",
                  f"{base}/boot/vmlinuz-{kver}", f"{base}/lib/modules/{kver}")


def debug_dir():
    """Where the debug kernel is or would be: named by the hash of its inputs."""
    return subprocess.run([path("tools/debug-kernel/build"), "--print-dir"],
                          stdout=subprocess.PIPE, text=True,
                          check=True).stdout.strip()


def _resolve_debug(name):
    base = debug_dir()
    try:
        with open(f"{base}/complete", encoding="ascii") as f:
            kver = f.read().strip()
    except FileNotFoundError:
        raise KernelMissing("the debug kernel is not built: "
                            "run tools/debug-kernel/build") from None
    return Kernel(name, kver, f"{base}/build", f"{base}/boot/vmlinuz-{kver}",
                  f"{base}/lib/modules/{kver}")
