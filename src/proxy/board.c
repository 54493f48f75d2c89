/*
 * The board: one sparse memfd, mapped by every process of one weir.
 *
 * What the keeper alone changes (rows, who is in which slot) is published by
 * one store with release order, after all of it has been written; so whoever
 * finds a row finds the whole of it. Counters need no order among each other:
 * a sum is right as of some moment between the question and the answer.
 *
 * A row whose listener, upstream or server is gone keeps its place until its
 * last connection has ended, because sessions still count there; who comes
 * back under the same name before that goes on with the same figures.
 */
#include "config.h"

#include "proxy/board.h"

#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The number goes up with each change of what is below. */
#define MAGIC  UINT64_C(0x7765697262726431)
#define LAYOUT 3

#define PAGE   4096
#define LINE   64

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

/* ---- the mapping ---- */

static uint64_t
now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
map_fd(struct board **ret, int fd)
{
	struct board *board = malloc(sizeof(*board));
	void *at;

	if (board == NULL)
		return -ENOMEM;
	at = mmap(NULL, sizeof(struct map), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (at == MAP_FAILED) {
		free(board);
		return -errno;
	}
	board->map = at;
	board->fd = fd;
	*ret = board;
	return 0;
}

static int
write_header(struct map *map)
{
	map->started_ms = now_ms();
	if (getrandom(&map->seed, sizeof(map->seed), GRND_NONBLOCK) !=
	    (ssize_t)sizeof(map->seed))
		map->seed = map->started_ms * 0x9e3779b97f4a7c15U;
	if (getrandom(map->ticket_key, sizeof(map->ticket_key), 0) !=
	    (ssize_t)sizeof(map->ticket_key))
		return -errno;
	map->magic = MAGIC;
	map->layout = LAYOUT;
	map->size = sizeof(*map);
	atomic_store(&map->workers, 1);
	return 0;
}

int
board_new(struct board **ret)
{
	int fd = memfd_create("weir-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err;

	if (fd == -1)
		return -errno;
	if (ftruncate(fd, (off_t)sizeof(struct map)) == -1) {
		err = -errno;
		(void)close(fd);
		return err;
	}
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	err = map_fd(ret, fd);
	if (err != 0) {
		(void)close(fd);
		return err;
	}
	err = write_header((*ret)->map);
	if (err != 0)
		board_free(*ret);
	return err;
}

int
board_open(struct board **ret, int fd)
{
	const struct map *map;
	struct stat status;
	struct board *board;
	int err;

	if (fstat(fd, &status) == -1)
		return -errno;
	if (status.st_size != (off_t)sizeof(*map))
		return -EPROTO;
	err = map_fd(&board, fd);
	if (err != 0)
		return err;
	map = board->map;
	if (map->magic != MAGIC || map->layout != LAYOUT ||
	    map->size != sizeof(*map)) {
		board->fd = -1;
		board_free(board);
		return -EPROTO;
	}
	*ret = board;
	return 0;
}

int
board_fd(const struct board *board)
{
	return board->fd;
}

void
board_free(struct board *board)
{
	if (board == NULL)
		return;
	(void)munmap(board->map, sizeof(*board->map));
	if (board->fd != -1)
		(void)close(board->fd);
	free(board);
}

uint64_t
board_next_id(struct board *board)
{
	return 1 + atomic_fetch_add_explicit(
		       &board->map->next_id, 1, memory_order_relaxed);
}

uint64_t
board_started_ms(const struct board *board)
{
	return board->map->started_ms;
}

uint64_t
board_seed(const struct board *board)
{
	return board->map->seed;
}

const unsigned char *
board_ticket_key(const struct board *board)
{
	return board->map->ticket_key;
}

bool
board_drain(const struct board *board)
{
	return atomic_load(&board->map->drain) != 0;
}

void
board_set_drain(struct board *board, bool on)
{
	atomic_store(&board->map->drain, on);
}

void
board_raise(_Atomic uint64_t *highest, uint64_t value)
{
	uint64_t now = board_get(highest);

	while (now < value &&
	       !atomic_compare_exchange_weak_explicit(highest, &now, value,
		   memory_order_relaxed, memory_order_relaxed))
		;
}

/* ---- workers ---- */

struct board_worker *
board_worker(struct board *board, unsigned worker)
{
	return &board->map->worker[worker].worker;
}

unsigned
board_workers(const struct board *board)
{
	return atomic_load_explicit(&board->map->workers, memory_order_acquire);
}

void
board_worker_began(struct board *board, unsigned worker, pid_t pid)
{
	struct map *map = board->map;

	atomic_store(&board_worker(board, worker)->pid, pid);
	atomic_store(&board_worker(board, worker)->alive, 1);
	if (atomic_load(&map->workers) <= worker)
		atomic_store(&map->workers, worker + 1);
}

int
board_worker_claim(struct board *board, pid_t pid)
{
	_Atomic pid_t *owner;
	pid_t was;
	unsigned i;

	for (i = 0; i < BOARD_WORKERS; i++) {
		owner = &board_worker(board, i)->pid;
		was = atomic_load(owner);
		if (was != 0 && was != pid && kill(was, 0) == -1 &&
		    errno == ESRCH) {
			board_worker_ended(board, i);
			was = 0;
		}
		if (was == 0 &&
		    atomic_compare_exchange_strong(owner, &was, pid))
			return (int)i;
	}
	return -EAGAIN;
}

static uint64_t
read_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/* Killed anywhere between two stores, it has accepted what it has accepted:
 * all of that is closed now. */
static void
end_listener_slot(struct board_listener_slot *slot)
{
	uint64_t all = board_get(&slot->accepted) + board_get(&slot->moved);

	board_add(&slot->errors, all - board_get(&slot->closed));
	atomic_store(&slot->closed, all);
	atomic_store(&slot->connections, 0);
	atomic_store(&slot->buffered, 0);
	atomic_store(&slot->waiting, 0);
	atomic_store(&slot->resting, 0);
}

void
board_worker_ended(struct board *board, unsigned worker)
{
	struct map *map = board->map;
	struct area *area = &map->area[worker];
	uint32_t i, n = atomic_load(&map->listeners);

	for (i = 0; i < n; i++)
		end_listener_slot(&area->listeners[i]);
	n = atomic_load(&map->upstreams);
	for (i = 0; i < n; i++)
		atomic_store(&area->upstreams[i].queued, 0);
	n = atomic_load(&map->servers);
	for (i = 0; i < n; i++)
		atomic_store(&area->servers[i].connections, 0);
	/* Pages that were never touched are left alone that way. */
	if (madvise(area->sources, sizeof(area->sources), MADV_REMOVE) == -1)
		memset(area->sources, 0, sizeof(area->sources));
	atomic_store(&map->worker[worker].worker.connections, 0);
	atomic_store(&map->worker[worker].worker.alive, 0);
	atomic_store(&map->worker[worker].worker.pid, 0);
}

uint64_t
board_connections(const struct board *board)
{
	unsigned i, n = board_workers(board);
	uint64_t sum = 0;

	for (i = 0; i < n; i++)
		sum += atomic_load(&board->map->worker[i].worker.connections);
	return sum;
}

long
board_child_add(struct board *board, unsigned worker, pid_t group)
{
	_Atomic pid_t *children = board->map->area[worker].children;
	long i;

	for (i = 0; i < BOARD_CHILDREN; i++)
		if (atomic_load_explicit(&children[i], memory_order_relaxed) ==
		    0) {
			atomic_store(&children[i], group);
			return i;
		}
	return -1;
}

void
board_child_set(struct board *board, unsigned worker, long place, pid_t group)
{
	if (place >= 0)
		atomic_store(&board->map->area[worker].children[place], group);
}

void
board_children_left(
    struct board *board, unsigned worker, void (*fn)(pid_t group))
{
	_Atomic pid_t *children = board->map->area[worker].children;
	pid_t group;
	long i;

	for (i = 0; i < BOARD_CHILDREN; i++) {
		group = atomic_load(&children[i]);
		if (group == 0)
			continue;
		atomic_store(&children[i], 0);
		fn(group);
	}
}

struct board_source *
board_sources(struct board *board, unsigned worker)
{
	return board->map->area[worker].sources;
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
	       now_ms() - board_get(&row->gone_ms) >= BOARD_REST_MS &&
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
	atomic_store(&board->map->server[row].gone_ms, now_ms());
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
