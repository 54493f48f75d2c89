/*
 * The other side of a session: the socket to the server, from connecting to
 * its end. Servers that its upstream gives are tried until one can be reached;
 * what came from the client meanwhile waits in the pipe and goes to whoever it
 * is, so that nothing is lost.
 */
#include "config.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/balance.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"

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
	if (!session->config->allow_half_open) {
		weir_socket_destroy_soon(session->client);
		return;
	}
	session->lingering = true;
	(void)weir_socket_end(session->client);
	weir_socket_resume(session->client);
	session_update_timer(session);
}

static void
on_server_end(struct weir_socket *socket, void *user)
{
	struct session *session = user;

	session_note_end(session, END_UPSTREAM);
	/* Its output may be closed while it still reads; or it is gone. */
	if (session_child(session) != NULL && weir_socket_peer_closed(socket))
		weir_socket_destroy(socket, -EPIPE);
	else
		session_update_timer(session);
}

static void
on_broken(struct weir_socket *socket, int err, void *user)
{
	(void)socket;
	(void)err;
	session_update_timer(user);
}

static void
on_full(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	log_warn("no room, the client waits",
	    LOG_T("listener", session->config->name), LOG_N("id", session->id),
	    LOG_T("file", session->config->target_text),
	    LOG_T("error", weir_error_text(err)));
}

static void
on_server_error(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;

	(void)socket;
	session->connect_error = err;
	if (session->connecting && session->securing)
		session_note_failed(session, NULL, err);
	if (!session->connecting)
		session_note_end(session,
		    session_child(session) != NULL ? END_UPSTREAM : END_RESET);
}

static void
on_server_close(struct weir_socket *socket, int err, void *user)
{
	struct session *session = user;
	const struct config_listener *config = session->config;

	session->piped = false; /* it went with the destination */
	if (session->connecting && !session->ending &&
	    session->client != NULL) {
		upstream_failed(&session->use, session->connect_error);
		session_connect_next(session);
		return;
	}
	session->server = NULL;
	weir_socket_free(socket);
	if (err != 0 && session_child(session) != NULL)
		program_ended(session);
	else if (err != 0)
		session_end_other(session, session->client, err);
	else if (!config->allow_half_open)
		weir_socket_destroy_soon(session->client);
	session_finish_if_done(session);
}

/* ---- forward ---- */

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
connected(struct session *session, struct weir_socket *socket)
{
	const struct config_listener *config = session->config;

	session->connecting = session->securing = false;
	upstream_connected(&session->use);
	session_note_connected(session);
	if (session->client == NULL ||
	    session_join(session, socket, session->client, config->rate_out) !=
		0)
		return;
	if (config->pause_on_connect && session_join(session, session->client,
					    socket, config->rate_in) != 0)
		return;
	session_update_timer(session);
}

static void
on_connect(struct weir_socket *socket, void *user)
{
	if (!session_is_securing(user))
		connected(user, socket);
}

static void
on_secure(struct weir_socket *socket, void *user)
{
	connected(user, socket);
}

static void
on_session(struct weir_socket *socket, void *user)
{
	(void)socket;
	session_keep_tls(user);
}

const struct weir_socket_handlers session_server_handlers = {
    .on_attempt = on_attempt,
    .on_attempt_failed = on_attempt_failed,
    .on_connect = on_connect,
    .on_secure = on_secure,
    .on_session = on_session,
    .on_end = on_server_end,
    .on_full = on_full,
    .on_broken = on_broken,
    .on_error = on_server_error,
    .on_close = on_server_close,
};

/* There was no server to try. Of a listener's own ADDRESSes that is as if they
 * could not be reached. */
static enum session_end
why_none(const struct session *session)
{
	bool unanswered;

	if (session->pool->implicit &&
	    upstream_is_empty(&session->use, &unanswered))
		return unanswered ? END_CONNECT_TIMEOUT : END_CONNECT_FAILED;
	return END_NO_SERVER;
}

static enum session_end
why_given_up(const struct session *session)
{
	if (session->securing)
		return END_TLS_FAILED;
	if (session->use.upstream != NULL && !upstream_tried(&session->use))
		return why_none(session);
	return session->connect_error == WEIR_E_CONNECT_TIMEOUT ||
		       session->connect_error == -ETIMEDOUT
		   ? END_CONNECT_TIMEOUT
		   : END_CONNECT_FAILED;
}

void
session_give_up(struct session *session)
{
	enum session_end end = why_given_up(session);

	board_add(&session->listener->slot->errors, 1);
	if (session->use.upstream != NULL && !upstream_tried(&session->use))
		session_note_no_server(session);
	if (session->config->mode == CONFIG_FORWARD &&
	    session->config->when_down == CONFIG_DOWN_RESET &&
	    session->client != NULL)
		weir_socket_reset_and_destroy(session->client);
	session_destroy(session, end);
}

static int
connect_to(struct session *session, const struct weir_address *address)
{
	const struct config_listener *config = session->config;
	const struct weir_connect_options options = {
	    .local = config->local_address.length > 0 ? &config->local_address
						      : NULL,
	    .local_port = config->local_port,
	    .attempt_timeout_ms = config->connect_timeout_ms,
	    .no_delay = config->no_delay,
	    .keep_alive = config->keep_alive_ms > 0,
	    .keep_alive_initial_delay_ms = config->keep_alive_ms,
	    .keep_alive_interval_ms = config->keep_alive_interval_ms,
	    .keep_alive_count = config->keep_alive_count,
	    .user_timeout_ms = config->user_timeout_ms,
	};

	weir_socket_set_totals(session->server, upstream_totals(&session->use));
	return weir_socket_connect(session->server, address, &options);
}

/*
 * Whose certificate it has to be. Of a service it is the domain that offers it:
 * which hosts do so is known from name servers alone, and whoever can forge
 * their answer could name a host of his own (RFC 9525, 6.1).
 */
static const char *
name_of(const struct weir_endpoint *endpoint)
{
	const char *name = endpoint->name;

	if (endpoint->kind == WEIR_ENDPOINT_TCP)
		return name;
	if (endpoint->kind != WEIR_ENDPOINT_SRV)
		return NULL;
	while (*name == '_' && strchr(name, '.') != NULL)
		name = strchr(name, '.') + 1;
	return name;
}

/* TLS and a PROXY header, for the server that is being connected to. */
static void
secure(struct session *session, const struct weir_address *address)
{
	const struct config_server *to = session->chosen;
	char text[WEIR_ADDRESS_TEXT], key[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT];
	const char *host = to != NULL ? name_of(&to->endpoint) : NULL;
	int err;

	key[0] = '\0';
	/* What one address of a name says is nothing to the others. */
	if (session->config->upstream_tls.on)
		(void)snprintf(key, sizeof(key), "%s %s",
		    host != NULL ? host : "",
		    weir_address_text(address, text, sizeof(text)));
	err = session_secure_server(session, key, host);
	if (err != 0)
		weir_socket_destroy(session->server, err);
}

/*
 * What comes from the client waits in the pipe, whoever the server will be. It
 * is laid anew for each, as what is said to a server first goes before it.
 */
static void
lay_pipe(struct session *session)
{
	const struct config_listener *config = session->config;

	if (session->piped)
		(void)weir_socket_unpipe(session->client);
	session->piped = !config->pause_on_connect &&
			 session_join(session, session->client, session->server,
			     config->rate_in) == 0;
}

/* The next server that the upstream gives, until one is being connected to. */
void
session_connect_next(struct session *session)
{
	struct weir_address address;
	int err;

	for (;;) {
		switch (upstream_pick(&session->use, &address)) {
		case UPSTREAM_SERVER:
			break;
		case UPSTREAM_WAIT:
			if (!session->piped)
				lay_pipe(session);
			return;
		case UPSTREAM_NONE:
			session_give_up(session);
			return;
		}
		session_note_chosen(session);
		err = connect_to(session, &address);
		if (err == 0) {
			secure(session, &address);
			lay_pipe(session);
			return;
		}
		session->connect_error = err;
		session_note_failed(session, &address, err);
		upstream_failed(&session->use, err);
	}
}

void
session_start_forward(struct session *session)
{
	const struct config_listener *config = session->config;
	struct upstream_wish wish = {
	    .family = config->family,
	    .answer_wait_ms = config->connect_timeout_ms,
	};
	int err = -ENOENT;

	session->connecting = true;
	if (session->pool != NULL) {
		if (session->pool->balance == CONFIG_SOURCE)
			wish.client = session_balance_key(session);
		err = upstream_begin(&session->use,
		    session->listener->proxy->upstreams, session->pool, &wish);
	}
	if (err != 0) {
		session->connect_error = err;
		session_note_failed(session, NULL, err);
		session_give_up(session);
		return;
	}
	session_connect_next(session);
}

void
session_count_server(struct session *session)
{
	struct weir_address address;

	if (session->pool == NULL || session->server == NULL ||
	    weir_socket_remote_address(session->server, &address) != 0 ||
	    upstream_adopt(&session->use, session->listener->proxy->upstreams,
		session->pool, &address) != 0)
		return;
	weir_socket_set_totals(session->server, upstream_totals(&session->use));
	session_note_chosen(session);
}

/* ---- what upstreams tell ---- */

static struct session *
session_of(const struct upstream_use *use)
{
	return (
	    struct session *)((uintptr_t)use - offsetof(struct session, use));
}

/*
 * A client that has sent its FIN and nothing before it has nothing to ask: it
 * is taken for gone. One that has asked something may well wait for the answer.
 */
static bool
session_has_left(const struct upstream_use *use)
{
	const struct session *session = session_of(use);

	return session->client == NULL ||
	       (weir_socket_end_seen(session->client) &&
		   (!session->config->allow_half_open ||
		       weir_socket_bytes_read(session->client) == 0));
}

static void
on_turn(struct upstream_use *use)
{
	struct session *session = session_of(use);

	if (session->ending)
		return;
	if (session_has_left(use))
		session_destroy(session, END_CLIENT);
	else
		session_connect_next(session);
}

static void
on_down(const struct server *server, void *user)
{
	struct proxy *proxy = user;
	struct session *session;

	TAILQ_FOREACH (session, &proxy->sessions, next_of_all)
		if (session->use.server == server && !session->connecting &&
		    !session->ending)
			session_destroy(session, END_UPSTREAM);
}

const struct upstream_handlers session_upstream_handlers = {
    .on_turn = on_turn,
    .has_left = session_has_left,
    .on_down = on_down,
};
