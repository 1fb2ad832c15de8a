# SPDX-License-Identifier: GPL-2.0
"""What make builds and installs."""
import os
import subprocess
import tempfile
import unittest

from vmtools import TOP, cache_dir

KBUILD = """
src := {top}/vhost_mmu
srctree := {kernel}
include $(src)/Kbuild
all: ; @echo $(ccflags-y) $(vhost_mmu-y)
"""


def run(*argv, text=""):
    """The output of a command that has to work out."""
    return subprocess.run(argv, input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=True).stdout


class Hooks(unittest.TestCase):
    """Test hooks are for who asks for them."""

    def built(self, *variables):
        """The flags and objects of the module."""
        text = KBUILD.format(top=TOP, kernel=f"{cache_dir()}/linux-source-6.12")
        return run("make", "-s", "-f", "-", "all", *variables, text=text).split()

    def test_a_kernel_with_fault_injection_gets_none(self):
        for words in self.built(), self.built("CONFIG_FAULT_INJECTION=y"):
            self.assertIn("space/space.o", words)
            self.assertNotIn("-DVMMU_DEBUG", words)
            self.assertNotIn("space/hooks.o", words)

    def test_asked_for(self):
        words = self.built("VMMU_DEBUG=1")
        self.assertIn("-DVMMU_DEBUG", words)
        self.assertIn("space/hooks.o", words)
