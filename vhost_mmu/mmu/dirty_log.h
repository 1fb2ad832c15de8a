/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: the dirty log and the dirty rings. */
#ifndef VHOST_MMU_DIRTY_LOG_H
#define VHOST_MMU_DIRTY_LOG_H

#include <linux/log2.h>

#include "memslot.h"

/* Entries kept free, so that writes under way at the limit still find room. */
#define VMMU_DIRTY_RING_RESERVED 8

/* dirty.c */
int vmmu_log_room(struct vmmu_context *ctx, const struct vmmu_memslot *slot);
int vmmu_log_page(struct vmmu_context *ctx, struct vmmu_memslot *slot, u64 gfn,
		  bool written);
void vmmu_log_start(struct vmmu *mmu, struct vmmu_memslot *slot);
void vmmu_log_stop(struct vmmu *mmu, struct vmmu_memslot *slot);

/* dirty_ring.c */
bool vmmu_dirty_ring_full(const struct vmmu_dirty_ring *ring);
int vmmu_dirty_ring_push(struct vmmu_dirty_ring *ring, u32 slot, u64 offset,
			 bool reserve);

static inline bool vmmu_dirty_ring_size_ok(u32 entries)
{
	return !entries || (is_power_of_2(entries) &&
			    entries > 2 * VMMU_DIRTY_RING_RESERVED);
}

/**
 * vmmu_mark_dirty() - an entry is going to be made writable
 * @ctx: the context
 * @slot: memslot of the page
 * @gfn: guest page
 *
 * Context: mmu_lock held.
 * Return: 0, -ENOSPC if the dirty ring is full, -ENXIO without one.
 */
static inline int vmmu_mark_dirty(struct vmmu_context *ctx,
				  struct vmmu_memslot *slot, u64 gfn)
{
	return vmmu_slot_logs(slot) ? vmmu_log_page(ctx, slot, gfn, false) : 0;
}

#endif /* VHOST_MMU_DIRTY_LOG_H */
