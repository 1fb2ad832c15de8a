// SPDX-License-Identifier: GPL-2.0
/*
 * vbench: a user-space virtio-net driver that gives a vhost-net node a fixed
 * amount of work and proves that the work was done.
 *
 * tap.c has the far side, a tap in a network namespace.  The driver never
 * spins: with nothing to do it sleeps 20 us, which on one virtual CPU is what
 * lets the vhost worker run.
 *
 * Modes:
 *   tx-drop   the tap drops every packet in its native XDP program
 *   tx-stack  the tap hands every packet to the host stack, which has no
 *             protocol for it
 *   rx        an AF_PACKET socket sends through the tap into the ring
 *   send      the same socket alone: no device, the tap throws away what
 *             nobody fetches
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "frame.h"
#include "marker.h"
#include "tap.h"

#define HDR_LEN		sizeof(struct virtio_net_hdr_v1)
#define BUF_SIZE	2048
#define PAGE		4096
#define NAP_NS		20000
#define STALL_S		20

enum mode { TX_DROP, TX_STACK, RX, SEND };

static const char *const mode_names[] = { "tx-drop", "tx-stack", "rx", "send", NULL };

enum { VQ_RX, VQ_TX, VQ_MAX };

/*
 * One split ring, its buffers and the driver's view of it.  A buffer always has
 * the same descriptors, in a row or in a table of its own.
 */
struct vq {
	struct vring ring;
	uint8_t *tables;
	uint8_t *bufs;
	size_t buf_size;
	unsigned int nbufs;
	/* Descriptors of a buffer, and how many of them are in the ring. */
	unsigned int pieces;
	unsigned int slots;
	int kick;
	int call;
	/* Indices as in the rings: free running, modulo 2^16. */
	uint16_t avail;
	uint16_t kicked;
	uint16_t used;
	/* Buffers the driver holds, as a stack. */
	unsigned int nfree;
	uint16_t *free;
	bool *busy;
};

static struct {
	const char *dev;
	const char *kallsyms;
	int mode;
	unsigned int size;
	unsigned int num;
	unsigned int batch;
	unsigned int window;
	unsigned int piece;
	bool gso;
	bool indirect;
	bool fifo;
	bool log;
	uint64_t packets;
	uint64_t warmup;
} opt = {
	.mode = -1,
	.num = 256,
	.batch = 64,
	.window = 96,
	.piece = PAGE,
	.packets = 20000,
	.warmup = 2000,
};

static struct vq vqs[VQ_MAX];
static struct tap tap;
static int vhost_fd;
static uint64_t kicks, naps;
/* Sequence numbers: of the next packet to send, and the next to receive. */
static uint64_t seq_out, seq_in;

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void *map_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	return p;
}

/* The device. */

static void vhost_ioctl(unsigned long request, const void *arg, const char *name)
{
	if (ioctl(vhost_fd, request, arg) < 0)
		die("%s on %s: %s", name, opt.dev, strerror(errno));
}

#define VHOST(req, arg) vhost_ioctl(req, arg, #req)

/* What a buffer of this queue is made of, and how many there are. */
static void size_vq(unsigned int index)
{
	struct vq *vq = &vqs[index];

	vq->buf_size = BUF_SIZE;
	vq->pieces = 1;
	vq->slots = 1;
	vq->nbufs = opt.num;
	if (index == VQ_RX || !opt.gso)
		return;

	/* The headers on a page of their own, the data page by page or so. */
	vq->pieces += (opt.size - GSO_HDRS + opt.piece - 1) / opt.piece;
	vq->buf_size = PAGE + (opt.size - GSO_HDRS + PAGE - 1) / PAGE * PAGE;
	vq->slots = opt.indirect ? 1 : vq->pieces;
	vq->nbufs = opt.num / vq->slots;
	if (!vq->nbufs)
		die("a packet takes %u descriptors, more than the ring of %u has",
		    vq->pieces, opt.num);
	if (vq->nbufs > opt.window)
		vq->nbufs = opt.window;
}

static size_t ring_bytes(void)
{
	return (vring_size(opt.num, PAGE) + PAGE - 1) / PAGE * PAGE;
}

static size_t table_bytes(const struct vq *vq)
{
	if (vq->pieces == vq->slots)
		return 0;
	return (vq->pieces * sizeof(struct vring_desc) + PAGE - 1) / PAGE * PAGE;
}

static size_t vq_bytes(const struct vq *vq)
{
	return ring_bytes() + vq->nbufs * (table_bytes(vq) + vq->buf_size);
}

/* Write the descriptors of a buffer: they stay as they are. */
static void describe(struct vq *vq, unsigned int buf, uint16_t flags)
{
	uint8_t *data = vq->bufs + buf * vq->buf_size;
	struct vring_desc *desc = &vq->ring.desc[buf * vq->slots];
	size_t left = flags & VRING_DESC_F_WRITE ? BUF_SIZE : HDR_LEN + opt.size;
	unsigned int next = buf * vq->slots;

	if (vq->pieces != vq->slots) {
		desc->addr = (uintptr_t)(vq->tables + buf * table_bytes(vq));
		desc->len = vq->pieces * sizeof(*desc);
		desc->flags = VRING_DESC_F_INDIRECT;
		desc = (void *)(uintptr_t)desc->addr;
		next = 0;
	}
	for (unsigned int i = 0; i < vq->pieces; i++) {
		size_t len = left;

		if (vq->pieces > 1)
			len = i ? opt.piece : HDR_LEN + GSO_HDRS;
		if (len > left)
			len = left;
		left -= len;
		desc[i].addr = (uintptr_t)(i ? data + PAGE + (i - 1) * opt.piece : data);
		desc[i].len = len;
		desc[i].flags = flags | (left ? VRING_DESC_F_NEXT : 0);
		desc[i].next = left ? ++next : 0;
	}
	if (!(flags & VRING_DESC_F_WRITE) && opt.gso)
		frame_gso_headers(data, data + HDR_LEN, opt.size);
}

static void init_vq(unsigned int index, uint8_t *mem)
{
	struct vq *vq = &vqs[index];
	struct vhost_vring_state num = { .index = index, .num = opt.num };
	struct vhost_vring_state base = { .index = index };
	struct vhost_vring_addr addr = { .index = index };
	struct vhost_vring_file file = { .index = index };

	vring_init(&vq->ring, opt.num, mem, PAGE);
	vq->tables = mem + ring_bytes();
	vq->bufs = vq->tables + vq->nbufs * table_bytes(vq);
	vq->kick = check(eventfd(0, EFD_NONBLOCK), "eventfd");
	vq->call = check(eventfd(0, EFD_NONBLOCK), "eventfd");
	vq->free = calloc(vq->nbufs, sizeof(*vq->free));
	vq->busy = calloc(vq->nbufs, sizeof(*vq->busy));
	if (!vq->free || !vq->busy)
		die("out of memory");
	for (unsigned int i = 0; i < vq->nbufs; i++) {
		describe(vq, i, index == VQ_RX ? VRING_DESC_F_WRITE : 0);
		vq->free[vq->nfree++] = vq->nbufs - 1 - i;
	}
	/* The driver polls: leave the used event as far away as possible. */
	vring_used_event(&vq->ring) = 0xffff;

	addr.desc_user_addr = (uintptr_t)vq->ring.desc;
	addr.avail_user_addr = (uintptr_t)vq->ring.avail;
	addr.used_user_addr = (uintptr_t)vq->ring.used;
	if (opt.log) {
		addr.flags = 1 << VHOST_VRING_F_LOG;
		addr.log_guest_addr = addr.used_user_addr;
	}
	VHOST(VHOST_SET_VRING_NUM, &num);
	VHOST(VHOST_SET_VRING_BASE, &base);
	VHOST(VHOST_SET_VRING_ADDR, &addr);
	file.fd = vq->kick;
	VHOST(VHOST_SET_VRING_KICK, &file);
	file.fd = vq->call;
	VHOST(VHOST_SET_VRING_CALL, &file);
}

/* A dirty log of guest memory alone: the bitmap begins far below it. */
static void start_log(const uint8_t *mem, size_t size, uint64_t features)
{
	const uint64_t first = (uintptr_t)mem / PAGE / 8;
	uint64_t base = (uintptr_t)map_pages(size / PAGE / 8 + 2) - first;

	VHOST(VHOST_SET_LOG_BASE, &base);
	features |= 1ULL << VHOST_F_LOG_ALL;
	VHOST(VHOST_SET_FEATURES, &features);
}

static void start_device(void)
{
	uint64_t offered = 0, wanted = 1ULL << VIRTIO_F_VERSION_1 |
				   1ULL << VIRTIO_RING_F_EVENT_IDX |
				   1ULL << VIRTIO_NET_F_MRG_RXBUF;
	struct vhost_memory *table = calloc(1, sizeof(*table) + sizeof(table->regions[0]));
	uint8_t *mem;
	size_t size;

	if (opt.indirect)
		wanted |= 1ULL << VIRTIO_RING_F_INDIRECT_DESC;
	vhost_fd = open(opt.dev, O_RDWR);
	if (vhost_fd < 0)
		die("%s: %s (is the module loaded?)", opt.dev, strerror(errno));
	VHOST(VHOST_SET_OWNER, NULL);
	VHOST(VHOST_GET_FEATURES, &offered);
	if (wanted & ~offered)
		die("%s does not offer features %#llx", opt.dev,
		    (unsigned long long)(wanted & ~offered));
	VHOST(VHOST_SET_FEATURES, &wanted);

	for (unsigned int i = 0; i < VQ_MAX; i++)
		size_vq(i);
	size = vq_bytes(&vqs[VQ_RX]) + vq_bytes(&vqs[VQ_TX]);
	mem = map_pages(size);

	/* Guest addresses are the driver's own virtual addresses. */
	if (!table)
		die("out of memory");
	table->nregions = 1;
	table->regions[0].guest_phys_addr = (uintptr_t)mem;
	table->regions[0].userspace_addr = (uintptr_t)mem;
	table->regions[0].memory_size = size;
	VHOST(VHOST_SET_MEM_TABLE, table);
	free(table);

	if (opt.log)
		start_log(mem, size, wanted);
	init_vq(VQ_RX, mem);
	init_vq(VQ_TX, mem + vq_bytes(&vqs[VQ_RX]));
	for (unsigned int i = 0; i < VQ_MAX; i++) {
		struct vhost_vring_file backend = { .index = i, .fd = tap.fd };

		VHOST(VHOST_NET_SET_BACKEND, &backend);
	}
}

/* The driver. */

/*
 * Run before everything else on this CPU, the worker included.  Otherwise the
 * scheduler decides how often a packet's wake-up preempts the sender, and that
 * outweighs the difference between two devices.  The worker exists already, so
 * it does not inherit this.
 */
static void become_fifo(void)
{
	struct sched_param param = { .sched_priority = 1 };

	check(sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO");
}

/* Give the device one buffer; the index is published by kick(). */
static void post(struct vq *vq)
{
	uint16_t buf = vq->free[--vq->nfree];

	vq->busy[buf] = true;
	vq->ring.avail->ring[vq->avail++ % opt.num] = buf * vq->slots;
}

/* Publish what was posted and notify the device if it asked for that. */
static void kick(struct vq *vq)
{
	const uint64_t one = 1;
	uint16_t event;

	if (vq->avail == vq->kicked)
		return;
	__atomic_store_n(&vq->ring.avail->idx, vq->avail, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n((uint16_t *)&vring_avail_event(&vq->ring), __ATOMIC_RELAXED);
	if (vring_need_event(event, vq->avail, vq->kicked)) {
		kicks++;
		check(write(vq->kick, &one, sizeof(one)), "kick");
	}
	vq->kicked = vq->avail;
}

/* Take one buffer back.  Return: its number, -1 if none is there. */
static int reap(struct vq *vq, uint32_t *len)
{
	uint16_t idx = __atomic_load_n(&vq->ring.used->idx, __ATOMIC_ACQUIRE);
	struct vring_used_elem *e = &vq->ring.used->ring[vq->used % opt.num];
	uint32_t id;

	if (idx == vq->used)
		return -1;
	id = e->id;
	*len = e->len;
	if ((uint16_t)(vq->avail - idx) > opt.num)
		die("used index %u is ahead of avail index %u", idx, vq->avail);
	if (id % vq->slots || id / vq->slots >= vq->nbufs || !vq->busy[id / vq->slots])
		die("the device returned descriptor %u, which it does not own", id);
	id /= vq->slots;
	vq->busy[id] = false;
	vq->free[vq->nfree++] = id;
	vq->used++;
	/* Keep the used event half the index space behind. */
	vring_used_event(&vq->ring) = vq->used + 0x8000;
	return id;
}

/* Sleep when there was nothing to do; give up on a device that stands still. */
static void nap(bool progress)
{
	const struct timespec ts = { .tv_nsec = NAP_NS };
	static uint64_t since;

	if (progress) {
		since = 0;
		return;
	}
	if (!since)
		since = now_ns();
	else if (now_ns() - since > STALL_S * 1000000000ULL)
		die("no progress for %d s: tx %u of %u used, rx %u of %u used", STALL_S,
		    vqs[VQ_TX].used, vqs[VQ_TX].avail, vqs[VQ_RX].used, vqs[VQ_RX].avail);
	naps++;
	nanosleep(&ts, NULL);
}

static void run_tx(uint64_t count)
{
	struct vq *vq = &vqs[VQ_TX];
	uint64_t sent = 0, done = 0;
	uint32_t len;

	while (done < count) {
		uint64_t before = sent + done;

		while (reap(vq, &len) >= 0)
			done++;
		for (unsigned int i = 0; i < opt.batch && sent < count && vq->nfree &&
		     sent - done < opt.window; i++) {
			uint8_t *buf = vq->bufs + vq->free[vq->nfree - 1] * vq->buf_size;

			if (opt.gso)
				frame_gso_seq(buf + PAGE, opt.size - GSO_HDRS, seq_out++);
			else
				frame_plain(buf + HDR_LEN, seq_out++);
			post(vq);
			sent++;
		}
		kick(vq);
		nap(sent + done != before);
	}
}

/* What the header of a packet from the tap has to be. */
static void check_header(const struct virtio_net_hdr_v1 *hdr)
{
	struct virtio_net_hdr_v1 want = { };
	uint8_t headers[GSO_HDRS];

	if (opt.gso)
		frame_gso_headers(&want, headers, opt.size);
	/* A hint, which need not be the one that was sent. */
	want.hdr_len = hdr->hdr_len;
	want.num_buffers = (HDR_LEN + opt.size + BUF_SIZE - 1) / BUF_SIZE;
	if (memcmp(hdr, &want, sizeof(want)))
		die("received packet %llu with header flags %#x, GSO type %u and size %u, in %u buffers, "
		    "expected %#x, %u, %u, %u", (unsigned long long)seq_in, hdr->flags,
		    hdr->gso_type, hdr->gso_size, hdr->num_buffers, want.flags, want.gso_type,
		    want.gso_size, want.num_buffers);
}

/* Look at one received buffer.  Return: true if it ends a packet. */
static bool check_buffer(const struct vq *vq, int id, uint32_t len)
{
	static unsigned int left;
	static uint32_t total;
	const uint8_t *buf = vq->bufs + id * BUF_SIZE;
	const uint8_t *first = buf + HDR_LEN + (opt.gso ? GSO_HDRS : FRAME_HDRS);
	uint64_t seq = seq_in;

	if (!left) {
		check_header((const void *)buf);
		left = ((const struct virtio_net_hdr_v1 *)buf)->num_buffers;
		total = 0;
		memcpy(&seq, first, sizeof(seq));
	}
	total += len;
	if (--left && len != BUF_SIZE)
		die("packet %llu leaves %u bytes of a buffer empty", (unsigned long long)seq_in,
		    BUF_SIZE - len);
	if (!left && opt.gso && seq == seq_in && len <= BUF_SIZE)
		memcpy(&seq, buf + len - sizeof(seq), sizeof(seq));
	if (seq != seq_in || (!left && total != HDR_LEN + opt.size))
		die("received packet %llu with length %u, expected packet %llu with length %zu",
		    (unsigned long long)seq, total, (unsigned long long)seq_in,
		    HDR_LEN + opt.size);
	seq_in += !left;
	return !left;
}

static void run_rx(uint64_t count)
{
	/* The header for the socket, then the frame. */
	static uint8_t packet[sizeof(struct virtio_net_hdr) + GSO_MAX_SIZE];
	uint8_t *frame = packet + sizeof(struct virtio_net_hdr);
	struct vq *vq = &vqs[VQ_RX];
	unsigned int window = opt.num / ((HDR_LEN + opt.size + BUF_SIZE - 1) / BUF_SIZE);
	uint64_t sent = 0, done = 0;
	uint32_t len;
	int id;

	if (window > opt.window)
		window = opt.window;
	if (opt.gso)
		frame_gso_headers(packet, frame, opt.size);
	while (done < count) {
		uint64_t before = sent + done;

		while (opt.mode == RX && (id = reap(vq, &len)) >= 0)
			done += check_buffer(vq, id, len);
		while (vq->nfree)
			post(vq);
		if (opt.mode == RX)
			kick(vq);
		/* The window is no larger than the ring: nothing is dropped. */
		for (unsigned int i = 0; i < opt.batch && sent < count &&
		     sent - done < window; i++) {
			if (opt.gso) {
				frame_gso_seq(frame + GSO_HDRS, opt.size - GSO_HDRS, seq_out++);
				tap_send(&tap, packet, sizeof(struct virtio_net_hdr) + opt.size);
			} else {
				frame_plain(frame, seq_out++);
				tap_send(&tap, frame, opt.size);
			}
			sent++;
			done += opt.mode == SEND;
		}
		nap(sent + done != before);
	}
}

static void save_kallsyms(void)
{
	char buf[65536];
	ssize_t n;
	int in = check(open("/proc/kallsyms", O_RDONLY), "/proc/kallsyms");
	int out = check(open(opt.kallsyms, O_WRONLY | O_CREAT | O_TRUNC, 0644), opt.kallsyms);

	while ((n = check(read(in, buf, sizeof(buf)), "/proc/kallsyms")) > 0)
		if (write(out, buf, n) != n)
			die("%s: short write", opt.kallsyms);
	close(in);
	check(close(out), opt.kallsyms);
}

static void usage(FILE *f)
{
	fprintf(f,
"usage: vbench --dev NODE --mode tx-drop|tx-stack|rx [OPTION...]\n"
"       vbench --mode send [OPTION...]\n"
"Drive a vhost-net node from user space and print one line of JSON.\n"
"\n"
"  --dev NODE       the node: /dev/vhost-net, /dev/vhost-mmu-net\n"
"  --mode MODE      tx-drop   transmit, dropped by the tap's native XDP program\n"
"                   tx-stack  transmit into the host stack\n"
"                   rx        receive from an AF_PACKET sender in this process\n"
"                   send      that sender alone, with nobody to receive\n"
"  --packets N      packets counted (%llu)\n"
"  --warmup N       packets before the count starts (%llu)\n"
"  --size BYTES     frame size, %d to %d (64); with --gso %d to %d (%d)\n"
"  --gso            TCP packets that are to be cut into segments of %d bytes;\n"
"                   not for tx-drop: XDP copies what is not in one piece\n"
"  --piece BYTES    what a descriptor of such a packet holds, up to %d (%u)\n"
"  --indirect       its descriptors are in a table of their own\n"
"  --ring N         ring size, a power of two up to 32768 (%u)\n"
"  --batch N        packets between two looks at the ring (%u)\n"
"  --window N       packets under way at most, up to the ring size (%u)\n"
"  --fifo           driver and sender run before the worker (SCHED_FIFO)\n"
"  --log            the device logs what it writes, as during a migration\n"
"  --kallsyms FILE  save the kernel's symbols once everything is set up\n"
"\n"
"Exit status 0: every packet came out; 1: anything else.  Needs root.\n",
		(unsigned long long)opt.packets, (unsigned long long)opt.warmup,
		FRAME_MIN_SIZE, FRAME_MAX_SIZE, GSO_MIN_SIZE, GSO_MAX_SIZE, GSO_SIZE,
		GSO_SEGMENT, GSO_MAX_SIZE, opt.piece, opt.num, opt.batch, opt.window);
}

static uint64_t number(const char *name, const char *text, uint64_t min, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || *end || end == text || n < min || n > max)
		die("--%s wants a number from %llu to %llu, not '%s'", name,
		    (unsigned long long)min, (unsigned long long)max, text);
	return n;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dev", required_argument, NULL, 'd' },
		{ "mode", required_argument, NULL, 'm' },
		{ "packets", required_argument, NULL, 'p' },
		{ "warmup", required_argument, NULL, 'w' },
		{ "size", required_argument, NULL, 's' },
		{ "ring", required_argument, NULL, 'r' },
		{ "batch", required_argument, NULL, 'b' },
		{ "window", required_argument, NULL, 'W' },
		{ "gso", no_argument, NULL, 'g' },
		{ "piece", required_argument, NULL, 'P' },
		{ "indirect", no_argument, NULL, 'i' },
		{ "fifo", no_argument, NULL, 'f' },
		{ "log", no_argument, NULL, 'l' },
		{ "kallsyms", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool wants_dev;
	int c, i;

	while ((c = getopt_long(argc, argv, "h", options, &i)) != -1) {
		switch (c) {
		case 'd':
			opt.dev = optarg;
			break;
		case 'm':
			for (i = 0; mode_names[i]; i++)
				if (!strcmp(optarg, mode_names[i]))
					opt.mode = i;
			break;
		case 'p':
			opt.packets = number("packets", optarg, 1, UINT32_MAX);
			break;
		case 'w':
			opt.warmup = number("warmup", optarg, 0, UINT32_MAX);
			break;
		case 's':
			opt.size = number("size", optarg, FRAME_MIN_SIZE, GSO_MAX_SIZE);
			break;
		case 'r':
			opt.num = number("ring", optarg, 2, 32768);
			break;
		case 'b':
			opt.batch = number("batch", optarg, 1, 32768);
			break;
		case 'W':
			opt.window = number("window", optarg, 1, 32768);
			break;
		case 'g':
			opt.gso = true;
			break;
		case 'P':
			opt.piece = number("piece", optarg, 1, GSO_MAX_SIZE);
			break;
		case 'i':
			opt.indirect = true;
			break;
		case 'f':
			opt.fifo = true;
			break;
		case 'l':
			opt.log = true;
			break;
		case 'k':
			opt.kallsyms = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			exit(1);
		}
	}
	wants_dev = opt.mode != SEND;
	if (opt.mode < 0 || !wants_dev != !opt.dev || optind != argc) {
		usage(stderr);
		exit(1);
	}
	if (opt.num & (opt.num - 1))
		die("--ring wants a power of two, not %u", opt.num);
	if (opt.window > opt.num)
		die("--window %u is larger than the ring of %u", opt.window, opt.num);
	if (opt.gso && opt.mode == TX_DROP)
		die("--gso is not for tx-drop");
	if (opt.indirect && (!opt.gso || opt.mode != TX_STACK))
		die("--indirect wants --mode tx-stack and --gso");
	if (!opt.size)
		opt.size = opt.gso ? GSO_SIZE : 64;
	if (opt.gso ? opt.size < GSO_MIN_SIZE : opt.size > FRAME_MAX_SIZE)
		die("--size %u does not go %s --gso", opt.size, opt.gso ? "with" : "without");
	/* The number at the end of a received packet is looked for in one buffer. */
	if (opt.gso && (HDR_LEN + opt.size - 1) % BUF_SIZE < sizeof(uint64_t) - 1)
		die("--size %u puts the last bytes into two buffers, take a few more", opt.size);
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

int main(int argc, char **argv)
{
	void (*run)(uint64_t count);
	uint64_t ns;
	bool tx;

	parse(argc, argv);
	tx = opt.mode == TX_DROP || opt.mode == TX_STACK;
	run = tx ? run_tx : run_rx;
	tap_open(&tap, HDR_LEN);
	if (opt.mode == TX_DROP)
		tap_drop(&tap);
	if (!tx)
		tap_open_sender(&tap, opt.gso);
	tap.ip = opt.gso;
	if (opt.mode != SEND)
		start_device();
	if (opt.kallsyms)
		save_kallsyms();

	if (opt.fifo)
		become_fifo();

	run(opt.warmup);
	if (tx)
		tap_expect(&tap, opt.warmup, opt.size);
	kicks = 0;
	naps = 0;
	ns = now_ns();
	mark(MARK_BEGIN);
	run(opt.packets);
	mark(MARK_END);
	ns = now_ns() - ns;

	/* run_rx() has checked every packet; used buffers prove little for TX. */
	if (tx)
		tap_expect(&tap, opt.packets, opt.size);
	printf("{\"dev\": \"%s\", \"mode\": \"%s\", \"packets\": %llu, \"size\": %u, \"ring\": %u, "
	       "\"batch\": %u, \"window\": %u, \"gso\": %s, \"pieces\": %u, \"indirect\": %s, "
	       "\"fifo\": %s, \"ns\": %llu, \"kicks\": %llu, \"naps\": %llu, "
	       "\"xdp\": [%llu, %u]}\n",
	       opt.dev ? opt.dev : "none", mode_names[opt.mode],
	       (unsigned long long)opt.packets, opt.size, opt.num, opt.batch, opt.window,
	       truth(opt.gso), tx ? vqs[VQ_TX].pieces : 1, truth(opt.indirect), truth(opt.fifo),
	       (unsigned long long)ns, (unsigned long long)kicks,
	       (unsigned long long)naps, (unsigned long long)tap.xdp_image, tap.xdp_size);
	return 0;
}
