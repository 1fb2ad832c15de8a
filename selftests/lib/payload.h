/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests that change the memory of the packets while traffic runs.
 *
 *	pay		a rig whose packets lie in an area that the test can
 *			change, with both directions of traffic
 *	vt_payload_change()	runs an operation under that traffic, and checks that
 *			packets went by kernel address before, that the device
 *			was told, and that they go by kernel address after
 *	vt_payload_tx(), vt_payload_rx()
 *			one packet, in pieces of the caller's choice
 *
 * With an alias the device uses one mapping of a file and the driver another.
 * There are two copies behind it then, of which the driver uses one.
 */
#ifndef VHOST_TEST_PAYLOAD_H
#define VHOST_TEST_PAYLOAD_H

#include "inval.h"
#include "area.h"

struct vt_payload_cfg {
	enum vt_area_backing backing;
	/* for VT_AREA_MEMFD and VT_AREA_HUGEFD */
	bool alias;
	/* beside VERSION_1 and MRG_RXBUF */
	uint64_t features;
	/* as in struct vt_traffic_cfg */
	unsigned int len_min;
	unsigned int len_max;
	unsigned int rx_buf;
	unsigned int window;
};

struct vt_payload {
	struct vt_payload_cfg cfg;
	struct vt_inval inval;
	/* the memory of the packets as the device maps it */
	struct vt_area a;
	/* with an alias: the driver's mapping of both copies */
	char *copies;
	unsigned int copy;
	/* the device has counters of payload */
	bool counters;
};

/* NULL, or why there is no such memory; anything else is in *@err. */
const char *vt_payload_open(struct vt_payload *p,
			    const struct vt_payload_cfg *cfg, int *err);
void vt_payload_close(struct vt_payload *p);

int vt_payload_start(struct vt_payload *p);
/* Stop; checks that no packet was lost or damaged. */
int vt_payload_stop(struct vt_payload *p);
/* Let the driver use that copy from now on; at rest only. */
void vt_payload_drive(struct vt_payload *p, unsigned int copy);
/* Map a copy where the device looks for it. */
int vt_payload_map(struct vt_payload *p, unsigned int copy);

/* The sum of a counter over both rings; 0 if the device has none. */
uint64_t vt_payload_sum(const struct vt_payload *p, const char *name);
/*
 * Wait, under traffic, until both rings carry every packet by kernel address.
 * At once with stock vhost.
 */
int vt_payload_hot(struct vt_payload *p);

typedef int (*vt_payload_op)(struct vt_payload *p);

/*
 * Run @op under traffic @rounds times, with the flags of vt_inval_run(). It
 * returns 0, or an error that ends the test.
 */
int vt_payload_change(struct vt_payload *p, vt_payload_op op,
		      unsigned int rounds, unsigned int flags);

/* ------------------------------------------------------------ one packet */

#define VT_PAYLOAD_PIECES	80

/*
 * Transmit what is in the pieces, and receive it on the host's side. The
 * length of the frame; -EPROTO if the device signals an error instead,
 * -ETIMEDOUT. @hdr is the header as the host sees it.
 */
int vt_payload_tx(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n,
		  struct virtio_net_hdr *hdr, void *frame);
/*
 * Send a frame from the host's side, received into the pieces, one chain for
 * each @per of them. The bytes used, header included; -EPROTO or -ETIMEDOUT.
 */
int vt_payload_rx(struct vt_rig *rig, const struct vt_sg *sg, unsigned int n,
		  unsigned int per, const struct virtio_net_hdr *hdr,
		  const void *frame, size_t len);
/* The guest address of a piece. */
struct vt_sg vt_payload_sg(const struct vt_rig *rig, const void *p,
			   uint32_t len);
/* Is the device one that carries payload by kernel address, if it can? */
bool vt_payload_direct(const struct vt_rig *rig);
/* A counter of one ring, 0 if the device has none. */
uint64_t vt_payload_count(const struct vt_rig *rig, unsigned int vq,
			  const char *name);

#endif
