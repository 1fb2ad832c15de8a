// SPDX-License-Identifier: GPL-2.0
/* What the host does to the memory of an area. */
#include "change.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KSM	"/sys/kernel/mm/ksm/"
#define SPLIT	"/sys/kernel/debug/split_huge_pages"

long vt_change_page_out(struct vt_area *a)
{
	unsigned int tries;
	size_t gone = 0;

	/* where reclaim asks who used a page, what was used stays at first */
	for (tries = 0; tries < 3 && gone < a->pages * 9 / 10; tries++) {
		vt_drain_lru();
		if (madvise(a->base, a->len, MADV_PAGEOUT))
			return -errno;
		gone = vt_area_absent(a);
	}
	return gone;
}

static long migrate(char *base, size_t step, size_t n)
{
	int nodes[n], status[n], target;
	void *pages[n];
	long moved = 0;
	size_t i;

	for (i = 0; i < n; i++)
		pages[i] = base + i * step;
	if (syscall(SYS_move_pages, 0, n, pages, NULL, status, 0))
		return -errno;
	target = !status[0];
	for (i = 0; i < n; i++)
		nodes[i] = target;
	if (syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE) <
	    0)
		return -errno;
	for (i = 0; i < n; i++)
		moved += status[i] == target;
	return moved;
}

long vt_change_migrate(struct vt_area *a)
{
	bool huge = a->backing == VT_AREA_THP ||
		    a->backing == VT_AREA_HUGETLB ||
		    a->backing == VT_AREA_HUGEFD;
	size_t step = huge ? VT_HUGE_SIZE : VT_PAGE;

	vt_drain_lru();
	return migrate(a->base, step, a->len / step);
}

long vt_change_migrate_page(struct vt_area *a, size_t page)
{
	return migrate(a->base + page * VT_PAGE, VT_PAGE, 1);
}

int vt_change_collapse(struct vt_area *a)
{
	unsigned int tries;

	/* the kernel refuses while somebody holds a reference: try again */
	for (tries = 0; tries < 50; tries++) {
		if (madvise(a->base, a->len, MADV_COLLAPSE)) {
			if (errno != EAGAIN && errno != EBUSY)
				return -errno;
		} else if (vt_area_is_huge(a)) {
			return 0;
		}
		vt_sleep_ms(5);
	}
	return -EBUSY;
}

int vt_change_split(struct vt_area *a)
{
	unsigned long at = (unsigned long)a->base;

	/* the kernel skips silently a page that others hold */
	return vt_write_file(SPLIT, "%d,0x%lx,0x%lx", getpid(), at,
			     at + a->len);
}

int vt_change_split_mapping(struct vt_area *a)
{
	char *page = a->base + 3 * VT_PAGE;

	/* a change that no thread which reads or writes has to notice */
	if (mprotect(page, VT_PAGE, PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    mprotect(page, VT_PAGE, PROT_READ | PROT_WRITE))
		return -errno;
	return 0;
}

/* ------------------------------------------------------------------ KSM */

static char *twin;

char *vt_change_twin(void)
{
	return twin;
}

static size_t merged(struct vt_area *a)
{
	size_t i, n = 0;

	/* some kernels set KPF_KSM for every anonymous page: compare pfns */
	for (i = 0; i < a->pages; i++) {
		uint64_t pfn = vt_pfn(a->base + i * VT_PAGE);

		n += pfn && pfn == vt_pfn(twin + i * VT_PAGE);
	}
	return n;
}

int vt_change_merge(struct vt_area *a)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	size_t n;

	if (access(KSM "run", W_OK))
		return -ENOTSUP;
	if (!twin) {
		twin = mmap(NULL, a->len, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(twin, a->len, MADV_NOHUGEPAGE);
		madvise(twin, a->len, MADV_MERGEABLE);
		vt_write_file(KSM "sleep_millisecs", "1\n");
		vt_write_file(KSM "pages_to_scan", "1000\n");
		vt_write_file(KSM "smart_scan", "0\n");
	}
	if (madvise(a->base, a->len, MADV_MERGEABLE))
		return -errno;
	memcpy(twin, a->base, a->len);
	vt_write_file(KSM "run", "1\n");
	do {
		vt_sleep_ms(5);
		n = merged(a);
	} while (n < a->pages && vt_patient_ns() < end);
	vt_write_file(KSM "run", "0\n");
	if (n == a->pages)
		return 0;
	vt_msg("ksm: %zu of %zu pages merged", n, a->pages);
	return -ETIMEDOUT;
}

int vt_change_unmerge(struct vt_area *a)
{
	if (madvise(a->base, a->len, MADV_UNMERGEABLE))
		return -errno;
	return merged(a) ? -EBUSY : 0;
}
