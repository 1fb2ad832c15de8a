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
	struct vmmu_mmufd *mmu;
	int ret;

	mmu = kzalloc(sizeof(*mmu), GFP_KERNEL);
	if (!mmu)
		return -ENOMEM;

	mmu->table = vmmu_table_create(current->mm);
	if (IS_ERR(mmu->table)) {
		ret = PTR_ERR(mmu->table);
		kfree(mmu);
		return ret;
	}
	snprintf(mmu->name, sizeof(mmu->name), "%d-%u", current->tgid,
		 mmu->table->id);
	vmmu_mmufd_debugfs_add(mmu);

	file->private_data = mmu;
	return 0;
}

static int mmufd_release(struct inode *inode, struct file *file)
{
	struct vmmu_mmufd *mmu = file->private_data;

	/* Its readers do not hold the table. */
	vmmu_mmufd_debugfs_remove(mmu);
	vmmu_table_put(mmu->table);
	kfree(mmu);
	return 0;
}

static long mmufd_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct vmmu_mmufd *mmu = file->private_data;
	struct vmmu_cmd cmd = { .mmu = mmu, .table = mmu->table };

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
 * vmmu_mmufd_get_table() - the MMU that a file stands for
 * @file: any file
 *
 * Return: the table, with a reference for the caller, or NULL if @file is
 * something else.
 */
struct vmmu_table *vmmu_mmufd_get_table(struct file *file)
{
	struct vmmu_mmufd *mmu = file->private_data;

	if (file->f_op != &mmufd_fops)
		return NULL;
	return vmmu_table_get(mmu->table);
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
