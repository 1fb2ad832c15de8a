// SPDX-License-Identifier: GPL-2.0
/*
 * The owner is killed while its worker waits for memory that nobody brings.
 * Timeout: 60 s
 *
 * Guest memory is missing and registered with a userfaultfd without a handler.
 * Another process, which is this one, holds the device's file, the userfaultfd
 * and the kick eventfds, kicks, and calls an ioctl. The owner itself may wait in
 * an ioctl for the worker. All of it has to be over within a second of the owner's
 * SIGKILL; on a busy machine each step of the test has a second.
 */
#include <kselftest_harness.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "vhost_test.h"

#define SECOND		vt_timeout_ms(1000)

enum missing { RINGS, PAYLOAD };

/* What the owner does when it is killed. */
enum doing { NOTHING, STOPS, FLUSHES };

/* What the owner tells the test. */
struct shared {
	_Atomic int dev;
	_Atomic int uffd;
	_Atomic int kick[2];
	_Atomic bool ready;
	_Atomic bool no_choice;
	_Atomic bool go;
};

static struct shared *shared;

FIXTURE(killed)
{
	pid_t pid;
	int dev;
	int uffd;
	int kick[2];
	pthread_t waiter;
	bool waiting;
};

FIXTURE_VARIANT(killed)
{
	enum missing missing;
	bool kthread;
	/* the worker has nothing to do until the owner is killed */
	bool idle;
	enum doing doing;
};

FIXTURE_VARIANT_ADD(killed, rings) { .missing = RINGS };

FIXTURE_VARIANT_ADD(killed, rings_idle) { .missing = RINGS, .idle = true };

FIXTURE_VARIANT_ADD(killed, payload) { .missing = PAYLOAD };

FIXTURE_VARIANT_ADD(killed, rings_kthread)
{
	.missing = RINGS, .kthread = true,
};

FIXTURE_VARIANT_ADD(killed, payload_kthread)
{
	.missing = PAYLOAD, .kthread = true,
};

/* The owner waits for vmq::mutex, which the worker holds in the fault ... */
FIXTURE_VARIANT_ADD(killed, stops) { .doing = STOPS };

FIXTURE_VARIANT_ADD(killed, stops_kthread)
{
	.doing = STOPS, .kthread = true,
};

/* ... or for a flush, which comes after it. */
FIXTURE_VARIANT_ADD(killed, flushes_kthread)
{
	.doing = FLUSHES, .kthread = true,
};

static int watch(const struct vt_mem *mem)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (unsigned long)mem->map, mem->map_len },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg) ||
	    madvise(mem->map, mem->map_len, MADV_DONTNEED))
		return -1;
	return fd;
}

/* The owner is meant to die: it prints no failure. */
static void __attribute__((noreturn))
own(enum missing missing, bool kthread, enum doing doing)
{
	struct vhost_vring_file none = { .index = VT_VQ_TX, .fd = -1 };
	struct vt_rig_cfg cfg = { .no_start = true };
	static struct vt_rig rig;
	struct vt_sg sg;
	unsigned int i;

	if (vt_rig_open(&rig, &cfg))
		_exit(1);
	if (kthread && vt_dev_use_kthread(&rig.dev))
		shared->no_choice = true;
	sg = (struct vt_sg){ vt_dev_gpa(&rig.dev, rig.buf[VT_VQ_TX]), 100 };
	for (i = 0; i < 2; i++) {
		if (vt_vq_start(&rig.vq[i], rig.tap.fd))
			_exit(2);
		shared->kick[i] = rig.vq[i].kick;
	}
	/* nobody has kicked for this one */
	if (vt_vq_add(&rig.vq[VT_VQ_TX], &sg, 1, 0, &sg))
		_exit(3);
	vt_vq_publish(&rig.vq[VT_VQ_TX]);
	/* the worker was woken up as the rings were started: let it look */
	vt_sleep_ms(100);
	vt_vq_add(&rig.vq[VT_VQ_TX], &sg, 1, 0, &sg);
	vt_vq_publish(&rig.vq[VT_VQ_TX]);

	shared->uffd = watch(missing == RINGS ? &rig.ring_mem : &rig.mem);
	shared->dev = rig.dev.fd;
	shared->ready = true;
	while (doing == NOTHING || !shared->go)
		vt_sleep_ms(5);
	if (doing == STOPS)
		ioctl(rig.dev.fd, VHOST_NET_SET_BACKEND, &none);
	else
		ioctl(rig.dev.fd, VHOST_SET_LOG_BASE, NULL);
	/* it was to be killed in there */
	_exit(4);
}

/* Is there a task called vhost-@pid in /proc? */
static bool has_worker(pid_t pid)
{
	char name[32], path[300], comm[32];
	struct dirent *de;
	bool found = false;
	DIR *d = opendir("/proc");
	FILE *f;

	snprintf(name, sizeof(name), "vhost-%d\n", pid);
	while (d && !found && (de = readdir(d))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", de->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		found = fgets(comm, sizeof(comm), f) && !strcmp(comm, name);
		fclose(f);
	}
	if (d)
		closedir(d);
	return found;
}

FIXTURE_SETUP(killed)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	unsigned int i;
	int pidfd;

	self->waiting = false;
	self->dev = self->uffd = -1;
	shared = mmap(NULL, VT_PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	self->pid = fork();
	ASSERT_GE(self->pid, 0);
	if (!self->pid)
		own(variant->missing, variant->kthread, variant->doing);
	while (!shared->ready) {
		ASSERT_LT(vt_patient_ns(), end);
		ASSERT_EQ(0, waitpid(self->pid, NULL, WNOHANG));
		vt_sleep_ms(5);
	}
	if (shared->no_choice || shared->uffd < 0) {
		/* a skipped test is not torn down */
		kill(self->pid, SIGKILL);
		waitpid(self->pid, NULL, 0);
		SKIP(return, "the kernel has no %s", shared->no_choice ?
		     "choice of the worker's kind" : "userfaultfd");
	}
	pidfd = syscall(SYS_pidfd_open, self->pid, 0);
	ASSERT_GE(pidfd, 0);
	self->dev = syscall(SYS_pidfd_getfd, pidfd, shared->dev, 0);
	self->uffd = syscall(SYS_pidfd_getfd, pidfd, shared->uffd, 0);
	ASSERT_GE(self->dev, 0);
	ASSERT_GE(self->uffd, 0);
	for (i = 0; i < 2; i++) {
		self->kick[i] = syscall(SYS_pidfd_getfd, pidfd, shared->kick[i],
					0);
		ASSERT_GE(self->kick[i], 0);
	}
	close(pidfd);
}

FIXTURE_TEARDOWN(killed)
{
	if (self->pid > 0)
		kill(self->pid, SIGKILL);
	/* whoever still waits for memory gets it now */
	close(self->uffd);
	if (self->waiting)
		pthread_join(self->waiter, NULL);
}

static void kick(int kicks[2])
{
	uint64_t one = 1;
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (write(kicks[i], &one, sizeof(one)) != sizeof(one))
			vt_msg("no kick: %m");
}

/* It may not do this; stock says so after a flush only. */
static void *call_as_other(void *arg)
{
	int dev = *(int *)arg;

	ioctl(dev, VHOST_SET_MEM_TABLE, NULL);
	return NULL;
}

static void *close_device(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

/* Does a thread end within a second? */
static bool ends(pthread_t thread)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += SECOND / 1000;
	return !pthread_timedjoin_np(thread, NULL, &ts);
}

TEST_F_TIMEOUT(killed, all_ends, 60)
{
	struct pollfd fault = { .fd = self->uffd, .events = POLLIN };
	uint64_t start, one = 1;
	unsigned int i;
	int status;

	if (!variant->idle) {
		/* stops in the handler that this is for ... */
		ASSERT_EQ(8, write(self->kick[VT_VQ_TX], &one, sizeof(one)));
		ASSERT_EQ(1, poll(&fault, 1, VT_TIMEOUT));
		/* ... while these wait in the worker's list */
		vt_sleep_ms(20);
		kick(self->kick);
	}
	self->waiting = !pthread_create(&self->waiter, NULL, call_as_other,
					&self->dev);
	ASSERT_TRUE(self->waiting);
	shared->go = true;
	/* long enough for the owner to stand in its ioctl, too */
	vt_sleep_ms(variant->doing == NOTHING ? 20 : vt_timeout_ms(100));
	start = vt_now_ns();
	for (i = 0; i < (variant->idle ? 20 : 1); i++)
		kick(self->kick);
	kill(self->pid, SIGKILL);
	for (i = 0; i < 200; i++)
		kick(self->kick);

	status = vt_wait_child(self->pid, SECOND);
	ASSERT_EQ(SIGKILL, status);
	if (self->waiting) {
		ASSERT_TRUE(ends(self->waiter));
		self->waiting = false;
	}
	kick(self->kick);
	self->waiting = !pthread_create(&self->waiter, NULL, close_device,
					&self->dev);
	ASSERT_TRUE(self->waiting);
	ASSERT_TRUE(ends(self->waiter));
	self->waiting = false;
	EXPECT_FALSE(has_worker(self->pid));
	vt_msg("over after %llu ms",
	       (unsigned long long)(vt_now_ns() - start) / 1000000);
	if (vt_dev_is_ours()) {
		EXPECT_EQ(0, vt_dev_count(self->pid));
		EXPECT_EQ(0, syscall(SYS_delete_module, "vhost_mmu_net",
				     O_NONBLOCK));
		EXPECT_EQ(0, system("modprobe vhost_mmu_net"));
	}
	self->pid = 0;
}

TEST_HARNESS_MAIN
