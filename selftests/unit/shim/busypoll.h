/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What busypoll.c needs of the kernel and of the net device, put in front of it
 * after shim/mmu.h.  The test has the clock, the rings and the socket.
 */
#ifndef UNIT_BUSYPOLL_SHIM_H
#define UNIT_BUSYPOLL_SHIM_H

extern u64 unit_clock;

#define current			NULL
#define local_clock()		unit_clock
#define signal_pending(task)	((void)(task), false)
#define time_after(a, b)	((long)((b) - (a)) < 0)
#define migrate_disable()	((void)0)
#define migrate_enable()	((void)0)
#define skb_queue_empty_lockless(queue) ((void)(queue), true)

static inline bool mutex_trylock(struct mutex *lock)
{
	bool was = lock->held;

	lock->held = true;
	return !was;
}

struct sock {
	int sk_receive_queue;
};

struct socket;

struct proto_ops {
	int (*peek_len)(struct socket *sock);
};

struct socket {
	const struct proto_ops *ops;
	struct sock *sk;
};

/* Of vhost_mmu/net/net.h, whose place this takes. */
#define VHOST_MMU_NET_H
#define VMNET_RX		0
#define VMNET_TX		1
#define VMNET_NVQS		2

struct vmq {
	/* held while the queue is looked at */
	struct mutex mutex;
	bool slots_held;
};

struct vmdev_poll {
	bool queued;
};

struct vmdev_vq {
	struct vmq vmq;
	unsigned int index;
	struct vmdev_poll poll;
	void *backend;
	u32 busyloop_timeout;
};

struct vmnet_vq {
	struct vmdev_vq dvq;
};

struct vmnet {
	struct vmnet_vq vqs[VMNET_NVQS];
	struct {
		unsigned int head;
		unsigned int tail;
	} rx;
};

static inline struct vmq *vmnet_vmq(struct vmnet_vq *nvq)
{
	return &nvq->dvq.vmq;
}

bool vmdev_has_work(struct vmdev_vq *dvq);
void vmdev_poll_queue(struct vmdev_poll *poll);
bool vmq_avail_empty(struct vmq *vmq);
bool vmq_enable_notify(struct vmq *vmq);
void vmq_disable_notify(struct vmq *vmq);
void vmq_burst_drop(struct vmq *vmq);

bool vmnet_busy_poll(struct vmnet *net, unsigned int index);
bool vmnet_ring_refilled(struct vmdev_vq *dvq, bool interrupted);

#endif
