/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run the same calls against two device nodes and compare every answer.
 *
 * A script is a function that makes calls on one device and records each
 * answer. It runs in a process of its own for each device, under a watchdog.
 * The two records must then be equal, and both must be what the script says it
 * wants, but for the differences that the test declares and explains.
 */
#ifndef VHOST_TEST_CMP_H
#define VHOST_TEST_CMP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define VT_CMP_MAX	8192
#define VT_CMP_WHAT	56

/* No answer is wrong in itself: only compare. */
#define VT_CMP_ANY	LONG_MIN

#define VT_CMP_STOCK	"/dev/vhost-net"

struct vt_cmp_answer {
	char what[VT_CMP_WHAT];
	/* as from a system call in the kernel: negative is -errno */
	long ret;
	long want;
};

struct vt_cmp_log {
	/* what the script was at when it died or hung */
	volatile unsigned int n;
	struct vt_cmp_answer answer[VT_CMP_MAX];
};

/* What a script gets. */
struct vt_cmp {
	const char *path;
	int fd;
	struct vt_cmp_log *log;
};

/* A difference that is meant to be. The first row that matches counts. */
struct vt_cmp_known {
	/* pattern for 'what', as of fnmatch() */
	const char *what;
	/* the answers of stock and of the device under test */
	long stock;
	long ours;
	/* it is gone once the device offers this feature bit; -1: it stays */
	int until;
	const char *why;
};

typedef void (*vt_cmp_script)(struct vt_cmp *t, void *arg);

/* For scripts: open the device (O_RDWR), make calls, record answers. */
int vt_cmp_open(struct vt_cmp *t);
long vt_cmp_ioctl(struct vt_cmp *t, const char *what, unsigned long cmd,
		  void *arg, long want);
void vt_cmp_answer(struct vt_cmp *t, long ret, long want, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* -errno if @ret is -1, else @ret. */
long vt_cmp_errno(long ret);

/* The two devices, as far as they are here. */
struct vt_cmp_pair {
	/* the device under test, which may be stock itself */
	const char *path;
	bool have_stock;
	bool have_ours;
	bool both;
	/* why not both */
	char why[96];
	uint64_t offered;
	/* zeroed, and children can write them */
	struct vt_cmp_log *stock;
	struct vt_cmp_log *ours;
};

/* -ENOENT if neither is here. */
int vt_cmp_pair_open(struct vt_cmp_pair *p);

/*
 * Run @script against @path. 0, -ETIMEDOUT if it did not end, -ECHILD if it
 * died; @log holds what it recorded until then.
 */
int vt_cmp_run(const char *path, vt_cmp_script script, void *arg,
	       struct vt_cmp_log *log);

/*
 * Compare with what the script wants; returns the number of wrong answers and
 * describes them if @loud. @known may be NULL for stock.
 */
unsigned int vt_cmp_check(const char *path, const struct vt_cmp_log *log,
			  const struct vt_cmp_known *known, uint64_t offered,
			  bool loud);
/* Compare the two; the number of unexplained differences. */
unsigned int vt_cmp_both(const struct vt_cmp_log *stock,
			 const struct vt_cmp_log *ours,
			 const struct vt_cmp_known *known, uint64_t offered,
			 bool loud);

#endif
