// SPDX-License-Identifier: GPL-2.0
/* The shortest check that the device moves packets, and how fast. */
#include <kselftest_harness.h>
#include "vhost_test.h"

FIXTURE(smoke)
{
	struct vt_rig rig;
};

FIXTURE_SETUP(smoke)
{
	ASSERT_EQ(0, vt_rig_open(&self->rig, NULL));
}

FIXTURE_TEARDOWN(smoke)
{
	vt_rig_close(&self->rig);
}

static void one_way(struct __test_metadata *_metadata, struct vt_rig *rig,
		    unsigned int vq)
{
	struct vt_traffic t;
	uint64_t start = vt_now_ns(), ns;

	ASSERT_EQ(0, vt_traffic_start_rig(&t, rig, vq));
	EXPECT_EQ(0, vt_traffic_wait(&t, 5000, VT_TIMEOUT));
	ns = vt_now_ns() - start;
	EXPECT_EQ(0, vt_traffic_pause(&t));
	vt_traffic_resume(&t);
	EXPECT_EQ(0, vt_traffic_wait(&t, 100, VT_TIMEOUT));
	EXPECT_EQ(0, vt_traffic_stop(&t));
	EXPECT_EQ(t.sent, t.verified);
	TH_LOG("%llu packets/s", 5000 * 1000000000ULL / ns);
}

TEST_F_TIMEOUT(smoke, tx, 300)
{
	one_way(_metadata, &self->rig, VT_VQ_TX);
}

TEST_F_TIMEOUT(smoke, rx, 300)
{
	one_way(_metadata, &self->rig, VT_VQ_RX);
}

TEST_HARNESS_MAIN
