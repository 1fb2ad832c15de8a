// SPDX-License-Identifier: GPL-2.0
/*
 * Memslots that come, go and move beside their users; what an invalidation hits
 * of them; how their number is felt.
 * Timeout: 60 s
 */
#include <kselftest_harness.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include "mmu.h"

#define GPA		(1UL << 30)
#define ELSEWHERE	(1UL << 40)
#define PAGES		64UL
#define LEN		(PAGES * VT_PAGE)
#define THREADS		3

FIXTURE(slots)
{
	int fd;
	int stats;
	char *mem;
};

FIXTURE_SETUP(slots)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, 0, LEN);
	self->fd = vt_mmu_open();
	ASSERT_LE(0, self->fd);
	self->stats = vt_mmu_stats_open(self->fd);
	ASSERT_LE(0, self->stats);
}

FIXTURE_TEARDOWN(slots)
{
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "mmu_lock_write_fault"));
	close(self->stats);
	close(self->fd);
}

/* ---------------------------------------------------- threads at work */

struct worker {
	pthread_t thread;
	unsigned int index;
	int fd;
	/* one round; any error but those below ends the thread */
	int (*round)(struct worker *w, uint64_t n);
	_Atomic uint64_t rounds;
	/* how often there was no memslot, or one on its way out */
	_Atomic uint64_t gone;
	_Atomic int error;
	char why[128];
};

static _Atomic bool stop;
static struct worker workers[THREADS];

static void *work(void *arg)
{
	struct worker *w = arg;
	int r = 0;

	while (!stop && !r) {
		r = w->round(w, w->rounds);
		if (r == -ENOENT || r == -EAGAIN) {
			w->gone++;
			r = 0;
		}
		w->rounds++;
	}
	w->error = r;
	return NULL;
}

static void start(struct __test_metadata *_metadata, int fd,
		  int (*round)(struct worker *w, uint64_t n))
{
	unsigned int i;

	stop = false;
	memset(workers, 0, sizeof(workers));
	for (i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];

		w->index = i;
		w->fd = fd;
		w->round = round;
		ASSERT_EQ(0, pthread_create(&w->thread, NULL, work, w));
	}
}

/* Has a thread ended? Only an error ends one early. */
static bool failed(void)
{
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		if (workers[i].error)
			return true;
	return false;
}

static void finish(struct __test_metadata *_metadata)
{
	unsigned int i;

	stop = true;
	for (i = 0; i < THREADS; i++) {
		struct worker *w = &workers[i];

		pthread_join(w->thread, NULL);
		EXPECT_EQ(0, w->error)
		TH_LOG("thread %u, round %lu: %s", i, w->rounds, w->why);
		EXPECT_LT(0, w->rounds);
	}
}

/* Wait until each thread has begun and ended a round since now. */
static void rounds_pass(unsigned int n)
{
	uint64_t from[THREADS], end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		from[i] = workers[i].rounds;
	for (i = 0; i < THREADS; i++)
		while (workers[i].rounds < from[i] + n + 1 && !failed() &&
		       vt_patient_ns() < end)
			sched_yield();
}

/* Changes that are enough to tell something. */
#define ENOUGH	12

/* Should the test go on after @n changes since @from? */
static bool go_on(uint64_t from, uint64_t n)
{
	uint64_t ms = (vt_now_ns() - from) / 1000000;

	return !failed() && (ms < 2000 || (n < ENOUGH && ms < 30000));
}

/* ------------------------------------------------------------- stress */

/*
 * Everything at once in a memslot that stays: any error is one too many, so
 * those that a missing memslot gives are made another.
 */
static int steady_round(struct worker *w, uint64_t n)
{
	uint64_t page = (n * 7 + w->index) % PAGES, gpa = GPA + page * VT_PAGE;
	uint64_t at = gpa + 8 * w->index, val = 0, len = VT_PAGE;
	struct vmmu_translate t;
	int r;

	r = vt_mmu_write64(w->fd, at, n);
	if (!r)
		r = vt_mmu_read64(w->fd, at, &val);
	if (!r && val != n)
		r = -EBADMSG;
	if (!r)
		r = vt_mmu_populate(w->fd, n & 1, &gpa, &len);
	if (!r)
		r = vt_mmu_translate(w->fd, VMMU_TRANSLATE_FAULT, at, &t);
	if (!r && !(t.perms & VMMU_PERM_READ))
		r = -EPROTO;
	if (r)
		snprintf(w->why, sizeof(w->why), "page %lu: %s", page,
			 strerror(-r));
	return r == -ENOENT || r == -EAGAIN ? -EREMOTEIO : r;
}

/* KVM's memslot_modification_stress_test. */
TEST_F_TIMEOUT(slots, modification_stress, 120)
{
	uint64_t from, n = 0;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, LEN));
	start(_metadata, self->fd, steady_round);
	from = vt_now_ns();
	while (go_on(from, n)) {
		/* elsewhere in the guest, over the same memory or other */
		char *mem = n & 1 ? self->mem : self->mem - LEN;

		ASSERT_EQ(0, vt_mmu_slot(self->fd, 1, 0, ELSEWHERE, mem, LEN));
		if (n & 2)
			ASSERT_EQ(0, vt_mmu_slot(self->fd, 1, 0,
						 ELSEWHERE + LEN, mem, LEN));
		if (n & 4)
			ASSERT_EQ(0, vt_mmu_slot(self->fd, 1,
						 VMMU_MEM_LOG_DIRTY_PAGES,
						 n & 2 ? ELSEWHERE + LEN :
							 ELSEWHERE,
						 mem, LEN));
		ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, 1));
		n++;
	}
	finish(_metadata);
	TH_LOG("%lu changes beside %lu rounds of a thread", n,
	       workers[0].rounds);
	EXPECT_LE(ENOUGH, n);
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
}

/*
 * The words of the first page: what readers may see, what they may not, and
 * where writers write.
 */
#define GOOD		1UL
#define BAD		2UL
#define WRITTEN		77UL

static int moved_round(struct worker *w, uint64_t n)
{
	uint64_t val = GOOD, at = GPA, len = VT_PAGE;
	int r;

	if (w->index == 1 && n % 4 == 3)
		return vt_mmu_populate(w->fd, VMMU_POPULATE_WRITE, &at, &len);
	if (w->index == 2)
		return vt_mmu_write64(w->fd, GPA + 8, WRITTEN);
	r = vt_mmu_read64(w->fd, GPA, &val);
	if (!r && val != GOOD) {
		snprintf(w->why, sizeof(w->why), "read %lu", val);
		r = -EBADMSG;
	}
	return r;
}

/*
 * Once a move or a deletion has returned nobody reads or writes there any more:
 * what is put into the memory then is never seen, and never overwritten.
 */
static void go_and_come(struct __test_metadata *_metadata, int fd, int stats,
			char *mem, bool move)
{
	volatile uint64_t *word = (void *)mem;
	uint64_t n = 0, from, pages;

	word[0] = GOOD;
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, 0, GPA, mem, LEN));
	start(_metadata, fd, moved_round);
	from = vt_now_ns();
	while (go_on(from, n)) {
		/* map pages for the change to unmap */
		rounds_pass(2);
		ASSERT_EQ(0, vt_mmu_slot(fd, 0, 0, ELSEWHERE, mem,
					 move ? LEN : 0));
		word[0] = BAD;
		word[1] = 0;
		pages = vt_mmu_stat(stats, "pages_4k");
		EXPECT_EQ(0, pages);
		rounds_pass(1);
		EXPECT_EQ(0, word[1]);
		EXPECT_EQ(0, vt_mmu_stat(stats, "pages_4k"));
		if (n % 8 == 0)
			EXPECT_EQ(1, vt_mmu_stat(stats, "table_pages"));
		word[0] = GOOD;
		ASSERT_EQ(0, vt_mmu_slot(fd, 0, 0, GPA, mem, LEN));
		n++;
	}
	finish(_metadata);
	TH_LOG("%lu times gone, seen gone %lu times by a reader of %lu rounds",
	       n, workers[0].gone, workers[0].rounds);
	EXPECT_LE(ENOUGH, n);
	EXPECT_LT(0, workers[0].gone);
	EXPECT_LT(workers[0].gone, workers[0].rounds);
	ASSERT_EQ(0, vt_mmu_slot_delete(fd, 0));
	EXPECT_EQ(1, vt_mmu_stat(stats, "table_pages"));
}

TEST_F_TIMEOUT(slots, move_race, 120)
{
	go_and_come(_metadata, self->fd, self->stats, self->mem, true);
}

TEST_F_TIMEOUT(slots, delete_race, 120)
{
	go_and_come(_metadata, self->fd, self->stats, self->mem, false);
}

/* What moves is what was there: the new place shows it, the old one nothing. */
TEST_F(slots, move)
{
	uint64_t val, i, gpa = GPA;
	struct vmmu_translate t;

	for (i = 0; i < PAGES; i++)
		*(uint64_t *)(self->mem + i * VT_PAGE) = i + 1000;
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 5, 0, gpa, self->mem, LEN));
	for (i = 0; i < 20; i++) {
		/* by pages, so that old and new place overlap; then far away */
		uint64_t to = i % 4 ? gpa + i * VT_PAGE : gpa + i * LEN;

		ASSERT_EQ(0, vt_mmu_populate_all(self->fd, 0, gpa, LEN));
		EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
		ASSERT_EQ(0, vt_mmu_slot(self->fd, 5, 0, to, self->mem, LEN));
		if (to != gpa) {
			EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
			EXPECT_EQ(-ENOENT, vt_mmu_read64(self->fd, gpa, &val));
		}
		gpa = to;
		EXPECT_EQ(0, vt_mmu_read64(self->fd, gpa, &val));
		EXPECT_EQ(1000, val);
		EXPECT_EQ(0,
			  vt_mmu_read64(self->fd, gpa + LEN - VT_PAGE, &val));
		EXPECT_EQ(1000 + PAGES - 1, val);
		EXPECT_EQ(0, vt_mmu_translate(self->fd, 0, gpa + VT_PAGE, &t));
		EXPECT_EQ(5, t.slot);
		EXPECT_EQ((uintptr_t)self->mem + VT_PAGE, t.hva);
	}
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "memslots"));
	/* other memslots keep their entries */
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 6, 0, 0, self->mem, LEN));
	ASSERT_EQ(0, vt_mmu_populate_all(self->fd, 0, 0, LEN));
	i = vt_mmu_stat(self->stats, "pages_zapped");
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 7, 0, LEN, self->mem, LEN));
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 7, 0, 2 * LEN, self->mem, LEN));
	ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, 7));
	EXPECT_EQ(i, vt_mmu_stat(self->stats, "pages_zapped"));
}

/* ------------------------------------------------- what is invalidated */

struct counts {
	uint64_t locks;
	uint64_t hits;
	uint64_t zapped;
	uint64_t starts;
};

static struct counts counts(int stats)
{
	return (struct counts) {
		.locks = vt_mmu_stat(stats, "mmu_lock_notifier"),
		.hits = vt_mmu_stat(stats, "invalidations"),
		.zapped = vt_mmu_stat(stats, "pages_zapped"),
		.starts = vt_mmu_stat(stats, "notifier_starts"),
	};
}

/* Discard a range and say what that moved. */
static struct counts discard(int stats, void *p, size_t len)
{
	struct counts a = counts(stats), b;

	madvise(p, len, MADV_DONTNEED);
	b = counts(stats);
	return (struct counts) {
		.locks = b.locks - a.locks,
		.hits = b.hits - a.hits,
		.zapped = b.zapped - a.zapped,
		.starts = b.starts - a.starts,
	};
}

/*
 * One invalidation of memory that lies in several memslots takes all entries
 * away, and takes the lock as often as if it were one.
 */
TEST_F(slots, shared_memory)
{
	struct counts one, all;
	unsigned int i;
	uint64_t val;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, LEN));
	ASSERT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, LEN));
	one = discard(self->stats, self->mem + VT_PAGE, VT_PAGE);
	EXPECT_LE(1, one.starts);
	EXPECT_LE(1, one.locks);
	EXPECT_EQ(1, one.hits);
	EXPECT_EQ(1, one.zapped);

	for (i = 1; i < 5; i++) {
		/* not all of them whole, not all at the same place */
		ASSERT_EQ(0, vt_mmu_slot(self->fd, i, 0, GPA * (i + 1),
					 self->mem + i * VT_PAGE,
					 LEN - i * VT_PAGE));
		ASSERT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA * (i + 1),
						 LEN - i * VT_PAGE));
	}
	all = discard(self->stats, self->mem + 8 * VT_PAGE, VT_PAGE);
	EXPECT_EQ(one.locks, all.locks);
	EXPECT_EQ(1, all.hits);
	EXPECT_EQ(5, all.zapped);
	for (i = 0; i < 5; i++) {
		struct vmmu_translate t;
		uint64_t gpa = GPA * (i + 1) + (8 - i) * VT_PAGE;

		EXPECT_EQ(0, vt_mmu_translate(self->fd, 0, gpa, &t));
		EXPECT_EQ((uintptr_t)self->mem + 8 * VT_PAGE, t.hva);
		EXPECT_EQ(0, t.perms);
		EXPECT_EQ(0, vt_mmu_translate(self->fd, 0, gpa + VT_PAGE, &t));
		EXPECT_NE(0, t.perms);
	}
	/* what one writes all others read */
	EXPECT_EQ(0, vt_mmu_write64(self->fd, GPA + 8 * VT_PAGE, 4711));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, vt_mmu_read64(self->fd,
					   GPA * (i + 1) + (8 - i) * VT_PAGE,
					   &val));
		EXPECT_EQ(4711, val);
	}
	/* the first page is in one memslot, the next was in two */
	EXPECT_EQ(2, discard(self->stats, self->mem, 2 * VT_PAGE).zapped);
}

/* Exactly the memslots that share a byte with the range are concerned. */
TEST_F(slots, edges)
{
	char *mem = self->mem;
	struct counts c;
	/* the middle: there is memory before it and after it */
	char *first = mem + 16 * VT_PAGE, *last = mem + 31 * VT_PAGE;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, first, 16 * VT_PAGE));
	ASSERT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, 16 * VT_PAGE));
	/* up to its first byte, from behind its last one: not concerned */
	c = discard(self->stats, mem, 16 * VT_PAGE);
	EXPECT_LE(1, c.starts);
	EXPECT_EQ(0, c.locks);
	EXPECT_EQ(0, c.hits);
	EXPECT_EQ(0, c.zapped);
	c = discard(self->stats, last + VT_PAGE, 16 * VT_PAGE);
	EXPECT_LE(1, c.starts);
	EXPECT_EQ(0, c.locks);
	EXPECT_EQ(0, c.hits);
	/* over its first byte, over its last page */
	c = discard(self->stats, mem, 16 * VT_PAGE + 1);
	EXPECT_LE(1, c.locks);
	EXPECT_EQ(1, c.hits);
	EXPECT_EQ(1, c.zapped);
	c = discard(self->stats, last, 16 * VT_PAGE);
	EXPECT_LE(1, c.locks);
	EXPECT_EQ(1, c.hits);
	EXPECT_EQ(1, c.zapped);
	EXPECT_EQ(14, vt_mmu_stat(self->stats, "pages_4k"));
	/* all of it and more; and now that nothing is mapped, still a hit */
	c = discard(self->stats, mem, LEN);
	EXPECT_EQ(1, c.hits);
	EXPECT_EQ(14, c.zapped);
	c = discard(self->stats, mem, LEN);
	EXPECT_EQ(1, c.hits);
	EXPECT_EQ(0, c.zapped);
	/* without memslots the invalidation is a miss */
	ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, 0));
	c = discard(self->stats, mem, LEN);
	EXPECT_LE(1, c.starts);
	EXPECT_EQ(0, c.locks);
	EXPECT_EQ(0, c.hits);
}

/* ------------------------------------------------------- many memslots */

/* Nanoseconds for a memslot: the mean time, the CPU's for the best of many. */
struct cost {
	uint64_t mean;
	uint64_t best;
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

struct costs {
	struct cost create;
	struct cost populate;
	struct cost again;
	struct cost zap;
	struct cost destroy;
};

/* What is done to memslot @id, the i-th of them. */
typedef int (*step)(int fd, char *mem, uint64_t id);

static int create_one(int fd, char *mem, uint64_t id)
{
	/* with gaps between them */
	return vt_mmu_slot(fd, id, 0, id * 2 * VT_PAGE, mem + id * VT_PAGE,
			   VT_PAGE);
}

static int read_one(int fd, char *mem, uint64_t id)
{
	uint64_t val;

	(void)mem;
	return vt_mmu_read64(fd, id * 2 * VT_PAGE, &val);
}

/* Not in order: a prime that no number of memslots is a multiple of. */
static uint64_t nth(uint64_t i, uint64_t n)
{
	return i * 10007 % n;
}

/*
 * Do a step for @n of @all memslots, until @seconds are over; returns for how
 * many. The best is that of the last ones, with all the others there.
 */
static unsigned int each(struct __test_metadata *_metadata, step step, int fd,
			 char *mem, unsigned int n, unsigned int all,
			 unsigned int seconds, struct cost *cost)
{
	uint64_t from = vt_now_ns(), took = 0, cpu, last[64];
	unsigned int i = 0, j;

	do {
		cpu = cpu_ns();
		ASSERT_EQ(0, step(fd, mem, nth(i, all)));
		last[i++ % 64] = cpu_ns() - cpu;
		took = vt_now_ns() - from;
	} while (i < n && (!seconds || took < seconds * 1000000000ULL));

	cost->mean = took / i;
	cost->best = last[0];
	for (j = 1; j < i && j < 64; j++)
		if (last[j] < cost->best)
			cost->best = last[j];
	return i;
}

/* Everything once with @n memslots of a page, or as many as time allows. */
static unsigned int measure(struct __test_metadata *_metadata, unsigned int n,
			    char *mem, unsigned int seconds, struct costs *c)
{
	int fd = vt_mmu_open(), stats = vt_mmu_stats_open(fd);
	unsigned int all = n;
	uint64_t at, val;

	ASSERT_LE(0, stats);
	n = each(_metadata, create_one, fd, mem, n, all, seconds, &c->create);
	EXPECT_EQ(n, vt_mmu_stat(stats, "memslots"));
	each(_metadata, read_one, fd, mem, n, all, 0, &c->populate);
	EXPECT_EQ(n, vt_mmu_stat(stats, "pages_4k"));
	each(_metadata, read_one, fd, mem, n, all, 0, &c->again);
	EXPECT_EQ(-ENOENT, vt_mmu_read64(fd, VT_PAGE, &val));
	at = vt_now_ns();
	ASSERT_EQ(0, madvise(mem, all * VT_PAGE, MADV_DONTNEED));
	c->zap.mean = (vt_now_ns() - at) / n;
	EXPECT_EQ(0, vt_mmu_stat(stats, "pages_4k"));
	if (n == 32764) {
		/* this is all */
		EXPECT_EQ(-EINVAL,
			  vt_mmu_slot(fd, n, 0, ELSEWHERE, mem, VT_PAGE));
		EXPECT_EQ(0, vt_mmu_slot_delete(fd, n - 1));
		EXPECT_EQ(0,
			  vt_mmu_slot(fd, n - 1, 0, ELSEWHERE, mem, VT_PAGE));
	}
	close(stats);
	at = vt_now_ns();
	close(fd);
	c->destroy.mean = (vt_now_ns() - at) / n;
	return n;
}

/*
 * A memslot costs about the same however many others there are: a set is a
 * tree. A list or an array to be copied would show: many times dearer. Grace
 * periods are most of the time; what is compared is the CPU's.
 */
#define LIMIT	8
/* Less than this is not told from nothing by every clock of CPU time, in ns. */
#define CLOCK	10000

static uint64_t limit(const struct cost *few)
{
	return LIMIT * (few->best > CLOCK ? few->best : CLOCK);
}

/* Seconds for creating those of one row, unless all are asked for. */
#define PATIENCE	4
#define ALL_ENV		"MMU_ALL_SLOTS"

TEST_F_TIMEOUT(slots, number, 600)
{
	const unsigned int nums[] = { 1, 100, 1000, 8000, 32764 };
	struct costs c[5];
	unsigned int i, n;
	cpu_set_t first;
	char *mem;

	/* where SRCU calls back: not to measure how CPUs wake each other */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	sched_setaffinity(0, sizeof(first), &first);

	mem = mmap(NULL, 32764 * VT_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	madvise(mem, 32764 * VT_PAGE, MADV_NOHUGEPAGE);
	TH_LOG("us for each of so many memslots of a page (and of CPU)");
	TH_LOG("%6s %19s %19s %19s %10s %10s", "slots", "create", "first read",
	       "next read", "discard", "close");
	for (i = n = 0; i < 5 && (!i || n == nums[i - 1]); i++) {
		n = measure(_metadata, nums[i], mem,
			    getenv(ALL_ENV) ? 0 : PATIENCE, &c[i]);
		TH_LOG("%6u %10.1f (%6.1f) %10.1f (%6.1f) %10.1f (%6.1f) %10.1f %10.1f",
		       n, c[i].create.mean / 1e3, c[i].create.best / 1e3,
		       c[i].populate.mean / 1e3, c[i].populate.best / 1e3,
		       c[i].again.mean / 1e3, c[i].again.best / 1e3,
		       c[i].zap.mean / 1e3, c[i].destroy.mean / 1e3);
		if (n < nums[i])
			TH_LOG("not all in %u s, " ALL_ENV "=1 does", PATIENCE);
		/* its clock of CPU time ticks too rarely */
		if (i < 2 || vt_slow())
			continue;
		EXPECT_GT(limit(&c[1].create), c[i].create.best);
		EXPECT_GT(limit(&c[1].populate), c[i].populate.best);
		EXPECT_GT(limit(&c[1].again), c[i].again.best);
	}
	munmap(mem, 32764 * VT_PAGE);
}

TEST_HARNESS_MAIN
