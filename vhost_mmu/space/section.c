// SPDX-License-Identifier: GPL-2.0
/*
 * Sections and the drain.
 *
 * A section is a hold of vmmu_section::lock.  Taking the lock from the
 * notifier is the drain: every section that could have seen the translation has
 * ended, and none that starts later finds it.  The spinlock keeps preemption
 * off, so the wait is bounded by the longest section.
 */
#include <linux/ktime.h>

#include "../mmu/pt_lookup.h"
#include "client.h"

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
 * Context: notifier callback; leaves with the section lock held.
 */
void vmmu_section_drain_begin(struct vmmu_section *section)
	__acquires(&section->lock)
{
	u64 start, wait;

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
 * Context: notifier callback, section lock held; releases it.
 */
void vmmu_section_drain_end(struct vmmu_section *section)
	__releases(&section->lock)
{
	spin_unlock(&section->lock);
}

/**
 * vmmu_add_section() - let a section use translations of an MMU
 * @mmu: the MMU
 * @section: reader with its flush set, of no table so far
 *
 * It may keep them from one section to the next, until it is told otherwise.
 *
 * Context: process context, section lock not held.
 */
void vmmu_add_section(struct vmmu *mmu, struct vmmu_section *section)
{
	write_lock(&mmu->mmu_lock);
	list_add(&section->node, &mmu->sections);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_del_section() - undo vmmu_add_section()
 * @mmu: the MMU
 * @section: the reader; it uses nothing of what it kept any more
 *
 * Context: process context, section lock not held.
 */
void vmmu_del_section(struct vmmu *mmu, struct vmmu_section *section)
{
	write_lock(&mmu->mmu_lock);
	list_del_init(&section->node);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_sections_flush() - make the readers of a table look guest pages up again
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * For whoever has taken something from the entries of these pages: when it
 * returns no reader uses what was there.  A reader that looks an entry up now
 * holds its lock, so that it either has found the new entry or is waited for.
 *
 * What went through an entry was handed over to its page before.  A reader may
 * have written since, but nobody can have cleaned the page meanwhile: he has to
 * take it back first, and so waits for mmu_lock.
 *
 * Context: mmu_lock held, in the same hold as the change, or a later one of the
 *	same invalidation; may be a notifier callback.
 */
void vmmu_sections_flush(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_section *section;

	lockdep_assert_held(&mmu->mmu_lock);

	list_for_each_entry(section, &mmu->sections, node) {
		vmmu_section_drain_begin(section);
		section->flush(section, first, last);
		vmmu_section_drain_end(section);
	}
}
