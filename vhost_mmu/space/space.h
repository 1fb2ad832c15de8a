/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mm's side of vhost_mmu: one address space object per mm, its only MMU
 * notifier, and the protocol by which whoever keeps a translation of a host
 * virtual address gives it back.
 *
 * Translations are kept by clients (client.h), one HVA range each, and by MMUs,
 * of which this folder knows no more than struct vmmu_space_ops.  They are used
 * in sections (section.h).  See Documentation/protocol.rst.
 */
#ifndef VHOST_MMU_SPACE_H
#define VHOST_MMU_SPACE_H

#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "inval.h"

#ifndef CONFIG_X86_64
#error "x86-64 only: needs a direct map of all memory and caches without aliases"
#endif
#ifdef CONFIG_PREEMPT_RT
#error "no PREEMPT_RT: its spinlocks sleep, which an MMU notifier must not"
#endif

struct vmmu_space;

/**
 * struct vmmu_space_ops - what the notifier does to the MMUs of a space
 * @invalidate: unmap @range; when it returns nobody uses a page of it.  The CPU
 *	may be given up on the way if @may_sleep.  The invalidation is open.
 *	Returns true if an MMU maps memory of the range.
 * @age: return whether @range was used, and forget it if @clear
 * @release: unmap everything: the mm is gone
 * @hull: add to @hull from where to where MMUs may map; inval_lock is held
 *
 * All but @hull are called by the notifier, and @invalidate only for ranges that
 * overlap the hull.  A space without MMUs is no special case.
 */
struct vmmu_space_ops {
	bool (*invalidate)(struct vmmu_space *space, struct vmmu_range range,
			   bool may_sleep);
	bool (*age)(struct vmmu_space *space, struct vmmu_range range,
		    bool clear);
	void (*release)(struct vmmu_space *space);
	void (*hull)(struct vmmu_space *space, struct vmmu_range *hull);
};

/**
 * struct vmmu_space - what vhost_mmu knows of one mm
 * @mn: the notifier, shared by all devices of the process
 * @inval_lock: leaf lock of @inval; also held over every change of @clients
 * @inval: open invalidations
 * @hull: covers everything that clients and MMUs map; under @inval_lock
 * @clients_lock: read-held while clients are called, write-held over every
 *	change of @clients, so a deleted client is not being called any more
 * @clients: HVA interval tree; looked at under either lock
 * @mmus_mutex: serialises the finding and making of shared MMUs
 * @mmus: MMUs, whose nodes only they know; changed under @inval_lock, walked in
 *	notifier callbacks without a lock: an MMU is freed after they have
 *	finished
 * @nr_files: MMUs of files that were made and not freed
 * @nr_shared: MMUs of memory tables that were made and not freed
 */
struct vmmu_space {
	struct mmu_notifier mn;
	/* leaf; protects inval and, with clients_lock, changes of clients */
	spinlock_t inval_lock;
	struct vmmu_inval inval;
	struct vmmu_range hull;
	/* keeps clients linked while they are called */
	rwlock_t clients_lock;
	struct rb_root_cached clients;
	/* finding and making shared MMUs */
	struct mutex mmus_mutex;
	struct list_head mmus;
	atomic64_t nr_files;
	atomic64_t nr_shared;
};

/* notifier.c */
extern const struct mmu_notifier_ops vmmu_notifier_ops;

struct vmmu_space *vmmu_space_get(struct mm_struct *mm);
void vmmu_space_put(struct vmmu_space *space);

/* space.c */
extern const struct vmmu_space_ops *vmmu_space_ops;

void vmmu_space_init(const struct vmmu_space_ops *ops);
void vmmu_space_exit(void);
struct mmu_notifier *vmmu_space_alloc_notifier(struct mm_struct *mm);
void vmmu_space_free_notifier(struct mmu_notifier *mn);

static inline struct vmmu_space *vmmu_space_of(struct mmu_notifier *mn)
{
	return container_of(mn, struct vmmu_space, mn);
}

#endif /* VHOST_MMU_SPACE_H */
