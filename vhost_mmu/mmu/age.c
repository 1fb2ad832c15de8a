// SPDX-License-Identifier: GPL-2.0
/*
 * Ageing: which pages were used through the tables.  Under the read lock: a
 * worker that sets a mark while it is cleared makes reclaim guess worse, no
 * more.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "age.h"
#include "flush.h"
#include "pt_change.h"

/* Pages whose bits fit into the page that the bitmap is made in. */
#define AGE_CHUNK (PAGE_SIZE * BITS_PER_BYTE)
/* Memslots that a notifier callback looks at. */
#define AGE_SLOTS 64

/*
 * @more: the caller asks for the pages behind the last one next.  A huge leaf
 * that goes on there keeps its mark until then.
 */
static u64 age_walk(struct vmmu *mmu, u64 first, u64 last, bool more,
		    bool clear, unsigned long *bitmap, bool may_sleep)
{
	struct vmmu_iter iter;
	u64 from, to, end, young = 0;

	lockdep_assert_held_read(&mmu->mmu_lock);

	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_SHARED, VMMU_LEVEL_4K, first, last) {
		if (vmmu_iter_yield(&iter, may_sleep))
			continue;
		if (!vmmu_pte_leaf(iter.old) || !(iter.old & VMMU_PTE_ACCESSED))
			continue;

		from = max(first, iter.gfn);
		end = vmmu_level_next(iter.gfn, iter.level) - 1;
		to = min(last, end);
		young += to - from + 1;
		if (bitmap)
			bitmap_set(bitmap, from - first, to - from + 1);
		if (clear && !(more && end > last))
			vmmu_iter_clear_bits(&iter, VMMU_PTE_ACCESSED);
	}
	rcu_read_unlock();
	return young;
}

static u64 age_gfns(struct vmmu *mmu, u64 first, u64 last, bool more,
		    bool clear, unsigned long *bitmap)
{
	u64 young;

	read_lock(&mmu->mmu_lock);
	young = age_walk(mmu, first, last, more, clear, bitmap, true);
	/* A section that uses such a page again has to mark it again. */
	if (clear && young)
		vmmu_sections_flush(mmu, first, last);
	read_unlock(&mmu->mmu_lock);
	return young;
}

/**
 * vmmu_age_hva() - look at the marks of the pages in a range of host addresses
 * @mmu: the MMU
 * @slots: its memslots
 * @start: first address
 * @last: last address, inclusive
 * @clear: clear the marks
 *
 * The mm holds its page table lock meanwhile.  Of memslots that share addresses
 * it sees the first AGE_SLOTS; through the others a page may be used and look
 * old, at the cost of the owner that made them.
 *
 * Context: notifier callback, in an SRCU section of the MMU.
 * Return: true if a page was used.
 */
bool vmmu_age_hva(struct vmmu *mmu, struct vmmu_memslots *slots,
		  unsigned long start, unsigned long last, bool clear)
{
	u64 first_gfn, last_gfn, from = U64_MAX, to = 0;
	struct vmmu_memslot *slot;
	unsigned int n = 0;

	read_lock(&mmu->mmu_lock);
	vmmu_for_each_slot_in_hva(slot, slots, start, last) {
		if (n++ == AGE_SLOTS)
			break;
		vmmu_slot_gfns(slot, start, last, &first_gfn, &last_gfn);
		if (!age_walk(mmu, first_gfn, last_gfn, false, clear, NULL,
			      false))
			continue;
		from = min(from, first_gfn);
		to = max(to, last_gfn);
	}
	if (clear && from <= to)
		vmmu_sections_flush(mmu, from, to);
	read_unlock(&mmu->mmu_lock);
	return from <= to;
}

static int age_chunk(struct vmmu *mmu, u64 first, u64 npages, bool more,
		     bool clear, unsigned long *buffer, u64 __user *bitmap,
		     u64 *young)
{
	size_t bytes = BITS_TO_LONGS(npages) * sizeof(long);

	memset(buffer, 0, bytes);
	*young += age_gfns(mmu, first, first + npages - 1, more, clear, buffer);
	return copy_to_user(bitmap, buffer, bytes) ? -EFAULT : 0;
}

/**
 * vmmu_age() - VMMU_AGE
 * @mmu: the MMU
 * @gpa: first address
 * @length: bytes
 * @clear: clear the marks
 * @bitmap: where to report the pages, or NULL
 * @young: set to how many pages were used
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, -EINVAL, -ENOMEM, -EINTR or -EFAULT.
 */
int vmmu_age(struct vmmu *mmu, u64 gpa, u64 length, bool clear,
	     u64 __user *bitmap, u64 *young)
{
	u64 gfn = gpa >> PAGE_SHIFT, left = length >> PAGE_SHIFT, n;
	unsigned long *buffer;
	int ret = 0;

	if (!PAGE_ALIGNED(gpa) || !PAGE_ALIGNED(length) || !length ||
	    gpa + length < gpa || gfn + left - 1 > VMMU_MAX_GFN)
		return -EINVAL;

	*young = 0;
	if (!bitmap) {
		*young = age_gfns(mmu, gfn, gfn + left - 1, false, clear, NULL);
		return 0;
	}

	buffer = (unsigned long *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	for (; left && !ret; left -= n, gfn += n) {
		n = min_t(u64, left, AGE_CHUNK);
		ret = age_chunk(mmu, gfn, n, n < left, clear, buffer, bitmap,
				young);
		bitmap += BITS_TO_LONGS(n);
		if (!ret && fatal_signal_pending(current))
			ret = -EINTR;
		cond_resched();
	}
	free_page((unsigned long)buffer);
	return ret;
}
