// SPDX-License-Identifier: GPL-2.0
/*
 * Frames above a page, sent one by one.
 *
 * Such a frame takes whole pages of the blocks that small frames are cut from,
 * in as many pieces as it takes.  The socket makes an skb as it does of pages
 * of user space that it is not to copy: a short linear head with the headers,
 * the rest as page fragments, each with a reference of its own.  It charges
 * what it pins to its send buffer and to the skb.
 *
 * But these pages are the host's, and nobody writes them until the last
 * reference is gone.  So the skb is an ordinary one: nobody has to be told when
 * it goes, and no reader of it has to copy.
 *
 * Everything is protected by the mutex of the transmit queue.
 */
#include <linux/if_tun.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/uio.h>

#include "net.h"
#include "../compat/ubuf.h"

static void assert_tx_held(struct vmnet_txbuf *tx)
{
	struct vmnet *net = container_of(tx, struct vmnet, tx);

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_TX])->mutex);
}

/* The socket has copied the frame after all. */
static void large_copied(struct sk_buff *skb, struct ubuf_info *ubuf,
			 bool success)
{
}

/*
 * Without a flag in it the skb is an ordinary one, and nobody looks at this
 * again: it need not outlive the call.
 */
static struct ubuf_info large_ubuf = VMMU_UBUF_INIT(large_copied);

/**
 * vmnet_large_reserve() - have pages for a frame
 * @tx: transmit batch
 * @len: bytes of the frame
 * @alloc: pages may be allocated, which may sleep
 *
 * What was reserved before counts.
 *
 * Context: mutex of the transmit queue held.
 * Return: false without memory, or if it takes an allocation.
 */
bool vmnet_large_reserve(struct vmnet_txbuf *tx, size_t len, bool alloc)
{
	struct vmnet_large *large = &tx->large;
	unsigned int pages = PFN_UP(len), n;
	struct vmnet_block *block;
	size_t start;

	assert_tx_held(tx);

	if (WARN_ON_ONCE(pages > VMNET_LARGE_PAGES))
		return false;
	while (large->pages < pages) {
		block = &tx->block[tx->cur];
		start = PAGE_ALIGN(tx->offset);
		if (start >= block->size) {
			if (!vmnet_txbuf_next_block(tx, alloc))
				return false;
			continue;
		}

		n = min_t(size_t, pages - large->pages,
			  PFN_DOWN(block->size - start));
		block->bias--;
		tx->offset = start + n * PAGE_SIZE;
		bvec_set_page(&large->piece[large->pieces++], block->page,
			      n * PAGE_SIZE, start);
		large->pages += n;
	}
	return true;
}

/**
 * vmnet_large_put() - let go of the pages reserved
 * @tx: transmit batch
 *
 * Those that the socket has taken stay until the skb goes.
 *
 * Context: mutex of the transmit queue held.
 */
void vmnet_large_put(struct vmnet_txbuf *tx)
{
	struct vmnet_large *large = &tx->large;

	assert_tx_held(tx);

	while (large->pieces)
		put_page(large->piece[--large->pieces].bv_page);
	large->pages = 0;
	large->len = 0;
}

/*
 * A tap with IFF_NAPI_FRAGS would take the pieces for an iovec, whose lengths
 * are those of its fragments.  It refuses more of them than an skb can have:
 * so pretend that there are, even when a long header has used some up.  Others go
 * by the length alone.
 */
static void large_iter(struct vmnet_large *large, struct iov_iter *iter)
{
	BUILD_BUG_ON(VMNET_LARGE_PAGES > MAX_SKB_FRAGS);
	BUILD_BUG_ON(ARRAY_SIZE(large->piece) <=
		     VMNET_LARGE_PAGES + MAX_SKB_FRAGS + 1);

	iov_iter_bvec(iter, ITER_SOURCE, large->piece,
		      ARRAY_SIZE(large->piece), large->len);
}

/**
 * vmnet_large_send() - send the frame above a page
 * @net: device
 * @sock: backend
 *
 * Context: mutex of the transmit queue held, may sleep.
 * Return: what the socket said: bytes, or an error.
 */
int vmnet_large_send(struct vmnet *net, struct socket *sock)
{
	struct vmnet_txbuf *tx = &net->tx;
	size_t len = tx->large.len;
	struct tun_msg_ctl ctl = {
		.type = TUN_MSG_UBUF,
		.num = 1,
		.ptr = &large_ubuf,
	};
	struct msghdr msg = {
		.msg_control = &ctl,
		.msg_controllen = sizeof(ctl),
		.msg_flags = MSG_DONTWAIT,
	};
	int ret;

	assert_tx_held(tx);

	large_iter(&tx->large, &msg.msg_iter);
	ret = sock->ops->sendmsg(sock, &msg, len);
	vmnet_large_put(tx);
	return ret;
}
