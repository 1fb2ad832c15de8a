// SPDX-License-Identifier: GPL-2.0
/*
 * How long mmu_lock is held, and how often sections are drained, by what an
 * owner may make very long: memslots that share an address, large dirty logs.
 * Nobody else wants to run meanwhile.
 */
#include "kselftest_harness.h"
#include "mmu/dirty_log.h"
#include "mmu/dirty_ring.h"
#include "mmu/flush.h"
#include "mmu/notify.h"
#include "mmu/pt_huge.h"
#include "mmu_rig.h"

#define HVA		0x7f0000000000UL
/* Entries, words and pointers looked at in one hold. */
#define LONGEST		6000
#define LOG_PAGES	(64UL << 20)

static const struct vmmu_range page = { HVA, HVA + PAGE_SIZE - 1 };

/* What the sources ask for, but nothing here comes to. */
const struct vmmu_space_ops *vmmu_space_ops = &vmmu_mmus_ops;

bool vmmu_hook_no_elision(void)
{
	return false;
}

bool vmmu_dirty_ring_full(const struct vmmu_dirty_ring *ring)
{
	return true;
}

int vmmu_dirty_ring_push(struct vmmu_dirty_ring *ring, u32 slot, u64 offset,
			 bool reserve)
{
	return -ENOSPC;
}

FIXTURE(hold)
{
	struct vmmu *mmu;
};

FIXTURE_SETUP(hold)
{
	struct vmmu *mmu = unit_table_new();

	self->mmu = mmu;
	vmmu_slots_init(mmu);
	INIT_LIST_HEAD(&mmu->space->mmus);
	list_add(&mmu->node, &mmu->space->mmus);
}

FIXTURE_TEARDOWN(hold)
{
	vmmu_slots_destroy(self->mmu);
	unit_table_free(self->mmu);
	unit_check(!unit_kernel.objects);
}

static void map(struct vmmu *mmu, u64 gfn, u64 bits)
{
	unit_check(unit_map(mmu, gfn, 1, gfn + 1, LEAF_BITS | bits, 3) ==
		   VMMU_MAP_FIXED);
}

/* From here on it is counted. */
static void start(void)
{
	unit_kernel.flushes = 0;
	unit_kernel.work_max = 0;
}

/* As many memslots as there may be, of one page each and all of the same. */
static void alias(struct vmmu *mmu, u64 bits)
{
	u64 gfn;

	for (gfn = 0; gfn < VMMU_MAX_SLOTS; gfn++) {
		unit_check(!vmmu_insert_slot(mmu, gfn, 0, gfn << PAGE_SHIFT,
					     PAGE_SIZE, HVA));
		map(mmu, gfn, bits);
	}
	start();
}

TEST_F(hold, aliases)
{
	struct vmmu *mmu = self->mmu;

	alias(mmu, 0);
	unit_check(unit_tlb_fill(mmu, 77, false));
	EXPECT_TRUE(vmmu_mmus_ops.invalidate(mmu->space, page, false));
	EXPECT_EQ(atomic64_read(&mmu->stats.pages[0]), 0);
	EXPECT_FALSE(unit_tlb_has(0, VMMU_MAX_GFN));
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
	EXPECT_LT(unit_kernel.work_max, LONGEST);
	EXPECT_EQ(atomic64_read(&mmu->stats.mmu_lock_notifier), 1);
}

/* Where nothing is mapped nobody has to be waited for. */
TEST_F(hold, nothing_there)
{
	struct vmmu *mmu = self->mmu;

	unit_check(!vmmu_insert_slot(mmu, 0, 0, 0, 2 << PAGE_SHIFT, HVA));
	map(mmu, 1, 0);
	start();
	EXPECT_TRUE(vmmu_mmus_ops.invalidate(mmu->space, page, false));
	EXPECT_EQ(unit_kernel.flushes, 0);
	EXPECT_EQ(atomic64_read(&mmu->stats.pages[0]), 1);

	/* Unless it is remembered that something could not be mapped. */
	mmu->has_unmappable = true;
	EXPECT_TRUE(vmmu_mmus_ops.invalidate(mmu->space, page, false));
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
}

/* Of many sections some are drained, then others may have the lock. */
TEST_F(hold, sections)
{
	struct vmmu *mmu = self->mmu;

	unit_check(!vmmu_insert_slot(mmu, 0, 0, 0, 2 << PAGE_SHIFT, HVA));
	map(mmu, 0, 0);
	start();
	EXPECT_TRUE(vmmu_mmus_ops.invalidate(mmu->space, page, false));
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
	EXPECT_EQ(atomic64_read(&mmu->stats.yields), 1);
	EXPECT_EQ(mmu->nr_gathers, 0);
}

/* The mm holds a lock of its own around this, and none of ours can be dropped. */
TEST_F(hold, aliases_aged)
{
	struct vmmu *mmu = self->mmu;

	alias(mmu, VMMU_PTE_ACCESSED);
	EXPECT_TRUE(vmmu_mmus_ops.age(mmu->space, page, true));
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
	EXPECT_LT(unit_kernel.work_max, LONGEST);
	EXPECT_EQ(atomic64_read(&mmu->stats.yields), 0);
}

/* A GiB of small entries, whose place one huge entry could take. */
TEST_F(hold, collapsed)
{
	const u64 n = vmmu_level_pages(VMMU_LEVEL_1G);
	struct vmmu *mmu = self->mmu;
	u64 gfn;

	unit_check(!vmmu_insert_slot(mmu, 0, 0, 0, n << PAGE_SHIFT, HVA));
	for (gfn = 0; gfn < n; gfn += 3)
		map(mmu, gfn, VMMU_PTE_DIRTY);
	unit_kernel.host_level = VMMU_LEVEL_1G;

	/* Not by a fault, which would do it in one go. */
	start();
	EXPECT_EQ(VMMU_MAP_RETRY, unit_map(mmu, 0, VMMU_LEVEL_1G, 0,
					   LEAF_BITS, 3));
	EXPECT_LT(unit_kernel.work_max, LONGEST);

	start();
	mmu->slots_lock.held = true;
	vmmu_collapse_huge(mmu, xa_load(&mmu->by_id, 0));
	mmu->slots_lock.held = false;
	EXPECT_EQ(atomic64_read(&mmu->stats.pages[0]), 0);
	EXPECT_EQ(atomic64_read(&mmu->stats.collapses), n / VMMU_PTES + 1);
	EXPECT_LT(unit_kernel.work_max, LONGEST);
	EXPECT_EQ(VMMU_MAP_FIXED, unit_map(mmu, 0, VMMU_LEVEL_1G, 0,
					   LEAF_BITS, 3));
}

/* What the host maps by small entries stays, and costs one look a table. */
TEST_F(hold, not_collapsed)
{
	const u64 n = vmmu_level_pages(VMMU_LEVEL_1G);
	struct vmmu *mmu = self->mmu;
	u64 gfn;

	unit_check(!vmmu_insert_slot(mmu, 0, 0, 0, 2 * n << PAGE_SHIFT, HVA));
	for (gfn = 0; gfn < 2 * n; gfn += VMMU_PTES)
		map(mmu, gfn, VMMU_PTE_DIRTY);
	unit_kernel.host_level = VMMU_LEVEL_4K;
	start();
	mmu->slots_lock.held = true;
	vmmu_collapse_huge(mmu, xa_load(&mmu->by_id, 0));
	mmu->slots_lock.held = false;
	EXPECT_EQ(atomic64_read(&mmu->stats.pages[0]), 2 * n / VMMU_PTES);
	EXPECT_EQ(atomic64_read(&mmu->stats.collapses), 0);
	EXPECT_LT(unit_kernel.work_max, LONGEST);
}

static void log_slot(struct vmmu *mmu, struct vmmu_memslot **slot)
{
	unit_check(!vmmu_insert_slot(mmu, 0, VMMU_MEM_LOG_DIRTY_PAGES, 0,
				     LOG_PAGES << PAGE_SHIFT, HVA));
	*slot = xa_load(&mmu->by_id, 0);
}

/* Pages that were written, one in each of a few words, far apart. */
static void dirty_some(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	u64 gfn;

	for (gfn = 3; gfn < LOG_PAGES; gfn += LOG_PAGES / 100) {
		map(mmu, gfn, VMMU_PTE_WRITE);
		slot->dirty[gfn / 64] |= 1ULL << gfn % 64;
	}
	start();
}

static void get_or_clear(struct vmmu *mmu, bool clear)
{
	u64 *bitmap = calloc(LOG_PAGES / 64, sizeof(*bitmap));
	struct vmmu_dirty_log args = { .bitmap = (unsigned long)bitmap };
	struct vmmu_leaf leaf;

	unit_check(bitmap);
	if (clear) {
		memset(bitmap, 0xff, LOG_PAGES / 8);
		args.num_pages = LOG_PAGES;
		unit_check(!vmmu_clear_dirty_log(mmu, &args));
	} else {
		unit_check(!vmmu_get_dirty_log(mmu, &args));
	}
	if (atomic64_read(&mmu->stats.pages[0])) {
		unit_check(clear || bitmap[0] == 8);
		unit_check(unit_walk(mmu, 3, &leaf));
		unit_check(!(leaf.pte & VMMU_PTE_WRITE));
	}
	free(bitmap);
}

TEST_F(hold, get_clean_log)
{
	struct vmmu_memslot *slot;

	log_slot(self->mmu, &slot);
	start();
	get_or_clear(self->mmu, false);
	EXPECT_EQ(unit_kernel.flushes, 0);
	EXPECT_LT(unit_kernel.work_max, 2 * LONGEST);
}

TEST_F(hold, get_log)
{
	struct vmmu_memslot *slot;

	log_slot(self->mmu, &slot);
	dirty_some(self->mmu, slot);
	get_or_clear(self->mmu, false);
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
	EXPECT_LT(unit_kernel.work_max, 2 * LONGEST);
}

TEST_F(hold, clear_log)
{
	struct vmmu_memslot *slot;

	log_slot(self->mmu, &slot);
	dirty_some(self->mmu, slot);
	get_or_clear(self->mmu, true);
	EXPECT_EQ(unit_kernel.flushes, UNIT_SECTIONS);
	EXPECT_LT(unit_kernel.work_max, 2 * LONGEST);
}

/* Every page of it was written. */
TEST_F(hold, get_full_log)
{
	struct vmmu_memslot *slot;

	log_slot(self->mmu, &slot);
	memset(slot->dirty, 0xff, LOG_PAGES / 8);
	start();
	get_or_clear(self->mmu, false);
	EXPECT_EQ(unit_kernel.flushes, 0);
	EXPECT_LT(unit_kernel.work_max, 2 * LONGEST);
}

/* What user access wrote is visible before the bit is believed to be set. */
TEST_F(hold, written_then_logged)
{
	struct vmmu_memslot *slot;
	struct vmmu_context ctx;
	unsigned long barriers;

	log_slot(self->mmu, &slot);
	vmmu_context_init(&ctx, self->mmu, NULL);
	slot->dirty[0] = 1;
	self->mmu->srcu.readers++;
	barriers = unit_kernel.barriers;
	EXPECT_EQ(vmmu_log_page(&ctx, slot, 0, true), 0);
	EXPECT_EQ(unit_kernel.barriers, barriers + 1);
	self->mmu->srcu.readers--;
}

TEST_HARNESS_MAIN
