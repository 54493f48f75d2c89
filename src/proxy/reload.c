/*
 * Another configuration for a proxy that serves: prepared, or given up.
 * Promises that until it is put in force (reload_commit.c) nobody can tell that
 * it is prepared, but for the new sockets, on which clients wait already.
 *
 * What is to be read, compared and told is the floors' above.
 */
#include "config.h"

#include "proxy/reload.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#include "config/tls_files.h"
#include "log/log.h"
#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
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

	const struct config_tls_shared shared = {
	    board_ticket_key(proxy->board), proxy->tls_cache};

	if (tls_make(reload->config, &shared, on_tls_mistake, reload) != 0 &&
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

/* ---- waiting ---- */

static void
tell(struct weir_timer *timer, void *user)
{
	struct proxy_reload *reload = user;

	(void)timer;
	reload->told = true;
	reload->prepared(reload, !reload->failed, reload->user);
}

void
reload_one_done(struct proxy_reload *reload)
{
	if (--reload->waiting > 0)
		return;
	if (!reload->opening && !reload->failed) {
		reload->opening = true;
		reload_open_sockets(reload);
		return;
	}
	if (weir_timer_start(reload->timer, 0) != 0)
		tell(reload->timer, reload);
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
	reload_one_done(reload);
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

void
reload_free_all(struct proxy_reload *reload)
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
	size_t i;

	if (reload == NULL)
		return;
	reload_give_back_sockets(reload);
	for (i = 0; i < reload->item_count; i++)
		if (reload->items[i].reload != NULL)
			give_back_listener(&reload->items[i]);
	if (reload->taken)
		(void)change_servers(reload->proxy, reload->proxy->config);
	reload_free_all(reload);
}
