// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the host throws away, replaces, moves elsewhere, forbids.
 * Timeout: 120 s
 *
 * What is done with each is in lib/mmu_matrix.h.
 */
#include "change.h"
#include "mmu_matrix.h"
#include <fcntl.h>

/* ------------------------------------------- pages that are thrown away */

/* What was behind the area before must not change any more. */
static struct vt_held_pages held;
static bool holding;

static int hold(struct vt_area *a)
{
	int r = vt_hold_pages(&held, a->base,
			      a->len < 64 * VT_PAGE ? a->len : 64 * VT_PAGE);

	holding = !r;
	return r;
}

static int check_held(struct vt_area *a)
{
	(void)a;
	return holding ? vt_check_held_pages(&held) : 0;
}

static int discard(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	if (madvise(a->base, a->len, MADV_DONTNEED))
		return a->backing == VT_AREA_HUGETLB && errno == EINVAL ?
		       -ENOTSUP : -errno;
	return a->backing == VT_AREA_MEMFD || a->backing == VT_AREA_HUGEFD ?
		       KEPT :
		       LOST;
}

static int hold_discard(struct vt_area *a, uint64_t gen)
{
	int r = hold(a);

	return r ? r : discard(a, gen);
}

static const struct change dontneed = {
	.at_rest = hold_discard, .live = discard, .after = check_held,
	.loses = true,
};

/* A shared file loses nothing: the oracle checks during changes too. */
static const struct change dontneed_shared = {
	.at_rest = discard, .live = discard,
};

static int punch(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	return fallocate(a->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			 a->len) ? -errno : LOST;
}

static int hold_punch(struct vt_area *a, uint64_t gen)
{
	int r = hold(a);

	return r ? r : punch(a, gen);
}

static const struct change punch_hole = {
	.at_rest = hold_punch, .live = punch, .after = check_held,
	.loses = true,
};

static int replace(struct vt_area *a, uint64_t gen)
{
	int r = vt_area_remap(a);

	(void)gen;
	if (r)
		return r;
	return a->backing == VT_AREA_MEMFD || a->backing == VT_AREA_HUGEFD ?
		       KEPT :
		       LOST;
}

static int hold_replace(struct vt_area *a, uint64_t gen)
{
	int r = hold(a);

	if (!r)
		r = replace(a, gen);
	if (r < 0)
		return r;
	vt_area_fill(a, gen + 1);
	return NEXT;
}

static const struct change map_fixed = {
	.at_rest = hold_replace, .live = replace, .after = check_held,
	.loses = true,
};

/* A shared file's pages are the same before and after. */
static const struct change map_fixed_shared = {
	.at_rest = replace, .live = replace,
};

/* Freed lazily: a write through the MMU counts as the process's own. */
static int lazy_free(struct vt_area *a, uint64_t gen)
{
	long n;

	if (vt_swap_on())
		return -ENOTSUP;
	if (madvise(a->base, a->len, MADV_FREE))
		return -errno;
	if (vt_area_fill_mmu(a, gen + 1))
		return -EBADMSG;
	n = vt_change_page_out(a);
	return n < 0 ? n : NEXT;
}

static int lazy_free_live(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	return madvise(a->base, a->len, MADV_FREE) ||
	       madvise(a->base, a->len, MADV_PAGEOUT) ? -errno : LOST;
}

static const struct change madv_free = {
	.at_rest = lazy_free, .live = lazy_free_live, .loses = true,
};

/* ------------------------------------------------ another address space */

static int move_away(struct vt_area *a)
{
	return mremap(a->base, a->len, a->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		      a->scratch) == a->scratch ? 0 : -errno;
}

static int move_back(struct vt_area *a)
{
	return mremap(a->scratch, a->len, a->len, MREMAP_MAYMOVE | MREMAP_FIXED,
		      a->base) == a->base ? 0 : -errno;
}

/* The slot is where the memory was: nothing is there until it comes back. */
static int move_and_back(struct vt_area *a, uint64_t gen)
{
	uint64_t word = 0;
	size_t i;
	int r = move_away(a);

	if (r)
		return r == -EINVAL ? -ENOTSUP : r;
	for (i = 0; i < a->pages; i += 7)
		if (vt_mmu_read64(a->mmu, VT_AREA_GPA + i * VT_PAGE, &word) !=
			    -EFAULT ||
		    vt_mmu_write64(a->mmu, VT_AREA_GPA + i * VT_PAGE, 0) !=
			    -EFAULT) {
			vt_msg("mremap: page %zu is still there, with %#llx",
			       i, (unsigned long long)word);
			return -EBADMSG;
		}
	/* through a slot of its own it is seen where it is now */
	r = vt_mmu_slot(a->mmu, 1, 0, 2 * VT_AREA_GPA, a->scratch, a->len);
	if (!r)
		r = vt_mmu_read(a->mmu, 2 * VT_AREA_GPA, a->buf, a->len);
	if (!r)
		r = vt_area_check_at(a, a->buf, gen, "the moved memory");
	if (!r)
		r = move_back(a);
	if (!r && vt_mmu_read64(a->mmu, 2 * VT_AREA_GPA, &word) != -EFAULT)
		r = -EBADMSG;
	if (!r)
		r = vt_mmu_slot_delete(a->mmu, 1);
	return r ? r : KEPT;
}

static int move_live(struct vt_area *a, uint64_t gen)
{
	int r = move_away(a);

	(void)gen;
	if (!r)
		r = move_back(a);
	return r ? r : KEPT;
}

static const struct change move = {
	.at_rest = move_and_back, .live = move_live, .breaks = true,
};

/* Other memory replaces the area's, and is unmapped again. */
static int exchange(struct vt_area *a, uint64_t gen)
{
	int r = move_away(a);

	if (!r)
		r = vt_area_remap(a);
	if (r)
		return r;
	vt_area_fill(a, gen + 7);
	r = vt_area_check_mmu(a, gen + 7);
	if (!r)
		r = move_back(a);
	return r ? r : KEPT;
}

static const struct change swap_places = {
	.at_rest = exchange, .live = move_live, .breaks = true,
};

static int protect(struct vt_area *a, uint64_t gen)
{
	uint64_t word;
	size_t i;

	if (mprotect(a->base, a->len, PROT_READ))
		return -errno;
	if (vt_area_check_mmu(a, gen))
		return -EBADMSG;
	for (i = 0; i < a->pages; i++)
		if (vt_mmu_write64(a->mmu, VT_AREA_GPA + i * VT_PAGE, 1) !=
		    -EFAULT) {
			vt_msg("mprotect: page %zu can be written", i);
			return -EBADMSG;
		}
	if (mprotect(a->base, a->len, PROT_NONE))
		return -errno;
	for (i = 0; i < a->pages; i++)
		if (vt_mmu_read64(a->mmu, VT_AREA_GPA + i * VT_PAGE, &word) !=
		    -EFAULT) {
			vt_msg("mprotect: page %zu can be read", i);
			return -EBADMSG;
		}
	return mprotect(a->base, a->len, PROT_READ | PROT_WRITE) ? -errno :
								   KEPT;
}

static int protect_live(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	if (mprotect(a->base, a->len, PROT_READ) ||
	    mprotect(a->base, a->len, PROT_NONE) ||
	    mprotect(a->base, a->len, PROT_READ | PROT_WRITE))
		return -errno;
	return KEPT;
}

static const struct change mprotected = {
	.at_rest = protect, .live = protect_live, .breaks = true,
};

/* -------------------------------------------------------------- the matrix */

ON(dontneed, ANON);
ON(dontneed, THP);
ON(dontneed, HUGETLB);
ON(dontneed, PRIVATE);
ON(dontneed_shared, MEMFD);
ON(dontneed_shared, HUGEFD);
ON(punch_hole, MEMFD);
ON(punch_hole, HUGEFD);
ON(map_fixed, ANON);
ON(map_fixed, THP);
ON(map_fixed, HUGETLB);
ON(map_fixed, PRIVATE);
ON(map_fixed_shared, MEMFD);
ON(map_fixed_shared, HUGEFD);
ON(madv_free, ANON);
ON(madv_free, THP);
ON(move, ANON);
ON(move, THP);
ON(move, MEMFD);
ON(move, HUGETLB);
ON(move, PRIVATE);
ON(swap_places, ANON);
ON(swap_places, THP);
ON(swap_places, PRIVATE);
ON(mprotected, ANON);
ON(mprotected, THP);
ON(mprotected, MEMFD);
ON(mprotected, HUGETLB);
ON(mprotected, PRIVATE);

TEST_HARNESS_MAIN
