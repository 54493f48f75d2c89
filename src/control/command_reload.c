/*
 * The requests that reload the configuration, or tell what that would do. They
 * are answered when it is done in every process. A mistake anywhere is an error
 * that has them all, a line each, and then nothing has changed.
 */
#include "config.h"

#include <stdint.h>

#include "control/command_priv.h"
#include "process/reload.h"
#include "util/strbuf.h"

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

static json_t *
text_or_null(const char *text)
{
	return text != NULL ? answer_text(text) : json_null();
}

static json_t *
section_json(const struct reload_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:I}", "section",
	    section_text(row->section), "name",
	    row->name != NULL ? row->name : "", "change",
	    config_change_kind_text(row->kind), "connections",
	    (json_int_t)row->connections);
}

static json_t *
key_json(const struct reload_row *row, const struct reload_key *key)
{
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "section",
	    section_text(row->section), "name",
	    row->name != NULL ? row->name : "", "key", key->key, "before",
	    text_or_null(key->before), "after", text_or_null(key->after),
	    "from", text_or_null(key->origin), "effect",
	    key->restart ? "restart" : "live", "why", text_or_null(key->why));
}

static json_t *
sections_json(const struct reload_result *result)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < result->row_count; i++) {
		if (json_array_append_new(
			list, section_json(&result->rows[i])) == 0)
			continue;
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *
keys_json(const struct reload_result *result)
{
	const struct reload_row *row = result->rows;
	json_t *list = json_array();
	size_t i;

	for (; row < result->rows + result->row_count; row++)
		for (i = 0; i < row->key_count; i++) {
			if (json_array_append_new(
				list, key_json(row, &row->keys[i])) == 0)
				continue;
			json_decref(list);
			return NULL;
		}
	return list;
}

static json_t *
result_json(const struct reload_result *result)
{
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:b, s:I, s:o, s:o}",
	    "done", !result->check, "kept", (json_int_t)result->kept, "added",
	    (json_int_t)result->added, "removed", (json_int_t)result->removed,
	    "changed", (json_int_t)result->changed, "restart", result->restart,
	    "duration_ms", (json_int_t)result->duration_ms, "sections",
	    sections_json(result), "keys", keys_json(result));
}

static void
answer_mistakes(struct answer *answer, const struct reload_result *result)
{
	struct strbuf text = STRBUF_NULL;
	size_t i;

	strbuf_text(&text, result->check ? "a reload would change nothing:"
					 : "nothing was changed:");
	for (i = 0; i < result->mistake_count; i++)
		strbuf_format(&text, "\n%s", result->mistakes[i]);
	if (text.failed)
		answer->text.failed = true;
	else
		answer_error(answer, "%s", strbuf_get(&text));
	strbuf_free(&text);
}

static void
on_reloaded(const struct reload_result *result, void *user)
{
	struct command *command = user;

	command->reload = NULL;
	if (result->ok)
		answer_ok(&command->answer, result_json(result));
	else
		answer_mistakes(&command->answer, result);
	command_finish(command);
}

static void
ask(struct command *command, bool check)
{
	if (reload_ask(command->subject->reload, check, on_reloaded, command,
		&command->reload) != 0)
		command_no_memory(command);
}

void
command_run_reload(struct command *command)
{
	ask(command, false);
}

void
command_run_reload_check(struct command *command)
{
	ask(command, true);
}
