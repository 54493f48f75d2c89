/*
 * A listener: what it is made of, when it accepts, and in what state it is.
 * Its configured addresses are listener_address.c's, their sockets
 * listener_socket.c's.
 */
#include "config.h"

#include "proxy/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/move.h>
#include <weir/resolve.h>
#include <weir/server.h>

#include "log/log.h"
#include "proxy/listener_priv.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"

/* ---- accepting or not ---- */

bool
listener_any_resting(const struct listener *listener)
{
	const struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->resting)
		return true;
	return false;
}

/* A worker's state is told by the master. */
void
listener_publish(struct listener *listener)
{
	if (listener->paused & PAUSE_MASTER)
		return;
	atomic_store(&listener->slot->waiting,
	    (listener->paused & (PAUSE_LIMIT | PAUSE_RATE)) != 0);
	atomic_store(&listener->slot->resting, listener_any_resting(listener));
}

static void
apply_pause(struct listener *listener)
{
	struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		if (listener->paused != 0)
			weir_server_pause(socket->server);
		else
			weir_server_resume(socket->server);
	}
}

void
listener_pause(struct listener *listener, unsigned why)
{
	unsigned was = listener->paused;

	listener->paused |= why;
	if (was == 0)
		apply_pause(listener);
	if (listener->paused != was)
		listener_publish(listener);
}

void
listener_unpause(struct listener *listener, unsigned why)
{
	unsigned was = listener->paused;

	listener->paused &= ~why;
	if (was != 0 && listener->paused == 0)
		apply_pause(listener);
	if (listener->paused != was)
		listener_publish(listener);
}

void
listener_shut(struct listener *listener, bool for_good)
{
	struct listener_socket *socket;

	listener->closed = true;
	listener->back = false;
	if (for_good)
		room_shut(listener);
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		if (socket->retry != NULL)
			weir_timer_stop(socket->retry);
		socket->opening = false;
		if (socket->fd != -1 && !for_good)
			continue;
		socket->resting = false;
		(void)weir_server_close(socket->server);
	}
	/* Those that are leaving close by themselves, once they have accepted
	 * who waited. */
	if (for_good)
		return;
	listener_pause(listener, PAUSE_CLOSED);
	listener_sockets_changed(listener);
}

void
listener_reopen(struct listener *listener)
{
	struct listener_socket *socket;

	listener->closed = false;
	listener_unpause(listener, PAUSE_CLOSED);
	listener_sockets_changed(
	    listener); /* inherited ones are there already */
	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->fd == -1 && !weir_server_listening(socket->server))
		listener_socket_reopen(socket);
}

static bool
any_open(const struct listener_sockets *sockets)
{
	const struct listener_socket *socket;

	STAILQ_FOREACH(socket, sockets, next)
	if (socket->server != NULL && weir_server_fd(socket->server) != -1)
		return true;
	return false;
}

void
listener_own_paths(struct listener *listener)
{
	struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->taken_up)
		(void)weir_server_own_path(socket->server);
}

void
listener_release(struct listener *listener)
{
	struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	(void)weir_server_release(socket->server);
}

bool
listener_open(const struct listener *listener)
{
	return any_open(&listener->sockets) || any_open(&listener->leaving);
}

bool
listener_idle(const struct listener *listener)
{
	const struct proxy *proxy = listener->proxy;

	/* A master shows those of its workers. */
	return TAILQ_EMPTY(&listener->sessions) &&
	       STAILQ_EMPTY(&listener->leaving) &&
	       (!proxy_is_master(proxy) ||
		   board_listener_connections(proxy->board, listener->row) ==
		       0);
}

void
listener_changed(struct listener *listener)
{
	struct weir_server_options options;
	struct listener_socket *socket;

	bind_server_options(&options, listener->config);
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		/* It has come from one that is not closed, or was opened while
		 * the reload was prepared. */
		if (listener->closed && socket->fd == -1)
			(void)weir_server_close(socket->server);
		else if (!listener->closed && listener_socket_is_shut(socket))
			listener_socket_reopen(socket);
		(void)weir_server_set_options(socket->server, &options);
		bind_apply(socket, listener->config);
	}
	room_changed(listener);
	apply_pause(listener);
}

enum listener_state
listener_get_state(const struct listener *listener)
{
	const struct listener_socket *socket;
	struct board_listener_sum sum;

	if (listener->starting > 0)
		return LISTENER_STARTING;
	if (listener->closed)
		return LISTENER_CLOSED;
	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (!weir_server_listening(socket->server))
		return LISTENER_CLOSED;
	board_listener_sum(listener->proxy->board, listener->row, &sum);
	if (sum.resting)
		return LISTENER_RESTING;
	if (sum.waiting)
		return LISTENER_WAITING;
	return listener->paused & PAUSE_START ? LISTENER_STARTING
					      : LISTENER_OPEN;
}

/* ---- new, free, ended ---- */

void
listener_session_ended(struct listener *listener, struct session *session)
{
	board_add(&listener->slot->closed, 1);
	if (session->end == END_TIMEOUT)
		board_add(&listener->slot->timeouts, 1);
}

void
listener_session_left(struct listener *listener, struct session *session)
{
	TAILQ_REMOVE(&listener->sessions, session, next);
	proxy_session_ended(listener->proxy, session);
	room_give(listener);
	if (listener->gone)
		proxy_sweep_soon(listener->proxy);
	proxy_changed(listener->proxy);
}

int
listener_open_access_log(
    const struct config_listener *config, struct log_file **ret)
{
	*ret = NULL;
	if (config->access_log == CONFIG_ACCESS_OFF)
		return 0;
	return log_file_open(ret, config->access_log == CONFIG_ACCESS_FILE
				      ? config->access_log_path
				      : NULL);
}

static int
open_access_log(struct listener *listener)
{
	const struct config_listener *config = listener->config;
	int err = listener_open_access_log(config, &listener->access_log);

	if (err != 0)
		log_error("cannot open the access log",
		    LOG_T("listener", config->name),
		    LOG_T("file", config->access_log_path),
		    LOG_T("error", weir_error_text(err)));
	return err;
}

const char *
listener_error_text(int err)
{
	static char text[80];

	if (err == -ENOSPC)
		(void)snprintf(text, sizeof(text),
		    "there are %d listeners; use a range of ports",
		    BOARD_LISTENERS);
	else if (err == -ENAMETOOLONG)
		(void)snprintf(text, sizeof(text),
		    "the name is longer than %d bytes", BOARD_NAME - 1);
	else
		return weir_error_text(err);
	return text;
}

/* Where its figures are. Another listener of that name before goes on there. */
static int
take_row(struct listener *listener)
{
	struct proxy *proxy = listener->proxy;
	long row = board_listener_row(proxy->board, listener->config->name);

	if (row < 0)
		return (int)row;
	listener->row = row;
	listener->slot = board_listener_slot(proxy->board, proxy->worker, row);
	return 0;
}

int
listener_make(
    struct listener **ret, struct proxy *proxy, struct config_listener *config)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (listener == NULL)
		return -ENOMEM;
	listener->proxy = proxy;
	listener->config = config;
	listener->paused =
	    PAUSE_START | (proxy_is_master(proxy) ? PAUSE_MASTER : 0);
	STAILQ_INIT(&listener->sockets);
	STAILQ_INIT(&listener->leaving);
	STAILQ_INIT(&listener->lookups);
	TAILQ_INIT(&listener->sessions);
	TAILQ_INIT(&listener->waiting);
	room_init(listener);
	err = take_row(listener);
	if (err != 0) {
		free(listener);
		return err;
	}
	(void)config_ref(config->owner);
	*ret = listener;
	return 0;
}

int
listener_new(
    struct listener **ret, struct proxy *proxy, struct config_listener *config)
{
	int err = listener_make(ret, proxy, config);

	if (err != 0) {
		log_error("cannot make the listener",
		    LOG_T("listener", config->name),
		    LOG_T("error", listener_error_text(err)));
		return err;
	}
	err = open_access_log(*ret);
	if (err != 0) {
		listener_free(*ret);
		*ret = NULL;
	}
	return err;
}

void
listener_free(struct listener *listener)
{
	struct listener_lookup *lookup;
	struct listener_socket *socket;

	while ((lookup = STAILQ_FIRST(&listener->lookups)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->lookups, next);
		weir_resolve_cancel(lookup->lookup);
		free(lookup);
	}
	listener_drop_all(listener);
	while ((socket = STAILQ_FIRST(&listener->leaving)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->leaving, next);
		listener_socket_free(socket);
	}
	room_free(listener);
	log_file_unref(listener->access_log);
	config_unref(listener->config->owner);
	free(listener);
}
