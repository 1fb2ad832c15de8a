/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables of what the arithmetic of the MMU is to give.  Written by hand, not
 * with the macros under test.
 */
#ifndef VHOST_MMU_SELFTEST_CASES_H
#define VHOST_MMU_SELFTEST_CASES_H

#include <linux/init.h>
#include <linux/types.h>

#include "pt.h"
#include "../space/inval.h"

#define PAGES_2M	0x200ULL
#define PAGES_1G	0x40000ULL
#define PAGES_512G	0x8000000ULL
#define GFN_END		0x1000000000ULL
#define GPA_END		0x1000000000000ULL

struct level_case {
	unsigned int level;
	unsigned int order;
	__u64 pages;
};

static const struct level_case level_cases[] __initconst = {
	{ 1, 0, 1 },
	{ 2, 9, PAGES_2M },
	{ 3, 18, PAGES_1G },
	{ 4, 27, PAGES_512G },
};

struct entry_case {
	__u64 gfn;
	unsigned int level;
	unsigned int index;
	__u64 base;
	__u64 next;
};

static const struct entry_case entry_cases[] __initconst = {
	{ 0, 1, 0, 0, 1 },
	{ 0, 2, 0, 0, 0x200 },
	{ 0, 4, 0, 0, PAGES_512G },
	{ 0x1ff, 1, 0x1ff, 0x1ff, 0x200 },
	{ 0x1ff, 2, 0, 0, 0x200 },
	{ 0x200, 1, 0, 0x200, 0x201 },
	{ 0x200, 2, 1, 0x200, 0x400 },
	{ 0x201, 2, 1, 0x200, 0x400 },
	{ 0x3ffff, 2, 0x1ff, 0x3fe00, 0x40000 },
	{ 0x3ffff, 3, 0, 0, 0x40000 },
	{ 0x40000, 3, 1, 0x40000, 0x80000 },
	{ 0x7ffffff, 3, 0x1ff, 0x7fc0000, 0x8000000 },
	{ 0x7ffffff, 4, 0, 0, 0x8000000 },
	{ 0x8000000, 4, 1, 0x8000000, 0x10000000 },
	/* The last page of the guest's address space. */
	{ GFN_END - 1, 1, 0x1ff, GFN_END - 1, GFN_END },
	{ GFN_END - 1, 2, 0x1ff, GFN_END - PAGES_2M, GFN_END },
	{ GFN_END - 1, 3, 0x1ff, GFN_END - PAGES_1G, GFN_END },
	{ GFN_END - 1, 4, 0x1ff, GFN_END - PAGES_512G, GFN_END },
};

struct extent_case {
	__u64 gpa;
	__u64 size;
	unsigned long hva;
	struct vmmu_extent extent;
};

static const struct extent_case extent_cases[] __initconst = {
	{ 0, 0x1000, 0x7000, { 0, 1, 0x7000 } },
	{ 0x5000, 0x3000, 0x7000, { 5, 3, 0x7000 } },
	/* Bounds inside of a page: what is covered in part is left out. */
	{ 0x5001, 0x3000, 0x7001, { 6, 2, 0x8000 } },
	{ 0x5001, 0x2fff, 0x7001, { 6, 2, 0x8000 } },
	{ 0x5001, 0x2ffe, 0x7001, { 6, 1, 0x8000 } },
	{ 0x5fff, 0x1001, 0x7fff, { 6, 1, 0x8000 } },
	{ 0x5fff, 0x1000, 0x7fff, { 0, 0, 0 } },
	{ 0x5000, 0x1fff, 0x7000, { 5, 1, 0x7000 } },
	{ 0x5000, 0x1001, 0x7000, { 5, 1, 0x7000 } },
	{ 0x5000, 0xfff, 0x7000, { 0, 0, 0 } },
	{ 0x5001, 0xfff, 0x7001, { 0, 0, 0 } },
	{ 0x5001, 0xffe, 0x7001, { 0, 0, 0 } },
	{ 0x5001, 1, 0x7001, { 0, 0, 0 } },
	{ 0x5800, 0x1000, 0x7800, { 0, 0, 0 } },
	{ 0x5000, 1, 0x7000, { 0, 0, 0 } },
	/* GPA and HVA lie differently in their pages. */
	{ 0x5000, 0x3000, 0x7001, { 0, 0, 0 } },
	{ 0x5001, 0x3000, 0x7000, { 0, 0, 0 } },
	{ 0x5800, 0x100000, 0x7400, { 0, 0, 0 } },
	{ 0x5800, 0x100000, 0x17800, { 6, 0xff, 0x18000 } },
	/* The end of the guest's address space. */
	{ GPA_END - 0x1000, 0x1000, 0x7000, { GFN_END - 1, 1, 0x7000 } },
	{ GPA_END - 0x1000, 0x1001, 0x7000, { GFN_END - 1, 1, 0x7000 } },
	{ GPA_END - 0x1000, 0x2000, 0x7000, { 0, 0, 0 } },
	{ GPA_END - 0x1001, 0x1001, 0x7fff, { GFN_END - 1, 1, 0x8000 } },
	{ GPA_END, 0x1000, 0x7000, { 0, 0, 0 } },
	{ 0, GPA_END, 0x1000, { 0, GFN_END, 0x1000 } },
	{ 0, GPA_END + 0x1000, 0x1000, { 0, 0, 0 } },
	{ 0, GPA_END + 0xfff, 0x1000, { 0, GFN_END, 0x1000 } },
	/* The end of 64 bits. */
	{ -0x1000ULL, 0x1000, 0x7000, { 0, 0, 0 } },
	{ -1ULL, 1, 0x7fff, { 0, 0, 0 } },
	{ 0, -1ULL, 0x1000, { 0, 0, 0 } },
};

struct extent_level_case {
	struct vmmu_extent extent;
	__u64 gfn;
	unsigned int max;
	unsigned int level;
};

static const struct extent_level_case extent_level_cases[] __initconst = {
	/* Exactly one huge page, by any page of it. */
	{ { 0x400, 0x200, 0x600000 }, 0x400, 3, 2 },
	{ { 0x400, 0x200, 0x600000 }, 0x4ff, 3, 2 },
	{ { 0x400, 0x200, 0x600000 }, 0x5ff, 3, 2 },
	{ { 0x400, 0x200, 0x600000 }, 0x5ff, 2, 2 },
	{ { 0x400, 0x200, 0x600000 }, 0x5ff, 1, 1 },
	/* A page too few at either end. */
	{ { 0x400, 0x1ff, 0x600000 }, 0x400, 3, 1 },
	{ { 0x401, 0x1ff, 0x601000 }, 0x401, 3, 1 },
	/* Pages to spare at either end do no harm, but get 4 KiB. */
	{ { 0x3ff, 0x202, 0x5ff000 }, 0x3ff, 3, 1 },
	{ { 0x3ff, 0x202, 0x5ff000 }, 0x400, 3, 2 },
	{ { 0x3ff, 0x202, 0x5ff000 }, 0x5ff, 3, 2 },
	{ { 0x3ff, 0x202, 0x5ff000 }, 0x600, 3, 1 },
	/* GPA and HVA differ by a page. */
	{ { 0x400, 0x400, 0x601000 }, 0x400, 3, 1 },
	{ { 0x401, 0x400, 0x600000 }, 0x500, 3, 1 },
	{ { 0x400, 0x400, 0x700000 }, 0x500, 3, 1 },
	/* Larger ones: by 2 MiB, by 1 GiB. */
	{ { 0x40000, 0x40000, 0x80000000 }, 0x40000, 3, 3 },
	{ { 0x40000, 0x40000, 0x80000000 }, 0x7ffff, 3, 3 },
	{ { 0x40000, 0x40000, 0x80000000 }, 0x7ffff, 2, 2 },
	{ { 0x40000, 0x3ffff, 0x80000000 }, 0x40000, 3, 2 },
	{ { 0x40000, 0x3ffff, 0x80000000 }, 0x7fdff, 3, 2 },
	{ { 0x40000, 0x3ffff, 0x80000000 }, 0x7fe00, 3, 1 },
	{ { 0x40200, 0x3fe00, 0x80200000 }, 0x40200, 3, 2 },
	{ { 0x40000, 0x40000, 0x80200000 }, 0x40000, 3, 2 },
	{ { 0x40000, 0x40000, 0x80001000 }, 0x40000, 3, 1 },
	/* At the ends of the guest's address space. */
	{ { 0, PAGES_1G, 0x40000000 }, 0, 3, 3 },
	{ { GFN_END - PAGES_1G, PAGES_1G, 0x40000000 }, GFN_END - 1, 3, 3 },
	{ { GFN_END - PAGES_2M, PAGES_2M, 0x40000000 }, GFN_END - 1, 3, 2 },
};

struct overlap_case {
	__u64 a, a_size;
	__u64 b, b_size;
	bool overlap;
};

static const struct overlap_case overlap_cases[] __initconst = {
	{ 10, 10, 10, 10, 1 },
	{ 10, 10, 12, 3, 1 },
	{ 10, 10, 19, 10, 1 },
	{ 10, 10, 20, 10, 0 },
	{ 10, 10, 0, 10, 0 },
	{ 10, 10, 0, 11, 1 },
	{ 10, 10, 100, 10, 0 },
	{ 7, 1, 7, 1, 1 },
	{ 7, 1, 8, 1, 0 },
	/* Up to the very last byte. */
	{ 0, -1ULL, -1ULL, 1, 0 },
	{ 1, -1ULL, -1ULL, 1, 1 },
	{ 1, -1ULL, 0, 1, 0 },
	{ -0x1000ULL, 0x1000, 0, -1ULL, 1 },
	{ -0x1000ULL, 0x1000, 0, 0x1000, 0 },
	{ -0x1000ULL, 0x1000, -0x2000ULL, 0x1000, 0 },
	{ -0x1000ULL, 0x1000, -0x2000ULL, 0x1001, 1 },
};

enum pte_is {
	NOTHING,
	TABLE,
	LEAF,
};

struct pte_case {
	unsigned long pfn;
	__u64 bits;
	__u64 pte;
	enum pte_is is;
};

static const struct pte_case pte_cases[] __initconst = {
	{ 0, 0, 0, NOTHING },
	{ 0, VMMU_PTE_FROZEN, 1ULL << 63, NOTHING },
	{ 0, VMMU_PTE_LEAF, 2, NOTHING },
	{ 1, VMMU_PTE_PRESENT, 0x1001, TABLE },
	{ 1, VMMU_PTE_PRESENT | VMMU_PTE_WRITE, 0x1005, TABLE },
	{ 1, VMMU_PTE_PRESENT | VMMU_PTE_LEAF, 0x1003, LEAF },
	{ 0, VMMU_PTE_PRESENT | VMMU_PTE_LEAF, 3, LEAF },
	{ 0x123456789, VMMU_PTE_PRESENT | VMMU_PTE_LEAF | VMMU_PTE_WRITE |
	  VMMU_PTE_HOST_WRITE | VMMU_PTE_ACCESSED | VMMU_PTE_DIRTY |
	  VMMU_PTE_DIRECT, 0x12345678907fULL, LEAF },
	/* As many bits of physical address as there can be. */
	{ 0xffffffffff, VMMU_PTE_PRESENT | VMMU_PTE_LEAF, 0xffffffffff003ULL,
	  LEAF },
};

#define PART_BITS (VMMU_PTE_PRESENT | VMMU_PTE_LEAF | VMMU_PTE_DIRTY)

/* Of the leaf that maps gfn: the page behind it, and the part if it is split. */
struct part_case {
	unsigned int level;
	unsigned long pfn;
	__u64 gfn;
	unsigned long pfn_of;
	unsigned long part;
};

static const struct part_case part_cases[] __initconst = {
	{ 1, 0x777, 0x123, 0x777, 0 },
	{ 2, 0x1000, 0x4000, 0x1000, 0x1000 },
	{ 2, 0x1000, 0x4001, 0x1001, 0x1001 },
	{ 2, 0x1000, 0x41ff, 0x11ff, 0x11ff },
	{ 3, 0x80000, 0x40000, 0x80000, 0x80000 },
	{ 3, 0x80000, 0x40201, 0x80201, 0x80200 },
	{ 3, 0x80000, 0x7ffff, 0xbffff, 0xbfe00 },
	{ 3, 0x80000, GFN_END - 1, 0xbffff, 0xbfe00 },
};

struct range_case {
	unsigned long start, end, last;
};

static const struct range_case range_cases[] __initconst = {
	{ 0, 0x1000, 0xfff },
	{ 0x1000, 0x1001, 0x1000 },
	/* The end of the address space. */
	{ 0, 0, -1UL },
	{ 0x1000, 0, -1UL },
	{ -1UL, 0, -1UL },
	/* Empty or turned round: never nothing. */
	{ 0x1000, 0x1000, 0x1000 },
	{ 0x1000, 1, 0x1000 },
	{ -1UL, -1UL, -1UL },
};

struct range_overlap_case {
	struct vmmu_range a, b;
	bool overlap;
};

static const struct range_overlap_case range_overlap_cases[] __initconst = {
	{ { 10, 20 }, { 10, 20 }, 1 },
	{ { 10, 20 }, { 20, 30 }, 1 },
	{ { 10, 20 }, { 21, 30 }, 0 },
	{ { 10, 20 }, { 12, 18 }, 1 },
	{ { 0, -1UL }, { 7, 7 }, 1 },
	{ { 0, 0 }, { -1UL, -1UL }, 0 },
	{ { -1UL, -1UL }, { 0, -1UL }, 1 },
};

/*
 * After so many starts, the n-th of page n, numbered from first on: was one of
 * page, counted from number since on?  The first few are still open.
 */
struct history_case {
	unsigned long first;
	unsigned long starts;
	unsigned long open;
	unsigned long since;
	unsigned long page;
	bool hit;
};

static const struct history_case history_cases[] __initconst = {
	{ 0, 0, 0, 0, 0, 0 },
	{ 0, 1, 0, 0, 0, 1 },
	{ 0, 1, 0, 0, 1, 0 },
	{ 0, 1, 0, 1, 0, 0 },
	/* Snapshots before, at and after the one that matters. */
	{ 0, 10, 0, 4, 5, 1 },
	{ 0, 10, 0, 5, 5, 1 },
	{ 0, 10, 0, 6, 5, 0 },
	{ 0, 10, 3, 6, 2, 0 },
	{ 0, 10, 3, 2, 2, 1 },
	/* As many as are remembered, and one more. */
	{ 0, 32, 0, 0, 0, 1 },
	{ 0, 32, 0, 0, 31, 1 },
	{ 0, 32, 0, 0, 32, 0 },
	{ 0, 33, 0, 0, 99, 1 },
	{ 0, 33, 0, 1, 99, 0 },
	{ 0, 33, 0, 1, 0, 0 },
	{ 0, 33, 0, 1, 1, 1 },
	{ 0, 33, 0, 1, 32, 1 },
	{ 0, 1000, 0, 968, 968, 1 },
	{ 0, 1000, 0, 968, 967, 0 },
	{ 0, 1000, 0, 967, 5000, 1 },
	/* The count wraps around. */
	{ -5UL, 10, 0, 0, 0, 1 },
	{ -5UL, 10, 0, 1, 0, 0 },
	{ -5UL, 10, 0, 1, 9, 1 },
	{ -5UL, 32, 0, 0, 40, 0 },
	{ -5UL, 33, 0, 0, 40, 1 },
	/* More are open than are remembered one by one. */
	{ 0, 65, 65, 65, 64, 0 },
	{ 0, 65, 65, 64, 64, 1 },
};

#endif /* VHOST_MMU_SELFTEST_CASES_H */
