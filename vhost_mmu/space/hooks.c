// SPDX-License-Identifier: GPL-2.0
/*
 * The test hooks' bodies: module parameters that make rare things happen.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "hooks.h"
#include "space.h"

static unsigned int test_install_delay_ms;
module_param(test_install_delay_ms, uint, 0600);
MODULE_PARM_DESC(test_install_delay_ms,
		 "debug builds only: hold each install for this long");

static bool test_force_yield;
module_param(test_force_yield, bool, 0600);
MODULE_PARM_DESC(test_force_yield,
		 "debug builds only: drop mmu_lock at every chance");

static bool exclusive_mmu_lock;
module_param(exclusive_mmu_lock, bool, 0600);
MODULE_PARM_DESC(exclusive_mmu_lock,
		 "debug builds only: faults exclude each other");

/**
 * vmmu_hook_install() - stop between lookup and publication, if told to
 *
 * Context: process context, may sleep.
 */
void vmmu_hook_install(void)
{
	unsigned int ms = READ_ONCE(test_install_delay_ms);

	if (ms)
		msleep(ms);
}

/**
 * vmmu_hook_yield() - must a walk drop mmu_lock, whoever wants it?
 *
 * Return: true if so.
 */
bool vmmu_hook_yield(void)
{
	return READ_ONCE(test_force_yield);
}

/**
 * vmmu_hook_exclusive() - are faults to take mmu_lock for writing?
 *
 * Return: true if so.
 */
bool vmmu_hook_exclusive(void)
{
	return READ_ONCE(exclusive_mmu_lock);
}

static bool no_lock_elision;
module_param(no_lock_elision, bool, 0600);
MODULE_PARM_DESC(no_lock_elision,
		 "debug builds only: take mmu_lock for each invalidation, hit or not");

/**
 * vmmu_hook_no_elision() - is the notifier to take mmu_lock in any case?
 *
 * Return: true if so.
 */
bool vmmu_hook_no_elision(void)
{
	return READ_ONCE(no_lock_elision);
}

static unsigned int test_walk_delay_us;
module_param(test_walk_delay_us, uint, 0600);
MODULE_PARM_DESC(test_walk_delay_us,
		 "debug builds only: let each walk stand in a table for this long");

/**
 * vmmu_hook_walk() - stand in a table before its entry is read, if told to
 *
 * Context: any.
 */
void vmmu_hook_walk(void)
{
	unsigned int us;

	for (us = READ_ONCE(test_walk_delay_us); us >= 1000; us -= 1000)
		udelay(1000);
	if (us)
		udelay(us);
}

/*
 * Keep an invalidation of the writer's memory open for a while: "MS START END"
 * of that range, "MS" of all there is.
 */
static int hold_inval(const char *val, const struct kernel_param *kp)
{
	struct mmu_notifier_range range = {
		.mm = current->mm,
		.flags = MMU_NOTIFIER_RANGE_BLOCKABLE,
	};
	struct vmmu_space *space;
	unsigned int ms;
	int n;

	n = sscanf(val, "%u %lx %lx", &ms, &range.start, &range.end);
	if (n != 1 && n != 3)
		return -EINVAL;
	space = vmmu_space_get(current->mm);
	if (IS_ERR(space))
		return PTR_ERR(space);

	vmmu_notifier_ops.invalidate_range_start(&space->mn, &range);
	msleep(ms);
	vmmu_notifier_ops.invalidate_range_end(&space->mn, &range);
	vmmu_space_put(space);
	return 0;
}

static const struct kernel_param_ops hold_inval_ops = {
	.set = hold_inval,
};
module_param_cb(test_hold_inval_ms, &hold_inval_ops, NULL, 0200);
MODULE_PARM_DESC(test_hold_inval_ms,
		 "debug builds only: keep an invalidation of the writer's memory open for this long");
