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

#include "mmu.h"

/**
 * vmmu_reader_init() - initialise a reader
 * @reader: the reader
 */
void vmmu_reader_init(struct vmmu_reader *reader)
{
	spin_lock_init(&reader->lock);
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
