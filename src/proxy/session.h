/*
 * One client and what it was connected to.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include <sys/queue.h>

#include "proxy/proxy.h"
#include "proxy/sources.h"
#include "proxy/upstream.h"

struct child;
struct front;
struct listener;
struct log_file;
struct weir_socket;
struct weir_timer;

/* Who ended it and why; the texts of "end" in the access log. */
enum session_end {
	END_NONE,
	END_CLIENT,
	END_UPSTREAM,
	END_TIMEOUT,
	END_CONNECT_TIMEOUT,
	END_CONNECT_FAILED,
	END_NO_SERVER,
	END_DENIED,
	END_LIMIT,
	END_TLS_FAILED,
	END_PROXY_HEADER,
	END_RESET,
	END_DRAIN,
	END_KILLED,
};

/* What few sessions need; made when it is first asked for. */
struct session_extra {
	struct session *peer;	     /* pipe = peer; or NULL */
	struct child *child;	     /* pipe = exec:; or NULL */
	struct weir_timer *retry;    /* pipe = fifo:; or NULL */
	struct session **frozen_ref; /* who moves it; or NULL */
	struct source_key source;    /* max_per_source */

	struct log_file *access_log; /* counted; or NULL */
	uint64_t connected_ms;	     /* for it; 0: not connected */
	char *client_text;	     /* for it; or NULL */
	char *server_text; /* address last tried; NULL: use's, or none */
	char *tried;	   /* all, where there are more; or NULL */
	char *tls_server;  /* whose TLS sessions are kept; or NULL */

	TAILQ_ENTRY(session) next_waiting; /* listener.waiting */
};

/* There is one for each open connection, and most are idle. */
struct session {
	struct listener *listener;
	/* What was in force when it came, counted; a reload changes the
	 * listener's, not this. */
	const struct config_listener *config;
	/* Where it goes: what sni or alpn chose, or config.pool. NULL: nowhere,
	 * or its mode has none. Set before the mode begins. */
	const struct config_upstream *pool;
	/* What it said of itself before that; or NULL. */
	struct front *front;
	uint64_t id;
	struct weir_socket *client, *server; /* NULL once closed */
	struct session_extra *extra;	     /* or NULL */

	enum session_end end : 8;
	bool connecting : 1, waiting : 1, ending : 1;
	bool lingering : 1;	 /* the program has ended, the client not yet */
	bool attempt_failed : 1; /* one of its servers could not be reached */
	bool piped : 1;		 /* the client, before it is connected */
	bool has_room : 1, has_source : 1;
	bool frozen : 1;    /* on its way to another process */
	bool securing : 1;  /* connected; TLS is still to come, or failed */
	unsigned move_turn; /* of proxy.move_turn: it was looked at */
	int connect_error;
	uint32_t deadline; /* in proxy.deadlines; 0: none */
	struct upstream_use use; /* of pool */
	/* That it is, or was last, connected to; in pool. NULL: none. */
	const struct config_server *chosen;

	uint64_t started_ms;
	uint64_t half_closed_ms;      /* when one side ended; 0: none */
	uint64_t bytes_in, bytes_out; /* once the client's socket is gone */

	TAILQ_ENTRY(session) next;	  /* listener.sessions */
	TAILQ_ENTRY(session) next_of_all; /* proxy.sessions */
};

/* A pointer more is felt by who has many idle connections. */
_Static_assert(sizeof(void *) != 8 || sizeof(struct session) <= 176,
    "struct session has grown");

/* Made where there is none yet; NULL without memory. */
struct session_extra *session_extra(struct session *session);

/*
 * A client came; the socket is the session's. At a limit or denied it is
 * closed at once, and counted.
 */
void session_start(struct listener *listener, struct weir_socket *client);

/* End it now, for that reason; it is gone some time after the call. */
void session_destroy(struct session *session, enum session_end end);

/* End it at once, as the process ends: no handler is awaited. */
void session_free_now(struct session *session);

/*
 * Who the client is: what the PROXY header says, else as the system tells.
 * length 0 once that cannot be told any more. Its other address is the one
 * that it connected to.
 */
void session_client_address(
    const struct session *session, struct weir_address *ret);
void session_local_address(
    const struct session *session, struct weir_address *ret);

const char *session_state_text(const struct session *session);
const char *session_end_text(enum session_end end);

/* Totals so far. */
uint64_t session_bytes_in(const struct session *session);
uint64_t session_bytes_out(const struct session *session);
size_t session_buffered(const struct session *session);
uint64_t session_idle_ms(const struct session *session);

#endif
