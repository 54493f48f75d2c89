/*
 * The addresses of a listener: from a configured one to its sockets. A name, a
 * range and systemd's sockets may be several; what comes of each socket is
 * listener_socket.c's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>
#include <weir/resolve.h>

#include "log/log.h"
#include "proxy/listener_priv.h"
#include "proxy/proxy_priv.h"

static void
add_range(struct listener *listener, const struct config_address *config,
    const struct weir_address *address)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address each;
	unsigned port;

	for (port = endpoint->port_first; port <= endpoint->port_last; port++) {
		if (address == NULL) {
			listener_add(
			    listener, config, NULL, (uint16_t)port, -1);
			continue;
		}
		each = *address;
		listener_socket_set_port(&each, port);
		listener_add(listener, config, &each, 0, -1);
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
		listener_log_refused(listener, lookup->config->text, err);
		listener->proxy->unbound = true;
	}
	/* One that was closed meanwhile listens no more. */
	for (i = 0; i < count && !listener->closed; i++)
		if (!is_double(addresses, i))
			add_range(listener, lookup->config, &addresses[i]);
	listener_settle(listener);
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
		listener_log_refused(listener, config->text, err);
		listener->proxy->unbound = true;
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
		listener_add(listener, config, NULL, 0, fd);
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
		socket = listener_insert(listener, config, NULL, 0, fd);
		if (socket == NULL)
			continue;
		socket->passed = proxy->passed[i].name;
		listener_socket_start(socket);
	}
	if (any)
		return;
	log_error(
	    proxy->passed_count == 0
		? "no sockets were passed; start weir by a systemd socket unit"
		: "no socket of that FileDescriptorName was passed",
	    LOG_T("listener", listener->config->name),
	    LOG_T("address", config->text));
	listener->proxy->unbound = true;
}

static void
add_address(struct listener *listener, const struct config_address *config)
{
	const struct weir_endpoint *endpoint = &config->endpoint;
	struct weir_address address;

	switch (endpoint->kind) {
	case WEIR_ENDPOINT_FD:
		if (!add_handed(listener, config))
			listener_add(listener, config, NULL, 0, endpoint->fd);
		break;
	case WEIR_ENDPOINT_SYSTEMD:
		add_passed(listener, config);
		break;
	case WEIR_ENDPOINT_UNIX:
		(void)weir_endpoint_address(endpoint, &address);
		listener_add(listener, config, &address, 0, -1);
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
	listener_settle(listener);
}
