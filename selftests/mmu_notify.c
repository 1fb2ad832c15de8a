// SPDX-License-Identifier: GPL-2.0
/*
 * What invalidations do to /dev/vhost-mmu, and what they leave alone.
 * Timeout: 120 s
 *
 * The statistics are the oracle: an invalidation beside every memslot takes no
 * lock, one beside the page being faulted in refuses nothing, one over it
 * refuses until it has ended, and not for longer.
 */
#include <kselftest_harness.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>
#include "mmu.h"
#include "mmu_dev.h"
#include "mmu_hold.h"
#include "thread.h"

#define GPA		0x10000000ULL
#define GPA2		0x80000000ULL
#define MS		1000000ULL

struct rig {
	int fd;
	int stats;
	uint64_t pages;
	/* in slot 0 at GPA, and in no slot at first */
	struct vt_mem in;
	struct vt_mem out;
};

static int rig_open(struct rig *rig)
{
	int r;

	vt_numa_balancing_off();
	rig->pages = vt_by_speed(4, 1) * VT_HUGE_PAGES;
	r = vt_mem_alloc_huge(&rig->in, VT_ANON, rig->pages * VT_PAGE) ?:
	    vt_mem_alloc_huge(&rig->out, VT_ANON, rig->pages * VT_PAGE);
	if (r)
		return r;
	rig->fd = vt_mmu_open();
	if (rig->fd < 0)
		return rig->fd;
	rig->stats = vt_mmu_stats_open(rig->fd);
	if (rig->stats < 0)
		return rig->stats;
	return vt_mmu_slot(rig->fd, 0, 0, GPA, rig->in.base, rig->in.len);
}

static void rig_close(struct rig *rig)
{
	if (rig->fd > 0)
		close(rig->fd);
	if (rig->stats > 0)
		close(rig->stats);
	if (rig->in.map)
		vt_mem_free(&rig->in);
	if (rig->out.map)
		vt_mem_free(&rig->out);
}

FIXTURE(notify)
{
	struct rig rig;
};

FIXTURE_SETUP(notify)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(notify)
{
	vt_mmu_set_param("test_force_yield", "0");
	rig_close(&self->rig);
}

static uint64_t *word_at(const struct vt_mem *m, uint64_t page)
{
	return (uint64_t *)((char *)m->base + page * VT_PAGE);
}

static void touch(const struct vt_mem *m, uint64_t step, uint64_t value)
{
	uint64_t p;

	for (p = 0; p < m->len / VT_PAGE; p += step)
		*(volatile uint64_t *)word_at(m, p) = value;
}

/* --------------------------------------------------------------- storms */

enum storm_kind {
	DISCARD,
	PROTECT,
	MAP_AGAIN,
};

struct storm {
	enum storm_kind kind;
	struct vt_mem *mem;
};

static int storm_step(void *arg)
{
	struct storm *s = arg;
	void *base = s->mem->base;
	size_t len = s->mem->len;
	int r = 0;

	/* each may be an invalidation of its own: not too many */
	touch(s->mem, 64, 1);
	switch (s->kind) {
	case DISCARD:
		r = madvise(base, len, MADV_DONTNEED);
		break;
	case PROTECT:
		r = mprotect(base, len, PROT_READ) ?:
		    mprotect(base, len, PROT_READ | PROT_WRITE);
		break;
	case MAP_AGAIN:
		r = munmap(base, len);
		if (mmap(base, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
		    madvise(base, len, MADV_NOHUGEPAGE))
			r = -1;
		break;
	}
	return r ? -errno : 0;
}

struct faulter {
	int fd;
	uint64_t gpa;
	uint64_t pages;
	uint64_t next;
	uint64_t seed;
};

/* One page after the other, each for the first time. */
static int fault_next(void *arg)
{
	struct faulter *f = arg;
	uint64_t gpa = f->gpa + f->next * VT_PAGE, len = VT_PAGE;

	if (f->next == f->pages) {
		usleep(100);
		return 0;
	}
	f->next++;
	return vt_mmu_populate(f->fd, 0, &gpa, &len);
}

/* A random page; what is not mapped at the moment cannot be read. */
static int fault_any(void *arg)
{
	struct faulter *f = arg;
	uint64_t gpa = f->gpa + vt_random(&f->seed) % f->pages * VT_PAGE, word;
	int r = vt_mmu_read64(f->fd, gpa, &word);

	return r == -EFAULT ? 0 : r;
}

FIXTURE(storm)
{
	struct rig rig;
};

FIXTURE_VARIANT(storm)
{
	enum storm_kind kind;
};

FIXTURE_VARIANT_ADD(storm, discard) { .kind = DISCARD };
FIXTURE_VARIANT_ADD(storm, protect) { .kind = PROTECT };
FIXTURE_VARIANT_ADD(storm, map_again) { .kind = MAP_AGAIN };

FIXTURE_SETUP(storm)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(storm)
{
	rig_close(&self->rig);
}

TEST_F_TIMEOUT(storm, elsewhere, 120)
{
	const unsigned int rounds = vt_by_speed(60, 10);
	struct rig *rig = &self->rig;
	struct storm s = { variant->kind, &rig->out };
	struct faulter f = { .fd = rig->fd, .gpa = GPA, .pages = rig->pages };
	uint64_t lock, starts, hits, retried, zapped;
	struct vt_thread faults;
	unsigned int i;

	lock = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	starts = vt_mmu_stat(rig->stats, "notifier_starts");
	hits = vt_mmu_stat(rig->stats, "invalidations");
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	zapped = vt_mmu_stat(rig->stats, "pages_zapped");
	ASSERT_EQ(0, vt_thread_start(&faults, fault_next, &f));
	for (i = 0; i < rounds; i++)
		ASSERT_EQ(0, storm_step(&s));
	EXPECT_EQ(0, vt_thread_stop(&faults));
	EXPECT_LT(0, f.next);
	EXPECT_LE(rounds,
		  vt_mmu_stat_delta(rig->stats, "notifier_starts", starts));
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "mmu_lock_notifier", lock));
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "invalidations", hits));
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped));
	EXPECT_EQ(f.next, vt_mmu_stat(rig->stats, "pages_4k"));
}

/* Has a fault been refused, and has a page been taken back? */
static bool both_met(const struct rig *rig, uint64_t retried, uint64_t zapped)
{
	return vt_mmu_stat_delta(rig->stats, "pf_retried", retried) &&
	       vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped);
}

/* The same over a memslot moves all of it. */
TEST_F_TIMEOUT(storm, over_a_slot, 120)
{
	const unsigned int rounds = vt_by_speed(60, 10);
	struct rig *rig = &self->rig;
	struct storm s = { variant->kind, &rig->in };
	struct faulter f = {
		.fd = rig->fd,
		.gpa = GPA,
		.pages = rig->pages,
		.seed = 3,
	};
	uint64_t lock, hits, retried, zapped, end, word;
	struct vt_thread faults;
	unsigned int i;

	lock = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	hits = vt_mmu_stat(rig->stats, "invalidations");
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	zapped = vt_mmu_stat(rig->stats, "pages_zapped");
	end = vt_patient_ns() + VT_TIMEOUT * MS;
	ASSERT_EQ(0, vt_thread_start(&faults, fault_any, &f));
	/* that one hits the other takes luck: a lot of tries */
	for (i = 0; i < rounds || (!both_met(rig, retried, zapped) &&
				   vt_patient_ns() < end); i++)
		ASSERT_EQ(0, storm_step(&s));
	EXPECT_EQ(0, vt_thread_stop(&faults));
	EXPECT_LE(i, vt_mmu_stat_delta(rig->stats, "mmu_lock_notifier", lock));
	EXPECT_LE(i, vt_mmu_stat_delta(rig->stats, "invalidations", hits));
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped));
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
	TH_LOG("%u rounds, %lu faults, %lu tried again", i,
	       (uint64_t)faults.steps,
	       vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
	/* the invalidation has ended and refuses nothing */
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	touch(&rig->in, 1, 9);
	for (i = 0; i < rig->pages; i++) {
		ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA + i * VT_PAGE, &word));
		ASSERT_EQ(9, word);
	}
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
}

/* In a memslot, but not where the page is. */
TEST_F_TIMEOUT(notify, beside, 120)
{
	struct rig *rig = &self->rig;
	struct faulter f = {
		.fd = rig->fd,
		.gpa = GPA,
		.pages = rig->pages,
		.seed = 3,
	};
	struct storm s = { PROTECT, &rig->out };
	uint64_t retried, hits, end;
	struct vt_thread storm, faults;

	ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, rig->out.base,
				 rig->out.len));
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	hits = vt_mmu_stat(rig->stats, "invalidations");
	ASSERT_EQ(0, vt_thread_start(&storm, storm_step, &s));
	ASSERT_EQ(0, vt_thread_wait(&storm, 1));
	while (f.next < f.pages) {
		ASSERT_EQ(0, fault_next(&f));
		/* over many rounds of the storm */
		if (f.next % 64 == 0)
			ASSERT_EQ(0, vt_thread_wait(&storm, 1));
	}
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
	EXPECT_LT(f.pages / 64,
		  vt_mmu_stat_delta(rig->stats, "invalidations", hits));

	/* and where it is, for comparison */
	f.gpa = GPA2;
	end = vt_patient_ns() + VT_TIMEOUT * MS;
	ASSERT_EQ(0, vt_thread_start(&faults, fault_any, &f));
	while (!vt_mmu_stat_delta(rig->stats, "pf_retried", retried) &&
	       vt_patient_ns() < end)
		vt_sleep_ms(5);
	EXPECT_EQ(0, vt_thread_stop(&faults));
	EXPECT_EQ(0, vt_thread_stop(&storm));
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
}

/* -------------------------------------------------------- held open */

#define NEEDS_HOLD	VT_MMU_NO_PARAM "test_hold_inval_ms"

/* A fault waits for the end of an invalidation, and no longer. */
TEST_F_TIMEOUT(notify, held_open, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(300, 600);
	uint64_t gpa = GPA, len = VT_PAGE, retried, word, now, zapped;
	struct vt_mmu_hold hold;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	touch(&rig->in, 1, 5);
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, 0, GPA, 64 * VT_PAGE));
	EXPECT_EQ(64, vt_mmu_stat(rig->stats, "pages_4k"));
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	zapped = vt_mmu_stat(rig->stats, "pages_zapped");
	ASSERT_EQ(0, vt_mmu_hold_start(&hold, rig->stats, ms));
	/* the start of the invalidation unmapped everything */
	EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_4k"));
	EXPECT_EQ(64, vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped));
	EXPECT_EQ(0, vt_mmu_populate(rig->fd, 0, &gpa, &len));
	now = vt_now_ns();
	EXPECT_LE(hold.end_ns, now);
	EXPECT_GT(hold.end_ns + VT_TIMEOUT * MS, now);
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
	ASSERT_EQ(0, vt_mmu_hold_wait(&hold));

	retried = vt_mmu_stat(rig->stats, "pf_retried");
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA + 70 * VT_PAGE, &word));
	EXPECT_EQ(5, word);
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
}

/* Others begin and end inside it: a fault waits for the last end. */
TEST_F_TIMEOUT(notify, nested, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(400, 800);
	struct storm s = { DISCARD, &rig->in };
	struct vt_thread storm;
	uint64_t word, steps;
	struct vt_mmu_hold hold;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	ASSERT_EQ(0, vt_thread_start(&storm, storm_step, &s));
	ASSERT_EQ(0, vt_thread_wait(&storm, 1));
	ASSERT_EQ(0, vt_mmu_hold_start(&hold, rig->stats, ms));
	steps = storm.steps;
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA, &word));
	EXPECT_LE(hold.end_ns, vt_now_ns());
	/* the storm did not wait for anybody */
	EXPECT_LT(steps + 1, storm.steps);
	ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
	EXPECT_EQ(0, vt_thread_stop(&storm));
}

struct window {
	char *base;
	uint64_t pages;
};

static int window_step(void *arg)
{
	struct window *w = arg;
	uint64_t p;

	for (p = 0; p < w->pages; p++)
		*(volatile uint64_t *)(w->base + p * VT_PAGE) =
			(uintptr_t)w->base + p * VT_PAGE;
	return madvise(w->base, w->pages * VT_PAGE, MADV_DONTNEED) ? -errno : 0;
}

struct checker {
	int fd;
	uint64_t gpa;
	uint64_t hva;
	uint64_t pages;
	uint64_t seed;
};

/* A page holds its own address, or nothing. */
static int check_step(void *arg)
{
	struct checker *c = arg;
	uint64_t off = vt_random(&c->seed) % c->pages * VT_PAGE, word;
	int r = vt_mmu_read64(c->fd, c->gpa + off, &word);

	if (!r && word && word != c->hva + off) {
		vt_msg("notify: %#lx at offset %#lx", word, off);
		r = -EBADMSG;
	}
	return r;
}

/* Two that overlap, and a third within both, from three threads. */
TEST_F_TIMEOUT(notify, crosswise, 120)
{
	struct rig *rig = &self->rig;
	uint64_t n = 256, retried, i, word, lock;
	char *base = rig->in.base;
	struct window w[] = {
		{ base, n * 6 / 10 },
		{ base + n * 4 / 10 * VT_PAGE, n - n * 4 / 10 },
		{ base + n / 2 * VT_PAGE, 8 },
	};
	struct checker c = {
		.fd = rig->fd,
		.gpa = GPA,
		.hva = (uintptr_t)base,
		.pages = n,
		.seed = 7,
	};
	struct vt_thread t[3], reader;

	lock = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vt_thread_start(&t[i], window_step, &w[i]));
	ASSERT_EQ(0, vt_thread_start(&reader, check_step, &c));
	vt_sleep_ms(vt_by_speed(1500, 4000));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, vt_thread_stop(&t[i]));
		EXPECT_LT(1, t[i].steps);
	}
	EXPECT_EQ(0, vt_thread_stop(&reader));
	EXPECT_LT(20, reader.steps);
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "mmu_lock_notifier", lock));
	/* no invalidation is open any more */
	retried = vt_mmu_stat(rig->stats, "pf_retried");
	touch(&rig->in, 1, 11);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA + i * VT_PAGE, &word));
		ASSERT_EQ(11, word);
	}
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "pf_retried", retried));
}

/* ------------------------------------------------------- long and busy */

/*
 * A range with very many entries, of a piece of memory that many slots map.
 * The walk gives way whenever it can, and yet goes on.
 */
TEST_F_TIMEOUT(notify, yields, 200)
{
	struct rig *rig = &self->rig;
	const uint64_t slots = vt_by_speed(64, 16);
	uint64_t i, leaves = slots * rig->pages, yields, zapped, lock, start;
	struct faulter f = {
		.fd = rig->fd,
		.gpa = GPA,
		.pages = rig->pages,
		.seed = 5,
	};
	struct vt_thread faults;

	if (!vt_mmu_has_param("test_force_yield"))
		SKIP(return, VT_MMU_NO_PARAM "test_force_yield");
	for (i = 0; i < slots; i++) {
		ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1 + i, 0,
					 GPA2 + i * rig->out.len, rig->out.base,
					 rig->out.len));
		ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, 0,
						 GPA2 + i * rig->out.len,
						 rig->out.len));
	}
	ASSERT_EQ(leaves, vt_mmu_stat(rig->stats, "pages_4k"));
	ASSERT_EQ(0, vt_thread_start(&faults, fault_any, &f));
	ASSERT_EQ(0, vt_thread_wait(&faults, 1));
	yields = vt_mmu_stat(rig->stats, "yields");
	zapped = vt_mmu_stat(rig->stats, "pages_zapped");
	lock = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	ASSERT_TRUE(vt_mmu_set_param("test_force_yield", "1"));
	start = vt_now_ns();
	ASSERT_EQ(0, madvise(rig->out.base, rig->out.len, MADV_DONTNEED));
	start = vt_now_ns() - start;
	ASSERT_TRUE(vt_mmu_set_param("test_force_yield", "0"));
	EXPECT_EQ(0, vt_thread_stop(&faults));
	/* each entry once, and no more often was it let go */
	EXPECT_EQ(leaves,
		  vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped));
	EXPECT_LT(0, vt_mmu_stat_delta(rig->stats, "yields", yields));
	EXPECT_GE(leaves + slots,
		  vt_mmu_stat_delta(rig->stats, "yields", yields));
	EXPECT_EQ(1, vt_mmu_stat_delta(rig->stats, "mmu_lock_notifier", lock));
	TH_LOG("%lu entries gone in %lu ms with %lu yields", leaves,
	       start / 1000000,
	       vt_mmu_stat_delta(rig->stats, "yields", yields));
}

/* Somebody who is to run at once whenever time is up. */
struct waker {
	uint64_t late_max;
};

static int wake(void *arg)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	const struct sched_param high = { .sched_priority = 50 };
	struct waker *w = arg;
	uint64_t start;

	sched_setscheduler(0, SCHED_FIFO, &high);
	start = vt_now_ns();
	nanosleep(&pause, NULL);
	start = vt_now_ns() - start - pause.tv_nsec;
	if ((int64_t)start > 0 && start > w->late_max)
		w->late_max = start;
	return 0;
}

#define ATTACHED	4

/*
 * Very many memslots of one and the same page, and queues that may keep it: one
 * madvise() unmaps it from all of them.  It drops the lock again and again, and
 * asks the queues once.
 */
TEST_F_TIMEOUT(notify, aliases, 200)
{
	struct rig *rig = &self->rig;
	const uint64_t slots = vt_by_speed(4096, 512);
	uint64_t i, lock, yields, zapped, start, idle;
	struct vt_dev dev[ATTACHED] = {};
	unsigned int attached = 0;
	cpu_set_t one, all;
	struct waker w = { 0 };
	struct vt_thread waker;

	if (vt_mmu_dev_available()) {
		for (; attached < ATTACHED; attached++) {
			ASSERT_EQ(0, vt_dev_open(&dev[attached], 0));
			ASSERT_EQ(0, vt_mmu_dev_attach(dev[attached].fd,
						       rig->fd));
		}
	}
	for (i = 0; i < slots; i++) {
		ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1 + i, 0, GPA2 + i * VT_PAGE,
					 rig->out.base, VT_PAGE));
		ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, 0, GPA2 + i * VT_PAGE,
						 VT_PAGE));
	}

	/* on one CPU, so that it is this thread that keeps the other waiting */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, vt_thread_start(&waker, wake, &w));
	ASSERT_EQ(0, vt_thread_wait(&waker, 50));
	idle = w.late_max;
	w.late_max = 0;
	lock = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	yields = vt_mmu_stat(rig->stats, "yields");
	zapped = vt_mmu_stat(rig->stats, "pages_zapped");
	start = vt_now_ns();
	ASSERT_EQ(0, madvise(rig->out.base, VT_PAGE, MADV_DONTNEED));
	start = vt_now_ns() - start;
	yields = vt_mmu_stat_delta(rig->stats, "yields", yields);
	EXPECT_EQ(0, vt_thread_stop(&waker));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(all), &all));

	EXPECT_EQ(slots, vt_mmu_stat_delta(rig->stats, "pages_zapped", zapped));
	EXPECT_EQ(1, vt_mmu_stat_delta(rig->stats, "mmu_lock_notifier", lock));
	/* each memslot is more than one step; 1024 of them are a hold */
	EXPECT_LE(slots / 1024, yields);
	TH_LOG("%lu memslots, %u devices: %lu us, %lu yields; "
	       "another waits for %lu us, otherwise %lu",
	       slots, attached, start / 1000, yields, w.late_max / 1000,
	       idle / 1000);
	while (attached)
		vt_dev_close(&dev[--attached]);
}

/* A storm over the memory that threads read and write: both get on. */
TEST_F_TIMEOUT(notify, drain, 120)
{
	struct rig *rig = &self->rig;
	const uint64_t pages = 64;
	struct window w = { rig->in.base, pages };
	uint64_t hits = vt_mmu_stat(rig->stats, "invalidations");
	struct checker c[2];
	struct vt_thread storm, reader[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		c[i] = (struct checker) {
			.fd = rig->fd,
			.gpa = GPA,
			.hva = (uintptr_t)rig->in.base,
			.pages = pages,
			.seed = 1 + i,
		};
	}
	/* it can hold anything so far */
	ASSERT_EQ(0, window_step(&w));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vt_thread_start(&reader[i], check_step, &c[i]));
	ASSERT_EQ(0, vt_thread_start(&storm, window_step, &w));
	vt_sleep_ms(vt_by_speed(2000, 6000));
	EXPECT_EQ(0, vt_thread_stop(&storm));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, vt_thread_stop(&reader[i]));
		EXPECT_LT(50, reader[i].steps);
	}
	EXPECT_LT(1, storm.steps);
	EXPECT_LT(20, vt_mmu_stat_delta(rig->stats, "invalidations", hits));
	TH_LOG("%lu storms, %lu reads; %lu drains, the longest %lu us",
	       (uint64_t)storm.steps,
	       (uint64_t)(reader[0].steps + reader[1].steps),
	       vt_mmu_stat(rig->stats, "drains"),
	       vt_mmu_stat(rig->stats, "drain_max_ns") / 1000);
}

TEST_HARNESS_MAIN
