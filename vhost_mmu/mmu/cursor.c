// SPDX-License-Identifier: GPL-2.0
/*
 * The read-only cursor: from a guest page to the leaf that maps it.
 */
#include <linux/mm.h>

#include "cursor.h"

/**
 * vmmu_walk() - find the leaf that maps a page
 * @mmu: the MMU
 * @gfn: guest page
 * @leaf: set to the leaf, or to the entry at which the walk ended
 *
 * Context: mmu_lock or the lock of a reader that the notifier drains held; in an
 *	RCU read section.
 * Return: true if there is one.
 */
bool vmmu_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf)
{
	u64 *pt = mmu->root;

	leaf->pte = 0;
	if (gfn > VMMU_MAX_GFN)
		return false;

	for (leaf->level = VMMU_LEVEL_ROOT;; leaf->level--) {
		leaf->ptep = &pt[vmmu_pte_index(gfn, leaf->level)];
		leaf->pte = READ_ONCE(*leaf->ptep);
		if (!vmmu_pte_present(leaf->pte))
			return false;
		if (vmmu_pte_leaf(leaf->pte))
			return true;
		pt = vmmu_pte_child(leaf->pte);
	}
}

/**
 * vmmu_lookup() - find a page in order to use it, and note that it is used
 * @mmu: the MMU
 * @gfn: guest page
 * @write: it will be written
 * @leaf: set to the leaf
 *
 * Context: as for vmmu_walk(); the page may be used until the lock is released.
 * Return: false if a fault is needed, or the page has no kernel address.
 */
bool vmmu_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf)
{
	u64 need = VMMU_PTE_DIRECT | (write ? VMMU_PTE_WRITE : 0);
	u64 mark = VMMU_PTE_ACCESSED | (write ? VMMU_PTE_DIRTY : 0);

	if (!vmmu_walk(mmu, gfn, leaf))
		return false;

	do {
		if (!vmmu_pte_leaf(leaf->pte) || (leaf->pte & need) != need)
			return false;
		if ((leaf->pte & mark) == mark)
			return true;
	} while (!try_cmpxchg64(leaf->ptep, &leaf->pte, leaf->pte | mark));

	leaf->pte |= mark;
	return true;
}
