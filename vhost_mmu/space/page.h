/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From a host virtual address to the page behind it.
 */
#ifndef VHOST_MMU_PAGE_H
#define VHOST_MMU_PAGE_H

#include <linux/mm.h>

/* The lookup did not work out now, but may when it is tried again. */
#define VMMU_RESOLVE_RETRY (-ERESTART)
/* Pages that are looked up in one go. */
#define VMMU_PAGES_MAX 64

/**
 * enum vmmu_page_status - why a page may or may not be reached directly
 * @VMMU_PAGE_OK: usable through the direct map under the notifier's protection
 * @VMMU_PAGE_FILE: file-backed memory that has to be told before it is dirtied
 * @VMMU_PAGE_NODIRECT: no struct page, no direct map, device memory, poison
 * @VMMU_PAGE_FAULT: the address cannot be faulted in
 * @VMMU_PAGE_REFUSED: an invalidation overlapped the attempt
 */
enum vmmu_page_status {
	VMMU_PAGE_OK,
	VMMU_PAGE_FILE,
	VMMU_PAGE_NODIRECT,
	VMMU_PAGE_FAULT,
	VMMU_PAGE_REFUSED,
};

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
	struct page *page[VMMU_PAGES_MAX];
};

enum vmmu_page_status vmmu_resolve_page(unsigned long hva, bool write,
					struct page **page);
long vmmu_resolve_pages(unsigned long hva, unsigned int n, bool write,
			struct vmmu_pages *pages);
enum vmmu_page_status vmmu_page_eligible(struct page *page, bool write);
unsigned int vmmu_host_order(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn);

/* Anonymous memory, nothing special about it. */
static inline bool vmmu_page_plain(struct page *page)
{
	struct folio *folio = page_folio(page);

	return likely(folio_test_anon(folio) && !PageHWPoison(page) &&
		      !folio_is_zone_device(folio));
}

#endif /* VHOST_MMU_PAGE_H */
