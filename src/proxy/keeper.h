/*
 * The keeper: what one process does for all. It makes the rows of upstreams and
 * servers on the board, looks their names up, checks their health and does what
 * weirctl says. It is in the master, or in the only process.
 */
#ifndef PROXY_KEEPER_H
#define PROXY_KEEPER_H

#include "config/config.h"
#include "proxy/server_state.h"

struct board;
struct keeper;
struct weir_loop;

struct keeper_options {
	struct weir_loop *loop;
	struct board *board;
	struct config *config; /* a reference is taken */
	/* Something changed on the board: servers, or a state of one. */
	void (*on_change)(void *user);
	void *user;
};

/*
 * All rows of the configuration; what the board has of a server that is still
 * the same stays as it is. *ret is the caller's. Returns 0, -ENOMEM, or
 * -ENOSPC or -ENAMETOOLONG as the board says, which was logged.
 */
int keeper_new(struct keeper **ret, const struct keeper_options *options);

/* Begin to look names up and to check. */
void keeper_start(struct keeper *keeper);

/* Stop all of that, and forget it; the rows stay. NULL is fine. */
void keeper_free(struct keeper *keeper);

/*
 * Another configuration: rows that it has no more are gone, those of servers
 * that did not change keep their state, names keep their answers. Returns 0, or
 * an error as keeper_new() that changed nothing.
 */
int keeper_reload(struct keeper *keeper, struct config *config);

/* Nothing is under way, so that this process can fork; go on. */
void keeper_pause(struct keeper *keeper);
void keeper_resume(struct keeper *keeper);

/*
 * By weirctl: a server by its name, all of a name's addresses, or by one
 * address. Returns 0, -ENOENT where there is no such upstream, or -ESRCH where
 * it has no such server. A weight is at most 256.
 */
int keeper_set_admin(struct keeper *keeper, const char *upstream,
    const char *server, enum server_admin admin);
int keeper_set_weight(struct keeper *keeper, const char *upstream,
    const char *server, unsigned weight);

#endif
