/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sections that keep translations of an MMU.
 */
#ifndef VHOST_MMU_FLUSH_H
#define VHOST_MMU_FLUSH_H

#include "../space/section.h"
#include "mmu.h"

void vmmu_add_section(struct vmmu *mmu, struct vmmu_section *section);
void vmmu_del_section(struct vmmu *mmu, struct vmmu_section *section);
void vmmu_sections_flush(struct vmmu *mmu, u64 first, u64 last);

#endif /* VHOST_MMU_FLUSH_H */
