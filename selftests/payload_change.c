// SPDX-License-Identifier: GPL-2.0
/*
 * What the host can do to the memory of packets, under traffic both ways.
 * Timeout: 400 s
 *
 * Every byte of every packet is checked: a packet from a page that is gone is
 * an old one, a packet into such a page is lost.
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include "change.h"
#include "payload.h"

/* How often, on a kernel that is not slow. */
#define ROUNDS	4

struct change {
	vt_payload_op op;
	/* of vt_payload_change() */
	unsigned int flags;
	/* for what the kernel may refuse, and then must do at least once */
	bool hint;
};

static char *snapshot;

/* ------------------------------------------------ shared memory, any time */

static int discard(struct vt_payload *p)
{
	return madvise(p->a.base, p->a.len, MADV_DONTNEED) ? -errno : 0;
}

static int map_again(struct vt_payload *p)
{
	return vt_payload_map(p, p->copy);
}

static int toggle_protection(struct vt_payload *p)
{
	int r = mprotect(p->a.base, p->a.len,
			 PROT_READ | PROT_WRITE | PROT_EXEC);

	if (!r)
		r = mprotect(p->a.base, p->a.len, PROT_READ | PROT_WRITE);
	return r ? -errno : 0;
}

static const struct change discard_shared = { .op = discard };
static const struct change map_over = { .op = map_again };
static const struct change protect_live = { .op = toggle_protection };

/* ----------------------------------------------------- all memory, at rest */

static const struct change discard_all = { .op = discard,
					   .flags = VT_INVAL_QUIESCE };

static int protect(struct vt_payload *p)
{
	if (mprotect(p->a.base, p->a.len, PROT_NONE))
		return -errno;
	vt_sleep_ms(2);
	return mprotect(p->a.base, p->a.len, PROT_READ | PROT_WRITE) ? -errno :
								       0;
}

static const struct change protect_all = { .op = protect,
					   .flags = VT_INVAL_QUIESCE };

static int away_and_back(struct vt_payload *p)
{
	char *away = mremap(p->a.base, p->a.len, p->a.len,
			    MREMAP_MAYMOVE | MREMAP_FIXED, p->a.scratch);

	if (away == MAP_FAILED)
		return -errno;
	vt_sleep_ms(2);
	return mremap(away, p->a.len, p->a.len, MREMAP_MAYMOVE | MREMAP_FIXED,
		      p->a.base) == MAP_FAILED ? -errno : 0;
}

static const struct change move_away = {
	.op = away_and_back, .flags = VT_INVAL_QUIESCE,
};

/* Other pages, never seen before. */
static int map_new(struct vt_payload *p)
{
	return vt_area_remap(&p->a);
}

static const struct change new_pages = { .op = map_new,
					 .flags = VT_INVAL_QUIESCE };

/* What a copy of the memory was when it went out of use. */
static int other_copy(struct vt_payload *p)
{
	char *old = p->copies + p->copy * p->a.len;
	char *new = p->copies + !p->copy * p->a.len;
	long at;

	if (snapshot) {
		at = vt_differ(new, snapshot, p->a.len);
		if (at >= 0) {
			vt_msg("change: byte %#lx of the pages not mapped was written",
			       at);
			return -EBADMSG;
		}
	} else {
		snapshot = malloc(p->a.len);
	}
	memcpy(new, old, p->a.len);
	memcpy(snapshot, old, p->a.len);
	vt_payload_drive(p, !p->copy);
	return vt_payload_map(p, p->copy);
}

static const struct change replace = { .op = other_copy,
				       .flags = VT_INVAL_QUIESCE };

static int punch_hole(struct vt_payload *p)
{
	return fallocate(p->a.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 p->copy * p->a.len, p->a.len) ? -errno : 0;
}

static const struct change punch = { .op = punch_hole,
				     .flags = VT_INVAL_QUIESCE };

/* ------------------------------------------ pages that move, any time */

/*
 * Page by page.  The kernel keeps stale TLB entries of clean pages until a call
 * has paged all of its pages out, and a page that the device writes through its
 * kernel address is clean in the owner's page table.  In between, the device may
 * write a page that was read back from swap, while the driver still reads the
 * old one.  A process that writes itself with process_vm_writev() sees the same
 * without any device.  A vCPU does not, because KVM's notifier flushes its TLB.
 */
static int page_out(struct vt_payload *p)
{
	const size_t step = p->a.backing == VT_AREA_THP ? VT_HUGE_SIZE : VT_PAGE;
	size_t off;

	if (vt_swap_on())
		return -ENOTSUP;
	vt_drain_lru();
	for (off = 0; off < p->a.len; off += step) {
		if (madvise((char *)p->a.base + off, step, MADV_PAGEOUT))
			return -errno;
	}
	return 0;
}

static const struct change swap_live = { .op = page_out, .hint = true };

/* Page all of it out: the device then reads the last data from swap. */
static int page_out_all(struct vt_payload *p)
{
	long n;

	if (vt_swap_on())
		return -ENOTSUP;
	n = vt_change_page_out(&p->a);
	if (n >= 0 && (size_t)n < p->a.pages / 2) {
		vt_msg("change: only %ld of %zu pages were paged out", n,
		       p->a.pages);
		return -EBUSY;
	}
	return n < 0 ? n : 0;
}

static const struct change swap_all = {
	.op = page_out_all, .flags = VT_INVAL_QUIESCE,
};

static int move_pages(struct vt_payload *p)
{
	long n;

	if (access("/sys/devices/system/node/node1", F_OK))
		return -ENOTSUP;
	n = vt_change_migrate(&p->a);
	return n < 0 ? n : 0;
}

static const struct change migrate = { .op = move_pages, .hint = true };

/* ---------------------------------------------------------------- merging */

static char *twin_was;

/*
 * Every page is merged with one of the twin, whose content may not change
 * when the device writes.
 */
static int merge(struct vt_payload *p)
{
	int r;

	if (twin_was && memcmp(vt_change_twin(), twin_was, p->a.len)) {
		vt_msg("change: the device wrote to a page merged with another");
		return -EBADMSG;
	}
	r = vt_change_merge(&p->a);
	if (r)
		return r;
	if (!twin_was)
		twin_was = malloc(p->a.len);
	memcpy(twin_was, vt_change_twin(), p->a.len);
	return 0;
}

static const struct change ksm_merge = { .op = merge,
					 .flags = VT_INVAL_QUIESCE };

static int merge_then_unmerge(struct vt_payload *p)
{
	int r = merge(p);

	return r ? r : vt_change_unmerge(&p->a);
}

static const struct change ksm_unmerge = {
	.op = merge_then_unmerge, .flags = VT_INVAL_QUIESCE,
};

/* ------------------------------------------------------------- huge pages */

/* To small pages and to a huge one again. */
static int split_and_collapse(struct vt_payload *p)
{
	int r = vt_change_split(&p->a);

	if (r)
		return r == -ENOENT ? -ENOTSUP : r;
	vt_sleep_ms(2);
	r = vt_change_collapse(&p->a);
	/* the kernel gives up when the device or driver holds a page */
	return r == -EBUSY ? 0 : r;
}

static const struct change split_collapse = {
	.op = split_and_collapse, .hint = true,
};

static int split_mapping(struct vt_payload *p)
{
	int r = vt_change_split_mapping(&p->a);

	if (!r)
		r = vt_change_collapse(&p->a);
	return r == -EBUSY ? 0 : r;
}

static const struct change split_map = { .op = split_mapping };

/* ------------------------------------------------------------- the matrix */

FIXTURE(payload)
{
	struct vt_payload p;
};

FIXTURE_VARIANT(payload)
{
	const struct change *change;
	struct vt_payload_cfg cfg;
};

FIXTURE_SETUP(payload)
{
	const char *why;
	int err;

	why = vt_payload_open(&self->p, &variant->cfg, &err);
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, vt_payload_start(&self->p));
}

FIXTURE_TEARDOWN(payload)
{
	vt_payload_close(&self->p);
}

TEST_F_TIMEOUT(payload, content, 300)
{
	const struct change *c = variant->change;
	struct vt_payload *p = &self->p;
	unsigned int flags = c->flags | (c->hint ? VT_INVAL_MAY_MISS : 0);
	int r;

	r = vt_payload_change(p, c->op, c->hint ? 8 : vt_scale(ROUNDS), flags);
	if (r == -ENOTSUP)
		SKIP(return, "this kernel cannot do it to %s",
		     vt_area_name(p->a.backing));
	EXPECT_EQ(0, r);
	EXPECT_EQ(0, vt_payload_stop(p));
	/* nobody wrote the pages that were last taken out of use */
	if (snapshot)
		EXPECT_EQ(-1, vt_differ(p->copies + !p->copy * p->a.len,
					snapshot, p->a.len));
	if (twin_was)
		EXPECT_EQ(0, memcmp(vt_change_twin(), twin_was, p->a.len));
}

#define ON(change_, backing_, ...)					\
	FIXTURE_VARIANT_ADD(payload, change_##_##backing_)		\
	{								\
		.change = &change_,					\
		.cfg = { .backing = VT_AREA_##backing_, __VA_ARGS__ },	\
	}

/* Packets of many pages, into buffers smaller than a page. */
#define LARGE	.len_max = 20000, .rx_buf = 1900, .window = 12

ON(discard_shared, MEMFD, .alias = true);
ON(discard_shared, HUGEFD, .alias = true, LARGE);
ON(map_over, MEMFD, .alias = true, LARGE);
ON(map_over, HUGEFD, .alias = true);
ON(protect_live, ANON);
ON(protect_live, THP, LARGE);
ON(discard_all, ANON);
ON(discard_all, THP);
ON(discard_all, HUGETLB);
ON(discard_all, PRIVATE);
ON(protect_all, ANON, LARGE);
ON(protect_all, HUGETLB);
ON(move_away, ANON);
ON(move_away, THP);
ON(move_away, MEMFD);
ON(new_pages, ANON);
ON(new_pages, HUGETLB);
ON(new_pages, PRIVATE);
ON(replace, MEMFD, .alias = true);
ON(replace, HUGEFD, .alias = true);
ON(punch, MEMFD, .alias = true);
ON(punch, HUGEFD, .alias = true);
ON(swap_live, ANON);
ON(swap_live, THP);
ON(swap_live, MEMFD);
ON(swap_all, ANON);
ON(swap_all, MEMFD);
ON(swap_all, PRIVATE);
ON(migrate, ANON);
ON(migrate, THP);
ON(migrate, MEMFD);
ON(migrate, HUGETLB);
ON(ksm_merge, ANON);
ON(ksm_unmerge, ANON);
ON(split_collapse, THP);
ON(split_map, THP);

TEST_HARNESS_MAIN
