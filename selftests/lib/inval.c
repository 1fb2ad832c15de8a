// SPDX-License-Identifier: GPL-2.0
/* A rig whose ring memory can be changed under traffic. */
#include "inval.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Packets that show that traffic flows. */
#define FLOW		100
/* Packets that must go by kernel addresses alone. */
#define HOT		64

static size_t page_up(size_t n)
{
	return (n + VT_PAGE - 1) & ~(VT_PAGE - 1);
}

static size_t part_size(const struct vt_inval_cfg *c, unsigned int part)
{
	switch (part) {
	case VT_INVAL_DESC:
		return vt_desc_size(c->num);
	case VT_INVAL_AVAIL:
		return vt_avail_size(c->num);
	default:
		return vt_used_size(c->num);
	}
}

/* A page of canaries between all parts; each part ends where a page does. */
static size_t place_parts(struct vt_inval *inval, const struct vt_inval_cfg *c)
{
	size_t pos = VT_PAGE;
	unsigned int i, p;

	for (i = 0; i < 2; i++) {
		for (p = 0; p < VT_INVAL_PARTS; p++) {
			size_t size = part_size(c, p);
			size_t end = pos + page_up(size + c->shift);

			/* the used ring has to be a multiple of 4 */
			if (inval) {
				inval->part[i][p].off =
					(end - size - c->shift) & ~3UL;
				inval->part[i][p].size = size;
			}
			pos = end + VT_PAGE;
		}
	}
	return pos;
}

static void set_defaults(struct vt_inval_cfg *c, const struct vt_inval_cfg *cfg)
{
	memset(c, 0, sizeof(*c));
	if (cfg)
		*c = *cfg;
	if (!c->num)
		c->num = 256;
}

size_t vt_inval_area_len(const struct vt_inval_cfg *cfg)
{
	struct vt_inval_cfg c;

	set_defaults(&c, cfg);
	return place_parts(NULL, &c);
}

static int map_alias(struct vt_inval *inval)
{
	inval->fd = memfd_create("rings", MFD_CLOEXEC);
	if (inval->fd < 0 || ftruncate(inval->fd, 2 * inval->len))
		return -errno;
	inval->copies = mmap(NULL, 2 * inval->len, PROT_READ | PROT_WRITE,
			     MAP_SHARED, inval->fd, 0);
	inval->dev = mmap(NULL, inval->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			  inval->fd, 0);
	if (inval->copies == MAP_FAILED || inval->dev == MAP_FAILED)
		return -errno;
	inval->drv = inval->copies;
	return 0;
}

static int map_area(struct vt_inval *inval)
{
	size_t len = inval->len;
	int r;

	if (inval->cfg.map) {
		if (inval->cfg.map_len < len)
			return -EINVAL;
		inval->dev = inval->drv = inval->cfg.map;
		return 0;
	}
	if (inval->cfg.alias)
		return map_alias(inval);
	if (inval->cfg.backing == VT_THP || inval->cfg.backing == VT_HUGETLB)
		len = VT_HUGE_SIZE;
	r = vt_mem_alloc(&inval->area, inval->cfg.backing, len, 0, 0);
	inval->dev = inval->drv = inval->area.base;
	return r;
}

static uint8_t canary(size_t off)
{
	return (off * 2654435761u >> 13) | 1;
}

/* Calls @each for what is between the parts. */
static int for_gaps(const struct vt_inval *inval, char *base,
		    int (*each)(char *base, size_t from, size_t to))
{
	size_t pos = 0;
	unsigned int i, p;
	int r;

	for (i = 0; i < 2; i++) {
		for (p = 0; p < VT_INVAL_PARTS; p++) {
			r = each(base, pos, inval->part[i][p].off);
			if (r)
				return r;
			pos = inval->part[i][p].off + inval->part[i][p].size;
		}
	}
	return each(base, pos, inval->len);
}

static int fill_gap(char *base, size_t from, size_t to)
{
	for (; from < to; from++)
		base[from] = canary(from);
	return 0;
}

static int check_gap(char *base, size_t from, size_t to)
{
	for (; from < to; from++) {
		if ((uint8_t)base[from] == canary(from))
			continue;
		vt_msg("inval: byte %#zx of the area is %#x: written beside a ring",
		       from, (uint8_t)base[from]);
		return -EBADMSG;
	}
	return 0;
}

void vt_inval_fill_canaries(const struct vt_inval *inval, char *base)
{
	for_gaps(inval, base, fill_gap);
}

int vt_inval_check_canaries(const struct vt_inval *inval, const char *base)
{
	return for_gaps(inval, (char *)base, check_gap);
}

void vt_inval_drive(struct vt_inval *inval, char *base)
{
	unsigned int i;

	inval->drv = base;
	for (i = 0; i < 2; i++) {
		struct vt_vq *vq = &inval->rig.vq[i];

		vq->desc = (void *)(base + inval->part[i][VT_INVAL_DESC].off);
		vq->avail = (void *)(base + inval->part[i][VT_INVAL_AVAIL].off);
		vq->used = (void *)(base + inval->part[i][VT_INVAL_USED].off);
	}
}

static int start_rings(struct vt_inval *inval)
{
	char *drv = inval->drv;
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2; i++)
		vt_vq_reset(&inval->rig.vq[i], 0);
	/* the device is told its own addresses */
	vt_inval_drive(inval, inval->dev);
	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_start(&inval->rig.vq[i], inval->rig.tap.fd);
	vt_inval_drive(inval, drv);
	return r;
}

int vt_inval_restart(struct vt_inval *inval)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_stop(&inval->rig.vq[i]);
	return r ? r : start_rings(inval);
}

static int check_counters(struct vt_inval *inval)
{
	char access[16];
	int r = vt_stats_read_str(&inval->rig.dev, VT_VQ_TX, "access", access,
				  sizeof(access));

	inval->counters = !r;
	if (vt_dev_is_ours() && r) {
		vt_msg("inval: no counters in debugfs: %s", strerror(-r));
		return r;
	}
	if (!r && strcmp(access, "kernel")) {
		vt_msg("inval: the ring was started with access %s", access);
		return -EINVAL;
	}
	return 0;
}

int vt_inval_open(struct vt_inval *inval, const struct vt_inval_cfg *cfg)
{
	struct vt_rig_cfg rig = { .no_start = true };
	int r;

	memset(inval, 0, sizeof(*inval));
	inval->fd = -1;
	set_defaults(&inval->cfg, cfg);
	inval->len = place_parts(inval, &inval->cfg);
	rig.features = inval->cfg.features;
	rig.num = inval->cfg.num;
	rig.backing = inval->cfg.mem_backing;
	rig.mem_at = inval->cfg.mem_at;
	rig.mem_len = inval->cfg.mem_len;
	r = vt_rig_open(&inval->rig, &rig);
	if (r)
		return r;
	r = map_area(inval);
	if (!r) {
		vt_inval_fill_canaries(inval, inval->drv);
		vt_inval_drive(inval, inval->drv);
		r = start_rings(inval);
	}
	if (!r)
		r = check_counters(inval);
	if (r)
		vt_inval_close(inval);
	return r;
}

void vt_inval_close(struct vt_inval *inval)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (inval->running[i])
			vt_traffic_stop(&inval->t[i]);
		inval->running[i] = false;
	}
	vt_rig_close(&inval->rig);
	if (inval->area.map)
		vt_mem_free(&inval->area);
	if (inval->copies) {
		munmap(inval->copies, 2 * inval->len);
		munmap(inval->dev, inval->len);
	}
	if (inval->fd >= 0)
		close(inval->fd);
	inval->copies = NULL;
	inval->fd = -1;
}

int vt_inval_start(struct vt_inval *inval)
{
	unsigned int i;
	int r;

	for (i = 0; i < 2; i++) {
		r = vt_traffic_start_rig(&inval->t[i], &inval->rig, i);
		if (r)
			return r;
		inval->running[i] = true;
	}
	return vt_inval_flow(inval, FLOW);
}

int vt_inval_stop_one(struct vt_inval *inval, unsigned int vq)
{
	struct vt_traffic *t = &inval->t[vq];
	int r = vt_traffic_stop(t);

	inval->running[vq] = false;
	if (!r && (t->lost || t->sent != t->verified)) {
		vt_msg("inval: vq%u: %llu packets sent, %llu arrived", vq,
		       (unsigned long long)t->sent,
		       (unsigned long long)t->verified);
		r = -EIO;
	}
	return r;
}

int vt_inval_stop(struct vt_inval *inval)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2; i++) {
		int one = inval->running[i] ? vt_inval_stop_one(inval, i) : 0;

		if (!r)
			r = one;
	}
	return r ? r : vt_inval_check_canaries(inval, inval->drv);
}

int vt_inval_flow(struct vt_inval *inval, uint64_t n)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		if (inval->running[i])
			r = vt_traffic_wait(&inval->t[i], n, VT_TIMEOUT);
	return r;
}

void vt_inval_flush(struct vt_inval *inval)
{
	int unbind = -1;

	/* whatever it answers, it flushes the workers on the way out */
	ioctl(inval->rig.dev.fd, VHOST_SET_LOG_FD, &unbind);
}

static uint16_t peek(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/*
 * The receiving driver posts buffers and asks for calls after the last packet
 * has been counted. Look from outside whether it has done both.
 */
static bool driver_idle(const struct vt_vq *vq)
{
	uint16_t last = *(const volatile uint16_t *)&vq->last_used;

	if (peek(&vq->avail->idx) !=
		    *(const volatile uint16_t *)&vq->avail_idx ||
	    peek(&vq->used->idx) != last)
		return false;
	if (vq->dev->features & VT_F(VIRTIO_RING_F_EVENT_IDX))
		return peek(&vq->avail->ring[vq->num]) == last;
	return !peek(&vq->avail->flags);
}

int vt_inval_quiesce(struct vt_inval *inval)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_traffic_pause(&inval->t[i]);
	while (!r && !driver_idle(&inval->rig.vq[VT_VQ_RX])) {
		if (vt_patient_ns() > end) {
			vt_msg("inval: the receiving driver does not come to rest");
			return -ETIMEDOUT;
		}
		vt_sleep_ms(1);
	}
	/* the last kick, and the work that it may have queued in turn */
	vt_inval_flush(inval);
	vt_inval_flush(inval);
	return r;
}

void vt_inval_resume(struct vt_inval *inval)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		vt_traffic_resume(&inval->t[i]);
}

int vt_inval_set_addr(struct vt_inval *inval, unsigned int vq, const char *base)
{
	struct vhost_vring_addr addr = {
		.index = vq,
		.desc_user_addr =
			(uintptr_t)base + inval->part[vq][VT_INVAL_DESC].off,
		.avail_user_addr =
			(uintptr_t)base + inval->part[vq][VT_INVAL_AVAIL].off,
		.used_user_addr =
			(uintptr_t)base + inval->part[vq][VT_INVAL_USED].off,
	};

	return ioctl(inval->rig.dev.fd, VHOST_SET_VRING_ADDR, &addr) ? -errno :
								       0;
}

int vt_inval_move(struct vt_inval *inval, char *base)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_inval_set_addr(inval, i, base);
	if (!r)
		inval->dev = base;
	return r;
}

uint64_t vt_inval_count(const struct vt_inval *inval, unsigned int vq,
			const char *name)
{
	uint64_t n = 0;

	if (inval->counters && vt_stats_read(&inval->rig.dev, vq, name, &n)) {
		vt_msg("inval: no counter %s", name);
		abort();
	}
	return n;
}

uint64_t vt_inval_sum(const struct vt_inval *inval, const char *name)
{
	return vt_inval_count(inval, 0, name) + vt_inval_count(inval, 1, name);
}

static int hot_one(struct vt_inval *inval, unsigned int vq)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	uint64_t kernel, user;
	int r;

	do {
		kernel = vt_inval_count(inval, vq, "sections");
		user = vt_inval_count(inval, vq, "user_ops");
		r = vt_traffic_wait(&inval->t[vq], HOT, VT_TIMEOUT);
		if (r || !inval->counters)
			return r;
		if (vt_inval_count(inval, vq, "user_ops") == user &&
		    vt_inval_count(inval, vq, "sections") > kernel)
			return 0;
	} while (vt_patient_ns() < end);
	vt_msg("inval: vq%u: the fast path is not used again", vq);
	return -ETIME;
}

int vt_inval_hot(struct vt_inval *inval)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		if (inval->running[i])
			r = hot_one(inval, i);
	return r;
}

/* Did the round take pages back? Not always: others may have come first. */
static bool was_hit(struct vt_inval *inval, const uint64_t *before,
		    unsigned int flags)
{
	unsigned int i, n = 0;

	for (i = 0; i < 2; i++)
		n += vt_inval_count(inval, i, "maps_invalidated") > before[i];
	return n == 2 || (n && flags & VT_INVAL_ONE_RING);
}

int vt_inval_run(struct vt_inval *inval, vt_inval_op op, unsigned int rounds,
		 unsigned int flags)
{
	unsigned int i, n, hits = 0;
	uint64_t before[2];
	int r;

	for (n = 0; n < rounds; n++) {
		r = vt_inval_flow(inval, FLOW);
		if (!r && !inval->cfg.slow)
			r = vt_inval_hot(inval);
		if (!r && flags & VT_INVAL_QUIESCE)
			r = vt_inval_quiesce(inval);
		if (r)
			return r;
		for (i = 0; i < 2; i++)
			before[i] =
				vt_inval_count(inval, i, "maps_invalidated");
		r = op(inval);
		if (r) {
			vt_msg("inval: operation, round %u: %s", n,
			       strerror(-r));
			return r;
		}
		hits += was_hit(inval, before, flags);
		if (flags & VT_INVAL_QUIESCE)
			vt_inval_resume(inval);
	}
	if (inval->counters && !inval->cfg.slow &&
	    hits <= (flags & VT_INVAL_MAY_MISS ? 0 : rounds / 2)) {
		vt_msg("inval: only %u of %u rounds took pages back", hits,
		       rounds);
		return -ENOMSG;
	}
	r = vt_inval_flow(inval, FLOW);
	if (!r && !inval->cfg.slow)
		r = vt_inval_hot(inval);
	return r ? r : vt_inval_check_canaries(inval, inval->drv);
}
