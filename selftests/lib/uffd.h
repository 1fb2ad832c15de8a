/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that serve the faults of an area as the monitor of a userfaultfd. */
#ifndef VHOST_TEST_UFFD_H
#define VHOST_TEST_UFFD_H

#include <pthread.h>
#include <stdatomic.h>

#include "area.h"

#define VT_UFFD_THREADS		2

struct vt_uffd {
	int fd;
	struct vt_area *a;
	/* what missing pages are filled with, as long as the area */
	char *src;
	/* faults: served, for writing, resolved by another handler */
	_Atomic uint64_t faults;
	_Atomic uint64_t writes;
	_Atomic uint64_t existed;

	/* private */
	_Atomic bool stop;
	unsigned int threads;
	pthread_t thread[VT_UFFD_THREADS];
};

/* Watch the area of @a. NULL, or why not. */
const char *vt_uffd_open(struct vt_uffd *u, struct vt_area *a,
			 uint64_t features, uint64_t mode);
/* Serve the faults from now on. */
int vt_uffd_serve(struct vt_uffd *u);
int vt_uffd_protect(struct vt_uffd *u);
void vt_uffd_close(struct vt_uffd *u);

#endif
