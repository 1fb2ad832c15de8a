// SPDX-License-Identifier: GPL-2.0
/*
 * From guest physical ranges to iovecs of the owner's mm, for vmq_next().  Runs
 * outside of sections: reading an indirect table may fault.
 *
 * A device with a memory table of its own is translated by that table.  A
 * device that is attached to an MMU is translated by the memslots, which change
 * without asking the device.  Whoever changes them waits until nobody uses the
 * old ones, so a queue that translated by memslots keeps them until its handler
 * is done with the buffers: nothing is written to a memslot after it was
 * deleted.
 */
#include "log.h"
#include "translate.h"
#include "../mmu/mmu.h"

static int translate_by_umem(struct vmq *vmq, u64 addr, u32 len,
			     struct iovec *iov, unsigned int iov_size,
			     int access)
{
	u64 last = addr + len - 1, left = len, size;
	const struct vhost_iotlb_map *map;
	unsigned int n = 0;

	while (left) {
		if (unlikely(n >= iov_size))
			return -ENOBUFS;

		map = vhost_iotlb_itree_first(vmq->umem, addr, last);
		if (unlikely(!map || map->start > addr))
			return -EFAULT;
		if (unlikely(!(map->perm & access)))
			return -EPERM;

		size = min(left, map->size - (addr - map->start));
		iov[n].iov_base =
			(void __user *)(unsigned long)(map->addr + addr -
						       map->start);
		iov[n].iov_len = size;
		n++;
		addr += size;
		left -= size;
	}
	return n;
}

static struct vmmu_memslots *slots_hold(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	if (!vmq->slots_held) {
		vmq->slots_held = true;
		vmq->slots_srcu = srcu_read_lock(&vmq->mmu->srcu);
		/* For sparse: held beyond this function. */
		__release(&vmq->mmu->srcu);
	}
	return vmmu_slots(vmq->mmu);
}

/**
 * vmq_slots_release() - let go of the memslots that addresses came from
 * @vmq: queue with slots_held set, whose translated addresses nobody uses
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

/*
 * What the memory table does not have.  The memslots of a device that is not
 * attached say the same as its memory table: what is not there is nowhere.
 */
static noinline int translate_by_slots(struct vmq *vmq, u64 addr, u32 len,
				       struct iovec *iov, unsigned int iov_size,
				       int access)
{
	const struct vmmu_memslot *slot;
	struct vmmu_memslots *slots;
	u64 left = len, size;
	unsigned int n = 0;

	if (!vmq->mmu || vmq->mmu->implicit)
		return -EFAULT;

	slots = slots_hold(vmq);
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
		iov[n].iov_base =
			(void __user *)(slot->hva + (addr - slot->gpa));
		iov[n].iov_len = size;
		n++;
		addr += size;
		left -= size;
	}
	return n;
}

/**
 * vmq_translate() - make iovecs of a guest physical range
 * @ctx: a struct vmq_indirect
 * @addr: guest physical address
 * @len: length in bytes
 * @iov: filled
 * @iov_size: room in @iov
 * @access: VHOST_ACCESS_RO or VHOST_ACCESS_WO
 *
 * By the memory table, or else by the memslots: the memory table of a device
 * that is attached to an MMU is empty, and other devices pay nothing for that.
 *
 * Context: vmq::mutex held, until vmq_burst_drop().
 * Return: the number of iovecs, -EFAULT outside of guest memory, -EPERM, or
 *	-ENOBUFS if they are more than @iov_size.
 */
int vmq_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		  unsigned int iov_size, int access)
{
	struct vmq_indirect *indirect = ctx;
	struct vmq *vmq = indirect->vmq;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	ret = translate_by_umem(vmq, addr, len, iov, iov_size, access);
	if (unlikely(ret < 0) && ret == -EFAULT)
		ret = translate_by_slots(vmq, addr, len, iov, iov_size, access);
	if (access == VHOST_ACCESS_WO && ret > 0)
		vmq_log_buffer(vmq, addr, len);
	return ret;
}

/* vmq_memory::indirect_begin: 0 or an error of vmq_translate(). */
int vmq_indirect_begin(void *ctx, u64 addr, u32 len)
{
	struct vmq_indirect *indirect = ctx;
	int ret;

	lockdep_assert_held(&indirect->vmq->mutex);

	ret = vmq_translate(ctx, addr, len, indirect->iov, UIO_MAXIOV,
			    VHOST_ACCESS_RO);
	if (unlikely(ret < 0))
		return ret;

	iov_iter_init(&indirect->iter, ITER_SOURCE, indirect->iov, ret, len);
	return 0;
}

/* vmq_memory::indirect_read: false if the memory cannot be read.  May sleep. */
bool vmq_indirect_read(void *ctx, struct vring_desc *desc)
{
	struct vmq_indirect *indirect = ctx;

	lockdep_assert_held(&indirect->vmq->mutex);

	return copy_from_iter_full(desc, sizeof(*desc), &indirect->iter);
}
