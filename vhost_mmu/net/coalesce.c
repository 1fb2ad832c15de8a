// SPDX-License-Identifier: GPL-2.0
/*
 * Coalescing of the receive side's wake-ups.
 *
 * A sender that shares its CPU with the worker is preempted by the wake-up that
 * each of its packets causes.  The cheaper a packet is for the worker, the
 * fewer of them it finds, down to one; then waking up costs far more than
 * receiving.  So while the worker runs on the sender's CPU and finds several
 * packets at a time, a wake-up is held back for some microseconds, or until
 * VMNET_COALESCE_PACKETS have come in.
 *
 * A packet that comes alone, as in a request and its response, is not held
 * back: not after a pause, for then nothing says that others follow, and not
 * after a wait that brought nothing.  Nor is one where nobody is preempted: on
 * an idle CPU, in the interrupt of a network card.
 *
 * vmnet_coalesce::held belongs to the holder of the socket's wait queue lock
 * while the socket is polled, and to the handler while it is not.
 */
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/smp.h>

#include "coalesce.h"
#include "net.h"

/* Packets that end the wait, far below the size of a tap's ring */
#define VMNET_COALESCE_PACKETS	64
/* The average is kept in this many parts of a packet, and moves by a quarter */
#define AVG_SCALE		16
#define AVG_WEIGHT		4
/* Packets a run that make waiting for more worth while: one and a half */
#define AVG_ACTIVE		(AVG_SCALE * 3 / 2)

static unsigned int rx_coalesce_usecs = 30;
module_param(rx_coalesce_usecs, uint, 0644);
MODULE_PARM_DESC(rx_coalesce_usecs,
		 "longest delay of a wake-up that would preempt a busy sender, 0 for none");

static enum hrtimer_restart coalesce_timeout(struct hrtimer *timer)
{
	struct vmnet_coalesce *co =
		container_of(timer, struct vmnet_coalesce, timer);

	vmdev_poll_queue(co->poll);
	return HRTIMER_NORESTART;
}

/*
 * Does waking the worker now cost a sender more than waiting for @delay ns?
 * The sender is on the CPU of the handler's last run, so the clock is the same.
 */
static bool worth_waiting(const struct vmnet_coalesce *co, u64 delay)
{
	if (READ_ONCE(co->average) < AVG_ACTIVE ||
	    co->cpu != smp_processor_id() || is_idle_task(current))
		return false;
	/* Without high resolution the timer takes up to a jiffy more. */
	if (hrtimer_resolution > delay)
		return false;
	return co->held || local_clock() - READ_ONCE(co->ended) <= delay;
}

/*
 * vmdev_poll::hold of the receive queue's socket.  Runs in the sender, which
 * holds the lock of the socket's wait queue with interrupts off.
 */
static bool coalesce_hold(struct vmdev_poll *poll)
{
	struct vmnet *net = container_of(poll, struct vmnet, poll[VMNET_RX]);
	u64 delay = (u64)READ_ONCE(rx_coalesce_usecs) * NSEC_PER_USEC;
	struct vmnet_coalesce *co = &net->coalesce;

	if (!delay || !worth_waiting(co, delay))
		return false;
	if (co->held++ >= VMNET_COALESCE_PACKETS)
		return false;
	if (co->held == 1)
		hrtimer_start(&co->timer, ns_to_ktime(delay),
			      HRTIMER_MODE_REL);
	return true;
}

/* Set up coalescing, inactive.  The polls of @net are initialised. */
void vmnet_coalesce_init(struct vmnet *net)
{
	struct vmnet_coalesce *co = &net->coalesce;

	co->poll = &net->poll[VMNET_RX];
	co->poll->hold = coalesce_hold;
	vmmu_hrtimer_setup(&co->timer, coalesce_timeout, CLOCK_MONOTONIC,
			   HRTIMER_MODE_REL);
}

/**
 * vmnet_coalesce_begin() - a run of the receive handler begins
 * @net: device
 *
 * Context: worker, receive queue's mutex held, the socket not polled.
 */
void vmnet_coalesce_begin(struct vmnet *net)
{
	struct vmnet_coalesce *co = &net->coalesce;

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_RX])->mutex);

	/* If it is just firing, the handler runs once more for nothing. */
	if (co->held)
		hrtimer_try_to_cancel(&co->timer);
	co->waited = co->held;
	co->held = 0;
	co->cpu = raw_smp_processor_id();
}

/**
 * vmnet_coalesce_end() - a run of the receive handler ends
 * @net: device
 * @packets: how many packets it received
 *
 * The socket may be polled again: a sender sees the old values or the new.
 *
 * Context: worker, receive queue's mutex held.
 */
void vmnet_coalesce_end(struct vmnet *net, unsigned int packets)
{
	struct vmnet_coalesce *co = &net->coalesce;
	int average = co->average, sample = packets * AVG_SCALE;

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_RX])->mutex);

	if (!packets)
		return;

	if (co->waited && packets == 1)
		average = 0;
	else
		average += (sample - average) / AVG_WEIGHT;
	WRITE_ONCE(co->average, average);
	if (average >= AVG_ACTIVE)
		WRITE_ONCE(co->ended, local_clock());
}

/**
 * vmnet_coalesce_stop() - forget a wake-up that is held back
 * @net: device
 *
 * Context: receive queue's mutex held, the socket not polled any more; may
 *	sleep.
 */
void vmnet_coalesce_stop(struct vmnet *net)
{
	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_RX])->mutex);

	hrtimer_cancel(&net->coalesce.timer);
	net->coalesce.held = 0;
	net->coalesce.average = 0;
}
