/*
 * A walk over the open connections, some at a time, so that a list of very
 * many never holds up the loop.
 *
 * Between its steps connections come and go: one that ends while a walk is to
 * tell it next is stepped over by proxy_session_ended(); one that begins is
 * told, as it stands behind all others.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/proxy_priv.h"
#include "proxy/session.h"

/* Those of other listeners cost little, but not nothing. */
#define SEEN_FOR_ONE_TOLD 16

struct proxy_walk {
	LIST_ENTRY(proxy_walk) next_of_all; /* proxy.walks */
	struct proxy *proxy;
	const struct session *next; /* NULL at the end */
	char *listener;		    /* owned; NULL: all */
};

int
proxy_walk_new(
    struct proxy_walk **ret, struct proxy *proxy, const char *listener)
{
	struct proxy_walk *walk = calloc(1, sizeof(*walk));

	if (walk != NULL && listener != NULL)
		walk->listener = strdup(listener);
	if (walk == NULL || (listener != NULL && walk->listener == NULL)) {
		free(walk);
		return -ENOMEM;
	}
	walk->proxy = proxy;
	walk->next = TAILQ_FIRST(&proxy->sessions);
	LIST_INSERT_HEAD(&proxy->walks, walk, next_of_all);
	*ret = walk;
	return 0;
}

void
proxy_walk_free(struct proxy_walk *walk)
{
	if (walk == NULL)
		return;
	LIST_REMOVE(walk, next_of_all);
	free(walk->listener);
	free(walk);
}

bool
proxy_walk_next(struct proxy_walk *walk, size_t most,
    void (*fn)(const struct session_figures *, void *), void *user)
{
	size_t seen = 0, told = 0;
	const struct session *session;

	while (walk->next != NULL && told < most &&
	       seen < most * SEEN_FOR_ONE_TOLD) {
		session = walk->next;
		walk->next = TAILQ_NEXT(session, next_of_all);
		seen++;
		if (walk->listener != NULL &&
		    strcmp(session->config->name, walk->listener) != 0)
			continue;
		proxy_tell_session(walk->proxy, session, fn, user);
		told++;
	}
	return walk->next != NULL;
}

void
proxy_session_ended(struct proxy *proxy, struct session *session)
{
	struct proxy_walk *walk;

	LIST_FOREACH (walk, &proxy->walks, next_of_all)
		if (walk->next == session)
			walk->next = TAILQ_NEXT(session, next_of_all);
	TAILQ_REMOVE(&proxy->sessions, session, next_of_all);
}
