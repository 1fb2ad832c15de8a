// SPDX-License-Identifier: GPL-2.0
/* Every packet, both ways, for all features, ring sizes and kinds of memory. */
/*
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>
#include "full.h"
#include "vhost_test.h"

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	VT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)
#define HDR	VT_F(VHOST_NET_F_VIRTIO_NET_HDR)
#define EMPTY	VT_F(VIRTIO_F_NOTIFY_ON_EMPTY)

#define PACKETS	1000

/* Every combination of features that changes how packets are moved. */
FIXTURE(features)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(features)
{
	uint64_t features;
};

#define VARIANT(name, set) \
	FIXTURE_VARIANT_ADD(features, name) { .features = set }
VARIANT(none, 0);
VARIANT(event, EVENT);
VARIANT(indirect, IND);
VARIANT(indirect_event, IND | EVENT);
VARIANT(mrg, MRG);
VARIANT(mrg_event, MRG | EVENT);
VARIANT(mrg_indirect, MRG | IND);
VARIANT(mrg_indirect_event, MRG | IND | EVENT);
VARIANT(v1, V1);
VARIANT(v1_event, V1 | EVENT);
VARIANT(v1_indirect, V1 | IND);
VARIANT(v1_indirect_event, V1 | IND | EVENT);
VARIANT(v1_mrg, V1 | MRG);
VARIANT(v1_mrg_event, V1 | MRG | EVENT);
VARIANT(v1_mrg_indirect, V1 | MRG | IND);
VARIANT(v1_mrg_indirect_event, V1 | MRG | IND | EVENT);
VARIANT(hdr, HDR);
VARIANT(hdr_v1_mrg_event, HDR | V1 | MRG | EVENT);
VARIANT(on_empty, EMPTY);
VARIANT(on_empty_event, EMPTY | EVENT | V1 | MRG);
#undef VARIANT
/* With what is left every two of EVENT, IND, MRG and V1 meet on and off. */
VT_FULL_ONLY(features, event)
VT_FULL_ONLY(features, indirect)
VT_FULL_ONLY(features, indirect_event)
VT_FULL_ONLY(features, mrg)
VT_FULL_ONLY(features, mrg_event)
VT_FULL_ONLY(features, mrg_indirect)
VT_FULL_ONLY(features, v1)
VT_FULL_ONLY(features, v1_event)
VT_FULL_ONLY(features, v1_indirect)
VT_FULL_ONLY(features, v1_mrg)

FIXTURE_SETUP(features)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
	};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(features)
{
	vt_rig_close(&self->rig);
}

TEST_F_TIMEOUT(features, flow, 600)
{
	struct vt_traffic_cfg split = { .split_hdr = true };

	EXPECT_EQ(0, vt_rig_flow(&self->rig, PACKETS, NULL));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, PACKETS / 2, &split));
}

/* Rings: every size, from the first index and over its wrap. */
FIXTURE(size)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(size)
{
	unsigned int num;
	uint16_t base;
	uint64_t features;
};

#define VARIANT(name, num_, base_, set) \
	FIXTURE_VARIANT_ADD(size, name) { \
		.num = num_, .base = base_, .features = set }
VARIANT(n2, 2, 0, 0);
VARIANT(n2_event, 2, 0, EVENT);
VARIANT(n4, 4, 0, 0);
VARIANT(n4_event_wrap, 4, 65533, EVENT);
VARIANT(n16, 16, 0, EVENT);
VARIANT(n256_wrap, 256, 65530, 0);
VARIANT(n256_event_wrap, 256, 65530, EVENT);
VARIANT(n256_indirect_wrap, 256, 65530, EVENT | IND);
VARIANT(n1024, 1024, 0, 0);
VARIANT(n1024_event_wrap, 1024, 65000, EVENT);
VARIANT(n4096, 4096, 0, 0);
VARIANT(n4096_event, 4096, 4095, EVENT);
VARIANT(n32768, 32768, 0, 0);
VARIANT(n32768_event_wrap, 32768, 65530, EVENT);
#undef VARIANT

FIXTURE_SETUP(size)
{
	struct vt_rig_cfg cfg = {
		.num = variant->num,
		.base = variant->base,
		.features = variant->features,
		.mem_len = 24 << 20,
		.ring_backing = VT_SCATTER,
	};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(size)
{
	vt_rig_close(&self->rig);
}

TEST_F_TIMEOUT(size, flow, 600)
{
	/* small packets, so that the largest ring gets full use */
	struct vt_traffic_cfg cfg = { .len_max = 250 };
	uint64_t n = PACKETS;

	/* at least once around */
	if (variant->num > 1024)
		n = variant->num + 200;
	EXPECT_EQ(0, vt_rig_flow(&self->rig, n, &cfg));
}

/* Ring parts and buffers in every kind of memory, at every kind of address. */
FIXTURE(memory)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(memory)
{
	struct vt_rig_cfg cfg;
};

/*
 * What straddles a page, with a page aligned used ring: used element 511. With
 * desc +8 also descriptors, with avail +2 nothing (its words are 2 bytes).
 */
#define UGLY	.desc_skew = 8, .avail_skew = 2, .used_skew = 4

#define VARIANT(name, ...) \
	FIXTURE_VARIANT_ADD(memory, name) { .cfg = { __VA_ARGS__ } }
VARIANT(anon, .num = 1024);
VARIANT(scatter, .num = 1024, .backing = VT_SCATTER,
	.ring_backing = VT_SCATTER);
VARIANT(scatter_event, .num = 1024, .backing = VT_SCATTER,
	.ring_backing = VT_SCATTER, .features = EVENT);
VARIANT(scatter_ugly, .num = 1024, .backing = VT_SCATTER,
	.ring_backing = VT_SCATTER, UGLY);
VARIANT(scatter_ugly_event, .num = 512, .backing = VT_SCATTER,
	.ring_backing = VT_SCATTER, .features = EVENT, UGLY);
VARIANT(ugly_small, .num = 64, .desc_skew = 4096 - 24, .avail_skew = 4096 - 2,
	.used_skew = 4096 - 4, .ring_backing = VT_SCATTER, .features = EVENT);
VARIANT(desc_any_byte, .num = 512, .desc_skew = 13, .avail_skew = 4094,
	.used_skew = 4092, .ring_backing = VT_SCATTER);
VARIANT(thp, .num = 1024, .backing = VT_THP, .ring_backing = VT_THP);
VARIANT(hugetlb, .num = 1024, .backing = VT_HUGETLB,
	.ring_backing = VT_HUGETLB);
VARIANT(hugetlb_rings_in_mem, .num = 1024, .backing = VT_HUGETLB,
	.rings_in_mem = true);
VARIANT(memfd, .num = 1024, .backing = VT_MEMFD, .ring_backing = VT_MEMFD);
VARIANT(memfd_rings_in_mem, .num = 1024, .backing = VT_MEMFD,
	.rings_in_mem = true, .features = EVENT);
VARIANT(file, .num = 1024, .backing = VT_FILE, .ring_backing = VT_FILE);
VARIANT(anon_rings_in_mem_ugly, .num = 1024, .rings_in_mem = true, UGLY);
VARIANT(incongruent, .num = 256, .gpa_skew = 0x123, .features = IND);
VARIANT(incongruent_rings_in_mem, .num = 256, .gpa_skew = 0xff0,
	.rings_in_mem = true);
VARIANT(thp_incongruent, .num = 256, .backing = VT_THP, .gpa_skew = 0x1000);
#undef VARIANT

FIXTURE_SETUP(memory)
{
	int r = vt_rig_open(&self->rig, &variant->cfg);

	if (r == -ENOMEM && variant->cfg.backing == VT_HUGETLB)
		SKIP(return, "the kernel has no huge pages to give");
	ASSERT_EQ(0, r);
}

FIXTURE_TEARDOWN(memory)
{
	vt_rig_close(&self->rig);
}

TEST_F_TIMEOUT(memory, flow, 600)
{
	struct vt_traffic_cfg jumbo = { .len_max = 9000, .window = 64 };

	EXPECT_EQ(0, vt_rig_flow(&self->rig, PACKETS, NULL));
	/* too long for one page: another way through the backend */
	EXPECT_EQ(0, vt_rig_flow(&self->rig, 400, &jumbo));
}

/* Settings of the device and the tap that choose other ways through it. */
FIXTURE(setting)
{
	struct vt_rig rig;
};

FIXTURE_SETUP(setting)
{
	struct vt_rig_cfg cfg = { .features = EVENT };

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(setting)
{
	vt_rig_close(&self->rig);
}

TEST_F_TIMEOUT(setting, busyloop, 600)
{
	static const unsigned int us[] = { 1, 50, 2000 };
	unsigned int i, vq;

	for (i = 0; i < ARRAY_SIZE(us); i++) {
		for (vq = 0; vq < 2; vq++) {
			struct vhost_vring_state s = { vq, us[i] };

			ASSERT_EQ(0,
				  ioctl(self->rig.dev.fd,
					VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &s));
		}
		EXPECT_EQ(0, vt_rig_flow(&self->rig, 500, NULL));
	}
}

/* With a bounded send buffer packets are sent one by one, not in batches. */
TEST_F_TIMEOUT(setting, sndbuf, 600)
{
	int sndbuf = 1 << 20;

	ASSERT_EQ(0, ioctl(self->rig.tap.fd, TUNSETSNDBUF, &sndbuf));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, PACKETS, NULL));
	/* and one that is full most of the time: packets are put back */
	sndbuf = 8192;
	ASSERT_EQ(0, ioctl(self->rig.tap.fd, TUNSETSNDBUF, &sndbuf));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, PACKETS, NULL));
}

/* Receive buffers smaller than packets, joined. */
TEST_F_TIMEOUT(setting, small_rx_buffers, 600)
{
	static const unsigned int sizes[] = { 13, 64, 127, 1000 };
	struct vt_traffic_cfg cfg = { .len_max = 1514, .window = 64 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		cfg.rx_buf = sizes[i];
		EXPECT_EQ(0, vt_rig_flow(&self->rig, 300, &cfg)) {
			TH_LOG("with receive buffers of %u bytes", sizes[i]);
		}
	}
}

TEST_HARNESS_MAIN
