/*
 * A session: one client, from its arrival to the line in the access log.
 *
 * Sockets do the work: pipes between them carry bytes, back-pressure and FINs.
 * The session opens the other side, watches the clock, carries a reset across
 * and notes who ended it. It is over when both of its sockets are closed.
 */
#include "config.h"

#include "proxy/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session_front.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"
#include "proxy/target.h"

#define LINGER_MS 2000 /* for a client whose program has ended */

/* ---- questions ---- */

static struct deadlines *
deadlines_of(const struct session *session)
{
	return &session->listener->proxy->deadlines;
}

struct weir_loop *
session_loop(const struct session *session)
{
	return session->listener->proxy->loop;
}

uint64_t
session_bytes_in(const struct session *session)
{
	return session->client != NULL ? weir_socket_bytes_read(session->client)
				       : session->bytes_in;
}

uint64_t
session_bytes_out(const struct session *session)
{
	return session->client != NULL
		   ? weir_socket_bytes_delivered(session->client)
		   : session->bytes_out;
}

size_t
session_buffered(const struct session *session)
{
	size_t n = 0;

	if (session->client != NULL)
		n += weir_socket_buffered(session->client) +
		     weir_socket_held(session->client);
	if (session->server != NULL)
		n += weir_socket_buffered(session->server) +
		     weir_socket_held(session->server);
	return n;
}

uint64_t
session_idle_ms(const struct session *session)
{
	const struct session *peer = session_peer(session);
	uint64_t ms = UINT64_MAX, other;

	if (session->client != NULL)
		ms = weir_socket_idle_ms(session->client);
	if (session->server != NULL) {
		other = weir_socket_idle_ms(session->server);
		ms = other < ms ? other : ms;
	}
	/* Of a pair the bytes that one reads are written to the other. */
	if (peer != NULL && peer->client != NULL) {
		other = weir_socket_idle_ms(peer->client);
		ms = other < ms ? other : ms;
	}
	return ms == UINT64_MAX ? 0 : ms;
}

void
session_client_address(const struct session *session, struct weir_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (session->front != NULL && session->front->source.length > 0)
		*ret = session->front->source;
	else if (session->client != NULL)
		(void)weir_socket_remote_address(session->client, ret);
}

void
session_local_address(const struct session *session, struct weir_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (session->front != NULL && session->front->destination.length > 0)
		*ret = session->front->destination;
	else if (session->client != NULL)
		(void)weir_socket_local_address(session->client, ret);
}

static bool
one_side_ended(const struct weir_socket *socket)
{
	return socket != NULL && (weir_socket_read_ended(socket) ||
				     weir_socket_write_ended(socket));
}

/* A file takes and does not give: only its client's sides count. */
static bool
half_closed(const struct session *session)
{
	return one_side_ended(session->client);
}

const char *
session_state_text(const struct session *session)
{
	if (session->ending)
		return "closing";
	if (session->waiting || upstream_waits(&session->use))
		return "waiting";
	if (session_is_before(session))
		return "handshake";
	if (session->connecting)
		return "connecting";
	return half_closed(session) ? "half-closed" : "open";
}

static const char *const end_text[] = {
    [END_NONE] = "-",
    [END_CLIENT] = "client",
    [END_UPSTREAM] = "upstream",
    [END_TIMEOUT] = "timeout",
    [END_CONNECT_TIMEOUT] = "connect_timeout",
    [END_CONNECT_FAILED] = "connect_failed",
    [END_NO_SERVER] = "no_server",
    [END_DENIED] = "denied",
    [END_LIMIT] = "limit",
    [END_TLS_FAILED] = "tls_failed",
    [END_PROXY_HEADER] = "proxy_header",
    [END_RESET] = "reset",
    [END_DRAIN] = "drain",
    [END_KILLED] = "killed",
};

const char *
session_end_text(enum session_end end)
{
	return end_text[end];
}

bool
session_is_end(unsigned end)
{
	return end < sizeof(end_text) / sizeof(end_text[0]);
}

/* ---- the end ---- */

/* Who sent the first FIN counts only as long as nothing worse happens. */
void
session_note_end(struct session *session, enum session_end end)
{
	if (session->end == END_NONE ||
	    ((session->end == END_CLIENT || session->end == END_UPSTREAM) &&
		end > END_UPSTREAM))
		session->end = end;
}

static void
stop_waiting(struct session *session)
{
	if (!session->waiting)
		return;
	TAILQ_REMOVE(&session->listener->waiting, session, extra->next_waiting);
	session->waiting = false;
}

void
session_leave_peer(struct session *session)
{
	struct session *peer = session_peer(session);

	stop_waiting(session);
	if (peer != NULL)
		session->extra->peer = peer->extra->peer = NULL;
}

void
session_finish_if_done(struct session *session)
{
	if (session->client == NULL && session->server == NULL)
		session_free_now(session);
}

struct session_extra *
session_extra(struct session *session)
{
	if (session->extra == NULL)
		session->extra = calloc(1, sizeof(*session->extra));
	return session->extra;
}

static void
free_extra(struct session_extra *x)
{
	if (x == NULL)
		return;
	log_file_unref(x->access_log);
	weir_timer_free(x->retry);
	free(x->client_text);
	free(x->server_text);
	free(x->tried);
	free(x->tls_server);
	free(x);
}

void
session_drop(struct session *session)
{
	session_free_front(session);
	config_unref(session->config->owner);
	free_extra(session->extra);
	free(session);
}

void
session_forget_ref(struct session *session)
{
	struct session_extra *x = session->extra;

	if (x == NULL || x->frozen_ref == NULL)
		return;
	*x->frozen_ref = NULL;
	x->frozen_ref = NULL;
}

void
session_forget(struct session *session)
{
	struct listener *listener = session->listener;

	session_forget_ref(session);
	weir_socket_free(session->client);
	weir_socket_free(session->server);
	session->client = session->server = NULL;
	session_leave_peer(session);
	if (session_child(session) != NULL)
		child_release(session_child(session));
	deadline_clear(&listener->proxy->deadlines, session);
	upstream_end(&session->use);
	if (session->has_source)
		room_give_source(listener, &session->extra->source);
	if (session->has_room)
		listener_session_left(listener, session);
	session_drop(session);
}

void
session_free_now(struct session *session)
{
	if (session->client != NULL) {
		session->bytes_in = weir_socket_bytes_read(session->client);
		session->bytes_out =
		    weir_socket_bytes_delivered(session->client);
	}
	session_log(session);
	listener_session_ended(session->listener, session);
	session_forget(session);
}

void
session_destroy(struct session *session, enum session_end end)
{
	session_note_end(session, end);
	session->ending = true;
	session_stop_front(session);
	stop_waiting(session);
	upstream_leave(&session->use);
	deadline_clear(deadlines_of(session), session);
	if (session->extra != NULL)
		weir_timer_stop(session->extra->retry);
	weir_socket_destroy(session->client, 0);
	if (session->server == NULL)
		return;
	if (weir_socket_dormant(session->server)) {
		/* Never opened, or between two attempts: no close comes. */
		weir_socket_free(session->server);
		session->server = NULL;
	} else {
		weir_socket_destroy(session->server, 0);
	}
}

/* The other side of a socket of the session, or of its peer's. */
static struct weir_socket *
other_side(const struct session *session, const struct weir_socket *socket)
{
	if (socket == session->server)
		return session->client;
	if (session_peer(session) != NULL)
		return session_peer(session)->client;
	return session->server;
}

/* What one side's end means for the other: a reset is passed on as one. */
void
session_end_other(struct session *session, struct weir_socket *other, int err)
{
	struct session *peer = session_peer(session);

	if (other == NULL)
		return;
	if (peer != NULL && other == peer->client) {
		if (err == 0 && !session->ending) {
			/* Its own FIN is under way, or has been; unless an end
			 * is to end both. */
			if (!session->config->allow_half_open)
				weir_socket_destroy_soon(other);
			return;
		}
		session_note_end(peer, session->end);
	}
	if (err != 0)
		weir_socket_reset_and_destroy(other);
	else
		weir_socket_destroy(other, 0);
}

/* ---- the clock ---- */

/* What is left of a limit; 0 is no limit. */
static uint64_t
rest_of(uint64_t limit, uint64_t passed)
{
	if (limit == 0)
		return UINT64_MAX;
	return passed < limit ? limit - passed : 0;
}

uint64_t
session_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds until the session's time is up; UINT64_MAX: never. */
uint64_t
session_time_left(const struct session *session)
{
	const struct config_listener *config = session->config;
	uint64_t now, idle, left;

	if (config->timeout_ms == 0 && config->lifetime_ms == 0 &&
	    session->half_closed_ms == 0)
		return UINT64_MAX;
	now = weir_loop_now_ms(session_loop(session));
	idle = session_idle_ms(session);
	left = session_earlier(rest_of(config->timeout_ms, idle),
	    rest_of(config->lifetime_ms, now - session->started_ms));
	if (session->half_closed_ms == 0)
		return left;
	/* However long it was idle before, the end starts this clock. */
	idle = session_earlier(idle, now - session->half_closed_ms);
	if (session->lingering)
		left = session_earlier(left, rest_of(LINGER_MS, idle));
	return session_earlier(
	    left, rest_of(config->half_close_timeout_ms, idle));
}

void
session_on_deadline(struct session *session)
{
	if (session_time_left(session) > 0)
		session_update_timer(session);
	else if (session->client != NULL)
		session_destroy(
		    session, session->lingering ? END_UPSTREAM : END_TIMEOUT);
}

/* One side has ended for the first time. */
static bool
is_half_closed_now(struct session *session)
{
	if (session->half_closed_ms != 0 || !half_closed(session))
		return false;
	session->half_closed_ms = weir_loop_now_ms(session_loop(session));
	return true;
}

/* Bytes only put off the end, and a deadline that comes too early looks again:
 * one that is set is moved only where the time may have become shorter. */
void
session_update_timer(struct session *session)
{
	bool shorter = is_half_closed_now(session) || session->lingering;
	uint64_t left;

	if (!shorter && !session->ending && session->deadline != 0)
		return;
	left = session->ending ? UINT64_MAX : session_time_left(session);
	if (left == UINT64_MAX) {
		deadline_clear(deadlines_of(session), session);
		return;
	}
	if (deadline_set(deadlines_of(session), session, left) != 0) {
		log_error("no memory for a timer, closing the connection",
		    LOG_T("listener", session->config->name),
		    LOG_N("id", session->id));
		session_destroy(session, END_CONNECT_FAILED);
	}
}

/* ---- sockets ---- */

int
session_join(struct session *session, struct weir_socket *from,
    struct weir_socket *to, uint64_t rate)
{
	const struct config_listener *config = session->config;
	const struct weir_pipe_options options = {
	    .buffer = config->buffer,
	    .rate = rate,
	    .no_splice = !config->splice,
	};
	int err = weir_socket_pipe(from, to, &options);

	/* One that has ended in the meantime has nothing left to pass on. */
	if (err == WEIR_E_SOCKET_CLOSED)
		err = 0;
	if (err != 0) {
		log_error("cannot join the two sides",
		    LOG_T("listener", config->name), LOG_N("id", session->id),
		    LOG_T("error", weir_error_text(err)));
		session_destroy(session, END_CONNECT_FAILED);
	}
	return err;
}

static void
on_client_end(struct weir_socket *socket, void *user)
{
	struct session *session = user, *peer = session_peer(session);
	const struct config_listener *config = session->config;

	session_note_end(session, END_CLIENT);
	/* Nothing comes back from a file: the client is done. */
	if (config->mode == CONFIG_PIPE &&
	    config->target != CONFIG_TARGET_PEER &&
	    config->target != CONFIG_TARGET_EXEC)
		(void)weir_socket_end(socket);
	session_update_timer(session);
	if (peer != NULL) {
		session_note_end(peer, END_UPSTREAM);
		session_update_timer(peer);
	}
}

static void
on_broken(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	(void)err;
	session_update_timer(session);
}

static void
on_client_error(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	(void)err;
	session_note_end(session, END_RESET);
}

static void
on_client_close(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	session->bytes_in = weir_socket_bytes_read(socket);
	session->bytes_out = weir_socket_bytes_delivered(socket);
	session_end_other(session, other_side(session, socket), err);
	session->client = NULL;
	weir_socket_free(socket);
	if (session->server != NULL && weir_socket_dormant(session->server)) {
		weir_socket_free(session->server);
		session->server = NULL;
	}
	session_finish_if_done(session);
}

const struct weir_socket_handlers session_client_handlers = {
    .on_end = on_client_end,
    .on_broken = on_broken,
    .on_error = on_client_error,
    .on_close = on_client_close,
};
