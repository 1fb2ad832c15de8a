/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test hooks: make happen at will what otherwise is too rare or too short to be
 * hit.  Present only in debug builds, where VMMU_DEBUG=1 is given to make.
 */
#ifndef VHOST_MMU_HOOKS_H
#define VHOST_MMU_HOOKS_H

#include <linux/types.h>

#ifdef VMMU_DEBUG
void vmmu_hook_install(void);
bool vmmu_hook_yield(void);
bool vmmu_hook_exclusive(void);
bool vmmu_hook_no_elision(void);
void vmmu_hook_walk(void);
#else
static inline void vmmu_hook_install(void)
{
}

static inline bool vmmu_hook_yield(void)
{
	return false;
}

static inline bool vmmu_hook_exclusive(void)
{
	return false;
}

static inline bool vmmu_hook_no_elision(void)
{
	return false;
}

static inline void vmmu_hook_walk(void)
{
}
#endif

#endif /* VHOST_MMU_HOOKS_H */
