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

# set_parameter NAME VALUE: or set reason.
set_parameter()
{
	parameter=/sys/module/vhost_mmu/parameters/$1
	if ! echo "$2" 2>/dev/null >"$parameter"; then
		reason="cannot write $2 to $parameter"
	fi
}

# prepare DEVICE METADATA PAYLOAD: set node, or reason if the device cannot be used.
prepare()
{
	reason=
	node=
	[ "$1" != none ] || return 0
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
	set_parameter metadata_access "$2"
	[ -z "$reason" ] || return 0
	if [ -e /sys/module/vhost_mmu/parameters/payload_access ]; then
		set_parameter payload_access "$3"
	elif [ "$2" != "$3" ]; then
		reason="these modules have no payload_access: $2 rings go with user copies alone"
	fi
}

# Load every module first: the one list of symbols has to have them all.
while read -r n name device metadata payload symbols options; do
	prepare "$device" "$metadata" "$payload"
done <"$dir/jobs"

total=$(wc -l <"$dir/jobs")
while read -r n name device metadata payload symbols options; do
	prepare "$device" "$metadata" "$payload"
	if [ -n "$reason" ]; then
		echo "$reason" >"$dir/$n.skip"
		continue
	fi
	echo "  $((n + 1))/$total $name $options"
	if [ "$symbols" != - ] && [ ! -e "$dir/kallsyms" ]; then
		options="$options --kallsyms $dir/kallsyms"
	fi
	# The options are words of their own.
	# shellcheck disable=SC2086
	"$vbench" ${node:+--dev "$node"} $options >"$dir/$n.json" </dev/null
done <"$dir/jobs"
