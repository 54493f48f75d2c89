/*
 * The types that say where bytes go: the control socket, the logs, the target
 * of a pipe, and the greeting. Nothing is opened here; whether a path can be
 * used is seen by whoever opens it.
 */
#include <config.h>

#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option_priv.h"
#include "util/argv.h"

/* The rest of text behind a prefix, or NULL. */
static const char *
behind(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int
parse_control(const struct option_input *in)
{
	struct config *config = in->base;
	struct sockaddr_un un;
	int r;

	if (strcmp(in->value, "off") == 0) {
		r = option_set_text(&config->control, "", 0);
	} else {
		if (strchr(in->value, '/') == NULL)
			return option_refuse(in,
			    "is neither off nor a path (write ./NAME for a "
			    "file of the working directory)");
		if (in->length >= sizeof(un.sun_path))
			return option_refuse(in,
			    "is too long for a unix socket (at most %zu bytes)",
			    sizeof(un.sun_path) - 1);
		r = option_set_text(&config->control, in->value, in->length);
	}
	if (r == 0)
		config->control_set = in->origin->file != NULL;
	return r;
}

static int
parse_log(const struct option_input *in)
{
	static const char *const names[] = {
	    [CONFIG_LOG_STDERR] = "stderr",
	    [CONFIG_LOG_SYSLOG] = "syslog",
	    [CONFIG_LOG_JOURNAL] = "journal",
	};
	struct config *config = in->base;
	const char *path = behind(in->value, "file:");
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(in->value, names[i]) == 0) {
			config->log = (enum config_log)i;
			return option_set_text(&config->log_path, "", 0);
		}
	if (path == NULL)
		return option_refuse(
		    in, "is not known (stderr, syslog, journal or file:PATH)");
	if (*path == '\0')
		return option_refuse(in, "has no path after file:");
	if (option_set_text(&config->log_path, path, strlen(path)) < 0)
		return -ENOMEM;
	config->log = CONFIG_LOG_FILE;
	return 0;
}

static int
parse_access_log(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	const char *path = behind(in->value, "file:");

	if (strcmp(in->value, "off") == 0 || strcmp(in->value, "on") == 0) {
		listener->access_log =
		    in->value[1] == 'n' ? CONFIG_ACCESS_LOG : CONFIG_ACCESS_OFF;
		return option_set_text(&listener->access_log_path, "", 0);
	}
	if (path == NULL)
		return option_refuse(in, "is not known (off, on or file:PATH)");
	if (*path == '\0')
		return option_refuse(in, "has no path after file:");
	if (option_set_text(&listener->access_log_path, path, strlen(path)) < 0)
		return -ENOMEM;
	listener->access_log = CONFIG_ACCESS_FILE;
	return 0;
}

static int
parse_exec(const struct option_input *in, const char *command, char ***argv)
{
	const char *problem = NULL;
	int r = argv_split(command, argv, &problem);

	if (r == -EINVAL)
		return option_refuse(in,
		    "is not a command: %s (a value with ; or # after a blank "
		    "needs double quotes around all of it)",
		    problem);
	if (r == 0 && ((*argv)[0] == NULL || (*argv)[0][0] == '\0')) {
		argv_free(*argv);
		*argv = NULL;
		return option_refuse(in, "has no command after exec:");
	}
	return r;
}

static const struct {
	const char *prefix, *what;
	enum config_target target;
	bool more; /* something must follow */
} targets[] = {
    {"null", NULL, CONFIG_TARGET_NULL, false},
    {"stdout", NULL, CONFIG_TARGET_STDOUT, false},
    {"peer", NULL, CONFIG_TARGET_PEER, false},
    {"peer:", "listener", CONFIG_TARGET_PEER, true},
    {"exec:", "command", CONFIG_TARGET_EXEC, true},
    {"file:", "path", CONFIG_TARGET_FILE, true},
    {"fifo:", "path", CONFIG_TARGET_FIFO, true},
};

#define TARGETS (sizeof(targets) / sizeof(targets[0]))

/* The row of targets that a value is of, or TARGETS; *rest is what follows. */
static size_t
find_target(const char *value, const char **rest)
{
	size_t i;

	for (i = 0; i < TARGETS; i++) {
		*rest = behind(value, targets[i].prefix);
		if (*rest != NULL && (targets[i].more || **rest == '\0'))
			break;
	}
	return i;
}

static int
parse_target(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	char **argv = NULL;
	const char *rest;
	size_t i = find_target(in->value, &rest);
	int r;

	if (i == TARGETS)
		return option_refuse(in,
		    "is not known (peer, peer:LISTENER, exec:COMMAND, "
		    "file:PATH, fifo:PATH, stdout or null)");
	if (targets[i].more && *rest == '\0')
		return option_refuse(in, "has no %s after %s", targets[i].what,
		    targets[i].prefix);
	if (targets[i].target == CONFIG_TARGET_EXEC) {
		r = parse_exec(in, rest, &argv);
		if (r < 0)
			return r;
	}
	r = option_set_text(&listener->target_text, rest, strlen(rest));
	if (r < 0) {
		argv_free(argv);
		return r;
	}
	argv_free(listener->target_argv);
	listener->target_argv = argv;
	listener->target = targets[i].target;
	return 0;
}

static int
parse_greeting(const struct option_input *in)
{
	struct config_listener *listener = in->base;
	char *copy = NULL;

	if (in->length > 0) {
		copy = malloc(in->length + 1);
		if (copy == NULL)
			return -ENOMEM;
		memcpy(copy, in->value, in->length);
		copy[in->length] = '\0';
	}
	free(listener->greeting);
	listener->greeting = copy;
	listener->greeting_length = in->length;
	return 0;
}

int
option_parse_place(const struct option_input *in)
{
	switch (in->option->type) {
	case OPTION_CONTROL:
		return parse_control(in);
	case OPTION_LOG:
		return parse_log(in);
	case OPTION_ACCESS_LOG:
		return parse_access_log(in);
	case OPTION_TARGET:
		return parse_target(in);
	case OPTION_GREETING:
		return parse_greeting(in);
	default: /* OPTION_INCLUDE acts where it is read */
		return 0;
	}
}

static void
emit_text(const char *key, const char *prefix, const char *text,
    option_emit *emit, void *user)
{
	struct strbuf value = STRBUF_NULL;

	strbuf_text(&value, prefix);
	strbuf_text(&value, text ? text : "");
	if (!value.failed)
		emit(key, strbuf_get(&value), value.length, user);
	else
		emit(key, NULL, 0, user);
	strbuf_free(&value);
}

static void
print_log(const struct config *config, option_emit *emit, void *user)
{
	static const char *const names[] = {
	    [CONFIG_LOG_STDERR] = "stderr",
	    [CONFIG_LOG_SYSLOG] = "syslog",
	    [CONFIG_LOG_JOURNAL] = "journal",
	    [CONFIG_LOG_FILE] = "file:",
	};

	emit_text("log", names[config->log], config->log_path, emit, user);
}

static void
print_access_log(
    const struct config_listener *listener, option_emit *emit, void *user)
{
	static const char *const names[] = {
	    [CONFIG_ACCESS_OFF] = "off",
	    [CONFIG_ACCESS_LOG] = "on",
	    [CONFIG_ACCESS_FILE] = "file:",
	};

	emit_text("access_log", names[listener->access_log],
	    listener->access_log_path, emit, user);
}

static void
print_target(
    const struct config_listener *listener, option_emit *emit, void *user)
{
	size_t i;

	if (listener->mode != CONFIG_PIPE)
		return;
	for (i = 0; i < TARGETS; i++)
		if (targets[i].target == listener->target &&
		    targets[i].more == (listener->target_text != NULL))
			emit_text("pipe", targets[i].prefix,
			    listener->target_text, emit, user);
}

void
option_print_place(const struct config_option *option, const void *base,
    option_emit *emit, void *user)
{
	const struct config *config = base;
	const struct config_listener *listener = base;

	switch (option->type) {
	case OPTION_CONTROL:
		if (config->control_set || config->control == NULL)
			emit_text("control", config->control ? "" : "off",
			    config->control, emit, user);
		break;
	case OPTION_LOG:
		print_log(config, emit, user);
		break;
	case OPTION_ACCESS_LOG:
		print_access_log(listener, emit, user);
		break;
	case OPTION_TARGET:
		print_target(listener, emit, user);
		break;
	case OPTION_GREETING:
		if (listener->greeting != NULL)
			emit("greeting", listener->greeting,
			    listener->greeting_length, user);
		break;
	default:
		break;
	}
}
