// SPDX-License-Identifier: GPL-2.0
/* The monitor of a userfaultfd. */
#include "uffd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *vt_uffd_open(struct vt_uffd *u, struct vt_area *a,
			 uint64_t features, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register reg = {
		.range = { (unsigned long)a->base, a->len },
		.mode = mode,
	};

	memset(u, 0, sizeof(*u));
	u->a = a;
	u->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (u->fd < 0)
		return "the kernel has no userfaultfd";
	if (ioctl(u->fd, UFFDIO_API, &api) ||
	    ioctl(u->fd, UFFDIO_REGISTER, &reg))
		return "the kernel's userfaultfd cannot do this";
	u->src = calloc(1, a->len);
	return NULL;
}

static void resolve(struct vt_uffd *u, uint64_t addr, uint64_t flags)
{
	struct uffdio_range page = { addr, VT_PAGE };
	struct uffdio_writeprotect wp = { .range = page };
	struct uffdio_continue cont = { .range = page };
	struct uffdio_copy copy = {
		.dst = addr,
		.src = (uintptr_t)u->src + (addr - (uintptr_t)u->a->base),
		.len = VT_PAGE,
	};
	int r;

	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		r = ioctl(u->fd, UFFDIO_WRITEPROTECT, &wp);
	else if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		r = ioctl(u->fd, UFFDIO_CONTINUE, &cont);
	else
		r = ioctl(u->fd, UFFDIO_COPY, &copy);
	if (!r)
		return;
	/* another handler was faster: wake the waiters */
	if (errno == EEXIST)
		atomic_fetch_add(&u->existed, 1);
	ioctl(u->fd, UFFDIO_WAKE, &page);
}

static void *serve(void *arg)
{
	struct vt_uffd *u = arg;

	while (!atomic_load(&u->stop)) {
		struct pollfd p = { .fd = u->fd, .events = POLLIN };
		struct uffd_msg msg;

		if (poll(&p, 1, 20) <= 0 ||
		    read(u->fd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			continue;
		atomic_fetch_add(&u->faults, 1);
		if (msg.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE)
			atomic_fetch_add(&u->writes, 1);
		resolve(u, msg.arg.pagefault.address & ~(VT_PAGE - 1),
			msg.arg.pagefault.flags);
	}
	return NULL;
}

int vt_uffd_serve(struct vt_uffd *u)
{
	while (u->threads < VT_UFFD_THREADS) {
		if (pthread_create(&u->thread[u->threads], NULL, serve, u))
			return -EAGAIN;
		u->threads++;
	}
	return 0;
}

int vt_uffd_protect(struct vt_uffd *u)
{
	struct uffdio_writeprotect wp = {
		.range = { (unsigned long)u->a->base, u->a->len },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	return ioctl(u->fd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

void vt_uffd_close(struct vt_uffd *u)
{
	atomic_store(&u->stop, true);
	while (u->threads)
		pthread_join(u->thread[--u->threads], NULL);
	/* closing wakes waiters, which then fault without the monitor */
	close(u->fd);
	free(u->src);
}
