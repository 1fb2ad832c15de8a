// SPDX-License-Identifier: GPL-2.0
/*
 * Module exit: it goes on when the last space was freed, and when the function
 * that freed it has been left.  The notifier core frees whenever it likes to.
 */
#include <stdlib.h>

#include "kselftest_harness.h"
#include "space/space.h"

static struct mmu_notifier *alive[3];
static unsigned int nr_alive, waits, woken;
static bool in_callback;

void *unit_alloc(size_t size)
{
	return calloc(1, size);
}

void unit_free(void *p)
{
	free(p);
}

void unit_wake(void)
{
	woken++;
}

/* A grace period: whoever runs with bottom halves off is done. */
void synchronize_rcu(void)
{
	in_callback = false;
}

/* One of the notifier core's SRCU: its callbacks may be run later. */
void mmu_notifier_synchronize(void)
{
}

/* Exit waits, and the core frees one. */
void unit_wait(void)
{
	if (!nr_alive || woken)
		unit_die("waits for nothing");
	waits++;
	in_callback = true;
	vmmu_space_free_notifier(alive[--nr_alive]);
}

TEST(exit_waits)
{
	for (; nr_alive < ARRAY_SIZE(alive); nr_alive++) {
		alive[nr_alive] = vmmu_space_alloc_notifier(NULL);
		ASSERT_NE(NULL, alive[nr_alive]);
	}
	vmmu_space_exit();
	EXPECT_EQ(0, nr_alive);
	EXPECT_EQ(ARRAY_SIZE(alive), waits);
	EXPECT_EQ(1, woken);
	EXPECT_FALSE(in_callback);
}

/* Without a space there is nothing to wait for. */
TEST(exit_unused)
{
	vmmu_space_exit();
	EXPECT_EQ(0, waits);
}

TEST_HARNESS_MAIN
