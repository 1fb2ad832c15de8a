/* SPDX-License-Identifier: GPL-2.0 */
/* Guest memory as vmq_memory for the split ring parser: by user access. */
#ifndef VHOST_MMU_CHAIN_H
#define VHOST_MMU_CHAIN_H

#include "virtqueue.h"

/**
 * struct vmq_table - an indirect table that is being read
 * @vq: the queue; first member, so that it is the context of vmq_memory
 * @iter: what is left of the table
 */
struct vmq_table {
	struct vmq *vq;
	struct iov_iter iter;
};

int vmq_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		  unsigned int iov_size, int access);
int vmq_table_begin(void *ctx, u64 addr, u32 len);
bool vmq_table_read(void *ctx, struct vring_desc *desc);

#endif /* VHOST_MMU_CHAIN_H */
