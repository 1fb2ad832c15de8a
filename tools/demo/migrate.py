# SPDX-License-Identifier: GPL-2.0
"""Live migration of a QEMU/KVM guest under traffic, its memory compared afterwards."""

import hashlib
import mmap
import os
import struct
import subprocess
import threading
import time

from demolib import StepFailed, counters, has_counters, require, run, say, stop, wait_for
from nested import GUEST_IP, HOST_IP, Guest, Qmp

BRIDGE = "demobr"
TAPS = ("demo0", "demo1")
STOCK = "/dev/vhost-net"
RAM_MIB = 256
# A kernel that clears each page before it receives into it writes it itself, and
# hides what the device has not logged.
APPEND = "demo.stream init_on_alloc=0"
URI = "unix:/tmp/demo-migration"
# Slow enough for the guest's memory to be sent faster than it is written.
BYTES_PER_S = 4 << 20
BLOCK = 1 << 18
# Bytes that have to arrive each way between two migrations.
PROGRESS = 2 << 20
SECONDS = 120


class Pace:
    """So many bytes a second and no more."""

    def __init__(self):
        self.due = time.monotonic()

    def spend(self, size):
        self.due = max(self.due, time.monotonic() - 1) + size / BYTES_PER_S
        time.sleep(max(0, self.due - time.monotonic()))


class Stream:
    """One direction of the traffic: xfer with a pipe in the place of a file."""

    def __init__(self, name, args):
        self.path = f"/tmp/demo-{name}"
        self.bytes = 0
        self.digest = hashlib.sha256()
        os.mkfifo(self.path)
        self.xfer = subprocess.Popen([*args, self.path], stdout=subprocess.DEVNULL)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def count(self, data):
        self.digest.update(data)
        self.bytes += len(data)

    def carry(self):
        raise NotImplementedError

    def finish(self):
        """To the end of the stream, by both ends."""
        self.thread.join(SECONDS)
        require(not self.thread.is_alive(), f"{self.path}: the stream does not end",
                "a packet or a wake-up was lost on the way")
        require(self.xfer.wait(SECONDS) == 0, f"{self.path}: xfer failed")
        return self.digest.hexdigest()

    def close(self):
        stop(self.xfer)
        os.unlink(self.path)


class ToGuest(Stream):
    """Numbered random blocks, until told to end."""

    def __init__(self, opt):
        self.end = threading.Event()
        super().__init__("to-guest", [opt.xfer, "send", GUEST_IP, "5001"])

    def carry(self):
        pace, rest, number = Pace(), os.urandom(BLOCK - 8), 0
        with open(self.path, "wb", buffering=0) as file:
            while not self.end.is_set():
                block = struct.pack("<Q", number) + rest
                number += 1
                try:
                    file.write(block)
                except BrokenPipeError:
                    # finish() says that xfer has failed.
                    return
                self.count(block)
                pace.spend(len(block))


class FromGuest(Stream):
    """Whatever the guest sends, as slowly as it is read."""

    def __init__(self, opt):
        super().__init__("from-guest", [opt.xfer, "recv", "5002"])

    def carry(self):
        pace = Pace()
        with open(self.path, "rb", buffering=0) as file:
            while block := file.read(BLOCK):
                self.count(block)
                pace.spend(len(block))


class Machine(Guest):
    """A guest whose memory is a file, that runs or waits for a migration."""

    def __init__(self, number, dev, opt, source=None):
        self.dev = dev
        self.tap = TAPS[0] if source is None or source.tap == TAPS[1] else TAPS[1]
        self.ram = f"/dev/shm/demo-ram{number}"
        # A guest that knows of KVM has its wall clock written anew when it arrives.
        extra = ["-cpu", "host,kvm=off", "-object", f"memory-backend-file,id=ram,size={RAM_MIB}M,mem-path={self.ram},"
                            "share=on", "-machine", "memory-backend=ram"]
        if source is not None:
            # It stays stopped when it has arrived: nobody writes its memory then.
            extra += ["-incoming", URI, "-S"]
        super().__init__(dev, opt, APPEND, tap=self.tap, name=f"m{number}-", mib=RAM_MIB,
                         extra=extra)
        wait_for("QEMU's monitor", lambda: os.path.exists(self.qmp_path), 30, self.process)
        self.qmp = Qmp(self.qmp_path)

    def close(self):
        stop(self.process)
        for path in self.ram, self.qmp_path:
            if os.path.exists(path):
                os.unlink(path)


def status(machine):
    return machine.qmp.ask("query-migrate")


def begin(source, bytes_per_s):
    source.qmp.ask("migrate-set-parameters", **{"max-bandwidth": bytes_per_s,
                                                "downtime-limit": 500})
    source.qmp.ask("migrate", uri=URI)


def ended(source):
    state = status(source)
    if state.get("status") == "failed":
        raise StepFailed(f"QEMU: {state.get('error-desc', 'the migration failed')}",
                         "see the qemu.log of both")
    return state if state.get("status") in ("completed", "cancelled") else None


def differing_pages(first, second):
    """Numbers of the pages in which two files differ."""
    page = mmap.PAGESIZE
    with open(first, "rb") as a, open(second, "rb") as b, \
         mmap.mmap(a.fileno(), 0, access=mmap.ACCESS_READ) as x, \
         mmap.mmap(b.fileno(), 0, access=mmap.ACCESS_READ) as y:
        require(len(x) == len(y), f"{first} and {second} differ in length")
        step = 256 * page
        return [at // page for chunk in range(0, len(x), step)
                if x[chunk:chunk + step] != y[chunk:chunk + step]
                for at in range(chunk, min(chunk + step, len(x)), page)
                if x[at:at + page] != y[at:at + page]]


def check_log(source):
    """The device has used its dirty log, by kernel address."""
    if not has_counters(source.dev):
        return 0
    queue = counters(source.process.pid).get("vq0", {})
    require(queue.get("log_kernel", 0) > 0, "the device has logged nothing",
            "did QEMU set VHOST_F_LOG_ALL? see log_* in debugfs")
    return queue["log_kernel"]


def flowing(streams, what):
    """Traffic goes on both ways."""
    before = [stream.bytes for stream in streams]
    wait_for(f"traffic {what}", lambda: all(
        stream.bytes - old > PROGRESS for stream, old in zip(streams, before)), SECONDS)


def hop(source, target, opt):
    """Migrate; the source is gone then and the target runs.  Pages compared, and logged."""
    begin_time = time.monotonic()
    begin(source, 1 << 30)
    state = wait_for("the migration", lambda: ended(source), SECONDS, target.process)
    wait_for("the target", lambda: target.qmp.ask("query-status")["status"] != "inmigrate", 30)
    logged = check_log(source)
    if opt.corrupt:
        with open(target.ram, "r+b") as file:
            file.seek(RAM_MIB << 19)
            file.write(b"\xa5\x5a\xa5\x5a")
    bad = differing_pages(source.ram, target.ram)
    require(not bad, f"{len(bad)} of {RAM_MIB << 8} pages differ after the migration from "
                     f"{source.dev} to {target.dev}, the first at {bad[:1]}",
            "a page was written and has no bit in the dirty log")
    source.close()
    target.qmp.ask("cont")
    say(f"migrate: {source.dev} to {target.dev} in {time.monotonic() - begin_time:.1f} s, "
        f"{state['ram']['dirty-sync-count']} rounds; all {RAM_MIB << 8} pages equal")
    return logged


def cancelled(source, target):
    """A migration that is given up: the log is turned on and off again."""
    begin(source, 1 << 20)
    time.sleep(2)
    source.qmp.ask("migrate_cancel")
    wait_for("the end of the migration", lambda: ended(source), SECONDS, source.process)
    target.close()
    say("migrate: given up half-way; the guest runs on")


def set_up():
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", f"{HOST_IP}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    for tap in TAPS:
        run("ip", "tuntap", "add", "dev", tap, "mode", "tap", "vnet_hdr")
        run("ip", "link", "set", tap, "master", BRIDGE, "up")


def clean_up(machines, streams):
    for part in machines + streams:
        part.close()
    for link in *TAPS, BRIDGE:
        run("ip", "link", "del", link, check=False)


def migration(opt):
    """There and back, given up once, to stock vhost-net and back."""
    route = [opt.dev, opt.dev, None, opt.dev, STOCK, opt.dev]
    figures = {"migrations": 0, "given_up": 0, "bits_logged": 0}
    streams, machines = [], []
    set_up()
    try:
        here = Machine(0, route[0], opt)
        machines.append(here)
        say(f"migrate: a guest of {RAM_MIB} MiB over {here.dev}, sending and receiving")
        here.said("ready", SECONDS)
        streams += [FromGuest(opt), ToGuest(opt)]
        flowing(streams, "before the migrations")
        for number, dev in enumerate(route[1:], 1):
            there = Machine(number, dev or opt.dev, opt, here)
            machines.append(there)
            if dev:
                figures["bits_logged"] += hop(here, there, opt)
                figures["migrations"] += 1
                machines.remove(here)
                here = there
            else:
                cancelled(here, there)
                figures["given_up"] += 1
                machines.remove(there)
            flowing(streams, f"over {here.dev}")
        streams[1].end.set()
        sent, received = streams[1].finish(), streams[0].finish()
        require(here.said("in-digest", SECONDS) == sent,
                "host to guest: SHA-256 differs", "a TCP stream broke on the way")
        require(here.said("out-digest", SECONDS) == received,
                "guest to host: SHA-256 differs", "a TCP stream broke on the way")
        figures["to_guest_mib"] = streams[1].bytes >> 20
        figures["from_guest_mib"] = streams[0].bytes >> 20
        return figures
    finally:
        clean_up(machines, streams)
