/* SPDX-License-Identifier: GPL-2.0 */
/* Threads that repeat a step until the test has seen enough. */
#ifndef VHOST_TEST_THREAD_H
#define VHOST_TEST_THREAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * A thread that calls step(arg) until it is stopped or a step returns an
 * error, which vt_thread_stop() hands on.
 */
struct vt_thread {
	_Atomic uint64_t steps;
	_Atomic int error;
	_Atomic bool stop;
	_Atomic bool pause;
	_Atomic bool paused;
	int (*step)(void *arg);
	void *arg;
	bool running;
	pthread_t id;
};

int vt_thread_start(struct vt_thread *t, int (*step)(void *), void *arg);
int vt_thread_stop(struct vt_thread *t);
/* When this returns no step is under way, and none will be until resumed. */
void vt_thread_pause(struct vt_thread *t);
void vt_thread_resume(struct vt_thread *t);
/* Wait until @n more steps were made; -ETIMEDOUT, or the error of a step. */
int vt_thread_wait(struct vt_thread *t, uint64_t n);

#endif
