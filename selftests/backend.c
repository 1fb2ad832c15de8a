// SPDX-License-Identifier: GPL-2.0
/*
 * The net backend: every kind of socket, packets that do not fit a frame,
 * frames that somebody holds on to, malformed packets, a tap that goes away.
 */
#include <kselftest_harness.h>
#include "vhost_test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STREAM		7
#define HDR		12
#define SLOT		2048
#define PACKETS		3000

FIXTURE(tap)
{
	struct vt_rig rig;
};

FIXTURE_SETUP(tap)
{
	struct vt_rig_cfg cfg = { .features = VT_F(VIRTIO_RING_F_EVENT_IDX) };

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(tap)
{
	vt_rig_close(&self->rig);
}

/* Transmit @len bytes at slot @n: a virtio header and a frame. */
static int transmit(struct vt_rig *rig, unsigned int n, unsigned int len)
{
	char *buf = (char *)rig->buf[VT_VQ_TX] + n * SLOT;
	struct vt_sg sg = { vt_dev_gpa(&rig->dev, buf), len };
	int ret;

	ret = vt_vq_add(&rig->vq[VT_VQ_TX], &sg, 1, 0, buf);
	if (!ret)
		vt_vq_kick(&rig->vq[VT_VQ_TX]);
	return ret;
}

static unsigned int frame_len(unsigned int n)
{
	return VT_FRAME_MIN + n * 37 % (1514 - VT_FRAME_MIN);
}

static int transmit_frame(struct vt_rig *rig, unsigned int slot, unsigned int n)
{
	char *buf = (char *)rig->buf[VT_VQ_TX] + slot * SLOT;

	memset(buf, 0, HDR);
	vt_frame_fill(buf + HDR, frame_len(n), STREAM, n);
	return transmit(rig, slot, HDR + frame_len(n));
}

static int wait_used(struct vt_rig *rig)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	unsigned int len;

	while (!vt_vq_get(vq, &len))
		if (vt_vq_wait(vq, VT_TIMEOUT))
			return -ETIMEDOUT;
	return 0;
}

static void expect_frame(struct __test_metadata *_metadata, struct vt_rig *rig,
			 unsigned int n)
{
	static char frame[SLOT];
	struct virtio_net_hdr hdr;
	uint64_t seq = ~0ULL;
	char why[128] = "";
	int len;

	len = vt_packet_recv(rig->tap.sock, &hdr, frame, sizeof(frame),
			     VT_TIMEOUT);
	ASSERT_EQ((int)frame_len(n), len);
	ASSERT_EQ(0, vt_frame_check(frame, len, STREAM, &seq, why,
				    sizeof(why))) {
		TH_LOG("packet %u: %s", n, why);
	}
	ASSERT_EQ(n, seq);
}

/* Frames in a receive queue must not be overwritten by later ones. */
TEST_F_TIMEOUT(tap, held_frames, 300)
{
	struct vt_rig *rig = &self->rig;
	unsigned int round, i, n = 0;

	for (round = 0; round < 3; round++) {
		unsigned int first = n;

		for (i = 0; i < PACKETS; i++, n++) {
			if (i >= 64)
				ASSERT_EQ(0, wait_used(rig));
			ASSERT_EQ(0, transmit_frame(rig, n % 64, n));
		}
		for (i = 0; i < 64; i++)
			ASSERT_EQ(0, wait_used(rig));
		for (i = first; i < n; i++)
			expect_frame(_metadata, rig, i);
	}
}

/* Large packets go alone, small ones in batches: they must not overtake. */
TEST_F_TIMEOUT(tap, large_and_small, 300)
{
	struct vt_traffic_cfg cfg = {
		.len_min = 60, .len_max = 65000, .window = 32,
	};

	EXPECT_EQ(0, vt_rig_flow(&self->rig, 1500, &cfg));
	cfg.rx_buf = 2000;
	EXPECT_EQ(0, vt_rig_flow(&self->rig, 1500, &cfg));
}

static bool stock(void)
{
	return !strcmp(vt_dev_path(), "/dev/vhost-net");
}

/* A packet that can never be sent comes back, and the next one is sent. */
TEST_F_TIMEOUT(tap, malformed, 100)
{
	struct virtio_net_hdr *hdr = self->rig.buf[VT_VQ_TX];

	if (stock())
		SKIP(return, "stock tries a malformed packet for ever");

	/* shorter than the header */
	ASSERT_EQ(0, transmit(&self->rig, 0, HDR - 1));
	ASSERT_EQ(0, wait_used(&self->rig));
	/* just the header */
	memset(hdr, 0, HDR);
	ASSERT_EQ(0, transmit(&self->rig, 0, HDR));
	ASSERT_EQ(0, wait_used(&self->rig));
	/* checksum beyond the end */
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = 100;
	ASSERT_EQ(0, transmit(&self->rig, 0, HDR + 60));
	ASSERT_EQ(0, wait_used(&self->rig));

	ASSERT_EQ(0, transmit_frame(&self->rig, 1, 0));
	ASSERT_EQ(0, wait_used(&self->rig));
	expect_frame(_metadata, &self->rig, 0);
}

/* Without its device a tap takes nothing, but buffers come back. */
TEST_F_TIMEOUT(tap, device_deleted, 100)
{
	unsigned int i;

	if (stock())
		SKIP(return, "stock loses the buffers of a failed batch");

	ASSERT_EQ(0, transmit_frame(&self->rig, 0, 0));
	ASSERT_EQ(0, wait_used(&self->rig));
	ASSERT_EQ(0, vt_ip("link del %s", self->rig.tap.name));
	for (i = 0; i < 300; i++) {
		if (i >= 64)
			ASSERT_EQ(0, wait_used(&self->rig));
		ASSERT_EQ(0, transmit_frame(&self->rig, i % 64, i));
	}
	for (i = 0; i < 64; i++)
		ASSERT_EQ(0, wait_used(&self->rig));
}

/* Backends that are no tap: one end of a veth pair, the test has the other. */
FIXTURE(link)
{
	struct vt_rig rig;
	int backend;
	int peer;
};

FIXTURE_VARIANT(link)
{
	bool macvtap;
};

FIXTURE_VARIANT_ADD(link, packet)
{
	.macvtap = false,
};

FIXTURE_VARIANT_ADD(link, macvtap)
{
	.macvtap = true,
};

static int open_macvtap(unsigned int hdr_len)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int sndbuf = INT_MAX;
	char path[32];
	int fd;

	if (vt_ip("link add link va name mt type macvtap mode passthru") ||
	    vt_if_up("mt", 0))
		return -1;
	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex("mt"));
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, TUNSETIFF, &ifr) ||
	    ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) ||
	    ioctl(fd, TUNSETSNDBUF, &sndbuf)) {
		close(fd);
		return -1;
	}
	return fd;
}

FIXTURE_SETUP(link)
{
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
		.no_start = true,
	};

	if (!variant->macvtap)
		cfg.features |= VT_F(VHOST_NET_F_VIRTIO_NET_HDR);
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	ASSERT_EQ(0, vt_ip("link add va type veth peer name vb"));
	/* or the pair reorders packets when their sender changes CPUs */
	ASSERT_EQ(0, system("ethtool -K va gro on && ethtool -K vb gro on"));
	ASSERT_EQ(0, vt_if_up("va", 0));
	ASSERT_EQ(0, vt_if_up("vb", 0));
	self->peer = vt_packet_open(if_nametoindex("vb"), false);
	ASSERT_LE(0, self->peer);
	self->backend = variant->macvtap ? open_macvtap(HDR) :
			vt_packet_open(if_nametoindex("va"), false);
	ASSERT_LE(0, self->backend);
}

FIXTURE_TEARDOWN(link)
{
	vt_rig_close(&self->rig);
	close(self->backend);
	close(self->peer);
}

TEST_F_TIMEOUT(link, flow, 300)
{
	struct vt_traffic t[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vt_traffic_cfg cfg = vt_traffic_cfg_rig(&self->rig, i);

		cfg.sock = self->peer;
		cfg.sock_vnet_hdr = false;
		cfg.len_max = 1400;
		ASSERT_EQ(0, vt_vq_start(&self->rig.vq[i], self->backend));
		ASSERT_EQ(0, vt_traffic_start(&t[i], &cfg));
		EXPECT_EQ(0, vt_traffic_wait(&t[i], 2000, VT_TIMEOUT));
		EXPECT_EQ(0, vt_traffic_stop(&t[i])) {
			TH_LOG("%s", t[i].first_error);
		}
		EXPECT_EQ(0, vt_vq_stop(&self->rig.vq[i]));
	}
}

/*
 * Sender and worker on one CPU, where wake-ups of the worker are held back: the
 * last packets of a burst, whatever its length, still arrive.
 */
#define COALESCE_USECS "/sys/module/vhost_mmu_net/parameters/rx_coalesce_usecs"

FIXTURE(one_cpu)
{
	struct vt_rig rig;
	cpu_set_t old;
	long long usecs;
};

FIXTURE_SETUP(one_cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(self->old), &self->old));
	/* The worker is a thread of this process where it can be one. */
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, vt_rig_open(&self->rig, NULL));
	/* a slow machine may need longer for a packet than a wake-up is held */
	self->usecs = vt_read_number(COALESCE_USECS);
	if (self->usecs > 0)
		ASSERT_EQ(0, vt_write_file(COALESCE_USECS, "2000"));
}

FIXTURE_TEARDOWN(one_cpu)
{
	vt_rig_close(&self->rig);
	if (self->usecs > 0)
		vt_write_file(COALESCE_USECS, "%lld", self->usecs);
	sched_setaffinity(0, sizeof(self->old), &self->old);
}

TEST_F_TIMEOUT(one_cpu, rx_bursts_end, 300)
{
	struct vt_traffic t;
	int i;

	ASSERT_EQ(0, vt_traffic_start_rig(&t, &self->rig, VT_VQ_RX));
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, vt_traffic_wait(&t, 1 + 7 * i, VT_TIMEOUT));
		/* Returns when everything sent has arrived. */
		ASSERT_EQ(0, vt_traffic_pause(&t));
		vt_traffic_resume(&t);
	}
	EXPECT_EQ(0, vt_traffic_stop(&t));
	EXPECT_EQ(t.sent, t.verified);
}

TEST_HARNESS_MAIN
