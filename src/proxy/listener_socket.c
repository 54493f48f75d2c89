/*
 * One socket of a listener: bound, retried, inherited or handed over, with
 * siblings for the other workers, until it leaves. Promises that whatever
 * becomes of it is told once: to the reload that prepares it, else to the log
 * and to the listener, which is settled when each of its sockets is bound or
 * has failed.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/server.h>

#include "log/log.h"
#include "proxy/listener_priv.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
#include "proxy/session.h"

/* when_down = close, and a server is back: the first pause and the longest
 * between two tries to listen. */
#define BACK_FIRST_MS 100
#define BACK_MOST_MS  10000

/* Between two lines that tell of rests. */
#define RESTING_AGAIN_MS 10000

/* ---- settling ---- */

void
listener_settle(struct listener *listener)
{
	if (--listener->starting == 0)
		proxy_listener_settled(listener->proxy);
}

void
listener_log_refused(
    const struct listener *listener, const char *address, int err)
{
	log_error("cannot listen", LOG_T("listener", listener->config->name),
	    LOG_T("address", address), LOG_T("error", weir_error_text(err)));
}

/* ---- one socket ---- */

const char *
listener_socket_text(
    const struct listener_socket *socket, char *text, size_t size)
{
	struct weir_address address;

	if (weir_server_address(socket->server, &address) == 0)
		return weir_address_text(&address, text, size);
	if (socket->address.length > 0)
		return weir_address_text(&socket->address, text, size);
	return socket->config != NULL ? socket->config->text : "-";
}

void
listener_socket_set_port(struct weir_address *address, unsigned port)
{
	address->u.in.sin_port = htons((uint16_t)port);
}

/* A port that the system picked stays the listener's when it is closed and
 * opened again. */
static void
keep_port(struct listener_socket *socket)
{
	struct weir_address bound;

	if (socket->fd != -1 ||
	    weir_server_address(socket->server, &bound) != 0)
		return;
	if (socket->address.length == 0)
		socket->port = weir_address_port(&bound);
	else if (weir_address_family(&bound) != 0)
		listener_socket_set_port(
		    &socket->address, weir_address_port(&bound));
}

/* Workers that listen too are told, by the master. */
void
listener_sockets_changed(struct listener *listener)
{
	struct proxy *proxy = listener->proxy;

	listener->changed = true;
	if (proxy->handlers->on_sockets != NULL)
		proxy->handlers->on_sockets(proxy, proxy->user);
}

void
listener_socket_log(const struct listener_socket *socket)
{
	char text[WEIR_ADDRESS_TEXT];

	/* What several workers have is told once. */
	if (socket->config == NULL || socket->place > 0)
		return;
	log_info("listening", LOG_T("listener", socket->listener->config->name),
	    LOG_T("address", listener_socket_text(socket, text, sizeof(text))));
}

static void
on_listening(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;
	struct listener *listener = socket->listener;

	(void)server;
	socket->open = true;
	socket->opening = false;
	keep_port(socket);
	if (socket->prepared != NULL && reload_socket_done(socket->prepared, 0))
		return;
	listener_socket_log(socket);
	listener_add_siblings(socket);
	listener_sockets_changed(listener);
	if (socket->starting) {
		socket->starting = false;
		listener_settle(listener);
	}
}

static void
on_retry(struct weir_timer *timer, void *user)
{
	struct listener_socket *socket = user;

	(void)timer;
	socket->retrying = true;
	listener_socket_start(socket);
}

/* How long to wait until the next try; 0: there is none. Nobody is there to
 * open a listener whose servers are back, so that does not give up. */
static uint64_t
retry_pause(const struct listener_socket *socket, int err)
{
	const struct listener *listener = socket->listener;

	if (listener->closed)
		return 0;
	if (err == -EADDRINUSE && listener->config->bind_retry_ms > 0)
		return listener->config->bind_retry_ms;
	if (!listener->back)
		return 0;
	if (socket->retry_ms == 0)
		return BACK_FIRST_MS;
	return socket->retry_ms < BACK_MOST_MS / 2 ? socket->retry_ms * 2
						   : BACK_MOST_MS;
}

static bool
retry_later(struct listener_socket *socket, int err)
{
	struct listener *listener = socket->listener;
	uint64_t ms = retry_pause(socket, err);
	char text[WEIR_ADDRESS_TEXT];

	if (ms == 0)
		return false;
	if (socket->retry == NULL &&
	    weir_timer_new(
		&socket->retry, listener->proxy->loop, on_retry, socket) != 0)
		return false;
	if (!socket->retrying)
		log_warn(err == -EADDRINUSE
			     ? "the address is in use, trying again"
			     : "cannot listen, trying again",
		    LOG_T("listener", listener->config->name),
		    LOG_T("address",
			listener_socket_text(socket, text, sizeof(text))),
		    LOG_T("error", weir_error_text(err)),
		    LOG_N("retry_ms", ms));
	socket->retry_ms = ms;
	return weir_timer_start(socket->retry, ms) == 0;
}

bool
listener_unsettled(const struct listener *listener)
{
	const struct listener_socket *socket;
	unsigned waiting = 0;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->starting && socket->retry != NULL &&
	    weir_timer_running(socket->retry))
		waiting++;
	return listener->starting > waiting;
}

static void
on_error(struct weir_server *server, int err, void *user)
{
	struct listener_socket *socket = user;
	struct listener *listener = socket->listener;
	char text[WEIR_ADDRESS_TEXT];

	(void)server;
	socket->resting = socket->opening = false;
	socket->err = err;
	if (socket->prepared != NULL &&
	    reload_socket_done(socket->prepared, err))
		return;
	if (retry_later(socket, err)) {
		proxy_check_failed(listener->proxy);
		return;
	}
	listener_log_refused(
	    listener, listener_socket_text(socket, text, sizeof(text)), err);
	socket->open = false;
	if (socket->starting) {
		socket->starting = false;
		listener->proxy->unbound = true;
		listener_settle(listener);
	}
}

static void
on_closed(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	socket->open = socket->resting = false;
	listener_publish(socket->listener);
	proxy_check_drained(socket->listener->proxy);
}

static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	session_start(socket->listener, client);
	room_taken(socket->listener);
}

/* With little room a listener may rest and go on with each client that leaves:
 * then it is said once in a while. */
static void
say_resting(struct listener *listener, int err)
{
	uint64_t now = weir_loop_now_ms(listener->proxy->loop);

	listener->resting_said =
	    listener->resting_said_ms == 0 ||
	    now - listener->resting_said_ms >= RESTING_AGAIN_MS;
	if (listener->resting_said)
		listener->resting_said_ms = now;
	if (listener->resting_said)
		log_warn("cannot accept, clients wait in the backlog",
		    LOG_T("listener", listener->config->name),
		    LOG_T("error", weir_error_text(err)));
}

static void
on_resting(struct weir_server *server, int err, void *user)
{
	struct listener_socket *socket = user;
	bool first = !listener_any_resting(socket->listener);

	(void)server;
	socket->resting = true;
	listener_publish(socket->listener);
	if (first)
		say_resting(socket->listener, err);
}

static void
on_accepting(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	socket->resting = false;
	listener_publish(socket->listener);
	if (socket->listener->resting_said &&
	    !listener_any_resting(socket->listener))
		log_info("accepting again",
		    LOG_T("listener", socket->listener->config->name));
}

static const struct weir_server_handlers server_handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_resting = on_resting,
    .on_accepting = on_accepting,
    .on_error = on_error,
    .on_close = on_closed,
};

void
listener_socket_listen(
    struct listener_socket *socket, const struct config_listener *config)
{
	struct weir_listen_options options;
	int fd, err;

	bind_options(&options, config);
	if (socket->beside)
		options.reuse_port = true;
	bind_note(&socket->bound, &options);
	if (socket->handed != -1) {
		fd = socket->handed;
		socket->handed = -1;
		socket->taken_up = true;
		err = weir_server_listen_fd(socket->server, fd, &options);
	} else if (socket->fd != -1)
		err =
		    weir_server_listen_fd(socket->server, socket->fd, &options);
	else if (socket->address.length > 0)
		err = weir_server_listen(
		    socket->server, &socket->address, &options);
	else
		err = weir_server_listen_any(
		    socket->server, socket->port, &options);
	if (err != 0)
		on_error(socket->server, err, socket);
}

void
listener_socket_start(struct listener_socket *socket)
{
	listener_socket_listen(socket, socket->listener->config);
}

int
listener_socket_make_server(
    struct listener_socket *socket, const struct config_listener *config)
{
	struct listener *listener = socket->listener;
	struct weir_server_options options;
	int err;

	bind_server_options(&options, config);
	err = weir_server_new(&socket->server, listener->proxy->loop, &options,
	    &server_handlers, socket);
	if (err == 0 && (listener->paused != 0 || socket->prepared != NULL))
		weir_server_pause(socket->server);
	return err;
}

static int
make_server(struct listener_socket *socket)
{
	return listener_socket_make_server(socket, socket->listener->config);
}

bool
listener_socket_is_shut(const struct listener_socket *socket)
{
	return socket->fd == -1 && weir_server_fd(socket->server) == -1 &&
	       (socket->retry == NULL || !weir_timer_running(socket->retry));
}

void
listener_socket_reopen(struct listener_socket *socket)
{
	struct weir_server *old = socket->server;

	socket->retrying = false;
	socket->retry_ms = 0;
	if (socket->retry != NULL)
		weir_timer_stop(socket->retry);
	/* One that waits for its last connection is replaced. */
	if (make_server(socket) == 0) {
		weir_server_free(old);
		socket->opening = true;
		listener_socket_start(socket);
		return;
	}
	socket->err = -ENOMEM;
	listener_log_refused(socket->listener, socket->config->text, -ENOMEM);
}

int
listener_socket_new(struct listener_socket **ret, struct listener *listener,
    const struct config_address *config, const struct weir_address *address,
    uint16_t port, int fd)
{
	struct listener_socket *socket = calloc(1, sizeof(*socket));

	if (socket == NULL)
		return -ENOMEM;
	socket->listener = listener;
	socket->config = config;
	socket->fd = fd;
	socket->handed = -1;
	socket->port = socket->wanted_port = port;
	if (address != NULL)
		socket->address = socket->wanted = *address;
	*ret = socket;
	return 0;
}

void
listener_socket_free(struct listener_socket *socket)
{
	weir_timer_free(socket->retry);
	weir_server_free(socket->server);
	free(socket);
}

/* Two clients can meet in one process only. */
int
listener_place(const struct config_listener *config)
{
	if (config->exclusive || (config->mode == CONFIG_PIPE &&
				     config->target == CONFIG_TARGET_PEER))
		return 0;
	return PLACE_ALL;
}

static void
cannot_add(
    struct listener *listener, const struct config_address *config, int fd)
{
	listener_log_refused(
	    listener, config != NULL ? config->text : "-", -ENOMEM);
	listener->proxy->unbound = true;
	if (fd != -1)
		(void)close(fd);
}

struct listener_socket *
listener_insert(struct listener *listener, const struct config_address *config,
    const struct weir_address *address, uint16_t port, int fd)
{
	struct listener_socket *socket = NULL;

	int err =
	    listener_socket_new(&socket, listener, config, address, port, fd);

	if (err == 0 && fd == -1 && config != NULL)
		socket->handed = handed_take(listener->proxy,
		    listener->config->name, config->text, address, port);
	if (err == 0)
		err = make_server(socket);
	if (err != 0) {
		if (socket != NULL && socket->handed != -1)
			(void)close(socket->handed);
		cannot_add(listener, config, fd);
		free(socket);
		return NULL;
	}
	socket->place =
	    config != NULL ? listener_place(listener->config) : PLACE_ALL;
	STAILQ_INSERT_TAIL(&listener->sockets, socket, next);
	if (config != NULL && !listener->proxy->ready) {
		socket->starting = true;
		listener->starting++;
	}
	return socket;
}

void
listener_add(struct listener *listener, const struct config_address *config,
    const struct weir_address *address, uint16_t port, int fd)
{
	struct listener_socket *socket =
	    listener_insert(listener, config, address, port, fd);

	if (socket != NULL)
		listener_socket_start(socket);
}

/* The same port, for the worker of that place. */
static void
add_sibling(struct listener_socket *primary, unsigned place)
{
	struct listener_socket *socket =
	    listener_insert(primary->listener, primary->config,
		primary->address.length > 0 ? &primary->address : NULL,
		primary->port, -1);

	if (socket == NULL)
		return;
	socket->place = (int)place;
	socket->primary = primary;
	listener_socket_start(socket);
}

/* reuse_port: a socket for each worker, on the port that the first one has. */
void
listener_add_siblings(struct listener_socket *socket)
{
	struct listener *listener = socket->listener;
	unsigned workers = listener->proxy->workers;
	bool any = socket->address.length == 0;

	if (!listener->config->reuse_port || workers == 1 ||
	    listener_place(listener->config) != PLACE_ALL || socket->fd != -1 ||
	    socket->config == NULL || socket->primary != NULL ||
	    (!any && weir_address_family(&socket->address) == 0))
		return;
	socket->place = 0;
	while (socket->siblings + 1 < workers)
		add_sibling(socket, ++socket->siblings);
}

void
listener_adopt(struct listener *listener, int fd)
{
	listener->closed = false;
	listener_add(listener, NULL, NULL, 0, fd);
}

void
listener_drop(struct listener *listener, struct listener_socket *socket)
{
	STAILQ_REMOVE(&listener->sockets, socket, listener_socket, next);
	if (socket->starting)
		listener->starting--;
	listener_socket_free(socket);
}

void
listener_drop_all(struct listener *listener)
{
	while (!STAILQ_EMPTY(&listener->sockets))
		listener_drop(listener, STAILQ_FIRST(&listener->sockets));
}

void
listener_let_go(struct listener *listener, struct listener_socket *socket)
{
	STAILQ_REMOVE(&listener->sockets, socket, listener_socket, next);
	weir_timer_free(socket->retry);
	socket->retry = NULL;
	if (weir_server_fd(socket->server) == -1) {
		listener_socket_free(socket);
		return;
	}
	socket->leaving = true;
	STAILQ_INSERT_TAIL(&listener->leaving, socket, next);
	/* A master leaves those that wait to its workers. */
	if (listener->paused & PAUSE_MASTER)
		(void)weir_server_close(socket->server);
	else
		(void)weir_server_close_soon(socket->server);
	proxy_sweep_soon(listener->proxy);
}

bool
listener_sweep(struct listener *listener)
{
	struct listener_socket *socket, *after;

	for (socket = STAILQ_FIRST(&listener->leaving); socket != NULL;
	     socket = after) {
		after = STAILQ_NEXT(socket, next);
		/* Its connections live on without it. */
		if (weir_server_fd(socket->server) != -1)
			continue;
		STAILQ_REMOVE(
		    &listener->leaving, socket, listener_socket, next);
		listener_socket_free(socket);
	}
	return !STAILQ_EMPTY(&listener->leaving);
}
