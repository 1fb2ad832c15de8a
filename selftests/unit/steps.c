// SPDX-License-Identifier: GPL-2.0
/* One episode of driver and device, each device operation compared. */
#include "steps.h"

#include <endian.h>

#define MAX_HEADS 4096

struct episode {
	struct unit_rig *rig;
	struct unit_source *src;
	struct unit_stats *stats;
	struct model m;
	struct model_fetch fetch;
	bool stuck;
};

/* A number below @n, which is at most 2^32 - 1. */
u32 unit_pick(struct unit_source *src, u32 n)
{
	unsigned int bytes = n <= 1 << 8 ? 1 : n <= 1 << 16 ? 2 : 4;
	u32 v = 0;

	if (src->data) {
		for (; bytes && src->left; bytes--, src->left--)
			v = v << 8 | *src->data++;
		return v % n;
	}

	src->state ^= src->state >> 12;
	src->state ^= src->state << 25;
	src->state ^= src->state >> 27;
	return (src->state * 0x2545f4914f6cdd1dULL >> 32) % n;
}

static u32 pick(struct episode *e, u32 n)
{
	return unit_pick(e->src, n);
}

static bool chance(struct episode *e, u32 n)
{
	return !pick(e, n);
}

/* The driver. */

static u64 random_addr(struct episode *e, bool aligned)
{
	u64 addr;

	switch (pick(e, 16)) {
	case 0:
		addr = UNIT_RAM + UNIT_RAM_HALF - pick(e, 64);
		break;
	case 1:
		addr = UNIT_ROM + pick(e, 2 * UNIT_ROM_SIZE);
		break;
	case 2:
		addr = UNIT_HUGE + pick(e, UINT32_MAX);
		break;
	case 3:
		addr = (u64)pick(e, UINT32_MAX) << 32 | pick(e, UINT32_MAX);
		break;
	default:
		addr = UNIT_RAM + pick(e, UNIT_RAM_SIZE / 2);
	}
	return aligned ? addr & ~15ULL : addr;
}

static u32 random_len(struct episode *e, bool table)
{
	switch (pick(e, 16)) {
	case 0:
		return 0;
	case 1:
		return pick(e, UINT32_MAX);
	case 2:
		return 16 * pick(e, 1 << 17);
	default:
		return table ? 16 * pick(e, 20) : 1 + pick(e, 2000);
	}
}

static struct vring_desc random_desc(struct episode *e, u16 self)
{
	u16 flags = 0, next = self + 1;

	if (chance(e, 2))
		flags |= VRING_DESC_F_NEXT;
	if (chance(e, 3))
		flags |= VRING_DESC_F_WRITE;
	if (chance(e, 8))
		flags |= VRING_DESC_F_INDIRECT;
	if (chance(e, 32))
		flags |= pick(e, 65536);
	if (chance(e, 2))
		next = pick(e, e->m.num);
	else if (chance(e, 32))
		next = pick(e, 65536);
	return unit_desc(e->rig,
			 random_addr(e, flags & VRING_DESC_F_INDIRECT),
			 random_len(e, flags & VRING_DESC_F_INDIRECT), flags,
			 next);
}

static void drive_desc(struct episode *e)
{
	u16 i = pick(e, e->m.num);
	struct vring_desc desc = random_desc(e, i);

	unit_poke(e->rig, VMQ_DESC, UNIT_DESC(i), &desc, sizeof(desc));
}

static void drive_table(struct episode *e)
{
	u32 at = 16 * pick(e, UNIT_RAM_SIZE / 16), n = 1 + pick(e, 20);
	struct vring_desc desc;

	for (; n-- && at < UNIT_RAM_SIZE; at += 16) {
		desc = random_desc(e, 0);
		memcpy(e->rig->ram + at, &desc, sizeof(desc));
	}
}

static void publish(struct episode *e, u16 head)
{
	u16 idx = unit_peek16(e->rig, VMQ_AVAIL, UNIT_AVAIL_IDX);

	unit_set_avail(e->rig, idx, head);
	unit_set_avail_idx(e->rig, idx + 1);
}

/* A chain as a driver should make it: readable buffers, then writable ones. */
static void drive_chain(struct episode *e)
{
	u32 max = chance(e, 16) ? e->m.num : 4, n, out, i, at;
	u32 len = chance(e, 32) ? 0 : 1 + pick(e, 1500);
	u16 head = pick(e, e->m.num);

	n = 1 + pick(e, max < e->m.num ? max : e->m.num);
	out = pick(e, n + 1);
	for (i = 0; i < n; i++) {
		at = (head + i) % e->m.num;
		unit_set_desc(e->rig, at, UNIT_RAM + pick(e, UNIT_RAM_HALF),
			      len, (i + 1 < n ? VRING_DESC_F_NEXT : 0) |
			      (i < out ? 0 : VRING_DESC_F_WRITE),
			      (at + 1) % e->m.num);
	}
	publish(e, head);
}

/* One table of buffers. */
static void drive_indirect(struct episode *e)
{
	u32 n = 1 + pick(e, 20), out = pick(e, n + 1), i;
	u64 table = UNIT_RAM + 16 * pick(e, UNIT_RAM_SIZE / 16 - n);
	u16 head = pick(e, e->m.num);

	for (i = 0; i < n; i++)
		unit_set_table(e->rig, table, i,
			       UNIT_RAM + pick(e, UNIT_RAM_HALF),
			       1 + pick(e, 1500),
			       (i + 1 < n ? VRING_DESC_F_NEXT : 0) |
			       (i < out ? 0 : VRING_DESC_F_WRITE));
	unit_set_desc(e->rig, head, table, 16 * n, VRING_DESC_F_INDIRECT, 0);
	publish(e, head);
}

static void drive_avail(struct episode *e)
{
	u16 idx = e->m.last_avail + pick(e, 70);

	unit_set_avail(e->rig, idx, chance(e, 32) ? pick(e, 65536) :
						    pick(e, e->m.num));
}

static void drive_avail_idx(struct episode *e)
{
	u16 idx = e->m.last_avail;

	if (chance(e, 8))
		idx = pick(e, 65536);
	else if (chance(e, 4))
		idx += e->m.num + 1 - pick(e, 3);
	else
		idx += pick(e, e->m.num + 1);
	unit_set_avail_idx(e->rig, idx);
}

static void drive_event(struct episode *e)
{
	u16 event = e->m.mark + pick(e, 80) - 8;

	unit_poke16(e->rig, VMQ_AVAIL, UNIT_AVAIL_FLAGS, pick(e, 4));
	if (!e->m.event_idx)
		return;
	if (chance(e, 8))
		event = pick(e, 65536);
	unit_poke16(e->rig, VMQ_AVAIL, UNIT_AVAIL_RING(e->m.num), event);
}

static void drive_garbage(struct episode *e)
{
	enum vmq_part part = pick(e, VMQ_PARTS);
	u32 at = pick(e, e->rig->part[part].size / 2);

	unit_poke16(e->rig, part, 2 * at, pick(e, 65536));
}

/* The device. */

/* Compare what an operation returned, if none of its accesses was failed. */
static void check_ret(struct episode *e, int ret, int expected)
{
	if (e->rig->failed) {
		e->stats->faults++;
		unit_check(ret == -EFAULT);
	} else if (ret != expected) {
		unit_die("returned %d (%s) instead of %d", ret,
			 e->rig->s.why ?: "no reason", expected);
	}
	/* The reason is told if there is one, and only then. */
	unit_check(!e->rig->s.why == (ret >= 0));
	if (ret < 0)
		e->stats->broken++;
}

static void check_burst(struct episode *e)
{
	const struct vmq_burst *b = &e->rig->b;
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		const struct model_chain *want = &e->fetch.chain[i];
		const struct vmq_chain *got = &b->chain[i];

		unit_check(got->head == want->head);
		unit_check(got->count == want->count);
		unit_check(got->first + got->count <=
			   UNIT_ARRAY_SIZE(b->desc));
		unit_check(!memcmp(b->desc + got->first,
				   e->fetch.desc + want->first,
				   want->count * sizeof(*b->desc)));
	}
}

/* Every head and every descriptor read was clamped to the ring before. */
static void check_order(const struct unit_rig *rig)
{
	const struct unit_event *ev = rig->log, *clamp = NULL;
	bool ordered = true;
	unsigned int i;

	for (i = 0; i < rig->nr_log && i < UNIT_LOG; i++, ev++) {
		switch (ev->kind) {
		case UNIT_NOSPEC:
			unit_check(ev->len == rig->s.num);
			clamp = ev;
			break;
		case UNIT_RMB:
			ordered = true;
			break;
		case UNIT_READ:
			if (ev->part == VMQ_AVAIL &&
			    ev->off == UNIT_AVAIL_IDX)
				ordered = false;
			else
				unit_check(ordered);
			if (ev->part == VMQ_DESC) {
				unit_check(clamp);
				unit_check(ev->off == UNIT_DESC(clamp->off));
				unit_check(ev->len == 16);
				clamp = NULL;
			}
			break;
		default:
			unit_die("a fetch wrote");
		}
	}
}

static int device_fetch(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	u16 avail = e->m.avail;
	unsigned int calls = 0;
	int ret, expected;

	if (chance(e, 16))
		rig->b.ahead = 1 + pick(e, VMQ_BURST_CHAINS);
	else if (rig->b.nr == rig->b.ahead && rig->b.ahead <= 32)
		rig->b.ahead *= 2;

	unit_op_begin(rig);
	model_fetch(&e->m, rig, rig->b.ahead, &e->fetch);
	expected = e->fetch.ret < 0 ? e->fetch.ret : VMQ_DONE;
	do {
		unit_call_begin(rig);
		ret = vmq_split_gather(&rig->s, &rig->b, &unit_access, rig);
		unit_check(unit_count(rig, UNIT_READ, VMQ_DESC) <=
			   VMQ_SECTION_DESCS);
		check_order(rig);
		unit_check(++calls <= e->m.num / VMQ_SECTION_DESCS + 2);
	} while (ret == VMQ_AGAIN);
	unit_op_end(rig);
	e->stats->again += calls > 1;

	if (rig->failed) {
		/* What was whole before the failure may have come. */
		if (rig->b.nr) {
			e->stats->faults++;
			unit_check(ret == VMQ_DONE && !rig->s.why);
			unit_check(rig->b.nr <= e->fetch.nr);
		} else {
			check_ret(e, ret, 0);
		}
		unit_check(rig->s.avail_idx == avail ||
			   rig->s.avail_idx == e->m.avail);
		e->m.avail = rig->s.avail_idx;
	} else {
		check_ret(e, ret, expected);
		if (!ret) {
			unit_check(rig->b.nr == e->fetch.nr);
			unit_check(calls == e->fetch.calls);
		}
	}
	if (ret < 0)
		return ret;
	check_burst(e);
	return rig->b.nr;
}

static void device_next(struct episode *e)
{
	static struct iovec iov[MODEL_IOVS];
	static struct model_iovs want;
	struct unit_rig *rig = e->rig;
	const struct vmq_chain *chain;
	unsigned int size, out, in;
	int ret;

	if (rig->b.next == rig->b.nr) {
		ret = device_fetch(e);
		e->stuck = ret < 0;
		if (ret <= 0)
			return;
	}
	chain = &rig->b.chain[rig->b.next];
	size = chance(e, 8) ? 1 + pick(e, 8) : UIO_MAXIOV;

	unit_op_begin(rig);
	model_expand(&e->m, rig, &rig->b.desc[chain->first], chain->count,
		     size, &want);
	ret = vmq_split_expand(&rig->s, &unit_memory, rig,
			       &rig->b.desc[chain->first], chain->count, iov,
			       size, &out, &in);
	unit_op_end(rig);
	/* It reads no ring word. */
	unit_check(!rig->nr_log);
	check_ret(e, ret, want.ret);
	if (ret) {
		vmq_burst_reset(&rig->b);
		e->stuck = true;
		return;
	}
	unit_check(out == want.out && in == want.in && out + in <= size);
	unit_check(!memcmp(iov, want.iov, (out + in) * sizeof(*iov)));
	rig->b.next++;
	rig->s.last_avail_idx++;
	e->m.last_avail++;
	e->stats->chains++;
}

static void device_discard(struct episode *e)
{
	u16 n = pick(e, 4);

	/* More than the ring holds were never taken. */
	if ((u16)(e->m.avail - e->m.last_avail) + n > (int)e->m.num)
		return;
	e->rig->s.last_avail_idx -= n;
	e->m.last_avail -= n;
	vmq_burst_reset(&e->rig->b);
}

static void device_drop(struct episode *e)
{
	vmq_burst_reset(&e->rig->b);
	e->rig->b.ahead = 1 + pick(e, 4);
}

/* A ring that is broken stays so until somebody starts it anew. */
static void device_rebase(struct episode *e)
{
	struct vmq_split *s = &e->rig->s;

	s->last_avail_idx += 1 + pick(e, 2);
	if (chance(e, 4))
		s->last_avail_idx = pick(e, 65536);
	s->avail_idx = s->last_avail_idx;
	e->m.last_avail = s->last_avail_idx;
	e->m.avail = s->last_avail_idx;
	vmq_burst_reset(&e->rig->b);
	unit_set_avail_idx(e->rig, e->m.last_avail + pick(e, 2));
	e->stuck = false;
}

static u8 image[UNIT_USED_RING(UNIT_MAX_NUM) + 2];

static void device_start(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	struct model before = e->m;
	int ret;

	unit_op_begin(rig);
	model_used_image(rig, image);
	model_put16(&e->m, image, UNIT_USED_FLAGS, e->m.no_notify);
	e->m.used = unit_peek16(rig, VMQ_USED, UNIT_USED_IDX);
	e->m.marked = false;
	ret = vmq_split_start(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	check_ret(e, ret, 0);
	if (rig->failed) {
		e->m = before;
		/* The mark may be given up early. */
		e->m.marked &= rig->s.signalled_used_valid;
		return;
	}
	model_check_used(rig, image);
}

static void device_add_used(struct episode *e)
{
	static struct vring_used_elem heads[MAX_HEADS];
	u32 count = 1 + pick(e, 8), i;
	struct unit_rig *rig = e->rig;
	struct model before = e->m;
	int ret;

	if (chance(e, 8))
		count = pick(e, 65);
	else if (chance(e, 64))
		count = pick(e, MAX_HEADS + 1);
	for (i = 0; i < count; i++) {
		heads[i].id = i * 0x01010101;
		heads[i].len = rig->op;
	}

	unit_op_begin(rig);
	model_used_image(rig, image);
	model_add_used(&e->m, image, heads, count);
	ret = vmq_split_add_used(&rig->s, &unit_access, rig, heads, count);
	unit_op_end(rig);
	check_ret(e, ret, 0);
	if (rig->failed) {
		e->m = before;
		return;
	}
	model_check_used(rig, image);
	if (rig->nr_log <= UNIT_LOG) {
		/* The index comes last and behind a barrier. */
		unit_check(rig->nr_log >= 2);
		unit_check(rig->log[rig->nr_log - 2].kind == UNIT_WMB);
		unit_check(rig->log[rig->nr_log - 1].off == UNIT_USED_IDX);
	}
}

static void device_need_call(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	int ret, expected;

	unit_op_begin(rig);
	expected = model_need_call(&e->m, rig);
	ret = vmq_split_need_call(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	unit_check(rig->nr_log && rig->log[0].kind == UNIT_MB);
	if (rig->failed) {
		/* Rather once too often. */
		unit_check(ret == 1 && rig->s.why);
		e->stats->faults++;
		return;
	}
	check_ret(e, ret, expected);
	e->stats->calls += ret;
}

static void device_enable(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	int ret, expected = 0;
	u16 avail = e->m.avail;

	/* Who has chains left does not wait for new ones. */
	vmq_burst_reset(&rig->b);

	unit_op_begin(rig);
	model_used_image(rig, image);
	if (e->m.no_notify) {
		if (e->m.event_idx)
			model_put16(&e->m, image, UNIT_USED_RING(e->m.num),
				    e->m.avail);
		else
			model_put16(&e->m, image, UNIT_USED_FLAGS, 0);
		expected = model_read_avail(&e->m, rig);
	}
	ret = vmq_split_enable_notify(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	check_ret(e, ret, expected);
	if (rig->failed)
		e->m.avail = avail;
	else
		model_check_used(rig, image);
	if (!e->m.no_notify)
		unit_check(!rig->nr_log);
	else if (!rig->failed)
		unit_check(rig->log[1].kind == UNIT_MB);
	e->m.no_notify = false;
}

static void device_disable(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	int ret;

	unit_op_begin(rig);
	model_used_image(rig, image);
	if (!e->m.no_notify && !e->m.event_idx)
		model_put16(&e->m, image, UNIT_USED_FLAGS, 1);
	ret = vmq_split_disable_notify(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	check_ret(e, ret, 0);
	unit_check(rig->nr_log == !(e->m.no_notify || e->m.event_idx));
	if (!rig->failed)
		model_check_used(rig, image);
	e->m.no_notify = true;
}

static void device_empty(struct episode *e)
{
	struct unit_rig *rig = e->rig;
	u16 avail = e->m.avail;
	bool empty;
	int ret = 1;

	unit_op_begin(rig);
	if (e->m.avail == e->m.last_avail)
		ret = model_read_avail(&e->m, rig);
	empty = vmq_split_avail_empty(&rig->s, &unit_access, rig);
	unit_op_end(rig);
	if (rig->failed) {
		e->m.avail = avail;
		e->stats->faults++;
		unit_check(!empty && rig->s.why);
		return;
	}
	unit_check(empty == !ret);
	unit_check(!rig->s.why == (ret >= 0));
}

static void driver_step(struct episode *e)
{
	static void (*const drive[])(struct episode *e) = {
		drive_chain, drive_chain, drive_chain, drive_chain,
		drive_indirect, drive_indirect, drive_event, drive_event,
		drive_desc, drive_table, drive_avail, drive_avail_idx,
		drive_garbage,
	};

	drive[pick(e, UNIT_ARRAY_SIZE(drive))](e);
}

static void device_step(struct episode *e)
{
	static void (*const device[])(struct episode *e) = {
		device_next, device_next, device_next, device_next,
		device_next, device_next, device_add_used, device_add_used,
		device_need_call, device_need_call, device_enable,
		device_disable, device_empty, device_discard, device_drop,
		device_start,
	};

	if (e->stuck && chance(e, 2)) {
		device_rebase(e);
		return;
	}
	e->rig->scribble = !chance(e, 4);
	if (chance(e, 24))
		e->rig->fail_in = 1 + pick(e, chance(e, 4) ? 150 : 8);
	device[pick(e, UNIT_ARRAY_SIZE(device))](e);
	e->rig->fail_in = 0;
}

/* Most rings are small, so that little suffices to wrap them. */
static u32 random_num(struct episode *e)
{
	return 1U << (chance(e, 64) ? pick(e, 16) :
		      chance(e, 4) ? pick(e, 11) : pick(e, 5));
}

/**
 * unit_episode() - play one ring
 * @rig: the rig, set up anew
 * @src: decides what happens
 * @max_steps: how long at most; a fuzzer's input may end before
 * @stats: added to
 */
void unit_episode(struct unit_rig *rig, struct unit_source *src,
		  unsigned int max_steps, struct unit_stats *stats)
{
	static struct episode e;
	unsigned int i, offset[VMQ_PARTS];
	struct vmq_split mode = {};

	memset(&e.m, 0, sizeof(e.m));
	e.rig = rig;
	e.src = src;
	e.stats = stats;
	e.stuck = false;

	mode.num = random_num(&e);
	mode.is_le = !chance(&e, 3);
	mode.event_idx = chance(&e, 2);
	mode.notify_on_empty = chance(&e, 4);
	mode.used_flags = pick(&e, 2);
	mode.last_avail_idx = chance(&e, 2) ? 65530 + pick(&e, 10) :
					      pick(&e, 65536);
	mode.avail_idx = mode.last_avail_idx;
	/* vhost asks for no alignment of descriptors. */
	offset[VMQ_DESC] = pick(&e, UNIT_PAGE);
	offset[VMQ_AVAIL] = 2 * pick(&e, UNIT_PAGE / 2);
	offset[VMQ_USED] = 4 * pick(&e, UNIT_PAGE / 4);
	unit_rig_setup(rig, &mode, offset);
	unit_set_avail_idx(rig, mode.last_avail_idx);
	unit_poke16(rig, VMQ_USED, UNIT_USED_IDX, pick(&e, 65536));

	model_init(&e.m, &rig->s);
	device_start(&e);
	/* A ring of many pages takes long to compare. */
	if (mode.num > 1024)
		max_steps /= 16;
	for (i = 0; i < max_steps && (!src->data || src->left); i++) {
		if (chance(&e, 2))
			driver_step(&e);
		else
			device_step(&e);
		model_compare(&e.m, &rig->s);
		stats->steps++;
	}
	unit_rig_check_canaries(rig);
}
