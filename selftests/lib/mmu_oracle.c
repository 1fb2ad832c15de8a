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
	[MO_ANON] = "anon",
	[MO_THP] = "thp",
	[MO_MEMFD] = "memfd",
	[MO_HUGETLB] = "hugetlb",
	[MO_HUGEFD] = "hugetlb memfd",
	[MO_PRIVATE] = "private file",
};

const char *mo_name(enum mo_backing backing)
{
	return names[backing];
}

static bool is_hugetlb(enum mo_backing backing)
{
	return backing == MO_HUGETLB || backing == MO_HUGEFD;
}

size_t mo_len(enum mo_backing backing)
{
	if (is_hugetlb(backing))
		return VT_HUGE_SIZE;
	return backing == MO_THP ? VT_HUGE_SIZE : 64 * VT_PAGE;
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

static const char *open_backing(struct mo_area *a)
{
	switch (a->backing) {
	case MO_MEMFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC);
		break;
	case MO_HUGEFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB);
		break;
	case MO_PRIVATE:
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

int mo_remap(struct mo_area *a)
{
	int flags = MAP_FIXED;

	flags |= a->backing == MO_MEMFD || a->backing == MO_HUGEFD ?
		 MAP_SHARED : MAP_PRIVATE;
	if (a->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (a->backing == MO_HUGETLB)
		flags |= MAP_HUGETLB;
	if (mmap(a->base, a->len, PROT_READ | PROT_WRITE, flags, a->fd, 0) !=
	    a->base)
		return -errno;
	if (a->backing == MO_THP)
		madvise(a->base, a->len, MADV_HUGEPAGE);
	else if (!is_hugetlb(a->backing))
		madvise(a->base, a->len, MADV_NOHUGEPAGE);
	return 0;
}

/* Fault all pages in without writing to the file. */
static void touch(struct mo_area *a)
{
	size_t i;

	for (i = 0; i < a->pages; i++) {
		volatile char *p = a->base + i * VT_PAGE;

		if (a->backing == MO_PRIVATE)
			*p;
		else
			*p = 0;
	}
}

const char *mo_alloc(struct mo_area *a, enum mo_backing backing, size_t len)
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
	r = mo_remap(a);
	if (r)
		return is_hugetlb(backing) ? "no huge pages" : "cannot map it";
	touch(a);
	if (backing == MO_THP && !vt_is_thp(a->base, a->len) && mo_collapse(a))
		return "cannot get transparent huge pages";
	return NULL;
}

const char *mo_open(struct mo_area *a, enum mo_backing backing)
{
	const char *why;
	int r;

	memset(a, 0, sizeof(*a));
	if (!vt_mmu_available())
		return VT_MMU_NO_DEV;
	why = mo_alloc(a, backing, mo_len(backing));
	if (why)
		return why;
	a->mmu = vt_mmu_open();
	a->stats = a->mmu < 0 ? -1 : vt_mmu_stats_open(a->mmu);
	r = a->mmu < 0 ? a->mmu :
	    vt_mmu_slot(a->mmu, 0, 0, MO_GPA, a->base, a->len);
	if (r || a->stats < 0) {
		vt_msg("mmu: cannot set up an MMU: %s", strerror(-r));
		abort();
	}
	return NULL;
}

void mo_close(struct mo_area *a)
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

uint64_t mo_stat(const struct mo_area *a, const char *name)
{
	uint64_t n = vt_mmu_stat(a->stats, name);

	if (n == ~0ULL)
		vt_msg("mmu: no statistic is called %s", name);
	return n;
}

int mo_look(const struct mo_area *a, size_t page, struct vmmu_translate *t)
{
	memset(t, 0, sizeof(*t));
	return vt_mmu_translate(a->mmu, 0, MO_GPA + page * VT_PAGE, t);
}

size_t mo_mapped(const struct mo_area *a)
{
	struct vmmu_translate t;
	size_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += !mo_look(a, i, &t) && t.perms;
	return n;
}

/* --------------------------------------------------------------- stamps */

uint64_t mo_word(uint64_t gen, size_t page, size_t word)
{
	return gen << 40 | (uint64_t)page << 16 | word;
}

/* One page as it has to be. */
static void make_page(struct mo_area *a, uint64_t gen, size_t page, uint64_t *p)
{
	size_t i;

	if (gen != MO_UNWRITTEN) {
		for (i = 0; i < MO_WORDS; i++)
			p[i] = mo_word(gen, page, i);
	} else if (a->backing != MO_PRIVATE ||
		   pread(a->fd, p, VT_PAGE, page * VT_PAGE) != VT_PAGE) {
		memset(p, 0, VT_PAGE);
	}
}

void mo_fill(struct mo_area *a, uint64_t gen)
{
	size_t i;

	for (i = 0; i < a->pages; i++)
		make_page(a, gen, i, (uint64_t *)(a->base + i * VT_PAGE));
}

int mo_fill_mmu(struct mo_area *a, uint64_t gen)
{
	size_t i;
	int r;

	for (i = 0; i < a->pages; i++)
		make_page(a, gen, i, (uint64_t *)(a->buf + i * VT_PAGE));
	r = vt_mmu_write(a->mmu, MO_GPA, a->buf, a->len);
	if (r)
		vt_msg("%s: a write through the MMU: %s", mo_name(a->backing),
		       strerror(-r));
	return r;
}

int mo_check_at(struct mo_area *a, const char *p, uint64_t gen, const char *who)
{
	uint64_t want[MO_WORDS];
	size_t page, i;

	for (page = 0; page < a->pages; page++) {
		const uint64_t *got = (const uint64_t *)(p + page * VT_PAGE);

		make_page(a, gen, page, want);
		if (!memcmp(got, want, VT_PAGE))
			continue;
		for (i = 0; got[i] == want[i]; i++)
			;
		vt_msg("%s: %s has %#llx in page %zu word %zu, not %#llx (generation %llu)",
		       mo_name(a->backing), who, (unsigned long long)got[i],
		       page, i, (unsigned long long)want[i],
		       (unsigned long long)gen);
		return -EBADMSG;
	}
	return 0;
}

int mo_check(struct mo_area *a, uint64_t gen)
{
	return mo_check_at(a, a->base, gen, "the process");
}

int mo_check_mmu(struct mo_area *a, uint64_t gen)
{
	int r;

	memset(a->buf, 0xee, a->len);
	r = vt_mmu_read(a->mmu, MO_GPA, a->buf, a->len);
	if (r) {
		vt_msg("%s: a read through the MMU: %s", mo_name(a->backing),
		       strerror(-r));
		return r;
	}
	return mo_check_at(a, a->buf, gen, "the MMU");
}

/* ----------------------------------------------------------------- live */

/* Each thread's word is in a cache line of its own, the last near the end. */
static size_t lane_off(unsigned int lane)
{
	return lane == MO_THREADS - 1 ? VT_PAGE - 8 : 8 + lane * 576;
}

static void bad(struct mo_live *l, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void bad(struct mo_live *l, const char *fmt, ...)
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
static int own_access(struct mo_live *l, const int *pipe, void *addr,
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
static void check_own(struct mo_live *l, int fd, const int *pipe, size_t n,
		      unsigned int lane, bool mmu)
{
	size_t off = n * l->stride * VT_PAGE + lane_off(lane);
	uint64_t epoch = atomic_load(&l->epoch);
	uint64_t v = atomic_load(&l->begun[n][lane]) + 1, got = 0;
	uint64_t gpa = MO_GPA + off;
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
static void check_other(struct mo_live *l, int fd, size_t n, unsigned int lane)
{
	size_t off = n * l->stride * VT_PAGE + lane_off(lane);
	uint64_t epoch = atomic_load(&l->epoch);
	uint64_t lo = atomic_load(&l->done[n][lane]), hi, got = 0;
	int r = vt_mmu_read64(fd, MO_GPA + off, &got);

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
	struct mo_live *l;
	unsigned int lane;
};

static void *live_thread(void *data)
{
	struct live_arg arg = *(struct live_arg *)data;
	struct mo_live *l = arg.l;
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
			check_other(l, fd, n, (arg.lane + 1) % MO_THREADS);
		atomic_fetch_add(&l->checks, 1);
	}
	if (arg.lane)
		close(fd);
	close(pipe[0]);
	close(pipe[1]);
	return NULL;
}

int mo_live_start(struct mo_live *l, struct mo_area *a)
{
	unsigned int lane;
	size_t n;

	l->a = a;
	l->pages = a->pages < MO_LIVE_PAGES ? a->pages : MO_LIVE_PAGES;
	l->stride = a->pages / l->pages;
	for (n = 0; n < l->pages; n++) {
		uint64_t page[MO_WORDS];

		make_page(a, MO_UNWRITTEN, n * l->stride, page);
		for (lane = 0; lane < MO_THREADS; lane++)
			l->unwritten[n][lane] = page[lane_off(lane) / 8];
	}
	for (lane = 0; lane < MO_THREADS; lane++) {
		struct live_arg *arg = malloc(sizeof(*arg));

		*arg = (struct live_arg){ l, lane };
		if (pthread_create(&l->thread[lane], NULL, live_thread, arg))
			return -EAGAIN;
	}
	return 0;
}

void mo_live_begin(struct mo_live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

void mo_live_end(struct mo_live *l)
{
	atomic_fetch_add(&l->epoch, 1);
}

int mo_live_wait(struct mo_live *l, uint64_t n)
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

int mo_live_stop(struct mo_live *l)
{
	unsigned int lane;

	atomic_store(&l->stop, true);
	for (lane = 0; lane < MO_THREADS; lane++)
		pthread_join(l->thread[lane], NULL);
	if (!atomic_load(&l->errors))
		return 0;
	vt_msg("%s: %llu of %llu checks failed, the first: %s",
	       mo_name(l->a->backing), (unsigned long long)l->errors,
	       (unsigned long long)l->checks, l->first_error);
	return -EBADMSG;
}
