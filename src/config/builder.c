/*
 * Gathers sections and assignments, checks each value by itself as it comes,
 * and makes the configuration of them. It promises that every mistake is kept
 * with its place, in the order of files and lines, and that a configuration is
 * made only of what is free of them. Reading files is file.c's, and the rules
 * between keys are validate.c's.
 */
#include <config.h>

#include "config/builder_priv.h"

#include <errno.h>
#include <search.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "config/value.h"

void
config_place_text(struct strbuf *text, struct config_place place)
{
	strbuf_text(text, place.file->name);
	if (place.line > 0)
		strbuf_format(text, ":%u", place.line);
}

static bool
place_after(struct config_place a, struct config_place b)
{
	if (a.file->index != b.file->index)
		return a.file->index > b.file->index;
	return a.line > b.line;
}

/* Keep a mistake where it belongs; takes text. */
static void
insert_mistake(
    struct config_builder *builder, struct config_place place, char *text)
{
	struct config_mistake *rows = option_grow(
	    builder->mistakes, builder->mistake_count, sizeof(*rows));
	size_t i = builder->mistake_count;

	if (rows == NULL || text == NULL) {
		builder->failed = true;
		if (rows != NULL)
			builder->mistakes = rows;
		free(text);
		return;
	}
	builder->mistakes = rows;
	for (; i > 0 && place_after(rows[i - 1].place, place); i--)
		rows[i] = rows[i - 1];
	rows[i].place = place;
	rows[i].text = text;
	builder->mistake_count++;
}

void
config_note(struct config_builder *builder, struct config_place place,
    const char *format, ...)
{
	struct strbuf text = STRBUF_NULL;
	va_list list;

	config_place_text(&text, place);
	strbuf_text(&text, ": ");
	va_start(list, format);
	strbuf_vformat(&text, format, list);
	va_end(list);
	insert_mistake(builder, place, strbuf_take(&text));
}

struct config_file *
config_file_get(struct config_builder *builder, const char *name)
{
	struct config_file *file;

	for (file = builder->files; file != NULL; file = file->next)
		if (strcmp(file->name, name) == 0)
			return file;
	file = calloc(1, sizeof(*file));
	if (file != NULL)
		file->name = strdup(name);
	if (file == NULL || file->name == NULL) {
		free(file);
		builder->failed = true;
		return NULL;
	}
	if (builder->last_file != NULL) {
		file->index = builder->last_file->index + 1;
		builder->last_file->next = file;
	} else {
		builder->files = file;
	}
	builder->last_file = file;
	return file;
}

static int
compare_names(const void *a, const void *b)
{
	const struct config_section *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct config_section *
config_section_find(const struct config_builder *builder,
    enum config_section_kind kind, const char *name)
{
	struct config_section key = {
	    .kind = kind, .name = (char *)(uintptr_t)name};
	struct config_section *const *node =
	    tfind(&key, (void *const *)&builder->by_name, compare_names);

	return node ? *node : NULL;
}

struct config_section *
config_section_new(struct config_builder *builder,
    enum config_section_kind kind, const char *name, struct config_place place)
{
	struct config_section *section = calloc(1, sizeof(*section));

	if (section == NULL)
		goto failed;
	section->kind = kind;
	section->place = place;
	if (name != NULL) {
		section->name = strdup(name);
		if (section->name == NULL ||
		    tsearch(section, &builder->by_name, compare_names) == NULL)
			goto failed;
		if (kind == CONFIG_SECTION_LISTENER)
			builder->listener_count++;
	}
	if (builder->last_section != NULL)
		builder->last_section->next = section;
	else
		builder->sections = section;
	builder->last_section = section;
	return section;
failed:
	if (section != NULL)
		free(section->name);
	free(section);
	builder->failed = true;
	return NULL;
}

const char *
config_kind_text(enum config_section_kind kind)
{
	static const char *const names[] = {
	    [CONFIG_SECTION_WEIR] = "weir",
	    [CONFIG_SECTION_DEFAULTS] = "defaults",
	    [CONFIG_SECTION_LISTENER] = "listener",
	    [CONFIG_SECTION_UPSTREAM] = "upstream",
	};

	return names[kind];
}

bool
config_name_check(struct config_builder *builder, enum config_section_kind kind,
    const char *name, struct config_place place)
{
	if (option_is_name(name))
		return true;
	config_note(builder, place,
	    "\"%s\" cannot be the name of %s %s: it takes letters, digits, _ "
	    ". and -",
	    name, kind == CONFIG_SECTION_LISTENER ? "a" : "an",
	    config_kind_text(kind));
	return false;
}

static enum option_section
option_section_of(const struct config_section *section)
{
	switch (section->kind) {
	case CONFIG_SECTION_WEIR:
		return OPTION_WEIR;
	case CONFIG_SECTION_UPSTREAM:
		return OPTION_UPSTREAM;
	default:
		return OPTION_LISTENER;
	}
}

/* "[weir]", "[listener web]". */
static void
section_text(struct strbuf *text, const struct config_section *section)
{
	strbuf_format(text, "[%s%s%s]", config_kind_text(section->kind),
	    section->name ? " " : "", section->name ? section->name : "");
}

/* The key in another kind of section, or NULL. */
static const struct config_option *
find_elsewhere(enum option_section here, const char *key)
{
	static const enum option_section sections[] = {
	    OPTION_LISTENER, OPTION_WEIR, OPTION_UPSTREAM};
	const struct config_option *option;
	size_t i;

	for (i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
		option = option_find(sections[i], key);
		if (sections[i] != here && option != NULL &&
		    !(option->flags & OPTION_COMMAND_LINE))
			return option;
	}
	return NULL;
}

/* Note that a key is not known, and what may have been meant. */
static void
note_unknown(struct config_builder *builder,
    const struct config_section *section, const char *key,
    struct config_place place)
{
	enum option_section here = option_section_of(section);
	const char *nearest = option_nearest(here, key);
	const struct config_option *there = find_elsewhere(here, key);
	struct strbuf text = STRBUF_NULL;

	section_text(&text, section);
	if (there != NULL)
		strbuf_format(&text, " (it is a key of [%s%s])",
		    option_section_text(there->section),
		    there->section == OPTION_WEIR ? "" : " NAME");
	else if (nearest != NULL)
		strbuf_format(&text, " (did you mean \"%s\"?)", nearest);
	if (text.failed)
		builder->failed = true;
	config_note(
	    builder, place, "unknown key \"%s\" in %s", key, strbuf_get(&text));
	strbuf_free(&text);
}

/* Whether a key may stand here once more; notes a mistake where not. */
static bool
check_doubled(struct config_builder *builder,
    const struct config_section *section, const struct config_option *option,
    struct config_place place, bool command_line)
{
	const struct config_assignment *a;
	struct strbuf text = STRBUF_NULL;

	if (option->flags & OPTION_REPEATABLE)
		return true;
	for (a = section->first; a != NULL; a = a->next)
		if (a->option == option && a->command_line == command_line)
			break;
	if (a == NULL)
		return true;
	config_place_text(&text, a->place);
	config_note(builder, place, "%s: given twice (first at %s)",
	    option->key, strbuf_get(&text));
	strbuf_free(&text);
	return false;
}

/* Try a value on something that is thrown away. */
static int
try_value(const struct config_option *option, const char *value, size_t length,
    const struct config_origin *origin, struct strbuf *problem)
{
	struct config config;
	struct config_listener listener;
	struct config_upstream upstream;
	void *const bases[] = {
	    [OPTION_WEIR] = &config,
	    [OPTION_LISTENER] = &listener,
	    [OPTION_UPSTREAM] = &upstream,
	};
	int r;

	memset(&config, 0, sizeof(config));
	memset(&listener, 0, sizeof(listener));
	memset(&upstream, 0, sizeof(upstream));
	r = option_parse(
	    option, bases[option->section], value, length, origin, problem);
	config_clear(&config);
	config_listener_clear(&listener);
	config_upstream_clear(&upstream);
	return r;
}

static struct config_assignment *
add_assignment(struct config_section *section,
    const struct config_option *option, struct config_place place)
{
	struct config_assignment *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->option = option;
	a->place = place;
	if (section->last != NULL)
		section->last->next = a;
	else
		section->first = a;
	section->last = a;
	return a;
}

/* Undo and check a value. Returns whether it is good. */
static bool
check_value(struct config_builder *builder, struct config_assignment *a,
    const char *text, bool quoted)
{
	bool escapes = quoted || a->option->type == OPTION_GREETING;
	struct strbuf value = STRBUF_NULL, problem = STRBUF_NULL;
	struct config_origin origin = {a->place.file->name, a->place.line};
	int r = value_undo(text, escapes, &value, &problem);

	if (r == 0)
		r = try_value(a->option, strbuf_get(&value), value.length,
		    &origin, &problem);
	if (r == -ENOMEM || value.failed || problem.failed)
		builder->failed = true;
	else if (r < 0)
		config_note(builder, a->place, "%s: %s", a->option->key,
		    strbuf_get(&problem));
	if (r == 0) {
		a->length = value.length;
		a->value = strbuf_take(&value);
		if (a->value == NULL)
			builder->failed = true;
	}
	strbuf_free(&value);
	strbuf_free(&problem);
	return r == 0 && a->value != NULL;
}

void
config_assign(struct config_builder *builder, struct config_section *section,
    const char *key, const char *value, bool quoted, struct config_place place,
    bool command_line)
{
	const struct config_option *option =
	    option_find(option_section_of(section), key);
	struct config_assignment *a;

	if (option != NULL && (option->flags & OPTION_COMMAND_LINE) &&
	    (!command_line || strcmp(place.file->name, "-o") == 0 ||
		strcmp(place.file->name, "--option") == 0))
		option = NULL;
	if (option == NULL) {
		note_unknown(builder, section, key, place);
		return;
	}
	if (!check_doubled(builder, section, option, place, command_line))
		return;
	a = add_assignment(section, option, place);
	if (a == NULL) {
		builder->failed = true;
		return;
	}
	a->command_line = command_line;
	a->bad = !check_value(builder, a, value, quoted);
	if (!a->bad && option->type == OPTION_INCLUDE)
		config_include(builder, a->value, place);
}

static const struct config_assignment *
find_assignment(const struct config_section *section,
    const struct config_option *option, bool command_line)
{
	bool shared = option_shares_list(option);
	const struct config_assignment *a;

	for (a = section->first; a != NULL; a = a->next)
		if (a->command_line == command_line &&
		    (a->option == option ||
			(shared && option_same_field(a->option, option))))
			return a;
	return NULL;
}

/*
 * The first of the assignments that count for an option: the section's own
 * from the command line, else its own from the file, else those of the last
 * [defaults] that names it. The rest of them follow it in its list.
 */
static const struct config_assignment *
effective(
    const struct config_section *section, const struct config_option *option)
{
	const struct config_assignment *a;

	a = find_assignment(section, option, true);
	for (; a == NULL && section != NULL; section = section->defaults)
		a = find_assignment(section, option, false);
	return a;
}

bool
config_section_has(const struct config_section *section,
    const struct config_option *option, struct config_place *own)
{
	const struct config_assignment *a;

	a = find_assignment(section, option, true);
	if (a == NULL)
		a = find_assignment(section, option, false);
	if (own != NULL)
		*own = a ? a->place : (struct config_place){NULL, 0};
	return a != NULL || effective(section, option) != NULL;
}

static int
set_default(
    const struct config_option *option, void *base, struct strbuf *problem)
{
	const struct config_origin origin = {NULL, 0};

	if (option->value == NULL)
		return 0;
	return option_parse(option, base, option->value, strlen(option->value),
	    &origin, problem);
}

int
config_set_defaults(enum option_section section, void *base)
{
	const struct config_option *option;
	struct strbuf problem = STRBUF_NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < option_count() && r == 0; i++) {
		option = option_at(i);
		if (option->section == section)
			r = set_default(option, base, &problem);
	}
	strbuf_free(&problem);
	return r;
}

/* What is being filled, and where it keeps whence its values came. */
struct part {
	struct config *config;
	void *base;
	struct config_source **sources;
	size_t *source_count;
};

/* Set one field from what counts for it, or from its default. */
static int
apply_option(const struct config_section *section,
    const struct config_option *option, const struct part *part,
    struct strbuf *problem)
{
	const struct config_assignment *a = effective(section, option);
	bool command_line = a != NULL && a->command_line;
	struct config_origin origin;
	int r = a == NULL ? set_default(option, part->base, problem) : 0;

	for (; a != NULL && r == 0; a = a->next) {
		if (!option_same_field(a->option, option) || a->bad ||
		    a->command_line != command_line)
			continue;
		origin.file = a->place.file->name;
		origin.line = a->place.line;
		r = option_parse(a->option, part->base, a->value, a->length,
		    &origin, problem);
		if (r == 0)
			r = config_add_source(part->config, part->sources,
			    part->source_count, a->option, &origin);
		if (!(option->flags & OPTION_REPEATABLE))
			break;
	}
	return r;
}

/* Set all fields of a struct config(_listener, _upstream). */
static int
apply_section(const struct config_section *section, const struct part *part)
{
	const struct config_option *option;
	struct strbuf problem = STRBUF_NULL;
	size_t i;
	int r = 0;

	for (i = 0; i < option_count() && r == 0; i++) {
		option = option_at(i);
		if (option->section == option_section_of(section) &&
		    !option_is_second(option))
			r = apply_option(section, option, part, &problem);
	}
	strbuf_free(&problem);
	return r;
}

static int
make_listener(struct config *config, const struct config_section *section)
{
	struct config_listener *listener = calloc(1, sizeof(*listener));
	const struct part part = {config, listener,
	    listener ? &listener->sources : NULL,
	    listener ? &listener->source_count : NULL};

	if (listener == NULL)
		return -ENOMEM;
	listener->owner = config;
	listener->index = config->listener_count;
	config->listeners[config->listener_count++] = listener;
	listener->name = strdup(section->name);
	listener->origin.file = strdup(section->place.file->name);
	listener->origin.line = section->place.line;
	if (listener->name == NULL || listener->origin.file == NULL)
		return -ENOMEM;
	return apply_section(section, &part);
}

static int
make_upstream(struct config *config, struct config_section *section)
{
	struct config_upstream *upstream =
	    config_upstream_new(config, section->name);
	const struct part part = {config, upstream,
	    upstream ? &upstream->sources : NULL,
	    upstream ? &upstream->source_count : NULL};

	if (upstream == NULL)
		return -ENOMEM;
	section->upstream = upstream;
	upstream->origin.file = strdup(section->place.file->name);
	upstream->origin.line = section->place.line;
	if (upstream->origin.file == NULL)
		return -ENOMEM;
	return apply_section(section, &part);
}

/* Make config of all sections; sections gets those of the listeners. */
static int
make_config(struct config_builder *builder, struct config *config,
    struct config_section **sections)
{
	const struct part part = {
	    config, config, &config->sources, &config->source_count};
	struct config_section *section;
	int r = apply_section(builder->weir, &part);

	for (section = builder->sections; section != NULL && r == 0;
	     section = section->next) {
		if (section->kind == CONFIG_SECTION_UPSTREAM)
			r = make_upstream(config, section);
		if (section->kind != CONFIG_SECTION_LISTENER)
			continue;
		sections[config->listener_count] = section;
		r = make_listener(config, section);
	}
	return r;
}

int
config_builder_finish(struct config_builder *builder, struct config **ret)
{
	struct config *config = calloc(1, sizeof(*config));
	struct config_section **sections = calloc(
	    builder->listener_count + 1, sizeof(struct config_section *));
	int r = -ENOMEM;

	if (config != NULL) {
		config->refs = 1;
		config->listeners = calloc(builder->listener_count + 1,
		    sizeof(struct config_listener *));
		if (config->listeners != NULL && sections != NULL)
			r = make_config(builder, config, sections);
		if (r == 0)
			config_validate(builder, config, sections);
	}
	free(sections);
	if (r < 0)
		builder->failed = true;
	if (config_builder_mistake_count(builder) > 0) {
		config_unref(config);
		return -1;
	}
	*ret = config;
	return 0;
}

struct config_builder *
config_builder_new(void)
{
	struct config_builder *builder = calloc(1, sizeof(*builder));

	if (builder == NULL)
		return NULL;
	builder->weir = config_section_new(
	    builder, CONFIG_SECTION_WEIR, NULL, (struct config_place){NULL, 0});
	if (builder->weir == NULL) {
		free(builder);
		return NULL;
	}
	return builder;
}

static void
free_section(struct config_section *section)
{
	struct config_assignment *a;

	while ((a = section->first) != NULL) {
		section->first = a->next;
		free(a->value);
		free(a);
	}
	free(section->name);
	free(section);
}

/* The sections are freed with their list. */
static void
free_nothing(void *node)
{
	(void)node;
}

void
config_builder_free(struct config_builder *builder)
{
	struct config_section *section;
	struct config_file *file;
	size_t i;

	if (builder == NULL)
		return;
	tdestroy(builder->by_name, free_nothing);
	while ((section = builder->sections) != NULL) {
		builder->sections = section->next;
		free_section(section);
	}
	while ((file = builder->files) != NULL) {
		builder->files = file->next;
		free(file->name);
		free(file);
	}
	for (i = 0; i < builder->mistake_count; i++)
		free(builder->mistakes[i].text);
	free(builder->mistakes);
	free(builder);
}

size_t
config_builder_mistake_count(const struct config_builder *builder)
{
	return builder->mistake_count + (builder->failed ? 1 : 0);
}

const char *
config_builder_mistake(const struct config_builder *builder, size_t index)
{
	return index < builder->mistake_count ? builder->mistakes[index].text
					      : "out of memory";
}

int
config_builder_set(struct config_builder *builder, const char *section,
    const char *name, const char *key, const char *value, const char *origin)
{
	size_t before = config_builder_mistake_count(builder);
	struct config_place place = {config_file_get(builder, origin), 0};
	struct config_section *target = builder->weir;
	enum config_section_kind kind;

	if (place.file == NULL)
		return -1;
	if (strcmp(section, "weir") != 0) {
		kind = strcmp(section, "upstream") == 0
			   ? CONFIG_SECTION_UPSTREAM
			   : CONFIG_SECTION_LISTENER;
		if (!config_name_check(builder, kind, name, place))
			return -1;
		target = config_section_find(builder, kind, name);
		if (target == NULL)
			target = config_section_new(builder, kind, name, place);
		if (target == NULL)
			return -1;
	}
	config_assign(builder, target, key, value, false, place, true);
	return config_builder_mistake_count(builder) > before ? -1 : 0;
}
