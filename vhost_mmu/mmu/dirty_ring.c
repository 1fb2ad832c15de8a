// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty rings: written pages in the order of their first write, in memory that
 * user space maps.
 *
 * The kernel fills entries at the head, user space takes them and says so in
 * their flags, and a reset makes the taken ones at the tail empty again after
 * their pages fault again.  Of what user space may write, nothing is believed:
 * an entry that it changed makes other pages of its own fault, no more.
 */
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "dirty_ring.h"
#include "pt_zap.h"

/**
 * struct vmmu_dirty_ring - a dirty ring
 * @ref: its reader, and the reset that is at it; the last one unlinks it
 * @node: in the MMU's list
 * @mmu: the MMU
 * @entries: shared with user space
 * @mask: their number less 1
 * @lock: leaf; serialises those who fill
 * @head: entries filled so far, under @lock
 * @tail: entries reset so far, under the MMU's slots_lock
 */
struct vmmu_dirty_ring {
	struct kref ref;
	struct list_head node;
	struct vmmu *mmu;
	struct vmmu_dirty_gfn *entries;
	u32 mask;
	/* leaf; serialises those who fill */
	spinlock_t lock;
	u32 head;
	u32 tail;
};

/**
 * vmmu_dirty_ring_create() - make a dirty ring
 * @mmu: MMU with dirty rings
 *
 * Its memory is charged to the caller.
 *
 * Context: process context, slots_lock held, may sleep.
 * Return: the ring, or NULL without memory for it.
 */
struct vmmu_dirty_ring *vmmu_dirty_ring_create(struct vmmu *mmu)
{
	struct vmmu_dirty_ring *ring =
		kzalloc(sizeof(*ring), GFP_KERNEL_ACCOUNT);

	lockdep_assert_held(&mmu->slots_lock);

	if (!ring)
		return NULL;
	ring->entries = __vmalloc(array_size(mmu->ring_entries,
					     sizeof(*ring->entries)),
				  GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!ring->entries) {
		kfree(ring);
		return NULL;
	}
	kref_init(&ring->ref);
	ring->mmu = mmu;
	ring->mask = mmu->ring_entries - 1;
	spin_lock_init(&ring->lock);

	spin_lock(&mmu->rings_lock);
	list_add_tail(&ring->node, &mmu->rings);
	spin_unlock(&mmu->rings_lock);
	return ring;
}

static void ring_free(struct kref *ref)
	__releases(ring->mmu->rings_lock)
{
	struct vmmu_dirty_ring *ring =
		container_of(ref, struct vmmu_dirty_ring, ref);

	list_del(&ring->node);
	spin_unlock(&ring->mmu->rings_lock);

	vfree(ring->entries);
	kfree(ring);
}

/**
 * vmmu_dirty_ring_put() - give up a ring
 * @ring: the ring, may be NULL
 *
 * Takes no lock that is held while somebody accesses user memory: whoever
 * closes the last file of a reader need not be its owner.
 *
 * Context: process context, may sleep; the caller keeps the MMU.
 */
void vmmu_dirty_ring_put(struct vmmu_dirty_ring *ring)
{
	if (ring)
		kref_put_lock(&ring->ref, ring_free, &ring->mmu->rings_lock);
}

/**
 * vmmu_dirty_ring_mmap() - map a ring for user space
 * @ring: the ring
 * @vma: where
 *
 * Page by page, as remap_vmalloc_range() wants the memory of vmalloc_user(),
 * which is not charged to anybody.
 *
 * Context: process context, mmap lock held for writing.
 * Return: 0, -ENOMEM, or -EINVAL if it is not a shared mapping of the ring's
 *	size or less.
 */
int vmmu_dirty_ring_mmap(struct vmmu_dirty_ring *ring,
			 struct vm_area_struct *vma)
{
	unsigned long size = (ring->mask + 1UL) * sizeof(*ring->entries);
	unsigned long npages = DIV_ROUND_UP(size, PAGE_SIZE);
	unsigned long i, n = vma_pages(vma);
	void *from = ring->entries;
	int ret = 0;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_flags & VM_EXEC)
		return -EINVAL;
	if (vma->vm_pgoff >= npages || n > npages - vma->vm_pgoff)
		return -EINVAL;

	from += vma->vm_pgoff << PAGE_SHIFT;
	for (i = 0; i < n && !ret; i++)
		ret = vm_insert_page(vma, vma->vm_start + (i << PAGE_SHIFT),
				     vmalloc_to_page(from + (i << PAGE_SHIFT)));
	return ret;
}

/**
 * vmmu_dirty_ring_full() - is there no room left but the reserve?
 * @ring: the ring
 *
 * Return: true if so.
 */
bool vmmu_dirty_ring_full(const struct vmmu_dirty_ring *ring)
{
	/* Pairs with the release in ring_reset(): the entries are empty. */
	return READ_ONCE(ring->head) - smp_load_acquire(&ring->tail) >
	       ring->mask - VMMU_DIRTY_RING_RESERVED;
}

/**
 * vmmu_dirty_ring_push() - report a page
 * @ring: the ring
 * @slot: memslot of the page
 * @offset: page within it
 * @reserve: the reserve may be used
 *
 * Context: mmu_lock held for reading, or an SRCU section of the MMU.
 * Return: 0, or -ENOSPC.
 */
int vmmu_dirty_ring_push(struct vmmu_dirty_ring *ring, u32 slot, u64 offset,
			 bool reserve)
{
	struct vmmu_dirty_gfn *entry;
	int ret = -ENOSPC;

	lockdep_assert(lockdep_is_held(&ring->mmu->mmu_lock) ||
		       srcu_read_lock_held(&ring->mmu->srcu));

	spin_lock(&ring->lock);
	if (!vmmu_dirty_ring_full(ring) ||
	    (reserve && ring->head - ring->tail <= ring->mask)) {
		entry = &ring->entries[ring->head & ring->mask];
		WRITE_ONCE(entry->slot, slot);
		WRITE_ONCE(entry->offset, offset);
		/* Last: user space takes the entry when it sees this. */
		smp_store_release(&entry->flags, VMMU_DIRTY_GFN_F_DIRTY);
		WRITE_ONCE(ring->head, ring->head + 1);
		ret = 0;
	}
	spin_unlock(&ring->lock);
	return ret;
}

/**
 * struct batch - pages of one memslot that are protected together
 * @id: the memslot
 * @word: offset of the first of 64 pages, in units of 64
 * @mask: which of them
 */
struct batch {
	u32 id;
	u64 word;
	u64 mask;
};

static void batch_flush(struct vmmu *mmu, struct batch *batch)
{
	struct vmmu_gather gather;
	struct vmmu_memslot *slot;
	u64 left, first = batch->word * 64;

	lockdep_assert_held(&mmu->slots_lock);

	slot = batch->mask ? xa_load(&mmu->by_id, batch->id) : NULL;
	/* The memslot may be another one by now, or the entry made up. */
	if (slot && vmmu_slot_logs(slot) && batch->word < U64_MAX / 64 &&
	    first < slot->map.npages) {
		left = slot->map.npages - first;
		if (left < 64)
			batch->mask &= (1ULL << left) - 1;
		if (batch->mask) {
			write_lock(&mmu->mmu_lock);
			vmmu_gather_begin(&gather, mmu, true);
			vmmu_protect_mask(&gather, slot->map.gfn + first,
					  batch->mask);
			vmmu_gather_end(&gather);
			write_unlock(&mmu->mmu_lock);
		}
	}
	batch->mask = 0;
}

static void batch_add(struct vmmu *mmu, struct batch *batch, u32 id, u64 offset)
{
	if (batch->mask && (batch->id != id || batch->word != offset / 64))
		batch_flush(mmu, batch);
	batch->id = id;
	batch->word = offset / 64;
	batch->mask |= 1ULL << offset % 64;
}

static u32 ring_reset(struct vmmu_dirty_ring *ring, struct batch *batch)
{
	u32 head, tail = ring->tail, count = 0;
	struct vmmu_dirty_gfn *entry;

	lockdep_assert_held(&ring->mmu->slots_lock);

	spin_lock(&ring->lock);
	head = ring->head;
	spin_unlock(&ring->lock);

	while (tail != head) {
		entry = &ring->entries[tail & ring->mask];
		/* Pairs with the release by user space, which is done with it. */
		if (!(smp_load_acquire(&entry->flags) & VMMU_DIRTY_GFN_F_RESET))
			break;
		batch_add(ring->mmu, batch, READ_ONCE(entry->slot),
			  READ_ONCE(entry->offset));
		WRITE_ONCE(entry->flags, 0);
		tail++;
		count++;
		cond_resched();
	}
	batch_flush(ring->mmu, batch);

	/* Pairs with the acquire in vmmu_dirty_ring_push(). */
	smp_store_release(&ring->tail, tail);
	return count;
}

/*
 * Get the ring behind @prev, or the first, and put @prev.  That one was in the
 * list until now, so what comes behind it still is.
 */
static struct vmmu_dirty_ring *ring_next(struct vmmu *mmu,
					 struct vmmu_dirty_ring *prev)
{
	struct vmmu_dirty_ring *next = NULL;
	struct list_head *node;

	spin_lock(&mmu->rings_lock);
	node = prev ? prev->node.next : mmu->rings.next;
	if (node != &mmu->rings) {
		next = list_entry(node, struct vmmu_dirty_ring, node);
		kref_get(&next->ref);
	}
	spin_unlock(&mmu->rings_lock);

	vmmu_dirty_ring_put(prev);
	return next;
}

/**
 * vmmu_dirty_rings_reset() - VMMU_RESET_DIRTY_RINGS
 * @mmu: the MMU
 * @count: set to how many entries were reset
 *
 * Context: process context, may sleep; no lock held.
 * Return: 0, or -ENXIO without dirty rings.
 */
int vmmu_dirty_rings_reset(struct vmmu *mmu, u32 *count)
{
	struct batch batch = { 0 };
	struct vmmu_dirty_ring *ring = NULL;
	u32 n = 0;

	mutex_lock(&mmu->slots_lock);
	while ((ring = ring_next(mmu, ring)))
		n += ring_reset(ring, &batch);
	mutex_unlock(&mmu->slots_lock);

	*count = n;
	return mmu->ring_entries ? 0 : -ENXIO;
}
