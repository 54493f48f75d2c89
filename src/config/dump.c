/*
 * Prints a configuration so that it is a configuration again, with the same
 * meaning: every key, defaults included. A key that has no value, or no effect,
 * stands in a comment. Includes, [defaults] and environment variables are
 * resolved.
 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "config/option_priv.h"
#include "config/value.h"
#include "util/strbuf.h"

struct dump {
	struct strbuf text;
	bool any;   /* the option has a value */
	bool brief; /* without what is there by default */
};

static void
on_value(const char *key, const char *value, size_t length, void *user)
{
	struct dump *dump = user;

	dump->any = true;
	if (value == NULL)
		dump->text.failed = true;
	else
		value_write(key, value, length, &dump->text);
}

/* Whether a key without value deserves a line that says so. */
static bool
is_listed(const struct config_option *option)
{
	return !(option->flags & OPTION_REPEATABLE) &&
	       option->type != OPTION_TARGET;
}

static bool
makes_socket_file(const struct config_listener *listener)
{
	size_t i;

	for (i = 0; i < listener->listen_count; i++)
		if (listener->listen[i].endpoint.kind == WEIR_ENDPOINT_UNIX &&
		    !listener->listen[i].endpoint.abstract)
			return true;
	return false;
}

bool
option_has_no_effect(const struct config_option *option, const void *base)
{
	const struct config_listener *listener = base;

	if (option->section != OPTION_LISTENER)
		return false;
	if (strncmp(option->key, "unix_", 5) == 0)
		return !makes_socket_file(listener);
	if (strncmp(option->key, "tls_", 4) == 0)
		return !listener->tls.on;
	if (strncmp(option->key, "upstream_tls_", 13) == 0)
		return !listener->upstream_tls.on;
	return false;
}

/* Take back what was printed since, where it says no more than the default. */
static void
drop_default(
    struct dump *dump, const struct config_option *option, size_t since)
{
	struct strbuf *text = &dump->text;
	size_t length = text->length - since;

	if (option->value == NULL || length == 0)
		return;
	value_write(option->key, option->value, strlen(option->value), text);
	if (text->failed)
		return;
	if (text->length - since == 2 * length &&
	    memcmp(text->data + since, text->data + since + length, length) ==
		0)
		length = 0;
	text->length = since + length;
	text->data[text->length] = '\0';
}

static void
dump_section(struct dump *dump, enum option_section section, const void *base)
{
	/* Of [weir] it may matter that a default was written. */
	bool brief = dump->brief && section != OPTION_WEIR;
	const struct config_option *option;
	size_t i, since;

	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		since = dump->text.length;
		if (option->section != section || option_is_second(option) ||
		    (option->flags & OPTION_COMMAND_LINE))
			continue;
		dump->any = false;
		/* What has no effect is told like what is not set. */
		if (!option_has_no_effect(option, base))
			option_print(option, base, on_value, dump);
		if (brief)
			drop_default(dump, option, since);
		else if (!dump->any && option->value != NULL)
			strbuf_format(&dump->text, "# %s = %s\n", option->key,
			    option->value);
		else if (!dump->any && is_listed(option))
			strbuf_format(&dump->text, "# %s: none\n", option->key);
	}
}

static int
print(const struct config *config, FILE *out, bool brief)
{
	struct dump dump = {STRBUF_NULL, false, brief};
	size_t i;
	int r = 0;

	strbuf_text(&dump.text, "[weir]\n");
	dump_section(&dump, OPTION_WEIR, config);
	for (i = 0; i < config->listener_count; i++) {
		strbuf_format(&dump.text, "\n[listener %s]\n",
		    config->listeners[i]->name);
		dump_section(&dump, OPTION_LISTENER, config->listeners[i]);
	}
	for (i = 0; i < config->upstream_count; i++) {
		if (config->upstreams[i]->implicit)
			continue;
		strbuf_format(&dump.text, "\n[upstream %s]\n",
		    config->upstreams[i]->name);
		dump_section(&dump, OPTION_UPSTREAM, config->upstreams[i]);
	}
	if (dump.text.failed) {
		errno = ENOMEM;
		r = -1;
	} else if (fwrite(dump.text.data, 1, dump.text.length, out) !=
		       dump.text.length ||
		   fflush(out) != 0) {
		r = -1;
	}
	strbuf_free(&dump.text);
	return r;
}

int
config_dump(const struct config *config, FILE *out)
{
	return print(config, out, false);
}

int
config_dump_brief(const struct config *config, FILE *out)
{
	return print(config, out, true);
}
