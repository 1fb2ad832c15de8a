// SPDX-License-Identifier: GPL-2.0
/* Run the same calls against two device nodes and compare the answers. */
#include "cmp.h"
#include "vhost_test.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

long vt_cmp_errno(long ret)
{
	return ret == -1 ? -errno : ret;
}

static struct vt_cmp_answer *next_answer(struct vt_cmp *t)
{
	if (t->log->n >= VT_CMP_MAX) {
		vt_msg("cmp: more than %d answers: a bug in the test",
		       VT_CMP_MAX);
		_exit(1);
	}
	return &t->log->answer[t->log->n];
}

void vt_cmp_answer(struct vt_cmp *t, long ret, long want, const char *fmt, ...)
{
	struct vt_cmp_answer *a = next_answer(t);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->what, sizeof(a->what), fmt, ap);
	va_end(ap);
	a->ret = ret;
	a->want = want;
	t->log->n++;
}

int vt_cmp_open(struct vt_cmp *t)
{
	t->fd = open(t->path, O_RDWR | O_CLOEXEC);
	return t->fd;
}

long vt_cmp_ioctl(struct vt_cmp *t, const char *what, unsigned long cmd,
		  void *arg, long want)
{
	struct vt_cmp_answer *a = next_answer(t);

	/* name it first: should it hang, this is what is reported */
	snprintf(a->what, sizeof(a->what), "%s", what);
	a->want = want;
	a->ret = vt_cmp_errno(ioctl(t->fd, cmd, arg));
	t->log->n++;
	return a->ret;
}

static struct vt_cmp_log *alloc_log(void)
{
	void *p = mmap(NULL, sizeof(struct vt_cmp_log), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static uint64_t features_of(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t features = 0;

	if (fd < 0)
		return 0;
	if (ioctl(fd, VHOST_GET_FEATURES, &features))
		features = 0;
	close(fd);
	return features;
}

int vt_cmp_pair_open(struct vt_cmp_pair *p)
{
	memset(p, 0, sizeof(*p));
	p->path = vt_dev_path();
	p->have_stock = !access(VT_CMP_STOCK, R_OK | W_OK);
	p->have_ours = strcmp(p->path, VT_CMP_STOCK) &&
		       !access(p->path, R_OK | W_OK);
	p->both = p->have_stock && p->have_ours;
	p->offered = p->have_ours ? features_of(p->path) : 0;
	p->stock = alloc_log();
	p->ours = alloc_log();
	if (!p->stock || !p->ours)
		return -ENOMEM;
	if (!strcmp(p->path, VT_CMP_STOCK))
		snprintf(p->why, sizeof(p->why), "VHOST_DEV is stock itself");
	else if (!p->both)
		snprintf(p->why, sizeof(p->why), "there is no %s",
			 p->have_stock ? p->path : VT_CMP_STOCK);
	if (p->have_stock || p->have_ours)
		return 0;
	vt_msg("cmp: there is neither %s nor %s", VT_CMP_STOCK, p->path);
	return -ENOENT;
}

int vt_cmp_run(const char *path, vt_cmp_script script, void *arg,
	       struct vt_cmp_log *log)
{
	uint64_t end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
	struct vt_cmp t = { .path = path, .fd = -1, .log = log };
	bool killed = false;
	int status;
	pid_t pid;

	log->n = 0;
	log->answer[0].what[0] = 0;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		if (vt_cmp_open(&t) < 0) {
			vt_msg("cmp: cannot open %s: %m", path);
			_exit(1);
		}
		script(&t, arg);
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		if (vt_patient_ns() > end) {
			if (killed) {
				/* not even SIGKILL helps: leave it */
				vt_msg("cmp: %s: process %d does not die",
				       path, pid);
				return -ETIMEDOUT;
			}
			kill(pid, SIGKILL);
			killed = true;
			end = vt_patient_ns() + VT_TIMEOUT * 1000000ULL;
		}
		vt_sleep_ms(1);
	}
	if (!killed && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	vt_msg("cmp: %s: %s after %u answers, at or after \"%s\"", path,
	       killed ? "hung" : "died", log->n,
	       log->answer[log->n ? log->n - !log->answer[log->n].what[0] : 0]
		       .what);
	return killed ? -ETIMEDOUT : -ECHILD;
}

static const char *name(long ret, char *buf, size_t len)
{
	if (ret < 0 && ret > -4096)
		snprintf(buf, len, "%s", strerrorname_np(-ret));
	else
		snprintf(buf, len, "%#lx", ret);
	return buf;
}

/* The declared answer of the device under test, if @stock is stock's. */
static bool is_known(const struct vt_cmp_known *k, uint64_t offered,
		     const char *what, long stock, long ours)
{
	for (; k && k->what; k++) {
		if (k->until >= 0 && (offered & VT_F(k->until)))
			continue;
		if ((stock == k->stock || k->stock == VT_CMP_ANY) &&
		    (ours == k->ours || k->ours == VT_CMP_ANY) &&
		    !fnmatch(k->what, what, 0))
			return true;
	}
	return false;
}

unsigned int vt_cmp_check(const char *path, const struct vt_cmp_log *log,
			  const struct vt_cmp_known *known, uint64_t offered,
			  bool loud)
{
	unsigned int i, bad = 0;
	char a[32], b[32];

	for (i = 0; i < log->n; i++) {
		const struct vt_cmp_answer *x = &log->answer[i];

		if (x->want == VT_CMP_ANY || x->ret == x->want ||
		    is_known(known, offered, x->what, x->want, x->ret))
			continue;
		bad++;
		if (loud)
			vt_msg("%s: %s: %s, should be %s", path, x->what,
			       name(x->ret, a, sizeof(a)),
			       name(x->want, b, sizeof(b)));
	}
	return bad;
}

unsigned int vt_cmp_both(const struct vt_cmp_log *stock,
			 const struct vt_cmp_log *ours,
			 const struct vt_cmp_known *known, uint64_t offered,
			 bool loud)
{
	unsigned int i, bad = 0;
	char a[32], b[32];

	for (i = 0; i < stock->n && i < ours->n; i++) {
		const struct vt_cmp_answer *x = &stock->answer[i];
		const struct vt_cmp_answer *y = &ours->answer[i];

		/* another question: the scripts took different ways */
		if (strcmp(x->what, y->what)) {
			if (loud)
				vt_msg("\"%s\" with stock, \"%s\" with ours",
				       x->what, y->what);
			return bad + 1;
		}
		if (x->ret == y->ret ||
		    is_known(known, offered, x->what, x->ret, y->ret))
			continue;
		bad++;
		if (loud)
			vt_msg("%s: stock %s, ours %s", x->what,
			       name(x->ret, a, sizeof(a)),
			       name(y->ret, b, sizeof(b)));
	}
	if (stock->n != ours->n) {
		bad++;
		if (loud)
			vt_msg("%u answers with stock, %u with ours", stock->n,
			       ours->n);
	}
	return bad;
}
