/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The far side of the device under test: a network namespace with one tap.
 */
#ifndef VBENCH_TAP_H
#define VBENCH_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Print the reason and exit with status 1. */
void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...);
/* Pass a system call's result through unless it is an error. */
int check(int ret, const char *what);

struct tap {
	int fd;
	unsigned int ifindex;
	/* The XDP program in the kernel's memory, 0 without one. */
	uint64_t xdp_image;
	uint32_t xdp_size;
	/* Packets for the stack have a protocol that it knows, but are not for it. */
	bool ip;
	/* The interface's counters at the last tap_expect(). */
	unsigned long long bytes;
	unsigned long long packets;
	unsigned long long dropped;
	/* A socket that sends through the tap. */
	int sender;
};

/* Enter a new network namespace and bring a tap up in it. */
void tap_open(struct tap *tap, int hdr_len);
/* Drop whatever the tap transmits, in its driver. */
void tap_drop(struct tap *tap);
/* With headers: what is sent begins with a struct virtio_net_hdr. */
void tap_open_sender(struct tap *tap, bool headers);
/* A packet that the tap has no room for is no error: RX counts what arrives. */
void tap_send(const struct tap *tap, const void *frame, size_t size);
/*
 * Die unless the tap took exactly this many packets from the device since the
 * last call, and did with every one what it is there for.
 */
void tap_expect(struct tap *tap, uint64_t packets, size_t size);

#endif
