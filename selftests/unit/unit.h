/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A ring to run the split ring parser on, and what watches over it.
 *
 * The parts of the ring lie in pages of their own that are not contiguous.  All
 * that the parser reaches goes through an accessor that checks each access
 * against the part, records it, and can fail it.  The bytes around the parts
 * are canaries.  Whatever must never happen ends in unit_die().
 */
#ifndef UNIT_H
#define UNIT_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "virtqueue/split_ring.h"

#define UNIT_PAGE	4096
#define UNIT_MAX_NUM	32768
/* Accesses of one call that are kept; further ones are only counted. */
#define UNIT_LOG	512

#define UNIT_ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

enum unit_kind {
	UNIT_READ,
	UNIT_WRITE,
	UNIT_RMB,
	UNIT_WMB,
	UNIT_MB,
	UNIT_NOSPEC,
};

/**
 * struct unit_event - one thing that the parser did
 * @kind: what
 * @part: reads and writes: where
 * @off: reads and writes: offset in the part; UNIT_NOSPEC: the index
 * @len: reads and writes: bytes; UNIT_NOSPEC: the bound
 */
struct unit_event {
	enum unit_kind kind;
	enum vmq_part part;
	size_t off;
	size_t len;
};

/**
 * struct unit_part - one part of the ring
 * @size: its bytes
 * @offset: of its first byte in the first page
 * @nr_pages: pages it lies in
 * @max_pages: pages there are
 * @page: the pages
 * @read: for each two bytes, the operation that read them last
 */
struct unit_part {
	size_t size;
	unsigned int offset;
	unsigned int nr_pages;
	unsigned int max_pages;
	u8 **page;
	u32 *read;
};

/**
 * struct unit_undo - a ring word changed behind the parser's back
 * @part: where
 * @off: offset in the part
 * @len: bytes
 * @data: what was there
 */
struct unit_undo {
	enum vmq_part part;
	size_t off;
	size_t len;
	u8 data[sizeof(struct vring_desc)];
};

/* Guest memory: fixed regions, the first two of them with content. */
#define UNIT_RAM		0x10000ULL
#define UNIT_RAM_HALF		0x10000ULL
#define UNIT_RAM_SIZE		(2 * UNIT_RAM_HALF)
#define UNIT_ROM		0x30000ULL
#define UNIT_ROM_SIZE		0x1000ULL
#define UNIT_HUGE		0x100000000ULL
#define UNIT_HUGE_SIZE		0x200000000ULL

/**
 * struct unit_rig - a ring, a parser's state, and the recorder
 * @s: the state under test
 * @b: its burst
 * @part: the ring
 * @ram: content of the guest memory at UNIT_RAM
 * @table: next byte of the indirect table that is being read
 * @indirect_left: bytes of it that may still be read
 * @log: what the last call did
 * @nr_log: how many entries; only the first UNIT_LOG are kept
 * @op: number of this operation
 * @fail_in: fail the access this many accesses from now, 0 for none
 * @failed: an access of this operation was failed
 * @scribble: change each word as soon as it has been read, until the operation
 *	ends: who reads it twice gets two answers
 * @shared: for each descriptor, the operation in which it may be read again,
 *	because it is in more than one place of the chains
 * @undo: what @scribble changed
 * @nr_undo: how many
 */
struct unit_rig {
	struct vmq_split s;
	struct vmq_burst b;
	struct unit_part part[VMQ_PARTS];
	u8 *ram;
	u64 table;
	u64 indirect_left;
	struct unit_event log[UNIT_LOG];
	unsigned int nr_log;
	u32 op;
	unsigned int fail_in;
	bool failed;
	bool scribble;
	u32 *shared;
	struct unit_undo undo[UNIT_LOG];
	unsigned int nr_undo;
};

extern const struct vmq_access unit_access;
extern const struct vmq_memory unit_memory;

__attribute__((noreturn, format(printf, 1, 2)))
void unit_die(const char *fmt, ...);

#define unit_check(cond)						\
do {									\
	if (!(cond))							\
		unit_die("%s:%d: %s", __FILE__, __LINE__, #cond);	\
} while (0)

/* A context that is printed when something dies, for instance a seed. */
extern char unit_context[128];

struct unit_rig *unit_rig_new(void);
void unit_rig_free(struct unit_rig *rig);
void unit_rig_setup(struct unit_rig *rig, const struct vmq_split *mode,
		    const unsigned int offset[VMQ_PARTS]);
void unit_rig_check_canaries(const struct unit_rig *rig);

/* An operation is one or more calls, between which nothing else happens. */
void unit_op_begin(struct unit_rig *rig);
void unit_call_begin(struct unit_rig *rig);
void unit_op_end(struct unit_rig *rig);

/* The other side: unchecked and not recorded. */
void unit_peek(const struct unit_rig *rig, enum vmq_part part, size_t off,
	       void *dst, size_t len);
void unit_poke(struct unit_rig *rig, enum vmq_part part, size_t off,
	       const void *src, size_t len);
u16 unit_peek16(const struct unit_rig *rig, enum vmq_part part, size_t off);
void unit_poke16(struct unit_rig *rig, enum vmq_part part, size_t off, u16 v);

struct vring_desc unit_desc(const struct unit_rig *rig, u64 addr, u32 len,
			    u16 flags, u16 next);
void unit_set_desc(struct unit_rig *rig, u32 i, u64 addr, u32 len, u16 flags,
		   u16 next);
void unit_set_table(struct unit_rig *rig, u64 gpa, u32 i, u64 addr, u32 len,
		    u16 flags);
void unit_set_avail(struct unit_rig *rig, u16 idx, u16 head);
void unit_set_avail_idx(struct unit_rig *rig, u16 idx);

int unit_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		   unsigned int iov_size, int access);

unsigned int unit_count(const struct unit_rig *rig, enum unit_kind kind,
			enum vmq_part part);

/* Where the words of the ring are, spelled out again (section 2.7). */
#define UNIT_AVAIL_FLAGS	((size_t)0)
#define UNIT_AVAIL_IDX		((size_t)2)
#define UNIT_AVAIL_RING(i)	((size_t)4 + (size_t)2 * (i))
#define UNIT_USED_FLAGS		((size_t)0)
#define UNIT_USED_IDX		((size_t)2)
#define UNIT_USED_RING(i)	((size_t)4 + (size_t)8 * (i))
#define UNIT_DESC(i)		((size_t)16 * (i))

#endif /* UNIT_H */
