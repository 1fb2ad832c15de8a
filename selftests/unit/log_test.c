// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log: what a queue has written is gathered, byte by byte to the right
 * page, and nothing is lost where room ends.  The bitmap itself is the rig's.
 *
 * UNIT_SEED repeats a run, UNIT_STEPS sets how long it is.
 */
#include <time.h>

#include "kselftest_harness.h"
#include "tlb_rig.h"

#define SMALL(i)	(SMALL_GPA + (i) * PAGE_SIZE)

static struct iovec iov[RIG_IOVS];

FIXTURE(log)
{
	struct tlb_rig *rig;
	struct vmq *vmq;
	/* the pages that have to be logged */
	bool want[SMALL_PAGES];
};

static int base_memory;

FIXTURE_SETUP(log)
{
	unsigned int i;

	self->rig = rig_new(true);
	self->vmq = &self->rig->vmq;
	for (i = 0; i < PAGES; i++) {
		self->rig->page[i].mapped = true;
		self->rig->page[i].writable = true;
	}
	self->rig->burst.ahead = VMQ_BURST_CHAINS;
	self->vmq->features = BIT_ULL(VHOST_F_LOG_ALL);
	self->vmq->log_call = (void *)self->rig;
	ASSERT_EQ(0, vmq_log_set_base(self->vmq, &base_memory));
	memset(self->want, 0, sizeof(self->want));
}

FIXTURE_TEARDOWN(log)
{
	self->vmq->log->nr = 0;
	vmq_log_free(self->vmq);
	rig_free(self->rig);
}

/* Has a page its bit? */
static bool logged(const struct tlb_rig *rig, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < rig->nr_bits; i++)
		if (gpa >> 12 >= rig->bits[i].first &&
		    gpa >> 12 <= rig->bits[i].last)
			return true;
	return false;
}

static void flush(struct tlb_rig *rig)
{
	rig->barriers = 0;
	vmq_log_flush(&rig->vmq);
}

static void mark(bool *want, u64 addr, u64 len)
{
	u64 at;

	for (at = addr; at < addr + len; at++)
		want[(at - SMALL_GPA) / PAGE_SIZE] = true;
}

/* Bits of exactly the wanted pages. */
static bool right(const struct tlb_rig *rig, const bool *want)
{
	unsigned int i, pages = 0, bits = 0;

	for (i = 0; i < SMALL_PAGES; i++) {
		pages += want[i];
		if (logged(rig, SMALL(i)) != want[i]) {
			printf("# page %u: logged %d\n", i, !want[i]);
			return false;
		}
	}
	/* None outside of that memory, and none twice in a row. */
	for (i = 0; i < rig->nr_bits; i++) {
		unit_check(rig->bits[i].first >= SMALL(0) >> 12);
		unit_check(rig->bits[i].last < SMALL(SMALL_PAGES) >> 12);
		bits += rig->bits[i].last - rig->bits[i].first + 1;
	}
	return bits >= pages;
}

/* A chain of writable buffers in the ring. */
static void add_chain(struct tlb_rig *rig, const struct vring_desc *buf,
		      unsigned int n)
{
	const u16 head = rig->next_desc;
	unsigned int i;

	for (i = 0; i < n; i++) {
		u16 at = rig->next_desc++;

		unit_check(at < RIG_NUM);
		rig_desc(rig, &rig->desc[at], buf[i].addr, buf[i].len,
			 VRING_DESC_F_WRITE |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			 rig->next_desc);
	}
	rig_avail(rig, rig->next_avail++, head);
}

static int take(struct vmq *vmq)
{
	unsigned int out, in;

	return vmq_next_direct(vmq, iov, RIG_IOVS, &out, &in);
}

/* As the backend: short chains the short way. */
static int take_any(struct vmq *vmq)
{
	void *kaddr;
	size_t len;
	int head = vmq_next_buffer(vmq, true, U32_MAX, &kaddr, &len);

	return head >= 0 ? head : take(vmq);
}

TEST_F(log, bytes_written_count)
{
	const struct vring_desc chain[] = {
		{ .addr = SMALL(1) + 100, .len = 200 },
		{ .addr = SMALL(4) - 1, .len = 2 },
		{ .addr = SMALL(9), .len = 3 * PAGE_SIZE },
		{ .addr = SMALL(20), .len = 1 },
	};
	static const struct {
		unsigned int len;
		unsigned int pages[8];
	} cases[] = {
		{ 0, { 0 } },
		{ 1, { 1 } },
		{ 200, { 1 } },
		{ 201, { 1, 3 } },
		{ 202, { 1, 3, 4 } },
		{ 203, { 1, 3, 4, 9 } },
		{ 202 + PAGE_SIZE, { 1, 3, 4, 9 } },
		{ 203 + PAGE_SIZE, { 1, 3, 4, 9, 10 } },
		{ 202 + 3 * PAGE_SIZE, { 1, 3, 4, 9, 10, 11 } },
		{ 203 + 3 * PAGE_SIZE, { 1, 3, 4, 9, 10, 11, 20 } },
		{ 1000000, { 1, 3, 4, 9, 10, 11, 20 } },
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		add_chain(self->rig, chain, ARRAY_SIZE(chain));
		ASSERT_TRUE(vmq_direct_begin(self->vmq));
		ASSERT_GE(take_any(self->vmq), 0);
		vmq_log_written_direct(self->vmq, cases[i].len);
		vmq_direct_end(self->vmq);

		memset(self->want, 0, sizeof(self->want));
		for (j = 0; j < 8 && cases[i].pages[j]; j++)
			self->want[cases[i].pages[j]] = true;
		self->rig->nr_bits = 0;
		flush(self->rig);
		EXPECT_TRUE(right(self->rig, self->want)) {
			TH_LOG("%u bytes", cases[i].len);
		}
	}
}

TEST_F(log, nothing_to_be_logged)
{
	const struct vring_desc buf = { .addr = SMALL(1), .len = 100 };

	self->vmq->features = 0;
	vmq_log_configured(self->vmq);
	add_chain(self->rig, &buf, 1);
	ASSERT_TRUE(vmq_direct_begin(self->vmq));
	ASSERT_GE(take_any(self->vmq), 0);
	vmq_log_written_direct(self->vmq, 100);
	vmq_direct_end(self->vmq);
	vmq_log_used(self->vmq, 0, 4);
	flush(self->rig);
	EXPECT_EQ(0, self->rig->nr_bits);
	EXPECT_EQ(0, self->rig->signals);
}

TEST_F(log, put_back_is_forgotten)
{
	const struct vring_desc first = { .addr = SMALL(1), .len = 100 };
	const struct vring_desc second = { .addr = SMALL(2), .len = 100 };

	add_chain(self->rig, &first, 1);
	add_chain(self->rig, &second, 1);
	ASSERT_TRUE(vmq_direct_begin(self->vmq));
	ASSERT_GE(take_any(self->vmq), 0);
	vmq_put_back(self->vmq);
	ASSERT_GE(take(self->vmq), 0);
	vmq_log_written_direct(self->vmq, 100);
	ASSERT_GE(take(self->vmq), 0);
	vmq_put_back(self->vmq);
	vmq_log_written_direct(self->vmq, 100);
	vmq_direct_end(self->vmq);
	flush(self->rig);
	self->want[1] = true;
	EXPECT_TRUE(right(self->rig, self->want));
}

/* A chain that was not taken leaves nothing, however often it is tried. */
TEST_F(log, not_taken_is_forgotten)
{
	struct vring_desc chain[100];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(chain); i++)
		chain[i] = (struct vring_desc){ .addr = SMALL(i), .len = 10 };
	self->rig->page[ARRAY_SIZE(chain) - 1].backing = READ_ONLY;
	self->rig->page[ARRAY_SIZE(chain) - 1].writable = false;
	add_chain(self->rig, chain, ARRAY_SIZE(chain));
	for (i = 0; i < 50; i++) {
		ASSERT_TRUE(vmq_direct_begin(self->vmq));
		ASSERT_EQ(-EAGAIN, take_any(self->vmq));
		ASSERT_EQ(0, self->vmq->log->nr_bufs);
		vmq_direct_end(self->vmq);
	}
	vmq_log_written(self->vmq, 1000);
	flush(self->rig);
	EXPECT_EQ(0, self->rig->nr_bits);
}

/* Nothing is lost where no section is: bits are set when room ends. */
TEST_F(log, room_outside_of_sections)
{
	unsigned int i;

	for (i = 0; i < 2 * VMQ_LOG_RANGES; i++) {
		/* No neighbour of the one before. */
		unsigned int page = i * 7 % SMALL_PAGES;

		self->rig->barriers = 0;
		vmq_log_buffer(self->vmq, SMALL(page), 1);
		vmq_log_written(self->vmq, 1);
		self->want[page] = true;
	}
	EXPECT_GT(self->rig->nr_bits, 0);
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
	EXPECT_EQ(0, self->vmq->log->nr);
}

/* A packet in several chains, each a buffer within one page. */
TEST_F(log, chains_of_a_packet)
{
	const struct vring_desc first = { .addr = SMALL(5) + 1, .len = 100 };
	const struct vring_desc second = { .addr = SMALL(8), .len = 100 };
	unsigned int len;

	for (len = 99; len <= 101; len++) {
		add_chain(self->rig, &first, 1);
		add_chain(self->rig, &second, 1);
		ASSERT_TRUE(vmq_direct_begin(self->vmq));
		ASSERT_GE(take_any(self->vmq), 0);
		ASSERT_GE(take_any(self->vmq), 0);
		vmq_log_written_direct(self->vmq, len);
		vmq_direct_end(self->vmq);
		flush(self->rig);
		self->want[5] = true;
		self->want[8] = len > 100;
		EXPECT_TRUE(right(self->rig, self->want));
	}
}

static void gather_apart(struct vmq *vmq, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		vmq_log_buffer(vmq, SMALL(2 * i), 1);
		vmq_log_written(vmq, 1);
	}
}

/* A section has room for all that it may gather, or makes it before. */
TEST_F(log, room_of_a_section)
{
	const unsigned int room = VMQ_LOG_RANGES - VMQ_LOG_SECTION;
	struct vring_desc chain[VMQ_SECTION_DESCS - 4];
	unsigned int i, j, bytes = 9 * ARRAY_SIZE(chain);

	for (i = 0; i < 2; i++) {
		/* No two are neighbours. */
		for (j = 0; j < ARRAY_SIZE(chain); j++)
			chain[j] = (struct vring_desc){
				.addr = SMALL(4 * j + 2 * i), .len = 9,
			};
		add_chain(self->rig, chain, ARRAY_SIZE(chain));
		for (j = 0; j < 4; j++) {
			chain[0].addr = SMALL(4 * j + 1);
			add_chain(self->rig, chain, 1);
		}
	}

	gather_apart(self->vmq, room);
	ASSERT_EQ(room, self->vmq->log->nr);
	for (i = 0; i < 2; i++) {
		/* What is fetched in one section may be taken in the next. */
		ASSERT_TRUE(vmq_direct_begin(self->vmq));
		if (!i)
			vmq_direct_fetch(self->vmq);
		else
			for (j = 0; j < 10; j++) {
				ASSERT_GE(take_any(self->vmq), 0);
				vmq_log_written_direct(self->vmq, bytes);
			}
		vmq_direct_end(self->vmq);
		vmq_direct_resolve(self->vmq);
	}
	EXPECT_EQ(0, self->rig->nr_bits);
	EXPECT_EQ(room + 2 * VMQ_SECTION_DESCS, self->vmq->log->nr);

	gather_apart(self->vmq, 1);
	ASSERT_TRUE(vmq_direct_begin(self->vmq));
	EXPECT_GT(self->rig->nr_bits, room);
	vmq_direct_end(self->vmq);
}

TEST_F(log, neighbours_are_one_range)
{
	unsigned int i;

	for (i = 0; i < 500; i++) {
		vmq_log_buffer(self->vmq, SMALL(i) + 7, PAGE_SIZE - 14);
		vmq_log_written(self->vmq, PAGE_SIZE);
		self->want[i] = true;
	}
	EXPECT_EQ(1, self->vmq->log->nr);
	/* A lower one is another. */
	vmq_log_buffer(self->vmq, SMALL(0), 1);
	vmq_log_written(self->vmq, 1);
	EXPECT_EQ(1, self->vmq->log->nr);
	vmq_log_buffer(self->vmq, SMALL(550), 1);
	vmq_log_written(self->vmq, 1);
	vmq_log_buffer(self->vmq, SMALL(0), 1);
	vmq_log_written(self->vmq, 1);
	EXPECT_EQ(3, self->vmq->log->nr);
	self->want[550] = true;
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
	EXPECT_EQ(1, self->rig->signals);
}

TEST_F(log, used_ring)
{
	self->vmq->features = 0;
	self->vmq->log_used = true;
	self->vmq->log_used_addr = SMALL(3) - 4;
	vmq_log_configured(self->vmq);
	vmq_log_used(self->vmq, 2, 2);
	self->want[2] = true;
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
	vmq_log_used(self->vmq, 2, 3);
	self->want[3] = true;
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
	vmq_log_request(self->vmq);
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
	/* The event word, behind the entries. */
	self->vmq->ring.event_idx = true;
	self->vmq->log_used_addr = SMALL(10) - vmq_used_ring_off(RIG_NUM);
	vmq_log_request(self->vmq);
	self->want[10] = true;
	flush(self->rig);
	EXPECT_TRUE(right(self->rig, self->want));
}

static unsigned long setting(const char *name, unsigned long def)
{
	const char *s = getenv(name);

	return s ? strtoul(s, NULL, 0) : def;
}

/* Random chains, of which a random part is written, against a map of bytes. */
TEST_F(log, random)
{
	unsigned long seed = setting("UNIT_SEED", time(NULL));
	unsigned long steps = setting("UNIT_STEPS", 20000);
	struct tlb_rig *rig = self->rig;

	TH_LOG("UNIT_SEED=%lu", seed);
	rig->rng = seed * 2 + 1;
	for (; steps; steps--) {
		struct vring_desc chain[20];
		unsigned int i, n = 1 + rig_random(rig, ARRAY_SIZE(chain));
		u64 total = 0, left;

		for (i = 0; i < n; i++) {
			chain[i].len = 1 + rig_random(rig, 3 * PAGE_SIZE);
			chain[i].addr = SMALL_GPA +
				rig_random(rig, SMALL_PAGES * PAGE_SIZE -
					   chain[i].len);
			total += chain[i].len;
		}
		rig->next_desc = 0;
		add_chain(rig, chain, n);
		rig->barriers = 0;
		ASSERT_TRUE(vmq_direct_begin(self->vmq));
		ASSERT_EQ(0, take_any(self->vmq));
		if (!rig_random(rig, 10)) {
			vmq_put_back(self->vmq);
			ASSERT_EQ(0, take_any(self->vmq));
		}
		left = rig_random(rig, total + 1);
		vmq_log_written_direct(self->vmq, left);
		vmq_direct_end(self->vmq);
		for (i = 0; i < n && left; i++) {
			u64 len = min_t(u64, chain[i].len, left);

			mark(self->want, chain[i].addr, len);
			left -= len;
		}
		if (!rig_random(rig, 8)) {
			flush(rig);
			ASSERT_TRUE(right(rig, self->want));
			rig->nr_bits = 0;
			memset(self->want, 0, sizeof(self->want));
		}
	}
}

TEST_HARNESS_MAIN
