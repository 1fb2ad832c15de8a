/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two cursors over the tables.  The read-only one finds a leaf and marks
 * that it was used; the mutating one maps, takes back, splits, merges, protects
 * and ages.  Both are walks of iter.h; what an entry means is in pte.h.
 */
#ifndef VHOST_MMU_PT_LOOKUP_H
#define VHOST_MMU_PT_LOOKUP_H

#include "pt_change.h"
#include "../space/client.h"

/**
 * struct vmmu_mapping - what the mutating cursor is to map
 * @gfn: guest page
 * @pfn: page of memory
 * @level: size of the entry
 * @bits: of the entry, VMMU_PTE_*
 */
struct vmmu_mapping {
	u64 gfn;
	unsigned long pfn;
	unsigned int level;
	u64 bits;
};

/**
 * enum vmmu_mapped - what became of a mapping
 * @VMMU_MAP_FIXED: the entry was installed, or given what it lacked
 * @VMMU_MAP_SPURIOUS: it was there
 * @VMMU_MAP_RETRY: somebody else was faster, with something else
 * @VMMU_MAP_NOMEM: the context has no table page left
 */
enum vmmu_mapped {
	VMMU_MAP_FIXED,
	VMMU_MAP_SPURIOUS,
	VMMU_MAP_RETRY,
	VMMU_MAP_NOMEM,
};

/* cursor.c: read-only */
bool vmmu_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf);
bool vmmu_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf);
bool vmmu_lookup_in_section(struct vmmu *mmu, struct vmmu_section *section,
			    u64 gfn, bool write, struct vmmu_leaf *leaf);

/* Kernel address of a guest page; the leaf has VMMU_PTE_DIRECT. */
static inline void *vmmu_leaf_page(const struct vmmu_leaf *leaf, u64 gfn)
{
	return __va(PFN_PHYS(vmmu_pte_pfn_of(leaf->pte, leaf->level, gfn)));
}

/* section.c */
void vmmu_sections_flush(struct vmmu *mmu, u64 first, u64 last);

/* map.c */
enum vmmu_mapped vmmu_map_first(struct vmmu_context *ctx,
				struct vmmu_iter *iter, enum vmmu_hold hold,
				const struct vmmu_mapping *map);
enum vmmu_mapped vmmu_map_here(struct vmmu_iter *iter,
			       const struct vmmu_mapping *map);

/* zap.c */
void vmmu_zap_locked(struct vmmu *mmu, u64 first, u64 last, bool may_sleep);
void vmmu_zap(struct vmmu *mmu, u64 first, u64 last);
void vmmu_prune(struct vmmu *mmu, u64 first, u64 last);

/* split.c */
bool vmmu_split_huge_here(struct vmmu_iter *iter, vmmu_pte_t *pt);
void vmmu_split_huge(struct vmmu *mmu, u64 first, u64 last);
void vmmu_collapse_huge(struct vmmu *mmu, const struct vmmu_memslot *slot);

/* protect.c */
void vmmu_protect(struct vmmu *mmu, u64 first, u64 last);
void vmmu_protect_mask(struct vmmu *mmu, u64 gfn, u64 mask);

/* host.c */
unsigned int vmmu_host_level(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn);

/* tables.c: what the notifier calls */
bool vmmu_invalidate_all(struct vmmu_space *space, unsigned long start,
			 unsigned long last, bool may_sleep);
void vmmu_release_all(struct vmmu_space *space);
bool vmmu_age_all(struct vmmu_space *space, unsigned long start,
		  unsigned long last, bool clear);

#endif /* VHOST_MMU_PT_LOOKUP_H */
