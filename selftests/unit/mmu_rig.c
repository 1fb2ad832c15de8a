// SPDX-License-Identifier: GPL-2.0
/* The kernel that the MMU's sources find in the unit tests. */
#include <stdarg.h>
#include <stdio.h>

#include "mmu/hooks.h"
#include "mmu_rig.h"
#include "mmu/cursor.h"

struct unit_kernel unit_kernel = {
	.rng = 1,
	.yields_max = ULONG_MAX,
	.pages_max = ULONG_MAX,
	.host_level = VMMU_LEVEL_4K,
};

static struct rcu_head *rcu_waiting;

void unit_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}

/* Numbers below a bound. */
u64 unit_random(u64 below)
{
	u64 x = unit_kernel.rng;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	unit_kernel.rng = x;
	return (x * 0x2545f4914f6cdd1dULL >> 16) % below;
}

/* Soft TLBs, of which there are none here: what they would be told. */
void vmmu_readers_flush(struct vmmu_table *table, u64 first, u64 last)
{
	unit_check(first <= last);
	unit_kernel.flushes++;
	unit_kernel.flush_first = first;
	unit_kernel.flush_last = last;
}

bool unit_need_resched(void)
{
	return unit_kernel.yield_percent &&
	       unit_random(100) < unit_kernel.yield_percent;
}

/* So that it is asked for at each entry, not now and then. */
bool vmmu_hook_yield(void)
{
	return unit_need_resched();
}

void unit_resched(void)
{
	unit_check(!unit_kernel.rcu_depth);
	if (++unit_kernel.yields > unit_kernel.yields_max)
		unit_die("a walk yields again and again");
	if (unit_kernel.resched)
		unit_kernel.resched();
}

/* Called with no section open: the grace period of everything is over. */
static void rcu_run(void)
{
	struct rcu_head *head;

	while (rcu_waiting) {
		head = rcu_waiting;
		rcu_waiting = head->next;
		head->func(head);
	}
}

void rcu_read_lock(void)
{
	unit_kernel.rcu_depth++;
}

void rcu_read_unlock(void)
{
	unit_check(unit_kernel.rcu_depth > 0);
	if (!--unit_kernel.rcu_depth)
		rcu_run();
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	u64 *pt = (u64 *)((char *)container_of(head, struct page, rcu_head) -
			  PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < VMMU_PTES; i++)
		if (pt[i] != VMMU_PTE_FROZEN)
			unit_die("entry %u of a freed table is %#llx", i, pt[i]);
	head->func = func;
	head->next = rcu_waiting;
	rcu_waiting = head;
}

void synchronize_srcu_expedited(struct srcu_struct *srcu)
{
	unit_check(!srcu->readers);
	if (unit_kernel.synchronize)
		unit_kernel.synchronize();
}

void *unit_alloc(size_t size)
{
	void *p = calloc(1, size);

	unit_check(p);
	unit_kernel.objects++;
	return p;
}

void unit_free(void *p)
{
	if (p)
		unit_kernel.objects--;
	free(p);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	void *addr;

	/* The allocator may sleep. */
	unit_check(!unit_kernel.rcu_depth);
	if (unit_kernel.pages >= unit_kernel.pages_max)
		return 0;
	addr = aligned_alloc(PAGE_SIZE, 2 * PAGE_SIZE);
	unit_check(addr);
	memset(addr, 0, 2 * PAGE_SIZE);
	unit_kernel.pages++;
	return (unsigned long)addr;
}

struct page *virt_to_page(void *addr)
{
	return (struct page *)((char *)addr + PAGE_SIZE);
}

void __free_page(struct page *page)
{
	void *addr = (char *)page - PAGE_SIZE;

	/* Without the sanitizer: tables that are nowhere. */
	memset(addr, 0x41, PAGE_SIZE);
	unit_kernel.pages--;
	free(addr);
}

void folio_mark_dirty(struct folio *folio)
{
	unit_kernel.dirty++;
	unit_kernel.dirty_pfns += (unsigned long)folio;
}

void folio_set_referenced(struct folio *folio)
{
	unit_kernel.accessed++;
	unit_kernel.accessed_pfns += (unsigned long)folio;
}

unsigned int vmmu_host_level(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn)
{
	return unit_kernel.host_level;
}

struct vmmu_table *unit_table_new(void)
{
	struct vmmu_table *table = calloc(1, sizeof(*table));

	unit_check(table);
	table->space = calloc(1, sizeof(*table->space));
	unit_check(table->space);
	table->root = vmmu_pt_alloc(table);
	vmmu_pt_account(table, table->root, 1);
	return table;
}

/* Of what was mapped nothing must be left. */
void unit_table_free(struct vmmu_table *table)
{
	vmmu_zap(table, 0, VMMU_MAX_GFN);
	vmmu_prune(table, 0, VMMU_MAX_GFN);
	unit_check(atomic64_read(&table->stats.pages[0]) == 0);
	unit_check(atomic64_read(&table->stats.pages[1]) == 0);
	unit_check(atomic64_read(&table->stats.pages[2]) == 0);
	unit_check(atomic64_read(&table->stats.table_pages) == 1);
	unit_check(unit_kernel.pages == 1);
	vmmu_pt_free(table, table->root);
	free(table->space);
	free(table);
}

/* Map one entry, as a fault does, with so many tables at hand. */
enum vmmu_mapped unit_map(struct vmmu_table *table, u64 gfn, unsigned int level,
			  unsigned long pfn, u64 bits, unsigned int nr_cached)
{
	const struct vmmu_mapping map = {
		.gfn = vmmu_level_base(gfn, level),
		.pfn = pfn,
		.level = level,
		.bits = bits,
	};
	struct vmmu_context ctx;
	struct vmmu_iter iter;
	enum vmmu_mapped ret;

	vmmu_context_init(&ctx, table, NULL);
	unit_check(!vmmu_context_topup(&ctx, nr_cached));
	read_lock(&table->mmu_lock);
	rcu_read_lock();
	ret = vmmu_map_first(&ctx, &iter, &map);
	rcu_read_unlock();
	read_unlock(&table->mmu_lock);
	vmmu_context_destroy(&ctx);
	return ret;
}
