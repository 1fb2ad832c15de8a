/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Load for the tests of the MMU: threads that repeat a step, bitmaps, a storm
 * of invalidations, and the hooks of a debug kernel that make races certain.
 */
#ifndef MMU_LOAD_H
#define MMU_LOAD_H

#include <errno.h>
#include "mmu.h"
#include "sys.h"
#include "vhost_test.h"

/* 4K pages in a huge page. */
#define ML_HUGE_PAGES	512UL

/* ------------------------------------------------------------- threads */

/*
 * A thread that calls step(arg) until it is stopped or a step returns an
 * error, which ml_stop() hands on.
 */
struct ml_thread {
	_Atomic uint64_t steps;
	_Atomic int error;
	_Atomic bool stop;
	_Atomic bool pause;
	_Atomic bool paused;
	int (*step)(void *arg);
	void *arg;
	bool running;
	pthread_t id;
};

int ml_start(struct ml_thread *t, int (*step)(void *), void *arg);
int ml_stop(struct ml_thread *t);
/* When this returns no step is under way, and none will be until resumed. */
void ml_pause(struct ml_thread *t);
void ml_resume(struct ml_thread *t);
/* Wait until @n more steps were made; -ETIMEDOUT, or the error of a step. */
int ml_wait(struct ml_thread *t, uint64_t n);

/* ------------------------------------------------------------- bitmaps */

static inline size_t ml_bitmap_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

static inline void ml_clear(uint64_t *map, uint64_t bit)
{
	map[bit / 64] &= ~(1ULL << bit % 64);
}

/* Bits set among the first @bits. */
uint64_t ml_weight(const uint64_t *map, uint64_t bits);

/* ---------------------------------------------------------------- hooks */

/*
 * An invalidation of the whole address space, held open for some time by a
 * thread of its own (debug kernels only).
 */
struct ml_hold {
	unsigned int ms;
	/* not before this was it closed */
	uint64_t end_ns;
	_Atomic bool go;
	_Atomic bool done;
	int error;
	pthread_t id;
};

/* Does the kernel have the module parameter? */
bool ml_have_param(const char *name);
/*
 * Returns when the invalidation is open, most of @ms before its end; on a busy
 * machine it is held open for longer. -ENOENT without the hook.
 */
int ml_hold_start(struct ml_hold *h, int stats, unsigned int ms);
int ml_hold_wait(struct ml_hold *h);

/* ------------------------------------------------------------ statistics */

/* The change of a statistic since its value was *@since. */
uint64_t ml_delta(int stats, const char *name, uint64_t since);

/* Tables for [gpa, gpa + pages): the root, and those of 512G, 1G and 2M. */
uint64_t ml_tables(uint64_t gpa, uint64_t pages, bool huge);

#endif
