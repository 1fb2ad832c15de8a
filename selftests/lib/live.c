// SPDX-License-Identifier: GPL-2.0
/* Threads that check an area under changes. */
#include "live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Each thread's word is in a cache line of its own, the last near the end. */
static size_t lane_off(unsigned int lane)
{
	return lane == VT_LIVE_THREADS - 1 ? VT_PAGE - 8 : 8 + lane * 576;
}

static void bad(struct vt_live *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void bad(struct vt_live *l, const char *fmt, ...)
{
	va_list ap;

	if (atomic_fetch_add(&l->errors, 1))
		return;
	va_start(ap, fmt);
	vsnprintf(l->first_error, sizeof(l->first_error), fmt, ap);
	va_end(ap);
}

/*
 * The process's own access; where memory may be gone, one that can fail: the
 * kernel copies between a pipe and the memory.
 */
static int own_access(struct vt_live *l, const int *pipe, void *addr,
		      uint64_t *val, bool write_it)
{
	uint64_t rest;

	if (!l->breaks) {
		volatile uint64_t *p = addr;

		if (write_it)
			*p = *val;
		else
			*val = *p;
		return 0;
	}
	if (write(pipe[1], write_it ? val : addr, 8) != 8)
		return -errno;
	if (read(pipe[0], write_it ? addr : val, 8) == 8)
		return 0;
	/* it still is in the pipe */
	return read(pipe[0], &rest, 8) == 8 ? -EFAULT : -EIO;
}

/* Write one way, read the other: nobody else writes this word. */
static void check_own(struct vt_live *l, int fd, const int *pipe, size_t n,
		      unsigned int lane, bool mmu)
{
	size_t off = n * l->stride * VT_PAGE + lane_off(lane);
	uint64_t epoch = atomic_load(&l->epoch);
	uint64_t v = atomic_load(&l->begun[n][lane]) + 1, got = 0;
	uint64_t gpa = VT_AREA_GPA + off;
	char *hva = l->a->base + off;
	bool stable;
	int r, w;

	atomic_store(&l->begun[n][lane], v);
	if (mmu) {
		w = vt_mmu_write64(fd, gpa, v);
		r = w ? w : own_access(l, pipe, hva, &got, false);
	} else {
		w = own_access(l, pipe, hva, &v, true);
		r = w ? w : vt_mmu_read64(fd, gpa, &got);
	}
	stable = !(epoch & 1) && atomic_load(&l->epoch) == epoch;
	if (r && (stable || !l->breaks || r != -EFAULT))
		bad(l, "page %zu: %s by the %s: %s", n * l->stride,
		    w ? "writing" : "reading", mmu == !!w ? "MMU" : "process",
		    strerror(-r));
	if (!r && got != v && (stable || !l->loses))
		bad(l, "page %zu: the %s wrote %llu, the %s read %llu",
		    n * l->stride, mmu ? "MMU" : "process",
		    (unsigned long long)v, mmu ? "process" : "MMU",
		    (unsigned long long)got);
	if (!w)
		atomic_store(&l->done[n][lane], v);
}

/* Read what others write: nothing older than when the reading began. */
static void check_other(struct vt_live *l, int fd, size_t n, unsigned int lane)
{
	size_t off = n * l->stride * VT_PAGE + lane_off(lane);
	uint64_t epoch = atomic_load(&l->epoch);
	uint64_t lo = atomic_load(&l->done[n][lane]), hi, got = 0;
	int r = vt_mmu_read64(fd, VT_AREA_GPA + off, &got);

	hi = atomic_load(&l->begun[n][lane]);
	if (r) {
		if (!l->breaks || r != -EFAULT ||
		    (!(epoch & 1) && atomic_load(&l->epoch) == epoch))
			bad(l, "page %zu: reading: %s", n * l->stride,
			    strerror(-r));
		return;
	}
	if (got >= lo && got <= hi)
		return;
	/* nothing was written there, or what was written is lost */
	if ((!lo || l->loses) && got == l->unwritten[n][lane])
		return;
	bad(l,
	    "page %zu: the MMU read %llu of what had been %llu and went to %llu",
	    n * l->stride, (unsigned long long)got, (unsigned long long)lo,
	    (unsigned long long)hi);
}

struct live_arg {
	struct vt_live *l;
	unsigned int lane;
};

static void *live_thread(void *data)
{
	struct live_arg arg = *(struct live_arg *)data;
	struct vt_live *l = arg.l;
	unsigned int seed = arg.lane + 1;
	int fd = l->a->mmu, pipe[2];

	free(data);
	if (pipe2(pipe, O_CLOEXEC))
		bad(l, "no pipe: %m");
	/* some go by a reader, as vCPUs would */
	if (arg.lane) {
		fd = vt_mmu_create_reader(l->a->mmu);
		if (fd < 0)
			bad(l, "no reader: %s", strerror(-fd));
	}
	while (!atomic_load(&l->stop)) {
		size_t n = (size_t)rand_r(&seed) % l->pages;
		unsigned int what = rand_r(&seed) % 4;

		if (what < 3)
			check_own(l, fd, pipe, n, arg.lane, what & 1);
		else
			check_other(l, fd, n, (arg.lane + 1) % VT_LIVE_THREADS);
		atomic_fetch_add(&l->checks, 1);
	}
	if (arg.lane)
		close(fd);
	close(pipe[0]);
	close(pipe[1]);
	return NULL;
}

int vt_live_start(struct vt_live *l, struct vt_area *a)
{
	unsigned int lane;
	size_t n;

	l->a = a;
	l->pages = a->pages < VT_LIVE_PAGES ? a->pages : VT_LIVE_PAGES;
	l->stride = a->pages / l->pages;
	for (n = 0; n < l->pages; n++) {
		uint64_t page[VT_AREA_WORDS];

		vt_area_make_page(a, VT_AREA_UNWRITTEN, n * l->stride, page);
		for (lane = 0; lane < VT_LIVE_THREADS; lane++)
			l->unwritten[n][lane] = page[lane_off(lane) / 8];
	}
	for (lane = 0; lane < VT_LIVE_THREADS; lane++) {
		struct live_arg *arg = malloc(sizeof(*arg));

		*arg = (struct live_arg){ l, lane };
		if (pthread_create(&l->thread[lane], NULL, live_thread, arg))
			return -EAGAIN;
	}
	return 0;
}

void vt_live_begin(struct vt_live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

void vt_live_end(struct vt_live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

int vt_live_wait(struct vt_live *l, uint64_t n)
{
	uint64_t want = atomic_load(&l->checks) + n;
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;

	while (atomic_load(&l->checks) < want) {
		if (atomic_load(&l->errors))
			return -EBADMSG;
		if (vt_patient_ns() > end)
			return -ETIMEDOUT;
		vt_sleep_ms(1);
	}
	return 0;
}

int vt_live_stop(struct vt_live *l)
{
	unsigned int lane;

	atomic_store(&l->stop, true);
	for (lane = 0; lane < VT_LIVE_THREADS; lane++)
		pthread_join(l->thread[lane], NULL);
	if (!atomic_load(&l->errors))
		return 0;
	vt_msg("%s: %llu of %llu checks failed, the first: %s",
	       vt_area_name(l->a->backing), (unsigned long long)l->errors,
	       (unsigned long long)l->checks, l->first_error);
	return -EBADMSG;
}
