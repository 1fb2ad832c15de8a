// SPDX-License-Identifier: GPL-2.0
/*
 * Rings in every kind of memory: fast where it can be, right everywhere.
 * Timeout: 180 s
 */
#include <kselftest_harness.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "inval.h"
#include "odd_mem.h"

static const char *map_anon(size_t len, char **p)
{
	return om_fd(-1, len, MAP_PRIVATE | MAP_ANONYMOUS, p);
}

static const char *map_shmem(size_t len, char **p)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);

	return ftruncate(fd, len) ? "no memfd" : om_fd(fd, len, MAP_SHARED, p);
}

static const char *map_hugetlb(size_t len, char **p)
{
	(void)len;
	vt_write_file("/proc/sys/vm/nr_hugepages", "4\n");
	*p = mmap(NULL, VT_HUGE_SIZE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	return *p == MAP_FAILED ? "no huge page to be had" : NULL;
}

static const char *map_thp(size_t len, char **p)
{
	struct vt_mem m;

	(void)len;
	if (vt_mem_alloc(&m, VT_THP, VT_HUGE_SIZE, 0, 0))
		return "no memory";
	*p = m.base;
	return vt_kpageflag(*p, VT_KPF_THP) ? NULL : "got no huge page";
}

FIXTURE(memory)
{
	struct iv iv;
	char *map;
};

FIXTURE_VARIANT(memory)
{
	om_map map;
	/* the counter of the reason, or NULL: the fast path is used */
	const char *reason;
};

FIXTURE_VARIANT_ADD(memory, file)
{
	.map = om_file, .reason = "fallback_file",
};

FIXTURE_VARIANT_ADD(memory, file_private)
{
	.map = om_file_private,
};

FIXTURE_VARIANT_ADD(memory, secret)
{
	.map = om_secret, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, pfn)
{
	.map = om_pfn, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, kernel_pages)
{
	.map = om_kernel_pages, .reason = "fallback_file",
};

FIXTURE_VARIANT_ADD(memory, anon)
{
	.map = map_anon,
};

FIXTURE_VARIANT_ADD(memory, shmem)
{
	.map = map_shmem,
};

FIXTURE_VARIANT_ADD(memory, hugetlb)
{
	.map = map_hugetlb,
};

FIXTURE_VARIANT_ADD(memory, thp)
{
	.map = map_thp,
};

FIXTURE_SETUP(memory)
{
	struct iv_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
		.num = 512,
		.slow = variant->reason,
	};
	const char *why;

	memset(&self->iv, 0, sizeof(self->iv));
	self->iv.rig.dev.fd = self->iv.rig.tap.fd = self->iv.rig.tap.sock = -1;
	self->iv.fd = -1;
	cfg.map_len = iv_area_len(&cfg);
	why = variant->map(cfg.map_len, &self->map);
	if (why)
		SKIP(return, "%s", why);
	cfg.map = self->map;
	ASSERT_EQ(0, iv_open(&self->iv, &cfg));
	ASSERT_EQ(0, iv_start(&self->iv));
}

FIXTURE_TEARDOWN(memory)
{
	iv_close(&self->iv);
}

/*
 * Written back all the time: dirty pages must never surprise the file system,
 * and what the device wrote is in the file in the end.
 */
static int sync_file(struct iv *iv)
{
	uint64_t end = vt_now_ns() + 1000000000ULL;
	char *now = malloc(iv->len);
	int r = 0;

	while (!r && vt_now_ns() < end)
		if (msync(iv->dev, iv->len, MS_SYNC) || fsync(om_file_fd()))
			r = -errno;
	if (!r)
		r = iv_quiesce(iv);
	if (!r && pread(om_file_fd(), now, iv->len, 0) != (ssize_t)iv->len)
		r = -EIO;
	if (!r && iv->cfg.slow && vt_differ(now, iv->dev, iv->len) >= 0)
		r = -EBADMSG;
	free(now);
	iv_resume(iv);
	return r;
}

/* Is it used as the variant says? Then the same after it was put elsewhere. */
TEST_F_TIMEOUT(memory, path, 300)
{
	struct iv *iv = &self->iv;
	uint64_t reason = 0, user, kernel;
	char *anon;

	ASSERT_EQ(NULL, map_anon(iv->len, &anon));
	if (variant->reason)
		reason = iv_sum(iv, variant->reason);
	EXPECT_EQ(0, iv_flow(iv, 500));
	user = iv_sum(iv, "user_ops");
	kernel = iv_sum(iv, "sections");
	/* more than the longest pause between two attempts */
	EXPECT_EQ(0, iv_flow(iv, 1500));
	if (iv->counters && variant->reason) {
		EXPECT_GT(iv_sum(iv, "user_ops"), user);
		EXPECT_EQ(iv_sum(iv, "sections"), kernel);
		EXPECT_GT(iv_sum(iv, variant->reason), reason);
	}
	if (!variant->reason)
		EXPECT_EQ(0, iv_hot(iv));
	if (om_file_fd() >= 0)
		EXPECT_EQ(0, sync_file(iv));

	/* to memory of which all is known, and back */
	ASSERT_EQ(0, iv_quiesce(iv));
	memcpy(anon, iv->dev, iv->len);
	ASSERT_EQ(0, iv_move(iv, anon));
	iv_drive(iv, anon);
	iv_resume(iv);
	EXPECT_EQ(0, iv_hot(iv));
	ASSERT_EQ(0, iv_quiesce(iv));
	memcpy(self->map, iv->dev, iv->len);
	ASSERT_EQ(0, iv_move(iv, self->map));
	iv_drive(iv, self->map);
	iv_resume(iv);
	EXPECT_EQ(0, iv_flow(iv, 200));
	if (!variant->reason)
		EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

/* A used ring that can never be written: the start fails, as with any vhost. */
TEST(read_only_used)
{
	struct vt_rig_cfg cfg = { .no_start = true };
	struct vhost_vring_file file = { .index = VT_VQ_TX };
	struct vt_rig rig;
	struct vt_vq *vq = &rig.vq[VT_VQ_TX];
	unsigned long page;

	ASSERT_EQ(0, vt_rig_open(&rig, &cfg));
	page = (unsigned long)vq->used & ~(VT_PAGE - 1);
	ASSERT_EQ(0, vt_vq_setup(vq));
	ASSERT_EQ(0, mprotect((void *)page, VT_PAGE, PROT_READ));
	file.fd = rig.tap.fd;
	EXPECT_EQ(-1, ioctl(rig.dev.fd, VHOST_NET_SET_BACKEND, &file));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, mprotect((void *)page, VT_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ioctl(rig.dev.fd, VHOST_NET_SET_BACKEND, &file));
	vt_rig_close(&rig);
}

TEST_HARNESS_MAIN
