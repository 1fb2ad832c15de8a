#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Start DPDK's testpmd with a virtio-user port over vhost_mmu (root, 128 huge pages of 2 MiB).
# The first argument names the tap interface at the port's other end.
set -euo pipefail

node=${VHOST_DEV:-/dev/vhost-mmu-net}
tap=${1:-tap0}

if ! [ -c "$node" ]; then
	echo "there is no $node: load vhost_mmu_net" >&2
	exit 1
fi
if [ "$(cat /proc/sys/vm/nr_hugepages)" -lt 128 ]; then
	echo "too few huge pages: run  echo 128 >/proc/sys/vm/nr_hugepages" >&2
	exit 1
fi

exec dpdk-testpmd -l 0-1 --no-pci --in-memory -m 200 \
	--vdev="net_virtio_user0,path=$node,queues=1,queue_size=1024,iface=$tap" \
	-- --interactive --total-num-mbufs=4096 --txd=512 --rxd=512
