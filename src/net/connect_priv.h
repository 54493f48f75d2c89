/* What connect.c (resolving, one attempt after the other) and race.c (several
 * at a time) share. */
#ifndef NET_CONNECT_PRIV_H
#define NET_CONNECT_PRIV_H

#include <sys/queue.h>

#include <weir/resolve.h>

#include "net/socket_priv.h"

/* The default of weir_connect_options.attempt_delay_ms, and its least. */
#define WEIR__ATTEMPT_DELAY_MS	     250
#define WEIR__ATTEMPT_DELAY_LEAST_MS 10

struct weir__attempt; /* race.c's */

struct weir__connect {
	struct weir_socket *socket;
	struct weir_lookup *lookup;
	struct weir_query *query;  /* to the caller's resolver; or NULL */
	bool ask, answered;	   /* due: ask it; tell what it said */
	struct weir_address *list; /* to try: one, or its own */
	struct weir_address one;
	size_t count, next; /* next: the one after the one tried */
	int error;	    /* of the last that failed */
	struct event timer; /* of the attempt or a retry; in a race the delay */
	bool attempting, retrying;
	uint64_t began_ms; /* the attempt */

	bool race;
	LIST_HEAD(, weir__attempt) attempts; /* of a race, under way */

	struct weir_address local; /* length 0: any */
	uint16_t local_port, port;
	int family;
	uint64_t attempt_timeout_ms, attempt_delay_ms;
	struct weir__tuning tuning;
	bool late;   /* which is not made yet */
	char host[]; /* not there where an address was given */
};

/* A descriptor for an attempt, with all its settings: *fd, to be closed also
 * where this fails. Returns 0 or -errno. */
int weir__connect_open(
    struct weir_socket *s, const struct weir_address *to, int *fd);

/* The connection is made, on s->fd. */
void weir__connect_made(struct weir_socket *s);

/* Set c->timer. */
void weir__connect_arm(struct weir__connect *c, uint64_t ms);

/* ---- race.c ---- */

/* Put the addresses into the order of RFC 8305: the families in turn. */
void weir__race_order(struct weir_address *list, size_t count);

/* Begin the next attempt, from the task or the timer. Calls handlers. */
void weir__race_next(struct weir_socket *s);
void weir__race_delay_over(struct weir_socket *s);
void weir__race_free(struct weir__connect *c);

#endif
