// SPDX-License-Identifier: GPL-2.0
/*
 * The driver side of a split ring.
 *
 * Ring words are reached through volatile or atomic accesses only, because
 * the kernel changes them behind the compiler's back; ring parts may have any
 * alignment, so nothing here relies on more than the two bytes that avail and
 * used always have.
 */
#include "vhost_test.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define full_mb()	atomic_thread_fence(memory_order_seq_cst)

static bool has(const struct vt_vq *vq, unsigned int bit)
{
	return vq->dev->features & VT_F(bit);
}

/* The event index words are behind the rings; see the virtio specification. */
static uint16_t *used_event(const struct vt_vq *vq)
{
	return &vq->avail->ring[vq->num];
}

static uint16_t *avail_event(const struct vt_vq *vq)
{
	return (uint16_t *)&vq->used->ring[vq->num];
}

static uint16_t load16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store16(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
}

int vt_vq_init(struct vt_vq *vq, struct vt_dev *dev, unsigned int index,
	       unsigned int num, void *desc, void *avail, void *used)
{
	memset(vq, 0, sizeof(*vq));
	vq->dev = dev;
	vq->index = index;
	vq->num = num;
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vq->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vq->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vq->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	vq->next = calloc(num, sizeof(*vq->next));
	vq->cookie = calloc(num, sizeof(*vq->cookie));
	if (vq->kick < 0 || vq->call < 0 || vq->err < 0 || !vq->next ||
	    !vq->cookie) {
		vt_vq_free(vq);
		return -ENOMEM;
	}
	vt_vq_reset(vq, 0);
	return 0;
}

void vt_vq_free(struct vt_vq *vq)
{
	if (vq->kick > 0)
		close(vq->kick);
	if (vq->call > 0)
		close(vq->call);
	if (vq->err > 0)
		close(vq->err);
	vq->kick = vq->call = vq->err = -1;
	free(vq->next);
	free(vq->cookie);
	vq->next = NULL;
	vq->cookie = NULL;
}

void vt_vq_reset(struct vt_vq *vq, uint16_t base)
{
	unsigned int i;

	memset(vq->desc, 0, vt_desc_size(vq->num));
	memset(vq->avail, 0, vt_avail_size(vq->num));
	memset(vq->used, 0, vt_used_size(vq->num));
	memset(vq->cookie, 0, vq->num * sizeof(*vq->cookie));
	vq->avail->idx = base;
	vq->used->idx = base;
	vq->avail_idx = vq->kicked_idx = vq->last_used = base;
	vq->free_head = 0;
	vq->num_free = vq->num;
	for (i = 0; i < vq->num; i++)
		vq->next[i] = i + 1;
	vt_event_read(vq->kick);
	vt_event_read(vq->call);
	vt_event_read(vq->err);
}

void vt_vq_set_indirect(struct vt_vq *vq, struct vring_desc *table,
			unsigned int max)
{
	vq->indirect = table;
	vq->indirect_max = max;
}

static int vq_ioctl(const struct vt_vq *vq, unsigned long nr, void *arg,
		    const char *what)
{
	if (!ioctl(vq->dev->fd, nr, arg))
		return 0;
	vt_msg("vq%u: %s: %s", vq->index, what, strerror(errno));
	return -errno;
}

int vt_vq_setup(struct vt_vq *vq)
{
	struct vhost_vring_state num = { vq->index, vq->num };
	struct vhost_vring_state base = { vq->index, vq->avail_idx };
	struct vhost_vring_addr addr = {
		.index = vq->index,
		.desc_user_addr = (uintptr_t)vq->desc,
		.avail_user_addr = (uintptr_t)vq->avail,
		.used_user_addr = (uintptr_t)vq->used,
		.flags = vq->log ? 1 << VHOST_VRING_F_LOG : 0,
		.log_guest_addr = vq->log_gpa,
	};
	struct vhost_vring_file kick = { vq->index, vq->kick };
	struct vhost_vring_file call = { vq->index, vq->call };
	struct vhost_vring_file err = { vq->index, vq->err };
	int r;

	r = vq_ioctl(vq, VHOST_SET_VRING_NUM, &num, "SET_VRING_NUM");
	if (!r)
		r = vq_ioctl(vq, VHOST_SET_VRING_BASE, &base, "SET_VRING_BASE");
	if (!r)
		r = vq_ioctl(vq, VHOST_SET_VRING_ADDR, &addr, "SET_VRING_ADDR");
	if (!r)
		r = vq_ioctl(vq, VHOST_SET_VRING_KICK, &kick, "SET_VRING_KICK");
	if (!r)
		r = vq_ioctl(vq, VHOST_SET_VRING_CALL, &call, "SET_VRING_CALL");
	if (!r)
		r = vq_ioctl(vq, VHOST_SET_VRING_ERR, &err, "SET_VRING_ERR");
	return r;
}

int vt_vq_set_backend(struct vt_vq *vq, int backend)
{
	struct vhost_vring_file file = { vq->index, backend };

	return vq_ioctl(vq, VHOST_NET_SET_BACKEND, &file, "NET_SET_BACKEND");
}

int vt_vq_start(struct vt_vq *vq, int backend)
{
	int r = vt_vq_setup(vq);

	return r ? r : vt_vq_set_backend(vq, backend);
}

int vt_vq_stop(struct vt_vq *vq)
{
	return vt_vq_set_backend(vq, -1);
}

/* Fill entry after entry of the ring itself, following the free list. */
static unsigned int fill_direct(struct vt_vq *vq, const struct vt_sg *sg,
				unsigned int out, unsigned int total)
{
	unsigned int i, id = vq->free_head, last = id;

	for (i = 0; i < total; i++) {
		struct vring_desc d = {
			.addr = sg[i].addr,
			.len = sg[i].len,
			.flags = i < out ? 0 : VRING_DESC_F_WRITE,
			.next = vq->next[id],
		};

		if (i + 1 < total)
			d.flags |= VRING_DESC_F_NEXT;
		/* memcpy: the ring may have any alignment */
		memcpy(&vq->desc[id], &d, sizeof(d));
		last = id;
		id = vq->next[id];
	}
	vq->num_free -= total;
	return last;
}

static void fill_indirect(struct vt_vq *vq, const struct vt_sg *sg,
			  unsigned int out, unsigned int total)
{
	unsigned int i, id = vq->free_head;
	struct vring_desc *table = vq->indirect + id * vq->indirect_max;
	struct vring_desc d;

	for (i = 0; i < total; i++) {
		d.addr = sg[i].addr;
		d.len = sg[i].len;
		d.flags = i < out ? 0 : VRING_DESC_F_WRITE;
		if (i + 1 < total)
			d.flags |= VRING_DESC_F_NEXT;
		d.next = i + 1;
		memcpy(&table[i], &d, sizeof(d));
	}
	d.addr = vt_dev_gpa(vq->dev, table);
	d.len = total * sizeof(d);
	d.flags = VRING_DESC_F_INDIRECT;
	d.next = 0;
	memcpy(&vq->desc[id], &d, sizeof(d));
	vq->num_free--;
}

int vt_vq_add(struct vt_vq *vq, const struct vt_sg *sg, unsigned int out,
	      unsigned int in, void *cookie)
{
	unsigned int total = out + in, id = vq->free_head, last = id;

	if (vq->indirect && total <= vq->indirect_max) {
		if (!vq->num_free)
			return -ENOSPC;
		fill_indirect(vq, sg, out, total);
	} else {
		if (vq->num_free < total)
			return -ENOSPC;
		last = fill_direct(vq, sg, out, total);
	}
	vq->free_head = vq->next[last];
	vq->cookie[id] = cookie;
	vq->avail->ring[vq->avail_idx++ % vq->num] = id;
	return 0;
}

void vt_vq_publish(struct vt_vq *vq)
{
	/* the release orders descriptors and ring entries before the index */
	store16(&vq->avail->idx, vq->avail_idx);
}

bool vt_vq_needs_kick(struct vt_vq *vq)
{
	uint16_t old = vq->kicked_idx;

	/* our index must be visible before we look at what the device wants */
	full_mb();
	vq->kicked_idx = vq->avail_idx;
	if (has(vq, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(load16(avail_event(vq)), vq->avail_idx,
					old);
	return !(load16(&vq->used->flags) & VRING_USED_F_NO_NOTIFY);
}

void vt_vq_notify(struct vt_vq *vq)
{
	uint64_t one = 1;

	vq->kicks++;
	if (write(vq->kick, &one, sizeof(one)) != sizeof(one))
		vt_msg("vq%u: kick: %s", vq->index, strerror(errno));
}

void vt_vq_kick(struct vt_vq *vq)
{
	vt_vq_publish(vq);
	if (vt_vq_needs_kick(vq))
		vt_vq_notify(vq);
	else
		vq->kicks_suppressed++;
}

bool vt_vq_more_used(const struct vt_vq *vq)
{
	return load16(&vq->used->idx) != vq->last_used;
}

static void free_chain(struct vt_vq *vq, unsigned int head)
{
	unsigned int id = head, n = 1;
	struct vring_desc d;

	for (;;) {
		memcpy(&d, &vq->desc[id], sizeof(d));
		if (!(d.flags & VRING_DESC_F_NEXT))
			break;
		id = vq->next[id];
		n++;
	}
	vq->next[id] = vq->free_head;
	vq->free_head = head;
	vq->num_free += n;
}

void *vt_vq_get(struct vt_vq *vq, uint32_t *len)
{
	struct vring_used_elem elem;
	void *cookie;

	if (!vt_vq_more_used(vq))
		return NULL;
	memcpy(&elem, &vq->used->ring[vq->last_used % vq->num], sizeof(elem));
	if (elem.id >= vq->num || !vq->cookie[elem.id]) {
		vt_msg("vq%u: used entry %u has id %u, which is not in flight",
		       vq->index, vq->last_used, elem.id);
		abort();
	}
	cookie = vq->cookie[elem.id];
	vq->cookie[elem.id] = NULL;
	free_chain(vq, elem.id);
	vq->last_used++;
	if (len)
		*len = elem.len;
	return cookie;
}

bool vt_vq_enable_call(struct vt_vq *vq)
{
	if (has(vq, VIRTIO_RING_F_EVENT_IDX))
		store16(used_event(vq), vq->last_used);
	else
		store16(&vq->avail->flags, 0);
	/* the device must see the request before we look for the last time */
	full_mb();
	return !vt_vq_more_used(vq);
}

void vt_vq_disable_call(struct vt_vq *vq)
{
	/* with event indices the old one has been passed: nothing to do */
	if (!has(vq, VIRTIO_RING_F_EVENT_IDX))
		store16(&vq->avail->flags, VRING_AVAIL_F_NO_INTERRUPT);
}

int vt_vq_wait(struct vt_vq *vq, int timeout_ms)
{
	int r = 0;

	vt_event_read(vq->call);
	if (vt_vq_enable_call(vq))
		r = vt_event_wait(vq->call, timeout_ms);
	/* it may have been used this very moment: let the call come */
	if (r == -ETIMEDOUT && vt_vq_more_used(vq) &&
	    !vt_event_wait(vq->call, vt_timeout_ms(1000)))
		r = 0;
	if (r == -ETIMEDOUT && vt_vq_more_used(vq)) {
		vt_msg("vq%u: a buffer was used, but the call did not come",
		       vq->index);
		r = -EPROTO;
	}
	vt_vq_disable_call(vq);
	return r;
}
