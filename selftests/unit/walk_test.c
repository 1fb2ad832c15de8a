// SPDX-License-Identifier: GPL-2.0
/*
 * The walk over the entries, and single changes of them: order, yields, and who
 * wins where two change the same.
 */
#include "kselftest_harness.h"
#include "mmu/age.h"
#include "mmu_rig.h"

#define MAX_VISITS 32768

struct visits {
	unsigned int n;
	struct {
		unsigned int level;
		u64 gfn;
		u64 old;
	} at[MAX_VISITS];
};

static struct visits plain, yielding;

FIXTURE(walk)
{
	struct vmmu *mmu;
};

FIXTURE_SETUP(walk)
{
	self->mmu = unit_table_new();
}

FIXTURE_TEARDOWN(walk)
{
	unit_kernel.yield_percent = 0;
	unit_table_free(self->mmu);
}

static enum vmmu_mapped map(struct vmmu *mmu, u64 gfn,
			    unsigned int level)
{
	/* The page number repeats the guest's. */
	return unit_map(mmu, gfn, level, vmmu_level_base(gfn, level),
			LEAF_BITS | VMMU_PTE_WRITE, 3);
}

/* What the body of a walk sees, yields passed over as everybody does. */
static void visit(struct vmmu *mmu, unsigned int min_level, u64 first,
		  u64 last, struct visits *v)
{
	struct vmmu_iter iter;

	v->n = 0;
	write_lock(&mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, mmu, VMMU_EXCLUSIVE, min_level, first,
			  last) {
		if (vmmu_iter_yield(&iter, true))
			continue;
		unit_check(v->n < MAX_VISITS);
		unit_check(iter.old == iter.ptep->val);
		unit_check(iter.gfn == vmmu_level_base(iter.gfn, iter.level));
		v->at[v->n].level = iter.level;
		v->at[v->n].gfn = iter.gfn;
		v->at[v->n++].old = iter.old;
	}
	rcu_read_unlock();
	write_unlock(&mmu->mmu_lock);
}

static bool was_visited(const struct visits *v, unsigned int level, u64 gfn)
{
	unsigned int i, n = 0;

	for (i = 0; i < v->n; i++)
		n += v->at[i].level == level && v->at[i].gfn == gfn;
	unit_check(n <= 1);
	return n;
}

TEST_F(walk, empty)
{
	visit(self->mmu, VMMU_LEVEL_4K, 0, VMMU_MAX_GFN, &plain);
	EXPECT_EQ(plain.n, VMMU_PTES);
	visit(self->mmu, VMMU_LEVEL_4K, VMMU_MAX_GFN, VMMU_MAX_GFN, &plain);
	EXPECT_EQ(plain.n, 1);
	/* Nothing lies behind the end. */
	visit(self->mmu, VMMU_LEVEL_4K, VMMU_MAX_GFN + 1, U64_MAX, &plain);
	EXPECT_EQ(plain.n, 0);
}

/* From the upper to the lower, from the first to the last. */
TEST_F(walk, pre_order)
{
	static const unsigned int expected[] = { 4, 3, 2, 1, 1, 2, 1, 1 };
	unsigned int i;

	ASSERT_EQ(map(self->mmu, 1023, 1), VMMU_MAP_FIXED);
	ASSERT_EQ(map(self->mmu, 1024, 1), VMMU_MAP_FIXED);
	visit(self->mmu, VMMU_LEVEL_4K, 1022, 1025, &plain);
	ASSERT_EQ(plain.n, ARRAY_SIZE(expected));
	for (i = 0; i < plain.n; i++)
		EXPECT_EQ(plain.at[i].level, expected[i]);
	EXPECT_EQ(plain.at[3].gfn, 1022);
	EXPECT_EQ(plain.at[4].gfn, 1023);
	EXPECT_EQ(plain.at[5].gfn, 1024);
	EXPECT_EQ(plain.at[7].gfn, 1025);

	/* Not below the lowest level that is asked for. */
	visit(self->mmu, VMMU_LEVEL_2M, 1022, 1025, &plain);
	EXPECT_EQ(plain.n, 4);
	visit(self->mmu, VMMU_LEVEL_ROOT, 1022, 1025, &plain);
	EXPECT_EQ(plain.n, 1);
}

/* An entry that somebody else changes while the walk is at it is followed anew. */
TEST_F(walk, changed_by_another)
{
	struct vmmu_iter iter;
	unsigned int leafs = 0;
	u64 kept = 0;

	ASSERT_EQ(map(self->mmu, 1, 1), VMMU_MAP_FIXED);
	read_lock(&self->mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, self->mmu, VMMU_SHARED, VMMU_LEVEL_4K, 0, 3) {
		if (iter.level == VMMU_LEVEL_2M) {
			kept = iter.ptep->val;
			iter.ptep->val = 0;
		}
		leafs += vmmu_pte_leaf(iter.old);
	}
	EXPECT_EQ(leafs, 0);

	ASSERT_TRUE(vmmu_pte_table(kept));
	vmmu_iter_start(&iter, self->mmu, VMMU_SHARED, VMMU_LEVEL_2M, 0);
	while (iter.level != VMMU_LEVEL_2M)
		vmmu_iter_next(&iter);
	iter.ptep->val = kept;
	rcu_read_unlock();
	read_unlock(&self->mmu->mmu_lock);
}

/* Ends of tables are ends of nothing else. */
TEST_F(walk, edges)
{
	static const u64 pages[] = {
		0, 511, 512, (1 << 18) - 1, 1 << 18, (1 << 27) - 1, 1 << 27,
		VMMU_MAX_GFN - 512, VMMU_MAX_GFN,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		ASSERT_EQ(map(self->mmu, pages[i], 1), VMMU_MAP_FIXED);
	for (i = 0; i + 1 < ARRAY_SIZE(pages); i++) {
		visit(self->mmu, VMMU_LEVEL_4K, pages[i], pages[i], &plain);
		EXPECT_EQ(plain.n, 4);
		EXPECT_EQ(plain.at[3].gfn, pages[i]);
		if (pages[i + 1] - pages[i] > 600)
			continue;
		visit(self->mmu, VMMU_LEVEL_4K, pages[i], pages[i + 1],
		      &plain);
		EXPECT_TRUE(was_visited(&plain, 1, pages[i]));
		EXPECT_TRUE(was_visited(&plain, 1, pages[i + 1]));
	}
}

/*
 * Yielding wherever it is possible: each entry is seen once, or again only
 * while the walk is on the way back to where it was, and the end is reached.
 */
TEST_F(walk, yields)
{
	unsigned int i, n = 0;

	ASSERT_EQ(map(self->mmu, 1000, 1), VMMU_MAP_FIXED);
	ASSERT_EQ(map(self->mmu, 1024, 2), VMMU_MAP_FIXED);
	ASSERT_EQ(map(self->mmu, 2048, 1), VMMU_MAP_FIXED);
	visit(self->mmu, VMMU_LEVEL_4K, 1, 3000, &plain);
	/* Only where the lock was held for long. */
	EXPECT_EQ(unit_kernel.yields, plain.n / VMMU_HOLD_STEPS);

	unit_kernel.yield_percent = 100;
	unit_kernel.yields_max = 10000;
	visit(self->mmu, VMMU_LEVEL_4K, 1, 3000, &yielding);
	EXPECT_GT(unit_kernel.yields, 500);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.yields),
		  unit_kernel.yields);

	/* The entries without a table below, in the same order, once each. */
	for (i = 0; i < yielding.n; i++) {
		if (vmmu_pte_table(yielding.at[i].old))
			continue;
		while (n < plain.n && vmmu_pte_table(plain.at[n].old))
			n++;
		ASSERT_LT(n, plain.n);
		EXPECT_EQ(yielding.at[i].gfn, plain.at[n].gfn);
		EXPECT_EQ(yielding.at[i].level, plain.at[n].level);
		n++;
	}
	EXPECT_EQ(n, plain.n);
}

static struct vmmu *other_table;

/* All that the walk stands in goes away: nothing of it may be used again. */
static void take_all_down(void)
{
	unit_kernel.yield_percent = 0;
	unit_kernel.resched = NULL;
	vmmu_zap(other_table, 0, VMMU_MAX_GFN);
	vmmu_prune(other_table, 0, VMMU_MAX_GFN);
}

TEST_F(walk, tables_go_at_a_yield)
{
	ASSERT_EQ(map(self->mmu, 1000, 1), VMMU_MAP_FIXED);
	ASSERT_EQ(map(self->mmu, 1001, 1), VMMU_MAP_FIXED);
	other_table = self->mmu;
	unit_kernel.resched = take_all_down;
	unit_kernel.yield_percent = 30;
	vmmu_protect(self->mmu, 900, 1001);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.table_pages), 1);
	EXPECT_EQ(unit_kernel.resched, NULL);
}

/* What somebody does to what a zap has passed but not told readers of. */
static void (*other_change)(struct vmmu *mmu, u64 first, u64 last);
/* ... when no more than so many pages are left. */
static s64 other_left;

static void change_the_same(void)
{
	if (atomic64_read(&other_table->stats.pages[0]) > other_left ||
	    !unit_tlb_has(900, 901))
		return;
	unit_kernel.resched = NULL;
	unit_kernel.yield_percent = 0;
	other_change(other_table, 900, 901);
	unit_check(!unit_tlb_has(900, 901));
}

static void zap_while(struct vmmu *mmu, unsigned int percent, u64 last,
		      void (*change)(struct vmmu *mmu, u64 first, u64 last))
{
	const u64 pages[] = { 900, 901, 1001 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		if (pages[i] > last)
			continue;
		unit_check(map(mmu, pages[i], 1) == VMMU_MAP_FIXED);
		while (!unit_tlb_has(pages[i], pages[i]))
			unit_check(unit_tlb_fill(mmu, pages[i], true));
	}
	while (!unit_tlb_has(900, 900))
		unit_check(unit_tlb_fill(mmu, 900, true));
	other_table = mmu;
	other_change = change;
	other_left = last > 901;
	unit_kernel.resched = change_the_same;
	unit_kernel.yield_percent = percent;
	vmmu_zap(mmu, 890, last);
	unit_check(!unit_kernel.resched);
	unit_check(!unit_tlb_has(0, VMMU_MAX_GFN));
	unit_check(!mmu->nr_gathers);
}

/*
 * When a zap returns no reader has the pages, whoever it was that took them: by
 * a walk that goes on, or one that is draining sections.
 */
TEST_F(walk, zapped_by_another)
{
	zap_while(self->mmu, 30, 1001, vmmu_zap);
	zap_while(self->mmu, 100, 901, vmmu_zap);
}

/* Nor does it write them, where they were to be protected. */
TEST_F(walk, protected_meanwhile)
{
	zap_while(self->mmu, 30, 1001, vmmu_protect);
	zap_while(self->mmu, 100, 901, vmmu_protect);
}

static void protect_mask(struct vmmu *mmu, u64 first, u64 last)
{
	struct vmmu_gather gather;

	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&gather, mmu, true);
	vmmu_protect_mask(&gather, first, ~0ULL >> (63 - (last - first)));
	vmmu_gather_end(&gather);
	write_unlock(&mmu->mmu_lock);
}

TEST_F(walk, mask_protected_meanwhile)
{
	zap_while(self->mmu, 30, 1001, protect_mask);
	zap_while(self->mmu, 100, 901, protect_mask);
}

/* Somebody begins in the middle of a walk, and is not done when it ends. */
static struct vmmu_gather half_way;

static void zap_half_way(void)
{
	struct vmmu *mmu = other_table;

	unit_kernel.resched = NULL;
	unit_kernel.yield_percent = 0;
	write_lock(&mmu->mmu_lock);
	vmmu_gather_begin(&half_way, mmu, true);
	vmmu_zap_gather(&half_way, 900, 901);
	vmmu_gather_drop_lock(&half_way);
	write_unlock(&mmu->mmu_lock);
}

TEST_F(walk, zapped_half_way)
{
	struct vmmu *mmu = self->mmu;

	ASSERT_EQ(map(mmu, 900, 1), VMMU_MAP_FIXED);
	ASSERT_TRUE(unit_tlb_fill(mmu, 900, true));
	other_table = mmu;
	unit_kernel.resched = zap_half_way;
	unit_kernel.yield_percent = 30;
	vmmu_zap(mmu, 890, 901);
	EXPECT_EQ(unit_kernel.resched, NULL);
	EXPECT_FALSE(unit_tlb_has(900, 901));
	EXPECT_EQ(mmu->nr_gathers, 1);

	write_lock(&mmu->mmu_lock);
	vmmu_gather_end(&half_way);
	write_unlock(&mmu->mmu_lock);
	EXPECT_EQ(mmu->nr_gathers, 0);
}

/* Sections may come and go while others are drained. */
static void sections_move(void)
{
	static unsigned int n;
	struct vmmu_section *section = &unit_sections[n++ % UNIT_SECTIONS];

	/* All but the one that has something. */
	if (section == &unit_sections[UNIT_SECTIONS / 2])
		return;
	vmmu_del_section(other_table, section);
	vmmu_add_section(other_table, section);
}

TEST_F(walk, sections_come_and_go)
{
	unsigned int i;

	other_table = self->mmu;
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(map(self->mmu, 900, 1), VMMU_MAP_FIXED);
		ASSERT_TRUE(unit_tlb_fill(self->mmu, 900, true));
		unit_kernel.resched = sections_move;
		unit_kernel.yield_percent = 50;
		vmmu_zap(self->mmu, 900, 900);
		unit_kernel.resched = NULL;
		unit_kernel.yield_percent = 0;
		ASSERT_FALSE(unit_tlb_has(900, 900));
	}
}

/*
 * A walker under the read lock may stand in a table that another has unlinked:
 * it can put nothing into it any more.
 */
TEST_F(walk, frozen)
{
	struct vmmu_stats *stats = &self->mmu->stats;
	struct vmmu_iter late, iter;

	ASSERT_EQ(map(self->mmu, 512, 1), VMMU_MAP_FIXED);
	read_lock(&self->mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(late, self->mmu, VMMU_SHARED, VMMU_LEVEL_4K, 513, 513)
		if (late.level == VMMU_LEVEL_4K)
			break;
	ASSERT_EQ(late.level, VMMU_LEVEL_4K);
	ASSERT_EQ(late.old, 0);

	/* A huge leaf takes the table's place. */
	vmmu_for_each_pte(iter, self->mmu, VMMU_SHARED, VMMU_LEVEL_2M, 512, 512)
		if (iter.level == VMMU_LEVEL_2M)
			break;
	ASSERT_TRUE(vmmu_iter_cmpxchg(&iter,
				      vmmu_pte_make(512, LEAF_BITS)));
	EXPECT_EQ(atomic64_read(&stats->pages[0]), 0);
	EXPECT_EQ(atomic64_read(&stats->pages[1]), 1);
	EXPECT_EQ(atomic64_read(&stats->table_pages), 3);

	EXPECT_FALSE(vmmu_iter_cmpxchg(&late, vmmu_pte_make(513, LEAF_BITS)));
	EXPECT_EQ(late.old, VMMU_PTE_FROZEN);
	/* Nor if it was frozen when it was read. */
	EXPECT_FALSE(vmmu_iter_cmpxchg(&late, vmmu_pte_make(513, LEAF_BITS)));
	EXPECT_FALSE(vmmu_iter_clear_bits(&late, VMMU_PTE_WRITE));
	EXPECT_EQ(late.ptep->val, VMMU_PTE_FROZEN);
	EXPECT_EQ(atomic64_read(&stats->pages[0]), 0);

	/* It passes what is left of the table, and comes to an end. */
	while (late.valid && late.level == VMMU_LEVEL_4K)
		vmmu_iter_next(&late);
	EXPECT_TRUE(late.valid);
	EXPECT_EQ(late.level, VMMU_LEVEL_2M);
	EXPECT_EQ(late.gfn, 1024);
	rcu_read_unlock();
	read_unlock(&self->mmu->mmu_lock);
}

/* What was read before the lock was let go is not to be believed. */
static bool yield_at_leaf(struct vmmu *mmu, struct vmmu_iter *iter)
{
	unit_check(map(mmu, 5, 1) == VMMU_MAP_FIXED);
	unit_kernel.dies = true;
	unit_kernel.yield_percent = 100;
	write_lock(&mmu->mmu_lock);
	rcu_read_lock();
	vmmu_iter_start(iter, mmu, VMMU_EXCLUSIVE, 1, 5);
	while (iter->level > 1)
		vmmu_iter_next(iter);
	return vmmu_iter_yield(iter, true);
}

TEST_F_SIGNAL(walk, set_after_yield, SIGKILL)
{
	struct vmmu_iter iter;

	if (yield_at_leaf(self->mmu, &iter))
		vmmu_iter_set(&iter, 0);
	unit_kernel.dies = false;
}

TEST_F_SIGNAL(walk, cmpxchg_after_yield, SIGKILL)
{
	struct vmmu_iter iter;

	EXPECT_FALSE(yield_at_leaf(self->mmu, &iter) &&
		     vmmu_iter_cmpxchg(&iter, 0));
	unit_kernel.dies = false;
}

/* The lock is to be held as the walk says, and so is that of a section. */
TEST_F_SIGNAL(walk, held_otherwise, SIGKILL)
{
	struct vmmu_iter iter;

	unit_kernel.dies = true;
	read_lock(&self->mmu->mmu_lock);
	rcu_read_lock();
	vmmu_iter_start(&iter, self->mmu, VMMU_EXCLUSIVE, 1, 5);
	unit_kernel.dies = false;
}

TEST_F_SIGNAL(walk, not_in_section, SIGKILL)
{
	struct vmmu_section section = {};
	struct vmmu_leaf leaf;

	unit_kernel.dies = true;
	rcu_read_lock();
	vmmu_lookup_in_section(self->mmu, &section, 5, false, &leaf);
	unit_kernel.dies = false;
}

/* Faults that meet a frozen entry retry. */
TEST_F(walk, map_meets_frozen)
{
	struct vmmu_mapping m = { .gfn = 0, .pfn = 1, .level = 1,
				  .bits = LEAF_BITS };
	struct vmmu_context ctx;
	struct vmmu_iter iter;

	vmmu_context_init(&ctx, self->mmu, NULL);
	ASSERT_EQ(vmmu_context_topup(&ctx, 3), 0);
	self->mmu->root[0].val = VMMU_PTE_FROZEN;
	read_lock(&self->mmu->mmu_lock);
	rcu_read_lock();
	EXPECT_EQ(vmmu_map_first(&ctx, &iter, VMMU_SHARED, &m),
		  VMMU_MAP_RETRY);
	rcu_read_unlock();
	read_unlock(&self->mmu->mmu_lock);
	EXPECT_EQ(ctx.nr_cached, 3);
	EXPECT_EQ(self->mmu->root[0].val, VMMU_PTE_FROZEN);
	self->mmu->root[0].val = 0;
	vmmu_context_destroy(&ctx);

	ASSERT_EQ(map(self->mmu, 5, 1), VMMU_MAP_FIXED);
	read_lock(&self->mmu->mmu_lock);
	rcu_read_lock();
	vmmu_iter_start(&iter, self->mmu, VMMU_SHARED, 1, 5);
	while (iter.level > 1)
		vmmu_iter_next(&iter);
	iter.old = VMMU_PTE_FROZEN;
	m.gfn = 5;
	EXPECT_EQ(vmmu_map_here(&iter, &m), VMMU_MAP_RETRY);
	rcu_read_unlock();
	read_unlock(&self->mmu->mmu_lock);
}

/* Without tables the fault gets nowhere, and nothing is lost. */
TEST_F(walk, no_tables)
{
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 5, LEAF_BITS, 0),
		  VMMU_MAP_NOMEM);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.table_pages), 1);
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 5, LEAF_BITS, 2),
		  VMMU_MAP_NOMEM);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.table_pages), 3);
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 5, LEAF_BITS, 1),
		  VMMU_MAP_FIXED);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.table_pages), 4);

	/* What cannot be split for want of memory stays huge. */
	ASSERT_EQ(map(self->mmu, 1 << 18, 3), VMMU_MAP_FIXED);
	unit_kernel.pages_max = unit_kernel.pages + 2;
	vmmu_split_huge(self->mmu, 1 << 18, (1 << 19) - 1);
	unit_kernel.pages_max = ULONG_MAX;
	EXPECT_EQ(atomic64_read(&self->mmu->stats.pages[2]), 0);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.pages[1]), VMMU_PTES - 1);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.pages[0]), VMMU_PTES + 1);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.splits), 2);
}

/* One page is never replaced by another. */
TEST_F(walk, another_page)
{
	ASSERT_EQ(unit_map(self->mmu, 5, 1, 77, LEAF_BITS, 3),
		  VMMU_MAP_FIXED);
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 78, LEAF_BITS | VMMU_PTE_WRITE, 3),
		  VMMU_MAP_RETRY);
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 77, LEAF_BITS | VMMU_PTE_WRITE, 3),
		  VMMU_MAP_FIXED);
	EXPECT_EQ(unit_map(self->mmu, 5, 1, 77, LEAF_BITS, 3),
		  VMMU_MAP_SPURIOUS);
}

/* What was written through an entry is known when the entry goes. */
TEST_F(walk, handed_over)
{
	struct vmmu_leaf leaf;

	ASSERT_EQ(map(self->mmu, 1024, 2), VMMU_MAP_FIXED);
	ASSERT_EQ(map(self->mmu, 5, 1), VMMU_MAP_FIXED);
	EXPECT_FALSE(unit_lookup(self->mmu, 6, false, &leaf));
	EXPECT_TRUE(unit_lookup(self->mmu, 5, false, &leaf));
	EXPECT_TRUE(unit_lookup(self->mmu, 1500, true, &leaf));
	EXPECT_EQ(vmmu_leaf_page(&leaf, 1500), __va(1500UL << PAGE_SHIFT));

	vmmu_zap(self->mmu, 6, 1023);
	EXPECT_EQ(unit_kernel.dirty + unit_kernel.accessed, 0);
	vmmu_zap(self->mmu, 0, 1024);
	EXPECT_EQ(unit_kernel.dirty, 1);
	EXPECT_EQ(unit_kernel.dirty_pfns, 1024);
	EXPECT_EQ(unit_kernel.accessed, 2);
	EXPECT_EQ(unit_kernel.accessed_pfns, 1024 + 5);
	EXPECT_EQ(atomic64_read(&self->mmu->stats.pages_zapped), 513);
}

/* The bitmap is made in parts, which end in the midst of huge leaves. */
TEST_F(walk, age_by_parts)
{
	static u64 bitmap[(1 << 18) / 64];
	const u64 gpa = 1 << 30, size = 1 << 30;
	struct vmmu_leaf leaf;
	u64 young, i;

	ASSERT_EQ(map(self->mmu, 1 << 18, 3), VMMU_MAP_FIXED);
	ASSERT_TRUE(unit_lookup(self->mmu, 300000, false, &leaf));
	ASSERT_EQ(vmmu_age(self->mmu, gpa, size, false, bitmap, &young), 0);
	EXPECT_EQ(young, 1 << 18);
	ASSERT_EQ(vmmu_age(self->mmu, gpa, size, true, bitmap, &young), 0);
	EXPECT_EQ(young, 1 << 18);
	for (i = 0; i < ARRAY_SIZE(bitmap); i++)
		ASSERT_EQ(bitmap[i], U64_MAX);
	ASSERT_EQ(vmmu_age(self->mmu, gpa, size, true, bitmap, &young), 0);
	EXPECT_EQ(young, 0);

	/* Also a leaf that goes on behind the end is cleared. */
	ASSERT_TRUE(unit_lookup(self->mmu, 300000, false, &leaf));
	ASSERT_EQ(vmmu_age(self->mmu, gpa, 4096, true, bitmap, &young), 0);
	EXPECT_EQ(young, 1);
	EXPECT_EQ(bitmap[0], 1);
	ASSERT_EQ(vmmu_age(self->mmu, gpa, size, true, NULL, &young), 0);
	EXPECT_EQ(young, 0);
}

TEST_HARNESS_MAIN
