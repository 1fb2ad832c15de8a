// SPDX-License-Identifier: GPL-2.0
/*
 * Which MMU a device goes by: one made from its memory table, or one of
 * /dev/vhost-mmu that it was attached to.
 */
#include <linux/file.h>
#include <linux/uaccess.h>

#include "../mmu/memslot.h"
#include "../mmu/mmu.h"
#include "../mmufd/mmufd.h"
#include "internal.h"

/*
 * The memory table of a device that is attached: empty, so that a translation
 * misses it and goes on to the memslots, which may change at any time.  Others
 * pay nothing for that.  See vmq_translate().
 */
static struct vhost_iotlb no_umem = {
	.root = RB_ROOT_CACHED,
	.list = LIST_HEAD_INIT(no_umem.list),
};

/**
 * vmdev_apply_memory() - tell the queues of their memory table and MMU
 * @dev: the device
 *
 * When it returns no queue uses what it had before.
 *
 * Context: process context, may sleep; device mutex held.
 */
void vmdev_apply_memory(struct vmdev *dev)
{
	struct vhost_iotlb *umem = dev->attached ? &no_umem : dev->umem;
	struct vmmu *mmu = dev->attached ?: dev->mmu;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);

	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		vmdev_vq_lock(dvq);
		vmq_set_umem(&dvq->vmq, umem, mmu);
		mutex_unlock(&dvq->vmq.mutex);
	}
}

static void put_attached(struct vmmu *mmu)
{
	if (!mmu)
		return;
	vmmu_detach(mmu);
	vmmu_put(mmu);
}

/**
 * vmdev_put_mmus() - forget the MMUs of a device
 * @dev: the device; no queue refers to them any more
 *
 * Context: process context, may sleep; before vmdev::space is put.
 */
void vmdev_put_mmus(struct vmdev *dev)
{
	put_attached(dev->attached);
	if (dev->mmu)
		vmmu_put(dev->mmu);
	dev->attached = NULL;
	dev->mmu = NULL;
	dev->mmu_failures = 0;
}

static bool any_vq_running(struct vmdev *dev)
{
	bool running = false;
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		vmdev_vq_lock(dvq);
		running |= !!dvq->backend;
		mutex_unlock(&dvq->vmq.mutex);
	}
	return running;
}

static struct vmmu *mmu_of_fd(const struct vmdev *dev, int fd)
{
	struct file *file = fget(fd);
	struct vmmu *mmu;

	if (!file)
		return ERR_PTR(-EBADF);
	mmu = vmmu_mmufd_get_mmu(file);
	fput(file);
	if (IS_ERR(mmu))
		return mmu;

	if (!vmmu_is_of_mm(mmu, dev->mm)) {
		vmmu_put(mmu);
		return ERR_PTR(-EIO);
	}
	return mmu;
}

/* Take the place of what is attached now; keeps the reference if it works. */
static int replace_attached(struct vmdev *dev, struct vmmu *mmu)
{
	struct vmmu *old = dev->attached;
	int ret;

	if (any_vq_running(dev))
		return -EBUSY;
	if (mmu && mmu == old) {
		/* No device more, so there is room for it. */
		vmmu_put(mmu);
		return 0;
	}

	ret = mmu ? vmmu_attach(mmu) : 0;
	if (ret)
		return ret;

	dev->attached = mmu;
	vmdev_apply_memory(dev);
	put_attached(old);
	return 0;
}

/*
 * Copy a structure in.  Its size comes first, as in those of /dev/vhost-mmu, and
 * flags second; what is longer than a page nobody means.
 */
static int args_get(void *args, size_t known, void __user *argp)
{
	u32 size;

	if (get_user(size, (u32 __user *)argp))
		return -EFAULT;
	if (size < known)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(args, known, argp, size);
}

/**
 * vmdev_attach() - VHOST_MMU_ATTACH
 * @dev: the device
 * @argp: struct vhost_mmu_attach
 *
 * Context: process context of the owner, may sleep; device mutex held.
 * Return: 0, or -EFAULT, -EINVAL (size, or the file is no MMU), -E2BIG, -EBADF,
 *	-EIO (another process's MMU), -EBUSY (a queue is running), -EOPNOTSUPP (a
 *	flag or reserved field, or a memslot has a dirty log), -EMFILE (too many
 *	devices).
 */
long vmdev_attach(struct vmdev *dev, void __user *argp)
{
	struct vmmu *mmu = NULL;
	struct vhost_mmu_attach args;
	int ret;

	lockdep_assert_held(&dev->mutex);

	ret = args_get(&args, sizeof(args), argp);
	if (ret)
		return ret;
	if (args.flags || args.__reserved)
		return -EOPNOTSUPP;

	if (args.fd != VHOST_FILE_UNBIND)
		mmu = mmu_of_fd(dev, args.fd);
	if (IS_ERR(mmu))
		return PTR_ERR(mmu);

	ret = replace_attached(dev, mmu);
	if (ret && mmu)
		vmmu_put(mmu);
	return ret;
}

/**
 * vmdev_get_attached() - VHOST_MMU_GET_ATTACHED
 * @dev: the device
 * @argp: struct vhost_mmu_get_attached
 *
 * Context: process context of the owner, may sleep; device mutex held.
 * Return: 0, or -EFAULT, -EINVAL (size), -E2BIG, -EOPNOTSUPP (a flag).
 */
long vmdev_get_attached(struct vmdev *dev, void __user *argp)
{
	const struct vmmu *mmu = dev->attached ?: dev->mmu;
	struct vhost_mmu_get_attached args;
	int ret;

	lockdep_assert_held(&dev->mutex);

	ret = args_get(&args, sizeof(args), argp);
	if (ret)
		return ret;
	if (args.flags)
		return -EOPNOTSUPP;

	args.kind = VHOST_MMU_KIND_NONE;
	if (mmu)
		args.kind = dev->attached ? VHOST_MMU_KIND_ATTACHED :
					    VHOST_MMU_KIND_TABLE;
	args.mmu = mmu ? mmu->id : 0;
	args.attach_flags = 0;
	return copy_to_user(argp, &args, sizeof(args)) ? -EFAULT : 0;
}
