/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: faults. */
#ifndef VHOST_MMU_FAULT_H
#define VHOST_MMU_FAULT_H

#include "memslots.h"

/* Pages that are looked up and mapped in one go. */
#define VMMU_FAULT_BATCH 64

/* A fault did not work out now, but will when it is taken again. */
#define VMMU_FAULT_RETRY (-ERESTART)

/**
 * struct vmmu_pages - pages of memory found behind consecutive host addresses
 * @n: how many; 0 for memory without struct page
 * @page: with a reference each
 * @pfn: the one page, if @n is 0
 * @writable: they were looked up for writing
 */
struct vmmu_pages {
	unsigned int n;
	unsigned long pfn;
	bool writable;
	struct page *page[VMMU_FAULT_BATCH];
};

/* pfn.c */
long vmmu_resolve_pages(unsigned long hva, unsigned int n, bool write,
			struct vmmu_pages *pages);
u64 vmmu_page_bits(struct page *page, bool writable);

/* fault.c */
long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user);
int vmmu_fault_pause(struct vmmu_context *ctx, unsigned int tries);

#endif /* VHOST_MMU_FAULT_H */
