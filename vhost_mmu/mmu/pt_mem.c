// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of tables: one page each, charged to the memory cgroup of whoever
 * faults, shown as SecPageTables in /proc/meminfo, freed by RCU.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include "pt_mem.h"

/**
 * vmmu_pt_alloc() - allocate a table with no entry
 * @mmu: the MMU that it is for
 *
 * Context: process context, may sleep.
 * Return: the table, or NULL.
 */
vmmu_pte_t *vmmu_pt_alloc(struct vmmu *mmu)
{
	BUILD_BUG_ON(VMMU_PTES * sizeof(vmmu_pte_t) != PAGE_SIZE);
	BUILD_BUG_ON(VMMU_PAGE_SHIFT != PAGE_SHIFT);

	return (vmmu_pte_t *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
}

/* For a table that was never linked, or that nobody can see any more. */
void vmmu_pt_free(struct vmmu *mmu, vmmu_pte_t *pt)
{
	free_page((unsigned long)pt);
}

/* @pt is linked (@n is 1) or was unlinked (-1). */
void vmmu_pt_account(struct vmmu *mmu, vmmu_pte_t *pt, int n)
{
	s64 now = atomic64_add_return(n, &mmu->stats.table_pages);

	/* If two race, the peak may miss the higher of both. */
	if (now > atomic64_read(&mmu->stats.table_pages_peak))
		atomic64_set(&mmu->stats.table_pages_peak, now);
	mod_lruvec_page_state(virt_to_page(pt), NR_SECONDARY_PAGETABLE, n);
}

static void pt_free_callback(struct rcu_head *head)
{
	__free_page(container_of(head, struct page, rcu_head));
}

/* For a table that was unlinked: walks may still be in it. */
void vmmu_pt_free_rcu(struct vmmu *mmu, vmmu_pte_t *pt)
{
	vmmu_pt_account(mmu, pt, -1);
	call_rcu(&virt_to_page(pt)->rcu_head, pt_free_callback);
}

/**
 * vmmu_context_topup() - allocate tables ahead, for use under mmu_lock
 * @ctx: the context
 * @n: how many are needed, at most VMMU_PT_CACHE
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int vmmu_context_topup(struct vmmu_context *ctx, unsigned int n)
{
	vmmu_pte_t *pt;

	while (ctx->nr_cached < n) {
		pt = vmmu_pt_alloc(ctx->mmu);
		if (!pt)
			return -ENOMEM;
		ctx->cache[ctx->nr_cached++] = pt;
	}
	return 0;
}

/**
 * vmmu_context_init() - prepare to use an MMU
 * @ctx: the context, the caller's alone
 * @mmu: the MMU, which the caller keeps
 * @ring: where pages are reported that it writes, or NULL
 */
void vmmu_context_init(struct vmmu_context *ctx, struct vmmu *mmu,
		       struct vmmu_dirty_ring *ring)
{
	ctx->mmu = mmu;
	ctx->ring = ring;
	ctx->nr_cached = 0;
}

/**
 * vmmu_context_destroy() - give back what a context holds
 * @ctx: the context
 */
void vmmu_context_destroy(struct vmmu_context *ctx)
{
	while (ctx->nr_cached)
		vmmu_pt_free(ctx->mmu, ctx->cache[--ctx->nr_cached]);
}
