# SPDX-License-Identifier: GPL-2.0
"""A QEMU/KVM guest over vhostfd=, checked transfers while its memory is stirred."""

import glob
import hashlib
import json
import os
import re
import socket
import subprocess
import time

from demolib import (StepFailed, counters, has_counters, read_text, require, run, say, stop,
                     wait_for)

TAP = "demo0"
HOST_IP, GUEST_IP = "10.77.0.1", "10.77.0.2"
GUEST_MIB = 448
# Pause between two rounds of migration and page-out, in ms.
STIR_MS = 60


def add_swap():
    """Compressed RAM as swap space: page-out needs somewhere to go."""
    run("modprobe", "zram", "num_devices=1")
    with open("/sys/block/zram0/disksize", "w", encoding="ascii") as file:
        file.write("1G")
    run("mkswap", "/dev/zram0")
    run("swapon", "/dev/zram0")


def add_tap(tap=TAP, ip=HOST_IP):
    run("ip", "tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
    run("ip", "addr", "add", f"{ip}/24", "dev", tap)
    run("ip", "link", "set", tap, "up")


class Qmp:
    """Just enough of QEMU's monitor protocol to ask where the rings are."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise StepFailed("QEMU closed its monitor")
            answer = json.loads(line)
            if "error" in answer:
                raise StepFailed(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def ring_parts(self):
        """ADDRESS:BYTES, in QEMU's memory, of both queues' rings."""
        path = next(dev["path"] for dev in self.ask("x-query-virtio")
                    if dev["name"] == "virtio-net")
        parts = []
        for queue in 0, 1:
            vq = self.ask("x-query-virtio-vhost-queue-status", path=path, queue=queue)
            parts += [f"{vq['desc']}:{vq['desc-size']}", f"{vq['avail']}:{vq['avail-size']}",
                      f"{vq['used']}:{vq['used-size']}"]
        return parts


class Guest:
    """The QEMU process and what it says on its console; of several each has a name."""

    def __init__(self, dev, opt, append, tap=TAP, name="", mib=GUEST_MIB, extra=()):
        self.console_path = f"{opt.logs}/{name}guest-console.log"
        self.log_path = f"{opt.logs}/{name}qemu.log"
        self.qmp_path = f"/tmp/demo-{name}qmp"
        vhost = os.open(dev, os.O_RDWR)
        try:
            with open(self.log_path, "w", encoding="utf-8") as log:
                self.process = subprocess.Popen(
                    ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", f"{mib}M",
                     "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot",
                     "-kernel", opt.kernel, "-initrd", opt.initramfs,
                     "-append", f"console=ttyS0 quiet panic=-1 {append}",
                     "-serial", f"file:{self.console_path}",
                     "-qmp", f"unix:{self.qmp_path},server=on,wait=off",
                     "-netdev", f"tap,id=net0,ifname={tap},script=no,downscript=no,"
                                f"vhost=on,vhostfd={vhost}",
                     "-device", "virtio-net-pci,netdev=net0,romfile=", *extra],
                    pass_fds=[vhost], stdin=subprocess.DEVNULL, stdout=log,
                    stderr=subprocess.STDOUT)
        finally:
            os.close(vhost)

    def console(self):
        return read_text(self.console_path).replace("\r", "")

    def said(self, word, seconds):
        """Wait until the guest has said "demo: word [value]" and return the value."""
        def probe():
            text = self.console()
            failed = re.search(r"demo: failed (.*)", text)
            if failed:
                raise StepFailed(f"the guest failed: {failed.group(1)}")
            return re.search(rf"demo: {word}\b ?(.*)\n", text)
        try:
            return wait_for(f"the guest to say `{word}`", probe, seconds, self.process).group(1)
        except StepFailed as err:
            err.hint = (f"qemu said: {read_text(self.log_path).strip()[-300:] or 'nothing'}; "
                        "see guest-console.log and qemu.log")
            raise

    def ping(self, count):
        out = run("ping", "-q", "-i", "0.05", "-c", str(count), "-W", "5", GUEST_IP, check=False)
        got = re.search(r"(\d+) received", out)
        require(got and int(got.group(1)) == count, f"ping: {out.strip()[-200:]}",
                "packets are lost while the line is quiet: look at kicks and calls")


def write_random(path, mib):
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for _ in range(mib):
            block = os.urandom(1 << 20)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def digest_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def flip_a_byte(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def require_equal(what, sent, received, hint):
    require(sent == received,
            f"{what}: SHA-256 differs: sent {sent[:16]}.., received {received[:16]}..", hint)


def transfer(what, args, mib, path):
    """Run xfer, return MiB/s."""
    say(f"guest: {what} {mib} MiB by TCP")
    begin = time.monotonic()
    run(*args, timeout=200)
    seconds = time.monotonic() - begin
    size = os.path.getsize(path)
    require(size == mib << 20, f"{what}: {size} bytes instead of {mib << 20}")
    return round(mib / seconds, 1)


def check_counters(before, during, after):
    """The kernel path was used, taken away, came back, and is used again."""
    figures = {}
    for queue in "vq0", "vq1":
        for name, sample in ("before", before), ("during", during), ("after", after):
            require(queue in sample, f"no counters of {queue} {name} the transfers",
                    "is debugfs mounted, and does net-<pid of QEMU>-* exist there?")
        first, mid, last = before[queue], during[queue], after[queue]
        require(last.get("access") == "kernel", f"{queue} runs with access {last.get('access')}",
                "see /sys/module/vhost_mmu/parameters/metadata_access")
        grown = {name: last[name] - first[name] for name in
                 ("maps_installed", "maps_invalidated", "sections", "user_ops")}
        require(first["sections"] > 0, f"{queue}: no section entered before",
                "the fallback_* counters say why")
        require(grown["maps_invalidated"] > 0, f"{queue}: no ring map was invalidated",
                "did the ring pages move? see the stir figures")
        require(grown["maps_installed"] > 0, f"{queue}: no ring map came back")
        require(last["sections"] > mid["sections"],
                f"{queue}: no section entered after the stirring ended",
                "a map did not come back: see maps_refused and fallback_*")
        figures[queue] = grown | {"drain_wait_max_ns": last.get("drain_wait_max_ns")}
    return figures


def transfers(opt, guest, figures):
    """Both directions with digests compared; the caller stirs meanwhile."""
    down, up = "/tmp/demo-down", "/tmp/demo-up"
    sent = write_random(down, opt.mib)
    figures["to_guest_mib_s"] = transfer(
        "host to guest", (opt.xfer, "send", GUEST_IP, "5001", down), opt.mib, down)
    require_equal("host to guest", sent, guest.said("down-digest", 90),
                  "data was corrupted on the way to the guest (RX)")

    expected = guest.said("up-digest", 5)
    figures["from_guest_mib_s"] = transfer(
        "guest to host", (opt.xfer, "recv", "5002", up), opt.mib, up)
    if opt.corrupt:
        flip_a_byte(up)
    require_equal("guest to host", expected, digest_of(up),
                  "data was corrupted on the way from the guest (TX)")
    guest.said("sent", 10)
    figures["mib_each_way"] = opt.mib


def stir_figures(process):
    process.terminate()
    out, err = process.communicate(timeout=60)
    require(process.returncode == 0, f"stir failed: {err.strip()}",
            "it needs two NUMA nodes and swap space")
    figures = json.loads(out)
    require(figures["ring_migrated"] > 0, "no ring page was migrated",
            "are there two NUMA nodes with free memory?")
    require(figures["ring_swapped"] > 0 and figures["ram_pageout_kib"] > 0, "no ring page was ever seen in swap",
            "is there swap space?")
    return figures


def nested_guest(opt):
    figures = {}
    guest = stirrer = None
    require(len(glob.glob("/sys/devices/system/node/node[0-9]*")) >= 2,
            "the VM has one NUMA node", "boot it with --numa")
    add_swap()
    add_tap()
    try:
        begin = time.monotonic()
        say(f"guest: starting QEMU/KVM over {opt.dev}")
        guest = Guest(opt.dev, opt, f"demo.mib={opt.mib}")
        guest.said("ready", 120)
        guest.ping(20)
        figures["boot_s"] = round(time.monotonic() - begin, 1)
        say(f"guest: up and answering after {figures['boot_s']} s")

        rings = Qmp(guest.qmp_path).ring_parts()
        before = counters(guest.process.pid)
        say("guest: migrating and paging out its memory and ring pages from outside")
        stirrer = subprocess.Popen([opt.stir, str(guest.process.pid), str(STIR_MS), *rings],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        transfers(opt, guest, figures)
        figures["stir"] = stir_figures(stirrer)
        say("guest: SHA-256 equal both ways; "
            f"ring pages migrated {figures['stir']['ring_migrated']} times, "
            f"seen in swap {figures['stir']['ring_swapped']} times")

        during = counters(guest.process.pid)
        guest.ping(20)
        if has_counters(opt.dev):
            figures["counters"] = check_counters(before, during, counters(guest.process.pid))
        else:
            figures["counters"] = "skipped: stock vhost-net has none"
        run(opt.xfer, "send", GUEST_IP, "5003", "/dev/null")
        guest.process.wait(30)
        return figures
    finally:
        stop(stirrer)
        if guest:
            stop(guest.process)
        run("ip", "link", "del", TAP, check=False)
