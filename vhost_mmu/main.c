// SPDX-License-Identifier: GPL-2.0
/*
 * vhost_mmu.ko: the core that vhost backends are built on.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "mmu/mmu.h"
#include "mmu/notify.h"
#include "mmu/selftest.h"
#include "mmu/shared.h"
#include "mmufd/mmufd.h"
#include "space/space.h"
#include "vhost_mmu.h"

static int __init vhost_mmu_init(void)
{
	int ret = vmmu_selftest();

	if (ret)
		return ret;

	vmmu_space_init(&vmmu_mmus_ops);
	vmmu_shared_init();
	ret = vmmu_mmus_init();
	if (ret)
		return ret;

	vmmu_debugfs_init();
	ret = vmmu_mmufd_init();
	if (ret)
		goto err_mmufd;
	return 0;

err_mmufd:
	vmmu_debugfs_exit();
	vmmu_mmus_exit();
	return ret;
}
module_init(vhost_mmu_init);

static void __exit vhost_mmu_exit(void)
{
	vmmu_mmufd_exit();
	vmmu_debugfs_exit();
	vmmu_mmus_exit();
	/* Spaces and whatever else RCU still frees use code of this module. */
	vmmu_space_exit();
	rcu_barrier();
}
module_exit(vhost_mmu_exit);

MODULE_DESCRIPTION("vhost core with ring access through kernel addresses");
MODULE_AUTHOR("vhost_mmu maintainers");
MODULE_LICENSE("GPL");
