#ifndef WEIR_RESOLVE_H
#define WEIR_RESOLVE_H

#include <weir/address.h>

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

struct weir_loop;
struct weir_lookup;

/*
 * Resolve host to addresses with this port, without blocking: numeric
 * addresses, /etc/hosts, then DNS; sorted as RFC 6724 asks. family is 4, 6 or
 * 0 for either. An empty host is the loopback name "localhost".
 *
 * A name server is asked for 2 s and, when all are silent, once more for 4 s.
 * "localhost" and names below it are never asked of one: they are what
 * /etc/hosts says, else 127.0.0.1 and, where the machine has it, ::1. A changed
 * /etc/resolv.conf holds for lookups that start after it.
 *
 * done is called once, from the loop, with err 0 and count of at least 1, or
 * with a negative error (WEIR_E_NAME_NOT_FOUND, WEIR_E_NAME_TRY_AGAIN,
 * WEIR_E_NAME_FAILED, -ENOMEM) and count 0. addresses last until it returns.
 * The lookup is gone once done was called. *ret (may be NULL) is for
 * weir_resolve_cancel(). A lookup under way holds the loop.
 * Returns 0, -EINVAL for a bad family or host, -ENOMEM. Since 0.1.
 */
int weir_resolve(struct weir_lookup **ret, struct weir_loop *loop,
    const char *host, uint16_t port, int family,
    void (*done)(int err, const struct weir_address *addresses, size_t count,
	void *user),
    void *user);

/* How long an answer holds that does not age: an address, or what the hosts
 * file says. */
#define WEIR_TTL_NONE UINT32_MAX

/* How a name is asked for. Zero is the default of each. */
struct weir_resolve_options {
	int family; /* 4, 6; 0 either: of addresses */

	/* Ask these instead of those of the loop; written as for
	 * weir_loop_set_name_servers(), read during the call. */
	const char *name_servers;
};

/*
 * The same as weir_resolve(), and done is told for how many seconds the answer
 * holds: the shortest time to live of all records in it, or WEIR_TTL_NONE; 0
 * with an error. options may be NULL. Returns 0, -EINVAL for a bad family,
 * host or name server, -ENOMEM. Since 0.1.
 */
int weir_resolve_ttl(struct weir_lookup **ret, struct weir_loop *loop,
    const char *host, uint16_t port, const struct weir_resolve_options *options,
    void (*done)(int err, const struct weir_address *addresses, size_t count,
	uint32_t ttl_s, void *user),
    void *user);

/* A record of a service (RFC 2782): lower priorities go first, and among
 * equals the weight is the share. */
struct weir_srv {
	char host[WEIR_HOST_TEXT];
	uint16_t port, priority, weight;
};

/*
 * Ask the name servers for the SRV records of a name, such as
 * "_app._tcp.example.org". done is called as for weir_resolve_ttl(), with
 * records by priority and, the heaviest first, by weight; a service that is
 * said not to be there ("." as its host) is WEIR_E_NAME_NOT_FOUND.
 * Returns 0, -EINVAL for a bad name or name server, -ENOMEM. Since 0.1.
 */
int weir_resolve_srv(struct weir_lookup **ret, struct weir_loop *loop,
    const char *name, const struct weir_resolve_options *options,
    void (*done)(int err, const struct weir_srv *records, size_t count,
	uint32_t ttl_s, void *user),
    void *user);

/*
 * A resolver of the caller's, for weir_connect_options.lookup. Not asked for a
 * host that is an address.
 */
struct weir_query; /* one question */
struct weir_resolver {
	/*
	 * The addresses of host, please; family as for weir_resolve(). Called
	 * from the loop; weir_query_answer() from here or later. host lasts
	 * until this returns.
	 */
	void (*ask)(struct weir_query *query, const char *host, uint16_t port,
	    int family, void *user);

	/*
	 * The socket was destroyed or freed, from inside which call this is
	 * called: the query is gone when it returns, and must not be answered
	 * any more. May be NULL: then the query lives on until it is answered.
	 */
	void (*cancel)(struct weir_query *query, void *user);
	void *user;
};

/*
 * Answer a question once: with err 0 and addresses, which are copied, or with
 * a negative err. An address with port 0 gets the port that was asked for. The
 * query is gone when this returns 0 or -ECANCELED, which says that nobody
 * waits for the answer any more. -EINVAL (no address, one that is neither IPv4
 * nor IPv6, an err above 0) and -ENOMEM leave it to be answered. Since 0.1.
 */
int weir_query_answer(struct weir_query *query, int err,
    const struct weir_address *addresses, size_t count);

/* Forget the lookup: done will not be called. NULL is fine. Since 0.1. */
void weir_resolve_cancel(struct weir_lookup *lookup);

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
