// SPDX-License-Identifier: GPL-2.0
/*
 * Reconfigure a device while its rings carry traffic.
 * Timeout: 180 s
 *
 * Everything here is legal at any moment. Once with nothing else going on, and
 * once in a storm of invalidations, of the rings and of other memory; after it
 * the fast path must be used, or some start and end did not balance.
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "full.h"
#include "inval.h"

FIXTURE(live)
{
	struct vt_inval inval;
	/* the rings once more, for the device */
	char *second;
	/* guest memory once more */
	char *mem2;
};

FIXTURE_VARIANT(live)
{
	bool storm;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(live, calm)
{
	.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
};

FIXTURE_VARIANT_ADD(live, calm_flags)
{
};

FIXTURE_VARIANT_ADD(live, storm)
{
	.storm = true,
	.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
};

FIXTURE_VARIANT_ADD(live, storm_flags)
{
	.storm = true,
};

/* What notifications go by matters least where nothing else happens. */
VT_FULL_ONLY(live, calm_flags)

/* ------------------------------------------------------------- the storm */

static pthread_t storm_thread[2];
static _Atomic bool storm_ends;
static unsigned long storm_rounds;
/* What it may do anything to that preserves the content. */
static struct {
	char *at;
	size_t len;
	int fd;
} target[4];
static unsigned int targets;

static void add_target(char *at, size_t len, int fd)
{
	target[targets].at = at;
	target[targets].len = len;
	target[targets++].fd = fd;
}

static void *storm_on_rings(void *arg)
{
	unsigned int seed = 1, i;

	(void)arg;
	while (!storm_ends) {
		for (i = 0; i < targets; i++) {
			char *at = target[i].at;
			size_t len = target[i].len;
			char *page =
				at + rand_r(&seed) % (len / VT_PAGE) * VT_PAGE;

			switch (rand_r(&seed) % 4) {
			case 0:
				madvise(at, len, MADV_DONTNEED);
				break;
			case 1:
				madvise(page, VT_PAGE, MADV_DONTNEED);
				break;
			case 2:
				if (mmap(at, len, PROT_READ | PROT_WRITE,
					 MAP_SHARED | MAP_FIXED, target[i].fd,
					 0) != at)
					abort();
				break;
			default:
				/* with a boundary in the middle of the rings */
				madvise(page, VT_PAGE, MADV_DONTFORK);
				madvise(page, VT_PAGE, MADV_DOFORK);
				break;
			}
		}
		storm_rounds++;
		/* a device needs a moment to install anything at all */
		if (storm_rounds % 8 == 0)
			vt_sleep_ms(1);
	}
	return NULL;
}

static void *storm_elsewhere(void *arg)
{
	size_t len = 64 * VT_PAGE;
	unsigned int n = 0;
	char *p, *q;

	(void)arg;
	while (!storm_ends) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		mprotect(p, len / 2, PROT_READ);
		mprotect(p, len, PROT_READ | PROT_WRITE);
		madvise(p + len / 2, len / 4, MADV_DONTNEED);
		q = mremap(p, len, 2 * len, MREMAP_MAYMOVE);
		munmap(q == MAP_FAILED ? p : q,
		       q == MAP_FAILED ? len : 2 * len);
		if (++n % 8 == 0)
			vt_sleep_ms(1);
	}
	return NULL;
}

FIXTURE_SETUP(live)
{
	struct vt_inval *inval = &self->inval;
	struct vt_inval_cfg cfg = {
		.alias = true,
		.mem_backing = VT_MEMFD,
		.features = variant->features,
	};

	ASSERT_EQ(0, vt_inval_open(inval, &cfg));
	self->second = mmap(NULL, inval->len, PROT_READ | PROT_WRITE,
			    MAP_SHARED, inval->fd, 0);
	self->mem2 = mmap(NULL, inval->rig.mem.map_len, PROT_READ | PROT_WRITE,
			  MAP_SHARED, inval->rig.mem.fd, 0);
	ASSERT_NE(MAP_FAILED, self->second);
	ASSERT_NE(MAP_FAILED, self->mem2);
	ASSERT_EQ(0, vt_inval_start(inval));
	ASSERT_EQ(0, vt_inval_hot(inval));
	if (!variant->storm)
		return;
	add_target(inval->dev, inval->len, inval->fd);
	add_target(self->second, inval->len, inval->fd);
	add_target(self->mem2, inval->rig.mem.map_len, inval->rig.mem.fd);
	ASSERT_EQ(0,
		  pthread_create(&storm_thread[0], NULL, storm_on_rings, NULL));
	ASSERT_EQ(0, pthread_create(&storm_thread[1], NULL, storm_elsewhere,
				    NULL));
}

static void end_storm(void)
{
	if (storm_thread[0] && !storm_ends) {
		storm_ends = true;
		pthread_join(storm_thread[0], NULL);
		pthread_join(storm_thread[1], NULL);
	}
}

FIXTURE_TEARDOWN(live)
{
	end_storm();
	vt_inval_close(&self->inval);
}

/* After every test traffic flows, and each start had its end. */
static void finish(struct __test_metadata *_metadata, struct vt_inval *inval)
{
	EXPECT_EQ(0, vt_inval_flow(inval, 100));
	end_storm();
	if (targets)
		EXPECT_GT(storm_rounds, 0);
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* How often, or for how long. */
#define ROUNDS	60

/* ------------------------------------------------------------- the rings */

TEST_F_TIMEOUT(live, set_addr, 300)
{
	struct vt_inval *inval = &self->inval;
	char *first = inval->dev;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0,
			  vt_inval_move(inval, i % 2 ? first : self->second));
		/* in some rounds the two rings are in different mappings */
		if (i % 5 == 0)
			ASSERT_EQ(0, vt_inval_set_addr(inval, i % 2, first));
		ASSERT_EQ(0, vt_inval_flow(inval, 20));
	}
	ASSERT_EQ(0, vt_inval_move(inval, first));
	finish(_metadata, inval);
}

/* The same addresses again and again: how long does it take? */
TEST_F_TIMEOUT(live, set_addr_10000, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t start = vt_now_ns(), ns;
	unsigned int i;

	for (i = 0; i < 10000; i++)
		ASSERT_EQ(0, vt_inval_set_addr(inval, i % 2, inval->dev));
	ns = vt_now_ns() - start;
	TH_LOG("%llu ns per VHOST_SET_VRING_ADDR",
	       (unsigned long long)ns / 10000);
	/* SET_VRING_ADDR waits for no grace period: each would take 10 ms */
	EXPECT_LT(ns / 10000, (uint64_t)vt_timeout_ms(3) * 1000000);
	finish(_metadata, inval);
}

static void expect_addr(struct __test_metadata *_metadata,
			struct vt_inval *inval, struct vhost_vring_addr addr,
			int err)
{
	EXPECT_EQ(-1, ioctl(inval->rig.dev.fd, VHOST_SET_VRING_ADDR, &addr));
	EXPECT_EQ(err, errno);
}

/* What is refused changes nothing. */
TEST_F_TIMEOUT(live, set_addr_refused, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vhost_vring_addr good = {}, bad;
	uint64_t beyond = 1ULL << 63;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int vq = i % 2;

		good.index = vq;
		good.desc_user_addr = (uintptr_t)inval->dev +
				      inval->part[vq][VT_INVAL_DESC].off;
		good.avail_user_addr = (uintptr_t)inval->dev +
				       inval->part[vq][VT_INVAL_AVAIL].off;
		good.used_user_addr = (uintptr_t)inval->dev +
				      inval->part[vq][VT_INVAL_USED].off;

		bad = good;
		bad.used_user_addr += 2;
		expect_addr(_metadata, inval, bad, EINVAL);
		bad = good;
		bad.avail_user_addr += 1;
		expect_addr(_metadata, inval, bad, EINVAL);
		bad = good;
		bad.desc_user_addr = beyond;
		expect_addr(_metadata, inval, bad, EINVAL);
		bad = good;
		bad.used_user_addr = beyond;
		expect_addr(_metadata, inval, bad, EINVAL);
		bad = good;
		bad.flags = 1U << 31;
		expect_addr(_metadata, inval, bad, EOPNOTSUPP);
		bad = good;
		bad.index = 2;
		expect_addr(_metadata, inval, bad, ENOBUFS);
		EXPECT_EQ(-1,
			  ioctl(inval->rig.dev.fd, VHOST_SET_VRING_ADDR, NULL));
		EXPECT_EQ(EFAULT, errno);
		ASSERT_EQ(0, vt_inval_flow(inval, 5));
	}
	finish(_metadata, inval);
}

/* Size and index cannot be changed while a backend is there. */
TEST_F_TIMEOUT(live, num_and_base_busy, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		struct vhost_vring_state num = { i % 2, i % 3 ? 128 : 256 };
		struct vhost_vring_state base = { i % 2, 0 };

		EXPECT_EQ(-1,
			  ioctl(inval->rig.dev.fd, VHOST_SET_VRING_NUM, &num));
		EXPECT_EQ(EBUSY, errno);
		EXPECT_EQ(-1, ioctl(inval->rig.dev.fd, VHOST_SET_VRING_BASE,
				    &base));
		EXPECT_EQ(EBUSY, errno);
		EXPECT_EQ(0, ioctl(inval->rig.dev.fd, VHOST_GET_VRING_BASE,
				   &base));
		ASSERT_EQ(0, vt_inval_flow(inval, 5));
	}
	finish(_metadata, inval);
}

static int set_features(struct vt_inval *inval, uint64_t features)
{
	return ioctl(inval->rig.dev.fd, VHOST_SET_FEATURES, &features) ?
		       -errno :
		       0;
}

/* The same features at any moment. */
TEST_F_TIMEOUT(live, features_again, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		ASSERT_EQ(0, set_features(inval, inval->rig.dev.features));
		EXPECT_EQ(-EOPNOTSUPP, set_features(inval, 1ULL << 63));
		ASSERT_EQ(0, vt_inval_flow(inval, 10));
	}
	finish(_metadata, inval);
}

/*
 * Event indices on and off: both sides must change over together, so with
 * nothing in flight. The size of the parts changes with it.
 */
TEST_F_TIMEOUT(live, event_idx_toggles, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i, v;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, vt_inval_quiesce(inval));
		inval->rig.dev.features ^= VT_F(VIRTIO_RING_F_EVENT_IDX);
		ASSERT_EQ(0, set_features(inval, inval->rig.dev.features));
		for (v = 0; v < 2; v++) {
			/* the driver may be asleep waiting for a call */
			vt_vq_enable_call(&inval->rig.vq[v]);
			/* have the device ask for kicks in its new way */
			vt_vq_notify(&inval->rig.vq[v]);
		}
		vt_inval_flush(inval);
		vt_inval_flush(inval);
		vt_inval_resume(inval);
		ASSERT_EQ(0, vt_inval_flow(inval, 50));
	}
	finish(_metadata, inval);
}

TEST_F_TIMEOUT(live, backend, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		struct vt_vq *vq = &inval->rig.vq[i % 2];

		ASSERT_EQ(0, vt_vq_stop(vq));
		if (i % 3 == 0)
			ASSERT_EQ(0, vt_vq_stop(&inval->rig.vq[!(i % 2)]));
		/* a stopped ring takes every setting */
		if (i % 4 == 0)
			ASSERT_EQ(0, vt_inval_move(inval, inval->dev));
		ASSERT_EQ(0, vt_vq_set_backend(vq, inval->rig.tap.fd));
		if (i % 3 == 0)
			ASSERT_EQ(0, vt_vq_set_backend(&inval->rig.vq[!(i % 2)],
						       inval->rig.tap.fd));
		/* setting the same value again does nothing */
		ASSERT_EQ(0, vt_vq_set_backend(vq, inval->rig.tap.fd));
		ASSERT_EQ(0, vt_inval_flow(inval, 20));
	}
	finish(_metadata, inval);
}

/* The owner moves guest memory, and cuts it into other regions. */
TEST_F_TIMEOUT(live, mem_table, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vt_dev *dev = &inval->rig.dev;
	struct vt_dev table = *dev;
	struct vhost_memory_region *r = dev->regions;
	unsigned int i, n;
	size_t piece;

	for (i = 0; i < ROUNDS; i++) {
		char *mem = i % 2 ? (char *)inval->rig.mem.map : self->mem2;
		unsigned int pieces = 1 + i % 7 * 5;

		mem += (char *)inval->rig.mem.base - (char *)inval->rig.mem.map;
		table.nregions = 0;
		piece = (r->memory_size / pieces) & ~(VT_PAGE - 1);
		for (n = 0; n < pieces; n++) {
			size_t from = n * piece;
			size_t to = n + 1 < pieces ? from + piece :
						     r->memory_size;

			vt_dev_add_region(&table, r->guest_phys_addr + from,
					  mem + from, to - from);
		}
		ASSERT_EQ(0, vt_dev_set_mem_table(&table));
		ASSERT_EQ(0, vt_inval_flow(inval, 20));
	}
	finish(_metadata, inval);
}

static int set_file(struct vt_inval *inval, unsigned long nr, unsigned int vq,
		    int fd)
{
	struct vhost_vring_file file = { vq, fd };

	return ioctl(inval->rig.dev.fd, nr, &file) ? -errno : 0;
}

/*
 * The driver goes on with its own eventfds. A kick that comes while the device
 * listens elsewhere waits in the eventfd; a call that went elsewhere is made
 * up for, as a change of the interrupt would.
 */
TEST_F_TIMEOUT(live, eventfds, 300)
{
	struct vt_inval *inval = &self->inval;
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int v = i % 2;
		struct vt_vq *vq = &inval->rig.vq[v];

		ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_KICK, v,
				      i % 4 < 2 ? other : -1));
		ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_CALL, v,
				      i % 3 ? other : -1));
		ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_ERR, v,
				      i % 5 ? other : -1));
		EXPECT_EQ(-EBADF,
			  set_file(inval, VHOST_SET_VRING_KICK, v, 9999));
		vt_sleep_ms(i % 3);
		ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_ERR, v, vq->err));
		ASSERT_EQ(0,
			  set_file(inval, VHOST_SET_VRING_CALL, v, vq->call));
		ASSERT_EQ(0,
			  set_file(inval, VHOST_SET_VRING_KICK, v, vq->kick));
		ASSERT_EQ(sizeof(one), write(vq->call, &one, sizeof(one)));
		ASSERT_EQ(0, vt_inval_flow(inval, 20));
	}
	close(other);
	finish(_metadata, inval);
}

/* All of it from the beginning, where the used ring says the device was. */
TEST_F_TIMEOUT(live, reset_owner, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vt_dev *dev = &inval->rig.dev;
	unsigned int i, v;

	for (i = 0; i < 15; i++) {
		ASSERT_EQ(0, ioctl(dev->fd, VHOST_RESET_OWNER, NULL));
		ASSERT_EQ(0, ioctl(dev->fd, VHOST_SET_OWNER, NULL));
		ASSERT_EQ(0, set_features(inval, dev->features));
		ASSERT_EQ(0, vt_dev_set_mem_table(dev));
		for (v = 0; v < 2; v++) {
			struct vt_vq *vq = &inval->rig.vq[v];
			struct vhost_vring_state num = { v, vq->num };
			struct vhost_vring_state base = { v, vq->used->idx };
			uint64_t one = 1;

			ASSERT_EQ(0, ioctl(dev->fd, VHOST_SET_VRING_NUM, &num));
			ASSERT_EQ(0,
				  ioctl(dev->fd, VHOST_SET_VRING_BASE, &base));
			ASSERT_EQ(0, vt_inval_set_addr(inval, v, inval->dev));
			ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_ERR, v,
					      vq->err));
			ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_CALL, v,
					      vq->call));
			ASSERT_EQ(0, set_file(inval, VHOST_SET_VRING_KICK, v,
					      vq->kick));
			ASSERT_EQ(0, vt_vq_set_backend(vq, inval->rig.tap.fd));
			/* neither side knows what the other missed */
			vt_vq_notify(vq);
			ASSERT_EQ(sizeof(one),
				  write(vq->call, &one, sizeof(one)));
		}
		ASSERT_EQ(0, vt_inval_flow(inval, 30));
	}
	finish(_metadata, inval);
}

/* Two threads, two rings, all of the above without waiting for anything. */
static void *flip(void *arg)
{
	struct vt_inval *inval = ((void **)arg)[0];
	char *second = ((void **)arg)[1];
	unsigned int i;

	for (i = 0; i < 500; i++) {
		if (vt_inval_set_addr(inval, i % 2,
				      i % 4 < 2 ? second : inval->dev))
			return (void *)1UL;
	}
	return NULL;
}

TEST_F_TIMEOUT(live, two_threads, 300)
{
	struct vt_inval *inval = &self->inval;
	void *arg[] = { inval, self->second };
	void *failed;
	pthread_t thread;
	unsigned int i;

	ASSERT_EQ(0, pthread_create(&thread, NULL, flip, arg));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, set_features(inval, inval->rig.dev.features));
		ASSERT_EQ(0, vt_vq_set_backend(&inval->rig.vq[i % 2], -1));
		ASSERT_EQ(0, vt_vq_set_backend(&inval->rig.vq[i % 2],
					       inval->rig.tap.fd));
		ASSERT_EQ(0, vt_dev_set_mem_table(&inval->rig.dev));
	}
	ASSERT_EQ(0, pthread_join(thread, &failed));
	EXPECT_EQ(NULL, failed);
	ASSERT_EQ(0, vt_inval_move(inval, inval->dev));
	finish(_metadata, inval);
}

TEST_HARNESS_MAIN
