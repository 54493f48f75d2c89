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
	struct area area[BOARD_WORKERS];
};

struct board {
	struct map *map;
	int fd;
};

/* CLOCK_MONOTONIC. */
uint64_t board_now_ms(void);

#endif
