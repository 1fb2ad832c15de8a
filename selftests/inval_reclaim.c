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
	struct vt_inval inval;
};

FIXTURE_SETUP(reclaim)
{
	memset(&self->inval, 0, sizeof(self->inval));
	self->inval.rig.dev.fd = self->inval.rig.tap.fd =
		self->inval.rig.tap.sock = -1;
	self->inval.fd = -1;
}

FIXTURE_TEARDOWN(reclaim)
{
	vt_inval_close(&self->inval);
}

static void begin(struct __test_metadata *_metadata, struct vt_inval *inval,
		  struct vt_inval_cfg cfg)
{
	cfg.features = VT_F(VIRTIO_RING_F_EVENT_IDX);
	ASSERT_EQ(0, vt_inval_open(inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(inval));
}

#define SKIP_WITHOUT_SWAP()						\
	do {								\
		const char *why = vt_swap_on();				\
									\
		if (why)						\
			SKIP(return, "%s", why);			\
	} while (0)

static int advise(struct vt_inval *inval, int advice)
{
	return madvise(inval->dev, inval->len, advice) ? -errno : 0;
}

/* What is discarded of a shared file is still in the file. */
static int discard(struct vt_inval *inval)
{
	struct vt_mem *m = &inval->rig.mem;
	int r = advise(inval, MADV_DONTNEED);

	if (!r && madvise(m->map, m->map_len, MADV_DONTNEED))
		r = -errno;
	return r;
}

TEST_F_TIMEOUT(reclaim, dontneed_shared, 300)
{
	begin(_metadata, &self->inval, (struct vt_inval_cfg){
		.alias = true,
		.mem_backing = VT_MEMFD,
	});
	EXPECT_EQ(0, vt_inval_run(&self->inval, discard, 20, 0));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

static struct vt_held_pages held;
static bool holding;

/* Keep the old pages and compare them once traffic has run on new ones. */
static int hold_again(struct vt_inval *inval)
{
	int r = holding ? vt_check_held_pages(&held) : 0;

	if (!r)
		r = vt_hold_pages(&held, inval->dev, inval->len);
	holding = !r;
	return r;
}

/* What is discarded of anonymous memory is gone: put it back. */
static int discard_and_restore(struct vt_inval *inval)
{
	char *saved = malloc(inval->len);
	int r = hold_again(inval);

	memcpy(saved, inval->dev, inval->len);
	if (!r)
		r = advise(inval, MADV_DONTNEED);
	memcpy(inval->dev, saved, inval->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, dontneed_anon, 300)
{
	begin(_metadata, &self->inval,
	      (struct vt_inval_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, vt_inval_run(&self->inval, discard_and_restore, 20,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

static int punch_and_restore(struct vt_inval *inval)
{
	char *saved = malloc(inval->len);
	int r = hold_again(inval);

	memcpy(saved, inval->drv, inval->len);
	if (!r &&
	    fallocate(inval->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      inval->len))
		r = -errno;
	memcpy(inval->drv, saved, inval->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, punch_hole, 300)
{
	begin(_metadata, &self->inval, (struct vt_inval_cfg){ .alias = true });
	EXPECT_EQ(0, vt_inval_run(&self->inval, punch_and_restore, 20,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

/* The truncated file has nothing for the device; grown again it has. */
static int truncate_and_restore(struct vt_inval *inval)
{
	char *saved = malloc(inval->len);
	int r = hold_again(inval);

	memcpy(saved, inval->drv, inval->len);
	if (!r &&
	    (ftruncate(inval->fd, 0) || ftruncate(inval->fd, 2 * inval->len)))
		r = -errno;
	memcpy(inval->drv, saved, inval->len);
	free(saved);
	return r;
}

TEST_F_TIMEOUT(reclaim, truncate, 300)
{
	begin(_metadata, &self->inval, (struct vt_inval_cfg){ .alias = true });
	EXPECT_EQ(0, vt_inval_run(&self->inval, truncate_and_restore, 10,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

static int page_out(struct vt_inval *inval)
{
	vt_drain_lru();
	return advise(inval, MADV_PAGEOUT);
}

static unsigned int swapped;

/* At rest nothing brings the pages back: count those that are really out. */
static int page_out_count(struct vt_inval *inval)
{
	int r = page_out(inval);
	size_t off;

	for (off = 0; off < inval->len; off += VT_PAGE)
		swapped +=
			!(vt_pagemap(inval->dev + off) & VT_F(VT_PM_PRESENT));
	return r;
}

static void pageout(struct __test_metadata *_metadata, struct vt_inval *inval,
		    enum vt_backing backing)
{
	int r;

	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = backing });
	/*
	 * A page on its way to an LRU list is not paged out, nor one that is
	 * in use just then: a busy machine may miss them all.
	 */
	r = vt_inval_run(inval, page_out, 20, VT_INVAL_MAY_MISS);
	if (r != -ENOMSG)
		EXPECT_EQ(0, r);
	EXPECT_EQ(0, vt_inval_run(inval, page_out_count, 5,
				  VT_INVAL_QUIESCE | VT_INVAL_MAY_MISS));
	EXPECT_GT(swapped, 0);
	EXPECT_EQ(0, vt_inval_stop(inval));
	if (r == -ENOMSG && __test_passed(_metadata))
		SKIP(return, "none was paged out under traffic, only at rest");
}

TEST_F_TIMEOUT(reclaim, pageout_anon, 300)
{
	SKIP_WITHOUT_SWAP();
	pageout(_metadata, &self->inval, VT_ANON);
}

TEST_F_TIMEOUT(reclaim, pageout_shmem, 300)
{
	SKIP_WITHOUT_SWAP();
	pageout(_metadata, &self->inval, VT_MEMFD);
}

static int mark_free(struct vt_inval *inval)
{
	unsigned int i;

	/*
	 * Everything that the ring needs is in these pages. The driver writes
	 * to desc and avail again, so that they are kept; only the device
	 * writes to used, and what it writes must count as well.
	 */
	for (i = 0; i < 2; i++) {
		char *page = inval->dev + (inval->part[i][VT_INVAL_USED].off &
					   ~(VT_PAGE - 1));

		if (madvise(page, VT_PAGE, MADV_FREE))
			return -errno;
	}
	return 0;
}

/*
 * Freed lazily, written by the device alone, then reclaimed. Others may have
 * taken the ring maps back before madvise() comes: then the round does not
 * count, and most rounds must.
 */
TEST_F_TIMEOUT(reclaim, free_then_pageout, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int missed = 0, n;
	int r;

	SKIP_WITHOUT_SWAP();
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	for (n = 0; n < 10; n++) {
		r = vt_inval_run(inval, mark_free, 1, VT_INVAL_QUIESCE);
		if (r == -ENOMSG)
			missed++;
		else
			ASSERT_EQ(0, r);
		ASSERT_EQ(0, vt_inval_flow(inval, 300));
		/* in some rounds it is an ioctl that drops the maps */
		ASSERT_EQ(0, vt_inval_quiesce(inval));
		if (n % 2)
			ASSERT_EQ(0, vt_inval_move(inval, inval->dev));
		ASSERT_EQ(0, page_out(inval));
		vt_inval_resume(inval);
		ASSERT_EQ(0, vt_inval_flow(inval, 100));
	}
	EXPECT_LE(missed, 3);
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/*
 * Written by the device after it was swapped in, clean: without a dirty mark
 * the old content would come back from swap.
 */
TEST_F_TIMEOUT(reclaim, used_swapped_twice, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int n, i;

	SKIP_WITHOUT_SWAP();
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_MEMFD });
	for (n = 0; n < 10; n++) {
		ASSERT_EQ(0, vt_inval_quiesce(inval));
		ASSERT_EQ(0, page_out(inval));
		for (i = 0; i < 2; i++)
			*(volatile char *)(inval->dev + inval->part[i][VT_INVAL_USED].off);
		vt_inval_resume(inval);
		ASSERT_EQ(0, vt_inval_flow(inval, 300));
		ASSERT_EQ(0, vt_inval_quiesce(inval));
		if (n % 2)
			ASSERT_EQ(0, vt_inval_move(inval, inval->dev));
		ASSERT_EQ(0, page_out(inval));
		vt_inval_resume(inval);
		ASSERT_EQ(0, vt_inval_flow(inval, 100));
	}
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static int clear_soft_dirty(struct vt_inval *inval)
{
	(void)inval;
	return vt_write_file("/proc/self/clear_refs", "4\n");
}

/* Clears the bit, lets traffic pass: the device's writes must set it again. */
TEST_F_TIMEOUT(reclaim, soft_dirty, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	if (clear_soft_dirty(inval))
		SKIP(return, "the kernel has no soft-dirty bits");
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, vt_inval_run(inval, clear_soft_dirty, 20, 0));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(vt_pagemap(inval->dev +
				       inval->part[i][VT_INVAL_USED].off) &
			    VT_F(VT_PM_SOFT_DIRTY));

	/* nobody writes the page while the device rests: the bit stays clear */
	ASSERT_EQ(0, vt_inval_quiesce(inval));
	ASSERT_EQ(0, clear_soft_dirty(inval));
	for (i = 0; i < 2; i++)
		EXPECT_FALSE(vt_pagemap(inval->dev +
					inval->part[i][VT_INVAL_USED].off) &
			     VT_F(VT_PM_SOFT_DIRTY));
	vt_inval_resume(inval);
	ASSERT_EQ(0, vt_inval_flow(inval, 50));
	for (i = 0; i < 2; i++)
		EXPECT_TRUE(vt_pagemap(inval->dev +
				       inval->part[i][VT_INVAL_USED].off) &
			    VT_F(VT_PM_SOFT_DIRTY));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
