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
	struct iv iv;
};

FIXTURE_SETUP(migrate)
{
	memset(&self->iv, 0, sizeof(self->iv));
	self->iv.rig.dev.fd = self->iv.rig.tap.fd = self->iv.rig.tap.sock = -1;
	self->iv.fd = -1;
}

FIXTURE_TEARDOWN(migrate)
{
	iv_close(&self->iv);
}

static void begin(struct __test_metadata *_metadata, struct iv *iv,
		  struct iv_cfg cfg)
{
	cfg.features = VT_F(VIRTIO_RING_F_EVENT_IDX);
	ASSERT_EQ(0, iv_open(iv, &cfg));
	ASSERT_EQ(0, iv_start(iv));
}

static char *page_of(struct iv *iv, unsigned int vq, enum iv_part part)
{
	return iv->dev + (iv->part[vq][part].off & ~(VT_PAGE - 1));
}

/* ----------------------------------------------------------------- KSM */

/* A page for each ring page, which KSM is to find equal. */
static char *twins;

/*
 * Have a page and its twin become one? KPF_KSM would not tell: some kernels set
 * it for every anonymous page.
 */
static bool is_merged(struct iv *iv, const char *page)
{
	uint64_t pfn = vt_pfn(page);

	return pfn && pfn == vt_pfn(twins + (page - iv->dev));
}

/* Wait until KSM has merged all ring pages. */
static int wait_merged(struct iv *iv)
{
	uint64_t end = vt_now_ns() + 2 * VT_TIMEOUT * 1000000ULL;
	unsigned int i, p, merged;

	do {
		merged = 0;
		for (i = 0; i < 2; i++)
			for (p = 0; p < IV_PARTS; p++)
				merged += is_merged(iv, page_of(iv, i, p));
		if (merged == 2 * IV_PARTS)
			return 0;
		vt_sleep_ms(10);
	} while (vt_now_ns() < end);
	vt_msg("ksm: %u of %u ring pages merged", merged, 2 * IV_PARTS);
	return -ETIMEDOUT;
}

static char *twins_then;

static int merge(struct iv *iv)
{
	int r;

	/* the twins of the last round are nobody's but ours */
	if (twins_then && vt_differ(twins, twins_then, iv->len) >= 0) {
		vt_msg("ksm: the device wrote to a page merged with its own");
		return -EBADMSG;
	}
	memcpy(twins, iv->dev, iv->len);
	if (!twins_then)
		twins_then = malloc(iv->len);
	memcpy(twins_then, iv->dev, iv->len);
	vt_write_file(KSM "run", "1\n");
	r = wait_merged(iv);
	vt_write_file(KSM "run", "0\n");
	return r;
}

TEST_F_TIMEOUT(migrate, ksm, 600)
{
	struct iv *iv = &self->iv;

	if (access(KSM "run", W_OK))
		SKIP(return, "the kernel has no KSM");
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_ANON });
	twins = mmap(NULL, iv->len, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, twins);
	ASSERT_EQ(0, madvise(twins, iv->len, MADV_MERGEABLE));
	ASSERT_EQ(0, madvise(iv->dev, iv->len, MADV_MERGEABLE));
	vt_write_file(KSM "sleep_millisecs", "1\n");
	vt_write_file(KSM "pages_to_scan", "1000\n");
	vt_write_file(KSM "smart_scan", "0\n");
	EXPECT_EQ(0, iv_invalidate(iv, merge, 4, IV_QUIESCE));
	EXPECT_EQ(-1, vt_differ(twins, twins_then, iv->len));
	/* and while it runs: pages that look equal for a moment at the most */
	vt_write_file(KSM "run", "1\n");
	EXPECT_EQ(0, iv_flow(iv, 1000));
	EXPECT_EQ(0, madvise(iv->dev, iv->len, MADV_UNMERGEABLE));
	vt_write_file(KSM "run", "2\n");
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

/* ------------------------------------------------------------ huge pages */

static bool is_huge(struct iv *iv)
{
	return vt_kpageflag(iv->dev, VT_KPF_THP);
}

static int collapse(struct iv *iv)
{
	/* it is refused while somebody else looks at a page: try again */
	unsigned int tries;

	for (tries = 0; tries < 50; tries++) {
		if (madvise(iv->dev, VT_HUGE_SIZE, MADV_COLLAPSE)) {
			if (errno != EAGAIN && errno != EBUSY)
				return -errno;
		} else if (is_huge(iv)) {
			return 0;
		}
		vt_sleep_ms(5);
	}
	return -EBUSY;
}

static int split(struct iv *iv)
{
	unsigned long at = (unsigned long)iv->dev;

	/* when others hold a page it is refused silently */
	return vt_write_file(SPLIT, "%d,0x%lx,0x%lx", getpid(), at,
			     at + VT_HUGE_SIZE);
}

static unsigned int splits;

static int collapse_and_split(struct iv *iv)
{
	int r = collapse(iv);

	if (!r)
		r = split(iv);
	splits += !is_huge(iv);
	return r;
}

TEST_F_TIMEOUT(migrate, thp_collapse_split, 300)
{
	struct iv *iv = &self->iv;

	if (access(SPLIT, W_OK))
		SKIP(return, "no %s", SPLIT);
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_THP });
	if (!is_huge(iv) && collapse(iv) == -EINVAL)
		SKIP(return, "the kernel has no MADV_COLLAPSE");
	EXPECT_EQ(0, iv_invalidate(iv, split, 1, 0));
	EXPECT_EQ(0, iv_invalidate(iv, collapse_and_split, 8, 0));
	EXPECT_GT(splits, 0);
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

/* Only the mapping is split, by a change to a part of it. */
static int split_mapping(struct iv *iv)
{
	char *page = page_of(iv, VT_VQ_RX, IV_DESC) - VT_PAGE;
	int r = collapse(iv);

	if (!r && (mprotect(page, VT_PAGE, PROT_NONE) ||
		   mprotect(page, VT_PAGE, PROT_READ | PROT_WRITE)))
		r = -errno;
	return r;
}

TEST_F_TIMEOUT(migrate, thp_split_mapping, 300)
{
	struct iv *iv = &self->iv;

	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_THP });
	if (!is_huge(iv) && collapse(iv) == -EINVAL)
		SKIP(return, "the kernel has no MADV_COLLAPSE");
	EXPECT_EQ(0, iv_invalidate(iv, split_mapping, 8, 0));
	EXPECT_EQ(0, iv_stop(iv));
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

static int move_to_other_node(struct iv *iv)
{
	int node = !node_of(page_of(iv, VT_VQ_TX, IV_USED));
	size_t i, n = iv->len / VT_PAGE;
	int nodes[n], status[n];
	void *pages[n];

	for (i = 0; i < n; i++) {
		pages[i] = iv->dev + i * VT_PAGE;
		nodes[i] = node;
	}
	if (syscall(SYS_move_pages, 0, n, pages, nodes, status, MPOL_MF_MOVE) < 0)
		return -errno;
	for (i = 0; i < n; i++)
		moved += status[i] == node;
	return 0;
}

static void move_pages_test(struct __test_metadata *_metadata, struct iv *iv,
			    enum vt_backing backing)
{
	begin(_metadata, iv, (struct iv_cfg){ .backing = backing });
	EXPECT_EQ(0, iv_invalidate(iv, move_to_other_node, 20, 0));
	/* nothing of ours pins them, so nearly all must have moved */
	EXPECT_GT(moved, 20 * iv->len / VT_PAGE / 2);
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_F_TIMEOUT(migrate, move_pages_anon, 300)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	move_pages_test(_metadata, &self->iv, VT_ANON);
}

TEST_F_TIMEOUT(migrate, move_pages_shmem, 300)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	move_pages_test(_metadata, &self->iv, VT_MEMFD);
}

static int compact(struct iv *iv)
{
	(void)iv;
	return vt_write_file("/proc/sys/vm/compact_memory", "1\n");
}

/* Which pages it moves is its own choice. */
TEST_F_TIMEOUT(migrate, compaction, 300)
{
	struct iv *iv = &self->iv;
	unsigned int i;

	if (access("/proc/sys/vm/compact_memory", W_OK))
		SKIP(return, "the kernel has no compaction");
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_SCATTER });
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, compact(iv));
		EXPECT_EQ(0, iv_flow(iv, 100));
	}
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

/* ------------------------------------------------------------- bad memory */

/* Every call takes pages from the machine for good: one page per round. */
static int soft_offline(struct iv *iv)
{
	static unsigned int n;
	char *page = page_of(iv, n / IV_PARTS % 2, n % IV_PARTS);

	n++;
	return madvise(page, VT_PAGE, MADV_SOFT_OFFLINE) ? -errno : 0;
}

TEST_F_TIMEOUT(migrate, soft_offline, 300)
{
	struct iv *iv = &self->iv;
	char *probe = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (madvise(probe, VT_PAGE, MADV_SOFT_OFFLINE))
		SKIP(return, "the kernel has no MADV_SOFT_OFFLINE");
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_ANON });
	EXPECT_EQ(0, iv_invalidate(iv, soft_offline, 6, IV_ONE_RING));
	EXPECT_EQ(0, iv_stop(iv));
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
	struct iv *iv = &self->iv;
	struct vt_vq *vq = &iv->rig.vq[VT_VQ_TX];
	struct vring_avail *avail;
	unsigned int p;
	char *page;

	page = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	signal(SIGBUS, on_sigbus);
	if (madvise(page, VT_PAGE, MADV_HWPOISON))
		SKIP(return, "the kernel has no MADV_HWPOISON");
	begin(_metadata, iv, (struct iv_cfg){ .backing = VT_ANON });
	for (p = 0; p < IV_PARTS; p++) {
		uint64_t hits = iv_count(iv, VT_VQ_TX, "maps_invalidated");

		ASSERT_EQ(0, iv_hot(iv));
		ASSERT_EQ(0, iv_stop(iv));
		iv_flush(iv);
		vt_event_read(vq->err);
		page = page_of(iv, VT_VQ_TX, p);
		/* have the device look at a descriptor, whatever is in it */
		avail = vq->avail;
		avail->ring[vq->avail_idx % vq->num] = 0;
		__atomic_store_n(&avail->idx, vq->avail_idx + 1,
				 __ATOMIC_RELEASE);
		ASSERT_EQ(0, madvise(page, VT_PAGE, MADV_HWPOISON));
		vt_vq_notify(vq);
		EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
		iv_flush(iv);
		if (iv->counters)
			EXPECT_GT(iv_count(iv, VT_VQ_TX, "maps_invalidated"),
				  hits);

		ASSERT_EQ(page, mmap(page, VT_PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0));
		ASSERT_EQ(0, iv_restart(iv));
		iv_fill_canaries(iv, iv->dev);
		ASSERT_EQ(0, iv_start(iv));
	}
	EXPECT_EQ(0, iv_hot(iv));
	EXPECT_EQ(0, iv_stop(iv));
}

TEST_HARNESS_MAIN
