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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>
#include <weir/server.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"

static void listen_on(struct listener_socket *socket);

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

static const char *
socket_text(const struct listener_socket *socket, char *text, size_t size)
{
	struct weir_address address;

	if (weir_server_address(socket->server, &address) == 0)
		return weir_address_text(&address, text, size);
	if (socket->address.length > 0)
		return weir_address_text(&socket->address, text, size);
	return socket->config->text;
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

static void
on_listening(struct weir_server *server, void *user)
{
	struct listener_socket *socket = user;
	struct listener *listener = socket->listener;
	char text[WEIR_ADDRESS_TEXT];

	(void)server;
	log_info("listening", LOG_T("listener", listener->config->name),
	    LOG_T("address", socket_text(socket, text, sizeof(text))));
	socket->open = true;
	keep_port(socket);
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
		    LOG_T("address", socket_text(socket, text, sizeof(text))),
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
	if (err == -EADDRINUSE && retry_later(socket)) {
		proxy_check_failed(listener->proxy);
		return;
	}
	log_cannot_listen(
	    listener, socket_text(socket, text, sizeof(text)), err);
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
	proxy_check_drained(socket->listener->proxy);
}

static bool
take_token(struct listener *listener)
{
	double rate = (double)listener->config->max_rate;
	double most = rate / 10 > 1 ? rate / 10 : 1;
	uint64_t now = weir_loop_now_ms(listener->proxy->loop);

	listener->rate_tokens +=
	    (double)(now - listener->rate_counted_ms) * rate / 1000;
	listener->rate_counted_ms = now;
	if (listener->rate_tokens > most)
		listener->rate_tokens = most;
	if (listener->rate_tokens < 1)
		return false;
	listener->rate_tokens -= 1;
	return true;
}

static void
on_rate_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	listener_unpause(user, PAUSE_RATE);
}

/* Whoever comes too fast waits in the backlog: accept so many, then rest. */
static void
check_rate(struct listener *listener)
{
	uint64_t rate = listener->config->max_rate;
	uint64_t ms;

	if (rate == 0)
		return;
	(void)take_token(listener);
	if (listener->rate_tokens >= 1)
		return;
	ms = (uint64_t)((1 - listener->rate_tokens) * 1000 / (double)rate) + 1;
	if (listener->rate_timer == NULL &&
	    weir_timer_new(&listener->rate_timer, listener->proxy->loop,
		on_rate_timer, listener) != 0)
		return;
	if (weir_timer_start(listener->rate_timer, ms) == 0)
		listener_pause(listener, PAUSE_RATE);
}

static void
on_connection(
    struct weir_server *server, struct weir_socket *client, void *user)
{
	struct listener_socket *socket = user;

	(void)server;
	session_start(socket->listener, client);
	check_rate(socket->listener);
	listener_check_limit(socket->listener);
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

static void
listen_on(struct listener_socket *socket)
{
	const struct config_listener *c = socket->listener->config;
	const struct weir_listen_options options = {
	    .backlog = c->backlog,
	    .exclusive = c->exclusive,
	    .ipv6_only = c->ipv6_only,
	    .reuse_port = c->reuse_port,
	    .transparent = c->transparent,
	    .freebind = c->freebind,
	    .fast_open = c->fast_open,
	    .defer_accept = c->defer_accept,
	    .interface = c->interface,
	    .mark = c->mark,
	    .replace_stale = true,
	    .set_mode = true,
	    .mode = c->unix_mode,
	    .set_uid = c->unix_user_set,
	    .uid = c->unix_user,
	    .set_gid = c->unix_group_set,
	    .gid = c->unix_group,
	};
	int err;

	if (socket->fd != -1)
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

static int
make_server(struct listener_socket *socket)
{
	struct listener *listener = socket->listener;
	const struct config_listener *c = listener->config;
	const struct weir_server_options options = {
	    .allow_half_open = c->allow_half_open,
	    .no_delay = c->no_delay,
	    .keep_alive = c->keep_alive_ms > 0,
	    .keep_alive_initial_delay_ms = c->keep_alive_ms,
	    .keep_alive_interval_ms = c->keep_alive_interval_ms,
	    .keep_alive_count = c->keep_alive_count,
	    .user_timeout_ms = c->user_timeout_ms,
	};
	int err = weir_server_new(&socket->server, listener->proxy->loop,
	    &options, &server_handlers, socket);

	if (err == 0 && listener->paused != 0)
		weir_server_pause(socket->server);
	return err;
}

/* One more address to listen on: bound, or -1 for one that is inherited. */
static void
add_socket(struct listener *listener, const struct config_address *config,
    const struct weir_address *address, uint16_t port, int fd)
{
	struct listener_socket *socket = calloc(1, sizeof(*socket));

	if (socket == NULL) {
		log_cannot_listen(listener, config->text, -ENOMEM);
		listener->failed = true;
		if (fd != -1)
			(void)close(fd);
		return;
	}
	socket->listener = listener;
	socket->config = config;
	socket->fd = fd;
	socket->port = port;
	if (address != NULL)
		socket->address = *address;
	if (make_server(socket) != 0) {
		log_cannot_listen(listener, config->text, -ENOMEM);
		listener->failed = true;
		if (fd != -1)
			(void)close(fd);
		free(socket);
		return;
	}
	STAILQ_INSERT_TAIL(&listener->sockets, socket, next);
	socket->starting = true;
	listener->starting++;
	listen_on(socket);
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

/* systemd's sockets of that name; an empty name is all of them. */
static void
add_passed(struct listener *listener, const struct config_address *config)
{
	struct proxy *proxy = listener->proxy;
	const char *name = config->endpoint.name;
	bool any = false;
	size_t i;
	int fd;

	for (i = 0; i < proxy->passed_count; i++) {
		if (proxy->passed[i].fd == -1 ||
		    (*name != '\0' && strcmp(name, proxy->passed[i].name) != 0))
			continue;
		any = true;
		fd = proxy->passed[i].fd;
		proxy->passed[i].fd = -1;
		add_socket(listener, config, NULL, 0, fd);
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
}

void
listener_unpause(struct listener *listener, unsigned why)
{
	unsigned was = listener->paused;

	listener->paused &= ~why;
	if (was != 0 && listener->paused == 0)
		apply_pause(listener);
}

void
listener_check_limit(struct listener *listener)
{
	const struct config_listener *config = listener->config;
	const struct proxy *proxy = listener->proxy;
	bool full = (config->max_connections > 0 &&
			listener->connections >= config->max_connections) ||
		    (proxy->max_connections > 0 &&
			proxy->connections >= proxy->max_connections);

	if (config->on_limit != CONFIG_LIMIT_WAIT)
		return;
	if (full)
		listener_pause(listener, PAUSE_LIMIT);
	else
		listener_unpause(listener, PAUSE_LIMIT);
}

void
listener_shut(struct listener *listener, bool for_good)
{
	struct listener_socket *socket;

	listener->closed = true;
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		if (socket->retry != NULL)
			weir_timer_stop(socket->retry);
		if (socket->fd != -1 && !for_good)
			continue;
		socket->resting = false;
		(void)weir_server_close(socket->server);
	}
	if (!for_good)
		listener_pause(listener, PAUSE_CLOSED);
}

void
listener_reopen(struct listener *listener)
{
	struct listener_socket *socket;
	struct weir_server *old;

	listener->closed = false;
	listener_unpause(listener, PAUSE_CLOSED);
	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		if (socket->fd != -1 || weir_server_listening(socket->server))
			continue;
		socket->retrying = false;
		if (socket->retry != NULL)
			weir_timer_stop(socket->retry);
		/* One that waits for its last connection is replaced. */
		old = socket->server;
		if (make_server(socket) == 0) {
			weir_server_free(old);
			listen_on(socket);
			continue;
		}
		log_cannot_listen(listener, socket->config->text, -ENOMEM);
	}
}

bool
listener_open(const struct listener *listener)
{
	const struct listener_socket *socket;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (socket->server != NULL && weir_server_fd(socket->server) != -1)
		return true;
	return false;
}

enum listener_state
listener_get_state(const struct listener *listener)
{
	const struct listener_socket *socket;

	if (listener->starting > 0)
		return LISTENER_STARTING;
	if (listener->closed)
		return LISTENER_CLOSED;
	STAILQ_FOREACH(socket, &listener->sockets, next)
	if (!weir_server_listening(socket->server))
		return LISTENER_CLOSED;
	if (any_resting(listener))
		return LISTENER_RESTING;
	if (listener->paused & (PAUSE_LIMIT | PAUSE_RATE))
		return LISTENER_WAITING;
	return listener->paused != 0 ? LISTENER_STARTING : LISTENER_OPEN;
}

/* ---- new, free, ended ---- */

void
listener_session_ended(struct listener *listener, struct session *session)
{
	TAILQ_REMOVE(&listener->sessions, session, next);
	listener->bytes_in += session_bytes_in(session);
	listener->bytes_out += session_bytes_out(session);
	listener->closed_count++;
	if (session->end == END_TIMEOUT)
		listener->timeouts++;
	listener->connections--;
	listener->proxy->connections--;
	proxy_changed(listener->proxy);
}

static int
open_access_log(struct listener *listener)
{
	const struct config_listener *config = listener->config;
	const char *path = config->access_log == CONFIG_ACCESS_FILE
			       ? config->access_log_path
			       : NULL;
	int err;

	if (config->access_log == CONFIG_ACCESS_OFF)
		return 0;
	err = log_file_open(&listener->access_log, path);
	if (err != 0)
		log_error("cannot open the access log",
		    LOG_T("listener", config->name), LOG_T("file", path),
		    LOG_T("error", weir_error_text(err)));
	return err;
}

int
listener_new(
    struct listener **ret, struct proxy *proxy, struct config_listener *config)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	int err;

	if (listener == NULL)
		return -ENOMEM;
	listener->proxy = proxy;
	listener->config = config;
	listener->paused = PAUSE_START;
	listener->rate_tokens = 1;
	listener->rate_counted_ms = weir_loop_now_ms(proxy->loop);
	STAILQ_INIT(&listener->sockets);
	STAILQ_INIT(&listener->lookups);
	TAILQ_INIT(&listener->sessions);
	TAILQ_INIT(&listener->waiting);
	err = open_access_log(listener);
	if (err != 0) {
		free(listener);
		return err;
	}
	*ret = listener;
	return 0;
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
	while ((socket = STAILQ_FIRST(&listener->sockets)) != NULL) {
		STAILQ_REMOVE_HEAD(&listener->sockets, next);
		weir_timer_free(socket->retry);
		weir_server_free(socket->server);
		free(socket);
	}
	weir_timer_free(listener->rate_timer);
	log_file_unref(listener->access_log);
	sources_free(&listener->sources);
	free(listener);
}
