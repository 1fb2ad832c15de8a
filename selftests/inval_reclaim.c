// SPDX-License-Identifier: GPL-2.0
/*
 * Take the ring pages away under traffic: discard, swap, free, punch, clean.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <sys/mman.h>
#include "inval.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

FIXTURE(reclaim)
{
	struct iv iv;
};

FIXTURE_SETUP(reclaim)
{
	memset(&self->iv, 0, sizeof(self->iv));
	self->iv.rig.dev.fd = self->iv.rig.tap.fd = self->iv.rig.tap.sock = -1;
	self->iv.fd = -1;
}

FIXTURE_TEARDOWN(reclaim)
{
	iv_close(&self->iv);
}

static void begin(struct __test_metadata *_metadata, struct iv *iv,
		  struct iv_cfg cfg)
{
	cfg.features = VT_F(VIRTIO_RING_F_EVENT_IDX);
	ASSERT_EQ(0, iv_open(iv, &cfg));
	ASSERT_EQ(0, iv_start(iv));
}

#define SKIP_WITHOUT_SWAP()						\
	do {								\
		const char *why = vt_swap_on();				\
									\
		if (why)						\
			SKIP(return, "%s", why);			\
	} while (0)

static int advise(struct iv *iv, int advice)
{
	return madvise(iv->dev, iv->len, advice) ? -errno : 0;
}

/* What is discarded of a shared file is still in the file. */
static int discard(struct iv *iv)
{
	struct vt_mem *m = &iv->rig.mem;
	int r = advise(iv, MADV_DONTNEED);

	if (!r && madvise(m->map, m->map_len, MADV_DONTNEED))
		r = -errno;
	return r;
}

TEST_F_TIMEOUT(reclaim, dontneed_shared, 300)
{
	begin(_metadata, &self->iv, (struct iv_cfg){
		.alias = true,
		.mem_backing = VT_MEMFD,
	});
	EXPECT_EQ(0, iv_invalidate(&self->iv, discard, 20, 0));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

static struct vt_held_pages held;
static bool holding;

/* Keep the old pages and compare them once traffic has run on new ones. */
static int hold_again(struct iv *iv)
{
	int r = holding ? vt_check_held_pages(&held) : 0;

	if (!r)
		r = vt_hold_pages(&held, iv->dev, iv->len);
	holding = !r;
	return r;
}

/* What is discarded of anonymous memory is gone: put it back. */
static int discard_and_restore(struct iv *iv)
{
	char *saved = malloc(iv->len);
	int r = hold_again(iv);

	memcpy(saved, iv->dev, iv->len);
	if (!r)
		r = advise(iv, MADV_DONTNEED);
	memcpy(iv->dev, saved, iv->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, dontneed_anon, 300)
{
	begin(_metadata, &self->iv, (struct iv_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, iv_invalidate(&self->iv, discard_and_restore, 20,
				   IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

static int punch_and_restore(struct iv *iv)
{
	char *saved = malloc(iv->len);
	int r = hold_again(iv);

	memcpy(saved, iv->drv, iv->len);
	if (!r && fallocate(iv->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    0, iv->len))
		r = -errno;
	memcpy(iv->drv, saved, iv->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, punch_hole, 300)
{
	begin(_metadata, &self->iv, (struct iv_cfg){ .alias = true });
	EXPECT_EQ(0, iv_invalidate(&self->iv, punch_and_restore, 20,
				   IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

/* The truncated file has nothing for the device; grown again it has. */
static int truncate_and_restore(struct iv *iv)
{
	char *saved = malloc(iv->len);
	int r = hold_again(iv);

	memcpy(saved, iv->drv, iv->len);
	if (!r && (ftruncate(iv->fd, 0) || ftruncate(iv->fd, 2 * iv->len)))
		r = -errno;
	memcpy(iv->drv, saved, iv->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, truncate, 300)
{
	begin(_metadata, &self->iv, (struct iv_cfg){ .alias = true });
	EXPECT_EQ(0, iv_invalidate(&self->iv, truncate_and_restore, 10,
				   IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

static int page_out(struct iv *iv)
{
	vt_drain_lru();
	return advise(iv, MADV_PAGEOUT);
}

static unsigned int swapped;

/* At rest nothing brings the pages back: count those that are really out. */
static int page_out_count(struct iv *iv)
{
	int r = page_out(iv);
	size_t off;

	for (off = 0; off < iv->len; off += VT_PAGE)
		swapped += !(vt_pagemap(iv->dev + off) & VT_F(VT_PM_PRESENT));
	return r;
}

static void pageout(struct __test_metadata *_metadata, struct iv *iv,
		    enum vt_backing backing)
{
	int r;

	begin(_metadata, iv, (struct iv_cfg){ .backing = backing });
	/*
	 * A page on its way to an LRU list is not paged out, nor one that is
	 * in use just then: a busy machine may miss them all.
	 */
	r = iv_invalidate(iv, page_out, 20, IV_MAY_MISS);
	if (r != -ENOMSG)
		EXPECT_EQ(0, r);
	EXPECT_EQ(0, iv_invalidate(iv, page_out_count, 5,
				   IV_QUIESCE | IV_MAY_MISS));
	EXPECT_GT(swapped, 0);
	EXPECT_EQ(0, iv_stop(iv));
	if (r == -ENOMSG && __test_passed(_metadata))
		SKIP(return, "none was paged out under traffic, only at rest");
}

TEST_F_TIMEOUT(reclaim, pageout_anon, 300)
{
	SKIP_WITHOUT_SWAP();
	pageout(_metadata, &self->iv, VT_ANON);
}

TEST_F_TIMEOUT(reclaim, pageout_shmem, 300)
{
	SKIP_WITHOUT_SWAP();
	pageout(_metadata, &self->iv, VT_MEMFD);
}

static int mark_free(struct iv *iv)
{
	unsigned int i;

	/*
	 * Everything that the ring needs is in these pages. The driver writes
	 * to desc and avail again, so that they are kept; only the device
	 * writes to used, and what it writes must count as well.
	 */
	for (i = 0; i < 2; i++) {
		char *page = iv->dev +
			     (iv->part[i][IV_USED].off & ~(VT_PAGE - 1));

		if (madvise(page, VT_PAGE, MADV_FREE))
			return -errno;
	}
	return 0;
}

/* Freed lazily, written by the device alone, then reclaimed. */
TEST_F_TIMEOUT(reclaim, free_then_pageout, 300)
{
	struct iv *iv = &self->iv;
	unsigned int n;

	SKIP_WITHOUT_SWAP();
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_ANON });
	for (n = 0; n < 10; n++) {
		ASSERT_EQ(0, iv_invalidate(iv, mark_free, 1, IV_QUIESCE));
		ASSERT_EQ(0, iv_flow(iv, 300));
		/* in some rounds it is an ioctl that drops the maps */
		ASSERT_EQ(0, iv_quiesce(iv));
		if (n % 2)
			ASSERT_EQ(0, iv_move(iv, iv->dev));
		ASSERT_EQ(0, page_out(iv));
		iv_resume(iv);
		ASSERT_EQ(0, iv_flow(iv, 100));
	}
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

/*
 * Written by the device after it was swapped in, clean: without a dirty mark
 * the old content would come back from swap.
 */
TEST_F_TIMEOUT(reclaim, used_swapped_twice, 300)
{
	struct iv *iv = &self->iv;
	unsigned int n, i;

	SKIP_WITHOUT_SWAP();
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_MEMFD });
	for (n = 0; n < 10; n++) {
		ASSERT_EQ(0, iv_quiesce(iv));
		ASSERT_EQ(0, page_out(iv));
		for (i = 0; i < 2; i++)
			*(volatile char *)(iv->dev + iv->part[i][IV_USED].off);
		iv_resume(iv);
		ASSERT_EQ(0, iv_flow(iv, 300));
		ASSERT_EQ(0, iv_quiesce(iv));
		if (n % 2)
			ASSERT_EQ(0, iv_move(iv, iv->dev));
		ASSERT_EQ(0, page_out(iv));
		iv_resume(iv);
		ASSERT_EQ(0, iv_flow(iv, 100));
	}
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

static int clear_soft_dirty(struct iv *iv)
{
	(void)iv;
	return vt_write_file("/proc/self/clear_refs", "4\n");
}

/* Clears the bit, lets traffic pass: the device's writes must set it again. */
TEST_F_TIMEOUT(reclaim, soft_dirty, 300)
{
	struct iv *iv = &self->iv;
	unsigned int i;

	if (clear_soft_dirty(iv))
		SKIP(return, "the kernel has no soft-dirty bits");
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, iv_invalidate(iv, clear_soft_dirty, 20, 0));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(vt_pagemap(iv->dev + iv->part[i][IV_USED].off) &
			    VT_F(VT_PM_SOFT_DIRTY));

	/* at rest nobody writes it, so that it stays clear */
	ASSERT_EQ(0, iv_quiesce(iv));
	ASSERT_EQ(0, clear_soft_dirty(iv));
	for (i = 0; i < 2; i++)
		EXPECT_FALSE(vt_pagemap(iv->dev + iv->part[i][IV_USED].off) &
			     VT_F(VT_PM_SOFT_DIRTY));
	iv_resume(iv);
	ASSERT_EQ(0, iv_flow(iv, 50));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(vt_pagemap(iv->dev + iv->part[i][IV_USED].off) &
			    VT_F(VT_PM_SOFT_DIRTY));
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_HARNESS_MAIN
