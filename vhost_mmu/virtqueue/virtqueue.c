// SPDX-License-Identifier: GPL-2.0
/*
 * Virtqueues: life time and configuration.  The ioctls check what they are
 * given before they call here.
 */
#include <linux/slab.h>

#include "access.h"
#include "chain.h"
#include "tlb.h"
#include "../compat/eventfd.h"

/**
 * vmq_init() - initialise a virtqueue
 * @vq: zeroed memory
 * @trace_id: device << 8 | index
 *
 * Context: process context.
 * Return: 0.
 */
int vmq_init(struct vmq *vq, u32 trace_id)
{
	mutex_init(&vq->mutex);
	vmmu_section_init(&vq->section);
	vq->trace_id = trace_id;
	vq->ring.num = 1;
	return 0;
}

/**
 * vmq_destroy() - undo vmq_init()
 * @vq: stopped queue, its buffers freed
 */
void vmq_destroy(struct vmq *vq)
{
	WARN_ON_ONCE(vq->maps);
	mutex_destroy(&vq->mutex);
}

/**
 * vmq_alloc_buffers() - allocate what a running queue needs
 * @vq: the queue
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vmq_alloc_buffers(struct vmq *vq)
{
	vq->burst = kvzalloc(sizeof(*vq->burst), GFP_KERNEL_ACCOUNT);
	if (!vq->burst)
		return -ENOMEM;
	vq->burst->ahead = 1;

	vq->indirect = kvzalloc(sizeof(*vq->indirect), GFP_KERNEL_ACCOUNT);
	if (!vq->indirect)
		goto err;
	vq->indirect->vq = vq;

	vq->tlb = kvzalloc(sizeof(*vq->tlb), GFP_KERNEL_ACCOUNT);
	if (!vq->tlb)
		goto err;
	vmq_tlb_init(vq->tlb, vq);
	return 0;
err:
	vmq_free_buffers(vq);
	return -ENOMEM;
}

/**
 * vmq_free_buffers() - undo vmq_alloc_buffers()
 * @vq: stopped queue
 */
void vmq_free_buffers(struct vmq *vq)
{
	WARN_ON_ONCE(vq->mmu);

	kvfree(vq->tlb);
	vq->tlb = NULL;
	kvfree(vq->indirect);
	vq->indirect = NULL;
	kvfree(vq->burst);
	vq->burst = NULL;
}

static void vmq_set_direct(struct vmq *vq)
{
	vq->direct = vq->mmu && vq->running && vq->kernel_access &&
		     vq->want_direct;
}

/*
 * Read with the section lock held by who must not wait for the mutex.  There are
 * no sections, so the old MMU can be left before what it said is forgotten.
 */
static void vmq_set_mmu(struct vmq *vq, struct vmmu *mmu)
{
	WARN_ON_ONCE(vq->slots_held);

	if (vq->mmu)
		vmmu_del_section(vq->mmu, &vq->section);

	spin_lock(&vq->section.lock);
	vq->mmu = mmu;
	if (vq->tlb)
		vmq_tlb_clear(vq->tlb);
	spin_unlock(&vq->section.lock);

	if (mmu)
		vmmu_add_section(mmu, &vq->section);
	vmq_set_direct(vq);
}

/**
 * vmq_reset() - forget the configuration
 * @vq: stopped queue; the caller has put its eventfds
 *
 * Context: process context.
 */
void vmq_reset(struct vmq *vq)
{
	WARN_ON_ONCE(vq->maps);

	memset(&vq->ring, 0, sizeof(vq->ring));
	vq->ring.num = 1;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->features = 0;
	vq->call = NULL;
	vq->err = NULL;
	vq->umem = NULL;
	vmq_set_mmu(vq, NULL);
	vq->running = false;
	vq->kernel_access = false;
	vq->want_direct = false;
	vq->direct = false;
}

/**
 * vmq_access_ok() - can these be the parts of a ring in the owner's mm?
 * @vq: the queue, for its features
 * @num: entries
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 *
 * Context: vmq::mutex held.
 * Return: true if all three lie in the user half of the address space.
 */
bool vmq_access_ok(const struct vmq *vq, unsigned int num,
		   vring_desc_t __user *desc, vring_avail_t __user *avail,
		   vring_used_t __user *used)
{
	bool event_idx = vmq_has_feature(vq, VIRTIO_RING_F_EVENT_IDX);

	return access_ok(desc, vmq_part_size(VMQ_DESC, num, event_idx)) &&
	       access_ok(avail, vmq_part_size(VMQ_AVAIL, num, event_idx)) &&
	       access_ok(used, vmq_part_size(VMQ_USED, num, event_idx));
}

/* The configuration of a running queue has changed. */
static void vmq_reconfigured(struct vmq *vq)
{
	if (!vq->running)
		return;
	vmq_burst_reset(vq->burst);
	if (vq->kernel_access)
		vmq_ring_maps_replace(vq);
}

/**
 * vmq_set_addr() - set where the parts of the ring are
 * @vq: the queue
 * @desc: descriptor table
 * @avail: available ring
 * @used: used ring
 *
 * A running queue uses the new addresses from its next operation on.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_addr(struct vmq *vq, vring_desc_t __user *desc,
		  vring_avail_t __user *avail, vring_used_t __user *used)
{
	lockdep_assert_held(&vq->mutex);

	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vmq_reconfigured(vq);
}

static void vmq_apply_features(struct vmq *vq)
{
	vq->ring.event_idx = vmq_has_feature(vq, VIRTIO_RING_F_EVENT_IDX);
	vq->ring.notify_on_empty = vmq_has_feature(vq,
						   VIRTIO_F_NOTIFY_ON_EMPTY);
}

/**
 * vmq_set_features() - set the features that the driver acknowledged
 * @vq: the queue
 * @features: mask of VIRTIO_F_* and VIRTIO_RING_F_* bits, already checked
 *
 * The byte order of a running queue stays as it was started.
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_features(struct vmq *vq, u64 features)
{
	bool event_idx = vq->ring.event_idx;

	lockdep_assert_held(&vq->mutex);

	vq->features = features;
	vmq_apply_features(vq);
	/* The event words decide where the parts end. */
	if (vq->ring.event_idx != event_idx)
		vmq_reconfigured(vq);
}
EXPORT_SYMBOL_NS_GPL(vmq_set_features, VHOST_MMU);

/**
 * vmq_set_umem() - set the guest memory table
 * @vq: the queue
 * @umem: the table; the old one may be freed afterwards
 * @mmu: the MMU that belongs to it, may be NULL; the old one may be put
 *	afterwards
 *
 * Context: process context, vmq::mutex held, may sleep.
 */
void vmq_set_umem(struct vmq *vq, struct vhost_iotlb *umem, struct vmmu *mmu)
{
	lockdep_assert_held(&vq->mutex);

	vq->umem = umem;
	if (vq->mmu == mmu)
		return;
	vmq_set_mmu(vq, mmu);
	/* What the old MMU gave stays right, but the new one is to be used. */
	vmq_reconfigured(vq);
}

/**
 * vmq_start() - begin to use the ring
 * @vq: configured queue, vmq_access_ok() for its addresses
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
int vmq_start(struct vmq *vq, bool kernel_access, bool direct)
{
	bool was_kernel = vq->running && vq->kernel_access;
	bool is_le = vq->ring.is_le;
	int ret;

	lockdep_assert_held(&vq->mutex);

	vmq_burst_reset(vq->burst);
	vmq_ring_maps_drop(vq);
	vmq_apply_features(vq);
	vq->ring.is_le = vmq_has_feature(vq, VIRTIO_F_VERSION_1) ||
			 virtio_legacy_is_little_endian();
	if (kernel_access && vq->space)
		vmq_ring_maps_replace(vq);

	ret = vmq_with_access(vq, vmq_split_start, &vq->ring);
	if (ret) {
		vq->ring.is_le = is_le;
		vq->ring.why = NULL;
		vmq_ring_maps_drop(vq);
		if (was_kernel)
			vmq_ring_maps_replace(vq);
		return ret;
	}

	vq->kernel_access = kernel_access;
	vq->want_direct = direct;
	vq->running = true;
	vmq_set_direct(vq);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(vmq_start, VHOST_MMU);

/**
 * vmq_stop() - stop using the ring
 * @vq: the queue, running or not
 *
 * Context: process context, vmq::mutex held.
 */
void vmq_stop(struct vmq *vq)
{
	lockdep_assert_held(&vq->mutex);

	vq->running = false;
	vmq_set_direct(vq);
	vmq_ring_maps_drop(vq);
	if (vq->burst)
		vmq_burst_reset(vq->burst);
}
EXPORT_SYMBOL_NS_GPL(vmq_stop, VHOST_MMU);

/**
 * vmq_err() - report a broken ring
 * @vq: the queue
 * @fmt: what is wrong, for the debug log
 *
 * Context: vmq::mutex held, outside of sections.
 */
void vmq_err(struct vmq *vq, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_debug("vhost_mmu: vq %u.%u: %pV", vq->trace_id >> 8,
		 vq->trace_id & 0xff, &vaf);
	va_end(args);

	if (vq->err)
		eventfd_signal(vq->err);
}
EXPORT_SYMBOL_NS_GPL(vmq_err, VHOST_MMU);
