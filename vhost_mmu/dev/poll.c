// SPDX-License-Identifier: GPL-2.0
/*
 * Polling: queue a work when a file (the kick eventfd, a socket) is ready.
 *
 * Starting and stopping is up to the caller to serialise; all do so by
 * vmq::mutex.
 */
#include "../trace.h"
#include "internal.h"

static void poll_ready(struct vmdev_poll *poll)
{
	struct vmq *vmq = &poll->dvq->vmq;

	if (poll == &poll->dvq->poll) {
		/* May miss one that races with the start of polling. */
		WRITE_ONCE(vmq->stats.kicks, READ_ONCE(vmq->stats.kicks) + 1);
		trace_vmdev_kick(vmq->trace_id);
	}
	vmdev_poll_queue(poll);
}

/* Called with the lock of the wait queue held. */
static int poll_wakeup(wait_queue_entry_t *wait, unsigned int mode, int sync,
		       void *key)
{
	struct vmdev_poll *poll = container_of(wait, struct vmdev_poll, wait);

	if (!(key_to_poll(key) & poll->mask))
		return 0;
	if (!poll->hold || !poll->hold(poll))
		poll_ready(poll);

	return 0;
}

static void poll_table_func(struct file *file, wait_queue_head_t *wqh,
			    poll_table *table)
{
	struct vmdev_poll *poll = container_of(table, struct vmdev_poll, table);

	poll->wqh = wqh;
	add_wait_queue(wqh, &poll->wait);
}

/**
 * vmdev_poll_init() - prepare a poll
 * @poll: the poll
 * @fn: what to run in the worker
 * @mask: at which events
 * @dvq: whose worker
 */
void vmdev_poll_init(struct vmdev_poll *poll, vmdev_work_fn fn, __poll_t mask,
		     struct vmdev_vq *dvq)
{
	init_waitqueue_func_entry(&poll->wait, poll_wakeup);
	init_poll_funcptr(&poll->table, poll_table_func);
	poll->wqh = NULL;
	poll->mask = mask;
	poll->dvq = dvq;
	poll->hold = NULL;
	vmdev_work_init(&poll->work, fn);
}
EXPORT_SYMBOL_NS_GPL(vmdev_poll_init, VHOST_MMU);

/**
 * vmdev_poll_start() - wait for a file from now on
 * @poll: the poll; nothing happens if it is waiting already
 * @file: the file; the caller keeps a reference until vmdev_poll_stop()
 *
 * The work is queued at once if the file is ready.
 *
 * Context: process context, vmq::mutex of the poll's queue held.
 * Return: 0, or -EINVAL if the file is in error.
 */
int vmdev_poll_start(struct vmdev_poll *poll, struct file *file)
{
	__poll_t mask;

	lockdep_assert_held(&poll->dvq->vmq.mutex);

	if (poll->wqh)
		return 0;

	mask = vfs_poll(file, &poll->table);
	if (mask & poll->mask)
		poll_ready(poll);
	if (mask & EPOLLERR) {
		vmdev_poll_stop(poll);
		return -EINVAL;
	}
	return 0;
}
EXPORT_SYMBOL_NS_GPL(vmdev_poll_start, VHOST_MMU);

/**
 * vmdev_poll_stop() - stop waiting
 * @poll: the poll; nothing happens if it is not waiting
 *
 * The file may be put after this.  The work may still be queued: flush.
 *
 * Context: process context, vmq::mutex of the poll's queue held.
 */
void vmdev_poll_stop(struct vmdev_poll *poll)
{
	lockdep_assert_held(&poll->dvq->vmq.mutex);

	if (!poll->wqh)
		return;

	remove_wait_queue(poll->wqh, &poll->wait);
	poll->wqh = NULL;
}
EXPORT_SYMBOL_NS_GPL(vmdev_poll_stop, VHOST_MMU);

/**
 * vmdev_poll_queue() - queue the work as if the file had become ready
 * @poll: the poll
 *
 * Context: any.
 */
void vmdev_poll_queue(struct vmdev_poll *poll)
{
	vmdev_work_queue(poll->dvq, &poll->work);
}
EXPORT_SYMBOL_NS_GPL(vmdev_poll_queue, VHOST_MMU);

/**
 * vmdev_exceeds_weight() - has a handler had its share of the worker?
 * @dvq: its queue
 * @packets: how many packets it carried
 * @bytes: how many bytes
 *
 * Context: worker, vmq::mutex of @dvq held.
 * Return: true if it is to return; it is queued again then.
 */
bool vmdev_exceeds_weight(struct vmdev_vq *dvq, unsigned int packets,
			  size_t bytes)
{
	const struct vmdev *dev = dvq->dev;

	lockdep_assert_held(&dvq->vmq.mutex);

	if (packets < dev->weight &&
	    (!dev->byte_weight || bytes < dev->byte_weight))
		return false;

	vmdev_poll_queue(&dvq->poll);
	return true;
}
EXPORT_SYMBOL_NS_GPL(vmdev_exceeds_weight, VHOST_MMU);
