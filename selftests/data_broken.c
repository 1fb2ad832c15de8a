// SPDX-License-Identifier: GPL-2.0
/* Broken rings: an error event, nothing else, and a restart cures it. */
/*
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <signal.h>
#include <sys/mman.h>
#include "vhost_test.h"

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define PAGE	4096

/* Time in which something wrong would show. */
#define QUIET	vt_timeout_ms(30)

FIXTURE(broken)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(broken)
{
	unsigned int vq;
	uint64_t features;
	enum vt_backing rings;
};

FIXTURE_VARIANT_ADD(broken, tx) { .vq = VT_VQ_TX };
FIXTURE_VARIANT_ADD(broken, rx) { .vq = VT_VQ_RX };
FIXTURE_VARIANT_ADD(broken, tx_event) { VT_VQ_TX, EVENT, VT_SCATTER };
FIXTURE_VARIANT_ADD(broken, rx_event) { VT_VQ_RX, EVENT, VT_SCATTER };

FIXTURE_SETUP(broken)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.ring_backing = variant->rings,
	};

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(broken)
{
	vt_rig_close(&self->rig);
}

/* What a case works on: a ring that is empty, and guest memory. */
struct patient {
	struct vt_vq *vq;
	struct vt_dev *dev;
	/* the flag for a buffer of the right direction, and the wrong one */
	uint16_t dir;
	uint16_t wrong;
	uint64_t gpa;
	char *hva;
	bool tx;
};

static void set_desc(struct vring_desc *d, uint64_t addr, uint32_t len,
		     uint16_t flags, uint16_t next)
{
	struct vring_desc x = { addr, len, flags, next };

	memcpy(d, &x, sizeof(x));
}

/* A good descriptor at @i. */
static void good(struct patient *p, unsigned int i)
{
	set_desc(&p->vq->desc[i], p->gpa + 2048 * i, 1024, p->dir, 0);
}

static void offer(struct patient *p, unsigned int head)
{
	p->vq->avail->ring[p->vq->avail_idx++ % p->vq->num] = head;
	vt_vq_publish(p->vq);
}

/* An indirect table of @n good entries in guest memory, offered by head 0. */
static struct vring_desc *indirect(struct patient *p, unsigned int n,
				   uint32_t len)
{
	struct vring_desc *table = (void *)(p->hva + (1 << 20));
	unsigned int i;

	for (i = 0; i < n; i++)
		set_desc(&table[i], p->gpa + 2048 * i, 200,
			 p->dir | (i + 1 < n ? VRING_DESC_F_NEXT : 0), i + 1);
	set_desc(&p->vq->desc[0], p->gpa + (1 << 20), len,
		 VRING_DESC_F_INDIRECT, 0);
	return table;
}

static void bad_head(struct patient *p)
{
	good(p, 0);
	offer(p, p->vq->num);
}

static void bad_head_max(struct patient *p)
{
	offer(p, 0xffff);
}

static void avail_jump(struct patient *p)
{
	good(p, 0);
	p->vq->avail->ring[0] = 0;
	p->vq->avail_idx += p->vq->num + 1;
	vt_vq_publish(p->vq);
}

static void avail_back(struct patient *p)
{
	p->vq->avail_idx--;
	vt_vq_publish(p->vq);
}

static void loop_self(struct patient *p)
{
	good(p, 0);
	p->vq->desc[0].flags |= VRING_DESC_F_NEXT;
	offer(p, 0);
}

static void loop_long(struct patient *p)
{
	unsigned int i;

	for (i = 0; i < p->vq->num; i++)
		set_desc(&p->vq->desc[i], p->gpa, 1, p->dir | VRING_DESC_F_NEXT,
			 (i + 1) % p->vq->num);
	offer(p, 3);
}

static void next_out(struct patient *p)
{
	good(p, 0);
	p->vq->desc[0].flags |= VRING_DESC_F_NEXT;
	p->vq->desc[0].next = p->vq->num;
	offer(p, 0);
}

static void next_max(struct patient *p)
{
	next_out(p);
	p->vq->desc[0].next = 0xffff;
}

static void addr_outside(struct patient *p)
{
	set_desc(&p->vq->desc[0], 0x1000, 1024, p->dir, 0);
	offer(p, 0);
}

static void addr_end(struct patient *p)
{
	struct vhost_memory_region *reg = &p->dev->regions[0];

	set_desc(&p->vq->desc[0], reg->guest_phys_addr + reg->memory_size - 512,
		 1024, p->dir, 0);
	offer(p, 0);
}

static void addr_before(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->dev->regions[0].guest_phys_addr - 1, 1024,
		 p->dir, 0);
	offer(p, 0);
}

static void addr_wrap(struct patient *p)
{
	set_desc(&p->vq->desc[0], -512ULL, 1024, p->dir, 0);
	offer(p, 0);
}

static void addr_second(struct patient *p)
{
	good(p, 0);
	p->vq->desc[0].flags |= VRING_DESC_F_NEXT;
	p->vq->desc[0].next = 1;
	set_desc(&p->vq->desc[1], 0, 1024, p->dir, 0);
	offer(p, 0);
}

static void len_max(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 0xffffffff, p->dir, 0);
	offer(p, 0);
}

static void wrong_way(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 1024, p->wrong, 0);
	offer(p, 0);
}

static void both_ways(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 1024, VRING_DESC_F_NEXT, 1);
	set_desc(&p->vq->desc[1], p->gpa + 2048, 1024, VRING_DESC_F_WRITE, 0);
	offer(p, 0);
}

static void out_after_in(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 1024,
		 VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 1);
	set_desc(&p->vq->desc[1], p->gpa + 2048, 1024, 0, 0);
	offer(p, 0);
}

static void empty(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 0, p->dir, 0);
	offer(p, 0);
}

/*
 * No error. Stock tries it again and again for as long as it is there; to drop
 * it is as good.
 */
static void tiny(struct patient *p)
{
	set_desc(&p->vq->desc[0], p->gpa, 5, p->dir, 0);
	offer(p, 0);
}

static void indirect_odd_len(struct patient *p)
{
	indirect(p, 2, 33);
	offer(p, 0);
}

static void indirect_no_len(struct patient *p)
{
	indirect(p, 2, 0);
	offer(p, 0);
}

static void indirect_cut(struct patient *p)
{
	/* the first entry says there is a second, the length says not */
	indirect(p, 2, 16);
	offer(p, 0);
}

static void indirect_nested(struct patient *p)
{
	struct vring_desc *table = indirect(p, 2, 32);

	table[1].flags = VRING_DESC_F_INDIRECT;
	offer(p, 0);
}

static void indirect_outside(struct patient *p)
{
	indirect(p, 2, 32);
	p->vq->desc[0].addr = 0x2000;
	offer(p, 0);
}

static void indirect_too_long(struct patient *p)
{
	indirect(p, 2, 16 * 0x10001);
	offer(p, 0);
}

static void indirect_bad_entry(struct patient *p)
{
	struct vring_desc *table = indirect(p, 3, 48);

	table[2].addr = 0x3000;
	offer(p, 0);
}

static void indirect_wrong_way(struct patient *p)
{
	struct vring_desc *table = indirect(p, 2, 32);

	table[0].flags = p->wrong | VRING_DESC_F_NEXT;
	table[1].flags = p->wrong;
	offer(p, 0);
}

static void indirect_out_after_in(struct patient *p)
{
	struct vring_desc *table = indirect(p, 2, 32);

	table[0].flags = VRING_DESC_F_WRITE | VRING_DESC_F_NEXT;
	table[1].flags = 0;
	offer(p, 0);
}

/* More pieces than the device can take in one buffer. */
static void too_many(struct patient *p)
{
	struct vring_desc *table = (void *)(p->hva + (1 << 20));
	unsigned int i;

	for (i = 0; i < 2000; i++)
		set_desc(&table[i], p->gpa + i, 1, p->dir | VRING_DESC_F_NEXT,
			 i + 1);
	table[1999].flags = p->dir;
	set_desc(&p->vq->desc[0], p->gpa + (1 << 20), 2000 * 16,
		 VRING_DESC_F_INDIRECT, 0);
	offer(p, 0);
}

/* The first buffer is good and is used; the second is not. */
static void second_bad(struct patient *p)
{
	good(p, 0);
	p->vq->avail->ring[p->vq->avail_idx++ % p->vq->num] = 0;
	offer(p, p->vq->num + 5);
}

#define TX	1
#define RX	2
#define BOTH	(TX | RX)

#define USED_ANY	(~0u)

static const struct ill {
	const char *name;
	void (*fall)(struct patient *p);
	/* directions in which stock signals an error; it survives the others */
	unsigned int error;
	/* buffers used before the error shows, or USED_ANY */
	unsigned int used;
} ills[] = {
	{ "head is the ring size", bad_head, BOTH, 0 },
	{ "head is 65535", bad_head_max, BOTH, 0 },
	{ "avail index too far ahead", avail_jump, BOTH, 0 },
	{ "avail index goes back", avail_back, BOTH, 0 },
	{ "descriptor points to itself", loop_self, BOTH, 0 },
	{ "loop of all descriptors", loop_long, BOTH, 0 },
	{ "next is the ring size", next_out, BOTH, 0 },
	{ "next is 65535", next_max, BOTH, 0 },
	{ "address in no region", addr_outside, BOTH, 0 },
	{ "buffer ends behind the region", addr_end, BOTH, 0 },
	{ "buffer starts before the region", addr_before, BOTH, 0 },
	{ "buffer wraps around", addr_wrap, BOTH, 0 },
	{ "second piece in no region", addr_second, BOTH, 0 },
	{ "length 4G", len_max, BOTH, 0 },
	{ "wrong direction", wrong_way, BOTH, 0 },
	{ "both directions", both_ways, BOTH, 0 },
	{ "readable after writable", out_after_in, BOTH, 0 },
	{ "empty buffer", empty, BOTH, 0 },
	{ "shorter than the header", tiny, 0, USED_ANY },
	{ "indirect length no multiple of 16", indirect_odd_len, BOTH, 0 },
	{ "indirect length 0", indirect_no_len, BOTH, 0 },
	{ "indirect table cut short", indirect_cut, BOTH, 0 },
	{ "indirect in indirect", indirect_nested, BOTH, 0 },
	{ "indirect table in no region", indirect_outside, BOTH, 0 },
	{ "indirect table too long", indirect_too_long, BOTH, 0 },
	{ "indirect piece in no region", indirect_bad_entry, BOTH, 0 },
	{ "indirect, wrong direction", indirect_wrong_way, BOTH, 0 },
	{ "indirect, readable after writable", indirect_out_after_in, BOTH, 0 },
	{ "too many pieces", too_many, BOTH, 0 },
	{ "good buffer, then a bad one", second_bad, BOTH, 1 },
};

static struct patient admit(struct vt_rig *rig, unsigned int vq)
{
	struct patient p = {
		.vq = &rig->vq[vq],
		.dev = &rig->dev,
		.tx = vq == VT_VQ_TX,
		.hva = rig->buf[vq],
		.gpa = vt_dev_gpa(&rig->dev, rig->buf[vq]),
		.dir = vq == VT_VQ_TX ? 0 : VRING_DESC_F_WRITE,
		.wrong = vq == VT_VQ_TX ? VRING_DESC_F_WRITE : 0,
	};
	unsigned int i;

	/*
	 * This waits for the worker, which has a look at a ring when it is
	 * started: it must not find what comes now before it is complete.
	 */
	vt_dev_set_mem_table(&rig->dev);
	/* good frames, should it be looked at */
	memset(p.hva, 0, 1 << 20);
	for (i = 0; i < 4; i++)
		vt_frame_fill(p.hva + 2048 * i + rig->dev.hdr_len, 1000, 99, i);
	return p;
}

/* Receiving looks at the ring only when there is a packet. */
static int send_some(struct vt_rig *rig, unsigned int n)
{
	struct virtio_net_hdr hdr = {};
	char frame[100];
	int r = 0;

	while (n-- && !r) {
		vt_frame_fill(frame, sizeof(frame), 98, 0);
		r = vt_packet_send(rig->tap.sock, &hdr, frame, sizeof(frame));
	}
	return r;
}

/* Let go of what is queued on the tap, or it would come first afterwards. */
static int drain_tap(struct vt_rig *rig)
{
	char buf[2048];

	while (read(rig->tap.fd, buf, sizeof(buf)) > 0)
		;
	/* the host's socket may have got the good frames */
	while (vt_packet_recv(rig->tap.sock, &(struct virtio_net_hdr){}, buf,
			      sizeof(buf), 0) > 0)
		;
	return 0;
}

static uint16_t used_count(struct vt_vq *vq)
{
	return *(volatile uint16_t *)&vq->used->idx - vq->last_used;
}

TEST_F_TIMEOUT(broken, ring, 900)
{
	struct vt_rig *rig = &self->rig;
	unsigned int dir = variant->vq == VT_VQ_TX ? TX : RX, i;
	struct vt_traffic_cfg few = { .window = 16 };

	for (i = 0; i < ARRAY_SIZE(ills); i++) {
		struct patient p = admit(rig, variant->vq);
		int r;

		ills[i].fall(&p);
		if (!p.tx)
			ASSERT_EQ(0, send_some(rig, 2));
		vt_vq_notify(p.vq);
		if (ills[i].error & dir) {
			r = vt_event_wait(p.vq->err, VT_TIMEOUT);
		} else {
			usleep(1000 * QUIET);
			r = vt_event_read(p.vq->err) ? -EPROTO : 0;
		}
		EXPECT_EQ(0, r) {
			TH_LOG("%s: %s", ills[i].name, r == -EPROTO ?
			       "an error event" : "no error event");
		}
		if (ills[i].used != USED_ANY) {
			/* the call tells when the good one before it is used */
			if (ills[i].used)
				vt_event_wait(p.vq->call, VT_TIMEOUT);
			EXPECT_EQ(ills[i].used, used_count(p.vq)) {
				TH_LOG("%s", ills[i].name);
			}
		}
		/* a second kick changes nothing, and the other ring lives */
		vt_vq_notify(p.vq);
		ASSERT_EQ(0, vt_vq_stop(p.vq));
		drain_tap(rig);
		r = vt_rig_flow(rig, 40, &few);
		ASSERT_EQ(0, r) {
			TH_LOG("after \"%s\" was stopped and started",
			       ills[i].name);
		}
	}
}

/* One ring is broken, and the other does not notice. */
TEST_F_TIMEOUT(broken, other_ring, 600)
{
	unsigned int other = !variant->vq;
	struct vt_rig *rig = &self->rig;
	struct patient p;
	struct vt_traffic t;
	unsigned int i;

	ASSERT_EQ(0, vt_traffic_start_rig(&t, rig, other));
	for (i = 0; i < 20; i++) {
		p = admit(rig, variant->vq);
		ills[i % ARRAY_SIZE(ills)].fall(&p);
		vt_vq_notify(p.vq);
		ASSERT_EQ(0, vt_traffic_wait(&t, 50, VT_TIMEOUT));
		ASSERT_EQ(0, vt_rig_restart(rig, variant->vq, 0));
	}
	EXPECT_EQ(0, vt_traffic_stop(&t));
	EXPECT_EQ(0, vt_event_read(rig->vq[other].err));
}

/* A ring part that is taken away while the ring runs, and comes back. */
TEST_F_TIMEOUT(broken, unmapped, 600)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[variant->vq];
	void *parts[] = { vq->desc, vq->avail, vq->used };
	size_t lens[] = {
		vt_desc_size(vq->num), vt_avail_size(vq->num),
		vt_used_size(vq->num),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t len = (lens[i] + PAGE - 1) & ~(PAGE - 1UL);
		struct patient p;

		/* let the device find everything in place first */
		ASSERT_EQ(0, vt_rig_flow(rig, 20, NULL));
		p = admit(rig, variant->vq);
		good(&p, 0);
		offer(&p, 0);
		ASSERT_EQ(0, mprotect(parts[i], len, PROT_NONE));
		if (!p.tx)
			ASSERT_EQ(0, send_some(rig, 1));
		vt_vq_notify(vq);
		EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT)) {
			TH_LOG("part %u", i);
		}
		ASSERT_EQ(0, mprotect(parts[i], len, PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, vt_vq_stop(vq));
		drain_tap(rig);
		ASSERT_EQ(0, vt_rig_flow(rig, 100, NULL)) {
			TH_LOG("part %u", i);
		}
	}
}

/* Buffers that cannot be accessed although the memory table has them. */
TEST_F_TIMEOUT(broken, buffer_unmapped, 600)
{
	struct vt_rig *rig = &self->rig;
	struct vt_traffic_cfg few = { .window = 16 };
	unsigned int i;

	for (i = 0; i < 3; i++) {
		struct patient p = admit(rig, variant->vq);

		good(&p, 0);
		good(&p, 1);
		good(&p, 2);
		ASSERT_EQ(0,
			  mprotect(p.hva, 1 << 20, i ? PROT_NONE : PROT_READ));
		offer(&p, 0);
		offer(&p, 1);
		offer(&p, 2);
		if (!p.tx)
			ASSERT_EQ(0, send_some(rig, 5));
		vt_vq_notify(p.vq);
		usleep(1000 * QUIET);
		ASSERT_EQ(0, vt_vq_stop(p.vq));
		ASSERT_EQ(0, mprotect(p.hva, 1 << 20, PROT_READ | PROT_WRITE));
		drain_tap(rig);
		ASSERT_EQ(0, vt_rig_flow(rig, 40, &few));
	}
}

/*
 * A guest that writes nonsense into its rings all the time: whatever the
 * device makes of it, it must stay in order and work afterwards.
 */
TEST_F_TIMEOUT(broken, noise, 600)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[variant->vq];
	struct patient p = admit(rig, variant->vq);
	uint64_t end = vt_now_ns() + 700000000ULL;
	unsigned int seed = 4711, rounds = 0;

	TH_LOG("seed %u", seed);
	srand(seed);
	while (vt_now_ns() < end || rounds < 200) {
		unsigned int i;

		for (i = 0; i < 8; i++) {
			unsigned int d = rand() % 8;

			set_desc(&vq->desc[d],
				 rand() % 4 ? p.gpa + rand() % 100000 :
					      (uint64_t)rand() << 13,
				 rand() % 5 ? rand() % 2000u : rand() * 2u,
				 rand() % 3 ? p.dir | (rand() & 1) : rand() & 7,
				 rand() % 20 ? rand() % 8 : rand());
			vq->avail->ring[vq->avail_idx++ % vq->num] =
				rand() % 10 ? rand() % 8 : rand();
		}
		if (rand() % 10 == 0)
			vq->avail_idx += rand();
		vt_vq_publish(vq);
		if (!p.tx)
			send_some(rig, 2);
		vt_vq_notify(vq);
		if (++rounds % 4 == 0) {
			ASSERT_EQ(0, vt_rig_restart(rig, variant->vq, rand()));
		}
	}
	ASSERT_EQ(0, vt_vq_stop(vq));
	drain_tap(rig);
	EXPECT_EQ(0, vt_rig_flow(rig, 300, NULL));
}

TEST_HARNESS_MAIN
