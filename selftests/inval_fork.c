// SPDX-License-Identifier: GPL-2.0
/*
 * Fork under traffic: the ring pages become copy-on-write on both sides.
 * Timeout: 120 s
 *
 * The device belongs to the parent. Its writes must reach the parent's pages
 * always, and the child's never, whichever of the two is the first to write.
 */
#include <kselftest_harness.h>
#include <signal.h>
#include <sys/wait.h>
#include "inval.h"

FIXTURE(forked)
{
	struct vt_inval inval;
};

FIXTURE_VARIANT(forked)
{
	struct vt_inval_cfg cfg;
};

FIXTURE_VARIANT_ADD(forked, anon)
{
	.cfg = {
		.backing = VT_ANON,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	},
};

FIXTURE_VARIANT_ADD(forked, thp)
{
	.cfg = { .backing = VT_THP, .num = 1024 },
};

FIXTURE_SETUP(forked)
{
	ASSERT_EQ(0, vt_inval_open(&self->inval, &variant->cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(forked)
{
	vt_inval_close(&self->inval);
}

/* How long a child looks at its memory, in milliseconds. */
#define LOOK		60

static char *snapshot;

/* The child of a threaded process: system calls and plain memory only. */
static void child_reads(struct vt_inval *inval)
{
	unsigned int i;

	memcpy(snapshot, inval->dev, inval->len);
	for (i = 0; i < LOOK; i += 5) {
		vt_sleep_ms(5);
		if (vt_differ(snapshot, inval->dev, inval->len) >= 0)
			_exit(1);
	}
	_exit(0);
}

static void child_writes(struct vt_inval *inval)
{
	unsigned int i;
	size_t n;

	for (i = 0; i < LOOK; i += 5) {
		memset(inval->dev, 0x80 | i, inval->len);
		vt_sleep_ms(5);
		for (n = 0; n < inval->len; n++)
			if ((uint8_t)inval->dev[n] != (0x80 | i))
				_exit(1);
	}
	_exit(0);
}

static pid_t child;

static int fork_child(struct vt_inval *inval,
		      void (*body)(struct vt_inval *inval))
{
	if (child) {
		int status = vt_wait_child(child, VT_TIMEOUT);

		child = 0;
		if (status) {
			vt_msg("fork: the child sees what its parent's device does (status %#x)",
			       status);
			return -EBADMSG;
		}
	}
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		body(inval);
	return 0;
}

static int fork_reader(struct vt_inval *inval)
{
	return fork_child(inval, child_reads);
}

static int fork_writer(struct vt_inval *inval)
{
	return fork_child(inval, child_writes);
}

static void run(struct __test_metadata *_metadata, struct vt_inval *inval,
		vt_inval_op op)
{
	snapshot = malloc(inval->len);
	EXPECT_EQ(0, vt_inval_run(inval, op, 8, 0));
	if (child)
		EXPECT_EQ(0, vt_wait_child(child, VT_TIMEOUT));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_F_TIMEOUT(forked, child_reads, 300)
{
	run(_metadata, &self->inval, fork_reader);
}

TEST_F_TIMEOUT(forked, child_writes, 300)
{
	run(_metadata, &self->inval, fork_writer);
}

/* The driver rests: the device is the first to write the shared used page. */
static int fork_at_rest(struct vt_inval *inval)
{
	return fork_reader(inval);
}

TEST_F_TIMEOUT(forked, device_writes_first, 300)
{
	snapshot = malloc(self->inval.len);
	EXPECT_EQ(0, vt_inval_run(&self->inval, fork_at_rest, 8,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_wait_child(child, VT_TIMEOUT));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

/* Several children at once, each forked at another moment. */
TEST_F_TIMEOUT(forked, many_children, 300)
{
	struct vt_inval *inval = &self->inval;
	pid_t pid[6];
	unsigned int i;

	snapshot = malloc(inval->len);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, vt_inval_flow(inval, 50));
		pid[i] = fork();
		ASSERT_GE(pid[i], 0);
		if (!pid[i] && i % 2)
			child_writes(inval);
		if (!pid[i])
			child_reads(inval);
	}
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, vt_wait_child(pid[i], VT_TIMEOUT));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
