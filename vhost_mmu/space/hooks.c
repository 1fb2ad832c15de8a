// SPDX-License-Identifier: GPL-2.0
/*
 * The bodies of the test hooks: module parameters that make rare things happen.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>

#include "hooks.h"

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

	might_sleep();

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
	unsigned int us = READ_ONCE(test_walk_delay_us);

	mdelay(us / 1000);
	udelay(us % 1000);
}
