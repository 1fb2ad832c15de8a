// SPDX-License-Identifier: GPL-2.0
/* What busy polling holds while it goes on, and when it ends. */
#include "kselftest_harness.h"

/* The unit of the time-out. */
#define TICK	1024ULL

u64 unit_clock;

static struct {
	struct vmnet net;
	/* turns of the loop, and in how many somebody's memslots were held */
	unsigned int turns;
	unsigned int held;
	/* from this turn on: the transmit ring has a chain, the worker work */
	unsigned int chain_at;
	unsigned int work_at;
} dev;

/* The loop asks before each turn. */
bool unit_need_resched(void)
{
	unsigned int i;

	dev.turns++;
	for (i = 0; i < VMNET_NVQS; i++) {
		unit_check(dev.net.vqs[i].dvq.vmq.mutex.held);
		dev.held += dev.net.vqs[i].dvq.vmq.slots_held;
	}
	return false;
}

void unit_resched(void)
{
	unit_clock += TICK;
}

void unit_locked(void)
{
}

bool vmdev_has_work(struct vmdev_vq *dvq)
{
	return dev.turns >= dev.work_at;
}

void vmdev_poll_queue(struct vmdev_poll *poll)
{
	poll->queued = true;
}

bool vmq_avail_empty(struct vmq *vmq)
{
	unit_check(vmq->mutex.held);
	return vmq != &dev.net.vqs[VMNET_TX].dvq.vmq ||
	       dev.turns < dev.chain_at;
}

bool vmq_enable_notify(struct vmq *vmq)
{
	unit_check(vmq->mutex.held);
	return false;
}

void vmq_disable_notify(struct vmq *vmq)
{
	unit_check(vmq->mutex.held);
}

void vmq_burst_drop(struct vmq *vmq)
{
	unit_check(vmq->mutex.held);
	vmq->slots_held = false;
}

static int peek_len(struct socket *sock)
{
	return 0;
}

static const struct proto_ops ops = { .peek_len = peek_len };
static struct socket socket_of_both = { .ops = &ops };

FIXTURE(busy_poll)
{
	struct vmdev_vq *dvq;
};

FIXTURE_VARIANT(busy_poll)
{
	unsigned int index;
};

FIXTURE_VARIANT_ADD(busy_poll, rx)
{
	.index = VMNET_RX,
};

FIXTURE_VARIANT_ADD(busy_poll, tx)
{
	.index = VMNET_TX,
};

FIXTURE_SETUP(busy_poll)
{
	unsigned int i;

	memset(&dev, 0, sizeof(dev));
	dev.chain_at = UINT_MAX;
	dev.work_at = UINT_MAX;
	for (i = 0; i < VMNET_NVQS; i++) {
		dev.net.vqs[i].dvq.index = i;
		dev.net.vqs[i].dvq.backend = &socket_of_both;
		dev.net.vqs[i].dvq.busyloop_timeout = 100;
	}
	/* as its handler leaves it after packets that went by user access */
	self->dvq = &dev.net.vqs[variant->index].dvq;
	self->dvq->vmq.mutex.held = true;
	self->dvq->vmq.slots_held = true;
}

FIXTURE_TEARDOWN(busy_poll)
{
	EXPECT_TRUE(self->dvq->vmq.mutex.held);
	EXPECT_FALSE(dev.net.vqs[!variant->index].dvq.vmq.slots_held);
}

/* Whoever changes memslots does not wait for the end of it. */
TEST_F(busy_poll, holds_no_memslots)
{
	EXPECT_FALSE(vmnet_busy_poll(&dev.net, variant->index));
	EXPECT_LT(50, dev.turns);
	EXPECT_EQ(0, dev.held);
	EXPECT_FALSE(dev.net.vqs[!variant->index].dvq.vmq.mutex.held);
}

TEST_F(busy_poll, ends)
{
	dev.chain_at = 10;
	EXPECT_FALSE(vmnet_busy_poll(&dev.net, variant->index));
	EXPECT_EQ(10, dev.turns);
	/* the other queue is the one that can go on, or is not */
	EXPECT_EQ(variant->index == VMNET_RX,
		  dev.net.vqs[!variant->index].dvq.poll.queued);

	dev.chain_at = UINT_MAX;
	dev.turns = 0;
	dev.work_at = 20;
	EXPECT_TRUE(vmnet_busy_poll(&dev.net, variant->index));
	EXPECT_EQ(20, dev.turns);
}

/* An ioctl has the other queue: no polling, and nothing is let go. */
TEST_F(busy_poll, other_is_taken)
{
	dev.net.vqs[!variant->index].dvq.vmq.mutex.held = true;
	EXPECT_FALSE(vmnet_busy_poll(&dev.net, variant->index));
	EXPECT_EQ(0, dev.turns);
	EXPECT_TRUE(dev.net.vqs[variant->index].dvq.vmq.slots_held);
}

TEST_HARNESS_MAIN
