// SPDX-License-Identifier: GPL-2.0
/*
 * Ring pages from the tables of an MMU, for a ring that lies in guest memory:
 * what the tables map need not be looked up again.
 */
#include "ring_map.h"
#include "../mmu/cursor.h"
#include "../mmu/fault.h"

/* Faults for a page that is gone again each time before it is used. */
#define VMQ_FAULT_TRIES	2

/*
 * Install page @i if @gfn is mapped.  Return VMMU_PAGE_FAULT if it is not,
 * VMMU_PAGE_FILE if the page is not for ring maps.
 *
 * One check is enough here.  Of an invalidation that overlaps the page,
 *
 *	the start was seen, the end not:  the range is open: refused
 *	the end was seen as well:  between them the notifier took mmu_lock for
 *				   writing and removed the entry; the one found
 *				   was made afterwards, of the new page
 *	the start was not seen:	   it enters its range into the open set after
 *				   this look at it, so it calls the map's
 *				   invalidate callback after the publication,
 *				   which is in the same hold of the section lock
 *
 * The map was linked before, so that the start will find it.
 */
static enum vmmu_page_status ring_map_take(struct vmq_ring_map *map,
					   unsigned int i, struct vmmu *mmu,
					   u64 gfn)
{
	struct vmmu_section *section = &map->vmq->section;
	enum vmmu_page_status status = VMMU_PAGE_OK;
	struct vmmu_leaf leaf;
	struct page *page;

	rcu_read_lock();
	read_lock(&mmu->mmu_lock);
	if (!vmmu_lookup(mmu, gfn, map->write, &leaf)) {
		status = VMMU_PAGE_FAULT;
		goto out;
	}

	/* Stays as it is, without a reference, while mmu_lock is held. */
	page = pfn_to_page(vmmu_pte_pfn_of(leaf.pte, leaf.level, gfn));
	if (!(vmmu_page_bits(page, true) & VMMU_PTE_HOST_WRITE)) {
		status = VMMU_PAGE_FILE;
		goto out;
	}

	spin_lock(&section->lock);
	if (vmq_ring_map_inval_open(map, i))
		status = VMMU_PAGE_REFUSED;
	else
		vmq_ring_map_publish(map, i, page);
	spin_unlock(&section->lock);
out:
	read_unlock(&mmu->mmu_lock);
	rcu_read_unlock();
	return status;
}

/*
 * The memslot stays while the entry is looked at: no other may come to lie at
 * @gfn with entries of its own.
 */
static enum vmmu_page_status ring_map_try_mmu(struct vmq_ring_map *map,
					      unsigned int i, struct vmmu *mmu,
					      u64 *gfn)
{
	unsigned long hva = vmq_ring_map_page_hva(map, i);
	enum vmmu_page_status status;
	struct vmmu_memslot *slot;
	int srcu;

	srcu = srcu_read_lock(&mmu->srcu);
	slot = vmmu_slot_by_hva(vmmu_slots(mmu), hva);
	if (!slot || slot->flags) {
		/* Writes to a ring are none of the guest's: not for its log. */
		status = VMMU_PAGE_NODIRECT;
	} else {
		*gfn = slot->map.gfn + ((hva - slot->map.hva) >> PAGE_SHIFT);
		status = ring_map_take(map, i, mmu, *gfn);
	}
	srcu_read_unlock(&mmu->srcu, srcu);
	return status;
}

/*
 * One attempt: who waited here for the end of an invalidation would keep a
 * change of memslots waiting, if the queue holds on to them, and the packets.
 */
static enum vmmu_page_status ring_map_fault(struct vmq_ring_map *map,
					    struct vmmu *mmu, u64 gfn)
{
	struct vmmu_context ctx;
	bool user;
	long ret;

	vmmu_context_init(&ctx, mmu, NULL);
	ret = vmmu_fault(&ctx, gfn, 1, map->write, &user);
	vmmu_context_destroy(&ctx);

	if (ret == VMMU_FAULT_RETRY)
		return VMMU_PAGE_REFUSED;
	return ret > 0 ? VMMU_PAGE_OK : VMMU_PAGE_FAULT;
}

/**
 * vmq_ring_map_from_mmu() - install a page that the queue's MMU maps
 * @map: linked map
 * @i: which page, missing
 *
 * Faults it in if need be.  Rings in memory that is logged or read-only for the
 * guest are not for the tables, as the device writes beside those rules.
 *
 * Context: process context with the owner's mm, vmq::mutex held, section lock
 *	not held; may sleep.
 * Return: VMMU_PAGE_OK; VMMU_PAGE_REFUSED if an invalidation overlapped; any
 *	other if the page has to be looked up in the mm.
 */
enum vmmu_page_status vmq_ring_map_from_mmu(struct vmq_ring_map *map,
					    unsigned int i)
{
	struct vmmu *mmu = map->vmq->mmu;
	enum vmmu_page_status status;
	unsigned int tries;
	u64 gfn;

	lockdep_assert_held(&map->vmq->mutex);

	if (!mmu)
		return VMMU_PAGE_NODIRECT;

	for (tries = 0;; tries++) {
		status = ring_map_try_mmu(map, i, mmu, &gfn);
		if (status != VMMU_PAGE_FAULT || tries == VMQ_FAULT_TRIES)
			return status;
		status = ring_map_fault(map, mmu, gfn);
		if (status != VMMU_PAGE_OK)
			return status;
	}
}
