/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the device core tell each other and nobody else.
 */
#ifndef VHOST_MMU_DEV_INTERNAL_H
#define VHOST_MMU_DEV_INTERNAL_H

#include "dev.h"

/* Bit number in vmdev_work::flags: in the list of a worker. */
#define VMDEV_WORK_QUEUED 0

/**
 * struct vmdev_worker - the thread that runs a device's work
 * @dev: owner
 * @mutex: orders flushes and the loss of the thread, and guards
 *	vmdev_vq::worker; inside the device mutex, never held for long
 * @work_list: works to run, newest first
 * @vtsk: the thread if it belongs to the owner process, else NULL
 * @kthread: the thread otherwise
 * @killed: the thread is gone, nothing may be queued; protected by @mutex
 * @flush_only: run flushes and nothing else; is never cleared
 * @kcov_handle: coverage collection of the owner
 */
struct vmdev_worker {
	struct vmdev *dev;
	/* guards killed, and keeps the thread while a flush is queued */
	struct mutex mutex;
	struct llist_head work_list;
	struct vhost_task *vtsk;
	struct task_struct *kthread;
	bool killed;
	bool flush_only;
	u64 kcov_handle;
};

/* worker.c */
struct vmdev_worker *vmdev_worker_create(struct vmdev *dev);
void vmdev_worker_destroy(struct vmdev_worker *worker);

/* memory.c */
struct vhost_iotlb *vmdev_umem_alloc(void);
long vmdev_set_mem_table(struct vmdev *dev, void __user *argp);
bool vmdev_vq_log_used_ok(const struct vmdev_vq *dvq, const void __user *base,
			  bool log, u64 addr);
bool vmdev_vq_log_ok(const struct vmdev_vq *dvq, const void __user *base);

/* log.c */
long vmdev_set_log_base(struct vmdev *dev, void __user *argp);
long vmdev_set_log_fd(struct vmdev *dev, void __user *argp);
void vmdev_put_log(struct vmdev *dev);

/* attach.c */
void vmdev_apply_memory(struct vmdev *dev);
void vmdev_put_mmus(struct vmdev *dev);
long vmdev_attach(struct vmdev *dev, void __user *argp);
long vmdev_get_attached(struct vmdev *dev, void __user *argp);

/* params.c */
unsigned int vmdev_max_mem_regions(void);
bool vmdev_fork_owner_default(void);

/* debugfs.c */
void vmdev_debugfs_add(struct vmdev *dev);
void vmdev_debugfs_remove(struct vmdev *dev);

#endif /* VHOST_MMU_DEV_INTERNAL_H */
