// SPDX-License-Identifier: GPL-2.0
/*
 * From guest physical ranges to iovecs of the owner's mm.  Runs outside of
 * sections: reading an indirect table may fault.
 */
#include "translate.h"

/**
 * vmq_translate_umem() - make iovecs of a guest physical range
 * @ctx: a struct vmq_indirect
 * @addr: guest physical address
 * @len: length in bytes
 * @iov: filled
 * @iov_size: room in @iov
 * @access: VHOST_ACCESS_RO or VHOST_ACCESS_WO
 *
 * Context: vmq::mutex held.
 * Return: the number of iovecs, -EFAULT outside of guest memory, -EPERM, or
 *	-ENOBUFS if they are more than @iov_size.
 */
int vmq_translate_umem(void *ctx, u64 addr, u32 len, struct iovec *iov,
		       unsigned int iov_size, int access)
{
	struct vmq_indirect *indirect = ctx;
	u64 last = addr + len - 1, left = len, size;
	const struct vhost_iotlb_map *map;
	unsigned int n = 0;

	lockdep_assert_held(&indirect->vmq->mutex);

	while (left) {
		if (unlikely(n >= iov_size))
			return -ENOBUFS;

		map = vhost_iotlb_itree_first(indirect->vmq->umem, addr, last);
		if (unlikely(!map || map->start > addr))
			return -EFAULT;
		if (unlikely(!(map->perm & access)))
			return -EPERM;

		size = min(left, map->size - (addr - map->start));
		iov[n].iov_base = (void __user *)(unsigned long)
				  (map->addr + addr - map->start);
		iov[n].iov_len = size;
		n++;
		addr += size;
		left -= size;
	}
	return n;
}

/**
 * vmq_indirect_begin() - start to read an indirect table
 * @ctx: a struct vmq_indirect
 * @addr: guest physical address of the table
 * @len: its length in bytes
 *
 * Context: vmq::mutex held.
 * Return: 0 or an error of vmq_translate_umem().
 */
int vmq_indirect_begin(void *ctx, u64 addr, u32 len)
{
	struct vmq_indirect *indirect = ctx;
	int ret;

	ret = vmq_translate(ctx, addr, len, indirect->iov, UIO_MAXIOV,
			    VHOST_ACCESS_RO);
	if (unlikely(ret < 0))
		return ret;

	iov_iter_init(&indirect->iter, ITER_SOURCE, indirect->iov, ret, len);
	return 0;
}

/**
 * vmq_indirect_read() - read the next descriptor of an indirect table
 * @ctx: a struct vmq_indirect after vmq_indirect_begin()
 * @desc: filled
 *
 * Context: vmq::mutex held, may sleep.
 * Return: false if the memory cannot be read.
 */
bool vmq_indirect_read(void *ctx, struct vring_desc *desc)
{
	struct vmq_indirect *indirect = ctx;

	return copy_from_iter_full(desc, sizeof(*desc), &indirect->iter);
}
