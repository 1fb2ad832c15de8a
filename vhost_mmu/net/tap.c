// SPDX-License-Identifier: GPL-2.0
/*
 * Packets taken from a tap's pointer ring in batches, so that the lock of the
 * ring is taken once for VMNET_BATCH packets.
 *
 * Packets in the batch are still the tap's: those not delivered go back to the
 * ring before the queue lets go of the socket.  Protected by the mutex of the
 * receive queue.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/skb_array.h>

#include "net.h"

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
 * vmnet_rxbuf_consume() - take the packet that vmnet_rxbuf_peek_len() saw
 * @rx: receive batch, not empty
 *
 * Return: what recvmsg() of the tap expects as its msg_control.
 */
void *vmnet_rxbuf_consume(struct vmnet_rxbuf *rx)
{
	return rx->queue[rx->head++];
}

/**
 * vmnet_rxbuf_unproduce() - give the packets not consumed back to the tap
 * @rx: receive batch
 *
 * Another tap may follow, so what was seen of this one is forgotten.
 */
void vmnet_rxbuf_unproduce(struct vmnet_rxbuf *rx)
{
	if (rx->head != rx->tail)
		ptr_ring_unconsume(rx->ring, rx->queue + rx->head,
				   rx->tail - rx->head, tun_ptr_free);
	rx->head = 0;
	rx->tail = 0;
	vmnet_tap_forget(&rx->tap);
}

/**
 * vmnet_rxbuf_peek_len() - look at the next packet, fetching a batch if need be
 * @rx: receive batch of a tap that has a pointer ring
 *
 * Return: the length of the packet as the tap will deliver it, without the
 * virtio header; 0 if there is none.
 */
size_t vmnet_rxbuf_peek_len(struct vmnet_rxbuf *rx)
{
	if (rx->head == rx->tail) {
		rx->head = 0;
		rx->tail = ptr_ring_consume_batched(rx->ring, rx->queue,
						    VMNET_BATCH);
		if (!rx->tail)
			return 0;
	}
	return vmnet_packet_len(rx->queue[rx->head]);
}
