/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An MMU: memslots, and the second-stage tables that are made from them.
 *
 * It translates guest page numbers (gfn) to pages of one address space.  Faults
 * fill its tables, the notifier empties them.  An address that it yields may be
 * used while its mmu_lock is held for reading; the notifier takes the lock for
 * writing and so waits until nobody does.
 */
#ifndef VHOST_MMU_MMU_H
#define VHOST_MMU_MMU_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "../space/space.h"
#include "memslot.h"
#include "pt.h"

/* MMUs of files that one address space may have, and MMUs of memory tables. */
#define VMMU_MAX_MMUS 64
#define VMMU_MAX_SHARED 64
/* Readers and devices that one MMU may have. */
#define VMMU_MAX_READERS 1024
#define VMMU_MAX_DEVICES 256

/**
 * struct vmmu_stats - what an MMU holds and did
 * @pages: leaves by level, index 0 for 4 KiB
 * @table_pages: tables, the root included
 * @table_pages_peak: the most there were
 * @slots: memslots
 * @readers: reader files
 * @pf_taken: entries that a fault was taken for
 * @pf_fixed: ... and that it installed
 * @pf_fast: ... made writable without looking the page up
 * @pf_spurious: ... that were there already
 * @pf_retried: ... refused by an invalidation, or lost to another fault
 * @pf_failed: ... for which there is no page
 * @mmu_lock_notifier: times the notifier took mmu_lock
 * @mmu_lock_write_fault: times a fault took mmu_lock for writing
 * @invalidations: invalidations that hit a memslot
 * @pages_zapped: guest pages unmapped, in units of 4 KiB
 * @yields: times a walk dropped mmu_lock half way
 * @splits: huge entries split
 * @collapses: tables removed so that a huge entry can take their place
 * @dirty_pages: pages entered into a dirty log or ring
 * @ring_full: writes refused because a dirty ring was full
 * @slot_swaps: changes of the set of memslots
 * @bytes_direct: bytes copied through kernel addresses
 * @bytes_user: bytes copied by user access instead
 * @drains: times the notifier had to wait for users of translations
 * @drain_max_ns: its longest wait
 */
struct vmmu_stats {
	atomic64_t pages[VMMU_LEVEL_MAX_LEAF];
	atomic64_t table_pages;
	atomic64_t table_pages_peak;
	atomic64_t slots;
	atomic64_t readers;
	atomic64_t pf_taken;
	atomic64_t pf_fixed;
	atomic64_t pf_fast;
	atomic64_t pf_spurious;
	atomic64_t pf_retried;
	atomic64_t pf_failed;
	atomic64_t mmu_lock_notifier;
	atomic64_t mmu_lock_write_fault;
	atomic64_t invalidations;
	atomic64_t pages_zapped;
	atomic64_t yields;
	atomic64_t splits;
	atomic64_t collapses;
	atomic64_t dirty_pages;
	atomic64_t ring_full;
	atomic64_t slot_swaps;
	atomic64_t bytes_direct;
	atomic64_t bytes_user;
	atomic64_t drains;
	atomic64_t drain_max_ns;
};

/**
 * struct vmmu - an MMU: memslots and the second-stage tables made from them
 * @ref: devices and files that use it
 * @id: number, for people
 * @space: address space that its memory belongs to
 * @node: in the space's list of MMUs
 * @mmu_lock: see Documentation/locking.rst; held for reading by faults, ageing
 *	and users of translations, for writing by whoever takes them back
 * @sections: who keeps translations beyond a hold of @mmu_lock, and has to be
 *	told when they change; under @mmu_lock
 * @nr_gathers: how many have taken something from the entries and dropped
 *	@mmu_lock before all sections were drained; under @mmu_lock
 * @has_unmappable: a page was found that cannot be mapped: sections may remember
 *	that, although no entry says so; never becomes false
 * @root: top-level table
 * @slots_lock: held over every change of memslots
 * @srcu: keeps a set of memslots while it is used without @slots_lock
 * @sets: both sets; one is active, the other being edited or equal
 * @slots: the active set
 * @by_id: memslots by number, under @slots_lock
 * @generation: counts changes of the set; odd while one is under way
 * @options: VMMU_OPTION_*
 * @ring_entries: size of the dirty rings, 0 for bitmaps
 * @nr_attached: devices that write without a log; goes up under @slots_lock
 * @nr_readers: reader files; goes up under @slots_lock
 * @rings_lock: leaf; serialises the coming and going of dirty rings
 * @rings: dirty rings of all readers, under @rings_lock; they come with
 *	@slots_lock held
 * @implicit: made from a device's memory table, to be shared by devices whose
 *	memory tables are equal; never changed
 * @regions_hash: of the memory table, if @implicit
 * @free_work: frees it when no notifier callback can be using it
 * @stats: counters
 */
struct vmmu {
	struct kref ref;
	u32 id;
	struct vmmu_space *space;
	struct list_head node;
	/* protects the entries, together with atomic operations on them */
	rwlock_t mmu_lock;
	struct list_head sections;
	unsigned int nr_gathers;
	bool has_unmappable;
	vmmu_pte_t *root;
	/* serialises changes of memslots */
	struct mutex slots_lock;
	struct srcu_struct srcu;
	struct vmmu_memslots sets[2];
	struct vmmu_memslots __rcu *slots;
	struct xarray by_id;
	u64 generation;
	u64 options;
	u32 ring_entries;
	atomic_t nr_attached;
	atomic64_t nr_readers;
	/* leaf; serialises the coming and going of dirty rings */
	spinlock_t rings_lock;
	struct list_head rings;
	bool implicit;
	u64 regions_hash;
	struct work_struct free_work;
	struct vmmu_stats stats;
};

struct vmmu *vmmu_alloc_counted(struct mm_struct *mm, bool implicit);
void vmmu_publish(struct vmmu *mmu);
struct vmmu *vmmu_create(struct mm_struct *mm);
struct vmmu *vmmu_get(struct vmmu *mmu);
void vmmu_put(struct vmmu *mmu);
u64 vmmu_notifier_starts(const struct vmmu *mmu);
int vmmu_mmus_init(void);
void vmmu_mmus_exit(void);

/* Does an MMU belong to an mm? */
static inline bool vmmu_is_of_mm(const struct vmmu *mmu,
				 const struct mm_struct *mm)
{
	return mmu->space->mn.mm == mm;
}

/**
 * vmmu_slots() - the active set, for the length of an SRCU section
 * @mmu: the MMU, its srcu held for reading, or its slots_lock held, or the
 *	inval_lock of its space held
 *
 * Return: the set.
 */
static inline struct vmmu_memslots *vmmu_slots(struct vmmu *mmu)
{
	/* The third case of the above is not one that lockdep knows. */
	return rcu_dereference_raw(mmu->slots);
}

#endif /* VHOST_MMU_MMU_H */
