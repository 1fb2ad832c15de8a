// SPDX-License-Identifier: GPL-2.0
/* Memory that has no kernel address, or may not be written by it. */
#include "odd_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "inval.h"

#define MNT	"/run/vhost-test"

const char *vt_odd_mem_fd(int fd, size_t len, int flags, char **p)
{
	*p = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	return *p == MAP_FAILED ? "cannot map it" : NULL;
}

/* A file on a real file system, which must be told before a page is dirtied. */
static int file_fd = -1;

int vt_odd_mem_file_fd(void)
{
	return file_fd;
}

static const char *open_file(size_t len)
{
	/* gone with this process, as the mount is in a namespace of its own */
	if (unshare(CLONE_NEWNS) ||
	    mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "no mount namespace";
	mkdir(MNT, 0700);
	if (mount("none", MNT, "tmpfs", 0, NULL) ||
	    system("modprobe -qa loop ext4; cd " MNT " && mkdir mnt &&"
		   "truncate -s 32M img && mkfs.ext4 -qF img &&"
		   "mount -o loop img mnt"))
		return "cannot mount an ext4 file system on a loop device";
	file_fd = open(MNT "/mnt/rings", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return file_fd < 0 || ftruncate(file_fd, len) ? "cannot make a file" :
							NULL;
}

const char *vt_odd_mem_file(size_t len, char **p)
{
	const char *why = open_file(len);

	return why ? why : vt_odd_mem_fd(file_fd, len, MAP_SHARED, p);
}

const char *vt_odd_mem_file_private(size_t len, char **p)
{
	const char *why = open_file(len);

	return why ? why : vt_odd_mem_fd(file_fd, len, MAP_PRIVATE, p);
}

const char *vt_odd_mem_secret(size_t len, char **p)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0 && errno == ENOSYS)
		return "memfd_secret() is off (secretmem.enable=1)";
	/* the pages are locked: there is a limit */
	if (fd < 0 || ftruncate(fd, len))
		return "cannot make a secret file";
	return vt_odd_mem_fd(fd, len, MAP_SHARED, p);
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
const char *vt_odd_mem_pfn(size_t len, char **p)
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
const char *vt_odd_mem_kernel_pages(size_t len, char **p)
{
	struct tpacket_req req = {
		.tp_block_size = VT_PAGE,
		.tp_block_nr = len / VT_PAGE,
		.tp_frame_size = VT_PAGE,
		.tp_frame_nr = len / VT_PAGE,
	};
	/* protocol 0: nothing is ever received into it */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)))
		return "no packet ring";
	return vt_odd_mem_fd(fd, len, MAP_SHARED, p);
}
