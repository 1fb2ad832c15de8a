/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memslots, and the two sets of them that an MMU has.
 */
#ifndef VHOST_MMU_MEMSLOT_H
#define VHOST_MMU_MEMSLOT_H

#include <linux/interval_tree.h>
#include <linux/mm.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "../../include/uapi/linux/vhost_mmu.h"
#include "../space/inval.h"
#include "pt.h"

#define VMMU_MAX_SLOTS 32764
#define VMMU_MAX_SLOT_PAGES ((1UL << 31) - 1)

struct vmmu;
struct vmmu_space;

/**
 * struct vmmu_memslot - guest addresses and what lies behind them
 * @gpa_node: links into the trees of the two sets by guest address
 * @hva_node: links into their trees by host address, mappable part only
 * @gpa: first guest address, any byte
 * @size: bytes
 * @hva: address of @gpa
 * @map: part that can be mapped
 * @id: number
 * @flags: VMMU_MEM_*
 * @dying: being deleted or moved, nothing is to be mapped any more; protected
 *	by mmu_lock
 * @dirty: pages written, a bit a page of @map; NULL without a bitmap
 * @dirty_copy: behind @dirty, of equal size: what a GET has taken out; under
 *	slots_lock
 */
struct vmmu_memslot {
	struct rb_node gpa_node[2];
	struct interval_tree_node hva_node[2];
	u64 gpa;
	u64 size;
	unsigned long hva;
	struct vmmu_extent map;
	u32 id;
	u32 flags;
	bool dying;
	unsigned long *dirty;
	unsigned long *dirty_copy;
};

/**
 * struct vmmu_memslots - a set of memslots
 * @index: which of the two sets of its MMU it is
 * @gpa_tree: by guest address; they do not overlap
 * @hva_tree: by host address; they may overlap
 * @last: the one found last, a hint
 */
struct vmmu_memslots {
	unsigned int index;
	struct rb_root gpa_tree;
	struct rb_root_cached hva_tree;
	struct vmmu_memslot *last;
};

/* memslot.c */
void vmmu_slots_init(struct vmmu *mmu);
void vmmu_slots_destroy(struct vmmu *mmu);
struct vmmu_memslot *vmmu_slot_by_gpa(struct vmmu_memslots *slots, u64 gpa);
struct vmmu_memslot *vmmu_slot_by_hva(struct vmmu_memslots *slots,
				      unsigned long hva);
void vmmu_slots_hull(struct vmmu_space *space, struct vmmu_range *hull);
void vmmu_slots_commit(struct vmmu *mmu, struct vmmu_memslot *old,
		       struct vmmu_memslot *new);
struct vmmu_memslot *vmmu_slot_alloc(const struct vmmu *mmu, u32 id, u32 flags,
				     u64 gpa, u64 size, unsigned long hva);
void vmmu_slot_free(struct vmmu_memslot *slot);
bool vmmu_slot_overlap(struct vmmu *mmu, u64 gpa, u64 size,
		       const struct vmmu_memslot *but);
int vmmu_insert_slot(struct vmmu *mmu, u32 id, u32 flags, u64 gpa, u64 size,
		     unsigned long hva);

/* Those that vmmu_set_options() knows. */
#define VMMU_OPTIONS							\
	(VMMU_OPTION_MANUAL_PROTECT | VMMU_OPTION_INITIALLY_SET |	\
	 VMMU_OPTION_LAZY_SPLIT)

/* memslot_set.c */
int vmmu_set_memslot(struct vmmu *mmu, const struct vmmu_set_memslot *args);
int vmmu_attach(struct vmmu *mmu);
void vmmu_detach(struct vmmu *mmu);
int vmmu_set_options(struct vmmu *mmu, u64 options, u32 ring_entries);

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
	unsigned long end =
		slot->map.hva + (slot->map.npages << PAGE_SHIFT) - 1;

	start = max(start, slot->map.hva);
	last = min(last, end);
	*first_gfn = slot->map.gfn + ((start - slot->map.hva) >> PAGE_SHIFT);
	*last_gfn = slot->map.gfn + ((last - slot->map.hva) >> PAGE_SHIFT);
}

/* Every memslot of the active set with a page in a range of host addresses. */
#define vmmu_for_each_slot_in_hva(slot, slots, start, last)		       \
	for (struct interval_tree_node *__node = interval_tree_iter_first(   \
		     &(slots)->hva_tree, start, last);                       \
	     __node &&                                                       \
	     ((slot) = vmmu_slot_of_hva_node(__node, (slots)->index), true); \
	     __node = interval_tree_iter_next(__node, start, last))

static inline struct vmmu_memslot *
vmmu_slot_of_hva_node(struct interval_tree_node *node, unsigned int index)
{
	return container_of(node - index, struct vmmu_memslot, hva_node[0]);
}

#endif /* VHOST_MMU_MEMSLOT_H */
