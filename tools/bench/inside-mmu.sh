#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The part of tools/bench/mmu.py that runs in the VM: does the jobs of DIR/jobs,
# one a line (number, device, lock, options), and leaves DIR/N.json or DIR/N.skip
# (the reason).  The first job that fails ends it: the counter's sections are
# matched to the jobs by their order.
#
# With SYMBOLS the kernel's symbols are kept in DIR/kallsyms-LOCK, LOCK being
# exclusive for the jobs with the exclusive lock: they need other modules.
#
# usage: inside-mmu.sh DIR MMUBENCH KNOBS [SYMBOLS]

set -eu
dir=$1
mmubench=$2
knobs=$3
symbols=${4-}
parameter=/sys/module/vhost_mmu/parameters/exclusive_mmu_lock

uname -r >"$dir/release"

kvm_reason=
if ! kvm_reason=$(modprobe kvm_amd 2>&1); then
	kvm_reason="modprobe kvm_amd: ${kvm_reason#modprobe: }"
elif [ ! -c /dev/kvm ]; then
	kvm_reason="kvm_amd is loaded but /dev/kvm does not exist"
elif [ -z "$symbols" ]; then
	# Several CPUs, and nothing that is counted.
	"${0%/*}/hold-kvm" &
	trap 'kill $! || :' EXIT
fi

loaded=

# load LOCK: set reason if our modules cannot be used with that lock.
load()
{
	[ "$1" != "$loaded" ] || return 0
	loaded=$1
	reason=
	[ ! -d /sys/module/vhost_mmu ] || rmmod vhost_mmu
	if [ "$1" = exclusive ]; then
		module=$knobs/$(uname -r)-knobs/vhost_mmu.ko
		if [ ! -e "$module" ]; then
			reason="no $module (VMMU_DEBUG=1 tools/build-modules builds it)"
		elif ! reason=$(insmod "$module" 2>&1); then
			reason="insmod $module: $reason"
		elif ! echo 1 2>/dev/null >"$parameter"; then
			reason="cannot write 1 to $parameter"
		fi
	elif ! reason=$(modprobe vhost_mmu 2>&1); then
		reason="modprobe vhost_mmu: ${reason#modprobe: }"
	fi
	if [ -z "$reason" ] && [ ! -c /dev/vhost-mmu ]; then
		reason="vhost_mmu is loaded but /dev/vhost-mmu does not exist"
	fi
	mmu_reason=$reason
	if [ -n "$symbols" ]; then
		cat /proc/kallsyms >"$dir/kallsyms-$1"
	fi
}

total=$(wc -l <"$dir/jobs")
while read -r n device lock options; do
	load "$lock"
	case $device in
	none)		reason= ;;
	kvm)		reason=$kvm_reason ;;
	vhost_mmu)	reason=$mmu_reason ;;
	esac
	if [ -n "$reason" ]; then
		echo "$reason" >"$dir/$n.skip"
		continue
	fi
	echo "  $((n + 1))/$total $device $options, $lock lock"
	# The options are words of their own.
	# shellcheck disable=SC2086
	"$mmubench" --device "$device" $options >"$dir/$n.json" </dev/null
done <"$dir/jobs"
