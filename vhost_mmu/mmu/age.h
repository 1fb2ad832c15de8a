/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ageing: which pages were used through an MMU.
 */
#ifndef VHOST_MMU_AGE_H
#define VHOST_MMU_AGE_H

#include "mmu.h"

int vmmu_age(struct vmmu *mmu, u64 gpa, u64 length, bool clear,
	     u64 __user *bitmap, u64 *young);
u64 vmmu_age_gfns(struct vmmu *mmu, u64 first, u64 last, bool clear,
		  unsigned long *bitmap, bool may_sleep);

#endif /* VHOST_MMU_AGE_H */
