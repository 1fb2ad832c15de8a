// SPDX-License-Identifier: GPL-2.0
/*
 * The owner of a device dies under load: killed, out of memory, gone.
 * Timeout: 180 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "cgroup.h"
#include "inval.h"

FIXTURE(owner)
{
	pid_t pid;
};

FIXTURE_SETUP(owner)
{
	self->pid = 0;
}

FIXTURE_TEARDOWN(owner)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
}

/* What the owner tells its parent. */
struct shared {
	_Atomic bool ready;
	_Atomic int dev_fd;
	_Atomic int kick_fd;
	_Atomic bool go;
};

static struct shared *shared;

/* The owner is meant to die: it prints no failure. */
static void __attribute__((noreturn)) fail(const char *what)
{
	vt_msg("exit: the owner failed: %s", what);
	_exit(99);
}

/* A process with a device under traffic; @then runs once it flows. */
static pid_t start_owner(void (*then)(struct vt_inval *inval), bool storm)
{
	struct vt_inval_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	static struct vt_inval inval;
	pid_t pid;

	shared = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid = fork();
	if (pid)
		return pid;
	if (vt_inval_open(&inval, &cfg) || vt_inval_start(&inval) ||
	    vt_inval_hot(&inval))
		fail("no traffic");
	shared->dev_fd = inval.rig.dev.fd;
	shared->kick_fd = inval.rig.vq[VT_VQ_TX].kick;
	shared->ready = true;
	if (then)
		then(&inval);
	for (;;) {
		/* the owner dies while it maps and unmaps */
		void *p = mmap(NULL, 16 * VT_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1,
			       0);

		munmap(p, 16 * VT_PAGE);
		if (storm) {
			mprotect(inval.dev, VT_PAGE, PROT_READ);
			mprotect(inval.dev, VT_PAGE, PROT_READ | PROT_WRITE);
		} else {
			vt_sleep_ms(1);
		}
	}
}

static int wait_ready(pid_t pid)
{
	uint64_t end = vt_patient_ns() + 2 * VT_TIMEOUT * 1000000ULL;

	while (!shared->ready) {
		if (vt_patient_ns() > end || waitpid(pid, NULL, WNOHANG))
			return -ETIMEDOUT;
		vt_sleep_ms(5);
	}
	return 0;
}

/* Does nothing of the dead owner remain, and is a new one as good as new? */
static void check_after(struct __test_metadata *_metadata, pid_t pid)
{
	struct vt_inval_cfg cfg = {
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	static struct vt_inval inval;

	EXPECT_EQ(0, vt_dev_count(pid));
	ASSERT_EQ(0, vt_inval_open(&inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&inval));
	EXPECT_EQ(0, vt_inval_hot(&inval));
	EXPECT_EQ(0, vt_inval_stop(&inval));
	vt_inval_close(&inval);
}

static void kill_owner(struct __test_metadata *_metadata, pid_t *owner,
		       bool storm)
{
	unsigned int i;
	int status;
	pid_t pid;

	for (i = 0; i < 6; i++) {
		pid = *owner = start_owner(NULL, storm);
		ASSERT_EQ(0, wait_ready(pid));
		if (vt_dev_is_ours())
			EXPECT_EQ(1, vt_dev_count(pid));
		/* kill it at another moment in each round */
		vt_sleep_ms(7 * i);
		kill(pid, SIGKILL);
		status = vt_wait_child(pid, VT_TIMEOUT);
		*owner = 0;
		EXPECT_TRUE(status > 0 && WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGKILL);
	}
	check_after(_metadata, pid);
}

TEST_F_TIMEOUT(owner, kill, 300)
{
	kill_owner(_metadata, &self->pid, false);
}

TEST_F_TIMEOUT(owner, kill_in_storm, 300)
{
	kill_owner(_metadata, &self->pid, true);
}

/* An orderly exit, the device never closed. */
static void exit_at_once(struct vt_inval *inval)
{
	(void)inval;
	_exit(0);
}

TEST_F_TIMEOUT(owner, exit, 300)
{
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		pid = self->pid = start_owner(exit_at_once, false);
		ASSERT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
		self->pid = 0;
	}
	check_after(_metadata, pid);
}

static void exit_when_told(struct vt_inval *inval)
{
	(void)inval;
	while (!shared->go)
		vt_sleep_ms(1);
	_exit(0);
}

/*
 * The file outlives its owner. Nothing works on it any more, and nothing
 * breaks; the last close cleans up.
 */
TEST_F_TIMEOUT(owner, exit_fd_elsewhere, 300)
{
	struct vhost_vring_state state = { .index = VT_VQ_TX };
	uint64_t one = 1, features;
	int pidfd, dev, kick;
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 4; i++) {
		pid = self->pid = start_owner(exit_when_told, false);
		ASSERT_EQ(0, wait_ready(pid));
		pidfd = syscall(SYS_pidfd_open, pid, 0);
		ASSERT_GE(pidfd, 0);
		dev = syscall(SYS_pidfd_getfd, pidfd, shared->dev_fd, 0);
		kick = syscall(SYS_pidfd_getfd, pidfd, shared->kick_fd, 0);
		ASSERT_GE(dev, 0);
		ASSERT_GE(kick, 0);

		/* the fd is useless to us while the owner lives, and after */
		EXPECT_EQ(-1, ioctl(dev, VHOST_GET_VRING_BASE, &state));
		EXPECT_EQ(EPERM, errno);
		if (i % 2) {
			shared->go = true;
			EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
		} else {
			kill(pid, SIGKILL);
			EXPECT_GT(vt_wait_child(pid, VT_TIMEOUT), 0);
		}
		EXPECT_EQ(8, write(kick, &one, sizeof(one)));
		vt_sleep_ms(20);
		EXPECT_EQ(-1, ioctl(dev, VHOST_GET_VRING_BASE, &state));
		EXPECT_EQ(EPERM, errno);
		EXPECT_EQ(-1, ioctl(dev, VHOST_SET_OWNER, NULL));
		EXPECT_EQ(EBUSY, errno);
		EXPECT_EQ(0, ioctl(dev, VHOST_GET_FEATURES, &features));
		EXPECT_EQ(8, write(kick, &one, sizeof(one)));
		self->pid = 0;
		close(kick);
		close(dev);
		close(pidfd);
	}
	check_after(_metadata, pid);
}

/* Eat what the group has, in a way that only the OOM killer can end. */
static void eat(struct vt_inval *inval)
{
	size_t chunk = 1 << 20;

	(void)inval;
	while (!shared->go)
		vt_sleep_ms(1);
	for (;;) {
		char *p = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			fail("no address space");
		memset(p, 1, chunk);
	}
}

static long long oom_kills(void)
{
	return vt_cgroup_read("memory.events", "oom_kill");
}

/* The reaper takes the rings' pages while the device uses them. */
TEST_F_TIMEOUT(owner, memcg_oom, 300)
{
	const char *why;
	unsigned int i;
	int status;
	pid_t pid;

	why = vt_cgroup_make();
	if (why)
		SKIP(return, "%s", why);
	for (i = 0; i < 3; i++) {
		long long used, kills = oom_kills();

		pid = self->pid = start_owner(eat, false);
		ASSERT_EQ(0, wait_ready(pid));
		ASSERT_EQ(0, vt_cgroup_enter(pid));
		used = vt_read_number(VT_CGROUP "/memory.current");
		vt_write_file(VT_CGROUP "/memory.swap.max", "0");
		ASSERT_EQ(0, vt_write_file(VT_CGROUP "/memory.max", "%lld",
					   used + (24LL << 20)));
		shared->go = true;
		status = vt_wait_child(pid, 2 * VT_TIMEOUT);
		self->pid = 0;
		EXPECT_TRUE(status > 0 && WIFSIGNALED(status) &&
			    WTERMSIG(status) == SIGKILL);
		EXPECT_GT(oom_kills(), kills);
		vt_write_file(VT_CGROUP "/memory.max", "max");
	}
	rmdir(VT_CGROUP);
	check_after(_metadata, pid);
}

TEST_HARNESS_MAIN
