// SPDX-License-Identifier: GPL-2.0
/*
 * Virtqueues: life time and configuration.  The ioctls check what they are
 * given before they call here.
 */
#include <linux/slab.h>

#include "access.h"
#include "log.h"
#include "translate.h"
#include "tlb.h"
#include "../mmu/flush.h"
#include "../compat/eventfd.h"

/**
 * vmq_init() - initialise a virtqueue
 * @vmq: zeroed memory
 * @trace_id: device << 8 | index
 *
 * Context: process context.
 */
void vmq_init(struct vmq *vmq, u32 trace_id)
{
	mutex_init(&vmq->mutex);
	vmmu_section_init(&vmq->section.base);
	vmq->trace_id = trace_id;
	vmq->ring.num = 1;
}

/**
 * vmq_destroy() - undo vmq_init()
 * @vmq: stopped queue, its buffers freed
 */
void vmq_destroy(struct vmq *vmq)
{
	WARN_ON_ONCE(vmq->maps);
	WARN_ON_ONCE(vmq->log);
	mutex_destroy(&vmq->mutex);
}

/**
 * vmq_alloc_buffers() - allocate what a running queue needs
 * @vmq: the queue
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vmq_alloc_buffers(struct vmq *vmq)
{
	vmq->burst = kvzalloc(sizeof(*vmq->burst), GFP_KERNEL_ACCOUNT);
	if (!vmq->burst)
		return -ENOMEM;
	vmq->burst->ahead = 1;

	vmq->indirect = kvzalloc(sizeof(*vmq->indirect), GFP_KERNEL_ACCOUNT);
	if (!vmq->indirect)
		goto err;
	vmq->indirect->vmq = vmq;

	vmq->tlb = kvzalloc(sizeof(*vmq->tlb), GFP_KERNEL_ACCOUNT);
	if (!vmq->tlb)
		goto err;
	vmq_tlb_init(vmq->tlb, vmq);
	return 0;
err:
	vmq_free_buffers(vmq);
	return -ENOMEM;
}

/**
 * vmq_free_buffers() - undo vmq_alloc_buffers()
 * @vmq: stopped queue
 */
void vmq_free_buffers(struct vmq *vmq)
{
	WARN_ON_ONCE(vmq->mmu);

	kvfree(vmq->tlb);
	vmq->tlb = NULL;
	kvfree(vmq->indirect);
	vmq->indirect = NULL;
	kvfree(vmq->burst);
	vmq->burst = NULL;
}

static void vmq_set_direct(struct vmq *vmq)
{
	vmq->direct = vmq->mmu && vmq->running && vmq->kernel_access &&
		      vmq->want_direct;
}

/*
 * debugfs must not wait for the mutex, so it reads vmq::mmu under the section
 * lock.  Nobody is in a section while the mutex is held here: the queue may
 * leave the old MMU before its soft TLB forgets what that MMU said.
 */
static void vmq_set_mmu(struct vmq *vmq, struct vmmu *mmu)
{
	lockdep_assert_held(&vmq->mutex);

	WARN_ON_ONCE(vmq->slots_held);

	if (vmq->mmu)
		vmmu_del_section(vmq->mmu, &vmq->section.base);

	spin_lock(&vmq->section.base.lock);
	vmq->mmu = mmu;
	if (vmq->tlb)
		vmq_tlb_clear(vmq->tlb);
	spin_unlock(&vmq->section.base.lock);

	if (mmu)
		vmmu_add_section(mmu, &vmq->section.base);
	vmq_set_direct(vmq);
}

/**
 * vmq_reset() - forget the configuration
 * @vmq: stopped queue; the caller has put its eventfds
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_reset(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	WARN_ON_ONCE(vmq->maps);

	memset(&vmq->ring, 0, sizeof(vmq->ring));
	vmq->ring.num = 1;
	vmq->desc = NULL;
	vmq->avail = NULL;
	vmq->used = NULL;
	vmq->features = 0;
	vmq->call = NULL;
	vmq->err = NULL;
	vmq_log_free(vmq);
	vmq->umem = NULL;
	vmq_set_mmu(vmq, NULL);
	/* What belongs to the holder of the mutex; the rest is its lock. */
	memset_startat(&vmq->section, 0, budget);
	vmq->running = false;
	vmq->kernel_access = false;
	vmq->want_direct = false;
	vmq->direct = false;
}

/**
 * vmq_access_ok() - can these be the parts of a ring in the owner's mm?
 * @vmq: the queue, for its features
 * @num: entries
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 *
 * Context: vmq::mutex held.
 * Return: true if all three lie in the user half of the address space.
 */
bool vmq_access_ok(const struct vmq *vmq, unsigned int num,
		   vring_desc_t __user *desc, vring_avail_t __user *avail,
		   vring_used_t __user *used)
{
	bool event_idx = vmq_has_feature(vmq, VIRTIO_RING_F_EVENT_IDX);

	lockdep_assert_held(&vmq->mutex);

	return access_ok(desc, vmq_part_size(VMQ_DESC, num, event_idx)) &&
	       access_ok(avail, vmq_part_size(VMQ_AVAIL, num, event_idx)) &&
	       access_ok(used, vmq_part_size(VMQ_USED, num, event_idx));
}

/* The configuration of a running queue has changed. */
static void vmq_reconfigured(struct vmq *vmq)
{
	if (!vmq->running)
		return;
	vmq_burst_reset(vmq->burst);
	if (vmq->kernel_access)
		vmq_ring_maps_replace(vmq);
}

/**
 * vmq_set_addr() - set where the parts of the ring are
 * @vmq: the queue
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 * @log_used: log writes to the used ring
 * @log_used_addr: ... as if it lay at this guest physical address
 *
 * A running queue uses the new addresses from its next operation on.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_addr(struct vmq *vmq, vring_desc_t __user *desc,
		  vring_avail_t __user *avail, vring_used_t __user *used,
		  bool log_used, u64 log_used_addr)
{
	lockdep_assert_held(&vmq->mutex);

	vmq->desc = desc;
	vmq->avail = avail;
	vmq->used = used;
	vmq->log_used = log_used;
	vmq->log_used_addr = log_used_addr;
	vmq_log_configured(vmq);
	vmq_reconfigured(vmq);
}

static void vmq_apply_features(struct vmq *vmq)
{
	vmq->ring.event_idx = vmq_has_feature(vmq, VIRTIO_RING_F_EVENT_IDX);
	vmq->ring.notify_on_empty =
		vmq_has_feature(vmq, VIRTIO_F_NOTIFY_ON_EMPTY);
}

/**
 * vmq_set_features() - set the features that the driver acknowledged
 * @vmq: the queue
 * @features: mask of VIRTIO_F_* and VIRTIO_RING_F_* bits, already checked
 *
 * The byte order of a running queue stays as it was started.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_features(struct vmq *vmq, u64 features)
{
	bool event_idx = vmq->ring.event_idx;

	lockdep_assert_held(&vmq->mutex);

	vmq->features = features;
	vmq_apply_features(vmq);
	vmq_log_configured(vmq);
	/* The event words decide where the parts end. */
	if (vmq->ring.event_idx != event_idx)
		vmq_reconfigured(vmq);
}
EXPORT_SYMBOL_NS_GPL(vmq_set_features, VHOST_MMU);

/**
 * vmq_set_umem() - set the guest memory table
 * @vmq: the queue
 * @umem: the table; the old one may be freed afterwards
 * @mmu: the MMU that belongs to it, may be NULL; the old one may be put
 *	afterwards
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_umem(struct vmq *vmq, struct vhost_iotlb *umem, struct vmmu *mmu)
{
	lockdep_assert_held(&vmq->mutex);

	vmq->umem = umem;
	if (vmq->mmu == mmu)
		return;
	vmq_set_mmu(vmq, mmu);
	/* Pages from the old MMU are still right, but the new one counts. */
	vmq_reconfigured(vmq);
}

/**
 * vmq_start() - begin to use the ring
 * @vmq: configured queue, vmq_access_ok() for its addresses
 * @kernel_access: reach the ring through ring maps where possible
 * @direct: reach payload by kernel addresses as well where possible
 *
 * Takes up the used index where the driver has it and writes the used flags.
 * A queue that runs already starts anew.
 *
 * Context: process context of the owner, vmq::mutex held, may sleep.
 * Return: 0, or -EFAULT if the used ring cannot be reached; the queue goes on
 *	as before then, running or not.
 */
int vmq_start(struct vmq *vmq, bool kernel_access, bool direct)
{
	bool was_kernel = vmq->running && vmq->kernel_access;
	bool is_le = vmq->ring.is_le;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	vmq_burst_reset(vmq->burst);
	vmq_ring_maps_drop(vmq);
	vmq_apply_features(vmq);
	vmq->ring.is_le = vmq_has_feature(vmq, VIRTIO_F_VERSION_1) ||
			  virtio_legacy_is_little_endian();
	if (kernel_access && vmq->space)
		vmq_ring_maps_replace(vmq);

	ret = vmq_with_access(vmq, vmq_split_start, &vmq->ring);
	if (ret) {
		vmq->ring.is_le = is_le;
		vmq->ring.why = NULL;
		vmq_ring_maps_drop(vmq);
		if (was_kernel)
			vmq_ring_maps_replace(vmq);
		return ret;
	}

	vmq->kernel_access = kernel_access;
	vmq->want_direct = direct;
	vmq->running = true;
	vmq_set_direct(vmq);
	vmq_log_used(vmq, offsetof(struct vring_used, flags),
		     sizeof(__virtio16));
	vmq_log_flush(vmq);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(vmq_start, VHOST_MMU);

/**
 * vmq_stop() - stop using the ring
 * @vmq: the queue, running or not
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_stop(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	vmq->running = false;
	vmq_set_direct(vmq);
	vmq_ring_maps_drop(vmq);
	vmq_log_unmap(vmq);
	if (vmq->burst)
		vmq_burst_reset(vmq->burst);
}
EXPORT_SYMBOL_NS_GPL(vmq_stop, VHOST_MMU);

/**
 * vmq_err() - report a broken ring
 * @vmq: the queue
 * @fmt: what is wrong, for the debug log
 *
 * Context: vmq::mutex held, outside of sections.
 */
void vmq_err(struct vmq *vmq, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	lockdep_assert_held(&vmq->mutex);

	va_start(args, fmt);
	vaf.va = &args;
	pr_debug("vhost_mmu: vq %u.%u: %pV", vmq->trace_id >> 8,
		 vmq->trace_id & 0xff, &vaf);
	va_end(args);

	if (vmq->err)
		eventfd_signal(vmq->err);
}
EXPORT_SYMBOL_NS_GPL(vmq_err, VHOST_MMU);
