#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The part of tools/bench/run that runs in the VM: does the jobs of DIR/jobs,
# one a line, and leaves DIR/N.json or DIR/N.skip (the reason).  DIR/kallsyms is
# written once, with all modules loaded: it takes seconds.  The first job that
# fails ends it: the counter's sections are matched to the jobs by their order.
#
# usage: inside.sh DIR VBENCH

set -eu
dir=$1
vbench=$2

uname -r >"$dir/release"
modprobe tun

# prepare DEVICE ACCESS: set node, or reason if the device cannot be used.
prepare()
{
	reason=
	if [ "$1" = stock ]; then
		module=vhost_net
		node=/dev/vhost-net
	else
		module=vhost_mmu_net
		node=/dev/vhost-mmu-net
	fi
	if ! reason=$(modprobe "$module" 2>&1); then
		reason="modprobe $module: ${reason#modprobe: }"
		return
	fi
	reason=
	if [ ! -c "$node" ]; then
		reason="$module is loaded but $node does not exist"
		return
	fi
	[ "$2" != - ] || return 0
	parameter=/sys/module/vhost_mmu/parameters/metadata_access
	if ! echo "$2" 2>/dev/null >"$parameter"; then
		reason="cannot write $2 to $parameter"
	fi
}

# Load every module first: the one list of symbols has to have them all.
while read -r n device access symbols options; do
	prepare "$device" "$access"
done <"$dir/jobs"

total=$(wc -l <"$dir/jobs")
while read -r n device access symbols options; do
	prepare "$device" "$access"
	if [ -n "$reason" ]; then
		echo "$reason" >"$dir/$n.skip"
		continue
	fi
	[ "$access" = - ] && name=$device || name=$device-$access
	echo "  $((n + 1))/$total $name $options"
	if [ "$symbols" != - ] && [ ! -e "$dir/kallsyms" ]; then
		options="$options --kallsyms $dir/kallsyms"
	fi
	# The options are words of their own.
	# shellcheck disable=SC2086
	"$vbench" --dev "$node" $options >"$dir/$n.json" </dev/null
done <"$dir/jobs"
