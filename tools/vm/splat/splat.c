// SPDX-License-Identifier: GPL-2.0
/*
 * A module that misbehaves on request, to prove that tools/vm/run notices:
 * insmod splat.ko what=warn|atomic|lock|uaf
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "warn, or on a debug kernel: atomic, lock, uaf");

static DEFINE_MUTEX(first);
static DEFINE_MUTEX(second);

/* Sleep where it is forbidden: CONFIG_DEBUG_ATOMIC_SLEEP. */
static void splat_atomic(void)
{
	preempt_disable();
	might_sleep();
	preempt_enable();
}

/* Take two locks in both orders: CONFIG_PROVE_LOCKING. */
static void splat_lock(void)
{
	mutex_lock(&first);
	mutex_lock(&second);
	mutex_unlock(&second);
	mutex_unlock(&first);

	mutex_lock(&second);
	mutex_lock(&first);
	mutex_unlock(&first);
	mutex_unlock(&second);
}

/* Write to freed memory: CONFIG_KASAN. */
static void splat_uaf(void)
{
	char *mem = kmalloc(64, GFP_KERNEL);

	kfree(mem);
	/* Hide the pointer from a compiler that would notice. */
	OPTIMIZER_HIDE_VAR(mem);
	if (mem)
		WRITE_ONCE(mem[8], 1);
}

static int __init splat_init(void)
{
	if (!strcmp(what, "warn"))
		WARN(1, "splat: as requested\n");
	else if (!strcmp(what, "atomic"))
		splat_atomic();
	else if (!strcmp(what, "lock"))
		splat_lock();
	else if (!strcmp(what, "uaf"))
		splat_uaf();
	else
		return -EINVAL;
	return 0;
}

static void __exit splat_exit(void)
{
}

module_init(splat_init);
module_exit(splat_exit);
MODULE_DESCRIPTION("Misbehaves on request to test the test harness");
MODULE_LICENSE("GPL");
