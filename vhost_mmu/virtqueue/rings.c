// SPDX-License-Identifier: GPL-2.0
/*
 * The three maps of a ring as one: made for a configuration, swapped as a whole
 * when it changes, filled when a section finds pages missing, and left
 * alone for a while when that cannot be done.
 */
#include <linux/slab.h>

#include "map.h"
#include "../trace.h"

/* Attempts to fill the maps before an operation goes by user access. */
#define VMQ_FILL_TRIES		3
/* Maps that last for fewer sections than this are not worth filling. */
#define VMQ_THRASH_SECTIONS	16
/* Longest pauses, in operations: 2^n - 1. */
#define VMQ_SHIFT_THRASH	6
#define VMQ_SHIFT_HOPELESS	10

static void vmq_rings_free(struct vmq_rings *rings)
{
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS; part++)
		vmq_map_destroy(&rings->map[part]);
	kfree(rings);
}

static struct vmq_rings *vmq_rings_alloc(struct vmq *vq)
{
	const void __user *hva[VMQ_PARTS] = {
		[VMQ_DESC] = vq->desc,
		[VMQ_AVAIL] = vq->avail,
		[VMQ_USED] = vq->used,
	};
	struct vmq_rings *rings;
	enum vmq_part part;
	size_t size;

	rings = kzalloc(sizeof(*rings), GFP_KERNEL_ACCOUNT);
	if (!rings)
		return NULL;

	for (part = 0; part < VMQ_PARTS; part++) {
		size = vmq_part_size(part, vq->ring.num, vq->ring.event_idx);
		if (vmq_map_init(&rings->map[part], vq, part, hva[part], size))
			goto err_map;
	}
	return rings;

err_map:
	vmq_rings_free(rings);
	return NULL;
}

static u64 vmq_rings_seq(const struct vmq_rings *rings)
{
	return READ_ONCE(rings->map[VMQ_DESC].inval_seq) +
	       READ_ONCE(rings->map[VMQ_AVAIL].inval_seq) +
	       READ_ONCE(rings->map[VMQ_USED].inval_seq);
}

/* Swap the queue's maps; the old ones give back their pages on the way. */
static void vmq_rings_set(struct vmq *vq, struct vmq_rings *rings)
{
	struct vmq_rings *old;
	enum vmq_part part;

	lockdep_assert_held(&vq->mutex);

	spin_lock(&vq->section.lock);
	old = vq->rings;
	vq->rings = rings;
	for (part = 0; old && part < VMQ_PARTS; part++)
		vq->stats.maps_dropped += vmq_map_drop(&old->map[part]);
	spin_unlock(&vq->section.lock);

	if (old)
		vmq_rings_free(old);
}

/**
 * vmq_rings_drop() - give up the maps of a queue
 * @vq: the queue
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_rings_drop(struct vmq *vq)
{
	vmq_rings_set(vq, NULL);
}

/**
 * vmq_rings_replace() - make empty maps for the queue's present configuration
 * @vq: queue with its addresses, size and features set
 *
 * Without memory for them the queue goes on by user access.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_rings_replace(struct vmq *vq)
{
	struct vmq_rings *rings = vmq_rings_alloc(vq);
	enum vmq_part part;

	/* Told of invalidations before anything can be installed. */
	for (part = 0; rings && part < VMQ_PARTS; part++)
		vmq_map_link(&rings->map[part], vq->space);
	vmq_rings_set(vq, rings);
}

static enum vmmu_page_status vmq_rings_fill(struct vmq_rings *rings)
{
	enum vmmu_page_status status = VMMU_PAGE_OK;
	enum vmq_part part;

	for (part = 0; part < VMQ_PARTS && status == VMMU_PAGE_OK; part++)
		status = vmq_map_fill(&rings->map[part]);
	return status;
}

static void vmq_rings_pause(struct vmq_rings *rings, unsigned int max_shift)
{
	rings->shift = min(rings->shift + 1, max_shift);
	rings->skip = (1U << rings->shift) - 1;
}

/* Is it too early to try again?  Counts the operations that pass meanwhile. */
static bool vmq_rings_pausing(struct vmq_rings *rings, u64 sections)
{
	if (rings->filled_at) {
		/* First look at maps that were complete and are not any more. */
		if (sections - rings->filled_at < VMQ_THRASH_SECTIONS)
			vmq_rings_pause(rings, VMQ_SHIFT_THRASH);
		else
			rings->shift = 0;
		rings->filled_at = 0;
	}

	if (rings->retry_on_inval && rings->fail_seq != vmq_rings_seq(rings)) {
		rings->retry_on_inval = false;
		rings->skip = 0;
	}
	if (!rings->skip)
		return false;
	rings->skip--;
	return true;
}

static void vmq_fallback(struct vmq *vq, enum vmmu_page_status reason)
{
	switch (reason) {
	case VMMU_PAGE_FILE:
		vq->stats.fallback_file++;
		break;
	case VMMU_PAGE_NODIRECT:
		vq->stats.fallback_nodirect++;
		break;
	case VMMU_PAGE_FAULT:
		vq->stats.fallback_fault++;
		break;
	case VMMU_PAGE_REFUSED:
		vq->stats.fallback_refused++;
		break;
	case VMMU_PAGE_OK:
		vq->stats.fallback_backoff++;
		break;
	}
	trace_vmq_fallback(vq->trace_id, reason);
}

/**
 * vmq_section_begin_slow() - enter a section after filling the maps
 * @vq: queue with maps of which pages are missing
 *
 * Context: vmq::mutex held, may sleep; on success the section lock is held.
 * Return: false, with the reason counted, if the maps cannot be filled now.
 */
bool vmq_section_begin_slow(struct vmq *vq)
{
	struct vmq_rings *rings = vq->rings;
	enum vmmu_page_status status;
	unsigned int tries;
	u64 seq;

	lockdep_assert_held(&vq->mutex);

	if (vmq_rings_pausing(rings, vq->stats.sections)) {
		vmq_fallback(vq, VMMU_PAGE_OK);
		return false;
	}

	seq = vmq_rings_seq(rings);
	for (tries = 0; tries < VMQ_FILL_TRIES; tries++) {
		status = vmq_rings_fill(rings);
		if (status == VMMU_PAGE_OK) {
			spin_lock(&vq->section.lock);
			if (likely(vmq_rings_complete(rings))) {
				rings->filled_at = vq->stats.sections + 1;
				/* For sparse, as in vmq_section_try_begin(). */
				__release(&vq->section.lock);
				return true;
			}
			/* Taken back between the last install and the lock. */
			spin_unlock(&vq->section.lock);
			status = VMMU_PAGE_REFUSED;
		}
		if (status != VMMU_PAGE_REFUSED)
			break;
	}

	if (status == VMMU_PAGE_REFUSED) {
		vmq_rings_pause(rings, VMQ_SHIFT_THRASH);
	} else {
		vmq_rings_pause(rings, VMQ_SHIFT_HOPELESS);
		rings->retry_on_inval = true;
		rings->fail_seq = seq;
	}
	vmq_fallback(vq, status);
	return false;
}
EXPORT_SYMBOL_NS_GPL(vmq_section_begin_slow, VHOST_MMU);
