# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Where the kernels are.  Sourced by the other tools:
#
#	. tools/kernels.sh
#	kernel_resolve 6.12 || exit
#	echo "$KVER $KDIR $VMLINUZ $MODDIR"
#
# A name is 6.1, 6.12, 6.1-cloud, 6.12-cloud, debug or a full kernel release.
# KVER is the release, KDIR the tree to build external modules against,
# VMLINUZ the image to boot and MODDIR its lib/modules/KVER directory.

VHOST_MMU_CACHE=${VHOST_MMU_CACHE:-/var/cache/vhost-mmu}
KERNELS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# kernel_newest PATTERN: the newest unpacked release that matches.
kernel_newest()
{
	local dir

	for dir in "$VHOST_MMU_CACHE"/kernels/*/; do
		basename "$dir"
	done | grep -E "^$1\$" | sort -V | tail -n 1
}

# kernel_resolve NAME: set KVER, KDIR, VMLINUZ and MODDIR.
kernel_resolve()
{
	local base

	case $1 in
	6.1)		KVER=$(kernel_newest '6\.1\.0-[0-9]+-amd64') ;;
	6.1-cloud)	KVER=$(kernel_newest '6\.1\.0-[0-9]+-cloud-amd64') ;;
	6.12)		KVER=$(kernel_newest '6\.12\.[0-9]+\+deb12-amd64') ;;
	6.12-cloud)	KVER=$(kernel_newest '6\.12\.[0-9]+\+deb12-cloud-amd64') ;;
	debug)		kernel_resolve_debug; return ;;
	*)		KVER=$1 ;;
	esac

	base=$VHOST_MMU_CACHE/kernels/$KVER
	if [ -z "$KVER" ] || [ ! -f "$base/boot/vmlinuz-$KVER" ]; then
		echo "kernel $1 is not in $VHOST_MMU_CACHE/kernels: run tools/setup" >&2
		return 1
	fi
	KDIR=/usr/src/linux-headers-$KVER
	VMLINUZ=$base/boot/vmlinuz-$KVER
	MODDIR=$base/lib/modules/$KVER
}

# The debug kernel lives in a directory named by the hash of its inputs.
kernel_resolve_debug()
{
	local base

	base=$("$KERNELS_ROOT/tools/debug-kernel/build" --print-dir) || return
	if [ ! -f "$base/complete" ]; then
		echo "the debug kernel is not built: run tools/debug-kernel/build" >&2
		return 1
	fi
	# Callers read these.
	# shellcheck disable=SC2034
	{
		KVER=$(cat "$base/complete")
		KDIR=$base/build
		VMLINUZ=$base/boot/vmlinuz-$KVER
		MODDIR=$base/lib/modules/$KVER
	}
}
