/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One entry of an MMU: a fault maps the page, a section keeps it in its soft TLB,
 * invalidations take it back.  Documentation/protocol.rst, "Invalidation",
 * "Install" and "Lifetimes"; Documentation/locking.rst, 2.4, 2.5 and 2.7.
 *
 * Two threads of the mm invalidate the page, or another one, at the same time or
 * one after the other.  A worker uses the page in sections, and faults where it
 * finds nothing.  A reader uses it under mmu_lock, and faults as well.  In the
 * end the mm goes away.
 *
 * Checked: who uses the page uses what the mm maps at this time; a page that was
 * written is dirty when the mm lets go of it; nobody is stuck; and, once the mm is
 * quiet, the worker goes by kernel address.
 *
 * Rules, and what spin finds in a model without them:
 *
 *	NO_OPEN		assert	a fault begins only if no overlapping range is open
 *	NO_CHECK	assert	nothing is mapped if one was started since
 *	CHECK_EARLY	assert	that is looked at under mmu_lock
 *	MAP_UNLOCKED	assert	the entry is made in the same hold
 *	SEQ_LATE	assert	a start is counted before it takes mmu_lock
 *	NO_LIMIT	assert	starts that are too many to be remembered count
 *	INSTALLS_EARLY	assert	starts are recorded until the entry is made
 *	NO_DEAD		assert	nothing is mapped once the mm is gone
 *	NO_ZAP		assert	the start empties the entry
 *	NO_FLUSH	assert	the soft TLBs forget the page
 *	NO_DRAIN	assert	they do in a hold of the section lock
 *	FLUSH_LEFT_OUT	assert	who finds the entry empty flushes all the same
 *	TLB_UNLOCKED	assert	the soft TLB is filled in the section that looked
 *	PLAIN_STORE	assert	the dirty bit is set by compare and exchange
 *	DIRTY_AFTER	assert	a section marks the entry before it writes
 *	NOT_HANDED_OVER	assert	the page is told what was written through an entry
 *	MMU_IN_SECTION	stuck	code in a section never takes mmu_lock
 *	END_LOST	live	every end is counted
 *
 * Another way: who finds the entry empty flushes only if there is another who has
 * emptied some and dropped mmu_lock before the flush.
 *
 *	GATHER		holds	that way
 *	GATHER_UNNOTED	assert	there, it looks whether there is another
 *
 * The fast way, in which faults take no inval_lock unless a range is open: the
 * start always writes the history, raises "open" and then seq; the fault reads seq
 * and then "open".  The history has twice the room, and the fault looks after it
 * has read it whether too many were started.
 *
 *	FAST		holds	the fast way
 *	FAST_OPEN_LATE	assert	there, the start raises "open" before seq
 *	FAST_SEQ_LATE	assert	the fault reads seq before "open"
 *	FAST_NO_SLOW	assert	it asks for the ranges if any is open
 *	FAST_UNWRITTEN	assert	the history is written whether or not one installs
 *	FAST_NO_LIMIT	assert	starts that are too many are looked for after it was read
 *	FAST_NO_ROOM	assert	nothing that a fault may use is written over
 */
#include "common.pml"

#if defined(FAST_OPEN_LATE) || defined(FAST_SEQ_LATE) || \
	defined(FAST_NO_SLOW) || defined(FAST_UNWRITTEN) || \
	defined(FAST_NO_LIMIT) || defined(FAST_NO_ROOM)
#define FAST
#endif

#ifdef GATHER_UNNOTED
#define GATHER
#endif

#define MMS	2	/* threads of the mm */
#define STARTS	3	/* invalidations of both together */
#define PAGES	(STARTS + 2)
#define HISTORY	1	/* so many starts are remembered */
#if defined(FAST) && !defined(FAST_NO_ROOM)
#define ROOM	(2 * HISTORY)
#else
#define ROOM	HISTORY
#endif

/* The mm */
byte page = 1;		/* what it maps at the address, 0 when it is gone */
byte newest = 1;
bool dirty[PAGES];
bool written[PAGES];
byte quiet;		/* threads that are done */

/* The space */
byte inval_lock;	/* a leaf: what is only looked at under it is one step */
byte seq;
byte open;		/* invalidations of the page that are open */
byte open_any;		/* of any page */
byte installs;
bool history[ROOM];	/* start number n was of our page, at n % ROOM */
bool dead;

/* The MMU */
rwlock mmu_lock;
byte entry;		/* page number, 0 for none */
bool entry_dirty;

#ifdef GATHER
byte gathers;		/* who has emptied entries, and dropped the lock since */
#endif

/* The worker's queue */
byte section_lock;
byte tlb;		/* page number, 0 for none */
bool kernel;		/* the last operation went by kernel address */

/* What is written to it afterwards would be lost. */
inline let_page_go()
{
	assert(!written[page] || dirty[page]);
	written[page] = false;
	dirty[page] = false
}

inline flush_sections()
{
#ifndef NO_DRAIN
	lock(section_lock);
#endif
#ifndef NO_FLUSH
	tlb = 0;
#endif
#ifndef NO_DRAIN
	unlock(section_lock)
#endif
}

/* In long ranges mmu_lock is dropped on the way. */
inline zap_entry()
{
	/* zap: vmmu_zap_locked() */
	write_lock(mmu_lock);
#if defined(GATHER) && !defined(GATHER_UNNOTED)
	others = gathers > 0;
#endif
	found = entry;
#ifndef NO_ZAP
	atomic {
		/* Exchange, and hand over what it says. */
#ifndef NOT_HANDED_OVER
		dirty[entry] = dirty[entry] | entry_dirty;
#endif
		entry = 0;
		entry_dirty = false
	};
#endif
	if
	:: true
	:: true ->
		/* yield: vmmu_iter_yield() */
#ifdef GATHER
		gathers = gathers + (found > 0);
		write_unlock(mmu_lock);
		write_lock(mmu_lock);
		others = others || gathers > (found > 0);
		gathers = gathers - (found > 0)
#else
		write_unlock(mmu_lock);
		write_lock(mmu_lock)
#endif
	fi;
#if defined(FLUSH_LEFT_OUT) || defined(GATHER)
	if
#ifdef GATHER
	:: found || others ->
#else
	:: found ->
#endif
		flush_sections()
	:: else
	fi;
#ifdef GATHER
	others = false;
#endif
#else
	/* flush: vmmu_sections_flush() */
	flush_sections();
#endif
	atomic {
		found = 0;
		write_unlock(mmu_lock)
	}
}

inline count_start()
{
	/* start: vmmu_inval_begin() */
#ifdef FAST
	lock(inval_lock);
#ifndef FAST_UNWRITTEN
	history[seq % ROOM] = hit;
#endif
#ifdef FAST_OPEN_LATE
	seq++;
#endif
	atomic {
		open = open + hit;
		open_any++
	};
#ifndef FAST_OPEN_LATE
	seq++;
#endif
	unlock(inval_lock)
#else
	atomic {
		inval_lock == 0 ->
		if
		:: installs > 0 -> history[seq % ROOM] = hit
		:: else
		fi;
		seq++;
		open = open + hit
	}
#endif
}

proctype mm(byte starts)
{
	byte found;
	bool hit;
#ifdef GATHER
	bool others;
#endif

	do
	:: starts > 0 ->
		starts--;
		if
		:: hit = true
		:: hit = false	/* another page */
		fi;
#ifndef SEQ_LATE
		/* start: vmmu_inval_begin() */
		count_start();
#endif
		if
		:: hit -> zap_entry()
		:: else
		fi;
#ifdef SEQ_LATE
		count_start();
#endif
		if
		:: hit -> atomic {
			let_page_go();
			newest++;
			page = newest
		   }
		:: else
		fi;

		/* end: vmmu_inval_end() */
		atomic {
			inval_lock == 0 ->
#ifdef END_LOST
			open = open - (hit && starts == 0);
#else
			open = open - hit;
#endif
#ifdef FAST
			open_any--;
#endif
			hit = false
		}
	:: else -> break
	od;
	quiet++
#ifndef LIVE
	;
	if
	:: quiet == MMS ->
		/* release: vmmu_release() */
		atomic {
			inval_lock == 0 ->
			dead = true
		};
		zap_entry();
		atomic {
			let_page_go();
			page = 0
		}
	:: else
	fi
#endif
}

inline snapshot_locked()
{
	atomic {
		inval_lock == 0 ->
		snap = seq;
#ifdef NO_OPEN
		refused = dead;
#else
		refused = dead || open > 0;
#endif
#ifndef FAST
		if
		:: refused
		:: else -> installs++
		fi;
#endif
	}
}

/* Only if any range is open, it is looked at under the lock which. */
inline snapshot_fast()
{
#ifdef FAST_SEQ_LATE
	refused = open_any > 0;
	snap = seq;
#else
	snap = seq;
	refused = open_any > 0;
#endif
#ifdef FAST_NO_SLOW
	refused = false
#else
	if
	:: refused -> snapshot_locked()
	:: else
	fi
#endif
}

inline finish_install()
{
	atomic {
		inval_lock == 0 ->
		installs--
	}
}

/* Was one started since that overlaps? */
inline look_since()
{
	if
	:: atomic { seq == snap ->
#ifdef NO_DEAD
		refused = false
#else
		refused = dead
#endif
	   }
#ifdef FAST
	:: else ->
		/* since: vmmu_inval_since() */
		atomic {
			now = seq;
			refused = dead
		};
		if
#ifndef FAST_NO_LIMIT
		:: now - snap > HISTORY -> refused = true
		:: now - snap <= HISTORY ->
#else
		:: now - snap > HISTORY + 1 -> refused = true
		:: now - snap <= HISTORY + 1 ->
#endif
			do
			:: snap + i < now -> atomic {
				refused = refused || history[(snap + i) % ROOM];
				i++
			   }
			:: else -> break
			od;
#ifndef FAST_NO_LIMIT
			refused = refused || seq - snap > HISTORY
#endif
		fi;
		atomic {
			now = 0;
			i = 0
		}
#else
	:: else -> atomic {
		inval_lock == 0 ->
#if defined(NO_CHECK)
		refused = false
#elif defined(NO_LIMIT)
		refused = dead || history[0]
#else
		refused = dead || seq - snap > HISTORY || history[0]
#endif
	   }
#endif
	fi
}

inline fault_in()
{
	/* snapshot: vmmu_install_begin() */
#ifdef FAST
	snapshot_fast();
#else
	snapshot_locked();
#endif
	if
	:: refused
	:: else ->
		/* resolve: vmmu_resolve_pages() */
		found = page;
#ifdef INSTALLS_EARLY
		finish_install();
#endif
#ifdef CHECK_EARLY
		look_since();
		read_lock(mmu_lock);
#else
		/* check: vmmu_install_refused() */
		read_lock(mmu_lock);
		look_since();
#endif
#ifdef MAP_UNLOCKED
		read_unlock(mmu_lock);
#endif
		/* map: vmmu_map_first() */
		atomic {
			if
			:: !refused && entry == 0 -> entry = found
			:: else
			fi;
			found = 0
		};
#ifndef MAP_UNLOCKED
		read_unlock(mmu_lock)
#endif
#if !defined(FAST) && !defined(INSTALLS_EARLY)
		; finish_install()
#endif
	fi;
	atomic {
		snap = 0;
		refused = false
	}
}

/* Into "found": the page, if the entry has one and it could be marked. */
inline look_up_entry()
{
	found = entry;
#ifndef DIRTY_AFTER
	if
	:: found ->
#ifdef PLAIN_STORE
		entry = found;
		entry_dirty = true
#else
		/* mark: vmmu_leaf_set_bits() */
		atomic {
			if
			:: entry == found -> entry_dirty = true
			:: else -> found = 0
			fi
		}
#endif
	:: else
	fi
#endif
}

inline write_page()
{
	assert(found == page);
	written[found] = true;
	/* The burst goes on. */
	assert(found == page);
#ifdef DIRTY_AFTER
	atomic {
		if
		:: entry == found -> entry_dirty = true
		:: else
		fi
	}
#endif
}

active proctype worker()
{
	byte found, snap;
	bool refused;
#ifdef FAST
	byte now, i;
#endif

	run mm(STARTS - 1);
	run mm(1);
	do
	:: true ->
		/* section: vmq_section_try_begin() */
		lock(section_lock);
#ifdef MMU_IN_SECTION
		read_lock(mmu_lock);
		read_unlock(mmu_lock);
#endif
		found = tlb;
		if
		:: found == 0 ->
			/* walk: vmq_tlb_miss() */
			look_up_entry();
#ifdef TLB_UNLOCKED
			unlock(section_lock);
			lock(section_lock);
#endif
			/* fill: tlb_fill() */
			tlb = found
		:: else
		fi;
		if
		:: found ->
			/* use: vmq_tlb_find() */
			write_page();
			found = 0;
			unlock(section_lock);
			kernel = true
		:: else ->
			unlock(section_lock);
			kernel = false;
			fault_in()
		fi
	od
}

/* A reader's access */
active proctype reader()
{
	byte found, snap;
	bool refused;
#ifdef FAST
	byte now, i;
#endif

	do
	:: true ->
		/* access: access_direct() */
		read_lock(mmu_lock);
		found = entry;
		if
		:: found ->
			entry_dirty = true;
			write_page()
		:: else
		fi;
		read_unlock(mmu_lock);
		if
		:: found -> found = 0
		:: else -> fault_in()
		fi
	od
}

#ifdef LIVE
/* No fallback for ever. */
ltl quiet_means_kernel { [] (quiet == MMS -> <> [] kernel) }
#endif
