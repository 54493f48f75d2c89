/*
 * Compares two configurations by what their values say, so that a file that is
 * merely written otherwise changes nothing. It promises a row for each section
 * of both, and for each key that differs both texts and how it comes into
 * force; what is done about it is the reload's.
 */
#include <config.h>

#include "config/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "config/source.h"

const char *
config_effect_text(enum config_effect effect)
{
	static const char *const names[] = {
	    [CONFIG_LIVE] = "live",
	    [CONFIG_REBIND] = "rebind",
	    [CONFIG_RESTART] = "restart",
	};

	return names[effect];
}

const char *
config_change_kind_text(enum config_change_kind kind)
{
	static const char *const names[] = {
	    [CONFIG_KEPT] = "kept",
	    [CONFIG_ADDED] = "added",
	    [CONFIG_REMOVED] = "removed",
	    [CONFIG_CHANGED] = "changed",
	};

	return names[kind];
}

/* ---- values ---- */

/* A section of one of the two. */
struct side {
	const void *base;
	const struct config_source *sources;
	size_t source_count;
	struct strbuf value;
	bool any;  /* the option has a value */
	bool list; /* its rows bear their keys */
};

static void
on_value(const char *key, const char *value, size_t length, void *user)
{
	struct side *side = user;

	if (side->any)
		strbuf_text(&side->value, ", ");
	side->any = true;
	if (side->list)
		strbuf_format(&side->value, "%s ", key);
	if (value == NULL)
		side->value.failed = true;
	else
		strbuf_add(&side->value, value, length);
}

/* Write the value of an option, or all of a list. */
static void
read_side(struct side *side, const struct config_option *option)
{
	const struct config_upstream *upstream = side->base;

	strbuf_reset(&side->value);
	side->any = false;
	side->list = option->type == OPTION_ALLOW || option->type == OPTION_SNI;
	option_print(option, side->base, on_value, side);
	if (side->any)
		return;
	/* The order of an implicit upstream has no word of its own. */
	if (option->section == OPTION_UPSTREAM && upstream->ordered &&
	    strcmp(option->key, "balance") == 0)
		on_value(option->key, "ordered", 7, side);
	else if (option->value != NULL)
		on_value(
		    option->key, option->value, strlen(option->value), side);
}

static bool
same_value(const struct side *a, const struct side *b)
{
	return a->any == b->any && a->value.length == b->value.length &&
	       (!a->any || memcmp(strbuf_get(&a->value), strbuf_get(&b->value),
			       a->value.length) == 0);
}

static char *
value_text(const struct side *side, bool *failed)
{
	struct strbuf text = STRBUF_NULL;
	char *copy;

	if (!side->any)
		return NULL;
	option_shown(&text, strbuf_get(&side->value), side->value.length);
	copy = strbuf_take(&text);
	if (copy == NULL)
		*failed = true;
	return copy;
}

static int
add_key(struct config_change *change, const struct config_option *option,
    const struct side *old, const struct side *fresh)
{
	struct config_key_change *keys =
	    option_grow(change->keys, change->key_count, sizeof(*keys));
	struct strbuf origin = STRBUF_NULL;
	struct config_key_change *key;
	bool failed = false;

	if (keys == NULL)
		return -ENOMEM;
	change->keys = keys;
	key = &keys[change->key_count++];
	key->key = option->key;
	key->effect = option->flags & OPTION_RESTART  ? CONFIG_RESTART
		      : option->flags & OPTION_REBIND ? CONFIG_REBIND
						      : CONFIG_LIVE;
	key->before = value_text(old, &failed);
	key->after = value_text(fresh, &failed);
	config_source_text(&origin,
	    config_source_find(fresh->sources, fresh->source_count, option, 0));
	key->origin = strbuf_take(&origin);
	change->rebind |= key->effect == CONFIG_REBIND;
	change->restart |= key->effect == CONFIG_RESTART;
	change->listens |= option->type == OPTION_LISTEN;
	return key->origin != NULL && !failed ? 0 : -ENOMEM;
}

static int
compare_option(struct config_change *change, const struct config_option *option,
    struct side *old, struct side *fresh)
{
	if (option_has_no_effect(option, old->base) &&
	    option_has_no_effect(option, fresh->base))
		return 0;
	read_side(old, option);
	read_side(fresh, option);
	if (old->value.failed || fresh->value.failed)
		return -ENOMEM;
	return same_value(old, fresh) ? 0 : add_key(change, option, old, fresh);
}

/* Compare a section that is in both. */
static int
compare_section(struct config_change *change, enum option_section section,
    struct side *old, struct side *fresh)
{
	const struct config_option *option;
	size_t i;
	int r = 0;

	for (i = 0; i < option_count() && r == 0; i++) {
		option = option_at(i);
		if (option->section == section && !option_is_second(option) &&
		    !(option->flags & OPTION_COMMAND_LINE))
			r = compare_option(change, option, old, fresh);
	}
	change->kind = change->key_count > 0 ? CONFIG_CHANGED : CONFIG_KEPT;
	strbuf_free(&old->value);
	strbuf_free(&fresh->value);
	return r;
}

/* ---- sections ---- */

/* The next row, zeroed; NULL where memory is refused. */
static struct config_change *
add_change(struct config_changes *changes, enum config_section_kind section)
{
	struct config_change *rows =
	    option_grow(changes->rows, changes->count, sizeof(*rows));

	if (rows == NULL)
		return NULL;
	changes->rows = rows;
	rows[changes->count].section = section;
	return &rows[changes->count++];
}

/* Names of listeners or upstreams, in order for bsearch(3). */
struct name {
	const char *name;
	const void *what;
};

static int
compare_names(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static const void *
find_name(const struct name *names, size_t count, const char *name)
{
	const struct name key = {name, NULL}, *found;

	found = bsearch(&key, names, count, sizeof(*names), compare_names);
	return found ? found->what : NULL;
}

static struct name *
listener_names(const struct config *config)
{
	struct name *names = calloc(config->listener_count + 1, sizeof(*names));
	size_t i;

	for (i = 0; names != NULL && i < config->listener_count; i++)
		names[i] = (struct name){
		    config->listeners[i]->name, config->listeners[i]};
	if (names != NULL)
		qsort(names, config->listener_count, sizeof(*names),
		    compare_names);
	return names;
}

static struct name *
upstream_names(const struct config *config)
{
	struct name *names = calloc(config->upstream_count + 1, sizeof(*names));
	size_t i;

	for (i = 0; names != NULL && i < config->upstream_count; i++)
		names[i] = (struct name){
		    config->upstreams[i]->name, config->upstreams[i]};
	if (names != NULL)
		qsort(names, config->upstream_count, sizeof(*names),
		    compare_names);
	return names;
}

/* Key by key. */
static int
compare_pair(struct config_change *change, enum option_section section,
    const void *old, const void *fresh, const struct config_source *sources,
    size_t source_count)
{
	struct side before = {.base = old};
	struct side after = {
	    .base = fresh, .sources = sources, .source_count = source_count};

	return compare_section(change, section, &before, &after);
}

static int
add_listener(struct config_changes *changes, const struct config_listener *old,
    const struct config_listener *fresh)
{
	struct config_change *change =
	    add_change(changes, CONFIG_SECTION_LISTENER);

	if (change == NULL)
		return -ENOMEM;
	change->name = fresh ? fresh->name : old->name;
	change->old_listener = old;
	change->listener = fresh;
	change->kind = fresh ? CONFIG_ADDED : CONFIG_REMOVED;
	if (old == NULL || fresh == NULL)
		return 0;
	return compare_pair(change, OPTION_LISTENER, old, fresh, fresh->sources,
	    fresh->source_count);
}

static int
add_upstream(struct config_changes *changes, const struct config_upstream *old,
    const struct config_upstream *fresh)
{
	struct config_change *change =
	    add_change(changes, CONFIG_SECTION_UPSTREAM);

	if (change == NULL)
		return -ENOMEM;
	change->name = fresh ? fresh->name : old->name;
	change->old_upstream = old;
	change->upstream = fresh;
	change->kind = fresh ? CONFIG_ADDED : CONFIG_REMOVED;
	if (old == NULL || fresh == NULL)
		return 0;
	return compare_pair(change, OPTION_UPSTREAM, old, fresh, fresh->sources,
	    fresh->source_count);
}

static int
compare_weir(struct config_changes *changes, const struct config *old,
    const struct config *fresh)
{
	struct config_change *change = add_change(changes, CONFIG_SECTION_WEIR);

	if (change == NULL)
		return -ENOMEM;
	return compare_pair(change, OPTION_WEIR, old, fresh, fresh->sources,
	    fresh->source_count);
}

static int
compare_listeners(struct config_changes *changes, const struct config *old,
    const struct config *fresh)
{
	struct name *olds = listener_names(old), *news = listener_names(fresh);
	int r = olds != NULL && news != NULL ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; i < fresh->listener_count && r == 0; i++)
		r = add_listener(changes,
		    find_name(
			olds, old->listener_count, fresh->listeners[i]->name),
		    fresh->listeners[i]);
	for (i = 0; i < old->listener_count && r == 0; i++)
		if (find_name(news, fresh->listener_count,
			old->listeners[i]->name) == NULL)
			r = add_listener(changes, old->listeners[i], NULL);
	free(olds);
	free(news);
	return r;
}

static int
compare_upstreams(struct config_changes *changes, const struct config *old,
    const struct config *fresh)
{
	struct name *olds = upstream_names(old), *news = upstream_names(fresh);
	int r = olds != NULL && news != NULL ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; i < fresh->upstream_count && r == 0; i++)
		r = add_upstream(changes,
		    find_name(
			olds, old->upstream_count, fresh->upstreams[i]->name),
		    fresh->upstreams[i]);
	for (i = 0; i < old->upstream_count && r == 0; i++)
		if (find_name(news, fresh->upstream_count,
			old->upstreams[i]->name) == NULL)
			r = add_upstream(changes, old->upstreams[i], NULL);
	free(olds);
	free(news);
	return r;
}

/* What an implicit upstream shows is told by its listener already. */
static bool
is_counted(const struct config_change *change)
{
	const struct config_upstream *upstream =
	    change->upstream ? change->upstream : change->old_upstream;

	return change->section == CONFIG_SECTION_LISTENER ||
	       (upstream != NULL && !upstream->implicit);
}

static void
sum_up(struct config_changes *changes)
{
	size_t *const counts[] = {
	    [CONFIG_KEPT] = &changes->kept,
	    [CONFIG_ADDED] = &changes->added,
	    [CONFIG_REMOVED] = &changes->removed,
	    [CONFIG_CHANGED] = &changes->changed,
	};
	size_t i;

	for (i = 0; i < changes->count; i++) {
		if (is_counted(&changes->rows[i]))
			(*counts[changes->rows[i].kind])++;
		changes->rebind |= changes->rows[i].rebind;
		changes->restart |= changes->rows[i].restart;
	}
}

int
config_compare(const struct config *old, const struct config *fresh,
    struct config_changes **ret)
{
	struct config_changes *changes = calloc(1, sizeof(*changes));
	int r;

	if (changes == NULL)
		return -ENOMEM;
	r = compare_weir(changes, old, fresh);
	if (r == 0)
		r = compare_listeners(changes, old, fresh);
	if (r == 0)
		r = compare_upstreams(changes, old, fresh);
	if (r < 0) {
		config_changes_free(changes);
		return r;
	}
	sum_up(changes);
	*ret = changes;
	return 0;
}

void
config_changes_free(struct config_changes *changes)
{
	struct config_change *change;
	size_t i, j;

	if (changes == NULL)
		return;
	for (i = 0; i < changes->count; i++) {
		change = &changes->rows[i];
		for (j = 0; j < change->key_count; j++) {
			free(change->keys[j].before);
			free(change->keys[j].after);
			free(change->keys[j].origin);
		}
		free(change->keys);
	}
	free(changes->rows);
	free(changes);
}

bool
config_server_equal(
    const struct config_server *a, const struct config_server *b)
{
	char x[WEIR_ADDRESS_TEXT + WEIR_HOST_TEXT], y[sizeof(x)];

	return strcmp(a->name, b->name) == 0 && a->weight == b->weight &&
	       a->backup == b->backup && a->down == b->down &&
	       a->max_connections == b->max_connections &&
	       a->max_fails == b->max_fails &&
	       a->fail_timeout_ms == b->fail_timeout_ms &&
	       strcmp(weir_endpoint_text(&a->endpoint, x, sizeof(x)),
		   weir_endpoint_text(&b->endpoint, y, sizeof(y))) == 0;
}
