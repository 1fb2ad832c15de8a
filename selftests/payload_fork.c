// SPDX-License-Identifier: GPL-2.0
/*
 * Fork while packets are carried: their pages become copy-on-write.
 * Timeout: 300 s
 *
 * The device belongs to the parent. What it receives must reach the parent's
 * pages always and the child's never, and what it transmits must be what the
 * parent wrote, whoever is the first to write after the fork.
 */
#include <kselftest_harness.h>
#include <signal.h>
#include "payload.h"

/* How long a child looks at its memory, in milliseconds. */
#define LOOK	40

FIXTURE(forked)
{
	struct vt_payload p;
};

FIXTURE_VARIANT(forked)
{
	struct vt_payload_cfg cfg;
};

FIXTURE_VARIANT_ADD(forked, anon) { .cfg = { .backing = VT_AREA_ANON } };
FIXTURE_VARIANT_ADD(forked, thp) { .cfg = { .backing = VT_AREA_THP } };
FIXTURE_VARIANT_ADD(forked, private) { .cfg = { .backing = VT_AREA_PRIVATE } };

FIXTURE_VARIANT_ADD(forked, large)
{
	.cfg = {
		.backing = VT_AREA_ANON,
		.len_max = 20000, .rx_buf = 1900, .window = 12,
	},
};

static char *snapshot;

FIXTURE_SETUP(forked)
{
	const char *why;
	int err;

	why = vt_payload_open(&self->p, &variant->cfg, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_payload_start(&self->p));
	/* a child may not allocate: the parent has threads */
	snapshot = malloc(self->p.a.len);
	memset(snapshot, 0, self->p.a.len);
}

FIXTURE_TEARDOWN(forked)
{
	vt_payload_close(&self->p);
}

/* --------------------------------------------------------- what children do */

static pid_t child;
/* The parent writes a byte here to let the child look and exit. */
static int go[2];

static void child_looks(struct vt_payload *p)
{
	unsigned int i;

	memcpy(snapshot, p->a.base, p->a.len);
	for (i = 0; i < LOOK; i += 10) {
		vt_sleep_ms(10);
		if (memcmp(snapshot, p->a.base, p->a.len))
			_exit(1);
	}
	_exit(0);
}

static void child_scribbles(struct vt_payload *p)
{
	unsigned int i;
	size_t n;

	for (i = 0; i < LOOK; i += 10) {
		memset(p->a.base, 0x80 | i, p->a.len);
		vt_sleep_ms(10);
		for (n = 0; n < p->a.len; n++)
			if ((uint8_t)p->a.base[n] != (0x80 | i))
				_exit(1);
	}
	_exit(0);
}

/* The child sees the pages of the fork, of which the parent kept a copy. */
static void child_waits(struct vt_payload *p)
{
	char c;

	if (read(go[0], &c, 1) != 1)
		_exit(2);
	_exit(memcmp(snapshot, p->a.base, p->a.len) ? 1 : 0);
}

static int end_child(void)
{
	int status;

	if (!child)
		return 0;
	status = vt_wait_child(child, VT_TIMEOUT);
	child = 0;
	if (!status)
		return 0;
	vt_msg("fork: the child sees what its parent's device does (status %#x)",
	       status);
	return -EBADMSG;
}

static int begin_child(struct vt_payload *p, void (*body)(struct vt_payload *p))
{
	int r = end_child();

	if (r)
		return r;
	child = fork();
	if (!child)
		body(p);
	return child < 0 ? -errno : 0;
}

static int fork_looker(struct vt_payload *p)
{
	return begin_child(p, child_looks);
}

static int fork_scribbler(struct vt_payload *p)
{
	return begin_child(p, child_scribbles);
}

/* ----------------------------------------------------------- under traffic */

static void run(struct __test_metadata *_metadata, struct vt_payload *p,
		vt_payload_op op, unsigned int flags)
{
	EXPECT_EQ(0, vt_payload_change(p, op, vt_scale(5), flags));
	EXPECT_EQ(0, end_child());
	EXPECT_EQ(0, vt_payload_stop(p));
}

TEST_F_TIMEOUT(forked, child_reads, 300)
{
	run(_metadata, &self->p, fork_looker, 0);
}

TEST_F_TIMEOUT(forked, child_writes_first, 300)
{
	run(_metadata, &self->p, fork_scribbler, 0);
}

/* The device and the driver write first: the child was told to wait. */
TEST_F_TIMEOUT(forked, parent_writes_first, 300)
{
	struct vt_payload *p = &self->p;
	unsigned int i, n = vt_scale(5);

	ASSERT_EQ(0, pipe(go));
	for (i = 0; i < n; i++) {
		uint64_t hits = vt_payload_sum(p, "tlb_flushes");

		ASSERT_EQ(0, vt_payload_hot(p));
		ASSERT_EQ(0, vt_inval_quiesce(&p->inval));
		memcpy(snapshot, p->a.base, p->a.len);
		ASSERT_EQ(0, begin_child(p, child_waits));
		vt_inval_resume(&p->inval);
		ASSERT_EQ(0, vt_inval_flow(&p->inval, 300));
		ASSERT_EQ(0, vt_payload_hot(p));
		if (p->counters)
			EXPECT_GT(vt_payload_sum(p, "tlb_flushes"), hits);
		ASSERT_EQ(1, write(go[1], "", 1));
		EXPECT_EQ(0, end_child());
	}
	/* the last child is gone: the pages are the parent's alone */
	EXPECT_EQ(0, vt_inval_flow(&p->inval, 100));
	EXPECT_EQ(0, vt_payload_hot(p));
	EXPECT_EQ(0, vt_payload_stop(p));
}

/* Children of several moments, which write, look, or are killed. */
TEST_F_TIMEOUT(forked, many_children, 300)
{
	struct vt_payload *p = &self->p;
	pid_t pid[6];
	unsigned int i;
	int status;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, vt_inval_flow(&p->inval, 50));
		pid[i] = fork();
		ASSERT_GE(pid[i], 0);
		if (!pid[i] && i % 3 == 1)
			child_scribbles(p);
		if (!pid[i])
			child_looks(p);
	}
	kill(pid[5], SIGKILL);
	for (i = 0; i < 6; i++) {
		status = vt_wait_child(pid[i], VT_TIMEOUT);
		if (i < 5)
			EXPECT_EQ(0, status);
	}
	EXPECT_EQ(0, vt_payload_hot(p));
	EXPECT_EQ(0, vt_payload_stop(p));
}

/* ------------------------------------------------------------ one page each */

/*
 * One packet at a time, so that it is known who writes first: a page that the
 * device has read or written, shared with a child, then rewritten by the
 * parent and transmitted, or received into.
 */
FIXTURE(page)
{
	struct vt_rig rig;
	struct vt_area a;
	bool direct;
};

FIXTURE_VARIANT(page)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(page, anon) { VT_AREA_ANON };
FIXTURE_VARIANT_ADD(page, thp) { VT_AREA_THP };

FIXTURE_SETUP(page)
{
	struct vt_rig_cfg cfg = { .ring_backing = VT_MEMFD };
	const char *why;

	memset(&self->rig, 0, sizeof(self->rig));
	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	why = vt_area_alloc(&self->a, variant->backing, VT_HUGE_SIZE);
	if (why)
		SKIP(return, "%s", why);
	cfg.mem_at = self->a.base;
	cfg.mem_len = self->a.len;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	self->direct = vt_payload_direct(&self->rig);
	if (vt_dev_is_ours())
		ASSERT_TRUE(self->direct);
	ASSERT_EQ(0, pipe(go));
}

FIXTURE_TEARDOWN(page)
{
	vt_rig_close(&self->rig);
	vt_area_close(&self->a);
}

#define FRAME	1400

/* Transmit frame @seq from @at; what arrives must be it. */
static int tx(struct vt_rig *rig, char *at, uint64_t seq)
{
	struct vt_sg sg = vt_payload_sg(rig, at, rig->dev.hdr_len + FRAME);
	static char got[VT_MAX_FRAME];
	char why[160];
	uint64_t is;
	int n, r;

	memset(at, 0, rig->dev.hdr_len);
	vt_frame_fill(at + rig->dev.hdr_len, FRAME, 5, seq);
	n = vt_payload_tx(rig, &sg, 1, NULL, got);
	if (n < 0)
		return n;
	r = vt_frame_check(got, n, 5, &is, why, sizeof(why));
	if (r)
		vt_msg("fork: %s", why);
	else if (is != seq)
		vt_msg("fork: transmitted the page of round %d, not %d",
		       (int)is, (int)seq);
	return r ? r : is == seq ? 0 : -ESTALE;
}

static int rx(struct vt_rig *rig, char *at, uint64_t seq)
{
	struct vt_sg sg = vt_payload_sg(rig, at, 2048);
	char frame[FRAME], why[160];
	uint64_t is;
	int n, r;

	vt_frame_fill(frame, FRAME, 6, seq);
	n = vt_payload_rx(rig, &sg, 1, 1, NULL, frame, FRAME);
	if (n < 0)
		return n;
	r = vt_frame_check(at + rig->dev.hdr_len, n - rig->dev.hdr_len, 6, &is,
			   why, sizeof(why));
	if (r)
		vt_msg("fork: received: %s", r == -ENOMSG ? "nothing" : why);
	return r ? r : is == seq ? 0 : -ESTALE;
}

static pid_t page_child(char *page, char *was)
{
	pid_t pid;

	memcpy(was, page, VT_PAGE);
	pid = fork();
	if (!pid) {
		char c;

		if (read(go[0], &c, 1) != 1)
			_exit(2);
		if (memcmp(was, page, VT_PAGE))
			_exit(1);
		/* what the child writes stays its own */
		memset(page, 0x77, VT_PAGE);
		_exit(0);
	}
	return pid;
}

TEST_F_TIMEOUT(page, first_writer, 300)
{
	struct vt_rig *rig = &self->rig;
	char *tx_page = rig->buf[VT_VQ_TX], *rx_page = rig->buf[VT_VQ_RX];
	static char was[2][VT_PAGE];
	uint64_t kernel[2], user[2];
	unsigned int i, n = 12;
	pid_t pid[2];

	for (i = 0; i < 2; i++) {
		kernel[i] = vt_payload_count(rig, i, "payload_kernel");
		user[i] = vt_payload_count(rig, i, "payload_user");
	}
	for (i = 0; i < n; i++) {
		/* the device used the page before the fork */
		ASSERT_EQ(0, tx(rig, tx_page, 4 * i));
		ASSERT_EQ(0, rx(rig, rx_page, 4 * i));
		pid[0] = page_child(tx_page, was[0]);
		pid[1] = page_child(rx_page, was[1]);
		ASSERT_GT(pid[0], 0);
		ASSERT_GT(pid[1], 0);
		ASSERT_EQ(0, tx(rig, tx_page, 4 * i + 1));
		ASSERT_EQ(0, rx(rig, rx_page, 4 * i + 1));
		/* one of them looks and writes while the parent goes on */
		ASSERT_EQ(1, write(go[1], "", 1));
		ASSERT_EQ(0, tx(rig, tx_page, 4 * i + 2));
		ASSERT_EQ(0, rx(rig, rx_page, 4 * i + 2));
		ASSERT_EQ(1, write(go[1], "", 1));
		EXPECT_EQ(0, vt_wait_child(pid[0], VT_TIMEOUT));
		EXPECT_EQ(0, vt_wait_child(pid[1], VT_TIMEOUT));
		/* the same after the children have exited */
		ASSERT_EQ(0, tx(rig, tx_page, 4 * i + 3));
		ASSERT_EQ(0, rx(rig, rx_page, 4 * i + 3));
	}
	if (!self->direct)
		return;
	/* a few may go through the socket, to look after the tap */
	for (i = 0; i < 2; i++) {
		EXPECT_GE(vt_payload_count(rig, i, "payload_kernel"),
			  kernel[i] + 4 * n - 2) {
			TH_LOG("vq%u", i);
		}
		EXPECT_LE(vt_payload_count(rig, i, "payload_user"), user[i] + 2)
		{
			TH_LOG("vq%u", i);
		}
	}
}

TEST_HARNESS_MAIN
