/*
 * The options of listening sockets, one key of the configuration each. What a
 * bound socket can be given it gets while it listens; what it cannot, stays
 * known as not being so, for as long as it is not.
 */
#include "config.h"

#include "proxy/listener_bind.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "proxy/proxy_priv.h"

static const char *const names[BIND_KEYS] = {
    [BIND_BACKLOG] = "backlog",
    [BIND_IPV6_ONLY] = "ipv6_only",
    [BIND_REUSE_PORT] = "reuse_port",
    [BIND_TRANSPARENT] = "transparent",
    [BIND_FREEBIND] = "freebind",
    [BIND_FAST_OPEN] = "fast_open",
    [BIND_DEFER_ACCEPT] = "defer_accept",
    [BIND_INTERFACE] = "interface",
    [BIND_MARK] = "mark",
    [BIND_UNIX_MODE] = "unix_mode",
    [BIND_UNIX_USER] = "unix_user",
    [BIND_UNIX_GROUP] = "unix_group",
};

void
bind_options(
    struct weir_listen_options *ret, const struct config_listener *config)
{
	*ret = (struct weir_listen_options){
	    .backlog = config->backlog,
	    .ipv6_only = config->ipv6_only,
	    .reuse_port = config->reuse_port,
	    .transparent = config->transparent,
	    .freebind = config->freebind,
	    .fast_open = config->fast_open,
	    .defer_accept = config->defer_accept,
	    .interface = config->interface,
	    .mark = config->mark,
	    .replace_stale = true,
	    .set_mode = true,
	    .mode = config->unix_mode,
	    .set_uid = config->unix_user_set,
	    .uid = config->unix_user,
	    .set_gid = config->unix_group_set,
	    .gid = config->unix_group,
	};
}

void
bind_server_options(
    struct weir_server_options *ret, const struct config_listener *config)
{
	*ret = (struct weir_server_options){
	    .allow_half_open = config->allow_half_open,
	    .no_delay = config->no_delay,
	    .keep_alive = config->keep_alive_ms > 0,
	    .keep_alive_initial_delay_ms = config->keep_alive_ms,
	    .keep_alive_interval_ms = config->keep_alive_interval_ms,
	    .keep_alive_count = config->keep_alive_count,
	    .user_timeout_ms = config->user_timeout_ms,
	};
}

static void
keep_interface(struct bind_state *state, const char *interface)
{
	(void)snprintf(state->interface, sizeof(state->interface), "%s",
	    interface != NULL ? interface : "");
	state->options.interface =
	    state->interface[0] != '\0' ? state->interface : NULL;
}

void
bind_note(struct bind_state *state, const struct weir_listen_options *options)
{
	*state = (struct bind_state){.options = *options};
	keep_interface(state, options->interface);
}

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static bool
same(enum bind_key key, const struct weir_listen_options *a,
    const struct weir_listen_options *b)
{
	switch (key) {
	case BIND_BACKLOG:
		return a->backlog == b->backlog;
	case BIND_IPV6_ONLY:
		return a->ipv6_only == b->ipv6_only;
	case BIND_REUSE_PORT:
		return a->reuse_port == b->reuse_port;
	case BIND_TRANSPARENT:
		return a->transparent == b->transparent;
	case BIND_FREEBIND:
		return a->freebind == b->freebind;
	case BIND_FAST_OPEN:
		return a->fast_open == b->fast_open;
	case BIND_DEFER_ACCEPT:
		return a->defer_accept == b->defer_accept;
	case BIND_INTERFACE:
		return same_text(a->interface, b->interface);
	case BIND_MARK:
		return a->mark == b->mark;
	case BIND_UNIX_MODE:
		return a->mode == b->mode;
	case BIND_UNIX_USER:
		return a->set_uid == b->set_uid && a->uid == b->uid;
	case BIND_UNIX_GROUP:
		return a->set_gid == b->set_gid && a->gid == b->gid;
	case BIND_KEYS:
		break;
	}
	return true;
}

static void
copy(enum bind_key key, struct weir_listen_options *to,
    const struct weir_listen_options *from)
{
	switch (key) {
	case BIND_BACKLOG:
		to->backlog = from->backlog;
		break;
	case BIND_IPV6_ONLY:
		to->ipv6_only = from->ipv6_only;
		break;
	case BIND_REUSE_PORT:
		to->reuse_port = from->reuse_port;
		break;
	case BIND_TRANSPARENT:
		to->transparent = from->transparent;
		break;
	case BIND_FREEBIND:
		to->freebind = from->freebind;
		break;
	case BIND_FAST_OPEN:
		to->fast_open = from->fast_open;
		break;
	case BIND_DEFER_ACCEPT:
		to->defer_accept = from->defer_accept;
		break;
	case BIND_INTERFACE:
		to->interface = from->interface;
		break;
	case BIND_MARK:
		to->mark = from->mark;
		break;
	case BIND_UNIX_MODE:
		to->mode = from->mode;
		break;
	case BIND_UNIX_USER:
		to->set_uid = from->set_uid;
		to->uid = from->uid;
		break;
	case BIND_UNIX_GROUP:
		to->set_gid = from->set_gid;
		to->gid = from->gid;
		break;
	case BIND_KEYS:
		break;
	}
}

/* Whether the key is about sockets of this kind at all. What is inherited has
 * the options of its maker. */
static bool
concerns(enum bind_key key, const struct listener_socket *socket)
{
	bool is_unix = socket->address.length > 0 &&
		       socket->address.u.sa.sa_family == AF_UNIX;

	if (key == BIND_BACKLOG)
		return true;
	if (socket->fd != -1)
		return false;
	return is_unix == (key >= BIND_UNIX_MODE);
}

/* Why a socket that is bound cannot be given it, as far as that is known
 * without trying; or 0. */
static int
impossible(enum bind_key key, const struct listener_socket *socket)
{
	if (key == BIND_IPV6_ONLY &&
	    (socket->address.length == 0 ||
		socket->address.u.sa.sa_family == AF_INET6))
		return -ENOTSUP;
	return 0;
}

static int
try(struct listener_socket *socket, enum bind_key key,
    const struct weir_listen_options *wanted)
{
	struct weir_listen_options options = socket->bound.options;
	int err = impossible(key, socket);

	copy(key, &options, wanted);
	if (err == 0)
		err = weir_server_set_listen_options(socket->server, &options);
	if (err != 0)
		return err;
	copy(key, &socket->bound.options, wanted);
	if (key == BIND_INTERFACE)
		keep_interface(&socket->bound, wanted->interface);
	return 0;
}

void
bind_apply(struct listener_socket *socket, const struct config_listener *config)
{
	struct weir_listen_options wanted;
	enum bind_key key;

	if (weir_server_fd(socket->server) == -1)
		return;
	bind_options(&wanted, config);
	for (key = 0; key < BIND_KEYS; key++) {
		socket->bound.refused[key] = 0;
		if (concerns(key, socket) &&
		    !same(key, &socket->bound.options, &wanted))
			socket->bound.refused[key] = try(socket, key, &wanted);
	}
}

void
bind_each_refused(const struct listener *listener,
    const struct config_listener *config, bool tried,
    void (*fn)(const char *key, int why, void *user), void *user)
{
	const struct listener_socket *socket;
	struct weir_listen_options wanted;
	enum bind_key key;
	int why;

	bind_options(&wanted, config);
	for (key = 0; key < BIND_KEYS; key++) {
		why = 0;
		STAILQ_FOREACH(socket, &listener->sockets, next)
		if (why == 0 && weir_server_fd(socket->server) != -1 &&
		    concerns(key, socket) &&
		    !same(key, &socket->bound.options, &wanted))
			why = socket->bound.refused[key] != 0 || tried
				  ? socket->bound.refused[key]
				  : impossible(key, socket);
		if (why != 0)
			fn(names[key], why, user);
	}
}
