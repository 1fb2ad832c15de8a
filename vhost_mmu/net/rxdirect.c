// SPDX-License-Identifier: GPL-2.0
/*
 * Receive by kernel address: packets from the tap's pointer ring are written
 * into the driver's buffers, many in one reader section, and the socket takes
 * no part.
 *
 * What the socket would do, the header and the counters of its device, is done
 * here as tun and tap do it.  How a tap is set up is its own secret, so now and
 * then a packet goes through the socket: while that has the length expected, the
 * others need not.
 *
 * Whatever is out of the ordinary is left as it is, packet and buffers, and goes
 * through the socket as well.
 */
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>
#include <net/rtnetlink.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "net.h"
#include "../virtqueue/direct.h"

/* Packets between two looks at the tap */
#define TAP_TRUST 1024

/* Sections that may turn out too short for one and the same packet */
#define MAX_SHORT 8

/* A tap may be told to use the other byte order where this is configured. */
#define HEADER_IS_LE (virtio_legacy_is_little_endian() && \
		      !IS_ENABLED(CONFIG_TUN_VNET_CROSS_LE))

#define VLAN_OFFSET offsetof(struct vlan_ethhdr, h_vlan_proto)

/**
 * struct rx_packet - a packet that the tap has for us
 * @skb: NULL for an XDP frame
 * @data: its linear part
 * @len: its bytes, the VLAN tag included
 * @linear: @data is all of it
 * @hdr: header for the driver
 */
struct rx_packet {
	const struct sk_buff *skb;
	const void *data;
	size_t len;
	bool linear;
	struct virtio_net_hdr_mrg_rxbuf hdr;
};

/**
 * struct rx_burst - what one section carried
 * @packets: packets
 * @bytes: their bytes
 * @frames: of the packets, the XDP frames
 */
struct rx_burst {
	unsigned int packets;
	unsigned int frames;
	size_t bytes;
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
			skb->vlan_proto, htons(skb_vlan_tag_get(skb)),
		};

		put(sink, tag, sizeof(tag));
	}
	ok = ok && put_pieces(sink, &seq, tag_at, skb->len);
	skb_abort_seq_read(&seq);
	return ok;
}

static bool has_mrg_rxbuf(const struct vmnet_vq *nvq)
{
	return vmq_has_feature(&nvq->vq.vmq, VIRTIO_NET_F_MRG_RXBUF);
}

/* Leave the last @n chains to be taken again. */
static void put_back(struct vmq *vq, unsigned int n)
{
	if (n > vq->burst->next) {
		/* The ring was read since: what came before is forgotten. */
		vmq_discard(vq, n);
		return;
	}
	while (n--)
		vmq_put_back(vq);
}

static void fill_used(const struct vmnet_vq *nvq, unsigned int i, int head,
		      size_t len)
{
	struct vring_used_elem *elem = &nvq->heads[nvq->done + i];

	elem->id = vmnet_virtio32(nvq, head);
	elem->len = vmnet_virtio32(nvq, len);
}

/* As vmq_next_direct(), for a chain that can receive; 0 or an error. */
static __always_inline int next_chain(struct vmnet_vq *nvq, unsigned int seg,
				      unsigned int *in, int *head)
{
	struct vmq *vq = &nvq->vq.vmq;
	unsigned int out;

	*head = vmq_next_direct(vq, nvq->iov + seg, UIO_MAXIOV - seg, &out, in);
	if (unlikely(*head < 0))
		return *head;
	if (unlikely(*head == vq->ring.num))
		return -ENOBUFS;
	if (unlikely(out || !*in)) {
		vmq_put_back(vq);
		return -EINVAL;
	}
	return 0;
}

/*
 * The packet does not lie in one piece, or not in one buffer.  Its first chain,
 * @head, has the first @seg entries of iov.  Return how many chains it takes.
 */
static noinline int put_scattered(struct vmnet_vq *nvq, struct rx_packet *p,
				  size_t hlen, int head, unsigned int *nr_seg)
{
	size_t left = hlen + p->len;
	unsigned int seg = 0, in = *nr_seg, count = 0;
	struct rx_sink sink = { .iov = nvq->iov };
	size_t use;
	int ret;

	for (;;) {
		use = min(iov_length(nvq->iov + seg, in), left);
		fill_used(nvq, count++, head, use);
		left -= use;
		seg += in;
		if (!left)
			break;

		ret = -EINVAL;
		if (unlikely(!has_mrg_rxbuf(nvq) || seg >= UIO_MAXIOV))
			goto err_put_back;
		ret = next_chain(nvq, seg, &in, &head);
		if (unlikely(ret))
			goto err_put_back;
	}

	p->hdr.num_buffers = vmnet_virtio16(nvq, count);
	put(&sink, &p->hdr, hlen);
	if (p->linear) {
		put(&sink, p->data, p->len);
	} else if (unlikely(!put_skb(&sink, p->skb))) {
		ret = -EINVAL;
		goto err_put_back;
	}

	*nr_seg = seg;
	return count;

err_put_back:
	put_back(&nvq->vq.vmq, count);
	return ret;
}

/*
 * Look at a packet, and make the header.  @dev is the device that it has to come
 * from, if that matters.  False if it is not for us.
 */
static __always_inline bool look_at(struct rx_packet *p, void *ptr,
				    const struct net_device *dev, bool has_hdr)
{
	const struct sk_buff *skb = ptr;
	int vlan_hlen;

	memset(&p->hdr, 0, sizeof(p->hdr));

	if (unlikely(tun_is_xdp_frame(ptr))) {
		const struct xdp_frame *frame = tun_ptr_to_xdp(ptr);

		p->skb = NULL;
		p->data = frame->data;
		p->len = frame->len;
		p->linear = true;
		return true;
	}

	if (unlikely(dev && skb->dev != dev))
		return false;

	vlan_hlen = skb_vlan_tag_present(skb) ? VLAN_HLEN : 0;
	p->skb = skb;
	p->data = skb->data;
	p->len = skb->len + vlan_hlen;
	p->linear = !vlan_hlen && !skb_is_nonlinear(skb);
	return !has_hdr || !virtio_net_hdr_from_skb(skb, &p->hdr.hdr, true,
						    true, vlan_hlen);
}

/*
 * Write one packet.  Return how many chains it takes and in @nr_seg how many
 * buffers; -ENOBUFS if they do not suffice, -EAGAIN if they are not to be had
 * now, or another error if it is not for us.
 */
static __always_inline int put_packet(struct vmnet_vq *nvq, struct rx_packet *p,
				      size_t hlen, unsigned int *nr_seg)
{
	const struct iovec *iov = nvq->iov;
	int head, ret;
	void *to;

	ret = next_chain(nvq, 0, nr_seg, &head);
	if (unlikely(ret))
		return ret;

	if (unlikely(!p->linear || iov->iov_len < hlen + p->len))
		return put_scattered(nvq, p, hlen, head, nr_seg);

	p->hdr.num_buffers = vmnet_virtio16(nvq, 1);
	to = vmq_direct_addr(iov);
	if (likely(hlen == sizeof(p->hdr)))
		memcpy(to, &p->hdr, sizeof(p->hdr));
	else
		memcpy(to, &p->hdr, sizeof(p->hdr.hdr));
	memcpy(to + hlen, p->data, p->len);
	fill_used(nvq, 0, head, hlen + p->len);
	return 1;
}

/*
 * Write packets until the section, the batch or @max_packets and @max_bytes are
 * used up; the same errors as put_packet(), or 0.
 */
static int put_packets(struct vmnet *net, const struct net_device *dev,
		       unsigned int max_packets, size_t max_bytes,
		       struct rx_burst *burst)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	const bool has_hdr = nvq->sock_hlen;
	const size_t hlen = nvq->sock_hlen + nvq->vhost_hlen;
	struct vmnet_rxbuf *rx = &net->rx;
	unsigned int seg, segs = 0, head = rx->head;
	struct rx_packet p;
	int ret = 0;

	max_packets = min(max_packets, rx->tail - rx->head);
	max_bytes = min_t(size_t, max_bytes, VMQ_SECTION_BYTES);

	do {
		if (unlikely(!look_at(&p, rx->queue[head], dev, has_hdr))) {
			ret = -EINVAL;
			break;
		}
		ret = put_packet(nvq, &p, hlen, &seg);
		if (unlikely(ret < 0))
			break;

		nvq->done += ret;
		ret = 0;
		head++;
		segs += seg;
		burst->frames += !p.skb;
		burst->bytes += p.len;
	} while (head - rx->head < max_packets && segs < VMQ_SECTION_DESCS &&
		 nvq->done <= VMNET_BATCH &&
		 burst->bytes + (head - rx->head) * hlen < max_bytes);

	burst->packets = head - rx->head;
	rx->head = head;
	return ret;
}

/*
 * The device whose counters are to be kept, in *@dev; NULL if there are none to
 * keep.  False if it is gone: a packet and the tap hold no reference to it.
 */
static bool find_device(const struct vmnet_tap *tap, const struct sock *sk,
			struct net_device **dev)
{
	*dev = NULL;
	if (!tap->ifindex)
		return true;
	*dev = dev_get_by_index_rcu(sock_net(sk), tap->ifindex);
	return *dev && (*dev)->rtnl_link_ops == tap->ops;
}

/* tun counts the header of an XDP frame, but not that of a packet. */
static void count_packets(struct vmnet_vq *nvq, struct net_device *dev,
			  const struct rx_burst *burst)
{
	struct vmq_stats *stats = &nvq->vq.vmq.stats;

	stats->packets += burst->packets;
	stats->bytes += burst->bytes;
	stats->payload_kernel += burst->packets;

	if (dev) {
		preempt_disable();
		dev_sw_netstats_tx_add(dev, burst->packets, burst->bytes +
				       burst->frames * nvq->sock_hlen);
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

/* One section; the same errors as put_packet(), or 0. */
static int carry_burst(struct vmnet *net, struct socket *sock,
		       unsigned int max_packets, size_t max_bytes,
		       struct rx_burst *burst)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	void **first = &net->rx.queue[net->rx.head];
	struct vmq *vq = &nvq->vq.vmq;
	struct net_device *dev;
	int ret = -ENODEV;

	if (!vmq_direct_begin(vq))
		return -EPERM;

	rcu_read_lock();
	if (likely(find_device(&net->rx.tap, sock->sk, &dev))) {
		ret = put_packets(net, dev, max_packets, max_bytes, burst);
		if (burst->packets)
			count_packets(nvq, dev, burst);
	}
	rcu_read_unlock();
	vmq_direct_end(vq);

	if (unlikely(ret == -ENODEV))
		vq->stats.payload_off++;
	free_packets(first, burst->packets);
	return ret;
}

/**
 * vmnet_rxdirect() - deliver packets past the socket
 * @net: device, the first packet being in its receive batch
 * @sock: where they come from
 * @max_packets: how many at most
 * @max_bytes: where to stop, headers included
 * @total_len: the bytes, headers included, are added to it
 *
 * Packets of the batch are delivered until one cannot be, a section is used up,
 * or a limit is reached.
 *
 * Return: the number of packets; 0 if the next one has to go through the socket.
 */
unsigned int vmnet_rxdirect(struct vmnet *net, struct socket *sock,
			    unsigned int max_packets, size_t max_bytes,
			    size_t *total_len)
{
	struct vmnet_vq *nvq = &net->vqs[VMNET_RX];
	struct vmnet_tap *tap = &net->rx.tap;
	struct vmq *vq = &nvq->vq.vmq;
	struct rx_burst burst = {};
	unsigned int too_short = 0;
	int ret;

	if (!tap->known || !tap->left || tap->hlen != nvq->sock_hlen) {
		vq->stats.payload_off++;
		return 0;
	}

	/* Used entries cannot be written in the section. */
	if (nvq->done + net->rx.tail - net->rx.head > VMNET_BATCH)
		vmnet_signal_used(nvq);

	for (;;) {
		ret = carry_burst(net, sock, max_packets, max_bytes, &burst);
		if (burst.packets || ret != -EAGAIN)
			break;
		if (vq->tlb->miss == VMQ_MISS_NONE && ++too_short > MAX_SHORT) {
			ret = -EINVAL;
			break;
		}
		if (!vmq_direct_resolve(vq))
			break;
	}

	if (ret == -EINVAL && !burst.packets)
		vq->stats.payload_shape++;
	tap->left -= min(burst.packets, tap->left);
	*total_len += burst.bytes + burst.packets *
				    (nvq->sock_hlen + nvq->vhost_hlen);
	return burst.packets;
}

/*
 * A packet's device may be gone: its pointer means something only if it is one
 * of the devices that are there.  Those that are not tun have other counters.
 */
static bool learn_device(struct vmnet_tap *tap, const struct socket *sock,
			 const struct sk_buff *skb)
{
	struct net_device *dev;

	tap->ifindex = 0;
	/* macvtap and ipvtap keep no counters here. */
	if (IS_ERR(tun_get_tx_ring(sock->file)))
		return true;

	rcu_read_lock();
	for_each_netdev_rcu(sock_net(sock->sk), dev) {
		if (dev != skb->dev)
			continue;
		if (dev->rtnl_link_ops &&
		    !strcmp(dev->rtnl_link_ops->kind, "tun")) {
			tap->ifindex = dev->ifindex;
			tap->ops = dev->rtnl_link_ops;
		}
		break;
	}
	rcu_read_unlock();
	return tap->ifindex;
}

/**
 * vmnet_tap_look() - a packet is about to go through the socket
 * @net: device
 * @sock: a tap that has a pointer ring
 * @packet: the packet
 */
void vmnet_tap_look(struct vmnet *net, struct socket *sock, void *packet)
{
	struct vmnet_tap *tap = &net->rx.tap;

	if (tap->left) {
		tap->left--;
		return;
	}

	/* An XDP frame does not know the tap's device. */
	if (!tun_is_xdp_frame(packet))
		tap->known = HEADER_IS_LE && learn_device(tap, sock, packet);
	if (!tun_is_xdp_frame(packet) || tap->known)
		tap->left = TAP_TRUST;
}

/**
 * vmnet_tap_seen() - a packet went through the socket
 * @net: device
 * @frame: it was an XDP frame
 * @expected: it had the length expected
 *
 * An XDP frame has no struct tun_pi, so it does not tell that others have none.
 */
void vmnet_tap_seen(struct vmnet *net, bool frame, bool expected)
{
	struct vmnet_tap *tap = &net->rx.tap;

	if (!expected)
		tap->hlen = VMNET_HLEN_UNKNOWN;
	else if (!frame)
		tap->hlen = net->vqs[VMNET_RX].sock_hlen;
}

/**
 * vmnet_tap_forget() - another tap may follow
 * @tap: what was seen of the last
 */
void vmnet_tap_forget(struct vmnet_tap *tap)
{
	memset(tap, 0, sizeof(*tap));
	tap->hlen = VMNET_HLEN_UNKNOWN;
}
