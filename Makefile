# SPDX-License-Identifier: GPL-2.0
#
# make            build the modules for the running kernel, or for KDIR=
# make demo       see it work: guest, DPDK and benchmark in a VM
# make check      what a change has to pass
# make check-all  everything on every kernel
# make help       the rest

KDIR ?= /lib/modules/$(shell uname -r)/build
DESTDIR ?=
INSTALL_HDR_PATH ?= /usr/local

.PHONY: all modules modules_install headers_install install-rules setup demo \
	check check-all bench selftests unit clean help

all: modules

modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

modules_install:
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules_install

# For programs that use /dev/vhost-mmu: #include <linux/vhost_mmu.h>
headers_install:
	install -D -m 0644 include/uapi/linux/vhost_mmu.h \
		$(DESTDIR)$(INSTALL_HDR_PATH)/include/linux/vhost_mmu.h

# What a host with the modules installed needs besides: see README.md.
install-rules:
	install -D -m 0644 packaging/60-vhost-mmu.rules \
		$(DESTDIR)/lib/udev/rules.d/60-vhost-mmu.rules
	install -D -m 0644 packaging/vhost-mmu.conf \
		$(DESTDIR)/lib/modules-load.d/vhost-mmu.conf

setup:
	tools/setup

demo: setup
	tools/demo/run

check: setup
	tools/check

check-all: setup
	tools/check --all

bench: setup
	tools/bench/run

selftests:
	$(MAKE) -C selftests

unit:
	$(MAKE) -C selftests/unit check

# Needs no kernel headers.
clean:
	find vhost_mmu \( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o \
		-name '*.mod.c' -o -name '*.o.d' -o -name '.*.cmd' -o \
		-name '.module-common.o' -o -name 'modules.order' \) -delete
	rm -f Module.symvers modules.order .*.cmd
	$(MAKE) -C selftests clean
	$(MAKE) -C selftests/unit clean

help:
	@echo 'On a fresh Debian 12 machine, as root:'
	@echo '  make demo             a QEMU/KVM guest, DPDK and the benchmark, in a VM'
	@echo '  make check            builds, style, unit tests, selftests on three kernels:'
	@echo '                        at most 45 minutes, and 20 for the debug kernel once'
	@echo '  make check-all        everything on every kernel: hours'
	@echo 'Modules:'
	@echo '  make [KDIR=DIR]       build vhost_mmu.ko and vhost_mmu_net.ko'
	@echo '  make modules_install  install them for that kernel'
	@echo '  make headers_install  install linux/vhost_mmu.h in INSTALL_HDR_PATH/include'
	@echo '                        (default $(INSTALL_HDR_PATH))'
	@echo '  make install-rules    udev rule and modules-load.d snippet'
	@echo 'Parts:'
	@echo '  make setup            install the Debian packages that all of this needs'
	@echo '  make bench            instruction counts against stock vhost-net'
	@echo '  make selftests        build the kselftest programs'
	@echo '  make unit             user-space unit tests and the fuzzer'
	@echo '  make clean'
