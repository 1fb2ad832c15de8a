// SPDX-License-Identifier: GPL-2.0
/* Which MMU a vhost device goes by, asked and told. */
#include "mmu_dev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

static uint64_t number(const struct vt_dev *dev, const char *file,
		       const char *name)
{
	unsigned long long val, found = ~0ULL;
	char path[160], key[64];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dev->stats_dir, file);
	f = fopen(path, "r");
	if (!f) {
		vt_msg("%s: %m", path);
		return found;
	}
	while (fscanf(f, "%63s %llu", key, &val) == 2) {
		if (!strcmp(key, name))
			found = val;
	}
	fclose(f);
	return found;
}

uint64_t vt_mmu_dev_count(const struct vt_dev *dev, const char *name)
{
	return number(dev, "mmu", name);
}

uint64_t vt_mmu_dev_stat(const struct vt_dev *dev, const char *name)
{
	return number(dev, "mmu_stats", name);
}

uint64_t vt_mmu_dev_id(const struct vt_dev *dev)
{
	return vt_mmu_dev_count(dev, "refs") ?
		       vt_mmu_dev_count(dev, "mmu") + 1 :
		       0;
}

int vt_mmu_dev_attach(int vhost, int mmu)
{
	struct vhost_mmu_attach args = { .size = sizeof(args), .fd = mmu };

	return ioctl(vhost, VHOST_MMU_ATTACH, &args) ? -errno : 0;
}

bool vt_mmu_dev_available(void)
{
	return vt_dev_is_ours();
}
