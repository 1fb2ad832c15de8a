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
 *	NO_SLOW		assert	a fault asks for the ranges if any is open
 *	NO_OPEN		assert	it begins only if none that overlaps is
 *	OPEN_LATE	assert	a start is open before it is counted
 *	SNAPSHOT_LATE	assert	a fault reads the count first, then what is open
 *	NO_CHECK	assert	nothing is mapped if one was started since
 *	CHECK_EARLY	assert	that is looked at under mmu_lock
 *	MAP_UNLOCKED	assert	the entry is made in the same hold
 *	SEQ_LATE	assert	a start is counted before it takes mmu_lock
 *	NO_HISTORY	assert	every start is in the history
 *	NO_LIMIT	assert	starts that are too many to be remembered count
 *	LIMIT_EARLY	assert	they do if they came while the history was read
 *	NO_ROOM		assert	nothing that a fault may use is written over
 *	NO_DEAD		assert	nothing is mapped once the mm is gone
 *	NO_ZAP		assert	the start empties the entry
 *	NO_FLUSH	assert	the soft TLBs forget the page
 *	NO_DRAIN	assert	they do in a hold of the section lock
 *	NOT_COUNTED	assert	who drops mmu_lock before that is counted
 *	FLUSH_LEFT_OUT	assert	who finds the entry empty then flushes all the same
 *	LOOK_ONCE	assert	it looks for others in each hold of mmu_lock
 *	TLB_UNLOCKED	assert	the soft TLB is filled in the section that looked
 *	PLAIN_STORE	assert	the dirty bit is set by compare and exchange
 *	DIRTY_AFTER	assert	a section marks the entry before it writes
 *	NOT_HANDED_OVER	assert	the page is told what was written through an entry
 *	MMU_IN_SECTION	stuck	code in a section never takes mmu_lock
 *	END_LOST	live	every end is counted
 */
#include "common.pml"

#define MMS	2	/* threads of the mm */
#define STARTS	3	/* invalidations of both together */
#define PAGES	(STARTS + 2)
#define HISTORY	1	/* a fault looks back at so many starts */
#ifdef NO_ROOM
#define ROOM	HISTORY
#else
#define ROOM	(2 * HISTORY)	/* so many are remembered */
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
bool history[ROOM];	/* start number n was of our page, at n % ROOM */
bool dead;

/* The MMU */
rwlock mmu_lock;
byte entry;		/* page number, 0 for none */
bool entry_dirty;

byte nr_gathers;	/* who has emptied entries, and dropped the lock since */

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

/* In long ranges, and between sections, mmu_lock is dropped on the way. */
inline drop_lock()
{
	/* yield: vmmu_gather_drop_lock() */
	write_unlock(mmu_lock);
	atomic {
		write_lock(mmu_lock);
#ifdef LOOK_ONCE
		skip
#else
		others = others || nr_gathers > noted
#endif
	}
}

inline zap_entry()
{
	/* gather: vmmu_gather_begin() */
	atomic {
		write_lock(mmu_lock);
		others = nr_gathers > 0
	};
	if
	:: true
	:: true -> drop_lock()
	fi;
	/* zap: vmmu_zap_gather() */
	atomic {
		/* Exchange, and hand over what it says. */
		gathered = entry > 0;
#ifndef NO_ZAP
#ifndef NOT_HANDED_OVER
		dirty[entry] = dirty[entry] | entry_dirty;
#endif
		entry = 0;
		entry_dirty = false
#endif
	};
	/* looked: vmmu_gather_add_looked() */
#ifndef FLUSH_LEFT_OUT
	gathered = gathered || others;
#endif
	if
	:: gathered ->
		if
		:: true
		:: true ->
#ifndef NOT_COUNTED
			/* note: vmmu_gather_drop_lock() */
			noted = true;
			nr_gathers++;
#endif
			drop_lock()
		fi;
		/* flush: vmmu_gather_end() */
		flush_sections()
	:: else
	fi;
	atomic {
		nr_gathers = nr_gathers - noted;
		gathered = false;
		noted = false;
		others = false;
		write_unlock(mmu_lock)
	}
}

/* What faults read meanwhile is written in this order. */
inline count_start()
{
	lock(inval_lock);
#ifndef NO_HISTORY
	history[seq % ROOM] = hit;
#endif
#ifdef OPEN_LATE
	seq++;
#endif
	atomic {
		open = open + hit;
		open_any++
	};
#ifndef OPEN_LATE
	seq++;
#endif
	unlock(inval_lock)
}

proctype mm(byte starts)
{
	bool hit, gathered, noted, others;

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
			if
			:: hit && starts > 0
			:: else ->
				open = open - hit;
				open_any--
			fi;
#else
			open = open - hit;
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

/* Only if any range is open, it is looked at under the lock which. */
inline take_snapshot()
{
#ifdef SNAPSHOT_LATE
	refused = open_any > 0 || dead;
	snap = seq;
#else
	snap = seq;
	refused = open_any > 0 || dead;
#endif
#ifdef NO_SLOW
	refused = false
#else
	if
	:: refused ->
		/* ranges: install_begin_slow() */
		atomic {
			inval_lock == 0 ->
			snap = seq;
#ifdef NO_OPEN
			refused = dead
#else
			refused = dead || open > 0
#endif
		}
	:: else
	fi
#endif
}

#if defined(NO_LIMIT)
#define too_many(now)	false
#else
#define too_many(now)	(now - snap > HISTORY)
#endif

/* Was one started since that overlaps?  No lock keeps the history as it is. */
inline look_since()
{
	/* since: vmmu_inval_since() */
	now = seq;
	if
	:: now == snap ->
#ifdef NO_DEAD
		refused = false
#else
		refused = dead
#endif
#ifndef NO_CHECK
	:: now != snap && too_many(now) -> refused = true
#endif
	:: now != snap && !too_many(now) ->
#ifndef NO_CHECK
		do
		:: snap + i < now -> atomic {
			refused = refused || history[(snap + i) % ROOM];
			i++
		   }
		:: else -> break
		od;
#ifdef LIMIT_EARLY
		refused = refused || dead
#else
		refused = refused || dead || too_many(seq)
#endif
#else
		skip
#endif
	fi;
	atomic {
		now = 0;
		i = 0
	}
}

inline fault_in()
{
	/* snapshot: vmmu_install_begin() */
	take_snapshot();
	if
	:: refused
	:: else ->
		/* resolve: vmmu_resolve_pages() */
		found = page;
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
	byte found, snap, now, i;
	bool refused;

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
	byte found, snap, now, i;
	bool refused;

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
