// SPDX-License-Identifier: GPL-2.0
/*
 * The node /dev/vhost-mmu.  Each open of it is an MMU for the opener's memory,
 * made at its first use; readers, statistics and devices keep the MMU when its
 * file is closed.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "mmufd.h"

/*
 * The core of misc devices holds a mutex over this that all opens of all misc
 * devices take.  Whoever opens may be unable to get his mmap lock, so it is not
 * taken here but by the first command; see mmufd_mmu().
 */
static int mmufd_open(struct inode *inode, struct file *file)
{
	struct vmmu_mmufd *mmufd;

	if (!current->mm)
		return -EINVAL;

	mmufd = kzalloc(sizeof(*mmufd), GFP_KERNEL_ACCOUNT);
	if (!mmufd)
		return -ENOMEM;

	mutex_init(&mmufd->mutex);
	mmufd->mm = current->mm;
	mmgrab(mmufd->mm);
	mmufd->tgid = current->tgid;

	file->private_data = mmufd;
	return 0;
}

static int mmufd_release(struct inode *inode, struct file *file)
{
	struct vmmu_mmufd *mmufd = file->private_data;

	/* Who reads a file of it in debugfs does not hold the MMU. */
	if (mmufd->mmu)
		vmmu_mmufd_debugfs_remove(mmufd);
	vmmu_put(mmufd->mmu);
	mmdrop(mmufd->mm);
	kfree(mmufd);
	return 0;
}

static struct vmmu *mmufd_make_mmu(struct vmmu_mmufd *mmufd)
{
	struct vmmu *mmu;

	lockdep_assert_held(&mmufd->mutex);

	if (mmufd->mmu)
		return mmufd->mmu;
	mmu = vmmu_create(mmufd->mm);
	/* Any signal keeps a notifier from being registered. */
	if (mmu == ERR_PTR(-EINTR))
		return ERR_PTR(-ERESTARTNOINTR);
	if (IS_ERR(mmu))
		return mmu;

	vmmu_mmufd_debugfs_add(mmufd, mmu);
	/* Pairs with the acquire in mmufd_mmu(). */
	smp_store_release(&mmufd->mmu, mmu);
	return mmu;
}

/*
 * The MMU of a file, which keeps it.  It is made if there is none yet and the
 * caller is in the opener's address space: nobody else may have to wait for that
 * one's mmap lock.
 */
static struct vmmu *mmufd_mmu(struct vmmu_mmufd *mmufd)
{
	/* Pairs with the release in mmufd_make_mmu(). */
	struct vmmu *mmu = smp_load_acquire(&mmufd->mmu);

	if (mmu)
		return mmu;
	if (mmufd->mm != current->mm)
		return ERR_PTR(-EIO);

	if (mutex_lock_killable(&mmufd->mutex))
		return ERR_PTR(-EINTR);
	mmu = mmufd_make_mmu(mmufd);
	mutex_unlock(&mmufd->mutex);
	return mmu;
}

static long mmufd_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct vmmu_cmd cmd = { .mmufd = file->private_data };

	if (!vmmu_cmd_known(&cmd, nr))
		return -ENOTTY;
	cmd.mmu = mmufd_mmu(cmd.mmufd);
	if (IS_ERR(cmd.mmu))
		return PTR_ERR(cmd.mmu);
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
 * Makes the MMU if nobody has used the file yet.
 *
 * Context: process context, may sleep; takes the mmap lock for writing.
 * Return: the MMU, with a reference for the caller; or ERR_PTR(-EINVAL) if @file
 *	is something else, -EIO if it has no MMU yet and was opened
 *	in another address space, or an error of vmmu_create().
 */
struct vmmu *vmmu_mmufd_get_mmu(struct file *file)
{
	struct vmmu *mmu;

	if (file->f_op != &mmufd_fops)
		return ERR_PTR(-EINVAL);
	mmu = mmufd_mmu(file->private_data);
	return IS_ERR(mmu) ? mmu : vmmu_get(mmu);
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
