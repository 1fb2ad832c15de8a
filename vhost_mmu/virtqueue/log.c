// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: what a queue has written is gathered here, and handed on to
 * log_map.c, which knows the bitmap.
 */
#include <linux/slab.h>

#include "log.h"
#include "../compat/eventfd.h"

/* What a bit stands for, in bytes: 2 to this. */
#define LOG_PAGE_SHIFT 12

/**
 * vmq_log_set_bits() - set the bits of what was gathered
 * @vmq: queue with ranges gathered
 *
 * Context: as of vmq_log_flush().
 */
void vmq_log_set_bits(struct vmq *vmq)
{
	struct vmq_log *log = vmq->log;
	unsigned int i;

	lockdep_assert_held(&vmq->mutex);
	lockdep_assert_not_held(&vmq->section.base.lock);

	/*
	 * Data are visible before the bits are tested.  Pairs with the atomic
	 * exchange by which the owner takes bits before it reads the pages.
	 */
	smp_mb();
	for (i = 0; i < log->nr; i++)
		vmq_log_set_range(vmq, log->range[i].first, log->range[i].last);
	log->nr = 0;

	if (vmq->log_call)
		eventfd_signal(vmq->log_call);
}
EXPORT_SYMBOL_NS_GPL(vmq_log_set_bits, VHOST_MMU);

/*
 * Gather a range, which mostly begins where the last one was.  There is room: a
 * section is not begun without, and outside of it room is made.
 */
static void log_add_range(struct vmq *vmq, u64 addr, u64 len, bool in_section)
{
	const u64 first = addr >> LOG_PAGE_SHIFT;
	const u64 last = (addr + len - 1) >> LOG_PAGE_SHIFT;
	struct vmq_log *log = vmq->log;
	struct vmq_log_range *range;

	if (log->nr) {
		range = &log->range[log->nr - 1];
		if (first >= range->first && first <= range->last + 1) {
			range->last = max(range->last, last);
			return;
		}
	}
	if (unlikely(log->nr == VMQ_LOG_RANGES)) {
		if (WARN_ON_ONCE(in_section))
			return;
		vmq_log_set_bits(vmq);
	}
	range = &log->range[log->nr++];
	range->first = first;
	range->last = last;
}

/* A packet has no more buffers than iovecs; an empty one is none. */
void vmq_log_add_buffer(struct vmq *vmq, u64 addr, u32 len)
{
	struct vmq_log *log = vmq->log;
	struct vmq_log_buf *buf;

	lockdep_assert_held(&vmq->mutex);

	if (WARN_ON_ONCE(log->nr_bufs == ARRAY_SIZE(log->buf)))
		return;
	buf = &log->buf[log->nr_bufs++];
	buf->addr = addr;
	buf->len = len;
}
EXPORT_SYMBOL_NS_GPL(vmq_log_add_buffer, VHOST_MMU);

void vmq_log_add_written(struct vmq *vmq, size_t len, bool in_section)
{
	struct vmq_log *log = vmq->log;
	const struct vmq_log_buf *buf;
	size_t n;

	lockdep_assert_held(&vmq->mutex);

	for (buf = log->buf; buf < log->buf + log->nr_bufs && len; buf++) {
		n = min_t(size_t, buf->len, len);
		if (n)
			log_add_range(vmq, buf->addr, n, in_section);
		len -= n;
	}
	log->nr_bufs = 0;
}
EXPORT_SYMBOL_NS_GPL(vmq_log_add_written, VHOST_MMU);

void vmq_log_add_used(struct vmq *vmq, size_t off, size_t len)
{
	lockdep_assert_held(&vmq->mutex);

	log_add_range(vmq, vmq->log_used_addr + off, len, false);
}

/**
 * vmq_log_configured() - what is logged has changed
 * @vmq: queue, nothing gathered
 *
 * Context: vmq::mutex held.
 */
void vmq_log_configured(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	WARN_ON_ONCE(vmq->log && vmq->log->nr);
	vmq->log_buffers = vmq->log && vmq_has_feature(vmq, VHOST_F_LOG_ALL);
	vmq->log_ring = vmq->log && vmq->log_used;
}

/**
 * vmq_log_set_base() - say where the bitmap is
 * @vmq: the queue
 * @base: address of the byte that has the bit of guest page 0
 *
 * When it returns, the queue writes to the bitmap before no more.
 *
 * Context: process context, vmq::mutex held, may sleep.
 * Return: 0, or -ENOMEM with nothing changed.
 */
int vmq_log_set_base(struct vmq *vmq, void __user *base)
{
	lockdep_assert_held(&vmq->mutex);

	if (!vmq->log) {
		vmq->log = kvzalloc(sizeof(*vmq->log), GFP_KERNEL_ACCOUNT);
		if (!vmq->log)
			return -ENOMEM;
		vmq->log->vmq = vmq;
	}
	vmq_log_unmap(vmq);
	vmq->log_base = base;
	vmq_log_configured(vmq);
	return 0;
}

/**
 * vmq_log_free() - forget the bitmap
 * @vmq: stopped queue
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_log_free(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	vmq_log_unmap(vmq);
	kvfree(vmq->log);
	vmq->log = NULL;
	vmq->log_base = NULL;
	vmq->log_used = false;
	vmq->log_used_addr = -1ULL;
	vmq->log_call = NULL;
	vmq_log_configured(vmq);
}
