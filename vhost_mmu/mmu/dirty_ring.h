/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Dirty rings: written pages, in memory that user space maps.
 */
#ifndef VHOST_MMU_DIRTY_RING_H
#define VHOST_MMU_DIRTY_RING_H

#include <linux/log2.h>

#include "mmu.h"

struct vm_area_struct;
struct vmmu_dirty_ring;

#define VMMU_DIRTY_RING_MIN 32
#define VMMU_DIRTY_RING_MAX 65536
/* Entries kept free, so that writes under way at the limit still find room. */
#define VMMU_DIRTY_RING_RESERVED 8

struct vmmu_dirty_ring *vmmu_dirty_ring_create(struct vmmu *mmu);
void vmmu_dirty_ring_put(struct vmmu_dirty_ring *ring);
int vmmu_dirty_ring_mmap(struct vmmu_dirty_ring *ring,
			 struct vm_area_struct *vma);
int vmmu_dirty_rings_reset(struct vmmu *mmu, u32 *count);
bool vmmu_dirty_ring_full(const struct vmmu_dirty_ring *ring);
int vmmu_dirty_ring_push(struct vmmu_dirty_ring *ring, u32 slot, u64 offset,
			 bool reserve);

static inline bool vmmu_dirty_ring_size_ok(u32 entries)
{
	return !entries ||
	       (is_power_of_2(entries) && entries >= VMMU_DIRTY_RING_MIN &&
		entries <= VMMU_DIRTY_RING_MAX);
}

#endif /* VHOST_MMU_DIRTY_RING_H */
