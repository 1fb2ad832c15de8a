// SPDX-License-Identifier: GPL-2.0
/* The own process and the system. */
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vhost_test.h"

#define LRU_GEN	"/sys/kernel/mm/lru_gen/enabled"

static uint64_t read_entry(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), index * sizeof(entry)) !=
			      sizeof(entry))
		vt_msg("sys: cannot read %s: %m", path);
	if (fd >= 0)
		close(fd);
	return entry;
}

uint64_t vt_pagemap(const void *addr)
{
	return read_entry("/proc/self/pagemap", (uintptr_t)addr / VT_PAGE);
}

uint64_t vt_pfn(const void *addr)
{
	uint64_t entry = vt_pagemap(addr);

	return entry & VT_F(VT_PM_PRESENT) ? entry & (VT_F(55) - 1) : 0;
}

bool vt_kpageflag(const void *addr, unsigned int bit)
{
	uint64_t pfn = vt_pfn(addr);

	return pfn && read_entry("/proc/kpageflags", pfn) & VT_F(bit);
}

long vt_differ(const char *a, const char *b, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (a[i] != b[i])
			return i;
	return -1;
}

bool vt_is_thp(const void *p, size_t len)
{
	uintptr_t from = (uintptr_t)p, to = from + len, a = 0, b = 0;
	unsigned long kb, huge = 0;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		return false;
	/*
	 * Sum up what is mapped by huge entries in the mappings that hold the
	 * range; they may be larger, which errs towards true only if something
	 * else in them is huge.
	 */
	while (fgets(line, sizeof(line), f)) {
		unsigned long x, y;

		if (sscanf(line, "%lx-%lx ", &x, &y) == 2) {
			a = x;
			b = y;
		} else if (a < to && b > from &&
			   (sscanf(line, "AnonHugePages: %lu kB", &kb) == 1 ||
			    sscanf(line, "ShmemPmdMapped: %lu kB", &kb) == 1)) {
			huge += kb << 10;
		}
	}
	fclose(f);
	return huge >= len;
}

int vt_hold_pages(struct vt_held_pages *h, const void *addr, size_t len)
{
	struct iovec iov = { (void *)addr, len };
	ssize_t n;

	h->len = len;
	h->then = malloc(len);
	if (!h->then || pipe2(h->pipe, O_CLOEXEC | O_NONBLOCK))
		return -ENOMEM;
	memcpy(h->then, addr, len);
	fcntl(h->pipe[0], F_SETPIPE_SZ, 2 * len);
	n = vmsplice(h->pipe[1], &iov, 1, 0);
	if (n == (ssize_t)len)
		return 0;
	vt_msg("sys: vmsplice holds %zd of %zu bytes: %m", n, len);
	return -EIO;
}

int vt_check_held_pages(struct vt_held_pages *h)
{
	char *now = malloc(h->len);
	size_t done = 0;
	ssize_t n = 1;
	int r = 0;
	long at;

	while (now && done < h->len && n > 0) {
		n = read(h->pipe[0], now + done, h->len - done);
		done += n > 0 ? n : 0;
	}
	if (done < h->len) {
		r = -EIO;
	} else {
		at = vt_differ(now, h->then, h->len);
		if (at >= 0) {
			vt_msg("sys: byte %#lx of the old pages was changed from %#x to %#x",
			       at, (uint8_t)h->then[at], (uint8_t)now[at]);
			r = -EBADMSG;
		}
	}
	free(now);
	free(h->then);
	close(h->pipe[0]);
	close(h->pipe[1]);
	return r;
}

int vt_write_file(const char *path, const char *fmt, ...)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;
	char text[256];
	va_list ap;

	if (fd < 0)
		return -errno;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

long long vt_read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long long n = -EINVAL;

	if (!f)
		return -errno;
	if (fscanf(f, "%lld", &n) != 1)
		n = -EINVAL;
	fclose(f);
	return n;
}

const char *vt_swap_on(void)
{
	char line[256];
	int lines = 0;
	FILE *f = fopen("/proc/swaps", "r");

	if (!f)
		return "the kernel has no swap";
	while (fgets(line, sizeof(line), f))
		lines++;
	fclose(f);
	if (lines > 1)
		return NULL;
	if (system("modprobe -q zram num_devices=1") ||
	    vt_write_file("/sys/block/zram0/disksize", "128M"))
		return "no zram";
	if (system("mkswap -q /dev/zram0 && swapon /dev/zram0"))
		return "cannot swap on zram";
	return NULL;
}

void vt_drain_lru(void)
{
	cpu_set_t all, one;
	int cpu;

	sched_getaffinity(0, sizeof(all), &all);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		/* drains the list of this CPU on the way */
		mlock(&one, 1);
		munlock(&one, 1);
	}
	sched_setaffinity(0, sizeof(all), &all);
}

void vt_sleep_ms(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

int vt_wait_child(pid_t pid, int timeout_ms)
{
	uint64_t end = vt_patient_ns() + timeout_ms * 1000000ULL;
	int status;

	for (;;) {
		pid_t r = waitpid(pid, &status, WNOHANG);

		if (r == pid)
			return status;
		if (r < 0)
			return -errno;
		if (vt_patient_ns() > end) {
			vt_msg("sys: process %d does not end", pid);
			return -ETIMEDOUT;
		}
		vt_sleep_ms(5);
	}
}

unsigned int vt_set_lru_gen(unsigned int mask)
{
	FILE *f = fopen(LRU_GEN, "r");
	unsigned int old = 0;

	if (f && fscanf(f, "%x", &old) != 1)
		old = 0;
	if (f)
		fclose(f);
	vt_write_file(LRU_GEN, "%#x", mask);
	return old;
}

void vt_numa_balancing_off(void)
{
	/* kernels without NUMA have no such file */
	vt_write_file("/proc/sys/kernel/numa_balancing", "0\n");
}

static bool slow;

static void find_slow(void)
{
	const char *scale = getenv("VT_TIMEOUT_SCALE");
	char line[256];
	FILE *f;

	/* selftests/run has found out already, and that takes long */
	if (scale) {
		slow = atoi(scale) > 1;
		return;
	}
	slow = !access("/proc/lockdep", F_OK);
	if (slow)
		return;
	f = fopen("/proc/kallsyms", "r");
	while (f && !slow && fgets(line, sizeof(line), f))
		slow = strstr(line, " kasan_report\n");
	if (f)
		fclose(f);
}

bool vt_slow(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, find_slow);
	return slow;
}

/* Looked up once, not by each test's process. */
__attribute__((constructor)) static void find_slow_once(void)
{
	vt_slow();
}

unsigned int vt_scale(unsigned int fast)
{
	if (!vt_slow())
		return fast;
	return fast < 8 ? 1 : fast / 8;
}

bool vt_full(void)
{
	const char *full = getenv("VT_FULL");

	return full && atoi(full) > 0;
}
