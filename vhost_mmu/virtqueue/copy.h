/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copying out of guest memory and into it, through its kernel address.  A
 * memory error there is an error of the copy and not the end of the host.
 */
#ifndef VHOST_MMU_COPY_H
#define VHOST_MMU_COPY_H

#include <linux/types.h>
#include <linux/uaccess.h>

#include "../space/load_mc.h"

/* From this length on what a string instruction costs to start is small. */
#define VMQ_COPY_SHORT	256

/* One load that may meet a memory error, and the store that goes with it. */
#define vmq_copy_one(type, insn, dst, src, failed)			\
do {									\
	type __word;							\
									\
	vmmu_load_mc(__word, insn, src, failed);			\
	*(type *)(dst) = __word;					\
} while (0)

/**
 * vmq_copy_mc() - copy out of guest memory
 * @to: private memory
 * @from: kernel address of guest memory
 * @len: bytes, within the page of @from
 *
 * Short copies are done word by word: copy_mc_to_kernel() takes a string
 * instruction on most machines, which costs more to start than a small packet.
 * On some older Xeons, and with mce=recovery, it takes a loop of 8-byte loads
 * instead, as a memory error under a string instruction may be fatal there.
 * Which machines these are the kernel tells no module, and they would need a
 * loop here, too.
 *
 * Context: in a section.
 * Return: 0, or another value if the memory is broken.
 */
static __always_inline unsigned long vmq_copy_mc(void *to, const void *from,
						 size_t len)
{
	if (len >= VMQ_COPY_SHORT)
		return copy_mc_to_kernel(to, from, len);

	for (; len >= 32; to += 32, from += 32, len -= 32) {
		vmq_copy_one(u64, "movq", to, from, failed);
		vmq_copy_one(u64, "movq", to + 8, from + 8, failed);
		vmq_copy_one(u64, "movq", to + 16, from + 16, failed);
		vmq_copy_one(u64, "movq", to + 24, from + 24, failed);
	}
	for (; len >= 8; to += 8, from += 8, len -= 8)
		vmq_copy_one(u64, "movq", to, from, failed);
	if (len & 4) {
		vmq_copy_one(u32, "movl", to, from, failed);
		to += 4;
		from += 4;
	}
	if (len & 2) {
		vmq_copy_one(u16, "movw", to, from, failed);
		to += 2;
		from += 2;
	}
	if (len & 1)
		vmq_copy_one(u8, "movb", to, from, failed);
	return 0;
failed:
	return len;
}

/* One load and the store that goes with it; not to be made a memcpy() again. */
#define vmq_copy_word(type, dst, src) \
	(*(type *)(dst) = READ_ONCE(*(const type *)(src)))

/**
 * vmq_copy_to() - copy into guest memory
 * @to: kernel address of guest memory
 * @from: private memory
 * @len: bytes, within the page of @to
 *
 * Context: in a section.
 */
static __always_inline void vmq_copy_to(void *to, const void *from, size_t len)
{
	if (len >= VMQ_COPY_SHORT) {
		memcpy(to, from, len);
		return;
	}

	for (; len >= 32; to += 32, from += 32, len -= 32) {
		vmq_copy_word(u64, to, from);
		vmq_copy_word(u64, to + 8, from + 8);
		vmq_copy_word(u64, to + 16, from + 16);
		vmq_copy_word(u64, to + 24, from + 24);
	}
	for (; len >= 8; to += 8, from += 8, len -= 8)
		vmq_copy_word(u64, to, from);
	if (len & 4) {
		vmq_copy_word(u32, to, from);
		to += 4;
		from += 4;
	}
	if (len & 2) {
		vmq_copy_word(u16, to, from);
		to += 2;
		from += 2;
	}
	if (len & 1)
		vmq_copy_word(u8, to, from);
}

#endif /* VHOST_MMU_COPY_H */
