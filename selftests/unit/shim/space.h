/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the making and freeing of spaces asks of the kernel besides: everything
 * that waits lets space_test do something meanwhile.
 */
#ifndef UNIT_SPACE_H
#define UNIT_SPACE_H

#define __ro_after_init
#define ERR_PTR(err)		((void *)(long)(err))

#define mmap_assert_write_locked(mm) ((void)(mm))
#define spin_lock_init(l)	memset(l, 0, sizeof(*(l)))
#define rwlock_init(l)		memset(l, 0, sizeof(*(l)))
#define mutex_init(l)		memset(l, 0, sizeof(*(l)))

#define ATOMIC_INIT(n)		{ n }
#define atomic_read(v)		((v)->counter)
#define atomic_inc(v)		((void)(v)->counter++)
#define atomic_dec_and_test(v)	(!--(v)->counter)

void unit_wait(void);
void unit_wake(void);
void synchronize_rcu(void);
void mmu_notifier_synchronize(void);

#define wait_var_event(var, cond)					\
do {									\
	(void)(var);							\
	while (!(cond))							\
		unit_wait();						\
} while (0)
#define wake_up_var(var)	((void)(var), unit_wake())

#endif
