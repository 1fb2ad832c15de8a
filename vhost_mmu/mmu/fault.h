/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Faults: making a guest page mapped.
 */
#ifndef VHOST_MMU_FAULT_H
#define VHOST_MMU_FAULT_H

#include "pt_mem.h"

/* A fault did not work out now, but will when it is taken again. */
#define VMMU_FAULT_RETRY VMMU_RESOLVE_RETRY
/* Pages that are mapped in one go. */
#define VMMU_FAULT_BATCH VMMU_PAGES_MAX

long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user);
int vmmu_fault_pause(struct vmmu_context *ctx, unsigned int tries);
long vmmu_populate(struct vmmu_context *ctx, u64 gpa, u64 length, bool write);
u64 vmmu_page_bits_slow(struct page *page, bool writable);

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

#endif /* VHOST_MMU_FAULT_H */
