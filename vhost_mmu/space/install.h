/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The install side of the protocol: may a page that was looked up be published?
 */
#ifndef VHOST_MMU_INSTALL_H
#define VHOST_MMU_INSTALL_H

#include "space.h"

bool vmmu_install_begin(struct vmmu_space *space, struct vmmu_range range,
			unsigned long *seq);
bool vmmu_install_refused(struct vmmu_space *space, struct vmmu_range range,
			  unsigned long seq, const rwlock_t *mmu_lock);

bool vmmu_space_inval_open(struct vmmu_space *space, unsigned long start,
			   unsigned long last);

#endif /* VHOST_MMU_INSTALL_H */
