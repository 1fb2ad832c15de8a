/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Buffers by kernel address: what a backend calls to reach payload inside a
 * section.
 *
 *	while (vmq_direct_begin(vmq)) {
 *		while ((head = vmq_next_direct(vmq, iov, ...)) is a chain)
 *			copy
 *		vmq_direct_end(vmq);
 *		if (head != -EAGAIN || !vmq_direct_resolve(vmq))
 *			break;
 *	}
 *
 * A chain that cannot be taken this way stays for vmq_next(), which reaches it
 * by user access, finds what is wrong with it and says so.
 */
#ifndef VHOST_MMU_DIRECT_H
#define VHOST_MMU_DIRECT_H

#include "copy.h"
#include "log.h"
#include "section.h"
#include "tlb.h"

/* Bytes copied in a section; the last packet may exceed it. */
#define VMQ_SECTION_BYTES	SZ_64K

int vmq_direct_fetch(struct vmq *vmq);
int vmq_next_direct(struct vmq *vmq, struct iovec *iov, unsigned int iov_size,
		    unsigned int *out_num, unsigned int *in_num);
bool vmq_direct_resolve(struct vmq *vmq);

/**
 * vmq_direct_begin() - try to enter a section for payload
 * @vmq: the queue, running
 *
 * A section as of vmq_section_begin(), in which vmq_next_direct() may be
 * called.  It copies at most VMQ_SECTION_BYTES and one packet.
 *
 * Context: vmq::mutex held, may sleep; on success the section lock is held.
 * Return: false, counted, if payload has to be reached by user access.
 */
#define vmq_direct_begin(vmq) \
	__cond_lock(&(vmq)->section.base.lock, vmq_direct_try_begin(vmq))

static inline bool vmq_direct_try_begin(struct vmq *vmq)
{
	struct vmq_section *section = &vmq->section;

	lockdep_assert_held(&vmq->mutex);

	vmq_log_make_room(vmq);
	if (!vmq->direct || !vmq_section_begin(vmq)) {
		vmq->stats.payload_off++;
		return false;
	}
	section->budget = VMQ_SECTION_LOOKUPS;
	section->gathered = 0;
	section->fresh = true;
	section->stuck = false;
	/* As in vmq_section_try_begin(). */
	__release(&vmq->section.base.lock);
	return true;
}

/**
 * vmq_direct_end() - leave the section
 * @vmq: the queue
 *
 * Context: section lock held; releases it.
 */
static inline void vmq_direct_end(struct vmq *vmq)
	__releases(&vmq->section.base.lock)
{
	vmq_section_end(vmq);
}

/**
 * vmq_direct_addr() - the kernel address in an iovec of vmq_next_direct()
 * @iov: the iovec
 *
 * Context: the section that it was filled in.
 * Return: the address.
 */
static inline void *vmq_direct_addr(const struct iovec *iov)
{
	return (__force void *)iov->iov_base;
}

/**
 * vmq_next_buffer() - take the next chain if it is a buffer within one page
 * @vmq: the queue
 * @write: the buffer is to be writable; or else, readable
 * @want: bytes of it that matter, U32_MAX for all
 * @kaddr: set to its kernel address
 * @len: set to its bytes; those that matter lie within the page
 *
 * Nearly all chains are of this kind, and this costs few instructions.  No
 * chain is taken that vmq_next_direct() would not take, with the same first
 * iovec.
 *
 * Context: in a section of vmq_direct_begin(), with which the address ends.
 * Return: the chain's head for the used ring, or -EAGAIN: ask
 *	vmq_next_direct().
 */
static __always_inline int vmq_next_buffer(struct vmq *vmq, bool write,
					   u32 want, void **kaddr, size_t *len)
{
	const __virtio16 kind = vmq_word(
		&vmq->ring, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE);
	struct vmq_burst *b = vmq->burst;
	const struct vmq_chain *chain;
	const struct vring_desc *desc;
	u64 room;

	lockdep_assert_held(&vmq->section.base.lock);

	if (unlikely(b->next == b->nr) && vmq_direct_fetch(vmq) <= 0)
		return -EAGAIN;
	chain = &b->chain[b->next];
	if (unlikely(chain->count != 1))
		return -EAGAIN;
	desc = &b->desc[chain->first];
	if (unlikely((desc->flags & kind) !=
		     vmq_word(&vmq->ring, write ? VRING_DESC_F_WRITE : 0)))
		return -EAGAIN;
	if (!vmq_tlb_peek(vmq->tlb,
			  __virtio64_to_cpu(vmq_is_le(&vmq->ring), desc->addr),
			  write, kaddr, &room))
		return -EAGAIN;
	*len = __virtio32_to_cpu(vmq_is_le(&vmq->ring), desc->len);
	if (unlikely(min_t(u32, *len, want) > room))
		return -EAGAIN;

	if (write)
		vmq_log_buffer(vmq, __virtio64_to_cpu(vmq_is_le(&vmq->ring),
						      desc->addr), *len);
	vmq->section.fresh = false;
	b->next++;
	vmq->ring.last_avail_idx++;
	return chain->head;
}

/**
 * vmq_expect() - how many chains are going to be taken
 * @vmq: the queue
 * @n: a guess, 1 at least
 *
 * The next fetch reads no more chains ahead than that.
 *
 * Context: vmq::mutex held.
 */
static inline void vmq_expect(struct vmq *vmq, unsigned int n)
{
	struct vmq_burst *b = vmq->burst;

	lockdep_assert_held(&vmq->mutex);

	if (b->next != b->nr || b->walking)
		return;
	vmq_burst_reset(b);
	b->ahead = min_t(unsigned int, n, VMQ_BURST_CHAINS);
}

/**
 * vmq_put_back() - give the chain taken last back, to be taken again
 * @vmq: the queue
 *
 * Context: vmq::mutex held, nothing else having been done since it was taken.
 */
static inline void vmq_put_back(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	vmq_log_buffers_forget(vmq);
	vmq->burst->next--;
	vmq->ring.last_avail_idx--;
}

#endif /* VHOST_MMU_DIRECT_H */
