/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets that vbench sends: every one carries a number.
 */
#ifndef VBENCH_FRAME_H
#define VBENCH_FRAME_H

#include <linux/if_ether.h>
#include <stddef.h>
#include <stdint.h>

/* A plain one: Ethernet, the number, then whatever is in the buffer. */
#define FRAME_HDRS	ETH_HLEN
#define FRAME_MIN_SIZE	(FRAME_HDRS + (int)sizeof(uint64_t))
#define FRAME_MAX_SIZE	1514

/*
 * A large one: Ethernet, IPv4 and TCP with timestamps, as Linux makes them of a
 * stream.  The number stands at the beginning and at the end of the data.
 */
#define GSO_HDRS	66
#define GSO_SEGMENT	1448
#define GSO_MIN_SIZE	(GSO_HDRS + 2 * GSO_SEGMENT)
#define GSO_MAX_SIZE	(ETH_HLEN + 65535)
/* As many whole segments as IP can take. */
#define GSO_SIZE	(GSO_HDRS + 45 * GSO_SEGMENT)

void frame_plain(uint8_t *frame, uint64_t seq);
/* Write the virtio header (10 bytes: without the number of buffers) and those of the frame. */
void frame_gso_headers(void *virtio, uint8_t *frame, size_t size);
void frame_gso_seq(uint8_t *data, size_t size, uint64_t seq);

#endif
