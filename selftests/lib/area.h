/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory of every kind whose content tells when and where it was written:
 * memory of a chosen backing behind one memslot of an MMU of its own, filled
 * and checked by the process or through the MMU, word by word.
 *
 * A word names the generation of the filling, the page, and the place in the
 * page, so that an old page or another one cannot be taken for the right one.
 */
#ifndef VHOST_TEST_AREA_H
#define VHOST_TEST_AREA_H

#include <sys/types.h>
#include "mmu.h"
#include "sys.h"

enum vt_area_backing {
	/* anonymous, 4K pages */
	VT_AREA_ANON,
	/* anonymous, 2M pages */
	VT_AREA_THP,
	/* shared memfd */
	VT_AREA_MEMFD,
	/* private hugetlb */
	VT_AREA_HUGETLB,
	/* shared memfd of hugetlb */
	VT_AREA_HUGEFD,
	/* a private mapping of a file on a real file system */
	VT_AREA_PRIVATE,
	VT_AREA_BACKINGS,
};

#define VT_AREA_WORDS		(VT_PAGE / 8)
/* Where an area is in guest memory. */
#define VT_AREA_GPA		(1ULL << 32)

struct vt_area {
	enum vt_area_backing backing;
	/* 2M aligned, mapped at VT_AREA_GPA in memslot 0 */
	char *base;
	size_t len;
	size_t pages;
	/* address space to move it to, as long, reserved */
	char *scratch;
	/* the file behind it, or -1 */
	int fd;
	int mmu;
	int stats;
	/* of the whole area, for reads through the MMU */
	char *buf;
};

const char *vt_area_name(enum vt_area_backing backing);

/*
 * NULL, or why there is no such memory. Its pages are there, and hold nothing
 * yet: VT_AREA_UNWRITTEN.
 */
const char *vt_area_open(struct vt_area *a, enum vt_area_backing backing);
void vt_area_close(struct vt_area *a);
/* The memory alone, of @len bytes, which no MMU has. */
const char *vt_area_alloc(struct vt_area *a, enum vt_area_backing backing,
			  size_t len);
/* The length of an area of @backing. */
size_t vt_area_len(enum vt_area_backing backing);
/* Map the memory (again) at a->base: what was there is gone. */
int vt_area_remap(struct vt_area *a);
uint64_t vt_area_stat(const struct vt_area *a, const char *name);
/* How page @page is mapped: perms, page_shift and so on; faults nothing. */
int vt_area_look(const struct vt_area *a, size_t page,
		 struct vmmu_translate *t);
/* How many pages of the area the MMU maps now. */
size_t vt_area_mapped(const struct vt_area *a);

/* Pages that are not present in the process. */
size_t vt_area_absent(const struct vt_area *a);
/* Is the area mapped by huge entries? */
bool vt_area_is_huge(const struct vt_area *a);

/*
 * Generations are numbers from 1 up; this one is what is found in memory that
 * was not written: zeros, or the file.
 */
#define VT_AREA_UNWRITTEN	0

uint64_t vt_area_word(uint64_t gen, size_t page, size_t word);
/* Write all of it, by the process or through the MMU. */
void vt_area_fill(struct vt_area *a, uint64_t gen);
int vt_area_fill_mmu(struct vt_area *a, uint64_t gen);
/* Check all of it: 0, or an error and a message. */
int vt_area_check(struct vt_area *a, uint64_t gen);
int vt_area_check_mmu(struct vt_area *a, uint64_t gen);
/* Check other memory as if it were the area. */
int vt_area_check_at(struct vt_area *a, const char *p, uint64_t gen,
		     const char *who);
/* What a page of generation @gen holds. */
void vt_area_make_page(struct vt_area *a, uint64_t gen, size_t page,
		       uint64_t *p);

#endif
