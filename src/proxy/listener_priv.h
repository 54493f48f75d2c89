/* What the files of a listener share: listener.c, listener_address.c and
 * listener_socket.c. */
#ifndef PROXY_LISTENER_PRIV_H
#define PROXY_LISTENER_PRIV_H

#include "proxy/listener.h"

/* ---- listener.c ---- */

/* Whether a socket of it is out of descriptors. */
bool listener_any_resting(const struct listener *listener);
/* Its state is on the board. */
void listener_publish(struct listener *listener);

/* ---- listener_socket.c ---- */

/* One thing less that is neither bound nor failed. */
void listener_settle(struct listener *listener);
void listener_log_refused(
    const struct listener *listener, const char *address, int err);

void listener_socket_set_port(struct weir_address *address, unsigned port);

/* One more address to listen on: bound, or -1 for one that is inherited; not
 * yet listening. NULL where that failed, and was logged. */
struct listener_socket *listener_insert(struct listener *listener,
    const struct config_address *config, const struct weir_address *address,
    uint16_t port, int fd);
/* It listens; what comes of it is told. */
void listener_socket_start(struct listener_socket *socket);
/* Both. */
void listener_add(struct listener *listener,
    const struct config_address *config, const struct weir_address *address,
    uint16_t port, int fd);

/* Closed, and not about to be bound. */
bool listener_socket_is_shut(const struct listener_socket *socket);
/* Bind it anew. */
void listener_socket_reopen(struct listener_socket *socket);

#endif
