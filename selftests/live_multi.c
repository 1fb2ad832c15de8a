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
	struct vt_inval inval[2];
};

FIXTURE_SETUP(multi)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(&self->inval[i], 0, sizeof(self->inval[i]));
		self->inval[i].rig.dev.fd = self->inval[i].rig.tap.fd = -1;
		self->inval[i].rig.tap.sock = self->inval[i].fd = -1;
	}
}

FIXTURE_TEARDOWN(multi)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		vt_inval_close(&self->inval[i]);
}

static int open_one(struct vt_inval *inval)
{
	struct vt_inval_cfg cfg = {
		.alias = true,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	int r = vt_inval_open(inval, &cfg);

	return r ? r : vt_inval_start(inval);
}

static int discard(struct vt_inval *inval)
{
	return madvise(inval->dev, inval->len, MADV_DONTNEED) ? -errno : 0;
}

static int map_again(struct vt_inval *inval)
{
	return mmap(inval->dev, inval->len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, inval->fd, 0) == inval->dev ?
		       0 :
		       -errno;
}

/*
 * They share one address space: what hits the rings of one must neither miss
 * them nor touch the other's.
 */
TEST_F_TIMEOUT(multi, one_process, 300)
{
	struct vt_inval *a = &self->inval[0], *b = &self->inval[1];
	uint64_t hits;
	unsigned int i;

	ASSERT_EQ(0, open_one(a));
	ASSERT_EQ(0, open_one(b));
	if (a->counters) {
		EXPECT_STRNE(a->rig.dev.stats_dir, b->rig.dev.stats_dir);
		EXPECT_EQ(2, vt_dev_count(getpid()));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vt_inval_run(a, discard, 2, 0));
		ASSERT_EQ(0, vt_inval_run(b, map_again, 2, 0));
	}
	ASSERT_EQ(0, vt_inval_hot(b));
	hits = vt_inval_sum(b, "maps_invalidated");
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, discard(a));
	ASSERT_EQ(0, vt_inval_flow(b, 50));
	if (a->counters)
		EXPECT_EQ(hits, vt_inval_sum(b, "maps_invalidated"));

	/* the address space stays when one of two devices goes */
	EXPECT_EQ(0, vt_inval_stop(a));
	vt_inval_close(a);
	ASSERT_EQ(0, vt_inval_run(b, discard, 4, 0));
	ASSERT_EQ(0, open_one(a));
	ASSERT_EQ(0, vt_inval_run(a, discard, 2, 0));
	EXPECT_EQ(0, vt_inval_stop(a));
	EXPECT_EQ(0, vt_inval_hot(b));
	EXPECT_EQ(0, vt_inval_stop(b));
}

static int work(void)
{
	struct vt_inval *inval = calloc(1, sizeof(*inval));
	unsigned int i;
	int r = open_one(inval);

	for (i = 0; i < 4 && !r; i++) {
		r = vt_inval_run(inval, discard, 4, 0);
		if (!r)
			r = vt_inval_run(inval, map_again, 4, 0);
	}
	if (!r)
		r = vt_inval_stop(inval);
	vt_inval_close(inval);
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
	/* no device of either process remains */
	for (i = 0; i < 100 && vt_dev_count(pid) + vt_dev_count(getpid()); i++)
		vt_sleep_ms(10);
	EXPECT_EQ(0, vt_dev_count(pid));
	EXPECT_EQ(0, vt_dev_count(getpid()));
}

/* A child shares the file, not the address space: it may not use the device. */
TEST_F_TIMEOUT(multi, child_of_owner, 300)
{
	struct vt_inval *inval = &self->inval[0];
	pid_t pid;

	ASSERT_EQ(0, open_one(inval));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* the child has other pages there: EPERM, no effect */
		_exit(vt_inval_set_addr(inval, VT_VQ_TX, inval->dev) == -EPERM ?
			      0 :
			      1);
	}
	EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
