// SPDX-License-Identifier: GPL-2.0
/* The kernel that the MMU's sources find in the unit tests. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "space/hooks.h"
#include "mmu_rig.h"
#include "mmu/flush.h"
#include "mmu/pt_lookup.h"
#include "mmu/pt_zap.h"

struct unit_kernel unit_kernel = {
	.rng = 1,
	.yields_max = ULONG_MAX,
	.pages_max = ULONG_MAX,
	.host_level = VMMU_LEVEL_4K,
};

int unit_rcu_depth;

static struct rcu_head *rcu_waiting;

void unit_die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	if (unit_kernel.dies)
		raise(SIGKILL);
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

struct unit_tlb_entry unit_tlb[UNIT_TLB];
struct vmmu_section unit_sections[UNIT_SECTIONS];

/* As a fault does it, but between two holds of the lock as well. */
bool unit_walk(struct vmmu *mmu, u64 gfn, struct vmmu_leaf *leaf)
{
	const u64 hold = unit_kernel.hold;
	bool found;

	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	found = vmmu_walk(mmu, gfn, leaf);
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	unit_kernel.hold = hold;
	return found;
}

/* As an access does it. */
bool unit_lookup(struct vmmu *mmu, u64 gfn, bool write, struct vmmu_leaf *leaf)
{
	bool found;

	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	found = vmmu_lookup(mmu, gfn, write, leaf);
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	return found;
}

static bool tlb_overlaps(const struct unit_tlb_entry *e, u64 first, u64 last)
{
	return e->npages && e->gfn <= last && e->gfn + e->npages - 1 >= first;
}

/* Be a reader that keeps what it looks up; false if it finds nothing. */
bool unit_tlb_fill(struct vmmu *mmu, u64 gfn, bool write)
{
	struct unit_tlb_entry *e = &unit_tlb[unit_random(UNIT_TLB)];
	struct vmmu_section section = {};
	struct vmmu_leaf leaf;
	bool found;

	/* In a section, which keeps nobody out. */
	section.lock.held = true;
	rcu_read_lock();
	found = vmmu_lookup_in_section(mmu, &section, gfn, write, &leaf);
	rcu_read_unlock();
	if (!found)
		return false;
	e->gfn = vmmu_level_base(gfn, leaf.level);
	e->npages = vmmu_level_pages(leaf.level);
	e->pfn = vmmu_pte_pfn(leaf.pte);
	e->write = write;
	return true;
}

/* Does the reader still have something of these pages? */
bool unit_tlb_has(u64 first, u64 last)
{
	unsigned int i, n = 0;

	for (i = 0; i < UNIT_TLB; i++)
		n += tlb_overlaps(&unit_tlb[i], first, last);
	return n;
}

/*
 * May one page still be used in this way?  Also, that it is used has to be
 * known, and what is a part now has to go with the whole.
 */
static bool tlb_holds(struct vmmu *mmu, const struct unit_tlb_entry *e,
		      u64 gfn)
{
	const u64 need = VMMU_PTE_DIRECT | VMMU_PTE_ACCESSED |
			 (e->write ? VMMU_PTE_WRITE | VMMU_PTE_DIRTY : 0);
	struct vmmu_leaf leaf;
	bool found;

	found = unit_walk(mmu, gfn, &leaf);
	return found && (leaf.pte & need) == need &&
	       vmmu_level_pages(leaf.level) <= e->npages &&
	       vmmu_pte_pfn_of(leaf.pte, leaf.level, gfn) ==
	       e->pfn + (gfn - e->gfn);
}

/* What the reader has of these pages must be what the table says. */
void unit_tlb_check(struct vmmu *mmu, u64 first, u64 last)
{
	const struct unit_tlb_entry *e;
	u64 from, to;

	for (e = unit_tlb; e < unit_tlb + UNIT_TLB; e++) {
		if (!tlb_overlaps(e, first, last))
			continue;
		from = max(first, e->gfn);
		to = min(last, e->gfn + e->npages - 1);
		if (!tlb_holds(mmu, e, from) || !tlb_holds(mmu, e, to) ||
		    !tlb_holds(mmu, e, from + unit_random(to - from + 1)))
			unit_die("a reader still %s pages %#llx to %#llx",
				 e->write ? "writes" : "reads", e->gfn,
				 e->gfn + e->npages - 1);
	}
}

/* vmmu_section::flush, with all of the reader's in one of its sections. */
static void reader_flush(struct vmmu_section *section, u64 first, u64 last)
{
	unsigned int i;

	unit_check(first <= last);
	unit_check(section->lock.held);
	unit_kernel.flushes++;
	if (section != &unit_sections[UNIT_SECTIONS / 2])
		return;
	unit_check(!unit_kernel.owes_flush ||
		   unit_kernel.owes_flush == unit_kernel.hold);
	unit_kernel.owes_flush = 0;
	for (i = 0; i < UNIT_TLB; i++)
		if (tlb_overlaps(&unit_tlb[i], first, last))
			unit_tlb[i].npages = 0;
}

void vmmu_section_drain_begin(struct vmmu_section *section)
{
	spin_lock(&section->lock);
}

void vmmu_section_drain_end(struct vmmu_section *section)
{
	spin_unlock(&section->lock);
}

void unit_locked(void)
{
	static u64 holds;

	unit_kernel.work = 0;
	if (!unit_kernel.resumed)
		unit_kernel.hold = ++holds;
	unit_kernel.resumed = false;
}

void unit_barrier(void)
{
	unit_kernel.barriers++;
}

void unit_worked(void)
{
	unit_kernel.work++;
}

void unit_unlocked(void)
{
	if (unit_kernel.work > unit_kernel.work_max)
		unit_kernel.work_max = unit_kernel.work;
}

bool unit_need_resched(void)
{
	return unit_kernel.yield_percent &&
	       unit_random(100) < unit_kernel.yield_percent;
}

/* So that it is asked for at each entry, not now and then. */
void vmmu_hook_walk(void)
{
}

bool vmmu_hook_yield(void)
{
	return unit_need_resched();
}

void unit_resched(void)
{
	const u64 hold = unit_kernel.hold, owes = unit_kernel.owes_flush;

	unit_check(!unit_rcu_depth);
	if (++unit_kernel.yields > unit_kernel.yields_max)
		unit_die("a walk yields again and again");
	unit_kernel.owes_flush = 0;
	if (unit_kernel.resched)
		unit_kernel.resched();
	unit_kernel.hold = hold;
	unit_kernel.owes_flush = owes;
	unit_kernel.resumed = true;
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
	unit_rcu_depth++;
}

void rcu_read_unlock(void)
{
	unit_check(unit_rcu_depth > 0);
	if (!--unit_rcu_depth)
		rcu_run();
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	vmmu_pte_t *pt = (void *)((char *)container_of(head, struct page, rcu_head) -
			  PAGE_SIZE);
	unsigned int i;

	for (i = 0; i < VMMU_PTES; i++)
		if (pt[i].val != VMMU_PTE_FROZEN)
			unit_die("entry %u of a freed table is %#llx", i,
				 pt[i].val);
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
	unit_check(!unit_rcu_depth);
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

unsigned int vmmu_host_order(struct mm_struct *mm, unsigned long hva,
			     unsigned long pfn)
{
	return vmmu_level_order(unit_kernel.host_level);
}

struct vmmu *unit_table_new(void)
{
	struct vmmu *mmu = calloc(1, sizeof(*mmu));
	unsigned int i;

	unit_check(mmu);
	INIT_LIST_HEAD(&mmu->sections);
	mmu->space = calloc(1, sizeof(*mmu->space));
	unit_check(mmu->space);
	mmu->root = vmmu_pt_alloc(mmu);
	vmmu_pt_account(mmu, mmu->root, 1);
	for (i = 0; i < UNIT_SECTIONS; i++) {
		unit_sections[i].flush = reader_flush;
		vmmu_add_section(mmu, &unit_sections[i]);
	}
	return mmu;
}

/* Of what was mapped nothing must be left. */
void unit_table_free(struct vmmu *mmu)
{
	unsigned int i;

	vmmu_zap(mmu, 0, VMMU_MAX_GFN);
	vmmu_prune(mmu, 0, VMMU_MAX_GFN);
	unit_check(!unit_tlb_has(0, VMMU_MAX_GFN));
	unit_check(atomic64_read(&mmu->stats.pages[0]) == 0);
	unit_check(atomic64_read(&mmu->stats.pages[1]) == 0);
	unit_check(atomic64_read(&mmu->stats.pages[2]) == 0);
	unit_check(atomic64_read(&mmu->stats.table_pages) == 1);
	unit_check(unit_kernel.pages == 1);
	for (i = 0; i < UNIT_SECTIONS; i++)
		vmmu_del_section(mmu, &unit_sections[i]);
	unit_check(list_empty(&mmu->sections));
	vmmu_pt_free(mmu, mmu->root);
	free(mmu->space);
	free(mmu);
}

/* Map one entry, as a fault does, with so many tables at hand. */
enum vmmu_mapped unit_map(struct vmmu *mmu, u64 gfn, unsigned int level,
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

	vmmu_context_init(&ctx, mmu, NULL);
	unit_check(!vmmu_context_topup(&ctx, nr_cached));
	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	ret = vmmu_map_first(&ctx, &iter, VMMU_SHARED, &map);
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	vmmu_context_destroy(&ctx);
	return ret;
}
