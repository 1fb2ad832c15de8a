// SPDX-License-Identifier: GPL-2.0
/*
 * Packets in memory that has a kernel address, in memory that has none, and in
 * both: right everywhere, and counted.
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <sys/mman.h>
#include "odd_mem.h"
#include "payload.h"

#define ODD_GPA		0x4000000000ULL
#define ODD_LEN		(32 * VT_PAGE)
#define CANARY		0x5a

static char frame[VT_MAX_FRAME], got[VT_MAX_FRAME + 12];

/* ------------------------------------------------------ pieces and packets */

struct piece {
	char *at;
	unsigned int len;
};

static unsigned int total_of(const struct piece *p, unsigned int n)
{
	unsigned int i, sum = 0;

	for (i = 0; i < n; i++)
		sum += p[i].len;
	return sum;
}

static void to_sg(struct vt_rig *rig, const struct piece *p, unsigned int n,
		  struct vt_sg *sg)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		sg[i] = vt_payload_sg(rig, p[i].at, p[i].len);
}

/* Transmit a packet that fills the pieces; 0 if it arrives as it was. */
static int tx(struct vt_rig *rig, const struct piece *p, unsigned int n)
{
	unsigned int hdr = rig->dev.hdr_len, len = total_of(p, n), i;
	struct vt_sg sg[VT_PAYLOAD_PIECES];
	static uint64_t seq;
	const char *from = got;
	int r;

	memset(got, 0, hdr);
	vt_frame_fill(got + hdr, len - hdr, 11, ++seq);
	memcpy(frame, got + hdr, len - hdr);
	for (i = 0; i < n; i++) {
		memcpy(p[i].at, from, p[i].len);
		from += p[i].len;
	}
	to_sg(rig, p, n, sg);
	memset(got, 0, sizeof(got));
	r = vt_payload_tx(rig, sg, n, NULL, got);
	if (r < 0)
		return r;
	if ((unsigned int)r == len - hdr && !memcmp(got, frame, r))
		return 0;
	vt_msg("mixed: tx of %u bytes: %d bytes arrived, or others",
	       len - hdr, r);
	return -EBADMSG;
}

/*
 * Receive a packet that leaves @spare bytes of the pieces, one chain for each
 * @per of them; 0 if it is what was sent, and nothing behind it was touched.
 */
static int rx(struct vt_rig *rig, const struct piece *p, unsigned int n,
	      unsigned int per, unsigned int spare)
{
	unsigned int hdr = rig->dev.hdr_len, len = total_of(p, n) - spare, i;
	struct virtio_net_hdr_mrg_rxbuf *h = (void *)got;
	struct vt_sg sg[VT_PAYLOAD_PIECES];
	static uint64_t seq;
	char *to = got;
	int r;

	vt_frame_fill(frame, len - hdr, 12, ++seq);
	for (i = 0; i < n; i++)
		memset(p[i].at, CANARY, p[i].len);
	to_sg(rig, p, n, sg);
	r = vt_payload_rx(rig, sg, n, per, NULL, frame, len - hdr);
	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		memcpy(to, p[i].at, p[i].len);
		to += p[i].len;
	}
	if ((unsigned int)r != len || memcmp(got + hdr, frame, len - hdr)) {
		vt_msg("mixed: rx of %u bytes: %d bytes used, or others", len,
		       r);
		return -EBADMSG;
	}
	for (i = 0; i < spare; i++)
		if (got[len + i] != CANARY) {
			vt_msg("mixed: byte %u behind the packet was written",
			       i);
			return -EBADMSG;
		}
	if (h->num_buffers == (n + per - 1) / per)
		return 0;
	vt_msg("mixed: num_buffers is %u", h->num_buffers);
	return -EPROTO;
}

/* ----------------------------------------------------------------- counters */

struct tally {
	uint64_t kernel;
	uint64_t user;
};

static struct tally tally(const struct vt_rig *rig, unsigned int vq)
{
	return (struct tally){
		vt_payload_count(rig, vq, "payload_kernel"),
		vt_payload_count(rig, vq, "payload_user"),
	};
}

/* The worker adds to the counters when its section is over. */
static struct tally since(const struct vt_rig *rig, unsigned int vq,
			  struct tally was, uint64_t n)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	struct tally t;

	do {
		t = tally(rig, vq);
		t.kernel -= was.kernel;
		t.user -= was.user;
		if (t.kernel + t.user >= n || !vt_dev_is_ours())
			break;
		vt_sleep_ms(1);
	} while (vt_patient_ns() < end);
	return t;
}

/* ---------------------------------------------------------------- fallbacks */

static const char *map_anon(size_t len, char **p)
{
	return vt_odd_mem_fd(-1, len, MAP_PRIVATE | MAP_ANONYMOUS, p);
}

FIXTURE(fallback)
{
	struct vt_rig rig;
	char *odd;
	bool ours;
};

FIXTURE_VARIANT(fallback)
{
	vt_odd_mem_map map;
	/* added to the guest address, the host address; taken off the length */
	unsigned int gpa_skew;
	unsigned int hva_skew;
	unsigned int cut;
	/* the device may read it by kernel address */
	bool readable;
};

FIXTURE_VARIANT_ADD(fallback, file)
{
	.map = vt_odd_mem_file,
	.readable = true,
};

FIXTURE_VARIANT_ADD(fallback, secret) { .map = vt_odd_mem_secret };
FIXTURE_VARIANT_ADD(fallback, pfn) { .map = vt_odd_mem_pfn };
FIXTURE_VARIANT_ADD(fallback, kernel_pages)
{
	.map = vt_odd_mem_kernel_pages, .readable = true,
};

FIXTURE_VARIANT_ADD(fallback, byte_odd)
{
	.map = map_anon, .gpa_skew = 1, .hva_skew = 1, .cut = 6,
};

FIXTURE_VARIANT_ADD(fallback, incongruent)
{
	.map = map_anon, .hva_skew = 256, .cut = VT_PAGE,
};

FIXTURE_SETUP(fallback)
{
	struct vt_rig_cfg cfg = { .no_start = true, .mem_len = VT_HUGE_SIZE };
	struct vt_rig *rig = &self->rig;
	const char *why;
	unsigned int i;

	memset(rig, 0, sizeof(*rig));
	rig->dev.fd = rig->tap.fd = rig->tap.sock = -1;
	why = variant->map(ODD_LEN, &self->odd);
	if (why)
		SKIP(return, "%s", why);
	self->odd += variant->hva_skew;
	ASSERT_EQ(0, vt_rig_open(rig, &cfg));
	ASSERT_EQ(0, vt_dev_add_region(&rig->dev, ODD_GPA + variant->gpa_skew,
				       self->odd, ODD_LEN - variant->cut));
	ASSERT_EQ(0, vt_dev_set_mem_table(&rig->dev));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vt_vq_start(&rig->vq[i], rig->tap.fd));
	self->ours = vt_dev_is_ours();
	if (self->ours)
		ASSERT_TRUE(vt_payload_direct(rig));
}

FIXTURE_TEARDOWN(fallback)
{
	vt_rig_close(&self->rig);
}

#define EACH	12

TEST_F_TIMEOUT(fallback, alone_and_mixed, 300)
{
	struct vt_rig *rig = &self->rig;
	char *odd = self->odd;
	unsigned int q, i;

	for (q = 0; q < 2; q++) {
		char *mem = rig->buf[q];
		const struct piece
			plain[] = { { mem + 300, 1500 } },
			fall[] = { { odd + 4000, 1500 } },
			/* header here, packet there */
			split[] = { { mem + 77, 12 }, { odd + 100, 1300 } },
			tilps[] = { { odd + 77, 12 }, { mem + 100, 1300 } },
			/* across pages, with the header in two pieces */
			zebra[] = {
				{ odd + 4090, 5 }, { mem + 4088, 9 },
				{ mem + 8000, 300 }, { odd + 12000, 700 },
				{ mem + 20000, 4097 }, { odd + 16001, 1 },
				{ odd + 30000, 5000 }, { mem + 40001, 33 },
			};
		const struct {
			const struct piece *p;
			unsigned int n;
			unsigned int per;
			/* all of the packet is in odd memory, or a part */
			bool odd;
		} c[] = {
			{ plain, 1, 1, false }, { fall, 1, 1, true },
			{ plain, 1, 1, false }, { split, 2, 2, true },
			{ tilps, 2, 2, true }, { zebra, 8, 8, true },
			{ zebra, 8, 1, true }, { zebra, 8, 3, true },
			{ plain, 1, 1, false },
		};
		uint64_t nomap = vt_payload_count(rig, q, "payload_nomap");
		unsigned int j;

		for (i = 0; i < ARRAY_SIZE(c); i++) {
			struct tally was = tally(rig, q), t;

			for (j = 0; j < EACH; j++) {
				int r = q == VT_VQ_TX ?
						tx(rig, c[i].p, c[i].n) :
						rx(rig, c[i].p, c[i].n,
						   c[i].per, j % 5);

				ASSERT_EQ(0, r) {
					TH_LOG("vq%u, case %u", q, i);
				}
			}
			if (!self->ours)
				continue;
			t = since(rig, q, was, EACH);
			EXPECT_EQ(EACH, t.kernel + t.user);
			/* a packet now and then goes through the socket */
			if (!c[i].odd) {
				EXPECT_GE(t.kernel, EACH - 1) {
					TH_LOG("vq%u, case %u", q, i);
				}
			} else if (q == VT_VQ_RX || !variant->readable) {
				EXPECT_EQ(EACH, t.user) {
					TH_LOG("vq%u, case %u", q, i);
				}
			}
		}
		if (self->ours && (q == VT_VQ_RX || !variant->readable))
			EXPECT_GT(vt_payload_count(rig, q, "payload_nomap"),
				  nomap);
		EXPECT_EQ(0, vt_event_read(rig->vq[q].err));
	}
	/* what the device wrote into the file is in the file */
	if (vt_odd_mem_file_fd() >= 0) {
		ASSERT_EQ(0, msync(odd, ODD_LEN, MS_SYNC));
		ASSERT_EQ(2000, pread(vt_odd_mem_file_fd(), got, 2000, 30000));
		EXPECT_EQ(0, memcmp(got, odd + 30000, 2000));
	}
}

/* ------------------------------------------------ direct, in every position */

struct spot {
	struct vt_rig rig;
	/* guest and host address of this are not congruent: user access */
	char *odd;
};

static int open_spot(struct spot *s, uint64_t features, enum vt_backing backing)
{
	struct vt_rig_cfg cfg = {
		.no_start = true,
		.features = features,
		.backing = backing,
		.mem_len = VT_HUGE_SIZE,
	};
	struct vt_rig *rig = &s->rig;
	unsigned int i;
	int r = vt_rig_open(rig, &cfg);

	if (r || map_anon(ODD_LEN, &s->odd))
		return r ? r : -ENOMEM;
	vt_dev_add_region(&rig->dev, ODD_GPA, s->odd + 64, ODD_LEN - VT_PAGE);
	r = vt_dev_set_mem_table(&rig->dev);
	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_start(&rig->vq[i], rig->tap.fd);
	if (!r && vt_dev_is_ours() && !vt_payload_direct(rig))
		r = -EINVAL;
	return r;
}

FIXTURE(position)
{
	struct spot spot;
};

FIXTURE_VARIANT(position)
{
	uint64_t features;
	enum vt_backing backing;
};

FIXTURE_VARIANT_ADD(position, anon) { .backing = VT_SCATTER };
FIXTURE_VARIANT_ADD(position, thp) { .backing = VT_THP };
FIXTURE_VARIANT_ADD(position, indirect)
{
	.features = VT_F(VIRTIO_RING_F_INDIRECT_DESC), .backing = VT_SCATTER,
};

FIXTURE_SETUP(position)
{
	ASSERT_EQ(0,
		  open_spot(&self->spot, variant->features, variant->backing));
}

FIXTURE_TEARDOWN(position)
{
	vt_rig_close(&self->spot.rig);
}

static char *page_of(char *p)
{
	return (char *)(((uintptr_t)p + VT_PAGE - 1) & ~(VT_PAGE - 1));
}

/*
 * Did @n packets go by kernel address, but for @not of them and the few that go
 * through the socket to look after the tap?
 */
static bool went_direct(struct vt_rig *rig, unsigned int q, struct tally was,
			unsigned int n, unsigned int not)
{
	struct tally t = since(rig, q, was, n);

	if (!vt_dev_is_ours() ||
	    (t.kernel + t.user == n && t.user <= not + 2 + n / 50))
		return true;
	vt_msg("mixed: vq%u: of %u packets %u by kernel address, %u by user access",
	       q, n, (unsigned int)t.kernel, (unsigned int)t.user);
	return false;
}

TEST_F_TIMEOUT(position, page_ends, 300)
{
	struct vt_rig *rig = &self->spot.rig;
	unsigned int q, i, n = vt_scale(160), packets;

	for (q = 0; q < 2; q++) {
		char *page = page_of(rig->buf[q]) + 3 * VT_PAGE;
		struct tally was = tally(rig, q);

		packets = 0;
		for (i = 0; i < n; i++) {
			/* first the header, then the frame crosses pages */
			char *at = page - i % 80;
			const struct piece whole[] = { { at, 200 + i } };
			const struct piece cut[] = {
				{ at, 12 + i % 3 }, { page + 8192 - i, i + 1 },
				{ page + 20480 - i, i % 4 ? 1000 + i : 4097 },
			};

			ASSERT_EQ(0, q ? tx(rig, whole, 1) :
				  rx(rig, whole, 1, 1, i % 7)) {
				TH_LOG("vq%u: %u bytes before the end", q,
				       i % 80);
			}
			ASSERT_EQ(0,
				  q ? tx(rig, cut, 3) : rx(rig, cut, 3, 3, 2))
			{
				TH_LOG("vq%u: cut %u", q, i);
			}
			packets += 2;
			if (q)
				continue;
			/* several buffers, some of which end with a page */
			ASSERT_EQ(0, rx(rig, cut, 3, 1, 0)) {
				TH_LOG("merged, %u", i);
			}
			ASSERT_EQ(0, rx(rig, cut, 3, 2, i % 4)) {
				TH_LOG("merged by twos, %u", i);
			}
			packets += 2;
		}
		EXPECT_TRUE(went_direct(rig, q, was, packets, 0));
		EXPECT_EQ(0, vt_event_read(rig->vq[q].err));
	}
}

TEST_F_TIMEOUT(position, large, 300)
{
	struct vt_rig *rig = &self->spot.rig;
	unsigned int q, i, n = vt_scale(24);

	for (q = 0; q < 2; q++) {
		char *page = page_of(rig->buf[q]) + VT_PAGE;
		struct tally was = tally(rig, q);

		for (i = 0; i < n; i++) {
			struct piece p[64];
			const struct piece whole = { page + i * 97, 65000 };
			unsigned int k;

			for (k = 0; k < 60; k++)
				p[k] = (struct piece){ page + k * 3001 + i,
						       1024 };
			ASSERT_EQ(0, q ? tx(rig, &whole, 1) :
				  rx(rig, &whole, 1, 1, i));
			ASSERT_EQ(0, q ? tx(rig, p, 60) : rx(rig, p, 60, 1, i));
		}
		/* indirect tables for so many buffers take several sections */
		EXPECT_TRUE(went_direct(rig, q, was, 2 * n,
					variant->features ? n : 0));
		EXPECT_EQ(0, vt_event_read(rig->vq[q].err));
	}
}

FIXTURE(table)
{
	struct spot spot;
};

FIXTURE_SETUP(table)
{
	ASSERT_EQ(0, open_spot(&self->spot, VT_F(VIRTIO_RING_F_INDIRECT_DESC),
			       VT_SCATTER));
}

FIXTURE_TEARDOWN(table)
{
	vt_rig_close(&self->spot.rig);
}

/* Indirect tables at every offset in a page, and in odd memory. */
TEST_F_TIMEOUT(table, offsets, 300)
{
	struct vt_rig *rig = &self->spot.rig;
	unsigned int q, i, n = vt_scale(64);

	for (q = 0; q < 2; q++) {
		char *page = page_of(rig->buf[q]) + 4 * VT_PAGE;
		struct piece p[8];
		struct tally was = tally(rig, q);

		for (i = 0; i < 8; i++)
			p[i] = (struct piece){ page + 8192 + i * 1500, 40 + i };
		for (i = 0; i < n; i++) {
			/* one chain at a time: its head is always the same */
			vt_vq_set_indirect(&rig->vq[q], (void *)(page - 2 * i),
					   8);
			ASSERT_EQ(0, q ? tx(rig, p, 8) : rx(rig, p, 8, 8, 1)) {
				TH_LOG("vq%u: table %u before the end", q,
				       2 * i);
			}
		}
		EXPECT_TRUE(went_direct(rig, q, was, n, 0));
		for (i = 0; i < 20; i++) {
			char *at = self->spot.odd + 64 + 4096 - 8 * i;

			vt_vq_set_indirect(&rig->vq[q], (void *)at, 8);
			ASSERT_EQ(0, q ? tx(rig, p, 8) : rx(rig, p, 8, 8, 1)) {
				TH_LOG("vq%u: table in odd memory, %u", q, i);
			}
		}
		EXPECT_EQ(0, vt_event_read(rig->vq[q].err));
	}
}

/* ------------------------------------------------------------- switched off */

FIXTURE(off)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(off)
{
	const char *param;
};

FIXTURE_VARIANT_ADD(off, payload) { .param = VT_MMU_PARAMS "payload_access" };
FIXTURE_VARIANT_ADD(off, metadata) { .param = VT_MMU_PARAMS "metadata_access" };

FIXTURE_SETUP(off)
{
	memset(&self->rig, 0, sizeof(self->rig));
	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	if (!vt_dev_is_ours())
		SKIP(return, "stock vhost has no such parameter");
	ASSERT_EQ(0, vt_rig_open(&self->rig, NULL));
}

FIXTURE_TEARDOWN(off)
{
	vt_write_file(variant->param, "kernel");
	vt_rig_close(&self->rig);
}

static bool all_say(struct vt_rig *rig, const char *word)
{
	char is[16] = "";
	unsigned int q;

	for (q = 0; q < 2; q++)
		if (vt_stats_read_str(&rig->dev, q, "payload", is,
				      sizeof(is)) ||
		    strcmp(is, word))
			return false;
	return true;
}

TEST_F_TIMEOUT(off, parameter, 300)
{
	struct vt_rig *rig = &self->rig;
	struct tally was[2];
	uint64_t off[2];
	unsigned int q;

	EXPECT_TRUE(all_say(rig, "kernel"));
	ASSERT_EQ(0, vt_write_file(variant->param, "user"));
	/* the device reads the parameter when a ring starts */
	EXPECT_TRUE(all_say(rig, "kernel"));
	for (q = 0; q < 2; q++)
		ASSERT_EQ(0, vt_rig_restart(rig, q, 0));
	EXPECT_TRUE(all_say(rig, "user"));
	for (q = 0; q < 2; q++) {
		was[q] = tally(rig, q);
		off[q] = vt_payload_count(rig, q, "payload_off");
	}
	EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
	for (q = 0; q < 2; q++) {
		struct tally t = since(rig, q, was[q], 200);

		EXPECT_EQ(0, t.kernel);
		EXPECT_GE(t.user, 200);
		EXPECT_GT(vt_payload_count(rig, q, "payload_off"), off[q]);
	}

	ASSERT_EQ(0, vt_write_file(variant->param, "kernel"));
	for (q = 0; q < 2; q++) {
		ASSERT_EQ(0, vt_rig_restart(rig, q, 0));
		was[q] = tally(rig, q);
	}
	EXPECT_TRUE(all_say(rig, "kernel"));
	EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
	for (q = 0; q < 2; q++)
		EXPECT_GT(since(rig, q, was[q], 200).kernel, 150);
}

/* The module refuses a bad value, and keeps the old one. */
TEST_F(off, values)
{
	EXPECT_EQ(-EINVAL, vt_write_file(variant->param, "none"));
	EXPECT_EQ(-EINVAL, vt_write_file(variant->param, "1"));
	ASSERT_EQ(0, vt_rig_restart(&self->rig, VT_VQ_TX, 0));
	EXPECT_TRUE(all_say(&self->rig, "kernel"));
}

TEST_HARNESS_MAIN
