/*
 * Sessions that are piped: to a program, a file, a FIFO, nowhere, or to another
 * client.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_log.h"
#include "proxy/session_priv.h"
#include "proxy/target.h"

#define FIFO_RETRY_MS 200 /* until somebody reads it */

/* ---- pipe ---- */

static void
connected(struct session *session)
{
	session->connecting = false;
	session_note_connected(session);
}

static void start_target(struct session *session);

static void
on_fifo_timer(struct weir_timer *timer, void *user)
{
	struct session *session = user;

	(void)timer;
	if (session_time_left(session) == 0)
		session_destroy(session, END_TIMEOUT);
	else
		start_target(session);
}

/* A FIFO that nobody reads yet is an upstream that is not up yet. Returns 0,
 * or why it is not waited for (any longer). */
static int
wait_for_reader(struct session *session)
{
	const struct config_listener *config = session->config;
	uint64_t age =
	    weir_loop_now_ms(session_loop(session)) - session->started_ms;
	struct session_extra *x = session_extra(session);
	int err = 0;

	if (x == NULL)
		return -ENOMEM;
	if (config->connect_timeout_ms > 0 && age >= config->connect_timeout_ms)
		return WEIR_E_CONNECT_TIMEOUT;
	if (x->retry == NULL)
		err = weir_timer_new(
		    &x->retry, session_loop(session), on_fifo_timer, session);
	if (err == 0)
		err = weir_timer_start(x->retry,
		    session_earlier(FIFO_RETRY_MS, session_time_left(session)));
	return err;
}

static void
start_target(struct session *session)
{
	const struct config_listener *config = session->config;
	int err = target_open(config, session->server);

	if (err == -ENXIO && config->target == CONFIG_TARGET_FIFO) {
		err = wait_for_reader(session);
		if (err == 0)
			return;
	}
	if (err != 0) {
		session->connect_error = err;
		session_note_failed(session, NULL, err);
		session_give_up(session);
		return;
	}
	connected(session);
	if (session_join(session, session->client, session->server,
		config->rate_in) == 0)
		session_update_timer(session);
}

static void
start_exec(struct session *session)
{
	struct listener *listener = session->listener;
	const struct config_listener *config = session->config;
	int err = target_exec(
	    &session->extra->child, listener->proxy, config, session->server);

	if (err != 0) {
		session->connect_error = err;
		session_note_failed(session, NULL, err);
		session_give_up(session);
		return;
	}
	connected(session);
	if (session_join(session, session->client, session->server,
		config->rate_in) == 0 &&
	    session_join(session, session->server, session->client,
		config->rate_out) == 0)
		session_update_timer(session);
}

static struct listener *
partner_listener(const struct session *session)
{
	const struct config_listener *config = session->config;
	struct proxy *proxy = session->listener->proxy;
	long index;

	if (config->target_text == NULL)
		return session->listener;
	index = proxy_find_listener(proxy, config->target_text);
	return index < 0 ? NULL : proxy->listeners[index];
}

/* The first that waits there, and whose client has not left in this turn. */
static struct session *
first_waiting(const struct listener *where)
{
	struct session *session;

	if (where == NULL)
		return NULL;
	TAILQ_FOREACH (session, &where->waiting, extra->next_waiting)
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
		    &session->listener->waiting, session, extra->next_waiting);
		session_update_timer(session);
		return;
	}
	session_leave_peer(first);
	first->extra->peer = session;
	session->extra->peer = first;
	session_note_peers(first, session);
	a = first->config;
	b = session->config;
	if (session_join(first, first->client, session->client,
		session_lower_rate(a->rate_in, b->rate_out)) != 0 ||
	    session_join(session, session->client, first->client,
		session_lower_rate(b->rate_in, a->rate_out)) != 0) {
		session_destroy(first, END_CONNECT_FAILED);
		return;
	}
	session_update_timer(first);
	session_update_timer(session);
}

static bool
needs_extra(const struct session *session)
{
	return session->config->target == CONFIG_TARGET_PEER ||
	       session->config->target == CONFIG_TARGET_EXEC;
}

void
session_start_pipe(struct session *session)
{
	if (needs_extra(session) && session_extra(session) == NULL) {
		log_error("no memory, closing the connection",
		    LOG_T("listener", session->config->name),
		    LOG_N("id", session->id));
		session_destroy(session, END_CONNECT_FAILED);
		return;
	}
	switch (session->config->target) {
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
			session_update_timer(session);
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
