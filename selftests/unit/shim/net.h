/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What coalesce.c needs of the kernel and of the net device, put in front of it
 * after shim/mmu.h.  The test has the clock, the CPU and its task.
 */
#ifndef UNIT_NET_SHIM_H
#define UNIT_NET_SHIM_H

#define module_param(...)
#define MODULE_PARM_DESC(...)

#define NSEC_PER_USEC		1000UL
#define CLOCK_MONOTONIC		1

enum hrtimer_mode {
	HRTIMER_MODE_REL,
};

enum hrtimer_restart {
	HRTIMER_NORESTART,
};

/* Runs out at @expires, 0: is not running. */
struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	u64 expires;
};

extern u64 unit_clock;
extern int unit_cpu;
extern bool unit_idle;
extern unsigned int hrtimer_resolution;

#define local_clock()		unit_clock
#define smp_processor_id()	unit_cpu
#define raw_smp_processor_id()	unit_cpu
#define current			NULL
#define is_idle_task(task)	((void)(task), unit_idle)

#define VMMU_HAVE_HRTIMER_SETUP	1
#define ns_to_ktime(ns)		(ns)
#define hrtimer_setup(t, fn, ...) ((t)->function = (fn))
#define hrtimer_start(t, ns, ...) ((t)->expires = unit_clock + (ns))
#define hrtimer_try_to_cancel(t) ((t)->expires = 0)
#define hrtimer_cancel(t)	((t)->expires = 0)

/* Of vhost_mmu/net/net.h, whose place this takes. */
#define VHOST_MMU_NET_H
#define VMNET_RX		0

#include "net/coalesce.h"

struct vmq {
	/* asserted only */
	struct mutex mutex;
};

struct vmnet_vq {
	struct vmq vmq;
};

struct vmdev_poll {
	bool (*hold)(struct vmdev_poll *poll);
};

struct vmnet {
	struct vmnet_vq vqs[1];
	struct vmdev_poll poll[1];
	struct vmnet_coalesce coalesce;
};

#define vmnet_vmq(nvq)		(&(nvq)->vmq)

void vmdev_poll_queue(struct vmdev_poll *poll);

#endif
