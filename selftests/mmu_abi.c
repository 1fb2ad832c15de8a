// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vhost-mmu: every command's errors, whose it is, the rules for memslots.
 * Timeout: 30 s
 */
#include <kselftest_harness.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "mmu.h"

#define GPA		0x100000UL
#define PAGES		64UL
#define RING		1024
#define NONE		(-1)

/* The device states that commands need to succeed. */
enum state {
	BARE,
	SLOT,
	RINGS,
	STATES,
};

/* what the memslot of the SLOT one maps */
static char *slot_mem;

FIXTURE(abi)
{
	int fd[STATES];
	/* a reader of the SLOT one */
	int reader;
	char *mem;
};

FIXTURE_SETUP(abi)
{
	unsigned int i;

	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	self->mem = mmap(NULL, PAGES * VT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	slot_mem = self->mem;
	for (i = 0; i < STATES; i++) {
		self->fd[i] = vt_mmu_open();
		ASSERT_LE(0, self->fd[i]);
	}
	ASSERT_EQ(0, vt_mmu_options(self->fd[RINGS], 0, RING));
	ASSERT_EQ(0, vt_mmu_slot(self->fd[SLOT], 0, VMMU_MEM_LOG_DIRTY_PAGES,
				 GPA, self->mem, PAGES * VT_PAGE));
	self->reader = vt_mmu_create_reader(self->fd[SLOT]);
	ASSERT_LE(0, self->reader);
}

FIXTURE_TEARDOWN(abi)
{
	unsigned int i;

	for (i = 0; i < STATES; i++)
		close(self->fd[i]);
	close(self->reader);
}

/* ------------------------------------------------------- the structures */

union args {
	uint32_t size;
	uint32_t word[64];
	char bytes[256];
	struct vmmu_get_info info;
	struct vmmu_set_options options;
	struct vmmu_set_memslot slot;
	struct vmmu_populate populate;
	struct vmmu_translate translate;
	struct vmmu_access access;
	struct vmmu_dirty_log log;
	struct vmmu_create_reader reader;
	struct vmmu_reset_dirty_rings reset;
	struct vmmu_age age;
	struct vmmu_get_stats_fd stats;
};

static uint64_t buffer[PAGES / 64 + 64];

static void fill_options(union args *a)
{
	a->options.options = VMMU_OPTION_MANUAL_PROTECT;
}

/* changes nothing: it is as it was */
static void fill_slot(union args *a)
{
	a->slot.flags = VMMU_MEM_LOG_DIRTY_PAGES;
	a->slot.guest_phys_addr = GPA;
	a->slot.memory_size = PAGES * VT_PAGE;
	a->slot.userspace_addr = (uintptr_t)slot_mem;
}

static void fill_populate(union args *a)
{
	a->populate.gpa = GPA;
	a->populate.length = VT_PAGE;
}

static void fill_translate(union args *a)
{
	a->translate.gpa = GPA;
}

static void fill_access(union args *a)
{
	a->access.gpa = GPA;
	a->access.length = 8;
	a->access.data = (uintptr_t)buffer;
}

static void fill_log(union args *a)
{
	a->log.bitmap = (uintptr_t)buffer;
}

static void fill_clear(union args *a)
{
	a->log.num_pages = PAGES;
	a->log.bitmap = (uintptr_t)buffer;
}

static void fill_age(union args *a)
{
	a->age.gpa = GPA;
	a->age.length = VT_PAGE;
}

#define AT(type, field)	((int)offsetof(struct type, field))

static const struct command {
	const char *name;
	unsigned long cmd;
	unsigned int size;
	enum state state;
	/* where the flags are, and those that are known */
	int flags;
	uint32_t known;
	int reserved;
	/* where the command puts a file descriptor */
	int fd;
	/* of what it writes back */
	bool output;
	bool on_reader;
	void (*fill)(union args *a);
} commands[] = {
	{ "GET_INFO", VMMU_GET_INFO, sizeof(struct vmmu_get_info), BARE,
	  AT(vmmu_get_info, flags), 0, NONE, NONE, true, false, NULL },
	{ "SET_OPTIONS", VMMU_SET_OPTIONS, sizeof(struct vmmu_set_options),
	  BARE, AT(vmmu_set_options, flags), 0,
	  AT(vmmu_set_options, __reserved), NONE, false, false, fill_options },
	{ "SET_MEMSLOT", VMMU_SET_MEMSLOT, sizeof(struct vmmu_set_memslot),
	  SLOT, AT(vmmu_set_memslot, flags),
	  VMMU_MEM_LOG_DIRTY_PAGES | VMMU_MEM_READONLY,
	  AT(vmmu_set_memslot, __reserved), NONE, false, false, fill_slot },
	{ "POPULATE", VMMU_POPULATE, sizeof(struct vmmu_populate), SLOT,
	  AT(vmmu_populate, flags), VMMU_POPULATE_WRITE, NONE, NONE, true, true,
	  fill_populate },
	{ "TRANSLATE", VMMU_TRANSLATE, sizeof(struct vmmu_translate), SLOT,
	  AT(vmmu_translate, flags),
	  VMMU_TRANSLATE_FAULT | VMMU_TRANSLATE_WRITE, NONE, NONE, true, true,
	  fill_translate },
	{ "READ", VMMU_READ, sizeof(struct vmmu_access), SLOT,
	  AT(vmmu_access, flags), 0, NONE, NONE, true, true, fill_access },
	{ "WRITE", VMMU_WRITE, sizeof(struct vmmu_access), SLOT,
	  AT(vmmu_access, flags), 0, NONE, NONE, true, true, fill_access },
	{ "GET_DIRTY_LOG", VMMU_GET_DIRTY_LOG, sizeof(struct vmmu_dirty_log),
	  SLOT, AT(vmmu_dirty_log, flags), 0, AT(vmmu_dirty_log, __reserved),
	  NONE, false, false, fill_log },
	{ "CLEAR_DIRTY_LOG", VMMU_CLEAR_DIRTY_LOG,
	  sizeof(struct vmmu_dirty_log), SLOT, AT(vmmu_dirty_log, flags), 0,
	  AT(vmmu_dirty_log, __reserved), NONE, false, false, fill_clear },
	{ "CREATE_READER", VMMU_CREATE_READER,
	  sizeof(struct vmmu_create_reader), SLOT,
	  AT(vmmu_create_reader, flags), 0, AT(vmmu_create_reader, __reserved),
	  AT(vmmu_create_reader, out_fd), true, false, NULL },
	{ "RESET_DIRTY_RINGS", VMMU_RESET_DIRTY_RINGS,
	  sizeof(struct vmmu_reset_dirty_rings), RINGS,
	  AT(vmmu_reset_dirty_rings, flags), 0,
	  AT(vmmu_reset_dirty_rings, __reserved), NONE, true, false, NULL },
	{ "AGE", VMMU_AGE, sizeof(struct vmmu_age), SLOT, AT(vmmu_age, flags),
	  VMMU_AGE_CLEAR, NONE, NONE, true, false, fill_age },
	{ "GET_STATS_FD", VMMU_GET_STATS_FD, sizeof(struct vmmu_get_stats_fd),
	  BARE, AT(vmmu_get_stats_fd, flags), 0,
	  AT(vmmu_get_stats_fd, __reserved), AT(vmmu_get_stats_fd, out_fd),
	  true, false, NULL },
};

#define NUM_COMMANDS	ARRAY_SIZE(commands)

static void good_args(const struct command *c, union args *a)
{
	memset(a, 0, sizeof(*a));
	if (c->fill)
		c->fill(a);
	a->size = c->size;
}

/* Make a call; a file descriptor that it gives is closed again. */
static int call(const struct command *c, int fd, void *args)
{
	int r = vt_mmu_ioctl(fd, c->cmd, args);

	if (!r && c->fd != NONE)
		close(*(int *)((char *)args + c->fd));
	return r;
}

#define EXPECT_CALL(want, c, fd, args)					\
	do {								\
		int __r = call(c, fd, args);				\
									\
		EXPECT_EQ(want, __r)					\
			TH_LOG("%s gave %d", (c)->name, __r);		\
	} while (0)

static unsigned int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

TEST_F(abi, good)
{
	const struct command *c;
	unsigned int fds = count_fds();
	union args a;

	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		good_args(c, &a);
		EXPECT_CALL(0, c, self->fd[c->state], &a);
	}
	EXPECT_EQ(fds, count_fds());
}

TEST_F(abi, size)
{
	const struct command *c;
	union args a;

	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		uint32_t shorter[] = { 0, 1, 4, c->size - 1, c->size - 8 };
		unsigned int i;

		for (i = 0; i < 5; i++) {
			good_args(c, &a);
			a.size = shorter[i];
			EXPECT_CALL(-EINVAL, c, self->fd[c->state], &a);
		}
		good_args(c, &a);
		a.size = c->size + 8;
		EXPECT_CALL(0, c, self->fd[c->state], &a);
		EXPECT_EQ(c->size + 8, a.size);
		/* try the byte after the structure, and the last of the page */
		good_args(c, &a);
		a.size = c->size + 8;
		a.bytes[c->size] = 1;
		EXPECT_CALL(-E2BIG, c, self->fd[c->state], &a);
		good_args(c, &a);
		a.size = sizeof(a);
		a.bytes[sizeof(a) - 1] = 1;
		EXPECT_CALL(-E2BIG, c, self->fd[c->state], &a);
	}
}

TEST_F(abi, flags)
{
	const struct command *c;
	unsigned int bit;
	union args a;

	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		for (bit = 0; bit < 32; bit++) {
			if (c->known & 1U << bit)
				continue;
			good_args(c, &a);
			*(uint32_t *)(a.bytes + c->flags) = 1U << bit;
			EXPECT_CALL(-EOPNOTSUPP, c, self->fd[c->state], &a);
		}
		if (c->reserved == NONE)
			continue;
		for (bit = 0; bit < 32; bit++) {
			good_args(c, &a);
			*(uint32_t *)(a.bytes + c->reserved) = 1U << bit;
			EXPECT_CALL(-EOPNOTSUPP, c, self->fd[c->state], &a);
		}
	}
}

/* A page of zeros behind a structure is looked through, gigabytes are not. */
TEST_F(abi, size_limit)
{
	const size_t len = 2 * VT_PAGE;
	const struct command *c;
	union args a;
	char *p;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		uint32_t *size = (uint32_t *)p;

		good_args(c, &a);
		memset(p, 0, len);
		memcpy(p, &a, c->size);
		*size = VT_PAGE;
		EXPECT_CALL(0, c, self->fd[c->state], p);
		memcpy(p, &a, c->size);
		*size = VT_PAGE + 8;
		EXPECT_CALL(-E2BIG, c, self->fd[c->state], p);
		*size = UINT32_MAX;
		EXPECT_CALL(-E2BIG, c, self->fd[c->state], p);
	}
	munmap(p, len);
}

/* The structure in memory that is not there, not wholly there, not writable. */
TEST_F(abi, fault)
{
	unsigned int fds = count_fds();
	const struct command *c;
	union args a;
	char *p;

	p = mmap(NULL, 2 * VT_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, mprotect(p + VT_PAGE, VT_PAGE, PROT_NONE));
	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		int fd = self->fd[c->state];

		EXPECT_CALL(-EFAULT, c, fd, NULL);
		EXPECT_CALL(-EFAULT, c, fd, p + VT_PAGE);
		EXPECT_CALL(-EFAULT, c, fd, (void *)(1UL << 63));
		good_args(c, &a);
		memcpy(p + VT_PAGE - c->size + 4, &a, c->size - 4);
		EXPECT_CALL(-EFAULT, c, fd, p + VT_PAGE - c->size + 4);
		if (!c->output)
			continue;
		memcpy(p, &a, c->size);
		ASSERT_EQ(0, mprotect(p, VT_PAGE, PROT_READ));
		EXPECT_CALL(-EFAULT, c, fd, p);
		ASSERT_EQ(0, mprotect(p, VT_PAGE, PROT_READ | PROT_WRITE));
	}
	/* the calls left no file descriptor behind */
	EXPECT_EQ(fds, count_fds());
	munmap(p, 2 * VT_PAGE);
}

TEST_F(abi, unknown)
{
	unsigned int nr, type, stats = vt_mmu_stats_open(self->fd[SLOT]);
	union args a;

	memset(&a, 0, sizeof(a));
	a.size = sizeof(a);
	for (nr = VMMU_CMD_GET_STATS_FD + 1; nr < 256; nr++)
		EXPECT_EQ(-ENOTTY, vt_mmu_ioctl(self->fd[SLOT],
						_IO(VMMU_IOCTL_TYPE, nr), &a));
	/* the same numbers of another type, direction or size */
	for (type = 0; type < 256; type++) {
		/* the VFS handles type 0 for every file */
		if (type && type != VMMU_IOCTL_TYPE)
			EXPECT_EQ(-ENOTTY, vt_mmu_ioctl(self->fd[SLOT],
							_IO(type, 2), &a))
				TH_LOG("type %#x", type);
	}
	EXPECT_EQ(-ENOTTY, vt_mmu_ioctl(self->fd[SLOT],
					_IOWR(VMMU_IOCTL_TYPE, 0, a.info), &a));
	/* an unknown command is unknown wherever its argument is */
	EXPECT_EQ(-ENOTTY, vt_mmu_ioctl(self->fd[SLOT],
					_IO(VMMU_IOCTL_TYPE, 0x40), NULL));
	ASSERT_LE(0, (int)stats);
	for (nr = 0; nr < NUM_COMMANDS; nr++)
		EXPECT_EQ(-ENOTTY, vt_mmu_ioctl(stats, commands[nr].cmd, &a));
	close(stats);
}

TEST_F(abi, on_reader)
{
	const struct command *c;
	union args a;

	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		good_args(c, &a);
		EXPECT_CALL(c->on_reader ? 0 : -ENOTTY, c, self->reader, &a);
	}
	EXPECT_EQ(-ENOTTY,
		  vt_mmu_ioctl(self->reader, _IO(VMMU_IOCTL_TYPE, 0x40), &a));
	/* a reader keeps what it reads from */
	close(self->fd[SLOT]);
	memcpy(self->mem, "reader", 7);
	EXPECT_EQ(0, vt_mmu_read(self->reader, GPA, buffer, 7));
	EXPECT_STREQ("reader", (char *)buffer);
	self->fd[SLOT] = -1;
}

/* The fd is no file to read and write. */
TEST_F(abi, no_file)
{
	char c;

	EXPECT_GT(0, read(self->fd[SLOT], &c, 1));
	EXPECT_GT(0, write(self->fd[SLOT], &c, 1));
	EXPECT_GT(0, read(self->reader, &c, 1));
	EXPECT_GT(0, write(self->reader, &c, 1));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VT_PAGE, PROT_READ, MAP_SHARED,
				   self->fd[SLOT], 0));
	/* without dirty rings there is nothing to map */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VT_PAGE, PROT_READ, MAP_SHARED,
				   self->reader, 0));
}

/* ------------------------------------------------- whose address space */

/* Bits of the commands that did not answer as @want; 0 when all did. */
static int all_answer(const int *fds, int reader, int want)
{
	const struct command *c;
	int wrong = 0;
	union args a;

	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		int r;

		good_args(c, &a);
		r = call(c, fds[c->state], &a);
		if (r != want) {
			vt_msg("abi: %s gave %d, not %d", c->name, r, want);
			wrong++;
		}
		if (!c->on_reader)
			continue;
		good_args(c, &a);
		r = call(c, reader, &a);
		if (r != want) {
			vt_msg("abi: %s on a reader gave %d, not %d", c->name,
			       r, want);
			wrong++;
		}
	}
	/* the caller's mm is checked before the structure */
	if (want) {
		memset(&a, 0, sizeof(a));
		wrong += vt_mmu_ioctl(fds[SLOT], VMMU_POPULATE, &a) != want;
		wrong += vt_mmu_ioctl(fds[SLOT], VMMU_POPULATE, NULL) != want;
		wrong += vt_mmu_ioctl(fds[SLOT], _IO(VMMU_IOCTL_TYPE, 0x40),
				      &a) != -ENOTTY;
	}
	return wrong;
}

static int wait_status(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(abi, foreign_fork)
{
	pid_t pid = fork();

	if (!pid)
		_exit(all_answer(self->fd, self->reader, -EIO));
	EXPECT_EQ(0, wait_status(pid));
	/* the MMU still works for its owner */
	EXPECT_EQ(0, all_answer(self->fd, self->reader, 0));
}

/* A child that shares the address space is no stranger, nor is a thread. */
static int shared_result;

static void *in_thread(void *arg)
{
	const int *fds = arg;

	shared_result = all_answer(fds, fds[STATES], 0);
	return NULL;
}

TEST_F(abi, same_mm)
{
	int fds[STATES + 1];
	pthread_t thread;
	pid_t pid;

	memcpy(fds, self->fd, sizeof(self->fd));
	fds[STATES] = self->reader;
	shared_result = -1;
	pid = vfork();
	if (!pid) {
		shared_result = vt_mmu_populate_all(fds[SLOT], 0, GPA, VT_PAGE);
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, shared_result);
	shared_result = -1;
	ASSERT_EQ(0, pthread_create(&thread, NULL, in_thread, fds));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, shared_result);
}

/* After exec() the same process has another address space. */
#define EXEC_ENV	"MMU_ABI_FDS"

static void __attribute__((constructor(101))) after_exec(void)
{
	const char *env = getenv(EXEC_ENV);
	int fds[STATES], reader;

	if (!env)
		return;
	if (sscanf(env, "%d,%d,%d,%d", &fds[0], &fds[1], &fds[2], &reader) != 4)
		_exit(98);
	_exit(all_answer(fds, reader, -EIO));
}

TEST_F(abi, foreign_exec)
{
	char env[64];
	pid_t pid;

	snprintf(env, sizeof(env), "%d,%d,%d,%d", self->fd[0], self->fd[1],
		 self->fd[2], self->reader);
	pid = fork();
	if (!pid) {
		unsigned int i;

		for (i = 0; i < STATES; i++)
			fcntl(self->fd[i], F_SETFD, 0);
		fcntl(self->reader, F_SETFD, 0);
		setenv(EXEC_ENV, env, 1);
		execl("/proc/self/exe", "mmu_abi", NULL);
		_exit(97);
	}
	EXPECT_EQ(0, wait_status(pid));
}

static int send_fds(int sock, const int *fds, unsigned int n, bool receive,
		    int *out)
{
	char control[CMSG_SPACE(sizeof(int) * 8)] = "", byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(sizeof(int) * n),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	if (receive) {
		if (recvmsg(sock, &msg, 0) != 1)
			return -errno;
		cmsg = CMSG_FIRSTHDR(&msg);
		if (!cmsg || cmsg->cmsg_len != CMSG_LEN(sizeof(int) * n))
			return -EPROTO;
		memcpy(out, CMSG_DATA(cmsg), sizeof(int) * n);
		return 0;
	}
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * n);
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

/*
 * Another process's MMU, received through a socket: while the owner lives, and
 * when it is gone.
 */
TEST_F(abi, foreign_scm_rights)
{
	int pair[2], fds[STATES + 1], got[STATES + 1];
	unsigned int i;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid) {
		for (i = 0; i < STATES; i++)
			fds[i] = vt_mmu_open();
		fds[STATES] = vt_mmu_create_reader(fds[SLOT]);
		if (send_fds(pair[1], fds, STATES + 1, false, NULL))
			_exit(96);
		(void)!read(pair[1], &byte, 1);
		_exit(0);
	}
	ASSERT_EQ(0, send_fds(pair[0], NULL, STATES + 1, true, got));
	EXPECT_EQ(0, all_answer(got, got[STATES], -EIO));
	ASSERT_EQ(1, write(pair[0], &byte, 1));
	EXPECT_EQ(0, wait_status(pid));
	EXPECT_EQ(0, all_answer(got, got[STATES], -EIO));
	for (i = 0; i <= STATES; i++)
		close(got[i]);
	close(pair[0]);
	close(pair[1]);
}

/* ------------------------------------------------- arguments by command */

TEST_F(abi, info)
{
	uint64_t commands_of_all = 0, commands_of_readers = 0;
	const struct command *c;
	struct vmmu_get_info info;

	ASSERT_EQ(0, vt_mmu_info(self->fd[BARE], &info));
	for (c = commands; c < commands + NUM_COMMANDS; c++) {
		uint64_t bit = 1ULL << _IOC_NR(c->cmd);

		commands_of_all |= bit;
		commands_of_readers |= c->on_reader ? bit : 0;
		/* flags come right behind the size of each structure */
		EXPECT_EQ(4, c->flags) TH_LOG("%s", c->name);
	}
	EXPECT_EQ(commands_of_all, info.commands);
	EXPECT_EQ(commands_of_readers, info.reader_commands);
	EXPECT_EQ(7, info.options);
	EXPECT_EQ(3, info.memslot_flags);
	EXPECT_EQ(1, info.populate_flags);
	EXPECT_EQ(3, info.translate_flags);
	EXPECT_EQ(1, info.age_flags);
	EXPECT_EQ((1U << 12 | 1U << 21),
		  info.page_sizes & (1U << 12 | 1U << 21));
	EXPECT_EQ(0, info.page_sizes & ~(1ULL << 12 | 1ULL << 21 | 1ULL << 30));
	EXPECT_EQ((1ULL << 31) - 1, info.max_slot_pages);
	EXPECT_EQ(32764, info.max_slots);
	EXPECT_EQ(48, info.gpa_bits);
	EXPECT_EQ(32, info.min_ring_entries);
	EXPECT_GE(info.max_ring_entries, 1024);
	EXPECT_EQ(0, info.max_ring_entries & (info.max_ring_entries - 1));
	EXPECT_EQ(8, info.ring_reserve);
	EXPECT_EQ(64, info.max_mmus);
	EXPECT_EQ(1024, info.max_readers);
	EXPECT_EQ(4096, info.max_struct_size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(sizeof(info), info.size);
}

TEST_F(abi, options)
{
	struct vmmu_get_info info;
	int fd = self->fd[BARE];
	unsigned int bit;
	int reader;

	ASSERT_EQ(0, vt_mmu_info(fd, &info));
	for (bit = 3; bit < 64; bit++)
		EXPECT_EQ(-EOPNOTSUPP, vt_mmu_options(fd, 1ULL << bit, 0));
	EXPECT_EQ(-EINVAL, vt_mmu_options(fd, VMMU_OPTION_INITIALLY_SET, 0));
	EXPECT_EQ(-EINVAL, vt_mmu_options(fd, 0, 1000));
	EXPECT_EQ(-EINVAL, vt_mmu_options(fd, 0, 1025));
	EXPECT_EQ(-EINVAL, vt_mmu_options(fd, 0, info.max_ring_entries * 2));
	EXPECT_EQ(-EINVAL, vt_mmu_options(fd, 0, info.min_ring_entries / 2));
	EXPECT_EQ(0, vt_mmu_options(fd, 0, info.min_ring_entries));
	/* options may be set again until the MMU is used */
	EXPECT_EQ(0, vt_mmu_options(fd, 0, info.max_ring_entries));
	EXPECT_EQ(0, vt_mmu_options(fd,
				    VMMU_OPTION_MANUAL_PROTECT |
					    VMMU_OPTION_INITIALLY_SET |
					    VMMU_OPTION_LAZY_SPLIT,
				    0));
	EXPECT_EQ(0, vt_mmu_options(fd, VMMU_OPTION_LAZY_SPLIT, 0));
	EXPECT_EQ(0, vt_mmu_options(fd, 0, 0));

	EXPECT_EQ(-EBUSY, vt_mmu_options(self->fd[SLOT], 0, 0));
	reader = vt_mmu_create_reader(fd);
	ASSERT_LE(0, reader);
	EXPECT_EQ(-EBUSY, vt_mmu_options(fd, 0, 0));
	close(reader);
	reader = vt_mmu_create_reader(self->fd[RINGS]);
	ASSERT_LE(0, reader);
	EXPECT_EQ(-EBUSY, vt_mmu_options(self->fd[RINGS], 0, 0));
	close(reader);
}

TEST_F(abi, ring_mode)
{
	int fd = self->fd[RINGS], reader = vt_mmu_create_reader(fd);
	uint64_t val = 0;

	ASSERT_LE(0, reader);
	EXPECT_EQ(-ENXIO, vt_mmu_reset_rings(self->fd[SLOT], NULL));
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA,
				 self->mem, PAGES * VT_PAGE));
	EXPECT_EQ(-ENXIO, vt_mmu_get_dirty(fd, 0, buffer));
	EXPECT_EQ(-ENXIO, vt_mmu_clear_dirty(fd, 0, 0, PAGES, buffer));
	/* a logged write needs a dirty ring, which only readers have */
	EXPECT_EQ(-ENXIO, vt_mmu_write64(fd, GPA, 1));
	EXPECT_EQ(0, vt_mmu_read64(fd, GPA, &val));
	EXPECT_EQ(0, val);
	EXPECT_EQ(0, vt_mmu_write64(reader, GPA, 1));
	EXPECT_EQ(0, vt_mmu_read64(fd, GPA, &val));
	EXPECT_EQ(1, val);
	close(reader);
}

/* The smallest ring takes so many pages as the interface says. */
TEST_F(abi, ring_room)
{
	int fd = self->fd[BARE], reader;
	struct vmmu_get_info info;
	struct vmmu_dirty_gfn *ring;
	unsigned int i, room;

	ASSERT_EQ(0, vt_mmu_info(fd, &info));
	ASSERT_EQ(0, vt_mmu_options(fd, 0, info.min_ring_entries));
	ASSERT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA,
				 self->mem, PAGES * VT_PAGE));
	reader = vt_mmu_create_reader(fd);
	ASSERT_LE(0, reader);
	ring = vt_mmu_map_ring(reader, info.min_ring_entries);
	ASSERT_NE(NULL, ring);
	room = info.min_ring_entries - info.ring_reserve;
	for (i = 0; i < room; i++) {
		ASSERT_EQ(0, vt_mmu_write64(reader, GPA + i * VT_PAGE, 1));
		EXPECT_EQ(VMMU_DIRTY_GFN_F_DIRTY, ring[i].flags);
		EXPECT_EQ(i, ring[i].offset);
	}
	EXPECT_EQ(-ENOSPC, vt_mmu_write64(reader, GPA + i * VT_PAGE, 1));
	munmap(ring, info.min_ring_entries * sizeof(*ring));
	close(reader);
}

TEST_F(abi, access)
{
	uint64_t val, end = GPA + PAGES * VT_PAGE;
	struct vmmu_translate t;
	int fd = self->fd[SLOT];
	struct vmmu_access a;
	char *hole;

	EXPECT_EQ(-ENOENT, vt_mmu_read64(fd, GPA - 8, &val));
	EXPECT_EQ(-ENOENT, vt_mmu_read64(fd, end, &val));
	EXPECT_EQ(-ENOENT, vt_mmu_write64(fd, end, 0));
	EXPECT_EQ(-ENOENT, vt_mmu_translate(fd, 0, end, &t));
	EXPECT_EQ(-ENOENT, vt_mmu_translate(fd, VMMU_TRANSLATE_FAULT, end, &t));
	/* no bytes, no error */
	EXPECT_EQ(0, vt_mmu_read(fd, GPA, NULL, 0));
	/* the call stops at the memslot's end and reports the rest */
	memset(self->mem, 0x5a, PAGES * VT_PAGE);
	a = (struct vmmu_access) {
		.size = sizeof(a),
		.gpa = end - 100,
		.length = 200,
		.data = (uintptr_t)buffer,
	};
	memset(buffer, 0, sizeof(buffer));
	EXPECT_EQ(-ENOENT, vt_mmu_ioctl(fd, VMMU_READ, &a));
	EXPECT_EQ(end, a.gpa);
	EXPECT_EQ(100, a.length);
	EXPECT_EQ((uintptr_t)buffer + 100, a.data);
	EXPECT_EQ(0x5a, ((uint8_t *)buffer)[99]);
	EXPECT_EQ(0, ((uint8_t *)buffer)[100]);
	/* across a page, at odd addresses */
	EXPECT_EQ(0, vt_mmu_write(fd, GPA + VT_PAGE - 3, "abcdefg", 7));
	EXPECT_EQ(0, memcmp(self->mem + VT_PAGE - 3, "abcdefg", 7));
	EXPECT_EQ(0x5a, self->mem[VT_PAGE - 4]);
	EXPECT_EQ(0x5a, self->mem[VT_PAGE + 4]);
	EXPECT_EQ(0, vt_mmu_read(fd, GPA + VT_PAGE - 3, buffer, 7));
	EXPECT_EQ(0, memcmp(buffer, "abcdefg", 7));

	/* the caller's buffer */
	hole = mmap(NULL, 2 * VT_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, hole);
	EXPECT_EQ(-EFAULT, vt_mmu_read(fd, GPA, hole, 8));
	EXPECT_EQ(-EFAULT, vt_mmu_write(fd, GPA, hole, 8));
	EXPECT_EQ(-EFAULT, vt_mmu_read(fd, GPA, (void *)(1UL << 63), 8));
	ASSERT_EQ(0, mprotect(hole, VT_PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, vt_mmu_read(fd, GPA, hole, 8));
	EXPECT_EQ(0, vt_mmu_write(fd, GPA, hole, 8));
	/* wrapping around */
	EXPECT_GT(0, vt_mmu_read(fd, -8ULL, buffer, 16));
	munmap(hole, 2 * VT_PAGE);
}

TEST_F(abi, translate)
{
	struct vmmu_translate t;
	int fd = self->fd[SLOT];

	EXPECT_EQ(0, vt_mmu_translate(fd, 0, GPA + 5 * VT_PAGE + 17, &t));
	EXPECT_EQ((uintptr_t)self->mem + 5 * VT_PAGE + 17, t.hva);
	EXPECT_EQ(0, t.slot);
	EXPECT_EQ(0, t.perms);
	EXPECT_EQ(0, t.page_shift);
	EXPECT_EQ(0, t.state);
	EXPECT_EQ(0, vt_mmu_translate(fd, VMMU_TRANSLATE_FAULT |
				      VMMU_TRANSLATE_WRITE,
				      GPA + 5 * VT_PAGE, &t));
	EXPECT_EQ(-EINVAL, vt_mmu_translate(fd, VMMU_TRANSLATE_WRITE, GPA, &t));
	EXPECT_EQ(0, vt_mmu_translate(fd, 0, GPA + 5 * VT_PAGE, &t));
	EXPECT_EQ(VMMU_PERM_READ | VMMU_PERM_WRITE, t.perms);
	EXPECT_EQ(12, t.page_shift);
	EXPECT_TRUE(t.state & VMMU_STATE_DIRECT);
	/* the call changed this page alone */
	EXPECT_EQ(0, vt_mmu_translate(fd, 0, GPA + 6 * VT_PAGE, &t));
	EXPECT_EQ(0, t.perms);
}

TEST_F(abi, age)
{
	int fd = self->fd[SLOT];
	uint64_t young;

	EXPECT_EQ(-EINVAL, vt_mmu_age(fd, 0, GPA, 0, NULL, NULL));
	EXPECT_EQ(-EINVAL, vt_mmu_age(fd, 0, GPA + 1, VT_PAGE, NULL, NULL));
	EXPECT_EQ(-EINVAL, vt_mmu_age(fd, 0, GPA, VT_PAGE + 8, NULL, NULL));
	EXPECT_EQ(-EINVAL,
		  vt_mmu_age(fd, 0, -VT_PAGE, 2 * VT_PAGE, NULL, NULL));
	/* without memslots nothing is young */
	EXPECT_EQ(0, vt_mmu_age(self->fd[BARE], 0, 0, 16 * VT_PAGE, buffer,
				&young));
	EXPECT_EQ(0, young);
	EXPECT_EQ(0, vt_mmu_populate_all(fd, 0, GPA, VT_PAGE));
	EXPECT_EQ(0, vt_mmu_read(fd, GPA, buffer, 8));
	EXPECT_EQ(-EFAULT, vt_mmu_age(fd, 0, GPA, VT_PAGE, (void *)8, NULL));
}

/* --------------------------------------------------------------- memslots */

TEST_F(abi, memslot_arguments)
{
	int fd = self->fd[BARE];
	uint32_t bad_slots[] = { 32764, 32765, 0xffff, 0x10000, 0x80000000 };
	unsigned int i;
	char *mem = self->mem;

	/* deleting a memslot that is not there fails */
	EXPECT_EQ(-EINVAL, vt_mmu_slot_delete(fd, 0));
	EXPECT_EQ(-EINVAL, vt_mmu_slot_delete(fd, 32763));
	for (i = 0; i < ARRAY_SIZE(bad_slots); i++) {
		EXPECT_EQ(-EINVAL,
			  vt_mmu_slot(fd, bad_slots[i], 0, 0, mem, VT_PAGE));
		EXPECT_EQ(-EINVAL, vt_mmu_slot_delete(fd, bad_slots[i]));
	}
	/* alignment of each */
	for (i = 0; i < 12; i++) {
		EXPECT_EQ(-EINVAL,
			  vt_mmu_slot(fd, 0, 0, 1UL << i, mem, VT_PAGE));
		EXPECT_EQ(-EINVAL,
			  vt_mmu_slot(fd, 0, 0, 0, mem + (1UL << i), VT_PAGE));
		EXPECT_EQ(-EINVAL,
			  vt_mmu_slot(fd, 0, 0, 0, mem, VT_PAGE + (1UL << i)));
	}
	/* bad ranges: GPA bits, wrapping, no user address, too large */
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, 1ULL << 48, mem, VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, (1ULL << 48) - VT_PAGE, mem,
				       2 * VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, -VT_PAGE, mem, 2 * VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, 0, (void *)-VT_PAGE, VT_PAGE));
	EXPECT_EQ(-EINVAL,
		  vt_mmu_slot(fd, 0, 0, 0, (void *)(1UL << 63), VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, 0, (void *)-(2 * VT_PAGE),
				       4 * VT_PAGE));
	EXPECT_EQ(-EINVAL,
		  vt_mmu_slot(fd, 0, 0, 0, (void *)VT_PAGE, 1ULL << 43));
	/* user addresses need not be mapped, only be such */
	EXPECT_EQ(0, vt_mmu_slot(fd, 0, 0, 0, (void *)VT_PAGE,
				 ((1ULL << 31) - 1) * VT_PAGE));
	EXPECT_EQ(0, vt_mmu_slot_delete(fd, 0));
	/* the very last page, the very last slot */
	EXPECT_EQ(0, vt_mmu_slot(fd, 32763, 0, (1ULL << 48) - VT_PAGE, mem,
				 VT_PAGE));
	EXPECT_EQ(0,
		  vt_mmu_populate_all(fd, 0, (1ULL << 48) - VT_PAGE, VT_PAGE));
	EXPECT_EQ(0, vt_mmu_slot_delete(fd, 32763));
	EXPECT_EQ(-EINVAL, vt_mmu_slot_delete(fd, 32763));
}

TEST_F(abi, memslot_overlap)
{
	const uint64_t gpa = 16 * VT_PAGE, len = 8 * VT_PAGE;
	int fd = self->fd[BARE];
	char *mem = self->mem;

	ASSERT_EQ(0, vt_mmu_slot(fd, 0, 0, gpa, mem, len));
	/* the same, one page at each end, inside, around */
	EXPECT_EQ(-EEXIST, vt_mmu_slot(fd, 1, 0, gpa, mem, len));
	EXPECT_EQ(-EEXIST,
		  vt_mmu_slot(fd, 1, 0, gpa - len + VT_PAGE, mem, len));
	EXPECT_EQ(-EEXIST,
		  vt_mmu_slot(fd, 1, 0, gpa + len - VT_PAGE, mem, len));
	EXPECT_EQ(-EEXIST,
		  vt_mmu_slot(fd, 1, 0, gpa + 3 * VT_PAGE, mem, VT_PAGE));
	EXPECT_EQ(-EEXIST,
		  vt_mmu_slot(fd, 1, 0, gpa - VT_PAGE, mem, len + 2 * VT_PAGE));
	/* neighbours */
	EXPECT_EQ(0, vt_mmu_slot(fd, 1, 0, gpa - len, mem, len));
	EXPECT_EQ(0, vt_mmu_slot(fd, 2, 0, gpa + len, mem, len));
	/* a memslot may not move onto another, but onto itself */
	EXPECT_EQ(-EEXIST,
		  vt_mmu_slot(fd, 2, 0, gpa + len - VT_PAGE, mem, len));
	EXPECT_EQ(0, vt_mmu_slot(fd, 2, 0, gpa + len + VT_PAGE, mem, len));
	EXPECT_EQ(0, vt_mmu_slot(fd, 2, 0, gpa + len, mem, len));
	/* memslots may share user memory; a new one may fill a hole */
	EXPECT_EQ(0, vt_mmu_slot_delete(fd, 0));
	EXPECT_EQ(0, vt_mmu_slot(fd, 7, 0, gpa, mem, len));
	EXPECT_EQ(-EEXIST, vt_mmu_slot(fd, 0, 0, gpa, mem, len));
}

TEST_F(abi, memslot_change)
{
	int fd = self->fd[BARE];
	char *mem = self->mem;
	unsigned int i;
	uint64_t val;

	ASSERT_EQ(0, vt_mmu_slot(fd, 0, 0, GPA, mem, 8 * VT_PAGE));
	/* setting the same memslot again changes nothing */
	EXPECT_EQ(0, vt_mmu_slot(fd, 0, 0, GPA, mem, 8 * VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, GPA, mem, 7 * VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, 0, GPA, mem, 9 * VT_PAGE));
	EXPECT_EQ(-EINVAL,
		  vt_mmu_slot(fd, 0, 0, GPA, mem + VT_PAGE, 8 * VT_PAGE));
	EXPECT_EQ(-EINVAL,
		  vt_mmu_slot(fd, 0, VMMU_MEM_READONLY, GPA, mem, 8 * VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 0, VMMU_MEM_READONLY,
				       GPA + 8 * VT_PAGE, mem, 8 * VT_PAGE));
	/* it still works as it did */
	*(uint64_t *)mem = 42;
	EXPECT_EQ(0, vt_mmu_read64(fd, GPA, &val));
	EXPECT_EQ(42, val);
	EXPECT_EQ(-EOPNOTSUPP, vt_mmu_slot(fd, 0, 1U << 2, GPA, NULL, 0));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, vt_mmu_slot(fd, 0, VMMU_MEM_LOG_DIRTY_PAGES, GPA,
					 mem, 8 * VT_PAGE));
		EXPECT_EQ(0, vt_mmu_get_dirty(fd, 0, buffer));
		EXPECT_EQ(0, vt_mmu_slot(fd, 0, 0, GPA, mem, 8 * VT_PAGE));
		EXPECT_EQ(-ENOENT, vt_mmu_get_dirty(fd, 0, buffer));
	}
	/* READONLY cannot be taken away either; the log may come and go */
	ASSERT_EQ(0, vt_mmu_slot(fd, 1, VMMU_MEM_READONLY, 0, mem, VT_PAGE));
	EXPECT_EQ(-EINVAL, vt_mmu_slot(fd, 1, 0, 0, mem, VT_PAGE));
	EXPECT_EQ(-EROFS, vt_mmu_write64(fd, 0, 1));
	EXPECT_EQ(0, vt_mmu_read64(fd, 0, &val));
	EXPECT_EQ(42, val);
}

/* No memslots at all: every address is nowhere, and ends are no problem. */
TEST_F(abi, memslot_none)
{
	int fd = self->fd[BARE], stats = vt_mmu_stats_open(fd);
	uint64_t gpas[] = { 0, VT_PAGE, GPA, 1ULL << 47,
			    (1ULL << 48) - VT_PAGE };
	struct vmmu_translate t;
	unsigned int i;
	uint64_t val;

	ASSERT_LE(0, stats);
	for (i = 0; i < ARRAY_SIZE(gpas); i++) {
		EXPECT_EQ(-ENOENT, vt_mmu_read64(fd, gpas[i], &val));
		EXPECT_EQ(-ENOENT, vt_mmu_write64(fd, gpas[i], 1));
		EXPECT_EQ(-ENOENT, vt_mmu_translate(fd, VMMU_TRANSLATE_FAULT,
						    gpas[i], &t));
		EXPECT_EQ(-ENOENT,
			  vt_mmu_populate_all(fd, 0, gpas[i], VT_PAGE));
	}
	EXPECT_EQ(-ENOENT, vt_mmu_get_dirty(fd, 0, buffer));
	EXPECT_EQ(-ENOENT, vt_mmu_clear_dirty(fd, 0, 0, 64, buffer));
	EXPECT_EQ(0, vt_mmu_stat(stats, "memslots"));
	EXPECT_EQ(0, vt_mmu_stat(stats, "pages_4k"));
	EXPECT_EQ(1, vt_mmu_stat(stats, "table_pages"));
	close(stats);
}

TEST_HARNESS_MAIN
