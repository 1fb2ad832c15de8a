// SPDX-License-Identifier: GPL-2.0
/*
 * The three maps of a ring as one: made for a configuration, swapped as a whole
 * when it changes, filled when a section finds pages missing, and left
 * alone for a while when that cannot be done.
 */
#include <linux/slab.h>

#include "ring_map.h"
#include "../trace.h"

/* Attempts to fill the maps before an operation goes by user access. */
#define VMQ_FILL_TRIES		3
/* Maps that last for fewer sections than this are not worth filling. */
#define VMQ_THRASH_SECTIONS	16
/* Longest pauses, in operations: 2^n - 1. */
#define VMQ_SHIFT_THRASH	6
#define VMQ_SHIFT_HOPELESS	10

static void ring_maps_free(struct vmq_ring_maps *maps)
{
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS; part++)
		vmq_ring_map_destroy(&maps->map[part]);
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
		if (vmq_ring_map_init(&maps->map[part], vmq, part, hva[part],
				      size))
			goto err_map;
	}
	return maps;

err_map:
	ring_maps_free(maps);
	return NULL;
}

static u64 ring_maps_seq(const struct vmq_ring_maps *maps)
{
	return READ_ONCE(maps->map[VMQ_DESC].inval_seq) +
	       READ_ONCE(maps->map[VMQ_AVAIL].inval_seq) +
	       READ_ONCE(maps->map[VMQ_USED].inval_seq);
}

/* Swap the queue's maps; the old ones give back their pages on the way. */
static void ring_maps_set(struct vmq *vmq, struct vmq_ring_maps *maps)
{
	struct vmq_ring_maps *old;
	enum vmq_part part;

	lockdep_assert_held(&vmq->mutex);

	spin_lock(&vmq->section.lock);
	old = vmq->maps;
	vmq->maps = maps;
	for (part = 0; old && part < VMQ_PARTS; part++)
		vmq->stats.maps_dropped += vmq_ring_map_drop(&old->map[part]);
	spin_unlock(&vmq->section.lock);

	if (old)
		ring_maps_free(old);
}

/**
 * vmq_ring_maps_drop() - give up the maps of a queue
 * @vmq: the queue
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_ring_maps_drop(struct vmq *vmq)
{
	ring_maps_set(vmq, NULL);
}

/**
 * vmq_ring_maps_replace() - make empty maps for the queue's present configuration
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

	/* Told of invalidations before anything can be installed. */
	for (part = 0; maps && part < VMQ_PARTS; part++)
		vmq_ring_map_link(&maps->map[part], vmq->space);
	ring_maps_set(vmq, maps);
}

static enum vmmu_page_status ring_maps_fill(struct vmq_ring_maps *maps)
{
	enum vmmu_page_status status = VMMU_PAGE_OK;
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS && status == VMMU_PAGE_OK; part++)
		status = vmq_ring_map_fill(&maps->map[part]);
	return status;
}

static void ring_maps_pause(struct vmq_ring_maps *maps, unsigned int max_shift)
{
	maps->shift = min(maps->shift + 1, max_shift);
	maps->skip = (1U << maps->shift) - 1;
}

/* Is it too early to try again?  Counts the operations that pass meanwhile. */
static bool ring_maps_pausing(struct vmq_ring_maps *maps, u64 sections)
{
	if (maps->filled_at) {
		/* First look at maps that were complete and are not any more. */
		if (sections - maps->filled_at < VMQ_THRASH_SECTIONS)
			ring_maps_pause(maps, VMQ_SHIFT_THRASH);
		else
			maps->shift = 0;
		maps->filled_at = 0;
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

static void vmq_fallback(struct vmq *vmq, enum vmmu_page_status reason)
{
	switch (reason) {
	case VMMU_PAGE_FILE:
		vmq->stats.fallback_file++;
		break;
	case VMMU_PAGE_NODIRECT:
		vmq->stats.fallback_nodirect++;
		break;
	case VMMU_PAGE_FAULT:
		vmq->stats.fallback_fault++;
		break;
	case VMMU_PAGE_REFUSED:
		vmq->stats.fallback_refused++;
		break;
	case VMMU_PAGE_OK:
		vmq->stats.fallback_backoff++;
		break;
	}
	trace_vmq_fallback(vmq->trace_id, reason);
}

/**
 * vmq_section_begin_slow() - enter a section after filling the maps
 * @vmq: queue with maps of which pages are missing
 *
 * Context: vmq::mutex held, may sleep; on success the section lock is held.
 * Return: false, with the reason counted, if the maps cannot be filled now.
 */
bool vmq_section_begin_slow(struct vmq *vmq)
{
	struct vmq_ring_maps *maps = vmq->maps;
	enum vmmu_page_status status;
	unsigned int tries;
	u64 seq;

	lockdep_assert_held(&vmq->mutex);

	if (ring_maps_pausing(maps, vmq->stats.sections)) {
		vmq_fallback(vmq, VMMU_PAGE_OK);
		return false;
	}

	seq = ring_maps_seq(maps);
	for (tries = 0; tries < VMQ_FILL_TRIES; tries++) {
		status = ring_maps_fill(maps);
		if (status == VMMU_PAGE_OK) {
			spin_lock(&vmq->section.lock);
			if (likely(vmq_ring_maps_complete(maps))) {
				maps->filled_at = vmq->stats.sections + 1;
				/* For sparse, as in vmq_section_try_begin(). */
				__release(&vmq->section.lock);
				return true;
			}
			/* Taken back between the last install and the lock. */
			spin_unlock(&vmq->section.lock);
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
	vmq_fallback(vmq, status);
	return false;
}
EXPORT_SYMBOL_NS_GPL(vmq_section_begin_slow, VHOST_MMU);
