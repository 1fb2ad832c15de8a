// SPDX-License-Identifier: GPL-2.0
/*
 * Invalidations that race with the look-up of a page, and what they cost.
 * Timeout: 120 s
 *
 * Debug kernels can hold each install between the look-up and the publication
 * of a page; there these races are certain, elsewhere they are many.
 */
#include <kselftest_harness.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "inval.h"
#include "mmu_hold.h"

#define DELAY		"/sys/module/vhost_mmu/parameters/test_install_delay_ms"

FIXTURE(install)
{
	struct vt_inval inval;
};

FIXTURE_SETUP(install)
{
	struct vt_inval_cfg cfg = {
		.alias = true,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};

	ASSERT_EQ(0, vt_inval_open(&self->inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(install)
{
	vt_write_file(DELAY, "0\n");
	vt_inval_close(&self->inval);
}

/* Pages discarded and found again while they are being installed. */
TEST_F_TIMEOUT(install, refused, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t refused = vt_inval_sum(inval, "maps_refused"), end;

	if (!vt_dev_is_ours())
		SKIP(return, "nothing is installed by stock vhost");
	if (vt_write_file(DELAY, "20\n"))
		SKIP(return, "no %s: not a debug kernel", DELAY);
	end = vt_now_ns() + 2000000000ULL;
	while (vt_now_ns() < end) {
		ASSERT_EQ(0, madvise(inval->dev, inval->len, MADV_DONTNEED));
		vt_sleep_ms(3);
	}
	EXPECT_GT(vt_inval_sum(inval, "maps_refused"), refused);
	EXPECT_EQ(0, vt_inval_flow(inval, 50));
	ASSERT_EQ(0, vt_write_file(DELAY, "0\n"));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static void replace_all(struct __test_metadata *_metadata,
			struct vt_inval *inval, char *to, unsigned int copy)
{
	ASSERT_EQ(to,
		  mmap(to, inval->len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, inval->fd, copy * inval->len));
}

/*
 * While the device is at rest its maps are taken away. A kick without work has
 * it install them again, and at that moment the pages are replaced by others
 * with the same content. If it were to keep an old page it would be seen at
 * once: the old copy would change, and the ring stall.
 */
TEST_F_TIMEOUT(install, replaced_meanwhile, 300)
{
	struct vt_inval *inval = &self->inval;
	bool held = !vt_write_file(DELAY, "20\n");
	uint64_t refused = vt_inval_sum(inval, "maps_refused");
	char *then = malloc(inval->len);
	unsigned int n, i;

	for (n = 0; n < (held ? 8 : 60); n++) {
		char *old = inval->copies + inval->copy * inval->len;
		char *new = inval->copies + !inval->copy * inval->len;

		ASSERT_EQ(0, vt_inval_quiesce(inval));
		ASSERT_EQ(0, madvise(inval->dev, inval->len, MADV_DONTNEED));
		memcpy(new, old, inval->len);
		memcpy(then, old, inval->len);
		for (i = 0; i < 2; i++)
			vt_vq_notify(&inval->rig.vq[i]);
		/* sleep into the middle of some install */
		if (held)
			vt_sleep_ms(5 + 7 * n);
		inval->copy = !inval->copy;
		replace_all(_metadata, inval, inval->dev, inval->copy);
		vt_inval_drive(inval, new);
		vt_inval_resume(inval);
		ASSERT_EQ(0, vt_inval_flow(inval, 30));
		ASSERT_EQ(-1, vt_differ(then, old, inval->len));
	}
	if (held && inval->counters)
		EXPECT_GT(vt_inval_sum(inval, "maps_refused"), refused);
	vt_write_file(DELAY, "0\n");
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
	free(then);
}

/*
 * An invalidation of all memory stays open while the worker wants its ring pages
 * back.  The pages can still be looked up, but they may be on their way out: none
 * is installed before the end.
 */
TEST_F_TIMEOUT(install, open_all_the_time, 300)
{
	struct vt_inval *inval = &self->inval;
	const unsigned int ms = vt_by_speed(1500, 4000);
	uint64_t installed, refused;
	struct vt_mmu_hold hold;
	int mmu, stats;

	if (!vt_dev_is_ours())
		SKIP(return, "nothing is installed by stock vhost");
	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, VT_MMU_NO_PARAM "test_hold_inval_ms");
	mmu = vt_mmu_open();
	ASSERT_LE(0, mmu);
	stats = vt_mmu_stats_open(mmu);
	ASSERT_LE(0, stats);
	ASSERT_EQ(0, vt_inval_hot(inval));
	ASSERT_EQ(0, vt_mmu_hold_start(&hold, stats, ms));
	installed = vt_inval_sum(inval, "maps_installed");
	refused = vt_inval_sum(inval, "maps_refused");
	/* packets go on, by user access */
	EXPECT_EQ(0, vt_inval_flow(inval, 50));
	EXPECT_GT(vt_inval_sum(inval, "maps_refused"), refused);
	EXPECT_EQ(installed, vt_inval_sum(inval, "maps_installed"));
	ASSERT_GT(hold.end_ns, vt_now_ns());
	ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
	close(stats);
	close(mmu);
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * How long does the mm wait for a worker that is busy all the time? It may
 * never wait for more than one section, whatever the worker does; the
 * limits leave room for an emulated and overcommitted machine.
 */
TEST_F_TIMEOUT(install, latency, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t us[400], before;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct vhost_vring_state busy = { i, 10000 };

		ASSERT_EQ(0, ioctl(inval->rig.dev.fd,
				   VHOST_SET_VRING_BUSYLOOP_TIMEOUT, &busy));
	}
	ASSERT_EQ(0, vt_inval_hot(inval));
	before = vt_inval_sum(inval, "drains");
	for (i = 0; i < 400; i++) {
		uint64_t start = vt_now_ns();

		ASSERT_EQ(0, madvise(inval->dev, inval->len, MADV_DONTNEED));
		us[i] = (vt_now_ns() - start) / 1000;
		if (i % 8 == 0)
			vt_sleep_ms(2);
	}
	qsort(us, 400, sizeof(us[0]), by_value);
	TH_LOG("madvise: median %llu us, 99 %% %llu us, longest %llu us",
	       (unsigned long long)us[200], (unsigned long long)us[396],
	       (unsigned long long)us[399]);
	EXPECT_LT(us[200], (uint64_t)vt_timeout_ms(20) * 1000);
	EXPECT_LT(us[399], (uint64_t)vt_timeout_ms(1000) * 1000);
	for (i = 0; inval->counters && i < 2; i++) {
		uint64_t drains = vt_inval_count(inval, i, "drains");
		uint64_t total =
			vt_inval_count(inval, i, "drain_wait_total_ns");
		uint64_t max = vt_inval_count(inval, i, "drain_wait_max_ns");

		TH_LOG("vq%u: %llu drains, mean wait %llu ns, longest %llu us",
		       i, (unsigned long long)drains,
		       (unsigned long long)(drains ? total / drains : 0),
		       (unsigned long long)max / 1000);
		EXPECT_LT(max, (uint64_t)vt_timeout_ms(200) * 1000000);
	}
	if (inval->counters)
		EXPECT_GT(vt_inval_sum(inval, "drains"), before);
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
