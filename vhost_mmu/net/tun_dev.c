// SPDX-License-Identifier: GPL-2.0
/*
 * Which tun devices there are.
 *
 * A packet that was taken from a tap names its device, but does not hold it, so
 * the pointer may dangle.  Before anybody follows it, it is looked up here: at
 * the same cost however many devices there are, and in whatever network
 * namespace its device is now.
 *
 * The netdevice notifier writes, under RTNL.  The worker reads, under RCU: after
 * NETDEV_UNREGISTER the network stack lets a grace period pass before it frees
 * anything of a device.
 */
#include <linux/hashtable.h>
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <net/rtnetlink.h>

#include "tun_dev.h"

#define TUN_DEV_BITS 10

/**
 * struct tun_dev - a device that is there
 * @node: in tun_devs, by @dev
 * @dev: the device
 * @id: tells it from an earlier one at the same address
 * @rcu: frees this
 */
struct tun_dev {
	struct hlist_node node;
	const struct net_device *dev;
	u64 id;
	struct rcu_head rcu;
};

/* Both under RTNL; the table is read under RCU as well. */
static DEFINE_HASHTABLE(tun_devs, TUN_DEV_BITS);
static u64 last_id;

/**
 * vmnet_tun_dev_id() - is it a tun device?
 * @dev: any pointer, not followed
 *
 * Context: RCU read section, in which @dev may be followed if it is one.
 * Return: what tells it from all others since the module was loaded; 0 if there
 *	is no such tun device.
 */
u64 vmnet_tun_dev_id(const struct net_device *dev)
{
	const struct tun_dev *tun;

	RCU_LOCKDEP_WARN(!rcu_read_lock_held(), "a device may go");

	hash_for_each_possible_rcu(tun_devs, tun, node, (unsigned long)dev)
		if (tun->dev == dev)
			return tun->id;
	return 0;
}

static bool is_tun(const struct net_device *dev)
{
	return dev->rtnl_link_ops && !strcmp(dev->rtnl_link_ops->kind, "tun");
}

/* Without memory its packets go through the socket. */
static void add_dev(const struct net_device *dev)
{
	struct tun_dev *tun = kmalloc(sizeof(*tun), GFP_KERNEL);

	ASSERT_RTNL();

	if (!tun)
		return;
	tun->dev = dev;
	tun->id = ++last_id;
	hash_add_rcu(tun_devs, &tun->node, (unsigned long)dev);
}

static void del_dev(const struct net_device *dev)
{
	struct hlist_node *next;
	struct tun_dev *tun;

	ASSERT_RTNL();

	hash_for_each_possible_safe(tun_devs, tun, next, node,
				    (unsigned long)dev) {
		if (tun->dev != dev)
			continue;
		hash_del_rcu(&tun->node);
		kfree_rcu(tun, rcu);
	}
}

/* A device that moves to another namespace leaves and comes again. */
static int tun_dev_event(struct notifier_block *nb, unsigned long event,
			 void *info)
{
	const struct net_device *dev = netdev_notifier_info_to_dev(info);

	if (event == NETDEV_REGISTER && is_tun(dev))
		add_dev(dev);
	else if (event == NETDEV_UNREGISTER)
		del_dev(dev);
	return NOTIFY_DONE;
}

static struct notifier_block tun_dev_notifier = {
	.notifier_call = tun_dev_event,
};

/**
 * vmnet_tun_devs_init() - find the tun devices, and hear of new ones
 *
 * Context: process context, may sleep.
 * Return: 0 or -errno.
 */
int vmnet_tun_devs_init(void)
{
	return register_netdevice_notifier(&tun_dev_notifier);
}

/**
 * vmnet_tun_devs_exit() - undo vmnet_tun_devs_init()
 *
 * Context: process context, may sleep; nobody looks a device up any more.
 */
void vmnet_tun_devs_exit(void)
{
	/* Calls NETDEV_UNREGISTER for all devices. */
	unregister_netdevice_notifier(&tun_dev_notifier);
}
