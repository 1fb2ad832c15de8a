// SPDX-License-Identifier: GPL-2.0
/*
 * The counters of an MMU, twice: as a file in the layout of KVM's binary
 * statistics, and as lines of text in debugfs.
 *
 * They are read one by one, without a lock; a set of them is consistent only
 * while the MMU is idle.
 */
#include <linux/anon_inodes.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../vhost_mmu.h"
#include "mmufd.h"

/**
 * struct counter - a statistic
 * @name: its name
 * @flags: KVM_STATS_*: type, unit and base
 * @exponent: of the base
 * @offset: where it is in struct vmmu_stats
 * @get: gives it instead, if it is elsewhere
 */
struct counter {
	const char *name;
	u32 flags;
	s16 exponent;
	size_t offset;
	u64 (*get)(const struct vmmu *mmu);
};

#define COUNTER(_name, field, _flags, _exponent)			\
	{								\
		.name = _name,						\
		.flags = _flags,					\
		.exponent = _exponent,					\
		.offset = offsetof(struct vmmu_stats, field),		\
	}
#define INSTANT(name, field)						\
	COUNTER(name, field, KVM_STATS_TYPE_INSTANT, 0)
#define TOTAL(field)							\
	COUNTER(#field, field, KVM_STATS_TYPE_CUMULATIVE, 0)
#define BYTES(field)							\
	COUNTER(#field, field, KVM_STATS_TYPE_CUMULATIVE |		\
		KVM_STATS_UNIT_BYTES | KVM_STATS_BASE_POW2, 0)
#define PEAK(field)							\
	COUNTER(#field, field, KVM_STATS_TYPE_PEAK, 0)
#define PEAK_NS(field)							\
	COUNTER(#field, field, KVM_STATS_TYPE_PEAK |			\
		KVM_STATS_UNIT_SECONDS | KVM_STATS_BASE_POW10, -9)

/* Which names are part of the interface, <linux/vhost_mmu.h> says. */
static const struct counter counters[] = {
	INSTANT("pages_4k", pages[VMMU_LEVEL_4K - 1]),
	INSTANT("pages_2m", pages[VMMU_LEVEL_2M - 1]),
	INSTANT("pages_1g", pages[VMMU_LEVEL_1G - 1]),
	INSTANT("table_pages", table_pages),
	INSTANT("memslots", slots),
	INSTANT("readers", readers),
	TOTAL(pf_taken),
	TOTAL(pf_fixed),
	TOTAL(pf_fast),
	TOTAL(pf_spurious),
	TOTAL(pf_retried),
	TOTAL(pf_failed),
	TOTAL(mmu_lock_notifier),
	TOTAL(mmu_lock_write_fault),
	{
		.name = "notifier_starts",
		.flags = KVM_STATS_TYPE_CUMULATIVE,
		.get = vmmu_notifier_starts,
	},
	TOTAL(invalidations),
	TOTAL(pages_zapped),
	TOTAL(yields),
	TOTAL(splits),
	TOTAL(collapses),
	TOTAL(dirty_pages),
	TOTAL(ring_full),
	TOTAL(slot_swaps),
	BYTES(bytes_direct),
	BYTES(bytes_user),
	TOTAL(drains),
	PEAK_NS(drain_max_ns),
	PEAK(table_pages_peak),
};

#define NR_COUNTERS ARRAY_SIZE(counters)

static u64 counter_value(const struct vmmu *mmu, const struct counter *counter)
{
	const void *stats = &mmu->stats;

	if (counter->get)
		return counter->get(mmu);
	return atomic64_read((const atomic64_t *)(stats + counter->offset));
}

#define STATS_NAME_SIZE 48

/* struct kvm_stats_desc with its name, for which it has room or not. */
struct stats_desc {
	u32 flags;
	s16 exponent;
	u16 size;
	u32 offset;
	u32 bucket_size;
	char name[STATS_NAME_SIZE];
};

static_assert(offsetof(struct stats_desc, name) ==
	      offsetof(struct kvm_stats_desc, name));

/**
 * struct stats_head - what stands before the values
 * @header: where the rest is
 * @id: which MMU it is
 * @desc: what the values mean
 */
struct stats_head {
	struct kvm_stats_header header;
	char id[STATS_NAME_SIZE];
	struct stats_desc desc[NR_COUNTERS];
};

/**
 * struct stats_file - an open statistics file
 * @mmu: the MMU
 * @head: first part of its contents, does not change
 */
struct stats_file {
	struct vmmu *mmu;
	struct stats_head head;
};

/* <tgid of the opener>-<number of the MMU> */
static void mmu_name(const struct vmmu_mmufd *mmufd, const struct vmmu *mmu,
		     char name[VMMU_MMUFD_NAME_MAX])
{
	snprintf(name, VMMU_MMUFD_NAME_MAX, "%d-%u", mmufd->tgid, mmu->id);
}

static void stats_fill_head(struct stats_head *head,
			    const struct vmmu_cmd *cmd)
{
	char name[VMMU_MMUFD_NAME_MAX];
	int i;

	head->header = (struct kvm_stats_header) {
		.name_size = STATS_NAME_SIZE,
		.num_desc = NR_COUNTERS,
		.id_offset = offsetof(struct stats_head, id),
		.desc_offset = offsetof(struct stats_head, desc),
		.data_offset = sizeof(*head),
	};
	mmu_name(cmd->mmufd, cmd->mmu, name);
	snprintf(head->id, sizeof(head->id), "vhost-mmu-%s", name);

	for (i = 0; i < NR_COUNTERS; i++) {
		struct stats_desc *desc = &head->desc[i];

		desc->flags = counters[i].flags;
		desc->exponent = counters[i].exponent;
		desc->size = 1;
		desc->offset = i * sizeof(u64);
		strscpy(desc->name, counters[i].name, sizeof(desc->name));
	}
}

static ssize_t stats_read(struct file *file, char __user *to, size_t count,
			  loff_t *pos)
{
	struct stats_file *stats = file->private_data;
	const loff_t head_size = sizeof(stats->head);
	u64 values[NR_COUNTERS];
	ssize_t head, data;
	loff_t data_pos;
	int i;

	head = simple_read_from_buffer(to, count, pos, &stats->head, head_size);
	if (head < 0 || head == count || *pos < head_size)
		return head;

	for (i = 0; i < NR_COUNTERS; i++)
		values[i] = counter_value(stats->mmu, &counters[i]);
	data_pos = *pos - head_size;
	data = simple_read_from_buffer(to + head, count - head, &data_pos,
				       values, sizeof(values));
	if (data < 0)
		return head ? head : data;
	*pos = head_size + data_pos;
	return head + data;
}

static loff_t stats_llseek(struct file *file, loff_t offset, int whence)
{
	return fixed_size_llseek(file, offset, whence,
				 sizeof(struct stats_head) +
				 NR_COUNTERS * sizeof(u64));
}

static void stats_free(struct stats_file *stats)
{
	vmmu_put(stats->mmu);
	kfree(stats);
}

static int stats_release(struct inode *inode, struct file *file)
{
	stats_free(file->private_data);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.release = stats_release,
	.read = stats_read,
	.llseek = stats_llseek,
};

/**
 * vmmu_cmd_get_stats_fd() - VMMU_GET_STATS_FD
 * @cmd: the command
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_get_stats_fd(struct vmmu_cmd *cmd)
{
	struct stats_file *stats;
	struct file *file;
	int fd;

	stats = kzalloc(sizeof(*stats), GFP_KERNEL_ACCOUNT);
	if (!stats)
		return -ENOMEM;
	stats->mmu = vmmu_get(cmd->mmu);
	stats_fill_head(&stats->head, cmd);

	file = anon_inode_getfile("[vhost-mmu-stats]", &stats_fops, stats,
				  O_RDONLY);
	if (IS_ERR(file))
		stats_free(stats);
	else
		file->f_mode |= FMODE_PREAD | FMODE_LSEEK;

	fd = vmmu_cmd_new_file(cmd, file);
	if (fd < 0)
		return fd;
	cmd->args.get_stats_fd.out_fd = fd;
	return 0;
}

/**
 * vmmu_stats_show() - write the counters of an MMU as lines of text
 * @m: where to
 * @mmu: the MMU
 */
void vmmu_stats_show(struct seq_file *m, const struct vmmu *mmu)
{
	int i;

	for (i = 0; i < NR_COUNTERS; i++)
		seq_printf(m, "%s %llu\n", counters[i].name,
			   counter_value(mmu, &counters[i]));
}

static int stats_text_show(struct seq_file *m, void *unused)
{
	vmmu_stats_show(m, m->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats_text);

/**
 * vmmu_mmufd_debugfs_add() - show the counters of an MMU in debugfs
 * @mmufd: its file
 * @mmu: the MMU, just made
 *
 * A failure leaves it without them and is no error.
 *
 * Context: process context, may sleep; vmmu_mmufd::mutex held.
 */
void vmmu_mmufd_debugfs_add(struct vmmu_mmufd *mmufd, struct vmmu *mmu)
{
	char dir[sizeof("mmu-") + VMMU_MMUFD_NAME_MAX];
	char name[VMMU_MMUFD_NAME_MAX];

	lockdep_assert_held(&mmufd->mutex);

	mmu_name(mmufd, mmu, name);
	snprintf(dir, sizeof(dir), "mmu-%s", name);
	mmufd->debugfs = debugfs_create_dir(dir, vmmu_debugfs_root());
	debugfs_create_file("stats", 0400, mmufd->debugfs, mmu,
			    &stats_text_fops);
}

/**
 * vmmu_mmufd_debugfs_remove() - take the counters of an MMU out of debugfs
 * @mmufd: its file, being closed
 *
 * Waits for their readers.
 */
void vmmu_mmufd_debugfs_remove(struct vmmu_mmufd *mmufd)
{
	debugfs_remove_recursive(mmufd->debugfs);
}
