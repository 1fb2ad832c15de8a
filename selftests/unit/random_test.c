// SPDX-License-Identifier: GPL-2.0
/*
 * The split ring parser against the model, over random rings that the driver
 * changes between the operations, and behind the parser's back.
 *
 * UNIT_SEED repeats a run, UNIT_STEPS sets how long it is.
 */
#include <time.h>

#include "kselftest_harness.h"
#include "steps.h"

#define EPISODE_STEPS 1024

static u64 number(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void play(u64 seed, struct unit_stats *stats)
{
	u64 steps = number("UNIT_STEPS", 2000000);
	struct unit_rig *rig = unit_rig_new();

	printf("# seed %llu, %llu steps\n", seed, steps);
	fflush(stdout);
	for (; stats->steps < steps; seed++) {
		/* Spread, as nearby states give similar numbers at first. */
		struct unit_source src = {
			.state = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1,
		};

		snprintf(unit_context, sizeof(unit_context),
			 "repeat with UNIT_SEED=%llu -t given_seed",
			 seed);
		unit_episode(rig, &src, EPISODE_STEPS, stats);
	}
	printf("# %llu chains, %llu times broken, %llu failed accesses\n",
	       stats->chains, stats->broken, stats->faults);
	printf("# %llu fetches in parts, %llu notifications\n", stats->again,
	       stats->calls);
	fflush(stdout);
	unit_rig_free(rig);
}

/* A run that covers nothing would pass as well. */
#define EXPECT_COVERAGE(stats)						\
do {									\
	EXPECT_GT((stats).chains, (stats).steps / 20);			\
	EXPECT_GT((stats).broken, (stats).steps / 1000);		\
	EXPECT_GT((stats).faults, (stats).steps / 1000);		\
	EXPECT_GT((stats).calls, (stats).steps / 100);			\
	EXPECT_GT((stats).again, (stats).steps / 100000);		\
} while (0)

/* The same on every machine, every time. */
TEST(given_seed)
{
	struct unit_stats stats = {};

	play(number("UNIT_SEED", 1), &stats);
	EXPECT_COVERAGE(stats);
}

TEST(fresh_seed)
{
	struct unit_stats stats = {};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	play((u64)now.tv_sec * 1000000000 + now.tv_nsec, &stats);
	EXPECT_COVERAGE(stats);
}

TEST_HARNESS_MAIN
