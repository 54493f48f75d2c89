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
#include <stddef.h>
#include <string.h>

#include "proxy/board_priv.h"

static uint64_t
read_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

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

/* ---- chains ---- */

static _Atomic uint32_t *
chain_of(struct names *names, const char *name)
{
	uint32_t hash = 2166136261U; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (unsigned char)*name) * 16777619U;
	return &names->first[(hash ^ hash >> 16) % BOARD_LISTENERS];
}

/* Before the first row after it. */
static void
chain_add(_Atomic uint32_t *link, _Atomic uint32_t *next, long row)
{
	while (*link != 0 && *link <= (uint32_t)row)
		link = &next[*link - 1];
	atomic_store(&next[row], *link);
	atomic_store(link, (uint32_t)row + 1);
}

/* Where it is in none nothing happens. */
static void
chain_remove(_Atomic uint32_t *link, _Atomic uint32_t *next, long row)
{
	while (*link != 0 && *link != (uint32_t)row + 1)
		link = &next[*link - 1];
	if (*link != 0)
		atomic_store(link, next[row]);
}

static void
set_used(_Atomic uint32_t *use, _Atomic uint32_t *used, uint32_t to)
{
	bool was = atomic_exchange(use, to) == ROW_USED;

	if (was != (to == ROW_USED))
		atomic_fetch_add(used, was ? UINT32_MAX : 1);
}

/* ---- rows with names ---- */

/* Those of listeners, or of upstreams. */
struct table {
	struct names *names;
	_Atomic uint32_t *count; /* rows that ever were used */
	char *rows;
	size_t size, use, name; /* of a row, and where these are in it */
	uint32_t *first_try;
	bool (*busy)(const struct board *board, long row);
	void (*clear)(struct board *board, long row);
};

static _Atomic uint32_t *
row_use(const struct table *t, long row)
{
	return (_Atomic uint32_t *)(void *)(t->rows + (size_t)row * t->size +
					    t->use);
}

static char *
row_name(const struct table *t, long row)
{
	return t->rows + (size_t)row * t->size + t->name;
}

static bool
is_named(const struct table *t, long row, const char *name)
{
	return use_of(row_use(t, row)) != ROW_FREE &&
	       strcmp(row_name(t, row), name) == 0;
}

/* -ENOENT: not in its chain; of that the keeper alone may be sure. */
static long
find_in_chain(const struct table *t, const char *name)
{
	uint32_t i = atomic_load(chain_of(t->names, name)), steps;

	for (steps = 0; i != 0 && steps < BOARD_LISTENERS; steps++) {
		if (is_named(t, (long)i - 1, name))
			return (long)i - 1;
		i = atomic_load(&t->names->next[i - 1]);
	}
	return -ENOENT;
}

static long
find(const struct table *t, const char *name)
{
	long i, n = (long)atomic_load(t->count);
	long found = find_in_chain(t, name);

	for (i = 0; found < 0 && i < n; i++)
		if (is_named(t, i, name))
			found = i;
	return found;
}

/* One that nobody counts in any more, or one more. */
static long
free_row(const struct board *board, const struct table *t)
{
	uint32_t i, k, n = atomic_load(t->count);
	uint32_t all = t->names->used == n ? 0 : n, use;

	for (k = 0; k < all; k++) {
		i = (*t->first_try)++ % n;
		use = use_of(row_use(t, (long)i));
		if (use == ROW_FREE ||
		    (use == ROW_GONE && !t->busy(board, (long)i)))
			return (long)i;
	}
	return n < BOARD_LISTENERS ? (long)n : -ENOSPC;
}

static long
take_row(struct board *board, const struct table *t, const char *name)
{
	long i;

	if (!name_fits(name))
		return -ENAMETOOLONG;
	i = find_in_chain(t, name);
	if (i < 0) {
		i = free_row(board, t);
		if (i < 0)
			return i;
		chain_remove(
		    chain_of(t->names, row_name(t, i)), t->names->next, i);
		atomic_store(row_use(t, i), ROW_FREE);
		t->clear(board, i);
		memset(t->rows + (size_t)i * t->size, 0, t->size);
		strcpy(row_name(t, i), name);
		chain_add(chain_of(t->names, name), t->names->next, i);
	}
	set_used(row_use(t, i), &t->names->used, ROW_USED);
	if (atomic_load(t->count) <= (uint32_t)i)
		atomic_store(t->count, (uint32_t)i + 1);
	return i;
}

/* ---- listeners ---- */

static bool
listener_busy(const struct board *board, long row)
{
	return board_listener_connections(board, row) > 0;
}

static void
clear_listener(struct board *board, long row)
{
	unsigned worker;

	for (worker = 0; worker < board_workers(board); worker++)
		memset(&board->map->area[worker].listeners[row], 0,
		    sizeof(board->map->area[worker].listeners[row]));
}

static struct table
listeners(const struct board *board)
{
	return (struct table){
	    .names = &board->map->listener_names,
	    .count = &board->map->listeners,
	    .rows = (char *)board->map->listener,
	    .size = sizeof(struct board_listener),
	    .use = offsetof(struct board_listener, use),
	    .name = offsetof(struct board_listener, name),
	    .busy = listener_busy,
	    .clear = clear_listener,
	};
}

long
board_listener_find(const struct board *board, const char *name)
{
	const struct table t = listeners(board);

	return find(&t, name);
}

long
board_listener_row(struct board *board, const char *name)
{
	struct table t = listeners(board);

	t.first_try = &board->try_listener;
	return take_row(board, &t, name);
}

void
board_listener_gone(struct board *board, long row)
{
	set_used(&board->map->listener[row].use,
	    &board->map->listener_names.used, ROW_GONE);
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

static bool
upstream_busy(const struct board *board, long upstream)
{
	long i = -1;

	while ((i = board_server_next(board, upstream, i)) >= 0)
		if (board_server_connections(board, i) > 0)
			return true;
	return board_upstream_queued(board, upstream) > 0;
}

/* Servers of it that are gone, and whose row would be found by the next one
 * in its place. */
static void
forget_servers(struct board *board, long upstream)
{
	long i = -1;

	while ((i = board_server_next(board, upstream, i)) >= 0)
		set_used(&board->map->server[i].use, &board->map->servers_used,
		    ROW_FREE);
}

static void
clear_upstream(struct board *board, long row)
{
	unsigned worker;

	forget_servers(board, row);
	for (worker = 0; worker < board_workers(board); worker++)
		memset(&board->map->area[worker].upstreams[row], 0,
		    sizeof(board->map->area[worker].upstreams[row]));
}

static struct table
upstreams(const struct board *board)
{
	return (struct table){
	    .names = &board->map->upstream_names,
	    .count = &board->map->upstreams,
	    .rows = (char *)board->map->upstream,
	    .size = sizeof(struct board_upstream),
	    .use = offsetof(struct board_upstream, use),
	    .name = offsetof(struct board_upstream, name),
	    .busy = upstream_busy,
	    .clear = clear_upstream,
	};
}

long
board_upstream_find(const struct board *board, const char *name)
{
	const struct table t = upstreams(board);

	return find(&t, name);
}

long
board_upstream_row(struct board *board, const char *name)
{
	struct table t = upstreams(board);

	t.first_try = &board->try_upstream;
	return take_row(board, &t, name);
}

void
board_upstream_gone(struct board *board, long row)
{
	long i = -1;

	while ((i = board_server_next(board, row, i)) >= 0)
		if (board_server_used(board, i))
			board_server_gone(board, i);
	set_used(&board->map->upstream[row].use,
	    &board->map->upstream_names.used, ROW_GONE);
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

uint64_t
board_upstream_first(const struct board *board, long row, uint64_t passed_over)
{
	unsigned i, n = board_workers(board);
	uint64_t first = 0, each;

	for (i = 0; i < n; i++) {
		each = atomic_load(&board->map->area[i].upstreams[row].first);
		if (each != 0 && each != passed_over &&
		    (first == 0 || each < first))
			first = each;
	}
	return first;
}

/* ---- servers ---- */

/* Where the keeper takes a row out of the chain meanwhile, it leads into
 * another one: then it is gone through once more. */
long
board_server_next(const struct board *board, long upstream, long row)
{
	const struct map *map = board->map;
	uint32_t next, steps;

	if (upstream < 0)
		return -ENOENT;
	next = row >= 0 && map->server[row].upstream == (uint32_t)upstream
		   ? atomic_load(&map->next_server[row])
		   : atomic_load(&map->first_server[upstream]);
	for (steps = 0; next != 0 && steps < BOARD_SERVERS; steps++) {
		if (map->server[next - 1].upstream != (uint32_t)upstream) {
			next = atomic_load(&map->first_server[upstream]);
			continue;
		}
		if ((long)next - 1 > row &&
		    use_of(&map->server[next - 1].use) != ROW_FREE)
			return (long)next - 1;
		next = atomic_load(&map->next_server[next - 1]);
	}
	return -ENOENT;
}

long
board_server_find(const struct board *board, long upstream, const char *name,
    const struct weir_address *address)
{
	const struct board_server *row = board->map->server;
	long i = -1;

	while ((i = board_server_next(board, upstream, i)) >= 0)
		if (strcmp(row[i].name, name) == 0 &&
		    weir_address_equal(&row[i].address, address))
			return i;
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
free_server(struct board *board)
{
	const struct board_server *row = board->map->server;
	uint32_t i, k, n = atomic_load(&board->map->servers);
	uint32_t all = board->map->servers_used == n ? 0 : n;

	for (k = 0; k < all; k++) {
		i = board->try_server++ % n;
		if (use_of(&row[i].use) == ROW_FREE || is_left(board, (long)i))
			return (long)i;
	}
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
		chain_remove(
		    &map->first_server[row->upstream], map->next_server, i);
		atomic_store(&row->use, ROW_FREE);
		memset(row, 0, sizeof(*row));
		for (worker = 0; worker < board_workers(board); worker++)
			memset(&map->area[worker].servers[i], 0,
			    sizeof(map->area[worker].servers[i]));
		row->upstream = (uint32_t)upstream;
		row->address = *address;
		strcpy(row->name, name);
		chain_add(&map->first_server[upstream], map->next_server, i);
	}
	set_used(&map->server[i].use, &map->servers_used, ROW_USED);
	if (atomic_load(&map->servers) <= (uint32_t)i)
		atomic_store(&map->servers, (uint32_t)i + 1);
	return i;
}

void
board_server_gone(struct board *board, long row)
{
	atomic_store(&board->map->server[row].gone_ms, board_now_ms());
	set_used(
	    &board->map->server[row].use, &board->map->servers_used, ROW_GONE);
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
