/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Sections that keep translations of an MMU, and what is to be flushed from
 * them:
 *
 *	write_lock(&mmu->mmu_lock);
 *	vmmu_gather_begin(&gather, mmu, may_sleep);
 *	... vmmu_zap_gather(&gather, first, last), as often as needed ...
 *	vmmu_gather_end(&gather);
 *	write_unlock(&mmu->mmu_lock);
 */
#ifndef VHOST_MMU_FLUSH_H
#define VHOST_MMU_FLUSH_H

#include <linux/sched.h>

#include "../space/section.h"
#include "mmu.h"
#include "pt_iter.h"

/**
 * struct vmmu_gather - what was taken from the entries of an MMU by one change,
 *	which may be long, and is to be flushed from its sections
 * @mmu: the MMU
 * @first: first page of it
 * @last: last page, inclusive; less than @first for nothing
 * @steps: what was done in this hold of mmu_lock
 * @may_sleep: the change may sleep where it drops the lock
 * @noted: it is counted in vmmu::nr_gathers
 * @others: others were counted there while this one looked at entries: what it
 *	found empty may still be in use; or vmmu::has_unmappable is set
 */
struct vmmu_gather {
	struct vmmu *mmu;
	u64 first;
	u64 last;
	struct vmmu_steps steps;
	bool may_sleep;
	bool noted;
	bool others;
};

void vmmu_add_section(struct vmmu *mmu, struct vmmu_section *section);
void vmmu_del_section(struct vmmu *mmu, struct vmmu_section *section);
void vmmu_sections_flush(struct vmmu *mmu, u64 first, u64 last);

void vmmu_gather_begin(struct vmmu_gather *gather, struct vmmu *mmu,
		       bool may_sleep);
void vmmu_gather_add(struct vmmu_gather *gather, u64 first, u64 last);
void vmmu_gather_add_looked(struct vmmu_gather *gather, u64 first, u64 last);
void vmmu_gather_drop_lock(struct vmmu_gather *gather);
void vmmu_gather_yield(struct vmmu_gather *gather);
void vmmu_gather_end(struct vmmu_gather *gather);

/* Between two holds of a lock. */
static inline void vmmu_let_others_run(bool may_sleep)
{
	if (may_sleep)
		cond_resched();
	else
		cpu_relax();
}

#endif /* VHOST_MMU_FLUSH_H */
