/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tests of a matrix: changes that the host makes to guest memory, times the
 * kinds of memory.
 *
 * Every change is tried twice: at rest, each byte compared before and after in
 * both directions; and under threads that never stop writing by one way and
 * reading by the other. The program lists what goes with what by ON().
 */
#ifndef VHOST_TEST_MMU_MATRIX_H
#define VHOST_TEST_MMU_MATRIX_H

#include <kselftest_harness.h>
#include "area.h"
#include "live.h"

/* What a change did to the content. */
enum {
	/* it is as it was */
	KEPT,
	/* it is that of memory never written */
	LOST,
	/* the process wrote the next generation */
	NEXT,
};

struct change {
	/* KEPT, LOST, NEXT or an error; -ENOTSUP: this kernel cannot */
	int (*at_rest)(struct vt_area *a, uint64_t gen);
	/* while threads run; NULL: the same */
	int (*live)(struct vt_area *a, uint64_t gen);
	/* after everything was checked */
	int (*after)(struct vt_area *a);
	/* after the threads have ended */
	int (*settle)(struct vt_area *a);
	/* as in struct vt_live */
	bool loses;
	bool breaks;
	/* rounds of it while threads run, default 4 */
	unsigned int rounds;
	/* as a hint to the kernel it may hit nothing */
	bool hint;
};

FIXTURE(content)
{
	struct vt_area a;
	const char *why;
};

FIXTURE_VARIANT(content)
{
	const struct change *change;
	enum vt_area_backing backing;
};

#define ON(change_, backing_)						\
	FIXTURE_VARIANT_ADD(content, change_##_##backing_)		\
	{								\
		.change = &change_, .backing = VT_AREA_##backing_,		\
	}

FIXTURE_SETUP(content)
{
	self->why = vt_area_open(&self->a, variant->backing);
}

FIXTURE_TEARDOWN(content)
{
	vt_area_close(&self->a);
}

TEST_F_TIMEOUT(content, at_rest, 300)
{
	const struct change *c = variant->change;
	struct vt_area *a = &self->a;
	uint64_t gen = 1, hits;
	int r;

	if (self->why)
		SKIP(return, "%s", self->why);
	/* before: read and mapped for reading, written by either side */
	ASSERT_EQ(0, vt_area_check_mmu(a, VT_AREA_UNWRITTEN));
	vt_area_fill(a, gen);
	ASSERT_EQ(0, vt_area_check_mmu(a, gen));
	ASSERT_EQ(0, vt_area_fill_mmu(a, ++gen));
	ASSERT_EQ(0, vt_area_check(a, gen));
	/* what is not mapped now would be looked up anew, and prove nothing */
	EXPECT_EQ(a->pages, vt_area_mapped(a));

	hits = vt_area_stat(a, "invalidations");
	r = c->at_rest(a, gen);
	if (r == -ENOTSUP)
		SKIP(return, "this kernel cannot do it to %s",
		     vt_area_name(a->backing));
	ASSERT_GE(r, 0);
	EXPECT_GT(vt_area_stat(a, "invalidations"), hits);
	if (r == NEXT)
		gen++;
	else if (r == LOST)
		gen = VT_AREA_UNWRITTEN;

	/* after: what is there now, again in both directions */
	EXPECT_EQ(0, vt_area_check_mmu(a, gen));
	EXPECT_EQ(0, vt_area_check(a, gen));
	EXPECT_EQ(0, vt_area_fill_mmu(a, 20));
	EXPECT_EQ(0, vt_area_check(a, 20));
	vt_area_fill(a, 21);
	EXPECT_EQ(0, vt_area_check_mmu(a, 21));
	EXPECT_EQ(0, vt_area_fill_mmu(a, 22));
	EXPECT_EQ(0, vt_area_check(a, 22));
	if (c->after)
		EXPECT_EQ(0, c->after(a));
	EXPECT_EQ(0, vt_area_check_mmu(a, 22));
	EXPECT_EQ(0, vt_area_stat(a, "mmu_lock_write_fault"));
}

TEST_F_TIMEOUT(content, live, 300)
{
	const struct change *c = variant->change;
	struct vt_live l = { .loses = c->loses, .breaks = c->breaks };
	unsigned int i, rounds = vt_scale(c->rounds ? c->rounds : 4);
	struct vt_area *a = &self->a;
	uint64_t hits;
	int r = 0;

	if (self->why)
		SKIP(return, "%s", self->why);
	ASSERT_EQ(0, vt_live_start(&l, a));
	hits = vt_area_stat(a, "invalidations");
	for (i = 0; i < rounds && r >= 0; i++) {
		/* at least that many checks between two changes */
		r = vt_live_wait(&l, 40);
		if (r)
			break;
		vt_live_begin(&l);
		r = (c->live ? c->live : c->at_rest)(a, 0);
		vt_live_end(&l);
	}
	if (!r || r > 0)
		EXPECT_EQ(0, vt_live_wait(&l, 40));
	EXPECT_EQ(0, vt_live_stop(&l));
	if (c->settle)
		EXPECT_EQ(0, c->settle(a));
	if (r == -ENOTSUP)
		SKIP(return, "this kernel cannot do it to %s",
		     vt_area_name(a->backing));
	EXPECT_GE(r, 0);
	if (!c->hint)
		EXPECT_GE(vt_area_stat(a, "invalidations"), hits + rounds);
	/* at rest again both ways show the same, all of it */
	ASSERT_EQ(0, vt_mmu_read(a->mmu, VT_AREA_GPA, a->buf, a->len));
	EXPECT_EQ(0, memcmp(a->buf, a->base, a->len));
	EXPECT_EQ(0, vt_area_stat(a, "mmu_lock_write_fault"));
}

#endif
