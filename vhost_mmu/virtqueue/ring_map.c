// SPDX-License-Identifier: GPL-2.0
/*
 * Ring maps: install, invalidation, drop.
 *
 * All state of a map is protected by the section lock of its queue.  Installs
 * come from the worker or an ioctl under vmq::mutex, one at a time.
 */
#include <linux/slab.h>

#include "ring_map.h"
#include "../mmu/hooks.h"
#include "../trace.h"

/*
 * Forget one page.  The page is still mapped in the owner's mm: nothing changes
 * there before the notifier's start has returned, and that start needs the
 * section lock.  So it can be marked dirty without a reference, and must be now:
 * once the lock is dropped another invalidation may find nothing left to do and
 * let the page go.
 */
static void ring_map_forget(struct vmq_ring_map *map, unsigned int i)
{
	lockdep_assert_held(&map->vmq->section.lock);

	if (map->write)
		folio_mark_dirty(page_folio(virt_to_page(map->addr[i])));
	map->addr[i] = NULL;
	map->base = NULL;
	map->nr_missing++;
}

static unsigned int ring_map_forget_range(struct vmq_ring_map *map,
					  unsigned int first, unsigned int last)
{
	unsigned int i, n = 0;

	for (i = first; i <= last; i++) {
		if (map->addr[i]) {
			ring_map_forget(map, i);
			n++;
		}
	}
	return n;
}

/* vmmu_client_ops::invalidate */
static void ring_map_invalidate(struct vmmu_client *client, unsigned long start,
				unsigned long last)
{
	struct vmq_ring_map *map =
		container_of(client, struct vmq_ring_map, client);
	struct interval_tree_node *node = &client->node;
	unsigned int n;

	start = max(start, node->start);
	last = min(last, node->last);

	vmmu_section_drain_begin(&map->vmq->section);
	/* Tells an install that is between its look-up and its publication. */
	map->inval_seq++;
	n = ring_map_forget_range(map, (start - node->start) >> PAGE_SHIFT,
				  (last - node->start) >> PAGE_SHIFT);
	map->vmq->stats.maps_invalidated += n;
	vmmu_section_drain_end(&map->vmq->section);

	if (n)
		trace_vmq_map_invalidate(map->vmq->trace_id, map->part, start,
					 n);
}

/* vmmu_client_ops::age.  A stale answer only makes reclaim guess worse. */
static bool ring_map_age(struct vmmu_client *client, unsigned long start,
			 unsigned long last, bool clear)
{
	struct vmq_ring_map *map =
		container_of(client, struct vmq_ring_map, client);
	struct vmq_ring_maps *maps =
		container_of(map - map->part, struct vmq_ring_maps, map[0]);
	bool used = READ_ONCE(maps->used);

	if (used && clear)
		WRITE_ONCE(maps->used, false);
	return used;
}

static const struct vmmu_client_ops ring_map_ops = {
	.invalidate = ring_map_invalidate,
	.age = ring_map_age,
};

/**
 * vmq_ring_map_init() - set a map up for a ring part, with every page missing
 * @map: zeroed map
 * @vmq: the queue
 * @part: which part
 * @hva: where it lies in the owner's mm
 * @size: its size in bytes
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vmq_ring_map_init(struct vmq_ring_map *map, struct vmq *vmq,
		      enum vmq_part part, const void __user *hva, size_t size)
{
	unsigned long addr = (unsigned long)hva;

	map->client.ops = &ring_map_ops;
	map->client.node.start = addr & PAGE_MASK;
	map->client.node.last = (addr + size - 1) | ~PAGE_MASK;
	map->vmq = vmq;
	map->part = part;
	map->write = part == VMQ_USED;
	map->offset = offset_in_page(addr);
	map->size = size;
	map->nr_pages = PAGE_ALIGN(map->offset + size) >> PAGE_SHIFT;
	map->nr_missing = map->nr_pages;
	map->addr = kvcalloc(map->nr_pages, sizeof(*map->addr),
			     GFP_KERNEL_ACCOUNT);
	return map->addr ? 0 : -ENOMEM;
}

/**
 * vmq_ring_map_link() - let a map be told of invalidations
 * @map: initialised map
 * @space: address space of the queue's owner
 *
 * Context: process context.
 */
void vmq_ring_map_link(struct vmq_ring_map *map, struct vmmu_space *space)
{
	vmmu_client_add(space, &map->client, map->client.node.start,
			map->client.node.last);
}

/**
 * vmq_ring_map_destroy() - undo vmq_ring_map_init() and vmq_ring_map_link()
 * @map: map that no section can find and whose pages were dropped
 *
 * Context: process context, section lock not held.
 */
void vmq_ring_map_destroy(struct vmq_ring_map *map)
{
	if (map->client.space)
		vmmu_client_del(&map->client);
	kvfree(map->addr);
	map->addr = NULL;
}

/**
 * vmq_ring_map_drop() - give back every page outside of a notifier
 * @map: the map
 *
 * Context: section lock held.
 * Return: how many pages there were.
 */
unsigned int vmq_ring_map_drop(struct vmq_ring_map *map)
{
	lockdep_assert_held(&map->vmq->section.lock);

	return ring_map_forget_range(map, 0, map->nr_pages - 1);
}

/**
 * vmq_ring_map_inval_open() - is an invalidation open that overlaps a page?
 * @map: linked map
 * @i: which page
 *
 * Context: section lock held.
 * Return: true if the page must not be installed now.
 */
bool vmq_ring_map_inval_open(const struct vmq_ring_map *map, unsigned int i)
{
	unsigned long hva = vmq_ring_map_page_hva(map, i);

	lockdep_assert_held(&map->vmq->section.lock);

	return vmmu_space_inval_open(map->client.space, hva,
				     hva + PAGE_SIZE - 1);
}

/**
 * vmq_ring_map_publish() - let sections use a page
 * @map: linked map
 * @i: which page, missing so far
 * @page: what the owner's mm maps there, and no invalidation takes away
 *
 * Context: section lock held since that was found out.
 */
void vmq_ring_map_publish(struct vmq_ring_map *map, unsigned int i,
			  struct page *page)
{
	lockdep_assert_held(&map->vmq->section.lock);

	map->addr[i] = page_address(page);
	if (map->nr_pages == 1)
		map->base = map->addr[i] + map->offset;
	map->nr_missing--;
}

/*
 * Look a page up in the owner's mm.  The install protocol, see mmu/notifier.c
 * for why the two checks suffice.
 */
static enum vmmu_page_status ring_map_look_up(struct vmq_ring_map *map,
					      unsigned int i)
{
	struct vmmu_section *section = &map->vmq->section;
	unsigned long hva = vmq_ring_map_page_hva(map, i);
	enum vmmu_page_status status;
	struct page *page;
	bool open;
	u64 seq;

	spin_lock(&section->lock);
	seq = map->inval_seq;
	open = vmq_ring_map_inval_open(map, i);
	spin_unlock(&section->lock);
	if (open)
		return VMMU_PAGE_REFUSED;

	/*
	 * The snapshot is older than the page table reads of the look-up.
	 * Pairs with the lock that ring_map_invalidate() takes before the page
	 * table changes.
	 */
	smp_rmb();
	status = vmmu_resolve_page(hva, map->write, &page);
	if (status != VMMU_PAGE_OK)
		return status;

	vmmu_hook_install();

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

/* What the tables do not have, or must not give, is looked up. */
static enum vmmu_page_status ring_map_install(struct vmq_ring_map *map,
					      unsigned int i)
{
	enum vmmu_page_status status = vmq_ring_map_from_mmu(map, i);

	if (status == VMMU_PAGE_OK)
		map->vmq->stats.maps_from_mmu++;
	else if (status != VMMU_PAGE_REFUSED)
		status = ring_map_look_up(map, i);
	return status;
}

/**
 * vmq_ring_map_fill() - install every missing page
 * @map: linked map
 *
 * Context: process context with the owner's mm, vmq::mutex held, section lock
 *	not held; may sleep.
 * Return: VMMU_PAGE_OK, or why a page could not be installed.
 */
enum vmmu_page_status vmq_ring_map_fill(struct vmq_ring_map *map)
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
