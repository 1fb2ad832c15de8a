// SPDX-License-Identifier: GPL-2.0
/*
 * Life of a device: open, owned by one mm, given up, closed.
 *
 * The owner's mm is held by mm_users while the device is owned, for its worker.
 * So the mm's end, and with it the notifier's release callback, can come only
 * after the worker has stopped.
 */
#include <linux/atomic.h>
#include <linux/sched/mm.h>

#include "internal.h"

static atomic_t next_id = ATOMIC_INIT(0);

static void vq_init(struct vmdev *dev, unsigned int index)
{
	struct vmdev_vq *dvq = dev->vqs[index];

	vmq_init(&dvq->vmq, dev->id << 8 | index);
	dvq->dev = dev;
	dvq->index = index;
	dvq->kick = NULL;
	dvq->backend = NULL;
	dvq->busyloop_timeout = 0;
	RCU_INIT_POINTER(dvq->worker, NULL);
	vmdev_poll_init(&dvq->poll, dvq->handle_kick, EPOLLIN, dvq);
}

/**
 * vmdev_init() - make a device that nobody owns
 * @dev: the device, its name set
 * @vqs: its queues, the kick handler of each set
 * @nvqs: how many
 * @weight: packets after which a handler lets others run
 * @byte_weight: bytes after which it does, 0 for no limit
 */
void vmdev_init(struct vmdev *dev, struct vmdev_vq **vqs, unsigned int nvqs,
		unsigned int weight, unsigned int byte_weight)
{
	unsigned int i;

	mutex_init(&dev->mutex);
	init_waitqueue_head(&dev->wait);
	dev->mm = NULL;
	dev->space = NULL;
	dev->umem = NULL;
	dev->mmu = NULL;
	dev->attached = NULL;
	dev->mmu_failures = 0;
	dev->vqs = vqs;
	dev->nvqs = nvqs;
	dev->weight = weight;
	dev->byte_weight = byte_weight;
	dev->worker = NULL;
	dev->fork_owner = vmdev_fork_owner_default();
	dev->id = atomic_fetch_inc(&next_id);
	dev->debugfs = NULL;

	for (i = 0; i < nvqs; i++)
		vq_init(dev, i);
}
EXPORT_SYMBOL_NS_GPL(vmdev_init, VHOST_MMU);

/**
 * vmdev_has_owner() - is the device owned?
 * @dev: the device
 *
 * Return: true if so.
 */
bool vmdev_has_owner(const struct vmdev *dev)
{
	return dev->mm;
}
EXPORT_SYMBOL_NS_GPL(vmdev_has_owner, VHOST_MMU);

/**
 * vmdev_check_owner() - is the caller the owner?
 * @dev: the device
 *
 * Return: 0 if the device is owned by the caller's mm, else -EPERM.
 */
int vmdev_check_owner(const struct vmdev *dev)
{
	lockdep_assert_held(&dev->mutex);

	return dev->mm == current->mm ? 0 : -EPERM;
}
EXPORT_SYMBOL_NS_GPL(vmdev_check_owner, VHOST_MMU);

static void set_space(struct vmdev *dev, struct vmmu_space *space)
{
	unsigned int i;

	dev->space = space;
	for (i = 0; i < dev->nvqs; i++) {
		struct vmq *vmq = &dev->vqs[i]->vmq;

		mutex_lock(&vmq->mutex);
		vmq->space = space;
		mutex_unlock(&vmq->mutex);
	}
}

static void free_buffers(struct vmdev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++)
		vmq_free_buffers(&dev->vqs[i]->vmq);
}

static int alloc_buffers(struct vmdev *dev)
{
	unsigned int i;
	int ret;

	for (i = 0; i < dev->nvqs; i++) {
		ret = vmq_alloc_buffers(&dev->vqs[i]->vmq);
		if (ret)
			goto err_buffers;
	}
	return 0;

err_buffers:
	while (i--)
		vmq_free_buffers(&dev->vqs[i]->vmq);
	return ret;
}

/* Register with the notifier of the owner's mm, for as long as it owns. */
static int get_space(struct vmdev *dev)
{
	struct vmmu_space *space = vmmu_space_get(dev->mm);

	/* No client expects to be interrupted here: have it come back. */
	if (space == ERR_PTR(-EINTR))
		return -ERESTARTNOINTR;
	if (IS_ERR(space))
		return PTR_ERR(space);

	set_space(dev, space);
	return 0;
}

static void put_space(struct vmdev *dev)
{
	struct vmmu_space *space = dev->space;

	if (!space)
		return;

	set_space(dev, NULL);
	vmmu_space_put(space);
}

static void put_mm(struct vmdev *dev)
{
	if (!dev->mm)
		return;

	mmput(dev->mm);
	dev->mm = NULL;
}

/**
 * vmdev_set_owner() - VHOST_SET_OWNER: make the caller's mm the owner
 * @dev: the device
 *
 * Context: process context, may sleep; device mutex held.
 * Return: 0, -EBUSY if there is an owner, or -ENOMEM.
 */
int vmdev_set_owner(struct vmdev *dev)
{
	int ret;

	lockdep_assert_held(&dev->mutex);

	if (vmdev_has_owner(dev))
		return -EBUSY;

	dev->mm = get_task_mm(current);
	if (!dev->mm)
		return -EINVAL;

	ret = get_space(dev);
	if (ret)
		goto err_space;

	ret = alloc_buffers(dev);
	if (ret)
		goto err_buffers;

	dev->worker = vmdev_worker_create(dev);
	if (!dev->worker) {
		ret = -ENOMEM;
		goto err_worker;
	}

	vmdev_debugfs_add(dev);
	return 0;

err_worker:
	free_buffers(dev);
err_buffers:
	put_space(dev);
err_space:
	put_mm(dev);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(vmdev_set_owner, VHOST_MMU);

/* Forget everything the owner said about a queue. */
static void vq_reset(struct vmdev_vq *dvq)
{
	struct vmq *vmq = &dvq->vmq;

	mutex_lock(&vmq->mutex);
	/* The backend stops its queues first; no map may outlive the space. */
	if (WARN_ON_ONCE(vmq->running))
		vmq_stop(vmq);

	if (vmq->call)
		eventfd_ctx_put(vmq->call);
	if (vmq->err)
		eventfd_ctx_put(vmq->err);
	if (dvq->kick)
		fput(dvq->kick);

	vmq_reset(vmq);
	dvq->kick = NULL;
	dvq->backend = NULL;
	dvq->busyloop_timeout = 0;
	mutex_unlock(&vmq->mutex);
}

/*
 * From owned to just opened.  The worker goes first: nothing uses a translation
 * or the mm after it.  Then everything that holds a translation, and only then
 * the notifier that would take it back; the mm last.
 */
static void drop_owner(struct vmdev *dev)
{
	unsigned int i;

	vmdev_debugfs_remove(dev);

	if (dev->worker)
		vmdev_worker_destroy(dev->worker);
	dev->worker = NULL;

	for (i = 0; i < dev->nvqs; i++)
		vq_reset(dev->vqs[i]);
	vmdev_put_log(dev);
	vmdev_put_mmus(dev);
	put_space(dev);
	free_buffers(dev);

	vhost_iotlb_free(dev->umem);
	dev->umem = NULL;
	wake_up_interruptible_poll(&dev->wait, EPOLLIN | EPOLLRDNORM);

	put_mm(dev);
}

/**
 * vmdev_cleanup() - undo vmdev_init(), owned or not
 * @dev: the device, stopped: no backend is attached and vmdev_stop() was called
 *
 * Context: process context, may sleep; the last user of @dev.
 */
void vmdev_cleanup(struct vmdev *dev)
{
	unsigned int i;

	drop_owner(dev);
	for (i = 0; i < dev->nvqs; i++)
		vmq_destroy(&dev->vqs[i]->vmq);
}
EXPORT_SYMBOL_NS_GPL(vmdev_cleanup, VHOST_MMU);

/**
 * vmdev_reset_owner_prepare() - allocate what vmdev_reset_owner() needs
 *
 * Return: an empty memory table, or NULL: nothing has changed then.
 */
struct vhost_iotlb *vmdev_reset_owner_prepare(void)
{
	return vmdev_umem_alloc();
}
EXPORT_SYMBOL_NS_GPL(vmdev_reset_owner_prepare, VHOST_MMU);

/**
 * vmdev_reset_owner() - VHOST_RESET_OWNER: back to what open() gave
 * @dev: the device, stopped as for vmdev_cleanup(); the caller is the owner
 * @umem: what vmdev_reset_owner_prepare() gave
 *
 * But for the memory table, which is empty then, not missing.
 *
 * Context: process context, may sleep; device mutex held.
 */
void vmdev_reset_owner(struct vmdev *dev, struct vhost_iotlb *umem)
{
	lockdep_assert_held(&dev->mutex);

	drop_owner(dev);

	dev->fork_owner = vmdev_fork_owner_default();
	dev->umem = umem;
	vmdev_apply_memory(dev);
}
EXPORT_SYMBOL_NS_GPL(vmdev_reset_owner, VHOST_MMU);

/**
 * vmdev_stop() - stop listening to kicks and wait for the work they caused
 * @dev: the device
 *
 * Context: process context, may sleep; no vmq::mutex held.
 */
void vmdev_stop(struct vmdev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++) {
		struct vmdev_vq *dvq = dev->vqs[i];

		vmdev_vq_lock(dvq);
		if (dvq->kick)
			vmdev_poll_stop(&dvq->poll);
		mutex_unlock(&dvq->vmq.mutex);
	}
	vmdev_flush(dev);
}
EXPORT_SYMBOL_NS_GPL(vmdev_stop, VHOST_MMU);
