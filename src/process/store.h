/*
 * Listening sockets that the service manager keeps over a restart, so that
 * nobody is refused meanwhile: systemd's FDSTORE=1.
 */
#ifndef PROCESS_STORE_H
#define PROCESS_STORE_H

#include <stdbool.h>
#include <stddef.h>

#include "process/listen_fds.h"
#include "proxy/handed.h"

struct notify;
struct proxy;
struct store;

/*
 * Take what was kept out of the sockets that were passed: those are not for
 * `listen = systemd:`. *ret is the caller's. Returns 0 or -ENOMEM.
 */
int store_new(struct store **ret, struct listen_fds *passed);
void store_free(struct store *store); /* NULL is fine */

/* What was kept, for proxy_options; the store's. */
struct proxy_handed_fd *store_sockets(struct store *store, size_t *count);

/*
 * What the program before this one listened on is kept under its name, if at
 * all: store_sync() forgets what this one does not. Returns 0 or -ENOMEM.
 */
int store_inherit(
    struct store *store, const struct proxy_handed_fd *sockets, size_t count);

/* The control socket of that path, which is the caller's; -1: none was kept,
 * or its file is gone. To be asked before the proxy has the others. */
int store_control(struct store *store, const char *path);

/* What there is besides the listeners'. */
struct store_control_socket {
	const char *path; /* NULL: none */
	int fd;
};

/*
 * Have the manager keep each socket that is listened on now, but those that it
 * passed itself, and forget the others; only what has changed is said. To be
 * called once this process serves, and when that has changed. Returns 0,
 * -EAGAIN where the manager has no room for the rest now, or what it is that
 * not all can be kept for. NULL for store or notify is fine, and does nothing.
 */
int store_sync(struct store *store, struct notify *notify,
    const struct proxy *proxy, const struct store_control_socket *control);

/* Whether it was asked to keep any: their files must not be removed. */
bool store_used(const struct store *store);
/* Whether it keeps that of the control socket. */
bool store_has_control(const struct store *store);

#endif
