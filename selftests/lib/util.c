// SPDX-License-Identifier: GPL-2.0
/* Time, messages, eventfds. */
#include "vhost_test.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Whoever waits looks at the clock more often than this. */
#define STANDSTILL_NS	1000000000ULL

uint64_t vt_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

uint64_t vt_patient_ns(void)
{
	static _Atomic uint64_t last, counted;
	uint64_t now = vt_now_ns(), then = atomic_exchange(&last, now), step;

	step = then && then < now ? now - then : 0;
	if (step > STANDSTILL_NS)
		step = STANDSTILL_NS;
	return atomic_fetch_add(&counted, step) + step;
}

int vt_timeout_ms(int base)
{
	const char *scale = getenv("VT_TIMEOUT_SCALE");
	int n = scale ? atoi(scale) : 1;

	return base * (n > 0 ? n : 1);
}

void vt_msg(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* one write, so that lines of two threads do not mix */
	fprintf(stderr, "# %s\n", line);
}

const char *vt_dev_path(void)
{
	const char *path = getenv("VHOST_DEV");

	return path && *path ? path : "/dev/vhost-mmu-net";
}

int vt_event_wait(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int r;

	do {
		r = poll(&p, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (!r)
		return -ETIMEDOUT;
	vt_event_read(fd);
	return 0;
}

uint64_t vt_event_read(int fd)
{
	uint64_t n;

	return read(fd, &n, sizeof(n)) == sizeof(n) ? n : 0;
}
