// SPDX-License-Identifier: GPL-2.0
/*
 * The MMU that a device makes of its memory table: shared where tables are
 * equal, and rings in guest memory are reached through it.
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
	uint64_t table;

	EXPECT_EQ(0, vt_mmu_dev_id(a));
	ASSERT_EQ(0, set_two(a, self->at, false));
	table = vt_mmu_dev_id(a);
	EXPECT_NE(0, table);
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	EXPECT_EQ(0, vt_mmu_dev_count(a, "attached"));

	/* the order is no difference, anything else is */
	ASSERT_EQ(0, set_two(b, self->at, true));
	EXPECT_EQ(table, vt_mmu_dev_id(b));
	EXPECT_EQ(2, vt_mmu_dev_count(a, "refs"));
	ASSERT_EQ(0, set_two(b, self->at + VT_PAGE, true));
	EXPECT_NE(table, vt_mmu_dev_id(b));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	b->nregions = 1;
	ASSERT_EQ(0, vt_dev_set_mem_table(b));
	EXPECT_NE(table, vt_mmu_dev_id(b));

	/* it stays for the other when one goes */
	ASSERT_EQ(0, set_two(b, self->at, false));
	EXPECT_EQ(table, vt_mmu_dev_id(b));
	vt_dev_close(a);
	EXPECT_EQ(table, vt_mmu_dev_id(b));
	EXPECT_EQ(1, vt_mmu_dev_count(b, "refs"));
	ASSERT_EQ(0, ioctl(b->fd, VHOST_RESET_OWNER, NULL));
	ASSERT_EQ(0, ioctl(b->fd, VHOST_SET_OWNER, NULL));
	EXPECT_EQ(0, vt_mmu_dev_id(b));
}

/* The same table again, and the owner is the only one that counts. */
TEST_F(share, set_again)
{
	struct vt_dev *a = &self->dev[0];
	uint64_t table;

	ASSERT_EQ(0, set_two(a, self->at, false));
	table = vt_mmu_dev_id(a);
	ASSERT_EQ(0, set_two(a, self->at, true));
	EXPECT_EQ(table, vt_mmu_dev_id(a));
	EXPECT_EQ(1, vt_mmu_dev_count(a, "refs"));
	EXPECT_EQ(0, vt_mmu_dev_count(a, "failures"));
}

TEST_F(share, processes_do_not)
{
	uint64_t table;
	pid_t pid;

	ASSERT_EQ(0, set_two(&self->dev[0], self->at, false));
	table = vt_mmu_dev_id(&self->dev[0]);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		struct vt_dev own;
		int bad = vt_dev_open(&own, 0) || set_two(&own, self->at, false);

		/* equal numbers, but of another address space */
		bad |= vt_mmu_dev_id(&own) == table ||
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
	/* nothing to say is no failure */
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
	struct iv iv;
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
	struct iv_cfg cfg = {
		.backing = variant->backing,
		.alias = variant->backing == VT_MEMFD,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};

	memset(&self->iv, 0, sizeof(self->iv));
	self->iv.rig.dev.fd = self->iv.rig.tap.fd = self->iv.rig.tap.sock = -1;
	self->iv.fd = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	ASSERT_EQ(0, iv_open(&self->iv, &cfg));
	ASSERT_EQ(0, iv_start(&self->iv));
	ASSERT_EQ(0, iv_hot(&self->iv));
	/* in no region yet */
	EXPECT_EQ(0, iv_sum(&self->iv, "maps_from_mmu"));
	EXPECT_NE(0, iv_sum(&self->iv, "maps_installed"));
}

FIXTURE_TEARDOWN(ring)
{
	iv_close(&self->iv);
}

/* Make the area of the rings guest memory, under traffic. */
static int add_rings(struct iv *iv, uint64_t gpa, size_t from, size_t len)
{
	int r = vt_dev_add_region(&iv->rig.dev, gpa, iv->dev + from, len);

	return r ? r : vt_dev_set_mem_table(&iv->rig.dev);
}

/* Same offset in a huge page, so that it can be mapped huge. */
static uint64_t rings_gpa(const struct iv *iv)
{
	return RINGS_GPA + ((uintptr_t)iv->dev & (VT_HUGE_SIZE - 1));
}

/*
 * Pages that were installed since come from the table, but for the few that
 * were gone from there again each time the device looked.
 */
static void most_from_table(struct __test_metadata *_metadata, struct iv *iv,
			    uint64_t installed, uint64_t from_table)
{
	installed = iv_sum(iv, "maps_installed") - installed;
	from_table = iv_sum(iv, "maps_from_mmu") - from_table;
	EXPECT_GT(from_table, 0);
	EXPECT_GE(from_table * 2, installed);
}

static int protect(struct iv *iv)
{
	if (mprotect(iv->dev, iv->len, PROT_NONE) ||
	    mprotect(iv->dev, iv->len, PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

static int discard(struct iv *iv)
{
	return madvise(iv->dev, iv->len, MADV_DONTNEED) ? -errno : 0;
}

static int map_again(struct iv *iv)
{
	return mmap(iv->dev, iv->len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, iv->fd, 0) == iv->dev ? 0 : -errno;
}

static int page_out(struct iv *iv)
{
	vt_drain_lru();
	return madvise(iv->dev, iv->len, MADV_PAGEOUT) ? -errno : 0;
}

/* How often the kernel is asked for what it may not do, on any kernel. */
#define HINTS	8

/* To the other node and back, in turns. */
static int move_pages(struct iv *iv)
{
	size_t i, n = iv->len / VT_PAGE;
	static unsigned int round;
	int nodes[n], status[n];
	void *pages[n];

	vt_drain_lru();
	round++;
	for (i = 0; i < n; i++) {
		pages[i] = iv->dev + i * VT_PAGE;
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
	struct iv *iv = &self->iv;
	uint64_t installed, from_table;

	ASSERT_EQ(0, add_rings(iv, rings_gpa(iv), 0, iv->len));
	ASSERT_NE(0, vt_mmu_dev_id(&iv->rig.dev));
	ASSERT_EQ(0, iv_hot(iv));
	installed = iv_sum(iv, "maps_installed");
	from_table = iv_sum(iv, "maps_from_mmu");
	EXPECT_GT(from_table, 0);

	/* the kernel itself leaves pages alone that are mapped twice */
	if (iv->cfg.alias) {
		EXPECT_EQ(0, iv_invalidate(iv, discard, vt_scale(8), 0));
		EXPECT_EQ(0, iv_invalidate(iv, map_again, vt_scale(8), 0));
	} else {
		EXPECT_EQ(0, iv_invalidate(iv, protect, vt_scale(8),
					   IV_QUIESCE));
		if (!access("/sys/devices/system/node/node1", F_OK))
			EXPECT_EQ(0, iv_invalidate(iv, move_pages, HINTS,
						   IV_MAY_MISS));
		if (!vt_swap_on())
			EXPECT_EQ(0, iv_invalidate(iv, page_out, HINTS,
						   IV_QUIESCE | IV_ONE_RING |
						   IV_MAY_MISS));
	}
	most_from_table(_metadata, iv, installed, from_table);
	EXPECT_EQ(0, iv_stop(iv));
}

/* A region that leaves again leaves the rings where they were. */
TEST_F_TIMEOUT(ring, region_comes_and_goes, 300)
{
	struct iv *iv = &self->iv;
	uint64_t from_table = 0;
	unsigned int i, n = vt_scale(6);

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, add_rings(iv, rings_gpa(iv), 0, iv->len));
		ASSERT_EQ(0, iv_hot(iv));
		EXPECT_GT(iv_sum(iv, "maps_from_mmu"), from_table);
		iv->rig.dev.nregions--;
		ASSERT_EQ(0, vt_dev_set_mem_table(&iv->rig.dev));
		ASSERT_EQ(0, iv_hot(iv));
		from_table = iv_sum(iv, "maps_from_mmu");
		ASSERT_EQ(0, iv_flow(iv, 50));
		EXPECT_EQ(from_table, iv_sum(iv, "maps_from_mmu"));
	}
	EXPECT_EQ(0, iv_stop(iv));
}

/*
 * A region that begins and ends within a page: what it covers whole comes from
 * the table, the rest does not. GPA and HVA that do not fit map nothing.
 */
TEST_F_TIMEOUT(ring, odd_region, 300)
{
	struct iv *iv = &self->iv;
	/* from within the first page of the first ring's descriptors */
	size_t from = iv->part[VT_VQ_RX][IV_DESC].off + 100;
	uint64_t installed = iv_sum(iv, "maps_installed"), from_table;

	ASSERT_EQ(0, add_rings(iv, rings_gpa(iv) + from, from,
			       iv->len - from - 100));
	ASSERT_EQ(0, iv_hot(iv));
	ASSERT_NE(0, vt_mmu_dev_id(&iv->rig.dev));
	installed = iv_sum(iv, "maps_installed") - installed;
	from_table = iv_sum(iv, "maps_from_mmu");
	EXPECT_GT(from_table, 0);
	EXPECT_LT(from_table, installed);

	iv->rig.dev.nregions--;
	ASSERT_EQ(0, add_rings(iv, rings_gpa(iv) + 8, 0, iv->len));
	ASSERT_NE(0, vt_mmu_dev_id(&iv->rig.dev));
	ASSERT_EQ(0, iv_hot(iv));
	from_table = iv_sum(iv, "maps_from_mmu");
	EXPECT_EQ(0, iv_invalidate(iv, protect, vt_scale(4), IV_QUIESCE));
	EXPECT_EQ(from_table, iv_sum(iv, "maps_from_mmu"));
	EXPECT_EQ(0, iv_stop(iv));
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
