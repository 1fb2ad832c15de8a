# SPDX-License-Identifier: GPL-2.0
"""What the gates and tools/structure know of C: enough for kernel style.

A function begins with a "{" in the first column and ends with a "}" there.
Comments are told from code, kernel-doc from other comments, and a call is a
name before a parenthesis.  Nothing is preprocessed: both branches of an #ifdef
are read, and a macro counts as a function that calls what stands in it.
"""
import os
import re

# A comment, a string, a character: what is no code.
NO_CODE = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'",
                     re.S)
NAME = re.compile(r"\b([A-Za-z_]\w*)\b")
CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
# Before the name of a function there may be these, with arguments of their own.
ATTRIBUTE = re.compile(r"__(?:printf|acquires|releases|must_hold|aligned|section|"
                       r"attribute__|counted_by|cond_acquires)\s*"
                       r"\((?:[^()]|\([^()]*\))*\)")
KEYWORDS = frozenset("if for while switch return sizeof typeof defined do else case "
                     "struct union enum typedef __typeof__ _Static_assert "
                     "static_assert".split())


class Function:
    """A function or, if macro, a macro with a body.

    path and line say where; lines counts the body's lines; refs are the names
    in the body, calls those before a parenthesis.
    """
    def __init__(self, path, line, name, head, body, macro=False):
        self.path, self.line, self.name = path, line, name
        self.head, self.body, self.macro = head, body, macro
        self.static = re.search(r"\bstatic\b", head) is not None
        self.lines = body.count("\n") - 1
        self.calls = set(CALL.findall(body)) - KEYWORDS
        self.refs = set(NAME.findall(body)) - KEYWORDS


class Prototype:
    """A declaration of a function, and the label above it in its header."""
    def __init__(self, path, line, name, label):
        self.path, self.line, self.name, self.label = path, line, name, label


def blank(match):
    """Blanks in its place, line by line; a string or a character keeps its ends."""
    text = match.group()
    spaces = re.sub(r"[^\n]", " ", text)
    return spaces if text[0] == "/" else text[0] + spaces[1:-1] + text[0]


class Source:
    """One .c or .h file; path is relative to top."""
    def __init__(self, top, path):
        self.path = path
        with open(os.path.join(top, path), encoding="utf-8") as f:
            self.text = f.read()
        self.lines = self.text.splitlines()
        self.code = NO_CODE.sub(blank, self.text)
        self.comments = [(m.start(), m.group()) for m in NO_CODE.finditer(self.text)
                         if m.group().startswith("/")]
        self.functions = self._functions() + self._macros()
        self.docs = self._docs()

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def _functions(self):
        lines, found = self.code.splitlines(), []
        for at, text in enumerate(lines):
            if text.rstrip() != "{":
                continue
            first = at
            while first > 0 and lines[first - 1].strip() and \
                    not lines[first - 1].startswith(("#", "}")) and \
                    not lines[first - 1].rstrip().endswith((";", "\\")):
                first -= 1
            head = ATTRIBUTE.sub("", "\n".join(lines[first:at]))
            name = CALL.search(head)
            last = next((i for i in range(at, len(lines))
                         if lines[i].startswith("}")), None)
            if name and last is not None:
                found.append(Function(self.path, first + 1, name.group(1), head,
                                      "\n".join(lines[at:last + 1])))
        return found

    def _macros(self):
        found = []
        for m in re.finditer(r"^#\s*define\s+(\w+)\(.*?(?<!\\)$", self.code,
                             re.M | re.S):
            body = m.group().split(")", 1)[-1]
            found.append(Function(self.path, self.line_of(m.start()), m.group(1),
                                  "static", body, macro=True))
        return found

    def _docs(self):
        """Kernel-doc by name of the function."""
        found = {}
        for _, text in self.comments:
            m = re.match(r"/\*\*\s*\n \* (\w+)\(\) - ", text)
            if m:
                found[m.group(1)] = text
        return found

    def prototypes(self):
        """Declarations of functions, each with the file its label names.

        A label is a comment "/* file.c: ... */", which may name several files;
        it holds to the next label.
        """
        marks = [(at, "label", re.findall(r"\b\w+\.c\b", text))
                 for at, text in self.comments
                 if re.match(r"/\*\s*(?:\*\s*)?\w+\.c\b", text)]
        for m in re.finditer(r"^(?!#|\s|\}|typedef\b)[^\n{}=;:]*"
                             r"(?:\n[ \t]+[^\n{}=;:]*)*;", self.code, re.M):
            # A function pointer or a macro that is a statement is none.
            text = ATTRIBUTE.sub("", m.group())
            name = CALL.search(text)
            if name and not text.startswith("static") and not name.group(1).isupper():
                marks.append((m.start(), "function", name.group(1)))
        found, label = [], []
        for at, kind, what in sorted(marks, key=lambda mark: mark[0]):
            if kind == "label":
                label = what
            else:
                found.append(Prototype(self.path, self.line_of(at), what, label))
        return found

    def includes(self):
        """(line, path from the top) of each include in quotes."""
        folder = os.path.dirname(self.path)
        return [(self.line_of(m.start()),
                 os.path.normpath(os.path.join(folder, m.group(1))))
                for m in re.finditer(r'^#\s*include\s+"([^"]+)"', self.text, re.M)]

    def comment_lines(self):
        """How many lines lie in comments, and in kernel-doc of them."""
        in_comment, in_doc = set(), set()
        for at, text in self.comments:
            first = self.line_of(at)
            span = range(first, first + text.count("\n") + 1)
            in_comment.update(span)
            if text.startswith("/**") and "\n" in text:
                in_doc.update(span)
        used = {i for i, line in enumerate(self.lines, 1) if line.strip()}
        return len(in_comment & used), len(in_doc & used)


def tree(top, folder="vhost_mmu"):
    """Every .c and .h below a folder, by path."""
    found = {}
    for where, folders, files in os.walk(os.path.join(top, folder)):
        folders.sort()
        for name in sorted(files):
            if name.endswith((".c", ".h")) and not name.endswith(".mod.c"):
                path = os.path.relpath(os.path.join(where, name), top)
                found[path] = Source(top, path)
    return found


class Calls:
    """Who calls whom in a tree, by name."""
    def __init__(self, sources):
        self.sources = sources
        self.shared = {}        # name: where it is defined, if not static in a .c
        self.local = {}         # (path, name): function
        for source in sources.values():
            for function in source.functions:
                self.local.setdefault((source.path, function.name), function)
                if not function.static or source.path.endswith(".h"):
                    self.shared.setdefault(function.name, function)

    def find(self, path, name):
        """The function that a name means in a file, or None."""
        return self.local.get((path, name)) or self.shared.get(name)

    def callees(self, function, refs=False):
        """The functions of the tree that a function calls (or names)."""
        names = function.refs if refs else function.calls
        found = (self.find(function.path, name) for name in sorted(names))
        return [f for f in found if f and f is not function]


def circles(edges):
    """The circles of a graph: each strongly connected set of two or more.

    edges maps a node to the nodes it leads to.  (Tarjan, without recursion.)
    """
    index, low, stack, on, found = {}, {}, [], set(), []
    for root in sorted(edges):
        if root in index:
            continue
        work = [(root, iter(sorted(edges.get(root, ()))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on.add(root)
        while work:
            node, rest = work[-1]
            for to in rest:
                if to not in index:
                    index[to] = low[to] = len(index)
                    stack.append(to)
                    on.add(to)
                    work.append((to, iter(sorted(edges.get(to, ())))))
                    break
                if to in on:
                    low[node] = min(low[node], index[to])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    part = []
                    while True:
                        part.append(stack.pop())
                        on.discard(part[-1])
                        if part[-1] == node:
                            break
                    if len(part) > 1:
                        found.append(sorted(part))
    return found
