// SPDX-License-Identifier: GPL-2.0
/*
 * A network namespace without IPv6, so that no packet but the benchmark's own
 * exists, and one tap in it: it drops what it gets in its own XDP program,
 * hands it to the host stack, or is fed by an AF_PACKET socket.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tap.h"

#define NAME "vbench"

void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vbench: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

int check(int ret, const char *what)
{
	if (ret < 0)
		die("%s: %s", what, strerror(errno));
	return ret;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	/* Absent means that IPv6 is not even loaded. */
	if (fd < 0 && errno == ENOENT)
		return;
	check(fd, path);
	check(write(fd, text, strlen(text)), path);
	close(fd);
}

void tap_open(struct tap *tap, int hdr_len)
{
	struct ifreq ifr = {
		.ifr_name = NAME,
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	int sndbuf = INT_MAX, sock;

	if (unshare(CLONE_NEWNET))
		die("new network namespace: %s (run as root)", strerror(errno));
	write_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
	write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");

	tap->fd = open("/dev/net/tun", O_RDWR);
	if (tap->fd < 0)
		die("/dev/net/tun: %s (modprobe tun)", strerror(errno));
	check(ioctl(tap->fd, TUNSETIFF, &ifr), "TUNSETIFF");
	check(ioctl(tap->fd, TUNSETVNETHDRSZ, &hdr_len), "TUNSETVNETHDRSZ");
	/* As QEMU does; a finite one takes stock vhost-net off its batched path. */
	check(ioctl(tap->fd, TUNSETSNDBUF, &sndbuf), "TUNSETSNDBUF");

	sock = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	check(ioctl(sock, SIOCSIFFLAGS, &ifr), "bringing the tap up");
	check(ioctl(sock, SIOCGIFINDEX, &ifr), "SIOCGIFINDEX");
	tap->ifindex = ifr.ifr_ifindex;
	close(sock);
}

static int sys_bpf(int command, union bpf_attr *attr, const char *what)
{
	return check(syscall(SYS_bpf, command, attr, sizeof(*attr)), what);
}

/*
 * The program is "return XDP_DROP".  Native mode or nothing: in generic mode the
 * packet would go the whole way into the stack first.
 */
void tap_drop(struct tap *tap)
{
	struct bpf_insn prog[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_DROP },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	struct bpf_prog_info info = {
		.nr_jited_ksyms = 1,
		.jited_ksyms = (uintptr_t)&tap->xdp_image,
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_XDP,
		.insn_cnt = sizeof(prog) / sizeof(prog[0]),
		.insns = (uintptr_t)prog,
		.license = (uintptr_t)"GPL",
		.prog_name = "vbench_drop",
	};
	int fd = sys_bpf(BPF_PROG_LOAD, &attr, "loading the XDP program");

	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = fd;
	attr.link_create.target_ifindex = tap->ifindex;
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = XDP_FLAGS_DRV_MODE;
	/* The link's descriptor stays open: it holds the program attached. */
	sys_bpf(BPF_LINK_CREATE, &attr, "attaching the XDP program in native mode");

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = fd;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	sys_bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, "asking for the XDP program's address");
	tap->xdp_size = info.jited_prog_len;
}

void tap_open_sender(struct tap *tap, bool headers)
{
	int one = 1;

	/* Protocol 0: this socket only sends. */
	tap->sender = check(socket(AF_PACKET, SOCK_RAW, 0), "AF_PACKET socket");
	if (!headers)
		return;
	check(setsockopt(tap->sender, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)),
	      "PACKET_VNET_HDR");
	/* What a driver with these features says; else the packets are cut here. */
	check(ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4), "TUNSETOFFLOAD");
}

void tap_send(const struct tap *tap, const void *frame, size_t size)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_ifindex = tap->ifindex,
	};

	if (sendto(tap->sender, frame, size, 0, (void *)&addr, sizeof(addr)) < 0 &&
	    errno != ENOBUFS)
		die("sendto: %s", strerror(errno));
}

static void read_counters(struct tap *tap)
{
	FILE *f = fopen("/proc/self/net/dev", "r");
	char line[512], *p;

	while (f && fgets(line, sizeof(line), f)) {
		p = strstr(line, NAME ":");
		if (!p)
			continue;
		if (sscanf(p + strlen(NAME ":"), "%llu %llu %*u %llu",
			   &tap->bytes, &tap->packets, &tap->dropped) != 3)
			break;
		fclose(f);
		return;
	}
	die("no counters of the tap in /proc/self/net/dev");
}

/*
 * A packet dropped by XDP is counted as dropped alone.  One for the stack is
 * counted with its bytes, and as dropped there since nobody wants it, unless
 * IP took it, which has a counter of its own for what is for others.
 */
void tap_expect(struct tap *tap, uint64_t packets, size_t size)
{
	bool drop = tap->xdp_image;
	struct tap was = *tap;

	read_counters(tap);
	if (tap->dropped - was.dropped != (tap->ip ? 0 : packets) ||
	    tap->packets - was.packets != (drop ? 0 : packets) ||
	    tap->bytes - was.bytes != (drop ? 0 : packets * size))
		die("%llu packets of %zu bytes were sent; the tap took %llu (%llu bytes) and dropped %llu",
		    (unsigned long long)packets, size, tap->packets - was.packets,
		    tap->bytes - was.bytes, tap->dropped - was.dropped);
}
