// SPDX-License-Identifier: GPL-2.0
/*
 * Changes that must not happen between the start and the end of an
 * invalidation: both callbacks have to see the same memslots, and what the start
 * walks must stay.  Whoever changes them waits until no invalidation is open.
 *
 * A reader-writer semaphore held from start to end would say the same, but the
 * locks that the mm holds around a start may be taken by whoever waits for it.
 * The wait is unfair on purpose: invalidations never wait for an update.
 */
#include <linux/sched.h>

#include "space.h"

/**
 * vmmu_space_update_begin() - wait until no invalidation is open
 * @space: the space
 *
 * Context: process context, may sleep; leaves with inval_lock held, so that
 *	none can start before vmmu_space_update_end().
 */
void vmmu_space_update_begin(struct vmmu_space *space)
	__acquires(&space->inval_lock)
{
	might_sleep();
	lockdep_assert_not_held(&space->inval_lock);

	mutex_lock(&space->update_mutex);
	spin_lock(&space->inval_lock);

	/* No end is reported once the mm is gone. */
	if (!vmmu_inval_active(&space->inval) || space->inval.dead)
		return;

	space->updater_waits = true;
	prepare_to_rcuwait(&space->updater);
	while (vmmu_inval_active(&space->inval) && !space->inval.dead) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		spin_unlock(&space->inval_lock);
		schedule();
		spin_lock(&space->inval_lock);
	}
	finish_rcuwait(&space->updater);
	space->updater_waits = false;
}

/**
 * vmmu_space_update_end() - let invalidations start again
 * @space: the space
 *
 * Context: after vmmu_space_update_begin().
 */
void vmmu_space_update_end(struct vmmu_space *space)
	__releases(&space->inval_lock)
{
	lockdep_assert_held(&space->update_mutex);
	lockdep_assert_held(&space->inval_lock);

	spin_unlock(&space->inval_lock);
	mutex_unlock(&space->update_mutex);
}

/**
 * vmmu_space_update_wake() - the last open invalidation has ended
 * @space: space with somebody who waits for that
 *
 * Context: notifier callback, inval_lock held.
 */
void vmmu_space_update_wake(struct vmmu_space *space)
{
	lockdep_assert_held(&space->inval_lock);

	rcuwait_wake_up(&space->updater);
}
