/*
 * The life of a use of an upstream. It counts in one server from the choice to
 * its end: on the board, in the slot of this worker. Which one it gets is
 * upstream_pick.c's.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "log/log.h"
#include "proxy/server_state.h"
#include "proxy/upstream_priv.h"

#define WATCH_MS 100

/* ---- on_down = close ---- */

/* Whether there is something to watch. */
static bool
close_of_down(struct upstreams *all)
{
	struct upstream *upstream;
	struct server *server;
	bool any = false;
	size_t i;

	TAILQ_FOREACH (upstream, &all->every, next) {
		if (upstream->config->on_down != CONFIG_ON_DOWN_CLOSE)
			continue;
		upstream_refresh(upstream);
		for (i = 0; i < upstream->count; i++) {
			server = upstream->servers[i];
			if (board_get(&server->slot->connections) == 0)
				continue;
			any = true;
			if (server_state(server->state,
				upstream_now(upstream)) == SERVER_IS_DOWN)
				all->handlers->on_down(server, all->user);
		}
	}
	return any;
}

static void
on_watch(struct weir_timer *timer, void *user)
{
	struct upstreams *all = user;

	if (close_of_down(all))
		(void)weir_timer_start(timer, WATCH_MS);
}

static void
watch(struct upstreams *all)
{
	if (all->watch == NULL) {
		if (weir_timer_new(&all->watch, all->loop, on_watch, all) != 0)
			return;
		weir_timer_unref(all->watch);
	}
	if (!weir_timer_running(all->watch))
		(void)weir_timer_start(all->watch, WATCH_MS);
}

void
upstreams_changed(struct upstreams *all)
{
	struct upstream *upstream;

	(void)close_of_down(all);
	TAILQ_FOREACH (upstream, &all->every, next)
		if (!TAILQ_EMPTY(&upstream->waiting))
			upstream_wake(upstream);
}

/* ---- a use ---- */

int
upstream_begin(struct upstream_use *use, struct upstreams *all,
    const struct config_upstream *config, const struct upstream_wish *wish)
{
	struct upstream *upstream = upstream_find(all, config);

	if (upstream == NULL)
		return -ENOENT;
	use->try = malloc(sizeof(*use->try));
	if (use->try == NULL)
		return -ENOMEM;
	*use->try = (struct upstream_try){.wish = *wish};
	use->try->rows = use->try->few;
	use->try->room = UPSTREAM_FEW;
	use->upstream = upstream;
	upstream->refs++;
	return 0;
}

static void
free_try(struct upstream_use *use)
{
	if (use->try == NULL)
		return;
	if (use->try->rows != use->try->few)
		free(use->try->rows);
	free(use->try);
	use->try = NULL;
}

bool
upstream_tried(const struct upstream_use *use)
{
	return use->try != NULL && use->try->count > 0;
}

bool
upstream_is_empty(const struct upstream_use *use, bool *unanswered)
{
	*unanswered = atomic_load(&use->upstream->state->unanswered) > 0;
	return use->upstream->count == 0;
}

/* It counts there no more, and who waits may. */
static void
release(struct upstream_use *use)
{
	struct server *server = use->server;

	if (server == NULL)
		return;
	use->server = NULL;
	board_sub(&server->slot->connections, 1);
	if (!TAILQ_EMPTY(&use->upstream->waiting))
		upstream_wake(use->upstream);
	upstream_server_unref(server);
}

static void
note_open(const struct upstream_use *use)
{
	if (use->upstream->config->on_down == CONFIG_ON_DOWN_CLOSE)
		watch(use->upstream->all);
}

static void
log_state(const struct server *server, const char *message, const char *reason)
{
	char text[WEIR_ADDRESS_TEXT];

	log_warn(message, LOG_T("upstream", server->upstream->config->name),
	    LOG_T("server", server->state->name),
	    LOG_T("address",
		weir_address_text(&server->address, text, sizeof(text))),
	    LOG_T("reason", reason));
}

void
upstream_connected(struct upstream_use *use)
{
	struct server *server = use->server;
	uint64_t now = upstream_now(use->upstream);

	if (server == NULL || use->try == NULL)
		return;
	board_add(&server->slot->total, 1);
	atomic_store(&server->state->connect_ms, now - use->try->begun_ms);
	if (server_connected(server->state, now))
		log_state(server, "server is up", "it can be connected to");
	free_try(use);
	note_open(use);
}

/* What is missing here, and says nothing of the server. */
static bool
is_ours(int err)
{
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
	       err == -ENOBUFS || err == -EADDRNOTAVAIL || err == -EADDRINUSE ||
	       err == -EAFNOSUPPORT || err == -EPERM || err == -EACCES ||
	       err == -EAGAIN;
}

/* Whether no other server could be used: then it is never taken down. */
static bool
is_alone(const struct server *server)
{
	const struct upstream *upstream = server->upstream;
	const struct board_server *state;
	size_t i;

	for (i = 0; i < upstream->count; i++) {
		state = upstream->servers[i]->state;
		if (upstream->servers[i] != server &&
		    atomic_load(&state->admin) == SERVER_UP &&
		    atomic_load(&state->health) != SERVER_ILL &&
		    atomic_load(&state->weight) > 0)
			return false;
	}
	return true;
}

void
upstream_failed(struct upstream_use *use, int err)
{
	struct server *server = use->server;
	uint64_t now;

	if (server == NULL || use->try == NULL)
		return;
	now = upstream_now(use->upstream);
	if (is_ours(err)) {
		if (use->try->probing)
			server_unclaim(server->state, now);
	} else {
		board_add(&server->slot->failures, 1);
		if (atomic_load(&server->state->flags) & SERVER_RESOLVED)
			atomic_fetch_add(&use->upstream->state->doubts, 1);
		if (server->listed && !is_alone(server) &&
		    server_failed(server->state, now, server->max_fails,
			server->fail_timeout_ms))
			log_state(server, "server is down", "connects fail");
	}
	release(use);
}

int
upstream_adopt(struct upstream_use *use, struct upstreams *all,
    const struct config_upstream *config, const struct weir_address *address)
{
	struct upstream *upstream = upstream_find(all, config);
	struct server *server = NULL;
	size_t i;

	if (upstream == NULL)
		return -ENOENT;
	upstream_refresh(upstream);
	for (i = 0; i < upstream->count && server == NULL; i++)
		if (weir_address_equal(&upstream->servers[i]->address, address))
			server = upstream->servers[i];
	if (server == NULL)
		return -ENOENT;
	use->upstream = upstream;
	upstream->refs++;
	use->server = server;
	server->refs++;
	board_add(&server->slot->connections, 1);
	note_open(use);
	return 0;
}

const char *
upstream_server_name(const struct upstream_use *use)
{
	return use->server != NULL ? use->server->state->name : NULL;
}

const struct weir_address *
upstream_server_address(const struct upstream_use *use)
{
	return use->server != NULL ? &use->server->address : NULL;
}

struct weir_totals *
upstream_totals(const struct upstream_use *use)
{
	return use->server != NULL ? &use->server->slot->totals : NULL;
}

void
upstream_end(struct upstream_use *use)
{
	struct upstream *upstream = use->upstream;

	if (upstream == NULL)
		return;
	upstream_leave(use);
	if (use->server != NULL && use->try != NULL && use->try->probing)
		server_unclaim(use->server->state, upstream_now(upstream));
	release(use);
	free_try(use);
	use->upstream = NULL;
	upstream_unref(upstream);
}
