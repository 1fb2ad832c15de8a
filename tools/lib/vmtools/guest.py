# SPDX-License-Identifier: GPL-2.0
"""What a VM boots with: its modules and its initramfs."""
import contextlib
import fcntl
import glob
import os
import shutil
import subprocess
import tempfile

from . import path

# What leads to the root file system.
BOOT_MODULES = ("virtio_pci", "9p", "9pnet_virtio", "overlay")
APPLETS = ("sh", "mount", "mkdir", "insmod", "cat", "reboot", "switch_root")
UNPACK = {".xz": ["xz", "-dc"], ".zst": ["zstd", "-qdc"], ".gz": ["gzip", "-dc"]}


@contextlib.contextmanager
def locked(name):
    """Hold a lock file, which other runners wait for."""
    with open(name, "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _output(argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def _depmod(root, kver):
    subprocess.run(["depmod", "-b", root, kver], check=True)


def _root(moddir):
    """The directory that has lib/modules/RELEASE."""
    return os.path.dirname(os.path.dirname(os.path.dirname(moddir)))


def _key(kernel, ours):
    """Changes when the index of modules has to be made again."""
    key = []
    for name in (kernel.moddir, f"{kernel.moddir}/modules.dep.bin"):
        stat = os.stat(name)
        key.append(f"{name} {stat.st_ino} {stat.st_mtime_ns}")
    for module in ours:
        key.append(module)
        for what in ("name", "depends", "alias"):
            key.append(_output(["modinfo", "-F", what, module]))
    return "\n".join(key)


def _stage(kernel, ours, stage, out):
    shutil.rmtree(f"{stage}/lib", ignore_errors=True)
    os.makedirs(out)
    os.symlink(f"{kernel.moddir}/kernel", f"{out}/kernel")
    os.symlink(kernel.kdir, f"{out}/build")
    if not ours:
        for name in glob.glob(f"{glob.escape(kernel.moddir)}/modules.*"):
            shutil.copy(name, out)
        return
    for name in ("order", "builtin", "builtin.modinfo"):
        shutil.copy(f"{kernel.moddir}/modules.{name}", out)
    os.mkdir(f"{out}/extra")
    for module in ours:
        os.symlink(module, f"{out}/extra/{os.path.basename(module)}")
    _depmod(stage, kernel.kver)


def modules(kernel):
    """A directory to mount at /lib/modules/RELEASE: the modules of the kernel
    as links, those of this project in extra/, and an index of both.  The index
    is made again only when the modules of the project change what they depend
    on or what they are called by, because that takes seconds."""
    stage = path("build/vm", kernel.kver)
    out = f"{stage}/lib/modules/{kernel.kver}"
    os.makedirs(stage, exist_ok=True)
    with locked(f"{stage}/lock"):
        # A kernel fresh from its package has no index.
        if not os.path.exists(f"{kernel.moddir}/modules.dep.bin"):
            _depmod(_root(kernel.moddir), kernel.kver)
        ours = sorted(glob.glob(glob.escape(path("build", kernel.kver)) + "/*.ko"))
        key = _key(kernel, ours)
        try:
            with open(f"{stage}/key", encoding="utf-8") as f:
                fresh = f.read() == key
        except FileNotFoundError:
            fresh = False
        if not fresh:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{stage}/key")
            _stage(kernel, ours, stage, out)
            with open(f"{stage}/key", "w", encoding="utf-8") as f:
                f.write(key)
    return out


def _boot_modules(kernel):
    """The files of the drivers, in the order to load them.  One that is built
    in is reported as "builtin" and needs no file."""
    files = []
    for name in BOOT_MODULES:
        shown = _output(["modprobe", "-d", _root(kernel.moddir), "-S",
                         kernel.kver, "--show-depends", name])
        for line in shown.splitlines():
            word, _, file = line.strip().partition(" ")
            file = file.strip()
            if word == "insmod" and file not in files:
                files.append(file)
    return files


def _unpack(file, folder):
    """Copy a module, unpacked: busybox cannot.  Return its name there."""
    name, ending = os.path.splitext(os.path.basename(file))
    if ending not in UNPACK:
        return os.path.basename(shutil.copy(file, folder))
    with open(f"{folder}/{name}", "wb") as f:
        subprocess.run(UNPACK[ending] + [file], stdout=f, check=True)
    return name


def initramfs(kernel, run, output):
    """Pack busybox, tools/vm/init, the modules that lead to the root file
    system, and the path "run" of the folder that has the rest."""
    with tempfile.TemporaryDirectory(prefix="vhost-mmu-initramfs-") as top:
        for name in ("bin", "dev", "modules", "proc", "ro", "root", "rw", "sys"):
            os.mkdir(f"{top}/{name}")
        shutil.copy("/usr/bin/busybox", f"{top}/bin/busybox")
        for applet in APPLETS:
            os.symlink("busybox", f"{top}/bin/{applet}")
        shutil.copy(path("tools/vm/init"), f"{top}/init")
        os.chmod(f"{top}/init", 0o755)
        with open(f"{top}/modules/list", "w", encoding="ascii") as f:
            for file in _boot_modules(kernel):
                f.write(_unpack(file, f"{top}/modules") + "\n")
        with open(f"{top}/vmrun", "w", encoding="utf-8") as f:
            f.write(run + "\n")
        names = "\0".join(os.path.relpath(os.path.join(folder, name), top)
                          for folder, dirs, files in os.walk(top)
                          for name in sorted(dirs + files))
        with open(output, "wb") as f:
            subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc",
                            "-R", "0:0"], cwd=top, input=names.encode(),
                           stdout=f, check=True)
