/*
 * Leads each listener to its upstreams. It promises that what upstream, sni and
 * alpn name is one struct config_upstream each: the [upstream] section of that
 * name, or an implicit one of the listener's ADDRESSes, which are tried in
 * their order; and that each server has a name of its own in its upstream.
 */
#include <config.h>

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder_priv.h"
#include "config/option_priv.h"
#include "util/map.h"
#include "util/nearest.h"

/* A text that is taken, in a tree of tsearch(3). */
struct taken {
	const char *text; /* not owned */
	unsigned number;  /* the last one that was given out behind it */
	struct config_upstream *pool; /* of a route */
};

static int
compare_taken(const void *a, const void *b)
{
	const struct taken *x = a, *y = b;

	return strcmp(x->text, y->text);
}

/* The node of a text, made where it is new, with *fresh; NULL where memory is
 * refused. */
static struct taken *
take(void **tree, const char *text, bool *fresh)
{
	struct taken *node = calloc(1, sizeof(*node)), **found;

	*fresh = false;
	if (node == NULL)
		return NULL;
	node->text = text;
	node->number = 1;
	found = tsearch(node, tree, compare_taken);
	*fresh = found != NULL && *found == node;
	if (!*fresh)
		free(node);
	return found ? *found : NULL;
}

struct config_upstream *
config_upstream_new(struct config *config, const char *name)
{
	struct config_upstream **rows = option_grow(
	    config->upstreams, config->upstream_count, sizeof(*rows));
	struct config_upstream *upstream;

	if (rows == NULL)
		return NULL;
	config->upstreams = rows;
	upstream = calloc(1, sizeof(*upstream));
	if (upstream == NULL)
		return NULL;
	upstream->name = strdup(name);
	if (upstream->name == NULL) {
		free(upstream);
		return NULL;
	}
	upstream->index = config->upstream_count;
	rows[config->upstream_count++] = upstream;
	return upstream;
}

/* ---- implicit ones ---- */

static struct config_upstream *
new_implicit(struct config *config, const char *name)
{
	struct config_upstream *upstream = config_upstream_new(config, name);

	if (upstream == NULL ||
	    config_set_defaults(OPTION_UPSTREAM, upstream) < 0)
		return NULL;
	upstream->implicit = true;
	upstream->ordered = true;
	upstream->used = true;
	upstream->balance = CONFIG_ORDERED;
	return upstream;
}

static int
add_server(struct config_upstream *upstream,
    const struct weir_endpoint *endpoint, const char *text,
    const struct config_origin *origin)
{
	struct config_server *rows = option_grow(
	    upstream->servers, upstream->server_count, sizeof(*rows));
	struct config_server *server;

	if (rows == NULL)
		return -ENOMEM;
	upstream->servers = rows;
	server = &rows[upstream->server_count++];
	server->endpoint = *endpoint;
	server->weight = 1;
	server->text = strdup(text);
	if (server->text == NULL)
		return -ENOMEM;
	return option_copy_origin(&server->origin, origin);
}

/*
 * Of the ADDRESSes of upstream. It bears the listener's name; where that is
 * taken by a section, a name that no section can have.
 */
static int
make_implicit(const struct config_builder *builder, struct config *config,
    struct config_listener *listener)
{
	struct config_upstream *upstream;
	struct strbuf name = STRBUF_NULL;
	size_t i;
	int r = 0;

	strbuf_text(&name, listener->name);
	if (config_section_find(
		builder, CONFIG_SECTION_UPSTREAM, listener->name) != NULL)
		strbuf_text(&name, "/upstream");
	upstream = name.failed ? NULL : new_implicit(config, strbuf_get(&name));
	strbuf_free(&name);
	if (upstream == NULL)
		return -ENOMEM;
	for (i = 0; i < listener->upstream_count && r == 0; i++)
		r = add_server(upstream, &listener->upstream[i].endpoint,
		    listener->upstream[i].text, &listener->upstream[i].origin);
	/* All of them are tried, as many as there are. */
	if (upstream->server_count > upstream->retries + 1)
		upstream->retries = (unsigned)upstream->server_count - 1;
	listener->pool = upstream;
	return r;
}

/* Of the one ADDRESS of a route; routes of a listener to the same share it. */
static int
make_implicit_route(struct config *config,
    const struct config_listener *listener, struct config_route *route,
    void **tree)
{
	struct config_upstream *upstream;
	struct strbuf name = STRBUF_NULL;
	struct taken *node;
	bool fresh;

	node = take(tree, route->text, &fresh);
	if (node == NULL)
		return -ENOMEM;
	if (!fresh) {
		route->pool = node->pool;
		return 0;
	}
	strbuf_format(&name, "%s/%s", listener->name, route->text);
	upstream = name.failed ? NULL : new_implicit(config, strbuf_get(&name));
	strbuf_free(&name);
	if (upstream == NULL)
		return -ENOMEM;
	route->pool = node->pool = upstream;
	return add_server(
	    upstream, &route->endpoint, route->text, &route->origin);
}

/* ---- names ---- */

/* Where a row stands that was kept with its origin. */
static struct config_place
place_of(struct config_builder *builder, const struct config_origin *origin)
{
	return (struct config_place){
	    config_file_get(builder, origin->file), origin->line};
}

static void
note_unknown(struct config_builder *builder, const struct config *config,
    const char *key, const char *text, const struct config_origin *origin)
{
	struct config_place place = place_of(builder, origin);
	struct nearest nearest;
	const char *known;
	size_t i;

	if (place.file == NULL)
		return;
	nearest_begin(&nearest, text);
	for (i = 0; i < config->upstream_count; i++)
		if (!config->upstreams[i]->implicit)
			nearest_try(&nearest, config->upstreams[i]->name);
	known = nearest_get(&nearest);
	if (known != NULL)
		config_note(builder, place,
		    "%s: there is no [upstream %s] (did you mean \"%s\"?)", key,
		    text, known);
	else
		config_note(builder, place,
		    "%s: \"%s\" is neither the NAME of an [upstream] nor an "
		    "ADDRESS, which has a port (HOST:PORT)",
		    key, text);
}

/* The [upstream] of a NAME; notes where there is none. */
static struct config_upstream *
find_named(struct config_builder *builder, const struct config *config,
    const char *key, const char *text, const struct config_origin *origin)
{
	const struct config_section *section =
	    config_section_find(builder, CONFIG_SECTION_UPSTREAM, text);

	if (section == NULL) {
		note_unknown(builder, config, key, text, origin);
		return NULL;
	}
	section->upstream->used = true;
	return section->upstream;
}

/* upstream = is ADDRESSes, or one NAME. */
static int
lead_listener(struct config_builder *builder, struct config *config,
    struct config_listener *listener)
{
	const struct config_address *row, *named = NULL;
	struct config_place place;
	size_t i;

	for (i = 0; i < listener->upstream_count; i++) {
		row = &listener->upstream[i];
		if (!row->name)
			continue;
		named = row;
		listener->pool = find_named(
		    builder, config, "upstream", row->text, &row->origin);
	}
	if (named == NULL)
		return listener->upstream_count > 0
			   ? make_implicit(builder, config, listener)
			   : 0;
	if (listener->upstream_count == 1)
		return 0;
	place = place_of(builder, &named->origin);
	if (place.file != NULL)
		config_note(builder, place,
		    "upstream: \"%s\" is the NAME of an [upstream], which "
		    "stands alone (write the others as servers of it)",
		    named->text);
	return 0;
}

static int
lead_routes(struct config_builder *builder, struct config *config,
    const struct config_listener *listener)
{
	struct config_route *route;
	void *tree = NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < listener->route_count && r == 0; i++) {
		route = &listener->routes[i];
		if (route->name)
			route->pool = find_named(builder, config,
			    route->kind == CONFIG_ROUTE_SNI ? "sni" : "alpn",
			    route->text, &route->origin);
		else
			r = make_implicit_route(config, listener, route, &tree);
	}
	tdestroy(tree, free);
	return r;
}

/* ---- servers ---- */

/* Two servers with one name= could not be told apart. */
static int
take_name(struct config_builder *builder, const struct config_server *server,
    void **tree)
{
	struct config_place place;
	bool fresh;

	if (take(tree, server->name, &fresh) == NULL)
		return -ENOMEM;
	place = place_of(builder, &server->origin);
	if (!fresh && place.file != NULL)
		config_note(builder, place,
		    "server: name=%s is that of another server of this "
		    "upstream already",
		    server->name);
	return 0;
}

/* The ADDRESS, and a number behind it where that is taken. */
static int
make_name(struct config_server *server, void **tree)
{
	struct taken *first = NULL, *node;
	struct strbuf name = STRBUF_NULL;
	bool fresh;

	strbuf_text(&name, server->text);
	for (;;) {
		free(server->name);
		server->name = strbuf_take(&name);
		if (server->name == NULL)
			return -ENOMEM;
		node = take(tree, server->name, &fresh);
		if (node == NULL)
			return -ENOMEM;
		if (fresh)
			return 0;
		if (first == NULL)
			first = node;
		strbuf_format(&name, "%s#%u", server->text, ++first->number);
	}
}

static int
finish_servers(struct config_builder *builder, struct config_upstream *upstream)
{
	struct config_server *server;
	void *tree = NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < upstream->server_count && r == 0; i++) {
		server = &upstream->servers[i];
		if (!server->max_fails_set)
			server->max_fails = upstream->max_fails;
		if (!server->fail_timeout_set)
			server->fail_timeout_ms = upstream->fail_timeout_ms;
		if (server->named)
			r = take_name(builder, server, &tree);
	}
	for (i = 0; i < upstream->server_count && r == 0; i++)
		if (!upstream->servers[i].named)
			r = make_name(&upstream->servers[i], &tree);
	tdestroy(tree, free);
	return r;
}

/* For config_find_upstream(). */
static int
note_names(struct config *config)
{
	size_t i;
	int r = 0;

	config->upstream_names = map_new();
	if (config->upstream_names == NULL)
		return -ENOMEM;
	for (i = 0; i < config->upstream_count && r >= 0; i++)
		r = map_put(config->upstream_names, config->upstreams[i]->name,
		    config->upstreams[i]);
	return r < 0 ? r : 0;
}

void
config_make_pools(struct config_builder *builder, struct config *config)
{
	size_t i;
	int r = 0;

	for (i = 0; i < config->listener_count && r == 0; i++) {
		r = lead_listener(builder, config, config->listeners[i]);
		if (r == 0)
			r = lead_routes(builder, config, config->listeners[i]);
	}
	for (i = 0; i < config->upstream_count && r == 0; i++)
		r = finish_servers(builder, config->upstreams[i]);
	if (r == 0)
		r = note_names(config);
	if (r < 0)
		builder->failed = true;
}
