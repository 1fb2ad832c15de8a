// SPDX-License-Identifier: GPL-2.0
/*
 * mmubench: what a second-stage MMU costs, /dev/vhost-mmu beside KVM.
 *
 * Each run does one work on one MMU and prints one line of JSON.  A run proves
 * that it did what it claims by the statistics of the MMU, which both keep in
 * the same layout: as many pages mapped, or zapped, as were asked for.
 *
 * KVM has no way in but a vCPU; none of them ever runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/kvm.h>
#include <linux/vhost_mmu.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "marker.h"

/* Since Linux 6.12; the C library's headers may be older. */
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_PRE_FAULT_MEMORY _IOWR(KVMIO, 0xd5, struct kvm_pre_fault_memory)
struct kvm_pre_fault_memory {
	__u64 gpa;
	__u64 size;
	__u64 flags;
	__u64 padding[5];
};
#endif

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define MB		(1UL << 20)
#define MAX_THREADS	64
/* Above the first 4 GiB KVM has nothing of its own. */
#define GPA		(16UL << 30)
#define CHUNK		(16 * PAGE)

enum work {
	POPULATE, ZAP_EMPTY, ZAP_UNRELATED, ZAP_BETWEEN, ZAP_MAPPED, FAULTS, TABLES, STORM,
};

static const char *const work_names[] = {
	"populate", "zap-empty", "zap-unrelated", "zap-between", "zap-mapped", "faults", "tables",
	"storm", NULL,
};

enum device { NONE, KVM, VMMU };

static const char *const device_names[] = { "none", "kvm", "vhost_mmu", NULL };

static struct {
	int work;
	int device;
	bool huge;
	unsigned int threads;
	unsigned long mb;
	unsigned int count;
	unsigned int seconds;
} opt = {
	.work = -1,
	.device = -1,
	.threads = 1,
	.mb = 64,
	.count = 2000,
	.seconds = 3,
};

/* The MMU: its file, and one file a thread, a vCPU or a reader. */
static int mmu_fd = -1;
static int thread_fds[MAX_THREADS];
static int stats_fd = -1;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "mmubench: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	exit(1);
}

static int check(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, strerror(errno));
	return ret;
}

#define IOCTL(fd, req, arg) check(ioctl(fd, req, arg), #req)

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/* Statistics: the layout is KVM's for both. */

static void pread_all(void *buf, size_t size, off_t at)
{
	ssize_t n = pread(stats_fd, buf, size, at);

	if (n != (ssize_t)size)
		die("statistics: %zd of %zu bytes at %lld", n, size, (long long)at);
}

/* Return: the statistic, or -1 if the MMU has none of that name. */
static long long stat_get(const char *name)
{
	struct kvm_stats_header header;
	long long value = -1;
	struct kvm_stats_desc *desc;
	size_t size;

	if (stats_fd < 0)
		return -1;
	pread_all(&header, sizeof(header), 0);
	size = sizeof(*desc) + header.name_size;
	desc = malloc(size);
	if (!desc)
		die("out of memory");
	for (unsigned int i = 0; i < header.num_desc && value < 0; i++) {
		uint64_t raw;

		pread_all(desc, size, header.desc_offset + i * size);
		if (strncmp(desc->name, name, header.name_size))
			continue;
		pread_all(&raw, sizeof(raw), header.data_offset + desc->offset);
		value = raw;
	}
	free(desc);
	return value;
}

static void expect(const char *what, long long have, long long want)
{
	if (have != want)
		die("%s: %lld, expected %lld", what, have, want);
}

/* The two MMUs. */

static void mmu_open(void)
{
	if (opt.device == KVM) {
		int dev = check(open("/dev/kvm", O_RDWR), "/dev/kvm");

		mmu_fd = check(ioctl(dev, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
		stats_fd = check(ioctl(mmu_fd, KVM_GET_STATS_FD, 0), "KVM_GET_STATS_FD");
		for (unsigned int i = 0; i < opt.threads; i++)
			thread_fds[i] = check(ioctl(mmu_fd, KVM_CREATE_VCPU, i), "KVM_CREATE_VCPU");
	} else if (opt.device == VMMU) {
		struct vmmu_get_stats_fd stats = { .size = sizeof(stats) };

		mmu_fd = check(open("/dev/vhost-mmu", O_RDWR), "/dev/vhost-mmu");
		IOCTL(mmu_fd, VMMU_GET_STATS_FD, &stats);
		stats_fd = stats.out_fd;
		for (unsigned int i = 0; i < opt.threads; i++) {
			struct vmmu_create_reader reader = { .size = sizeof(reader) };

			IOCTL(mmu_fd, VMMU_CREATE_READER, &reader);
			thread_fds[i] = reader.out_fd;
		}
	}
}

static void mmu_slot(unsigned int slot, uint64_t gpa, void *mem, size_t size)
{
	if (opt.device == KVM) {
		struct kvm_userspace_memory_region region = {
			.slot = slot,
			.guest_phys_addr = gpa,
			.memory_size = size,
			.userspace_addr = (uintptr_t)mem,
		};

		IOCTL(mmu_fd, KVM_SET_USER_MEMORY_REGION, &region);
	} else if (opt.device == VMMU) {
		struct vmmu_set_memslot region = {
			.size = sizeof(region),
			.slot = slot,
			.guest_phys_addr = gpa,
			.memory_size = size,
			.userspace_addr = (uintptr_t)mem,
		};

		IOCTL(mmu_fd, VMMU_SET_MEMSLOT, &region);
	}
}

static void mmu_populate(int fd, uint64_t gpa, uint64_t length)
{
	if (opt.device == KVM) {
		struct kvm_pre_fault_memory range = { .gpa = gpa, .size = length };

		while (range.size)
			if (ioctl(fd, KVM_PRE_FAULT_MEMORY, &range) && errno != EAGAIN)
				die("KVM_PRE_FAULT_MEMORY at %#llx: %s",
				    (unsigned long long)range.gpa, strerror(errno));
	} else if (opt.device == VMMU) {
		struct vmmu_populate range = {
			.size = sizeof(range), .gpa = gpa, .length = length,
		};

		while (range.length)
			if (ioctl(fd, VMMU_POPULATE, &range) && errno != EAGAIN)
				die("VMMU_POPULATE at %#llx: %s",
				    (unsigned long long)range.gpa, strerror(errno));
	}
}

/* Memory. */

/*
 * Anonymous memory that is written to, at fixed addresses: where an area stands
 * in the tree of all areas costs a system call 150 instructions more or less.
 */
static uint8_t *get_memory(size_t size, bool huge)
{
	static uintptr_t next = 1UL << 44;
	uint8_t *p = mmap((void *)next, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			  -1, 0);

	if (p == MAP_FAILED)
		die("mmap of %zu bytes: %s", size, strerror(errno));
	next += 1UL << 40;
	check(madvise(p, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE), "madvise");
	for (size_t i = 0; i < size; i += PAGE)
		p[i] = 1;
	return p;
}

/* SecPageTables of /proc/meminfo in pages, the CPUs' shares folded in. */
static long secondary_tables(void)
{
	char line[128];
	long kb = -1;
	FILE *f;

	f = fopen("/proc/sys/vm/stat_refresh", "w");
	if (!f || fputs("1\n", f) < 0 || fclose(f))
		die("/proc/sys/vm/stat_refresh: %s", strerror(errno));
	f = fopen("/proc/meminfo", "r");
	if (!f)
		die("/proc/meminfo: %s", strerror(errno));
	while (kb < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "SecPageTables: %ld", &kb);
	fclose(f);
	if (kb < 0)
		die("/proc/meminfo has no SecPageTables");
	return kb * 1024 / PAGE;
}

/* Result: a line of JSON. */

static void print_stats(void)
{
	static const char *const names[] = {
		"pages_4k", "pages_2m", "table_pages", "pf_taken", "pf_fixed", "pf_spurious",
		"pf_retried", "mmu_lock_notifier", "mmu_lock_write_fault", "notifier_starts",
		"invalidations", "pages_zapped", "drains", "drain_max_ns",
	};
	const char *comma = "";

	printf("\"stats\": {");
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		long long value = stat_get(names[i]);

		if (value < 0)
			continue;
		printf("%s\"%s\": %lld", comma, names[i], value);
		comma = ", ";
	}
	printf("}}\n");
}

static void print_head(uint64_t units)
{
	printf("{\"units\": %llu, ", (unsigned long long)units);
}

/* Works. */

static void expect_pages(uint64_t pages_4k, uint64_t pages_2m)
{
	expect("pages_4k", stat_get("pages_4k"), pages_4k);
	expect("pages_2m", stat_get("pages_2m"), pages_2m);
}

/* One call maps all of the memory.  A unit is an entry. */
static void populate(void)
{
	size_t size = opt.mb * MB;
	uint8_t *mem = get_memory(size, opt.huge);
	uint64_t units = size / (opt.huge ? HUGE : PAGE);

	mmu_open();
	mmu_slot(0, GPA, mem, size);
	/* What is allocated once is not counted. */
	mmu_populate(thread_fds[0], GPA, opt.huge ? HUGE : PAGE);
	mark(MARK_BEGIN);
	mmu_populate(thread_fds[0], GPA, size);
	mark(MARK_END);
	expect_pages(opt.huge ? 0 : units, opt.huge ? units : 0);
	print_head(units - 1);
}

/*
 * Only interrupts may come into a system call, not what they wake up: one call
 * is short and what comes between them is not counted.
 */
static void become_fifo(void)
{
	struct sched_param param = { .sched_priority = 1 };

	check(sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO");
}

/* One page at a time is touched, mapped, and given back: that is counted. */
static void zap(void)
{
	size_t size = opt.count * PAGE;
	uint8_t *low = get_memory(size, false);
	uint8_t *mem = get_memory(size, false);
	uint8_t *high = get_memory(size, false);
	unsigned int slots = 0;
	long long zapped;

	mmu_open();
	if (opt.work == ZAP_MAPPED)
		mmu_slot(slots++, GPA, mem, size);
	if (opt.work == ZAP_UNRELATED || opt.work == ZAP_BETWEEN)
		mmu_slot(slots++, GPA, high, size);
	if (opt.work == ZAP_BETWEEN)
		mmu_slot(slots++, GPA + size, low, size);
	if (slots) {
		mmu_populate(thread_fds[0], GPA, slots * size);
		expect_pages(slots * opt.count, 0);
	}
	become_fifo();
	/* The allocator's lists for this CPU come to rest: no batch is freed later. */
	for (unsigned int i = 0; i < opt.count; i++) {
		check(madvise(mem + i * PAGE, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		mem[i * PAGE] = 1;
	}
	zapped = stat_get("pages_zapped");
	mark(MARK_BEGIN);
	mark(MARK_PAUSE);
	for (unsigned int i = 0; i < opt.count; i++) {
		mem[i * PAGE] = 1;
		if (opt.work == ZAP_MAPPED)
			mmu_populate(thread_fds[0], GPA + i * PAGE, PAGE);
		mark(MARK_RESUME);
		check(madvise(mem + i * PAGE, PAGE, MADV_DONTNEED), "MADV_DONTNEED");
		mark(MARK_PAUSE);
	}
	mark(MARK_END);
	if (opt.device != NONE && opt.work != ZAP_EMPTY)
		expect_pages(opt.work == ZAP_MAPPED ? 0 : slots * opt.count, 0);
	if (opt.device == VMMU)
		expect("pages_zapped", stat_get("pages_zapped") - zapped,
		       opt.work == ZAP_MAPPED ? opt.count : 0);
	print_head(opt.count);
}

/* Threads, each on a CPU, that begin and end together. */

static pthread_barrier_t barrier;
static uint8_t *memory;

static void go_on(void)
{
	pthread_barrier_wait(&barrier);
}

static void pin(unsigned int index)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(index % sysconf(_SC_NPROCESSORS_ONLN), &set);
	check(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void start_threads(void *(*function)(void *arg), unsigned int count)
{
	pthread_t thread;

	if (pthread_barrier_init(&barrier, NULL, count + 1))
		die("out of memory");
	for (uintptr_t i = 0; i < count; i++)
		if (pthread_create(&thread, NULL, function, (void *)i))
			die("cannot create a thread");
	/* All of them are ready. */
	go_on();
}

static void *fault_thread(void *arg)
{
	uintptr_t index = (uintptr_t)arg;
	uint64_t share = opt.mb * MB / opt.threads;

	pin(index);
	/* What is allocated once a thread is not counted. */
	mmu_populate(thread_fds[index], GPA + index * share, PAGE);
	go_on();
	go_on();
	for (uint64_t at = PAGE; at < share; at += PAGE)
		mmu_populate(thread_fds[index], GPA + index * share + at, PAGE);
	go_on();
	go_on();
	return NULL;
}

/* Each thread maps its share of the memory, one page a call. */
static void faults(void)
{
	size_t size = opt.mb * MB;
	uint64_t ns;

	memory = get_memory(size, false);
	mmu_open();
	mmu_slot(0, GPA, memory, size);
	start_threads(fault_thread, opt.threads);
	mark(MARK_BEGIN);
	ns = now_ns();
	go_on();
	go_on();
	ns = now_ns() - ns;
	mark(MARK_END);
	expect_pages(size / PAGE, 0);
	print_head(size / PAGE - opt.threads);
	printf("\"ns\": %llu, ", (unsigned long long)ns);
}

/* A GiB of guest memory, whose slots lie over the same memory of the host. */
static void tables(void)
{
	size_t size = opt.mb * MB;
	unsigned int slots = (1UL << 30) / size;
	uint8_t *mem = get_memory(size, opt.huge);
	long before;

	mmu_open();
	before = secondary_tables();
	for (unsigned int i = 0; i < slots; i++)
		mmu_slot(i, GPA + i * size, mem, size);
	mmu_populate(thread_fds[0], GPA, 1UL << 30);
	expect_pages(opt.huge ? 0 : (1UL << 30) / PAGE, opt.huge ? (1UL << 30) / HUGE : 0);
	print_head(secondary_tables() - before);
}

static bool stop;
static uint64_t accesses[MAX_THREADS];

static void *access_thread(void *arg)
{
	uintptr_t index = (uintptr_t)arg;
	static uint8_t buffers[MAX_THREADS][CHUNK];
	unsigned int seed = index;

	pin(index);
	go_on();
	go_on();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct vmmu_access access = {
			.size = sizeof(access),
			.gpa = GPA + rand_r(&seed) % (opt.mb * MB / CHUNK) * CHUNK,
			.length = CHUNK,
			.data = (uintptr_t)buffers[index],
		};

		while (access.length)
			if (ioctl(thread_fds[index], index % 2 ? VMMU_READ : VMMU_WRITE, &access) &&
			    errno != EAGAIN)
				die("access at %#llx: %s", (unsigned long long)access.gpa,
				    strerror(errno));
		accesses[index]++;
	}
	go_on();
	return NULL;
}

/* Readers and writers in guest memory that is taken away all the time. */
static void storm(void)
{
	size_t size = opt.mb * MB;
	uint64_t end, sum = 0;
	unsigned int seed = 1;

	memory = get_memory(size, false);
	mmu_open();
	mmu_slot(0, GPA, memory, size);
	mmu_populate(thread_fds[0], GPA, size);
	start_threads(access_thread, opt.threads);
	go_on();
	end = now_ns() + opt.seconds * 1000000000ULL;
	for (unsigned int i = 0; now_ns() < end; i++) {
		size_t length = i % 64 ? PAGE : HUGE;

		check(madvise(memory + rand_r(&seed) % (size / length) * length, length,
			      MADV_DONTNEED), "MADV_DONTNEED");
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	go_on();
	for (unsigned int i = 0; i < opt.threads; i++) {
		if (!accesses[i])
			die("thread %u had no turn", i);
		sum += accesses[i];
	}
	print_head(sum);
}

static void (*const works[])(void) = {
	[POPULATE] = populate,
	[ZAP_EMPTY] = zap,
	[ZAP_UNRELATED] = zap,
	[ZAP_BETWEEN] = zap,
	[ZAP_MAPPED] = zap,
	[FAULTS] = faults,
	[TABLES] = tables,
	[STORM] = storm,
};

static void usage(FILE *f)
{
	fprintf(f,
"usage: mmubench --device DEVICE --work WORK [OPTION...]\n"
"Give a second-stage MMU one kind of work and print one line of JSON.\n"
"\n"
"  --device DEVICE  none, kvm (/dev/kvm) or vhost_mmu (/dev/vhost-mmu)\n"
"  --work WORK      populate       map all memory in one call\n"
"                   zap-mapped     MADV_DONTNEED of one page that is mapped\n"
"                   zap-unrelated  the same of one in no memslot\n"
"                   zap-between    the same of one between two memslots\n"
"                   zap-empty      the same while there is no memslot at all\n"
"                   faults         threads map one page a call\n"
"                   tables         page tables for 1 GiB, units are pages\n"
"                   storm          accesses while pages are taken away\n"
"  --huge           2 MiB pages (populate, tables)\n"
"  --threads N      (%u, at most %d)\n"
"  --mb N           memory in MiB (%lu)\n"
"  --count N        pages given back (%u)\n"
"  --seconds N      how long the storm lasts (%u)\n"
"\n"
"Exit status 0: the statistics agree with the work; 1: anything else.\n",
		opt.threads, MAX_THREADS, opt.mb, opt.count, opt.seconds);
}

static unsigned long number(const char *name, const char *text, unsigned long max)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 0);
	if (errno || *end || end == text || !n || n > max)
		die("--%s wants a number from 1 to %lu, not '%s'", name, max, text);
	return n;
}

static int find(const char *const *names, const char *name)
{
	for (int i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "work", required_argument, NULL, 'w' },
		{ "huge", no_argument, NULL, 'H' },
		{ "threads", required_argument, NULL, 't' },
		{ "mb", required_argument, NULL, 'm' },
		{ "count", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			opt.device = find(device_names, optarg);
			break;
		case 'w':
			opt.work = find(work_names, optarg);
			break;
		case 'H':
			opt.huge = true;
			break;
		case 't':
			opt.threads = number("threads", optarg, MAX_THREADS);
			break;
		case 'm':
			opt.mb = number("mb", optarg, 1024);
			break;
		case 'c':
			opt.count = number("count", optarg, 100000);
			break;
		case 's':
			opt.seconds = number("seconds", optarg, 3600);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			exit(1);
		}
	}
	if (opt.work < 0 || opt.device < 0 || optind != argc) {
		usage(stderr);
		exit(1);
	}
	/* Shares and slots come out even. */
	if (opt.mb % 2 || opt.mb & (opt.mb - 1) || opt.threads & (opt.threads - 1))
		die("--mb and --threads want powers of two, --mb at least 2");
	if (opt.device == NONE && opt.work != ZAP_EMPTY)
		die("without an MMU there is only zap-empty");
	if (opt.work == STORM && opt.device != VMMU)
		die("only vhost_mmu has the storm");
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	works[opt.work]();
	print_stats();
	return 0;
}
