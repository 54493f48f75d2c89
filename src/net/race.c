/*
 * Several addresses raced, as RFC 8305 has it: the next attempt begins when
 * one has failed, or has not succeeded after a short delay, and goes on beside
 * it. The first that succeeds is the connection; the others are closed. What
 * the attempts are made with, and what comes after, is connect.c's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>

#include "net/connect_priv.h"

struct weir__attempt {
	struct weir_socket *socket;
	struct weir_address to;
	int fd;
	struct event event;		/* writable, or too late */
	LIST_ENTRY(weir__attempt) next; /* weir__connect.attempts */
};

/* ---- the order ---- */

/* Move list[from] to list[to], which stands before it. */
static void
move_up(struct weir_address *list, size_t from, size_t to)
{
	struct weir_address moved = list[from];

	for (; from > to; from--)
		list[from] = list[from - 1];
	list[to] = moved;
}

void
weir__race_order(struct weir_address *list, size_t count)
{
	size_t i, j;

	for (i = 1; i < count; i++) {
		for (j = i; j < count; j++)
			if (list[j].u.sa.sa_family !=
			    list[i - 1].u.sa.sa_family)
				break;
		if (j == count) /* only one family is left */
			return;
		move_up(list, j, i);
	}
}

/* ---- attempts ---- */

static void
free_attempt(struct weir__attempt *a)
{
	LIST_REMOVE(a, next);
	(void)event_del(&a->event);
	if (a->fd != -1) {
		(void)close(a->fd);
		weir__loop_fd_closed(a->socket->loop);
	}
	free(a);
}

void
weir__race_free(struct weir__connect *c)
{
	struct weir__attempt *a;

	while ((a = LIST_FIRST(&c->attempts)) != NULL)
		free_attempt(a);
}

/* The next one is due now; after the last, all of them have to have failed. */
static void
failed(struct weir_socket *s, const struct weir_address *to, int err)
{
	struct weir__connect *c = s->connect;

	c->error = err;
	(void)event_del(&c->timer);
	weir__socket_defer(s, WEIR__DUE_CONNECT);
	weir__tell(s, on_attempt_failed, , to, err);
}

static void
attempt_failed(struct weir__attempt *a, int err)
{
	struct weir_socket *s = a->socket;
	const struct weir_address to = a->to;

	free_attempt(a);
	failed(s, &to, err);
}

static void
won(struct weir__attempt *a)
{
	struct weir_socket *s = a->socket;

	s->fd = a->fd;
	a->fd = -1;
	free_attempt(a);
	weir__connect_made(s);
}

static void
on_attempt_event(evutil_socket_t fd, short what, void *user)
{
	struct weir__attempt *a = user;
	struct weir_socket *s = a->socket;
	int err = 0;
	socklen_t length = sizeof(err);

	weir__pin(s);
	if ((what & EV_WRITE) == 0)
		err = -WEIR_E_CONNECT_TIMEOUT;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &length) == -1)
		err = errno;
	if (err != 0)
		attempt_failed(a, -err);
	else
		won(a);
	weir__unpin(s);
}

/* 0 where the attempt is under way or has won, else why it is not. */
static int
begin(struct weir_socket *s, struct weir__attempt *a)
{
	struct weir__connect *c = s->connect;
	const struct timeval after = {
	    .tv_sec = (time_t)(c->attempt_timeout_ms / 1000),
	    .tv_usec = (suseconds_t)(c->attempt_timeout_ms % 1000 * 1000),
	};
	int err = weir__connect_open(s, &a->to, &a->fd), r;

	if (err != 0)
		return err;
	do {
		r = connect(a->fd, &a->to.u.sa, a->to.length);
	} while (r == -1 && errno == EINTR);
	if (r == -1 && errno != EINPROGRESS)
		return -errno;
	if (event_assign(&a->event, weir_loop_base(s->loop), a->fd, EV_WRITE,
		on_attempt_event, a) == -1 ||
	    event_add(&a->event, c->attempt_timeout_ms > 0 ? &after : NULL) ==
		-1)
		return -ENOMEM;
	return 0;
}

void
weir__race_next(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;
	struct weir__attempt *a;
	struct weir_address to;
	int err;

	if (c->next == c->count) {
		if (LIST_EMPTY(&c->attempts))
			weir_socket_destroy(s, c->error);
		return;
	}
	to = c->list[c->next++];
	weir__tell(s, on_attempt, , &to);
	if (s->connect != c) /* destroyed meanwhile */
		return;
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		failed(s, &to, -ENOMEM);
		return;
	}
	a->socket = s;
	a->to = to;
	a->fd = -1;
	LIST_INSERT_HEAD(&c->attempts, a, next);
	/* So that it can be deleted before it was ever added. */
	(void)evtimer_assign(
	    &a->event, weir_loop_base(s->loop), on_attempt_event, a);
	err = begin(s, a);
	if (err != 0)
		attempt_failed(a, err);
	else if (c->next < c->count)
		weir__connect_arm(c, c->attempt_delay_ms);
}

void
weir__race_delay_over(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;
	struct weir_address slow = c->list[c->next - 1];

	weir__tell(s, on_attempt_timeout, , &slow);
	if (s->connect == c)
		weir__race_next(s);
}
