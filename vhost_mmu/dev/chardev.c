// SPDX-License-Identifier: GPL-2.0
/*
 * read, write and poll of the device node.  They carry IOTLB messages, and as
 * long as VIRTIO_F_ACCESS_PLATFORM is not offered there is no IOTLB: nothing
 * comes out and nothing is accepted, by the same errors as from a device on
 * which the feature was not acknowledged.
 */
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "internal.h"

/**
 * vmdev_chr_read_iter() - read an IOTLB message
 * @dev: the device
 * @to: where to
 * @noblock: do not wait for one
 *
 * Return: 0 if @to has no room for a message, else -EAGAIN, -ERESTARTSYS, or
 * -EBADFD because none can come.
 */
ssize_t vmdev_chr_read_iter(struct vmdev *dev, struct iov_iter *to,
			    bool noblock)
{
	if (iov_iter_count(to) < sizeof(struct vhost_msg))
		return 0;
	if (noblock)
		return -EAGAIN;
	if (signal_pending(current))
		return -ERESTARTSYS;

	return -EBADFD;
}
EXPORT_SYMBOL_NS_GPL(vmdev_chr_read_iter, VHOST_MMU);

/**
 * vmdev_chr_write_iter() - write an IOTLB message
 * @dev: the device
 * @from: a struct vhost_msg or struct vhost_msg_v2
 *
 * Return: -EINVAL if it is malformed, else -EFAULT because there is no IOTLB.
 */
ssize_t vmdev_chr_write_iter(struct vmdev *dev, struct iov_iter *from)
{
	struct vhost_iotlb_msg msg;
	size_t skip;
	int type;

	if (copy_from_iter(&type, sizeof(type), from) != sizeof(type))
		return -EINVAL;

	switch (type) {
	case VHOST_IOTLB_MSG:
		skip = offsetof(struct vhost_msg, iotlb) - sizeof(type);
		break;
	case VHOST_IOTLB_MSG_V2:
		skip = offsetof(struct vhost_msg_v2, iotlb) - sizeof(type);
		break;
	default:
		return -EINVAL;
	}

	iov_iter_advance(from, skip);
	if (copy_from_iter(&msg, sizeof(msg), from) != sizeof(msg))
		return -EINVAL;
	if (msg.type == VHOST_IOTLB_UPDATE && !msg.size)
		return -EINVAL;

	return -EFAULT;
}
EXPORT_SYMBOL_NS_GPL(vmdev_chr_write_iter, VHOST_MMU);

/**
 * vmdev_chr_poll() - poll for an IOTLB message
 * @file: the device node
 * @dev: the device
 * @wait: poll table
 *
 * Return: no event; wakes up when the device is given up.
 */
__poll_t vmdev_chr_poll(struct file *file, struct vmdev *dev, poll_table *wait)
{
	poll_wait(file, &dev->wait, wait);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(vmdev_chr_poll, VHOST_MMU);
