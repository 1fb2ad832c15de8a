// SPDX-License-Identifier: GPL-2.0
/*
 * Writes of the device into packets count like those of its owner: protected,
 * tracked, read-only and reclaimed pages.
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <linux/userfaultfd.h>
#include "change.h"
#include "mmu_dev.h"
#include "payload.h"
#include "uffd.h"

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	(1 << 12)
#endif

/* ---------------------------------------------------- faults of the owner's */

FIXTURE(uffd)
{
	struct vt_payload p;
};

FIXTURE_SETUP(uffd)
{
	memset(&self->p, 0, sizeof(self->p));
	self->p.inval.rig.dev.fd = self->p.inval.rig.tap.fd = -1;
	self->p.inval.rig.tap.sock = self->p.inval.fd = -1;
}

static struct vt_uffd watcher;
static bool watching;

FIXTURE_TEARDOWN(uffd)
{
	/* the handler lives until no thread can fault any more */
	vt_payload_close(&self->p);
	if (watching)
		vt_uffd_close(&watcher);
}

static const char *begin(struct vt_payload *p, struct vt_payload_cfg cfg,
			 uint64_t features, uint64_t mode, int *err)
{
	const char *why = vt_payload_open(p, &cfg, err);

	if (why || *err)
		return why;
	*err = vt_payload_start(p);
	if (*err)
		return NULL;
	why = vt_uffd_open(&watcher, &p->a, features, mode);
	watching = !why;
	if (!why)
		*err = vt_uffd_serve(&watcher);
	return why;
}

static int write_protect(struct vt_payload *p)
{
	(void)p;
	return vt_uffd_protect(&watcher);
}

#define WP	(UFFD_FEATURE_PAGEFAULT_FLAG_WP)

TEST_F_TIMEOUT(uffd, write_protect_anon, 300)
{
	struct vt_payload *p = &self->p;
	const char *why;
	int err;

	why = begin(p, (struct vt_payload_cfg){ .backing = VT_AREA_ANON }, WP,
		    UFFDIO_REGISTER_MODE_WP, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, vt_payload_change(p, write_protect, vt_scale(8), 0));
	EXPECT_GT(watcher.writes, 0);
	EXPECT_EQ(0, vt_payload_stop(p));
}

/* The driver's mapping is another: every event is the device's. */
TEST_F_TIMEOUT(uffd, write_protect_shmem, 300)
{
	struct vt_payload *p = &self->p;
	unsigned int i, n = vt_scale(8);
	const char *why;
	int err;

	why = begin(p,
		    (struct vt_payload_cfg){ .backing = VT_AREA_MEMFD,
					     .alias = true },
		    WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
		    UFFDIO_REGISTER_MODE_WP, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	for (i = 0; i < n; i++) {
		uint64_t faults = watcher.faults;

		ASSERT_EQ(0, vt_payload_hot(p));
		/* at rest no event comes until the device writes */
		ASSERT_EQ(0, vt_inval_quiesce(&p->inval));
		ASSERT_EQ(0, write_protect(p));
		vt_sleep_ms(5);
		EXPECT_EQ(faults, watcher.faults);
		vt_inval_resume(&p->inval);
		ASSERT_EQ(0, vt_inval_flow(&p->inval, 300));
		/* the device writes only the pages it receives into */
		EXPECT_GE(watcher.faults, faults + 50);
		EXPECT_EQ(watcher.writes, watcher.faults);
	}
	EXPECT_EQ(0, vt_payload_hot(p));
	EXPECT_EQ(0, vt_payload_change(p, write_protect, n, VT_INVAL_ONE_RING));
	EXPECT_EQ(0, vt_payload_stop(p));
}

static int discard(struct vt_payload *p)
{
	return madvise(p->a.base, p->a.len, MADV_DONTNEED) ? -errno : 0;
}

TEST_F_TIMEOUT(uffd, missing, 300)
{
	struct vt_payload *p = &self->p;
	const char *why;
	int err;

	why = begin(p, (struct vt_payload_cfg){ .backing = VT_AREA_ANON }, 0,
		    UFFDIO_REGISTER_MODE_MISSING, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0,
		  vt_payload_change(p, discard, vt_scale(8), VT_INVAL_QUIESCE));
	EXPECT_GT(watcher.faults, 0);
	EXPECT_EQ(0, vt_payload_stop(p));
}

/* The page is there, only its mapping is not: at any moment. */
TEST_F_TIMEOUT(uffd, minor, 300)
{
	struct vt_payload *p = &self->p;
	const char *why;
	int err;

	why = begin(p,
		    (struct vt_payload_cfg){ .backing = VT_AREA_MEMFD,
					     .alias = true },
		    UFFD_FEATURE_MINOR_SHMEM, UFFDIO_REGISTER_MODE_MINOR, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, vt_payload_change(p, discard, vt_scale(8), 0));
	EXPECT_GT(watcher.faults, 0);
	EXPECT_EQ(0, vt_payload_stop(p));
}

/* ---------------------------------------------------------- a packet a time */

#define PAGES	64
#define RX_LEN	1500

FIXTURE(one)
{
	struct vt_rig rig;
	struct vt_area a;
	int mmu;
};

FIXTURE_VARIANT(one)
{
	enum vt_area_backing backing;
};

FIXTURE_VARIANT_ADD(one, anon) { VT_AREA_ANON };
FIXTURE_VARIANT_ADD(one, thp) { VT_AREA_THP };
FIXTURE_VARIANT_ADD(one, memfd) { VT_AREA_MEMFD };
FIXTURE_VARIANT_ADD(one, private) { VT_AREA_PRIVATE };

FIXTURE_SETUP(one)
{
	struct vt_rig_cfg cfg = { .ring_backing = VT_MEMFD };
	const char *why;

	memset(&self->rig, 0, sizeof(self->rig));
	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	self->mmu = -1;
	why = vt_area_alloc(&self->a, variant->backing,
			    variant->backing == VT_AREA_THP ? VT_HUGE_SIZE :
							      1UL << 20);
	if (why)
		SKIP(return, "%s", why);
	cfg.mem_at = self->a.base;
	cfg.mem_len = self->a.len;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	if (vt_dev_is_ours())
		ASSERT_TRUE(vt_payload_direct(&self->rig));
}

FIXTURE_TEARDOWN(one)
{
	vt_rig_close(&self->rig);
	vt_area_close(&self->a);
	if (self->mmu >= 0)
		close(self->mmu);
}

static char *rx_page(struct vt_rig *rig, unsigned int i)
{
	return (char *)rig->buf[VT_VQ_RX] + i * VT_PAGE;
}

static char frame[VT_MAX_FRAME], got[VT_MAX_FRAME];

/* Receive into the pages of a mask, one buffer each; 0 if it is right. */
static int rx_pages(struct vt_rig *rig, uint64_t mask)
{
	unsigned int hdr = rig->dev.hdr_len, n = 0, i;
	struct vt_sg sg[PAGES];
	static uint64_t seq;
	size_t len, done;
	int r;

	for (i = 0; i < PAGES; i++)
		if (mask >> i & 1) {
			sg[n] = vt_payload_sg(rig, rx_page(rig, i) + 100,
					      n ? 900 : RX_LEN);
			n++;
		}
	len = RX_LEN + (n - 1) * 900 - hdr;
	vt_frame_fill(frame, len, 21, ++seq);
	r = vt_payload_rx(rig, sg, n, 1, NULL, frame, len);
	if (r < 0)
		return r;
	for (i = 0, done = 0; i < PAGES; i++) {
		size_t size = done ? 900 : RX_LEN - hdr;

		if (!(mask >> i & 1))
			continue;
		if (memcmp(rx_page(rig, i) + 100 + (done ? 0 : hdr),
			   frame + done, size)) {
			vt_msg("track: what was received in page %u is not there",
			       i);
			return -EBADMSG;
		}
		done += size;
	}
	return 0;
}

static int tx_page(struct vt_rig *rig, char *at, bool fill)
{
	struct vt_sg sg = vt_payload_sg(rig, at, RX_LEN);
	unsigned int hdr = rig->dev.hdr_len;
	static uint64_t seq;
	int r;

	if (fill) {
		memset(at, 0, hdr);
		vt_frame_fill(at + hdr, RX_LEN - hdr, 22, ++seq);
	}
	r = vt_payload_tx(rig, &sg, 1, NULL, got);
	if (r < 0)
		return r;
	return (unsigned int)r == RX_LEN - hdr && !memcmp(got, at + hdr, r) ?
	       0 : -EBADMSG;
}

/* Between two and four pages. */
static uint64_t some_pages(unsigned int i)
{
	return 1ULL << i * 7 % PAGES | 1ULL << (i * 11 + 3) % PAGES |
	       1ULL << (i * 29 + 5) % PAGES | 1ULL << i % 5;
}

static uint64_t soft_dirty(struct vt_rig *rig)
{
	uint64_t mask = 0;
	unsigned int i;

	for (i = 0; i < PAGES; i++)
		if (vt_pagemap(rx_page(rig, i)) & VT_F(VT_PM_SOFT_DIRTY))
			mask |= 1ULL << i;
	return mask;
}

static struct vt_rig *counted;
static uint64_t kernel_was;

static void count_from(struct vt_rig *rig, unsigned int vq)
{
	counted = rig;
	kernel_was = vt_payload_count(rig, vq, "payload_kernel");
}

/* Did packets go by kernel address since? */
static bool counted_direct(unsigned int vq)
{
	uint64_t end = vt_now_ns() + vt_timeout_ms(500) * 1000000ULL;

	if (!vt_dev_is_ours())
		return true;
	while (vt_now_ns() < end) {
		if (vt_payload_count(counted, vq, "payload_kernel") >
		    kernel_was)
			return true;
		vt_sleep_ms(1);
	}
	return false;
}

TEST_F_TIMEOUT(one, soft_dirty, 300)
{
	struct vt_rig *rig = &self->rig;
	unsigned int i, n = vt_scale(40);

	if (vt_write_file("/proc/self/clear_refs", "4\n"))
		SKIP(return, "the kernel has no soft-dirty bits");
	ASSERT_EQ(0, tx_page(rig, rig->buf[VT_VQ_TX], true));
	count_from(rig, VT_VQ_RX);
	for (i = 0; i < n; i++) {
		uint64_t mask = some_pages(i), dirty;

		/* in every other round the pages were written before */
		if (i % 2)
			ASSERT_EQ(0, rx_pages(rig, mask));
		ASSERT_EQ(0, vt_write_file("/proc/self/clear_refs", "4\n"));
		/* transmitting only reads the pages */
		ASSERT_EQ(0, tx_page(rig, rig->buf[VT_VQ_TX], false));
		EXPECT_FALSE(vt_pagemap(rig->buf[VT_VQ_TX]) &
			     VT_F(VT_PM_SOFT_DIRTY));
		ASSERT_EQ(0, soft_dirty(rig));
		ASSERT_EQ(0, rx_pages(rig, mask));
		dirty = soft_dirty(rig);
		/* a huge page is dirty as a whole */
		if (variant->backing == VT_AREA_THP)
			dirty &= mask;
		EXPECT_EQ(mask, dirty);
	}
	EXPECT_TRUE(counted_direct(VT_VQ_RX));
}

/* Receive, swap out, read back, receive again, swap out. */
TEST_F_TIMEOUT(one, swap_out, 300)
{
	struct vt_rig *rig = &self->rig;
	const char *why = vt_swap_on();
	unsigned int i, hits = 0;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 12; i++) {
		char *page = rx_page(rig, i);
		struct vt_sg sg = vt_payload_sg(rig, page, RX_LEN);
		unsigned int hdr = rig->dev.hdr_len, round;

		for (round = 0; round < 3; round++) {
			vt_frame_fill(frame, RX_LEN - hdr, 23, i * 10 + round);
			ASSERT_EQ(RX_LEN, vt_payload_rx(rig, &sg, 1, 1, NULL,
							frame, RX_LEN - hdr));
			ASSERT_GE(vt_change_page_out(&self->a), 0);
			hits += !(vt_pagemap(page) & VT_F(VT_PM_PRESENT));
			/* the copy in swap stays valid */
			ASSERT_EQ(0, memcmp(page + hdr, frame, RX_LEN - hdr)) {
				TH_LOG("page %u, round %u", i, round);
			}
		}
	}
	EXPECT_GT(hits, 0);
}

/* A mapping that may not be written: the packet is lost, as with stock. */
TEST_F_TIMEOUT(one, mapped_readonly, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	static const struct virtio_net_hdr none;
	unsigned int i;

	for (i = 0; i < 6; i++) {
		struct vt_sg sg = vt_payload_sg(rig, rx_page(rig, i), RX_LEN);
		unsigned int hdr = rig->dev.hdr_len;
		char *at = rx_page(rig, i);

		/* the device found the page writable before */
		ASSERT_EQ(0, rx_pages(rig, 1ULL << i));
		ASSERT_EQ(0, tx_page(rig, rig->buf[VT_VQ_TX], true));
		memset(at, 0x33, VT_PAGE);
		ASSERT_EQ(0, mprotect(self->a.base, self->a.len, PROT_READ));
		ASSERT_EQ(0, vt_vq_add(vq, &sg, 0, 1, vq));
		vt_vq_kick(vq);
		vt_frame_fill(frame, 1000, 24, i);
		ASSERT_EQ(0, vt_packet_send(rig->tap.sock, &none, frame, 1000));
		vt_sleep_ms(vt_timeout_ms(30));
		EXPECT_FALSE(vt_vq_more_used(vq));
		EXPECT_EQ(0x33, at[hdr]);
		EXPECT_EQ(0x33, at[hdr + 500]);
		/* the device may still read the page */
		EXPECT_EQ(0, tx_page(rig, rig->buf[VT_VQ_TX], false));
		ASSERT_EQ(0, mprotect(self->a.base, self->a.len,
				      PROT_READ | PROT_WRITE));
		/* the buffer stays available for the next packet */
		vt_frame_fill(frame, 1000, 25, i);
		ASSERT_EQ(0, vt_packet_send(rig->tap.sock, &none, frame, 1000));
		while (!vt_vq_get(vq, NULL))
			ASSERT_EQ(0, vt_vq_wait(vq, VT_TIMEOUT));
		EXPECT_EQ(0, memcmp(at + hdr, frame, 1000));
	}
}

/* ------------------------------------------------------------- attached MMU */

static int attach(struct vt_rig *rig, int *mmu)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_stop(&rig->vq[i]);
	*mmu = vt_mmu_open();
	if (r || *mmu < 0)
		return r ? r : *mmu;
	r = vt_mmu_slot(*mmu, 0, 0, rig->dev.regions[0].guest_phys_addr,
			rig->mem.base, rig->mem.len);
	if (!r)
		r = vt_mmu_dev_attach(rig->dev.fd, *mmu);
	for (i = 0; i < 2 && !r; i++)
		r = vt_rig_restart(rig, i, 0);
	return r;
}

/* A memslot that is made read-only and writable again under the device. */
TEST_F_TIMEOUT(one, slot_readonly, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	uint64_t gpa = rig->dev.regions[0].guest_phys_addr;
	static const struct virtio_net_hdr none;
	unsigned int i, hdr = rig->dev.hdr_len;

	if (!vt_mmu_dev_available() || !vt_mmu_available())
		SKIP(return, VT_MMU_DEV_NONE);
	ASSERT_EQ(0, attach(rig, &self->mmu));
	for (i = 0; i < 6; i++) {
		struct vt_sg sg = vt_payload_sg(rig, rx_page(rig, i), RX_LEN);
		char *at = rx_page(rig, i);

		count_from(rig, VT_VQ_RX);
		ASSERT_EQ(0, rx_pages(rig, 1ULL << i));
		ASSERT_EQ(0, rx_pages(rig, some_pages(i)));
		ASSERT_TRUE(counted_direct(VT_VQ_RX));
		memset(at, 0x33, VT_PAGE);
		ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, 0));
		ASSERT_EQ(0, vt_mmu_slot(self->mmu, 0, VMMU_MEM_READONLY, gpa,
					 rig->mem.base, rig->mem.len));
		/* transmit, which puts the page into the MMU and the TLB */
		count_from(rig, VT_VQ_TX);
		ASSERT_EQ(0, tx_page(rig, at, true));
		ASSERT_EQ(0, tx_page(rig, at, true));
		EXPECT_TRUE(counted_direct(VT_VQ_TX));
		memset(at, 0x33, VT_PAGE);
		vt_event_read(vq->err);
		ASSERT_EQ(0, vt_vq_add(vq, &sg, 0, 1, vq));
		vt_vq_kick(vq);
		vt_frame_fill(frame, 1000, 26, i);
		ASSERT_EQ(0, vt_packet_send(rig->tap.sock, &none, frame, 1000));
		EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
		EXPECT_FALSE(vt_vq_more_used(vq));
		EXPECT_EQ(0x33, at[0]);
		EXPECT_EQ(0x33, at[500]);
		ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, 0));
		ASSERT_EQ(0, vt_mmu_slot(self->mmu, 0, 0, gpa, rig->mem.base,
					 rig->mem.len));
		/* the waiting packet arrives in the same buffer */
		vt_vq_notify(vq);
		while (!vt_vq_get(vq, NULL))
			ASSERT_EQ(0, vt_vq_wait(vq, VT_TIMEOUT));
		EXPECT_EQ(0, memcmp(at + hdr, frame, 1000));
	}
}

TEST_HARNESS_MAIN
