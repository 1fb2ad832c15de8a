/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Second-stage tables: the arithmetic of levels, page numbers and alignment, and
 * the format of entries.
 *
 * Without a dependency on the kernel, so that it also builds in user space.
 * Levels count as the field counts them: 1 maps 4 KiB pages, 2 maps 2 MiB,
 * 3 maps 1 GiB; the root is at level 4.
 *
 * Only this module walks the tables, so the format of their entries is free; it
 * follows the usual one where it can:
 *
 *	0			nothing there
 *	PRESENT			points to a table of the level below
 *	PRESENT | LEAF		maps a page
 *	FROZEN			nothing there, and nothing may be put there: the
 *				table is unlinked
 *
 * WRITE, ACCESSED and DIRTY of a leaf are set under the read lock, the last two
 * also in sections, so that every change of an entry is one atomic operation.
 */
#ifndef VHOST_MMU_PT_H
#define VHOST_MMU_PT_H

#include <linux/bits.h>
#include <linux/types.h>

#define VMMU_PAGE_SHIFT		12
#define VMMU_LEVEL_BITS		9
#define VMMU_PTES		BIT(VMMU_LEVEL_BITS)

#define VMMU_LEVEL_4K		1
#define VMMU_LEVEL_2M		2
#define VMMU_LEVEL_1G		3
#define VMMU_LEVEL_ROOT		4
#define VMMU_LEVEL_MAX_LEAF	VMMU_LEVEL_1G

#define VMMU_GPA_BITS (VMMU_PAGE_SHIFT + VMMU_LEVEL_ROOT * VMMU_LEVEL_BITS)
#define VMMU_MAX_GFN		(BIT_ULL(VMMU_GPA_BITS - VMMU_PAGE_SHIFT) - 1)

/* Binary logarithm of the pages that an entry of a level covers. */
static inline unsigned int vmmu_level_order(unsigned int level)
{
	return (level - 1) * VMMU_LEVEL_BITS;
}

/* How many pages an entry of a level covers. */
static inline __u64 vmmu_level_pages(unsigned int level)
{
	return BIT_ULL(vmmu_level_order(level));
}

static inline unsigned int vmmu_level_shift(unsigned int level)
{
	return VMMU_PAGE_SHIFT + vmmu_level_order(level);
}

/* Which entry of a table of @level a guest page falls into. */
static inline unsigned int vmmu_pte_index(__u64 gfn, unsigned int level)
{
	return (gfn >> vmmu_level_order(level)) & (VMMU_PTES - 1);
}

/* First page that the entry of @gfn covers. */
static inline __u64 vmmu_level_base(__u64 gfn, unsigned int level)
{
	return gfn & ~(vmmu_level_pages(level) - 1);
}

/* First page behind the entry of @gfn. */
static inline __u64 vmmu_level_next(__u64 gfn, unsigned int level)
{
	return vmmu_level_base(gfn, level) + vmmu_level_pages(level);
}

/**
 * struct vmmu_extent - the part of a memslot that an MMU can map
 * @gfn: first whole guest page
 * @npages: how many; 0 if GPA and HVA lie differently in their pages, or no
 *	whole page lies between the bounds
 * @hva: address of @gfn
 */
struct vmmu_extent {
	__u64 gfn;
	__u64 npages;
	unsigned long hva;
};

/**
 * vmmu_extent_of() - which pages of a range of bytes can be mapped
 * @gpa: first guest address
 * @size: bytes; @gpa + @size does not wrap
 * @hva: address of @gpa
 *
 * A page that the range covers in part cannot: the rest of it may belong to
 * another memslot, with other memory behind it.
 *
 * Return: the whole pages of the range.
 */
static inline struct vmmu_extent vmmu_extent_of(__u64 gpa, __u64 size,
						unsigned long hva)
{
	const __u64 mask = BIT_ULL(VMMU_PAGE_SHIFT) - 1;
	__u64 head = -gpa & mask;
	struct vmmu_extent extent = { 0 };
	__u64 npages;

	if ((gpa ^ hva) & mask || size < head)
		return extent;

	npages = (size - head) >> VMMU_PAGE_SHIFT;
	if (!npages)
		return extent;

	extent.gfn = (gpa + head) >> VMMU_PAGE_SHIFT;
	if (extent.gfn > VMMU_MAX_GFN ||
	    npages - 1 > VMMU_MAX_GFN - extent.gfn) {
		extent.gfn = 0;
		return extent;
	}
	extent.npages = npages;
	extent.hva = hva + head;
	return extent;
}

/**
 * vmmu_extent_level() - the largest entry that fits into a memslot
 * @extent: mappable part of the memslot
 * @gfn: page in it
 * @max: do not go beyond this level
 *
 * An entry fits if it lies in the memslot with all of its pages, and if GPA and
 * HVA are aligned alike.
 *
 * Return: VMMU_LEVEL_4K up to @max.
 */
static inline unsigned int vmmu_extent_level(const struct vmmu_extent *extent,
					     __u64 gfn, unsigned int max)
{
	__u64 skew = extent->gfn ^ (extent->hva >> VMMU_PAGE_SHIFT);
	unsigned int level;

	for (level = max; level > VMMU_LEVEL_4K; level--) {
		if (skew & (vmmu_level_pages(level) - 1))
			continue;
		if (vmmu_level_base(gfn, level) < extent->gfn)
			continue;
		if (vmmu_level_next(gfn, level) > extent->gfn + extent->npages)
			continue;
		break;
	}
	return level;
}

/* Do two ranges that do not wrap share a byte?  Sizes are not 0. */
static inline bool vmmu_bytes_overlap(__u64 a, __u64 a_size, __u64 b,
				      __u64 b_size)
{
	return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/**
 * typedef vmmu_pte_t - an entry where it lies in its table
 * @val: its value, for the accessors alone
 *
 * A value that was read or is to be written is a plain __u64.  The two do not
 * mix: what lies in a table is read by vmmu_pte_read() and changed by the
 * functions of pt_change.c and pt_change.h.
 */
typedef struct {
	__u64 val;
} vmmu_pte_t;

/**
 * struct vmmu_leaf - what a lookup found
 * @pte: the entry as it was read
 * @ptep: where it is
 * @level: its level
 */
struct vmmu_leaf {
	__u64 pte;
	vmmu_pte_t *ptep;
	unsigned int level;
};

#define VMMU_PTE_PRESENT BIT_ULL(0)
#define VMMU_PTE_LEAF BIT_ULL(1)
/* The page may be written through the entry. */
#define VMMU_PTE_WRITE BIT_ULL(2)
/* The page was looked up for writing: WRITE may come back without a lookup. */
#define VMMU_PTE_HOST_WRITE BIT_ULL(3)
#define VMMU_PTE_ACCESSED BIT_ULL(4)
#define VMMU_PTE_DIRTY BIT_ULL(5)
/* There is a struct page, and a kernel address. */
#define VMMU_PTE_DIRECT BIT_ULL(6)
#define VMMU_PTE_FROZEN BIT_ULL(63)

#define VMMU_PTE_PFN_MASK ((BIT_ULL(52) - 1) & ~(BIT_ULL(VMMU_PAGE_SHIFT) - 1))

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

#endif /* VHOST_MMU_PT_H */
