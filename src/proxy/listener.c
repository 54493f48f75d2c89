/*
 * A listener: its sockets from configuration to bound, and when they accept.
 *
 * Each address is a weir_server of its own; a name, a range and systemd's
 * sockets may be several. A listener is settled when each of them is bound or
 * has failed; what failed was logged with its reason.
 */
#include "config.h"

#include "proxy/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/move.h>
#include <weir/resolve.h>
#include <weir/server.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
#include "proxy/session.h"

static void listen_on(struct listener_socket *socket);
static void publish_state(struct listener *listener);

/* ---- settling ---- */

static void
settle(struct listener *listener)
{
	if (--listener->starting == 0)
		proxy_listener_settled(listener->proxy);
}

static void
log_cannot_listen(const struct listener *listener, const char *address, int err)
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

static void
set_port(struct weir_address *address, unsigned port)
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
		set_port(&socket->address, weir_address_port(&bound));
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
	keep_port(socket);
	if (socket->prepared != NULL && reload_socket_done(socket->prepared, 0))
		return;
	listener_socket_log(socket);
	listener_add_siblings(socket);
	listener_sockets_changed(listener);
	if (socket->starting) {
		socket->starting = false;
		settle(listener);
	}
}

static void
on_retry(struct weir_timer *timer, void *user)
{
	struct listener_socket *socket = user;

	(void)timer;
	socket->retrying = true;
	listen_on(socket);
}

static bool
retry_later(struct listener_socket *socket)
{
	struct listener *listener = socket->listener;
	uint64_t ms = listener->config->bind_retry_ms;
	char text[WEIR_ADDRESS_TEXT];

	if (ms == 0 || listener->closed)
		return false;
	if (socket->retry == NULL &&
	    weir_timer_new(
		&socket->retry, listener->proxy->loop, on_retry, socket) != 0)
		return false;
	if (!socket->retrying)
		log_warn("the address is in use, trying again",
		    LOG_T("listener", listener->config->name),
		    LOG_T("address",
			listener_socket_text(socket, text, sizeof(text))),
		    LOG_N("retry_ms", ms));
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
	socket->resting = false;
	if (socket->prepared != NULL &&
	    reload_socket_done(socket->prepared, err))
		return;
	if (err == -EADDRINUSE && retry_later(socket)) {
		proxy_check_failed(listener->proxy);
		return;
	}
	log_cannot_listen(
	    listener, listener_socket_text(socket, text, sizeof(text)), err);
	socket->open = false;
	if (socket->starting) {
		socket->starting = false;
		listener->failed = true;
		settle(listener);
	}
}

static void
on_closed(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	socket->open = socket->resting = false;
	publish_state(socket->listener);
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

static bool
any_resting(const struct listener *listener)
{
	const struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->resting)
		return true;
	return false;
}

static void
on_resting(struct weir_server *server, int err, void *user)
{
	struct listener_socket *socket = user;
	bool first = !any_resting(socket->listener);

	(void)server;
	socket->resting = true;
	publish_state(socket->listener);
	if (first)
		log_warn("cannot accept, clients wait in the backlog",
		    LOG_T("listener", socket->listener->config->name),
		    LOG_T("error", weir_error_text(err)));
}

static void
on_accepting(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	socket->resting = false;
	publish_state(socket->listener);
	if (!any_resting(socket->listener))
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

static void
listen_on(struct listener_socket *socket)
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
	log_cannot_listen(
	    listener, config != NULL ? config->text : "-", -ENOMEM);
	listener->failed = true;
	if (fd != -1)
		(void)close(fd);
}

/* One more address to listen on: bound, or -1 for one that is inherited; not
 * yet listening. NULL where that failed. */
static struct listener_socket *
insert_socket(struct listener *listener, const struct config_address *config,
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

static void
add_socket(struct listener *listener, const struct config_address *config,
    const struct weir_address *address, uint16_t port, int fd)
{
	struct listener_socket *socket =
	    insert_socket(listener, config, address, port, fd);

	if (socket != NULL)
		listen_on(socket);
}

/* The same port, for the worker of that place. */
static void
add_sibling(struct listener_socket *primary, unsigned place)
{
	struct listener_socket *socket =
	    insert_socket(primary->listener, primary->config,
		primary->address.length > 0 ? &primary->address : NULL,
		primary->port, -1);

	if (socket == NULL)
		return;
	socket->place = (int)place;
	socket->primary = primary;
	listen_on(socket);
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
	add_socket(listener, NULL, NULL, 0, fd);
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

/* ---- one configured address ---- */

static void
add_range(struct listener *listener, const struct config_address *config,
    const struct weir_address *address)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address each;
	unsigned port;

	for (port = endpoint->port_first; port <= endpoint->port_last; port++) {
		if (address == NULL) {
			add_socket(listener, config, NULL, (uint16_t)port, -1);
			continue;
		}
		each = *address;
		set_port(&each, port);
		add_socket(listener, config, &each, 0, -1);
	}
}

/* A name may be told to have one address twice (/etc/hosts). */
static bool
is_double(const struct weir_address *addresses, size_t index)
{
	size_t i;

	for (i = 0; i < index; i++)
		if (weir_address_equal(&addresses[i], &addresses[index]))
			return true;
	return false;
}

static void
on_resolved(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct listener_lookup *lookup = user;
	struct listener *listener = lookup->listener;
	size_t i;

	lookup->lookup = NULL;
	if (err != 0) {
		log_cannot_listen(listener, lookup->config->text, err);
		listener->failed = true;
	}
	/* One that was closed meanwhile listens no more. */
	for (i = 0; i < count && !listener->closed; i++)
		if (!is_double(addresses, i))
			add_range(listener, lookup->config, &addresses[i]);
	settle(listener);
}

static void
look_up(struct listener *listener, const struct config_address *config)
{
	struct listener_lookup *lookup = calloc(1, sizeof(*lookup));
	int err = -ENOMEM;

	if (lookup != NULL) {
		lookup->listener = listener;
		lookup->config = config;
		err = weir_resolve(&lookup->lookup, listener->proxy->loop,
		    config->endpoint.name, config->endpoint.port_first,
		    listener->config->ipv6_only ? 6 : 0, on_resolved, lookup);
	}
	if (err != 0) {
		free(lookup);
		log_cannot_listen(listener, config->text, err);
		listener->failed = true;
		return;
	}
	STAILQ_INSERT_TAIL(&listener->lookups, lookup, next);
	listener->starting++;
}

/* Those that this very address brought to the program before this one. */
static bool
add_handed(struct listener *listener, const struct config_address *config)
{
	bool any = false;
	int fd;

	while ((fd = handed_take_same(listener->proxy, listener->config->name,
		    config->text)) != -1) {
		add_socket(listener, config, NULL, 0, fd);
		any = true;
	}
	return any;
}

/* systemd's sockets of that name; an empty name is all of them. */
static void
add_passed(struct listener *listener, const struct config_address *config)
{
	struct proxy *proxy = listener->proxy;
	const char *name = config->endpoint.name;
	struct listener_socket *socket;
	bool any = add_handed(listener, config);
	size_t i;
	int fd;

	for (i = 0; i < proxy->passed_count; i++) {
		if (proxy->passed[i].fd == -1 ||
		    (*name != '\0' && strcmp(name, proxy->passed[i].name) != 0))
			continue;
		any = true;
		fd = proxy->passed[i].fd;
		proxy->passed[i].fd = -1;
		socket = insert_socket(listener, config, NULL, 0, fd);
		if (socket == NULL)
			continue;
		socket->passed = proxy->passed[i].name;
		listen_on(socket);
	}
	if (any)
		return;
	log_error(
	    proxy->passed_count == 0
		? "no sockets were passed; start weir by a systemd socket unit"
		: "no socket of that FileDescriptorName was passed",
	    LOG_T("listener", listener->config->name),
	    LOG_T("address", config->text));
	listener->failed = true;
}

static void
add_address(struct listener *listener, const struct config_address *config)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address address;

	switch (endpoint->kind) {
	case WEIR_ENDPOINT_FD:
		if (!add_handed(listener, config))
			add_socket(listener, config, NULL, 0, endpoint->fd);
		break;
	case WEIR_ENDPOINT_SYSTEMD:
		add_passed(listener, config);
		break;
	case WEIR_ENDPOINT_UNIX:
		(void)weir_endpoint_address(endpoint, &address);
		add_socket(listener, config, &address, 0, -1);
		break;
	case WEIR_ENDPOINT_TCP:
		if (endpoint->name[0] == '\0')
			add_range(listener, config, NULL);
		else if (weir_endpoint_address(endpoint, &address) == 0)
			add_range(listener, config, &address);
		else
			look_up(listener, config);
		break;
	case WEIR_ENDPOINT_SRV: /* is not for listen */
		break;
	}
}

void
listener_start(struct listener *listener)
{
	size_t i;

	for (i = 0; i < listener->config->listen_count; i++)
		add_address(listener, &listener->config->listen[i]);
	settle(listener);
}

/* ---- accepting or not ---- */

/* A worker's state is told by the master. */
static void
publish_state(struct listener *listener)
{
	if (listener->paused & PAUSE_MASTER)
		return;
	atomic_store(&listener->slot->waiting,
	    (listener->paused & (PAUSE_LIMIT | PAUSE_RATE)) != 0);
	atomic_store(&listener->slot->resting, any_resting(listener));
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
		publish_state(listener);
}

void
listener_unpause(struct listener *listener, unsigned why)
{
	unsigned was = listener->paused;

	listener->paused &= ~why;
	if (was != 0 && listener->paused == 0)
		apply_pause(listener);
	if (listener->paused != was)
		publish_state(listener);
}

void
listener_shut(struct listener *listener, bool for_good)
{
	struct listener_socket *socket;

	listener->closed = true;
	if (for_good)
		room_shut(listener);
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		if (socket->retry != NULL)
			weir_timer_stop(socket->retry);
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

static bool
is_shut(const struct listener_socket *socket)
{
	return socket->fd == -1 && weir_server_fd(socket->server) == -1 &&
	       (socket->retry == NULL || !weir_timer_running(socket->retry));
}

static void
reopen(struct listener_socket *socket)
{
	struct weir_server *old = socket->server;

	socket->retrying = false;
	if (socket->retry != NULL)
		weir_timer_stop(socket->retry);
	/* One that waits for its last connection is replaced. */
	if (make_server(socket) == 0) {
		weir_server_free(old);
		listen_on(socket);
		return;
	}
	log_cannot_listen(socket->listener, socket->config->text, -ENOMEM);
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
		reopen(socket);
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
		else if (!listener->closed && is_shut(socket))
			reopen(socket);
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
