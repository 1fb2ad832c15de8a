// SPDX-License-Identifier: GPL-2.0
/*
 * The modules: their parameters, unloading while in use and after, reloading.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "inval.h"

#define ACCESS	"/sys/module/vhost_mmu/parameters/metadata_access"

FIXTURE(module)
{
	struct vt_inval inval;
};

FIXTURE_SETUP(module)
{
	struct vt_inval_cfg cfg = { .features = VT_F(VIRTIO_RING_F_EVENT_IDX) };

	memset(&self->inval, 0, sizeof(self->inval));
	ASSERT_EQ(0, vt_inval_open(&self->inval, &cfg));
	ASSERT_EQ(0, vt_inval_start(&self->inval));
}

FIXTURE_TEARDOWN(module)
{
	if (vt_dev_is_ours())
		vt_write_file(ACCESS, "kernel\n");
	vt_inval_close(&self->inval);
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

static bool loaded(const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/module/%s", name);
	return !stat(path, &st);
}

TEST_F_TIMEOUT(module, unload, 300)
{
	struct vt_inval_cfg cfg = { .features = VT_F(VIRTIO_RING_F_EVENT_IDX) };
	struct vt_inval *inval = &self->inval;
	unsigned int i;

	if (!vt_dev_is_ours())
		SKIP(return, "not our modules");
	/* the module is in use, and packets are in flight */
	EXPECT_EQ(-EAGAIN, unload("vhost_mmu_net"));
	EXPECT_EQ(-EAGAIN, unload("vhost_mmu"));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
	EXPECT_EQ(-EAGAIN, unload("vhost_mmu_net"));
	vt_inval_close(inval);

	for (i = 0; i < 3; i++) {
		/* unload straight after the close dropped the last reference */
		EXPECT_EQ(0, unload("vhost_mmu_net"));
		EXPECT_EQ(-1, access(vt_dev_path(), F_OK));
		EXPECT_EQ(0, unload("vhost_mmu"));
		EXPECT_FALSE(loaded("vhost_mmu"));
		EXPECT_EQ(-1, access("/sys/kernel/debug/vhost_mmu", F_OK));
		ASSERT_EQ(0, system("modprobe vhost_mmu_net"));
		ASSERT_EQ(0, access(vt_dev_path(), F_OK));
		ASSERT_EQ(0, vt_inval_open(inval, &cfg));
		ASSERT_EQ(0, vt_inval_start(inval));
		EXPECT_EQ(0, vt_inval_hot(inval));
		EXPECT_EQ(0, vt_inval_stop(inval));
		vt_inval_close(inval);
	}
}

static void expect_access(struct __test_metadata *_metadata,
			  struct vt_inval *inval, const char *access)
{
	char word[16] = "";
	unsigned int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, vt_stats_read_str(&inval->rig.dev, i, "access",
					       word, sizeof(word)));
		EXPECT_STREQ(access, word);
	}
}

/* The parameter takes effect when a ring starts, not before. */
TEST_F_TIMEOUT(module, metadata_access, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t kernel, user, config;

	if (!vt_dev_is_ours())
		SKIP(return, "not our modules");
	ASSERT_EQ(0, vt_write_file(ACCESS, "user\n"));
	EXPECT_EQ(0, vt_inval_hot(inval));
	expect_access(_metadata, inval, "kernel");

	EXPECT_EQ(0, vt_inval_stop(inval));
	ASSERT_EQ(0, vt_inval_restart(inval));
	expect_access(_metadata, inval, "user");
	kernel = vt_inval_sum(inval, "sections");
	user = vt_inval_sum(inval, "user_ops");
	config = vt_inval_sum(inval, "fallback_config");
	ASSERT_EQ(0, vt_inval_start(inval));
	EXPECT_EQ(0, vt_inval_flow(inval, 300));
	EXPECT_EQ(0, vt_inval_stop(inval));
	EXPECT_EQ(kernel, vt_inval_sum(inval, "sections"));
	EXPECT_GT(vt_inval_sum(inval, "user_ops"), user);
	EXPECT_GT(vt_inval_sum(inval, "fallback_config"), config);

	ASSERT_EQ(0, vt_write_file(ACCESS, "kernel\n"));
	ASSERT_EQ(0, vt_inval_restart(inval));
	expect_access(_metadata, inval, "kernel");
	ASSERT_EQ(0, vt_inval_start(inval));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_F_TIMEOUT(module, bad_parameters, 300)
{
	const char *max = "/sys/module/vhost_mmu/parameters/max_mem_regions";
	struct vt_inval *inval = &self->inval;
	struct stat st;
	char word[16] = "";
	FILE *f;

	if (!vt_dev_is_ours())
		SKIP(return, "not our modules");
	EXPECT_EQ(-EINVAL, vt_write_file(ACCESS, "both\n"));
	EXPECT_EQ(-EINVAL, vt_write_file(ACCESS, "kernelx\n"));
	EXPECT_EQ(-EINVAL, vt_write_file(ACCESS, "\n"));
	EXPECT_EQ(-EINVAL, vt_write_file(ACCESS, "1\n"));
	f = fopen(ACCESS, "r");
	ASSERT_NE(NULL, f);
	EXPECT_EQ(1, fscanf(f, "%15s", word));
	fclose(f);
	EXPECT_STREQ("kernel", word);
	EXPECT_EQ(509, vt_read_number(max));
	ASSERT_EQ(0, stat(max, &st));
	EXPECT_EQ(0, st.st_mode & 0222);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/* Who is no thread of the owner does not show up among them. */
static unsigned int own_threads(void)
{
	struct dirent *de;
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/task");

	while (d && (de = readdir(d)))
		n += de->d_name[0] != '.';
	if (d)
		closedir(d);
	return n;
}

/* One that was told to end is among them until it has. */
static unsigned int threads_after(unsigned int expected)
{
	uint64_t end = vt_patient_ns() + vt_timeout_ms(1000) * 1000000ULL;

	while (own_threads() != expected && vt_patient_ns() < end)
		vt_sleep_ms(5);
	return own_threads();
}

/* The kind of the worker that a device gets unless it asks for another. */
TEST_F_TIMEOUT(module, fork_from_owner_default, 300)
{
	const char *param = "/sys/module/vhost_mmu/parameters/"
			    "fork_from_owner_default";
	unsigned int i, threads;
	struct vt_dev dev;
	struct stat st;

	if (!vt_dev_is_ours())
		SKIP(return, "not our modules");
	EXPECT_EQ(0, vt_inval_stop(&self->inval));
	vt_inval_close(&self->inval);
	if (access(param, F_OK))
		SKIP(return, "the kernel gives no choice of the worker's kind");
	ASSERT_EQ(0, stat(param, &st));
	EXPECT_EQ(0, st.st_mode & 0222);
	threads = threads_after(1);
	for (i = 0; i < 2; i++) {
		/* 0, and then what is there without a word */
		ASSERT_EQ(0, unload("vhost_mmu_net"));
		ASSERT_EQ(0, unload("vhost_mmu"));
		if (!i)
			ASSERT_EQ(0, system("modprobe vhost_mmu "
					    "fork_from_owner_default=0"));
		ASSERT_EQ(0, system("modprobe vhost_mmu_net"));
		ASSERT_EQ(0, vt_dev_open(&dev, 0));
		EXPECT_EQ(threads + i, threads_after(threads + i));
		/* also when the device is owned anew */
		ASSERT_EQ(0, ioctl(dev.fd, VHOST_RESET_OWNER, NULL));
		ASSERT_EQ(0, ioctl(dev.fd, VHOST_SET_OWNER, NULL));
		EXPECT_EQ(threads + i, threads_after(threads + i));
		vt_dev_close(&dev);
	}
}

/* The counters are root's alone, and show no kernel address. */
TEST_F_TIMEOUT(module, counters, 300)
{
	struct vt_inval *inval = &self->inval;
	char path[192], line[160];
	unsigned int lines = 0;
	struct stat st;
	FILE *f;

	if (!vt_dev_is_ours())
		SKIP(return, "not our modules");
	EXPECT_EQ(0, vt_inval_hot(inval));
	snprintf(path, sizeof(path), "%s/vq1", inval->rig.dev.stats_dir);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, st.st_mode & 0077);
	f = fopen(path, "r");
	ASSERT_NE(NULL, f);
	while (fgets(line, sizeof(line), f)) {
		EXPECT_EQ(NULL, strstr(line, "ffff"));
		lines++;
	}
	fclose(f);
	EXPECT_GE(lines, 20);
	EXPECT_GE(vt_inval_count(inval, 1, "packets"), 100);
	EXPECT_GE(vt_inval_count(inval, 1, "bytes"), 100 * 60);
	EXPECT_GT(vt_inval_count(inval, 1, "kicks"), 0);
	EXPECT_EQ(0, vt_inval_stop(inval));
}

TEST_HARNESS_MAIN
