// SPDX-License-Identifier: GPL-2.0
/* What a tap does to a packet that is read, without the tap. */
/*
 * The device may write received packets by kernel address, past the tap's
 * recvmsg(). Then the virtio header, the VLAN tag and the tap's counters are
 * its own work. Every packet is sent twice: the first after the backend is set
 * goes through the tap, the next one does not.
 *
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <sched.h>
#include "payload.h"

#define VLAN_ID		77
#define MAX_LEN		61000
#define HEADERS (ETH_HLEN + sizeof(struct iphdr) + sizeof(struct tcphdr))

FIXTURE(tap)
{
	struct vt_rig rig;
	/* the host's end of a VLAN on the tap */
	int vlan;
};

FIXTURE_VARIANT(tap)
{
	uint64_t features;
};

#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)
#define HDR	VT_F(VHOST_NET_F_VIRTIO_NET_HDR)

FIXTURE_VARIANT_ADD(tap, modern) { .features = V1 | MRG };
FIXTURE_VARIANT_ADD(tap, legacy) { .features = 0 };
FIXTURE_VARIANT_ADD(tap, own_header) { .features = HDR | V1 | MRG };

FIXTURE_SETUP(tap)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
		.mem_len = VT_HUGE_SIZE,
	};

	self->vlan = -1;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	if (!vt_ip("link add link %s name vtv type vlan id %u",
		   self->rig.tap.name, VLAN_ID) && !vt_if_up("vtv", 0))
		self->vlan = vt_packet_open(if_nametoindex("vtv"),
					    self->rig.tap.vnet_hdr);
}

FIXTURE_TEARDOWN(tap)
{
	if (self->vlan >= 0)
		close(self->vlan);
	vt_rig_close(&self->rig);
}

struct count {
	unsigned long packets;
	unsigned long bytes;
};

/* What the tap has sent, as its interface has it: that is what we received. */
static struct count tap_count(const struct vt_tap *tap)
{
	struct count c = { 0 };
	char line[512], *p;
	FILE *f = fopen("/proc/self/net/dev", "r");

	while (f && fgets(line, sizeof(line), f)) {
		p = strchr(line, ':');
		if (!p)
			continue;
		*p++ = '\0';
		if (!strcmp(line + strspn(line, " "), tap->name))
			sscanf(p, "%*u %*u %*u %*u %*u %*u %*u %*u %lu %lu",
			       &c.bytes, &c.packets);
	}
	if (f)
		fclose(f);
	return c;
}

struct packet {
	int sock;
	struct virtio_net_hdr hdr;
	size_t len;
	/* buffers of this size, 0: one for all; this many a chain */
	unsigned int piece;
	unsigned int per;
	/* where in a page the first begins */
	unsigned int at;
};

static char frame[MAX_LEN];

/* A TCP segment of any size. */
static void make_frame(size_t len)
{
	struct ethhdr *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t i;

	for (i = 0; i < len; i++)
		frame[i] = i * 7 + (i >> 8);
	memset(eth->h_dest, 2, ETH_ALEN);
	memset(eth->h_source, 4, ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	*ip = (struct iphdr){
		.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP,
		.tot_len = htons(len - ETH_HLEN),
		.saddr = htonl(0x0a000001), .daddr = htonl(0x0a000002),
	};
	*tcp = (struct tcphdr){ .doff = 5, .ack = 1 };
}

static const struct virtio_net_hdr csum = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.csum_start = ETH_HLEN + sizeof(struct iphdr),
	.csum_offset = 16,
};

static const struct virtio_net_hdr tso = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.hdr_len = HEADERS,
	.gso_size = 1448,
	.csum_start = ETH_HLEN + sizeof(struct iphdr),
	.csum_offset = 16,
};

/* Receive it; the bytes used, which are in @to. */
static int receive(struct vt_rig *rig, const struct packet *p, size_t size,
		   char *to)
{
	struct vt_tap *tap = &rig->tap;
	char *mem = (char *)rig->buf[VT_VQ_RX] + p->at;
	size_t piece = p->piece ? p->piece : size, off;
	struct vt_sg sg[VT_PAYLOAD_PIECES];
	int old = tap->sock, r;
	unsigned int n = 0;

	memset(mem, 0xee, size);
	for (off = 0; off < size; off += piece)
		sg[n++] =
			vt_payload_sg(rig, mem + off,
				      size - off < piece ? size - off : piece);
	tap->sock = p->sock;
	r = vt_payload_rx(rig, sg, n, p->per ? p->per : n, &p->hdr, frame,
			  p->len);
	tap->sock = old;
	memcpy(to, mem, size);
	return r;
}

static void twice(struct __test_metadata *_metadata, struct vt_rig *rig,
		  const struct packet *p, bool vlan)
{
	static char got[2][MAX_LEN + 64];
	size_t wire = p->len + (vlan ? 4 : 0), size = rig->dev.hdr_len + wire;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	const struct virtio_net_hdr *hdr = (void *)got[1];
	const char *data = got[1] + rig->dev.hdr_len;
	uint64_t kernel;
	unsigned int i;

	make_frame(p->len);
	ASSERT_EQ(0, vt_vq_set_backend(vq, -1));
	ASSERT_EQ(0, vt_vq_set_backend(vq, rig->tap.fd));
	kernel = vt_payload_count(rig, VT_VQ_RX, "payload_kernel");
	for (i = 0; i < 2; i++) {
		struct count was = tap_count(&rig->tap), is;

		ASSERT_EQ(size, receive(rig, p, size, got[i]));
		is = tap_count(&rig->tap);
		EXPECT_EQ(1, is.packets - was.packets);
		EXPECT_EQ(wire, is.bytes - was.bytes);
		if (vt_payload_direct(rig))
			EXPECT_EQ(i, vt_payload_count(rig, VT_VQ_RX,
						      "payload_kernel") -
					     kernel);
	}
	EXPECT_EQ(0, memcmp(got[0], got[1], size)) {
		for (i = 0; got[0][i] == got[1][i]; i++)
			;
		TH_LOG("byte %u is %#x and was %#x", i, (uint8_t)got[1][i],
		       (uint8_t)got[0][i]);
	}

	/* what arrived is what the host sent */
	if (rig->tap.vnet_hdr) {
		EXPECT_EQ(p->hdr.flags, hdr->flags);
		EXPECT_EQ(p->hdr.gso_type, hdr->gso_type);
		EXPECT_EQ(p->hdr.gso_size, hdr->gso_size);
		EXPECT_EQ(p->hdr.csum_start + (vlan && p->hdr.flags ? 4 : 0),
			  hdr->csum_start);
	}
	EXPECT_EQ(0, memcmp(data, frame, 12));
	if (vlan)
		EXPECT_EQ(0, memcmp(data + 12, "\x81\0\0\x4d", 4));
	EXPECT_EQ(0,
		  memcmp(data + wire - p->len + 12, frame + 12, p->len - 12));
}

/* All kinds of packets, in all shapes of buffers. */
static void all_kinds(struct __test_metadata *_metadata, struct vt_rig *rig,
		      int sock, bool vlan)
{
	static const struct {
		unsigned int piece;
		unsigned int per;
		unsigned int at;
	} shape[] = {
		{ 0, 0, 0 }, { 0, 0, 2 }, { 0, 0, 1 }, { 0, 0, 4000 },
		{ 1024, 0, 33 }, { 1024, 1, 0 }, { 1024, 1, 4001 },
		{ 1024, 3, 7 },
	};
	static const unsigned int len[] = { 60, 64, 577, 1514, 9000, 60000 };
	unsigned int s, l;

	for (s = 0; s < ARRAY_SIZE(shape); s++) {
		struct packet p = {
			.sock = sock,
			.piece = shape[s].piece,
			.per = shape[s].per,
			.at = shape[s].at,
		};

		/* several chains take mergeable buffers */
		if (p.per && !(rig->dev.features & MRG))
			continue;
		for (l = 0; l < ARRAY_SIZE(len); l++) {
			p.len = len[l];
			p.hdr = (struct virtio_net_hdr){ 0 };
			if (p.len < 20000)
				twice(_metadata, rig, &p, vlan);
			if (!rig->tap.vnet_hdr)
				continue;
			p.hdr = csum;
			if (p.len < 20000)
				twice(_metadata, rig, &p, vlan);
			p.hdr = tso;
			if (p.len > 1514)
				twice(_metadata, rig, &p, vlan);
		}
	}
}

TEST_F_TIMEOUT(tap, packets, 300)
{
	all_kinds(_metadata, &self->rig, self->rig.tap.sock, false);
}

/* The tag is beside the data: the tap inserts it. */
TEST_F_TIMEOUT(tap, vlan, 300)
{
	if (self->vlan < 0)
		SKIP(return, "no VLANs: ip link add type vlan failed");
	all_kinds(_metadata, &self->rig, self->vlan, true);
}

/* The tap goes away while its packets are on their way, and comes back. */
TEST_F_TIMEOUT(tap, deleted, 300)
{
	struct vt_rig *rig = &self->rig;
	unsigned int i, n = vt_full() ? 20 : 8;

	for (i = 0; i < n; i++) {
		struct packet p = { .len = 200 + i };
		struct vt_tap tap;
		unsigned int k;

		make_frame(p.len);
		ASSERT_EQ(0, vt_tap_open(&tap, rig->tap.vnet_hdr ?
					 rig->dev.hdr_len : 0));
		ASSERT_EQ(0, vt_vq_set_backend(&rig->vq[VT_VQ_RX], -1));
		ASSERT_EQ(0, vt_vq_set_backend(&rig->vq[VT_VQ_RX], tap.fd));
		p.sock = tap.sock;
		for (k = 0; k < 3; k++) {
			char got[2000];

			ASSERT_LT(0, receive(rig, &p, rig->dev.hdr_len + p.len,
					     got));
		}
		/* more frames than buffers: the device keeps the rest */
		for (k = 0; k < 20; k++)
			ASSERT_EQ(0, vt_packet_send(tap.sock, tap.vnet_hdr ?
						    &p.hdr : NULL, frame,
						    p.len));
		ASSERT_EQ(0, vt_ip("link del %s", tap.name));
		/* these frames are lost, and nothing else */
		vt_vq_notify(&rig->vq[VT_VQ_RX]);
		ASSERT_EQ(0,
			  vt_vq_set_backend(&rig->vq[VT_VQ_RX], rig->tap.fd));
		vt_tap_close(&tap);
		p.sock = rig->tap.sock;
		for (k = 0; k < 3; k++) {
			char got[2000];

			ASSERT_EQ((int)(rig->dev.hdr_len + p.len),
				  receive(rig, &p, rig->dev.hdr_len + p.len,
					  got));
		}
	}
	EXPECT_EQ(0, vt_event_read(rig->vq[VT_VQ_RX].err));
}

/* The tap's file is of one network namespace, and its device is in another. */
TEST_F_TIMEOUT(tap, other_netns, 300)
{
	struct vt_rig *rig = &self->rig;
	struct packet p = { .len = 577 };
	int home = open("/proc/self/ns/net", O_RDONLY), away;

	ASSERT_LE(0, home);
	ASSERT_EQ(0, vt_netns_enter());
	away = open("/proc/self/ns/net", O_RDONLY);
	ASSERT_LE(0, away);
	ASSERT_EQ(0, setns(home, CLONE_NEWNET));
	ASSERT_EQ(0, vt_ip("link set %s netns /proc/%d/fd/%d", rig->tap.name,
			   getpid(), away));
	ASSERT_EQ(0, setns(away, CLONE_NEWNET));

	ASSERT_EQ(0, vt_if_up(rig->tap.name, 0));
	close(rig->tap.sock);
	rig->tap.sock = vt_packet_open(if_nametoindex(rig->tap.name),
				       rig->tap.vnet_hdr);
	ASSERT_LE(0, rig->tap.sock);
	p.sock = rig->tap.sock;
	twice(_metadata, rig, &p, false);
	EXPECT_EQ(0, vt_event_read(rig->vq[VT_VQ_RX].err));
	close(home);
	close(away);
}

TEST_HARNESS_MAIN
