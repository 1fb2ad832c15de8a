// SPDX-License-Identifier: GPL-2.0
/*
 * Frames for the tap's XDP path, sent in batches.
 *
 * A frame is cut from a block of pages and holds one page reference, which the
 * tap, an XDP program's target or an skb drops when done with it.  The blocks
 * are used over and over again: allocating a fresh one for every few frames
 * costs more (most of it zeroing) than everything else done for a small frame.
 *
 * The queue takes references to a block in bulk and counts in vmnet_block::bias
 * those not given to a frame yet, so cutting a frame costs no atomic operation.
 * When the page count equals the bias, no frame of the block is left and it may
 * start over.
 *
 * Everything is protected by the mutex of the transmit queue.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/gfp.h>
#include <linux/if_tun.h>
#include <linux/instrumented.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/topology.h>
#include <linux/uaccess.h>
#include <linux/virtio_net.h>
#include <net/sock.h>

#include "net.h"
#include "../virtqueue/direct.h"

#define BLOCK_ORDER get_order(SZ_32K)

/* References taken at a time; a power of two far below overflow */
#define BLOCK_BIAS BIT(16)

/* Upper bound of the frames cut from one block */
#define BLOCK_FRAMES ((PAGE_SIZE << BLOCK_ORDER) / SMP_CACHE_BYTES)

static bool block_alloc(struct vmnet_block *block)
{
	unsigned int order = BLOCK_ORDER;
	struct page *page;

	page = alloc_pages((GFP_KERNEL & ~__GFP_DIRECT_RECLAIM) | __GFP_COMP |
				   __GFP_NOWARN | __GFP_NORETRY |
				   __GFP_NOMEMALLOC,
			   order);
	if (unlikely(!page)) {
		order = 0;
		page = alloc_page(GFP_KERNEL);
		if (!page)
			return false;
	}

	page_ref_add(page, BLOCK_BIAS - 1);
	block->page = page;
	block->va = page_address(page);
	block->size = PAGE_SIZE << order;
	block->bias = BLOCK_BIAS;
	block->nid = numa_mem_id();
	return true;
}

static void block_free(struct vmnet_block *block)
{
	if (block->page)
		__page_frag_cache_drain(block->page, block->bias);
	memset(block, 0, sizeof(*block));
}

/* Is no frame of the block left? */
static bool block_idle(const struct vmnet_block *block)
{
	if (page_ref_count(block->page) != block->bias)
		return false;
	/*
	 * Order the last use of a frame before new data: pairs with the full
	 * barrier of the put_page() that brought the count down.
	 */
	smp_acquire__after_ctrl_dep();
	return true;
}

/* Let a block without frames start over; false if it is not worth keeping. */
static bool block_rewind(struct vmnet_block *block)
{
	/*
	 * From the emergency reserve, or chosen when the worker ran elsewhere.
	 * Where the page itself is does not matter: a memory policy may never
	 * give out a near one.
	 */
	if (page_is_pfmemalloc(block->page) || block->nid != numa_mem_id())
		return false;

	if (unlikely(block->bias < BLOCK_FRAMES)) {
		page_ref_add(block->page, BLOCK_BIAS);
		block->bias += BLOCK_BIAS;
	}
	return true;
}

/*
 * Choose a block to cut frames from: the lowest that is idle, so that a light
 * load stays in few cache lines; else one not allocated yet; else replace one
 * whose frames somebody holds on to.  Without @alloc, only the first will do.
 */
static bool next_block(struct vmnet_txbuf *tx, bool alloc)
{
	struct vmnet_block *block;
	unsigned int i;

	for (i = 0; i < VMNET_BLOCKS; i++) {
		block = &tx->block[i];
		if (!block->page)
			break;
		if (block_idle(block)) {
			if (block_rewind(block))
				goto found;
			break;
		}
	}
	if (!alloc)
		return false;
	if (i == VMNET_BLOCKS) {
		i = tx->victim++ % VMNET_BLOCKS;
		block = &tx->block[i];
	}

	block_free(block);
	if (!block_alloc(block))
		return false;
found:
	tx->cur = i;
	tx->offset = 0;
	return true;
}

/* @size is a multiple of SMP_CACHE_BYTES and at most a page. */
static __always_inline void *frame_alloc(struct vmnet_txbuf *tx, size_t size,
					 bool alloc)
{
	struct vmnet_block *block = &tx->block[tx->cur];
	void *va;

	if (unlikely(tx->offset + size > block->size)) {
		if (!next_block(tx, alloc))
			return NULL;
		block = &tx->block[tx->cur];
	}

	va = block->va + tx->offset;
	tx->offset += size;
	block->bias--;
	return va;
}

/* Take back the frame just allocated, which nobody else has seen. */
static void frame_unalloc(struct vmnet_txbuf *tx, size_t size)
{
	tx->offset -= size;
	tx->block[tx->cur].bias++;
}

/*
 * copy_from_user() without what each packet does not need: the hardened
 * usercopy look-up, as the caller has just cut @to out of a block and compared
 * @len with its size, and the speculation barrier, which an iov_iter does not
 * have either.
 */
static int copy_segment(void *to, const void __user *from, size_t len)
{
	unsigned long left;

	might_fault();
	if (should_fail_usercopy() || unlikely(!access_ok(from, len)))
		return -EFAULT;

	instrument_copy_from_user_before(to, from, len);
	left = raw_copy_from_user(to, from, len);
	instrument_copy_from_user_after(to, from, len, left);
	return left ? -EFAULT : 0;
}

/* Copy what the iovec holds from byte @skip on. */
static __always_inline int gather(void *to, const struct iovec *iov,
				  unsigned int nr_iov, size_t skip, bool direct)
{
	for (; nr_iov; iov++, nr_iov--) {
		size_t drop = min(skip, iov->iov_len);
		size_t len = iov->iov_len - drop;

		skip -= drop;
		if (!len)
			continue;
		if (direct ? vmq_copy_mc(to, vmq_direct_addr(iov) + drop, len) :
			     copy_segment(to, iov->iov_base + drop, len))
			return -EFAULT;
		to += len;
	}
	return 0;
}

/*
 * A driver may leave hdr_len too small for the checksum it asks for: the tap
 * would refuse the packet, so correct it.
 */
static int fix_hdr_len(const struct vmnet_vq *nvq, struct virtio_net_hdr *gso,
		       size_t len)
{
	bool le = vmq_is_le(&nvq->vq.vmq.ring);
	unsigned int need;

	if (!(gso->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;

	need = __virtio16_to_cpu(le, gso->csum_start) +
	       __virtio16_to_cpu(le, gso->csum_offset) + 2;
	if (need <= __virtio16_to_cpu(le, gso->hdr_len))
		return 0;

	gso->hdr_len = __cpu_to_virtio16(le, need);
	return __virtio16_to_cpu(le, gso->hdr_len) > len ? -EINVAL : 0;
}

/*
 * Bring the packet into @buf: a struct tun_xdp_hdr at its start, and the frame
 * at @pad.  The virtio header and the frame come in one copy that puts the
 * header right before the frame, as user access is dear; moving a few bytes
 * from there is not.
 */
static __always_inline int fill_frame(const struct vmnet_vq *nvq, void *buf,
				      size_t pad, unsigned int nr_iov,
				      size_t len, bool direct)
{
	size_t hlen = nvq->sock_hlen;
	void *data = buf + pad - hlen;
	struct tun_xdp_hdr *hdr = buf;
	int ret;

	ret = gather(data, nvq->iov, nr_iov, nvq->vhost_hlen, direct);
	if (unlikely(ret))
		return ret;

	if (!hlen) {
		memset(hdr, 0, sizeof(*hdr));
		return 0;
	}

	memcpy(&hdr->gso, data, sizeof(hdr->gso));
	return fix_hdr_len(nvq, &hdr->gso, len);
}

static __always_inline int build(struct vmnet *net, struct socket *sock,
				 unsigned int nr_iov, size_t len, bool direct)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	struct xdp_buff *xdp = &tx->xdp[tx->batched];
	size_t pad = NET_IP_ALIGN + NET_SKB_PAD + nvq->sock_hlen;
	struct tun_xdp_hdr *hdr;
	size_t size;
	void *buf;
	int ret;

	lockdep_assert_held(&nvq->vq.vmq.mutex);

	if (unlikely(len < nvq->sock_hlen))
		return -EINVAL;

	if (sock_flag(sock->sk, SOCK_XDP))
		pad += XDP_PACKET_HEADROOM;
	pad = SKB_DATA_ALIGN(pad);

	size = SKB_DATA_ALIGN(len + pad) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
	if (size > PAGE_SIZE)
		return -ENOSPC;

	buf = frame_alloc(tx, size, !direct);
	if (unlikely(!buf))
		return -ENOMEM;

	ret = fill_frame(nvq, buf, pad, nr_iov, len, direct);
	if (unlikely(ret)) {
		frame_unalloc(tx, size);
		return ret;
	}

	hdr = buf;
	hdr->buflen = size;
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, buf, pad, len - nvq->sock_hlen, true);
	tx->batched++;
	return 0;
}

/**
 * vmnet_txbuf_build() - add a packet to the batch
 * @net: device
 * @sock: where the batch will go
 * @nr_iov: entries of the transmit queue's iov that hold the packet
 * @len: its bytes, without the header that the socket does not know about
 *
 * Return: 0; -ENOSPC if the packet is too large for a frame and has to be sent
 * by itself; -EINVAL if it is malformed; -ENOMEM or -EFAULT.
 */
int vmnet_txbuf_build(struct vmnet *net, struct socket *sock,
		      unsigned int nr_iov, size_t len)
{
	return build(net, sock, nr_iov, len, false);
}

/**
 * vmnet_txbuf_build_direct() - the same by kernel addresses
 * @net: device
 * @sock: where the batch will go
 * @nr_iov: entries of the transmit queue's iov, as of vmq_next_direct()
 * @len: its bytes, without the header that the socket does not know about
 *
 * Context: in the section that the addresses belong to.
 * Return: as for vmnet_txbuf_build(); -ENOMEM if a page would have to be
 * allocated: see vmnet_txbuf_refill(); -EFAULT for a memory error.
 */
int vmnet_txbuf_build_direct(struct vmnet *net, struct socket *sock,
			     unsigned int nr_iov, size_t len)
{
	return build(net, sock, nr_iov, len, true);
}

/**
 * vmnet_txbuf_refill() - have room for the largest frame
 * @tx: transmit batch
 *
 * Context: process context, may sleep.
 * Return: false without memory.
 */
bool vmnet_txbuf_refill(struct vmnet_txbuf *tx)
{
	return next_block(tx, true);
}

/**
 * vmnet_txbuf_send() - send the batch
 * @tx: transmit batch, not empty
 * @sock: where to
 *
 * The batch is empty afterwards, whatever happens: a tap either takes all
 * frames over, or (having lost its device) none, and then they are dropped.
 *
 * Return: 0 or the error of the socket.
 */
int vmnet_txbuf_send(struct vmnet_txbuf *tx, struct socket *sock)
{
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_PTR,
		.num = tx->batched,
		.ptr = tx->xdp,
	};
	struct msghdr msg = {
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
		.msg_flags = MSG_DONTWAIT,
	};
	unsigned int i;
	int ret;

	ret = sock->ops->sendmsg(sock, &msg, 0);
	if (unlikely(ret < 0)) {
		for (i = 0; i < tx->batched; i++)
			put_page(virt_to_head_page(tx->xdp[i].data));
	}
	tx->batched = 0;
	return min(ret, 0);
}

/**
 * vmnet_txbuf_free() - give up the blocks
 * @tx: transmit batch, empty
 *
 * Frames under way keep their pages.
 */
void vmnet_txbuf_free(struct vmnet_txbuf *tx)
{
	unsigned int i;

	for (i = 0; i < VMNET_BLOCKS; i++)
		block_free(&tx->block[i]);
	tx->cur = 0;
	tx->offset = 0;
}
