# SPDX-License-Identifier: GPL-2.0
"""Real drivers: a QEMU/KVM guest's and DPDK's, on both devices in turn."""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
sys.path += [str(TOP / "tools/lib"), str(TOP / "tools/demo")]

# pylint: disable=wrong-import-position
import guestfs  # noqa: E402
from vmtools import kernels  # noqa: E402

# What the figures are: a rate, of which more is better, or a time.
WORKS = {
    "iperf-to-guest": "rate", "iperf-from-guest": "rate", "ping": "time",
    "testpmd-tx": "rate", "testpmd-rx": "rate",
}


class Failed(Exception):
    """A VM run failed; says what to look at."""


def pack(initramfs):
    """Pack the initramfs of the guest inside; returns its kernel."""
    iperf3 = shutil.which("iperf3")
    if not iperf3:
        raise Failed("no iperf3: run tools/setup")
    try:
        guest = guestfs.guest_kernel()
        guestfs.pack(guest, HERE / "guest-init", [iperf3], initramfs)
    except (guestfs.Failed, kernels.KernelMissing, OSError,
            subprocess.CalledProcessError) as error:
        raise Failed(f"the guest's initramfs cannot be packed: {error}") from None
    return guest


def measure(args, out, kernel, result):
    """One VM on one kernel."""
    print(f"-- guests and testpmd on {kernel}: one VM, {args.pairs} pairs of each", flush=True)
    raw = out / "raw" / f"net-{kernel}"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    initramfs = out / "initramfs"
    guest = pack(initramfs)
    status = subprocess.run(
        [TOP / "tools/vm/run", "--kernel", kernel, "--smp", "2", "--timeout", "900",
         "--share", raw, "--log", raw / "console", "--",
         HERE / "inside-net", "--out", raw, "--kernel", guest.vmlinuz,
         "--initramfs", initramfs, "--pairs", str(max(args.pairs, 1)),
         "--seconds", "1"],
        check=False, stdin=subprocess.DEVNULL).returncode
    if status:
        raise Failed(f"the VM run on {kernel} ended with status {status}; see {raw}")
    found = json.loads((raw / "net.json").read_text())
    result.setdefault("net", [])
    if "skip" in found:
        result["skipped"].append({"kernel": kernel, "device": "ours-kernel (net)",
                                  "reason": found["skip"]})
        return
    load = {"host_load": os.getloadavg()[0], "host_cpus": os.cpu_count()}
    for part in "guests", "testpmd":
        for work, pairs in found[part].items():
            result["net"].append({
                "kernel": kernel, "release": found["release"], "work": work,
                "device": "ours-kernel", "figure": WORKS[work], "pairs": pairs,
                "ratios": [round(ours / stock, 4) for stock, ours in pairs],
                "queues": found[f"{part}_queues"]} | load)


def payload(queues):
    """How the device says that packets went."""
    said = [f"{name} {values['payload_kernel']} of "
            f"{values['payload_kernel'] + values['payload_user']}"
            for name, values in sorted(queues.items()) if "payload_kernel" in values]
    return f"   by kernel address: {', '.join(said)}" if said else ""


def print_all(result):
    """Ratios alone: times of an emulator mean nothing."""
    if not result.get("net"):
        return
    print("\n== guests and testpmd, two virtual CPUs: ours by stock, median of pairs ==")
    busy = [w["host_load"] for w in result["net"] if w["host_load"] > 2.5 * w["host_cpus"]]
    if busy:
        print(f"The host was busy (load {max(busy):.1f}): these ratios mean little.")
    for w in result["net"]:
        print(f"{w['kernel']:11}{w['work']:18}{w['figure']:6}{statistics.median(w['ratios']):6.2f}"
              f"   {min(w['ratios']):.2f} .. {max(w['ratios']):.2f}   {len(w['ratios'])} pairs"
              f"{payload(w['queues'])}")


def check(result, goals, outcome):
    """Print each goal's outcome; return how many are missed."""
    rows = {(w["kernel"], w["work"]): statistics.median(w["ratios"]) for w in result.get("net", [])}
    missed = 0
    for kernel in sorted({kernel for kernel, _ in rows}) or ["net"]:
        for goal in goals:
            for work in goal["work"] if isinstance(goal["work"], list) else [goal["work"]]:
                least = "min" in goal
                missed += outcome(f"{kernel} {work} ours by stock", rows.get((kernel, work)),
                                  goal["min" if least else "max"], least=least)
    return missed
