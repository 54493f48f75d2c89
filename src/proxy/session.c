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
#include "proxy/acl.h"
#include "proxy/proxy_priv.h"
#include "proxy/session_log.h"
#include "proxy/target.h"

#define LINGER_MS     2000 /* for a client whose program has ended */
#define FIFO_RETRY_MS 200  /* until somebody reads it */

static void connect_next(struct session *session);
static void update_timer(struct session *session);

/* ---- questions ---- */

static struct weir_loop *
loop_of(const struct session *session)
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
	uint64_t ms = UINT64_MAX, other;

	if (session->client != NULL)
		ms = weir_socket_idle_ms(session->client);
	if (session->server != NULL) {
		other = weir_socket_idle_ms(session->server);
		ms = other < ms ? other : ms;
	}
	/* Of a pair the bytes that one reads are written to the other. */
	if (session->peer != NULL && session->peer->client != NULL) {
		other = weir_socket_idle_ms(session->peer->client);
		ms = other < ms ? other : ms;
	}
	return ms == UINT64_MAX ? 0 : ms;
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
	if (session->waiting)
		return "waiting";
	if (session->connecting)
		return "connecting";
	return half_closed(session) ? "half-closed" : "open";
}

const char *
session_end_text(enum session_end end)
{
	static const char *const text[] = {
	    [END_NONE] = "-",
	    [END_CLIENT] = "client",
	    [END_UPSTREAM] = "upstream",
	    [END_TIMEOUT] = "timeout",
	    [END_CONNECT_TIMEOUT] = "connect_timeout",
	    [END_CONNECT_FAILED] = "connect_failed",
	    [END_DENIED] = "denied",
	    [END_LIMIT] = "limit",
	    [END_RESET] = "reset",
	    [END_DRAIN] = "drain",
	    [END_KILLED] = "killed",
	};

	return text[end];
}

/* ---- the end ---- */

/* Who sent the first FIN counts only as long as nothing worse happens. */
static void
note_end(struct session *session, enum session_end end)
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
	TAILQ_REMOVE(&session->listener->waiting, session, next_waiting);
	session->waiting = false;
}

static void
leave_peer(struct session *session)
{
	stop_waiting(session);
	if (session->peer != NULL) {
		session->peer->peer = NULL;
		session->peer = NULL;
	}
}

static void
finish_if_done(struct session *session)
{
	if (session->client == NULL && session->server == NULL)
		session_free_now(session);
}

void
session_free_now(struct session *session)
{
	struct listener *listener = session->listener;

	if (session->client != NULL) {
		session->bytes_in = weir_socket_bytes_read(session->client);
		session->bytes_out =
		    weir_socket_bytes_delivered(session->client);
	}
	weir_socket_free(session->client);
	weir_socket_free(session->server);
	session->client = session->server = NULL;
	leave_peer(session);
	if (session->child != NULL)
		child_release(session->child);
	weir_timer_free(session->timer);
	session_log(session);
	if (session->has_source)
		sources_remove(&listener->sources, &session->source);
	listener_session_ended(listener, session);
	free(session->client_text);
	free(session->server_text);
	free(session->tried);
	free(session);
}

void
session_destroy(struct session *session, enum session_end end)
{
	note_end(session, end);
	session->ending = true;
	stop_waiting(session);
	if (session->timer != NULL)
		weir_timer_stop(session->timer);
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
	if (session->peer != NULL)
		return session->peer->client;
	return session->server;
}

/* What one side's end means for the other: a reset is passed on as one. */
static void
end_other(struct session *session, struct weir_socket *other, int err)
{
	if (other == NULL)
		return;
	if (session->peer != NULL && other == session->peer->client) {
		if (err == 0 && !session->ending) {
			/* Its own FIN is under way, or has been; unless an end
			 * is to end both. */
			if (!session->listener->config->allow_half_open)
				weir_socket_destroy_soon(other);
			return;
		}
		note_end(session->peer, session->end);
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

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Milliseconds until the session's time is up; UINT64_MAX: never. */
static uint64_t
time_left(const struct session *session)
{
	const struct config_listener *config = session->listener->config;
	uint64_t now = weir_loop_now_ms(loop_of(session));
	uint64_t idle = session_idle_ms(session);
	uint64_t left = earlier(rest_of(config->timeout_ms, idle),
	    rest_of(config->lifetime_ms, now - session->started_ms));

	if (session->half_closed_ms == 0)
		return left;
	/* However long it was idle before, the end starts this clock. */
	idle = earlier(idle, now - session->half_closed_ms);
	if (session->lingering)
		left = earlier(left, rest_of(LINGER_MS, idle));
	return earlier(left, rest_of(config->half_close_timeout_ms, idle));
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct session *session = user;

	(void)timer;
	if (time_left(session) > 0)
		update_timer(session);
	else if (session->client != NULL)
		session_destroy(
		    session, session->lingering ? END_UPSTREAM : END_TIMEOUT);
}

static void
update_timer(struct session *session)
{
	uint64_t left;

	if (session->half_closed_ms == 0 && half_closed(session))
		session->half_closed_ms = weir_loop_now_ms(loop_of(session));
	left = session->ending ? UINT64_MAX : time_left(session);
	if (left == UINT64_MAX) {
		if (session->timer != NULL)
			weir_timer_stop(session->timer);
		return;
	}
	if ((session->timer == NULL &&
		weir_timer_new(&session->timer, loop_of(session), on_timer,
		    session) != 0) ||
	    weir_timer_start(session->timer, left > 0 ? left : 1) != 0) {
		log_error("no memory for a timer, closing the connection",
		    LOG_T("listener", session->listener->config->name),
		    LOG_N("id", session->id));
		session_destroy(session, END_CONNECT_FAILED);
	}
}

/* ---- sockets ---- */

static int
join(struct session *session, struct weir_socket *from, struct weir_socket *to,
    uint64_t rate)
{
	const struct config_listener *config = session->listener->config;
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
	struct session *session = user;
	const struct config_listener *config = session->listener->config;

	note_end(session, END_CLIENT);
	/* Nothing comes back from a file: the client is done. */
	if (config->mode == CONFIG_PIPE &&
	    config->target != CONFIG_TARGET_PEER &&
	    config->target != CONFIG_TARGET_EXEC)
		(void)weir_socket_end(socket);
	update_timer(session);
	if (session->peer != NULL) {
		note_end(session->peer, END_UPSTREAM);
		update_timer(session->peer);
	}
}

static void
on_broken(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	(void)err;
	update_timer(session);
}

static void
on_client_error(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	(void)err;
	note_end(session, END_RESET);
}

static void
on_client_close(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	session->bytes_in = weir_socket_bytes_read(socket);
	session->bytes_out = weir_socket_bytes_delivered(socket);
	end_other(session, other_side(session, socket), err);
	session->client = NULL;
	weir_socket_free(socket);
	if (session->server != NULL && weir_socket_dormant(session->server)) {
		weir_socket_free(session->server);
		session->server = NULL;
	}
	finish_if_done(session);
}

static const struct weir_socket_handlers client_handlers = {
    .on_end = on_client_end,
    .on_broken = on_broken,
    .on_error = on_client_error,
    .on_close = on_client_close,
};

/*
 * A program has ended: what it said must reach the client, who may still be
 * sending. A close with bytes unread would be a reset, which overtakes them;
 * so they are thrown away until the client has ended too, or is silent.
 */
static void
program_ended(struct session *session)
{
	if (session->client == NULL)
		return;
	if (!session->listener->config->allow_half_open) {
		weir_socket_destroy_soon(session->client);
		return;
	}
	session->lingering = true;
	(void)weir_socket_end(session->client);
	weir_socket_resume(session->client);
	update_timer(session);
}

static void
on_server_end(struct weir_socket *socket, void *user)
{
	struct session *session = user;

	note_end(session, END_UPSTREAM);
	/* Its output may be closed while it still reads; or it is gone. */
	if (session->child != NULL && weir_socket_peer_closed(socket))
		weir_socket_destroy(socket, -EPIPE);
	else
		update_timer(session);
}

static void
on_full(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	log_warn("no room, the client waits",
	    LOG_T("listener", session->listener->config->name),
	    LOG_N("id", session->id),
	    LOG_T("file", session->listener->config->target_text),
	    LOG_T("error", weir_error_text(err)));
}

static void
on_server_error(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	session->connect_error = err;
	if (!session->connecting)
		note_end(
		    session, session->child != NULL ? END_UPSTREAM : END_RESET);
}

static void
on_server_close(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;
	const struct config_listener *config = session->listener->config;

	if (session->connecting && !session->ending &&
	    session->client != NULL) {
		connect_next(session);
		return;
	}
	session->server = NULL;
	weir_socket_free(socket);
	if (err != 0 && session->child != NULL)
		program_ended(session);
	else if (err != 0)
		end_other(session, session->client, err);
	else if (!config->allow_half_open)
		weir_socket_destroy_soon(session->client);
	finish_if_done(session);
}

/* ---- forward ---- */

static void
on_lookup(struct weir_socket *socket, int err,
    const struct weir_address *address, const char *host, void *user)
{
	(void)socket;
	(void)address;
	(void)host;
	if (err != 0)
		session_note_failed(user, NULL, err);
}

static void
on_attempt(
    struct weir_socket *socket, const struct weir_address *address, void *user)
{
	(void)socket;
	session_note_tried(user, address);
}

static void
on_attempt_failed(struct weir_socket *socket,
    const struct weir_address *address, int err, void *user)
{
	(void)socket;
	session_note_failed(user, address, err);
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	struct session *session = user;
	const struct config_listener *config = session->listener->config;

	session->connecting = false;
	session->connected_ms = weir_loop_now_ms(loop_of(session));
	session_note_connected(session);
	if (session->client == NULL ||
	    join(session, socket, session->client, config->rate_out) != 0)
		return;
	if (config->pause_on_connect &&
	    join(session, session->client, socket, config->rate_in) != 0)
		return;
	update_timer(session);
}

static const struct weir_socket_handlers server_handlers = {
    .on_lookup = on_lookup,
    .on_attempt = on_attempt,
    .on_attempt_failed = on_attempt_failed,
    .on_connect = on_connect,
    .on_end = on_server_end,
    .on_full = on_full,
    .on_broken = on_broken,
    .on_error = on_server_error,
    .on_close = on_server_close,
};

static void
give_up(struct session *session)
{
	session->listener->errors++;
	session_destroy(
	    session, session->connect_error == WEIR_E_CONNECT_TIMEOUT ||
			     session->connect_error == -ETIMEDOUT
			 ? END_CONNECT_TIMEOUT
			 : END_CONNECT_FAILED);
}

static int
connect_one(struct session *session, const struct weir_endpoint *to)
{
	const struct config_listener *config = session->listener->config;
	const struct weir_connect_options options = {
	    .local = config->local_address.length > 0 ? &config->local_address
						      : NULL,
	    .local_port = config->local_port,
	    .family = config->family,
	    .attempt_timeout_ms = config->connect_timeout_ms,
	    .no_delay = config->no_delay,
	    .keep_alive = config->keep_alive_ms > 0,
	    .keep_alive_initial_delay_ms = config->keep_alive_ms,
	    .keep_alive_interval_ms = config->keep_alive_interval_ms,
	    .keep_alive_count = config->keep_alive_count,
	    .user_timeout_ms = config->user_timeout_ms,
	};
	struct weir_address address;

	if (weir_endpoint_address(to, &address) == 0)
		return weir_socket_connect(session->server, &address, &options);
	return weir_socket_connect_host(
	    session->server, to->name, to->port_first, &options);
}

/* The next of the listener's upstreams, in their order. */
static void
connect_next(struct session *session)
{
	const struct config_listener *config = session->listener->config;
	const struct config_address *to;
	int err;

	while (session->next_upstream < config->upstream_count) {
		to = &config->upstream[session->next_upstream++];
		session_note_server(session, to->text);
		err = connect_one(session, &to->endpoint);
		if (err == 0) {
			/* The pipe of the attempt before went with it. */
			if (!config->pause_on_connect)
				(void)join(session, session->client,
				    session->server, config->rate_in);
			return;
		}
		session->connect_error = err;
		session_note_failed(session, NULL, err);
	}
	give_up(session);
}

static void
start_forward(struct session *session)
{
	session->connecting = true;
	connect_next(session);
}

/* ---- pipe ---- */

static void
connected(struct session *session)
{
	session->connecting = false;
	session->connected_ms = weir_loop_now_ms(loop_of(session));
	session_note_connected(session);
}

static void start_target(struct session *session);

static void
on_fifo_timer(struct weir_timer *timer, void *user)
{
	struct session *session = user;

	weir_timer_free(timer);
	session->timer = NULL;
	if (time_left(session) == 0)
		session_destroy(session, END_TIMEOUT);
	else
		start_target(session);
}

/* A FIFO that nobody reads yet is an upstream that is not up yet. Returns 0,
 * or why it is not waited for (any longer). */
static int
wait_for_reader(struct session *session)
{
	const struct config_listener *config = session->listener->config;
	uint64_t age = weir_loop_now_ms(loop_of(session)) - session->started_ms;
	int err;

	if (config->connect_timeout_ms > 0 && age >= config->connect_timeout_ms)
		return WEIR_E_CONNECT_TIMEOUT;
	err = weir_timer_new(
	    &session->timer, loop_of(session), on_fifo_timer, session);
	if (err == 0)
		err = weir_timer_start(
		    session->timer, earlier(FIFO_RETRY_MS, time_left(session)));
	return err;
}

static void
start_target(struct session *session)
{
	const struct config_listener *config = session->listener->config;
	int err = target_open(config, session->server);

	if (err == -ENXIO && config->target == CONFIG_TARGET_FIFO) {
		err = wait_for_reader(session);
		if (err == 0)
			return;
	}
	if (err != 0) {
		session->connect_error = err;
		session_note_failed(session, NULL, err);
		give_up(session);
		return;
	}
	connected(session);
	if (join(session, session->client, session->server, config->rate_in) ==
	    0)
		update_timer(session);
}

static void
start_exec(struct session *session)
{
	struct listener *listener = session->listener;
	const struct config_listener *config = listener->config;
	int err = target_exec(
	    &session->child, listener->proxy, config, session->server);

	if (err != 0) {
		session->connect_error = err;
		session_note_failed(session, NULL, err);
		give_up(session);
		return;
	}
	connected(session);
	if (join(session, session->client, session->server, config->rate_in) ==
		0 &&
	    join(session, session->server, session->client, config->rate_out) ==
		0)
		update_timer(session);
}

static struct listener *
partner_listener(const struct session *session)
{
	const struct config_listener *config = session->listener->config;
	struct proxy *proxy = session->listener->proxy;
	long index;

	if (config->target_text == NULL)
		return session->listener;
	index = proxy_find_listener(proxy, config->target_text);
	return index < 0 ? NULL : proxy->listeners[index];
}

/* Of two limits, 0 being none. */
static uint64_t
lower_rate(uint64_t in, uint64_t out)
{
	if (in == 0 || out == 0)
		return in + out;
	return in < out ? in : out;
}

/* The first that waits there, and whose client has not left in this turn. */
static struct session *
first_waiting(const struct listener *where)
{
	struct session *session;

	if (where == NULL)
		return NULL;
	TAILQ_FOREACH (session, &where->waiting, next_waiting)
		if (weir_socket_ready_state(session->client) != WEIR_CLOSED)
			return session;
	return NULL;
}

static void
start_peer(struct session *session)
{
	struct session *first = first_waiting(partner_listener(session));
	const struct config_listener *a, *b;

	if (first == NULL) {
		session->waiting = true;
		TAILQ_INSERT_TAIL(
		    &session->listener->waiting, session, next_waiting);
		update_timer(session);
		return;
	}
	leave_peer(first);
	first->peer = session;
	session->peer = first;
	session_note_peers(first, session);
	a = first->listener->config;
	b = session->listener->config;
	if (join(first, first->client, session->client,
		lower_rate(a->rate_in, b->rate_out)) != 0 ||
	    join(session, session->client, first->client,
		lower_rate(b->rate_in, a->rate_out)) != 0) {
		session_destroy(first, END_CONNECT_FAILED);
		return;
	}
	first->connected_ms = session->connected_ms =
	    weir_loop_now_ms(loop_of(session));
	update_timer(first);
	update_timer(session);
}

static void
start_pipe(struct session *session)
{
	switch (session->listener->config->target) {
	case CONFIG_TARGET_PEER:
		start_peer(session);
		break;
	case CONFIG_TARGET_EXEC:
		session->connecting = true;
		start_exec(session);
		break;
	case CONFIG_TARGET_NULL:
		if (session->server == NULL) {
			weir_socket_resume(session->client);
			update_timer(session);
			break;
		}
		__attribute__((fallthrough));
	case CONFIG_TARGET_FILE:
	case CONFIG_TARGET_FIFO:
	case CONFIG_TARGET_STDOUT:
		session->connecting = true;
		start_target(session);
		break;
	}
}

/* ---- the beginning ---- */

/* Nothing but reading is needed; at a rate it is a pipe to /dev/null. */
static bool
is_thrown_away(const struct config_listener *config)
{
	return config->target == CONFIG_TARGET_NULL && config->rate_in == 0;
}

/* The other side's socket, for the modes that have one. */
static int
make_server(struct session *session)
{
	const struct config_listener *config = session->listener->config;
	const struct weir_socket_options options = {
	    .allow_half_open = config->allow_half_open,
	};

	if (config->mode == CONFIG_ECHO ||
	    (config->mode == CONFIG_PIPE &&
		(is_thrown_away(config) ||
		    config->target == CONFIG_TARGET_PEER)))
		return 0;
	return weir_socket_new(&session->server, loop_of(session), &options,
	    &server_handlers, session);
}

/* May it come in? END_NONE, or why not. */
static enum session_end
admit(struct session *session)
{
	struct listener *listener = session->listener;
	const struct config_listener *config = listener->config;
	const struct proxy *proxy = listener->proxy;
	struct weir_address address;
	struct acl_user user = {0};
	pid_t pid;

	if (config->acl_count > 0 || config->max_per_source > 0) {
		(void)weir_socket_remote_address(session->client, &address);
		user.known = address.u.sa.sa_family == AF_UNIX &&
			     weir_socket_peer_credentials(session->client, &pid,
				 &user.uid, &user.gid) == 0;
		if (!acl_allows(
			config->acl, config->acl_count, &address, &user))
			return END_DENIED;
	}
	if (config->max_connections > 0 &&
	    listener->connections >= config->max_connections)
		return END_LIMIT;
	if (proxy->max_connections > 0 &&
	    proxy->connections >= proxy->max_connections)
		return END_LIMIT;
	if (config->max_per_source > 0) {
		source_key_set(&session->source, &address, user.uid);
		if (sources_add(&listener->sources, &session->source,
			config->max_per_source) != 0)
			return END_LIMIT;
		session->has_source = true;
	}
	return END_NONE;
}

static void
turn_away(struct session *session, enum session_end end)
{
	struct listener *listener = session->listener;

	session->end = end;
	if (end == END_DENIED)
		listener->denied++;
	else
		listener->rejected++;
	session_log(session);
	weir_socket_free(session->client);
	free(session->client_text);
	free(session);
}

static int
greet(struct session *session)
{
	const struct config_listener *config = session->listener->config;
	int err;

	if (config->greeting == NULL)
		return 0;
	err = weir_socket_write(
	    session->client, config->greeting, config->greeting_length);
	if (err >= 0)
		return 0;
	log_error("cannot greet, closing the connection",
	    LOG_T("listener", config->name), LOG_N("id", session->id),
	    LOG_T("error", weir_error_text(err)));
	session_destroy(session, END_CONNECT_FAILED);
	return err;
}

static void
begin(struct session *session)
{
	struct listener *listener = session->listener;
	const struct config_listener *config = listener->config;

	TAILQ_INSERT_TAIL(&listener->sessions, session, next);
	listener->accepted++;
	listener->connections++;
	if (listener->connections > listener->connections_peak)
		listener->connections_peak = listener->connections;
	listener->proxy->connections++;
	proxy_changed(listener->proxy);
	if (session->ending || greet(session) != 0)
		return;
	switch (config->mode) {
	case CONFIG_ECHO:
		if (join(session, session->client, session->client,
			lower_rate(config->rate_in, config->rate_out)) == 0)
			update_timer(session);
		break;
	case CONFIG_FORWARD:
		start_forward(session);
		update_timer(session);
		break;
	case CONFIG_PIPE:
		start_pipe(session);
		break;
	}
}

void
session_start(struct listener *listener, struct weir_socket *client)
{
	struct session *session = calloc(1, sizeof(*session));
	enum session_end end;

	if (session == NULL) {
		listener->rejected++;
		weir_socket_free(client);
		return;
	}
	session->listener = listener;
	session->client = client;
	session->id = ++listener->proxy->next_id;
	session->started_ms = weir_loop_now_ms(listener->proxy->loop);
	weir_socket_set_handlers(client, &client_handlers, session);
	session_note_client(session);
	end = admit(session);
	if (end == END_NONE && make_server(session) != 0) {
		if (session->has_source)
			sources_remove(&listener->sources, &session->source);
		end = END_LIMIT;
	}
	if (end != END_NONE)
		turn_away(session, end);
	else
		begin(session);
}
