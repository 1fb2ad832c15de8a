/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of vhost_mmu.ko.  Addresses are those of the owner; no kernel
 * address is shown.  A queue is named by its trace id: device << 8 | index.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_mmu

#if !defined(VHOST_MMU_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_MMU_TRACE_H

#include <linux/tracepoint.h>

/* An invalidation made at least one client give something back. */
TRACE_EVENT(vmmu_invalidate,
	TP_PROTO(unsigned long start, unsigned long last),
	TP_ARGS(start, last),
	TP_STRUCT__entry(
		__field(unsigned long, start)
		__field(unsigned long, last)
	),
	TP_fast_assign(
		__entry->start = start;
		__entry->last = last;
	),
	TP_printk("hva=%#lx-%#lx", __entry->start, __entry->last)
);

DECLARE_EVENT_CLASS(vmq_ring_map,
	TP_PROTO(u32 queue, unsigned int part, unsigned long hva,
		 unsigned int pages),
	TP_ARGS(queue, part, hva, pages),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(unsigned int, part)
		__field(unsigned long, hva)
		__field(unsigned int, pages)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->part = part;
		__entry->hva = hva;
		__entry->pages = pages;
	),
	TP_printk("vq=%u.%u part=%s hva=%#lx pages=%u",
		  __entry->queue >> 8, __entry->queue & 0xff,
		  __print_symbolic(__entry->part, { 0, "desc" },
				   { 1, "avail" }, { 2, "used" }),
		  __entry->hva, __entry->pages)
);

/* A ring page is reached by its kernel address from now on. */
DEFINE_EVENT(vmq_ring_map, vmq_map_install,
	TP_PROTO(u32 queue, unsigned int part, unsigned long hva,
		 unsigned int pages),
	TP_ARGS(queue, part, hva, pages)
);

/* An invalidation overlapped the install, which was given up. */
DEFINE_EVENT(vmq_ring_map, vmq_map_refuse,
	TP_PROTO(u32 queue, unsigned int part, unsigned long hva,
		 unsigned int pages),
	TP_ARGS(queue, part, hva, pages)
);

/* The notifier took ring pages back. */
DEFINE_EVENT(vmq_ring_map, vmq_map_invalidate,
	TP_PROTO(u32 queue, unsigned int part, unsigned long hva,
		 unsigned int pages),
	TP_ARGS(queue, part, hva, pages)
);

/* A ring operation went by user access; the reason is a fallback_* counter. */
TRACE_EVENT(vmq_fallback,
	TP_PROTO(u32 queue, int reason),
	TP_ARGS(queue, reason),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(int, reason)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->reason = reason;
	),
	TP_printk("vq=%u.%u reason=%s",
		  __entry->queue >> 8, __entry->queue & 0xff,
		  __print_symbolic(__entry->reason, { 0, "backoff" },
				   { 1, "file" }, { 2, "nodirect" },
				   { 3, "fault" }, { 4, "refused" }))
);

/* Descriptor chains were fetched from the ring. */
TRACE_EVENT(vmq_burst,
	TP_PROTO(u32 queue, unsigned int chains, unsigned int descs),
	TP_ARGS(queue, chains, descs),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(unsigned int, chains)
		__field(unsigned int, descs)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->chains = chains;
		__entry->descs = descs;
	),
	TP_printk("vq=%u.%u chains=%u descs=%u",
		  __entry->queue >> 8, __entry->queue & 0xff, __entry->chains,
		  __entry->descs)
);

DECLARE_EVENT_CLASS(vmq_notify,
	TP_PROTO(u32 queue),
	TP_ARGS(queue),
	TP_STRUCT__entry(
		__field(u32, queue)
	),
	TP_fast_assign(
		__entry->queue = queue;
	),
	TP_printk("vq=%u.%u", __entry->queue >> 8, __entry->queue & 0xff)
);

/* The driver was notified of used buffers. */
DEFINE_EVENT(vmq_notify, vmq_call,
	TP_PROTO(u32 queue),
	TP_ARGS(queue)
);

/* The driver notified the device. */
DEFINE_EVENT(vmq_notify, vmdev_kick,
	TP_PROTO(u32 queue),
	TP_ARGS(queue)
);

#endif /* VHOST_MMU_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
