# SPDX-License-Identifier: GPL-2.0
"""A header for each .c: noun.h beside noun.c, or a header with a label for it.

A label is a comment "/* file.c: what it does */"; what is declared below it, to
the next label, is defined in that file.  Without a label it is the header's
own noun.c.
"""
import os

import csource


def noun(path):
    """The .c of a header by its name."""
    return os.path.splitext(os.path.basename(path))[0] + ".c"


def check(top, folder="vhost_mmu"):
    """Every function that a reader would not find, as a line of text."""
    sources = csource.tree(top, folder)
    defined, found, declared = {}, [], set()
    for path, source in sources.items():
        for function in source.functions:
            if path.endswith(".c") and not function.static and not function.macro:
                defined.setdefault(function.name, []).append(function)
    for path, source in sources.items():
        if not path.endswith(".h"):
            continue
        for prototype in source.prototypes():
            at = f"{path}:{prototype.line}: {prototype.name}()"
            functions = defined.get(prototype.name)
            if not functions:
                # An inline stands in for it, or a tracepoint is meant.
                if not any(f.name == prototype.name for f in source.functions):
                    found.append(f"{at} is declared and defined nowhere")
                continue
            where = functions[0].path
            labels = prototype.label or [noun(path)]
            declared.add(prototype.name)
            if os.path.dirname(where) != os.path.dirname(path):
                found.append(f"{at} is defined in another folder, {where}")
            elif os.path.basename(where) not in labels:
                found.append(f"{at} stands under {', '.join(labels)} and is defined "
                             f"in {where}")
    for name, functions in sorted(defined.items()):
        if name not in declared:
            found.append(f"{functions[0].path}:{functions[0].line}: {name}() is "
                         "declared in no header")
    return found
