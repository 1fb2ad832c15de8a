/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames for the tap's XDP path: where they are cut from, and how they look.
 * What fills them differs: tx_frame.c does it by user access, tx_direct.c by
 * kernel addresses.
 *
 *	struct tun_xdp_hdr	at the start
 *	head room
 *	virtio header		as the driver wrote it, sock_hlen bytes
 *	packet			at vmnet_txbuf::pad
 *	struct skb_shared_info	behind it
 */
#ifndef VHOST_MMU_TX_FRAME_H
#define VHOST_MMU_TX_FRAME_H

#include <linux/if_tun.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>

#include "net.h"

/* Size of the frame for @len bytes, of which sock_hlen are virtio header. */
static __always_inline size_t frame_size(const struct vmnet_txbuf *tx,
					 size_t len)
{
	return SKB_DATA_ALIGN(len + tx->pad) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/* Cut a frame; NULL if the block in use has no room for it. */
static __always_inline void *frame_cut(struct vmnet_txbuf *tx, size_t size)
{
	struct vmnet_block *block = &tx->block[tx->cur];
	void *va = block->va + tx->offset;

	if (unlikely(tx->offset + size > block->size))
		return NULL;
	tx->offset += size;
	block->bias--;
	return va;
}

/* Take back the frame just cut, which nobody else has seen. */
static __always_inline void frame_uncut(struct vmnet_txbuf *tx, size_t size)
{
	tx->offset -= size;
	tx->block[tx->cur].bias++;
}

/*
 * A driver may leave hdr_len too small for the checksum it asks for: the tap
 * would refuse the packet, so correct it.
 */
static inline int frame_fix_hdr_len(const struct vmnet_vq *nvq,
				    struct virtio_net_hdr *gso, size_t len)
{
	bool le = vmq_is_le(&nvq->dvq.vmq.ring);
	unsigned int need;

	need = __virtio16_to_cpu(le, gso->csum_start) +
	       __virtio16_to_cpu(le, gso->csum_offset) + 2;
	if (need <= __virtio16_to_cpu(le, gso->hdr_len))
		return 0;

	gso->hdr_len = __cpu_to_virtio16(le, need);
	return __virtio16_to_cpu(le, gso->hdr_len) > len ? -EINVAL : 0;
}

/*
 * The virtio header and the packet have come in one copy, the header right
 * before the packet: move it to where the tap looks for it.  Return 0, or
 * -EINVAL if it is malformed.
 */
static __always_inline int frame_header(const struct vmnet_vq *nvq, void *buf,
					size_t pad, size_t size, size_t len)
{
	size_t hlen = nvq->sock_hlen;
	struct tun_xdp_hdr *hdr = buf;

	hdr->buflen = size;
	if (unlikely(!hlen)) {
		memset(&hdr->gso, 0, sizeof(hdr->gso));
		return 0;
	}

	memcpy(&hdr->gso, buf + pad - hlen, sizeof(hdr->gso));
	if (hdr->gso.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return frame_fix_hdr_len(nvq, &hdr->gso, len);
	return 0;
}

/* Add the frame, filled, to the batch. */
static __always_inline void frame_queue(struct vmnet_txbuf *tx, void *buf,
					size_t size, size_t len)
{
	struct xdp_buff *xdp = &tx->xdp[tx->batched++];

	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, buf, tx->pad, len, true);
}

#endif /* VHOST_MMU_TX_FRAME_H */
