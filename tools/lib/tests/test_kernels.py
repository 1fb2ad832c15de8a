# SPDX-License-Identifier: GPL-2.0
"""The table of kernels, with a cache made up for the test."""
import os
import tempfile
import unittest
from unittest import mock

from vmtools import kernels


class Resolve(unittest.TestCase):
    """What a name stands for."""

    def setUp(self):
        # pylint: disable=consider-using-with
        self.cache = tempfile.TemporaryDirectory()
        self.addCleanup(self.cache.cleanup)
        patch = mock.patch.dict(os.environ, VHOST_MMU_CACHE=self.cache.name)
        patch.start()
        self.addCleanup(patch.stop)

    def add(self, release, image=True):
        """Unpack a kernel, as it were."""
        boot = f"{self.cache.name}/kernels/{release}/boot"
        os.makedirs(boot)
        if image:
            with open(f"{boot}/vmlinuz-{release}", "wb"):
                pass

    def test_newest(self):
        for number in ("9", "56", "10"):
            self.add(f"6.1.0-{number}-amd64")
        self.add("6.1.0-99-cloud-amd64")
        self.add("6.1.0-99-amd64-unsigned")
        self.assertEqual(kernels.resolve("6.1").kver, "6.1.0-56-amd64")
        self.assertEqual(kernels.resolve("6.1-cloud").kver,
                         "6.1.0-99-cloud-amd64")

    def test_files(self):
        release = "6.12.117+deb12-amd64"
        self.add(release)
        base = f"{self.cache.name}/kernels/{release}"
        for name in ("6.12", release):
            with self.subTest(name):
                kernel = kernels.resolve(name)
                self.assertEqual(kernel[1:], (
                    release, f"/usr/src/linux-headers-{release}",
                    f"{base}/boot/vmlinuz-{release}",
                    f"{base}/lib/modules/{release}"))

    def test_missing(self):
        self.add("6.12.1+deb12-amd64", image=False)
        for name in ("6.1", "6.12", "6.12.1+deb12-amd64", "no-such", ""):
            with self.subTest(name), \
                 self.assertRaises(kernels.KernelMissing) as e:
                kernels.resolve(name)
            self.assertIn("tools/setup", str(e.exception))

    def test_debug(self):
        base = f"{self.cache.name}/debug"
        with mock.patch.object(kernels, "debug_dir", return_value=base):
            with self.assertRaises(kernels.KernelMissing):
                kernels.resolve("debug")
            os.makedirs(base)
            with open(f"{base}/complete", "w", encoding="ascii") as f:
                f.write("6.12.1-debug\n")
            kernel = kernels.resolve("debug")
        self.assertEqual(kernel.kver, "6.12.1-debug")
        self.assertEqual(kernel.kdir, f"{base}/build")



if __name__ == "__main__":
    unittest.main()
