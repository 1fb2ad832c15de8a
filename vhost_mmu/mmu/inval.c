// SPDX-License-Identifier: GPL-2.0
/*
 * The set of open invalidations.  The caller holds the lock that protects it
 * (in the kernel vmmu_space::inval_lock).
 */
#include "inval.h"

/**
 * vmmu_inval_begin() - an invalidation has started
 * @inval: set of open invalidations
 * @range: what is about to change
 *
 * Every start is counted, whatever it hits: a filter evaluated at the start and
 * again at the end could give two answers.
 *
 * Context: the owner's lock is held.
 */
void vmmu_inval_begin(struct vmmu_inval *inval, struct vmmu_range range)
{
	inval->history[inval->seq % VMMU_INVAL_HISTORY] = range;
	inval->seq++;

	if (inval->nr_exact < VMMU_INVAL_EXACT) {
		inval->exact[inval->nr_exact++] = range;
		return;
	}

	if (!inval->nr_merged++) {
		inval->hull = range;
		return;
	}
	if (range.start < inval->hull.start)
		inval->hull.start = range.start;
	if (range.last > inval->hull.last)
		inval->hull.last = range.last;
}

/**
 * vmmu_inval_end() - an invalidation has ended
 * @inval: set of open invalidations
 * @range: the range that its start was given
 *
 * A range that is not remembered exactly must be one of the merged ones.
 *
 * Context: the owner's lock is held.
 * Return: false if no start can belong to this end; nothing is changed then.
 */
bool vmmu_inval_end(struct vmmu_inval *inval, struct vmmu_range range)
{
	unsigned int i;

	for (i = 0; i < inval->nr_exact; i++) {
		if (inval->exact[i].start == range.start &&
		    inval->exact[i].last == range.last) {
			inval->exact[i] = inval->exact[--inval->nr_exact];
			return true;
		}
	}

	if (!inval->nr_merged || range.start < inval->hull.start ||
	    range.last > inval->hull.last)
		return false;
	inval->nr_merged--;
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
	return inval->nr_merged && vmmu_range_overlaps(inval->hull, range);
}

/**
 * vmmu_inval_since() - was an invalidation started that overlaps a range?
 * @inval: set of open invalidations
 * @seq: value of vmmu_inval::seq before which starts do not count
 * @range: what matters
 *
 * Starts that are too many to be remembered count as overlapping.
 *
 * Context: the owner's lock is held.
 * Return: true if a start from number @seq on overlaps, or the mm is gone.
 */
bool vmmu_inval_since(const struct vmmu_inval *inval, unsigned long seq,
		      struct vmmu_range range)
{
	if (inval->dead || inval->seq - seq > VMMU_INVAL_HISTORY)
		return true;

	for (; seq != inval->seq; seq++) {
		if (vmmu_range_overlaps(inval->history[seq %
						       VMMU_INVAL_HISTORY],
					range))
			return true;
	}
	return false;
}
