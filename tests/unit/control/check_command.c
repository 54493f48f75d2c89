/* Requests of the control socket: what each does and answers. */
#include "config.h"

#include "control/command.h"

#include <check.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/version.h>

#include "control/answer.h"
#include "control/requests.h"
#include "log/log.h"
#include "tests/unit/control/fake_fleet.h"

static struct proxy proxy;
static struct fleet fleet;
static unsigned told;		   /* calls of on_told */
static enum command_effect effect; /* of the last request */
static bool whole;

static void
setup(void)
{
	fake_proxy_init(&proxy, 3);
	fake_fleet_init(&fleet, &proxy);
	told = 0;
	whole = true;
	log_set_level(LOG_LEVEL_ERROR);
}

static void
on_told(struct command *command, void *user)
{
	ck_assert_ptr_eq(user, &fleet);
	ck_assert_int_ne(command_state(command), COMMAND_WORKING);
	told++;
}

/* All of its answer, part by part. */
static json_t *
take_answer(struct command *command)
{
	struct strbuf all = STRBUF_NULL;
	json_error_t problem;
	const char *text;
	json_t *json;
	size_t size;

	for (;;) {
		while (command_state(command) == COMMAND_WORKING)
			ck_assert(fake_fleet_answer(&fleet));
		text = answer_line(command_answer(command), &size);
		ck_assert_uint_gt(size, 1);
		strbuf_add(&all, text, size);
		if (command_state(command) == COMMAND_FINISHED)
			break;
		answer_sent(command_answer(command));
		command_go_on(command);
	}
	ck_assert_int_eq(all.data[all.length - 1], '\n');
	ck_assert_ptr_null(memchr(all.data, '\n', all.length - 1));
	json = json_loadb(all.data, all.length, 0, &problem);
	ck_assert_msg(json != NULL, "no JSON: %s", problem.text);
	strbuf_free(&all);
	return json;
}

/* The whole answer to a request of any bytes; NULL where it got none. */
static json_t *
ask_bytes(const char *line, size_t length)
{
	static const struct command_caller caller = {true, 1, 0};
	struct control_subject subject = fake_subject(&fleet);
	struct command *command;
	json_t *json;

	ck_assert_int_eq(command_start(&command, &subject, &caller, line,
			     length, whole, on_told, &fleet),
	    0);
	if (command == NULL)
		return NULL;
	json = take_answer(command);
	effect = command_effect(command);
	command_free(command);
	return json;
}

/* The data of the answer to a request that must work. */
static json_t *
ask(const char *line)
{
	json_t *json = ask_bytes(line, strlen(line)), *data;

	ck_assert_msg(json_is_true(json_object_get(json, "ok")), "%s: %s", line,
	    json_string_value(json_object_get(json, "error")));
	ck_assert_uint_eq(json_object_size(json), 2);
	data = json_incref(json_object_get(json, "data"));
	ck_assert_ptr_nonnull(data);
	json_decref(json);
	return data;
}

static void
check_says(const char *line, const char *data)
{
	json_t *json = ask(line);

	ck_assert_str_eq(json_string_value(json), data);
	json_decref(json);
}

/* The request must be refused with that text. */
static void
check_refused_bytes(const char *line, size_t length, const char *error)
{
	json_t *json = ask_bytes(line, length);

	ck_assert_ptr_nonnull(json);
	ck_assert(json_is_false(json_object_get(json, "ok")));
	ck_assert_uint_eq(json_object_size(json), 2);
	ck_assert_str_eq(
	    json_string_value(json_object_get(json, "error")), error);
	ck_assert_int_eq(effect, COMMAND_DONE);
	json_decref(json);
}

static void
check_refused(const char *line, const char *error)
{
	check_refused_bytes(line, strlen(line), error);
}

START_TEST(ping_is_answered_with_pong)
{
	check_says("ping", "pong");
	check_says("  ping\t ", "pong");
}
END_TEST

START_TEST(version_is_that_of_the_library)
{
	check_says("version", weir_version());
}
END_TEST

START_TEST(blank_lines_get_no_answer)
{
	ck_assert_ptr_null(ask_bytes("", 0));
	ck_assert_ptr_null(ask_bytes(" \t ", 3));
}
END_TEST

START_TEST(unknown_requests_name_the_nearest)
{
	check_refused(
	    "pnig", "unknown request \"pnig\"; did you mean \"ping\"?");
	check_refused("set loglevel debug",
	    "unknown request \"set loglevel\"; did you mean \"set "
	    "log_level\"?");
	check_refused("PING x",
	    "unknown request \"PING\"; \"help\" lists those that there are");
	check_refused("set",
	    "unknown request \"set\"; \"help\" lists those that there are");
}
END_TEST

START_TEST(arguments_are_counted)
{
	check_refused(
	    "ping pong", "\"ping\" takes no argument, and 1 was given");
	check_refused("kill", "\"kill\" takes ID, and 0 were given");
	check_refused("kill 1 2", "\"kill\" takes ID, and 2 were given");
	check_refused("connections a b c d e f g h i j",
	    "\"connections\" takes [LISTENER], and 10 were given");
	check_refused(
	    "set log_level", "\"set log_level\" takes LEVEL, and 0 were given");
}
END_TEST

START_TEST(a_control_character_is_refused_by_its_place)
{
	check_refused_bytes("pi\0ng", 5,
	    "byte 3 of the request is the control character 0x00; a request "
	    "is one line of plain text");
	check_refused_bytes("ping\033", 5,
	    "byte 5 of the request is the control character 0x1b; a request "
	    "is one line of plain text");
	check_refused("\177",
	    "byte 1 of the request is the control character 0x7f; a request "
	    "is one line of plain text");
}
END_TEST

START_TEST(bytes_that_are_no_text_are_refused)
{
	const char *error =
	    "the request is not UTF-8; a request is one line of plain text";

	check_refused("ping \377", error);
	check_refused("\303", error);
	check_refused("\300\200", error);
	check_refused("\355\240\200", error);
}
END_TEST

START_TEST(other_letters_are_text)
{
	check_refused("\303\244\303\244\303\244\303\244",
	    "unknown request \"\303\244\303\244\303\244\303\244\"; \"help\" "
	    "lists those that there are");
}
END_TEST

START_TEST(the_longest_line_is_read_whole)
{
	char line[CONTROL_REQUEST_MAX + 1];

	memset(line, ' ', sizeof(line));
	memcpy(line + CONTROL_REQUEST_MAX - 4, "ping", 4);
	json_decref(ask_bytes(line, CONTROL_REQUEST_MAX));
	ck_assert_ptr_nonnull(memchr(line, 'p', sizeof(line)));
	check_refused_bytes(line, CONTROL_REQUEST_MAX + 1,
	    "the request is longer than 4096 bytes");
	memset(line, 'x', sizeof(line));
	json_decref(ask_bytes(line, CONTROL_REQUEST_MAX));
}
END_TEST

START_TEST(count_is_of_all_or_of_one_listener)
{
	json_t *all = ask("count"), *db = ask("count db");

	ck_assert_int_eq(json_integer_value(all), 3);
	ck_assert(json_is_integer(db));
	ck_assert_int_eq(json_integer_value(db), 0);
	json_decref(all);
	json_decref(db);
	check_refused(
	    "count wbe", "no listener is named \"wbe\"; did you mean \"web\"?");
}
END_TEST

START_TEST(connections_are_of_all_or_of_one_listener)
{
	json_t *all = ask("connections"), *web = ask("connections web");
	json_t *db = ask("connections db");

	ck_assert_uint_eq(json_array_size(all), 3);
	ck_assert(json_equal(all, web));
	ck_assert(json_is_array(db));
	ck_assert_uint_eq(json_array_size(db), 0);
	json_decref(all);
	json_decref(web);
	json_decref(db);
	check_refused("connections nowhere",
	    "no listener is named \"nowhere\"; \"listeners\" shows those that "
	    "there are");
}
END_TEST

START_TEST(many_connections_come_in_parts)
{
	json_t *json;

	fake_proxy_init(&proxy, 2000);
	json = ask("connections");
	ck_assert_uint_eq(json_array_size(json), 2000);
	ck_assert_int_eq(json_integer_value(
			     json_object_get(json_array_get(json, 1999), "id")),
	    2000);
	json_decref(json);
	ck_assert_uint_eq(told, 0);
	fleet.later = true;
	json = ask("connections");
	ck_assert_uint_eq(json_array_size(json), 2000);
	json_decref(json);
	ck_assert_uint_eq(told, 2000 / FLEET_ROWS + 1);
	ck_assert_uint_eq(fleet.cancelled, 0);
}
END_TEST

/* The requests that ask the workers. */
static const char *const asking[] = {"stats", "listeners", "workers",
    "connections", "connections db", "kill 2", "close web", "open web"};

START_TEST(what_is_answered_later_is_told_once)
{
	json_t *at_once = ask(asking[_i]), *later;

	setup();
	fleet.later = true;
	later = ask(asking[_i]);
	ck_assert(json_equal(at_once, later));
	ck_assert_uint_eq(told, 1);
	ck_assert(!fake_fleet_answer(&fleet));
	json_decref(at_once);
	json_decref(later);
}
END_TEST

static struct command *
start(const char *line)
{
	static const struct command_caller caller = {true, 1, 0};
	static struct control_subject subject;
	struct command *command;

	subject = fake_subject(&fleet);
	ck_assert_int_eq(command_start(&command, &subject, &caller, line,
			     strlen(line), true, on_told, &fleet),
	    0);
	return command;
}

START_TEST(what_is_forgotten_is_not_told)
{
	struct command *command;

	fleet.later = true;
	command = start(asking[_i]);
	ck_assert_int_eq(command_state(command), COMMAND_WORKING);
	command_free(command);
	ck_assert(!fake_fleet_answer(&fleet));
	ck_assert_uint_eq(fleet.cancelled, 1);
	ck_assert_uint_eq(told, 0);
	command_free(NULL);
}
END_TEST

START_TEST(a_list_is_forgotten_between_its_parts)
{
	struct command *command;

	fake_proxy_init(&proxy, 1000);
	command = start("connections");
	ck_assert_int_eq(command_state(command), COMMAND_RESTING);
	command_free(command);
	ck_assert_uint_eq(fleet.cancelled, 1);
}
END_TEST

START_TEST(memory_refused_for_a_call_is_an_error)
{
	json_t *json;

	fleet.refuse = true;
	json = ask_bytes(asking[_i], strlen(asking[_i]));
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
	    "weir is out of memory");
	json_decref(json);
}
END_TEST

/* The request is answered, with that warning. */
static void
check_warned(const char *line, const char *warning)
{
	json_t *json = ask_bytes(line, strlen(line));

	ck_assert(json_is_true(json_object_get(json, "ok")));
	ck_assert_ptr_nonnull(json_object_get(json, "data"));
	ck_assert_str_eq(
	    json_string_value(json_object_get(json, "warning")), warning);
	json_decref(json);
}

START_TEST(what_silent_workers_leave_out_is_said)
{
	fleet.workers = 3;
	fleet.silent = 1;
	check_warned("connections",
	    "1 worker did not answer within 1 s: the rest of theirs is "
	    "missing");
	check_warned("stats",
	    "1 worker did not answer within 1 s: \"buffered\" of theirs is "
	    "what it was before");
	check_warned("close web",
	    "1 worker did not answer within 1 s: done there as soon as it "
	    "goes on");
	check_refused("kill 9",
	    "no worker that answers has a connection with the ID 9; 1 did not "
	    "answer");
	fleet.silent = 2;
	check_warned("listeners",
	    "2 workers did not answer within 1 s: \"buffered\" of theirs is "
	    "what it was before");
	/* Rows of workers tell it themselves. */
	json_decref(ask("workers"));
}
END_TEST

static struct config *
config_of(const char *text)
{
	struct config_builder *builder = config_builder_new();
	struct config *config = NULL;

	config_builder_read_text(builder, "t.conf", text, strlen(text));
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	config_builder_free(builder);
	return config;
}

/* The row of that section and key: "VALUE from FROM"; "" where there is none.
 */
static const char *
value_of(json_t *rows, const char *section, const char *name, const char *key)
{
	static char text[256];
	const char *s, *n, *k, *value, *from;
	json_t *row;
	size_t i;

	text[0] = '\0';
	json_array_foreach(rows, i, row)
	{
		ck_assert_int_eq(
		    json_unpack(row, "{s:s, s:s, s:s, s:s, s:s}", "section", &s,
			"name", &n, "key", &k, "value", &value, "from", &from),
		    0);
		if (strcmp(s, section) != 0 || strcmp(n, name) != 0 ||
		    strcmp(k, key) != 0)
			continue;
		ck_assert_msg(text[0] == '\0', "%s: twice", key);
		(void)snprintf(text, sizeof(text), "%s from %s", value, from);
	}
	return text;
}

#define SIX                                                                    \
	"[weir]\nlog_level = error\n[defaults]\nmode = echo\n"                 \
	"[listener web]\nlisten = 127.0.0.1:0\n[listener b]\n"                 \
	"listen = 127.0.0.1:0\n[listener c]\nlisten = 127.0.0.1:0\n"           \
	"[listener d]\nlisten = 127.0.0.1:0\n[listener e]\n"                   \
	"listen = 127.0.0.1:0\nbacklog = 77\n[listener f]\n"                   \
	"listen = 127.0.0.1:0\n[upstream pool]\nserver = 127.0.0.1:9\n"

START_TEST(the_configuration_tells_where_values_come_from)
{
	json_t *json;

	proxy.config = config_of(SIX);
	json = ask("config");
	ck_assert_str_eq(
	    value_of(json, "weir", "", "log_level"), "error from t.conf:2");
	ck_assert_str_eq(
	    value_of(json, "weir", "", "workers"), "1 from default");
	ck_assert_str_eq(
	    value_of(json, "listener", "web", "mode"), "echo from t.conf:4");
	ck_assert_str_eq(
	    value_of(json, "listener", "e", "backlog"), "77 from t.conf:15");
	ck_assert_str_eq(
	    value_of(json, "listener", "f", "backlog"), "511 from default");
	ck_assert_str_eq(value_of(json, "upstream", "pool", "server"),
	    "127.0.0.1:9 from t.conf:19");
	ck_assert_str_eq(value_of(json, "weir", "", "health"), "");
	ck_assert_str_eq(value_of(json, "listener", "web", "state"), "");
	json_decref(json);
	config_unref(proxy.config);
}
END_TEST

START_TEST(the_configuration_tells_what_requests_have_changed)
{
	json_t *json, *row;

	proxy.config = config_of(SIX);
	json_decref(ask("set log_level debug"));
	json_decref(ask("close web"));
	json_decref(ask("drain"));
	proxy.servers[0].admin_said = proxy.servers[1].weight_said = true;
	proxy.servers[0].admin = "down";
	json = ask("config");
	ck_assert_str_eq(
	    value_of(json, "weir", "", "log_level"), "debug from runtime");
	ck_assert_str_eq(
	    value_of(json, "weir", "", "health"), "drain from runtime");
	ck_assert_str_eq(
	    value_of(json, "listener", "web", "state"), "closed from runtime");
	row = json_array_get(json, json_array_size(json) - 2);
	ck_assert_str_eq(json_string_value(json_object_get(row, "value")),
	    "10.0.0.1:80 down");
	ck_assert_str_eq(
	    json_string_value(json_object_get(row, "from")), "runtime");
	row = json_array_get(json, json_array_size(json) - 1);
	ck_assert_str_eq(json_string_value(json_object_get(row, "value")),
	    "10.0.0.2:80 weight 0");
	json_decref(json);
	config_unref(proxy.config);
}
END_TEST

START_TEST(a_configuration_is_told_to_its_end_although_it_changes)
{
	struct config *other = config_of(SIX);
	struct command *command;

	proxy.config = config_of(SIX);
	command = start("config");
	ck_assert_int_eq(command_state(command), COMMAND_RESTING);
	config_unref(proxy.config);
	proxy.config = other;
	json_decref(take_answer(command));
	command_free(command);
	command = start("config");
	command_free(command);
	config_unref(other);
}
END_TEST

START_TEST(a_server_is_set)
{
	check_says("server pool one down", "down");
	ck_assert_str_eq(proxy.server_set, "pool one down 0");
	check_says("server pool second up", "up");
	ck_assert_str_eq(proxy.server_set, "pool second up 0");
	check_says("server pool one drain", "drain");
	ck_assert_str_eq(proxy.server_set, "pool one drain 0");
	check_says("server pool one weight 256", "256");
	ck_assert_str_eq(proxy.server_set, "pool one weight 256");
}
END_TEST

START_TEST(a_server_that_is_not_there_names_the_nearest)
{
	check_refused("server poool one up",
	    "no upstream is named \"poool\"; did you mean \"pool\"?");
	check_refused("server elsewhere one up",
	    "no upstream is named \"elsewhere\"; \"upstreams\" shows those "
	    "that there are");
	check_refused("server pool secnod up",
	    "upstream \"pool\" has no server \"secnod\"; did you mean "
	    "\"second\"?");
	check_refused("server pool 10.0.0.1:81 up",
	    "upstream \"pool\" has no server \"10.0.0.1:81\"; did you mean "
	    "\"10.0.0.1:80\"?");
	check_refused("server none one up",
	    "upstream \"none\" has no server \"one\"; \"upstreams\" shows "
	    "those that it has, by their names and addresses");
	proxy.server_result = -ENOMEM;
	check_refused("server pool one up",
	    "server \"one\" of upstream \"pool\" cannot be set: Cannot "
	    "allocate memory");
	ck_assert_str_eq(proxy.server_set, "");
}
END_TEST

START_TEST(what_cannot_be_said_of_a_server_is_refused)
{
	check_refused("server pool one",
	    "\"server\" takes UPSTREAM SERVER up|down|drain|weight N, and 2 "
	    "were given");
	check_refused("server pool one away",
	    "server: \"away\" is not up, down, drain or weight N");
	check_refused(
	    "server pool one up 5", "server: \"5\" is one word too many");
	check_refused("server pool one weight",
	    "server: weight takes a whole number from 0 to 256");
	check_refused("server pool one weight 257",
	    "server: weight: \"257\" is not a whole number from 0 to 256");
	check_refused("server pool one weight -1",
	    "server: weight: \"-1\" is not a whole number from 0 to 256");
	ck_assert_str_eq(proxy.server_set, "");
}
END_TEST

/* ---- reload ---- */

static const struct reload_key keys[] = {
    {"backlog", "511", "77", "t.conf:3", false, NULL},
    {"user", NULL, "nobody", "t.conf:1", true, "it is who weir is"},
};

static const struct reload_row rows[] = {
    {CONFIG_SECTION_WEIR, NULL, CONFIG_CHANGED, keys + 1, 1, 0},
    {CONFIG_SECTION_LISTENER, "web", CONFIG_CHANGED, keys, 1, 12},
    {CONFIG_SECTION_LISTENER, "db", CONFIG_REMOVED, NULL, 0, 3},
    {CONFIG_SECTION_UPSTREAM, "pool", CONFIG_ADDED, NULL, 0, 0},
};

static const struct reload_result good = {
    .ok = true,
    .rows = rows,
    .row_count = 4,
    .kept = 5,
    .added = 1,
    .removed = 1,
    .changed = 1,
    .restart = true,
    .duration_ms = 7,
};

static json_t *
reloaded(struct command *command, const struct reload_result *result)
{
	json_t *json;

	ck_assert_int_eq(command_state(command), COMMAND_WORKING);
	fake_reload_finish(fleet.reload, result);
	ck_assert_uint_eq(told, 1);
	told = 0;
	json = take_answer(command);
	command_free(command);
	return json;
}

START_TEST(a_reload_tells_what_it_has_done)
{
	static const char expected[] =
	    "{\"ok\":true,\"data\":{\"done\":true,\"kept\":5,\"added\":1,"
	    "\"removed\":1,\"changed\":1,\"restart\":true,\"duration_ms\":7,"
	    "\"sections\":["
	    "{\"section\":\"weir\",\"name\":\"\",\"change\":\"changed\","
	    "\"connections\":0},"
	    "{\"section\":\"listener\",\"name\":\"web\","
	    "\"change\":\"changed\",\"connections\":12},"
	    "{\"section\":\"listener\",\"name\":\"db\","
	    "\"change\":\"removed\",\"connections\":3},"
	    "{\"section\":\"upstream\",\"name\":\"pool\","
	    "\"change\":\"added\",\"connections\":0}],"
	    "\"keys\":["
	    "{\"section\":\"weir\",\"name\":\"\",\"key\":\"user\","
	    "\"before\":null,\"after\":\"nobody\",\"from\":\"t.conf:1\","
	    "\"effect\":\"restart\",\"why\":\"it is who weir is\"},"
	    "{\"section\":\"listener\",\"name\":\"web\",\"key\":\"backlog\","
	    "\"before\":\"511\",\"after\":\"77\",\"from\":\"t.conf:3\","
	    "\"effect\":\"live\",\"why\":null}]}}";
	struct reload reload = {.check = true};
	json_t *json;
	char *text;

	fleet.reload = &reload;
	json = reloaded(start("reload"), &good);
	text = json_dumps(json, JSON_COMPACT);
	ck_assert_str_eq(text, expected);
	ck_assert(!reload.check);
	free(text);
	json_decref(json);
}
END_TEST

START_TEST(a_reload_check_tells_what_it_would_do)
{
	struct reload_result checked = good;
	struct reload reload = {.check = false};
	json_t *json;

	fleet.reload = &reload;
	checked.check = true;
	json = reloaded(start("reload check"), &checked);
	ck_assert(reload.check);
	ck_assert(json_is_false(
	    json_object_get(json_object_get(json, "data"), "done")));
	json_decref(json);
	check_refused(
	    "reload chekc", "\"reload\" takes no argument, and 1 was given");
	whole = false;
	check_refused("reload",
	    "the line of \"reload\" has no end, so it may be half a request; "
	    "nothing was done");
}
END_TEST

START_TEST(a_reload_with_mistakes_tells_them_all)
{
	static const char *const mistakes[] = {
	    "t.conf:3: listen: one", "t.conf:9: two"};
	struct reload_result bad = {.mistakes = mistakes, .mistake_count = 2};
	struct reload reload = {.check = false};
	json_t *json;

	fleet.reload = &reload;
	json = reloaded(start("reload"), &bad);
	ck_assert(json_is_false(json_object_get(json, "ok")));
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
	    "nothing was changed:\nt.conf:3: listen: one\nt.conf:9: two");
	json_decref(json);
	bad.check = true;
	json = reloaded(start("reload check"), &bad);
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
	    "a reload would change nothing:\nt.conf:3: listen: one\n"
	    "t.conf:9: two");
	json_decref(json);
}
END_TEST

START_TEST(who_asked_for_a_reload_may_leave)
{
	struct reload reload = {.check = false};
	json_t *json;

	fleet.reload = &reload;
	command_free(start("reload"));
	ck_assert_uint_eq(reload.cancelled, 1);
	reload.refuse = true;
	json = ask_bytes("reload", 6);
	ck_assert_str_eq(json_string_value(json_object_get(json, "error")),
	    "weir is out of memory");
	json_decref(json);
}
END_TEST

START_TEST(drain_changes_the_health_alone)
{
	check_says("health", "up");
	check_says("drain", "drain");
	check_says("drain", "drain");
	check_says("health", "drain");
	ck_assert_int_eq(proxy.listeners[0].state, LISTENER_OPEN);
	check_says("undrain", "up");
	check_says("health", "up");
	proxy.listeners[0].state = LISTENER_CLOSED;
	check_says("drain", "drain");
	check_says("undrain", "down");
	proxy.draining = true;
	check_refused("undrain",
	    "weir is stopping, and its health is \"drain\" until it has");
	check_refused("drain",
	    "weir is stopping, and its health is \"drain\" until it has");
}
END_TEST

START_TEST(kill_takes_an_id)
{
	check_says("kill 2", "killed");
	ck_assert_uint_eq(proxy.killed, 2);
	check_refused("kill 4", "no connection has the ID 4 (any more)");
	check_refused("kill 18446744073709551616",
	    "\"18446744073709551616\" is not the ID of a connection, which is "
	    "a whole number as \"connections\" shows it");
	check_refused("kill -1",
	    "\"-1\" is not the ID of a connection, which is a whole number as "
	    "\"connections\" shows it");
	check_refused("kill 1x",
	    "\"1x\" is not the ID of a connection, which is a whole number as "
	    "\"connections\" shows it");
	ck_assert_uint_eq(proxy.killed, 2);
}
END_TEST

START_TEST(a_listener_is_closed_and_opened)
{
	check_says("close web", "closed");
	ck_assert_int_eq(proxy.listeners[0].state, LISTENER_CLOSED);
	check_refused("close web", "listener \"web\" is already closed");
	check_says("open web", "opened");
	ck_assert_int_eq(proxy.listeners[0].state, LISTENER_OPEN);
	check_refused("open web", "listener \"web\" is already open");
	check_refused(
	    "close dbb", "no listener is named \"dbb\"; did you mean \"db\"?");
	proxy.draining = true;
	check_refused(
	    "open web", "weir is draining: its listeners stay closed");
	proxy.listener_result = -ENOMEM;
	check_refused("open web",
	    "listener \"web\" could not be opened: Cannot allocate memory");
	proxy.listener_result = -EHOSTDOWN;
	check_refused("open web",
	    "listener \"web\" opens by itself once one of its servers is "
	    "usable: when_down = close");
}
END_TEST

START_TEST(the_addresses_that_cannot_be_bound_are_told)
{
	proxy.listener_result = -ENOTCONN;
	proxy.unbound = 3;
	check_refused("open web",
	    "listener \"web\" could not be opened: "
	    "127.0.0.1:80: Address already in use (tried again in 1500ms); "
	    "127.0.0.1:81: Permission denied; "
	    "127.0.0.1:82: Permission denied");
	proxy.unbound = 1000;
	check_refused("open web",
	    "listener \"web\" could not be opened: "
	    "127.0.0.1:80: Address already in use (tried again in 1500ms); "
	    "127.0.0.1:81: Permission denied; "
	    "127.0.0.1:82: Permission denied; and 997 more");
}
END_TEST

START_TEST(the_log_level_is_set)
{
	check_says("set log_level debug", "debug");
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_DEBUG);
	ck_assert_int_eq(fleet.level, LOG_LEVEL_DEBUG);
	check_says("set log_level error", "error");
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_ERROR);
	check_refused("set log_level loud",
	    "log_level: \"loud\" is not error, warn, info or debug");
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_ERROR);
}
END_TEST

START_TEST(shutdown_is_left_to_the_caller)
{
	check_says("shutdown", "draining");
	ck_assert_int_eq(effect, COMMAND_SHUTDOWN);
	check_says("shutdown now", "stopping");
	ck_assert_int_eq(effect, COMMAND_SHUTDOWN_NOW);
	check_refused("shutdown later", "shutdown: \"later\" is not \"now\"");
	proxy.draining = true;
	check_refused("shutdown",
	    "weir is already draining; \"shutdown now\" ends it at once");
	check_says("shutdown now", "stopping");
	ck_assert_int_eq(effect, COMMAND_SHUTDOWN_NOW);
}
END_TEST

START_TEST(half_a_line_may_ask_but_not_change)
{
	whole = false;
	check_says("ping", "pong");
	check_refused("kill 2",
	    "the line of \"kill\" has no end, so it may be half a request; "
	    "nothing was done");
	check_refused("shutdown now",
	    "the line of \"shutdown\" has no end, so it may be half a "
	    "request; nothing was done");
	ck_assert_uint_eq(proxy.killed, 0);
}
END_TEST

START_TEST(help_lists_every_request)
{
	size_t count = 0;
	json_t *json = ask("help"), *row;

#define ROW(id, name, arguments, fewest, most, changes, text)                  \
	row = json_array_get(json, count++);                                   \
	ck_assert_str_eq(json_string_value(json_object_get(row, "request")),   \
	    *arguments != '\0' ? name " " arguments : name);                   \
	ck_assert_str_eq(json_string_value(json_object_get(row, "help")), text);
	CONTROL_REQUESTS(ROW)
#undef ROW
	ck_assert_uint_eq(json_array_size(json), count);
	json_decref(json);
}
END_TEST

static Suite *
command_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *tc = tcase_create("requests");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, ping_is_answered_with_pong);
	tcase_add_test(tc, version_is_that_of_the_library);
	tcase_add_test(tc, blank_lines_get_no_answer);
	tcase_add_test(tc, unknown_requests_name_the_nearest);
	tcase_add_test(tc, arguments_are_counted);
	tcase_add_test(tc, a_control_character_is_refused_by_its_place);
	tcase_add_test(tc, bytes_that_are_no_text_are_refused);
	tcase_add_test(tc, other_letters_are_text);
	tcase_add_test(tc, the_longest_line_is_read_whole);
	tcase_add_test(tc, count_is_of_all_or_of_one_listener);
	tcase_add_test(tc, connections_are_of_all_or_of_one_listener);
	tcase_add_test(tc, many_connections_come_in_parts);
	tcase_add_loop_test(tc, what_is_answered_later_is_told_once, 0,
	    (int)(sizeof(asking) / sizeof(*asking)) - 1);
	tcase_add_loop_test(tc, what_is_forgotten_is_not_told, 0,
	    (int)(sizeof(asking) / sizeof(*asking)));
	tcase_add_test(tc, a_list_is_forgotten_between_its_parts);
	tcase_add_loop_test(tc, memory_refused_for_a_call_is_an_error, 0,
	    (int)(sizeof(asking) / sizeof(*asking)));
	tcase_add_test(tc, what_silent_workers_leave_out_is_said);
	tcase_add_test(tc, the_configuration_tells_where_values_come_from);
	tcase_add_test(tc, the_configuration_tells_what_requests_have_changed);
	tcase_add_test(
	    tc, a_configuration_is_told_to_its_end_although_it_changes);
	tcase_add_test(tc, a_server_is_set);
	tcase_add_test(tc, a_server_that_is_not_there_names_the_nearest);
	tcase_add_test(tc, what_cannot_be_said_of_a_server_is_refused);
	tcase_add_test(tc, a_reload_tells_what_it_has_done);
	tcase_add_test(tc, a_reload_check_tells_what_it_would_do);
	tcase_add_test(tc, a_reload_with_mistakes_tells_them_all);
	tcase_add_test(tc, who_asked_for_a_reload_may_leave);
	tcase_add_test(tc, drain_changes_the_health_alone);
	tcase_add_test(tc, kill_takes_an_id);
	tcase_add_test(tc, a_listener_is_closed_and_opened);
	tcase_add_test(tc, the_addresses_that_cannot_be_bound_are_told);
	tcase_add_test(tc, the_log_level_is_set);
	tcase_add_test(tc, shutdown_is_left_to_the_caller);
	tcase_add_test(tc, half_a_line_may_ask_but_not_change);
	tcase_add_test(tc, help_lists_every_request);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(command_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
