// SPDX-License-Identifier: GPL-2.0
/*
 * Receive by kernel address: packets from the tap's pointer ring are written
 * into the driver's buffers, many in one section, and the socket takes
 * no part.
 *
 * What the socket would do, the header and the counters of its device, is done
 * here as tun and tap do it.  How a tap is set up is its own secret, so now and
 * then a packet goes through the socket (see tap.c): while the socket delivers
 * it with the expected length, the others need not go that way.
 *
 * A packet that is out of the ordinary, or whose buffers are, is left alone
 * here: rx.c takes it and them through the socket.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>
#include <net/xdp.h>

#include "net.h"
#include "tun_dev.h"
#include "../virtqueue/direct.h"

/* Sections that may turn out too short for one and the same packet */
#define MAX_SHORT 8

#define VLAN_OFFSET offsetof(struct vlan_ethhdr, h_vlan_proto)

/**
 * struct rx_run - what one section carries
 * @dev: device that the packets have to come from, NULL if it does not matter
 * @hlen: header bytes of each
 * @has_skb_hdr: the header says what the packet is, else it is zero
 * @packets: packets delivered
 * @bytes: their bytes, headers included
 * @frames: of the packets, the XDP frames
 */
struct rx_run {
	struct net_device *dev;
	size_t hlen;
	bool has_skb_hdr;
	unsigned int packets;
	size_t bytes;
	unsigned int frames;
};

/**
 * struct rx_sink - where the next bytes go
 * @iov: buffers, with room for all that is put
 * @off: bytes of the first that are taken
 */
struct rx_sink {
	const struct iovec *iov;
	size_t off;
};

static void put(struct rx_sink *sink, const void *from, size_t len)
{
	size_t n;

	while (len) {
		n = min(len, sink->iov->iov_len - sink->off);
		memcpy(vmq_direct_addr(sink->iov) + sink->off, from, n);
		from += n;
		len -= n;
		sink->off += n;
		if (sink->off == sink->iov->iov_len) {
			sink->iov++;
			sink->off = 0;
		}
	}
}

/* Bytes of a packet in pieces; the state goes from one call to the next. */
static bool put_pieces(struct rx_sink *sink, struct skb_seq_state *seq,
		       unsigned int from, unsigned int to)
{
	const u8 *data;
	size_t n;

	while (from < to) {
		n = skb_seq_read(from, &data, seq);
		if (unlikely(!n))
			return false;
		n = min_t(size_t, n, to - from);
		put(sink, data, n);
		from += n;
	}
	return true;
}

static bool put_skb(struct rx_sink *sink, const struct sk_buff *skb)
{
	unsigned int tag_at = skb_vlan_tag_present(skb) ? VLAN_OFFSET : 0;
	struct skb_seq_state seq;
	bool ok;

	if (unlikely(skb->len < tag_at))
		return false;

	skb_prepare_seq_read((struct sk_buff *)skb, 0, skb->len, &seq);
	ok = put_pieces(sink, &seq, 0, tag_at);
	if (ok && tag_at) {
		const __be16 tag[] = {
			skb->vlan_proto,
			htons(skb_vlan_tag_get(skb)),
		};

		put(sink, tag, sizeof(tag));
	}
	ok = ok && put_pieces(sink, &seq, tag_at, skb->len);
	skb_abort_seq_read(&seq);
	return ok;
}

static bool has_mrg_rxbuf(const struct vmnet_vq *nvq)
{
	return vmnet_has_feature(nvq, VIRTIO_NET_F_MRG_RXBUF);
}

static void fill_used(const struct vmnet_vq *nvq, unsigned int i, int head,
		      size_t len)
{
	struct vring_used_elem *elem = &nvq->heads[nvq->done + i];

	elem->id = vmnet_virtio32(nvq, head);
	elem->len = vmnet_virtio32(nvq, len);
}

/*
 * Take a chain to receive into; its entries of iov start at @seg.  Return 0,
 * -ENOBUFS if there is none, or another error as put_packet().
 */
static int take_chain(struct vmnet_vq *nvq, unsigned int seg, unsigned int *in,
		      int *head)
{
	struct iovec *iov = nvq->iov + seg;
	struct vmq *vmq = vmnet_vmq(nvq);
	unsigned int out;
	void *addr;

	*head = vmq_next_buffer(vmq, true, U32_MAX, &addr, &iov->iov_len);
	if (likely(*head >= 0)) {
		iov->iov_base = (__force void __user *)addr;
		*in = 1;
		return 0;
	}

	*head = vmq_next_direct(vmq, iov, UIO_MAXIOV - seg, &out, in);
	if (unlikely(*head < 0))
		return *head;
	if (unlikely(*head == vmq->ring.num))
		return -ENOBUFS;
	if (unlikely(out || !*in)) {
		vmq_put_back(vmq);
		return -EINVAL;
	}
	return 0;
}

/* The header of a packet; false if there is none that says what it is. */
static __always_inline bool make_header(struct virtio_net_hdr *hdr,
					const struct sk_buff *skb,
					const struct rx_run *run, int vlan_hlen)
{
	if (likely(run->has_skb_hdr))
		return !virtio_net_hdr_from_skb(skb, hdr, true, true,
						vlan_hlen);
	memset(hdr, 0, sizeof(*hdr));
	return true;
}

static bool put_any(struct rx_sink *sink, void *ptr, const struct rx_run *run,
		    __virtio16 num_buffers)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = num_buffers };
	const struct xdp_frame *frame;

	if (tun_is_xdp_frame(ptr)) {
		frame = tun_ptr_to_xdp(ptr);
		put(sink, &hdr, run->hlen);
		put(sink, frame->data, frame->len);
		return true;
	}

	if (!make_header(&hdr.hdr, ptr, run,
			 skb_vlan_tag_present((struct sk_buff *)ptr) ?
			 VLAN_HLEN : 0))
		return false;
	put(sink, &hdr, run->hlen);
	return put_skb(sink, ptr);
}

/*
 * Write any packet, wherever its chains lie.  Return as put_packet().
 *
 * Not inline, to keep put_packet() short.
 */
static noinline int put_scattered(struct vmnet_vq *nvq, struct rx_run *run,
				  void *ptr)
{
	const size_t size = run->hlen + vmnet_packet_len(ptr);
	struct rx_sink sink = { .iov = nvq->iov };
	unsigned int in, seg = 0, count = 0;
	size_t use, left = size;
	int head, ret;

	do {
		ret = -EINVAL;
		if (unlikely((count && !has_mrg_rxbuf(nvq)) ||
			     seg >= UIO_MAXIOV))
			goto err_put_back;
		ret = take_chain(nvq, seg, &in, &head);
		if (unlikely(ret))
			goto err_put_back;

		use = min(iov_length(nvq->iov + seg, in), left);
		fill_used(nvq, count++, head, use);
		left -= use;
		seg += in;
	} while (left);

	ret = -EINVAL;
	if (unlikely(!put_any(&sink, ptr, run, vmnet_virtio16(nvq, count)))) {
		/* Some of it may be in the buffers. */
		vmq_log_written_direct(vmnet_vmq(nvq), size);
		goto err_put_back;
	}

	vmq_log_written_direct(vmnet_vmq(nvq), size);
	run->bytes += size;
	run->frames += tun_is_xdp_frame(ptr);
	return count;

err_put_back:
	vmq_put_back_chains(vmnet_vmq(nvq), count);
	return ret;
}

static bool from_device(void *ptr, const struct net_device *dev)
{
	return !dev || tun_is_xdp_frame(ptr) ||
	       ((struct sk_buff *)ptr)->dev == dev;
}

/*
 * Write one packet.  Return how many chains it takes; -ENOBUFS if the ring
 * holds too few, -EAGAIN if they cannot be taken now, or another error if the
 * packet has to go through the socket.  After an error nothing has happened.
 */
static __always_inline int put_packet(struct vmnet_vq *nvq, struct rx_run *run,
				      void *ptr)
{
	struct virtio_net_hdr_mrg_rxbuf *hdr;
	const struct sk_buff *skb = ptr;
	struct vmq *vmq = vmnet_vmq(nvq);
	size_t size, room;
	void *to;
	int head;

	if (unlikely(!from_device(ptr, run->dev)))
		return -EINVAL;

	/* What follows is for a packet in one piece and for one buffer. */
	if (unlikely(tun_is_xdp_frame(ptr) || skb_is_nonlinear(skb) ||
		     skb_vlan_tag_present(skb)))
		return put_scattered(nvq, run, ptr);
	size = run->hlen + skb->len;
	head = vmq_next_buffer(vmq, true, size, &to, &room);
	if (unlikely(head < 0))
		return put_scattered(nvq, run, ptr);

	hdr = to;
	if (unlikely(room < size ||
		     !IS_ALIGNED((unsigned long)to, __alignof__(*hdr)))) {
		vmq_put_back(vmq);
		return put_scattered(nvq, run, ptr);
	}
	if (unlikely(!make_header(&hdr->hdr, skb, run, 0))) {
		vmq_put_back(vmq);
		return -EINVAL;
	}
	if (likely(run->hlen == sizeof(*hdr)))
		hdr->num_buffers = vmnet_virtio16(nvq, 1);
	vmq_copy_to(to + run->hlen, skb->data, skb->len);
	vmq_log_written_direct(vmq, size);
	fill_used(nvq, 0, head, size);
	run->bytes += size;
	return 1;
}

/*
 * Write packets until the batch, @max_packets or @max_bytes are used up; what
 * is read of the ring and the tables has its limits in vmq_next_direct().
 * Return 0 or an error of put_packet().
 */
static int put_packets(struct vmnet *net, struct rx_run *run,
		       unsigned int max_packets, size_t max_bytes)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	struct vmnet_rxbuf *rx = &net->rx;
	void **first = &rx->queue[rx->head];
	void **end = first + min(max_packets, rx->tail - rx->head);
	void **next = first;
	int ret;

	max_bytes = min_t(size_t, max_bytes, VMQ_SECTION_BYTES);
	do {
		ret = put_packet(nvq, run, *next);
		if (unlikely(ret < 0))
			break;
		nvq->done += ret;
	} while (++next < end && run->bytes < max_bytes);

	run->packets = next - first;
	rx->head += run->packets;
	return min(ret, 0);
}

/*
 * Find the device whose counters are to be kept, if any.  False if it is gone,
 * or has moved to another namespace: neither a packet nor the tap refers to it.
 */
static bool find_device(const struct vmnet_tap *tap, struct net_device **dev)
{
	*dev = tap->dev;
	return !*dev || vmnet_tun_dev_id(*dev) == tap->dev_id;
}

/* tun counts the header of an XDP frame, but not that of a packet. */
static void count_packets(struct vmnet_vq *nvq, const struct rx_run *run)
{
	struct vmq_stats *stats = &vmnet_vmq(nvq)->stats;
	size_t bytes = run->bytes - run->packets * run->hlen;

	stats->packets += run->packets;
	stats->bytes += bytes;
	stats->payload_kernel += run->packets;

	if (run->dev) {
		preempt_disable();
		dev_sw_netstats_tx_add(run->dev, run->packets,
				       bytes + run->frames * nvq->sock_hlen);
		preempt_enable();
	}
}

static void free_packets(void **queue, unsigned int count)
{
	for (; count--; queue++) {
		if (unlikely(tun_is_xdp_frame(*queue)))
			xdp_return_frame(tun_ptr_to_xdp(*queue));
		else
			consume_skb(*queue);
	}
}

/*
 * One section.  Return 0, an error of put_packet(), or -EPERM, counted, if
 * there can be none.
 */
static int carry_run(struct vmnet *net, struct rx_run *run,
		     unsigned int max_packets, size_t max_bytes)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	void **first = &net->rx.queue[net->rx.head];
	struct vmq *vmq = vmnet_vmq(nvq);
	int ret = -EPERM;

	if (!vmq_direct_begin(vmq))
		return ret;

	rcu_read_lock();
	if (likely(find_device(&net->rx.tap, &run->dev))) {
		ret = put_packets(net, run, max_packets, max_bytes);
	} else {
		vmq->stats.payload_off++;
		/* The next packet is a probe. */
		net->rx.tap.left = 0;
	}
	vmq_direct_end(vmq);
	if (run->packets)
		count_packets(nvq, run);
	rcu_read_unlock();

	free_packets(first, run->packets);
	return ret;
}

/**
 * vmnet_rx_direct() - deliver packets past the socket
 * @net: device, the next packet being in its receive batch
 * @max_packets: how many at most
 * @max_bytes: bytes, headers included, after which to stop
 * @total_len: the bytes delivered are added to it, headers included
 *
 * Packets of the batch are delivered until one cannot be, a section is used up,
 * or a limit is reached.
 *
 * Return: the number of packets; 0 if the next has to go through the socket.
 */
unsigned int vmnet_rx_direct(struct vmnet *net, unsigned int max_packets,
			     size_t max_bytes, size_t *total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	struct vmnet_tap *tap = &net->rx.tap;
	struct vmq *vmq = vmnet_vmq(nvq);
	struct rx_run run = {
		.hlen = nvq->sock_hlen + nvq->vhost_hlen,
		.has_skb_hdr = nvq->sock_hlen,
	};
	unsigned int too_short = 0;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	if (!vmnet_tap_trusted(tap, nvq->sock_hlen)) {
		vmq->stats.payload_off++;
		return 0;
	}

	/* Used entries cannot be written in the section. */
	if (nvq->done + net->rx.tail - net->rx.head > VMNET_BATCH)
		vmnet_signal_used(nvq);

	/* Mostly each takes a chain. */
	vmq_expect(vmq, min(max_packets, net->rx.tail - net->rx.head));
	for (;;) {
		ret = carry_run(net, &run, max_packets, max_bytes);
		if (run.packets || ret != -EAGAIN)
			break;
		if (vmq_section_miss(vmq) == VMQ_MISS_SECTION &&
		    ++too_short > MAX_SHORT) {
			ret = -EINVAL;
			break;
		}
		if (!vmq_direct_resolve(vmq))
			break;
	}

	if (ret == -EINVAL && !run.packets)
		vmq->stats.payload_shape++;
	/* What goes through the socket next may take many chains. */
	if (nvq->done > VMNET_BATCH)
		vmnet_signal_used(nvq);
	tap->left -= min(run.packets, tap->left);
	*total_len += run.bytes;
	return run.packets;
}
