// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log of /dev/vhost-mmu: no write is lost, none is invented.
 * Timeout: 120 s
 *
 * The oracle is that of KVM's dirty_log_test: a page holds the number of the
 * round in which it was last written. Threads write through the MMU while the
 * log is taken; then they rest and all pages are looked at:
 *
 *	- reported: it was written in this round or the last one
 *	- not reported: it was not written after this round began, or just so
 *	  late that the next log will tell; then the next log must
 *
 * A write that finds the dirty ring full fails with nothing written, and the
 * writer starts over with another page. Its page may be reported none the less:
 * the fault of the write reported it, an invalidation took the entry away before
 * the write, and only the next fault found the ring full. Nothing is lost by
 * that, so it is excepted, as KVM's test excepts the last entry of a full ring.
 */
#include <kselftest_harness.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "bitmap.h"
#include "mmu.h"
#include "thread.h"

#define GPA		0x40000000ULL
#define SLOT		3
#define WRITERS		2
/* of each writer's ring */
#define ENTRIES		512
/* kept free, as in KVM */
#define RESERVED	8

#define LOG		VMMU_MEM_LOG_DIRTY_PAGES
#define MANUAL		VMMU_OPTION_MANUAL_PROTECT
#define INITIALLY	VMMU_OPTION_INITIALLY_SET
#define LAZY		VMMU_OPTION_LAZY_SPLIT

struct log;

struct writer {
	struct log *log;
	int io;
	uint64_t seed;
	struct vmmu_dirty_gfn *ring;
	/* where the next entry will be */
	uint32_t next;
	struct vt_thread thread;
};

struct log {
	_Atomic uint64_t round;
	/* what was last written to each page, and with success */
	_Atomic uint64_t *written;
	/* when a write to the page last found its ring full */
	_Atomic uint64_t *refused;
	int fd;
	int stats;
	uint64_t options;
	bool rings;
	uint64_t pages;
	struct vt_mem mem;
	uint64_t *bitmap;
	/* written too late for this log, so the next must report them */
	uint64_t *late;
	/* reported and deliberately not cleared */
	uint64_t *kept;
	uint64_t seed;
	struct writer w[WRITERS];
	uint64_t reported;
	unsigned int wrong;
};

static volatile uint64_t *host_word(const struct log *l, uint64_t page)
{
	return (uint64_t *)((char *)l->mem.base + page * VT_PAGE);
}

static uint64_t page_gpa(uint64_t page)
{
	return GPA + page * VT_PAGE;
}

static int log_init(struct log *l, uint64_t options, bool rings, uint64_t pages)
{
	memset(l, 0, sizeof(*l));
	l->options = options;
	l->rings = rings;
	l->pages = pages;
	l->seed = 88172645463325252ULL;
	l->written = calloc(pages, sizeof(*l->written));
	l->refused = calloc(pages, sizeof(*l->refused));
	l->bitmap = calloc(vt_bitmap_words(pages) + 1, 8);
	l->late = calloc(vt_bitmap_words(pages), 8);
	l->kept = calloc(vt_bitmap_words(pages), 8);
	vt_numa_balancing_off();
	return l->written && l->refused && l->bitmap && l->late && l->kept ?
	       0 : -ENOMEM;
}

/* The MMU, and the writers, of which none runs yet. */
static int log_attach(struct log *l)
{
	bool rings = l->rings;
	unsigned int i;
	int r;

	l->fd = vt_mmu_open();
	if (l->fd < 0)
		return l->fd;
	l->stats = vt_mmu_stats_open(l->fd);
	r = vt_mmu_options(l->fd, l->options, rings ? ENTRIES : 0);
	for (i = 0; !r && i < WRITERS; i++) {
		struct writer *w = &l->w[i];

		w->log = l;
		w->seed = 1 + i;
		/* writers use the MMU's fd and a reader's in turn */
		w->io = rings || i % 2 ? vt_mmu_create_reader(l->fd) : l->fd;
		if (w->io < 0)
			r = w->io;
		else if (rings)
			w->ring = vt_mmu_map_ring(w->io, ENTRIES);
		if (rings && !w->ring)
			r = -EFAULT;
	}
	return r;
}

static int log_open(struct log *l, enum vt_backing backing, uint64_t options,
		    bool rings, uint64_t pages)
{
	size_t len = (pages + 511) / 512 * VT_HUGE_SIZE;

	return log_init(l, options, rings, pages) ?:
		       vt_mem_alloc_huge(&l->mem, backing, len) ?:
		       log_attach(l);
}

/* Memory that the kernel has no address for: all goes by user access. */
static int log_open_secret(struct log *l, uint64_t options, bool rings,
			   uint64_t pages)
{
	struct vt_mem *m = &l->mem;
	int r = log_init(l, options, rings, pages);

	if (r)
		return r;
	m->len = m->map_len = pages * VT_PAGE;
	m->fd = syscall(SYS_memfd_secret, 0);
	if (m->fd < 0 || ftruncate(m->fd, m->len))
		return -errno;
	m->base = mmap(NULL, m->len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd,
		       0);
	if (m->base == MAP_FAILED)
		return -errno;
	m->map = m->base;
	return log_attach(l);
}

static int log_slot(struct log *l, uint32_t flags)
{
	return vt_mmu_slot(l->fd, SLOT, flags, GPA, l->mem.base,
			   l->pages * VT_PAGE);
}

static void log_close(struct log *l)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++) {
		vt_thread_stop(&l->w[i].thread);
		if (l->w[i].ring)
			munmap(l->w[i].ring, ENTRIES * sizeof(*l->w[i].ring));
		if (l->w[i].io > 0 && l->w[i].io != l->fd)
			close(l->w[i].io);
	}
	if (l->stats > 0)
		close(l->stats);
	if (l->fd > 0)
		close(l->fd);
	if (l->mem.map)
		vt_mem_free(&l->mem);
	free((void *)l->written);
	free((void *)l->refused);
	free(l->bitmap);
	free(l->late);
	free(l->kept);
}

static int write_step(void *arg)
{
	struct writer *w = arg;
	struct log *l = w->log;
	uint64_t page = vt_random(&w->seed) % l->pages;
	uint64_t round = l->round;
	int r = vt_mmu_write64(w->io, page_gpa(page), round);

	if (!r) {
		l->written[page] = round;
		return 0;
	}
	if (r == -ENOSPC) {
		l->refused[page] = round;
		vt_sleep_ms(1);
		return 0;
	}
	vt_msg("dirty: write to page %lu: %s", page, strerror(-r));
	return r;
}

static int start_writers(struct log *l)
{
	unsigned int i;
	int r = 0;

	for (i = 0; !r && i < WRITERS; i++)
		r = vt_thread_start(&l->w[i].thread, write_step, &l->w[i]);
	return r;
}

static int stop_writers(struct log *l)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < WRITERS; i++)
		r = vt_thread_stop(&l->w[i].thread) ?: r;
	return r;
}

static void rest(struct log *l)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++)
		vt_thread_pause(&l->w[i].thread);
}

static void go_on(struct log *l)
{
	unsigned int i;

	for (i = 0; i < WRITERS; i++)
		vt_thread_resume(&l->w[i].thread);
}

static void wrong(struct log *l, uint64_t page, const char *what)
{
	if (l->wrong++ < 5)
		vt_msg("dirty: round %lu, page %lu, which holds %lu: %s",
		       l->round, page, *host_word(l, page), what);
}

/* Take what is in a ring; the number of entries, or -errno. */
static int harvest(struct log *l, struct writer *w, uint64_t *bitmap,
		   unsigned int max)
{
	unsigned int n;

	for (n = 0; n < max; n++) {
		struct vmmu_dirty_gfn *e = &w->ring[w->next % ENTRIES];

		if (__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) !=
		    VMMU_DIRTY_GFN_F_DIRTY)
			break;
		if (e->slot != SLOT || e->offset >= l->pages) {
			vt_msg("dirty: ring entry %u is slot %u page %llu",
			       w->next, e->slot, e->offset);
			return -EBADMSG;
		}
		vt_bitmap_set(bitmap, e->offset);
		__atomic_store_n(&e->flags, VMMU_DIRTY_GFN_F_RESET,
				 __ATOMIC_RELEASE);
		w->next++;
	}
	return n;
}

static int collect_rings(struct log *l, uint64_t *bitmap)
{
	uint32_t count, sum = 0;
	unsigned int i;
	int n, r;

	for (i = 0; i < WRITERS; i++) {
		n = harvest(l, &l->w[i], bitmap, ENTRIES);
		if (n < 0)
			return n;
		sum += n;
	}
	r = vt_mmu_reset_rings(l->fd, &count);
	if (!r && count != sum) {
		vt_msg("dirty: %u entries taken, %u reset", sum, count);
		r = -EBADMSG;
	}
	return r;
}

/*
 * Clear what was reported, in pieces of random length that begin at random
 * multiples of 64 pages, the later ones first; sometimes forget one.
 */
static int clear_pieces(struct log *l, const uint64_t *bitmap, bool forget)
{
	uint64_t words = vt_bitmap_words(l->pages), at = words, from, num, p;
	int r;

	while (at) {
		from = at - 1 - vt_random(&l->seed) % (at < 5 ? at : 5);
		num = (at == words ? l->pages : at * 64) - from * 64;
		if (forget && vt_random(&l->seed) % 8 == 0) {
			for (p = from * 64; p < from * 64 + num; p++) {
				if (vt_bitmap_test(bitmap, p))
					vt_bitmap_set(l->kept, p);
			}
		} else {
			r = vt_mmu_clear_dirty(l->fd, SLOT, from * 64, num,
					       bitmap + from);
			if (r)
				return r;
		}
		at = from;
	}
	return 0;
}

/* What was written since last asked, into l->bitmap. */
static int collect(struct log *l, bool forget)
{
	uint64_t p;
	int r;

	memset(l->bitmap, 0, vt_bitmap_words(l->pages) * 8);
	if (l->rings)
		return collect_rings(l, l->bitmap);
	r = vt_mmu_get_dirty(l->fd, SLOT, l->bitmap);
	if (r || !(l->options & MANUAL))
		return r;
	/* what was not cleared must be there still; it says nothing more */
	for (p = 0; p < l->pages; p++) {
		if (!vt_bitmap_test(l->kept, p))
			continue;
		if (!vt_bitmap_test(l->bitmap, p))
			wrong(l, p, "was not cleared, and is not reported");
	}
	memset(l->kept, 0, vt_bitmap_words(l->pages) * 8);
	return clear_pieces(l, l->bitmap, forget);
}

/* In this round or the last one, which is 1 at first: 0 is never. */
static bool recent(const struct log *l, uint64_t round)
{
	return round && round + 1 >= l->round;
}

static void verify(struct log *l, const uint64_t *kept, bool first)
{
	uint64_t p, value, round = l->round;

	for (p = 0; p < l->pages; p++) {
		bool dirty = vt_bitmap_test(l->bitmap, p);

		value = *host_word(l, p);
		if (value != l->written[p])
			wrong(l, p, "is not what was written");
		if (vt_bitmap_test(l->late, p)) {
			vt_bitmap_clear(l->late, p);
			if (!dirty)
				wrong(l, p, "was written, and never reported");
		}
		if (!dirty) {
			if (value == round)
				vt_bitmap_set(l->late, p);
			continue;
		}
		l->reported++;
		if (value != round && value + 1 != round && !first &&
		    !vt_bitmap_test(kept, p) && !recent(l, l->refused[p]))
			wrong(l, p, "is reported, and was not written");
	}
}

FIXTURE(log)
{
	struct log log;
};

FIXTURE_VARIANT(log)
{
	uint64_t options;
	enum vt_backing backing;
	bool rings;
	/* map other mappings of the same pages over it all the time */
	bool storm;
};

FIXTURE_VARIANT_ADD(log, bitmap) { .backing = VT_ANON };
FIXTURE_VARIANT_ADD(log, bitmap_huge) { .backing = VT_THP };
FIXTURE_VARIANT_ADD(log, bitmap_storm) { .backing = VT_MEMFD, .storm = true };
FIXTURE_VARIANT_ADD(log, manual) { .backing = VT_ANON, .options = MANUAL };
FIXTURE_VARIANT_ADD(log, initially_set)
{
	.backing = VT_THP,
	.options = MANUAL | INITIALLY,
};

FIXTURE_VARIANT_ADD(log, lazy) { .backing = VT_THP, .options = LAZY };
FIXTURE_VARIANT_ADD(log, manual_lazy)
{
	.backing = VT_THP,
	.options = MANUAL | INITIALLY | LAZY,
};

FIXTURE_VARIANT_ADD(log, ring) { .backing = VT_ANON, .rings = true };
FIXTURE_VARIANT_ADD(log, ring_huge) { .backing = VT_THP, .rings = true };
FIXTURE_VARIANT_ADD(log, ring_storm)
{
	.backing = VT_MEMFD,
	.rings = true,
	.storm = true,
};

FIXTURE_SETUP(log)
{
	int r;

	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	/* not a multiple of 64: the last word is a part of one */
	r = log_open(&self->log, variant->backing, variant->options,
		     variant->rings, vt_by_speed(1024, 512) + 3);
	if (r == -EAGAIN && variant->backing == VT_THP)
		SKIP(return, "no huge pages to be had");
	ASSERT_EQ(0, r);
}

FIXTURE_TEARDOWN(log)
{
	log_close(&self->log);
}

static int map_over(void *arg)
{
	struct log *l = arg;
	struct vt_mem *m = &l->mem;
	void *p = mmap(m->map, m->map_len, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, m->fd, 0);

	usleep(1000);
	return p == MAP_FAILED ? -errno : 0;
}

/* @over: map other mappings of the same pages over it all the time. */
static void oracle(struct __test_metadata *_metadata, struct log *l, bool over)
{
	unsigned int n, rounds = vt_by_speed(20, 8);
	uint64_t kept[vt_bitmap_words(l->pages)];
	struct vt_thread storm;
	bool first, all;

	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, start_writers(l));
	if (over)
		ASSERT_EQ(0, vt_thread_start(&storm, map_over, l));
	for (n = 0; n < rounds; n++) {
		vt_sleep_ms(vt_by_speed(20, 60));
		first = !n && l->options & INITIALLY;
		memcpy(kept, l->kept, sizeof(kept));
		ASSERT_EQ(0, collect(l, n + 1 < rounds));
		rest(l);
		all = vt_bitmap_weight(l->bitmap, l->pages) == l->pages;
		EXPECT_TRUE(!first || all);
		verify(l, kept, first);
		l->round++;
		go_on(l);
	}
	if (over)
		EXPECT_EQ(0, vt_thread_stop(&storm));
	EXPECT_EQ(0, stop_writers(l));
	memcpy(kept, l->kept, sizeof(kept));
	ASSERT_EQ(0, collect(l, false));
	verify(l, kept, false);
	/* no writer runs: the log has told all, and stays empty */
	EXPECT_EQ(0, vt_bitmap_weight(l->late, l->pages));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, vt_bitmap_weight(l->bitmap, l->pages));
	EXPECT_EQ(0, l->wrong);
	/* the writers were not idle */
	EXPECT_LT(rounds * 10, l->reported);
	TH_LOG("%lu writes, %lu pages reported, %lu ring full",
	       (uint64_t)(l->w[0].thread.steps + l->w[1].thread.steps),
	       l->reported, vt_mmu_stat(l->stats, "ring_full"));
}

TEST_F_TIMEOUT(log, oracle, 300)
{
	struct log *l = &self->log;

	l->round = 1;
	/* huge entries, if they can be, for the log to split */
	ASSERT_EQ(0, log_slot(l, 0));
	if (!l->rings)
		ASSERT_EQ(0, vt_mmu_populate_all(l->fd, VMMU_POPULATE_WRITE,
						 GPA, l->pages * VT_PAGE));
	oracle(_metadata, l, variant->storm);
}

FIXTURE(secret)
{
	struct log log;
};

FIXTURE_VARIANT(secret)
{
	uint64_t options;
	bool rings;
};

FIXTURE_VARIANT_ADD(secret, bitmap) { };
FIXTURE_VARIANT_ADD(secret, initially_set) { .options = MANUAL | INITIALLY };
FIXTURE_VARIANT_ADD(secret, ring) { .rings = true };

FIXTURE_SETUP(secret)
{
	int r;

	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	r = log_open_secret(&self->log, variant->options, variant->rings,
			    vt_by_speed(1024, 512) + 3);
	if (r && self->log.mem.fd < 0)
		SKIP(return, "memfd_secret() is off (secretmem.enable=1)");
	ASSERT_EQ(0, r);
}

FIXTURE_TEARDOWN(secret)
{
	log_close(&self->log);
}

TEST_F_TIMEOUT(secret, oracle, 300)
{
	struct log *l = &self->log;

	l->round = 1;
	oracle(_metadata, l, false);
	EXPECT_EQ(0, vt_mmu_stat(l->stats, "bytes_direct"));
	EXPECT_LT(0, vt_mmu_stat(l->stats, "bytes_user"));
}

static int write_page_step(void *arg)
{
	struct log *l = arg;
	uint64_t page[VT_PAGE / 8], i, round = l->round;

	if (*l->written == round)
		return 0;
	for (i = 0; i < VT_PAGE / 8; i++)
		page[i] = round;
	i = vt_mmu_write(l->fd, GPA, page, sizeof(page));
	*l->written = round;
	return i;
}

/* A page is reported when it has been written, not when it is going to be. */
TEST_F_TIMEOUT(secret, not_too_early, 120)
{
	unsigned int rounds = vt_by_speed(2000, 300), lost = 0;
	struct log *l = &self->log;
	volatile uint64_t *last = host_word(l, 1) - 1;
	struct vt_thread writer;
	uint64_t told;
	bool done;

	if (l->options || l->rings)
		SKIP(return, "for bitmaps that GET cleans");
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, vt_thread_start(&writer, write_page_step, l));
	while (l->round < rounds && !writer.error) {
		told = 0;
		l->round++;
		do {
			done = *l->written == l->round;
			ASSERT_EQ(0, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
			if (vt_bitmap_test(l->bitmap, 0))
				told = *last;
		} while (!done && !writer.error);
		lost += told != l->round;
	}
	EXPECT_EQ(0, vt_thread_stop(&writer));
	EXPECT_EQ(0, lost);
}

/* Bits of @want that are not in @got and the reverse. */
static unsigned int differ(struct log *l, const uint64_t *want)
{
	unsigned int n = 0;
	uint64_t p;

	for (p = 0; p < l->pages; p++) {
		if (vt_bitmap_test(want, p) == vt_bitmap_test(l->bitmap, p))
			continue;
		if (n++ < 5)
			vt_msg("dirty: page %lu should%s be reported", p,
			       vt_bitmap_test(want, p) ? "" : " not");
	}
	return n;
}

static uint32_t perms(struct log *l, uint64_t page)
{
	struct vmmu_translate t;

	return vt_mmu_translate(l->w[0].io, 0, page_gpa(page), &t) ? ~0U :
								     t.perms;
}

/* Exactly what was written, by every way in which pages can be written. */
TEST_F_TIMEOUT(log, exact, 120)
{
	uint64_t want[vt_bitmap_words(self->log.pages)];
	uint64_t gpa, len, p, word, fast, dirtied;
	struct log *l = &self->log;
	int io = l->w[0].io;
	char buf[3 * VT_PAGE];
	struct vmmu_translate t;
	static const uint64_t some[] = { 0, 63, 64, 130, 200, 511, 512 };

	memset(buf, 1, sizeof(buf));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(l->options & INITIALLY ? l->pages : 0,
		  vt_bitmap_weight(l->bitmap, l->pages));

	/* reading and being there is not writing, nor is what the owner does */
	ASSERT_EQ(0, vt_mmu_populate_all(io, 0, GPA, l->pages * VT_PAGE));
	ASSERT_EQ(0, vt_mmu_read(io, GPA, buf, sizeof(buf)));
	*host_word(l, 5) = 1;
	memset(want, 0, sizeof(want));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, differ(l, want));

	dirtied = vt_mmu_stat(l->stats, "dirty_pages");
	for (p = 0; p < ARRAY_SIZE(some); p++) {
		EXPECT_EQ(0, perms(l, some[p]) & VMMU_PERM_WRITE);
		ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(some[p]), 1));
		EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, perms(l, some[p]));
		vt_bitmap_set(want, some[p]);
	}
	/* the last byte of one page and the first of the next but one */
	ASSERT_EQ(0, vt_mmu_write(io, page_gpa(301) - 1, buf, VT_PAGE + 2));
	vt_bitmap_set(want, 300);
	vt_bitmap_set(want, 301);
	vt_bitmap_set(want, 302);
	ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(l->pages) - 8, 1));
	vt_bitmap_set(want, l->pages - 1);
	gpa = page_gpa(400);
	len = 2 * VT_PAGE;
	ASSERT_EQ(0, vt_mmu_populate_all(io, VMMU_POPULATE_WRITE, gpa, len));
	vt_bitmap_set(want, 400);
	vt_bitmap_set(want, 401);
	ASSERT_EQ(0, vt_mmu_translate(io, VMMU_TRANSLATE_FAULT |
				      VMMU_TRANSLATE_WRITE,
				      page_gpa(410), &t));
	vt_bitmap_set(want, 410);
	/* the log reports a page written twice once */
	ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(63), 2));
	EXPECT_EQ(vt_bitmap_weight(want, l->pages),
		  vt_mmu_stat_delta(l->stats, "dirty_pages", dirtied));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, differ(l, want));

	/* told and clean; the next write is found without a look-up */
	memset(want, 0, sizeof(want));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, differ(l, want));
	fast = vt_mmu_stat(l->stats, "pf_fast");
	for (p = 0; p < ARRAY_SIZE(some); p++) {
		EXPECT_EQ(VMMU_PERM_READ, perms(l, some[p]));
		ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(some[p]), 3));
		EXPECT_EQ(3, *host_word(l, some[p]));
		vt_bitmap_set(want, some[p]);
	}
	EXPECT_LE(ARRAY_SIZE(some),
		  vt_mmu_stat_delta(l->stats, "pf_fast", fast));
	/* unmapped after it was written: written all the same */
	ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(222), 4));
	vt_bitmap_set(want, 222);
	ASSERT_EQ(0,
		  madvise((void *)host_word(l, 222), VT_PAGE, MADV_DONTNEED));
	ASSERT_EQ(0, vt_mmu_read64(io, page_gpa(222), &word));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, differ(l, want));
}

/* Turning the log off drops what is pending; turned on again it is empty. */
TEST_F_TIMEOUT(log, toggle, 300)
{
	unsigned int n, rounds = vt_by_speed(10, 4), missed = 0;
	struct log *l = &self->log;
	struct vt_thread storm;
	uint64_t p, found = 0;

	l->round = 1;
	ASSERT_EQ(0, log_slot(l, 0));
	/* a slot without a log needs no reader for its writes */
	ASSERT_EQ(0, vt_mmu_write64(l->fd, GPA, 0));
	ASSERT_EQ(0, start_writers(l));
	if (variant->storm)
		ASSERT_EQ(0, vt_thread_start(&storm, map_over, l));
	for (n = 0; n < rounds; n++) {
		/* a ring keeps what it has, and has to have room */
		if (l->rings)
			ASSERT_EQ(0, collect(l, false));
		ASSERT_EQ(0, log_slot(l, LOG));
		l->round++;
		vt_sleep_ms(vt_by_speed(20, 60));
		/* take the log in between as well */
		if (n % 3 == 1) {
			ASSERT_EQ(0, collect(l, false));
			l->round++;
			vt_sleep_ms(5);
		}
		rest(l);
		ASSERT_EQ(0, collect(l, false));
		for (p = 0; p < l->pages; p++) {
			if (*host_word(l, p) != l->round)
				continue;
			found++;
			if (!vt_bitmap_test(l->bitmap, p))
				missed++;
		}
		go_on(l);
		vt_sleep_ms(2);
		ASSERT_EQ(0, log_slot(l, 0));
		vt_sleep_ms(5);
	}
	if (variant->storm)
		EXPECT_EQ(0, vt_thread_stop(&storm));
	EXPECT_EQ(0, stop_writers(l));
	EXPECT_EQ(0, missed);
	EXPECT_LT(0, found);

	/* nothing was written since it is on */
	if (l->rings)
		ASSERT_EQ(0, collect(l, false));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(l->options & INITIALLY ? l->pages : 0,
		  vt_bitmap_weight(l->bitmap, l->pages));
}

TEST_F_TIMEOUT(log, moved_and_deleted, 120)
{
	struct log *l = &self->log;
	uint64_t to = GPA + 0x123000, want[vt_bitmap_words(self->log.pages)];
	int io = l->w[0].io;

	memset(want, 0, sizeof(want));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	ASSERT_EQ(0, vt_mmu_write64(io, page_gpa(7), 7));
	vt_bitmap_set(want, 7);
	/* pages are numbered within the slot, and keep their state */
	ASSERT_EQ(0, vt_mmu_slot(l->fd, SLOT, LOG, to, l->mem.base,
				 l->pages * VT_PAGE));
	EXPECT_EQ(-ENOENT, vt_mmu_write64(io, GPA, 8));
	ASSERT_EQ(0, vt_mmu_write64(io, to + 9 * VT_PAGE, 9));
	vt_bitmap_set(want, 9);
	EXPECT_EQ(7, *host_word(l, 7));
	EXPECT_EQ(9, *host_word(l, 9));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, differ(l, want));

	ASSERT_EQ(0, vt_mmu_write64(io, to, 10));
	ASSERT_EQ(0, vt_mmu_slot_delete(l->fd, SLOT));
	if (!l->rings) {
		EXPECT_EQ(-ENOENT, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
	} else {
		/* an entry for a slot that is no more does no harm */
		ASSERT_EQ(0, collect(l, false));
	}
	EXPECT_EQ(1, vt_mmu_stat(l->stats, "table_pages"));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(l->options & INITIALLY ? l->pages : 0,
		  vt_bitmap_weight(l->bitmap, l->pages));
}

/* It can be had, and stays empty. */
TEST_F_TIMEOUT(log, readonly, 120)
{
	struct log *l = &self->log;
	int io = l->w[0].io;
	uint64_t word;

	ASSERT_EQ(0, log_slot(l, LOG | VMMU_MEM_READONLY));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(-EROFS, vt_mmu_write64(io, GPA, 1));
	EXPECT_EQ(0, vt_mmu_read64(io, GPA, &word));
	EXPECT_EQ(0, vt_mmu_populate_all(io, 0, GPA, l->pages * VT_PAGE));
	EXPECT_EQ(-EROFS, vt_mmu_write64(io, GPA, 1));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, vt_bitmap_weight(l->bitmap, l->pages));
}

TEST_F_TIMEOUT(log, errors, 120)
{
	struct log *l = &self->log;
	uint64_t end = l->pages & ~63ULL, *bad = (void *)16, huge = 1ULL << 40;
	uint64_t *b = l->bitmap;
	int fd = l->fd;
	struct vmmu_dirty_log arg = {
		.size = sizeof(arg),
		.slot = SLOT,
		.bitmap = (uintptr_t)b,
	};

	if (l->rings) {
		ASSERT_EQ(0, log_slot(l, LOG));
		EXPECT_EQ(-ENXIO, vt_mmu_get_dirty(fd, SLOT, b));
		EXPECT_EQ(-ENXIO, vt_mmu_clear_dirty(fd, SLOT, 0, 64, b));
		/* the MMU's own fd has no dirty ring */
		EXPECT_EQ(-ENXIO, vt_mmu_write64(fd, GPA, 1));
		EXPECT_EQ(0, *host_word(l, 0));
		return;
	}
	EXPECT_EQ(-ENXIO, vt_mmu_reset_rings(fd, NULL));
	EXPECT_EQ(-ENOENT, vt_mmu_get_dirty(fd, SLOT, b));
	EXPECT_EQ(-ENOENT, vt_mmu_clear_dirty(fd, SLOT, 0, 64, b));
	ASSERT_EQ(0, log_slot(l, 0));
	EXPECT_EQ(-ENOENT, vt_mmu_get_dirty(fd, SLOT, b));
	EXPECT_EQ(-ENOENT, vt_mmu_clear_dirty(fd, SLOT, 0, 64, b));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));

	arg.num_pages = 64;
	EXPECT_EQ(-EINVAL, vt_mmu_ioctl(fd, VMMU_GET_DIRTY_LOG, &arg));
	arg.num_pages = 0;
	arg.first_page = 64;
	EXPECT_EQ(-EINVAL, vt_mmu_ioctl(fd, VMMU_GET_DIRTY_LOG, &arg));

	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 1, 64, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 32, 64, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 0, 63, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 0, l->pages - 1, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 0, l->pages + 1, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 0, end + 64, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, end, 4, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, end + 64, 64, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, huge, 64, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 0, huge, b));
	EXPECT_EQ(-EINVAL, vt_mmu_clear_dirty(fd, SLOT, 64, -64ULL, b));

	/* the end of the slot, and bits beyond it, which are nobody's */
	memset(b, 0xff, vt_bitmap_words(l->pages) * 8);
	EXPECT_EQ(0, vt_mmu_clear_dirty(fd, SLOT, end, 3, b));
	EXPECT_EQ(0, vt_mmu_clear_dirty(fd, SLOT, 0, l->pages, b));

	/* what could not be told is told by the next */
	ASSERT_EQ(0, vt_mmu_write64(fd, page_gpa(1), 1));
	ASSERT_EQ(0, vt_mmu_write64(fd, page_gpa(l->pages - 1), 1));
	EXPECT_EQ(-EFAULT, vt_mmu_get_dirty(fd, SLOT, bad));
	EXPECT_EQ(-EFAULT, vt_mmu_clear_dirty(fd, SLOT, 0, 64, bad));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(2, vt_bitmap_weight(b, l->pages));
	EXPECT_TRUE(vt_bitmap_test(b, 1));
	EXPECT_TRUE(vt_bitmap_test(b, l->pages - 1));
	/* the log reports the page only once */
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(0, vt_bitmap_weight(b, l->pages));
	/* nor are the writes afterwards lost */
	ASSERT_EQ(0, vt_mmu_write64(fd, page_gpa(1), 2));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(1, vt_bitmap_weight(b, l->pages));
}

/* The bitmap's own memory goes away in the middle of it. */
TEST_F_TIMEOUT(log, torn_bitmap, 120)
{
	struct log *l = &self->log;
	uint64_t *b, p;
	char *m;

	if (l->rings)
		SKIP(return, "there is no bitmap");
	m = mmap(NULL, 2 * VT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, m);
	munmap(m + VT_PAGE, VT_PAGE);
	/* the last word does not fit */
	b = (uint64_t *)(m + VT_PAGE) - (vt_bitmap_words(l->pages) - 1);
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	for (p = 0; p < l->pages; p += 2)
		ASSERT_EQ(0, vt_mmu_write64(l->fd, page_gpa(p), p));
	EXPECT_EQ(-EFAULT, vt_mmu_get_dirty(l->fd, SLOT, b));
	EXPECT_EQ(-EFAULT, vt_mmu_clear_dirty(l->fd, SLOT, 0, l->pages, b));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ((l->pages + 1) / 2, vt_bitmap_weight(l->bitmap, l->pages));
	munmap(m, VT_PAGE);
}

/* GET leaves everything as it is, CLEAR takes exactly what it is told. */
TEST_F_TIMEOUT(log, get_is_harmless, 120)
{
	uint64_t want[vt_bitmap_words(self->log.pages)];
	uint64_t mask[vt_bitmap_words(self->log.pages)];
	struct log *l = &self->log;

	if (!(l->options & MANUAL))
		SKIP(return, "GET cleans as well in this mode");
	memset(want, 0, sizeof(want));
	memset(mask, 0, sizeof(mask));
	ASSERT_EQ(0, log_slot(l, LOG));
	ASSERT_EQ(0, collect(l, false));
	ASSERT_EQ(0, vt_mmu_write64(l->fd, page_gpa(65), 1));
	ASSERT_EQ(0, vt_mmu_write64(l->fd, page_gpa(70), 1));
	ASSERT_EQ(0, vt_mmu_write64(l->fd, page_gpa(128), 1));
	vt_bitmap_set(want, 65);
	vt_bitmap_set(want, 70);
	vt_bitmap_set(want, 128);
	ASSERT_EQ(0, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
	EXPECT_EQ(0, differ(l, want));
	EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, perms(l, 65));
	ASSERT_EQ(0, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
	EXPECT_EQ(0, differ(l, want));
	/* page 65 is there, 66 is not and is not to change by it */
	vt_bitmap_set(mask, 1);
	vt_bitmap_set(mask, 2);
	ASSERT_EQ(0, vt_mmu_clear_dirty(l->fd, SLOT, 64, 64, mask));
	vt_bitmap_clear(want, 65);
	EXPECT_EQ(VMMU_PERM_READ, perms(l, 65));
	EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, perms(l, 70));
	ASSERT_EQ(0, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
	EXPECT_EQ(0, differ(l, want));
	/* the same once more hits a page that was written since */
	ASSERT_EQ(0, vt_mmu_write64(l->fd, page_gpa(65), 2));
	vt_bitmap_set(want, 65);
	ASSERT_EQ(0, vt_mmu_get_dirty(l->fd, SLOT, l->bitmap));
	EXPECT_EQ(0, differ(l, want));
}

FIXTURE(ring)
{
	struct log log;
};

FIXTURE_SETUP(ring)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, log_open(&self->log, VT_ANON, 0, true, 2 * ENTRIES));
	ASSERT_EQ(0, log_slot(&self->log, LOG));
}

FIXTURE_TEARDOWN(ring)
{
	log_close(&self->log);
}

/* How many pages can be written, from @page on, before the ring is full. */
static int fill(struct writer *w, uint64_t page, uint64_t value)
{
	int n, r;

	for (n = 0; n <= ENTRIES; n++) {
		r = vt_mmu_write64(w->io, page_gpa(page + n), value);
		if (r == -ENOSPC)
			return n;
		if (r)
			return r;
	}
	return -EOVERFLOW;
}

TEST_F_TIMEOUT(ring, full, 120)
{
	struct log *l = &self->log;
	struct writer *w = &l->w[0];
	uint64_t full = vt_mmu_stat(l->stats, "ring_full"), word;
	const int room = ENTRIES - RESERVED;
	uint32_t count;
	int i;

	ASSERT_EQ(room, fill(w, 0, 1));
	EXPECT_LT(0, vt_mmu_stat_delta(l->stats, "ring_full", full));
	/* nothing was written where it did not go on, nor can be */
	EXPECT_EQ(0, *host_word(l, room));
	EXPECT_EQ(-ENOSPC, vt_mmu_write64(w->io, page_gpa(room), 2));
	EXPECT_EQ(0, *host_word(l, room));
	/* reading goes on, and so does the other reader */
	EXPECT_EQ(0, vt_mmu_read64(w->io, page_gpa(room), &word));
	EXPECT_EQ(0, vt_mmu_write64(l->w[1].io, page_gpa(room), 3));
	EXPECT_EQ(3, *host_word(l, room));

	/* in the order in which they were written */
	for (i = 0; i < room; i++) {
		ASSERT_EQ(VMMU_DIRTY_GFN_F_DIRTY, w->ring[i].flags);
		ASSERT_EQ(SLOT, w->ring[i].slot);
		ASSERT_EQ((uint64_t)i, w->ring[i].offset);
	}
	for (; i < ENTRIES; i++)
		ASSERT_EQ(0, w->ring[i].flags);
	/* entries that nobody took are not reset, and fill the ring */
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(0, count);
	ASSERT_EQ(10, harvest(l, w, l->bitmap, 10));
	EXPECT_EQ(-ENOSPC, vt_mmu_write64(w->io, page_gpa(room + 1), 2));
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(10, count);
	EXPECT_EQ(10, fill(w, room + 1, 4));
	/* pages that are clean again are told again */
	ASSERT_EQ(room, harvest(l, w, l->bitmap, ENTRIES));
	ASSERT_EQ(1, harvest(l, &l->w[1], l->bitmap, ENTRIES));
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(room + 1, (int)count);
	EXPECT_EQ(room, fill(w, 0, 5));
	ASSERT_EQ(room, harvest(l, w, l->bitmap, ENTRIES));
}

/* A write of many pages goes as far as there is room, and says how far. */
TEST_F_TIMEOUT(ring, part, 120)
{
	const uint64_t room = ENTRIES - RESERVED, all = ENTRIES;
	struct log *l = &self->log;
	struct vmmu_access a = {
		.size = sizeof(a),
		.gpa = GPA,
		.length = all * VT_PAGE,
	};
	char *data = malloc(all * VT_PAGE);

	memset(data, 0x5a, all * VT_PAGE);
	a.data = (uintptr_t)data;
	EXPECT_EQ(-ENOSPC, vt_mmu_ioctl(l->w[0].io, VMMU_WRITE, &a));
	EXPECT_EQ(page_gpa(room), a.gpa);
	EXPECT_EQ((all - room) * VT_PAGE, a.length);
	EXPECT_EQ((uintptr_t)data + room * VT_PAGE, a.data);
	EXPECT_EQ(0, memcmp(l->mem.base, data, room * VT_PAGE));
	EXPECT_EQ(0, *host_word(l, room));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(room, vt_bitmap_weight(l->bitmap, l->pages));
	EXPECT_EQ(0, vt_mmu_ioctl(l->w[0].io, VMMU_WRITE, &a));
	EXPECT_EQ(0, memcmp(l->mem.base, data, all * VT_PAGE));
	ASSERT_EQ(0, collect(l, false));
	EXPECT_EQ(all - room, vt_bitmap_weight(l->bitmap, l->pages));
	free(data);
}

/* What user space writes into the ring is not believed. */
TEST_F_TIMEOUT(ring, garbage, 120)
{
	struct log *l = &self->log;
	struct writer *w = &l->w[0];
	uint32_t count;
	unsigned int i;
	static const struct vmmu_dirty_gfn bad[] = {
		{ .slot = ~0U, .offset = 0 },
		{ .slot = SLOT + 1, .offset = 0 },
		{ .slot = 32764, .offset = 0 },
		{ .slot = SLOT, .offset = 2 * ENTRIES },
		{ .slot = SLOT, .offset = ~0ULL },
		{ .slot = SLOT, .offset = ~0ULL >> 12 },
		{ .slot = SLOT, .offset = 1ULL << 63 },
	};
	const unsigned int n = ARRAY_SIZE(bad);

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, vt_mmu_write64(w->io, page_gpa(i), 1));
	for (i = 0; i < n; i++) {
		w->ring[i].slot = bad[i].slot;
		w->ring[i].offset = bad[i].offset;
		w->ring[i].flags = VMMU_DIRTY_GFN_F_RESET;
	}
	/* a reset stops before an entry that the kernel did not write */
	w->ring[n + 5].flags = VMMU_DIRTY_GFN_F_RESET;
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(n, count);
	w->ring[n + 5].flags = 0;
	w->next = n;
	ASSERT_EQ(0, vt_mmu_write64(w->io, page_gpa(100), 1));
	ASSERT_EQ(1, harvest(l, w, l->bitmap, ENTRIES));
	EXPECT_TRUE(vt_bitmap_test(l->bitmap, 100));
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(1, count);
}

/* Entries come back in the order in which they were given out. */
TEST_F_TIMEOUT(ring, order, 120)
{
	struct log *l = &self->log;
	struct writer *w = &l->w[0];
	uint32_t count;
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(0, vt_mmu_write64(w->io, page_gpa(i), 1));
	w->ring[1].flags = VMMU_DIRTY_GFN_F_RESET;
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(0, count);
	w->ring[0].flags = VMMU_DIRTY_GFN_F_RESET;
	ASSERT_EQ(0, vt_mmu_reset_rings(l->fd, &count));
	EXPECT_EQ(2, count);
	EXPECT_EQ(0, w->ring[0].flags);
	EXPECT_EQ(0, w->ring[1].flags);
	EXPECT_EQ(VMMU_DIRTY_GFN_F_DIRTY, w->ring[2].flags);
	/* those two are clean, the third is not */
	EXPECT_EQ(VMMU_PERM_READ, perms(l, 0));
	EXPECT_EQ(VMMU_PERM_READ, perms(l, 1));
	EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, perms(l, 2));
}

/* The mapping of a ring is good for longer than its reader's fd. */
TEST_F_TIMEOUT(ring, outlived, 120)
{
	struct log *l = &self->log;
	struct writer *w = &l->w[0];

	ASSERT_EQ(0, vt_mmu_write64(w->io, page_gpa(4), 1));
	close(w->io);
	w->io = 0;
	EXPECT_EQ(VMMU_DIRTY_GFN_F_DIRTY, w->ring[0].flags);
	EXPECT_EQ(4, w->ring[0].offset);
	w->ring[0].flags = VMMU_DIRTY_GFN_F_RESET;
	EXPECT_EQ(0, vt_mmu_reset_rings(l->fd, NULL));
	EXPECT_EQ(0, vt_mmu_write64(l->w[1].io, page_gpa(4), 2));
}

TEST_HARNESS_MAIN
