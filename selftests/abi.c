// SPDX-License-Identifier: GPL-2.0
/* Every ioctl, good and bad, must answer as stock vhost-net answers. */
/*
 * Each case is a script of calls with the answers that stock gives. It runs
 * against /dev/vhost-net, which shows that the script is right, and against
 * the device under test, and the two are compared call by call. The one
 * difference table says what is not the same and why.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <kselftest.h>
#include "cmp.h"
#include "vhost_test.h"

#ifndef VHOST_SET_FORK_FROM_OWNER
#define VHOST_SET_FORK_FROM_OWNER	_IOW(VHOST_VIRTIO, 0x84, __u8)
#define VHOST_GET_FORK_FROM_OWNER	_IOR(VHOST_VIRTIO, 0x85, __u8)
#endif
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER \
	_IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER \
	_IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif

/*
 * What is not as in stock, on purpose. A row that says until which feature it
 * holds stops to excuse anything as soon as the device offers the feature.
 */
static const struct vt_cmp_known known[] = {
	{ "features: bit 33", 0, -EOPNOTSUPP, VIRTIO_F_ACCESS_PLATFORM,
	  "no IOTLB yet" },
	{ "features: offered bit 33", 1, 0, VIRTIO_F_ACCESS_PLATFORM,
	  "no IOTLB yet" },
	{ "backend features: bit 1", 0, -EOPNOTSUPP, VIRTIO_F_ACCESS_PLATFORM,
	  "IOTLB messages come with the IOTLB" },
	{ "backend features: offered", 2, 0, VIRTIO_F_ACCESS_PLATFORM,
	  "IOTLB messages come with the IOTLB" },
	{ "mem: 65 regions", -E2BIG, 0, -1,
	  "max_mem_regions is 509: as many memory slots as KVM has had for long" },
	{ "mem: 509 regions", -E2BIG, 0, -1, "max_mem_regions is 509" },
	{}
};

#define GPA	0x10000000ULL
/* beyond what a process may address */
#define KERNEL	0xffff888000000000ULL
#define NONCANON 0x8000000000000000ULL

static char *area;
#define AREA_SIZE	(8UL << 20)

/* Memory a case may use: zero, writable, with room for the largest ring. */
static void *at(size_t off)
{
	return area + off;
}

/* @len bytes, the last ones before memory that cannot be accessed. */
static void *edge(size_t len)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mprotect(p + 4096, 4096, PROT_NONE);
	return p + 4096 - len;
}

/* Memory that can be read but not written. */
static void *readonly(const void *what, size_t len)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memcpy(p, what, len);
	mprotect(p, 4096, PROT_READ);
	return p;
}

static int tap_fd(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (ioctl(fd, TUNSETIFF, &ifr))
		vt_msg("no tap: %m");
	return fd;
}

static int closed_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* The highest descriptor, which no other call hands out meanwhile. */
#define CLOSED	closed_fd()

static void own(struct vt_cmp *t)
{
	vt_cmp_ioctl(t, "own", VHOST_SET_OWNER, NULL, 0);
}

static void one_region(struct vt_cmp *t)
{
	struct {
		struct vhost_memory mem;
		struct vhost_memory_region reg;
	} m = {
		.mem.nregions = 1,
		.reg = { GPA, AREA_SIZE, (uintptr_t)area, 0 },
	};

	vt_cmp_ioctl(t, "one region", VHOST_SET_MEM_TABLE, &m, 0);
}

static long state(struct vt_cmp *t, const char *what, unsigned long cmd,
		  unsigned int index, unsigned int num, long want)
{
	struct vhost_vring_state s = { index, num };

	return vt_cmp_ioctl(t, what, cmd, &s, want);
}

static void get_state(struct vt_cmp *t, const char *what, unsigned long cmd,
		      unsigned int index, long want)
{
	struct vhost_vring_state s = { index, 0x55555555 };

	vt_cmp_ioctl(t, what, cmd, &s, 0);
	vt_cmp_answer(t, s.num, want, "%s: value", what);
	vt_cmp_answer(t, s.index, index, "%s: index", what);
}

static long file(struct vt_cmp *t, const char *what, unsigned long cmd,
		 unsigned int index, int fd, long want)
{
	struct vhost_vring_file f = { index, fd };

	return vt_cmp_ioctl(t, what, cmd, &f, want);
}

static long backend(struct vt_cmp *t, const char *what, unsigned int index,
		    int fd, long want)
{
	return file(t, what, VHOST_NET_SET_BACKEND, index, fd, want);
}

static long addr(struct vt_cmp *t, const char *what, struct vhost_vring_addr a,
		 long want)
{
	return vt_cmp_ioctl(t, what, VHOST_SET_VRING_ADDR, &a, want);
}

static struct vhost_vring_addr good_addr(unsigned int index)
{
	uintptr_t base = (uintptr_t)area + index * (AREA_SIZE / 2);

	return (struct vhost_vring_addr){
		.index = index,
		.desc_user_addr = base,
		.avail_user_addr = base + (1 << 20),
		.used_user_addr = base + (2 << 20),
	};
}

static void good_ring(struct vt_cmp *t, unsigned int index)
{
	state(t, "ring: num", VHOST_SET_VRING_NUM, index, 256, 0);
	state(t, "ring: base", VHOST_SET_VRING_BASE, index, 0, 0);
	addr(t, "ring: addr", good_addr(index), 0);
}

/* Owned, one region, both rings set up; ring 1 live on a tap if @live. */
static int good_device(struct vt_cmp *t, bool live)
{
	int tap = -1;

	own(t);
	one_region(t);
	good_ring(t, 0);
	good_ring(t, 1);
	if (live) {
		tap = tap_fd();
		backend(t, "live: backend", 1, tap, 0);
	}
	return tap;
}

/* ---------------------------------------------------------------- cases */

/* Every ioctl before anybody owns the device. */
static void case_unowned(struct vt_cmp *t, void *arg)
{
	static const struct {
		const char *what;
		unsigned long cmd;
		long want;
	} cmds[] = {
		{ "unowned: reset owner", VHOST_RESET_OWNER, -EPERM },
		{ "unowned: mem table", VHOST_SET_MEM_TABLE, -EPERM },
		{ "unowned: SET_LOG_BASE", VHOST_SET_LOG_BASE, -EPERM },
		{ "unowned: SET_LOG_FD", VHOST_SET_LOG_FD, -EPERM },
		{ "unowned: new worker", VHOST_NEW_WORKER, -EPERM },
		{ "unowned: free worker", VHOST_FREE_WORKER, -EPERM },
		{ "unowned: attach worker", VHOST_ATTACH_VRING_WORKER, -EPERM },
		{ "unowned: get worker", VHOST_GET_VRING_WORKER, -EPERM },
		{ "unowned: num", VHOST_SET_VRING_NUM, -EPERM },
		{ "unowned: addr", VHOST_SET_VRING_ADDR, -EPERM },
		{ "unowned: set base", VHOST_SET_VRING_BASE, -EPERM },
		{ "unowned: get base", VHOST_GET_VRING_BASE, -EPERM },
		{ "unowned: set endian", VHOST_SET_VRING_ENDIAN, -EPERM },
		{ "unowned: get endian", VHOST_GET_VRING_ENDIAN, -EPERM },
		{ "unowned: kick", VHOST_SET_VRING_KICK, -EPERM },
		{ "unowned: call", VHOST_SET_VRING_CALL, -EPERM },
		{ "unowned: err", VHOST_SET_VRING_ERR, -EPERM },
		{ "unowned: set busyloop", VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
		  -EPERM },
		{ "unowned: get busyloop", VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
		  -EPERM },
		{ "unowned: scsi", VHOST_SCSI_GET_ABI_VERSION, -EPERM },
		{ "unowned: vsock", VHOST_VSOCK_SET_RUNNING, -EPERM },
		{ "unowned: vdpa", VHOST_VDPA_GET_STATUS, -EPERM },
		{ "unowned: nonsense", _IO(VHOST_VIRTIO, 0xff), -EPERM },
		{ "unowned: foreign", FIONREAD, -EPERM },
	};
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		memset(at(0), 0, 4096);
		vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, at(0), cmds[i].want);
		/* the owner is checked before the argument is looked at */
		vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, NULL, cmds[i].want);
	}
	/* a bad index is not seen, as the owner comes first */
	state(t, "unowned: bad index", VHOST_SET_VRING_NUM, 2, 256, -EPERM);
	/* but here the argument is fetched before the owner is checked */
	vt_cmp_ioctl(t, "unowned: backend NULL", VHOST_NET_SET_BACKEND, NULL,
		     -EFAULT);
	backend(t, "unowned: backend", 0, -1, -EPERM);
	backend(t, "unowned: backend bad index", 2, -1, -EPERM);
}

static void case_owner(struct vt_cmp *t, void *arg)
{
	uint64_t features;
	int i, status;
	pid_t pid;

	(void)arg;
	own(t);
	vt_cmp_ioctl(t, "owner: again", VHOST_SET_OWNER, NULL, -EBUSY);
	for (i = 0; i < 3; i++) {
		vt_cmp_ioctl(t, "owner: reset", VHOST_RESET_OWNER, NULL, 0);
		vt_cmp_ioctl(t, "owner: reset twice", VHOST_RESET_OWNER, NULL,
			     -EPERM);
		state(t, "owner: num after reset", VHOST_SET_VRING_NUM, 0, 256,
		      -EPERM);
		own(t);
	}
	/* a process with a copy of the fd cannot become the owner */
	pid = fork();
	if (!pid) {
		vt_cmp_ioctl(t, "other: set owner", VHOST_SET_OWNER, NULL,
			     -EBUSY);
		vt_cmp_ioctl(t, "other: reset owner", VHOST_RESET_OWNER, NULL,
			     -EPERM);
		vt_cmp_ioctl(t, "other: mem table", VHOST_SET_MEM_TABLE, NULL,
			     -EPERM);
		state(t, "other: num", VHOST_SET_VRING_NUM, 0, 256, -EPERM);
		state(t, "other: bad index", VHOST_SET_VRING_NUM, 9, 256,
		      -EPERM);
		state(t, "other: busyloop", VHOST_GET_VRING_BUSYLOOP_TIMEOUT, 0,
		      0, -EPERM);
		backend(t, "other: backend", 0, -1, -EPERM);
		vt_cmp_ioctl(t, "other: backend NULL", VHOST_NET_SET_BACKEND,
			     NULL, -EFAULT);
		vt_cmp_ioctl(t, "other: get features", VHOST_GET_FEATURES,
			     &features, 0);
		features = VT_F(VIRTIO_F_VERSION_1);
		vt_cmp_ioctl(t, "other: set features", VHOST_SET_FEATURES,
			     &features, 0);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	state(t, "owner: still the owner", VHOST_SET_VRING_NUM, 0, 256, 0);
}

/* The owner passes the fd on and exits: the device's owner is dead. */
static void case_owner_gone(struct vt_cmp *t, void *arg)
{
	int status;
	pid_t pid;

	(void)arg;
	pid = fork();
	if (!pid) {
		good_device(t, true);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	vt_cmp_ioctl(t, "gone: set owner", VHOST_SET_OWNER, NULL, -EBUSY);
	vt_cmp_ioctl(t, "gone: reset owner", VHOST_RESET_OWNER, NULL, -EPERM);
	state(t, "gone: num", VHOST_SET_VRING_NUM, 0, 256, -EPERM);
	vt_cmp_answer(t, vt_cmp_errno(close(t->fd)), 0, "gone: close");
}

static void case_features(struct vt_cmp *t, void *arg)
{
	uint64_t offered = 0, f;
	unsigned int bit;

	(void)arg;
	vt_cmp_ioctl(t, "features: get", VHOST_GET_FEATURES, &offered, 0);
	for (bit = 0; bit < 64; bit++)
		vt_cmp_answer(t, !!(offered & VT_F(bit)), VT_CMP_ANY,
			      "features: offered bit %u", bit);
	vt_cmp_ioctl(t, "features: get NULL", VHOST_GET_FEATURES, NULL,
		     -EFAULT);
	vt_cmp_ioctl(t, "features: get short", VHOST_GET_FEATURES, edge(7),
		     -EFAULT);
	vt_cmp_ioctl(t, "features: get read only", VHOST_GET_FEATURES,
		     readonly(&offered, 8), -EFAULT);
	vt_cmp_ioctl(t, "features: get misaligned", VHOST_GET_FEATURES, at(3),
		     0);
	/* no owner needed for any of this; then once more with one */
	for (int owned = 0; owned < 2; owned++) {
		for (bit = 0; bit < 64; bit++) {
			char what[32];

			snprintf(what, sizeof(what), "features: bit %u", bit);
			f = VT_F(bit);
			vt_cmp_ioctl(t, what, VHOST_SET_FEATURES, &f,
				     offered & f ? 0 : VT_CMP_ANY);
		}
		f = 0;
		vt_cmp_ioctl(t, "features: none", VHOST_SET_FEATURES, &f, 0);
		f = ~0ULL;
		vt_cmp_ioctl(t, "features: all", VHOST_SET_FEATURES, &f,
			     -EOPNOTSUPP);
		f = VT_F(VIRTIO_F_VERSION_1) | VT_F(VIRTIO_NET_F_MRG_RXBUF) |
		    VT_F(VIRTIO_RING_F_EVENT_IDX) |
		    VT_F(VIRTIO_RING_F_INDIRECT_DESC);
		vt_cmp_ioctl(t, "features: usual", VHOST_SET_FEATURES, &f, 0);
		vt_cmp_ioctl(t, "features: set NULL", VHOST_SET_FEATURES, NULL,
			     -EFAULT);
		vt_cmp_ioctl(t, "features: set short", VHOST_SET_FEATURES,
			     edge(7), -EFAULT);
		if (!owned)
			own(t);
	}
	/* legal while a ring runs */
	vt_cmp_ioctl(t, "features: reset", VHOST_RESET_OWNER, NULL, 0);
	good_device(t, true);
	f = VT_F(VIRTIO_F_VERSION_1);
	vt_cmp_ioctl(t, "features: live", VHOST_SET_FEATURES, &f, 0);
	f = VT_F(62);
	vt_cmp_ioctl(t, "features: live unknown", VHOST_SET_FEATURES, &f,
		     -EOPNOTSUPP);
}

static void case_backend_features(struct vt_cmp *t, void *arg)
{
	uint64_t f = 0;
	unsigned int bit;

	(void)arg;
	vt_cmp_ioctl(t, "backend features: get", VHOST_GET_BACKEND_FEATURES, &f,
		     0);
	vt_cmp_answer(t, f, VT_CMP_ANY, "backend features: offered");
	vt_cmp_ioctl(t, "backend features: get NULL",
		     VHOST_GET_BACKEND_FEATURES, NULL, -EFAULT);
	for (bit = 0; bit < 64; bit++) {
		char what[40];

		snprintf(what, sizeof(what), "backend features: bit %u", bit);
		f = VT_F(bit);
		vt_cmp_ioctl(t, what, VHOST_SET_BACKEND_FEATURES, &f,
			     bit == 1 ? 0 : -EOPNOTSUPP);
	}
	f = 0;
	vt_cmp_ioctl(t, "backend features: none", VHOST_SET_BACKEND_FEATURES,
		     &f, 0);
	vt_cmp_ioctl(t, "backend features: NULL", VHOST_SET_BACKEND_FEATURES,
		     NULL, -EFAULT);
}

static struct vhost_memory *regions(unsigned int n)
{
	struct vhost_memory *mem = at(0);
	unsigned int i;

	memset(mem, 0, sizeof(*mem));
	mem->nregions = n;
	for (i = 0; i < n && i < 1024; i++)
		mem->regions[i] = (struct vhost_memory_region){
			GPA + i * 0x2000ULL, 0x1000,
			(uintptr_t)area + i * 0x1000, 0,
		};
	return mem;
}

static void one(struct vt_cmp *t, const char *what, uint64_t gpa, uint64_t size,
		uint64_t hva, uint64_t flags, long want)
{
	struct vhost_memory *mem = regions(1);

	mem->regions[0] = (struct vhost_memory_region){ gpa, size, hva, flags };
	vt_cmp_ioctl(t, what, VHOST_SET_MEM_TABLE, mem, want);
}

static void mem_table_counts(struct vt_cmp *t)
{
	static const struct {
		unsigned int n;
		long want;
	} counts[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 0 }, { 63, 0 }, { 64, 0 },
		{ 65, -E2BIG }, { 509, -E2BIG }, { 510, -E2BIG },
		{ 0x10000, -E2BIG }, { 0x7fffffff, -E2BIG },
		{ 0xffffffff, -E2BIG },
	};
	char what[32];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		snprintf(what, sizeof(what), "mem: %u regions", counts[i].n);
		vt_cmp_ioctl(t, what, VHOST_SET_MEM_TABLE, regions(counts[i].n),
			     counts[i].want);
	}
}

/* Called with no ring live and with one: access is checked only then. */
static void mem_table_regions(struct vt_cmp *t, bool live)
{
	uint64_t hva = (uintptr_t)area;
	long live_fault = live ? -EFAULT : 0;

	one(t, "mem: one byte", GPA, 1, hva, 0, 0);
	one(t, "mem: odd", GPA + 123, 4567, hva + 89, 0, 0);
	one(t, "mem: flags_padding ignored", GPA, 4096, hva, ~0ULL, 0);
	one(t, "mem: zero size", GPA, 0, hva, 0, -EFAULT);
	one(t, "mem: zero size at 0", 0, 0, hva, 0, VT_CMP_ANY);
	one(t, "mem: gpa wraps", -4096ULL, 8192, hva, 0, -EFAULT);
	one(t, "mem: gpa to the last byte", -4096ULL, 4096, hva, 0, 0);
	one(t, "mem: hva wraps", GPA, 8192, -4096ULL, 0, live_fault);
	one(t, "mem: kernel hva", GPA, 4096, KERNEL, 0, live_fault);
	one(t, "mem: non-canonical hva", GPA, 4096, NONCANON, 0, live_fault);
	one(t, "mem: hva into the kernel", GPA, 4096, 0x7ffffffff000ULL, 0,
	    VT_CMP_ANY);
	one(t, "mem: huge", 0, 1ULL << 46, 4096, 0, 0);
	/* how sharp the kernel's check is differs between kernels */
	one(t, "mem: larger than the address space", 0, 1ULL << 48, 4096, 0,
	    VT_CMP_ANY);
	one(t, "mem: nothing mapped there", GPA, 4096, 0x1000, 0, 0);
	one(t, "mem: hva 0", GPA, 4096, 0, 0, 0);
	one(t, "mem: gpa 0", 0, 4096, hva, 0, 0);
}

static void case_mem_table(struct vt_cmp *t, void *arg)
{
	struct vhost_memory *mem;
	bool live = arg;

	own(t);
	if (live) {
		one_region(t);
		good_ring(t, 1);
		backend(t, "mem: backend", 1, tap_fd(), 0);
	}
	vt_cmp_ioctl(t, "mem: NULL", VHOST_SET_MEM_TABLE, NULL, -EFAULT);
	vt_cmp_ioctl(t, "mem: short header", VHOST_SET_MEM_TABLE, edge(7),
		     -EFAULT);
	vt_cmp_ioctl(t, "mem: kernel pointer", VHOST_SET_MEM_TABLE,
		     (void *)KERNEL, -EFAULT);
	/* the header ends the page: with no regions nothing more is read */
	mem = edge(8);
	memset(mem, 0, 8);
	vt_cmp_ioctl(t, "mem: header only", VHOST_SET_MEM_TABLE, mem, 0);
	mem->nregions = 1;
	vt_cmp_ioctl(t, "mem: region missing", VHOST_SET_MEM_TABLE, mem,
		     -EFAULT);
	mem->padding = 1;
	vt_cmp_ioctl(t, "mem: padding before regions", VHOST_SET_MEM_TABLE, mem,
		     -EOPNOTSUPP);
	mem->nregions = 0xffffffff;
	vt_cmp_ioctl(t, "mem: padding before count", VHOST_SET_MEM_TABLE, mem,
		     -EOPNOTSUPP);
	mem->padding = 0;
	vt_cmp_ioctl(t, "mem: count before regions", VHOST_SET_MEM_TABLE, mem,
		     -E2BIG);
	mem = edge(8 + 32 + 31);
	memcpy(mem, regions(1), 8 + 32);
	mem->nregions = 2;
	vt_cmp_ioctl(t, "mem: second region cut", VHOST_SET_MEM_TABLE, mem,
		     -EFAULT);

	mem_table_counts(t);
	mem_table_regions(t, live);

	mem = regions(2);
	mem->regions[1] = mem->regions[0];
	vt_cmp_ioctl(t, "mem: same region twice", VHOST_SET_MEM_TABLE, mem, 0);
	mem = regions(3);
	mem->regions[1].guest_phys_addr = GPA + 0x800;
	vt_cmp_ioctl(t, "mem: overlapping", VHOST_SET_MEM_TABLE, mem, 0);
	mem = regions(3);
	mem->regions[2].userspace_addr = mem->regions[0].userspace_addr;
	vt_cmp_ioctl(t, "mem: alias", VHOST_SET_MEM_TABLE, mem, 0);
	mem = regions(2);
	mem->regions[0].guest_phys_addr = GPA + 0x100000;
	vt_cmp_ioctl(t, "mem: not in order", VHOST_SET_MEM_TABLE, mem, 0);
	mem = regions(3);
	mem->regions[1].memory_size = 0;
	vt_cmp_ioctl(t, "mem: zero size in the middle", VHOST_SET_MEM_TABLE,
		     mem, -EFAULT);
}

static void case_log(struct vt_cmp *t, void *arg)
{
	uint64_t base = (uintptr_t)at(4 << 20);
	int fd = eventfd(0, EFD_CLOEXEC), null = open("/dev/null", O_RDWR);

	(void)arg;
	own(t);
	vt_cmp_ioctl(t, "log base: NULL", VHOST_SET_LOG_BASE, NULL, -EFAULT);
	vt_cmp_ioctl(t, "log base: good", VHOST_SET_LOG_BASE, &base, 0);
	base = KERNEL;
	/* no ring is live: nothing is checked */
	vt_cmp_ioctl(t, "log base: kernel", VHOST_SET_LOG_BASE, &base, 0);
	vt_cmp_ioctl(t, "log fd: NULL", VHOST_SET_LOG_FD, NULL, -EFAULT);
	vt_cmp_ioctl(t, "log fd: eventfd", VHOST_SET_LOG_FD, &fd, 0);
	vt_cmp_ioctl(t, "log fd: no eventfd", VHOST_SET_LOG_FD, &null, -EINVAL);
	null = -1;
	vt_cmp_ioctl(t, "log fd: unbind", VHOST_SET_LOG_FD, &null, 0);
	null = CLOSED;
	vt_cmp_ioctl(t, "log fd: closed", VHOST_SET_LOG_FD, &null, -EBADF);
}

/* What all ioctls on a ring have in common. */
static void case_vring_index(struct vt_cmp *t, void *arg)
{
	static const struct {
		const char *what;
		unsigned long cmd;
		size_t size;
		long want;
	} cmds[] = {
		{ "index: num", VHOST_SET_VRING_NUM, 8, -EFAULT },
		{ "index: addr", VHOST_SET_VRING_ADDR, 40, -EFAULT },
		{ "index: set base", VHOST_SET_VRING_BASE, 8, -EFAULT },
		{ "index: get base", VHOST_GET_VRING_BASE, 8, -EFAULT },
		{ "index: set endian", VHOST_SET_VRING_ENDIAN, 8, -ENOTTY },
		{ "index: get endian", VHOST_GET_VRING_ENDIAN, 8, -ENOTTY },
		{ "index: kick", VHOST_SET_VRING_KICK, 8, -EFAULT },
		{ "index: call", VHOST_SET_VRING_CALL, 8, -EFAULT },
		{ "index: err", VHOST_SET_VRING_ERR, 8, -EFAULT },
		{ "index: set busyloop", VHOST_SET_VRING_BUSYLOOP_TIMEOUT, 8,
		  -EFAULT },
		{ "index: get busyloop", VHOST_GET_VRING_BUSYLOOP_TIMEOUT, 8,
		  -EFAULT },
		{ "index: attach worker", VHOST_ATTACH_VRING_WORKER, 8,
		  -ENOTTY },
		{ "index: get worker", VHOST_GET_VRING_WORKER, 8, -ENOTTY },
		{ "index: new worker", VHOST_NEW_WORKER, 4, -ENOTTY },
		{ "index: vsock", VHOST_VSOCK_SET_GUEST_CID, 8, -ENOTTY },
		{ "index: nonsense", _IO(VHOST_VIRTIO, 0xff), 4, -ENOTTY },
	};
	static const unsigned int bad[] = { 2, 3, 0x80000000, 0xffffffff };
	unsigned int i, j, *p;

	(void)arg;
	own(t);
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, NULL, -EFAULT);
		vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, edge(3), -EFAULT);
		/* only the index can be read, and it is good */
		p = edge(4);
		for (j = 0; j < 2; j++) {
			*p = j;
			vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, p,
				     cmds[i].want);
		}
		/* a bad index is found before the rest is missed */
		for (j = 0; j < ARRAY_SIZE(bad); j++) {
			*p = bad[j];
			vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, p, -ENOBUFS);
		}
		p = edge(cmds[i].size - 1);
		if (cmds[i].size > 4) {
			memset(p, 0, cmds[i].size - 1);
			vt_cmp_ioctl(t, cmds[i].what, cmds[i].cmd, p,
				     cmds[i].want);
		}
	}
	/* all of it readable, but the answer has nowhere to go */
	p = readonly((unsigned int[]){ 0, 0 }, 8);
	vt_cmp_ioctl(t, "index: get base, read only", VHOST_GET_VRING_BASE, p,
		     -EFAULT);
	vt_cmp_ioctl(t, "index: get busyloop, read only",
		     VHOST_GET_VRING_BUSYLOOP_TIMEOUT, p, -EFAULT);
}

static void case_vring_num(struct vt_cmp *t, void *arg)
{
	static const unsigned int bad[] = {
		0, 3, 5, 255, 257, 0xffff, 0x10000, 0x18000, 0x80000000,
		0xffffffff,
	};
	unsigned int i;

	(void)arg;
	own(t);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		state(t, "num: bad", VHOST_SET_VRING_NUM, i % 2, bad[i],
		      -EINVAL);
	for (i = 1; i <= 0x8000; i *= 2)
		state(t, "num: good", VHOST_SET_VRING_NUM, 0, i, 0);
	vt_cmp_ioctl(t, "num: reset", VHOST_RESET_OWNER, NULL, 0);
	good_device(t, true);
	state(t, "num: live", VHOST_SET_VRING_NUM, 1, 256, -EBUSY);
	state(t, "num: live and bad", VHOST_SET_VRING_NUM, 1, 3, -EBUSY);
	/* busy is found out before the rest is read, but after the index */
	((unsigned int *)at(0))[0] = 1;
	vt_cmp_ioctl(t, "num: live NULL", VHOST_SET_VRING_NUM, NULL, -EFAULT);
	vt_cmp_ioctl(t, "num: live short", VHOST_SET_VRING_NUM,
		     memcpy(edge(4), at(0), 4), -EBUSY);
	state(t, "num: the other ring is not live", VHOST_SET_VRING_NUM, 0, 128,
	      0);
	backend(t, "num: stop", 1, -1, 0);
	state(t, "num: stopped", VHOST_SET_VRING_NUM, 1, 128, 0);
}

static void addr_checks(struct vt_cmp *t, bool live)
{
	struct vhost_vring_addr a;
	unsigned int i;
	/* only a live ring's addresses are checked */
	long bad = live ? -EINVAL : 0;

	addr(t, "addr: good", good_addr(1), 0);
	for (i = 1; i < 32; i++) {
		char what[32];

		snprintf(what, sizeof(what), "addr: flag %u", i);
		a = good_addr(1);
		a.flags = 1u << i;
		addr(t, what, a, -EOPNOTSUPP);
	}
	a = good_addr(1);
	a.flags = 1 << VHOST_VRING_F_LOG;
	addr(t, "addr: F_LOG", a, VT_CMP_ANY);
	a.log_guest_addr = 2;
	addr(t, "addr: F_LOG misaligned", a, -EINVAL);
	for (i = 1; i < 16; i++) {
		a = good_addr(1);
		a.desc_user_addr += i;
		addr(t, "addr: desc at any byte", a, 0);
		a = good_addr(1);
		a.avail_user_addr += i;
		addr(t, "addr: avail", a, i % 2 ? -EINVAL : 0);
		a = good_addr(1);
		a.used_user_addr += i;
		addr(t, "addr: used", a, i % 4 ? -EINVAL : 0);
		a = good_addr(1);
		a.log_guest_addr += i;
		addr(t, "addr: log", a, i % 4 ? -EINVAL : 0);
	}
	/* flags are looked at before alignment */
	a.flags = 2;
	addr(t, "addr: flag and misaligned", a, -EOPNOTSUPP);

	a = good_addr(1);
	a.desc_user_addr = KERNEL;
	addr(t, "addr: desc in the kernel", a, bad);
	a = good_addr(1);
	a.avail_user_addr = KERNEL;
	addr(t, "addr: avail in the kernel", a, bad);
	a = good_addr(1);
	a.used_user_addr = KERNEL;
	addr(t, "addr: used in the kernel", a, bad);
	a = good_addr(1);
	a.desc_user_addr = NONCANON;
	addr(t, "addr: desc non-canonical", a, bad);
	a = good_addr(1);
	a.used_user_addr = -16ULL & ~3ULL;
	addr(t, "addr: used wraps", a, bad);
	a = good_addr(1);
	a.desc_user_addr = 0x7fffffffe000ULL;
	addr(t, "addr: desc ends at the top", a, 0);
	a.desc_user_addr = 0x7fffffffeff0ULL;
	addr(t, "addr: desc over the top", a, VT_CMP_ANY);
	/* nothing is mapped there, which is no matter of this call */
	a = good_addr(1);
	a.desc_user_addr = a.avail_user_addr = a.used_user_addr = 0x10000;
	addr(t, "addr: unmapped, all the same", a, 0);
	a.desc_user_addr = a.avail_user_addr = a.used_user_addr = 0;
	addr(t, "addr: all 0", a, 0);
	addr(t, "addr: good again", good_addr(1), 0);
}

static void case_vring_addr(struct vt_cmp *t, void *arg)
{
	struct vhost_vring_addr a;
	bool live = arg;

	own(t);
	if (live) {
		one_region(t);
		good_ring(t, 1);
		backend(t, "addr: backend", 1, tap_fd(), 0);
	}
	addr_checks(t, live);
	if (live)
		return;
	/* what was not checked is checked when the ring starts */
	one_region(t);
	state(t, "addr: num", VHOST_SET_VRING_NUM, 1, 256, 0);
	a = good_addr(1);
	a.desc_user_addr = KERNEL;
	addr(t, "addr: late desc", a, 0);
	backend(t, "addr: late desc, start", 1, tap_fd(), -EFAULT);
	a = good_addr(1);
	a.avail_user_addr = KERNEL;
	addr(t, "addr: late avail", a, 0);
	backend(t, "addr: late avail, start", 1, tap_fd(), -EFAULT);
	a = good_addr(1);
	a.used_user_addr = 0x10000;
	addr(t, "addr: late used", a, 0);
	backend(t, "addr: late used, start", 1, tap_fd(), -EFAULT);
	a.used_user_addr = (uintptr_t)readonly("", 0);
	addr(t, "addr: read-only used", a, 0);
	backend(t, "addr: read-only used, start", 1, tap_fd(), -EFAULT);
	/* these are read only when there is something to do */
	a = good_addr(1);
	a.desc_user_addr = a.avail_user_addr = 0x10000;
	addr(t, "addr: unmapped desc and avail", a, 0);
	backend(t, "addr: unmapped desc and avail, start", 1, tap_fd(), 0);
}

static void case_vring_base(struct vt_cmp *t, void *arg)
{
	static const unsigned int good[] = { 0, 1, 255, 256, 0x7fff, 0xffff };
	static const unsigned int bad[] = { 0x10000, 0x80000000, 0xffffffff };
	unsigned int i;

	(void)arg;
	own(t);
	get_state(t, "base: initial", VHOST_GET_VRING_BASE, 1, 0);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		state(t, "base: set", VHOST_SET_VRING_BASE, i % 2, good[i], 0);
		get_state(t, "base: get", VHOST_GET_VRING_BASE, i % 2, good[i]);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		state(t, "base: bad", VHOST_SET_VRING_BASE, 1, bad[i], -EINVAL);
		get_state(t, "base: unchanged", VHOST_GET_VRING_BASE, 1,
			  0xffff);
	}
	vt_cmp_ioctl(t, "base: reset", VHOST_RESET_OWNER, NULL, 0);
	good_device(t, true);
	get_state(t, "base: after reset", VHOST_GET_VRING_BASE, 1, 0);
	state(t, "base: live", VHOST_SET_VRING_BASE, 1, 0, -EBUSY);
	state(t, "base: live and bad", VHOST_SET_VRING_BASE, 1, 0x10000,
	      -EBUSY);
	get_state(t, "base: get live", VHOST_GET_VRING_BASE, 1, 0);
	backend(t, "base: stop", 1, -1, 0);
	state(t, "base: stopped", VHOST_SET_VRING_BASE, 1, 77, 0);
	get_state(t, "base: get stopped", VHOST_GET_VRING_BASE, 1, 77);
}

static void case_vring_fds(struct vt_cmp *t, void *arg)
{
	static const struct {
		const char *what;
		unsigned long cmd;
	} cmds[] = {
		{ "fd: kick", VHOST_SET_VRING_KICK },
		{ "fd: call", VHOST_SET_VRING_CALL },
		{ "fd: err", VHOST_SET_VRING_ERR },
	};
	int e1 = eventfd(0, EFD_CLOEXEC), e2 = eventfd(5, EFD_SEMAPHORE);
	int null = open("/dev/null", O_RDWR), tap = tap_fd(), p[2];
	unsigned int i, live;

	(void)arg;
	if (pipe(p))
		return;
	good_device(t, false);
	for (live = 0; live < 2; live++) {
		for (i = 0; i < ARRAY_SIZE(cmds); i++) {
			const char *what = cmds[i].what;
			unsigned long cmd = cmds[i].cmd;

			file(t, what, cmd, 1, -1, 0);
			file(t, what, cmd, 1, e1, 0);
			file(t, what, cmd, 1, e1, 0);
			file(t, what, cmd, 1, e2, 0);
			file(t, what, cmd, 0, e2, 0);
			file(t, what, cmd, 1, null, -EINVAL);
			file(t, what, cmd, 1, tap, -EINVAL);
			file(t, what, cmd, 1, p[0], -EINVAL);
			file(t, what, cmd, 1, t->fd, -EINVAL);
			file(t, what, cmd, 1, CLOSED, -EBADF);
			file(t, what, cmd, 1, -2, -EBADF);
			file(t, what, cmd, 1, INT_MAX, -EBADF);
			file(t, what, cmd, 1, INT_MIN, -EBADF);
			file(t, what, cmd, 1, -1, 0);
			file(t, what, cmd, 1, -1, 0);
		}
		if (!live)
			backend(t, "fd: backend", 1, tap, 0);
	}
	/* an eventfd that goes away while it is bound */
	file(t, "fd: kick to be closed", VHOST_SET_VRING_KICK, 1, e1, 0);
	file(t, "fd: call to be closed", VHOST_SET_VRING_CALL, 1, e1, 0);
	close(e1);
	file(t, "fd: kick unbound", VHOST_SET_VRING_KICK, 1, -1, 0);
}

static void case_misc(struct vt_cmp *t, void *arg)
{
	static const unsigned int us[] = { 0, 1, 50, 0x7fffffff, 0xffffffff };
	uint8_t fork_owner;
	unsigned int i;

	(void)arg;
	fork_owner = 0;
	vt_cmp_ioctl(t, "fork owner: get", VHOST_GET_FORK_FROM_OWNER,
		     &fork_owner, VT_CMP_ANY);
	vt_cmp_answer(t, fork_owner, VT_CMP_ANY, "fork owner: value");
	for (i = 0; i < 4; i++) {
		fork_owner = i;
		vt_cmp_ioctl(t, "fork owner: set", VHOST_SET_FORK_FROM_OWNER,
			     &fork_owner, VT_CMP_ANY);
	}
	vt_cmp_ioctl(t, "fork owner: set NULL", VHOST_SET_FORK_FROM_OWNER, NULL,
		     VT_CMP_ANY);
	vt_cmp_ioctl(t, "fork owner: get NULL", VHOST_GET_FORK_FROM_OWNER, NULL,
		     VT_CMP_ANY);
	fork_owner = 9;
	vt_cmp_ioctl(t, "fork owner: get last", VHOST_GET_FORK_FROM_OWNER,
		     &fork_owner, VT_CMP_ANY);
	vt_cmp_answer(t, fork_owner, VT_CMP_ANY, "fork owner: last value");
	own(t);
	/* now it is too late, and that is said before the pointer is used */
	vt_cmp_ioctl(t, "fork owner: late", VHOST_SET_FORK_FROM_OWNER,
		     &fork_owner, VT_CMP_ANY);
	vt_cmp_ioctl(t, "fork owner: late NULL", VHOST_SET_FORK_FROM_OWNER,
		     NULL, VT_CMP_ANY);

	for (i = 0; i < ARRAY_SIZE(us); i++) {
		state(t, "busyloop: set", VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
		      i % 2, us[i], 0);
		get_state(t, "busyloop: get", VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
			  i % 2, us[i]);
	}
	vt_cmp_ioctl(t, "busyloop: reset", VHOST_RESET_OWNER, NULL, 0);
	own(t);
	get_state(t, "busyloop: after reset", VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
		  0, 0);

	memset(at(0), 0, 4096);
	vt_cmp_ioctl(t, "other: endian", VHOST_SET_VRING_ENDIAN, at(0),
		     -ENOTTY);
	vt_cmp_ioctl(t, "other: scsi", VHOST_SCSI_GET_ABI_VERSION, at(0),
		     -ENOTTY);
	vt_cmp_ioctl(t, "other: vsock", VHOST_VSOCK_SET_RUNNING, at(0),
		     -ENOTTY);
	vt_cmp_ioctl(t, "other: vdpa", VHOST_VDPA_GET_STATUS, at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: worker", VHOST_NEW_WORKER, at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: tty", TCGETS, at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: FIONREAD", FIONREAD, at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: 0", 0, at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: -1", 0xffffffff, at(0), -ENOTTY);
	/* right number, wrong direction or size */
	vt_cmp_ioctl(t, "other: num as read",
		     _IOR(VHOST_VIRTIO, 0x10, uint64_t), at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: num as long",
		     _IOW(VHOST_VIRTIO, 0x10, char[16]), at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: owner as write", _IOW(VHOST_VIRTIO, 0x01, int),
		     at(0), -ENOTTY);
	vt_cmp_ioctl(t, "other: backend as read",
		     _IOR(VHOST_VIRTIO, 0x30, uint64_t), at(0), -ENOTTY);
}

static void case_backend(struct vt_cmp *t, void *arg)
{
	int tap = tap_fd(), tap2 = tap_fd(),
	    loose = open("/dev/net/tun", O_RDWR);
	int raw = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int dgram = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL));
	int udp = socket(AF_INET, SOCK_DGRAM, 0);
	int icmp = socket(AF_INET, SOCK_RAW, 1);
	int unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	int null = open("/dev/null", O_RDWR), ev = eventfd(0, 0);
	unsigned int i;

	(void)arg;
	vt_cmp_ioctl(t, "backend: NULL", VHOST_NET_SET_BACKEND, NULL, -EFAULT);
	vt_cmp_ioctl(t, "backend: short", VHOST_NET_SET_BACKEND, edge(7),
		     -EFAULT);
	own(t);
	backend(t, "backend: bad index", 2, -1, -ENOBUFS);
	backend(t, "backend: bad index and fd", 0xffffffff, CLOSED, -ENOBUFS);
	/* the ring is looked at before the fd, and first of all needs memory */
	backend(t, "backend: no memory table", 0, tap, -EFAULT);
	backend(t, "backend: no memory table, stop", 0, -1, -EFAULT);
	backend(t, "backend: no memory table, closed", 0, CLOSED, -EFAULT);
	one_region(t);
	backend(t, "backend: stop what never ran", 0, -1, 0);
	backend(t, "backend: no addresses, closed", 0, CLOSED, -ENOTSOCK);
	backend(t, "backend: no addresses", 0, tap, -EFAULT);
	for (i = 0; i < 2; i++) {
		good_ring(t, i);
		backend(t, "backend: closed", i, CLOSED, -ENOTSOCK);
		backend(t, "backend: -2", i, -2, -ENOTSOCK);
		backend(t, "backend: /dev/null", i, null, -ENOTSOCK);
		backend(t, "backend: eventfd", i, ev, -ENOTSOCK);
		backend(t, "backend: itself", i, t->fd, -ENOTSOCK);
		backend(t, "backend: udp", i, udp, -ENOTSOCK);
		backend(t, "backend: raw ip", i, icmp, -ENOTSOCK);
		backend(t, "backend: unix", i, unix_fd, -ENOTSOCK);
		backend(t, "backend: packet dgram", i, dgram, -ENOTSOCK);
		backend(t, "backend: tun without a device", i, loose, -EINVAL);
		backend(t, "backend: stop 1", i, -1, 0);
		backend(t, "backend: tap", i, tap, 0);
		backend(t, "backend: same tap again", i, tap, 0);
		backend(t, "backend: same tap, other fd", i, dup(tap), 0);
		/* failures leave it running */
		backend(t, "backend: live, closed", i, CLOSED, -ENOTSOCK);
		backend(t, "backend: live, loose", i, loose, -EINVAL);
		state(t, "backend: still live", VHOST_SET_VRING_NUM, i, 256,
		      -EBUSY);
		backend(t, "backend: another tap", i, tap2, 0);
		backend(t, "backend: packet", i, raw, 0);
		backend(t, "backend: back to tap", i, tap, 0);
		backend(t, "backend: stop 2", i, -1, 0);
		backend(t, "backend: stop 3", i, -1, 0);
		state(t, "backend: stopped", VHOST_SET_VRING_NUM, i, 256, 0);
	}
	backend(t, "backend: both", 0, tap, 0);
	backend(t, "backend: both 2", 1, tap, 0);
	/* the tap goes away while it is in use */
	close(tap);
	close(tap2);
	backend(t, "backend: stop closed tap", 0, -1, 0);
	vt_cmp_ioctl(t, "backend: reset owner live", VHOST_RESET_OWNER, NULL,
		     0);
	own(t);
	state(t, "backend: reset stopped it", VHOST_SET_VRING_NUM, 1, 256, 0);
	/* the memory table is empty now, but there is one */
	backend(t, "backend: after reset", 1, raw, VT_CMP_ANY);
}

/* One tap for two devices, and a device that is closed while it runs. */
static void case_shared_tap(struct vt_cmp *t, void *arg)
{
	struct vt_cmp other = { .path = t->path, .log = t->log };
	int tap = good_device(t, true);

	(void)arg;
	if (vt_cmp_open(&other) < 0)
		return;
	own(&other);
	one_region(&other);
	good_ring(&other, 0);
	backend(&other, "shared: rx of another", 0, tap, 0);
	good_ring(&other, 1);
	backend(&other, "shared: tx of another", 1, tap, 0);
	vt_cmp_answer(&other, vt_cmp_errno(close(other.fd)), 0,
		      "shared: close");
	backend(t, "shared: stop", 1, -1, 0);
}

static void write_msg(struct vt_cmp *t, const char *what, const void *msg,
		      size_t len, long want)
{
	vt_cmp_answer(t, vt_cmp_errno(write(t->fd, msg, len)), want, "%s",
		      what);
}

/* Without an IOTLB nothing comes out, and nothing goes in. */
static void io_checks(struct vt_cmp *t)
{
	struct vhost_msg v1 = { .type = VHOST_IOTLB_MSG };
	struct vhost_msg_v2 v2 = { .type = VHOST_IOTLB_MSG_V2 };
	struct pollfd p = { .fd = t->fd, .events = ~0 };
	/* volatile: the compiler knows too well what NULL may be used for */
	void *volatile null = NULL;
	char buf[256] = {};
	unsigned int i;

	fcntl(t->fd, F_SETFL, O_RDWR | O_NONBLOCK);
	for (i = 0; i < sizeof(struct vhost_msg); i += 8)
		vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, i)), 0,
			      "io: read %u", i);
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, 71)), 0, "io: read 71");
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, 72)), -EAGAIN,
		      "io: read 72");
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, 256)), -EAGAIN,
		      "io: read 256");
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, null, 72)), -EAGAIN,
		      "io: read NULL");
	fcntl(t->fd, F_SETFL, O_RDWR);
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, 72)), -EBADFD,
		      "io: read blocking");
	vt_cmp_answer(t, vt_cmp_errno(read(t->fd, buf, 71)), 0,
		      "io: read blocking, short");

	for (i = 0; i <= sizeof(v1); i += 4)
		write_msg(t, "io: write zeroes", buf, i,
			  i ? -EINVAL : VT_CMP_ANY);
	v1.iotlb.type = VHOST_IOTLB_UPDATE;
	write_msg(t, "io: zero size", &v1, sizeof(v1), -EINVAL);
	v1.iotlb.size = 4096;
	for (i = 4; i < sizeof(v1); i += 4)
		write_msg(t, "io: cut v1", &v1, i, VT_CMP_ANY);
	write_msg(t, "io: update v1", &v1, sizeof(v1), -EFAULT);
	v1.iotlb.type = VHOST_IOTLB_INVALIDATE;
	write_msg(t, "io: invalidate v1", &v1, sizeof(v1), -EFAULT);
	v1.iotlb.type = VHOST_IOTLB_MISS;
	write_msg(t, "io: miss", &v1, sizeof(v1), -EFAULT);
	v1.iotlb.type = 77;
	write_msg(t, "io: type 77", &v1, sizeof(v1), -EFAULT);
	v1.type = 77;
	write_msg(t, "io: message 77", &v1, sizeof(v1), -EINVAL);
	v2.iotlb = (struct vhost_iotlb_msg){ .size = 4096,
					     .type = VHOST_IOTLB_UPDATE };
	for (i = 4; i < sizeof(v2); i += 4)
		write_msg(t, "io: cut v2", &v2, i, VT_CMP_ANY);
	write_msg(t, "io: update v2", &v2, sizeof(v2), -EFAULT);
	v2.asid = 5;
	write_msg(t, "io: asid", &v2, sizeof(v2), -EFAULT);
	vt_cmp_answer(t, vt_cmp_errno(write(t->fd, null, sizeof(v1))), -EINVAL,
		      "io: write NULL");
	vt_cmp_answer(t, vt_cmp_errno(write(t->fd, edge(8), sizeof(v1))),
		      -EINVAL, "io: write cut");

	vt_cmp_answer(t, vt_cmp_errno(poll(&p, 1, 0)), 0, "io: poll");
	vt_cmp_answer(t, p.revents, 0, "io: poll events");
	vt_cmp_answer(t, vt_cmp_errno(lseek(t->fd, 100, SEEK_SET)), VT_CMP_ANY,
		      "io: lseek");
	vt_cmp_answer(t, vt_cmp_errno(lseek(t->fd, 0, SEEK_END)), VT_CMP_ANY,
		      "io: lseek end");
	vt_cmp_answer(t, vt_cmp_errno(pread(t->fd, buf, 72, 0)), VT_CMP_ANY,
		      "io: pread");
	vt_cmp_answer(t, vt_cmp_errno(ftruncate(t->fd, 0)), VT_CMP_ANY,
		      "io: ftruncate");
	vt_cmp_answer(t, vt_cmp_errno(fsync(t->fd)), VT_CMP_ANY, "io: fsync");
	vt_cmp_answer(t,
		      mmap(NULL, 4096, PROT_READ, MAP_SHARED, t->fd, 0) ==
				      MAP_FAILED ?
			      -errno :
			      0,
		      -ENODEV, "io: mmap");
}

static void case_io(struct vt_cmp *t, void *arg)
{
	struct vt_cmp ro = { .path = t->path, .log = t->log };

	(void)arg;
	io_checks(t);
	good_device(t, true);
	io_checks(t);

	/* opened for reading only: ioctls do not care */
	ro.fd = open(t->path, O_RDONLY | O_CLOEXEC);
	own(&ro);
	one_region(&ro);
	good_ring(&ro, 0);
	backend(&ro, "io: O_RDONLY backend", 0, tap_fd(), 0);
	close(ro.fd);
	vt_cmp_answer(t, vt_cmp_errno(open(t->path, O_RDWR | O_DIRECTORY)),
		      -ENOTDIR, "io: O_DIRECTORY");
}

/* What RESET_OWNER forgets. */
static void case_reset(struct vt_cmp *t, void *arg)
{
	int ev = eventfd(0, 0);

	(void)arg;
	good_device(t, true);
	state(t, "reset: busyloop", VHOST_SET_VRING_BUSYLOOP_TIMEOUT, 0, 100,
	      0);
	state(t, "reset: base", VHOST_SET_VRING_BASE, 0, 1000, 0);
	file(t, "reset: kick", VHOST_SET_VRING_KICK, 1, ev, 0);
	file(t, "reset: call", VHOST_SET_VRING_CALL, 1, ev, 0);
	vt_cmp_ioctl(t, "reset: reset", VHOST_RESET_OWNER, NULL, 0);
	state(t, "reset: unowned", VHOST_GET_VRING_BASE, 0, 0, -EPERM);
	own(t);
	get_state(t, "reset: get base", VHOST_GET_VRING_BASE, 0, 0);
	get_state(t, "reset: get busyloop", VHOST_GET_VRING_BUSYLOOP_TIMEOUT, 0,
		  0);
	/* rings are at address 0 and of size 1 again */
	one_region(t);
	backend(t, "reset: start", 1, tap_fd(), -EFAULT);
	good_ring(t, 1);
	backend(t, "reset: start set up", 1, tap_fd(), 0);
}

/* The same calls from a 32-bit program. */
#ifdef __x86_64__
static long ioctl32(int fd, unsigned int cmd, void *arg)
{
	long ret;

	asm volatile("int $0x80" : "=a" (ret)
		     : "a" (54L), "b" ((long)fd), "c" ((long)cmd), "d" (arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)ret;
}

/* Where the kernel has no 32-bit calls, the instruction is a fault. */
static bool have_compat(void)
{
	int status = -1;
	pid_t pid = fork();
	long ret;

	if (!pid) {
		asm volatile("int $0x80" : "=a" (ret) : "a" (20L)
			     : "memory", "r8", "r9", "r10", "r11");
		_exit(ret != getpid());
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

static void case_compat(struct vt_cmp *t, void *arg)
{
	char *low = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct vhost_memory *mem = (void *)low;
	struct vhost_vring_state *s = (void *)(low + 1024);
	struct vhost_vring_addr *a = (void *)(low + 2048);
	struct vhost_vring_file *f = (void *)(low + 3072);

	(void)arg;
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_GET_FEATURES, s), 0,
		      "compat: features");
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_GET_FEATURES, NULL), -EFAULT,
		      "compat: NULL");
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_VRING_NUM, s), -EPERM,
		      "compat: unowned");
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_OWNER, NULL), 0,
		      "compat: owner");
	mem->nregions = 1;
	mem->regions[0] =
		(struct vhost_memory_region){ GPA, 65536, (uintptr_t)low, 0 };
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_MEM_TABLE, mem), 0,
		      "compat: mem");
	*s = (struct vhost_vring_state){ 1, 256 };
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_VRING_NUM, s), 0,
		      "compat: num");
	s->index = 2;
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_VRING_NUM, s), -ENOBUFS,
		      "compat: index");
	*a = (struct vhost_vring_addr){
		.index = 1,
		.desc_user_addr = (uintptr_t)low + 16384,
		.avail_user_addr = (uintptr_t)low + 24576,
		.used_user_addr = (uintptr_t)low + 32768,
	};
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_SET_VRING_ADDR, a), 0,
		      "compat: addr");
	*f = (struct vhost_vring_file){ 1, tap_fd() };
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_NET_SET_BACKEND, f), 0,
		      "compat: backend");
	f->fd = -1;
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_NET_SET_BACKEND, f), 0,
		      "compat: stop");
	vt_cmp_answer(t, ioctl32(t->fd, VHOST_RESET_OWNER, NULL), 0,
		      "compat: reset");
}
#endif

static const struct {
	const char *name;
	vt_cmp_script script;
	void *arg;
} cases[] = {
	{ "unowned", case_unowned, NULL },
	{ "owner", case_owner, NULL },
	{ "owner gone", case_owner_gone, NULL },
	{ "features", case_features, NULL },
	{ "backend features", case_backend_features, NULL },
	{ "memory table", case_mem_table, NULL },
	{ "memory table, live", case_mem_table, (void *)1 },
	{ "log", case_log, NULL },
	{ "vring index", case_vring_index, NULL },
	{ "vring num", case_vring_num, NULL },
	{ "vring addr", case_vring_addr, NULL },
	{ "vring addr, live", case_vring_addr, (void *)1 },
	{ "vring base", case_vring_base, NULL },
	{ "vring eventfds", case_vring_fds, NULL },
	{ "fork owner, busyloop, others", case_misc, NULL },
	{ "backend", case_backend, NULL },
	{ "shared tap", case_shared_tap, NULL },
	{ "read, write, poll", case_io, NULL },
	{ "reset", case_reset, NULL },
#ifdef __x86_64__
	{ "32-bit calls", case_compat, NULL },
#endif
};

/* Why a case cannot be run on this kernel, NULL if it can. */
static const char *why_not(unsigned int i)
{
#ifdef __x86_64__
	if (cases[i].script == case_compat && !have_compat())
		return "no CONFIG_IA32_EMULATION";
#endif
	return NULL;
}

static void skip_case(unsigned int i, const char *why, unsigned int results)
{
	while (results--)
		ksft_test_result_skip("%s: %s\n", cases[i].name, why);
}

/* The answers to one case on one device: as they should be? */
static bool run_side(const char *path, unsigned int i, struct vt_cmp_log *log,
		     const struct vt_cmp_known *k, uint64_t offered)
{
	unsigned int bad;
	int r;

	r = vt_cmp_run(path, cases[i].script, cases[i].arg, log);
	bad = vt_cmp_check(path, log, k, offered, true);
	ksft_test_result(!r && !bad, "%s: %s (%u calls)\n", path, cases[i].name,
			 log->n);
	return !r;
}

int main(void)
{
	struct vt_cmp_pair p;
	unsigned int i, bad;

	ksft_print_header();
	area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || vt_netns_enter() || vt_cmp_pair_open(&p))
		ksft_exit_fail_msg("cannot set up\n");
	i = ARRAY_SIZE(cases);
	ksft_set_plan(p.both ? 3 * i : i + 1);
	if (!p.both)
		ksft_test_result_skip("comparing: %s\n", p.why);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *why = why_not(i);
		bool ok = true;

		if (why) {
			skip_case(i, why, p.both ? 3 : 1);
			continue;
		}
		if (p.have_stock)
			ok &= run_side(VT_CMP_STOCK, i, p.stock, NULL, 0);
		if (p.have_ours)
			ok &= run_side(p.path, i, p.ours, known, p.offered);
		if (!p.both)
			continue;
		bad = vt_cmp_both(p.stock, p.ours, known, p.offered, true);
		ksft_test_result(ok && !bad, "same: %s\n", cases[i].name);
	}
	ksft_finished();
}
