/* What lookups see of the channels by which name servers are asked. */
#ifndef NET_DNS_CHANNEL_PRIV_H
#define NET_DNS_CHANNEL_PRIV_H

#include <sys/queue.h>
#include <sys/stat.h>

#include <ares.h>
#include <stddef.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct weir__dns_watch;
struct weir_lookup;
struct weir_loop;

/*
 * A c-ares channel. The newest takes new lookups; one whose name servers are
 * out of date lives on until its last lookup has ended.
 */
struct weir__dns {
	struct weir__resolver *resolver;
	ares_channel ares;
	struct event timer;
	LIST_HEAD(, weir__dns_watch) watches;
	size_t lookups;
};

struct weir__resolver {
	struct weir_loop *loop;
	struct weir__dns *channel; /* for new lookups; NULL where out of date */
	struct stat resolv_conf;   /* when channel was made */
	struct ares_addr_port_node *servers; /* an array; NULL: the system's */
	TAILQ_HEAD(, weir_lookup) lookups;
};

/* The loop's resolver, made when it is first needed; NULL for no memory
 * (lookup.c). */
struct weir__resolver *weir__resolver_of(struct weir_loop *loop);

/* The channel for a new lookup. 0 or an error. */
int weir__dns_current(struct weir__resolver *resolver, struct weir__dns **ret);

/* A channel for one lookup alone, which asks these servers, written as for
 * weir_loop_set_name_servers(). 0, -EINVAL or another error. */
int weir__dns_own(struct weir__resolver *resolver, const char *servers,
    struct weir__dns **ret);

/* A lookup needs the channel no more. Not from inside c-ares. */
void weir__dns_leave(struct weir__dns *channel);

/* Further lookups take a new channel. */
void weir__dns_retire(struct weir__resolver *resolver);

/* c-ares was asked something, or has no more to ask: set the timer by that. */
void weir__dns_wait(struct weir__dns *channel);

/* Of a status of c-ares. */
int weir__dns_error(int status);

#endif
