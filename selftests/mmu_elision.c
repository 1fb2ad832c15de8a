// SPDX-License-Identifier: GPL-2.0
/*
 * What it is worth that the notifier leaves mmu_lock alone for invalidations
 * that hit no memslot: faults beside a storm elsewhere, with and without.
 *
 * The statistics decide; the rates are for people, and under emulation say
 * little.
 */
#include <kselftest_harness.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>
#include "mmu.h"

#define GPA	0x10000000ULL
#define KNOB	"no_lock_elision"

struct storm {
	char *page;
	uint64_t rounds;
	bool stop;
};

static void *storm_run(void *arg)
{
	struct storm *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
		*(volatile char *)s->page = 1;
		madvise(s->page, VT_PAGE, MADV_DONTNEED);
		__atomic_fetch_add(&s->rounds, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

struct rig {
	int fd;
	int stats;
	/* in memslot 0, and in no memslot */
	struct vt_mem in;
	struct vt_mem out;
};

FIXTURE(elision)
{
	struct rig rig;
};

FIXTURE_SETUP(elision)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, vt_mem_alloc_huge(&self->rig.in, VT_ANON,
				       vt_scale(4096) * VT_PAGE));
	ASSERT_EQ(0, vt_mem_alloc_huge(&self->rig.out, VT_ANON, VT_PAGE));
	memset(self->rig.in.base, 1, self->rig.in.len);
	self->rig.fd = vt_mmu_open();
	ASSERT_LE(0, self->rig.fd);
	self->rig.stats = vt_mmu_stats_open(self->rig.fd);
	ASSERT_LE(0, self->rig.stats);
}

FIXTURE_TEARDOWN(elision)
{
	vt_mmu_set_param(KNOB, "0");
	close(self->rig.stats);
	close(self->rig.fd);
	vt_mem_free(&self->rig.in);
	vt_mem_free(&self->rig.out);
}

/* Fault every page in by itself; faults a second, or -errno. */
static double fault_all(int fd, const struct vt_mem *m)
{
	double start = now();
	uint64_t off;
	int r;

	r = vt_mmu_slot(fd, 0, 0, GPA, m->base, m->len);
	for (off = 0; !r && off < m->len; off += VT_PAGE)
		r = vt_mmu_populate_all(fd, 0, GPA + off, VT_PAGE);
	return r ?: m->len / VT_PAGE / (now() - start);
}

/* The same beside the storm; how often the notifier took the lock meanwhile. */
static double fault_beside_storm(struct rig *rig, uint64_t *locks)
{
	struct storm storm = { .page = rig->out.base };
	pthread_t thread;
	double rate;

	if (pthread_create(&thread, NULL, storm_run, &storm))
		return -1;
	while (!__atomic_load_n(&storm.rounds, __ATOMIC_RELAXED))
		sched_yield();

	*locks = vt_mmu_stat(rig->stats, "mmu_lock_notifier");
	rate = fault_all(rig->fd, &rig->in);
	*locks = vt_mmu_stat(rig->stats, "mmu_lock_notifier") - *locks;

	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	vt_mmu_slot_delete(rig->fd, 0);
	return rate;
}

TEST_F(elision, faults_beside_a_storm)
{
	double alone, beside, without;
	uint64_t locks, retried;

	alone = fault_all(self->rig.fd, &self->rig.in);
	ASSERT_LT(0, alone);
	ASSERT_EQ(0, vt_mmu_slot_delete(self->rig.fd, 0));

	retried = vt_mmu_stat(self->rig.stats, "pf_retried");
	beside = fault_beside_storm(&self->rig, &locks);
	ASSERT_LT(0, beside);
	EXPECT_EQ(0, locks);
	EXPECT_EQ(retried, vt_mmu_stat(self->rig.stats, "pf_retried"));
	TH_LOG("faults a second: %.0f alone, %.0f beside a storm elsewhere",
	       alone, beside);

	if (!vt_mmu_set_param(KNOB, "1"))
		SKIP(return, VT_MMU_NO_PARAM KNOB);
	without = fault_beside_storm(&self->rig, &locks);
	ASSERT_LT(0, without);
	EXPECT_LT(0, locks);
	TH_LOG("%.0f if each invalidation takes mmu_lock, which it did %llu times",
	       without, (unsigned long long)locks);
}

TEST_HARNESS_MAIN
