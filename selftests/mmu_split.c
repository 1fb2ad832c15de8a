// SPDX-License-Identifier: GPL-2.0
/*
 * Huge entries of /dev/vhost-mmu: split for the dirty log, whole again after.
 * Timeout: 120 s
 *
 * The formulas are those of KVM's dirty_log_page_splitting_test, the stages
 * those of kvm_page_table_test. The number of tables is known at each of them:
 * the root, one each for every 512G, 1G and, with 4K entries, 2M in use.
 */
#include <kselftest_harness.h>
#include <sys/mman.h>
#include "bitmap.h"
#include "mmu.h"
#include "thread.h"

#define GPA		0x140000000ULL
#define SLOT		1
#define THREADS		4

#define LOG		VMMU_MEM_LOG_DIRTY_PAGES
#define MANUAL		VMMU_OPTION_MANUAL_PROTECT
#define INITIALLY	VMMU_OPTION_INITIALLY_SET
#define LAZY		VMMU_OPTION_LAZY_SPLIT

struct rig {
	int fd;
	int stats;
	struct vt_mem mem;
	uint64_t huge;
	uint64_t pages;
	uint64_t *bitmap;
};

FIXTURE(split)
{
	struct rig rig;
};

FIXTURE_VARIANT(split)
{
	uint64_t options;
	enum vt_backing backing;
};

FIXTURE_VARIANT_ADD(split, thp) { .backing = VT_THP };
FIXTURE_VARIANT_ADD(split, thp_manual) { .backing = VT_THP, .options = MANUAL };
FIXTURE_VARIANT_ADD(split, thp_initially)
{
	.backing = VT_THP,
	.options = MANUAL | INITIALLY,
};

FIXTURE_VARIANT_ADD(split, thp_lazy) { .backing = VT_THP, .options = LAZY };
FIXTURE_VARIANT_ADD(split, hugetlb) { .backing = VT_HUGETLB };
FIXTURE_VARIANT_ADD(split, hugetlb_initially)
{
	.backing = VT_HUGETLB,
	.options = MANUAL | INITIALLY,
};

FIXTURE_VARIANT_ADD(split, hugetlb_lazy)
{
	.backing = VT_HUGETLB,
	.options = LAZY,
};

FIXTURE_SETUP(split)
{
	struct rig *rig = &self->rig;
	int r;

	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	vt_numa_balancing_off();
	rig->huge = vt_by_speed(6, 2);
	rig->pages = rig->huge * VT_HUGE_PAGES;
	r = vt_mem_alloc_huge(&rig->mem, variant->backing,
			      rig->huge * VT_HUGE_SIZE);
	if (r == -EAGAIN || r == -ENOMEM)
		SKIP(return, "no huge pages to be had");
	ASSERT_EQ(0, r);
	rig->bitmap = calloc(rig->pages / 64, 8);
	rig->fd = vt_mmu_open();
	ASSERT_LE(0, rig->fd);
	rig->stats = vt_mmu_stats_open(rig->fd);
	ASSERT_LE(0, rig->stats);
	ASSERT_EQ(0, vt_mmu_options(rig->fd, variant->options, 0));
}

FIXTURE_TEARDOWN(split)
{
	struct rig *rig = &self->rig;

	if (rig->fd > 0) {
		vt_mmu_slot_delete(rig->fd, SLOT);
		/* the root is left */
		EXPECT_EQ(1, vt_mmu_stat(rig->stats, "table_pages"));
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_4k"));
		EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_2m"));
		close(rig->stats);
		close(rig->fd);
	}
	if (rig->mem.map)
		vt_mem_free(&rig->mem);
	free(rig->bitmap);
}

static int set_log(struct rig *rig, bool on)
{
	return vt_mmu_slot(rig->fd, SLOT, on ? LOG : 0, GPA, rig->mem.base,
			   rig->pages * VT_PAGE);
}

/* Is all of the slot mapped, by huge entries or by small ones? */
static void expect_mapped(struct __test_metadata *_metadata,
			  struct rig *rig, bool huge)
{
	EXPECT_EQ(huge ? rig->huge : 0, vt_mmu_stat(rig->stats, "pages_2m"));
	EXPECT_EQ(huge ? 0 : rig->pages, vt_mmu_stat(rig->stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_1g"));
	EXPECT_EQ(vt_mmu_count_tables(GPA, rig->pages, huge),
		  vt_mmu_stat(rig->stats, "table_pages"));
}

static int write_all(struct rig *rig, uint64_t value)
{
	uint64_t p;
	int r;

	for (p = 0; p < rig->pages; p++) {
		r = vt_mmu_write64(rig->fd, GPA + p * VT_PAGE, value + p);
		if (r)
			return r;
	}
	return 0;
}

static unsigned int wrong_words(struct rig *rig, uint64_t value)
{
	unsigned int n = 0;
	uint64_t p;

	for (p = 0; p < rig->pages; p++)
		n += *(uint64_t *)((char *)rig->mem.base + p * VT_PAGE) !=
		     value + p;
	return n;
}

TEST_F_TIMEOUT(split, formulas, 300)
{
	struct rig *rig = &self->rig;
	uint64_t splits, collapses, round, options = variant->options;

	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, VMMU_POPULATE_WRITE, GPA,
					 rig->pages * VT_PAGE));
	expect_mapped(_metadata, rig, true);
	splits = vt_mmu_stat(rig->stats, "splits");
	collapses = vt_mmu_stat(rig->stats, "collapses");

	ASSERT_EQ(0, set_log(rig, true));
	expect_mapped(_metadata, rig, options & (INITIALLY | LAZY));
	for (round = 1; round <= 2; round++) {
		uint64_t reported;

		ASSERT_EQ(0, write_all(rig, round));
		if (round > 1 || options & LAZY || !(options & INITIALLY))
			expect_mapped(_metadata, rig, false);
		ASSERT_EQ(0, vt_mmu_get_dirty(rig->fd, SLOT, rig->bitmap));
		reported = vt_bitmap_weight(rig->bitmap, rig->pages);
		EXPECT_EQ(rig->pages, reported);
		if (options & MANUAL) {
			ASSERT_EQ(0,
				  vt_mmu_clear_dirty(rig->fd, SLOT, 0,
						     rig->pages, rig->bitmap));
		}
		expect_mapped(_metadata, rig, false);
		EXPECT_EQ(0, wrong_words(rig, round));
	}
	EXPECT_EQ(rig->huge, vt_mmu_stat_delta(rig->stats, "splits", splits));
	EXPECT_EQ(0, vt_mmu_stat_delta(rig->stats, "collapses", collapses));

	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, write_all(rig, 100));
	expect_mapped(_metadata, rig, true);
	EXPECT_EQ(rig->huge,
		  vt_mmu_stat_delta(rig->stats, "collapses", collapses));
	EXPECT_EQ(rig->huge, vt_mmu_stat_delta(rig->stats, "splits", splits));
	EXPECT_EQ(0, wrong_words(rig, 100));
}

/* Only huge entries that are written are split lazily, and one by one. */
TEST_F_TIMEOUT(split, one_by_one, 120)
{
	struct rig *rig = &self->rig;
	struct vmmu_translate t;
	uint64_t i;

	if (variant->options != LAZY)
		SKIP(return, "all are split at once in this mode");
	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, VMMU_POPULATE_WRITE, GPA,
					 rig->pages * VT_PAGE));
	ASSERT_EQ(0, set_log(rig, true));
	for (i = 0; i < rig->huge; i++) {
		uint64_t gpa = GPA + i * VT_HUGE_SIZE, word;

		ASSERT_EQ(0, vt_mmu_read64(rig->fd, gpa + 8 * VT_PAGE, &word));
		ASSERT_EQ(0, vt_mmu_translate(rig->fd, 0, gpa, &t));
		EXPECT_EQ(21, t.page_shift);
		EXPECT_EQ(VMMU_PERM_READ, t.perms);
		EXPECT_EQ(rig->huge - i, vt_mmu_stat(rig->stats, "pages_2m"));
		ASSERT_EQ(0, vt_mmu_write64(rig->fd, gpa + 9 * VT_PAGE, i));
		EXPECT_EQ(rig->huge - i - 1,
			  vt_mmu_stat(rig->stats, "pages_2m"));
		ASSERT_EQ(0,
			  vt_mmu_translate(rig->fd, 0, gpa + 9 * VT_PAGE, &t));
		EXPECT_EQ(12, t.page_shift);
		EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, t.perms);
	}
	ASSERT_EQ(0, vt_mmu_get_dirty(rig->fd, SLOT, rig->bitmap));
	EXPECT_EQ(rig->huge, vt_bitmap_weight(rig->bitmap, rig->pages));
	for (i = 0; i < rig->huge; i++)
		EXPECT_TRUE(vt_bitmap_test(rig->bitmap, i * VT_HUGE_PAGES + 9));
}

/* With INITIALLY_SET only those are split whose pages are cleared. */
TEST_F_TIMEOUT(split, by_clear, 120)
{
	struct rig *rig = &self->rig;
	uint64_t i;

	if (!(variant->options & INITIALLY))
		SKIP(return, "nothing is left to be split by a clear");
	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, VMMU_POPULATE_WRITE, GPA,
					 rig->pages * VT_PAGE));
	ASSERT_EQ(0, set_log(rig, true));
	for (i = 0; i < rig->huge; i++) {
		/* those not cleared are dirty already: they stay as they are */
		ASSERT_EQ(0,
			  vt_mmu_write64(rig->fd,
					 GPA + (i + 1) * VT_HUGE_SIZE - 8, i));
		EXPECT_EQ(rig->huge - i, vt_mmu_stat(rig->stats, "pages_2m"));
		memset(rig->bitmap, 0xff, 8);
		ASSERT_EQ(0, vt_mmu_clear_dirty(rig->fd, SLOT,
						i * VT_HUGE_PAGES + 64, 64,
						rig->bitmap));
		EXPECT_EQ(rig->huge - i - 1,
			  vt_mmu_stat(rig->stats, "pages_2m"));
	}
	ASSERT_EQ(0, vt_mmu_get_dirty(rig->fd, SLOT, rig->bitmap));
	EXPECT_EQ(rig->pages - rig->huge * 64,
		  vt_bitmap_weight(rig->bitmap, rig->pages));
}

struct toucher {
	struct rig *rig;
	bool write;
	uint64_t value;
	uint64_t next;
};

static int touch_step(void *arg)
{
	struct toucher *t = arg;
	uint64_t page = t->next++ % t->rig->pages, word;
	uint64_t gpa = GPA + page * VT_PAGE;

	if (t->write)
		return vt_mmu_write64(t->rig->fd, gpa, t->value + page);
	return vt_mmu_read64(t->rig->fd, gpa, &word);
}

/* Half of the threads read all pages, half write all pages; how long in ms. */
static int touch_all(struct rig *rig, uint64_t value, unsigned int *ms)
{
	struct toucher t[THREADS];
	struct vt_thread threads[THREADS] = {};
	uint64_t start = vt_now_ns();
	int i, r = 0, stopped;

	for (i = 0; i < THREADS; i++) {
		t[i] = (struct toucher) {
			.rig = rig,
			.write = i % 2,
			.value = value,
			/* two of them race for each page */
			.next = i / 2 * rig->pages / 2,
		};
		r = r ?: vt_thread_start(&threads[i], touch_step, &t[i]);
	}
	for (i = 0; i < THREADS; i++) {
		uint64_t left = rig->pages - threads[i].steps;

		if (!r && threads[i].steps < rig->pages)
			r = vt_thread_wait(&threads[i], left);
	}
	for (i = 0; i < THREADS; i++) {
		stopped = vt_thread_stop(&threads[i]);
		r = r ?: stopped;
	}
	*ms = (vt_now_ns() - start) / 1000000;
	return r;
}

TEST_F_TIMEOUT(split, stages, 300)
{
	struct rig *rig = &self->rig;
	unsigned int create, update, adjust;
	bool late = variant->options & INITIALLY;

	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, touch_all(rig, 1, &create));
	expect_mapped(_metadata, rig, true);
	EXPECT_EQ(0, wrong_words(rig, 1));

	ASSERT_EQ(0, set_log(rig, true));
	ASSERT_EQ(0, touch_all(rig, 2, &update));
	expect_mapped(_metadata, rig, late);
	EXPECT_EQ(0, wrong_words(rig, 2));
	ASSERT_EQ(0, vt_mmu_get_dirty(rig->fd, SLOT, rig->bitmap));
	EXPECT_EQ(rig->pages, vt_bitmap_weight(rig->bitmap, rig->pages));
	if (late) {
		ASSERT_EQ(0, vt_mmu_clear_dirty(rig->fd, SLOT, 0, rig->pages,
						rig->bitmap));
		expect_mapped(_metadata, rig, false);
	}

	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, touch_all(rig, 3, &adjust));
	expect_mapped(_metadata, rig, true);
	EXPECT_EQ(0, wrong_words(rig, 3));
	EXPECT_EQ(0, vt_mmu_stat(rig->stats, "mmu_lock_write_fault"));
	TH_LOG("%lu pages, %d threads: create %u ms, update %u ms, adjust %u ms",
	       rig->pages, THREADS, create, update, adjust);
}

/* The log goes on and off while pages are touched; nothing is left behind. */
TEST_F_TIMEOUT(split, toggled, 120)
{
	struct rig *rig = &self->rig;
	struct toucher t[2];
	struct vt_thread threads[2];
	unsigned int i, rounds = vt_by_speed(30, 6);
	uint64_t tables, small, huge;

	ASSERT_EQ(0, set_log(rig, false));
	for (i = 0; i < 2; i++) {
		t[i] = (struct toucher) { .rig = rig, .write = i, .value = 7 };
		ASSERT_EQ(0, vt_thread_start(&threads[i], touch_step, &t[i]));
	}
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, set_log(rig, true));
		vt_sleep_ms(3);
		ASSERT_EQ(0, vt_mmu_get_dirty(rig->fd, SLOT, rig->bitmap));
		if (variant->options & MANUAL)
			ASSERT_EQ(0,
				  vt_mmu_clear_dirty(rig->fd, SLOT, 0,
						     rig->pages, rig->bitmap));
		vt_sleep_ms(3);
		ASSERT_EQ(0, set_log(rig, false));
		vt_sleep_ms(3);
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, vt_thread_stop(&threads[i]));
	/* whatever it came to, it is consistent */
	ASSERT_EQ(0, write_all(rig, 7));
	huge = vt_mmu_stat(rig->stats, "pages_2m");
	small = vt_mmu_stat(rig->stats, "pages_4k");
	tables = vt_mmu_stat(rig->stats, "table_pages");
	EXPECT_EQ(rig->pages, huge * VT_HUGE_PAGES + small);
	EXPECT_EQ(vt_mmu_count_tables(GPA, rig->pages, true) +
			  small / VT_HUGE_PAGES,
		  tables);
	EXPECT_EQ(0, wrong_words(rig, 7));
}

/* One small page of a huge one goes: so does the entry, and nothing else. */
TEST_F_TIMEOUT(split, punched, 120)
{
	struct rig *rig = &self->rig;
	struct vmmu_translate t;
	uint64_t word;
	char *base = rig->mem.base;

	if (variant->backing != VT_THP || variant->options)
		SKIP(return, "for transparent huge pages, once");
	ASSERT_EQ(0, set_log(rig, false));
	ASSERT_EQ(0, write_all(rig, 1));
	expect_mapped(_metadata, rig, true);
	ASSERT_EQ(0, madvise(base + VT_HUGE_SIZE + 5 * VT_PAGE, VT_PAGE,
			     MADV_DONTNEED));
	EXPECT_EQ(rig->huge - 1, vt_mmu_stat(rig->stats, "pages_2m"));
	EXPECT_EQ(0, vt_mmu_stat(rig->stats, "pages_4k"));
	ASSERT_EQ(0, vt_mmu_translate(rig->fd, 0, GPA + VT_HUGE_SIZE, &t));
	EXPECT_EQ(0, t.perms);
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA + VT_HUGE_SIZE + 5 * VT_PAGE,
				   &word));
	EXPECT_EQ(0, word);
	ASSERT_EQ(0, vt_mmu_read64(rig->fd, GPA + VT_HUGE_SIZE + 6 * VT_PAGE,
				   &word));
	EXPECT_EQ(1 + VT_HUGE_PAGES + 6, word);
	/* the host's is in pieces, so are ours */
	ASSERT_EQ(0, vt_mmu_translate(rig->fd, 0,
				      GPA + VT_HUGE_SIZE + 6 * VT_PAGE, &t));
	EXPECT_EQ(12, t.page_shift);
	EXPECT_EQ(2, vt_mmu_stat(rig->stats, "pages_4k"));
	EXPECT_EQ(vt_mmu_count_tables(GPA, rig->pages, true) + 1,
		  vt_mmu_stat(rig->stats, "table_pages"));
}

/* A slot that is not made of whole huge pages: 2M*512 + 4K == pages. */
TEST_F_TIMEOUT(split, ragged, 120)
{
	struct rig *rig = &self->rig;
	uint64_t pages = rig->pages - 3 - 5;

	if (variant->options)
		SKIP(return, "once for each backing");
	ASSERT_EQ(0, vt_mmu_slot(rig->fd, SLOT, 0, GPA + 3 * VT_PAGE,
				 (char *)rig->mem.base + 3 * VT_PAGE,
				 pages * VT_PAGE));
	ASSERT_EQ(0, vt_mmu_populate_all(rig->fd, VMMU_POPULATE_WRITE,
					 GPA + 3 * VT_PAGE, pages * VT_PAGE));
	EXPECT_EQ(rig->huge - 2, vt_mmu_stat(rig->stats, "pages_2m"));
	EXPECT_EQ(2 * VT_HUGE_PAGES - 8, vt_mmu_stat(rig->stats, "pages_4k"));
	EXPECT_EQ(vt_mmu_count_tables(GPA, rig->pages, true) + 2,
		  vt_mmu_stat(rig->stats, "table_pages"));
}

TEST_HARNESS_MAIN
