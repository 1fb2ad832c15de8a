# SPDX-License-Identifier: GPL-2.0
"""From the plugin's output and the guest's symbols to counts per function."""

import bisect
import collections
import pathlib
import subprocess

from groups import FOLDERS, GROUPS, classify

MEASURES = ("insns", "stac", "clac", "lfence", "lock", "rep")
# Farther than this behind the last symbol an address belongs to something
# that has none (code generated after the symbols were saved).
FARTHEST = 0x10000


def read_sections(path):
    """The sections of a plugin output file: one per counted part, in order."""
    sections = []
    section = None
    for line in open(path, encoding="ascii"):
        word, *rest = line.split()
        if word == "section":
            section = {"user": {}, "blocks": [], "insns": []}
        elif word == "user":
            section["user"][rest[0]] = int(rest[1])
        elif word == "block":
            section["blocks"].append((int(rest[0], 16), int(rest[1]), rest[2]))
        elif word == "insn":
            section["insns"].append((int(rest[0], 16), int(rest[1]), rest[2]))
        elif word == "end":
            sections.append(section)
    return sections


class Symbols:
    """Text symbols of /proc/kallsyms."""

    def __init__(self, path):
        found = {}
        for line in open(path, encoding="ascii", errors="replace"):
            fields = line.split()
            if fields[1] not in "tTwW" or fields[2].startswith("__pfx_"):
                continue
            module = fields[3].strip("[]") if len(fields) > 3 else ""
            # Of several names for one address the first one stays.
            found.setdefault(int(fields[0], 16), (fields[2], module))
        if len(found) < 1000:
            raise ValueError(f"{path} has no addresses: was it read as root?")
        self.addresses = sorted(found)
        self.names = [found[address] for address in self.addresses]

    def add(self, address, size, name, module):
        """Name generated code; what stood behind it is not continued."""
        for at, entry in ((address, (name, module)), (address + size, ("[no symbol]", ""))):
            i = bisect.bisect_left(self.addresses, at)
            if i < len(self.addresses) and self.addresses[i] == at:
                if at == address:
                    self.names[i] = entry
                continue
            self.addresses.insert(i, at)
            self.names.insert(i, entry)

    def find(self, address):
        """Name and module of the function, and the address where it ends."""
        i = bisect.bisect(self.addresses, address) - 1
        if i < 0 or address - self.addresses[i] > FARTHEST:
            return ("[no symbol]", ""), address + 1
        last = i + 1 == len(self.addresses)
        return self.names[i], address + FARTHEST if last else self.addresses[i + 1]


def read_folders(build):
    """Functions of the modules under test, by the folder that defines them."""
    folders = {}
    for folder, group in FOLDERS.items():
        for path in pathlib.Path(build).glob(f"**/{folder}/*.o"):
            names = subprocess.run(["nm", "--defined-only", path], check=True,
                                   capture_output=True, text=True).stdout
            for line in names.splitlines():
                _, kind, name = line.split()
                if kind in "tT":
                    folders.setdefault(name, group)
    return folders


def per_function(section, symbols):
    """Counts of each function: {(name, module): Counter}."""
    functions = collections.defaultdict(collections.Counter)
    for address, count, sizes in section["blocks"]:
        # Mostly a block lies in one function; where it does not, split it.
        start = 0
        function, end = symbols.find(address)
        for i, size in enumerate(sizes):
            if address >= end:
                functions[function]["insns"] += count * (i - start)
                function, end = symbols.find(address)
                start = i
            address += int(size, 16)
        functions[function]["insns"] += count * (len(sizes) - start)
    for address, count, kind in section["insns"]:
        functions[symbols.find(address)[0]][kind] += count
    return functions


def per_packet(section, symbols, folders, packets):
    """The measurement of one job, everything divided by its packets."""
    def scaled(counter):
        return {m: round(counter[m] / packets, 4) for m in MEASURES}

    total = collections.Counter()
    groups = {group: collections.Counter() for group in GROUPS}
    functions = []
    for (name, module), counter in per_function(section, symbols).items():
        group = classify(name, module, folders)
        total.update(counter)
        groups[group].update(counter)
        functions.append({"name": name, "module": module, "group": group} | scaled(counter))
    functions.sort(key=lambda f: (-f["insns"], f["name"]))
    return {
        "kernel_total": scaled(total),
        "user_total": scaled(collections.Counter(section["user"])),
        "groups": {group: scaled(counter) for group, counter in groups.items()},
        "functions": functions,
    }
