/*
 * From a name to a connection: resolve, then try each address in turn. One
 * attempt at a time; the next begins when one fails or takes too long. What
 * is told to the owner is told from the loop, as connect attempts begin there.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/resolve.h>

/* A unix listener whose queue is full says EAGAIN and nothing tells when it
 * has room again. */
#define QUEUE_FULL_MS 20

struct weir__connect {
	struct weir_socket *socket;
	struct weir_lookup *lookup;
	struct weir_address *list; /* to try */
	size_t count, next;	   /* next: the one after the one tried */
	int error;		   /* of the last that failed */
	struct event timer;	   /* of the attempt, or of a retry */
	bool attempting, retrying;
	uint64_t deadline_ms; /* of the attempt; 0: none */

	struct weir_address local; /* length 0: any */
	uint16_t local_port;
	uint64_t attempt_timeout_ms;
	struct weir__tuning tuning;
	char host[WEIR_HOST_TEXT]; /* empty: an address was given */
};

void
weir__connect_free(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;

	if (c == NULL)
		return;
	s->connect = NULL;
	weir_resolve_cancel(c->lookup);
	(void)event_del(&c->timer);
	free(c->list);
	free(c);
}

/* ---- one attempt ---- */

static int
bind_local(const struct weir__connect *c, int fd, int family)
{
	struct weir_address from = c->local;
	int on = 1;

	if (from.length == 0 && c->local_port == 0)
		return 0;
	if (from.length == 0)
		(void)weir_address_set_ip(
		    &from, family == AF_INET6 ? "::" : "0.0.0.0", 0);
	if (from.u.sa.sa_family != family)
		return -EAFNOSUPPORT;
	if (c->local_port != 0)
		from.u.in.sin_port = htons(c->local_port);
	/* A port of the system's choice is chosen by connect(), which may use
	 * one twice for different peers; a fixed one may be in TIME_WAIT. */
	if (from.u.in.sin_port == 0)
		(void)setsockopt(
		    fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	else
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	return bind(fd, &from.u.sa, from.length) == -1 ? -errno : 0;
}

static void
close_attempt(struct weir_socket *s)
{
	weir__pump_leave(s);
	if (s->fd != -1)
		(void)close(s->fd);
	s->fd = -1;
}

/* The attempt failed: tell, then the next one. */
static void
attempt_failed(struct weir_socket *s, int err)
{
	struct weir__connect *c = s->connect;
	const struct weir_address tried = c->list[c->next - 1];

	(void)event_del(&c->timer);
	c->attempting = c->retrying = false;
	c->error = err;
	close_attempt(s);
	weir__loop_fd_closed(s->loop);
	weir__socket_defer(s, WEIR__DUE_CONNECT);
	weir__tell(s, on_attempt_failed, , &tried, err);
}

static void
succeeded(struct weir_socket *s)
{
	int fd = s->fd;

	weir__connect_free(s);
	s->writable = true;
	(void)weir__socket_opened(s, fd);
	s->fresh = true;
	weir__socket_defer(s, WEIR__DUE_OPENED | WEIR__DUE_READ);
}

static void
arm(struct weir__connect *c, uint64_t ms)
{
	const struct timeval after = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	(void)event_add(&c->timer, &after);
}

/* connect() once; a full queue is looked at again later. */
static void
try_connect(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;
	const struct weir_address *to = &c->list[c->next - 1];
	int r;

	do {
		r = connect(s->fd, &to->u.sa, to->length);
	} while (r == -1 && errno == EINTR);
	if (r == 0) {
		succeeded(s);
		return;
	}
	if (errno == EAGAIN && to->u.sa.sa_family == AF_UNIX) {
		c->retrying = true;
		arm(c, QUEUE_FULL_MS);
		return;
	}
	if (errno != EINPROGRESS) {
		attempt_failed(s, -errno);
		return;
	}
	weir__pump_update(s);
	if (s->connect == c && c->attempt_timeout_ms > 0)
		arm(c, c->attempt_timeout_ms);
}

static void
on_attempt_timer(evutil_socket_t fd, short what, void *user)
{
	struct weir__connect *c = user;
	struct weir_socket *s = c->socket;
	bool late =
	    c->deadline_ms != 0 && weir_loop_now_ms(s->loop) >= c->deadline_ms;

	(void)fd;
	(void)what;
	weir__pin(s);
	if (c->retrying && !late) {
		c->retrying = false;
		try_connect(s);
	} else {
		attempt_failed(s, WEIR_E_CONNECT_TIMEOUT);
	}
	weir__unpin(s);
}

void
weir__connect_event(struct weir_socket *s)
{
	int err = 0;
	socklen_t length = sizeof(err);

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &length) == -1)
		err = errno;
	if (err != 0)
		attempt_failed(s, -err);
	else
		succeeded(s);
}

static int
open_attempt(struct weir_socket *s, const struct weir_address *to)
{
	struct weir__connect *c = s->connect;
	int family = to->u.sa.sa_family, err;

	s->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd == -1)
		return -errno;
	s->is_socket = s->pollable = true;
	if (family == AF_UNIX)
		return 0;
	weir__tuning_apply(s->fd, &c->tuning);
	if (s->tuning != NULL)
		weir__tuning_apply(s->fd, s->tuning);
	err = bind_local(c, s->fd, family);
	return err;
}

void
weir__connect_next(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;
	const struct weir_address *to;
	int err;

	if (s->state != WEIR__CONNECTING || c->attempting)
		return;
	if (c->next == c->count) {
		weir_socket_destroy(s, c->error);
		return;
	}
	to = &c->list[c->next++];
	c->attempting = true;
	weir__tell(s, on_attempt, , to);
	if (s->connect != c) /* destroyed meanwhile */
		return;
	c->deadline_ms = c->attempt_timeout_ms > 0
			     ? weir_loop_now_ms(s->loop) + c->attempt_timeout_ms
			     : 0;
	err = open_attempt(s, to);
	if (err != 0)
		attempt_failed(s, err);
	else
		try_connect(s);
}

/* ---- the list ---- */

static void
on_resolved(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct weir_socket *s = user;
	struct weir__connect *c = s->connect;
	size_t i;

	weir__pin(s);
	c->lookup = NULL;
	if (err == 0) {
		c->list = calloc(count, sizeof(*c->list));
		if (c->list == NULL)
			err = -ENOMEM;
	}
	for (i = 0; err == 0 && i < count; i++)
		c->list[c->count++] = addresses[i];
	weir__tell(
	    s, on_lookup, , err, err == 0 ? &addresses[0] : NULL, c->host);
	if (s->connect == c) {
		c->error = err;
		if (err != 0)
			weir_socket_destroy(s, err);
		else
			weir__socket_defer(s, WEIR__DUE_CONNECT);
	}
	weir__unpin(s);
}

static void
take_options(struct weir__connect *c, const struct weir_connect_options *o)
{
	if (o == NULL)
		return;
	if (o->local != NULL)
		c->local = *o->local;
	c->local_port = o->local_port;
	c->attempt_timeout_ms = o->attempt_timeout_ms;
	c->tuning.no_delay_set = c->tuning.no_delay = o->no_delay;
	c->tuning.keep_alive_set = c->tuning.keep_alive = o->keep_alive;
	c->tuning.initial_delay_ms = o->keep_alive_initial_delay_ms;
	c->tuning.interval_ms = o->keep_alive_interval_ms;
	c->tuning.count = o->keep_alive_count;
	c->tuning.user_timeout_ms = o->user_timeout_ms;
}

static int
check(const struct weir_socket *s, const struct weir_connect_options *o)
{
	if (s == NULL || s->doomed)
		return -EINVAL;
	if (o != NULL && o->family != 0 && o->family != 4 && o->family != 6)
		return -EINVAL;
	return s->state == WEIR__IDLE ? 0 : WEIR_E_SOCKET_CONNECTED;
}

static int
begin(struct weir_socket *s, const struct weir_connect_options *o,
    struct weir__connect **ret)
{
	struct weir__connect *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL)
		return -ENOMEM;
	c->socket = s;
	(void)evtimer_assign(
	    &c->timer, weir_loop_base(s->loop), on_attempt_timer, c);
	take_options(c, o);
	if (o != NULL && o->timeout_ms > 0) {
		err = weir_socket_set_timeout(s, o->timeout_ms);
		if (err != 0) {
			free(c);
			return err;
		}
	}
	*ret = c;
	return 0;
}

int
weir_socket_connect(struct weir_socket *s, const struct weir_address *address,
    const struct weir_connect_options *options)
{
	struct weir__connect *c;
	int err = check(s, options);

	if (err == 0 && (address == NULL || address->length == 0))
		err = -EINVAL;
	if (err == 0)
		err = begin(s, options, &c);
	if (err != 0)
		return err;
	c->list = malloc(sizeof(*c->list));
	if (c->list == NULL) {
		free(c);
		return -ENOMEM;
	}
	c->list[0] = *address;
	c->count = 1;
	s->connect = c;
	weir__socket_connecting(s);
	weir__socket_defer(s, WEIR__DUE_CONNECT);
	return 0;
}

int
weir_socket_connect_host(struct weir_socket *s, const char *host, uint16_t port,
    const struct weir_connect_options *options)
{
	struct weir__connect *c;
	int err = check(s, options);

	if (err != 0)
		return err;
	if (host == NULL || *host == '\0')
		host = "localhost";
	if (strlen(host) >= WEIR_HOST_TEXT)
		return -EINVAL;
	err = begin(s, options, &c);
	if (err != 0)
		return err;
	memcpy(c->host, host, strlen(host) + 1);
	err = weir_resolve(&c->lookup, s->loop, host, port,
	    options != NULL ? options->family : 0, on_resolved, s);
	if (err != 0) {
		free(c);
		return err;
	}
	s->connect = c;
	weir__socket_connecting(s);
	return 0;
}
