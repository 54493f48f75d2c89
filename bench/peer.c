/*
 * Both ends of what bench/compare measures: a server, and the load on it by
 * way of a proxy. Neither is to be what the time goes to, so bulk is thrown
 * away without being copied, and all clients are one process.
 *
 *   peer serve PORT
 *   peer load PORT WORK CLIENTS SECONDS
 *	WORK: bulk, rtt, mixed, conn, slow; hello is conn with a TLS client's
 *	hello as its request
 *
 * The server skips a PROXY header before the first request.
 *
 * A load prints what it moved (bytes, answers, connections), in how long, and
 * the median, the 99th percentile and the most that one answer took, in
 * microseconds.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REQUEST	 64 /* bytes; the first says what is wanted */
#define ANSWER	 64
#define HELLO	 517	      /* as OpenSSL's with TLS 1.3 */
#define MIXED	 4096	      /* the answer of mixed */
#define PIECE	 (256 * 1024) /* of bulk */
#define SAMPLES	 (4 * 1024 * 1024)
#define PAUSE_US 1000 /* between two questions of slow */

static unsigned char buffer[PIECE];

static void
fail(const char *what)
{
	fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t
now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct sockaddr_in
at_port(const char *text)
{
	return (struct sockaddr_in){
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(text)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void
no_delay(int fd)
{
	int on = 1;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* ---- the server ---- */

/* Bytes until the reader goes, in a process of its own. */
static void
serve_bulk(int fd)
{
	pid_t child = fork();

	if (child == -1)
		fail("fork");
	if (child > 0)
		return;
	/* What others wait for the end of is not to be kept open here. */
	if (fd > 3)
		(void)close_range(3, (unsigned)fd - 1, 0);
	(void)close_range((unsigned)fd + 1, ~0U, 0);
	while (send(fd, buffer, sizeof(buffer), MSG_NOSIGNAL) > 0)
		;
	_exit(0);
}

/* How long a PROXY header is that these bytes begin with, or 0. */
static ssize_t
skip_header(const unsigned char *in, ssize_t n)
{
	const unsigned char *end;

	if (n >= 16 && in[0] == '\r')
		return 16 + (in[14] << 8 | in[15]);
	if (n < 6 || memcmp(in, "PROXY ", 6) != 0)
		return 0;
	end = memchr(in, '\n', (size_t)n);
	return end != NULL ? end - in + 1 : n;
}

/* One request or several; the descriptor is closed where they are the last. */
static void
serve_some(int fd)
{
	unsigned char in[16 * REQUEST];
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT), i;

	if (n == -1 && errno == EAGAIN)
		return;
	i = skip_header(in, n);
	if (n - i == HELLO && in[i] == 0x16) {
		(void)send(fd, buffer, ANSWER, MSG_NOSIGNAL);
		n = 0;
	}
	if (n > 0 && i >= n) /* the header came alone */
		return;
	for (; i < n; i += REQUEST) {
		if (in[i] == 'b')
			serve_bulk(fd);
		else if (send(fd, buffer, in[i] == 'm' ? MIXED : ANSWER,
			     MSG_NOSIGNAL) <= 0)
			n = 0;
		if (in[i] == 'b' || in[i] == 'c')
			n = 0;
	}
	if (n <= 0)
		(void)close(fd);
}

static _Noreturn void
serve(const char *port)
{
	struct sockaddr_in at = at_port(port);
	struct epoll_event event = {.events = EPOLLIN}, come[256];
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1, i, n, fd;
	int set = epoll_create1(EPOLL_CLOEXEC);

	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	no_delay(listener);
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(listener, 4096) == -1)
		fail(port);
	event.data.fd = listener;
	(void)epoll_ctl(set, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		n = epoll_wait(set, come, 256, -1);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		for (i = 0; i < n; i++) {
			if (come[i].data.fd != listener) {
				serve_some(come[i].data.fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd == -1)
				continue;
			event.data.fd = fd;
			(void)epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
		}
	}
}

/* ---- the load ---- */

enum work { BULK, RTT, MIX, CONN, SLOW, WITH_HELLO };

struct client {
	int fd;
	bool connecting;
	size_t wanted;	/* bytes of this answer that are to come */
	uint64_t asked; /* when */
};

static const char *const names[] = {
    "bulk", "rtt", "mixed", "conn", "slow", "hello"};
static const char letters[] = "bxmcx";
static unsigned char hello[HELLO];
static struct sockaddr_in target;
static enum work work;
static int set;
static uint64_t done, bytes;
static uint32_t *samples;

static void
begin(struct client *c)
{
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd == -1)
		fail("socket");
	no_delay(c->fd);
	c->connecting = true;
	c->asked = now_us();
	if (connect(c->fd, (struct sockaddr *)&target, sizeof(target)) == -1 &&
	    errno != EINPROGRESS)
		fail("connect");
	if (epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event) == -1)
		fail("epoll_ctl");
}

static size_t
put16(size_t at, size_t number)
{
	hello[at] = (unsigned char)(number >> 8);
	hello[at + 1] = (unsigned char)number;
	return at + 2;
}

/* A hello for the name "bench.test", padded. */
static void
make_hello(void)
{
	static const char name[] = "bench.test";
	size_t at = 0, length = sizeof(name) - 1;

	hello[at++] = 0x16; /* a record of the handshake */
	at = put16(at, 0x0301);
	at = put16(at, HELLO - 5);
	hello[at++] = 1; /* a client's hello */
	hello[at++] = 0;
	at = put16(at, HELLO - 9);
	at = put16(at, 0x0303) + 32; /* and its random bytes */
	hello[at++] = 0;	     /* no session */
	at = put16(at, 2);	     /* one suite */
	at = put16(at, 0x1301);
	hello[at++] = 1; /* one compression: none */
	hello[at++] = 0;
	at = put16(at, HELLO - at - 2);
	at = put16(at, 0); /* server_name */
	at = put16(at, length + 5);
	at = put16(at, length + 3);
	hello[at++] = 0; /* a host */
	at = put16(at, length);
	memcpy(hello + at, name, length);
	at = put16(at + length, 21); /* padding */
	(void)put16(at, HELLO - at - 2);
}

/* A connection for each request. */
static bool
once(void)
{
	return work == CONN || work == WITH_HELLO;
}

static void
ask(struct client *c)
{
	unsigned char request[REQUEST] = {0};

	if (work == WITH_HELLO) {
		c->wanted = ANSWER;
		if (send(c->fd, hello, HELLO, MSG_NOSIGNAL) != HELLO)
			fail("send");
		return;
	}
	request[0] = (unsigned char)letters[work];
	if (work != CONN)
		c->asked = now_us();
	c->wanted = work == MIX ? MIXED : ANSWER;
	if (send(c->fd, request, sizeof(request), MSG_NOSIGNAL) != REQUEST)
		fail("send");
}

static void
connected(struct client *c)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

	c->connecting = false;
	if (epoll_ctl(set, EPOLL_CTL_MOD, c->fd, &event) == -1)
		fail("epoll_ctl");
	ask(c);
}

static void
answered(struct client *c)
{
	uint64_t took = now_us() - c->asked;

	if (done < SAMPLES)
		samples[done] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	done++;
	if (work == SLOW)
		(void)usleep(PAUSE_US);
	if (!once())
		ask(c);
}

static void
readable(struct client *c)
{
	/* MSG_TRUNC: of TCP, it is thrown away where it lies. */
	ssize_t n = recv(c->fd, buffer, sizeof(buffer),
	    MSG_DONTWAIT | (work == BULK ? MSG_TRUNC : 0));

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == 0 && once() && c->wanted == 0) {
		answered(c);
		(void)close(c->fd);
		begin(c);
		return;
	}
	if (n <= 0)
		fail("recv");
	bytes += (uint64_t)n;
	if (work == BULK)
		return;
	c->wanted -= (size_t)n < c->wanted ? (size_t)n : c->wanted;
	if (c->wanted == 0 && !once())
		answered(c);
}

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
report(uint64_t took)
{
	size_t n = done < SAMPLES ? (size_t)done : SAMPLES;

	qsort(samples, n, sizeof(*samples), by_size);
	printf("%llu %.6f %u %u %u\n",
	    (unsigned long long)(work == BULK ? bytes : done),
	    (double)took / 1e6, n > 0 ? samples[n / 2] : 0,
	    n > 0 ? samples[n * 99 / 100] : 0, n > 0 ? samples[n - 1] : 0);
}

static int
load(int count, double seconds)
{
	struct client *clients = calloc((size_t)count, sizeof(*clients));
	struct epoll_event come[256];
	uint64_t start, end;
	int i, n;

	samples = malloc(SAMPLES * sizeof(*samples));
	set = epoll_create1(EPOLL_CLOEXEC);
	if (clients == NULL || samples == NULL || set == -1)
		fail("memory");
	start = now_us();
	end = start + (uint64_t)(seconds * 1e6);
	for (i = 0; i < count; i++)
		begin(&clients[i]);
	while (now_us() < end) {
		n = epoll_wait(set, come, 256, 100);
		for (i = 0; i < n; i++) {
			struct client *c = come[i].data.ptr;

			if (c->connecting)
				connected(c);
			else
				readable(c);
		}
	}
	report(now_us() - start);
	return 0;
}

int
main(int argc, char **argv)
{
	size_t i;

	(void)signal(SIGPIPE, SIG_IGN);
	memset(buffer, 'x', sizeof(buffer));
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	for (i = 0; argc == 6 && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(argv[3], names[i]) == 0) {
			target = at_port(argv[2]);
			work = (enum work)i;
			make_hello();
			return load(atoi(argv[4]), atof(argv[5]));
		}
	fprintf(stderr, "usage: peer serve PORT\n"
			"       peer load PORT WORK CLIENTS SECONDS\n");
	return 2;
}
