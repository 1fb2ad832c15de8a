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
 * The owner's memory cgroup is charged for the blocks, also while a receiver
 * holds on to frames.
 *
 * Everything is protected by the mutex of the transmit queue.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/gfp.h>
#include <linux/instrumented.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/topology.h>
#include <linux/uaccess.h>
#include <net/sock.h>

#include "tx_frame.h"

#define BLOCK_ORDER get_order(SZ_32K)

/* Without a run of the handler for one to two of these, blocks are given back. */
#define SHRINK_TIME HZ

/* References taken at a time; a power of two far below overflow */
#define BLOCK_BIAS BIT(16)

/* Upper bound of the frames cut from one block */
#define BLOCK_FRAMES ((PAGE_SIZE << BLOCK_ORDER) / SMP_CACHE_BYTES)

static void assert_tx_held(struct vmnet_txbuf *tx)
{
	struct vmnet *net = container_of(tx, struct vmnet, tx);

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_TX])->mutex);
}

static bool block_alloc(struct vmnet_block *block)
{
	unsigned int order = BLOCK_ORDER;
	struct page *page;

	page = alloc_pages((GFP_KERNEL_ACCOUNT & ~__GFP_DIRECT_RECLAIM) |
				   __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY |
				   __GFP_NOMEMALLOC,
			   order);
	if (unlikely(!page)) {
		order = 0;
		page = alloc_page(GFP_KERNEL_ACCOUNT);
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

/**
 * vmnet_txbuf_next_block() - choose a block to cut frames from
 * @tx: transmit batch
 * @alloc: pages may be allocated, which may sleep
 *
 * The lowest that is idle, so that a light load stays in few cache lines; else
 * one not allocated yet; else replace one whose frames somebody holds on to.
 *
 * Context: mutex of the transmit queue held.
 * Return: false without memory, or if it takes an allocation.
 */
bool vmnet_txbuf_next_block(struct vmnet_txbuf *tx, bool alloc)
{
	struct vmnet_block *block;
	unsigned int i;

	assert_tx_held(tx);

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

/*
 * copy_from_user() without what each packet does not need: the hardened
 * usercopy lookup, as the caller has just cut @to out of a block and compared
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
static int gather(void *to, const struct iovec *iov, unsigned int nr_iov,
		  size_t skip)
{
	for (; nr_iov; iov++, nr_iov--) {
		size_t drop = min(skip, iov->iov_len);
		size_t len = iov->iov_len - drop;

		skip -= drop;
		if (!len)
			continue;
		if (copy_segment(to, iov->iov_base + drop, len))
			return -EFAULT;
		to += len;
	}
	return 0;
}

/* Before packets are built: where @sock expects them in a frame. */
void vmnet_txbuf_begin(struct vmnet *net, struct socket *sock)
{
	size_t pad = NET_IP_ALIGN + NET_SKB_PAD + net->vqs[VMNET_TX].sock_hlen;

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_TX])->mutex);

	if (sock_flag(sock->sk, SOCK_XDP))
		pad += XDP_PACKET_HEADROOM;
	net->tx.pad = SKB_DATA_ALIGN(pad);
	net->tx.takes_pages = sock_flag(sock->sk, SOCK_ZEROCOPY) &&
			      !net->tx.pages_refused;
}

/**
 * vmnet_txbuf_build() - add a packet to the batch
 * @net: device
 * @nr_iov: entries of the transmit queue's iov that hold the packet
 * @len: its bytes, without the header that the socket does not know about
 *
 * The virtio header and the packet are copied in one go, as user access is
 * dear; moving a few bytes from there is not.
 *
 * Return: 0; -ENOSPC if the packet is too large for a frame and has to be sent
 * by itself; -EINVAL if it is malformed; -ENOMEM or -EFAULT.
 */
int vmnet_txbuf_build(struct vmnet *net, unsigned int nr_iov, size_t len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmnet_txbuf *tx = &net->tx;
	size_t hlen = nvq->sock_hlen;
	size_t size;
	void *buf;
	int ret;

	lockdep_assert_held(&vmnet_vmq(nvq)->mutex);

	if (unlikely(len < hlen))
		return -EINVAL;
	size = frame_size(tx, len);
	if (size > PAGE_SIZE)
		return -ENOSPC;

	buf = frame_cut(tx, size);
	if (unlikely(!buf)) {
		if (!vmnet_txbuf_next_block(tx, true))
			return -ENOMEM;
		buf = frame_cut(tx, size);
	}

	ret = gather(buf + tx->pad - hlen, nvq->iov, nr_iov, nvq->vhost_hlen);
	if (!ret)
		ret = frame_header(nvq, buf, tx->pad, size, len);
	if (unlikely(ret)) {
		frame_uncut(tx, size);
		return ret;
	}
	frame_queue(tx, buf, size, len - hlen);
	return 0;
}

/**
 * vmnet_txbuf_free() - give up the blocks of an empty batch
 * @tx: transmit batch
 *
 * Frames under way keep their pages.  Another socket may follow, so what was
 * learnt of this one is forgotten.
 *
 * Context: mutex of the transmit queue held.
 */
void vmnet_txbuf_free(struct vmnet_txbuf *tx)
{
	unsigned int i;

	assert_tx_held(tx);

	for (i = 0; i < VMNET_BLOCKS; i++)
		block_free(&tx->block[i]);
	tx->cur = 0;
	tx->offset = 0;
	tx->pages_refused = false;
}

/* The block in use is kept, in the first place: the others are given up. */
static void keep_one(struct vmnet_txbuf *tx)
{
	unsigned int i;

	assert_tx_held(tx);

	if (tx->cur) {
		swap(tx->block[0], tx->block[tx->cur]);
		tx->cur = 0;
	}
	for (i = 1; i < VMNET_BLOCKS; i++)
		block_free(&tx->block[i]);
}

/*
 * Give blocks back once no handler has run for a while.  An ioctl or a handler
 * that waits for a page may hold the mutex for as long as the owner likes: so
 * never wait for it.
 */
static void shrink(struct work_struct *work)
{
	struct vmnet_txbuf *tx = container_of(to_delayed_work(work),
					      struct vmnet_txbuf, shrink);
	struct vmnet *net = container_of(tx, struct vmnet, tx);
	struct mutex *mutex = &vmnet_vmq(&net->vqs[VMNET_TX])->mutex;
	bool idle;

	if (!mutex_trylock(mutex)) {
		schedule_delayed_work(&tx->shrink, SHRINK_TIME);
		return;
	}

	idle = tx->runs == tx->runs_seen;
	tx->runs_seen = tx->runs;
	if (idle) {
		keep_one(tx);
		tx->shrink_armed = false;
	} else {
		schedule_delayed_work(&tx->shrink, SHRINK_TIME);
	}
	mutex_unlock(mutex);
}

/**
 * vmnet_txbuf_end() - a run of the handler ends
 * @tx: transmit batch, which is empty
 *
 * One block is kept for as long as there is a backend, for a packet now and
 * then.
 *
 * Context: mutex of the transmit queue held.
 */
void vmnet_txbuf_end(struct vmnet_txbuf *tx)
{
	assert_tx_held(tx);

	tx->runs++;
	if (likely(tx->shrink_armed || !tx->block[1].page))
		return;
	tx->shrink_armed = true;
	schedule_delayed_work(&tx->shrink, SHRINK_TIME);
}

/**
 * vmnet_txbuf_init() - before the first run of the handler
 * @tx: transmit batch, zeroed
 */
void vmnet_txbuf_init(struct vmnet_txbuf *tx)
{
	INIT_DELAYED_WORK(&tx->shrink, shrink);
}

/**
 * vmnet_txbuf_destroy() - after the last
 * @tx: transmit batch without blocks
 *
 * Context: may sleep.
 */
void vmnet_txbuf_destroy(struct vmnet_txbuf *tx)
{
	cancel_delayed_work_sync(&tx->shrink);
}
