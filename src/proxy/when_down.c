/*
 * when_down = close: a listener none of whose servers is usable does not
 * listen, so that clients, and balancers in front, meet a refusal; once one is
 * back it listens again. It is the process with the keeper that decides, and
 * that opens and closes; a master's workers have the sockets that it has.
 *
 * States change by time, too (fail_timeout is over), and by what workers meet;
 * so they are looked at every so often, and at once when the keeper changes
 * one.
 */
#include "config.h"

#include <weir/loop.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/upstream.h"

#define LOOK_MS 100

static bool
is_watched(const struct listener *listener)
{
	return listener->config->mode == CONFIG_FORWARD &&
	       listener->config->when_down == CONFIG_DOWN_CLOSE;
}

static bool
any_usable(const struct listener *listener)
{
	const struct config_listener *config = listener->config;
	struct upstreams *upstreams = listener->proxy->upstreams;
	size_t i;

	if (config->pool != NULL && upstreams_usable(upstreams, config->pool))
		return true;
	for (i = 0; i < config->route_count; i++)
		if (config->routes[i].pool != NULL &&
		    upstreams_usable(upstreams, config->routes[i].pool))
			return true;
	return false;
}

static void
check(struct listener *listener)
{
	bool usable = any_usable(listener);

	if (usable && listener->down) {
		listener->down = false;
		log_info("a server is usable, clients may come again",
		    LOG_T("listener", listener->config->name));
		listener->back = true;
		listener_reopen(listener);
	} else if (!usable && !listener->closed && listener->starting == 0) {
		listener->down = true;
		log_warn("no server is usable, clients are refused",
		    LOG_T("listener", listener->config->name));
		listener_shut(listener, false);
	}
}

void
proxy_check_down(struct proxy *proxy)
{
	struct listener *listener;
	size_t i;

	if (proxy->down_timer == NULL || proxy->draining)
		return;
	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		if (is_watched(listener))
			check(listener);
		else if (listener->down) { /* it was, before a reload */
			listener->down = false;
			listener->back = true;
			listener_reopen(listener);
		}
	}
}

static void
on_timer(struct weir_timer *timer, void *user)
{
	struct proxy *proxy = user;

	proxy_check_down(proxy);
	(void)weir_timer_start(timer, LOOK_MS);
}

bool
proxy_may_open(const struct listener *listener)
{
	return listener->proxy->down_timer == NULL || !is_watched(listener) ||
	       any_usable(listener);
}

static bool
any_watched(const struct proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		if (is_watched(proxy->listeners[i]) ||
		    proxy->listeners[i]->down)
			return true;
	return false;
}

void
proxy_watch_down(struct proxy *proxy)
{
	if (proxy->keeper == NULL || !any_watched(proxy)) {
		weir_timer_free(proxy->down_timer);
		proxy->down_timer = NULL;
		return;
	}
	if (proxy->down_timer == NULL) {
		if (weir_timer_new(
			&proxy->down_timer, proxy->loop, on_timer, proxy) != 0)
			return;
		weir_timer_unref(proxy->down_timer);
	}
	if (!weir_timer_running(proxy->down_timer))
		(void)weir_timer_start(proxy->down_timer, LOOK_MS);
}
