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
 * The context of the functions below.  Not on the stack, where the kernel would
 * clear it for each chain.
 */
struct vmq_indirect {
	struct vmq *vmq;
	struct iov_iter iter;
	struct iovec iov[UIO_MAXIOV];
};

int vmq_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		  unsigned int iov_size, int access);
int vmq_indirect_begin(void *ctx, u64 addr, u32 len);
bool vmq_indirect_read(void *ctx, struct vring_desc *desc);
void vmq_slots_release(struct vmq *vmq);

#endif /* VHOST_MMU_TRANSLATE_H */
