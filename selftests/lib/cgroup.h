/* SPDX-License-Identifier: GPL-2.0 */
/* A control group of a test's own, and what of the kernel's memory it pays for. */
#ifndef VT_CGROUP_H
#define VT_CGROUP_H

#include <sys/types.h>

#define VT_CGROUP "/sys/fs/cgroup/vhost-test"

/* Make the group anew; NULL, or why there is none. */
const char *vt_cgroup_make(void);
/* Move a process into it, 0 for the caller; 0 or -errno. */
int vt_cgroup_enter(pid_t pid);
/* The caller leaves; the group goes if nobody else is in it. */
void vt_cgroup_leave(void);

/* A field of one of its files, such as "memory.stat" and "kernel"; or -1. */
long long vt_cgroup_read(const char *file, const char *field);
/*
 * Memory of the kernel that it is charged, in bytes; or -1. Counted in batches for
 * each CPU, and so some pages late.
 */
long long vt_cgroup_kernel(void);
/* Wait until that is no more than @max bytes; what it is then. */
long long vt_cgroup_kernel_wait(long long max);

#endif
