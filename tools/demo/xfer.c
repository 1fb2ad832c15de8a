// SPDX-License-Identifier: GPL-2.0
/*
 * xfer - move one file over one TCP connection.
 *
 * The nested guest has nothing but busybox, whose nc ends as soon as either its
 * standard input or the peer does. Here each side knows when it is done: the
 * receiver at the end of the stream, the sender when the receiver has closed.
 * Contents are not checked here; both ends hash the file itself.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A transfer that takes longer than this hangs. */
#define TIMEOUT_S 400
/* How often a connection is tried, a quarter of a second apart. */
#define CONNECT_TRIES 120

static char buf[256 * 1024];

static void die(const char *what)
{
	fprintf(stderr, "xfer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t ret = write(fd, p, n);

		if (ret < 0)
			die("write");
		p += ret;
		n -= ret;
	}
}

static unsigned long long copy(int from, int to)
{
	unsigned long long total = 0;
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		write_all(to, buf, n);
		total += n;
	}
	if (n < 0)
		die("read");
	return total;
}

static int new_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int accept_one(int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_ANY),
	};
	int fd = new_socket(), one = 1, conn;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		die("setsockopt");
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		die("bind");
	if (listen(fd, 1))
		die("listen");
	conn = accept(fd, NULL, NULL);
	if (conn < 0)
		die("accept");
	close(fd);
	return conn;
}

static int connect_to(const char *host, int port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
	};
	const struct timespec pause = { .tv_nsec = 250000000 };
	int try, fd;

	if (!inet_aton(host, &addr.sin_addr)) {
		fprintf(stderr, "xfer: %s is no IPv4 address\n", host);
		exit(1);
	}
	for (try = 0; try < CONNECT_TRIES; try++) {
		fd = new_socket();
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			return fd;
		close(fd);
		nanosleep(&pause, NULL);
	}
	die("connect");
	return -1;
}

static void receive(int port, const char *path)
{
	int conn = accept_one(port);
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (file < 0)
		die(path);
	printf("%llu\n", copy(conn, file));
	close(conn);
}

static void transmit(const char *host, int port, const char *path)
{
	int file = open(path, O_RDONLY);
	int conn;

	if (file < 0)
		die(path);
	conn = connect_to(host, port);
	printf("%llu\n", copy(file, conn));
	if (shutdown(conn, SHUT_WR))
		die("shutdown");
	/* The receiver closes once it has everything. */
	if (read(conn, buf, sizeof(buf)) != 0)
		die("waiting for the receiver");
}

int main(int argc, char **argv)
{
	alarm(TIMEOUT_S);
	if (argc == 4 && !strcmp(argv[1], "recv")) {
		receive(atoi(argv[2]), argv[3]);
	} else if (argc == 5 && !strcmp(argv[1], "send")) {
		transmit(argv[2], atoi(argv[3]), argv[4]);
	} else {
		fprintf(stderr,
			"usage: xfer recv PORT FILE | xfer send HOST PORT FILE\n"
			"Moves FILE over one TCP connection, prints the bytes moved.\n");
		return 2;
	}
	return 0;
}
