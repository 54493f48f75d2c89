/*
 * Live connections and servers on their way to another process. Promises that
 * a frozen socket does no I/O, so that what is told of it stays true until it
 * is thawed or released, and that neither loses a byte. How the state and the
 * descriptor get there is the owner's business.
 */
#include "config.h"

#include <weir/move.h>

#include <errno.h>
#include <string.h>

#include <weir/error.h>
#include <weir/server.h>

#include "net/address_priv.h"
#include "net/extra_priv.h"
#include "net/pump_priv.h"
#include "net/server_priv.h"
#include "net/socket_priv.h"

/* ---- freezing ---- */

/* What its owner has not been told yet. */
#define DUE                                                                    \
	(WEIR__DUE_CONNECT | WEIR__DUE_OPENED | WEIR__DUE_FULL |               \
	    WEIR__DUE_BROKEN | WEIR__DUE_CLOSE | WEIR__DUE_SESSION)

static bool
is_pinned(const struct weir_socket *s)
{
	return s->pins > 0 ||
	       (weir__from(s) != NULL &&
		   weir__from(s)->destination->pins > 0) ||
	       (s->to != NULL && weir__source(s->to)->pins > 0);
}

static int
check(const struct weir_socket *s)
{
	if (s->state != WEIR__OPEN || s->dying != 0)
		return WEIR_E_SOCKET_CLOSED;
	if (!s->is_socket)
		return WEIR_E_NOT_A_STREAM;
	if (weir__tls(s) != NULL || s->fresh || (s->due & DUE) != 0 ||
	    is_pinned(s))
		return -EBUSY;
	if (s->extra != NULL &&
	    (weir__extra_waits(s) || !STAILQ_EMPTY(&s->extra->writes) ||
		s->extra->token != NULL))
		return -EBUSY;
	return 0;
}

/* One piece of memory for all of a buffer. */
static int
flatten(struct evbuffer *buffer, const void **data, size_t *length)
{
	*data = NULL;
	*length = buffer != NULL ? evbuffer_get_length(buffer) : 0;
	if (*length > 0)
		*data = evbuffer_pullup(buffer, -1);
	return *length > 0 && *data == NULL ? -ENOMEM : 0;
}

static int
describe(struct weir_socket *s, struct weir_socket_state *ret)
{
	int err;

	*ret = (struct weir_socket_state){
	    .allow_half_open = s->allow_half_open,
	    .paused = s->explicit_pause,
	    .flowing = s->explicit_flow,
	    .end_read = s->eof,
	    .read_ended = s->rd_ended,
	    .write_ended = s->end_asked,
	    .fin_sent = s->fin_sent,
	    .destroy_soon = s->soon,
	    .stop_source = s->to != NULL && s->to->stopped,
	    .bytes_read = s->bytes_read,
	    .bytes_delivered = s->bytes_delivered,
	    .idle_ms = weir_socket_idle_ms(s),
	};
	err = flatten(weir__in(s), &ret->held, &ret->held_length);
	if (err == 0)
		err = flatten(weir__out(s), &ret->queued, &ret->queued_length);
	return err;
}

/* Out of its lane: what a bufferevent or a kernel pipe has is held then. */
static int
leave_lane(struct weir_socket *s)
{
	struct weir__flow *f = weir__from(s);
	int err = 0;

	if (f != NULL && weir__piped(f) > 0)
		err = weir__splice_unload(f);
	if (err != 0 && weir__piped(f) > 0 && weir__held(s) == 0)
		return err; /* all of it is still in the pipe */
	if (err == 0)
		err = weir__stream_leave(s);
	if (err != 0) {
		weir_socket_destroy(s, err);
		return err;
	}
	if (f != NULL)
		weir__splice_return(f);
	weir__pump_leave(s);
	return 0;
}

int
weir_socket_freeze(struct weir_socket *s, struct weir_socket_state *ret)
{
	int err;

	if (s == NULL || s->doomed || ret == NULL)
		return -EINVAL;
	if (s->state == WEIR__OPEN && s->frozen)
		return describe(s, ret);
	err = check(s);
	if (err == 0)
		err = leave_lane(s);
	if (err != 0)
		return err;
	s->frozen = true;
	err = describe(s, ret);
	if (err != 0)
		weir_socket_thaw(s);
	return err;
}

void
weir_socket_thaw(struct weir_socket *s)
{
	if (s == NULL || !s->frozen)
		return;
	s->frozen = false;
	if (s->state != WEIR__OPEN)
		return;
	s->writable = true; /* as far as we know: a write tells */
	weir__socket_settle(s);
	if (s->state == WEIR__OPEN)
		weir__socket_defer(s, WEIR__DUE_READ);
}

static void
drain_all(struct evbuffer *buffer)
{
	if (buffer != NULL)
		(void)evbuffer_drain(buffer, evbuffer_get_length(buffer));
}

int
weir_socket_release(struct weir_socket *s)
{
	if (s == NULL || s->doomed || !s->frozen || s->state != WEIR__OPEN)
		return -EINVAL;
	drain_all(weir__in(s));
	drain_all(weir__out(s)); /* not dropped: the other one's */
	weir_socket_destroy(s, 0);
	return 0;
}

/* ---- adopting ---- */

static int
fill(struct evbuffer *buffer, const void *data, size_t length)
{
	return buffer != NULL && evbuffer_add(buffer, data, length) == 0
		   ? 0
		   : -ENOMEM;
}

static void
empty(struct evbuffer **buffer)
{
	if (*buffer != NULL)
		evbuffer_free(*buffer);
	*buffer = NULL;
}

static void
take_over(struct weir_socket *s, const struct weir_socket_state *state)
{
	uint64_t now = weir_loop_now_ms(s->loop);

	s->allow_half_open = state->allow_half_open;
	s->eof = state->end_read || state->read_ended;
	s->end_asked = state->write_ended || state->fin_sent;
	s->soon = state->destroy_soon;
	s->stop_source = state->stop_source;
	s->need_drain = state->queued_length > 0;
	s->explicit_pause = state->paused;
	s->explicit_flow = state->flowing;
	s->bytes_read = state->bytes_read;
	s->bytes_delivered = state->bytes_delivered;
	s->active_ms = now > state->idle_ms ? now - state->idle_ms : 0;
}

int
weir_socket_adopt(
    struct weir_socket *s, int fd, const struct weir_socket_state *state)
{
	int err = 0;

	if (s == NULL || s->doomed || state == NULL)
		return -EINVAL;
	if (s->state != WEIR__IDLE)
		return WEIR_E_SOCKET_CONNECTED;
	if (weir__in(s) != NULL || weir__out(s) != NULL)
		return -EBUSY;
	if (state->held_length > 0)
		err = fill(weir__extra_in(s), state->held, state->held_length);
	if (err == 0 && state->queued_length > 0)
		err = fill(
		    weir__extra_out(s), state->queued, state->queued_length);
	if (err == 0)
		err = weir_socket_open_fd(
		    s, fd, !state->read_ended, !state->fin_sent);
	if (err != 0 && s->extra != NULL) {
		empty(&s->extra->in);
		empty(&s->extra->out);
	}
	if (err != 0)
		return err;
	take_over(s, state);
	weir__socket_settle(s);
	return 0;
}

/* ---- servers ---- */

int
weir_server_release(struct weir_server *server)
{
	if (server == NULL)
		return -EINVAL;
	if (server->fd == -1)
		return WEIR_E_SERVER_NOT_RUNNING;
	server->path[0] = '\0';
	return weir_server_close(server);
}

int
weir_server_own_path(struct weir_server *server)
{
	struct weir_address bound;
	int err;

	if (server == NULL)
		return -EINVAL;
	if (server->fd == -1)
		return WEIR_E_SERVER_NOT_RUNNING;
	err = weir__ask_address(getsockname, server->fd, &bound);
	if (err != 0)
		return err;
	if (bound.u.sa.sa_family != AF_UNIX || bound.u.un.sun_path[0] == '\0')
		return 0;
	return weir__listen_own_path(server, &bound);
}
