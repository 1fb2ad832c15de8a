/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memslot is deleted, and another one made for the same guest page, of other
 * memory: against invalidations of both and against faults.
 * Documentation/protocol.rst, "Memslots"; Documentation/locking.rst, 2.3.
 *
 * Memory 0 and 1 are a page each.  Memslot 1 maps memory 0, memslot 2 memory 1.
 * A thread of the mm invalidates either of them.  A vCPU faults and uses the
 * entry.  Memslots may change while an invalidation is open.
 *
 * Checked: what is used, and what is mapped when the mm changes the page, is what
 * the mm maps; nobody looks at a set that is being edited, or at a memslot that
 * was freed; nothing of a memslot is mapped when it is gone; nobody is stuck; and
 * both changes get through.
 *
 * Rules, and what spin finds in a model without them:
 *
 *	NO_DYING	assert	a memslot is marked as dying before it is unmapped
 *	DYING_EARLY	assert	a fault looks at the mark under mmu_lock
 *	NO_KILL		assert	what is mapped from a memslot goes before the memslot
 *	KILL_LATE	assert	it goes before the notifier loses the memslot
 *	EDIT_ACTIVE	assert	a change edits the inactive set
 *	NO_GRACE	assert	and the old one when nobody uses it any more
 *	MM_OUTSIDE	assert	the notifier walks a set in an SRCU section
 *	FAULT_OUTSIDE	assert	so does a fault
 *	NO_OPEN		assert	a fault on a new memslot sees who did not see it
 *	HULL_LATE	assert	the hull grows in the hold that swaps the sets
 *	RETRY_INSIDE	live	who is refused leaves SRCU and finds its memslot anew
 *
 *	DYING_UNLOCKED	holds	with the mark set before mmu_lock is taken to unmap
 */
#include "common.pml"

#define STARTS	3	/* invalidations */
#define FAULTS	3	/* faults, for the formula alone */

/* The mm */
byte page[2] = 1;	/* what it maps there */
bool quiet;

/* The space */
byte inval_lock;
byte seq;
byte opens[2];	/* invalidations of each that are open */
byte open_any;
bool history[STARTS + 1];	/* which memory was hit */
bool hull[2] = { true, false };

/* The MMU */
rwlock mmu_lock;
byte entry;		/* page, 0 for none */
byte entry_of;		/* of which memory */
byte in_use;	/* the active set */
byte set[2] = 1;	/* the memslot in each set, 0 for none */
bool edited[2];		/* it is being edited */
bool dying[3];
bool freed[3];
bool srcu;		/* the vCPU is in an SRCU section */
bool awaited;		/* it was when the wait for it began */
bool mm_srcu;		/* the same of the notifier */
bool mm_awaited;
bool changed;

#define memory_of(slot)	(slot - 1)

inline look_at_set()
{
	/* walk: vmmu_for_each_slot_in_hva() */
	assert(!edited[which]);
	slot = set[which];
	assert(!freed[slot])
}

active proctype mm()
{
	byte i, which, slot;
	bool memory, near;

	do
	:: i < STARTS ->
		i++;
		if
		:: memory = 0
		:: memory = 1
		fi;
		/* start: vmmu_invalidate_range_start() */
		atomic {
			inval_lock == 0 ->
			near = hull[memory];
			history[seq] = memory;
			seq++;
			opens[memory]++;
			open_any++
		};
		if
		:: near ->
			/* enter: mmus_invalidate() */
#ifndef MM_OUTSIDE
			mm_srcu = true;
#endif
			/* active: vmmu_slots() */
			which = in_use;
			look_at_set();
			if
			:: slot && memory_of(slot) == memory ->
				/* zap: vmmu_zap_gather() */
				write_lock(mmu_lock);
				look_at_set();
				if
				:: slot && memory_of(slot) == memory ->
					entry = 0
				:: else
				fi;
				write_unlock(mmu_lock)
			:: else
			fi;
			atomic {
				mm_srcu = false;
				mm_awaited = false
			}
		:: else
		fi;
		atomic {
			assert(!entry || entry_of != memory);
			page[memory]++
		};
		/* end: vmmu_invalidate_range_end() */
		atomic {
			inval_lock == 0 ->
			opens[memory]--;
			open_any--;
			which = 0;
			slot = 0;
			near = 0
		}
	:: else -> break
	od;
	quiet = true
}

inline edit(a_set)
{
	/* edit: set_replace() */
	edited[a_set] = true;
	set[a_set] = new;
	edited[a_set] = false
}

/* Every fault and callback that is in an SRCU section now has left it. */
inline wait_for_users()
{
	/* grace: synchronize_srcu_expedited() */
	atomic {
		awaited = srcu;
		mm_awaited = mm_srcu
	};
	!awaited && !mm_awaited
}

inline commit()
{
	/* commit: vmmu_slots_commit() */
#ifdef EDIT_ACTIVE
	edit(in_use);
#else
	edit(1 - in_use);
#endif
	lock(inval_lock);
	/* swap: vmmu_slots_commit() */
	in_use = 1 - in_use;
#ifndef HULL_LATE
	/* hull: vmmu_space_hull_update() */
	hull[0] = new == 1;
	hull[1] = new == 2;
#endif
	unlock(inval_lock);
#ifndef NO_GRACE
	wait_for_users();
#endif
#ifdef HULL_LATE
	lock(inval_lock);
	hull[0] = new == 1;
	hull[1] = new == 2;
	unlock(inval_lock);
#endif
	edit(1 - in_use)
}

inline kill_slot()
{
	/* kill: slot_kill() */
#ifdef DYING_UNLOCKED
	dying[1] = true;
#elif !defined(NO_DYING)
	write_lock(mmu_lock);
	dying[1] = true;
	write_unlock(mmu_lock);
#endif
#ifndef NO_KILL
	write_lock(mmu_lock);
	entry = 0;
	write_unlock(mmu_lock)
#endif
}

active proctype set_memslot()
{
	byte new;

	/* Delete the one... */
#ifndef KILL_LATE
	kill_slot();
#endif
	commit();
#ifdef KILL_LATE
	kill_slot();
#endif
	assert(!entry);
	/* free: vmmu_slot_free() */
	freed[1] = true;

	/* ... and make the other one. */
	new = 2;
	commit();
	changed = true
}

inline find_slot()
{
	/* slot: vmmu_slot_by_gpa() */
	which = in_use;
	assert(!edited[which]);
	slot = set[which];
	assert(!freed[slot])
}

inline map_page()
{
	/* snapshot: vmmu_install_begin() */
	snap = seq;
	if
#ifdef NO_OPEN
	:: open_any > 0 && slot == 1 -> atomic {
#else
	:: open_any > 0 -> atomic {
#endif
		inval_lock == 0 ->
		refused = opens[memory_of(slot)] > 0;
		snap = seq
	   }
	:: else -> refused = false
	fi;
	found = page[memory_of(slot)];
#ifdef DYING_EARLY
	assert(!freed[slot]);
	refused = refused || dying[slot];
#endif
	if
	:: refused
	:: else ->
		/* install: fault_install() */
		read_lock(mmu_lock);
#ifndef DYING_EARLY
		assert(!freed[slot]);
		refused = dying[slot];
#endif
		/* check: vmmu_install_refused() */
		do
		:: atomic { snap != seq && !refused ->
			refused = history[snap] == memory_of(slot);
			snap++
		   }
		:: else -> break
		od;
		atomic {
			if
			:: !refused && !entry ->
				entry_of = memory_of(slot);
				entry = found
			:: else
			fi
		};
		read_unlock(mmu_lock)
	fi;
	atomic {
		snap = 0;
		found = 0
	}
}

active proctype vcpu()
{
	byte which, slot, snap, found;
#ifdef LIVE
	byte faults;
#endif
	bool refused;

	do
#ifdef LIVE
	:: faults == FAULTS -> break
	:: faults < FAULTS ->
		faults++;
#else
	:: true ->
#endif
		/* srcu: vmmu_fault() */
#ifndef FAULT_OUTSIDE
		srcu = true;
#endif
		find_slot();
		if
		:: slot ->
#ifdef RETRY_INSIDE
			do
			:: true ->
				map_page();
				if
				:: refused
				:: else -> break
				fi
			od
#else
			map_page()
#endif
		:: else
		fi;
		atomic {
			which = 0;
			slot = 0;
			refused = false;
			srcu = false;
			awaited = false
		};

		/* access: access_direct() */
		read_lock(mmu_lock);
		assert(!entry || entry == page[entry_of]);
		read_unlock(mmu_lock)
	od
}

#ifdef LIVE
ltl changes_get_through { <> changed }
#endif
