/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Native order is made out to be big endian on every machine, so that a legacy
 * ring shows each conversion that is missing or done twice.
 */
#ifndef UNIT_LINUX_VIRTIO_BYTEORDER_H
#define UNIT_LINUX_VIRTIO_BYTEORDER_H

#include <endian.h>
#include <linux/types.h>
#include <linux/virtio_types.h>

static inline bool virtio_legacy_is_little_endian(void)
{
	return false;
}

#define UNIT_BYTEORDER(bits)						\
static inline u##bits __virtio##bits##_to_cpu(bool le, __virtio##bits v)	\
{									\
	return le ? le##bits##toh(v) : be##bits##toh(v);		\
}									\
static inline __virtio##bits __cpu_to_virtio##bits(bool le, u##bits v)	\
{									\
	return le ? htole##bits(v) : htobe##bits(v);			\
}

UNIT_BYTEORDER(16)
UNIT_BYTEORDER(32)
UNIT_BYTEORDER(64)

#endif
