/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: the address space object. */
#ifndef VHOST_MMU_SPACE_H
#define VHOST_MMU_SPACE_H

#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/rcuwait.h>

#include "inval.h"
#include "client.h"

/**
 * struct vmmu_space - what vhost_mmu knows of one mm
 * @mn: the notifier, shared by all devices of the process
 * @inval_lock: leaf lock of @inval; also held over every change of @clients
 * @inval: open invalidations
 * @hull: covers everything that clients and tables cache; under @inval_lock
 * @clients_lock: read-held while clients are called, write-held over every
 *	change of @clients, so a deleted client is not being called any more
 * @clients: HVA interval tree; looked at under either lock
 * @update_mutex: serialises those who wait for @inval to become empty
 * @updater: the one who waits
 * @updater_waits: whether there is one; under @inval_lock
 * @mmus_mutex: serialises the finding and making of shared tables
 * @mmus: second-stage tables; changed under @inval_lock, walked in notifier
 *	callbacks without a lock: a table is freed after they have finished
 */
struct vmmu_space {
	struct mmu_notifier mn;
	/* leaf; protects inval and, with clients_lock, changes of clients */
	spinlock_t inval_lock;
	struct vmmu_inval inval;
	struct vmmu_range hull;
	/* keeps clients linked while they are called */
	rwlock_t clients_lock;
	struct rb_root_cached clients;
	/* one waiter at a time for inval to become empty */
	struct mutex update_mutex;
	struct rcuwait updater;
	bool updater_waits;
	/* finding and making shared tables */
	struct mutex mmus_mutex;
	struct list_head mmus;
};

/* notifier.c */
extern const struct mmu_notifier_ops vmmu_notifier_ops;

/* client.c */
void vmmu_clients_invalidate(struct vmmu_space *space,
			     struct vmmu_range range);
bool vmmu_clients_age(struct vmmu_space *space, struct vmmu_range range,
		      bool clear);

/* update.c: what must not change between start and end */
void vmmu_space_update_begin(struct vmmu_space *space)
	__acquires(&space->inval_lock);
void vmmu_space_update_end(struct vmmu_space *space)
	__releases(&space->inval_lock);
void vmmu_space_update_wake(struct vmmu_space *space);

/* install.c: the install side of the protocol, for ranges */
bool vmmu_install_begin(struct vmmu_space *space, struct vmmu_range range,
			unsigned long *seq);
bool vmmu_install_refused(struct vmmu_space *space, struct vmmu_range range,
			  unsigned long seq);
void vmmu_install_end(struct vmmu_space *space);

/* hull.c */
void vmmu_space_hull_update(struct vmmu_space *space);

/* space.c */
struct mmu_notifier *vmmu_space_alloc_notifier(struct mm_struct *mm);
void vmmu_space_free_notifier(struct mmu_notifier *mn);

static inline struct vmmu_space *vmmu_space_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct vmmu_space, mn);
}

/**
 * vmmu_clients_hit() - does any client cache translations of a range?
 * @space: the space
 * @range: the range
 *
 * Context: inval_lock held.
 * Return: true if a client overlaps @range.
 */
static inline bool vmmu_clients_hit(struct vmmu_space *space,
				    struct vmmu_range range)
{
	lockdep_assert_held(&space->inval_lock);

	return !RB_EMPTY_ROOT(&space->clients.rb_root) &&
	       interval_tree_iter_first(&space->clients, range.start,
					range.last);
}

#endif /* VHOST_MMU_SPACE_H */
