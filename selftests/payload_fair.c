// SPDX-License-Identifier: GPL-2.0
/*
 * Nobody waits too long: not one direction for the other, not the notifier for
 * a section; and nobody uses a tap that is gone.
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include "payload.h"
#include "mmu.h"
#include "thread.h"

/* ----------------------------------------------------------- two directions */

/* Both rings of a device share a worker; each is kept as full as can be. */
TEST(both_directions)
{
	struct vt_payload_cfg cfg = { .backing = VT_AREA_ANON, .window = 200 };
	unsigned int i, slices = vt_scale(16), q;
	uint64_t was[2], n[2], sum[2] = {};
	struct vt_payload p;
	int err;

	ASSERT_EQ(NULL, vt_payload_open(&p, &cfg, &err));
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_payload_start(&p));
	for (i = 0; i < slices; i++) {
		for (q = 0; q < 2; q++)
			was[q] = p.inval.t[q].verified;
		vt_sleep_ms(vt_timeout_ms(100));
		for (q = 0; q < 2; q++) {
			n[q] = p.inval.t[q].verified - was[q];
			sum[q] += n[q];
		}
	}
	TH_LOG("%llu packets received, %llu transmitted",
	       (unsigned long long)sum[0], (unsigned long long)sum[1]);
	/* the drivers share two CPUs with the rest: roughly even will do */
	EXPECT_GT(sum[0], sum[1] / 30);
	EXPECT_GT(sum[1], sum[0] / 30);
	EXPECT_EQ(0, vt_payload_stop(&p));
	vt_payload_close(&p);
}

/* ---------------------------------------------------------------- the storm */

static int discard(void *arg)
{
	struct vt_payload *p = arg;

	return madvise(p->a.base, p->a.len, MADV_DONTNEED) ? -errno : 0;
}

/*
 * An invalidation waits for the section under way: at most 64 KiB and a packet,
 * or as many look-ups as a section may make. Under emulation, and on a machine
 * that does other things, that takes a while; how long is reported.
 */
#define LONGEST_MS	400

TEST(notifier_wait)
{
	struct vt_payload_cfg cfg = {
		.backing = VT_AREA_MEMFD, .alias = true,
		.len_max = 60000, .rx_buf = 2000, .window = 5,
	};
	unsigned int slices = vt_scale(16), q;
	struct vt_thread storm = {};
	uint64_t kernel, longest;
	struct vt_payload p;
	int err;

	ASSERT_EQ(NULL, vt_payload_open(&p, &cfg, &err));
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_payload_start(&p));
	kernel = vt_payload_sum(&p, "payload_kernel");
	ASSERT_EQ(0, vt_thread_start(&storm, discard, &p));
	while (slices--)
		vt_sleep_ms(vt_timeout_ms(100));
	ASSERT_EQ(0, vt_inval_flow(&p.inval, 20));
	ASSERT_EQ(0, vt_thread_stop(&storm));
	for (q = 0; q < 2; q++) {
		longest =
			vt_payload_count(&p.inval.rig, q, "drain_wait_max_ns");
		TH_LOG("vq%u: %llu invalidations, longest wait %llu us", q,
		       (unsigned long long)storm.steps,
		       (unsigned long long)longest / 1000);
		EXPECT_LT(longest, vt_timeout_ms(LONGEST_MS) * 1000000ULL);
	}
	if (p.counters)
		EXPECT_GT(vt_payload_sum(&p, "payload_kernel"), kernel);
	EXPECT_EQ(0, vt_payload_hot(&p));
	EXPECT_EQ(0, vt_payload_stop(&p));
	vt_payload_close(&p);
}

/* ---------------------------------------------------------- a tap that goes */

#define FRAMES	40

static int send_frames(struct vt_rig *rig, unsigned int n, uint32_t stream)
{
	static const struct virtio_net_hdr none;
	char frame[600];
	int r = 0;

	while (n-- && !r) {
		vt_frame_fill(frame, sizeof(frame), stream, n);
		r = vt_packet_send(rig->tap.sock, &none, frame, sizeof(frame));
	}
	return r;
}

static int post(struct vt_rig *rig, unsigned int n)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	unsigned int i;
	int r = 0;

	for (i = 0; i < n && !r; i++) {
		char *at = (char *)rig->buf[0] + i * 2048;
		struct vt_sg sg = vt_payload_sg(rig, at, 2048);

		r = vt_vq_add(vq, &sg, 0, 1, vq);
	}
	vt_vq_kick(vq);
	return r;
}

/* Wait until @n buffers are used, or nothing comes any more. */
static unsigned int gather(struct vt_rig *rig, unsigned int n, int timeout_ms)
{
	uint64_t end = vt_patient_ns() + timeout_ms * 1000000ULL;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	unsigned int used = 0;

	while (used < n && vt_patient_ns() < end) {
		if (vt_vq_get(vq, NULL))
			used++;
		else
			vt_sleep_ms(1);
	}
	return used;
}

/* A new interface for the file of one that was deleted. */
static int new_interface(struct vt_tap *tap, int hdr)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int sndbuf = INT_MAX;

	close(tap->sock);
	tap->sock = -1;
	if (ioctl(tap->fd, TUNSETIFF, &ifr) ||
	    ioctl(tap->fd, TUNSETVNETHDRSZ, &hdr) ||
	    ioctl(tap->fd, TUNSETSNDBUF, &sndbuf))
		return -errno;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	tap->ifindex = if_nametoindex(tap->name);
	if (vt_if_up(tap->name, 0))
		return -EIO;
	tap->sock = vt_packet_open(tap->ifindex, true);
	return tap->sock < 0 ? tap->sock : 0;
}

/*
 * The interface is deleted while packets wait for buffers, some of them taken
 * from the tap's ring already; then buffers come.
 */
TEST(tap_deleted)
{
	unsigned int i, n = 4;
	struct vt_rig rig;

	ASSERT_EQ(0, vt_rig_open(&rig, NULL));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, post(&rig, 8));
		ASSERT_EQ(0, send_frames(&rig, FRAMES, 40 + i));
		EXPECT_EQ(8, gather(&rig, 8, VT_TIMEOUT));
		ASSERT_EQ(0, vt_ip("link del %s", rig.tap.name));
		/* a packet that the worker took may arrive, or be lost */
		ASSERT_EQ(0, post(&rig, FRAMES));
		TH_LOG("%u packets of an interface that is gone",
		       gather(&rig, FRAMES - 8, 100));
		ASSERT_EQ(0, vt_vq_stop(&rig.vq[VT_VQ_RX]));
		ASSERT_EQ(0, vt_vq_stop(&rig.vq[VT_VQ_TX]));
		ASSERT_EQ(0, new_interface(&rig.tap, rig.dev.hdr_len));
		ASSERT_EQ(0, vt_rig_restart(&rig, VT_VQ_RX, 0));
		ASSERT_EQ(0, vt_rig_restart(&rig, VT_VQ_TX, 0));
		ASSERT_EQ(0, post(&rig, FRAMES));
		ASSERT_EQ(0, send_frames(&rig, FRAMES, 50 + i));
		EXPECT_EQ(FRAMES, gather(&rig, FRAMES, VT_TIMEOUT));
		EXPECT_EQ(0, vt_rig_flow(&rig, 200, NULL));
	}
	vt_rig_close(&rig);
}

/* The file gets a new interface, and the ring was never stopped. */
TEST(tap_replaced)
{
	unsigned int i, n = 4;
	struct vt_rig rig;

	ASSERT_EQ(0, vt_rig_open(&rig, NULL));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, send_frames(&rig, FRAMES, 60 + i));
		ASSERT_EQ(0, vt_ip("link del %s", rig.tap.name));
		ASSERT_EQ(0, new_interface(&rig.tap, rig.dev.hdr_len));
		ASSERT_EQ(0, send_frames(&rig, FRAMES, 70 + i));
		ASSERT_EQ(0, post(&rig, 2 * FRAMES));
		TH_LOG("%u packets", gather(&rig, 2 * FRAMES, 100));
		ASSERT_EQ(0, vt_rig_restart(&rig, VT_VQ_RX, 0));
		ASSERT_EQ(0, vt_rig_restart(&rig, VT_VQ_TX, 0));
		ASSERT_EQ(0, post(&rig, FRAMES));
		ASSERT_EQ(0, send_frames(&rig, FRAMES, 80 + i));
		EXPECT_EQ(FRAMES, gather(&rig, FRAMES, VT_TIMEOUT));
	}
	vt_rig_close(&rig);
}

TEST_HARNESS_MAIN
