/*
 * The upstreams of a process: lists of servers as the board has them. Promises
 * that a server, and an upstream, are there for as long as a use of them is,
 * whatever becomes of the configuration; and that a list is as new as the
 * board is whenever it is asked for. Uses are upstream_use.c's.
 */
#include "config.h"

#include "proxy/upstream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/loop.h>

#include "proxy/server_state.h"
#include "proxy/upstream_priv.h"

uint64_t
upstream_now(const struct upstream *upstream)
{
	return weir_loop_now_ms(upstream->all->loop);
}

/* ---- servers ---- */

void
upstream_server_unref(struct server *server)
{
	struct upstream *upstream = server->upstream;

	if (--server->refs > 0)
		return;
	free(server);
	upstream_unref(upstream);
}

static const struct config_server *
config_of(const struct upstream *upstream, const char *name)
{
	size_t i;

	for (i = 0; i < upstream->config->server_count; i++)
		if (strcmp(upstream->config->servers[i].name, name) == 0)
			return &upstream->config->servers[i];
	return NULL;
}

/* The one of that row, where that is still the same server's. */
static struct server *
find_server(const struct upstream *upstream, long row)
{
	const struct board_server *state =
	    board_server(upstream->all->board, row);
	struct server *server;
	size_t i;

	for (i = 0; i < upstream->count; i++) {
		server = upstream->servers[i];
		if (server->row == row &&
		    weir_address_equal(&server->address, &state->address))
			return server;
	}
	return NULL;
}

static struct server *
new_server(struct upstream *upstream, long row)
{
	struct upstreams *all = upstream->all;
	struct server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return NULL;
	server->upstream = upstream;
	upstream->refs++;
	server->row = row;
	server->state = board_server(all->board, row);
	server->slot = board_server_slot(all->board, all->worker, row);
	server->address = server->state->address;
	server->key = balance_server_key(server->state->name, &server->address);
	return server;
}

static int
compare_servers(const void *left, const void *right)
{
	const struct server *a = *(struct server *const *)left;
	const struct server *b = *(struct server *const *)right;
	uint32_t x = atomic_load(&a->state->order);
	uint32_t y = atomic_load(&b->state->order);

	if (x != y)
		return x < y ? -1 : 1;
	return a->row < b->row ? -1 : a->row > b->row;
}

static size_t
count_rows(const struct upstream *upstream)
{
	struct board *board = upstream->all->board;
	long i = -1;
	size_t count = 0;

	while ((i = board_server_next(board, upstream->row, i)) >= 0)
		count += board_server_used(board, i);
	return count;
}

/* One for the list, as it is configured now; NULL for no memory. */
static struct server *
take_server(
    struct upstream *upstream, long row, const struct config_server *config)
{
	struct server *server = find_server(upstream, row);

	if (server == NULL)
		server = new_server(upstream, row);
	if (server == NULL)
		return NULL;
	server->refs++;
	server->max_connections = config->max_connections;
	server->max_fails = config->max_fails;
	server->fail_timeout_ms = config->fail_timeout_ms;
	return server;
}

static void
drop_list(struct server **servers, size_t count)
{
	while (count > 0)
		upstream_server_unref(servers[--count]);
	free(servers);
}

/* The servers of the board's rows, as many as there is room for. False where
 * memory was refused. */
static bool
fill_list(struct upstream *upstream, struct server **servers, size_t room,
    size_t *count)
{
	struct board *board = upstream->all->board;
	const struct config_server *config;
	long row = -1;

	while (*count < room &&
	       (row = board_server_next(board, upstream->row, row)) >= 0) {
		if (!board_server_used(board, row))
			continue;
		/* What a reload is about to take away has none. */
		config = config_of(upstream, board_server(board, row)->name);
		if (config == NULL)
			continue;
		servers[*count] = take_server(upstream, row, config);
		if (servers[*count] == NULL)
			return false;
		++*count;
	}
	return true;
}

static void
set_list(struct upstream *upstream, struct server **servers, size_t count,
    struct balance_server *choice)
{
	struct server **old = upstream->servers;
	size_t old_count = upstream->count, i;

	qsort(servers, count, sizeof(struct server *), compare_servers);
	for (i = 0; i < old_count; i++)
		old[i]->listed = false;
	for (i = 0; i < count; i++)
		servers[i]->listed = true;
	free(upstream->choice);
	upstream->servers = servers;
	upstream->choice = choice;
	upstream->count = count;
	drop_list(old, old_count);
}

void
upstream_refresh(struct upstream *upstream)
{
	uint64_t version = atomic_load(&upstream->state->version);
	size_t room, count = 0;
	struct balance_server *choice;
	struct server **servers;

	if (upstream->fresh && version == upstream->version)
		return;
	room = count_rows(upstream);
	servers = calloc(room + 1, sizeof(struct server *));
	choice = calloc(room + 1, sizeof(*choice));
	if (servers == NULL || choice == NULL ||
	    !fill_list(upstream, servers, room, &count)) {
		drop_list(servers, count);
		free(choice);
		return;
	}
	set_list(upstream, servers, count, choice);
	upstream->version = version;
	upstream->fresh = true;
}

/* ---- upstreams ---- */

void
upstream_unref(struct upstream *upstream)
{
	if (--upstream->refs > 0)
		return;
	TAILQ_REMOVE(&upstream->all->every, upstream, next);
	weir_timer_free(upstream->timer);
	config_unref(upstream->owner);
	free(upstream->choice);
	free(upstream);
}

/* It is in no configuration any more; its uses go on. */
static void
unlist(struct upstream *upstream)
{
	struct server **servers = upstream->servers;
	size_t count = upstream->count;

	upstream->servers = NULL;
	upstream->count = 0;
	drop_list(servers, count);
	upstream_unref(upstream);
}

static void
set_config(struct upstream *upstream, struct config *owner,
    const struct config_upstream *config)
{
	struct config *old = upstream->owner;

	upstream->owner = config_ref(owner);
	upstream->config = config;
	upstream->fresh = false;
	config_unref(old);
}

static int
new_upstream(struct upstream **ret, struct upstreams *all, struct config *owner,
    const struct config_upstream *config)
{
	long row = board_upstream_find(all->board, config->name);
	struct upstream *upstream;

	if (row < 0)
		return (int)row;
	upstream = calloc(1, sizeof(*upstream));
	if (upstream == NULL)
		return -ENOMEM;
	upstream->all = all;
	upstream->refs = 1;
	upstream->row = row;
	upstream->state = board_upstream(all->board, row);
	upstream->slot = board_upstream_slot(all->board, all->worker, row);
	TAILQ_INIT(&upstream->waiting);
	TAILQ_INSERT_TAIL(&all->every, upstream, next);
	set_config(upstream, owner, config);
	*ret = upstream;
	return 0;
}

static struct upstream *
find_listed(const struct upstreams *all, const char *name)
{
	const struct config_upstream *config =
	    all->config != NULL ? config_find_upstream(all->config, name)
				: NULL;

	return config != NULL ? all->list[config->index] : NULL;
}

static void
unlist_all(struct upstream **list, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (list[i] != NULL)
			unlist(list[i]);
	free(list);
}

/* A list for a configuration, of those that are there and new ones. */
static int
make_list(struct upstream ***ret, struct upstreams *all, struct config *config)
{
	struct upstream **list =
	    calloc(config->upstream_count + 1, sizeof(struct upstream *));
	struct upstream *old;
	size_t i;
	int err = list != NULL ? 0 : -ENOMEM;

	for (i = 0; err == 0 && i < config->upstream_count; i++) {
		old = find_listed(all, config->upstreams[i]->name);
		if (old == NULL)
			err = new_upstream(
			    &list[i], all, config, config->upstreams[i]);
	}
	if (err != 0) {
		if (list != NULL)
			unlist_all(list, config->upstream_count);
		return err;
	}
	*ret = list;
	return 0;
}

int
upstreams_reload(struct upstreams *all, struct config *config)
{
	struct upstream **list, **old = all->list, *upstream;
	struct config *old_config = all->config;
	size_t i;
	int err = make_list(&list, all, config);

	if (err != 0)
		return err;
	for (i = 0; i < config->upstream_count; i++) {
		upstream = list[i] == NULL
			       ? find_listed(all, config->upstreams[i]->name)
			       : NULL;
		if (upstream == NULL)
			continue;
		old[upstream->config->index] = NULL; /* it is not the old's */
		set_config(upstream, config, config->upstreams[i]);
		list[i] = upstream;
	}
	all->list = list;
	all->config = config_ref(config);
	if (old != NULL)
		unlist_all(old, all->count);
	all->count = config->upstream_count;
	config_unref(old_config);
	upstreams_changed(all);
	return 0;
}

int
upstreams_new(struct upstreams **ret, const struct upstream_options *options)
{
	struct upstreams *all = calloc(1, sizeof(*all));
	struct timespec now;
	int err;

	if (all == NULL)
		return -ENOMEM;
	all->loop = options->loop;
	all->board = options->board;
	all->worker = options->worker;
	all->handlers = options->handlers;
	all->user = options->user;
	TAILQ_INIT(&all->every);
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	all->random = board_seed(all->board) ^ (uint64_t)now.tv_nsec << 20 ^
		      (uint64_t)getpid();
	all->random += all->random == 0;
	err = upstreams_reload(all, options->config);
	if (err != 0) {
		free(all);
		return err;
	}
	*ret = all;
	return 0;
}

void
upstreams_free(struct upstreams *all)
{
	if (all == NULL)
		return;
	unlist_all(all->list, all->count);
	weir_timer_free(all->watch);
	config_unref(all->config);
	free(all);
}

void
upstreams_set_worker(struct upstreams *all, unsigned worker)
{
	struct upstream *upstream;
	struct timespec now;

	all->worker = worker;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	all->random ^= (uint64_t)now.tv_nsec << 20 ^ (uint64_t)getpid();
	all->random += all->random == 0;
	TAILQ_FOREACH (upstream, &all->every, next) {
		upstream->slot =
		    board_upstream_slot(all->board, worker, upstream->row);
		drop_list(upstream->servers, upstream->count);
		upstream->servers = NULL;
		upstream->count = 0;
		upstream->fresh = false;
	}
}

struct upstream *
upstream_find(const struct upstreams *all, const struct config_upstream *config)
{
	if (config->index < all->count &&
	    all->list[config->index]->config == config)
		return all->list[config->index];
	return find_listed(all, config->name); /* of an older configuration */
}

bool
upstreams_usable(struct upstreams *all, const struct config_upstream *config)
{
	struct upstream *upstream = upstream_find(all, config);
	uint64_t now;
	size_t i;

	if (upstream == NULL)
		return false;
	upstream_refresh(upstream);
	now = upstream_now(upstream);
	for (i = 0; i < upstream->count; i++)
		if (server_usable(upstream->servers[i]->state, now))
			return true;
	return atomic_load(&upstream->state->looking) > 0;
}
