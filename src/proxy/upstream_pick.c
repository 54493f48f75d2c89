/*
 * The choice of a server. Promises that a server never has more connections
 * than its max_connections, of all workers together, and that a use never gets
 * one twice.
 *
 * A choice is made from what the board says at this moment; then the place is
 * taken. Where another worker took the last one meanwhile, the next choice is
 * made without that server.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/server_state.h"
#include "proxy/upstream_priv.h"

/* ---- what can be chosen from ---- */

static bool
was_tried(const struct upstream_try *try, const struct server *server)
{
	size_t i;

	for (i = 0; i < try->count; i++)
		if (try->rows[i] == server->row)
			return true;
	return false;
}

/* family is of names that were resolved; an address is what it is. */
static bool
is_of_family(const struct server *server, int family)
{
	return family == 0 ||
	       !(atomic_load(&server->state->flags) & SERVER_RESOLVED) ||
	       weir_address_family(&server->address) == family;
}

static uint64_t
weight_of(const struct server *server, uint64_t now)
{
	uint64_t since = board_get(&server->state->up_since_ms);
	unsigned weight = atomic_load(&server->state->weight);
	uint64_t slow_start = server->upstream->config->slow_start_ms;

	if (since == 0 || now < since)
		return balance_weight(weight, 0, 0);
	return balance_weight(weight, now - since, slow_start);
}

/*
 * Of those that are tried in their order there is no other choice when all of
 * them have failed lately: they are tried nevertheless.
 */
static bool
may_be_chosen(const struct server *server, uint64_t now, bool last_resort)
{
	const struct board_server *state = server->state;

	if (!last_resort)
		return server_usable(state, now);
	return atomic_load(&state->admin) == SERVER_UP &&
	       atomic_load(&state->health) != SERVER_ILL &&
	       atomic_load(&state->weight) > 0;
}

/* What the choice looks at, and whether a server is full that could be had
 * else. */
static bool
describe(struct upstream *upstream, struct upstream_try *try)
{
	struct board *board = upstream->all->board;
	uint64_t now = upstream_now(upstream);
	enum config_balance balance = upstream->config->balance;
	struct balance_server *choice;
	struct server *server;
	bool any_full = false, full;
	size_t i;

	for (i = 0; i < upstream->count; i++) {
		server = upstream->servers[i];
		choice = &upstream->choice[i];
		*choice = (struct balance_server){.key = server->key};
		if (!may_be_chosen(server, now, try->last_resort) ||
		    was_tried(try, server))
			continue;
		if (!is_of_family(server, try->wish.family)) {
			try->choosy = true;
			continue;
		}
		if (server->max_connections > 0 ||
		    balance == CONFIG_LEAST_CONN || balance == CONFIG_RANDOM)
			choice->connections =
			    board_server_connections(board, server->row);
		full = server->max_connections > 0 &&
		       choice->connections >= server->max_connections;
		any_full = any_full || full;
		choice->usable = !full;
		choice->weight = weight_of(server, now);
		choice->tier = atomic_load(&server->state->tier);
	}
	return any_full;
}

static bool
any_usable(const struct upstream *upstream)
{
	size_t i;

	for (i = 0; i < upstream->count; i++)
		if (upstream->choice[i].usable)
			return true;
	return false;
}

static long
choose(struct upstream *upstream, const struct upstream_try *try)
{
	const struct balance_server *choice = upstream->choice;
	size_t count = upstream->count;
	uint64_t turn;

	if (!any_usable(upstream))
		return -1;
	switch (upstream->config->balance) {
	case CONFIG_ROUND_ROBIN:
	case CONFIG_LEAST_CONN:
		turn = atomic_fetch_add(&upstream->state->turn, 1);
		return upstream->config->balance == CONFIG_ROUND_ROBIN
			   ? balance_turn(choice, count, turn)
			   : balance_least(choice, count, turn);
	case CONFIG_RANDOM:
		return balance_random(
		    choice, count, balance_draw(&upstream->all->random));
	case CONFIG_SOURCE:
		return balance_source(choice, count, try->wish.client);
	case CONFIG_ORDERED:
		break;
	}
	return balance_ordered(choice, count);
}

/* ---- taking it ---- */

/* Count there first and look then, so that two never have the last place. */
static bool
take_place(struct server *server)
{
	const struct board *board = server->upstream->all->board;
	_Atomic uint64_t *mine = &server->slot->connections;

	atomic_store(mine, board_get(mine) + 1);
	if (server->max_connections == 0 ||
	    board_server_connections(board, server->row) <=
		server->max_connections)
		return true;
	atomic_store(mine, board_get(mine) - 1);
	return false;
}

/* The list may have changed since it was looked at. */
static bool
is_current(const struct upstream *upstream)
{
	return atomic_load(&upstream->state->version) == upstream->version;
}

static bool
take(struct upstream_use *use, struct server *server, bool *full)
{
	struct upstream *upstream = use->upstream;
	uint64_t now = upstream_now(upstream);

	if (!take_place(server)) {
		*full = true;
		return false;
	}
	if (!is_current(upstream) ||
	    (!use->try->last_resort &&
		!server_claim(server->state, now, server->fail_timeout_ms,
		    &use->try->probing))) {
		board_sub(&server->slot->connections, 1);
		return false;
	}
	use->server = server;
	server->refs++;
	use->try->begun_ms = now;
	return true;
}

static bool
note_try(struct upstream_try *try, const struct server *server)
{
	long *rows;

	if (try->count == try->room) {
		rows = reallocarray(try->rows != try->few ? try->rows : NULL,
		    try->room + UPSTREAM_FEW, sizeof(*try->rows));
		if (rows == NULL)
			return false;
		if (try->rows == try->few)
			memcpy(rows, try->few, sizeof(try->few));
		try->rows = rows;
		try->room += UPSTREAM_FEW;
	}
	try->rows[try->count++] = server->row;
	return true;
}

/* Choose until one is taken. *any_full tells whether a server could be had but
 * for its connections. */
static bool
choose_and_take(struct upstream_use *use, bool *any_full)
{
	struct upstream *upstream = use->upstream;
	long index;

	*any_full = describe(upstream, use->try);
	if (!any_usable(upstream)) {
		upstream->idle_ticket = 0;
		return false;
	}
	if (!upstream_is_first(use)) {
		*any_full = true; /* it is another one's */
		return false;
	}
	while ((index = choose(upstream, use->try)) >= 0) {
		if (!note_try(use->try, upstream->servers[index]))
			return false;
		if (take(use, upstream->servers[index], any_full))
			return true;
		use->try->count--;
		if (!is_current(upstream)) {
			upstream_refresh(upstream);
			if (!is_current(upstream))
				return false; /* no memory for it */
			*any_full = describe(upstream, use->try);
			continue;
		}
		upstream->choice[index].usable = false;
	}
	return false;
}

/* ---- one question ---- */

/* Of those that are tried in their order, each; else so many. */
static bool
may_try(const struct upstream_use *use)
{
	const struct config_upstream *config = use->upstream->config;

	return config->ordered || use->try->count <= config->retries;
}

/* A name that is looked up for the first time may be one of the first. */
static bool
is_too_early(const struct upstream *upstream)
{
	return upstream->config->ordered &&
	       atomic_load(&upstream->state->looking) > 0;
}

static bool
try_last_resort(struct upstream_use *use, bool *any_full)
{
	bool taken;

	if (!use->upstream->config->ordered)
		return false;
	use->try->last_resort = true;
	taken = choose_and_take(use, any_full);
	use->try->last_resort = false;
	return taken;
}

enum upstream_answer
upstream_pick(struct upstream_use *use, struct weir_address *ret)
{
	struct upstream *upstream = use->upstream;
	bool any_full;

	if (use->try == NULL || !may_try(use)) {
		upstream_leave(use);
		return UPSTREAM_NONE;
	}
	upstream_refresh(upstream);
	if (is_too_early(upstream) && upstream_may_wait(use, true))
		return UPSTREAM_WAIT;
	if (choose_and_take(use, &any_full) ||
	    (!any_full && try_last_resort(use, &any_full))) {
		upstream_leave(use);
		*ret = use->server->address;
		return UPSTREAM_SERVER;
	}
	if (any_full && upstream_may_wait(use, false))
		return UPSTREAM_WAIT;
	if (!any_full && atomic_load(&upstream->state->unanswered) > 0 &&
	    upstream_may_wait(use, true))
		return UPSTREAM_WAIT;
	upstream_leave(use);
	return UPSTREAM_NONE;
}
