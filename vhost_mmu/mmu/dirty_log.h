/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log of a memslot: a bitmap, or the dirty rings.
 */
#ifndef VHOST_MMU_DIRTY_LOG_H
#define VHOST_MMU_DIRTY_LOG_H

#include "mmu.h"
#include "pt_mem.h"

int vmmu_get_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args);
int vmmu_clear_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args);

int vmmu_log_room(struct vmmu_context *ctx, const struct vmmu_memslot *slot);
int vmmu_log_page(struct vmmu_context *ctx, struct vmmu_memslot *slot, u64 gfn,
		  bool written);
void vmmu_log_start(struct vmmu *mmu, struct vmmu_memslot *slot);
void vmmu_log_stop(struct vmmu *mmu, struct vmmu_memslot *slot);

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
	lockdep_assert_held(&ctx->mmu->mmu_lock);

	return vmmu_slot_logs(slot) ? vmmu_log_page(ctx, slot, gfn, false) : 0;
}

#endif /* VHOST_MMU_DIRTY_LOG_H */
