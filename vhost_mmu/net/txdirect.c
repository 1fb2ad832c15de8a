// SPDX-License-Identifier: GPL-2.0
/*
 * Transmit by kernel addresses: packets go into the batch in bursts, each of
 * which is one reader section of the queue.
 *
 * What a section must not do, allocate pages and fault, is done between two of
 * them.  A packet that this is not made for is put back: it comes next by user
 * access.
 */
#include <linux/uio.h>

#include "frame.h"
#include "../virtqueue/direct.h"

/**
 * struct burst - what was built so far, and why it went no further
 * @packets: packets
 * @bytes: their bytes, with the header that the socket knows about
 * @full: pages have to be allocated
 * @miss: the queue has to be asked why
 */
struct burst {
	unsigned int packets;
	size_t bytes;
	bool full;
	bool miss;
};

/* What becomes of a packet. */
enum built {
	BUILT,
	/* It is not for here. */
	BUILT_NOT,
	/* There is no page for the frame. */
	BUILT_FULL,
	/* There is none, or the queue knows why it is not to be had. */
	BUILT_NONE,
};

static __always_inline void *frame_get(struct vmnet_txbuf *tx, size_t size)
{
	void *buf = frame_cut(tx, size);

	if (likely(buf))
		return buf;
	return vmnet_txbuf_next_block(tx, false) ? frame_cut(tx, size) : NULL;
}

/* A packet in one piece, header and all. */
static __always_inline enum built build_buffer(struct vmnet *net,
					       const void *from, size_t len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	const size_t pad = tx->pad, hlen = nvq->sock_hlen;
	size_t size = frame_size(tx, len);
	void *buf;

	if (unlikely(size > PAGE_SIZE || len < hlen || !len))
		return BUILT_NOT;
	buf = frame_get(tx, size);
	if (unlikely(!buf))
		return BUILT_FULL;

	if (unlikely(vmq_copy_mc(buf + pad - hlen, from, len) ||
		     frame_header(nvq, buf, pad, size, len))) {
		frame_uncut(tx, size);
		return BUILT_NOT;
	}
	frame_queue(tx, buf, size, len - hlen);
	return BUILT;
}

/* Copy what the iovec holds from byte @skip on. */
static int gather(void *to, const struct iovec *iov, unsigned int nr_iov,
		  size_t skip)
{
	for (; nr_iov; iov++, nr_iov--) {
		size_t drop = min(skip, iov->iov_len);
		size_t len = iov->iov_len - drop;

		skip -= drop;
		if (vmq_copy_mc(to, vmq_direct_addr(iov) + drop, len))
			return -EFAULT;
		to += len;
	}
	return 0;
}

/* A packet in several pieces, or behind a header that the socket is not told. */
static enum built build_pieces(struct vmnet *net, unsigned int nr_iov,
			       size_t len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	size_t pad = tx->pad, hlen = nvq->sock_hlen;
	size_t size = frame_size(tx, len);
	void *buf;

	if (size > PAGE_SIZE || len < hlen)
		return BUILT_NOT;
	buf = frame_get(tx, size);
	if (!buf)
		return BUILT_FULL;

	if (gather(buf + pad - hlen, nvq->iov, nr_iov, nvq->vhost_hlen) ||
	    frame_header(nvq, buf, pad, size, len)) {
		frame_uncut(tx, size);
		return BUILT_NOT;
	}
	frame_queue(tx, buf, size, len - hlen);
	return BUILT;
}

/* The next packet, however it lies there. */
static noinline enum built build_any(struct vmnet *net, int *head, size_t *len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vq = &nvq->vq.vmq;
	unsigned int nr_iov, in;
	enum built built;
	size_t total;

	*head = vmq_next_direct(vq, nvq->iov, UIO_MAXIOV, &nr_iov, &in);
	if (*head < 0 || *head == vq->ring.num)
		return BUILT_NONE;

	built = BUILT_NOT;
	total = iov_length(nvq->iov, nr_iov);
	if (!in && total > nvq->vhost_hlen) {
		*len = total - nvq->vhost_hlen;
		built = build_pieces(net, nr_iov, *len);
	}
	if (built != BUILT)
		vmq_put_back(vq);
	return built;
}

static __always_inline enum built build_next(struct vmnet *net, int *head,
					     size_t *len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vq = &nvq->vq.vmq;
	enum built built;
	void *from;

	if (unlikely(nvq->vhost_hlen))
		return build_any(net, head, len);
	*head = vmq_next_buffer(vq, false, &from, len);
	if (unlikely(*head < 0))
		return build_any(net, head, len);

	built = build_buffer(net, from, *len);
	if (unlikely(built != BUILT))
		vmq_put_back(vq);
	return built;
}

static void build_section(struct vmnet *net, unsigned int quota,
			  struct burst *burst)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vq = &nvq->vq.vmq;
	unsigned int packets = burst->packets;
	enum built built = BUILT;
	size_t bytes = burst->bytes, len;
	int head = 0;

	while (packets < quota && bytes < VMQ_SECTION_BYTES) {
		built = build_next(net, &head, &len);
		if (unlikely(built != BUILT))
			break;
		vmnet_packet_used(nvq, head);
		bytes += len;
		packets++;
	}

	if (built == BUILT_NOT)
		vq->stats.payload_shape++;
	burst->packets = packets;
	burst->bytes = bytes;
	burst->full = built == BUILT_FULL;
	burst->miss = head < 0;
}

/**
 * vmnet_txdirect() - add packets to the batch
 * @net: device
 * @quota: how many at most, for which the batch has room
 * @total_len: raised by their bytes
 *
 * Ends at an empty ring, or at a packet that has to be reached by user access.
 *
 * Context: mutex of the transmit queue held, may sleep.
 * Return: how many packets.
 */
unsigned int vmnet_txdirect(struct vmnet *net, unsigned int quota,
			    size_t *total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vq = &nvq->vq.vmq;
	struct burst burst = {};

	while (vmq_direct_begin(vq)) {
		build_section(net, quota, &burst);
		vmq_direct_end(vq);

		if (burst.full) {
			if (!vmnet_txbuf_next_block(&net->tx, true))
				break;
		} else if (!burst.miss || !vmq_direct_resolve(vq)) {
			break;
		}
	}

	vq->stats.packets += burst.packets;
	vq->stats.payload_kernel += burst.packets;
	vq->stats.bytes += burst.bytes - burst.packets * nvq->sock_hlen;
	*total_len += burst.bytes;
	return burst.packets;
}
