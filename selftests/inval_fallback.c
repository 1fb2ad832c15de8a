// SPDX-License-Identifier: GPL-2.0
/*
 * Rings in every kind of memory: fast where it can be, right everywhere.
 * Timeout: 180 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "inval.h"

#define MNT	"/run/vhost-test"

/* Each returns NULL and memory in *@p, or why there is none. */
typedef const char *(*map_fn)(size_t len, char **p);

static const char *map_fd(int fd, size_t len, int flags, char **p)
{
	*p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	return *p == MAP_FAILED ? "cannot map it" : NULL;
}

/* A file on a real file system, which must be told before a page is dirtied. */
static int file_fd = -1;

static const char *open_file(size_t len)
{
	/* gone with this process, as the mount is in a namespace of its own */
	if (unshare(CLONE_NEWNS) || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace";
	mkdir(MNT, 0700);
	if (mount("none", MNT, "tmpfs", 0, NULL) ||
	    system("modprobe -qa loop ext4; cd " MNT " && mkdir mnt &&"
		   "truncate -s 32M img && mkfs.ext4 -qF img &&"
		   "mount -o loop img mnt"))
		return "cannot mount an ext4 file system on a loop device";
	file_fd = open(MNT "/mnt/rings", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return file_fd < 0 || ftruncate(file_fd, len) ? "cannot make a file" : NULL;
}

static const char *map_file(size_t len, char **p)
{
	const char *why = open_file(len);

	return why ? why : map_fd(file_fd, len, MAP_SHARED, p);
}

static const char *map_file_private(size_t len, char **p)
{
	const char *why = open_file(len);

	return why ? why : map_fd(file_fd, len, MAP_PRIVATE, p);
}

static const char *map_secret(size_t len, char **p)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0 && errno == ENOSYS)
		return "memfd_secret() is off (secretmem.enable=1)";
	/* the pages are locked: there is a limit */
	if (fd < 0 || ftruncate(fd, len))
		return "cannot make a secret file";
	return map_fd(fd, len, MAP_SHARED, p);
}

/* Of the DRM interface, whose header is in no package that is needed else. */
struct dumb_create {
	uint32_t height;
	uint32_t width;
	uint32_t bpp;
	uint32_t flags;
	uint32_t handle;
	uint32_t pitch;
	uint64_t size;
};

struct dumb_map {
	uint32_t handle;
	uint32_t pad;
	uint64_t offset;
};

#define DUMB_CREATE	_IOWR('d', 0xb2, struct dumb_create)
#define DUMB_MAP	_IOWR('d', 0xb3, struct dumb_map)

/* A buffer of a virtual GPU: a mapping of bare page frames. */
static const char *map_pfn(size_t len, char **p)
{
	struct dumb_create create = {
		.width = len / 4, .height = 1, .bpp = 32,
	};
	struct dumb_map map = {};
	char path[64], driver_path[PATH_MAX];
	int i, fd = -1;

	if (system("modprobe -q vgem"))
		return "no vgem module, whose buffers are mapped by page frame";
	for (i = 0; i < 8 && fd < 0; i++) {
		snprintf(path, sizeof(path), "/sys/class/drm/card%d/device", i);
		if (!realpath(path, driver_path) ||
		    !strstr(driver_path, "vgem"))
			continue;
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0)
		return "no device node of vgem";
	if (ioctl(fd, DUMB_CREATE, &create))
		return "vgem makes no buffer";
	map.handle = create.handle;
	if (ioctl(fd, DUMB_MAP, &map))
		return "vgem maps no buffer";
	*p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, map.offset);
	return *p == MAP_FAILED ? "cannot map a buffer of vgem" : NULL;
}

/* Pages of the kernel, put into a mapping one by one. */
static const char *map_kernel_pages(size_t len, char **p)
{
	struct tpacket_req req = {
		.tp_block_size = IV_PAGE,
		.tp_block_nr = len / IV_PAGE,
		.tp_frame_size = IV_PAGE,
		.tp_frame_nr = len / IV_PAGE,
	};
	/* protocol 0: nothing is ever received into it */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return "no packet ring";
	return map_fd(fd, len, MAP_SHARED, p);
}

static const char *map_anon(size_t len, char **p)
{
	return map_fd(-1, len, MAP_PRIVATE | MAP_ANONYMOUS, p);
}

static const char *map_shmem(size_t len, char **p)
{
	int fd = memfd_create("rings", MFD_CLOEXEC);

	return ftruncate(fd, len) ? "no memfd" : map_fd(fd, len, MAP_SHARED, p);
}

static const char *map_hugetlb(size_t len, char **p)
{
	(void)len;
	iv_write_file("/proc/sys/vm/nr_hugepages", "4\n");
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
	return iv_kpageflag(*p, IV_KPF_THP) ? NULL : "got no huge page";
}

FIXTURE(memory)
{
	struct iv iv;
	char *map;
};

FIXTURE_VARIANT(memory)
{
	map_fn map;
	/* the counter of the reason, or NULL: the fast path is used */
	const char *reason;
};

FIXTURE_VARIANT_ADD(memory, file)
{
	.map = map_file, .reason = "fallback_file",
};

FIXTURE_VARIANT_ADD(memory, file_private)
{
	.map = map_file_private,
};

FIXTURE_VARIANT_ADD(memory, secret)
{
	.map = map_secret, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, pfn)
{
	.map = map_pfn, .reason = "fallback_nodirect",
};

FIXTURE_VARIANT_ADD(memory, kernel_pages)
{
	.map = map_kernel_pages, .reason = "fallback_file",
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
		if (msync(iv->dev, iv->len, MS_SYNC) || fsync(file_fd))
			r = -errno;
	if (!r)
		r = iv_quiesce(iv);
	if (!r && pread(file_fd, now, iv->len, 0) != (ssize_t)iv->len)
		r = -EIO;
	if (!r && iv->cfg.slow && iv_differ(now, iv->dev, iv->len) >= 0)
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
	user = iv_sum(iv, "bursts_user");
	kernel = iv_sum(iv, "bursts_kernel");
	/* more than the longest pause between two attempts */
	EXPECT_EQ(0, iv_flow(iv, 1500));
	if (iv->counters && variant->reason) {
		EXPECT_GT(iv_sum(iv, "bursts_user"), user);
		EXPECT_EQ(iv_sum(iv, "bursts_kernel"), kernel);
		EXPECT_GT(iv_sum(iv, variant->reason), reason);
	}
	if (!variant->reason)
		EXPECT_EQ(0, iv_hot(iv));
	if (file_fd >= 0)
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
	page = (unsigned long)vq->used & ~(IV_PAGE - 1);
	ASSERT_EQ(0, vt_vq_setup(vq));
	ASSERT_EQ(0, mprotect((void *)page, IV_PAGE, PROT_READ));
	file.fd = rig.tap.fd;
	EXPECT_EQ(-1, ioctl(rig.dev.fd, VHOST_NET_SET_BACKEND, &file));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, mprotect((void *)page, IV_PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ioctl(rig.dev.fd, VHOST_NET_SET_BACKEND, &file));
	vt_rig_close(&rig);
}

TEST_HARNESS_MAIN
