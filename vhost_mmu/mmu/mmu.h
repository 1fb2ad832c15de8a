/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Second-stage tables and the memslots that they are made from: the interface
 * of the MMU to devices and to /dev/vhost-mmu.
 *
 * A table translates guest page numbers (gfn) to pages of one address space.
 * Faults fill it, the notifier empties it.  An address that it yields may be
 * used while its mmu_lock is held for reading; the notifier takes the lock for
 * writing and so waits until nobody does.
 */
#ifndef VHOST_MMU_MMU_H
#define VHOST_MMU_MMU_H

#include <linux/atomic.h>
#include <linux/interval_tree.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/vhost.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "pt.h"
#include "pte.h"
#include "../../include/uapi/linux/vhost_mmu.h"

#define VMMU_MAX_SLOTS		32764
#define VMMU_MAX_SLOT_PAGES	((1UL << 31) - 1)
#define VMMU_DIRTY_RING_MAX 65536

struct vmmu_dirty_ring;
struct vmmu_space;

/**
 * struct vmmu_stats - what a table holds and did
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
 * @yields: times a walk let go of mmu_lock half way
 * @splits: huge entries split
 * @collapses: tables removed so that a huge entry can take their place
 * @dirty_pages: pages entered into a dirty log or ring
 * @ring_full: writes refused because a dirty ring was full
 * @slot_swaps: changes of the set of memslots
 * @bytes_direct: bytes copied through kernel addresses
 * @bytes_user: bytes copied by user access instead
 * @drains: times the notifier had to wait for users of the table
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
 * @index: which of the two sets of its table it is
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

/**
 * struct vmmu - an MMU: memslots and the second-stage tables made from them
 * @ref: devices and files that use it
 * @id: number, for people
 * @space: address space that its memory belongs to
 * @node: in the space's list of tables
 * @mmu_lock: see Documentation/locking.rst; held for reading by faults, ageing
 *	and users of translations, for writing by whoever takes them back
 * @sections: who keeps translations beyond a hold of @mmu_lock, and has to be told
 *	when they change; under @mmu_lock
 * @root: top-level table
 * @slots_lock: held over every change of memslots
 * @srcu: keeps a set of memslots while it is used without @slots_lock
 * @sets: both sets; one is active, the other being edited or equal
 * @slots: the active set
 * @by_id: memslots by number, under @slots_lock
 * @generation: counts changes of the set; odd while one is under way
 * @options: VMMU_OPTION_*
 * @ring_entries: size of the dirty rings, 0 for bitmaps
 * @rings: dirty rings of all readers, under @slots_lock
 * @implicit: made from a device's memory table, to be shared by devices whose
 *	tables are equal; never changed
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
	struct list_head rings;
	bool implicit;
	struct work_struct free_work;
	struct vmmu_stats stats;
};

#define VMMU_PT_CACHE 4
/* Pages that are looked up and mapped in one go. */
#define VMMU_FAULT_BATCH 64

/**
 * struct vmmu_pages - pages of memory found behind consecutive host addresses
 * @n: how many; 0 for memory without struct page
 * @page: with a reference each
 * @pfn: the one page, if @n is 0
 * @writable: they were looked up for writing
 */
struct vmmu_pages {
	unsigned int n;
	unsigned long pfn;
	bool writable;
	struct page *page[VMMU_FAULT_BATCH];
};

/**
 * struct vmmu_context - one thread's use of a table
 * @mmu: the MMU
 * @ring: where it reports pages that it writes, may be NULL
 * @cache: table pages allocated ahead, for use under mmu_lock
 * @nr_cached: how many
 * @pages: what the fault under way has found
 */
struct vmmu_context {
	struct vmmu *mmu;
	struct vmmu_dirty_ring *ring;
	vmmu_pte_t *cache[VMMU_PT_CACHE];
	unsigned int nr_cached;
	struct vmmu_pages pages;
};

/* table.c: life time */
int vmmu_module_init(void);
void vmmu_module_exit(void);
struct vmmu *vmmu_create(struct mm_struct *mm);
struct vmmu *vmmu_get(struct vmmu *mmu);
void vmmu_put(struct vmmu *mmu);
bool vmmu_is_of_mm(const struct vmmu *mmu, const struct mm_struct *mm);
void vmmu_context_init(struct vmmu_context *ctx, struct vmmu *mmu,
		       struct vmmu_dirty_ring *ring);
void vmmu_context_destroy(struct vmmu_context *ctx);
u64 vmmu_notifier_starts(const struct vmmu *mmu);

/* memslots.c */
int vmmu_set_memslot(struct vmmu *mmu, const struct vmmu_set_memslot *args);
int vmmu_set_options(struct vmmu *mmu, u64 options, u32 ring_entries);
struct vmmu_memslot *vmmu_slot_by_gpa(struct vmmu_memslots *slots, u64 gpa);
struct vmmu_memslot *vmmu_slot_by_hva(struct vmmu_memslots *slots,
				      unsigned long hva);

/* implicit.c: tables of devices */
struct vmmu *vmmu_get_shared(struct mm_struct *mm,
			     const struct vhost_memory_region *regions,
			     unsigned int nregions);

/* fault.c */
long vmmu_populate(struct vmmu_context *ctx, u64 gpa, u64 length, bool write);

/* access.c */
int vmmu_read_guest(struct vmmu_context *ctx, u64 gpa, void *to,
		    unsigned int len);
int vmmu_write_guest(struct vmmu_context *ctx, u64 gpa, const void *from,
		     unsigned int len);
int vmmu_translate(struct vmmu_context *ctx, struct vmmu_translate *args);

/* dirty.c */
int vmmu_get_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args);
int vmmu_clear_dirty_log(struct vmmu *mmu, const struct vmmu_dirty_log *args);

/* dirty_ring.c */
struct vmmu_dirty_ring *vmmu_dirty_ring_create(struct vmmu *mmu);
void vmmu_dirty_ring_destroy(struct vmmu_dirty_ring *ring);
int vmmu_dirty_ring_mmap(struct vmmu_dirty_ring *ring,
			 struct vm_area_struct *vma);
int vmmu_dirty_rings_reset(struct vmmu *mmu, u32 *count);

/* age.c */
int vmmu_age(struct vmmu *mmu, u64 gpa, u64 length, bool clear,
	     u64 __user *bitmap, u64 *young);

#endif /* VHOST_MMU_MMU_H */
