// SPDX-License-Identifier: GPL-2.0
/* Commands of /dev/vhost-mmu, its statistics. */
#include "mmu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

int vt_mmu_open(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int fd;

	pthread_once(&once, vt_numa_balancing_off);
	fd = open(VT_MMU_PATH, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

bool vt_mmu_available(void)
{
	return !access(VT_MMU_PATH, R_OK | W_OK);
}

int vt_mmu_ioctl(int fd, unsigned long cmd, void *arg)
{
	int r = ioctl(fd, cmd, arg);

	return r < 0 ? -errno : r;
}

int vt_mmu_info(int fd, struct vmmu_get_info *info)
{
	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	return vt_mmu_ioctl(fd, VMMU_GET_INFO, info);
}

int vt_mmu_options(int fd, uint64_t options, uint32_t ring_entries)
{
	struct vmmu_set_options o = {
		.size = sizeof(o),
		.options = options,
		.ring_entries = ring_entries,
	};

	return vt_mmu_ioctl(fd, VMMU_SET_OPTIONS, &o);
}

int vt_mmu_slot(int fd, uint32_t slot, uint32_t flags, uint64_t gpa,
		const void *hva, uint64_t size)
{
	struct vmmu_set_memslot s = {
		.size = sizeof(s),
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	return vt_mmu_ioctl(fd, VMMU_SET_MEMSLOT, &s);
}

int vt_mmu_slot_delete(int fd, uint32_t slot)
{
	return vt_mmu_slot(fd, slot, 0, 0, NULL, 0);
}

int vt_mmu_populate(int fd, uint32_t flags, uint64_t *gpa, uint64_t *len)
{
	struct vmmu_populate p = {
		.size = sizeof(p),
		.flags = flags,
		.gpa = *gpa,
		.length = *len,
	};
	int r = vt_mmu_ioctl(fd, VMMU_POPULATE, &p);

	*gpa = p.gpa;
	*len = p.length;
	return r;
}

int vt_mmu_populate_all(int fd, uint32_t flags, uint64_t gpa, uint64_t len)
{
	int r = 0;

	while (len && (!r || r == -EAGAIN))
		r = vt_mmu_populate(fd, flags, &gpa, &len);
	return r;
}

int vt_mmu_translate(int fd, uint32_t flags, uint64_t gpa,
		     struct vmmu_translate *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->flags = flags;
	out->gpa = gpa;
	return vt_mmu_ioctl(fd, VMMU_TRANSLATE, out);
}

static int copy(int fd, unsigned long cmd, uint64_t gpa, const void *buf,
		size_t len)
{
	struct vmmu_access a = {
		.size = sizeof(a),
		.gpa = gpa,
		.length = len,
		.data = (uintptr_t)buf,
	};

	return vt_mmu_ioctl(fd, cmd, &a);
}

int vt_mmu_read(int fd, uint64_t gpa, void *buf, size_t len)
{
	return copy(fd, VMMU_READ, gpa, buf, len);
}

int vt_mmu_write(int fd, uint64_t gpa, const void *buf, size_t len)
{
	return copy(fd, VMMU_WRITE, gpa, buf, len);
}

int vt_mmu_read64(int fd, uint64_t gpa, uint64_t *val)
{
	return vt_mmu_read(fd, gpa, val, sizeof(*val));
}

int vt_mmu_write64(int fd, uint64_t gpa, uint64_t val)
{
	return vt_mmu_write(fd, gpa, &val, sizeof(val));
}

int vt_mmu_get_dirty(int fd, uint32_t slot, void *bitmap)
{
	struct vmmu_dirty_log d = {
		.size = sizeof(d),
		.slot = slot,
		.bitmap = (uintptr_t)bitmap,
	};

	return vt_mmu_ioctl(fd, VMMU_GET_DIRTY_LOG, &d);
}

int vt_mmu_clear_dirty(int fd, uint32_t slot, uint64_t first, uint64_t num,
		       const void *bitmap)
{
	struct vmmu_dirty_log d = {
		.size = sizeof(d),
		.slot = slot,
		.first_page = first,
		.num_pages = num,
		.bitmap = (uintptr_t)bitmap,
	};

	return vt_mmu_ioctl(fd, VMMU_CLEAR_DIRTY_LOG, &d);
}

int vt_mmu_create_reader(int fd)
{
	struct vmmu_create_reader c = { .size = sizeof(c), .out_fd = -1 };
	int r = vt_mmu_ioctl(fd, VMMU_CREATE_READER, &c);

	return r ? r : c.out_fd;
}

struct vmmu_dirty_gfn *vt_mmu_map_ring(int reader, uint32_t entries)
{
	void *p = mmap(NULL, entries * sizeof(struct vmmu_dirty_gfn),
		       PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0);

	return p == MAP_FAILED ? NULL : p;
}

int vt_mmu_reset_rings(int fd, uint32_t *count)
{
	struct vmmu_reset_dirty_rings d = { .size = sizeof(d) };
	int r = vt_mmu_ioctl(fd, VMMU_RESET_DIRTY_RINGS, &d);

	if (count)
		*count = d.count;
	return r;
}

int vt_mmu_age(int fd, uint32_t flags, uint64_t gpa, uint64_t len, void *bitmap,
	       uint64_t *young)
{
	struct vmmu_age a = {
		.size = sizeof(a),
		.flags = flags,
		.gpa = gpa,
		.length = len,
		.bitmap = (uintptr_t)bitmap,
	};
	int r = vt_mmu_ioctl(fd, VMMU_AGE, &a);

	if (young)
		*young = a.young;
	return r;
}

int vt_mmu_stats_open(int fd)
{
	struct vmmu_get_stats_fd s = { .size = sizeof(s), .out_fd = -1 };
	int r = vt_mmu_ioctl(fd, VMMU_GET_STATS_FD, &s);

	return r ? r : s.out_fd;
}

int vt_mmu_stats_parse(int stats_fd, struct vt_mmu_stats *stats)
{
	struct kvm_stats_header *h = &stats->header;
	char raw[sizeof(struct kvm_stats_desc) + VT_MMU_STAT_NAME];
	struct kvm_stats_desc *d = (void *)raw;
	size_t len;
	unsigned int i;

	memset(stats, 0, sizeof(*stats));
	if (pread(stats_fd, h, sizeof(*h), 0) != sizeof(*h))
		return -EIO;
	if (h->name_size > VT_MMU_STAT_NAME || h->num_desc > VT_MMU_STATS_MAX)
		return -E2BIG;
	len = sizeof(*d) + h->name_size;
	for (i = 0; i < h->num_desc; i++) {
		struct vt_mmu_stat_desc *out = &stats->desc[i];

		if (pread(stats_fd, raw, len, h->desc_offset + i * len) !=
		    (ssize_t)len)
			return -EIO;
		snprintf(out->name, sizeof(out->name), "%.*s",
			 (int)h->name_size, d->name);
		out->flags = d->flags;
		out->offset = h->data_offset + d->offset;
	}
	stats->num = h->num_desc;
	return 0;
}

uint64_t vt_mmu_stat(int stats_fd, const char *name)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct vt_mmu_stats stats;
	uint64_t val = -1ULL;
	unsigned int i;

	pthread_mutex_lock(&lock);
	if (!stats.num)
		vt_mmu_stats_parse(stats_fd, &stats);
	pthread_mutex_unlock(&lock);
	for (i = 0; i < stats.num; i++) {
		if (strcmp(name, stats.desc[i].name))
			continue;
		if (pread(stats_fd, &val, sizeof(val), stats.desc[i].offset) !=
		    sizeof(val))
			val = -1ULL;
		return val;
	}
	vt_msg("mmu: there is no statistic %s", name);
	return -1ULL;
}

uint64_t vt_mmu_stat_wait(int stats_fd, const char *name, uint64_t min,
			  int timeout_ms)
{
	uint64_t end = vt_patient_ns() + timeout_ms * 1000000ULL;
	uint64_t val;

	for (;;) {
		val = vt_mmu_stat(stats_fd, name);
		if (val >= min || vt_patient_ns() > end)
			return val;
		usleep(1000);
	}
}

uint64_t vt_mmu_stat_delta(int stats, const char *name, uint64_t since)
{
	return vt_mmu_stat(stats, name) - since;
}

bool vt_mmu_has_param(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), VT_MMU_PARAMS "%s", name);
	return !access(path, W_OK);
}

bool vt_mmu_set_param(const char *name, const char *value)
{
	char path[128];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), VT_MMU_PARAMS "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = write(fd, value, strlen(value));
	if (n < 0)
		vt_msg("mmu: cannot write %s to %s: %m", value, path);
	close(fd);
	return n > 0;
}

uint64_t vt_mmu_count_tables(uint64_t gpa, uint64_t pages, bool huge)
{
	uint64_t first = gpa / VT_PAGE, last = first + pages - 1, n = 1;
	unsigned int shift;

	for (shift = 27; shift >= (huge ? 18 : 9); shift -= 9)
		n += (last >> shift) - (first >> shift) + 1;
	return n;
}
