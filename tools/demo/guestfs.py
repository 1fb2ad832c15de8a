# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a guest inside the VM: busybox, an init, network drivers."""
import os
import re
import shutil
import subprocess
import tempfile

from vmtools import kernels

# Debian's small kernels for cloud machines, the newer one first.
GUEST_KERNELS = ("6.12-cloud", "6.1-cloud")
MODULES = ("failover", "net_failover", "virtio_net")
UNPACK = {".ko.xz": ["xz", "-dc"], ".ko.zst": ["zstd", "-qdc"]}


class Failed(Exception):
    """The initramfs cannot be packed; says why."""


def guest_kernel():
    """The kernel for a guest; raises vmtools.kernels.KernelMissing."""
    for name in GUEST_KERNELS[:-1]:
        try:
            return kernels.resolve(name)
        except kernels.KernelMissing:
            pass
    return kernels.resolve(GUEST_KERNELS[-1])


def _module(moddir, name, folder):
    """Copy a module, unpacked: busybox cannot."""
    for where, _, files in os.walk(moddir):
        for file in files:
            stem, dot, ending = file.partition(".")
            if stem != name or dot + ending not in (".ko", *UNPACK):
                continue
            source = os.path.join(where, file)
            if ending == "ko":
                shutil.copy(source, folder)
            else:
                with open(f"{folder}/{name}.ko", "wb") as f:
                    subprocess.run([*UNPACK["." + ending], source], stdout=f, check=True)
            return
    raise Failed(f"no module {name} below {moddir}: run tools/setup")


def _libraries(program):
    """The shared libraries of a program, none if it has none."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+)", said.stdout) if said.returncode == 0 else []


def pack(kernel, init, programs, output):
    """Pack init, busybox and programs, each with its libraries, for a kernel."""
    with tempfile.TemporaryDirectory(prefix="vhost-mmu-guest-") as root:
        os.makedirs(f"{root}/bin")
        os.makedirs(f"{root}/lib")
        for program in ("/bin/busybox", *programs):
            shutil.copy(program, f"{root}/bin/")
            for library in _libraries(program):
                os.makedirs(root + os.path.dirname(library), exist_ok=True)
                shutil.copy(library, root + library)
        shutil.copy(init, f"{root}/init")
        os.chmod(f"{root}/init", 0o755)
        for name in MODULES:
            _module(kernel.moddir, name, f"{root}/lib")
        names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True)
        with open(f"{output}.tmp", "wb") as f:
            subprocess.run(["busybox", "cpio", "-o", "-H", "newc"], cwd=root,
                           input=names.stdout, stdout=f, stderr=subprocess.DEVNULL,
                           check=True)
    os.replace(f"{output}.tmp", output)
