/*
 * Rows of the board: listeners, upstreams and servers, found by name, and
 * summed over all workers.
 *
 * A row whose listener, upstream or server is gone keeps its place until its
 * last connection has ended, because sessions still count there; who comes
 * back under the same name before that goes on with the same figures.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "proxy/board_priv.h"

static uint64_t
read_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/* ---- listeners ---- */

static bool
name_fits(const char *name)
{
	return strlen(name) < BOARD_NAME;
}

static uint32_t
use_of(const _Atomic uint32_t *use)
{
	return atomic_load_explicit(use, memory_order_acquire);
}

long
board_listener_find(const struct board *board, const char *name)
{
	const struct board_listener *row = board->map->listener;
	uint32_t i, n = atomic_load(&board->map->listeners);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) != ROW_FREE &&
		    strcmp(row[i].name, name) == 0)
			return (long)i;
	return -ENOENT;
}

/* One that nobody counts in any more, or one more. */
static long
free_listener(const struct board *board)
{
	const struct board_listener *row = board->map->listener;
	uint32_t i, n = atomic_load(&board->map->listeners);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) == ROW_FREE ||
		    (use_of(&row[i].use) == ROW_GONE &&
			board_listener_connections(board, (long)i) == 0))
			return (long)i;
	return n < BOARD_LISTENERS ? (long)n : -ENOSPC;
}

long
board_listener_row(struct board *board, const char *name)
{
	struct map *map = board->map;
	struct board_listener *row;
	unsigned worker;
	long i;

	if (!name_fits(name))
		return -ENAMETOOLONG;
	i = board_listener_find(board, name);
	if (i < 0) {
		i = free_listener(board);
		if (i < 0)
			return i;
		row = &map->listener[i];
		atomic_store(&row->use, ROW_FREE);
		memset(row, 0, sizeof(*row));
		for (worker = 0; worker < board_workers(board); worker++)
			memset(&map->area[worker].listeners[i], 0,
			    sizeof(map->area[worker].listeners[i]));
		strcpy(row->name, name);
	}
	atomic_store(&map->listener[i].use, ROW_USED);
	if (atomic_load(&map->listeners) <= (uint32_t)i)
		atomic_store(&map->listeners, (uint32_t)i + 1);
	return i;
}

void
board_listener_gone(struct board *board, long row)
{
	atomic_store(&board->map->listener[row].use, ROW_GONE);
}

struct board_listener *
board_listener(struct board *board, long row)
{
	return &board->map->listener[row];
}

struct board_listener_slot *
board_listener_slot(struct board *board, unsigned worker, long row)
{
	return &board->map->area[worker].listeners[row];
}

void
board_listener_sum(
    struct board *board, long row, struct board_listener_sum *ret)
{
	const struct board_listener_slot *slot;
	unsigned i, n = board_workers(board);

	*ret = (struct board_listener_sum){0};
	for (i = 0; i < n; i++) {
		slot = board_listener_slot(board, i, row);
		ret->connections += board_get(&slot->connections);
		ret->accepted += board_get(&slot->accepted);
		ret->rejected += board_get(&slot->rejected);
		ret->denied += board_get(&slot->denied);
		ret->closed += board_get(&slot->closed);
		ret->errors += board_get(&slot->errors);
		ret->timeouts += board_get(&slot->timeouts);
		ret->buffered += board_get(&slot->buffered);
		ret->waiting = ret->waiting || atomic_load(&slot->waiting) != 0;
		ret->resting = ret->resting || atomic_load(&slot->resting) != 0;
		ret->bytes_in += read_number(&slot->totals.read);
		ret->bytes_out += read_number(&slot->totals.delivered);
	}
	ret->peak = board_get(&board->map->listener[row].peak);
}

uint64_t
board_listener_connections(const struct board *board, long row)
{
	unsigned i, n = board_workers(board);
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum += atomic_load(
		    &board->map->area[i].listeners[row].connections);
	return sum;
}

/* ---- upstreams ---- */

long
board_upstream_find(const struct board *board, const char *name)
{
	const struct board_upstream *row = board->map->upstream;
	uint32_t i, n = atomic_load(&board->map->upstreams);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) != ROW_FREE &&
		    strcmp(row[i].name, name) == 0)
			return (long)i;
	return -ENOENT;
}

static bool
upstream_busy(const struct board *board, long upstream)
{
	const struct board_server *row = board->map->server;
	uint32_t i, n = atomic_load(&board->map->servers);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) != ROW_FREE &&
		    row[i].upstream == (uint32_t)upstream &&
		    board_server_connections(board, (long)i) > 0)
			return true;
	return board_upstream_queued(board, upstream) > 0;
}

static long
free_upstream(const struct board *board)
{
	const struct board_upstream *row = board->map->upstream;
	uint32_t i, n = atomic_load(&board->map->upstreams);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) == ROW_FREE ||
		    (use_of(&row[i].use) == ROW_GONE &&
			!upstream_busy(board, (long)i)))
			return (long)i;
	return n < BOARD_UPSTREAMS ? (long)n : -ENOSPC;
}

/* Servers of it that are gone, and whose row would be found by the next one
 * in its place. */
static void
forget_servers(struct board *board, long upstream)
{
	struct board_server *row = board->map->server;
	uint32_t i, n = atomic_load(&board->map->servers);

	for (i = 0; i < n; i++)
		if (row[i].upstream == (uint32_t)upstream)
			atomic_store(&row[i].use, ROW_FREE);
}

long
board_upstream_row(struct board *board, const char *name)
{
	struct map *map = board->map;
	struct board_upstream *row;
	unsigned worker;
	long i;

	if (!name_fits(name))
		return -ENAMETOOLONG;
	i = board_upstream_find(board, name);
	if (i < 0) {
		i = free_upstream(board);
		if (i < 0)
			return i;
		row = &map->upstream[i];
		atomic_store(&row->use, ROW_FREE);
		forget_servers(board, i);
		memset(row, 0, sizeof(*row));
		for (worker = 0; worker < board_workers(board); worker++)
			memset(&map->area[worker].upstreams[i], 0,
			    sizeof(map->area[worker].upstreams[i]));
		strcpy(row->name, name);
	}
	atomic_store(&map->upstream[i].use, ROW_USED);
	if (atomic_load(&map->upstreams) <= (uint32_t)i)
		atomic_store(&map->upstreams, (uint32_t)i + 1);
	return i;
}

void
board_upstream_gone(struct board *board, long row)
{
	const struct board_server *server = board->map->server;
	uint32_t i, n = atomic_load(&board->map->servers);

	for (i = 0; i < n; i++)
		if (use_of(&server[i].use) == ROW_USED &&
		    server[i].upstream == (uint32_t)row)
			board_server_gone(board, (long)i);
	atomic_store(&board->map->upstream[row].use, ROW_GONE);
}

struct board_upstream *
board_upstream(struct board *board, long row)
{
	return &board->map->upstream[row];
}

struct board_upstream_slot *
board_upstream_slot(struct board *board, unsigned worker, long row)
{
	return &board->map->area[worker].upstreams[row];
}

uint64_t
board_upstream_queued(const struct board *board, long row)
{
	unsigned i, n = board_workers(board);
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum += atomic_load(&board->map->area[i].upstreams[row].queued);
	return sum;
}

/* ---- servers ---- */

long
board_server_find(const struct board *board, long upstream, const char *name,
    const struct weir_address *address)
{
	const struct board_server *row = board->map->server;
	uint32_t i, n = atomic_load(&board->map->servers);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) != ROW_FREE &&
		    row[i].upstream == (uint32_t)upstream &&
		    strcmp(row[i].name, name) == 0 &&
		    weir_address_equal(&row[i].address, address))
			return (long)i;
	return -ENOENT;
}

/* A worker may have chosen it just before it went, and count in it only now.
 */
static bool
is_left(const struct board *board, long i)
{
	const struct board_server *row = &board->map->server[i];

	return use_of(&row->use) == ROW_GONE &&
	       board_now_ms() - board_get(&row->gone_ms) >= BOARD_REST_MS &&
	       board_server_connections(board, i) == 0;
}

static long
free_server(const struct board *board)
{
	const struct board_server *row = board->map->server;
	uint32_t i, n = atomic_load(&board->map->servers);

	for (i = 0; i < n; i++)
		if (use_of(&row[i].use) == ROW_FREE || is_left(board, (long)i))
			return (long)i;
	return n < BOARD_SERVERS ? (long)n : -ENOSPC;
}

long
board_server_row(struct board *board, long upstream, const char *name,
    const struct weir_address *address)
{
	struct map *map = board->map;
	struct board_server *row;
	unsigned worker;
	long i;

	if (!name_fits(name))
		return -ENAMETOOLONG;
	i = board_server_find(board, upstream, name, address);
	if (i < 0) {
		i = free_server(board);
		if (i < 0)
			return i;
		row = &map->server[i];
		atomic_store(&row->use, ROW_FREE);
		memset(row, 0, sizeof(*row));
		for (worker = 0; worker < board_workers(board); worker++)
			memset(&map->area[worker].servers[i], 0,
			    sizeof(map->area[worker].servers[i]));
		row->upstream = (uint32_t)upstream;
		row->address = *address;
		strcpy(row->name, name);
	}
	atomic_store(&map->server[i].use, ROW_USED);
	if (atomic_load(&map->servers) <= (uint32_t)i)
		atomic_store(&map->servers, (uint32_t)i + 1);
	return i;
}

void
board_server_gone(struct board *board, long row)
{
	atomic_store(&board->map->server[row].gone_ms, board_now_ms());
	atomic_store(&board->map->server[row].use, ROW_GONE);
}

struct board_server *
board_server(struct board *board, long row)
{
	return &board->map->server[row];
}

struct board_server_slot *
board_server_slot(struct board *board, unsigned worker, long row)
{
	return &board->map->area[worker].servers[row];
}

void
board_server_sum(struct board *board, long row, struct board_server_sum *ret)
{
	const struct board_server_slot *slot;
	unsigned i, n = board_workers(board);

	*ret = (struct board_server_sum){0};
	for (i = 0; i < n; i++) {
		slot = board_server_slot(board, i, row);
		ret->connections += board_get(&slot->connections);
		ret->total += board_get(&slot->total);
		ret->failures += board_get(&slot->failures);
		ret->bytes_in += read_number(&slot->totals.read);
		ret->bytes_out += read_number(&slot->totals.delivered);
	}
}

uint64_t
board_server_connections(const struct board *board, long row)
{
	unsigned i, n = board_workers(board);
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum +=
		    atomic_load(&board->map->area[i].servers[row].connections);
	return sum;
}

long
board_servers(const struct board *board)
{
	return (long)atomic_load_explicit(
	    &board->map->servers, memory_order_acquire);
}

bool
board_server_used(const struct board *board, long row)
{
	return use_of(&board->map->server[row].use) == ROW_USED;
}
