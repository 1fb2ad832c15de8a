// SPDX-License-Identifier: GPL-2.0
/*
 * Busy polling: for a while after a queue ran dry, look for new work instead of
 * sleeping until a notification.  Both queues and the socket are watched, as
 * they share the worker.
 */
#include <linux/if_tun.h>
#include <linux/net.h>
#include <linux/preempt.h>
#include <linux/sched/clock.h>
#include <linux/sched/signal.h>
#include <net/sock.h>

#include "net.h"

/* VHOST_SET_VRING_BUSYLOOP_TIMEOUT says microseconds: 1024 ns are one here. */
static unsigned long busy_clock(void)
{
	return local_clock() >> 10;
}

static bool may_go_on(unsigned long end)
{
	return likely(!need_resched() && !time_after(busy_clock(), end) &&
		      !signal_pending(current));
}

/* Is there a packet to receive?  With the receive queue's mutex held. */
static bool has_rx_data(struct vmnet *net)
{
	struct socket *sock = net->vqs[VMNET_RX].dvq.backend;

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_RX])->mutex);

	if (unlikely(!sock))
		return false;
	if (net->rx.head != net->rx.tail)
		return true;
	if (sock->ops->peek_len)
		return sock->ops->peek_len(sock);
	return !skb_queue_empty_lockless(&sock->sk->sk_receive_queue);
}

/*
 * Poll until a queue can go on or the time is over.  Each look at a ring is a
 * section of its own: the MMU notifier gets in between two of them.
 * Return true if other work of the worker ended it.
 */
static bool poll_queues(struct vmnet *net, struct vmdev_vq *other, u32 timeout)
{
	struct vmdev_vq *rvq = &net->vqs[VMNET_RX].dvq;
	struct vmdev_vq *tvq = &net->vqs[VMNET_TX].dvq;
	bool interrupted = false;
	unsigned long end;

	/* local_clock() of two CPUs may not be compared. */
	migrate_disable();
	end = busy_clock() + timeout;

	while (may_go_on(end)) {
		if (vmdev_has_work(other)) {
			interrupted = true;
			break;
		}
		if ((has_rx_data(net) && !vmq_avail_empty(&rvq->vmq)) ||
		    (tvq->backend && !vmq_avail_empty(&tvq->vmq)))
			break;
		cpu_relax();
	}
	migrate_enable();

	return interrupted;
}

/*
 * Have the other queue's handler run: now, or when its driver kicks.  The
 * receive handler has nothing to do without a packet, and the socket calls it
 * when it has one.
 */
static void resume_queue(struct vmnet *net, struct vmdev_vq *dvq)
{
	bool wanted = dvq->index == VMNET_TX || has_rx_data(net);

	if (wanted && !vmq_avail_empty(&dvq->vmq)) {
		vmdev_poll_queue(&dvq->poll);
	} else if (unlikely(vmq_enable_notify(&dvq->vmq)) && wanted) {
		vmq_disable_notify(&dvq->vmq);
		vmdev_poll_queue(&dvq->poll);
	}
}

/**
 * vmnet_busy_poll() - poll on behalf of a queue that ran dry
 * @net: device
 * @index: the queue; its mutex is held, and what it carried is signalled
 *
 * What was fetched ahead is forgotten, as by vmq_burst_drop().
 *
 * Return: true if the worker has other work to do: the caller has to queue its
 * own again rather than wait for a notification.
 */
bool vmnet_busy_poll(struct vmnet *net, unsigned int index)
{
	struct vmdev_vq *other = &net->vqs[!index].dvq;
	struct vmdev_vq *dvq = &net->vqs[index].dvq;
	bool interrupted;

	lockdep_assert_held(&dvq->vmq.mutex);

	/*
	 * Either queue may poll, so there is no order between the two mutexes:
	 * go without polling if an ioctl holds the other one.
	 */
	if (!mutex_trylock(&other->vmq.mutex))
		return false;

	/*
	 * The buffers taken so far are done with.  Whoever changes memslots
	 * waits for the queue to let go of them, and must not wait for the end
	 * of polling, which is the owner's to choose.
	 */
	vmq_burst_drop(&dvq->vmq);
	if (other->backend)
		vmq_disable_notify(&other->vmq);
	interrupted = poll_queues(net, other, dvq->busyloop_timeout);
	if (other->backend)
		resume_queue(net, other);

	vmq_burst_drop(&other->vmq);
	mutex_unlock(&other->vmq.mutex);
	return interrupted;
}

/**
 * vmnet_ring_refilled() - go to sleep on a ring that ran dry, or not
 * @dvq: queue, its mutex held
 * @interrupted: what vmnet_busy_poll() returned
 *
 * Return: false if the handler is to return: a kick, or after an interrupted
 * poll the worker, calls it again; true if the driver added a buffer while its
 * notifications were being enabled.
 */
bool vmnet_ring_refilled(struct vmdev_vq *dvq, bool interrupted)
{
	lockdep_assert_held(&dvq->vmq.mutex);

	if (unlikely(interrupted)) {
		vmdev_poll_queue(&dvq->poll);
		return false;
	}
	if (likely(!vmq_enable_notify(&dvq->vmq)))
		return false;

	vmq_disable_notify(&dvq->vmq);
	return true;
}
