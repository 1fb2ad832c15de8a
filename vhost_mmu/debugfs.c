// SPDX-License-Identifier: GPL-2.0
/*
 * The directory of the module in debugfs, for devices and MMUs alike.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/stat.h>

#include "vhost_mmu.h"

static struct dentry *debugfs_root;

/**
 * vmmu_debugfs_init() - make the directory of the module
 */
void vmmu_debugfs_init(void)
{
	debugfs_root = debugfs_create_dir("vhost_mmu", NULL);

	/* debugfs has no way to ask for a mode. */
	if (!IS_ERR(debugfs_root))
		d_inode(debugfs_root)->i_mode = S_IFDIR | 0700;
}

/**
 * vmmu_debugfs_exit() - remove the directory of the module
 */
void vmmu_debugfs_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
}

/**
 * vmmu_debugfs_root() - the directory of the module
 *
 * Return: the directory, or an error pointer.
 */
struct dentry *vmmu_debugfs_root(void)
{
	return debugfs_root;
}
