// SPDX-License-Identifier: GPL-2.0
/* A private network namespace, a tap in it, and the host's side of the tap. */
#include "vhost_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TAP_MTU		65521
#define TAP_QUEUE_LEN	8192
#define SOCK_RCVBUF	(128 << 20)

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

int vt_netns_enter(void)
{
	if (unshare(CLONE_NEWNET)) {
		vt_msg("net: cannot make a network namespace: %m (run as root)");
		return -errno;
	}
	/* a kernel without IPv6 makes no noise to be silenced */
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
	return vt_if_up("lo", 0);
}

int vt_if_up(const char *name, int mtu)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_mtu = mtu;
	if (mtu && ioctl(fd, SIOCSIFMTU, &ifr))
		r = -errno;
	if (!r && ioctl(fd, SIOCGIFFLAGS, &ifr))
		r = -errno;
	ifr.ifr_flags |= IFF_UP | IFF_NOARP;
	if (!r && ioctl(fd, SIOCSIFFLAGS, &ifr))
		r = -errno;
	if (r)
		vt_msg("net: cannot set up %s: %s", name, strerror(-r));
	close(fd);
	return r;
}

int vt_ip(const char *fmt, ...)
{
	char cmd[256] = "ip ";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd + 3, sizeof(cmd) - 3, fmt, ap);
	va_end(ap);
	return system(cmd) ? -EIO : 0;
}

static int set_queue_len(const char *name, int len)
{
	struct ifreq ifr = {};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_qlen = len;
	if (ioctl(fd, SIOCSIFTXQLEN, &ifr))
		r = -errno;
	close(fd);
	return r;
}

int vt_tap_open(struct vt_tap *tap, unsigned int hdr_len)
{
	unsigned int offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 |
			       TUN_F_TSO_ECN;
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int sndbuf = INT_MAX;
	int hdr = hdr_len;
	int r;

	memset(tap, 0, sizeof(*tap));
	tap->sock = -1;
	tap->vnet_hdr = hdr_len;
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0) {
		vt_msg("net: cannot open /dev/net/tun: %m (modprobe tun)");
		return -errno;
	}
	if (hdr_len)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (ioctl(tap->fd, TUNSETIFF, &ifr))
		goto err;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	if (hdr_len && (ioctl(tap->fd, TUNSETVNETHDRSZ, &hdr) ||
			ioctl(tap->fd, TUNSETOFFLOAD, offload)))
		goto err;
	/* what QEMU sets; vhost batches only with it */
	if (ioctl(tap->fd, TUNSETSNDBUF, &sndbuf))
		goto err;
	r = set_queue_len(tap->name, TAP_QUEUE_LEN);
	if (!r)
		r = vt_if_up(tap->name, TAP_MTU);
	if (r)
		goto err_close;
	tap->ifindex = if_nametoindex(tap->name);
	tap->sock = vt_packet_open(tap->ifindex, tap->vnet_hdr);
	if (tap->sock >= 0)
		return 0;
	r = tap->sock;
	goto err_close;
err:
	r = -errno;
	vt_msg("net: cannot configure the tap: %m");
err_close:
	vt_tap_close(tap);
	return r;
}

void vt_tap_close(struct vt_tap *tap)
{
	if (tap->fd > 0)
		close(tap->fd);
	if (tap->sock > 0)
		close(tap->sock);
	tap->fd = tap->sock = -1;
}

int vt_packet_open(int ifindex, bool vnet_hdr)
{
	struct sockaddr_ll sll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = ifindex,
	};
	int one = 1, rcvbuf = SOCK_RCVBUF, r;
	/* protocol 0: nothing is received before it is bound */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0)
		goto err;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf,
		       sizeof(rcvbuf)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)))
		goto err;
	if (vnet_hdr &&
	    setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		goto err;
	if (bind(fd, (struct sockaddr *)&sll, sizeof(sll)))
		goto err;
	return fd;
err:
	r = -errno;
	vt_msg("net: cannot open a packet socket: %m");
	if (fd >= 0)
		close(fd);
	return r;
}

int vt_packet_send(int sock, const struct virtio_net_hdr *hdr,
		   const void *frame, size_t len)
{
	struct iovec iov[2] = {
		{ (void *)hdr, sizeof(*hdr) },
		{ (void *)frame, len },
	};
	struct msghdr msg = {
		.msg_iov = hdr ? iov : iov + 1,
		.msg_iovlen = hdr ? 2 : 1,
	};

	return sendmsg(sock, &msg, 0) < 0 ? -errno : 0;
}

int vt_packet_recv(int sock, struct virtio_net_hdr *hdr, void *frame,
		   size_t max, int timeout_ms)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct iovec iov[2] = {
		{ hdr, sizeof(*hdr) },
		{ frame, max },
	};
	struct msghdr msg = {
		.msg_iov = hdr ? iov : iov + 1,
		.msg_iovlen = hdr ? 2 : 1,
	};
	ssize_t n;

	/* most often there is one: save the poll */
	for (;;) {
		n = recvmsg(sock, &msg, MSG_DONTWAIT);
		if (n >= 0)
			return hdr ? n - (ssize_t)sizeof(*hdr) : n;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		n = poll(&p, 1, timeout_ms);
		if (!n)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}
