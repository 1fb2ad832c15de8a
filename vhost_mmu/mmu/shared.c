// SPDX-License-Identifier: GPL-2.0
/*
 * MMUs of devices: made from a memory table as VHOST_SET_MEM_TABLE has it,
 * never changed afterwards, and shared by the devices of a process that were
 * told the same, as the queue pairs of one network card are.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "shared.h"

static int region_cmp(const void *a, const void *b)
{
	const struct vhost_memory_region *x = a, *y = b;

	if (x->guest_phys_addr == y->guest_phys_addr)
		return 0;
	return x->guest_phys_addr < y->guest_phys_addr ? -1 : 1;
}

static bool region_ok(const struct vhost_memory_region *r)
{
	unsigned long hva = r->userspace_addr;
	u64 last = r->memory_size - 1;

	return r->memory_size && r->guest_phys_addr + last >= last &&
	       access_ok((void __user *)hva, r->memory_size);
}

/* Sorted by guest address, so that the order in which they came is forgotten. */
static struct vhost_memory_region *
regions_sort(const struct vhost_memory_region *regions, unsigned int nregions)
{
	struct vhost_memory_region *sorted;
	unsigned int i;

	if (!nregions)
		return ERR_PTR(-ENOENT);
	for (i = 0; i < nregions; i++) {
		if (!region_ok(&regions[i]))
			return ERR_PTR(-EINVAL);
	}

	sorted = kvmalloc_array(nregions, sizeof(*sorted), GFP_KERNEL);
	if (!sorted)
		return ERR_PTR(-ENOMEM);
	memcpy(sorted, regions, nregions * sizeof(*sorted));
	sort(sorted, nregions, sizeof(*sorted), region_cmp, NULL);
	return sorted;
}

static bool slot_is_region(const struct vmmu_memslot *slot,
			   const struct vhost_memory_region *r)
{
	return slot->gpa == r->guest_phys_addr &&
	       slot->size == r->memory_size && slot->hva == r->userspace_addr;
}

/* Either set will do, as the memslots of such an MMU never change. */
static bool mmu_is_of_regions(const struct vmmu *mmu,
			      const struct vhost_memory_region *sorted,
			      unsigned int nregions)
{
	struct rb_node *node = rb_first(&mmu->sets[0].gpa_tree);
	struct vmmu_memslot *slot;
	unsigned int i;

	lockdep_assert_held(&mmu->space->inval_lock);

	for (i = 0; node && i < nregions; i++) {
		slot = rb_entry(node, struct vmmu_memslot, gpa_node[0]);
		if (!slot_is_region(slot, &sorted[i]))
			return false;
		node = rb_next(node);
	}
	return !node && i == nregions;
}

/* Find and get the MMU of another device that was told the same. */
static struct vmmu *shared_find(struct vmmu_space *space,
				const struct vhost_memory_region *sorted,
				unsigned int nregions)
{
	struct vmmu *mmu;

	lockdep_assert_held(&space->mmus_mutex);

	spin_lock(&space->inval_lock);
	list_for_each_entry(mmu, &space->mmus, node) {
		if (mmu->implicit && mmu_is_of_regions(mmu, sorted, nregions) &&
		    kref_get_unless_zero(&mmu->ref))
			goto out;
	}
	mmu = NULL;
out:
	spin_unlock(&space->inval_lock);
	return mmu;
}

static struct vmmu *shared_make(struct mm_struct *mm,
				const struct vhost_memory_region *sorted,
				unsigned int nregions)
{
	struct vmmu *mmu = vmmu_alloc(mm);
	unsigned int i;
	int ret;

	if (IS_ERR(mmu))
		return mmu;

	mmu->implicit = true;
	for (i = 0; i < nregions; i++) {
		ret = vmmu_insert_slot(mmu, i, 0, sorted[i].guest_phys_addr,
				       sorted[i].memory_size,
				       sorted[i].userspace_addr);
		if (ret)
			goto err_slot;
	}
	vmmu_publish(mmu);
	return mmu;

err_slot:
	vmmu_put(mmu);
	return ERR_PTR(ret);
}

/**
 * vmmu_get_shared() - get the MMU for a device's memory table
 * @mm: owner of the device; the caller holds mm_users and its space
 * @regions: the memory table; bounds may be any bytes
 * @nregions: how many
 *
 * Context: process context, may sleep; no vmq::mutex held.
 * Return: a reference to the MMU, to be given to vmmu_put(); or an error
 *	pointer if memslots cannot say the same as the memory table: -ENOENT
 *	(it is empty), -EEXIST (guest addresses overlap), -EINVAL (a region
 *	wraps or lies outside of user space), or -ENOMEM.
 */
struct vmmu *vmmu_get_shared(struct mm_struct *mm,
			     const struct vhost_memory_region *regions,
			     unsigned int nregions)
{
	struct vhost_memory_region *sorted;
	struct vmmu_space *space;
	struct vmmu *mmu;

	sorted = regions_sort(regions, nregions);
	if (IS_ERR(sorted))
		return ERR_CAST(sorted);

	space = vmmu_space_get(mm);
	if (IS_ERR(space)) {
		kvfree(sorted);
		return ERR_CAST(space);
	}

	mutex_lock(&space->mmus_mutex);
	mmu = shared_find(space, sorted, nregions);
	if (!mmu)
		mmu = shared_make(mm, sorted, nregions);
	mutex_unlock(&space->mmus_mutex);

	vmmu_space_put(space);
	kvfree(sorted);
	return mmu;
}
