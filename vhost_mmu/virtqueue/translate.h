/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory as vmq_memory for the split ring parser: by user access. */
#ifndef VHOST_MMU_TRANSLATE_H
#define VHOST_MMU_TRANSLATE_H

#include "virtqueue.h"

/**
 * struct vmq_indirect - an indirect table that is being read
 * @vmq: the queue
 * @iter: what is left of the table
 * @iov: where the table lies
 *
 * The context of vmq_user_memory.  Not on the stack, where the kernel would
 * clear it for each chain.
 */
struct vmq_indirect {
	struct vmq *vmq;
	struct iov_iter iter;
	struct iovec iov[UIO_MAXIOV];
};

int vmq_translate_umem(void *ctx, u64 addr, u32 len, struct iovec *iov,
		       unsigned int iov_size, int access);
int vmq_indirect_begin(void *ctx, u64 addr, u32 len);
bool vmq_indirect_read(void *ctx, struct vring_desc *desc);

/* slots.c */
int vmq_translate_slots(void *ctx, u64 addr, u32 len, struct iovec *iov,
			unsigned int iov_size, int access);
void vmq_slots_release(struct vmq *vmq);

/*
 * By the memory table, or else by the memslots: the memory table of a device
 * that is attached to an MMU is empty, and others pay nothing for that.
 */
static __always_inline int vmq_translate(void *ctx, u64 addr, u32 len,
					 struct iovec *iov,
					 unsigned int iov_size, int access)
{
	int ret;

	ret = vmq_translate_umem(ctx, addr, len, iov, iov_size, access);
	if (unlikely(ret < 0) && ret == -EFAULT)
		ret = vmq_translate_slots(ctx, addr, len, iov, iov_size,
					  access);
	return ret;
}

#endif /* VHOST_MMU_TRANSLATE_H */
