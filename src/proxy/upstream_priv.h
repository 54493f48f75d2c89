/* What the files of upstreams share: upstream.c (lists), upstream_use.c (the
 * life of a use), upstream_pick.c (the choice), upstream_queue.c (who waits).
 */
#ifndef PROXY_UPSTREAM_PRIV_H
#define PROXY_UPSTREAM_PRIV_H

#include "proxy/balance.h"
#include "proxy/board.h"
#include "proxy/upstream.h"

struct weir_timer;

TAILQ_HEAD(upstream_uses, upstream_use);

/* A server as this process sees it. It lives as long as it is listed or used.
 */
struct server {
	struct upstream *upstream;
	unsigned refs;
	bool listed;
	long row;
	struct board_server *state;
	struct board_server_slot *slot;
	uint64_t key;
	struct weir_address address;

	uint64_t max_connections; /* 0: none */
	unsigned max_fails;
	uint64_t fail_timeout_ms;
};

struct upstream {
	struct upstreams *all;
	unsigned refs;		    /* the list's, servers' and uses' */
	TAILQ_ENTRY(upstream) next; /* upstreams.every */
	struct config *owner;	    /* counted; holds config */
	const struct config_upstream *config;
	long row;
	struct board_upstream *state;
	struct board_upstream_slot *slot;

	uint64_t version; /* of the list, when it was made */
	bool fresh;	  /* it was made */
	struct server **servers;
	struct balance_server *choice; /* room for a choice of them */
	size_t count;

	struct upstream_uses waiting; /* tickets in their order */
	struct weir_timer *timer;     /* of those; or NULL */
	/* The ticket that left a free place alone when it was looked at, and
	 * since when; and the one that did so for too long. */
	uint64_t idle_ticket, idle_since_ms, passed_over;
};

struct upstreams {
	struct weir_loop *loop;
	struct board *board;
	unsigned worker;
	const struct upstream_handlers *handlers;
	void *user;
	struct config *config;	/* counted */
	struct upstream **list; /* by config_upstream.index */
	size_t count;
	TAILQ_HEAD(, upstream) every; /* listed or used */
	struct weir_timer *watch;     /* on_down = close; or NULL */
	uint64_t random;
};

#define UPSTREAM_FEW 4

/* What is kept of a use until it is connected. */
struct upstream_try {
	bool waiting;
	TAILQ_ENTRY(upstream_use) next; /* upstream.waiting */
	struct upstream_wish wish;
	uint64_t begun_ms;    /* of this connect */
	uint64_t deadline_ms; /* while it waits; 0: none */
	uint64_t ticket;      /* while it waits for a place; or 0 */
	bool last_resort;     /* down by failures is no reason */
	bool probing;	      /* whether a server is back */
	bool for_answer;      /* what it waits for is a name's answer */
	bool choosy;	      /* not all servers are of its family */
	size_t count, room;
	long *rows; /* of servers that were tried: few, or its own */
	long few[UPSTREAM_FEW];
};

/* ---- upstream.c ---- */

uint64_t upstream_now(const struct upstream *upstream);

/* Bring the list up to what the board says. Where memory is refused it stays
 * as it was, and is made the next time. */
void upstream_refresh(struct upstream *upstream);

/* The one of a configuration, perhaps of an older one; NULL for none. */
struct upstream *upstream_find(
    const struct upstreams *all, const struct config_upstream *config);
void upstream_unref(struct upstream *upstream);
void upstream_server_unref(struct server *server);

/* ---- upstream_queue.c ---- */

/* Whether it may wait, and goes on with it: for a name's answer, or for a
 * server that is full. */
bool upstream_may_wait(struct upstream_use *use, bool for_answer);

/* Whether it is not for the place that is free next: it was at a server, or
 * cannot take each. It holds nobody up then, and nobody it. */
bool upstream_is_apart(const struct upstream_try *try);

/* Whether a place that is free is this one's: nobody came before it who waits
 * for one. */
bool upstream_is_first(const struct upstream_use *use);

/* There may be a server for who waits: look soon. */
void upstream_wake(struct upstream *upstream);

#endif
