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

/* Keep an invalidation of all of the writer's memory open for a while. */
static int hold_inval(const char *val, const struct kernel_param *kp)
{
	struct mmu_notifier_range all = {
		.mm = current->mm,
		.flags = MMU_NOTIFIER_RANGE_BLOCKABLE,
	};
	struct vmmu_space *space;
	unsigned int ms;
	int ret;

	ret = kstrtouint(val, 0, &ms);
	if (ret)
		return ret;
	space = vmmu_space_get(current->mm);
	if (IS_ERR(space))
		return PTR_ERR(space);

	vmmu_notifier_ops.invalidate_range_start(&space->mn, &all);
	msleep(ms);
	vmmu_notifier_ops.invalidate_range_end(&space->mn, &all);
	vmmu_space_put(space);
	return 0;
}

static const struct kernel_param_ops hold_inval_ops = {
	.set = hold_inval,
};
module_param_cb(test_hold_inval_ms, &hold_inval_ops, NULL, 0200);
MODULE_PARM_DESC(test_hold_inval_ms,
		 "debug builds only: keep an invalidation of the writer's memory open for this long");
