/*
 * Lookups, whatever they are for: from a name to an answer, or forgotten.
 * Promises that nothing blocks, that a cancelled lookup is gone at once, and
 * that an idle resolver has no descriptor and no timer. Which name servers are
 * asked, and when, is dns_channel.c's; for what is that of resolve.c and srv.c.
 *
 * c-ares cannot forget one query of many. So what it holds is not the lookup
 * but a small struct weir__query, which a cancelled lookup leaves behind; once
 * a channel has no lookup any more, all that is left in it is cancelled. Its
 * callbacks never touch more than the lookup's fields and the queue of tasks:
 * all else happens outside of c-ares, in the lookup's task.
 */
#include "config.h"

#include "net/lookup_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Leave everything but the memory; c-ares may still hold the query. */
static void
detach(struct weir_lookup *lookup)
{
	TAILQ_REMOVE(&lookup->resolver->lookups, lookup, next);
	weir__loop_undefer(lookup->resolver->loop, &lookup->task);
	if (lookup->query != NULL)
		lookup->query->lookup = NULL;
	lookup->query = NULL;
	if (lookup->channel != NULL)
		weir__dns_leave(lookup->channel);
	lookup->channel = NULL;
}

void
weir__lookup_release(struct weir_lookup *lookup)
{
	weir__loop_release(lookup->resolver->loop);
	free(lookup->addresses);
	free(lookup->records);
	free(lookup);
}

void
weir__lookup_end(struct weir_lookup *lookup)
{
	detach(lookup);
	lookup->ended = true;
}

/* ---- the resolver of a loop ---- */

struct weir__resolver *
weir__resolver_of(struct weir_loop *loop)
{
	struct weir__resolver **resolver = weir__loop_resolver(loop);

	if (*resolver == NULL) {
		*resolver = calloc(1, sizeof(**resolver));
		if (*resolver == NULL)
			return NULL;
		(*resolver)->loop = loop;
		TAILQ_INIT(&(*resolver)->lookups);
	}
	return *resolver;
}

void
weir__resolver_free(struct weir__resolver *resolver)
{
	struct weir_lookup *lookup;

	if (resolver == NULL)
		return;
	while ((lookup = TAILQ_FIRST(&resolver->lookups)) != NULL) {
		detach(lookup);
		weir__lookup_release(lookup);
	}
	weir__dns_retire(resolver);
	free(resolver->servers);
	free(resolver);
}

/* ---- a lookup ---- */

static int
use_own_servers(struct weir_lookup *lookup, const char *name_servers)
{
	int err =
	    weir__dns_own(lookup->resolver, name_servers, &lookup->channel);

	if (err == 0)
		lookup->channel->lookups++;
	return err == 0 || err == -EINVAL ? err : -ENOMEM;
}

int
weir__lookup_new(struct weir_lookup **ret, struct weir_loop *loop,
    const char *host, const char *name_servers,
    void (*fn)(struct weir__task *task), void *user)
{
	struct weir__resolver *resolver = weir__resolver_of(loop);
	const size_t length = strlen(host) + 1;
	struct weir_lookup *lookup;
	int err;

	if (resolver == NULL)
		return -ENOMEM;
	lookup = calloc(1, sizeof(*lookup) + length);
	if (lookup == NULL)
		return -ENOMEM;
	memcpy(lookup->host, host, length);
	lookup->resolver = resolver;
	lookup->task.fn = fn;
	lookup->ttl_s = WEIR_TTL_NONE;
	lookup->user = user;
	err = name_servers != NULL ? use_own_servers(lookup, name_servers) : 0;
	if (err < 0) {
		free(lookup);
		return err;
	}
	TAILQ_INSERT_TAIL(&resolver->lookups, lookup, next);
	weir__loop_hold(loop);
	*ret = lookup;
	return 0;
}

int
weir__lookup_channel(struct weir_lookup *lookup)
{
	int err;

	if (lookup->channel != NULL)
		return 0;
	err = weir__dns_current(lookup->resolver, &lookup->channel);
	if (err == 0)
		lookup->channel->lookups++;
	return err;
}

struct weir__query *
weir__lookup_query(struct weir_lookup *lookup)
{
	struct weir__query *query = malloc(sizeof(*query));

	if (query != NULL)
		query->lookup = lookup;
	lookup->query = query;
	return query;
}

struct weir_lookup *
weir__lookup_answered(struct weir__query *query)
{
	struct weir_lookup *lookup = query->lookup;

	free(query);
	if (lookup != NULL)
		lookup->query = NULL;
	return lookup;
}

void
weir_resolve_cancel(struct weir_lookup *lookup)
{
	/* From inside its own done it is too late, and harmless. */
	if (lookup == NULL || lookup->ended)
		return;
	detach(lookup);
	weir__lookup_release(lookup);
}
