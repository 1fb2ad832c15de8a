/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/vhost-mmu for the tests: one thin function for each command, statistics
 * by name, memory of a chosen backing.
 *
 * Functions return 0 (or what they are asked for) or a negative errno, and
 * print nothing: an error is often what a test wants. Where an fd is taken, a
 * reader's will do if the command works on readers. Everything may be called
 * from several threads.
 */
#ifndef VHOST_TEST_MMU_H
#define VHOST_TEST_MMU_H

#include <linux/kvm.h>
#include <linux/vhost_mmu.h>
#include "bitmap.h"
#include "sys.h"
#include "vhost_test.h"

#define VT_MMU_PATH	"/dev/vhost-mmu"
/* The module's parameters. */
#define VT_MMU_PARAMS	"/sys/module/vhost_mmu/parameters/"

/* An MMU. */
int vt_mmu_open(void);
/* Is there a device? If not the test skips, and VT_MMU_NO_DEV says why. */
bool vt_mmu_available(void);
#define VT_MMU_NO_DEV	"there is no " VT_MMU_PATH

/* The return value of an ioctl as 0 (or more) or -errno. */
int vt_mmu_ioctl(int fd, unsigned long cmd, void *arg);

int vt_mmu_info(int fd, struct vmmu_get_info *info);
/* @ring_entries 0: bitmaps. */
int vt_mmu_options(int fd, uint64_t options, uint32_t ring_entries);
/* @size 0 deletes. */
int vt_mmu_slot(int fd, uint32_t slot, uint32_t flags, uint64_t gpa,
		const void *hva, uint64_t size);
int vt_mmu_slot_delete(int fd, uint32_t slot);

/* One ioctl; what is left is passed back. */
int vt_mmu_populate(int fd, uint32_t flags, uint64_t *gpa, uint64_t *len);
/* Until nothing is left, or an error other than EAGAIN. */
int vt_mmu_populate_all(int fd, uint32_t flags, uint64_t gpa, uint64_t len);
int vt_mmu_translate(int fd, uint32_t flags, uint64_t gpa,
		     struct vmmu_translate *out);

int vt_mmu_read(int fd, uint64_t gpa, void *buf, size_t len);
int vt_mmu_write(int fd, uint64_t gpa, const void *buf, size_t len);
int vt_mmu_read64(int fd, uint64_t gpa, uint64_t *val);
int vt_mmu_write64(int fd, uint64_t gpa, uint64_t val);

int vt_mmu_get_dirty(int fd, uint32_t slot, void *bitmap);
int vt_mmu_clear_dirty(int fd, uint32_t slot, uint64_t first, uint64_t num,
		       const void *bitmap);
/* The fd of a new reader. */
int vt_mmu_create_reader(int fd);
/* The dirty ring of a reader; NULL if it cannot be mapped. */
struct vmmu_dirty_gfn *vt_mmu_map_ring(int reader, uint32_t entries);
/* @count may be NULL. */
int vt_mmu_reset_rings(int fd, uint32_t *count);
/* @bitmap and @young may be NULL. */
int vt_mmu_age(int fd, uint32_t flags, uint64_t gpa, uint64_t len, void *bitmap,
	       uint64_t *young);

/* ---------------------------------------------------------- statistics */

#define VT_MMU_STATS_MAX	64
#define VT_MMU_STAT_NAME	64

struct vt_mmu_stat_desc {
	char name[VT_MMU_STAT_NAME];
	uint32_t flags;
	/* in the file, the start of the data included */
	uint64_t offset;
};

/* What the file says of itself. */
struct vt_mmu_stats {
	struct kvm_stats_header header;
	unsigned int num;
	struct vt_mmu_stat_desc desc[VT_MMU_STATS_MAX];
};

/* The statistics of MMU @fd, as a file. */
int vt_mmu_stats_open(int fd);
/* Read the layout. */
int vt_mmu_stats_parse(int stats_fd, struct vt_mmu_stats *stats);
/*
 * One value; ~0 if there is none of that name. The layout is read from the
 * first file and used for all.
 */
uint64_t vt_mmu_stat(int stats_fd, const char *name);
/* Wait until a value is at least @min; what it was last. */
uint64_t vt_mmu_stat_wait(int stats_fd, const char *name, uint64_t min,
			  int timeout_ms);

/* The change of a statistic since its value was @since. */
uint64_t vt_mmu_stat_delta(int stats, const char *name, uint64_t since);
/* Pages of entries for [gpa, gpa + pages): root, 512G, 1G and 2M levels. */
uint64_t vt_mmu_count_tables(uint64_t gpa, uint64_t pages, bool huge);

/* ---------------------------------------------------------- the module */

/* Does this build have the parameter, and may it be written? */
bool vt_mmu_has_param(const char *name);
/* Set a parameter of vhost_mmu; false if this build has no such parameter. */
bool vt_mmu_set_param(const char *name, const char *value);
#define VT_MMU_NO_PARAM	"needs a debug build of vhost_mmu: no "
#endif
