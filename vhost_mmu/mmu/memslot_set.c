// SPDX-License-Identifier: GPL-2.0
/*
 * VMMU_SET_MEMSLOT: what user space may do to memslots, and what that means for
 * what is mapped.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "dirty_log.h"
#include "dirty_ring.h"
#include "memslot.h"
#include "pt_zap.h"

static int check_args(const struct vmmu_set_memslot *args)
{
	const u64 size = args->memory_size;

	if (args->flags & ~(VMMU_MEM_LOG_DIRTY_PAGES | VMMU_MEM_READONLY))
		return -EINVAL;
	if (!PAGE_ALIGNED(size) || !PAGE_ALIGNED(args->guest_phys_addr) ||
	    !PAGE_ALIGNED(args->userspace_addr))
		return -EINVAL;
	if (!access_ok((void __user *)(unsigned long)args->userspace_addr,
		       size))
		return -EINVAL;
	if (args->slot >= VMMU_MAX_SLOTS)
		return -EINVAL;
	if (args->guest_phys_addr + size < args->guest_phys_addr)
		return -EINVAL;
	if (size >> PAGE_SHIFT > VMMU_MAX_SLOT_PAGES)
		return -EINVAL;
	return 0;
}

/*
 * No page of the memslot is mapped when this returns, and none will be.  The
 * notifier still finds the memslot, so until then nothing stale can be used.
 */
static void slot_kill(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	lockdep_assert_held(&mmu->slots_lock);

	write_lock(&mmu->mmu_lock);
	slot->dying = true;
	write_unlock(&mmu->mmu_lock);

	if (slot->map.npages) {
		vmmu_zap(mmu, slot->map.gfn,
			 slot->map.gfn + slot->map.npages - 1);
		vmmu_prune(mmu, slot->map.gfn,
			   slot->map.gfn + slot->map.npages - 1);
	}
}

static int slot_delete(struct vmmu *mmu, struct vmmu_memslot *old)
{
	if (!old)
		return -EINVAL;

	slot_kill(mmu, old);
	vmmu_slots_commit(mmu, old, NULL);
	xa_erase(&mmu->by_id, old->id);
	vmmu_slot_free(old);
	return 0;
}

static int slot_create(struct vmmu *mmu, struct vmmu_memslot *new)
{
	int ret =
		xa_err(xa_store(&mmu->by_id, new->id, new, GFP_KERNEL_ACCOUNT));

	if (!ret)
		vmmu_slots_commit(mmu, NULL, new);
	return ret;
}

static void slot_replace(struct vmmu *mmu, struct vmmu_memslot *old,
			 struct vmmu_memslot *new)
{
	lockdep_assert_held(&mmu->slots_lock);

	/* In the place of an entry that is there: needs no memory. */
	xa_store(&mmu->by_id, new->id, new, GFP_KERNEL);
	vmmu_slots_commit(mmu, old, new);
	if (old->dirty == new->dirty)
		old->dirty = NULL;
	vmmu_slot_free(old);
}

static void slot_move(struct vmmu *mmu, struct vmmu_memslot *old,
		      struct vmmu_memslot *new)
{
	slot_kill(mmu, old);
	/* What is known to be dirty stays so: one bitmap, until old is gone. */
	if (old->dirty && new->dirty) {
		kvfree(new->dirty);
		new->dirty = old->dirty;
		new->dirty_copy = old->dirty_copy;
	}
	slot_replace(mmu, old, new);
}

static void slot_change_log(struct vmmu *mmu, struct vmmu_memslot *old,
			    struct vmmu_memslot *new)
{
	/* From here on faults log, or do not any more. */
	slot_replace(mmu, old, new);

	if (vmmu_slot_logs(new))
		vmmu_log_start(mmu, new);
	else
		vmmu_log_stop(mmu, new);
}

static int slot_set(struct vmmu *mmu, const struct vmmu_set_memslot *args)
{
	struct vmmu_memslot *old = xa_load(&mmu->by_id, args->slot);
	struct vmmu_memslot *new;
	int ret = 0;

	lockdep_assert_held(&mmu->slots_lock);

	if (!args->memory_size)
		return slot_delete(mmu, old);

	if ((args->guest_phys_addr + args->memory_size - 1) >> PAGE_SHIFT >
	    VMMU_MAX_GFN)
		return -EINVAL;

	if (old) {
		if (args->userspace_addr != old->hva ||
		    args->memory_size != old->size ||
		    (args->flags ^ old->flags) & VMMU_MEM_READONLY)
			return -EINVAL;
		if (args->guest_phys_addr == old->gpa &&
		    args->flags == old->flags)
			return 0;
	}
	if ((!old || args->guest_phys_addr != old->gpa) &&
	    vmmu_slot_overlap(mmu, args->guest_phys_addr, args->memory_size,
			      old))
		return -EEXIST;
	if (args->flags & VMMU_MEM_LOG_DIRTY_PAGES &&
	    atomic_read(&mmu->nr_attached))
		return -EOPNOTSUPP;

	new = vmmu_slot_alloc(mmu, args->slot, args->flags,
			      args->guest_phys_addr, args->memory_size,
			      args->userspace_addr);
	if (!new)
		return -ENOMEM;

	if (!old)
		ret = slot_create(mmu, new);
	else if (new->gpa != old->gpa)
		slot_move(mmu, old, new);
	else
		slot_change_log(mmu, old, new);
	if (ret)
		vmmu_slot_free(new);
	return ret;
}

/**
 * vmmu_set_memslot() - create, delete, move or change a memslot
 * @mmu: the MMU
 * @args: as for VMMU_SET_MEMSLOT; its size and reserved fields were checked
 *
 * Waits for whoever uses the memslots now, but for no invalidation that is open.
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, -EINVAL, -EEXIST, -ENOMEM, or -EOPNOTSUPP for a log while a device
 *	is attached; nothing has changed after an error.
 */
int vmmu_set_memslot(struct vmmu *mmu, const struct vmmu_set_memslot *args)
{
	int ret = check_args(args);

	if (ret)
		return ret;

	mutex_lock(&mmu->slots_lock);
	ret = slot_set(mmu, args);
	mutex_unlock(&mmu->slots_lock);
	return ret;
}

/**
 * vmmu_attach() - have one device more that goes by an MMU
 * @mmu: the MMU
 *
 * A device's writes by user access, and those to its rings, are in no log.  So
 * that a log never lacks a write, a memslot has none while a device is attached.
 *
 * Context: process context, may sleep; no lock that is taken inside slots_lock
 *	held.
 * Return: 0; -EOPNOTSUPP if a memslot has a log, -EMFILE if VMMU_MAX_DEVICES are
 *	attached: a drain waits for the queues of each.
 */
int vmmu_attach(struct vmmu *mmu)
{
	const struct vmmu_memslot *slot;
	unsigned long id;
	int ret = 0;

	mutex_lock(&mmu->slots_lock);
	xa_for_each(&mmu->by_id, id, slot) {
		if (vmmu_slot_logs(slot))
			ret = -EOPNOTSUPP;
	}
	if (!ret && atomic_read(&mmu->nr_attached) >= VMMU_MAX_DEVICES)
		ret = -EMFILE;
	if (!ret)
		atomic_inc(&mmu->nr_attached);
	mutex_unlock(&mmu->slots_lock);
	return ret;
}

/**
 * vmmu_detach() - undo vmmu_attach()
 * @mmu: the MMU
 *
 * Takes no lock: whoever closes the device may be nobody whom the owner, who can
 * keep slots_lock, should be able to stop.
 *
 * Context: any; the device does not use the MMU any more.
 */
void vmmu_detach(struct vmmu *mmu)
{
	WARN_ON_ONCE(atomic_dec_return(&mmu->nr_attached) < 0);
}

/**
 * vmmu_set_options() - choose how dirty pages are reported
 * @mmu: the MMU
 * @options: VMMU_OPTION_*
 * @ring_entries: size of the dirty rings, 0 for bitmaps
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, -EOPNOTSUPP for an unknown option, -EINVAL, or -EBUSY once there
 *	is a memslot or a reader.
 */
int vmmu_set_options(struct vmmu *mmu, u64 options, u32 ring_entries)
{
	int ret = 0;

	if (options & ~VMMU_OPTIONS)
		return -EOPNOTSUPP;
	if (options & VMMU_OPTION_INITIALLY_SET &&
	    !(options & VMMU_OPTION_MANUAL_PROTECT))
		return -EINVAL;
	if (!vmmu_dirty_ring_size_ok(ring_entries))
		return -EINVAL;

	mutex_lock(&mmu->slots_lock);
	if (!xa_empty(&mmu->by_id) || atomic64_read(&mmu->nr_readers)) {
		ret = -EBUSY;
	} else {
		mmu->options = options;
		mmu->ring_entries = ring_entries;
	}
	mutex_unlock(&mmu->slots_lock);
	return ret;
}
