// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that goes away under load: protected, unmapped, with its memslot, with
 * its process; files that outlive their owner; unloading the module after all.
 * Timeout: 90 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "inval.h"
#include "mmu.h"

#define GPA		(1UL << 30)
#define THREADS		3
#define SLOTS		8
#define REFCNT		"/sys/module/vhost_mmu/refcnt"

static uint64_t slot_pages;
#define SLOT_LEN	(slot_pages * VT_PAGE)
#define LEN		(SLOTS * SLOT_LEN)

/* What processes tell each other. */
static struct shared {
	_Atomic bool ready;
	_Atomic bool go;
	_Atomic int fd;
	_Atomic int reader;
	_Atomic int stats;
} *shared;

FIXTURE(exit)
{
	long long refcnt;
};

FIXTURE_SETUP(exit)
{
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	slot_pages = vt_slow() ? 32 : 128;
	shared = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	self->refcnt = vt_read_number(REFCNT);
	ASSERT_LE(0, self->refcnt);
}

/* All that held the module let go of it; files are closed a little later. */
FIXTURE_TEARDOWN(exit)
{
	int ms = VT_TIMEOUT;

	while (vt_read_number(REFCNT) != self->refcnt && ms > 0) {
		vt_sleep_ms(10);
		ms -= 10;
	}
	EXPECT_EQ(self->refcnt, vt_read_number(REFCNT));
}

/* ---------------------------------------------------------- the load */

/* What a page may answer just now. */
static _Atomic bool writes_may_fail, writes_must_fail, anything_goes;

struct worker {
	pthread_t thread;
	unsigned int index;
	int fd;
	_Atomic uint64_t rounds;
	_Atomic uint64_t failures;
	_Atomic int error;
	char why[128];
};

static _Atomic bool stop;
static struct worker workers[THREADS];

static int one_page(struct worker *w, uint64_t page)
{
	bool must, may = writes_may_fail;
	uint64_t gpa = GPA + page * VT_PAGE + 8 + 8 * w->index, val = 0;
	int r;

	/* read before the call: since then every write must fail */
	must = writes_must_fail;
	r = vt_mmu_write64(w->fd, gpa, page);
	may |= writes_may_fail;
	if (r)
		w->failures++;
	if (anything_goes) {
		vt_mmu_read64(w->fd, gpa, &val);
		return 0;
	}
	/* it may have become possible meanwhile */
	if (!r && must && writes_must_fail) {
		snprintf(w->why, sizeof(w->why), "a write was possible");
		return -EPROTO;
	}
	if (r && (r != -EFAULT || !may) && !anything_goes) {
		snprintf(w->why, sizeof(w->why), "write: %s", strerror(-r));
		return r;
	}
	r = vt_mmu_read64(w->fd, gpa, &val);
	if (!anything_goes && (r || val != page)) {
		snprintf(w->why, sizeof(w->why), "read %lu of page %lu: %s",
			 val, page, strerror(-r));
		return r ? r : -EBADMSG;
	}
	return 0;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	uint64_t pages = SLOTS * slot_pages;
	uint64_t n;
	int r;

	for (n = w->index; !stop; n += 7) {
		r = one_page(w, n % pages);
		if (r && !anything_goes) {
			w->error = r;
			return NULL;
		}
		w->rounds++;
	}
	return NULL;
}

static int start(int fd)
{
	unsigned int i;

	stop = false;
	writes_may_fail = false;
	writes_must_fail = false;
	anything_goes = false;
	memset(workers, 0, sizeof(workers));
	for (i = 0; i < THREADS; i++) {
		workers[i].index = i;
		workers[i].fd = fd;
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			return -EAGAIN;
	}
	return 0;
}

/* Let each thread do @n more rounds; an error of one ends it. */
static int rounds_pass(uint64_t n)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL, from[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++)
		from[i] = workers[i].rounds;
	for (i = 0; i < THREADS; i++) {
		while (workers[i].rounds < from[i] + n) {
			if (workers[i].error)
				return workers[i].error;
			if (vt_patient_ns() > end)
				return -ETIMEDOUT;
			sched_yield();
		}
	}
	return 0;
}

static int finish(void)
{
	unsigned int i;
	int r = 0;

	stop = true;
	for (i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].error) {
			vt_msg("exit: thread %u: %s", i, workers[i].why);
			r = workers[i].error;
		}
	}
	return r;
}

static uint64_t failures(void)
{
	unsigned int i;
	uint64_t n = 0;

	for (i = 0; i < THREADS; i++)
		n += workers[i].failures;
	return n;
}

static char *map_memory(void)
{
	char *p = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int add_slots(int fd, char *mem)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < SLOTS && !r; i++)
		r = vt_mmu_slot(fd, i, 0, GPA + i * SLOT_LEN,
				mem + i * SLOT_LEN, SLOT_LEN);
	return r;
}

/* ------------------------------------------------ KVM's mmu_stress_test */

TEST_F_TIMEOUT(exit, stages, 120)
{
	const uint64_t all = SLOTS * slot_pages;
	int fd = vt_mmu_open(), stats = vt_mmu_stats_open(fd);
	char *mem = map_memory();
	uint64_t i, val, before;

	ASSERT_LE(0, stats);
	ASSERT_NE(NULL, mem);
	ASSERT_EQ(0, add_slots(fd, mem));
	ASSERT_EQ(0, start(fd));

	/* write it all; all memslots anew; once more */
	EXPECT_EQ(0, rounds_pass(all));
	EXPECT_EQ(all, vt_mmu_stat(stats, "pages_4k"));
	anything_goes = true;
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(0, vt_mmu_slot_delete(fd, i));
	EXPECT_EQ(0, vt_mmu_stat(stats, "pages_4k"));
	EXPECT_EQ(1, vt_mmu_stat(stats, "table_pages"));
	EXPECT_EQ(0, rounds_pass(10));
	ASSERT_EQ(0, add_slots(fd, mem));
	EXPECT_EQ(0, rounds_pass(1));
	anything_goes = false;
	EXPECT_EQ(0, rounds_pass(all));

	/* writes fail, every one, everywhere, and reads do not care */
	for (i = 0; i < 3; i++) {
		before = failures();
		writes_may_fail = true;
		ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ));
		writes_must_fail = true;
		EXPECT_EQ(0, rounds_pass(i ? 50 : all));
		EXPECT_LT(before, failures());
		writes_must_fail = false;
		ASSERT_EQ(0, mprotect(mem, LEN, PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, rounds_pass(2));
		writes_may_fail = false;
		before = failures();
		EXPECT_EQ(0, rounds_pass(i ? 50 : all));
		EXPECT_EQ(before, failures());
	}

	/* every other memslot goes, then half of the memory of the rest */
	anything_goes = true;
	for (i = 0; i < SLOTS; i += 2)
		EXPECT_EQ(0, vt_mmu_slot_delete(fd, i));
	EXPECT_EQ(0, rounds_pass(50));
	ASSERT_EQ(0, munmap(mem + LEN / 2, LEN / 2));
	EXPECT_EQ(0, rounds_pass(50));
	EXPECT_EQ(0, finish());
	for (i = 0; i < SLOTS; i++)
		EXPECT_EQ(i % 2 == 0 ? -ENOENT : i < SLOTS / 2 ? 0 : -EFAULT,
			  vt_mmu_read64(fd, GPA + i * SLOT_LEN, &val));
	EXPECT_GE(all / 4, vt_mmu_stat(stats, "pages_4k"));
	EXPECT_LT(0, vt_mmu_stat(stats, "pages_4k"));
	EXPECT_EQ(0, vt_mmu_stat(stats, "mmu_lock_write_fault"));
	close(stats);
	close(fd);
}

/* ---------------------------------------------- the end of a process */

/* A process with an MMU under load; @then runs once it is under way. */
static pid_t start_owner(void (*then)(int fd, char *mem))
{
	pid_t pid;
	char *mem;
	int fd;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	if (pid)
		return pid;
	mem = map_memory();
	fd = vt_mmu_open();
	if (!mem || fd < 0 || add_slots(fd, mem) || start(fd) ||
	    rounds_pass(20))
		_exit(99);
	anything_goes = true;
	shared->reader = vt_mmu_create_reader(fd);
	shared->stats = vt_mmu_stats_open(fd);
	shared->fd = fd;
	shared->ready = true;
	then(fd, mem);
	_exit(98);
}

static int wait_ready(void)
{
	int ms = VT_TIMEOUT;

	while (!shared->ready && ms-- > 0)
		vt_sleep_ms(1);
	return shared->ready ? 0 : -ETIMEDOUT;
}

/* Memory comes and goes beside the threads, until the end comes. */
static void __attribute__((noreturn)) churn(char *mem, unsigned int rounds)
{
	unsigned int i;

	for (i = 0; !rounds || i < rounds; i++) {
		size_t at = i % SLOTS * SLOT_LEN;

		madvise(mem + at, SLOT_LEN, MADV_DONTNEED);
		mprotect(mem + at, SLOT_LEN / 2, PROT_READ);
		mprotect(mem + at, SLOT_LEN / 2, PROT_READ | PROT_WRITE);
	}
	/* exit without closing anything, while threads run */
	_exit(0);
}

static void churn_and_exit(int fd, char *mem)
{
	(void)fd;
	churn(mem, 4);
}

static void churn_until_killed(int fd, char *mem)
{
	(void)fd;
	churn(mem, 0);
}

/* At its end everything is closed and unmapped, in an order of the kernel's. */
TEST_F_TIMEOUT(exit, under_load, 120)
{
	unsigned int i, rounds = vt_slow() ? 4 : 8;

	for (i = 0; i < rounds; i++) {
		pid_t pid = start_owner(i & 1 ? churn_until_killed :
					churn_and_exit);

		ASSERT_LT(0, pid);
		ASSERT_EQ(0, wait_ready());
		if (i & 1) {
			vt_sleep_ms(i);
			ASSERT_EQ(0, kill(pid, SIGKILL));
			EXPECT_EQ(SIGKILL, vt_wait_child(pid, VT_TIMEOUT));
		} else {
			EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
		}
	}
}

/* The file is closed under its users, some of them inside. */
static void close_early(int fd, char *mem)
{
	close(shared->reader);
	close(shared->stats);
	close(fd);
	churn(mem, 2);
}

TEST_F_TIMEOUT(exit, close_under_load, 120)
{
	unsigned int i, rounds = vt_slow() ? 4 : 8;

	for (i = 0; i < rounds; i++) {
		pid_t pid = start_owner(close_early);

		ASSERT_LT(0, pid);
		EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	}
}

/* exec() takes the memory away, and leaves the file open if so wanted. */
static void exec_something(int fd, char *mem)
{
	(void)mem;
	fcntl(fd, F_SETFD, 0);
	fcntl(shared->reader, F_SETFD, 0);
	execl("/bin/sh", "sh", "-c", "exit 0", NULL);
}

TEST_F_TIMEOUT(exit, exec_under_load, 120)
{
	unsigned int i, rounds = vt_slow() ? 2 : 4;

	for (i = 0; i < rounds; i++) {
		pid_t pid = start_owner(exec_something);

		ASSERT_LT(0, pid);
		EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	}
}

/* Take file descriptor @fd of another process. */
static int take_fd(pid_t pid, int fd)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0), r;

	if (pidfd < 0)
		return -errno;
	r = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	r = r < 0 ? -errno : r;
	close(pidfd);
	return r;
}

/*
 * The owner dies, and we still have its files: its memory is free, the files
 * answer with errors, and can be closed.
 */
TEST_F_TIMEOUT(exit, files_of_the_dead, 120)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		pid_t pid = start_owner(churn_until_killed);
		int fd, reader, stats, more;
		struct vmmu_translate t;
		uint64_t val;

		ASSERT_LT(0, pid);
		ASSERT_EQ(0, wait_ready());
		fd = take_fd(pid, shared->fd);
		reader = take_fd(pid, shared->reader);
		stats = take_fd(pid, shared->stats);
		ASSERT_LE(0, fd);
		ASSERT_LE(0, reader);
		ASSERT_LE(0, stats);
		EXPECT_EQ(-EIO, vt_mmu_read64(fd, GPA, &val));
		EXPECT_EQ(SLOTS, vt_mmu_stat(stats, "memslots"));

		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(SIGKILL, vt_wait_child(pid, VT_TIMEOUT));
		/* the end of the address space unmapped everything */
		EXPECT_EQ(0, vt_mmu_stat(stats, "pages_4k"));
		EXPECT_EQ(-EIO, vt_mmu_read64(fd, GPA, &val));
		EXPECT_EQ(-EIO, vt_mmu_write64(reader, GPA, 1));
		EXPECT_EQ(-EIO, vt_mmu_translate(fd, 0, GPA, &t));
		EXPECT_EQ(-EIO, vt_mmu_populate_all(reader, 0, GPA, VT_PAGE));
		EXPECT_EQ(-EIO, vt_mmu_slot_delete(fd, 0));
		EXPECT_EQ(-EIO, vt_mmu_slot(fd, 20, 0, 0, &val, VT_PAGE));
		EXPECT_EQ(-EIO, vt_mmu_create_reader(fd));
		EXPECT_EQ(-EIO, vt_mmu_age(fd, 0, GPA, VT_PAGE, NULL, NULL));
		/* another thread is the last to exit in each round */
		more = dup(i ? i == 1 ? reader : stats : fd);
		close(fd);
		close(reader);
		close(stats);
		close(more);
	}
}

/*
 * Owner and holder of the last reference end at the same moment: the release of
 * the address space and of the file race.
 */
TEST_F_TIMEOUT(exit, release_races_close, 120)
{
	unsigned int i, rounds = vt_slow() ? 15 : 40;

	for (i = 0; i < rounds; i++) {
		pid_t owner, holder;
		char *mem;
		int fd;

		memset(shared, 0, sizeof(*shared));
		owner = fork();
		if (!owner) {
			mem = map_memory();
			fd = vt_mmu_open();
			if (!mem || fd < 0 || add_slots(fd, mem) ||
			    vt_mmu_populate_all(fd, VMMU_POPULATE_WRITE, GPA,
						i & 4 ? LEN : VT_PAGE))
				_exit(99);
			shared->fd = fd;
			shared->ready = true;
			while (!shared->go)
				sched_yield();
			_exit(0);
		}
		holder = fork();
		if (!holder) {
			volatile unsigned int spin;

			if (wait_ready())
				_exit(97);
			fd = take_fd(owner, shared->fd);
			if (fd < 0)
				_exit(96);
			shared->go = true;
			/* close sooner or later than the exit */
			for (spin = 0; spin < i * 300; spin++)
				;
			close(fd);
			_exit(0);
		}
		EXPECT_EQ(0, vt_wait_child(holder, VT_TIMEOUT));
		EXPECT_EQ(0, vt_wait_child(owner, VT_TIMEOUT));
	}
}

/* --------------------------------------------------------- the module */

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

/* Until the last reference is gone; -EAGAIN if it does not go. */
static int unload_soon(const char *name)
{
	int ms = VT_TIMEOUT, r;

	do {
		r = unload(name);
		if (r == -EAGAIN)
			vt_sleep_ms(10);
		ms -= 10;
	} while (r == -EAGAIN && ms > 0);
	return r;
}

/* Each kind of file keeps the module; without any it goes, and comes again. */
TEST_F_TIMEOUT(exit, unload, 240)
{
	int fd = vt_mmu_open(), reader = vt_mmu_create_reader(fd),
	    stats = vt_mmu_stats_open(fd);
	int *fds[] = { &fd, &reader, &stats };
	char *mem = map_memory();
	unsigned int i;
	pid_t pid;

	ASSERT_LE(0, stats);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, add_slots(fd, mem));
	ASSERT_EQ(0, vt_mmu_populate_all(fd, 0, GPA, LEN));
	/* not in use by devices, or this cannot be tested */
	ASSERT_EQ(0, unload_soon("vhost_mmu_net"));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EAGAIN, unload("vhost_mmu"));
		close(*fds[i]);
	}
	EXPECT_EQ(0, unload_soon("vhost_mmu"));
	EXPECT_EQ(-1, access(VT_MMU_PATH, F_OK));
	EXPECT_EQ(-1, access("/sys/module/vhost_mmu", F_OK));

	/* straight after the end of a process that did not clean up */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, system("modprobe vhost_mmu"));
		ASSERT_TRUE(vt_mmu_available());
		pid = start_owner(churn_and_exit);
		EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
		EXPECT_EQ(0, unload_soon("vhost_mmu"));
	}
	ASSERT_EQ(0, system("modprobe vhost_mmu_net"));
	EXPECT_TRUE(vt_mmu_available());
	self->refcnt = vt_read_number(REFCNT);
}

TEST_HARNESS_MAIN
