// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping, taking back, splitting, merging, protecting and ageing in random
 * order, against plain arrays.  Walks yield at random, and then something else
 * happens elsewhere; readers mark entries just before they are changed.  A reader
 * that keeps what it looked up is never left with what a table does not say.
 *
 * UNIT_SEED repeats a run, UNIT_STEPS sets how long it is.
 */
#include <time.h>

#include "kselftest_harness.h"
#include "mmu/age.h"
#include "table_model.h"

#define EPISODE_STEPS 256
#define SAMPLES 24

enum op {
	MAP, ZAP, PRUNE, SPLIT, PROTECT, PROTECT_MASK, COLLAPSE, LOOKUP, AGE,
	REMAP, OPS
};

static const char * const op_names[OPS] = {
	"map", "zap", "prune", "split", "protect", "protect_mask", "collapse",
	"lookup", "age", "remap",
};

/* How often each is done, of 1000. */
static const unsigned int weights[OPS] = {
	500, 90, 40, 40, 40, 60, 20, 150, 50, 10,
};

static struct {
	struct vmmu *mmu;
	/* What the step under way changes, for what happens beside it. */
	u64 first, last;
	bool beside;
	u64 seed;
	u64 step;
	enum op op;
	/* What has been covered. */
	u64 done[OPS];
	u64 mapped[VMMU_MAP_NOMEM + 1];
	u64 races;
	u64 besides;
	u64 young;
	u64 kept;
} test;

static void die(const char *what, long long is, long long expected)
{
	unit_die("%s is %lld, not %lld, after %s [%#llx, %#llx], step %llu;"
		 " repeat with UNIT_SEED=%llu -t given_seed", what, is,
		 expected, op_names[test.op], test.first, test.last, test.step,
		 test.seed);
}

static void check(const char *what, long long is, long long expected)
{
	if (is != expected)
		die(what, is, expected);
}

static void check_counters(void)
{
	struct vmmu_stats *s = &test.mmu->stats;

	check("pages_4k", atomic64_read(&s->pages[0]), model.pages[0]);
	check("pages_2m", atomic64_read(&s->pages[1]), model.pages[1]);
	check("pages_1g", atomic64_read(&s->pages[2]), model.pages[2]);
	check("table_pages", atomic64_read(&s->table_pages), model.tables);
	check("allocated tables", unit_kernel.pages, model.tables);
	check("pages_zapped", atomic64_read(&s->pages_zapped), model.zapped);
	check("splits", atomic64_read(&s->splits), model.splits);
	check("collapses", atomic64_read(&s->collapses), model.collapses);
	check("dirty leaves", unit_kernel.dirty, model.dirty);
	check("sum of dirty pages", unit_kernel.dirty_pfns, model.dirty_pfns);
	check("used leaves", unit_kernel.accessed, model.accessed);
	check("sum of used pages", unit_kernel.accessed_pfns,
	      model.accessed_pfns);
}

static void check_page(u32 page)
{
	const u64 gfn = model_gfn(page);
	struct vmmu_leaf leaf;

	check("mapped", unit_walk(test.mmu, gfn, &leaf), !!model.level[page]);
	if (model.level[page]) {
		check("level", leaf.level, model.level[page]);
		check("bits", leaf.pte & MODEL_BITS, model.bits[page]);
		check("page", vmmu_pte_pfn_of(leaf.pte, leaf.level, gfn),
		      model_pfn(page));
	}
}

static void check_all(void)
{
	u64 leaves[VMMU_LEVEL_MAX_LEAF] = {};
	struct vmmu_iter iter;
	unsigned int percent = unit_kernel.yield_percent;
	u32 page;

	unit_kernel.yield_percent = 0;
	read_lock(&test.mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, test.mmu, VMMU_SHARED, 1, 0, VMMU_MAX_GFN)
		if (vmmu_pte_leaf(iter.old))
			leaves[iter.level - 1]++;
	rcu_read_unlock();
	read_unlock(&test.mmu->mmu_lock);
	check("4 KiB leaves", leaves[0], model.pages[0]);
	check("2 MiB leaves", leaves[1], model.pages[1]);
	check("1 GiB leaves", leaves[2], model.pages[2]);
	for (page = 0; page < MODEL_PAGES; page += 1 + unit_random(97))
		check_page(page);
	unit_kernel.yield_percent = percent;
}

/* A page where something happens: few of them, and many at ends of tables. */
static u32 random_page(unsigned int block)
{
	static const u32 places[] = { 0, 512, 1024, 100000, BLOCK_PAGES - 1024,
				      BLOCK_PAGES - 512 };

	return block * BLOCK_PAGES + places[unit_random(ARRAY_SIZE(places))] +
	       (unit_random(4) ? unit_random(12) : unit_random(512));
}

static void random_range(unsigned int block)
{
	const u32 from = random_page(block), in_block = from % BLOCK_PAGES;
	u64 n = 1;

	switch (unit_random(16)) {
	case 0:
		n = unit_random(BLOCK_PAGES) + 1;
		break;
	case 1 ... 4:
		n = unit_random(1500) + 1;
		break;
	case 5 ... 8:
		n = 512 - in_block % 512;
		break;
	case 9 ... 14:
		n = unit_random(20) + 1;
		break;
	}
	n = min(n, BLOCK_PAGES - in_block);
	test.first = model_gfn(from);
	test.last = test.first + n - 1;
}

static u64 random_bits(void)
{
	u64 bits = VMMU_PTE_PRESENT | VMMU_PTE_LEAF;

	if (unit_random(10))
		bits |= VMMU_PTE_DIRECT;
	if (unit_random(3))
		bits |= VMMU_PTE_HOST_WRITE;
	if (bits & VMMU_PTE_HOST_WRITE && unit_random(2))
		bits |= VMMU_PTE_WRITE;
	if (!unit_random(4))
		bits |= VMMU_PTE_ACCESSED;
	return bits;
}

static void do_map(unsigned int block)
{
	const unsigned int kind = unit_random(100);
	const unsigned int level = kind < 1 ? 3 : kind < 20 ? 2 : 1;
	const unsigned int cached = test.beside || unit_random(8) ?
					    3 : unit_random(3);
	const u32 page = random_page(block);
	const u64 bits = random_bits();
	u32 at = page & ~(vmmu_level_pages(level) - 1);
	enum vmmu_mapped is, expected;
	u64 pfn = model_pfn(at);

	test.first = model_gfn(at);
	test.last = test.first;
	/* The page was replaced, and its invalidation is under way. */
	if (level == 1 && model.level[page] == 1 && !unit_random(10))
		pfn ^= 1;
	expected = model_map(page, level, pfn, bits, cached);
	is = unit_map(test.mmu, model_gfn(page), level, pfn, bits, cached);
	check("result", is, expected);
	test.mapped[is]++;
}

static void do_protect_mask(void)
{
	const u64 first = test.first;
	u64 mask = unit_random(2) ? ~0ULL : unit_random(U64_MAX);
	struct vmmu_gather gather;
	unsigned int i;

	mask &= ~0ULL >> unit_random(64);
	if (!mask)
		return;
	/* A word of a bitmap begins at any page. */
	for (i = 0; i < 64; i++)
		if (mask >> i & 1)
			model_clear(first + i, first + i, VMMU_PTE_WRITE);
	write_lock(&test.mmu->mmu_lock);
	vmmu_gather_begin(&gather, test.mmu, true);
	vmmu_protect_mask(&gather, first, mask);
	vmmu_gather_end(&gather);
	write_unlock(&test.mmu->mmu_lock);
}

static void do_collapse(unsigned int block)
{
	const bool held = test.mmu->slots_lock.held;
	static const u64 skews[] = { 0, 0, 0, 1, 512 };
	struct vmmu_memslot slot = {};

	slot.map.gfn = test.first;
	slot.map.npages = test.last - test.first + 1;
	if (unit_random(2)) {
		slot.map.gfn = block_gfn[block];
		slot.map.npages = BLOCK_PAGES;
	}
	test.first = block_gfn[block];
	test.last = test.first + BLOCK_PAGES - 1;
	slot.map.hva = (slot.map.gfn % BLOCK_PAGES +
			skews[unit_random(ARRAY_SIZE(skews))]) << PAGE_SHIFT;
	unit_kernel.host_level = 1 + unit_random(3);
	model_collapse(&slot.map, unit_kernel.host_level);
	/* Another may be under way beside, which a real lock would keep out. */
	test.mmu->slots_lock.held = true;
	vmmu_collapse_huge(test.mmu, &slot);
	test.mmu->slots_lock.held = held;
}

static void do_lookup(unsigned int block)
{
	const u32 page = random_page(block);
	const bool write = unit_random(2);
	const bool expected = model_lookup(page, write);
	struct vmmu_leaf leaf;

	test.first = model_gfn(page);
	test.last = test.first;
	check("lookup", unit_lookup(test.mmu, test.first, write, &leaf),
	      expected);
}

static void do_age(void)
{
	/* Another set for what is done beside others. */
	static unsigned long maps[2][2][BLOCK_PAGES / BITS_PER_LONG + 1];
	unsigned long *is = maps[test.beside][0];
	unsigned long *expected = maps[test.beside][1];
	const u64 n = test.last - test.first + 1;
	const bool clear = unit_random(2), bitmap = unit_random(2);
	u64 young = 0, old;

	memset(is, 0xff, sizeof(maps[0][0]));
	memset(expected, 0, sizeof(maps[0][0]));
	old = model_age(test.first, test.last, clear, bitmap ? expected : NULL);
	check("vmmu_age()",
	      vmmu_age(test.mmu, test.first << PAGE_SHIFT, n << PAGE_SHIFT,
		       clear, bitmap ? (u64 *)is : NULL, &young), 0);
	check("young", young, old);
	if (bitmap)
		check("bitmap", memcmp(is, expected, BITS_TO_LONGS(n) * 8), 0);
	test.young += young;
}

/* Other memory behind a block: what was there is taken back first. */
static void do_remap(unsigned int block)
{
	test.first = block_gfn[block];
	test.last = test.first + BLOCK_PAGES - 1;
	model_zap(test.first, test.last);
	vmmu_zap(test.mmu, test.first, test.last);
	model.base[block] += BLOCKS * BLOCK_PAGES;
}

static void keep(u32 page)
{
	const bool write = unit_random(2), expected = model_lookup(page, write);

	check("looked up to be kept",
	      unit_tlb_fill(test.mmu, model_gfn(page), write), expected);
	test.kept += expected;
}

/* Let the reader have some of what is going to be changed, and its ends. */
static void keep_some(unsigned int block)
{
	const u32 first = block * BLOCK_PAGES + (test.first - block_gfn[block]);
	const u64 n = test.last - test.first + 1;

	keep(first);
	keep(first + n - 1);
	keep(first + unit_random(n));
	keep(random_page(block));
}

static void do_op(enum op op, unsigned int block)
{
	struct vmmu *mmu = test.mmu;

	test.op = op;
	random_range(block);
	keep_some(block);
	if (!test.beside && (op == ZAP || op == PRUNE) && !unit_random(8)) {
		test.first = 0;
		test.last = VMMU_MAX_GFN;
	}
	switch (op) {
	case MAP:
		do_map(block);
		break;
	case ZAP:
		model_zap(test.first, test.last);
		vmmu_zap(mmu, test.first, test.last);
		break;
	case PRUNE:
		model_prune(test.first, test.last);
		vmmu_prune(mmu, test.first, test.last);
		break;
	case SPLIT:
		model_split(test.first, test.last);
		vmmu_split_huge(mmu, test.first, test.last);
		break;
	case PROTECT:
		model_clear(test.first, test.last, VMMU_PTE_WRITE);
		vmmu_protect(mmu, test.first, test.last);
		break;
	case PROTECT_MASK:
		do_protect_mask();
		break;
	case COLLAPSE:
		do_collapse(block);
		break;
	case LOOKUP:
		do_lookup(block);
		break;
	case AGE:
		do_age();
		break;
	case REMAP:
		do_remap(block);
		break;
	default:
		break;
	}
	/* Whoever is back from a change may rely on it. */
	check("hold without a flush", unit_kernel.owes_flush, 0);
	unit_tlb_check(mmu, test.first, test.last);
	test.done[op]++;
}

static enum op random_op(void)
{
	unsigned int at = unit_random(1000), op;

	for (op = 0; op < OPS - 1 && at >= weights[op]; op++)
		at -= weights[op];
	return op;
}

/* While a walk lets go of its lock, something is done in another block. */
static void beside(void)
{
	const u64 first = test.first, last = test.last;
	const unsigned int block = unit_random(BLOCKS);
	const unsigned int percent = unit_kernel.yield_percent;
	const unsigned int host_level = unit_kernel.host_level;
	const enum op op = test.op;

	if (test.beside || unit_random(20) ||
	    (last >= block_gfn[block] &&
	     first < block_gfn[block] + BLOCK_PAGES))
		return;
	test.beside = true;
	unit_kernel.yield_percent = 0;
	do_op(random_op(), block);
	unit_kernel.yield_percent = percent;
	unit_kernel.host_level = host_level;
	test.beside = false;
	test.first = first;
	test.last = last;
	test.op = op;
	test.besides++;
}

/* A reader, which holds nothing that keeps it out, marks what it uses. */
static void race(struct vmmu_iter *iter, u64 new)
{
	u64 old = iter->ptep->val, marks = VMMU_PTE_ACCESSED;

	if (vmmu_pte_leaf(new) || !vmmu_pte_leaf(old) ||
	    !(old & VMMU_PTE_DIRECT) || unit_random(8))
		return;
	if (old & VMMU_PTE_WRITE)
		marks |= VMMU_PTE_DIRTY;
	iter->ptep->val |= marks;
	model_race(iter->gfn, iter->level, old, marks, vmmu_pte_present(new));
	test.races++;
}

bool __real_vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new);
bool __wrap_vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new);
void __real_vmmu_iter_set(struct vmmu_iter *iter, u64 new);
void __wrap_vmmu_iter_set(struct vmmu_iter *iter, u64 new);

/* Has something been taken that the reader has?  Then it is to be told. */
static void changed(const struct vmmu_iter *iter, u64 old, u64 new)
{
	const u64 bits = VMMU_PTE_PRESENT | VMMU_PTE_WRITE | VMMU_PTE_ACCESSED;

	if (!vmmu_pte_present(old) || vmmu_pte_table(new) ||
	    (vmmu_pte_leaf(old) && !(old & ~new & bits)))
		return;
	if (unit_tlb_has(iter->gfn, vmmu_level_next(iter->gfn, iter->level) - 1))
		unit_kernel.owes_flush = unit_kernel.hold;
}

bool __wrap_vmmu_iter_cmpxchg(struct vmmu_iter *iter, u64 new)
{
	u64 old;

	race(iter, new);
	old = iter->old;
	if (!__real_vmmu_iter_cmpxchg(iter, new))
		return false;
	changed(iter, old, new);
	return true;
}

void __wrap_vmmu_iter_set(struct vmmu_iter *iter, u64 new)
{
	u64 old;

	race(iter, new);
	old = iter->ptep->val;
	__real_vmmu_iter_set(iter, new);
	changed(iter, old, new);
}

static void step(void)
{
	const unsigned int block = unit_random(BLOCKS);
	unsigned int i;

	do_op(random_op(), block);
	if (!unit_random(16))
		unit_tlb_check(test.mmu, 0, VMMU_MAX_GFN);
	check_counters();
	for (i = 0; i < SAMPLES; i++)
		check_page(random_page(i % 2 ? block : unit_random(BLOCKS)));
}

static void episode(u64 seed)
{
	static const unsigned int percents[] = { 0, 2, 20, 100 };

	/* Spread, as nearby states give similar numbers at first. */
	unit_kernel.rng = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	unit_kernel.dirty = 0;
	unit_kernel.dirty_pfns = 0;
	unit_kernel.accessed = 0;
	unit_kernel.accessed_pfns = 0;
	unit_kernel.resched = beside;
	unit_kernel.yield_percent = percents[unit_random(4)];
	test.seed = seed;
	test.mmu = unit_table_new();
	model_init();
	for (test.step = 0; test.step < EPISODE_STEPS; test.step++)
		step();
	check_all();
	unit_kernel.resched = NULL;
	unit_kernel.yield_percent = 0;
	unit_table_free(test.mmu);
}

static u64 number(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static void play(struct __test_metadata *_metadata, u64 seed)
{
	u64 steps = number("UNIT_STEPS", 100000), n;
	unsigned int i;

	printf("# seed %llu, %llu steps\n", seed, steps);
	fflush(stdout);
	for (n = 0; n < steps; n += EPISODE_STEPS)
		episode(seed++);

	/* A run that covers nothing would pass as well. */
	for (i = 0; i < OPS; i++)
		EXPECT_GT(test.done[i], steps * weights[i] / 2000);
	for (i = 0; i <= VMMU_MAP_NOMEM; i++)
		EXPECT_GT(test.mapped[i], steps / 2000);
	EXPECT_GT(test.races, steps / 1000);
	EXPECT_GT(test.besides, steps / 1000);
	EXPECT_GT(test.young, steps / 1000);
	EXPECT_GT(test.kept, steps / 10);
	EXPECT_GT(unit_kernel.yields, steps);
	printf("# %llu races, %llu steps beside others, %lu yields\n",
	       test.races, test.besides, unit_kernel.yields);
	fflush(stdout);
}

FIXTURE(steps)
{
	u64 seed;
};

FIXTURE_SETUP(steps)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	self->seed = (u64)now.tv_sec * 1000000000 + now.tv_nsec;
}

FIXTURE_TEARDOWN(steps)
{
}

/* The same on every machine, every time. */
TEST_F_TIMEOUT(steps, given_seed, 300)
{
	play(_metadata, number("UNIT_SEED", 1));
}

TEST_F_TIMEOUT(steps, fresh_seed, 300)
{
	play(_metadata, self->seed);
}

TEST_HARNESS_MAIN
