// SPDX-License-Identifier: GPL-2.0
/*
 * The two sets of memslots, and the change from one to the other.
 *
 * Every memslot is in both sets; a change edits the inactive one, makes it the
 * active one, waits until nobody uses the other and edits that one too.  So
 * lookups need no lock, and a change costs the same with 3 memslots or 30,000.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "../space/client.h"
#include "memslot.h"
#include "mmu.h"

static struct vmmu_memslot *slot_of_gpa_node(struct rb_node *node,
					     unsigned int index)
{
	return container_of(node - index, struct vmmu_memslot, gpa_node[0]);
}

static bool slot_covers(const struct vmmu_memslot *slot, u64 gpa)
{
	return gpa - slot->gpa < slot->size;
}

/**
 * vmmu_slot_by_gpa() - find the memslot of a guest address
 * @slots: a set, kept by whoever calls
 * @gpa: the address
 *
 * Return: the memslot, or NULL.
 */
struct vmmu_memslot *vmmu_slot_by_gpa(struct vmmu_memslots *slots, u64 gpa)
{
	struct vmmu_memslot *slot = READ_ONCE(slots->last);
	struct rb_node *node = READ_ONCE(slots->gpa_tree.rb_node);

	if (slot && slot_covers(slot, gpa))
		return slot;

	while (node) {
		slot = slot_of_gpa_node(node, slots->index);
		if (slot_covers(slot, gpa)) {
			WRITE_ONCE(slots->last, slot);
			return slot;
		}
		node = gpa < slot->gpa ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/**
 * vmmu_slot_by_hva() - find a memslot that maps the page of a host address
 * @slots: a set, kept by whoever calls
 * @hva: the address
 *
 * Return: one of them, or NULL.
 */
struct vmmu_memslot *vmmu_slot_by_hva(struct vmmu_memslots *slots,
				      unsigned long hva)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(&slots->hva_tree, hva, hva);
	return node ? vmmu_slot_of_hva_node(node, slots->index) : NULL;
}

static void set_insert(struct vmmu_memslots *slots, struct vmmu_memslot *slot)
{
	struct rb_node **link = &slots->gpa_tree.rb_node, *parent = NULL;
	struct interval_tree_node *hva = &slot->hva_node[slots->index];
	struct rb_node *node = &slot->gpa_node[slots->index];

	while (*link) {
		parent = *link;
		link = slot->gpa < slot_of_gpa_node(parent, slots->index)->gpa ?
			       &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(node, parent, link);
	rb_insert_color(node, &slots->gpa_tree);

	if (slot->map.npages) {
		hva->start = slot->map.hva;
		hva->last =
			slot->map.hva + (slot->map.npages << PAGE_SHIFT) - 1;
		interval_tree_insert(hva, &slots->hva_tree);
	}
}

static void set_remove(struct vmmu_memslots *slots, struct vmmu_memslot *slot)
{
	if (slots->last == slot)
		slots->last = NULL;
	rb_erase(&slot->gpa_node[slots->index], &slots->gpa_tree);
	if (slot->map.npages)
		interval_tree_remove(&slot->hva_node[slots->index],
				     &slots->hva_tree);
}

static void set_replace(struct vmmu_memslots *slots, struct vmmu_memslot *old,
			struct vmmu_memslot *new)
{
	if (old)
		set_remove(slots, old);
	if (new)
		set_insert(slots, new);
}

/**
 * vmmu_slots_commit() - put one memslot in the place of another
 * @mmu: the MMU
 * @old: memslot to take out, or NULL
 * @new: memslot to put in, or NULL
 *
 * When it returns nobody uses @old any more, but for what was mapped from it.
 *
 * Context: process context, slots_lock held, no SRCU section; may sleep.
 */
void vmmu_slots_commit(struct vmmu *mmu, struct vmmu_memslot *old,
		       struct vmmu_memslot *new)
{
	struct vmmu_memslots *active = vmmu_slots(mmu);
	struct vmmu_memslots *other = &mmu->sets[!active->index];
	struct vmmu_space *space = mmu->space;

	lockdep_assert_held(&mmu->slots_lock);

	set_replace(other, old, new);

	/* Odd: what is looked up from here on must not be remembered. */
	WRITE_ONCE(mmu->generation, mmu->generation + 1);
	/*
	 * models/memslot: swap, hull, grace
	 *
	 * A start that did not see the new set is counted before it: a fault on
	 * a new memslot sees that it is open.  Pairs with vmmu_install_begin().
	 */
	spin_lock(&space->inval_lock);
	rcu_assign_pointer(mmu->slots, other);
	vmmu_space_hull_update(space);
	spin_unlock(&space->inval_lock);
	/* Faults, and notifier callbacks that walk the old set. */
	synchronize_srcu_expedited(&mmu->srcu);
	WRITE_ONCE(mmu->generation, mmu->generation + 1);

	set_replace(active, old, new);
	atomic64_inc(&mmu->stats.slot_swaps);
	atomic64_add(!!new - !!old, &mmu->stats.slots);
}

/**
 * vmmu_slot_alloc() - make a memslot that is in no set
 * @mmu: the MMU that it is for
 * @id: number
 * @flags: VMMU_MEM_*
 * @gpa: first guest address
 * @size: bytes, not 0; @gpa + @size does not wrap
 * @hva: address of @gpa
 *
 * Return: the memslot, or NULL.
 */
struct vmmu_memslot *vmmu_slot_alloc(const struct vmmu *mmu, u32 id, u32 flags,
				     u64 gpa, u64 size, unsigned long hva)
{
	struct vmmu_memslot *slot;
	size_t words;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);
	if (!slot)
		return NULL;

	slot->id = id;
	slot->flags = flags;
	slot->gpa = gpa;
	slot->size = size;
	slot->hva = hva;
	slot->map = vmmu_extent_of(gpa, size, hva);

	if (!vmmu_slot_logs(slot) || mmu->ring_entries)
		return slot;

	words = vmmu_slot_dirty_words(slot);
	slot->dirty = kvcalloc(2 * words, sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!slot->dirty) {
		kfree(slot);
		return NULL;
	}
	slot->dirty_copy = slot->dirty + words;
	if (mmu->options & VMMU_OPTION_INITIALLY_SET)
		bitmap_set(slot->dirty, 0, slot->map.npages);
	return slot;
}

/**
 * vmmu_slot_free() - free a memslot that is in no set
 * @slot: the memslot, may be NULL
 */
void vmmu_slot_free(struct vmmu_memslot *slot)
{
	if (!slot)
		return;
	kvfree(slot->dirty);
	kfree(slot);
}

/**
 * vmmu_slot_overlap() - does any memslot but one share an address with a range?
 * @mmu: the MMU, slots_lock held
 * @gpa: first address
 * @size: bytes, not 0
 * @but: this one does not count, may be NULL
 *
 * Return: true if so.
 */
bool vmmu_slot_overlap(struct vmmu *mmu, u64 gpa, u64 size,
		       const struct vmmu_memslot *but)
{
	struct vmmu_memslots *slots = vmmu_slots(mmu);
	struct rb_node *node = slots->gpa_tree.rb_node;
	struct vmmu_memslot *slot, *next = NULL;

	/* The one that ends last among those that do not lie behind @gpa... */
	while (node) {
		slot = slot_of_gpa_node(node, slots->index);
		if (gpa <= slot->gpa + (slot->size - 1)) {
			next = slot;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}

	/* ... and what follows it, as long as it starts within the range. */
	for (; next;
	     next = node ? slot_of_gpa_node(node, slots->index) : NULL) {
		if (!vmmu_bytes_overlap(gpa, size, next->gpa, next->size))
			return false;
		if (next != but)
			return true;
		node = rb_next(&next->gpa_node[slots->index]);
	}
	return false;
}

/**
 * vmmu_insert_slot() - give an MMU that nobody else knows yet a memslot
 * @mmu: MMU made by vmmu_alloc(), not published
 * @id: number, not in use
 * @flags: VMMU_MEM_*
 * @gpa: first guest address, any byte
 * @size: bytes, not 0
 * @hva: address of @gpa
 *
 * Return: 0, -EINVAL if the range wraps, -EEXIST if it overlaps another, or
 *	-ENOMEM.
 */
int vmmu_insert_slot(struct vmmu *mmu, u32 id, u32 flags, u64 gpa, u64 size,
		     unsigned long hva)
{
	struct vmmu_memslot *slot;
	int ret;

	if (!size || gpa + (size - 1) < gpa || hva + (size - 1) < hva)
		return -EINVAL;
	if (vmmu_slot_overlap(mmu, gpa, size, NULL))
		return -EEXIST;

	slot = vmmu_slot_alloc(mmu, id, flags, gpa, size, hva);
	if (!slot)
		return -ENOMEM;
	ret = xa_err(xa_store(&mmu->by_id, id, slot, GFP_KERNEL_ACCOUNT));
	if (ret) {
		vmmu_slot_free(slot);
		return ret;
	}

	set_insert(&mmu->sets[0], slot);
	set_insert(&mmu->sets[1], slot);
	atomic64_inc(&mmu->stats.slots);
	return 0;
}

/**
 * vmmu_slots_hull() - add all memslots of a space to a range
 * @space: the space
 * @hull: the range
 *
 * Context: inval_lock held, under which the active sets change.
 */
void vmmu_slots_hull(struct vmmu_space *space, struct vmmu_range *hull)
{
	struct vmmu *mmu;

	lockdep_assert_held(&space->inval_lock);

	list_for_each_entry(mmu, &space->mmus, node)
		vmmu_range_add_tree(hull, &vmmu_slots(mmu)->hva_tree);
}

/**
 * vmmu_slots_init() - make both sets empty
 * @mmu: the MMU
 */
void vmmu_slots_init(struct vmmu *mmu)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mmu->sets); i++) {
		mmu->sets[i].index = i;
		mmu->sets[i].gpa_tree = RB_ROOT;
		mmu->sets[i].hva_tree = RB_ROOT_CACHED;
		mmu->sets[i].last = NULL;
	}
	RCU_INIT_POINTER(mmu->slots, &mmu->sets[0]);
	xa_init(&mmu->by_id);
}

/**
 * vmmu_slots_destroy() - free all memslots of an MMU that nobody knows any more
 * @mmu: the MMU, with nothing mapped
 */
void vmmu_slots_destroy(struct vmmu *mmu)
{
	struct vmmu_memslot *slot;
	unsigned long id;

	xa_for_each(&mmu->by_id, id, slot)
		vmmu_slot_free(slot);
	xa_destroy(&mmu->by_id);
}
