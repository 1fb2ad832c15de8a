/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Episodes: a ring of random shape, a driver that is hostile at times, and a
 * device whose every operation is compared with the model.  What happens is
 * chosen by a source, either random numbers or a fuzzer's input.
 */
#ifndef UNIT_STEPS_H
#define UNIT_STEPS_H

#include "model.h"

/**
 * struct unit_source - where choices come from
 * @data: the fuzzer's input, or NULL for random numbers
 * @left: bytes left of it
 * @state: the random numbers' state, not zero
 */
struct unit_source {
	const u8 *data;
	size_t left;
	u64 state;
};

u32 unit_pick(struct unit_source *src, u32 n);

/**
 * struct unit_stats - what was covered, to see that a run is worth something
 * @steps: operations of either side
 * @chains: chains fetched and expanded
 * @broken: operations that found a broken ring
 * @faults: operations whose access was failed
 * @again: fetches of more than one call
 * @calls: notifications wanted
 */
struct unit_stats {
	u64 steps;
	u64 chains;
	u64 broken;
	u64 faults;
	u64 again;
	u64 calls;
};

void unit_episode(struct unit_rig *rig, struct unit_source *src,
		  unsigned int max_steps, struct unit_stats *stats);

#endif /* UNIT_STEPS_H */
