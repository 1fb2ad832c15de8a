/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ring maps: the kernel addresses of the pages that a ring part lies in.
 *
 * A map is a client of the address space: it holds no reference to its pages,
 * the notifier takes them back.  Pages are never vmap()ed: the queue reaches
 * each at its address in the direct map, so a part may lie in any pages.
 */
#ifndef VHOST_MMU_RING_MAP_H
#define VHOST_MMU_RING_MAP_H

#include <linux/mm.h>

#include "virtqueue.h"

/**
 * struct vmq_ring_map - the kernel addresses of one ring part
 * @client: link to the address space, range in whole pages
 * @vmq: whose ring this is; its section lock protects what follows
 * @part: which part
 * @write: the device writes it
 * @offset: of the part's first byte in the first page
 * @size: of the part in bytes
 * @nr_pages: pages that it touches
 * @nr_missing: of those, the ones not present in @addr
 * @inval_seq: how often the notifier hit this map, present or not
 * @addr: direct-map address of each page, NULL while missing
 * @base: address of the part's first byte, if all of it lies in one page that
 *	is not missing
 */
struct vmq_ring_map {
	struct vmmu_client client;
	struct vmq *vmq;
	enum vmq_part part;
	bool write;
	unsigned int offset;
	size_t size;
	unsigned int nr_pages;
	unsigned int nr_missing;
	u64 inval_seq;
	void **addr;
	void *base;
};

/**
 * struct vmq_ring_maps - the maps of one configuration of a ring
 * @map: desc, avail, used
 * @used: a section ran since the notifier last asked
 * @skip: operations to let pass before the next attempt to fill the maps
 * @shift: binary logarithm of the last such pause
 * @retry_on_inval: an invalidation ends the pause, as the reason may be gone
 * @fail_seq: ring_maps_seq() at the last failure
 * @filled: the maps were filled, and were not found incomplete since
 * @sections: sections entered since they were filled, the first one included
 *
 * All but @map belongs to the holder of vmq::mutex; only @used is written by
 * ring_map_age() as well, in a notifier callback.
 */
struct vmq_ring_maps {
	struct vmq_ring_map map[VMQ_PARTS];
	bool used;
	unsigned int skip;
	unsigned int shift;
	bool retry_on_inval;
	u64 fail_seq;
	bool filled;
	u64 sections;
};

bool vmq_ring_map_inval_open(const struct vmq_ring_map *map, unsigned int i);
void vmq_ring_map_publish(struct vmq_ring_map *map, unsigned int i,
			  struct page *page);
void vmq_ring_maps_replace(struct vmq *vmq);
void vmq_ring_maps_drop(struct vmq *vmq);

/* ring_fill.c */
enum vmmu_page_status vmq_ring_maps_fill(struct vmq *vmq);
bool vmq_ring_maps_pausing(struct vmq *vmq);

static inline unsigned long
vmq_ring_map_page_hva(const struct vmq_ring_map *map, unsigned int i)
{
	return map->client.node.start + ((unsigned long)i << PAGE_SHIFT);
}

/*
 * The address of a byte of the part.  What lies behind it in the same page is
 * reachable as well, the next page is somewhere else.
 */
static __always_inline void *vmq_ring_map_addr(const struct vmq_ring_map *map,
					       size_t off)
{
	lockdep_assert_held(&map->vmq->section.base.lock);

	if (map->base)
		return map->base + off;
	off += map->offset;
	return map->addr[off >> PAGE_SHIFT] + offset_in_page(off);
}

static inline bool vmq_ring_maps_complete(const struct vmq_ring_maps *maps)
{
	return !(maps->map[VMQ_DESC].nr_missing |
		 maps->map[VMQ_AVAIL].nr_missing |
		 maps->map[VMQ_USED].nr_missing);
}

#endif /* VHOST_MMU_RING_MAP_H */
