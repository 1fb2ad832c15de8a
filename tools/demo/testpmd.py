# SPDX-License-Identifier: GPL-2.0
"""DPDK's testpmd over virtio-user path=: packets both ways, counted at both ends."""

import re
import signal
import socket
import subprocess
import time

from demolib import StepFailed, counters, has_counters, read_text, require, run, say, wait_for

TAP = "demo1"
HOST_IP, PMD_IP = "10.78.0.1", "10.78.0.2"
PMD_MAC = "02:00:00:00:78:02"
HUGE_PAGES = 128
FLOOD_FRAMES = 4000
PINGS = 200


def reserve_huge_pages(pages=HUGE_PAGES):
    with open("/proc/sys/vm/nr_hugepages", "w", encoding="ascii") as file:
        file.write(str(pages))
    with open("/proc/sys/vm/nr_hugepages", encoding="ascii") as file:
        got = int(file.read())
    require(got == pages, f"only {got} of {pages} huge pages", "give the VM more memory")


class Testpmd:
    """testpmd at its prompt; of several each has a tap of its own."""

    PROMPT = "testpmd> "

    def __init__(self, dev, logs, tap=TAP):
        self.log_path = f"{logs}/testpmd{'' if tap == TAP else '-' + tap}.log"
        self.seen = 0
        with open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                # Its results would otherwise arrive only when it ends.
                ["stdbuf", "-oL", "dpdk-testpmd", "-l", "0-1", "--no-pci", "--in-memory", "-m", "200",
                 f"--vdev=net_virtio_user0,path={dev},queues=1,queue_size=1024,"
                 f"iface={tap},mac={PMD_MAC}",
                 "--", "--interactive", "--total-num-mbufs=4096", "--txd=512", "--rxd=512"],
                stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True)
        try:
            self.answer(90)
        except StepFailed as err:
            self.end()
            err.hint = f"testpmd said: {read_text(self.log_path).strip()[-400:]}"
            raise

    def answer(self, seconds=30):
        """What testpmd prints up to its next prompt."""
        def probe():
            text = read_text(self.log_path)[self.seen:]
            return text if text.rstrip(" ").endswith(self.PROMPT.strip()) else None
        text = wait_for("testpmd's prompt", probe, seconds, self.process)
        self.seen += len(text)
        return text

    def tell(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.answer()

    def forward(self, mode, work):
        """Run work() while testpmd forwards; return testpmd's own statistics."""
        self.tell("clear port stats all")
        self.tell(f"set fwd {mode}")
        self.tell("start")
        work()
        self.tell("stop")
        out = self.tell("show port stats 0")
        got = re.search(r"RX-packets:\s*(\d+).*?TX-packets:\s*(\d+)", out, re.DOTALL)
        require(got, "no statistics from testpmd", f"it said: {out.strip()[-300:]}")
        return {"rx": int(got.group(1)), "tx": int(got.group(2))}

    def end(self):
        if self.process.poll() is not None:
            return
        try:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


def tap_counter(name, tap=TAP):
    return int(read_text(f"/sys/class/net/{tap}/statistics/{name}"))


def flood():
    """Frames of 64 bytes from a packet socket into the tap."""
    frame = bytes.fromhex(PMD_MAC.replace(":", "")) + b"\x02\0\0\0\x78\x01" + b"\x88\xb5"
    frame = frame.ljust(64, b"\x5a")
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((TAP, 0))
        for count in range(FLOOD_FRAMES):
            out.send(frame)
            # The tap drops what does not fit: let the other side have its turn.
            if count % 100 == 99:
                time.sleep(0.005)
    time.sleep(0.5)


def check_receive(pmd, figures):
    before = tap_counter("tx_packets")
    stats = pmd.forward("rxonly", flood)
    into_tap = tap_counter("tx_packets") - before
    require(stats["rx"] > 0, "testpmd received nothing", "RX of the device does not work")
    require(stats["rx"] >= 0.9 * into_tap,
            f"the tap handed out {into_tap} packets, testpmd received {stats['rx']}",
            "packets are lost between the tap and the ring")
    figures["rx_packets"] = stats["rx"]


def check_transmit(pmd, figures):
    before, begin = tap_counter("rx_packets"), time.monotonic()
    stats = pmd.forward("txonly", lambda: time.sleep(3))
    seconds = time.monotonic() - begin
    arrived = tap_counter("rx_packets") + tap_counter("rx_dropped") - before
    require(stats["tx"] > 0, "testpmd sent nothing", "TX of the device does not work")
    # What is still in the ring when forwarding stops may be missing.
    require(arrived >= stats["tx"] - 1024,
            f"testpmd sent {stats['tx']} packets, {arrived} reached the tap",
            "packets are lost between the ring and the tap")
    figures["tx_packets"] = stats["tx"]
    figures["tx_pps"] = round(stats["tx"] / seconds)


def check_echo(pmd, figures):
    """Pings answered by testpmd: contents checked by ping, both ways at once."""
    result = {}

    def ping():
        result["out"] = run("ping", "-q", "-i", "0.01", "-s", "1000", "-c", str(PINGS), "-W", "5",
                            PMD_IP, check=False)
    stats = pmd.forward("icmpecho", ping)
    out = result["out"]
    got = re.search(r"(\d+) received", out)
    require(got and int(got.group(1)) >= PINGS * 0.98 and "errors" not in out,
            f"ping through testpmd: {out.strip()[-200:]}", "see testpmd.log")
    require(stats["rx"] > 0 and stats["tx"] > 0, f"testpmd's own statistics: {stats}")
    figures["pings_echoed"] = int(got.group(1))


def check_counters(pid):
    queues = counters(pid)
    figures = {}
    for queue in "vq0", "vq1":
        require(queue in queues, f"no counters of {queue} of testpmd",
                "is debugfs mounted, and does net-<pid of testpmd>-* exist there?")
        sections = queues[queue].get("sections", 0)
        require(sections > 0, f"{queue}: no section entered",
                "the fallback_* counters say why")
        figures[queue] = {"sections": sections, "maps_installed": queues[queue]["maps_installed"]}
    return figures


def dpdk_testpmd(opt):
    figures = {}
    reserve_huge_pages()
    say(f"dpdk: starting testpmd over path={opt.dev}")
    pmd = Testpmd(opt.dev, opt.logs)
    try:
        run("ip", "addr", "add", f"{HOST_IP}/24", "dev", TAP)
        run("ip", "link", "set", TAP, "up")
        run("ip", "neigh", "replace", PMD_IP, "lladdr", PMD_MAC, "dev", TAP)
        say(f"dpdk: receiving a flood of {FLOOD_FRAMES} frames")
        check_receive(pmd, figures)
        say("dpdk: transmitting for 3 s")
        check_transmit(pmd, figures)
        say(f"dpdk: echoing {PINGS} pings of 1000 bytes")
        check_echo(pmd, figures)
        if has_counters(opt.dev):
            figures["counters"] = check_counters(pmd.process.pid)
        else:
            figures["counters"] = "skipped: stock vhost-net has none"
    finally:
        pmd.end()
    require(pmd.process.returncode == 0, f"testpmd ended with status {pmd.process.returncode}")
    return figures
