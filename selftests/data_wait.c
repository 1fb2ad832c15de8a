// SPDX-License-Identifier: GPL-2.0
/* Waiting costs no CPU time, and what was waited for is not missed. */
/*
 * Each test brings the device into a state in which it cannot go on, measures
 * how long its worker runs meanwhile, and lets it go on. The driver kicks only
 * where the device asks for it.
 *
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include "vhost_test.h"

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)
#define HDR	VT_F(VHOST_NET_F_VIRTIO_NET_HDR)

#define STREAM		7
#define SLOT		2048
/* how long to look at the worker, and how long it may run meanwhile */
#define LOOK_MS		1000
#define RUN_MS		20

FIXTURE(wait)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(wait)
{
	uint64_t features;
	enum vt_backing backing;
};

/* The device reaches no file by kernel address: it has no section then. */
FIXTURE_VARIANT_ADD(wait, flags) { V1 | MRG, VT_ANON };
FIXTURE_VARIANT_ADD(wait, event) { V1 | MRG | EVENT, VT_ANON };
FIXTURE_VARIANT_ADD(wait, flags_file) { V1 | MRG, VT_FILE };
FIXTURE_VARIANT_ADD(wait, event_file) { V1 | MRG | EVENT, VT_FILE };

/* How long a thread has run so far, in user mode or not; -1 if unknown. */
static long run_ms(pid_t pid)
{
	unsigned long utime, stime;
	char line[512], *p = NULL;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/task/%d/stat", pid, pid);
	f = fopen(line, "r");
	if (!f)
		return -1;
	if (fgets(line, sizeof(line), f))
		p = strrchr(line, ')');
	fclose(f);
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
			 &utime, &stime) != 2)
		return -1;
	return (utime + stime) * 1000 / sysconf(_SC_CLK_TCK);
}

static void expect_waits(struct __test_metadata *_metadata)
{
	pid_t worker = vt_dev_worker();
	long was;

	/* time to come to rest */
	vt_sleep_ms(vt_timeout_ms(100));
	was = run_ms(worker);
	ASSERT_LE(0, was);
	/* nothing may happen for so long */
	vt_sleep_ms(LOOK_MS);
	EXPECT_GE(RUN_MS, run_ms(worker) - was);
}

FIXTURE_SETUP(wait)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
		.backing = variant->backing,
		.ring_backing = variant->backing,
	};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(wait)
{
	vt_rig_close(&self->rig);
}

static char *slot(struct vt_rig *rig, unsigned int vq, unsigned int n)
{
	return (char *)rig->buf[vq] + n * SLOT;
}

static int post(struct vt_rig *rig, unsigned int n, unsigned int len)
{
	struct vt_sg sg = { vt_dev_gpa(&rig->dev, slot(rig, VT_VQ_RX, n)), len };
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	int r = vt_vq_add(vq, &sg, 0, 1, slot(rig, VT_VQ_RX, n));

	if (!r)
		vt_vq_kick(vq);
	return r;
}

static int host_send(struct vt_rig *rig, unsigned int len, unsigned int seq)
{
	struct virtio_net_hdr hdr = {};
	char frame[SLOT];

	vt_frame_fill(frame, len, STREAM, seq);
	return vt_packet_send(rig->tap.sock, &hdr, frame, len);
}

static void *get(struct vt_vq *vq, uint32_t *len)
{
	void *cookie;

	while (!(cookie = vt_vq_get(vq, len)))
		if (vt_vq_wait(vq, VT_TIMEOUT))
			return NULL;
	return cookie;
}

static void expect_frame(struct __test_metadata *_metadata, const char *frame,
			 unsigned int len, unsigned int seq)
{
	uint64_t got = ~0ULL;
	char why[160] = "";

	ASSERT_EQ(0, vt_frame_check(frame, len, STREAM, &got, why,
				    sizeof(why))) {
		TH_LOG("packet %u: %s", seq, why);
	}
	ASSERT_EQ(seq, got);
}

/* Packets that arrive in the buffer of their number, as they were posted. */
static void expect_received(struct __test_metadata *_metadata,
			    struct vt_rig *rig, unsigned int first,
			    unsigned int last)
{
	unsigned int hdr = rig->dev.hdr_len;
	uint32_t len = 0;
	char *p;

	for (; first <= last; first++) {
		p = get(&rig->vq[VT_VQ_RX], &len);
		ASSERT_EQ(slot(rig, VT_VQ_RX, first), p);
		expect_frame(_metadata, p + hdr, len - hdr, first);
	}
}

TEST_F_TIMEOUT(wait, no_buffer, 300)
{
	struct vt_rig *rig = &self->rig;
	unsigned int i;

	for (i = 0; i < 60; i++)
		ASSERT_EQ(0, host_send(rig, 100 + i, i));
	expect_waits(_metadata);
	for (i = 0; i < 60; i++) {
		ASSERT_EQ(0, post(rig, i, SLOT));
		expect_received(_metadata, rig, i, i);
	}
	EXPECT_EQ(0, vt_event_read(rig->vq[VT_VQ_RX].err));
}

/* Each packet takes three buffers, and they come one at a time. */
TEST_F_TIMEOUT(wait, too_few_buffers, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	unsigned int hdr = rig->dev.hdr_len, i, j;
	char frame[3 * 512];
	uint32_t len;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, host_send(rig, 1400, i));
	for (i = 0; i < 9; i++) {
		ASSERT_EQ(0, post(rig, i, 512));
		if (i < 2)
			expect_waits(_metadata);
		if (i % 3 < 2) {
			EXPECT_FALSE(vt_vq_more_used(vq));
			continue;
		}
		for (j = 0; j < 3; j++) {
			char *p = get(vq, &len);

			ASSERT_EQ(slot(rig, VT_VQ_RX, i - 2 + j), p);
			memcpy(frame + j * 512, p, 512);
			ASSERT_EQ(j < 2 ? 512 : hdr + 1400 - 1024, len);
		}
		expect_frame(_metadata, frame + hdr, 1400, i / 3);
	}
	EXPECT_EQ(0, vt_event_read(vq->err));
}

TEST_F_TIMEOUT(wait, tap_empty, 300)
{
	struct vt_rig *rig = &self->rig;
	unsigned int i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < 20; i++)
			ASSERT_EQ(0, post(rig, 20 * round + i, SLOT));
		expect_waits(_metadata);
		for (i = 0; i < 20; i++)
			ASSERT_EQ(0, host_send(rig, 100 + i, 20 * round + i));
		expect_received(_metadata, rig, 20 * round, 20 * round + 19);
	}
	EXPECT_EQ(0, vt_event_read(rig->vq[VT_VQ_RX].err));
}

/* A chain of the wrong direction is an error, and the next kick goes past it. */
TEST_F_TIMEOUT(wait, rx_error, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	struct vt_sg bad = {
		vt_dev_gpa(&rig->dev, slot(rig, VT_VQ_RX, 100)), SLOT,
	};

	ASSERT_EQ(0, vt_vq_add(vq, &bad, 1, 0, rig));
	ASSERT_EQ(0, host_send(rig, 100, 0));
	ASSERT_EQ(0, post(rig, 0, SLOT));
	ASSERT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	expect_waits(_metadata);
	vt_vq_notify(vq);
	expect_received(_metadata, rig, 0, 0);
}

static void fill_tx(struct vt_rig *rig, unsigned int n, struct vt_sg *sg)
{
	char *p = slot(rig, VT_VQ_TX, n);

	memset(p, 0, rig->dev.hdr_len);
	vt_frame_fill(p + rig->dev.hdr_len, 1000, STREAM, n);
	sg->addr = vt_dev_gpa(&rig->dev, p);
	sg->len = rig->dev.hdr_len + 1000;
}

static void expect_sent(struct __test_metadata *_metadata, int sock,
			bool vnet_hdr, unsigned int n)
{
	struct virtio_net_hdr hdr;
	char frame[SLOT];

	ASSERT_EQ(1000, vt_packet_recv(sock, vnet_hdr ? &hdr : NULL, frame,
				       sizeof(frame), VT_TIMEOUT));
	expect_frame(_metadata, frame, 1000, n);
}

TEST_F_TIMEOUT(wait, tx_error, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	struct vt_sg sg;

	fill_tx(rig, 0, &sg);
	ASSERT_EQ(0, vt_vq_add(vq, &sg, 0, 1, rig));
	fill_tx(rig, 1, &sg);
	ASSERT_EQ(0, vt_vq_add(vq, &sg, 1, 0, vq));
	vt_vq_kick(vq);
	ASSERT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	expect_waits(_metadata);
	vt_vq_notify(vq);
	expect_sent(_metadata, rig->tap.sock, true, 1);
	ASSERT_EQ((void *)vq, get(vq, NULL));
}

/* A packet socket that obeys its queueing discipline and holds little. */
static int open_slow_socket(const char *name)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_ifindex = if_nametoindex(name),
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), len = 16 << 10;

	if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &len,
				   sizeof(len)) ||
			bind(fd, (struct sockaddr *)&sll, sizeof(sll)))) {
		close(fd);
		return -1;
	}
	return fd;
}

#define TBF	"tc qdisc %s dev va root tbf limit 10mb burst 1600 rate %s"

static int shape(const char *verb, const char *rate)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), TBF, verb, rate);
	return system(cmd);
}

/* A socket on one end of a veth pair that lets nothing through. */
FIXTURE(full)
{
	struct vt_rig rig;
	int sock;
	int peer;
};

FIXTURE_VARIANT(full)
{
	enum vt_backing backing;
};

FIXTURE_VARIANT_ADD(full, anon) { VT_ANON };
FIXTURE_VARIANT_ADD(full, file) { VT_FILE };

FIXTURE_SETUP(full)
{
	struct vt_rig_cfg cfg = {
		.features = V1 | MRG | EVENT | HDR,
		.exact_features = true,
		.backing = variant->backing,
		.ring_backing = variant->backing,
		.no_start = true,
	};

	self->sock = self->peer = -1;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	ASSERT_EQ(0, vt_ip("link add va type veth peer name vb"));
	ASSERT_EQ(0, vt_if_up("va", 0));
	ASSERT_EQ(0, vt_if_up("vb", 0));
	if (shape("add", "8kbit"))
		SKIP(return, "the kernel has no token bucket filter (sch_tbf)");
	self->peer = vt_packet_open(if_nametoindex("vb"), false);
	ASSERT_LE(0, self->peer);
	self->sock = open_slow_socket("va");
	ASSERT_LE(0, self->sock);
	ASSERT_EQ(0, vt_vq_start(&self->rig.vq[VT_VQ_TX], self->sock));
}

FIXTURE_TEARDOWN(full)
{
	vt_rig_close(&self->rig);
	close(self->sock);
	close(self->peer);
}

TEST_F_TIMEOUT(full, socket_full, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	unsigned int i;

	for (i = 0; i < 100; i++) {
		struct vt_sg sg;

		fill_tx(rig, i, &sg);
		ASSERT_EQ(0, vt_vq_add(vq, &sg, 1, 0, vq));
		vt_vq_kick(vq);
	}
	expect_waits(_metadata);
	/* it does wait: most packets are still in the ring */
	EXPECT_GT(50, (uint16_t)(*(volatile uint16_t *)&vq->used->idx -
				 vq->last_used));

	ASSERT_EQ(0, shape("change", "1gbit"));
	for (i = 0; i < 100; i++) {
		expect_sent(_metadata, self->peer, false, i);
		ASSERT_EQ((void *)vq, get(vq, NULL));
	}
	EXPECT_EQ(0, vt_event_read(vq->err));
}

TEST_HARNESS_MAIN
