// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces: making and freeing them, one per mm.
 */
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "space.h"

/* What the notifier calls; set before there is a space. */
const struct vmmu_space_ops *vmmu_space_ops __ro_after_init;

/**
 * vmmu_space_init() - prepare for spaces, as the module is loaded
 * @ops: what the notifier does to MMUs
 */
void __init vmmu_space_init(const struct vmmu_space_ops *ops)
{
	vmmu_space_ops = ops;
}

/**
 * vmmu_space_alloc_notifier() - make the space of an mm that has none yet
 * @mm: the mm
 *
 * Context: process context, mmap lock of @mm held for write.
 * Return: the notifier inside the new space, or ERR_PTR(-ENOMEM).
 */
struct mmu_notifier *vmmu_space_alloc_notifier(struct mm_struct *mm)
{
	struct vmmu_space *space;

	mmap_assert_write_locked(mm);

	space = kzalloc(sizeof(*space), GFP_KERNEL_ACCOUNT);
	if (!space)
		return ERR_PTR(-ENOMEM);

	spin_lock_init(&space->inval_lock);
	rwlock_init(&space->clients_lock);
	space->clients = RB_ROOT_CACHED;
	space->hull.start = ULONG_MAX;
	mutex_init(&space->update_mutex);
	rcuwait_init(&space->updater);
	mutex_init(&space->mmus_mutex);
	INIT_LIST_HEAD(&space->mmus);
	return &space->mn;
}

/**
 * vmmu_space_free_notifier() - free a space that no callback can be using
 * @mn: the notifier inside the space
 *
 * Called by the notifier core after its SRCU grace period.  An invalidation
 * that was open at the last vmmu_space_put() never reports its end here.
 *
 * Context: workqueue.
 */
void vmmu_space_free_notifier(struct mmu_notifier *mn)
{
	struct vmmu_space *space = vmmu_space_of(mn);

	WARN_ON_ONCE(!RB_EMPTY_ROOT(&space->clients.rb_root));
	WARN_ON_ONCE(!list_empty(&space->mmus));
	kfree(space);
}

/**
 * vmmu_space_exit() - wait until every space has been freed
 *
 * For module exit: the callbacks and the free function are module text.
 *
 * Context: process context, may sleep.
 */
void vmmu_space_exit(void)
{
	mmu_notifier_synchronize();
}
