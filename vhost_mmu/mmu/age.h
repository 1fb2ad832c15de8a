/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ageing: which pages were used through an MMU.
 */
#ifndef VHOST_MMU_AGE_H
#define VHOST_MMU_AGE_H

#include "mmu.h"

int vmmu_age(struct vmmu *mmu, u64 gpa, u64 length, bool clear,
	     u64 __user *bitmap, u64 *young);
bool vmmu_age_hva(struct vmmu *mmu, struct vmmu_memslots *slots,
		  unsigned long start, unsigned long last, bool clear);

#endif /* VHOST_MMU_AGE_H */
