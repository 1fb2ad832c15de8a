/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log of a vhost device: which guest pages its queues have written
 * (VHOST_F_LOG_ALL: receive buffers; VHOST_VRING_F_LOG: the used ring).
 *
 * A bitmap in the owner's memory has a bit for each 4096 bytes of guest memory.
 * A queue gathers what it wrote as ranges of such pages, and sets their bits
 * when it has written for a while: a bit may come late, but comes after its data
 * and before vmq::mutex is released.  Whoever reads the bitmap takes bits out of
 * it by an atomic exchange and then reads the pages.
 *
 *	vmq_log_buffer()	a chain is taken: where its writable buffers lie
 *	vmq_log_written()	so many bytes were written to them
 *	vmq_log_used()		a part of the used ring was written
 *	vmq_log_flush()		set the bits
 */
#ifndef VHOST_MMU_LOG_H
#define VHOST_MMU_LOG_H

#include "virtqueue.h"

/*
 * Ranges that a section may gather: for each chain that is a buffer within one
 * page, fetched before it or twice in it, and for each page looked up.
 */
#define VMQ_LOG_SECTION \
	(VMQ_BURST_CHAINS + 2 * VMQ_SECTION_DESCS + VMQ_SECTION_LOOKUPS)
/* Ranges that are gathered at most. */
#define VMQ_LOG_RANGES	(VMQ_LOG_SECTION + 64)
/* A page of the bitmap stands for 128 MiB of guest memory, so many for 32 GiB. */
#define VMQ_LOG_PAGES 256

/**
 * struct vmq_log_range - pages of 4096 bytes that were written
 * @first: the first one's number
 * @last: the last one's number
 */
struct vmq_log_range {
	u64 first;
	u64 last;
};

/**
 * struct vmq_log_buf - a writable buffer of a chain that was taken
 * @addr: guest physical address
 * @len: bytes
 */
struct vmq_log_buf {
	u64 addr;
	u32 len;
};

/**
 * struct vmq_log_page - the kernel address of a page of the bitmap
 * @hva: where the owner has it
 * @addr: its address in the direct map, NULL while there is none
 */
struct vmq_log_page {
	unsigned long hva;
	void *addr;
};

/**
 * struct vmq_log - the dirty log of a queue
 * @client: link to the address space, while @linked
 * @vmq: the queue; its section lock protects @inval_seq and @page
 * @linked: the notifier tells of the range that @page may lie in
 * @used: pages of the bitmap were written since the notifier last asked
 * @inval_seq: how often the notifier hit the range
 * @skip: misses that go by user access before a page is installed again
 * @nr: ranges gathered
 * @nr_bufs: buffers of the packet at hand
 * @range: the ranges
 * @buf: the buffers
 * @page: pages of the bitmap, by the number of the page
 *
 * All but what the section lock protects belongs to the holder of vmq::mutex.
 */
struct vmq_log {
	struct vmmu_client client;
	struct vmq *vmq;
	bool linked;
	bool used;
	u64 inval_seq;
	unsigned int skip;
	unsigned int nr;
	unsigned int nr_bufs;
	struct vmq_log_range range[VMQ_LOG_RANGES];
	struct vmq_log_buf buf[UIO_MAXIOV];
	struct vmq_log_page page[VMQ_LOG_PAGES];
};

/* log_map.c */
void vmq_log_set_range(struct vmq *vmq, u64 first, u64 last);
void vmq_log_unmap(struct vmq *vmq);

/* log.c */
int vmq_log_set_base(struct vmq *vmq, void __user *base);
void vmq_log_configured(struct vmq *vmq);
void vmq_log_free(struct vmq *vmq);
void vmq_log_add_buffer(struct vmq *vmq, u64 addr, u32 len);
void vmq_log_add_written(struct vmq *vmq, size_t len, bool in_section);
void vmq_log_add_used(struct vmq *vmq, size_t off, size_t len);
void vmq_log_set_bits(struct vmq *vmq);

/**
 * vmq_log_buffer() - a writable buffer of the chain that is being taken
 * @vmq: the queue
 * @addr: guest physical address
 * @len: bytes
 *
 * Context: vmq::mutex held, in a section or not.
 */
static __always_inline void vmq_log_buffer(struct vmq *vmq, u64 addr, u32 len)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log_buffers))
		vmq_log_add_buffer(vmq, addr, len);
}

/**
 * vmq_log_buffers_forget() - the chains taken were put back, unwritten
 * @vmq: the queue
 *
 * Context: vmq::mutex held, in a section or not.
 */
static __always_inline void vmq_log_buffers_forget(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log_buffers))
		vmq->log->nr_bufs = 0;
}

/**
 * vmq_log_written() - the buffers taken since the last time were written
 * @vmq: the queue
 * @len: so many bytes from the first on
 *
 * Also when the packet comes to nothing after some of it was written.
 *
 * Context: vmq::mutex held, outside of sections; may sleep.
 */
static __always_inline void vmq_log_written(struct vmq *vmq, size_t len)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log_buffers))
		vmq_log_add_written(vmq, len, false);
}

/* The same in a section. */
static __always_inline void vmq_log_written_direct(struct vmq *vmq, size_t len)
{
	lockdep_assert_held(&vmq->section.base.lock);

	if (unlikely(vmq->log_buffers))
		vmq_log_add_written(vmq, len, true);
}

/**
 * vmq_log_make_room() - before a section that writes to buffers
 * @vmq: the queue
 *
 * Context: as of vmq_log_flush().
 */
static __always_inline void vmq_log_make_room(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log_buffers &&
		     vmq->log->nr > VMQ_LOG_RANGES - VMQ_LOG_SECTION))
		vmq_log_set_bits(vmq);
}

/**
 * vmq_log_used() - a part of the used ring was written
 * @vmq: the queue
 * @off: where, in bytes
 * @len: how many
 *
 * Context: vmq::mutex held, outside of sections; may sleep.
 */
static __always_inline void vmq_log_used(struct vmq *vmq, size_t off,
					 size_t len)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log_ring))
		vmq_log_add_used(vmq, off, len);
}

/**
 * vmq_log_request() - the word that asks for notifications was written
 * @vmq: the queue
 *
 * The avail event with VIRTIO_RING_F_EVENT_IDX, or else the flags.
 *
 * Context: vmq::mutex held, outside of sections; may sleep.
 */
static inline void vmq_log_request(struct vmq *vmq)
{
	const struct vmq_split *s = &vmq->ring;

	vmq_log_used(vmq,
		     s->event_idx ? vmq_used_ring_off(s->num) :
				    offsetof(struct vring_used, flags),
		     sizeof(__virtio16));
}

/**
 * vmq_log_flush() - set the bits of what was gathered
 * @vmq: the queue; no buffer that was taken is going to be written any more
 *
 * Context: vmq::mutex held, outside of sections, with the owner's mm; may sleep.
 */
static __always_inline void vmq_log_flush(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	if (unlikely(vmq->log && vmq->log->nr))
		vmq_log_set_bits(vmq);
}

#endif /* VHOST_MMU_LOG_H */
