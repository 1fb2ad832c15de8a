// SPDX-License-Identifier: GPL-2.0
/*
 * The data path of a virtqueue: what a backend calls.  Each operation is one
 * section, or the same parser code by user access; signals are sent after the
 * section.
 */
#include "access.h"
#include "log.h"
#include "translate.h"
#include "../compat/eventfd.h"
#include "../trace.h"

static const struct vmq_memory vmq_user_memory = {
	.translate = vmq_translate,
	.indirect_begin = vmq_indirect_begin,
	.indirect_read = vmq_indirect_read,
};

/* The ring is broken: say so once per failed call. */
static void vmq_broken(struct vmq *vmq, int err)
{
	vmq_err(vmq, "%s (%d)\n", vmq->ring.why ?: "ring error", err);
	vmq->ring.why = NULL;
}

/* Fetch the next burst. */
static int vmq_refill(struct vmq *vmq)
{
	struct vmq_burst *b = vmq->burst;
	int ret;

	vmq_burst_widen(b);
	do {
		ret = vmq_with_access(vmq, vmq_split_gather, &vmq->ring, b);
	} while (ret == VMQ_AGAIN);

	if (unlikely(ret < 0)) {
		vmq_broken(vmq, ret);
		return ret;
	}
	if (b->nr)
		trace_vmq_burst(vmq->trace_id, b->nr, b->nr_desc);
	return b->nr;
}

/**
 * vmq_next() - take the next available buffer chain
 * @vmq: the queue, running
 * @iov: filled with the chain's readable buffers, then its writable ones
 * @iov_size: room in @iov
 * @out_num: number of readable iovecs
 * @in_num: number of writable iovecs
 *
 * Context: vmq::mutex held, may sleep.
 * Return: the chain's head for the used ring, vmq_split::num if there is none,
 *	or -errno if the ring is broken; vmq::err has been signalled then.
 */
int vmq_next(struct vmq *vmq, struct iovec *iov, unsigned int iov_size,
	     unsigned int *out_num, unsigned int *in_num)
{
	struct vmq_burst *b = vmq->burst;
	struct vmq_chain *chain;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	if (b->next == b->nr) {
		ret = vmq_refill(vmq);
		if (ret <= 0)
			return ret ?: vmq->ring.num;
	}

	chain = &b->chain[b->next];
	ret = vmq_split_expand(&vmq->ring, &vmq_user_memory, vmq->indirect,
			       &b->desc[chain->first], chain->count, iov,
			       iov_size, out_num, in_num);
	if (unlikely(ret)) {
		vmq_broken(vmq, ret);
		vmq_burst_reset(b);
		vmq_log_buffers_forget(vmq);
		return ret;
	}

	b->next++;
	vmq->ring.last_avail_idx++;
	return chain->head;
}
EXPORT_SYMBOL_NS_GPL(vmq_next, VHOST_MMU);

/**
 * vmq_burst_drop() - forget what was fetched ahead
 * @vmq: the queue
 *
 * For a handler about to release vmq::mutex, or to wait with it held: what was
 * not consumed is read again next time, and the buffers taken so far are not
 * touched any more.  What was written to them is in the dirty log then.
 *
 * Context: vmq::mutex held, outside of sections, with the owner's mm; may sleep.
 */
void vmq_burst_drop(struct vmq *vmq)
{
	struct vmq_burst *b = vmq->burst;

	lockdep_assert_held(&vmq->mutex);

	if (b->next < b->nr)
		b->ahead = max(b->next, 1U);
	vmq_burst_reset(b);
	vmq_log_buffers_forget(vmq);
	vmq_log_flush(vmq);
	if (unlikely(vmq->slots_held))
		vmq_slots_release(vmq);
}
EXPORT_SYMBOL_NS_GPL(vmq_burst_drop, VHOST_MMU);

/**
 * vmq_discard() - put back the last buffer chains taken
 * @vmq: the queue
 * @n: how many
 *
 * Context: vmq::mutex held.
 */
void vmq_discard(struct vmq *vmq, unsigned int n)
{
	lockdep_assert_held(&vmq->mutex);

	vmq_log_buffers_forget(vmq);
	vmq->ring.last_avail_idx -= n;
	vmq_burst_reset(vmq->burst);
}
EXPORT_SYMBOL_NS_GPL(vmq_discard, VHOST_MMU);

/**
 * vmq_put_back_chains() - as vmq_discard(), but keep what was read ahead
 * @vmq: the queue
 * @n: how many chains
 *
 * Context: vmq::mutex held, nothing else having been done since the first of
 *	them was taken.
 */
void vmq_put_back_chains(struct vmq *vmq, unsigned int n)
{
	lockdep_assert_held(&vmq->mutex);

	if (n > vmq->burst->next) {
		/* The ring was read since: what came before is forgotten. */
		vmq_discard(vmq, n);
		return;
	}
	vmq_log_buffers_forget(vmq);
	vmq->burst->next -= n;
	vmq->ring.last_avail_idx -= n;
}
EXPORT_SYMBOL_NS_GPL(vmq_put_back_chains, VHOST_MMU);

/* Used entries, and in the same section whether to tell of them. */
static __always_inline int vmq_add_used(struct vmq_split *s,
					const struct vring_used_elem *heads,
					unsigned int count, bool *call,
					const struct vmq_access *a, void *ctx)
{
	int ret = vmq_split_add_used(s, a, ctx, heads, count);

	if (*call)
		*call = vmq_split_need_call(s, a, ctx);
	return ret;
}

/*
 * Entries from index @old on, and the index behind them.  A hostile driver may
 * have more of them than the ring has, see vmq_split_add_used().
 */
static noinline void log_used_entries(struct vmq *vmq, u16 old,
				      unsigned int count)
{
	const u32 num = vmq->ring.num, start = old & (num - 1);
	const u32 n = min_t(u32, count, num - start);
	const u32 rest = min_t(u32, count - n, num);
	const size_t size = sizeof(struct vring_used_elem);

	vmq_log_used(vmq, vmq_used_ring_off(start), n * size);
	if (rest)
		vmq_log_used(vmq, vmq_used_ring_off(0), rest * size);
	vmq_log_used(vmq, offsetof(struct vring_used, idx),
		     sizeof(__virtio16));
}

/**
 * vmq_add_used_and_signal() - give buffers back and notify the driver
 * @vmq: the queue, running
 * @heads: used entries in ring byte order
 * @count: how many, not zero
 *
 * Context: vmq::mutex held, may sleep.
 * Return: 0, or -EFAULT if the used ring cannot be written; vmq::err has been
 *	signalled then.
 */
int vmq_add_used_and_signal(struct vmq *vmq, struct vring_used_elem *heads,
			    unsigned int count)
{
	const u16 old = vmq->ring.last_used_idx;
	bool call = vmq->call;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	ret = vmq_with_access(vmq, vmq_add_used, &vmq->ring, heads, count,
			      &call);
	if (unlikely(vmq->log_ring))
		log_used_entries(vmq, old, count);
	if (unlikely(vmq->ring.why))
		vmq_broken(vmq, ret ?: -EFAULT);
	if (call) {
		eventfd_signal(vmq->call);
		vmq->stats.calls++;
		trace_vmq_call(vmq->trace_id);
	}
	return ret;
}
EXPORT_SYMBOL_NS_GPL(vmq_add_used_and_signal, VHOST_MMU);

/**
 * vmq_avail_empty() - is the ring empty?
 * @vmq: the queue, running
 *
 * A short section of its own, for busy polling.
 *
 * Context: vmq::mutex held, may sleep.
 * Return: true if it is; false as well if the ring cannot be read.
 */
bool vmq_avail_empty(struct vmq *vmq)
{
	bool empty;

	lockdep_assert_held(&vmq->mutex);

	if (vmq->burst->next < vmq->burst->nr)
		return false;
	empty = vmq_with_access(vmq, vmq_split_avail_empty, &vmq->ring);
	if (unlikely(vmq->ring.why))
		vmq_broken(vmq, -EFAULT);
	return empty;
}
EXPORT_SYMBOL_NS_GPL(vmq_avail_empty, VHOST_MMU);

/**
 * vmq_enable_notify() - ask the driver to notify of new buffers
 * @vmq: the queue, running; what was fetched ahead is consumed or dropped
 *
 * Context: vmq::mutex held, may sleep.
 * Return: true if buffers have come in meanwhile, so that no notification may
 *	follow: disable it again and go on.
 */
bool vmq_enable_notify(struct vmq *vmq)
{
	const bool changed = vmq->ring.used_flags & VRING_USED_F_NO_NOTIFY;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	WARN_ON_ONCE(vmq->burst->next < vmq->burst->nr);

	ret = vmq_with_access(vmq, vmq_split_enable_notify, &vmq->ring);
	if (changed)
		vmq_log_request(vmq);
	if (unlikely(ret < 0))
		vmq_broken(vmq, ret);
	return ret > 0;
}
EXPORT_SYMBOL_NS_GPL(vmq_enable_notify, VHOST_MMU);

/**
 * vmq_disable_notify() - tell the driver that no notification is needed
 * @vmq: the queue, running
 *
 * Context: vmq::mutex held, may sleep.
 */
void vmq_disable_notify(struct vmq *vmq)
{
	int ret;

	lockdep_assert_held(&vmq->mutex);

	if (vmq->ring.used_flags & VRING_USED_F_NO_NOTIFY)
		return;
	if (vmq->ring.event_idx) {
		/* No ring word is written, so no section is needed. */
		vmq->ring.used_flags |= VRING_USED_F_NO_NOTIFY;
		return;
	}
	ret = vmq_with_access(vmq, vmq_split_disable_notify, &vmq->ring);
	vmq_log_request(vmq);
	if (unlikely(ret < 0))
		vmq_broken(vmq, ret);
}
EXPORT_SYMBOL_NS_GPL(vmq_disable_notify, VHOST_MMU);
