/*
 * Contexts of TLS, made all together from a checked configuration before
 * anything is changed, and kept with it. What a context is for (certificates
 * by name, trust, versions) is libweir's; what the keys mean is here.
 *
 * With the contexts go the sessions that a listener may resume with its
 * servers: a few a server, the newest first, so that a reload forgets those of
 * another certificate by itself.
 */
#include "config.h"

#include "proxy/tls.h"

#include <sys/queue.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/tls.h>

#include "config/config.h"
#include "config/tls_files.h"

#define SESSIONS_SERVER 8    /* kept of one server */
#define SESSIONS_ALL	1024 /* ... of one listener */

#define CACHE_LEAST	20480 /* the default of tls_session_cache */
#define CACHE_MOST	UINT32_MAX

struct kept_session {
	struct weir_tls_session *session;
	char *server;
	bool once;
	TAILQ_ENTRY(kept_session) next;
};

/* Of one listener. */
struct contexts {
	struct weir_tls_context *clients, *servers;	  /* or NULL */
	TAILQ_HEAD(kept_sessions, kept_session) sessions; /* newest first */
	size_t session_count;
};

struct tls {
	struct contexts *listeners; /* as in the configuration */
	size_t count;
};

/* ---- contexts ---- */

/* What is the same for all contexts. */
struct wish {
	const struct config_tls_shared *shared;
	tls_mistake_fn *mistake;
	void *user;
};

static int
make_one(struct weir_tls_context **ret, const struct config_listener *listener,
    bool server, const struct wish *wish)
{
	const struct config_tls *tls =
	    server ? &listener->tls : &listener->upstream_tls;
	char why[512] = "", text[sizeof(why) + 16];
	int err;

	if (!tls->on)
		return 0;
	err = config_tls_context(
	    tls, server, wish->shared, ret, why, sizeof(why));
	if (err == 0 || err == -ENOMEM)
		return err;
	(void)snprintf(text, sizeof(text), "%s: %s",
	    server ? "tls" : "upstream_tls",
	    why[0] != '\0' ? why : weir_error_text(err));
	wish->mistake(listener, text, wish->user);
	return err;
}

static void
drop_session(struct contexts *c, struct kept_session *kept)
{
	TAILQ_REMOVE(&c->sessions, kept, next);
	c->session_count--;
	weir_tls_session_free(kept->session);
	free(kept->server);
	free(kept);
}

static void
free_tls(void *attached)
{
	struct tls *tls = attached;
	struct kept_session *kept;
	size_t i;

	for (i = 0; i < tls->count; i++) {
		while (
		    (kept = TAILQ_FIRST(&tls->listeners[i].sessions)) != NULL)
			drop_session(&tls->listeners[i], kept);
		weir_tls_context_unref(tls->listeners[i].clients);
		weir_tls_context_unref(tls->listeners[i].servers);
	}
	free(tls->listeners);
	free(tls);
}

static bool
any_tls(const struct config *config)
{
	size_t i;

	for (i = 0; i < config->listener_count; i++)
		if (config->listeners[i]->tls.on ||
		    config->listeners[i]->upstream_tls.on)
			return true;
	return false;
}

static int
make_all(struct tls *tls, const struct config *config, const struct wish *wish)
{
	struct contexts *c;
	int err = 0, r;
	size_t i;

	for (i = 0; i < tls->count; i++) {
		c = &tls->listeners[i];
		r = make_one(&c->clients, config->listeners[i], true, wish);
		err = err == 0 ? r : err;
		r = make_one(&c->servers, config->listeners[i], false, wish);
		err = err == 0 ? r : err;
	}
	return err;
}

int
tls_make(struct config *config, const struct config_tls_shared *shared,
    tls_mistake_fn *mistake, void *user)
{
	const struct wish wish = {shared, mistake, user};
	struct tls *tls;
	size_t i;
	int err;

	if (config->attached != NULL || !any_tls(config))
		return 0;
	tls = calloc(1, sizeof(*tls));
	if (tls != NULL)
		tls->listeners =
		    calloc(config->listener_count, sizeof(*tls->listeners));
	if (tls == NULL || tls->listeners == NULL) {
		free(tls);
		return -ENOMEM;
	}
	tls->count = config->listener_count;
	for (i = 0; i < tls->count; i++)
		TAILQ_INIT(&tls->listeners[i].sessions);
	err = make_all(tls, config, &wish);
	if (err != 0) {
		free_tls(tls);
		return err;
	}
	config->attached = tls;
	config->attached_free = free_tls;
	return 0;
}

int
tls_cache_new(struct weir_tls_cache **ret, const struct config *config)
{
	uint64_t sessions = 0;
	size_t i;

	for (i = 0; i < config->listener_count; i++)
		if (config->listeners[i]->tls.on)
			sessions += config->listeners[i]->tls.session_cache;
	if (sessions < CACHE_LEAST)
		sessions = CACHE_LEAST;
	if (sessions > CACHE_MOST)
		sessions = CACHE_MOST;
	return weir_tls_cache_new(ret, (size_t)sessions);
}

static struct contexts *
contexts_of(const struct config_listener *listener)
{
	struct tls *tls = listener->owner->attached;

	return tls != NULL ? &tls->listeners[listener->index] : NULL;
}

struct weir_tls_context *
tls_of_clients(const struct config_listener *listener)
{
	const struct contexts *c = contexts_of(listener);

	return c != NULL ? c->clients : NULL;
}

struct weir_tls_context *
tls_of_servers(const struct config_listener *listener)
{
	const struct contexts *c = contexts_of(listener);

	return c != NULL ? c->servers : NULL;
}

/* ---- sessions ---- */

/* Those that are too many: of this server, and of all, the oldest first. */
static void
bound_sessions(struct contexts *c, const char *server)
{
	struct kept_session *kept, *oldest = NULL;
	size_t of_server = 0;

	TAILQ_FOREACH (kept, &c->sessions, next) {
		if (strcmp(kept->server, server) != 0)
			continue;
		of_server++;
		oldest = kept;
	}
	if (of_server > SESSIONS_SERVER)
		drop_session(c, oldest);
	if (c->session_count > SESSIONS_ALL)
		drop_session(c, TAILQ_LAST(&c->sessions, kept_sessions));
}

void
tls_session_keep(const struct config_listener *listener, const char *server,
    struct weir_tls_session *session, bool once)
{
	struct contexts *c = contexts_of(listener);
	struct kept_session *kept = calloc(1, sizeof(*kept));

	if (kept != NULL)
		kept->server = strdup(server);
	if (c == NULL || kept == NULL || kept->server == NULL) {
		if (kept != NULL)
			free(kept->server);
		free(kept);
		weir_tls_session_free(session);
		return;
	}
	kept->session = session;
	kept->once = once;
	TAILQ_INSERT_HEAD(&c->sessions, kept, next);
	c->session_count++;
	bound_sessions(c, server);
}

const struct weir_tls_session *
tls_session_find(const struct config_listener *listener, const char *server)
{
	const struct contexts *c = contexts_of(listener);
	const struct kept_session *kept;

	if (c == NULL)
		return NULL;
	TAILQ_FOREACH (kept, &c->sessions, next)
		if (strcmp(kept->server, server) == 0)
			return kept->session;
	return NULL;
}

void
tls_session_used(const struct config_listener *listener,
    const struct weir_tls_session *session)
{
	struct contexts *c = contexts_of(listener);
	struct kept_session *kept;

	if (c == NULL || session == NULL)
		return;
	TAILQ_FOREACH (kept, &c->sessions, next)
		if (kept->session == session)
			break;
	if (kept != NULL && kept->once)
		drop_session(c, kept);
}
