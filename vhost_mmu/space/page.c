// SPDX-License-Identifier: GPL-2.0
/*
 * From a host virtual address to a page that may be reached through the direct
 * map.  The reference taken here only carries the page to the install; the
 * notifier alone guards it afterwards.  And how large the entry is by which the
 * mm itself maps the page.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "../compat/gup.h"
#include "../compat/pfnmap.h"
#include "page.h"

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

/**
 * vmmu_page_eligible() - may a page be reached directly?
 * @page: the page
 * @write: ... and be written
 *
 * Context: the caller has a reference, or keeps the page mapped.
 * Return: VMMU_PAGE_OK, VMMU_PAGE_FILE or VMMU_PAGE_NODIRECT.
 */
enum vmmu_page_status vmmu_page_eligible(struct page *page, bool write)
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
 *	mmap lock held, nor that lock.
 * Return: VMMU_PAGE_OK, or why the page cannot be reached directly.
 */
enum vmmu_page_status vmmu_resolve_page(unsigned long hva, bool write,
					struct page **page)
{
	enum vmmu_page_status status;

	might_sleep();
	lockdep_assert_not_held(&current->mm->mmap_lock);

	if (get_user_pages_fast(hva & PAGE_MASK, 1, write ? FOLL_WRITE : 0,
				page) != 1)
		return vmmu_no_page(hva, write);

	status = vmmu_page_eligible(*page, write);
	if (status != VMMU_PAGE_OK)
		put_page(*page);
	return status;
}

/* A mapping of memory that has no struct page, or none that counts. */
static long resolve_pfnmap(unsigned long hva, bool write,
			   struct vmmu_pages *pages)
{
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	bool unlocked = false;
	long ret = -EFAULT;

	if (mmap_read_lock_killable(mm))
		return -EINTR;

	vma = vma_lookup(mm, hva);
	if (!vma || !(vma->vm_flags & (VM_IO | VM_PFNMAP)) ||
	    !(vma->vm_flags & (write ? VM_WRITE : VM_READ)))
		goto out;

	ret = vmmu_follow_pfn(vma, hva, &pages->pfn, &pages->writable);
	if (ret || (write && !pages->writable)) {
		ret = fixup_user_fault(mm, hva, write ? FAULT_FLAG_WRITE : 0,
				       &unlocked);
		/* The mapping may be another one now. */
		if (!ret && unlocked)
			ret = VMMU_RESOLVE_RETRY;
		if (!ret)
			ret = vmmu_follow_pfn(vma, hva, &pages->pfn,
					      &pages->writable);
	}
	if (ret && ret != VMMU_RESOLVE_RETRY)
		ret = -EFAULT;
out:
	mmap_read_unlock(mm);
	return ret;
}

static long resolve_slow(unsigned long hva, bool write,
			 struct vmmu_pages *pages)
{
	unsigned int flags = FOLL_HWPOISON | FOLL_INTERRUPTIBLE |
			     FOLL_HONOR_NUMA_FAULT;
	long ret;

	ret = get_user_pages_unlocked(hva, 1, pages->page,
				      flags | (write ? FOLL_WRITE : 0));
	if (ret > 0)
		return ret;
	if (ret == -EHWPOISON || ret == -ENOMEM)
		return ret;
	if ((ret == -EINTR || ret == -EAGAIN || !ret) &&
	    signal_pending(current))
		return -EINTR;
	return ret == -EFAULT ? -EFAULT : VMMU_RESOLVE_RETRY;
}

/**
 * vmmu_resolve_pages() - look up the pages at consecutive addresses of current's mm
 * @hva: first address, page aligned
 * @n: how many pages are wanted, at most VMMU_PAGES_MAX
 * @write: they are going to be written
 * @pages: set to what was found, which may be fewer; the references are the
 *	caller's to drop
 *
 * What can be written without a fault is looked up for writing in any case, so
 * that a page that is read first and written later is faulted once.
 *
 * Context: process context with the owner's mm; may sleep; no lock inside the
 *	mmap lock held, nor that lock.
 * Return: 0, -EFAULT, -EHWPOISON, -ENOMEM, -EINTR, or VMMU_RESOLVE_RETRY.
 */
long vmmu_resolve_pages(unsigned long hva, unsigned int n, bool write,
			struct vmmu_pages *pages)
{
	long ret;

	might_sleep();
	lockdep_assert_not_held(&current->mm->mmap_lock);

	pages->n = 0;
	pages->writable = true;
	ret = get_user_pages_fast_only(hva, n, FOLL_WRITE, pages->page);
	if (ret <= 0 && !write) {
		pages->writable = false;
		ret = get_user_pages_fast_only(hva, n, 0, pages->page);
	}
	if (ret <= 0)
		ret = resolve_slow(hva, write, pages);
	if (ret == -EFAULT)
		return resolve_pfnmap(hva, write, pages);
	if (ret < 0)
		return ret;

	pages->n = ret;
	return 0;
}

/* Interrupts off: page tables are not freed, and huge entries not collapsed. */
static unsigned int host_order(struct mm_struct *mm, unsigned long hva,
			       unsigned long *pfn)
{
	p4d_t *p4dp, p4d;
	pud_t *pudp, pud;
	pmd_t *pmdp, pmd;
	pgd_t pgd;

	lockdep_assert_irqs_disabled();

	pgd = READ_ONCE(*pgd_offset(mm, hva));
	if (pgd_none(pgd))
		return 0;

	p4dp = p4d_offset_lockless(pgd_offset(mm, hva), pgd, hva);
	p4d = READ_ONCE(*p4dp);
	if (p4d_none(p4d) || !p4d_present(p4d))
		return 0;

	pudp = pud_offset_lockless(p4dp, p4d, hva);
	pud = READ_ONCE(*pudp);
	if (pud_none(pud) || !pud_present(pud))
		return 0;
	if (pud_leaf(pud)) {
		*pfn = pud_pfn(pud);
		return PUD_SHIFT - PAGE_SHIFT;
	}

	pmdp = pmd_offset_lockless(pudp, pud, hva);
	pmd = READ_ONCE(*pmdp);
	if (pmd_none(pmd) || !pmd_present(pmd) || !pmd_leaf(pmd))
		return 0;
	*pfn = pmd_pfn(pmd);
	return PMD_SHIFT - PAGE_SHIFT;
}

/**
 * vmmu_host_order() - how large an entry the mm has for an address
 * @mm: the owner's mm
 * @hva: the address
 * @pfn: page known to be there, or 0
 *
 * Context: any.  The answer is only a hint, unless the caller holds mmu_lock and
 *	finds afterwards that no invalidation of what the entry covers is open.
 * Return: binary logarithm of its pages; 0 also if nothing is there or it is not
 *	@pfn.
 */
unsigned int vmmu_host_order(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn)
{
	unsigned long flags, found = 0;
	unsigned int order;

	local_irq_save(flags);
	order = host_order(mm, hva, &found);
	local_irq_restore(flags);

	if (pfn && order && pfn >> order != found >> order)
		return 0;
	return order;
}
