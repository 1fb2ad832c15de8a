/* SPDX-License-Identifier: GPL-2.0 */
/* Flags of get_user_pages() that older kernels lack. */
#ifndef VHOST_MMU_COMPAT_GUP_H
#define VHOST_MMU_COMPAT_GUP_H

#include <linux/mm.h>

#ifndef VMMU_HAVE_FOLL_INTERRUPTIBLE
/* Only a fatal signal ends a fault that user space does not answer. */
#define FOLL_INTERRUPTIBLE 0
#endif

#ifndef VMMU_HAVE_FOLL_HONOR_NUMA_FAULT
/* They honour it by default. */
#define FOLL_HONOR_NUMA_FAULT 0
#endif

#endif /* VHOST_MMU_COMPAT_GUP_H */
