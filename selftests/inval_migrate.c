// SPDX-License-Identifier: GPL-2.0
/*
 * Let the kernel exchange the ring pages: KSM, huge pages, NUMA, bad memory.
 * Timeout: 180 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "inval.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define KSM	"/sys/kernel/mm/ksm/"
#define SPLIT	"/sys/kernel/debug/split_huge_pages"

FIXTURE(migrate)
{
	struct vt_inval inval;
};

FIXTURE_SETUP(migrate)
{
	memset(&self->inval, 0, sizeof(self->inval));
	self->inval.rig.dev.fd = self->inval.rig.tap.fd =
		self->inval.rig.tap.sock = -1;
	self->inval.fd = -1;
}

FIXTURE_TEARDOWN(migrate)
{
	vt_inval_close(&self->inval);
}

static void begin(struct __test_metadata *_metadata, struct vt_inval *inval,
		  struct vt_inval_cfg cfg)
{
	cfg.features = VT_F(VIRTIO_RING_F_EVENT_IDX);
	ASSERT_EQ(0, vt_inval_open(inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(inval));
}

static char *page_of(struct vt_inval *inval, unsigned int vq,
		     enum vt_inval_part part)
{
	return inval->dev + (inval->part[vq][part].off & ~(VT_PAGE - 1));
}

/* ----------------------------------------------------------------- KSM */

/* A page for each ring page, which KSM is to find equal. */
static char *twins;

/*
 * Have a page and its twin become one? KPF_KSM would not tell: some kernels set
 * it for every anonymous page.
 */
static bool is_merged(struct vt_inval *inval, const char *page)
{
	uint64_t pfn = vt_pfn(page);

	return pfn && pfn == vt_pfn(twins + (page - inval->dev));
}

/* Wait until KSM has merged all ring pages. */
static int wait_merged(struct vt_inval *inval)
{
	uint64_t end = vt_patient_ns() + 2 * VT_TIMEOUT * 1000000ULL;
	unsigned int i, p, merged;

	do {
		merged = 0;
		for (i = 0; i < 2; i++)
			for (p = 0; p < VT_INVAL_PARTS; p++)
				merged +=
					is_merged(inval, page_of(inval, i, p));
		if (merged == 2 * VT_INVAL_PARTS)
			return 0;
		vt_sleep_ms(10);
	} while (vt_patient_ns() < end);
	vt_msg("ksm: %u of %u ring pages merged", merged, 2 * VT_INVAL_PARTS);
	return -ETIMEDOUT;
}

static char *twins_then;

static int merge(struct vt_inval *inval)
{
	int r;

	/* no device maps the twins of the last round */
	if (twins_then && vt_differ(twins, twins_then, inval->len) >= 0) {
		vt_msg("ksm: the device wrote to a page merged with its own");
		return -EBADMSG;
	}
	memcpy(twins, inval->dev, inval->len);
	if (!twins_then)
		twins_then = malloc(inval->len);
	memcpy(twins_then, inval->dev, inval->len);
	vt_write_file(KSM "run", "1\n");
	r = wait_merged(inval);
	vt_write_file(KSM "run", "0\n");
	return r;
}

TEST_F_TIMEOUT(migrate, ksm, 600)
{
	struct vt_inval *inval = &self->inval;

	if (access(KSM "run", W_OK))
		SKIP(return, "the kernel has no KSM");
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	twins = mmap(NULL, inval->len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, twins);
	ASSERT_EQ(0, madvise(twins, inval->len, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(inval->dev, inval->len, MADV_MERGEABLE));
	vt_write_file(KSM "sleep_millisecs", "1\n");
	vt_write_file(KSM "pages_to_scan", "1000\n");
	vt_write_file(KSM "smart_scan", "0\n");
	EXPECT_EQ(0, vt_inval_run(inval, merge, 4, VT_INVAL_QUIESCE));
	EXPECT_EQ(-1, vt_differ(twins, twins_then, inval->len));
	/* KSM keeps running: it sees pages that are equal for a moment only */
	vt_write_file(KSM "run", "1\n");
	EXPECT_EQ(0, vt_inval_flow(inval, 1000));
	EXPECT_EQ(0, madvise(inval->dev, inval->len, MADV_UNMERGEABLE));
	vt_write_file(KSM "run", "2\n");
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* ------------------------------------------------------------ huge pages */

static bool is_huge(struct vt_inval *inval)
{
	return vt_kpageflag(inval->dev, VT_KPF_THP);
}

static int collapse(struct vt_inval *inval)
{
	/* the kernel refuses while somebody holds a reference: try again */
	unsigned int tries;

	for (tries = 0; tries < 50; tries++) {
		if (madvise(inval->dev, VT_HUGE_SIZE, MADV_COLLAPSE)) {
			if (errno != EAGAIN && errno != EBUSY)
				return -errno;
		} else if (is_huge(inval)) {
			return 0;
		}
		vt_sleep_ms(5);
	}
	return -EBUSY;
}

static int split(struct vt_inval *inval)
{
	unsigned long at = (unsigned long)inval->dev;

	/* the kernel skips silently a page that others hold */
	return vt_write_file(SPLIT, "%d,0x%lx,0x%lx", getpid(), at,
			     at + VT_HUGE_SIZE);
}

static unsigned int splits;

static int collapse_and_split(struct vt_inval *inval)
{
	int r = collapse(inval);

	if (!r)
		r = split(inval);
	splits += !is_huge(inval);
	return r;
}

TEST_F_TIMEOUT(migrate, thp_collapse_split, 300)
{
	struct vt_inval *inval = &self->inval;

	if (access(SPLIT, W_OK))
		SKIP(return, "no %s", SPLIT);
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_THP });
	if (!is_huge(inval) && collapse(inval) == -EINVAL)
		SKIP(return, "the kernel has no MADV_COLLAPSE");
	EXPECT_EQ(0, vt_inval_run(inval, split, 1, 0));
	EXPECT_EQ(0, vt_inval_run(inval, collapse_and_split, 8, 0));
	EXPECT_GT(splits, 0);
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* Only the mapping is split, by a change to a part of it. */
static int split_mapping(struct vt_inval *inval)
{
	char *page = page_of(inval, VT_VQ_RX, VT_INVAL_DESC) - VT_PAGE;
	int r = collapse(inval);

	if (!r && (mprotect(page, VT_PAGE, PROT_NONE) ||
		   mprotect(page, VT_PAGE, PROT_READ | PROT_WRITE)))
		r = -errno;
	return r;
}

TEST_F_TIMEOUT(migrate, thp_split_mapping, 300)
{
	struct vt_inval *inval = &self->inval;

	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_THP });
	if (!is_huge(inval) && collapse(inval) == -EINVAL)
		SKIP(return, "the kernel has no MADV_COLLAPSE");
	EXPECT_EQ(0, vt_inval_run(inval, split_mapping, 8, 0));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* -------------------------------------------------------------- migration */

static int node_of(const void *addr)
{
	void *page = (void *)addr;
	int status = -1;

	if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &status, 0))
		return -errno;
	return status;
}

static unsigned int moved;

static int move_to_other_node(struct vt_inval *inval)
{
	int node = !node_of(page_of(inval, VT_VQ_TX, VT_INVAL_USED));
	size_t i, n = inval->len / VT_PAGE;
	int nodes[n], status[n];
	void *pages[n];

	for (i = 0; i < n; i++) {
		pages[i] = inval->dev + i * VT_PAGE;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE) <
	    0)
		return -errno;
	for (i = 0; i < n; i++)
		moved += status[i] == node;
	return 0;
}

static void move_pages_test(struct __test_metadata *_metadata,
			    struct vt_inval *inval, enum vt_backing backing)
{
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = backing });
	EXPECT_EQ(0, vt_inval_run(inval, move_to_other_node, 20, 0));
	/* the device pins no page, so that nearly all must have moved */
	EXPECT_GT(moved, 20 * inval->len / VT_PAGE / 2);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_F_TIMEOUT(migrate, move_pages_anon, 300)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	move_pages_test(_metadata, &self->inval, VT_ANON);
}

TEST_F_TIMEOUT(migrate, move_pages_shmem, 300)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	move_pages_test(_metadata, &self->inval, VT_MEMFD);
}

static int compact(struct vt_inval *inval)
{
	(void)inval;
	return vt_write_file("/proc/sys/vm/compact_memory", "1\n");
}

/* The kernel chooses which pages it moves. */
TEST_F_TIMEOUT(migrate, compaction, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "the kernel has no compaction");
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_SCATTER });
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, compact(inval));
		EXPECT_EQ(0, vt_inval_flow(inval, 100));
	}
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* ------------------------------------------------------------- bad memory */

/* Every call takes pages from the machine for good: one page per round. */
static int soft_offline(struct vt_inval *inval)
{
	static unsigned int n;
	char *page = page_of(inval, n / VT_INVAL_PARTS % 2, n % VT_INVAL_PARTS);

	n++;
	return madvise(page, VT_PAGE, MADV_SOFT_OFFLINE) ? -errno : 0;
}

TEST_F_TIMEOUT(migrate, soft_offline, 300)
{
	struct vt_inval *inval = &self->inval;
	char *probe = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (madvise(probe, VT_PAGE, MADV_SOFT_OFFLINE))
		SKIP(return, "the kernel has no MADV_SOFT_OFFLINE");
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, vt_inval_run(inval, soft_offline, 6, VT_INVAL_ONE_RING));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* The kernel tells the caller of madvise() of its bad memory like this. */
static void on_sigbus(int sig)
{
	(void)sig;
}

/*
 * The content is lost: the device gets an error and must survive it, and a new
 * page heals the ring.
 */
TEST_F_TIMEOUT(migrate, hwpoison, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vt_vq *vq = &inval->rig.vq[VT_VQ_TX];
	struct vring_avail *avail;
	unsigned int p;
	char *page;

	page = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	signal(SIGBUS, on_sigbus);
	if (madvise(page, VT_PAGE, MADV_HWPOISON))
		SKIP(return, "the kernel has no MADV_HWPOISON");
	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	for (p = 0; p < VT_INVAL_PARTS; p++) {
		uint64_t hits =
			vt_inval_count(inval, VT_VQ_TX, "maps_invalidated");

		ASSERT_EQ(0, vt_inval_hot(inval));
		ASSERT_EQ(0, vt_inval_stop(inval));
		vt_inval_flush(inval);
		vt_event_read(vq->err);
		page = page_of(inval, VT_VQ_TX, p);
		/* have the device look at a descriptor, whatever is in it */
		avail = vq->avail;
		avail->ring[vq->avail_idx % vq->num] = 0;
		__atomic_store_n(&avail->idx, vq->avail_idx + 1,
				 __ATOMIC_RELEASE);
		ASSERT_EQ(0, madvise(page, VT_PAGE, MADV_HWPOISON));
		vt_vq_notify(vq);
		EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
		vt_inval_flush(inval);
		if (inval->counters)
			EXPECT_GT(vt_inval_count(inval, VT_VQ_TX,
						 "maps_invalidated"),
				  hits);

		ASSERT_EQ(page, mmap(page, VT_PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0));
		ASSERT_EQ(0, vt_inval_restart(inval));
		vt_inval_fill_canaries(inval, inval->dev);
		ASSERT_EQ(0, vt_inval_start(inval));
	}
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
