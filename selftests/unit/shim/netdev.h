/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tun_dev.c needs of the kernel, put in front of it after shim/mmu.h: the
 * notifier is called by the test, and looks at a hash chain are counted.
 */
#ifndef UNIT_NETDEV_SHIM_H
#define UNIT_NETDEV_SHIM_H

#define NETDEV_REGISTER		5
#define NETDEV_UNREGISTER	6
#define NETDEV_CHANGENAME	10
#define NOTIFY_DONE		0

struct rtnl_link_ops {
	const char *kind;
};

struct net_device {
	const struct rtnl_link_ops *rtnl_link_ops;
};

struct notifier_block {
	int (*notifier_call)(struct notifier_block *nb, unsigned long event,
			     void *info);
};

int register_netdevice_notifier(struct notifier_block *nb);
int unregister_netdevice_notifier(struct notifier_block *nb);
#define netdev_notifier_info_to_dev(info) ((const struct net_device *)(info))

extern bool unit_no_memory;
extern unsigned int unit_looks;

#define ASSERT_RTNL()		((void)0)
#define kmalloc(size, ...)	(unit_no_memory ? NULL : malloc(size))
#define kfree_rcu(p, ...)	free(p)

#define DEFINE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define unit_bucket(table, key)						\
	(&(table)[(key) * 0x61c8864680b583ebUL >> 32 & (ARRAY_SIZE(table) - 1)])
#define unit_entry(node, obj, member)					\
	((node) ? container_of(node, __typeof__(*(obj)), member) : NULL)

#define hash_add_rcu(table, node, key)					\
	unit_hash_add(unit_bucket(table, key), node)
#define hash_del_rcu(node)	((void)(*(node)->pprev = (node)->next),	\
				 (void)((node)->next &&			\
					((node)->next->pprev = (node)->pprev)))
#define hash_for_each_possible_rcu(table, obj, member, key)		\
	for ((obj) = unit_entry(unit_bucket(table, key)->first, obj, member); \
	     (obj) && ++unit_looks;					\
	     (obj) = unit_entry((obj)->member.next, obj, member))
#define hash_for_each_possible_safe(table, obj, tmp, member, key)	\
	for ((obj) = unit_entry(unit_bucket(table, key)->first, obj, member); \
	     (obj) && ((tmp) = (obj)->member.next, true);		\
	     (obj) = unit_entry(tmp, obj, member))

static inline void unit_hash_add(struct hlist_head *head,
				 struct hlist_node *node)
{
	node->next = head->first;
	node->pprev = &head->first;
	if (node->next)
		node->next->pprev = &node->next;
	head->first = node;
}

#endif
