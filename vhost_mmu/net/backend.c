// SPDX-License-Identifier: GPL-2.0
/*
 * The socket behind each queue: taken from a file descriptor of the owner,
 * replaced and given back under the mutex of the queue.
 *
 * vmdev_vq::backend holds a reference to the socket's file while it is set.
 * The handlers do not run without a backend, and a flush of the worker waits
 * for those that still look at an old one.
 */
#include <linux/err.h>
#include <linux/file.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/net.h>
#include <net/sock.h>

#include "net.h"

static struct socket *get_packet_socket(int fd)
{
	struct socket *sock;
	int err;

	sock = sockfd_lookup(fd, &err);
	if (!sock)
		return ERR_PTR(err);

	if (sock->sk->sk_type == SOCK_RAW && sock->sk->sk_family == AF_PACKET)
		return sock;

	sockfd_put(sock);
	return ERR_PTR(-EPFNOSUPPORT);
}

/* tun and tap, and through the latter macvtap and ipvtap */
static struct socket *get_tap_socket(int fd)
{
	struct file *file = fget(fd);
	struct socket *sock;

	if (!file)
		return ERR_PTR(-EBADF);

	sock = tun_get_socket(file);
	if (IS_ERR(sock))
		sock = tap_get_socket(file);
	if (IS_ERR(sock))
		fput(file);
	return sock;
}

/* NULL for -1; every failure is ENOTSOCK, as user space knows it. */
static struct socket *get_socket(int fd)
{
	struct socket *sock;

	if (fd == -1)
		return NULL;

	sock = get_packet_socket(fd);
	if (IS_ERR(sock))
		sock = get_tap_socket(fd);
	return IS_ERR(sock) ? ERR_PTR(-ENOTSOCK) : sock;
}

static struct ptr_ring *get_ptr_ring(struct socket *sock)
{
	struct ptr_ring *ring;

	if (!sock)
		return NULL;

	ring = tun_get_tx_ring(sock->file);
	if (IS_ERR(ring))
		ring = tap_get_ptr_ring(sock->file);
	return IS_ERR(ring) ? NULL : ring;
}

static int start_or_stop(struct vmq *vmq, bool start)
{
	if (start)
		return vmq_start(vmq, vmdev_metadata_access_kernel(),
				 vmdev_payload_access_kernel());
	vmq_stop(vmq);
	return 0;
}

/* Put @sock, which may be NULL, in place of the current backend. */
static int replace_backend(struct vmnet *net, unsigned int index,
			   struct socket *sock)
{
	struct vmdev_vq *dvq = &net->vqs[index].dvq;
	struct socket *old = dvq->backend;
	struct vmq *vmq = &dvq->vmq;
	int ret;

	lockdep_assert_held(&vmq->mutex);

	vmnet_poll_disable(net, index);
	dvq->backend = sock;
	if (index == VMNET_RX) {
		vmnet_coalesce_stop(net);
		vmnet_rxbuf_unproduce(&net->rx);
	}

	ret = start_or_stop(vmq, sock);
	if (ret)
		goto err_restore;
	ret = vmnet_poll_enable(net, index);
	if (ret)
		goto err_restore;

	if (index == VMNET_RX)
		net->rx.ring = get_ptr_ring(sock);
	else
		vmnet_txbuf_free(&net->tx);
	return 0;

err_restore:
	dvq->backend = old;
	if (!old)
		vmq_stop(vmq);
	vmnet_poll_enable(net, index);
	return ret;
}

/* Returns the backend replaced in @old: the caller puts it after a flush. */
static int set_vq_backend(struct vmnet *net, unsigned int index, int fd,
			  struct socket **old)
{
	struct vmdev_vq *dvq = &net->vqs[index].dvq;
	struct vmq *vmq = &dvq->vmq;
	struct socket *sock;
	int ret = 0;

	lockdep_assert_held(&net->dev.mutex);

	vmdev_vq_lock(dvq);

	/* Catch a ring that was never set up, before looking at the socket. */
	if (!vmdev_vq_access_ok(dvq)) {
		ret = -EFAULT;
		goto out_unlock;
	}

	sock = get_socket(fd);
	if (IS_ERR(sock)) {
		ret = PTR_ERR(sock);
		goto out_unlock;
	}

	*old = dvq->backend;
	if (sock != *old)
		ret = replace_backend(net, index, sock);
	if (ret) {
		*old = NULL;
		if (sock)
			sockfd_put(sock);
	}
out_unlock:
	mutex_unlock(&vmq->mutex);
	return ret;
}

/**
 * vmnet_set_backend() - VHOST_NET_SET_BACKEND
 * @net: device
 * @index: queue
 * @fd: socket or tap of the caller, -1 for none
 *
 * After a failure the queue goes on with the backend it had.
 *
 * Return: 0, -EPERM, -ENOBUFS, -EFAULT, -ENOTSOCK or -EINVAL.
 */
int vmnet_set_backend(struct vmnet *net, unsigned int index, int fd)
{
	struct socket *old = NULL;
	int ret;

	mutex_lock(&net->dev.mutex);
	ret = vmdev_check_owner(&net->dev);
	if (ret)
		goto out_unlock;
	if (index >= VMNET_NVQS) {
		ret = -ENOBUFS;
		goto out_unlock;
	}

	ret = set_vq_backend(net, index, fd, &old);
	if (old) {
		/* The worker may be about to poll the old file. */
		vmdev_flush(&net->dev);
		sockfd_put(old);
	}
out_unlock:
	mutex_unlock(&net->dev.mutex);
	return ret;
}

/**
 * vmnet_stop() - take the backends away
 * @net: device
 * @socks: filled with the backends, to be put after a flush
 */
void vmnet_stop(struct vmnet *net, struct socket *socks[VMNET_NVQS])
{
	unsigned int i;

	for (i = 0; i < VMNET_NVQS; i++) {
		struct vmdev_vq *dvq = &net->vqs[i].dvq;
		struct vmq *vmq = &dvq->vmq;

		vmdev_vq_lock(dvq);
		socks[i] = dvq->backend;
		vmnet_poll_disable(net, i);
		dvq->backend = NULL;
		vmq_stop(vmq);
		if (i == VMNET_RX) {
			vmnet_coalesce_stop(net);
			vmnet_rxbuf_unproduce(&net->rx);
			net->rx.ring = NULL;
		} else {
			vmnet_txbuf_free(&net->tx);
		}
		mutex_unlock(&vmq->mutex);
	}
}

/* Drop what vmnet_stop() returned; entries may be NULL. */
void vmnet_put_sockets(struct socket *socks[VMNET_NVQS])
{
	unsigned int i;

	for (i = 0; i < VMNET_NVQS; i++)
		if (socks[i])
			sockfd_put(socks[i]);
}
