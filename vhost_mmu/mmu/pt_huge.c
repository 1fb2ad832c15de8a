// SPDX-License-Identifier: GPL-2.0
/*
 * Splitting huge leafs, and making room for them again.
 */
#include <linux/mm.h>

#include "../space/page.h"
#include "flush.h"
#include "pt_change.h"
#include "pt_huge.h"
#include "pt_mem.h"

/* Filling a table takes as long as so many steps of a walk. */
#define SPLIT_STEPS 64
/* So does a look at the host's page table. */
#define HOST_STEPS 16

/**
 * vmmu_split_huge_here() - replace a huge leaf by a table of its parts
 * @iter: walk at the leaf
 * @pt: table to use; its contents do not matter
 *
 * Nothing changes for who uses the pages.
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: false if the entry is no leaf any more; @pt still is the caller's and
 *	is empty then.
 */
bool vmmu_split_huge_here(struct vmmu_iter *iter, vmmu_pte_t *pt)
{
	struct vmmu_stats *stats = &iter->mmu->stats;
	atomic64_t *parts = &stats->pages[iter->level - 2];
	unsigned int i;

	vmmu_iter_assert_held(iter);

	/* Counted before others can unmap them. */
	atomic64_add(VMMU_PTES, parts);
	while (vmmu_pte_leaf(iter->old)) {
		for (i = 0; i < VMMU_PTES; i++)
			pt[i].val = vmmu_pte_split(iter->old, iter->level, i);
		/* Fails, too, if a worker has marked it meanwhile. */
		if (vmmu_iter_cmpxchg(iter, __pa(pt) | VMMU_PTE_PRESENT)) {
			atomic64_inc(&stats->splits);
			return true;
		}
	}
	atomic64_sub(VMMU_PTES, parts);
	memset(pt, 0, PAGE_SIZE);
	return false;
}

/**
 * vmmu_split_huge() - split all huge leafs, down to 4 KiB
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * Without memory for tables what is huge stays so: the first write splits it.
 *
 * Context: process context, may sleep.
 */
void vmmu_split_huge(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_context ctx;
	struct vmmu_iter iter;
	int ret = 0;

	vmmu_context_init(&ctx, mmu, NULL);
	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_SHARED, VMMU_LEVEL_2M, first, last) {
		if (vmmu_iter_yield(&iter, true))
			continue;
		if (!vmmu_pte_leaf(iter.old))
			continue;

		if (!ctx.nr_cached) {
			rcu_read_unlock();
			read_unlock(&mmu->mmu_lock);
			ret = vmmu_context_topup(&ctx, 1);
			read_lock(&mmu->mmu_lock);
			rcu_read_lock();
			if (ret)
				break;
			vmmu_iter_dropped(&iter);
			continue;
		}
		if (vmmu_split_huge_here(&iter, ctx.cache[0]))
			ctx.nr_cached--;
		vmmu_iter_charge(&iter, SPLIT_STEPS);
	}
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	vmmu_context_destroy(&ctx);
}

/**
 * vmmu_pt_flat() - is no other table below a table?
 * @pt: the table, linked
 *
 * Such a one is taken down in one short hold.
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: true if there was none.
 */
bool vmmu_pt_flat(const vmmu_pte_t *pt)
{
	unsigned int i;

	for (i = 0; i < VMMU_PTES; i++) {
		if (vmmu_pte_table(vmmu_pte_read(&pt[i])))
			return false;
	}
	return true;
}

/* Could a leaf of the size of the entry take the place of the table below? */
static bool collapsible(const struct vmmu_iter *iter,
			const struct vmmu_memslot *slot)
{
	struct mm_struct *mm = iter->mmu->space->mn.mm;
	unsigned int level = iter->level;

	lockdep_assert_held_write(&iter->mmu->mmu_lock);

	if (!vmmu_pte_table(iter->old) || !vmmu_slot_maps(slot, iter->gfn) ||
	    vmmu_extent_level(&slot->map, iter->gfn, level) < level)
		return false;
	return vmmu_host_order(mm, vmmu_slot_page_hva(slot, iter->gfn), 0) >=
	       vmmu_level_order(level);
}

/* Take the tables down whose place a leaf of @level could take. */
static void collapse_level(struct vmmu_gather *gather,
			   const struct vmmu_memslot *slot, unsigned int level)
{
	const u64 first = slot->map.gfn;
	const u64 last = first + slot->map.npages - 1;
	struct vmmu_iter iter;

	rcu_read_lock();
	vmmu_gather_for_each_pte(iter, gather, level, first, last) {
		if (vmmu_iter_yield(&iter, true))
			continue;
		if (iter.level != level)
			continue;
		vmmu_iter_charge(&iter, HOST_STEPS);
		if (!collapsible(&iter, slot))
			continue;
		/* All of its entries are looked at. */
		vmmu_iter_charge(&iter, VMMU_HOLD_STEPS);
		/* What lies below has its own turn, before or another time. */
		if (level > VMMU_LEVEL_2M &&
		    !vmmu_pt_flat(vmmu_pte_child(iter.old)))
			continue;
		vmmu_iter_set(&iter, 0);
		vmmu_gather_add(gather, iter.gfn,
				vmmu_level_next(iter.gfn, iter.level) - 1);
		atomic64_inc(&gather->mmu->stats.collapses);
	}
	rcu_read_unlock();
}

/**
 * vmmu_collapse_huge() - unmap what could be mapped by huge leafs
 * @mmu: the MMU
 * @slot: memslot whose entries to look at, in the active set
 *
 * The next fault maps it so.  From the lowest level up, so that each step takes
 * down one table.
 *
 * Context: process context, slots_lock held, may sleep.
 */
void vmmu_collapse_huge(struct vmmu *mmu, const struct vmmu_memslot *slot)
{
	struct vmmu_gather gather;
	unsigned int level;

	lockdep_assert_held(&mmu->slots_lock);

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	for (level = VMMU_LEVEL_2M; level <= VMMU_LEVEL_MAX_LEAF; level++)
		collapse_level(&gather, slot, level);
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
}
