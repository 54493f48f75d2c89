/*
 * One configured listener: its sockets, who may come, how many, how fast, and
 * the sessions that came.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <sys/queue.h>

#include "proxy/proxy.h"
#include "proxy/sources.h"

struct listener;
struct log_file;
struct session;
struct weir_lookup;
struct weir_server;
struct weir_timer;

/* Why its sockets are paused. */
enum {
	PAUSE_START = 1 << 0,  /* proxy_accept() has not been called */
	PAUSE_LIMIT = 1 << 1,  /* at a limit, and on_limit = wait */
	PAUSE_RATE = 1 << 2,   /* max_rate */
	PAUSE_CLOSED = 1 << 3, /* closed by weirctl (inherited sockets) */
};

/* One address that it is bound to. */
struct listener_socket {
	struct listener *listener;
	struct weir_server *server;
	struct weir_address address; /* length 0: any, or inherited */
	uint16_t port;		     /* any */
	int fd;			     /* inherited; else -1 */
	const struct config_address *config;
	struct weir_timer *retry; /* bind_retry; or NULL */
	bool starting, retrying, open;
	bool resting; /* out of descriptors */
	STAILQ_ENTRY(listener_socket) next; /* listener.sockets */
};

/* A listen address whose name is being resolved. */
struct listener_lookup {
	struct listener *listener;
	const struct config_address *config;
	struct weir_lookup *lookup;
	STAILQ_ENTRY(listener_lookup) next; /* listener.lookups */
};

struct listener {
	struct proxy *proxy;
	struct config_listener *config;
	STAILQ_HEAD(, listener_socket) sockets;
	STAILQ_HEAD(, listener_lookup) lookups;
	unsigned starting; /* sockets and lookups that are not settled */
	bool failed;	   /* one of them could not be bound */
	bool closed;	   /* by weirctl, or by draining */
	unsigned paused;   /* PAUSE_... */

	TAILQ_HEAD(, session) sessions;
	TAILQ_HEAD(, session) waiting; /* pipe = peer: the first of a pair */
	struct sources sources;
	struct log_file *access_log; /* or NULL */

	/* max_rate: a bucket that fills at so many a second. */
	double rate_tokens;
	uint64_t rate_counted_ms;
	struct weir_timer *rate_timer;

	bool upstream_failing; /* said so; not again until it works */

	uint64_t connections, connections_peak;
	uint64_t accepted, rejected, denied, closed_count, errors, timeouts;
	uint64_t bytes_in, bytes_out; /* of sessions that have ended */
};

int listener_new(
    struct listener **ret, struct proxy *proxy, struct config_listener *config);
void listener_free(struct listener *listener);

/* Bind all; proxy_listener_settled() is called when it is decided. */
void listener_start(struct listener *listener);

void listener_pause(struct listener *listener, unsigned why);
void listener_unpause(struct listener *listener, unsigned why);

/* Close its sockets; clients are refused. Inherited ones are closed only when
 * it is for good. */
void listener_shut(struct listener *listener, bool for_good);
/* Open them again. */
void listener_reopen(struct listener *listener);

/* At start: whether something of it is neither bound nor failed, nor waits
 * for an address that is in use. */
bool listener_unsettled(const struct listener *listener);

/* Whether a socket of it is still open. */
bool listener_open(const struct listener *listener);

/* A session of it has ended. */
void listener_session_ended(struct listener *listener, struct session *session);

/* Room has come: of this listener's or all listeners' limit. */
void listener_check_limit(struct listener *listener);

enum listener_state listener_get_state(const struct listener *listener);

#endif
