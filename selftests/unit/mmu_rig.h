/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table of the MMU without an address space, and what watches over it: memory
 * is freed as soon as RCU allows it, so that the sanitizer sees who is late, and
 * a table that RCU frees must be frozen all over.
 */
#ifndef MMU_RIG_H
#define MMU_RIG_H

#include "mmu/memslot.h"
#include "mmu/pt_iter.h"
#include "mmu/pt_lookup.h"
#include "mmu/pt_change.h"
#include "mmu/pt_huge.h"
#include "mmu/pt_map.h"
#include "mmu/pt_zap.h"
#include "space/space.h"

#define LEAF_BITS	(VMMU_PTE_PRESENT | VMMU_PTE_LEAF | VMMU_PTE_DIRECT)

/**
 * struct unit_kernel - what the code under test has asked of the kernel
 * @dies: unit_die() is expected, and ends the test as SIGKILL does
 * @rng: state of unit_random(), not 0
 * @yield_percent: how often others want to run
 * @yields: how often they did
 * @yields_max: more of them in a row make no progress
 * @resched: called while they run, no lock being held; may be NULL
 * @synchronize: called where an SRCU grace period is waited for; may be NULL
 * @objects: memory that kfree() is still to get
 * @pages: tables that are allocated
 * @pages_max: no more are given out
 * @host_level: level of the host's entries
 * @dirty: pages reported as dirty
 * @dirty_pfns: sum of their numbers
 * @accessed: pages reported as accessed
 * @accessed_pfns: sum of their numbers
 * @flushes: how often a section was told to forget something
 * @barriers: how many full barriers there were
 * @work: what was looked at and asserted since mmu_lock was taken
 * @work_max: the most there was in one hold of it
 * @hold: number of this hold of mmu_lock; a walk that yields stays in it
 * @resumed: the next one goes on with that hold
 * @owes_flush: hold in which something was taken that readers may still have
 */
struct unit_kernel {
	bool dies;
	u64 rng;
	unsigned int yield_percent;
	unsigned long yields;
	unsigned long yields_max;
	void (*resched)(void);
	void (*synchronize)(void);
	unsigned long objects;
	unsigned long pages;
	unsigned long pages_max;
	unsigned int host_level;
	u64 dirty;
	u64 dirty_pfns;
	u64 accessed;
	u64 accessed_pfns;
	u64 flushes;
	unsigned long barriers;
	u64 work;
	u64 work_max;
	u64 hold;
	bool resumed;
	u64 owes_flush;
};

#define UNIT_TLB 24
/* More than are drained in one hold of mmu_lock. */
#define UNIT_SECTIONS 6

/**
 * struct unit_tlb_entry - what a reader keeps of the tables
 * @gfn: first page
 * @npages: how many, 0 for none
 * @pfn: page behind the first
 * @write: it writes there
 */
struct unit_tlb_entry {
	u64 gfn;
	u64 npages;
	u64 pfn;
	bool write;
};

extern struct unit_tlb_entry unit_tlb[UNIT_TLB];
extern struct vmmu_section unit_sections[UNIT_SECTIONS];

extern struct unit_kernel unit_kernel;

u64 unit_random(u64 below);
bool unit_tlb_fill(struct vmmu *mmu, u64 gfn, bool write);
bool unit_tlb_has(u64 first, u64 last);
bool unit_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf);
bool unit_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf);
void unit_tlb_check(struct vmmu *mmu, u64 first, u64 last);
struct vmmu *unit_table_new(void);
void unit_table_free(struct vmmu *mmu);
enum vmmu_mapped unit_map(struct vmmu *mmu, u64 gfn, unsigned int level,
			  unsigned long pfn, u64 bits, unsigned int nr_cached);

#endif
