// SPDX-License-Identifier: GPL-2.0
/*
 * Populating: progress and what ends it, permissions, page sizes, the number of
 * tables, memory that has no struct page.
 * Timeout: 60 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include "mmu.h"

#define GPA	(1UL << 30)
#define PAGES	16UL
#define LEN	(PAGES * VT_PAGE)
#define GIB	(1UL << 30)
#define TIB	(1UL << 40)

FIXTURE(prefault)
{
	int fd;
	int stats;
	char *mem;
};

FIXTURE_SETUP(prefault)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	self->mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	self->fd = vt_mmu_open();
	ASSERT_LE(0, self->fd);
	self->stats = vt_mmu_stats_open(self->fd);
	ASSERT_LE(0, self->stats);
}

/* Whatever a test did: without memslots nothing is left but the root. */
FIXTURE_TEARDOWN(prefault)
{
	unsigned int slot;

	for (slot = 0; vt_mmu_stat(self->stats, "memslots"); slot++) {
		ASSERT_GT(64, slot);
		vt_mmu_slot_delete(self->fd, slot);
	}
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_2m"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_1g"));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "table_pages"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "mmu_lock_write_fault"));
	close(self->stats);
	close(self->fd);
}

/*
 * One call: its answer, and that the address advanced by just as much as the
 * length shrank. What is left ends up in @left.
 */
static int populate(struct __test_metadata *_metadata, int fd, uint32_t flags,
		    uint64_t gpa, uint64_t len, uint64_t *left)
{
	uint64_t at = gpa, rest = len;
	int r = vt_mmu_populate(fd, flags, &at, &rest);

	EXPECT_EQ(gpa + len, at + rest);
	EXPECT_LE(rest, len);
	EXPECT_EQ(0, rest % VT_PAGE);
	/* success means progress, an error means none */
	EXPECT_EQ(!r, rest < len);
	*left = rest;
	return r;
}

#define POPULATE(flags, gpa, len, left) \
	populate(_metadata, self->fd, flags, gpa, len, left)

/* As KVM's pre_fault_memory_test does, at each end of the memslot. */
TEST_F(prefault, progress)
{
	uint64_t left;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, LEN));
	/* the whole, and again when it is there */
	EXPECT_EQ(0, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(0, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(0, left);
	/* past the end: first what is there, then why no more */
	EXPECT_EQ(0, POPULATE(0, GPA + LEN / 2, LEN, &left));
	EXPECT_EQ(LEN / 2, left);
	EXPECT_EQ(-ENOENT, POPULATE(0, GPA + LEN, left, &left));
	EXPECT_EQ(0, POPULATE(0, GPA, LEN + VT_PAGE, &left));
	EXPECT_EQ(VT_PAGE, left);
	EXPECT_EQ(-ENOENT, POPULATE(0, GPA - VT_PAGE, LEN, &left));
	EXPECT_EQ(-ENOENT, POPULATE(0, GPA + LEN, VT_PAGE, &left));
	EXPECT_EQ(-ENOENT, POPULATE(0, 0, TIB, &left));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
	/* deleting the memslot unmaps it */
	ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, 0));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(-ENOENT, POPULATE(0, GPA, LEN, &left));
}

TEST_F(prefault, arguments)
{
	uint64_t at, len;
	unsigned int i;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, LEN));
	for (i = 0; i < 12; i++) {
		at = GPA + (1UL << i);
		len = VT_PAGE;
		EXPECT_EQ(-EINVAL, vt_mmu_populate(self->fd, 0, &at, &len));
		EXPECT_EQ(VT_PAGE, len);
		at = GPA;
		len = VT_PAGE + (1UL << i);
		EXPECT_EQ(-EINVAL, vt_mmu_populate(self->fd, 0, &at, &len));
		EXPECT_EQ(GPA, at);
	}
	at = GPA;
	len = 0;
	EXPECT_EQ(-EINVAL, vt_mmu_populate(self->fd, 0, &at, &len));
	at = -2 * VT_PAGE;
	len = 4 * VT_PAGE;
	EXPECT_EQ(-EINVAL, vt_mmu_populate(self->fd, 0, &at, &len));
	at = GPA;
	len = -VT_PAGE;
	EXPECT_EQ(-EINVAL, vt_mmu_populate(self->fd, 0, &at, &len));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
}

/* Over memslots that touch, to a gap between them, to a gap in the memory. */
TEST_F(prefault, holes)
{
	const uint64_t half = LEN / 2;
	uint64_t left;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, half));
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 1, 0, GPA + half, self->mem, half));
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 2, 0, GPA + LEN + VT_PAGE,
				 self->mem + half, half));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, LEN));
	EXPECT_EQ(-ENOENT, vt_mmu_populate_all(self->fd, 0, GPA, 2 * LEN));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(0, POPULATE(0, GPA + LEN + VT_PAGE, half, &left));
	EXPECT_EQ(0, left);

	ASSERT_EQ(0, munmap(self->mem + half + 2 * VT_PAGE, VT_PAGE));
	EXPECT_EQ(0, POPULATE(0, GPA + LEN + VT_PAGE, half, &left));
	EXPECT_EQ(half - 2 * VT_PAGE, left);
	EXPECT_EQ(-EFAULT, POPULATE(0, GPA + LEN + 3 * VT_PAGE, left, &left));
	EXPECT_EQ(0, POPULATE(0, GPA + LEN + 4 * VT_PAGE, VT_PAGE, &left));
	EXPECT_EQ(PAGES + PAGES / 2 - 1, vt_mmu_stat(self->stats, "pages_4k"));
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal ends a call early, and nothing is lost by that. */
TEST_F(prefault, signal)
{
	const uint64_t len = vt_slow() ? 8UL << 20 : 64UL << 20;
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval every = { { 0, 3000 }, { 0, 3000 } };
	uint64_t at = GPA, left = len;
	unsigned int early = 0, eintr = 0;
	struct vt_mem m;

	ASSERT_EQ(0, vt_mem_alloc_untouched(&m, VT_ANON, len));
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, m.base, len));
	ASSERT_EQ(0, sigaction(SIGALRM, &sa, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &every, NULL));
	while (left) {
		uint64_t before = left;
		int r = vt_mmu_populate(self->fd, VMMU_POPULATE_WRITE, &at,
					&left);

		ASSERT_EQ(GPA + len, at + left);
		/* a call that made progress succeeds */
		ASSERT_EQ(before == left ? -EINTR : 0, r);
		early += !r && left;
		eintr += r == -EINTR;
	}
	every = (struct itimerval) {};
	setitimer(ITIMER_REAL, &every, NULL);
	EXPECT_LT(0, early + eintr);
	TH_LOG("%u calls cut short, %u without progress", early, eintr);
	EXPECT_EQ(len / VT_PAGE, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(len / VT_PAGE, vt_mmu_stat(self->stats, "pf_fixed"));
	vt_mem_free(&m);
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
}

/* ---------------------------------------------------------- permissions */

static uint32_t perms(int fd, uint64_t gpa)
{
	struct vmmu_translate t;

	return vt_mmu_translate(fd, 0, gpa, &t) ? ~0U : t.perms;
}

#define RW	(VMMU_PERM_READ | VMMU_PERM_WRITE)

TEST_F(prefault, permissions)
{
	uint64_t left, val = 7;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, LEN));
	/* a read maps the zero page, a write gets a page of its own */
	EXPECT_EQ(0, POPULATE(0, GPA, VT_PAGE, &left));
	EXPECT_EQ(VMMU_PERM_READ, perms(self->fd, GPA));
	EXPECT_EQ(0, POPULATE(VMMU_POPULATE_WRITE, GPA, VT_PAGE, &left));
	EXPECT_EQ(RW, perms(self->fd, GPA));
	EXPECT_EQ(0, *(uint64_t *)self->mem);
	/* what the process has written can be written at once */
	self->mem[VT_PAGE] = 1;
	EXPECT_EQ(0, POPULATE(0, GPA + VT_PAGE, VT_PAGE, &left));
	EXPECT_EQ(RW, perms(self->fd, GPA + VT_PAGE));

	/* read-only memory: mprotect() unmaps it, a fault maps it again */
	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ));
	EXPECT_EQ(0, perms(self->fd, GPA) & VMMU_PERM_WRITE);
	EXPECT_EQ(-EFAULT, POPULATE(VMMU_POPULATE_WRITE, GPA, LEN, &left));
	EXPECT_EQ(-EFAULT, vt_mmu_write64(self->fd, GPA, 1));
	EXPECT_EQ(0, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(VMMU_PERM_READ, perms(self->fd, GPA));
	EXPECT_EQ(VMMU_PERM_READ, perms(self->fd, GPA + LEN - VT_PAGE));
	EXPECT_EQ(0, vt_mmu_read64(self->fd, GPA, &val));
	EXPECT_EQ(0, val);

	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_NONE));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(-EFAULT, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(-EFAULT, POPULATE(VMMU_POPULATE_WRITE, GPA, LEN, &left));
	EXPECT_EQ(-EFAULT, vt_mmu_read64(self->fd, GPA, &val));
	EXPECT_EQ(-EFAULT, vt_mmu_write64(self->fd, GPA, 1));

	ASSERT_EQ(0, mprotect(self->mem, LEN, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, vt_mmu_write64(self->fd, GPA, 5));
	EXPECT_EQ(RW, perms(self->fd, GPA));
	EXPECT_EQ(5, *(uint64_t *)self->mem);
}

/* A read-only memslot over memory that is not. */
TEST_F(prefault, readonly_slot)
{
	uint64_t left, val = 0;

	memset(self->mem, 3, LEN);
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, VMMU_MEM_READONLY, GPA, self->mem,
				 LEN));
	EXPECT_EQ(-EROFS, POPULATE(VMMU_POPULATE_WRITE, GPA, LEN, &left));
	EXPECT_EQ(0, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(VMMU_PERM_READ, perms(self->fd, GPA));
	EXPECT_EQ(-EROFS, vt_mmu_write64(self->fd, GPA, 1));
	EXPECT_EQ(-EROFS, POPULATE(VMMU_POPULATE_WRITE, GPA, LEN, &left));
	EXPECT_EQ(0, vt_mmu_read64(self->fd, GPA, &val));
	EXPECT_EQ(0x0303030303030303UL, val);
	/* the same memory at another place may be written, and is seen here */
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 1, 0, 2 * GPA, self->mem, LEN));
	EXPECT_EQ(0, vt_mmu_write64(self->fd, 2 * GPA, 99));
	EXPECT_EQ(0, vt_mmu_read64(self->fd, GPA, &val));
	EXPECT_EQ(99, val);
}

/* Memory that the kernel itself must not map. */
TEST_F(prefault, secretmem)
{
	uint64_t left, val = 0;
	char *p;
	int fd;

	fd = syscall(SYS_memfd_secret, 0);
	if (fd < 0)
		SKIP(return, "memfd_secret() is off (secretmem.enable=1)");
	ASSERT_EQ(0, ftruncate(fd, LEN));
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	strcpy(p, "secret");
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, p, LEN));
	EXPECT_EQ(-EFAULT, POPULATE(0, GPA, LEN, &left));
	EXPECT_EQ(-EFAULT, POPULATE(VMMU_POPULATE_WRITE, GPA, LEN, &left));
	EXPECT_EQ(0, vt_mmu_read64(self->fd, GPA, &val));
	EXPECT_STREQ("secret", (char *)&val);
	EXPECT_EQ(0, vt_mmu_write64(self->fd, GPA + VT_PAGE, 77));
	EXPECT_EQ(77, *(uint64_t *)(p + VT_PAGE));
	EXPECT_EQ(16, vt_mmu_stat(self->stats, "bytes_user"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "bytes_direct"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	munmap(p, LEN);
	close(fd);
}

/* ---------------------------------------------- page sizes and tables */

/* What is mapped: where, by which entries, how many. */
struct map {
	uint64_t gpa;
	unsigned int shift;
	unsigned int num;
};

static unsigned int add_table(uint64_t *seen, unsigned int n, uint64_t key)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (seen[i] == key)
			return n;
	seen[n] = key;
	return n + 1;
}

/*
 * Tables needed: the root, and below it one for each part of the address space
 * that has an entry smaller than itself.
 */
static unsigned int tables_for(const struct map *map, unsigned int n)
{
	static uint64_t seen[4096];
	unsigned int i, j, shift, tables = 0;

	for (shift = 39; shift >= 21; shift -= 9)
		for (i = 0; i < n; i++)
			for (j = 0; j < map[i].num && map[i].shift < shift; j++)
				tables = add_table(seen, tables, shift |
					(map[i].gpa +
					 ((uint64_t)j << map[i].shift))
					>> shift << shift);
	return tables + 1;
}

static void expect_map(struct __test_metadata *_metadata, int stats,
		       const struct map *map, unsigned int n)
{
	unsigned int i, j, pages[31] = {};

	for (i = 0; i < n; i++)
		pages[map[i].shift] += map[i].num;
	EXPECT_EQ(pages[12], vt_mmu_stat(stats, "pages_4k"));
	EXPECT_EQ(pages[21], vt_mmu_stat(stats, "pages_2m"));
	EXPECT_EQ(pages[30], vt_mmu_stat(stats, "pages_1g"));
	j = tables_for(map, n);
	EXPECT_EQ(j, vt_mmu_stat(stats, "table_pages"));
	EXPECT_LE(j, vt_mmu_stat(stats, "table_pages_peak"));
}

#define EXPECT_MAP(map, n)	expect_map(_metadata, self->stats, map, n)

/* Around every border between tables, in all orders. */
TEST_F(prefault, tables)
{
	static const uint64_t borders[] = {
		0, VT_HUGE_SIZE, GIB, 512 * GIB, 100 * TIB,
	};
	const unsigned int n = ARRAY_SIZE(borders);
	struct map map[8] = {};
	unsigned int i;

	memset(self->mem, 1, LEN);
	EXPECT_MAP(map, 0);
	for (i = 0; i < n; i++) {
		/* half before, half after it; nothing lies before 0 */
		map[i].gpa = borders[i] ? borders[i] - LEN / 2 : 0;
		map[i].shift = 12;
		map[i].num = PAGES;
		ASSERT_EQ(0, vt_mmu_slot(self->fd, i, 0, map[i].gpa, self->mem,
					 LEN));
		EXPECT_MAP(map, i);
		EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, map[i].gpa, LEN));
		EXPECT_MAP(map, i + 1);
	}
	map[n] = (struct map) { (1ULL << 48) - LEN, 12, PAGES };
	ASSERT_EQ(0, vt_mmu_slot(self->fd, n, 0, map[n].gpa, self->mem, LEN));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, map[n].gpa, LEN));
	EXPECT_MAP(map, n + 1);
	EXPECT_LT(20, tables_for(map, n + 1));
	/* and back, not in the order of creation */
	for (i = 0; i <= n; i++) {
		unsigned int slot = (i * 5 + 2) % (n + 1);

		ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, slot));
		map[slot].num = 0;
		EXPECT_EQ((n - i) * PAGES,
			  vt_mmu_stat(self->stats, "pages_4k"));
	}
	EXPECT_MAP(map, n + 1);
}

FIXTURE(level)
{
	int fd;
	int stats;
	struct vt_mem m;
};

FIXTURE_VARIANT(level)
{
	enum vt_backing backing;
	unsigned int shift;
};

FIXTURE_VARIANT_ADD(level, anon)
{
	.backing = VT_ANON,
	.shift = 12,
};

FIXTURE_VARIANT_ADD(level, memfd)
{
	.backing = VT_MEMFD,
	.shift = 12,
};

FIXTURE_VARIANT_ADD(level, thp)
{
	.backing = VT_THP,
	.shift = 21,
};

FIXTURE_VARIANT_ADD(level, hugetlb)
{
	.backing = VT_HUGETLB,
	.shift = 21,
};

#define LEVEL_LEN	(4 * VT_HUGE_SIZE)

FIXTURE_SETUP(level)
{
	int r;

	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	r = vt_mem_alloc_huge(&self->m, variant->backing, LEVEL_LEN);
	if (r)
		SKIP(return, "no %s memory: %s",
		     vt_backing_name(variant->backing), strerror(-r));
	self->fd = vt_mmu_open();
	ASSERT_LE(0, self->fd);
	self->stats = vt_mmu_stats_open(self->fd);
	ASSERT_LE(0, self->stats);
}

FIXTURE_TEARDOWN(level)
{
	vt_mmu_slot_delete(self->fd, 0);
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_2m"));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "table_pages"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "mmu_lock_write_fault"));
	close(self->stats);
	close(self->fd);
	vt_mem_free(&self->m);
}

static unsigned int page_shift(int fd, uint64_t gpa)
{
	struct vmmu_translate t;

	return vt_mmu_translate(fd, 0, gpa, &t) ? ~0U : t.page_shift;
}

TEST_F(level, congruent)
{
	struct map map = {
		GPA, variant->shift, LEVEL_LEN >> variant->shift,
	};
	uint64_t faults, left, i;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->m.base, LEVEL_LEN));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, LEVEL_LEN));
	EXPECT_MAP(&map, 1);
	EXPECT_EQ(map.num, vt_mmu_stat(self->stats, "pf_fixed"));
	for (i = 0; i < LEVEL_LEN; i += VT_HUGE_SIZE - VT_PAGE)
		EXPECT_EQ(variant->shift, page_shift(self->fd, GPA + i));
	/* one page, and the whole entry is there: progress stays the page's */
	vt_mmu_slot_delete(self->fd, 0);
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, self->m.base, LEVEL_LEN));
	faults = vt_mmu_stat(self->stats, "pf_fixed");
	EXPECT_EQ(0, POPULATE(0, GPA + VT_PAGE * 5, VT_PAGE, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "pf_fixed") - faults);
	map = (struct map) { GPA + VT_PAGE * 5, variant->shift, 1 };
	map.gpa &= -1UL << variant->shift;
	EXPECT_MAP(&map, 1);
	/* from the midst of one over the next ones, past the end */
	EXPECT_EQ(0, POPULATE(0, GPA + VT_HUGE_SIZE / 2, LEVEL_LEN, &left));
	EXPECT_EQ(VT_HUGE_SIZE / 2, left);
}

/* Guest and host address differ within 2M, or the memslot ends within. */
TEST_F(level, not_congruent)
{
	struct map map = {
		GPA + VT_PAGE, 12, (LEVEL_LEN - VT_HUGE_SIZE) / VT_PAGE,
	};
	const uint64_t len = LEVEL_LEN - VT_HUGE_SIZE;

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA + VT_PAGE, self->m.base,
				 len));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA + VT_PAGE, len));
	EXPECT_MAP(&map, 1);
	EXPECT_EQ(12, page_shift(self->fd, GPA + VT_HUGE_SIZE));
}

TEST_F(level, slot_edges)
{
	/* a page is missing at each end: small at the edges, huge inside */
	const uint64_t skip = VT_PAGE, len = LEVEL_LEN - 2 * VT_PAGE;
	const unsigned int edge = VT_HUGE_SIZE / VT_PAGE - 1;
	struct map map[3] = {
		{ GPA + skip, 12, edge },
		{ GPA + VT_HUGE_SIZE, variant->shift,
		  (LEVEL_LEN - 2 * VT_HUGE_SIZE) >> variant->shift },
		{ GPA + LEVEL_LEN - VT_HUGE_SIZE, 12, edge },
	};

	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA + skip,
				 (char *)self->m.base + skip, len));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA + skip, len));
	EXPECT_MAP(map, 3);
	EXPECT_EQ(12, page_shift(self->fd, GPA + skip));
	EXPECT_EQ(variant->shift, page_shift(self->fd, GPA + VT_HUGE_SIZE));
	EXPECT_EQ(12, page_shift(self->fd, GPA + LEVEL_LEN - VT_HUGE_SIZE));
}

/* What lies in a huge entry is where it should be. */
TEST_F(level, content)
{
	char *mem = self->m.base;
	uint64_t i, val;

	for (i = 0; i < LEVEL_LEN; i += VT_PAGE)
		*(uint64_t *)(mem + i + i / VT_PAGE % 500 * 8) = i + 1;
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, mem, LEVEL_LEN));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, LEVEL_LEN));
	for (i = 0; i < LEVEL_LEN; i += VT_PAGE) {
		uint64_t at = i + i / VT_PAGE % 500 * 8;

		ASSERT_EQ(0, vt_mmu_read64(self->fd, GPA + at, &val));
		ASSERT_EQ(i + 1, val);
		ASSERT_EQ(0, vt_mmu_write64(self->fd, GPA + at, ~i));
		ASSERT_EQ(~i, *(uint64_t *)(mem + at));
	}
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "bytes_user"));
}

static int throw_away(const struct vt_mem *m, size_t at, size_t len)
{
	if (m->fd >= 0)
		return fallocate(m->fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, m->fd_off + at, len);
	return madvise((char *)m->base + at, len, MADV_DONTNEED);
}

/* What is thrown away is unmapped, just that, and new when it comes again. */
TEST_F(level, discard)
{
	char *mem = self->m.base;
	uint64_t left, val;

	memset(mem, 1, LEVEL_LEN);
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, mem, LEVEL_LEN));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, LEVEL_LEN));
	ASSERT_EQ(0, throw_away(&self->m, VT_HUGE_SIZE, VT_HUGE_SIZE));
	EXPECT_EQ(0, page_shift(self->fd, GPA + VT_HUGE_SIZE));
	EXPECT_EQ(0, page_shift(self->fd, GPA + 2 * VT_HUGE_SIZE - VT_PAGE));
	EXPECT_EQ(variant->shift,
		  page_shift(self->fd, GPA + VT_HUGE_SIZE - VT_PAGE));
	EXPECT_EQ(variant->shift, page_shift(self->fd, GPA + 2 * VT_HUGE_SIZE));
	EXPECT_EQ(VT_HUGE_SIZE / VT_PAGE,
		  vt_mmu_stat(self->stats, "pages_zapped"));
	EXPECT_EQ(0, vt_mmu_read64(self->fd, GPA + VT_HUGE_SIZE + 8, &val));
	EXPECT_EQ(0, val);
	EXPECT_EQ(0, POPULATE(0, GPA, LEVEL_LEN, &left));
	EXPECT_EQ(0, left);
}

/* ------------------------------------------------- without struct page */

/* The firmware of a PC, if the kernel allows it. */
static void *map_firmware(size_t *len)
{
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
	void *p;

	if (fd < 0)
		return NULL;
	*len = LEN;
	p = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0xf0000);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* Memory that a PCI device of this machine has, and that no driver uses. */
static void *map_resource(size_t *len)
{
	void *p = MAP_FAILED;
	unsigned int i;
	glob_t g;

	if (glob("/sys/bus/pci/devices/*/resource[0-9]", 0, NULL, &g))
		return map_firmware(len);
	for (i = 0; i < g.gl_pathc && p == MAP_FAILED; i++) {
		int fd = open(g.gl_pathv[i], O_RDWR | O_CLOEXEC);
		off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

		if (size >= (off_t)VT_PAGE) {
			*len = size < (off_t)LEN ? size : (off_t)LEN;
			*len &= -VT_PAGE;
			p = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED,
				 fd, 0);
		}
		if (p != MAP_FAILED)
			vt_msg("device memory: %zu bytes of %s", *len,
			       g.gl_pathv[i]);
		if (fd >= 0)
			close(fd);
	}
	globfree(&g);
	return p == MAP_FAILED ? map_firmware(len) : p;
}

TEST_F(prefault, device_memory)
{
	struct vmmu_translate t;
	uint32_t word = 0;
	uint64_t left;
	size_t len;
	char *p = map_resource(&len);

	if (!p)
		SKIP(return, "no device has memory that can be mapped");
	ASSERT_EQ(0, vt_mmu_slot(self->fd, 0, 0, GPA, p, len));
	EXPECT_EQ(0, POPULATE(0, GPA, len, &left));
	EXPECT_EQ(0, left);
	EXPECT_EQ(len / VT_PAGE, vt_mmu_stat(self->stats, "pages_4k"));
	ASSERT_EQ(0, vt_mmu_translate(self->fd, 0, GPA, &t));
	EXPECT_EQ((uintptr_t)p, t.hva);
	EXPECT_EQ(12, t.page_shift);
	EXPECT_TRUE(t.perms & VMMU_PERM_READ);
	/* the kernel has no address for this memory */
	EXPECT_FALSE(t.state & VMMU_STATE_DIRECT);
	EXPECT_EQ(0, vt_mmu_read(self->fd, GPA, &word, sizeof(word)));
	EXPECT_EQ(*(volatile uint32_t *)p, word);
	EXPECT_EQ(sizeof(word), vt_mmu_stat(self->stats, "bytes_user"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "bytes_direct"));
	/* unmapping the memory drops the entry */
	munmap(p, len);
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(-EFAULT, POPULATE(0, GPA, len, &left));
}

TEST_HARNESS_MAIN
