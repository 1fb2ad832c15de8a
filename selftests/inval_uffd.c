// SPDX-License-Identifier: GPL-2.0
/*
 * A ring whose page faults user space handles: missing, minor, write-protected.
 * Timeout: 120 s
 *
 * The device's worker then waits in a fault for a thread of the test. The
 * fast path may not get around the fault, neither to read nor to write.
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "inval.h"

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	(1 << 12)
#endif

FIXTURE(uffd)
{
	struct vt_inval inval;
};

FIXTURE_SETUP(uffd)
{
	memset(&self->inval, 0, sizeof(self->inval));
	self->inval.rig.dev.fd = self->inval.rig.tap.fd =
		self->inval.rig.tap.sock = -1;
	self->inval.fd = -1;
}

static int uffd = -1;
static pthread_t handler;
static _Atomic bool handler_ends;
static _Atomic unsigned int events;
/* Write faults on a page of a used ring. */
static _Atomic unsigned int used_events;
static struct vt_inval *handled;
/* What a missing page is filled with: the area as it was. */
static char *saved;

static bool in_used(unsigned long addr)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (addr - (unsigned long)handled->dev ==
		    (handled->part[i][VT_INVAL_USED].off & ~(VT_PAGE - 1)))
			return true;
	return false;
}

static int resolve(unsigned long addr, uint64_t flags)
{
	struct uffdio_range page = { addr, VT_PAGE };
	struct uffdio_copy copy = {
		.dst = addr,
		.src = (unsigned long)saved +
		       (addr - (unsigned long)handled->dev),
		.len = VT_PAGE,
	};
	struct uffdio_writeprotect wp = { .range = page };
	struct uffdio_continue cont = { .range = page };

	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
	if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		return ioctl(uffd, UFFDIO_CONTINUE, &cont);
	return ioctl(uffd, UFFDIO_COPY, &copy);
}

static void *handle(void *arg)
{
	(void)arg;
	while (!atomic_load(&handler_ends)) {
		struct pollfd p = { .fd = uffd, .events = POLLIN };
		struct uffd_msg msg;
		unsigned long addr;

		if (poll(&p, 1, 20) <= 0 ||
		    read(uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		addr = msg.arg.pagefault.address & ~(VT_PAGE - 1);
		atomic_fetch_add(&events, 1);
		if (in_used(addr) &&
		    msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
			atomic_fetch_add(&used_events, 1);
		/* long enough for both workers to run into the same fault */
		vt_sleep_ms(1);
		if (resolve(addr, msg.arg.pagefault.flags)) {
			struct uffdio_range page = { addr, VT_PAGE };

			/* another handler was faster: wake the waiters */
			ioctl(uffd, UFFDIO_WAKE, &page);
		}
	}
	return NULL;
}

/* NULL, or why not. */
static const char *watch(struct vt_inval *inval, uint64_t features,
			 uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (unsigned long)inval->dev, inval->len },
		.mode = mode,
	};

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		return "the kernel has no userfaultfd";
	if (ioctl(uffd, UFFDIO_API, &api) ||
	    ioctl(uffd, UFFDIO_REGISTER, &reg))
		return "the kernel's userfaultfd cannot do this";
	handled = inval;
	saved = calloc(1, inval->len);
	return pthread_create(&handler, NULL, handle, NULL) ? "no thread" :
							      NULL;
}

FIXTURE_TEARDOWN(uffd)
{
	/* the handler lives until no thread can fault any more */
	vt_inval_close(&self->inval);
	if (handled) {
		atomic_store(&handler_ends, true);
		pthread_join(handler, NULL);
	}
}

static void begin(struct __test_metadata *_metadata, struct vt_inval *inval,
		  struct vt_inval_cfg cfg)
{
	cfg.features = VT_F(VIRTIO_RING_F_EVENT_IDX);
	ASSERT_EQ(0, vt_inval_open(inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(inval));
}

static int discard_saved(struct vt_inval *inval)
{
	memcpy(saved, inval->dev, inval->len);
	return madvise(inval->dev, inval->len, MADV_DONTNEED) ? -errno : 0;
}

TEST_F_TIMEOUT(uffd, missing, 300)
{
	struct vt_inval *inval = &self->inval;
	const char *why;

	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	why = watch(inval, 0, UFFDIO_REGISTER_MODE_MISSING);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, vt_inval_run(inval, discard_saved, 15, VT_INVAL_QUIESCE));
	EXPECT_GT(events, 0);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static int discard(struct vt_inval *inval)
{
	return madvise(inval->dev, inval->len, MADV_DONTNEED) ? -errno : 0;
}

/* The page is there, only its mapping is not: at any moment. */
TEST_F_TIMEOUT(uffd, minor, 300)
{
	struct vt_inval *inval = &self->inval;
	const char *why;

	begin(_metadata, inval, (struct vt_inval_cfg){ .alias = true });
	why = watch(inval, UFFD_FEATURE_MINOR_SHMEM,
		    UFFDIO_REGISTER_MODE_MINOR);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, vt_inval_run(inval, discard, 15, 0));
	EXPECT_GT(events, 0);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static int write_protect(struct vt_inval *inval)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)inval->dev, inval->len },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

TEST_F_TIMEOUT(uffd, write_protect_anon, 300)
{
	struct vt_inval *inval = &self->inval;
	const char *why;

	begin(_metadata, inval, (struct vt_inval_cfg){ .backing = VT_ANON });
	why = watch(inval, UFFD_FEATURE_PAGEFAULT_FLAG_WP,
		    UFFDIO_REGISTER_MODE_WP);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, vt_inval_run(inval, write_protect, 15, 0));
	/* the driver never writes there: these are the device's */
	EXPECT_GE(used_events, 15);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* The driver has a mapping of its own: every event is the device's. */
TEST_F_TIMEOUT(uffd, write_protect_shmem, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int before;
	const char *why;

	begin(_metadata, inval, (struct vt_inval_cfg){ .alias = true });
	why = watch(inval, UFFD_FEATURE_PAGEFAULT_FLAG_WP |
		    UFFD_FEATURE_WP_HUGETLBFS_SHMEM, UFFDIO_REGISTER_MODE_WP);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(0, vt_inval_run(inval, write_protect, 15, 0));
	EXPECT_GE(used_events, 15);
	/* the device needs no write permission for what it only reads */
	EXPECT_EQ(events, used_events);

	/* protected at rest: no event comes until the device writes */
	ASSERT_EQ(0, vt_inval_quiesce(inval));
	ASSERT_EQ(0, write_protect(inval));
	before = events;
	vt_sleep_ms(50);
	EXPECT_EQ(before, events);
	vt_inval_resume(inval);
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_GE(events, before + 2);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
