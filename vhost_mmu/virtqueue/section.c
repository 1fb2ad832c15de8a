// SPDX-License-Identifier: GPL-2.0
/*
 * Entering a section of a queue whose ring maps have pages missing.
 */
#include "section.h"
#include "../trace.h"

static void count_fallback(struct vmq *vmq, enum vmmu_page_status reason)
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
	enum vmmu_page_status status;

	lockdep_assert_held(&vmq->mutex);

	if (vmq_ring_maps_pausing(vmq)) {
		count_fallback(vmq, VMMU_PAGE_OK);
		return false;
	}

	status = vmq_ring_maps_fill(vmq);
	if (status != VMMU_PAGE_OK) {
		count_fallback(vmq, status);
		return false;
	}
	return true;
}
EXPORT_SYMBOL_NS_GPL(vmq_section_begin_slow, VHOST_MMU);
