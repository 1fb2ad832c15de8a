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
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
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

#include "marker.h"
#include "tap.h"

#define HDR_LEN		sizeof(struct virtio_net_hdr_v1)
#define BUF_SIZE	2048
#define MAX_SIZE	1514
#define MIN_SIZE	(ETH_HLEN + sizeof(uint64_t))
/* An EtherType reserved for local experiments: no protocol answers to it. */
#define ETHERTYPE	0x88b5
#define NAP_NS		20000
#define STALL_S		20

enum mode { TX_DROP, TX_STACK, RX };

static const char *const mode_names[] = { "tx-drop", "tx-stack", "rx", NULL };

enum { VQ_RX, VQ_TX, VQ_MAX };

/* One split ring, its buffers and the driver's view of it. */
struct vq {
	struct vring ring;
	uint8_t *bufs;
	int kick;
	int call;
	/* Indices as in the rings: free running, modulo 2^16. */
	uint16_t avail;
	uint16_t kicked;
	uint16_t used;
	/* Descriptors the driver holds, as a stack. */
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
	bool fifo;
	uint64_t packets;
	uint64_t warmup;
} opt = {
	.mode = -1,
	.size = 64,
	.num = 256,
	.batch = 64,
	.window = 96,
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

static void init_vq(unsigned int index, uint8_t *mem, size_t ring_size)
{
	struct vq *vq = &vqs[index];
	struct vhost_vring_state num = { .index = index, .num = opt.num };
	struct vhost_vring_state base = { .index = index };
	struct vhost_vring_addr addr = { .index = index };
	struct vhost_vring_file file = { .index = index };

	vring_init(&vq->ring, opt.num, mem, 4096);
	vq->bufs = mem + ring_size;
	vq->kick = check(eventfd(0, EFD_NONBLOCK), "eventfd");
	vq->call = check(eventfd(0, EFD_NONBLOCK), "eventfd");
	vq->free = calloc(opt.num, sizeof(*vq->free));
	vq->busy = calloc(opt.num, sizeof(*vq->busy));
	if (!vq->free || !vq->busy)
		die("out of memory");
	for (unsigned int i = 0; i < opt.num; i++) {
		vq->ring.desc[i].addr = (uintptr_t)(vq->bufs + i * BUF_SIZE);
		vq->free[vq->nfree++] = opt.num - 1 - i;
	}
	/* The driver polls: leave the used event as far away as possible. */
	vring_used_event(&vq->ring) = 0xffff;

	addr.desc_user_addr = (uintptr_t)vq->ring.desc;
	addr.avail_user_addr = (uintptr_t)vq->ring.avail;
	addr.used_user_addr = (uintptr_t)vq->ring.used;
	VHOST(VHOST_SET_VRING_NUM, &num);
	VHOST(VHOST_SET_VRING_BASE, &base);
	VHOST(VHOST_SET_VRING_ADDR, &addr);
	file.fd = vq->kick;
	VHOST(VHOST_SET_VRING_KICK, &file);
	file.fd = vq->call;
	VHOST(VHOST_SET_VRING_CALL, &file);
}

static void start_device(void)
{
	uint64_t offered = 0, wanted = 1ULL << VIRTIO_F_VERSION_1 |
				   1ULL << VIRTIO_RING_F_EVENT_IDX |
				   1ULL << VIRTIO_NET_F_MRG_RXBUF;
	size_t ring_size = (vring_size(opt.num, 4096) + 4095) & ~4095UL;
	size_t vq_size = ring_size + (size_t)opt.num * BUF_SIZE;
	uint8_t *mem = map_pages(VQ_MAX * vq_size);
	struct vhost_memory *table = calloc(1, sizeof(*table) + sizeof(table->regions[0]));

	vhost_fd = open(opt.dev, O_RDWR);
	if (vhost_fd < 0)
		die("%s: %s (is the module loaded?)", opt.dev, strerror(errno));
	VHOST(VHOST_SET_OWNER, NULL);
	VHOST(VHOST_GET_FEATURES, &offered);
	if (wanted & ~offered)
		die("%s does not offer features %#llx", opt.dev,
		    (unsigned long long)(wanted & ~offered));
	VHOST(VHOST_SET_FEATURES, &wanted);

	/* Guest addresses are the driver's own virtual addresses. */
	if (!table)
		die("out of memory");
	table->nregions = 1;
	table->regions[0].guest_phys_addr = (uintptr_t)mem;
	table->regions[0].userspace_addr = (uintptr_t)mem;
	table->regions[0].memory_size = VQ_MAX * vq_size;
	VHOST(VHOST_SET_MEM_TABLE, table);
	free(table);

	for (unsigned int i = 0; i < VQ_MAX; i++)
		init_vq(i, mem + i * vq_size, ring_size);
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
static void post(struct vq *vq, uint32_t len, uint16_t flags)
{
	uint16_t id = vq->free[--vq->nfree];

	vq->ring.desc[id].len = len;
	vq->ring.desc[id].flags = flags;
	vq->busy[id] = true;
	vq->ring.avail->ring[vq->avail++ % opt.num] = id;
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

/* Take one buffer back.  Return: its index, -1 if none is there. */
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
	if (id >= opt.num || !vq->busy[id])
		die("the device returned buffer %u, which it does not own", id);
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

static void fill_packet(uint8_t *frame, uint64_t seq)
{
	static const struct ethhdr eth = {
		.h_dest = { 0x02, 0, 0, 0, 0, 1 },
		.h_source = { 0x02, 0, 0, 0, 0, 2 },
	};

	memcpy(frame, &eth, ETH_HLEN);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	memcpy(frame + ETH_HLEN, &seq, sizeof(seq));
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
		for (unsigned int i = 0; i < opt.batch && sent < count &&
		     sent - done < opt.window; i++) {
			uint16_t id = vq->free[vq->nfree - 1];

			fill_packet(vq->bufs + id * BUF_SIZE + HDR_LEN, seq_out++);
			post(vq, HDR_LEN + opt.size, 0);
			sent++;
		}
		kick(vq);
		nap(sent + done != before);
	}
}

static void check_packet(const struct vq *vq, int id, uint32_t len)
{
	const uint8_t *buf = vq->bufs + id * BUF_SIZE;
	uint64_t seq;

	memcpy(&seq, buf + HDR_LEN + ETH_HLEN, sizeof(seq));
	if (len != HDR_LEN + opt.size || seq != seq_in)
		die("received packet %llu with length %u, expected packet %llu with length %zu",
		    (unsigned long long)seq, len, (unsigned long long)seq_in,
		    HDR_LEN + opt.size);
	seq_in++;
}

static void run_rx(uint64_t count)
{
	struct vq *vq = &vqs[VQ_RX];
	uint64_t sent = 0, done = 0;
	uint8_t frame[MAX_SIZE] = { 0 };
	uint32_t len;
	int id;

	while (done < count) {
		uint64_t before = sent + done;

		while ((id = reap(vq, &len)) >= 0) {
			check_packet(vq, id, len);
			done++;
		}
		while (vq->nfree)
			post(vq, BUF_SIZE, VRING_DESC_F_WRITE);
		kick(vq);
		/* The window is no larger than the ring: nothing is dropped. */
		for (unsigned int i = 0; i < opt.batch && sent < count &&
		     sent - done < opt.window; i++) {
			fill_packet(frame, seq_out++);
			tap_send(&tap, frame, opt.size);
			sent++;
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
"Drive a vhost-net node from user space and print one line of JSON.\n"
"\n"
"  --dev NODE       the node: /dev/vhost-net, /dev/vhost-mmu-net\n"
"  --mode MODE      tx-drop   transmit, dropped by the tap's native XDP program\n"
"                   tx-stack  transmit into the host stack\n"
"                   rx        receive from an AF_PACKET sender in this process\n"
"  --packets N      packets counted (%llu)\n"
"  --warmup N       packets before the count starts (%llu)\n"
"  --size BYTES     frame size, %zu to %d (%u)\n"
"  --ring N         ring size, a power of two up to 32768 (%u)\n"
"  --batch N        packets between two looks at the ring (%u)\n"
"  --window N       packets under way at most, up to the ring size (%u)\n"
"  --fifo           driver and sender run before the worker (SCHED_FIFO)\n"
"  --kallsyms FILE  save the kernel's symbols once everything is set up\n"
"\n"
"Exit status 0: every packet came out; 1: anything else.  Needs root.\n",
		(unsigned long long)opt.packets, (unsigned long long)opt.warmup,
		MIN_SIZE, MAX_SIZE, opt.size, opt.num, opt.batch, opt.window);
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
		{ "fifo", no_argument, NULL, 'f' },
		{ "kallsyms", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
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
			opt.size = number("size", optarg, MIN_SIZE, MAX_SIZE);
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
		case 'f':
			opt.fifo = true;
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
	if (!opt.dev || opt.mode < 0 || optind != argc) {
		usage(stderr);
		exit(1);
	}
	if (opt.num & (opt.num - 1))
		die("--ring wants a power of two, not %u", opt.num);
	if (opt.window > opt.num)
		die("--window %u is larger than the ring of %u", opt.window, opt.num);
}

int main(int argc, char **argv)
{
	void (*run)(uint64_t count);
	uint64_t ns;

	parse(argc, argv);
	run = opt.mode == RX ? run_rx : run_tx;
	tap_open(&tap, HDR_LEN);
	if (opt.mode == TX_DROP)
		tap_drop(&tap);
	if (opt.mode == RX)
		tap_open_sender(&tap);
	start_device();
	if (opt.kallsyms)
		save_kallsyms();

	if (opt.fifo)
		become_fifo();

	run(opt.warmup);
	if (opt.mode != RX)
		tap_expect(&tap, opt.warmup, opt.size);
	kicks = 0;
	naps = 0;
	ns = now_ns();
	mark(MARK_BEGIN);
	run(opt.packets);
	mark(MARK_END);
	ns = now_ns() - ns;

	/* run_rx() has checked every packet; used buffers prove little for TX. */
	if (opt.mode != RX)
		tap_expect(&tap, opt.packets, opt.size);
	printf("{\"dev\": \"%s\", \"mode\": \"%s\", \"packets\": %llu, \"size\": %u, \"ring\": %u, "
	       "\"batch\": %u, \"window\": %u, \"fifo\": %s, \"ns\": %llu, \"kicks\": %llu, \"naps\": %llu, "
	       "\"xdp\": [%llu, %u]}\n",
	       opt.dev, mode_names[opt.mode], (unsigned long long)opt.packets, opt.size,
	       opt.num, opt.batch, opt.window, opt.fifo ? "true" : "false",
	       (unsigned long long)ns, (unsigned long long)kicks,
	       (unsigned long long)naps, (unsigned long long)tap.xdp_image, tap.xdp_size);
	return 0;
}
