/* A lookup, as far as resolve.c (addresses) and srv.c share it. */
#ifndef NET_LOOKUP_PRIV_H
#define NET_LOOKUP_PRIV_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/resolve.h>

#include "net/dns_channel_priv.h"
#include "net/loop_priv.h"

/* What c-ares holds; lookup is NULL once that was cancelled. */
struct weir__query {
	struct weir_lookup *lookup;
};

typedef void weir__addresses_fn(
    int err, const struct weir_address *addresses, size_t count, void *user);
typedef void weir__ttl_fn(int err, const struct weir_address *addresses,
    size_t count, uint32_t ttl_s, void *user);
typedef void weir__srv_fn(int err, const struct weir_srv *records, size_t count,
    uint32_t ttl_s, void *user);

struct weir_lookup {
	struct weir__task task;
	struct weir__resolver *resolver;
	struct weir__dns *channel; /* NULL where no name server is asked */
	struct weir__query *query; /* NULL where none is under way */
	bool ended;		   /* done is being called */
	int err;
	uint32_t ttl_s;

	/* Of addresses. */
	int family;  /* that the caller asked for, AF_ */
	int asked;   /* that the last query was for, AF_ */
	bool denied; /* the last answer was that there is none */
	uint16_t port;
	struct weir_address *addresses;

	struct weir_srv *records;
	size_t count;

	/* One of them. */
	weir__addresses_fn *done;
	weir__ttl_fn *done_ttl;
	weir__srv_fn *done_srv;
	void *user;
	TAILQ_ENTRY(weir_lookup) next; /* resolver.lookups */
	char host[];
};

/*
 * A lookup that holds the loop, and whose task runs fn; with name_servers (may
 * be NULL) it has a channel of its own. Returns 0, -EINVAL or -ENOMEM.
 */
int weir__lookup_new(struct weir_lookup **ret, struct weir_loop *loop,
    const char *host, const char *name_servers,
    void (*fn)(struct weir__task *task), void *user);

/* A channel to ask, where it has none yet. 0 or an error. */
int weir__lookup_channel(struct weir_lookup *lookup);

/* A query for c-ares to hold; NULL for no memory. */
struct weir__query *weir__lookup_query(struct weir_lookup *lookup);

/* c-ares gives it back: the lookup, or NULL where that was cancelled. */
struct weir_lookup *weir__lookup_answered(struct weir__query *query);

/* From its task: leave all but the memory, then done may be called, and then
 * the rest is released. */
void weir__lookup_end(struct weir_lookup *lookup);
void weir__lookup_release(struct weir_lookup *lookup);

#endif
