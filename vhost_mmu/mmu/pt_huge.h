/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge entries: splitting them, and making room for them.
 */
#ifndef VHOST_MMU_PT_HUGE_H
#define VHOST_MMU_PT_HUGE_H

#include "pt_iter.h"

bool vmmu_split_huge_here(struct vmmu_iter *iter, vmmu_pte_t *pt);
void vmmu_split_huge(struct vmmu *mmu, u64 first, u64 last);
bool vmmu_pt_flat(const vmmu_pte_t *pt);
void vmmu_collapse_huge(struct vmmu *mmu, const struct vmmu_memslot *slot);

#endif /* VHOST_MMU_PT_HUGE_H */
