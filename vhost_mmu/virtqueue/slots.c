// SPDX-License-Identifier: GPL-2.0
/*
 * Guest memory of a device that is attached to an MMU: translated by the
 * memslots, which change without asking the device.
 *
 * A change waits until nobody uses the old memslots, so a queue that translated
 * by them keeps them until its handler is done with the buffers: a memslot that
 * was deleted is not written to afterwards.
 */
#include "translate.h"
#include "../mmu/memslots.h"

static struct vmmu_memslots *vmq_slots_hold(struct vmq *vmq)
{
	if (!vmq->slots_held) {
		vmq->slots_held = true;
		vmq->slots_srcu = srcu_read_lock(&vmq->mmu->srcu);
		/* For sparse: held beyond this function. */
		__release(&vmq->mmu->srcu);
	}
	return vmmu_slots(vmq->mmu);
}

/**
 * vmq_slots_release() - no address translated so far is used any more
 * @vmq: queue with slots_held set
 *
 * Context: vmq::mutex held, in the same hold as the translations.
 */
void vmq_slots_release(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	vmq->slots_held = false;
	__acquire(&vmq->mmu->srcu);
	srcu_read_unlock(&vmq->mmu->srcu, vmq->slots_srcu);
}

/**
 * vmq_translate_slots() - make iovecs of what is not in the memory table
 * @ctx: a struct vmq_indirect
 * @addr: guest physical address
 * @len: length in bytes
 * @iov: filled
 * @iov_size: room in @iov
 * @access: VHOST_ACCESS_RO or VHOST_ACCESS_WO
 *
 * The memslots of a device that is not attached say the same as its memory
 * table: what is not there is nowhere.
 *
 * Context: vmq::mutex held, until vmq_burst_drop().
 * Return: as for vmq_translate_umem().
 */
int vmq_translate_slots(void *ctx, u64 addr, u32 len, struct iovec *iov,
			unsigned int iov_size, int access)
{
	struct vmq_indirect *indirect = ctx;
	const struct vmmu_memslot *slot;
	struct vmmu_memslots *slots;
	struct vmq *vmq = indirect->vmq;
	u64 left = len, size;
	unsigned int n = 0;

	lockdep_assert_held(&vmq->mutex);

	if (!vmq->mmu || vmq->mmu->implicit)
		return -EFAULT;

	slots = vmq_slots_hold(vmq);
	while (left) {
		if (unlikely(n >= iov_size))
			return -ENOBUFS;

		slot = vmmu_slot_by_gpa(slots, addr);
		if (unlikely(!slot))
			return -EFAULT;
		if (unlikely(slot->flags & VMMU_MEM_READONLY &&
			     access & VHOST_ACCESS_WO))
			return -EPERM;

		size = min(left, slot->size - (addr - slot->gpa));
		iov[n].iov_base = (void __user *)(slot->hva +
						  (addr - slot->gpa));
		iov[n].iov_len = size;
		n++;
		addr += size;
		left -= size;
	}
	return n;
}
