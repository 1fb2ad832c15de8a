/* SPDX-License-Identifier: GPL-2.0 */
/* When to wake the worker for received packets. */
#ifndef VHOST_MMU_COALESCE_H
#define VHOST_MMU_COALESCE_H

#include <linux/types.h>

#include "../compat/hrtimer.h"

struct vmdev_poll;
struct vmnet;

/**
 * struct vmnet_coalesce - a wake-up that is held back, and whether to
 * @timer: ends the wait
 * @poll: what it queues then
 * @held: wake-ups held back since the worker ran
 * @waited: the run under way began with some of those
 * @average: packets in a run of the handler, see coalesce.c for the scale
 * @cpu: where the handler ran last
 * @ended: local_clock() when it last had received something
 */
struct vmnet_coalesce {
	struct hrtimer timer;
	struct vmdev_poll *poll;
	unsigned int held;
	bool waited;
	int average;
	int cpu;
	u64 ended;
};

void vmnet_coalesce_init(struct vmnet *net);
void vmnet_coalesce_begin(struct vmnet *net);
void vmnet_coalesce_end(struct vmnet *net, unsigned int packets);
void vmnet_coalesce_stop(struct vmnet *net);

#endif /* VHOST_MMU_COALESCE_H */
