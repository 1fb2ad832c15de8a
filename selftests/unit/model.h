/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the device side of a split ring is to do, in the plainest way: from the
 * virtio 1.2 specification, section 2.7, and where that leaves it open, from
 * the documented behaviour of vhost.  Slow, and not fit for hostile memory: it
 * reads everything as often as it likes while nothing else runs.
 */
#ifndef UNIT_MODEL_H
#define UNIT_MODEL_H

#include "unit.h"

/* More than a chain that is fetched whole has. */
#define MODEL_DESCS	2048
#define MODEL_IOVS	4096

/**
 * struct model - a device's state
 * @num: entries of the ring
 * @le: byte order
 * @event_idx: VIRTIO_RING_F_EVENT_IDX
 * @on_empty: VIRTIO_F_NOTIFY_ON_EMPTY
 * @no_notify: notifications are disabled
 * @last_avail: next available entry
 * @avail: the driver's index when last read
 * @used: entries used so far, never wraps; the ring has the low 16 bits
 * @mark: @used when the driver was last notified
 * @marked: there is such a mark
 */
struct model {
	u32 num;
	bool le;
	bool event_idx;
	bool on_empty;
	bool no_notify;
	u16 last_avail;
	u16 avail;
	u64 used;
	u64 mark;
	bool marked;
};

/**
 * struct model_chain - a chain as it is in the ring
 * @err: what is wrong with it
 * @head: its first descriptor's index
 * @visited: descriptors it has
 * @first: the first one that counts, in model_fetch::desc
 * @count: how many count: an empty buffer does not
 */
struct model_chain {
	int err;
	u16 head;
	u32 visited;
	u32 first;
	u32 count;
};

/**
 * struct model_fetch - what a fetch is to bring
 * @ret: 1, 0 if the ring is empty, or what is wrong
 * @calls: how many calls it takes
 * @nr: number of whole chains
 * @chain: the chains
 * @desc: their descriptors
 * @nr_desc: how many
 */
struct model_fetch {
	int ret;
	unsigned int calls;
	unsigned int nr;
	struct model_chain chain[VMQ_BURST_CHAINS];
	struct vring_desc desc[MODEL_DESCS];
	unsigned int nr_desc;
};

/**
 * struct model_iovs - what a chain is to become
 * @ret: 0 or what is wrong
 * @out: readable iovecs
 * @in: writable iovecs, behind those
 * @iov: the iovecs
 */
struct model_iovs {
	int ret;
	unsigned int out;
	unsigned int in;
	struct iovec iov[MODEL_IOVS];
};

void model_init(struct model *m, const struct vmq_split *s);
void model_compare(const struct model *m, const struct vmq_split *s);

int model_read_avail(struct model *m, const struct unit_rig *rig);
void model_fetch(struct model *m, struct unit_rig *rig, unsigned int ahead,
		 struct model_fetch *f);
void model_expand(const struct model *m, struct unit_rig *rig,
		  const struct vring_desc *desc, unsigned int count,
		  unsigned int iov_size, struct model_iovs *out);

void model_used_image(const struct unit_rig *rig, u8 *image);
void model_check_used(const struct unit_rig *rig, const u8 *image);
void model_put16(const struct model *m, u8 *image, size_t off, u16 v);
void model_add_used(struct model *m, u8 *image,
		    const struct vring_used_elem *heads, unsigned int count);
bool model_need_call(struct model *m, const struct unit_rig *rig);

#endif /* UNIT_MODEL_H */
