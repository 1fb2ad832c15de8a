/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The set of open invalidations of one address space: those whose start has
 * been seen and whose end has not.
 *
 * Ranges are remembered one by one, so that an unrelated invalidation does not
 * refuse an install.  More than VMMU_INVAL_EXACT at a time are merged into
 * their hull, which only errs towards refusing.
 *
 * Plain data without a lock of its own, so that it also builds in user space.
 */
#ifndef VHOST_MMU_INVAL_H
#define VHOST_MMU_INVAL_H

#include <linux/types.h>

#define VMMU_INVAL_EXACT 8
/* How many starts are remembered after their end; a power of two. */
#define VMMU_INVAL_HISTORY 32

/**
 * struct vmmu_range - an address range, both ends inclusive
 * @start: first address
 * @last: last address
 */
struct vmmu_range {
	unsigned long start;
	unsigned long last;
};

/**
 * struct vmmu_inval - the open invalidations, and the last ones
 * @nr_exact: how many of @exact are open
 * @nr_merged: how many are open whose ranges are known only by @hull
 * @exact: open ranges, in no order
 * @hull: covers every range merged since @nr_merged last was zero
 * @dead: the mm is gone, so everything stays invalid
 * @seq: how many were started
 * @history: ranges of the last starts, the one numbered n at n modulo the size
 */
struct vmmu_inval {
	unsigned int nr_exact;
	unsigned long nr_merged;
	struct vmmu_range exact[VMMU_INVAL_EXACT];
	struct vmmu_range hull;
	bool dead;
	unsigned long seq;
	struct vmmu_range history[VMMU_INVAL_HISTORY];
};

void vmmu_inval_begin(struct vmmu_inval *inval, struct vmmu_range range);
bool vmmu_inval_end(struct vmmu_inval *inval, struct vmmu_range range);
bool vmmu_inval_overlaps(const struct vmmu_inval *inval,
			 struct vmmu_range range);
bool vmmu_inval_since(const struct vmmu_inval *inval, unsigned long seq,
		      struct vmmu_range range);

/**
 * vmmu_inval_active() - is any invalidation open?
 * @inval: set of open invalidations
 *
 * Context: the owner's lock is held, or the answer may be out of date.
 * Return: true if one is.
 */
static inline bool vmmu_inval_active(const struct vmmu_inval *inval)
{
	return inval->nr_exact || inval->nr_merged;
}

/**
 * vmmu_range_from_end() - make a range of a first and an exclusive end address
 * @start: first address
 * @end: address behind the last one; 0 stands for the end of the address space
 *
 * Return: the range; one byte where @start and @end leave none.
 */
static inline struct vmmu_range vmmu_range_from_end(unsigned long start,
						    unsigned long end)
{
	struct vmmu_range range = { .start = start, .last = end - 1 };

	if (range.last < start)
		range.last = start;
	return range;
}

static inline bool vmmu_range_overlaps(struct vmmu_range a,
				       struct vmmu_range b)
{
	return a.start <= b.last && b.start <= a.last;
}

#endif /* VHOST_MMU_INVAL_H */
