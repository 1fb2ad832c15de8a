/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The set of open invalidations of one address space: those whose start has
 * been seen and whose end has not.
 *
 * Ranges are remembered one by one, so that an unrelated invalidation does not
 * refuse an install.  More than VMMU_INVAL_EXACT at a time are merged into
 * hulls, which only errs towards refusing.  A hull grows until all that it covers
 * have ended, which in a busy process is never; so there are several, each of
 * ranges that start in the same part of the address space.
 *
 * Plain data without a lock of its own, so that it also builds in user space.
 */
#ifndef VHOST_MMU_INVAL_H
#define VHOST_MMU_INVAL_H

#include <linux/compiler.h>
#include <linux/types.h>
#include <asm/barrier.h>

/* As many as there are threads that change mappings at the same time. */
#define VMMU_INVAL_EXACT 64
/* Hulls of those that find no place; a power of two. */
#define VMMU_INVAL_GROUPS 16
/* How many starts an install looks back at. */
#define VMMU_INVAL_HISTORY 32
/*
 * How many are remembered: more, so that one that is looked at without a lock is
 * not written over unnoticed.  A power of two.
 */
#define VMMU_INVAL_SLOTS (2 * VMMU_INVAL_HISTORY)

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
 * struct vmmu_inval_group - open invalidations that start near each other
 * @nr: how many
 * @hull: covers every one that was open since @nr last was zero
 */
struct vmmu_inval_group {
	unsigned long nr;
	struct vmmu_range hull;
};

/**
 * struct vmmu_inval - the open invalidations, and the last ones
 * @nr_exact: how many of @exact are open
 * @dead: the mm is gone, so everything stays invalid
 * @nr_merged: how many are open whose ranges are known only by @group
 * @seq: how many were started
 * @exact: open ranges, in no order
 * @group: the merged ones, by where they start
 * @history: ranges of the last starts, the one numbered n at n modulo the size
 *
 * Written under the owner's lock.  @nr_exact, @nr_merged, @dead, @seq and
 * @history are read without it as well: "Words and barriers" in
 * Documentation/protocol.rst.
 */
struct vmmu_inval {
	unsigned int nr_exact;
	bool dead;
	unsigned long nr_merged;
	unsigned long seq;
	/* so far one cache line, which is all that most faults look at */
	struct vmmu_range exact[VMMU_INVAL_EXACT];
	struct vmmu_inval_group group[VMMU_INVAL_GROUPS];
	struct vmmu_range history[VMMU_INVAL_SLOTS];
};

bool vmmu_inval_end_other(struct vmmu_inval *inval, struct vmmu_range range);
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
 * vmmu_inval_quiet() - is no invalidation open, nor the mm gone?
 * @inval: set of open invalidations
 *
 * Context: no lock needed.
 * Return: true if so.  Of the starts that the caller knows to have happened all
 *	have ended then, and what is read afterwards is what they left.
 */
static inline bool vmmu_inval_quiet(const struct vmmu_inval *inval)
{
	/* Pairs with the releases in vmmu_inval_end() and its kin. */
	if (smp_load_acquire(&inval->nr_exact))
		return false;
	/* Pairs with the release in vmmu_inval_end_other(). */
	if (smp_load_acquire(&inval->nr_merged))
		return false;
	return !READ_ONCE(inval->dead);
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

static inline bool vmmu_range_overlaps(struct vmmu_range a, struct vmmu_range b)
{
	return a.start <= b.last && b.start <= a.last;
}

/* Inline: paid for by every change of a mapping in the process. */

/* Start and end of an invalidation give the same range, and so the same group. */
static inline unsigned int vmmu_inval_group_of(struct vmmu_range range)
{
	return (range.start >> 30) % VMMU_INVAL_GROUPS;
}

/*
 * A start that finds no place of its own.  Inline: a call would make the others
 * save registers.
 */
static __always_inline void vmmu_inval_merge(struct vmmu_inval *inval,
					     struct vmmu_range range)
{
	struct vmmu_inval_group *group =
		&inval->group[vmmu_inval_group_of(range)];

	if (!group->nr++) {
		group->hull = range;
	} else {
		if (range.start < group->hull.start)
			group->hull.start = range.start;
		if (range.last > group->hull.last)
			group->hull.last = range.last;
	}
	WRITE_ONCE(inval->nr_merged, inval->nr_merged + 1);
}

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
static inline void vmmu_inval_begin(struct vmmu_inval *inval,
				    struct vmmu_range range)
{
	const unsigned long seq = inval->seq;
	const unsigned int nr = inval->nr_exact;
	struct vmmu_range *past = &inval->history[seq % VMMU_INVAL_SLOTS];

	WRITE_ONCE(past->start, range.start);
	WRITE_ONCE(past->last, range.last);
	if (likely(nr < VMMU_INVAL_EXACT)) {
		inval->exact[nr] = range;
		WRITE_ONCE(inval->nr_exact, nr + 1);
	} else {
		vmmu_inval_merge(inval, range);
	}
	/*
	 * Who sees seq sees the range and that it is open.  Pairs with the
	 * acquires of seq in vmmu_install_begin() and vmmu_inval_since().
	 */
	smp_wmb();
	WRITE_ONCE(inval->seq, seq + 1);
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
static inline bool vmmu_inval_end(struct vmmu_inval *inval,
				  struct vmmu_range range)
{
	unsigned int nr = inval->nr_exact;

	/* Most often the one that was started last. */
	if (likely(nr && inval->exact[nr - 1].start == range.start &&
		   inval->exact[nr - 1].last == range.last)) {
		/* Pairs with vmmu_inval_quiet(): what changed is seen then. */
		smp_store_release(&inval->nr_exact, nr - 1);
		return true;
	}
	return vmmu_inval_end_other(inval, range);
}

#endif /* VHOST_MMU_INVAL_H */
