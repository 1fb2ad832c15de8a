// SPDX-License-Identifier: GPL-2.0
/*
 * Ring maps: made for a configuration, swapped as a whole when it changes, and
 * emptied by the notifier.  ring_fill.c fills them.
 *
 * All state of a map is protected by the section lock of its queue.  Installs
 * come from the worker or an ioctl under vmq::mutex, one at a time.
 */
#include <linux/slab.h>

#include "ring_map.h"
#include "../space/install.h"
#include "../trace.h"

/*
 * Forget one page.  The page is still mapped in the owner's mm: nothing changes
 * there before the notifier's start has returned, and that start needs the
 * section lock.  So it can be marked dirty without a reference, and must be
 * now: once the lock is dropped another invalidation may find nothing left to
 * do and let the page go.
 */
static void ring_map_forget(struct vmq_ring_map *map, unsigned int i)
{
	lockdep_assert_held(&map->vmq->section.base.lock);

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

	/* models/ring: drain, count, forget */
	vmmu_section_drain_begin(&map->vmq->section.base);
	/* Refuses an install that is between its lookup and its publication. */
	map->inval_seq++;
	n = ring_map_forget_range(map, (start - node->start) >> PAGE_SHIFT,
				  (last - node->start) >> PAGE_SHIFT);
	map->vmq->stats.maps_invalidated += n;
	vmmu_section_drain_end(&map->vmq->section.base);

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

/* Set a map up for a ring part, with every page missing. */
static int ring_map_init(struct vmq_ring_map *map, struct vmq *vmq,
			 enum vmq_part part, const void __user *hva,
			 size_t size)
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
	map->addr =
		kvcalloc(map->nr_pages, sizeof(*map->addr), GFP_KERNEL_ACCOUNT);
	return map->addr ? 0 : -ENOMEM;
}

/* Let a map be told of invalidations. */
static void ring_map_link(struct vmq_ring_map *map, struct vmmu_space *space)
{
	vmmu_client_add(space, &map->client, map->client.node.start,
			map->client.node.last);
}

/* No section can find the map, and its pages were dropped. */
static void ring_map_destroy(struct vmq_ring_map *map)
{
	if (map->client.space)
		vmmu_client_del(&map->client);
	kvfree(map->addr);
	map->addr = NULL;
}

/* Give back every page outside of a notifier; how many there were. */
static unsigned int ring_map_drop(struct vmq_ring_map *map)
{
	lockdep_assert_held(&map->vmq->section.base.lock);

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

	lockdep_assert_held(&map->vmq->section.base.lock);

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
	lockdep_assert_held(&map->vmq->section.base.lock);

	map->addr[i] = page_address(page);
	if (map->nr_pages == 1)
		map->base = map->addr[i] + map->offset;
	map->nr_missing--;
}

static void ring_maps_free(struct vmq_ring_maps *maps)
{
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS; part++)
		ring_map_destroy(&maps->map[part]);
	kfree(maps);
}

static struct vmq_ring_maps *ring_maps_alloc(struct vmq *vmq)
{
	const void __user *hva[VMQ_PARTS] = {
		[VMQ_DESC] = vmq->desc,
		[VMQ_AVAIL] = vmq->avail,
		[VMQ_USED] = vmq->used,
	};
	struct vmq_ring_maps *maps;
	enum vmq_part part;
	size_t size;

	maps = kzalloc(sizeof(*maps), GFP_KERNEL_ACCOUNT);
	if (!maps)
		return NULL;

	for (part = 0; part < VMQ_PARTS; part++) {
		size = vmq_part_size(part, vmq->ring.num, vmq->ring.event_idx);
		if (ring_map_init(&maps->map[part], vmq, part, hva[part], size))
			goto err_map;
	}
	return maps;

err_map:
	ring_maps_free(maps);
	return NULL;
}

/* Swap the queue's maps; the old ones give back their pages on the way. */
static void ring_maps_set(struct vmq *vmq, struct vmq_ring_maps *maps)
{
	struct vmq_ring_maps *old;
	enum vmq_part part;

	lockdep_assert_held(&vmq->mutex);

	/* models/ring: replace */
	spin_lock(&vmq->section.base.lock);
	old = vmq->maps;
	vmq->maps = maps;
	for (part = 0; old && part < VMQ_PARTS; part++)
		vmq->stats.maps_dropped += ring_map_drop(&old->map[part]);
	spin_unlock(&vmq->section.base.lock);

	if (old)
		ring_maps_free(old);
}

/* Give up the maps of a queue. */
void vmq_ring_maps_drop(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	ring_maps_set(vmq, NULL);
}

/**
 * vmq_ring_maps_replace() - make empty maps for the present configuration
 * @vmq: queue with its addresses, size and features set
 *
 * Without memory for them the queue goes on by user access.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_ring_maps_replace(struct vmq *vmq)
{
	struct vmq_ring_maps *maps = ring_maps_alloc(vmq);
	enum vmq_part part;

	lockdep_assert_held(&vmq->mutex);

	/* Told of invalidations before anything can be installed. */
	for (part = 0; maps && part < VMQ_PARTS; part++)
		ring_map_link(&maps->map[part], vmq->space);
	ring_maps_set(vmq, maps);
}
