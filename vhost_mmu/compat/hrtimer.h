/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmmu_hrtimer_setup(): newer kernels set the function with the rest.
 */
#ifndef VHOST_MMU_COMPAT_HRTIMER_H
#define VHOST_MMU_COMPAT_HRTIMER_H

#include <linux/hrtimer.h>

static inline void
vmmu_hrtimer_setup(struct hrtimer *timer,
		   enum hrtimer_restart (*fn)(struct hrtimer *timer),
		   clockid_t clock, enum hrtimer_mode mode)
{
#ifdef VMMU_HAVE_HRTIMER_SETUP
	hrtimer_setup(timer, fn, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = fn;
#endif
}

#endif /* VHOST_MMU_COMPAT_HRTIMER_H */
