/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Entries of second-stage tables.  Only this code walks them, so their format
 * is free; it follows the usual one where it can.  Also builds in user space.
 *
 *	0			nothing there
 *	PRESENT			points to a table of the level below
 *	PRESENT | LEAF		maps a page
 *	FROZEN			nothing there, and only who froze it may change it
 *
 * WRITE, ACCESSED and DIRTY of a leaf are changed under the read lock and by
 * readers without it, so that every change of an entry is one atomic operation.
 */
#ifndef VHOST_MMU_PTE_H
#define VHOST_MMU_PTE_H

#include <linux/bits.h>
#include <linux/types.h>

#include "pt.h"

/**
 * typedef vmmu_pte_t - an entry where it lies in its table
 * @val: its value, for the accessors alone
 *
 * A value that was read or is to be written is a plain __u64.  The two do not
 * mix: what lies in a table is read by vmmu_pte_read() and changed by the
 * functions of change.c and change.h.
 */
typedef struct {
	__u64 val;
} vmmu_pte_t;

#define VMMU_PTE_PRESENT	BIT_ULL(0)
#define VMMU_PTE_LEAF		BIT_ULL(1)
/* The page may be written through the entry. */
#define VMMU_PTE_WRITE		BIT_ULL(2)
/* The page was looked up for writing: WRITE may come back without a look-up. */
#define VMMU_PTE_HOST_WRITE	BIT_ULL(3)
#define VMMU_PTE_ACCESSED	BIT_ULL(4)
#define VMMU_PTE_DIRTY		BIT_ULL(5)
/* There is a struct page, and a kernel address. */
#define VMMU_PTE_DIRECT		BIT_ULL(6)
#define VMMU_PTE_FROZEN		BIT_ULL(63)

#define VMMU_PTE_PFN_MASK \
	((BIT_ULL(52) - 1) & ~(BIT_ULL(VMMU_PAGE_SHIFT) - 1))

static inline bool vmmu_pte_present(__u64 pte)
{
	return pte & VMMU_PTE_PRESENT;
}

static inline bool vmmu_pte_leaf(__u64 pte)
{
	const __u64 leaf = VMMU_PTE_PRESENT | VMMU_PTE_LEAF;

	return (pte & leaf) == leaf;
}

static inline bool vmmu_pte_table(__u64 pte)
{
	return vmmu_pte_present(pte) && !vmmu_pte_leaf(pte);
}

static inline unsigned long vmmu_pte_pfn(__u64 pte)
{
	return (pte & VMMU_PTE_PFN_MASK) >> VMMU_PAGE_SHIFT;
}

static inline __u64 vmmu_pte_make(unsigned long pfn, __u64 bits)
{
	return (__u64)pfn << VMMU_PAGE_SHIFT | bits;
}

/* Page number behind one guest page of a leaf of @level. */
static inline unsigned long vmmu_pte_pfn_of(__u64 pte, unsigned int level,
					    __u64 gfn)
{
	return vmmu_pte_pfn(pte) + (gfn & (vmmu_level_pages(level) - 1));
}

/* The entry for part @index of a leaf when it is split one level down. */
static inline __u64 vmmu_pte_split(__u64 pte, unsigned int level,
				   unsigned int index)
{
	return pte + ((__u64)index << vmmu_level_shift(level - 1));
}

#endif /* VHOST_MMU_PTE_H */
