/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The MMU side of vhost_mmu: one address space object per mm, the only MMU
 * notifier, and the protocol by which anything that caches a translation of a
 * host virtual address gives it back.
 *
 * A *client* is an object that caches translations for one HVA range (today: a
 * ring map).  A *reader* is a context that uses such translations inside a
 * spinlocked section.  See Documentation/protocol.rst.
 */
#ifndef VHOST_MMU_CLIENT_H
#define VHOST_MMU_CLIENT_H

#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#ifndef CONFIG_X86_64
#error "x86-64 only: needs a direct map of all memory and caches without aliases"
#endif
#ifdef CONFIG_PREEMPT_RT
#error "no PREEMPT_RT: its spinlocks sleep, which an MMU notifier must not"
#endif

struct vmmu_client;
struct vmmu_section;
struct vmmu_space;
struct vmmu;

/**
 * struct vmmu_client_ops - what a client does when the mm changes under it
 * @invalidate: give back every translation inside [@start, @last] and record
 *	the pages written through them as dirty.  After it returns, no CPU uses
 *	an old translation: the client takes the lock of each of its readers.
 *	Called from the MMU notifier: must not sleep, allocate or fail.
 * @age: report whether the range was used since the last call, and forget it
 *	if @clear.  May be NULL.  Same context as @invalidate.
 */
struct vmmu_client_ops {
	void (*invalidate)(struct vmmu_client *client, unsigned long start,
			   unsigned long last);
	bool (*age)(struct vmmu_client *client, unsigned long start,
		    unsigned long last, bool clear);
};

/**
 * struct vmmu_client - a holder of translations of one HVA range
 * @node: range in the HVA tree of @space; protected by its clients_lock
 * @ops: callbacks
 * @space: where the client is linked, NULL while it is not
 */
struct vmmu_client {
	struct interval_tree_node node;
	const struct vmmu_client_ops *ops;
	struct vmmu_space *space;
};

/**
 * struct vmmu_section - a user of translations that the notifier can wait out
 * @lock: held over each section, and taken by the notifier to drain it
 * @node: in the readers of the table whose translations it uses in sections,
 *	under the mmu_lock of that table
 * @flush: forget what the table said of the guest pages from @first to @last,
 *	NULL if it is no reader of a table.  Called with @lock held, perhaps by
 *	a notifier: must not sleep, allocate or fail.
 * @drains: how often the notifier took @lock
 * @wait_max_ns: its longest wait for @lock
 * @wait_total_ns: the sum of its waits
 *
 * The statistics are written under @lock.
 */
struct vmmu_section {
	/* held by a section; taken by the notifier to wait it out */
	spinlock_t lock;
	struct list_head node;
	void (*flush)(struct vmmu_section *section, u64 first, u64 last);
	u64 drains;
	u64 wait_max_ns;
	u64 wait_total_ns;
};

/**
 * enum vmmu_page_status - why a page may or may not be reached directly
 * @VMMU_PAGE_OK: usable through the direct map under the notifier's protection
 * @VMMU_PAGE_FILE: file-backed memory that has to be told before it is dirtied
 * @VMMU_PAGE_NODIRECT: no struct page, no direct map, device memory, poison
 * @VMMU_PAGE_FAULT: the address cannot be faulted in
 * @VMMU_PAGE_REFUSED: an invalidation overlapped the attempt
 */
enum vmmu_page_status {
	VMMU_PAGE_OK,
	VMMU_PAGE_FILE,
	VMMU_PAGE_NODIRECT,
	VMMU_PAGE_FAULT,
	VMMU_PAGE_REFUSED,
};

/* space.c: life time */
struct vmmu_space *vmmu_space_get(struct mm_struct *mm);
void vmmu_space_put(struct vmmu_space *space);
void vmmu_space_exit(void);

/* client.c: the HVA tree */
void vmmu_client_add(struct vmmu_space *space, struct vmmu_client *client,
		     unsigned long start, unsigned long last);
void vmmu_client_del(struct vmmu_client *client);

/* notifier.c: the install side of the protocol */
bool vmmu_space_inval_open(struct vmmu_space *space, unsigned long start,
			   unsigned long last);

/* section.c: the drain */
void vmmu_section_init(struct vmmu_section *section);
void vmmu_section_drain_begin(struct vmmu_section *section)
	__acquires(&section->lock);
void vmmu_section_drain_end(struct vmmu_section *section)
	__releases(&section->lock);

void vmmu_add_section(struct vmmu *mmu, struct vmmu_section *section);
void vmmu_del_section(struct vmmu *mmu, struct vmmu_section *section);

/* pfn.c: from a host virtual address to a page */
enum vmmu_page_status vmmu_resolve_page(unsigned long hva, bool write,
					struct page **page);

#endif /* VHOST_MMU_CLIENT_H */
