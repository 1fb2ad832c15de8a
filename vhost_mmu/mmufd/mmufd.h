/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/vhost-mmu: the files that user space has of an MMU, and their commands.
 */
#ifndef VHOST_MMU_MMUFD_H
#define VHOST_MMU_MMUFD_H

#include <linux/mutex.h>
#include <linux/types.h>

#include "../mmu/mmu.h"

struct dentry;
struct file;
struct mm_struct;
struct seq_file;

#define VMMU_MMUFD_NAME_MAX 32

/**
 * struct vmmu_mmufd - an open /dev/vhost-mmu
 * @mm: address space of the opener, its structure alone is kept
 * @tgid: process that opened it
 * @mutex: held while the MMU is made
 * @mmu: the MMU, NULL until the first command; does not change then
 * @debugfs: its directory, an error pointer if there is none
 */
struct vmmu_mmufd {
	struct mm_struct *mm;
	pid_t tgid;
	/* held while the MMU is made */
	struct mutex mutex;
	struct vmmu *mmu;
	struct dentry *debugfs;
};

/**
 * union vmmu_args - the argument of any command
 * @size: what all of them start with
 * @get_info: VMMU_GET_INFO
 * @set_options: VMMU_SET_OPTIONS
 * @set_memslot: VMMU_SET_MEMSLOT
 * @populate: VMMU_POPULATE
 * @translate: VMMU_TRANSLATE
 * @access: VMMU_READ, VMMU_WRITE
 * @dirty_log: VMMU_GET_DIRTY_LOG, VMMU_CLEAR_DIRTY_LOG
 * @create_reader: VMMU_CREATE_READER
 * @reset_dirty_rings: VMMU_RESET_DIRTY_RINGS
 * @age: VMMU_AGE
 * @get_stats_fd: VMMU_GET_STATS_FD
 */
union vmmu_args {
	u32 size;
	struct vmmu_get_info get_info;
	struct vmmu_set_options set_options;
	struct vmmu_set_memslot set_memslot;
	struct vmmu_populate populate;
	struct vmmu_translate translate;
	struct vmmu_access access;
	struct vmmu_dirty_log dirty_log;
	struct vmmu_create_reader create_reader;
	struct vmmu_reset_dirty_rings reset_dirty_rings;
	struct vmmu_age age;
	struct vmmu_get_stats_fd get_stats_fd;
};

/**
 * struct vmmu_cmd - a command being run
 * @mmufd: the file it came through, NULL if that is a reader
 * @mmu: the MMU
 * @ring: where written pages are reported, may be NULL
 * @args: copy of the argument, copied back afterwards
 * @new_file: set by a command that makes a file; user space gets it once
 *	@args were copied back
 * @new_fd: reserved for @new_file
 */
struct vmmu_cmd {
	struct vmmu_mmufd *mmufd;
	struct vmmu *mmu;
	struct vmmu_dirty_ring *ring;
	union vmmu_args args;
	struct file *new_file;
	int new_fd;
};

/* chardev.c */
int vmmu_mmufd_init(void);
void vmmu_mmufd_exit(void);
struct vmmu *vmmu_mmufd_get_mmu(struct file *file);

/* ioctl.c */
bool vmmu_cmd_known(const struct vmmu_cmd *cmd, unsigned int nr);
long vmmu_cmd_ioctl(struct vmmu_cmd *cmd, unsigned int nr, void __user *argp);
int vmmu_cmd_new_file(struct vmmu_cmd *cmd, struct file *file);

/* guest.c */
long vmmu_cmd_populate(struct vmmu_cmd *cmd);
long vmmu_cmd_translate(struct vmmu_cmd *cmd);
long vmmu_cmd_read(struct vmmu_cmd *cmd);
long vmmu_cmd_write(struct vmmu_cmd *cmd);

/* reader.c */
long vmmu_cmd_create_reader(struct vmmu_cmd *cmd);

/* stats.c */
long vmmu_cmd_get_stats_fd(struct vmmu_cmd *cmd);
void vmmu_stats_show(struct seq_file *m, const struct vmmu *mmu);
void vmmu_mmufd_debugfs_add(struct vmmu_mmufd *mmufd, struct vmmu *mmu);
void vmmu_mmufd_debugfs_remove(struct vmmu_mmufd *mmufd);

#endif /* VHOST_MMU_MMUFD_H */
