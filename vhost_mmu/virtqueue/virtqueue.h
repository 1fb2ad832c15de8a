/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Virtqueues: the split ring, and the way its words are reached.
 *
 * Everything here runs under vmq::mutex unless its comment says otherwise.
 * Ring words are reached in a section through the kernel addresses of a
 * ring map, or else by user access; a caller cannot tell which.
 */
#ifndef VHOST_MMU_VIRTQUEUE_H
#define VHOST_MMU_VIRTQUEUE_H

#include <linux/eventfd.h>
#include <linux/mutex.h>
#include <linux/uio.h>
#include <linux/vhost_iotlb.h>

#include "../space/client.h"
#include "../space/page.h"
#include "../space/section.h"
#include "split_ring.h"

struct vmmu;
struct vmq_ring_maps;
struct vmq_indirect;
struct vmq_log;
struct vmq_tlb;

/**
 * struct vmq_stats - what one virtqueue did since its device was opened
 * @maps_installed: ring pages entered into a ring map
 * @maps_from_mmu: ... of those, the ones taken from the tables of an MMU
 * @maps_refused: installs given up because an invalidation overlapped
 * @maps_invalidated: ring pages taken back by the MMU notifier
 * @maps_dropped: ring pages given back by reconfiguration or stop
 * @sections: sections entered
 * @user_ops: ring operations that went by user access
 * @fallback_config: of @user_ops, those of a vring started in user mode
 * @fallback_file: ... because a ring page is file-backed
 * @fallback_nodirect: ... because a ring page cannot be reached directly
 * @fallback_fault: ... because a ring page could not be faulted in
 * @fallback_refused: ... because invalidations kept overlapping the install
 * @fallback_backoff: ... while waiting before the next install attempt
 * @tlb_fills: entries made in the soft TLB
 * @tlb_faults: faults taken because a page of a buffer was not mapped
 * @tlb_flushes: entries of the soft TLB that changes of the tables took back
 * @payload_kernel: packets whose bytes went by kernel addresses (kept by the
 *	backend)
 * @payload_user: packets whose bytes went by user access (kept by the backend)
 * @payload_off: times the backend did not try: payload_access=user, a ring by
 *	user access, no MMU, or a socket for which there is no other way
 * @payload_nomap: times a page of a buffer had no kernel address
 * @payload_refused: times invalidations kept taking a page of a buffer away
 * @payload_shape: times a chain or a packet was not made for it
 * @log_kernel: bits of the dirty log that were set or found set by kernel
 *	addresses
 * @log_user: ... that went by user access
 * @log_installed: pages of its bitmap that got a kernel address
 * @log_invalidated: ... that the MMU notifier took back
 * @packets: packets carried (kept by the backend)
 * @bytes: their bytes, virtio header excluded (kept by the backend)
 * @kicks: notifications received from the driver
 * @calls: notifications sent to the driver
 * @retries: buffers put back because the backend was busy
 *
 * Written under vmq::mutex, but for @maps_invalidated, @tlb_flushes and
 * @log_invalidated (under the section lock) and @kicks; read without a lock.
 */
struct vmq_stats {
	u64 maps_installed;
	u64 maps_from_mmu;
	u64 maps_refused;
	u64 maps_invalidated;
	u64 maps_dropped;
	u64 sections;
	u64 user_ops;
	u64 fallback_config;
	u64 fallback_file;
	u64 fallback_nodirect;
	u64 fallback_fault;
	u64 fallback_refused;
	u64 fallback_backoff;
	u64 tlb_fills;
	u64 tlb_faults;
	u64 tlb_flushes;
	u64 payload_kernel;
	u64 payload_user;
	u64 payload_off;
	u64 payload_nomap;
	u64 payload_refused;
	u64 payload_shape;
	u64 log_kernel;
	u64 log_user;
	u64 log_installed;
	u64 log_invalidated;
	u64 packets;
	u64 bytes;
	u64 kicks;
	u64 calls;
	u64 retries;
};

/**
 * enum vmq_miss - why a chain could not be taken by kernel addresses
 * @VMQ_MISS_NONE: nothing was missing
 * @VMQ_MISS_SECTION: the section was used up
 * @VMQ_MISS_FAULT: a page is not mapped
 * @VMQ_MISS_NOMAP: a page has no kernel address
 * @VMQ_MISS_SHAPE: the chain is broken, or longer than a section may be
 */
enum vmq_miss {
	VMQ_MISS_NONE,
	VMQ_MISS_SECTION,
	VMQ_MISS_FAULT,
	VMQ_MISS_NOMAP,
	VMQ_MISS_SHAPE,
};

/*
 * Pages looked up and indirect descriptors read in a section, beside the pages
 * of chains that are one buffer within one page.
 */
#define VMQ_SECTION_LOOKUPS	128

/**
 * struct vmq_section - the section of a queue, and what it has in hand
 * @base: the lock that the notifier takes to wait it out, and drain statistics
 * @budget: lookups and descriptors of indirect tables left to it
 * @gathered: descriptors that it has read of the ring
 * @fresh: it has taken no chain yet
 * @stuck: it can read no more of the ring
 * @miss_write: the page that was missing was to be written
 * @miss: why the last chain could not be taken
 * @miss_gpa: which page was missing
 * @indirect_gpa: where the rest of an indirect table lies
 * @indirect_left: its bytes
 * @tried_at: ring index of the chain that @faults and @refusals are about
 * @faults: faults taken for that chain
 * @refusals: ... and refused by an invalidation, since the last that was not
 *
 * All from @budget on belongs to the holder of vmq::mutex.  What is said of a
 * chain stays for vmq_direct_resolve(), after the section was left.
 */
struct vmq_section {
	struct vmmu_section base;
	unsigned int budget;
	unsigned int gathered;
	bool fresh;
	bool stuck;
	bool miss_write;
	enum vmq_miss miss;
	u64 miss_gpa;
	u64 indirect_gpa;
	u32 indirect_left;
	u16 tried_at;
	unsigned int faults;
	unsigned int refusals;
};

/**
 * struct vmq - one virtqueue
 * @mutex: serialises the worker and the ioctls
 * @ring: size and indices of the split ring
 * @desc: descriptor table as configured, an address in the owner's mm
 * @avail: available ring as configured
 * @used: used ring as configured
 * @features: what the driver acknowledged (VIRTIO_F_*, VIRTIO_RING_F_*)
 * @call: signalled when buffers were used and the driver wants to know
 * @err: signalled when the ring is broken
 * @umem: guest memory table, GPA to HVA; owned by the device
 * @mmu: MMU whose memslots say the same, or one that the device is attached to,
 *	or NULL; the device refers to it.  Changed with @mutex and the section
 *	lock held
 * @slots_held: memslots of @mmu are kept for the buffers taken
 * @slots_srcu: ... by this
 * @space: address space whose notifier guards the maps, NULL without an owner
 * @section: the section that is open, or the last one
 * @maps: ring maps, NULL while stopped or in user mode.  Changed with @mutex
 *	and the section lock held, so either of them suffices to look at it
 * @running: between vmq_start() and vmq_stop()
 * @kernel_access: how the queue was started (metadata_access=kernel)
 * @direct: payload is reached by kernel addresses where possible;
 *	@kernel_access, @mmu and payload_access=kernel together
 * @want_direct: how the queue was started (payload_access=kernel)
 * @burst: descriptor chains fetched ahead; valid only inside one hold of @mutex
 * @indirect: the indirect table that is being read
 * @tlb: soft TLB, entries under the section lock
 * @log: the dirty log, NULL before there was a bitmap
 * @log_base: where the owner has the bitmap
 * @log_call: signalled when bits were set; the device refers to it
 * @log_used: VHOST_VRING_F_LOG: the used ring is to be logged
 * @log_used_addr: ... as if it lay at this guest physical address
 * @log_buffers: @log is there, and buffers are to be logged
 * @log_ring: @log is there, and @log_used
 * @stats: counters
 * @trace_id: device and queue number for tracepoints
 */
struct vmq {
	/* serialises the worker and the ioctls */
	struct mutex mutex;
	struct vmq_split ring;
	vring_desc_t __user *desc;
	vring_avail_t __user *avail;
	vring_used_t __user *used;
	u64 features;

	struct eventfd_ctx *call;
	struct eventfd_ctx *err;

	struct vhost_iotlb *umem;
	struct vmmu *mmu;
	bool slots_held;
	int slots_srcu;

	struct vmmu_space *space;
	struct vmq_section section;
	struct vmq_ring_maps *maps;
	bool running;
	bool kernel_access;
	bool direct;
	bool want_direct;

	struct vmq_burst *burst;
	struct vmq_indirect *indirect;
	struct vmq_tlb *tlb;

	struct vmq_log *log;
	void __user *log_base;
	struct eventfd_ctx *log_call;
	bool log_used;
	u64 log_used_addr;
	bool log_buffers;
	bool log_ring;

	struct vmq_stats stats;
	u32 trace_id;
};

static inline bool vmq_has_feature(const struct vmq *vmq, unsigned int bit)
{
	return vmq->features & BIT_ULL(bit);
}

/* virtqueue.c: life time and configuration */
void vmq_init(struct vmq *vmq, u32 trace_id);
void vmq_destroy(struct vmq *vmq);
int vmq_alloc_buffers(struct vmq *vmq);
void vmq_free_buffers(struct vmq *vmq);
void vmq_reset(struct vmq *vmq);
bool vmq_access_ok(const struct vmq *vmq, unsigned int num,
		   vring_desc_t __user *desc, vring_avail_t __user *avail,
		   vring_used_t __user *used);
void vmq_set_addr(struct vmq *vmq, vring_desc_t __user *desc,
		  vring_avail_t __user *avail, vring_used_t __user *used,
		  bool log_used, u64 log_used_addr);
void vmq_set_features(struct vmq *vmq, u64 features);
int vmq_start(struct vmq *vmq, bool kernel_access, bool direct);
void vmq_stop(struct vmq *vmq);
void vmq_set_umem(struct vmq *vmq, struct vhost_iotlb *umem, struct vmmu *mmu);
__printf(2, 3) __cold void vmq_err(struct vmq *vmq, const char *fmt, ...);

/* ops.c: the data path */
int vmq_next(struct vmq *vmq, struct iovec *iov, unsigned int iov_size,
	     unsigned int *out_num, unsigned int *in_num);
void vmq_discard(struct vmq *vmq, unsigned int n);
void vmq_put_back_chains(struct vmq *vmq, unsigned int n);
void vmq_burst_drop(struct vmq *vmq);
int vmq_add_used_and_signal(struct vmq *vmq, struct vring_used_elem *heads,
			    unsigned int count);
bool vmq_avail_empty(struct vmq *vmq);
bool vmq_enable_notify(struct vmq *vmq);
void vmq_disable_notify(struct vmq *vmq);

#endif /* VHOST_MMU_VIRTQUEUE_H */
