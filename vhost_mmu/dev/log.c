// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls about the dirty log of a device; what is in it, see
 * virtqueue/log.h.
 */
#include <linux/eventfd.h>
#include <linux/uaccess.h>

#include "internal.h"
#include "../virtqueue/log.h"

/* A queue that cannot log there keeps what it has. */
static long vq_set_log_base(struct vmdev_vq *dvq, void __user *base)
{
	lockdep_assert_held(&dvq->vmq.mutex);

	if (dvq->backend && !vmdev_vq_log_ok(dvq, base))
		return -EFAULT;
	return vmq_log_set_base(&dvq->vmq, base);
}

/**
 * vmdev_set_log_base() - VHOST_SET_LOG_BASE
 * @dev: the device
 * @argp: address of the bitmap, 64 bits
 *
 * When it returns no queue writes to the bitmap before, unless it was refused.
 *
 * Context: process context of the owner, may sleep; device mutex held.
 * Return: 0; -EFAULT for @argp, for an address that is too long, or because a
 *	running queue could not log there, the others do then; -ENOMEM.
 */
long vmdev_set_log_base(struct vmdev *dev, void __user *argp)
{
	unsigned int i;
	long ret = 0, err;
	u64 base;

	lockdep_assert_held(&dev->mutex);

	if (copy_from_user(&base, argp, sizeof(base)))
		return -EFAULT;
	if ((unsigned long)base != base)
		return -EFAULT;

	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		vmdev_vq_lock(dvq);
		err = vq_set_log_base(dvq, (void __user *)(unsigned long)base);
		mutex_unlock(&dvq->vmq.mutex);
		ret = err ?: ret;
	}
	return ret;
}

static void replace_log_call(struct vmdev *dev, struct eventfd_ctx *ctx)
{
	struct eventfd_ctx *old = dev->log_call;
	unsigned int i;

	dev->log_call = ctx;
	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		vmdev_vq_lock(dvq);
		dvq->vmq.log_call = ctx;
		mutex_unlock(&dvq->vmq.mutex);
	}
	if (old)
		eventfd_ctx_put(old);
}

/**
 * vmdev_set_log_fd() - VHOST_SET_LOG_FD
 * @dev: the device
 * @argp: file descriptor of an eventfd, or VHOST_FILE_UNBIND
 *
 * Context: process context of the owner, may sleep; device mutex held.
 * Return: 0, or -EFAULT, -EBADF, -EINVAL (no eventfd).
 */
long vmdev_set_log_fd(struct vmdev *dev, void __user *argp)
{
	struct eventfd_ctx *ctx = NULL;
	int fd;

	lockdep_assert_held(&dev->mutex);

	if (get_user(fd, (int __user *)argp))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	replace_log_call(dev, ctx);
	return 0;
}

/**
 * vmdev_put_log() - forget what to signal
 * @dev: the device, its queues reset
 *
 * Context: process context.
 */
void vmdev_put_log(struct vmdev *dev)
{
	if (dev->log_call)
		eventfd_ctx_put(dev->log_call);
	dev->log_call = NULL;
}
