/*
 * What came of a reload: what differs between the two configurations, which
 * keys are in force and which wait for a restart, and how many connections are
 * concerned; and how the log tells that.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/log.h"
#include "process/reload_priv.h"
#include "proxy/proxy.h"
#include "proxy/reload.h"
#include "proxy/upstream.h"
#include "util/map.h"

/* A key of a listener that its sockets were not given. */
struct refused {
	char *listener, *why;
	const char *key; /* static */
	bool told;
};

void
result_free(struct result *r)
{
	size_t i;

	for (i = 0; i < r->mistake_count; i++)
		free(r->mistakes[i]);
	free(r->mistakes);
	for (i = 0; i < r->refused_count; i++) {
		free(r->refused[i].listener);
		free(r->refused[i].why);
	}
	free(r->refused);
	for (i = 0; i < r->result.row_count; i++)
		free((void *)(uintptr_t)r->result.rows[i].keys);
	free((void *)(uintptr_t)r->result.rows);
	config_changes_free(r->changes);
	config_changes_free(r->boot);
	*r = (struct result){0};
}

/* ---- mistakes ---- */

void
result_mistake(struct result *r, const char *format, ...)
{
	char **more =
	    reallocarray(r->mistakes, r->mistake_count + 1, sizeof(*more));
	va_list arguments;
	char *text;
	int length;

	r->no_memory = true;
	if (more == NULL)
		return;
	r->mistakes = more;
	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (length == -1)
		return;
	r->mistakes[r->mistake_count++] = text;
	r->no_memory = false;
}

void
result_mistakes(struct result *r, char *const *mistakes)
{
	for (; *mistakes != NULL; mistakes++)
		result_mistake(r, "%s", *mistakes);
}

/* ---- what differs ---- */

int
result_compare(struct result *r, const struct config *boot,
    const struct config *running, const struct config *config)
{
	int err = config_compare(running, config, &r->changes);

	if (err == 0)
		err = config_compare(boot, config, &r->boot);
	return err;
}

/* ---- rows ---- */

static void
on_refused(const char *listener, const char *key, const char *why, void *user)
{
	struct result *r = user;
	struct refused *more =
	    reallocarray(r->refused, r->refused_count + 1, sizeof(*more));
	struct refused *one;

	if (more == NULL) {
		r->no_memory = true;
		return;
	}
	r->refused = more;
	one = &more[r->refused_count];
	*one = (struct refused){
	    .listener = strdup(listener), .why = strdup(why), .key = key};
	if (one->listener == NULL || one->why == NULL) {
		free(one->listener);
		free(one->why);
		r->no_memory = true;
		return;
	}
	r->refused_count++;
}

static struct refused *
find_refused(const struct result *r, const char *listener, const char *key)
{
	size_t i;

	/* There are hardly ever any. */
	for (i = 0; i < r->refused_count; i++)
		if (strcmp(r->refused[i].listener, listener) == 0 &&
		    (key == NULL ? !r->refused[i].told
				 : strcmp(r->refused[i].key, key) == 0))
			return &r->refused[i];
	return NULL;
}

static struct reload_key *
add_key(struct reload_row *row, const char *key)
{
	struct reload_key *keys = reallocarray(
	    (void *)(uintptr_t)row->keys, row->key_count + 1, sizeof(*keys));

	if (keys == NULL)
		return NULL;
	row->keys = keys;
	keys[row->key_count] = (struct reload_key){.key = key};
	return &keys[row->key_count++];
}

static void
add_changed(struct result *r, struct reload_row *row,
    const struct config_key_change *change)
{
	struct reload_key *key = add_key(row, change->key);
	struct refused *refused = NULL;

	if (key == NULL) {
		r->no_memory = true;
		return;
	}
	key->before = change->before;
	key->after = change->after;
	key->origin = change->origin;
	key->restart = change->effect == CONFIG_RESTART;
	if (row->section == CONFIG_SECTION_LISTENER)
		refused = find_refused(r, row->name, change->key);
	if (refused != NULL) {
		refused->told = key->restart = true;
		key->why = refused->why;
	}
}

/* Those that an earlier reload could not put in force either. */
static void
add_refused(struct result *r, struct reload_row *row)
{
	struct refused *refused;
	struct reload_key *key;

	while ((refused = find_refused(r, row->name, NULL)) != NULL) {
		refused->told = true;
		key = add_key(row, refused->key);
		if (key == NULL) {
			r->no_memory = true;
			return;
		}
		key->restart = true;
		key->why = refused->why;
	}
}

/* Of [weir] the keys that are read at the start alone, as long as they are not
 * what they were then; and workers, where those cannot be had. */
static void
add_weir(struct result *r, struct reload_row *row, const char *workers)
{
	const struct config_change *changed = &r->changes->rows[0];
	const struct config_change *since = &r->boot->rows[0];
	struct reload_key *key;
	bool waits;
	size_t i;

	for (i = 0; i < changed->key_count; i++)
		if (changed->keys[i].effect != CONFIG_RESTART &&
		    (workers == NULL ||
			strcmp(changed->keys[i].key, "workers") != 0))
			add_changed(r, row, &changed->keys[i]);
	for (i = 0; i < since->key_count; i++) {
		waits = workers != NULL &&
			strcmp(since->keys[i].key, "workers") == 0;
		if (since->keys[i].effect != CONFIG_RESTART && !waits)
			continue;
		add_changed(r, row, &since->keys[i]);
		if (!waits || row->key_count == 0)
			continue;
		key = (struct reload_key *)(uintptr_t)&row
			  ->keys[row->key_count - 1];
		key->restart = true;
		key->why = workers;
	}
}

static bool
is_implicit(const struct config_change *change)
{
	const struct config_upstream *upstream =
	    change->upstream != NULL ? change->upstream : change->old_upstream;

	return upstream != NULL && upstream->implicit;
}

static void
add_row(struct result *r, struct reload_row *row,
    const struct config_change *change, const char *workers)
{
	size_t i;

	row->section = change->section;
	row->name = change->name;
	row->kind = change->kind;
	if (change->section == CONFIG_SECTION_WEIR) {
		add_weir(r, row, workers);
	} else {
		for (i = 0; i < change->key_count; i++)
			add_changed(r, row, &change->keys[i]);
		if (change->section == CONFIG_SECTION_LISTENER)
			add_refused(r, row);
	}
	for (i = 0; i < row->key_count; i++)
		r->result.restart |= row->keys[i].restart;
}

/* ---- connections ---- */

static void
on_listener(const char *listener, uint64_t connections, void *user)
{
	struct reload_row *row = map_get(user, listener);

	if (row != NULL)
		row->connections = connections;
}

/* Those of listeners and upstreams that go or change are told. */
static void
count_connections(
    struct result *r, struct reload_row *rows, const struct proxy *proxy)
{
	struct map *map = map_new();
	size_t i;

	for (i = 0; i < r->result.row_count && map != NULL; i++) {
		if (rows[i].kind != CONFIG_CHANGED &&
		    rows[i].kind != CONFIG_REMOVED)
			continue;
		if (rows[i].section == CONFIG_SECTION_UPSTREAM)
			rows[i].connections =
			    proxy_upstream_connections(proxy, rows[i].name);
		if (rows[i].section == CONFIG_SECTION_LISTENER &&
		    map_put(map, rows[i].name, &rows[i]) < 0)
			r->no_memory = true;
	}
	if (map != NULL)
		proxy_each_listener(proxy, on_listener, map);
	else
		r->no_memory = true;
	map_free(map);
}

void
result_finish(struct result *r, const struct proxy *proxy,
    const struct config *config, const char *workers)
{
	const struct config_changes *changes = r->changes;
	struct reload_row *rows;
	size_t i;

	r->result.mistakes = (const char *const *)r->mistakes;
	r->result.mistake_count = r->mistake_count;
	if (changes == NULL || !r->result.ok)
		return;
	rows = calloc(changes->count + 1, sizeof(*rows));
	if (rows == NULL) {
		r->no_memory = true;
		return;
	}
	r->result.rows = rows;
	r->result.kept = changes->kept;
	r->result.added = changes->added;
	r->result.removed = changes->removed;
	r->result.changed = changes->changed;
	if (proxy_each_refused(proxy, config, on_refused, r) != 0)
		r->no_memory = true;
	for (i = 0; i < changes->count; i++)
		if (!is_implicit(&changes->rows[i]))
			add_row(r, &rows[r->result.row_count++],
			    &changes->rows[i], workers);
	count_connections(r, rows, proxy);
}

/* ---- the log ---- */

static const char *
section_key(const struct reload_row *row)
{
	switch (row->section) {
	case CONFIG_SECTION_LISTENER:
		return "listener";
	case CONFIG_SECTION_UPSTREAM:
		return "upstream";
	default:
		return "section";
	}
}

static void
log_row(const struct reload_row *row)
{
	const char *name = row->name != NULL ? row->name : "weir";
	const struct reload_key *key;

	if (row->kind == CONFIG_ADDED || row->kind == CONFIG_REMOVED)
		log_info(row->kind == CONFIG_ADDED ? "added" : "removed",
		    LOG_T(section_key(row), name),
		    LOG_N("connections", row->connections));
	for (key = row->keys; key < row->keys + row->key_count; key++)
		if (key->restart)
			log_warn("needs a restart to be in force",
			    LOG_T(section_key(row), name),
			    LOG_T("key", key->key), LOG_T("value", key->after),
			    LOG_T("why", key->why));
		else
			log_info("changed", LOG_T(section_key(row), name),
			    LOG_T("key", key->key),
			    LOG_T("before", key->before),
			    LOG_T("value", key->after));
}

void
result_log(const struct result *r)
{
	const struct reload_result *result = &r->result;
	size_t i;

	if (result->check)
		return;
	for (i = 0; i < result->row_count; i++)
		log_row(&result->rows[i]);
	for (i = 0; i < result->mistake_count; i++)
		log_error(result->mistakes[i]);
	if (r->no_memory)
		log_error("not all of it is told, for want of memory");
	if (result->ok)
		log_info("reloaded", LOG_N("kept", result->kept),
		    LOG_N("added", result->added),
		    LOG_N("removed", result->removed),
		    LOG_N("changed", result->changed),
		    LOG_N("duration_ms", result->duration_ms));
	else
		log_error("not reloaded, nothing was changed");
}
