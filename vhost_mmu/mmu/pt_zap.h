/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Taking mappings back, or the right to write through them.
 */
#ifndef VHOST_MMU_PT_ZAP_H
#define VHOST_MMU_PT_ZAP_H

#include "flush.h"

void vmmu_zap_gather(struct vmmu_gather *gather, u64 first, u64 last);
void vmmu_zap(struct vmmu *mmu, u64 first, u64 last);
void vmmu_prune(struct vmmu *mmu, u64 first, u64 last);
void vmmu_protect(struct vmmu *mmu, u64 first, u64 last);
void vmmu_protect_mask(struct vmmu_gather *gather, u64 gfn, u64 mask);

#endif /* VHOST_MMU_PT_ZAP_H */
