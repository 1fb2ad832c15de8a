// SPDX-License-Identifier: GPL-2.0
/*
 * Memslots, made, moved, changed and deleted at random, against a plain list:
 * look-ups by guest and by host address, also half way through a change.
 *
 * UNIT_SEED repeats a run, UNIT_STEPS sets how long it is.
 */
#include <time.h>

#include "kselftest_harness.h"
#include "mmu_rig.h"

#define IDS		24
#define GRID		96
#define HVA_BASE	0x7f0000000000UL
#define GPA_TOP		((VMMU_MAX_GFN + 1) << PAGE_SHIFT)

struct plain {
	bool used;
	u64 gpa;
	u64 size;
	unsigned long hva;
	u32 flags;
};

static struct {
	struct vmmu *mmu;
	struct plain now[IDS], before[IDS];
	unsigned int commits;
	unsigned int started, stopped;
	u64 seed;
	u64 ok, exists, invalid, hits;
} test;

static u64 model_end(const struct plain *p)
{
	return p->gpa + (p->size - 1);
}

static const struct plain *model_by_gpa(const struct plain *set, u64 gpa)
{
	unsigned int i;

	for (i = 0; i < IDS; i++)
		if (set[i].used && gpa >= set[i].gpa && gpa <= model_end(&set[i]))
			return &set[i];
	return NULL;
}

static bool model_overlap(u64 gpa, u64 size, unsigned int but)
{
	unsigned int i;

	for (i = 0; i < IDS; i++)
		if (i != but && test.now[i].used &&
		    gpa <= model_end(&test.now[i]) &&
		    test.now[i].gpa <= gpa + (size - 1))
			return true;
	return false;
}

/* A slot of the table is that of the list. */
static bool is(const struct vmmu_memslot *slot, const struct plain *set,
	       const struct plain *p)
{
	if (!slot || !p)
		return !slot && !p;
	return slot->id == p - set && slot->gpa == p->gpa &&
	       slot->size == p->size && slot->hva == p->hva &&
	       slot->flags == p->flags;
}

static u64 random_gpa(void)
{
	const u64 gpa = unit_random(GRID << PAGE_SHIFT);

	return unit_random(4) ? gpa : GPA_TOP - (GRID << PAGE_SHIFT) + gpa;
}

static void check_hva(struct vmmu_memslots *slots, const struct plain *set)
{
	unsigned long start = HVA_BASE + unit_random(GRID << PAGE_SHIFT);
	unsigned long last = start + unit_random(8 << PAGE_SHIFT), end;
	bool seen[IDS] = {}, any = false;
	struct vmmu_memslot *slot;
	u64 first_gfn, last_gfn;
	unsigned int i;

	vmmu_for_each_slot_in_hva(slot, slots, start, last) {
		unit_check(slot->id < IDS && !seen[slot->id]);
		seen[slot->id] = true;
		vmmu_slot_gfns(slot, start, last, &first_gfn, &last_gfn);
		/* The first and the last page that has a byte in the range. */
		unit_check(first_gfn >= slot->map.gfn);
		unit_check(last_gfn < slot->map.gfn + slot->map.npages);
		unit_check(first_gfn == slot->map.gfn ||
			   vmmu_slot_page_hva(slot, first_gfn) <= start);
		unit_check(vmmu_slot_page_hva(slot, first_gfn) + PAGE_SIZE > start);
		unit_check(vmmu_slot_page_hva(slot, last_gfn) <= last);
		unit_check(last_gfn == slot->map.gfn + slot->map.npages - 1 ||
			   vmmu_slot_page_hva(slot, last_gfn + 1) > last);
	}
	for (i = 0; i < IDS; i++) {
		end = set[i].hva + (set[i].size - 1);
		any |= set[i].used && start >= set[i].hva && start <= end;
		unit_check(seen[i] == (set[i].used && start <= end &&
				       set[i].hva <= last));
	}
	unit_check(!!vmmu_slot_by_hva(slots, start) == any);
}

static void check_set(const struct plain *set)
{
	struct vmmu_memslots *slots = vmmu_slots(test.mmu);
	const struct plain *p;
	unsigned int i;
	u64 gpa;

	for (i = 0; i < 32; i++) {
		gpa = random_gpa();
		p = model_by_gpa(set, gpa);
		test.hits += !!p;
		unit_check(is(vmmu_slot_by_gpa(slots, gpa), set, p));
		check_hva(slots, set);
	}
	for (i = 0; i < IDS; i++) {
		p = &set[i];
		if (!p->used)
			continue;
		unit_check(is(vmmu_slot_by_gpa(slots, p->gpa), set, p));
		unit_check(is(vmmu_slot_by_gpa(slots, model_end(p)), set, p));
		unit_check(is(vmmu_slot_by_gpa(slots, model_end(p) + 1), set,
			      model_by_gpa(set, model_end(p) + 1)));
		unit_check(is(vmmu_slot_by_gpa(slots, p->gpa - 1), set,
			      model_by_gpa(set, p->gpa - 1)));
	}
}

/* Nothing that is mapped lies outside, and nothing more is inside. */
static void check_hull(const struct plain *set)
{
	struct vmmu_range *hull = &test.mmu->space->hull;
	unsigned long start = ULONG_MAX, last = 0;
	unsigned int i;

	for (i = 0; i < IDS; i++) {
		if (!set[i].used)
			continue;
		start = min(start, set[i].hva);
		last = max(last, set[i].hva + set[i].size - 1);
	}
	unit_check(hull->start == start && hull->last == last);
}

static void check_overlap(void)
{
	u64 gpa = random_gpa();
	u64 size = 1 + unit_random(4 << PAGE_SHIFT);
	unsigned int but = unit_random(IDS + 1);
	struct vmmu_memslot *slot = NULL;

	if (but < IDS)
		slot = xa_load(&test.mmu->by_id, but);
	unit_check(vmmu_slot_overlap(test.mmu, gpa, size, slot) ==
		   model_overlap(gpa, size, but));
}

/*
 * What a change asks for: the hull, with the new set active.  A walk that began
 * before is in the old one, which stays, ...
 */
static void hull(struct vmmu_space *space, struct vmmu_range *range)
{
	struct vmmu *mmu = test.mmu;
	struct vmmu_memslots *now = vmmu_slots(mmu);

	rcu_assign_pointer(mmu->slots, &mmu->sets[!now->index]);
	check_set(test.before);
	rcu_assign_pointer(mmu->slots, now);
	/* What is looked up while it is odd is not remembered. */
	unit_check(mmu->generation % 2);
	vmmu_slots_hull(space, range);
}

/*
 * ... until here; a memslot that went is not freed yet.
 */
static void synchronize(void)
{
	unit_check(!test.mmu->space->inval_lock.held);
	unit_check(test.mmu->generation % 2);
	check_set(test.now);
	check_hull(test.now);
	test.commits++;
}

/* Of what the notifier calls, the part that a change of memslots needs. */
static const struct vmmu_space_ops ops = {
	.hull = hull,
};

const struct vmmu_space_ops *vmmu_space_ops = &ops;

void vmmu_log_start(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	test.started++;
}

void vmmu_log_stop(struct vmmu *mmu, struct vmmu_memslot *slot)
{
	test.stopped++;
}

static void random_args(struct vmmu_set_memslot *args)
{
	const struct plain *old;

	args->slot = unit_random(IDS);
	old = &test.now[args->slot];
	if (old->used && unit_random(8)) {
		/* The same memslot, with a change. */
		args->guest_phys_addr = old->gpa;
		args->memory_size = old->size;
		args->userspace_addr = old->hva;
		args->flags = old->flags;
		switch (unit_random(8)) {
		case 0 ... 2:
			args->memory_size = 0;
			break;
		case 3 ... 4:
			args->guest_phys_addr = random_gpa() & ~0xfffULL;
			break;
		case 5:
			args->flags ^= VMMU_MEM_LOG_DIRTY_PAGES;
			break;
		case 6:
			args->flags ^= VMMU_MEM_READONLY;
			break;
		}
	} else {
		args->guest_phys_addr = random_gpa() & ~0xfffULL;
		args->memory_size = unit_random(10) << PAGE_SHIFT;
		args->userspace_addr = HVA_BASE +
				       (unit_random(GRID) << PAGE_SHIFT);
		args->flags = unit_random(4);
	}
	/* Now and then what never is right. */
	switch (unit_random(100)) {
	case 0:
		args->guest_phys_addr |= 1 + unit_random(4095);
		break;
	case 1:
		args->memory_size |= 1 + unit_random(4095);
		break;
	case 2:
		args->userspace_addr |= 1 + unit_random(4095);
		break;
	case 3:
		args->flags |= 4 << unit_random(29);
		break;
	case 4:
		args->slot = VMMU_MAX_SLOTS + unit_random(2);
		break;
	case 5:
		args->guest_phys_addr = -(1ULL << PAGE_SHIFT);
		break;
	case 6:
		args->guest_phys_addr = GPA_TOP;
		break;
	case 7:
		args->memory_size = (VMMU_MAX_SLOT_PAGES + 1) << PAGE_SHIFT;
		break;
	}
}

/* The rules of the interface; changes the list if they are kept. */
static int model_set(const struct vmmu_set_memslot *args)
{
	const u64 gpa = args->guest_phys_addr, size = args->memory_size;
	struct plain *p;

	if (args->flags > 3 || (gpa | size | args->userspace_addr) & 4095 ||
	    args->slot >= VMMU_MAX_SLOTS || gpa + size < gpa ||
	    size >> PAGE_SHIFT > VMMU_MAX_SLOT_PAGES)
		return -EINVAL;
	p = &test.now[args->slot];
	if (!size) {
		if (!p->used)
			return -EINVAL;
		p->used = false;
		return 0;
	}
	if (gpa + size > GPA_TOP)
		return -EINVAL;
	if (p->used && (p->size != size || p->hva != args->userspace_addr ||
			(p->flags ^ args->flags) & VMMU_MEM_READONLY))
		return -EINVAL;
	if ((!p->used || p->gpa != gpa) && model_overlap(gpa, size, args->slot))
		return -EEXIST;
	*p = (struct plain) {
		.used = true,
		.gpa = gpa,
		.size = size,
		.hva = args->userspace_addr,
		.flags = args->flags,
	};
	return 0;
}

/* What lies behind a memslot's first and last page, and no other. */
static void map_some(unsigned int id)
{
	const struct plain *p = &test.now[id];

	unit_map(test.mmu, p->gpa >> PAGE_SHIFT, 1, 100 + id, LEAF_BITS, 3);
	unit_map(test.mmu, model_end(p) >> PAGE_SHIFT, 1, 200 + id, LEAF_BITS,
		 3);
}

/* Nothing is mapped where there is no memslot, and no other's page. */
static void check_mapped(void)
{
	const struct plain *p;
	struct vmmu_iter iter;
	u64 pfn;

	read_lock(&test.mmu->mmu_lock);
	rcu_read_lock();
	vmmu_for_each_pte(iter, test.mmu, VMMU_SHARED, 1, 0, VMMU_MAX_GFN) {
		if (!vmmu_pte_leaf(iter.old))
			continue;
		p = model_by_gpa(test.now, iter.gfn << PAGE_SHIFT);
		unit_check(p);
		pfn = vmmu_pte_pfn(iter.old) % 100;
		unit_check(pfn == (u64)(p - test.now));
	}
	rcu_read_unlock();
	read_unlock(&test.mmu->mmu_lock);
}

static void step(void)
{
	struct vmmu_set_memslot args = {};
	unsigned int commits = test.commits, logs = test.started + test.stopped;
	const struct plain *old, *new;
	unsigned int i, n = 0;
	int expected, is;
	bool changed;

	random_args(&args);
	memcpy(test.before, test.now, sizeof(test.before));
	expected = model_set(&args);
	is = vmmu_set_memslot(test.mmu, &args);
	unit_check(is == expected);

	changed = memcmp(test.before, test.now, sizeof(test.before));
	unit_check(test.commits == commits + changed);
	unit_check(test.mmu->generation == 2 * test.commits);
	old = &test.before[args.slot % IDS];
	new = &test.now[args.slot % IDS];
	unit_check(test.started + test.stopped == logs +
		   (changed && old->used && new->used && old->gpa == new->gpa));
	for (i = 0; i < IDS; i++)
		n += test.now[i].used;
	unit_check(atomic64_read(&test.mmu->stats.slots) == n);
	check_set(test.now);
	check_overlap();
	check_mapped();
	if (!is && new->used)
		map_some(args.slot);
	test.ok += !is;
	test.exists += is == -EEXIST;
	test.invalid += is == -EINVAL;
}

static u64 number(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

FIXTURE(slots)
{
	u64 seed;
};

FIXTURE_SETUP(slots)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	self->seed = (u64)now.tv_sec * 1000000000 + now.tv_nsec;
	test.mmu = unit_table_new();
	vmmu_slots_init(test.mmu);
	INIT_LIST_HEAD(&test.mmu->space->mmus);
	list_add(&test.mmu->node, &test.mmu->space->mmus);
	unit_kernel.synchronize = synchronize;
}

/* Memslots go with the table; nothing is left of either. */
FIXTURE_TEARDOWN(slots)
{
	vmmu_slots_destroy(test.mmu);
	EXPECT_EQ(unit_kernel.objects, 0);
	unit_table_free(test.mmu);
}

static void play(struct __test_metadata *_metadata, u64 seed)
{
	u64 steps = number("UNIT_STEPS", 20000) / 4, i;
	struct vmmu_set_memslot args = {};

	printf("# seed %llu, %llu steps\n", seed, steps);
	fflush(stdout);
	unit_kernel.rng = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	for (i = 0; i < steps; i++)
		step();
	printf("# %llu changes, %llu overlaps, %llu bad, %llu look-ups that hit\n",
	       test.ok, test.exists, test.invalid, test.hits);
	fflush(stdout);
	EXPECT_GT(test.ok, steps / 4);
	EXPECT_GT(test.exists, steps / 20);
	EXPECT_GT(test.invalid, steps / 20);
	EXPECT_GT(test.started, steps / 200);
	EXPECT_GT(test.stopped, steps / 200);

	/* Without memslots there is nothing mapped, and no table. */
	for (i = 0; i < IDS; i++) {
		if (!test.now[i].used)
			continue;
		memcpy(test.before, test.now, sizeof(test.before));
		test.now[i].used = false;
		args.slot = i;
		ASSERT_EQ(vmmu_set_memslot(test.mmu, &args), 0);
	}
	EXPECT_EQ(atomic64_read(&test.mmu->stats.pages[0]), 0);
	EXPECT_EQ(atomic64_read(&test.mmu->stats.table_pages), 1);
	EXPECT_EQ(unit_kernel.objects, 0);
}

/* The same on every machine, every time. */
TEST_F_TIMEOUT(slots, given_seed, 300)
{
	play(_metadata, number("UNIT_SEED", 1));
}

TEST_F_TIMEOUT(slots, fresh_seed, 300)
{
	play(_metadata, self->seed);
}

/* Nothing is logged while a device is attached, and the other way round. */
TEST_F(slots, attached)
{
	struct vmmu_set_memslot args = {
		.flags = VMMU_MEM_LOG_DIRTY_PAGES,
		.memory_size = 2 << PAGE_SHIFT,
		.userspace_addr = HVA_BASE,
	};
	struct vmmu *t = test.mmu;
	struct plain logged = { true, 0, 2 << PAGE_SHIFT, HVA_BASE, args.flags };
	struct plain plain = { true, 0, 2 << PAGE_SHIFT, HVA_BASE, 0 };

	test.now[0] = logged;
	ASSERT_EQ(vmmu_set_memslot(t, &args), 0);
	EXPECT_EQ(vmmu_attach(t), -EOPNOTSUPP);
	EXPECT_EQ(atomic_read(&t->nr_attached), 0);

	test.before[0] = logged;
	test.now[0] = plain;
	args.flags = 0;
	ASSERT_EQ(vmmu_set_memslot(t, &args), 0);
	ASSERT_EQ(vmmu_attach(t), 0);
	ASSERT_EQ(vmmu_attach(t), 0);
	args.flags = VMMU_MEM_LOG_DIRTY_PAGES;
	EXPECT_EQ(vmmu_set_memslot(t, &args), -EOPNOTSUPP);
	vmmu_detach(t);
	EXPECT_EQ(vmmu_set_memslot(t, &args), -EOPNOTSUPP);
	/* a new one neither */
	args.slot = 1;
	args.guest_phys_addr = 1 << 20;
	EXPECT_EQ(vmmu_set_memslot(t, &args), -EOPNOTSUPP);
	vmmu_detach(t);

	args.slot = 0;
	args.guest_phys_addr = 0;
	test.before[0] = plain;
	test.now[0] = logged;
	EXPECT_EQ(vmmu_set_memslot(t, &args), 0);
	EXPECT_EQ(vmmu_attach(t), -EOPNOTSUPP);
}

/* Tables of devices are made of ranges of bytes. */
TEST_F(slots, bytes)
{
	struct vmmu *t = test.mmu;
	struct vmmu_memslots *slots = vmmu_slots(t);

	EXPECT_EQ(vmmu_insert_slot(t, 0, 0, 0x1001, 0x2000, 0x7001), 0);
	EXPECT_EQ(vmmu_insert_slot(t, 1, 0, 0x3001, 0xfff, 0x9001), 0);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0x3000, 1, 0x9000), -EEXIST);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0x1000, 2, 0x9000), -EEXIST);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0x3fff, 1, 0x9000), -EEXIST);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0, -1ULL, 1), -EEXIST);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, -1ULL, 2, 0x9000), -EINVAL);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0, 2, -1UL), -EINVAL);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0, 0, 0), -EINVAL);
	EXPECT_EQ(vmmu_insert_slot(t, 2, 0, 0x4000, 0x1000, 0x7000), 0);
	EXPECT_EQ(vmmu_insert_slot(t, 3, 0, -1ULL, 1, 0x9fff), 0);
	EXPECT_EQ(atomic64_read(&t->stats.slots), 4);

	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x1000), NULL);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x1001)->id, 0);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x3000)->id, 0);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x3001)->id, 1);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x3fff)->id, 1);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x4000)->id, 2);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, 0x5000), NULL);
	EXPECT_EQ(vmmu_slot_by_gpa(slots, -1ULL)->id, 3);

	/* By host address only what can be mapped is found: whole pages. */
	EXPECT_EQ(vmmu_slot_by_hva(slots, 0x7fff)->id, 2);
	EXPECT_EQ(vmmu_slot_by_hva(slots, 0x8000)->id, 0);
	EXPECT_EQ(vmmu_slot_by_hva(slots, 0x8fff)->id, 0);
	EXPECT_EQ(vmmu_slot_by_hva(slots, 0x9000), NULL);
}

TEST_HARNESS_MAIN
