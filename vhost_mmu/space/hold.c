// SPDX-License-Identifier: GPL-2.0
/*
 * A test hook of its own, as it stands above the notifier: an invalidation that
 * is held open.  Only in debug builds, as hooks.c.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "space.h"

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

	/* insmod sets parameters before init: no space may be made yet. */
	if (!vmmu_space_ops)
		return -ENODEV;

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
