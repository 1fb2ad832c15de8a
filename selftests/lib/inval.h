/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For the tests that change the mapping of the rings while traffic runs.
 *
 *	iv		a rig whose ring parts lie in an area of their own, each
 *			between canaries, and both directions of traffic
 *	iv_invalidate()	runs an operation under that traffic, and checks that
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

enum iv_part {
	IV_DESC,
	IV_AVAIL,
	IV_USED,
	IV_PARTS,
};

struct iv_cfg {
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

struct iv {
	struct iv_cfg cfg;
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
	} part[2][IV_PARTS];
};

/* How long an area for rings of @cfg is. */
size_t iv_area_len(const struct iv_cfg *cfg);
/* Everything set up and both rings started. NULL: defaults. */
int iv_open(struct iv *iv, const struct iv_cfg *cfg);
void iv_close(struct iv *iv);

/* Traffic in both directions; stopping checks that none was lost or damaged. */
int iv_start(struct iv *iv);
int iv_stop(struct iv *iv);
int iv_stop_one(struct iv *iv, unsigned int vq);
/* Wait for @n more packets each way. */
int iv_flow(struct iv *iv, uint64_t n);

/*
 * Bring everything to rest: when this returns nothing is in flight, the driver
 * has written its last word and the device does not look at the rings.
 */
int iv_quiesce(struct iv *iv);
void iv_resume(struct iv *iv);
/* Wait until the device has done everything that it was told to do. */
void iv_flush(struct iv *iv);

/* Stop the rings, start them anew and empty, not while traffic runs. */
int iv_restart(struct iv *iv);
/* SET_VRING_ADDR for one ring, as if the area were at @base; its errno. */
int iv_set_addr(struct iv *iv, unsigned int vq, const char *base);
/* The same for both, and the area is there from now on. */
int iv_move(struct iv *iv, char *base);
/* Let the driver use the rings in the area at @base. */
void iv_drive(struct iv *iv, char *base);

/* Fill what is around the ring parts; done by iv_open(). */
void iv_fill_canaries(const struct iv *iv, char *base);
/* Is every byte around the ring parts in the area at @base as it was? */
int iv_check_canaries(const struct iv *iv, const char *base);
/* A counter of one ring; 0 if the device has none. */
uint64_t iv_count(const struct iv *iv, unsigned int vq, const char *name);
/* The sum for both rings. */
uint64_t iv_sum(const struct iv *iv, const char *name);
/*
 * Wait, under traffic, until both rings go by kernel addresses alone. At once
 * if the device has no counters.
 */
int iv_hot(struct iv *iv);

typedef int (*iv_op)(struct iv *iv);

enum {
	/* bring everything to rest around the operation */
	IV_QUIESCE = 1,
	/* it need not hit both rings */
	IV_ONE_RING = 2,
	/* the operation is a hint to the kernel: one round that hit will do */
	IV_MAY_MISS = 4,
};

/*
 * Run @op under traffic @rounds times. It returns 0, or an error that ends the
 * test. Checks fast path before, taken back, fast path after; and that packets
 * flow before and after.
 */
int iv_invalidate(struct iv *iv, iv_op op, unsigned int rounds,
		  unsigned int flags);

#endif
