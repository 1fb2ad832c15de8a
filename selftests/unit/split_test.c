// SPDX-License-Identifier: GPL-2.0
/* Fetching, expanding and using chains: every rule and every error by name. */
#include "kselftest_harness.h"
#include "unit.h"

#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

/* Where the tests put buffers and tables. */
#define BUF		UNIT_RAM
#define TABLE		(UNIT_RAM + 0x8000)

FIXTURE(split)
{
	struct unit_rig *rig;
	struct iovec iov[UIO_MAXIOV];
	unsigned int out;
	unsigned int in;
};

FIXTURE_VARIANT(split)
{
	bool is_le;
};

FIXTURE_VARIANT_ADD(split, modern)
{
	.is_le = true,
};

FIXTURE_VARIANT_ADD(split, legacy)
{
	.is_le = false,
};

static const unsigned int page_start[VMQ_PARTS];

static void setup(struct unit_rig *rig, u32 num, u16 idx, bool is_le)
{
	struct vmq_split mode = {
		.num = num,
		.is_le = is_le,
		.event_idx = true,
		.last_avail_idx = idx,
		.avail_idx = idx,
		.last_used_idx = idx,
	};

	unit_rig_setup(rig, &mode, page_start);
	unit_set_avail_idx(rig, idx);
}

/* The driver makes @head available. */
static void publish(struct unit_rig *rig, u16 head)
{
	u16 idx = unit_peek16(rig, VMQ_AVAIL, UNIT_AVAIL_IDX);

	unit_set_avail(rig, idx, head);
	unit_set_avail_idx(rig, idx + 1);
}

/* A chain of @n buffers of 100 bytes from descriptor @head on. */
static void chain(struct unit_rig *rig, u16 head, u32 n, u32 len)
{
	u32 i;

	for (i = 0; i < n; i++)
		unit_set_desc(rig, (head + i) % rig->s.num,
			      BUF + 0x100 * (i % 64), len,
			      i + 1 < n ? NEXT : 0,
			      (head + i + 1) % rig->s.num);
}

/* One call. */
static int gather_once(struct unit_rig *rig)
{
	int ret;

	unit_call_begin(rig);
	ret = vmq_split_gather(&rig->s, &rig->b, &unit_access, rig);
	unit_check(unit_count(rig, UNIT_READ, VMQ_DESC) <= VMQ_SECTION_DESCS);
	return ret;
}

/* A whole fetch, in which each word is changed once it was read. */
static int gather(struct unit_rig *rig, unsigned int ahead)
{
	unsigned int calls = 0;
	int ret;

	rig->scribble = true;
	rig->b.ahead = ahead;
	unit_op_begin(rig);
	do {
		ret = gather_once(rig);
		unit_check(++calls <= rig->s.num / VMQ_SECTION_DESCS + 2);
	} while (ret == VMQ_AGAIN);
	unit_op_end(rig);
	unit_check(!rig->s.why == (ret >= 0));
	unit_rig_check_canaries(rig);
	return ret;
}

static bool avail_empty(struct unit_rig *rig)
{
	bool empty;

	unit_op_begin(rig);
	empty = vmq_split_avail_empty(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	return empty;
}

/* Take chain @i of the burst. */
#define EXPAND_SIZE(i, size)						\
({									\
	struct unit_rig *__rig = self->rig;				\
	const struct vmq_chain *__c = &__rig->b.chain[i];		\
	int __ret;							\
									\
	ASSERT_LT((unsigned int)(i), __rig->b.nr);			\
	unit_op_begin(__rig);						\
	__ret = vmq_split_expand(&__rig->s, &unit_memory, __rig,	\
				 &__rig->b.desc[__c->first], __c->count, \
				 self->iov, size, &self->out, &self->in); \
	unit_op_end(__rig);						\
	unit_check(!__rig->s.why == (__ret >= 0));			\
	__ret;								\
})
#define EXPAND(i) EXPAND_SIZE(i, UIO_MAXIOV)

#define EXPECT_IOV(i, hva, len)						\
do {									\
	EXPECT_EQ((uintptr_t)self->iov[i].iov_base, (uintptr_t)(hva));	\
	EXPECT_EQ(self->iov[i].iov_len, (size_t)(len));			\
} while (0)

/* What unit_translate() makes of UNIT_RAM. */
#define HVA(gpa) (0x500000000000 + (gpa) - UNIT_RAM)

FIXTURE_SETUP(split)
{
	self->rig = unit_rig_new();
	setup(self->rig, 256, 0, variant->is_le);
}

FIXTURE_TEARDOWN(split)
{
	unit_rig_check_canaries(self->rig);
	unit_rig_free(self->rig);
}

TEST(part_sizes)
{
	static const struct {
		u32 num;
		size_t desc, avail, used;
	} expected[] = {
		{ 1, 16, 6, 12 },
		{ 2, 32, 8, 20 },
		{ 256, 4096, 516, 2052 },
		{ 512, 8192, 1028, 4100 },
		{ 1024, 16384, 2052, 8196 },
		{ 32768, 524288, 65540, 262148 },
	};
	unsigned int i;

	for (i = 0; i < UNIT_ARRAY_SIZE(expected); i++) {
		u32 num = expected[i].num;

		EXPECT_EQ(vmq_part_size(VMQ_DESC, num, false),
			  expected[i].desc);
		EXPECT_EQ(vmq_part_size(VMQ_AVAIL, num, false),
			  expected[i].avail);
		EXPECT_EQ(vmq_part_size(VMQ_USED, num, false),
			  expected[i].used);
		/* The event words are at the end of avail and used. */
		EXPECT_EQ(vmq_part_size(VMQ_DESC, num, true),
			  expected[i].desc);
		EXPECT_EQ(vmq_part_size(VMQ_AVAIL, num, true),
			  expected[i].avail + 2);
		EXPECT_EQ(vmq_part_size(VMQ_USED, num, true),
			  expected[i].used + 2);
	}
}

TEST_F(split, empty)
{
	EXPECT_EQ(gather(self->rig, 64), VMQ_DONE);
	EXPECT_EQ(self->rig->b.nr, 0);
	/* The index, and nothing else. */
	EXPECT_EQ(self->rig->nr_log, 1);
	EXPECT_TRUE(avail_empty(self->rig));
	publish(self->rig, 0);
	EXPECT_FALSE(avail_empty(self->rig));
	/* Known already: not asked again. */
	EXPECT_FALSE(avail_empty(self->rig));
	EXPECT_EQ(self->rig->nr_log, 0);
}

/* The exact order of accesses: it is what the driver's barriers pair with. */
TEST_F(split, order)
{
	static const enum unit_kind expected[] = {
		UNIT_READ, UNIT_RMB, UNIT_READ, UNIT_NOSPEC, UNIT_READ,
		UNIT_NOSPEC, UNIT_READ,
	};
	struct unit_rig *rig = self->rig;
	unsigned int i;

	chain(rig, 7, 2, 100);
	publish(rig, 7);
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	ASSERT_EQ(rig->nr_log, UNIT_ARRAY_SIZE(expected));
	for (i = 0; i < rig->nr_log; i++)
		EXPECT_EQ(rig->log[i].kind, expected[i]);
	EXPECT_EQ(rig->log[0].off, UNIT_AVAIL_IDX);
	EXPECT_EQ(rig->log[2].off, UNIT_AVAIL_RING(0));
	EXPECT_EQ(rig->log[3].off, 7);
	EXPECT_EQ(rig->log[3].len, 256);
	EXPECT_EQ(rig->log[4].off, UNIT_DESC(7));
	EXPECT_EQ(rig->log[6].off, UNIT_DESC(8));
}

TEST_F(split, direct)
{
	struct unit_rig *rig = self->rig;

	unit_set_desc(rig, 3, BUF, 64, 0, 77);
	publish(rig, 3);
	unit_set_desc(rig, 9, BUF + 0x1000, 1500, WRITE, 77);
	publish(rig, 9);
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	ASSERT_EQ(rig->b.nr, 2);

	EXPECT_EQ(rig->b.chain[0].head, 3);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 1);
	EXPECT_EQ(self->in, 0);
	EXPECT_IOV(0, HVA(BUF), 64);

	EXPECT_EQ(rig->b.chain[1].head, 9);
	ASSERT_EQ(EXPAND(1), 0);
	EXPECT_EQ(self->out, 0);
	EXPECT_EQ(self->in, 1);
	EXPECT_IOV(0, HVA(BUF + 0x1000), 1500);
}

TEST_F(split, chained)
{
	struct unit_rig *rig = self->rig;

	unit_set_desc(rig, 200, BUF, 12, NEXT, 3);
	unit_set_desc(rig, 3, BUF + 0x100, 100, NEXT, 2);
	unit_set_desc(rig, 2, BUF + 0x200, 200, NEXT | WRITE, 255);
	unit_set_desc(rig, 255, BUF + 0x300, 300, WRITE, 0);
	publish(rig, 200);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(rig->b.chain[0].head, 200);
	EXPECT_EQ(self->out, 2);
	EXPECT_EQ(self->in, 2);
	EXPECT_IOV(0, HVA(BUF), 12);
	EXPECT_IOV(1, HVA(BUF + 0x100), 100);
	EXPECT_IOV(2, HVA(BUF + 0x200), 200);
	EXPECT_IOV(3, HVA(BUF + 0x300), 300);
}

/* A buffer whose memory is in two places. */
TEST_F(split, buffer_in_two_regions)
{
	unit_set_desc(self->rig, 0, BUF + UNIT_RAM_HALF - 10, 30, WRITE, 0);
	publish(self->rig, 0);
	ASSERT_EQ(gather(self->rig, 1), VMQ_DONE);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->in, 2);
	EXPECT_IOV(0, HVA(BUF + UNIT_RAM_HALF - 10), 10);
	EXPECT_IOV(1, 0x600000000000, 20);
	/* No room for the second. */
	EXPECT_EQ(EXPAND_SIZE(0, 1), -ENOBUFS);
}

TEST_F(split, indirect)
{
	struct unit_rig *rig = self->rig;

	unit_set_table(rig, TABLE, 0, BUF, 12, NEXT);
	unit_set_table(rig, TABLE, 1, BUF + 0x100, 100, NEXT | WRITE);
	unit_set_table(rig, TABLE, 2, BUF + 0x200, 200, WRITE);
	/* Behind the end of the chain, although in the table. */
	unit_set_table(rig, TABLE, 3, BUF + 0x300, 300, 0);
	unit_set_desc(rig, 5, TABLE, 4 * 16, INDIRECT, 0);
	publish(rig, 5);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 1);
	EXPECT_EQ(self->in, 2);
	EXPECT_IOV(0, HVA(BUF), 12);
	EXPECT_IOV(1, HVA(BUF + 0x100), 100);
	EXPECT_IOV(2, HVA(BUF + 0x200), 200);
}

/* The specification forbids it, vhost takes it: a chain goes on behind it. */
TEST_F(split, next_after_indirect)
{
	struct unit_rig *rig = self->rig;

	unit_set_table(rig, TABLE, 0, BUF, 12, 0);
	unit_set_desc(rig, 5, TABLE, 16, INDIRECT | NEXT, 6);
	unit_set_desc(rig, 6, BUF + 0x100, 100, WRITE, 0);
	publish(rig, 5);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 1);
	EXPECT_EQ(self->in, 1);
	EXPECT_IOV(1, HVA(BUF + 0x100), 100);
}

TEST_F(split, empty_buffers)
{
	struct unit_rig *rig = self->rig;

	/* An address of nothing may be anywhere. */
	unit_set_desc(rig, 0, ~0ULL, 0, NEXT, 1);
	unit_set_desc(rig, 1, BUF, 10, NEXT, 2);
	unit_set_desc(rig, 2, ~0ULL, 0, 0, 0);
	publish(rig, 0);
	/* Nothing but empty ones. */
	unit_set_desc(rig, 3, BUF, 0, WRITE, 0);
	publish(rig, 3);
	unit_set_table(rig, TABLE, 0, ~0ULL, 0, NEXT);
	unit_set_table(rig, TABLE, 1, BUF, 20, WRITE);
	unit_set_desc(rig, 4, TABLE, 32, INDIRECT, 0);
	publish(rig, 4);
	ASSERT_EQ(gather(rig, 3), VMQ_DONE);
	ASSERT_EQ(rig->b.nr, 3);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 1);
	EXPECT_EQ(self->in, 0);
	ASSERT_EQ(EXPAND(1), 0);
	EXPECT_EQ(self->out + self->in, 0);
	ASSERT_EQ(EXPAND(2), 0);
	EXPECT_EQ(self->out, 0);
	EXPECT_EQ(self->in, 1);
}

TEST_F(split, bad_head)
{
	publish(self->rig, 256);
	EXPECT_EQ(gather(self->rig, 1), -EINVAL);
	unit_set_avail(self->rig, 0, 65535);
	EXPECT_EQ(gather(self->rig, 1), -EINVAL);
	EXPECT_EQ(unit_count(self->rig, UNIT_READ, VMQ_DESC), 0);
	/* Broken until it is mended, and not for longer. */
	unit_set_avail(self->rig, 0, 255);
	EXPECT_EQ(gather(self->rig, 1), VMQ_DONE);
	EXPECT_EQ(self->rig->b.nr, 1);
}

TEST_F(split, index_too_big)
{
	unit_set_desc(self->rig, 0, BUF, 10, NEXT, 256);
	publish(self->rig, 0);
	EXPECT_EQ(gather(self->rig, 1), -EINVAL);
	EXPECT_EQ(unit_count(self->rig, UNIT_READ, VMQ_DESC), 1);
	unit_set_desc(self->rig, 0, BUF, 10, NEXT, 65535);
	EXPECT_EQ(gather(self->rig, 1), -EINVAL);
}

TEST_F(split, loop)
{
	u32 lens[] = { 0, 10 }, nums[] = { 1, 2, 256, 512 }, i, j, k;
	struct unit_rig *rig = self->rig;

	/* Of itself, and as long as the ring, with buffers and without. */
	for (i = 0; i < UNIT_ARRAY_SIZE(nums); i++) {
		for (j = 0; j < UNIT_ARRAY_SIZE(lens); j++) {
			setup(rig, nums[i], 0, variant->is_le);
			for (k = 0; k < nums[i]; k++)
				unit_set_desc(rig, k, BUF, lens[j], NEXT,
					      (k + 1) % nums[i]);
			publish(rig, 0);
			/* Descriptor 0 is what would be read again. */
			rig->shared[0] = rig->op + 1;
			EXPECT_EQ(gather(rig, 1), -EINVAL);
		}
	}
	setup(rig, 256, 0, variant->is_le);
	unit_set_desc(rig, 9, BUF, 10, NEXT, 9);
	publish(rig, 9);
	rig->shared[9] = rig->op + 1;
	EXPECT_EQ(gather(rig, 1), -EINVAL);
}

/* A chain may have as many descriptors as the ring, no more. */
TEST_F(split, longest_chain)
{
	static const u32 nums[] = { 1, 2, 64, 128, 1024 };
	unsigned int i;

	for (i = 0; i < UNIT_ARRAY_SIZE(nums); i++) {
		setup(self->rig, nums[i], 0, variant->is_le);
		chain(self->rig, nums[i] / 2, nums[i], 10);
		publish(self->rig, nums[i] / 2);
		ASSERT_EQ(gather(self->rig, 1), VMQ_DONE);
		EXPECT_EQ(self->rig->b.chain[0].count, nums[i]);
		ASSERT_EQ(EXPAND(0), 0);
		EXPECT_EQ(self->out, nums[i]);
	}
}

TEST_F(split, jumped_avail_idx)
{
	struct unit_rig *rig = self->rig;

	unit_set_avail_idx(rig, 257);
	EXPECT_EQ(gather(rig, 1), -EINVAL);
	/* Not believed the second time either. */
	EXPECT_EQ(gather(rig, 1), -EINVAL);
	unit_set_avail_idx(rig, 65535);
	EXPECT_EQ(gather(rig, 1), -EINVAL);
	EXPECT_FALSE(avail_empty(rig));
	EXPECT_NE(rig->s.why, NULL);
	/* All the ring has room for. */
	unit_set_avail_idx(rig, 256);
	EXPECT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(rig->b.nr, 1);
}

TEST_F(split, out_after_in)
{
	struct unit_rig *rig = self->rig;

	unit_set_desc(rig, 0, BUF, 10, NEXT | WRITE, 1);
	unit_set_desc(rig, 1, BUF, 10, 0, 0);
	publish(rig, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EINVAL);

	/* In a table, and from one to the next. */
	unit_set_table(rig, TABLE, 0, BUF, 10, NEXT | WRITE);
	unit_set_table(rig, TABLE, 1, BUF, 10, 0);
	unit_set_desc(rig, 0, TABLE, 32, INDIRECT, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EINVAL);
	unit_set_desc(rig, 0, BUF, 10, NEXT | WRITE, 1);
	unit_set_desc(rig, 1, TABLE + 16, 16, INDIRECT, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EINVAL);
}

TEST_F(split, nested_table)
{
	struct unit_rig *rig = self->rig;

	unit_set_table(rig, TABLE, 0, TABLE, 16, INDIRECT);
	unit_set_desc(rig, 0, TABLE, 16, INDIRECT, 0);
	publish(rig, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EINVAL);
}

TEST_F(split, table_errors)
{
	static const struct {
		u64 addr;
		u32 len;
		int err;
	} cases[] = {
		/* No descriptor at all. */
		{ TABLE, 0, -EINVAL },
		/* No multiple of a descriptor. */
		{ TABLE, 1, -EINVAL },
		{ TABLE, 17, -EINVAL },
		{ TABLE, 15, -EINVAL },
		{ TABLE + 4 * 16, 16, 0 },
		{ TABLE + 4 * 16, 17, -EINVAL },
		/* The chain in it does not end. */
		{ TABLE, 16, -EINVAL },
		{ TABLE, 32, -EINVAL },
		/* Nowhere, or partly. */
		{ 0x1000, 16, -EFAULT },
		{ ~0ULL - 15, 16, -EFAULT },
		{ UNIT_ROM + UNIT_ROM_SIZE - 16, 32, -EFAULT },
		/* Mapped but not readable. */
		{ UNIT_HUGE, 16, -EINVAL },
		/* More than a 16-bit index reaches. */
		{ UNIT_HUGE, 16 * 65537, -E2BIG },
		{ UNIT_HUGE, 16 * 65536, -EINVAL },
		{ UNIT_HUGE, UINT32_MAX - 15, -E2BIG },
	};
	struct unit_rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i <= 4; i++)
		unit_set_table(rig, TABLE, i, BUF, 10, i < 4 ? NEXT : 0);
	publish(rig, 0);
	for (i = 0; i < UNIT_ARRAY_SIZE(cases); i++) {
		unit_set_desc(rig, 0, cases[i].addr, cases[i].len, INDIRECT,
			      0);
		ASSERT_EQ(gather(rig, 1), VMQ_DONE);
		EXPECT_EQ(EXPAND(0), cases[i].err) {
			TH_LOG("case %u", i);
		}
	}
}

TEST_F(split, unmapped_buffer)
{
	struct unit_rig *rig = self->rig;

	unit_set_desc(rig, 0, 0x1000, 10, 0, 0);
	publish(rig, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EFAULT);
	/* May be read, not written. */
	unit_set_desc(rig, 0, UNIT_ROM, 10, 0, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), 0);
	unit_set_desc(rig, 0, UNIT_ROM, 10, WRITE, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), -EPERM);
}

TEST_F(split, too_many_buffers)
{
	struct unit_rig *rig = self->rig;
	unsigned int i;
	int ret;

	setup(rig, 2048, 0, variant->is_le);
	chain(rig, 0, 1024, 10);
	publish(rig, 0);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), 0);
	EXPECT_EQ(EXPAND_SIZE(0, 1023), -ENOBUFS);
	/* Found while fetching, or at the latest when there is no iovec. */
	chain(rig, 0, 1025, 10);
	ret = gather(rig, 1);
	EXPECT_EQ(ret ?: EXPAND(0), -ENOBUFS);
	chain(rig, 0, 2048, 10);
	EXPECT_EQ(gather(rig, 1), -ENOBUFS);
	chain(rig, 0, UNIT_ARRAY_SIZE(rig->b.desc) + 1, 10);
	EXPECT_EQ(gather(rig, 1), -ENOBUFS);

	/* Empty ones do not count. */
	chain(rig, 0, 1044, 10);
	for (i = 0; i < 20; i++)
		unit_set_desc(rig, 7 * i, 0, 0, NEXT, 7 * i + 1);
	EXPECT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 1024);

	/* The others of a burst leave too little room: next time. */
	setup(rig, 2048, 0, variant->is_le);
	chain(rig, 0, 1030, 10);
	publish(rig, 0);
	for (i = 0; i < 20; i++)
		unit_set_desc(rig, 7 * i, 0, 0, NEXT, 7 * i + 1);
	for (i = 0; i < 3; i++) {
		chain(rig, 1100 + 10 * i, 10, 10);
		publish(rig, 1100 + 10 * i);
	}
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	EXPECT_EQ(rig->b.nr, 2);
	EXPECT_EQ(rig->b.chain[1].head, 1100);
}

/* A chain longer than a section takes several, and reads nothing twice. */
TEST_F(split, long_chain)
{
	struct unit_rig *rig = self->rig;
	u32 i;

	chain(rig, 100, 200, 10);
	publish(rig, 100);
	chain(rig, 50, 1, 10);
	publish(rig, 50);
	rig->b.ahead = 64;
	rig->scribble = true;
	unit_op_begin(rig);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(gather_once(rig), VMQ_AGAIN);
		EXPECT_EQ(rig->b.nr, 0);
		EXPECT_EQ(unit_count(rig, UNIT_READ, VMQ_DESC),
			  VMQ_SECTION_DESCS);
	}
	ASSERT_EQ(gather_once(rig), VMQ_DONE);
	unit_op_end(rig);
	EXPECT_EQ(unit_count(rig, UNIT_READ, VMQ_DESC), 200 - 3 * 64 + 1);
	ASSERT_EQ(rig->b.nr, 2);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 200);
	for (i = 0; i < 200; i++)
		EXPECT_IOV(i, HVA(BUF + 0x100 * (i % 64)), 10);
	EXPECT_EQ(rig->b.chain[1].head, 50);
}

/* What was cut behind whole chains is read anew, from its head. */
TEST_F(split, cut_chain)
{
	struct unit_rig *rig = self->rig;

	chain(rig, 0, 60, 10);
	chain(rig, 100, 10, 20);
	publish(rig, 0);
	publish(rig, 100);
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	ASSERT_EQ(rig->b.nr, 1);
	rig->s.last_avail_idx++;
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	ASSERT_EQ(rig->b.nr, 1);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->out, 10);
	EXPECT_IOV(0, HVA(BUF), 20);
	rig->s.last_avail_idx++;
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	EXPECT_EQ(rig->b.nr, 0);
}

/* A broken chain does not spoil those before it, and is found then. */
TEST_F(split, broken_behind)
{
	struct unit_rig *rig = self->rig;
	u16 i;

	for (i = 0; i < 5; i++) {
		chain(rig, i, 1, 10);
		publish(rig, i);
	}
	unit_set_desc(rig, 3, BUF, 10, NEXT, 999);
	ASSERT_EQ(gather(rig, 64), VMQ_DONE);
	ASSERT_EQ(rig->b.nr, 3);
	/* No reason yet: it would be told as somebody else's. */
	EXPECT_EQ(rig->s.why, NULL);
	rig->s.last_avail_idx += 3;
	EXPECT_EQ(gather(rig, 64), -EINVAL);
	EXPECT_EQ(rig->s.last_avail_idx, 3);
}

TEST_F(split, ahead)
{
	struct unit_rig *rig = self->rig;
	u16 i;

	for (i = 0; i < 100; i++) {
		chain(rig, i, 1, 10);
		publish(rig, i);
	}
	for (i = 1; i <= VMQ_BURST_CHAINS; i++) {
		ASSERT_EQ(gather(rig, i), VMQ_DONE);
		EXPECT_EQ(rig->b.nr, i);
	}
}

/* Each access in its turn cannot be made. */
TEST_F(split, unreadable)
{
	struct unit_rig *rig = self->rig;
	unsigned int i;

	chain(rig, 7, 2, 10);
	publish(rig, 7);
	for (i = 1; i <= 4; i++) {
		rig->fail_in = i;
		EXPECT_EQ(gather(rig, 1), -EFAULT);
		EXPECT_TRUE(rig->failed);
		/* As if it had not been tried. */
		rig->s.avail_idx = rig->s.last_avail_idx;
	}
	EXPECT_EQ(gather(rig, 1), VMQ_DONE);
	EXPECT_EQ(rig->b.nr, 1);
}

/* Every size, through the wrap of the ring and of the index. */
TEST_F(split, every_size)
{
	struct unit_rig *rig = self->rig;
	struct vring_used_elem heads[3];
	u32 num, i, n, turn;

	for (num = 1; num <= UNIT_MAX_NUM; num *= 2) {
		setup(rig, num, 65535 - 2, variant->is_le);
		unit_set_desc(rig, num - 1, BUF, 10, 0, 0);
		unit_set_desc(rig, 0, BUF, 20, 0, 0);
		for (turn = 0; turn < 8; turn++) {
			n = num < 3 ? num : 3;
			for (i = 0; i < n; i++)
				publish(rig, i % 2 ? 0 : num - 1);
			for (i = 0; i < n; i++) {
				rig->shared[0] = rig->op + 1;
				ASSERT_EQ(gather(rig, 1), VMQ_DONE);
				ASSERT_EQ(rig->b.nr, 1);
				EXPECT_EQ(rig->b.chain[0].head,
					  i % 2 ? 0 : num - 1);
				rig->s.last_avail_idx++;
				heads[i].id = i + 1;
				heads[i].len = turn;
			}
			ASSERT_EQ(gather(rig, 1), VMQ_DONE);
			ASSERT_EQ(rig->b.nr, 0);
			unit_op_begin(rig);
			ASSERT_EQ(vmq_split_add_used(&rig->s, &unit_access,
						     rig, heads, n), 0);
			EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_IDX),
				  rig->s.last_used_idx);
		}
		EXPECT_EQ(rig->s.last_avail_idx,
			  (u16)(65535 - 2 + 8 * (num < 3 ? num : 3)));
		unit_rig_check_canaries(rig);
	}
}

static struct vring_used_elem *make_heads(u32 count)
{
	struct vring_used_elem *heads = calloc(count, sizeof(*heads));
	u32 i;

	unit_check(heads);
	for (i = 0; i < count; i++) {
		heads[i].id = 0x10000000 + i;
		heads[i].len = 0x20000000 + i;
	}
	return heads;
}

/* Fill, wrap and overrun the used ring; what counts is the last to be written. */
TEST_F(split, used_wrap)
{
	static const u32 nums[] = { 1, 2, 8, 512, 1024 };
	struct unit_rig *rig = self->rig;
	u32 i, j, k, num, count, start;
	struct vring_used_elem elem, *heads = make_heads(5000);

	for (i = 0; i < UNIT_ARRAY_SIZE(nums); i++) {
		num = nums[i];
		for (j = 0; j < 12; j++) {
			/* Around one and several turns of the ring. */
			count = (j / 3) * num + j % 3;
			start = 65536 - num / 2;
			setup(rig, num, start, variant->is_le);
			unit_op_begin(rig);
			ASSERT_EQ(vmq_split_add_used(&rig->s, &unit_access,
						     rig, heads, count), 0);
			EXPECT_EQ(rig->s.last_used_idx, (u16)(start + count));
			EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_IDX),
				  (u16)(start + count));
			unit_rig_check_canaries(rig);
			for (k = count > num ? count - num : 0; k < count;
			     k++) {
				unit_peek(rig, VMQ_USED,
					  UNIT_USED_RING((start + k) % num),
					  &elem, sizeof(elem));
				ASSERT_EQ(elem.id, heads[k].id);
				ASSERT_EQ(elem.len, heads[k].len);
			}
		}
	}
	free(heads);
}

/* Entries in one or two writes, a barrier, then the index. */
TEST_F(split, used_order)
{
	struct vring_used_elem *heads = make_heads(10);
	struct unit_rig *rig = self->rig;

	setup(rig, 256, 250, variant->is_le);
	unit_op_begin(rig);
	ASSERT_EQ(vmq_split_add_used(&rig->s, &unit_access, rig, heads, 10),
		  0);
	ASSERT_EQ(rig->nr_log, 4);
	EXPECT_EQ(rig->log[0].off, UNIT_USED_RING(250));
	EXPECT_EQ(rig->log[0].len, 6 * 8);
	EXPECT_EQ(rig->log[1].off, UNIT_USED_RING(0));
	EXPECT_EQ(rig->log[1].len, 4 * 8);
	EXPECT_EQ(rig->log[2].kind, UNIT_WMB);
	EXPECT_EQ(rig->log[3].off, UNIT_USED_IDX);
	free(heads);
}

TEST_F(split, used_unwritable)
{
	struct vring_used_elem *heads = make_heads(10);
	struct unit_rig *rig = self->rig;
	unsigned int i;

	setup(rig, 256, 250, variant->is_le);
	for (i = 1; i <= 3; i++) {
		unit_op_begin(rig);
		rig->fail_in = i;
		EXPECT_EQ(vmq_split_add_used(&rig->s, &unit_access, rig,
					     heads, 10), -EFAULT);
		EXPECT_NE(rig->s.why, NULL);
		EXPECT_EQ(rig->s.last_used_idx, 250);
		EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_IDX), 0);
	}
	free(heads);
}

/*
 * Entry 511 of a page-aligned used ring lies in two pages, so does every 256th
 * descriptor of a table that is not aligned.
 */
TEST_F(split, straddle)
{
	struct vring_used_elem elem, *heads = make_heads(4);
	struct vmq_split mode = {
		.num = 1024,
		.is_le = variant->is_le,
		.last_used_idx = 510,
	};
	unsigned int offset[VMQ_PARTS] = { 8, 4094, 0 };
	struct unit_rig *rig = self->rig;
	u32 i;

	ASSERT_EQ(UNIT_USED_RING(511), 4092);
	unit_rig_setup(rig, &mode, offset);
	unit_op_begin(rig);
	ASSERT_EQ(vmq_split_add_used(&rig->s, &unit_access, rig, heads, 4), 0);
	for (i = 0; i < 4; i++) {
		unit_peek(rig, VMQ_USED, UNIT_USED_RING(510 + i), &elem,
			  sizeof(elem));
		EXPECT_EQ(elem.id, heads[i].id);
		EXPECT_EQ(elem.len, heads[i].len);
	}
	EXPECT_EQ(memcmp(rig->part[VMQ_USED].page[0] + 4092, &heads[1].id, 4),
		  0);
	EXPECT_EQ(memcmp(rig->part[VMQ_USED].page[1], &heads[1].len, 4), 0);

	/* Descriptor 255: 8 bytes in either page. */
	unit_set_desc(rig, 255, BUF + 0x123, 45, WRITE, 0);
	publish(rig, 255);
	ASSERT_EQ(gather(rig, 1), VMQ_DONE);
	ASSERT_EQ(EXPAND(0), 0);
	EXPECT_EQ(self->in, 1);
	EXPECT_IOV(0, HVA(BUF + 0x123), 45);
	free(heads);
}

TEST_HARNESS_MAIN
