// SPDX-License-Identifier: GPL-2.0
/* One device, two rings, one tap: what most tests start from. */
#include "vhost_test.h"

#include <string.h>

#define PAGE		4096UL
#define GPA_BASE	0x100000000ULL
#define INDIRECT_MAX	4

static size_t page_up(size_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

static size_t ring_len(const struct vt_rig_cfg *c)
{
	return page_up(vt_desc_size(c->num) + c->desc_skew) +
	       page_up(vt_avail_size(c->num) + c->avail_skew) +
	       page_up(vt_used_size(c->num) + c->used_skew);
}

static int init_ring(struct vt_rig *rig, unsigned int i, char *p)
{
	const struct vt_rig_cfg *c = &rig->cfg;
	char *avail = p + page_up(vt_desc_size(c->num) + c->desc_skew);
	char *used = avail + page_up(vt_avail_size(c->num) + c->avail_skew);
	int r = vt_vq_init(&rig->vq[i], &rig->dev, i, c->num,
			   p + c->desc_skew, avail + c->avail_skew,
			   used + c->used_skew);

	if (!r)
		vt_vq_reset(&rig->vq[i], c->base);
	return r;
}

/* Give each ring half of what is left of guest memory after @used bytes. */
static void split_buffers(struct vt_rig *rig, size_t used)
{
	bool indirect = rig->dev.features & VT_F(VIRTIO_RING_F_INDIRECT_DESC);
	size_t half = (rig->mem.len - used) / 2 & ~(PAGE - 1);
	size_t table = page_up(vt_desc_size(rig->cfg.num) * INDIRECT_MAX);
	unsigned int i;

	rig->buf_len = half;
	for (i = 0; i < 2; i++) {
		rig->buf[i] = (char *)rig->mem.base + used + i * half;
		if (!indirect)
			continue;
		vt_vq_set_indirect(&rig->vq[i], rig->buf[i], INDIRECT_MAX);
		rig->buf[i] = (char *)rig->buf[i] + table;
	}
	if (indirect)
		rig->buf_len -= table;
}

int vt_rig_open(struct vt_rig *rig, const struct vt_rig_cfg *cfg)
{
	struct vt_rig_cfg *c = &rig->cfg;
	size_t rings, used = 0;
	uint64_t gpa;
	unsigned int i;
	char *p;
	int r;

	memset(rig, 0, sizeof(*rig));
	rig->tap.fd = rig->tap.sock = rig->dev.fd = -1;
	if (cfg)
		*c = *cfg;
	if (!c->exact_features)
		c->features |= VT_F(VIRTIO_F_VERSION_1) |
			       VT_F(VIRTIO_NET_F_MRG_RXBUF);
	if (!c->num)
		c->num = 256;
	if (!c->mem_len)
		c->mem_len = 16 << 20;

	r = vt_netns_enter();
	if (!r)
		r = vt_dev_open(&rig->dev, c->features);
	if (!r)
		r = vt_tap_open(&rig->tap,
				c->features & VT_F(VHOST_NET_F_VIRTIO_NET_HDR) ?
				0 : rig->dev.hdr_len);
	if (!r && !c->mem_at)
		r = vt_mem_alloc(&rig->mem, c->backing, c->mem_len, 0, 0);
	if (r)
		goto err;
	if (c->mem_at)
		rig->mem = (struct vt_mem){
			.base = c->mem_at, .len = c->mem_len, .fd = -1,
		};

	/* same offset in a huge page, so that huge mappings are possible */
	gpa = GPA_BASE + ((uintptr_t)rig->mem.base & (VT_HUGE_SIZE - 1)) +
	      c->gpa_skew;
	vt_dev_add_region(&rig->dev, gpa, rig->mem.base, rig->mem.len);
	r = vt_dev_set_mem_table(&rig->dev);
	if (r)
		goto err;

	rings = ring_len(c);
	if (c->rings_in_mem) {
		p = rig->mem.base;
		used = 2 * rings;
	} else {
		r = vt_mem_alloc(&rig->ring_mem, c->ring_backing, 2 * rings, 0,
				 0);
		if (r)
			goto err;
		p = rig->ring_mem.base;
	}
	for (i = 0; i < 2 && !r; i++)
		r = init_ring(rig, i, p + i * rings);
	if (r)
		goto err;
	split_buffers(rig, used);
	for (i = 0; i < 2 && !r && !c->no_start; i++)
		r = vt_vq_start(&rig->vq[i], rig->tap.fd);
	if (!r)
		return 0;
err:
	vt_rig_close(rig);
	return r;
}

void vt_rig_close(struct vt_rig *rig)
{
	unsigned int i;

	vt_dev_close(&rig->dev);
	for (i = 0; i < 2; i++)
		if (rig->vq[i].dev)
			vt_vq_free(&rig->vq[i]);
	vt_tap_close(&rig->tap);
	vt_mem_free(&rig->ring_mem);
	vt_mem_free(&rig->mem);
}
