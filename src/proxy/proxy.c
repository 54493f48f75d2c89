/*
 * The proxy: all listeners from start to drained.
 */
#include "config.h"

#include "proxy/proxy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/target.h"

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
	return 0;
}

int
proxy_new(struct proxy **ret, struct weir_loop *loop, struct config *config,
    uint64_t max_connections, struct proxy_passed_fd *passed,
    size_t passed_count, const struct proxy_handlers *handlers, void *user)
{
	struct proxy *proxy = calloc(1, sizeof(*proxy));
	int err;

	if (proxy == NULL)
		return -ENOMEM;
	proxy->loop = loop;
	proxy->config = config_ref(config);
	proxy->handlers = handlers;
	proxy->user = user;
	proxy->max_connections = max_connections;
	proxy->passed = passed;
	proxy->passed_count = passed_count;
	proxy->started_ms = weir_loop_now_ms(loop);
	proxy->child_grace_ms = CHILD_GRACE_MS;
	TAILQ_INIT(&proxy->children);
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
	weir_timer_free(proxy->drain_timer);
	config_unref(proxy->config);
	free(proxy);
}

/* ---- starting ---- */

void
proxy_start(struct proxy *proxy)
{
	size_t i;

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
	proxy->handlers->on_ready(proxy, proxy->user);
}

void
proxy_check_failed(struct proxy *proxy)
{
	bool failed = false;
	size_t i;

	if (proxy->failed || proxy->ready || proxy->draining)
		return;
	for (i = 0; i < proxy->listener_count; i++) {
		failed = failed || proxy->listeners[i]->failed;
		if (listener_unsettled(proxy->listeners[i]))
			return;
	}
	if (!failed)
		return;
	proxy->failed = true;
	proxy->handlers->on_failed(proxy, proxy->user);
}

void
proxy_accept(struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		listener_unpause(proxy->listeners[i], PAUSE_START);
}

/* ---- sessions come and go ---- */

void
proxy_changed(struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count && !proxy->draining; i++)
		listener_check_limit(proxy->listeners[i]);
	if (proxy->handlers->on_change != NULL)
		proxy->handlers->on_change(proxy, proxy->user);
	proxy_check_drained(proxy);
}

/* ---- stopping ---- */

void
proxy_check_drained(struct proxy *proxy)
{
	size_t i;

	if (!proxy->draining || proxy->drained || proxy->connections > 0)
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
	(void)timer;
	destroy_sessions(user);
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

/* ---- control ---- */

long
proxy_find_listener(const struct proxy *proxy, const char *name)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		if (strcmp(proxy->listeners[i]->config->name, name) == 0)
			return (long)i;
	return -1;
}

int
proxy_kill(struct proxy *proxy, uint64_t id)
{
	struct session *session;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		TAILQ_FOREACH (session, &proxy->listeners[i]->sessions, next)
			if (session->id == id) {
				session_destroy(session, END_KILLED);
				return 0;
			}
	return -ENOENT;
}

static int
find_for_control(struct proxy *proxy, const char *name, struct listener **ret)
{
	long index = proxy_find_listener(proxy, name);

	if (index < 0)
		return -ENOENT;
	if (proxy->draining)
		return -EBUSY;
	*ret = proxy->listeners[index];
	return 0;
}

int
proxy_listener_close(struct proxy *proxy, const char *name)
{
	struct listener *listener;
	int err = find_for_control(proxy, name, &listener);

	if (err != 0)
		return err;
	if (listener->closed)
		return -EALREADY;
	listener_shut(listener, false);
	log_info("closed", LOG_T("listener", name));
	return 0;
}

int
proxy_listener_open(struct proxy *proxy, const char *name)
{
	struct listener *listener;
	int err = find_for_control(proxy, name, &listener);

	if (err != 0)
		return err;
	/* One that could not be bound again is opened once more. */
	if (listener_get_state(listener) != LISTENER_CLOSED)
		return -EALREADY;
	listener_reopen(listener);
	return 0;
}
