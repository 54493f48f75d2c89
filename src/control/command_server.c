/*
 * What requests change of servers: their state, and their weight. Both are on
 * the board, so that all workers go by it at once; who is known under which
 * name is looked up first, for a message that helps.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <weir/error.h>

#include "control/command_priv.h"
#include "proxy/proxy.h"
#include "proxy/upstream.h"
#include "util/nearest.h"
#include "util/text.h"

#define WEIGHT_MAX 256

/* The words after "server". */
enum { UPSTREAM, SERVER, ACTION, WEIGHT };

/* The index of the upstream, or -1. */
static long
find_upstream(const struct proxy *proxy, const char *name)
{
	size_t i, count = proxy_upstream_count(proxy);
	struct upstream_figures f;

	for (i = 0; i < count; i++) {
		proxy_upstream_figures(proxy, i, &f);
		if (strcmp(f.name, name) == 0)
			return (long)i;
	}
	return -1;
}

static void
unknown_upstream(struct command *command)
{
	const struct proxy *proxy = command->subject->proxy;
	const char *name = command->arguments[UPSTREAM];
	size_t i, count = proxy_upstream_count(proxy);
	struct upstream_figures f;
	struct nearest nearest;

	nearest_begin(&nearest, name);
	for (i = 0; i < count; i++) {
		proxy_upstream_figures(proxy, i, &f);
		nearest_try(&nearest, f.name);
	}
	if (nearest_get(&nearest) != NULL)
		answer_error(&command->answer,
		    "no upstream is named \"%s\"; did you mean \"%s\"?", name,
		    nearest_get(&nearest));
	else
		answer_error(&command->answer,
		    "no upstream is named \"%s\"; \"upstreams\" shows those "
		    "that there are",
		    name);
}

/* The texts of a server last only while it is told, so that the nearest one is
 * copied. */
struct search {
	struct nearest nearest;
	char best[256];
};

static void
try_name(struct search *search, const char *name)
{
	size_t before = search->nearest.distance;

	nearest_try(&search->nearest, name);
	if (search->nearest.distance < before)
		(void)snprintf(search->best, sizeof(search->best), "%s", name);
}

static void
on_server(const struct server_figures *server, void *user)
{
	try_name(user, server->name);
	try_name(user, server->address);
}

static void
unknown_server(struct command *command, size_t upstream)
{
	const char *name = command->arguments[SERVER];
	struct search search = {.best = ""};

	nearest_begin(&search.nearest, name);
	proxy_each_server(
	    command->subject->proxy, upstream, on_server, &search);
	if (search.best[0] != '\0')
		answer_error(&command->answer,
		    "upstream \"%s\" has no server \"%s\"; did you mean "
		    "\"%s\"?",
		    command->arguments[UPSTREAM], name, search.best);
	else
		answer_error(&command->answer,
		    "upstream \"%s\" has no server \"%s\"; \"upstreams\" shows "
		    "those that it has, by their names and addresses",
		    command->arguments[UPSTREAM], name);
}

static void
answer_server(struct command *command, int err, const char *done)
{
	long upstream = find_upstream(
	    command->subject->proxy, command->arguments[UPSTREAM]);

	if (err == 0)
		answer_ok(&command->answer, json_string(done));
	else if (err == -ENOENT || upstream < 0)
		unknown_upstream(command);
	else if (err == -ESRCH)
		unknown_server(command, (size_t)upstream);
	else
		answer_error(&command->answer,
		    "server \"%s\" of upstream \"%s\" cannot be set: %s",
		    command->arguments[SERVER], command->arguments[UPSTREAM],
		    weir_error_text(err));
}

static void
set_weight(struct command *command)
{
	const char *text = command->arguments[WEIGHT];
	uint64_t weight;

	if (text_number(text, &weight) != 0 || weight > WEIGHT_MAX) {
		answer_error(&command->answer,
		    "server: weight: \"%s\" is not a whole number from 0 to %d",
		    text, WEIGHT_MAX);
		return;
	}
	answer_server(command,
	    proxy_server_weight(command->subject->proxy,
		command->arguments[UPSTREAM], command->arguments[SERVER],
		(unsigned)weight),
	    text);
}

static bool
is_state(const char *word)
{
	return strcmp(word, "up") == 0 || strcmp(word, "down") == 0 ||
	       strcmp(word, "drain") == 0;
}

void
command_run_server(struct command *command)
{
	const char *action = command->arguments[ACTION];
	bool weight = strcmp(action, "weight") == 0;
	struct answer *answer = &command->answer;

	if (!weight && !is_state(action))
		answer_error(answer,
		    "server: \"%s\" is not up, down, drain or weight N",
		    action);
	else if (weight && command->argument_count != WEIGHT + 1)
		answer_error(answer,
		    "server: weight takes a whole number from 0 to %d",
		    WEIGHT_MAX);
	else if (!weight && command->argument_count != ACTION + 1)
		answer_error(answer, "server: \"%s\" is one word too many",
		    command->arguments[WEIGHT]);
	else if (weight)
		set_weight(command);
	else
		answer_server(command,
		    proxy_server_set(command->subject->proxy,
			command->arguments[UPSTREAM],
			command->arguments[SERVER], action),
		    action);
	command_finish(command);
}
