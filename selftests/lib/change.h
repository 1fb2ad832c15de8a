/* SPDX-License-Identifier: GPL-2.0 */
/* What the host does to an area: page out, migrate, collapse, split, merge. */
#ifndef VHOST_TEST_CHANGE_H
#define VHOST_TEST_CHANGE_H

#include <sys/mman.h>

#include "area.h"

#ifndef MADV_PAGEOUT
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

/* Page out; the number of pages that are gone, or an error. */
long vt_change_page_out(struct vt_area *a);
/* Move to the other NUMA node; the number of host pages that moved. */
long vt_change_migrate(struct vt_area *a);
/* The same for one page of 4K. */
long vt_change_migrate_page(struct vt_area *a, size_t page);
/* Make the area of huge pages; -EINVAL where the kernel cannot. */
int vt_change_collapse(struct vt_area *a);
/* Split the huge pages themselves, and only how they are mapped. */
int vt_change_split(struct vt_area *a);
int vt_change_split_mapping(struct vt_area *a);
/* Have KSM merge all pages with those of a twin of the area; and undo it. */
int vt_change_merge(struct vt_area *a);
int vt_change_unmerge(struct vt_area *a);
/* The twin, and what is in it is what was merged. */
char *vt_change_twin(void);

#endif
