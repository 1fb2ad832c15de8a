// SPDX-License-Identifier: GPL-2.0
/*
 * The statistics of an MMU: KVM's binary layout, the names, what they count.
 * Timeout: 30 s
 */
#include <kselftest_harness.h>
#include <ctype.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "mmu.h"

#define GPA	0x200000UL
#define PAGES	32UL

#define INSTANT		KVM_STATS_TYPE_INSTANT
#define CUMULATIVE	KVM_STATS_TYPE_CUMULATIVE
#define PEAK		KVM_STATS_TYPE_PEAK

static const struct {
	const char *name;
	uint32_t type;
} names[] = {
	{ "pages_4k", INSTANT },
	{ "pages_2m", INSTANT },
	{ "pages_1g", INSTANT },
	{ "table_pages", INSTANT },
	{ "memslots", INSTANT },
	{ "readers", INSTANT },
	{ "pf_taken", CUMULATIVE },
	{ "pf_fixed", CUMULATIVE },
	{ "pf_fast", CUMULATIVE },
	{ "pf_spurious", CUMULATIVE },
	{ "pf_retried", CUMULATIVE },
	{ "pf_failed", CUMULATIVE },
	{ "mmu_lock_notifier", CUMULATIVE },
	{ "mmu_lock_write_fault", CUMULATIVE },
	{ "notifier_starts", CUMULATIVE },
	{ "invalidations", CUMULATIVE },
	{ "pages_zapped", CUMULATIVE },
	{ "yields", CUMULATIVE },
	{ "splits", CUMULATIVE },
	{ "collapses", CUMULATIVE },
	{ "dirty_pages", CUMULATIVE },
	{ "ring_full", CUMULATIVE },
	{ "slot_swaps", CUMULATIVE },
	{ "bytes_direct", CUMULATIVE },
	{ "bytes_user", CUMULATIVE },
	{ "drains", CUMULATIVE },
	{ "drain_max_ns", PEAK },
	{ "table_pages_peak", PEAK },
};

#define NUM_NAMES	ARRAY_SIZE(names)

FIXTURE(stats)
{
	int fd;
	int stats;
	char *mem;
};

FIXTURE_SETUP(stats)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	self->mem = mmap(NULL, PAGES * VT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	memset(self->mem, 1, PAGES * VT_PAGE);
	self->fd = vt_mmu_open();
	ASSERT_LE(0, self->fd);
	self->stats = vt_mmu_stats_open(self->fd);
	ASSERT_LE(0, self->stats);
}

FIXTURE_TEARDOWN(stats)
{
	close(self->stats);
	close(self->fd);
}

TEST_F(stats, layout)
{
	struct kvm_stats_header h;
	struct kvm_stats_desc *d;
	size_t desc_len, total;
	bool seen[256] = {};
	char *id, *raw;
	unsigned int i;

	ASSERT_EQ(sizeof(h), pread(self->stats, &h, sizeof(h), 0));
	EXPECT_EQ(0, h.flags);
	EXPECT_EQ(NUM_NAMES, h.num_desc);
	ASSERT_LT(0, h.name_size);
	ASSERT_GE(VT_MMU_STAT_NAME, h.name_size);
	desc_len = sizeof(*d) + h.name_size;
	/* header, id, descriptors, data: each aligned, none in another */
	EXPECT_LE(sizeof(h), h.id_offset);
	EXPECT_LE(h.id_offset + h.name_size, h.desc_offset);
	EXPECT_LE(h.desc_offset + h.num_desc * desc_len, h.data_offset);
	EXPECT_EQ(0, h.id_offset % 4);
	EXPECT_EQ(0, h.desc_offset % 8);
	EXPECT_EQ(0, h.data_offset % 8);

	id = calloc(1, h.name_size);
	raw = malloc(desc_len);
	d = (void *)raw;
	ASSERT_EQ(h.name_size,
		  pread(self->stats, id, h.name_size, h.id_offset));
	EXPECT_NE(NULL, memchr(id, 0, h.name_size));
	EXPECT_EQ(0, strncmp(id, "vhost-mmu-", 10)) TH_LOG("id %s", id);
	for (i = 0; i < h.num_desc; i++) {
		ASSERT_EQ(desc_len, pread(self->stats, raw, desc_len,
					  h.desc_offset + i * desc_len));
		EXPECT_NE(NULL, memchr(d->name, 0, h.name_size));
		EXPECT_LT(0, strlen(d->name));
		EXPECT_EQ(1, d->size);
		EXPECT_EQ(0, d->bucket_size);
		EXPECT_EQ(0, d->offset % 8);
		/* a place of its own */
		ASSERT_GT(h.num_desc, d->offset / 8);
		EXPECT_FALSE(seen[d->offset / 8]);
		seen[d->offset / 8] = true;
		EXPECT_GE(KVM_STATS_TYPE_PEAK, d->flags & KVM_STATS_TYPE_MASK);
		EXPECT_GE(KVM_STATS_UNIT_MAX, d->flags & KVM_STATS_UNIT_MASK);
		EXPECT_GE(KVM_STATS_BASE_MAX, d->flags & KVM_STATS_BASE_MASK);
		/* what is measured in seconds or bytes says so */
		if (strstr(d->name, "_ns")) {
			EXPECT_EQ(KVM_STATS_UNIT_SECONDS,
				  d->flags & KVM_STATS_UNIT_MASK);
			EXPECT_EQ(-9, d->exponent);
			EXPECT_EQ(KVM_STATS_BASE_POW10,
				  d->flags & KVM_STATS_BASE_MASK);
		} else {
			EXPECT_EQ(strncmp(d->name, "bytes_", 6) ?
				  KVM_STATS_UNIT_NONE : KVM_STATS_UNIT_BYTES,
				  d->flags & KVM_STATS_UNIT_MASK);
			EXPECT_EQ(0, d->exponent);
		}
	}
	/* it ends with the data */
	total = h.data_offset + 8 * h.num_desc;
	EXPECT_EQ(8, pread(self->stats, raw, 16, total - 8));
	EXPECT_EQ(0, pread(self->stats, raw, 16, total));
	EXPECT_EQ(0, pread(self->stats, raw, 16, total + 100));
	free(id);
	free(raw);
}

TEST_F(stats, names)
{
	struct vt_mmu_stats s;
	unsigned int i, j;

	ASSERT_EQ(0, vt_mmu_stats_parse(self->stats, &s));
	for (i = 0; i < NUM_NAMES; i++) {
		for (j = 0; j < s.num; j++)
			if (!strcmp(names[i].name, s.desc[j].name))
				break;
		EXPECT_LT(j, s.num) TH_LOG("%s is missing", names[i].name);
		if (j < s.num)
			EXPECT_EQ(names[i].type,
				  s.desc[j].flags & KVM_STATS_TYPE_MASK)
				TH_LOG("%s", names[i].name);
	}
	EXPECT_EQ(NUM_NAMES, s.num);
	/* nothing has happened yet */
	for (j = 0; j < s.num; j++) {
		uint64_t val = vt_mmu_stat(self->stats, s.desc[j].name);
		bool one = !strncmp(s.desc[j].name, "table_pages", 11);

		/* of other memory of this process */
		if (!strcmp(s.desc[j].name, "notifier_starts"))
			continue;
		EXPECT_EQ(one, val) TH_LOG("%s", s.desc[j].name);
	}
}

/* The same bytes, however they are read. */
TEST_F(stats, reading)
{
	struct kvm_stats_header h;
	char *whole, *pieces;
	size_t total, n = 0;
	struct stat st;
	char c;

	ASSERT_EQ(sizeof(h), pread(self->stats, &h, sizeof(h), 0));
	total = h.data_offset + 8 * h.num_desc;
	whole = calloc(1, total + 64);
	pieces = calloc(1, total + 64);
	/* from the start, at once, in one go and then no more */
	EXPECT_EQ(total, read(self->stats, whole, total + 64));
	EXPECT_EQ(0, read(self->stats, &c, 1));
	EXPECT_EQ(0, memcmp(whole, &h, sizeof(h)));
	/* byte by byte; what moves with time are the data alone */
	while (pread(self->stats, pieces + n, 1, n) == 1)
		n++;
	EXPECT_EQ(total, n);
	EXPECT_EQ(0, memcmp(whole, pieces, h.data_offset));
	/* odd pieces over the borders of the parts */
	memset(pieces, 0, total);
	for (n = 0; n < total; n += 37)
		EXPECT_EQ(total - n < 37 ? total - n : 37,
			  (size_t)pread(self->stats, pieces + n, 37, n));
	EXPECT_EQ(0, memcmp(whole, pieces, h.data_offset));

	EXPECT_EQ(-1, write(self->stats, &h, 4));
	EXPECT_EQ(O_RDONLY, fcntl(self->stats, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->stats, F_GETFD));
	ASSERT_EQ(0, munmap(self->mem, VT_PAGE));
	EXPECT_EQ(-1, pread(self->stats, self->mem, 64, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, fstat(self->stats, &st));
	free(whole);
	free(pieces);
}

TEST_F(stats, values)
{
	char buf[100];

	EXPECT_EQ(0, vt_mmu_stat(self->stats, "memslots"));
	ASSERT_EQ(0,
		  vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, PAGES * VT_PAGE));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "memslots"));
	EXPECT_LE(1, vt_mmu_stat(self->stats, "slot_swaps"));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, PAGES * VT_PAGE));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pf_fixed"));
	EXPECT_LE(PAGES, vt_mmu_stat(self->stats, "pf_taken"));
	EXPECT_EQ(4, vt_mmu_stat(self->stats, "table_pages"));
	EXPECT_EQ(4, vt_mmu_stat(self->stats, "table_pages_peak"));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, PAGES * VT_PAGE));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pf_fixed"));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pf_spurious"));
	EXPECT_EQ(0, vt_mmu_read(self->fd, GPA + 3, buf, sizeof(buf)));
	EXPECT_EQ(0, vt_mmu_write(self->fd, GPA + 7, buf, 11));
	EXPECT_EQ(sizeof(buf) + 11, vt_mmu_stat(self->stats, "bytes_direct"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "bytes_user"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pf_failed"));
	ASSERT_EQ(0, munmap(self->mem, VT_PAGE));
	EXPECT_EQ(PAGES - 1, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "pages_zapped"));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "invalidations"));
	EXPECT_GT(0, vt_mmu_populate_all(self->fd, 0, GPA, VT_PAGE));
	EXPECT_LE(1, vt_mmu_stat(self->stats, "pf_failed"));
	ASSERT_EQ(0, vt_mmu_slot_delete(self->fd, 0));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "memslots"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pages_zapped"));
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "table_pages"));
	EXPECT_EQ(4, vt_mmu_stat(self->stats, "table_pages_peak"));
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "mmu_lock_write_fault"));
}

TEST_F(stats, readers)
{
	int a = vt_mmu_create_reader(self->fd),
	    b = vt_mmu_create_reader(self->fd);

	ASSERT_LE(0, a);
	ASSERT_LE(0, b);
	EXPECT_EQ(2, vt_mmu_stat(self->stats, "readers"));
	close(a);
	EXPECT_EQ(1, vt_mmu_stat(self->stats, "readers"));
	close(b);
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "readers"));
}

/* Each MMU counts for itself; the file outlives its MMU and its process. */
TEST_F(stats, whose)
{
	int other = vt_mmu_open(), other_stats = vt_mmu_stats_open(other);
	pid_t pid;
	int status;

	ASSERT_LE(0, other_stats);
	ASSERT_EQ(0,
		  vt_mmu_slot(self->fd, 0, 0, GPA, self->mem, PAGES * VT_PAGE));
	EXPECT_EQ(0, vt_mmu_populate_all(self->fd, 0, GPA, PAGES * VT_PAGE));
	EXPECT_EQ(0, vt_mmu_stat(other_stats, "memslots"));
	EXPECT_EQ(0, vt_mmu_stat(other_stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(other_stats, "pf_fixed"));
	close(other);
	EXPECT_EQ(0, vt_mmu_stat(other_stats, "pages_4k"));
	close(other_stats);
	/* anybody who has it may read it */
	pid = fork();
	if (!pid)
		_exit(vt_mmu_stat(self->stats, "pf_fixed") != PAGES);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(self->fd);
	self->fd = -1;
	EXPECT_EQ(PAGES, vt_mmu_stat(self->stats, "pf_fixed"));
}

TEST_HARNESS_MAIN
