/* The figures of the proxy as JSON: the shape that the manual promises. */
#ifndef CONTROL_STATS_JSON_H
#define CONTROL_STATS_JSON_H

#include <jansson.h>

struct answer;
struct proxy;

/* Each returns a new reference, or NULL when memory was refused. */
json_t *stats_json(const struct proxy *proxy);
json_t *stats_json_workers(const struct proxy *proxy);
json_t *stats_json_listeners(const struct proxy *proxy);
json_t *stats_json_upstreams(const struct proxy *proxy);

/*
 * The whole answer to "connections": each open one, of the listener with that
 * index or (below 0) of all.
 */
void stats_json_connections(
    const struct proxy *proxy, long listener, struct answer *answer);

/*
 * Whether weir can be given clients: "drain" while it drains; "up" when every
 * listener has its sockets open, also where it is at a limit or short of
 * descriptors, since clients wait in the backlog then; else "down". A string
 * constant.
 */
const char *stats_health(const struct proxy *proxy);

#endif
