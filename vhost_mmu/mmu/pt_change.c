// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of entries.  Every entry of a linked table is changed here or by the
 * inline functions of pt_change.h, and each change is followed by pte_changed()
 * with the value that really was replaced.  There the counters follow, the page
 * learns what was done through the entry, and the table below is taken down.
 *
 * pt_change.h has the two changes that pte_changed() need not see one by one: a
 * run of leaves that fills empty entries (vmmu_iter_try_install()), which is
 * counted once, and bits that are set in a leaf (vmmu_leaf_set_bits()).  A table
 * that is not linked yet is filled by pt_huge.c without either.
 *
 * Every change is one atomic operation, also under the write lock: a queue sets
 * ACCESSED and DIRTY in a section, which holds no lock of the MMU.
 */
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "pt_change.h"
#include "pt_mem.h"

static void pte_changed(struct vmmu *mmu, u64 gfn, unsigned int level, u64 old,
			u64 new);

/*
 * Hand over to the page what was done through the entry.  The page needs no
 * reference: the owner's mm still maps it, and before the mm frees it the
 * notifier has to take mmu_lock.
 */
static void hand_over(u64 old)
{
	struct folio *folio;

	if (!(old & VMMU_PTE_DIRECT))
		return;

	folio = pfn_folio(vmmu_pte_pfn(old));
	if (old & VMMU_PTE_DIRTY)
		folio_mark_dirty(folio);
	/*
	 * Not folio_mark_accessed(), which may queue the folio to be activated:
	 * the queue's reference fails those who count, as memory failure does.
	 */
	if (old & VMMU_PTE_ACCESSED)
		folio_set_referenced(folio);
}

static void leaf_changed(struct vmmu *mmu, u64 gfn, unsigned int level, u64 old,
			 u64 new)
{
	const u64 same = VMMU_PTE_PFN_MASK | VMMU_PTE_PRESENT | VMMU_PTE_LEAF;

	/* A page is never replaced by another without being taken back first. */
	if (vmmu_pte_leaf(new)) {
		WARN_ONCE((old ^ new) & same,
			  "gfn %#llx level %u: page replaced by another", gfn,
			  level);
		return;
	}

	hand_over(old);
	atomic64_dec(&mmu->stats.pages[level - 1]);
	/* What is split stays mapped. */
	if (!vmmu_pte_present(new))
		atomic64_add(vmmu_level_pages(level), &mmu->stats.pages_zapped);
}

/*
 * A table was unlinked.  Other faults may still be walking it and installing into
 * it.  Freezing an entry makes them retry, and returns its last value.
 */
static void table_removed(struct vmmu *mmu, u64 gfn, unsigned int level,
			  vmmu_pte_t *pt)
{
	unsigned int i;
	u64 old;

	for (i = 0; i < VMMU_PTES; i++) {
		old = xchg(&pt[i].val, VMMU_PTE_FROZEN);
		/* Whoever unlinked the table is the only one to freeze it. */
		WARN_ON_ONCE(old == VMMU_PTE_FROZEN);
		if (old)
			pte_changed(mmu, gfn, level, old, VMMU_PTE_FROZEN);
		gfn += vmmu_level_pages(level);
	}
	vmmu_pt_free_rcu(mmu, pt);
}

static void pte_changed(struct vmmu *mmu, u64 gfn, unsigned int level, u64 old,
			u64 new)
{
	lockdep_assert_held(&mmu->mmu_lock);

	if (vmmu_pte_leaf(old))
		leaf_changed(mmu, gfn, level, old, new);
	else if (vmmu_pte_table(old))
		table_removed(mmu, gfn, level - 1, vmmu_pte_child(old));

	if (vmmu_pte_leaf(new) && !vmmu_pte_leaf(old))
		atomic64_inc(&mmu->stats.pages[level - 1]);
	else if (vmmu_pte_table(new))
		vmmu_pt_account(mmu, vmmu_pte_child(new), 1);
}

/**
 * vmmu_iter_cmpxchg() - change the entry if it still is what was read
 * @iter: walk at the entry
 * @new: its new value
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: false, with vmmu_iter::old read again, if it was not, or if it is
 *	frozen.
 */
bool vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new)
{
	u64 old = iter->old;

	vmmu_iter_assert_held(iter);
	WARN_ON_ONCE(iter->yielded);

	if (old == VMMU_PTE_FROZEN)
		return false;
	if (!try_cmpxchg64(&iter->ptep->val, &iter->old, new))
		return false;

	pte_changed(iter->mmu, iter->gfn, iter->level, old, new);
	iter->old = new;
	return true;
}

/**
 * vmmu_iter_set() - change the entry whatever it is
 * @iter: walk at the entry
 * @new: its new value
 *
 * Context: mmu_lock held for writing.
 */
void vmmu_iter_set(struct vmmu_iter *iter, u64 new)
{
	u64 old;

	vmmu_iter_assert_held(iter);
	lockdep_assert_held_write(&iter->mmu->mmu_lock);
	WARN_ON_ONCE(iter->yielded);

	old = xchg(&iter->ptep->val, new);
	pte_changed(iter->mmu, iter->gfn, iter->level, old, new);
	iter->old = new;
}

/**
 * vmmu_iter_clear_bits() - clear bits of a leaf
 * @iter: walk at a leaf
 * @bits: of VMMU_PTE_WRITE, VMMU_PTE_ACCESSED and VMMU_PTE_DIRTY
 *
 * Context: mmu_lock and an RCU read section held; for writing, if anybody may
 *	still rely on a bit.
 * Return: true if one of them was set.
 */
bool vmmu_iter_clear_bits(struct vmmu_iter *iter, u64 bits)
{
	vmmu_iter_assert_held(iter);

	while (vmmu_pte_leaf(iter->old) && iter->old & bits) {
		if (vmmu_iter_cmpxchg(iter, iter->old & ~bits))
			return true;
	}
	return false;
}
