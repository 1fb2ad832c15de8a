# SPDX-License-Identifier: GPL-2.0
"""clang-format with the kernel's own rules: how far are the sources from it?

The kernel's file knows the loops of the kernel; ours are added to a copy.
Blanks in preprocessor lines are not compared: the kernel puts the values of
its macros in a column, and the backslashes behind tabs, which clang-format
does not.  What else differs and is kept stands in clang-format.ignore.
"""
import difflib
import os
import re
import subprocess

TOOL = "clang-format-14"
LIMIT = 0.5     # per cent of the lines
LOOP = re.compile(r"^#\s*define\s+(\w*for_each\w*)\(", re.M)


def style(top, kernel, files):
    """The kernel's rules and the loops of some files."""
    with open(os.path.join(kernel, ".clang-format"), encoding="utf-8") as f:
        rules = f.read()
    texts = []
    for path in files:
        with open(os.path.join(top, path), encoding="utf-8") as f:
            texts.append(f.read())
    loops = sorted({name for text in texts for name in LOOP.findall(text)})
    ours = "".join(f"  - '{name}'\n" for name in loops)
    rules, found = re.subn(r"^ForEachMacros:\n", r"\g<0>" + ours, rules, flags=re.M)
    if found != 1:
        raise ValueError("the kernel's .clang-format has no ForEachMacros")
    return rules


def bare(line):
    """A line as it is compared."""
    if re.match(r"\s*#", line) or line.rstrip().endswith("\\"):
        return re.sub(r"\s+", " ", line).strip()
    return line


def exceptions(path):
    """(file pattern, text pattern, reason) of each line of the list.

    Fields are separated by tabs; the text is a regular expression that one of
    the lines of a difference must contain.
    """
    found = []
    with open(path, encoding="utf-8") as f:
        for nr, line in enumerate(f, 1):
            if not line.strip() or line.startswith("#"):
                continue
            fields = [field for field in line.rstrip("\n").split("\t") if field]
            if len(fields) != 3:
                raise ValueError(f"{path}:{nr}: not FILES, TEXT and REASON")
            found.append((re.compile(fields[0]), re.compile(fields[1]), fields[2]))
    return found


def differences(text, formatted):
    """(first line, lines of ours, lines of clang-format's) of each difference."""
    old, new = text.splitlines(), formatted.splitlines()
    match = difflib.SequenceMatcher(None, [bare(line) for line in old],
                                    [bare(line) for line in new], autojunk=False)
    for tag, i1, i2, j1, j2 in match.get_opcodes():
        if tag != "equal":
            yield i1 + 1, old[i1:i2], new[j1:j2]


def compare(top, rules, files, kept):
    """How files differ from what clang-format makes of them.

    Returns the differences that no exception names, how many lines they are, of
    how many, how many lines exceptions name, and which exceptions those are.
    """
    found, changed, lines, named, used = [], 0, 0, 0, set()
    for path in files:
        with open(os.path.join(top, path), encoding="utf-8") as f:
            text = f.read()
        formatted = subprocess.run([TOOL, f"--style=file:{rules}"], input=text,
                                   capture_output=True, text=True, check=True).stdout
        lines += text.count("\n")
        for first, old, new in differences(text, formatted):
            why = [i for i, (where, what, _) in enumerate(kept)
                   if where.fullmatch(path) and any(map(what.search, old + new))]
            if why:
                used.update(why)
                named += max(1, len(old))
            else:
                changed += max(1, len(old))
                found.append((path, first, old, new))
    return found, changed, lines, named, used


def fix(top, found):
    """Write what clang-format wants into the files, last difference first."""
    for path, first, old, new in reversed(found):
        name = os.path.join(top, path)
        with open(name, encoding="utf-8") as f:
            lines = f.read().split("\n")
        lines[first - 1:first - 1 + len(old)] = new
        with open(name, "w", encoding="utf-8") as f:
            f.write("\n".join(lines))
