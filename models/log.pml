/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The dirty log of one page: turned on, collected in rounds, and once more when
 * all writes are done.  Documentation/protocol.rst, "Dirty log".
 *
 * A vCPU writes through the entry, and in the end makes it writable once more
 * without a write; a worker writes in sections; another thread by user access.
 * What each writes is the number of the write.  Whoever collects copies the page
 * where the log says so.
 *
 * Checked: the last copy has every write; nobody is stuck.
 *
 * Rules, and what spin finds in a model without them:
 *
 *	NO_NOTE		assert	the fault that makes an entry writable notes the page
 *	NOTE_LATE	assert	it does in the same hold of mmu_lock
 *	NO_PROTECT	assert	whoever takes the note write-protects the entry
 *	TAKE_LATE	assert	it does not take the note after it dropped the lock
 *	NO_FLUSH	assert	it makes the soft TLBs forget the page
 *	NO_DRAIN	assert	they do in a hold of the section lock
 *	USER_FIRST	assert	user access notes the page after the write
 *	START_EARLY	assert	faults note pages before the entries are protected
 *	NO_GRACE	assert	and those that do not are waited for
 */
#include "common.pml"

#define WRITES	2	/* of the vCPU, and of the worker */
#define ALL	(2 * WRITES + 1)
#define ROUNDS	2

byte version;		/* what the page holds: so many writes */
byte done;		/* writes that have returned */

rwlock mmu_lock;
mtype = { NONE, READ, WRITE };
mtype entry = NONE;
bool logs;		/* the memslot in the active set has a log */
bool note;

bool in_srcu[3];	/* by the number of the process */
bool awaited[3];

byte section_lock;
bool tlb;		/* the soft TLB has the page, for writing */

/* A fault for writing */
inline make_writable()
{
	/* slot: vmmu_slot_by_gpa() */
	in_srcu[_pid] = true;
	noting = logs;
	read_lock(mmu_lock);
#if !defined(NO_NOTE) && !defined(NOTE_LATE)
	/* note: vmmu_mark_dirty() */
	note = note || noting;
#endif
	/* map: fault_fast() */
	entry = WRITE;
	read_unlock(mmu_lock);
#ifdef NOTE_LATE
	note = note || noting;
#endif
	atomic {
		in_srcu[_pid] = false;
		awaited[_pid] = false;
		noting = false
	}
}

active proctype vcpu()
{
	byte i;
	bool noting;

	do
	:: i < WRITES ->
		/* access: access_direct() */
		read_lock(mmu_lock);
		if
		:: entry == WRITE ->
			version++;
			i++;
			read_unlock(mmu_lock);
			done++
		:: else ->
			read_unlock(mmu_lock);
			make_writable()
		fi
	:: else -> break
	od;
	/* VMMU_POPULATE for writing */
	make_writable()
}

active proctype worker()
{
	byte i;
	bool noting;

	do
	:: i < WRITES ->
		/* section: vmq_section_try_begin() */
		lock(section_lock);
		if
		:: tlb || entry == WRITE ->
			/* fill: vmq_tlb_miss() */
			tlb = true;
			version++;
			i++;
			unlock(section_lock);
			done++
		:: else ->
			unlock(section_lock);
			make_writable()
		fi
	:: else -> break
	od
}

active proctype user()
{
	bool noting;

	/* user: access_user_slot() */
	in_srcu[_pid] = true;
	noting = logs;
#ifdef USER_FIRST
	note = note || noting;
	version++;
#else
	version++;
	/* user_note: vmmu_log_page() */
	note = note || noting;
#endif
	in_srcu[_pid] = false;
	awaited[_pid] = false;
	done++
}

inline flush_sections()
{
	/* flush: vmmu_gather_end() */
#ifndef NO_DRAIN
	lock(section_lock);
#endif
	tlb = false;
#ifndef NO_DRAIN
	unlock(section_lock);
#endif
	skip
}

/* Sections use nothing for writing that an entry does not allow. */
inline write_protect()
{
	/* protect: vmmu_iter_clear_bits() */
	if
#ifndef NO_PROTECT
	:: entry == WRITE ->
		entry = READ;
#ifndef NO_FLUSH
		flush_sections()
#endif
#endif
	:: else
	fi
}

inline turn_on()
{
#ifdef START_EARLY
	write_lock(mmu_lock);
	write_protect();
	write_unlock(mmu_lock);
	logs = true;
	wait_for_faults();
#else
	/* swap: slot_change_log() */
	logs = true;
#ifndef NO_GRACE
	wait_for_faults();
#endif
	/* on: vmmu_log_start() */
	write_lock(mmu_lock);
	write_protect();
	write_unlock(mmu_lock)
#endif
}

inline wait_for_faults()
{
	/* grace: synchronize_srcu_expedited() */
	atomic {
		awaited[0] = in_srcu[0];
		awaited[1] = in_srcu[1];
		awaited[2] = in_srcu[2]
	};
	!awaited[0] && !awaited[1] && !awaited[2]
}

inline collect()
{
	/* take: log_take() */
	write_lock(mmu_lock);
	taken = note;
	if
	:: taken ->
#ifndef TAKE_LATE
		note = false;
#endif
		write_protect()
	:: else
	fi;
	write_unlock(mmu_lock);
#ifdef TAKE_LATE
	if
	:: taken -> note = false
	:: else
	fi;
#endif
	if
	:: taken -> copy = version
	:: else
	fi;
	taken = false
}

active proctype migration()
{
	byte i, copy;
	bool taken;

	turn_on();
	/* The first copy is of all pages. */
	copy = version;
	do
	:: i < ROUNDS ->
		i++;
		collect()
	:: else -> break
	od;

	/* The guest stands still. */
	done == ALL;
	collect();
	assert(copy == version)
}
