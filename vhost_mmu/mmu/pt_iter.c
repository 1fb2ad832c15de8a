// SPDX-License-Identifier: GPL-2.0
/*
 * The walk over the entries of an MMU.
 *
 * A table that a walk is in is not freed: whoever unlinks one leaves the freeing
 * to RCU, and every walk is in an RCU read section.
 */
#include "pt_iter.h"
#include "flush.h"

static void iter_read(struct vmmu_iter *iter)
{
	iter->ptep = iter->path[iter->level - 1] +
		     vmmu_pte_index(iter->next, iter->level);
	iter->gfn = vmmu_level_base(iter->next, iter->level);
	iter->old = vmmu_pte_read(iter->ptep);
}

static void iter_restart(struct vmmu_iter *iter)
{
	iter->level = VMMU_LEVEL_ROOT;
	iter->path[VMMU_LEVEL_ROOT - 1] = iter->mmu->root;
	iter->yielded = false;
	iter_read(iter);
}

/**
 * vmmu_iter_start() - go to the root's entry for a page
 * @iter: the walk
 * @mmu: what to walk
 * @hold: how the caller holds mmu_lock, and will hold it to the end
 * @min_level: lowest level to visit
 * @gfn: first page
 *
 * Context: mmu_lock held as @hold says; in an RCU read section.
 */
void vmmu_iter_start(struct vmmu_iter *iter, struct vmmu *mmu,
		     enum vmmu_hold hold, unsigned int min_level, u64 gfn)
{
	iter->mmu = mmu;
	iter->gather = NULL;
	iter->hold = hold;
	iter->min_level = min_level;
	iter->next = gfn;
	/* Nowhere, so that the first entry may yield. */
	iter->yielded_at = U64_MAX;
	iter->own_steps = (struct vmmu_steps){ 0 };
	iter->steps = &iter->own_steps;
	iter->yielded = false;
	vmmu_iter_assert_held(iter);

	iter->valid = gfn <= VMMU_MAX_GFN;
	if (iter->valid)
		iter_restart(iter);
}

/**
 * vmmu_iter_start_gather() - vmmu_iter_start() for one of the walks of a gather
 * @iter: the walk
 * @gather: the gather
 * @min_level: lowest level to visit
 * @gfn: first page
 *
 * Context: mmu_lock held for writing; in an RCU read section.
 */
void vmmu_iter_start_gather(struct vmmu_iter *iter, struct vmmu_gather *gather,
			    unsigned int min_level, u64 gfn)
{
	vmmu_iter_start(iter, gather->mmu, VMMU_EXCLUSIVE, min_level, gfn);
	iter->gather = gather;
	iter->steps = &gather->steps;
}

static bool iter_down(struct vmmu_iter *iter)
{
	if (iter->level == iter->min_level)
		return false;

	/* The body may have changed it. */
	iter->old = vmmu_pte_read(iter->ptep);
	if (!vmmu_pte_table(iter->old))
		return false;

	iter->level--;
	iter->path[iter->level - 1] = vmmu_pte_child(iter->old);
	iter_read(iter);
	return true;
}

static bool iter_side(struct vmmu_iter *iter)
{
	/* The last entry of its table: the next one has another parent. */
	if (vmmu_pte_index(iter->gfn, iter->level) == VMMU_PTES - 1)
		return false;

	iter->gfn = vmmu_level_next(iter->gfn, iter->level);
	iter->next = iter->gfn;
	iter->old = vmmu_pte_read(++iter->ptep);
	return true;
}

static bool iter_up(struct vmmu_iter *iter)
{
	if (iter->level == VMMU_LEVEL_ROOT)
		return false;

	iter->level++;
	iter->gfn = vmmu_level_base(iter->gfn, iter->level);
	iter->ptep = iter->path[iter->level - 1] +
		     vmmu_pte_index(iter->gfn, iter->level);
	return true;
}

/**
 * vmmu_iter_next() - go to the next entry: down, else aside, else up and aside
 * @iter: the walk
 *
 * After a yield it goes from the root to where it was, and visits the entries
 * on the way again, because they may have changed.
 *
 * Context: as for vmmu_iter_start().
 */
void vmmu_iter_next(struct vmmu_iter *iter)
{
	vmmu_iter_assert_held(iter);

	if (iter->yielded) {
		iter_restart(iter);
		return;
	}

	if (iter_down(iter))
		return;
	do {
		if (iter_side(iter))
			return;
	} while (iter_up(iter));
	iter->valid = false;
}

static void iter_drop_lock(struct vmmu_iter *iter, bool may_sleep)
	__must_hold(&iter->mmu->mmu_lock)
{
	struct vmmu *mmu = iter->mmu;

	if (iter->hold == VMMU_SHARED)
		read_unlock(&mmu->mmu_lock);
	else
		write_unlock(&mmu->mmu_lock);

	vmmu_let_others_run(may_sleep);

	if (iter->hold == VMMU_SHARED)
		read_lock(&mmu->mmu_lock);
	else
		write_lock(&mmu->mmu_lock);
	iter->steps->held = 0;
	atomic64_inc(&mmu->stats.yields);
}

/**
 * vmmu_iter_yield_slow() - vmmu_iter_yield() when it is time to ask
 * @iter: the walk
 * @may_sleep: the walk may sleep while it does
 *
 * Context: as for vmmu_iter_yield().
 * Return: as of vmmu_iter_yield().
 */
bool vmmu_iter_yield_slow(struct vmmu_iter *iter, bool may_sleep)
	__must_hold(&iter->mmu->mmu_lock)
	__must_hold(RCU)
{
	vmmu_iter_assert_held(iter);

	if (iter->next == iter->yielded_at)
		return false;
	if (likely(!vmmu_steps_enough(iter->steps, iter->mmu)))
		return false;

	rcu_read_unlock();
	if (iter->gather)
		vmmu_gather_drop_lock(iter->gather);
	else
		iter_drop_lock(iter, may_sleep);
	rcu_read_lock();

	iter->yielded_at = iter->next;
	iter->yielded = true;
	return true;
}
