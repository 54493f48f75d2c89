/*
 * The running configuration: each value with where it came from, and what
 * requests have changed since. Some sections at a time, as a thousand listeners
 * have very many values; a reload meanwhile changes nothing of what is told.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "control/command_priv.h"
#include "process/fleet.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"
#include "util/strbuf.h"

#define SECTIONS_AT_A_TIME 4

struct telling {
	struct config *config; /* counted */
	size_t next;	       /* section: [weir], listeners, upstreams */
};

static const char *
section_text(enum config_section_kind section)
{
	switch (section) {
	case CONFIG_SECTION_LISTENER:
		return "listener";
	case CONFIG_SECTION_UPSTREAM:
		return "upstream";
	default:
		return "weir";
	}
}

static void
add_row(struct command *command, const struct config_value *value)
{
	answer_list_row(&command->answer,
	    json_pack("{s:s, s:s, s:s, s:o, s:o}", "section",
		section_text(value->section), "name",
		value->name != NULL ? value->name : "", "key", value->key,
		"value", answer_text(value->value), "from",
		answer_text(value->origin)));
}

static void
add_changed(struct command *command, enum config_section_kind section,
    const char *name, const char *key, const char *value, const char *origin)
{
	const struct config_value row = {
	    .section = section,
	    .name = name,
	    .key = key,
	    .value = value,
	    .origin = origin,
	};

	add_row(command, &row);
}

static void
add_runtime(struct command *command, enum config_section_kind section,
    const char *name, const char *key, const char *value)
{
	add_changed(command, section, name, key, value, "runtime");
}

/* The level in force: as configured, as flags make it, or by a request. */
static void
add_log_level(struct command *command, const struct config_value *value)
{
	const struct telling *t = command->progress;
	int verbose = command->subject->verbose;
	enum log_level configured = (enum log_level)t->config->log_level;
	enum log_level now = log_get_level();

	if (now == configured)
		add_row(command, value);
	else
		add_changed(command, value->section, NULL, value->key,
		    log_level_text(now),
		    now != log_level_by_flags(configured, verbose) ? "runtime"
		    : verbose < 0				   ? "-q"
								   : "-v");
}

static void
on_value(const struct config_value *value, void *user)
{
	struct command *command = user;

	if (value->section == CONFIG_SECTION_WEIR &&
	    strcmp(value->key, "log_level") == 0)
		add_log_level(command, value);
	else
		add_row(command, value);
}

/* ---- one section ---- */

static int
tell_weir(struct command *command)
{
	const struct telling *t = command->progress;
	int err = config_section_values(
	    t->config, CONFIG_SECTION_WEIR, 0, on_value, command);

	if (fleet_drain_set(command->subject->fleet))
		add_runtime(
		    command, CONFIG_SECTION_WEIR, NULL, "health", "drain");
	return err;
}

static int
tell_listener(struct command *command, size_t index)
{
	const struct telling *t = command->progress;
	const struct proxy *proxy = command->subject->proxy;
	const char *name = t->config->listeners[index]->name;
	long row = proxy_find_listener(proxy, name);
	struct listener_figures f = {.state = LISTENER_OPEN};
	int err = config_section_values(
	    t->config, CONFIG_SECTION_LISTENER, index, on_value, command);

	if (row >= 0)
		proxy_listener_figures(proxy, (size_t)row, &f);
	if (f.state == LISTENER_CLOSED)
		add_runtime(command, CONFIG_SECTION_LISTENER, name, "state",
		    listener_state_text(f.state));
	return err;
}

/* A server of the upstream that is told. */
struct said {
	struct command *command;
	const char *upstream;
};

static void
add_said(const struct said *said, struct strbuf *text)
{
	if (text->failed)
		said->command->answer.text.failed = true;
	else
		add_runtime(said->command, CONFIG_SECTION_UPSTREAM,
		    said->upstream, "server", strbuf_get(text));
	strbuf_free(text);
}

/* As the request says it; of a name with several addresses each. */
static void
on_server(const struct server_figures *server, void *user)
{
	struct strbuf text = STRBUF_NULL;

	if (server->admin_said) {
		strbuf_format(&text, "%s %s", server->address, server->admin);
		add_said(user, &text);
	}
	if (server->weight_said) {
		strbuf_format(
		    &text, "%s weight %u", server->address, server->weight);
		add_said(user, &text);
	}
}

static int
tell_upstream(struct command *command, size_t index)
{
	const struct telling *t = command->progress;
	const struct proxy *proxy = command->subject->proxy;
	struct said said = {command, t->config->upstreams[index]->name};
	int err = config_section_values(
	    t->config, CONFIG_SECTION_UPSTREAM, index, on_value, command);

	/* After a reload its servers are those of another configuration. */
	if (proxy_config(proxy) == t->config)
		proxy_each_server(proxy, index, on_server, &said);
	return err;
}

/* Returns 0, -ENOMEM, or -ENOENT where there is none of that index. */
static int
tell_section(struct command *command, size_t index)
{
	const struct telling *t = command->progress;

	if (index == 0)
		return tell_weir(command);
	index--;
	if (index < t->config->listener_count)
		return tell_listener(command, index);
	index -= t->config->listener_count;
	if (index < t->config->upstream_count)
		return tell_upstream(command, index);
	return -ENOENT;
}

static void
more_sections(struct command *command)
{
	struct telling *t = command->progress;
	int i, err;

	for (i = 0; i < SECTIONS_AT_A_TIME; i++) {
		err = tell_section(command, t->next++);
		if (err == -ENOENT) {
			answer_list_end(&command->answer);
			command_finish(command);
			return;
		}
		if (err != 0) {
			command_no_memory(command);
			return;
		}
	}
	command_rest(command, more_sections);
}

static void
drop_telling(struct command *command)
{
	struct telling *t = command->progress;

	config_unref(t->config);
	free(t);
}

void
command_run_config(struct command *command)
{
	struct telling *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		command_no_memory(command);
		return;
	}
	t->config = config_ref(proxy_config(command->subject->proxy));
	command->progress = t;
	command->drop = drop_telling;
	answer_list_begin(&command->answer);
	more_sections(command);
}
