/*
 * TCP settings of a socket, which may be asked for before it has a
 * descriptor. On a socket that is not TCP they are kept and do nothing, as
 * those of the documents do on a unix socket.
 */
#include "config.h"

#include "net/socket_priv.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <stdlib.h>

#include "net/extra_priv.h"

static struct weir__tuning *
tuning(struct weir_socket *s)
{
	struct weir__extra *x = weir__extra(s);

	if (x != NULL && x->tuning == NULL)
		x->tuning = calloc(1, sizeof(*x->tuning));
	return x != NULL ? x->tuning : NULL;
}

static int
set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) == -1)
		return -errno;
	return 0;
}

/* Linux counts keep-alive in whole seconds, of which there is at least one. */
static int
seconds(uint64_t ms)
{
	uint64_t s = (ms + 999) / 1000;

	return s > 32767 ? 32767 : (int)s;
}

static bool
is_tcp_fd(int fd)
{
	int domain;
	socklen_t length = sizeof(domain);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 &&
	       domain != AF_UNIX;
}

static bool
is_tcp(const struct weir_socket *s)
{
	return s->fd != -1 && s->is_socket && is_tcp_fd(s->fd);
}

static int
apply_keep_alive(int fd, const struct weir__tuning *t)
{
	int err = set(fd, SOL_SOCKET, SO_KEEPALIVE, t->keep_alive);

	if (err == 0 && t->keep_alive && t->initial_delay_ms > 0)
		err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE,
		    seconds(t->initial_delay_ms));
	return err;
}

static int
apply_probes(int fd, const struct weir__tuning *t)
{
	int err = 0;

	if (t->interval_ms > 0)
		err = set(
		    fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(t->interval_ms));
	if (err == 0 && t->count > 0)
		err = set(fd, IPPROTO_TCP, TCP_KEEPCNT,
		    t->count > 127 ? 127 : (int)t->count);
	if (err == 0 && t->user_timeout_ms > 0)
		err = set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
		    t->user_timeout_ms > INT_MAX ? INT_MAX
						 : (int)t->user_timeout_ms);
	return err;
}

/* A setting the kernel refuses is left as it is, as the documents' are. */
void
weir__tuning_apply(int fd, const struct weir__tuning *t)
{
	if (t->no_delay_set)
		(void)set(fd, IPPROTO_TCP, TCP_NODELAY, t->no_delay);
	if (t->keep_alive_set)
		(void)apply_keep_alive(fd, t);
	(void)apply_probes(fd, t);
}

/* ---- late ---- */

void
weir__late_unref(struct weir__late *late)
{
	if (late != NULL && --late->refs == 0)
		free(late);
}

static bool
is_same(const struct weir__tuning *a, const struct weir__tuning *b)
{
	return a->no_delay_set == b->no_delay_set &&
	       a->no_delay == b->no_delay &&
	       a->keep_alive_set == b->keep_alive_set &&
	       a->keep_alive == b->keep_alive &&
	       a->initial_delay_ms == b->initial_delay_ms &&
	       a->interval_ms == b->interval_ms &&
	       a->user_timeout_ms == b->user_timeout_ms && a->count == b->count;
}

/* One for all that have the same; NULL without memory. */
static struct weir__late *
late_of(struct weir_loop *loop, const struct weir__tuning *t)
{
	struct weir__late **last = weir__loop_late(loop), *late = *last;

	if (late == NULL || !is_same(&late->tuning, t)) {
		late = malloc(sizeof(*late));
		if (late == NULL)
			return NULL;
		*late = (struct weir__late){.tuning = *t, .refs = 1};
		weir__late_unref(*last);
		*last = late;
	}
	late->refs++;
	return late;
}

void
weir__tuning_apply_late(struct weir_socket *s, const struct weir__tuning *t)
{
	if (!t->no_delay_set && !t->keep_alive_set && t->interval_ms == 0 &&
	    t->count == 0)
		return;
	s->late = weir__doubt(s) ? late_of(s->loop, t) : NULL;
	if (s->late == NULL)
		weir__tuning_apply(s->fd, t);
}

void
weir__tuning_make_late(struct weir_socket *s)
{
	if (!weir__is_late(s))
		return;
	weir__tuning_apply(s->fd, &s->late->tuning);
	weir__tuning_forget_late(s);
}

void
weir__tuning_forget_late(struct weir_socket *s)
{
	if (!weir__is_late(s))
		return;
	weir__late_unref(s->late);
	s->late = NULL;
}

/* ---- what the owner asks for ---- */

int
weir_socket_set_no_delay(struct weir_socket *s, bool on)
{
	struct weir__tuning *t;

	if (s == NULL)
		return -EINVAL;
	weir__tuning_make_late(s);
	t = tuning(s);
	if (t == NULL)
		return -ENOMEM;
	t->no_delay_set = true;
	t->no_delay = on;
	return is_tcp(s) ? set(s->fd, IPPROTO_TCP, TCP_NODELAY, on) : 0;
}

int
weir_socket_set_keep_alive(
    struct weir_socket *s, bool on, uint64_t initial_delay_ms)
{
	struct weir__tuning *t;

	if (s == NULL)
		return -EINVAL;
	weir__tuning_make_late(s);
	t = tuning(s);
	if (t == NULL)
		return -ENOMEM;
	t->keep_alive_set = true;
	t->keep_alive = on;
	if (initial_delay_ms > 0)
		t->initial_delay_ms = initial_delay_ms;
	return is_tcp(s) ? apply_keep_alive(s->fd, t) : 0;
}

int
weir_socket_set_keep_alive_probes(struct weir_socket *s, uint64_t interval_ms,
    unsigned count, uint64_t user_timeout_ms)
{
	struct weir__tuning *t;

	if (s == NULL)
		return -EINVAL;
	weir__tuning_make_late(s);
	t = tuning(s);
	if (t == NULL)
		return -ENOMEM;
	if (interval_ms > 0)
		t->interval_ms = interval_ms;
	if (count > 0)
		t->count = count;
	if (user_timeout_ms > 0)
		t->user_timeout_ms = user_timeout_ms;
	return is_tcp(s) ? apply_probes(s->fd, t) : 0;
}
