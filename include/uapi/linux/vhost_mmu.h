/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/vhost-mmu: a second-stage MMU for the caller's own memory, and what it
 * adds to the vhost interface.
 */
#ifndef _UAPI_LINUX_VHOST_MMU_H
#define _UAPI_LINUX_VHOST_MMU_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: General rules
 *
 * Whoever opens /dev/vhost-mmu gets an MMU: memslots, which map guest physical
 * addresses (GPA) to addresses of the opener (HVA), and tables, which map guest
 * pages to pages of memory.  Faults fill the tables and the MMU notifier
 * empties them; no page is ever pinned.  The first command makes the MMU, and
 * gives -EMFILE if the address space has vmmu_get_info::max_mmus of them.  An MMU
 * goes with the last of its files, its readers' and the devices attached to it.
 *
 * Every structure starts with its size, as the caller knows it, and its flags.
 * The kernel refuses a structure that is shorter than its first version, longer
 * than a page of 4 KiB, or has anything but zero behind the fields that the
 * kernel knows.  Reserved fields must be zero.  The kernel writes fields
 * described as output on success, and length fields that count down whenever it
 * has accepted the structure.
 *
 * DOC: Errors
 *
 * Common to all commands:
 *
 * ============ ==============================================================
 * -ENOTTY      unknown command
 * -EINVAL      the structure is too short, or an argument is out of range, not
 *              aligned, or does not go with another
 * -E2BIG       the structure is longer than the kernel's, and not zero behind,
 *              or longer than a page
 * -EOPNOTSUPP  a flag or an option is unknown, or a reserved field is not zero
 * -EFAULT      the structure, or a buffer it points to, cannot be accessed
 * -EIO         the caller's address space is not the opener's
 * -ENOMEM      out of memory
 * -EINTR       a signal arrived first
 * ============ ==============================================================
 *
 * For a guest address:
 *
 * ============ ==============================================================
 * -ENOENT      no memslot there
 * -EAGAIN      its memslot is being deleted or moved
 * -EROFS       a write into a read-only memslot
 * -EFAULT      the memory behind it cannot be faulted in
 * -EHWPOISON   the memory behind it is known to be broken
 * -ENOSPC      the dirty ring is full: harvest and reset it, then retry
 * -ENXIO       dirty rings are in use, and the caller does not use a reader
 * ============ ==============================================================
 */
#define VMMU_IOCTL_TYPE 0xBC

enum {
	VMMU_CMD_GET_INFO = 0x00,
	VMMU_CMD_SET_OPTIONS = 0x01,
	VMMU_CMD_SET_MEMSLOT = 0x02,
	VMMU_CMD_POPULATE = 0x03,
	VMMU_CMD_TRANSLATE = 0x04,
	VMMU_CMD_READ = 0x05,
	VMMU_CMD_WRITE = 0x06,
	VMMU_CMD_GET_DIRTY_LOG = 0x07,
	VMMU_CMD_CLEAR_DIRTY_LOG = 0x08,
	VMMU_CMD_CREATE_READER = 0x09,
	VMMU_CMD_RESET_DIRTY_RINGS = 0x0a,
	VMMU_CMD_AGE = 0x0b,
	VMMU_CMD_GET_STATS_FD = 0x0c,
};

/**
 * struct vmmu_get_info - ioctl(VMMU_GET_INFO)
 * @size: sizeof(struct vmmu_get_info)
 * @flags: must be 0
 * @commands: output: bit n is set if this kernel has command number n
 * @reader_commands: output: those of @commands that a reader's file takes
 * @options: output: VMMU_OPTION_* that VMMU_SET_OPTIONS knows
 * @page_sizes: output: bit n is set if an entry can map 2^n bytes
 * @max_slot_pages: output: largest memslot, in pages of 4 KiB
 * @memslot_flags: output: flags that VMMU_SET_MEMSLOT knows
 * @populate_flags: output: flags that VMMU_POPULATE knows
 * @translate_flags: output: flags that VMMU_TRANSLATE knows
 * @age_flags: output: flags that VMMU_AGE knows
 * @max_slots: output: slot numbers are below this
 * @gpa_bits: output: number of bits of a guest physical address
 * @min_ring_entries: output: smallest dirty ring
 * @max_ring_entries: output: largest dirty ring
 * @ring_reserve: output: entries of a dirty ring that writes do not fill
 * @max_mmus: output: MMUs of files that one address space may have
 * @max_readers: output: readers that one MMU may have
 * @max_struct_size: output: longest structure that is looked at, in bytes
 *
 * What this kernel offers.  A field that it does not know stays 0, as the caller
 * set it: a mask without bits, or no limit.
 */
struct vmmu_get_info {
	__u32 size;
	__u32 flags;
	__aligned_u64 commands;
	__aligned_u64 reader_commands;
	__aligned_u64 options;
	__aligned_u64 page_sizes;
	__aligned_u64 max_slot_pages;
	__u32 memslot_flags;
	__u32 populate_flags;
	__u32 translate_flags;
	__u32 age_flags;
	__u32 max_slots;
	__u32 gpa_bits;
	__u32 min_ring_entries;
	__u32 max_ring_entries;
	__u32 ring_reserve;
	__u32 max_mmus;
	__u32 max_readers;
	__u32 max_struct_size;
};

#define VMMU_GET_INFO _IO(VMMU_IOCTL_TYPE, VMMU_CMD_GET_INFO)

/*
 * VMMU_GET_DIRTY_LOG leaves the dirty pages writable; VMMU_CLEAR_DIRTY_LOG
 * makes the pages clean that its caller names.
 */
#define VMMU_OPTION_MANUAL_PROTECT	(1ULL << 0)
/*
 * All pages of a memslot are dirty when its log is turned on, and a huge entry
 * is split when a page of it is first cleared.  Needs MANUAL_PROTECT.
 */
#define VMMU_OPTION_INITIALLY_SET	(1ULL << 1)
/* The first write to a huge entry splits it; nothing splits it beforehand. */
#define VMMU_OPTION_LAZY_SPLIT		(1ULL << 2)

/**
 * struct vmmu_set_options - ioctl(VMMU_SET_OPTIONS)
 * @size: sizeof(struct vmmu_set_options)
 * @flags: must be 0
 * @options: VMMU_OPTION_*
 * @ring_entries: 0 for dirty bitmaps; else the size of the dirty ring that each
 *	reader gets instead: a power of two between
 *	vmmu_get_info::min_ring_entries (32) and ::max_ring_entries
 * @__reserved: must be 0
 *
 * Set how dirty pages are reported.  -EBUSY once there is a memslot or a
 * reader.
 */
struct vmmu_set_options {
	__u32 size;
	__u32 flags;
	__aligned_u64 options;
	__u32 ring_entries;
	__u32 __reserved;
};

#define VMMU_SET_OPTIONS _IO(VMMU_IOCTL_TYPE, VMMU_CMD_SET_OPTIONS)

/* Record which pages of the memslot are written. */
#define VMMU_MEM_LOG_DIRTY_PAGES	(1U << 0)
/* Writes fail. */
#define VMMU_MEM_READONLY		(1U << 1)

/**
 * struct vmmu_set_memslot - ioctl(VMMU_SET_MEMSLOT)
 * @size: sizeof(struct vmmu_set_memslot)
 * @flags: VMMU_MEM_*
 * @slot: number of the memslot, below vmmu_get_info::max_slots
 * @__reserved: must be 0
 * @guest_phys_addr: first GPA, page aligned
 * @memory_size: in bytes, page aligned; 0 deletes the memslot
 * @userspace_addr: HVA of @guest_phys_addr, page aligned
 *
 * Create, delete, move (another @guest_phys_addr) or change
 * VMMU_MEM_LOG_DIRTY_PAGES of a memslot, with the rules and errors of
 * KVM_SET_USER_MEMORY_REGION: -EEXIST if the GPA range overlaps another
 * memslot's, -EINVAL for a change of size, HVA or VMMU_MEM_READONLY of an
 * existing one, and for the deletion of none.  -EOPNOTSUPP for
 * VMMU_MEM_LOG_DIRTY_PAGES while a device is attached, see VHOST_MMU_ATTACH.
 */
struct vmmu_set_memslot {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 __reserved;
	__aligned_u64 guest_phys_addr;
	__aligned_u64 memory_size;
	__aligned_u64 userspace_addr;
};

#define VMMU_SET_MEMSLOT _IO(VMMU_IOCTL_TYPE, VMMU_CMD_SET_MEMSLOT)

/* The caller is going to write the pages, which counts for the dirty log. */
#define VMMU_POPULATE_WRITE	(1U << 0)

/**
 * struct vmmu_populate - ioctl(VMMU_POPULATE)
 * @size: sizeof(struct vmmu_populate)
 * @flags: VMMU_POPULATE_*
 * @gpa: first address, page aligned; advances with progress
 * @length: in bytes, page aligned, not 0; counts down
 *
 * Fault pages in, as KVM_PRE_FAULT_MEMORY does: 0 is returned if at least one
 * page was mapped, so a caller repeats until @length is 0 or an error says why
 * the page at @gpa cannot be mapped.
 */
struct vmmu_populate {
	__u32 size;
	__u32 flags;
	__aligned_u64 gpa;
	__aligned_u64 length;
};

#define VMMU_POPULATE _IO(VMMU_IOCTL_TYPE, VMMU_CMD_POPULATE)

/* Fault the page in first. */
#define VMMU_TRANSLATE_FAULT	(1U << 0)
/* ... for writing, which counts for the dirty log.  Needs FAULT. */
#define VMMU_TRANSLATE_WRITE	(1U << 1)

#define VMMU_PERM_READ		(1U << 0)
#define VMMU_PERM_WRITE		(1U << 1)

/* The page is reached by kernel address; without this bit, by user access. */
#define VMMU_STATE_DIRECT	(1U << 0)
/* The page was used since it was last aged. */
#define VMMU_STATE_YOUNG	(1U << 1)
/* The page was written since it was mapped. */
#define VMMU_STATE_DIRTY	(1U << 2)

/**
 * struct vmmu_translate - ioctl(VMMU_TRANSLATE)
 * @size: sizeof(struct vmmu_translate)
 * @flags: VMMU_TRANSLATE_*
 * @gpa: the address
 * @hva: output: the opener's address, by the memslot
 * @slot: output: the memslot
 * @perms: output: VMMU_PERM_* of the entry, 0 if the page is not mapped
 * @page_shift: output: 12, 21 or 30 by the size of the entry, 0 if there is
 *	none
 * @state: output: VMMU_STATE_* of the entry
 *
 * Tell how an address is mapped now.  Physical addresses are not shown.
 */
struct vmmu_translate {
	__u32 size;
	__u32 flags;
	__aligned_u64 gpa;
	__aligned_u64 hva;
	__u32 slot;
	__u32 perms;
	__u32 page_shift;
	__u32 state;
};

#define VMMU_TRANSLATE _IO(VMMU_IOCTL_TYPE, VMMU_CMD_TRANSLATE)

/**
 * struct vmmu_access - ioctl(VMMU_READ), ioctl(VMMU_WRITE)
 * @size: sizeof(struct vmmu_access)
 * @flags: must be 0
 * @gpa: first guest address; advances with progress
 * @length: bytes; counts down
 * @data: address of the caller's buffer; advances with progress
 *
 * Copy between the caller's buffer and guest memory through the tables, taking
 * faults where pages are missing.  The kernel reaches memory that the tables
 * cannot map by user access.  0 means that everything was copied; after an
 * error the fields say how far the copy went.
 */
struct vmmu_access {
	__u32 size;
	__u32 flags;
	__aligned_u64 gpa;
	__aligned_u64 length;
	__aligned_u64 data;
};

#define VMMU_READ _IO(VMMU_IOCTL_TYPE, VMMU_CMD_READ)
#define VMMU_WRITE _IO(VMMU_IOCTL_TYPE, VMMU_CMD_WRITE)

/**
 * struct vmmu_dirty_log - ioctl(VMMU_GET_DIRTY_LOG), ioctl(VMMU_CLEAR_DIRTY_LOG)
 * @size: sizeof(struct vmmu_dirty_log)
 * @flags: must be 0
 * @slot: the memslot
 * @__reserved: must be 0
 * @first_page: CLEAR: first page, a multiple of 64; GET: must be 0
 * @num_pages: CLEAR: a multiple of 64 unless it reaches the end of the memslot;
 *	GET: must be 0
 * @bitmap: address of the bitmap, one bit a page, in words of 64 bits; a whole
 *	memslot for GET, from @first_page on for CLEAR
 *
 * GET copies the bitmap of written pages to the caller and, without
 * VMMU_OPTION_MANUAL_PROTECT, makes the pages clean; CLEAR makes the pages
 * clean whose bits are set in @bitmap.  -ENOENT: no such memslot, or it has no
 * log.  -ENXIO: dirty rings are in use.
 */
struct vmmu_dirty_log {
	__u32 size;
	__u32 flags;
	__u32 slot;
	__u32 __reserved;
	__aligned_u64 first_page;
	__aligned_u64 num_pages;
	__aligned_u64 bitmap;
};

#define VMMU_GET_DIRTY_LOG _IO(VMMU_IOCTL_TYPE, VMMU_CMD_GET_DIRTY_LOG)
#define VMMU_CLEAR_DIRTY_LOG _IO(VMMU_IOCTL_TYPE, VMMU_CMD_CLEAR_DIRTY_LOG)

/**
 * struct vmmu_create_reader - ioctl(VMMU_CREATE_READER)
 * @size: sizeof(struct vmmu_create_reader)
 * @flags: must be 0
 * @out_fd: output: file descriptor of the reader
 * @__reserved: must be 0
 *
 * A reader is to the MMU what a vCPU is to KVM.  Its file takes VMMU_POPULATE,
 * VMMU_TRANSLATE, VMMU_READ and VMMU_WRITE; mmap() of it at offset 0 gives its
 * dirty ring, if rings were asked for: vmmu_set_options::ring_entries times
 * struct vmmu_dirty_gfn.
 *
 * -EMFILE if the MMU has vmmu_get_info::max_readers, or the caller too many files.
 *
 * The ring is full, and writes get -ENOSPC, when all of its entries but
 * vmmu_get_info::ring_reserve (8) are in use.  These are for writes that were
 * let through before that; so all of them may turn out to be in use.
 */
struct vmmu_create_reader {
	__u32 size;
	__u32 flags;
	__s32 out_fd;
	__u32 __reserved;
};

#define VMMU_CREATE_READER _IO(VMMU_IOCTL_TYPE, VMMU_CMD_CREATE_READER)

/* Written by the kernel last, when the entry is complete. */
#define VMMU_DIRTY_GFN_F_DIRTY	(1U << 0)
/* User space sets it, with release semantics, having harvested the entry. */
#define VMMU_DIRTY_GFN_F_RESET	(1U << 1)

/**
 * struct vmmu_dirty_gfn - entry of a dirty ring
 * @flags: 0 if empty, VMMU_DIRTY_GFN_F_DIRTY if full, VMMU_DIRTY_GFN_F_RESET if
 *	harvested
 * @slot: memslot
 * @offset: page within the memslot
 */
struct vmmu_dirty_gfn {
	__u32 flags;
	__u32 slot;
	__aligned_u64 offset;
};

/**
 * struct vmmu_reset_dirty_rings - ioctl(VMMU_RESET_DIRTY_RINGS)
 * @size: sizeof(struct vmmu_reset_dirty_rings)
 * @flags: must be 0
 * @count: output: entries that were reset, of all readers
 * @__reserved: must be 0
 *
 * Make the pages of all entries clean that user space has harvested, and the
 * entries empty.  -ENXIO without dirty rings.
 */
struct vmmu_reset_dirty_rings {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 __reserved;
};

#define VMMU_RESET_DIRTY_RINGS _IO(VMMU_IOCTL_TYPE, VMMU_CMD_RESET_DIRTY_RINGS)

/* Forget that the pages were used. */
#define VMMU_AGE_CLEAR	(1U << 0)

/**
 * struct vmmu_age - ioctl(VMMU_AGE)
 * @size: sizeof(struct vmmu_age)
 * @flags: VMMU_AGE_*
 * @gpa: first address, page aligned
 * @length: in bytes, page aligned, not 0
 * @bitmap: address of a bitmap with a bit a page, in words of 64 bits, for the
 *	pages that were used; or 0
 * @young: output: pages of 4 KiB in the range that were used; a huge entry
 *	counts with all of its pages in the range
 *
 * Tell which pages were used through the tables since they were last aged.
 * Parts of the range without a memslot count as unused.
 */
struct vmmu_age {
	__u32 size;
	__u32 flags;
	__aligned_u64 gpa;
	__aligned_u64 length;
	__aligned_u64 bitmap;
	__aligned_u64 young;
};

#define VMMU_AGE _IO(VMMU_IOCTL_TYPE, VMMU_CMD_AGE)

/**
 * struct vmmu_get_stats_fd - ioctl(VMMU_GET_STATS_FD)
 * @size: sizeof(struct vmmu_get_stats_fd)
 * @flags: must be 0
 * @out_fd: output: a file in the layout of KVM's binary statistics
 * @__reserved: must be 0
 *
 * See struct kvm_stats_header and struct kvm_stats_desc in <linux/kvm.h>.  The
 * id is "vhost-mmu-", the opener's process number, "-" and the MMU's number.
 *
 * Find a statistic by its name, as their order and number may change.  These
 * names keep their meaning:
 *
 * ==================== ======================================================
 * pages_4k, pages_2m,  entries that map a page of this size now
 * pages_1g
 * table_pages          pages of tables now, the root included
 * table_pages_peak     the most there were
 * memslots             memslots now
 * readers              readers now
 * pf_taken             entries that a fault was taken for
 * pf_fixed             ... and that it installed
 * pf_fast              ... made writable without looking the page up
 * pf_spurious          ... that were there already
 * pf_retried           ... refused by an invalidation, or lost to another fault
 * pf_failed            ... for which there is no page
 * notifier_starts      invalidations that the address space saw
 * invalidations        those that hit a memslot
 * pages_zapped         guest pages unmapped, in units of 4 KiB
 * splits               huge entries split
 * collapses            tables removed so that a huge entry can take their place
 * dirty_pages          pages entered into a dirty log or ring
 * ring_full            writes refused because a dirty ring was full
 * bytes_direct         bytes copied through kernel addresses
 * bytes_user           bytes copied by user access instead
 * ==================== ======================================================
 *
 * All others are for the developers of the kernel, and may go.
 */
struct vmmu_get_stats_fd {
	__u32 size;
	__u32 flags;
	__s32 out_fd;
	__u32 __reserved;
};

#define VMMU_GET_STATS_FD _IO(VMMU_IOCTL_TYPE, VMMU_CMD_GET_STATS_FD)

/**
 * struct vhost_mmu_attach - ioctl(VHOST_MMU_ATTACH) on a vhost device
 * @size: sizeof(struct vhost_mmu_attach)
 * @flags: must be 0; -EOPNOTSUPP otherwise
 * @fd: an MMU of the device's owner, or -1 to give it up
 * @__reserved: must be 0
 *
 * Make the device use the memslots and tables of an MMU.  VHOST_SET_MEM_TABLE
 * is refused with -EBUSY meanwhile; after fd -1 the device has the memory table
 * that was set before, or none.  -EPERM: the caller does not own the device;
 * -EBADF: not a file; -EINVAL: not an MMU; -EIO: another process's MMU; -EBUSY:
 * a queue of the device is running; -EOPNOTSUPP: a memslot has
 * VMMU_MEM_LOG_DIRTY_PAGES; -EMFILE: 256 devices are attached.  -EINVAL and -E2BIG
 * also tell of @size.
 *
 * No dirty log sees all that a device writes.  So while one is attached,
 * VMMU_SET_MEMSLOT refuses VMMU_MEM_LOG_DIRTY_PAGES with -EOPNOTSUPP.
 */
struct vhost_mmu_attach {
	__u32 size;
	__u32 flags;
	__s32 fd;
	__u32 __reserved;
};

/* 0xAF is VHOST_VIRTIO of <linux/vhost.h>. */
#define VHOST_MMU_ATTACH _IO(0xAF, 0xE0)

/* The device has no MMU: its memory table is not set, or none fits it. */
#define VHOST_MMU_KIND_NONE	0
/* The MMU is made from the memory table; devices with equal ones share it. */
#define VHOST_MMU_KIND_TABLE	1
/* The device is attached to an MMU of /dev/vhost-mmu. */
#define VHOST_MMU_KIND_ATTACHED	2

/**
 * struct vhost_mmu_get_attached - ioctl(VHOST_MMU_GET_ATTACHED) on a device
 * @size: sizeof(struct vhost_mmu_get_attached)
 * @flags: must be 0; -EOPNOTSUPP otherwise
 * @kind: output: VHOST_MMU_KIND_*
 * @mmu: output: number of the MMU, which ends the name that its statistics have;
 *	0 if there is none
 * @attach_flags: output: flags that VHOST_MMU_ATTACH knows
 *
 * Tell which MMU a device goes by.  -EPERM: the caller does not own the device.
 */
struct vhost_mmu_get_attached {
	__u32 size;
	__u32 flags;
	__u32 kind;
	__u32 mmu;
	__aligned_u64 attach_flags;
};

#define VHOST_MMU_GET_ATTACHED _IO(0xAF, 0xE1)

#endif /* _UAPI_LINUX_VHOST_MMU_H */
