// SPDX-License-Identifier: GPL-2.0
/*
 * The vhost-mmu-net device node: life time of a device, and the ioctls of its
 * own.  What follows the vhost-net interface is in its order of checks, too.
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>

#include "net.h"
#include "tun_dev.h"

/*
 * Nothing in the headers tells whether stock vhost-net offers it: commit
 * 313389be06ff ("vhost-net: support VIRTIO_F_RING_RESET") of 6.3.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
#define VMNET_F_RING_RESET BIT_ULL(VIRTIO_F_RING_RESET)
#else
#define VMNET_F_RING_RESET 0
#endif

static const u64 vmnet_features =
	BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) |
	BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |
	BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) |
	BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR) | BIT_ULL(VHOST_F_LOG_ALL) |
	VMNET_F_RING_RESET;

/* No IOTLB messages yet */
static const u64 vmnet_backend_features;

static void free_device(struct vmnet *net)
{
	unsigned int i;

	for (i = 0; i < VMNET_NVQS; i++) {
		kvfree(net->vqs[i].heads);
		kvfree(net->vqs[i].iov);
	}
	kvfree(net);
}

static struct vmnet *alloc_device(void)
{
	struct vmnet *net = kvzalloc(sizeof(*net), GFP_KERNEL);
	unsigned int i;

	if (!net)
		return NULL;

	for (i = 0; i < VMNET_NVQS; i++) {
		struct vmnet_vq *nvq = &net->vqs[i];

		net->vq_ptrs[i] = &nvq->dvq;
		nvq->heads = kvmalloc_array(VMNET_HEADS, sizeof(*nvq->heads),
					    GFP_KERNEL);
		nvq->iov = kvmalloc_array(UIO_MAXIOV, sizeof(*nvq->iov),
					  GFP_KERNEL);
		if (!nvq->heads || !nvq->iov) {
			free_device(net);
			return NULL;
		}
	}
	net->dev.name = "net";
	net->vqs[VMNET_RX].dvq.handle_kick = vmnet_handle_rx_kick;
	net->vqs[VMNET_TX].dvq.handle_kick = vmnet_handle_tx_kick;
	return net;
}

static int vmnet_open(struct inode *inode, struct file *file)
{
	struct vmnet *net = alloc_device();

	if (!net)
		return -ENOMEM;

	vmdev_init(&net->dev, net->vq_ptrs, VMNET_NVQS, VMNET_PACKET_WEIGHT,
		   VMNET_BYTE_WEIGHT);
	vmdev_poll_init(&net->poll[VMNET_RX], vmnet_handle_rx_socket, EPOLLIN,
			net->vq_ptrs[VMNET_RX]);
	vmdev_poll_init(&net->poll[VMNET_TX], vmnet_handle_tx_socket, EPOLLOUT,
			net->vq_ptrs[VMNET_TX]);
	vmnet_coalesce_init(net);
	vmnet_txbuf_init(&net->tx);

	file->private_data = net;
	return 0;
}

static int vmnet_release(struct inode *inode, struct file *file)
{
	struct vmnet *net = file->private_data;
	struct socket *socks[VMNET_NVQS];

	vmdev_abort(&net->dev);
	vmnet_stop(net, socks);
	vmdev_flush(&net->dev);
	vmdev_stop(&net->dev);
	vmnet_txbuf_destroy(&net->tx);
	/* No kick, no socket and no ioctl can queue work from here on. */
	vmdev_cleanup(&net->dev);
	vmnet_put_sockets(socks);
	free_device(net);
	return 0;
}

static long set_owner(struct vmnet *net)
{
	long ret = -EBUSY;

	mutex_lock(&net->dev.mutex);
	if (!vmdev_has_owner(&net->dev)) {
		ret = vmdev_set_owner(&net->dev);
		vmdev_flush(&net->dev);
	}
	mutex_unlock(&net->dev.mutex);
	return ret;
}

static long reset_owner(struct vmnet *net)
{
	struct socket *socks[VMNET_NVQS] = {};
	struct vhost_iotlb *umem;
	unsigned int i;
	long ret;

	mutex_lock(&net->dev.mutex);
	ret = vmdev_check_owner(&net->dev);
	if (ret)
		goto out_unlock;

	umem = vmdev_reset_owner_prepare();
	if (!umem) {
		ret = -ENOMEM;
		goto out_unlock;
	}

	vmnet_stop(net, socks);
	vmdev_flush(&net->dev);
	vmdev_stop(&net->dev);
	vmdev_reset_owner(&net->dev, umem);
	for (i = 0; i < VMNET_NVQS; i++) {
		net->vqs[i].vhost_hlen = 0;
		net->vqs[i].sock_hlen = 0;
	}
out_unlock:
	mutex_unlock(&net->dev.mutex);
	vmnet_put_sockets(socks);
	return ret;
}

static long apply_features(struct vmnet *net, u64 features)
{
	bool vhost_hdr = features & BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR);
	size_t hlen = sizeof(struct virtio_net_hdr);
	unsigned int i;

	if (features &
	    (BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | BIT_ULL(VIRTIO_F_VERSION_1)))
		hlen = sizeof(struct virtio_net_hdr_mrg_rxbuf);

	mutex_lock(&net->dev.mutex);
	if (features & BIT_ULL(VHOST_F_LOG_ALL) &&
	    !vmdev_log_access_ok(&net->dev)) {
		mutex_unlock(&net->dev.mutex);
		return -EFAULT;
	}
	for (i = 0; i < VMNET_NVQS; i++) {
		struct vmnet_vq *nvq = &net->vqs[i];
		struct vmq *vmq = vmnet_vmq(nvq);

		vmdev_vq_lock(&nvq->dvq);
		vmq_set_features(vmq, features);
		nvq->vhost_hlen = vhost_hdr ? hlen : 0;
		nvq->sock_hlen = vhost_hdr ? 0 : hlen;
		mutex_unlock(&vmq->mutex);
	}
	mutex_unlock(&net->dev.mutex);
	return 0;
}

static long set_features(struct vmnet *net, void __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (features & ~vmnet_features)
		return -EOPNOTSUPP;
	return apply_features(net, features);
}

static long set_backend_features(void __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	return features & ~vmnet_backend_features ? -EOPNOTSUPP : 0;
}

static long get_features(u64 features, void __user *argp)
{
	return copy_to_user(argp, &features, sizeof(features)) ? -EFAULT : 0;
}

static long set_backend(struct vmnet *net, void __user *argp)
{
	struct vhost_vring_file backend;

	if (copy_from_user(&backend, argp, sizeof(backend)))
		return -EFAULT;
	return vmnet_set_backend(net, backend.index, backend.fd);
}

static long core_ioctl(struct vmnet *net, unsigned int cmd, void __user *argp)
{
	long ret;

	mutex_lock(&net->dev.mutex);
	ret = vmdev_ioctl(&net->dev, cmd, argp);
	if (ret == -ENOIOCTLCMD)
		ret = vmdev_vring_ioctl(&net->dev, cmd, argp);
	else if (ret != -EPERM)
		/* Who is not the owner has changed nothing to wait for. */
		vmdev_flush(&net->dev);
	mutex_unlock(&net->dev.mutex);
	return ret;
}

static long vmnet_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vmnet *net = file->private_data;
	void __user *argp = (void __user *)arg;

	switch (cmd) {
	case VHOST_NET_SET_BACKEND:
		return set_backend(net, argp);
	case VHOST_GET_FEATURES:
		return get_features(vmnet_features, argp);
	case VHOST_SET_FEATURES:
		return set_features(net, argp);
	case VHOST_GET_BACKEND_FEATURES:
		return get_features(vmnet_backend_features, argp);
	case VHOST_SET_BACKEND_FEATURES:
		return set_backend_features(argp);
	case VHOST_RESET_OWNER:
		return reset_owner(net);
	case VHOST_SET_OWNER:
		return set_owner(net);
	default:
		return core_ioctl(net, cmd, argp);
	}
}

static ssize_t vmnet_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct vmnet *net = iocb->ki_filp->private_data;

	return vmdev_chr_read_iter(&net->dev, to,
				   iocb->ki_filp->f_flags & O_NONBLOCK);
}

static ssize_t vmnet_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct vmnet *net = iocb->ki_filp->private_data;

	return vmdev_chr_write_iter(&net->dev, from);
}

static __poll_t vmnet_poll(struct file *file, poll_table *wait)
{
	struct vmnet *net = file->private_data;

	return vmdev_chr_poll(file, &net->dev, wait);
}

static const struct file_operations vmnet_fops = {
	.owner = THIS_MODULE,
	.open = vmnet_open,
	.release = vmnet_release,
	.read_iter = vmnet_read_iter,
	.write_iter = vmnet_write_iter,
	.poll = vmnet_poll,
	.unlocked_ioctl = vmnet_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/* Stock vhost-net holds the minor of its own. */
static struct miscdevice vmnet_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-mmu-net",
	.fops = &vmnet_fops,
};

static int __init vmnet_init(void)
{
	int ret = vmnet_tun_devs_init();

	if (ret)
		return ret;
	ret = misc_register(&vmnet_misc);
	if (ret)
		vmnet_tun_devs_exit();
	return ret;
}
module_init(vmnet_init);

static void __exit vmnet_exit(void)
{
	misc_deregister(&vmnet_misc);
	vmnet_tun_devs_exit();
}
module_exit(vmnet_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("vhost-net with the guest's rings in kernel addresses");
MODULE_IMPORT_NS(VHOST_MMU);
