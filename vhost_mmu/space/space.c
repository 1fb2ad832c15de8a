// SPDX-License-Identifier: GPL-2.0
/*
 * Address spaces: making and freeing them, one per mm.
 */
#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "space.h"

/* What the notifier calls; set before there is a space. */
const struct vmmu_space_ops *vmmu_space_ops __ro_after_init;

/* Spaces that are not freed yet. */
static atomic_t nr_spaces = ATOMIC_INIT(0);

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
	mutex_init(&space->mmus_mutex);
	INIT_LIST_HEAD(&space->mmus);
	atomic_inc(&nr_spaces);
	return &space->mn;
}

/**
 * vmmu_space_free_notifier() - free a space that no callback can be using
 * @mn: the notifier inside the space
 *
 * Called by the notifier core after its SRCU grace period.  An invalidation
 * that was open at the last vmmu_space_put() never reports its end here.
 *
 * Context: workqueue, bottom halves off.
 */
void vmmu_space_free_notifier(struct mmu_notifier *mn)
{
	struct vmmu_space *space = vmmu_space_of(mn);

	WARN_ON_ONCE(!RB_EMPTY_ROOT(&space->clients.rb_root));
	WARN_ON_ONCE(!list_empty(&space->mmus));
	kfree(space);

	if (atomic_dec_and_test(&nr_spaces))
		wake_up_var(&nr_spaces);
}

/**
 * vmmu_space_exit() - wait until every space has been freed
 *
 * For module exit: the callbacks and the free function are module text.  The
 * notifier core frees by callbacks of an SRCU that only it can name, and to wait
 * for a grace period of it is not to wait for its callbacks.  So they are counted.
 *
 * Context: process context, may sleep.
 */
void vmmu_space_exit(void)
{
	wait_var_event(&nr_spaces, !atomic_read(&nr_spaces));

	/* The last one still runs the end of the function that frees. */
	synchronize_rcu();
}
