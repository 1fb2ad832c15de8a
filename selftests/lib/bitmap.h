/* SPDX-License-Identifier: GPL-2.0 */
/* Bitmaps in words of 64 bits, as the dirty log and the ages of pages are. */
#ifndef VHOST_TEST_BITMAP_H
#define VHOST_TEST_BITMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline size_t vt_bitmap_words(uint64_t bits)
{
	return (bits + 63) / 64;
}

static inline bool vt_bitmap_test(const uint64_t *bitmap, uint64_t n)
{
	return bitmap[n / 64] >> n % 64 & 1;
}

static inline void vt_bitmap_set(uint64_t *bitmap, uint64_t n)
{
	bitmap[n / 64] |= 1ULL << n % 64;
}

static inline void vt_bitmap_clear(uint64_t *map, uint64_t bit)
{
	map[bit / 64] &= ~(1ULL << bit % 64);
}

/* Bits set among the first @bits. */
uint64_t vt_bitmap_weight(const uint64_t *map, uint64_t bits);

#endif
