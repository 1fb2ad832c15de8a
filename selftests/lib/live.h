/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that write an area one way and read it the other, by the process and
 * through the MMU, without a pause, while the test changes the memory.
 */
#ifndef VHOST_TEST_LIVE_H
#define VHOST_TEST_LIVE_H

#include <pthread.h>
#include <stdatomic.h>

#include "area.h"

#define VT_LIVE_THREADS		3
#define VT_LIVE_PAGES		64

struct vt_live {
	struct vt_area *a;
	/* the changes lose what was written */
	bool loses;
	/* during the changes memory cannot be accessed, or not written */
	bool breaks;

	/* odd while a change is going on */
	_Atomic uint64_t epoch;
	_Atomic uint64_t checks;
	_Atomic uint64_t errors;
	char first_error[256];

	/* private */
	_Atomic bool stop;
	size_t pages;
	size_t stride;
	pthread_t thread[VT_LIVE_THREADS];
	/* every word has one writer: the bounds of what others may see of it */
	_Atomic uint64_t begun[VT_LIVE_PAGES][VT_LIVE_THREADS];
	_Atomic uint64_t done[VT_LIVE_PAGES][VT_LIVE_THREADS];
	uint64_t unwritten[VT_LIVE_PAGES][VT_LIVE_THREADS];
};

int vt_live_start(struct vt_live *l, struct vt_area *a);
/* Around each change that loses or breaks. */
void vt_live_begin(struct vt_live *l);
void vt_live_end(struct vt_live *l);
/* Wait for @n more checks. -EBADMSG if one failed, -ETIMEDOUT. */
int vt_live_wait(struct vt_live *l, uint64_t n);
/* 0, or -EBADMSG and a message. */
int vt_live_stop(struct vt_live *l);

#endif
