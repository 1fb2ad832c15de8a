/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the notifier does to MMUs.
 */
#ifndef VHOST_MMU_NOTIFY_H
#define VHOST_MMU_NOTIFY_H

#include "../space/space.h"

extern const struct vmmu_space_ops vmmu_mmus_ops;

#endif /* VHOST_MMU_NOTIFY_H */
