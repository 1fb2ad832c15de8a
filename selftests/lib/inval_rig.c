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

static size_t part_size(const struct iv_cfg *c, unsigned int part)
{
	switch (part) {
	case IV_DESC:
		return vt_desc_size(c->num);
	case IV_AVAIL:
		return vt_avail_size(c->num);
	default:
		return vt_used_size(c->num);
	}
}

/* A page of canaries between all parts; each part ends where a page does. */
static size_t place_parts(struct iv *iv, const struct iv_cfg *c)
{
	size_t pos = VT_PAGE;
	unsigned int i, p;

	for (i = 0; i < 2; i++) {
		for (p = 0; p < IV_PARTS; p++) {
			size_t size = part_size(c, p);
			size_t end = pos + page_up(size + c->shift);

			/* the used ring has to be a multiple of 4 */
			if (iv) {
				iv->part[i][p].off = (end - size - c->shift) & ~3UL;
				iv->part[i][p].size = size;
			}
			pos = end + VT_PAGE;
		}
	}
	return pos;
}

static void set_defaults(struct iv_cfg *c, const struct iv_cfg *cfg)
{
	memset(c, 0, sizeof(*c));
	if (cfg)
		*c = *cfg;
	if (!c->num)
		c->num = 256;
}

size_t iv_area_len(const struct iv_cfg *cfg)
{
	struct iv_cfg c;

	set_defaults(&c, cfg);
	return place_parts(NULL, &c);
}

static int map_alias(struct iv *iv)
{
	iv->fd = memfd_create("rings", MFD_CLOEXEC);
	if (iv->fd < 0 || ftruncate(iv->fd, 2 * iv->len))
		return -errno;
	iv->copies = mmap(NULL, 2 * iv->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			  iv->fd, 0);
	iv->dev = mmap(NULL, iv->len, PROT_READ | PROT_WRITE, MAP_SHARED,
		       iv->fd, 0);
	if (iv->copies == MAP_FAILED || iv->dev == MAP_FAILED)
		return -errno;
	iv->drv = iv->copies;
	return 0;
}

static int map_area(struct iv *iv)
{
	size_t len = iv->len;
	int r;

	if (iv->cfg.map) {
		if (iv->cfg.map_len < len)
			return -EINVAL;
		iv->dev = iv->drv = iv->cfg.map;
		return 0;
	}
	if (iv->cfg.alias)
		return map_alias(iv);
	if (iv->cfg.backing == VT_THP || iv->cfg.backing == VT_HUGETLB)
		len = VT_HUGE_SIZE;
	r = vt_mem_alloc(&iv->area, iv->cfg.backing, len, 0, 0);
	iv->dev = iv->drv = iv->area.base;
	return r;
}

static uint8_t canary(size_t off)
{
	return (off * 2654435761u >> 13) | 1;
}

/* Calls @each for what is between the parts. */
static int for_gaps(const struct iv *iv, char *base,
		    int (*each)(char *base, size_t from, size_t to))
{
	size_t pos = 0;
	unsigned int i, p;
	int r;

	for (i = 0; i < 2; i++) {
		for (p = 0; p < IV_PARTS; p++) {
			r = each(base, pos, iv->part[i][p].off);
			if (r)
				return r;
			pos = iv->part[i][p].off + iv->part[i][p].size;
		}
	}
	return each(base, pos, iv->len);
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

void iv_fill_canaries(const struct iv *iv, char *base)
{
	for_gaps(iv, base, fill_gap);
}

int iv_check_canaries(const struct iv *iv, const char *base)
{
	return for_gaps(iv, (char *)base, check_gap);
}

void iv_drive(struct iv *iv, char *base)
{
	unsigned int i;

	iv->drv = base;
	for (i = 0; i < 2; i++) {
		struct vt_vq *vq = &iv->rig.vq[i];

		vq->desc = (void *)(base + iv->part[i][IV_DESC].off);
		vq->avail = (void *)(base + iv->part[i][IV_AVAIL].off);
		vq->used = (void *)(base + iv->part[i][IV_USED].off);
	}
}

static int start_rings(struct iv *iv)
{
	char *drv = iv->drv;
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2; i++)
		vt_vq_reset(&iv->rig.vq[i], 0);
	/* the device is told its own addresses */
	iv_drive(iv, iv->dev);
	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_start(&iv->rig.vq[i], iv->rig.tap.fd);
	iv_drive(iv, drv);
	return r;
}

int iv_restart(struct iv *iv)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_stop(&iv->rig.vq[i]);
	return r ? r : start_rings(iv);
}

static int check_counters(struct iv *iv)
{
	char access[16];
	int r = vt_stats_read_str(&iv->rig.dev, VT_VQ_TX, "access", access,
				  sizeof(access));

	iv->counters = !r;
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

int iv_open(struct iv *iv, const struct iv_cfg *cfg)
{
	struct vt_rig_cfg rig = { .no_start = true };
	int r;

	memset(iv, 0, sizeof(*iv));
	iv->fd = -1;
	set_defaults(&iv->cfg, cfg);
	iv->len = place_parts(iv, &iv->cfg);
	rig.features = iv->cfg.features;
	rig.num = iv->cfg.num;
	rig.backing = iv->cfg.mem_backing;
	rig.mem_at = iv->cfg.mem_at;
	rig.mem_len = iv->cfg.mem_len;
	r = vt_rig_open(&iv->rig, &rig);
	if (r)
		return r;
	r = map_area(iv);
	if (!r) {
		iv_fill_canaries(iv, iv->drv);
		iv_drive(iv, iv->drv);
		r = start_rings(iv);
	}
	if (!r)
		r = check_counters(iv);
	if (r)
		iv_close(iv);
	return r;
}

void iv_close(struct iv *iv)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (iv->running[i])
			vt_traffic_stop(&iv->t[i]);
		iv->running[i] = false;
	}
	vt_rig_close(&iv->rig);
	if (iv->area.map)
		vt_mem_free(&iv->area);
	if (iv->copies) {
		munmap(iv->copies, 2 * iv->len);
		munmap(iv->dev, iv->len);
	}
	if (iv->fd >= 0)
		close(iv->fd);
	iv->copies = NULL;
	iv->fd = -1;
}

int iv_start(struct iv *iv)
{
	unsigned int i;
	int r;

	for (i = 0; i < 2; i++) {
		r = vt_traffic_start_rig(&iv->t[i], &iv->rig, i);
		if (r)
			return r;
		iv->running[i] = true;
	}
	return iv_flow(iv, FLOW);
}

int iv_stop_one(struct iv *iv, unsigned int vq)
{
	struct vt_traffic *t = &iv->t[vq];
	int r = vt_traffic_stop(t);

	iv->running[vq] = false;
	if (!r && (t->lost || t->sent != t->verified)) {
		vt_msg("inval: vq%u: %llu packets sent, %llu arrived", vq,
		       (unsigned long long)t->sent,
		       (unsigned long long)t->verified);
		r = -EIO;
	}
	return r;
}

int iv_stop(struct iv *iv)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2; i++) {
		int one = iv->running[i] ? iv_stop_one(iv, i) : 0;

		if (!r)
			r = one;
	}
	return r ? r : iv_check_canaries(iv, iv->drv);
}

int iv_flow(struct iv *iv, uint64_t n)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		if (iv->running[i])
			r = vt_traffic_wait(&iv->t[i], n, VT_TIMEOUT);
	return r;
}

void iv_flush(struct iv *iv)
{
	int unbind = -1;

	/* whatever it answers, it flushes the workers on the way out */
	ioctl(iv->rig.dev.fd, VHOST_SET_LOG_FD, &unbind);
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

	if (peek(&vq->avail->idx) != *(const volatile uint16_t *)&vq->avail_idx ||
	    peek(&vq->used->idx) != last)
		return false;
	if (vq->dev->features & VT_F(VIRTIO_RING_F_EVENT_IDX))
		return peek(&vq->avail->ring[vq->num]) == last;
	return !peek(&vq->avail->flags);
}

int iv_quiesce(struct iv *iv)
{
	uint64_t end = vt_now_ns() + VT_TIMEOUT * 1000000ULL;
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_traffic_pause(&iv->t[i]);
	while (!r && !driver_idle(&iv->rig.vq[VT_VQ_RX])) {
		if (vt_now_ns() > end) {
			vt_msg("inval: the receiving driver does not come to rest");
			return -ETIMEDOUT;
		}
		vt_sleep_ms(1);
	}
	/* the last kick, and the work that it may have queued in turn */
	iv_flush(iv);
	iv_flush(iv);
	return r;
}

void iv_resume(struct iv *iv)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		vt_traffic_resume(&iv->t[i]);
}

int iv_set_addr(struct iv *iv, unsigned int vq, const char *base)
{
	struct vhost_vring_addr addr = {
		.index = vq,
		.desc_user_addr = (uintptr_t)base + iv->part[vq][IV_DESC].off,
		.avail_user_addr = (uintptr_t)base + iv->part[vq][IV_AVAIL].off,
		.used_user_addr = (uintptr_t)base + iv->part[vq][IV_USED].off,
	};

	return ioctl(iv->rig.dev.fd, VHOST_SET_VRING_ADDR, &addr) ? -errno : 0;
}

int iv_move(struct iv *iv, char *base)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = iv_set_addr(iv, i, base);
	if (!r)
		iv->dev = base;
	return r;
}

uint64_t iv_count(const struct iv *iv, unsigned int vq, const char *name)
{
	uint64_t n = 0;

	if (iv->counters && vt_stats_read(&iv->rig.dev, vq, name, &n)) {
		vt_msg("inval: no counter %s", name);
		abort();
	}
	return n;
}

uint64_t iv_sum(const struct iv *iv, const char *name)
{
	return iv_count(iv, 0, name) + iv_count(iv, 1, name);
}

static int hot_one(struct iv *iv, unsigned int vq)
{
	uint64_t end = vt_now_ns() + VT_TIMEOUT * 1000000ULL;
	uint64_t kernel, user;
	int r;

	do {
		kernel = iv_count(iv, vq, "sections");
		user = iv_count(iv, vq, "user_ops");
		r = vt_traffic_wait(&iv->t[vq], HOT, VT_TIMEOUT);
		if (r || !iv->counters)
			return r;
		if (iv_count(iv, vq, "user_ops") == user &&
		    iv_count(iv, vq, "sections") > kernel)
			return 0;
	} while (vt_now_ns() < end);
	vt_msg("inval: vq%u: the fast path is not used again", vq);
	return -ETIME;
}

int iv_hot(struct iv *iv)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		if (iv->running[i])
			r = hot_one(iv, i);
	return r;
}

/* Did the round take pages back? Not always: others may have come first. */
static bool was_hit(struct iv *iv, const uint64_t *before, unsigned int flags)
{
	unsigned int i, n = 0;

	for (i = 0; i < 2; i++)
		n += iv_count(iv, i, "maps_invalidated") > before[i];
	return n == 2 || (n && flags & IV_ONE_RING);
}

int iv_invalidate(struct iv *iv, iv_op op, unsigned int rounds,
		  unsigned int flags)
{
	unsigned int i, n, hits = 0;
	uint64_t before[2];
	int r;

	for (n = 0; n < rounds; n++) {
		r = iv_flow(iv, FLOW);
		if (!r && !iv->cfg.slow)
			r = iv_hot(iv);
		if (!r && flags & IV_QUIESCE)
			r = iv_quiesce(iv);
		if (r)
			return r;
		for (i = 0; i < 2; i++)
			before[i] = iv_count(iv, i, "maps_invalidated");
		r = op(iv);
		if (r) {
			vt_msg("inval: operation, round %u: %s", n, strerror(-r));
			return r;
		}
		hits += was_hit(iv, before, flags);
		if (flags & IV_QUIESCE)
			iv_resume(iv);
	}
	if (iv->counters && !iv->cfg.slow &&
	    hits <= (flags & IV_MAY_MISS ? 0 : rounds / 2)) {
		vt_msg("inval: only %u of %u rounds took pages back", hits,
		       rounds);
		return -ENOMSG;
	}
	r = iv_flow(iv, FLOW);
	if (!r && !iv->cfg.slow)
		r = iv_hot(iv);
	return r ? r : iv_check_canaries(iv, iv->drv);
}
