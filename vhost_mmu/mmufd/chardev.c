// SPDX-License-Identifier: GPL-2.0
/*
 * The node /dev/vhost-mmu.  Each open of it is an MMU for the opener's memory;
 * readers, statistics and devices keep the MMU when its file is closed.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "mmufd.h"

static int mmufd_open(struct inode *inode, struct file *file)
{
	struct vmmu_mmufd *mmufd;
	int ret;

	mmufd = kzalloc(sizeof(*mmufd), GFP_KERNEL);
	if (!mmufd)
		return -ENOMEM;

	mmufd->mmu = vmmu_create(current->mm);
	if (IS_ERR(mmufd->mmu)) {
		ret = PTR_ERR(mmufd->mmu);
		kfree(mmufd);
		return ret;
	}
	snprintf(mmufd->name, sizeof(mmufd->name), "%d-%u", current->tgid,
		 mmufd->mmu->id);
	vmmu_mmufd_debugfs_add(mmufd);

	file->private_data = mmufd;
	return 0;
}

static int mmufd_release(struct inode *inode, struct file *file)
{
	struct vmmu_mmufd *mmufd = file->private_data;

	/* Who reads a file of it in debugfs does not hold the MMU. */
	vmmu_mmufd_debugfs_remove(mmufd);
	vmmu_put(mmufd->mmu);
	kfree(mmufd);
	return 0;
}

static long mmufd_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct vmmu_mmufd *mmufd = file->private_data;
	struct vmmu_cmd cmd = { .mmufd = mmufd, .mmu = mmufd->mmu };

	return vmmu_cmd_ioctl(&cmd, nr, (void __user *)arg);
}

static const struct file_operations mmufd_fops = {
	.owner = THIS_MODULE,
	.open = mmufd_open,
	.release = mmufd_release,
	.unlocked_ioctl = mmufd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice mmufd_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-mmu",
	.fops = &mmufd_fops,
	.mode = 0660,
};

/**
 * vmmu_mmufd_get_mmu() - the MMU that a file stands for
 * @file: any file
 *
 * Return: the MMU, with a reference for the caller, or NULL if @file is
 * something else.
 */
struct vmmu *vmmu_mmufd_get_mmu(struct file *file)
{
	struct vmmu_mmufd *mmufd = file->private_data;

	if (file->f_op != &mmufd_fops)
		return NULL;
	return vmmu_get(mmufd->mmu);
}

/**
 * vmmu_mmufd_init() - make the node
 *
 * Return: 0 or a negative error.
 */
int vmmu_mmufd_init(void)
{
	return misc_register(&mmufd_misc);
}

/**
 * vmmu_mmufd_exit() - remove the node
 */
void vmmu_mmufd_exit(void)
{
	misc_deregister(&mmufd_misc);
}
