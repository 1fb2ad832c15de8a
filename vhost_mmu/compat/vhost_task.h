/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vhost_task: kernel threads that are threads of the process that asked for
 * them.  Where the kernel has none, vmmu_have_vhost_task is false and the rest
 * only has to compile.
 */
#ifndef VHOST_MMU_COMPAT_VHOST_TASK_H
#define VHOST_MMU_COMPAT_VHOST_TASK_H

#include <linux/err.h>

#ifdef VMMU_HAVE_VHOST_TASK

#include <linux/sched/vhost_task.h>

#define vmmu_have_vhost_task true

#else

#define vmmu_have_vhost_task false

struct vhost_task;

static inline struct vhost_task *
vhost_task_create(bool (*fn)(void *data), void (*handle_kill)(void *data),
		  void *data, const char *name)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void vhost_task_start(struct vhost_task *vtsk) {}
static inline void vhost_task_stop(struct vhost_task *vtsk) {}
static inline void vhost_task_wake(struct vhost_task *vtsk) {}

#endif

#endif /* VHOST_MMU_COMPAT_VHOST_TASK_H */
