/* SPDX-License-Identifier: GPL-2.0 */
/*
 * eventfd_signal(ctx): older kernels want the number to add as well.
 */
#ifndef VHOST_MMU_COMPAT_EVENTFD_H
#define VHOST_MMU_COMPAT_EVENTFD_H

#include <linux/eventfd.h>

#ifdef VMMU_EVENTFD_SIGNAL_COUNT
#define eventfd_signal(ctx) eventfd_signal((ctx), 1)
#endif

#endif /* VHOST_MMU_COMPAT_EVENTFD_H */
