// SPDX-License-Identifier: GPL-2.0
/*
 * MMUs of devices: made from a memory table as VHOST_SET_MEM_TABLE has it,
 * never changed afterwards, and shared by the devices of a process that were
 * told the same, as the queue pairs of one network card are.
 */
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "shared.h"

static siphash_key_t hash_key __ro_after_init;

/**
 * vmmu_shared_init() - prepare for MMUs of devices, as the module is loaded
 */
void __init vmmu_shared_init(void)
{
	get_random_bytes(&hash_key, sizeof(hash_key));
}

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
	/* Says nothing, and is to make no difference. */
	for (i = 0; i < nregions; i++)
		sorted[i].flags_padding = 0;
	sort(sorted, nregions, sizeof(*sorted), region_cmp, NULL);
	return sorted;
}

static bool slot_is_region(const struct vmmu_memslot *slot,
			   const struct vhost_memory_region *r)
{
	return slot->gpa == r->guest_phys_addr &&
	       slot->size == r->memory_size && slot->hva == r->userspace_addr;
}

/* By a secret, so that nobody can make many that are equal. */
static u64 regions_hash(const struct vhost_memory_region *sorted,
			unsigned int nregions)
{
	return siphash(sorted, nregions * sizeof(*sorted), &hash_key);
}

/*
 * Either set will do, as the memslots of such an MMU never change while there is
 * a reference to it.
 */
static bool mmu_is_of_regions(const struct vmmu *mmu,
			      const struct vhost_memory_region *sorted,
			      unsigned int nregions)
{
	struct rb_node *node = rb_first(&mmu->sets[0].gpa_tree);
	struct vmmu_memslot *slot;
	unsigned int i;

	for (i = 0; node && i < nregions; i++) {
		slot = rb_entry(node, struct vmmu_memslot, gpa_node[0]);
		if (!slot_is_region(slot, &sorted[i]))
			return false;
		node = rb_next(node);
	}
	return !node && i == nregions;
}

/*
 * Get an MMU that has that hash, and room for one device more.  All that waits
 * for inval_lock meanwhile waits for no more than a look at each MMU.
 */
static struct vmmu *shared_get(struct vmmu_space *space, u64 hash)
{
	struct vmmu *mmu;

	lockdep_assert_held(&space->mmus_mutex);

	spin_lock(&space->inval_lock);
	list_for_each_entry(mmu, &space->mmus, node) {
		if (mmu->implicit && mmu->regions_hash == hash &&
		    kref_read(&mmu->ref) < VMMU_MAX_DEVICES &&
		    kref_get_unless_zero(&mmu->ref))
			goto out;
	}
	mmu = NULL;
out:
	spin_unlock(&space->inval_lock);
	return mmu;
}

/* Find and get the MMU of another device that was told the same. */
static struct vmmu *shared_find(struct vmmu_space *space,
				const struct vhost_memory_region *sorted,
				unsigned int nregions, u64 hash)
{
	struct vmmu *mmu = shared_get(space, hash);

	if (!mmu || likely(mmu_is_of_regions(mmu, sorted, nregions)))
		return mmu;
	/* By chance, once in the life of the universe. */
	vmmu_put(mmu);
	return NULL;
}

static struct vmmu *shared_fill(struct vmmu *mmu,
				const struct vhost_memory_region *sorted,
				unsigned int nregions)
{
	unsigned int i;
	int ret;

	for (i = 0; i < nregions; i++) {
		ret = vmmu_insert_slot(mmu, i, 0, sorted[i].guest_phys_addr,
				       sorted[i].memory_size,
				       sorted[i].userspace_addr);
		if (ret) {
			vmmu_put(mmu);
			return ERR_PTR(ret);
		}
	}
	vmmu_publish(mmu);
	return mmu;
}

static struct vmmu *shared_make(struct mm_struct *mm,
				const struct vhost_memory_region *sorted,
				unsigned int nregions, u64 hash)
{
	struct vmmu *mmu = vmmu_alloc_counted(mm, true);

	if (IS_ERR(mmu))
		return mmu;
	mmu->regions_hash = hash;
	return shared_fill(mmu, sorted, nregions);
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
 *	wraps or lies outside of user space), -EMFILE (VMMU_MAX_SHARED others
 *	are in use), -ENOMEM or -EINTR.
 */
struct vmmu *vmmu_get_shared(struct mm_struct *mm,
			     const struct vhost_memory_region *regions,
			     unsigned int nregions)
{
	struct vhost_memory_region *sorted;
	struct vmmu_space *space;
	struct vmmu *mmu;
	u64 hash;

	sorted = regions_sort(regions, nregions);
	if (IS_ERR(sorted))
		return ERR_CAST(sorted);

	space = vmmu_space_get(mm);
	if (IS_ERR(space)) {
		kvfree(sorted);
		return ERR_CAST(space);
	}

	hash = regions_hash(sorted, nregions);
	mutex_lock(&space->mmus_mutex);
	mmu = shared_find(space, sorted, nregions, hash);
	if (!mmu)
		mmu = shared_make(mm, sorted, nregions, hash);
	mutex_unlock(&space->mmus_mutex);

	vmmu_space_put(space);
	kvfree(sorted);
	return mmu;
}
