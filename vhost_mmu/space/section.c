// SPDX-License-Identifier: GPL-2.0
/*
 * Sections and the drain.
 *
 * In a section vmmu_section::lock is held.  The notifier takes the lock as well,
 * which is the drain: every hold of it that could have seen the translation has
 * ended, and none that starts later finds it.  The spinlock keeps preemption
 * off, so the wait is bounded by the longest hold.
 *
 * Not the notifier alone drains: so do the ageing commands, the dirty log and a
 * fault that collapses a table, where they change an entry that may be kept.
 */
#include <linux/ktime.h>

#include "section.h"

/**
 * vmmu_section_init() - initialise a section
 * @section: the section
 */
void vmmu_section_init(struct vmmu_section *section)
{
	spin_lock_init(&section->lock);
	INIT_LIST_HEAD(&section->node);
	section->drains = 0;
	section->wait_max_ns = 0;
	section->wait_total_ns = 0;
}

/**
 * vmmu_section_drain_begin() - wait out a section and keep others out
 * @section: the section
 *
 * Context: any but a section, perhaps a notifier callback; leaves with the
 *	section lock held.
 */
void vmmu_section_drain_begin(struct vmmu_section *section)
	__acquires(&section->lock)
{
	u64 start, wait;

	lockdep_assert_not_held(&section->lock);

	/* The clock is read only where there is something to measure. */
	if (!spin_trylock(&section->lock)) {
		start = ktime_get_ns();
		spin_lock(&section->lock);
		wait = ktime_get_ns() - start;
		section->wait_total_ns += wait;
		section->wait_max_ns = max(section->wait_max_ns, wait);
	}
	section->drains++;
}

/**
 * vmmu_section_drain_end() - let sections in again
 * @section: the section
 *
 * Context: as for vmmu_section_drain_begin(); releases the section lock.
 */
void vmmu_section_drain_end(struct vmmu_section *section)
	__releases(&section->lock)
{
	lockdep_assert_held(&section->lock);

	spin_unlock(&section->lock);
}
