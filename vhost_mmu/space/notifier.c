// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU notifier: where the mm tells that translations are about to change.
 * Spaces are found and counted by it, so that a process pays for one notifier
 * however many devices it opens.
 *
 * Nothing here sleeps, allocates, waits for a grace period or fails, whether
 * the caller may block or not; the longest wait is for one section.
 *
 *	start: open the range, then make every client give it back
 *	end:   close the range
 *
 * A client that installs a translation checks, with its section lock held, that
 * no open range overlaps (vmmu_space_inval_open()) and that its invalidate
 * callback did not run since before the page was looked up.  Between them the
 * two checks see every invalidation that could have made the page stale:
 *
 *	start before the snapshot, end after it:  the range is open then
 *	start after the snapshot:                 the callback has run, or the
 *						  range is still open
 */
#include <linux/mm.h>

#include "client.h"
#include "hooks.h"
#include "space.h"
#include "../trace.h"

/*
 * An empty range may come out as one whose last address is before its start:
 * nothing in it changes, and its end is recognised all the same.
 */
static __always_inline struct vmmu_range
range_of(const struct mmu_notifier_range *mnr)
{
	return (struct vmmu_range){ .start = mnr->start, .last = mnr->end - 1 };
}

/*
 * The range lies among addresses that are cached.  A client linked, or a memslot
 * added, after the look at who is hit finds the range open and installs nothing
 * in it.
 */
static noinline int inval_start_near(struct vmmu_space *space,
				     const struct mmu_notifier_range *mnr)
	__releases(&space->inval_lock)
{
	struct vmmu_range range = range_of(mnr);
	bool clients, mmus;

	lockdep_assert_held(&space->inval_lock);

	clients = vmmu_clients_hit(space, range);
	spin_unlock(&space->inval_lock);

	mmus = vmmu_space_ops->invalidate(space, range,
					  mmu_notifier_range_blockable(mnr));
	if (clients)
		vmmu_clients_invalidate(space, range);
	if (clients || mmus)
		trace_vmmu_invalidate(range.start, range.last);
	return 0;
}

/*
 * Every change of a mapping in the process comes this way, and next to none of
 * them concerns us.  The less there is to remember across the lock the better:
 * its address is found anew.
 */
static int vmmu_invalidate_range_start(struct mmu_notifier *mn,
				       const struct mmu_notifier_range *mnr)
{
	struct vmmu_space *space = vmmu_space_of(mn);
	struct vmmu_range range;

	spin_lock(&space->inval_lock);
	OPTIMIZER_HIDE_VAR(space);
	range = range_of(mnr);
	vmmu_inval_begin(&space->inval, range);
	if (unlikely(vmmu_range_overlaps(space->hull, range) ||
		     vmmu_hook_no_elision()))
		return inval_start_near(space, mnr);
	spin_unlock(&space->inval_lock);
	return 0;
}

/*
 * mm_take_all_locks() keeps registration out of every start..end pair, so an
 * end without a start is a bug of the mm or of this file.
 */
static void vmmu_invalidate_range_end(struct mmu_notifier *mn,
				      const struct mmu_notifier_range *mnr)
{
	struct vmmu_space *space = vmmu_space_of(mn);

	spin_lock(&space->inval_lock);
	OPTIMIZER_HIDE_VAR(space);
	WARN_ON_ONCE(!vmmu_inval_end(&space->inval, range_of(mnr)));
	spin_unlock(&space->inval_lock);
}

/*
 * The mm is going away: no translation may outlive this call, and none may be
 * made again.  Runs from exit_mmap(), which a device's own close may reach with
 * its worker still alive, so it waits for nothing but sections.
 */
static void vmmu_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct vmmu_range all = { .start = 0, .last = ULONG_MAX };
	struct vmmu_space *space = vmmu_space_of(mn);

	spin_lock(&space->inval_lock);
	WRITE_ONCE(space->inval.dead, true);
	spin_unlock(&space->inval_lock);

	vmmu_space_ops->release(space);
	vmmu_clients_invalidate(space, all);
}

static bool age(struct vmmu_space *space, struct vmmu_range range, bool clear)
{
	bool young = vmmu_clients_age(space, range, clear);

	return vmmu_space_ops->age(space, range, clear) || young;
}

static int vmmu_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				  unsigned long start, unsigned long end)
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
 * vmmu_space_get() - get the space of an mm, registering its notifier if new
 * @mm: the mm; the caller holds mm_users
 *
 * Context: process context, may sleep; takes the mmap lock for write.
 * Return: the space, or an error pointer (-ENOMEM, -EINTR).
 */
struct vmmu_space *vmmu_space_get(struct mm_struct *mm)
{
	struct mmu_notifier *mn;

	lockdep_assert_not_held(&mm->mmap_lock);

	mn = mmu_notifier_get(&vmmu_notifier_ops, mm);
	return IS_ERR(mn) ? ERR_CAST(mn) : vmmu_space_of(mn);
}

/**
 * vmmu_space_put() - drop a reference of vmmu_space_get()
 * @space: the space; none of the caller's clients is linked to it any more
 *
 * Context: process context.
 */
void vmmu_space_put(struct vmmu_space *space)
{
	mmu_notifier_put(&space->mn);
}
