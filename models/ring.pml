/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One page of a ring map: it is installed, used in sections, invalidated and
 * drained.  Documentation/protocol.rst, "Invalidation", "Install" and "Section";
 * Documentation/locking.rst, 2.1, 2.2 and 2.6.
 *
 * Two threads of the mm replace the page, at the same time or one after the
 * other.  The worker runs operations for ever.  If the map has no page, it takes
 * one from the MMU or looks it up.  It makes a new map now and then.
 *
 * Checked: what a section uses is what the mm maps at this time; a page that was
 * written is dirty when the mm lets go of it; a map that was freed is not called;
 * nobody is stuck; and, once the mm is quiet, operations go by kernel address.
 *
 * Rules, and what spin finds in a model without them:
 *
 *	NO_COUNT	assert	an install is refused if the callback ran since
 *	NO_OPEN		assert	an install begins only if no overlapping range is open
 *	NO_DRAIN	assert	the callback takes the section lock
 *	NO_FORGET	assert	the callback takes the page back
 *	DIRTY_LATE	assert	a page is marked dirty in the hold that forgets it
 *	NOT_DIRTY	assert	a page that was written is marked dirty
 *	LINK_LATE	assert	a map is linked before anything is installed
 *	TREE_UNLOCKED	assert	a map is unlinked under clients_lock
 *	FILTER		assert	every start is counted, whatever it hits
 *	TAKE_NO_OPEN	assert	a page of the MMU is taken if no range is open
 *	TAKE_UNLOCKED	assert	it is published in the hold of mmu_lock that found it
 *	MMU_IN_SECTION	stuck	code in a section never takes mmu_lock
 *	END_LOST	live	every end is counted
 *	PAUSE_STUCK	live	a pause ends after some operations
 *	NO_OPEN_TWICE	holds	without the second look at the open set
 *
 * The last one: an invalidation that is open at the second look has called the
 * map, or will call it after the publication.  It saves an install that is in
 * vain.
 */
#include "common.pml"

#define MMS	2	/* threads of the mm */
#define STARTS	3	/* invalidations of both together */
#define MAPS	2	/* so many maps are made */
#define TRIES	2
#define PAGES	(STARTS + 2)

/* The mm */
byte page = 1;		/* what it maps at the address */
byte newest = 1;
bool dirty[PAGES];
bool written[PAGES];
byte quiet;		/* threads that are done */

/* The space */
byte inval_lock;
rwlock clients_lock;
byte open;		/* invalidations of the page that are open */
bool linked;		/* the map is in the tree */

/* The MMU: the model fault.pml is about how its entry is made */
rwlock mmu_lock;
byte entry;

/* The queue */
byte section_lock;
byte addr;		/* the page in the map, 0 while it is missing */
byte inval_seq;
bool there;		/* the queue has a map that was not freed */
bool kernel;		/* the last operation went by kernel address */

inline forget_page()
{
#if !defined(DIRTY_LATE) && !defined(NOT_DIRTY)
	dirty[addr] = true;
#endif
#ifndef NO_FORGET
	addr = 0
#endif
}

inline invalidate_map()
{
	assert(there);
#ifndef NO_DRAIN
	/* drain: vmmu_section_drain_begin() */
	lock(section_lock);
#endif
	/* count: ring_map_invalidate() */
	inval_seq++;
	took = addr;
	if
	:: addr ->
		/* forget: ring_map_forget() */
		forget_page()
	:: else
	fi;
#ifndef NO_DRAIN
	unlock(section_lock);
#endif
#ifdef DIRTY_LATE
	dirty[took] = true;
#endif
	took = 0
}

proctype mm(byte starts)
{
	byte i, took;
	bool hit;

	do
	:: i < starts ->
		/* start: vmmu_invalidate_range_start() */
		lock(inval_lock);
		hit = linked;
#ifdef FILTER
		if
		:: hit -> open++
		:: else
		fi;
#else
		open++;
#endif
		unlock(inval_lock);

		/* zap: mmu_invalidate() */
		write_lock(mmu_lock);
		if
		:: entry ->
			entry = 0;
			/* flush: vmmu_gather_end() */
			lock(section_lock);
			unlock(section_lock)
		:: else
		fi;
		write_unlock(mmu_lock);

		if
		:: hit ->
			/* call: vmmu_clients_invalidate() */
			read_lock(clients_lock);
			if
			:: linked -> invalidate_map()
			:: else
			fi;
			read_unlock(clients_lock)
		:: else
		fi;

		/* The mm changes its page table, and the page goes. */
		atomic {
			assert(!written[page] || dirty[page]);
			newest++;
			page = newest
		};

		/* end: vmmu_invalidate_range_end() */
		lock(inval_lock);
#ifdef FILTER
		if
		:: linked ->
			assert(open > 0);
			open--
		:: else
		fi;
#elif defined(END_LOST)
		if
		:: i == 0
		:: else -> open--
		fi;
#else
		assert(open > 0);
		open--;
#endif
		unlock(inval_lock);
		hit = false;
		i++
	:: else -> break
	od;
	quiet++
}

inline link_map()
{
	write_lock(clients_lock);
	lock(inval_lock);
	linked = true;
	unlock(inval_lock);
	write_unlock(clients_lock)
}

inline look_up()
{
	lock(section_lock);
	seq = inval_seq;
	lock(inval_lock);
#ifdef NO_OPEN
	refused = false;
#else
	refused = open > 0;
#endif
	unlock(inval_lock);
	unlock(section_lock);
	if
	:: refused
	:: else ->
	/* resolve: vmmu_resolve_page() */
		found = page;
		/* check: ring_map_look_up() */
		lock(section_lock);
#ifdef NO_COUNT
		refused = false;
#else
		refused = inval_seq != seq;
#endif
#ifndef NO_OPEN_TWICE
		lock(inval_lock);
		refused = refused || open > 0;
		unlock(inval_lock);
#endif
		if
		:: refused
		:: else ->
		/* publish: vmq_ring_map_publish() */
			addr = found
		fi;
		unlock(section_lock);
		found = 0
	fi;
	seq = 0
}

inline take_page()
{
	read_lock(mmu_lock);
	found = entry;
#ifdef TAKE_UNLOCKED
	read_unlock(mmu_lock);
#endif
	if
	:: found == 0
	:: else ->
		lock(section_lock);
		lock(inval_lock);
#ifdef TAKE_NO_OPEN
		refused = false;
#else
		refused = open > 0;
#endif
		unlock(inval_lock);
		if
		:: refused
		:: else -> addr = found
		fi;
		unlock(section_lock)
	fi;
#ifndef TAKE_UNLOCKED
	read_unlock(mmu_lock);
#endif
	found = 0
}

/* The entry is of the page that the mm maps, or there is none. */
inline fault_in()
{
	/* fault: vmmu_fault() */
	atomic {
		if
		:: open == 0 && mmu_lock.writer == 0 -> entry = page
		:: else
		fi
	}
}

inline use_page()
{
	found = addr;
#ifdef MMU_IN_SECTION
	read_lock(mmu_lock);
	read_unlock(mmu_lock);
#endif
	assert(found == page);
	written[found] = true;
	/* The burst goes on. */
	assert(found == page);
	found = 0
}

active proctype worker()
{
	byte maps, tries, found, seq, pass;
	bool refused;

	run mm(STARTS - 1);
	run mm(1);
	do
	:: maps < MAPS ->
		/* A new configuration: the old map goes, a new one comes. */
	/* replace: vmq_ring_maps_replace() */
		lock(section_lock);
		if
		:: addr -> dirty[addr] = true; addr = 0
		:: else
		fi;
		unlock(section_lock);
		if
		:: there ->
			/* unlink: vmmu_client_del() */
#ifndef TREE_UNLOCKED
			write_lock(clients_lock);
#endif
			lock(inval_lock);
			linked = false;
			unlock(inval_lock);
#ifndef TREE_UNLOCKED
			write_unlock(clients_lock);
#endif
			there = false
		:: else
		fi;
		/* Who is new has seen nothing of what was counted before. */
		inval_seq = 0;
		there = true;
#ifndef LINK_LATE
		/* link: vmmu_client_add() */
		link_map();
#endif
		maps++
	:: there ->
	/* section: vmq_section_try_begin() */
		lock(section_lock);
		if
		:: addr ->
			/* use: vmq_ring_map_addr() */
			use_page();
			unlock(section_lock);
			kernel = true
		:: else ->
			unlock(section_lock);
			if
			:: pass > 0 ->
				/* By user access */
			/* pausing: vmq_ring_maps_pausing() */
#ifndef PAUSE_STUCK
				pass--;
#endif
				kernel = false
			:: else ->
				tries = 0;
				do
				:: tries < TRIES && addr == 0 ->
					refused = false;
					if
					:: true ->
						/* take: ring_map_take() */
						take_page();
						if
						:: addr == 0 && !refused ->
							fault_in();
							take_page()
						:: else
						fi
					:: true ->
						/* snapshot: ring_map_look_up() */
						look_up()
					fi;
					tries++
				:: else -> break
				od;
				if
				:: addr == 0 ->
					/* pause: ring_maps_pause() */
					pass = 1
				:: else
				fi;
				tries = 0;
				refused = false
			fi
		fi;
#ifdef LINK_LATE
		if
		:: !linked -> link_map()
		:: else
		fi
#endif
	od
}

#ifdef LIVE
/* No fallback for ever. */
ltl quiet_means_kernel { [] (quiet == MMS -> <> [] kernel) }
#endif
