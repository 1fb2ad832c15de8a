// SPDX-License-Identifier: GPL-2.0
/*
 * Lookups: from a guest page to the leaf that maps it.
 *
 * Either mmu_lock keeps the leaf as it is, or the lock of a section of the MMU
 * does: whoever takes the leaf back drains the section before it returns.
 */
#include <linux/mm.h>

#include "pt_change.h"
#include "pt_lookup.h"
#include "../space/hooks.h"

static __always_inline bool walk(struct vmmu *mmu, u64 gfn,
				 struct vmmu_leaf *leaf)
{
	vmmu_pte_t *pt = mmu->root;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "walk outside of RCU");

	leaf->pte = 0;
	if (gfn > VMMU_MAX_GFN)
		return false;

	for (leaf->level = VMMU_LEVEL_ROOT;; leaf->level--) {
		leaf->ptep = &pt[vmmu_pte_index(gfn, leaf->level)];
		if (leaf->level == VMMU_LEVEL_4K)
			vmmu_hook_walk();
		leaf->pte = vmmu_pte_read(leaf->ptep);
		if (!vmmu_pte_present(leaf->pte))
			return false;
		if (vmmu_pte_leaf(leaf->pte))
			return true;
		pt = vmmu_pte_child(leaf->pte);
	}
}

/**
 * vmmu_walk() - find the leaf that maps a page
 * @mmu: the MMU
 * @gfn: guest page
 * @leaf: set to the leaf, or to the entry at which the walk ended
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: true if there is one.
 */
bool vmmu_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf)
{
	lockdep_assert_held(&mmu->mmu_lock);

	return walk(mmu, gfn, leaf);
}

static __always_inline bool lookup(struct vmmu *mmu, u64 gfn, bool write,
				   struct vmmu_leaf *leaf)
{
	u64 need = VMMU_PTE_DIRECT | (write ? VMMU_PTE_WRITE : 0);
	u64 mark = VMMU_PTE_ACCESSED | (write ? VMMU_PTE_DIRTY : 0);

	if (!walk(mmu, gfn, leaf))
		return false;

	do {
		if (!vmmu_pte_leaf(leaf->pte) || (leaf->pte & need) != need)
			return false;
		if ((leaf->pte & mark) == mark)
			return true;
	} while (!vmmu_leaf_set_bits(leaf, mark));
	return true;
}

/**
 * vmmu_lookup() - find a page in order to use it, and note that it is used
 * @mmu: the MMU
 * @gfn: guest page
 * @write: it will be written
 * @leaf: set to the leaf
 *
 * Context: mmu_lock and an RCU read section held; the page may be used until
 *	mmu_lock is released.
 * Return: false if a fault is needed, or the page has no kernel address.
 */
bool vmmu_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf)
{
	lockdep_assert_held(&mmu->mmu_lock);

	return lookup(mmu, gfn, write, leaf);
}

/**
 * vmmu_lookup_in_section() - vmmu_lookup() without mmu_lock
 * @mmu: the MMU
 * @section: section that was given to vmmu_add_section() for @mmu
 * @gfn: guest page
 * @write: it will be written
 * @leaf: set to the leaf
 *
 * The page may be used, and its address kept, until the section's flush says
 * otherwise.
 *
 * Context: the section's lock and an RCU read section held.
 * Return: as of vmmu_lookup().
 */
bool vmmu_lookup_in_section(struct vmmu *mmu, struct vmmu_section *section,
			    u64 gfn, bool write, struct vmmu_leaf *leaf)
{
	lockdep_assert_held(&section->lock);

	return lookup(mmu, gfn, write, leaf);
}
