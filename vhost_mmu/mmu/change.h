/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: changes of entries, and the memory of tables. */
#ifndef VHOST_MMU_CHANGE_H
#define VHOST_MMU_CHANGE_H

#include "iter.h"

bool vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new);
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
static inline bool vmmu_iter_try_install(struct vmmu_iter *iter, unsigned int i,
					 u64 pte)
{
	u64 none = 0;

	return try_cmpxchg64(iter->ptep + i, &none, pte);
}

static inline void vmmu_iter_installed(struct vmmu_iter *iter, unsigned int n)
{
	if (n)
		atomic64_add(n, &iter->mmu->stats.pages[iter->level - 1]);
}

/* ptmem.c */
u64 *vmmu_pt_alloc(struct vmmu *mmu);
void vmmu_pt_free(struct vmmu *mmu, u64 *pt);
void vmmu_pt_free_rcu(struct vmmu *mmu, u64 *pt);
void vmmu_pt_account(struct vmmu *mmu, u64 *pt, int n);
int vmmu_context_topup(struct vmmu_context *ctx, unsigned int n);

#endif /* VHOST_MMU_CHANGE_H */
