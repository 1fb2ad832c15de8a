// SPDX-License-Identifier: GPL-2.0
/*
 * Which pages were used through the MMU: by its own command, and by reclaim.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include "area.h"
#include "cgroup.h"
#include "change.h"

/* A second memslot behind a hole; what lies behind it is the same memory. */
#define GPA2	(2 * VT_AREA_GPA)

FIXTURE(age)
{
	struct vt_area a;
	const char *why;
	uint64_t bits[VT_HUGE_SIZE / VT_PAGE / 64];
};

FIXTURE_SETUP(age)
{
	memset(&self->a, 0, sizeof(self->a));
	self->why = vt_mmu_available() ? NULL : VT_MMU_NO_DEV;
}

FIXTURE_TEARDOWN(age)
{
	vt_area_close(&self->a);
}

#define OPEN(backing)							\
	do {								\
		self->why = vt_area_open(&self->a, backing);			\
		if (self->why)						\
			SKIP(return, "%s", self->why);			\
	} while (0)

static size_t popcount(const uint64_t *bits, size_t words)
{
	size_t i, n = 0;

	for (i = 0; i < words; i++)
		n += __builtin_popcountll(bits[i]);
	return n;
}

/* How many pages are young; -1 after an error. The bitmap says the same. */
static long young(struct vt_area *a, uint32_t flags, size_t first, size_t n,
		  uint64_t *bits)
{
	size_t words = (n + 63) / 64;
	uint64_t count = ~0ULL;
	int r;

	memset(bits, 0xff, words * 8);
	r = vt_mmu_age(a->mmu, flags, VT_AREA_GPA + first * VT_PAGE,
		       n * VT_PAGE, bits, &count);
	if (r) {
		vt_msg("age: %s", strerror(-r));
		return -1;
	}
	if (popcount(bits, words) != count) {
		vt_msg("age: %zu bits for %llu pages", popcount(bits, words),
		       (unsigned long long)count);
		return -1;
	}
	return count;
}

/* Read a few bytes of each page, in turn write them. */
static int use(struct vt_area *a, size_t first, size_t step)
{
	uint64_t val;
	size_t i;
	int r = 0;

	for (i = first; i < a->pages && !r; i += step) {
		uint64_t gpa = VT_AREA_GPA + i * VT_PAGE + i % 512 * 8;

		r = i / step % 2 ? vt_mmu_read64(a->mmu, gpa, &val) :
				   vt_mmu_write64(a->mmu, gpa, i);
	}
	return r;
}

static void test_and_clear(struct __test_metadata *_metadata, struct vt_area *a,
			   uint64_t *bits)
{
	uint64_t fixed, count;
	struct vmmu_translate t;
	size_t i;

	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));
	/* populating does not make pages young */
	ASSERT_EQ(0, vt_mmu_populate_all(a->mmu, 0, VT_AREA_GPA, a->len));
	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));
	ASSERT_EQ(0, vt_area_look(a, 0, &t));
	EXPECT_NE(0, t.perms);
	EXPECT_EQ(0, t.state & VMMU_STATE_YOUNG);

	ASSERT_EQ(0, use(a, 0, 1));
	fixed = vt_area_stat(a, "pf_fixed");
	EXPECT_EQ(a->pages, young(a, 0, 0, a->pages, bits));
	/* AGE without CLEAR leaves pages young */
	EXPECT_EQ(a->pages, young(a, 0, 0, a->pages, bits));
	ASSERT_EQ(0, vt_area_look(a, 3, &t));
	EXPECT_NE(0, t.state & VMMU_STATE_YOUNG);
	/* TRANSLATE does not make pages young */
	EXPECT_EQ(a->pages, young(a, VMMU_AGE_CLEAR, 0, a->pages, bits));
	ASSERT_EQ(0, vt_area_look(a, 3, &t));
	EXPECT_EQ(0, t.state & VMMU_STATE_YOUNG);
	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));
	EXPECT_EQ(0, young(a, VMMU_AGE_CLEAR, 0, a->pages, bits));

	/* exactly the pages that were used again are young */
	ASSERT_EQ(0, use(a, 1, 3));
	EXPECT_EQ((a->pages + 1) / 3, young(a, 0, 0, a->pages, bits));
	for (i = 0; i < a->pages; i++)
		if (vt_bitmap_test(bits, i) != (i % 3 == 1))
			break;
	EXPECT_EQ(a->pages, i);

	/* a part, at odd places: what is around it stays young */
	count = young(a, VMMU_AGE_CLEAR, 5, 33, bits);
	EXPECT_EQ(11, count);
	for (i = 0; i < 33; i++)
		if (vt_bitmap_test(bits, i) != ((i + 5) % 3 == 1))
			break;
	EXPECT_EQ(33, i);
	EXPECT_EQ((a->pages + 1) / 3 - 11, young(a, 0, 0, a->pages, bits));

	/* neither buffer is needed, and one without the other is enough */
	EXPECT_EQ(0, vt_mmu_age(a->mmu, 0, VT_AREA_GPA, a->len, NULL, &count));
	EXPECT_EQ((a->pages + 1) / 3 - 11, count);
	EXPECT_EQ(0, vt_mmu_age(a->mmu, VMMU_AGE_CLEAR, VT_AREA_GPA, a->len,
				NULL, NULL));
	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));

	/* none of these accesses faulted */
	EXPECT_EQ(fixed, vt_area_stat(a, "pf_fixed"));
	EXPECT_EQ(a->pages, vt_area_stat(a, "pages_4k"));
}

TEST_F_TIMEOUT(age, anon, 300)
{
	OPEN(VT_AREA_ANON);
	test_and_clear(_metadata, &self->a, self->bits);
}

TEST_F_TIMEOUT(age, memfd, 300)
{
	OPEN(VT_AREA_MEMFD);
	test_and_clear(_metadata, &self->a, self->bits);
}

static void huge(struct __test_metadata *_metadata, struct vt_area *a,
		 uint64_t *bits)
{
	struct vmmu_translate t;
	uint64_t val;

	ASSERT_EQ(0, vt_mmu_populate_all(a->mmu, VMMU_POPULATE_WRITE,
					 VT_AREA_GPA, a->len));
	ASSERT_EQ(0, vt_area_look(a, 0, &t));
	ASSERT_EQ(21, t.page_shift);
	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));
	/* one access makes the huge page young, in whole or in part */
	ASSERT_EQ(0, vt_mmu_read64(a->mmu, VT_AREA_GPA + 77 * VT_PAGE, &val));
	EXPECT_EQ(a->pages, young(a, 0, 0, a->pages, bits));
	EXPECT_EQ(100, young(a, 0, 200, 100, bits));
	/* a huge entry has one accessed bit */
	EXPECT_EQ(100, young(a, VMMU_AGE_CLEAR, 200, 100, bits));
	EXPECT_EQ(0, young(a, 0, 0, a->pages, bits));
	ASSERT_EQ(0, vt_mmu_write64(a->mmu, VT_AREA_GPA + a->len - 8, 1));
	EXPECT_EQ(a->pages, young(a, VMMU_AGE_CLEAR, 0, a->pages, bits));
	EXPECT_EQ(1, vt_area_stat(a, "pages_2m"));
}

TEST_F_TIMEOUT(age, thp, 300)
{
	OPEN(VT_AREA_THP);
	huge(_metadata, &self->a, self->bits);
}

TEST_F_TIMEOUT(age, hugetlb, 300)
{
	OPEN(VT_AREA_HUGETLB);
	huge(_metadata, &self->a, self->bits);
}

TEST_F_TIMEOUT(age, holes, 300)
{
	struct vt_area *a = &self->a;
	uint64_t *bits = self->bits, count;
	size_t half, i;

	OPEN(VT_AREA_ANON);
	half = a->pages / 2;
	ASSERT_EQ(0, vt_mmu_slot_delete(a->mmu, 0));
	EXPECT_EQ(0, young(a, VMMU_AGE_CLEAR, 0, a->pages, bits));
	/* a memslot, a hole of three pages, another, nothing */
	ASSERT_EQ(0, vt_mmu_slot(a->mmu, 0, 0, VT_AREA_GPA, a->base,
				 half * VT_PAGE));
	ASSERT_EQ(0,
		  vt_mmu_slot(a->mmu, 1, 0, VT_AREA_GPA + (half + 3) * VT_PAGE,
			      a->base + half * VT_PAGE, half * VT_PAGE));
	for (i = 0; i < a->pages; i++)
		ASSERT_EQ(0, vt_mmu_write64(a->mmu,
					    VT_AREA_GPA +
						    (i + (i < half ? 0 : 3)) *
							    VT_PAGE,
					    i));
	EXPECT_EQ(2 * half, young(a, 0, 0, a->pages + 50, bits));
	for (i = 0; i < a->pages + 50; i++)
		if (vt_bitmap_test(bits, i) !=
		    (i < half || (i >= half + 3 && i < a->pages + 3)))
			break;
	EXPECT_EQ(a->pages + 50, i);
	EXPECT_EQ(0, young(a, 0, half, 3, bits));
	EXPECT_EQ(2, young(a, VMMU_AGE_CLEAR, half - 1, 5, bits));
	EXPECT_EQ(2 * half - 2, young(a, 0, 0, a->pages + 3, bits));
	/* far from any memslot, and much of it */
	EXPECT_EQ(0, vt_mmu_age(a->mmu, VMMU_AGE_CLEAR, 1ULL << 46, 1ULL << 40,
				NULL, &count));
	EXPECT_EQ(0, count);
	/* a bad bitmap pointer fails with EFAULT */
	EXPECT_EQ(-EFAULT,
		  vt_mmu_age(a->mmu, 0, VT_AREA_GPA, a->len, (void *)8, NULL));
	/* deleting a memslot drops its ages */
	ASSERT_EQ(0, vt_mmu_slot_delete(a->mmu, 1));
	EXPECT_EQ(half - 1, young(a, 0, 0, a->pages + 3, bits));
}

/* ------------------------------------------------- beside those who use it */

static _Atomic bool stop;

static void *use_all(void *arg)
{
	while (!atomic_load(&stop))
		if (use(arg, 0, 1))
			return "error";
	return NULL;
}

/* A page used after it was aged is young, whoever ages and uses beside. */
TEST_F_TIMEOUT(age, live, 300)
{
	unsigned int round, rounds = vt_scale(200);
	struct vt_area *a = &self->a;
	uint64_t *bits = self->bits, fixed;
	void *error;
	pthread_t t;
	size_t i;

	OPEN(VT_AREA_ANON);
	ASSERT_EQ(0, vt_area_fill_mmu(a, 1));
	fixed = vt_area_stat(a, "pf_fixed");
	ASSERT_EQ(0, pthread_create(&t, NULL, use_all, a));
	for (round = 0; round < rounds; round++) {
		uint64_t val;
		long n = young(a, VMMU_AGE_CLEAR, 0, a->pages, bits);

		ASSERT_GE(n, 0);
		/* nobody else clears ages: AGE must find this page young */
		i = round % a->pages;
		ASSERT_EQ(0, vt_mmu_read64(a->mmu, VT_AREA_GPA + i * VT_PAGE,
					   &val));
		ASSERT_EQ(1, young(a, 0, i, 1, bits));
	}
	atomic_store(&stop, true);
	pthread_join(t, &error);
	EXPECT_EQ(NULL, error);
	/* its pages were aged, not unmapped */
	EXPECT_EQ(fixed, vt_area_stat(a, "pf_fixed"));
	EXPECT_EQ(a->pages, vt_area_stat(a, "pages_4k"));
}

/* -------------------------------------------------------- the kernel's own */

/* Of each half of the memory. */
#define HALF	(512 * VT_PAGE)

static const char *own_cgroup(void)
{
	const char *why = vt_cgroup_make();

	if (why)
		return why;
	if (access(VT_CGROUP "/memory.reclaim", W_OK))
		return "no memory.reclaim";
	return vt_cgroup_enter(0) ? "cannot enter a cgroup" : NULL;
}

static size_t gone(const char *p)
{
	size_t i, n = 0;

	for (i = 0; i < HALF; i += VT_PAGE)
		n += !(vt_pagemap(p + i) & VT_F(VT_PM_PRESENT));
	return n;
}

/*
 * Reclaim asks who used a page: of two halves that are equal to the process
 * that one stays which is used through the MMU.
 */
TEST_F_TIMEOUT(age, reclaim, 300)
{
	const char *why = self->why ? self->why : vt_swap_on();
	struct vt_mem mem = {};
	size_t used, idle;
	uint64_t val;
	unsigned int i;
	size_t off;
	char *p;
	int mmu;

	if (!why)
		why = own_cgroup();
	if (why)
		SKIP(return, "%s", why);
	vt_write_file("/proc/sys/kernel/numa_balancing", "0\n");
	ASSERT_EQ(0, vt_mem_alloc_huge(&mem, VT_ANON, 2 * HALF));
	p = mem.base;
	mmu = vt_mmu_open();
	ASSERT_GE(mmu, 0);
	ASSERT_EQ(0, vt_mmu_slot(mmu, 0, 0, VT_AREA_GPA, p, 2 * HALF));
	ASSERT_EQ(0, vt_mmu_populate_all(mmu, VMMU_POPULATE_WRITE, VT_AREA_GPA,
					 2 * HALF));
	vt_drain_lru();
	ASSERT_EQ(0, madvise(p, 2 * HALF, MADV_COLD));
	vt_drain_lru();
	for (i = 0; i < 4; i++) {
		for (off = 0; off < HALF; off += VT_PAGE)
			ASSERT_EQ(0,
				  vt_mmu_read64(mmu, VT_AREA_GPA + off, &val));
		/* it gives up early when little was to be had: that is fine */
		vt_write_file(VT_CGROUP "/memory.reclaim", "%lu\n", HALF / 8);
	}
	used = gone(p);
	idle = gone(p + HALF);
	TH_LOG("reclaim took %zu pages used through the MMU, %zu idle ones",
	       used, idle);
	EXPECT_GT(idle, HALF / VT_PAGE / 4);
	EXPECT_LT(used, idle / 4);
	close(mmu);
	vt_mem_free(&mem);
	vt_cgroup_leave();
}

TEST_HARNESS_MAIN
