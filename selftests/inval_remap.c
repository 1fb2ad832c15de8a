// SPDX-License-Identifier: GPL-2.0
/*
 * Replace, move and protect the mapping of the rings under traffic.
 * Timeout: 120 s
 *
 * With an alias the content of the ring stays whole behind every operation, so
 * most run at any moment, in the middle of whatever the device does.
 */
#include <kselftest_harness.h>
#include <sys/mman.h>
#include "inval.h"

FIXTURE(remap)
{
	struct iv iv;
};

FIXTURE_VARIANT(remap)
{
	struct iv_cfg cfg;
};

FIXTURE_VARIANT_ADD(remap, event_idx)
{
	.cfg = {
		.alias = true,
		.mem_backing = VT_MEMFD,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	},
};

FIXTURE_VARIANT_ADD(remap, flags)
{
	.cfg = { .alias = true, .mem_backing = VT_MEMFD },
};

/* Several pages per part, descriptors and used elements that straddle them. */
FIXTURE_VARIANT_ADD(remap, straddle)
{
	.cfg = {
		.alias = true,
		.mem_backing = VT_MEMFD,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX) |
			    VT_F(VIRTIO_RING_F_INDIRECT_DESC),
		.num = 1024,
		.shift = 8,
	},
};

FIXTURE_SETUP(remap)
{
	ASSERT_EQ(0, iv_open(&self->iv, &variant->cfg));
	ASSERT_EQ(0, iv_start(&self->iv));
}

FIXTURE_TEARDOWN(remap)
{
	iv_close(&self->iv);
}

/* Map a copy of the rings where the device looks for them. */
static int map_copy(struct iv *iv, char *at, unsigned int copy)
{
	void *p = mmap(at, iv->len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, iv->fd, copy * iv->len);

	return p == MAP_FAILED ? -errno : 0;
}

static int map_again(struct iv *iv)
{
	struct vt_mem *m = &iv->rig.mem;
	int r = map_copy(iv, iv->dev, iv->copy);

	/* and the packets' memory, which the driver is using as well */
	if (!r && mmap(m->map, m->map_len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, m->fd, 0) == MAP_FAILED)
		r = -errno;
	return r;
}

/* A new mapping of the same pages on top: the fault waits until it is there. */
TEST_F_TIMEOUT(remap, map_over, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, map_again, 20, 0));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

static int unmap_and_map(struct iv *iv)
{
	if (munmap(iv->dev, iv->len))
		return -errno;
	vt_sleep_ms(2);
	return map_copy(iv, iv->dev, iv->copy);
}

TEST_F_TIMEOUT(remap, unmap_then_map, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, unmap_and_map, 10, IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

/* What a copy of the rings was when it went out of use. */
static char *retired;

static int replace_pages(struct iv *iv)
{
	char *old = iv->copies + iv->copy * iv->len;
	char *new = iv->copies + !iv->copy * iv->len;
	long at;

	/* what went out of use a round ago must still be as it was */
	if (retired) {
		at = vt_differ(new, retired, iv->len);
		if (at >= 0) {
			vt_msg("remap: byte %#lx of the pages not mapped was written",
			       at);
			return -EBADMSG;
		}
	} else {
		retired = malloc(iv->len);
	}
	memcpy(new, old, iv->len);
	memcpy(retired, old, iv->len);
	iv->copy = !iv->copy;
	iv_drive(iv, new);
	return map_copy(iv, iv->dev, iv->copy);
}

/* Other pages with the same content; the old ones must never be touched. */
TEST_F_TIMEOUT(remap, other_pages, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, replace_pages, 20, IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
	EXPECT_EQ(-1, vt_differ(self->iv.copies + !self->iv.copy * self->iv.len,
				retired, self->iv.len));
}

static int away_and_back(struct iv *iv)
{
	char *away = mremap(iv->dev, iv->len, iv->len,
			    MREMAP_MAYMOVE | MREMAP_FIXED,
			    mmap(NULL, iv->len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	if (away == MAP_FAILED)
		return -errno;
	vt_sleep_ms(2);
	if (mremap(away, iv->len, iv->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		   iv->dev) == MAP_FAILED)
		return -errno;
	return 0;
}

TEST_F_TIMEOUT(remap, move_away_and_back, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, away_and_back, 10, IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

static int move_and_tell(struct iv *iv)
{
	char *to = mmap(NULL, iv->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	to = mremap(iv->dev, iv->len, iv->len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	return to == MAP_FAILED ? -errno : iv_move(iv, to);
}

TEST_F_TIMEOUT(remap, move_then_set_addr, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, move_and_tell, 10, IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

static int second_and_tell(struct iv *iv)
{
	char *old = iv->dev;
	/* length 0: a second mapping of the same pages */
	char *to = mremap(old, 0, iv->len, MREMAP_MAYMOVE);
	int r = to == MAP_FAILED ? -errno : iv_move(iv, to);

	/* from here on the device has no business there */
	if (!r && munmap(old, iv->len))
		r = -errno;
	return r;
}

/* The same at any moment; here it is the ioctl that drops the maps. */
TEST_F_TIMEOUT(remap, set_addr_then_unmap, 300)
{
	struct iv *iv = &self->iv;
	uint64_t dropped = iv_sum(iv, "maps_dropped");
	unsigned int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, iv_hot(iv));
		ASSERT_EQ(0, second_and_tell(iv));
		ASSERT_EQ(0, iv_flow(iv, 100));
	}
	EXPECT_EQ(0, iv_hot(iv));
	if (iv->counters)
		EXPECT_GT(iv_sum(iv, "maps_dropped"), dropped);
	EXPECT_EQ(0, iv_stop(iv));
}

static int protect(struct iv *iv, enum iv_part part, int prot)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		size_t from = iv->part[i][part].off & ~(VT_PAGE - 1);
		size_t to = iv->part[i][part].off + iv->part[i][part].size;

		if (mprotect(iv->dev + from, to - from, prot))
			return -errno;
	}
	return 0;
}

static int read_only_and_back(struct iv *iv)
{
	int r = protect(iv, IV_DESC, PROT_READ);

	if (!r)
		r = protect(iv, IV_AVAIL, PROT_READ);
	vt_sleep_ms(1);
	if (!r)
		r = protect(iv, IV_DESC, PROT_READ | PROT_WRITE);
	return r ? r : protect(iv, IV_AVAIL, PROT_READ | PROT_WRITE);
}

/* What the device only reads, it may read while it is read-only. */
TEST_F_TIMEOUT(remap, protect_what_is_read, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, read_only_and_back, 20, 0));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

static int no_access_and_back(struct iv *iv)
{
	if (mprotect(iv->dev, iv->len, PROT_NONE))
		return -errno;
	vt_sleep_ms(1);
	return mprotect(iv->dev, iv->len, PROT_READ | PROT_WRITE) ? -errno : 0;
}

TEST_F_TIMEOUT(remap, protect_all, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, no_access_and_back, 10,
				   IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
}

/* One frame through the transmit ring, whose traffic has been stopped. */
static int send_one(struct iv *iv, uint64_t seq)
{
	struct vt_vq *vq = &iv->rig.vq[VT_VQ_TX];
	char *p = iv->rig.buf[VT_VQ_TX];
	struct vt_sg sg = {
		vt_dev_gpa(&iv->rig.dev, p), iv->rig.dev.hdr_len + 100,
	};
	int r;

	memset(p, 0, iv->rig.dev.hdr_len);
	vt_frame_fill(p + iv->rig.dev.hdr_len, 100, 77, seq);
	r = vt_vq_add(vq, &sg, 1, 0, p);
	vt_vq_publish(vq);
	vt_vq_notify(vq);
	return r;
}

static int receive_one(struct iv *iv, uint64_t seq)
{
	struct virtio_net_hdr hdr;
	char frame[2048], why[128];
	uint64_t got;
	int n = vt_packet_recv(iv->rig.tap.sock, &hdr, frame, sizeof(frame),
			       VT_TIMEOUT);

	if (n < 0)
		return n;
	n = vt_frame_check(frame, n, 77, &got, why, sizeof(why));
	return n ? n : got == seq ? 0 : -EBADMSG;
}

/*
 * A used ring that became read-only: the device may read the ring, but not
 * write it, neither through the mapping nor through where it used to be.
 */
TEST_F_TIMEOUT(remap, used_read_only, 300)
{
	struct iv *iv = &self->iv;
	struct vt_vq *vq = &iv->rig.vq[VT_VQ_TX];
	size_t off = iv->part[VT_VQ_TX][IV_USED].off;
	size_t size = iv->part[VT_VQ_TX][IV_USED].size;
	char *before = malloc(size);

	ASSERT_EQ(0, iv_hot(iv));
	ASSERT_EQ(0, iv_stop(iv));
	iv_flush(iv);
	vt_event_read(vq->err);
	memcpy(before, iv->drv + off, size);
	ASSERT_EQ(0, protect(iv, IV_USED, PROT_READ));

	ASSERT_EQ(0, send_one(iv, 1));
	EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	EXPECT_EQ(0, receive_one(iv, 1));
	iv_flush(iv);
	EXPECT_EQ(-1, vt_differ(before, iv->drv + off, size));

	/* that buffer is lost to the driver, as with any vhost: begin again */
	ASSERT_EQ(0, protect(iv, IV_USED, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, iv_restart(iv));
	ASSERT_EQ(0, iv_start(iv));
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
	free(before);
}

/* Nothing mapped: an error for the driver; mapped again: as if nothing was. */
TEST_F_TIMEOUT(remap, unmapped, 300)
{
	struct iv *iv = &self->iv;
	struct vt_vq *vq = &iv->rig.vq[VT_VQ_TX];
	uint64_t fault = iv_count(iv, VT_VQ_TX, "fallback_fault");

	ASSERT_EQ(0, iv_hot(iv));
	ASSERT_EQ(0, iv_stop(iv));
	iv_flush(iv);
	vt_event_read(vq->err);
	ASSERT_EQ(0, munmap(iv->dev, iv->len));

	ASSERT_EQ(0, send_one(iv, 2));
	EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	iv_flush(iv);
	if (iv->counters)
		EXPECT_GT(iv_count(iv, VT_VQ_TX, "fallback_fault"), fault);

	ASSERT_EQ(0, map_copy(iv, iv->dev, iv->copy));
	vt_vq_notify(vq);
	EXPECT_EQ(0, receive_one(iv, 2));
	EXPECT_EQ(0, vt_vq_wait(vq, VT_TIMEOUT));
	EXPECT_EQ(iv->rig.buf[VT_VQ_TX], vt_vq_get(vq, NULL));

	ASSERT_EQ(0, iv_restart(iv));
	ASSERT_EQ(0, iv_start(iv));
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

FIXTURE(remap_anon)
{
	struct iv iv;
};

FIXTURE_SETUP(remap_anon)
{
	struct iv_cfg cfg = { .features = VT_F(VIRTIO_RING_F_EVENT_IDX) };

	ASSERT_EQ(0, iv_open(&self->iv, &cfg));
	ASSERT_EQ(0, iv_start(&self->iv));
}

FIXTURE_TEARDOWN(remap_anon)
{
	iv_close(&self->iv);
}

static struct vt_held_pages held;
static bool holding;

static int move_copy_over(struct iv *iv)
{
	char *copy = mmap(NULL, iv->len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = holding ? vt_check_held_pages(&held) : 0;

	if (!r)
		r = vt_hold_pages(&held, iv->dev, iv->len);
	holding = true;
	if (r)
		return r;
	memcpy(copy, iv->dev, iv->len);
	if (mremap(copy, iv->len, iv->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		   iv->dev) == MAP_FAILED)
		return -errno;
	return 0;
}

/* Anonymous pages moved over the rings; the old ones are held and compared. */
TEST_F_TIMEOUT(remap_anon, move_over, 300)
{
	EXPECT_EQ(0, iv_invalidate(&self->iv, move_copy_over, 20, IV_QUIESCE));
	EXPECT_EQ(0, iv_stop(&self->iv));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

TEST_HARNESS_MAIN
