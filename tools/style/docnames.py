#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Do the names in the documents exist in the tree?

Read are the files called README and everything below Documentation/.  Of what they say
this is checked:

- function(): the name occurs in the code;
- struct name, and name::member in it;
- in literal text: constants, names with an underscore, files and folders;
- "file.c   function()" at the start of a line, as the ways in overview.rst have
  it, and ``function()`` (``file.c``): the function is defined in that file.

Every lock of the modules has to be in Documentation/locking.rst, as
struct::member.

A file may be named by the end of its path.  With --tree DIR the names are
looked up in another tree than this one.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# Comments and strings: names in them are no code.
NO_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)
FUNCTION = re.compile(r"\b([A-Za-z_]\w*)\(\)")
STRUCT = re.compile(r"\bstruct\s+([a-z]\w+)")
MEMBER = re.compile(r"\b([a-z]\w+)::(\w+)")
CONSTANT = re.compile(r"\b((?:VMMU|VMQ|VMDEV|VMNET|VHOST_MMU)_\w+)\b(?!\*)")
IDENTIFIER = re.compile(r"[a-z]\w*_\w+")
PATH = re.compile(r"[\w.*+-]+(?:/[\w.*+\[\]-]+)*/?")
STEP = re.compile(r"\s+([\w/]+\.[ch])\s+(\w+)\(\)")
DEFINED_IN = re.compile(r"``(\w+)\(\)``\s+\(``([\w/]+\.[ch])``\)")
SOURCE_NAME = re.compile(r"[\w*-]+\.(?:c|h|py|rst|cocci)")
LOCK = re.compile(r"^\t(?:struct mutex|struct rw_semaphore|struct srcu_struct|"
                  r"(?:raw_)?spinlock_t|rwlock_t|seqcount\w*_t|seqlock_t)\s+(\w+);", re.M)
STATIC_LOCK = re.compile(r"^(?:static )?DEFINE_(?:MUTEX|SPINLOCK|RWLOCK|S?RCU)\((\w+)\)", re.M)
LOCKING = "Documentation/locking.rst"
# Files of these names are made by a run, or are another project's.
NOT_OURS = frozenset(("rates.json", "vmlinux.h"))
# Functions of user space, what the text names as not used, and the kernel's own.
NOT_CODE = frozenset(("mmap", "vmap", "mm_count", "mm_users"))


class Tree:
    """The names that a source tree has."""
    def __init__(self, top):
        self.top = top
        listed = subprocess.run(["git", "-C", top, "ls-files", "-co", "--exclude-standard"],
                                check=True, stdout=subprocess.PIPE, text=True).stdout.split("\n")
        self.files = [f for f in listed if os.path.isfile(os.path.join(top, f))]
        self.folders = {part for f in self.files for part in parents(f)}
        self.code, self.words = {}, set()
        for path in self.files:
            if path.endswith((".json", ".png", "/docnames.py")) or is_document(path):
                continue
            with open(os.path.join(top, path), encoding="utf-8", errors="replace") as f:
                text = f.read()
            self.words.update(re.findall(r"\w+", text))
            if path.endswith((".c", ".h")):
                self.code[path] = NO_CODE.sub(" ", text)
        self.words.update(word for f in self.files for word in re.split(r"[/.]", f))
        self.identifiers = {name for path, code in self.code.items()
                            for name in re.findall(r"[A-Za-z_]\w*", code)}

    def has_path(self, name):
        """Is there a file or folder of this name, or one that ends with it?

        A program may be named without the end of its source's name.
        """
        name = name.rstrip("/")
        patterns = [name, "*/" + name, name + ".[ch]", "*/" + name + ".[ch]"]
        return any(fnmatch.fnmatchcase(f, pattern) for pattern in patterns
                   for f in [*self.files, *self.folders])

    def defines(self, path, name):
        """Is the function, or a macro, defined in the file?"""
        pattern = re.compile(rf"^#\s*define\s+{name}\b|"
                             rf"^(?:[A-Za-z_][\w \t*]*[\s*])?{name}\([^;{{]*?\{{", re.M)
        return any(pattern.search(code) for f, code in self.code.items()
                   if f == path or f.endswith("/" + path))

    def has_member(self, struct, member):
        """Has a struct of this name such a member?"""
        pattern = re.compile(rf"^struct {struct} \{{(.*?)^\}}", re.M | re.S)
        return any(re.search(rf"\b{member}\b", body) for code in self.code.values()
                   for body in pattern.findall(code))


    def locks(self):
        """The locks of the modules."""
        for path, code in self.code.items():
            if not path.startswith("vhost_mmu/"):
                continue
            for struct, body in re.findall(r"^struct (\w+) \{(.*?)^\}", code, re.M | re.S):
                yield from (f"{struct}::{member}" for member in LOCK.findall(body))
            yield from STATIC_LOCK.findall(code)


def parents(path):
    """The folders that a file lies in."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]


def is_document(path):
    """Is this one of the files that are checked?"""
    return path.startswith("Documentation/") or os.path.basename(path) in ("README", "README.md")


def literals(line, path):
    """What stands in literal text: all of an indented line in a .rst file."""
    if path.endswith(".rst"):
        return re.findall(r"``([^`]+)``", line)
    return re.findall(r"`([^`]+)`", line)


def path_wrong(tree, word):
    """Is the word a file or folder of ours, and not there?"""
    word = word.rstrip(".,:;")
    if word in NOT_OURS or not PATH.fullmatch(word):
        return False
    head = word.split("/")[0]
    ours = SOURCE_NAME.fullmatch(os.path.basename(word)) or \
        ("/" in word and head in {f.split("/")[0] for f in tree.files if "/" in f})
    return bool(ours) and not tree.has_path(word)


def check_names(tree, line):
    """Names that are told by their form, in literal text or not."""
    for name in FUNCTION.findall(line):
        if name not in tree.identifiers and name not in NOT_CODE:
            yield f"no function {name}()"
    for name in STRUCT.findall(line):
        if name not in tree.identifiers:
            yield f"no struct {name}"
    for struct, member in MEMBER.findall(line):
        if not tree.has_member(struct, member):
            yield f"no {struct}::{member}"
    for name in CONSTANT.findall(line):
        if name not in tree.words:
            yield f"no {name}"
    for name, path in DEFINED_IN.findall(line):
        if not tree.defines(path, name):
            yield f"{name}() is not defined in {path}"
    step = STEP.match(line)
    if step:
        if not tree.has_path(step.group(1)):
            yield f"no file {step.group(1)}"
        elif not tree.defines(step.group(1), step.group(2)):
            yield f"{step.group(2)}() is not defined in {step.group(1)}"


def check_literals(tree, line, path):
    """Names in literal text."""
    for text in literals(line, path):
        for word in text.split():
            if path_wrong(tree, word):
                yield f"no file {word}"
        if IDENTIFIER.fullmatch(text) and not (text in tree.words or text in NOT_CODE or
                                               tree.has_path(text)):
            yield f"no {text} anywhere"


def check_line(tree, line, path):
    """The findings in one line."""
    return [*check_names(tree, line), *check_literals(tree, line, path)]


def check(tree, top, path):
    """The findings in one document."""
    with open(os.path.join(top, path), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            for what in check_line(tree, line, path):
                yield f"{path}:{number}: {what}"


def check_locks(tree, top):
    """The locks that the document about them does not name."""
    with open(os.path.join(top, LOCKING), encoding="utf-8") as f:
        text = f.read()
    for lock in tree.locks():
        if not re.search(rf"\b{lock}\b", text):
            yield f"{LOCKING}: {lock} is not there"


def self_test(tree):
    """Would a wrong name be found?  Lines with one wrong name, and without."""
    wrong = ("calls vmmu_no_such_thing()", "a struct vmmu_nosuch", "``vmq::no_such_lock``",
             "VMMU_NO_SUCH", "``vmmu_nosuch``", "``mmu/nosuch.c``", "``tools/nosuch``",
             "  dev/poll.c   worker_run()   of another file", "  dev/nosuch.c   worker_run()",
             "``worker_run()`` (``dev/poll.c``)", "``some_counter_that_is_not``")
    right = ("calls vmdev_work_queue()", "a struct vmdev_work", "``vmq::mutex``", "VMMU_POPULATE",
             "``vmdev_work_queue``", "``dev/poll.c``", "``tools/vm``", "``selftests/abi*``",
             "  dev/worker.c   worker_run()   of this file", "``worker_run()`` (``dev/worker.c``)",
             "``payload_off``", "``make check``", "``VMMU_PTE_*``")
    for line in wrong:
        if len(check_line(tree, line, "Documentation/x.rst")) != 1:
            yield f"self-test: not found, or more than once: {line}"
    for line in right:
        yield from (f"self-test: {what}: {line}"
                    for what in check_line(tree, line, "Documentation/x.rst"))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0],
                                epilog=__doc__.split("\n\n", 1)[1],
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--tree", default=TOP, metavar="DIR", help="look the names up there")
    p.add_argument("files", nargs="*", help="documents, relative to the top; all of them")
    args = p.parse_args()

    tree = Tree(args.tree)
    files = args.files or [f for f in Tree(TOP).files if is_document(f)]
    found = [what for path in files for what in check(tree, TOP, path)]
    found += self_test(tree)
    if LOCKING in files:
        found += check_locks(tree, TOP)
    print("\n".join(found + [f"{len(files)} documents, {len(found)} findings"]))
    return 1 if found or not files else 0


if __name__ == "__main__":
    sys.exit(main())
