/*
 * The figures of upstreams and their servers, from the board, and what weirctl
 * may change of them. Whichever process asks gets those of all workers.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "log/log.h"
#include "proxy/keeper.h"
#include "proxy/proxy_priv.h"
#include "proxy/server_state.h"
#include "proxy/upstream.h"

#define TRIES	   100 /* to read a text that is being written */
#define WEIGHT_MAX 256

static const char *const admin_text[] = {
    [SERVER_UP] = "up",
    [SERVER_DOWN] = "down",
    [SERVER_DRAIN] = "drain",
};

static const char *
balance_text(enum config_balance balance)
{
	static const char *const text[] = {
	    [CONFIG_ROUND_ROBIN] = "round_robin",
	    [CONFIG_LEAST_CONN] = "least_conn",
	    [CONFIG_RANDOM] = "random",
	    [CONFIG_SOURCE] = "source",
	    [CONFIG_ORDERED] = "ordered",
	};

	return text[balance];
}

size_t
proxy_upstream_count(const struct proxy *proxy)
{
	return proxy->config->upstream_count;
}

void
proxy_upstream_figures(
    const struct proxy *proxy, size_t index, struct upstream_figures *ret)
{
	const struct config_upstream *config = proxy->config->upstreams[index];
	long row = board_upstream_find(proxy->board, config->name);

	*ret = (struct upstream_figures){
	    .name = config->name,
	    .balance = balance_text(config->balance),
	    .queued = row >= 0 ? board_upstream_queued(proxy->board, row) : 0,
	};
}

/* Whole, or after many tries as it is: it is only a text. */
static void
read_check(const struct board_server *state, char *ret)
{
	uint32_t before, after;
	int i;

	for (i = 0; i < TRIES; i++) {
		before = atomic_load(&state->check_version);
		memcpy(ret, state->check, BOARD_CHECK);
		after = atomic_load(&state->check_version);
		if (before == after && before % 2 == 0)
			break;
	}
	ret[BOARD_CHECK - 1] = '\0';
}

static void
tell_row(const struct proxy *proxy, const struct config_server *config,
    long row, void (*fn)(const struct server_figures *, void *), void *user)
{
	const struct board_server *state = board_server(proxy->board, row);
	uint64_t now = weir_loop_now_ms(proxy->loop);
	uint64_t checked = board_get(&state->checked_ms);
	uint32_t admin = atomic_load(&state->admin);
	uint32_t weight = atomic_load(&state->weight);
	char text[WEIR_ADDRESS_TEXT], check[BOARD_CHECK];
	struct server_figures figures;
	struct board_server_sum sum;

	board_server_sum(proxy->board, row, &sum);
	read_check(state, check);
	figures = (struct server_figures){
	    .name = config->name,
	    .address = weir_address_text(&state->address, text, sizeof(text)),
	    .state = server_state_text(server_state(state, now)),
	    .admin = admin_text[admin],
	    .admin_said = admin != (config->down ? SERVER_DOWN : SERVER_UP),
	    /* Those of SRV records have the weight of their record. */
	    .weight_said = weight != config->weight &&
			   config->endpoint.kind != WEIR_ENDPOINT_SRV,
	    .backup = config->backup,
	    .weight = weight,
	    .connections = sum.connections,
	    .max_connections = config->max_connections,
	    .total = sum.total,
	    .failures = sum.failures,
	    .connect_ms = board_get(&state->connect_ms),
	    .bytes_in = sum.bytes_in,
	    .bytes_out = sum.bytes_out,
	    .check = check,
	    .checked_s = checked > 0 && now > checked
			     ? (double)(now - checked) / 1000
			     : 0,
	};
	fn(&figures, user);
}

/* One whose name has no addresses. */
static void
tell_none(const struct config_server *config,
    void (*fn)(const struct server_figures *, void *), void *user)
{
	const struct server_figures figures = {
	    .name = config->name,
	    .address = "-",
	    .state = server_state_text(SERVER_IS_DOWN),
	    .admin = admin_text[config->down ? SERVER_DOWN : SERVER_UP],
	    .backup = config->backup,
	    .weight = config->weight,
	    .max_connections = config->max_connections,
	    .check = "",
	};

	fn(&figures, user);
}

static int
compare_rows(const void *left, const void *right, void *user)
{
	struct board *board = user;
	const long *a = left, *b = right;
	uint32_t x = atomic_load(&board_server(board, *a)->order);
	uint32_t y = atomic_load(&board_server(board, *b)->order);

	return x < y ? -1 : x > y;
}

/* The rows of an upstream in their order; *ret is the caller's to free. */
static size_t
find_rows(const struct proxy *proxy, long upstream, long **ret)
{
	size_t count = 0, room = 0;
	long row = -1;

	while ((row = board_server_next(proxy->board, upstream, row)) >= 0)
		room++;
	*ret = calloc(room + 1, sizeof(**ret));
	if (*ret == NULL)
		return 0;
	row = -1;
	while (count < room &&
	       (row = board_server_next(proxy->board, upstream, row)) >= 0)
		if (board_server_used(proxy->board, row))
			(*ret)[count++] = row;
	qsort_r(*ret, count, sizeof(**ret), compare_rows, proxy->board);
	return count;
}

void
proxy_each_server(const struct proxy *proxy, size_t index,
    void (*fn)(const struct server_figures *, void *), void *user)
{
	const struct config_upstream *config = proxy->config->upstreams[index];
	long upstream = board_upstream_find(proxy->board, config->name);
	const struct config_server *server;
	size_t count, i, k;
	long *rows;
	bool any;

	if (upstream < 0)
		return;
	count = find_rows(proxy, upstream, &rows);
	for (i = 0; i < config->server_count; i++) {
		server = &config->servers[i];
		any = false;
		for (k = 0; k < count; k++) {
			if (strcmp(board_server(proxy->board, rows[k])->name,
				server->name) != 0)
				continue;
			any = true;
			tell_row(proxy, server, rows[k], fn, user);
		}
		if (!any)
			tell_none(server, fn, user);
	}
	free(rows);
}

/* ---- weirctl ---- */

int
proxy_server_set(struct proxy *proxy, const char *upstream, const char *server,
    const char *action)
{
	unsigned i;
	int err;

	if (proxy->keeper == NULL)
		return -ENOTSUP;
	for (i = 0; i < sizeof(admin_text) / sizeof(admin_text[0]); i++)
		if (strcmp(action, admin_text[i]) == 0)
			break;
	if (i == sizeof(admin_text) / sizeof(admin_text[0]))
		return -EINVAL;
	err = keeper_set_admin(proxy->keeper, upstream, server, i);
	if (err == 0)
		log_info("server is set", LOG_T("upstream", upstream),
		    LOG_T("server", server), LOG_T("to", action));
	return err;
}

int
proxy_server_weight(struct proxy *proxy, const char *upstream,
    const char *server, unsigned weight)
{
	int err;

	if (proxy->keeper == NULL)
		return -ENOTSUP;
	if (weight > WEIGHT_MAX)
		return -EINVAL;
	err = keeper_set_weight(proxy->keeper, upstream, server, weight);
	if (err == 0)
		log_info("server is set", LOG_T("upstream", upstream),
		    LOG_T("server", server), LOG_N("weight", weight));
	return err;
}

uint64_t
proxy_upstream_connections(const struct proxy *proxy, const char *name)
{
	long upstream = board_upstream_find(proxy->board, name), row = -1;
	uint64_t sum = 0;

	while ((row = board_server_next(proxy->board, upstream, row)) >= 0)
		sum += board_server_connections(proxy->board, row);
	return sum;
}
