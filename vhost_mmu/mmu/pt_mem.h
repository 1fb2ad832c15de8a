/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory of tables, and what one thread keeps at hand of it.
 */
#ifndef VHOST_MMU_PT_MEM_H
#define VHOST_MMU_PT_MEM_H

#include "../space/page.h"
#include "mmu.h"

struct vmmu_dirty_ring;

#define VMMU_PT_CACHE 4

/**
 * struct vmmu_context - one thread's use of an MMU
 * @mmu: the MMU
 * @ring: where it reports pages that it writes, may be NULL
 * @cache: tables allocated ahead, for use under mmu_lock
 * @nr_cached: how many
 * @pages: what the fault under way has found
 */
struct vmmu_context {
	struct vmmu *mmu;
	struct vmmu_dirty_ring *ring;
	vmmu_pte_t *cache[VMMU_PT_CACHE];
	unsigned int nr_cached;
	struct vmmu_pages pages;
};

vmmu_pte_t *vmmu_pt_alloc(struct vmmu *mmu);
void vmmu_pt_free(struct vmmu *mmu, vmmu_pte_t *pt);
void vmmu_pt_free_rcu(struct vmmu *mmu, vmmu_pte_t *pt);
void vmmu_pt_account(struct vmmu *mmu, vmmu_pte_t *pt, int n);
int vmmu_context_topup(struct vmmu_context *ctx, unsigned int n);
void vmmu_context_init(struct vmmu_context *ctx, struct vmmu *mmu,
		       struct vmmu_dirty_ring *ring);
void vmmu_context_destroy(struct vmmu_context *ctx);

#endif /* VHOST_MMU_PT_MEM_H */
