// SPDX-License-Identifier: GPL-2.0
/*
 * Life of an MMU: made, published to the notifier, used by any number of
 * devices and files, given up by the last of them.
 */
#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "../space/client.h"
#include "mmu.h"
#include "pt_mem.h"
#include "pt_zap.h"

static atomic_t next_id = ATOMIC_INIT(0);
static struct workqueue_struct *free_queue;

/**
 * vmmu_mmus_init() - prepare for MMUs, as the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int vmmu_mmus_init(void)
{
	free_queue = alloc_workqueue("vhost_mmu_free", WQ_UNBOUND, 0);
	return free_queue ? 0 : -ENOMEM;
}

/**
 * vmmu_mmus_exit() - wait until every MMU has been freed
 *
 * Context: process context, may sleep; nobody uses an MMU any more.
 */
void vmmu_mmus_exit(void)
{
	destroy_workqueue(free_queue);
}

/* What counts the MMUs of a kind that an address space has. */
static atomic64_t *mmu_count(struct vmmu_space *space, bool implicit)
{
	return implicit ? &space->nr_shared : &space->nr_files;
}

/*
 * Waits for the notifier callbacks that may have found the MMU in the list.  A
 * worker does it, as a guest may wait for the ioctl that drops the last user.
 */
static void mmu_free(struct work_struct *work)
{
	struct vmmu *mmu = container_of(work, struct vmmu, free_work);

	mmu_notifier_synchronize();

	WARN_ON_ONCE(!list_empty(&mmu->sections));
	vmmu_slots_destroy(mmu);
	cleanup_srcu_struct(&mmu->srcu);
	WARN_ON_ONCE(atomic64_read(&mmu->stats.table_pages) != 1);
	vmmu_pt_free_rcu(mmu, mmu->root);
	atomic64_dec(mmu_count(mmu->space, mmu->implicit));
	vmmu_space_put(mmu->space);
	kfree(mmu);
}

static struct vmmu *mmu_alloc(struct mm_struct *mm)
{
	struct vmmu *mmu;
	int ret = -ENOMEM;

	mmu = kzalloc(sizeof(*mmu), GFP_KERNEL_ACCOUNT);
	if (!mmu)
		return ERR_PTR(-ENOMEM);

	mmu->root = vmmu_pt_alloc(mmu);
	if (!mmu->root)
		goto err_root;
	ret = init_srcu_struct(&mmu->srcu);
	if (ret)
		goto err_srcu;
	mmu->space = vmmu_space_get(mm);
	if (IS_ERR(mmu->space)) {
		ret = PTR_ERR(mmu->space);
		goto err_space;
	}

	kref_init(&mmu->ref);
	mmu->id = atomic_fetch_inc(&next_id);
	INIT_LIST_HEAD(&mmu->node);
	spin_lock_init(&mmu->rings_lock);
	INIT_LIST_HEAD(&mmu->rings);
	INIT_LIST_HEAD(&mmu->sections);
	INIT_WORK(&mmu->free_work, mmu_free);
	rwlock_init(&mmu->mmu_lock);
	mutex_init(&mmu->slots_lock);
	vmmu_slots_init(mmu);
	vmmu_pt_account(mmu, mmu->root, 1);
	return mmu;

err_space:
	cleanup_srcu_struct(&mmu->srcu);
err_srcu:
	vmmu_pt_free(mmu, mmu->root);
err_root:
	kfree(mmu);
	return ERR_PTR(ret);
}

/* One more, but no more than there may be. */
static bool mmu_count_up(struct vmmu_space *space, bool implicit)
{
	return atomic64_add_unless(mmu_count(space, implicit), 1,
				   implicit ? VMMU_MAX_SHARED : VMMU_MAX_MMUS);
}

/**
 * vmmu_alloc_counted() - make an MMU that the notifier does not know yet
 * @mm: the caller's mm
 * @implicit: it is of a memory table
 *
 * An invalidation looks at each MMU of an address space, and not all that an MMU
 * takes is charged to somebody, so there is a limit.
 *
 * Context: process context, may sleep; takes the mmap lock for writing.
 * Return: the MMU; or ERR_PTR(-EMFILE) if there are VMMU_MAX_MMUS or
 *	VMMU_MAX_SHARED, -ENOMEM or -EINTR.
 */
struct vmmu *vmmu_alloc_counted(struct mm_struct *mm, bool implicit)
{
	struct vmmu_space *space = vmmu_space_get(mm);
	struct vmmu *mmu = ERR_PTR(-EMFILE);
	bool counted;

	if (IS_ERR(space))
		return ERR_CAST(space);

	counted = mmu_count_up(space, implicit);
	if (!counted) {
		/* Some may have been given up and count still. */
		flush_workqueue(free_queue);
		counted = mmu_count_up(space, implicit);
	}
	if (counted)
		mmu = mmu_alloc(mm);
	if (IS_ERR(mmu)) {
		if (counted)
			atomic64_dec(mmu_count(space, implicit));
	} else {
		mmu->implicit = implicit;
	}
	/* The MMU has a reference of its own. */
	vmmu_space_put(space);
	return mmu;
}

/**
 * vmmu_publish() - let the notifier know an MMU
 * @mmu: the MMU, of vmmu_alloc()
 *
 * From here on pages may be mapped.
 *
 * Context: process context.
 */
void vmmu_publish(struct vmmu *mmu)
{
	struct vmmu_space *space = mmu->space;

	/*
	 * The notifier may see the MMU in an invalidation that is open, or
	 * not: no fault maps what that changes before it has ended.
	 */
	spin_lock(&space->inval_lock);
	list_add_rcu(&mmu->node, &space->mmus);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
}

/**
 * vmmu_create() - make an MMU of a file, without memslots
 * @mm: the caller's mm
 *
 * Context: process context, may sleep; takes the mmap lock for writing.
 * Return: as of vmmu_alloc_counted().
 */
struct vmmu *vmmu_create(struct mm_struct *mm)
{
	struct vmmu *mmu = vmmu_alloc_counted(mm, false);

	if (!IS_ERR(mmu))
		vmmu_publish(mmu);
	return mmu;
}

/**
 * vmmu_get() - have one user more
 * @mmu: the MMU
 *
 * Return: @mmu.
 */
struct vmmu *vmmu_get(struct vmmu *mmu)
{
	kref_get(&mmu->ref);
	return mmu;
}

static void mmu_unpublish(struct vmmu *mmu)
{
	struct vmmu_space *space = mmu->space;

	/*
	 * The notifier still sees the MMU, so the pages stay until they are
	 * zapped.
	 */
	vmmu_zap(mmu, 0, VMMU_MAX_GFN);
	vmmu_prune(mmu, 0, VMMU_MAX_GFN);

	spin_lock(&space->inval_lock);
	list_del_rcu(&mmu->node);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
}

static void mmu_release(struct kref *ref)
{
	struct vmmu *mmu = container_of(ref, struct vmmu, ref);

	if (!list_empty(&mmu->node))
		mmu_unpublish(mmu);
	queue_work(free_queue, &mmu->free_work);
}

/**
 * vmmu_put() - have one user less, and free the MMU with the last one
 * @mmu: the MMU, or NULL
 *
 * Nothing is mapped by it then; its memory is given back a little later.
 *
 * Context: process context, may sleep; no lock held that a change of memslots
 *	takes.
 */
void vmmu_put(struct vmmu *mmu)
{
	might_sleep();

	if (mmu)
		kref_put(&mmu->ref, mmu_release);
}

/**
 * vmmu_notifier_starts() - how many invalidations the address space saw
 * @mmu: the MMU
 *
 * Return: their number, since the first device or MMU was opened.
 */
u64 vmmu_notifier_starts(const struct vmmu *mmu)
{
	return READ_ONCE(mmu->space->inval.seq);
}
