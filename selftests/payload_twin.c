// SPDX-License-Identifier: GPL-2.0
/*
 * The same packets through stock vhost-net and through the device under test:
 * every header, every byte, every counter of the tap equal.
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <sys/syscall.h>
#include "payload.h"
#include "cmp.h"

/* ----------------------------------------------------------------- records */

/* What happened, in bytes. */
struct record {
	char *buf;
	size_t len;
	size_t max;
};

static void note(struct record *rec, const char *what, const void *p,
		 size_t len)
{
	size_t name = strlen(what) + 1;

	while (rec->len + name + sizeof(len) + len > rec->max) {
		rec->max = rec->max ? 2 * rec->max : 1 << 20;
		rec->buf = realloc(rec->buf, rec->max);
		if (!rec->buf)
			abort();
	}
	memcpy(rec->buf + rec->len, what, name);
	rec->len += name;
	memcpy(rec->buf + rec->len, &len, sizeof(len));
	rec->len += sizeof(len);
	memcpy(rec->buf + rec->len, p, len);
	rec->len += len;
}

static void note_number(struct record *rec, const char *what, long long n)
{
	note(rec, what, &n, sizeof(n));
}

/* How many notes differ; says which is the first. */
static unsigned int compare(const struct record *a, const struct record *b)
{
	const char *p = a->buf, *q = b->buf;

	while (p < a->buf + a->len && q < b->buf + b->len) {
		const char *name = p, *other = q;
		size_t len[2], i;

		p += strlen(p) + 1;
		q += strlen(q) + 1;
		memcpy(&len[0], p, sizeof(len[0]));
		memcpy(&len[1], q, sizeof(len[1]));
		p += sizeof(len[0]);
		q += sizeof(len[1]);
		if (strcmp(name, other) || len[0] != len[1]) {
			if (!strcmp(name, "counters of the tap"))
				vt_msg("twin: %.*s %.*s", (int)len[0], p,
				       (int)len[1], q);
			vt_msg("twin: \"%s\", %zu bytes with stock; \"%s\", %zu bytes with ours",
			       name, len[0], other, len[1]);
			return 1;
		}
		for (i = 0; i < len[0]; i++)
			if (p[i] != q[i]) {
				vt_msg("twin: %s: byte %zu of %zu is %#x with stock, %#x with ours",
				       name, i, len[0], (uint8_t)p[i],
				       (uint8_t)q[i]);
				return 1;
			}
		p += len[0];
		q += len[1];
	}
	if (p == a->buf + a->len && q == b->buf + b->len)
		return 0;
	vt_msg("twin: one of the records is shorter");
	return 1;
}

/* ------------------------------------------------------------------ packets */

static char frame[VT_MAX_FRAME + 64], got[VT_MAX_FRAME + 64];

static const struct virtio_net_hdr gso = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.hdr_len = 54,
	.gso_size = 1448,
	.csum_start = 34,
	.csum_offset = 16,
};

/* A TCP segment of @len bytes, Ethernet header included. */
static size_t tcp_frame(char *p, size_t len, unsigned int seed)
{
	struct iphdr *ip = (void *)(p + 14);
	struct tcphdr *tcp = (void *)(p + 34);
	size_t i;

	memset(p, 0, 54);
	memset(p, 0xff, 6);
	p[6] = 2;
	p[12] = 8;
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(len - 14);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = htonl(0x0a000001);
	ip->daddr = htonl(0x0a000002);
	tcp->doff = 5;
	tcp->seq = htonl(seed);
	tcp->ack = 1;
	for (i = 54; i < len; i++)
		p[i] = i * 7 + seed;
	return len;
}

/* ------------------------------------------------------------------ receive */

#define RX_BUF		1600
#define RX_BUFS		48

/*
 * Let the host send what is in frame, note what the guest gets. The whole of
 * the buffers is noted, so that nothing but the packet may have been written.
 */
static void rx(struct vt_rig *rig, struct record *rec, const char *what,
	       int sock, const struct virtio_net_hdr *hdr, size_t len)
{
	static const struct virtio_net_hdr none;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	/* no further buffer: it would stay for the next packet */
	size_t all = rig->dev.hdr_len + len + (sock == rig->tap.sock ? 0 : 4);
	unsigned int i, n = (all + RX_BUF - 1) / RX_BUF;
	char *base = rig->buf[VT_VQ_RX];
	uint32_t used;
	int r;

	memset(base, 0x5a, n * RX_BUF);
	for (i = 0; i < n; i++) {
		struct vt_sg sg = vt_payload_sg(rig, base + i * RX_BUF, RX_BUF);

		vt_vq_add(vq, &sg, 0, 1, vq);
	}
	vt_vq_kick(vq);
	r = vt_packet_send(sock, hdr ? hdr : &none, frame, len);
	note_number(rec, what, r);
	for (i = 0; i < n && !r; i++) {
		used = 0;
		while (!r && !vt_vq_get(vq, &used))
			r = vt_vq_wait(vq, VT_TIMEOUT);
		note_number(rec, "used", used);
	}
	note(rec, what, base, n * RX_BUF);
	if (!r)
		return;
	vt_msg("twin: %s, %zu bytes: %s", what, len, strerror(-r));
	/* restart the ring to drop the unused buffers */
	vt_rig_restart(rig, VT_VQ_RX, 0);
}

static const unsigned int lens[] = { 60,   64,	 65,   128,  590,
				     1000, 1513, 1514, 3000, 9000 };

static void receive(struct vt_rig *rig, struct record *rec)
{
	struct virtio_net_hdr hdr;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		vt_frame_fill(frame, lens[i], 3, i);
		rx(rig, rec, "rx plain", rig->tap.sock, NULL, lens[i]);
	}
	/* a tag that is part of the frame */
	for (i = 0; i < 3; i++) {
		vt_frame_fill(frame, 600, 4, i);
		frame[12] = 0x81;
		frame[13] = 0;
		frame[14] = 0;
		frame[15] = 7;
		rx(rig, rec, "rx tag in the frame", rig->tap.sock, NULL, 600);
	}
	for (i = 0; i < 4; i++) {
		size_t len = tcp_frame(frame, i ? 15000 * i : 3000, i);

		rx(rig, rec, "rx gso", rig->tap.sock, &gso, len);
		hdr = gso;
		hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		rx(rig, rec, "rx gso, ecn", rig->tap.sock, &hdr, len);
		hdr = gso;
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		hdr.gso_size = 0;
		len = tcp_frame(frame, 600 + i, i);
		rx(rig, rec, "rx checksum", rig->tap.sock, &hdr, len);
		hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
		rx(rig, rec, "rx data valid", rig->tap.sock, &hdr, len);
	}
}

/* The kernel headers have none. */
static bool no_vlans;

/* A tag that goes beside the packet, and that the tap has to put into it. */
static void receive_tagged(struct vt_rig *rig, struct record *rec)
{
	unsigned int i;
	int sock;

	if (system("modprobe -q 8021q") ||
	    vt_ip("link add link %s name tagged type vlan id 5",
		  rig->tap.name) ||
	    vt_if_up("tagged", 0)) {
		no_vlans = true;
		return;
	}
	sock = vt_packet_open(if_nametoindex("tagged"), true);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		vt_frame_fill(frame, lens[i], 5, i);
		rx(rig, rec, "rx tagged", sock, NULL, lens[i]);
	}
	rx(rig, rec, "rx tagged gso", sock, &gso, tcp_frame(frame, 30000, 1));
	close(sock);
	vt_ip("link del tagged");
}

/* ----------------------------------------------------------------- transmit */

#define SENTINEL	77

static void send_piece(struct vt_rig *rig, const void *hdr, size_t len)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	char *at = rig->buf[VT_VQ_TX];
	struct vt_sg sg = vt_payload_sg(rig, at, rig->dev.hdr_len + len);

	memset(at, 0, rig->dev.hdr_len);
	memcpy(at, hdr, sizeof(struct virtio_net_hdr));
	memcpy(at + rig->dev.hdr_len, frame, len);
	vt_vq_add(vq, &sg, 1, 0, vq);
	vt_vq_kick(vq);
	while (!vt_vq_get(vq, NULL))
		if (vt_vq_wait(vq, VT_TIMEOUT))
			break;
}

/* Send what is in frame, and one more: what arrives up to that is noted. */
static void tx(struct vt_rig *rig, struct record *rec, const char *what,
	       const struct virtio_net_hdr *hdr, size_t len)
{
	static const struct virtio_net_hdr none;
	struct virtio_net_hdr seen;
	int n;

	send_piece(rig, hdr ? hdr : &none, len);
	memset(frame, 0xee, SENTINEL);
	send_piece(rig, &none, SENTINEL);
	for (;;) {
		n = vt_packet_recv(rig->tap.sock, &seen, got, VT_MAX_FRAME,
				   VT_TIMEOUT);
		if (n < 0 || (n == SENTINEL && got[20] == (char)0xee))
			break;
		note(rec, what, &seen, sizeof(seen));
		note(rec, what, got, n);
	}
	note_number(rec, what, n);
}

static void transmit(struct vt_rig *rig, struct record *rec)
{
	struct virtio_net_hdr hdr;
	unsigned int i;
	size_t len;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		vt_frame_fill(frame, lens[i], 6, i);
		tx(rig, rec, "tx plain", NULL, lens[i]);
	}
	/* too short for an Ethernet header, and just long enough */
	for (i = 1; i < 20; i += 3) {
		vt_frame_fill(frame, 100, 6, i);
		tx(rig, rec, "tx short", NULL, i);
	}
	for (i = 0; i < 4; i++) {
		len = tcp_frame(frame, i ? 15000 * i : 3000, i);
		tx(rig, rec, "tx gso", &gso, len);
		hdr = gso;
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		hdr.gso_size = 0;
		len = tcp_frame(frame, 600 + i, i);
		tx(rig, rec, "tx checksum", &hdr, len);
		/* behind the frame, but not so far that stock stands still */
		hdr.csum_start = 584 + i * 2;
		len = tcp_frame(frame, 600 + i, i);
		tx(rig, rec, "tx checksum behind the end", &hdr, len);
		hdr = gso;
		hdr.gso_type = 0x11 + i;
		len = tcp_frame(frame, 3000, i);
		tx(rig, rec, "tx of an unknown type", &hdr, len);
		hdr = gso;
		hdr.hdr_len = 10 + 2000 * i;
		len = tcp_frame(frame, 3000, i);
		tx(rig, rec, "tx with a strange header length", &hdr, len);
		hdr = gso;
		hdr.gso_size = i;
		len = tcp_frame(frame, 3000, i);
		tx(rig, rec, "tx in tiny segments", &hdr, len);
		hdr = gso;
		hdr.flags = i;
		len = tcp_frame(frame, 1000, i);
		tx(rig, rec, "tx with other flags", &hdr, len);
	}
}

/* A tap that is down takes small packets in batches, and large ones not. */
static void transmit_down(struct vt_rig *rig, struct record *rec)
{
	static const struct virtio_net_hdr none;
	unsigned int i;

	for (i = 0; i < 8; i++) {
		size_t len = tcp_frame(frame, i % 4 ? 15000 * (i % 4) : 3000, i);

		if (i == 2 && vt_ip("link set %s down", rig->tap.name))
			abort();
		if (i == 6 && vt_if_up(rig->tap.name, 0))
			abort();
		if (i < 2 || i > 5)
			tx(rig, rec, "tx gso", &gso, len);
		else
			send_piece(rig, i % 4 ? &gso : &none, len);
	}
}

/* ---------------------------------------------------------------------- XDP */

/* Attach a program that returns @verdict to the tap; its fd or -errno. */
static int attach_xdp(struct vt_rig *rig, int verdict)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insns = (uintptr_t)code,
		.insn_cnt = ARRAY_SIZE(code),
		.license = (uintptr_t)"GPL",
	};
	union bpf_attr link = {};
	int prog = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load)), fd;

	if (prog < 0)
		return -errno;
	link.link_create.prog_fd = prog;
	link.link_create.target_ifindex = rig->tap.ifindex;
	link.link_create.attach_type = BPF_XDP;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link));
	fd = fd < 0 ? -errno : fd;
	close(prog);
	return fd;
}

/* What the guest sends comes back to it, as XDP frames in the tap's ring. */
static void reflect(struct vt_rig *rig, struct record *rec)
{
	static const struct virtio_net_hdr none;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	int link = attach_xdp(rig, XDP_TX);
	unsigned int i;

	note_number(rec, "xdp", link < 0 ? link : 0);
	/* of XDP frames alone the device does not learn whose they are */
	for (i = 0; i < 2; i++) {
		vt_frame_fill(frame, 100, 7, i);
		rx(rig, rec, "rx before xdp", rig->tap.sock, NULL, 100);
	}
	for (i = 0; link >= 0 && i < ARRAY_SIZE(lens) && lens[i] < 2000; i++) {
		struct vt_sg sg = vt_payload_sg(rig, rig->buf[VT_VQ_RX], 4000);
		uint32_t used = 0;

		memset(rig->buf[VT_VQ_RX], 0x5a, 4000);
		vt_vq_add(vq, &sg, 0, 1, vq);
		vt_vq_kick(vq);
		vt_frame_fill(frame, lens[i], 8, i);
		send_piece(rig, &none, lens[i]);
		while (!vt_vq_get(vq, &used))
			if (vt_vq_wait(vq, VT_TIMEOUT))
				break;
		note_number(rec, "xdp used", used);
		note(rec, "xdp frame", rig->buf[VT_VQ_RX], 4000);
	}
	if (link >= 0)
		close(link);
}

/* ----------------------------------------------------------------- compared */

static void tap_counters(struct vt_rig *rig, struct record *rec)
{
	char line[256], name[24], *p;
	FILE *f = fopen("/proc/net/dev", "r");

	snprintf(name, sizeof(name), "%s:", rig->tap.name);
	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, name);
		if (p)
			note(rec, "counters of the tap", p, strlen(p));
	}
	if (f)
		fclose(f);
}

static void err_events(struct vt_rig *rig, struct record *rec)
{
	note_number(rec, "rx errors", vt_event_read(rig->vq[0].err));
	note_number(rec, "tx errors", vt_event_read(rig->vq[1].err));
}

FIXTURE(twin)
{
	struct record rec[2];
	/* of the device under test */
	uint64_t kernel[2];
	uint64_t user[2];
};

FIXTURE_VARIANT(twin)
{
	uint64_t features;
	void (*script)(struct vt_rig *rig, struct record *rec);
	/* the ring whose packets should go by kernel address, or -1 */
	int direct;
};

#define V1	VT_F(VIRTIO_F_VERSION_1)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define HDR	VT_F(VHOST_NET_F_VIRTIO_NET_HDR)

FIXTURE_VARIANT_ADD(twin, receive) { V1 | MRG, receive, VT_VQ_RX };
FIXTURE_VARIANT_ADD(twin, receive_legacy) { MRG, receive, VT_VQ_RX };
FIXTURE_VARIANT_ADD(twin, receive_tagged)
{
	V1 | MRG, receive_tagged, VT_VQ_RX
};

FIXTURE_VARIANT_ADD(twin, transmit) { V1 | MRG, transmit, VT_VQ_TX };
FIXTURE_VARIANT_ADD(twin, transmit_legacy) { 0, transmit, VT_VQ_TX };
FIXTURE_VARIANT_ADD(twin, transmit_down)
{
	V1 | MRG, transmit_down, VT_VQ_TX
};

FIXTURE_VARIANT_ADD(twin, xdp) { V1 | MRG, reflect, VT_VQ_RX };

FIXTURE_SETUP(twin)
{
	if (!vt_dev_is_ours())
		SKIP(return, "VHOST_DEV is stock itself");
	if (access(VT_CMP_STOCK, R_OK | W_OK))
		SKIP(return, "there is no " VT_CMP_STOCK);
}

FIXTURE_TEARDOWN(twin)
{
	free(self->rec[0].buf);
	free(self->rec[1].buf);
}

TEST_F_TIMEOUT(twin, same, 300)
{
	char *ours = strdup(vt_dev_path());
	struct vt_rig_cfg cfg = {
		.features = variant->features, .exact_features = true,
	};
	struct vt_rig rig;
	unsigned int i, q;

	for (i = 0; i < 2; i++) {
		setenv("VHOST_DEV", i ? ours : VT_CMP_STOCK, 1);
		ASSERT_EQ(0, vt_rig_open(&rig, &cfg));
		variant->script(&rig, &self->rec[i]);
		tap_counters(&rig, &self->rec[i]);
		err_events(&rig, &self->rec[i]);
		for (q = 0; i && q < 2; q++) {
			self->kernel[q] =
				vt_payload_count(&rig, q, "payload_kernel");
			self->user[q] =
				vt_payload_count(&rig, q, "payload_user");
		}
		vt_rig_close(&rig);
	}
	free(ours);
	if (no_vlans)
		SKIP(return, "no VLANs: ip link add type vlan failed");
	EXPECT_GT(self->rec[0].len, 1000);
	EXPECT_EQ(0, compare(&self->rec[0], &self->rec[1]));
	q = variant->direct;
	TH_LOG("%llu packets by kernel address, %llu by user access",
	       (unsigned long long)self->kernel[q],
	       (unsigned long long)self->user[q]);
	EXPECT_GT(self->kernel[q], self->user[q] / 4);
}

TEST_HARNESS_MAIN
