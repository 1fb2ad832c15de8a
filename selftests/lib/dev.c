// SPDX-License-Identifier: GPL-2.0
/* The vhost fd: owner, features, memory table, counters. */
#include "vhost_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#ifndef VHOST_SET_FORK_FROM_OWNER
#define VHOST_SET_FORK_FROM_OWNER	_IOW(VHOST_VIRTIO, 0x84, __u8)
#define VHOST_GET_FORK_FROM_OWNER	_IOR(VHOST_VIRTIO, 0x85, __u8)
#endif

#define STATS_ROOT	"/sys/kernel/debug/vhost_mmu"

/*
 * The newest directory of this process: net-<tgid>-<n>, n grows. Right after
 * SET_OWNER that is the one of the device just opened.
 */
static void find_stats(struct vt_dev *dev)
{
	struct dirent *de;
	long best = -1;
	DIR *d;

	dev->stats_dir[0] = 0;
	d = opendir(STATS_ROOT);
	if (!d)
		return;
	while ((de = readdir(d))) {
		long tgid, n;

		if (sscanf(de->d_name, "net-%ld-%ld", &tgid, &n) != 2)
			continue;
		if (tgid != getpid() || n <= best)
			continue;
		best = n;
		snprintf(dev->stats_dir, sizeof(dev->stats_dir),
			 STATS_ROOT "/net-%ld-%ld", tgid, n);
	}
	closedir(d);
}

int vt_dev_open(struct vt_dev *dev, uint64_t features)
{
	int r;

	memset(dev, 0, sizeof(*dev));
	dev->fd = open(vt_dev_path(), O_RDWR | O_CLOEXEC);
	if (dev->fd < 0) {
		r = -errno;
		vt_msg("dev: cannot open %s: %m (load the module, or set VHOST_DEV)",
		       vt_dev_path());
		return r;
	}
	if (ioctl(dev->fd, VHOST_SET_OWNER, NULL)) {
		r = -errno;
		vt_msg("dev: SET_OWNER: %m");
		goto err;
	}
	find_stats(dev);
	if (ioctl(dev->fd, VHOST_GET_FEATURES, &dev->offered)) {
		r = -errno;
		vt_msg("dev: GET_FEATURES: %m");
		goto err;
	}
	if (features & ~dev->offered) {
		vt_msg("dev: features %#llx are not offered",
		       (unsigned long long)(features & ~dev->offered));
		r = -EOPNOTSUPP;
		goto err;
	}
	if (ioctl(dev->fd, VHOST_SET_FEATURES, &features)) {
		r = -errno;
		vt_msg("dev: SET_FEATURES: %m");
		goto err;
	}
	dev->features = features;
	dev->hdr_len = features & (VT_F(VIRTIO_F_VERSION_1) |
				   VT_F(VIRTIO_NET_F_MRG_RXBUF)) ?
		       sizeof(struct virtio_net_hdr_mrg_rxbuf) :
		       sizeof(struct virtio_net_hdr);
	return 0;
err:
	vt_dev_close(dev);
	return r;
}

int vt_dev_use_kthread(struct vt_dev *dev)
{
	uint32_t task = 0;

	if (ioctl(dev->fd, VHOST_GET_FORK_FROM_OWNER, &task))
		return -EOPNOTSUPP;
	task = 0;
	if (ioctl(dev->fd, VHOST_RESET_OWNER, NULL) ||
	    ioctl(dev->fd, VHOST_SET_FORK_FROM_OWNER, &task) ||
	    ioctl(dev->fd, VHOST_SET_OWNER, NULL) ||
	    ioctl(dev->fd, VHOST_SET_FEATURES, &dev->features)) {
		vt_msg("dev: cannot get a kthread: %m");
		return -errno;
	}
	find_stats(dev);
	return dev->nregions ? vt_dev_set_mem_table(dev) : 0;
}

void vt_dev_close(struct vt_dev *dev)
{
	if (dev->fd > 0)
		close(dev->fd);
	dev->fd = -1;
}

static pid_t task_by_name(const char *dir, const char *name)
{
	char path[64], comm[32];
	struct dirent *de;
	pid_t found = -ESRCH;
	DIR *d = opendir(dir);
	FILE *f;

	while (d && found < 0 && (de = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%.16s/comm", dir, de->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fscanf(f, "%31s", comm) == 1 && !strcmp(comm, name))
			found = atoi(de->d_name);
		fclose(f);
	}
	if (d)
		closedir(d);
	return found;
}

pid_t vt_dev_worker(void)
{
	char name[32];
	pid_t pid;

	snprintf(name, sizeof(name), "vhost-%d", getpid());
	pid = task_by_name("/proc/self/task", name);
	return pid > 0 ? pid : task_by_name("/proc", name);
}

int vt_dev_add_region(struct vt_dev *dev, uint64_t gpa, void *hva,
		      uint64_t size)
{
	struct vhost_memory_region *reg;

	if (dev->nregions == VT_MAX_REGIONS)
		return -E2BIG;
	reg = &dev->regions[dev->nregions++];
	reg->guest_phys_addr = gpa;
	reg->userspace_addr = (uintptr_t)hva;
	reg->memory_size = size;
	reg->flags_padding = 0;
	return 0;
}

int vt_dev_set_mem_table(struct vt_dev *dev)
{
	size_t regs = dev->nregions * sizeof(dev->regions[0]);
	struct vhost_memory *mem = calloc(1, sizeof(*mem) + regs);
	int r = 0;

	if (!mem)
		return -ENOMEM;
	mem->nregions = dev->nregions;
	memcpy(mem->regions, dev->regions, regs);
	if (ioctl(dev->fd, VHOST_SET_MEM_TABLE, mem)) {
		r = -errno;
		vt_msg("dev: SET_MEM_TABLE with %u regions: %m", dev->nregions);
	}
	free(mem);
	return r;
}

uint64_t vt_dev_gpa(const struct vt_dev *dev, const void *hva)
{
	unsigned int i;

	for (i = 0; i < dev->nregions; i++) {
		const struct vhost_memory_region *reg = &dev->regions[i];
		uint64_t off = (uintptr_t)hva - reg->userspace_addr;

		if ((uintptr_t)hva >= reg->userspace_addr &&
		    off < reg->memory_size)
			return reg->guest_phys_addr + off;
	}
	vt_msg("dev: %p is not guest memory: a bug in the test", hva);
	abort();
}

int vt_stats_read_str(const struct vt_dev *dev, unsigned int vq,
		      const char *name, char *val, size_t len)
{
	char path[160], line[160], key[64], word[64];
	int r = -ENOENT;
	FILE *f;

	if (!dev->stats_dir[0])
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/vq%u", dev->stats_dir, vq);
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %63s", key, word) != 2 ||
		    strcmp(key, name))
			continue;
		snprintf(val, len, "%s", word);
		r = 0;
		break;
	}
	fclose(f);
	return r;
}

int vt_stats_read(const struct vt_dev *dev, unsigned int vq, const char *name,
		  uint64_t *val)
{
	char word[64], *end;
	int r = vt_stats_read_str(dev, vq, name, word, sizeof(word));

	if (r)
		return r;
	*val = strtoull(word, &end, 10);
	return *end ? -EINVAL : 0;
}

bool vt_dev_is_ours(void)
{
	return strstr(vt_dev_path(), "vhost-mmu");
}

unsigned int vt_dev_count(pid_t pid)
{
	DIR *d = opendir("/sys/kernel/debug/vhost_mmu");
	struct dirent *de;
	unsigned int n = 0;
	int tgid, id;

	while (d && (de = readdir(d)))
		if (sscanf(de->d_name, "net-%d-%d", &tgid, &id) == 2)
			n += tgid == pid;
	if (d)
		closedir(d);
	return n;
}
