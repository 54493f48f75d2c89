/*
 * The options of a listening socket: from the configuration, and those that
 * are in force, which a reload changes while it listens.
 */
#ifndef PROXY_LISTENER_BIND_H
#define PROXY_LISTENER_BIND_H

#include <net/if.h>

#include <stdbool.h>

#include <weir/server.h>

struct config_listener;
struct listener;
struct listener_socket;

enum bind_key {
	BIND_BACKLOG,
	BIND_IPV6_ONLY,
	BIND_REUSE_PORT,
	BIND_TRANSPARENT,
	BIND_FREEBIND,
	BIND_FAST_OPEN,
	BIND_DEFER_ACCEPT,
	BIND_INTERFACE,
	BIND_MARK,
	BIND_UNIX_MODE,
	BIND_UNIX_USER,
	BIND_UNIX_GROUP,
	BIND_KEYS,
};

/* What is in force on a socket; refused, why a key is not as configured. */
struct bind_state {
	struct weir_listen_options options;
	char interface[IF_NAMESIZE];
	int refused[BIND_KEYS]; /* 0, or the error */
};

/* As it is configured. */
void bind_options(
    struct weir_listen_options *ret, const struct config_listener *config);
void bind_server_options(
    struct weir_server_options *ret, const struct config_listener *config);

/* These are in force: the socket was bound with them. */
void bind_note(
    struct bind_state *state, const struct weir_listen_options *options);

/* Bring what is in force to what is configured, key by key. */
void bind_apply(
    struct listener_socket *socket, const struct config_listener *config);

/* The keys with which the sockets of a listener cannot become, or (tried) did
 * not become, as config has them; why is an error. */
void bind_each_refused(const struct listener *listener,
    const struct config_listener *config, bool tried,
    void (*fn)(const char *key, int why, void *user), void *user);

#endif
