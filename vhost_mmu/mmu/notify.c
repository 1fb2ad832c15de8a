// SPDX-License-Identifier: GPL-2.0
/*
 * What the notifier does to the MMUs of an address space.
 *
 * A callback walks the active set of memslots as a reader of vmmu::srcu, which a
 * change of memslots waits for, and may drop mmu_lock between two memslots.  The
 * end of an invalidation needs no memslots, so they may change between the start
 * and the end: what a new memslot maps of the range is refused as long as the
 * range is open.
 * An MMU that is given up is freed only when all callbacks have returned.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/rculist.h>

#include "../space/hooks.h"
#include "age.h"
#include "mmu.h"
#include "notify.h"
#include "pt_zap.h"

/* Protected by the notifier core's SRCU, which we cannot name. */
#define for_each_mmu(mmu, space) \
	list_for_each_entry_rcu(mmu, &(space)->mmus, node, true)

/* The notifier waits here for users of translations: the drain of an MMU. */
static void notifier_lock(struct vmmu *mmu)
	__acquires(&mmu->mmu_lock)
{
	struct vmmu_stats *stats = &mmu->stats;
	u64 start, wait;

	atomic64_inc(&stats->mmu_lock_notifier);
	if (write_trylock(&mmu->mmu_lock))
		return;

	start = ktime_get_ns();
	write_lock(&mmu->mmu_lock);
	wait = ktime_get_ns() - start;

	/* Written under the lock. */
	atomic64_inc(&stats->drains);
	if (wait > atomic64_read(&stats->drain_max_ns))
		atomic64_set(&stats->drain_max_ns, wait);
}

static bool mmu_invalidate(struct vmmu *mmu, unsigned long start,
			   unsigned long last, bool may_sleep)
{
	struct vmmu_memslots *slots = vmmu_slots(mmu);
	struct vmmu_memslot *slot;
	struct vmmu_gather gather;
	u64 first_gfn, last_gfn;

	if (!interval_tree_iter_first(&slots->hva_tree, start, last) &&
	    !vmmu_hook_no_elision())
		return false;

	notifier_lock(mmu);
	vmmu_gather_begin(&gather, mmu, may_sleep);
	vmmu_for_each_slot_in_hva(slot, slots, start, last) {
		vmmu_slot_gfns(slot, start, last, &first_gfn, &last_gfn);
		vmmu_zap_gather(&gather, first_gfn, last_gfn);
	}
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
	atomic64_inc(&mmu->stats.invalidations);
	return true;
}

/*
 * Take mmu_lock of those MMUs only that have a memslot in the range, once for
 * all of its memslots, and drain its sections once, if anything was mapped.
 */
static bool mmus_invalidate(struct vmmu_space *space, struct vmmu_range range,
			    bool may_sleep)
{
	struct vmmu *mmu;
	bool hit = false;
	int idx;

	for_each_mmu(mmu, space) {
		idx = srcu_read_lock(&mmu->srcu);
		hit |= mmu_invalidate(mmu, range.start, range.last, may_sleep);
		srcu_read_unlock(&mmu->srcu, idx);
	}
	return hit;
}

/* Nobody changes memslots meanwhile: that takes a caller with this mm. */
static void mmus_release(struct vmmu_space *space)
{
	struct vmmu_gather gather;
	struct vmmu *mmu;

	for_each_mmu(mmu, space) {
		notifier_lock(mmu);
		vmmu_gather_begin(&gather, mmu, true);
		vmmu_zap_gather(&gather, 0, VMMU_MAX_GFN);
		vmmu_gather_end(&gather);
		write_unlock(&mmu->mmu_lock);
	}
}

static bool mmu_age(struct vmmu *mmu, unsigned long start, unsigned long last,
		    bool clear)
{
	struct vmmu_memslots *slots;
	bool young = false;
	int idx;

	idx = srcu_read_lock(&mmu->srcu);
	slots = vmmu_slots(mmu);
	if (interval_tree_iter_first(&slots->hva_tree, start, last))
		young = vmmu_age_hva(mmu, slots, start, last, clear);
	srcu_read_unlock(&mmu->srcu, idx);
	return young;
}

static bool mmus_age(struct vmmu_space *space, struct vmmu_range range,
		     bool clear)
{
	struct vmmu *mmu;
	bool young = false;

	for_each_mmu(mmu, space)
		young |= mmu_age(mmu, range.start, range.last, clear);
	return young;
}

const struct vmmu_space_ops vmmu_mmus_ops = {
	.invalidate = mmus_invalidate,
	.age = mmus_age,
	.release = mmus_release,
	.hull = vmmu_slots_hull,
};
