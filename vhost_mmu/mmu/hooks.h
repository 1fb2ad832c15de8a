/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Test hook: hold an install between its look-up of the page and its
 * publication, where a race is otherwise too short to be hit.  Present only
 * where the kernel has fault injection, that is on debug kernels.
 */
#ifndef VHOST_MMU_HOOKS_H
#define VHOST_MMU_HOOKS_H

#ifdef CONFIG_FAULT_INJECTION
void vmmu_hook_install(void);
#else
static inline void vmmu_hook_install(void)
{
}
#endif

#endif /* VHOST_MMU_HOOKS_H */
