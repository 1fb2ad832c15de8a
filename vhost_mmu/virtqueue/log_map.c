// SPDX-License-Identifier: GPL-2.0
/*
 * The bitmap of the dirty log: its pages are mapped as those of rings are, see
 * ring_map.c and ring_fill.c, but one by one when a bit of theirs is to be set,
 * and never all of them.  Where that cannot be, the bit is set by user access.
 */
#include <linux/bitops.h>
#include <linux/uaccess.h>
#include <asm/futex.h>

#include "log.h"
#include "../space/hooks.h"
#include "../space/install.h"

/* Attempts to install a page of the bitmap before a bit goes by user access. */
#define LOG_TRIES 2
/* Bits that go by user access after one that had to. */
#define LOG_PAUSE 63

/* Where the byte with the bit of a guest page lies; false beyond all addresses. */
static bool log_hva(const struct vmq *vmq, u64 nr, unsigned long *hva)
{
	unsigned long base = (unsigned long)vmq->log_base;

	if (nr / 8 > ULONG_MAX - base)
		return false;
	*hva = base + nr / 8;
	return true;
}

static struct vmq_log_page *log_page_slot(struct vmq_log *log,
					  unsigned long hva)
{
	return &log->page[(hva >> PAGE_SHIFT) % VMQ_LOG_PAGES];
}

/*
 * As ring_map_forget(): the page is still mapped in the owner's mm, and nothing
 * says that it is dirty once the lock is dropped.
 */
static void log_page_forget(struct vmq_log *log, struct vmq_log_page *page)
{
	lockdep_assert_held(&log->vmq->section.base.lock);

	folio_mark_dirty(page_folio(virt_to_page(page->addr)));
	page->addr = NULL;
}

static unsigned int log_forget_range(struct vmq_log *log, unsigned long start,
				     unsigned long last)
{
	struct vmq_log_page *page;
	unsigned int n = 0;

	for (page = log->page; page < log->page + VMQ_LOG_PAGES; page++) {
		if (!page->addr || page->hva > last ||
		    page->hva + PAGE_SIZE - 1 < start)
			continue;
		log_page_forget(log, page);
		n++;
	}
	return n;
}

/* vmmu_client_ops::invalidate */
static void log_invalidate(struct vmmu_client *client, unsigned long start,
			   unsigned long last)
{
	struct vmq_log *log = container_of(client, struct vmq_log, client);
	struct vmq *vmq = log->vmq;

	/* models/ring: drain, count, forget */
	vmmu_section_drain_begin(&vmq->section.base);
	/* Refuses an install that is between its lookup and its publication. */
	log->inval_seq++;
	vmq->stats.log_invalidated += log_forget_range(log, start, last);
	vmmu_section_drain_end(&vmq->section.base);
}

/* vmmu_client_ops::age.  A stale answer only makes reclaim guess worse. */
static bool log_age(struct vmmu_client *client, unsigned long start,
		    unsigned long last, bool clear)
{
	struct vmq_log *log = container_of(client, struct vmq_log, client);
	bool used = READ_ONCE(log->used);

	if (used && clear)
		WRITE_ONCE(log->used, false);
	return used;
}

static const struct vmmu_client_ops log_ops = {
	.invalidate = log_invalidate,
	.age = log_age,
};

/* Let go of the pages, and have the notifier tell no more. */
static void log_unlink(struct vmq_log *log)
{
	spinlock_t *lock = &log->vmq->section.base.lock;

	lockdep_assert_held(&log->vmq->mutex);

	if (!log->linked)
		return;

	spin_lock(lock);
	log_forget_range(log, 0, ULONG_MAX);
	spin_unlock(lock);

	vmmu_client_del(&log->client);
	log->linked = false;
}

/**
 * vmq_log_unmap() - let go of the pages of the bitmap
 * @vmq: queue, nothing gathered
 *
 * Context: process context, vmq::mutex held, outside of sections.
 */
void vmq_log_unmap(struct vmq *vmq)
{
	lockdep_assert_held(&vmq->mutex);

	if (!vmq->log)
		return;
	WARN_ON_ONCE(vmq->log->nr);
	vmq->log->nr_bufs = 0;
	vmq->log->skip = 0;
	log_unlink(vmq->log);
}

/*
 * Have the notifier tell of a page of the bitmap.  Nobody has said where the
 * bitmap ends, so the range grows by what is needed, to a power of two: memory
 * beside the bitmap that changes costs a look at the pages, no more.
 */
static void log_link(struct vmq_log *log, unsigned long hva)
{
	struct interval_tree_node *node = &log->client.node;
	unsigned long start = hva, last = hva | ~PAGE_MASK, size;

	lockdep_assert_held(&log->vmq->mutex);

	if (log->linked) {
		if (start >= node->start && last <= node->last)
			return;
		start = min(start, node->start);
		last = max(last, node->last);
		log_unlink(log);
	}

	/* The smallest aligned block that has both ends. */
	size = 1UL << fls64(start ^ last);
	log->client.ops = &log_ops;
	vmmu_client_add(log->vmq->space, &log->client, round_down(start, size),
			last | (size - 1));
	log->linked = true;
}

/* Enter a page that no invalidation takes away; its slot may have another. */
static void log_publish(struct vmq_log *log, unsigned long hva,
			struct page *page)
{
	struct vmq_log_page *slot = log_page_slot(log, hva);

	lockdep_assert_held(&log->vmq->section.base.lock);

	if (slot->addr)
		log_page_forget(log, slot);
	slot->hva = hva;
	slot->addr = page_address(page);
}

/* The install protocol, as ring_map_look_up(). */
static enum vmmu_page_status log_install_once(struct vmq_log *log,
					      unsigned long hva)
{
	struct vmmu_space *space = log->client.space;
	spinlock_t *lock = &log->vmq->section.base.lock;
	enum vmmu_page_status status;
	struct page *page;
	bool open;
	u64 seq;

	/* models/ring: snapshot */
	spin_lock(lock);
	seq = log->inval_seq;
	open = vmmu_space_inval_open(space, hva, hva + PAGE_SIZE - 1);
	spin_unlock(lock);
	if (open)
		return VMMU_PAGE_REFUSED;

	/*
	 * The snapshot is older than the page table reads of the lookup.
	 * Pairs with the lock that log_invalidate() takes before the page table
	 * changes.
	 */
	smp_rmb();
	status = vmmu_resolve_page(hva, true, &page);
	if (status != VMMU_PAGE_OK)
		return status;

	vmmu_hook_install();

	/* models/ring: check, publish */
	spin_lock(lock);
	if (log->inval_seq != seq ||
	    vmmu_space_inval_open(space, hva, hva + PAGE_SIZE - 1))
		status = VMMU_PAGE_REFUSED;
	else
		log_publish(log, hva, page);
	spin_unlock(lock);

	/* From here on the notifier alone keeps the page where it is. */
	put_page(page);
	return status;
}

/* Install a page of the bitmap; false if bits there are for user access. */
static bool log_install(struct vmq_log *log, unsigned long hva)
{
	enum vmmu_page_status status = VMMU_PAGE_REFUSED;
	struct vmq *vmq = log->vmq;
	unsigned int tries;

	lockdep_assert_held(&vmq->mutex);

	if (!vmq->space || !vmq->kernel_access)
		return false;
	if (log->skip) {
		log->skip--;
		return false;
	}

	log_link(log, hva);
	for (tries = 0; tries < LOG_TRIES && status == VMMU_PAGE_REFUSED;
	     tries++)
		status = log_install_once(log, hva);
	if (status == VMMU_PAGE_OK) {
		vmq->stats.log_installed++;
		return true;
	}
	log->skip = LOG_PAUSE;
	return false;
}

/*
 * Set a bit through the kernel address of its page; false if there is none.
 * A bit that is set already stays until somebody takes it and then reads the
 * page, which has our data: smp_mb() in vmq_log_set_bits().
 */
static bool log_set_bit_kernel(struct vmq_log *log, unsigned long hva,
			       unsigned int bit)
{
	const struct vmq_log_page *page = log_page_slot(log, hva);
	unsigned long off = offset_in_page(hva);

	lockdep_assert_held(&log->vmq->section.base.lock);

	if (unlikely(!page->addr || page->hva != (hva & PAGE_MASK)))
		return false;

	if (!(READ_ONCE(*(u8 *)(page->addr + off)) & BIT(bit)))
		set_bit_le(off % sizeof(long) * 8 + bit,
			   page->addr + round_down(off, sizeof(long)));
	return true;
}

/* What cannot be written is not logged: no packet waits for that. */
static void log_set_bit_user(struct vmq *vmq, unsigned long hva,
			     unsigned int bit)
{
	u32 __user *word = (u32 __user *)round_down(hva, sizeof(u32));
	__le32 mask = cpu_to_le32(BIT(hva % sizeof(u32) * 8 + bit));
	int old;

	vmq->stats.log_user++;
	(void)arch_futex_atomic_op_inuser(FUTEX_OP_OR, (__force int)mask, &old,
					  word);
}

/* A bit whose page has no kernel address, or had none a moment ago. */
static noinline void log_set_bit_slow(struct vmq *vmq, unsigned long hva,
				      unsigned int bit)
{
	struct vmq_log *log = vmq->log;
	bool done = false;

	lockdep_assert_held(&vmq->mutex);

	if (!access_ok((void __user *)hva, 1))
		return;
	if (log_install(log, hva & PAGE_MASK)) {
		spin_lock(&vmq->section.base.lock);
		done = log_set_bit_kernel(log, hva, bit);
		spin_unlock(&vmq->section.base.lock);
	}
	if (!done)
		log_set_bit_user(vmq, hva, bit);
}

/* Set bits from *@nr to @last until one has to be set outside of the section. */
static bool log_set_bits_kernel(struct vmq_log *log, u64 *nr, u64 last)
{
	unsigned long hva;

	lockdep_assert_held(&log->vmq->section.base.lock);

	for (; *nr <= last; ++*nr) {
		if (unlikely(!log_hva(log->vmq, *nr, &hva)))
			continue;
		if (!log_set_bit_kernel(log, hva, *nr % 8))
			return false;
	}
	return true;
}

/**
 * vmq_log_set_range() - set the bits of a range
 * @vmq: the queue
 * @first: number of the first page
 * @last: number of the last page
 *
 * Context: as of vmq_log_flush(), after its barrier.
 */
void vmq_log_set_range(struct vmq *vmq, u64 first, u64 last)
{
	spinlock_t *lock = &vmq->section.base.lock;
	u64 nr = first, from;
	unsigned long hva;
	bool done;

	lockdep_assert_held(&vmq->mutex);
	lockdep_assert_not_held(lock);

	if (!READ_ONCE(vmq->log->used))
		WRITE_ONCE(vmq->log->used, true);
	for (;;) {
		from = nr;
		spin_lock(lock);
		done = log_set_bits_kernel(vmq->log, &nr, last);
		spin_unlock(lock);
		vmq->stats.log_kernel += nr - from;
		if (done)
			return;
		if (log_hva(vmq, nr, &hva))
			log_set_bit_slow(vmq, hva, nr % 8);
		nr++;
	}
}
