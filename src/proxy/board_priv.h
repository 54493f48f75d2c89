/*
 * The layout of the board, for board.c and board_rows.c. Its LAYOUT in board.c
 * goes up with each change of it.
 */
#ifndef PROXY_BOARD_PRIV_H
#define PROXY_BOARD_PRIV_H

#include "proxy/board.h"

#define PAGE 4096
#define LINE 64

enum { ROW_FREE, ROW_USED, ROW_GONE };

/* What one worker writes. */
struct area {
	_Alignas(PAGE) struct board_listener_slot listeners[BOARD_LISTENERS];
	_Alignas(LINE) struct board_upstream_slot upstreams[BOARD_UPSTREAMS];
	_Alignas(LINE) struct board_server_slot servers[BOARD_SERVERS];
	_Alignas(PAGE) struct board_source sources[BOARD_SOURCES];
	_Alignas(PAGE) _Atomic pid_t children[BOARD_CHILDREN];
};

/*
 * Rows by name, or servers by their upstream: chains, by row + 1, 0 at the end.
 * Only the keeper changes them; whoever else follows one may be led into
 * another by that, and looks at all rows where he does not find what he looks
 * for.
 */
struct names {
	_Atomic uint32_t used; /* rows that are ROW_USED */
	_Atomic uint32_t first[BOARD_LISTENERS], next[BOARD_LISTENERS];
};
_Static_assert(BOARD_LISTENERS == BOARD_UPSTREAMS, "for struct names");

struct map {
	uint64_t magic, layout, size;
	uint64_t seed, started_ms;
	unsigned char ticket_key[BOARD_TICKET];
	_Atomic uint32_t drain;
	/* How many slots and rows were ever in use: looked at by all. */
	_Atomic uint32_t workers, listeners, upstreams, servers;

	_Alignas(LINE) _Atomic uint64_t next_id;

	_Alignas(PAGE) struct {
		_Alignas(LINE) struct board_worker worker;
	} worker[BOARD_WORKERS];
	_Alignas(PAGE) struct board_listener listener[BOARD_LISTENERS];
	_Alignas(PAGE) struct board_upstream upstream[BOARD_UPSTREAMS];
	_Alignas(PAGE) struct board_server server[BOARD_SERVERS];
	_Alignas(PAGE) struct names listener_names, upstream_names;
	/* By row of the upstream, each chain in the order of rows. */
	_Atomic uint32_t servers_used;
	_Atomic uint32_t first_server[BOARD_UPSTREAMS];
	_Atomic uint32_t next_server[BOARD_SERVERS];
	struct area area[BOARD_WORKERS];
};

struct board {
	struct map *map;
	int fd;
	/* The keeper's: where it looks first for a row that is free. */
	uint32_t try_listener, try_upstream, try_server;
};

/* CLOCK_MONOTONIC. */
uint64_t board_now_ms(void);

#endif
