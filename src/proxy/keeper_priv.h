/* What the files of the keeper share: keeper.c, keeper_rows.c, names.c and
 * health.c. */
#ifndef PROXY_KEEPER_PRIV_H
#define PROXY_KEEPER_PRIV_H

#include <weir/address.h>

#include "proxy/board.h"
#include "proxy/keeper.h"

struct check;
struct kept_upstream;
struct name;
struct weir_timer;

/* board_server.flags, of the keeper alone. */
#define KEPT_WEIGHT_SET (1U << 8) /* by weirctl */

/* A row of a server, and its checks. */
struct kept_row {
	long row;
	struct check *check; /* or NULL */
};

/* A server = of the configuration: one row, or as many as a name has
 * addresses. */
struct kept_server {
	struct kept_upstream *upstream;
	const struct config_server *config;
	struct name *name; /* NULL where its address is known */
	struct kept_row *rows;
	size_t count;
};

struct kept_upstream {
	struct keeper *keeper;
	const struct config_upstream *config;
	long row;
	int family;	    /* of the names: all that use it want this one */
	bool used;
	char *name_servers; /* of its names; NULL: the system's */
	struct kept_server *servers;
	size_t count;
};

struct keeper {
	struct weir_loop *loop;
	struct board *board;
	struct config *config; /* counted */
	void (*on_change)(void *user);
	void *user;
	struct kept_upstream *upstreams;
	size_t count;
	bool started;
	bool reloading; /* it is told when that is done */
	bool wanting;   /* memory for a row or a check of a server */
	struct weir_timer *doubts; /* looks for them, and for memory */
	uint64_t random;
};

/* An address that a server has. */
struct kept_address {
	struct weir_address address;
	unsigned priority; /* rank: 0 is tried first */
	unsigned weight;
};

/* ---- keeper.c ---- */

/* Its list of servers is another one; a state of one is. */
void keeper_changed(struct kept_upstream *upstream);
void keeper_told(struct keeper *keeper);

/* ---- keeper_rows.c ---- */

/* These are the server's addresses now. What cannot be made is logged. */
void kept_set_addresses(struct kept_server *server,
    const struct kept_address *addresses, size_t count);

/* What it has on the board already, of an earlier keeper, in *ret, which is
 * the caller's to free. Returns how many, 0 for want of memory, too. */
size_t kept_find_addresses(
    const struct kept_server *server, struct kept_address **ret);

/* Its rows are gone, and its checks. */
void kept_drop_rows(struct kept_server *server);

/* Checks as the configuration says now; and without one. */
void kept_update_checks(struct kept_server *server);
void kept_free_checks(struct kept_server *server);

/* ---- names.c ---- */

/* The name of a server; NULL for no memory. */
struct name *name_new(struct kept_server *server);
void name_free(struct name *name);

/* It belongs to another struct now; what it asks for may have changed. */
void name_move(struct name *name, struct kept_server *server, bool changed);

void name_start(struct name *name);
void name_pause(struct name *name);
/* A connect failed. */
void name_doubt(struct name *name);

/* The server's rows are those of the last answer, also of an earlier keeper. */
void name_apply(struct name *name);

/* Whether its first lookup has not ended; whether it has had no answer. */
bool name_looking(const struct name *name);
bool name_unanswered(const struct name *name);

/* ---- health.c ---- */

/* Checks of a row, begun. NULL for no memory. */
struct check *check_new(struct kept_upstream *upstream, long row);
void check_move(struct check *check, struct kept_upstream *upstream);
void check_free(struct check *check);

#endif
