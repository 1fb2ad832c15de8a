# SPDX-License-Identifier: GPL-2.0
"""The rules of the protocol, each with a way to break it.

A mutant replaces one piece of source, which must be there exactly once.  The
test named (a program, and its arguments) must fail, or the kernel must
complain, on the kernel named.
"""
from collections import namedtuple

Mutant = namedtuple("Mutant", "name rule file old new kernel tests")

MAP = "vhost_mmu/virtqueue/map.c"

MUTANTS = [
    Mutant("keep-page", "the notifier's start takes the page back",
           MAP,
           "	map->addr[i] = NULL;\n	map->nr_missing++;\n",
           "",
           "6.12", "inval_remap -t other_pages"),
    Mutant("no-client", "a map is linked before anything is installed",
           "vhost_mmu/virtqueue/rings.c",
           "	for (part = 0; rings && part < VMQ_PARTS; part++)\n"
           "		vmq_map_link(&rings->map[part], vq->space);\n",
           "	for (part = 0; rings && part < VMQ_PARTS; part++) {\n"
           "		vmq_map_link(&rings->map[part], vq->space);\n"
           "		vmmu_client_del(&rings->map[part].client);\n"
           "		rings->map[part].client.space = vq->space;\n"
           "	}\n",
           "6.12", "inval_remap -t other_pages"),
    Mutant("no-sequence", "an install is refused if the notifier ran meanwhile",
           MAP,
           "	if (map->inval_seq != seq || vmq_map_inval_open(map, i)) {",
           "	(void)seq;\n	if (vmq_map_inval_open(map, i)) {",
           "debug", "inval_install"),
    Mutant("no-open-check", "an install is refused while an invalidation is open",
           "vhost_mmu/mmu/notifier.c",
           "	open = vmmu_inval_overlaps(&space->inval, range);",
           "	(void)range;\n	open = false;",
           "debug", "inval_install"),
    Mutant("uncounted-start", "every start is counted, as every end is",
           "vhost_mmu/mmu/notifier.c",
           "	vmmu_inval_begin(&space->inval, range);\n"
           "	hit = vmmu_clients_hit(space, range);",
           "	hit = vmmu_clients_hit(space, range);\n"
           "	if (hit)\n"
           "		vmmu_inval_begin(&space->inval, range);",
           "6.12", "smoke"),
    Mutant("read-used", "the used ring is looked up for writing",
           MAP,
           "	map->write = part == VMQ_USED;",
           "	map->write = false;",
           "6.12", "inval_fork"),
    Mutant("not-dirty", "pages written are marked dirty as they are given back",
           MAP,
           "	if (map->write)\n"
           "		folio_mark_dirty(page_folio(virt_to_page(map->addr[i])));\n",
           "",
           "6.12", "inval_reclaim -t free_then_pageout"),
    Mutant("kept-reference", "no reference to a page is kept",
           MAP,
           "	put_page(page);\n	return status;",
           "	return status;",
           "6.12", "inval_migrate -t ksm"),
    Mutant("no-offset", "a part begins inside its first page",
           MAP,
           "	map->offset = offset_in_page(addr);",
           "	map->offset = 0;",
           "6.12", "data -t flow"),
    Mutant("no-straddle", "a word may straddle two pages",
           "vhost_mmu/virtqueue/access.h",
           "	if (likely(len <= room)) {",
           "	if (len) {",
           "6.12", "data -t flow"),
    Mutant("stale-maps", "a new address means new maps",
           "vhost_mmu/virtqueue/virtqueue.c",
           "	if (vq->kernel_access)\n		vmq_rings_replace(vq);\n",
           "",
           "6.12", "inval_remap -t set_addr_then_unmap"),
    Mutant("file-backed", "file-backed pages are left to user access",
           "vhost_mmu/mmu/pfn.c",
           "	return VMMU_PAGE_FILE;",
           "	return VMMU_PAGE_OK;",
           "6.12", "inval_fallback"),
    Mutant("lost-wakeup", "a wake-up held back comes later",
           "vhost_mmu/net/coalesce.c",
           "	vmdev_poll_queue(co->poll);\n	return HRTIMER_NORESTART;",
           "	(void)co;\n	return HRTIMER_NORESTART;",
           "6.12", "backend -t rx_bursts_end"),
    Mutant("busy-block", "memory that a frame lies in is not used again",
           "vhost_mmu/net/txbuf.c",
           "	if (page_ref_count(block->page) != block->bias)\n"
           "		return false;\n",
           "",
           "6.12", "backend -t held_frames"),
    Mutant("sleep-in-section", "nothing sleeps inside a reader section",
           "vhost_mmu/virtqueue/ops.c",
           "	int ret = vmq_split_add_used(s, a, ctx, heads, count);\n",
           "	int ret = vmq_split_add_used(s, a, ctx, heads, count);\n\n"
           "	might_sleep();\n",
           "debug", "smoke"),
    Mutant("lock-order", "inval_lock is a leaf",
           "vhost_mmu/mmu/client.c",
           "	write_lock(&space->clients_lock);\n"
           "	spin_lock(&space->inval_lock);\n"
           "	interval_tree_insert(",
           "	spin_lock(&space->inval_lock);\n"
           "	write_lock(&space->clients_lock);\n"
           "	interval_tree_insert(",
           "debug", "smoke"),
]
