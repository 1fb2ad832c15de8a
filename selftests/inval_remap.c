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
	struct vt_inval inval;
};

FIXTURE_VARIANT(remap)
{
	struct vt_inval_cfg cfg;
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
	ASSERT_EQ(0, vt_inval_open(&self->inval, &variant->cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(remap)
{
	vt_inval_close(&self->inval);
}

/* Map a copy of the rings where the device looks for them. */
static int map_copy(struct vt_inval *inval, char *at, unsigned int copy)
{
	void *p = mmap(at, inval->len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, inval->fd, copy * inval->len);

	return p == MAP_FAILED ? -errno : 0;
}

static int map_again(struct vt_inval *inval)
{
	struct vt_mem *m = &inval->rig.mem;
	int r = map_copy(inval, inval->dev, inval->copy);

	/* the packets' memory as well, which the driver is using */
	if (!r && mmap(m->map, m->map_len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, m->fd, 0) == MAP_FAILED)
		r = -errno;
	return r;
}

/* A new mapping of the same pages on top: the fault waits until it is there. */
TEST_F_TIMEOUT(remap, map_over, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, map_again, 20, 0));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

static int unmap_and_map(struct vt_inval *inval)
{
	if (munmap(inval->dev, inval->len))
		return -errno;
	vt_sleep_ms(2);
	return map_copy(inval, inval->dev, inval->copy);
}

TEST_F_TIMEOUT(remap, unmap_then_map, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, unmap_and_map, 10,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

/* What a copy of the rings was when it went out of use. */
static char *retired;

static int replace_pages(struct vt_inval *inval)
{
	char *old = inval->copies + inval->copy * inval->len;
	char *new = inval->copies + !inval->copy * inval->len;
	long at;

	/* what went out of use a round ago must still be as it was */
	if (retired) {
		at = vt_differ(new, retired, inval->len);
		if (at >= 0) {
			vt_msg("remap: byte %#lx of the pages not mapped was written",
			       at);
			return -EBADMSG;
		}
	} else {
		retired = malloc(inval->len);
	}
	memcpy(new, old, inval->len);
	memcpy(retired, old, inval->len);
	inval->copy = !inval->copy;
	vt_inval_drive(inval, new);
	return map_copy(inval, inval->dev, inval->copy);
}

/* Other pages with the same content; the old ones must never be touched. */
TEST_F_TIMEOUT(remap, other_pages, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, replace_pages, 20,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	EXPECT_EQ(-1, vt_differ(self->inval.copies +
					!self->inval.copy * self->inval.len,
				retired, self->inval.len));
}

static int away_and_back(struct vt_inval *inval)
{
	char *away = mremap(inval->dev, inval->len, inval->len,
			    MREMAP_MAYMOVE | MREMAP_FIXED,
			    mmap(NULL, inval->len, PROT_NONE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	if (away == MAP_FAILED)
		return -errno;
	vt_sleep_ms(2);
	if (mremap(away, inval->len, inval->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		   inval->dev) == MAP_FAILED)
		return -errno;
	return 0;
}

TEST_F_TIMEOUT(remap, move_away_and_back, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, away_and_back, 10,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

static int move_and_tell(struct vt_inval *inval)
{
	char *to = mmap(NULL, inval->len, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	to = mremap(inval->dev, inval->len, inval->len,
		    MREMAP_MAYMOVE | MREMAP_FIXED, to);
	return to == MAP_FAILED ? -errno : vt_inval_move(inval, to);
}

TEST_F_TIMEOUT(remap, move_then_set_addr, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, move_and_tell, 10,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

static int second_and_tell(struct vt_inval *inval)
{
	char *old = inval->dev;
	/* length 0: a second mapping of the same pages */
	char *to = mremap(old, 0, inval->len, MREMAP_MAYMOVE);
	int r = to == MAP_FAILED ? -errno : vt_inval_move(inval, to);

	/* from here on the device must not access the old address */
	if (!r && munmap(old, inval->len))
		r = -errno;
	return r;
}

/* The same at any moment; here it is the ioctl that drops the maps. */
TEST_F_TIMEOUT(remap, set_addr_then_unmap, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t dropped = vt_inval_sum(inval, "maps_dropped");
	unsigned int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, vt_inval_hot(inval));
		ASSERT_EQ(0, second_and_tell(inval));
		ASSERT_EQ(0, vt_inval_flow(inval, 100));
	}
	EXPECT_EQ(0, vt_inval_hot(inval));
	if (inval->counters)
		EXPECT_GT(vt_inval_sum(inval, "maps_dropped"), dropped);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static int protect(struct vt_inval *inval, enum vt_inval_part part, int prot)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		size_t from = inval->part[i][part].off & ~(VT_PAGE - 1);
		size_t to =
			inval->part[i][part].off + inval->part[i][part].size;

		if (mprotect(inval->dev + from, to - from, prot))
			return -errno;
	}
	return 0;
}

static int read_only_and_back(struct vt_inval *inval)
{
	int r = protect(inval, VT_INVAL_DESC, PROT_READ);

	if (!r)
		r = protect(inval, VT_INVAL_AVAIL, PROT_READ);
	vt_sleep_ms(1);
	if (!r)
		r = protect(inval, VT_INVAL_DESC, PROT_READ | PROT_WRITE);
	return r ? r : protect(inval, VT_INVAL_AVAIL, PROT_READ | PROT_WRITE);
}

/* What the device only reads, it may read while it is read-only. */
TEST_F_TIMEOUT(remap, protect_what_is_read, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, read_only_and_back, 20, 0));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

static int no_access_and_back(struct vt_inval *inval)
{
	if (mprotect(inval->dev, inval->len, PROT_NONE))
		return -errno;
	vt_sleep_ms(1);
	return mprotect(inval->dev, inval->len, PROT_READ | PROT_WRITE) ?
		       -errno :
		       0;
}

TEST_F_TIMEOUT(remap, protect_all, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, no_access_and_back, 10,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
}

/* One frame through the transmit ring, whose traffic has been stopped. */
static int send_one(struct vt_inval *inval, uint64_t seq)
{
	struct vt_vq *vq = &inval->rig.vq[VT_VQ_TX];
	char *p = inval->rig.buf[VT_VQ_TX];
	struct vt_sg sg = {
		vt_dev_gpa(&inval->rig.dev, p), inval->rig.dev.hdr_len + 100,
	};
	int r;

	memset(p, 0, inval->rig.dev.hdr_len);
	vt_frame_fill(p + inval->rig.dev.hdr_len, 100, 77, seq);
	r = vt_vq_add(vq, &sg, 1, 0, p);
	vt_vq_publish(vq);
	vt_vq_notify(vq);
	return r;
}

static int receive_one(struct vt_inval *inval, uint64_t seq)
{
	struct virtio_net_hdr hdr;
	char frame[2048], why[128];
	uint64_t got;
	int n = vt_packet_recv(inval->rig.tap.sock, &hdr, frame, sizeof(frame),
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
	struct vt_inval *inval = &self->inval;
	struct vt_vq *vq = &inval->rig.vq[VT_VQ_TX];
	size_t off = inval->part[VT_VQ_TX][VT_INVAL_USED].off;
	size_t size = inval->part[VT_VQ_TX][VT_INVAL_USED].size;
	char *before = malloc(size);

	ASSERT_EQ(0, vt_inval_hot(inval));
	ASSERT_EQ(0, vt_inval_stop(inval));
	vt_inval_flush(inval);
	vt_event_read(vq->err);
	memcpy(before, inval->drv + off, size);
	ASSERT_EQ(0, protect(inval, VT_INVAL_USED, PROT_READ));

	ASSERT_EQ(0, send_one(inval, 1));
	EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	EXPECT_EQ(0, receive_one(inval, 1));
	vt_inval_flush(inval);
	EXPECT_EQ(-1, vt_differ(before, inval->drv + off, size));

	/* that buffer is lost to the driver, as with any vhost: begin again */
	ASSERT_EQ(0, protect(inval, VT_INVAL_USED, PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, vt_inval_restart(inval));
	ASSERT_EQ(0, vt_inval_start(inval));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
	free(before);
}

/* The driver gets an error for an unmapped ring; mapped again, it works. */
TEST_F_TIMEOUT(remap, unmapped, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vt_vq *vq = &inval->rig.vq[VT_VQ_TX];
	uint64_t fault = vt_inval_count(inval, VT_VQ_TX, "fallback_fault");

	ASSERT_EQ(0, vt_inval_hot(inval));
	ASSERT_EQ(0, vt_inval_stop(inval));
	vt_inval_flush(inval);
	vt_event_read(vq->err);
	ASSERT_EQ(0, munmap(inval->dev, inval->len));

	ASSERT_EQ(0, send_one(inval, 2));
	EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	vt_inval_flush(inval);
	if (inval->counters)
		EXPECT_GT(vt_inval_count(inval, VT_VQ_TX, "fallback_fault"),
			  fault);

	ASSERT_EQ(0, map_copy(inval, inval->dev, inval->copy));
	vt_vq_notify(vq);
	EXPECT_EQ(0, receive_one(inval, 2));
	EXPECT_EQ(0, vt_vq_wait(vq, VT_TIMEOUT));
	EXPECT_EQ(inval->rig.buf[VT_VQ_TX], vt_vq_get(vq, NULL));

	ASSERT_EQ(0, vt_inval_restart(inval));
	ASSERT_EQ(0, vt_inval_start(inval));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

FIXTURE(remap_anon)
{
	struct vt_inval inval;
};

FIXTURE_SETUP(remap_anon)
{
	struct vt_inval_cfg cfg = { .features = VT_F(VIRTIO_RING_F_EVENT_IDX) };

	ASSERT_EQ(0, vt_inval_open(&self->inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(remap_anon)
{
	vt_inval_close(&self->inval);
}

static struct vt_held_pages held;
static bool holding;

static int move_copy_over(struct vt_inval *inval)
{
	char *copy = mmap(NULL, inval->len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r = holding ? vt_check_held_pages(&held) : 0;

	if (!r)
		r = vt_hold_pages(&held, inval->dev, inval->len);
	holding = true;
	if (r)
		return r;
	memcpy(copy, inval->dev, inval->len);
	if (mremap(copy, inval->len, inval->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		   inval->dev) == MAP_FAILED)
		return -errno;
	return 0;
}

/* Anonymous pages moved over the rings; the old ones are held and compared. */
TEST_F_TIMEOUT(remap_anon, move_over, 300)
{
	EXPECT_EQ(0, vt_inval_run(&self->inval, move_copy_over, 20,
				  VT_INVAL_QUIESCE));
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	EXPECT_EQ(0, vt_check_held_pages(&held));
}

TEST_HARNESS_MAIN
