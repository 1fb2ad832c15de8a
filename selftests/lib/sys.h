/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a test asks the system about its own memory, and what it sets up in the
 * system: pages and their state, files of /proc and /sys, swap, children.
 * Nothing here knows of vhost, rings or MMUs.
 */
#ifndef VHOST_TEST_SYS_H
#define VHOST_TEST_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VT_PAGE			4096UL
#define VT_HUGE_SIZE		(2UL << 20)
/* pages in a huge page */
#define VT_HUGE_PAGES		(VT_HUGE_SIZE / VT_PAGE)

/* --------------------------------------------------------------- pages */

/* Bits of /proc/self/pagemap and of /proc/kpageflags. */
#define VT_PM_SOFT_DIRTY	55
#define VT_PM_SWAP		62
#define VT_PM_PRESENT		63
#define VT_KPF_THP		22

uint64_t vt_pagemap(const void *addr);
/* The page frame, 0 if none is mapped. */
uint64_t vt_pfn(const void *addr);
bool vt_kpageflag(const void *addr, unsigned int bit);
/* Is every page of a range in a transparent huge page that is mapped whole? */
bool vt_is_thp(const void *p, size_t len);
/* Where two areas differ, or -1. */
long vt_differ(const char *a, const char *b, size_t len);

/*
 * Keeps the pages that are mapped at an address now, so that the test can look
 * at them after they were unmapped or replaced.
 */
struct vt_held_pages {
	int pipe[2];
	size_t len;
	char *then;
};

int vt_hold_pages(struct vt_held_pages *h, const void *addr, size_t len);
/* Have the pages changed since? 0, or -EBADMSG; lets go of them. */
int vt_check_held_pages(struct vt_held_pages *h);

/* -------------------------------------------------------------- reclaim */

/* Swap on zram, or any swap that is there. NULL, or why there is none. */
const char *vt_swap_on(void);
/*
 * Reclaim takes no page that waits in some CPU's list for a place on the LRU,
 * as a page just faulted in does. Drain those lists.
 */
void vt_drain_lru(void);
/*
 * Reclaim comes in two kinds, which note in their own ways that a page was
 * used. A mask of 0 selects the classic one, VT_LRU_GEN the multi-generational
 * one if the kernel has it. Returns the previous mask, to be set again.
 */
#define VT_LRU_GEN		7
unsigned int vt_set_lru_gen(unsigned int mask);
/*
 * Automatic NUMA balancing takes mappings away at times of its own, which
 * spoils whatever a test counts. It stays off once it was turned off.
 */
void vt_numa_balancing_off(void);

/* ---------------------------------------------------- files and children */

int vt_write_file(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The number in a file; a negative errno. */
long long vt_read_number(const char *path);
/* Wait until a child ended; its status, or -ETIMEDOUT. */
int vt_wait_child(pid_t pid, int timeout_ms);
void vt_sleep_ms(unsigned int ms);

/* ---------------------------------------------------------------- speed */

/* Is this a debug kernel (KASAN or lockdep), on which tests do less? */
bool vt_slow(void);
/* @fast, or on a slow kernel an eighth of it, at least 1. */
unsigned int vt_scale(unsigned int fast);

static inline uint64_t vt_by_speed(uint64_t fast, uint64_t slow)
{
	return vt_slow() ? slow : fast;
}

/* Is VT_FULL=1 set: run what is left out by default? */
bool vt_full(void);

/* Random numbers for one thread; the seed must not be 0. */
static inline uint64_t vt_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
