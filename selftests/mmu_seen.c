// SPDX-License-Identifier: GPL-2.0
/*
 * Writes through the MMU count like the process's own; bad memory is an error.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include "area.h"
#include "uffd.h"

FIXTURE(seen)
{
	struct vt_area a;
	const char *why;
};

FIXTURE_VARIANT(seen)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(seen, anon) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(seen, thp) { .backing = VT_AREA_THP };
FIXTURE_VARIANT_ADD(seen, memfd) { .backing = VT_AREA_MEMFD };
FIXTURE_VARIANT_ADD(seen, private) { .backing = VT_AREA_PRIVATE };

FIXTURE_SETUP(seen)
{
	self->why = vt_area_open(&self->a, variant->backing);
}

FIXTURE_TEARDOWN(seen)
{
	vt_area_close(&self->a);
}

static size_t soft_dirty(struct vt_area *a)
{
	size_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += !!(vt_pagemap(a->base + i * VT_PAGE) &
			VT_F(VT_PM_SOFT_DIRTY));
	return n;
}

/* Who follows the process's writes sees those through the MMU. */
TEST_F_TIMEOUT(seen, soft_dirty, 300)
{
	struct vt_area *a = &self->a;
	size_t i, n;

	if (self->why)
		SKIP(return, "%s", self->why);
	if (vt_write_file("/proc/self/clear_refs", "4\n"))
		SKIP(return, "the kernel has no soft-dirty bits");
	ASSERT_EQ(0, vt_area_fill_mmu(a, 1));
	EXPECT_EQ(a->pages, soft_dirty(a));

	/* mapped writable before, and clean again: every write must count */
	ASSERT_EQ(0, vt_write_file("/proc/self/clear_refs", "4\n"));
	EXPECT_EQ(0, vt_area_check_mmu(a, 1));
	EXPECT_EQ(0, soft_dirty(a));
	for (i = 0, n = 0; i < a->pages; i += 16, n++)
		ASSERT_EQ(0,
			  vt_mmu_write64(a->mmu, VT_AREA_GPA + i * VT_PAGE, i));
	/* a huge page that was not split is dirty as a whole */
	EXPECT_GE(soft_dirty(a), n);
	for (i = 0; i < a->pages; i += 16)
		EXPECT_TRUE(vt_pagemap(a->base + i * VT_PAGE) &
			    VT_F(VT_PM_SOFT_DIRTY));
	if (variant->backing != VT_AREA_THP)
		EXPECT_EQ(n, soft_dirty(a));
}

/* A private mapping is the file's until the MMU is the first to write it. */
TEST_F_TIMEOUT(seen, first_write, 300)
{
	struct vt_area *a = &self->a;

	if (self->why)
		SKIP(return, "%s", self->why);
	ASSERT_EQ(0, vt_area_check_mmu(a, VT_AREA_UNWRITTEN));
	ASSERT_EQ(0, vt_area_fill_mmu(a, 1));
	EXPECT_EQ(0, vt_area_check(a, 1));
	EXPECT_EQ(0, vt_area_check_mmu(a, 1));
	if (variant->backing == VT_AREA_PRIVATE) {
		/* what is in the file shows when the copy is thrown away */
		ASSERT_EQ(0, madvise(a->base, a->len, MADV_DONTNEED));
		EXPECT_EQ(0, vt_area_check_mmu(a, VT_AREA_UNWRITTEN));
		vt_area_fill(a, 2);
		EXPECT_EQ(0, vt_area_check_mmu(a, 2));
	}
}

/* ------------------------------------------------------- userfaultfd */

FIXTURE(uffd)
{
	struct vt_area a;
	struct vt_uffd u;
	const char *why;
};

FIXTURE_VARIANT(uffd)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(uffd, anon) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(uffd, thp) { .backing = VT_AREA_THP };
FIXTURE_VARIANT_ADD(uffd, memfd) { .backing = VT_AREA_MEMFD };

FIXTURE_SETUP(uffd)
{
	self->why = vt_area_open(&self->a, variant->backing);
}

FIXTURE_TEARDOWN(uffd)
{
	vt_area_close(&self->a);
}

TEST_F_TIMEOUT(uffd, write_protect, 300)
{
	struct vt_area *a = &self->a;
	struct vt_uffd *u = &self->u;
	uint64_t features = UFFD_FEATURE_PAGEFAULT_FLAG_WP, before;
	const char *why;
	size_t i;

	if (self->why)
		SKIP(return, "%s", self->why);
	if (variant->backing == VT_AREA_MEMFD)
		features |= UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
	why = vt_uffd_open(u, a, features, UFFDIO_REGISTER_MODE_WP);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, vt_uffd_serve(u));
	ASSERT_EQ(0, vt_area_fill_mmu(a, 1));
	ASSERT_EQ(0, vt_uffd_protect(u));
	before = u->faults;
	/* a read waits for nobody to resolve a fault */
	EXPECT_EQ(0, vt_area_check_mmu(a, 1));
	EXPECT_EQ(before, u->faults);
	for (i = 0; i < a->pages; i += 3) {
		ASSERT_EQ(0,
			  vt_mmu_write64(a->mmu, VT_AREA_GPA + i * VT_PAGE, i));
		EXPECT_EQ(++before, u->faults);
	}
	ASSERT_EQ(0, vt_uffd_protect(u));
	EXPECT_EQ(0, vt_area_fill_mmu(a, 2));
	EXPECT_GE(u->faults, before + a->pages);
	EXPECT_EQ(0, vt_area_check(a, 2));
	vt_uffd_close(u);
}

/* -------------------------------------------------------- bad memory */

FIXTURE(poison)
{
	struct vt_area a;
	unsigned int lru_gen;
	const char *why;
};

FIXTURE_VARIANT(poison)
{
	enum vt_area_backing backing;
	unsigned int lru_gen;
};

FIXTURE_VARIANT_ADD(poison, anon) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(poison, memfd) { .backing = VT_AREA_MEMFD };
FIXTURE_VARIANT_ADD(poison, anon_lru_gen)
{
	.backing = VT_AREA_ANON, .lru_gen = VT_LRU_GEN,
};

FIXTURE_VARIANT_ADD(poison, memfd_lru_gen)
{
	.backing = VT_AREA_MEMFD, .lru_gen = VT_LRU_GEN,
};

FIXTURE_SETUP(poison)
{
	self->lru_gen = vt_set_lru_gen(variant->lru_gen);
	self->why = vt_area_open(&self->a, variant->backing);
}

FIXTURE_TEARDOWN(poison)
{
	vt_set_lru_gen(self->lru_gen);
	vt_area_close(&self->a);
}

static void on_sigbus(int sig)
{
	(void)sig;
}

/* The content is lost: an error, at the right place, and all else goes on. */
TEST_F_TIMEOUT(poison, one_page, 300)
{
	struct vt_area *a = &self->a;
	struct vmmu_access acc;
	struct vmmu_translate t;
	char *probe, *page;
	uint64_t word;
	size_t bad = 5;

	if (self->why)
		SKIP(return, "%s", self->why);
	probe = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	signal(SIGBUS, on_sigbus);
	if (madvise(probe, VT_PAGE, MADV_HWPOISON))
		SKIP(return, "the kernel has no MADV_HWPOISON");
	vt_area_fill(a, 1);
	ASSERT_EQ(0, vt_area_fill_mmu(a, 2));
	page = a->base + bad * VT_PAGE;
	ASSERT_EQ(0, madvise(page, VT_PAGE, MADV_HWPOISON));
	ASSERT_EQ(0, vt_area_look(a, bad, &t));
	EXPECT_EQ(0, t.perms);
	if (variant->backing == VT_AREA_ANON) {
		EXPECT_EQ(-EHWPOISON,
			  vt_mmu_read64(a->mmu, VT_AREA_GPA + bad * VT_PAGE,
					&word));
		EXPECT_EQ(-EHWPOISON,
			  vt_mmu_write64(a->mmu, VT_AREA_GPA + bad * VT_PAGE,
					 1));
		/* what is before it was copied, and is told */
		acc = (struct vmmu_access){
			.size = sizeof(acc),
			.gpa = VT_AREA_GPA,
			.length = a->len,
			.data = (uintptr_t)a->buf,
		};
		EXPECT_EQ(-EHWPOISON, vt_mmu_ioctl(a->mmu, VMMU_READ, &acc));
		EXPECT_EQ(VT_AREA_GPA + bad * VT_PAGE, acc.gpa);
		EXPECT_EQ(a->len - bad * VT_PAGE, acc.length);
	} else {
		/* the file has lost the page: an error, or another page */
		int r = vt_mmu_read64(a->mmu, VT_AREA_GPA + bad * VT_PAGE,
				      &word);

		EXPECT_TRUE(r == -EHWPOISON || r == -EFAULT || !r);
		if (!r)
			EXPECT_NE(vt_area_word(2, bad, 0), word);
	}
	EXPECT_EQ(0, vt_mmu_read64(a->mmu, VT_AREA_GPA + (bad + 1) * VT_PAGE,
				   &word));
	EXPECT_EQ(vt_area_word(2, bad + 1, 0), word);

	/* a new page heals it */
	ASSERT_EQ(page, mmap(page, VT_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(0, vt_area_fill_mmu(a, 3));
	EXPECT_EQ(0, vt_area_check(a, 3));
}

TEST_HARNESS_MAIN
