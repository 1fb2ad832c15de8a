// SPDX-License-Identifier: GPL-2.0
/* Threads that repeat a step. */
#include "thread.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vhost_test.h"

static void *run_steps(void *arg)
{
	struct vt_thread *t = arg;
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

int vt_thread_start(struct vt_thread *t, int (*step)(void *), void *arg)
{
	memset(t, 0, sizeof(*t));
	t->step = step;
	t->arg = arg;
	t->running = !pthread_create(&t->id, NULL, run_steps, t);
	return t->running ? 0 : -EAGAIN;
}

int vt_thread_stop(struct vt_thread *t)
{
	if (!t->running)
		return 0;
	t->stop = true;
	pthread_join(t->id, NULL);
	t->running = false;
	return t->error;
}

void vt_thread_pause(struct vt_thread *t)
{
	t->pause = true;
	while (!t->paused)
		usleep(100);
}

void vt_thread_resume(struct vt_thread *t)
{
	t->pause = false;
	while (t->paused && !t->error)
		usleep(100);
}

int vt_thread_wait(struct vt_thread *t, uint64_t n)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	uint64_t goal = t->steps + n;

	while (t->steps < goal) {
		if (t->error)
			return t->error;
		if (vt_patient_ns() > end)
			return -ETIMEDOUT;
		usleep(200);
	}
	return 0;
}
