/*
 * Connections by source, in libc's balanced tree: one node a source that has
 * any, so its size is bounded by the number of connections.
 */
#include "config.h"

#include "proxy/sources.h"

#include <errno.h>
#include <netinet/in.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <weir/address.h>

struct source {
	struct source_key key;
	uint64_t count;
};

void
source_key_set(
    struct source_key *key, const struct weir_address *address, uid_t user)
{
	const struct in6_addr *six = &address->u.in6.sin6_addr;

	memset(key, 0, sizeof(*key));
	if (address->u.sa.sa_family == AF_INET) {
		key->kind = 4;
		memcpy(key->bytes, &address->u.in.sin_addr, 4);
	} else if (address->u.sa.sa_family != AF_INET6) {
		key->kind = 'u';
		memcpy(key->bytes, &user, sizeof(user));
	} else if (IN6_IS_ADDR_V4MAPPED(six)) {
		key->kind = 4;
		memcpy(key->bytes, six->s6_addr + 12, 4);
	} else {
		key->kind = 6;
		memcpy(key->bytes, six->s6_addr, 8); /* its /64 */
	}
}

static int
compare(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	return memcmp(&x->key, &y->key, sizeof(x->key));
}

static struct source *
find(const struct sources *sources, const struct source_key *key)
{
	const struct source wanted = {.key = *key};
	void *node = tfind(&wanted, &sources->tree, compare);

	return node != NULL ? *(struct source **)node : NULL;
}

int
sources_add(struct sources *sources, const struct source_key *key, uint64_t max)
{
	struct source *source = find(sources, key);

	if (source != NULL) {
		if (source->count >= max)
			return -EUSERS;
		source->count++;
		return 0;
	}
	source = malloc(sizeof(*source));
	if (source == NULL)
		return -ENOMEM;
	source->key = *key;
	source->count = 1;
	if (tsearch(source, &sources->tree, compare) == NULL) {
		free(source);
		return -ENOMEM;
	}
	return 0;
}

void
sources_remove(struct sources *sources, const struct source_key *key)
{
	struct source *source = find(sources, key);

	if (source == NULL || --source->count > 0)
		return;
	(void)tdelete(source, &sources->tree, compare);
	free(source);
}

void
sources_free(struct sources *sources)
{
	tdestroy(sources->tree, free);
	sources->tree = NULL;
}
