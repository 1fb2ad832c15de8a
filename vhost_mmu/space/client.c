// SPDX-License-Identifier: GPL-2.0
/*
 * Clients: who caches translations of which host virtual addresses, and the hull
 * of all that is cached.
 *
 * The tree changes under both clients_lock (write) and inval_lock, so that the
 * notifier can ask "is anything hit at all?" under the inval_lock that it holds
 * anyway, and takes clients_lock only when something is.
 */
#include "client.h"

/**
 * vmmu_range_add_tree() - make a range cover all of an HVA tree
 * @range: the range
 * @tree: the tree
 *
 * Context: the lock of the tree is held.
 */
void vmmu_range_add_tree(struct vmmu_range *range, struct rb_root_cached *tree)
{
	struct interval_tree_node *first, *root;

	if (RB_EMPTY_ROOT(&tree->rb_root))
		return;

	first = rb_entry(rb_first_cached(tree), struct interval_tree_node, rb);
	root = rb_entry(tree->rb_root.rb_node, struct interval_tree_node, rb);
	range->start = min(range->start, first->start);
	range->last = max(range->last, root->__subtree_last);
}

/**
 * vmmu_space_hull_update() - clients, or what MMUs may map, have changed
 * @space: the space
 *
 * Most changes of a process's mappings lie outside of the hull, and the notifier
 * sees that by two comparisons.
 *
 * Context: inval_lock held, in the same hold as the change.
 */
void vmmu_space_hull_update(struct vmmu_space *space)
{
	struct vmmu_range hull = { .start = ULONG_MAX, .last = 0 };

	lockdep_assert_held(&space->inval_lock);

	vmmu_range_add_tree(&hull, &space->clients);
	vmmu_space_ops->hull(space, &hull);
	space->hull = hull;
}

/**
 * vmmu_client_add() - link a client to a space
 * @space: the space
 * @client: client with its ops set, linked nowhere
 * @start: first address that it caches translations of
 * @last: last address, inclusive
 *
 * From here on the client is told of every invalidation that overlaps.  It may
 * install translations only afterwards.
 *
 * Context: any but a notifier callback or a section.
 */
void vmmu_client_add(struct vmmu_space *space, struct vmmu_client *client,
		     unsigned long start, unsigned long last)
{
	lockdep_assert_not_held(&space->clients_lock);

	client->space = space;
	client->node.start = start;
	client->node.last = last;

	write_lock(&space->clients_lock);
	spin_lock(&space->inval_lock);
	interval_tree_insert(&client->node, &space->clients);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
	write_unlock(&space->clients_lock);
}

/**
 * vmmu_client_del() - unlink a client
 * @client: client that has given back all of its translations
 *
 * When it returns no callback of @client is running or will run.
 *
 * Context: any but a notifier callback or a section.
 */
void vmmu_client_del(struct vmmu_client *client)
{
	struct vmmu_space *space = client->space;

	lockdep_assert_not_held(&space->clients_lock);

	/*
	 * Waits for the notifiers that are calling clients right now.
	 * models/ring: unlink
	 */
	write_lock(&space->clients_lock);
	spin_lock(&space->inval_lock);
	interval_tree_remove(&client->node, &space->clients);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
	write_unlock(&space->clients_lock);
	client->space = NULL;
}

/**
 * vmmu_clients_invalidate() - make each client give back a range
 * @space: the space
 * @range: what is about to change
 *
 * Context: notifier callback; takes clients_lock and, through the clients,
 *	section locks.
 */
void vmmu_clients_invalidate(struct vmmu_space *space, struct vmmu_range range)
{
	struct interval_tree_node *node;
	struct vmmu_client *client;

	/* inval_lock nests inside clients_lock. */
	lockdep_assert_not_held(&space->inval_lock);

	read_lock(&space->clients_lock);
	for (node = interval_tree_iter_first(&space->clients, range.start,
					     range.last);
	     node;
	     node = interval_tree_iter_next(node, range.start, range.last)) {
		client = container_of(node, struct vmmu_client, node);
		client->ops->invalidate(client, range.start, range.last);
	}
	read_unlock(&space->clients_lock);
}

/**
 * vmmu_clients_age() - was a range used through any client?
 * @space: the space
 * @range: the range
 * @clear: forget that it was
 *
 * Context: notifier callback.
 * Return: true if a client used @range since the last call with @clear.
 */
bool vmmu_clients_age(struct vmmu_space *space, struct vmmu_range range,
		      bool clear)
{
	struct interval_tree_node *node;
	struct vmmu_client *client;
	bool young = false;

	lockdep_assert_not_held(&space->inval_lock);

	read_lock(&space->clients_lock);
	for (node = interval_tree_iter_first(&space->clients, range.start,
					     range.last);
	     node;
	     node = interval_tree_iter_next(node, range.start, range.last)) {
		client = container_of(node, struct vmmu_client, node);
		if (client->ops->age)
			young |= client->ops->age(client, range.start,
						  range.last, clear);
	}
	read_unlock(&space->clients_lock);
	return young;
}
