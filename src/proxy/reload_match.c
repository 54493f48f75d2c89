/*
 * Which sockets a new configuration is to have, and which of them are there.
 *
 * A socket is the same when it is bound to the same address, whatever the
 * listener's name: one that goes from a listener to another keeps who waits in
 * its backlog. Ports that the system picked are the same within one listener
 * only. All are found by their text in a table, so that many listeners cost no
 * more than their number.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolve.h>

#include "log/log.h"
#include "proxy/proxy_priv.h"
#include "proxy/reload_priv.h"
#include "util/map.h"

/* ---- which there are to be ---- */

static struct reload_socket *
want(struct reload_item *item, const struct config_address *config,
    const struct weir_address *address, uint16_t port)
{
	struct reload_socket *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		reload_mistake(item->reload, NULL, "no memory");
		return NULL;
	}
	s->item = item;
	s->config = config;
	s->port = port;
	s->fd = -1;
	s->passed = -1;
	STAILQ_INIT(&s->siblings);
	if (address != NULL)
		s->address = *address;
	STAILQ_INSERT_TAIL(&item->sockets, s, next);
	return s;
}

static void
want_range(struct reload_item *item, const struct config_address *config,
    const struct weir_address *address)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address each;
	unsigned port;

	for (port = endpoint->port_first; port <= endpoint->port_last; port++) {
		if (address == NULL) {
			(void)want(item, config, NULL, (uint16_t)port);
			continue;
		}
		each = *address;
		each.u.in.sin_port = htons((uint16_t)port);
		(void)want(item, config, &each, 0);
	}
}

/* The sockets that it is known to be, where the name cannot be looked up
 * now. */
static bool
want_as_before(struct reload_item *item, const struct config_address *config)
{
	const struct listener_socket *socket;
	bool any = false;

	if (item->added)
		return false;
	STAILQ_FOREACH(socket, &item->listener->sockets, next)
	{
		if (strcmp(socket->config->text, config->text) != 0 ||
		    socket->wanted.length == 0)
			continue;
		any = true;
		(void)want(item, config, &socket->wanted, 0);
	}
	return any;
}

static void
not_found(
    struct reload_item *item, const struct config_address *config, int err)
{
	if (want_as_before(item, config))
		log_warn("cannot look up the name, its addresses stay",
		    LOG_T("listener", item->config->name),
		    LOG_T("address", config->text),
		    LOG_T("error", weir_error_text(err)));
	else
		reload_mistake(item->reload, &config->origin,
		    "listen: cannot look up %s: %s", config->text,
		    weir_error_text(err));
}

static void
on_resolved(
    int err, const struct weir_address *addresses, size_t count, void *user)
{
	struct reload_lookup *lookup = user;
	struct reload_item *item = lookup->item;
	const struct config_address *config = lookup->config;
	size_t i, j;

	STAILQ_REMOVE(&item->reload->lookups, lookup, reload_lookup, next);
	free(lookup);
	if (err != 0)
		not_found(item, config, err);
	for (i = 0; i < count; i++) {
		/* A name may be told to have one address twice. */
		for (j = 0; j < i; j++)
			if (weir_address_equal(&addresses[i], &addresses[j]))
				break;
		if (j == i)
			want_range(item, config, &addresses[i]);
	}
	reload_one_done(item->reload);
}

static void
look_up(struct reload_item *item, const struct config_address *config)
{
	struct reload_lookup *lookup = calloc(1, sizeof(*lookup));
	int err = -ENOMEM;

	if (lookup != NULL) {
		lookup->item = item;
		lookup->config = config;
		err = weir_resolve(&lookup->lookup, item->reload->proxy->loop,
		    config->endpoint.name, config->endpoint.port_first,
		    item->config->ipv6_only ? 6 : 0, on_resolved, lookup);
	}
	if (err != 0) {
		free(lookup);
		not_found(item, config, err);
		return;
	}
	STAILQ_INSERT_TAIL(&item->reload->lookups, lookup, next);
	item->reload->waiting++;
}

/* Whether it is one of systemd's of that name; of one that came by way of
 * another program only the name in the configuration is known. */
static bool
is_passed(const struct listener_socket *socket, const char *name)
{
	const struct weir_endpoint *endpoint = &socket->config->endpoint;

	if (socket->passed != NULL)
		return *name == '\0' || strcmp(name, socket->passed) == 0;
	return socket->fd != -1 && endpoint->kind == WEIR_ENDPOINT_SYSTEMD &&
	       strcmp(name, endpoint->name) == 0;
}

/* Those of systemd's that have that name and are not another's already. */
static void
want_passed(struct reload_item *item, const struct config_address *config)
{
	struct proxy *proxy = item->reload->proxy;
	const char *name = config->endpoint.name;
	struct listener_socket *socket;
	struct reload_socket *s;
	bool any = false;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
		{
			if (socket->prepared != NULL ||
			    !is_passed(socket, name))
				continue;
			s = want(item, config, NULL, 0);
			if (s == NULL)
				return;
			any = true;
			s->fd = socket->fd;
			s->socket = socket;
			socket->prepared = s;
		}
	for (i = 0; i < proxy->passed_count; i++) {
		if (proxy->passed[i].fd == -1 ||
		    (*name != '\0' && strcmp(name, proxy->passed[i].name) != 0))
			continue;
		s = want(item, config, NULL, 0);
		if (s == NULL)
			return;
		any = true;
		s->passed = (long)i;
	}
	if (!any)
		reload_mistake(item->reload, &config->origin,
		    "listen: %s: no socket of that name was passed when weir "
		    "was started",
		    config->text);
}

static void
expand_one(struct reload_item *item, const struct config_address *config)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address address;
	struct reload_socket *s;

	switch (endpoint->kind) {
	case WEIR_ENDPOINT_FD:
		s = want(item, config, NULL, 0);
		if (s != NULL)
			s->fd = endpoint->fd;
		break;
	case WEIR_ENDPOINT_SYSTEMD:
		want_passed(item, config);
		break;
	case WEIR_ENDPOINT_UNIX:
		(void)weir_endpoint_address(endpoint, &address);
		(void)want(item, config, &address, 0);
		break;
	case WEIR_ENDPOINT_TCP:
		if (endpoint->name[0] == '\0')
			want_range(item, config, NULL);
		else if (weir_endpoint_address(endpoint, &address) == 0)
			want_range(item, config, &address);
		else
			look_up(item, config);
		break;
	case WEIR_ENDPOINT_SRV: /* is not for listen */
		break;
	}
}

void
reload_expand(struct proxy_reload *reload)
{
	struct reload_item *item;
	size_t i, j;

	for (i = 0; i < reload->item_count; i++) {
		item = &reload->items[i];
		for (j = 0; j < item->config->listen_count; j++)
			expand_one(item, &item->config->listen[j]);
	}
}

/* ---- which there are ---- */

/* Longer than any of WEIR_ADDRESS_TEXT, "*:80" and "fd:3". */
#define KEY_SIZE (WEIR_ADDRESS_TEXT + 16)

static const char *
key_of(const struct weir_address *address, uint16_t port, int fd, char *key)
{
	if (fd != -1)
		(void)snprintf(key, KEY_SIZE, "fd:%d", fd);
	else if (address->length == 0)
		(void)snprintf(key, KEY_SIZE, "*:%u", (unsigned)port);
	else
		(void)weir_address_text(address, key, KEY_SIZE);
	return key;
}

static int
add_known(struct map *map, struct listener_socket *socket)
{
	struct weir_address bound;
	char key[KEY_SIZE];

	/* Its number is another one where it came from another program. */
	if (socket->fd != -1 &&
	    socket->config->endpoint.kind != WEIR_ENDPOINT_FD)
		return 0;
	if (map_put(map,
		key_of(&socket->address, socket->port,
		    socket->fd != -1 ? socket->config->endpoint.fd : -1, key),
		socket) < 0)
		return -ENOMEM;
	/* Any address is [::], or 0.0.0.0, by another name. */
	if (socket->fd != -1 || socket->address.length > 0 ||
	    weir_server_address(socket->server, &bound) != 0)
		return 0;
	return map_put(map, key_of(&bound, 0, -1, key), socket) < 0 ? -ENOMEM
								    : 0;
}

static int
fill(struct map *map, const struct proxy *proxy)
{
	struct listener_socket *socket;
	size_t i;

	for (i = 0; i < proxy->listener_count; i++)
		STAILQ_FOREACH(socket, &proxy->listeners[i]->sockets, next)
	if (socket->primary == NULL && add_known(map, socket) != 0)
		return -ENOMEM;
	return 0;
}

/* Whether it can serve for what is wanted as it is: it listens, or its
 * listener is closed and stays so. */
static bool
serves(const struct listener_socket *socket, const struct reload_socket *s)
{
	bool same = socket->listener == s->item->listener;

	if (socket->prepared != NULL)
		return false;
	if (weir_server_listening(socket->server))
		return true;
	return same && (socket->listener->closed ||
			   (socket->retry != NULL &&
			       weir_timer_running(socket->retry)));
}

/* A port that the system picked, of the same listener. */
static struct listener_socket *
find_picked(const struct reload_socket *s)
{
	struct listener_socket *socket;

	if (s->item->added)
		return NULL;
	STAILQ_FOREACH(socket, &s->item->listener->sockets, next)
	{
		if (socket->fd != -1 || !serves(socket, s))
			continue;
		if (s->address.length == 0
			? socket->wanted.length == 0 && socket->wanted_port == 0
			: socket->wanted.length > 0 &&
			      weir_address_equal(&socket->wanted, &s->address))
			return socket;
	}
	return NULL;
}

static bool
is_picked(const struct reload_socket *s)
{
	return s->fd == -1 &&
	       (s->address.length == 0
		       ? s->port == 0
		       : weir_address_family(&s->address) != 0 &&
			     weir_address_port(&s->address) == 0);
}

static struct listener_socket *
find_any(const struct map *map, const struct reload_socket *s)
{
	struct listener_socket *socket;
	char key[KEY_SIZE];

	(void)snprintf(key, sizeof(key), "[::]:%u", (unsigned)s->port);
	socket = map_get(map, key);
	/* Of IPv6 alone it is another one. */
	return socket != NULL && !socket->bound.options.ipv6_only ? socket
								  : NULL;
}

/* ::ffff:127.0.0.1 has the text of 127.0.0.1, and is another address. */
static bool
is_other(const struct listener_socket *socket, const struct reload_socket *s)
{
	return s->address.length > 0 && socket->address.length > 0 &&
	       !weir_address_equal(&socket->address, &s->address);
}

static void
claim(const struct map *map, struct reload_socket *s)
{
	struct listener_socket *socket;
	char key[KEY_SIZE];

	if (s->socket != NULL || s->passed >= 0)
		return;
	if (is_picked(s)) {
		socket = find_picked(s);
	} else {
		socket = map_get(map, key_of(&s->address, s->port, s->fd, key));
		if (socket == NULL && s->fd == -1 && s->address.length == 0)
			socket = find_any(map, s);
		if (socket != NULL &&
		    (!serves(socket, s) || is_other(socket, s)))
			socket = NULL;
	}
	if (socket != NULL) {
		s->socket = socket;
		socket->prepared = s;
	} else if (s->fd != -1) {
		reload_mistake(s->item->reload, &s->config->origin,
		    "listen: %s: a descriptor is inherited when weir is "
		    "started; that needs a restart",
		    s->config->text);
	}
}

void
reload_claim(struct proxy_reload *reload)
{
	struct map *map = map_new();
	struct reload_socket *s;
	size_t i;

	if (map == NULL || fill(map, reload->proxy) != 0)
		reload_mistake(reload, NULL, "no memory");
	else
		for (i = 0; i < reload->item_count; i++)
			STAILQ_FOREACH(s, &reload->items[i].sockets, next)
	claim(map, s);
	map_free(map);
}
