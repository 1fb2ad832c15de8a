// SPDX-License-Identifier: GPL-2.0
/*
 * The install side of the protocol: may a page that was looked up without a lock
 * be published?  A client asks vmmu_space_inval_open() twice, see notifier.c.  An
 * MMU maps ranges, by these steps:
 *
 *	vmmu_install_begin()	snapshot; refuse if an overlapping invalidation
 *				is open
 *	look the page up	no lock held, may sleep
 *	take mmu_lock
 *	vmmu_install_refused()	refuse if one was started since the snapshot
 *	map, release mmu_lock
 *
 * An invalidation that was open at the snapshot is seen there; one that started
 * later is seen at the end, whether it still is open or not; and one whose
 * start comes after the second look takes mmu_lock after the install and finds
 * the entry.  Ranges are compared, so invalidations elsewhere make no fault
 * retry.
 *
 * Faults do not wait for each other here: while nothing is open they take no lock
 * and write nothing.  "Words and barriers" in Documentation/protocol.rst has the
 * whole argument.
 */
#include "install.h"

/* An invalidation is open, perhaps elsewhere, or was a moment ago. */
static noinline bool install_begin_slow(struct vmmu_space *space,
					struct vmmu_range range,
					unsigned long *seq)
{
	bool open;

	spin_lock(&space->inval_lock);
	*seq = space->inval.seq;
	open = vmmu_inval_overlaps(&space->inval, range);
	spin_unlock(&space->inval_lock);

	/*
	 * The snapshot is older than the page table reads of the lookup.
	 * Pairs with inval_lock, which a start holds while it raises seq,
	 * before the page table changes.
	 */
	smp_rmb();
	return !open;
}

/**
 * vmmu_install_begin() - before the lookup of a page
 * @space: the space
 * @range: addresses that are going to be mapped
 * @seq: set to the snapshot
 *
 * Context: any.
 * Return: false if an invalidation is open that overlaps: try again later.
 */
bool vmmu_install_begin(struct vmmu_space *space, struct vmmu_range range,
			unsigned long *seq)
{
	/*
	 * The caller has found its memslot.  A start that found nothing mapped
	 * here, as the memslot was not there yet, is seen below.  Pairs with
	 * inval_lock, held where memslots and MMUs change.
	 */
	smp_rmb();
	/*
	 * A start that is counted in here is seen as open below, or has ended.
	 * Pairs with smp_wmb() in vmmu_inval_begin().
	 */
	*seq = smp_load_acquire(&space->inval.seq);
	if (likely(vmmu_inval_quiet(&space->inval)))
		return true;
	return install_begin_slow(space, range, seq);
}

/**
 * vmmu_install_refused() - between the lookup of a page and its installation
 * @space: the space
 * @range: what is to be mapped
 * @seq: what vmmu_install_begin() gave
 * @mmu_lock: the lock that the notifier takes to unmap what is installed
 *
 * A start raises seq before it takes @mmu_lock for writing.  If that is not seen
 * here, it comes after this hold of the lock.
 *
 * Context: mmu_lock held, for reading or writing.
 * Return: true if the page must not be installed.
 */
bool vmmu_install_refused(struct vmmu_space *space, struct vmmu_range range,
			  unsigned long seq, const rwlock_t *mmu_lock)
{
	lockdep_assert_held(mmu_lock);

	return vmmu_inval_since(&space->inval, seq, range);
}

/**
 * vmmu_space_inval_open() - is an invalidation open that overlaps a range?
 * @space: the space
 * @start: first address
 * @last: last address, inclusive
 *
 * Context: any; nests inside section locks.  The caller holds a lock that the
 *	start takes afterwards to take translations back.
 * Return: true if a translation of the range must not be installed now.
 */
bool vmmu_space_inval_open(struct vmmu_space *space, unsigned long start,
			   unsigned long last)
{
	struct vmmu_range range = { .start = start, .last = last };
	bool open;

	if (likely(vmmu_inval_quiet(&space->inval)))
		return false;

	spin_lock(&space->inval_lock);
	open = vmmu_inval_overlaps(&space->inval, range);
	spin_unlock(&space->inval_lock);
	return open;
}
