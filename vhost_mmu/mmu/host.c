// SPDX-License-Identifier: GPL-2.0
/*
 * How large an entry the owner's own page tables use for an address.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>

#include "pt_lookup.h"

/* Interrupts off: page tables are not freed, and huge entries not collapsed. */
static unsigned int host_level(struct mm_struct *mm, unsigned long hva,
			       unsigned long *pfn)
{
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pgd_t pgd;

	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		return VMMU_LEVEL_4K;

	p4dp = p4d_offset_lockless(pgd_offset(mm, hva), pgd, hva);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d) || !p4d_present(p4d))
		return VMMU_LEVEL_4K;

	pudp = pud_offset_lockless(p4dp, p4d, hva);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud) || !pud_present(pud))
		return VMMU_LEVEL_4K;
	if (pud_leaf(pud)) {
		*pfn = pud_pfn(pud);
		return VMMU_LEVEL_1G;
	}

	pmdp = pmd_offset_lockless(pudp, pud, hva);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd) || !pmd_present(pmd) || !pmd_leaf(pmd))
		return VMMU_LEVEL_4K;
	*pfn = pmd_pfn(pmd);
	return VMMU_LEVEL_2M;
}

/**
 * vmmu_host_level() - the level of the entry behind a host address
 * @mm: the owner's mm
 * @hva: the address
 * @pfn: page known to be there, or 0
 *
 * True only as long as no invalidation of all that the entry covers is open:
 * the caller holds mmu_lock and has looked.
 *
 * Return: VMMU_LEVEL_4K, also if nothing is there or it is not @pfn.
 */
unsigned int vmmu_host_level(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn)
{
	unsigned long flags, found = 0;
	unsigned int level;
	u64 mask;

	local_irq_save(flags);
	level = host_level(mm, hva, &found);
	local_irq_restore(flags);

	mask = vmmu_level_pages(level) - 1;
	if (pfn && level > VMMU_LEVEL_4K &&
	    (pfn & ~mask) != (found & ~mask))
		return VMMU_LEVEL_4K;
	return level;
}
