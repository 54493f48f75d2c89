/* The proxy's state, for the files of this floor. */
#ifndef PROXY_PROXY_PRIV_H
#define PROXY_PROXY_PRIV_H

#include "proxy/board.h"
#include "proxy/deadlines.h"
#include "proxy/handed.h"
#include "proxy/listener.h"
#include "proxy/proxy.h"

struct child;
struct keeper;
struct upstreams;
struct weir_signal;
struct weir_tls_cache;

struct proxy {
	struct weir_loop *loop;
	struct config *config;
	const struct proxy_handlers *handlers;
	void *user;
	struct board *board;
	struct weir_tls_cache *tls_cache; /* of clients' sessions */
	unsigned move_turn;		  /* session_move_begin() */
	unsigned worker;		  /* this process's slot on the board */
	unsigned workers;		  /* that serve together */
	bool many; /* there are or may be several: a master's */
	int place; /* of this worker; -1: no worker */
	struct proxy_passed_fd *passed;
	size_t passed_count;
	struct proxy_handed_fd *handed;
	size_t handed_count;

	struct upstreams *upstreams;
	struct keeper *keeper;	       /* NULL in a worker */
	struct weir_timer *down_timer; /* when_down = close; or NULL */

	/* Those of config in its order; then those that are no longer in it
	 * and still have connections. */
	struct listener **listeners;
	size_t listener_count;
	struct weir_timer *sweep_timer; /* something of them may be over */
	size_t starting;		/* listeners that are not bound yet */
	bool unbound; /* something of one of them could not be bound */
	bool failed, ready;
	bool any_waits; /* on_limit = wait, of one of them */
	bool accepting; /* proxy_accept() was called */
	bool draining, drained;
	bool stopping;	   /* at once: programs are not waited for */
	bool late;	   /* drain_timer has fired */
	unsigned expected; /* sessions of another process that may come */
	struct weir_timer *drain_timer;
	uint64_t destroyed; /* sessions that draining had to end */

	uint64_t max_connections; /* of all workers */
	uint64_t connections;	  /* of this process */

	struct deadlines deadlines;	/* of the sessions */
	TAILQ_HEAD(, session) sessions; /* of all listeners, by age */
	LIST_HEAD(, proxy_walk) walks;

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

/* Take a session that has ended off proxy.sessions, and out of the way of the
 * walks over them. */
void proxy_session_ended(struct proxy *proxy, struct session *session);

/* Call fn with the figures of one. */
void proxy_tell_session(const struct proxy *proxy,
    const struct session *session,
    void (*fn)(const struct session_figures *figures, void *user), void *user);

/* Listeners whose servers are all down close, or open again. The first begins
 * to look after them, where there is one that wants it. */
void proxy_watch_down(struct proxy *proxy);
void proxy_check_down(struct proxy *proxy);
/* Whether a listener would not be closed at once for that. */
bool proxy_may_open(const struct listener *listener);

/* A session began or ended; a listening socket was closed. */
void proxy_changed(struct proxy *proxy);
/* The listeners, or their configurations, are other ones. */
void proxy_note_limits(struct proxy *proxy);
void proxy_check_drained(struct proxy *proxy);

/* The last session of a listener that is gone has ended: it is freed once
 * nobody is at work with it. */
void proxy_sweep_soon(struct proxy *proxy);

/* This process has workers that accept; or it is one of them. */
bool proxy_is_master(const struct proxy *proxy);
bool proxy_is_worker(const struct proxy *proxy);

#endif
