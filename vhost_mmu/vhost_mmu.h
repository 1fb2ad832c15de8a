/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What belongs to the module as a whole.
 */
#ifndef VHOST_MMU_H
#define VHOST_MMU_H

struct dentry;

/* debugfs.c */
void vmmu_debugfs_init(void);
void vmmu_debugfs_exit(void);
struct dentry *vmmu_debugfs_root(void);

#endif /* VHOST_MMU_H */
