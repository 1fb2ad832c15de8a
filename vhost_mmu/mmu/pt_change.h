/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: changes of entries, see pt_change.c. */
#ifndef VHOST_MMU_PT_CHANGE_H
#define VHOST_MMU_PT_CHANGE_H

#include "pt_iter.h"

bool __must_check vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new);
void vmmu_iter_set(struct vmmu_iter *iter, u64 new);
bool vmmu_iter_clear_bits(struct vmmu_iter *iter, u64 bits);

/**
 * vmmu_iter_try_install() - install a leaf behind the one that a walk is at
 * @iter: walk at a leaf
 * @i: how many entries behind, in the same table
 * @pte: the leaf
 *
 * For runs of pages: what follows from a change of nothing into a leaf is done
 * for all of them by vmmu_iter_installed().
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: false if there is something already.
 */
static inline bool __must_check vmmu_iter_try_install(struct vmmu_iter *iter,
						      unsigned int i, u64 pte)
{
	u64 none = 0;

	vmmu_iter_assert_held(iter);

	return try_cmpxchg64(&iter->ptep[i].val, &none, pte);
}

static inline void vmmu_iter_installed(struct vmmu_iter *iter, unsigned int n)
{
	vmmu_iter_assert_held(iter);

	if (n)
		atomic64_add(n, &iter->mmu->stats.pages[iter->level - 1]);
}

/**
 * vmmu_leaf_set_bits() - set bits of a leaf if it still is what was read
 * @leaf: the leaf
 * @bits: of VMMU_PTE_WRITE, VMMU_PTE_ACCESSED and VMMU_PTE_DIRTY
 *
 * No counter and no page has to learn of these bits as they are set, so this
 * needs no walk, and no pte_changed().
 *
 * Context: as for the lookup that found the leaf; mmu_lock held for WRITE.
 * Return: false, with vmmu_leaf::pte read again, if it was not.
 */
static inline bool __must_check vmmu_leaf_set_bits(struct vmmu_leaf *leaf,
						   u64 bits)
{
	const u64 new = leaf->pte | bits;

	if (!try_cmpxchg64(&leaf->ptep->val, &leaf->pte, new))
		return false;
	leaf->pte = new;
	return true;
}

#endif /* VHOST_MMU_PT_CHANGE_H */
