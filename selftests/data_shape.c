// SPDX-License-Identifier: GPL-2.0
/* Buffers of every shape: chains, tiny pieces, GSO, regions, notification. */
/*
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <sys/mman.h>
#include "vhost_test.h"

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	VT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)

#define STREAM	7
#define MAX_SG	64
/* long enough to see what comes though it should not */
#define QUIET	vt_timeout_ms(50)

/* ------------------------------------------------------------- transport */

/* Transmit one buffer; wait until the device has used it. */
static int tx_sg(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	uint32_t len = 1;
	int r = vt_vq_add(vq, sg, n, 0, vq);

	if (r)
		return r;
	vt_vq_kick(vq);
	while (!vt_vq_get(vq, &len)) {
		r = vt_vq_wait(vq, VT_TIMEOUT);
		if (r)
			return r;
	}
	if (len)
		vt_msg("tx: used length %u", len);
	return len ? -EPROTO : 0;
}

static int rx_post(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n,
		   void *cookie)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	int r = vt_vq_add(vq, sg, 0, n, cookie);

	if (!r)
		vt_vq_kick(vq);
	return r;
}

static void *rx_get(struct vt_rig *rig, uint32_t *len)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	void *cookie;

	while (!(cookie = vt_vq_get(vq, len)))
		if (vt_vq_wait(vq, VT_TIMEOUT))
			return NULL;
	return cookie;
}

/* Receive on the host and compare with what the guest sent. */
static int host_expect(struct vt_rig *rig, const void *frame, size_t len,
		       struct virtio_net_hdr *hdr)
{
	static char buf[VT_MAX_FRAME + 1];
	struct virtio_net_hdr dummy;
	int n = vt_packet_recv(rig->tap.sock, hdr ? hdr : &dummy, buf,
			       sizeof(buf), VT_TIMEOUT);

	if (n < 0)
		return n;
	if ((size_t)n != len || memcmp(buf, frame, len)) {
		vt_msg("host: %d bytes for %zu, or not the same bytes", n, len);
		return -EBADMSG;
	}
	return 0;
}

static int host_send(struct vt_rig *rig, const void *frame, size_t len)
{
	struct virtio_net_hdr hdr = {};

	return vt_packet_send(rig->tap.sock, &hdr, frame, len);
}

/* ---------------------------------------------------------------- shapes */

FIXTURE(shape)
{
	struct vt_rig rig;
	/* a frame as it should arrive, in memory that is not the guest's */
	char frame[VT_MAX_FRAME];
};

FIXTURE_VARIANT(shape)
{
	uint64_t features;
	size_t gpa_skew;
};

FIXTURE_VARIANT_ADD(shape, plain) { .features = V1 | MRG };
FIXTURE_VARIANT_ADD(shape, event) { .features = V1 | MRG | EVENT };
FIXTURE_VARIANT_ADD(shape, indirect) { .features = V1 | MRG | IND };
FIXTURE_VARIANT_ADD(shape, indirect_event)
{
	.features = V1 | MRG | IND | EVENT,
};

FIXTURE_VARIANT_ADD(shape, legacy) { .features = 0 };

FIXTURE_VARIANT_ADD(shape, incongruent)
{
	.features = V1 | MRG,
	.gpa_skew = 0x777,
};

FIXTURE_SETUP(shape)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
		.gpa_skew = variant->gpa_skew,
		.backing = VT_SCATTER,
	};
	unsigned int i;

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	/* longer indirect tables than the rig's own */
	for (i = 0; i < 2 && (variant->features & IND); i++) {
		vt_vq_set_indirect(&self->rig.vq[i], self->rig.buf[i], MAX_SG);
		self->rig.buf[i] = (char *)self->rig.buf[i] +
				   vt_desc_size(256) * MAX_SG;
		self->rig.buf_len -= vt_desc_size(256) * MAX_SG;
	}
}

FIXTURE_TEARDOWN(shape)
{
	vt_rig_close(&self->rig);
}

/*
 * Lay @len bytes out over guest memory in pieces of the sizes in @cuts, which
 * is used over and over; the pieces are not neighbours. Returns their number.
 */
static unsigned int scatter(struct vt_rig *rig, unsigned int vq,
			    const unsigned int *cuts, unsigned int ncuts,
			    size_t len, struct vt_sg *sg, char **ptr)
{
	char *p = rig->buf[vq];
	unsigned int i, n = 0;

	for (i = 0; len && n < MAX_SG; i++) {
		size_t piece = cuts[i % ncuts];

		if (piece > len || n == MAX_SG - 1)
			piece = len;
		ptr[n] = p;
		sg[n].addr = vt_dev_gpa(&rig->dev, p);
		sg[n].len = piece;
		n++;
		len -= piece;
		/* leave a hole, and meet every offset in a page in the end */
		p += piece + 61;
	}
	return n;
}

static void put(const struct vt_sg *sg, char **ptr, unsigned int n,
		const char *from)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(ptr[i], from, sg[i].len);
		from += sg[i].len;
	}
}

static void get(const struct vt_sg *sg, char **ptr, unsigned int n, char *to)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		memcpy(to, ptr[i], sg[i].len);
		to += sg[i].len;
	}
}

/* How a buffer may be cut up. The header may be in any number of pieces. */
static const struct cut {
	const char *name;
	unsigned int n;
	unsigned int sizes[8];
} cuts[] = {
	{ "whole", 1, { 65535 } },
	{ "header of its own", 2, { 12, 65535 } },
	{ "header of its own, legacy", 2, { 10, 65535 } },
	{ "header in pieces", 4, { 1, 4, 5, 65535 } },
	{ "header and a bit", 2, { 27, 65535 } },
	{ "bytes first", 8, { 1, 1, 1, 1, 1, 1, 1, 100 } },
	{ "zero lengths", 8, { 0, 12, 0, 0, 100, 0, 1, 300 } },
	{ "zero length at the end", 4, { 30, 1000, 65535, 0 } },
	{ "odd pieces", 5, { 3, 57, 101, 7, 333 } },
	{ "pages", 1, { 4096 } },
	{ "nearly pages", 2, { 4095, 1 } },
};

static const unsigned int lens[] = { 61, 1514, 4096, 9000 };

TEST_F_TIMEOUT(shape, tx_chains, 600)
{
	unsigned int hdr = self->rig.dev.hdr_len, i, j, n;
	char *ptr[MAX_SG], *flat = calloc(1, VT_MAX_FRAME + 12);
	struct vt_sg sg[MAX_SG];

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			vt_frame_fill(flat + hdr, lens[j], STREAM, i * 100 + j);
			n = scatter(&self->rig, VT_VQ_TX, cuts[i].sizes,
				    cuts[i].n, hdr + lens[j], sg, ptr);
			put(sg, ptr, n, flat);
			ASSERT_EQ(0, tx_sg(&self->rig, sg, n)) {
				TH_LOG("%s, %u bytes", cuts[i].name, lens[j]);
			}
			ASSERT_EQ(0, host_expect(&self->rig, flat + hdr,
						 lens[j], NULL)) {
				TH_LOG("%s, %u bytes", cuts[i].name, lens[j]);
			}
		}
	}
	EXPECT_EQ(0, vt_event_read(self->rig.vq[VT_VQ_TX].err));
	free(flat);
}

TEST_F_TIMEOUT(shape, rx_chains, 600)
{
	unsigned int hdr = self->rig.dev.hdr_len, i, j, n;
	char *ptr[MAX_SG], *flat = calloc(1, VT_MAX_FRAME + 12);
	struct vt_sg sg[MAX_SG];
	uint32_t len;

	for (i = 0; i < ARRAY_SIZE(cuts); i++) {
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			vt_frame_fill(self->frame, lens[j], STREAM,
				      i * 100 + j);
			/* room for more, so the used length says something */
			n = scatter(&self->rig, VT_VQ_RX, cuts[i].sizes,
				    cuts[i].n, hdr + lens[j] + 5, sg, ptr);
			ASSERT_EQ(0, rx_post(&self->rig, sg, n, flat));
			ASSERT_EQ(0,
				  host_send(&self->rig, self->frame, lens[j]));
			ASSERT_EQ((void *)flat, rx_get(&self->rig, &len));
			ASSERT_EQ(hdr + lens[j], len) {
				TH_LOG("%s", cuts[i].name);
			}
			get(sg, ptr, n, flat);
			ASSERT_EQ(0, memcmp(flat + hdr, self->frame, lens[j])) {
				TH_LOG("%s, %u bytes", cuts[i].name, lens[j]);
			}
		}
	}
	EXPECT_EQ(0, vt_event_read(self->rig.vq[VT_VQ_RX].err));
	free(flat);
}

/* Too short and too long to be frames: used, dropped, and no harm done. */
TEST_F_TIMEOUT(shape, tx_odd_lengths, 600)
{
	static const unsigned int odd[] = {
		0, 1, 13, 14, 15, 65521, 65535, 65536, 70000, 200000, 1000000,
	};
	unsigned int hdr = self->rig.dev.hdr_len, i;
	char *p = self->rig.buf[VT_VQ_TX];
	struct vt_sg sg = { .addr = vt_dev_gpa(&self->rig.dev, p) };

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		memset(p, 0, hdr + odd[i]);
		sg.len = hdr + odd[i];
		ASSERT_EQ(0, tx_sg(&self->rig, &sg, 1)) {
			TH_LOG("%u bytes", odd[i]);
		}
		while (vt_packet_recv(self->rig.tap.sock,
				      &(struct virtio_net_hdr){}, self->frame,
				      VT_MAX_FRAME, 0) >= 0)
			;
		vt_frame_fill(p + hdr, 1000, STREAM, i);
		sg.len = hdr + 1000;
		ASSERT_EQ(0, tx_sg(&self->rig, &sg, 1));
		ASSERT_EQ(0, host_expect(&self->rig, p + hdr, 1000, NULL)) {
			TH_LOG("after %u bytes", odd[i]);
		}
	}
	EXPECT_EQ(0, vt_event_read(self->rig.vq[VT_VQ_TX].err));
}

/* A frame of a TCP stream, as large as they get. */
static size_t gso_frame(char *frame, size_t payload)
{
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t len = sizeof(*eth) + sizeof(*ip) + sizeof(*tcp) + payload;
	const uint16_t *p = (void *)ip;
	uint32_t sum = 0;
	unsigned int i;

	memset(frame, 0, len - payload);
	memcpy(eth->h_dest, "\x02\0\0\0\0\1", 6);
	memcpy(eth->h_source, "\x02\0\0\0\0\2", 6);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = 6;
	ip->tot_len = htons(len - sizeof(*eth));
	ip->saddr = htonl(0xc0000201);
	ip->daddr = htonl(0xc0000202);
	for (i = 0; i < 10; i++)
		sum += p[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~(sum + (sum >> 16));
	tcp->doff = 5;
	tcp->ack = 1;
	vt_pattern_fill(tcp + 1, payload, STREAM, payload);
	return len;
}

static struct virtio_net_hdr gso_hdr(void)
{
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = 54,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16,
	};
}

TEST_F_TIMEOUT(shape, tx_gso, 600)
{
	static const unsigned int pages[] = { 54 + 12, 4096 };
	unsigned int hdr_len = self->rig.dev.hdr_len, n;
	char *flat = calloc(1, VT_MAX_FRAME + 12), *ptr[MAX_SG];
	struct virtio_net_hdr hdr = gso_hdr(), got;
	size_t len = gso_frame(flat + hdr_len, 60000);
	struct vt_sg sg[MAX_SG];
	unsigned int i;

	memcpy(flat, &hdr, sizeof(hdr));
	for (i = 0; i < 50; i++) {
		n = scatter(&self->rig, VT_VQ_TX, pages, 2, hdr_len + len, sg,
			    ptr);
		put(sg, ptr, n, flat);
		ASSERT_EQ(0, tx_sg(&self->rig, sg, n));
		ASSERT_EQ(0,
			  host_expect(&self->rig, flat + hdr_len, len, &got));
		EXPECT_EQ(VIRTIO_NET_HDR_GSO_TCPV4, got.gso_type);
		EXPECT_EQ(1448, got.gso_size);
		EXPECT_EQ(34, got.csum_start);
	}
	free(flat);
}

/* One large frame into many small buffers, or into one long chain. */
TEST_F_TIMEOUT(shape, rx_gso, 600)
{
	bool mrg = variant->features & MRG;
	unsigned int hdr_len = self->rig.dev.hdr_len, n, i, want, nbufs = 0;
	static const unsigned int pieces[] = { 1100 };
	struct virtio_net_hdr hdr = gso_hdr(), *got;
	char *flat = calloc(1, VT_MAX_FRAME + 12), *ptr[MAX_SG], *cookie;
	size_t len = gso_frame(self->frame, 60000), total = 0;
	struct vt_sg sg[MAX_SG];
	uint32_t used;

	n = scatter(&self->rig, VT_VQ_RX, pieces, 1, hdr_len + len, sg, ptr);
	if (mrg) {
		for (i = 0; i < n; i++)
			ASSERT_EQ(0, rx_post(&self->rig, &sg[i], 1, ptr[i]));
	} else {
		ASSERT_EQ(0, rx_post(&self->rig, sg, n, ptr[0]));
	}
	ASSERT_EQ(0,
		  vt_packet_send(self->rig.tap.sock, &hdr, self->frame, len));
	want = 1;
	for (i = 0; i < want; i++) {
		cookie = rx_get(&self->rig, &used);
		ASSERT_NE(NULL, cookie);
		if (!mrg) {
			get(sg, ptr, n, flat);
		} else {
			memcpy(flat + total, cookie, used);
			nbufs++;
		}
		total += used;
		if (mrg && !i)
			want = ((struct virtio_net_hdr_mrg_rxbuf *)flat)
				       ->num_buffers;
	}
	EXPECT_EQ(hdr_len + len, total);
	if (mrg) {
		EXPECT_EQ(n, nbufs);
	}
	got = (struct virtio_net_hdr *)flat;
	EXPECT_EQ(VIRTIO_NET_HDR_GSO_TCPV4, got->gso_type);
	EXPECT_EQ(1448, got->gso_size);
	EXPECT_EQ(0, memcmp(flat + hdr_len, self->frame, len));
	free(flat);
}

/* What does not fit is dropped, whole, and what follows is not touched. */
static void rx_dropped(struct __test_metadata *_metadata, struct vt_rig *rig,
		       char *frame)
{
	struct vt_sg sg = { vt_dev_gpa(&rig->dev, rig->buf[0]), 200 };
	unsigned int hdr = rig->dev.hdr_len, i;
	char *p = rig->buf[0];
	uint32_t len;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, rx_post(rig, &sg, 1, p));
		memset(p, 0x5a, 400);
		vt_frame_fill(frame, 1000, STREAM, 2 * i);
		ASSERT_EQ(0, host_send(rig, frame, 1000));
		vt_frame_fill(frame, 190, STREAM, 2 * i + 1);
		ASSERT_EQ(0, host_send(rig, frame, 190));
		ASSERT_EQ((void *)p, rx_get(rig, &len));
		EXPECT_EQ(hdr + 190, len);
		EXPECT_EQ(0, memcmp(p + hdr, frame, 190));
		EXPECT_EQ(0x5a, p[200]);
	}
	EXPECT_FALSE(vt_vq_more_used(&rig->vq[VT_VQ_RX]));
}

/* With mergeable buffers it waits until there are enough of them. */
static void rx_waits(struct __test_metadata *_metadata, struct vt_rig *rig,
		     char *frame)
{
	struct virtio_net_hdr_mrg_rxbuf *hdr;
	struct vt_sg sg[6];
	unsigned int i;
	uint32_t len;

	for (i = 0; i < 6; i++) {
		sg[i].addr = vt_dev_gpa(&rig->dev, rig->buf[0]) + i * 200;
		sg[i].len = 200;
	}
	ASSERT_EQ(0, rx_post(rig, &sg[0], 1, frame));
	vt_frame_fill(frame, 1000, STREAM, 1);
	ASSERT_EQ(0, host_send(rig, frame, 1000));
	for (i = 1; i < 6; i++) {
		usleep(5000);
		EXPECT_FALSE(vt_vq_more_used(&rig->vq[VT_VQ_RX]));
		ASSERT_EQ(0, rx_post(rig, &sg[i], 1, frame));
	}
	for (i = 0; i < 6; i++) {
		ASSERT_EQ((void *)frame, rx_get(rig, &len));
		EXPECT_EQ(i == 5 ? 12u : 200u, len);
	}
	hdr = rig->buf[0];
	EXPECT_EQ(6, hdr->num_buffers);
	EXPECT_EQ(0, memcmp((char *)rig->buf[0] + 12, frame, 1000));
}

TEST_F_TIMEOUT(shape, rx_too_long, 600)
{
	if (variant->features & MRG)
		rx_waits(_metadata, &self->rig, self->frame);
	else
		rx_dropped(_metadata, &self->rig, self->frame);
}

/* Without buffers packets wait, in order, until there are some. */
TEST_F_TIMEOUT(shape, rx_starved, 600)
{
	unsigned int hdr = self->rig.dev.hdr_len, i;
	char why[160], *p = self->rig.buf[0];
	uint64_t seq;
	uint32_t len;

	for (i = 0; i < 100; i++) {
		vt_frame_fill(self->frame, 100 + i, STREAM, i);
		ASSERT_EQ(0, host_send(&self->rig, self->frame, 100 + i));
	}
	EXPECT_FALSE(vt_vq_more_used(&self->rig.vq[VT_VQ_RX]));
	for (i = 0; i < 100; i++) {
		struct vt_sg sg = { vt_dev_gpa(&self->rig.dev, p), 1000 };

		ASSERT_EQ(0, rx_post(&self->rig, &sg, 1, p));
		ASSERT_EQ((void *)p, rx_get(&self->rig, &len));
		ASSERT_EQ(0, vt_frame_check(p + hdr, len - hdr, STREAM, &seq,
					    why, sizeof(why)));
		ASSERT_EQ(i, seq);
	}
}

/* ---------------------------------------------------------- notification */

/* Have @n packets queued, published, not kicked. */
static int queue_tx(struct vt_rig *rig, unsigned int n)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	char *p = rig->buf[VT_VQ_TX];
	unsigned int i;

	for (i = 0; i < n; i++, p += 256) {
		struct vt_sg sg = {
			vt_dev_gpa(&rig->dev, p), rig->dev.hdr_len + 100,
		};

		memset(p, 0, rig->dev.hdr_len);
		vt_frame_fill(p + rig->dev.hdr_len, 100, STREAM, i);
		if (vt_vq_add(vq, &sg, 1, 0, p))
			return -ENOSPC;
	}
	vt_vq_publish(vq);
	return 0;
}

/* Wait, without asking for calls, until @n more buffers are used. */
static int reap(struct vt_vq *vq, unsigned int n)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;

	while (n) {
		if (vt_vq_get(vq, NULL))
			n--;
		else if (vt_patient_ns() > end)
			return -ETIMEDOUT;
		else
			usleep(1000);
	}
	return 0;
}

/* An idle device wants to be kicked, and does nothing before it is. */
TEST_F_TIMEOUT(shape, kick, 600)
{
	struct vt_vq *vq = &self->rig.vq[VT_VQ_TX];
	unsigned int i;

	for (i = 0; i < 5; i++) {
		/*
		 * The start of the ring and each kick make the worker look,
		 * some time: this ioctl waits until it has.
		 */
		ASSERT_EQ(0, vt_dev_set_mem_table(&self->rig.dev));
		EXPECT_EQ(0, *(volatile uint16_t *)&vq->used->flags);
		ASSERT_EQ(0, queue_tx(&self->rig, 3));
		usleep(1000 * QUIET);
		EXPECT_FALSE(vt_vq_more_used(vq)) {
			TH_LOG("round %u: it looked without being kicked", i);
		}
		EXPECT_TRUE(vt_vq_needs_kick(vq));
		vt_vq_notify(vq);
		EXPECT_EQ(0, reap(vq, 3));
	}
}

/* No calls if we want none; then one after the buffer we asked for. */
TEST_F_TIMEOUT(shape, call, 600)
{
	struct vt_vq *vq = &self->rig.vq[VT_VQ_TX];
	uint16_t *used_event = &vq->avail->ring[vq->num];
	unsigned int i;

	/* the first call after a start always comes */
	ASSERT_EQ(0, queue_tx(&self->rig, 1));
	vt_vq_notify(vq);
	ASSERT_EQ(0, reap(vq, 1));
	ASSERT_EQ(0, vt_event_wait(vq->call, VT_TIMEOUT));

	vt_vq_disable_call(vq);
	if (variant->features & EVENT)
		*(volatile uint16_t *)used_event = vq->last_used + 100;
	ASSERT_EQ(0, queue_tx(&self->rig, 40));
	vt_vq_notify(vq);
	ASSERT_EQ(0, reap(vq, 40));
	/* the call would come after the index: give it time */
	EXPECT_EQ(-ETIMEDOUT, vt_event_wait(vq->call, QUIET));

	if (variant->features & EVENT) {
		*(volatile uint16_t *)used_event = vq->last_used + 3;
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, queue_tx(&self->rig, 1));
			vt_vq_notify(vq);
			ASSERT_EQ(0, reap(vq, 1));
			EXPECT_EQ(i == 3 ? 0 : -ETIMEDOUT,
				  vt_event_wait(vq->call,
						i == 3 ? VT_TIMEOUT : QUIET))
			{
				TH_LOG("after buffer %u", i);
			}
		}
	} else {
		*(volatile uint16_t *)&vq->avail->flags = 0;
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, queue_tx(&self->rig, 1));
			vt_vq_notify(vq);
			EXPECT_EQ(0, vt_event_wait(vq->call, VT_TIMEOUT));
			ASSERT_EQ(0, reap(vq, 1));
		}
	}
}

/* --------------------------------------------------------------- regions */

/*
 * Guest memory made of many regions: neighbours in guest addresses, in reverse
 * order and with holes in host addresses, with bounds at odd bytes.
 */
FIXTURE(regions)
{
	struct vt_rig rig;
	struct vt_mem mem;
	uint64_t gpa;
	size_t size;
	unsigned int n;
};

FIXTURE_VARIANT(regions)
{
	unsigned int n;
	size_t size;
	size_t skew;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(regions, pages) { 60, 4096, 0, V1 | MRG };
FIXTURE_VARIANT_ADD(regions, pages_indirect) { 60, 4096, 0, V1 | MRG | IND };
FIXTURE_VARIANT_ADD(regions, odd) { 60, 1003, 0, V1 | MRG };
FIXTURE_VARIANT_ADD(regions, odd_skewed) { 60, 4099, 77, V1 | MRG };
FIXTURE_VARIANT_ADD(regions, many) { 500, 4096, 0, V1 | MRG };
FIXTURE_VARIANT_ADD(regions, many_odd) { 500, 4097, 3, V1 | MRG };

FIXTURE_SETUP(regions)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
		.no_start = true,
	};
	struct vt_dev *dev = &self->rig.dev;
	size_t stride = variant->size + 4096;
	unsigned int i, table;

	self->gpa = 0x40000000 + variant->skew;
	self->size = variant->size;
	self->n = variant->n;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	/* the rig's own region stays the first: indirect tables are there */
	ASSERT_EQ(0,
		  vt_mem_alloc(&self->mem, VT_SCATTER, self->n * stride, 0, 0));
again:
	dev->nregions = 1;
	table = self->n;
	for (i = 0; i < table; i++)
		ASSERT_EQ(0, vt_dev_add_region(dev, self->gpa + i * self->size,
					       (char *)self->mem.base +
					       (table - 1 - i) * stride,
					       self->size));
	i = vt_dev_set_mem_table(dev);
	if ((int)i == -E2BIG && self->n > 60) {
		TH_LOG("the device takes no %u regions, trying 60", self->n);
		self->n = 60;
		goto again;
	}
	ASSERT_EQ(0, (int)i);
	ASSERT_EQ(0, vt_vq_start(&self->rig.vq[0], self->rig.tap.fd));
	ASSERT_EQ(0, vt_vq_start(&self->rig.vq[1], self->rig.tap.fd));
}

FIXTURE_TEARDOWN(regions)
{
	vt_rig_close(&self->rig);
	vt_mem_free(&self->mem);
}

/* Copy between a flat buffer and guest memory at @gpa, region by region. */
static void guest_copy(struct vt_dev *dev, uint64_t gpa, char *flat, size_t len,
		       bool to_guest)
{
	unsigned int i;

	for (i = 1; i < dev->nregions && len; i++) {
		struct vhost_memory_region *reg = &dev->regions[i];
		uint64_t off = gpa - reg->guest_phys_addr;
		char *p = (char *)(uintptr_t)reg->userspace_addr + off;
		size_t n = reg->memory_size - off;

		if (gpa < reg->guest_phys_addr || off >= reg->memory_size)
			continue;
		if (n > len)
			n = len;
		memcpy(to_guest ? p : flat, to_guest ? flat : p, n);
		gpa += n;
		flat += n;
		len -= n;
	}
}

TEST_F_TIMEOUT(regions, straddle, 600)
{
	static const size_t lens[] = { 60, 1514, 5000, 30000 };
	unsigned int hdr = self->rig.dev.hdr_len, i, j;
	char *flat = calloc(1, VT_MAX_FRAME), *got = calloc(1, VT_MAX_FRAME);
	uint64_t space = self->n * self->size;
	uint32_t used;

	for (i = 0; i < 25; i++) {
		for (j = 0; j < ARRAY_SIZE(lens); j++) {
			/* all over the regions, close to their bounds */
			uint64_t off = (i * 19 + 1) * self->size - 17 * j - i;
			struct vt_sg sg;
			size_t len = lens[j];

			off %= space - hdr - len;
			sg = (struct vt_sg){ self->gpa + off, hdr + len };
			memset(flat, 0, hdr);
			vt_frame_fill(flat + hdr, len, STREAM, i * 10 + j);
			guest_copy(&self->rig.dev, sg.addr, flat, hdr + len,
				   true);
			ASSERT_EQ(0, tx_sg(&self->rig, &sg, 1)) {
				TH_LOG("%zu bytes at %#llx", len,
				       (unsigned long long)off);
			}
			ASSERT_EQ(0, host_expect(&self->rig, flat + hdr, len,
						 NULL));

			ASSERT_EQ(0, rx_post(&self->rig, &sg, 1, flat));
			vt_frame_fill(flat, len, STREAM, i * 10 + j + 5000);
			ASSERT_EQ(0, host_send(&self->rig, flat, len));
			ASSERT_EQ((void *)flat, rx_get(&self->rig, &used));
			ASSERT_EQ(hdr + len, used);
			guest_copy(&self->rig.dev, sg.addr, got, hdr + len,
				   false);
			ASSERT_EQ(0, memcmp(flat, got + hdr, len)) {
				TH_LOG("%zu bytes at %#llx", len,
				       (unsigned long long)off);
			}
		}
	}
	EXPECT_EQ(0, vt_event_read(self->rig.vq[0].err));
	EXPECT_EQ(0, vt_event_read(self->rig.vq[1].err));
	free(flat);
	free(got);
}

TEST_HARNESS_MAIN
