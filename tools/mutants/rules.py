# SPDX-License-Identifier: GPL-2.0
"""The rules of the protocol, each with a way to break it.

A mutant replaces one piece of source, which must be there exactly once.  The
test named (a program, and its arguments) must fail, or the kernel must
complain, on the kernel named.
"""
from collections import namedtuple

Mutant = namedtuple("Mutant", "name rule file old new kernel tests")

MAP = "vhost_mmu/virtqueue/ring_map.c"
FILL = "vhost_mmu/virtqueue/ring_fill.c"

MUTANTS = [
    Mutant("keep-page", "the notifier's start takes the page back",
           MAP,
           "	map->addr[i] = NULL;\n	map->base = NULL;\n	map->nr_missing++;\n",
           "",
           "6.12", "inval_remap -t other_pages"),
    Mutant("no-client", "a map is linked before anything is installed",
           MAP,
           "	for (part = 0; maps && part < VMQ_PARTS; part++)\n"
           "		ring_map_link(&maps->map[part], vmq->space);\n",
           "	for (part = 0; maps && part < VMQ_PARTS; part++) {\n"
           "		ring_map_link(&maps->map[part], vmq->space);\n"
           "		vmmu_client_del(&maps->map[part].client);\n"
           "		maps->map[part].client.space = vmq->space;\n"
           "	}\n",
           "6.12", "inval_remap -t other_pages"),
    Mutant("no-sequence", "an install is refused if the notifier ran meanwhile",
           FILL,
           "	if (map->inval_seq != seq || vmq_ring_map_inval_open(map, i))",
           "	(void)seq;\n	if (vmq_ring_map_inval_open(map, i))",
           "debug", "inval_install"),
    Mutant("no-open-check", "an install is refused while an invalidation is open",
           "vhost_mmu/space/install.c",
           "	spin_lock(&space->inval_lock);\n"
           "	open = vmmu_inval_overlaps(&space->inval, range);",
           "	(void)range;\n	spin_lock(&space->inval_lock);\n	open = false;",
           "debug", "inval_install -t open_all_the_time"),
    Mutant("uncounted-start", "every start is counted, as every end is",
           "vhost_mmu/space/notifier.c",
           "	vmmu_inval_begin(&space->inval, range);\n"
           "	if (unlikely(vmmu_range_overlaps(space->hull, range)",
           "	if (vmmu_range_overlaps(space->hull, range))\n"
           "		vmmu_inval_begin(&space->inval, range);\n"
           "	if (unlikely(vmmu_range_overlaps(space->hull, range)",
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
           FILL,
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
           "	if (vmq->kernel_access)\n		vmq_ring_maps_replace(vmq);\n",
           "",
           "6.12", "inval_remap -t set_addr_then_unmap"),
    Mutant("file-backed", "file-backed pages are left to user access",
           "vhost_mmu/space/page.c",
           "	return VMMU_PAGE_FILE;",
           "	return VMMU_PAGE_OK;",
           "6.12", "inval_fallback"),
    Mutant("lost-wakeup", "a wake-up held back comes later",
           "vhost_mmu/net/coalesce.c",
           "	vmdev_poll_queue(co->poll);\n	return HRTIMER_NORESTART;",
           "	(void)co;\n	return HRTIMER_NORESTART;",
           "6.12", "backend -t rx_bursts_end"),
    Mutant("busy-block", "memory that a frame lies in is not used again",
           "vhost_mmu/net/tx_frame.c",
           "	if (page_ref_count(block->page) != block->bias)\n"
           "		return false;\n",
           "",
           "6.12", "backend -t held_frames"),
    Mutant("large-unpublished", "a large packet is given back when it is sent",
           "vhost_mmu/net/tx.c",
           "	packet_done(nvq, net->tx.large.head, len);\n",
           "	packet_done(nvq, net->tx.large.head, len);\n"
           "	return true;\n",
           "6.12", "data_large -t each_large_one -v kernel"),
    Mutant("ask-before-send", "the batch is sent before notifications are enabled",
           "vhost_mmu/net/tx.c",
           "			flush_batch(net, sock);\n"
           "			if (vmnet_ring_refilled(",
           "			if (vmnet_ring_refilled(",
           "6.12", "data_large -t sent_before_asking -v user"),
    Mutant("pages-to-napi", "a tap that reads pages as an iovec gets none",
           "vhost_mmu/net/tx_large.c",
           "		      ARRAY_SIZE(large->piece), large->len);",
           "		      large->pieces, large->len);",
           "6.12", "data_large -t whole"),
    Mutant("sleep-in-section", "nothing sleeps inside a section",
           "vhost_mmu/virtqueue/ops.c",
           "	int ret = vmq_split_add_used(s, a, ctx, heads, count);\n",
           "	int ret = vmq_split_add_used(s, a, ctx, heads, count);\n\n"
           "	might_sleep();\n",
           "debug", "smoke"),
    Mutant("lock-order", "inval_lock is a leaf",
           "vhost_mmu/space/client.c",
           "	write_lock(&space->clients_lock);\n"
           "	spin_lock(&space->inval_lock);\n"
           "	interval_tree_insert(",
           "	spin_lock(&space->inval_lock);\n"
           "	write_lock(&space->clients_lock);\n"
           "	interval_tree_insert(",
           "debug", "smoke"),

    # The second-stage MMU.
    Mutant("no-range-check", "an MMU maps no page whose invalidation started since",
           "vhost_mmu/space/install.c",
           "	return vmmu_inval_since(&space->inval, seq, range);",
           "	return space->inval.dead;",
           "debug", "mmu_race -t refused"),
    Mutant("slot-not-killed", "nothing is mapped from a memslot that is deleted",
           "vhost_mmu/mmu/memslot_set.c",
           "	slot_kill(mmu, old);\n	vmmu_slots_commit(mmu, old, NULL);",
           "	vmmu_slots_commit(mmu, old, NULL);",
           "6.12", "mmu_memslot -t delete_race"),
    Mutant("never-open", "a new memslot maps nothing of a range that is open",
           "vhost_mmu/space/install.c",
           "	if (likely(vmmu_inval_quiet(&space->inval)))\n		return true;\n",
           "	if (true)\n		return true;\n",
           "debug", "mmu_race -t swap_beside_open"),
    Mutant("no-protect", "a page whose dirty bit is taken faults when it is written",
           "vhost_mmu/mmu/dirty_log.c",
           "	if (mask)\n		vmmu_protect_mask(gather, gfn, mask);\n",
           "",
           "6.12", "mmu_dirty -t exact"),
    Mutant("not-handed-over", "what was written through an entry is told to the page",
           "vhost_mmu/mmu/pt_change.c",
           "	if (old & VMMU_PTE_DIRTY)\n		folio_mark_dirty(folio);\n",
           "",
           "6.12", "mmu_pin"),
    Mutant("stale-huge", "a huge entry needs all of its range without an invalidation",
           "vhost_mmu/mmu/fault.c",
           "	return vmmu_space_inval_open(f->mmu->space, range.start, range.last);",
           "	return vmmu_space_inval_open(f->mmu->space, range.start, range.last) && false;",
           "debug", "mmu_race -t huge_beside_open"),
    Mutant("rcu-free-now", "a page of entries is freed when no walk is in it",
           "vhost_mmu/mmu/pt_mem.c",
           "	call_rcu(&virt_to_page(pt)->rcu_head, pt_free_callback);",
           "	pt_free_callback(&virt_to_page(pt)->rcu_head);",
           "debug", "mmu_race -t walk_in_freed_table"),
    Mutant("ring-no-limit", "a write that a dirty ring has no room for does not happen",
           "vhost_mmu/mmu/dirty_ring.c",
           "	       ring->mask - VMMU_DIRTY_RING_RESERVED;",
           "	       ring->mask;",
           "6.12", "mmu_dirty -t full"),
    Mutant("elision-off", "invalidations elsewhere do not take mmu_lock",
           "vhost_mmu/space/hooks.h",
           "static inline bool vmmu_hook_no_elision(void)\n{\n	return false;",
           "static inline bool vmmu_hook_no_elision(void)\n{\n	return true;",
           "6.12", "mmu_notify -t elsewhere"),

    # Payload by kernel address.
    Mutant("no-flush", "an invalidation makes the TLBs forget the pages it takes",
           "vhost_mmu/mmu/pt_zap.c",
           "		vmmu_gather_add(gather, iter.gfn, next - 1);\n",
           "",
           "6.12", "payload_change -v replace_MEMFD"),
    Mutant("flush-without-drain", "a section is waited for before its TLB is made to forget",
           "vhost_mmu/mmu/flush.c",
           "	vmmu_section_drain_begin(section);\n"
           "	section->flush(section, first, last);\n"
           "	vmmu_section_drain_end(section);\n",
           "	section->flush(section, first, last);\n",
           "debug", "payload_change -v discard_shared_MEMFD"),
    Mutant("rx-not-dirty", "buffers that are received into are looked up for writing",
           "vhost_mmu/virtqueue/direct.c",
           "	const bool write = access == VHOST_ACCESS_WO;",
           "	const bool write = access < 0;",
           "6.12", "payload_fork -t first_writer"),
    Mutant("no-vlan", "a VLAN tag beside a packet becomes a part of it",
           "vhost_mmu/net/rx_direct.c",
           "		put(sink, tag, sizeof(tag));\n",
           "		(void)tag;\n",
           "6.12", "payload_tap -t vlan"),
    Mutant("killed-handlers", "a killed worker runs no handler, only flushes",
           "vhost_mmu/dev/worker.c",
           "	WRITE_ONCE(worker->flush_only, true);\n"
           "	/* Wake-ups in",
           "	/* Wake-ups in",
           "6.12", "inval_killed -v rings_idle"),
    Mutant("close-waits", "the closer makes the faults of a kthread fail",
           "vhost_mmu/dev/worker.c",
           "	if (worker->kthread)\n"
           "		send_sig(SIGKILL, worker->kthread, 1);\n",
           "",
           "6.12", "inval_killed -v rings_kthread"),
    Mutant("killed-waits", "a killed owner's wait makes the faults of a kthread fail",
           "vhost_mmu/dev/worker.c",
           "	if (current->mm == dev->mm)\n"
           "		vmdev_abort(dev);\n",
           "",
           "6.12", "inval_killed -v stops_kthread"),

    # Who pays, and for how long.
    Mutant("kthread-uncharged", "the owner pays for what a kthread allocates",
           "vhost_mmu/dev/worker.c",
           "	old = set_active_memcg(memcg);\n",
           "	old = set_active_memcg(NULL);\n",
           "6.12", "vhost_charge -v kthread"),
    Mutant("blocks-uncharged", "the owner pays for the frames of the transmit queue",
           "vhost_mmu/net/tx_frame.c",
           "	page = alloc_pages((GFP_KERNEL_ACCOUNT & ~__GFP_DIRECT_RECLAIM)",
           "	page = alloc_pages((GFP_KERNEL & ~__GFP_DIRECT_RECLAIM)",
           "6.12", "data_large -t charged_and_given_back"),
    Mutant("blocks-kept", "an idle transmit queue keeps one block",
           "vhost_mmu/net/tx_frame.c",
           "	for (i = 1; i < VMNET_BLOCKS; i++)\n"
           "		block_free(&tx->block[i]);\n"
           "}\n\n/*\n * Give",
           "	(void)i;\n}\n\n/*\n * Give",
           "6.12", "data_large -t charged_and_given_back"),
]
