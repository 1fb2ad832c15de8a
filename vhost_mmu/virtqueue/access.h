/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two ways to reach ring words, as vmq_access for the split ring parser:
 * through ring maps inside a section, and by user access outside.
 */
#ifndef VHOST_MMU_VMQ_ACCESS_H
#define VHOST_MMU_VMQ_ACCESS_H

#include <linux/uaccess.h>

#include "section.h"

/*
 * In a section the context is the queue's vmq_ring_maps.  Ring words are
 * aligned to two bytes, so none of them straddles pages.
 */
static __always_inline int vmq_kernel_read16(void *ctx, enum vmq_part part,
					     size_t off, __virtio16 *word)
{
	const struct vmq_ring_maps *maps = ctx;

	*word = READ_ONCE(
		*(__virtio16 *)vmq_ring_map_addr(&maps->map[part], off));
	return 0;
}

static __always_inline int vmq_kernel_write16(void *ctx, enum vmq_part part,
					      size_t off, __virtio16 word)
{
	const struct vmq_ring_maps *maps = ctx;

	WRITE_ONCE(*(__virtio16 *)vmq_ring_map_addr(&maps->map[part], off),
		   word);
	return 0;
}

/*
 * Descriptors and used entries do straddle pages, which are contiguous for the
 * owner only: descriptors at an address that is no multiple of 16, and used
 * entry 511 of every page-aligned ring.
 */
static __always_inline int vmq_kernel_read(void *ctx, enum vmq_part part,
					   size_t off, void *dst, size_t len)
{
	const struct vmq_ring_maps *maps = ctx;
	const struct vmq_ring_map *map = &maps->map[part];
	size_t room;

	if (likely(map->base)) {
		memcpy(dst, map->base + off, len);
		goto done;
	}
	room = PAGE_SIZE - offset_in_page(map->offset + off);
	if (likely(len <= room)) {
		memcpy(dst, vmq_ring_map_addr(map, off), len);
	} else {
		memcpy(dst, vmq_ring_map_addr(map, off), room);
		memcpy(dst + room, vmq_ring_map_addr(map, off + room),
		       len - room);
	}
done:
	/* What is checked next is @dst: never read the ring a second time. */
	barrier();
	return 0;
}

static __always_inline int vmq_kernel_write(void *ctx, enum vmq_part part,
					    size_t off, const void *src,
					    size_t len)
{
	const struct vmq_ring_maps *maps = ctx;
	const struct vmq_ring_map *map = &maps->map[part];
	size_t room;

	while (len) {
		room = min_t(size_t, len,
			     PAGE_SIZE - offset_in_page(map->offset + off));
		memcpy(vmq_ring_map_addr(map, off), src, room);
		src += room;
		off += room;
		len -= room;
	}
	return 0;
}

static const struct vmq_access vmq_kernel_access = {
	.read16 = vmq_kernel_read16,
	.write16 = vmq_kernel_write16,
	.read = vmq_kernel_read,
	.write = vmq_kernel_write,
};

/* By user access the context is the queue. */
static __always_inline void __user *
vmq_user_addr(const struct vmq *vmq, enum vmq_part part, size_t off)
{
	switch (part) {
	case VMQ_DESC:
		return (void __user *)vmq->desc + off;
	case VMQ_AVAIL:
		return (void __user *)vmq->avail + off;
	default:
		return (void __user *)vmq->used + off;
	}
}

static __always_inline int vmq_user_read16(void *ctx, enum vmq_part part,
					   size_t off, __virtio16 *word)
{
	__virtio16 __user *p = vmq_user_addr(ctx, part, off);

	return get_user(*word, p);
}

static __always_inline int vmq_user_write16(void *ctx, enum vmq_part part,
					    size_t off, __virtio16 word)
{
	__virtio16 __user *p = vmq_user_addr(ctx, part, off);

	return put_user(word, p);
}

static __always_inline int vmq_user_read(void *ctx, enum vmq_part part,
					 size_t off, void *dst, size_t len)
{
	return copy_from_user(dst, vmq_user_addr(ctx, part, off), len) ?
		-EFAULT : 0;
}

static __always_inline int vmq_user_write(void *ctx, enum vmq_part part,
					  size_t off, const void *src,
					  size_t len)
{
	return copy_to_user(vmq_user_addr(ctx, part, off), src, len) ?
		-EFAULT : 0;
}

static const struct vmq_access __maybe_unused vmq_user_access = {
	.read16 = vmq_user_read16,
	.write16 = vmq_user_write16,
	.read = vmq_user_read,
	.write = vmq_user_write,
};

/*
 * Run a parser function in a section if the maps allow, else by user access.
 * The function is expanded twice, once for each.
 */
#define vmq_with_access(vmq, fn, ...)                                     \
	({                                                                \
		struct vmq *__vmq = (vmq);                                \
		typeof(fn(__VA_ARGS__, &vmq_user_access, __vmq)) __ret;   \
		if (likely(vmq_section_begin(__vmq))) {                   \
			__ret = fn(__VA_ARGS__, &vmq_kernel_access,       \
				   __vmq->maps);                          \
			vmq_section_end(__vmq);                           \
		} else {                                                  \
			__vmq->stats.user_ops++;                          \
			__ret = fn(__VA_ARGS__, &vmq_user_access, __vmq); \
		}                                                         \
		__ret;                                                    \
	})

#endif /* VHOST_MMU_VMQ_ACCESS_H */
