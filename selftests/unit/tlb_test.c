// SPDX-License-Identifier: GPL-2.0
/*
 * The soft TLB, and buffers by kernel address: what is filled, found and
 * forgotten, when to give up, and that chains are those of vmq_next().
 *
 * UNIT_SEED repeats a run, UNIT_STEPS sets how long it is.
 */
#include <sys/mman.h>
#include <time.h>

#include "kselftest_harness.h"
#include "tlb_rig.h"

#define SMALL(i)	(SMALL_GPA + (i) * PAGE_SIZE)
/* Pages apart that share an entry */
#define ALIAS		VMQ_TLB_SMALL

FIXTURE(tlb)
{
	struct tlb_rig *rig;
	struct vmq *vmq;
	struct vmq_tlb *tlb;
};

FIXTURE_SETUP(tlb)
{
	unsigned int i;

	self->rig = rig_new(true);
	self->vmq = &self->rig->vmq;
	self->tlb = &self->rig->tlb;
	for (i = 0; i < PAGES; i++) {
		self->rig->page[i].mapped = true;
		self->rig->page[i].writable = true;
	}
}

FIXTURE_TEARDOWN(tlb)
{
	rig_free(self->rig);
}

static bool find(struct tlb_rig *rig, u64 gpa, bool write)
{
	struct vmq_tlb *tlb = &rig->tlb;
	struct page_model *page;
	u64 room = 0;
	char *kaddr;

	spin_lock(&rig->vmq.section.base.lock);
	kaddr = vmq_tlb_find(tlb, gpa, write, &room);
	spin_unlock(&rig->vmq.section.base.lock);
	if (!kaddr)
		return false;
	page = rig_page(rig, gpa);
	unit_check(kaddr == rig_host(rig, gpa));
	unit_check(room == page->size - (gpa - page->gpa));
	unit_check(page->mapped && page->backing != SECRET);
	unit_check(!write || (page->writable && page->dirty));
	return true;
}

static bool refused(struct tlb_rig *rig, u64 gpa, bool write)
{
	bool refused;

	spin_lock(&rig->vmq.section.base.lock);
	refused = vmq_tlb_refused(&rig->tlb, gpa, write);
	spin_unlock(&rig->vmq.section.base.lock);
	return refused;
}

/* Is it found without a look at the tables? */
static bool hit(struct tlb_rig *rig, u64 gpa, bool write)
{
	const u64 lookups = rig->lookups;

	return find(rig, gpa, write) && rig->lookups == lookups;
}

static bool at_hand(struct tlb_rig *rig, u64 gpa, bool write)
{
	void *kaddr;
	bool found;
	u64 room;

	spin_lock(&rig->vmq.section.base.lock);
	found = vmq_tlb_peek(&rig->tlb, gpa, write, &kaddr, &room);
	spin_unlock(&rig->vmq.section.base.lock);
	if (!found)
		return false;
	unit_check(kaddr == rig_host(rig, gpa));
	return true;
}

TEST_F(tlb, fill_and_hit)
{
	EXPECT_FALSE(at_hand(self->rig, SMALL(3), false));
	EXPECT_TRUE(find(self->rig, SMALL(3) + 100, false));
	EXPECT_EQ(self->vmq->stats.tlb_fills, 1);
	EXPECT_EQ(self->rig->lookups, 1);
	EXPECT_TRUE(hit(self->rig, SMALL(3), false));
	/* Bounded under speculation as well. */
	EXPECT_EQ(self->rig->clamps, 1);
	EXPECT_TRUE(hit(self->rig, SMALL(3) + PAGE_SIZE - 1, false));
	EXPECT_FALSE(at_hand(self->rig, SMALL(2) + PAGE_SIZE - 1, false));
	EXPECT_FALSE(at_hand(self->rig, SMALL(4), false));
	EXPECT_EQ(self->vmq->stats.tlb_fills, 1);

	/* One entry, two pages: each has its own address. */
	EXPECT_TRUE(find(self->rig, SMALL(3 + ALIAS), false));
	EXPECT_FALSE(at_hand(self->rig, SMALL(3), false));
	EXPECT_TRUE(find(self->rig, SMALL(3), false));
	EXPECT_FALSE(at_hand(self->rig, SMALL(3 + ALIAS), false));

	/* Nothing is there before anything was filled. */
	EXPECT_FALSE(at_hand(self->rig, 0, false));
	EXPECT_FALSE(find(self->rig, 0, false));
	EXPECT_FALSE(refused(self->rig, 0, false));
}

TEST_F(tlb, huge)
{
	struct page_model *page = rig_page(self->rig, HUGE_GPA);

	EXPECT_TRUE(find(self->rig, HUGE_GPA + 0x12345, true));
	EXPECT_TRUE(hit(self->rig, HUGE_GPA, true));
	EXPECT_TRUE(hit(self->rig, HUGE_GPA + HUGE_SIZE - 1, false));
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA + HUGE_SIZE, false));
	EXPECT_TRUE(find(self->rig, HUGE_GPA + HUGE_SIZE, false));
	EXPECT_TRUE(hit(self->rig, HUGE_GPA, true));
	/* Any part of it takes all of it. */
	rig_flush(self->rig, (HUGE_GPA >> PAGE_SHIFT) + 77,
		  (HUGE_GPA >> PAGE_SHIFT) + 77);
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA, false));
	EXPECT_TRUE(at_hand(self->rig, HUGE_GPA + HUGE_SIZE, false));

	/* A larger one is found from each of its 2 MiB, and goes from all. */
	page->level = VMMU_LEVEL_1G;
	page->size = 1UL << 30;
	spin_lock(&self->vmq->section.base.lock);
	vmq_tlb_clear(self->tlb);
	spin_unlock(&self->vmq->section.base.lock);
	EXPECT_TRUE(find(self->rig, HUGE_GPA, false));
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA + HUGE_SIZE, false));
	spin_lock(&self->vmq->section.base.lock);
	{
		u64 room;

		EXPECT_EQ(vmq_tlb_find(self->tlb, HUGE_GPA + HUGE_SIZE - 1,
				       false, &room),
			  page->host + HUGE_SIZE - 1);
		EXPECT_EQ(room, (1 << 30) - HUGE_SIZE + 1);
		self->rig->page[SMALL_PAGES + 1] = *page;
		EXPECT_EQ(vmq_tlb_find(self->tlb, HUGE_GPA + HUGE_SIZE + 5,
				       false, &room),
			  page->host + HUGE_SIZE + 5);
		self->rig->page[SMALL_PAGES + 1].host = NULL;
		EXPECT_EQ(room, (1 << 30) - HUGE_SIZE - 5);
	}
	spin_unlock(&self->vmq->section.base.lock);
	rig_flush(self->rig, (HUGE_GPA >> PAGE_SHIFT) + 200000,
		  (HUGE_GPA >> PAGE_SHIFT) + 200000);
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA, false));
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA + HUGE_SIZE + 5, false));
}

/* What was looked up to be read is not written. */
TEST_F(tlb, write)
{
	struct page_model *page = rig_page(self->rig, SMALL(7));

	page->writable = false;
	EXPECT_TRUE(find(self->rig, SMALL(7), false));
	EXPECT_FALSE(find(self->rig, SMALL(7), true));
	EXPECT_FALSE(refused(self->rig, SMALL(7), true));
	EXPECT_TRUE(hit(self->rig, SMALL(7), false));

	page->writable = true;
	EXPECT_FALSE(at_hand(self->rig, SMALL(7), true));
	EXPECT_FALSE(page->dirty);
	EXPECT_TRUE(find(self->rig, SMALL(7), true));
	EXPECT_TRUE(page->dirty);
	EXPECT_TRUE(hit(self->rig, SMALL(7), true));
	EXPECT_TRUE(hit(self->rig, SMALL(7), false));

	/* Written before read: one look suffices. */
	EXPECT_TRUE(find(self->rig, SMALL(8), true));
	EXPECT_TRUE(hit(self->rig, SMALL(8), false));

	/* The same of a huge one. */
	page = rig_page(self->rig, HUGE_GPA);
	EXPECT_TRUE(find(self->rig, HUGE_GPA, false));
	EXPECT_FALSE(at_hand(self->rig, HUGE_GPA + 99, true));
	EXPECT_TRUE(find(self->rig, HUGE_GPA + 99, true));
	EXPECT_TRUE(page->dirty);
	EXPECT_TRUE(hit(self->rig, HUGE_GPA, true));
}

/* Not found, and known to be refused or not. */
static bool miss_is(struct tlb_rig *rig, u64 gpa, bool write, bool is_refused)
{
	return !find(rig, gpa, write) &&
	       refused(rig, gpa, write) == is_refused;
}

/* What cannot be had is not asked for again, until something changes. */
TEST_F(tlb, no_address)
{
	struct page_model *page = rig_page(self->rig, SMALL(7));
	u64 lookups;

	page->writable = false;
	EXPECT_TRUE(find(self->rig, SMALL(7), false));
	vmq_tlb_refuse(self->tlb, SMALL(7) + 5, true, self->tlb->flushes);
	lookups = self->rig->lookups;
	EXPECT_TRUE(miss_is(self->rig, SMALL(7), true, true));
	EXPECT_EQ(self->rig->lookups, lookups);
	/* It can still be read, also when that is looked up only now. */
	EXPECT_TRUE(hit(self->rig, SMALL(7), false));
	EXPECT_TRUE(find(self->rig, SMALL(7 + ALIAS), false));
	vmq_tlb_refuse(self->tlb, SMALL(7), true, self->tlb->flushes);
	EXPECT_TRUE(find(self->rig, SMALL(7), false));
	EXPECT_TRUE(hit(self->rig, SMALL(7) + 9, false));
	EXPECT_TRUE(miss_is(self->rig, SMALL(7), true, true));
	/* Another page is another page. */
	EXPECT_TRUE(find(self->rig, SMALL(7 + ALIAS), true));
	EXPECT_TRUE(find(self->rig, SMALL(8), true));

	/* Not even read. */
	rig_page(self->rig, SMALL(9))->backing = SECRET;
	EXPECT_TRUE(miss_is(self->rig, SMALL(9), false, false));
	vmq_tlb_refuse(self->tlb, SMALL(9), false, self->tlb->flushes);
	lookups = self->rig->lookups;
	EXPECT_TRUE(miss_is(self->rig, SMALL(9), false, true));
	EXPECT_EQ(self->rig->lookups, lookups);
	EXPECT_TRUE(miss_is(self->rig, SMALL(9), true, false));
	vmq_tlb_refuse(self->tlb, SMALL(9), true, self->tlb->flushes);
	EXPECT_TRUE(miss_is(self->rig, SMALL(9), true, true));
	EXPECT_TRUE(miss_is(self->rig, SMALL(9), false, true));

	/* The page has changed: ask again. */
	rig_page(self->rig, SMALL(9))->backing = ANON;
	rig_flush(self->rig, SMALL(9) >> PAGE_SHIFT, SMALL(9) >> PAGE_SHIFT);
	EXPECT_TRUE(find(self->rig, SMALL(9), true));
}

/* Memory that appears where none was tells nobody: it is asked for again. */
TEST_F(tlb, refused_for_a_while)
{
	unsigned int n;

	vmq_tlb_refuse(self->tlb, SMALL(7), true, self->tlb->flushes);
	for (n = 0; n < 10 * 1024 && refused(self->rig, SMALL(7), true); n++)
		;
	EXPECT_EQ(n, 1024);
	EXPECT_FALSE(refused(self->rig, SMALL(7), true));
	vmq_tlb_refuse(self->tlb, SMALL(7), true, self->tlb->flushes);
	EXPECT_TRUE(refused(self->rig, SMALL(7), true));
}

/* What was found out before a change is not remembered after it. */
TEST_F(tlb, refused_too_late)
{
	const u64 flushes = self->tlb->flushes;

	/* Of something else, which was in no entry. */
	rig_flush(self->rig, 1, 1);
	vmq_tlb_refuse(self->tlb, SMALL(7), true, flushes);
	EXPECT_TRUE(find(self->rig, SMALL(7), true));
	vmq_tlb_refuse(self->tlb, SMALL(7), true, self->tlb->flushes);
	EXPECT_TRUE(find(self->rig, SMALL(7), false));
}

/* Exactly what lies in the range goes. */
static void check_flush(struct tlb_rig *rig, u64 first, u64 last)
{
	static bool had[PAGES];
	const u64 was = rig->vmq.stats.tlb_flushes, flushes = rig->tlb.flushes;
	unsigned int i, n = 0;

	for (i = 0; i < PAGES; i++)
		had[i] = at_hand(rig, rig->page[i].gpa, false);
	rig_flush(rig, first, last);
	unit_check(rig->tlb.flushes == flushes + 1);
	for (i = 0; i < PAGES; i++) {
		const struct page_model *page = &rig->page[i];
		u64 from = page->gpa >> PAGE_SHIFT;
		u64 to = (page->gpa + (page->size - 1)) >> PAGE_SHIFT;
		bool goes = had[i] && from <= last && to >= first;

		n += goes;
		unit_check(at_hand(rig, page->gpa, false) == (had[i] && !goes));
	}
	if (rig->vmq.stats.tlb_flushes != was + n)
		unit_die("%llu entries of %#llx to %#llx went, not %u",
			 rig->vmq.stats.tlb_flushes - was, first, last, n);
}

TEST_F(tlb, flush)
{
	const u64 starts[] = {
		0, (SMALL_GPA >> PAGE_SHIFT) + 100, (HUGE_GPA >> PAGE_SHIFT) - 1,
		(HUGE_GPA >> PAGE_SHIFT) + 511, TOP_GPA >> PAGE_SHIFT,
		U64_MAX >> PAGE_SHIFT,
	};
	unsigned int i, k, n;

	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (n = 1; n < 600; n += n < 20 ? 1 : 53) {
			for (k = 0; k < PAGES; k++)
				find(self->rig, self->rig->page[k].gpa, k % 2);
			check_flush(self->rig, starts[i],
				    min(starts[i] + n - 1,
					U64_MAX >> PAGE_SHIFT));
		}
	}
	/* What is remembered as not there goes as well. */
	rig_page(self->rig, SMALL(3))->backing = SECRET;
	vmq_tlb_refuse(self->tlb, SMALL(3), false, self->tlb->flushes);
	EXPECT_TRUE(miss_is(self->rig, SMALL(3), false, true));
	rig_flush(self->rig, 0, U64_MAX >> PAGE_SHIFT);
	EXPECT_TRUE(miss_is(self->rig, SMALL(3), false, false));
	for (k = 0; k < PAGES; k++)
		EXPECT_FALSE(at_hand(self->rig, self->rig->page[k].gpa, false));
}

/* Up to the last byte that an address can name, and not around. */
TEST_F(tlb, end_of_addresses)
{
	const u64 last = U64_MAX;

	EXPECT_TRUE(find(self->rig, last, true));
	EXPECT_TRUE(hit(self->rig, last & PAGE_MASK, true));
	EXPECT_FALSE(at_hand(self->rig, 0, false));
	EXPECT_FALSE(at_hand(self->rig, (last & PAGE_MASK) - 1, false));
	check_flush(self->rig, 0, 0);
	EXPECT_TRUE(at_hand(self->rig, last, true));
	check_flush(self->rig, 0, 100);
	EXPECT_TRUE(at_hand(self->rig, last, true));
	check_flush(self->rig, last >> PAGE_SHIFT, last >> PAGE_SHIFT);
	EXPECT_FALSE(at_hand(self->rig, last, true));
}

/* ----------------------------------------------------------------- sections */

static struct iovec iov[RIG_IOVS];

/* A chain of so many readable buffers, each of so many pages. */
static void add_chain(struct tlb_rig *rig, unsigned int count,
		      unsigned int pages)
{
	const u16 head = rig->next_desc;
	unsigned int i;

	for (i = 0; i < count; i++) {
		u16 at = rig->next_desc++;

		rig_desc(rig, &rig->desc[at], SMALL(1), pages * PAGE_SIZE,
			 i + 1 < count, at + 1);
	}
	rig_avail(rig, rig->next_avail++, head);
}

/* In the section: the number of buffers, or what is in the way. */
static int take(struct vmq *vmq)
{
	unsigned int out, in;
	int head = vmq_next_direct(vmq, iov, RIG_IOVS, &out, &in);

	if (head < 0)
		return head;
	return head == (int)vmq->ring.num ? 0 : out + in;
}

TEST_F(tlb, section_is_bounded)
{
	struct vmq *vmq = self->vmq;

	self->rig->burst.ahead = 8;
	add_chain(self->rig, 1, 128);
	add_chain(self->rig, 1, 100);
	add_chain(self->rig, 1, 28);
	add_chain(self->rig, 1, 1);
	add_chain(self->rig, 1, 129);
	add_chain(self->rig, 1, 1);

	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 128);
	EXPECT_EQ(take(vmq), -EAGAIN);
	EXPECT_EQ(self->vmq->section.miss, VMQ_MISS_SECTION);
	vmq_direct_end(vmq);
	EXPECT_TRUE(vmq_direct_resolve(vmq));

	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 100);
	EXPECT_EQ(take(vmq), 28);
	EXPECT_EQ(take(vmq), -EAGAIN);
	EXPECT_EQ(self->vmq->section.miss, VMQ_MISS_SECTION);
	vmq_direct_end(vmq);
	EXPECT_TRUE(vmq_direct_resolve(vmq));

	/* Given up only when it had the section for itself. */
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 1);
	EXPECT_EQ(take(vmq), -EAGAIN);
	EXPECT_EQ(self->vmq->section.miss, VMQ_MISS_SECTION);
	vmq_direct_end(vmq);
	EXPECT_TRUE(vmq_direct_resolve(vmq));
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), -EAGAIN);
	vmq_direct_end(vmq);
	EXPECT_EQ(self->vmq->stats.payload_shape, 0);
	EXPECT_FALSE(vmq_direct_resolve(vmq));
	EXPECT_EQ(self->vmq->stats.payload_shape, 1);
	EXPECT_EQ(vmq->ring.last_avail_idx, 4);
}

/* Descriptors of tables count as well, and twice if they lie in two pages. */
TEST_F(tlb, tables_are_bounded)
{
	const unsigned int count[] = { 64, 65, 63, 64 };
	const unsigned int skew[] = { 0, 0, 8, 8 };
	const int expected[] = { 64, -EAGAIN, 63, -EAGAIN };
	struct vmq *vmq = self->vmq;
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(count); i++) {
		/* With a skew, the first of the table straddles two pages. */
		const u64 table = skew[i] ? SMALL(9) - skew[i] : SMALL(9);
		struct vring_desc desc;

		for (k = 0; k < count[i]; k++) {
			rig_desc(self->rig, &desc, SMALL(20 + k) + 5, 10,
				 k + 1 < count[i], 0);
			for (unsigned int b = 0; b < sizeof(desc); b++)
				*rig_host(self->rig, table + 16 * k + b) =
					((char *)&desc)[b];
		}
		rig_desc(self->rig, &self->rig->desc[i], table, 16 * count[i],
			 VRING_DESC_F_INDIRECT, 0);
		rig_avail(self->rig, i, i);
		ASSERT_TRUE(vmq_direct_begin(vmq));
		EXPECT_EQ(take(vmq), expected[i]) {
			TH_LOG("%u at %u", count[i], skew[i]);
		}
		vmq_direct_end(vmq);
		if (expected[i] < 0) {
			EXPECT_FALSE(vmq_direct_resolve(vmq));
			vmq->ring.last_avail_idx++;
			vmq_burst_reset(vmq->burst);
		}
	}
}

/* No more pieces than there is room for. */
TEST_F(tlb, room)
{
	struct vmq *vmq = self->vmq;
	unsigned int out, in;

	add_chain(self->rig, 3, 2);
	iov[5].iov_len = 0x5a;
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(vmq_next_direct(vmq, iov, 5, &out, &in), -EAGAIN);
	EXPECT_EQ(self->vmq->section.miss, VMQ_MISS_SHAPE);
	EXPECT_EQ(iov[5].iov_len, 0x5a);
	EXPECT_EQ(vmq_next_direct(vmq, iov, 6, &out, &in), 0);
	EXPECT_EQ(out, 6);
	vmq_direct_end(vmq);
}

/* Take one-page chains until the section ends; how many descriptors it reads. */
static u64 read_in_section(struct vmq *vmq, struct tlb_rig *rig)
{
	const u64 reads = rig->reads;
	void *kaddr;
	size_t len;
	int n = 0;

	unit_check(vmq_direct_begin(vmq));
	while (n >= 0 && n != (int)vmq->ring.num) {
		n = vmq_next_buffer(vmq, false, U32_MAX, &kaddr, &len);
		if (n < 0)
			n = take(vmq);
	}
	vmq_direct_end(vmq);
	/* Otherwise it was the ring that ended. */
	if (n < 0) {
		unit_check(rig->vmq.section.miss == VMQ_MISS_SECTION);
		unit_check(vmq_direct_resolve(vmq));
	}
	return rig->reads - reads;
}

/* A section reads the ring again, but not for ever. */
TEST_F(tlb, reads_of_the_ring)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;
	unsigned int i;
	u64 reads;

	ASSERT_TRUE(vmq_direct_begin(vmq));
	add_chain(rig, 1, 1);
	EXPECT_EQ(take(vmq), 1);
	add_chain(rig, 1, 1);
	EXPECT_EQ(take(vmq), 1);
	EXPECT_EQ(take(vmq), 0);
	vmq_direct_end(vmq);

	rig->burst.ahead = VMQ_BURST_CHAINS;
	for (i = 0; i < 200; i++)
		rig_avail(rig, rig->next_avail++, 0);
	reads = read_in_section(vmq, rig);
	EXPECT_GE(reads, VMQ_SECTION_DESCS);
	EXPECT_LE(reads, 2 * VMQ_SECTION_DESCS);
	EXPECT_GE(read_in_section(vmq, rig), VMQ_SECTION_DESCS);
}

/* Buffers are read ahead as chains are, and what was there before is gone. */
TEST_F(tlb, buffers_are_fetched)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;
	void *kaddr;
	size_t len;

	ASSERT_TRUE(vmq_direct_begin(vmq));
	add_chain(rig, 1, 1);
	EXPECT_EQ(take(vmq), 1);
	add_chain(rig, 1, 1);
	EXPECT_LE(0, vmq_next_buffer(vmq, false, U32_MAX, &kaddr, &len));
	EXPECT_EQ(vmq_next_buffer(vmq, false, U32_MAX, &kaddr, &len), -EAGAIN);
	EXPECT_EQ(take(vmq), 0);
	vmq_direct_end(vmq);
}

/* In how many sections a chain turns out to be none for here. */
static unsigned int sections_of(struct vmq *vmq, struct tlb_rig *rig)
{
	unsigned int n = 0;
	void *kaddr;
	size_t len;

	do {
		unit_check(vmq_direct_begin(vmq));
		unit_check(vmq_next_buffer(vmq, false, U32_MAX, &kaddr, &len) ==
			   -EAGAIN);
		unit_check(take(vmq) == -EAGAIN);
		vmq_direct_end(vmq);
	} while (++n < 20 && rig->vmq.section.miss == VMQ_MISS_SECTION);
	unit_check(rig->vmq.section.miss == VMQ_MISS_SHAPE);
	return n;
}

/* Who asks both ways for the same broken chain comes to its end as well. */
TEST_F(tlb, broken_chain)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;
	unsigned int i;

	/* It points to itself. */
	rig_desc(rig, &rig->desc[0], SMALL(1), PAGE_SIZE, true, 0);
	rig_avail(rig, rig->next_avail++, 0);
	EXPECT_LE(sections_of(vmq, rig), RIG_NUM / VMQ_SECTION_DESCS + 1);

	/* Just as long as what a section reads, and then goes nowhere. */
	for (i = 0; i < VMQ_SECTION_DESCS; i++)
		rig_desc(rig, &rig->desc[i], SMALL(1), PAGE_SIZE, true,
			 i + 1 < VMQ_SECTION_DESCS ? i + 1 : RIG_NUM);
	EXPECT_LE(sections_of(vmq, rig), 2);
	rig->desc[3].next = RIG_NUM;
	EXPECT_EQ(sections_of(vmq, rig), 1);
}

/* What is empty is read as well. */
TEST_F(tlb, reads_of_nothing)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;
	unsigned int i;

	for (i = 0; i < 60; i++)
		rig_desc(rig, &rig->desc[i], SMALL(1), 0, i < 59, i + 1);
	for (i = 0; i < 200; i++)
		rig_avail(rig, rig->next_avail++, 0);
	EXPECT_LE(read_in_section(vmq, rig), 3 * VMQ_SECTION_DESCS);
	EXPECT_LE(read_in_section(vmq, rig), 3 * VMQ_SECTION_DESCS);
}

/* No more is read than is expected to be taken; what was read stays. */
TEST_F(tlb, expected)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;
	unsigned int i;

	for (i = 0; i < 20; i++)
		add_chain(rig, 1, 1);
	add_chain(rig, 100, 1);
	rig->burst.ahead = VMQ_BURST_CHAINS;
	vmq_expect(vmq, 5);
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 1);
	EXPECT_EQ(rig->reads, 5);
	vmq_expect(vmq, 1);
	for (i = 1; i < 5; i++)
		EXPECT_EQ(take(vmq), 1);
	EXPECT_EQ(rig->reads, 5);
	vmq_expect(vmq, 15);
	for (i = 5; i < 20; i++)
		EXPECT_EQ(take(vmq), 1);
	vmq_direct_end(vmq);

	/* The rest of a long chain. */
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), -EAGAIN);
	vmq_direct_end(vmq);
	vmq_expect(vmq, 1);
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 100);
	vmq_direct_end(vmq);
}

/* Not at all where payload is to be reached by user access. */
TEST_F(tlb, off)
{
	self->vmq->direct = false;
	EXPECT_FALSE(vmq_direct_begin(self->vmq));
	EXPECT_EQ(self->vmq->stats.payload_off, 1);
}

/* How often it may be tried again until it is given up. */
static unsigned int tries(struct vmq *vmq)
{
	unsigned int n;

	for (n = 0; n < 10000; n++) {
		unit_check(vmq_direct_begin(vmq));
		unit_check(take(vmq) == -EAGAIN);
		vmq_direct_end(vmq);
		if (!vmq_direct_resolve(vmq))
			break;
	}
	return n;
}

TEST_F(tlb, retries_are_bounded)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;

	rig->page[1].mapped = false;
	add_chain(self->rig, 1, 1);
	add_chain(self->rig, 1, 1);

	/* Refused again and again. */
	rig->refuse = 100;
	EXPECT_EQ(tries(vmq), 3);
	EXPECT_EQ(vmq->stats.payload_refused, 1);
	EXPECT_EQ(rig->faults, 3);
	/* The next time from the start, for this chain and for another. */
	EXPECT_EQ(tries(vmq), 3);
	vmq->ring.last_avail_idx++;
	vmq->burst->next++;
	EXPECT_EQ(tries(vmq), 3);
	EXPECT_EQ(vmq->stats.payload_refused, 3);
	EXPECT_EQ(vmq->stats.tlb_faults, 9);

	/* Had, and gone again before it could be used. */
	rig->refuse = 0;
	rig->lose = 100;
	rig->faults = 0;
	EXPECT_EQ(tries(vmq), VMQ_SECTION_LOOKUPS);
	EXPECT_EQ(rig->faults, VMQ_SECTION_LOOKUPS);
	EXPECT_EQ(vmq->stats.payload_refused, 4);
	EXPECT_EQ(vmq->stats.payload_nomap, 0);

	/* Refusals of the chain before do not count for the next. */
	rig->lose = 0;
	rig->refuse = 100;
	add_chain(self->rig, 1, 1);
	vmq_burst_reset(vmq->burst);
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), -EAGAIN);
	vmq_direct_end(vmq);
	EXPECT_TRUE(vmq_direct_resolve(vmq));
	EXPECT_TRUE(vmq_direct_resolve(vmq));
	rig->refuse = 0;
	EXPECT_TRUE(vmq_direct_resolve(vmq));
	ASSERT_TRUE(vmq_direct_begin(vmq));
	EXPECT_EQ(take(vmq), 1);
	vmq_direct_end(vmq);
	rig_unmap(rig, &rig->page[1]);
	rig->refuse = 100;
	EXPECT_EQ(tries(vmq), 3);
}

/* Memory without kernel address: one fault finds out, for good. */
TEST_F(tlb, resolve_no_address)
{
	struct tlb_rig *rig = self->rig;
	struct vmq *vmq = self->vmq;

	rig->page[1].backing = SECRET;
	add_chain(self->rig, 1, 1);
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(rig->faults, 1);
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(rig->faults, 1);
	EXPECT_EQ(vmq->stats.payload_nomap, 2);

	/* Something changed meanwhile: that was of before. */
	spin_lock(&vmq->section.base.lock);
	vmq_tlb_clear(self->tlb);
	spin_unlock(&vmq->section.base.lock);
	rig->disturb = 100;
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(rig->faults, 3);
	EXPECT_EQ(vmq->stats.payload_nomap, 4);

	/* Outside of guest memory there is nothing to remember. */
	rig->disturb = 0;
	rig_desc(rig, &rig->desc[0], 0x1000, 1, 0, 0);
	vmq_burst_reset(vmq->burst);
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(tries(vmq), 0);
	EXPECT_EQ(rig->faults, 5);
	EXPECT_EQ(vmq->stats.payload_nomap, 6);
	EXPECT_EQ(vmq->stats.payload_refused + vmq->stats.payload_shape, 0);
}

/* ----------------------------------------------------------------- copies */

/* A page between two that are not there. */
static char *lone_page(void)
{
	char *p = mmap(NULL, 3 * PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	unit_check(p != MAP_FAILED);
	unit_check(!mprotect(p, PAGE_SIZE, PROT_NONE));
	unit_check(!mprotect(p + 2 * PAGE_SIZE, PAGE_SIZE, PROT_NONE));
	return p + PAGE_SIZE;
}

/* All of it, and nothing around it. */
static void check_copies(char *page, unsigned int off, char *from,
			 unsigned int len)
{
	char expected[PAGE_SIZE], *to = page + off;

	memset(expected, 0x5a, PAGE_SIZE);
	memcpy(expected + off, from, len);
	memset(page, 0x5a, PAGE_SIZE);
	unit_check(!vmq_copy_mc(to, from, len));
	unit_check(!memcmp(page, expected, PAGE_SIZE));
	memset(page, 0x5a, PAGE_SIZE);
	vmq_copy_to(to, from, len);
	unit_check(!memcmp(page, expected, PAGE_SIZE));
}

TEST(copies)
{
	char *from = lone_page(), *to = lone_page(), field[16];
	unsigned int len, off, i;

	for (i = 0; i < PAGE_SIZE; i++)
		from[i] = i * 7 + (i >> 8);
	for (len = 0; len <= 300; len++) {
		for (off = 0; off < 9; off++) {
			check_copies(to, off, from + PAGE_SIZE - len, len);
			check_copies(to, PAGE_SIZE - len, from + off, len);
		}
	}
	/* As a field of a known size, which compilers cut short. */
	ASSERT_EQ(vmq_copy_mc(field, from + 3, sizeof(field)), 0);
	EXPECT_EQ(memcmp(field, from + 3, sizeof(field)), 0);
}

/* ----------------------------------------------------------------- random rings */

static struct {
	struct tlb_rig *rig;
	/* By user access, from the same ring. */
	struct vmq_split ring;
	struct vmq_burst burst;
	struct chain_model chain;
	u64 seed;
	u64 step;
	/* Memory has changed since the chain was tried first. */
	bool changed;
	/* What has been covered. */
	u64 direct;
	u64 buffers;
	u64 user;
	u64 broken;
	u64 shape;
	u64 nomap;
	u64 refused;
} rnd;

#define rnd_check(cond)							\
do {									\
	if (!(cond))							\
		unit_die("%s:%d: %s is not so, step %llu;"		\
			 " repeat with UNIT_SEED=%llu -t given_seed",	\
			 __FILE__, __LINE__, #cond, rnd.step, rnd.seed); \
} while (0)

static u64 below(u64 n)
{
	return rig_random(rnd.rig, n);
}

/* Mostly what is there, mostly near the ends of pages. */
static u64 random_gpa(void)
{
	const u64 off = below(3) ? below(PAGE_SIZE) : PAGE_SIZE - 1 - below(32);

	switch (below(40)) {
	case 0:
		return HUGE_GPA + HUGE_SIZE - 1 - below(64);
	case 1 ... 9:
		return HUGE_GPA + below(2 * HUGE_SIZE);
	case 10 ... 11:
		return TOP_GPA + below(2) * PAGE_SIZE + off;
	case 12:
		if (below(40))
			return SMALL(0) + off;
		return below(4) ? SMALL(SMALL_PAGES) - below(100) :
				  below(U64_MAX);
	default:
		return SMALL(below(below(2) ? 40 : SMALL_PAGES)) + off;
	}
}

static u32 random_len(void)
{
	switch (below(40)) {
	case 0:
		return 0;
	case 1 ... 25:
		return 1 + below(1600);
	case 26:
		return below(4) ? below(20 * PAGE_SIZE) :
				  below(200 * PAGE_SIZE);
	default:
		return 1 + below(2 * PAGE_SIZE);
	}
}

static void random_desc(struct vring_desc *desc, bool write, u16 flags,
			u16 next)
{
	/* A few are the wrong way round. */
	if (!below(2000))
		write = !write;
	rig_desc(rnd.rig, desc, random_gpa(), random_len(),
		 flags | (write ? VRING_DESC_F_WRITE : 0), next);
}

/* In small pages, at any byte, over the ends of pages. */
static void random_table(struct vring_desc *desc, bool write, u16 next_flag,
			 u16 next)
{
	unsigned int n = 1 + (below(10) ? below(8) : below(150)), i, k;
	u64 gpa = SMALL(1 + below(SMALL_PAGES - 4)) + PAGE_SIZE - below(16 * n);
	u32 len = 16 * n;
	struct vring_desc part;

	for (i = 0; i < n; i++) {
		random_desc(&part, write || (n > 3 && i > n / 2),
			    i + 1 < n ? VRING_DESC_F_NEXT : 0, below(65536));
		for (k = 0; k < sizeof(part); k++)
			*rig_host(rnd.rig, gpa + 16 * i + k) =
				((char *)&part)[k];
	}
	switch (below(200)) {
	case 0:
		gpa = random_gpa();
		break;
	case 1:
		len += below(40);
		break;
	case 2:
		len = 16 * below(1000);
		break;
	}
	rig_desc(rnd.rig, desc, gpa, len, VRING_DESC_F_INDIRECT | next_flag,
		 next);
}

static void add_random(void)
{
	const u16 at = rnd.rig->next_avail % RIG_NUM;
	unsigned int n = below(4) ? 1 : 1 + (below(8) ? below(4) : below(70));
	const unsigned int writable = below(2) ? 0 : below(n + 1);
	unsigned int i;

	/* Overlaps others now and then, which is wrong but must do no harm. */
	for (i = 0; i < n; i++) {
		const u16 d = (at * 37 + i) % RIG_NUM;
		const u16 next = (d + 1) % RIG_NUM;
		const u16 flag = i + 1 < n ? VRING_DESC_F_NEXT : 0;

		if (!below(5))
			random_table(&rnd.rig->desc[d], i >= writable, flag,
				     next);
		else
			random_desc(&rnd.rig->desc[d], i >= writable, flag,
				    next);
	}
	rig_avail(rnd.rig, rnd.rig->next_avail++, at * 37 % RIG_NUM);
}

/* The owner and the host do something to the memory. */
static void change_memory(void)
{
	struct page_model *page = &rnd.rig->page[below(3) ? below(60) :
							    below(PAGES)];
	unsigned int i;

	rnd.changed = true;
	switch (below(8)) {
	case 0:
		rig_replace(rnd.rig, page);
		break;
	case 1:
		page->backing = below(6) ? ANON : below(4);
		rig_unmap(rnd.rig, page);
		break;
	case 2:
		/* Write-protected: it may still be read. */
		page->writable = false;
		rig_flush(rnd.rig, page->gpa >> PAGE_SHIFT,
			  (page->gpa + (page->size - 1)) >> PAGE_SHIFT);
		break;
	case 3:
		for (i = 0; i < SMALL_PAGES; i++) {
			rnd.rig->page[i].mapped = false;
			rnd.rig->page[i].writable = false;
		}
		rig_flush(rnd.rig, SMALL_GPA >> PAGE_SHIFT,
			  (SMALL(SMALL_PAGES) >> PAGE_SHIFT) - 1);
		break;
	default:
		rig_unmap(rnd.rig, page);
		break;
	}
}

/* The chain that is next, by user access; it stays where it is. */
static void look_ahead(void)
{
	/* Read again: other descriptors may have been written since. */
	vmq_burst_reset(&rnd.burst);
	rnd.ring.last_avail_idx = rnd.rig->vmq.ring.last_avail_idx;
	rnd.ring.avail_idx = rnd.ring.last_avail_idx;
	rig_next(rnd.rig, &rnd.ring, &rnd.burst, &rnd.chain);
}

/* The same bytes, in the same order, whatever the pieces. */
static void check_same(const struct iovec *have, unsigned int nr_have,
		       const struct iovec *want, unsigned int nr_want)
{
	size_t off = 0, done = 0, n;
	u64 gpa;

	while (nr_want) {
		gpa = (u64)want->iov_base + done;
		rnd_check(nr_have);
		rnd_check((char *)have->iov_base + off ==
			  rig_host(rnd.rig, gpa));
		n = min(have->iov_len - off, want->iov_len - done);
		rnd_check(n);
		/* None leaves its page. */
		rnd_check(off + n <= have->iov_len);
		rnd_check((gpa + n - 1) / PAGE_SIZE == gpa / PAGE_SIZE ||
			  rig_page(rnd.rig, gpa) ==
			  rig_page(rnd.rig, gpa + n - 1));
		off += n;
		done += n;
		if (off == have->iov_len)
			have++, nr_have--, off = 0;
		if (done == want->iov_len)
			want++, nr_want--, done = 0;
	}
	rnd_check(!nr_have && !off);
}

/**
 * struct buffer - what vmq_next_buffer() says of the next chain
 * @head: its head, or -EAGAIN
 * @kaddr: where it is
 * @len: its bytes
 */
struct buffer {
	int head;
	void *kaddr;
	size_t len;
};

static struct buffer peek_buffer(bool write, u32 want)
{
	const bool fresh = rnd.rig->vmq.section.fresh;
	struct vmq *vmq = &rnd.rig->vmq;
	struct buffer b;

	b.head = vmq_next_buffer(vmq, write, want, &b.kaddr, &b.len);
	if (b.head >= 0) {
		rnd_check(!rnd.rig->vmq.section.fresh);
		rnd.rig->vmq.section.fresh = fresh;
		vmq_put_back(vmq);
	}
	return b;
}

static bool is_huge_file(u64 gpa)
{
	const struct page_model *page = rig_page(rnd.rig, gpa);

	return page->size == HUGE_SIZE && page->backing == FILE_BACKED;
}

/* The next chain is one buffer, the first page of it at hand. */
static void check_buffer(int head, bool write)
{
	const size_t len = rnd.chain.iov->iov_len, first = iov->iov_len;
	const u32 wants[] = { U32_MAX, first, first + 1, below(2 * PAGE_SIZE) };
	struct buffer b;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wants); i++) {
		rnd_check(peek_buffer(!write, wants[i]).head == -EAGAIN);
		b = peek_buffer(write, wants[i]);
		if (min(len, wants[i]) > first) {
			rnd_check(b.head == -EAGAIN);
			continue;
		}
		rnd_check(b.head == head);
		rnd_check(b.kaddr == iov->iov_base);
		rnd_check(b.len == len);
	}
}

/* A chain that was taken whole, as @iov, in the section. */
static void check_direct(int head, unsigned int out, unsigned int in,
			 const struct buffer b[2])
{
	const struct chain_model *c = &rnd.chain;
	struct vmq *vmq = &rnd.rig->vmq;
	const struct vmq_chain *chain = &rnd.rig->burst.chain[vmq->burst->next - 1];
	const u16 flags = rnd.rig->burst.desc[chain->first].flags;
	unsigned int i;

	/* vmq_next() wants all of a table, used or not. */
	if (c->beyond)
		return;
	rnd_check(c->ret == head);
	rnd_check(!c->hidden);
	rnd_check(c->cost <= VMQ_SECTION_LOOKUPS);
	check_same(iov, out, c->iov, c->out);
	check_same(iov + out, in, c->iov + c->out, c->in);
	for (i = 0; i < c->in; i++)
		rnd_check(rig_page(rnd.rig,
				   (u64)c->iov[c->out + i].iov_base)->dirty);

	for (i = 0; i < 2; i++) {
		if (b[i].head < 0)
			continue;
		rnd_check(b[i].head == head);
		rnd_check(out == !i && in == i);
		rnd_check(b[i].kaddr == iov->iov_base);
		rnd_check(b[i].len == iov->iov_len);
		rnd.buffers++;
	}
	/*
	 * And the other way round, now that it is at hand.  A refusal, which is
	 * of a small page, hides the huge one around it.
	 */
	if (chain->count == 1 && out + in &&
	    !(flags & vmq_word(&vmq->ring, VRING_DESC_F_INDIRECT)) &&
	    (in || !is_huge_file((u64)c->iov->iov_base))) {
		vmq_put_back(vmq);
		check_buffer(head, in);
		vmq->burst->next++;
		vmq->ring.last_avail_idx++;
	}
	rnd.direct++;
}

/* Why a chain was left to user access. */
static void check_reason(const struct vmq_stats *was)
{
	const struct vmq_stats *stats = &rnd.rig->vmq.stats;
	const struct chain_model *c = &rnd.chain;

	rnd_check(stats->payload_nomap + stats->payload_shape +
		  stats->payload_refused == was->payload_nomap +
		  was->payload_shape + was->payload_refused + 1);
	if (stats->payload_nomap > was->payload_nomap) {
		rnd_check(c->hidden || c->ret == -EFAULT || c->ret == -EPERM);
		rnd.nomap++;
	} else if (stats->payload_shape > was->payload_shape) {
		rnd_check(c->ret < 0 || c->cost > VMQ_SECTION_LOOKUPS);
		rnd.shape++;
	} else {
		rnd_check(rnd.rig->refuse || rnd.rig->lose || rnd.changed);
		rnd.refused++;
	}
	rnd.changed = false;
	rnd.user++;
}

/* One section.  Returns false at a broken chain: the ring is of no use then. */
static bool play_section(void)
{
	const struct vmq_stats was = rnd.rig->vmq.stats;
	struct vmq *vmq = &rnd.rig->vmq;
	struct buffer b[2];
	unsigned int n = 1 + below(12), out, in;
	const char *why = vmq->ring.why;
	int head = 0;
	u16 avail;

	unit_check(vmq_direct_begin(vmq));
	while (n-- && head >= 0) {
		b[0] = peek_buffer(false, U32_MAX);
		b[1] = peek_buffer(true, U32_MAX);
		rnd_check(b[0].head < 0 || b[1].head < 0);
		avail = vmq->ring.last_avail_idx;
		look_ahead();
		head = vmq_next_direct(vmq, iov, RIG_IOVS, &out, &in);
		if (head == RIG_NUM) {
			rnd_check(rnd.chain.ret == RIG_NUM);
			break;
		}
		rnd_check(vmq->ring.last_avail_idx == (u16)(avail + (head >= 0)));
		if (head >= 0)
			rnd.changed = false;
		if (head >= 0)
			check_direct(head, out, in, b);
	}
	vmq_direct_end(vmq);
	rnd_check(vmq->ring.why == why);
	if (head >= 0 || vmq_direct_resolve(vmq))
		return true;

	check_reason(&was);
	/* As the backend does: this one by vmq_next(). */
	rnd.chain.ret = -1;
	rig_next(rnd.rig, &vmq->ring, vmq->burst, &rnd.chain);
	if (rnd.chain.ret < 0)
		rnd.broken++;
	return rnd.chain.ret >= 0;
}

static void episode(u64 seed)
{
	static const unsigned int percents[] = { 0, 0, 5, 60 };
	unsigned int i;
	u16 pending;

	rnd.seed = seed;
	rnd.rig = rig_new(seed % 3);
	rnd.rig->rng = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	rnd.rig->refuse = percents[below(4)];
	rnd.rig->lose = percents[below(4)];
	rnd.rig->disturb = percents[below(4)];
	rnd.rig->burst.ahead = 1 + below(64);
	rnd.rig->next_avail = below(65536);
	rnd.rig->vmq.ring.last_avail_idx = rnd.rig->next_avail;
	rnd.rig->vmq.ring.avail_idx = rnd.rig->next_avail;
	rnd.ring = rnd.rig->vmq.ring;
	rnd.burst.ahead = 1;
	rig_avail(rnd.rig, rnd.rig->next_avail - 1, 0);
	rnd.changed = false;
	for (i = 0; i < 40; i++)
		rnd.rig->page[below(PAGES)].backing = below(below(8) ? 3 : 4);

	for (rnd.step = 0; rnd.step < 512; rnd.step++) {
		pending = rnd.rig->next_avail - rnd.rig->vmq.ring.last_avail_idx;
		if (!pending || (pending < 30 && !below(3))) {
			for (i = 1 + below(8); i; i--)
				add_random();
			/* Those fetched may have been written over. */
			vmq_burst_reset(&rnd.rig->burst);
		}
		if (!below(12))
			change_memory();
		if (!play_section())
			break;
	}
	rig_free(rnd.rig);
}

static u64 number(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void play(struct __test_metadata *_metadata, u64 seed)
{
	const u64 chains = number("UNIT_STEPS", 100000) / 2;

	printf("# seed %llu, %llu chains\n", seed, chains);
	fflush(stdout);
	while (rnd.direct + rnd.user < chains)
		episode(seed++);
	printf("# %llu by kernel address, %llu the short way\n", rnd.direct,
	       rnd.buffers);
	printf("# %llu not: %llu nomap, %llu shape, %llu refused; %llu broken\n",
	       rnd.user, rnd.nomap, rnd.shape, rnd.refused, rnd.broken);
	fflush(stdout);

	/* A run that covers nothing would pass as well. */
	EXPECT_GT(rnd.direct, chains / 4);
	EXPECT_GT(rnd.buffers, chains / 20);
	EXPECT_GT(rnd.nomap, chains / 200);
	EXPECT_GT(rnd.shape, chains / 200);
	EXPECT_GT(rnd.refused, chains / 1000);
	EXPECT_GT(rnd.broken, chains / 1000);
}

/* The same on every machine, every time. */
TEST(given_seed)
{
	play(_metadata, number("UNIT_SEED", 1));
}

TEST(fresh_seed)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	play(_metadata, (u64)now.tv_sec * 1000000000 + now.tv_nsec);
}

TEST_HARNESS_MAIN
