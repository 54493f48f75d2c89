/*
 * The board: one sparse memfd, mapped by every process of one weir, and who is
 * in which slot of it. Its rows are board_rows.c's.
 *
 * What the keeper alone changes (rows, who is in which slot) is published by
 * one store with release order, after all of it has been written; so whoever
 * finds a row finds the whole of it. Counters need no order among each other:
 * a sum is right as of some moment between the question and the answer.
 */
#include "config.h"

#include "proxy/board_priv.h"

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

/* The number goes up with each change of board_priv.h. */
#define MAGIC  UINT64_C(0x7765697262726431)
#define LAYOUT 5

/* ---- the mapping ---- */

uint64_t
board_now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
map_fd(struct board **ret, int fd)
{
	struct board *board = calloc(1, sizeof(*board));
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
	map->started_ms = board_now_ms();
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

void
board_workers_check(struct board *board)
{
	unsigned i;
	pid_t pid;

	for (i = 0; i < BOARD_WORKERS; i++) {
		pid = atomic_load(&board_worker(board, i)->pid);
		if (pid != 0 && kill(pid, 0) == -1 && errno == ESRCH)
			board_worker_ended(board, i);
	}
}

int
board_worker_claim(struct board *board, pid_t pid)
{
	_Atomic pid_t *owner;
	pid_t was;
	unsigned i;

	board_workers_check(board);
	for (i = 0; i < BOARD_WORKERS; i++) {
		owner = &board_worker(board, i)->pid;
		was = atomic_load(owner);
		if (was == 0 &&
		    atomic_compare_exchange_strong(owner, &was, pid))
			return (int)i;
	}
	return -EAGAIN;
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
	for (i = 0; i < n; i++) {
		atomic_store(&area->upstreams[i].queued, 0);
		atomic_store(&area->upstreams[i].first, 0);
	}
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
