// SPDX-License-Identifier: GPL-2.0
/*
 * Races of faults, invalidations, changes of memslots and the end of it all.
 * Timeout: 120 s
 *
 * Debug kernels can hold an install between the look-up of its page and its
 * publication, and an invalidation open; there the races are certain. The
 * others go on for some seconds, and what is read must be right all the time.
 */
#include <kselftest_harness.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "mmu.h"
#include "mmu_hold.h"
#include "thread.h"

#define GPA		0x10000000ULL
#define GPA2		0x90000000ULL
#define MS		1000000ULL
#define DELAY		"test_install_delay_ms"
#define WALK		"test_walk_delay_us"

struct rig {
	int fd;
	int stats;
	uint64_t pages;
	/* in slot 0 at GPA */
	struct vt_mem mem;
};

static int rig_open(struct rig *rig)
{
	int r;

	vt_numa_balancing_off();
	rig->pages = 2 * VT_HUGE_PAGES;
	r = vt_mem_alloc_huge(&rig->mem, VT_ANON, rig->pages * VT_PAGE);
	if (r)
		return r;
	rig->fd = vt_mmu_open();
	if (rig->fd < 0)
		return rig->fd;
	rig->stats = vt_mmu_stats_open(rig->fd);
	if (rig->stats < 0)
		return rig->stats;
	return vt_mmu_slot(rig->fd, 0, 0, GPA, rig->mem.base, rig->mem.len);
}

static void rig_close(struct __test_metadata *_metadata, struct rig *rig)
{
	unsigned int i;

	vt_mmu_set_param(DELAY, "0");
	vt_mmu_set_param(WALK, "0");
	if (rig->fd > 0) {
		for (i = 0; i < 4; i++)
			vt_mmu_slot_delete(rig->fd, i);
		/* nothing but the root is left of it all */
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "memslots"));
		EXPECT_EQ(1, vt_mmu_stat(rig->stats, "table_pages"));
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_4k"));
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_2m"));
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "mmu_lock_write_fault"));
		close(rig->fd);
		close(rig->stats);
	}
	if (rig->mem.map)
		vt_mem_free(&rig->mem);
}

FIXTURE(race)
{
	struct rig rig;
};

FIXTURE_SETUP(race)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(race)
{
	rig_close(_metadata, &self->rig);
}

static uint64_t *word_at(const struct vt_mem *m, uint64_t page)
{
	return (uint64_t *)((char *)m->base + page * VT_PAGE);
}

/* ------------------------------------------------- an install is paused */

enum access {
	READ,
	WRITE,
	POPULATE,
	TRANSLATE,
};

enum change {
	/* another page, with other content */
	DISCARD,
	/* one from another place */
	MREMAP,
	/* the very same page may no longer be written */
	PROTECT,
};

#define OLD	0x1111
#define NEW	0x2222
#define MINE	0x3333

FIXTURE(paused)
{
	struct rig rig;
};

FIXTURE_VARIANT(paused)
{
	enum access access;
	enum change change;
};

FIXTURE_VARIANT_ADD(paused, read_discard)
{
	.access = READ, .change = DISCARD
};

FIXTURE_VARIANT_ADD(paused, read_mremap)
{
	.access = READ, .change = MREMAP
};

FIXTURE_VARIANT_ADD(paused, write_discard)
{
	.access = WRITE, .change = DISCARD
};

FIXTURE_VARIANT_ADD(paused, write_protect)
{
	.access = WRITE, .change = PROTECT
};

FIXTURE_VARIANT_ADD(paused, populate_discard)
{
	.access = POPULATE, .change = DISCARD
};

FIXTURE_VARIANT_ADD(paused, translate_mremap)
{
	.access = TRANSLATE, .change = MREMAP
};

FIXTURE_SETUP(paused)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, rig_open(&self->rig));
}

FIXTURE_TEARDOWN(paused)
{
	rig_close(_metadata, &self->rig);
}

struct accessor {
	_Atomic bool done;
	int fd;
	enum access access;
	uint64_t gpa;
	uint64_t word;
	int ret;
};

static void *access_once(void *arg)
{
	struct accessor *a = arg;
	struct vmmu_translate t;
	uint64_t gpa = a->gpa, len = VT_PAGE;

	switch (a->access) {
	case READ:
		a->ret = vt_mmu_read64(a->fd, gpa, &a->word);
		break;
	case WRITE:
		a->ret = vt_mmu_write64(a->fd, gpa, MINE);
		break;
	case POPULATE:
		a->ret = vt_mmu_populate(a->fd, 0, &gpa, &len);
		break;
	case TRANSLATE:
		a->ret = vt_mmu_translate(a->fd, VMMU_TRANSLATE_FAULT, gpa, &t);
		break;
	}
	a->done = true;
	return NULL;
}

static int change_page(struct vt_mem *m, uint64_t page, enum change change)
{
	void *p = word_at(m, page), *other = word_at(m, page + 1);

	switch (change) {
	case DISCARD:
		if (madvise(p, VT_PAGE, MADV_DONTNEED))
			return -errno;
		*(volatile uint64_t *)p = NEW;
		return 0;
	case MREMAP:
		*(volatile uint64_t *)other = NEW;
		return mremap(other, VT_PAGE, VT_PAGE, MREMAP_MAYMOVE |
			      MREMAP_FIXED, p) == p ? 0 : -errno;
	case PROTECT:
		return mprotect(p, VT_PAGE, PROT_READ) ? -errno : 0;
	}
	return -EINVAL;
}

/* Not in the same huge page: splitting a mapping hits all of it. */
#define PAGE		17
#define APART		(VT_HUGE_PAGES + 30)

/*
 * Pause the install of PAGE's page, change some pages meanwhile. On a busy
 * machine the pause may be over before they are: then with more patience.
 */
static int access_paused(struct rig *rig, struct accessor *a,
			 enum change change, const uint64_t *pages,
			 uint64_t *retried)
{
	unsigned int ms, i;
	pthread_t id;
	int r;

	for (ms = vt_by_speed(250, 500); ms < 10000; ms *= 3) {
		uint64_t taken = vt_mmu_stat(rig->stats, "pf_taken");
		char value[16];
		bool late;

		/* from the start: nothing is mapped */
		madvise(word_at(&rig->mem, PAGE), VT_PAGE, MADV_DONTNEED);
		*word_at(&rig->mem, PAGE) = OLD;
		*retried = vt_mmu_stat(rig->stats, "pf_retried");
		a->done = false;
		snprintf(value, sizeof(value), "%u", ms);
		vt_mmu_set_param(DELAY, value);
		r = -pthread_create(&id, NULL, access_once, a);
		if (r)
			return r;
		while (vt_mmu_stat(rig->stats, "pf_taken") == taken && !a->done)
			usleep(500);
		/* by now the fault has looked the page up */
		vt_sleep_ms(ms / 3);
		for (i = 0; !r && pages[i]; i++)
			r = change_page(&rig->mem, pages[i], change);
		late = a->done;
		vt_mmu_set_param(DELAY, "0");
		pthread_join(id, NULL);
		*retried = vt_mmu_stat_delta(rig->stats, "pf_retried", *retried);
		if (r || !late)
			return r;
		/* it has holes now, or pages that cannot be written */
		if (mmap(rig->mem.base, rig->mem.len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			 0) == MAP_FAILED)
			return -errno;
		madvise(rig->mem.base, rig->mem.len, MADV_NOHUGEPAGE);
	}
	return -ETIMEDOUT;
}

/* The page found is not the right one any more when it would be published. */
TEST_F_TIMEOUT(paused, refused, 120)
{
	static const uint64_t pages[] = { PAGE, 0 };
	const uint64_t gpa = GPA + PAGE * VT_PAGE;
	struct rig *rig = &self->rig;
	struct accessor a = {
		.fd = rig->fd,
		.access = variant->access,
		.gpa = gpa,
	};
	uint64_t retried, word;

	if (!vt_mmu_has_param(DELAY))
		SKIP(return, VT_MMU_NO_PARAM DELAY);
	ASSERT_EQ(0, access_paused(rig, &a, variant->change, pages, &retried));
	EXPECT_LT(0, retried);
	if (variant->change == PROTECT) {
		EXPECT_EQ(-EFAULT, a.ret);
		EXPECT_EQ(OLD, *word_at(&rig->mem, PAGE));
		return;
	}
	EXPECT_EQ(0, a.ret);
	if (variant->access == READ)
		EXPECT_EQ(NEW, a.word);
	if (variant->access == WRITE) {
		EXPECT_EQ(MINE, *word_at(&rig->mem, PAGE));
		return;
	}
	/* and what it has left in the tables is right, too */
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, gpa, &word));
	EXPECT_EQ(NEW, word);
}

/* Something else goes away meanwhile: nothing has to be done again. */
TEST_F_TIMEOUT(paused, unrelated, 120)
{
	static const uint64_t pages[] = { APART, APART + 5, 0 };
	struct rig *rig = &self->rig;
	struct accessor a = {
		.fd = rig->fd,
		.access = variant->access,
		.gpa = GPA + PAGE * VT_PAGE,
	};
	uint64_t retried, hits;

	if (!vt_mmu_has_param(DELAY))
		SKIP(return, VT_MMU_NO_PARAM DELAY);
	hits = vt_mmu_stat(rig->stats, "invalidations");
	ASSERT_EQ(0, access_paused(rig, &a, variant->change, pages, &retried));
	EXPECT_EQ(0, a.ret);
	EXPECT_LE(2, vt_mmu_stat_delta(rig->stats, "invalidations", hits));
	EXPECT_EQ(0, retried);
}

/* ------------------------------------------ an invalidation is held open */

#define NEEDS_HOLD	VT_MMU_NO_PARAM "test_hold_inval_ms"

/* A change of memslots does not wait; what it adds is not mapped until the end. */
TEST_F_TIMEOUT(race, swap_beside_open, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(500, 3000);
	struct vt_mmu_hold hold;
	uint64_t word;
	unsigned int i;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	*word_at(&rig->mem, 0) = 42;
	/* create, move, turn the log on, delete */
	for (i = 0; i < 4; i++) {
		uint64_t gpa = i ? GPA2 + VT_HUGE_SIZE : GPA2;

		ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA, &word));
		ASSERT_EQ(0, vt_mmu_hold_start(&hold, rig->stats, ms));
		ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1,
					 i == 2 ? VMMU_MEM_LOG_DIRTY_PAGES : 0,
					 gpa, rig->mem.base,
					 i == 3 ? 0 : rig->mem.len));
		EXPECT_GT(hold.end_ns, vt_now_ns());
		if (i < 3) {
			ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, 0, gpa,
							 VT_PAGE));
			EXPECT_LE(hold.end_ns, vt_now_ns());
		}
		ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
		EXPECT_EQ(i == 3 ? -ENOENT : 0,
			  vt_mmu_read64(rig->fd, gpa, &word));
		EXPECT_EQ(42, word);
	}
}

/* The last file goes between a start and its end, and another one comes. */
TEST_F_TIMEOUT(race, closed_between, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(200, 400);
	struct vt_mmu_hold hold;
	uint64_t word, i;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	for (i = 0; i < 3; i++) {
		*word_at(&rig->mem, 0) = i;
		ASSERT_EQ(0,
			  vt_mmu_populate_all(rig->fd, 0, GPA, 16 * VT_PAGE));
		ASSERT_EQ(0, vt_mmu_hold_start(&hold, rig->stats, ms));
		close(rig->stats);
		close(rig->fd);
		/* once within and once after it */
		if (i == 1)
			ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
		rig->fd = vt_mmu_open();
		ASSERT_LE(0, rig->fd);
		rig->stats = vt_mmu_stats_open(rig->fd);
		ASSERT_EQ(0, vt_mmu_slot(rig->fd, 0, 0, GPA, rig->mem.base,
					 rig->mem.len));
		ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA, &word));
		EXPECT_EQ(i, word);
		if (i != 1)
			ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
		/* the MMU follows later changes */
		ASSERT_EQ(0, madvise(rig->mem.base, VT_PAGE, MADV_DONTNEED));
		ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA, &word));
		EXPECT_EQ(0, word);
	}
}

/* The process ends with one open: by its own end, not by ours. */
TEST_F_TIMEOUT(race, exit_between, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(200, 400);
	struct vt_mmu_hold hold;
	int status, stats, fd;
	uint64_t word;
	pid_t pid;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = vt_mmu_open();
		stats = vt_mmu_stats_open(fd);
		if (fd < 0 || stats < 0 ||
		    vt_mmu_slot(fd, 0, 0, GPA, rig->mem.base, rig->mem.len) ||
		    vt_mmu_read64(fd, GPA, &word) ||
		    vt_mmu_hold_start(&hold, stats, ms))
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ------------------------------------------------------------ huge entries */

/* One huge page of the host at GPA2, or 1 if it gives none. */
static int huge_page(struct rig *rig, struct vt_mem *mem)
{
	int r = vt_mem_alloc_huge(mem, VT_THP, VT_HUGE_SIZE);

	if (r)
		return 1;
	*word_at(mem, 0) = OLD;
	return vt_mmu_slot(rig->fd, 1, 0, GPA2, mem->base, mem->len);
}

/*
 * A page far from the one that is faulted in is being invalidated.  The host
 * still has one huge page for both, but it may be about to split it: an entry
 * of 2 MiB would map what nobody takes back.
 */
TEST_F_TIMEOUT(race, huge_beside_open, 120)
{
	struct rig *rig = &self->rig;
	const unsigned int ms = vt_by_speed(200, 400);
	struct vmmu_translate t;
	struct vt_mmu_hold hold;
	struct vt_mem mem;
	uint64_t word;

	if (!vt_mmu_has_param("test_hold_inval_ms"))
		SKIP(return, NEEDS_HOLD);
	if (huge_page(rig, &mem))
		SKIP(return, "the host gave no huge page");
	/* as it is mapped when nothing is open */
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA2, &word));
	ASSERT_EQ(0, vt_mmu_translate(rig->fd, 0, GPA2, &t));
	if (t.page_shift != 21) {
		vt_mem_free(&mem);
		SKIP(return, "the host gave no huge page");
	}
	ASSERT_EQ(0, vt_mmu_hold_range(&hold, rig->stats, ms,
				       word_at(&mem, VT_HUGE_PAGES - 1),
				       VT_PAGE));
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA2, &word));
	EXPECT_EQ(OLD, word);
	ASSERT_EQ(0, vt_mmu_translate(rig->fd, 0, GPA2, &t));
	ASSERT_GT(hold.end_ns, vt_now_ns());
	EXPECT_EQ(12, t.page_shift);
	ASSERT_EQ(0, vt_mmu_hold_wait(&hold));
	ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
	vt_mem_free(&mem);
}

/* Small pages of the host, one of them mapped: there is a table for it. */
static int make_small(struct rig *rig, struct vt_mem *mem)
{
	uint64_t word;

	if (madvise(mem->base, mem->len, MADV_NOHUGEPAGE) ||
	    madvise(mem->base, mem->len, MADV_DONTNEED))
		return -errno;
	*(volatile uint64_t *)word_at(mem, 0) = OLD;
	return vt_mmu_read64(rig->fd, GPA2, &word);
}

/*
 * The host has a huge page now, for which its own table had to go as well; ours
 * is there, with nothing in it.
 */
static int make_huge(struct vt_mem *mem)
{
	if (mmap(mem->base, mem->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ||
	    madvise(mem->base, mem->len, MADV_HUGEPAGE))
		return -errno;
	*(volatile uint64_t *)word_at(mem, 0) = OLD;
	return 0;
}

struct walker {
	int fd;
	uint64_t gpa;
	unsigned int after_us;
	_Atomic int error;
};

static void *walk_once(void *arg)
{
	struct walker *w = arg;
	uint64_t word;

	usleep(w->after_us);
	w->error = vt_mmu_read64(w->fd, w->gpa, &word);
	return NULL;
}

/*
 * Each walk stops for a while in the last table.  Two threads fault in pages of
 * one huge page of the host: the first to map it takes the empty table down
 * while the other may be in it, under no lock that keeps the first one out.
 */
TEST_F_TIMEOUT(race, walk_in_freed_table, 200)
{
	struct rig *rig = &self->rig;
	const unsigned int rounds = vt_by_speed(60, 40);
	uint64_t collapses = vt_mmu_stat(rig->stats, "collapses");
	struct walker w[2];
	pthread_t id[2];
	struct vt_mem mem;
	unsigned int n, i;

	if (!vt_mmu_has_param(WALK))
		SKIP(return, VT_MMU_NO_PARAM WALK);
	if (huge_page(rig, &mem))
		SKIP(return, "the host gave no huge page");
	for (n = 0; n < rounds; n++) {
		ASSERT_EQ(0, make_small(rig, &mem));
		ASSERT_EQ(0, make_huge(&mem));
		ASSERT_TRUE(vt_mmu_set_param(WALK, "4000"));
		for (i = 0; i < 2; i++) {
			w[i] = (struct walker) {
				.fd = rig->fd,
				.gpa = GPA2 + (i + 1) * VT_PAGE,
				.after_us = i * n % 10 * 1000,
			};
			ASSERT_EQ(0, pthread_create(&id[i], NULL, walk_once,
						    &w[i]));
		}
		for (i = 0; i < 2; i++) {
			pthread_join(id[i], NULL);
			EXPECT_EQ(0, w[i].error);
		}
		ASSERT_TRUE(vt_mmu_set_param(WALK, "0"));
	}
	collapses = vt_mmu_stat_delta(rig->stats, "collapses", collapses);
	TH_LOG("%lu tables went in %u rounds", collapses, rounds);
	ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
	vt_mem_free(&mem);
	if (!collapses)
		SKIP(return, "the host gave no huge page: no table went away");
}

/* ---------------------------------------------- everything at the same time */

struct reader {
	int fd;
	uint64_t gpa;
	uint64_t pages;
	/* each page holds this plus its number, or nothing */
	uint64_t value;
	bool write;
	uint64_t seed;
	_Atomic uint64_t hits;
};

static int read_step(void *arg)
{
	struct reader *rd = arg;
	uint64_t page = vt_random(&rd->seed) % rd->pages, word;
	uint64_t gpa = rd->gpa + page * VT_PAGE;
	int r;

	if (rd->write && page % 2) {
		r = vt_mmu_write64(rd->fd, gpa, rd->value + page);
	} else {
		r = vt_mmu_read64(rd->fd, gpa, &word);
		if (!r && word && word != rd->value + page) {
			vt_msg("race: page %lu holds %#lx", page, word);
			return -EBADMSG;
		}
	}
	if (!r)
		rd->hits++;
	/* what is gone at the moment may be missed */
	return r == -ENOENT || r == -EAGAIN || r == -EFAULT ? 0 : r;
}

struct slots {
	int fd;
	struct vt_mem *mem;
	uint64_t n;
};

/* Add, move and delete two slots of the same memory. */
static int slot_step(void *arg)
{
	struct slots *s = arg;
	uint64_t gpa = GPA2, len = s->mem->len;
	uint32_t slot = 1 + s->n++ % 2;

	if (slot == 2)
		gpa += len * 4;
	return vt_mmu_slot(s->fd, slot, 0, gpa, s->mem->base, len) ?:
		       vt_mmu_slot(s->fd, slot, 0, gpa + len, s->mem->base,
				   len) ?:
		       vt_mmu_slot(s->fd, slot, VMMU_MEM_LOG_DIRTY_PAGES,
				   gpa + len, s->mem->base, len) ?:
		       vt_mmu_slot_delete(s->fd, slot);
}

/* Discard all of the memory, in pieces or at once, and write it anew. */
static int discard_step(void *arg)
{
	struct slots *s = arg;
	uint64_t pages = s->mem->len / VT_PAGE, p, piece;

	piece = s->n++ % 3 ? pages / 8 : pages;
	for (p = 0; p < pages; p += piece) {
		if (madvise(word_at(s->mem, p), piece * VT_PAGE,
			    MADV_DONTNEED))
			return -errno;
		*(volatile uint64_t *)word_at(s->mem, p) = 0x5000 + p;
	}
	return 0;
}

TEST_F_TIMEOUT(race, slots_and_discard, 120)
{
	struct rig *rig = &self->rig;
	struct slots a = { rig->fd, &rig->mem, 0 };
	struct slots b = { rig->fd, &rig->mem, 0 };
	struct reader rd[2];
	struct vt_thread slots, discard, readers[2];
	unsigned int i;

	ASSERT_EQ(0, discard_step(&b));
	for (i = 0; i < 2; i++) {
		rd[i] = (struct reader) {
			.fd = rig->fd,
			.gpa = i ? GPA2 + rig->mem.len : GPA,
			.pages = rig->pages,
			.value = 0x5000,
			.write = true,
			.seed = 1 + i,
		};
		ASSERT_EQ(0, vt_thread_start(&readers[i], read_step, &rd[i]));
	}
	ASSERT_EQ(0, vt_thread_start(&slots, slot_step, &a));
	ASSERT_EQ(0, vt_thread_start(&discard, discard_step, &b));
	vt_sleep_ms(vt_by_speed(3000, 10000));
	EXPECT_EQ(0, vt_thread_stop(&discard));
	EXPECT_EQ(0, vt_thread_stop(&slots));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, vt_thread_stop(&readers[i]));
		EXPECT_LT(0, rd[i].hits);
	}
	EXPECT_LT(3, slots.steps);
	EXPECT_LT(3, discard.steps);
	TH_LOG("%lu changes of slots, %lu discards, %lu and %lu accesses",
	       4 * (uint64_t)slots.steps, (uint64_t)discard.steps,
	       (uint64_t)rd[0].hits, (uint64_t)rd[1].hits);
}

struct epochs {
	int fd;
	uint64_t pages;
	/* odd: being changed; else page p holds epoch / 2 % 2 * 0x10000 + p */
	_Atomic uint64_t epoch;
	_Atomic uint64_t checked;
	uint64_t seed[2];
};

static int epoch_step(struct epochs *e, uint64_t *seed)
{
	uint64_t page = vt_random(seed) % e->pages, before, word, want;
	int r;

	before = e->epoch;
	r = vt_mmu_read64(e->fd, GPA2 + page * VT_PAGE, &word);
	if (before % 2 || e->epoch != before)
		return r == -ENOENT || r == -EAGAIN ? 0 : r;
	want = before / 2 % 2 * 0x10000 + page;
	if (r || word != want) {
		vt_msg("race: epoch %lu, page %lu: %s, %#lx instead of %#lx",
		       before, page, strerror(-r), word, want);
		return r ?: -EBADMSG;
	}
	e->checked++;
	return 0;
}

static int epoch_step0(void *arg)
{
	struct epochs *e = arg;

	return epoch_step(e, &e->seed[0]);
}

static int epoch_step1(void *arg)
{
	struct epochs *e = arg;

	return epoch_step(e, &e->seed[1]);
}

/* A slot deleted and made again elsewhere: nothing of the old one is seen. */
TEST_F_TIMEOUT(race, recreated, 120)
{
	struct rig *rig = &self->rig;
	struct epochs e = {
		.fd = rig->fd,
		.pages = rig->pages,
		.seed = { 1, 2 },
	};
	uint64_t end, p, n = 0, i;
	struct vt_thread t[2];
	struct vt_mem mem[2];

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_mem_alloc_huge(&mem[i], VT_ANON, rig->mem.len));
		for (p = 0; p < rig->pages; p++)
			*word_at(&mem[i], p) = i * 0x10000 + p;
	}
	ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, mem[0].base, mem[0].len));
	ASSERT_EQ(0, vt_thread_start(&t[0], epoch_step0, &e));
	ASSERT_EQ(0, vt_thread_start(&t[1], epoch_step1, &e));
	end = vt_now_ns() + vt_by_speed(2000, 6000) * MS;
	while ((n < 20 || vt_now_ns() < end) && !t[0].error && !t[1].error) {
		struct vt_mem *m = &mem[++n % 2];

		e.epoch++;
		ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
		ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, m->base, m->len));
		e.epoch++;
		/* let some pages be mapped */
		vt_sleep_ms(n % 5);
	}
	EXPECT_EQ(0, vt_thread_stop(&t[0]));
	EXPECT_EQ(0, vt_thread_stop(&t[1]));
	EXPECT_LT(50, e.checked);
	for (i = 0; i < 2; i++)
		vt_mem_free(&mem[i]);
}

/*
 * Tables go away under walks all the time: the whole range at once, page by
 * page, by a slot, and with huge pages that come and go.
 */
TEST_F_TIMEOUT(race, torture, 120)
{
	struct rig *rig = &self->rig;
	const uint64_t huge = vt_by_speed(4, 2), pages = huge * VT_HUGE_PAGES;
	uint64_t end, seed = 9, p, n = 0, tables;
	struct vt_thread t[3];
	struct reader rd[3];
	struct vt_mem mem;
	unsigned int i;

	/* huge pages if there are some */
	if (vt_mem_alloc_huge(&mem, VT_THP, huge * VT_HUGE_SIZE))
		ASSERT_EQ(0, vt_mem_alloc_huge(&mem, VT_ANON,
					       huge * VT_HUGE_SIZE));
	for (p = 0; p < pages; p++)
		*word_at(&mem, p) = 0x7000 + p;
	ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, mem.base, mem.len));
	for (i = 0; i < 3; i++) {
		rd[i] = (struct reader) {
			.fd = i == 2 ? vt_mmu_create_reader(rig->fd) : rig->fd,
			.gpa = GPA2,
			.pages = pages,
			.value = 0x7000,
			.write = i > 0,
			.seed = 21 + i,
		};
		ASSERT_LE(0, rd[i].fd);
		ASSERT_EQ(0, vt_thread_start(&t[i], read_step, &rd[i]));
	}
	end = vt_now_ns() + vt_by_speed(3000, 12000) * MS;
	while ((n < 24 || vt_now_ns() < end) && !t[0].error && !t[1].error &&
	       !t[2].error) {
		p = vt_random(&seed) % pages;
		switch (n++ % 8) {
		case 0:
			ASSERT_EQ(0, madvise(mem.base, mem.len, MADV_DONTNEED));
			break;
		case 1:
			/* off and on: split and collapse, or tables for none */
			ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1,
						 VMMU_MEM_LOG_DIRTY_PAGES, GPA2,
						 mem.base, mem.len));
			vt_sleep_ms(2);
			ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, mem.base,
						 mem.len));
			break;
		case 2:
			ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
			ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, mem.base,
						 mem.len));
			break;
		case 3:
			ASSERT_EQ(mem.base, mmap(mem.base, mem.len, PROT_READ |
						 PROT_WRITE, MAP_FIXED |
						 MAP_PRIVATE | MAP_ANONYMOUS,
						 -1, 0));
			madvise(mem.base, mem.len, MADV_HUGEPAGE);
			break;
		case 4:
			/* the host's huge pages, if they are given */
			for (p = 0; p < pages; p += VT_HUGE_PAGES)
				*(volatile uint64_t *)word_at(&mem, p) =
					0x7000 + p;
			break;
		default:
			madvise(word_at(&mem, p), VT_PAGE, MADV_DONTNEED);
			break;
		}
		vt_sleep_ms(3);
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, vt_thread_stop(&t[i]));
		EXPECT_LT(20, rd[i].hits);
	}
	close(rd[2].fd);
	/* the closed formula holds, whatever has gone before */
	ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
	ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 0));
	EXPECT_EQ(1, vt_mmu_stat(rig->stats, "table_pages"));
	ASSERT_EQ(0, vt_mmu_slot(rig->fd, 1, 0, GPA2, mem.base, mem.len));
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, VMMU_POPULATE_WRITE, GPA2,
					 mem.len));
	tables = vt_mmu_count_tables(GPA2, pages, true) +
		 vt_mmu_stat(rig->stats, "pages_4k") / VT_HUGE_PAGES;
	EXPECT_EQ(tables, vt_mmu_stat(rig->stats, "table_pages"));
	TH_LOG("%lu rounds, %lu accesses, %lu tried again", n,
	       (uint64_t)(rd[0].hits + rd[1].hits + rd[2].hits),
	       vt_mmu_stat(rig->stats, "pf_retried"));
	ASSERT_EQ(0, vt_mmu_slot_delete(rig->fd, 1));
	vt_mem_free(&mem);
}

/* ------------------------------------------------------------- the end */

/* What a child does until it is killed: fault, discard, change slots. */
static void live_until_killed(int ready)
{
	struct slots a, b;
	struct vt_thread t[3];
	struct reader rd;
	struct vt_mem mem;
	int fd = vt_mmu_open();

	if (fd < 0 || vt_mem_alloc_huge(&mem, VT_ANON, 64 * VT_PAGE) ||
	    vt_mmu_slot(fd, 0, 0, GPA, mem.base, mem.len))
		_exit(1);
	a = b = (struct slots) { fd, &mem, 0 };
	rd = (struct reader) {
		.fd = fd,
		.gpa = GPA,
		.pages = 64,
		.value = 0x5000,
		.seed = 1,
	};
	if (vt_thread_start(&t[0], read_step, &rd) ||
	    vt_thread_start(&t[1], slot_step, &a) ||
	    vt_thread_start(&t[2], discard_step, &b))
		_exit(1);
	vt_thread_wait(&t[0], 3);
	if (write(ready, &fd, sizeof(fd)) != sizeof(fd))
		_exit(1);
	for (;;)
		pause();
}

static int module_refs(void)
{
	FILE *f = fopen("/sys/module/vhost_mmu/refcnt", "r");
	int n = -1;

	if (f) {
		if (fscanf(f, "%d", &n) != 1)
			n = -1;
		fclose(f);
	}
	return n;
}

struct closer {
	int fd;
	unsigned int us;
};

static void *close_later(void *arg)
{
	struct closer *c = arg;

	usleep(c->us);
	close(c->fd);
	return NULL;
}

/* The owner dies while another process gives the file up, or a bit later. */
TEST_F_TIMEOUT(race, owner_dies, 200)
{
	const unsigned int rounds = vt_by_speed(40, 10);
	int refs = module_refs(), ready[2], theirs, fd, pidfd, status;
	unsigned int i, until;
	struct closer c;
	uint64_t word;
	pthread_t id;
	pid_t pid;

	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			live_until_killed(ready[1]);
		close(ready[1]);
		ASSERT_EQ((ssize_t)sizeof(theirs),
			  read(ready[0], &theirs, sizeof(theirs)));
		close(ready[0]);
		pidfd = syscall(SYS_pidfd_open, pid, 0);
		ASSERT_LE(0, pidfd);
		fd = syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
		ASSERT_LE(0, fd);
		close(pidfd);
		EXPECT_EQ(-EIO, vt_mmu_read64(fd, GPA, &word));
		c = (struct closer) { fd, i % 10 * 300 };
		ASSERT_EQ(0, pthread_create(&id, NULL, close_later, &c));
		usleep(1000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		pthread_join(id, NULL);
	}
	/* files are closed a bit later than the process is waited for */
	for (until = 0; until < 200 && module_refs() != refs; until++)
		vt_sleep_ms(vt_timeout_ms(10));
	EXPECT_EQ(refs, module_refs());
}

TEST_HARNESS_MAIN
