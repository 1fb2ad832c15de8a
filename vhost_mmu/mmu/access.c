// SPDX-License-Identifier: GPL-2.0
/*
 * Reading and writing guest memory through the tables, and by user access where
 * nothing is mapped.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "../space/load_mc.h"
#include "access.h"
#include "dirty_log.h"
#include "fault.h"
#include "pt_lookup.h"

/* A word that lies naturally is moved whole: others may use it as an atomic. */
static bool is_word(const void *to, const void *from, unsigned int len)
{
	return len <= 8 && is_power_of_2(len) &&
	       IS_ALIGNED((unsigned long)to | (unsigned long)from, len);
}

#define read_word(type, insn, to, from, failed)				\
do {									\
	type __word;							\
									\
	vmmu_load_mc(__word, insn, from, failed);			\
	*(type *)(to) = __word;						\
} while (0)

/* A memory error ends the read, and not the host. */
static int read_page(void *to, const void *from, unsigned int len)
{
	if (!is_word(to, from, len))
		return copy_mc_to_kernel(to, from, len) ? -EHWPOISON : 0;

	switch (len) {
	case 8:
		read_word(u64, "movq", to, from, failed);
		break;
	case 4:
		read_word(u32, "movl", to, from, failed);
		break;
	case 2:
		read_word(u16, "movw", to, from, failed);
		break;
	default:
		read_word(u8, "movb", to, from, failed);
		break;
	}
	return 0;
failed:
	return -EHWPOISON;
}

static void write_page(void *to, const void *from, unsigned int len)
{
	if (!is_word(to, from, len)) {
		memcpy(to, from, len);
		return;
	}

	switch (len) {
	case 8:
		WRITE_ONCE(*(u64 *)to, *(const u64 *)from);
		break;
	case 4:
		WRITE_ONCE(*(u32 *)to, *(const u32 *)from);
		break;
	case 2:
		WRITE_ONCE(*(u16 *)to, *(const u16 *)from);
		break;
	default:
		WRITE_ONCE(*(u8 *)to, *(const u8 *)from);
		break;
	}
}

/* 0, -EHWPOISON, or 1 if a fault is needed. */
static int access_direct(struct vmmu *mmu, u64 gpa, void *buf, unsigned int len,
			 bool write)
{
	u64 gfn = gpa >> PAGE_SHIFT;
	struct vmmu_leaf leaf;
	void *guest;
	int ret = 1;

	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	if (vmmu_lookup(mmu, gfn, write, &leaf)) {
		guest = vmmu_leaf_page(&leaf, gfn) + offset_in_page(gpa);
		ret = 0;
		if (write)
			write_page(guest, buf, len);
		else
			ret = read_page(buf, guest, len);
	}
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);

	if (!ret)
		atomic64_add(len, &mmu->stats.bytes_direct);
	return ret;
}

#define user_word(type, user, buf, write)				\
	((write) ? put_user(*(type *)(buf), (type __user *)(user)) :	\
		   get_user(*(type *)(buf), (type __user *)(user)))

/* Words are moved whole here as well; device memory may insist on it. */
static int copy_user(void __user *user, void *buf, unsigned int len, bool write)
{
	unsigned long left;

	if (IS_ALIGNED((unsigned long)user | (unsigned long)buf, len)) {
		switch (len) {
		case 8:
			return user_word(u64, user, buf, write);
		case 4:
			return user_word(u32, user, buf, write);
		case 2:
			return user_word(u16, user, buf, write);
		case 1:
			return user_word(u8, user, buf, write);
		}
	}

	left = write ? copy_to_user(user, buf, len) :
		       copy_from_user(buf, user, len);
	return left ? -EFAULT : 0;
}

static int access_user_slot(struct vmmu_context *ctx, u64 gpa, void *buf,
			    unsigned int len, bool write)
{
	struct vmmu_memslot *slot;
	void __user *user;
	int ret;

	lockdep_assert(srcu_read_lock_held(&ctx->mmu->srcu));

	slot = vmmu_slot_by_gpa(vmmu_slots(ctx->mmu), gpa);
	if (!slot || gpa - slot->gpa + len > slot->size)
		return -ENOENT;
	if (write && slot->flags & VMMU_MEM_READONLY)
		return -EROFS;
	if (write) {
		ret = vmmu_log_room(ctx, slot);
		if (ret)
			return ret;
	}

	user = (void __user *)(slot->hva + (gpa - slot->gpa));
	ret = copy_user(user, buf, len, write);
	if (ret)
		return ret;
	atomic64_add(len, &ctx->mmu->stats.bytes_user);

	/* After the write: whoever takes the bit sees what was written. */
	if (write && vmmu_slot_logs(slot) &&
	    vmmu_slot_maps(slot, gpa >> PAGE_SHIFT))
		return vmmu_log_page(ctx, slot, gpa >> PAGE_SHIFT, true);
	return 0;
}

static int access_user(struct vmmu_context *ctx, u64 gpa, void *buf,
		       unsigned int len, bool write)
{
	struct vmmu *mmu = ctx->mmu;
	int idx = srcu_read_lock(&mmu->srcu);
	int ret = access_user_slot(ctx, gpa, buf, len, write);

	srcu_read_unlock(&mmu->srcu, idx);
	return ret;
}

static int access_guest(struct vmmu_context *ctx, u64 gpa, void *buf,
			unsigned int len, bool write)
{
	unsigned int tries;
	bool user;
	long ret;

	for (tries = 0;; tries++) {
		ret = access_direct(ctx->mmu, gpa, buf, len, write);
		if (ret <= 0)
			return ret;

		ret = vmmu_fault(ctx, gpa >> PAGE_SHIFT, 1, write, &user);
		if (user && (ret > 0 || ret == -EFAULT))
			return access_user(ctx, gpa, buf, len, write);
		if (ret < 0 && ret != VMMU_FAULT_RETRY)
			return ret;
		ret = vmmu_fault_pause(ctx, tries);
		if (ret)
			return ret;
	}
}

/**
 * vmmu_read_guest() - read guest memory
 * @ctx: the context
 * @gpa: guest address
 * @to: where to
 * @len: bytes, not beyond the guest page of @gpa
 *
 * Context: process context with the owner's mm, no lock held; may sleep.
 * Return: 0, or an error as of vmmu_fault(), but never VMMU_FAULT_RETRY.
 */
int vmmu_read_guest(struct vmmu_context *ctx, u64 gpa, void *to,
		    unsigned int len)
{
	return access_guest(ctx, gpa, to, len, false);
}

/**
 * vmmu_write_guest() - write guest memory
 * @ctx: the context
 * @gpa: guest address
 * @from: what
 * @len: bytes, not beyond the guest page of @gpa
 *
 * Context: process context with the owner's mm, no lock held; may sleep.
 * Return: 0, or an error as of vmmu_fault(), but never VMMU_FAULT_RETRY.
 */
int vmmu_write_guest(struct vmmu_context *ctx, u64 gpa, const void *from,
		     unsigned int len)
{
	return access_guest(ctx, gpa, (void *)from, len, true);
}

static int translate_slot(struct vmmu *mmu, struct vmmu_translate *args)
{
	struct vmmu_memslot *slot;
	int idx, ret = -ENOENT;

	idx = srcu_read_lock(&mmu->srcu);
	slot = vmmu_slot_by_gpa(vmmu_slots(mmu), args->gpa);
	if (slot) {
		args->slot = slot->id;
		args->hva = slot->hva + (args->gpa - slot->gpa);
		ret = 0;
	}
	srcu_read_unlock(&mmu->srcu, idx);
	return ret;
}

static void translate_leaf(struct vmmu *mmu, struct vmmu_translate *args)
{
	struct vmmu_leaf leaf;
	bool mapped;

	args->perms = 0;
	args->page_shift = 0;
	args->state = 0;

	read_lock(&mmu->mmu_lock);
	rcu_read_lock();
	mapped = args->gpa >> PAGE_SHIFT <= VMMU_MAX_GFN &&
		 vmmu_walk(mmu, args->gpa >> PAGE_SHIFT, &leaf);
	rcu_read_unlock();
	read_unlock(&mmu->mmu_lock);
	if (!mapped)
		return;

	args->page_shift = vmmu_level_shift(leaf.level);
	args->perms = VMMU_PERM_READ;
	if (leaf.pte & VMMU_PTE_WRITE)
		args->perms |= VMMU_PERM_WRITE;
	if (leaf.pte & VMMU_PTE_DIRECT)
		args->state |= VMMU_STATE_DIRECT;
	if (leaf.pte & VMMU_PTE_ACCESSED)
		args->state |= VMMU_STATE_YOUNG;
	if (leaf.pte & VMMU_PTE_DIRTY)
		args->state |= VMMU_STATE_DIRTY;
}

/**
 * vmmu_translate() - VMMU_TRANSLATE
 * @ctx: the context
 * @args: as the ioctl has it; size and flags were checked
 *
 * Context: process context with the owner's mm, no lock held; may sleep.
 * Return: 0, -ENOENT, or with VMMU_TRANSLATE_FAULT an error as of vmmu_fault(),
 *	but never VMMU_FAULT_RETRY.
 */
int vmmu_translate(struct vmmu_context *ctx, struct vmmu_translate *args)
{
	long ret;

	if (args->flags & VMMU_TRANSLATE_FAULT) {
		ret = vmmu_populate(ctx, args->gpa & PAGE_MASK, PAGE_SIZE,
				    args->flags & VMMU_TRANSLATE_WRITE);
		if (ret < 0)
			return ret;
	}

	ret = translate_slot(ctx->mmu, args);
	if (!ret)
		translate_leaf(ctx->mmu, args);
	return ret;
}
