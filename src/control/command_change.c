/*
 * The requests that change what runs. Each is checked here as far as this
 * process can tell, before a worker is asked to do anything.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include <weir/error.h>

#include "control/command_priv.h"
#include "control/stats_json.h"
#include "process/fleet.h"
#include "proxy/proxy.h"
#include "util/strbuf.h"
#include "util/text.h"

/* ---- one connection ---- */

static void
on_killed(int err, unsigned silent, void *user)
{
	struct command *command = user;

	command->call = NULL;
	if (err == 0)
		answer_ok(&command->answer, json_string("killed"));
	else if (silent > 0)
		answer_error(&command->answer,
		    "no worker that answers has a connection with the ID %s; "
		    "%u did not answer",
		    command->arguments[0], silent);
	else
		answer_error(&command->answer,
		    "no connection has the ID %s (any more)",
		    command->arguments[0]);
	command_finish(command);
}

void
command_run_kill(struct command *command)
{
	const char *text = command->arguments[0];
	uint64_t id;

	if (text_number(text, &id) != 0) {
		answer_error(&command->answer,
		    "\"%s\" is not the ID of a connection, which is a whole "
		    "number as \"connections\" shows it",
		    text);
		command_finish(command);
	} else if (fleet_kill(command->subject->fleet, id, on_killed, command,
		       &command->call) != 0) {
		command_no_memory(command);
	}
}

/* ---- one listener ---- */

/* Answer what closing or opening a listener came to; state is what it had
 * been already. */
static void
answer_listener(struct command *command, int err, unsigned silent,
    const char *done, const char *state)
{
	const char *name = command->arguments[0];
	struct answer *answer = &command->answer;

	command->call = NULL;
	if (err == -ENOENT) {
		command_unknown_listener(command, name);
		return;
	}
	command_warn_silent(
	    command, silent, "done there as soon as it goes on");
	if (err == 0)
		answer_ok(answer, json_string(done));
	else if (err == -EALREADY)
		answer_error(
		    answer, "listener \"%s\" is already %s", name, state);
	else if (err == -EBUSY)
		answer_error(
		    answer, "weir is draining: its listeners stay closed");
	else
		answer_error(answer, "listener \"%s\" could not be %s: %s",
		    name, done, weir_error_text(err));
	command_finish(command);
}

static void
on_closed(int err, unsigned silent, void *user)
{
	answer_listener(user, err, silent, "closed", "closed");
}

#define UNBOUND_TOLD 3 /* of a range of ports that may be thousands */

struct unbound {
	struct strbuf text;
	size_t count;
};

static void
add_unbound(const char *address, int err, uint64_t retry_ms, void *user)
{
	struct unbound *unbound = user;
	char pause[TEXT_NUMBER];

	if (++unbound->count > UNBOUND_TOLD)
		return;
	strbuf_format(&unbound->text, "%s%s: %s",
	    unbound->count > 1 ? "; " : "", address, weir_error_text(err));
	if (retry_ms > 0)
		strbuf_format(&unbound->text, " (tried again in %s)",
		    text_from_duration(retry_ms, pause));
}

static void
answer_unbound(struct command *command)
{
	struct unbound unbound = {STRBUF_NULL, 0};
	const char *name = command->arguments[0];

	proxy_listener_each_unbound(
	    command->subject->proxy, name, add_unbound, &unbound);
	if (unbound.count > UNBOUND_TOLD)
		strbuf_format(&unbound.text, "; and %zu more",
		    unbound.count - UNBOUND_TOLD);
	if (unbound.text.failed)
		command->answer.text.failed = true;
	else
		answer_error(&command->answer,
		    "listener \"%s\" could not be opened: %s", name,
		    strbuf_get(&unbound.text));
	strbuf_free(&unbound.text);
	command_finish(command);
}

static void
on_opened(int err, unsigned silent, void *user)
{
	struct command *command = user;

	command->call = NULL;
	if (err == -ENOTCONN) {
		answer_unbound(command);
	} else if (err == -EHOSTDOWN) {
		answer_error(&command->answer,
		    "listener \"%s\" opens by itself once one of its servers "
		    "is usable: when_down = close",
		    command->arguments[0]);
		command_finish(command);
	} else {
		answer_listener(command, err, silent, "opened", "open");
	}
}

/* Whether the argument names one; else that was answered. */
static bool
known_listener(struct command *command)
{
	if (proxy_find_listener(
		command->subject->proxy, command->arguments[0]) >= 0)
		return true;
	command_unknown_listener(command, command->arguments[0]);
	return false;
}

void
command_run_close(struct command *command)
{
	if (known_listener(command) &&
	    fleet_listener_close(command->subject->fleet, command->arguments[0],
		on_closed, command, &command->call) != 0)
		command_no_memory(command);
}

void
command_run_open(struct command *command)
{
	if (known_listener(command) &&
	    fleet_listener_open(command->subject->fleet, command->arguments[0],
		on_opened, command, &command->call) != 0)
		command_no_memory(command);
}

/* ---- all of it ---- */

void
command_run_set_log_level(struct command *command)
{
	const char *text = command->arguments[0];
	enum log_level level;

	if (log_level_find(text, &level) == 0) {
		fleet_set_log_level(command->subject->fleet, level);
		answer_ok(&command->answer, json_string(log_level_text(level)));
	} else {
		answer_error(&command->answer,
		    "log_level: \"%s\" is not error, warn, info or debug",
		    text);
	}
	command_finish(command);
}

static void
set_drain(struct command *command, bool on)
{
	if (proxy_draining(command->subject->proxy)) {
		answer_error(&command->answer,
		    "weir is stopping, and its health is \"drain\" until it "
		    "has");
	} else {
		fleet_set_drain(command->subject->fleet, on);
		answer_ok(&command->answer,
		    json_string(stats_health(command->subject)));
	}
	command_finish(command);
}

void
command_run_drain(struct command *command)
{
	set_drain(command, true);
}

void
command_run_undrain(struct command *command)
{
	set_drain(command, false);
}

void
command_run_shutdown(struct command *command)
{
	struct answer *answer = &command->answer;

	if (command->argument_count == 0 &&
	    proxy_draining(command->subject->proxy)) {
		answer_error(answer,
		    "weir is already draining; \"shutdown now\" ends it at "
		    "once");
	} else if (command->argument_count == 0) {
		answer_ok(answer, json_string("draining"));
		command->effect = COMMAND_SHUTDOWN;
	} else if (strcmp(command->arguments[0], "now") == 0) {
		answer_ok(answer, json_string("stopping"));
		command->effect = COMMAND_SHUTDOWN_NOW;
	} else {
		answer_error(answer, "shutdown: \"%s\" is not \"now\"",
		    command->arguments[0]);
	}
	command_finish(command);
}
