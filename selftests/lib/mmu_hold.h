/* SPDX-License-Identifier: GPL-2.0 */
/* The hook of a debug build that makes races with an invalidation certain. */
#ifndef VHOST_TEST_MMU_HOLD_H
#define VHOST_TEST_MMU_HOLD_H

#include "mmu.h"

/*
 * An invalidation that a thread of its own holds open for some time (debug
 * kernels only): of @len bytes at @start, or of the whole address space if @len
 * is 0.
 */
struct vt_mmu_hold {
	_Atomic bool go;
	_Atomic bool done;
	unsigned int ms;
	const void *start;
	size_t len;
	/* not before this was it closed */
	uint64_t end_ns;
	int error;
	pthread_t id;
};

/*
 * Returns when the invalidation is open, most of @ms before its end; on a busy
 * machine it is held open for longer. -ENOENT without the hook.
 */
int vt_mmu_hold_start(struct vt_mmu_hold *h, int stats, unsigned int ms);
/* The same for a range. */
int vt_mmu_hold_range(struct vt_mmu_hold *h, int stats, unsigned int ms,
		      const void *start, size_t len);
int vt_mmu_hold_wait(struct vt_mmu_hold *h);

#endif
