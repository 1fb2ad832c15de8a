// SPDX-License-Identifier: GPL-2.0
/* The ring in scattered pages, its accessor and the recorder. */
#include "unit.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h>

char unit_context[128];

/* Barriers and clamps have no context argument. */
static struct unit_rig *current_rig;

/* The last of what the parser did. */
static void show_log(const struct unit_rig *rig)
{
	static const char * const kind[] = {
		"read", "write", "rmb", "wmb", "mb", "clamp",
	};
	static const char * const part[] = { "desc", "avail", "used" };
	unsigned int n = MIN(rig->nr_log, UNIT_LOG);
	unsigned int i = n > 12 ? n - 12 : 0;

	fprintf(stderr, "# ring of %u, %s, last avail %u, avail %u, used %u\n",
		rig->s.num, rig->s.is_le ? "le" : "legacy",
		rig->s.last_avail_idx, rig->s.avail_idx, rig->s.last_used_idx);
	fprintf(stderr, "# the last of %u events:\n", rig->nr_log);
	for (; i < n; i++) {
		const struct unit_event *ev = &rig->log[i];

		fprintf(stderr, "#   %s", kind[ev->kind]);
		if (ev->kind <= UNIT_WRITE)
			fprintf(stderr, " %s, %zu bytes at %zu",
				part[ev->part], ev->len, ev->off);
		else if (ev->kind == UNIT_NOSPEC)
			fprintf(stderr, " %zu of %zu", ev->off, ev->len);
		fprintf(stderr, "\n");
	}
}

void unit_die(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "# unit: ");
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "%s%s\n", *unit_context ? ", " : "", unit_context);
	if (current_rig)
		show_log(current_rig);
	abort();
}

static size_t part_size(enum vmq_part part, u32 num, bool event_idx)
{
	switch (part) {
	case VMQ_DESC:
		return 16 * num;
	case VMQ_AVAIL:
		return 4 + 2 * num + (event_idx ? 2 : 0);
	default:
		return 4 + 8 * num + (event_idx ? 2 : 0);
	}
}

struct unit_rig *unit_rig_new(void)
{
	struct unit_rig *rig = calloc(1, sizeof(*rig));
	unsigned int i, p;

	unit_check(rig);
	for (i = 0; i < VMQ_PARTS; i++) {
		struct unit_part *part = &rig->part[i];
		size_t max = part_size(i, UNIT_MAX_NUM, true);

		part->max_pages = howmany(max, UNIT_PAGE) + 1;
		part->page = calloc(part->max_pages, sizeof(*part->page));
		part->read = calloc(max / 2, sizeof(*part->read));
		unit_check(part->page && part->read);
		/* One by one: the sanitizer then guards the end of each. */
		for (p = 0; p < part->max_pages; p++) {
			part->page[p] = malloc(UNIT_PAGE);
			unit_check(part->page[p]);
		}
	}
	rig->ram = calloc(1, UNIT_RAM_SIZE);
	rig->shared = calloc(UNIT_MAX_NUM, sizeof(*rig->shared));
	unit_check(rig->ram && rig->shared);
	return rig;
}

void unit_rig_free(struct unit_rig *rig)
{
	unsigned int i, p;

	for (i = 0; i < VMQ_PARTS; i++) {
		for (p = 0; p < rig->part[i].max_pages; p++)
			free(rig->part[i].page[p]);
		free(rig->part[i].page);
		free(rig->part[i].read);
	}
	free(rig->ram);
	free(rig->shared);
	free(rig);
}

/* The bytes of a page that belong to the part: [*first, *end). */
static void part_in_page(const struct unit_part *part, unsigned int page,
			 size_t *first, size_t *end)
{
	size_t start = (size_t)page * UNIT_PAGE;

	*first = page ? 0 : part->offset;
	*end = MIN(part->offset + part->size - start, UNIT_PAGE);
}

/* Not the same anywhere near, so that a copied neighbour shows as well. */
static void canaries(u8 page[UNIT_PAGE], enum vmq_part part, unsigned int nr)
{
	memset(page, 0xa5 ^ part << 6 ^ (nr & 63), UNIT_PAGE);
}

/**
 * unit_rig_setup() - lay out an empty ring
 * @rig: the rig
 * @mode: size, modes and indices of the state under test
 * @offset: of each part in its first page
 */
void unit_rig_setup(struct unit_rig *rig, const struct vmq_split *mode,
		    const unsigned int offset[VMQ_PARTS])
{
	size_t first, end;
	unsigned int i, p;

	rig->s = *mode;
	vmq_burst_reset(&rig->b);
	rig->b.ahead = 1;
	rig->fail_in = 0;
	rig->failed = false;
	rig->scribble = false;
	rig->nr_log = 0;
	rig->nr_undo = 0;
	memset(rig->ram, 0, UNIT_RAM_SIZE);
	for (i = 0; i < VMQ_PARTS; i++) {
		struct unit_part *part = &rig->part[i];

		part->size = part_size(i, mode->num, mode->event_idx);
		part->offset = offset[i];
		part->nr_pages = howmany(part->offset + part->size, UNIT_PAGE);
		unit_check(part->nr_pages <= part->max_pages);
		for (p = 0; p < part->nr_pages; p++) {
			part_in_page(part, p, &first, &end);
			canaries(part->page[p], i, p);
			memset(part->page[p] + first, 0, end - first);
		}
	}
}

void unit_rig_check_canaries(const struct unit_rig *rig)
{
	u8 expected[UNIT_PAGE];
	size_t first, end;
	unsigned int i, p;

	for (i = 0; i < VMQ_PARTS; i++) {
		const struct unit_part *part = &rig->part[i];

		for (p = 0; p < part->nr_pages; p++) {
			part_in_page(part, p, &first, &end);
			canaries(expected, i, p);
			if (memcmp(part->page[p], expected, first) ||
			    memcmp(part->page[p] + end, expected + end,
				   UNIT_PAGE - end))
				unit_die("part %u: page %u was written outside of the part",
					 i, p);
		}
	}
}

void unit_call_begin(struct unit_rig *rig)
{
	current_rig = rig;
	rig->nr_log = 0;
}

void unit_op_begin(struct unit_rig *rig)
{
	unit_call_begin(rig);
	rig->op++;
	rig->failed = false;
	rig->s.why = NULL;
}

void unit_op_end(struct unit_rig *rig)
{
	struct unit_undo *undo;

	while (rig->nr_undo) {
		undo = &rig->undo[--rig->nr_undo];
		unit_poke(rig, undo->part, undo->off, undo->data, undo->len);
	}
	rig->fail_in = 0;
}

static void record(struct unit_rig *rig, enum unit_kind kind,
		   enum vmq_part part, size_t off, size_t len)
{
	if (rig->nr_log < UNIT_LOG)
		rig->log[rig->nr_log] = (struct unit_event) {
			kind, part, off, len,
		};
	rig->nr_log++;
}

void unit_rmb(void)
{
	record(current_rig, UNIT_RMB, 0, 0, 0);
}

void unit_wmb(void)
{
	record(current_rig, UNIT_WMB, 0, 0, 0);
}

void unit_mb(void)
{
	record(current_rig, UNIT_MB, 0, 0, 0);
}

/* Behind a check that does the same, so an index outside is a bug. */
unsigned long unit_nospec(unsigned long index, unsigned long size)
{
	unit_check(index < size);
	record(current_rig, UNIT_NOSPEC, 0, index, size);
	return index;
}

/* How many events of the last call are of this kind? */
unsigned int unit_count(const struct unit_rig *rig, enum unit_kind kind,
			enum vmq_part part)
{
	unsigned int i, n = 0;

	for (i = 0; i < MIN(rig->nr_log, UNIT_LOG); i++)
		n += rig->log[i].kind == kind && rig->log[i].part == part;
	return n;
}

/* Page by page, as each is somewhere else. */
static u8 *next_run(const struct unit_part *part, size_t off, size_t *len)
{
	size_t at = off + part->offset;

	unit_check(off + *len <= part->size);
	*len = MIN(*len, UNIT_PAGE - at % UNIT_PAGE);
	return part->page[at / UNIT_PAGE] + at % UNIT_PAGE;
}

void unit_peek(const struct unit_rig *rig, enum vmq_part part, size_t off,
	       void *dst, size_t len)
{
	size_t n;
	u8 *p;

	for (; len; len -= n, off += n, dst = (u8 *)dst + n) {
		n = len;
		p = next_run(&rig->part[part], off, &n);
		memcpy(dst, p, n);
	}
}

void unit_poke(struct unit_rig *rig, enum vmq_part part, size_t off,
	       const void *src, size_t len)
{
	size_t n;
	u8 *p;

	for (; len; len -= n, off += n, src = (const u8 *)src + n) {
		n = len;
		p = next_run(&rig->part[part], off, &n);
		memcpy(p, src, n);
	}
}

u16 unit_peek16(const struct unit_rig *rig, enum vmq_part part, size_t off)
{
	u16 v;

	unit_peek(rig, part, off, &v, sizeof(v));
	return rig->s.is_le ? le16toh(v) : be16toh(v);
}

void unit_poke16(struct unit_rig *rig, enum vmq_part part, size_t off, u16 v)
{
	v = rig->s.is_le ? htole16(v) : htobe16(v);
	unit_poke(rig, part, off, &v, sizeof(v));
}

struct vring_desc unit_desc(const struct unit_rig *rig, u64 addr, u32 len,
			    u16 flags, u16 next)
{
	bool le = rig->s.is_le;

	return (struct vring_desc) {
		.addr = le ? htole64(addr) : htobe64(addr),
		.len = le ? htole32(len) : htobe32(len),
		.flags = le ? htole16(flags) : htobe16(flags),
		.next = le ? htole16(next) : htobe16(next),
	};
}

void unit_set_desc(struct unit_rig *rig, u32 i, u64 addr, u32 len, u16 flags,
		   u16 next)
{
	struct vring_desc desc = unit_desc(rig, addr, len, flags, next);

	unit_poke(rig, VMQ_DESC, UNIT_DESC(i), &desc, sizeof(desc));
}

/* The parser reads tables from end to end, so next is garbage on purpose. */
void unit_set_table(struct unit_rig *rig, u64 gpa, u32 i, u64 addr, u32 len,
		    u16 flags)
{
	struct vring_desc desc = unit_desc(rig, addr, len, flags, 0xdead);
	u64 at = gpa - UNIT_RAM + i * sizeof(desc);

	unit_check(at + sizeof(desc) <= UNIT_RAM_SIZE);
	memcpy(rig->ram + at, &desc, sizeof(desc));
}

void unit_set_avail(struct unit_rig *rig, u16 idx, u16 head)
{
	unit_poke16(rig, VMQ_AVAIL, UNIT_AVAIL_RING(idx % rig->s.num), head);
}

void unit_set_avail_idx(struct unit_rig *rig, u16 idx)
{
	unit_poke16(rig, VMQ_AVAIL, UNIT_AVAIL_IDX, idx);
}

/* Check and record an access; false if it is to fail. */
static bool access_begins(struct unit_rig *rig, enum unit_kind kind,
			  enum vmq_part part, size_t off, size_t len)
{
	unit_check(part < VMQ_PARTS);
	if (!len || off > rig->part[part].size ||
	    len > rig->part[part].size - off)
		unit_die("part %u: %zu bytes at %zu are outside of its %zu",
			 part, len, off, rig->part[part].size);
	/* The device may write nothing else. */
	unit_check(kind == UNIT_READ || part == VMQ_USED);
	record(rig, kind, part, off, len);
	if (rig->fail_in && !--rig->fail_in) {
		rig->failed = true;
		return false;
	}
	return true;
}

/* Each word is read at most once in an operation, or checks were in vain. */
static void note_read(struct unit_rig *rig, enum vmq_part part, size_t off,
		      size_t len)
{
	bool shared = part == VMQ_DESC &&
		      rig->shared[off / sizeof(struct vring_desc)] == rig->op;
	struct unit_undo *undo;
	u8 data[sizeof(struct vring_desc)];
	size_t i;

	unit_check(off % 2 == 0 && len % 2 == 0);
	for (i = off / 2; i < (off + len) / 2; i++) {
		if (rig->part[part].read[i] == rig->op && !shared)
			unit_die("part %u: read twice at %zu", part, off);
		rig->part[part].read[i] = rig->op;
	}

	if (!rig->scribble || shared || rig->nr_undo == UNIT_LOG)
		return;
	unit_check(len <= sizeof(data));
	undo = &rig->undo[rig->nr_undo++];
	undo->part = part;
	undo->off = off;
	undo->len = len;
	unit_peek(rig, part, off, undo->data, len);
	for (i = 0; i < len; i++)
		data[i] = undo->data[i] ^ (0x5b + rig->op * 31 + i * 17);
	unit_poke(rig, part, off, data, len);
}

static int unit_read(void *ctx, enum vmq_part part, size_t off, void *dst,
		     size_t len)
{
	struct unit_rig *rig = ctx;

	if (!access_begins(rig, UNIT_READ, part, off, len))
		return -EFAULT;
	unit_peek(rig, part, off, dst, len);
	note_read(rig, part, off, len);
	return 0;
}

static int unit_write(void *ctx, enum vmq_part part, size_t off,
		      const void *src, size_t len)
{
	if (!access_begins(ctx, UNIT_WRITE, part, off, len))
		return -EFAULT;
	unit_poke(ctx, part, off, src, len);
	return 0;
}

static int unit_read16(void *ctx, enum vmq_part part, size_t off,
		       __virtio16 *word)
{
	unit_check(off % sizeof(*word) == 0);
	return unit_read(ctx, part, off, word, sizeof(*word));
}

static int unit_write16(void *ctx, enum vmq_part part, size_t off,
			__virtio16 word)
{
	unit_check(off % sizeof(word) == 0);
	return unit_write(ctx, part, off, &word, sizeof(word));
}

const struct vmq_access unit_access = {
	.read16 = unit_read16,
	.write16 = unit_write16,
	.read = unit_read,
	.write = unit_write,
};

/*
 * Neighbours in the guest that lie apart in the owner, one that may only be
 * read, and one large enough for every length.
 */
static const struct {
	u64 start;
	u64 size;
	u64 hva;
	int perm;
} regions[] = {
	{ UNIT_RAM, UNIT_RAM_HALF, 0x500000000000, VHOST_ACCESS_RW },
	{ UNIT_RAM + UNIT_RAM_HALF, UNIT_RAM_HALF, 0x600000000000,
	  VHOST_ACCESS_RW },
	{ UNIT_ROM, UNIT_ROM_SIZE, 0x610000000000, VHOST_ACCESS_RO },
	{ UNIT_HUGE, UNIT_HUGE_SIZE, 0x700000000000, VHOST_ACCESS_RW },
};

int unit_translate(void *ctx, u64 addr, u32 len, struct iovec *iov,
		   unsigned int iov_size, int access)
{
	u64 left = len, off, n;
	unsigned int i, nr = 0;

	for (; left; left -= n, addr += n) {
		if (nr == iov_size)
			return -ENOBUFS;
		for (i = 0; i < UNIT_ARRAY_SIZE(regions); i++)
			if (addr - regions[i].start < regions[i].size)
				break;
		if (i == UNIT_ARRAY_SIZE(regions))
			return -EFAULT;
		if (!(regions[i].perm & access))
			return -EPERM;
		off = addr - regions[i].start;
		n = MIN(left, regions[i].size - off);
		iov[nr].iov_base = (void *)(uintptr_t)(regions[i].hva + off);
		iov[nr].iov_len = n;
		nr++;
	}
	return nr;
}

static int unit_table_begin(void *ctx, u64 addr, u32 len)
{
	struct unit_rig *rig = ctx;
	struct iovec iov[8];
	int ret;

	ret = unit_translate(ctx, addr, len, iov, UNIT_ARRAY_SIZE(iov),
			     VHOST_ACCESS_RO);
	if (ret < 0)
		return ret;
	rig->table = addr;
	rig->indirect_left = len;
	return 0;
}

static bool unit_table_read(void *ctx, struct vring_desc *desc)
{
	struct unit_rig *rig = ctx;
	u64 at = rig->table - UNIT_RAM;

	if (rig->indirect_left < sizeof(*desc))
		unit_die("read behind the end of an indirect table");
	rig->table += sizeof(*desc);
	rig->indirect_left -= sizeof(*desc);
	if (at >= UNIT_RAM_SIZE || UNIT_RAM_SIZE - at < sizeof(*desc))
		return false;
	memcpy(desc, rig->ram + at, sizeof(*desc));
	return true;
}

const struct vmq_memory unit_memory = {
	.translate = unit_translate,
	.indirect_begin = unit_table_begin,
	.indirect_read = unit_table_read,
};
