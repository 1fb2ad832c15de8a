// SPDX-License-Identifier: GPL-2.0
/*
 * The arithmetic of the MMU: the tables that a debug build of the module checks
 * as it is loaded, and everything small against the plain definition.
 */
#include "kselftest_harness.h"
#include "mmu/pt.h"
#include "mmu/selftest.h"

/* What the history is ordered by is inval_test's. */
void unit_rmb(void)
{
}

void unit_wmb(void)
{
}

/* Names the case on stderr. */
TEST(tables)
{
	EXPECT_EQ(vmmu_selftest(), 0);
}

/* A page is mapped if all of it lies between the bounds. */
TEST(extent_by_definition)
{
	const u64 page = 1 << VMMU_PAGE_SHIFT;
	static const u64 odd[] = { 0, 1, 2, 2047, 2048, 4094, 4095 };
	struct vmmu_extent e;
	u64 gpa, size, n, wrong = 0;
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		for (j = 0; j < ARRAY_SIZE(odd); j++) {
			for (k = 0; k < 4; k++) {
				gpa = 5 * page + odd[i];
				size = k * page + odd[j];
				if (!size)
					continue;
				e = vmmu_extent_of(gpa, size, gpa + 9 * page);
				for (n = 0; n < 16; n++) {
					bool in = n * page >= gpa &&
						  (n + 1) * page <= gpa + size;

					wrong += in != (n - e.gfn < e.npages);
				}
				wrong += e.npages &&
					 e.hva != (e.gfn + 9) * page;
				wrong += vmmu_extent_of(gpa, size, gpa + 1)
						 .npages != 0;
			}
		}
	}
	EXPECT_EQ(wrong, 0);
}

static unsigned int largest_level(const struct vmmu_extent *e, u64 gfn)
{
	unsigned int level, fits = VMMU_LEVEL_4K;
	u64 n, base;

	for (level = VMMU_LEVEL_2M; level <= VMMU_LEVEL_1G; level++) {
		n = level == VMMU_LEVEL_2M ? 512 : 512 * 512;
		base = gfn / n * n;
		if (base >= e->gfn && base + n <= e->gfn + e->npages &&
		    (e->hva / 4096 + base - e->gfn) % n == 0)
			fits = level;
	}
	return fits;
}

TEST(level_by_definition)
{
	static const u64 starts[] = { 0, 1, 511, 512, 513, 262143, 262144,
				      262145, 262656 };
	static const u64 lengths[] = { 1, 511, 512, 513, 1024, 262143, 262144,
				       262145, 524288, 524289 };
	static const u64 skews[] = { 0, 1, 511, 512, 513, 262144, 524288 };
	unsigned int i, j, k;
	u64 gfn, wrong = 0;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			for (k = 0; k < ARRAY_SIZE(skews); k++) {
				struct vmmu_extent e = {
					.gfn = starts[i],
					.npages = lengths[j],
					.hva = (starts[i] + skews[k]) * 4096,
				};

				for (gfn = e.gfn; gfn < e.gfn + e.npages;
				     gfn += 173)
					wrong += vmmu_extent_level(&e, gfn, 3) !=
						 largest_level(&e, gfn);
			}
		}
	}
	EXPECT_EQ(wrong, 0);
}

#define SMALL 8

static bool share_a_byte(unsigned int a, unsigned int n, unsigned int b,
			 unsigned int m)
{
	unsigned int at;

	for (at = 0; at < SMALL; at++)
		if (at - a < n && at - b < m)
			return true;
	return false;
}

/* Every pair of ranges of few bytes, at both ends of all addresses. */
TEST(overlap_by_definition)
{
	const u64 top = -(u64)SMALL;
	unsigned int i, a, b, n, m;
	u64 wrong = 0;

	for (i = 0; i < SMALL * SMALL * SMALL * SMALL; i++) {
		a = i % SMALL;
		n = 1 + i / SMALL % SMALL;
		b = i / (SMALL * SMALL) % SMALL;
		m = 1 + i / (SMALL * SMALL * SMALL);
		if (a + n > SMALL || b + m > SMALL)
			continue;
		wrong += vmmu_bytes_overlap(a, n, b, m) !=
			 share_a_byte(a, n, b, m);
		wrong += vmmu_bytes_overlap(top + a, n, top + b, m) !=
			 share_a_byte(a, n, b, m);
	}
	EXPECT_EQ(wrong, 0);
}

TEST_HARNESS_MAIN
