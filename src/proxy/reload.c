/*
 * Another configuration for a proxy that serves: prepared, put in force, or
 * given up. Promises that until it is put in force nobody can tell that it is
 * prepared, but for the new sockets, on which clients wait already; and that
 * putting it in force cannot fail. Sockets that stay are never closed, not
 * even for a moment, and those that go accept who waits first.
 *
 * What is to be read, compared and told is the floors' above.
 */
#include "config.h"

#include "proxy/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#include "log/log.h"
#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
#include "proxy/session.h"
#include "proxy/tls.h"
#include "proxy/upstream.h"
#include "util/map.h"

/* ---- mistakes ---- */

void
reload_mistake(struct proxy_reload *reload, const struct config_origin *origin,
    const char *format, ...)
{
	char **more = reallocarray(
	    reload->mistakes, reload->mistake_count + 1, sizeof(*more));
	char *text = NULL, *all = NULL;
	va_list arguments;

	reload->failed = true;
	if (more == NULL)
		return;
	reload->mistakes = more;
	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) == -1)
		text = NULL;
	va_end(arguments);
	if (text == NULL)
		return;
	if (origin != NULL && origin->file != NULL) {
		if ((origin->line > 0 ? asprintf(&all, "%s:%u: %s",
					    origin->file, origin->line, text)
				      : asprintf(&all, "%s: %s", origin->file,
					    text)) == -1)
			all = NULL;
		free(text);
		text = all;
	}
	if (text != NULL)
		reload->mistakes[reload->mistake_count++] = text;
}

size_t
proxy_reload_mistake_count(const struct proxy_reload *reload)
{
	return reload->mistake_count;
}

const char *
proxy_reload_mistake(const struct proxy_reload *reload, size_t index)
{
	return reload->mistakes[index];
}

/* ---- preparing: listeners ---- */

static void
prepare_access_log(struct reload_item *item)
{
	int err = listener_open_access_log(item->config, &item->access_log);

	if (err != 0)
		reload_mistake(item->reload, &item->config->origin,
		    "access_log: cannot open %s: %s",
		    item->config->access_log_path, weir_error_text(err));
}

/* One that was there, perhaps as one that is gone and has connections still,
 * or a new one. */
static void
prepare_listener(struct reload_item *item, const struct map *names)
{
	struct proxy *proxy = item->reload->proxy;
	int err = 0;

	item->listener = map_get(names, item->config->name);
	if (item->listener == NULL) {
		err = listener_make(&item->listener, proxy, item->config);
		item->added = err == 0;
	} else if (item->listener->gone) {
		/* Its figures go on. */
		err = (int)board_listener_row(proxy->board, item->config->name);
		err = err < 0 ? err : 0;
		item->listener->stays = true; /* it is not swept away */
	}
	if (err != 0)
		reload_mistake(item->reload, &item->config->origin, "%s",
		    listener_error_text(err));
}

static void
on_tls_mistake(
    const struct config_listener *listener, const char *text, void *user)
{
	reload_mistake(user, &listener->origin, "%s", text);
}

static void
prepare_tls(struct proxy_reload *reload)
{
	struct proxy *proxy = reload->proxy;

	if (tls_make(reload->config, board_ticket_key(proxy->board),
		proxy->workers, on_tls_mistake, reload) != 0 &&
	    !reload->failed)
		reload_mistake(reload, NULL, "no memory for TLS");
}

static int
prepare_items(struct proxy_reload *reload)
{
	struct proxy *proxy = reload->proxy;
	struct map *names = map_new();
	struct listener *listener;
	struct reload_item *item;
	size_t i;
	int err = names != NULL ? 0 : -ENOMEM;

	for (i = 0; i < proxy->listener_count && err == 0; i++) {
		listener = proxy->listeners[i];
		if (!listener->gone || !listener_idle(listener))
			err = map_put(names, listener->config->name, listener);
	}
	for (i = 0; i < reload->item_count && err == 0; i++) {
		item = &reload->items[i];
		item->reload = reload;
		item->config = reload->config->listeners[i];
		STAILQ_INIT(&item->sockets);
		prepare_access_log(item);
		prepare_listener(item, names);
	}
	map_free(names);
	return err;
}

/* ---- preparing: sockets ---- */

static void
tell(struct weir_timer *timer, void *user)
{
	struct proxy_reload *reload = user;

	(void)timer;
	reload->told = true;
	reload->prepared(reload, !reload->failed, reload->user);
}

static void open_sockets(struct proxy_reload *reload);

/* One thing less to wait for. */
static void
one_done(struct proxy_reload *reload)
{
	if (--reload->waiting > 0)
		return;
	if (!reload->opening && !reload->failed) {
		reload->opening = true;
		open_sockets(reload);
		return;
	}
	if (weir_timer_start(reload->timer, 0) != 0)
		tell(reload->timer, reload);
}

void
reload_lookup_done(struct proxy_reload *reload)
{
	one_done(reload);
}

static void
cannot_listen(struct reload_socket *s, int err)
{
	char text[WEIR_ADDRESS_TEXT];

	reload_mistake(s->item->reload, &s->config->origin,
	    "listen: cannot listen on %s: %s",
	    s->socket != NULL
		? listener_socket_text(s->socket, text, sizeof(text))
		: s->config->text,
	    weir_error_text(err));
}

/* Whether a socket that is about to be closed has the port of another. */
static bool
is_in_the_way(
    const struct listener_socket *socket, const struct listener_socket *of)
{
	uint16_t port =
	    of->address.length > 0 ? weir_address_port(&of->address) : of->port;
	uint16_t other = socket->address.length > 0
			     ? weir_address_port(&socket->address)
			     : socket->port;

	return socket->prepared == NULL && socket->fd == -1 && port != 0 &&
	       port == other && weir_server_listening(socket->server);
}

/*
 * *:80 becomes 127.0.0.1:80: the new socket is bound beside the old one, which
 * is let by SO_REUSEPORT for the time that both are there.
 */
static bool
make_way(struct proxy_reload *reload, const struct listener_socket *of)
{
	struct proxy *proxy = reload->proxy;
	struct weir_listen_options options;
	struct listener_socket *socket;
	bool any = false;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
		{
			if (!is_in_the_way(socket, of))
				continue;
			options = socket->bound.options;
			options.reuse_port = true;
			any = weir_server_set_listen_options(
				  socket->server, &options) == 0 ||
			      any;
		}
	reload->any_beside = reload->any_beside || any;
	return any;
}

static void
listen_on(struct reload_socket *s)
{
	struct listener_socket *socket = s->socket;
	int err;

	weir_server_free(socket->server);
	socket->server = NULL;
	err = listener_socket_make_server(socket, s->item->config);
	if (err != 0) {
		cannot_listen(s, err);
		return;
	}
	s->waiting = true;
	s->item->reload->waiting++;
	listener_socket_listen(socket, s->item->config);
}

bool
reload_socket_done(struct reload_socket *s, int err)
{
	struct proxy_reload *reload = s->item->reload;

	if (!s->waiting)
		return s->fresh;
	s->waiting = false;
	if (err == -EADDRINUSE && !s->socket->beside &&
	    make_way(reload, s->socket)) {
		s->socket->beside = true;
		listen_on(s);
	} else if (err != 0) {
		cannot_listen(s, err);
	}
	one_done(reload);
	return true;
}

/* A copy of one of systemd's, so that giving up loses nothing. */
static int
copy_passed(struct reload_socket *s)
{
	const struct proxy_passed_fd *passed =
	    &s->item->reload->proxy->passed[s->passed];

	s->fd = fcntl(passed->fd, F_DUPFD_CLOEXEC, 3);
	return s->fd == -1 ? -errno : 0;
}

static void
open_socket(struct reload_socket *s)
{
	int err = 0;

	if (s->socket != NULL)
		return;
	if (s->passed >= 0)
		err = copy_passed(s);
	if (err == 0)
		err = listener_socket_new(&s->socket, s->item->listener,
		    s->config, s->address.length > 0 ? &s->address : NULL,
		    s->port, s->fd);
	if (err != 0) {
		cannot_listen(s, err);
		return;
	}
	s->fresh = true;
	s->socket->prepared = s;
	if (!s->item->listener->closed || s->fd != -1)
		listen_on(s);
	else if (listener_socket_make_server(s->socket, s->item->config) != 0)
		cannot_listen(s, -ENOMEM);
}

static void
open_sockets(struct proxy_reload *reload)
{
	struct reload_socket *s;
	size_t i;

	reload->waiting++;
	if (!proxy_is_worker(reload->proxy))
		reload_claim(reload);
	for (i = 0; i < reload->item_count && !reload->failed; i++)
		STAILQ_FOREACH(s, &reload->items[i].sockets, next)
	open_socket(s);
	one_done(reload);
}

/* ---- preparing ---- */

int
proxy_reload_prepare(struct proxy_reload **ret, struct proxy *proxy,
    struct config *config, proxy_reload_prepared *prepared, void *user)
{
	struct proxy_reload *reload = calloc(1, sizeof(*reload));
	size_t count = config->listener_count;
	int err = -ENOMEM;

	if (reload == NULL)
		return -ENOMEM;
	reload->proxy = proxy;
	reload->config = config_ref(config);
	reload->prepared = prepared;
	reload->user = user;
	STAILQ_INIT(&reload->lookups);
	reload->items = calloc(count + 1, sizeof(*reload->items));
	reload->listeners = calloc(
	    count + proxy->listener_count + 1, sizeof(*reload->listeners));
	if (reload->items != NULL && reload->listeners != NULL)
		err = weir_timer_new(&reload->timer, proxy->loop, tell, reload);
	if (err == 0) {
		reload->item_count = count;
		err = prepare_items(reload);
	}
	if (err == 0)
		prepare_tls(reload);
	if (err != 0) {
		proxy_reload_abort(reload);
		return err;
	}
	*ret = reload;
	reload->waiting = 1;
	/* A worker is given its sockets by its master. */
	if (!reload->failed && !proxy_is_worker(proxy))
		reload_expand(reload);
	one_done(reload);
	return 0;
}

/* ---- servers ---- */

static int
change_servers(struct proxy *proxy, struct config *config)
{
	int err = 0;

	if (proxy->keeper != NULL)
		err = keeper_reload(proxy->keeper, config);
	return err == 0 ? upstreams_reload(proxy->upstreams, config) : err;
}

int
proxy_reload_take(struct proxy_reload *reload)
{
	struct proxy *proxy = reload->proxy;
	int err = change_servers(proxy, reload->config);

	if (err == 0) {
		reload->taken = true;
		return 0;
	}
	reload_mistake(reload, NULL, "upstreams: %s",
	    err == -ENOSPC ? "there are more than the board has rows for"
			   : weir_error_text(err));
	(void)change_servers(proxy, proxy->config);
	return err;
}

/* ---- the end ---- */

static void
free_item(struct reload_item *item)
{
	struct reload_socket *s;

	while ((s = STAILQ_FIRST(&item->sockets)) != NULL) {
		STAILQ_REMOVE_HEAD(&item->sockets, next);
		free(s);
	}
	log_file_unref(item->access_log);
}

static void
free_reload(struct proxy_reload *reload)
{
	struct reload_lookup *lookup;
	size_t i;

	while ((lookup = STAILQ_FIRST(&reload->lookups)) != NULL) {
		STAILQ_REMOVE_HEAD(&reload->lookups, next);
		weir_resolve_cancel(lookup->lookup);
		free(lookup);
	}
	for (i = 0; i < reload->item_count; i++)
		if (reload->items[i].reload != NULL)
			free_item(&reload->items[i]);
	for (i = 0; i < reload->mistake_count; i++)
		free(reload->mistakes[i]);
	free(reload->mistakes);
	free(reload->items);
	free(reload->listeners);
	weir_timer_free(reload->timer);
	config_unref(reload->config);
	free(reload);
}

/* ---- giving up ---- */

static void
give_back(struct reload_socket *s)
{
	if (s->socket == NULL)
		return;
	s->socket->prepared = NULL;
	if (s->fresh)
		listener_socket_free(s->socket);
	else if (s->passed >= 0 && s->fd != -1)
		(void)close(s->fd);
}

/* Nobody comes beside any more. */
static void
stand_alone(struct proxy *proxy)
{
	struct listener_socket *socket;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
	if (weir_server_listening(socket->server))
		(void)weir_server_set_listen_options(
		    socket->server, &socket->bound.options);
}

static void
give_back_listener(struct reload_item *item)
{
	struct proxy *proxy = item->reload->proxy;
	struct listener *listener = item->listener;

	if (listener == NULL || (!item->added && !listener->gone))
		return;
	listener->stays = false;
	if (!proxy_is_worker(proxy))
		board_listener_gone(proxy->board, listener->row);
	if (item->added)
		listener_free(listener);
}

void
proxy_reload_abort(struct proxy_reload *reload)
{
	struct reload_socket *s;
	size_t i;

	if (reload == NULL)
		return;
	for (i = 0; i < reload->item_count; i++) {
		if (reload->items[i].reload == NULL)
			continue;
		STAILQ_FOREACH(s, &reload->items[i].sockets, next)
		give_back(s);
		give_back_listener(&reload->items[i]);
	}
	if (reload->any_beside)
		stand_alone(reload->proxy);
	if (reload->taken)
		(void)change_servers(reload->proxy, reload->proxy->config);
	free_reload(reload);
}

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
	free_reload(reload);
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

void
proxy_each_listener(const struct proxy *proxy,
    void (*fn)(const char *, uint64_t, void *), void *user)
{
	const struct listener *listener;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++) {
		listener = proxy->listeners[i];
		fn(listener->config->name,
		    board_listener_connections(proxy->board, listener->row),
		    user);
	}
}

static void
set_siblings(struct listener *listener)
{
	struct listener_socket *socket, *after;
	int workers = (int)listener->proxy->workers;

	for (socket = STAILQ_FIRST(&listener->sockets); socket != NULL;
	     socket = after) {
		after = STAILQ_NEXT(socket, next);
		if (socket->primary == NULL) {
			if (weir_server_listening(socket->server))
				listener_add_siblings(socket);
			continue;
		}
		if (socket->place < workers)
			continue;
		socket->primary->siblings--;
		listener_let_go(listener, socket);
		listener_sockets_changed(listener);
	}
}

void
proxy_set_workers(struct proxy *proxy, unsigned workers)
{
	size_t i;

	if (workers == 0 || proxy->workers == workers)
		return;
	proxy->workers = workers;
	for (i = 0; i < proxy->listener_count && proxy_is_master(proxy); i++)
		set_siblings(proxy->listeners[i]);
}

void
proxy_set_max_connections(struct proxy *proxy, uint64_t max)
{
	proxy->max_connections = max;
	proxy_changed(proxy);
}
