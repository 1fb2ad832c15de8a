// SPDX-License-Identifier: GPL-2.0
/* Random sequences of calls must get the answers that stock gives. */
/*
 * Each sequence is made from a number and so can be made again. One that is
 * answered differently is cut down to the calls that matter and printed.
 * ABI_SEED sets the first number, ABI_SEQUENCES how many there are, ABI_SECONDS
 * when to stop all the same.
 *
 * With one device only, it is compared with itself: nothing in here may depend
 * on timing.
 *
 * Timeout: 200 s
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kselftest.h>
#include "cmp.h"
#include "vhost_test.h"

#define SEQ_LEN		28
#define SEED		20240611
#define SEQUENCES	2000
/* with VT_FULL=1 and without */
#define SECONDS		(vt_full() ? 25 : 12)
#define WORKERS		8
#define MAX_BAD		3

/* A sequence is what it does: kinds of calls with numbers to choose by. */
struct call {
	unsigned char kind;
	unsigned char index;
	unsigned char a;
	unsigned char b;
};

struct sequence {
	/* what it was made from */
	unsigned int seed;
	unsigned int n;
	struct call call[SEQ_LEN];
};

/*
 * Ring parts and their like are far apart in here, and zero: no ring has work,
 * so when the worker looks makes no difference.
 */
static char *area;
#define AREA_SIZE	(8UL << 20)

static int fds[8];
enum {
	FD_TAP,
	FD_TAP2,
	FD_PACKET,
	FD_EVENT,
	FD_EVENT2,
	FD_NULL,
	FD_CLOSED,
	FD_NONE
};

static const unsigned int indices[] = {
	0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 0xffffffff
};

static const unsigned int nums[] = {
	256, 256, 256, 1, 2, 1024, 32768, 0, 3, 65536, 0xffffffff,
};

/*
 * With avail index 0 in memory a base must be 0, or so that there is either
 * more or nothing to do than any ring could hold.
 */
static const unsigned int bases[] = { 0, 0, 0, 0, 1, 255, 0x10000, 0xffffffff };
static const uint64_t features[] = {
	0, VT_F(VIRTIO_F_VERSION_1),
	VT_F(VIRTIO_F_VERSION_1) | VT_F(VIRTIO_NET_F_MRG_RXBUF),
	VT_F(VIRTIO_RING_F_EVENT_IDX), VT_F(VIRTIO_RING_F_INDIRECT_DESC),
	VT_F(VHOST_NET_F_VIRTIO_NET_HDR), VT_F(63), VT_F(VIRTIO_F_RING_PACKED),
};

static uint64_t pick_addr(unsigned char c, unsigned int part)
{
	uintptr_t good = (uintptr_t)area + part * (1 << 20);

	switch (c % 16) {
	case 0:
		return good + 1;
	case 1:
		return good + 2;
	case 2:
		return good + 4;
	case 3:
		return 0xffff888000000000ULL;
	case 4:
		return 0x10000;
	case 5:
		return 0;
	default:
		return good;
	}
}

#define PICK(array, c)	((array)[(c) % ARRAY_SIZE(array)])

enum kind {
	SET_OWNER, RESET_OWNER, SET_FEATURES, GET_FEATURES, MEM_TABLE, NUM,
	ADDR, SET_BASE, GET_BASE, KICK, CALL, ERR, BACKEND, SET_BUSY, GET_BUSY,
	KINDS
};

/* How often each comes up, of 64. */
static const unsigned char weights[KINDS] = {
	[SET_OWNER] = 6, [RESET_OWNER] = 2, [SET_FEATURES] = 4,
	[GET_FEATURES] = 1, [MEM_TABLE] = 6, [NUM] = 7, [ADDR] = 8,
	[SET_BASE] = 4, [GET_BASE] = 3, [KICK] = 4, [CALL] = 3, [ERR] = 2,
	[BACKEND] = 10, [SET_BUSY] = 2, [GET_BUSY] = 2,
};

static const struct {
	const char *name;
	unsigned long cmd;
} kinds[KINDS] = {
	[SET_OWNER] = { "SET_OWNER", VHOST_SET_OWNER },
	[RESET_OWNER] = { "RESET_OWNER", VHOST_RESET_OWNER },
	[SET_FEATURES] = { "SET_FEATURES", VHOST_SET_FEATURES },
	[GET_FEATURES] = { "GET_FEATURES", VHOST_GET_FEATURES },
	[MEM_TABLE] = { "SET_MEM_TABLE", VHOST_SET_MEM_TABLE },
	[NUM] = { "SET_VRING_NUM", VHOST_SET_VRING_NUM },
	[ADDR] = { "SET_VRING_ADDR", VHOST_SET_VRING_ADDR },
	[SET_BASE] = { "SET_VRING_BASE", VHOST_SET_VRING_BASE },
	[GET_BASE] = { "GET_VRING_BASE", VHOST_GET_VRING_BASE },
	[KICK] = { "SET_VRING_KICK", VHOST_SET_VRING_KICK },
	[CALL] = { "SET_VRING_CALL", VHOST_SET_VRING_CALL },
	[ERR] = { "SET_VRING_ERR", VHOST_SET_VRING_ERR },
	[BACKEND] = { "NET_SET_BACKEND", VHOST_NET_SET_BACKEND },
	[SET_BUSY] = { "SET_BUSYLOOP", VHOST_SET_VRING_BUSYLOOP_TIMEOUT },
	[GET_BUSY] = { "GET_BUSYLOOP", VHOST_GET_VRING_BUSYLOOP_TIMEOUT },
};

/* What a call is passed; also what is printed of it. */
union arg {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_file file;
	struct vhost_vring_addr addr;
	struct {
		struct vhost_memory mem;
		struct vhost_memory_region reg[3];
	};
};

/* Some arguments go to nowhere. */
static bool is_null(const struct call *c)
{
	return c->b >= 250;
}

static void make_arg(const struct call *c, union arg *arg)
{
	unsigned int index = PICK(indices, c->index), i;

	memset(arg, 0, sizeof(*arg));
	switch (c->kind) {
	case SET_FEATURES:
		arg->u64 = PICK(features, c->a);
		break;
	case MEM_TABLE:
		arg->mem.nregions = c->a % 4;
		arg->mem.padding = c->a >= 250;
		for (i = 0; i < 3; i++)
			arg->reg[i] = (struct vhost_memory_region){
				i << 28, AREA_SIZE - c->b, (uintptr_t)area, 0,
			};
		if (c->b % 16 == 0)
			arg->reg[0].memory_size = 0;
		if (c->b % 16 == 1)
			arg->reg[0].userspace_addr = 0xffff888000000000ULL;
		break;
	case NUM:
		arg->state =
			(struct vhost_vring_state){ index, PICK(nums, c->a) };
		break;
	case SET_BASE:
		arg->state =
			(struct vhost_vring_state){ index, PICK(bases, c->a) };
		break;
	case SET_BUSY:
		arg->state = (struct vhost_vring_state){ index, c->a % 3 };
		break;
	case GET_BASE:
	case GET_BUSY:
		arg->state.index = index;
		break;
	case ADDR:
		arg->addr = (struct vhost_vring_addr){
			.index = index,
			.flags = c->a >= 240 ? 2 : 0,
			.desc_user_addr = pick_addr(c->a, 3 * (index & 1)),
			.avail_user_addr = pick_addr(c->b, 3 * (index & 1) + 1),
			.used_user_addr =
				pick_addr(c->a ^ c->b, 3 * (index & 1) + 2),
		};
		break;
	case KICK:
	case CALL:
	case ERR:
	case BACKEND:
		arg->file.index = index;
		i = c->a % 16;
		/* mostly what belongs there */
		if (i < ARRAY_SIZE(fds))
			arg->file.fd = fds[i];
		else if (c->kind == BACKEND)
			arg->file.fd = i < 11 ? -1 : fds[FD_TAP + i % 2];
		else
			arg->file.fd = fds[FD_EVENT + i % 2];
		break;
	}
}

static void run_sequence(struct vt_cmp *t, void *arg)
{
	struct sequence *s = arg;
	unsigned int i;

	for (i = 0; i < s->n; i++) {
		const struct call *c = &s->call[i];
		union arg a;
		long ret;

		make_arg(c, &a);
		ret = vt_cmp_ioctl(t, kinds[c->kind].name, kinds[c->kind].cmd,
				   is_null(c) ? NULL : &a, VT_CMP_ANY);
		if (!ret && !is_null(c) &&
		    (c->kind == GET_BASE || c->kind == GET_BUSY))
			vt_cmp_answer(t, a.state.num, VT_CMP_ANY, "value");
	}
}

static void print_call(unsigned int i, const struct call *c)
{
	union arg a;

	make_arg(c, &a);
	if (is_null(c))
		ksft_print_msg("  %2u %s NULL\n", i, kinds[c->kind].name);
	else if (c->kind == SET_FEATURES)
		ksft_print_msg("  %2u %s %#llx\n", i, kinds[c->kind].name,
			       (unsigned long long)a.u64);
	else if (c->kind == MEM_TABLE)
		ksft_print_msg("  %2u %s regions %u padding %u size %#llx hva %#llx\n",
			       i, kinds[c->kind].name, a.mem.nregions,
			       a.mem.padding,
			       (unsigned long long)a.reg[0].memory_size,
			       (unsigned long long)a.reg[0].userspace_addr);
	else if (c->kind == ADDR)
		ksft_print_msg("  %2u %s %u flags %u desc %#llx avail %#llx used %#llx\n",
			       i, kinds[c->kind].name, a.addr.index, a.addr.flags,
			       (unsigned long long)a.addr.desc_user_addr,
			       (unsigned long long)a.addr.avail_user_addr,
			       (unsigned long long)a.addr.used_user_addr);
	else
		ksft_print_msg("  %2u %s %u, %d\n", i, kinds[c->kind].name,
			       a.file.index, a.file.fd);
}

static unsigned int rng;

static unsigned int next_random(void)
{
	rng = rng * 1664525 + 1013904223;
	return rng >> 8;
}

static void make_sequence(unsigned int seed, struct sequence *s)
{
	unsigned int i;

	rng = seed * 2654435761u;
	s->seed = seed;
	s->n = SEQ_LEN;
	for (i = 0; i < s->n; i++) {
		unsigned int w = next_random() % 64, k = 0;

		while (w >= weights[k])
			w -= weights[k++];
		s->call[i] = (struct call){
			k, next_random(), next_random(), next_random(),
		};
	}
	/*
	 * Pure chance hardly ever gets a ring to run: most sequences begin
	 * with a good start, at times with one call of it missing.
	 */
	if (seed % 8) {
		static const struct call start[] = {
			{ SET_OWNER, 0, 0, 0 }, { MEM_TABLE, 0, 1, 2 },
			{ NUM, 4, 0, 0 }, { ADDR, 4, 6, 15 }, { NUM, 0, 0, 0 },
			{ ADDR, 0, 6, 15 }, { BACKEND, 4, 12, 0 },
		};
		unsigned int skip = next_random() % 12, n = 0;

		for (i = 0; i < ARRAY_SIZE(start); i++)
			if (i != skip)
				s->call[n++] = start[i];
	}
}

/* Does the pair of devices give the same answers? */
static bool same(struct vt_cmp_pair *p, struct sequence *s, bool loud)
{
	const char *a = p->have_stock ? VT_CMP_STOCK : p->path;

	if (vt_cmp_run(a, run_sequence, s, p->stock) ||
	    vt_cmp_run(p->both ? p->path : a, run_sequence, s, p->ours))
		return false;
	/* the calls in here have no known differences */
	return !vt_cmp_both(p->stock, p->ours, NULL, 0, loud);
}

/* Leave out every call without which the answers still differ. */
static void shrink(struct vt_cmp_pair *p, struct sequence *s)
{
	unsigned int i = s->n;

	while (i--) {
		struct sequence shorter = *s;

		memmove(&shorter.call[i], &shorter.call[i + 1],
			(shorter.n - i - 1) * sizeof(shorter.call[0]));
		shorter.n--;
		if (!same(p, &shorter, false))
			*s = shorter;
	}
}

static int open_tap(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	return fd < 0 || ioctl(fd, TUNSETIFF, &ifr) ? -1 : fd;
}

static bool open_fds(void)
{
	fds[FD_TAP] = open_tap();
	fds[FD_TAP2] = open_tap();
	fds[FD_PACKET] = socket(AF_PACKET, SOCK_RAW, 0);
	fds[FD_EVENT] = eventfd(0, EFD_CLOEXEC);
	fds[FD_EVENT2] = eventfd(0, EFD_CLOEXEC);
	fds[FD_NULL] = open("/dev/null", O_RDWR);
	fds[FD_CLOSED] = 1000;
	fds[FD_NONE] = -1;
	return fds[FD_TAP] >= 0 && fds[FD_TAP2] >= 0 && fds[FD_PACKET] >= 0;
}

static unsigned int env(const char *name, unsigned int otherwise)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : otherwise;
}

/*
 * Closing a device waits for RCU, which is most of the time a sequence takes:
 * several processes try sequences side by side. What they find is in here.
 */
struct board {
	_Atomic unsigned int next;
	_Atomic unsigned int tried;
	_Atomic unsigned int succeeded;
	_Atomic unsigned int nbad;
	unsigned int bad[MAX_BAD];
};

static void try_sequences(struct board *b, unsigned int seed,
			  unsigned int count, uint64_t end)
{
	struct sequence s;
	struct vt_cmp_pair p;
	unsigned int i, j, ok;

	/* logs of its own */
	if (vt_cmp_pair_open(&p))
		return;
	while (atomic_load(&b->nbad) < MAX_BAD && vt_now_ns() < end) {
		i = atomic_fetch_add(&b->next, 1);
		if (i >= count)
			return;
		make_sequence(seed + i, &s);
		atomic_fetch_add(&b->tried, 1);
		if (same(&p, &s, false)) {
			for (j = ok = 0; j < p.stock->n; j++)
				ok += !p.stock->answer[j].ret;
			atomic_fetch_add(&b->succeeded, ok);
			continue;
		}
		i = atomic_fetch_add(&b->nbad, 1);
		if (i < MAX_BAD)
			b->bad[i] = s.seed;
	}
}

/* Once more, alone, and shorter and shorter. */
static void explain(struct vt_cmp_pair *p, unsigned int seed)
{
	struct sequence s;
	unsigned int i;

	make_sequence(seed, &s);
	if (same(p, &s, false)) {
		ksft_print_msg("ABI_SEED=%u was answered differently, but only once\n",
			       seed);
		return;
	}
	shrink(p, &s);
	ksft_print_msg("ABI_SEED=%u ABI_SEQUENCES=1 is answered differently:\n",
		       seed);
	for (i = 0; i < s.n; i++)
		print_call(i, &s.call[i]);
	same(p, &s, true);
}

int main(void)
{
	unsigned int seed = env("ABI_SEED", SEED), i, bad;
	unsigned int count = env("ABI_SEQUENCES", SEQUENCES);
	uint64_t end =
		vt_now_ns() +
		vt_timeout_ms(env("ABI_SECONDS", SECONDS)) * 1000000000ULL;
	struct board *b;
	struct vt_cmp_pair p;

	ksft_print_header();
	area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || b == MAP_FAILED || vt_netns_enter() ||
	    !open_fds() || vt_cmp_pair_open(&p))
		ksft_exit_fail_msg("cannot set up\n");
	ksft_set_plan(p.both ? 1 : 2);
	if (!p.both)
		ksft_test_result_skip("comparing: %s\n", p.why);
	fflush(NULL);
	for (i = 0; i < WORKERS; i++) {
		if (fork())
			continue;
		try_sequences(b, seed, count, end);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
	bad = atomic_load(&b->nbad);
	for (i = 0; i < bad && i < MAX_BAD; i++)
		explain(&p, b->bad[i]);
	ksft_print_msg("%u sequences from ABI_SEED=%u, %u calls succeeded\n",
		       atomic_load(&b->tried), seed,
		       atomic_load(&b->succeeded));
	ksft_test_result(!bad && atomic_load(&b->tried), "%s\n",
			 p.both ? "same answers as stock" :
			 "the device agrees with itself");
	ksft_finished();
}
