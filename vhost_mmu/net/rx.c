// SPDX-License-Identifier: GPL-2.0
/*
 * Receive: from the socket to the driver's buffers.  Runs in the worker, under
 * the mutex of the receive queue.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/net.h>
#include <linux/skbuff.h>
#include <linux/uaccess.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <net/sock.h>

#include "net.h"
#include "../virtqueue/log.h"

#define NUM_BUFFERS_OFFSET \
	offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers)

/* The length of the next packet without virtio header, 0 if there is none. */
static size_t peek_packet(struct vmnet *net, struct sock *sk)
{
	struct sk_buff *skb;
	unsigned long flags;
	size_t len = 0;

	if (net->rx.ring)
		return vmnet_rxbuf_peek_len(&net->rx);

	spin_lock_irqsave(&sk->sk_receive_queue.lock, flags);
	skb = skb_peek(&sk->sk_receive_queue);
	if (skb) {
		len = skb->len;
		if (skb_vlan_tag_present(skb))
			len += VLAN_HLEN;
	}
	spin_unlock_irqrestore(&sk->sk_receive_queue.lock, flags);

	return len;
}

static size_t next_packet(struct vmnet *net, struct sock *sk, bool *interrupted)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	size_t len = peek_packet(net, sk);

	if (!len && nvq->dvq.busyloop_timeout) {
		vmnet_signal_used(nvq);
		if (vmnet_busy_poll(net, VMNET_RX))
			*interrupted = true;
		len = peek_packet(net, sk);
	}
	return len;
}

/* Get one chain of buffers; its entries of iov start at @seg. */
static int next_chain(struct vmnet_vq *nvq, unsigned int seg, unsigned int *in)
{
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int out;
	int head;

	if (unlikely(seg >= UIO_MAXIOV))
		return -ENOBUFS;

	head = vmq_next(vmq, nvq->iov + seg, UIO_MAXIOV - seg, &out, in);
	if (unlikely(head < 0) || head == vmq->ring.num)
		return head;

	if (unlikely(out || !*in)) {
		vmq_err(vmq, "Unexpected format of RX buffer: out %u, in %u\n",
			out, *in);
		return -EINVAL;
	}
	return head;
}

/*
 * Gather chains, up to @quota, for a packet of @len bytes: their used entries
 * in heads from index done on, their buffers in iov.  Return their number, 0 if
 * the ring holds too few, -EMSGSIZE if @quota is too small, or another error
 * after which the queue waits for the next kick.
 */
static int get_buffers(struct vmnet_vq *nvq, size_t len, unsigned int quota,
		       unsigned int *nr_iov)
{
	struct vring_used_elem *elem = &nvq->heads[nvq->done];
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int count = 0;
	unsigned int seg = 0;
	unsigned int in;
	int ret;

	while (len) {
		size_t use;

		if (unlikely(count == quota)) {
			ret = -EMSGSIZE;
			goto err_discard;
		}

		ret = next_chain(nvq, seg, &in);
		if (unlikely(ret < 0))
			goto err_discard;
		if (ret == vmq->ring.num) {
			ret = 0;
			goto err_discard;
		}

		use = min(iov_length(nvq->iov + seg, in), len);
		elem[count].id = vmnet_virtio32(nvq, ret);
		elem[count].len = vmnet_virtio32(nvq, use);
		len -= use;
		seg += in;
		count++;
	}
	*nr_iov = seg;
	return count;

err_discard:
	vmq_discard(vmq, count);
	return ret;
}

static void init_iter(struct iov_iter *iter, const struct vmnet_vq *nvq,
		      unsigned int nr_iov, size_t len)
{
	if (likely(nr_iov == 1))
		iov_iter_ubuf(iter, ITER_DEST, nvq->iov->iov_base, len);
	else
		iov_iter_init(iter, ITER_DEST, nvq->iov, nr_iov, len);
}

/* Drop a packet that no set of buffers can hold; they were put back. */
static void drop_packet(struct socket *sock, void *packet)
{
	struct msghdr msg = {
		.msg_control = packet,
		.msg_flags = MSG_DONTWAIT,
	};
	char byte;
	struct kvec vec = { .iov_base = &byte, .iov_len = sizeof(byte) };

	iov_iter_kvec(&msg.msg_iter, ITER_DEST, &vec, 1, sizeof(byte));
	sock->ops->recvmsg(sock, &msg, 1, MSG_DONTWAIT | MSG_TRUNC);
	pr_debug("Discarded packet that is larger than the buffers\n");
}

/* Write the header that the driver expects and the socket knows nothing of. */
static int put_header(struct vmnet_vq *nvq, unsigned int nr_iov, size_t len)
{
	const struct virtio_net_hdr hdr = {
		.gso_type = VIRTIO_NET_HDR_GSO_NONE,
	};
	struct iov_iter iter;

	init_iter(&iter, nvq, nr_iov, len);
	if (copy_to_iter(&hdr, sizeof(hdr), &iter) == sizeof(hdr))
		return 0;

	vmq_err(vmnet_vmq(nvq), "Unable to write virtio header\n");
	return -EFAULT;
}

/*
 * The socket's header and ours end before num_buffers.  Without mergeable
 * buffers it is always 1, but virtio 1.0 wants it said.
 */
static bool has_num_buffers(const struct vmnet_vq *nvq)
{
	return vmnet_has_feature(nvq, VIRTIO_NET_F_MRG_RXBUF) ||
	       vmnet_has_feature(nvq, VIRTIO_F_VERSION_1);
}

/* Complete the header with the number of chains that hold the packet. */
static int put_num_buffers(struct vmnet_vq *nvq, unsigned int count,
			   unsigned int nr_iov, size_t len)
{
	__virtio16 num = vmnet_virtio16(nvq, count);
	const struct iovec *iov = nvq->iov;
	struct iov_iter iter;

	if (likely(iov->iov_len >= NUM_BUFFERS_OFFSET + sizeof(num) &&
		   IS_ALIGNED((unsigned long)iov->iov_base, sizeof(num)))) {
		u16 __user *to = iov->iov_base + NUM_BUFFERS_OFFSET;

		if (likely(!put_user((__force u16)num, to)))
			return 0;
	} else {
		init_iter(&iter, nvq, nr_iov, len);
		iov_iter_advance(&iter, NUM_BUFFERS_OFFSET);
		if (copy_to_iter(&num, sizeof(num), &iter) == sizeof(num))
			return 0;
	}

	vmq_err(vmnet_vmq(nvq), "Unable to write num_buffers\n");
	return -EFAULT;
}

/*
 * Receive @packet, or what the socket has next if that is NULL, into the
 * buffers gathered.  Return -EAGAIN if the socket came up with another packet
 * than expected, which is lost then; -EFAULT if a header cannot be written.
 */
static int receive_packet(struct vmnet_vq *nvq, struct socket *sock,
			  void *packet, unsigned int nr_iov, size_t sock_len)
{
	size_t len = sock_len + nvq->vhost_hlen;
	struct msghdr msg = {
		.msg_control = packet,
		.msg_flags = MSG_DONTWAIT,
	};
	int ret;

	init_iter(&msg.msg_iter, nvq, nr_iov, len);
	if (unlikely(nvq->vhost_hlen))
		iov_iter_advance(&msg.msg_iter, nvq->vhost_hlen);

	ret = sock->ops->recvmsg(sock, &msg, sock_len,
				 MSG_DONTWAIT | MSG_TRUNC);
	/* Somebody else may read from the same socket. */
	if (unlikely(ret != sock_len)) {
		pr_debug("Discarded packet: received %d, expected %zu\n", ret,
			 sock_len);
		return -EAGAIN;
	}

	if (unlikely(nvq->vhost_hlen))
		return put_header(nvq, nr_iov, len);
	return 0;
}

/*
 * Deliver one packet of @len bytes.  Return the chains used for it (0: it was
 * dropped), -ENOBUFS if there are too few buffers, or another error after which
 * the queue waits for the next kick.
 */
static int deliver_packet(struct vmnet *net, struct socket *sock, size_t len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	bool mergeable = vmnet_has_feature(nvq, VIRTIO_NET_F_MRG_RXBUF);
	unsigned int nr_iov;
	void *packet = NULL;
	int count, ret;

	lockdep_assert_held(&vmnet_vmq(nvq)->mutex);

	count = get_buffers(nvq, len + nvq->sock_hlen + nvq->vhost_hlen,
			    mergeable ? UIO_MAXIOV : 1, &nr_iov);
	if (!count)
		return -ENOBUFS;
	if (unlikely(count < 0 && count != -EMSGSIZE))
		return -EIO;

	if (net->rx.ring)
		packet = vmnet_rxbuf_consume(&net->rx);

	if (unlikely(count < 0)) {
		drop_packet(sock, packet);
		return 0;
	}

	if (packet)
		vmnet_tap_probe(&net->rx.tap, sock, packet);
	ret = receive_packet(nvq, sock, packet, nr_iov, len + nvq->sock_hlen);
	if (packet)
		vmnet_tap_probe_done(&net->rx.tap, tun_is_xdp_frame(packet),
				     ret == -EAGAIN ? VMNET_HLEN_UNKNOWN :
						      nvq->sock_hlen);
	if (!ret && has_num_buffers(nvq))
		ret = put_num_buffers(nvq, count, nr_iov,
				      len + nvq->sock_hlen + nvq->vhost_hlen);
	/* Whatever came of it: some of it may be in the buffers. */
	vmq_log_written(vmnet_vmq(nvq),
			len + nvq->sock_hlen + nvq->vhost_hlen);
	if (unlikely(ret)) {
		vmq_discard(vmnet_vmq(nvq), count);
		return ret == -EAGAIN ? 0 : ret;
	}
	return count;
}

static void packet_done(struct vmnet_vq *nvq, unsigned int count, size_t len)
{
	struct vmq_stats *stats = &vmnet_vmq(nvq)->stats;

	stats->packets++;
	stats->bytes += len;
	stats->payload_user++;

	nvq->done += count;
	if (nvq->done > VMNET_BATCH)
		vmnet_signal_used(nvq);
}

/* Return the number of packets delivered, by whichever way. */
static unsigned int receive_packets(struct vmnet *net, struct socket *sock)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	/* Packets, and tries that came to nothing. */
	unsigned int work = 0, packets = 0;
	bool interrupted = false;
	size_t total_len = 0;
	size_t len;

	lockdep_assert_held(&vmnet_vmq(nvq)->mutex);

	do {
		unsigned int n;
		int ret;

		len = next_packet(net, sock->sk, &interrupted);
		if (!len)
			break;

		n = vmnet_rx_direct(net, VMNET_PACKET_WEIGHT - work,
				    VMNET_BYTE_WEIGHT - total_len, &total_len);
		if (likely(n)) {
			interrupted = false;
			work += n;
			packets += n;
			continue;
		}

		work++;
		ret = deliver_packet(net, sock, len);
		if (ret == -ENOBUFS) {
			if (vmnet_ring_refilled(&nvq->dvq, interrupted))
				continue;
			/* The driver kicks when it has added buffers. */
			return packets;
		}
		if (unlikely(ret < 0))
			return packets;

		interrupted = false;
		if (unlikely(!ret))
			continue;

		packet_done(nvq, ret, len);
		packets++;
		total_len += len + nvq->sock_hlen + nvq->vhost_hlen;
	} while (likely(!vmdev_exceeds_weight(&nvq->dvq, work, total_len)));

	if (unlikely(interrupted))
		vmdev_poll_queue(&nvq->dvq.poll);
	else if (!len)
		vmnet_poll_enable(net, VMNET_RX);
	return packets;
}

/* Deliver what the socket has to the driver. */
static void handle_rx(struct vmnet *net)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int packets;
	struct socket *sock;

	mutex_lock(&vmq->mutex);
	sock = nvq->dvq.backend;
	if (sock) {
		vmq_disable_notify(vmq);
		vmnet_poll_disable(net, VMNET_RX);
		vmnet_coalesce_begin(net);
		packets = receive_packets(net, sock);
		vmnet_coalesce_end(net, packets);
		vmnet_signal_used(nvq);
		vmq_burst_drop(vmq);
	}
	mutex_unlock(&vmq->mutex);
}

/**
 * vmnet_handle_rx_kick() - the driver has kicked the receive queue
 * @work: the work of the queue's kick
 *
 * Context: worker.
 */
void vmnet_handle_rx_kick(struct vmdev_work *work)
{
	struct vmdev_vq *dvq = container_of(work, struct vmdev_vq, poll.work);

	handle_rx(vmnet_from_vq(dvq));
}

/**
 * vmnet_handle_rx_socket() - the socket has a packet
 * @work: the work of the receive queue's socket
 *
 * Context: worker.
 */
void vmnet_handle_rx_socket(struct vmdev_work *work)
{
	handle_rx(container_of(work, struct vmnet, poll[VMNET_RX].work));
}
