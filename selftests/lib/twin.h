/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Run the same calls against two device nodes and compare every answer.
 *
 * A script is a function that makes calls on one device and records each
 * answer. It runs in a process of its own for each device, under a watchdog.
 * The two records must then be equal, and both must be what the script says it
 * wants, but for the differences that the test declares and explains.
 */
#ifndef TWIN_H
#define TWIN_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define TWIN_MAX	8192
#define TWIN_WHAT	56

/* No answer is wrong in itself: only compare. */
#define TWIN_ANY	LONG_MIN

#define TWIN_STOCK	"/dev/vhost-net"

struct twin_answer {
	char what[TWIN_WHAT];
	/* as from a system call in the kernel: negative is -errno */
	long ret;
	long want;
};

struct twin_log {
	/* what the script was at when it died or hung */
	volatile unsigned int n;
	struct twin_answer answer[TWIN_MAX];
};

/* What a script gets. */
struct twin {
	const char *path;
	int fd;
	struct twin_log *log;
};

/* A difference that is meant to be. The first row that matches counts. */
struct twin_known {
	/* pattern for 'what', as of fnmatch() */
	const char *what;
	/* the answers of stock and of the device under test */
	long stock;
	long ours;
	/* it is gone once the device offers this feature bit; -1: it stays */
	int until;
	const char *why;
};

typedef void (*twin_script)(struct twin *t, void *arg);

/* For scripts: open the device (O_RDWR), make calls, record answers. */
int twin_open(struct twin *t);
long twin_ioctl(struct twin *t, const char *what, unsigned long cmd, void *arg,
		long want);
void twin_answer(struct twin *t, long ret, long want, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* -errno if @ret is -1, else @ret. */
long twin_errno(long ret);

/* The two devices, as far as they are here. */
struct twin_pair {
	/* the device under test, which may be stock itself */
	const char *path;
	bool have_stock;
	bool have_ours;
	bool both;
	/* why not both */
	char why[96];
	uint64_t offered;
	/* zeroed, and children can write them */
	struct twin_log *stock;
	struct twin_log *ours;
};

/* -ENOENT if neither is here. */
int twin_pair_open(struct twin_pair *p);

/*
 * Run @script against @path. 0, -ETIMEDOUT if it did not end, -ECHILD if it
 * died; @log holds what it recorded until then.
 */
int twin_run(const char *path, twin_script script, void *arg,
	     struct twin_log *log);

/*
 * Compare with what the script wants; returns the number of wrong answers and
 * describes them if @loud. @known may be NULL for stock.
 */
unsigned int twin_check(const char *path, const struct twin_log *log,
			const struct twin_known *known, uint64_t offered,
			bool loud);
/* Compare the two; the number of unexplained differences. */
unsigned int twin_compare(const struct twin_log *stock,
			  const struct twin_log *ours,
			  const struct twin_known *known, uint64_t offered,
			  bool loud);

#endif
