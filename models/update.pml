/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The wait until no invalidation is open.  Documentation/locking.rst, 2.3.
 *
 * Two callers change memslots of two MMUs of a space.  Two threads of the mm
 * invalidate; each takes the same lock of the mm, one around all of it and one
 * between start and end.  The mm may go away, and does not report the end of an
 * invalidation that is open then.
 *
 * Checked: nothing is open when the wait is over, but for what will never end;
 * nobody is stuck.
 *
 * Rules, and what spin finds in a model without them:
 *
 *	NO_WAKE		stuck	the end of the last invalidation wakes the waiter
 *	NO_DEAD_WAKE	stuck	so does the end of the mm
 *	NO_DEAD		stuck	nobody waits once the mm is gone
 *	STATE_LATE	stuck	the waiter says that it sleeps, then drops the lock
 *	WAITS_LATE	stuck	it says so before it sleeps for the first time
 *	SLEEP_LOCKED	stuck	it sleeps without inval_lock
 *	FAIR		stuck	an invalidation never waits for a change
 *	NO_MUTEX	stuck	there is one waiter at a time
 *	LOOK_ONCE	assert	the waiter looks again when it was woken
 *	NO_HOLD		assert	it comes back with inval_lock held
 */
#include "common.pml"

#define STARTS	2	/* invalidations of each thread */

byte mm_lock;		/* of the mm: a page lock, say */
byte inval_lock;
byte open;
bool dead;

byte update_mutex;
bool waits;		/* vmmu_space::updater_waits */
byte waiter;		/* the task that a wake-up goes to, plus one */
bool asleep[8];		/* by the number of the process */

inline wake()
{
	/* wake: vmmu_space_update_wake() */
	atomic {
		if
		:: waiter -> asleep[waiter - 1] = false
		:: else
		fi
	}
}

inline start_invalidation()
{
	/* start: vmmu_invalidate_range_start() */
#ifdef FAIR
	atomic { inval_lock == 0 && !waits -> inval_lock = _pid + 1 };
#else
	lock(inval_lock);
#endif
	open++;
	unlock(inval_lock)
}

inline end_invalidation()
{
	/* end: inval_end_check() */
	lock(inval_lock);
	open--;
#ifndef NO_WAKE
	if
	:: waits && open == 0 -> wake()
	:: else
	fi;
#endif
	unlock(inval_lock)
}

/* Holds a lock of the mm around all of it. */
active proctype mm_around()
{
	byte i;

	do
	:: i < STARTS ->
		i++;
		lock(mm_lock);
		start_invalidation();
		end_invalidation();
		unlock(mm_lock)
	:: else -> break
	od
}

/* Takes the lock between start and end, and may go away in the end. */
active proctype mm_between()
{
	byte i;

	do
	:: i < STARTS ->
		i++;
		start_invalidation();
		lock(mm_lock);
		unlock(mm_lock);
		if
		:: end_invalidation()
		:: i == STARTS ->
			/* The end of this one is not reported. */
			break
		fi
	:: i == STARTS ->
		if
		:: true -> goto lives
		:: true -> break
		fi
	od;

	/* release: vmmu_release() */
	lock(inval_lock);
	dead = true;
#ifndef NO_DEAD_WAKE
	if
	:: waits -> wake()
	:: else
	fi;
#endif
	unlock(inval_lock);
lives:	skip
}

#ifdef NO_DEAD
#define must_wait	(open > 0)
#else
#define must_wait	(open > 0 && !dead)
#endif

inline wait_for_ends()
{
	/* begin: vmmu_space_update_begin() */
#ifndef NO_MUTEX
	lock(update_mutex);
#endif
	lock(inval_lock);
	if
	:: must_wait ->
#ifndef WAITS_LATE
		waits = true;
		waiter = _pid + 1;
#endif
		do
		:: must_wait ->
#if !defined(STATE_LATE)
			asleep[_pid] = true;
#endif
#ifndef SLEEP_LOCKED
			unlock(inval_lock);
#endif
#ifdef STATE_LATE
			asleep[_pid] = true;
#endif
			/* sleep: vmmu_space_update_begin() */
			!asleep[_pid];
#ifndef SLEEP_LOCKED
			lock(inval_lock);
#endif
#ifdef WAITS_LATE
			waits = true;
			waiter = _pid + 1;
#endif
#ifdef LOOK_ONCE
			break
#endif
		:: else -> break
		od;
		waiter = 0;
		waits = false
	:: else
	fi;
#ifdef NO_HOLD
	unlock(inval_lock);
	lock(inval_lock)
#endif
}

active [2] proctype set_memslot()
{
	wait_for_ends();
	/* swap: vmmu_slots_commit() */
	assert(open == 0 || dead);
	/* end_update: vmmu_space_update_end() */
	unlock(inval_lock);
#ifndef NO_MUTEX
	unlock(update_mutex)
#endif
}
