/* SPDX-License-Identifier: GPL-2.0 */
/* Which tun devices there are. */
#ifndef VHOST_MMU_TUN_DEV_H
#define VHOST_MMU_TUN_DEV_H

#include <linux/types.h>

struct net_device;

u64 vmnet_tun_dev_id(const struct net_device *dev);

int vmnet_tun_devs_init(void);
void vmnet_tun_devs_exit(void);

#endif /* VHOST_MMU_TUN_DEV_H */
