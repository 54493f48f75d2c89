/*
 * What weirctl does with connections and listeners. Promises that whoever opens
 * a listener can learn what came of it, of each of its addresses.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/server.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_priv.h"

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

	if (index < 0 || proxy->listeners[index]->gone)
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
	if (listener->closed && !listener->down)
		return -EALREADY;
	if (listener->down) /* it is not to be opened by itself */
		listener->down = false;
	else
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
	if (listener->closed && !proxy_may_open(listener)) {
		listener->down = true; /* it opens by itself */
		return -EHOSTDOWN;
	}
	listener_reopen(listener);
	return 0;
}

/* ---- what came of opening one ---- */

static bool
is_unbound(const struct listener_socket *socket)
{
	return socket->fd == -1 && !weir_server_listening(socket->server);
}

int
proxy_listener_opened(const struct proxy *proxy, const char *name)
{
	long index = proxy_find_listener(proxy, name);
	const struct listener_socket *socket;
	const struct listener *listener;
	int err = 0;

	if (index < 0 || proxy->listeners[index]->gone)
		return -ENOENT;
	listener = proxy->listeners[index];
	if (listener->closed)
		return -ECANCELED;
	STAILQ_FOREACH (socket, &listener->sockets, next)
		if (socket->opening)
			return -EINPROGRESS;
		else if (is_unbound(socket))
			err = -ENOTCONN;
	return err;
}

void
proxy_listener_each_unbound(const struct proxy *proxy, const char *name,
    void (*fn)(const char *address, int err, uint64_t retry_ms, void *user),
    void *user)
{
	long index = proxy_find_listener(proxy, name);
	const struct listener_socket *socket;
	char text[WEIR_ADDRESS_TEXT];

	if (index < 0)
		return;
	STAILQ_FOREACH (socket, &proxy->listeners[index]->sockets, next)
		if (is_unbound(socket))
			fn(listener_socket_text(socket, text, sizeof(text)),
			    socket->err,
			    socket->retry != NULL &&
				    weir_timer_running(socket->retry)
				? socket->retry_ms
				: 0,
			    user);
}
