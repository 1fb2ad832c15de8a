// SPDX-License-Identifier: GPL-2.0
/*
 * Frames between two stations that do not exist, neither of them the tap.
 */
#include <arpa/inet.h>
#include <linux/virtio_net.h>
#include <netinet/in.h>
#include <string.h>

#include "frame.h"

/* An EtherType reserved for local experiments: no protocol answers to it. */
#define ETHERTYPE	0x88b5
#define IP_LEN		20
#define TCP_LEN		(GSO_HDRS - ETH_HLEN - IP_LEN)
/* Of the checksum in a TCP header. */
#define TCP_CHECKSUM	16

static void ethernet(uint8_t *frame, uint16_t type)
{
	static const struct ethhdr eth = {
		.h_dest = { 0x02, 0, 0, 0, 0, 1 },
		.h_source = { 0x02, 0, 0, 0, 0, 2 },
	};

	memcpy(frame, &eth, ETH_HLEN);
	frame[12] = type >> 8;
	frame[13] = type & 0xff;
}

void frame_plain(uint8_t *frame, uint64_t seq)
{
	ethernet(frame, ETHERTYPE);
	memcpy(frame + ETH_HLEN, &seq, sizeof(seq));
}

static void put16(uint8_t *p, uint16_t value)
{
	value = htons(value);
	memcpy(p, &value, sizeof(value));
}

/* The sum of the 16-bit words, in one's complement. */
static uint16_t sum(const uint8_t *p, size_t size, uint32_t total)
{
	for (size_t i = 0; i < size; i += 2)
		total += p[i] << 8 | p[i + 1];
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return total;
}

void frame_gso_headers(void *virtio, uint8_t *frame, size_t size)
{
	const struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = GSO_HDRS,
		.gso_size = GSO_SEGMENT,
		.csum_start = ETH_HLEN + IP_LEN,
		.csum_offset = TCP_CHECKSUM,
	};
	uint8_t *ip = frame + ETH_HLEN, *tcp = ip + IP_LEN;

	memcpy(virtio, &hdr, sizeof(hdr));
	memset(frame, 0, GSO_HDRS);
	ethernet(frame, ETH_P_IP);

	ip[0] = 0x45;
	put16(ip + 2, size - ETH_HLEN);
	ip[8] = 64;
	ip[9] = IPPROTO_TCP;
	/* 192.0.2.1 and .2, for documentation. */
	memcpy(ip + 12, "\300\0\2\1\300\0\2\2", 8);
	put16(ip + 10, ~sum(ip, IP_LEN, 0));

	put16(tcp, 49152);
	put16(tcp + 2, 49153);
	tcp[12] = TCP_LEN / 4 << 4;
	/* ACK. */
	tcp[13] = 0x10;
	put16(tcp + 14, 65535);
	/* Two of no operation, then timestamps. */
	memcpy(tcp + 20, "\1\1\10\12", 4);
	/* Of the pseudo header alone: who cuts the packet does the rest. */
	put16(tcp + TCP_CHECKSUM, sum(ip + 12, 8, IPPROTO_TCP + size - ETH_HLEN - IP_LEN));
}

void frame_gso_seq(uint8_t *data, size_t size, uint64_t seq)
{
	memcpy(data, &seq, sizeof(seq));
	memcpy(data + size - sizeof(seq), &seq, sizeof(seq));
}
