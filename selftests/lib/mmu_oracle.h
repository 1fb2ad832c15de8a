/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Guest memory of every kind whose content tells when and where it was
 * written, and what the host can do to it.
 *
 *	mo_area		memory of a chosen backing behind one memslot of an MMU
 *			of its own; filled and checked by the process or
 *			through the MMU, word by word
 *	mo_live		threads that write one way and read the other, without
 *			a pause, while the memory is changed under them
 *	mo_...		changes: page out, migrate, collapse, split, merge
 *	mo_uffd		threads that serve a userfaultfd
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

enum mo_backing {
	/* anonymous, 4K pages */
	MO_ANON,
	/* anonymous, 2M pages */
	MO_THP,
	/* shared memfd */
	MO_MEMFD,
	/* private hugetlb */
	MO_HUGETLB,
	/* shared memfd of hugetlb */
	MO_HUGEFD,
	/* a private mapping of a file on a real file system */
	MO_PRIVATE,
	MO_BACKINGS,
};

#define MO_WORDS		(VT_PAGE / 8)
/* Where the area of an mo_area is in guest memory. */
#define MO_GPA			(1ULL << 32)

struct mo_area {
	enum mo_backing backing;
	/* 2M aligned, mapped at MO_GPA in memslot 0 */
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

const char *mo_name(enum mo_backing backing);

/*
 * NULL, or why there is no such memory. Its pages are there, and hold nothing
 * yet: MO_UNWRITTEN.
 */
const char *mo_open(struct mo_area *a, enum mo_backing backing);
void mo_close(struct mo_area *a);
/* The memory alone, of @len bytes, which no MMU has. */
const char *mo_alloc(struct mo_area *a, enum mo_backing backing, size_t len);
/* The length of an area of @backing. */
size_t mo_len(enum mo_backing backing);
/* Map the memory (again) at a->base: what was there is gone. */
int mo_remap(struct mo_area *a);
uint64_t mo_stat(const struct mo_area *a, const char *name);
/* How page @page is mapped: perms, page_shift and so on; faults nothing. */
int mo_look(const struct mo_area *a, size_t page, struct vmmu_translate *t);
/* How many pages of the area the MMU maps now. */
size_t mo_mapped(const struct mo_area *a);

/*
 * Generations are numbers from 1 up; this one is what is found in memory that
 * was not written: zeros, or the file.
 */
#define MO_UNWRITTEN		0

uint64_t mo_word(uint64_t gen, size_t page, size_t word);
/* Write all of it, by the process or through the MMU. */
void mo_fill(struct mo_area *a, uint64_t gen);
int mo_fill_mmu(struct mo_area *a, uint64_t gen);
/* Check all of it: 0, or an error and a message. */
int mo_check(struct mo_area *a, uint64_t gen);
int mo_check_mmu(struct mo_area *a, uint64_t gen);
/* Check other memory as if it were the area. */
int mo_check_at(struct mo_area *a, const char *p, uint64_t gen, const char *who);

/* ---------------------------------------------------------------- live */

#define MO_THREADS		3
#define MO_LIVE_PAGES		64

struct mo_live {
	struct mo_area *a;
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
	pthread_t thread[MO_THREADS];
	/* every word has one writer: the bounds of what others may see of it */
	_Atomic uint64_t begun[MO_LIVE_PAGES][MO_THREADS];
	_Atomic uint64_t done[MO_LIVE_PAGES][MO_THREADS];
	uint64_t unwritten[MO_LIVE_PAGES][MO_THREADS];
};

int mo_live_start(struct mo_live *l, struct mo_area *a);
/* Around each change that loses or breaks. */
void mo_live_begin(struct mo_live *l);
void mo_live_end(struct mo_live *l);
/* Wait for @n more checks. -EBADMSG if one failed, -ETIMEDOUT. */
int mo_live_wait(struct mo_live *l, uint64_t n);
/* 0, or -EBADMSG and a message. */
int mo_live_stop(struct mo_live *l);

/* ------------------------------------------------------------- changes */

/* Page out; the number of pages that are gone, or an error. */
long mo_page_out(struct mo_area *a);
/* Pages that are not present in the process. */
size_t mo_absent(const struct mo_area *a);
/* Move to the other NUMA node; the number of host pages that moved. */
long mo_migrate(struct mo_area *a);
/* The same for one page of 4K. */
long mo_migrate_page(struct mo_area *a, size_t page);
/* Make the area of huge pages; -EINVAL where the kernel cannot. */
int mo_collapse(struct mo_area *a);
bool mo_is_huge(const struct mo_area *a);
/* Split the huge pages themselves, and only how they are mapped. */
int mo_split(struct mo_area *a);
int mo_split_mapping(struct mo_area *a);
/* Have KSM merge all pages with those of a twin of the area; and undo it. */
int mo_merge(struct mo_area *a);
int mo_unmerge(struct mo_area *a);
/* The twin, and what is in it is what was merged. */
char *mo_twin(void);

/* --------------------------------------------------------- userfaultfd */

#define MO_UFFD_THREADS		2

struct mo_uffd {
	int fd;
	struct mo_area *a;
	/* what missing pages are filled with, as long as the area */
	char *src;
	/* served, those of them for writing, and those somebody was faster at */
	_Atomic uint64_t faults;
	_Atomic uint64_t writes;
	_Atomic uint64_t existed;

	/* private */
	_Atomic bool stop;
	unsigned int threads;
	pthread_t thread[MO_UFFD_THREADS];
};

/* Watch the area of @a. NULL, or why not. */
const char *mo_uffd_open(struct mo_uffd *u, struct mo_area *a,
			 uint64_t features, uint64_t mode);
/* Serve the faults from now on. */
int mo_uffd_serve(struct mo_uffd *u);
int mo_uffd_protect(struct mo_uffd *u);
void mo_uffd_close(struct mo_uffd *u);

#endif
