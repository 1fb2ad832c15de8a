// SPDX-License-Identifier: GPL-2.0
/*
 * Transmit: from the driver's buffers to the socket.  Runs in the worker, under
 * the mutex of the transmit queue.
 */
#include <linux/if_tun.h>
#include <linux/net.h>
#include <linux/uio.h>
#include <net/sock.h>

#include "net.h"

/*
 * Send the batch.  It is empty afterwards, whatever happens: a tap either takes
 * all frames over, or (having lost its device) none, and then they are dropped.
 *
 * After an error the packets are lost, as they are on a wire without a peer.
 * Their buffers are not: the driver gets them back.
 */
static void send_batch(struct vmnet *net, struct socket *sock)
{
	struct vmnet_txbuf *tx = &net->tx;
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

	lockdep_assert_held(&vmnet_vmq(&net->vqs[VMNET_TX])->mutex);

	if (!tx->batched)
		return;

	if (unlikely(sock->ops->sendmsg(sock, &msg, 0) < 0)) {
		for (i = 0; i < tx->batched; i++)
			put_page(virt_to_head_page(tx->xdp[i].data));
		vmq_err(vmnet_vmq(&net->vqs[VMNET_TX]),
			"Fail to send a batch of packets\n");
	}
	tx->batched = 0;
}

/* Send the batch, then give all buffers carried so far back to the driver. */
static void flush_batch(struct vmnet *net, struct socket *sock)
{
	send_batch(net, sock);
	vmnet_signal_used(&net->vqs[VMNET_TX]);
}

/* Does the next packet follow at once? */
static bool more_to_come(struct vmnet_vq *nvq, size_t total_len)
{
	return total_len < VMNET_BYTE_WEIGHT &&
	       !vmq_avail_empty(vmnet_vmq(nvq));
}

/*
 * What the socket said of a packet: an error if it has to be sent again later,
 * 0 if it is sent or lost.
 */
static int check_sent(int ret, size_t len)
{
	if (ret == -EAGAIN || ret == -ENOMEM || ret == -ENOBUFS)
		return ret;
	if (unlikely(ret < 0))
		pr_debug("Fail to send packet: error %d\n", ret);
	else if (unlikely(ret != len))
		pr_debug("Truncated packet: sent %d of %zu\n", ret, len);
	return 0;
}

static int send_single(struct vmnet_vq *nvq, struct socket *sock,
		       unsigned int nr_iov, size_t len, bool more)
{
	struct msghdr msg = {
		.msg_flags = MSG_DONTWAIT | (more ? MSG_MORE : 0),
	};

	iov_iter_init(&msg.msg_iter, ITER_SOURCE, nvq->iov, nr_iov,
		      nvq->vhost_hlen + len);
	iov_iter_advance(&msg.msg_iter, nvq->vhost_hlen);

	return check_sent(sock->ops->sendmsg(sock, &msg, len), len);
}

/*
 * Send a packet or add it to the batch.  A packet that the socket can never
 * take is dropped: that is success.  Return an error if it has to be sent
 * again later.
 */
static int send_packet(struct vmnet *net, struct socket *sock, bool batch,
		       unsigned int nr_iov, size_t len, size_t total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	bool more;
	int ret;

	if (batch) {
		ret = vmnet_txbuf_build(net, nr_iov, len);
		if (likely(!ret))
			return 0;
		if (ret == -EINVAL) {
			pr_debug("Malformed packet: length %zu\n", len);
			return 0;
		}
		/* Keep the order: what is batched goes first. */
		flush_batch(net, sock);
		if (ret != -ENOSPC)
			return ret;
		more = false;
	} else {
		more = more_to_come(nvq, total_len);
	}

	return send_single(nvq, sock, nr_iov, len, more);
}

static int next_chain(struct vmnet *net, struct socket *sock, unsigned int *out,
		      unsigned int *in, bool *interrupted)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	int head;

	head = vmq_next(vmq, nvq->iov, UIO_MAXIOV, out, in);
	if (head == vmq->ring.num && nvq->dvq.busyloop_timeout) {
		flush_batch(net, sock);
		*interrupted = vmnet_busy_poll(net, VMNET_TX);
		head = vmq_next(vmq, nvq->iov, UIO_MAXIOV, out, in);
	}
	return head;
}

/*
 * Get the next packet.  Return its head, vmq->ring.num if there is none, or an
 * error after which the queue waits for the next kick.
 */
static int next_packet(struct vmnet *net, struct socket *sock,
		       unsigned int *nr_iov, size_t *len, bool *interrupted)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int in;
	size_t total;
	int head;

	head = next_chain(net, sock, nr_iov, &in, interrupted);
	if (unlikely(head < 0) || head == vmq->ring.num)
		return head;

	if (unlikely(in)) {
		vmq_err(vmq, "Unexpected format of TX buffer: out %u, in %u\n",
			*nr_iov, in);
		return -EFAULT;
	}

	total = iov_length(nvq->iov, *nr_iov);
	if (unlikely(total <= nvq->vhost_hlen)) {
		vmq_err(vmq,
			"Unexpected length of TX buffer: %zu, header %zu\n",
			total, nvq->vhost_hlen);
		return -EFAULT;
	}
	*len = total - nvq->vhost_hlen;
	return head;
}

static void packet_done(struct vmnet_vq *nvq, int head, size_t len)
{
	struct vmq_stats *stats = &vmnet_vmq(nvq)->stats;

	vmnet_packet_used(nvq, head);
	stats->packets++;
	stats->bytes += len - min(len, nvq->sock_hlen);
}

static void packet_retry(struct vmnet *net)
{
	struct vmq *vmq = vmnet_vmq(&net->vqs[VMNET_TX]);

	vmq->stats.retries++;
	vmq_discard(vmq, 1);
	vmnet_poll_enable(net, VMNET_TX);
}

/*
 * Send the frame above a page that vmnet_tx_direct() has built.  Return false
 * if it has to be sent again later.
 */
static bool send_large(struct vmnet *net, struct socket *sock,
		       size_t *total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	size_t len = net->tx.large.len;
	int ret;

	/* Keep the order: what is batched goes first. */
	send_batch(net, sock);
	ret = vmnet_large_send(net, sock);
	if (unlikely(ret == -EMSGSIZE)) {
		/* This socket takes it by user access only. */
		net->tx.pages_refused = true;
		net->tx.takes_pages = false;
		vmq_discard(vmnet_vmq(nvq), 1);
		return true;
	}
	if (unlikely(check_sent(ret, len))) {
		packet_retry(net);
		return false;
	}

	*total_len += len;
	vmnet_vmq(nvq)->stats.payload_kernel++;
	packet_done(nvq, net->tx.large.head, len);
	/* The driver goes on with that, whether or not it wants a call. */
	vmnet_signal_used(nvq);
	return true;
}

static void send_packets(struct vmnet *net, struct socket *sock)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_TX];
	/* Frames are not charged to the socket: batch if it has no limit. */
	bool batch = READ_ONCE(sock->sk->sk_sndbuf) == INT_MAX;
	struct vmq *vmq = vmnet_vmq(nvq);
	/* Packets, and tries that came to nothing. */
	unsigned int work = 0;
	size_t total_len = 0;

	lockdep_assert_held(&vmq->mutex);

	vmnet_txbuf_begin(net, sock);
	do {
		bool interrupted = false;
		unsigned int nr_iov, n;
		size_t len;
		int head;

		if (nvq->done == VMNET_BATCH)
			flush_batch(net, sock);

		if (batch) {
			n = vmnet_tx_direct(net,
					    min(VMNET_BATCH - nvq->done,
						VMNET_PACKET_WEIGHT - work),
					    &total_len);
			work += n;
			if (net->tx.large.len) {
				work++;
				if (!send_large(net, sock, &total_len))
					break;
				continue;
			}
			if (n)
				continue;
		} else {
			vmq->stats.payload_off++;
		}

		work++;
		head = next_packet(net, sock, &nr_iov, &len, &interrupted);
		if (unlikely(head < 0))
			break;
		if (head == vmq->ring.num) {
			/*
			 * Before notifications are enabled: a driver that adds
			 * a buffer while the batch is sent need not kick.
			 */
			flush_batch(net, sock);
			if (vmnet_ring_refilled(&nvq->dvq, interrupted))
				continue;
			break;
		}

		total_len += len;
		if (send_packet(net, sock, batch, nr_iov, len, total_len)) {
			packet_retry(net);
			break;
		}
		vmq->stats.payload_user++;
		packet_done(nvq, head, len);
	} while (likely(!vmdev_exceeds_weight(&nvq->dvq, work, total_len)));

	flush_batch(net, sock);
	vmnet_txbuf_end(&net->tx);
}

/* Send what the driver made available. */
static void handle_tx(struct vmnet *net)
{
	struct vmdev_vq *dvq = &net->vqs[VMNET_TX].dvq;
	struct vmq *vmq = &dvq->vmq;
	struct socket *sock;

	mutex_lock(&vmq->mutex);
	sock = dvq->backend;
	if (sock) {
		vmq_disable_notify(vmq);
		vmnet_poll_disable(net, VMNET_TX);
		send_packets(net, sock);
		vmq_burst_drop(vmq);
	}
	mutex_unlock(&vmq->mutex);
}

/**
 * vmnet_handle_tx_kick() - the driver has kicked the transmit queue
 * @work: the work of the queue's kick
 *
 * Context: worker.
 */
void vmnet_handle_tx_kick(struct vmdev_work *work)
{
	struct vmdev_vq *dvq = container_of(work, struct vmdev_vq, poll.work);

	handle_tx(vmnet_from_vq(dvq));
}

/**
 * vmnet_handle_tx_socket() - the socket has room again
 * @work: the work of the transmit queue's socket
 *
 * Context: worker.
 */
void vmnet_handle_tx_socket(struct vmdev_work *work)
{
	handle_tx(container_of(work, struct vmnet, poll[VMNET_TX].work));
}
