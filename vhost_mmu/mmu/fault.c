// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: from a guest page that is not mapped to one that is.
 *
 *	find the memslot		SRCU
 *	look whether it is mapped	read lock
 *	snapshot, look the pages up	no lock, may sleep
 *	map them			read lock
 *
 * Neighbouring pages that are wanted as well are done in one go.  A fault that
 * is refused goes back to the start, out of the SRCU section, so that a change
 * of memslots which waits for it gets through.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "../space/hooks.h"
#include "../space/install.h"
#include "dirty_log.h"
#include "fault.h"
#include "pt_change.h"
#include "pt_lookup.h"
#include "pt_map.h"

/* Attempts before a refused fault sleeps. */
#define FAULT_SPINS 4

/**
 * struct fault - a fault that is being handled
 * @ctx: the thread's context
 * @mmu: its MMU
 * @slot: memslot of the pages
 * @gfn: first guest page
 * @npages: how many
 * @hva: address of the first one
 * @write: to be mapped for writing
 * @user: no kernel address allows what is wanted: use user access
 * @range: addresses that the fault depends on
 * @seq: snapshot of the invalidations
 * @pages: what lies there, in the context
 */
struct fault {
	struct vmmu_context *ctx;
	struct vmmu *mmu;
	struct vmmu_memslot *slot;
	u64 gfn;
	unsigned int npages;
	unsigned long hva;
	bool write;
	bool user;
	struct vmmu_range range;
	unsigned long seq;
	struct vmmu_pages *pages;
};

/* Find the memslot, and see whether it allows the access. */
static long fault_slot(struct fault *f)
{
	struct vmmu_memslot *slot;
	long ret;
	u64 left;

	lockdep_assert(srcu_read_lock_held(&f->mmu->srcu));

	slot = vmmu_slot_by_gpa(vmmu_slots(f->mmu), f->gfn << PAGE_SHIFT);
	if (!slot)
		return -ENOENT;
	if (f->write && slot->flags & VMMU_MEM_READONLY)
		return -EROFS;
	if (!vmmu_slot_maps(slot, f->gfn)) {
		f->user = true;
		return -EFAULT;
	}
	ret = f->write ? vmmu_log_room(f->ctx, slot) : 0;
	if (ret)
		return ret;

	f->slot = slot;
	f->hva = vmmu_slot_page_hva(slot, f->gfn);

	/* Within the memslot, one table, and the batch. */
	left = min(slot->map.gfn + slot->map.npages,
		   vmmu_level_next(f->gfn, VMMU_LEVEL_2M)) -
	       f->gfn;
	f->npages = min3(left, (u64)f->npages, (u64)VMMU_FAULT_BATCH);
	return 0;
}

static struct vmmu_range hva_range(unsigned long hva, u64 npages)
{
	return vmmu_range_from_end(hva, hva + (npages << PAGE_SHIFT));
}

/* Faults share mmu_lock, unless exclusive_mmu_lock asks to compare. */
static enum vmmu_hold fault_lock(struct vmmu *mmu)
	__acquires(&mmu->mmu_lock) __acquires(RCU)
{
	enum vmmu_hold hold = vmmu_hook_exclusive() ? VMMU_EXCLUSIVE :
						      VMMU_SHARED;

	if (hold == VMMU_EXCLUSIVE) {
		write_lock(&mmu->mmu_lock);
		atomic64_inc(&mmu->stats.mmu_lock_write_fault);
	} else {
		read_lock(&mmu->mmu_lock);
	}
	rcu_read_lock();
	return hold;
}

static void fault_unlock(struct vmmu *mmu, enum vmmu_hold hold)
	__releases(&mmu->mmu_lock)
	__releases(RCU)
{
	rcu_read_unlock();
	if (hold == VMMU_EXCLUSIVE)
		write_unlock(&mmu->mmu_lock);
	else
		read_unlock(&mmu->mmu_lock);
}

/* Write access to a page that was looked up for writing before. */
static long fault_fast(struct fault *f, struct vmmu_leaf *leaf, u64 gfn)
{
	long ret;

	lockdep_assert_held(&f->mmu->mmu_lock);

	if (leaf->level != VMMU_LEVEL_4K && vmmu_slot_logs(f->slot))
		return 0;
	ret = vmmu_mark_dirty(f->ctx, f->slot, gfn);
	if (ret)
		return ret;
	if (!vmmu_leaf_set_bits(leaf, VMMU_PTE_WRITE))
		return VMMU_FAULT_RETRY;
	atomic64_inc(&f->mmu->stats.pf_fast);
	return vmmu_level_next(gfn, leaf->level) - gfn;
}

/* How many pages from @gfn on are mapped as wanted; 0 if the first is not. */
static long peek_at(struct fault *f, u64 gfn, struct vmmu_leaf *leaf)
{
	lockdep_assert_held(&f->mmu->mmu_lock);

	if (!vmmu_walk(f->mmu, gfn, leaf))
		return 0;
	if (!(leaf->pte & VMMU_PTE_DIRECT))
		f->user = true;
	if (f->write && !(leaf->pte & VMMU_PTE_WRITE)) {
		if (!(leaf->pte & VMMU_PTE_HOST_WRITE))
			return 0;
		return fault_fast(f, leaf, gfn);
	}
	atomic64_inc(&f->mmu->stats.pf_spurious);
	return vmmu_level_next(gfn, leaf->level) - gfn;
}

/*
 * Are the pages mapped already?  If not, how many pages in a row are missing,
 * and how many levels of tables?
 */
static long fault_peek(struct fault *f, unsigned int *missing)
{
	struct vmmu *mmu = f->mmu;
	struct vmmu_leaf leaf;
	vmmu_pte_t *ptep;
	long ret, done = 0;
	unsigned int n;

	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	if (f->slot->dying) {
		ret = -EAGAIN;
		goto out;
	}
	do {
		ret = peek_at(f, f->gfn + done, &leaf);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && done < f->npages);

	if (done)
		ret = done;
	if (ret)
		goto out;

	*missing = leaf.level - VMMU_LEVEL_4K;
	if (leaf.level > VMMU_LEVEL_4K)
		goto out;
	ptep = leaf.ptep;
	for (n = 1; n < f->npages && !vmmu_pte_read(&ptep[n]); n++)
		;
	f->npages = n;
out:
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	return ret;
}

/* Is an invalidation open of any of what an entry would cover? */
static bool inval_open(struct fault *f, unsigned int level)
{
	u64 base = vmmu_level_base(f->gfn, level);
	struct vmmu_range range = hva_range(vmmu_slot_page_hva(f->slot, base),
					    vmmu_level_pages(level));

	lockdep_assert_held(&f->mmu->mmu_lock);

	return vmmu_space_inval_open(f->mmu->space, range.start, range.last);
}

/* The level at which the owner's own page tables map the page. */
static unsigned int host_level(struct fault *f, unsigned long pfn)
{
	return vmmu_host_order(f->mmu->space->mn.mm, f->hva, pfn) /
		       VMMU_LEVEL_BITS +
	       VMMU_LEVEL_4K;
}

/*
 * Is there a table where a leaf of a GiB would be?  All that is below would have
 * to go in this hold of mmu_lock; vmmu_collapse_huge() takes its time for that.
 */
static bool table_in_the_way(struct fault *f, unsigned int level)
{
	struct vmmu_leaf leaf;

	if (level <= VMMU_LEVEL_2M)
		return false;
	vmmu_walk(f->mmu, f->gfn, &leaf);
	return leaf.level < level;
}

/*
 * The level to map at: as the host does, if the memslot has the room.
 *
 * The host's entry may be of neighbours of the page that an invalidation, of
 * theirs alone, is changing.  One that is open refuses.  One that has ended
 * changed the host's entry before, and so must be looked for before the entry is
 * read: vmmu_space_inval_open() orders the two (models/litmus, huge-level).  One
 * that starts now waits for mmu_lock, and finds what is mapped.
 */
static unsigned int fault_level(struct fault *f, unsigned long pfn)
{
	unsigned int level;

	lockdep_assert_held(&f->mmu->mmu_lock);

	if (!f->pages->n || vmmu_slot_logs(f->slot))
		return VMMU_LEVEL_4K;

	level = vmmu_extent_level(&f->slot->map, f->gfn, VMMU_LEVEL_MAX_LEAF);
	while (level > VMMU_LEVEL_4K && inval_open(f, level))
		level--;
	if (level == VMMU_LEVEL_4K)
		return level;
	level = min(level, host_level(f, pfn));
	return table_in_the_way(f, level) ? VMMU_LEVEL_2M : level;
}

/* What fault_level() will answer if nothing changes until then. */
static unsigned int fault_level_hint(struct fault *f)
{
	unsigned int level;

	if (vmmu_slot_logs(f->slot))
		return VMMU_LEVEL_4K;
	level = vmmu_extent_level(&f->slot->map, f->gfn, VMMU_LEVEL_MAX_LEAF);
	if (level == VMMU_LEVEL_4K)
		return level;
	return min(level, host_level(f, 0));
}

/**
 * vmmu_page_bits_slow() - vmmu_page_bits() for what is not plain memory
 * @page: the page
 * @writable: it was looked up for writing
 *
 * Return: of VMMU_PTE_DIRECT and VMMU_PTE_HOST_WRITE.
 */
u64 vmmu_page_bits_slow(struct page *page, bool writable)
{
	switch (vmmu_page_eligible(page, true)) {
	case VMMU_PAGE_OK:
		return VMMU_PTE_DIRECT | (writable ? VMMU_PTE_HOST_WRITE : 0);
	case VMMU_PAGE_FILE:
		return VMMU_PTE_DIRECT;
	default:
		return 0;
	}
}

/* What an entry may do, for a page that allows @bits. */
static u64 leaf_bits(const struct fault *f, u64 bits)
{
	bits |= VMMU_PTE_PRESENT | VMMU_PTE_LEAF;
	if (f->slot->flags & VMMU_MEM_READONLY)
		bits &= ~VMMU_PTE_HOST_WRITE;
	/* A fault for reading leaves the first write to another, to log it. */
	if (bits & VMMU_PTE_HOST_WRITE &&
	    (f->write || !vmmu_slot_logs(f->slot)))
		bits |= VMMU_PTE_WRITE;
	return bits;
}

static u64 fault_bits(const struct fault *f, unsigned int i)
{
	const bool writable = f->pages->writable;

	if (f->pages->n)
		return leaf_bits(f,
				 vmmu_page_bits(f->pages->page[i], writable));
	return leaf_bits(f, writable ? VMMU_PTE_HOST_WRITE : 0);
}

/* The page of the fault itself: how large an entry, and where does it go? */
static enum vmmu_mapped map_faulting_page(struct fault *f,
					  struct vmmu_iter *iter,
					  enum vmmu_hold hold, u64 bits,
					  u64 *next)
{
	struct vmmu_mapping map = {
		.pfn = f->pages->n ? page_to_pfn(f->pages->page[0]) :
				     f->pages->pfn,
		.bits = bits,
	};

	map.level = fault_level(f, map.pfn);
	map.gfn = vmmu_level_base(f->gfn, map.level);
	map.pfn &= ~(vmmu_level_pages(map.level) - 1);
	*next = vmmu_level_next(f->gfn, map.level);
	return vmmu_map_first(f->ctx, iter, hold, &map);
}

/* May the page be mapped so?  A page to be written is logged first. */
static long map_check(struct fault *f, unsigned int i, u64 bits)
{
	/* No kernel address for it: not without user access. */
	if (f->pages->n && !(bits & VMMU_PTE_DIRECT)) {
		f->user = true;
		return -EFAULT;
	}
	if (bits & VMMU_PTE_WRITE)
		return vmmu_mark_dirty(f->ctx, f->slot, f->gfn + i);
	if (f->write)
		f->user = true;
	return 0;
}

/* Map the neighbours while their entries are empty; return how many. */
static unsigned int map_rest(struct fault *f, struct vmmu_iter *iter)
{
	const u64 plain = leaf_bits(f, VMMU_PTE_DIRECT |
				    (f->pages->writable ? VMMU_PTE_HOST_WRITE :
							  0));
	const bool logs = vmmu_slot_logs(f->slot);
	unsigned int i;
	u64 bits, pte;

	for (i = 1; i < f->pages->n; i++) {
		bits = plain;
		if (unlikely(logs || !vmmu_page_plain(f->pages->page[i]))) {
			bits = fault_bits(f, i);
			if (map_check(f, i, bits))
				break;
		}
		pte = vmmu_pte_make(page_to_pfn(f->pages->page[i]), bits);
		if (!vmmu_iter_try_install(iter, i, pte))
			break;
	}
	vmmu_iter_installed(iter, i - 1);
	return i - 1;
}

static long map_pages(struct fault *f, enum vmmu_hold hold)
{
	struct vmmu_stats *stats = &f->mmu->stats;
	u64 bits = fault_bits(f, 0), next;
	struct vmmu_iter iter;
	unsigned int rest = 0;
	long ret;

	lockdep_assert_held(&f->mmu->mmu_lock);

	ret = map_check(f, 0, bits);
	if (ret)
		return ret;
	if (!f->pages->n)
		f->user = true;

	switch (map_faulting_page(f, &iter, hold, bits, &next)) {
	case VMMU_MAP_FIXED:
		if (iter.level == VMMU_LEVEL_4K)
			rest = map_rest(f, &iter);
		atomic64_add(rest, &stats->pf_taken);
		atomic64_add(rest + 1, &stats->pf_fixed);
		return next - f->gfn + rest;
	case VMMU_MAP_SPURIOUS:
		atomic64_inc(&stats->pf_spurious);
		return 1;
	default:
		return VMMU_FAULT_RETRY;
	}
}

static long fault_install(struct fault *f)
{
	struct vmmu *mmu = f->mmu;
	enum vmmu_hold hold;
	long ret;

	hold = fault_lock(mmu);
	if (f->slot->dying)
		ret = -EAGAIN;
	else if (vmmu_install_refused(mmu->space, f->range, f->seq,
				      &mmu->mmu_lock))
		ret = VMMU_FAULT_RETRY;
	else
		ret = map_pages(f, hold);
	fault_unlock(mmu, hold);
	return ret;
}

static long fault_handle(struct fault *f)
{
	unsigned int missing = 0, i;
	long ret;

	ret = fault_slot(f);
	if (ret)
		return ret;
	ret = fault_peek(f, &missing);
	if (ret)
		return ret;
	ret = vmmu_context_topup(f->ctx, missing);
	if (ret)
		return ret;

	/* One page stands for all of a huge one. */
	if (f->npages > 1 && fault_level_hint(f) > VMMU_LEVEL_4K)
		f->npages = 1;

	f->range = hva_range(f->hva, f->npages);
	if (!vmmu_install_begin(f->mmu->space, f->range, &f->seq))
		return VMMU_FAULT_RETRY;
	ret = vmmu_resolve_pages(f->hva, f->npages, f->write, f->pages);
	if (!ret) {
		vmmu_hook_install();
		ret = fault_install(f);
		/* From here on the notifier alone keeps them where they are. */
		for (i = 0; i < f->pages->n; i++)
			put_page(f->pages->page[i]);
	} else if (ret == -EFAULT) {
		/* Where GUP finds no page, user access may still find memory. */
		f->user = true;
	}
	return ret;
}

/**
 * vmmu_fault() - try to map guest pages
 * @ctx: the context
 * @gfn: first page
 * @npages: how many are wanted, not 0
 * @write: they are going to be written
 * @user: set if a kernel address does not allow what is wanted; may be set with
 *	any result
 *
 * Context: process context with the owner's mm, no spinlock held; may sleep.
 *	Whoever calls again after VMMU_FAULT_RETRY is in no SRCU section of the
 *	MMU meanwhile.
 * Return: how many pages are mapped from @gfn on, at least 1; VMMU_FAULT_RETRY;
 *	or -ENOENT, -EAGAIN, -EROFS, -EFAULT, -EHWPOISON, -ENOSPC, -ENXIO,
 *	-ENOMEM, -EINTR.
 */
long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user)
{
	struct vmmu *mmu = ctx->mmu;
	struct fault f;
	long ret;
	int idx;

	might_sleep();

	f.ctx = ctx;
	f.mmu = mmu;
	f.gfn = gfn;
	f.npages = npages;
	f.write = write;
	f.user = false;
	f.slot = NULL;
	f.pages = &ctx->pages;

	atomic64_inc(&mmu->stats.pf_taken);
	idx = srcu_read_lock(&mmu->srcu);
	ret = fault_handle(&f);
	if (ret == -EFAULT && f.slot && !READ_ONCE(mmu->has_unmappable)) {
		/*
		 * The caller is going to remember it.  From here on every
		 * invalidation makes queues forget, but one may have come
		 * since the lookup: look again.  A start that does not see
		 * this is seen by vmmu_install_begin(), before which vmmu::srcu
		 * has full barriers.
		 */
		WRITE_ONCE(mmu->has_unmappable, true);
		ret = VMMU_FAULT_RETRY;
	}
	srcu_read_unlock(&mmu->srcu, idx);

	if (ret == VMMU_FAULT_RETRY)
		atomic64_inc(&mmu->stats.pf_retried);
	else if (ret < 0)
		atomic64_inc(&mmu->stats.pf_failed);
	*user = f.user;
	return ret;
}

/**
 * vmmu_fault_pause() - before a fault is taken again
 * @ctx: the context
 * @tries: how often it was refused in a row
 *
 * Context: process context, no SRCU section held; may sleep.
 * Return: 0, -EINTR if a signal is pending, or -EFAULT if the mm is gone.
 */
int vmmu_fault_pause(struct vmmu_context *ctx, unsigned int tries)
{
	if (signal_pending(current))
		return -EINTR;
	if (READ_ONCE(ctx->mmu->space->inval.dead))
		return -EFAULT;
	if (tries < FAULT_SPINS)
		cond_resched();
	else
		usleep_range(20, 100);
	return 0;
}

/**
 * vmmu_populate() - map guest pages
 * @ctx: the context
 * @gpa: first address, page aligned
 * @length: bytes, page aligned, not 0
 * @write: they are going to be written
 *
 * Context: as for vmmu_fault().
 * Return: how many bytes are mapped from @gpa on, at least a page; or an error
 *	as of vmmu_fault(), but never VMMU_FAULT_RETRY.
 */
long vmmu_populate(struct vmmu_context *ctx, u64 gpa, u64 length, bool write)
{
	unsigned int npages =
		min_t(u64, length >> PAGE_SHIFT, VMMU_FAULT_BATCH);
	unsigned int tries;
	bool user;
	long ret;

	for (tries = 0;; tries++) {
		ret = vmmu_fault(ctx, gpa >> PAGE_SHIFT, npages, write, &user);
		if (ret > 0)
			return min_t(u64, (u64)ret << PAGE_SHIFT, length);
		if (ret != VMMU_FAULT_RETRY)
			return ret;
		ret = vmmu_fault_pause(ctx, tries);
		if (ret)
			return ret;
	}
}
