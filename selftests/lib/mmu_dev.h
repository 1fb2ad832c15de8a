/* SPDX-License-Identifier: GPL-2.0 */
/* Vhost devices and the MMUs that they go by. */
#ifndef VHOST_TEST_MMU_DEV_H
#define VHOST_TEST_MMU_DEV_H

#include "mmu.h"

/*
 * A number from the file "mmu" of a device in debugfs: "refs" (0: there is no
 * MMU), "mmu" (its number then), "attached", "failures". ~0 if it is not there.
 */
uint64_t vt_mmu_dev_count(const struct vt_dev *dev, const char *name);
/* A statistic of its MMU, or ~0 if it has no MMU. */
uint64_t vt_mmu_dev_stat(const struct vt_dev *dev, const char *name);
/* Tells MMUs apart; 0 for none. */
uint64_t vt_mmu_dev_id(const struct vt_dev *dev);
/* VHOST_MMU_ATTACH; @mmu -1 to detach. 0 or -errno. */
int vt_mmu_dev_attach(int vhost, int mmu);
/* The device under test has MMUs: it is not stock vhost. */
bool vt_mmu_dev_available(void);
#define VT_MMU_DEV_NONE		"stock vhost has no MMU"

#endif
