/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that a device may reach by user access only. Each function maps @len
 * bytes and returns NULL, or why there is no such memory.
 */
#ifndef VHOST_TEST_ODD_MEM_H
#define VHOST_TEST_ODD_MEM_H

#include <stddef.h>

typedef const char *(*vt_odd_mem_map)(size_t len, char **p);

/* A descriptor's own. */
const char *vt_odd_mem_fd(int fd, size_t len, int flags, char **p);
/* A file on a real file system, which must be told before a page is dirtied. */
const char *vt_odd_mem_file(size_t len, char **p);
/* The same, of which this process has copies: that is no odd memory. */
const char *vt_odd_mem_file_private(size_t len, char **p);
/* The file of the last two, -1 before that. */
int vt_odd_mem_file_fd(void);
/* memfd_secret() */
const char *vt_odd_mem_secret(size_t len, char **p);
/* A buffer of a virtual GPU: a mapping of bare page frames. */
const char *vt_odd_mem_pfn(size_t len, char **p);
/* Pages of the kernel, put into a mapping one by one. */
const char *vt_odd_mem_kernel_pages(size_t len, char **p);

#endif
