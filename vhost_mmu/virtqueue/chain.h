/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory as vmq_memory for the split ring parser: by user access. */
#ifndef VHOST_MMU_CHAIN_H
#define VHOST_MMU_CHAIN_H

#include "virtqueue.h"

/**
 * struct vmq_table - an indirect table that is being read
 * @vq: the queue
 * @iter: what is left of the table
 * @iov: where the table lies
 *
 * The context of vmq_user_memory.  Not on the stack, where the kernel would
 * clear it for each chain.
 */
struct vmq_table {
	struct vmq *vq;
	struct iov_iter iter;
	struct iovec iov[UIO_MAXIOV];
};

int vmq_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		  unsigned int iov_size, int access);
int vmq_table_begin(void *ctx, u64 addr, u32 len);
bool vmq_table_read(void *ctx, struct vring_desc *desc);

#endif /* VHOST_MMU_CHAIN_H */
