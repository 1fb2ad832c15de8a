// SPDX-License-Identifier: GPL-2.0
/*
 * Frames above a page on their way into the host: what they hold of its memory
 * while nobody reads them, how its stack sees them, when the driver gets its
 * buffers back.
 * Timeout: 240 s
 */
#include <kselftest_harness.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cgroup.h"
#include "cmp.h"
#include "vhost_test.h"

#define SLOTS	64
#define SLOT	(68 << 10)
#define HEADERS	54
#define MSS	1448

static char frame[VT_MAX_FRAME + 64], got[VT_MAX_FRAME + 64];

/* ------------------------------------------------------------------ frames */

static uint32_t sum(uint32_t s, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len > 1; len -= 2, p += 2)
		s += p[0] << 8 | p[1];
	return len ? s + (p[0] << 8) : s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

/* The sum over what TCP's checksum has of the IP header. */
static uint32_t pseudo(const struct iphdr *ip)
{
	return sum(ntohs(ip->tot_len) - 20 + IPPROTO_TCP, &ip->saddr, 8);
}

/* A frame of @len bytes, to @to, of a TCP stream that goes on at @seq. */
static struct virtio_net_hdr tcp_frame(size_t len, const uint8_t *to,
				       uint32_t seq)
{
	struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = HEADERS,
		.gso_size = MSS,
		.csum_start = 34,
		.csum_offset = 16,
	};
	struct iphdr *ip = (void *)(frame + ETH_HLEN);
	struct tcphdr *tcp = (void *)(ip + 1);
	size_t i;

	memset(frame, 0, HEADERS);
	memcpy(frame, to, 6);
	frame[6] = 2;
	frame[12] = 8;
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(len - ETH_HLEN);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = inet_addr("10.0.0.2");
	ip->daddr = inet_addr("10.1.0.2");
	ip->check = htons(~fold(sum(0, ip, sizeof(*ip))));
	tcp->doff = 5;
	tcp->ack = 1;
	tcp->seq = htonl(seq);
	tcp->check = htons(fold(pseudo(ip)));
	for (i = HEADERS; i < len; i++)
		frame[i] = (seq + i - HEADERS) * 7 >> 3;
	if (len <= 1514)
		memset(&hdr, 0, sizeof(hdr));
	return hdr;
}

static int reap(struct vt_vq *vq)
{
	int r = 0;

	/* a call may come late, for a buffer that we have got already */
	while (!r && !vt_vq_get(vq, NULL))
		r = vt_vq_wait(vq, VT_TIMEOUT);
	return r;
}

/* Put what is in frame into slot @i of the transmit ring. */
static void put(struct vt_rig *rig, unsigned int i,
		const struct virtio_net_hdr *hdr, size_t len)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	char *at = (char *)rig->buf[VT_VQ_TX] + i % SLOTS * SLOT;
	struct vt_sg sg = { vt_dev_gpa(&rig->dev, at), rig->dev.hdr_len + len };

	memset(at, 0, rig->dev.hdr_len);
	memcpy(at, hdr, sizeof(*hdr));
	memcpy(at + rig->dev.hdr_len, frame, len);
	vt_vq_add(vq, &sg, 1, 0, vq);
}

/* Transmit a frame of @len bytes @n times, and get the buffers back. */
static int flood(struct vt_rig *rig, size_t len, unsigned int n)
{
	static const uint8_t nobody[6] = { 2, 9, 9, 9, 9, 9 };
	struct virtio_net_hdr hdr = tcp_frame(len, nobody, 0);
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	unsigned int i, out = 0;
	int r = 0;

	for (i = 0; i < n && !r; i++) {
		put(rig, i, &hdr, len);
		out++;
		if (out < SLOTS / 2 && i + 1 < n)
			continue;
		for (vt_vq_kick(vq); out && !r; out--)
			r = reap(vq);
	}
	return r;
}

/* ------------------------------------------------------------------ memory */

/* Free memory in KiB, the CPUs' own lists included. */
static long mem_free(void)
{
	char line[128];
	long kib = -1;
	FILE *f;

	/* empties those lists */
	vt_write_file("/proc/sys/vm/compact_memory", "1");
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemFree: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* What the packets that wait in a socket are charged, in KiB. */
static long charged(int sock)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (getsockopt(sock, SOL_SOCKET, SO_MEMINFO, info, &len))
		return -1;
	return info[SK_MEMINFO_RMEM_ALLOC] >> 10;
}

struct held {
	unsigned int packets;
	long free;
	long charged;
};

/* About 16 MiB of frames that nobody reads, and what they hold. */
static int hold(const char *dev, size_t len, struct held *held)
{
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	struct vt_rig rig;
	long before;
	int r;

	held->packets = (16 << 20) / (len + 1024);
	setenv("VHOST_DEV", dev, 1);
	r = vt_rig_open(&rig, &cfg);
	if (r)
		return r;
	/* the first ones make what the device keeps */
	r = flood(&rig, len, SLOTS);
	before = mem_free();
	held->charged = -charged(rig.tap.sock);
	if (!r)
		r = flood(&rig, len, held->packets);
	held->charged += charged(rig.tap.sock);
	held->free = before - mem_free();
	vt_rig_close(&rig);
	return r;
}

FIXTURE(waiting) { char *dev; };
FIXTURE_VARIANT(waiting) { unsigned int len; };
FIXTURE_VARIANT_ADD(waiting, len60) { 60 };
FIXTURE_VARIANT_ADD(waiting, len590) { 590 };
FIXTURE_VARIANT_ADD(waiting, len1514) { 1514 };
FIXTURE_VARIANT_ADD(waiting, len3000) { 3000 };
FIXTURE_VARIANT_ADD(waiting, len4300) { 4300 };
FIXTURE_VARIANT_ADD(waiting, len5000) { 5000 };
FIXTURE_VARIANT_ADD(waiting, len16000) { 16000 };
FIXTURE_VARIANT_ADD(waiting, len33000) { 33000 };
FIXTURE_VARIANT_ADD(waiting, len65000) { 65000 };

FIXTURE_SETUP(waiting)
{
	self->dev = strdup(vt_dev_path());
}

FIXTURE_TEARDOWN(waiting)
{
	setenv("VHOST_DEV", self->dev, 1);
	free(self->dev);
}

/*
 * Limits are kept by what a packet is charged: that has to be what it pins.
 * And it is no more than with stock.
 */
TEST_F_TIMEOUT(waiting, memory, 300)
{
	/* a debug kernel keeps what was freed, and more with each object */
	const long noise = 2 * vt_timeout_ms(1024);
	struct held stock = {}, ours, again;
	unsigned int i;

	ASSERT_EQ(0, hold(self->dev, variant->len, &ours));
	/* whoever else takes memory meanwhile adds to it, hardly each time */
	for (i = 0; i < 2 && ours.free > noise / 2 + ours.charged; i++) {
		ASSERT_EQ(0, hold(self->dev, variant->len, &again));
		if (again.free < ours.free)
			ours = again;
	}
	TH_LOG("%u bytes: %ld bytes a packet held, %ld charged", variant->len,
	       (ours.free << 10) / ours.packets,
	       (ours.charged << 10) / ours.packets);
	if (!access(VT_CMP_STOCK, R_OK | W_OK)) {
		ASSERT_EQ(0, hold(VT_CMP_STOCK, variant->len, &stock));
		TH_LOG("with stock: %ld held, %ld charged",
		       (stock.free << 10) / stock.packets,
		       (stock.charged << 10) / stock.packets);
		EXPECT_GE(ours.charged, stock.charged * 3 / 4);
	}
	EXPECT_LE(ours.free, noise + 5 * (ours.charged > stock.free ?
					  ours.charged : stock.free) / 4);
}

#define RIGS	8
FIXTURE(blocks) { struct vt_rig rig[RIGS]; };

FIXTURE_SETUP(blocks)
{
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	unsigned int i;
	const char *why;

	if (!vt_dev_is_ours())
		SKIP(return, "stock does not charge its packets to a cgroup");
	why = vt_cgroup_make();
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, vt_cgroup_enter(0));
	for (i = 0; i < RIGS; i++)
		ASSERT_EQ(0, vt_rig_open(&self->rig[i], &cfg));
}

FIXTURE_TEARDOWN(blocks)
{
	unsigned int i;

	for (i = 0; i < RIGS; i++)
		vt_rig_close(&self->rig[i]);
	vt_cgroup_leave();
}

/* The owner's cgroup pays for frames, and an idle queue keeps few pages. */
TEST_F_TIMEOUT(blocks, charged_and_given_back, 300)
{
	const unsigned int n = 20;
	struct virtio_net_hdr hdr;
	unsigned int i, j;
	long long from, now;

	for (i = 0; i < RIGS; i++)
		ASSERT_EQ(0, flood(&self->rig[i], 60, 1));
	from = vt_cgroup_kernel();
	ASSERT_LE(0, from);
	for (i = 0; i < RIGS; i++)
		ASSERT_EQ(0, flood(&self->rig[i], 60000, n));
	now = (vt_cgroup_kernel() - from) >> 10;
	TH_LOG("%u packets wait: %lld KiB", RIGS * n, now);
	EXPECT_GT(now, RIGS * n * 50LL);

	for (i = 0; i < RIGS; i++)
		for (j = 0; j <= n; j++)
			ASSERT_LT(0, vt_packet_recv(self->rig[i].tap.sock, &hdr,
						    got, VT_MAX_FRAME,
						    VT_TIMEOUT));
	now = (vt_cgroup_kernel_wait(from + (RIGS * 100LL << 10)) - from) >> 10;
	TH_LOG("none, and the queues are idle: %lld KiB", now);
	EXPECT_LE(now, RIGS * 100);
	/* and it goes on as before */
	for (i = 0; i < RIGS; i++)
		ASSERT_EQ(0, flood(&self->rig[i], 60000, 2));
}

/* ------------------------------------------------------------------- stack */

FIXTURE(stack)
{
	struct vt_rig rig;
	int out;
	uint8_t mac[6];
};

FIXTURE_VARIANT(stack) { uint64_t features; };
FIXTURE_VARIANT_ADD(stack, direct) {};
FIXTURE_VARIANT_ADD(stack, indirect) { VT_F(VIRTIO_RING_F_INDIRECT_DESC) };

/* A tap whose reader takes no TSO and no partial checksum. */
static int open_plain_tap(void)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI, .ifr_name = "plain",
	};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || vt_if_up("plain", 0) ||
	    vt_ip("link set plain txqueuelen 4000"))
		return -1;
	return fd;
}

FIXTURE_SETUP(stack)
{
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX) | variant->features,
	};
	struct ifreq ifr = {};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	self->out = open_plain_tap();
	ASSERT_LE(0, self->out);
	strcpy(ifr.ifr_name, self->rig.tap.name);
	ASSERT_EQ(0, ioctl(self->rig.tap.sock, SIOCGIFHWADDR, &ifr));
	memcpy(self->mac, ifr.ifr_hwaddr.sa_data, 6);
	ASSERT_EQ(0, vt_ip("addr add 10.0.0.1/24 dev %s", self->rig.tap.name));
	ASSERT_EQ(0, vt_ip("addr add 10.1.0.1/24 dev plain"));
	ASSERT_EQ(0, vt_ip("neigh replace 10.1.0.2 lladdr 02:00:00:00:00:07 "
			   "dev plain nud permanent"));
	ASSERT_EQ(0, vt_write_file("/proc/sys/net/ipv4/ip_forward", "1"));
}

FIXTURE_TEARDOWN(stack)
{
	close(self->out);
	vt_rig_close(&self->rig);
}

/* The next TCP segment of the plain tap; its bytes, or an error. */
static int segment(int fd, uint32_t *seq)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct iphdr *ip = (void *)(got + ETH_HLEN);
	struct tcphdr *tcp = (void *)(ip + 1);
	int n;

	do {
		n = read(fd, got, sizeof(got));
		if (n < 0 && (errno != EAGAIN || poll(&p, 1, VT_TIMEOUT) < 1))
			return -ETIMEDOUT;
	} while (n < HEADERS || got[12] != 8 || got[13] ||
		 ip->protocol != IPPROTO_TCP);
	if (fold(sum(0, ip, 20)) != 0xffff || ip->ttl != 63 ||
	    fold(sum(pseudo(ip), tcp, ntohs(ip->tot_len) - 20)) != 0xffff)
		return -EBADMSG;
	*seq = ntohl(tcp->seq);
	return ntohs(ip->tot_len) - 40;
}

/*
 * A receiver without TSO gets segments, and a packet socket on the tap the
 * frame as it was sent, with no more than its headers in the skb's head.
 */
TEST_F_TIMEOUT(stack, segmented_and_cloned, 300)
{
	static const unsigned int lens[] = {
		60, 1514, 3000, 4300, 5000, 16000, 33000, 65000, 65535,
	};
	unsigned int i, j;

	for (i = 0; i < 3 * ARRAY_SIZE(lens); i++) {
		size_t len = lens[i % ARRAY_SIZE(lens)], done;
		uint32_t seq = 1000 * i, at;
		struct virtio_net_hdr hdr, sent;
		int n;

		sent = tcp_frame(len, self->mac, seq);
		if (len <= 1514) {
			sent.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
			sent.csum_start = 34;
			sent.csum_offset = 16;
		}
		put(&self->rig, i, &sent, len);
		vt_vq_kick(&self->rig.vq[VT_VQ_TX]);
		ASSERT_EQ(0, reap(&self->rig.vq[VT_VQ_TX]));

		n = vt_packet_recv(self->rig.tap.sock, &hdr, got,
				   sizeof(got), VT_TIMEOUT);
		ASSERT_EQ((int)len, n);
		EXPECT_EQ(0, memcmp(got, frame, len)) {
			TH_LOG("%zu bytes in the packet socket", len);
		}
		if (len > 4096) {
			EXPECT_LE(hdr.hdr_len, 256) {
				TH_LOG("%zu bytes, %u of them linear", len,
				       hdr.hdr_len);
			}
		}
		for (done = 0; done < len - HEADERS; done += n) {
			n = segment(self->out, &at);
			ASSERT_LT(0, n) {
				TH_LOG("%zu bytes: %d at %zu", len, n, done);
			}
			ASSERT_GE(MSS + 12, n);
			ASSERT_EQ(seq + done, at);
			for (j = 0; j < (unsigned int)n; j++)
				if (got[HEADERS + j] !=
				    frame[HEADERS + done + j])
					break;
			ASSERT_EQ((unsigned int)n, j) {
				TH_LOG("%zu bytes: byte %zu", len, done + j);
			}
		}
	}
}

/* --------------------------------------------------- a tap without pages */

FIXTURE(napi)
{
	struct vt_rig rig;
	struct vt_tap tap;
};

/* A tap that makes its fragments of the lengths in an iovec. */
static int open_napi_tap(unsigned int hdr_len)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_NAPI |
			     IFF_NAPI_FRAGS,
		.ifr_name = "napi",
	};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	int sndbuf = 0x7fffffff;

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ||
	    ioctl(fd, TUNSETVNETHDRSZ, &hdr_len) ||
	    ioctl(fd, TUNSETSNDBUF, &sndbuf) || vt_if_up("napi", 65521))
		return -1;
	return fd;
}

FIXTURE_SETUP(napi)
{
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX), .no_start = true,
	};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	self->tap.fd = open_napi_tap(self->rig.dev.hdr_len);
	ASSERT_LE(0, self->tap.fd);
	self->tap.sock = vt_packet_open(if_nametoindex("napi"), true);
	ASSERT_LE(0, self->tap.sock);
	ASSERT_EQ(0, vt_vq_start(&self->rig.vq[VT_VQ_TX], self->tap.fd));
}

FIXTURE_TEARDOWN(napi)
{
	vt_rig_close(&self->rig);
	vt_tap_close(&self->tap);
}

/* It gets its frames by user access. */
TEST_F_TIMEOUT(napi, whole, 100)
{
	static const uint8_t nobody[6] = { 2, 9, 9, 9, 9, 9 };
	struct vt_vq *vq = &self->rig.vq[VT_VQ_TX];
	struct virtio_net_hdr hdr;
	unsigned int i;

	for (i = 0; i < 20; i++) {
		size_t len = 4300 + 2900 * i;

		hdr = tcp_frame(len, nobody, 1000 * i);
		put(&self->rig, i, &hdr, len);
		vt_vq_kick(vq);
		ASSERT_EQ(0, reap(vq));
		ASSERT_EQ((int)len,
			  vt_packet_recv(self->tap.sock, &hdr, got, sizeof(got),
					 VT_TIMEOUT));
		ASSERT_EQ(0, memcmp(got, frame, len)) {
			TH_LOG("%zu bytes", len);
		}
	}
}

/* --------------------------------------------------------------------- used */

/* A page of the process that is missing until released. */
struct gap {
	int fd;
	unsigned long page;
};

static int gap_open(struct gap *gap, void *page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, VT_PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	gap->page = (uintptr_t)page;
	gap->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (gap->fd < 0)
		return -errno;
	if (madvise(page, VT_PAGE, MADV_DONTNEED) ||
	    ioctl(gap->fd, UFFDIO_API, &api) ||
	    ioctl(gap->fd, UFFDIO_REGISTER, &reg))
		return -errno;
	return 0;
}

/* Wait until somebody needs the page. */
static int gap_wait(struct gap *gap)
{
	struct pollfd p = { .fd = gap->fd, .events = POLLIN };

	return poll(&p, 1, VT_TIMEOUT) == 1 ? 0 : -ETIMEDOUT;
}

static void gap_release(struct gap *gap)
{
	struct uffdio_zeropage zero = { .range = { gap->page, VT_PAGE } };

	ioctl(gap->fd, UFFDIO_ZEROPAGE, &zero);
	close(gap->fd);
}

FIXTURE(used)
{
	struct vt_rig rig;
	struct gap gap;
	char *param;
};

FIXTURE_VARIANT(used) { bool by_user; };
FIXTURE_VARIANT_ADD(used, kernel) {};
FIXTURE_VARIANT_ADD(used, user) { true };

#define ACCESS	"/sys/module/vhost_mmu/parameters/metadata_access"

FIXTURE_SETUP(used)
{
	/* avail_event lies in a page of its own */
	struct vt_rig_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX), .num = 512,
	};

	if (!vt_dev_is_ours())
		SKIP(return, "stock gives a buffer back with the next one");
	if (variant->by_user)
		ASSERT_EQ(0, vt_write_file(ACCESS, "user"));
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	ASSERT_EQ(0, flood(&self->rig, 60, 1));
	ASSERT_EQ(60, vt_packet_recv(self->rig.tap.sock,
				     &(struct virtio_net_hdr){}, got,
				     VT_MAX_FRAME, VT_TIMEOUT));
}

FIXTURE_TEARDOWN(used)
{
	vt_rig_close(&self->rig);
	vt_write_file(ACCESS, "kernel");
}

static int wait_more_used(struct vt_vq *vq)
{
	uint64_t end = vt_patient_ns() + 1000000ULL * vt_timeout_ms(3000);

	while (!vt_vq_more_used(vq)) {
		if (vt_patient_ns() > end)
			return -ETIMEDOUT;
		usleep(1000);
	}
	return 0;
}

/* A large packet is given back when it is sent, whatever the next one needs. */
TEST_F_TIMEOUT(used, each_large_one, 100)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	struct virtio_net_hdr hdr = tcp_frame(30000, (uint8_t *)"\2", 0);

	put(rig, 0, &hdr, 30000);
	put(rig, 1, &hdr, 30000);
	ASSERT_EQ(0, gap_open(&self->gap, (char *)rig->buf[VT_VQ_TX] + SLOT +
				     2 * VT_PAGE));
	vt_vq_kick(vq);
	EXPECT_EQ(0, gap_wait(&self->gap));
	EXPECT_EQ(0, wait_more_used(vq));
	gap_release(&self->gap);
	EXPECT_EQ(0, reap(vq));
	EXPECT_EQ(0, reap(vq));
}

/* A packet is sent and given back before the driver is asked to kick again. */
TEST_F_TIMEOUT(used, sent_before_asking, 100)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	struct virtio_net_hdr hdr = tcp_frame(60, (uint8_t *)"\2", 0);

	if (!variant->by_user)
		SKIP(return, "the pages of the ring are there all the time");
	put(rig, 0, &hdr, 60);
	ASSERT_EQ(0, gap_open(&self->gap, (void *)((uintptr_t)&vq->used
			->ring[512] & ~(VT_PAGE - 1))));
	vt_vq_publish(vq);
	vt_vq_notify(vq);
	EXPECT_EQ(0, gap_wait(&self->gap));
	EXPECT_EQ(60, vt_packet_recv(rig->tap.sock, &hdr, got, VT_MAX_FRAME,
				     vt_timeout_ms(3000)));
	EXPECT_EQ(0, wait_more_used(vq));
	gap_release(&self->gap);
	EXPECT_EQ(0, reap(vq));
}

TEST_HARNESS_MAIN
