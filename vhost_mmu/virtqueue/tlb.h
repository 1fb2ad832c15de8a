/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The soft TLB of a queue: kernel addresses of the guest pages that its buffers
 * lie in, as its MMU has them.
 *
 * A section fills it with a read-only lookup, and later sections use its
 * entries: whoever takes something from the tables flushes it, see
 * vmmu_sections_flush().  It also remembers guest pages without a kernel
 * address, so that not every packet has to fault to find out.
 */
#ifndef VHOST_MMU_TLB_H
#define VHOST_MMU_TLB_H

#include <linux/mm.h>
#include <linux/nospec.h>

#include "virtqueue.h"
#include "../mmu/pt.h"

#define VMQ_TLB_SMALL	256
#define VMQ_TLB_HUGE	8

/* What an entry allows. */
#define VMQ_TLB_READ		BIT(0)
#define VMQ_TLB_WRITE		BIT(1)
/* What was refused: the page has no kernel address for it. */
#define VMQ_TLB_NO_READ		BIT(2)
#define VMQ_TLB_NO_WRITE	BIT(3)
/* How often a refusal is believed before it is found out anew. */
#define VMQ_TLB_REFUSALS	1024

/**
 * struct vmq_tlb_entry - a guest page, small or huge
 * @gpa: its guest address
 * @size: its bytes, 0 for no entry
 * @addr: its kernel address
 * @flags: VMQ_TLB_*
 * @refusals: how often what was refused is still believed
 */
struct vmq_tlb_entry {
	u64 gpa;
	u64 size;
	char *addr;
	u32 flags;
	u32 refusals;
};

/**
 * struct vmq_tlb - a queue's soft TLB
 * @vmq: the queue; its section lock protects the rest
 * @small: of 4 KiB pages, by their number
 * @huge: of larger ones, by the number of 2 MiB
 * @flushes: how often the tables changed
 */
struct vmq_tlb {
	struct vmq *vmq;
	struct vmq_tlb_entry small[VMQ_TLB_SMALL];
	struct vmq_tlb_entry huge[VMQ_TLB_HUGE];
	u64 flushes;
};

void vmq_tlb_init(struct vmq_tlb *tlb, struct vmq *vmq);
void vmq_tlb_clear(struct vmq_tlb *tlb);
void *vmq_tlb_miss(struct vmq_tlb *tlb, u64 gpa, bool write, u64 *room);
void vmq_tlb_refuse(struct vmq_tlb *tlb, u64 gpa, bool write, u64 flushes);

static inline struct vmq_tlb_entry *vmq_tlb_small(struct vmq_tlb *tlb, u64 gpa)
{
	return &tlb->small[(gpa >> PAGE_SHIFT) % VMQ_TLB_SMALL];
}

static inline struct vmq_tlb_entry *vmq_tlb_huge(struct vmq_tlb *tlb, u64 gpa)
{
	return &tlb->huge[(gpa >> vmmu_level_shift(VMMU_LEVEL_2M)) %
			  VMQ_TLB_HUGE];
}

/**
 * vmq_tlb_refused() - is a page known to have no kernel address?
 * @tlb: the soft TLB
 * @gpa: guest address, any
 * @write: to write it; or else, to read it
 *
 * Memory that is mapped where there was none has no invalidation, so this is
 * forgotten after a while.
 *
 * Context: in a section.
 * Return: true if so.
 */
static inline bool vmq_tlb_refused(struct vmq_tlb *tlb, u64 gpa, bool write)
{
	const u32 no = write ? VMQ_TLB_NO_WRITE : VMQ_TLB_NO_READ;
	struct vmq_tlb_entry *e = vmq_tlb_small(tlb, gpa);

	lockdep_assert_held(&tlb->vmq->section.base.lock);

	if (gpa - e->gpa >= e->size || !(e->flags & no))
		return false;
	if (e->refusals) {
		e->refusals--;
		return true;
	}
	e->flags &= ~no;
	return false;
}

/**
 * vmq_tlb_peek() - the kernel address of a guest address, if an entry has it
 * @tlb: the soft TLB
 * @gpa: guest address, any
 * @write: it is going to be written
 * @kaddr: set to the kernel address
 * @room: set to how many bytes lie behind it in the same page
 *
 * The driver chose the address: it is bounded under speculation as well.
 *
 * Context: in a section, with which the address ends.
 * Return: false if no entry has it.
 */
static __always_inline bool vmq_tlb_peek(struct vmq_tlb *tlb, u64 gpa,
					 bool write, void **kaddr, u64 *room)
{
	const u32 need = write ? VMQ_TLB_WRITE : VMQ_TLB_READ;
	struct vmq_tlb_entry *e = vmq_tlb_small(tlb, gpa);
	u64 off = gpa - e->gpa;

	lockdep_assert_held(&tlb->vmq->section.base.lock);

	if (off >= e->size) {
		e = vmq_tlb_huge(tlb, gpa);
		off = gpa - e->gpa;
	}
	if (unlikely(off >= e->size || !(e->flags & need)))
		return false;

	off = array_index_nospec(off, e->size);
	*room = e->size - off;
	*kaddr = e->addr + off;
	return true;
}

/**
 * vmq_tlb_find() - the kernel address of a guest address
 * @tlb: the soft TLB
 * @gpa: guest address, any
 * @write: it is going to be written
 * @room: set to how many bytes lie behind it in the same page
 *
 * Context: in a section, with which the address ends.
 * Return: the address, or NULL if there is none: because the page is not
 *	mapped, or because of what vmq_tlb_refused() says.
 */
static __always_inline void *vmq_tlb_find(struct vmq_tlb *tlb, u64 gpa,
					  bool write, u64 *room)
{
	void *kaddr;

	if (likely(vmq_tlb_peek(tlb, gpa, write, &kaddr, room)))
		return kaddr;
	return vmq_tlb_miss(tlb, gpa, write, room);
}

#endif /* VHOST_MMU_TLB_H */
