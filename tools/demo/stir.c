// SPDX-License-Identifier: GPL-2.0
/*
 * stir - take the memory of a running QEMU away from under its rings.
 *
 * From outside of that process, until SIGTERM or SIGINT, every round
 *   1. migrates the pages of the given rings to the other NUMA node,
 *   2. migrates the next slice of the guest memory that surrounds them,
 *   3. pages the rings and a part of that slice out to swap.
 * What really happened to the ring pages is read back from the page map of the
 * process: a changed page frame, or an entry that went to swap. The counts go
 * to standard output as one line of JSON.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
/* Guest memory migrated in one round; an eighth of it is paged out. */
#define SLICE_PAGES 2048UL
#define MAX_RING_PAGES 1024
#define MPOL_MF_MOVE 2

#define PM_PRESENT (1ULL << 63)
#define PM_SWAP (1ULL << 62)
#define PM_PFN ((1ULL << 55) - 1)

struct stats {
	unsigned long rounds;
	/* Ring pages found in another page frame after a migration. */
	unsigned long ring_migrated;
	/* Ring pages found in swap right after a page-out. */
	unsigned long ring_swapped;
	unsigned long ram_migrated;
	unsigned long ram_pageout_kib;
};

static volatile sig_atomic_t stop;

static pid_t pid;
static int pagemap;
static int pidfd;

static uintptr_t ring[MAX_RING_PAGES];
static size_t nr_ring;

static uintptr_t ram_start, ram_end;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "stir: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t page_entry(uintptr_t addr)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), addr / PAGE * sizeof(entry)) < 0)
		die("pagemap");
	return entry;
}

static void add_ring_page(uintptr_t addr)
{
	size_t i;

	for (i = 0; i < nr_ring; i++)
		if (ring[i] == addr)
			return;
	if (nr_ring == MAX_RING_PAGES) {
		fprintf(stderr, "stir: more than %d ring pages\n", MAX_RING_PAGES);
		exit(2);
	}
	ring[nr_ring++] = addr;
}

static void add_ring_part(const char *arg)
{
	char *colon;
	uintptr_t addr = strtoul(arg, &colon, 0);
	uintptr_t end, page;

	if (*colon != ':') {
		fprintf(stderr, "stir: %s is not ADDRESS:BYTES\n", arg);
		exit(2);
	}
	end = addr + strtoul(colon + 1, NULL, 0);
	for (page = addr & ~(PAGE - 1); page < end; page += PAGE)
		add_ring_page(page);
}

/* The mapping around the first ring page is the guest's memory. */
static void find_ram(void)
{
	char path[64], line[512];
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "r");
	if (!maps)
		die(path);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx", &start, &end) == 2 &&
		    start <= ring[0] && ring[0] < end) {
			ram_start = start;
			ram_end = end;
		}
	}
	fclose(maps);
	if (!ram_end) {
		fprintf(stderr, "stir: no mapping of %d holds %#lx\n", pid, ring[0]);
		exit(1);
	}
}

/* Returns how many of the pages are on @node afterwards. */
static unsigned long migrate(const uintptr_t *addr, size_t n, int node)
{
	static void *pages[SLICE_PAGES];
	static int nodes[SLICE_PAGES], status[SLICE_PAGES];
	unsigned long moved = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		pages[i] = (void *)addr[i];
		nodes[i] = node;
		status[i] = -1;
	}
	/* Pages that are busy or in swap make it fail in part: not an error. */
	if (syscall(SYS_move_pages, pid, n, pages, nodes, status, MPOL_MF_MOVE) < 0 &&
	    errno != EBUSY && errno != ENOENT)
		die("move_pages");
	for (i = 0; i < n; i++)
		moved += status[i] == node;
	return moved;
}

static unsigned long page_out(uintptr_t addr, size_t bytes)
{
	struct iovec iov = { .iov_base = (void *)addr, .iov_len = bytes };
	long ret = syscall(SYS_process_madvise, pidfd, &iov, 1UL, MADV_PAGEOUT, 0U);

	if (ret < 0 && errno != EAGAIN)
		die("process_madvise(MADV_PAGEOUT)");
	return ret < 0 ? 0 : ret;
}

static void migrate_rings(struct stats *st, int node)
{
	uint64_t before[MAX_RING_PAGES];
	size_t i;

	for (i = 0; i < nr_ring; i++)
		before[i] = page_entry(ring[i]);
	migrate(ring, nr_ring, node);
	for (i = 0; i < nr_ring; i++) {
		uint64_t after = page_entry(ring[i]);

		if (before[i] & after & PM_PRESENT &&
		    (before[i] & PM_PFN) != (after & PM_PFN))
			st->ring_migrated++;
	}
}

static void page_out_rings(struct stats *st)
{
	size_t i;

	for (i = 0; i < nr_ring; i++) {
		page_out(ring[i], PAGE);
		/* A busy ring is faulted in again at once: this is a lower bound. */
		if (page_entry(ring[i]) & PM_SWAP)
			st->ring_swapped++;
	}
}

static void stir_slice(struct stats *st, int node)
{
	static uintptr_t next;
	uintptr_t addr[SLICE_PAGES];
	size_t n;

	if (next < ram_start || next >= ram_end)
		next = ram_start;
	for (n = 0; n < SLICE_PAGES && next + n * PAGE < ram_end; n++)
		addr[n] = next + n * PAGE;
	st->ram_migrated += migrate(addr, n, node);
	st->ram_pageout_kib += page_out(next, n * PAGE / 8) / 1024;
	next += n * PAGE;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: stir PID INTERVAL_MS ADDRESS:BYTES...\n"
		"Migrates and pages out the memory of PID around the given ring parts\n"
		"until SIGTERM, then prints what happened as JSON. Needs root, two NUMA\n"
		"nodes and swap space.\n");
	exit(2);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_signal };
	struct timespec pause;
	struct stats st = { 0 };
	char path[64];
	int i, interval;

	if (argc < 4)
		usage();
	pid = atoi(argv[1]);
	interval = atoi(argv[2]);
	if (pid <= 0 || interval <= 0)
		usage();
	for (i = 3; i < argc; i++)
		add_ring_part(argv[i]);
	pause.tv_sec = interval / 1000;
	pause.tv_nsec = interval % 1000 * 1000000L;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	pagemap = open(path, O_RDONLY);
	if (pagemap < 0)
		die(path);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		die("pidfd_open");
	find_ram();
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);

	while (!stop) {
		int node = st.rounds++ & 1;

		migrate_rings(&st, node);
		stir_slice(&st, node);
		page_out_rings(&st);
		nanosleep(&pause, NULL);
	}
	printf("{\"rounds\": %lu, \"ring_pages\": %zu, \"ring_migrated\": %lu, "
	       "\"ring_swapped\": %lu, \"ram_migrated\": %lu, \"ram_pageout_kib\": %lu}\n",
	       st.rounds, nr_ring, st.ring_migrated, st.ring_swapped, st.ram_migrated,
	       st.ram_pageout_kib);
	return 0;
}
