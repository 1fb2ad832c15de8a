// SPDX-License-Identifier: GPL-2.0
/* Which tun devices there are, and what it costs to find one. */
#include "kselftest_harness.h"

#include "net/tun_dev.h"

#define MANY		4000
/* No chain of the hash table may be so long. */
#define MAX_LOOKS	24

int unit_rcu_depth = 1;
bool unit_no_memory;
unsigned int unit_looks;

static const struct rtnl_link_ops tun = { "tun" }, dummy = { "dummy" };
static struct notifier_block *notifier;

int register_netdevice_notifier(struct notifier_block *nb)
{
	notifier = nb;
	return 0;
}

int unregister_netdevice_notifier(struct notifier_block *nb)
{
	unit_check(nb == notifier);
	notifier = NULL;
	return 0;
}

static void event(struct net_device *dev, unsigned long what)
{
	unit_check(notifier->notifier_call(notifier, what, dev) == NOTIFY_DONE);
}

static struct net_device *new_dev(const struct rtnl_link_ops *ops)
{
	struct net_device *dev = calloc(1, sizeof(*dev));

	unit_check(dev);
	dev->rtnl_link_ops = ops;
	event(dev, NETDEV_REGISTER);
	return dev;
}

FIXTURE(tun_dev)
{
	struct net_device *dev[MANY];
};

FIXTURE_SETUP(tun_dev)
{
	unit_no_memory = false;
	ASSERT_EQ(0, vmnet_tun_devs_init());
}

FIXTURE_TEARDOWN(tun_dev)
{
	vmnet_tun_devs_exit();
}

/* A packet's device is found at the same cost among however many. */
TEST_F(tun_dev, many)
{
	unsigned int i;

	for (i = 0; i < MANY; i++)
		self->dev[i] = new_dev(&tun);
	for (i = 0; i < MANY; i++) {
		unit_looks = 0;
		EXPECT_NE(0, vmnet_tun_dev_id(self->dev[i]));
		ASSERT_GT(MAX_LOOKS, unit_looks);
	}
	/* nor is anything followed that is none of them */
	for (i = 1; i < MANY; i++)
		EXPECT_EQ(0, vmnet_tun_dev_id((void *)(uintptr_t)i));
	for (i = 0; i < MANY; i++) {
		event(self->dev[i], NETDEV_UNREGISTER);
		free(self->dev[i]);
	}
}

/* A pointer that dangles is not followed. */
TEST_F(tun_dev, gone)
{
	struct net_device *dev = new_dev(&tun), *other = new_dev(&tun);
	struct net_device *volatile dangling = dev;
	u64 id = vmnet_tun_dev_id(dev);

	EXPECT_NE(0, id);
	EXPECT_NE(id, vmnet_tun_dev_id(other));
	/* no other event means anything */
	event(dev, NETDEV_CHANGENAME);
	EXPECT_EQ(id, vmnet_tun_dev_id(dev));
	event(dev, NETDEV_UNREGISTER);
	/* the event may come again */
	event(dev, NETDEV_UNREGISTER);
	free(dev);
	EXPECT_EQ(0, vmnet_tun_dev_id(dangling));
	EXPECT_NE(0, vmnet_tun_dev_id(other));
	event(other, NETDEV_UNREGISTER);
	free(other);
}

/* Moved, or another at the same address: not what was learnt of. */
TEST_F(tun_dev, again)
{
	struct net_device *dev = new_dev(&tun);
	u64 id = vmnet_tun_dev_id(dev);

	event(dev, NETDEV_UNREGISTER);
	event(dev, NETDEV_REGISTER);
	EXPECT_NE(0, vmnet_tun_dev_id(dev));
	EXPECT_NE(id, vmnet_tun_dev_id(dev));
	event(dev, NETDEV_UNREGISTER);
	free(dev);
}

/* Other devices have other counters. */
TEST_F(tun_dev, others)
{
	struct net_device *dev = new_dev(&dummy);

	EXPECT_EQ(0, vmnet_tun_dev_id(dev));
	EXPECT_EQ(0, vmnet_tun_dev_id(NULL));
	free(dev);
	dev = new_dev(NULL);
	EXPECT_EQ(0, vmnet_tun_dev_id(dev));
	free(dev);
	unit_no_memory = true;
	dev = new_dev(&tun);
	EXPECT_EQ(0, vmnet_tun_dev_id(dev));
	event(dev, NETDEV_UNREGISTER);
	free(dev);
}

TEST_HARNESS_MAIN
