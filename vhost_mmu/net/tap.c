// SPDX-License-Identifier: GPL-2.0
/*
 * What the receive queue has of a tap.
 *
 * Packets are taken from the tap's pointer ring in batches, so that the lock of
 * the ring is taken once for VMNET_RXBUF_SIZE packets.  Packets in the batch
 * are still the tap's: those not delivered go back to the ring before the queue
 * lets go of the socket.
 *
 * How the tap would deliver them is learnt from a probe: a packet that goes
 * through the socket, after which others may go past it (see rx_direct.c).
 *
 * Everything is protected by the mutex of the receive queue.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skb_array.h>
#include <linux/virtio_byteorder.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "tap.h"
#include "tun_dev.h"

/* Packets between two probes */
#define TAP_TRUST 1024

/* A tap may be told to use the other byte order where this is configured. */
#define HEADER_IS_LE                         \
	(virtio_legacy_is_little_endian() && \
	 !IS_ENABLED(CONFIG_TUN_VNET_CROSS_LE))

/**
 * vmnet_packet_len() - bytes of a packet as the tap will deliver it
 * @ptr: what the pointer ring holds
 *
 * Return: the length, without the virtio header.
 */
size_t vmnet_packet_len(void *ptr)
{
	if (tun_is_xdp_frame(ptr))
		return tun_ptr_to_xdp(ptr)->len;
	return __skb_array_len_with_tag(ptr);
}

/**
 * vmnet_rxbuf_peek_len() - look at the next packet, fetching a batch if need be
 * @rx: receive batch of a tap that has a pointer ring
 *
 * Return: what vmnet_packet_len() says of the packet, 0 if there is none.
 */
size_t vmnet_rxbuf_peek_len(struct vmnet_rxbuf *rx)
{
	if (rx->head == rx->tail) {
		rx->head = 0;
		rx->tail = ptr_ring_consume_batched(rx->ring, rx->queue,
						    VMNET_RXBUF_SIZE);
		if (!rx->tail)
			return 0;
	}
	return vmnet_packet_len(rx->queue[rx->head]);
}

/* Another tap may follow. */
static void tap_reset(struct vmnet_tap *tap)
{
	memset(tap, 0, sizeof(*tap));
	tap->hlen = VMNET_HLEN_UNKNOWN;
}

/**
 * vmnet_rxbuf_unproduce() - give the packets not consumed back to the tap
 * @rx: receive batch
 *
 * Another tap may follow, so what was learnt of this one is forgotten.
 */
void vmnet_rxbuf_unproduce(struct vmnet_rxbuf *rx)
{
	if (rx->head != rx->tail)
		ptr_ring_unconsume(rx->ring, rx->queue + rx->head,
				   rx->tail - rx->head, tun_ptr_free);
	rx->head = 0;
	rx->tail = 0;
	tap_reset(&rx->tap);
}

/* False if the device of a packet is gone, or nobody knows its counters. */
static bool learn_device(struct vmnet_tap *tap, const struct socket *sock,
			 const struct sk_buff *skb)
{
	/* macvtap and ipvtap keep no counters here. */
	if (IS_ERR(tun_get_tx_ring(sock->file))) {
		tap->dev = NULL;
		return true;
	}

	rcu_read_lock();
	tap->dev = skb->dev;
	tap->dev_id = vmnet_tun_dev_id(skb->dev);
	rcu_read_unlock();
	return tap->dev_id;
}

/**
 * vmnet_tap_probe() - a packet is about to go through the socket
 * @tap: what is known of the tap
 * @sock: the tap, which has a pointer ring
 * @packet: the packet
 */
void vmnet_tap_probe(struct vmnet_tap *tap, const struct socket *sock,
		     void *packet)
{
	if (tap->left) {
		tap->left--;
		return;
	}

	/* An XDP frame does not know the tap's device. */
	if (!tun_is_xdp_frame(packet))
		tap->known = HEADER_IS_LE && learn_device(tap, sock, packet);
	if (!tun_is_xdp_frame(packet) || tap->known)
		tap->left = TAP_TRUST;
}

/**
 * vmnet_tap_probe_done() - a packet went through the socket
 * @tap: what is known of the tap
 * @frame: it was an XDP frame
 * @hlen: header bytes that came with it, VMNET_HLEN_UNKNOWN if its length was
 *	not the expected one
 *
 * An XDP frame has no struct tun_pi, so it does not tell that others have none.
 */
void vmnet_tap_probe_done(struct vmnet_tap *tap, bool frame, size_t hlen)
{
	if (!frame || hlen == VMNET_HLEN_UNKNOWN)
		tap->hlen = hlen;
}
