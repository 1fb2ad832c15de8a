// SPDX-License-Identifier: GPL-2.0
/*
 * The install side of the protocol: what a fault asks of the open set, and by
 * which words.  Faults of one process run side by side, so while nothing is open
 * they take no lock and write nothing.
 */
#include "kselftest_harness.h"
#include "space/install.h"

/* As if an invalidation started where the fault has no lock. */
static void (*at_rmb)(void);

void unit_rmb(void)
{
	if (at_rmb)
		at_rmb();
}

void unit_wmb(void)
{
}

void unit_locked(void)
{
}

static struct vmmu_space space;
static rwlock_t mmu_lock;
static const struct vmmu_range here = { .start = 100, .last = 199 };
static const struct vmmu_range there = { .start = 300, .last = 399 };

FIXTURE(install)
{
	unsigned long seq;
};

FIXTURE_SETUP(install)
{
	memset(&space, 0, sizeof(space));
	memset(&mmu_lock, 0, sizeof(mmu_lock));
	mmu_lock.readers = 1;
	at_rmb = NULL;
}

FIXTURE_TEARDOWN(install)
{
}

/* While nothing is open, somebody else holds inval_lock all the time. */
TEST_F(install, quiet_takes_no_lock)
{
	struct vmmu_space before;

	vmmu_inval_begin(&space.inval, here);
	vmmu_inval_end(&space.inval, here);
	space.inval_lock.held = true;
	before = space;

	ASSERT_TRUE(vmmu_install_begin(&space, here, &self->seq));
	EXPECT_FALSE(vmmu_install_refused(&space, here, self->seq, &mmu_lock));
	EXPECT_FALSE(vmmu_space_inval_open(&space, here.start, here.last));
	/* Not a word of it was written, either. */
	EXPECT_EQ(0, memcmp(&before, &space, sizeof(space)));
}

/* Nor is the lock taken to look back at those that came meanwhile. */
TEST_F(install, history_takes_no_lock)
{
	ASSERT_TRUE(vmmu_install_begin(&space, here, &self->seq));
	vmmu_inval_begin(&space.inval, there);
	vmmu_inval_end(&space.inval, there);
	space.inval_lock.held = true;
	EXPECT_FALSE(vmmu_install_refused(&space, here, self->seq, &mmu_lock));
	EXPECT_TRUE(vmmu_install_refused(&space, there, self->seq, &mmu_lock));
}

TEST_F(install, open)
{
	vmmu_inval_begin(&space.inval, there);
	ASSERT_TRUE(vmmu_install_begin(&space, here, &self->seq));
	EXPECT_FALSE(vmmu_install_refused(&space, here, self->seq, &mmu_lock));
	EXPECT_FALSE(vmmu_install_begin(&space, there, &self->seq));
	EXPECT_TRUE(vmmu_space_inval_open(&space, there.last, there.last));
	EXPECT_FALSE(vmmu_space_inval_open(&space, here.start, here.last));
	EXPECT_FALSE(space.inval_lock.held);
}

TEST_F(install, gone)
{
	ASSERT_TRUE(vmmu_install_begin(&space, here, &self->seq));
	space.inval.dead = true;
	EXPECT_TRUE(vmmu_install_refused(&space, here, self->seq, &mmu_lock));
	EXPECT_FALSE(vmmu_install_begin(&space, here, &self->seq));
	EXPECT_TRUE(vmmu_space_inval_open(&space, here.start, here.last));
}

static void start_here(void)
{
	at_rmb = NULL;
	vmmu_inval_begin(&space.inval, here);
}

/* A start before the snapshot is seen by the look at what is open. */
TEST_F(install, start_before_snapshot)
{
	at_rmb = start_here;
	EXPECT_FALSE(vmmu_install_begin(&space, here, &self->seq));
	EXPECT_EQ(at_rmb, NULL);
}

TEST_HARNESS_MAIN
