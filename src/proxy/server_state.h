/*
 * Whether a server is to be used: the states on its row of the board, which
 * all processes share. Nothing here waits; what several may do at one moment
 * is one atomic operation each.
 */
#ifndef PROXY_SERVER_STATE_H
#define PROXY_SERVER_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct board_server;

/* What somebody wants (board_server.admin). */
enum server_admin { SERVER_UP, SERVER_DOWN, SERVER_DRAIN };

/* What checks say (board_server.health). */
enum server_health { SERVER_UNCHECKED, SERVER_WELL, SERVER_ILL };

/* board_server.flags. */
enum {
	SERVER_RESOLVED = 1 << 0, /* its address comes from a name */
};

enum server_state { SERVER_IS_UP, SERVER_IS_DOWN, SERVER_IS_DRAINING };

/* "up", "down", "drain". */
const char *server_state_text(enum server_state state);

enum server_state server_state(const struct board_server *row, uint64_t now_ms);

/*
 * Whether a new connection may go there; also one that is to find out whether
 * a server that connects had failed to is back: that is asked for then by
 * server_claim(), which lets only one in at a time.
 */
bool server_usable(const struct board_server *row, uint64_t now_ms);

/* Take the right to connect; *probing where it is to find out. False where
 * another one is finding out. */
bool server_claim(struct board_server *row, uint64_t now_ms,
    uint64_t fail_timeout_ms, bool *probing);

/* Who was probing has not found out. */
void server_unclaim(struct board_server *row, uint64_t now_ms);

/* It was connected to. True where that ends its being down. */
bool server_connected(struct board_server *row, uint64_t now_ms);

/*
 * It could not be connected to. max_fails within fail_timeout_ms and it is
 * down for that long; 0 is never. True where it goes down by that.
 */
bool server_failed(struct board_server *row, uint64_t now_ms,
    unsigned max_fails, uint64_t fail_timeout_ms);

/* By the keeper: what weirctl says, and what checks say. True for a change. */
bool server_set_admin(
    struct board_server *row, enum server_admin admin, uint64_t now_ms);
bool server_set_health(
    struct board_server *row, enum server_health health, uint64_t now_ms);

#endif
