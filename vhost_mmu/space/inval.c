// SPDX-License-Identifier: GPL-2.0
/*
 * Questions about the open invalidations, and about the last ones.  Where nothing
 * else is said the caller holds the lock that protects them (in the kernel
 * vmmu_space::inval_lock).
 */
#include "inval.h"

/**
 * vmmu_inval_end_other() - an invalidation has ended that is not the newest
 * @inval: set of open invalidations
 * @range: the range that its start was given
 *
 * Context: the owner's lock is held.
 * Return: as of vmmu_inval_end().
 */
bool vmmu_inval_end_other(struct vmmu_inval *inval, struct vmmu_range range)
{
	struct vmmu_inval_group *group =
		&inval->group[vmmu_inval_group_of(range)];
	unsigned int i;

	for (i = 0; i < inval->nr_exact; i++) {
		if (inval->exact[i].start == range.start &&
		    inval->exact[i].last == range.last) {
			inval->exact[i] = inval->exact[inval->nr_exact - 1];
			/* Pairs with vmmu_inval_quiet(). */
			smp_store_release(&inval->nr_exact,
					  inval->nr_exact - 1);
			return true;
		}
	}

	if (!group->nr || range.start < group->hull.start ||
	    range.last > group->hull.last)
		return false;
	group->nr--;
	/* Pairs with vmmu_inval_quiet(). */
	smp_store_release(&inval->nr_merged, inval->nr_merged - 1);
	return true;
}

/**
 * vmmu_inval_overlaps() - may a translation of this range be installed now?
 * @inval: set of open invalidations
 * @range: what the translation covers
 *
 * Context: the owner's lock is held.
 * Return: true if an open invalidation may overlap @range, or the mm is gone.
 */
bool vmmu_inval_overlaps(const struct vmmu_inval *inval,
			 struct vmmu_range range)
{
	unsigned int i;

	if (inval->dead)
		return true;
	for (i = 0; i < inval->nr_exact; i++) {
		if (vmmu_range_overlaps(inval->exact[i], range))
			return true;
	}
	for (i = 0; inval->nr_merged && i < VMMU_INVAL_GROUPS; i++) {
		if (inval->group[i].nr &&
		    vmmu_range_overlaps(inval->group[i].hull, range))
			return true;
	}
	return false;
}

/**
 * vmmu_inval_since() - was an invalidation started that overlaps a range?
 * @inval: set of open invalidations
 * @seq: value of vmmu_inval::seq before which starts do not count
 * @range: what matters
 *
 * Starts that are too many to be remembered count as overlapping.
 *
 * Context: no lock needed.
 * Return: true if a start from number @seq on overlaps, or the mm is gone.
 */
bool vmmu_inval_since(const struct vmmu_inval *inval, unsigned long seq,
		      struct vmmu_range range)
{
	/* Pairs with smp_wmb() in vmmu_inval_begin(): so many are recorded. */
	const unsigned long now = smp_load_acquire(&inval->seq);
	const struct vmmu_range *past;
	struct vmmu_range r;
	unsigned long n;
	bool hit = false;

	if (likely(now == seq))
		return READ_ONCE(inval->dead);
	if (now - seq > VMMU_INVAL_HISTORY)
		return true;

	for (n = seq; n != now; n++) {
		past = &inval->history[n % VMMU_INVAL_SLOTS];
		r.start = READ_ONCE(past->start);
		r.last = READ_ONCE(past->last);
		hit |= vmmu_range_overlaps(r, range);
	}

	/*
	 * What was written over was so by a start that saw a seq too far off.
	 * Pairs with the owner's lock, which passes from one start to the next.
	 */
	smp_rmb();
	return hit || READ_ONCE(inval->dead) ||
	       READ_ONCE(inval->seq) - seq > VMMU_INVAL_HISTORY;
}
