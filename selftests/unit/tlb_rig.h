/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A queue with a soft TLB, and guest memory behind it: kernel addresses are
 * those of the test, and a plain list says what the tables hold.
 */
#ifndef TLB_RIG_H
#define TLB_RIG_H

#include <linux/uio.h>

#include "virtqueue/access.h"
#include "virtqueue/direct.h"
#include "mmu/pt_lookup.h"
#include "mmu/fault.h"

/* More than the soft TLB has room for, so that some take the place of others. */
#define SMALL_PAGES	600
#define SMALL_GPA	0x100000ULL
#define HUGE_PAGES	2
#define HUGE_SIZE	BIT(21)
#define HUGE_GPA	BIT_ULL(30)
/* Up to the last byte there can be. */
#define TOP_PAGES	2
#define TOP_GPA		(0 - TOP_PAGES * 4096ULL)
#define PAGES		(SMALL_PAGES + HUGE_PAGES + TOP_PAGES)

#define RIG_NUM		256
#define RIG_IOVS	1024
#define RIG_BITS	4096

/* What the owner has there. */
enum backing {
	ANON,
	/* has to be told before it is written */
	FILE_BACKED,
	/* no kernel address */
	SECRET,
	/* the guest may not write it */
	READ_ONLY,
};

/**
 * struct page_model - a guest page, small or huge
 * @gpa: its guest address
 * @size: its bytes
 * @level: of its entry in the tables
 * @host: its kernel address
 * @backing: what it is
 * @mapped: the tables have it
 * @writable: ... to be written
 * @dirty: it was looked up to be written
 */
struct page_model {
	u64 gpa;
	u64 size;
	unsigned int level;
	char *host;
	enum backing backing;
	bool mapped;
	bool writable;
	bool dirty;
};

/**
 * struct tlb_rig - everything
 * @vmq: the queue
 * @tlb: its soft TLB
 * @burst: its burst
 * @maps: its ring maps, each part in one piece
 * @table: its MMU, of which nothing is used
 * @desc: descriptor table
 * @avail: available ring
 * @next_desc: descriptors up to here are in use
 * @next_avail: next available entry
 * @page: guest memory
 * @spare: memory that is no guest page now
 * @rng: state of rig_random()
 * @lookups: times the tables were asked
 * @faults: faults taken
 * @clamps: addresses bounded under speculation
 * @reads: descriptors read of the ring
 * @bits: ranges whose bits were set, in this order
 * @nr_bits: how many
 * @barriers: barriers since
 * @signals: times it was said that bits were set
 * @refuse: percentage of faults that an invalidation refuses
 * @lose: ... after which the page is gone again at once
 * @disturb: ... during which something else is flushed
 */
struct tlb_rig {
	struct vmq vmq;
	struct vmq_tlb tlb;
	struct vmq_burst burst;
	struct vmq_ring_maps maps;
	struct vmmu mmu;
	struct vring_desc desc[RIG_NUM];
	u16 avail[RIG_NUM + 3];
	u16 next_desc;
	u16 next_avail;
	struct page_model page[PAGES];
	char *spare;
	u64 rng;
	u64 lookups;
	u64 faults;
	u64 clamps;
	u64 reads;
	struct vmq_log_range bits[RIG_BITS];
	unsigned int nr_bits;
	unsigned int barriers;
	unsigned int signals;
	unsigned int refuse;
	unsigned int lose;
	unsigned int disturb;
};

/**
 * struct chain_model - a chain as it is in the ring
 * @ret: its head, the size of the ring, or what is wrong with it
 * @out: readable buffers
 * @in: writable ones, behind those
 * @iov: guest addresses and lengths
 * @cost: pages and descriptors of tables that have to be looked at
 * @hidden: there is a part without kernel address
 * @beyond: a table ends outside of guest memory
 */
struct chain_model {
	int ret;
	unsigned int out;
	unsigned int in;
	struct iovec iov[RIG_IOVS];
	unsigned int cost;
	bool hidden;
	bool beyond;
};

struct tlb_rig *rig_new(bool is_le);
void rig_free(struct tlb_rig *rig);
u64 rig_random(struct tlb_rig *rig, u64 below);
struct page_model *rig_page(struct tlb_rig *rig, u64 gpa);
char *rig_host(struct tlb_rig *rig, u64 gpa);

void rig_flush(struct tlb_rig *rig, u64 first_gfn, u64 last_gfn);
void rig_unmap(struct tlb_rig *rig, struct page_model *page);
void rig_replace(struct tlb_rig *rig, struct page_model *page);

void rig_desc(struct tlb_rig *rig, struct vring_desc *desc, u64 addr, u32 len,
	      u16 flags, u16 next);
void rig_avail(struct tlb_rig *rig, u16 idx, u16 head);

/* What vmq_next() does, with guest addresses. */
void rig_next(struct tlb_rig *rig, struct vmq_split *s, struct vmq_burst *b,
	      struct chain_model *chain);

#endif
