/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The split ring (virtio 1.2, section 2.7), device side.
 *
 * One parser that does not know how memory is reached: every function takes a
 * constant struct vmq_access, which the compiler folds into it.  It builds in
 * user space as well, where the unit tests and the fuzzer use it.
 *
 * The driver may write any of this memory at any time.  Each field is read once
 * into private memory and checked there; indices that the driver chose are
 * bounded under speculation before they reach an address.
 *
 * Fetching is cut in two, so that ring words can be read where nothing may
 * sleep: vmq_split_gather() copies descriptors of whole chains, and
 * vmq_split_expand() translates one chain, reading its indirect tables.
 */
#ifndef VHOST_MMU_SPLIT_RING_H
#define VHOST_MMU_SPLIT_RING_H

#include <asm/byteorder.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/nospec.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/vhost_types.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_ring.h>
#include <asm/barrier.h>

/* Chains fetched ahead at most, and descriptors read in one section. */
#define VMQ_BURST_CHAINS	64
#define VMQ_SECTION_DESCS	64
/* A chain with more buffers than this does not fit its iovecs anyway. */
#define VMQ_BURST_DESCS		UIO_MAXIOV

/* vmq_split_gather(): the section's budget is used up, call again. */
#define VMQ_AGAIN		1
#define VMQ_DONE		0
/* vmq_split_first(): the chain goes on. */
#define VMQ_MORE		2

enum vmq_part {
	VMQ_DESC,
	VMQ_AVAIL,
	VMQ_USED,
	VMQ_PARTS,
};

/**
 * struct vmq_split - a split ring's size, modes and indices
 * @num: entries, a power of two
 * @is_le: ring words are little endian (virtio 1.0), else in native order
 * @event_idx: VIRTIO_RING_F_EVENT_IDX was negotiated
 * @notify_on_empty: VIRTIO_F_NOTIFY_ON_EMPTY was negotiated
 * @last_avail_idx: next available entry to consume
 * @avail_idx: the driver's index when last read
 * @last_used_idx: next used entry to write
 * @used_flags: what used->flags is to say
 * @signalled_used: @last_used_idx at the last notification
 * @signalled_used_valid: @signalled_used means something
 * @why: what was wrong with the ring, once a call has failed
 */
struct vmq_split {
	u32 num;
	bool is_le;
	bool event_idx;
	bool notify_on_empty;
	u16 last_avail_idx;
	u16 avail_idx;
	u16 last_used_idx;
	u16 used_flags;
	u16 signalled_used;
	bool signalled_used_valid;
	const char *why;
};

/**
 * struct vmq_chain - where a fetched chain lies in its burst
 * @head: its first descriptor's index
 * @first: its first entry in vmq_burst::desc
 * @count: how many entries it has there
 */
struct vmq_chain {
	u16 head;
	u16 first;
	u16 count;
};

/**
 * struct vmq_burst - descriptor chains fetched ahead of their use
 * @next: first chain that was not consumed
 * @nr: number of chains
 * @nr_desc: entries of @desc in use
 * @ahead: chains to fetch next time, follows how many are consumed
 * @read: descriptors read so far, those that are not kept as well
 * @walking: a chain was cut by the end of a section
 * @walk: that chain
 * @walk_next: its next descriptor
 * @walk_found: its descriptors so far
 * @chain: the chains
 * @desc: private copies of their descriptors, in ring byte order, and room to
 *	read one more
 */
struct vmq_burst {
	unsigned int next;
	unsigned int nr;
	unsigned int nr_desc;
	unsigned int ahead;
	unsigned int read;
	bool walking;
	struct vmq_chain walk;
	u16 walk_next;
	u32 walk_found;
	struct vmq_chain chain[VMQ_BURST_CHAINS];
	struct vring_desc desc[VMQ_BURST_DESCS + 1];
};

/**
 * struct vmq_access - how ring words are reached
 * @read16: read one aligned word, in ring byte order
 * @write16: write one aligned word, in ring byte order
 * @read: copy from the ring, once
 * @write: copy to the ring, once
 *
 * Offsets are in bytes within the part and inside it: they follow from the size
 * of the ring and from bounded indices.  All return 0 or -EFAULT.
 */
struct vmq_access {
	int (*read16)(void *ctx, enum vmq_part part, size_t off, __virtio16 *w);
	int (*write16)(void *ctx, enum vmq_part part, size_t off, __virtio16 w);
	int (*read)(void *ctx, enum vmq_part part, size_t off, void *dst,
		    size_t len);
	int (*write)(void *ctx, enum vmq_part part, size_t off, const void *src,
		     size_t len);
};

/**
 * struct vmq_memory - how guest memory is reached while a chain is expanded
 * @translate: make iovecs of a guest physical range; returns how many, -EFAULT,
 *	-EPERM, or -ENOBUFS if @iov_size do not suffice
 * @indirect_begin: start to read an indirect table; 0 or an error as above
 * @indirect_read: read the next descriptor of that table; false if it cannot be
 */
struct vmq_memory {
	int (*translate)(void *ctx, u64 addr, u32 len, struct iovec *iov,
			 unsigned int iov_size, int access);
	int (*indirect_begin)(void *ctx, u64 addr, u32 len);
	bool (*indirect_read)(void *ctx, struct vring_desc *desc);
};

/* Only a big endian host has rings in two byte orders. */
static __always_inline bool vmq_is_le(const struct vmq_split *s)
{
	return virtio_legacy_is_little_endian() || s->is_le;
}

static __always_inline u16 vmq_u16(const struct vmq_split *s, __virtio16 word)
{
	return __virtio16_to_cpu(vmq_is_le(s), word);
}

static __always_inline __virtio16 vmq_word(const struct vmq_split *s, u16 val)
{
	return __cpu_to_virtio16(vmq_is_le(s), val);
}

static inline size_t vmq_avail_ring_off(u32 i)
{
	return offsetof(struct vring_avail, ring) + i * sizeof(__virtio16);
}

static inline size_t vmq_used_ring_off(u32 i)
{
	return offsetof(struct vring_used, ring) +
	       i * sizeof(struct vring_used_elem);
}

/**
 * vmq_part_size() - bytes of one part of a ring
 * @part: which
 * @num: entries of the ring
 * @event_idx: the part has its event word
 *
 * Return: the size.
 */
static inline size_t vmq_part_size(enum vmq_part part, u32 num, bool event_idx)
{
	size_t event = event_idx ? sizeof(__virtio16) : 0;

	switch (part) {
	case VMQ_DESC:
		return num * sizeof(struct vring_desc);
	case VMQ_AVAIL:
		return vmq_avail_ring_off(num) + event;
	default:
		return vmq_used_ring_off(num) + event;
	}
}

static __always_inline int vmq_split_broken(struct vmq_split *s, int err,
					    const char *why)
{
	s->why = why;
	return err;
}

/*
 * Look for new buffers.  Returns 1 if the driver has moved its index since it
 * was read last, 0 if it has not.  Chains that were put back are not new: who
 * waits for more of them would find the same ones for ever.
 */
static __always_inline int vmq_split_read_avail_idx(struct vmq_split *s,
						    const struct vmq_access *a,
						    void *ctx)
{
	__virtio16 word;
	u16 idx;

	if (a->read16(ctx, VMQ_AVAIL, offsetof(struct vring_avail, idx), &word))
		return vmq_split_broken(s, -EFAULT, "avail index unreadable");

	idx = vmq_u16(s, word);
	if (unlikely((u16)(idx - s->last_avail_idx) > s->num))
		return vmq_split_broken(s, -EINVAL, "avail index jumped");
	if (idx == s->avail_idx)
		return 0;
	s->avail_idx = idx;

	/*
	 * Entries and descriptors are read after the index that published
	 * them: pairs with the driver's barrier before it writes avail->idx.
	 */
	smp_rmb();
	return 1;
}

/*
 * An empty buffer adds nothing, so it takes no room either: but it may be an
 * indirect table, or a readable buffer behind a writable one, which is wrong
 * however short.  If there was a writable one, the last kept is writable or a
 * table, or the chain is wrong already.
 */
static inline bool vmq_split_empty_counts(const struct vmq_split *s,
					  const struct vmq_burst *b, u32 n)
{
	__virtio16 indirect = vmq_word(s, VRING_DESC_F_INDIRECT);
	__virtio16 write = vmq_word(s, VRING_DESC_F_WRITE);

	if (b->desc[n].flags & indirect)
		return true;
	return n > b->walk.first && (b->desc[n - 1].flags & (indirect | write));
}

/*
 * Read the descriptors of one chain until it ends or @budget does.  The state
 * of the walk is kept in registers: the ring is volatile to the compiler, and
 * so is everything else in memory once a word of it has been read.
 */
static __always_inline int vmq_split_walk(struct vmq_split *s,
					  struct vmq_burst *b,
					  const struct vmq_access *a, void *ctx,
					  u32 *budget)
{
	const u32 num = s->num;
	u32 n = b->nr_desc, found = b->walk_found, next = b->walk_next;
	struct vring_desc *desc;
	int ret;

	for (;;) {
		if (unlikely(!*budget)) {
			ret = VMQ_AGAIN;
			break;
		}
		--*budget;

		if (unlikely(next >= num)) {
			ret = vmq_split_broken(s, -EINVAL,
					       "descriptor index too big");
			break;
		}
		if (unlikely(++found > num)) {
			ret = vmq_split_broken(s, -EINVAL, "descriptor loop");
			break;
		}
		if (unlikely(n > VMQ_BURST_DESCS)) {
			ret = -ENOBUFS;
			break;
		}

		/* The entry behind those in use: private, and mostly kept. */
		desc = &b->desc[n];
		if (a->read(ctx, VMQ_DESC,
			    array_index_nospec(next, num) * sizeof(*desc), desc,
			    sizeof(*desc))) {
			ret = vmq_split_broken(s, -EFAULT,
					       "descriptor unreadable");
			break;
		}

		if (likely(desc->len) || vmq_split_empty_counts(s, b, n))
			n++;

		if (likely(!(desc->flags & vmq_word(s, VRING_DESC_F_NEXT)))) {
			ret = VMQ_DONE;
			break;
		}
		next = vmq_u16(s, desc->next);
	}

	b->nr_desc = n;
	b->walk_found = found;
	b->walk_next = next;
	return ret;
}

/*
 * Read the next available entry and the first descriptor of its chain.  Most
 * chains end there; for the others the state of a walk is made.
 */
static __always_inline int vmq_split_first(struct vmq_split *s,
					   struct vmq_burst *b,
					   const struct vmq_access *a,
					   void *ctx, u32 *budget)
{
	const u32 num = s->num, first = b->nr_desc;
	u16 idx = s->last_avail_idx + b->nr;
	struct vring_desc *desc;
	struct vmq_chain *chain;
	__virtio16 word;
	u32 n = first;
	u16 head;

	if (a->read16(ctx, VMQ_AVAIL, vmq_avail_ring_off(idx & (num - 1)),
		      &word))
		return vmq_split_broken(s, -EFAULT, "avail entry unreadable");

	head = vmq_u16(s, word);
	if (unlikely(head >= num))
		return vmq_split_broken(s, -EINVAL, "head index too big");
	if (unlikely(n > VMQ_BURST_DESCS))
		return -ENOBUFS;

	--*budget;
	desc = &b->desc[n];
	if (a->read(ctx, VMQ_DESC,
		    array_index_nospec(head, num) * sizeof(*desc), desc,
		    sizeof(*desc)))
		return vmq_split_broken(s, -EFAULT, "descriptor unreadable");

	/* As in vmq_split_empty_counts(), with nothing before it. */
	if (likely(desc->len) ||
	    desc->flags & vmq_word(s, VRING_DESC_F_INDIRECT))
		n++;
	b->nr_desc = n;

	if (likely(!(desc->flags & vmq_word(s, VRING_DESC_F_NEXT)))) {
		chain = &b->chain[b->nr++];
		chain->head = head;
		chain->first = first;
		chain->count = n - first;
		return VMQ_DONE;
	}

	b->walking = true;
	b->walk.head = head;
	b->walk.first = first;
	b->walk_next = vmq_u16(s, desc->next);
	b->walk_found = 1;
	return VMQ_MORE;
}

static inline void vmq_burst_reset(struct vmq_burst *b)
{
	b->next = 0;
	b->nr = 0;
	b->nr_desc = 0;
	b->walking = false;
}

/*
 * Read further ahead if all of the last burst was used, so that a queue with
 * many buffers and few packets reads few of them.
 */
static inline void vmq_burst_widen(struct vmq_burst *b)
{
	if (b->nr == b->ahead)
		b->ahead = min_t(unsigned int, 2 * b->ahead, VMQ_BURST_CHAINS);
}

/**
 * vmq_split_gather() - fetch chains ahead
 * @s: ring
 * @b: burst, all of its chains consumed
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * Reads at most VMQ_SECTION_DESCS descriptors.  An error in a chain behind the
 * first is left for the next call to find.
 *
 * Return: VMQ_DONE with vmq_burst::nr chains (0: the ring is empty), VMQ_AGAIN
 *	to be called again for the rest of a long chain, or -errno with
 *	vmq_split::why set.
 */
static __always_inline int vmq_split_gather(struct vmq_split *s,
					    struct vmq_burst *b,
					    const struct vmq_access *a,
					    void *ctx)
{
	u32 budget = VMQ_SECTION_DESCS;
	int ret;

	if (!b->walking) {
		vmq_burst_reset(b);
		if (s->avail_idx == s->last_avail_idx) {
			ret = vmq_split_read_avail_idx(s, a, ctx);
			if (ret <= 0)
				return ret;
		}
	}

	ret = b->walking ? VMQ_MORE : VMQ_DONE;
	do {
		if (likely(!ret))
			ret = vmq_split_first(s, b, a, ctx, &budget);
		if (unlikely(ret == VMQ_MORE)) {
			ret = vmq_split_walk(s, b, a, ctx, &budget);
			if (ret)
				break;
			b->walking = false;
			b->walk.count = b->nr_desc - b->walk.first;
			b->chain[b->nr++] = b->walk;
		}
		if (unlikely(ret))
			break;
	} while (b->nr < b->ahead && budget &&
		 (u16)(s->last_avail_idx + b->nr) != s->avail_idx);

	b->read += VMQ_SECTION_DESCS - budget;
	if (!ret)
		return VMQ_DONE;
	if (b->nr) {
		/* Whole chains are there: the cut or broken one comes next. */
		b->walking = false;
		s->why = NULL;
		return VMQ_DONE;
	}
	if (ret == VMQ_AGAIN)
		return VMQ_AGAIN;
	b->walking = false;
	if (ret == -ENOBUFS)
		vmq_split_broken(s, ret, "too many buffers in a chain");
	return ret;
}

/* Translate one descriptor into the iovecs behind those already there. */
static __always_inline int
vmq_split_add_buffer(struct vmq_split *s, const struct vmq_memory *m, void *ctx,
		     const struct vring_desc *desc, struct iovec *iov,
		     unsigned int iov_size, unsigned int *out_num,
		     unsigned int *in_num)
{
	bool write = desc->flags & vmq_word(s, VRING_DESC_F_WRITE);
	unsigned int n = *out_num + *in_num;
	int ret;

	ret = m->translate(ctx, __virtio64_to_cpu(vmq_is_le(s), desc->addr),
			   __virtio32_to_cpu(vmq_is_le(s), desc->len), iov + n,
			   iov_size - n,
			   write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
	if (unlikely(ret < 0))
		return vmq_split_broken(s, ret, "buffer outside guest memory");

	if (write) {
		*in_num += ret;
		return 0;
	}
	if (unlikely(*in_num))
		return vmq_split_broken(
			s, -EINVAL, "readable buffer behind a writable one");
	*out_num += ret;
	return 0;
}

/* Virtio 1.2, section 2.7.5.3: an indirect table, which may name no other. */
static inline int vmq_split_add_table(struct vmq_split *s,
				      const struct vmq_memory *m, void *ctx,
				      const struct vring_desc *table,
				      struct iovec *iov, unsigned int iov_size,
				      unsigned int *out_num,
				      unsigned int *in_num)
{
	u32 len = __virtio32_to_cpu(vmq_is_le(s), table->len);
	u32 found = 0, count = len / sizeof(struct vring_desc);
	struct vring_desc desc;
	int ret;

	if (unlikely(len % sizeof(desc)))
		return vmq_split_broken(s, -EINVAL,
					"indirect table of a broken length");

	ret = m->indirect_begin(
		ctx, __virtio64_to_cpu(vmq_is_le(s), table->addr), len);
	if (unlikely(ret < 0))
		return vmq_split_broken(s, ret,
					"indirect table outside guest memory");

	/* The next field has 16 bits. */
	if (unlikely(count > USHRT_MAX + 1))
		return vmq_split_broken(s, -E2BIG, "indirect table too long");

	do {
		if (unlikely(++found > count))
			return vmq_split_broken(s, -EINVAL,
						"indirect descriptor loop");
		if (unlikely(!m->indirect_read(ctx, &desc)))
			return vmq_split_broken(s, -EINVAL,
						"indirect table unreadable");
		if (unlikely(desc.flags & vmq_word(s, VRING_DESC_F_INDIRECT)))
			return vmq_split_broken(s, -EINVAL,
						"indirect table in another");
		ret = vmq_split_add_buffer(s, m, ctx, &desc, iov, iov_size,
					   out_num, in_num);
		if (unlikely(ret))
			return ret;
	} while (desc.flags & vmq_word(s, VRING_DESC_F_NEXT));

	return 0;
}

/**
 * vmq_split_expand() - turn a fetched chain into iovecs
 * @s: ring
 * @m: how guest memory is reached; may sleep
 * @ctx: for @m
 * @desc: private copies of the chain's descriptors
 * @count: how many
 * @iov: filled with the readable buffers, then the writable ones
 * @iov_size: room in @iov
 * @out_num: number of readable iovecs
 * @in_num: number of writable iovecs
 *
 * Return: 0, or -errno with vmq_split::why set.
 */
static __always_inline int
vmq_split_expand(struct vmq_split *s, const struct vmq_memory *m, void *ctx,
		 const struct vring_desc *desc, unsigned int count,
		 struct iovec *iov, unsigned int iov_size,
		 unsigned int *out_num, unsigned int *in_num)
{
	__virtio16 indirect = vmq_word(s, VRING_DESC_F_INDIRECT);
	int ret;

	*out_num = 0;
	*in_num = 0;
	for (; count--; desc++) {
		if (desc->flags & indirect)
			ret = vmq_split_add_table(s, m, ctx, desc, iov,
						  iov_size, out_num, in_num);
		else
			ret = vmq_split_add_buffer(s, m, ctx, desc, iov,
						   iov_size, out_num, in_num);
		if (unlikely(ret))
			return ret;
	}
	return 0;
}

/**
 * vmq_split_add_used() - give buffers back to the driver
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 * @heads: used entries in ring byte order
 * @count: how many
 *
 * A hostile driver makes buffers available that it was not given back, so
 * @count may exceed the size of the ring; nothing outside of it is written.
 *
 * Return: 0, or -EFAULT with vmq_split::why set; the index is not moved then.
 */
static __always_inline int
vmq_split_add_used(struct vmq_split *s, const struct vmq_access *a, void *ctx,
		   const struct vring_used_elem *heads, unsigned int count)
{
	u16 old = s->last_used_idx, new = old + count;
	u32 n, start = old & (s->num - 1);

	for (; count; count -= n, heads += n, start = 0) {
		n = min_t(u32, count, s->num - start);
		if (a->write(ctx, VMQ_USED, vmq_used_ring_off(start), heads,
			     n * sizeof(*heads)))
			goto err;
	}

	/*
	 * Entries, and the buffers behind them, are written before the index
	 * that publishes them: pairs with the driver's barrier after it has
	 * read used->idx.
	 */
	smp_wmb();
	if (a->write16(ctx, VMQ_USED, offsetof(struct vring_used, idx),
		       vmq_word(s, new)))
		goto err;

	s->last_used_idx = new;
	/* After 2^16 entries without a notification the mark means nothing. */
	if (unlikely((u16)(new - s->signalled_used) < (u16)(new - old)))
		s->signalled_used_valid = false;
	return 0;
err:
	return vmq_split_broken(s, -EFAULT, "used ring unwritable");
}

/**
 * vmq_split_need_call() - does the driver want to be notified?
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * Virtio 1.2, section 2.7.10.
 *
 * Return: 1 or 0; 1 as well, with vmq_split::why set, if the ring cannot be
 *	read.
 */
static __always_inline int
vmq_split_need_call(struct vmq_split *s, const struct vmq_access *a, void *ctx)
{
	__virtio16 word;
	u16 event, old;
	bool valid;

	/*
	 * The used index is visible before the event word is read: pairs with
	 * the driver's barrier between enabling calls and reading used->idx.
	 */
	smp_mb();

	if (s->notify_on_empty && unlikely(s->avail_idx == s->last_avail_idx))
		return 1;

	if (!s->event_idx) {
		if (a->read16(ctx, VMQ_AVAIL,
			      offsetof(struct vring_avail, flags), &word)) {
			s->why = "avail flags unreadable";
			return 1;
		}
		return !(word & vmq_word(s, VRING_AVAIL_F_NO_INTERRUPT));
	}

	old = s->signalled_used;
	valid = s->signalled_used_valid;
	s->signalled_used = s->last_used_idx;
	s->signalled_used_valid = true;
	if (unlikely(!valid))
		return 1;

	if (a->read16(ctx, VMQ_AVAIL, vmq_avail_ring_off(s->num), &word)) {
		s->why = "used event unreadable";
		return 1;
	}
	event = vmq_u16(s, word);
	return vring_need_event(event, s->last_used_idx, old);
}

static __always_inline int
vmq_split_write_used_flags(struct vmq_split *s, const struct vmq_access *a,
			   void *ctx)
{
	if (a->write16(ctx, VMQ_USED, offsetof(struct vring_used, flags),
		       vmq_word(s, s->used_flags)))
		return vmq_split_broken(s, -EFAULT, "used flags unwritable");
	return 0;
}

/**
 * vmq_split_start() - take up a ring where the driver has it
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * Return: 0, or -EFAULT.
 */
static __always_inline int
vmq_split_start(struct vmq_split *s, const struct vmq_access *a, void *ctx)
{
	__virtio16 word;
	int ret;

	ret = vmq_split_write_used_flags(s, a, ctx);
	if (ret)
		return ret;
	s->signalled_used_valid = false;

	if (a->read16(ctx, VMQ_USED, offsetof(struct vring_used, idx), &word))
		return vmq_split_broken(s, -EFAULT, "used index unreadable");
	s->last_used_idx = vmq_u16(s, word);
	return 0;
}

/**
 * vmq_split_enable_notify() - ask to be notified of new buffers
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * With event indices the driver is asked for what follows the index that was
 * read last, so chains up to there do not count as new, taken or put back.
 *
 * Return: 1 if buffers have come in since the index was read, 0 if not or
 *	already enabled, -errno with vmq_split::why set.
 */
static __always_inline int vmq_split_enable_notify(struct vmq_split *s,
						   const struct vmq_access *a,
						   void *ctx)
{
	int ret;

	if (!(s->used_flags & VRING_USED_F_NO_NOTIFY))
		return 0;
	s->used_flags &= ~VRING_USED_F_NO_NOTIFY;

	if (!s->event_idx) {
		ret = vmq_split_write_used_flags(s, a, ctx);
		if (ret)
			return ret;
	} else if (a->write16(ctx, VMQ_USED, vmq_used_ring_off(s->num),
			      vmq_word(s, s->avail_idx))) {
		return vmq_split_broken(s, -EFAULT, "avail event unwritable");
	}

	/*
	 * The request is visible before the index is read again: pairs with
	 * the driver's barrier between avail->idx and the event word.
	 */
	smp_mb();
	return vmq_split_read_avail_idx(s, a, ctx);
}

/**
 * vmq_split_disable_notify() - no need to be notified for now
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * With event indices nothing is written: an old event index asks for nothing.
 *
 * Return: 0, or -EFAULT with vmq_split::why set.
 */
static __always_inline int vmq_split_disable_notify(struct vmq_split *s,
						    const struct vmq_access *a,
						    void *ctx)
{
	if (s->used_flags & VRING_USED_F_NO_NOTIFY)
		return 0;
	s->used_flags |= VRING_USED_F_NO_NOTIFY;

	return s->event_idx ? 0 : vmq_split_write_used_flags(s, a, ctx);
}

/**
 * vmq_split_avail_empty() - is the ring empty?
 * @s: ring
 * @a: how the ring is reached
 * @ctx: for @a
 *
 * Return: true if it is; false also if it cannot be read, so that the caller
 *	goes on to find out.
 */
static __always_inline bool vmq_split_avail_empty(struct vmq_split *s,
						  const struct vmq_access *a,
						  void *ctx)
{
	if (s->avail_idx != s->last_avail_idx)
		return false;
	return !vmq_split_read_avail_idx(s, a, ctx);
}

#endif /* VHOST_MMU_SPLIT_RING_H */
