// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls on one vring.  As for those on the device, error codes and the
 * order of the checks are part of the interface.
 */
#include <linux/eventfd.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "internal.h"

static long vring_set_num(struct vmdev_vq *dvq, void __user *argp)
{
	struct vhost_vring_state state;

	lockdep_assert_held(&dvq->vmq.mutex);

	/* The size of a ring in use stays. */
	if (dvq->backend)
		return -EBUSY;
	if (copy_from_user(&state, argp, sizeof(state)))
		return -EFAULT;
	if (state.num > U16_MAX || !is_power_of_2(state.num))
		return -EINVAL;

	dvq->vmq.ring.num = state.num;
	return 0;
}

static bool vring_addr_aligned(const struct vhost_vring_addr *addr)
{
	static_assert(__alignof__(vring_avail_t) <= VRING_AVAIL_ALIGN_SIZE);
	static_assert(__alignof__(vring_used_t) <= VRING_USED_ALIGN_SIZE);

	return IS_ALIGNED(addr->avail_user_addr, VRING_AVAIL_ALIGN_SIZE) &&
	       IS_ALIGNED(addr->used_user_addr, VRING_USED_ALIGN_SIZE) &&
	       IS_ALIGNED(addr->log_guest_addr, VRING_USED_ALIGN_SIZE);
}

/* Legal while the ring is in use: it goes on at the new addresses. */
static long vring_set_addr(struct vmdev_vq *dvq, void __user *argp)
{
	struct vhost_vring_addr addr;
	vring_desc_t __user *desc;
	vring_avail_t __user *avail;
	vring_used_t __user *used;
	bool log;

	if (copy_from_user(&addr, argp, sizeof(addr)))
		return -EFAULT;
	if (addr.flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	log = addr.flags & BIT(VHOST_VRING_F_LOG);

	desc = (void __user *)(unsigned long)addr.desc_user_addr;
	avail = (void __user *)(unsigned long)addr.avail_user_addr;
	used = (void __user *)(unsigned long)addr.used_user_addr;

	/* A 32 bit kernel must not ignore half of an address. */
	if ((unsigned long)desc != addr.desc_user_addr ||
	    (unsigned long)avail != addr.avail_user_addr ||
	    (unsigned long)used != addr.used_user_addr)
		return -EFAULT;

	if (!vring_addr_aligned(&addr))
		return -EINVAL;

	/* The size of a stopped ring may be yet to come. */
	if (dvq->backend &&
	    (!vmq_access_ok(&dvq->vmq, dvq->vmq.ring.num, desc, avail, used) ||
	     !vmdev_vq_log_used_ok(dvq, dvq->vmq.log_base, log,
				   addr.log_guest_addr)))
		return -EINVAL;

	vmq_set_addr(&dvq->vmq, desc, avail, used, log, addr.log_guest_addr);
	return 0;
}

static long vring_set_base(struct vmdev_vq *dvq, void __user *argp)
{
	struct vhost_vring_state state;

	lockdep_assert_held(&dvq->vmq.mutex);

	/* The position in a ring in use is its worker's. */
	if (dvq->backend)
		return -EBUSY;
	if (copy_from_user(&state, argp, sizeof(state)))
		return -EFAULT;
	if (state.num > U16_MAX)
		return -EINVAL;

	dvq->vmq.ring.last_avail_idx = state.num;
	/* What was seen of the ring was counted from elsewhere. */
	dvq->vmq.ring.avail_idx = state.num;
	return 0;
}

static long vring_put_state(struct vmdev_vq *dvq, void __user *argp,
			    unsigned int num)
{
	struct vhost_vring_state state = {
		.index = dvq->index,
		.num = num,
	};

	return copy_to_user(argp, &state, sizeof(state)) ? -EFAULT : 0;
}

static long vring_set_busyloop_timeout(struct vmdev_vq *dvq, void __user *argp)
{
	struct vhost_vring_state state;

	if (copy_from_user(&state, argp, sizeof(state)))
		return -EFAULT;

	dvq->busyloop_timeout = state.num;
	return 0;
}

/* Replace the eventfd context at *@ctx. */
static long vring_set_eventfd(struct eventfd_ctx **ctx, void __user *argp)
{
	struct vhost_vring_file file;
	struct eventfd_ctx *new = NULL;

	if (copy_from_user(&file, argp, sizeof(file)))
		return -EFAULT;

	if (file.fd != VHOST_FILE_UNBIND)
		new = eventfd_ctx_fdget(file.fd);
	if (IS_ERR(new))
		return PTR_ERR(new);

	swap(*ctx, new);
	if (new)
		eventfd_ctx_put(new);
	return 0;
}

/* Make @kick the file polled for kicks; keeps the reference. */
static long vring_replace_kick(struct vmdev_vq *dvq, struct file *kick)
{
	struct file *old = dvq->kick;
	long ret = 0;

	lockdep_assert_held(&dvq->vmq.mutex);

	if (old != kick) {
		if (old)
			vmdev_poll_stop(&dvq->poll);
		dvq->kick = kick;
		if (kick)
			ret = vmdev_poll_start(&dvq->poll, kick);
	}
	/* The same file again brought a reference too many. */
	if (old)
		fput(old);

	return ret;
}

static long vring_set_kick(struct vmdev_vq *dvq, void __user *argp)
{
	struct vhost_vring_file file;
	struct file *kick = NULL;
	bool stopped;
	long ret;

	if (copy_from_user(&file, argp, sizeof(file)))
		return -EFAULT;

	if (file.fd != VHOST_FILE_UNBIND)
		kick = eventfd_fget(file.fd);
	if (IS_ERR(kick))
		return PTR_ERR(kick);

	vmdev_vq_lock(dvq);
	stopped = dvq->kick && dvq->kick != kick;
	ret = vring_replace_kick(dvq, kick);
	mutex_unlock(&dvq->vmq.mutex);

	/* No work of the old file runs when its owner hears of the change. */
	if (stopped)
		vmdev_flush(dvq->dev);

	return ret;
}

static long vring_locked_ioctl(struct vmdev_vq *dvq, unsigned int cmd,
			       void __user *argp)
{
	lockdep_assert_held(&dvq->vmq.mutex);

	switch (cmd) {
	case VHOST_SET_VRING_NUM:
		return vring_set_num(dvq, argp);
	case VHOST_SET_VRING_ADDR:
		return vring_set_addr(dvq, argp);
	case VHOST_SET_VRING_BASE:
		return vring_set_base(dvq, argp);
	case VHOST_GET_VRING_BASE:
		return vring_put_state(dvq, argp, dvq->vmq.ring.last_avail_idx);
	case VHOST_SET_VRING_CALL:
		return vring_set_eventfd(&dvq->vmq.call, argp);
	case VHOST_SET_VRING_ERR:
		return vring_set_eventfd(&dvq->vmq.err, argp);
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		return vring_set_busyloop_timeout(dvq, argp);
	case VHOST_GET_VRING_BUSYLOOP_TIMEOUT:
		return vring_put_state(dvq, argp, dvq->busyloop_timeout);
	default:
		/* Cross-endian rings and more than one worker among them. */
		return -ENOIOCTLCMD;
	}
}

/**
 * vmdev_vring_ioctl() - handle an ioctl on a vring
 * @dev: the device
 * @cmd: the ioctl
 * @argp: its argument, which begins with the index of the vring
 *
 * Context: process context, may sleep; device mutex held, by the owner.
 * Return: -EFAULT or -ENOBUFS for the index, which is read even if @cmd is
 * unknown, then -ENOIOCTLCMD if it is, else as the ioctl has it.
 */
long vmdev_vring_ioctl(struct vmdev *dev, unsigned int cmd, void __user *argp)
{
	struct vmdev_vq *dvq;
	u32 index;
	long ret;

	lockdep_assert_held(&dev->mutex);

	if (get_user(index, (u32 __user *)argp))
		return -EFAULT;
	if (index >= dev->nvqs)
		return -ENOBUFS;
	dvq = dev->vqs[array_index_nospec(index, dev->nvqs)];

	if (cmd == VHOST_SET_VRING_KICK)
		return vring_set_kick(dvq, argp);

	vmdev_vq_lock(dvq);
	ret = vring_locked_ioctl(dvq, cmd, argp);
	mutex_unlock(&dvq->vmq.mutex);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(vmdev_vring_ioctl, VHOST_MMU);
