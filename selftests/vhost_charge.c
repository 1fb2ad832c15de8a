// SPDX-License-Identifier: GPL-2.0
/*
 * What a worker allocates for its owner is charged to the owner's control group.
 * Timeout: 60 s
 */
#include <kselftest_harness.h>
#include <errno.h>
#include <sys/mman.h>
#include "cgroup.h"
#include "mmu_dev.h"

/* packets, each in 2 MiB of its own, for which it takes a table */
#define PACKETS		256
#define MEM_LEN		(2 * (PACKETS + 2) * VT_HUGE_SIZE)

FIXTURE(charge)
{
	struct vt_rig rig;
	void *mem;
};

FIXTURE_VARIANT(charge)
{
	bool kthread;
};

FIXTURE_VARIANT_ADD(charge, task) { .kthread = false };

FIXTURE_VARIANT_ADD(charge, kthread) { .kthread = true };

FIXTURE_SETUP(charge)
{
	const char *why;

	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	self->mem = MAP_FAILED;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	why = vt_cgroup_make();
	if (why)
		SKIP(return, "%s", why);
	self->mem = mmap(NULL, MEM_LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, madvise(self->mem, MEM_LEN, MADV_NOHUGEPAGE));
}

FIXTURE_TEARDOWN(charge)
{
	vt_rig_close(&self->rig);
	munmap(self->mem, MEM_LEN);
	/* the group is empty once the worker is gone */
	vt_cgroup_leave();
}

TEST_F_TIMEOUT(charge, tables, 60)
{
	struct vt_rig_cfg cfg = {
		.no_start = true, .mem_at = self->mem, .mem_len = MEM_LEN,
	};
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	long long before, after;
	unsigned int i;
	char *at;

	/* who becomes the owner later than this has its worker in the group */
	ASSERT_EQ(0, vt_cgroup_enter(0));
	ASSERT_EQ(0, vt_rig_open(rig, &cfg));
	if (variant->kthread && vt_dev_use_kthread(&rig->dev))
		SKIP(return, "the kernel gives no choice of the worker's kind");
	ASSERT_EQ(0, vt_rig_restart(rig, VT_VQ_TX, 0));
	/* the mm's own tables, before anything is counted */
	for (i = 0; i < PACKETS; i++)
		memset((char *)rig->buf[1] + i * VT_HUGE_SIZE, 0, 128);

	before = vt_cgroup_kernel();
	ASSERT_GE(before, 0);
	for (i = 0; i < PACKETS; i++) {
		at = (char *)rig->buf[1] + i * VT_HUGE_SIZE;
		struct vt_sg sg = { vt_dev_gpa(&rig->dev, at), 100 };

		ASSERT_EQ(0, vt_vq_add(vq, &sg, 1, 0, at));
		vt_vq_kick(vq);
		while (!vt_vq_get(vq, NULL))
			ASSERT_EQ(0, vt_vq_wait(vq, VT_TIMEOUT));
	}
	after = vt_cgroup_kernel();
	vt_msg("%lld KiB for %u tables", (after - before) >> 10, PACKETS);
	/* the kernel counts with some delay */
	EXPECT_GE(after - before, PACKETS * VT_PAGE / 2);
}

TEST_HARNESS_MAIN
