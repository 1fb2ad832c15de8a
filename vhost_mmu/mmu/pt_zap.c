// SPDX-License-Identifier: GPL-2.0
/*
 * Taking mappings back, or the right to write through them.  The write lock
 * keeps the users of translations out, so when a leaf is gone nobody uses its
 * page.  A long walk drops the lock now and then: nobody maps again what it has
 * passed, because an invalidation is open or the memslot is dying.
 *
 * Where vmmu_protect() drops the lock, a fault may make a page writable again
 * that the walk has passed.  That is right, since the fault logs the page first.
 * When the write lock is released, every write that did not fault has ended.
 */
#include <linux/mm.h>

#include "flush.h"
#include "pt_change.h"
#include "pt_zap.h"

/**
 * vmmu_zap_locked() - unmap guest pages
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 * @may_sleep: the walk may sleep where it drops the lock
 *
 * A huge leaf goes as a whole.  Tables stay.  Nobody uses the pages when it
 * returns, even if it was another thread that unmapped them a moment ago.
 *
 * Context: mmu_lock held for writing; a long walk drops it and takes it again.
 */
void vmmu_zap_locked(struct vmmu *mmu, u64 first, u64 last, bool may_sleep)
{
	struct vmmu_iter iter;

	lockdep_assert_held_write(&mmu->mmu_lock);

	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_EXCLUSIVE, VMMU_LEVEL_4K, first,
			  last) {
		if (vmmu_iter_yield(&iter, may_sleep))
			continue;
		if (!vmmu_pte_leaf(iter.old))
			continue;
		vmmu_iter_set(&iter, 0);
		if (vmmu_level_next(iter.gfn, iter.level) > last)
			break;
	}
	rcu_read_unlock();
	vmmu_sections_flush(mmu, first, last);
}

/* The same, for process context without the lock; may sleep. */
void vmmu_zap(struct vmmu *mmu, u64 first, u64 last)
{
	write_lock(&mmu->mmu_lock);
	vmmu_zap_locked(mmu, first, last, true);
	write_unlock(&mmu->mmu_lock);
}

static bool pt_empty(const vmmu_pte_t *pt)
{
	return !memchr_inv(pt, 0, VMMU_PTES * sizeof(*pt));
}

/**
 * vmmu_prune() - free the tables that map nothing
 * @mmu: the MMU
 * @first: first page of where to look
 * @last: last page, inclusive
 *
 * From the lowest level up, so that each step takes down one table.
 *
 * Context: process context, may sleep.
 */
void vmmu_prune(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_iter iter;
	unsigned int level;

	write_lock(&mmu->mmu_lock);
	rcu_read_lock();
	for (level = VMMU_LEVEL_4K + 1; level <= VMMU_LEVEL_ROOT; level++) {
		vmmu_for_each_pte(iter, mmu, VMMU_EXCLUSIVE, level, first,
				  last) {
			if (vmmu_iter_yield(&iter, true))
				continue;
			if (iter.level == level && vmmu_pte_table(iter.old) &&
			    pt_empty(vmmu_pte_child(iter.old)))
				vmmu_iter_set(&iter, 0);
		}
	}
	rcu_read_unlock();
	write_unlock(&mmu->mmu_lock);
}

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
