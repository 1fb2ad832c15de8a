// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier: where the mm tells that translations are about to change.
 *
 * Nothing here sleeps, allocates, waits for a grace period or fails, whether
 * the caller may block or not; the longest wait is for one reader section.
 *
 *	start: open the range, then make every client give it back
 *	end:   close the range
 *
 * A client that installs a translation checks, with its reader lock held, that
 * no open range overlaps (vmmu_space_inval_open()) and that its invalidate
 * callback did not run since before the page was looked up.  Between them the
 * two checks see every invalidation that could have made the page stale:
 *
 *	start before the snapshot, end after it:  the range is open then
 *	start after the snapshot:                 the callback has run, or the
 *						  range is still open
 */
#include <linux/mm.h>

#include "cursor.h"
#include "space.h"
#include "../trace.h"

/**
 * vmmu_space_inval_start() - open an invalidation, and give its range back
 * @space: the space
 * @range: what is going to change
 * @may_sleep: the CPU may be given up on the way
 *
 * Context: notifier callback.
 */
void vmmu_space_inval_start(struct vmmu_space *space, struct vmmu_range range,
			    bool may_sleep)
{
	bool clients, tables;

	spin_lock(&space->inval_lock);
	vmmu_inval_begin(&space->inval, range);
	clients = vmmu_clients_hit(space, range);
	tables = vmmu_tables_hit(space, range.start, range.last);
	spin_unlock(&space->inval_lock);

	/* Memslots and tables stay as they are until the end. */
	if (tables)
		vmmu_tables_invalidate(space, range.start, range.last,
				       may_sleep);
	/*
	 * A client linked after the look above finds the range open and
	 * installs nothing in it.
	 */
	if (clients)
		vmmu_clients_invalidate(space, range);
	if (clients || tables)
		trace_vmmu_invalidate(range.start, range.last);
}

/**
 * vmmu_space_inval_end() - close an invalidation
 * @space: the space
 * @range: as at its start
 *
 * Context: notifier callback.
 */
void vmmu_space_inval_end(struct vmmu_space *space, struct vmmu_range range)
{
	bool known;

	spin_lock(&space->inval_lock);
	known = vmmu_inval_end(&space->inval, range);
	if (!vmmu_inval_active(&space->inval))
		vmmu_space_update_wake(space);
	spin_unlock(&space->inval_lock);

	/*
	 * mm_take_all_locks() keeps registration out of every start..end pair,
	 * so an end without a start is a bug of the mm or of this file.
	 */
	WARN_ON_ONCE(!known);
}

static int vmmu_invalidate_range_start(struct mmu_notifier *mn,
				       const struct mmu_notifier_range *mnr)
{
	vmmu_space_inval_start(vmmu_space_of(mn),
			       vmmu_range_from_end(mnr->start, mnr->end),
			       mmu_notifier_range_blockable(mnr));
	return 0;
}

static void vmmu_invalidate_range_end(struct mmu_notifier *mn,
				      const struct mmu_notifier_range *mnr)
{
	vmmu_space_inval_end(vmmu_space_of(mn),
			     vmmu_range_from_end(mnr->start, mnr->end));
}

/*
 * The mm is going away: no translation may outlive this call, and none may be
 * made again.  Runs from exit_mmap(), which a device's own close may reach with
 * its worker still alive, so it waits for nothing but reader sections.
 */
static void vmmu_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct vmmu_range all = { .start = 0, .last = ULONG_MAX };
	struct vmmu_space *space = vmmu_space_of(mn);

	spin_lock(&space->inval_lock);
	WRITE_ONCE(space->inval.dead, true);
	/* The ends of what is open may not be reported any more. */
	vmmu_space_update_wake(space);
	spin_unlock(&space->inval_lock);

	vmmu_tables_release(space);
	vmmu_clients_invalidate(space, all);
}

static bool age(struct vmmu_space *space, struct vmmu_range range, bool clear)
{
	bool young = vmmu_clients_age(space, range, clear);

	return vmmu_tables_age(space, range.start, range.last, clear) || young;
}

static int vmmu_clear_flush_young(struct mmu_notifier *mn,
				  struct mm_struct *mm, unsigned long start,
				  unsigned long end)
{
	return age(vmmu_space_of(mn), vmmu_range_from_end(start, end), true);
}

static int vmmu_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
			    unsigned long start, unsigned long end)
{
	return age(vmmu_space_of(mn), vmmu_range_from_end(start, end), true);
}

static int vmmu_test_young(struct mmu_notifier *mn, struct mm_struct *mm,
			   unsigned long address)
{
	struct vmmu_range page = {
		.start = address & PAGE_MASK,
		.last = address | ~PAGE_MASK,
	};

	return age(vmmu_space_of(mn), page, false);
}

const struct mmu_notifier_ops vmmu_notifier_ops = {
	.release = vmmu_release,
	.clear_flush_young = vmmu_clear_flush_young,
	.clear_young = vmmu_clear_young,
	.test_young = vmmu_test_young,
	.invalidate_range_start = vmmu_invalidate_range_start,
	.invalidate_range_end = vmmu_invalidate_range_end,
	.alloc_notifier = vmmu_space_alloc_notifier,
	.free_notifier = vmmu_space_free_notifier,
};

/**
 * vmmu_space_inval_open() - is an invalidation open that overlaps a range?
 * @space: the space
 * @start: first address
 * @last: last address, inclusive
 *
 * Context: any; nests inside reader locks.
 * Return: true if a translation of the range must not be installed now.
 */
bool vmmu_space_inval_open(struct vmmu_space *space, unsigned long start,
			   unsigned long last)
{
	struct vmmu_range range = { .start = start, .last = last };
	bool open;

	spin_lock(&space->inval_lock);
	open = vmmu_inval_overlaps(&space->inval, range);
	spin_unlock(&space->inval_lock);
	return open;
}
