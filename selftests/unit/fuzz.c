// SPDX-License-Identifier: GPL-2.0
/*
 * A fuzzer of the split ring parser: the input decides what the driver writes
 * and what the device does.
 *
 * Built with -DUNIT_STANDALONE it needs no libFuzzer: it then plays the files
 * that it is given, or random inputs for some seconds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct unit_rig *rig;
	struct unit_stats stats = {};
	struct unit_source src = { .data = data, .left = size };

	if (!rig)
		rig = unit_rig_new();
	unit_episode(rig, &src, 4096, &stats);
	return 0;
}

#ifdef UNIT_STANDALONE
#define INPUT_SIZE 4096

static void play_file(const char *name)
{
	static u8 data[1 << 20];
	FILE *file = fopen(name, "rb");
	size_t size;

	if (!file) {
		perror(name);
		exit(2);
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
}

int main(int argc, char **argv)
{
	struct unit_source src = { .state = time(NULL) | 1 };
	static u8 data[INPUT_SIZE];
	unsigned long runs;
	size_t size, i;
	time_t end;

	if (argc < 2 || argv[1][0] == '-') {
		fprintf(stderr, "usage: %s SECONDS | %s FILE...\n", argv[0],
			argv[0]);
		return 2;
	}
	i = strtoul(argv[1], NULL, 10);
	if (!i) {
		while (*++argv)
			play_file(*argv);
		return 0;
	}

	printf("# seed %llu\n", (unsigned long long)src.state);
	fflush(stdout);
	end = time(NULL) + i;
	for (runs = 0; time(NULL) < end; runs++) {
		snprintf(unit_context, sizeof(unit_context), "seed %llu",
			 (unsigned long long)src.state);
		size = unit_pick(&src, INPUT_SIZE) + 1;
		for (i = 0; i < size; i++)
			data[i] = unit_pick(&src, 256);
		LLVMFuzzerTestOneInput(data, size);
	}
	printf("# %lu inputs\n", runs);
	return 0;
}
#endif
