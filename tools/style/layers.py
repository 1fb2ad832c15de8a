# SPDX-License-Identifier: GPL-2.0
"""Who may include and call whom in vhost_mmu/, by the table in "layers"."""
import fnmatch
import os

import csource

FOLDER = "vhost_mmu"


class Rooms:
    """The table: rooms, their files, and what each may reach."""
    def __init__(self, name):
        self.rooms = []         # (room, patterns, reach)
        with open(name, encoding="utf-8") as f:
            for line in f:
                line = line.split("#")[0].strip()
                if line:
                    room, rest = line.split(":", 1)
                    files, reach = rest.split("->")
                    self.rooms.append((room, files.split(), set(reach.split())))

    def room(self, path):
        """The room of a file, or None."""
        name = os.path.relpath(path, FOLDER)
        return next((room for room, patterns, _ in self.rooms
                     if any(fnmatch.fnmatch(name, p) for p in patterns)), None)

    def reach(self, room):
        """What a room may reach."""
        return next(reach for name, _, reach in self.rooms if name == room)

    def may(self, path, header):
        """May a file include a header?"""
        room, other = self.room(path), self.room(header)
        return room == other or other in self.reach(room) or \
            os.path.relpath(header, FOLDER) in self.reach(room)


def check_includes(rooms, sources):
    """What is wrong with the includes."""
    edges = {}
    for path, source in sources.items():
        if not rooms.room(path):
            yield f"{path}: no room of tools/style/layers has this file"
            continue
        edges[path] = set()
        for line, header in source.includes():
            if not rooms.room(header):
                yield f"{path}:{line}: includes {header}, which is in no room"
            elif not rooms.may(path, header):
                yield (f"{path}:{line}: {rooms.room(path)} may not include "
                       f"{os.path.relpath(header, FOLDER)}")
            edges[path].add(header)
    for circle in csource.circles(edges):
        yield "these headers include one another: " + " ".join(circle)


def declared_in(sources):
    """The headers that declare each function."""
    found = {}
    for path, source in sources.items():
        if path.endswith(".h"):
            for prototype in source.prototypes():
                found.setdefault(prototype.name, []).append(path)
    return found


def check_calls(rooms, sources):
    """What is wrong with the calls: from a room into another, and circles.

    Among files only the .c count, each with the inline functions that it uses:
    what the linker would see, were all that is static left out.
    """
    calls, headers = csource.Calls(sources), declared_in(sources)
    files, by_room, why = {}, {}, {}
    for path, source in sources.items():
        room = rooms.room(path)
        if not room:
            continue
        for function in source.functions:
            for other in calls.callees(function, refs=not function.macro):
                if other.macro and other.name not in function.calls:
                    continue
                to = rooms.room(other.path)
                if to in (None, room):
                    continue
                by_room.setdefault(room, set()).add(to)
                why.setdefault((room, to), f"{function.name}() calls {other.name}()")
                if to not in rooms.reach(room) and \
                   not any(os.path.relpath(h, FOLDER) in rooms.reach(room)
                           for h in headers.get(other.name, [other.path])):
                    yield (f"{path}:{function.line}: {room} may not call "
                           f"{other.name}() of {other.path}")
            if path.endswith(".c"):
                for other in reached(calls, function):
                    if other.path != path:
                        files.setdefault(path, set()).add(other.path)
                        why.setdefault((path, other.path),
                                       f"{function.name}() calls {other.name}()")
    for kind, edges in (("files", files), ("rooms", by_room)):
        for circle in csource.circles(edges):
            yield f"these {kind} call one another: {' '.join(circle)}"
            for a in circle:
                for b in sorted(edges[a] & set(circle)):
                    yield f"    {a} -> {b}: {why[a, b]}"


def reached(calls, function, seen=None):
    """The functions of .c files that a function calls, itself or by inlines."""
    seen = set() if seen is None else seen
    for other in calls.callees(function, refs=True):
        if other in seen:
            continue
        seen.add(other)
        if other.path.endswith(".h"):
            reached(calls, other, seen)
    return {other for other in seen if other.path.endswith(".c")}


def check(top, table):
    """Every breach of the table, as a line of text."""
    sources, rooms = csource.tree(top, FOLDER), Rooms(table)
    return [*check_includes(rooms, sources), *check_calls(rooms, sources)]
