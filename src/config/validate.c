/*
 * The rules that one key alone cannot show: what a mode needs, which listeners
 * belong together, and addresses that the system would refuse to bind. Only
 * what is sure to fail is a mistake; what is merely without effect is a
 * warning. Addresses against each other are conflict.c's, what is forwarded
 * where validate_forward.c's, TLS validate_tls.c's.
 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/builder_priv.h"
#include "config/option_priv.h"
#include "config/validate_priv.h"

static const struct config_option *
listener_option(const char *key)
{
	return option_find(OPTION_LISTENER, key);
}

bool
config_check_has(
    const struct config_check *check, const char *key, struct config_place *own)
{
	return config_section_has(check->section, listener_option(key), own);
}

bool
config_check_bad(const struct config_check *check, const char *key)
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

struct config_place
config_check_place(const struct config_check *check, const char *key)
{
	struct config_place own;

	config_check_has(check, key, &own);
	return own.file != NULL ? own : check->section->place;
}

int
config_add_warning(struct config *config, const char *text)
{
	char **rows =
	    option_grow(config->warnings, config->warning_count, sizeof(*rows));

	if (rows == NULL)
		return -ENOMEM;
	config->warnings = rows;
	rows[config->warning_count] = strdup(text);
	if (rows[config->warning_count] == NULL)
		return -ENOMEM;
	config->warning_count++;
	return 0;
}

void
config_warn(struct config_builder *builder, struct config *config,
    struct config_place place, const char *format, ...)
{
	struct strbuf warning = STRBUF_NULL;
	va_list list;

	if (place.file != NULL) {
		config_place_text(&warning, place);
		strbuf_text(&warning, ": ");
	}
	va_start(list, format);
	strbuf_vformat(&warning, format, list);
	va_end(list);
	if (warning.failed ||
	    config_add_warning(config, strbuf_get(&warning)) < 0)
		builder->failed = true;
	strbuf_free(&warning);
}

/* A key that belongs to one mode: it must be there in that mode; elsewhere it
 * may only come from [defaults], and counts for nothing. */
static void
check_key_of_mode(const struct config_check *check, const char *key,
    bool needed, const char *mode, const char *form)
{
	struct config_place own;
	bool there = config_check_has(check, key, &own);

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
on_command_line(const struct config_check *check)
{
	const struct config_file *file = check->section->place.file;

	return file != NULL && file->name[0] == '-' && file->name[1] != '\0';
}

/* Whether the first of a list's rows that stands in the section itself is of
 * that key. */
static bool
own_key_is(const struct config_check *check, const char *key)
{
	const struct config_option *option = listener_option(key);
	const struct config_assignment *a;

	for (a = check->section->first; a != NULL; a = a->next)
		if (option_same_field(a->option, option))
			return a->option == option;
	return false;
}

/* upstream, or rows of sni and alpn that name one; nothing else forwards. */
static void
check_forward(const struct config_check *check)
{
	struct config_listener *listener = check->listener;

	if (listener->mode == CONFIG_FORWARD) {
		if (!config_check_has(check, "sni", NULL) &&
		    !config_check_has(check, "alpn", NULL))
			check_key_of_mode(
			    check, "upstream", true, "forward", "ADDRESS");
		return;
	}
	check_key_of_mode(check, "upstream", false, "forward", NULL);
	if (own_key_is(check, "sni"))
		check_key_of_mode(check, "sni", false, "forward", NULL);
	else
		check_key_of_mode(check, "alpn", false, "forward", NULL);
	config_clear_forward(listener);
}

static void
check_mode(const struct config_check *check)
{
	struct config_listener *listener = check->listener;

	if (!config_check_has(check, "listen", NULL))
		config_note(check->builder, check->section->place,
		    "listener %s has no listen (write listen = ADDRESS)",
		    listener->name);
	if (!config_check_has(check, "mode", NULL)) {
		config_note(check->builder, check->section->place,
		    on_command_line(check)
			? "listener %s has no mode (write -e, -f ADDRESS or "
			  "-P TARGET behind its -l)"
			: "listener %s has no mode (write mode = echo, "
			  "forward or pipe)",
		    listener->name);
		return;
	}
	if (config_check_bad(check, "mode"))
		return;
	check_forward(check);
	check_key_of_mode(
	    check, "pipe", listener->mode == CONFIG_PIPE, "pipe", "TARGET");
}

static bool
is_peer(const struct config_listener *listener)
{
	return listener->mode == CONFIG_PIPE &&
	       listener->target == CONFIG_TARGET_PEER;
}

/* peer:LISTENER joins two listeners, and both must say so. */
static void
check_peer(const struct config_check *check)
{
	struct config_listener *listener = check->listener, *other;
	const struct config_section *section;
	struct config_check there;

	if (!is_peer(listener) || listener->target_text == NULL ||
	    config_check_bad(check, "mode") || config_check_bad(check, "pipe"))
		return;
	section = config_section_find(
	    check->builder, CONFIG_SECTION_LISTENER, listener->target_text);
	if (section == NULL) {
		config_note(check->builder, config_check_place(check, "pipe"),
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
	there = (struct config_check){
	    check->builder, check->config, other, section};
	if (other == NULL || config_check_bad(&there, "mode") ||
	    config_check_bad(&there, "pipe") ||
	    (is_peer(other) && other->target_text != NULL &&
		strcmp(other->target_text, listener->name) == 0))
		return;
	config_note(check->builder, config_check_place(check, "pipe"),
	    "pipe: peer:%s joins clients of both listeners, so listener %s "
	    "must say so too (write mode = pipe and pipe = peer:%s there)",
	    listener->target_text, listener->target_text, listener->name);
}

/* Keys of a socket file where no such file is made. */
static void
check_unix_keys(const struct config_check *check)
{
	static const char *const keys[] = {
	    "unix_mode", "unix_user", "unix_group"};
	const struct config_listener *listener = check->listener;
	struct config_place own;
	size_t i;

	for (i = 0; i < listener->listen_count; i++)
		if (listener->listen[i].endpoint.kind == WEIR_ENDPOINT_UNIX &&
		    !listener->listen[i].endpoint.abstract)
			return;
	if (config_check_bad(check, "listen"))
		return;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		config_check_has(check, keys[i], &own);
		if (own.file == NULL)
			continue;
		config_warn(check->builder, check->config, own,
		    "%s: has no effect, as listener %s makes no socket file",
		    keys[i], listener->name);
	}
}

/* A handle that is nobody else's, and one that others may have as well. */
static void
check_exclusive(const struct config_check *check)
{
	const struct config_listener *listener = check->listener;
	struct config_place own;

	if (!listener->exclusive || !listener->reuse_port)
		return;
	config_check_has(check, "exclusive", &own);
	config_note(check->builder, own,
	    "exclusive: listener %s also has reuse_port = yes, which lets "
	    "others have its port (leave one of them out)",
	    listener->name);
}

void
config_validate(struct config_builder *builder, struct config *config,
    struct config_section *const *sections)
{
	struct config_check check = {builder, config, NULL, NULL};
	size_t i;

	for (i = 0; i < config->listener_count; i++) {
		check.listener = config->listeners[i];
		check.section = sections[i];
		check_mode(&check);
		check_peer(&check);
		check_unix_keys(&check);
		check_exclusive(&check);
		config_check_tls(&check);
	}
	config_make_pools(builder, config);
	for (i = 0; i < config->listener_count; i++) {
		check.listener = config->listeners[i];
		check.section = sections[i];
		config_check_forward(&check);
	}
	config_check_upstreams(builder, config);
	config_check_conflicts(builder, config);
	if (config->listener_count == 0)
		config_warn(builder, config,
		    (struct config_place){builder->files, 0},
		    "there is no listener, so nothing is served");
}
