/* The proxy's state, for the files of this floor. */
#ifndef PROXY_PROXY_PRIV_H
#define PROXY_PROXY_PRIV_H

#include "proxy/listener.h"
#include "proxy/proxy.h"

struct child;
struct weir_signal;

struct proxy {
	struct weir_loop *loop;
	struct config *config;
	const struct proxy_handlers *handlers;
	void *user;
	struct proxy_passed_fd *passed;
	size_t passed_count;

	struct listener **listeners;
	size_t listener_count;
	size_t starting; /* listeners that are not bound yet */
	bool failed, ready;
	bool draining, drained;
	bool stopping; /* at once: programs are not waited for */
	struct weir_timer *drain_timer;
	uint64_t destroyed; /* sessions that draining had to end */

	uint64_t max_connections, connections;
	uint64_t next_id;
	uint64_t started_ms;

	/* exec: children that were not reaped yet. */
	uint64_t child_grace_ms;
	struct weir_signal *sigchld;
	TAILQ_HEAD(, child) children;
};

/* All of a listener's sockets are bound, or one could not be. */
void proxy_listener_settled(struct proxy *proxy);

/* A listener cannot be bound, or waits for an address that is in use: a
 * failure is told once nothing but such waiting is under way. */
void proxy_check_failed(struct proxy *proxy);

/* A session began or ended; a listening socket was closed. */
void proxy_changed(struct proxy *proxy);
void proxy_check_drained(struct proxy *proxy);

#endif
