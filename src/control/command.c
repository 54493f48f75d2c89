/*
 * The requests of the control socket: one row each in requests.h, one function
 * each here.
 *
 * A request is words divided by blanks. Every line that is not just blanks
 * gets exactly one answer; one that cannot be carried out says why and what
 * would be right. What weir is made to do is logged with who asked for it.
 * Reading lines and sending answers is the affair of the control server.
 */
#include "config.h"

#include "control/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>
#include <weir/version.h>

#include "control/answer.h"
#include "control/requests.h"
#include "control/stats_json.h"
#include "log/log.h"
#include "proxy/proxy.h"
#include "util/nearest.h"
#include "util/text.h"

/* More than any request has; what is beyond only has to be noticed. */
#define WORDS_MAX 8

struct request {
	struct proxy *proxy;
	struct answer *answer;
	char *words[WORDS_MAX]; /* in text */
	size_t count;		/* of words, those beyond WORDS_MAX too */
	char **arguments;	/* the words after the request's name */
	size_t argument_count;
	char text[CONTROL_REQUEST_MAX + 1];
};

struct command {
	const char *name;
	const char *arguments;
	size_t fewest, most;
	bool changes;
	const char *help;
	enum command_effect (*run)(struct request *request);
};

static void
unknown_listener(struct request *request, const char *name)
{
	size_t i, count = proxy_listener_count(request->proxy);
	struct listener_figures f;
	struct nearest nearest;

	nearest_begin(&nearest, name);
	for (i = 0; i < count; i++) {
		proxy_listener_figures(request->proxy, i, &f);
		nearest_try(&nearest, f.name);
	}
	if (nearest_get(&nearest) != NULL)
		answer_error(request->answer,
		    "no listener is named \"%s\"; did you mean \"%s\"?", name,
		    nearest_get(&nearest));
	else
		answer_error(request->answer,
		    "no listener is named \"%s\"; \"listeners\" shows those "
		    "that there are",
		    name);
}

/* The listener that the only argument names, or -1 for all where there is no
 * argument. False where the name is not known, which was answered. */
static bool
optional_listener(struct request *request, long *index)
{
	*index = -1;
	if (request->argument_count == 0)
		return true;
	*index = proxy_find_listener(request->proxy, request->arguments[0]);
	if (*index >= 0)
		return true;
	unknown_listener(request, request->arguments[0]);
	return false;
}

static enum command_effect
run_ping(struct request *request)
{
	answer_ok(request->answer, json_string("pong"));
	return COMMAND_DONE;
}

static enum command_effect
run_version(struct request *request)
{
	answer_ok(request->answer, json_string(weir_version()));
	return COMMAND_DONE;
}

static enum command_effect
run_stats(struct request *request)
{
	answer_ok(request->answer, stats_json(request->proxy));
	return COMMAND_DONE;
}

static enum command_effect
run_listeners(struct request *request)
{
	answer_ok(request->answer, stats_json_listeners(request->proxy));
	return COMMAND_DONE;
}

static enum command_effect
run_upstreams(struct request *request)
{
	answer_ok(request->answer, stats_json_upstreams(request->proxy));
	return COMMAND_DONE;
}

static enum command_effect
run_workers(struct request *request)
{
	answer_ok(request->answer, stats_json_workers(request->proxy));
	return COMMAND_DONE;
}

static enum command_effect
run_connections(struct request *request)
{
	long index;

	if (optional_listener(request, &index))
		stats_json_connections(request->proxy, index, request->answer);
	return COMMAND_DONE;
}

static enum command_effect
run_count(struct request *request)
{
	struct listener_figures f;
	uint64_t count;
	long index;

	if (!optional_listener(request, &index))
		return COMMAND_DONE;
	if (index < 0) {
		count = proxy_connections(request->proxy);
	} else {
		proxy_listener_figures(request->proxy, (size_t)index, &f);
		count = f.connections;
	}
	answer_ok(request->answer, json_integer((json_int_t)count));
	return COMMAND_DONE;
}

static enum command_effect
run_kill(struct request *request)
{
	const char *text = request->arguments[0];
	uint64_t id;

	if (text_number(text, &id) != 0)
		answer_error(request->answer,
		    "\"%s\" is not the ID of a connection, which is a whole "
		    "number as \"connections\" shows it",
		    text);
	else if (proxy_kill(request->proxy, id) != 0)
		answer_error(request->answer,
		    "no connection has the ID %" PRIu64 " (any more)", id);
	else
		answer_ok(request->answer, json_string("killed"));
	return COMMAND_DONE;
}

/* Answer what closing or opening a listener came to; state is what it had
 * been already. */
static void
answer_listener(
    struct request *request, int err, const char *done, const char *state)
{
	const char *name = request->arguments[0];

	if (err == 0)
		answer_ok(request->answer, json_string(done));
	else if (err == -ENOENT)
		unknown_listener(request, name);
	else if (err == -EALREADY)
		answer_error(request->answer, "listener \"%s\" is already %s",
		    name, state);
	else if (err == -EBUSY)
		answer_error(request->answer,
		    "weir is draining: its listeners stay closed");
	else
		answer_error(request->answer,
		    "listener \"%s\" could not be %s: %s", name, done,
		    weir_error_text(err));
}

static enum command_effect
run_close(struct request *request)
{
	answer_listener(request,
	    proxy_listener_close(request->proxy, request->arguments[0]),
	    "closed", "closed");
	return COMMAND_DONE;
}

static enum command_effect
run_open(struct request *request)
{
	answer_listener(request,
	    proxy_listener_open(request->proxy, request->arguments[0]),
	    "opened", "open");
	return COMMAND_DONE;
}

static enum command_effect
run_set_log_level(struct request *request)
{
	static const char *const levels[] = {
	    [LOG_LEVEL_ERROR] = "error",
	    [LOG_LEVEL_WARN] = "warn",
	    [LOG_LEVEL_INFO] = "info",
	    [LOG_LEVEL_DEBUG] = "debug",
	};
	const char *text = request->arguments[0];
	size_t i;

	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(text, levels[i]) != 0)
			continue;
		log_set_level((enum log_level)i);
		answer_ok(request->answer, json_string(levels[i]));
		return COMMAND_DONE;
	}
	answer_error(request->answer,
	    "log_level: \"%s\" is not error, warn, info or debug", text);
	return COMMAND_DONE;
}

static enum command_effect
run_shutdown(struct request *request)
{
	if (request->argument_count == 1) {
		if (strcmp(request->arguments[0], "now") != 0) {
			answer_error(request->answer,
			    "shutdown: \"%s\" is not \"now\"",
			    request->arguments[0]);
			return COMMAND_DONE;
		}
		answer_ok(request->answer, json_string("stopping"));
		return COMMAND_SHUTDOWN_NOW;
	}
	if (proxy_draining(request->proxy)) {
		answer_error(request->answer,
		    "weir is already draining; \"shutdown now\" ends it at "
		    "once");
		return COMMAND_DONE;
	}
	answer_ok(request->answer, json_string("draining"));
	return COMMAND_SHUTDOWN;
}

static enum command_effect
run_health(struct request *request)
{
	answer_ok(request->answer, json_string(stats_health(request->proxy)));
	return COMMAND_DONE;
}

static enum command_effect run_help(struct request *request);

#define COMMAND_ROW(id, name, arguments, fewest, most, changes, help)          \
	{name, arguments, fewest, most, changes, help, run_##id},
static const struct command commands[] = {CONTROL_REQUESTS(COMMAND_ROW)};
#undef COMMAND_ROW

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static enum command_effect
run_help(struct request *request)
{
	const struct command *c;

	answer_list_begin(request->answer);
	for (c = commands; c < commands + COMMAND_COUNT; c++)
		answer_list_row(request->answer,
		    json_pack("{s:s++, s:s}", "request", c->name,
			*c->arguments != '\0' ? " " : "", c->arguments, "help",
			c->help));
	answer_list_end(request->answer);
	return COMMAND_DONE;
}

/* How many words of the request are the name of c; 0 where it is another. */
static size_t
match(const struct command *c, const struct request *request)
{
	const char *name = c->name;
	size_t i, length;

	for (i = 0; *name != '\0'; i++) {
		length = strcspn(name, " ");
		if (i >= request->count || i >= WORDS_MAX ||
		    strlen(request->words[i]) != length ||
		    strncmp(request->words[i], name, length) != 0)
			return 0;
		name += length + strspn(name + length, " ");
	}
	return i;
}

static const struct command *
find_command(struct request *request)
{
	const struct command *c;
	size_t words;

	for (c = commands; c < commands + COMMAND_COUNT; c++) {
		words = match(c, request);
		if (words == 0)
			continue;
		request->arguments = request->words + words;
		request->argument_count = request->count - words;
		return c;
	}
	return NULL;
}

/* The known name that is nearest to a name of so many words, or NULL. */
static const char *
nearest_command(const char *name, bool two_words)
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, name);
	for (i = 0; i < COMMAND_COUNT; i++)
		if ((strchr(commands[i].name, ' ') != NULL) == two_words)
			nearest_try(&nearest, commands[i].name);
	return nearest_get(&nearest);
}

static void
unknown_request(struct request *request)
{
	const char *best, *name = request->words[0];
	char two[CONTROL_REQUEST_MAX + 2];

	best = nearest_command(name, false);
	if (best == NULL && request->count > 1) {
		(void)snprintf(two, sizeof(two), "%s %s", request->words[0],
		    request->words[1]);
		best = nearest_command(two, true);
		if (best != NULL)
			name = two;
	}
	if (best != NULL)
		answer_error(request->answer,
		    "unknown request \"%s\"; did you mean \"%s\"?", name, best);
	else
		answer_error(request->answer,
		    "unknown request \"%s\"; \"help\" lists those that there "
		    "are",
		    name);
}

/* Whether the line is text; else that was answered. */
static bool
check_text(const char *line, size_t length, struct answer *answer)
{
	json_t *value;
	size_t i;

	for (i = 0; i < length; i++) {
		unsigned char c = (unsigned char)line[i];

		if ((c >= 0x20 && c != 0x7f) || c == '\t')
			continue;
		answer_error(answer,
		    "byte %zu of the request is the control character 0x%02x; "
		    "a request is one line of plain text",
		    i + 1, c);
		return false;
	}
	value = json_stringn(line, length);
	if (value == NULL) {
		answer_error(answer,
		    "the request is not UTF-8; a request is one line of plain "
		    "text");
		return false;
	}
	json_decref(value);
	return true;
}

/* Cut the line into words. */
static void
split(struct request *request)
{
	char *save = NULL, *word;

	for (word = strtok_r(request->text, " \t", &save); word != NULL;
	     word = strtok_r(NULL, " \t", &save)) {
		if (request->count < WORDS_MAX)
			request->words[request->count] = word;
		request->count++;
	}
}

static void
log_request(
    const struct command_caller *caller, const char *line, size_t length)
{
	char text[CONTROL_REQUEST_MAX + 1];

	memcpy(text, line, length);
	text[length] = '\0';
	if (caller->known)
		log_info("control request", LOG_T("request", text),
		    LOG_N("pid", caller->pid), LOG_N("uid", caller->uid));
	else
		log_info("control request", LOG_T("request", text));
}

/* Find the row of a request whose words are cut; else that was answered. */
static const struct command *
accept_command(struct request *request, bool whole)
{
	const struct command *c = find_command(request);

	if (c == NULL) {
		unknown_request(request);
		return NULL;
	}
	if (request->argument_count < c->fewest ||
	    request->argument_count > c->most) {
		answer_error(request->answer,
		    "\"%s\" takes %s, and %zu %s given", c->name,
		    c->most == 0 ? "no argument" : c->arguments,
		    request->argument_count,
		    request->argument_count == 1 ? "was" : "were");
		return NULL;
	}
	if (c->changes && !whole) {
		answer_error(request->answer,
		    "the line of \"%s\" has no end, so it may be half a "
		    "request; nothing was done",
		    c->name);
		return NULL;
	}
	return c;
}

enum command_effect
command_run(struct proxy *proxy, const struct command_caller *caller,
    const char *line, size_t length, bool whole, struct answer *answer)
{
	struct request request = {.proxy = proxy, .answer = answer};
	const struct command *c;

	if (length > CONTROL_REQUEST_MAX) {
		answer_error(answer, "the request is longer than %d bytes",
		    CONTROL_REQUEST_MAX);
		return COMMAND_DONE;
	}
	if (!check_text(line, length, answer))
		return COMMAND_DONE;
	memcpy(request.text, line, length);
	split(&request);
	if (request.count == 0)
		return COMMAND_DONE;
	c = accept_command(&request, whole);
	if (c == NULL)
		return COMMAND_DONE;
	if (c->changes)
		log_request(caller, line, length);
	return c->run(&request);
}
