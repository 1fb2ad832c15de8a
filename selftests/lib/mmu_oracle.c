// SPDX-License-Identifier: GPL-2.0
/* Memory with stamps, and threads that check it under changes. */
#include "mmu_oracle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A file that every machine has, long enough, and on no memory file system. */
#define FILE_PATH	"/bin/bash"

static const char *const names[] = {
	[VT_AREA_ANON] = "anon",
	[VT_AREA_THP] = "thp",
	[VT_AREA_MEMFD] = "memfd",
	[VT_AREA_HUGETLB] = "hugetlb",
	[VT_AREA_HUGEFD] = "hugetlb memfd",
	[VT_AREA_PRIVATE] = "private file",
};

const char *vt_area_name(enum vt_area_backing backing)
{
	return names[backing];
}

static bool is_hugetlb(enum vt_area_backing backing)
{
	return backing == VT_AREA_HUGETLB || backing == VT_AREA_HUGEFD;
}

size_t vt_area_len(enum vt_area_backing backing)
{
	if (is_hugetlb(backing))
		return VT_HUGE_SIZE;
	return backing == VT_AREA_THP ? VT_HUGE_SIZE : 64 * VT_PAGE;
}

/* ---------------------------------------------------------------- areas */

/* Address space of @len at a multiple of 2M. */
static char *reserve(size_t len)
{
	char *p = mmap(NULL, len + VT_HUGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return (char *)(((uintptr_t)p + VT_HUGE_SIZE - 1) &
			~(VT_HUGE_SIZE - 1));
}

/* For the area, for copies of it, and for each node to take it in. */
#define HUGE_PAGES	12

static const char *open_backing(struct vt_area *a)
{
	switch (a->backing) {
	case VT_AREA_MEMFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC);
		break;
	case VT_AREA_HUGEFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB);
		break;
	case VT_AREA_PRIVATE:
		a->fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
		if (a->fd < 0 || lseek(a->fd, 0, SEEK_END) < (off_t)a->len)
			return "no " FILE_PATH " of some length";
		return NULL;
	default:
		return NULL;
	}
	if (a->fd < 0 || ftruncate(a->fd, a->len))
		return "cannot create a memfd";
	return NULL;
}

int vt_area_remap(struct vt_area *a)
{
	int flags = MAP_FIXED;

	flags |= a->backing == VT_AREA_MEMFD || a->backing == VT_AREA_HUGEFD ?
		 MAP_SHARED : MAP_PRIVATE;
	if (a->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (a->backing == VT_AREA_HUGETLB)
		flags |= MAP_HUGETLB;
	if (mmap(a->base, a->len, PROT_READ | PROT_WRITE, flags, a->fd, 0) !=
	    a->base)
		return -errno;
	if (a->backing == VT_AREA_THP)
		madvise(a->base, a->len, MADV_HUGEPAGE);
	else if (!is_hugetlb(a->backing))
		madvise(a->base, a->len, MADV_NOHUGEPAGE);
	return 0;
}

/* Fault all pages in without writing to the file. */
static void touch(struct vt_area *a)
{
	size_t i;

	for (i = 0; i < a->pages; i++) {
		volatile char *p = a->base + i * VT_PAGE;

		if (a->backing == VT_AREA_PRIVATE)
			*p;
		else
			*p = 0;
	}
}

const char *vt_area_alloc(struct vt_area *a, enum vt_area_backing backing,
			  size_t len)
{
	const char *why;
	int r;

	memset(a, 0, sizeof(*a));
	a->backing = backing;
	a->fd = a->mmu = a->stats = -1;
	vt_numa_balancing_off();
	a->len = len;
	a->pages = a->len / VT_PAGE;
	a->base = reserve(a->len);
	a->scratch = reserve(a->len);
	a->buf = malloc(a->len);
	if (is_hugetlb(backing))
		vt_write_file("/proc/sys/vm/nr_hugepages", "%d\n", HUGE_PAGES);
	why = open_backing(a);
	if (why)
		return why;
	r = vt_area_remap(a);
	if (r)
		return is_hugetlb(backing) ? "no huge pages" : "cannot map it";
	touch(a);
	if (backing == VT_AREA_THP && !vt_is_thp(a->base, a->len) &&
	    vt_change_collapse(a))
		return "cannot get transparent huge pages";
	return NULL;
}

const char *vt_area_open(struct vt_area *a, enum vt_area_backing backing)
{
	const char *why;
	int r;

	memset(a, 0, sizeof(*a));
	if (!vt_mmu_available())
		return VT_MMU_NO_DEV;
	why = vt_area_alloc(a, backing, vt_area_len(backing));
	if (why)
		return why;
	a->mmu = vt_mmu_open();
	a->stats = a->mmu < 0 ? -1 : vt_mmu_stats_open(a->mmu);
	r = a->mmu < 0 ? a->mmu :
	    vt_mmu_slot(a->mmu, 0, 0, VT_AREA_GPA, a->base, a->len);
	if (r || a->stats < 0) {
		vt_msg("mmu: cannot set up an MMU: %s", strerror(-r));
		abort();
	}
	return NULL;
}

void vt_area_close(struct vt_area *a)
{
	if (!a->base)
		return;
	if (a->stats >= 0)
		close(a->stats);
	if (a->mmu >= 0)
		close(a->mmu);
	munmap(a->base, a->len);
	if (a->fd >= 0)
		close(a->fd);
	free(a->buf);
	memset(a, 0, sizeof(*a));
}

uint64_t vt_area_stat(const struct vt_area *a, const char *name)
{
	uint64_t n = vt_mmu_stat(a->stats, name);

	if (n == ~0ULL)
		vt_msg("mmu: no statistic is called %s", name);
	return n;
}

int vt_area_look(const struct vt_area *a, size_t page, struct vmmu_translate *t)
{
	memset(t, 0, sizeof(*t));
	return vt_mmu_translate(a->mmu, 0, VT_AREA_GPA + page * VT_PAGE, t);
}

size_t vt_area_mapped(const struct vt_area *a)
{
	struct vmmu_translate t;
	size_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += !vt_area_look(a, i, &t) && t.perms;
	return n;
}

/* --------------------------------------------------------------- stamps */

uint64_t vt_area_word(uint64_t gen, size_t page, size_t word)
{
	return gen << 40 | (uint64_t)page << 16 | word;
}

/* One page as it has to be. */
static void make_page(struct vt_area *a, uint64_t gen, size_t page, uint64_t *p)
{
	size_t i;

	if (gen != VT_AREA_UNWRITTEN) {
		for (i = 0; i < VT_AREA_WORDS; i++)
			p[i] = vt_area_word(gen, page, i);
	} else if (a->backing != VT_AREA_PRIVATE ||
		   pread(a->fd, p, VT_PAGE, page * VT_PAGE) != VT_PAGE) {
		memset(p, 0, VT_PAGE);
	}
}

void vt_area_fill(struct vt_area *a, uint64_t gen)
{
	size_t i;

	for (i = 0; i < a->pages; i++)
		make_page(a, gen, i, (uint64_t *)(a->base + i * VT_PAGE));
}

int vt_area_fill_mmu(struct vt_area *a, uint64_t gen)
{
	size_t i;
	int r;

	for (i = 0; i < a->pages; i++)
		make_page(a, gen, i, (uint64_t *)(a->buf + i * VT_PAGE));
	r = vt_mmu_write(a->mmu, VT_AREA_GPA, a->buf, a->len);
	if (r)
		vt_msg("%s: a write through the MMU: %s",
		       vt_area_name(a->backing), strerror(-r));
	return r;
}

int vt_area_check_at(struct vt_area *a, const char *p, uint64_t gen,
		     const char *who)
{
	uint64_t want[VT_AREA_WORDS];
	size_t page, i;

	for (page = 0; page < a->pages; page++) {
		const uint64_t *got = (const uint64_t *)(p + page * VT_PAGE);

		make_page(a, gen, page, want);
		if (!memcmp(got, want, VT_PAGE))
			continue;
		for (i = 0; got[i] == want[i]; i++)
			;
		vt_msg("%s: %s has %#llx in page %zu word %zu, not %#llx (generation %llu)",
		       vt_area_name(a->backing), who,
		       (unsigned long long)got[i], page, i,
		       (unsigned long long)want[i], (unsigned long long)gen);
		return -EBADMSG;
	}
	return 0;
}

int vt_area_check(struct vt_area *a, uint64_t gen)
{
	return vt_area_check_at(a, a->base, gen, "the process");
}

int vt_area_check_mmu(struct vt_area *a, uint64_t gen)
{
	int r;

	memset(a->buf, 0xee, a->len);
	r = vt_mmu_read(a->mmu, VT_AREA_GPA, a->buf, a->len);
	if (r) {
		vt_msg("%s: a read through the MMU: %s",
		       vt_area_name(a->backing), strerror(-r));
		return r;
	}
	return vt_area_check_at(a, a->buf, gen, "the MMU");
}

/* ----------------------------------------------------------------- live */

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
	bad(l, "page %zu: the MMU read %llu of what had been %llu and went to %llu",
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

		make_page(a, VT_AREA_UNWRITTEN, n * l->stride, page);
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
	uint64_t end = vt_now_ns() + VT_TIMEOUT * 1000000ULL;

	while (atomic_load(&l->checks) < want) {
		if (atomic_load(&l->errors))
			return -EBADMSG;
		if (vt_now_ns() > end)
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
