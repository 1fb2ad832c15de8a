// SPDX-License-Identifier: GPL-2.0
/*
 * Readers: to an MMU what vCPUs are to KVM.  A reader file is another way to
 * the commands that use guest memory, with a dirty ring of its own.
 */
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

#include "../mmu/dirty_ring.h"
#include "mmufd.h"

/**
 * struct reader - a reader file
 * @mmu: the MMU
 * @ring: its dirty ring, NULL if the MMU has no rings
 * @mutex: held over each command, so @ring has one producer
 */
struct reader {
	struct vmmu *mmu;
	struct vmmu_dirty_ring *ring;
	/* one command at a time, like a vCPU */
	struct mutex mutex;
};

static long reader_run(struct reader *reader, unsigned int nr,
		       unsigned long arg)
{
	struct vmmu_cmd cmd = { .mmu = reader->mmu, .ring = reader->ring };

	lockdep_assert_held(&reader->mutex);

	return vmmu_cmd_ioctl(&cmd, nr, (void __user *)arg);
}

static long reader_ioctl(struct file *file, unsigned int nr, unsigned long arg)
{
	struct reader *reader = file->private_data;
	long ret;

	if (mutex_lock_killable(&reader->mutex))
		return -EINTR;
	ret = reader_run(reader, nr, arg);
	mutex_unlock(&reader->mutex);
	return ret;
}

static int reader_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct reader *reader = file->private_data;

	return reader->ring ? vmmu_dirty_ring_mmap(reader->ring, vma) : -ENXIO;
}

/* What decides about readers, and what people read. */
static void count_readers(struct vmmu *mmu, int n)
{
	atomic64_add(n, &mmu->nr_readers);
	atomic64_add(n, &mmu->stats.readers);
}

/* Its file may have been passed to anybody, who is to wait for no owner. */
static void reader_free(struct reader *reader)
{
	struct vmmu *mmu = reader->mmu;

	vmmu_dirty_ring_put(reader->ring);
	count_readers(mmu, -1);
	vmmu_put(mmu);
	kfree(reader);
}

static int reader_release(struct inode *inode, struct file *file)
{
	reader_free(file->private_data);
	return 0;
}

static const struct file_operations reader_fops = {
	.owner = THIS_MODULE,
	.release = reader_release,
	.unlocked_ioctl = reader_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = reader_mmap,
	.llseek = noop_llseek,
};

/*
 * Counted from here on, vmmu_set_options() leaves the rings alone.  Readers come
 * with slots_lock held only, so that there are no more of them than may be.
 */
static int reader_add(struct reader *reader)
{
	struct vmmu *mmu = reader->mmu;

	lockdep_assert_held(&mmu->slots_lock);

	if (atomic64_read(&mmu->nr_readers) >= VMMU_MAX_READERS)
		return -EMFILE;
	if (mmu->ring_entries) {
		reader->ring = vmmu_dirty_ring_create(mmu);
		if (!reader->ring)
			return -ENOMEM;
	}
	count_readers(mmu, 1);
	return 0;
}

static struct reader *reader_alloc(struct vmmu *mmu)
{
	struct reader *reader;
	int ret;

	reader = kzalloc(sizeof(*reader), GFP_KERNEL_ACCOUNT);
	if (!reader)
		return ERR_PTR(-ENOMEM);
	mutex_init(&reader->mutex);
	reader->mmu = vmmu_get(mmu);

	mutex_lock(&mmu->slots_lock);
	ret = reader_add(reader);
	mutex_unlock(&mmu->slots_lock);

	if (ret) {
		vmmu_put(mmu);
		kfree(reader);
		return ERR_PTR(ret);
	}
	return reader;
}

/**
 * vmmu_cmd_create_reader() - VMMU_CREATE_READER
 * @cmd: the command
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_create_reader(struct vmmu_cmd *cmd)
{
	struct reader *reader;
	struct file *file;
	int fd;

	reader = reader_alloc(cmd->mmu);
	if (IS_ERR(reader))
		return PTR_ERR(reader);

	file = anon_inode_getfile("[vhost-mmu-reader]", &reader_fops, reader,
				  O_RDWR);
	if (IS_ERR(file))
		reader_free(reader);
	fd = vmmu_cmd_new_file(cmd, file);
	if (fd < 0)
		return fd;
	cmd->args.create_reader.out_fd = fd;
	return 0;
}
