/*
 * The proxy: all listeners from start to drained.
 */
#include "config.h"

#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/server.h>
#include <weir/tls.h>

#include "config/tls_files.h"
#include "log/log.h"
#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_priv.h"
#include "proxy/target.h"
#include "proxy/tls.h"

#define SWEEP_MS   1000
#define LEAVING_MS 5

static int
make_listeners(struct proxy *proxy)
{
	size_t i;
	int err;

	proxy->listeners =
	    calloc(proxy->config->listener_count, sizeof(*proxy->listeners));
	if (proxy->listeners == NULL && proxy->config->listener_count > 0)
		return -ENOMEM;
	for (i = 0; i < proxy->config->listener_count; i++) {
		err = listener_new(
		    &proxy->listeners[i], proxy, proxy->config->listeners[i]);
		if (err != 0)
			return err;
		proxy->listener_count++;
	}
	proxy_note_limits(proxy);
	return 0;
}

static void
log_mistake(
    const struct config_listener *listener, const char *text, void *user)
{
	(void)user;
	log_error("cannot speak TLS", LOG_T("listener", listener->name),
	    LOG_T("error", text));
}

/* Something of servers is not what it was. */
static void
on_servers_changed(void *user)
{
	struct proxy *proxy = user;

	if (proxy->upstreams == NULL)
		return;
	upstreams_changed(proxy->upstreams);
	proxy_check_down(proxy);
}

/* The rows of servers, and what this process makes of them. */
static int
make_upstreams(struct proxy *proxy)
{
	const struct keeper_options keeper = {
	    .loop = proxy->loop,
	    .board = proxy->board,
	    .config = proxy->config,
	    .on_change = on_servers_changed,
	    .user = proxy,
	};
	const struct upstream_options upstreams = {
	    .loop = proxy->loop,
	    .board = proxy->board,
	    .worker = proxy->worker,
	    .config = proxy->config,
	    .handlers = &session_upstream_handlers,
	    .user = proxy,
	};
	int err = keeper_new(&proxy->keeper, &keeper);

	return err == 0 ? upstreams_new(&proxy->upstreams, &upstreams) : err;
}

static int
make_tls(struct proxy *proxy)
{
	struct config_tls_shared shared = {
	    board_ticket_key(proxy->board), NULL};
	int err = tls_cache_new(&proxy->tls_cache, proxy->config);

	shared.cache = proxy->tls_cache;
	return err == 0 ? tls_make(proxy->config, &shared, log_mistake, NULL)
			: err;
}

int
proxy_new(struct proxy **ret, struct weir_loop *loop,
    const struct proxy_options *options, const struct proxy_handlers *handlers,
    void *user)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	int err;

	if (proxy == NULL)
		return -ENOMEM;
	proxy->loop = loop;
	proxy->config = config_ref(options->config);
	proxy->handlers = handlers;
	proxy->user = user;
	proxy->board = options->board;
	proxy->workers = options->workers > 1 ? options->workers : 1;
	proxy->many = proxy->workers > 1;
	proxy->place = -1;
	proxy->max_connections = options->max_connections;
	proxy->passed = options->passed;
	proxy->passed_count = options->passed_count;
	proxy->handed = options->handed;
	proxy->handed_count = options->handed_count;
	proxy->worker = options->worker;
	proxy->child_grace_ms = CHILD_GRACE_MS;
	TAILQ_INIT(&proxy->children);
	TAILQ_INIT(&proxy->sessions);
	LIST_INIT(&proxy->walks);
	deadlines_init(&proxy->deadlines, loop, session_on_deadline);
	err = make_tls(proxy);
	if (err == 0)
		err = make_upstreams(proxy);
	if (err == 0)
		err = make_listeners(proxy);
	if (err != 0) {
		proxy_free(proxy);
		return err;
	}
	*ret = proxy;
	return 0;
}

void
proxy_free(struct proxy *proxy)
{
	static const struct proxy_handlers silent = {0};
	struct session *session;
	size_t i;

	if (proxy == NULL)
		return;
	proxy->handlers = &silent;
	proxy->drained = true;
	for (i = 0; i < proxy->listener_count; i++)
		while ((session = TAILQ_FIRST(
			    &proxy->listeners[i]->sessions)) != NULL)
			session_free_now(session);
	for (i = 0; i < proxy->listener_count; i++)
		listener_free(proxy->listeners[i]);
	target_kill_all(proxy);
	free(proxy->listeners);
	upstreams_free(proxy->upstreams);
	keeper_free(proxy->keeper);
	deadlines_free(&proxy->deadlines);
	weir_timer_free(proxy->drain_timer);
	weir_timer_free(proxy->down_timer);
	weir_timer_free(proxy->sweep_timer);
	config_unref(proxy->config);
	weir_tls_cache_unref(proxy->tls_cache);
	free(proxy);
}

/* ---- starting ---- */

void
proxy_start(struct proxy *proxy)
{
	size_t i;

	keeper_start(proxy->keeper);
	proxy->starting = proxy->listener_count;
	for (i = 0; i < proxy->listener_count; i++)
		proxy->listeners[i]->starting = 1; /* listener_start() itself */
	for (i = 0; i < proxy->listener_count; i++)
		listener_start(proxy->listeners[i]);
}

void
proxy_listener_settled(struct proxy *proxy)
{
	proxy->starting--;
	proxy_check_failed(proxy);
	if (proxy->starting > 0 || proxy->draining || proxy->failed)
		return;
	proxy->ready = true;
	handed_close(proxy);
	proxy->handlers->on_ready(proxy, proxy->user);
}

void
proxy_check_failed(struct proxy *proxy)
{
	size_t i;

	if (!proxy->unbound || proxy->failed || proxy->ready || proxy->draining)
		return;
	for (i = 0; i < proxy->listener_count; i++)
		if (listener_unsettled(proxy->listeners[i]))
			return;
	proxy->failed = true;
	proxy->handlers->on_failed(proxy, proxy->user);
}

void
proxy_accept(struct proxy *proxy)
{
	size_t i;

	proxy->accepting = true;
	for (i = 0; i < proxy->listener_count; i++)
		listener_unpause(proxy->listeners[i], PAUSE_START);
	proxy_watch_down(proxy);
}

void
proxy_hold(struct proxy *proxy, bool on)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		if (on)
			listener_pause(proxy->listeners[i], PAUSE_UPGRADE);
		else
			listener_unpause(proxy->listeners[i], PAUSE_UPGRADE);
	}
}

void
proxy_own_paths(struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		listener_own_paths(proxy->listeners[i]);
}

void
proxy_release(struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		listener_release(proxy->listeners[i]);
}

void
proxy_each_listening(const struct proxy *proxy,
    void (*fn)(const char *listener, const char *text, int fd, bool inherited,
	void *user),
    void *user)
{
	const struct listener_socket *socket;
	size_t i;
	int fd;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
		{
			fd = weir_server_fd(socket->server);
			if (fd != -1)
				fn(proxy->listeners[i]->config->name,
				    socket->config->text, fd, socket->fd != -1,
				    user);
		}
}

/* ---- sessions come and go ---- */

void
proxy_note_limits(struct proxy *proxy)
{
	size_t i;

	proxy->any_waits = false;
	for (i = 0; i < proxy->listener_count; i++)
		if (proxy->listeners[i]->config->on_limit == CONFIG_LIMIT_WAIT)
			proxy->any_waits = true;
}

void
proxy_changed(struct proxy *proxy)
{
	size_t i;

	/* Of thousands of listeners mostly none waits, with each connection. */
	if (proxy->any_waits && !proxy->draining)
		for (i = 0; i < proxy->listener_count; i++)
			room_check(proxy->listeners[i]);
	if (proxy->handlers->on_change != NULL)
		proxy->handlers->on_change(proxy, proxy->user);
	proxy_check_drained(proxy);
}

/* ---- listeners that are gone ---- */

static void
on_sweep(struct weir_timer *timer, void *user)
{
	struct proxy *proxy = user;
	struct listener *listener;
	size_t i, count = 0;
	bool any = false, leaving = false;

	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		leaving = listener_sweep(listener) || leaving;
		if (listener->gone && !listener->stays &&
		    listener_idle(listener)) {
			listener_free(listener);
			continue;
		}
		any = any || listener->gone;
		proxy->listeners[count++] = listener;
	}
	proxy->listener_count = count;
	proxy_check_drained(proxy);
	/* Nobody tells a master of the last session of one. */
	if (leaving)
		(void)weir_timer_start(timer, LEAVING_MS);
	else if (any && proxy_is_master(proxy))
		(void)weir_timer_start(timer, SWEEP_MS);
}

void
proxy_set_max_connections(struct proxy *proxy, uint64_t max)
{
	proxy->max_connections = max;
	proxy_changed(proxy);
}

void
proxy_sweep_soon(struct proxy *proxy)
{
	if (proxy->sweep_timer == NULL) {
		if (weir_timer_new(
			&proxy->sweep_timer, proxy->loop, on_sweep, proxy) != 0)
			return;
		weir_timer_unref(proxy->sweep_timer);
	}
	(void)weir_timer_start(proxy->sweep_timer, 0);
}

bool
proxy_is_worker(const struct proxy *proxy)
{
	return proxy->place != -1;
}

bool
proxy_is_master(const struct proxy *proxy)
{
	return proxy->many && !proxy_is_worker(proxy);
}

/* ---- stopping ---- */

void
proxy_check_drained(struct proxy *proxy)
{
	size_t i;

	if (!proxy->draining || proxy->drained || proxy->connections > 0)
		return;
	if (proxy->expected > 0 && !proxy->stopping && !proxy->late)
		return;
	/* A program may still be at work on what its client sent. */
	if (!proxy->stopping && !TAILQ_EMPTY(&proxy->children))
		return;
	for (i = 0; i < proxy->listener_count; i++)
		if (listener_open(proxy->listeners[i]))
			return;
	proxy->drained = true;
	if (proxy->drain_timer != NULL)
		weir_timer_stop(proxy->drain_timer);
	proxy->handlers->on_drained(proxy, proxy->destroyed, proxy->user);
}

static void
destroy_sessions(struct proxy *proxy)
{
	struct session *session;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		TAILQ_FOREACH (session, &proxy->listeners[i]->sessions, next) {
			if (!session->ending)
				proxy->destroyed++;
			session_destroy(session, END_DRAIN);
		}
}

/* Nobody can come any more to be the second of a pair. */
static void
destroy_waiting(struct proxy *proxy)
{
	struct session *session;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		while ((session = TAILQ_FIRST(&proxy->listeners[i]->waiting)) !=
		       NULL)
			session_destroy(session, END_DRAIN);
}

static void
on_drain_timeout(struct weir_timer *timer, void *user)
{
	struct proxy *proxy = user;

	(void)timer;
	proxy->late = true;
	destroy_sessions(proxy);
	target_hurry(proxy);
	proxy_check_drained(proxy);
}

static void
shut_all(struct proxy *proxy)
{
	size_t i;

	proxy->draining = true;
	for (i = 0; i < proxy->listener_count; i++)
		listener_shut(proxy->listeners[i], true);
}

void
proxy_drain(struct proxy *proxy, uint64_t timeout_ms)
{
	if (proxy->draining)
		return;
	shut_all(proxy);
	destroy_waiting(proxy);
	if (timeout_ms > 0 &&
	    (weir_timer_new(&proxy->drain_timer, proxy->loop, on_drain_timeout,
		 proxy) != 0 ||
		weir_timer_start(proxy->drain_timer, timeout_ms) != 0))
		destroy_sessions(proxy);
	proxy_check_drained(proxy);
}

void
proxy_stop(struct proxy *proxy)
{
	if (!proxy->draining)
		shut_all(proxy);
	proxy->stopping = true;
	destroy_sessions(proxy);
	proxy_check_drained(proxy);
}

void
proxy_expect(struct proxy *proxy, int sessions)
{
	proxy->expected += (unsigned)sessions;
	if (proxy->expected == 0)
		proxy_check_drained(proxy);
}

bool
proxy_draining(const struct proxy *proxy)
{
	return proxy->draining;
}

/* ---- descriptors ---- */

static size_t
fds_of_connection(const struct config_listener *config)
{
	if (config->mode == CONFIG_FORWARD)
		return 2;
	if (config->mode == CONFIG_ECHO)
		return 1;
	switch (config->target) {
	case CONFIG_TARGET_NULL: /* at a rate a descriptor of its own */
		return config->rate_in > 0 ? 2 : 1;
	case CONFIG_TARGET_PEER:
		return 1;
	case CONFIG_TARGET_EXEC: /* and its standard error */
		return 3;
	default:
		return 2;
	}
}

size_t
proxy_fds_per_connection(const struct config *config)
{
	size_t most = 1, i, n;

	for (i = 0; i < config->listener_count; i++) {
		n = fds_of_connection(config->listeners[i]);
		most = n > most ? n : most;
	}
	return most;
}

/* Standard ones, the loop's, logs and resolver (32), the control socket's
 * clients (64), the pipes that splice is lent (64); and the listeners'. A name
 * may be a few addresses. */
#define FDS_FIXED    160
#define FDS_PER_NAME 4

static size_t
fds_of_listener(const struct config_listener *config)
{
	size_t n = config->access_log == CONFIG_ACCESS_FILE ? 1 : 0, i;
	const struct weir_endpoint *endpoint;
	struct weir_address address;

	for (i = 0; i < config->listen_count; i++) {
		endpoint = &config->listen[i].endpoint;
		if (endpoint->kind != WEIR_ENDPOINT_TCP)
			n += 1;
		else if (endpoint->name[0] == '\0' ||
			 weir_endpoint_address(endpoint, &address) == 0)
			n += 1u + endpoint->port_last - endpoint->port_first;
		else
			n += FDS_PER_NAME *
			     (1u + endpoint->port_last - endpoint->port_first);
	}
	return n;
}

size_t
proxy_fds_reserved(const struct config *config)
{
	size_t n = FDS_FIXED, i;

	for (i = 0; i < config->listener_count; i++)
		n += fds_of_listener(config->listeners[i]);
	return n;
}
