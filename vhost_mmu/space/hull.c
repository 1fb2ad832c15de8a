// SPDX-License-Identifier: GPL-2.0
/*
 * From where to where does anybody cache translations?  Most changes of a
 * process's mappings lie elsewhere, and two comparisons tell.
 */
#include "../mmu/memslot.h"
#include "space.h"

static void hull_add(struct vmmu_range *hull, struct rb_root_cached *tree)
{
	struct interval_tree_node *first, *root;

	if (RB_EMPTY_ROOT(&tree->rb_root))
		return;

	first = rb_entry(rb_first_cached(tree), struct interval_tree_node, rb);
	root = rb_entry(tree->rb_root.rb_node, struct interval_tree_node, rb);
	hull->start = min(hull->start, first->start);
	hull->last = max(hull->last, root->__subtree_last);
}

/**
 * vmmu_space_hull_update() - clients or active memslots have changed
 * @space: the space
 *
 * Context: inval_lock held, in the same hold as the change.
 */
void vmmu_space_hull_update(struct vmmu_space *space)
{
	struct vmmu_range hull = { .start = ULONG_MAX, .last = 0 };
	struct vmmu *mmu;

	lockdep_assert_held(&space->inval_lock);

	hull_add(&hull, &space->clients);
	list_for_each_entry(mmu, &space->mmus, node)
		hull_add(&hull, &vmmu_slots(mmu)->hva_tree);
	space->hull = hull;
}
