/*
 * The rules that one key alone cannot show: what a mode needs, which listeners
 * belong together, and addresses that the system would refuse to bind. Only
 * what is sure to fail is a mistake; what is merely without effect is a
 * warning. Addresses against each other are conflict.c's.
 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "config/builder_priv.h"
#include "config/conflict_priv.h"
#include "config/option_priv.h"

/* One listener under check. */
struct check {
	struct config_builder *builder;
	struct config *config;
	struct config_listener *listener;
	const struct config_section *section;
};

static const struct config_option *
listener_option(const char *key)
{
	return option_find(OPTION_LISTENER, key);
}

/* Whether a key is set, by itself or by [defaults]. */
static bool
has(const struct check *check, const char *key, struct config_place *own)
{
	return config_section_has(check->section, listener_option(key), own);
}

/* Whether a key is set, but to something that was refused. */
static bool
is_bad(const struct check *check, const char *key)
{
	const struct config_option *option = listener_option(key);
	const struct config_section *section = check->section;
	const struct config_assignment *a;

	for (; section != NULL; section = section->defaults)
		for (a = section->first; a != NULL; a = a->next)
			if (a->option == option && a->bad)
				return true;
	return false;
}

void
config_warn(struct config_builder *builder, struct config *config,
    struct config_place place, const char *text)
{
	struct strbuf warning = STRBUF_NULL;
	char **rows =
	    option_grow(config->warnings, config->warning_count, sizeof(*rows));

	if (place.file != NULL) {
		config_place_text(&warning, place);
		strbuf_text(&warning, ": ");
	}
	strbuf_text(&warning, text);
	if (rows != NULL) {
		config->warnings = rows;
		rows[config->warning_count] = strbuf_take(&warning);
		if (rows[config->warning_count] != NULL)
			config->warning_count++;
		else
			builder->failed = true;
	} else {
		strbuf_free(&warning);
		builder->failed = true;
	}
}

static void
clear_upstreams(struct config_listener *listener)
{
	size_t i;

	for (i = 0; i < listener->upstream_count; i++) {
		free(listener->upstream[i].text);
		free(listener->upstream[i].origin.file);
	}
	free(listener->upstream);
	listener->upstream = NULL;
	listener->upstream_count = 0;
}

/* A key that belongs to one mode: it must be there in that mode; elsewhere it
 * may only come from [defaults], and counts for nothing. */
static void
check_key_of_mode(const struct check *check, const char *key, bool needed,
    const char *mode, const char *form)
{
	struct config_place own;
	bool there = has(check, key, &own);

	if (needed && !there)
		config_note(check->builder, check->section->place,
		    "listener %s has mode = %s but no %s (write %s = %s)",
		    check->listener->name, mode, key, key, form);
	else if (!needed && own.file != NULL)
		config_note(check->builder, own,
		    "%s: listener %s does not have mode = %s, which alone "
		    "takes it",
		    key, check->listener->name, mode);
}

/* Its section began with a flag, whose name stands for the file's. */
static bool
on_command_line(const struct check *check)
{
	const struct config_file *file = check->section->place.file;

	return file != NULL && file->name[0] == '-' && file->name[1] != '\0';
}

static void
check_mode(const struct check *check)
{
	struct config_listener *listener = check->listener;

	if (!has(check, "listen", NULL))
		config_note(check->builder, check->section->place,
		    "listener %s has no listen (write listen = ADDRESS)",
		    listener->name);
	if (!has(check, "mode", NULL)) {
		config_note(check->builder, check->section->place,
		    on_command_line(check)
			? "listener %s has no mode (write -e, -f ADDRESS or "
			  "-P TARGET behind its -l)"
			: "listener %s has no mode (write mode = echo, "
			  "forward or pipe)",
		    listener->name);
		return;
	}
	if (is_bad(check, "mode"))
		return;
	check_key_of_mode(check, "upstream", listener->mode == CONFIG_FORWARD,
	    "forward", "ADDRESS");
	check_key_of_mode(
	    check, "pipe", listener->mode == CONFIG_PIPE, "pipe", "TARGET");
	if (listener->mode != CONFIG_FORWARD)
		clear_upstreams(listener);
}

static bool
is_peer(const struct config_listener *listener)
{
	return listener->mode == CONFIG_PIPE &&
	       listener->target == CONFIG_TARGET_PEER;
}

/* The place of a listener's key, or of its section. */
static struct config_place
place_of(const struct check *check, const char *key)
{
	struct config_place own;

	has(check, key, &own);
	return own.file != NULL ? own : check->section->place;
}

/* peer:LISTENER joins two listeners, and both must say so. */
static void
check_peer(const struct check *check)
{
	struct config_listener *listener = check->listener, *other;
	const struct config_section *section;
	struct check there;

	if (!is_peer(listener) || listener->target_text == NULL ||
	    is_bad(check, "mode") || is_bad(check, "pipe"))
		return;
	section = config_section_find(check->builder, listener->target_text);
	if (section == NULL) {
		config_note(check->builder, place_of(check, "pipe"),
		    "pipe: there is no listener %s to take peers from",
		    listener->target_text);
		return;
	}
	if (section == check->section) {
		/* The same as "peer" alone. */
		free(listener->target_text);
		listener->target_text = NULL;
		return;
	}
	other = config_find_listener(check->config, listener->target_text);
	there = (struct check){check->builder, check->config, other, section};
	if (other == NULL || is_bad(&there, "mode") || is_bad(&there, "pipe") ||
	    (is_peer(other) && other->target_text != NULL &&
		strcmp(other->target_text, listener->name) == 0))
		return;
	config_note(check->builder, place_of(check, "pipe"),
	    "pipe: peer:%s joins clients of both listeners, so listener %s "
	    "must say so too (write mode = pipe and pipe = peer:%s there)",
	    listener->target_text, listener->target_text, listener->name);
}

/* A connection that starts at an address of one family cannot go to the
 * other. */
static void
check_local(const struct check *check)
{
	struct config_listener *listener = check->listener;
	int local = weir_address_family(&listener->local_address), family;
	const struct config_address *upstream;
	struct weir_address address;
	size_t i;

	if (local == 0 || listener->mode != CONFIG_FORWARD)
		return;
	if (listener->family != 0 && listener->family != local)
		config_note(check->builder, place_of(check, "local_address"),
		    "local_address: is IPv%d, but family = %d", local,
		    listener->family);
	for (i = 0; i < listener->upstream_count; i++) {
		upstream = &listener->upstream[i];
		if (weir_endpoint_address(&upstream->endpoint, &address) < 0)
			continue;
		family = weir_address_family(&address);
		if (family == 0)
			config_note(check->builder,
			    place_of(check, "local_address"),
			    "local_address: does not go with the upstream %s, "
			    "which is a unix socket",
			    upstream->text);
		else if (family != local)
			config_note(check->builder,
			    place_of(check, "local_address"),
			    "local_address: is IPv%d, but the upstream %s is "
			    "IPv%d",
			    local, upstream->text, family);
	}
}

/* Keys of a socket file where no such file is made. */
static void
check_unix_keys(const struct check *check)
{
	static const char *const keys[] = {
	    "unix_mode", "unix_user", "unix_group"};
	const struct config_listener *listener = check->listener;
	struct strbuf text = STRBUF_NULL;
	struct config_place own;
	size_t i;

	for (i = 0; i < listener->listen_count; i++)
		if (listener->listen[i].endpoint.kind == WEIR_ENDPOINT_UNIX &&
		    !listener->listen[i].endpoint.abstract)
			return;
	if (is_bad(check, "listen"))
		return;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		has(check, keys[i], &own);
		if (own.file == NULL)
			continue;
		strbuf_reset(&text);
		strbuf_format(&text,
		    "%s: has no effect, as listener %s makes no socket file",
		    keys[i], listener->name);
		config_warn(
		    check->builder, check->config, own, strbuf_get(&text));
	}
	strbuf_free(&text);
}

/* A handle that is nobody else's, and one that others may have as well. */
static void
check_exclusive(const struct check *check)
{
	const struct config_listener *listener = check->listener;
	struct config_place own;

	if (!listener->exclusive || !listener->reuse_port)
		return;
	has(check, "exclusive", &own);
	config_note(check->builder, own,
	    "exclusive: listener %s also has reuse_port = yes, which lets "
	    "others have its port (leave one of them out)",
	    listener->name);
}

void
config_validate(struct config_builder *builder, struct config *config,
    struct config_section *const *sections)
{
	struct check check = {builder, config, NULL, NULL};
	size_t i;

	for (i = 0; i < config->listener_count; i++) {
		check.listener = config->listeners[i];
		check.section = sections[i];
		check_mode(&check);
		check_peer(&check);
		check_local(&check);
		check_unix_keys(&check);
		check_exclusive(&check);
	}
	config_check_conflicts(builder, config);
	if (config->listener_count == 0)
		config_warn(builder, config,
		    (struct config_place){builder->files, 0},
		    "there is no listener, so nothing is served");
}
