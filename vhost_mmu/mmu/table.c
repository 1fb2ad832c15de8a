// SPDX-License-Identifier: GPL-2.0
/*
 * Life of a table: made, published to the notifier, used by any number of
 * devices and files, given up by the last of them.
 */
#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "change.h"
#include "cursor.h"
#include "memslots.h"
#include "mmu.h"
#include "space.h"

static atomic_t next_id = ATOMIC_INIT(0);
static struct workqueue_struct *free_queue;

/**
 * vmmu_table_init() - prepare for tables, as the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int vmmu_table_init(void)
{
	free_queue = alloc_workqueue("vhost_mmu_free", WQ_UNBOUND, 0);
	return free_queue ? 0 : -ENOMEM;
}

/**
 * vmmu_table_exit() - wait until every table has been freed
 *
 * Context: process context, may sleep; nobody uses a table any more.
 */
void vmmu_table_exit(void)
{
	destroy_workqueue(free_queue);
}

/*
 * Waits for the notifier callbacks that may have found the table in the list.
 * Not for whoever gives it up, which may be an ioctl that a guest waits for.
 */
static void table_free(struct work_struct *work)
{
	struct vmmu_table *table = container_of(work, struct vmmu_table,
						free_work);

	mmu_notifier_synchronize();

	WARN_ON_ONCE(!list_empty(&table->readers));
	vmmu_slots_destroy(table);
	cleanup_srcu_struct(&table->srcu);
	WARN_ON_ONCE(atomic64_read(&table->stats.table_pages) != 1);
	vmmu_pt_free_rcu(table, table->root);
	vmmu_space_put(table->space);
	kfree(table);
}

/**
 * vmmu_table_alloc() - make a table that the notifier does not know yet
 * @mm: the caller's mm
 *
 * Context: process context, may sleep; takes the mmap lock for writing.
 * Return: the table, or ERR_PTR(-ENOMEM) or ERR_PTR(-EINTR).
 */
struct vmmu_table *vmmu_table_alloc(struct mm_struct *mm)
{
	struct vmmu_table *table;
	int ret = -ENOMEM;

	table = kzalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);

	table->root = vmmu_pt_alloc(table);
	if (!table->root)
		goto err_root;
	ret = init_srcu_struct(&table->srcu);
	if (ret)
		goto err_srcu;
	table->space = vmmu_space_get(mm);
	if (IS_ERR(table->space)) {
		ret = PTR_ERR(table->space);
		goto err_space;
	}

	kref_init(&table->ref);
	table->id = atomic_fetch_inc(&next_id);
	INIT_LIST_HEAD(&table->node);
	INIT_LIST_HEAD(&table->rings);
	INIT_LIST_HEAD(&table->readers);
	INIT_WORK(&table->free_work, table_free);
	rwlock_init(&table->mmu_lock);
	mutex_init(&table->slots_lock);
	vmmu_slots_init(table);
	vmmu_pt_account(table, table->root, 1);
	return table;

err_space:
	cleanup_srcu_struct(&table->srcu);
err_srcu:
	vmmu_pt_free(table, table->root);
err_root:
	kfree(table);
	return ERR_PTR(ret);
}

/**
 * vmmu_table_publish() - let the notifier know a table
 * @table: the table, of vmmu_table_alloc()
 *
 * From here on pages may be mapped.
 *
 * Context: process context.
 */
void vmmu_table_publish(struct vmmu_table *table)
{
	struct vmmu_space *space = table->space;

	/*
	 * An invalidation that is open may see it or not: what it changes is
	 * not mapped before its end.
	 */
	spin_lock(&space->inval_lock);
	list_add_rcu(&table->node, &space->tables);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
}

/**
 * vmmu_table_create() - make a table without memslots
 * @mm: the caller's mm
 *
 * Context: process context, may sleep; takes the mmap lock for writing.
 * Return: the table, or ERR_PTR(-ENOMEM) or ERR_PTR(-EINTR).
 */
struct vmmu_table *vmmu_table_create(struct mm_struct *mm)
{
	struct vmmu_table *table = vmmu_table_alloc(mm);

	if (!IS_ERR(table))
		vmmu_table_publish(table);
	return table;
}

/**
 * vmmu_table_get() - have one user more
 * @table: the table
 *
 * Return: @table.
 */
struct vmmu_table *vmmu_table_get(struct vmmu_table *table)
{
	kref_get(&table->ref);
	return table;
}

static void table_unpublish(struct vmmu_table *table)
{
	struct vmmu_space *space = table->space;

	/* While the notifier still sees it, so that the pages are there. */
	vmmu_zap(table, 0, VMMU_MAX_GFN);
	vmmu_prune(table, 0, VMMU_MAX_GFN);

	spin_lock(&space->inval_lock);
	list_del_rcu(&table->node);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
}

static void table_release(struct kref *ref)
{
	struct vmmu_table *table = container_of(ref, struct vmmu_table, ref);

	if (!list_empty(&table->node))
		table_unpublish(table);
	queue_work(free_queue, &table->free_work);
}

/**
 * vmmu_table_put() - have one user less, and free the table with the last one
 * @table: the table, or NULL
 *
 * Nothing is mapped by it then; its memory is given back a little later.
 *
 * Context: process context, may sleep; no lock held that a change of memslots
 *	takes.
 */
void vmmu_table_put(struct vmmu_table *table)
{
	if (table)
		kref_put(&table->ref, table_release);
}

/**
 * vmmu_table_is_of() - does a table belong to an mm?
 * @table: the table
 * @mm: the mm
 *
 * Return: true if so.
 */
bool vmmu_table_is_of(const struct vmmu_table *table,
		      const struct mm_struct *mm)
{
	return table->space->mn.mm == mm;
}

/**
 * vmmu_table_notifier_starts() - how many invalidations the address space saw
 * @table: the table
 *
 * Return: their number, since the first device or MMU was opened.
 */
u64 vmmu_table_notifier_starts(const struct vmmu_table *table)
{
	return READ_ONCE(table->space->inval.seq);
}
