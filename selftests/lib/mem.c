// SPDX-License-Identifier: GPL-2.0
/* Memory of a chosen backing. */
#include "vhost_test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const backing_names[] = {
	[VT_ANON] = "anon",
	[VT_SCATTER] = "scatter",
	[VT_THP] = "thp",
	[VT_HUGETLB] = "hugetlb",
	[VT_MEMFD] = "memfd",
	[VT_FILE] = "file",
};

const char *vt_backing_name(enum vt_backing backing)
{
	return backing_names[backing];
}

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

/* Have at least @want huge pages free; the pool only ever grows. */
static int reserve_huge(unsigned long want)
{
	unsigned long total = 0, avail = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "HugePages_Total: %lu", &total) != 1)
			(void)!sscanf(line, "HugePages_Free: %lu", &avail);
	}
	fclose(f);
	if (avail >= want)
		return 0;
	f = fopen("/proc/sys/vm/nr_hugepages", "w");
	if (!f)
		return -errno;
	fprintf(f, "%lu\n", total + want - avail);
	/* the kernel gives what it can: the mapping finds out */
	return fclose(f) ? -errno : 0;
}

static int open_backing_file(void)
{
	const char *dir = getenv("VT_FILE_DIR");
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/vhost-test.XXXXXX",
		 dir ? dir : "/var/tmp");
	fd = mkstemp(path);
	if (fd < 0) {
		vt_msg("mem: cannot create %s: %m (set VT_FILE_DIR)", path);
		return -errno;
	}
	unlink(path);
	return fd;
}

/*
 * Fault pages in, in random order and take pages for decoys in between: the
 * page allocator then has no chance to hand out neighbours.
 */
static void populate_scattered(char *p, size_t len)
{
	size_t n = len / VT_PAGE;
	size_t *order = calloc(n, sizeof(*order));
	char *decoy = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (!order || decoy == MAP_FAILED)
		abort();
	madvise(decoy, len, MADV_NOHUGEPAGE);
	for (i = 0; i < n; i++) {
		size_t j = (size_t)rand() % (i + 1);

		order[i] = order[j];
		order[j] = i;
	}
	for (i = 0; i < n; i++) {
		p[order[i] * VT_PAGE] = 0;
		decoy[i * VT_PAGE] = 0;
	}
	munmap(decoy, len);
	free(order);
}

int vt_mem_alloc(struct vt_mem *m, enum vt_backing backing, size_t len,
		 size_t align, size_t skew)
{
	bool huge = backing == VT_HUGETLB;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t slack;
	char *p;
	int r;

	memset(m, 0, sizeof(*m));
	m->backing = backing;
	m->fd = -1;
	if (!align)
		align = VT_PAGE;
	if (backing == VT_THP && align < VT_HUGE_SIZE)
		align = VT_HUGE_SIZE;
	slack = align > VT_PAGE && !huge ? align : 0;
	m->map_len =
		round_up(len + skew, huge ? VT_HUGE_SIZE : VT_PAGE) + slack;

	switch (backing) {
	case VT_HUGETLB:
		r = reserve_huge(m->map_len / VT_HUGE_SIZE);
		if (r)
			return r;
		flags |= MAP_HUGETLB;
		break;
	case VT_MEMFD:
	case VT_FILE:
		m->fd = backing == VT_MEMFD ?
			memfd_create("vhost-test", MFD_CLOEXEC) :
			open_backing_file();
		if (m->fd < 0)
			return backing == VT_MEMFD ? -errno : m->fd;
		if (ftruncate(m->fd, m->map_len))
			goto err;
		flags = MAP_SHARED;
		break;
	default:
		break;
	}

	p = mmap(NULL, m->map_len, PROT_READ | PROT_WRITE, flags, m->fd, 0);
	if (p == MAP_FAILED)
		goto err;
	m->map = p;
	m->base = (void *)(round_up((uintptr_t)p, align) + skew);
	m->fd_off = (char *)m->base - p;
	m->len = len;

	if (backing == VT_THP)
		madvise(p, m->map_len, MADV_HUGEPAGE);
	else if (!huge)
		madvise(p, m->map_len, MADV_NOHUGEPAGE);
	if (backing == VT_SCATTER)
		populate_scattered(p, m->map_len);
	else
		memset(p, 0, m->map_len);
	return 0;
err:
	r = -errno;
	vt_msg("mem: cannot map %zu bytes of %s: %m", m->map_len,
	       backing_names[backing]);
	vt_mem_free(m);
	return r;
}

void vt_mem_free(struct vt_mem *m)
{
	if (m->map)
		munmap(m->map, m->map_len);
	if (m->fd > 0)
		close(m->fd);
	memset(m, 0, sizeof(*m));
	m->fd = -1;
}

int vt_mem_alloc_huge(struct vt_mem *m, enum vt_backing backing, size_t len)
{
	unsigned int tries;
	int r;

	if (backing == VT_THP) {
		int fd = open("/sys/kernel/mm/transparent_hugepage/enabled",
			      O_WRONLY | O_CLOEXEC);

		/* by madvise() alone, so that other memory stays small */
		if (fd >= 0) {
			(void)!write(fd, "madvise", 7);
			close(fd);
		}
	}
	for (tries = 0; tries < 4; tries++) {
		r = vt_mem_alloc(m, backing, len, VT_HUGE_SIZE, 0);
		if (r || backing != VT_THP || vt_is_thp(m->base, len))
			return r;
		vt_mem_free(m);
	}
	return -EAGAIN;
}

int vt_mem_alloc_untouched(struct vt_mem *m, enum vt_backing backing,
			   size_t len)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *p;

	memset(m, 0, sizeof(*m));
	m->backing = backing;
	m->fd = -1;
	m->map_len = len + VT_HUGE_SIZE;
	if (backing == VT_MEMFD) {
		m->fd = memfd_create("mmu-test", MFD_CLOEXEC);
		if (m->fd < 0 || ftruncate(m->fd, m->map_len))
			return -errno;
		flags = MAP_SHARED | MAP_NORESERVE;
	}
	p = mmap(NULL, m->map_len, PROT_READ | PROT_WRITE, flags, m->fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	madvise(p, m->map_len, MADV_NOHUGEPAGE);
	m->map = p;
	m->base = (void *)(((uintptr_t)p + VT_HUGE_SIZE - 1) &
			   ~(VT_HUGE_SIZE - 1));
	m->fd_off = (char *)m->base - p;
	m->len = len;
	return 0;
}
