// SPDX-License-Identifier: GPL-2.0
/* What of bitmaps is not a line. */
#include "bitmap.h"

uint64_t vt_bitmap_weight(const uint64_t *map, uint64_t bits)
{
	uint64_t i, n = 0;

	for (i = 0; i < bits; i++)
		n += vt_bitmap_test(map, i);
	return n;
}
