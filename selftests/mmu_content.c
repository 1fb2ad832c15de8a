// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the host copies, moves, merges, splits: content stays.
 * Timeout: 120 s
 *
 * What is done with each is in lib/mmu_matrix.h.
 */
#include "change.h"
#include "mmu_matrix.h"

/* --------------------------------------------------------------- forking */

static pid_t child;
static int go[2];

/* The child waits, then must find what was there when it was born. */
static int fork_child(struct vt_area *a, uint64_t gen)
{
	char c;

	if (pipe(go))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child)
		return 0;
	if (read(go[0], &c, 1) != 1 ||
	    vt_area_check_at(a, a->base, gen, "a child"))
		_exit(1);
	/* the child's writes stay its own */
	vt_area_fill(a, 0xdead);
	_exit(vt_area_check(a, 0xdead) ? 2 : 0);
}

static int fork_mmu_writes(struct vt_area *a, uint64_t gen)
{
	int r = fork_child(a, gen);

	return r ? r : KEPT;
}

static int fork_process_writes(struct vt_area *a, uint64_t gen)
{
	int r = fork_child(a, gen);

	if (r)
		return r;
	vt_area_fill(a, gen + 1);
	return NEXT;
}

static int end_child(struct vt_area *a)
{
	int status;

	(void)a;
	if (write(go[1], "", 1) != 1)
		return -errno;
	status = vt_wait_child(child, VT_TIMEOUT);
	if (status)
		vt_msg("fork: the child ended with %#x", status);
	close(go[0]);
	close(go[1]);
	return status;
}

/* The child of a threaded process: system calls and plain memory only. */
static void watch(struct vt_area *a)
{
	unsigned int i;

	memcpy(a->buf, a->base, a->len);
	for (i = 0; i < 3; i++) {
		vt_sleep_ms(2);
		if (memcmp(a->buf, a->base, a->len))
			_exit(1);
	}
	memset(a->base, 0xaa, a->len);
	_exit(0);
}

static int fork_live(struct vt_area *a, uint64_t gen)
{
	int status = 0;

	(void)gen;
	if (child)
		status = vt_wait_child(child, VT_TIMEOUT);
	if (status) {
		vt_msg("fork: the child sees what its parent writes (status %#x)",
		       status);
		return -EBADMSG;
	}
	child = fork();
	if (!child)
		watch(a);
	return child < 0 ? -errno : KEPT;
}

static int end_live(struct vt_area *a)
{
	(void)a;
	return child ? vt_wait_child(child, VT_TIMEOUT) : 0;
}

static const struct change fork_mmu = {
	.at_rest = fork_mmu_writes, .live = fork_live, .after = end_child,
	.settle = end_live, .rounds = 3,
};

static const struct change fork_process = {
	.at_rest = fork_process_writes, .live = fork_live, .after = end_child,
	.settle = end_live, .rounds = 3,
};

/* ------------------------------------------------- pages that only move */

/* Reclaim must take nearly all pages. */
static int swap_all(struct vt_area *a, uint64_t gen)
{
	long n;

	(void)gen;
	if (vt_swap_on())
		return -ENOTSUP;
	n = vt_change_page_out(a);
	if (n >= 0 && (size_t)n < a->pages * 3 / 4) {
		vt_msg("%s: only %ld of %zu pages were paged out",
		       vt_area_name(a->backing), n, a->pages);
		return -EBUSY;
	}
	return n < 0 ? n : KEPT;
}

static int swap_some(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	if (vt_swap_on())
		return -ENOTSUP;
	return madvise(a->base, a->len, MADV_PAGEOUT) ? -errno : KEPT;
}

static const struct change page_out = {
	.at_rest = swap_all, .live = swap_some, .hint = true,
};

static int migrate_some(struct vt_area *a, uint64_t gen)
{
	long n;

	(void)gen;
	if (access("/sys/devices/system/node/node1", F_OK))
		return -ENOTSUP;
	n = vt_change_migrate(a);
	return n < 0 ? n : KEPT;
}

static int migrate_all(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	if (access("/sys/devices/system/node/node1", F_OK))
		return -ENOTSUP;
	return vt_change_migrate(a) > 0 ? KEPT : -EBUSY;
}

static const struct change migrate = {
	.at_rest = migrate_all, .live = migrate_some,
};

static int merge_only(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_merge(a);

	(void)gen;
	return r ? r : KEPT;
}

static int merge_unmerge(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_merge(a);

	/* mapped while merged, then taken apart */
	if (!r)
		r = vt_area_check_mmu(a, gen);
	if (!r)
		r = vt_change_unmerge(a);
	return r ? r : KEPT;
}

/* Words that change all the time are not merged, the rest of memory is. */
static int merge_live(struct vt_area *a, uint64_t gen)
{
	(void)gen;
	if (access("/sys/kernel/mm/ksm/run", W_OK))
		return -ENOTSUP;
	if (madvise(a->base, a->len, MADV_MERGEABLE))
		return -errno;
	vt_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0\n");
	vt_write_file("/sys/kernel/mm/ksm/pages_to_scan", "1000\n");
	vt_write_file("/sys/kernel/mm/ksm/run", "1\n");
	vt_sleep_ms(20);
	vt_write_file("/sys/kernel/mm/ksm/run", "0\n");
	return madvise(a->base, a->len, MADV_UNMERGEABLE) ? -errno : KEPT;
}

/* What was written through the MMU may not be in the page merged with. */
static int twin_is_same(struct vt_area *a)
{
	size_t i;

	/* each test merges the generation that it has filled by then: 2 */
	for (i = 0; i < a->pages; i++)
		if (((uint64_t *)vt_change_twin())[i * VT_AREA_WORDS] !=
		    vt_area_word(2, i, 0))
			return -EBADMSG;
	return 0;
}

static const struct change ksm_merge = {
	.at_rest = merge_only, .live = merge_live, .after = twin_is_same,
	.hint = true,
};

static const struct change ksm_unmerge = {
	.at_rest = merge_unmerge, .live = merge_live, .after = twin_is_same,
	.hint = true,
};

/* ------------------------------------------------------------ huge pages */

static int thp_split(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_split(a);

	(void)gen;
	if (r)
		return r == -ENOENT ? -ENOTSUP : r;
	return vt_area_is_huge(a) ? -EBUSY : KEPT;
}

static int thp_split_mapping(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_split_mapping(a);

	(void)gen;
	return r ? r : KEPT;
}

/* Content and a mapping of small pages, then one huge page. */
static int thp_collapse(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_split(a);

	if (!r)
		r = vt_area_check_mmu(a, gen);
	if (!r)
		r = vt_change_collapse(a);
	return r ? r : KEPT;
}

static int collapse_split_live(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_collapse(a);

	(void)gen;
	if (!r || r == -EBUSY)
		r = vt_change_split(a);
	return r ? r : KEPT;
}

static int split_mapping_live(struct vt_area *a, uint64_t gen)
{
	int r = vt_change_split_mapping(a);

	(void)gen;
	if (!r)
		r = vt_change_collapse(a);
	return r && r != -EBUSY ? r : KEPT;
}

static const struct change split = {
	.at_rest = thp_split, .live = collapse_split_live,
};

static const struct change split_mapping = {
	.at_rest = thp_split_mapping, .live = split_mapping_live,
};

static const struct change collapse = {
	.at_rest = thp_collapse, .live = collapse_split_live,
};

/* -------------------------------------------------------------- the matrix */

ON(fork_mmu, ANON);
ON(fork_mmu, THP);
ON(fork_mmu, HUGETLB);
ON(fork_mmu, PRIVATE);
ON(fork_process, ANON);
ON(fork_process, THP);
ON(fork_process, HUGETLB);
ON(fork_process, PRIVATE);
ON(page_out, ANON);
ON(page_out, THP);
ON(page_out, MEMFD);
ON(page_out, PRIVATE);
ON(migrate, ANON);
ON(migrate, THP);
ON(migrate, MEMFD);
ON(migrate, HUGETLB);
ON(migrate, HUGEFD);
ON(migrate, PRIVATE);
ON(ksm_merge, ANON);
ON(ksm_unmerge, ANON);
ON(split, THP);
ON(split_mapping, THP);
ON(collapse, THP);

TEST_HARNESS_MAIN
