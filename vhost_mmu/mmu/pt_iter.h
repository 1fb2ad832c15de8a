/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walk over the entries of an MMU, once for everybody: pre-order, with the
 * entry as it was read, able to drop mmu_lock half way.
 *
 *	vmmu_for_each_pte(iter, mmu, VMMU_SHARED, VMMU_LEVEL_4K, first, last) {
 *		if (vmmu_iter_yield(&iter, true))
 *			continue;
 *		...
 *	}
 */
#ifndef VHOST_MMU_PT_ITER_H
#define VHOST_MMU_PT_ITER_H

#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "../space/hooks.h"
#include "mmu.h"

struct vmmu_gather;

/**
 * enum vmmu_hold - how a walk holds mmu_lock
 * @VMMU_SHARED: for reading: others change entries meanwhile, and the walk
 *	changes them by compare and exchange
 * @VMMU_EXCLUSIVE: for writing
 */
enum vmmu_hold {
	VMMU_SHARED,
	VMMU_EXCLUSIVE,
};

/* A walk asks after so many steps whether somebody else wants to run. */
#define VMMU_YIELD_STEPS 32
/* After so many it drops the lock in any case.  A step is up to 100 ns. */
#define VMMU_HOLD_STEPS 1024

/**
 * struct vmmu_steps - how long mmu_lock has been held
 * @unasked: steps since somebody asked who else wants to run
 * @held: steps before that, since the lock was taken
 */
struct vmmu_steps {
	unsigned int unasked;
	unsigned int held;
};

/**
 * struct vmmu_iter - a walk and the entry that it is at
 * @mmu: what is walked
 * @gather: what the walk takes from sections, NULL if it takes nothing
 * @hold: how the walk holds mmu_lock
 * @min_level: entries of lower levels are not visited
 * @level: of the entry
 * @gfn: first guest page that it covers
 * @ptep: the entry
 * @old: its value when it was read
 * @next: where the walk is on the last level: a walk that yielded goes on here
 * @yielded_at: value of @next at the last yield
 * @steps: what the walk has done in this hold: @own_steps, or those of @gather,
 *	which count over all of its walks
 * @own_steps: see @steps
 * @yielded: the lock was dropped, so that only @next is still true
 * @valid: there is an entry
 * @path: the tables from the root down, by level
 */
struct vmmu_iter {
	struct vmmu *mmu;
	struct vmmu_gather *gather;
	enum vmmu_hold hold;
	unsigned int min_level;
	unsigned int level;
	u64 gfn;
	vmmu_pte_t *ptep;
	u64 old;
	u64 next;
	u64 yielded_at;
	struct vmmu_steps *steps;
	struct vmmu_steps own_steps;
	bool yielded;
	bool valid;
	vmmu_pte_t *path[VMMU_LEVEL_ROOT];
};

void vmmu_iter_start(struct vmmu_iter *iter, struct vmmu *mmu,
		     enum vmmu_hold hold, unsigned int min_level, u64 gfn);
void vmmu_iter_start_gather(struct vmmu_iter *iter, struct vmmu_gather *gather,
			    unsigned int min_level, u64 gfn);
void vmmu_iter_next(struct vmmu_iter *iter);
bool __must_check vmmu_iter_yield_slow(struct vmmu_iter *iter, bool may_sleep);

/* What every step of a walk, and every change at its entry, relies on. */
static inline void vmmu_iter_assert_held(const struct vmmu_iter *iter)
{
	if (iter->hold == VMMU_EXCLUSIVE)
		lockdep_assert_held_write(&iter->mmu->mmu_lock);
	else
		lockdep_assert_held_read(&iter->mmu->mmu_lock);
	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "walk outside of RCU");
}

/**
 * vmmu_steps_enough() - is it time to drop mmu_lock?
 * @steps: how long it has been held
 * @mmu: whose lock it is
 *
 * A waiter on another CPU spins with preemption off, whatever the kernel's
 * preemption model.
 *
 * Context: mmu_lock held.
 * Return: true if so: it was held long enough, or somebody else wants to run.
 */
static inline bool vmmu_steps_enough(struct vmmu_steps *steps,
				     struct vmmu *mmu)
{
	lockdep_assert_held(&mmu->mmu_lock);

	steps->held += steps->unasked;
	steps->unasked = 0;
	return steps->held >= VMMU_HOLD_STEPS || need_resched() ||
	       rwlock_is_contended(&mmu->mmu_lock) || vmmu_hook_yield();
}

/**
 * vmmu_iter_yield() - drop mmu_lock if others wait or it was held for long
 * @iter: the walk
 * @may_sleep: the walk may sleep while it does
 *
 * Not twice at the same page, so that a walk always makes progress.
 *
 * Context: mmu_lock and an RCU read section held, both dropped and taken again.
 * Return: true if so: the entry is not to be used, the walk goes on with
 *	vmmu_iter_next().
 */
static inline bool __must_check vmmu_iter_yield(struct vmmu_iter *iter,
						bool may_sleep)
{
	if (likely(++iter->steps->unasked < VMMU_YIELD_STEPS) &&
	    !vmmu_hook_yield())
		return false;
	return vmmu_iter_yield_slow(iter, may_sleep);
}

/**
 * vmmu_iter_dropped() - the caller dropped mmu_lock and took it again
 * @iter: the walk
 *
 * As after vmmu_iter_yield(): only vmmu_iter_next() may follow.
 */
static inline void vmmu_iter_dropped(struct vmmu_iter *iter)
{
	vmmu_iter_assert_held(iter);

	iter->yielded = true;
}

/* The entry took as long as so many more would have. */
static inline void vmmu_iter_charge(struct vmmu_iter *iter, unsigned int steps)
{
	iter->steps->unasked += steps;
}

#define vmmu_for_each_pte(iter, mmu, hold, min_level, first, last)  \
	for (vmmu_iter_start(&(iter), mmu, hold, min_level, first); \
	     (iter).valid && (iter).gfn <= (last); vmmu_iter_next(&(iter)))

/* For a walk that takes what sections may keep: one of those of a gather. */
#define vmmu_gather_for_each_pte(iter, g, min_level, first, last)	    \
	for (vmmu_iter_start_gather(&(iter), g, min_level, first);	    \
	     (iter).valid && (iter).gfn <= (last); vmmu_iter_next(&(iter)))

static inline u64 vmmu_pte_read(const vmmu_pte_t *ptep)
{
	return READ_ONCE(ptep->val);
}

static inline vmmu_pte_t *vmmu_pte_child(u64 pte)
{
	return __va(pte & VMMU_PTE_PFN_MASK);
}

#endif /* VHOST_MMU_PT_ITER_H */
