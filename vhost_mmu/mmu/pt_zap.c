// SPDX-License-Identifier: GPL-2.0
/*
 * Taking mappings back, or the right to write through them.  The write lock
 * keeps the users of translations out, but for sections, which are drained at
 * the end: see flush.c.  A long walk drops the lock now and then: nobody maps
 * again what it has passed, because an invalidation is open or the memslot is
 * dying.
 *
 * Where write protection drops the lock, a fault may make a page writable again
 * that the walk has passed.  That is right, since the fault logs the page first.
 * After vmmu_gather_end() every write that did not fault has ended.
 */
#include <linux/mm.h>

#include "pt_change.h"
#include "pt_zap.h"

/* Dirtying a page may take as long as so many steps more. */
#define DIRTY_STEPS 4
/* Looking for an entry in a table, likewise. */
#define TABLE_STEPS 16
/* Taking an empty table down, which closes each of its entries. */
#define REMOVE_STEPS 64

/**
 * vmmu_zap_gather() - unmap guest pages
 * @gather: gather of the MMU; the pages may be in use until its end
 * @first: first page
 * @last: last page, inclusive
 *
 * A huge leaf goes as a whole.  Tables stay.
 *
 * Context: mmu_lock held for writing; a long walk drops it and takes it again.
 */
void vmmu_zap_gather(struct vmmu_gather *gather, u64 first, u64 last)
{
	struct vmmu_iter iter;
	u64 next;

	rcu_read_lock();
	vmmu_gather_for_each_pte(iter, gather, VMMU_LEVEL_4K, first, last) {
		if (vmmu_iter_yield(&iter, gather->may_sleep))
			continue;
		if (!vmmu_pte_leaf(iter.old))
			continue;
		if (iter.old & VMMU_PTE_DIRTY)
			vmmu_iter_charge(&iter, DIRTY_STEPS);
		vmmu_iter_set(&iter, 0);
		next = vmmu_level_next(iter.gfn, iter.level);
		vmmu_gather_add(gather, iter.gfn, next - 1);
		if (next > last)
			break;
	}
	rcu_read_unlock();

	vmmu_gather_add_looked(gather, first, last);
}

/**
 * vmmu_zap() - unmap guest pages
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * Nobody uses the pages when it returns, even if it was another thread that
 * unmapped them a moment ago.
 *
 * Context: process context, or the mm's end; may sleep.
 */
void vmmu_zap(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_gather gather;

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	vmmu_zap_gather(&gather, first, last);
	vmmu_gather_end(&gather);
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
			if (iter.level != level || !vmmu_pte_table(iter.old))
				continue;
			vmmu_iter_charge(&iter, TABLE_STEPS);
			if (!pt_empty(vmmu_pte_child(iter.old)))
				continue;
			vmmu_iter_set(&iter, 0);
			vmmu_iter_charge(&iter, REMOVE_STEPS);
		}
	}
	rcu_read_unlock();
	write_unlock(&mmu->mmu_lock);
}

static void protect_leaf(struct vmmu_gather *gather, struct vmmu_iter *iter)
{
	if (vmmu_iter_clear_bits(iter, VMMU_PTE_WRITE))
		vmmu_gather_add(gather, iter->gfn,
				vmmu_level_next(iter->gfn, iter->level) - 1);
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
	struct vmmu_gather gather;
	struct vmmu_iter iter;

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	rcu_read_lock();
	vmmu_gather_for_each_pte(iter, &gather, VMMU_LEVEL_4K, first, last) {
		if (vmmu_iter_yield(&iter, true))
			continue;
		protect_leaf(&gather, &iter);
	}
	rcu_read_unlock();
	vmmu_gather_add_looked(&gather, first, last);
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_protect_mask() - make some of 64 pages fault when they are written
 * @gather: gather of the MMU; until its end sections may write them
 * @gfn: first of the 64 pages
 * @mask: which of them
 *
 * A huge leaf that covers one of them is protected as a whole.
 *
 * Context: mmu_lock held for writing, slots_lock as well.
 */
void vmmu_protect_mask(struct vmmu_gather *gather, u64 gfn, u64 mask)
{
	u64 first = gfn + __ffs64(mask), last = gfn + fls64(mask) - 1;
	struct vmmu_iter iter;

	rcu_read_lock();
	vmmu_gather_for_each_pte(iter, gather, VMMU_LEVEL_4K, first, last) {
		if (iter.level == VMMU_LEVEL_4K &&
		    !(mask >> (iter.gfn - gfn) & 1))
			continue;
		vmmu_iter_charge(&iter, 1);
		protect_leaf(gather, &iter);
	}
	rcu_read_unlock();
	vmmu_gather_add_looked(gather, first, last);
}
