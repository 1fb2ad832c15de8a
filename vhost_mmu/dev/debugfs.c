// SPDX-License-Identifier: GPL-2.0
/*
 * Counters in debugfs: vhost_mmu/<name>-<tgid of the owner>-<id>/vq<N>, and in
 * mmu_stats those of the MMU that the device goes by, whose file may be closed
 * or which may never have had one; from SET_OWNER until the owner is given up.
 *
 * Reading them takes no mutex, so that it never waits for a worker and removal
 * never waits for a device mutex.  The counters are read one by one; a
 * set of them is consistent only while the queue is idle.
 */
#include <linux/debugfs.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stat.h>

#include "../mmu/mmu.h"
#include "../mmufd/mmufd.h"
#include "../vhost_mmu.h"
#include "internal.h"

#define VMDEV_DEBUGFS_NAME_MAX 48

struct counter {
	const char *name;
	/* where in struct vmq */
	size_t offset;
};

#define STAT(field) { #field, offsetof(struct vmq, stats.field) }

static const struct counter counters[] = {
	STAT(maps_installed),
	STAT(maps_from_mmu),
	STAT(maps_refused),
	STAT(maps_invalidated),
	STAT(maps_dropped),
	STAT(sections),
	STAT(user_ops),
	STAT(fallback_config),
	STAT(fallback_file),
	STAT(fallback_nodirect),
	STAT(fallback_fault),
	STAT(fallback_refused),
	STAT(fallback_backoff),
	STAT(tlb_fills),
	STAT(tlb_faults),
	STAT(tlb_flushes),
	STAT(payload_kernel),
	STAT(payload_user),
	STAT(payload_off),
	STAT(payload_nomap),
	STAT(payload_refused),
	STAT(payload_shape),
	STAT(log_kernel),
	STAT(log_user),
	STAT(log_installed),
	STAT(log_invalidated),
	{ "drains", offsetof(struct vmq, section.base.drains) },
	{ "drain_wait_max_ns", offsetof(struct vmq, section.base.wait_max_ns) },
	{ "drain_wait_total_ns",
	  offsetof(struct vmq, section.base.wait_total_ns) },
	STAT(packets),
	STAT(bytes),
	STAT(kicks),
	STAT(calls),
	STAT(retries),
};

static int vq_show(struct seq_file *m, void *unused)
{
	const struct vmdev_vq *dvq = m->private;
	const struct vmq *vmq = &dvq->vmq;
	bool kernel = READ_ONCE(vmq->running) && READ_ONCE(vmq->kernel_access);
	int i;

	seq_printf(m, "access %s\n", kernel ? "kernel" : "user");
	seq_printf(m, "payload %s\n",
		   READ_ONCE(vmq->direct) ? "kernel" : "user");
	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		const u64 *value = (const void *)vmq + counters[i].offset;

		seq_printf(m, "%s %llu\n", counters[i].name, READ_ONCE(*value));
	}
	seq_printf(m, "drain_wait_mean_ns %llu\n",
		   div64_u64(READ_ONCE(vmq->section.base.wait_total_ns),
			     max(READ_ONCE(vmq->section.base.drains), 1ULL)));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vq);

/* How many files and devices use the MMU of this one, and its number if any. */
static int mmu_show(struct seq_file *m, void *unused)
{
	const struct vmdev *dev = m->private;
	struct vmq *vmq = &dev->vqs[0]->vmq;
	unsigned int id = 0, refs = 0;
	bool attached = false;

	/* The device lets go of an MMU after its queues did. */
	spin_lock(&vmq->section.base.lock);
	if (vmq->mmu) {
		id = vmq->mmu->id;
		refs = kref_read(&vmq->mmu->ref);
		attached = !vmq->mmu->implicit;
	}
	spin_unlock(&vmq->section.base.lock);

	seq_printf(m, "mmu %u\nrefs %u\nattached %u\nfailures %llu\n", id, refs,
		   attached, READ_ONCE(dev->mmu_failures));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mmu);

/* The MMU that a device goes by, with a reference for the caller; or NULL. */
static struct vmmu *mmu_get(struct vmdev *dev)
{
	struct vmq *vmq = &dev->vqs[0]->vmq;
	struct vmmu *mmu;

	/* The device lets go of an MMU after its queues did. */
	spin_lock(&vmq->section.base.lock);
	mmu = vmq->mmu ? vmmu_get(vmq->mmu) : NULL;
	spin_unlock(&vmq->section.base.lock);
	return mmu;
}

/* Empty without an MMU. */
static int mmu_stats_show(struct seq_file *m, void *unused)
{
	struct vmmu *mmu = mmu_get(m->private);

	if (!mmu)
		return 0;
	vmmu_stats_show(m, mmu);
	/* Nobody else may use it any more. */
	vmmu_put(mmu);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(mmu_stats);

/**
 * vmdev_debugfs_add() - show the counters of a device
 * @dev: the device; the caller is becoming its owner
 *
 * A failure leaves the device without counters and is no error.
 */
void vmdev_debugfs_add(struct vmdev *dev)
{
	char name[VMDEV_DEBUGFS_NAME_MAX];
	unsigned int i;

	lockdep_assert_held(&dev->mutex);

	snprintf(name, sizeof(name), "%s-%d-%u", dev->name, current->tgid,
		 dev->id);
	dev->debugfs = debugfs_create_dir(name, vmmu_debugfs_root());

	for (i = 0; i < dev->nvqs; i++) {
		snprintf(name, sizeof(name), "vq%u", i);
		debugfs_create_file(name, 0400, dev->debugfs, dev->vqs[i],
				    &vq_fops);
	}
	debugfs_create_file("mmu", 0400, dev->debugfs, dev, &mmu_fops);
	debugfs_create_file("mmu_stats", 0400, dev->debugfs, dev,
			    &mmu_stats_fops);
}

/* Take the counters of a device away, once nobody reads them. */
void vmdev_debugfs_remove(struct vmdev *dev)
{
	debugfs_remove_recursive(dev->debugfs);
	dev->debugfs = NULL;
}
