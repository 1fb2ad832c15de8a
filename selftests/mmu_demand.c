// SPDX-License-Identifier: GPL-2.0
/*
 * Demand paging from several threads, also where user space serves the faults.
 * Timeout: 120 s
 *
 * However many threads fault on a page, one of them maps it and all see the
 * same content; none of them takes the lock of the tables for itself.
 */
#include <kselftest_harness.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include "area.h"
#include "uffd.h"

#define MAX_THREADS	4

static size_t npages(void)
{
	return vt_scale(2048);
}

/* --------------------------------------------------------------- workers */

enum how {
	READ,
	WRITE,
	POPULATE,
};

struct worker {
	pthread_t thread;
	int mmu;
	enum how how;
	uint64_t gpa;
	size_t pages;
	/* the page that a page's stamp names is its own plus this */
	size_t first;
	/* one step after the other with everybody else */
	pthread_barrier_t *step;
	unsigned int id;

	size_t wrong;
	int error;
};

/* Of page @n, told from others by its number. */
static uint64_t stamp(size_t n)
{
	return vt_area_word(1, n, 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	size_t i;

	for (i = 0; i < w->pages && !w->error; i++) {
		uint64_t gpa = w->gpa + i * VT_PAGE, val = 0, len = VT_PAGE;

		/* a few pages at a time, else they only wait for the barrier */
		if (w->step && i % 8 == 0)
			pthread_barrier_wait(w->step);
		switch (w->how) {
		case READ:
			w->error = vt_mmu_read64(w->mmu, gpa, &val);
			w->wrong += val != stamp(w->first + i);
			break;
		case WRITE:
			w->error = vt_mmu_write64(w->mmu, gpa + 8 * w->id,
						  stamp(w->first + i));
			break;
		case POPULATE:
			w->error = vt_mmu_populate(w->mmu, VMMU_POPULATE_WRITE,
						   &gpa, &len);
			break;
		}
	}
	/* release the threads that wait for one that gave up */
	for (; w->step && i < w->pages; i++)
		if (i % 8 == 0)
			pthread_barrier_wait(w->step);
	return NULL;
}

/* Run @n of them; nanoseconds, or 0 after an error. */
static uint64_t run(struct worker *w, unsigned int n)
{
	uint64_t start = vt_now_ns(), ns;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			abort();
	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	ns = vt_now_ns() - start;
	for (i = 0; i < n; i++) {
		if (w[i].error || w[i].wrong) {
			vt_msg("thread %u: %zu pages wrong, %s", i, w[i].wrong,
			       strerror(-w[i].error));
			return 0;
		}
	}
	return ns;
}

/* --------------------------------------------------------------- threads */

FIXTURE(demand)
{
	struct vt_mem mem;
	int mmu;
	int stats;
	size_t pages;
};

FIXTURE_VARIANT(demand)
{
	enum vt_backing backing;
	enum how how;
	bool touched;
};

FIXTURE_VARIANT_ADD(demand, anon_read)
{
	.backing = VT_ANON, .how = READ, .touched = true,
};

FIXTURE_VARIANT_ADD(demand, anon_write)
{
	.backing = VT_ANON, .how = WRITE, .touched = true,
};

FIXTURE_VARIANT_ADD(demand, anon_populate)
{
	.backing = VT_ANON, .how = POPULATE, .touched = true,
};

/* the memory itself is made by these faults */
FIXTURE_VARIANT_ADD(demand, untouched_write)
{
	.backing = VT_ANON, .how = WRITE,
};

FIXTURE_VARIANT_ADD(demand, untouched_memfd)
{
	.backing = VT_MEMFD, .how = WRITE,
};

FIXTURE_VARIANT_ADD(demand, memfd_read)
{
	.backing = VT_MEMFD, .how = READ, .touched = true,
};

FIXTURE_SETUP(demand)
{
	size_t i;
	int r;

	self->mmu = self->stats = -1;
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	vt_write_file("/proc/sys/kernel/numa_balancing", "0\n");
	self->pages = npages();
	r = variant->touched ?
		    vt_mem_alloc_huge(&self->mem, variant->backing,
				      self->pages * VT_PAGE) :
		    vt_mem_alloc_untouched(&self->mem, variant->backing,
					   self->pages * VT_PAGE);
	ASSERT_EQ(0, r);
	if (variant->touched)
		for (i = 0; i < self->pages; i++)
			*(uint64_t *)(self->mem.base + i * VT_PAGE) = stamp(i);
	self->mmu = vt_mmu_open();
	ASSERT_GE(self->mmu, 0);
	self->stats = vt_mmu_stats_open(self->mmu);
	ASSERT_EQ(0, vt_mmu_slot(self->mmu, 0, 0, VT_AREA_GPA, self->mem.base,
				 self->pages * VT_PAGE));
}

FIXTURE_TEARDOWN(demand)
{
	if (self->stats >= 0)
		close(self->stats);
	if (self->mmu >= 0)
		close(self->mmu);
	if (self->mem.map)
		vt_mem_free(&self->mem);
}

/* Have the slot start without any entry. */
static int start_over(int mmu, struct vt_mem *mem, size_t pages)
{
	int r = vt_mmu_slot_delete(mmu, 0);

	return r ? r :
		   vt_mmu_slot(mmu, 0, 0, VT_AREA_GPA, mem->base,
			       pages * VT_PAGE);
}

TEST_F_TIMEOUT(demand, disjoint, 300)
{
	unsigned int n, i;

	for (n = 1; n <= MAX_THREADS; n *= 2) {
		struct worker w[MAX_THREADS] = {};
		uint64_t fixed = vt_mmu_stat(self->stats, "pf_fixed"), ns;
		size_t each = self->pages / n;

		for (i = 0; i < n; i++)
			w[i] = (struct worker){
				.mmu = self->mmu,
				.how = variant->how,
				.gpa = VT_AREA_GPA + i * each * VT_PAGE,
				.first = i * each,
				.pages = each,
			};
		ns = run(w, n);
		ASSERT_GT(ns, 0);
		EXPECT_EQ(fixed + n * each,
			  vt_mmu_stat(self->stats, "pf_fixed"));
		EXPECT_EQ(n * each, vt_mmu_stat(self->stats, "pages_4k"));
		TH_LOG("%u threads, %zu pages of %s each: %llu pages/s", n,
		       each, vt_backing_name(variant->backing),
		       (unsigned long long)(n * each * 1000000000ULL / ns));
		ASSERT_EQ(0, start_over(self->mmu, &self->mem, self->pages));
		EXPECT_EQ(0, vt_mmu_stat(self->stats, "pages_4k"));
	}
	EXPECT_EQ(0, vt_mmu_stat(self->stats, "mmu_lock_write_fault"));
}

/* All of them on the same page at the same time, on all pages in turn. */
static void same_pages(struct __test_metadata *_metadata, int mmu, int stats,
		       size_t pages, enum how how)
{
	uint64_t fixed = vt_mmu_stat(stats, "pf_fixed");
	uint64_t taken = vt_mmu_stat(stats, "pf_taken");
	uint64_t others = vt_mmu_stat(stats, "pf_spurious") +
			  vt_mmu_stat(stats, "pf_retried");
	struct worker w[MAX_THREADS] = {};
	pthread_barrier_t step;
	unsigned int i;

	pthread_barrier_init(&step, NULL, MAX_THREADS);
	for (i = 0; i < MAX_THREADS; i++)
		w[i] = (struct worker){
			.mmu = mmu,
			.how = how,
			.gpa = VT_AREA_GPA,
			.pages = pages,
			.step = &step,
			.id = i,
		};
	ASSERT_GT(run(w, MAX_THREADS), 0);
	pthread_barrier_destroy(&step);
	/* one of them each, never two */
	EXPECT_EQ(fixed + pages, vt_mmu_stat(stats, "pf_fixed"));
	EXPECT_EQ(pages, vt_mmu_stat(stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(stats, "pf_failed"));
	EXPECT_EQ(0, vt_mmu_stat(stats, "mmu_lock_write_fault"));
	TH_LOG("%u threads on the same %zu pages: %llu faults, %llu found it done",
	       MAX_THREADS, pages,
	       (unsigned long long)(vt_mmu_stat(stats, "pf_taken") - taken),
	       (unsigned long long)(vt_mmu_stat(stats, "pf_spurious") +
				    vt_mmu_stat(stats, "pf_retried") - others));
}

/* What @how wrote is there, and nothing else. */
static void check_words(struct __test_metadata *_metadata, const char *base,
			size_t pages, enum how how)
{
	size_t i, k, wrong = 0;

	for (i = 0; i < pages; i++) {
		const uint64_t *p = (const uint64_t *)(base + i * VT_PAGE);

		for (k = 0; how == WRITE && k < MAX_THREADS; k++)
			wrong += p[k] != stamp(i);
		for (k = MAX_THREADS; k < VT_AREA_WORDS; k++)
			wrong += p[k] != 0;
	}
	EXPECT_EQ(0, wrong);
}

TEST_F_TIMEOUT(demand, same, 300)
{
	same_pages(_metadata, self->mmu, self->stats, self->pages,
		   variant->how);
	check_words(_metadata, self->mem.base, self->pages, variant->how);
}

/* The same with time for all of them between looking up and installing. */
TEST_F_TIMEOUT(demand, same_held, 300)
{
	uint64_t others;

	if (!vt_mmu_set_param("test_install_delay_ms", "1"))
		SKIP(return, VT_MMU_NO_PARAM "test_install_delay_ms");
	others = vt_mmu_stat(self->stats, "pf_spurious") +
		 vt_mmu_stat(self->stats, "pf_retried");
	same_pages(_metadata, self->mmu, self->stats, 64, variant->how);
	vt_mmu_set_param("test_install_delay_ms", "0");
	/* every thread tried to install the entry, one succeeded */
	EXPECT_GT(vt_mmu_stat(self->stats, "pf_spurious") +
		  vt_mmu_stat(self->stats, "pf_retried"), others + 64);
	check_words(_metadata, self->mem.base, 64, variant->how);
}

/* ----------------------------------------------------------- userfaultfd */

FIXTURE(served)
{
	struct vt_area a;
	struct vt_uffd u;
	const char *why;
};

FIXTURE_VARIANT(served)
{
	enum vt_area_backing backing;
	uint64_t features;
	uint64_t mode;
};

FIXTURE_VARIANT_ADD(served, missing)
{
	.backing = VT_AREA_ANON, .mode = UFFDIO_REGISTER_MODE_MISSING,
};

FIXTURE_VARIANT_ADD(served, missing_memfd)
{
	.backing = VT_AREA_MEMFD, .mode = UFFDIO_REGISTER_MODE_MISSING,
};

FIXTURE_VARIANT_ADD(served, minor)
{
	.backing = VT_AREA_MEMFD, .mode = UFFDIO_REGISTER_MODE_MINOR,
	.features = UFFD_FEATURE_MINOR_SHMEM,
};

FIXTURE_SETUP(served)
{
	self->why = vt_area_open(&self->a, variant->backing);
	if (!self->why)
		self->why = vt_uffd_open(&self->u, &self->a, variant->features,
					 variant->mode);
}

FIXTURE_TEARDOWN(served)
{
	if (self->u.a)
		vt_uffd_close(&self->u);
	vt_area_close(&self->a);
}

/* Take the pages away, so that the handlers have to bring generation @gen. */
static int take_away(struct vt_area *a, struct vt_uffd *u, uint64_t gen,
		     bool minor)
{
	vt_area_fill(a, gen);
	memcpy(u->src, a->base, a->len);
	if (minor || a->fd < 0)
		return madvise(a->base, a->len, MADV_DONTNEED) ? -errno : 0;
	return madvise(a->base, a->len, MADV_REMOVE) ? -errno : 0;
}

static void serve_threads(struct __test_metadata *_metadata,
			  struct vt_area *a, struct vt_uffd *u, bool same)
{
	pthread_barrier_t step;
	struct worker w[MAX_THREADS] = {};
	size_t each = same ? a->pages : a->pages / MAX_THREADS, from;
	unsigned int i;

	pthread_barrier_init(&step, NULL, MAX_THREADS);
	for (i = 0; i < MAX_THREADS; i++) {
		from = same ? 0 : i * each;
		w[i] = (struct worker){
			.mmu = a->mmu, .how = i % 2 ? POPULATE : READ,
			.gpa = VT_AREA_GPA + from * VT_PAGE, .first = from,
			.pages = each, .step = &step, .id = i,
		};
	}
	ASSERT_GT(run(w, MAX_THREADS), 0);
	pthread_barrier_destroy(&step);
	EXPECT_GE(u->faults, a->pages);
	EXPECT_EQ(0, vt_area_check_mmu(a, 1));
	EXPECT_EQ(0, vt_area_check(a, 1));
	EXPECT_EQ(0, vt_area_stat(a, "mmu_lock_write_fault"));
	TH_LOG("%s: %llu faults served for %zu pages, %llu times twice",
	       same ? "same" : "disjoint", (unsigned long long)u->faults,
	       a->pages, (unsigned long long)u->existed);
}

TEST_F_TIMEOUT(served, disjoint, 300)
{
	if (self->why)
		SKIP(return, "%s", self->why);
	ASSERT_EQ(0, take_away(&self->a, &self->u, 1, variant->features));
	ASSERT_EQ(0, vt_uffd_serve(&self->u));
	serve_threads(_metadata, &self->a, &self->u, false);
}

TEST_F_TIMEOUT(served, same, 300)
{
	if (self->why)
		SKIP(return, "%s", self->why);
	ASSERT_EQ(0, take_away(&self->a, &self->u, 1, variant->features));
	ASSERT_EQ(0, vt_uffd_serve(&self->u));
	serve_threads(_metadata, &self->a, &self->u, true);
}

/* ---------------------------------------------------------------- signals */

struct blocked {
	_Atomic bool done;
	struct vt_area *a;
	int r;
	uint64_t val;
};

static void *read_blocked(void *arg)
{
	struct blocked *b = arg;

	b->r = vt_mmu_read64(b->a->mmu, VT_AREA_GPA, &b->val);
	atomic_store(&b->done, true);
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Does GUP of this kernel end at any signal? It has since 6.2. */
static bool interruptible(void)
{
	int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		abort();
	return major > 6 || (major == 6 && minor >= 2);
}

/* Waits until somebody is blocked in a fault on the area. */
static int wait_blocked(struct vt_uffd *u)
{
	struct pollfd p = { .fd = u->fd, .events = POLLIN };

	return poll(&p, 1, VT_TIMEOUT) == 1 ? 0 : -ETIMEDOUT;
}

TEST_F_TIMEOUT(served, signal, 300)
{
	struct sigaction sa = { .sa_handler = on_signal };
	struct blocked b = { .a = &self->a };
	uint64_t end;
	pthread_t t;

	if (self->why)
		SKIP(return, "%s", self->why);
	if (!interruptible())
		SKIP(return, "only fatal signals end a fault of this kernel");
	sigaction(SIGUSR1, &sa, NULL);
	ASSERT_EQ(0, take_away(&self->a, &self->u, 1, variant->features));
	/* nobody serves */
	ASSERT_EQ(0, pthread_create(&t, NULL, read_blocked, &b));
	ASSERT_EQ(0, wait_blocked(&self->u));
	vt_sleep_ms(20);
	EXPECT_FALSE(b.done);
	end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	while (!atomic_load(&b.done) && vt_patient_ns() < end) {
		pthread_kill(t, SIGUSR1);
		vt_sleep_ms(5);
	}
	EXPECT_TRUE(b.done);
	/* let go of the area whatever happened */
	ASSERT_EQ(0, vt_uffd_serve(&self->u));
	pthread_join(t, NULL);
	EXPECT_EQ(-EINTR, b.r);
	EXPECT_EQ(0, vt_area_check_mmu(&self->a, 1));
}

TEST_F_TIMEOUT(served, kill, 300)
{
	struct vt_area *a = &self->a;
	struct vt_uffd *u = &self->u;
	struct blocked b = {};
	pid_t pid;
	int status, ready[2];
	char c;

	if (self->why)
		SKIP(return, "%s", self->why);
	ASSERT_EQ(0, pipe(ready));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* the child needs its own MMU and userfaultfd */
		b.a = a;
		if (vt_area_open(a, variant->backing) ||
		    vt_uffd_open(u, a, variant->features, variant->mode) ||
		    take_away(a, u, 1, variant->features) ||
		    pthread_create(&(pthread_t){ 0 }, NULL, read_blocked, &b) ||
		    wait_blocked(u) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(2);
	}
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &c, 1));
	vt_sleep_ms(20);
	kill(pid, SIGKILL);
	status = vt_wait_child(pid, VT_TIMEOUT);
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	close(ready[0]);
}

TEST_HARNESS_MAIN
