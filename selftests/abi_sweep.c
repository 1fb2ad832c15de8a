// SPDX-License-Identifier: GPL-2.0
/* Every ioctl number, direction and size must answer as stock does. */
/*
 * Beyond the ioctls that exist this finds ones that exist by accident: a case
 * label too many, a number compared without its size. State that earlier
 * calls left behind is part of the comparison.
 *
 * Timeout: 120 s
 */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <kselftest.h>
#include "cmp.h"
#include "vhost_test.h"

#define NR_END	0x90

static const unsigned int sizes[] = { 0, 1, 2, 4, 8, 16, 32, 40, 72 };

/* See abi.c, which has the reasons at length. */
static const struct vt_cmp_known known[] = {
	{ }
};

static char *buf;

/* FNV-1a: whether an ioctl wrote, and what. */
static uint32_t hash(const void *p, size_t len)
{
	const unsigned char *c = p;
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ *c++) * 16777619u;
	return h;
}

/* What an argument is. */
enum { ARG_NULL, ARG_ZERO, ARG_ONES, ARG_ENDS };

static void call(struct vt_cmp *t, const char *state, unsigned int nr,
		 unsigned int dir, unsigned int size, int arg)
{
	unsigned int cmd = _IOC(dir, VHOST_VIRTIO, nr, size);
	void *p = arg == ARG_NULL ? NULL : buf;
	long ret;

	memset(buf, arg == ARG_ONES ? 0xff : 0, 4096);
	ret = vt_cmp_errno(ioctl(t->fd, cmd, p));
	vt_cmp_answer(t, ret, VT_CMP_ANY, "%s: %02x dir %u size %u arg %d",
		      state, nr, dir, size, arg);
	/* these answers depend on what is offered; abi.c has them */
	if (p && cmd != VHOST_GET_FEATURES && cmd != VHOST_GET_BACKEND_FEATURES)
		vt_cmp_answer(t, hash(buf, 4096), VT_CMP_ANY, "%s: %02x data",
			      state, nr);
}

struct sweep {
	unsigned int nr;
	bool owned;
};

static void sweep(struct vt_cmp *t, void *arg)
{
	struct sweep *s = arg;
	unsigned int dir, i;
	int a;

	/* fd 0 must be nothing special */
	close(0);
	for (dir = 0; dir < 4; dir++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (a = 0; a < ARG_ENDS; a++) {
				/* whatever the call before did to it */
				if (s->owned)
					ioctl(t->fd, VHOST_SET_OWNER, NULL);
				else if (s->nr != 1)
					ioctl(t->fd, VHOST_RESET_OWNER, NULL);
				call(t, s->owned ? "owned" : "unowned", s->nr,
				     dir, sizes[i], a);
			}
		}
	}
}

/* Other drivers' ioctls, and numbers that are no ioctls. */
static void foreign(struct vt_cmp *t, void *arg)
{
	unsigned int type;
	long ret;

	(void)arg;
	ioctl(t->fd, VHOST_SET_OWNER, NULL);
	for (type = 0; type < 256; type++) {
		/* the VFS handles these ('T' 0x54, 0x66, 0x15, 0x94) */
		if (type == VHOST_VIRTIO || type == 'T' || type == 'f' ||
		    type == 'X' || type == 0x15 || type == 0x94 || !type)
			continue;
		vt_cmp_answer(t,
			      vt_cmp_errno(ioctl(t->fd, _IO(type, 0x10), buf)),
			      VT_CMP_ANY, "foreign: %02x none", type);
		ret = vt_cmp_errno(ioctl(t->fd, _IOW(type, 0x10, long), buf));
		vt_cmp_answer(t, ret, VT_CMP_ANY, "foreign: %02x write", type);
	}
}

/* One script on both; adds up calls and differences. */
static void both(struct vt_cmp_pair *p, vt_cmp_script script, void *arg,
		 unsigned int *calls, unsigned int *bad)
{
	if (vt_cmp_run(p->have_stock ? VT_CMP_STOCK : p->path, script, arg,
		       p->stock))
		++*bad;
	*calls += p->stock->n;
	if (!p->both)
		return;
	if (vt_cmp_run(p->path, script, arg, p->ours))
		++*bad;
	*bad += vt_cmp_both(p->stock, p->ours, known, p->offered, true);
}

int main(void)
{
	static const char *const names[] = { "unowned", "owned" };
	unsigned int owned, nr, calls, bad;
	struct vt_cmp_pair p;

	ksft_print_header();
	buf = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buf == MAP_FAILED || vt_cmp_pair_open(&p))
		ksft_exit_fail_msg("cannot set up\n");
	ksft_set_plan(3 + !p.both);
	if (!p.both)
		ksft_test_result_skip("comparing: %s\n", p.why);
	for (owned = 0; owned < 2; owned++) {
		calls = bad = 0;
		for (nr = 0; nr < NR_END; nr++) {
			struct sweep s = { nr, owned };

			both(&p, sweep, &s, &calls, &bad);
		}
		ksft_test_result(!bad, "%s: %u answers\n", names[owned], calls);
	}
	calls = bad = 0;
	both(&p, foreign, NULL, &calls, &bad);
	ksft_test_result(!bad, "foreign: %u answers\n", calls);
	ksft_finished();
}
