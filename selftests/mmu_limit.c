// SPDX-License-Identifier: GPL-2.0
/*
 * What the owner of an MMU can do to others: let them wait, or use their memory.
 * Timeout: 60 s
 */
#include <kselftest_harness.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include "cgroup.h"
#include "mmu.h"
#include "thread.h"
#include "uffd.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

FIXTURE(limit)
{
	int unused;
};

FIXTURE_SETUP(limit)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
}

FIXTURE_TEARDOWN(limit)
{
}

/* ------------------------------------------------------------ the mmap lock */

#define HOLD_LEN	(192UL << 20)
#define HOLD_TRIES	5

/* A thread that has the mmap lock while it faults pages in. */
static struct {
	char *mem;
	_Atomic bool begun;
	_Atomic bool done;
} hold;

static void *hold_mmap_lock(void *unused)
{
	atomic_store(&hold.begun, true);
	madvise(hold.mem, HOLD_LEN, MADV_POPULATE_WRITE);
	atomic_store(&hold.done, true);
	return unused;
}

/* Did an open return while the lock was held? */
static bool open_meanwhile(void)
{
	pthread_t thread;
	bool waited;
	int fd;

	madvise(hold.mem, HOLD_LEN, MADV_DONTNEED);
	atomic_store(&hold.begun, false);
	atomic_store(&hold.done, false);
	if (pthread_create(&thread, NULL, hold_mmap_lock, NULL))
		return false;
	while (!atomic_load(&hold.begun))
		;
	vt_sleep_ms(10);
	fd = vt_mmu_open();
	waited = atomic_load(&hold.done);
	pthread_join(thread, NULL);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && !waited;
}

/*
 * All opens of misc devices wait for one that does not return: it must not wait
 * for what the opener may hold for as long as he likes.
 */
TEST_F(limit, open_needs_no_mmap_lock)
{
	unsigned int i, meanwhile = 0;

	hold.mem = mmap(NULL, HOLD_LEN, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, hold.mem);
	madvise(hold.mem, HOLD_LEN, MADV_NOHUGEPAGE);
	/* of which others on the machine may spoil some */
	for (i = 0; i < HOLD_TRIES && !meanwhile; i++)
		meanwhile += open_meanwhile();
	EXPECT_LE(1, meanwhile)
		TH_LOG("each of %u opens waited for the mmap lock", i);
	munmap(hold.mem, HOLD_LEN);
}

/* ------------------------------------------------- closing a passed file */

#define GPA		0x100000UL
#define SLOT_LEN	(64 * VT_PAGE)

/* A thread that asks for a dirty log, which nobody takes from it. */
static struct {
	int fd;
	void *bitmap;
	int ret;
} asks;

static void *ask_dirty_log(void *unused)
{
	asks.ret = vt_mmu_get_dirty(asks.fd, 0, asks.bitmap);
	return unused;
}

/* The bitmap is memory whose fault nobody answers, until the file is closed. */
static const char *unanswered(struct vt_uffd *u)
{
	static struct vt_area area;

	area.len = VT_PAGE;
	area.base = mmap(NULL, area.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if ((void *)area.base == MAP_FAILED)
		return "no memory";
	asks.bitmap = area.base;
	return vt_uffd_open(u, &area, 0, UFFDIO_REGISTER_MODE_MISSING);
}

/* A child that closes a file when it is told, and says when that is done. */
static pid_t start_closer(int file, int *tell, int *told)
{
	int to[2], from[2];
	pid_t pid;
	char c;

	if (pipe(to) || pipe(from))
		return -1;
	pid = fork();
	if (!pid) {
		close(to[1]);
		if (read(to[0], &c, 1) != 1)
			_exit(1);
		close(file);
		_exit(write(from[1], &c, 1) != 1);
	}
	close(to[0]);
	close(from[1]);
	*tell = to[1];
	*told = from[0];
	return pid;
}

/* Wait until @fd can be read; 0, or -ETIMEDOUT. */
static int wait_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, vt_timeout_ms(2000)) == 1 ? 0 : -ETIMEDOUT;
}

/* Whoever was passed a reader waits for no lock of its owner. */
TEST_F(limit, close_of_passed_reader)
{
	int fd = vt_mmu_open(), reader, tell = -1, told = -1, closed;
	pthread_t thread;
	struct vt_uffd u;
	const char *why;
	pid_t pid;
	void *mem;

	mem = mmap(NULL, SLOT_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA, mem,
				 SLOT_LEN));
	reader = vt_mmu_create_reader(fd);
	ASSERT_LE(0, reader);
	pid = start_closer(reader, &tell, &told);
	ASSERT_LT(0, pid);
	close(reader);
	why = unanswered(&u);
	if (why)
		SKIP(return, "%s", why);

	asks.fd = fd;
	ASSERT_EQ(0, pthread_create(&thread, NULL, ask_dirty_log, NULL));
	/* the kernel stands in the copy to the bitmap */
	ASSERT_EQ(0, wait_readable(u.fd));
	ASSERT_EQ(1, write(tell, "", 1));
	closed = wait_readable(told);
	/* the fault goes on without a monitor */
	close(u.fd);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, asks.ret);
	EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	EXPECT_EQ(0, closed)
		TH_LOG("close() waited for the owner's dirty log");
	close(fd);
}

/* ------------------------------------------------- rings that come and go */

#define RING		64
#define RING_ROUNDS	400

static int reset_rings(void *arg)
{
	return vt_mmu_reset_rings(*(int *)arg, NULL);
}

/* Rings are reset while their readers come, write a page and go. */
TEST_F(limit, rings_come_and_go)
{
	unsigned int i, rounds = vt_scale(RING_ROUNDS);
	int fd = vt_mmu_open(), keep, reader;
	struct vt_thread resets = {};
	struct vmmu_dirty_gfn *ring;
	void *mem;

	mem = mmap(NULL, SLOT_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, vt_mmu_options(fd, 0, RING));
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA, mem,
				 SLOT_LEN));
	keep = vt_mmu_create_reader(fd);
	ASSERT_LE(0, keep);
	ASSERT_EQ(0, vt_thread_start(&resets, reset_rings, &fd));
	for (i = 0; i < rounds; i++) {
		uint64_t gpa = GPA + i % 64 * VT_PAGE;

		reader = vt_mmu_create_reader(fd);
		ASSERT_LE(0, reader);
		ring = vt_mmu_map_ring(reader, RING);
		ASSERT_NE(NULL, ring);
		ASSERT_EQ(0, vt_mmu_write64(reader, gpa, i));
		/* unless the page was writable still */
		if (__atomic_load_n(&ring->flags, __ATOMIC_ACQUIRE))
			__atomic_store_n(&ring->flags, VMMU_DIRTY_GFN_F_RESET,
					 __ATOMIC_RELEASE);
		munmap(ring, RING * sizeof(*ring));
		close(reader);
	}
	EXPECT_EQ(0, vt_thread_stop(&resets));
	EXPECT_LT(0, resets.steps);
	close(keep);
	close(fd);
}

/* ------------------------------------------------------------------ memory */

#define CHARGE_READERS	16

/* Who makes readers pays for their dirty rings, and can map them whole. */
TEST_F(limit, rings_are_charged)
{
	long long before, after, all;
	int reader[CHARGE_READERS];
	struct vmmu_dirty_gfn *ring;
	struct vmmu_get_info info;
	const char *why;
	int fd = vt_mmu_open();
	unsigned int i;
	size_t len;
	char *mem;

	why = vt_cgroup_make();
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, vt_cgroup_enter(0));
	ASSERT_EQ(0, vt_mmu_info(fd, &info));
	ASSERT_EQ(0, vt_mmu_options(fd, 0, info.max_ring_entries));
	mem = mmap(NULL, SLOT_LEN, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA, mem,
				 SLOT_LEN));
	len = info.max_ring_entries * sizeof(*ring);

	before = vt_cgroup_kernel();
	for (i = 0; i < CHARGE_READERS; i++) {
		reader[i] = vt_mmu_create_reader(fd);
		ASSERT_LE(0, reader[i]);
	}
	after = vt_cgroup_kernel();
	/* what is charged is counted in batches for each CPU */
	all = (long long)CHARGE_READERS * len;
	EXPECT_LE(all * 3 / 4, after - before)
		TH_LOG("%lld of %lld bytes are charged", after - before, all);

	/* all of it can be mapped, in parts too, and no more */
	ring = vt_mmu_map_ring(reader[0], info.max_ring_entries);
	ASSERT_NE(NULL, ring);
	EXPECT_EQ(0, ring[info.max_ring_entries - 1].flags);
	EXPECT_EQ(0, vt_mmu_write64(reader[0], GPA + 5 * VT_PAGE, 1));
	EXPECT_EQ(VMMU_DIRTY_GFN_F_DIRTY, ring->flags);
	EXPECT_EQ(5, ring->offset);
	EXPECT_EQ(NULL, vt_mmu_map_ring(reader[0], info.max_ring_entries * 2));
	mem = mmap(NULL, 2 * VT_PAGE, PROT_READ, MAP_SHARED, reader[0],
		   len - VT_PAGE);
	EXPECT_EQ(MAP_FAILED, mem);
	mem = mmap(NULL, VT_PAGE, PROT_READ, MAP_SHARED, reader[0], len);
	EXPECT_EQ(MAP_FAILED, mem);
	mem = mmap(NULL, VT_PAGE, PROT_READ, MAP_SHARED, reader[0],
		   len - VT_PAGE);
	EXPECT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, *mem);
	munmap(mem, VT_PAGE);
	mem = mmap(NULL, VT_PAGE, PROT_READ, MAP_PRIVATE, reader[0], 0);
	EXPECT_EQ(MAP_FAILED, mem);

	for (i = 0; i < CHARGE_READERS; i++)
		close(reader[i]);
	munmap(ring, len);
	EXPECT_GE(before + all / 4, vt_cgroup_kernel_wait(before + all / 4));
	close(fd);
	vt_cgroup_leave();
}

/* ----------------------------------------------------------------- numbers */

#define FILES		2048

static int fds[FILES];

static void allow_files(void)
{
	struct rlimit limit = { FILES + 64, FILES + 64 };

	setrlimit(RLIMIT_NOFILE, &limit);
}

static void close_all(unsigned int n)
{
	while (n--)
		close(fds[n]);
}

/* One MMU has so many readers as it says, with any number of files left. */
TEST_F(limit, readers)
{
	struct vmmu_get_info info;
	int fd = vt_mmu_open();
	unsigned int i;

	allow_files();
	ASSERT_EQ(0, vt_mmu_info(fd, &info));
	for (i = 0; i < FILES; i++) {
		fds[i] = vt_mmu_create_reader(fd);
		if (fds[i] < 0)
			break;
	}
	EXPECT_EQ(info.max_readers, i);
	ASSERT_GT(FILES, i);
	EXPECT_EQ(-EMFILE, fds[i]);
	/* one that goes makes room for one */
	close(fds[--i]);
	fds[i] = vt_mmu_create_reader(fd);
	EXPECT_LE(0, fds[i]);
	EXPECT_EQ(-EMFILE, vt_mmu_create_reader(fd));
	close_all(i + 1);
	close(fd);
}

/* One address space has so many MMUs, those without an open file included. */
TEST_F(limit, mmus)
{
	struct vmmu_get_info info, again;
	int fd, reader;
	unsigned int i;

	allow_files();
	fd = vt_mmu_open();
	ASSERT_EQ(0, vt_mmu_info(fd, &info));
	/* its file goes, the MMU stays */
	reader = vt_mmu_create_reader(fd);
	ASSERT_LE(0, reader);
	close(fd);
	/* files that nobody has used are no MMUs */
	for (i = 0; i < FILES / 2; i++) {
		fds[i] = vt_mmu_open();
		ASSERT_LE(0, fds[i]);
	}
	for (i = 0; i < FILES / 2; i++)
		if (vt_mmu_info(fds[i], &again))
			break;
	EXPECT_EQ(info.max_mmus, i + 1);
	ASSERT_GT(FILES / 2, i);
	EXPECT_EQ(-EMFILE, vt_mmu_info(fds[i], &again));
	close(reader);
	EXPECT_EQ(0, vt_mmu_info(fds[i], &again));
	EXPECT_EQ(-EMFILE, vt_mmu_info(fds[i + 1], &again));
	close_all(FILES / 2);
}

TEST_HARNESS_MAIN
