/*
 * From a name to a connection: resolve, then try each address in turn. One
 * attempt at a time; the next begins when one fails or takes too long. What
 * is told to the owner is told from the loop, as connect attempts begin there.
 */
#include "config.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/resolve.h>

#include "net/connect_priv.h"
#include "net/extra_priv.h"

/* A unix listener whose queue is full says EAGAIN and nothing tells when it
 * has room again. */
#define QUEUE_FULL_MS 20

/* A question to a resolver of the caller's. It outlives its socket where that
 * resolver cannot be told. */
struct weir_query {
	struct weir_socket *socket; /* NULL: the answer is not wanted */
	struct weir_resolver resolver;
	bool cancelling;
};

static void
forget_query(struct weir__connect *c)
{
	struct weir_query *q = c->query;

	if (q == NULL)
		return;
	c->query = NULL;
	q->socket = NULL;
	if (!c->ask && q->resolver.cancel == NULL)
		return; /* whoever answers frees it */
	q->cancelling = true;
	if (!c->ask)
		q->resolver.cancel(q, q->resolver.user);
	free(q);
}

static void
free_connect(struct weir__connect *c)
{
	weir_resolve_cancel(c->lookup);
	forget_query(c);
	weir__race_free(c);
	(void)event_del(&c->timer);
	if (c->list != &c->one)
		free(c->list);
	free(c);
}

void
weir__connect_free(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;

	if (s->state != WEIR__CONNECTING || c == NULL)
		return;
	s->connect = NULL;
	free_connect(c);
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

void
weir__connect_made(struct weir_socket *s)
{
	const struct weir__tuning tuning = s->connect->tuning;
	bool late = s->connect->late;
	int fd = s->fd;

	weir__connect_free(s);
	s->writable = true;
	(void)weir__socket_opened(s, fd);
	if (late)
		weir__tuning_apply_late(s, &tuning);
	s->fresh = true;
	weir__socket_defer(s, WEIR__DUE_OPENED | WEIR__DUE_READ);
}

void
weir__connect_arm(struct weir__connect *c, uint64_t ms)
{
	const struct timeval after = {
	    .tv_sec = (time_t)(ms / 1000),
	    .tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};

	if (event_add(&c->timer, &after) == -1) /* rather early than never */
		event_active(&c->timer, EV_TIMEOUT, 0);
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
		weir__connect_made(s);
		return;
	}
	if (errno == EAGAIN && to->u.sa.sa_family == AF_UNIX) {
		c->retrying = true;
		weir__connect_arm(c, QUEUE_FULL_MS);
		return;
	}
	if (errno != EINPROGRESS) {
		attempt_failed(s, -errno);
		return;
	}
	weir__pump_update(s);
	if (s->connect == c && c->attempt_timeout_ms > 0)
		weir__connect_arm(c, c->attempt_timeout_ms);
}

static void lookup_late(struct weir_socket *s);

static void
on_attempt_timer(evutil_socket_t fd, short what, void *user)
{
	struct weir__connect *c = user;
	struct weir_socket *s = c->socket;
	bool late =
	    c->attempt_timeout_ms > 0 &&
	    weir_loop_now_ms(s->loop) - c->began_ms >= c->attempt_timeout_ms;

	(void)fd;
	(void)what;
	weir__pin(s);
	if (c->list == NULL) {
		lookup_late(s);
	} else if (c->race) {
		weir__race_delay_over(s);
	} else if (c->retrying && !late) {
		c->retrying = false;
		try_connect(s);
	} else {
		attempt_failed(s, WEIR_E_CONNECT_TIMEOUT);
	}
	weir__unpin(s);
}

void
weir__connect_event(struct weir_socket *s, bool perhaps_failed)
{
	int err = 0;
	socklen_t length = sizeof(err);

	if (perhaps_failed &&
	    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &length) == -1)
		err = errno;
	if (err != 0)
		attempt_failed(s, -err);
	else
		weir__connect_made(s);
}

int
weir__connect_open(
    struct weir_socket *s, const struct weir_address *to, int *fd)
{
	struct weir__connect *c = s->connect;
	int family = to->u.sa.sa_family;

	*fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (*fd == -1)
		return -errno;
	s->is_socket = s->pollable = true;
	s->is_tcp = family != AF_UNIX;
	if (family == AF_UNIX)
		return 0;
	/* TLS writes more than once before anything is over, and the user's
	 * timeout is one of the connect, too. */
	c->late = s->extra == NULL && c->tuning.user_timeout_ms == 0;
	if (!c->late)
		weir__tuning_apply(*fd, &c->tuning);
	if (s->extra != NULL && s->extra->tuning != NULL)
		weir__tuning_apply(*fd, s->extra->tuning);
	return bind_local(c, *fd, family);
}

/* ---- the list ---- */

static int
take_list(
    struct weir__connect *c, const struct weir_address *addresses, size_t count)
{
	size_t i;

	c->list = count == 1 ? &c->one : calloc(count, sizeof(*c->list));
	if (c->list == NULL)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		c->list[i] = addresses[i];
	c->count = count;
	c->race = c->race && count > 1;
	if (c->race)
		weir__race_order(c->list, count);
	return 0;
}

/* A host that is an address was not looked up, and nothing is told of it. A
 * race tells of each address, as each may be the one. */
static void
tell_lookup(struct weir_socket *s, int err)
{
	struct weir__connect *c = s->connect;
	char host[WEIR_HOST_TEXT];
	struct weir_address found;
	size_t i;

	if (weir_is_ip(c->host) != 0)
		return;
	memcpy(host, c->host, strlen(c->host) + 1);
	if (err != 0)
		weir__tell(s, on_lookup, , err, NULL, host);
	for (i = 0; err == 0 && s->connect == c && i < c->count; i++) {
		if (i > 0 && !c->race)
			break;
		found = c->list[i];
		weir__tell(s, on_lookup, , 0, &found, host);
	}
}

static void
looked_up(struct weir_socket *s, int err)
{
	struct weir__connect *c = s->connect;

	(void)event_del(&c->timer);
	tell_lookup(s, err);
	if (s->connect != c)
		return;
	c->error = err;
	if (err != 0)
		weir_socket_destroy(s, err);
	else
		weir__socket_defer(s, WEIR__DUE_CONNECT);
}

/* The name servers take longer than an attempt may. */
static void
lookup_late(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;

	weir_resolve_cancel(c->lookup);
	c->lookup = NULL;
	forget_query(c);
	looked_up(s, WEIR_E_CONNECT_TIMEOUT);
}

static void
on_resolved(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct weir_socket *s = user;
	struct weir__connect *c = s->connect;

	weir__pin(s);
	c->lookup = NULL;
	if (err == 0)
		err = take_list(c, addresses, count);
	looked_up(s, err);
	weir__unpin(s);
}

/* ---- a resolver of the caller's ---- */

static void
ask(struct weir__connect *c)
{
	struct weir_query *q = c->query;

	c->ask = false;
	q->resolver.ask(q, c->host, c->port, c->family, q->resolver.user);
}

static bool
is_answer(int err, const struct weir_address *addresses, size_t count)
{
	size_t i;

	if (err != 0)
		return err < 0;
	for (i = 0; addresses != NULL && i < count; i++)
		if (weir_address_family(&addresses[i]) == 0)
			return false;
	return addresses != NULL && count > 0;
}

int
weir_query_answer(struct weir_query *q, int err,
    const struct weir_address *addresses, size_t count)
{
	struct weir__connect *c;
	size_t i;

	if (q == NULL || !is_answer(err, addresses, count))
		return -EINVAL;
	if (q->socket == NULL) {
		if (!q->cancelling)
			free(q);
		return -ECANCELED;
	}
	c = q->socket->connect;
	if (err == 0 && take_list(c, addresses, count) != 0)
		return -ENOMEM;
	for (i = 0; i < c->count; i++) /* the port is the same for both */
		if (c->list[i].u.in.sin_port == 0)
			c->list[i].u.in.sin_port = htons(c->port);
	(void)event_del(&c->timer);
	c->query = NULL;
	c->error = err;
	c->answered = true;
	weir__socket_defer(q->socket, WEIR__DUE_CONNECT);
	free(q);
	return 0;
}

void
weir__connect_next(struct weir_socket *s)
{
	struct weir__connect *c = s->connect;
	struct weir_address to;
	int err;

	if (s->state != WEIR__CONNECTING || c->attempting)
		return;
	if (c->ask) {
		ask(c);
		return;
	}
	if (c->answered) {
		c->answered = false;
		looked_up(s, c->error);
		return;
	}
	if (c->race) {
		weir__race_next(s);
		return;
	}
	if (c->next == c->count) {
		weir_socket_destroy(s, c->error);
		return;
	}
	to = c->list[c->next++];
	c->attempting = true;
	weir__tell(s, on_attempt, , &to);
	if (s->connect != c) /* destroyed meanwhile */
		return;
	c->began_ms = weir_loop_now_ms(s->loop);
	err = weir__connect_open(s, &to, &s->fd);
	if (err != 0)
		attempt_failed(s, err);
	else
		try_connect(s);
}

/* ---- verbs ---- */

static void
take_options(struct weir__connect *c, const struct weir_connect_options *o)
{
	if (o == NULL)
		return;
	if (o->local != NULL)
		c->local = *o->local;
	c->local_port = o->local_port;
	c->attempt_timeout_ms = o->attempt_timeout_ms;
	c->race = o->auto_select_family;
	c->attempt_delay_ms = o->attempt_delay_ms == 0 ? WEIR__ATTEMPT_DELAY_MS
						       : o->attempt_delay_ms;
	if (c->attempt_delay_ms < WEIR__ATTEMPT_DELAY_LEAST_MS)
		c->attempt_delay_ms = WEIR__ATTEMPT_DELAY_LEAST_MS;
	c->family = o->family;
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
	if (o != NULL && o->lookup != NULL && o->lookup->ask == NULL)
		return -EINVAL;
	return s->state == WEIR__IDLE ? 0 : WEIR_E_SOCKET_CONNECTED;
}

static struct weir__connect *
new_connect(struct weir_socket *s, const struct weir_connect_options *o,
    const char *host)
{
	size_t length = host != NULL ? strlen(host) + 1 : 0;
	struct weir__connect *c = malloc(sizeof(*c) + length);

	if (c == NULL)
		return NULL;
	*c = (struct weir__connect){.socket = s};
	if (length > 0)
		memcpy(c->host, host, length);
	(void)evtimer_assign(
	    &c->timer, weir_loop_base(s->loop), on_attempt_timer, c);
	take_options(c, o);
	return c;
}

/* Nothing but memory can fail any more; c is gone where it does. */
static int
begin(struct weir_socket *s, struct weir__connect *c,
    const struct weir_connect_options *o)
{
	int err = 0;

	if (o != NULL && o->timeout_ms > 0)
		err = weir_socket_set_timeout(s, o->timeout_ms);
	if (err != 0) {
		free_connect(c);
		return err;
	}
	s->connect = c;
	weir__socket_connecting(s);
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
	if (err != 0)
		return err;
	c = new_connect(s, options, NULL);
	if (c == NULL)
		return -ENOMEM;
	(void)take_list(c, address, 1); /* one needs no memory */
	err = begin(s, c, options);
	if (err == 0)
		weir__socket_defer(s, WEIR__DUE_CONNECT);
	return err;
}

/* The question is asked from the loop. */
static int
begin_query(struct weir__connect *c, const struct weir_connect_options *options)
{
	struct weir_socket *s = c->socket;
	int err;

	c->query = calloc(1, sizeof(*c->query));
	if (c->query == NULL) {
		free(c);
		return -ENOMEM;
	}
	c->query->socket = s;
	c->query->resolver = *options->lookup;
	c->ask = true;
	err = begin(s, c, options);
	if (err == 0)
		weir__socket_defer(s, WEIR__DUE_CONNECT);
	return err;
}

static int
begin_lookup(
    struct weir__connect *c, const struct weir_connect_options *options)
{
	struct weir_socket *s = c->socket;
	int err = weir_resolve(
	    &c->lookup, s->loop, c->host, c->port, c->family, on_resolved, s);

	if (err != 0) {
		free(c);
		return err;
	}
	return begin(s, c, options);
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
	c = new_connect(s, options, host);
	if (c == NULL)
		return -ENOMEM;
	c->port = port;
	if (options != NULL && options->lookup != NULL && weir_is_ip(host) == 0)
		err = begin_query(c, options);
	else
		err = begin_lookup(c, options);
	if (err == 0 && c->attempt_timeout_ms > 0)
		weir__connect_arm(c, c->attempt_timeout_ms);
	return err;
}
