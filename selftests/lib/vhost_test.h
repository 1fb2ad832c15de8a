/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small user-space virtio driver and vhost client for the self-tests.
 *
 * Layers, each usable without the ones after it:
 *
 *	sys.h		pages, files and children of the test's own process
 *	vt_mem		memory of a chosen backing, alignment and skew
 *	vt_dev		the vhost fd: owner, features, memory table, counters
 *	vt_vq		the driver side of a split ring, at any address
 *	vt_tap		a tap interface in a private network namespace and an
 *			AF_PACKET socket on its host side
 *	vt_rig		all of the above, one call to set up, one to tear down
 *	vt_traffic	a pair of threads that keep one direction of a rig busy
 *			and check the content and the order of every packet
 *
 * Conventions: functions return 0 or a negative errno and print why they
 * failed on stderr as a "# " line; every wait is bounded (vt_timeout_ms()).
 * A vt_vq is used by one thread at a time. Little endian hosts only.
 */
#ifndef VHOST_TEST_H
#define VHOST_TEST_H

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "sys.h"

#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET	40
#endif

#define VT_F(bit)		(1ULL << (bit))

#define VT_VQ_RX		0
#define VT_VQ_TX		1

/* ---------------------------------------------------------------- time */

/* A monotonic clock in nanoseconds. */
uint64_t vt_now_ns(void);

/*
 * The same for a wait that must not be for ever: of a time in which nobody looked,
 * a second counts.  An emulated machine may stand still while its host is busy, and
 * then nothing that a test waits for has had the time to come.
 */
uint64_t vt_patient_ns(void);

/*
 * How long a bounded wait may take: @base milliseconds, times the environment
 * variable VT_TIMEOUT_SCALE, which slow (debug, emulated) kernels set.
 */
int vt_timeout_ms(int base);

/* Long enough for anything that is expected to happen. */
#define VT_TIMEOUT		vt_timeout_ms(15000)

void vt_msg(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The device under test: $VHOST_DEV, or /dev/vhost-mmu-net. */
const char *vt_dev_path(void);
/* Is it one of ours, not stock vhost-net? */
bool vt_dev_is_ours(void);
/* How many devices of ours the process @pid has, as debugfs shows. */
unsigned int vt_dev_count(pid_t pid);

/* -------------------------------------------------------------- memory */

enum vt_backing {
	/* anonymous, 4K pages, touched in order */
	VT_ANON,
	/* anonymous, 4K pages, touched in random order among decoys */
	VT_SCATTER,
	/* anonymous, 2M aligned, MADV_HUGEPAGE */
	VT_THP,
	/* MAP_HUGETLB: reserves the pages itself, -ENOMEM if it cannot */
	VT_HUGETLB,
	/* shared memfd: shmem */
	VT_MEMFD,
	/* shared file in $VT_FILE_DIR, or /var/tmp */
	VT_FILE,
};

struct vt_mem {
	/* what the caller uses: base is aligned to 'align', plus 'skew' */
	void *base;
	size_t len;
	/* what is mapped */
	void *map;
	size_t map_len;
	/* the memfd or file, or -1; base is at offset fd_off in it */
	int fd;
	size_t fd_off;
	enum vt_backing backing;
};

/*
 * Map @len bytes at an address that is @skew bytes above a multiple of @align
 * (0: page size), populated.
 */
int vt_mem_alloc(struct vt_mem *m, enum vt_backing backing, size_t len,
		 size_t align, size_t skew);
/*
 * @len bytes of @backing at a multiple of 2 MiB, zero and faulted in. For
 * VT_THP the pages really are huge when this returns, else -EAGAIN.
 */
int vt_mem_alloc_huge(struct vt_mem *m, enum vt_backing backing, size_t len);
/* The same, but nothing is faulted in; for VT_ANON and VT_MEMFD. */
int vt_mem_alloc_untouched(struct vt_mem *m, enum vt_backing backing,
			   size_t len);
void vt_mem_free(struct vt_mem *m);
const char *vt_backing_name(enum vt_backing backing);

/* -------------------------------------------------------------- device */

#define VT_MAX_REGIONS		512

struct vt_dev {
	int fd;
	uint64_t offered;
	uint64_t features;
	/* 10 or 12, by the features */
	unsigned int hdr_len;
	unsigned int nregions;
	struct vhost_memory_region regions[VT_MAX_REGIONS];
	/* where debugfs shows this device, empty with stock vhost */
	char stats_dir[128];
};

/*
 * Open $VHOST_DEV, become its owner, acknowledge @features. -EOPNOTSUPP if the
 * device does not offer all of them.
 */
int vt_dev_open(struct vt_dev *dev, uint64_t features);
/*
 * Own the device anew, with a kthread for a worker; before its rings are set
 * up. -EOPNOTSUPP if this kernel gives no choice.
 */
int vt_dev_use_kthread(struct vt_dev *dev);
void vt_dev_close(struct vt_dev *dev);

/*
 * The worker of the devices of this process: a thread of its own or one of the
 * kernel's, named after the process. -ESRCH if there is none.
 */
pid_t vt_dev_worker(void);

/* Collect regions, then hand them to the device in one table. */
int vt_dev_add_region(struct vt_dev *dev, uint64_t gpa, void *hva,
		      uint64_t size);
int vt_dev_set_mem_table(struct vt_dev *dev);
/* The guest address of @hva; aborts if it is in no region. */
uint64_t vt_dev_gpa(const struct vt_dev *dev, const void *hva);

/*
 * One counter of ring @vq from debugfs. -ENOENT if there is none, which is
 * always so with stock vhost.
 */
int vt_stats_read(const struct vt_dev *dev, unsigned int vq, const char *name,
		  uint64_t *val);
/* The same for values that are words, such as "access". */
int vt_stats_read_str(const struct vt_dev *dev, unsigned int vq,
		      const char *name, char *val, size_t len);

/* ---------------------------------------------------------------- ring */

struct vt_sg {
	uint64_t addr;
	uint32_t len;
};

struct vt_vq {
	struct vt_dev *dev;
	unsigned int index;
	unsigned int num;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	int kick;
	int call;
	int err;
	/* the device logs the used ring, as if it lay there; for setup */
	bool log;
	uint64_t log_gpa;

	/* the driver's own state */
	uint16_t avail_idx;
	uint16_t kicked_idx;
	uint16_t last_used;
	unsigned int free_head;
	unsigned int num_free;
	uint16_t *next;
	void **cookie;
	/* indirect tables: 'indirect_max' entries per head, guest memory */
	struct vring_desc *indirect;
	unsigned int indirect_max;

	/* statistics of this side */
	uint64_t kicks;
	uint64_t kicks_suppressed;
};

static inline size_t vt_desc_size(unsigned int num)
{
	return sizeof(struct vring_desc) * num;
}

/* Both include the event index word. */
static inline size_t vt_avail_size(unsigned int num)
{
	return sizeof(uint16_t) * (3 + num);
}

static inline size_t vt_used_size(unsigned int num)
{
	return sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * num;
}

/*
 * Describe a ring at three addresses of the caller's choice, which need be in
 * no memory region, clear it, and create its eventfds.
 */
int vt_vq_init(struct vt_vq *vq, struct vt_dev *dev, unsigned int index,
	       unsigned int num, void *desc, void *avail, void *used);
/* Start over: empty ring, both indices at @base. Not while it runs. */
void vt_vq_reset(struct vt_vq *vq, uint16_t base);
/* Use indirect tables of @max entries at @table, num * max entries long. */
void vt_vq_set_indirect(struct vt_vq *vq, struct vring_desc *table,
			unsigned int max);
/* NUM, BASE, ADDR, KICK, CALL, ERR ... */
int vt_vq_setup(struct vt_vq *vq);
/* ... and with these, the backend. vt_vq_start() does vt_vq_setup() first. */
int vt_vq_start(struct vt_vq *vq, int backend);
int vt_vq_set_backend(struct vt_vq *vq, int backend);
int vt_vq_stop(struct vt_vq *vq);
/* Stops nothing: frees what vt_vq_init() took. */
void vt_vq_free(struct vt_vq *vq);

/*
 * Queue one buffer of @out readable and @in writable pieces. -ENOSPC when the
 * ring is full. Not visible to the device before vt_vq_publish(). @cookie is
 * what vt_vq_get() returns, so it must not be NULL.
 */
int vt_vq_add(struct vt_vq *vq, const struct vt_sg *sg, unsigned int out,
	      unsigned int in, void *cookie);
/* Make what was added visible. */
void vt_vq_publish(struct vt_vq *vq);
/* Does the device want to hear about what was published since last asked? */
bool vt_vq_needs_kick(struct vt_vq *vq);
/* Kick without asking. */
void vt_vq_notify(struct vt_vq *vq);
/* Publish, and kick if the device wants it. */
void vt_vq_kick(struct vt_vq *vq);

/* Next used buffer: its cookie, or NULL. */
void *vt_vq_get(struct vt_vq *vq, uint32_t *len);
bool vt_vq_more_used(const struct vt_vq *vq);
/* Ask for a call on the next used buffer; false if one is there already. */
bool vt_vq_enable_call(struct vt_vq *vq);
void vt_vq_disable_call(struct vt_vq *vq);
/*
 * Wait for a used buffer the proper way: enable calls, sleep on the call
 * eventfd. -ETIMEDOUT; -EPROTO if a buffer came but no call for it. The call may
 * be a late one for a buffer that vt_vq_get() gave before: look, and wait again.
 */
int vt_vq_wait(struct vt_vq *vq, int timeout_ms);

/* Wait for an eventfd and clear it; 0 or -ETIMEDOUT. */
int vt_event_wait(int fd, int timeout_ms);
/* How often an eventfd has been signalled since last asked. */
uint64_t vt_event_read(int fd);

/* ------------------------------------------------------------- network */

/* A network namespace of our own, IPv6 off, lo up. */
int vt_netns_enter(void);

struct vt_tap {
	int fd;
	/* AF_PACKET socket on the interface: the host's side */
	int sock;
	int ifindex;
	char name[16];
	bool vnet_hdr;
};

#define VT_MAX_FRAME		65535

/*
 * Create a tap. @hdr_len 10 or 12: IFF_VNET_HDR with headers of that size;
 * 0: none, for VHOST_NET_F_VIRTIO_NET_HDR. The interface is up, its MTU large
 * and its queue long enough never to drop.
 */
int vt_tap_open(struct vt_tap *tap, unsigned int hdr_len);
void vt_tap_close(struct vt_tap *tap);
/* An AF_PACKET socket bound to @ifindex, with a large receive buffer. */
int vt_packet_open(int ifindex, bool vnet_hdr);
int vt_if_up(const char *name, int mtu);
/* Run "ip ARGS"; 0 or -EIO. */
int vt_ip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * The host's side: send a frame into the interface, or receive one the guest
 * transmitted. @hdr is used if the socket was opened with vnet_hdr.
 */
int vt_packet_send(int sock, const struct virtio_net_hdr *hdr,
		   const void *frame, size_t len);
/* Returns the length; -ETIMEDOUT. */
int vt_packet_recv(int sock, struct virtio_net_hdr *hdr, void *frame,
		   size_t max, int timeout_ms);

/* ------------------------------------------------------------- packets */

#define VT_ETH_LEN		14
#define VT_ETHERTYPE		0x88b5
/* magic, stream, sequence number, length, checksum */
#define VT_PATTERN_MIN		24
#define VT_FRAME_MIN		(VT_ETH_LEN + VT_PATTERN_MIN)

/* A payload that is determined by stream, sequence number and length. */
void vt_pattern_fill(void *buf, size_t len, uint32_t stream, uint64_t seq);
/*
 * Check every byte. -ENOMSG: not ours; -EBADMSG: damaged, and @why says how.
 * Otherwise 0 and *seq.
 */
int vt_pattern_check(const void *buf, size_t len, uint32_t stream,
		     uint64_t *seq, char *why, size_t why_len);
/* The same behind an Ethernet header. */
void vt_frame_fill(void *buf, size_t len, uint32_t stream, uint64_t seq);
int vt_frame_check(const void *buf, size_t len, uint32_t stream, uint64_t *seq,
		   char *why, size_t why_len);

/* ----------------------------------------------------------------- rig */

struct vt_rig_cfg {
	/* features beside VERSION_1 | MRG_RXBUF, which are the default ... */
	uint64_t features;
	/* ... unless this is set */
	bool exact_features;
	/* default 256 */
	unsigned int num;
	/* guest memory, default 16M */
	enum vt_backing backing;
	size_t mem_len;
	/* guest memory is here already, and stays the caller's */
	void *mem_at;
	/* page offset of guest addresses against host addresses, default 0 */
	size_t gpa_skew;
	/* where the rings are: a mapping of their own, or guest memory */
	enum vt_backing ring_backing;
	bool rings_in_mem;
	/* added to each part's page aligned address */
	size_t desc_skew;
	size_t avail_skew;
	size_t used_skew;
	/* both indices of both rings start here */
	uint16_t base;
	/* do not set the backends */
	bool no_start;
};

struct vt_rig {
	struct vt_rig_cfg cfg;
	struct vt_tap tap;
	struct vt_dev dev;
	struct vt_mem mem;
	/* the ring parts of rx and tx, unless rings_in_mem */
	struct vt_mem ring_mem;
	struct vt_vq vq[2];
	/* the part of guest memory each ring's buffers may use */
	void *buf[2];
	size_t buf_len;
};

/*
 * Everything for one device with both rings running on a tap. Enters a new
 * network namespace. On failure what was set up is torn down. NULL: defaults.
 */
int vt_rig_open(struct vt_rig *rig, const struct vt_rig_cfg *cfg);
void vt_rig_close(struct vt_rig *rig);

/* ------------------------------------------------------------- traffic */

struct vt_traffic_cfg {
	struct vt_vq *vq;
	/* the AF_PACKET socket of the host, from vt_tap or vt_packet_open */
	int sock;
	bool sock_vnet_hdr;
	/* guest memory for the buffers */
	void *buf;
	size_t buf_len;
	/* frame lengths cycle through this range; default 60 .. 1514 */
	unsigned int len_min;
	unsigned int len_max;
	/* bytes per receive buffer, default: header + len_max */
	unsigned int rx_buf;
	/* packets in flight, default 128 */
	unsigned int window;
	/* pause after each burst of 'window' packets, default 0 */
	unsigned int gap_us;
	/* TX: header in a descriptor of its own */
	bool split_hdr;
	/* a missing packet counts as lost, not as an error */
	bool allow_loss;
};

struct vt_traffic {
	struct vt_traffic_cfg cfg;

	/* read these at any time */
	_Atomic uint64_t sent;
	_Atomic uint64_t verified;
	_Atomic uint64_t lost;
	_Atomic uint64_t errors;
	/* vt_now_ns() of the last verified packet */
	_Atomic uint64_t last_progress;
	/* what was wrong first; valid once errors is not 0 */
	char first_error[256];

	/* private */
	uint32_t stream;
	uint64_t next_seq;
	_Atomic bool stop;
	_Atomic bool kill;
	_Atomic bool done;
	_Atomic bool pause;
	_Atomic bool paused;
	int credit;
	pthread_t guest;
	pthread_t host;
	pthread_mutex_t error_lock;
	void *slots;
	unsigned int nslots;
	size_t slot_len;
};

/*
 * Keep one direction running until told to stop: TX if @cfg->vq is ring 1,
 * RX if it is ring 0. The threads own the ring until vt_traffic_stop().
 */
int vt_traffic_start(struct vt_traffic *t, const struct vt_traffic_cfg *cfg);
/* The same for a rig, everything at its default. */
int vt_traffic_start_rig(struct vt_traffic *t, struct vt_rig *rig,
			 unsigned int vq);
/* What vt_traffic_start_rig() uses, to be changed. */
struct vt_traffic_cfg vt_traffic_cfg_rig(struct vt_rig *rig, unsigned int vq);
/* Wait until @n more packets are verified. -ETIMEDOUT, -EIO on an error. */
int vt_traffic_wait(struct vt_traffic *t, uint64_t n, int timeout_ms);
/*
 * Stop sending, and wait until everything sent has arrived (or is lost); the
 * guest's buffers are then at rest: nothing writes them until resumed, except
 * that receive buffers stay posted. -ETIMEDOUT.
 */
int vt_traffic_pause(struct vt_traffic *t);
void vt_traffic_resume(struct vt_traffic *t);
/*
 * Let what is in flight arrive, end the threads. -EIO if a packet was bad,
 * out of order or missing; -ETIMEDOUT if what was in flight did not arrive.
 * Receive buffers stay posted: before the ring is used again by anything, do
 * vt_vq_stop(), vt_vq_reset(), vt_vq_start(). A transmit ring is at rest.
 */
int vt_traffic_stop(struct vt_traffic *t);

/*
 * The usual question: do @n packets pass each way, both ways at once, every
 * byte right, without an error event? @cfg (may be NULL) changes lengths,
 * window and so on; what it leaves 0 is the default. The rings are started
 * anew before and afterwards.
 */
int vt_rig_flow(struct vt_rig *rig, uint64_t n,
		const struct vt_traffic_cfg *cfg);
/* Stop ring @vq, whatever state it is in, and start it empty at @base. */
int vt_rig_restart(struct vt_rig *rig, unsigned int vq, uint16_t base);

#endif
