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
 * Have the manager keep each socket that is listened on now, but those that it
 * passed itself, and forget the others. To be called once this process serves,
 * and when that has changed. NULL for either is fine, and does nothing.
 */
void store_sync(
    struct store *store, struct notify *notify, const struct proxy *proxy);

/* Whether it was asked to keep any: their files must not be removed. */
bool store_used(const struct store *store);

#endif
