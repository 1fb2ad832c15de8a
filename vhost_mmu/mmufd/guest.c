// SPDX-License-Identifier: GPL-2.0
/*
 * Commands that use guest memory: fault it in, look at it, copy from and to it.
 * They may be long, so between two pages they let others run and look for
 * signals; what was done by then is told in the argument.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../mmu/access.h"
#include "../mmu/fault.h"
#include "mmufd.h"

/*
 * Copies of so many bytes go without an allocation; most are of a word.  Both
 * bounce buffers are aligned, so that aligned words are moved whole.
 */
#define BOUNCE_ON_STACK 64

static bool page_range_ok(u64 gpa, u64 length)
{
	u64 last;

	return length && PAGE_ALIGNED(gpa | length) &&
	       !check_add_overflow(gpa, length - 1, &last);
}

/**
 * vmmu_cmd_populate() - VMMU_POPULATE
 * @cmd: the command
 *
 * Return: 0 if at least one page was mapped, else a negative error.
 */
long vmmu_cmd_populate(struct vmmu_cmd *cmd)
{
	struct vmmu_populate *args = &cmd->args.populate;
	u64 wanted = args->length;
	struct vmmu_context ctx;
	long ret = 0;

	if (!page_range_ok(args->gpa, args->length))
		return -EINVAL;

	vmmu_context_init(&ctx, cmd->mmu, cmd->ring);
	while (args->length) {
		if (signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = vmmu_populate(&ctx, args->gpa, args->length,
				    args->flags & VMMU_POPULATE_WRITE);
		if (ret < 0)
			break;
		args->gpa += ret;
		args->length -= ret;
		cond_resched();
	}
	vmmu_context_destroy(&ctx);

	return args->length == wanted ? ret : 0;
}

/**
 * vmmu_cmd_translate() - VMMU_TRANSLATE
 * @cmd: the command
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_translate(struct vmmu_cmd *cmd)
{
	const u32 flags = cmd->args.translate.flags;
	struct vmmu_context ctx;
	int ret;

	/* Without a fault there is nothing to be done for writing. */
	if (flags & VMMU_TRANSLATE_WRITE && !(flags & VMMU_TRANSLATE_FAULT))
		return -EINVAL;

	vmmu_context_init(&ctx, cmd->mmu, cmd->ring);
	ret = vmmu_translate(&ctx, &cmd->args.translate);
	vmmu_context_destroy(&ctx);
	return ret;
}

/* Copy @len bytes within a guest page to the caller. */
static int read_piece(struct vmmu_context *ctx, const struct vmmu_access *args,
		      void *bounce, unsigned int len)
{
	int ret;

	ret = vmmu_read_guest(ctx, args->gpa, bounce, len);
	if (ret)
		return ret;
	if (copy_to_user(u64_to_user_ptr(args->data), bounce, len))
		return -EFAULT;
	return 0;
}

/* Copy @len bytes within a guest page from the caller. */
static int write_piece(struct vmmu_context *ctx, const struct vmmu_access *args,
		       void *bounce, unsigned int len)
{
	if (copy_from_user(bounce, u64_to_user_ptr(args->data), len))
		return -EFAULT;
	return vmmu_write_guest(ctx, args->gpa, bounce, len);
}

typedef int (*piece_fn)(struct vmmu_context *ctx,
			const struct vmmu_access *args, void *bounce,
			unsigned int len);

/*
 * The caller's buffer may be guest memory itself, and a fault on it may need
 * the notifier, which waits for users of the tables: hence the bounce buffer.
 */
static int access_pieces(struct vmmu_context *ctx, struct vmmu_access *args,
			 void *bounce, piece_fn piece)
{
	while (args->length) {
		u64 len = min(args->length,
			      (u64)PAGE_SIZE - offset_in_page(args->gpa));
		int ret = piece(ctx, args, bounce, len);

		if (ret)
			return ret;
		args->gpa += len;
		args->data += len;
		args->length -= len;
		if (args->length && signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static long cmd_access(struct vmmu_cmd *cmd, piece_fn piece)
{
	struct vmmu_access *args = &cmd->args.access;
	u64 on_stack[BOUNCE_ON_STACK / sizeof(u64)];
	void *bounce = on_stack;
	struct vmmu_context ctx;
	u64 end;
	int ret;

	if (check_add_overflow(args->gpa, args->length, &end))
		return -EINVAL;
	if (args->length > sizeof(on_stack)) {
		bounce = kmalloc(PAGE_SIZE, GFP_KERNEL);
		if (!bounce)
			return -ENOMEM;
	}

	vmmu_context_init(&ctx, cmd->mmu, cmd->ring);
	ret = access_pieces(&ctx, args, bounce, piece);
	vmmu_context_destroy(&ctx);

	if (bounce != on_stack)
		kfree(bounce);
	return ret;
}

/**
 * vmmu_cmd_read() - VMMU_READ
 * @cmd: the command
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_read(struct vmmu_cmd *cmd)
{
	return cmd_access(cmd, read_piece);
}

/**
 * vmmu_cmd_write() - VMMU_WRITE
 * @cmd: the command
 *
 * Return: 0 or a negative error.
 */
long vmmu_cmd_write(struct vmmu_cmd *cmd)
{
	return cmd_access(cmd, write_piece);
}
