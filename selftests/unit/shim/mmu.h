/* SPDX-License-Identifier: GPL-2.0 */
/*
 * As much of the kernel as the sources of the MMU need, for one thread: put in
 * front of each of them by -include, while the headers that they include are
 * empty.  Locks know how they are held, and a wrong use ends in unit_die().
 * Where the kernel would let others run, unit_resched() is called.
 */
#ifndef UNIT_MMU_SHIM_H
#define UNIT_MMU_SHIM_H

#include <errno.h>
#include <limits.h>
#include <linux/compiler.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef __s64 s64;

void unit_die(const char *fmt, ...)
	__attribute__((noreturn, format(printf, 1, 2)));
bool unit_need_resched(void);
void unit_resched(void);
void unit_locked(void);
void unit_unlocked(void);
void unit_worked(void);

#define unit_check(cond)						\
do {									\
	if (!(cond))							\
		unit_die("%s:%d: %s is not so", __FILE__, __LINE__, #cond); \
} while (0)

#define CONFIG_X86_64 1

/* Annotations, and what is said about errors. */
#define __user
#define __rcu
#define __init
#define __initdata
#define __initconst
#define __acquires(x)
#define __must_check		__attribute__((warn_unused_result))
#define __must_hold(x)
#define __releases(x)
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define BUILD_BUG_ON(cond)	_Static_assert(!(cond), #cond)
#define WARN_ONCE(cond, fmt, ...)					\
({									\
	if (cond)							\
		unit_die(fmt, __VA_ARGS__);				\
	0;								\
})
#define WARN_ON_ONCE(cond)	WARN_ONCE(cond, "%s", #cond)
#define pr_err(...)		fprintf(stderr, __VA_ARGS__)

/* Numbers. */
#define PAGE_SHIFT		12
#define PAGE_SIZE		(1UL << PAGE_SHIFT)
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define offset_in_page(p)	((unsigned long)(p) & ~PAGE_MASK)
#define IS_ALIGNED(x, a)	(!((x) & ((__typeof__(x))(a) - 1)))
#define PAGE_ALIGNED(x)		(!((x) & (PAGE_SIZE - 1)))
#define BITS_PER_BYTE		8
#define BITS_PER_LONG		64
#define U32_MAX			UINT32_MAX
#define U64_MAX			UINT64_MAX
#define DIV_ROUND_UP(n, d)	(((n) + (d) - 1) / (d))
#define BITS_TO_LONGS(n)	DIV_ROUND_UP(n, BITS_PER_LONG)
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define min(x, y)		((x) < (y) ? (x) : (y))
#define max(x, y)		((x) > (y) ? (x) : (y))
#define min_t(type, x, y)	min((type)(x), (type)(y))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define __ffs64(n)		((unsigned int)__builtin_ctzll(n))
#define fls64(n)		((n) ? 64 - __builtin_clzll(n) : 0)

#define container_of(ptr, type, member)					\
	((type *)((char *)(ptr) - offsetof(type, member)))

/* Memory: a kernel address is a physical one. */
typedef unsigned int gfp_t;

#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __va(x)			((void *)(unsigned long)(x))
#define __pa(x)			((unsigned long)(x))
#define PFN_PHYS(pfn)		((u64)(pfn) << PAGE_SHIFT)

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

/* Of tables, right behind them. */
struct page {
	struct rcu_head rcu_head;
};

/* Of guest memory: the address is the page number. */
struct folio;

unsigned long get_zeroed_page(gfp_t gfp);
void __free_page(struct page *page);
struct page *virt_to_page(void *addr);
void folio_mark_dirty(struct folio *folio);
void folio_set_referenced(struct folio *folio);
#define folio_mark_accessed folio_set_referenced
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));

/* Named in functions that are not used. */
#define page_folio(page)	((struct folio *)(page))
#define folio_test_anon(folio)	((void)(folio), true)
#define folio_is_zone_device(folio) ((void)(folio), false)
#define PageHWPoison(page)	((void)(page), false)

#define free_page(addr)		__free_page(virt_to_page((void *)(addr)))
#define __get_free_page(gfp)	get_zeroed_page(gfp)
#define pfn_folio(pfn)		((struct folio *)(unsigned long)(pfn))
#define mod_lruvec_page_state(page, item, n) ((void)(page))

void *unit_alloc(size_t size);
void unit_free(void *p);

#define kzalloc(size, gfp)	unit_alloc(size)
#define kvcalloc(n, size, gfp)	unit_alloc((n) * (size))
#define kfree(p)		unit_free(p)
#define kvfree(p)		unit_free(p)

static inline void *memchr_inv(const void *start, int c, size_t bytes)
{
	const unsigned char *p = start;

	for (; bytes; bytes--, p++)
		if (*p != (unsigned char)c)
			return (void *)p;
	return NULL;
}

static inline void bitmap_set(unsigned long *map, size_t start, size_t n)
{
	for (; n; n--, start++)
		map[start / BITS_PER_LONG] |= 1UL << start % BITS_PER_LONG;
}

/* Atomic is what one thread does anyway. */
typedef struct {
	s64 counter;
} atomic64_t;

typedef struct {
	int counter;
} atomic_t;

/* Instead of those of linux/compiler.h. */
#undef READ_ONCE
#undef WRITE_ONCE
#define READ_ONCE(x)							\
	(unit_worked(), *(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define xchg(p, v)		__atomic_exchange_n(p, v, __ATOMIC_SEQ_CST)
#define try_cmpxchg64(p, old, v)					\
	__atomic_compare_exchange_n(p, old, v, 0, __ATOMIC_SEQ_CST,	\
				    __ATOMIC_SEQ_CST)
#define atomic_read(v)		((v)->counter)
#define atomic_inc(v)		((void)(v)->counter++)
#define atomic_dec_return(v)	(--(v)->counter)
#define atomic64_read(v)	((v)->counter)
#define atomic64_set(v, n)	((void)((v)->counter = (n)))
#define atomic64_add(n, v)	((void)((v)->counter += (s64)(n)))
#define atomic64_sub(n, v)	((void)((v)->counter -= (s64)(n)))
#define atomic64_inc(v)		atomic64_add(1, v)
#define atomic64_dec(v)		atomic64_sub(1, v)
#define atomic64_add_return(n, v) ((v)->counter += (s64)(n))

typedef struct {
	long counter;
} atomic_long_t;

#define atomic_long_or(n, v)	((void)((v)->counter |= (n)))
#define atomic_long_fetch_andnot(n, v)					\
	__atomic_fetch_and(&(v)->counter, ~(n), __ATOMIC_SEQ_CST)
#define test_bit(nr, map)						\
	((map)[(nr) / BITS_PER_LONG] >> (nr) % BITS_PER_LONG & 1)
#define test_and_set_bit(nr, map)					\
	(__atomic_fetch_or(&(map)[(nr) / BITS_PER_LONG],		\
			   1UL << (nr) % BITS_PER_LONG, __ATOMIC_SEQ_CST) >> \
	 (nr) % BITS_PER_LONG & 1)
#define BITMAP_LAST_WORD_MASK(n) (~0UL >> (-(n) & (BITS_PER_LONG - 1)))
void unit_barrier(void);
#define smp_mb()		unit_barrier()

/* Locks. */
typedef struct {
	int readers;
	bool writer;
} rwlock_t;

typedef struct {
	bool held;
} spinlock_t;

struct mutex {
	bool held;
};

struct srcu_struct {
	int readers;
};

extern int unit_rcu_depth;
void rcu_read_lock(void);
void rcu_read_unlock(void);
void synchronize_srcu_expedited(struct srcu_struct *srcu);

#define read_lock(l)							\
do {									\
	unit_check(!(l)->writer);					\
	(l)->readers++;							\
	unit_locked();							\
} while (0)
#define read_unlock(l)							\
do {									\
	unit_check((l)->readers > 0);					\
	unit_unlocked();						\
	(l)->readers--;							\
} while (0)
#define write_lock(l)							\
do {									\
	unit_check(!(l)->writer && !(l)->readers);			\
	(l)->writer = true;						\
	unit_locked();							\
} while (0)
#define write_unlock(l)							\
do {									\
	unit_check((l)->writer);					\
	unit_unlocked();						\
	(l)->writer = false;						\
} while (0)
#define write_trylock(l)						\
({									\
	write_lock(l);							\
	true;								\
})
#define mutex_lock(l)							\
do {									\
	unit_check(!(l)->held);						\
	(l)->held = true;						\
} while (0)
#define mutex_unlock(l)							\
do {									\
	unit_check((l)->held);						\
	(l)->held = false;						\
} while (0)
#define spin_lock(l)		mutex_lock(l)
#define spin_unlock(l)		mutex_unlock(l)
static inline bool unit_rwlock_held(const rwlock_t *l)
{
	return l->writer || l->readers;
}

static inline bool unit_spin_held(const spinlock_t *l)
{
	return l->held;
}

static inline bool unit_mutex_held(const struct mutex *l)
{
	return l->held;
}

#define unit_lock_held(l)						\
	_Generic(*(l), rwlock_t: unit_rwlock_held,			\
		 spinlock_t: unit_spin_held,				\
		 struct mutex: unit_mutex_held)(l)
#define lockdep_assert_held(l)		unit_check(unit_lock_held(l))
#define lockdep_assert_not_held(l)	unit_check(!unit_lock_held(l))
#define lockdep_assert_held_read(l)	unit_check((l)->readers > 0)
#define lockdep_assert_held_write(l)	unit_check((l)->writer)
#define lockdep_assert(cond)		unit_check(cond)
#define srcu_read_lock(s)		((s)->readers++, 0)
#define srcu_read_unlock(s, idx)	((void)(idx), (void)(s)->readers--)
#define srcu_read_lock_held(s)		((s)->readers > 0)
#define rcu_read_lock_held()		(unit_rcu_depth > 0)
#define RCU_LOCKDEP_WARN(cond, what)					\
	do {								\
		if (cond)						\
			unit_die("%s:%d: %s", __FILE__, __LINE__, what); \
	} while (0)
#define rcu_dereference_raw(p)		READ_ONCE(p)
#define rcu_assign_pointer(p, v)	WRITE_ONCE(p, v)
#define RCU_INIT_POINTER(p, v)		WRITE_ONCE(p, v)
#define need_resched()			unit_need_resched()
#define rwlock_is_contended(l)		((void)(l), false)
#define cond_resched()			unit_resched()
#define cpu_relax()			unit_resched()

/* What is in the structures, but hardly used here. */
struct list_head {
	struct list_head *next, *prev;
};

struct hlist_head {
	struct hlist_node *first;
};

struct hlist_node {
	struct hlist_node *next, **pprev;
};

struct kref {
	int count;
};

struct rcuwait {
	int unused;
};

struct work_struct {
	int unused;
};

struct mm_struct;
struct page_frag;
struct vm_area_struct;

struct mmu_notifier {
	struct mm_struct *mm;
};

struct mmu_notifier_ops {
	int unused;
};

#define ktime_get_ns()		0ULL
#define list_for_each_entry_rcu(pos, head, member, held)		\
	list_for_each_entry(pos, head, member)

/* Loads that may fail: who can make them fail finds them by this. */
#define _ASM_EXTABLE_TYPE(from, to, type)				\
	".pushsection unit_extable, \"aw\"\n\t"			\
	".quad " #from ", " #to "\n\t"				\
	".popsection\n\t"
#define copy_mc_to_kernel(to, from, n) unit_copy_mc(to, from, n)
unsigned long unit_copy_mc(void *to, const void *from, size_t n);

#define get_user(x, p)		((x) = 0, (void)(p), unit_die("get_user()"), 0)
#define put_user(x, p)		((void)(x), (void)(p), unit_die("put_user()"), 0)

/* User space memory is ours. */
#define access_ok(addr, size)	((void)(addr), (void)(size), true)
#define copy_to_user(to, from, n) (memcpy(to, from, n), 0)
#define copy_from_user(to, from, n) (memcpy(to, from, n), 0)
#define u64_to_user_ptr(p)	((void *)(unsigned long)(p))
#define fatal_signal_pending(task) false

/* An array of as many as there are memslots. */
struct xarray {
	void *entry[32768];
	unsigned int nr;
};

static inline void *xa_store(struct xarray *xa, unsigned long i, void *entry,
			     gfp_t gfp)
{
	void *old = xa->entry[i];

	xa->entry[i] = entry;
	xa->nr += !!entry - !!old;
	return old;
}

#define xa_init(xa)		memset(xa, 0, sizeof(*(xa)))
#define xa_destroy(xa)		((void)(xa))
#define xa_load(xa, i)		((xa)->entry[i])
#define xa_erase(xa, i)		xa_store(xa, i, NULL, 0)
#define xa_err(entry)		((void)(entry), 0)
#define xa_empty(xa)		(!(xa)->nr)
#define xa_for_each(xa, i, e)						\
	for ((i) = 0; (i) < ARRAY_SIZE((xa)->entry); (i)++)		\
		if (((e) = (xa)->entry[i]))

#endif
