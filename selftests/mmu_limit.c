// SPDX-License-Identifier: GPL-2.0
/*
 * What the owner of an MMU can do to others: let them wait, or use their memory.
 * Timeout: 60 s
 */
#include <kselftest_harness.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include "mmu.h"

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

TEST_HARNESS_MAIN
