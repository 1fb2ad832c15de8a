# SPDX-License-Identifier: GPL-2.0
"""The kernel's scripts for Coccinelle, run by spatch over vhost_mmu/."""
import concurrent.futures
import os
import re

from vmtools import proc

# What needs more than spatch: an OCaml compiler, which is 300 MB.
LEFT_OUT = {
    "api/check_bq27xxx_data.cocci": "about one driver, and written in OCaml",
    "null/badzero.cocci": "written in OCaml; sparse finds a 0 that is a pointer",
}
TIMEOUT = 200   # seconds for one script, as in the kernel's .cocciconfig


def scripts(folder):
    """The scripts below a folder, by relative name."""
    found = []
    for where, _, files in os.walk(folder):
        found += [os.path.relpath(os.path.join(where, name), folder)
                  for name in files if name.endswith(".cocci")]
    return sorted(set(found) - set(LEFT_OUT))


def options(script):
    """What a script asks spatch for, and that no header is looked for."""
    with open(script, encoding="utf-8", errors="replace") as f:
        asked = re.findall(r"^//\s*Options:(.*)$", f.read(), re.M)
    asked = [o for o in " ".join(asked).split() if o != "--all-includes"]
    return sorted({*asked, "--no-includes", "--include-headers"})


def run(top, folder, name, target):
    """The findings of a script, as (script, path, line, text)."""
    script = os.path.join(folder, name)
    done = proc.run(["spatch", "-D", "report", "--very-quiet", "--no-show-diff",
                     *options(script), "--cocci-file", script, "--dir", target],
                    cwd=top, timeout=TIMEOUT)
    if done.status:
        return [(name, "", 0, f"spatch ends with {done.status}: "
                              f"{done.output.strip()[-300:]}")]
    return [(name, m[1], int(m[2]), m[3].strip())
            for m in re.finditer(r"^([^:\n]+\.[ch]):(\d+):(.*)$", done.output, re.M)]


def check(top, folder, target="vhost_mmu", jobs=None):
    """All findings of all scripts, and how many scripts there are."""
    names = scripts(folder)
    with concurrent.futures.ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        parts = pool.map(lambda name: run(top, folder, name, target), names)
        return [finding for part in parts for finding in part], len(names)
