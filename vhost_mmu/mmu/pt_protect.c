// SPDX-License-Identifier: GPL-2.0
/*
 * Write protection, for the dirty log.  Under the write lock: when it is
 * released, every write that did not fault has ended.
 */
#include <linux/mm.h>

#include "pt_lookup.h"

/**
 * vmmu_protect() - make pages fault when they are written
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * Context: process context, may sleep.
 */
void vmmu_protect(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_iter iter;

	write_lock(&mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_EXCLUSIVE, VMMU_LEVEL_4K, first,
			  last) {
		if (vmmu_iter_yield(&iter, true))
			continue;
		vmmu_iter_clear_bits(&iter, VMMU_PTE_WRITE);
	}
	rcu_read_unlock();
	vmmu_sections_flush(mmu, first, last);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_protect_mask() - make some of 64 pages fault when they are written
 * @mmu: the MMU
 * @gfn: first of the 64 pages
 * @mask: which of them
 *
 * A huge leaf that covers one of them is protected as a whole.
 *
 * Context: mmu_lock held for writing.
 */
void vmmu_protect_mask(struct vmmu *mmu, u64 gfn, u64 mask)
{
	u64 first = gfn + __ffs64(mask), last = gfn + fls64(mask) - 1;
	struct vmmu_iter iter;

	lockdep_assert_held_write(&mmu->mmu_lock);

	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_EXCLUSIVE, VMMU_LEVEL_4K, first,
			  last) {
		if (iter.level == VMMU_LEVEL_4K &&
		    !(mask >> (iter.gfn - gfn) & 1))
			continue;
		vmmu_iter_clear_bits(&iter, VMMU_PTE_WRITE);
	}
	rcu_read_unlock();
	vmmu_sections_flush(mmu, first, last);
}
