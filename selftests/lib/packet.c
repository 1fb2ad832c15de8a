// SPDX-License-Identifier: GPL-2.0
/*
 * Packets whose every byte follows from stream, sequence number and length:
 * the receiver needs no copy of what was sent to find one wrong bit.
 */
#include "vhost_test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MAGIC	0x56484d55u

struct payload {
	uint32_t magic;
	uint32_t stream;
	uint64_t seq;
	uint32_t len;
	uint32_t sum;
};

_Static_assert(sizeof(struct payload) == VT_PATTERN_MIN, "payload header");

/* A bijection that spreads its input over all bits (splitmix64's finish). */
static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* Eight bytes of the body at @off, which is a multiple of 8. */
static uint64_t word_at(uint64_t key, size_t off)
{
	return (key + off) * 0x9e3779b97f4a7c15ULL;
}

static uint64_t stream_key(uint32_t stream, uint64_t seq)
{
	return mix(seq * 2 + 1) ^ ((uint64_t)stream << 32);
}

static uint32_t checksum(const unsigned char *p, size_t len)
{
	uint64_t sum = len, w;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&w, p, 8);
		sum = (sum << 7 | sum >> 57) ^ w;
	}
	for (; len; len--, p++)
		sum = (sum << 7 | sum >> 57) ^ *p;
	return mix(sum);
}

void vt_pattern_fill(void *buf, size_t len, uint32_t stream, uint64_t seq)
{
	struct payload h = { MAGIC, stream, seq, len, 0 };
	unsigned char *body = (unsigned char *)buf + sizeof(h);
	size_t n = len - sizeof(h), off;
	uint64_t key = stream_key(stream, seq), w;

	for (off = 0; off < n; off += 8) {
		w = word_at(key, off);
		memcpy(body + off, &w, n - off < 8 ? n - off : 8);
	}
	h.sum = checksum(body, n);
	memcpy(buf, &h, sizeof(h));
}

int vt_pattern_check(const void *buf, size_t len, uint32_t stream,
		     uint64_t *seq, char *why, size_t why_len)
{
	const unsigned char *body = (const unsigned char *)buf +
				    sizeof(struct payload);
	size_t n, off, i, bad = 0, first = 0;
	struct payload h;
	uint64_t key, w;

	if (len < sizeof(h))
		return -ENOMSG;
	memcpy(&h, buf, sizeof(h));
	if (h.magic != MAGIC || h.stream != stream)
		return -ENOMSG;
	*seq = h.seq;
	if (h.len != len) {
		snprintf(why, why_len,
			 "packet %llu: %u bytes sent, %zu received",
			 (unsigned long long)h.seq, h.len, len);
		return -EBADMSG;
	}
	n = len - sizeof(h);
	key = stream_key(stream, h.seq);
	for (off = 0; off < n; off += 8) {
		size_t m = n - off < 8 ? n - off : 8;

		w = word_at(key, off);
		if (!memcmp(body + off, &w, m))
			continue;
		for (i = 0; i < m; i++) {
			if (body[off + i] == ((unsigned char *)&w)[i])
				continue;
			if (!bad++)
				first = off + i;
		}
	}
	if (!bad && h.sum == checksum(body, n))
		return 0;
	snprintf(why, why_len,
		 "packet %llu of %zu bytes: %zu bytes wrong, the first at %zu (%#x), the sum is %s",
		 (unsigned long long)h.seq, len, bad, first + sizeof(h),
		 body[first], h.sum == checksum(body, n) ? "right" : "wrong");
	return -EBADMSG;
}

void vt_frame_fill(void *buf, size_t len, uint32_t stream, uint64_t seq)
{
	/* locally administered addresses, an experimental ethertype */
	static const unsigned char eth[VT_ETH_LEN] = {
		0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02,
		VT_ETHERTYPE >> 8, VT_ETHERTYPE & 0xff,
	};

	memcpy(buf, eth, sizeof(eth));
	vt_pattern_fill((char *)buf + VT_ETH_LEN, len - VT_ETH_LEN, stream,
			seq);
}

int vt_frame_check(const void *buf, size_t len, uint32_t stream, uint64_t *seq,
		   char *why, size_t why_len)
{
	const unsigned char *p = buf;

	if (len < VT_FRAME_MIN ||
	    (p[12] << 8 | p[13]) != VT_ETHERTYPE)
		return -ENOMSG;
	return vt_pattern_check(p + VT_ETH_LEN, len - VT_ETH_LEN, stream, seq,
				why, why_len);
}
