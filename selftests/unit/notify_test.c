// SPDX-License-Identifier: GPL-2.0
/* When to notify the driver, and asking to be notified: truth tables. */
#include "kselftest_harness.h"
#include "unit.h"

FIXTURE(notify)
{
	struct unit_rig *rig;
};

FIXTURE_VARIANT(notify)
{
	bool is_le;
};

FIXTURE_VARIANT_ADD(notify, modern)
{
	.is_le = true,
};

FIXTURE_VARIANT_ADD(notify, legacy)
{
	.is_le = false,
};

static const unsigned int page_start[VMQ_PARTS];

static void setup(struct unit_rig *rig, bool is_le, bool event_idx,
		  bool on_empty)
{
	struct vmq_split mode = {
		.num = 256,
		.is_le = is_le,
		.event_idx = event_idx,
		.notify_on_empty = on_empty,
	};

	unit_rig_setup(rig, &mode, page_start);
}

FIXTURE_SETUP(notify)
{
	self->rig = unit_rig_new();
	setup(self->rig, variant->is_le, false, false);
}

FIXTURE_TEARDOWN(notify)
{
	unit_rig_check_canaries(self->rig);
	unit_rig_free(self->rig);
}

static int need_call(struct unit_rig *rig)
{
	int ret;

	unit_op_begin(rig);
	ret = vmq_split_need_call(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	/* Used entries before the driver's wish. */
	unit_check(rig->nr_log && rig->log[0].kind == UNIT_MB);
	return ret;
}

static int enable(struct unit_rig *rig)
{
	int ret;

	unit_op_begin(rig);
	ret = vmq_split_enable_notify(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	unit_check(!rig->s.why == (ret >= 0));
	return ret;
}

static int disable(struct unit_rig *rig)
{
	int ret;

	unit_op_begin(rig);
	ret = vmq_split_disable_notify(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	unit_check(!rig->s.why == (ret >= 0));
	return ret;
}

/* Every combination of what counts without event indices. */
TEST_F(notify, call_by_flags)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		bool on_empty = i & 1, empty = i & 2;
		bool no_interrupt = i & 4, other = i & 8;

		setup(self->rig, variant->is_le, false, on_empty);
		self->rig->s.avail_idx = empty ? 0 : 1;
		unit_poke16(self->rig, VMQ_AVAIL, UNIT_AVAIL_FLAGS,
			    no_interrupt | other << 1);
		EXPECT_EQ(need_call(self->rig),
			  (on_empty && empty) || !no_interrupt) {
			TH_LOG("case %u", i);
		}
	}
}

/* The same with event indices, where the flag has no meaning. */
TEST_F(notify, call_by_event)
{
	unsigned int i;

	for (i = 0; i < 32; i++) {
		bool on_empty = i & 1, empty = i & 2, flag = i & 4;
		bool marked = i & 8, passed = i & 16;
		struct vmq_split *s = &self->rig->s;
		bool early = on_empty && empty;

		setup(self->rig, variant->is_le, true, on_empty);
		s->avail_idx = empty ? 0 : 1;
		s->last_used_idx = 20;
		s->signalled_used = 10;
		s->signalled_used_valid = marked;
		unit_poke16(self->rig, VMQ_AVAIL, UNIT_AVAIL_FLAGS, flag);
		unit_poke16(self->rig, VMQ_AVAIL, UNIT_AVAIL_RING(256),
			    passed ? 15 : 25);
		EXPECT_EQ(need_call(self->rig), early || !marked || passed) {
			TH_LOG("case %u", i);
		}
		/* The mark moves whenever event indices were looked at. */
		EXPECT_EQ(s->signalled_used, early ? 10 : 20);
		EXPECT_EQ(s->signalled_used_valid, marked || !early);
	}
}

/* Was the entry @event used in [@old, @new)?  Counted out. */
static bool passed(u16 event, u16 new, u16 old)
{
	for (; old != new; old++)
		if (old == event)
			return true;
	return false;
}

TEST_F(notify, event_window)
{
	static const u16 olds[] = { 0, 1, 255, 256, 32767, 65534, 65535 };
	static const u16 steps[] = { 0, 1, 2, 3, 255, 256, 32768, 65535 };
	struct vmq_split *s = &self->rig->s;
	unsigned int i, j;
	int d;
	u16 old, new, event;

	setup(self->rig, variant->is_le, true, false);
	s->avail_idx = 1;
	for (i = 0; i < UNIT_ARRAY_SIZE(olds); i++) {
		for (j = 0; j < UNIT_ARRAY_SIZE(steps); j++) {
			old = olds[i];
			new = old + steps[j];
			/* Around both ends of the window. */
			for (d = -6; d < 6; d++) {
				event = (d < 0 ? old + d + 3 : new + d - 3);
				s->signalled_used = old;
				s->signalled_used_valid = true;
				s->last_used_idx = new;
				unit_poke16(self->rig, VMQ_AVAIL,
					    UNIT_AVAIL_RING(256), event);
				EXPECT_EQ(need_call(self->rig),
					  passed(event, new, old)) {
					TH_LOG("event %u new %u old %u",
					       event, new, old);
				}
				EXPECT_EQ(s->signalled_used, new);
			}
		}
	}
}

/* 65536 entries without a notification: the mark means nothing any more. */
TEST_F(notify, mark_expires)
{
	static const u32 counts[] = { 1, 7, 64, 255, 1000, 40000 };
	struct vring_used_elem *heads = calloc(40000, sizeof(*heads));
	struct vmq_split *s = &self->rig->s;
	unsigned int i;
	u32 used;

	ASSERT_NE(heads, NULL);
	for (i = 0; i < UNIT_ARRAY_SIZE(counts); i++) {
		setup(self->rig, variant->is_le, true, false);
		s->avail_idx = 1;
		s->last_used_idx = 65000;
		s->signalled_used = 65000;
		s->signalled_used_valid = true;
		for (used = 0; used < 140000;) {
			unit_op_begin(self->rig);
			ASSERT_EQ(vmq_split_add_used(s, &unit_access,
						     self->rig, heads,
						     counts[i]), 0);
			used += counts[i];
			ASSERT_EQ(s->signalled_used_valid, used < 65536) {
				TH_LOG("%u used, %u at a time", used,
				       counts[i]);
			}
		}
		/* Not known, so rather notify; from then on it is. */
		unit_poke16(self->rig, VMQ_AVAIL, UNIT_AVAIL_RING(256),
			    s->last_used_idx);
		EXPECT_EQ(need_call(self->rig), 1);
		EXPECT_EQ(need_call(self->rig), 0);
	}
	free(heads);
}

TEST_F(notify, call_unreadable)
{
	unsigned int event_idx;

	for (event_idx = 0; event_idx < 2; event_idx++) {
		setup(self->rig, variant->is_le, event_idx, false);
		self->rig->s.avail_idx = 1;
		self->rig->s.signalled_used_valid = true;
		unit_poke16(self->rig, VMQ_AVAIL, UNIT_AVAIL_FLAGS,
			    VRING_AVAIL_F_NO_INTERRUPT);
		EXPECT_EQ(need_call(self->rig), 0);
		EXPECT_EQ(self->rig->s.why, NULL);
		unit_op_begin(self->rig);
		self->rig->fail_in = 1;
		EXPECT_EQ(vmq_split_need_call(&self->rig->s, &unit_access,
					      self->rig), 1);
		EXPECT_NE(self->rig->s.why, NULL);
	}
}

/*
 * Every combination of mode, state and what has come in.  A chain that is known
 * already was put back for want of more: only more of them are worth a look.
 */
TEST_F(notify, enable)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		bool event_idx = i & 1, disabled = i & 2;
		bool known = i & 4, more = i & 8;
		struct unit_rig *rig = self->rig;
		u16 avail = 500;

		setup(rig, variant->is_le, event_idx, false);
		rig->s.used_flags = disabled;
		rig->s.last_avail_idx = avail;
		rig->s.avail_idx = avail + known;
		unit_set_avail_idx(rig, avail + known + more);
		unit_poke16(rig, VMQ_USED, UNIT_USED_FLAGS, disabled);

		EXPECT_EQ(enable(rig), disabled && more) {
			TH_LOG("case %u", i);
		}
		EXPECT_EQ(rig->s.used_flags, 0);
		if (!disabled) {
			EXPECT_EQ(rig->nr_log, 0);
			continue;
		}
		/* Asked first, then looked. */
		EXPECT_EQ(rig->log[0].kind, UNIT_WRITE);
		EXPECT_EQ(rig->log[1].kind, UNIT_MB);
		EXPECT_EQ(rig->log[2].off, UNIT_AVAIL_IDX);
		EXPECT_EQ(unit_count(rig, UNIT_WRITE, VMQ_USED), 1);
		if (event_idx) {
			EXPECT_EQ(unit_peek16(rig, VMQ_USED,
					      UNIT_USED_RING(256)),
				  avail + known);
			EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_FLAGS),
				  1);
		} else {
			EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_FLAGS),
				  0);
		}
	}
}

TEST_F(notify, enable_fails)
{
	unsigned int event_idx, access;

	for (event_idx = 0; event_idx < 2; event_idx++) {
		for (access = 1; access <= 2; access++) {
			setup(self->rig, variant->is_le, event_idx, false);
			self->rig->s.used_flags = VRING_USED_F_NO_NOTIFY;
			self->rig->fail_in = access;
			EXPECT_EQ(enable(self->rig), -EFAULT);
		}
		setup(self->rig, variant->is_le, event_idx, false);
		self->rig->s.used_flags = VRING_USED_F_NO_NOTIFY;
		unit_set_avail_idx(self->rig, 257);
		EXPECT_EQ(enable(self->rig), -EINVAL);
		/* An index that was not believed is not kept. */
		EXPECT_EQ(self->rig->s.avail_idx, 0);
	}
}

TEST_F(notify, disable)
{
	struct unit_rig *rig = self->rig;

	EXPECT_EQ(disable(rig), 0);
	EXPECT_EQ(rig->s.used_flags, VRING_USED_F_NO_NOTIFY);
	EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_FLAGS), 1);
	/* Once is enough. */
	EXPECT_EQ(disable(rig), 0);
	EXPECT_EQ(rig->nr_log, 0);

	setup(rig, variant->is_le, true, false);
	EXPECT_EQ(disable(rig), 0);
	EXPECT_EQ(rig->s.used_flags, VRING_USED_F_NO_NOTIFY);
	EXPECT_EQ(rig->nr_log, 0);

	setup(rig, variant->is_le, false, false);
	rig->fail_in = 1;
	EXPECT_EQ(disable(rig), -EFAULT);
}

/* Take up a ring that was in use. */
TEST_F(notify, start)
{
	struct unit_rig *rig = self->rig;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		setup(rig, variant->is_le, i, false);
		rig->s.used_flags = VRING_USED_F_NO_NOTIFY;
		rig->s.signalled_used_valid = true;
		unit_poke16(rig, VMQ_USED, UNIT_USED_IDX, 0x1234);
		unit_op_begin(rig);
		EXPECT_EQ(vmq_split_start(&rig->s, &unit_access, rig), 0);
		unit_op_end(rig);
		EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_FLAGS), 1);
		EXPECT_EQ(unit_peek16(rig, VMQ_USED, UNIT_USED_IDX), 0x1234);
		EXPECT_EQ(rig->s.last_used_idx, 0x1234);
		EXPECT_FALSE(rig->s.signalled_used_valid);
	}
	for (i = 1; i <= 2; i++) {
		unit_op_begin(rig);
		rig->fail_in = i;
		EXPECT_EQ(vmq_split_start(&rig->s, &unit_access, rig),
			  -EFAULT);
		EXPECT_NE(rig->s.why, NULL);
	}
}

TEST_HARNESS_MAIN
