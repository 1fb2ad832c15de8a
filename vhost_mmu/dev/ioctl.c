// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls on a device as a whole.  Clients tell errors apart, so their
 * codes and the order of the checks are part of the interface.
 */
#include <linux/uaccess.h>

#include "internal.h"
#include "../../include/uapi/linux/vhost_mmu.h"

#ifdef CONFIG_VHOST_ENABLE_FORK_OWNER_CONTROL
static long set_fork_from_owner(struct vmdev *dev, u8 __user *argp)
{
	u8 val;

	/* The worker exists by then. */
	if (vmdev_has_owner(dev))
		return -EBUSY;
	if (get_user(val, argp))
		return -EFAULT;
	if (val != VHOST_FORK_OWNER_TASK && val != VHOST_FORK_OWNER_KTHREAD)
		return -EINVAL;

	dev->fork_owner = val == VHOST_FORK_OWNER_TASK;
	return 0;
}

static long get_fork_from_owner(struct vmdev *dev, u8 __user *argp)
{
	u8 val = dev->fork_owner ? VHOST_FORK_OWNER_TASK :
				   VHOST_FORK_OWNER_KTHREAD;

	return put_user(val, argp);
}
#endif

/* For everybody, owner or not. */
static long unowned_ioctl(struct vmdev *dev, unsigned int cmd,
			  void __user *argp)
{
	switch (cmd) {
	case VHOST_SET_OWNER:
		return vmdev_set_owner(dev);
#ifdef CONFIG_VHOST_ENABLE_FORK_OWNER_CONTROL
	case VHOST_SET_FORK_FROM_OWNER:
		return set_fork_from_owner(dev, argp);
	case VHOST_GET_FORK_FROM_OWNER:
		return get_fork_from_owner(dev, argp);
#endif
	default:
		return -ENOIOCTLCMD;
	}
}

/**
 * vmdev_ioctl() - handle an ioctl on the device
 * @dev: the device
 * @cmd: the ioctl
 * @argp: its argument
 *
 * Context: process context, may sleep; device mutex held.
 * Return: -ENOIOCTLCMD if @cmd is no device ioctl and may be a vring ioctl,
 * -EPERM if only the owner may use it, else as the ioctl has it.
 */
long vmdev_ioctl(struct vmdev *dev, unsigned int cmd, void __user *argp)
{
	long ret;

	lockdep_assert_held(&dev->mutex);

	ret = unowned_ioctl(dev, cmd, argp);
	if (ret != -ENOIOCTLCMD)
		return ret;

	ret = vmdev_check_owner(dev);
	if (ret)
		return ret;

	switch (cmd) {
	case VHOST_SET_MEM_TABLE:
		return vmdev_set_mem_table(dev, argp);
	case VHOST_MMU_ATTACH:
		return vmdev_attach(dev, argp);
	case VHOST_MMU_GET_ATTACHED:
		return vmdev_get_attached(dev, argp);
	case VHOST_SET_LOG_BASE:
		return vmdev_set_log_base(dev, argp);
	case VHOST_SET_LOG_FD:
		return vmdev_set_log_fd(dev, argp);
	default:
		return -ENOIOCTLCMD;
	}
}
EXPORT_SYMBOL_NS_GPL(vmdev_ioctl, VHOST_MMU);
