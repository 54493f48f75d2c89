/*
 * The keeper: upstreams and their servers from the configuration to the board.
 * Promises that a reload which fails has changed nothing, and that what did not
 * change keeps its rows, its checks and its answers. Rows are keeper_rows.c's,
 * names names.c's and checks health.c's.
 */
#include "config.h"

#include "proxy/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/loop.h>

#include "log/log.h"
#include "proxy/keeper_priv.h"
#include "util/strbuf.h"

#define DOUBTS_MS 500 /* workers' failed connects are looked for so often */

static void on_doubts_timer(struct weir_timer *timer, void *user);
static void update_doubts_timer(struct keeper *keeper);

/* ---- what is known on the board ---- */

static void
count_names(const struct kept_upstream *upstream)
{
	struct board_upstream *state =
	    board_upstream(upstream->keeper->board, upstream->row);
	uint32_t looking = 0, unanswered = 0;
	size_t i;

	for (i = 0; i < upstream->count; i++) {
		if (upstream->servers[i].name == NULL)
			continue;
		looking += name_looking(upstream->servers[i].name);
		unanswered += name_unanswered(upstream->servers[i].name);
	}
	atomic_store(&state->unanswered, unanswered);
	atomic_store(&state->looking, looking);
}

/* Whoever serves reads its list of servers anew. */
static void
note_change(const struct kept_upstream *upstream)
{
	count_names(upstream);
	atomic_fetch_add(
	    &board_upstream(upstream->keeper->board, upstream->row)->version,
	    1);
}

void
keeper_told(struct keeper *keeper)
{
	if (keeper->started)
		keeper->on_change(keeper->user);
}

void
keeper_changed(struct kept_upstream *upstream)
{
	struct keeper *keeper = upstream->keeper;

	if (keeper->reloading)
		return; /* all of them are, in the end */
	note_change(upstream);
	keeper_told(keeper);
}

/* ---- one upstream ---- */

static void
add_family(struct kept_upstream *upstream, int family)
{
	if (upstream->used && upstream->family != family)
		upstream->family = 0;
	else if (!upstream->used)
		upstream->family = family;
	upstream->used = true;
}

/* Of each upstream the family that all who use it want; 0 where they differ,
 * or want any. */
static void
set_families(struct kept_upstream *upstreams, const struct config *config)
{
	const struct config_listener *listener;
	size_t i, k;

	for (i = 0; i < config->listener_count; i++) {
		listener = config->listeners[i];
		if (listener->pool != NULL)
			add_family(&upstreams[listener->pool->index],
			    listener->family);
		for (k = 0; k < listener->route_count; k++)
			if (listener->routes[k].pool != NULL)
				add_family(
				    &upstreams[listener->routes[k].pool->index],
				    listener->family);
	}
}

/* Its own, those of [weir], or (NULL) the system's. */
static int
set_name_servers(struct kept_upstream *upstream, const struct config *config)
{
	char **rows = upstream->config->dns_count > 0 ? upstream->config->dns
						      : config->dns;
	size_t count = upstream->config->dns_count > 0
			   ? upstream->config->dns_count
			   : config->dns_count;
	struct strbuf text = STRBUF_NULL;
	size_t i;

	if (count == 0)
		return 0;
	for (i = 0; i < count; i++)
		strbuf_format(&text, "%s%s", i > 0 ? "," : "", rows[i]);
	upstream->name_servers = strbuf_take(&text);
	return upstream->name_servers != NULL ? 0 : -ENOMEM;
}

static bool
is_name(const struct config_server *server)
{
	struct weir_address address;

	return weir_endpoint_address(&server->endpoint, &address) != 0;
}

/* All but the rows of servers: nothing that cannot be undone. */
static int
prepare_upstream(struct kept_upstream *upstream, struct keeper *keeper,
    const struct config *config, const struct config_upstream *from)
{
	size_t i;
	int err = 0;

	upstream->keeper = keeper;
	upstream->config = from;
	upstream->row = -1;
	upstream->servers =
	    calloc(from->server_count + 1, sizeof(*upstream->servers));
	if (upstream->servers == NULL)
		return -ENOMEM;
	upstream->count = from->server_count;
	err = set_name_servers(upstream, config);
	for (i = 0; err == 0 && i < upstream->count; i++) {
		upstream->servers[i].upstream = upstream;
		upstream->servers[i].config = &from->servers[i];
		if (!is_name(&from->servers[i]))
			continue;
		upstream->servers[i].name = name_new(&upstream->servers[i]);
		if (upstream->servers[i].name == NULL)
			err = -ENOMEM;
	}
	return err;
}

static void
free_server(struct kept_server *server)
{
	kept_free_checks(server);
	name_free(server->name);
	free(server->rows);
}

static void
free_upstreams(struct kept_upstream *upstreams, size_t count)
{
	size_t i, k;

	for (i = 0; i < count; i++) {
		for (k = 0; k < upstreams[i].count; k++)
			free_server(&upstreams[i].servers[k]);
		free(upstreams[i].servers);
		free(upstreams[i].name_servers);
	}
	free(upstreams);
}

static struct kept_upstream *
find_upstream(const struct keeper *keeper, const char *name)
{
	const struct config_upstream *config =
	    keeper->config != NULL ? config_find_upstream(keeper->config, name)
				   : NULL;

	return config != NULL ? &keeper->upstreams[config->index] : NULL;
}

/* ---- from one configuration to the next ---- */

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* The same server of the configuration before, which has not been moved. */
static struct kept_server *
find_same(struct kept_upstream *old, const struct kept_server *server)
{
	struct kept_server *each;
	size_t i;

	for (i = 0; i < old->count; i++) {
		each = &old->servers[i];
		if (each->upstream != NULL &&
		    strcmp(each->config->name, server->config->name) == 0 &&
		    strcmp(each->config->text, server->config->text) == 0)
			return each;
	}
	return NULL;
}

/* What the server before had is this one's now. */
static void
move_server(struct kept_server *server, struct kept_server *old)
{
	const struct kept_upstream *from = old->upstream;
	const struct kept_upstream *to = server->upstream;
	struct name *unused = server->name;

	server->rows = old->rows;
	server->count = old->count;
	if (old->name != NULL) {
		server->name = old->name;
		name_move(server->name, server,
		    from->family != to->family ||
			!same_text(from->name_servers, to->name_servers) ||
			from->config->resolve_ms != to->config->resolve_ms);
		name_free(unused);
	}
	*old = (struct kept_server){.upstream = NULL};
}

static void
move_servers(struct kept_upstream *upstream, struct kept_upstream *old)
{
	struct kept_server *same;
	size_t i;

	for (i = 0; i < upstream->count; i++) {
		same = find_same(old, &upstream->servers[i]);
		if (same != NULL)
			move_server(&upstream->servers[i], same);
	}
	for (i = 0; i < old->count; i++)
		if (old->servers[i].upstream != NULL)
			kept_drop_rows(&old->servers[i]);
}

/* The rows that a server has at once: of its address, or of the last answer
 * that its name had. */
static void
set_rows(struct kept_server *server)
{
	const struct config_server *config = server->config;
	struct kept_address to = {.weight = config->weight};

	if (weir_endpoint_address(&config->endpoint, &to.address) == 0)
		kept_set_addresses(server, &to, 1);
	else
		name_apply(server->name);
}

static void
commit_upstream(struct kept_upstream *upstream, struct kept_upstream *old)
{
	const struct keeper *keeper = upstream->keeper;
	size_t i;

	if (old != NULL)
		move_servers(upstream, old);
	for (i = 0; i < upstream->count; i++) {
		set_rows(&upstream->servers[i]);
		kept_update_checks(&upstream->servers[i]);
		if (keeper->started && upstream->servers[i].name != NULL)
			name_start(upstream->servers[i].name);
	}
}

static int
prepare(struct keeper *keeper, struct config *config,
    struct kept_upstream *upstreams)
{
	size_t i;
	long row;
	int err = 0;

	for (i = 0; err == 0 && i < config->upstream_count; i++)
		err = prepare_upstream(
		    &upstreams[i], keeper, config, config->upstreams[i]);
	set_families(upstreams, config);
	for (i = 0; err == 0 && i < config->upstream_count; i++) {
		row = board_upstream_row(
		    keeper->board, config->upstreams[i]->name);
		upstreams[i].row = row;
		if (row >= 0)
			continue;
		err = (int)row;
		log_error("no room for an upstream",
		    LOG_T("upstream", config->upstreams[i]->name),
		    LOG_N("most", BOARD_UPSTREAMS),
		    LOG_T("error", weir_error_text(err)));
	}
	return err;
}

/* Rows that were made for what does not come. */
static void
undo(struct keeper *keeper, struct kept_upstream *upstreams, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (upstreams[i].config != NULL && upstreams[i].row >= 0 &&
		    find_upstream(keeper, upstreams[i].config->name) == NULL)
			board_upstream_gone(keeper->board, upstreams[i].row);
	free_upstreams(upstreams, count);
}

int
keeper_reload(struct keeper *keeper, struct config *config)
{
	size_t count = config->upstream_count, i, old_count = keeper->count;
	struct kept_upstream *old = keeper->upstreams;
	struct kept_upstream *upstreams = calloc(count + 1, sizeof(*upstreams));
	struct config *old_config = keeper->config;
	int err;

	if (upstreams == NULL)
		return -ENOMEM;
	err = prepare(keeper, config, upstreams);
	if (err != 0) {
		undo(keeper, upstreams, count);
		return err;
	}
	keeper->reloading = true;
	for (i = 0; i < count; i++)
		commit_upstream(&upstreams[i],
		    find_upstream(keeper, upstreams[i].config->name));
	keeper->upstreams = upstreams;
	keeper->count = count;
	keeper->config = config_ref(config);
	for (i = 0; i < old_count; i++)
		if (find_upstream(keeper, old[i].config->name) == NULL)
			board_upstream_gone(keeper->board, old[i].row);
	free_upstreams(old, old_count);
	config_unref(old_config);
	update_doubts_timer(keeper);
	keeper->reloading = false;
	for (i = 0; i < count; i++)
		note_change(&upstreams[i]);
	keeper_told(keeper);
	return 0;
}

int
keeper_new(struct keeper **ret, const struct keeper_options *options)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	struct timespec now;
	int err;

	if (keeper == NULL)
		return -ENOMEM;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	keeper->loop = options->loop;
	keeper->board = options->board;
	keeper->on_change = options->on_change;
	keeper->user = options->user;
	keeper->random = ((uint64_t)now.tv_nsec << 20 ^ (uint64_t)getpid()) | 1;
	err = weir_timer_new(
	    &keeper->doubts, keeper->loop, on_doubts_timer, keeper);
	if (err == 0) {
		weir_timer_unref(keeper->doubts);
		err = keeper_reload(keeper, options->config);
	}
	if (err != 0) {
		weir_timer_free(keeper->doubts);
		free(keeper);
		return err;
	}
	*ret = keeper;
	return 0;
}

void
keeper_free(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	keeper->started = false;
	weir_timer_free(keeper->doubts);
	free_upstreams(keeper->upstreams, keeper->count);
	config_unref(keeper->config);
	free(keeper);
}

/* ---- names and checks, all of them ---- */

static void
each_server(struct keeper *keeper, void (*fn)(struct kept_server *server))
{
	size_t i, k;

	for (i = 0; i < keeper->count; i++)
		for (k = 0; k < keeper->upstreams[i].count; k++)
			fn(&keeper->upstreams[i].servers[k]);
}

static void
start_server(struct kept_server *server)
{
	if (server->name != NULL)
		name_start(server->name);
	kept_update_checks(server);
}

void
keeper_start(struct keeper *keeper)
{
	keeper->started = true;
	each_server(keeper, start_server);
	update_doubts_timer(keeper);
}

static void
pause_server(struct kept_server *server)
{
	if (server->name != NULL)
		name_pause(server->name);
}

static void
resume_server(struct kept_server *server)
{
	if (server->name != NULL)
		name_start(server->name);
}

void
keeper_pause(struct keeper *keeper)
{
	each_server(keeper, pause_server);
}

void
keeper_resume(struct keeper *keeper)
{
	if (keeper->started)
		each_server(keeper, resume_server);
}

/* ---- connects that failed ---- */

static void
look_for_doubts(struct kept_upstream *upstream)
{
	struct board_upstream *state =
	    board_upstream(upstream->keeper->board, upstream->row);
	size_t i;

	if (atomic_exchange(&state->doubts, 0) == 0)
		return;
	for (i = 0; i < upstream->count; i++)
		if (upstream->servers[i].name != NULL)
			name_doubt(upstream->servers[i].name);
}

static bool
any_name(const struct keeper *keeper)
{
	size_t i, k;

	for (i = 0; i < keeper->count; i++)
		for (k = 0; k < keeper->upstreams[i].count; k++)
			if (keeper->upstreams[i].servers[k].name != NULL)
				return true;
	return false;
}

/* With names or without memory there is something to wake up for. */
static void
update_doubts_timer(struct keeper *keeper)
{
	if (!keeper->started || (!keeper->wanting && !any_name(keeper)))
		weir_timer_stop(keeper->doubts);
	else if (!weir_timer_running(keeper->doubts))
		(void)weir_timer_start(keeper->doubts, DOUBTS_MS);
}

/* What there was no memory for when it was due. */
static void
make_up(struct kept_server *server)
{
	if (server->name == NULL || server->count == 0)
		set_rows(server);
	kept_update_checks(server);
}

static void
on_doubts_timer(struct weir_timer *timer, void *user)
{
	struct keeper *keeper = user;
	size_t i;

	(void)timer;
	for (i = 0; i < keeper->count; i++)
		look_for_doubts(&keeper->upstreams[i]);
	if (keeper->wanting) {
		keeper->wanting = false;
		each_server(keeper, make_up);
	}
	update_doubts_timer(keeper);
}

/* ---- weirctl ---- */

static bool
is_called(const struct board_server *state, const char *text)
{
	char address[WEIR_ADDRESS_TEXT];

	return strcmp(state->name, text) == 0 ||
	       strcmp(
		   weir_address_text(&state->address, address, sizeof(address)),
		   text) == 0;
}

/* Calls fn for each row that is meant. */
static int
each_called(struct keeper *keeper, const char *upstream_name,
    const char *server, void (*fn)(struct board_server *state, unsigned value),
    unsigned value)
{
	struct kept_upstream *upstream = find_upstream(keeper, upstream_name);
	struct board_server *state;
	bool any = false;
	size_t i, k;

	if (upstream == NULL)
		return -ENOENT;
	for (i = 0; i < upstream->count; i++)
		for (k = 0; k < upstream->servers[i].count; k++) {
			state = board_server(
			    keeper->board, upstream->servers[i].rows[k].row);
			if (!is_called(state, server))
				continue;
			any = true;
			fn(state, value);
		}
	if (!any)
		return -ESRCH;
	keeper_told(keeper);
	return 0;
}

static uint64_t
monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
set_admin(struct board_server *state, unsigned admin)
{
	(void)server_set_admin(state, admin, monotonic_ms());
}

static void
set_weight(struct board_server *state, unsigned weight)
{
	atomic_store(&state->weight, weight);
	atomic_fetch_or(&state->flags, KEPT_WEIGHT_SET);
}

int
keeper_set_admin(struct keeper *keeper, const char *upstream,
    const char *server, enum server_admin admin)
{
	return each_called(keeper, upstream, server, set_admin, admin);
}

int
keeper_set_weight(struct keeper *keeper, const char *upstream,
    const char *server, unsigned weight)
{
	return each_called(keeper, upstream, server, set_weight, weight);
}
