/* SPDX-License-Identifier: GPL-2.0 */
/*
 * VMMU_UBUF_INIT(): what a socket tells of pages it was given, by a function
 * that older kernels keep in struct ubuf_info itself.
 */
#ifndef VHOST_MMU_COMPAT_UBUF_H
#define VHOST_MMU_COMPAT_UBUF_H

#include <linux/skbuff.h>

#ifdef VMMU_HAVE_UBUF_OPS
#define VMMU_UBUF_INIT(fn) \
	{ .ops = &(const struct ubuf_info_ops){ .complete = (fn) } }
#else
#define VMMU_UBUF_INIT(fn) { .callback = (fn) }
#endif

#endif /* VHOST_MMU_COMPAT_UBUF_H */
