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
	return vt_odd_mem_fd(-1, len, MAP_PRIVATE | MAP_ANONYMOUS, p);
}

static const char *map_shmem(size_t len, char **p)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);

	return ftruncate(fd, len) ? "no memfd" :
				    vt_odd_mem_fd(fd, len, MAP_SHARED, p);
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
	struct vt_inval inval;
	char *map;
};

FIXTURE_VARIANT(memory)
{
	vt_odd_mem_map map;
	/* the counter of the reason, or NULL: the fast path is used */
	const char *reason;
};

FIXTURE_VARIANT_ADD(memory, file)
{
	.map = vt_odd_mem_file, .reason = "fallback_file",
};

FIXTURE_VARIANT_ADD(memory, file_private)
{
	.map = vt_odd_mem_file_private,
};

FIXTURE_VARIANT_ADD(memory, secret)
{
	.map = vt_odd_mem_secret, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, pfn)
{
	.map = vt_odd_mem_pfn, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, kernel_pages)
{
	.map = vt_odd_mem_kernel_pages, .reason = "fallback_file",
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
	struct vt_inval_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
		.num = 512,
		.slow = variant->reason,
	};
	const char *why;

	memset(&self->inval, 0, sizeof(self->inval));
	self->inval.rig.dev.fd = self->inval.rig.tap.fd =
		self->inval.rig.tap.sock = -1;
	self->inval.fd = -1;
	cfg.map_len = vt_inval_area_len(&cfg);
	why = variant->map(cfg.map_len, &self->map);
	if (why)
		SKIP(return, "%s", why);
	cfg.map = self->map;
	ASSERT_EQ(0, vt_inval_open(&self->inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(memory)
{
	vt_inval_close(&self->inval);
}

/*
 * Written back all the time: dirty pages must never surprise the file system,
 * and what the device wrote is in the file in the end.
 */
static int sync_file(struct vt_inval *inval)
{
	uint64_t end = vt_now_ns() + 1000000000ULL;
	char *now = malloc(inval->len);
	int r = 0;

	while (!r && vt_now_ns() < end)
		if (msync(inval->dev, inval->len, MS_SYNC) ||
		    fsync(vt_odd_mem_file_fd()))
			r = -errno;
	if (!r)
		r = vt_inval_quiesce(inval);
	if (!r && pread(vt_odd_mem_file_fd(), now, inval->len, 0) !=
			  (ssize_t)inval->len)
		r = -EIO;
	if (!r && inval->cfg.slow &&
	    vt_differ(now, inval->dev, inval->len) >= 0)
		r = -EBADMSG;
	free(now);
	vt_inval_resume(inval);
	return r;
}

/* Does the device use it as the variant says, also at another address? */
TEST_F_TIMEOUT(memory, path, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t reason = 0, user, kernel;
	char *anon;

	ASSERT_EQ(NULL, map_anon(inval->len, &anon));
	if (variant->reason)
		reason = vt_inval_sum(inval, variant->reason);
	EXPECT_EQ(0, vt_inval_flow(inval, 500));
	user = vt_inval_sum(inval, "user_ops");
	kernel = vt_inval_sum(inval, "sections");
	/* more than the longest pause between two attempts */
	EXPECT_EQ(0, vt_inval_flow(inval, 1500));
	if (inval->counters && variant->reason) {
		EXPECT_GT(vt_inval_sum(inval, "user_ops"), user);
		EXPECT_EQ(vt_inval_sum(inval, "sections"), kernel);
		EXPECT_GT(vt_inval_sum(inval, variant->reason), reason);
	}
	if (!variant->reason)
		EXPECT_EQ(0, vt_inval_hot(inval));
	if (vt_odd_mem_file_fd() >= 0)
		EXPECT_EQ(0, sync_file(inval));

	/* move the rings to anonymous memory, and back */
	ASSERT_EQ(0, vt_inval_quiesce(inval));
	memcpy(anon, inval->dev, inval->len);
	ASSERT_EQ(0, vt_inval_move(inval, anon));
	vt_inval_drive(inval, anon);
	vt_inval_resume(inval);
	EXPECT_EQ(0, vt_inval_hot(inval));
	ASSERT_EQ(0, vt_inval_quiesce(inval));
	memcpy(self->map, inval->dev, inval->len);
	ASSERT_EQ(0, vt_inval_move(inval, self->map));
	vt_inval_drive(inval, self->map);
	vt_inval_resume(inval);
	EXPECT_EQ(0, vt_inval_flow(inval, 200));
	if (!variant->reason)
		EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
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
