// SPDX-License-Identifier: GPL-2.0
/* A rig whose packet memory can be changed under traffic. */
#include "payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Packets that show that traffic flows. */
#define FLOW		100
/* Packets that must go by kernel address alone. */
#define HOT		64
/* Of small pages; half of it is room for a ring full of default packets. */
#define LEN		(1UL << 20)

static bool is_huge(enum vt_area_backing backing)
{
	return backing == VT_AREA_THP || backing == VT_AREA_HUGETLB ||
	       backing == VT_AREA_HUGEFD;
}

/* ------------------------------------------------------------- counters */

bool vt_payload_direct(const struct vt_rig *rig)
{
	char word[16];

	return !vt_stats_read_str(&rig->dev, VT_VQ_TX, "payload", word,
				  sizeof(word)) && !strcmp(word, "kernel");
}

uint64_t vt_payload_count(const struct vt_rig *rig, unsigned int vq,
			  const char *name)
{
	uint64_t n = 0;

	if (vt_dev_is_ours() && vt_stats_read(&rig->dev, vq, name, &n)) {
		vt_msg("payload: no counter %s", name);
		abort();
	}
	return n;
}

uint64_t vt_payload_sum(const struct vt_payload *p, const char *name)
{
	return vt_payload_count(&p->inval.rig, 0, name) +
	       vt_payload_count(&p->inval.rig, 1, name);
}

/* ---------------------------------------------------------------- set up */

/* Where the driver finds what the device has at @p. */
static void *driver_side(struct vt_payload *p, void *at)
{
	return p->copies + p->copy * p->a.len + ((char *)at - p->a.base);
}

void vt_payload_drive(struct vt_payload *p, unsigned int copy)
{
	struct vt_rig *rig = &p->inval.rig;
	ptrdiff_t by =
		((ptrdiff_t)copy - (ptrdiff_t)p->copy) * (ptrdiff_t)p->a.len;
	unsigned int i;

	p->copy = copy;
	/* from here guest addresses are made of the driver's addresses */
	rig->dev.regions[0].userspace_addr += by;
	for (i = 0; i < 2; i++) {
		struct vt_vq *vq = &rig->vq[i];

		rig->buf[i] = (char *)rig->buf[i] + by;
		if (vq->indirect)
			vq->indirect = (void *)((char *)vq->indirect + by);
		if (p->inval.running[i])
			p->inval.t[i].slots = rig->buf[i];
	}
}

int vt_payload_map(struct vt_payload *p, unsigned int copy)
{
	return mmap(p->a.base, p->a.len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, p->a.fd, copy * p->a.len) ==
	       MAP_FAILED ? -errno : 0;
}

static int make_alias(struct vt_payload *p)
{
	struct vt_rig *rig = &p->inval.rig;
	unsigned int i;

	if (ftruncate(p->a.fd, 2 * p->a.len))
		return -errno;
	p->copies = mmap(NULL, 2 * p->a.len, PROT_READ | PROT_WRITE, MAP_SHARED,
			 p->a.fd, 0);
	if (p->copies == MAP_FAILED)
		return -errno;
	rig->dev.regions[0].userspace_addr =
		(uintptr_t)driver_side(p, p->a.base);
	for (i = 0; i < 2; i++) {
		struct vt_vq *vq = &rig->vq[i];

		rig->buf[i] = driver_side(p, rig->buf[i]);
		if (vq->indirect)
			vq->indirect = driver_side(p, vq->indirect);
	}
	return 0;
}

const char *vt_payload_open(struct vt_payload *p,
			    const struct vt_payload_cfg *cfg, int *err)
{
	/* rings that neither a fork nor anything else here has an effect on */
	struct vt_inval_cfg c = { .features = cfg->features,
				  .backing = VT_MEMFD };
	const char *why;

	memset(p, 0, sizeof(*p));
	p->cfg = *cfg;
	p->inval.rig.dev.fd = p->inval.rig.tap.fd = p->inval.rig.tap.sock =
		p->inval.fd = -1;
	*err = 0;
	why = vt_area_alloc(&p->a, cfg->backing,
			    is_huge(cfg->backing) ? VT_HUGE_SIZE : LEN);
	if (why)
		return why;
	c.mem_at = p->a.base;
	c.mem_len = p->a.len;
	*err = vt_inval_open(&p->inval, &c);
	if (!*err && cfg->alias)
		*err = make_alias(p);
	p->counters = vt_dev_is_ours();
	if (!*err && p->counters && !vt_payload_direct(&p->inval.rig)) {
		vt_msg("payload: the rings do not carry payload by kernel address");
		*err = -EINVAL;
	}
	return NULL;
}

void vt_payload_close(struct vt_payload *p)
{
	vt_inval_close(&p->inval);
	if (p->copies)
		munmap(p->copies, 2 * p->a.len);
	vt_area_close(&p->a);
}

/* --------------------------------------------------------------- traffic */

int vt_payload_start(struct vt_payload *p)
{
	struct vt_inval *inval = &p->inval;
	unsigned int i;
	int r;

	for (i = 0; i < 2; i++) {
		struct vt_traffic_cfg c = vt_traffic_cfg_rig(&inval->rig, i);

		c.len_min = p->cfg.len_min;
		c.len_max = p->cfg.len_max;
		c.rx_buf = p->cfg.rx_buf;
		c.window = p->cfg.window;
		r = vt_traffic_start(&inval->t[i], &c);
		if (r)
			return r;
		inval->running[i] = true;
	}
	return vt_inval_flow(inval, FLOW);
}

int vt_payload_stop(struct vt_payload *p)
{
	return vt_inval_stop(&p->inval);
}

static int hot_one(struct vt_payload *p, unsigned int vq)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	struct vt_rig *rig = &p->inval.rig;
	uint64_t kernel, user;
	int r;

	do {
		kernel = vt_payload_count(rig, vq, "payload_kernel");
		user = vt_payload_count(rig, vq, "payload_user");
		r = vt_traffic_wait(&p->inval.t[vq], HOT, VT_TIMEOUT);
		if (r || !p->counters)
			return r;
		if (vt_payload_count(rig, vq, "payload_user") == user &&
		    vt_payload_count(rig, vq, "payload_kernel") > kernel)
			return 0;
	} while (vt_patient_ns() < end);
	vt_msg("payload: vq%u: packets do not go by kernel address again", vq);
	return -ETIME;
}

int vt_payload_hot(struct vt_payload *p)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		if (p->inval.running[i])
			r = hot_one(p, i);
	return r;
}

/* Was the device told since? Not always: others may have come first. */
static bool was_hit(struct vt_payload *p, const uint64_t *before,
		    unsigned int flags)
{
	unsigned int i, n = 0;

	for (i = 0; i < 2; i++)
		n += vt_payload_count(&p->inval.rig, i, "tlb_flushes") >
		     before[i];
	return n == 2 || (n && flags & VT_INVAL_ONE_RING);
}

int vt_payload_change(struct vt_payload *p, vt_payload_op op,
		      unsigned int rounds, unsigned int flags)
{
	unsigned int i, n, hits = 0;
	uint64_t before[2];
	int r;

	r = vt_inval_flow(&p->inval, FLOW);
	if (!r)
		r = vt_payload_hot(p);
	for (n = 0; n < rounds && !r; n++) {
		if (flags & VT_INVAL_QUIESCE)
			r = vt_inval_quiesce(&p->inval);
		if (r)
			return r;
		for (i = 0; i < 2; i++)
			before[i] = vt_payload_count(&p->inval.rig, i,
						     "tlb_flushes");
		r = op(p);
		if (r) {
			vt_msg("payload: operation, round %u: %s", n,
			       strerror(-r));
			return r;
		}
		if (flags & VT_INVAL_QUIESCE)
			vt_inval_resume(&p->inval);
		r = vt_inval_flow(&p->inval, FLOW);
		if (!r)
			r = vt_payload_hot(p);
		hits += was_hit(p, before, flags);
	}
	if (!r && p->counters &&
	    hits <= (flags & VT_INVAL_MAY_MISS ? 0 : rounds / 2)) {
		vt_msg("payload: only %u of %u rounds reached the device", hits,
		       rounds);
		r = -ENOMSG;
	}
	return r;
}

/* ------------------------------------------------------------ one packet */

struct vt_sg vt_payload_sg(const struct vt_rig *rig, const void *p,
			   uint32_t len)
{
	return (struct vt_sg){ vt_dev_gpa(&rig->dev, p), len };
}

/* Wait until @n buffers are used; the sum of their lengths. */
static int wait_used(struct vt_vq *vq, unsigned int n)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	uint32_t len, sum = 0;

	while (n) {
		if (vt_vq_get(vq, &len)) {
			sum += len;
			n--;
			continue;
		}
		if (vt_event_read(vq->err))
			return -EPROTO;
		if (vt_patient_ns() > end)
			return -ETIMEDOUT;
		if (vt_vq_enable_call(vq))
			vt_event_wait(vq->call, 5);
		vt_vq_disable_call(vq);
	}
	return sum;
}

int vt_payload_tx(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n,
		  struct virtio_net_hdr *hdr, void *frame)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	struct virtio_net_hdr none;
	int r = vt_vq_add(vq, sg, n, 0, vq);

	if (r)
		return r;
	vt_vq_kick(vq);
	r = wait_used(vq, 1);
	if (r < 0)
		return r;
	return vt_packet_recv(rig->tap.sock, rig->tap.vnet_hdr ?
			      (hdr ? hdr : &none) : NULL, frame, VT_MAX_FRAME,
			      vt_timeout_ms(2000));
}

int vt_payload_rx(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n,
		  unsigned int per, const struct virtio_net_hdr *hdr,
		  const void *frame, size_t len)
{
	static const struct virtio_net_hdr none;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	unsigned int i, chains = 0;
	int r;

	for (i = 0; i < n; i += per, chains++) {
		r = vt_vq_add(vq, sg + i, 0, n - i < per ? n - i : per, vq);
		if (r)
			return r;
	}
	vt_vq_kick(vq);
	r = vt_packet_send(rig->tap.sock,
			   rig->tap.vnet_hdr ? (hdr ? hdr : &none) : NULL,
			   frame, len);
	return r ? r : wait_used(vq, chains);
}
