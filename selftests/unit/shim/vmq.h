/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the soft TLB and the buffers by kernel address need of the kernel beyond
 * shim/mmu.h, after which it is put in front of them.  Nothing here is reached
 * by user access: that is an error.
 */
#ifndef UNIT_VMQ_SHIM_H
#define UNIT_VMQ_SHIM_H

#include <linux/bits.h>

#define __force
#define __cold
#define __maybe_unused		__attribute__((unused))
#define __aligned(n)		__attribute__((aligned(n)))
#define __printf(a, b)		__attribute__((format(printf, a, b)))
#define EXPORT_SYMBOL_NS_GPL(...)
#define barrier()		__asm__ __volatile__("" ::: "memory")

#define SZ_64K			0x10000

#define __cond_lock(l, held)	((void)(l), (held))
#define __acquire(...)		((void)0)
#define __release(...)		((void)0)

/* Barriers are what asm/barrier.h says; memory is not broken here. */
#undef smp_mb
#undef copy_mc_to_kernel
#define copy_mc_to_kernel(to, from, n) (memcpy(to, from, n), 0UL)

#undef copy_from_user
#define copy_from_user(...)	(unit_die("copy_from_user()"), 0)
#undef copy_to_user
#define copy_to_user(...)	(unit_die("copy_to_user()"), 0)

/* Of vhost_mmu/trace.h, whose place this takes. */
#define VHOST_MMU_TRACE_H
#define trace_vmq_burst(id, ...) ((void)(id))

struct eventfd_ctx;
void eventfd_signal(struct eventfd_ctx *ctx);
#define kvzalloc(size, gfp)	unit_alloc(size)
struct vhost_iotlb;
struct iov_iter {
	int unused;
};

#endif
