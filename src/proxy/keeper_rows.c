/*
 * The rows of a server on the board: as many as it has addresses. Promises
 * that a row keeps its state (down by weirctl, a weight) for as long as the
 * server is configured as it was, across reloads and programs; what it is
 * configured to be is kept on the row as a hash.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <weir/error.h>

#include "log/log.h"
#include "proxy/keeper_priv.h"

#define BACKUP_TIER (1U << 16)
#define ORDER_SHIFT 16

static struct board *
board_of(const struct kept_server *server)
{
	return server->upstream->keeper->board;
}

/* What a server is configured to be; never 0. */
static uint64_t
origin_of(const struct config_server *config)
{
	const uint64_t numbers[] = {config->weight, config->backup,
	    config->down, config->max_connections, config->max_fails,
	    config->fail_timeout_ms};
	uint64_t hash = XXH3_64bits(config->text, strlen(config->text));

	hash = XXH3_64bits_withSeed(numbers, sizeof(numbers), hash);
	return hash != 0 ? hash : 1;
}

/* ---- checks ---- */

void
kept_update_checks(struct kept_server *server)
{
	struct kept_upstream *upstream = server->upstream;
	bool wanted = upstream->config->health != CONFIG_HEALTH_OFF &&
		      upstream->keeper->started;
	struct kept_row *row;
	size_t i;

	for (i = 0; i < server->count; i++) {
		row = &server->rows[i];
		if (wanted && row->check == NULL) {
			row->check = check_new(upstream, row->row);
			if (row->check != NULL)
				continue;
			upstream->keeper->wanting = true;
			log_error("no memory, a server is not checked yet",
			    LOG_T("upstream", upstream->config->name),
			    LOG_T("server", server->config->name));
		} else if (wanted) {
			check_move(row->check, upstream);
		} else if (row->check != NULL) {
			check_free(row->check);
			row->check = NULL;
		}
		if (upstream->config->health == CONFIG_HEALTH_OFF)
			atomic_store(
			    &board_server(board_of(server), row->row)->health,
			    SERVER_UNCHECKED);
	}
}

void
kept_free_checks(struct kept_server *server)
{
	size_t i;

	for (i = 0; i < server->count; i++) {
		check_free(server->rows[i].check);
		server->rows[i].check = NULL;
	}
}

/* ---- rows ---- */

/* What weirctl said of all of a name holds for its new addresses, too. */
static void
follow_others(const struct kept_server *server, struct board_server *state)
{
	struct board *board = board_of(server);
	const struct board_server *other;
	uint32_t admin;
	size_t i;

	if (server->count == 0)
		return;
	admin = atomic_load(&board_server(board, server->rows[0].row)->admin);
	for (i = 1; i < server->count; i++) {
		other = board_server(board, server->rows[i].row);
		if (atomic_load(&other->admin) != admin)
			return;
	}
	atomic_store(&state->admin, admin);
}

static void
set_row(struct kept_server *server, long row, size_t index,
    const struct kept_address *to)
{
	const struct config_server *config = server->config;
	struct board_server *state = board_server(board_of(server), row);
	uint64_t origin = origin_of(config);
	size_t number = (size_t)(config - server->upstream->config->servers);
	uint32_t flags = server->name != NULL ? SERVER_RESOLVED : 0;

	if (atomic_load(&state->origin) != origin) {
		bool fresh = atomic_load(&state->origin) == 0;

		atomic_store(
		    &state->admin, config->down ? SERVER_DOWN : SERVER_UP);
		atomic_store(&state->weight, to->weight);
		atomic_store(&state->down_until_ms, 0);
		atomic_store(&state->failing, 0);
		if (fresh && server->name != NULL)
			follow_others(server, state);
	} else if (atomic_load(&state->flags) & KEPT_WEIGHT_SET) {
		flags |= KEPT_WEIGHT_SET;
	} else {
		atomic_store(&state->weight, to->weight);
	}
	atomic_store(&state->flags, flags);
	atomic_store(
	    &state->tier, (config->backup ? BACKUP_TIER : 0) + to->priority);
	atomic_store(&state->order, (uint32_t)(number << ORDER_SHIFT | index));
	atomic_store(&state->origin, origin);
}

static void
log_no_row(const struct kept_server *server, long err)
{
	log_error(err == -ENOSPC ? "too many servers, one is left out"
				 : "a server is left out",
	    LOG_T("upstream", server->upstream->config->name),
	    LOG_T("server", server->config->name), LOG_N("most", BOARD_SERVERS),
	    LOG_T("error", weir_error_text((int)err)));
}

/* Its place among the rows that the server had; or count. */
static size_t
find_row(const struct kept_server *server, long row)
{
	size_t i = 0;

	while (i < server->count && server->rows[i].row != row)
		i++;
	return i;
}

static bool
has_row(const struct kept_row *rows, size_t count, long row)
{
	while (count > 0)
		if (rows[--count].row == row)
			return true;
	return false;
}

/* Those that the server has no more. */
static void
let_go(struct kept_server *server, const struct kept_row *now, size_t count)
{
	size_t i;

	for (i = 0; i < server->count; i++) {
		if (has_row(now, count, server->rows[i].row))
			continue;
		check_free(server->rows[i].check);
		board_server_gone(board_of(server), server->rows[i].row);
	}
}

void
kept_set_addresses(struct kept_server *server,
    const struct kept_address *addresses, size_t count)
{
	struct kept_row *rows = calloc(count + 1, sizeof(*rows));
	size_t had = 0, i, old;
	long row;

	if (rows == NULL) {
		server->upstream->keeper->wanting = true;
		log_no_row(server, -ENOMEM);
		return;
	}
	for (i = 0; i < count; i++) {
		row = board_server_row(board_of(server), server->upstream->row,
		    server->config->name, &addresses[i].address);
		if (row < 0) {
			log_no_row(server, row);
			continue;
		}
		if (has_row(rows, had, row))
			continue;
		set_row(server, row, i, &addresses[i]);
		old = find_row(server, row);
		rows[had++] = old < server->count
				  ? server->rows[old]
				  : (struct kept_row){.row = row};
	}
	let_go(server, rows, had);
	free(server->rows);
	server->rows = rows;
	server->count = had;
	kept_update_checks(server);
	keeper_changed(server->upstream);
}

void
kept_drop_rows(struct kept_server *server)
{
	let_go(server, NULL, 0);
	free(server->rows);
	server->rows = NULL;
	server->count = 0;
}

size_t
kept_find_addresses(const struct kept_server *server, struct kept_address **ret)
{
	struct board *board = board_of(server);
	uint64_t origin = origin_of(server->config);
	const struct board_server *state;
	struct kept_address *grown;
	size_t count = 0;
	long row = -1;

	*ret = NULL;
	while (
	    (row = board_server_next(board, server->upstream->row, row)) >= 0) {
		state = board_server(board, row);
		if (!board_server_used(board, row) ||
		    atomic_load(&state->origin) != origin ||
		    strcmp(state->name, server->config->name) != 0)
			continue;
		grown = reallocarray(*ret, count + 1, sizeof(*grown));
		if (grown == NULL) {
			free(*ret);
			*ret = NULL;
			return 0;
		}
		*ret = grown;
		grown[count++] = (struct kept_address){
		    .address = state->address,
		    .priority = atomic_load(&state->tier) & (BACKUP_TIER - 1),
		    .weight = atomic_load(&state->weight),
		};
	}
	return count;
}
