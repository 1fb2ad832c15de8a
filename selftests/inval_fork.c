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
	struct iv iv;
};

FIXTURE_VARIANT(forked)
{
	struct iv_cfg cfg;
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
	ASSERT_EQ(0, iv_open(&self->iv, &variant->cfg));
	ASSERT_EQ(0, iv_start(&self->iv));
}

FIXTURE_TEARDOWN(forked)
{
	iv_close(&self->iv);
}

/* How long a child looks at its memory, in milliseconds. */
#define LOOK		60

static char *snapshot;

/* The child of a threaded process: system calls and plain memory only. */
static void child_reads(struct iv *iv)
{
	unsigned int i;

	memcpy(snapshot, iv->dev, iv->len);
	for (i = 0; i < LOOK; i += 5) {
		vt_sleep_ms(5);
		if (vt_differ(snapshot, iv->dev, iv->len) >= 0)
			_exit(1);
	}
	_exit(0);
}

static void child_writes(struct iv *iv)
{
	unsigned int i;
	size_t n;

	for (i = 0; i < LOOK; i += 5) {
		memset(iv->dev, 0x80 | i, iv->len);
		vt_sleep_ms(5);
		for (n = 0; n < iv->len; n++)
			if ((uint8_t)iv->dev[n] != (0x80 | i))
				_exit(1);
	}
	_exit(0);
}

static pid_t child;

static int fork_child(struct iv *iv, void (*body)(struct iv *iv))
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
		body(iv);
	return 0;
}

static int fork_reader(struct iv *iv)
{
	return fork_child(iv, child_reads);
}

static int fork_writer(struct iv *iv)
{
	return fork_child(iv, child_writes);
}

static void run(struct __test_metadata *_metadata, struct iv *iv, iv_op op)
{
	snapshot = malloc(iv->len);
	EXPECT_EQ(0, iv_invalidate(iv, op, 8, 0));
	if (child)
		EXPECT_EQ(0, vt_wait_child(child, VT_TIMEOUT));
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_F_TIMEOUT(forked, child_reads, 300)
{
	run(_metadata, &self->iv, fork_reader);
}

TEST_F_TIMEOUT(forked, child_writes, 300)
{
	run(_metadata, &self->iv, fork_writer);
}

/* At rest: the first to write to the shared used page is the device. */
static int fork_at_rest(struct iv *iv)
{
	return fork_reader(iv);
}

TEST_F_TIMEOUT(forked, device_writes_first, 300)
{
	snapshot = malloc(self->iv.len);
	EXPECT_EQ(0, iv_invalidate(&self->iv, fork_at_rest, 8, IV_QUIESCE));
	EXPECT_EQ(0, vt_wait_child(child, VT_TIMEOUT));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

/* Several children at once, all with the pages of another moment. */
TEST_F_TIMEOUT(forked, many_children, 300)
{
	struct iv *iv = &self->iv;
	pid_t pid[6];
	unsigned int i;

	snapshot = malloc(iv->len);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, iv_flow(iv, 50));
		pid[i] = fork();
		ASSERT_GE(pid[i], 0);
		if (!pid[i] && i % 2)
			child_writes(iv);
		if (!pid[i])
			child_reads(iv);
	}
	for (i = 0; i < 6; i++)
		EXPECT_EQ(0, vt_wait_child(pid[i], VT_TIMEOUT));
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_HARNESS_MAIN
