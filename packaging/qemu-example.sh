#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Start a QEMU/KVM guest whose virtio-net runs over vhost_mmu.
# The shell opens the node, QEMU gets the open file; more QEMU options may follow.
set -euo pipefail

node=${VHOST_DEV:-/dev/vhost-mmu-net}

if [ $# -lt 2 ]; then
	cat >&2 <<-END
		usage: qemu-example.sh TAP DISK-IMAGE [QEMU-OPTION...]

		TAP is an existing tap interface that you may open, for example from
		  ip tuntap add dev tap0 mode tap vnet_hdr user \$USER
		and DISK-IMAGE a raw or qcow2 image. VHOST_DEV selects another node.
	END
	exit 2
fi
tap=$1 disk=$2
shift 2
if ! [ -r "$node" ] || ! [ -w "$node" ]; then
	echo "cannot open $node: load vhost_mmu_net, and join the group kvm" >&2
	exit 1
fi

exec 4<>"$node"
exec qemu-system-x86_64 -accel kvm -cpu host -m 2G -smp 2 \
	-drive "file=$disk,if=virtio" \
	-netdev "tap,id=net0,ifname=$tap,script=no,downscript=no,vhost=on,vhostfd=4" \
	-device virtio-net-pci,netdev=net0 \
	"$@"
