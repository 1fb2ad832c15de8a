// SPDX-License-Identifier: GPL-2.0
/*
 * The sections that keep translations of an MMU from one hold of their lock to
 * the next, and how they are made to forget them.
 */
#include "flush.h"

/**
 * vmmu_add_section() - let a section use translations of an MMU
 * @mmu: the MMU
 * @section: section with its flush set, of no MMU so far
 *
 * It may keep them from one hold of its lock to the next, until it is told
 * otherwise.
 *
 * Context: process context, section lock not held.
 */
void vmmu_add_section(struct vmmu *mmu, struct vmmu_section *section)
{
	lockdep_assert_not_held(&section->lock);

	write_lock(&mmu->mmu_lock);
	list_add(&section->node, &mmu->sections);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_del_section() - undo vmmu_add_section()
 * @mmu: the MMU
 * @section: the section; nothing of what it kept is used any more
 *
 * Context: process context, section lock not held.
 */
void vmmu_del_section(struct vmmu *mmu, struct vmmu_section *section)
{
	lockdep_assert_not_held(&section->lock);

	write_lock(&mmu->mmu_lock);
	list_del_init(&section->node);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_sections_flush() - make sections look guest pages up again
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * For whoever has taken something from the entries of these pages: when it
 * returns no section uses what was there.  A worker that looks an entry up now
 * holds its section's lock, so that it either has found the new entry or is
 * waited for.
 *
 * What went through an entry was handed over to its page before.  A worker may
 * have written since, but nobody can have cleaned the page meanwhile: that takes
 * an invalidation first, which waits for mmu_lock.
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
