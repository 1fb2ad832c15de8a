// SPDX-License-Identifier: GPL-2.0
/*
 * The sections that keep translations of an MMU from one hold of their lock to
 * the next, and how they are made to forget them.
 *
 * Whoever takes something from the entries drains the sections afterwards, once,
 * however many entries and memslots it was.  A long change drops mmu_lock before
 * it has drained them all.  Until then it is counted in vmmu::nr_gathers, so
 * that whoever finds an entry empty meanwhile knows that sections may still use
 * the page that was there, and drains them as well.  If nobody is counted, what
 * sections keep is in the entries, and who finds them empty has nobody to wait
 * for.
 *
 * Sections also remember which pages cannot be mapped, and no entry says so.
 * Once there was such a page, everybody drains.
 */
#include "flush.h"

/* How many sections are drained before mmu_lock is dropped. */
#define DRAINS_IN_A_HOLD 4

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

	/* It keeps nothing yet: who is draining the others need not see it. */
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

/* A place in the list, of somebody who drains, is no section. */
static bool is_place(const struct vmmu_section *section)
{
	return !section->flush;
}

static void flush_section(struct vmmu_section *section, u64 first, u64 last)
{
	vmmu_section_drain_begin(section);
	section->flush(section, first, last);
	vmmu_section_drain_end(section);
}

/**
 * vmmu_sections_flush() - make sections look guest pages up again
 * @mmu: the MMU
 * @first: first page
 * @last: last page, inclusive
 *
 * For whoever has changed the entries of these pages under the read lock, but
 * has taken none back: when it returns no section uses what was there.
 *
 * Context: mmu_lock held, in the same hold as the change; may be a notifier
 *	callback.
 */
void vmmu_sections_flush(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_section *section;

	lockdep_assert_held(&mmu->mmu_lock);

	list_for_each_entry(section, &mmu->sections, node) {
		if (!is_place(section))
			flush_section(section, first, last);
	}
}

/**
 * vmmu_gather_begin() - before a change that takes something from entries
 * @gather: what it takes
 * @mmu: whose entries they are
 * @may_sleep: the change may sleep where it drops the lock
 *
 * Context: mmu_lock held for writing, from here to vmmu_gather_end() but for
 *	where the change drops it.
 */
void vmmu_gather_begin(struct vmmu_gather *gather, struct vmmu *mmu,
		       bool may_sleep)
{
	lockdep_assert_held_write(&mmu->mmu_lock);

	*gather = (struct vmmu_gather){
		.mmu = mmu,
		.first = U64_MAX,
		.may_sleep = may_sleep,
		.others = mmu->nr_gathers || READ_ONCE(mmu->has_unmappable),
	};
}

static bool gathered(const struct vmmu_gather *gather)
{
	return gather->first <= gather->last;
}

/**
 * vmmu_gather_add() - something was taken from entries
 * @gather: the gather
 * @first: first page that they covered
 * @last: last page, inclusive
 *
 * Context: mmu_lock held for writing, in the same hold.
 */
void vmmu_gather_add(struct vmmu_gather *gather, u64 first, u64 last)
{
	lockdep_assert_held_write(&gather->mmu->mmu_lock);

	gather->first = min(gather->first, first);
	gather->last = max(gather->last, last);
}

/**
 * vmmu_gather_add_looked() - entries were looked at
 * @gather: the gather
 * @first: first page that they cover
 * @last: last page, inclusive
 *
 * Another may have taken something from them and not have drained the sections
 * yet: what was found empty may be in use, what was found protected be written.
 *
 * Context: mmu_lock held for writing, in the last hold of the look.
 */
void vmmu_gather_add_looked(struct vmmu_gather *gather, u64 first, u64 last)
{
	if (gather->others)
		vmmu_gather_add(gather, first, last);
}

/**
 * vmmu_gather_drop_lock() - drop mmu_lock and take it again
 * @gather: the gather
 *
 * Context: mmu_lock held for writing, no RCU read section.
 */
void vmmu_gather_drop_lock(struct vmmu_gather *gather)
	__must_hold(&gather->mmu->mmu_lock)
{
	struct vmmu *mmu = gather->mmu;

	lockdep_assert_held_write(&mmu->mmu_lock);

	if (gathered(gather) && !gather->noted) {
		gather->noted = true;
		mmu->nr_gathers++;
	}
	write_unlock(&mmu->mmu_lock);
	vmmu_let_others_run(gather->may_sleep);
	write_lock(&mmu->mmu_lock);

	gather->others |= mmu->nr_gathers > gather->noted;
	gather->steps.held = 0;
	atomic64_inc(&mmu->stats.yields);
}

/**
 * vmmu_gather_yield() - vmmu_iter_yield() between two walks
 * @gather: the gather
 *
 * Context: as for vmmu_gather_drop_lock().
 */
void vmmu_gather_yield(struct vmmu_gather *gather)
{
	if (likely(++gather->steps.unasked < VMMU_YIELD_STEPS) &&
	    !vmmu_hook_yield())
		return;
	if (vmmu_steps_enough(&gather->steps, gather->mmu))
		vmmu_gather_drop_lock(gather);
}

/*
 * One after the other, from a place in the list that moves on.  Meanwhile others
 * add sections in front of it, take some out, and have places of their own.
 */
static void gather_flush(struct vmmu_gather *gather)
{
	struct vmmu_section place = { .flush = NULL }, *section;
	struct list_head *sections = &gather->mmu->sections;
	unsigned int n = 0;

	lockdep_assert_held_write(&gather->mmu->mmu_lock);

	list_add(&place.node, sections);
	while (!list_is_last(&place.node, sections)) {
		section = list_next_entry(&place, node);
		list_move(&place.node, &section->node);
		if (is_place(section))
			continue;
		flush_section(section, gather->first, gather->last);
		if (++n % DRAINS_IN_A_HOLD == 0 || vmmu_hook_yield())
			vmmu_gather_drop_lock(gather);
	}
	list_del(&place.node);
}

/**
 * vmmu_gather_end() - make sections look up again what was taken
 * @gather: the gather
 *
 * When it returns no section uses what was in the entries before, whoever took
 * it.  A worker that looks an entry up now holds its section's lock, so that it
 * either has found the new entry or is waited for.
 *
 * What went through an entry was handed over to its page before.  A worker may
 * have written since, but nobody can have cleaned the page meanwhile: that takes
 * an invalidation first, which waits for mmu_lock, and for the sections if this
 * change has let go of the lock.
 *
 * Context: mmu_lock held for writing; drops it if there are many sections.  May
 *	be a notifier callback.
 */
void vmmu_gather_end(struct vmmu_gather *gather)
{
	lockdep_assert_held_write(&gather->mmu->mmu_lock);

	if (gathered(gather))
		gather_flush(gather);
	if (gather->noted)
		gather->mmu->nr_gathers--;
}
