// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads that keep one direction busy: the guest's, which drives the
 * ring, and the host's, which uses the packet socket. One of them produces
 * packets, the other consumes and checks them. The consumer hands the
 * producer credit through an eventfd, so that no queue ever overflows and a
 * missing packet is always the fault of what is tested.
 *
 * Each wait is for one thing: the guest thread looks at the used ring again
 * only after a call (or when enabling calls finds something there), so a call
 * that is not sent when it should be ends in an error, not in a poll.
 */
#include "vhost_test.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* How often a waiting thread looks whether it should end. */
#define TICK_MS		50

static void nap(unsigned int us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000L };

	nanosleep(&ts, NULL);
}

static void give_credit(struct vt_traffic *t)
{
	uint64_t one = 1;

	if (write(t->credit, &one, sizeof(one)) < 0)
		vt_msg("traffic: eventfd: %m");
}

__attribute__((format(printf, 2, 3)))
static void error(struct vt_traffic *t, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	pthread_mutex_lock(&t->error_lock);
	if (!t->first_error[0]) {
		snprintf(t->first_error, sizeof(t->first_error), "%s: %s",
			 t->cfg.vq->index == VT_VQ_TX ? "tx" : "rx", text);
		vt_msg("traffic: %s", t->first_error);
	}
	pthread_mutex_unlock(&t->error_lock);
	atomic_fetch_add(&t->errors, 1);
}

static uint64_t in_flight(struct vt_traffic *t)
{
	/* read what has arrived first: it never exceeds what was sent */
	uint64_t done = atomic_load(&t->verified) + atomic_load(&t->lost);

	return atomic_load(&t->sent) - done;
}

/* ------------------------------------------------------ either producer */

static unsigned int frame_len(struct vt_traffic *t, uint64_t seq)
{
	unsigned int span = t->cfg.len_max - t->cfg.len_min + 1;

	/* a large odd stride meets every length, and neighbours differ */
	return t->cfg.len_min + seq * 977 % span;
}

/* May another packet be sent? Handles pausing; false also to end. */
static bool may_send(struct vt_traffic *t)
{
	return !atomic_load(&t->stop) && !atomic_load(&t->pause) &&
	       in_flight(t) < t->cfg.window;
}

/*
 * Wait until may_send() or the end. In flight packets must make progress
 * meanwhile, unless we are paused with nothing in flight.
 */
static void wait_credit(struct vt_traffic *t)
{
	uint64_t last = in_flight(t), since = vt_patient_ns();
	uint64_t limit = (uint64_t)VT_TIMEOUT * 1000000;

	while (!atomic_load(&t->kill) && !may_send(t)) {
		uint64_t now = in_flight(t);

		if (!now) {
			if (atomic_load(&t->stop))
				return;
			if (atomic_load(&t->pause))
				atomic_store(&t->paused, true);
		}
		if (now != last || !now) {
			last = now;
			since = vt_patient_ns();
		} else if (vt_patient_ns() - since > limit) {
			error(t,
			      "stalled: %llu packets in flight, none arrives",
			      (unsigned long long)now);
			atomic_store(&t->kill, true);
			return;
		}
		vt_event_wait(t->credit, TICK_MS);
	}
	atomic_store(&t->paused, false);
}

static bool producer_ends(struct vt_traffic *t)
{
	return atomic_load(&t->kill) ||
	       (atomic_load(&t->stop) && !in_flight(t));
}

/* The consumer outlives the producer, which may send a last packet. */
static bool consumer_ends(struct vt_traffic *t)
{
	return atomic_load(&t->kill) ||
	       (atomic_load(&t->done) && !in_flight(t));
}

/* ------------------------------------------------------ either consumer */

static void advance(struct vt_traffic *t, uint64_t next, bool good)
{
	uint64_t gap = next - t->next_seq - good;

	t->next_seq = next;
	if (gap)
		atomic_fetch_add(&t->lost, gap);
	if (good) {
		atomic_fetch_add(&t->verified, 1);
		atomic_store(&t->last_progress, vt_now_ns());
	}
	give_credit(t);
}

static void consume(struct vt_traffic *t, const void *frame, size_t len)
{
	char why[160];
	uint64_t seq;
	int r = vt_frame_check(frame, len, t->stream, &seq, why, sizeof(why));

	if (r == -ENOMSG && t->cfg.vq->index == VT_VQ_TX)
		/* the host's socket also sees what others send */
		return;
	if (r) {
		error(t, "%s", r == -ENOMSG ? "not our packet" : why);
		advance(t, t->next_seq + 1, false);
	} else if (seq < t->next_seq) {
		error(t, "packet %llu came again or late: %llu was next",
		      (unsigned long long)seq,
		      (unsigned long long)t->next_seq);
	} else {
		if (seq > t->next_seq && !t->cfg.allow_loss)
			error(t, "packets %llu to %llu are missing",
			      (unsigned long long)t->next_seq,
			      (unsigned long long)seq - 1);
		advance(t, seq + 1, true);
	}
}

/* With losses allowed, what does not arrive for long is lost. */
static void declare_lost(struct vt_traffic *t, uint64_t *since)
{
	uint64_t limit = (uint64_t)vt_timeout_ms(1000) * 1000000;

	if (!t->cfg.allow_loss || !in_flight(t) ||
	    vt_patient_ns() - *since < limit)
		return;
	advance(t, t->next_seq + in_flight(t), false);
	*since = vt_patient_ns();
}

/* ------------------------------------------------------------ host side */

static void host_receive(struct vt_traffic *t, char *frame)
{
	uint64_t since = vt_patient_ns();
	struct virtio_net_hdr hdr;

	while (!consumer_ends(t)) {
		int n = vt_packet_recv(t->cfg.sock,
				       t->cfg.sock_vnet_hdr ? &hdr : NULL,
				       frame, VT_MAX_FRAME, TICK_MS);

		if (n >= 0) {
			consume(t, frame, n);
			since = vt_patient_ns();
		} else if (n == -ETIMEDOUT) {
			declare_lost(t, &since);
		} else {
			error(t, "receiving on the host: %s", strerror(-n));
			atomic_store(&t->kill, true);
		}
	}
}

static void host_send(struct vt_traffic *t, char *frame)
{
	struct virtio_net_hdr hdr = {};
	unsigned int burst = 0;

	while (!producer_ends(t)) {
		uint64_t seq = atomic_load(&t->sent);
		unsigned int len = frame_len(t, seq);
		int r;

		if (!may_send(t)) {
			wait_credit(t);
			continue;
		}
		vt_frame_fill(frame, len, t->stream, seq);
		/* count it first: the consumer may be faster than we are */
		atomic_store(&t->sent, seq + 1);
		do {
			r = vt_packet_send(t->cfg.sock,
					   t->cfg.sock_vnet_hdr ? &hdr : NULL,
					   frame, len);
			if (r == -ENOBUFS)
				nap(1000);
		} while (r == -ENOBUFS && !atomic_load(&t->kill));
		if (r) {
			error(t, "sending on the host: %s", strerror(-r));
			atomic_store(&t->kill, true);
		}
		if (t->cfg.gap_us && ++burst % t->cfg.window == 0)
			nap(t->cfg.gap_us);
	}
	atomic_store(&t->done, true);
}

static void *host_thread(void *arg)
{
	struct vt_traffic *t = arg;
	char *frame = malloc(VT_MAX_FRAME);

	if (!frame)
		abort();
	if (t->cfg.vq->index == VT_VQ_TX)
		host_receive(t, frame);
	else
		host_send(t, frame);
	free(frame);
	return NULL;
}

/* ----------------------------------------------------------- guest side */

static void *slot_cookie(unsigned int i)
{
	return (void *)(uintptr_t)(i + 1);
}

static unsigned int cookie_slot(void *cookie)
{
	return (uintptr_t)cookie - 1;
}

static char *slot_addr(struct vt_traffic *t, unsigned int i)
{
	return (char *)t->slots + i * t->slot_len;
}

/*
 * Sleep until the device calls. @idle_ok: nothing need come. Returns false to
 * end the thread.
 */
static bool wait_call(struct vt_traffic *t, bool idle_ok)
{
	uint64_t since = vt_patient_ns(), limit = (uint64_t)VT_TIMEOUT * 1000000;
	uint64_t lost_since = since;
	struct vt_vq *vq = t->cfg.vq;
	bool on = true;

	vt_event_read(vq->call);
	if (vt_vq_enable_call(vq)) {
		while (vt_event_wait(vq->call, TICK_MS)) {
			on = idle_ok ? !consumer_ends(t) :
				       !atomic_load(&t->kill);
			if (!on)
				break;
			if (idle_ok)
				declare_lost(t, &lost_since);
			if (idle_ok && !in_flight(t))
				since = vt_patient_ns();
			if (vt_patient_ns() - since <= limit)
				continue;
			error(t, vt_vq_more_used(vq) ?
			      "a buffer was used, but the call did not come" :
			      "stalled: the device uses no buffers");
			atomic_store(&t->kill, true);
			on = false;
			break;
		}
	}
	vt_vq_disable_call(vq);
	return on;
}

static int guest_send_one(struct vt_traffic *t, unsigned int slot)
{
	unsigned int hdr_len = t->cfg.vq->dev->hdr_len;
	uint64_t seq = atomic_load(&t->sent);
	unsigned int len = frame_len(t, seq);
	char *p = slot_addr(t, slot);
	uint64_t gpa = vt_dev_gpa(t->cfg.vq->dev, p);
	struct vt_sg split[] = {
		{ gpa, hdr_len },
		{ gpa + hdr_len, len },
	};
	struct vt_sg whole = { gpa, hdr_len + len };

	memset(p, 0, hdr_len);
	vt_frame_fill(p + hdr_len, len, t->stream, seq);
	if (t->cfg.split_hdr)
		return vt_vq_add(t->cfg.vq, split, 2, 0, slot_cookie(slot));
	return vt_vq_add(t->cfg.vq, &whole, 1, 0, slot_cookie(slot));
}

static void guest_send(struct vt_traffic *t)
{
	unsigned int *stack = calloc(t->nslots, sizeof(*stack));
	unsigned int nfree, burst = 0;
	struct vt_vq *vq = t->cfg.vq;

	if (!stack)
		abort();
	for (nfree = 0; nfree < t->nslots; nfree++)
		stack[nfree] = nfree;
	for (;;) {
		unsigned int n = 0;
		void *cookie;

		while ((cookie = vt_vq_get(vq, NULL)))
			stack[nfree++] = cookie_slot(cookie);
		while (nfree && may_send(t)) {
			if (guest_send_one(t, stack[nfree - 1]))
				break;
			nfree--;
			n++;
			/* count before it is seen, as host_send() does */
			atomic_fetch_add(&t->sent, 1);
		}
		if (n) {
			vt_vq_kick(vq);
			burst += n;
			if (t->cfg.gap_us && burst >= t->cfg.window) {
				nap(t->cfg.gap_us);
				burst = 0;
			}
			continue;
		}
		/*
		 * Get every buffer back before waiting for credit or ending:
		 * then the buffers are at rest whenever we are paused.
		 */
		if (nfree < t->nslots) {
			if (!wait_call(t, false))
				break;
			continue;
		}
		if (producer_ends(t))
			break;
		wait_credit(t);
	}
	atomic_store(&t->done, true);
	free(stack);
}

static void guest_post(struct vt_traffic *t, unsigned int slot)
{
	struct vt_sg sg = {
		vt_dev_gpa(t->cfg.vq->dev, slot_addr(t, slot)), t->slot_len,
	};

	if (vt_vq_add(t->cfg.vq, &sg, 0, 1, slot_cookie(slot)))
		error(t, "no room for a receive buffer: a bug in the test");
}

/* Put one packet together from its buffers; 0 if there is none yet. */
static size_t guest_gather(struct vt_traffic *t, char *frame)
{
	bool merge = t->cfg.vq->dev->features & VT_F(VIRTIO_NET_F_MRG_RXBUF);
	unsigned int hdr_len = t->cfg.vq->dev->hdr_len;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	unsigned int slot, i, n = 1;
	size_t total = 0;
	uint32_t len;
	void *cookie;

	for (i = 0; i < n; i++) {
		cookie = vt_vq_get(t->cfg.vq, &len);
		if (!cookie) {
			if (i)
				error(t,
				      "a packet of %u buffers was used in parts",
				      n);
			return 0;
		}
		slot = cookie_slot(cookie);
		if (len > t->slot_len || (!i && len < hdr_len)) {
			error(t, "used length %u for a buffer of %zu", len,
			      t->slot_len);
			len = 0;
		}
		if (total + len <= VT_MAX_FRAME + sizeof(hdr))
			memcpy(frame + total, slot_addr(t, slot), len);
		total += len;
		if (!i && merge) {
			memcpy(&hdr, frame, sizeof(hdr));
			n = hdr.num_buffers;
			if (!n)
				error(t, "num_buffers is 0");
		}
		guest_post(t, slot);
	}
	return total;
}

static void guest_receive(struct vt_traffic *t)
{
	unsigned int hdr_len = t->cfg.vq->dev->hdr_len;
	char *frame =
		malloc(VT_MAX_FRAME + sizeof(struct virtio_net_hdr_mrg_rxbuf));
	struct vt_vq *vq = t->cfg.vq;
	unsigned int i;
	size_t len;

	if (!frame)
		abort();
	for (i = 0; i < t->nslots; i++)
		guest_post(t, i);
	vt_vq_kick(vq);
	do {
		/* repost in small bursts, as drivers do */
		for (i = 0; i < 16 && vt_vq_more_used(vq); i++) {
			len = guest_gather(t, frame);
			if (len > hdr_len)
				consume(t, frame + hdr_len, len - hdr_len);
		}
		if (i)
			vt_vq_kick(vq);
	} while (vt_vq_more_used(vq) || wait_call(t, true));
	free(frame);
}

static void *guest_thread(void *arg)
{
	struct vt_traffic *t = arg;

	if (t->cfg.vq->index == VT_VQ_TX)
		guest_send(t);
	else
		guest_receive(t);
	return NULL;
}

/* -------------------------------------------------------------- control */

static int layout(struct vt_traffic *t)
{
	struct vt_traffic_cfg *c = &t->cfg;
	unsigned int descs = c->split_hdr && !c->vq->indirect ? 2 : 1;

	if (!c->len_min)
		c->len_min = 60;
	if (!c->len_max)
		c->len_max = c->len_min > 1514 ? c->len_min : 1514;
	if (!c->window)
		c->window = 128;
	if (!c->rx_buf)
		c->rx_buf = c->vq->dev->hdr_len + c->len_max;
	if (c->vq->index == VT_VQ_RX)
		t->slot_len = c->rx_buf;
	else
		t->slot_len = c->vq->dev->hdr_len + c->len_max;
	t->slots = c->buf;
	t->nslots = c->vq->num / descs;
	if (t->nslots > c->buf_len / t->slot_len)
		t->nslots = c->buf_len / t->slot_len;
	if (!t->nslots || c->len_min < VT_FRAME_MIN ||
	    c->len_max > VT_MAX_FRAME || c->len_min > c->len_max) {
		vt_msg("traffic: no buffer of %zu bytes fits in %zu, or bad lengths %u to %u",
		       t->slot_len, c->buf_len, c->len_min, c->len_max);
		return -EINVAL;
	}
	return 0;
}

int vt_traffic_start(struct vt_traffic *t, const struct vt_traffic_cfg *cfg)
{
	static _Atomic uint32_t streams;
	int r;

	memset(t, 0, sizeof(*t));
	t->cfg = *cfg;
	r = layout(t);
	if (r)
		return r;
	/* no stream of an earlier test can be mistaken for this one */
	t->stream = (uint32_t)getpid() << 8 ^ atomic_fetch_add(&streams, 1);
	pthread_mutex_init(&t->error_lock, NULL);
	atomic_store(&t->last_progress, vt_now_ns());
	t->credit = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (t->credit < 0)
		return -errno;
	r = pthread_create(&t->guest, NULL, guest_thread, t);
	if (r)
		return -r;
	r = pthread_create(&t->host, NULL, host_thread, t);
	if (r) {
		atomic_store(&t->kill, true);
		pthread_join(t->guest, NULL);
	}
	return -r;
}

struct vt_traffic_cfg vt_traffic_cfg_rig(struct vt_rig *rig, unsigned int vq)
{
	return (struct vt_traffic_cfg){
		.vq = &rig->vq[vq],
		.sock = rig->tap.sock,
		.sock_vnet_hdr = rig->tap.vnet_hdr,
		.buf = rig->buf[vq],
		.buf_len = rig->buf_len,
	};
}

int vt_traffic_start_rig(struct vt_traffic *t, struct vt_rig *rig,
			 unsigned int vq)
{
	struct vt_traffic_cfg cfg = vt_traffic_cfg_rig(rig, vq);

	return vt_traffic_start(t, &cfg);
}

int vt_traffic_wait(struct vt_traffic *t, uint64_t n, int timeout_ms)
{
	/* a thread of the traffic that waits in vain as long says for what: first */
	uint64_t end = vt_patient_ns() +
		       (timeout_ms + vt_timeout_ms(2000)) * 1000000ULL;
	uint64_t goal = atomic_load(&t->verified) + n;

	while (atomic_load(&t->verified) < goal) {
		if (atomic_load(&t->errors))
			return -EIO;
		if (vt_patient_ns() > end) {
			vt_msg("traffic: queue %u: %llu of %llu after %d ms, %llu in flight",
			       t->cfg.vq->index,
			       (unsigned long long)(n +
						    atomic_load(&t->verified) -
						    goal),
			       (unsigned long long)n, timeout_ms,
			       (unsigned long long)in_flight(t));
			return -ETIMEDOUT;
		}
		nap(2000);
	}
	return atomic_load(&t->errors) ? -EIO : 0;
}

int vt_traffic_pause(struct vt_traffic *t)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;

	atomic_store(&t->pause, true);
	give_credit(t);
	while (!atomic_load(&t->paused)) {
		if (atomic_load(&t->kill) || vt_patient_ns() > end) {
			vt_msg("traffic: does not come to rest, %llu packets in flight",
			       (unsigned long long)in_flight(t));
			return -ETIMEDOUT;
		}
		nap(2000);
	}
	return 0;
}

void vt_traffic_resume(struct vt_traffic *t)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;

	atomic_store(&t->pause, false);
	give_credit(t);
	/* or the next pause would take this one's word for it */
	while (atomic_load(&t->paused) && !atomic_load(&t->kill) &&
	       vt_patient_ns() < end)
		nap(1000);
}

int vt_traffic_stop(struct vt_traffic *t)
{
	uint64_t missing;

	atomic_store(&t->stop, true);
	give_credit(t);
	pthread_join(t->guest, NULL);
	pthread_join(t->host, NULL);
	close(t->credit);
	missing = in_flight(t);
	if (atomic_load(&t->kill) && missing)
		return -ETIMEDOUT;
	return atomic_load(&t->errors) ? -EIO : 0;
}

/* ------------------------------------------------------------ all in one */

int vt_rig_restart(struct vt_rig *rig, unsigned int vq, uint16_t base)
{
	int r = vt_vq_stop(&rig->vq[vq]);

	if (r)
		return r;
	vt_vq_reset(&rig->vq[vq], base);
	return vt_vq_start(&rig->vq[vq], rig->tap.fd);
}

int vt_rig_flow(struct vt_rig *rig, uint64_t n,
		const struct vt_traffic_cfg *cfg)
{
	struct vt_traffic t[2];
	unsigned int i, started;
	int r = 0, err;

	for (started = 0; started < 2 && !r; started++) {
		struct vt_traffic_cfg c = vt_traffic_cfg_rig(rig, started);

		if (cfg) {
			c.len_min = cfg->len_min;
			c.len_max = cfg->len_max;
			c.rx_buf = cfg->rx_buf;
			c.window = cfg->window;
			c.split_hdr = cfg->split_hdr;
		}
		r = vt_rig_restart(rig, started, rig->cfg.base);
		if (!r)
			r = vt_traffic_start(&t[started], &c);
		if (r)
			break;
	}
	for (i = 0; i < started && !r; i++) {
		uint64_t done = atomic_load(&t[i].verified);

		if (done < n)
			r = vt_traffic_wait(&t[i], n - done, 4 * VT_TIMEOUT);
	}
	for (i = 0; i < started; i++) {
		err = vt_traffic_stop(&t[i]);
		r = r ? r : err;
		if (vt_event_read(rig->vq[i].err)) {
			vt_msg("vq%u: an error event in good traffic", i);
			r = r ? r : -EPROTO;
		}
	}
	for (i = 0; i < 2; i++) {
		err = vt_rig_restart(rig, i, rig->cfg.base);
		r = r ? r : err;
	}
	return r;
}
