/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Clients: objects that cache translations of one HVA range each (today: a ring
 * map), and give them back when the notifier says so.
 */
#ifndef VHOST_MMU_CLIENT_H
#define VHOST_MMU_CLIENT_H

#include <linux/interval_tree.h>

#include "space.h"

struct vmmu_client;

/**
 * struct vmmu_client_ops - what a client does when the mm changes under it
 * @invalidate: give back every translation inside [@start, @last] and record
 *	the pages written through them as dirty.  After it returns, no CPU uses
 *	an old translation: the client takes the lock of each section that may
 *	use one.
 *	Called from the MMU notifier: must not sleep, allocate or fail.
 * @age: report whether the range was used since the last call, and forget it
 *	if @clear.  May be NULL.  Same context as @invalidate.
 */
struct vmmu_client_ops {
	void (*invalidate)(struct vmmu_client *client, unsigned long start,
			   unsigned long last);
	bool (*age)(struct vmmu_client *client, unsigned long start,
		    unsigned long last, bool clear);
};

/**
 * struct vmmu_client - a holder of translations of one HVA range
 * @node: range in the HVA tree of @space; protected by its clients_lock
 * @ops: callbacks
 * @space: where the client is linked, NULL while it is not
 */
struct vmmu_client {
	struct interval_tree_node node;
	const struct vmmu_client_ops *ops;
	struct vmmu_space *space;
};

void vmmu_client_add(struct vmmu_space *space, struct vmmu_client *client,
		     unsigned long start, unsigned long last);
void vmmu_client_del(struct vmmu_client *client);

/* What is cached from where to where. */
void vmmu_space_hull_update(struct vmmu_space *space);
void vmmu_range_add_tree(struct vmmu_range *range, struct rb_root_cached *tree);

/* For the notifier. */
void vmmu_clients_invalidate(struct vmmu_space *space, struct vmmu_range range);
bool vmmu_clients_age(struct vmmu_space *space, struct vmmu_range range,
		      bool clear);

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

#endif /* VHOST_MMU_CLIENT_H */
