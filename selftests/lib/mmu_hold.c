// SPDX-License-Identifier: GPL-2.0
/* A thread that holds an invalidation open. */
#include "mmu_hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *hold(void *arg)
{
	struct vt_mmu_hold *h = arg;
	unsigned long start = (unsigned long)h->start;
	char value[64];
	int fd, n;

	while (!h->go)
		usleep(100);
	if (h->len)
		n = snprintf(value, sizeof(value), "%u %#lx %#lx\n", h->ms,
			     start, start + h->len);
	else
		n = snprintf(value, sizeof(value), "%u\n", h->ms);
	fd = open(VT_MMU_PARAMS "test_hold_inval_ms", O_WRONLY);
	if (fd < 0 || write(fd, value, n) != n)
		h->error = -errno;
	if (fd >= 0)
		close(fd);
	h->done = true;
	return NULL;
}

static int hold_once(struct vt_mmu_hold *h, int stats, unsigned int ms,
		     const void *start, size_t len)
{
	uint64_t starts, now;
	int r;

	memset(h, 0, sizeof(*h));
	h->ms = ms;
	h->start = start;
	h->len = len;
	if (!vt_mmu_has_param("test_hold_inval_ms"))
		return -ENOENT;
	r = pthread_create(&h->id, NULL, hold, h);
	if (r)
		return -r;
	/* mapping the thread's stack may invalidate: count from here */
	starts = vt_mmu_stat(stats, "notifier_starts");
	now = vt_now_ns();
	h->end_ns = now + ms * 1000000ULL;
	h->go = true;
	while (!h->done && vt_mmu_stat(stats, "notifier_starts") == starts &&
	       vt_now_ns() < now + ms * 250000ULL)
		usleep(500);
	return h->error;
}

int vt_mmu_hold_range(struct vt_mmu_hold *h, int stats, unsigned int ms,
		      const void *start, size_t len)
{
	int r;

	for (; ms < 20000; ms *= 3) {
		r = hold_once(h, stats, ms, start, len);
		if (r)
			return r;
		vt_sleep_ms(ms / 20);
		if (vt_now_ns() + ms * 500000ULL < h->end_ns)
			return 0;
		vt_mmu_hold_wait(h);
	}
	return -ETIMEDOUT;
}

int vt_mmu_hold_start(struct vt_mmu_hold *h, int stats, unsigned int ms)
{
	return vt_mmu_hold_range(h, stats, ms, NULL, 0);
}

int vt_mmu_hold_wait(struct vt_mmu_hold *h)
{
	pthread_join(h->id, NULL);
	return h->error;
}
