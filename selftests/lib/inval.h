/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests that change the mapping of the rings while traffic runs.
 *
 *	inval		a rig whose ring parts lie in an area of their own, each
 *			between canaries, and both directions of traffic
 *	vt_inval_run()	runs an operation under that traffic, and checks that
 *			the fast path was used before, was taken back, and is
 *			used again after
 *
 * An area may be mapped twice: the device uses one mapping, the driver the
 * other, its alias. Then the device's mapping may be changed at any time
 * without disturbing the driver. Such an area has two copies behind it, so that
 * the pages of one can be replaced by those of the other, and the replaced ones
 * be watched.
 */
#ifndef VHOST_TEST_INVAL_H
#define VHOST_TEST_INVAL_H

#include "sys.h"
#include "vhost_test.h"

enum vt_inval_part {
	VT_INVAL_DESC,
	VT_INVAL_AVAIL,
	VT_INVAL_USED,
	VT_INVAL_PARTS,
};

struct vt_inval_cfg {
	/* of the rings; VT_FILE is not for here, see map */
	enum vt_backing backing;
	/* of the packets */
	enum vt_backing mem_backing;
	/* the packets are here, instead */
	void *mem_at;
	size_t mem_len;
	/* two mappings and two copies; the backing is shmem then */
	bool alias;
	/* place the rings here, instead of in an own mapping */
	void *map;
	size_t map_len;
	/* beside VERSION_1 and MRG_RXBUF */
	uint64_t features;
	/* default 256 */
	unsigned int num;
	/* bytes between the end of a part and the end of its page */
	unsigned int shift;
	/* the rings are not reached through kernel addresses */
	bool slow;
};

struct vt_inval {
	struct vt_inval_cfg cfg;
	struct vt_rig rig;
	struct vt_traffic t[2];
	bool running[2];
	/* the device has counters */
	bool counters;
	/* the area as the device sees it, and as the driver does */
	char *dev;
	char *drv;
	size_t len;
	struct vt_mem area;
	/* with an alias: the file, both copies, which of them is mapped */
	int fd;
	char *copies;
	unsigned int copy;
	/* where in the area each part lies */
	struct {
		size_t off;
		size_t size;
	} part[2][VT_INVAL_PARTS];
};

/* How long an area for rings of @cfg is. */
size_t vt_inval_area_len(const struct vt_inval_cfg *cfg);
/* Everything set up and both rings started. NULL: defaults. */
int vt_inval_open(struct vt_inval *inval, const struct vt_inval_cfg *cfg);
void vt_inval_close(struct vt_inval *inval);

/* Traffic in both directions; stopping checks that none was lost or damaged. */
int vt_inval_start(struct vt_inval *inval);
int vt_inval_stop(struct vt_inval *inval);
int vt_inval_stop_one(struct vt_inval *inval, unsigned int vq);
/* Wait for @n more packets each way. */
int vt_inval_flow(struct vt_inval *inval, uint64_t n);

/*
 * Bring everything to rest: when this returns nothing is in flight, the driver
 * has written its last word and the device does not look at the rings.
 */
int vt_inval_quiesce(struct vt_inval *inval);
void vt_inval_resume(struct vt_inval *inval);
/* Wait until the device has done everything that it was told to do. */
void vt_inval_flush(struct vt_inval *inval);

/* Stop the rings, start them anew and empty, not while traffic runs. */
int vt_inval_restart(struct vt_inval *inval);
/* SET_VRING_ADDR for one ring, as if the area were at @base; its errno. */
int vt_inval_set_addr(struct vt_inval *inval, unsigned int vq,
		      const char *base);
/* The same for both, and the area is there from now on. */
int vt_inval_move(struct vt_inval *inval, char *base);
/* Let the driver use the rings in the area at @base. */
void vt_inval_drive(struct vt_inval *inval, char *base);

/* Fill what is around the ring parts; done by vt_inval_open(). */
void vt_inval_fill_canaries(const struct vt_inval *inval, char *base);
/* Is every byte around the ring parts in the area at @base as it was? */
int vt_inval_check_canaries(const struct vt_inval *inval, const char *base);
/* A counter of one ring; 0 if the device has none. */
uint64_t vt_inval_count(const struct vt_inval *inval, unsigned int vq,
			const char *name);
/* The sum for both rings. */
uint64_t vt_inval_sum(const struct vt_inval *inval, const char *name);
/*
 * Wait, under traffic, until both rings go by kernel addresses alone. At once
 * if the device has no counters.
 */
int vt_inval_hot(struct vt_inval *inval);

typedef int (*vt_inval_op)(struct vt_inval *inval);

enum {
	/* bring everything to rest around the operation */
	VT_INVAL_QUIESCE = 1,
	/* it need not hit both rings */
	VT_INVAL_ONE_RING = 2,
	/* the operation is a hint to the kernel: one round that hit will do */
	VT_INVAL_MAY_MISS = 4,
};

/*
 * Run @op under traffic @rounds times. It returns 0, or an error that ends the
 * test. Checks fast path before, taken back, fast path after; and that packets
 * flow before and after.
 */
int vt_inval_run(struct vt_inval *inval, vt_inval_op op, unsigned int rounds,
		 unsigned int flags);

#endif
