// SPDX-License-Identifier: GPL-2.0
/*
 * Module parameters of the device core.
 */
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../compat/vhost_task.h"
#include "internal.h"

enum {
	ACCESS_KERNEL,
	ACCESS_USER,
};

static const char *const access_names[] = {
	[ACCESS_KERNEL] = "kernel",
	[ACCESS_USER] = "user",
};

static int metadata_access = ACCESS_KERNEL;

static int access_set(const char *val, const struct kernel_param *kp)
{
	int access = val ? sysfs_match_string(access_names, val) : -EINVAL;

	if (access < 0)
		return access;

	WRITE_ONCE(*(int *)kp->arg, access);
	return 0;
}

static int access_get(char *buffer, const struct kernel_param *kp)
{
	int access = READ_ONCE(*(int *)kp->arg);

	return sysfs_emit(buffer, "%s\n", access_names[access]);
}

static const struct kernel_param_ops access_ops = {
	.set = access_set,
	.get = access_get,
};

module_param_cb(metadata_access, &access_ops, &metadata_access, 0644);
MODULE_PARM_DESC(metadata_access,
		 "How rings started from now on are reached: kernel (default) or user addresses");

static int payload_access = ACCESS_KERNEL;
module_param_cb(payload_access, &access_ops, &payload_access, 0644);
MODULE_PARM_DESC(payload_access,
		 "How packets of rings started from now on are reached: kernel (default; if the ring is as well) or user addresses");

static ushort max_mem_regions = 509;
module_param(max_mem_regions, ushort, 0444);
MODULE_PARM_DESC(max_mem_regions,
		 "Maximum number of memory regions in a memory table (default: 509)");

static bool fork_from_owner_default = true;
#ifdef CONFIG_VHOST_ENABLE_FORK_OWNER_CONTROL
/* Stock vhost has it by the same name under the same condition. */
module_param(fork_from_owner_default, bool, 0444);
MODULE_PARM_DESC(fork_from_owner_default,
		 "Make the worker a thread of the owner unless VHOST_SET_FORK_FROM_OWNER says otherwise (default: Y)");
#endif

/**
 * vmdev_fork_owner_default() - what kind of worker a device gets
 *
 * Return: true for a thread of the owner, false for a kthread.
 */
bool vmdev_fork_owner_default(void)
{
	return vmmu_have_vhost_task && fork_from_owner_default;
}

/**
 * vmdev_metadata_access_kernel() - how a ring that starts now is to be reached
 *
 * Return: true for kernel addresses, false for user access.
 */
bool vmdev_metadata_access_kernel(void)
{
	return READ_ONCE(metadata_access) == ACCESS_KERNEL;
}
EXPORT_SYMBOL_NS_GPL(vmdev_metadata_access_kernel, VHOST_MMU);

/**
 * vmdev_payload_access_kernel() - how packets of a ring that starts now are to
 *	be reached
 *
 * Return: true for kernel addresses, false for user access.
 */
bool vmdev_payload_access_kernel(void)
{
	return READ_ONCE(payload_access) == ACCESS_KERNEL;
}
EXPORT_SYMBOL_NS_GPL(vmdev_payload_access_kernel, VHOST_MMU);

/**
 * vmdev_max_mem_regions() - limit for VHOST_SET_MEM_TABLE
 *
 * Return: the number of regions.
 */
unsigned int vmdev_max_mem_regions(void)
{
	return max_mem_regions;
}
