// SPDX-License-Identifier: GPL-2.0
/* The dirty log of a device: what it wrote, and nothing else, has a bit. */
/*
 * Stock vhost-net passes the same tests (VHOST_DEV=/dev/vhost-net), but for
 * those that look at counters; one test runs the same packets through both and
 * compares the bitmaps.
 *
 * Timeout: 300 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "odd_mem.h"
#include "vhost_test.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define IND	VT_F(VIRTIO_RING_F_INDIRECT_DESC)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)
#define VHDR	VT_F(VHOST_NET_F_VIRTIO_NET_HDR)
#define LOG	VT_F(VHOST_F_LOG_ALL)

/* Guest memory begins at 4 GiB, and the used rings are logged below that. */
#define LOG_BYTES	(256UL << 10)
#define LOG_PAGES	(LOG_BYTES * 8)
#define USED_GPA(i)	(0x40000000ULL + (i) * 0x1000000ULL)

#define STREAM	3

/* ------------------------------------------------------------- the bitmap */

static bool bit(const uint8_t *map, uint64_t page)
{
	return map[page / 8] >> page % 8 & 1;
}

/* Bits within @n pages from @gpa on. */
static uint64_t count_bits(const uint8_t *map, uint64_t gpa, uint64_t n)
{
	uint64_t i, count = 0;

	for (i = 0; i < n; i++)
		count += bit(map, gpa / VT_PAGE + i);
	return count;
}

/* All bits; the bitmap may lie at any address. */
static uint64_t count_all(const uint8_t *map)
{
	uint64_t bits, count = 0;
	size_t i;

	for (i = 0; i < LOG_BYTES; i += sizeof(bits)) {
		memcpy(&bits, map + i, sizeof(bits));
		if (bits)
			count += __builtin_popcountll(bits);
	}
	return count;
}

/* As QEMU: take the bits, 64 at a time. */
static void take_bits(uint8_t *map, uint8_t *into)
{
	uint64_t *from = (uint64_t *)map, *to = (uint64_t *)into, bits;
	size_t i;

	for (i = 0; i < LOG_BYTES / 8; i++) {
		if (!__atomic_load_n(&from[i], __ATOMIC_RELAXED))
			continue;
		bits = __atomic_exchange_n(&from[i], 0, __ATOMIC_SEQ_CST);
		to[i] |= bits;
	}
}

static int set_base(struct vt_rig *rig, const void *base)
{
	uint64_t arg = (uintptr_t)base;

	return ioctl(rig->dev.fd, VHOST_SET_LOG_BASE, &arg) ? -errno : 0;
}

static int set_features(struct vt_rig *rig, uint64_t features)
{
	return ioctl(rig->dev.fd, VHOST_SET_FEATURES, &features) ? -errno : 0;
}

/* As QEMU starts it: the bitmap, the feature, then each ring. */
static int log_on(struct vt_rig *rig, const void *base)
{
	unsigned int i;
	int r = set_base(rig, base);

	if (!r)
		r = set_features(rig, rig->dev.features | LOG);
	for (i = 0; i < 2; i++) {
		rig->vq[i].log = true;
		rig->vq[i].log_gpa = USED_GPA(i);
	}
	return r;
}

/* ------------------------------------------------- what can be in a bitmap */

/**
 * struct watched - memory that only the device writes
 * @gpa: where the log has it
 * @hva: where it is
 * @len: bytes
 * @then: what was there
 */
struct watched {
	uint64_t gpa;
	char *hva;
	size_t len;
	char *then;
};

#define WATCHED	3

/* Receive buffers and both used rings. */
static void watch(struct vt_rig *rig, struct watched w[WATCHED])
{
	unsigned int i;

	w[0].hva = rig->buf[VT_VQ_RX];
	w[0].gpa = vt_dev_gpa(&rig->dev, w[0].hva);
	w[0].len = rig->buf_len;
	for (i = 0; i < 2; i++) {
		w[1 + i].hva = (char *)rig->vq[i].used;
		w[1 + i].gpa = USED_GPA(i);
		w[1 + i].len = vt_used_size(rig->vq[i].num);
	}
	for (i = 0; i < WATCHED; i++) {
		w[i].then = malloc(w[i].len);
		memcpy(w[i].then, w[i].hva, w[i].len);
	}
}

static void unwatch(struct watched w[WATCHED])
{
	unsigned int i;

	for (i = 0; i < WATCHED; i++)
		free(w[i].then);
}

/* Bytes from @off on that lie in the same page as the log sees it. */
static size_t piece(const struct watched *w, size_t off)
{
	size_t n = VT_PAGE - (w->gpa + off) % VT_PAGE;

	return n < w->len - off ? n : w->len - off;
}

/* Does each change have its bit? */
static int all_logged(const struct watched w[WATCHED], const uint8_t *map)
{
	unsigned int i, changed = 0;
	size_t off, n;

	for (i = 0; i < WATCHED; i++) {
		for (off = 0; off < w[i].len; off += n) {
			n = piece(&w[i], off);
			if (!memcmp(w[i].then + off, w[i].hva + off, n))
				continue;
			changed++;
			if (bit(map, (w[i].gpa + off) / VT_PAGE))
				continue;
			vt_msg("area %u, offset %zu: changed, but not logged", i,
			       off);
			return -EBADMSG;
		}
	}
	return changed ? 0 : -ENODATA;
}

/* Are there only bits of what is watched? */
static int nothing_else_logged(const struct watched w[WATCHED],
			       const uint8_t *map)
{
	uint64_t total = count_all(map), inside = 0;
	unsigned int i;

	for (i = 0; i < WATCHED; i++)
		inside += count_bits(map, w[i].gpa,
				     (w[i].gpa % VT_PAGE + w[i].len +
				      VT_PAGE - 1) / VT_PAGE);
	if (total == inside)
		return 0;
	vt_msg("%llu bits, %llu of them where the device may write",
	       (unsigned long long)total, (unsigned long long)inside);
	return -EBADMSG;
}

static int traffic(struct vt_rig *rig, struct vt_traffic t[2], uint64_t n)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++)
		r = vt_traffic_start_rig(&t[i], rig, i);
	for (i = 0; i < 2 && !r; i++)
		r = vt_traffic_wait(&t[i], n, VT_TIMEOUT);
	return r;
}

/* ------------------------------------------------------- each change a bit */

enum stop { STOP_BACKEND, STOP_BASE, STOP_LOG_BASE, STOP_FEATURES, STOP_ADDR };

FIXTURE(log)
{
	struct vt_rig rig;
	struct vt_traffic t[2];
	struct watched w[WATCHED];
	uint8_t *map;
};

FIXTURE_VARIANT(log)
{
	uint64_t features;
	unsigned int num;
	size_t gpa_skew;
	/* bitmaps need not be aligned */
	unsigned int odd;
	/* guest memory that is reached by user access */
	vt_odd_mem_map mem;
	enum stop stop;
};

FIXTURE_VARIANT_ADD(log, plain)
{
	.features = V1 | MRG, .stop = STOP_BACKEND,
};

FIXTURE_VARIANT_ADD(log, event)
{
	.features = V1 | MRG | EVENT, .num = 1024, .odd = 3, .stop = STOP_BASE,
};

FIXTURE_VARIANT_ADD(log, indirect)
{
	.features = V1 | MRG | IND | EVENT, .gpa_skew = 0x777,
	.stop = STOP_LOG_BASE,
};

FIXTURE_VARIANT_ADD(log, legacy)
{
	.features = 0, .num = 64, .odd = 1, .stop = STOP_FEATURES,
};

FIXTURE_VARIANT_ADD(log, user_access)
{
	.features = V1 | MRG | EVENT, .mem = vt_odd_mem_file,
	.stop = STOP_BACKEND,
};

FIXTURE_VARIANT_ADD(log, header)
{
	.features = VHDR | EVENT, .stop = STOP_ADDR,
};

FIXTURE_SETUP(log)
{
	struct vt_rig_cfg cfg = {
		.features = variant->features,
		.exact_features = true,
		.num = variant->num,
		.gpa_skew = variant->gpa_skew,
		.mem_len = 8 << 20,
		.no_start = true,
	};
	const char *why;
	unsigned int i;
	char *p;

	if (variant->mem) {
		why = variant->mem(cfg.mem_len, &p);
		if (why)
			SKIP(return, "%s", why);
		cfg.mem_at = p;
	}
	self->map = mmap(NULL, LOG_BYTES + VT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->map);
	self->map += variant->odd;
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	if (!(self->rig.dev.offered & LOG)) {
		vt_rig_close(&self->rig);
		SKIP(return, "the device has no dirty log");
	}
	ASSERT_EQ(0, log_on(&self->rig, self->map));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vt_vq_start(&self->rig.vq[i], self->rig.tap.fd));
}

FIXTURE_TEARDOWN(log)
{
	vt_rig_close(&self->rig);
	munmap(self->map - variant->odd, LOG_BYTES + VT_PAGE);
}

/* After each of these the bits are all there. */
static int stop_by(struct vt_rig *rig, enum stop how, uint8_t *map)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < 2 && !r; i++) {
		struct vhost_vring_state state = { .index = i };
		struct vt_vq *vq = &rig->vq[i];
		struct vhost_vring_addr addr = {
			.index = i,
			.flags = 1 << VHOST_VRING_F_LOG,
			.desc_user_addr = (uintptr_t)vq->desc,
			.avail_user_addr = (uintptr_t)vq->avail,
			.used_user_addr = (uintptr_t)vq->used,
			.log_guest_addr = USED_GPA(i),
		};

		switch (how) {
		case STOP_BACKEND:
			r = vt_vq_stop(vq);
			break;
		case STOP_BASE:
			r = ioctl(rig->dev.fd, VHOST_GET_VRING_BASE, &state);
			break;
		case STOP_ADDR:
			r = ioctl(rig->dev.fd, VHOST_SET_VRING_ADDR, &addr);
			break;
		case STOP_LOG_BASE:
			r = set_base(rig, map);
			break;
		case STOP_FEATURES:
			r = set_features(rig, rig->dev.features | LOG);
			break;
		}
	}
	return r;
}

TEST_F_TIMEOUT(log, each_change, 300)
{
	uint64_t bits, user, packets;

	watch(&self->rig, self->w);
	/* What the rings wrote as they started is no change. */
	ASSERT_EQ(0, traffic(&self->rig, self->t, 2000));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_TX]));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_RX]));
	EXPECT_EQ(0, stop_by(&self->rig, variant->stop, self->map));
	EXPECT_EQ(0, all_logged(self->w, self->map));
	EXPECT_EQ(0, nothing_else_logged(self->w, self->map));
	if (vt_dev_is_ours()) {
		EXPECT_EQ(0, vt_stats_read(&self->rig.dev, VT_VQ_RX,
					   "log_kernel", &bits));
		EXPECT_EQ(0, vt_stats_read(&self->rig.dev, VT_VQ_RX, "log_user",
					   &user));
		EXPECT_GT(bits, 100);
		EXPECT_EQ(0, user);
		EXPECT_EQ(0, vt_stats_read(&self->rig.dev, VT_VQ_RX,
					   "payload_kernel", &packets));
		/* nor where guest and host pages lie differently */
		EXPECT_EQ(!variant->mem && !variant->gpa_skew, !!packets);
	}
	if (variant->stop == STOP_BACKEND) {
		EXPECT_EQ(0, vt_vq_set_backend(&self->rig.vq[0],
					       self->rig.tap.fd));
		EXPECT_EQ(0, vt_vq_set_backend(&self->rig.vq[1],
					       self->rig.tap.fd));
	}
	vt_traffic_resume(&self->t[VT_VQ_TX]);
	vt_traffic_resume(&self->t[VT_VQ_RX]);
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_RX]));
	unwatch(self->w);
}

/* Off, on, off: bits come while it is on. */
TEST_F_TIMEOUT(log, turned_off, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		vq = &rig->vq[i];
		vq->log = false;
		ASSERT_EQ(0, vt_vq_stop(vq));
		ASSERT_EQ(0, vt_vq_start(vq, rig->tap.fd));
	}
	ASSERT_EQ(0, set_features(rig, rig->dev.features));
	ASSERT_EQ(0, traffic(rig, self->t, 200));
	memset(self->map, 0, LOG_BYTES);
	ASSERT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_RX], 200, VT_TIMEOUT));
	EXPECT_EQ(0, count_all(self->map));

	ASSERT_EQ(0, set_features(rig, rig->dev.features | LOG));
	ASSERT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_RX], 200, VT_TIMEOUT));
	EXPECT_EQ(0, set_features(rig, rig->dev.features));
	EXPECT_GT(count_all(self->map), 0);
	memset(self->map, 0, LOG_BYTES);
	ASSERT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_RX], 200, VT_TIMEOUT));
	ASSERT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_TX], 200, VT_TIMEOUT));
	EXPECT_EQ(0, count_all(self->map));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_RX]));
}

/*
 * A new bitmap under traffic: the old one is not written any more when the ioctl
 * has returned, and what was missing in it is in the new one.
 */
TEST_F_TIMEOUT(log, new_base, 300)
{
	unsigned int i, rounds = vt_scale(100);
	uint8_t *all = calloc(1, LOG_BYTES), *map;
	struct vt_rig *rig = &self->rig;
	int r = 0;

	watch(rig, self->w);
	ASSERT_EQ(0, traffic(rig, self->t, 100));
	for (i = 0; i < rounds && !r; i++) {
		map = mmap(NULL, LOG_BYTES + VT_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, map);
		/* every page is there, or nobody knows where a bit goes */
		if (i % 2)
			memset(map, 0, LOG_BYTES + VT_PAGE);
		r = set_base(rig, map + variant->odd);
		take_bits(self->map, all);
		/* a bit that is set now comes too late, and is seen */
		vt_sleep_ms(1);
		if (count_all(self->map)) {
			vt_msg("round %u: the old bitmap was written", i);
			r = -EBADMSG;
		}
		munmap(self->map - variant->odd, LOG_BYTES + VT_PAGE);
		self->map = map + variant->odd;
	}
	EXPECT_EQ(0, r);
	ASSERT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_RX], 100, VT_TIMEOUT));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_TX]));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_RX]));
	EXPECT_EQ(0, stop_by(rig, STOP_BASE, NULL));
	take_bits(self->map, all);
	EXPECT_EQ(0, all_logged(self->w, all));
	vt_traffic_resume(&self->t[VT_VQ_TX]);
	vt_traffic_resume(&self->t[VT_VQ_RX]);
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_RX]));
	unwatch(self->w);
	free(all);
}

/* ------------------------------------------------------------- a migration */

/* Take the bits and copy the pages that have one, as QEMU does. */
static void sync_pages(struct watched w[WATCHED], uint8_t *map, uint8_t *bits)
{
	unsigned int i;
	size_t off, n;

	memset(bits, 0, LOG_BYTES);
	take_bits(map, bits);
	for (i = 0; i < WATCHED; i++) {
		for (off = 0; off < w[i].len; off += n) {
			n = piece(&w[i], off);
			if (bit(bits, (w[i].gpa + off) / VT_PAGE))
				memcpy(w[i].then + off, w[i].hva + off, n);
		}
	}
}

/**
 * struct shaker - changes the mapping of the bitmap, which keeps its content
 * @stop: until this is set
 * @rounds: how often
 * @map: the bitmap, in whole pages
 */
struct shaker {
	_Atomic bool stop;
	_Atomic unsigned int rounds;
	uint8_t *map;
};

static void *shake(void *arg)
{
	struct shaker *s = arg;
	pid_t pid;

	while (!s->stop) {
		switch (s->rounds++ % 4) {
		case 0:
			/* its pages are the child's as well, for a moment */
			pid = fork();
			if (!pid) {
				vt_sleep_ms(2);
				_exit(0);
			}
			if (pid > 0)
				waitpid(pid, NULL, 0);
			break;
		case 1:
			madvise(s->map, LOG_BYTES, MADV_PAGEOUT);
			break;
		case 2:
			mprotect(s->map, LOG_BYTES, PROT_READ | PROT_WRITE |
				 PROT_EXEC);
			mprotect(s->map, LOG_BYTES, PROT_READ | PROT_WRITE);
			break;
		case 3:
			madvise(s->map, LOG_BYTES, MADV_COLLAPSE);
			break;
		}
		vt_sleep_ms(1);
	}
	return NULL;
}

static void migrate(struct __test_metadata *_metadata, struct vt_rig *rig,
		    struct vt_traffic t[2], struct watched w[WATCHED],
		    uint8_t *map)
{
	uint8_t *bits = malloc(LOG_BYTES);
	unsigned int i, rounds = vt_scale(40);

	watch(rig, w);
	/* the first round sends everything, whatever is in it */
	for (i = 0; i < WATCHED; i++)
		memset(w[i].then, 0x5a, w[i].len);
	ASSERT_EQ(0, traffic(rig, t, 100));
	memset(bits, 0xff, LOG_BYTES);
	for (i = 0; i < WATCHED; i++)
		memcpy(w[i].then, w[i].hva, w[i].len);
	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, vt_traffic_wait(&t[VT_VQ_RX], 20, VT_TIMEOUT));
		sync_pages(w, map, bits);
	}
	/* the machine is stopped, with packets on their way */
	ASSERT_EQ(0, vt_vq_stop(&rig->vq[VT_VQ_RX]));
	ASSERT_EQ(0, vt_vq_stop(&rig->vq[VT_VQ_TX]));
	sync_pages(w, map, bits);
	for (i = 0; i < WATCHED; i++)
		EXPECT_EQ(-1, vt_differ(w[i].then, w[i].hva, w[i].len)) {
			TH_LOG("area %u", i);
		}
	ASSERT_EQ(0, vt_vq_set_backend(&rig->vq[VT_VQ_RX], rig->tap.fd));
	ASSERT_EQ(0, vt_vq_set_backend(&rig->vq[VT_VQ_TX], rig->tap.fd));
	EXPECT_EQ(0, vt_traffic_stop(&t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&t[VT_VQ_RX]));
	unwatch(w);
	free(bits);
}

TEST_F_TIMEOUT(log, migration, 300)
{
	if (variant->odd)
		SKIP(return, "QEMU's bitmap is aligned");
	migrate(_metadata, &self->rig, self->t, self->w, self->map);
}

TEST_F_TIMEOUT(log, migration_shaken, 300)
{
	struct shaker s = { .map = self->map };
	pthread_t thread;

	if (variant->odd)
		SKIP(return, "QEMU's bitmap is aligned");
	vt_swap_on();
	ASSERT_EQ(0, pthread_create(&thread, NULL, shake, &s));
	migrate(_metadata, &self->rig, self->t, self->w, self->map);
	s.stop = true;
	pthread_join(thread, NULL);
	TH_LOG("%u changes of the bitmap's mapping", s.rounds);
}

/* --------------------------------------------------- where the bitmap lies */

FIXTURE(bitmap)
{
	struct vt_rig rig;
	struct vt_traffic t[2];
	struct watched w[WATCHED];
	struct vt_mem mem;
};

FIXTURE_VARIANT(bitmap)
{
	enum vt_backing backing;
	/* instead of a backing: no memory for kernel addresses */
	vt_odd_mem_map odd;
	/* mapped to the zero page by a first read */
	bool untouched;
	int prot;
	bool unmapped;
	bool kernel;
};

FIXTURE_VARIANT_ADD(bitmap, untouched)
{
	.backing = VT_ANON, .untouched = true, .kernel = true,
};

FIXTURE_VARIANT_ADD(bitmap, thp) { .backing = VT_THP, .kernel = true };

FIXTURE_VARIANT_ADD(bitmap, hugetlb) { .backing = VT_HUGETLB, .kernel = true };

FIXTURE_VARIANT_ADD(bitmap, memfd) { .backing = VT_MEMFD, .kernel = true };

FIXTURE_VARIANT_ADD(bitmap, file) { .odd = vt_odd_mem_file };

FIXTURE_VARIANT_ADD(bitmap, secret) { .odd = vt_odd_mem_secret };

FIXTURE_VARIANT_ADD(bitmap, readonly)
{
	.backing = VT_ANON, .prot = PROT_READ,
};

FIXTURE_VARIANT_ADD(bitmap, unmapped) { .backing = VT_ANON, .unmapped = true };

FIXTURE_SETUP(bitmap)
{
	struct vt_rig_cfg cfg = { .no_start = true };
	const char *why = NULL;
	uint64_t features;
	unsigned int i;
	uint8_t sum = 0;
	int fd, r = 0;
	char *p;

	fd = open(vt_dev_path(), O_RDWR);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioctl(fd, VHOST_GET_FEATURES, &features));
	close(fd);
	if (!(features & LOG))
		SKIP(return, "the device has no dirty log");
	self->mem = (struct vt_mem){ .fd = -1 };
	if (variant->odd) {
		why = variant->odd(LOG_BYTES, &p);
		if (why)
			SKIP(return, "%s", why);
		self->mem.base = self->mem.map = p;
		self->mem.len = self->mem.map_len = LOG_BYTES;
	} else if (variant->untouched) {
		r = vt_mem_alloc_untouched(&self->mem, variant->backing,
					   LOG_BYTES);
	} else {
		r = vt_mem_alloc(&self->mem, variant->backing, LOG_BYTES, 0, 0);
	}
	ASSERT_EQ(0, r);
	for (i = 0; i < LOG_BYTES; i += VT_PAGE)
		sum |= ((volatile uint8_t *)self->mem.base)[i];
	ASSERT_EQ(0, sum);
	if (variant->prot)
		ASSERT_EQ(0, mprotect(self->mem.map, self->mem.map_len,
				      variant->prot));
	if (variant->unmapped)
		ASSERT_EQ(0, mprotect(self->mem.map, self->mem.map_len,
				      PROT_NONE));
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	ASSERT_EQ(0, log_on(&self->rig, self->mem.base));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vt_vq_start(&self->rig.vq[i], self->rig.tap.fd));
}

FIXTURE_TEARDOWN(bitmap)
{
	vt_rig_close(&self->rig);
	vt_mem_free(&self->mem);
}

TEST_F_TIMEOUT(bitmap, each_change, 300)
{
	const bool there = !variant->prot && !variant->unmapped;
	uint64_t kernel, user;

	watch(&self->rig, self->w);
	ASSERT_EQ(0, traffic(&self->rig, self->t, 500));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_TX]));
	ASSERT_EQ(0, vt_traffic_pause(&self->t[VT_VQ_RX]));
	EXPECT_EQ(0, stop_by(&self->rig, STOP_BASE, NULL));
	if (there)
		EXPECT_EQ(0, all_logged(self->w, self->mem.base));
	if (vt_dev_is_ours()) {
		EXPECT_EQ(0, vt_stats_read(&self->rig.dev, VT_VQ_RX,
					   "log_kernel", &kernel));
		EXPECT_EQ(0, vt_stats_read(&self->rig.dev, VT_VQ_RX, "log_user",
					   &user));
		EXPECT_EQ(variant->kernel, !!kernel);
		EXPECT_EQ(!variant->kernel, !!user);
	}
	vt_traffic_resume(&self->t[VT_VQ_TX]);
	vt_traffic_resume(&self->t[VT_VQ_RX]);
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_RX]));
	unwatch(self->w);
}

/* The eventfd of SET_LOG_FD is signalled when bits were set. */
TEST_F_TIMEOUT(bitmap, signalled, 300)
{
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), none = -1;

	ASSERT_EQ(0, ioctl(self->rig.dev.fd, VHOST_SET_LOG_FD, &fd));
	ASSERT_EQ(0, traffic(&self->rig, self->t, 10));
	EXPECT_EQ(0, vt_event_wait(fd, VT_TIMEOUT));
	ASSERT_EQ(0, ioctl(self->rig.dev.fd, VHOST_SET_LOG_FD, &none));
	vt_event_read(fd);
	EXPECT_EQ(0, vt_traffic_wait(&self->t[VT_VQ_RX], 10, VT_TIMEOUT));
	EXPECT_EQ(0, vt_event_read(fd));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_TX]));
	EXPECT_EQ(0, vt_traffic_stop(&self->t[VT_VQ_RX]));
	close(fd);
}

/* ------------------------------------------------- the same as stock's log */

#define SHAPES	400

static char *same_memory;
#define SAME_LEN	(8UL << 20)

/* Receive one packet into buffers of random shape, or send one. */
static int one_packet(struct vt_rig *rig, uint64_t *seed)
{
	const bool mergeable = rig->dev.features & MRG;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	struct virtio_net_hdr hdr = {};
	static char frame[VT_MAX_FRAME];
	unsigned int len = 60 + vt_random(seed) % 3000, chains = 0, used = 0, i;
	size_t room = 0, want = len + rig->dev.hdr_len, at;
	uint32_t n;
	int r;

	vt_frame_fill(frame, len, STREAM, *seed);
	do {
		unsigned int bufs = 1 + vt_random(seed) % 4;
		struct vt_sg sg[4];

		for (i = 0; i < bufs; i++) {
			sg[i].len = 16 + vt_random(seed) % (mergeable ? 2000 :
							    4000);
			if (!mergeable && i + 1 == bufs &&
			    room + sg[i].len < want)
				sg[i].len = want - room;
			at = vt_random(seed) % (rig->buf_len - 8192);
			sg[i].addr = vt_dev_gpa(&rig->dev,
						(char *)rig->buf[VT_VQ_RX] +
						at);
			room += sg[i].len;
		}
		r = vt_vq_add(vq, sg, 0, bufs, vq);
		if (r)
			return r;
		chains++;
	} while (room < want);
	vt_vq_kick(vq);
	r = vt_packet_send(rig->tap.sock, &hdr, frame, len);
	while (!r && used < want) {
		if (vt_vq_get(vq, &n)) {
			used += n;
			chains--;
		} else {
			r = vt_vq_wait(vq, VT_TIMEOUT);
		}
	}
	/* every buffer was needed */
	if (!r && chains)
		r = -EPROTO;
	return r;
}

static int same_run(const char *path, uint64_t features, uint8_t *map)
{
	struct vt_rig_cfg cfg = {
		.features = features, .exact_features = true, .num = 1024,
		.mem_at = same_memory, .mem_len = SAME_LEN, .no_start = true,
	};
	static struct vt_rig rig;
	uint64_t seed = 12345;
	unsigned int i;
	int r;

	setenv("VHOST_DEV", path, 1);
	r = vt_rig_open(&rig, &cfg);
	if (r)
		return r;
	r = log_on(&rig, map);
	for (i = 0; i < 2 && !r; i++) {
		/* flags and index, entries, and event in pages of their own */
		rig.vq[i].log_gpa = USED_GPA(i) - 4;
		r = vt_vq_start(&rig.vq[i], rig.tap.fd);
	}
	for (i = 0; i < SHAPES && !r; i++)
		r = one_packet(&rig, &seed);
	for (i = 0; i < 2 && !r; i++)
		r = vt_vq_stop(&rig.vq[i]);
	vt_rig_close(&rig);
	return r;
}

/* In a process of its own, as each has its own network and environment. */
static int run_in_child(const char *path, uint64_t features, uint8_t *map)
{
	pid_t pid = fork();

	if (!pid)
		_exit(same_run(path, features, map) ? 1 : 0);
	return vt_wait_child(pid, VT_TIMEOUT);
}

FIXTURE(same)
{
	uint8_t *map[2];
};

FIXTURE_VARIANT(same)
{
	uint64_t features;
};

FIXTURE_VARIANT_ADD(same, plain) { .features = V1 | MRG };
FIXTURE_VARIANT_ADD(same, event) { .features = V1 | MRG | EVENT };
FIXTURE_VARIANT_ADD(same, indirect) { .features = V1 | MRG | IND | EVENT };
FIXTURE_VARIANT_ADD(same, one_chain) { .features = V1 | EVENT };
FIXTURE_VARIANT_ADD(same, legacy) { .features = 0 };
FIXTURE_VARIANT_ADD(same, legacy_indirect) { .features = IND | MRG };

FIXTURE_SETUP(same)
{
	unsigned int i;

	if (!vt_dev_is_ours())
		SKIP(return, "this is stock");
	for (i = 0; i < 2; i++) {
		self->map[i] = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, self->map[i]);
	}
	same_memory = mmap((void *)0x200000000, SAME_LEN,
			   PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
			   MAP_FIXED_NOREPLACE, -1, 0);
	ASSERT_NE(MAP_FAILED, same_memory);
}

FIXTURE_TEARDOWN(same)
{
	munmap(same_memory, SAME_LEN);
	munmap(self->map[0], LOG_BYTES);
	munmap(self->map[1], LOG_BYTES);
}

TEST_F_TIMEOUT(same, bitmaps, 300)
{
	unsigned int missing = 0, more = 0;
	uint64_t i;

	ASSERT_EQ(0, run_in_child(vt_dev_path(), variant->features,
				  self->map[0]));
	ASSERT_EQ(0, run_in_child("/dev/vhost-net", variant->features,
				  self->map[1]));
	for (i = 0; i < LOG_PAGES; i++) {
		missing += bit(self->map[1], i) && !bit(self->map[0], i);
		more += bit(self->map[0], i) && !bit(self->map[1], i);
	}
	EXPECT_EQ(0, missing);
	EXPECT_EQ(0, more);
	EXPECT_GT(count_all(self->map[0]), 200);
}

TEST_HARNESS_MAIN
