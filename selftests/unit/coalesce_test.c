// SPDX-License-Identifier: GPL-2.0
/* Which wake-ups for received packets are held back, and for how long. */
#include "kselftest_harness.h"

#define USEC	1000ULL
#define DELAY	(30 * USEC)
#define MOST	64

u64 unit_clock;
int unit_cpu;
bool unit_idle;
unsigned int hrtimer_resolution;

/* One device: its sender, its timer and its worker. */
static struct {
	struct vmnet net;
	unsigned int packets;
	bool queued;
	u64 first;
	u64 longest;
} dev;

void vmdev_poll_queue(struct vmdev_poll *poll)
{
	unit_check(poll == &dev.net.poll[VMNET_RX]);
	dev.queued = true;
}

/* The worker receives all there is. */
static void run(void)
{
	if (dev.packets && unit_clock - dev.first > dev.longest)
		dev.longest = unit_clock - dev.first;
	dev.queued = false;
	mutex_lock(&dev.net.vqs[VMNET_RX].vmq.mutex);
	vmnet_coalesce_begin(&dev.net);
	vmnet_coalesce_end(&dev.net, dev.packets);
	mutex_unlock(&dev.net.vqs[VMNET_RX].vmq.mutex);
	dev.packets = 0;
}

/* Time passes; the worker runs when the timer says so. */
static void pass(u64 ns)
{
	struct hrtimer *timer = &dev.net.coalesce.timer;
	u64 end = unit_clock + ns;

	if (timer->expires && timer->expires <= end) {
		unit_clock = timer->expires;
		timer->expires = 0;
		timer->function(timer);
		unit_check(dev.queued);
		run();
	}
	unit_clock = end;
}

/* A packet comes in; true if its wake-up is held back. */
static bool packet(void)
{
	struct vmdev_poll *poll = &dev.net.poll[VMNET_RX];

	if (!dev.packets++)
		dev.first = unit_clock;
	if (poll->hold(poll))
		return true;
	dev.queued = true;
	return false;
}

/* Packets come in one after the other, and nobody is preempted. */
static void burst(unsigned int n)
{
	while (n--) {
		packet();
		unit_clock += USEC;
	}
	run();
}

FIXTURE(coalesce)
{
	int unused;
};

FIXTURE_SETUP(coalesce)
{
	unit_clock = 1000000 * USEC;
	unit_cpu = 1;
	unit_idle = false;
	hrtimer_resolution = 1;
	memset(&dev, 0, sizeof(dev));
	vmnet_coalesce_init(&dev.net);
	burst(MOST);
	dev.longest = 0;
}

FIXTURE_TEARDOWN(coalesce)
{
}

/* What it is for: the sender goes on after a run, and is not preempted. */
TEST_F(coalesce, held)
{
	unsigned int i;

	for (i = 0; i < MOST; i++) {
		EXPECT_FALSE(dev.queued);
		EXPECT_TRUE(packet());
		unit_clock += USEC / 4;
	}
	/* so many are enough */
	EXPECT_FALSE(packet());
	EXPECT_TRUE(dev.queued);
}

/* Or until the time is over, from the first of them on. */
TEST_F(coalesce, time_out)
{
	unsigned int i;

	for (i = 0; i < 5; i++) {
		unit_clock += USEC;
		EXPECT_TRUE(packet());
		pass(DELAY / 2);
		EXPECT_TRUE(packet());
		EXPECT_EQ(2, dev.packets);
		pass(DELAY);
		EXPECT_EQ(0, dev.packets);
	}
	EXPECT_EQ(DELAY, dev.longest);
	/* the timer goes with the wake-up */
	EXPECT_TRUE(packet());
	run();
	EXPECT_EQ(0, dev.net.coalesce.timer.expires);
}

/* Packets that come alone after a burst: not one of them waits. */
TEST_F(coalesce, alone_after_burst)
{
	unsigned int i;

	for (i = 0; i < 20; i++) {
		pass(100 * USEC);
		EXPECT_FALSE(packet()) {
			TH_LOG("packet %u after the burst", i);
		}
		run();
	}
	EXPECT_EQ(0, dev.longest);
}

/* The same without a pause that would tell them: one wait, then none. */
TEST_F(coalesce, alone_at_once)
{
	unsigned int i, held = 0;

	for (i = 0; i < 20; i++) {
		pass(10 * USEC);
		if (packet()) {
			held++;
			pass(DELAY);
		} else {
			run();
		}
	}
	EXPECT_GE(1, held);
}

/* Two packets a request: the answer to the first may be what it waits for. */
TEST_F(coalesce, two_a_request)
{
	unsigned int i;

	for (i = 0; i < 40; i++) {
		pass(50 * USEC);
		EXPECT_FALSE(packet()) {
			TH_LOG("request %u", i);
		}
		packet();
		run();
	}
	EXPECT_EQ(0, dev.longest);
}

/* Nobody is preempted on an idle CPU, or on another one than the sender's. */
TEST_F(coalesce, nobody_preempted)
{
	unit_idle = true;
	EXPECT_FALSE(packet());
	unit_idle = false;
	EXPECT_TRUE(packet());
	unit_cpu = 2;
	EXPECT_FALSE(packet());
}

/* The timer must not be coarser than the wait. */
TEST_F(coalesce, no_high_resolution)
{
	hrtimer_resolution = 4000 * USEC;
	EXPECT_FALSE(packet());
}

/* Another tap may follow. */
TEST_F(coalesce, stop)
{
	EXPECT_TRUE(packet());
	mutex_lock(&dev.net.vqs[VMNET_RX].vmq.mutex);
	vmnet_coalesce_stop(&dev.net);
	mutex_unlock(&dev.net.vqs[VMNET_RX].vmq.mutex);
	EXPECT_EQ(0, dev.net.coalesce.timer.expires);
	EXPECT_FALSE(packet());
}

TEST_HARNESS_MAIN
