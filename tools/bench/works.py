# SPDX-License-Identifier: GPL-2.0
"""What is measured, and on which devices."""

import dataclasses

# Name: which node, then the module parameters metadata_access and payload_access.
DEVICES = {
    "stock": ("stock", "-", "-"),
    "ours-kernel": ("ours", "kernel", "kernel"),
    "ours-copy": ("ours", "kernel", "user"),
    "ours-user": ("ours", "user", "user"),
    # For the sender alone.
    "none": ("none", "-", "-"),
}
# What --device may choose from.
CHOICES = tuple(DEVICES)[:-1]
QUICK_DEVICES = ("stock", "ours-kernel", "ours-user")
PAIR = ("stock", "ours-kernel")


@dataclasses.dataclass
class Work:
    """Options of vbench, how much of it, and on what."""
    options: str
    # Packets: one in so many of what was asked for.
    share: int = 1
    devices: tuple = CHOICES
    # Packets in the wall-clock part, times what was asked for; 0: not in it.
    wall: int = 0


# rx-burst takes away the scheduler's choice of when the worker may run.  More
# packets under way would make the slab allocator give pages back and forth.
WORKS = {
    "tx-drop": Work("--mode tx-drop", wall=2),
    "tx-stack": Work("--mode tx-stack", wall=2),
    "rx": Work("--mode rx", wall=1),
    "rx-burst": Work("--mode rx --fifo --window 64"),
}
MAIN = tuple(WORKS)

# The same by size: 64 bytes are there already.
CURVES = {"tx-drop": "TX, dropped by XDP", "rx-burst": "RX, sender included"}
SIZES = (128, 256, 512, 1024, 1500)
for base in CURVES:
    for size in SIZES:
        WORKS[f"{base}-{size}"] = Work(f"{WORKS[base].options} --size {size}", 5, PAIR)

WORKS |= {
    "tx-gso": Work("--mode tx-stack --gso", 20, PAIR),
    "tx-gso-indirect": Work("--mode tx-stack --gso --indirect", 20, PAIR),
    "rx-gso": Work("--mode rx --gso --fifo", 20, PAIR),
    "rx-burst-log": Work("--mode rx --fifo --window 64 --log", 1, PAIR),
    "tx-drop-log": Work("--mode tx-drop --log", 1, PAIR),
    "send": Work("--mode send", 1, ("none",)),
}


def curve(work):
    """The works of a curve with their sizes."""
    return [(64, work)] + [(size, f"{work}-{size}") for size in SIZES]
