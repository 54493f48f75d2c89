/*
 * Upstreams: which server a session gets, how many each may have, and who
 * waits when there is none free. What is known of servers is on the board, one
 * state for all processes; here is what one process makes of it.
 *
 * A session has a struct upstream_use. It asks by upstream_pick() and tells how
 * that went: upstream_connected() or upstream_failed(), and upstream_end() at
 * its end, whatever was before.
 */
#ifndef PROXY_UPSTREAM_H
#define PROXY_UPSTREAM_H

#include <sys/queue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/address.h>
#include <weir/socket.h>

#include "config/config.h"

struct board;
struct server;
struct upstream;
struct upstream_try;
struct upstream_use;
struct upstreams;
struct weir_loop;

enum upstream_answer {
	UPSTREAM_SERVER, /* connect to it */
	UPSTREAM_WAIT,	 /* on_turn will be called */
	UPSTREAM_NONE,	 /* there is none, or none further */
};

/* What those who use a server are told, from the loop. */
struct upstream_handlers {
	/* It waited: ask again. */
	void (*on_turn)(struct upstream_use *use);
	/* Whether who waits has left meanwhile; then on_turn is called. */
	bool (*has_left)(const struct upstream_use *use);
	/* The server went down, and on_down = close: for all that are connected
	 * to it. */
	void (*on_down)(const struct server *server, void *user);
};

/* Zeroed before upstream_begin(). */
struct upstream_use {
	struct upstream *upstream; /* NULL: has none */
	struct server *server;	   /* that it counts in, or NULL */
	struct upstream_try *try;  /* until it is connected, or NULL */
};

struct upstream_options {
	struct weir_loop *loop;
	struct board *board;
	unsigned worker;       /* this process's slot */
	struct config *config; /* a reference is taken */
	const struct upstream_handlers *handlers;
	void *user; /* theirs */
};

/* What a session wants of a server. */
struct upstream_wish {
	int family;		 /* of resolved names: 4, 6, 0 any */
	uint64_t client;	 /* balance_client_key() */
	uint64_t answer_wait_ms; /* for a name's first answer; 0: for ever */
};

/* Of all upstreams of the configuration; their rows must be on the board.
 * *ret is the caller's. Returns 0 or an error. */
int upstreams_new(
    struct upstreams **ret, const struct upstream_options *options);

/* Every use must have ended. NULL is fine. */
void upstreams_free(struct upstreams *upstreams);

/* Another configuration; sessions that began under the old one go on.
 * Returns 0, or an error that changed nothing. */
int upstreams_reload(struct upstreams *upstreams, struct config *config);

/* This process is another worker now, and none of its uses has begun. */
void upstreams_set_worker(struct upstreams *upstreams, unsigned worker);

/* Something changed on the board: of servers, names or states. */
void upstreams_changed(struct upstreams *upstreams);

/* Whether a new connection could be made: some server is up, or will be known
 * in a moment. */
bool upstreams_usable(
    struct upstreams *upstreams, const struct config_upstream *config);

/* ---- a use ---- */

/* Begin. Returns 0, -ENOMEM, or -ENOENT where there is no such upstream. */
int upstream_begin(struct upstream_use *use, struct upstreams *upstreams,
    const struct config_upstream *config, const struct upstream_wish *wish);

/*
 * A server to connect to, never one that was tried before. Its address is in
 * *ret, and for how long it is used it counts there.
 */
enum upstream_answer upstream_pick(
    struct upstream_use *use, struct weir_address *ret);

/* Whether a server was tried at all; whether there is none at all, as nothing
 * is known by its names, and that because they were not answered yet. */
bool upstream_tried(const struct upstream_use *use);
bool upstream_is_empty(const struct upstream_use *use, bool *unanswered);

/* It was reached, or not (and why). After a failure upstream_pick() asks for
 * the next one. */
void upstream_connected(struct upstream_use *use);
void upstream_failed(struct upstream_use *use, int err);

/*
 * A connection that came from another process, which had made it: it counts
 * with that server from now on, where there is one of that address. Returns 0,
 * -ENOENT or -ENOMEM; the use has begun and ended then.
 */
int upstream_adopt(struct upstream_use *use, struct upstreams *upstreams,
    const struct config_upstream *config, const struct weir_address *server);

/* What its server is called; NULL for none. */
const char *upstream_server_name(const struct upstream_use *use);

/* Where its server is; NULL for none. */
const struct weir_address *upstream_server_address(
    const struct upstream_use *use);

/* Where the bytes of its server are counted; NULL for none. */
struct weir_totals *upstream_totals(const struct upstream_use *use);

/* Whether it waits for a server. */
bool upstream_waits(const struct upstream_use *use);

/* It waits for a server no more; nothing is called for it. */
void upstream_leave(struct upstream_use *use);

/* It needs a server no more. Again, or before it began: nothing. */
void upstream_end(struct upstream_use *use);

/* ---- figures, and what weirctl says ---- */

struct proxy;

struct upstream_figures {
	const char *name;
	const char *balance; /* as configured; "ordered" for a listener's own */
	uint64_t queued;     /* connections that wait for a server */
};

struct server_figures {
	const char *name;
	const char *address; /* as text; "-" where the name has none */
	const char *state;   /* "up", "down", "drain" */
	const char *admin;   /* as configured or said: "up", "down", "drain" */
	/* That, and the weight, are not what the configuration says. */
	bool admin_said, weight_said;
	bool backup;
	unsigned weight;
	uint64_t connections, max_connections;
	uint64_t total, failures;     /* connections made, and not */
	uint64_t connect_ms;	      /* the last one took */
	uint64_t bytes_in, bytes_out; /* from the server, to it */
	const char *check;	      /* how the last check went; "" for none */
	double checked_s;	      /* ago */
};

/* Of the configuration: sections, and one of each listener that has ADDRESSes.
 * Of all workers; by whichever process. */
size_t proxy_upstream_count(const struct proxy *proxy);
void proxy_upstream_figures(
    const struct proxy *proxy, size_t index, struct upstream_figures *ret);

/* Open connections to the servers of an upstream, which may be gone. */
uint64_t proxy_upstream_connections(
    const struct proxy *proxy, const char *name);

/* Call fn for each server; the figures last until it returns. */
void proxy_each_server(const struct proxy *proxy, size_t index,
    void (*fn)(const struct server_figures *figures, void *user), void *user);

/*
 * By the process that has the keeper: `server UPSTREAM SERVER up|down|drain`
 * and `weight N` (at most 256). SERVER is a name, which may be several
 * addresses, or one address. Returns 0, -ENOENT for no such upstream, -ESRCH
 * for no such server, -EINVAL for the action or the weight, or -ENOTSUP where
 * another process has the keeper.
 */
int proxy_server_set(struct proxy *proxy, const char *upstream,
    const char *server, const char *action);
int proxy_server_weight(struct proxy *proxy, const char *upstream,
    const char *server, unsigned weight);

#endif
