// SPDX-License-Identifier: GPL-2.0
/*
 * Several devices at once: two of one process, and one each of two processes.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "inval.h"

FIXTURE(multi)
{
	struct iv iv[2];
};

FIXTURE_SETUP(multi)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&self->iv[i], 0, sizeof(self->iv[i]));
		self->iv[i].rig.dev.fd = self->iv[i].rig.tap.fd = -1;
		self->iv[i].rig.tap.sock = self->iv[i].fd = -1;
	}
}

FIXTURE_TEARDOWN(multi)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		iv_close(&self->iv[i]);
}

static int open_one(struct iv *iv)
{
	struct iv_cfg cfg = {
		.alias = true,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	int r = iv_open(iv, &cfg);

	return r ? r : iv_start(iv);
}

static int discard(struct iv *iv)
{
	return madvise(iv->dev, iv->len, MADV_DONTNEED) ? -errno : 0;
}

static int map_again(struct iv *iv)
{
	return mmap(iv->dev, iv->len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, iv->fd, 0) == iv->dev ? 0 : -errno;
}

/*
 * They share one address space: what hits the rings of one must neither miss
 * them nor touch the other's.
 */
TEST_F_TIMEOUT(multi, one_process, 300)
{
	struct iv *a = &self->iv[0], *b = &self->iv[1];
	uint64_t hits;
	unsigned int i;

	ASSERT_EQ(0, open_one(a));
	ASSERT_EQ(0, open_one(b));
	if (a->counters) {
		EXPECT_STRNE(a->rig.dev.stats_dir, b->rig.dev.stats_dir);
		EXPECT_EQ(2, vt_dev_count(getpid()));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, iv_invalidate(a, discard, 2, 0));
		ASSERT_EQ(0, iv_invalidate(b, map_again, 2, 0));
	}
	ASSERT_EQ(0, iv_hot(b));
	hits = iv_sum(b, "maps_invalidated");
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, discard(a));
	ASSERT_EQ(0, iv_flow(b, 50));
	if (a->counters)
		EXPECT_EQ(hits, iv_sum(b, "maps_invalidated"));

	/* the address space stays when one of two devices goes */
	EXPECT_EQ(0, iv_stop(a));
	iv_close(a);
	ASSERT_EQ(0, iv_invalidate(b, discard, 4, 0));
	ASSERT_EQ(0, open_one(a));
	ASSERT_EQ(0, iv_invalidate(a, discard, 2, 0));
	EXPECT_EQ(0, iv_stop(a));
	EXPECT_EQ(0, iv_hot(b));
	EXPECT_EQ(0, iv_stop(b));
}

static int work(void)
{
	struct iv *iv = calloc(1, sizeof(*iv));
	unsigned int i;
	int r = open_one(iv);

	for (i = 0; i < 4 && !r; i++) {
		r = iv_invalidate(iv, discard, 4, 0);
		if (!r)
			r = iv_invalidate(iv, map_again, 4, 0);
	}
	if (!r)
		r = iv_stop(iv);
	iv_close(iv);
	return r;
}

TEST_F_TIMEOUT(multi, two_processes, 300)
{
	pid_t pid = fork();
	unsigned int i;

	ASSERT_GE(pid, 0);
	if (!pid)
		_exit(work() ? 1 : 0);
	EXPECT_EQ(0, work());
	EXPECT_EQ(0, vt_wait_child(pid, 4 * VT_TIMEOUT));
	/* nothing remains of either */
	for (i = 0; i < 100 && vt_dev_count(pid) + vt_dev_count(getpid()); i++)
		vt_sleep_ms(10);
	EXPECT_EQ(0, vt_dev_count(pid));
	EXPECT_EQ(0, vt_dev_count(getpid()));
}

/* A child shares the file, not the address space: it may not use the device. */
TEST_F_TIMEOUT(multi, child_of_owner, 300)
{
	struct iv *iv = &self->iv[0];
	pid_t pid;

	ASSERT_EQ(0, open_one(iv));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* same addresses, but other pages: EPERM, and no effect */
		_exit(iv_set_addr(iv, VT_VQ_TX, iv->dev) == -EPERM ? 0 : 1);
	}
	EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_HARNESS_MAIN
