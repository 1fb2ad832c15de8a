/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MMUs of devices, made from their memory tables.
 */
#ifndef VHOST_MMU_SHARED_H
#define VHOST_MMU_SHARED_H

#include <linux/vhost.h>

#include "mmu.h"

void vmmu_shared_init(void);
struct vmmu *vmmu_get_shared(struct mm_struct *mm,
			     const struct vhost_memory_region *regions,
			     unsigned int nregions);

#endif /* VHOST_MMU_SHARED_H */
