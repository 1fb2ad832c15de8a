/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: ageing. */
#ifndef VHOST_MMU_AGE_H
#define VHOST_MMU_AGE_H

#include "mmu.h"

u64 vmmu_age_gfns(struct vmmu *mmu, u64 first, u64 last, bool clear,
		  unsigned long *bitmap, bool may_sleep);

#endif /* VHOST_MMU_AGE_H */
