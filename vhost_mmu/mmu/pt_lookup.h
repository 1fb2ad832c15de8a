/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lookups: from a guest page to the leaf that maps it.
 */
#ifndef VHOST_MMU_PT_LOOKUP_H
#define VHOST_MMU_PT_LOOKUP_H

#include "../space/section.h"
#include "mmu.h"

bool vmmu_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf);
bool vmmu_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf);
bool vmmu_lookup_in_section(struct vmmu *mmu, struct vmmu_section *section,
			    u64 gfn, bool write, struct vmmu_leaf *leaf);

/* Kernel address of a guest page; the leaf has VMMU_PTE_DIRECT. */
static inline void *vmmu_leaf_page(const struct vmmu_leaf *leaf, u64 gfn)
{
	return __va(PFN_PHYS(vmmu_pte_pfn_of(leaf->pte, leaf->level, gfn)));
}

#endif /* VHOST_MMU_PT_LOOKUP_H */
