/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sections of a queue: while one lasts, its ring maps are complete and none of
 * their pages, nor any that the soft TLB has, is taken away.
 */
#ifndef VHOST_MMU_VMQ_SECTION_H
#define VHOST_MMU_VMQ_SECTION_H

#include "ring_map.h"

bool vmq_section_begin_slow(struct vmq *vmq);

/**
 * vmq_section_begin() - try to enter a section
 * @vmq: the queue
 *
 * Inside the section the ring is reached through vmq_ring_map_addr().  Nothing
 * in it may sleep, fault, signal or allocate, and it reads at most
 * VMQ_SECTION_DESCS descriptors or copies 64 KiB.
 *
 * Context: vmq::mutex held, may sleep; on success the section lock is held.
 * Return: false if the ring has to be reached by user access this time.
 */
#define vmq_section_begin(vmq) \
	__cond_lock(&(vmq)->section.base.lock, vmq_section_try_begin(vmq))

static inline bool vmq_section_try_begin(struct vmq *vmq)
{
	struct vmq_ring_maps *maps = vmq->maps;

	lockdep_assert_held(&vmq->mutex);

	if (unlikely(!maps)) {
		vmq->stats.fallback_config++;
		return false;
	}

	spin_lock(&vmq->section.base.lock);
	if (unlikely(!vmq_ring_maps_complete(maps))) {
		spin_unlock(&vmq->section.base.lock);
		if (!vmq_section_begin_slow(vmq))
			return false;
		__acquire(&vmq->section.base.lock);
	}

	if (!READ_ONCE(maps->used))
		WRITE_ONCE(maps->used, true);
	maps->sections++;
	vmq->stats.sections++;
	/* For sparse, which learns of the lock from vmq_section_begin(). */
	__release(&vmq->section.base.lock);
	return true;
}

/**
 * vmq_section_miss() - why the last chain could not be taken
 * @vmq: queue for which vmq_next_direct() said -EAGAIN
 *
 * Context: vmq::mutex held.
 * Return: the reason.
 */
static inline enum vmq_miss vmq_section_miss(const struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	return vmq->section.miss;
}

/**
 * vmq_section_end() - leave a section
 * @vmq: the queue
 *
 * Context: section lock held; releases it.
 */
static inline void vmq_section_end(struct vmq *vmq)
	__releases(&vmq->section.base.lock)
{
	lockdep_assert_held(&vmq->section.base.lock);

	spin_unlock(&vmq->section.base.lock);
}

#endif /* VHOST_MMU_VMQ_SECTION_H */
