/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory of every kind whose content tells when and where it was
 * written, and what the host can do to it.
 *
 *	vt_area		memory of a chosen backing behind one memslot of an MMU
 *			of its own; filled and checked by the process or
 *			through the MMU, word by word
 *	vt_live		threads that write one way and read the other, without
 *			a pause, while the memory is changed under them
 *	mo_...		changes: page out, migrate, collapse, split, merge
 *	vt_uffd		threads that serve a userfaultfd
 *
 * What a word holds names the generation of the filling, the page, and the
 * place in the page: an old page, or another one, can not be taken for it.
 */
#ifndef VHOST_TEST_MMU_ORACLE_H
#define VHOST_TEST_MMU_ORACLE_H

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/types.h>
#include "inval.h"
#include "mmu.h"
#include "sys.h"

#ifndef MADV_PAGEOUT
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

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
/* Where the area of an vt_area is in guest memory. */
#define VT_AREA_GPA			(1ULL << 32)

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

/*
 * Generations are numbers from 1 up; this one is what is found in memory that
 * was not written: zeros, or the file.
 */
#define VT_AREA_UNWRITTEN		0

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

/* ---------------------------------------------------------------- live */

#define VT_LIVE_THREADS		3
#define VT_LIVE_PAGES		64

struct vt_live {
	struct vt_area *a;
	/* the changes lose what was written */
	bool loses;
	/* during the changes memory cannot be accessed, or not written */
	bool breaks;

	/* odd while a change is going on */
	_Atomic uint64_t epoch;
	_Atomic uint64_t checks;
	_Atomic uint64_t errors;
	char first_error[256];

	/* private */
	_Atomic bool stop;
	size_t pages;
	size_t stride;
	pthread_t thread[VT_LIVE_THREADS];
	/* every word has one writer: the bounds of what others may see of it */
	_Atomic uint64_t begun[VT_LIVE_PAGES][VT_LIVE_THREADS];
	_Atomic uint64_t done[VT_LIVE_PAGES][VT_LIVE_THREADS];
	uint64_t unwritten[VT_LIVE_PAGES][VT_LIVE_THREADS];
};

int vt_live_start(struct vt_live *l, struct vt_area *a);
/* Around each change that loses or breaks. */
void vt_live_begin(struct vt_live *l);
void vt_live_end(struct vt_live *l);
/* Wait for @n more checks. -EBADMSG if one failed, -ETIMEDOUT. */
int vt_live_wait(struct vt_live *l, uint64_t n);
/* 0, or -EBADMSG and a message. */
int vt_live_stop(struct vt_live *l);

/* ------------------------------------------------------------- changes */

/* Page out; the number of pages that are gone, or an error. */
long vt_change_page_out(struct vt_area *a);
/* Pages that are not present in the process. */
size_t vt_area_absent(const struct vt_area *a);
/* Move to the other NUMA node; the number of host pages that moved. */
long vt_change_migrate(struct vt_area *a);
/* The same for one page of 4K. */
long vt_change_migrate_page(struct vt_area *a, size_t page);
/* Make the area of huge pages; -EINVAL where the kernel cannot. */
int vt_change_collapse(struct vt_area *a);
bool vt_area_is_huge(const struct vt_area *a);
/* Split the huge pages themselves, and only how they are mapped. */
int vt_change_split(struct vt_area *a);
int vt_change_split_mapping(struct vt_area *a);
/* Have KSM merge all pages with those of a twin of the area; and undo it. */
int vt_change_merge(struct vt_area *a);
int vt_change_unmerge(struct vt_area *a);
/* The twin, and what is in it is what was merged. */
char *vt_change_twin(void);

/* --------------------------------------------------------- userfaultfd */

#define VT_UFFD_THREADS		2

struct vt_uffd {
	int fd;
	struct vt_area *a;
	/* what missing pages are filled with, as long as the area */
	char *src;
	/* served, those of them for writing, and those somebody was faster at */
	_Atomic uint64_t faults;
	_Atomic uint64_t writes;
	_Atomic uint64_t existed;

	/* private */
	_Atomic bool stop;
	unsigned int threads;
	pthread_t thread[VT_UFFD_THREADS];
};

/* Watch the area of @a. NULL, or why not. */
const char *vt_uffd_open(struct vt_uffd *u, struct vt_area *a,
			 uint64_t features, uint64_t mode);
/* Serve the faults from now on. */
int vt_uffd_serve(struct vt_uffd *u);
int vt_uffd_protect(struct vt_uffd *u);
void vt_uffd_close(struct vt_uffd *u);

#endif
