// SPDX-License-Identifier: GPL-2.0
/* Threads, bitmaps and hooks for the tests of the MMU. */
#include "mmu_load.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *run_steps(void *arg)
{
	struct ml_thread *t = arg;
	int r;

	while (!t->stop) {
		if (t->pause) {
			t->paused = true;
			while (t->pause && !t->stop)
				usleep(100);
			t->paused = false;
			continue;
		}
		r = t->step(t->arg);
		if (r) {
			t->error = r;
			break;
		}
		t->steps++;
	}
	/* who waits for a pause must not wait for ever */
	t->paused = true;
	return NULL;
}

int ml_start(struct ml_thread *t, int (*step)(void *), void *arg)
{
	memset(t, 0, sizeof(*t));
	t->step = step;
	t->arg = arg;
	t->running = !pthread_create(&t->id, NULL, run_steps, t);
	return t->running ? 0 : -EAGAIN;
}

int ml_stop(struct ml_thread *t)
{
	if (!t->running)
		return 0;
	t->stop = true;
	pthread_join(t->id, NULL);
	t->running = false;
	return t->error;
}

void ml_pause(struct ml_thread *t)
{
	t->pause = true;
	while (!t->paused)
		usleep(100);
}

void ml_resume(struct ml_thread *t)
{
	t->pause = false;
	while (t->paused && !t->error)
		usleep(100);
}

int ml_wait(struct ml_thread *t, uint64_t n)
{
	uint64_t end = vt_now_ns() + VT_TIMEOUT * 1000000ULL;
	uint64_t goal = t->steps + n;

	while (t->steps < goal) {
		if (t->error)
			return t->error;
		if (vt_now_ns() > end)
			return -ETIMEDOUT;
		usleep(200);
	}
	return 0;
}

uint64_t ml_weight(const uint64_t *map, uint64_t bits)
{
	uint64_t i, n = 0;

	for (i = 0; i < bits; i++)
		n += mt_test_bit(map, i);
	return n;
}

bool ml_have_param(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), MT_PARAMS "%s", name);
	return !access(path, W_OK);
}

static void *hold(void *arg)
{
	struct ml_hold *h = arg;
	char value[16];
	int fd, n;

	while (!h->go)
		usleep(100);
	n = snprintf(value, sizeof(value), "%u\n", h->ms);
	fd = open(MT_PARAMS "test_hold_inval_ms", O_WRONLY);
	if (fd < 0 || write(fd, value, n) != n)
		h->error = -errno;
	if (fd >= 0)
		close(fd);
	h->done = true;
	return NULL;
}

static int hold_once(struct ml_hold *h, int stats, unsigned int ms)
{
	uint64_t starts, now;
	int r;

	memset(h, 0, sizeof(*h));
	h->ms = ms;
	if (!ml_have_param("test_hold_inval_ms"))
		return -ENOENT;
	r = pthread_create(&h->id, NULL, hold, h);
	if (r)
		return -r;
	/* the new thread's stack may have been an invalidation: count from here */
	starts = mt_stat(stats, "notifier_starts");
	now = vt_now_ns();
	h->end_ns = now + ms * 1000000ULL;
	h->go = true;
	while (!h->done && mt_stat(stats, "notifier_starts") == starts &&
	       vt_now_ns() < now + ms * 250000ULL)
		usleep(500);
	return h->error;
}

int ml_hold_start(struct ml_hold *h, int stats, unsigned int ms)
{
	int r;

	for (; ms < 20000; ms *= 3) {
		r = hold_once(h, stats, ms);
		if (r)
			return r;
		vt_sleep_ms(ms / 20);
		if (vt_now_ns() + ms * 500000ULL < h->end_ns)
			return 0;
		ml_hold_wait(h);
	}
	return -ETIMEDOUT;
}

int ml_hold_wait(struct ml_hold *h)
{
	pthread_join(h->id, NULL);
	return h->error;
}

uint64_t ml_delta(int stats, const char *name, uint64_t since)
{
	return mt_stat(stats, name) - since;
}

uint64_t ml_tables(uint64_t gpa, uint64_t pages, bool huge)
{
	uint64_t first = gpa / VT_PAGE, last = first + pages - 1, n = 1;
	unsigned int shift;

	for (shift = 27; shift >= (huge ? 18 : 9); shift -= 9)
		n += (last >> shift) - (first >> shift) + 1;
	return n;
}
