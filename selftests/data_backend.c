// SPDX-License-Identifier: GPL-2.0
/* Other backends than a tap, and rings that stop and go on. */
/*
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "vhost_test.h"

#define PACKETS	1500

/* A pair of interfaces: what goes into one comes out of the other. */
static int veth_pair(int mtu)
{
	int r = vt_ip("link add vta type veth peer name vtb");

	if (!r)
		r = vt_if_up("vta", mtu);
	return r ? r : vt_if_up("vtb", mtu);
}

/*
 * Both ways between @backend and the packet socket @sock. The two directions
 * are run one after the other on the same rings as the rig set up.
 */
static int flow(struct vt_rig *rig, int backend, int sock, uint64_t n,
		unsigned int len_max)
{
	struct vt_traffic t[2];
	unsigned int i;
	int r, err = 0;

	for (i = 0; i < 2; i++) {
		struct vt_traffic_cfg cfg = vt_traffic_cfg_rig(rig, i);

		cfg.sock = sock;
		cfg.sock_vnet_hdr = false;
		cfg.len_max = len_max;
		/* a socket's queue is shorter than the tap's */
		cfg.window = 64;
		r = vt_vq_start(&rig->vq[i], backend);
		if (!r)
			r = vt_traffic_start(&t[i], &cfg);
		if (r)
			return r;
	}
	for (i = 0; i < 2; i++) {
		r = vt_traffic_wait(&t[i], n, VT_TIMEOUT);
		err = err ? err : r;
	}
	for (i = 0; i < 2; i++) {
		r = vt_traffic_stop(&t[i]);
		err = err ? err : r;
		if (vt_event_read(rig->vq[i].err))
			err = -EPROTO;
	}
	return err;
}

FIXTURE(backend)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(backend)
{
	uint64_t features;
};

#define EVENT	VT_F(VIRTIO_RING_F_EVENT_IDX)
#define MRG	VT_F(VIRTIO_NET_F_MRG_RXBUF)
#define V1	VT_F(VIRTIO_F_VERSION_1)

FIXTURE_VARIANT_ADD(backend, modern) { .features = V1 | MRG | EVENT };
FIXTURE_VARIANT_ADD(backend, legacy) { .features = 0 };

static int open_rig(struct vt_rig *rig, uint64_t features)
{
	struct vt_rig_cfg cfg = {
		.features = features,
		.exact_features = true,
		.no_start = true,
	};

	return vt_rig_open(rig, &cfg);
}

FIXTURE_SETUP(backend)
{
}

FIXTURE_TEARDOWN(backend)
{
	vt_rig_close(&self->rig);
}

/* A packet socket: no virtio header there, vhost supplies and strips it. */
TEST_F_TIMEOUT(backend, packet_socket, 600)
{
	int backend, sock;

	ASSERT_EQ(0, open_rig(&self->rig, variant->features |
			      VT_F(VHOST_NET_F_VIRTIO_NET_HDR)));
	if (veth_pair(1500))
		SKIP(return, "no veth interfaces: ip link add failed");
	backend = vt_packet_open(if_nametoindex("vta"), false);
	sock = vt_packet_open(if_nametoindex("vtb"), false);
	ASSERT_LT(0, backend);
	ASSERT_LT(0, sock);
	EXPECT_EQ(0, flow(&self->rig, backend, sock, PACKETS, 1500));
}

/*
 * The character device of the macvtap @name. Its number is in sysfs only, and
 * that of this network namespace has to be mounted first.
 */
static int open_macvtap(const char *name)
{
	char dir[] = "/tmp/vhost-test.XXXXXX", path[128], text[32] = "";
	unsigned int maj, min, index = if_nametoindex(name);
	int fd = -1;
	FILE *f;

	if (!mkdtemp(dir) || unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", dir, "sysfs", 0, NULL))
		return -1;
	snprintf(path, sizeof(path), "%s/class/net/%s/tap%u/dev", dir, name,
		 index);
	f = fopen(path, "r");
	if (f && fgets(text, sizeof(text), f) &&
	    sscanf(text, "%u:%u", &maj, &min) == 2) {
		umount(dir);
		/* on a file system that surely has devices */
		if (!mount("none", dir, "tmpfs", 0, NULL)) {
			snprintf(path, sizeof(path), "%s/tap", dir);
			mknod(path, S_IFCHR | 0600, makedev(maj, min));
			fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
	}
	if (f)
		fclose(f);
	umount(dir);
	rmdir(dir);
	return fd;
}

/* macvtap: what frames it sends leaves by the interface below it. */
TEST_F_TIMEOUT(backend, macvtap, 600)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int sndbuf = INT_MAX, hdr, fd, sock;

	ASSERT_EQ(0, open_rig(&self->rig, variant->features));
	hdr = self->rig.dev.hdr_len;
	if (veth_pair(1500) ||
	    vt_ip("link add link vta name vtm type macvtap mode passthru") ||
	    vt_if_up("vtm", 0))
		SKIP(return, "no macvtap: ip link add type macvtap failed");
	fd = open_macvtap("vtm");
	if (fd < 0)
		SKIP(return, "cannot open the macvtap: %s", strerror(errno));
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "vtm");
	ASSERT_EQ(0, ioctl(fd, TUNSETIFF, &ifr));
	ASSERT_EQ(0, ioctl(fd, TUNSETVNETHDRSZ, &hdr));
	ASSERT_EQ(0, ioctl(fd, TUNSETSNDBUF, &sndbuf));
	sock = vt_packet_open(if_nametoindex("vtb"), false);
	ASSERT_LT(0, sock);
	EXPECT_EQ(0, flow(&self->rig, fd, sock, PACKETS, 1500));
}

/* From one backend to another while packets flow in. */
TEST_F_TIMEOUT(backend, change, 600)
{
	struct vt_tap other;
	unsigned int i;

	ASSERT_EQ(0, open_rig(&self->rig, variant->features));
	ASSERT_EQ(0, vt_tap_open(&other, self->rig.dev.hdr_len));
	for (i = 0; i < 4; i++) {
		struct vt_tap *tap = i % 2 ? &other : &self->rig.tap;
		struct vt_traffic_cfg cfg =
			vt_traffic_cfg_rig(&self->rig, VT_VQ_TX);
		struct vt_traffic t;

		cfg.sock = tap->sock;
		cfg.sock_vnet_hdr = true;
		/* the first sets the ring up, the rest replace the backend */
		ASSERT_EQ(0, i ? vt_vq_set_backend(&self->rig.vq[VT_VQ_TX],
						   tap->fd) :
				 vt_vq_start(&self->rig.vq[VT_VQ_TX], tap->fd));
		ASSERT_EQ(0, vt_traffic_start(&t, &cfg));
		EXPECT_EQ(0, vt_traffic_wait(&t, 300, VT_TIMEOUT));
		EXPECT_EQ(0, vt_traffic_stop(&t));
	}
	vt_tap_close(&other);
}

/* ------------------------------------------------------- stop and go on */

FIXTURE(again)
{
	struct vt_rig rig;
};

FIXTURE_VARIANT(again)
{
	unsigned int vq;
	uint64_t features;
};

FIXTURE_VARIANT_ADD(again, tx) { VT_VQ_TX, 0 };
FIXTURE_VARIANT_ADD(again, rx) { VT_VQ_RX, 0 };
FIXTURE_VARIANT_ADD(again, tx_event) { VT_VQ_TX, EVENT };
FIXTURE_VARIANT_ADD(again, rx_event) { VT_VQ_RX, EVENT };

FIXTURE_SETUP(again)
{
	struct vt_rig_cfg cfg = { .features = variant->features,
				  .base = 65000 };

	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
}

FIXTURE_TEARDOWN(again)
{
	vt_rig_close(&self->rig);
}

/*
 * Stopped with packets in flight, asked for its index, and started from there,
 * as in a live migration: nothing is lost, nothing comes twice.
 */
TEST_F_TIMEOUT(again, in_flight, 600)
{
	struct vt_vq *vq = &self->rig.vq[variant->vq];
	struct vhost_vring_state s = { .index = variant->vq };
	struct vt_traffic t;
	unsigned int i;

	ASSERT_EQ(0, vt_traffic_start_rig(&t, &self->rig, variant->vq));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, vt_traffic_wait(&t, 60, VT_TIMEOUT));
		ASSERT_EQ(0, vt_vq_stop(vq));
		ASSERT_EQ(0, ioctl(self->rig.dev.fd, VHOST_GET_VRING_BASE, &s));
		/* what it has taken it has also used */
		EXPECT_EQ(*(volatile uint16_t *)&vq->used->idx, s.num);
		ASSERT_EQ(0, ioctl(self->rig.dev.fd, VHOST_SET_VRING_BASE, &s));
		ASSERT_EQ(0, vt_vq_set_backend(vq, self->rig.tap.fd));
	}
	EXPECT_EQ(0, vt_traffic_wait(&t, 200, VT_TIMEOUT));
	EXPECT_EQ(0, vt_traffic_stop(&t));
	EXPECT_EQ(0, vt_event_read(vq->err));
}

/* The memory table is replaced over and over, by one that says the same. */
TEST_F_TIMEOUT(again, mem_table, 600)
{
	struct vt_dev *dev = &self->rig.dev;
	struct vt_traffic t;
	unsigned int i;

	ASSERT_EQ(0, vt_traffic_start_rig(&t, &self->rig, variant->vq));
	for (i = 0; i < 60; i++) {
		/* more regions at times, that have nothing to do with it */
		dev->nregions = 1;
		if (i % 2)
			vt_dev_add_region(dev, 0x1000, dev, 4096);
		ASSERT_EQ(0, vt_dev_set_mem_table(dev));
		ASSERT_EQ(0, vt_traffic_wait(&t, 20, VT_TIMEOUT));
	}
	EXPECT_EQ(0, vt_traffic_stop(&t));
	EXPECT_EQ(0, vt_event_read(self->rig.vq[variant->vq].err));
}

/* Everything is given up and set up anew on the same fd. */
TEST_F_TIMEOUT(again, reset_owner, 600)
{
	uint64_t features = self->rig.dev.features;
	int fd = self->rig.dev.fd;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		struct vt_traffic t;
		unsigned int vq;

		ASSERT_EQ(0, vt_traffic_start_rig(&t, &self->rig, variant->vq));
		EXPECT_EQ(0, vt_traffic_wait(&t, 100, VT_TIMEOUT));
		EXPECT_EQ(0, vt_traffic_stop(&t));
		ASSERT_EQ(0, ioctl(fd, VHOST_RESET_OWNER, NULL));
		ASSERT_EQ(0, ioctl(fd, VHOST_SET_OWNER, NULL));
		ASSERT_EQ(0, ioctl(fd, VHOST_SET_FEATURES, &features));
		ASSERT_EQ(0, vt_dev_set_mem_table(&self->rig.dev));
		for (vq = 0; vq < 2; vq++) {
			vt_vq_reset(&self->rig.vq[vq], i * 1000);
			ASSERT_EQ(0, vt_vq_start(&self->rig.vq[vq],
						 self->rig.tap.fd));
		}
	}
}

TEST_HARNESS_MAIN
