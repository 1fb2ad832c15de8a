/* SPDX-License-Identifier: GPL-2.0 */
/* Barriers become entries in the recorder's log, so that tests see them. */
#ifndef UNIT_ASM_BARRIER_H
#define UNIT_ASM_BARRIER_H

void unit_rmb(void);
void unit_wmb(void);
void unit_mb(void);

#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_rmb()	unit_rmb()
#define smp_wmb()	unit_wmb()
#ifndef smp_mb
#define smp_mb()	unit_mb()
#endif

#endif
