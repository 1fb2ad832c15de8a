/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sections: spinlocked stretches in which kernel addresses of the mm's pages are
 * used, and which the notifier can wait out.
 */
#ifndef VHOST_MMU_SECTION_H
#define VHOST_MMU_SECTION_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>

/**
 * struct vmmu_section - a user of translations that the notifier can wait out
 * @lock: held over each section; taken to drain it, by the notifier or by
 *	another who changes entries
 * @node: in the list of whoever hands out the translations, under its lock
 * @flush: forget the translations of the guest pages from @first to @last, NULL
 *	if none are kept from one hold of @lock to the next.  Called with @lock
 *	held, perhaps by a notifier: must not sleep, allocate or fail.
 * @drains: how often @lock was taken to drain
 * @wait_max_ns: the longest wait for it then
 * @wait_total_ns: the sum of these waits
 *
 * The statistics are written under @lock.
 */
struct vmmu_section {
	/* held by a section; taken to wait it out */
	spinlock_t lock;
	struct list_head node;
	void (*flush)(struct vmmu_section *section, u64 first, u64 last);
	u64 drains;
	u64 wait_max_ns;
	u64 wait_total_ns;
};

void vmmu_section_init(struct vmmu_section *section);
void vmmu_section_drain_begin(struct vmmu_section *section)
	__acquires(&section->lock);
void vmmu_section_drain_end(struct vmmu_section *section)
	__releases(&section->lock);

#endif /* VHOST_MMU_SECTION_H */
