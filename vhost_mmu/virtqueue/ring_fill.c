// SPDX-License-Identifier: GPL-2.0
/*
 * Filling ring maps: each missing page is taken from the tables of the queue's
 * MMU, or else looked up in the owner's mm.  A queue whose maps cannot be
 * filled, or do not stay filled, leaves them alone for a while.
 */
#include "ring_map.h"
#include "../mmu/pt_lookup.h"
#include "../mmu/fault.h"
#include "../space/hooks.h"
#include "../trace.h"

/* Attempts to fill the maps before an operation goes by user access. */
#define VMQ_FILL_TRIES 3
/* Maps that last for no more sections than this are not worth filling. */
#define VMQ_THRASH_SECTIONS 16
/* Longest pauses, in operations: 2^n - 1. */
#define VMQ_SHIFT_THRASH 6
#define VMQ_SHIFT_HOPELESS 10
/* Faults for a page that the notifier takes away before it is used. */
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
	struct vmmu_section *section = &map->vmq->section.base;
	enum vmmu_page_status status = VMMU_PAGE_OK;
	struct vmmu_leaf leaf;
	struct page *page;

	lockdep_assert_held(&map->vmq->mutex);

	/* models/ring: take */
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
 * SRCU keeps the memslot while ring_map_take() uses its entry: no other memslot
 * may come to lie at @gfn with entries of its own.
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
 * One attempt.  The queue may hold on to memslots: if it waited here for the
 * end of an invalidation, a change of memslots would wait as well, and the
 * packets.
 */
static enum vmmu_page_status ring_map_fault(struct vmq_ring_map *map,
					    struct vmmu *mmu, u64 gfn)
{
	struct vmmu_context ctx;
	bool user;
	long ret;

	lockdep_assert_held(&map->vmq->mutex);

	vmmu_context_init(&ctx, mmu, NULL);
	ret = vmmu_fault(&ctx, gfn, 1, map->write, &user);
	vmmu_context_destroy(&ctx);

	if (ret == VMMU_FAULT_RETRY)
		return VMMU_PAGE_REFUSED;
	return ret > 0 ? VMMU_PAGE_OK : VMMU_PAGE_FAULT;
}

/*
 * Install a page that the queue's MMU maps, after faulting it in if need be.
 * Rings in memory that is logged or read-only for the guest are not for the
 * tables, as the device writes beside those rules.
 *
 * Return VMMU_PAGE_OK; VMMU_PAGE_REFUSED if an invalidation overlapped; any
 * other if the page has to be looked up in the mm.
 */
static enum vmmu_page_status ring_map_from_mmu(struct vmq_ring_map *map,
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

/*
 * Look a page up in the owner's mm.  The install protocol, see
 * space/notifier.c for why the two checks suffice.
 */
static enum vmmu_page_status ring_map_look_up(struct vmq_ring_map *map,
					      unsigned int i)
{
	struct vmmu_section *section = &map->vmq->section.base;
	unsigned long hva = vmq_ring_map_page_hva(map, i);
	enum vmmu_page_status status;
	struct page *page;
	bool open;
	u64 seq;

	lockdep_assert_held(&map->vmq->mutex);

	/* models/ring: snapshot */
	spin_lock(&section->lock);
	seq = map->inval_seq;
	open = vmq_ring_map_inval_open(map, i);
	spin_unlock(&section->lock);
	if (open)
		return VMMU_PAGE_REFUSED;

	/*
	 * The snapshot is older than the page table reads of the lookup.
	 * Pairs with the lock that ring_map_invalidate() takes before the page
	 * table changes.
	 */
	smp_rmb();
	status = vmmu_resolve_page(hva, map->write, &page);
	if (status != VMMU_PAGE_OK)
		return status;

	vmmu_hook_install();

	/* models/ring: check, publish */
	spin_lock(&section->lock);
	if (map->inval_seq != seq || vmq_ring_map_inval_open(map, i))
		status = VMMU_PAGE_REFUSED;
	else
		vmq_ring_map_publish(map, i, page);
	spin_unlock(&section->lock);

	/* From here on the notifier alone keeps the page where it is. */
	put_page(page);
	return status;
}

/* A page that the tables cannot give to a ring map is looked up. */
static enum vmmu_page_status ring_map_install(struct vmq_ring_map *map,
					      unsigned int i)
{
	enum vmmu_page_status status = ring_map_from_mmu(map, i);

	if (status == VMMU_PAGE_OK)
		map->vmq->stats.maps_from_mmu++;
	else if (status != VMMU_PAGE_REFUSED)
		status = ring_map_look_up(map, i);
	return status;
}

/* Install every missing page; or why one of them could not be. */
static enum vmmu_page_status ring_map_fill(struct vmq_ring_map *map)
{
	struct vmq_stats *stats = &map->vmq->stats;
	enum vmmu_page_status status;
	unsigned int i;

	lockdep_assert_held(&map->vmq->mutex);

	for (i = 0; i < map->nr_pages; i++) {
		/* Only this thread installs; the notifier may only clear. */
		if (READ_ONCE(map->addr[i]))
			continue;

		status = ring_map_install(map, i);
		if (status == VMMU_PAGE_REFUSED) {
			stats->maps_refused++;
			trace_vmq_map_refuse(map->vmq->trace_id, map->part,
					     vmq_ring_map_page_hva(map, i), 1);
		}
		if (status != VMMU_PAGE_OK)
			return status;

		stats->maps_installed++;
		trace_vmq_map_install(map->vmq->trace_id, map->part,
				      vmq_ring_map_page_hva(map, i), 1);
	}
	return VMMU_PAGE_OK;
}

static u64 ring_maps_seq(const struct vmq_ring_maps *maps)
{
	return READ_ONCE(maps->map[VMQ_DESC].inval_seq) +
	       READ_ONCE(maps->map[VMQ_AVAIL].inval_seq) +
	       READ_ONCE(maps->map[VMQ_USED].inval_seq);
}

static enum vmmu_page_status ring_maps_fill_once(struct vmq_ring_maps *maps)
{
	enum vmmu_page_status status = VMMU_PAGE_OK;
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS && status == VMMU_PAGE_OK; part++)
		status = ring_map_fill(&maps->map[part]);
	return status;
}

static void ring_maps_pause(struct vmq_ring_maps *maps, unsigned int max_shift)
{
	maps->shift = min(maps->shift + 1, max_shift);
	maps->skip = (1U << maps->shift) - 1;
}

/**
 * vmq_ring_maps_pausing() - is it too early to try to fill the maps again?
 * @vmq: queue with maps of which pages are missing
 *
 * Counts the operations that pass meanwhile.
 *
 * Context: vmq::mutex held, section lock not held.
 * Return: true if so.
 */
bool vmq_ring_maps_pausing(struct vmq *vmq)
{
	struct vmq_ring_maps *maps = vmq->maps;

	lockdep_assert_held(&vmq->mutex);

	if (maps->filled) {
		/* The first look at maps that have lost a page. */
		if (maps->sections <= VMQ_THRASH_SECTIONS)
			ring_maps_pause(maps, VMQ_SHIFT_THRASH);
		else
			maps->shift = 0;
		maps->filled = false;
	}

	if (maps->retry_on_inval && maps->fail_seq != ring_maps_seq(maps)) {
		maps->retry_on_inval = false;
		maps->skip = 0;
	}
	if (!maps->skip)
		return false;
	maps->skip--;
	return true;
}

/**
 * vmq_ring_maps_fill() - install every missing page of a ring
 * @vmq: queue with maps
 *
 * After a failure the maps are left alone for a while.
 *
 * Context: process context with the owner's mm, vmq::mutex held, section lock
 *	not held; may sleep.  On success the section lock is held.
 * Return: VMMU_PAGE_OK, or why a page could not be installed.
 */
enum vmmu_page_status vmq_ring_maps_fill(struct vmq *vmq)
{
	struct vmq_ring_maps *maps = vmq->maps;
	u64 seq = ring_maps_seq(maps);
	enum vmmu_page_status status;
	unsigned int tries;

	lockdep_assert_held(&vmq->mutex);

	for (tries = 0; tries < VMQ_FILL_TRIES; tries++) {
		status = ring_maps_fill_once(maps);
		if (status == VMMU_PAGE_OK) {
			spin_lock(&vmq->section.base.lock);
			if (likely(vmq_ring_maps_complete(maps))) {
				maps->filled = true;
				maps->sections = 0;
				/* For sparse, as in vmq_section_try_begin(). */
				__release(&vmq->section.base.lock);
				return VMMU_PAGE_OK;
			}
			/* Taken back between the last install and the lock. */
			spin_unlock(&vmq->section.base.lock);
			status = VMMU_PAGE_REFUSED;
		}
		if (status != VMMU_PAGE_REFUSED)
			break;
	}

	if (status == VMMU_PAGE_REFUSED) {
		ring_maps_pause(maps, VMQ_SHIFT_THRASH);
	} else {
		ring_maps_pause(maps, VMQ_SHIFT_HOPELESS);
		maps->retry_on_inval = true;
		maps->fail_seq = seq;
	}
	return status;
}
