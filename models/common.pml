/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks, for all models.  Whoever releases a lock must hold it.  A lock that is
 * free may be taken by anybody who waits for it, in any order.
 */

typedef rwlock {
	byte readers;
	byte writer
}

/* Spinlocks and mutexes: the number of the holder, or 0 */
#define lock(l)		atomic { l == 0 -> l = _pid + 1 }
#define unlock(l)	atomic { assert(l == _pid + 1); l = 0 }

#define read_lock(l)	atomic { l.writer == 0 -> l.readers++ }
#define read_unlock(l)	atomic { assert(l.readers > 0); l.readers-- }
#define write_lock(l) \
	atomic { l.writer == 0 && l.readers == 0 -> l.writer = _pid + 1 }
#define write_unlock(l)	atomic { assert(l.writer == _pid + 1); l.writer = 0 }
