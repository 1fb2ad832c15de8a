// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of the MMU against tables, as a debug build is loaded and in
 * the unit tests: the same compiler, word size and options that matter.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "selftest.h"
#include "selftest_cases.h"

#define CASES(cases) ((int)(sizeof(cases) / sizeof((cases)[0])))

/* Each check returns the number of the first case that fails, or -1. */
static int __init check_levels(void)
{
	int i;

	for (i = 0; i < CASES(level_cases); i++) {
		const struct level_case *c = &level_cases[i];

		if (vmmu_level_order(c->level) != c->order ||
		    vmmu_level_pages(c->level) != c->pages ||
		    vmmu_level_shift(c->level) != c->order + VMMU_PAGE_SHIFT)
			return i;
	}
	return -1;
}

static int __init check_entries(void)
{
	int i;

	for (i = 0; i < CASES(entry_cases); i++) {
		const struct entry_case *c = &entry_cases[i];

		if (vmmu_pte_index(c->gfn, c->level) != c->index ||
		    vmmu_level_base(c->gfn, c->level) != c->base ||
		    vmmu_level_next(c->gfn, c->level) != c->next)
			return i;
	}
	return -1;
}

static int __init check_extents(void)
{
	struct vmmu_extent extent;
	int i;

	for (i = 0; i < CASES(extent_cases); i++) {
		const struct extent_case *c = &extent_cases[i];

		extent = vmmu_extent_of(c->gpa, c->size, c->hva);
		if (extent.npages != c->extent.npages)
			return i;
		if (extent.npages && (extent.gfn != c->extent.gfn ||
				      extent.hva != c->extent.hva))
			return i;
	}
	return -1;
}

static int __init check_extent_levels(void)
{
	int i;

	for (i = 0; i < CASES(extent_level_cases); i++) {
		const struct extent_level_case *c = &extent_level_cases[i];

		if (vmmu_extent_level(&c->extent, c->gfn, c->max) != c->level)
			return i;
	}
	return -1;
}

static int __init check_overlaps(void)
{
	int i;

	for (i = 0; i < CASES(overlap_cases); i++) {
		const struct overlap_case *c = &overlap_cases[i];

		if (vmmu_bytes_overlap(c->a, c->a_size, c->b, c->b_size) !=
		    c->overlap ||
		    vmmu_bytes_overlap(c->b, c->b_size, c->a, c->a_size) !=
		    c->overlap)
			return i;
	}
	return -1;
}

static int __init check_ptes(void)
{
	int i;

	for (i = 0; i < CASES(pte_cases); i++) {
		const struct pte_case *c = &pte_cases[i];
		const __u64 pte = vmmu_pte_make(c->pfn, c->bits);
		const bool leaf = c->is == LEAF, table = c->is == TABLE;

		if (pte != c->pte || vmmu_pte_pfn(pte) != c->pfn ||
		    vmmu_pte_present(pte) != (leaf || table) ||
		    vmmu_pte_leaf(pte) != leaf || vmmu_pte_table(pte) != table)
			return i;
	}
	return -1;
}

static int __init check_parts(void)
{
	int i;

	for (i = 0; i < CASES(part_cases); i++) {
		const struct part_case *c = &part_cases[i];
		const __u64 pte = vmmu_pte_make(c->pfn, PART_BITS);

		if (vmmu_pte_pfn_of(pte, c->level, c->gfn) != c->pfn_of)
			return i;
		if (c->level > VMMU_LEVEL_4K &&
		    vmmu_pte_split(pte, c->level,
				   vmmu_pte_index(c->gfn, c->level - 1)) !=
		    vmmu_pte_make(c->part, PART_BITS))
			return i;
	}
	return -1;
}

static int __init check_ranges(void)
{
	struct vmmu_range range;
	int i;

	for (i = 0; i < CASES(range_cases); i++) {
		const struct range_case *c = &range_cases[i];

		range = vmmu_range_from_end(c->start, c->end);
		if (range.start != c->start || range.last != c->last)
			return i;
	}
	for (i = 0; i < CASES(range_overlap_cases); i++) {
		const struct range_overlap_case *c = &range_overlap_cases[i];

		if (vmmu_range_overlaps(c->a, c->b) != c->overlap ||
		    vmmu_range_overlaps(c->b, c->a) != c->overlap)
			return i;
	}
	return -1;
}

/* Invalidations one after the other, the n-th of page n. */
static struct vmmu_inval history __initdata;

static int __init check_history(void)
{
	int i;

	for (i = 0; i < CASES(history_cases); i++) {
		const struct history_case *c = &history_cases[i];
		struct vmmu_range page = {};
		const bool open = c->page < c->open;
		unsigned long n;

		memset(&history, 0, sizeof(history));
		history.seq = c->first;
		for (n = 0; n < c->starts; n++) {
			page.start = n << VMMU_PAGE_SHIFT;
			page.last = page.start + 1;
			vmmu_inval_begin(&history, page);
			/* As many stay open as a case says. */
			if (n >= c->open && !vmmu_inval_end(&history, page))
				return i;
		}
		page.start = c->page << VMMU_PAGE_SHIFT;
		page.last = page.start;
		if (vmmu_inval_since(&history, c->first + c->since, page) !=
		    c->hit ||
		    vmmu_inval_overlaps(&history, page) != open ||
		    vmmu_inval_active(&history) != !!c->open)
			return i;
	}
	return -1;
}

struct check {
	const char *name;
	int (*run)(void);
};

static const struct check checks[] __initconst = {
	{ "levels", check_levels },
	{ "entries", check_entries },
	{ "extents", check_extents },
	{ "extent_levels", check_extent_levels },
	{ "overlaps", check_overlaps },
	{ "ptes", check_ptes },
	{ "parts", check_parts },
	{ "ranges", check_ranges },
	{ "history", check_history },
};

/**
 * vmmu_selftest() - check what everything else is built on
 *
 * Return: 0, or -EINVAL after a message that says what is wrong.
 */
int __init vmmu_selftest(void)
{
	int i, failed;

	for (i = 0; i < CASES(checks); i++) {
		failed = checks[i].run();
		if (failed < 0)
			continue;
		pr_err("vhost_mmu: selftest %s: case %d is wrong, see mmu/selftest_cases.h\n",
		       checks[i].name, failed);
		return -EINVAL;
	}
	return 0;
}
