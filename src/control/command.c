/*
 * The requests of the control socket: one row each in requests.h, one function
 * each in the other files of command_*.c.
 *
 * A request is words divided by blanks. Every line that is not just blanks
 * gets exactly one answer; one that cannot be carried out says why and what
 * would be right, and is refused before anything is asked of the workers. What
 * weir is made to do is logged with who asked for it. Reading lines and sending
 * answers is the affair of the control server.
 */
#include "config.h"

#include "control/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/command_priv.h"
#include "log/log.h"
#include "process/fleet.h"
#include "process/reload.h"
#include "proxy/proxy.h"
#include "util/nearest.h"

struct row {
	const char *name;
	const char *arguments;
	size_t fewest, most;
	bool changes;
	const char *help;
	void (*run)(struct command *command);
};

#define COMMAND_ROW(id, name, arguments, fewest, most, changes, help)          \
	{name, arguments, fewest, most, changes, help, command_run_##id},
static const struct row rows[] = {CONTROL_REQUESTS(COMMAND_ROW)};
#undef COMMAND_ROW

#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))

/* ---- how it goes on ---- */

static void
go_on_to(struct command *command, enum command_state state)
{
	command->state = state;
	if (!command->inside)
		command->told(command, command->user);
}

void
command_finish(struct command *command)
{
	go_on_to(command, COMMAND_FINISHED);
}

void
command_rest(struct command *command, void (*more)(struct command *command))
{
	command->more = more;
	go_on_to(command, COMMAND_RESTING);
}

void
command_no_memory(struct command *command)
{
	command->answer.text.failed = true;
	command_finish(command);
}

void
command_warn_silent(struct command *command, unsigned silent, const char *what)
{
	if (silent > 0)
		answer_warn(&command->answer,
		    "%u %s did not answer within %g s: %s", silent,
		    silent == 1 ? "worker" : "workers",
		    (double)FLEET_PATIENCE_MS / 1000, what);
}

void
command_unknown_listener(struct command *command, const char *name)
{
	const struct proxy *proxy = command->subject->proxy;
	size_t i, count = proxy_listener_count(proxy);
	struct listener_figures f;
	struct nearest nearest;

	nearest_begin(&nearest, name);
	for (i = 0; i < count; i++) {
		proxy_listener_figures(proxy, i, &f);
		nearest_try(&nearest, f.name);
	}
	if (nearest_get(&nearest) != NULL)
		answer_error(&command->answer,
		    "no listener is named \"%s\"; did you mean \"%s\"?", name,
		    nearest_get(&nearest));
	else
		answer_error(&command->answer,
		    "no listener is named \"%s\"; \"listeners\" shows those "
		    "that there are",
		    name);
	command_finish(command);
}

void
command_run_help(struct command *command)
{
	const struct row *r;

	answer_list_begin(&command->answer);
	for (r = rows; r < rows + ROW_COUNT; r++)
		answer_list_row(&command->answer,
		    json_pack("{s:s++, s:s}", "request", r->name,
			*r->arguments != '\0' ? " " : "", r->arguments, "help",
			r->help));
	answer_list_end(&command->answer);
	command_finish(command);
}

/* ---- which request it is ---- */

/* How many words of the request are the name of r; 0 where it is another. */
static size_t
match(const struct row *r, const struct command *command)
{
	const char *name = r->name;
	size_t i, length;

	for (i = 0; *name != '\0'; i++) {
		length = strcspn(name, " ");
		if (i >= command->count || i >= COMMAND_WORDS ||
		    strlen(command->words[i]) != length ||
		    strncmp(command->words[i], name, length) != 0)
			return 0;
		name += length + strspn(name + length, " ");
	}
	return i;
}

/* The row whose name is longest, as "reload check" is one of its own. */
static const struct row *
find_row(struct command *command)
{
	const struct row *r, *best = NULL;
	size_t words, most = 0;

	for (r = rows; r < rows + ROW_COUNT; r++) {
		words = match(r, command);
		if (words <= most)
			continue;
		most = words;
		best = r;
	}
	command->arguments = command->words + most;
	command->argument_count = command->count - most;
	return best;
}

/* The known name that is nearest to a name of so many words, or NULL. */
static const char *
nearest_row(const char *name, bool two_words)
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, name);
	for (i = 0; i < ROW_COUNT; i++)
		if ((strchr(rows[i].name, ' ') != NULL) == two_words)
			nearest_try(&nearest, rows[i].name);
	return nearest_get(&nearest);
}

static void
unknown_request(struct command *command)
{
	const char *best, *name = command->words[0];
	char two[CONTROL_REQUEST_MAX + 2];

	best = nearest_row(name, false);
	if (best == NULL && command->count > 1) {
		(void)snprintf(two, sizeof(two), "%s %s", command->words[0],
		    command->words[1]);
		best = nearest_row(two, true);
		if (best != NULL)
			name = two;
	}
	if (best != NULL)
		answer_error(&command->answer,
		    "unknown request \"%s\"; did you mean \"%s\"?", name, best);
	else
		answer_error(&command->answer,
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
split(struct command *command)
{
	char *save = NULL, *word;

	for (word = strtok_r(command->text, " \t", &save); word != NULL;
	     word = strtok_r(NULL, " \t", &save)) {
		if (command->count < COMMAND_WORDS)
			command->words[command->count] = word;
		command->count++;
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
static const struct row *
accept_request(struct command *command, bool whole)
{
	const struct row *r = find_row(command);

	if (r == NULL) {
		unknown_request(command);
		return NULL;
	}
	if (command->argument_count < r->fewest ||
	    command->argument_count > r->most) {
		answer_error(&command->answer,
		    "\"%s\" takes %s, and %zu %s given", r->name,
		    r->most == 0 ? "no argument" : r->arguments,
		    command->argument_count,
		    command->argument_count == 1 ? "was" : "were");
		return NULL;
	}
	if (r->changes && !whole) {
		answer_error(&command->answer,
		    "the line of \"%s\" has no end, so it may be half a "
		    "request; nothing was done",
		    r->name);
		return NULL;
	}
	return r;
}

/* ---- calls ---- */

static bool
is_blank(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (line[i] != ' ' && line[i] != '\t')
			return false;
	return true;
}

static void
run(struct command *command, const struct command_caller *caller,
    const char *line, size_t length, bool whole)
{
	const struct row *r = NULL;

	if (length > CONTROL_REQUEST_MAX) {
		answer_error(&command->answer,
		    "the request is longer than %d bytes", CONTROL_REQUEST_MAX);
	} else if (check_text(line, length, &command->answer)) {
		memcpy(command->text, line, length);
		split(command);
		r = accept_request(command, whole);
	}
	if (r == NULL) {
		command_finish(command);
		return;
	}
	if (r->changes)
		log_request(caller, line, length);
	r->run(command);
}

int
command_start(struct command **ret, const struct control_subject *subject,
    const struct command_caller *caller, const char *line, size_t length,
    bool whole, command_told *told, void *user)
{
	struct command *command;

	*ret = NULL;
	if (is_blank(line, length))
		return 0;
	command = calloc(1, sizeof(*command));
	if (command == NULL)
		return -ENOMEM;
	command->subject = subject;
	command->told = told;
	command->user = user;
	command->inside = true;
	run(command, caller, line, length, whole);
	command->inside = false;
	*ret = command;
	return 0;
}

enum command_state
command_state(const struct command *command)
{
	return command->state;
}

struct answer *
command_answer(struct command *command)
{
	return &command->answer;
}

enum command_effect
command_effect(const struct command *command)
{
	return command->effect;
}

void
command_go_on(struct command *command)
{
	command->state = COMMAND_WORKING;
	command->inside = true;
	command->more(command);
	command->inside = false;
}

void
command_free(struct command *command)
{
	if (command == NULL)
		return;
	fleet_cancel(command->call);
	reload_cancel(command->reload);
	if (command->drop != NULL)
		command->drop(command);
	answer_free(&command->answer);
	free(command);
}
