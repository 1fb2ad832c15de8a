// SPDX-License-Identifier: GPL-2.0
/*
 * Commands of an MMU and of its readers: the rules that are common to all of
 * them, and those commands that only hand their argument on.
 *
 * A structure tells its size first, so that it can grow: a longer one than
 * this kernel knows is taken if the rest is zero, and no more than a page.
 */
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../mmu/age.h"
#include "../mmu/dirty_log.h"
#include "../mmu/dirty_ring.h"
#include "mmufd.h"

enum cmd_out {
	/* it has no output, and may be in read-only memory */
	OUT_NEVER,
	OUT_SUCCESS,
	/* it tells the progress */
	OUT_ALWAYS,
};

/**
 * struct cmd_op - a command
 * @nr: its ioctl number
 * @size: bytes of its argument, of the first version
 * @flags_at: where the argument has flags
 * @flags: those that exist
 * @reserved_at: where the argument has __reserved, 0 if it has none
 * @reader: readers take it, too
 * @out: when the argument is copied back
 * @run: what it does
 */
struct cmd_op {
	unsigned int nr;
	u16 size;
	u16 flags_at;
	u32 flags;
	u16 reserved_at;
	bool reader;
	enum cmd_out out;
	long (*run)(struct vmmu_cmd *cmd);
};

static long cmd_get_info(struct vmmu_cmd *cmd);

static long cmd_set_options(struct vmmu_cmd *cmd)
{
	const struct vmmu_set_options *args = &cmd->args.set_options;

	return vmmu_set_options(cmd->mmu, args->options, args->ring_entries);
}

static long cmd_set_memslot(struct vmmu_cmd *cmd)
{
	return vmmu_set_memslot(cmd->mmu, &cmd->args.set_memslot);
}

static long cmd_get_dirty_log(struct vmmu_cmd *cmd)
{
	return vmmu_get_dirty_log(cmd->mmu, &cmd->args.dirty_log);
}

static long cmd_clear_dirty_log(struct vmmu_cmd *cmd)
{
	return vmmu_clear_dirty_log(cmd->mmu, &cmd->args.dirty_log);
}

static long cmd_reset_dirty_rings(struct vmmu_cmd *cmd)
{
	return vmmu_dirty_rings_reset(cmd->mmu,
				      &cmd->args.reset_dirty_rings.count);
}

static long cmd_age(struct vmmu_cmd *cmd)
{
	struct vmmu_age *args = &cmd->args.age;

	return vmmu_age(cmd->mmu, args->gpa, args->length,
			args->flags & VMMU_AGE_CLEAR,
			u64_to_user_ptr(args->bitmap), &args->young);
}

#define OP(name, fn, type, ...)						\
	[VMMU_CMD_ ## name] = {						\
		.nr = VMMU_ ## name,					\
		.size = sizeof(struct type),				\
		.run = fn,						\
		__VA_ARGS__						\
	}
#define FLAGS(type, mask)						\
	.flags_at = offsetof(struct type, flags), .flags = (mask)
#define RESERVED(type)							\
	.reserved_at = offsetof(struct type, __reserved)

static const struct cmd_op cmd_ops[] = {
	OP(GET_INFO, cmd_get_info, vmmu_get_info,
	   FLAGS(vmmu_get_info, 0), .out = OUT_SUCCESS),
	OP(SET_OPTIONS, cmd_set_options, vmmu_set_options,
	   FLAGS(vmmu_set_options, 0), RESERVED(vmmu_set_options)),
	OP(SET_MEMSLOT, cmd_set_memslot, vmmu_set_memslot,
	   FLAGS(vmmu_set_memslot, VMMU_MEM_LOG_DIRTY_PAGES | VMMU_MEM_READONLY),
	   RESERVED(vmmu_set_memslot)),
	OP(POPULATE, vmmu_cmd_populate, vmmu_populate,
	   FLAGS(vmmu_populate, VMMU_POPULATE_WRITE),
	   .reader = true, .out = OUT_ALWAYS),
	OP(TRANSLATE, vmmu_cmd_translate, vmmu_translate,
	   FLAGS(vmmu_translate, VMMU_TRANSLATE_FAULT | VMMU_TRANSLATE_WRITE),
	   .reader = true, .out = OUT_SUCCESS),
	OP(READ, vmmu_cmd_read, vmmu_access,
	   FLAGS(vmmu_access, 0), .reader = true, .out = OUT_ALWAYS),
	OP(WRITE, vmmu_cmd_write, vmmu_access,
	   FLAGS(vmmu_access, 0), .reader = true, .out = OUT_ALWAYS),
	OP(GET_DIRTY_LOG, cmd_get_dirty_log, vmmu_dirty_log,
	   FLAGS(vmmu_dirty_log, 0), RESERVED(vmmu_dirty_log)),
	OP(CLEAR_DIRTY_LOG, cmd_clear_dirty_log, vmmu_dirty_log,
	   FLAGS(vmmu_dirty_log, 0), RESERVED(vmmu_dirty_log)),
	OP(CREATE_READER, vmmu_cmd_create_reader, vmmu_create_reader,
	   FLAGS(vmmu_create_reader, 0), RESERVED(vmmu_create_reader),
	   .out = OUT_SUCCESS),
	OP(RESET_DIRTY_RINGS, cmd_reset_dirty_rings, vmmu_reset_dirty_rings,
	   FLAGS(vmmu_reset_dirty_rings, 0), RESERVED(vmmu_reset_dirty_rings),
	   .out = OUT_SUCCESS),
	OP(AGE, cmd_age, vmmu_age,
	   FLAGS(vmmu_age, VMMU_AGE_CLEAR), .out = OUT_SUCCESS),
	OP(GET_STATS_FD, vmmu_cmd_get_stats_fd, vmmu_get_stats_fd,
	   FLAGS(vmmu_get_stats_fd, 0), RESERVED(vmmu_get_stats_fd),
	   .out = OUT_SUCCESS),
};

static long cmd_get_info(struct vmmu_cmd *cmd)
{
	unsigned int i;

	cmd->args.get_info = (struct vmmu_get_info) {
		.size = cmd->args.get_info.size,
		.options = VMMU_OPTIONS,
		.max_slot_pages = VMMU_MAX_SLOT_PAGES,
		.memslot_flags = cmd_ops[VMMU_CMD_SET_MEMSLOT].flags,
		.populate_flags = cmd_ops[VMMU_CMD_POPULATE].flags,
		.translate_flags = cmd_ops[VMMU_CMD_TRANSLATE].flags,
		.age_flags = cmd_ops[VMMU_CMD_AGE].flags,
		.max_slots = VMMU_MAX_SLOTS,
		.gpa_bits = VMMU_GPA_BITS,
		.min_ring_entries = VMMU_DIRTY_RING_MIN,
		.max_ring_entries = VMMU_DIRTY_RING_MAX,
		.ring_reserve = VMMU_DIRTY_RING_RESERVED,
		.max_mmus = VMMU_MAX_MMUS,
		.max_readers = VMMU_MAX_READERS,
		.max_struct_size = PAGE_SIZE,
	};
	for (i = 0; i < ARRAY_SIZE(cmd_ops); i++) {
		cmd->args.get_info.commands |= BIT_ULL(i);
		if (cmd_ops[i].reader)
			cmd->args.get_info.reader_commands |= BIT_ULL(i);
	}
	for (i = VMMU_LEVEL_4K; i <= VMMU_LEVEL_MAX_LEAF; i++)
		cmd->args.get_info.page_sizes |= BIT_ULL(vmmu_level_shift(i));
	return 0;
}

static const struct cmd_op *cmd_find(const struct vmmu_cmd *cmd,
				     unsigned int nr)
{
	const struct cmd_op *op;
	unsigned int i = _IOC_NR(nr);

	if (i >= ARRAY_SIZE(cmd_ops))
		return NULL;
	op = &cmd_ops[array_index_nospec(i, ARRAY_SIZE(cmd_ops))];
	if (op->nr != nr)
		return NULL;
	return cmd->mmufd || op->reader ? op : NULL;
}

/**
 * vmmu_cmd_known() - is there such a command?
 * @cmd: the command, with the file it came through filled in
 * @nr: its ioctl number
 *
 * Return: true if this file takes it.
 */
bool vmmu_cmd_known(const struct vmmu_cmd *cmd, unsigned int nr)
{
	return cmd_find(cmd, nr);
}

static u32 cmd_field(const struct vmmu_cmd *cmd, u16 offset)
{
	return offset ? *(const u32 *)((const char *)&cmd->args + offset) : 0;
}

static int cmd_copy_in(struct vmmu_cmd *cmd, const struct cmd_op *op,
		       const void __user *argp)
{
	u32 size;
	int ret;

	if (get_user(size, (const u32 __user *)argp))
		return -EFAULT;
	if (size < op->size)
		return -EINVAL;
	/* What is behind is searched for anything but zero. */
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&cmd->args, op->size, argp, size);
	if (ret)
		return ret;

	if (cmd_field(cmd, op->flags_at) & ~op->flags ||
	    cmd_field(cmd, op->reserved_at))
		return -EOPNOTSUPP;
	return 0;
}

static long cmd_copy_out(struct vmmu_cmd *cmd, const struct cmd_op *op,
			 void __user *argp, long ret)
{
	if (op->out == OUT_NEVER || (ret && op->out != OUT_ALWAYS))
		return ret;
	return copy_to_user(argp, &cmd->args, op->size) ? -EFAULT : ret;
}

/**
 * vmmu_cmd_ioctl() - run a command
 * @cmd: the command, with its files filled in
 * @nr: its ioctl number
 * @argp: its argument
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_ioctl(struct vmmu_cmd *cmd, unsigned int nr, void __user *argp)
{
	const struct cmd_op *op = cmd_find(cmd, nr);
	long ret;

	if (!op)
		return -ENOTTY;
	/* An MMU is of one address space, faults act on the current one. */
	if (!vmmu_is_of_mm(cmd->mmu, current->mm))
		return -EIO;

	ret = cmd_copy_in(cmd, op, argp);
	if (ret)
		return ret;
	ret = op->run(cmd);
	ret = cmd_copy_out(cmd, op, argp, ret);

	if (cmd->new_file && ret) {
		fput(cmd->new_file);
		put_unused_fd(cmd->new_fd);
	} else if (cmd->new_file) {
		fd_install(cmd->new_fd, cmd->new_file);
	}
	return ret;
}

/**
 * vmmu_cmd_new_file() - let a command return a file
 * @cmd: the command
 * @file: the file, or an error pointer; belongs to @cmd from now on
 *
 * Return: the file descriptor, or a negative error.
 */
int vmmu_cmd_new_file(struct vmmu_cmd *cmd, struct file *file)
{
	int fd;

	if (IS_ERR(file))
		return PTR_ERR(file);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		fput(file);
		return fd;
	}
	cmd->new_file = file;
	cmd->new_fd = fd;
	return fd;
}
