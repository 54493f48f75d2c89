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
#include "tests/unit/control/fake_proxy.h"

static struct proxy proxy;
static enum command_effect effect; /* of the last request */
static bool whole;

static void
setup(void)
{
	fake_proxy_init(&proxy, 3);
	whole = true;
	log_set_level(LOG_LEVEL_ERROR);
}

/* The whole answer to a request of any bytes; NULL where it got none. */
static json_t *
ask_bytes(const char *line, size_t length)
{
	static const struct command_caller caller = {true, 1, 0};
	struct answer answer = ANSWER_NULL;
	json_error_t problem;
	json_t *json = NULL;
	const char *text;
	size_t size;

	effect = command_run(&proxy, &caller, line, length, whole, &answer);
	if (answer_given(&answer)) {
		text = answer_line(&answer, &size);
		ck_assert_uint_gt(size, 1);
		ck_assert_int_eq(text[size - 1], '\n');
		ck_assert_ptr_null(memchr(text, '\n', size - 1));
		json = json_loadb(text, size, 0, &problem);
		ck_assert_msg(json != NULL, "no JSON: %s", problem.text);
	}
	answer_free(&answer);
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

START_TEST(requests_that_are_not_built_are_unknown)
{
	static const char *const lines[] = {
	    "reload", "config", "server a b up", "drain", "undrain"};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		json_t *json = ask_bytes(lines[i], strlen(lines[i]));
		const char *error =
		    json_string_value(json_object_get(json, "error"));

		ck_assert_msg(strncmp(error, "unknown request", 15) == 0,
		    "%s: %s", lines[i], error);
		json_decref(json);
	}
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
}
END_TEST

START_TEST(the_log_level_is_set)
{
	check_says("set log_level debug", "debug");
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_DEBUG);
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
	tcase_add_test(tc, requests_that_are_not_built_are_unknown);
	tcase_add_test(tc, arguments_are_counted);
	tcase_add_test(tc, a_control_character_is_refused_by_its_place);
	tcase_add_test(tc, bytes_that_are_no_text_are_refused);
	tcase_add_test(tc, other_letters_are_text);
	tcase_add_test(tc, the_longest_line_is_read_whole);
	tcase_add_test(tc, count_is_of_all_or_of_one_listener);
	tcase_add_test(tc, connections_are_of_all_or_of_one_listener);
	tcase_add_test(tc, kill_takes_an_id);
	tcase_add_test(tc, a_listener_is_closed_and_opened);
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
