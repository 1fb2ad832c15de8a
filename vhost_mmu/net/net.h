/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The net backend: packets between a pair of virtqueues and a tap, macvtap,
 * ipvtap or packet socket.
 *
 * Queue state is protected by the mutex of its virtqueue.  The handlers run in
 * the device's worker, the rest in ioctls and release.
 */
#ifndef VHOST_MMU_NET_H
#define VHOST_MMU_NET_H

#include <linux/bvec.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/workqueue.h>
#include <net/xdp.h>

#include "../dev/dev.h"
#include "coalesce.h"
#include "tap.h"

#define VMNET_RX 0
#define VMNET_TX 1
#define VMNET_NVQS 2

/* Packets that go to the socket or are used at a time */
#define VMNET_BATCH VMNET_RXBUF_SIZE

/* A packet may take UIO_MAXIOV heads when a batch is all but full */
#define VMNET_HEADS (UIO_MAXIOV + VMNET_BATCH)

/* What one handler may carry before it lets other work run */
#define VMNET_PACKET_WEIGHT 256
#define VMNET_BYTE_WEIGHT 0x80000

/*
 * Page blocks a transmit queue keeps: a batch of the largest small frames, and
 * as much again for what the receivers have not read yet
 */
#define VMNET_BLOCKS 16

/* Pages of the largest frame that goes by kernel addresses: 64 KiB, headers */
#define VMNET_LARGE_PAGES 17

/**
 * struct vmnet_vq - a virtqueue of the net device
 * @dvq: its device core part
 * @vhost_hlen: virtio header bytes that the socket does not know about
 * @sock_hlen: virtio header bytes that the socket reads or writes
 * @done: entries of @heads, carried but not yet given back to the driver
 * @heads: used ring entries, VMNET_HEADS of them
 * @iov: buffers of the packet at hand, UIO_MAXIOV of them
 */
struct vmnet_vq {
	struct vmdev_vq dvq;
	size_t vhost_hlen;
	size_t sock_hlen;
	unsigned int done;
	struct vring_used_elem *heads;
	struct iovec *iov;
};

/**
 * struct vmnet_block - a block of pages that frames are cut from
 * @page: head page, NULL for a block not allocated
 * @va: its address
 * @size: bytes; 0 for a block not allocated
 * @bias: references that belong to the queue and not to a frame
 * @nid: memory node of the worker at the time
 */
struct vmnet_block {
	struct page *page;
	void *va;
	size_t size;
	unsigned int bias;
	int nid;
};

/**
 * struct vmnet_large - a frame above a page, in whole pages of blocks
 * @pages: cut for it
 * @pieces: entries of @piece in use, each of which holds a page reference
 * @wanted: bytes of the frame for which there were too few
 * @len: its bytes with the header that the socket knows about, 0 if there is
 *	none to be sent
 * @head: its buffer
 * @piece: where it lies, see large_iter() for the size
 */
struct vmnet_large {
	unsigned int pages;
	unsigned int pieces;
	size_t wanted;
	size_t len;
	int head;
	struct bio_vec piece[VMNET_LARGE_PAGES + MAX_SKB_FRAGS + 2];
};

/**
 * struct vmnet_txbuf - frames on their way to the tap
 * @block: pages to cut frames from, used over and over again
 * @cur: block in use
 * @victim: block to give up next when all are busy
 * @offset: where the next frame of block @cur starts
 * @pad: where the packet starts in a frame
 * @takes_pages: the socket takes frames in pages, see vmnet_large_send()
 * @pages_refused: ... but has refused one
 * @large: the frame above a page that is being sent
 * @runs: of the handler
 * @runs_seen: @runs when @shrink last looked
 * @shrink_armed: @shrink is going to run
 * @shrink: gives the blocks back after a while without a run
 * @batched: frames in @xdp
 * @xdp: frames built and not yet sent
 */
struct vmnet_txbuf {
	struct vmnet_block block[VMNET_BLOCKS];
	unsigned int cur;
	unsigned int victim;
	size_t offset;
	size_t pad;
	bool takes_pages;
	bool pages_refused;
	struct vmnet_large large;
	bool shrink_armed;
	unsigned int runs;
	unsigned int runs_seen;
	struct delayed_work shrink;
	unsigned int batched;
	struct xdp_buff xdp[VMNET_BATCH];
};

/**
 * struct vmnet - a net device
 * @dev: device core part
 * @vqs: the queues
 * @vq_ptrs: the queues as the device core wants them
 * @poll: waits for the socket to have packets (VMNET_RX) or room (VMNET_TX)
 * @rx: receive side, under the mutex of queue VMNET_RX
 * @tx: transmit side, under the mutex of queue VMNET_TX
 * @coalesce: wake-ups of the receive side
 */
struct vmnet {
	struct vmdev dev;
	struct vmnet_vq vqs[VMNET_NVQS];
	struct vmdev_vq *vq_ptrs[VMNET_NVQS];
	struct vmdev_poll poll[VMNET_NVQS];
	struct vmnet_rxbuf rx;
	struct vmnet_txbuf tx;
	struct vmnet_coalesce coalesce;
};

static inline struct vmnet *vmnet_from_vq(const struct vmdev_vq *dvq)
{
	return container_of(dvq->dev, struct vmnet, dev);
}

static inline struct vmq *vmnet_vmq(struct vmnet_vq *nvq)
{
	return &nvq->dvq.vmq;
}

static inline bool vmnet_has_feature(const struct vmnet_vq *nvq,
				     unsigned int bit)
{
	return vmq_has_feature(&nvq->dvq.vmq, bit);
}

static inline __virtio32 vmnet_virtio32(const struct vmnet_vq *nvq, u32 val)
{
	return __cpu_to_virtio32(vmq_is_le(&nvq->dvq.vmq.ring), val);
}

static inline __virtio16 vmnet_virtio16(const struct vmnet_vq *nvq, u16 val)
{
	return vmq_word(&nvq->dvq.vmq.ring, val);
}

/**
 * vmnet_poll_enable() - run the handler when the socket is ready
 * @net: device
 * @index: queue
 *
 * Context: the queue's vmq::mutex held.
 * Return: 0, also without a backend; or -EINVAL if the socket reports an error.
 */
static inline int vmnet_poll_enable(struct vmnet *net, unsigned int index)
{
	struct socket *sock = net->vqs[index].dvq.backend;

	lockdep_assert_held(&vmnet_vmq(&net->vqs[index])->mutex);

	return sock ? vmdev_poll_start(&net->poll[index], sock->file) : 0;
}

/**
 * vmnet_poll_disable() - undo vmnet_poll_enable()
 * @net: device
 * @index: queue
 *
 * Context: the queue's vmq::mutex held.
 */
static inline void vmnet_poll_disable(struct vmnet *net, unsigned int index)
{
	lockdep_assert_held(&vmnet_vmq(&net->vqs[index])->mutex);

	if (net->vqs[index].dvq.backend)
		vmdev_poll_stop(&net->poll[index]);
}

/* A transmit buffer has been carried. */
static inline void vmnet_packet_used(struct vmnet_vq *nvq, int head)
{
	struct vring_used_elem *elem = &nvq->heads[nvq->done++];

	lockdep_assert_held(&vmnet_vmq(nvq)->mutex);

	elem->id = vmnet_virtio32(nvq, head);
	elem->len = 0;
}

/* Give the buffers carried so far back to the driver. */
static inline void vmnet_signal_used(struct vmnet_vq *nvq)
{
	lockdep_assert_held(&vmnet_vmq(nvq)->mutex);

	if (nvq->done)
		vmq_add_used_and_signal(vmnet_vmq(nvq), nvq->heads, nvq->done);
	nvq->done = 0;
}

/* backend.c: the socket of each queue */
int vmnet_set_backend(struct vmnet *net, unsigned int index, int fd);
void vmnet_stop(struct vmnet *net, struct socket *socks[VMNET_NVQS]);
void vmnet_put_sockets(struct socket *socks[VMNET_NVQS]);

/* rx_direct.c: by kernel address, past the socket */
unsigned int vmnet_rx_direct(struct vmnet *net, unsigned int max_packets,
			     size_t max_bytes, size_t *total_len);

/* tx_frame.c: batches of XDP frames to the tap */
void vmnet_txbuf_init(struct vmnet_txbuf *tx);
void vmnet_txbuf_begin(struct vmnet *net, struct socket *sock);
void vmnet_txbuf_end(struct vmnet_txbuf *tx);
bool vmnet_txbuf_next_block(struct vmnet_txbuf *tx, bool alloc);
int vmnet_txbuf_build(struct vmnet *net, unsigned int nr_iov, size_t len);
void vmnet_txbuf_free(struct vmnet_txbuf *tx);
void vmnet_txbuf_destroy(struct vmnet_txbuf *tx);

/* tx_large.c: frames above a page */
bool vmnet_large_reserve(struct vmnet_txbuf *tx, size_t len, bool alloc);
void vmnet_large_put(struct vmnet_txbuf *tx);
int vmnet_large_send(struct vmnet *net, struct socket *sock);

/* tx_direct.c: the same by kernel addresses */
unsigned int vmnet_tx_direct(struct vmnet *net, unsigned int quota,
			     size_t *total_len);

/* rx.c, tx.c: worker context */
void vmnet_handle_rx_kick(struct vmdev_work *work);
void vmnet_handle_rx_socket(struct vmdev_work *work);
void vmnet_handle_tx_kick(struct vmdev_work *work);
void vmnet_handle_tx_socket(struct vmdev_work *work);

/* busypoll.c: worker context */
bool vmnet_busy_poll(struct vmnet *net, unsigned int index);
bool vmnet_ring_refilled(struct vmdev_vq *dvq, bool interrupted);

#endif /* VHOST_MMU_NET_H */
