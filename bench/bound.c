/*
 * What forwarding costs at the least: the bound that bench/compare holds weir
 * against. It has no limits, timeouts, figures, log or settings; what it has is
 * what nobody who forwards can leave out.
 *
 *   bound PORT TARGET WORKERS
 *
 * One epoll_ctl a socket, which tells of edges; one recv and one send a
 * message; a FIN along with the bytes before it, passed on in each direction;
 * splice for what fills the buffer several times in a row.
 */
#include "config.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER	   (64 * 1024)
#define TURN	   (1024 * 1024) /* of one flow, and what its pipe holds */
#define BULK_AFTER 4		 /* full buffers */
#define EVENTS	   256

/* One side of a connection; what is read of it goes to the other. */
struct side {
	struct pair *pair;
	struct side *other;
	int fd, pipe[2];
	unsigned full; /* buffers in a row */
	bool readable, writable, hup, eof, ended, tells_room;
	char *held; /* what the other side did not take */
	size_t held_from, held_to, piped;
};

struct pair {
	struct side client, server;
	struct pair *next; /* of those that have more, or are gone */
	bool has_more, gone;
};

static char buffer[BUFFER];
static struct sockaddr_in target;
static struct pair *more, *gone;
static int set;

static void
fail(const char *what)
{
	fprintf(stderr, "bound: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void
watch(int how, int fd, void *whose, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = whose};

	if (epoll_ctl(set, how, fd, &event) == -1)
		fail("epoll_ctl");
}

static void
shut(struct side *s)
{
	(void)close(s->fd);
	if (s->pipe[0] != -1) {
		(void)close(s->pipe[0]);
		(void)close(s->pipe[1]);
	}
	free(s->held);
}

/* Its memory stays until no event of this round can be its own. */
static void
shut_both(struct pair *p)
{
	if (p->gone)
		return;
	shut(&p->client);
	shut(&p->server);
	p->gone = true;
	if (p->has_more)
		return;
	p->next = gone;
	gone = p;
}

/* A write that took so much, or nothing. Returns whether to go on. */
static bool
took(struct side *to, ssize_t n)
{
	if (n >= 0)
		return true;
	if (errno != EAGAIN)
		shut_both(to->pair);
	to->writable = false;
	if (!to->pair->gone && !to->tells_room) {
		to->tells_room = true;
		watch(EPOLL_CTL_MOD, to->fd, to,
		    EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	}
	return false;
}

/* Pass on what waits. Returns whether all of it is out. */
static bool
give(struct side *s)
{
	ssize_t n;

	while (s->piped > 0) {
		n = splice(s->pipe[0], NULL, s->other->fd, NULL, s->piped,
		    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (!took(s->other, n))
			return false;
		s->piped -= (size_t)n;
	}
	while (s->held_from < s->held_to) {
		n = send(s->other->fd, s->held + s->held_from,
		    s->held_to - s->held_from, MSG_NOSIGNAL);
		if (!took(s->other, n))
			return false;
		s->held_from += (size_t)n;
	}
	return true;
}

/* What a read has brought: nothing, the end, or so much. */
static size_t
read_was(struct side *s, ssize_t n)
{
	if (n > 0)
		return (size_t)n;
	if (n == -1 && errno != EAGAIN)
		shut_both(s->pair);
	s->eof = n == 0;
	s->readable = false;
	return 0;
}

static void
hold(struct side *s, size_t from, size_t to)
{
	if (s->held == NULL && (s->held = malloc(BUFFER)) == NULL)
		fail("memory");
	memcpy(s->held, buffer + from, to - from);
	s->held_from = 0;
	s->held_to = to - from;
}

static size_t
copy(struct side *s)
{
	size_t n = read_was(s, recv(s->fd, buffer, BUFFER, 0));
	ssize_t sent;

	if (n == 0)
		return 0;
	s->full = n == BUFFER ? s->full + 1 : 0;
	if (n < BUFFER && !s->hup)
		s->readable = false;
	sent = send(s->other->fd, buffer, n,
	    MSG_NOSIGNAL | (n < BUFFER && s->hup ? MSG_MORE : 0));
	if (!took(s->other, sent))
		sent = 0;
	if (!s->pair->gone && (size_t)sent < n)
		hold(s, (size_t)sent, n);
	return n;
}

static size_t
move(struct side *s)
{
	if (s->pipe[0] == -1) {
		if (pipe2(s->pipe, O_NONBLOCK | O_CLOEXEC) == -1)
			fail("pipe");
		(void)fcntl(s->pipe[0], F_SETPIPE_SZ, TURN);
	}
	s->piped = read_was(s, splice(s->fd, NULL, s->pipe[1], NULL, TURN,
				   SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
	return s->piped;
}

static void
end(struct side *s)
{
	if (s->ended)
		return;
	s->ended = true;
	if (s->other->ended)
		shut_both(s->pair);
	else
		(void)shutdown(s->other->fd, SHUT_WR);
}

/* A turn from one side to the other. */
static void
pass(struct side *s)
{
	size_t moved = 0;

	while (!s->pair->gone && s->other->writable && give(s)) {
		if (s->eof)
			end(s);
		if (!s->readable)
			return;
		if (moved < TURN) {
			moved += s->full < BULK_AFTER ? copy(s) : move(s);
			continue;
		}
		if (!s->pair->has_more) {
			s->pair->has_more = true;
			s->pair->next = more;
			more = s->pair;
		}
		return;
	}
}

static void
told(struct side *s, uint32_t events)
{
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		s->hup = true;
	if (s->hup || events & EPOLLIN)
		s->readable = true;
	if (events & (EPOLLOUT | EPOLLERR))
		s->writable = true;
	pass(s);
	pass(s->other);
}

/* A connect that fails is told by the event. */
static void
join(int client, int server)
{
	struct pair *p = malloc(sizeof(*p));
	int on = 1;

	if (p == NULL || server == -1)
		fail("connection");
	p->has_more = p->gone = false;
	p->client = (struct side){.pair = p,
	    .other = &p->server,
	    .fd = client,
	    .pipe = {-1, -1},
	    .writable = true};
	p->server = (struct side){.pair = p,
	    .other = &p->client,
	    .fd = server,
	    .pipe = {-1, -1},
	    .tells_room = true};
	(void)setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)connect(server, (struct sockaddr *)&target, sizeof(target));
	watch(EPOLL_CTL_ADD, server, &p->server,
	    EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
	watch(
	    EPOLL_CTL_ADD, client, &p->client, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* Most often one waits, and a second look would be in vain. */
static void
come(int listener)
{
	static int batch = 1;
	int i, fd = 0;

	for (i = 0; i < batch && fd != -1; i++) {
		fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		if (fd != -1)
			join(fd,
			    socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	}
	if (fd == -1)
		batch = 1;
	else if (batch < 64)
		batch *= 2;
}

static void
go_on(struct pair *p)
{
	struct pair *next;

	for (; p != NULL; p = next) {
		next = p->next;
		p->has_more = false;
		if (p->gone) {
			free(p);
			continue;
		}
		pass(&p->client);
		pass(&p->server);
	}
}

static struct sockaddr_in
at_port(const char *text)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	    .sin_port = htons((uint16_t)atoi(text)),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static _Noreturn void
serve(int listener)
{
	struct epoll_event come_now[EVENTS];
	struct pair *p;
	struct side *s;
	int i, n;

	set = epoll_create1(0);
	watch(EPOLL_CTL_ADD, listener, NULL, EPOLLIN);
	for (;;) {
		n = epoll_wait(set, come_now, EVENTS, more != NULL ? 0 : -1);
		for (i = 0; i < n; i++) {
			s = come_now[i].data.ptr;
			if (s == NULL)
				come(listener);
			else if (!s->pair->gone)
				told(s, come_now[i].events);
		}
		p = more;
		more = NULL;
		go_on(p);
		while ((p = gone) != NULL) {
			gone = p->next;
			free(p);
		}
	}
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	struct sockaddr_in at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1,
	    workers;

	if (argc != 4) {
		fprintf(stderr, "usage: bound PORT TARGET WORKERS\n");
		return 2;
	}
	(void)signal(SIGPIPE, SIG_IGN); /* splice has no MSG_NOSIGNAL */
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	at = at_port(argv[1]);
	target = at_port(argv[2]);
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* Which those that it accepts inherit. */
	(void)setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) == -1 ||
	    listen(listener, 4096) == -1)
		fail(argv[1]);
	for (workers = atoi(argv[3]); workers > 1; workers--)
		if (fork() == 0)
			break;
	serve(listener);
}
