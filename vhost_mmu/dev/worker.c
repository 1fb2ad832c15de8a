// SPDX-License-Identifier: GPL-2.0
/*
 * The worker of a device: one thread that runs queued works, one after the
 * other, with the owner's mm.
 *
 * It is a thread of the owner (vhost_task), which inherits the owner's cgroups,
 * limits and scheduling, or else a kthread that joins the owner's cgroups.  The
 * former dies by a SIGKILL to the owner, at a time nobody can choose.
 *
 * Queue handlers touch guest memory, and a page fault there may wait for user
 * space for ever: only a fatal signal ends that.  So nobody who has to get on
 * when the owner dies may wait for a queue's handler, nor for vmq::mutex, which
 * handlers hold; and a worker that has used its signal up runs none.
 *
 * Lock order: vmdev::mutex > vmdev_worker::mutex, which nests no other.
 */
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/kcov.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "../compat/vhost_task.h"
#include "internal.h"

static void worker_queue(struct vmdev_worker *worker, struct vmdev_work *work)
{
	/* Full barrier: what @work is about is visible before it runs. */
	if (test_and_set_bit(VMDEV_WORK_QUEUED, &work->flags))
		return;

	llist_add(&work->node, &worker->work_list);
	if (worker->vtsk)
		vhost_task_wake(worker->vtsk);
	else
		wake_up_process(worker->kthread);
}

struct worker_flush {
	struct vmdev_work work;
	struct completion done;
};

static void worker_flush_fn(struct vmdev_work *work)
{
	complete(&container_of(work, struct worker_flush, work)->done);
}

static void run_work(struct vmdev_worker *worker, struct vmdev_work *work)
{
	/* Somebody waits for a flush; nobody waits for what a queue wants. */
	if (unlikely(READ_ONCE(worker->flush_only)) &&
	    work->fn != worker_flush_fn)
		return;

	kcov_remote_start_common(worker->kcov_handle);
	work->fn(work);
	kcov_remote_stop();
}

/* Run what is queued; false if that was nothing. */
static bool worker_run(void *data)
{
	struct vmdev_worker *worker = data;
	struct llist_node *list = llist_del_all(&worker->work_list);
	struct vmdev_work *work, *next;

	if (!list)
		return false;

	__set_current_state(TASK_RUNNING);
	list = llist_reverse_order(list);
	llist_for_each_entry_safe(work, next, list, node) {
		/* The link has been read: worker_queue() may write it again. */
		clear_bit_unlock(VMDEV_WORK_QUEUED, &work->flags);
		/*
		 * Pairs with test_and_set_bit() in worker_queue(): a caller
		 * that still found the bit set is served by the call below.
		 */
		smp_mb__after_atomic();

		run_work(worker, work);
		cond_resched();
	}
	return true;
}

/*
 * A thread of the owner has ended by then.  A kthread whose file somebody else
 * keeps has nobody left who would pay for what it does.
 */
static bool owner_is_gone(const struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return !rcu_access_pointer(mm->owner);
#else
	return false;
#endif
}

/*
 * worker_run() in a kthread, from which the kernel charges nothing to anybody:
 * tables of the MMU and of the owner that its faults make are the owner's to pay,
 * in whatever group he is now.
 */
static bool worker_run_charged(struct vmdev_worker *worker)
{
	struct mm_struct *mm = worker->dev->mm;
	struct mem_cgroup *memcg, *old;
	bool ret;

	if (llist_empty(&worker->work_list))
		return false;

	if (owner_is_gone(mm))
		WRITE_ONCE(worker->flush_only, true);
	memcg = get_mem_cgroup_from_mm(mm);
	old = set_active_memcg(memcg);
	ret = worker_run(worker);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	return ret;
}

static int worker_kthread(void *data)
{
	struct vmdev_worker *worker = data;
	struct mm_struct *mm = worker->dev->mm;

	/* For vmdev_abort(). */
	allow_kernel_signal(SIGKILL);
	kthread_use_mm(mm);
	for (;;) {
		/*
		 * Pairs with wake-ups of kthread_stop() and worker_queue().  A
		 * signal is never taken, and must not keep the thread awake.
		 */
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		if (!worker_run_charged(worker))
			schedule();
	}
	__set_current_state(TASK_RUNNING);
	kthread_unuse_mm(mm);

	return 0;
}

/* Let no queue find the worker any more; true if one could until now. */
static bool worker_detach(struct vmdev_worker *worker)
{
	struct vmdev *dev = worker->dev;
	bool attached = false;
	unsigned int i;

	lockdep_assert_held(&worker->mutex);

	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		if (rcu_access_pointer(dvq->worker) == worker) {
			RCU_INIT_POINTER(dvq->worker, NULL);
			attached = true;
		}
	}
	return attached;
}

/* Give the queues their worker, unless its thread was killed before. */
static void worker_attach(struct vmdev_worker *worker)
{
	struct vmdev *dev = worker->dev;
	unsigned int i;

	mutex_lock(&worker->mutex);
	for (i = 0; i < dev->nvqs && !worker->killed; i++)
		rcu_assign_pointer(dev->vqs[i]->worker, worker);
	mutex_unlock(&worker->mutex);
}

/*
 * Runs in the thread, when it was killed and was not being stopped.
 *
 * SIGKILL has been taken from the thread by then, but stays pending for the
 * process: a fault that userfaultfd handles does not sleep, for a signal is
 * pending, and is tried again for ever, for it is not fatal to this thread.  No
 * handler may run here.
 */
static void worker_killed(void *data)
{
	struct vmdev_worker *worker = data;

	mutex_lock(&worker->mutex);
	worker->killed = true;
	WRITE_ONCE(worker->flush_only, true);
	/* Wake-ups in vmdev_work_queue() may still see the worker. */
	if (worker_detach(worker))
		synchronize_rcu();
	/* No other thread runs what flushes wait for. */
	worker_run(worker);
	mutex_unlock(&worker->mutex);
}

/**
 * vmdev_abort() - have the worker do nothing more for the queues of a device
 * @dev: the device, being closed, or its owner is being killed
 *
 * The worker may be a kthread that waits in a page fault for user space that is
 * gone or hostile, with a vmq::mutex held.  No signal to the owner reaches it,
 * so the fault is made to fail, or whoever closes the file would wait, too.  A
 * worker of the owner's is left alone: a fatal signal would be to all of it.
 *
 * Context: process context; before any vmq::mutex is taken to stop the device.
 */
void vmdev_abort(struct vmdev *dev)
{
	struct vmdev_worker *worker = dev->worker;

	if (!worker)
		return;

	WRITE_ONCE(worker->flush_only, true);
	if (worker->kthread)
		send_sig(SIGKILL, worker->kthread, 1);
}
EXPORT_SYMBOL_NS_GPL(vmdev_abort, VHOST_MMU);

/*
 * The caller was killed while it waited for the worker, and has to wait on: so
 * the worker must get on.  What others are killed for is not the device's end.
 */
static void killed_while_waiting(struct vmdev *dev)
{
	if (current->mm == dev->mm)
		vmdev_abort(dev);
}

/**
 * vmdev_vq_lock() - take the mutex of a queue for an ioctl
 * @dvq: the queue
 *
 * The worker may hold it in a page fault for as long as user space likes, see
 * vmdev_abort().  An owner that is killed meanwhile gets it soon all the same.
 *
 * Context: process context, may sleep; the device mutex held, or the device is
 *	being opened or closed.
 */
void vmdev_vq_lock(struct vmdev_vq *dvq)
{
	if (!mutex_lock_killable(&dvq->vmq.mutex))
		return;
	killed_while_waiting(dvq->dev);
	mutex_lock(&dvq->vmq.mutex);
}
EXPORT_SYMBOL_NS_GPL(vmdev_vq_lock, VHOST_MMU);

/* Wait until everything queued before has run. */
static void worker_flush(struct vmdev_worker *worker)
{
	struct worker_flush flush;

	vmdev_work_init(&flush.work, worker_flush_fn);
	init_completion(&flush.done);

	mutex_lock(&worker->mutex);
	if (worker->killed) {
		mutex_unlock(&worker->mutex);
		return;
	}
	worker_queue(worker, &flush.work);
	/* worker_killed() needs the mutex to run the work in our place. */
	mutex_unlock(&worker->mutex);

	if (wait_for_completion_killable(&flush.done)) {
		killed_while_waiting(worker->dev);
		wait_for_completion(&flush.done);
	}
}

struct worker_cgroups {
	struct vmdev_work work;
	struct task_struct *owner;
	int ret;
};

static void worker_cgroups_fn(struct vmdev_work *work)
{
	struct worker_cgroups *cgroups;

	cgroups = container_of(work, struct worker_cgroups, work);
	cgroups->ret = cgroup_attach_task_all(cgroups->owner, current);
}

/* Have a kthread accounted where the owner is. */
static int worker_join_cgroups(struct vmdev_worker *worker)
{
	struct worker_cgroups cgroups = { .owner = current };

	vmdev_work_init(&cgroups.work, worker_cgroups_fn);
	worker_queue(worker, &cgroups.work);
	worker_flush(worker);

	return cgroups.ret;
}

static int worker_start_task(struct vmdev_worker *worker, const char *name)
{
	struct vhost_task *vtsk;

	vtsk = vhost_task_create(worker_run, worker_killed, worker, name);
	/* Older kernels return NULL for an error. */
	if (IS_ERR_OR_NULL(vtsk))
		return -ENOMEM;

	worker->vtsk = vtsk;
	vhost_task_start(vtsk);

	return 0;
}

static int worker_start_kthread(struct vmdev_worker *worker, const char *name)
{
	struct task_struct *task;
	int ret;

	task = kthread_create(worker_kthread, worker, "%s", name);
	if (IS_ERR(task))
		return PTR_ERR(task);

	worker->kthread = task;
	wake_up_process(task);

	ret = worker_join_cgroups(worker);
	if (ret)
		kthread_stop(task);

	return ret;
}

/**
 * vmdev_worker_create() - start the worker of a device and give it its queues
 * @dev: the device; the caller is becoming its owner
 *
 * Context: process context, may sleep; device mutex held.
 * Return: the worker, or NULL.
 */
struct vmdev_worker *vmdev_worker_create(struct vmdev *dev)
{
	struct vmdev_worker *worker;
	char name[TASK_COMM_LEN];
	int ret;

	lockdep_assert_held(&dev->mutex);

	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return NULL;

	worker->dev = dev;
	mutex_init(&worker->mutex);
	init_llist_head(&worker->work_list);
	worker->kcov_handle = kcov_common_handle();

	snprintf(name, sizeof(name), "vhost-%d", current->pid);
	ret = dev->fork_owner ? worker_start_task(worker, name) :
				worker_start_kthread(worker, name);
	if (ret) {
		kfree(worker);
		return NULL;
	}

	worker_attach(worker);
	return worker;
}

/**
 * vmdev_worker_destroy() - stop a worker
 * @worker: the worker, idle: polling was stopped and then it was flushed
 *
 * Context: process context, may sleep.
 */
void vmdev_worker_destroy(struct vmdev_worker *worker)
{
	mutex_lock(&worker->mutex);
	worker_detach(worker);
	mutex_unlock(&worker->mutex);

	WARN_ON_ONCE(!llist_empty(&worker->work_list));

	if (worker->vtsk)
		vhost_task_stop(worker->vtsk);
	else
		kthread_stop(worker->kthread);

	kfree(worker);
}

/**
 * vmdev_work_init() - prepare a work
 * @work: the work
 * @fn: what it is to run
 */
void vmdev_work_init(struct vmdev_work *work, vmdev_work_fn fn)
{
	work->flags = 0;
	work->fn = fn;
}
EXPORT_SYMBOL_NS_GPL(vmdev_work_init, VHOST_MMU);

/**
 * vmdev_work_queue() - have the worker of a queue run a work
 * @dvq: the queue
 * @work: the work; once, if it is queued already
 *
 * Context: any.
 * Return: false if the queue has no worker.
 */
bool vmdev_work_queue(struct vmdev_vq *dvq, struct vmdev_work *work)
{
	struct vmdev_worker *worker;

	rcu_read_lock();
	worker = rcu_dereference(dvq->worker);
	if (worker)
		worker_queue(worker, work);
	rcu_read_unlock();

	return worker;
}
EXPORT_SYMBOL_NS_GPL(vmdev_work_queue, VHOST_MMU);

/**
 * vmdev_has_work() - does work wait for the worker of a queue?
 * @dvq: the queue
 *
 * Context: any; a hint for loops that poll in the worker.
 * Return: true if so.
 */
bool vmdev_has_work(struct vmdev_vq *dvq)
{
	struct vmdev_worker *worker;
	bool has_work;

	rcu_read_lock();
	worker = rcu_dereference(dvq->worker);
	has_work = worker && !llist_empty(&worker->work_list);
	rcu_read_unlock();

	return has_work;
}
EXPORT_SYMBOL_NS_GPL(vmdev_has_work, VHOST_MMU);

/**
 * vmdev_flush() - wait for the work queued so far
 * @dev: the device; it may be without an owner
 *
 * Context: process context, may sleep; no vmq::mutex held.
 */
void vmdev_flush(struct vmdev *dev)
{
	if (dev->worker)
		worker_flush(dev->worker);
}
EXPORT_SYMBOL_NS_GPL(vmdev_flush, VHOST_MMU);
