/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the MMU folder: memslots and their two sets. */
#ifndef VHOST_MMU_MEMSLOT_H
#define VHOST_MMU_MEMSLOT_H

#include "../space/space.h"
#include "mmu.h"

/* table.c: a table is built before the notifier knows it */
struct vmmu *vmmu_alloc(struct mm_struct *mm);
void vmmu_publish(struct vmmu *mmu);

void vmmu_slots_init(struct vmmu *mmu);
void vmmu_slots_destroy(struct vmmu *mmu);
void vmmu_slots_commit(struct vmmu *mmu, struct vmmu_memslot *old,
		       struct vmmu_memslot *new);
struct vmmu_memslot *vmmu_slot_alloc(const struct vmmu *mmu, u32 id, u32 flags,
				     u64 gpa, u64 size, unsigned long hva);
void vmmu_slot_free(struct vmmu_memslot *slot);
bool vmmu_slot_overlap(struct vmmu *mmu, u64 gpa, u64 size,
		       const struct vmmu_memslot *but);
int vmmu_insert_slot(struct vmmu *mmu, u32 id, u32 flags, u64 gpa, u64 size,
		     unsigned long hva);

/**
 * vmmu_slots() - the active set, for the length of an SRCU section
 * @mmu: the MMU, its srcu held for reading, or its slots_lock held, or an
 *	invalidation of its space open
 *
 * Return: the set.
 */
static inline struct vmmu_memslots *vmmu_slots(struct vmmu *mmu)
{
	/* The third case of the above is not one that lockdep knows. */
	return rcu_dereference_raw(mmu->slots);
}

static inline bool vmmu_slot_logs(const struct vmmu_memslot *slot)
{
	return slot->flags & VMMU_MEM_LOG_DIRTY_PAGES;
}

static inline unsigned long vmmu_slot_page_hva(const struct vmmu_memslot *slot,
					       u64 gfn)
{
	return slot->map.hva + ((gfn - slot->map.gfn) << PAGE_SHIFT);
}

static inline bool vmmu_slot_maps(const struct vmmu_memslot *slot, u64 gfn)
{
	return gfn - slot->map.gfn < slot->map.npages;
}

/* Length of one dirty bitmap, in words. */
static inline size_t vmmu_slot_dirty_words(const struct vmmu_memslot *slot)
{
	return DIV_ROUND_UP(slot->map.npages, BITS_PER_LONG);
}

/* The pages of a memslot that lie in a range of host addresses. */
static inline void vmmu_slot_gfns(const struct vmmu_memslot *slot,
				  unsigned long start, unsigned long last,
				  u64 *first_gfn, u64 *last_gfn)
{
	unsigned long end = slot->map.hva + (slot->map.npages << PAGE_SHIFT) - 1;

	start = max(start, slot->map.hva);
	last = min(last, end);
	*first_gfn = slot->map.gfn + ((start - slot->map.hva) >> PAGE_SHIFT);
	*last_gfn = slot->map.gfn + ((last - slot->map.hva) >> PAGE_SHIFT);
}

/* Every memslot of the active set with a page in a range of host addresses. */
#define vmmu_for_each_slot_in_hva(slot, slots, start, last)		       \
	for (struct interval_tree_node *__node =			       \
		     interval_tree_iter_first(&(slots)->hva_tree, start, last);\
	     __node && ((slot) = vmmu_slot_of_hva_node(__node,		       \
						       (slots)->index), true); \
	     __node = interval_tree_iter_next(__node, start, last))

static inline struct vmmu_memslot *
vmmu_slot_of_hva_node(struct interval_tree_node *node, unsigned int index)
{
	return container_of(node - index, struct vmmu_memslot, hva_node[0]);
}

#endif /* VHOST_MMU_MEMSLOT_H */
