// SPDX-License-Identifier: GPL-2.0
/*
 * The guest memory table: GPA to HVA, as set by VHOST_SET_MEM_TABLE.
 *
 * The device owns the table and replaces it as a whole.  A queue refers to it
 * under its own mutex, so that nobody uses the old one when every queue has
 * been visited.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../mmu/shared.h"
#include "internal.h"

/* More than enough for the regions; IOTLB entries are to share the limit. */
#define VMDEV_UMEM_ENTRIES 2048

/**
 * vmdev_umem_alloc() - make an empty memory table
 *
 * Return: the table, or NULL.
 */
struct vhost_iotlb *vmdev_umem_alloc(void)
{
	return vhost_iotlb_alloc(VMDEV_UMEM_ENTRIES, VHOST_IOTLB_FLAG_RETIRE);
}

static bool region_access_ok(const struct vhost_iotlb_map *map)
{
	if (map->addr > ULONG_MAX || map->size > ULONG_MAX)
		return false;
	/* The last byte of the address space is a valid last byte. */
	if (map->addr > ULONG_MAX - (map->size - 1))
		return false;

	return access_ok((void __user *)(unsigned long)map->addr, map->size);
}

/* Is what a dirty log says of guest memory in user space? */
static bool log_access_ok(const void __user *base, u64 addr, u64 size)
{
	const u64 page = VHOST_PAGE_SIZE * 8;
	u64 first = addr / page;

	if (first > ULONG_MAX - (unsigned long)base)
		return false;
	return access_ok(base + first, DIV_ROUND_UP(size, page));
}

/* @log: there is to be a dirty log, at @base, of all of the memory. */
static bool umem_access_ok(const struct vhost_iotlb *umem, bool log,
			   const void __user *base)
{
	const struct vhost_iotlb_map *map;

	if (!umem)
		return false;

	list_for_each_entry(map, &umem->list, link) {
		if (!region_access_ok(map))
			return false;
		if (log && !log_access_ok(base, map->start, map->size))
			return false;
	}
	return true;
}

/**
 * vmdev_vq_log_used_ok() - can writes to the used ring be logged?
 * @dvq: the queue
 * @base: of the dirty log
 * @log: they are to be logged
 * @addr: guest physical address to log them at
 *
 * Return: true if the dirty log has it in user space, or if @log is not set.
 */
bool vmdev_vq_log_used_ok(const struct vmdev_vq *dvq, const void __user *base,
			  bool log, u64 addr)
{
	const struct vmq *vmq = &dvq->vmq;
	bool event_idx = vmq_has_feature(vmq, VIRTIO_RING_F_EVENT_IDX);

	lockdep_assert_held(&vmq->mutex);

	return !log || log_access_ok(base, addr,
				     vmq_part_size(VMQ_USED, vmq->ring.num,
						   event_idx));
}

/**
 * vmdev_vq_log_ok() - can a queue log what it was told to?
 * @dvq: the queue
 * @base: of the dirty log
 *
 * Return: true if its memory table, and what the dirty log says of it, are in
 *	user space.
 */
bool vmdev_vq_log_ok(const struct vmdev_vq *dvq, const void __user *base)
{
	const struct vmq *vmq = &dvq->vmq;

	lockdep_assert_held(&vmq->mutex);

	return umem_access_ok(vmq->umem, vmq_has_feature(vmq, VHOST_F_LOG_ALL),
			      base) &&
	       vmdev_vq_log_used_ok(dvq, base, vmq->log_used,
				    vmq->log_used_addr);
}

/**
 * vmdev_vq_access_ok() - may a queue start with what it was told?
 * @dvq: the queue
 *
 * Return: true if its memory table, dirty log and ring are in user space.
 */
bool vmdev_vq_access_ok(const struct vmdev_vq *dvq)
{
	const struct vmq *vmq = &dvq->vmq;

	lockdep_assert_held(&vmq->mutex);

	return vmdev_vq_log_ok(dvq, vmq->log_base) &&
	       vmq_access_ok(vmq, vmq->ring.num, vmq->desc, vmq->avail,
			     vmq->used);
}
EXPORT_SYMBOL_NS_GPL(vmdev_vq_access_ok, VHOST_MMU);

/*
 * Can the queues that run go on with a memory table, and log it if they do?  A
 * stopped queue looks when it starts.
 */
static bool running_vqs_accept(struct vmdev *dev,
			       const struct vhost_iotlb *umem)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < dev->nvqs && ok; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];
		struct vmq *vmq = &dvq->vmq;

		vmdev_vq_lock(dvq);
		if (dvq->backend)
			ok = umem_access_ok(
				umem, vmq_has_feature(vmq, VHOST_F_LOG_ALL),
				vmq->log_base);
		mutex_unlock(&vmq->mutex);
	}
	return ok;
}

/**
 * vmdev_log_access_ok() - may a device log all that it writes?
 * @dev: the device
 *
 * The memory table of a queue that is attached to an MMU is empty: whether the
 * dirty log is large enough for the memslots is the owner's to see to.
 *
 * Context: process context, may sleep; device mutex held.
 * Return: false if a running queue could not, with the dirty log where it is.
 */
bool vmdev_log_access_ok(struct vmdev *dev)
{
	unsigned int i;
	bool ok = true;

	lockdep_assert_held(&dev->mutex);

	for (i = 0; i < dev->nvqs && ok; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];
		struct vmq *vmq = &dvq->vmq;

		vmdev_vq_lock(dvq);
		if (dvq->backend)
			ok = umem_access_ok(vmq->umem, true, vmq->log_base);
		mutex_unlock(&vmq->mutex);
	}
	return ok;
}
EXPORT_SYMBOL_NS_GPL(vmdev_log_access_ok, VHOST_MMU);

static long umem_fill(struct vhost_iotlb *umem,
		      const struct vhost_memory_region *regions,
		      unsigned int nregions)
{
	unsigned int i;

	for (i = 0; i < nregions; i++) {
		const struct vhost_memory_region *r = &regions[i];
		u64 last = r->guest_phys_addr + r->memory_size - 1;

		/* A region that is empty or wraps ends before it starts. */
		if (vhost_iotlb_add_range(umem, r->guest_phys_addr, last,
					  r->userspace_addr, VHOST_MAP_RW))
			return -EFAULT;
	}
	return 0;
}

/* Copy the table header and the regions behind it. */
static struct vhost_memory_region *regions_get(struct vhost_memory __user *from,
					       unsigned int *nregions)
{
	struct vhost_memory header;

	if (copy_from_user(&header, from, sizeof(header)))
		return ERR_PTR(-EFAULT);
	if (header.padding)
		return ERR_PTR(-EOPNOTSUPP);
	if (header.nregions > vmdev_max_mem_regions())
		return ERR_PTR(-E2BIG);

	*nregions = header.nregions;
	return vmemdup_user(from->regions,
			    header.nregions * sizeof(from->regions[0]));
}

/*
 * Without an MMU the device works as well: rings are looked up page by page.
 * That is no error of the client, whatever the reason.
 */
static struct vmmu *mmu_get(struct vmdev *dev,
			    const struct vhost_memory_region *regions,
			    unsigned int nregions)
{
	struct vmmu *mmu;

	if (!nregions)
		return NULL;

	mmu = vmmu_get_shared(dev->mm, regions, nregions);
	if (!IS_ERR(mmu))
		return mmu;
	WRITE_ONCE(dev->mmu_failures, dev->mmu_failures + 1);
	return NULL;
}

static struct vhost_iotlb *umem_get(struct vmdev *dev, void __user *argp,
				    struct vmmu **mmu)
{
	struct vhost_memory_region *regions;
	struct vhost_iotlb *umem;
	unsigned int nregions;
	long ret = -ENOMEM;

	regions = regions_get(argp, &nregions);
	if (IS_ERR(regions))
		return ERR_CAST(regions);

	umem = vmdev_umem_alloc();
	if (umem)
		ret = umem_fill(umem, regions, nregions);
	if (!ret)
		*mmu = mmu_get(dev, regions, nregions);
	kvfree(regions);
	if (ret) {
		vhost_iotlb_free(umem);
		return ERR_PTR(ret);
	}
	return umem;
}

/**
 * vmdev_set_mem_table() - VHOST_SET_MEM_TABLE
 * @dev: the device
 * @argp: struct vhost_memory
 *
 * Return: 0, or -EBUSY (attached to an MMU), -EFAULT, -EOPNOTSUPP (padding),
 *	-E2BIG, -ENOMEM.
 */
long vmdev_set_mem_table(struct vmdev *dev, void __user *argp)
{
	struct vmmu *mmu = NULL;
	struct vhost_iotlb *umem;
	long ret = 0;

	lockdep_assert_held(&dev->mutex);

	if (dev->attached)
		return -EBUSY;

	umem = umem_get(dev, argp, &mmu);
	if (IS_ERR(umem))
		return PTR_ERR(umem);

	if (running_vqs_accept(dev, umem)) {
		swap(dev->umem, umem);
		swap(dev->mmu, mmu);
		vmdev_apply_memory(dev);
	} else {
		ret = -EFAULT;
	}

	/* The old ones, or the new ones that were not accepted. */
	vhost_iotlb_free(umem);
	if (mmu)
		vmmu_put(mmu);
	return ret;
}
