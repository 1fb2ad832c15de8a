// SPDX-License-Identifier: GPL-2.0
/* The reference for the split ring parser, written without looking at it. */
#include "model.h"

#include <endian.h>
#include <errno.h>

static u16 get16(const struct model *m, u16 v)
{
	return m->le ? le16toh(v) : be16toh(v);
}

static u32 get32(const struct model *m, u32 v)
{
	return m->le ? le32toh(v) : be32toh(v);
}

static u64 get64(const struct model *m, u64 v)
{
	return m->le ? le64toh(v) : be64toh(v);
}

void model_init(struct model *m, const struct vmq_split *s)
{
	*m = (struct model) {
		.num = s->num,
		.le = s->is_le,
		.event_idx = s->event_idx,
		.on_empty = s->notify_on_empty,
		.no_notify = s->used_flags & 1,
		.last_avail = s->last_avail_idx,
		.avail = s->avail_idx,
		.used = s->last_used_idx,
		.mark = s->signalled_used,
		.marked = s->signalled_used_valid,
	};
}

void model_compare(const struct model *m, const struct vmq_split *s)
{
	unit_check(s->num == m->num);
	unit_check(s->is_le == m->le);
	unit_check(s->event_idx == m->event_idx);
	unit_check(s->notify_on_empty == m->on_empty);
	unit_check(s->used_flags == (m->no_notify ? 1 : 0));
	unit_check(s->last_avail_idx == m->last_avail);
	unit_check(s->avail_idx == m->avail);
	unit_check(s->last_used_idx == (u16)m->used);
	unit_check(s->signalled_used_valid == m->marked);
	unit_check(!m->marked || s->signalled_used == (u16)m->mark);
}

/*
 * The driver never has more buffers outstanding than the ring has entries.  An
 * index that says so is not believed, now or later.  What it has published
 * since the last look is news, and what was there then is not.
 */
int model_read_avail(struct model *m, const struct unit_rig *rig)
{
	u16 idx = unit_peek16(rig, VMQ_AVAIL, UNIT_AVAIL_IDX);
	u16 pending = idx - m->last_avail;
	bool moved = idx != m->avail;

	if (pending > m->num)
		return -EINVAL;
	m->avail = idx;
	return moved;
}

/* Note which descriptors more than one place of the chains leads to. */
static void visit(struct unit_rig *rig, u32 *visited, u32 i)
{
	if (visited[i] == rig->op)
		rig->shared[i] = rig->op;
	visited[i] = rig->op;
}

static void walk(const struct model *m, struct unit_rig *rig, u16 idx,
		 u32 limit, struct model_fetch *f, struct model_chain *c)
{
	static u32 visited[UNIT_MAX_NUM];
	struct vring_desc desc;
	u16 i;

	*c = (struct model_chain) { .first = f->nr_desc };
	i = unit_peek16(rig, VMQ_AVAIL, UNIT_AVAIL_RING(idx % m->num));
	c->head = i;
	for (;;) {
		if (i >= m->num || c->visited == m->num) {
			c->err = -EINVAL;
			return;
		}
		if (c->visited == limit) {
			c->err = -E2BIG;
			return;
		}
		unit_peek(rig, VMQ_DESC, UNIT_DESC(i), &desc, sizeof(desc));
		visit(rig, visited, i);
		c->visited++;
		if (desc.len || get16(m, desc.flags) & 4 ||
		    (c->count && get16(m, f->desc[f->nr_desc - 1].flags) & 6)) {
			if (f->nr_desc == UNIT_ARRAY_SIZE(rig->b.desc)) {
				c->err = -ENOBUFS;
				return;
			}
			f->desc[f->nr_desc++] = desc;
			c->count++;
		}
		if (!(get16(m, desc.flags) & 1))
			return;
		i = get16(m, desc.next);
	}
}

/**
 * model_fetch() - foresee vmq_split_gather() until it is done
 * @m: device, updated
 * @rig: the ring, an operation has begun
 * @ahead: chains wanted
 * @f: filled
 *
 * A call reads VMQ_SECTION_DESCS descriptors; the first chain takes as many
 * calls as it needs, and what is left of the last one is for further chains,
 * as long as they are whole.
 */
void model_fetch(struct model *m, struct unit_rig *rig, unsigned int ahead,
		 struct model_fetch *f)
{
	u32 room = VMQ_SECTION_DESCS;
	u16 idx = m->last_avail;
	struct model_chain *c;

	f->ret = 1;
	f->calls = 1;
	f->nr = 0;
	f->nr_desc = 0;
	if (m->avail == m->last_avail) {
		f->ret = model_read_avail(m, rig);
		if (f->ret <= 0)
			return;
	}

	do {
		c = &f->chain[f->nr];
		walk(m, rig, idx, f->nr ? room : UNIT_MAX_NUM, f, c);
		if (c->err) {
			if (!f->nr)
				f->ret = c->err;
			return;
		}
		if (!f->nr && c->visited) {
			f->calls = (c->visited + VMQ_SECTION_DESCS - 1) /
				   VMQ_SECTION_DESCS;
			room = f->calls * VMQ_SECTION_DESCS;
		}
		room -= c->visited;
		f->nr++;
		idx++;
	} while (f->nr < ahead && room && idx != m->avail);
}

static int add_buffer(const struct model *m, struct unit_rig *rig,
		      const struct vring_desc *desc, unsigned int iov_size,
		      struct model_iovs *out)
{
	bool write = get16(m, desc->flags) & 2;
	unsigned int n = out->out + out->in;
	int ret;

	ret = unit_translate(rig, get64(m, desc->addr), get32(m, desc->len),
			     out->iov + n, iov_size - n,
			     write ? VHOST_ACCESS_WO : VHOST_ACCESS_RO);
	if (ret < 0)
		return ret;
	if (!write && out->in)
		return -EINVAL;
	*(write ? &out->in : &out->out) += ret;
	return 0;
}

/* vhost takes the descriptors of a table in their order, next does not count. */
static int add_table(const struct model *m, struct unit_rig *rig,
		     const struct vring_desc *table, unsigned int iov_size,
		     struct model_iovs *out)
{
	u64 addr = get64(m, table->addr);
	u32 len = get32(m, table->len), i;
	struct vring_desc desc;
	struct iovec iov[8];
	int ret;

	if (len % 16)
		return -EINVAL;
	ret = unit_translate(rig, addr, len, iov, UNIT_ARRAY_SIZE(iov),
			     VHOST_ACCESS_RO);
	if (ret < 0)
		return ret;
	if (len / 16 > 65536)
		return -E2BIG;

	for (i = 0; i < len / 16; i++) {
		u64 at = addr - UNIT_RAM + 16ULL * i;

		if (at > UNIT_RAM_SIZE - 16)
			return -EINVAL;
		memcpy(&desc, rig->ram + at, 16);
		if (get16(m, desc.flags) & 4)
			return -EINVAL;
		ret = add_buffer(m, rig, &desc, iov_size, out);
		if (ret)
			return ret;
		if (!(get16(m, desc.flags) & 1))
			return 0;
	}
	return -EINVAL;
}

void model_expand(const struct model *m, struct unit_rig *rig,
		  const struct vring_desc *desc, unsigned int count,
		  unsigned int iov_size, struct model_iovs *out)
{
	unsigned int i;

	unit_check(iov_size <= MODEL_IOVS);
	out->ret = 0;
	out->out = 0;
	out->in = 0;
	for (i = 0; i < count && !out->ret; i++) {
		if (get16(m, desc[i].flags) & 4)
			out->ret = add_table(m, rig, &desc[i], iov_size, out);
		else
			out->ret = add_buffer(m, rig, &desc[i], iov_size, out);
	}
}

/* The used part as a whole, to see what an operation changed in it. */
void model_used_image(const struct unit_rig *rig, u8 *image)
{
	unit_peek(rig, VMQ_USED, 0, image, rig->part[VMQ_USED].size);
}

void model_check_used(const struct unit_rig *rig, const u8 *image)
{
	static u8 now[UNIT_USED_RING(UNIT_MAX_NUM) + 2];

	model_used_image(rig, now);
	unit_check(!memcmp(now, image, rig->part[VMQ_USED].size));
}

void model_put16(const struct model *m, u8 *image, size_t off, u16 v)
{
	v = m->le ? htole16(v) : htobe16(v);
	memcpy(image + off, &v, sizeof(v));
}

void model_add_used(struct model *m, u8 *image,
		    const struct vring_used_elem *heads, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		memcpy(image + UNIT_USED_RING((m->used + i) % m->num),
		       &heads[i], 8);
	m->used += count;
	model_put16(m, image, UNIT_USED_IDX, m->used);
	/* A full turn later, the low 16 bits no longer tell where it was. */
	if (m->marked && m->used - m->mark > 65535)
		m->marked = false;
}

/* Has the entry that the driver waits for been used since the mark? */
static bool passed_event(const struct model *m, u16 event)
{
	u64 i;

	for (i = m->mark; i != m->used; i++)
		if ((u16)i == event)
			return true;
	return false;
}

bool model_need_call(struct model *m, const struct unit_rig *rig)
{
	bool call;

	if (m->on_empty && m->avail == m->last_avail)
		return true;
	if (!m->event_idx)
		return !(unit_peek16(rig, VMQ_AVAIL, UNIT_AVAIL_FLAGS) & 1);

	call = !m->marked ||
	       passed_event(m, unit_peek16(rig, VMQ_AVAIL,
					   UNIT_AVAIL_RING(m->num)));
	m->mark = m->used;
	m->marked = true;
	return call;
}
