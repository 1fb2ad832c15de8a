/* SPDX-License-Identifier: GPL-2.0 */
/* Inside of the module: what is checked as a debug build is loaded. */
#ifndef VHOST_MMU_SELFTEST_H
#define VHOST_MMU_SELFTEST_H

#ifdef VMMU_DEBUG
int vmmu_selftest(void);
#else
static inline int vmmu_selftest(void)
{
	return 0;
}
#endif

#endif /* VHOST_MMU_SELFTEST_H */
