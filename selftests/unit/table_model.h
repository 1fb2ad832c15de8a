/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a table is to hold, as plain arrays: for each page the level of its leaf
 * and the bits, and which tables there are.  Few places of the guest's address
 * space are enough: its ends, and both sides of an entry of the root.
 */
#ifndef TABLE_MODEL_H
#define TABLE_MODEL_H

#include "mmu_rig.h"

#define BLOCKS		4
#define BLOCK_PAGES	(1UL << 18)
#define BLOCK_PTS	512
#define ROOTS		3
#define MODEL_PAGES	(BLOCKS * BLOCK_PAGES)
#define MODEL_BITS	0x7fULL

/**
 * struct model - what there is to be
 * @level: of the leaf, by page; 0 for none
 * @bits: of the leaf, by page
 * @base: page number behind the first page, by block
 * @pt1: there is a table of 4 KiB entries
 * @pt2: there is a table of 2 MiB entries, by block
 * @pt3: there is a table of 1 GiB entries, by root entry
 * @pages: leaves by level
 * @tables: tables, the root included
 * @zapped: pages unmapped
 * @splits: huge leaves split
 * @collapses: tables replaced or removed for a huge leaf
 * @dirty: leaves that went and were dirty
 * @dirty_pfns: sum of their page numbers
 * @accessed: leaves that went and were used
 * @accessed_pfns: sum of their page numbers
 */
struct model {
	u8 level[MODEL_PAGES];
	u8 bits[MODEL_PAGES];
	u64 base[BLOCKS];
	bool pt1[BLOCKS * BLOCK_PTS];
	bool pt2[BLOCKS];
	bool pt3[ROOTS];
	s64 pages[VMMU_LEVEL_MAX_LEAF];
	s64 tables;
	s64 zapped;
	s64 splits;
	s64 collapses;
	u64 dirty;
	u64 dirty_pfns;
	u64 accessed;
	u64 accessed_pfns;
};

extern struct model model;
extern const u64 block_gfn[BLOCKS];

u64 model_gfn(u32 page);
u64 model_pfn(u32 page);
void model_init(void);
enum vmmu_mapped model_map(u32 page, unsigned int level, u64 pfn, u64 bits,
			   unsigned int nr_cached);
void model_zap(u64 first, u64 last);
void model_prune(u64 first, u64 last);
void model_split(u64 first, u64 last);
void model_clear(u64 first, u64 last, u64 bits);
void model_collapse(const struct vmmu_extent *slot, unsigned int host_level);
bool model_lookup(u32 page, bool write);
u64 model_age(u64 first, u64 last, bool clear, unsigned long *bitmap);
void model_race(u64 gfn, unsigned int level, u64 old, u64 marks, bool split);

#endif
