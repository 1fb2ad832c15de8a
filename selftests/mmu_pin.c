// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU holds on to no page, and no write through it is lost.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include "area.h"
#include "change.h"

#define KPF_LRU		5
#define KPF_ANON	12

/* A line of /proc/self/status, in KiB. */
static long status_kb(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)) &&
		    line[strlen(name)] == ':')
			sscanf(line + strlen(name) + 1, "%ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

/* An entry of /proc/kpagecount or /proc/kpageflags. */
static uint64_t of_pfn(const char *path, uint64_t pfn)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t entry = ~0ULL;

	if (fd < 0 || pread(fd, &entry, 8, pfn * 8) != 8)
		vt_msg("pin: cannot read %s: %m", path);
	close(fd);
	return entry;
}

FIXTURE(pin)
{
	struct vt_area a;
	const char *why;
};

FIXTURE_VARIANT(pin)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(pin, anon) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(pin, thp) { .backing = VT_AREA_THP };
FIXTURE_VARIANT_ADD(pin, memfd) { .backing = VT_AREA_MEMFD };
FIXTURE_VARIANT_ADD(pin, hugetlb) { .backing = VT_AREA_HUGETLB };
FIXTURE_VARIANT_ADD(pin, private) { .backing = VT_AREA_PRIVATE };

FIXTURE_SETUP(pin)
{
	self->why = vt_area_open(&self->a, variant->backing);
	if (!self->why)
		vt_area_fill(&self->a, 1);
}

FIXTURE_TEARDOWN(pin)
{
	vt_area_close(&self->a);
}

/* Map all of it, and use it. */
static void map_all(struct __test_metadata *_metadata, struct vt_area *a)
{
	ASSERT_EQ(0, vt_area_check_mmu(a, 1));
	ASSERT_EQ(0, vt_area_fill_mmu(a, 2));
	ASSERT_EQ(a->pages, vt_area_mapped(a));
}

TEST_F_TIMEOUT(pin, counts, 300)
{
	static const char *const counters[] = {
		"VmLck", "VmPin", "RssAnon", "RssFile", "RssShmem",
		"HugetlbPages",
	};
	struct vt_area *a = &self->a;
	uint64_t maps[512], pfns[512];
	long before[6];
	size_t i;

	if (self->why)
		SKIP(return, "%s", self->why);
	/* whatever the functions of this test touch is there now */
	for (i = 0; i < 6; i++)
		before[i] = status_kb(counters[i]);
	memset(a->buf, 1, a->len);
	for (i = 0; i < a->pages; i++) {
		pfns[i] = vt_pfn(a->base + i * VT_PAGE);
		maps[i] = of_pfn("/proc/kpagecount", pfns[i]);
		ASSERT_NE(0, maps[i]);
	}
	for (i = 0; i < 6; i++)
		before[i] = status_kb(counters[i]);
	map_all(_metadata, a);
	for (i = 0; i < a->pages; i++) {
		ASSERT_EQ(pfns[i], vt_pfn(a->base + i * VT_PAGE));
		ASSERT_EQ(maps[i], of_pfn("/proc/kpagecount", pfns[i]));
	}
	for (i = 0; i < 6; i++) {
		long now = status_kb(counters[i]);
		/* some kernels count a thread's pages in batches of 64 */
		long slack = !strncmp(counters[i], "Rss", 3) ? 256 : 0;

		EXPECT_LE(labs(now - before[i]), slack);
	}
}

/* Somebody's reference would keep the page where it is. */
static void move_all(struct __test_metadata *_metadata, struct vt_area *a)
{
	bool huge = a->backing == VT_AREA_THP || a->backing == VT_AREA_HUGETLB;
	long units = huge ? a->len / VT_HUGE_SIZE : a->pages, round;
	size_t i;

	/* write one by one: a batch would fault in its neighbours */
	vt_drain_lru();
	for (round = 0; round < 4 && !huge; round++) {
		ASSERT_EQ(0, vt_area_check_mmu(a, 1));
		for (i = 3; i < a->pages; i += 16)
			EXPECT_EQ(1, vt_change_migrate_page(a, i));
	}
	for (round = 0; round < 4; round++) {
		vt_area_fill(a, 1);
		map_all(_metadata, a);
		EXPECT_GE(vt_change_migrate(a), (units * 95 + 99) / 100);
		EXPECT_EQ(0, vt_area_check_mmu(a, 2));
	}
}

TEST_F_TIMEOUT(pin, moved_while_mapped, 300)
{
	unsigned int lru_gen;

	if (self->why)
		SKIP(return, "%s", self->why);
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	lru_gen = vt_set_lru_gen(0);
	move_all(_metadata, &self->a);
	vt_set_lru_gen(VT_LRU_GEN);
	vt_area_fill(&self->a, 1);
	move_all(_metadata, &self->a);
	vt_set_lru_gen(lru_gen);
}

/* A huge page can be split only when every reference is known. */
TEST(split_while_mapped)
{
	struct vt_area area, *a = &area;
	const char *why = vt_area_open(a, VT_AREA_THP);

	if (why)
		SKIP(return, "%s", why);
	vt_area_fill(a, 1);
	map_all(_metadata, a);
	if (vt_change_split(a) == -ENOENT)
		SKIP(return, "no split_huge_pages");
	EXPECT_FALSE(vt_kpageflag(a->base, VT_KPF_THP));
	EXPECT_EQ(0, vt_area_check_mmu(a, 2));
	vt_area_close(a);
}

/* -------------------------------------------------------------- swapping */

FIXTURE(swap)
{
	struct vt_area a;
	const char *why;
};

FIXTURE_VARIANT(swap)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(swap, anon) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(swap, thp) { .backing = VT_AREA_THP };
FIXTURE_VARIANT_ADD(swap, memfd) { .backing = VT_AREA_MEMFD };
FIXTURE_VARIANT_ADD(swap, private) { .backing = VT_AREA_PRIVATE };

FIXTURE_SETUP(swap)
{
	self->why = vt_area_open(&self->a, variant->backing);
	if (!self->why)
		vt_area_fill(&self->a, 1);
}

FIXTURE_TEARDOWN(swap)
{
	vt_area_close(&self->a);
}

/* A reference would also keep the page in memory. */
TEST_F_TIMEOUT(swap, swapped_while_mapped, 300)
{
	const char *why = self->why ? self->why : vt_swap_on();
	struct vt_area *a = &self->a;
	uint64_t zapped;

	if (why)
		SKIP(return, "%s", why);
	map_all(_metadata, a);
	zapped = vt_area_stat(a, "pages_zapped");
	EXPECT_GE(vt_change_page_out(a), a->pages * 9 / 10);
	EXPECT_LE(vt_area_mapped(a), a->pages / 10);
	EXPECT_GE(vt_area_stat(a, "pages_zapped"), zapped + a->pages * 9 / 10);
	EXPECT_EQ(0, vt_area_check_mmu(a, 2));
}

/* Only the MMU ever writes, onto pages whose copy in swap is good. */
static void written_swapped(struct __test_metadata *_metadata,
			    struct vt_area *a, bool delete_first)
{
	unsigned int round;
	uint64_t gen = 1;
	size_t i;

	for (round = 0; round < 3; round++) {
		ASSERT_GE(vt_change_page_out(a), a->pages / 2);
		for (i = 0; i < a->pages; i++)
			*(volatile char *)(a->base + i * VT_PAGE);
		EXPECT_EQ(0, vt_area_check_mmu(a, gen));
		EXPECT_EQ(0, vt_area_fill_mmu(a, ++gen));
		/* in some rounds the memslot goes before reclaim comes */
		if (delete_first) {
			ASSERT_EQ(0, vt_mmu_slot_delete(a->mmu, 0));
			ASSERT_EQ(0, vt_mmu_slot(a->mmu, 0, 0, VT_AREA_GPA,
						 a->base, a->len));
		}
		ASSERT_GE(vt_change_page_out(a), a->pages / 2);
		EXPECT_EQ(0, vt_area_check(a, gen));
	}
}

TEST_F_TIMEOUT(swap, written_then_swapped, 300)
{
	const char *why = self->why ? self->why : vt_swap_on();

	if (why)
		SKIP(return, "%s", why);
	written_swapped(_metadata, &self->a, false);
}

TEST_F_TIMEOUT(swap, written_deleted_swapped, 300)
{
	const char *why = self->why ? self->why : vt_swap_on();

	if (why)
		SKIP(return, "%s", why);
	written_swapped(_metadata, &self->a, true);
}

/*
 * A page of a file in memory that was only read is clean, and yet can be
 * written without a fault: all that tells of such a write is the MMU.
 */
static void clean_written(struct __test_metadata *_metadata, bool delete_first)
{
	const char *why = vt_mmu_available() ? vt_swap_on() : VT_MMU_NO_DEV;
	struct vt_area area, *a = &area;
	size_t i;

	if (!why)
		why = vt_area_open(a, VT_AREA_MEMFD);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, madvise(a->base, a->len, MADV_REMOVE));
	for (i = 0; i < a->pages; i++)
		*(volatile char *)(a->base + i * VT_PAGE);
	ASSERT_EQ(0, vt_area_fill_mmu(a, 1));
	if (delete_first) {
		ASSERT_EQ(0, vt_mmu_slot_delete(a->mmu, 0));
		ASSERT_EQ(0, vt_mmu_slot(a->mmu, 0, 0, VT_AREA_GPA, a->base,
					 a->len));
	}
	ASSERT_GE(vt_change_page_out(a), a->pages / 2);
	EXPECT_EQ(0, vt_area_check_mmu(a, 1));
	EXPECT_EQ(0, vt_area_check(a, 1));
	vt_area_close(a);
}

TEST(clean_written_then_swapped)
{
	clean_written(_metadata, false);
}

TEST(clean_written_deleted_swapped)
{
	clean_written(_metadata, true);
}

/* --------------------------------------------------------------- freeing */

FIXTURE(anonymous)
{
	struct vt_area a;
	const char *why;
};

FIXTURE_VARIANT(anonymous)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(anonymous, small) { .backing = VT_AREA_ANON };
FIXTURE_VARIANT_ADD(anonymous, huge) { .backing = VT_AREA_THP };

FIXTURE_SETUP(anonymous)
{
	self->why = vt_area_open(&self->a, variant->backing);
	if (!self->why)
		vt_area_fill(&self->a, 1);
}

FIXTURE_TEARDOWN(anonymous)
{
	vt_area_close(&self->a);
}

static size_t still_anon(const uint64_t *pfns, size_t n)
{
	size_t i, found = 0;

	for (i = 0; i < n; i++)
		found += (of_pfn("/proc/kpageflags", pfns[i]) &
			  (VT_F(KPF_LRU) | VT_F(KPF_ANON))) != 0;
	return found;
}

/* Pages that the process gives back are free, not only gone from it. */
TEST_F_TIMEOUT(anonymous, freed, 300)
{
	struct vt_area *a = &self->a;
	uint64_t pfns[512];
	long rss;
	size_t i;

	if (self->why)
		SKIP(return, "%s", self->why);
	map_all(_metadata, a);
	for (i = 0; i < a->pages; i++)
		pfns[i] = vt_pfn(a->base + i * VT_PAGE);
	EXPECT_EQ(a->pages, still_anon(pfns, a->pages));
	vt_drain_lru();
	rss = status_kb("RssAnon");
	ASSERT_EQ(0, madvise(a->base, a->len, MADV_DONTNEED));
	/* some kernels count a thread's pages in batches of 64 */
	EXPECT_LE(status_kb("RssAnon"), rss - (long)a->len / 1024 + 256);
	EXPECT_EQ(0, vt_area_stat(a, "pages_4k"));
	EXPECT_EQ(0, vt_area_stat(a, "pages_2m"));
	EXPECT_EQ(0, vt_area_mapped(a));
	/* a few may have found another use by now */
	EXPECT_LE(still_anon(pfns, a->pages), a->pages / 4);
}

/* ------------------------------------------------------------------ files */

#define MNT	"/run/vhost-test"
#define FILE_PAGES	64UL

/* A file on a disk's file system, which wants to hear of dirty pages. */
static const char *open_file(int *fd)
{
	/* gone with this process, as the mount is in a namespace of its own */
	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace";
	mkdir(MNT, 0700);
	if (mount("none", MNT, "tmpfs", 0, NULL) ||
	    system("modprobe -qa loop ext4; cd " MNT " && mkdir mnt &&"
		   "truncate -s 16M img && mkfs.ext4 -qF img &&"
		   "mount -o loop img mnt"))
		return "cannot mount an ext4 file system on a loop device";
	*fd = open(MNT "/mnt/memory", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return *fd < 0 || ftruncate(*fd, FILE_PAGES * VT_PAGE) ?
	       "cannot make a file" : NULL;
}

TEST(file_shared)
{
	size_t len = FILE_PAGES * VT_PAGE, i, wrong;
	const char *why = vt_mmu_available() ? NULL : VT_MMU_NO_DEV;
	uint64_t user, direct, val;
	char *p, *q;
	int fd, mmu, stats;

	if (!why)
		why = open_file(&fd);
	if (why)
		SKIP(return, "%s", why);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, q);
	mmu = vt_mmu_open();
	ASSERT_GE(mmu, 0);
	stats = vt_mmu_stats_open(mmu);
	ASSERT_EQ(0, vt_mmu_slot(mmu, 0, 0, VT_AREA_GPA, p, len));

	/* read through the tables, written by the user's own access */
	for (i = 0; i < FILE_PAGES; i++)
		*(uint64_t *)(p + i * VT_PAGE) = i;
	direct = vt_mmu_stat(stats, "bytes_direct");
	user = vt_mmu_stat(stats, "bytes_user");
	for (i = 0, wrong = 0; i < FILE_PAGES; i++) {
		ASSERT_EQ(0,
			  vt_mmu_read64(mmu, VT_AREA_GPA + i * VT_PAGE, &val));
		wrong += val != i;
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(direct + FILE_PAGES * 8, vt_mmu_stat(stats, "bytes_direct"));
	EXPECT_EQ(user, vt_mmu_stat(stats, "bytes_user"));

	/* twice, as the page is clean again after it was written to the disk */
	for (val = 1; val <= 2; val++) {
		user = vt_mmu_stat(stats, "bytes_user");
		for (i = 0; i < FILE_PAGES; i++)
			ASSERT_EQ(0,
				  vt_mmu_write64(mmu, VT_AREA_GPA + i * VT_PAGE,
						 vt_area_word(val, i, 0)));
		EXPECT_EQ(user + FILE_PAGES * 8,
			  vt_mmu_stat(stats, "bytes_user"));
		for (i = 0, wrong = 0; i < FILE_PAGES; i++)
			wrong += *(uint64_t *)(q + i * VT_PAGE) !=
				 vt_area_word(val, i, 0);
		EXPECT_EQ(0, wrong);
		ASSERT_EQ(0, msync(p, len, MS_SYNC));
		/* dropping the cache loses what is not on the disk */
		madvise(p, len, MADV_DONTNEED);
		madvise(q, len, MADV_DONTNEED);
		vt_write_file("/proc/sys/vm/drop_caches", "1\n");
		for (i = 0, wrong = 0; i < FILE_PAGES; i++) {
			uint64_t got = 0;

			ASSERT_EQ(8, pread(fd, &got, 8, i * VT_PAGE));
			wrong += got != vt_area_word(val, i, 0);
			ASSERT_EQ(0,
				  vt_mmu_read64(mmu, VT_AREA_GPA + i * VT_PAGE,
						&got));
			wrong += got != vt_area_word(val, i, 0);
		}
		EXPECT_EQ(0, wrong);
	}
	EXPECT_EQ(0, vt_mmu_stat(stats, "mmu_lock_write_fault"));
	close(stats);
	close(mmu);
	munmap(p, len);
	munmap(q, len);
	close(fd);
}

TEST_HARNESS_MAIN
