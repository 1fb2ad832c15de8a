/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vhost device core: what every vhost backend shares.  Ownership, the
 * worker thread, kicks, the guest memory table, the device and vring ioctls,
 * and the character device calls for IOTLB messages.
 */
#ifndef VHOST_MMU_DEV_H
#define VHOST_MMU_DEV_H

#include <linux/file.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/vhost.h>

#include "../virtqueue/virtqueue.h"

struct vmdev;
struct vmdev_vq;
struct vmdev_work;
struct vmdev_worker;

typedef void (*vmdev_work_fn)(struct vmdev_work *work);

/**
 * struct vmdev_work - a piece of work for a device's worker
 * @node: in the worker's list while @flags says queued
 * @fn: runs in the worker, with the owner's mm
 * @flags: VMDEV_WORK_QUEUED
 */
struct vmdev_work {
	struct llist_node node;
	vmdev_work_fn fn;
	unsigned long flags;
};

/**
 * struct vmdev_poll - queues a work when a polled file becomes ready
 * @table: poll table used to reach @wqh
 * @wqh: wait queue waited on, NULL while stopped
 * @wait: entry in @wqh
 * @work: what is queued
 * @mask: events that matter
 * @dvq: the virtqueue whose worker runs @work
 * @hold: may be NULL; asked at each event, with the lock of @wqh held: true if
 *	@work need not be queued now, because the owner will queue it later
 */
struct vmdev_poll {
	poll_table table;
	wait_queue_head_t *wqh;
	wait_queue_entry_t wait;
	struct vmdev_work work;
	__poll_t mask;
	struct vmdev_vq *dvq;
	bool (*hold)(struct vmdev_poll *poll);
};

/**
 * struct vmdev_vq - a virtqueue as a device sees it
 * @vmq: the ring; its mutex protects everything here
 * @dev: owner
 * @index: number within the device
 * @handle_kick: backend's handler for a kick, runs in the worker
 * @kick: eventfd file of the driver's notifications, NULL if unset
 * @poll: waits on @kick
 * @backend: what the backend attached (a socket for net), NULL while stopped
 * @busyloop_timeout: busy polling time in units of about one microsecond
 * @worker: runs this queue's work; RCU, written under the worker's mutex
 */
struct vmdev_vq {
	struct vmq vmq;
	struct vmdev *dev;
	unsigned int index;
	vmdev_work_fn handle_kick;
	struct file *kick;
	struct vmdev_poll poll;
	void *backend;
	u32 busyloop_timeout;
	struct vmdev_worker __rcu *worker;
};

/**
 * struct vmdev - a vhost device
 * @name: prefix of its name in debugfs, set by the backend before vmdev_init()
 * @mutex: device mutex, outside of every vmq::mutex
 * @mm: the owner's address space; the device holds mm_users
 * @space: MMU notifier object of @mm, NULL without owner
 * @umem: guest memory table
 * @mmu: MMU made from @umem, NULL if that cannot be or @umem is not set
 * @attached: MMU that takes the place of @umem and @mmu, NULL without one
 * @log_call: signalled when a queue has written to the dirty log, or NULL
 * @mmu_failures: memory tables that no MMU could be made from
 * @vqs: the queues
 * @nvqs: how many
 * @weight: packets after which a handler lets the next work run
 * @byte_weight: bytes after which it does
 * @worker: the worker, NULL without owner
 * @fork_owner: the worker is a thread of the owner (vhost_task), not a kthread
 * @id: number of this device since the module was loaded
 * @debugfs: directory of the counters, an error pointer or NULL if none
 * @wait: readers of the character device
 */
struct vmdev {
	const char *name;
	/* serialises the ioctls */
	struct mutex mutex;
	struct mm_struct *mm;
	struct vmmu_space *space;
	struct vhost_iotlb *umem;
	struct vmmu *mmu;
	struct vmmu *attached;
	struct eventfd_ctx *log_call;
	u64 mmu_failures;
	struct vmdev_vq **vqs;
	unsigned int nvqs;
	unsigned int weight;
	unsigned int byte_weight;
	struct vmdev_worker *worker;
	bool fork_owner;
	u32 id;
	struct dentry *debugfs;
	wait_queue_head_t wait;
};

/* device.c: life time and ownership */
void vmdev_init(struct vmdev *dev, struct vmdev_vq **vqs, unsigned int nvqs,
		unsigned int weight, unsigned int byte_weight);
void vmdev_cleanup(struct vmdev *dev);
bool vmdev_has_owner(const struct vmdev *dev);
int vmdev_check_owner(const struct vmdev *dev);
int vmdev_set_owner(struct vmdev *dev);
struct vhost_iotlb *vmdev_reset_owner_prepare(void);
void vmdev_reset_owner(struct vmdev *dev, struct vhost_iotlb *umem);
void vmdev_stop(struct vmdev *dev);

/* ioctl.c: ioctls on the device */
long vmdev_ioctl(struct vmdev *dev, unsigned int cmd, void __user *argp);

/* vring.c: ioctls on a queue */
long vmdev_vring_ioctl(struct vmdev *dev, unsigned int cmd, void __user *argp);

/* memory.c */
bool vmdev_vq_access_ok(const struct vmdev_vq *dvq);
bool vmdev_log_access_ok(struct vmdev *dev);

/* worker.c */
void vmdev_work_init(struct vmdev_work *work, vmdev_work_fn fn);
bool vmdev_work_queue(struct vmdev_vq *dvq, struct vmdev_work *work);
bool vmdev_has_work(struct vmdev_vq *dvq);
void vmdev_flush(struct vmdev *dev);
void vmdev_abort(struct vmdev *dev);
void vmdev_vq_lock(struct vmdev_vq *dvq);

/* poll.c */
void vmdev_poll_init(struct vmdev_poll *poll, vmdev_work_fn fn, __poll_t mask,
		     struct vmdev_vq *dvq);
int vmdev_poll_start(struct vmdev_poll *poll, struct file *file);
void vmdev_poll_stop(struct vmdev_poll *poll);
void vmdev_poll_queue(struct vmdev_poll *poll);
bool vmdev_exceeds_weight(struct vmdev_vq *dvq, unsigned int packets,
			  size_t bytes);

/* chardev.c: read, write and poll of the device node */
ssize_t vmdev_chr_read_iter(struct vmdev *dev, struct iov_iter *to,
			    bool noblock);
ssize_t vmdev_chr_write_iter(struct vmdev *dev, struct iov_iter *from);
__poll_t vmdev_chr_poll(struct file *file, struct vmdev *dev, poll_table *wait);

/* params.c */
bool vmdev_metadata_access_kernel(void);
bool vmdev_payload_access_kernel(void);

#endif /* VHOST_MMU_DEV_H */
