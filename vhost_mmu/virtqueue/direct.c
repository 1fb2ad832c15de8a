// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers by kernel address: the second kind of guest memory that the parser of
 * the split ring knows, and what to do when it does not lead to a chain.
 *
 * Nothing here decides that a ring is broken: such a chain is left to
 * vmq_next(), so that there is one answer to what the driver did.
 */
#include "access.h"
#include "translate.h"
#include "direct.h"
#include "log.h"
#include "../mmu/fault.h"
#include "../trace.h"

/*
 * Limits for one chain: faults that mapped a page, and faults in a row that an
 * invalidation refused; a page that is copied on write causes one of those.
 */
#define DIRECT_FAULTS	VMQ_SECTION_LOOKUPS
#define DIRECT_REFUSALS	3

static __always_inline struct vmq *vmq_of_section(struct vmq_section *section)
{
	return container_of(section, struct vmq, section);
}

/*
 * Spend one of the section's lookups.  A chain that finds too few left is taken
 * in the next section, where they are all its own; then it is too long.
 */
static __always_inline bool spend(struct vmq_section *section)
{
	if (likely(section->budget)) {
		section->budget--;
		return true;
	}
	section->miss = section->fresh ? VMQ_MISS_SHAPE : VMQ_MISS_SECTION;
	return false;
}

/* The soft TLB and the tables have no kernel address for @gpa. */
static noinline void missed(struct vmq_section *section, u64 gpa, bool write)
{
	struct vmq *vmq = vmq_of_section(section);

	section->miss = vmq_tlb_refused(vmq->tlb, gpa, write) ? VMQ_MISS_NOMAP :
								VMQ_MISS_FAULT;
	section->miss_gpa = gpa;
	section->miss_write = write;
}

/* The kernel address of @gpa; NULL, with the reason in the section, if none. */
static __always_inline void *find(struct vmq_section *section, u64 gpa,
				  bool write, u64 *room)
{
	struct vmq *vmq = vmq_of_section(section);
	void *kaddr;

	if (unlikely(!spend(section)))
		return NULL;
	kaddr = vmq_tlb_find(vmq->tlb, gpa, write, room);
	if (unlikely(!kaddr))
		missed(section, gpa, write);
	return kaddr;
}

/* vmq_memory::translate, into kernel addresses; one iovec a page. */
static __always_inline int direct_translate(void *ctx, u64 addr, u32 len,
					    struct iovec *iov,
					    unsigned int iov_size, int access)
{
	const bool write = access == VHOST_ACCESS_WO;
	struct vmq_section *section = ctx;
	const u64 start = addr;
	u64 left = len, room;
	unsigned int n = 0;
	void *kaddr;

	while (left) {
		if (unlikely(n >= iov_size)) {
			section->miss = VMQ_MISS_SHAPE;
			return -ENOBUFS;
		}
		kaddr = find(section, addr, write, &room);
		if (unlikely(!kaddr))
			return -EAGAIN;

		room = min(room, left);
		iov[n].iov_base = (__force void __user *)kaddr;
		iov[n].iov_len = room;
		n++;
		addr += room;
		left -= room;
	}
	if (write && n)
		vmq_log_buffer(vmq_of_section(section), start, len);
	return n;
}

/*
 * vmq_memory::indirect_begin.  Unlike by user access, what a chain does not use
 * of its indirect table need not be guest memory.
 */
static int direct_begin_indirect(void *ctx, u64 addr, u32 len)
{
	struct vmq_section *section = ctx;

	section->indirect_gpa = addr;
	section->indirect_left = len;
	return 0;
}

/* vmq_memory::indirect_read.  A descriptor may lie in two pages. */
static bool direct_read_indirect(void *ctx, struct vring_desc *desc)
{
	struct vmq_section *section = ctx;
	size_t done, n;
	u64 room;
	void *kaddr;

	if (unlikely(section->indirect_left < sizeof(*desc))) {
		section->miss = VMQ_MISS_SHAPE;
		return false;
	}
	for (done = 0; done < sizeof(*desc); done += n) {
		kaddr = find(section, section->indirect_gpa + done, false,
			     &room);
		if (unlikely(!kaddr))
			return false;
		n = min_t(u64, room, sizeof(*desc) - done);
		if (unlikely(vmq_copy_mc((void *)desc + done, kaddr, n))) {
			section->miss = VMQ_MISS_SHAPE;
			return false;
		}
	}
	/* What is checked next is @desc: never read the table again. */
	barrier();
	section->indirect_gpa += sizeof(*desc);
	section->indirect_left -= sizeof(*desc);
	return true;
}

static const struct vmq_memory direct_memory = {
	.translate = direct_translate,
	.indirect_begin = direct_begin_indirect,
	.indirect_read = direct_read_indirect,
};

/**
 * vmq_direct_fetch() - read chains ahead, until the section has read enough
 * @vmq: queue whose chains that were read before are all taken
 *
 * Context: in a section of vmq_direct_begin(), the section lock held.
 * Return: how many, 0 if there are none; -EAGAIN for vmq_next_direct() to
 *	return.
 */
int vmq_direct_fetch(struct vmq *vmq)
{
	struct vmq_section *section = &vmq->section;
	struct vmq_burst *b = vmq->burst;
	unsigned int read = b->read;
	int ret;

	lockdep_assert_held(&vmq->section.base.lock);

	/* Another try would begin the chain anew, and never come to its end. */
	if (unlikely(section->stuck))
		return -EAGAIN;

	section->miss = VMQ_MISS_SECTION;
	section->stuck = true;
	if (section->gathered >= VMQ_SECTION_DESCS)
		return -EAGAIN;

	vmq_burst_widen(b);
	ret = vmq_split_gather(&vmq->ring, b, &vmq_kernel_access, vmq->maps);
	section->gathered += b->read - read;
	if (unlikely(ret == VMQ_AGAIN))
		return -EAGAIN;
	if (unlikely(ret < 0)) {
		vmq->ring.why = NULL;
		section->miss = VMQ_MISS_SHAPE;
		return -EAGAIN;
	}
	section->stuck = false;
	if (b->nr)
		trace_vmq_burst(vmq->trace_id, b->nr, b->nr_desc);
	return b->nr;
}
EXPORT_SYMBOL_NS_GPL(vmq_direct_fetch, VHOST_MMU);

/**
 * vmq_next_direct() - take the next available buffer chain by kernel addresses
 * @vmq: the queue
 * @iov: filled with the chain's readable buffers, then its writable ones, as
 *	kernel addresses: see vmq_direct_addr()
 * @iov_size: room in @iov
 * @out_num: number of readable iovecs
 * @in_num: number of writable iovecs
 *
 * Context: in a section of vmq_direct_begin(), with which the addresses end.
 * Return: the chain's head for the used ring, vmq_split::num if there is none;
 *	-EAGAIN if it cannot be taken now: leave the section and ask
 *	vmq_direct_resolve().
 */
int vmq_next_direct(struct vmq *vmq, struct iovec *iov, unsigned int iov_size,
		    unsigned int *out_num, unsigned int *in_num)
{
	struct vmq_section *section = &vmq->section;
	struct vmq_burst *b = vmq->burst;
	struct vmq_chain *chain;
	int ret;

	lockdep_assert_held(&vmq->section.base.lock);

	if (b->next == b->nr) {
		ret = vmq_direct_fetch(vmq);
		if (ret <= 0)
			return ret ?: vmq->ring.num;
	}

	section->miss = VMQ_MISS_NONE;
	chain = &b->chain[b->next];
	ret = vmq_split_expand(&vmq->ring, &direct_memory, section,
			       &b->desc[chain->first], chain->count, iov,
			       iov_size, out_num, in_num);
	if (unlikely(ret)) {
		/* The parser's own findings are for vmq_next() to report. */
		if (section->miss == VMQ_MISS_NONE)
			section->miss = VMQ_MISS_SHAPE;
		vmq->ring.why = NULL;
		vmq_log_buffers_forget(vmq);
		return -EAGAIN;
	}

	section->fresh = false;
	b->next++;
	vmq->ring.last_avail_idx++;
	return chain->head;
}
EXPORT_SYMBOL_NS_GPL(vmq_next_direct, VHOST_MMU);

/* One more fault for the same chain?  Forgets those of the chain before. */
static bool direct_may_fault(struct vmq *vmq)
{
	struct vmq_section *section = &vmq->section;

	if (section->tried_at != vmq->ring.last_avail_idx) {
		section->tried_at = vmq->ring.last_avail_idx;
		section->faults = 0;
		section->refusals = 0;
	}
	return section->faults < DIRECT_FAULTS &&
	       section->refusals < DIRECT_REFUSALS;
}

/*
 * One attempt.  The queue may hold on to memslots: if it waited here for the
 * end of an invalidation, a change of memslots would wait as well.
 */
static bool direct_fault(struct vmq *vmq)
{
	struct vmq_section *section = &vmq->section;
	u64 flushes = READ_ONCE(vmq->tlb->flushes);
	struct vmmu_context ctx;
	bool user;
	long ret;

	if (!direct_may_fault(vmq)) {
		/* Whoever tries this chain again counts from the start. */
		section->tried_at = vmq->ring.last_avail_idx - 1;
		vmq->stats.payload_refused++;
		return false;
	}

	vmq->stats.tlb_faults++;
	vmmu_context_init(&ctx, vmq->mmu, NULL);
	ret = vmmu_fault(&ctx, section->miss_gpa >> PAGE_SHIFT, 1,
			 section->miss_write, &user);
	vmmu_context_destroy(&ctx);

	if (ret == VMMU_FAULT_RETRY) {
		section->refusals++;
		return true;
	}
	if (ret > 0 && !user) {
		section->faults++;
		section->refusals = 0;
		return true;
	}
	if (user)
		vmq_tlb_refuse(vmq->tlb, section->miss_gpa, section->miss_write,
			       flushes);
	vmq->stats.payload_nomap++;
	return false;
}

/**
 * vmq_direct_resolve() - make the chain available that could not be taken
 * @vmq: queue for which vmq_next_direct() said -EAGAIN
 *
 * Context: vmq::mutex held, outside of sections, with the owner's mm; may
 *	sleep.
 * Return: true if it may be tried again in a new section; false, with the
 *	reason counted, if the chain has to be taken by vmq_next().
 */
bool vmq_direct_resolve(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	switch (vmq->section.miss) {
	case VMQ_MISS_SECTION:
		return true;
	case VMQ_MISS_FAULT:
		return direct_fault(vmq);
	case VMQ_MISS_NOMAP:
		vmq->stats.payload_nomap++;
		return false;
	default:
		vmq->stats.payload_shape++;
		return false;
	}
}
EXPORT_SYMBOL_NS_GPL(vmq_direct_resolve, VHOST_MMU);
