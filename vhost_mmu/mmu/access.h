/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reading and writing guest memory.
 */
#ifndef VHOST_MMU_ACCESS_H
#define VHOST_MMU_ACCESS_H

#include "pt_mem.h"

int vmmu_read_guest(struct vmmu_context *ctx, u64 gpa, void *to,
		    unsigned int len);
int vmmu_write_guest(struct vmmu_context *ctx, u64 gpa, const void *from,
		     unsigned int len);
int vmmu_translate(struct vmmu_context *ctx, struct vmmu_translate *args);

#endif /* VHOST_MMU_ACCESS_H */
