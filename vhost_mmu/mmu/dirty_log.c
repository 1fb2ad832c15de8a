// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: one bit for each page that was written since user space last
 * asked.
 *
 * Entries of a logged memslot are not writable until their page is written;
 * the fault sets the bit and makes the entry writable in one hold of mmu_lock.
 * Whoever takes the bit makes the entry fault again, with the lock held for
 * writing around both, so that no write falls between.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "dirty_log.h"
#include "dirty_ring.h"
#include "pt_huge.h"
#include "pt_zap.h"

/**
 * vmmu_log_room() - may a page of a memslot be written, as far as its log goes?
 * @ctx: the context
 * @slot: the memslot
 *
 * Context: in an SRCU section of the MMU.
 * Return: 0, -ENOSPC if the dirty ring is full, -ENXIO without one.
 */
int vmmu_log_room(struct vmmu_context *ctx, const struct vmmu_memslot *slot)
{
	lockdep_assert(srcu_read_lock_held(&ctx->mmu->srcu));

	if (!vmmu_slot_logs(slot) || !ctx->mmu->ring_entries)
		return 0;
	if (!ctx->ring)
		return -ENXIO;
	if (!vmmu_dirty_ring_full(ctx->ring))
		return 0;
	atomic64_inc(&ctx->mmu->stats.ring_full);
	return -ENOSPC;
}

/**
 * vmmu_log_page() - note that a page of a logged memslot is written
 * @ctx: the context
 * @slot: the memslot
 * @gfn: guest page, within its mappable part
 * @written: it was written already, by user access; vmmu_log_room() said yes
 *
 * Context: mmu_lock held, or an SRCU section of the MMU if @written.
 * Return: 0, -ENOSPC if the dirty ring is full, -ENXIO without one.
 */
int vmmu_log_page(struct vmmu_context *ctx, struct vmmu_memslot *slot, u64 gfn,
		  bool written)
{
	struct vmmu *mmu = ctx->mmu;
	u64 offset = gfn - slot->map.gfn;
	int ret;

	if (written)
		lockdep_assert(srcu_read_lock_held(&mmu->srcu));
	else
		lockdep_assert_held(&mmu->mmu_lock);

	if (mmu->ring_entries) {
		if (!ctx->ring)
			return -ENXIO;
		ret = vmmu_dirty_ring_push(ctx->ring, slot->id, offset,
					   written);
		if (ret) {
			atomic64_inc(&mmu->stats.ring_full);
			return ret;
		}
	} else {
		if (written) {
			/*
			 * The page was written before the bit is looked at.
			 * Pairs with the atomic operation by which log_take()
			 * or log_clear() takes the bit: if it is found set
			 * here, whoever takes it sees what was written.  In a
			 * fault mmu_lock does that.
			 */
			smp_mb();
		}
		if (test_bit(offset, slot->dirty) ||
		    test_and_set_bit(offset, slot->dirty))
			return 0;
	}
	atomic64_inc(&mmu->stats.dirty_pages);
	return 0;
}

/**
 * vmmu_log_start() - the log of a memslot was turned on
 * @mmu: the MMU
 * @slot: the memslot, in the active set
 *
 * When it returns, every write from now on is logged.
 *
 * Context: process context, slots_lock held, may sleep.
 */
void vmmu_log_start(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	u64 last = slot->map.gfn + slot->map.npages - 1;

	lockdep_assert_held(&mmu->slots_lock);

	/* All pages count as dirty: writes until the first CLEAR need no log. */
	if (slot->dirty && mmu->options & VMMU_OPTION_INITIALLY_SET)
		return;

	if (!(mmu->options & VMMU_OPTION_LAZY_SPLIT))
		vmmu_split_huge(mmu, slot->map.gfn, last);
	vmmu_protect(mmu, slot->map.gfn, last);
}

/**
 * vmmu_log_stop() - the log of a memslot was turned off
 * @mmu: the MMU
 * @slot: the memslot, in the active set
 *
 * Context: process context, slots_lock held, may sleep.
 */
void vmmu_log_stop(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	lockdep_assert_held(&mmu->slots_lock);

	vmmu_collapse_huge(mmu, slot);
}

/* Page of the memslot that bit 0 of a word of its bitmap stands for. */
static u64 word_gfn(const struct vmmu_memslot *slot, size_t word)
{
	return slot->map.gfn + word * BITS_PER_LONG;
}

/* So many clean words take as long as one step of a walk. */
#define CLEAN_WORDS 8

/* A clean word: the scan of very many of them gives way as well. */
static void log_pass(struct vmmu_gather *gather, size_t word)
{
	if (word % CLEAN_WORDS == 0)
		vmmu_gather_yield(gather);
}

/* A word whose bits were taken: make its pages fault. */
static void log_protect(struct vmmu_gather *gather, u64 gfn, unsigned long mask)
{
	if (mask)
		vmmu_protect_mask(gather, gfn, mask);
	vmmu_gather_yield(gather);
}

/* Move the bits to the copy, and make their pages fault. */
static void log_take(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	size_t words = vmmu_slot_dirty_words(slot), i;
	struct vmmu_gather gather;

	lockdep_assert_held(&mmu->slots_lock);

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	for (i = 0; i < words; i++) {
		slot->dirty_copy[i] = 0;
		if (!READ_ONCE(slot->dirty[i])) {
			log_pass(&gather, i);
			continue;
		}
		slot->dirty_copy[i] = xchg(&slot->dirty[i], 0);
		log_protect(&gather, word_gfn(slot, i), slot->dirty_copy[i]);
	}
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
}

/* User space did not get them: they stay dirty. */
static void log_give_back(struct vmmu_memslot *slot)
{
	size_t words = vmmu_slot_dirty_words(slot), i;

	for (i = 0; i < words; i++)
		atomic_long_or(slot->dirty_copy[i],
			       (atomic_long_t *)&slot->dirty[i]);
}

static int log_get(struct vmmu *mmu, struct vmmu_memslot *slot, void __user *to)
{
	size_t bytes = vmmu_slot_dirty_words(slot) * sizeof(long);

	lockdep_assert_held(&mmu->slots_lock);

	if (mmu->options & VMMU_OPTION_MANUAL_PROTECT) {
		memcpy(slot->dirty_copy, slot->dirty, bytes);
		return copy_to_user(to, slot->dirty_copy, bytes) ? -EFAULT : 0;
	}

	log_take(mmu, slot);
	if (!copy_to_user(to, slot->dirty_copy, bytes))
		return 0;
	log_give_back(slot);
	return -EFAULT;
}

static int log_find(struct vmmu *mmu, u32 id, struct vmmu_memslot **slot)
{
	lockdep_assert_held(&mmu->slots_lock);

	if (mmu->ring_entries)
		return -ENXIO;
	if (id >= VMMU_MAX_SLOTS)
		return -EINVAL;
	*slot = xa_load(&mmu->by_id, id);
	return *slot && (*slot)->dirty ? 0 : -ENOENT;
}

/**
 * vmmu_get_dirty_log() - VMMU_GET_DIRTY_LOG
 * @mmu: the MMU
 * @args: as the ioctl has it; its size was checked
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, -EINVAL, -ENXIO, -ENOENT, or -EFAULT with no bit lost.
 */
int vmmu_get_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args)
{
	struct vmmu_memslot *slot;
	int ret;

	if (args->first_page || args->num_pages)
		return -EINVAL;

	mutex_lock(&mmu->slots_lock);
	ret = log_find(mmu, args->slot, &slot);
	if (!ret)
		ret = log_get(mmu, slot, u64_to_user_ptr(args->bitmap));
	mutex_unlock(&mmu->slots_lock);
	return ret;
}

static int log_clear_args(const struct vmmu_memslot *slot,
			  const struct vmmu_dirty_log *args)
{
	u64 npages = slot->map.npages;

	if (args->first_page % BITS_PER_LONG || args->first_page > npages ||
	    args->num_pages > npages - args->first_page)
		return -EINVAL;
	if (args->num_pages % BITS_PER_LONG &&
	    args->num_pages < npages - args->first_page)
		return -EINVAL;
	return 0;
}

static int log_clear(struct vmmu *mmu, struct vmmu_memslot *slot,
		     const struct vmmu_dirty_log *args)
{
	size_t first = args->first_page / BITS_PER_LONG, i;
	size_t words = DIV_ROUND_UP(args->num_pages, BITS_PER_LONG);
	u64 gfn = slot->map.gfn + args->first_page;
	struct vmmu_gather gather;
	unsigned long mask;

	lockdep_assert_held(&mmu->slots_lock);

	if (!args->num_pages)
		return 0;
	if (copy_from_user(slot->dirty_copy, u64_to_user_ptr(args->bitmap),
			   words * sizeof(long)))
		return -EFAULT;
	if (args->num_pages % BITS_PER_LONG)
		slot->dirty_copy[words - 1] &=
			BITMAP_LAST_WORD_MASK(args->num_pages);

	/* So that a write makes 4 KiB dirty, not 2 MiB. */
	if (!(mmu->options & VMMU_OPTION_LAZY_SPLIT))
		vmmu_split_huge(mmu, gfn, gfn + args->num_pages - 1);

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	for (i = 0; i < words; i++) {
		mask = slot->dirty_copy[i];
		if (!mask) {
			log_pass(&gather, i);
			continue;
		}
		mask &= atomic_long_fetch_andnot(
			mask, (atomic_long_t *)&slot->dirty[first + i]);
		log_protect(&gather, word_gfn(slot, first + i), mask);
	}
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
	return 0;
}

/**
 * vmmu_clear_dirty_log() - VMMU_CLEAR_DIRTY_LOG
 * @mmu: the MMU
 * @args: as the ioctl has it; its size was checked
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, -EINVAL, -ENXIO, -ENOENT or -EFAULT.
 */
int vmmu_clear_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args)
{
	struct vmmu_memslot *slot;
	int ret;

	mutex_lock(&mmu->slots_lock);
	ret = log_find(mmu, args->slot, &slot);
	if (!ret)
		ret = log_clear_args(slot, args);
	if (!ret)
		ret = log_clear(mmu, slot, args);
	mutex_unlock(&mmu->slots_lock);
	return ret;
}
