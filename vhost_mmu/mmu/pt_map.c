// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping.  Any number of faults map at the same time under the read lock.  Each
 * changes an entry by compare and exchange; the loser rereads the entry.
 */
#include "flush.h"
#include "pt_change.h"
#include "pt_huge.h"
#include "pt_map.h"

/* Does the leaf do what the mapping asks for? */
static bool leaf_suffices(u64 pte, const struct vmmu_mapping *map)
{
	return !(map->bits & VMMU_PTE_WRITE & ~pte);
}

/* Hang an empty table, or the parts of a huge leaf, below the entry. */
static enum vmmu_mapped grow(struct vmmu_context *ctx, struct vmmu_iter *iter)
{
	vmmu_pte_t *pt;

	vmmu_iter_assert_held(iter);

	if (!ctx->nr_cached)
		return VMMU_MAP_NOMEM;
	pt = ctx->cache[ctx->nr_cached - 1];

	if (vmmu_pte_leaf(iter->old)) {
		if (!vmmu_split_huge_here(iter, pt))
			return VMMU_MAP_RETRY;
	} else if (!vmmu_iter_cmpxchg(iter, __pa(pt) | VMMU_PTE_PRESENT)) {
		return VMMU_MAP_RETRY;
	}
	ctx->nr_cached--;
	return VMMU_MAP_FIXED;
}

/**
 * vmmu_map_here() - map a page at the entry that a walk is at
 * @iter: walk at the entry of the mapping's page and level
 * @map: what to map
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: VMMU_MAP_FIXED, VMMU_MAP_SPURIOUS or VMMU_MAP_RETRY.
 */
enum vmmu_mapped vmmu_map_here(struct vmmu_iter *iter,
			       const struct vmmu_mapping *map)
{
	u64 new = vmmu_pte_make(map->pfn, map->bits);
	u64 last, old = iter->old;

	vmmu_iter_assert_held(iter);

	if (vmmu_pte_leaf(old)) {
		if (leaf_suffices(old, map))
			return VMMU_MAP_SPURIOUS;
		/* Not the page that is there: its invalidation is under way. */
		if ((old ^ new) & VMMU_PTE_PFN_MASK)
			return VMMU_MAP_RETRY;
		new |= old;
	} else if (vmmu_pte_table(old)) {
		/* A fault asks for less then, unless another was faster. */
		if (iter->level > VMMU_LEVEL_2M &&
		    !vmmu_pt_flat(vmmu_pte_child(old)))
			return VMMU_MAP_RETRY;
		/*
		 * A worker may have written through the small entries a moment
		 * ago.  The huge entry is dirty from the start, so the page
		 * learns of that write at the latest when the entry goes.
		 */
		if (new & VMMU_PTE_HOST_WRITE)
			new |= VMMU_PTE_DIRTY;
	}

	if (!vmmu_iter_cmpxchg(iter, new))
		return VMMU_MAP_RETRY;
	if (vmmu_pte_table(old)) {
		atomic64_inc(&iter->mmu->stats.collapses);
		/* What is done to the huge one is done to all of it. */
		last = vmmu_level_next(iter->gfn, iter->level) - 1;
		vmmu_sections_flush(iter->mmu, iter->gfn, last);
	}
	return VMMU_MAP_FIXED;
}

/**
 * vmmu_map_first() - go to the entry of a mapping, and map
 * @ctx: has tables for the levels that are missing
 * @iter: walk, left at the entry unless the result is VMMU_MAP_RETRY or _NOMEM
 * @hold: how the caller holds mmu_lock
 * @map: what to map
 *
 * Context: mmu_lock and an RCU read section held.
 * Return: what became of it; VMMU_MAP_SPURIOUS also if a larger leaf maps it.
 */
enum vmmu_mapped vmmu_map_first(struct vmmu_context *ctx,
				struct vmmu_iter *iter, enum vmmu_hold hold,
				const struct vmmu_mapping *map)
{
	enum vmmu_mapped ret;

	vmmu_for_each_pte(*iter, ctx->mmu, hold, map->level, map->gfn,
			  map->gfn) {
		if (iter->level == map->level)
			return vmmu_map_here(iter, map);

		if (iter->old == VMMU_PTE_FROZEN)
			return VMMU_MAP_RETRY;
		if (vmmu_pte_table(iter->old))
			continue;
		if (vmmu_pte_leaf(iter->old) && leaf_suffices(iter->old, map))
			return VMMU_MAP_SPURIOUS;

		ret = grow(ctx, iter);
		if (ret != VMMU_MAP_FIXED)
			return ret;
	}
	return VMMU_MAP_RETRY;
}
