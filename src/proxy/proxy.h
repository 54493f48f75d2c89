/*
 * The proxy: the listeners of a configuration and their sessions, and the
 * figures of both. What the floors above know of proxying is this header.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/address.h>

#include "config/config.h"

struct board;
struct weir_loop;
struct proxy;

/* Descriptors handed over by systemd (sd_listen_fds's protocol). */
struct proxy_passed_fd {
	int fd;		  /* the proxy's from here on; -1 once taken */
	const char *name; /* FileDescriptorName, or "unknown"; the caller's,
			   * lasting as long as the proxy */
};

struct proxy_handed_fd; /* handed.h */

struct proxy_handlers {
	/* Every listener is bound and listening. Once. */
	void (*on_ready)(struct proxy *proxy, void *user);

	/* A listener could not be bound at start; it was logged. Once, instead
	 * of on_ready. */
	void (*on_failed)(struct proxy *proxy, void *user);

	/* After proxy_drain() or proxy_stop(): no session is left; so many had
	 * to be destroyed for that. Once. */
	void (*on_drained)(struct proxy *proxy, uint64_t destroyed, void *user);

	/* Of a master: which sockets a listener has open has changed, or may
	 * have; proxy_take_sockets_changed() tells of which. */
	void (*on_sockets)(struct proxy *proxy, void *user);

	/* The number of open connections changed. */
	void (*on_change)(struct proxy *proxy, void *user);
};

/* What a proxy is made of; all of it outlives the proxy, which takes a
 * reference of its own to config. */
struct proxy_options {
	struct config *config;
	struct board *board;	  /* where its figures are */
	uint64_t max_connections; /* of all listeners and workers; 0 none */
	unsigned workers;	  /* processes that will serve; 0 is 1 */
	struct proxy_passed_fd *passed;
	size_t passed_count;
	struct proxy_handed_fd *handed; /* taken up instead of binding anew */
	size_t handed_count;
	unsigned worker; /* the slot on the board of this process */
};

/*
 * A proxy that does nothing yet. handlers and user are kept by reference. *ret
 * is the caller's. Returns 0 or an error that was logged.
 */
int proxy_new(struct proxy **ret, struct weir_loop *loop,
    const struct proxy_options *options, const struct proxy_handlers *handlers,
    void *user);

/* Bind and listen on everything; on_ready or on_failed tells how it went.
 * Connections are not accepted before proxy_accept(). */
void proxy_start(struct proxy *proxy);

/* Leave clients in the backlog, for another program that shares the sockets;
 * and accept again. proxy_release() leaves it the sockets for good. */
void proxy_hold(struct proxy *proxy, bool on);
void proxy_release(struct proxy *proxy);

/* So many sessions more (or fewer) of another process may be this one's in a
 * moment: until they are, or are not, draining does not end. */
void proxy_expect(struct proxy *proxy, int sessions);

/* Sockets that were taken up are no other program's any more: their files are
 * removed at the end. */
void proxy_own_paths(struct proxy *proxy);

/* Begin to accept (after privileges were given up). */
void proxy_accept(struct proxy *proxy);

/*
 * Stop accepting and let open connections end; what is left after timeout_ms
 * (0: never) is destroyed. on_drained tells when it is over. Called again:
 * nothing. proxy_stop() destroys what is left at once.
 */
void proxy_drain(struct proxy *proxy, uint64_t timeout_ms);
void proxy_stop(struct proxy *proxy);
bool proxy_draining(const struct proxy *proxy);

/* ---- workers ---- */

/* Around a fork, by the master: no lookup is under way in between. */
void proxy_before_fork(struct proxy *proxy);
void proxy_after_fork(struct proxy *proxy);

/*
 * In a child that was just forked from a master, whose loop had its
 * weir_loop_after_fork(): serve in that slot of the board, as the worker that
 * has that place (0 … workers - 1) among those that serve at a time. What only
 * one of them accepts from is the first one's, and with reuse_port each place
 * has a socket.
 */
void proxy_be_worker(struct proxy *proxy, unsigned slot, unsigned place);

/* So many processes serve: the sockets that each has for itself are made, or
 * let go. */
void proxy_set_workers(struct proxy *proxy, unsigned workers);

/* max_connections of all listeners together; 0: none. */
void proxy_set_max_connections(struct proxy *proxy, uint64_t max);

/* In a master: whether the sockets of a listener have changed since this was
 * last called. */
bool proxy_take_sockets_changed(struct proxy *proxy, size_t index);

/* In a master: the open sockets of a listener, and the place of the worker
 * that accepts from it, or -1 for all. */
void proxy_each_socket(const struct proxy *proxy, size_t index,
    void (*fn)(int fd, int place, void *user), void *user);

/*
 * In a worker: what the master has open now, in one or more calls of which the
 * first one begins anew. The descriptors are the proxy's. A listener that is
 * not known (any more), or a proxy that drains, closes them.
 */
void proxy_adopt_sockets(struct proxy *proxy, const char *listener, bool begin,
    const int *fds, const int *places, size_t count);

/* Whether a socket that was given up still accepts those that waited. */
bool proxy_is_closing(const struct proxy *proxy);

/* Close and free everything; NULL is fine. */
void proxy_free(struct proxy *proxy);

/* How many descriptors one connection takes at most under this
 * configuration, and so many are kept for everything else. */
size_t proxy_fds_per_connection(const struct config *config);
size_t proxy_fds_reserved(const struct config *config);

/* ---- figures ---- */

enum listener_state {
	LISTENER_STARTING,
	LISTENER_OPEN,	  /* accepting */
	LISTENER_WAITING, /* at a limit: clients wait in the backlog */
	LISTENER_RESTING, /* out of descriptors */
	LISTENER_CLOSED,  /* by weirctl, or while draining */
};

/* The state as contract's text: "starting", "open", "waiting", "resting",
 * "closed". */
const char *listener_state_text(enum listener_state state);

struct listener_figures {
	const char *name;
	const char *mode; /* "echo", "forward", "pipe" */
	enum listener_state state;
	uint64_t connections, connections_peak, max_connections;
	uint64_t accepted, rejected, denied, closed, errors, timeouts;
	uint64_t bytes_in, bytes_out;
	uint64_t buffered; /* bytes held in user memory now */
};

/* `buffered` of this process goes to the board, where those of the others
 * are; proxy_listener_figures() does that for the process that asks. */
void proxy_publish(const struct proxy *proxy);

size_t proxy_listener_count(const struct proxy *proxy);
void proxy_listener_figures(
    const struct proxy *proxy, size_t index, struct listener_figures *ret);

/* The addresses it is bound to; calls fn for each, as weir_address_text(). */
void proxy_listener_addresses(const struct proxy *proxy, size_t index,
    void (*fn)(const char *address, void *user), void *user);

/* The configuration that is in force; the proxy's. */
struct config *proxy_config(const struct proxy *proxy);

/* Every listening socket: of which listener, its address as configured, and
 * whether it was inherited by that; fn's to look at. */
void proxy_each_listening(const struct proxy *proxy,
    void (*fn)(const char *listener, const char *text, int fd, bool inherited,
	void *user),
    void *user);

/* The index of a listener by name; -1 where there is none. */
long proxy_find_listener(const struct proxy *proxy, const char *name);

/* Call fn with the open connections of each listener, all workers together. */
void proxy_each_listener(const struct proxy *proxy,
    void (*fn)(const char *listener, uint64_t connections, void *user),
    void *user);

/* Of all workers. */
uint64_t proxy_connections(const struct proxy *proxy);
uint64_t proxy_uptime_s(const struct proxy *proxy);

struct session_figures {
	uint64_t id;
	const char *listener;
	const char *client; /* address as text */
	const char *server; /* address last tried, or "-" */
	double age_s, idle_s;
	uint64_t bytes_in, bytes_out;
	/* "handshake", "connecting", "waiting" (pipe = peer), "open",
	 * "half-closed", "closing" */
	const char *state;
};

/* Call fn for each open connection, of one listener or (index < 0) of all;
 * the figures last until fn returns. */
void proxy_each_session(const struct proxy *proxy, long index,
    void (*fn)(const struct session_figures *figures, void *user), void *user);

/*
 * A walk over the open connections of one listener or (NULL) of all, oldest
 * first, some at a time, as a list of many takes long. It ends before the
 * proxy. *ret is the caller's. Returns 0 or -ENOMEM.
 */
struct proxy_walk;
int proxy_walk_new(
    struct proxy_walk **ret, struct proxy *proxy, const char *listener);

/* Call fn for up to so many more, as proxy_each_session() does. False where it
 * has come to the end. */
bool proxy_walk_next(struct proxy_walk *walk, size_t most,
    void (*fn)(const struct session_figures *figures, void *user), void *user);
void proxy_walk_free(struct proxy_walk *walk);

/* ---- control ---- */

/* Destroy the connection of that id. Returns 0, or -ENOENT. */
int proxy_kill(struct proxy *proxy, uint64_t id);

/*
 * Close the listening sockets of a listener, so that clients are refused
 * (inherited ones are only not accepted from), and open them again; a failure
 * to bind again is logged. Open connections go on either way.
 * Returns 0, -ENOENT, -EALREADY, -EBUSY while draining; or -EHOSTDOWN of one
 * that when_down keeps closed, and that opens by itself.
 */
int proxy_listener_close(struct proxy *proxy, const char *name);
int proxy_listener_open(struct proxy *proxy, const char *name);

/* What came of the latter, which is known after a turn of the loop: 0,
 * -EINPROGRESS until then, -ENOTCONN where an address could not be bound,
 * -ECANCELED where it is closed again, or -ENOENT where it is gone. */
int proxy_listener_opened(const struct proxy *proxy, const char *name);

/* Call fn for each of its addresses that is not bound: why, and the pause until
 * it is tried again (0: it is not). address lasts until fn returns. */
void proxy_listener_each_unbound(const struct proxy *proxy, const char *name,
    void (*fn)(const char *address, int err, uint64_t retry_ms, void *user),
    void *user);

/* Log the figures of each listener (SIGUSR1). */
void proxy_log_figures(const struct proxy *proxy);

#endif
