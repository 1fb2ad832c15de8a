// SPDX-License-Identifier: GPL-2.0
/*
 * From a host virtual address to a page that may be reached through the direct
 * map.  The reference taken here only carries the page to the install; the
 * notifier alone guards it afterwards.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "mmu.h"

/* The user-access path may still get through where GUP does not. */
static enum vmmu_page_status vmmu_no_page(unsigned long hva, bool write)
{
	unsigned long need = write ? VM_WRITE : VM_READ;
	struct mm_struct *mm = current->mm;
	enum vmmu_page_status status = VMMU_PAGE_FAULT;
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, hva);
	if (vma && vma->vm_flags & need)
		status = VMMU_PAGE_NODIRECT;
	mmap_read_unlock(mm);
	return status;
}

static enum vmmu_page_status vmmu_page_eligible(struct page *page, bool write)
{
	struct folio *folio = page_folio(page);

	if (PageHWPoison(page) || folio_is_zone_device(folio) ||
	    PageHighMem(page))
		return VMMU_PAGE_NODIRECT;

	/* Dirtied without asking anyone: swap, shmem and hugetlb only. */
	if (folio_test_anon(folio) || folio_test_swapbacked(folio) ||
	    folio_test_hugetlb(folio))
		return VMMU_PAGE_OK;

	/* A zero page, until the owner's first write replaces it. */
	if (!write && !READ_ONCE(folio->mapping))
		return VMMU_PAGE_OK;

	return VMMU_PAGE_FILE;
}

/**
 * vmmu_resolve_page() - look up the page at an address of current's mm
 * @hva: address, any offset in the page
 * @write: the page is going to be written
 * @page: set on success, with a reference for the caller to drop
 *
 * Faults the page in if it has to, breaking COW if @write.  A page obtained for
 * reading must not be written.
 *
 * Context: process context with the owner's mm; may sleep; no lock inside the
 *	mmap lock held.
 * Return: VMMU_PAGE_OK, or why the page cannot be reached directly.
 */
enum vmmu_page_status vmmu_resolve_page(unsigned long hva, bool write,
					struct page **page)
{
	enum vmmu_page_status status;

	might_sleep();

	if (get_user_pages_fast(hva & PAGE_MASK, 1, write ? FOLL_WRITE : 0,
				page) != 1)
		return vmmu_no_page(hva, write);

	status = vmmu_page_eligible(*page, write);
	if (status != VMMU_PAGE_OK)
		put_page(*page);
	return status;
}
