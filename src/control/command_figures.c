/*
 * The requests that only ask: figures are on the board, so that only what a
 * worker alone knows is asked of it. One that does not answer is left out, and
 * the answer says so.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>

#include <weir/version.h>

#include "control/command_priv.h"
#include "control/stats_json.h"
#include "process/fleet.h"
#include "proxy/proxy.h"

void
command_run_ping(struct command *command)
{
	answer_ok(&command->answer, json_string("pong"));
	command_finish(command);
}

void
command_run_version(struct command *command)
{
	answer_ok(&command->answer, json_string(weir_version()));
	command_finish(command);
}

void
command_run_health(struct command *command)
{
	answer_ok(
	    &command->answer, json_string(stats_health(command->subject)));
	command_finish(command);
}

/* ---- figures that workers bring up to date ---- */

/* Answer with what json makes, once they have. */
static void
refresh(struct command *command, fleet_done *done)
{
	if (fleet_refresh(
		command->subject->fleet, done, command, &command->call) != 0)
		command_no_memory(command);
}

static void
refreshed(struct command *command, unsigned silent, json_t *data)
{
	command->call = NULL;
	command_warn_silent(
	    command, silent, "\"buffered\" of theirs is what it was before");
	answer_ok(&command->answer, data);
	command_finish(command);
}

static void
on_stats(int err, unsigned silent, void *user)
{
	struct command *command = user;

	(void)err;
	refreshed(command, silent, stats_json(command->subject));
}

void
command_run_stats(struct command *command)
{
	refresh(command, on_stats);
}

static void
on_listeners(int err, unsigned silent, void *user)
{
	struct command *command = user;

	(void)err;
	refreshed(command, silent, stats_json_listeners(command->subject));
}

void
command_run_listeners(struct command *command)
{
	refresh(command, on_listeners);
}

static void
on_workers(int err, unsigned silent, void *user)
{
	struct command *command = user;

	(void)err;
	(void)silent; /* their rows tell */
	command->call = NULL;
	answer_ok(&command->answer, stats_json_workers(command->subject));
	command_finish(command);
}

void
command_run_workers(struct command *command)
{
	refresh(command, on_workers);
}

void
command_run_upstreams(struct command *command)
{
	answer_ok(&command->answer, stats_json_upstreams(command->subject));
	command_finish(command);
}

/* ---- connections ---- */

/* The listener that the only argument names, or -1 for all where there is no
 * argument. False where the name is not known, which was answered. */
static bool
optional_listener(struct command *command, long *index)
{
	*index = -1;
	if (command->argument_count == 0)
		return true;
	*index =
	    proxy_find_listener(command->subject->proxy, command->arguments[0]);
	if (*index >= 0)
		return true;
	command_unknown_listener(command, command->arguments[0]);
	return false;
}

static void
begin_list(struct command *command)
{
	if (!command->answer.listing)
		answer_list_begin(&command->answer);
}

static void
on_row(const struct session_figures *figures, void *user)
{
	struct command *command = user;

	begin_list(command);
	answer_list_row(&command->answer, stats_json_session(figures));
}

static void
more_rows(struct command *command)
{
	fleet_more(command->call);
}

static void
on_rested(void *user)
{
	struct command *command = user;

	begin_list(command);
	command_rest(command, more_rows);
}

static void
on_listed(int err, unsigned silent, void *user)
{
	struct command *command = user;

	command->call = NULL;
	if (err == -ENOENT && !command->answer.listing) {
		command_unknown_listener(command, command->arguments[0]);
		return;
	}
	begin_list(command);
	command_warn_silent(command, silent, "the rest of theirs is missing");
	answer_list_end(&command->answer);
	command_finish(command);
}

void
command_run_connections(struct command *command)
{
	static const struct fleet_rows handlers = {
	    .row = on_row,
	    .rested = on_rested,
	    .done = on_listed,
	};
	long index;

	if (!optional_listener(command, &index))
		return;
	if (fleet_connections(command->subject->fleet,
		index >= 0 ? command->arguments[0] : NULL, &handlers, command,
		&command->call) != 0)
		command_no_memory(command);
}

void
command_run_count(struct command *command)
{
	const struct proxy *proxy = command->subject->proxy;
	struct listener_figures f;
	uint64_t count;
	long index;

	if (!optional_listener(command, &index))
		return;
	if (index < 0) {
		count = proxy_connections(proxy);
	} else {
		proxy_listener_figures(proxy, (size_t)index, &f);
		count = f.connections;
	}
	answer_ok(&command->answer, json_integer((json_int_t)count));
	command_finish(command);
}
