/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From an address in a VM_IO or VM_PFNMAP mapping to a page number: newer
 * kernels hold the page table entry between two calls, older ones hand it out.
 */
#ifndef VHOST_MMU_COMPAT_PFNMAP_H
#define VHOST_MMU_COMPAT_PFNMAP_H

#include <linux/mm.h>

/*
 * The page number is good until the mmap lock, which the caller holds, or an
 * invalidation of the address lets it go.
 */
static inline int vmmu_follow_pfn(struct vm_area_struct *vma,
				  unsigned long addr, unsigned long *pfn,
				  bool *writable)
{
#ifdef VMMU_HAVE_FOLLOW_PFNMAP
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	int ret = follow_pfnmap_start(&args);

	if (ret)
		return ret;
	*pfn = args.pfn;
	*writable = args.writable;
	follow_pfnmap_end(&args);
#else
	/* that of the page table */
	spinlock_t *ptl;
	pte_t *ptep;
	int ret = follow_pte(vma->vm_mm, addr, &ptep, &ptl);

	if (ret)
		return ret;
	/* For sparse, which is not told of it. */
	__acquire(ptl);
	*pfn = pte_pfn(*ptep);
	*writable = pte_write(*ptep);
	pte_unmap_unlock(ptep, ptl);
#endif
	return 0;
}

#endif /* VHOST_MMU_COMPAT_PFNMAP_H */
