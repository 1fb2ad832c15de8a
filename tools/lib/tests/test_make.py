# SPDX-License-Identifier: GPL-2.0
"""What make builds and installs."""
import fnmatch
import re
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


class Install(unittest.TestCase):
    """What is installed, into a folder."""

    def setUp(self):
        # pylint: disable=consider-using-with
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def make(self, target, variable):
        """Install something there."""
        run("make", "-s", "-C", TOP, target, f"{variable}={self.folder.name}")

    def test_a_program_needs_no_other_header(self):
        self.make("headers_install", "INSTALL_HDR_PATH")
        text = """
            #include <linux/vhost_mmu.h>
            int main(void)
            {
                struct vhost_mmu_attach attach = { .size = sizeof(attach) };
                struct vmmu_get_info info = { .size = sizeof(info) };

                return attach.size + info.size + VHOST_MMU_ATTACH +
                       VMMU_GET_INFO + VMMU_SET_MEMSLOT;
            }
        """
        for standard in "c99", "gnu17":
            run("cc", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
                f"-std={standard}", f"-I{self.folder.name}/include",
                "-o", "/dev/null", "-x", "c", "-", text=text)

    def groups(self, node):
        """The groups that the rules give to a node."""
        name = f"{self.folder.name}/lib/udev/rules.d/60-vhost-mmu.rules"
        with open(name, encoding="ascii") as f:
            rules = [line for line in f if not line.startswith("#")]
        return [re.search('GROUP="(.*?)"', rule)[1] for rule in rules
                if any(fnmatch.fnmatch(node, glob) for glob in
                       re.search('KERNEL=="(.*?)"', rule)[1].split("|"))]

    def test_the_group_kvm_gets_what_its_clients_need(self):
        self.make("install-rules", "DESTDIR")
        self.assertEqual(self.groups("vhost-mmu-net"), ["kvm"])
        self.assertEqual(self.groups("vhost-mmu"), [])
