// SPDX-License-Identifier: GPL-2.0
/*
 * Reads and writes of guest memory: every length at every offset, words in one
 * access, and memory that is broken.  What stands for the machine check is a
 * fault in a page without access, fixed up by the exception table.
 */
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "kselftest_harness.h"
#include "mmu/access.h"
#include "mmu/dirty_log.h"
#include "mmu/fault.h"
#include "mmu_rig.h"

#define LONG	64

struct fixup {
	unsigned long from;
	unsigned long to;
};

/* Where a load may fail, and where it goes on then: see _ASM_EXTABLE_TYPE(). */
extern const struct fixup __start_unit_extable[], __stop_unit_extable[];

static void machine_check(int sig, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	const struct fixup *f;

	for (f = __start_unit_extable; f < __stop_unit_extable; f++) {
		if (f->from != (unsigned long)*rip)
			continue;
		*rip = f->to;
		return;
	}
	/* The host panics. */
	signal(sig, SIG_DFL);
}

static bool broken;

/* Longer reads have always survived: only words are what is tried here. */
unsigned long unit_copy_mc(void *to, const void *from, size_t n)
{
	if (broken)
		return n;
	memcpy(to, from, n);
	return 0;
}

/* What is not mapped is not asked for. */
long vmmu_fault(struct vmmu_context *ctx, u64 gfn, unsigned int npages,
		bool write, bool *user)
{
	*user = false;
	return -ENOENT;
}

int vmmu_fault_pause(struct vmmu_context *ctx, unsigned int tries)
{
	return -EINTR;
}

long vmmu_populate(struct vmmu_context *ctx, u64 gpa, u64 length, bool write)
{
	return -ENOENT;
}

struct vmmu_memslot *vmmu_slot_by_gpa(struct vmmu_memslots *slots, u64 gpa)
{
	return NULL;
}

int vmmu_log_room(struct vmmu_context *ctx, const struct vmmu_memslot *slot)
{
	return 0;
}

int vmmu_log_page(struct vmmu_context *ctx, struct vmmu_memslot *slot, u64 gfn,
		  bool written)
{
	return 0;
}

FIXTURE(access)
{
	struct vmmu_context ctx;
	unsigned char *page;
};

FIXTURE_SETUP(access)
{
	struct sigaction action = { .sa_sigaction = machine_check,
				    .sa_flags = SA_SIGINFO };
	struct vmmu *mmu = unit_table_new();
	unsigned int i;

	self->page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(self->page, MAP_FAILED);
	for (i = 0; i < PAGE_SIZE; i++)
		self->page[i] = i * 7 + i / 256;
	vmmu_context_init(&self->ctx, mmu, NULL);
	ASSERT_EQ(unit_map(mmu, 0, 1, (unsigned long)self->page >> PAGE_SHIFT,
			   LEAF_BITS | VMMU_PTE_WRITE, 3), VMMU_MAP_FIXED);
	ASSERT_EQ(sigaction(SIGSEGV, &action, NULL), 0);
	broken = false;
}

FIXTURE_TEARDOWN(access)
{
	unit_table_free(self->ctx.mmu);
	munmap(self->page, PAGE_SIZE);
}

TEST_F(access, content)
{
	unsigned char buf[LONG + 8], old[PAGE_SIZE];
	unsigned int len, at, to, i;

	for (len = 1; len <= LONG; len++)
		for (at = 0; at < 16; at++)
			for (to = 0; to < 8; to++) {
				ASSERT_EQ(vmmu_read_guest(&self->ctx, at,
							  buf + to, len), 0);
				ASSERT_EQ(memcmp(buf + to, self->page + at,
						 len), 0);
				for (i = 0; i < len; i++)
					buf[to + i] += len + at;
				memcpy(old, self->page, PAGE_SIZE);
				ASSERT_EQ(vmmu_write_guest(&self->ctx, at,
							   buf + to, len), 0);
				memcpy(old + at, buf + to, len);
				ASSERT_EQ(memcmp(old, self->page, PAGE_SIZE),
					  0);
			}
}

TEST_F(access, broken)
{
	unsigned int len, at;
	u64 buf[LONG / 8];

	ASSERT_EQ(mprotect(self->page, PAGE_SIZE, PROT_NONE), 0);
	broken = true;
	for (len = 1; len <= LONG; len++)
		for (at = 0; at < 16; at++)
			ASSERT_EQ(vmmu_read_guest(&self->ctx, at, buf, len),
				  -EHWPOISON);
}

TEST_HARNESS_MAIN
