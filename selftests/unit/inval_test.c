// SPDX-License-Identifier: GPL-2.0
/*
 * The set of open invalidations against a plain list of them: it never misses
 * one that is open, and it is exact as long as it has room for all.
 */
#include <limits.h>
#include <time.h>

#include "kselftest_harness.h"
#include "space/inval.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* What another CPU sees, or does, at a barrier. */
static void (*at_rmb)(void);
static void (*at_wmb)(void);

void unit_rmb(void)
{
	if (at_rmb)
		at_rmb();
}

void unit_wmb(void)
{
	if (at_wmb)
		at_wmb();
}

static struct vmmu_range range(unsigned long start, unsigned long last)
{
	return (struct vmmu_range) { .start = start, .last = last };
}

static const struct {
	const char *name;
	struct vmmu_range a, b;
	bool overlap;
} overlaps[] = {
	{ "equal", { 10, 20 }, { 10, 20 }, true },
	{ "containing", { 10, 20 }, { 12, 18 }, true },
	{ "contained at the start", { 10, 20 }, { 10, 12 }, true },
	{ "contained at the end", { 10, 20 }, { 18, 20 }, true },
	{ "adjacent", { 10, 20 }, { 21, 30 }, false },
	{ "one byte shared", { 10, 20 }, { 20, 30 }, true },
	{ "partial", { 10, 20 }, { 15, 30 }, true },
	{ "apart", { 10, 20 }, { 100, 200 }, false },
	{ "single byte in front", { 10, 20 }, { 9, 9 }, false },
	{ "single byte, first", { 10, 20 }, { 10, 10 }, true },
	{ "single byte, last", { 10, 20 }, { 20, 20 }, true },
	{ "single byte behind", { 10, 20 }, { 21, 21 }, false },
	{ "two single bytes", { 7, 7 }, { 7, 7 }, true },
	{ "two single bytes, apart", { 7, 7 }, { 8, 8 }, false },
	{ "everything", { 0, ULONG_MAX }, { 10, 20 }, true },
	{ "first byte", { 0, 0 }, { 0, ULONG_MAX }, true },
	{ "first page", { 0, 4095 }, { 4096, 8191 }, false },
	{ "last byte", { ULONG_MAX, ULONG_MAX }, { 0, ULONG_MAX }, true },
	{ "last page", { -4096UL, ULONG_MAX }, { -8192UL, -4097UL }, false },
	{ "both ends", { 0, 0 }, { ULONG_MAX, ULONG_MAX }, false },
};

TEST(overlap)
{
	struct vmmu_inval inval;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(overlaps); i++) {
		EXPECT_EQ(vmmu_range_overlaps(overlaps[i].a, overlaps[i].b),
			  overlaps[i].overlap) {
			TH_LOG("%s", overlaps[i].name);
		}
		EXPECT_EQ(vmmu_range_overlaps(overlaps[i].b, overlaps[i].a),
			  overlaps[i].overlap) {
			TH_LOG("%s, swapped", overlaps[i].name);
		}
		memset(&inval, 0, sizeof(inval));
		vmmu_inval_begin(&inval, overlaps[i].a);
		EXPECT_EQ(vmmu_inval_overlaps(&inval, overlaps[i].b),
			  overlaps[i].overlap) {
			TH_LOG("%s, open", overlaps[i].name);
		}
	}
}

/* The notifier gives an exclusive end. */
TEST(from_end)
{
	static const struct {
		unsigned long start, end, last;
	} cases[] = {
		{ 0, 4096, 4095 },
		{ 4096, 8192, 8191 },
		{ 4096, 4097, 4096 },
		/* The end of the address space. */
		{ 0, 0, ULONG_MAX },
		{ 4096, 0, ULONG_MAX },
		{ ULONG_MAX, 0, ULONG_MAX },
		/* Empty or turned round: never nothing. */
		{ 4096, 4096, 4096 },
		{ 4096, 1, 4096 },
		{ ULONG_MAX, ULONG_MAX, ULONG_MAX },
	};
	struct vmmu_range r;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(cases); i++) {
		r = vmmu_range_from_end(cases[i].start, cases[i].end);
		EXPECT_EQ(r.start, cases[i].start);
		EXPECT_EQ(r.last, cases[i].last);
	}
}

TEST(nothing_open)
{
	struct vmmu_inval inval = {};

	EXPECT_FALSE(vmmu_inval_overlaps(&inval, range(0, ULONG_MAX)));
	/* An end without a start changes nothing. */
	EXPECT_FALSE(vmmu_inval_end(&inval, range(0, ULONG_MAX)));
	vmmu_inval_begin(&inval, range(10, 20));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(10, 21)));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(9, 20)));
	EXPECT_TRUE(vmmu_inval_overlaps(&inval, range(15, 15)));
	EXPECT_TRUE(vmmu_inval_end(&inval, range(10, 20)));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(10, 20)));
	EXPECT_FALSE(vmmu_inval_overlaps(&inval, range(15, 15)));
}

TEST(duplicates)
{
	unsigned int n, i;

	for (n = 1; n <= 2 * VMMU_INVAL_EXACT + 1; n++) {
		struct vmmu_inval inval = {};

		for (i = 0; i < n; i++)
			vmmu_inval_begin(&inval, range(10, 20));
		for (i = 0; i < n; i++) {
			EXPECT_TRUE(vmmu_inval_overlaps(&inval,
							range(20, 30)));
			EXPECT_FALSE(vmmu_inval_overlaps(&inval,
							 range(21, 30)));
			EXPECT_TRUE(vmmu_inval_end(&inval, range(10, 20)));
		}
		EXPECT_FALSE(vmmu_inval_overlaps(&inval, range(20, 30)));
		EXPECT_FALSE(vmmu_inval_end(&inval, range(10, 20)));
	}
}

TEST(dead)
{
	struct vmmu_inval inval = { .dead = true };

	EXPECT_TRUE(vmmu_inval_overlaps(&inval, range(0, 0)));
	vmmu_inval_begin(&inval, range(10, 20));
	EXPECT_TRUE(vmmu_inval_overlaps(&inval, range(100, 200)));
	EXPECT_TRUE(vmmu_inval_end(&inval, range(10, 20)));
	EXPECT_TRUE(vmmu_inval_overlaps(&inval, range(100, 200)));
}

/*
 * An end of a range that lies outside of every range begun must not be taken
 * for one of the merged: it would close one that is open.
 */
TEST(unknown_end_while_merged)
{
	struct vmmu_inval inval = {};
	unsigned long i;

	for (i = 0; i <= VMMU_INVAL_EXACT; i++)
		vmmu_inval_begin(&inval, range(100 * i, 100 * i + 10));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(100000, 100010)));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(805, 100010)));
	EXPECT_FALSE(vmmu_inval_end(&inval, range(0, 805)));
	for (i = 0; i <= VMMU_INVAL_EXACT; i++)
		EXPECT_TRUE(vmmu_inval_overlaps(&inval,
						range(100 * i, 100 * i)));
}

static struct vmmu_inval *shown;
static unsigned long shown_seq, wrong, shows;

/* Who sees seq raised must find the range recorded, and that it is open. */
static void not_counted_yet(void)
{
	struct vmmu_range *past =
		&shown->history[shown_seq % ARRAY_LEN(shown->history)];

	shows++;
	wrong += shown->seq != shown_seq;
	wrong += past->start != shown_seq || past->last != shown_seq;
	wrong += shown->nr_exact + shown->nr_merged != shown_seq + 1;
	shown_seq++;
}

TEST(start_before_count)
{
	struct vmmu_inval inval = {};
	unsigned long i;

	shown = &inval;
	shown_seq = 0;
	wrong = 0;
	shows = 0;
	at_wmb = not_counted_yet;
	for (i = 0; i < 2 * VMMU_INVAL_EXACT; i++) {
		vmmu_inval_begin(&inval, range(i, i));
		EXPECT_FALSE(vmmu_inval_quiet(&inval));
	}
	at_wmb = NULL;
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(shows, i);
	EXPECT_EQ(inval.seq, i);
}

/* Quiet: nothing is open of either kind, and the mm is there. */
TEST(quiet)
{
	struct vmmu_inval inval = {};
	unsigned long i;

	EXPECT_TRUE(vmmu_inval_quiet(&inval));
	for (i = 0; i <= VMMU_INVAL_EXACT; i++)
		vmmu_inval_begin(&inval, range(i, i));
	/* The one that is merged is left, and then one that is not. */
	for (i = 0; i < VMMU_INVAL_EXACT; i++)
		EXPECT_TRUE(vmmu_inval_end(&inval, range(i, i)));
	EXPECT_FALSE(vmmu_inval_quiet(&inval));
	vmmu_inval_begin(&inval, range(100, 100));
	EXPECT_TRUE(vmmu_inval_end(&inval, range(i, i)));
	EXPECT_FALSE(vmmu_inval_quiet(&inval));
	EXPECT_TRUE(vmmu_inval_end(&inval, range(100, 100)));
	EXPECT_TRUE(vmmu_inval_quiet(&inval));
	inval.dead = true;
	EXPECT_FALSE(vmmu_inval_quiet(&inval));
}

static void starts(unsigned long n)
{
	while (n--) {
		vmmu_inval_begin(shown, range(1, 1));
		vmmu_inval_end(shown, range(1, 1));
	}
}

static unsigned long overtaking;

static void overtake(void)
{
	at_rmb = NULL;
	starts(overtaking);
}

/*
 * The history is read without a lock.  Starts that come meanwhile may write over
 * what is being read: too many of them refuse, whatever was read.
 */
TEST(history_overtaken)
{
	struct vmmu_inval inval = {};
	unsigned long n, seq;

	shown = &inval;
	for (n = 0; n < 3 * VMMU_INVAL_SLOTS; n++) {
		seq = inval.seq;
		starts(1);
		overtaking = n;
		at_rmb = overtake;
		EXPECT_EQ(vmmu_inval_since(&inval, seq, range(5, 5)),
			  n + 1 > VMMU_INVAL_HISTORY);
		EXPECT_EQ(at_rmb, NULL);
		at_rmb = NULL;
	}
}

/* The plain list. */
#define MODEL_MAX 128

struct model {
	struct vmmu_range open[MODEL_MAX];
	unsigned int nr;
	/* More were open than are remembered one by one, since it was empty. */
	bool crowded;
	/* Around all that were open since then. */
	struct vmmu_range hull;
};

static void model_begin(struct model *m, struct vmmu_range r)
{
	if (!m->nr) {
		m->crowded = false;
		m->hull = r;
	}
	m->open[m->nr++] = r;
	if (m->nr > VMMU_INVAL_EXACT)
		m->crowded = true;
	if (r.start < m->hull.start)
		m->hull.start = r.start;
	if (r.last > m->hull.last)
		m->hull.last = r.last;
}

static struct vmmu_range model_end(struct model *m, unsigned int i)
{
	struct vmmu_range r = m->open[i];

	m->open[i] = m->open[--m->nr];
	return r;
}

static bool model_overlaps(const struct model *m, struct vmmu_range r)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++) {
		const struct vmmu_range *o = &m->open[i];

		/* One of the ends of either lies in the other. */
		if ((r.start >= o->start && r.start <= o->last) ||
		    (o->start >= r.start && o->start <= r.last))
			return true;
	}
	return false;
}

/* The set against the list, for one question; returns false on a mistake. */
static bool agree(const struct vmmu_inval *inval, const struct model *m,
		  struct vmmu_range r)
{
	bool open = model_overlaps(m, r), said = vmmu_inval_overlaps(inval, r);

	/* Never may an open one be missed. */
	if (open && !said)
		return false;
	if (!m->crowded || !m->nr)
		return said == open;
	/* A refusal in vain has to be near something. */
	return !said || vmmu_range_overlaps(m->hull, r);
}

static bool agree_all(const struct vmmu_inval *inval, const struct model *m)
{
	unsigned long at;

	for (at = 0; at < 64; at++)
		if (!agree(inval, m, range(at, at)) ||
		    !agree(inval, m, range(at, at + at % 5)))
			return false;
	return true;
}

/* Every order in which some can begin and end, while others stay open. */
#define ORDERED 5

struct orders {
	const struct vmmu_range *r;
	unsigned int others;
	unsigned long tried;
	unsigned long wrong;
};

static void try_orders(struct orders *o, const struct vmmu_inval *inval,
		       const struct model *m, unsigned int begun)
{
	struct vmmu_inval next;
	struct model next_model;
	unsigned int i;

	o->wrong += !agree_all(inval, m);
	if (begun == ORDERED && m->nr == o->others)
		o->tried++;
	if (begun < ORDERED) {
		next = *inval;
		next_model = *m;
		vmmu_inval_begin(&next, o->r[begun]);
		model_begin(&next_model, o->r[begun]);
		try_orders(o, &next, &next_model, begun + 1);
	}
	for (i = o->others; i < m->nr; i++) {
		next = *inval;
		next_model = *m;
		o->wrong += !vmmu_inval_end(&next, model_end(&next_model, i));
		try_orders(o, &next, &next_model, begun);
	}
}

TEST(every_order)
{
	static const struct vmmu_range sets[][ORDERED] = {
		{ { 1, 2 }, { 4, 5 }, { 7, 8 }, { 10, 11 }, { 13, 14 } },
		{ { 13, 14 }, { 10, 11 }, { 7, 8 }, { 4, 5 }, { 1, 2 } },
		{ { 1, 20 }, { 4, 5 }, { 4, 5 }, { 19, 40 }, { 30, 30 } },
	};
	/* Room for all of them, for some, and for none. */
	static const unsigned int others[] = {
		0, VMMU_INVAL_EXACT - 2, VMMU_INVAL_EXACT,
	};
	unsigned int i, j, n;

	for (i = 0; i < ARRAY_LEN(others); i++) {
		for (j = 0; j < ARRAY_LEN(sets); j++) {
			struct orders o = {
				.r = sets[j],
				.others = others[i],
			};
			struct vmmu_inval inval = {};
			struct model m = {};

			for (n = 0; n < others[i]; n++) {
				vmmu_inval_begin(&inval, range(60, 61));
				model_begin(&m, range(60, 61));
			}
			try_orders(&o, &inval, &m, 0);
			EXPECT_EQ(o.wrong, 0);
			/* 9 * 7 * 5 * 3 */
			EXPECT_EQ(o.tried, 945);
		}
	}
}

/* All begin before any ends, far beyond the room there is. */
TEST(more_than_exact)
{
	struct vmmu_inval inval = {};
	struct model m = {};
	unsigned long i;

	for (i = 0; i < MODEL_MAX; i++) {
		vmmu_inval_begin(&inval, range(2 * i, 2 * i));
		model_begin(&m, range(2 * i, 2 * i));
		EXPECT_TRUE(agree_all(&inval, &m));
		EXPECT_EQ(inval.nr_exact + inval.nr_merged, m.nr);
		/* Exact as long as there is room. */
		EXPECT_EQ(inval.nr_merged == 0, i < VMMU_INVAL_EXACT);
	}
	/* The last first, so that the hull alone covers what is left. */
	for (i = 0; i < MODEL_MAX; i++) {
		EXPECT_TRUE(vmmu_inval_end(&inval, model_end(&m, 0)));
		EXPECT_TRUE(agree_all(&inval, &m));
	}
	EXPECT_EQ(inval.nr_exact, 0);
	EXPECT_EQ(inval.nr_merged, 0);
}

/*
 * So many threads change mappings at the same time, below and above guest memory.
 * Each starts its next change before another one ends, so the set is never empty.
 */
static unsigned long refused_beside(unsigned long threads, unsigned long below,
				    unsigned long above)
{
	const unsigned long page = 4096, memory = 100UL << 30;
	struct vmmu_range open[MODEL_MAX];
	struct vmmu_inval inval = {};
	unsigned long i, n, refused = 0;

	for (n = 0; n < 1000 * threads; n++) {
		/* They overlap, too: each covers what the next ones do. */
		i = n % threads;
		if (n >= threads && !vmmu_inval_end(&inval, open[i]))
			return -1UL;
		open[i] = range((i % 2 ? above : below) + i * page,
				(i % 2 ? above : below) + (i + 4) * page - 1);
		vmmu_inval_begin(&inval, open[i]);
		if (n < 2 * threads)
			continue;
		refused += vmmu_inval_overlaps(&inval, range(memory,
							     memory + page));
		/* What is open is refused all the same. */
		if (!vmmu_inval_overlaps(&inval, open[i]))
			return -1UL;
	}
	return refused;
}

TEST(unrelated_while_busy)
{
	/* A dozen threads, wherever their memory is. */
	EXPECT_EQ(0, refused_beside(12, 99UL << 30, 101UL << 30));
	EXPECT_EQ(0, refused_beside(12, 1UL << 30, 1001UL << 30));
	EXPECT_EQ(0, refused_beside(12, 0, 160UL << 30));
	EXPECT_EQ(0, refused_beside(VMMU_INVAL_EXACT, 0, 160UL << 30));
	/* More than are remembered, in different parts of it. */
	EXPECT_EQ(0, refused_beside(100, 99UL << 30, 101UL << 30));
	EXPECT_EQ(0, refused_beside(MODEL_MAX, 1UL << 30, 1001UL << 30));
}

static unsigned int pick(unsigned long long *state, unsigned int n)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*state >> 33) % n;
}

TEST(random_orders)
{
	const char *given = getenv("UNIT_SEED");
	unsigned long long seed = given ? strtoull(given, NULL, 0) :
					  (unsigned long long)time(NULL);
	unsigned long long state = seed;
	unsigned long steps, start, crowded = 0;
	struct vmmu_inval inval = {};
	struct model m = {};
	struct vmmu_range r;
	unsigned int limit = 4;

	printf("# seed %llu\n", seed);
	fflush(stdout);
	for (steps = 0; steps < 1000000; steps++) {
		/* Both quiet and crowded times. */
		if (!pick(&state, 512))
			limit = 1 + (pick(&state, 2) ? pick(&state, MODEL_MAX) :
						       pick(&state, 2));
		start = pick(&state, 48);
		r = range(start, start + pick(&state, 6));
		if (m.nr < limit && pick(&state, 4)) {
			vmmu_inval_begin(&inval, r);
			model_begin(&m, r);
		} else if (m.nr) {
			r = model_end(&m, pick(&state, m.nr));
			ASSERT_TRUE(vmmu_inval_end(&inval, r)) {
				TH_LOG("UNIT_SEED=%llu", seed);
			}
		}
		crowded += m.crowded && m.nr;
		start = pick(&state, 64);
		ASSERT_TRUE(agree(&inval, &m,
				  range(start, start + pick(&state, 6)))) {
			TH_LOG("UNIT_SEED=%llu", seed);
		}
		ASSERT_EQ(inval.nr_exact + inval.nr_merged, m.nr);
	}
	/* Both kinds of times were long enough. */
	EXPECT_GT(crowded, steps / 10);
	EXPECT_LT(crowded, steps / 10 * 9);
}

TEST_HARNESS_MAIN
