/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: faults. */
#ifndef VHOST_MMU_FAULT_H
#define VHOST_MMU_FAULT_H

#include <linux/mm.h>

#include "memslot.h"

/* A fault did not work out now, but will when it is taken again. */
#define VMMU_FAULT_RETRY (-ERESTART)

/* pfn.c */
long vmmu_resolve_pages(unsigned long hva, unsigned int n, bool write,
			struct vmmu_pages *pages);
u64 vmmu_page_bits_slow(struct page *page, bool writable);

/* Anonymous memory, nothing special about it. */
static inline bool vmmu_page_plain(struct page *page)
{
	struct folio *folio = page_folio(page);

	return likely(folio_test_anon(folio) && !PageHWPoison(page) &&
		      !folio_is_zone_device(folio));
}

/**
 * vmmu_page_bits() - what an entry for a page may allow
 * @page: the page
 * @writable: it was looked up for writing
 *
 * File-backed memory is read through the entry but written by user access,
 * which tells its file system.
 *
 * Return: of VMMU_PTE_DIRECT and VMMU_PTE_HOST_WRITE.
 */
static inline u64 vmmu_page_bits(struct page *page, bool writable)
{
	if (vmmu_page_plain(page))
		return VMMU_PTE_DIRECT | (writable ? VMMU_PTE_HOST_WRITE : 0);
	return vmmu_page_bits_slow(page, writable);
}

/* fault.c */
long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user);
int vmmu_fault_pause(struct vmmu_context *ctx, unsigned int tries);

#endif /* VHOST_MMU_FAULT_H */
