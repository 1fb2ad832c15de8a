// SPDX-License-Identifier: GPL-2.0
/*
 * The soft TLB: filling it and forgetting.
 */
#include "tlb.h"
#include "../mmu/pt_lookup.h"

/* A flush of more pages than this goes through all entries. */
#define FEW_PAGES	16

static bool entry_drop(struct vmq_tlb_entry *e, u64 first, u64 last)
{
	if (!e->size || e->gpa > last || e->gpa + (e->size - 1) < first)
		return false;
	e->size = 0;
	return true;
}

/* vmmu_section::flush */
static void tlb_flush(struct vmmu_section *section, u64 first_gfn, u64 last_gfn)
{
	struct vmq *vmq = container_of(section, struct vmq, section.base);
	u64 first = first_gfn << PAGE_SHIFT;
	u64 last = (last_gfn << PAGE_SHIFT) | ~PAGE_MASK;
	struct vmq_tlb *tlb = vmq->tlb;
	unsigned int i, n = 0;
	u64 gfn;

	lockdep_assert_held(&section->lock);

	if (last_gfn - first_gfn < FEW_PAGES) {
		for (gfn = first_gfn; gfn <= last_gfn; gfn++)
			n += entry_drop(vmq_tlb_small(tlb, gfn << PAGE_SHIFT),
					first, last);
	} else {
		for (i = 0; i < VMQ_TLB_SMALL; i++)
			n += entry_drop(&tlb->small[i], first, last);
	}
	for (i = 0; i < VMQ_TLB_HUGE; i++)
		n += entry_drop(&tlb->huge[i], first, last);

	/* Counted always: vmq_tlb_refuse() tells by it what is stale. */
	tlb->flushes++;
	vmq->stats.tlb_flushes += n;
}

/* Make the soft TLB of a queue that has no MMU yet, in zeroed memory. */
void vmq_tlb_init(struct vmq_tlb *tlb, struct vmq *vmq)
{
	tlb->vmq = vmq;
	vmq->section.base.flush = tlb_flush;
}

/* Forget everything.  The section lock is held. */
void vmq_tlb_clear(struct vmq_tlb *tlb)
{
	lockdep_assert_held(&tlb->vmq->section.base.lock);

	memset(tlb->small, 0, sizeof(tlb->small));
	memset(tlb->huge, 0, sizeof(tlb->huge));
}

static void *tlb_fill(struct vmq_tlb *tlb, const struct vmmu_leaf *leaf,
		      u64 gpa, bool write, u64 *room)
{
	u64 gfn = vmmu_level_base(gpa >> PAGE_SHIFT, leaf->level);
	struct vmq_tlb_entry *e = leaf->level == VMMU_LEVEL_4K ?
		vmq_tlb_small(tlb, gpa) : vmq_tlb_huge(tlb, gpa);
	u32 flags = VMQ_TLB_READ | VMQ_TLB_WRITE;

	/* Only a lookup for writing has set the dirty bit in the table. */
	if (!write) {
		flags = VMQ_TLB_READ;
		if (gpa - e->gpa < e->size)
			flags |= e->flags & VMQ_TLB_NO_WRITE;
	}

	e->gpa = gfn << PAGE_SHIFT;
	e->size = vmmu_level_pages(leaf->level) << PAGE_SHIFT;
	e->addr = vmmu_leaf_page(leaf, gfn);
	e->flags = flags;
	tlb->vmq->stats.tlb_fills++;

	*room = e->size - (gpa - e->gpa);
	return e->addr + (gpa - e->gpa);
}

/**
 * vmq_tlb_miss() - look a page up in the tables
 * @tlb: the soft TLB, which does not have it
 * @gpa: guest address
 * @write: it is going to be written
 * @room: set to how many bytes lie behind it in the same page
 *
 * Context: in a section.
 * Return: as for vmq_tlb_find().
 */
void *vmq_tlb_miss(struct vmq_tlb *tlb, u64 gpa, bool write, u64 *room)
{
	struct vmmu_leaf leaf;
	bool found;

	lockdep_assert_held(&tlb->vmq->section.base.lock);

	if (vmq_tlb_refused(tlb, gpa, write))
		return NULL;

	/* models/fault: walk, mark */
	rcu_read_lock();
	found = vmmu_lookup_in_section(tlb->vmq->mmu, &tlb->vmq->section.base,
				       gpa >> PAGE_SHIFT, write, &leaf);
	rcu_read_unlock();
	if (!found)
		return NULL;
	return tlb_fill(tlb, &leaf, gpa, write, room);
}

/**
 * vmq_tlb_refuse() - remember that a page has no kernel address
 * @tlb: the soft TLB
 * @gpa: guest address
 * @write: to write it; or else, to read it
 * @flushes: vmq_tlb::flushes before that was found out
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_tlb_refuse(struct vmq_tlb *tlb, u64 gpa, bool write, u64 flushes)
{
	struct vmq_tlb_entry *e = vmq_tlb_small(tlb, gpa);
	u32 flags = write ? VMQ_TLB_NO_WRITE : VMQ_TLB_NO_READ;

	lockdep_assert_held(&tlb->vmq->mutex);

	spin_lock(&tlb->vmq->section.base.lock);
	/* If the tables were flushed meanwhile, the refusal may be stale. */
	if (tlb->flushes == flushes) {
		/* What can be read but not written can still be read. */
		if (gpa - e->gpa < e->size)
			flags |= e->flags;
		else
			e->addr = NULL;
		e->gpa = gpa & PAGE_MASK;
		e->size = PAGE_SIZE;
		e->flags = flags;
		e->refusals = VMQ_TLB_REFUSALS;
	}
	spin_unlock(&tlb->vmq->section.base.lock);
}
