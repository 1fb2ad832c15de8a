// SPDX-License-Identifier: GPL-2.0
/*
 * Readers and the drain.
 *
 * A reader section is a hold of vmmu_reader::lock.  Taking the lock from the
 * notifier is the drain: every section that could have seen the translation has
 * ended, and none that starts later finds it.  The spinlock keeps preemption
 * off, so the wait is bounded by the longest section.
 */
#include <linux/ktime.h>

#include "cursor.h"
#include "mmu.h"

/**
 * vmmu_reader_init() - initialise a reader
 * @reader: the reader
 */
void vmmu_reader_init(struct vmmu_reader *reader)
{
	spin_lock_init(&reader->lock);
	INIT_LIST_HEAD(&reader->node);
	reader->drains = 0;
	reader->wait_max_ns = 0;
	reader->wait_total_ns = 0;
}

/**
 * vmmu_reader_drain_begin() - wait out a reader and keep it out
 * @reader: the reader
 *
 * Context: notifier callback; leaves with the reader lock held.
 */
void vmmu_reader_drain_begin(struct vmmu_reader *reader)
	__acquires(&reader->lock)
{
	u64 start, wait;

	/* The clock is read only where there is something to measure. */
	if (!spin_trylock(&reader->lock)) {
		start = ktime_get_ns();
		spin_lock(&reader->lock);
		wait = ktime_get_ns() - start;
		reader->wait_total_ns += wait;
		reader->wait_max_ns = max(reader->wait_max_ns, wait);
	}
	reader->drains++;
}

/**
 * vmmu_reader_drain_end() - let a reader in again
 * @reader: the reader
 *
 * Context: notifier callback, reader lock held; releases it.
 */
void vmmu_reader_drain_end(struct vmmu_reader *reader)
	__releases(&reader->lock)
{
	spin_unlock(&reader->lock);
}

/**
 * vmmu_table_add_reader() - let a reader use translations of a table
 * @mmu: the MMU
 * @reader: reader with its flush set, of no table so far
 *
 * It may keep them from one section to the next, until it is told otherwise.
 *
 * Context: process context, reader lock not held.
 */
void vmmu_table_add_reader(struct vmmu *mmu, struct vmmu_reader *reader)
{
	write_lock(&mmu->mmu_lock);
	list_add(&reader->node, &mmu->readers);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_table_del_reader() - undo vmmu_table_add_reader()
 * @mmu: the MMU
 * @reader: the reader; it uses nothing of what it kept any more
 *
 * Context: process context, reader lock not held.
 */
void vmmu_table_del_reader(struct vmmu *mmu, struct vmmu_reader *reader)
{
	write_lock(&mmu->mmu_lock);
	list_del_init(&reader->node);
	write_unlock(&mmu->mmu_lock);
}

/**
 * vmmu_readers_flush() - make the readers of a table look guest pages up again
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
void vmmu_readers_flush(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_reader *reader;

	lockdep_assert_held(&mmu->mmu_lock);

	list_for_each_entry(reader, &mmu->readers, node) {
		vmmu_reader_drain_begin(reader);
		reader->flush(reader, first, last);
		vmmu_reader_drain_end(reader);
	}
}
