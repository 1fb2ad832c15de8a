/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tap as packets are received from it: what was taken from its pointer
 * ring, and what is known of how it would deliver them.
 */
#ifndef VHOST_MMU_TAP_H
#define VHOST_MMU_TAP_H

#include <linux/types.h>

struct net_device;
struct ptr_ring;
struct socket;

/* Packets that come from the pointer ring at a time */
#define VMNET_RXBUF_SIZE 64

/**
 * struct vmnet_tap - what a packet through the socket told of a tap
 * @known: its device is known, see @dev
 * @left: packets to go past the socket before the next goes through it
 * @hlen: header bytes that it writes, VMNET_HLEN_UNKNOWN if none was seen to
 * @dev: device whose counters the reader of a packet keeps, NULL for a tap that
 *	keeps none; it may be gone
 * @dev_id: vmnet_tun_dev_id() of @dev while it is there
 */
struct vmnet_tap {
	bool known;
	unsigned int left;
	size_t hlen;
	struct net_device *dev;
	u64 dev_id;
};

#define VMNET_HLEN_UNKNOWN SIZE_MAX

/**
 * struct vmnet_rxbuf - packets taken from the tap and not yet delivered
 * @ring: pointer ring of the tap, NULL for a socket that has none
 * @tap: what was seen of the tap
 * @head: next packet of @queue
 * @tail: end of the packets in @queue
 * @queue: what ptr_ring holds, see tun_is_xdp_frame()
 */
struct vmnet_rxbuf {
	struct ptr_ring *ring;
	struct vmnet_tap tap;
	unsigned int head;
	unsigned int tail;
	void *queue[VMNET_RXBUF_SIZE];
};

size_t vmnet_packet_len(void *ptr);
size_t vmnet_rxbuf_peek_len(struct vmnet_rxbuf *rx);
void vmnet_rxbuf_unproduce(struct vmnet_rxbuf *rx);

void vmnet_tap_probe(struct vmnet_tap *tap, const struct socket *sock,
		     void *packet);
void vmnet_tap_probe_done(struct vmnet_tap *tap, bool frame, size_t hlen);

/* Take the packet that vmnet_rxbuf_peek_len() saw, as recvmsg() expects it. */
static inline void *vmnet_rxbuf_consume(struct vmnet_rxbuf *rx)
{
	return rx->queue[rx->head++];
}

/* May packets with @hlen header bytes go past the socket for now? */
static inline bool vmnet_tap_trusted(const struct vmnet_tap *tap, size_t hlen)
{
	return tap->known && tap->left && tap->hlen == hlen;
}

#endif /* VHOST_MMU_TAP_H */
