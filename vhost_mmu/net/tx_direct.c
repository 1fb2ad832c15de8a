// SPDX-License-Identifier: GPL-2.0
/*
 * Transmit by kernel addresses: packets go into the batch in runs, each of
 * which is one section of the queue.
 *
 * What a section must not do, allocate pages and fault, is done between two of
 * them.  A packet that cannot be built this way is put back: tx.c takes it
 * next, by user access.
 */
#include <linux/uio.h>

#include "tx_frame.h"
#include "../virtqueue/direct.h"

/* What becomes of a packet. */
enum build {
	BUILD_DONE,
	/* It has to be reached by user access. */
	BUILD_UNSUITABLE,
	/* There is no page for the frame. */
	BUILD_NO_PAGE,
	/* There are not enough pages for a frame above a page. */
	BUILD_NO_LARGE,
	/* A frame above a page is there, to be sent by itself. */
	BUILD_LARGE,
	/* The ring is empty, or the section knows why it has no chain. */
	BUILD_NO_CHAIN,
};

/**
 * struct tx_run - what was built so far, and why it went no further
 * @packets: packets
 * @bytes: their bytes, with the header that the socket knows about
 * @why: what became of the packet behind them
 * @miss: vmq_direct_resolve() knows why
 */
struct tx_run {
	unsigned int packets;
	size_t bytes;
	enum build why;
	bool miss;
};

static __always_inline void *frame_get(struct vmnet_txbuf *tx, size_t size)
{
	void *buf = frame_cut(tx, size);

	if (likely(buf))
		return buf;
	return vmnet_txbuf_next_block(tx, false) ? frame_cut(tx, size) : NULL;
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

/*
 * Fill a frame with a packet in several pieces, or behind a header that the
 * socket is not told.
 */
static bool fill_pieces(const struct vmnet_vq *nvq, void *buf, size_t size,
			size_t pad, unsigned int nr_iov, size_t len)
{
	return !gather(buf + pad - nvq->sock_hlen, nvq->iov, nr_iov,
		       nvq->vhost_hlen) &&
	       !frame_header(nvq, buf, pad, size, len);
}

static enum build build_pieces(struct vmnet *net, unsigned int nr_iov,
			       size_t len, size_t size)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	void *buf = frame_get(tx, size);

	if (!buf)
		return BUILD_NO_PAGE;
	if (!fill_pieces(nvq, buf, size, tx->pad, nr_iov, len)) {
		frame_uncut(tx, size);
		return BUILD_UNSUITABLE;
	}
	frame_queue(tx, buf, size, len - nvq->sock_hlen);
	return BUILD_DONE;
}

/* As gather(), to where the pages of the frame above a page are. */
static int gather_large(const struct vmnet_large *large,
			const struct iovec *iov, unsigned int nr_iov,
			size_t skip)
{
	const struct bio_vec *piece = large->piece;
	size_t room = 0, len, n;
	const void *from;
	void *to = NULL;

	for (; nr_iov; iov++, nr_iov--) {
		n = min(skip, iov->iov_len);
		skip -= n;
		from = vmq_direct_addr(iov) + n;
		for (len = iov->iov_len - n; len; len -= n) {
			if (!room) {
				to = page_address(piece->bv_page) +
				     piece->bv_offset;
				room = piece->bv_len;
				piece++;
			}
			n = min(len, room);
			if (vmq_copy_mc(to, from, n))
				return -EFAULT;
			to += n;
			from += n;
			room -= n;
		}
	}
	return 0;
}

/* A packet larger than a page, which the section ends with. */
static enum build build_large(struct vmnet *net, unsigned int nr_iov,
			      size_t len, int head)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;

	if (!tx->takes_pages || len > VMNET_LARGE_PAGES * PAGE_SIZE)
		return BUILD_UNSUITABLE;
	if (!vmnet_large_reserve(tx, len, false)) {
		tx->large.wanted = len;
		return BUILD_NO_LARGE;
	}
	if (gather_large(&tx->large, nvq->iov, nr_iov, nvq->vhost_hlen))
		return BUILD_UNSUITABLE;
	tx->large.len = len;
	tx->large.head = head;
	return BUILD_LARGE;
}

/* Build the next packet, whatever its chain looks like. */
static noinline enum build build_any(struct vmnet *net, int *head, size_t *len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	enum build build = BUILD_UNSUITABLE;
	unsigned int nr_iov, in;
	size_t total, size;

	*head = vmq_next_direct(vmq, nvq->iov, UIO_MAXIOV, &nr_iov, &in);
	if (*head < 0 || *head == vmq->ring.num)
		return BUILD_NO_CHAIN;

	total = iov_length(nvq->iov, nr_iov);
	if (!in && total > nvq->vhost_hlen &&
	    total >= nvq->vhost_hlen + nvq->sock_hlen) {
		*len = total - nvq->vhost_hlen;
		size = frame_size(&net->tx, *len);
		build = size <= PAGE_SIZE ?
				build_pieces(net, nr_iov, *len, size) :
				build_large(net, nr_iov, *len, *head);
	}
	if (build != BUILD_DONE && build != BUILD_LARGE)
		vmq_put_back(vmq);
	return build;
}

/* Build a small packet that lies in one piece, its header included. */
static __always_inline enum build
build_buffer(struct vmnet *net, const void *from, size_t len, size_t size)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	const size_t pad = tx->pad, hlen = nvq->sock_hlen;
	void *buf = frame_get(tx, size);

	if (unlikely(!buf))
		return BUILD_NO_PAGE;
	if (unlikely(vmq_copy_mc(buf + pad - hlen, from, len) ||
		     frame_header(nvq, buf, pad, size, len))) {
		frame_uncut(tx, size);
		return BUILD_UNSUITABLE;
	}
	frame_queue(tx, buf, size, len - hlen);
	return BUILD_DONE;
}

static __always_inline enum build build_next(struct vmnet *net, int *head,
					     size_t *len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	enum build build = BUILD_UNSUITABLE;
	size_t size;
	void *from;

	/* With a header that the socket is not told, it is in two pieces. */
	if (unlikely(nvq->vhost_hlen))
		return build_any(net, head, len);
	*head = vmq_next_buffer(vmq, false, U32_MAX, &from, len);
	if (unlikely(*head < 0))
		return build_any(net, head, len);

	size = frame_size(&net->tx, *len);
	if (likely(size <= PAGE_SIZE && *len && *len >= nvq->sock_hlen))
		build = build_buffer(net, from, *len, size);
	if (unlikely(build != BUILD_DONE)) {
		vmq_put_back(vmq);
		if (size > PAGE_SIZE)
			return build_any(net, head, len);
	}
	return build;
}

static void build_section(struct vmnet *net, unsigned int quota,
			  struct tx_run *run)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int packets = run->packets;
	enum build build = BUILD_DONE;
	size_t bytes = run->bytes, len;
	int head = 0;

	while (packets < quota && bytes < VMQ_SECTION_BYTES) {
		build = build_next(net, &head, &len);
		if (unlikely(build != BUILD_DONE))
			break;
		vmnet_packet_used(nvq, head);
		bytes += len;
		packets++;
	}

	if (build == BUILD_UNSUITABLE)
		vmq->stats.payload_shape++;
	run->packets = packets;
	run->bytes = bytes;
	run->why = build;
	run->miss = head < 0;
}

/* Outside of sections: may the packet that the last one ended at be retried? */
static bool try_again(struct vmnet *net, const struct tx_run *run)
{
	switch (run->why) {
	case BUILD_NO_PAGE:
		return vmnet_txbuf_next_block(&net->tx, true);
	case BUILD_NO_LARGE:
		return vmnet_large_reserve(&net->tx, net->tx.large.wanted,
					   true);
	case BUILD_NO_CHAIN:
		return run->miss &&
		       vmq_direct_resolve(vmnet_vmq(&net->vqs[VMNET_TX]));
	default:
		return false;
	}
}

/**
 * vmnet_tx_direct() - add packets to the batch
 * @net: device
 * @quota: how many at most, for which the batch has room
 * @total_len: raised by their bytes
 *
 * Ends at an empty ring, at a packet that has to be reached by user access, or
 * behind a frame above a page, which is in vmnet_txbuf::large then and counts
 * for nothing yet.
 *
 * Context: mutex of the transmit queue held, may sleep.
 * Return: how many packets.
 */
unsigned int vmnet_tx_direct(struct vmnet *net, unsigned int quota,
			     size_t *total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	struct tx_run run = {};

	lockdep_assert_held(&vmq->mutex);

	while (vmq_direct_begin(vmq)) {
		build_section(net, quota, &run);
		vmq_direct_end(vmq);
		if (!try_again(net, &run))
			break;
	}

	if (unlikely(net->tx.large.pieces) && !net->tx.large.len)
		/* The packet that the pages were for goes another way. */
		vmnet_large_put(&net->tx);

	vmq->stats.packets += run.packets;
	vmq->stats.payload_kernel += run.packets;
	vmq->stats.bytes += run.bytes - run.packets * nvq->sock_hlen;
	*total_len += run.bytes;
	return run.packets;
}
