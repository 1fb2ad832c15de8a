// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with equal memory tables share one MMU, which the first of them makes;
 * a device reaches rings in guest memory through it.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <linux/mempolicy.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "inval.h"
#include "mmu_dev.h"

#define RINGS_GPA	0x4000000000ULL
#define OTHER_GPA	0x8000000000ULL

/* ---------------------------------------------------------------- sharing */

FIXTURE(share)
{
	struct vt_dev dev[2];
	struct vt_mem mem;
	char *at;
};

FIXTURE_SETUP(share)
{
	unsigned int i;

	self->dev[0].fd = -1;
	self->dev[1].fd = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	ASSERT_EQ(0, vt_mem_alloc(&self->mem, VT_ANON, 64 * VT_PAGE, 0, 0));
	self->at = self->mem.base;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vt_dev_open(&self->dev[i], 0));
}

FIXTURE_TEARDOWN(share)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		vt_dev_close(&self->dev[i]);
	if (self->at)
		vt_mem_free(&self->mem);
}

/* Two regions, in either order. */
static int set_two(struct vt_dev *dev, char *at, bool turned)
{
	unsigned int i, n;

	dev->nregions = 0;
	for (i = 0; i < 2; i++) {
		n = turned ? !i : i;
		vt_dev_add_region(dev, n * OTHER_GPA, at + 16 * n * VT_PAGE,
				  16 * VT_PAGE);
	}
	return vt_dev_set_mem_table(dev);
}

TEST_F(share, equal_tables)
{
	struct vt_dev *a = &self->dev[0], *b = &self->dev[1];
	uint64_t mmu;

	EXPECT_EQ(0, vt_mmu_dev_id(a));
	ASSERT_EQ(0, set_two(a, self->at, false));
	mmu = vt_mmu_dev_id(a);
	EXPECT_NE(0, mmu);
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	EXPECT_EQ(0, vt_mmu_dev_count(a, "attached"));

	/* the order of regions does not matter, all else does */
	ASSERT_EQ(0, set_two(b, self->at, true));
	EXPECT_EQ(mmu, vt_mmu_dev_id(b));
	EXPECT_EQ(2, vt_mmu_dev_count(a, "refs"));
	ASSERT_EQ(0, set_two(b, self->at + VT_PAGE, true));
	EXPECT_NE(mmu, vt_mmu_dev_id(b));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	b->nregions = 1;
	ASSERT_EQ(0, vt_dev_set_mem_table(b));
	EXPECT_NE(mmu, vt_mmu_dev_id(b));

	/* the MMU stays for the second device when the first closes */
	ASSERT_EQ(0, set_two(b, self->at, false));
	EXPECT_EQ(mmu, vt_mmu_dev_id(b));
	vt_dev_close(a);
	EXPECT_EQ(mmu, vt_mmu_dev_id(b));
	EXPECT_EQ(1, vt_mmu_dev_count(b, "refs"));
	ASSERT_EQ(0, ioctl(b->fd, VHOST_RESET_OWNER, NULL));
	ASSERT_EQ(0, ioctl(b->fd, VHOST_SET_OWNER, NULL));
	EXPECT_EQ(0, vt_mmu_dev_id(b));
}

/* An equal memory table set again changes nothing: the owner counts once. */
TEST_F(share, set_again)
{
	struct vt_dev *a = &self->dev[0];
	uint64_t mmu;

	ASSERT_EQ(0, set_two(a, self->at, false));
	mmu = vt_mmu_dev_id(a);
	ASSERT_EQ(0, set_two(a, self->at, true));
	EXPECT_EQ(mmu, vt_mmu_dev_id(a));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	EXPECT_EQ(0, vt_mmu_dev_count(a, "failures"));
}

/* As many kinds of memory tables as there may be; what comes then has no MMU. */
TEST_F(share, kinds_have_a_limit)
{
	enum { MAX = 64 };
	struct vt_dev dev[MAX + 1];
	unsigned int i, j;

	for (i = 0; i <= MAX; i++) {
		ASSERT_EQ(0, vt_dev_open(&dev[i], 0));
		vt_dev_add_region(&dev[i], i * VT_PAGE, self->at, VT_PAGE);
		ASSERT_EQ(0, vt_dev_set_mem_table(&dev[i]));
		EXPECT_EQ(i < MAX, !!vt_mmu_dev_id(&dev[i]));
		EXPECT_EQ(i == MAX, vt_mmu_dev_count(&dev[i], "failures"));
	}
	/* a known kind is welcome, and a new one as soon as another is gone */
	dev[MAX].regions[0].guest_phys_addr = 0;
	ASSERT_EQ(0, vt_dev_set_mem_table(&dev[MAX]));
	EXPECT_EQ(vt_mmu_dev_id(&dev[0]), vt_mmu_dev_id(&dev[MAX]));
	for (j = 0; j < 3; j++) {
		dev[1].regions[0].guest_phys_addr = (2 * MAX + j) * VT_PAGE;
		ASSERT_EQ(0, vt_dev_set_mem_table(&dev[1]));
		ASSERT_EQ(0, ioctl(dev[1].fd, VHOST_RESET_OWNER, NULL));
		ASSERT_EQ(0, ioctl(dev[1].fd, VHOST_SET_OWNER, NULL));
		dev[1].regions[0].guest_phys_addr = (3 * MAX + j) * VT_PAGE;
		ASSERT_EQ(0, vt_dev_set_mem_table(&dev[1]));
		EXPECT_NE(0, vt_mmu_dev_id(&dev[1]));
	}
	for (i = 0; i <= MAX; i++)
		vt_dev_close(&dev[i]);
}

TEST_F(share, processes_do_not)
{
	uint64_t mmu;
	pid_t pid;

	ASSERT_EQ(0, set_two(&self->dev[0], self->at, false));
	mmu = vt_mmu_dev_id(&self->dev[0]);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct vt_dev own;
		int bad = vt_dev_open(&own, 0) ||
			  set_two(&own, self->at, false);

		/* equal numbers, but of another address space */
		bad |= vt_mmu_dev_id(&own) == mmu ||
		       vt_mmu_dev_count(&own, "refs") != 1;
		_exit(bad);
	}
	EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	EXPECT_EQ(1, vt_mmu_dev_count(&self->dev[0], "refs"));
}

/* What memslots cannot say is no error: the device works without an MMU. */
TEST_F(share, no_mmu)
{
	struct vt_dev *a = &self->dev[0];

	vt_dev_add_region(a, 0, self->at, 4 * VT_PAGE);
	vt_dev_add_region(a, VT_PAGE, self->at + 8 * VT_PAGE, 4 * VT_PAGE);
	ASSERT_EQ(0, vt_dev_set_mem_table(a));
	EXPECT_EQ(0, vt_mmu_dev_id(a));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "failures"));
	/* an empty memory table counts no failure */
	a->nregions = 0;
	ASSERT_EQ(0, vt_dev_set_mem_table(a));
	EXPECT_EQ(0, vt_mmu_dev_id(a));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "failures"));
	ASSERT_EQ(0, set_two(a, self->at, false));
	EXPECT_NE(0, vt_mmu_dev_id(a));
}

/* As many as there may be, of odd sizes at odd places. */
TEST_F(share, many_odd_regions)
{
	unsigned int i, d;

	for (d = 0; d < 2; d++) {
		for (i = 0; i < 509; i++)
			vt_dev_add_region(&self->dev[d], i * 12345ULL,
					  self->at + i * 7, 12344 - i % 5);
		ASSERT_EQ(0, vt_dev_set_mem_table(&self->dev[d]));
		EXPECT_EQ(0, vt_mmu_dev_count(&self->dev[d], "failures"));
	}
	EXPECT_NE(0, vt_mmu_dev_id(&self->dev[0]));
	EXPECT_EQ(2, vt_mmu_dev_count(&self->dev[0], "refs"));
}

/* -------------------------------------------------- rings in guest memory */

FIXTURE(ring)
{
	struct vt_inval inval;
};

FIXTURE_VARIANT(ring)
{
	/* 0: an alias of shmem */
	enum vt_backing backing;
};

FIXTURE_VARIANT_ADD(ring, anon)
{
	.backing = VT_ANON,
};

FIXTURE_VARIANT_ADD(ring, thp)
{
	.backing = VT_THP,
};

FIXTURE_VARIANT_ADD(ring, shmem)
{
	.backing = VT_MEMFD,
};

FIXTURE_SETUP(ring)
{
	struct vt_inval_cfg cfg = {
		.backing = variant->backing,
		.alias = variant->backing == VT_MEMFD,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};

	memset(&self->inval, 0, sizeof(self->inval));
	self->inval.rig.dev.fd = self->inval.rig.tap.fd =
		self->inval.rig.tap.sock = -1;
	self->inval.fd = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	ASSERT_EQ(0, vt_inval_open(&self->inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
	ASSERT_EQ(0, vt_inval_hot(&self->inval));
	/* in no region yet */
	EXPECT_EQ(0, vt_inval_sum(&self->inval, "maps_from_mmu"));
	EXPECT_NE(0, vt_inval_sum(&self->inval, "maps_installed"));
}

FIXTURE_TEARDOWN(ring)
{
	vt_inval_close(&self->inval);
}

/* Make the area of the rings guest memory, under traffic. */
static int add_rings(struct vt_inval *inval, uint64_t gpa, size_t from,
		     size_t len)
{
	int r = vt_dev_add_region(&inval->rig.dev, gpa, inval->dev + from, len);

	return r ? r : vt_dev_set_mem_table(&inval->rig.dev);
}

/* Same offset in a huge page, so that it can be mapped huge. */
static uint64_t rings_gpa(const struct vt_inval *inval)
{
	return RINGS_GPA + ((uintptr_t)inval->dev & (VT_HUGE_SIZE - 1));
}

/*
 * Pages that were installed since come from the MMU, but for the few that
 * were gone from there again each time the device looked.
 */
static void most_from_table(struct __test_metadata *_metadata,
			    struct vt_inval *inval, uint64_t installed,
			    uint64_t from_table)
{
	installed = vt_inval_sum(inval, "maps_installed") - installed;
	from_table = vt_inval_sum(inval, "maps_from_mmu") - from_table;
	EXPECT_GT(from_table, 0);
	EXPECT_GE(from_table * 2, installed);
}

static int protect(struct vt_inval *inval)
{
	if (mprotect(inval->dev, inval->len, PROT_NONE) ||
	    mprotect(inval->dev, inval->len, PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

static int discard(struct vt_inval *inval)
{
	return madvise(inval->dev, inval->len, MADV_DONTNEED) ? -errno : 0;
}

static int map_again(struct vt_inval *inval)
{
	return mmap(inval->dev, inval->len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, inval->fd, 0) == inval->dev ?
		       0 :
		       -errno;
}

static int page_out(struct vt_inval *inval)
{
	vt_drain_lru();
	return madvise(inval->dev, inval->len, MADV_PAGEOUT) ? -errno : 0;
}

/* How often the kernel is asked for what it may not do, on any kernel. */
#define HINTS	8

/* To the other node and back, in turns. */
static int move_pages(struct vt_inval *inval)
{
	size_t i, n = inval->len / VT_PAGE;
	static unsigned int round;
	int nodes[n], status[n];
	void *pages[n];

	vt_drain_lru();
	round++;
	for (i = 0; i < n; i++) {
		pages[i] = inval->dev + i * VT_PAGE;
		nodes[i] = round & 1;
	}
	return syscall(SYS_move_pages, 0, n, pages, nodes, status,
		       MPOL_MF_MOVE) < 0 ? -errno : 0;
}

/*
 * The driver sees the ring through its own mapping, so a device that went on
 * with a page of the past would be noticed at once.
 */
TEST_F_TIMEOUT(ring, taken_back, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t installed, from_table;

	ASSERT_EQ(0, add_rings(inval, rings_gpa(inval), 0, inval->len));
	ASSERT_NE(0, vt_mmu_dev_id(&inval->rig.dev));
	ASSERT_EQ(0, vt_inval_hot(inval));
	installed = vt_inval_sum(inval, "maps_installed");
	from_table = vt_inval_sum(inval, "maps_from_mmu");
	EXPECT_GT(from_table, 0);

	/* the kernel itself leaves pages alone that are mapped twice */
	if (inval->cfg.alias) {
		EXPECT_EQ(0, vt_inval_run(inval, discard, vt_scale(8), 0));
		EXPECT_EQ(0, vt_inval_run(inval, map_again, vt_scale(8), 0));
	} else {
		EXPECT_EQ(0, vt_inval_run(inval, protect, vt_scale(8),
					  VT_INVAL_QUIESCE));
		if (!access("/sys/devices/system/node/node1", F_OK))
			EXPECT_EQ(0, vt_inval_run(inval, move_pages, HINTS,
						  VT_INVAL_MAY_MISS));
		if (!vt_swap_on())
			EXPECT_EQ(0, vt_inval_run(inval, page_out, HINTS,
						  VT_INVAL_QUIESCE |
							  VT_INVAL_ONE_RING |
							  VT_INVAL_MAY_MISS));
	}
	most_from_table(_metadata, inval, installed, from_table);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* A region that leaves again leaves the rings where they were. */
TEST_F_TIMEOUT(ring, region_comes_and_goes, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t from_table = 0;
	unsigned int i, n = vt_scale(6);

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, add_rings(inval, rings_gpa(inval), 0, inval->len));
		ASSERT_EQ(0, vt_inval_hot(inval));
		EXPECT_GT(vt_inval_sum(inval, "maps_from_mmu"), from_table);
		inval->rig.dev.nregions--;
		ASSERT_EQ(0, vt_dev_set_mem_table(&inval->rig.dev));
		ASSERT_EQ(0, vt_inval_hot(inval));
		from_table = vt_inval_sum(inval, "maps_from_mmu");
		ASSERT_EQ(0, vt_inval_flow(inval, 50));
		EXPECT_EQ(from_table, vt_inval_sum(inval, "maps_from_mmu"));
	}
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/*
 * A region that begins and ends within a page: what it covers whole comes from
 * the MMU, the rest does not. GPA and HVA that do not fit map nothing.
 */
TEST_F_TIMEOUT(ring, odd_region, 300)
{
	struct vt_inval *inval = &self->inval;
	/* from within the first page of the first ring's descriptors */
	size_t from = inval->part[VT_VQ_RX][VT_INVAL_DESC].off + 100;
	uint64_t installed = vt_inval_sum(inval, "maps_installed"), from_table;

	ASSERT_EQ(0, add_rings(inval, rings_gpa(inval) + from, from,
			       inval->len - from - 100));
	ASSERT_EQ(0, vt_inval_hot(inval));
	ASSERT_NE(0, vt_mmu_dev_id(&inval->rig.dev));
	installed = vt_inval_sum(inval, "maps_installed") - installed;
	from_table = vt_inval_sum(inval, "maps_from_mmu");
	EXPECT_GT(from_table, 0);
	EXPECT_LT(from_table, installed);

	inval->rig.dev.nregions--;
	ASSERT_EQ(0, add_rings(inval, rings_gpa(inval) + 8, 0, inval->len));
	ASSERT_NE(0, vt_mmu_dev_id(&inval->rig.dev));
	ASSERT_EQ(0, vt_inval_hot(inval));
	from_table = vt_inval_sum(inval, "maps_from_mmu");
	EXPECT_EQ(0,
		  vt_inval_run(inval, protect, vt_scale(4), VT_INVAL_QUIESCE));
	EXPECT_EQ(from_table, vt_inval_sum(inval, "maps_from_mmu"));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* ---------------------------------------------------------------- packets */

FIXTURE(packets)
{
	struct vt_rig rig;
};

FIXTURE_SETUP(packets)
{
	struct vt_rig_cfg cfg = { .rings_in_mem = true };

	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(packets)
{
	vt_rig_close(&self->rig);
}

/* Guest memory in pieces of any size; packets lie across their borders. */
TEST_F_TIMEOUT(packets, odd_pieces, 300)
{
	struct vt_dev *dev = &self->rig.dev;
	struct vhost_memory_region whole = dev->regions[0];
	uint64_t pos, len, n = 0;

	ASSERT_EQ(0, vt_rig_flow(&self->rig, 200, NULL));
	EXPECT_GT(vt_mmu_dev_id(dev), 0);
	dev->nregions = 0;
	for (pos = 0; pos < whole.memory_size; pos += len) {
		len = 70001 + 1234 * (n++ % 7);
		if (len > whole.memory_size - pos)
			len = whole.memory_size - pos;
		ASSERT_EQ(0, vt_dev_add_region(dev, whole.guest_phys_addr + pos,
					       (char *)self->rig.mem.base + pos,
					       len));
	}
	ASSERT_EQ(0, vt_dev_set_mem_table(dev));
	EXPECT_EQ(0, vt_mmu_dev_count(dev, "failures"));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, 500, NULL));
}

/* Overlapping regions: without an MMU, packets pass as well. */
TEST_F_TIMEOUT(packets, without_mmu, 300)
{
	struct vt_dev *dev = &self->rig.dev;
	const struct vhost_memory_region *r = &dev->regions[0];
	uint64_t from_table, val;

	vt_dev_add_region(dev, r->guest_phys_addr, self->rig.mem.base,
			  r->memory_size);
	ASSERT_EQ(0, vt_dev_set_mem_table(dev));
	EXPECT_EQ(0, vt_mmu_dev_id(dev));
	ASSERT_EQ(0, vt_stats_read(dev, 1, "maps_from_mmu", &from_table));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, 200, NULL));
	ASSERT_EQ(0, vt_stats_read(dev, 1, "maps_from_mmu", &val));
	EXPECT_EQ(from_table, val);
}

TEST_HARNESS_MAIN
