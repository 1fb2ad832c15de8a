// SPDX-License-Identifier: GPL-2.0
/* Memory with stamps, behind a memslot. */
#include "area.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "change.h"

/* A file that every machine has, long enough, and on no memory file system. */
#define FILE_PATH	"/bin/bash"

static const char *const names[] = {
	[VT_AREA_ANON] = "anon",
	[VT_AREA_THP] = "thp",
	[VT_AREA_MEMFD] = "memfd",
	[VT_AREA_HUGETLB] = "hugetlb",
	[VT_AREA_HUGEFD] = "hugetlb memfd",
	[VT_AREA_PRIVATE] = "private file",
};

const char *vt_area_name(enum vt_area_backing backing)
{
	return names[backing];
}

static bool is_hugetlb(enum vt_area_backing backing)
{
	return backing == VT_AREA_HUGETLB || backing == VT_AREA_HUGEFD;
}

size_t vt_area_len(enum vt_area_backing backing)
{
	if (is_hugetlb(backing))
		return VT_HUGE_SIZE;
	return backing == VT_AREA_THP ? VT_HUGE_SIZE : 64 * VT_PAGE;
}

/* ---------------------------------------------------------------- areas */

/* Address space of @len at a multiple of 2M. */
static char *reserve(size_t len)
{
	char *p = mmap(NULL, len + VT_HUGE_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		abort();
	return (char *)(((uintptr_t)p + VT_HUGE_SIZE - 1) &
			~(VT_HUGE_SIZE - 1));
}

/* For the area, for copies of it, and for each node to take it in. */
#define HUGE_PAGES	12

static const char *open_backing(struct vt_area *a)
{
	switch (a->backing) {
	case VT_AREA_MEMFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC);
		break;
	case VT_AREA_HUGEFD:
		a->fd = memfd_create("vhost-test", MFD_CLOEXEC | MFD_HUGETLB);
		break;
	case VT_AREA_PRIVATE:
		a->fd = open(FILE_PATH, O_RDONLY | O_CLOEXEC);
		if (a->fd < 0 || lseek(a->fd, 0, SEEK_END) < (off_t)a->len)
			return "no " FILE_PATH " of some length";
		return NULL;
	default:
		return NULL;
	}
	if (a->fd < 0 || ftruncate(a->fd, a->len))
		return "cannot create a memfd";
	return NULL;
}

int vt_area_remap(struct vt_area *a)
{
	int flags = MAP_FIXED;

	flags |= a->backing == VT_AREA_MEMFD || a->backing == VT_AREA_HUGEFD ?
		 MAP_SHARED : MAP_PRIVATE;
	if (a->fd < 0)
		flags |= MAP_ANONYMOUS;
	if (a->backing == VT_AREA_HUGETLB)
		flags |= MAP_HUGETLB;
	if (mmap(a->base, a->len, PROT_READ | PROT_WRITE, flags, a->fd, 0) !=
	    a->base)
		return -errno;
	if (a->backing == VT_AREA_THP)
		madvise(a->base, a->len, MADV_HUGEPAGE);
	else if (!is_hugetlb(a->backing))
		madvise(a->base, a->len, MADV_NOHUGEPAGE);
	return 0;
}

/* Fault all pages in without writing to the file. */
static void touch(struct vt_area *a)
{
	size_t i;

	for (i = 0; i < a->pages; i++) {
		volatile char *p = a->base + i * VT_PAGE;

		if (a->backing == VT_AREA_PRIVATE)
			*p;
		else
			*p = 0;
	}
}

const char *vt_area_alloc(struct vt_area *a, enum vt_area_backing backing,
			  size_t len)
{
	const char *why;
	int r;

	memset(a, 0, sizeof(*a));
	a->backing = backing;
	a->fd = a->mmu = a->stats = -1;
	vt_numa_balancing_off();
	a->len = len;
	a->pages = a->len / VT_PAGE;
	a->base = reserve(a->len);
	a->scratch = reserve(a->len);
	a->buf = malloc(a->len);
	if (is_hugetlb(backing))
		vt_write_file("/proc/sys/vm/nr_hugepages", "%d\n", HUGE_PAGES);
	why = open_backing(a);
	if (why)
		return why;
	r = vt_area_remap(a);
	if (r)
		return is_hugetlb(backing) ? "no huge pages" : "cannot map it";
	touch(a);
	if (backing == VT_AREA_THP && !vt_is_thp(a->base, a->len) &&
	    vt_change_collapse(a))
		return "cannot get transparent huge pages";
	return NULL;
}

const char *vt_area_open(struct vt_area *a, enum vt_area_backing backing)
{
	const char *why;
	int r;

	memset(a, 0, sizeof(*a));
	if (!vt_mmu_available())
		return VT_MMU_NO_DEV;
	why = vt_area_alloc(a, backing, vt_area_len(backing));
	if (why)
		return why;
	a->mmu = vt_mmu_open();
	a->stats = a->mmu < 0 ? -1 : vt_mmu_stats_open(a->mmu);
	r = a->mmu < 0 ? a->mmu :
	    vt_mmu_slot(a->mmu, 0, 0, VT_AREA_GPA, a->base, a->len);
	if (r || a->stats < 0) {
		vt_msg("mmu: cannot set up an MMU: %s", strerror(-r));
		abort();
	}
	return NULL;
}

void vt_area_close(struct vt_area *a)
{
	if (!a->base)
		return;
	if (a->stats >= 0)
		close(a->stats);
	if (a->mmu >= 0)
		close(a->mmu);
	munmap(a->base, a->len);
	if (a->fd >= 0)
		close(a->fd);
	free(a->buf);
	memset(a, 0, sizeof(*a));
}

uint64_t vt_area_stat(const struct vt_area *a, const char *name)
{
	uint64_t n = vt_mmu_stat(a->stats, name);

	if (n == ~0ULL)
		vt_msg("mmu: no statistic is called %s", name);
	return n;
}

int vt_area_look(const struct vt_area *a, size_t page, struct vmmu_translate *t)
{
	memset(t, 0, sizeof(*t));
	return vt_mmu_translate(a->mmu, 0, VT_AREA_GPA + page * VT_PAGE, t);
}

size_t vt_area_mapped(const struct vt_area *a)
{
	struct vmmu_translate t;
	size_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += !vt_area_look(a, i, &t) && t.perms;
	return n;
}

size_t vt_area_absent(const struct vt_area *a)
{
	size_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += !(vt_pagemap(a->base + i * VT_PAGE) & VT_F(VT_PM_PRESENT));
	return n;
}

bool vt_area_is_huge(const struct vt_area *a)
{
	return vt_is_thp(a->base, a->len);
}

/* --------------------------------------------------------------- stamps */

uint64_t vt_area_word(uint64_t gen, size_t page, size_t word)
{
	return gen << 40 | (uint64_t)page << 16 | word;
}

void vt_area_make_page(struct vt_area *a, uint64_t gen, size_t page,
		       uint64_t *p)
{
	size_t i;

	if (gen != VT_AREA_UNWRITTEN) {
		for (i = 0; i < VT_AREA_WORDS; i++)
			p[i] = vt_area_word(gen, page, i);
	} else if (a->backing != VT_AREA_PRIVATE ||
		   pread(a->fd, p, VT_PAGE, page * VT_PAGE) != VT_PAGE) {
		memset(p, 0, VT_PAGE);
	}
}

void vt_area_fill(struct vt_area *a, uint64_t gen)
{
	size_t i;

	for (i = 0; i < a->pages; i++)
		vt_area_make_page(a, gen, i,
				  (uint64_t *)(a->base + i * VT_PAGE));
}

int vt_area_fill_mmu(struct vt_area *a, uint64_t gen)
{
	size_t i;
	int r;

	for (i = 0; i < a->pages; i++)
		vt_area_make_page(a, gen, i,
				  (uint64_t *)(a->buf + i * VT_PAGE));
	r = vt_mmu_write(a->mmu, VT_AREA_GPA, a->buf, a->len);
	if (r)
		vt_msg("%s: a write through the MMU: %s",
		       vt_area_name(a->backing), strerror(-r));
	return r;
}

int vt_area_check_at(struct vt_area *a, const char *p, uint64_t gen,
		     const char *who)
{
	uint64_t want[VT_AREA_WORDS];
	size_t page, i;

	for (page = 0; page < a->pages; page++) {
		const uint64_t *got = (const uint64_t *)(p + page * VT_PAGE);

		vt_area_make_page(a, gen, page, want);
		if (!memcmp(got, want, VT_PAGE))
			continue;
		for (i = 0; got[i] == want[i]; i++)
			;
		vt_msg("%s: %s has %#llx in page %zu word %zu, not %#llx (generation %llu)",
		       vt_area_name(a->backing), who,
		       (unsigned long long)got[i], page, i,
		       (unsigned long long)want[i], (unsigned long long)gen);
		return -EBADMSG;
	}
	return 0;
}

int vt_area_check(struct vt_area *a, uint64_t gen)
{
	return vt_area_check_at(a, a->base, gen, "the process");
}

int vt_area_check_mmu(struct vt_area *a, uint64_t gen)
{
	int r;

	memset(a->buf, 0xee, a->len);
	r = vt_mmu_read(a->mmu, VT_AREA_GPA, a->buf, a->len);
	if (r) {
		vt_msg("%s: a read through the MMU: %s",
		       vt_area_name(a->backing), strerror(-r));
		return r;
	}
	return vt_area_check_at(a, a->buf, gen, "the MMU");
}
