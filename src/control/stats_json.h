/* The figures of the proxy as JSON: the shape that the manual promises. */
#ifndef CONTROL_STATS_JSON_H
#define CONTROL_STATS_JSON_H

#include <jansson.h>

struct control_subject;
struct session_figures;

/* Each returns a new reference, or NULL when memory was refused. */
json_t *stats_json(const struct control_subject *subject);
json_t *stats_json_workers(const struct control_subject *subject);
json_t *stats_json_listeners(const struct control_subject *subject);
json_t *stats_json_upstreams(const struct control_subject *subject);

/* One row of "connections". */
json_t *stats_json_session(const struct session_figures *figures);

/*
 * Whether weir shall be given clients: "drain" while it stops, or was told so;
 * "up" when every listener has its sockets open, also where it is at a limit or
 * short of descriptors, since clients wait in the backlog then; else "down". A
 * string constant.
 */
const char *stats_health(const struct control_subject *subject);

#endif
