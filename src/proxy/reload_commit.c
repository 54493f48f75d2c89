/*
 * Putting another configuration in force, once all that it needs is open. It
 * cannot fail. Sockets that stay are never closed, not even for a moment, and
 * those that go accept who waits first. And what of it could not be put in
 * force.
 */
#include "config.h"

#include <errno.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/server.h>

#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
#include "proxy/session.h"
#include "util/map.h"

/* ---- putting in force ---- */

/* reuse_port: the sockets of other workers go where that of the first goes. */
static void
follow_primaries(struct listener *listener)
{
	struct listener_socket *socket;
	struct reload_socket *of;

	STAILQ_FOREACH(socket, &listener->sockets, next)
	{
		of = socket->primary != NULL ? socket->primary->prepared : NULL;
		if (of != NULL && of->item->config->reuse_port &&
		    listener_place(of->item->config) == PLACE_ALL)
			socket->prepared = of;
		else if (of != NULL)
			socket->primary->siblings = 0;
	}
}

/* Sockets that stay are taken up again by the listener they are to be of. */
static void
part_with_sockets(struct listener *listener)
{
	struct listener_socket *socket;

	follow_primaries(listener);
	while ((socket = STAILQ_FIRST(&listener->sockets)) != NULL) {
		if (socket->prepared == NULL) {
			listener->changed = true;
			listener_let_go(listener, socket);
			continue;
		}
		STAILQ_REMOVE_HEAD(&listener->sockets, next);
		if (socket->primary != NULL)
			STAILQ_INSERT_TAIL(
			    &socket->prepared->siblings, socket, next);
	}
}

static void
take_socket(struct listener *listener, struct reload_socket *s)
{
	struct proxy *proxy = listener->proxy;
	struct listener_socket *socket = s->socket, *sibling;

	if (s->fresh || socket->listener != listener ||
	    socket->place != listener_place(s->item->config))
		listener->changed = true;
	socket->listener = listener;
	socket->config = s->config;
	socket->prepared = NULL;
	if (socket->siblings == 0)
		socket->place = listener_place(s->item->config);
	if (s->fd == -1) {
		socket->wanted = s->address;
		socket->wanted_port = s->port;
	}
	if (s->passed >= 0) {
		socket->passed = proxy->passed[s->passed].name;
		(void)close(proxy->passed[s->passed].fd);
		proxy->passed[s->passed].fd = -1;
	}
	STAILQ_INSERT_TAIL(&listener->sockets, socket, next);
	while ((sibling = STAILQ_FIRST(&s->siblings)) != NULL) {
		STAILQ_REMOVE_HEAD(&s->siblings, next);
		sibling->listener = listener;
		sibling->config = s->config;
		sibling->prepared = NULL;
		STAILQ_INSERT_TAIL(&listener->sockets, sibling, next);
	}
}

static void
put_in_force(struct reload_item *item)
{
	struct listener *listener = item->listener;
	struct config *old = listener->config->owner;
	struct listener_socket *socket;
	struct reload_socket *s;
	struct log_file *log = listener->access_log;

	STAILQ_FOREACH(s, &item->sockets, next)
	take_socket(listener, s);
	/* A worker's are the master's, which tells of those that change. */
	if (proxy_is_worker(listener->proxy))
		STAILQ_FOREACH(socket, &listener->sockets, next)
	socket->config = NULL;
	listener->access_log = item->access_log;
	item->access_log = log;
	listener->config = item->config;
	(void)config_ref(item->config->owner);
	config_unref(old);
	if (listener->gone)
		listener->gone = listener->closed = false;
	STAILQ_FOREACH(s, &item->sockets, next)
	if (s->fresh && weir_server_listening(s->socket->server))
		listener_socket_log(s->socket);
	listener_changed(listener);
	STAILQ_FOREACH(s, &item->sockets, next)
	if (weir_server_listening(s->socket->server))
		listener_add_siblings(s->socket);
	if (listener->proxy->accepting)
		listener_unpause(listener, PAUSE_START);
	if (listener->changed)
		listener_sockets_changed(listener);
}

static void
retire(struct listener *listener)
{
	struct session *session;

	if (listener->gone)
		return;
	listener->gone = listener->closed = true;
	listener->down = false;
	if (!proxy_is_worker(listener->proxy))
		board_listener_gone(listener->proxy->board, listener->row);
	/* Nobody can come any more to be the second of a pair. */
	while ((session = TAILQ_FIRST(&listener->waiting)) != NULL)
		session_destroy(session, END_DRAIN);
}

void
proxy_reload_commit(struct proxy_reload *reload)
{
	struct proxy *proxy = reload->proxy;
	struct listener **old = proxy->listeners;
	size_t i, count = 0, old_count = proxy->listener_count;

	for (i = 0; i < reload->item_count; i++) {
		reload->items[i].listener->stays = true;
		reload->listeners[count++] = reload->items[i].listener;
	}
	for (i = 0; i < old_count; i++) {
		if (!old[i]->stays || !proxy_is_worker(proxy))
			part_with_sockets(old[i]);
		if (!old[i]->stays) {
			retire(old[i]);
			reload->listeners[count++] = old[i];
		}
	}
	proxy->listeners = reload->listeners;
	proxy->listener_count = count;
	reload->listeners = old;
	config_unref(proxy->config);
	proxy->config = config_ref(reload->config);
	for (i = 0; i < reload->item_count; i++) {
		reload->items[i].listener->stays = false;
		put_in_force(&reload->items[i]);
	}
	proxy_note_limits(proxy);
	reload_free_all(reload);
	proxy_sweep_soon(proxy);
	proxy_watch_down(proxy);
	proxy_check_down(proxy);
	proxy_changed(proxy);
}

/* ---- what is not in force ---- */

struct telling {
	void (*fn)(const char *, const char *, const char *, void *);
	void *user;
	const char *listener;
};

static void
tell_refused(const char *key, int why, void *user)
{
	const struct telling *telling = user;

	telling->fn(telling->listener, key,
	    why == -ENOTSUP ? "it is settled when the socket is bound"
			    : weir_error_text(why),
	    telling->user);
}

/* By name; NULL for want of memory. */
static struct map *
map_listeners(const struct config *config)
{
	struct map *map = map_new();
	size_t i;

	for (i = 0; i < config->listener_count && map != NULL; i++)
		if (map_put(map, config->listeners[i]->name,
			config->listeners[i]) < 0) {
			map_free(map);
			map = NULL;
		}
	return map;
}

int
proxy_each_refused(const struct proxy *proxy, const struct config *config,
    void (*fn)(const char *, const char *, const char *, void *), void *user)
{
	struct telling telling = {fn, user, NULL};
	struct map *map = map_listeners(config);
	const struct config_listener *to;
	size_t i;

	if (map == NULL)
		return -ENOMEM;
	for (i = 0; i < proxy->listener_count; i++) {
		telling.listener = proxy->listeners[i]->config->name;
		to = map_get(map, telling.listener);
		if (to != NULL && !proxy->listeners[i]->gone)
			bind_each_refused(proxy->listeners[i], to,
			    config == proxy->config, tell_refused, &telling);
	}
	map_free(map);
	return 0;
}
