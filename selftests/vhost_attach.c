// SPDX-License-Identifier: GPL-2.0
/*
 * Vhost devices that go by an MMU of /dev/vhost-mmu: its memslots say what guest
 * memory is, whenever they change.
 * Timeout: 120 s
 */
#include <kselftest_harness.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "inval.h"
#include "mmu_dev.h"

#define RINGS_GPA	0x4000000000ULL
#define OTHER_GPA	0x8000000000ULL

#define SLOT_MEM	0
#define SLOT_RINGS	1
#define SLOT_OTHER	7

FIXTURE(attach)
{
	struct vt_rig rig;
	int mmu;
};

FIXTURE_SETUP(attach)
{
	struct vt_rig_cfg cfg = { .no_start = true };

	self->rig.dev.fd = self->rig.tap.fd = self->rig.tap.sock = -1;
	self->mmu = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, vt_rig_open(&self->rig, &cfg));
	self->mmu = vt_mmu_open();
	ASSERT_GE(self->mmu, 0);
}

FIXTURE_TEARDOWN(attach)
{
	vt_rig_close(&self->rig);
	if (self->mmu >= 0)
		close(self->mmu);
}

static int set_mem(int mmu, uint32_t flags, const struct vt_rig *rig)
{
	return vt_mmu_slot(mmu, SLOT_MEM, flags,
			   rig->dev.regions[0].guest_phys_addr, rig->mem.base,
			   rig->mem.len);
}

/* ----------------------------------------------------------------- errors */

TEST_F(attach, arguments)
{
	int fd = self->rig.dev.fd, null = open("/dev/null", O_RDWR);
	struct {
		struct vhost_mmu_attach args;
		uint64_t more;
	} a = { .args = { .fd = self->mmu } };

	/* the number says nothing of the size, which may grow */
	EXPECT_EQ(0, _IOC_SIZE(VHOST_MMU_ATTACH));
	EXPECT_EQ(0, _IOC_SIZE(VHOST_MMU_GET_ATTACHED));
	a.args.size = sizeof(a.args) - 1;
	EXPECT_EQ(-EINVAL, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.args.size = 0;
	EXPECT_EQ(-EINVAL, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.args.size = sizeof(a);
	EXPECT_EQ(0, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.more = 1ULL << 63;
	EXPECT_EQ(-E2BIG, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.more = 0;
	/* not read to its end */
	a.args.size = UINT32_MAX;
	EXPECT_EQ(-E2BIG, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.args.size = sizeof(a.args);
	a.args.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	a.args.flags = 0;
	a.args.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, &a));
	EXPECT_EQ(-EFAULT, vt_mmu_ioctl(fd, VHOST_MMU_ATTACH, NULL));

	EXPECT_EQ(-EBADF, vt_mmu_dev_attach(fd, 9999));
	EXPECT_EQ(-EBADF, vt_mmu_dev_attach(fd, -2));
	EXPECT_EQ(-EINVAL, vt_mmu_dev_attach(fd, null));
	EXPECT_EQ(-EINVAL, vt_mmu_dev_attach(fd, fd));
	close(null);

	/* a reader of it is no MMU either */
	null = vt_mmu_create_reader(self->mmu);
	ASSERT_GE(null, 0);
	EXPECT_EQ(-EINVAL, vt_mmu_dev_attach(fd, null));
	close(null);
	/* the failed calls left the device as it was */
	EXPECT_EQ(1, vt_mmu_dev_count(&self->rig.dev, "attached"));
}

/* The number that ends the name of an MMU's statistics, "vhost-mmu-PID-N". */
static long number_of(int mmu)
{
	struct vmmu_get_stats_fd args = { .size = sizeof(args) };
	struct kvm_stats_header header;
	char name[64] = "";
	long n = -1;

	if (ioctl(mmu, VMMU_GET_STATS_FD, &args))
		return -errno;
	if (pread(args.out_fd, &header, sizeof(header), 0) == sizeof(header) &&
	    pread(args.out_fd, name, sizeof(name) - 1, header.id_offset) > 0 &&
	    strrchr(name, '-'))
		n = atol(strrchr(name, '-') + 1);
	close(args.out_fd);
	return n;
}

/* A drain waits for the queues of each device: there is a limit. */
TEST_F_TIMEOUT(attach, many, 300)
{
	enum { MAX = 256 };
	static int fd[MAX + 1];
	unsigned int i;

	for (i = 0; i <= MAX; i++) {
		fd[i] = open(vt_dev_path(), O_RDWR | O_CLOEXEC);
		ASSERT_GE(fd[i], 0);
		ASSERT_EQ(0, ioctl(fd[i], VHOST_SET_OWNER, NULL));
		EXPECT_EQ(i < MAX ? 0 : -EMFILE,
			  vt_mmu_dev_attach(fd[i], self->mmu));
	}
	/* again is no device more */
	EXPECT_EQ(0, vt_mmu_dev_attach(fd[3], self->mmu));
	EXPECT_EQ(0, vt_mmu_dev_attach(fd[3], -1));
	EXPECT_EQ(0, vt_mmu_dev_attach(fd[MAX], self->mmu));
	for (i = 0; i <= MAX; i++)
		close(fd[i]);
}

TEST_F(attach, query)
{
	struct vt_dev *dev = &self->rig.dev;
	struct {
		struct vhost_mmu_get_attached args;
		uint64_t more;
	} q = { .args = { .size = sizeof(q), .attach_flags = ~0ULL } };
	int other = open(vt_dev_path(), O_RDWR);

	ASSERT_EQ(0, vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	EXPECT_EQ(VHOST_MMU_KIND_TABLE, q.args.kind);
	EXPECT_EQ(vt_mmu_dev_count(dev, "mmu"), q.args.mmu);
	EXPECT_EQ(0, q.args.attach_flags);

	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, self->mmu));
	q.args.size = sizeof(q.args);
	ASSERT_EQ(0, vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	EXPECT_EQ(VHOST_MMU_KIND_ATTACHED, q.args.kind);
	EXPECT_EQ(number_of(self->mmu), q.args.mmu);

	q.args.flags = 1;
	EXPECT_EQ(-EOPNOTSUPP,
		  vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	q.args.flags = 0;
	q.args.size = sizeof(q.args) - 1;
	EXPECT_EQ(-EINVAL, vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	q.args.size = UINT32_MAX;
	EXPECT_EQ(-E2BIG, vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	q.args.size = sizeof(q);
	q.more = 1;
	EXPECT_EQ(-E2BIG, vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, &q));
	q.more = 0;
	EXPECT_EQ(-EFAULT,
		  vt_mmu_ioctl(dev->fd, VHOST_MMU_GET_ATTACHED, NULL));

	/* nobody's device, and one without a memory table */
	ASSERT_GE(other, 0);
	EXPECT_EQ(-EPERM, vt_mmu_ioctl(other, VHOST_MMU_GET_ATTACHED, &q));
	ASSERT_EQ(0, ioctl(other, VHOST_SET_OWNER, NULL));
	ASSERT_EQ(0, vt_mmu_ioctl(other, VHOST_MMU_GET_ATTACHED, &q));
	EXPECT_EQ(VHOST_MMU_KIND_NONE, q.args.kind);
	EXPECT_EQ(0, q.args.mmu);
	close(other);
}

TEST_F(attach, owners)
{
	int other = open(vt_dev_path(), O_RDWR);
	pid_t pid;

	ASSERT_GE(other, 0);
	EXPECT_EQ(-EPERM, vt_mmu_dev_attach(other, self->mmu));
	EXPECT_EQ(-EPERM, vt_mmu_dev_attach(other, -1));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		/* the parent's device, then a device of the child's own */
		int bad = vt_mmu_dev_attach(self->rig.dev.fd, self->mmu) !=
			  -EPERM;

		bad |= !!ioctl(other, VHOST_SET_OWNER, NULL);
		bad |= vt_mmu_dev_attach(other, self->mmu) != -EIO;
		close(self->mmu);
		self->mmu = vt_mmu_open();
		bad |= vt_mmu_dev_attach(other, self->mmu) != 0;
		_exit(bad);
	}
	EXPECT_EQ(0, vt_wait_child(pid, VT_TIMEOUT));
	close(other);
}

TEST_F(attach, busy)
{
	struct vt_rig *rig = &self->rig;
	struct vt_dev *dev = &rig->dev;
	int other = vt_mmu_open();
	unsigned int i;

	/* one running queue is enough */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vt_vq_start(&rig->vq[i], rig->tap.fd));
		EXPECT_EQ(-EBUSY, vt_mmu_dev_attach(dev->fd, self->mmu));
		EXPECT_EQ(-EBUSY, vt_mmu_dev_attach(dev->fd, -1));
		EXPECT_EQ(0, vt_mmu_dev_count(dev, "attached"));
		ASSERT_EQ(0, vt_vq_stop(&rig->vq[i]));
	}
	/* the file comes before that */
	ASSERT_EQ(0, vt_vq_start(&rig->vq[0], rig->tap.fd));
	EXPECT_EQ(-EBADF, vt_mmu_dev_attach(dev->fd, 9999));
	ASSERT_EQ(0, vt_vq_stop(&rig->vq[0]));

	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, self->mmu));
	EXPECT_EQ(-EBUSY, vt_dev_set_mem_table(dev));
	/* replace one MMU by another, and by itself */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, other));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, other));
	close(other);
	EXPECT_EQ(1, vt_mmu_dev_count(dev, "refs"));
	EXPECT_EQ(-EBUSY, vt_dev_set_mem_table(dev));
	/* detaching without an MMU succeeds */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, -1));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, -1));
	EXPECT_EQ(0, vt_dev_set_mem_table(dev));
}

/* The memory table is there again afterwards, or missing again. */
TEST_F_TIMEOUT(attach, detach, 300)
{
	struct vt_dev *dev = &self->rig.dev;
	uint64_t table = vt_mmu_dev_id(dev);
	int backend = self->rig.tap.fd;

	/* without memslots there is no guest memory */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, self->mmu));
	EXPECT_NE(table, vt_mmu_dev_id(dev));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, -1));
	EXPECT_EQ(table, vt_mmu_dev_id(dev));
	EXPECT_EQ(0, vt_rig_flow(&self->rig, 100, NULL));
	ASSERT_EQ(0, vt_vq_stop(&self->rig.vq[0]));
	ASSERT_EQ(0, vt_vq_stop(&self->rig.vq[1]));

	/* a device without a memory table cannot be started */
	vt_dev_close(dev);
	ASSERT_EQ(0, vt_dev_open(dev, self->rig.cfg.features));
	EXPECT_EQ(-EFAULT, vt_vq_start(&self->rig.vq[1], backend));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, self->mmu));
	EXPECT_EQ(0, vt_vq_start(&self->rig.vq[1], backend));
	EXPECT_EQ(0, vt_vq_stop(&self->rig.vq[1]));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, -1));
	EXPECT_EQ(-EFAULT, vt_vq_start(&self->rig.vq[1], backend));
	/* and one that is given up is not attached any more */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev->fd, self->mmu));
	ASSERT_EQ(0, ioctl(dev->fd, VHOST_RESET_OWNER, NULL));
	ASSERT_EQ(0, ioctl(dev->fd, VHOST_SET_OWNER, NULL));
	EXPECT_EQ(0, vt_mmu_dev_count(dev, "attached"));
}

/* No log sees all that a device writes, so there is none beside a device. */
TEST_F(attach, dirty_log)
{
	struct vt_rig *rig = &self->rig;
	int dev = rig->dev.fd;

	ASSERT_EQ(0, set_mem(self->mmu, VMMU_MEM_LOG_DIRTY_PAGES, rig));
	EXPECT_EQ(-EOPNOTSUPP, vt_mmu_dev_attach(dev, self->mmu));
	EXPECT_EQ(0, vt_mmu_dev_count(&rig->dev, "attached"));
	ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev, self->mmu));
	EXPECT_EQ(-EOPNOTSUPP,
		  set_mem(self->mmu, VMMU_MEM_LOG_DIRTY_PAGES, rig));
	/* the memslot is as it was */
	EXPECT_EQ(0, vt_rig_flow(rig, 50, NULL));
	ASSERT_EQ(0, vt_vq_stop(&rig->vq[0]));
	ASSERT_EQ(0, vt_vq_stop(&rig->vq[1]));
	/* attached once, however often */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev, self->mmu));
	ASSERT_EQ(0, vt_mmu_dev_attach(dev, -1));
	ASSERT_EQ(0, set_mem(self->mmu, VMMU_MEM_LOG_DIRTY_PAGES, rig));
	ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
	/* a device that goes is not attached any more */
	ASSERT_EQ(0, vt_mmu_dev_attach(dev, self->mmu));
	vt_dev_close(&rig->dev);
	EXPECT_EQ(0, set_mem(self->mmu, VMMU_MEM_LOG_DIRTY_PAGES, rig));
}

/* ---------------------------------------------------------------- packets */

TEST_F_TIMEOUT(attach, packets, 300)
{
	struct vt_rig *rig = &self->rig;

	ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
	ASSERT_EQ(0, vt_mmu_dev_attach(rig->dev.fd, self->mmu));
	EXPECT_EQ(1, vt_mmu_dev_count(&rig->dev, "attached"));
	EXPECT_EQ(0, vt_rig_flow(rig, 500, NULL));
	/* the device keeps its MMU when the file is closed, and shows it */
	close(self->mmu);
	self->mmu = -1;
	EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
	EXPECT_EQ(1, vt_mmu_dev_stat(&rig->dev, "memslots"));
	EXPECT_GT(vt_mmu_dev_stat(&rig->dev, "pages_4k"), 0);
}

/* An MMU that never had a file has statistics, too. */
TEST_F(attach, stats_of_table)
{
	struct vt_rig *rig = &self->rig;
	struct vt_dev dev;

	EXPECT_EQ(1, vt_mmu_dev_stat(&rig->dev, "memslots"));
	EXPECT_EQ(0, vt_mmu_dev_stat(&rig->dev, "pf_fixed"));
	EXPECT_EQ(0, vt_rig_flow(rig, 100, NULL));
	EXPECT_GT(vt_mmu_dev_stat(&rig->dev, "pf_fixed"), 0);
	/* a device without an MMU has none */
	ASSERT_EQ(0, vt_dev_open(&dev, rig->cfg.features));
	EXPECT_EQ(~0ULL, vt_mmu_dev_stat(&dev, "memslots"));
	vt_dev_close(&dev);
}

/* Start one transmission; the error event it ends in, or -ETIMEDOUT. */
static int transmit_fails(struct vt_rig *rig)
{
	struct vt_vq *vq = &rig->vq[VT_VQ_TX];
	struct vt_sg sg = { vt_dev_gpa(&rig->dev, rig->buf[1]), 100 };
	int r = vt_rig_restart(rig, VT_VQ_TX, 0);

	if (r)
		return r;
	vt_event_read(vq->err);
	r = vt_vq_add(vq, &sg, 1, 0, vq);
	if (r)
		return r;
	vt_vq_publish(vq);
	vt_vq_notify(vq);
	return vt_event_wait(vq->err, VT_TIMEOUT);
}

static void swap_gpa(struct vhost_memory_region *reg, uint64_t *gpa)
{
	uint64_t was = reg->guest_phys_addr;

	reg->guest_phys_addr = *gpa;
	*gpa = was;
}

/* A memslot that comes, moves and goes while the rings are running. */
TEST_F_TIMEOUT(attach, memslot_moves, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vhost_memory_region *reg = &rig->dev.regions[0];
	uint64_t first = reg->guest_phys_addr;
	unsigned int i, n = vt_scale(4);

	ASSERT_EQ(0, vt_mmu_dev_attach(rig->dev.fd, self->mmu));
	EXPECT_EQ(0, transmit_fails(rig));
	ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
	EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
	for (i = 0; i < n; i++) {
		uint64_t old = reg->guest_phys_addr;

		reg->guest_phys_addr = i % 2 ? first : OTHER_GPA;
		ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
		EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
		/* the old place maps nothing */
		swap_gpa(reg, &old);
		EXPECT_EQ(0, transmit_fails(rig));
		swap_gpa(reg, &old);
	}
	ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, SLOT_MEM));
	EXPECT_EQ(0, transmit_fails(rig));
	ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
	EXPECT_EQ(0, vt_rig_flow(rig, 200, NULL));
}

/* The guest's memory in two memslots, with packets across their border. */
TEST_F_TIMEOUT(attach, packets_across_memslots, 300)
{
	struct vt_rig *rig = &self->rig;
	char *base = rig->mem.base;
	uint64_t gpa = rig->dev.regions[0].guest_phys_addr, pos;
	uint32_t n = 0;

	for (pos = 0; pos < rig->mem.len; pos += 4 * VT_PAGE)
		ASSERT_EQ(0, vt_mmu_slot(self->mmu, n++, 0, gpa + pos,
					 base + pos, 4 * VT_PAGE));
	ASSERT_EQ(0, vt_mmu_dev_attach(rig->dev.fd, self->mmu));
	EXPECT_EQ(0, vt_rig_flow(rig, 500, NULL));
}

/* The device may read what the guest may not write, but not write it. */
TEST_F_TIMEOUT(attach, readonly, 300)
{
	struct vt_rig *rig = &self->rig;
	struct vt_vq *vq = &rig->vq[VT_VQ_RX];
	char frame[128];
	struct vt_sg sg;

	ASSERT_EQ(0, set_mem(self->mmu, VMMU_MEM_READONLY, rig));
	ASSERT_EQ(0, vt_mmu_dev_attach(rig->dev.fd, self->mmu));
	ASSERT_EQ(0, vt_rig_restart(rig, VT_VQ_RX, 0));
	sg.addr = vt_dev_gpa(&rig->dev, rig->buf[0]);
	sg.len = 2048;
	memset(rig->buf[0], 0x55, sg.len);
	vt_event_read(vq->err);
	ASSERT_EQ(0, vt_vq_add(vq, &sg, 0, 1, vq));
	vt_vq_kick(vq);
	vt_frame_fill(frame, sizeof(frame), 1, 0);
	ASSERT_EQ(0, vt_packet_send(rig->tap.sock,
				    rig->tap.vnet_hdr ?
				    &(struct virtio_net_hdr){ } : NULL,
				    frame, sizeof(frame)));
	EXPECT_EQ(0, vt_event_wait(vq->err, VT_TIMEOUT));
	EXPECT_EQ(0x55, *(char *)rig->buf[0]);
	ASSERT_EQ(0, vt_vq_stop(vq));
}

/* -------------------------------------------------- rings, under traffic */

FIXTURE(traffic)
{
	struct vt_inval inval;
	int mmu;
	char *other;
};

FIXTURE_SETUP(traffic)
{
	struct vt_inval_cfg cfg = {
		.alias = true,
		.features = VT_F(VIRTIO_RING_F_EVENT_IDX),
	};
	struct vt_inval *inval = &self->inval;

	memset(inval, 0, sizeof(*inval));
	inval->rig.dev.fd = inval->rig.tap.fd = inval->rig.tap.sock =
		inval->fd = -1;
	self->mmu = -1;
	if (!vt_mmu_dev_available())
		SKIP(return, VT_MMU_DEV_NONE);
	if (!vt_mmu_available())
		SKIP(return, VT_MMU_NO_DEV);
	ASSERT_EQ(0, vt_inval_open(inval, &cfg));
	ASSERT_EQ(0, vt_vq_stop(&inval->rig.vq[0]));
	ASSERT_EQ(0, vt_vq_stop(&inval->rig.vq[1]));

	self->mmu = vt_mmu_open();
	ASSERT_GE(self->mmu, 0);
	ASSERT_EQ(0, set_mem(self->mmu, 0, &inval->rig));
	ASSERT_EQ(0, vt_mmu_slot(self->mmu, SLOT_RINGS, 0, RINGS_GPA,
				 inval->dev, inval->len));
	ASSERT_EQ(0, vt_mmu_dev_attach(inval->rig.dev.fd, self->mmu));
	ASSERT_EQ(0, vt_inval_restart(inval));
	ASSERT_EQ(0, vt_inval_start(inval));
	ASSERT_EQ(0, vt_inval_hot(inval));
	self->other = mmap(NULL, 64 * VT_PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->other);
}

FIXTURE_TEARDOWN(traffic)
{
	vt_inval_close(&self->inval);
	if (self->mmu >= 0)
		close(self->mmu);
}

/* Anything may happen to the other memslots of an MMU. */
TEST_F_TIMEOUT(traffic, other_memslots, 300)
{
	struct vt_inval *inval = &self->inval;
	unsigned int i, n = vt_scale(200);

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, vt_mmu_slot(self->mmu, SLOT_OTHER, 0, OTHER_GPA,
					 self->other, 64 * VT_PAGE));
		ASSERT_EQ(0, vt_mmu_populate_all(self->mmu, 0, OTHER_GPA,
						 64 * VT_PAGE));
		ASSERT_EQ(0, vt_mmu_slot(self->mmu, SLOT_OTHER, 0,
					 OTHER_GPA + VT_HUGE_SIZE, self->other,
					 64 * VT_PAGE));
		ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, SLOT_OTHER));
	}
	EXPECT_EQ(0, vt_inval_flow(inval, 100));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
}

static int discard(struct vt_inval *inval)
{
	return madvise(inval->dev, inval->len, MADV_DONTNEED) ? -errno : 0;
}

/* The memslot of the rings goes, the rings do not: their addresses are HVAs. */
TEST_F_TIMEOUT(traffic, memslot_of_rings, 300)
{
	struct vt_inval *inval = &self->inval;
	uint64_t from_table = vt_inval_sum(inval, "maps_from_mmu");
	unsigned int i, n = vt_scale(4);

	EXPECT_GT(from_table, 0);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, SLOT_RINGS));
		from_table = vt_inval_sum(inval, "maps_from_mmu");
		EXPECT_EQ(0, vt_inval_run(inval, discard, 2, 0));
		EXPECT_EQ(from_table, vt_inval_sum(inval, "maps_from_mmu"));

		/* a log would not see what the device writes there */
		ASSERT_EQ(-EOPNOTSUPP,
			  vt_mmu_slot(self->mmu, SLOT_RINGS,
				      VMMU_MEM_LOG_DIRTY_PAGES, RINGS_GPA,
				      inval->dev, inval->len));

		ASSERT_EQ(0, vt_mmu_slot(self->mmu, SLOT_RINGS, 0, RINGS_GPA,
					 inval->dev, inval->len));
		EXPECT_EQ(0, vt_inval_run(inval, discard, 2, 0));
		EXPECT_GT(vt_inval_sum(inval, "maps_from_mmu"), from_table);
	}
	EXPECT_EQ(0, vt_inval_stop(inval));
}

/*
 * When the deletion of a memslot has returned, the device does not write to
 * what was behind it any more, however busy it was. It stops at the first
 * buffer that is not there, and goes on with the same one when told to.
 */
TEST_F_TIMEOUT(traffic, deleted_means_untouched, 300)
{
	struct vt_inval *inval = &self->inval;
	struct vt_rig *rig = &inval->rig;
	char *then = malloc(rig->buf_len);
	unsigned int i, q, n = vt_scale(64);

	ASSERT_NE(NULL, then);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, vt_mmu_slot_delete(self->mmu, SLOT_MEM));
		memcpy(then, rig->buf[0], rig->buf_len);
		vt_sleep_ms(2);
		ASSERT_EQ(-1, vt_differ(then, rig->buf[0], rig->buf_len));
		ASSERT_EQ(0, set_mem(self->mmu, 0, rig));
		for (q = 0; q < 2; q++)
			vt_vq_notify(&rig->vq[q]);
		ASSERT_EQ(0, vt_inval_flow(inval, 50));
	}
	EXPECT_NE(0, vt_event_read(rig->vq[VT_VQ_RX].err));
	EXPECT_EQ(0, vt_inval_hot(inval));
	EXPECT_EQ(0, vt_inval_stop(inval));
	free(then);
}

TEST_HARNESS_MAIN
