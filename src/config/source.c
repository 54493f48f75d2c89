/*
 * Where values came from, and all values with that. It promises a value for
 * each row of a list and for each other key that has one, in the order of the
 * option table; how a value is written as a line of a file is dump.c's.
 */
#include <config.h>

#include "config/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder_priv.h"
#include "config/option_priv.h"
#include "util/text.h"

/* The config's own copy of a file's name, or NULL. */
static const char *
keep_name(struct config *config, const char *name)
{
	char **files;
	size_t i;

	for (i = config->file_count; i > 0; i--)
		if (strcmp(config->files[i - 1], name) == 0)
			return config->files[i - 1];
	files = option_grow(config->files, config->file_count, sizeof(*files));
	if (files == NULL)
		return NULL;
	config->files = files;
	files[config->file_count] = strdup(name);
	return files[config->file_count] ? files[config->file_count++] : NULL;
}

int
config_add_source(struct config *config, struct config_source **sources,
    size_t *count, const struct config_option *option,
    const struct config_origin *origin)
{
	struct config_source *rows =
	    option_grow(*sources, *count, sizeof(*rows));
	const char *file;

	if (rows == NULL)
		return -ENOMEM;
	*sources = rows;
	file = keep_name(config, origin->file);
	if (file == NULL)
		return -ENOMEM;
	rows[(*count)++] = (struct config_source){option, file, origin->line};
	return 0;
}

const struct config_source *
config_source_find(const struct config_source *sources, size_t count,
    const struct config_option *option, size_t index)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (option_same_field(sources[i].option, option) &&
		    index-- == 0)
			return &sources[i];
	return NULL;
}

void
config_source_text(struct strbuf *text, const struct config_source *source)
{
	if (source == NULL)
		strbuf_text(text, "default");
	else if (source->line > 0)
		strbuf_format(text, "%s:%u", source->file, source->line);
	else
		strbuf_text(text, source->file);
}

/* ---- all values ---- */

struct walk {
	config_value_fn *fn;
	void *user;
	struct config_value value;
	const struct config_source *sources;
	size_t source_count;
	const struct config_option *option;
	size_t row; /* of the option's list */
	bool failed;
};

void
option_shown(struct strbuf *text, const char *value, size_t length)
{
	char escape[TEXT_ESCAPE];
	bool plain = true;
	size_t i;

	for (i = 0; i < length && plain; i++)
		plain = (unsigned char)value[i] >= 0x20 && value[i] != 0x7f;
	for (i = 0; i < length; i++)
		if (plain || value[i] == '"')
			strbuf_char(text, value[i]);
		else
			strbuf_text(
			    text, text_escape((unsigned char)value[i], escape));
}

static void
on_value(const char *key, const char *value, size_t length, void *user)
{
	struct walk *walk = user;
	struct strbuf text = STRBUF_NULL, origin = STRBUF_NULL;

	if (value != NULL)
		option_shown(&text, value, length);
	config_source_text(
	    &origin, config_source_find(walk->sources, walk->source_count,
			 walk->option, walk->row++));
	if (value == NULL || text.failed || origin.failed) {
		walk->failed = true;
	} else {
		walk->value.key = key;
		walk->value.value = strbuf_get(&text);
		walk->value.origin = strbuf_get(&origin);
		walk->fn(&walk->value, walk->user);
	}
	strbuf_free(&text);
	strbuf_free(&origin);
}

static void
walk_section(struct walk *walk, enum option_section section, const void *base)
{
	size_t i;

	for (i = 0; i < option_count(); i++) {
		walk->option = option_at(i);
		if (walk->option->section != section ||
		    (walk->option->flags & OPTION_COMMAND_LINE))
			continue;
		walk->row = 0;
		option_print(walk->option, base, on_value, walk);
	}
}

int
config_section_values(const struct config *config,
    enum config_section_kind section, size_t index, config_value_fn *fn,
    void *user)
{
	const struct config_listener *listener;
	const struct config_upstream *upstream;
	struct walk walk = {
	    .fn = fn,
	    .user = user,
	    .value.section = section,
	    .sources = config->sources,
	    .source_count = config->source_count,
	};

	if (section == CONFIG_SECTION_LISTENER) {
		listener = config->listeners[index];
		walk.value.name = listener->name;
		walk.sources = listener->sources;
		walk.source_count = listener->source_count;
		walk_section(&walk, OPTION_LISTENER, listener);
	} else if (section == CONFIG_SECTION_UPSTREAM) {
		upstream = config->upstreams[index];
		walk.value.name = upstream->name;
		walk.sources = upstream->sources;
		walk.source_count = upstream->source_count;
		if (!upstream->implicit)
			walk_section(&walk, OPTION_UPSTREAM, upstream);
	} else {
		walk_section(&walk, OPTION_WEIR, config);
	}
	return walk.failed ? -ENOMEM : 0;
}

int
config_each_value(const struct config *config, config_value_fn *fn, void *user)
{
	size_t i;
	int err;

	err = config_section_values(config, CONFIG_SECTION_WEIR, 0, fn, user);
	for (i = 0; err == 0 && i < config->listener_count; i++)
		err = config_section_values(
		    config, CONFIG_SECTION_LISTENER, i, fn, user);
	for (i = 0; err == 0 && i < config->upstream_count; i++)
		err = config_section_values(
		    config, CONFIG_SECTION_UPSTREAM, i, fn, user);
	return err;
}
