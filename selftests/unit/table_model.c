// SPDX-License-Identifier: GPL-2.0
/* The plain arrays that a table is compared with. */
#include "table_model.h"

struct model model;

const u64 block_gfn[BLOCKS] = {
	0,
	(1ULL << 27) - BLOCK_PAGES,
	1ULL << 27,
	VMMU_MAX_GFN + 1 - BLOCK_PAGES,
};

static const unsigned int block_root[BLOCKS] = { 0, 0, 1, 2 };

u64 model_gfn(u32 page)
{
	return block_gfn[page / BLOCK_PAGES] + page % BLOCK_PAGES;
}

u64 model_pfn(u32 page)
{
	return model.base[page / BLOCK_PAGES] + page % BLOCK_PAGES;
}

static u32 pages_of(unsigned int level)
{
	return level == 3 ? BLOCK_PAGES : level == 2 ? 512 : 1;
}

void model_init(void)
{
	unsigned int b;

	memset(&model, 0, sizeof(model));
	model.tables = 1;
	for (b = 0; b < BLOCKS; b++)
		model.base[b] = (1 + b) * BLOCK_PAGES;
}

/* The part of a block in a range, as pages; false if there is none. */
static bool clip(unsigned int b, u64 first, u64 last, u32 *from, u32 *to)
{
	const u64 start = block_gfn[b], end = start + BLOCK_PAGES - 1;

	if (last < start || first > end)
		return false;
	*from = b * BLOCK_PAGES + (first > start ? first - start : 0);
	*to = b * BLOCK_PAGES + (last < end ? last : end) - start;
	return true;
}

#define for_each_clip(b, first, last, from, to)				\
	for ((b) = 0; (b) < BLOCKS; (b)++)				\
		if (clip(b, first, last, &(from), &(to)))

/* First page of the leaf that maps a page. */
static u32 leaf_of(u32 page)
{
	return page - page % pages_of(model.level[page]);
}

static void hand_over(u64 bits, u64 pfn)
{
	if (!(bits & VMMU_PTE_DIRECT))
		return;
	if (bits & VMMU_PTE_DIRTY) {
		model.dirty++;
		model.dirty_pfns += pfn;
	}
	if (bits & VMMU_PTE_ACCESSED) {
		model.accessed++;
		model.accessed_pfns += pfn;
	}
}

/* A leaf goes; returns the page behind it. */
static u32 drop(u32 page)
{
	const unsigned int level = model.level[page];
	const u32 at = leaf_of(page), n = pages_of(level);

	hand_over(model.bits[at], model_pfn(at));
	model.pages[level - 1]--;
	model.zapped += n;
	memset(&model.level[at], 0, n);
	memset(&model.bits[at], 0, n);
	return at + n;
}

static void drop_all(u32 from, u32 to)
{
	u32 p = from;

	while (p <= to) {
		if (model.level[p])
			p = drop(p);
		else
			p++;
	}
}

void model_zap(u64 first, u64 last)
{
	unsigned int b;
	u32 from, to;

	for_each_clip(b, first, last, from, to)
		drop_all(from, to);
}

static bool maps_nothing(u32 from, u32 n)
{
	u32 p;

	for (p = from; p < from + n; p++)
		if (model.level[p])
			return false;
	return true;
}

static bool holds_no_pt1(unsigned int b)
{
	unsigned int i;

	for (i = 0; i < BLOCK_PTS; i++)
		if (model.pt1[b * BLOCK_PTS + i])
			return false;
	return true;
}

static void remove_pt(bool *pt)
{
	*pt = false;
	model.tables--;
}

void model_prune(u64 first, u64 last)
{
	bool empty[ROOTS] = { true, true, true };
	unsigned int b, i;
	u32 from, to;

	for_each_clip(b, first, last, from, to) {
		for (i = from / 512; i <= to / 512; i++)
			if (model.pt1[i] && maps_nothing(i * 512, 512))
				remove_pt(&model.pt1[i]);
		if (model.pt2[b] && holds_no_pt1(b) &&
		    maps_nothing(b * BLOCK_PAGES, BLOCK_PAGES))
			remove_pt(&model.pt2[b]);
	}
	for (b = 0; b < BLOCKS; b++)
		if (model.pt2[b] || model.level[b * BLOCK_PAGES] == 3)
			empty[block_root[b]] = false;
	for_each_clip(b, first, last, from, to) {
		i = block_root[b];
		if (model.pt3[i] && empty[i])
			remove_pt(&model.pt3[i]);
	}
}

/* A leaf becomes parts one level below, and a table that holds them. */
static void split_leaf(u32 page)
{
	const unsigned int level = model.level[page];
	const u32 at = leaf_of(page);

	hand_over(model.bits[at], model_pfn(at));
	memset(&model.level[at], level - 1, pages_of(level));
	model.pages[level - 1]--;
	model.pages[level - 2] += 512;
	if (level == 3)
		model.pt2[at / BLOCK_PAGES] = true;
	else
		model.pt1[at / 512] = true;
	model.tables++;
	model.splits++;
}

void model_split(u64 first, u64 last)
{
	unsigned int b;
	u32 from, to, p;

	for_each_clip(b, first, last, from, to) {
		if (model.level[from] == 3)
			split_leaf(from);
		for (p = from - from % 512; p <= to; p += 512)
			if (model.level[p] == 2)
				split_leaf(p);
	}
}

void model_clear(u64 first, u64 last, u64 bits)
{
	unsigned int b;
	u32 from, to, p, n;

	for_each_clip(b, first, last, from, to) {
		for (p = from; p <= to; p++) {
			if (!(model.bits[p] & bits))
				continue;
			n = pages_of(model.level[p]);
			for (p = leaf_of(p); n; n--)
				model.bits[p++] &= ~bits;
			p--;
		}
	}
}

u64 model_age(u64 first, u64 last, bool clear, unsigned long *bitmap)
{
	unsigned int b;
	u32 from, to, p;
	u64 young = 0;

	for_each_clip(b, first, last, from, to) {
		for (p = from; p <= to; p++) {
			if (!(model.bits[p] & VMMU_PTE_ACCESSED))
				continue;
			young++;
			if (bitmap)
				bitmap_set(bitmap, model_gfn(p) - first, 1);
		}
	}
	if (clear)
		model_clear(first, last, VMMU_PTE_ACCESSED);
	return young;
}

static void set_bits(u32 at, unsigned int level, u64 bits)
{
	u32 i;

	for (i = 0; i < pages_of(level); i++)
		model.bits[at + i] |= bits;
}

/* All that lies below an entry goes. */
static void remove_below(u32 at, unsigned int level)
{
	u32 i;

	drop_all(at, at + pages_of(level) - 1);
	for (i = at / 512; i < (at + pages_of(level)) / 512; i++)
		if (model.pt1[i])
			remove_pt(&model.pt1[i]);
	if (level == 3)
		remove_pt(&model.pt2[at / BLOCK_PAGES]);
	model.collapses++;
}

static bool *table_below(u32 at, unsigned int level)
{
	switch (level) {
	case 4:		return &model.pt3[block_root[at / BLOCK_PAGES]];
	case 3:		return &model.pt2[at / BLOCK_PAGES];
	default:	return &model.pt1[at / 512];
	}
}

/* Is there no table below the one of an entry? */
static bool flat(u32 at, unsigned int level)
{
	u32 i;

	for (i = at / 512; level == 3 && i < (at + pages_of(level)) / 512; i++)
		if (model.pt1[i])
			return false;
	return true;
}

static enum vmmu_mapped map_here(u32 at, unsigned int level, u64 pfn, u64 bits)
{
	if (model.level[at] == level) {
		if (!(bits & VMMU_PTE_WRITE & ~(u64)model.bits[at]))
			return VMMU_MAP_SPURIOUS;
		if (pfn != model_pfn(at))
			return VMMU_MAP_RETRY;
		set_bits(at, level, bits);
		return VMMU_MAP_FIXED;
	}
	if (level > 1 && *table_below(at, level)) {
		if (!flat(at, level))
			return VMMU_MAP_RETRY;
		remove_below(at, level);
		if (bits & VMMU_PTE_HOST_WRITE)
			bits |= VMMU_PTE_DIRTY;
	}
	memset(&model.level[at], level, pages_of(level));
	set_bits(at, level, bits);
	model.pages[level - 1]++;
	return VMMU_MAP_FIXED;
}

enum vmmu_mapped model_map(u32 page, unsigned int level, u64 pfn, u64 bits,
			   unsigned int nr_cached)
{
	unsigned int l;
	bool *below;

	for (l = VMMU_LEVEL_ROOT; l > level; l--) {
		below = table_below(page, l);
		if (*below)
			continue;
		if (model.level[page] == l &&
		    !(bits & VMMU_PTE_WRITE & ~(u64)model.bits[page]))
			return VMMU_MAP_SPURIOUS;
		if (!nr_cached--)
			return VMMU_MAP_NOMEM;
		if (model.level[page] == l) {
			split_leaf(page);
		} else {
			*below = true;
			model.tables++;
		}
	}
	return map_here(page - page % pages_of(level), level, pfn, bits);
}

static bool could_be_huge(const struct vmmu_extent *slot, u32 at,
			  unsigned int level)
{
	const u64 gfn = model_gfn(at), n = pages_of(level);

	return gfn >= slot->gfn && gfn + n <= slot->gfn + slot->npages &&
	       ((slot->hva >> PAGE_SHIFT) + gfn - slot->gfn) % n == 0;
}

void model_collapse(const struct vmmu_extent *slot, unsigned int host_level)
{
	unsigned int b, i;
	u32 from, to;

	for_each_clip(b, slot->gfn, slot->gfn + slot->npages - 1, from, to) {
		for (i = from / 512; host_level >= 2 && i <= to / 512; i++)
			if (model.pt1[i] && could_be_huge(slot, i * 512, 2))
				remove_below(i * 512, 2);
		if (host_level >= 3 && model.pt2[b] &&
		    could_be_huge(slot, b * BLOCK_PAGES, 3))
			remove_below(b * BLOCK_PAGES, 3);
	}
}

bool model_lookup(u32 page, bool write)
{
	u64 need = VMMU_PTE_DIRECT | (write ? VMMU_PTE_WRITE : 0);

	if (!model.level[page] || (model.bits[page] & need) != need)
		return false;
	set_bits(leaf_of(page), model.level[page],
		 VMMU_PTE_ACCESSED | (write ? VMMU_PTE_DIRTY : 0));
	return true;
}

/*
 * A reader has marked a leaf that is just about to go, or to be split; for the
 * model it has been already, and some of its parts may have been as well.
 */
void model_race(u64 gfn, unsigned int level, u64 old, u64 marks, bool split)
{
	const u64 more = (old & VMMU_PTE_DIRECT) | (marks & ~old);
	unsigned int b;
	u32 at, to, i;

	hand_over(more, vmmu_pte_pfn(old));
	if (!split)
		return;
	for_each_clip(b, gfn, gfn, at, to) {
		set_bits(at, level, marks);
		for (i = at; level == 3 && i < at + BLOCK_PAGES; i += 512)
			if (model.pt1[i / 512])
				hand_over(more, model_pfn(i));
	}
}
