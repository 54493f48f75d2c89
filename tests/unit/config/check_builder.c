/* Unit tests of config/builder: sections, doubles, [defaults], the command
 * line, and the order of mistakes. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

#define A "[listener a]\nlisten = :0\nmode = echo\n"

START_TEST(a_listener_has_its_place_and_number)
{
	struct config *config = support_config(
	    "[listener a]\nlisten = :0\nmode = echo\n\n[listener B.c-d_9]\n"
	    "listen = :0\nlisten = [::1]:80\nmode = forward\n"
	    "upstream = localhost:81\nupstream = /tmp/x\n");
	const struct config_listener *b = config->listeners[1];

	ck_assert_uint_eq(config->listener_count, 2);
	ck_assert_str_eq(b->name, "B.c-d_9");
	ck_assert_str_eq(b->origin.file, "t");
	ck_assert_uint_eq(b->origin.line, 5);
	ck_assert_uint_eq(b->index, 1);
	ck_assert_uint_eq(b->listen_count, 2);
	ck_assert_str_eq(b->listen[1].text, "[::1]:80");
	ck_assert_uint_eq(b->listen[1].origin.line, 7);
	ck_assert_uint_eq(b->upstream_count, 2);
	ck_assert_int_eq(b->upstream[1].endpoint.kind, WEIR_ENDPOINT_UNIX);
	ck_assert_ptr_eq(config_find_listener(config, "B.c-d_9"), b);
	ck_assert_ptr_null(config_find_listener(config, "b"));
	ck_assert_ptr_eq(config_ref(config), config);
	config_unref(config);
	config_unref(config);
	config_unref(NULL);
}
END_TEST

START_TEST(unknown_names_come_with_the_nearest_one)
{
	support_refuses(A "time_out = 3\nzebra = 1\nlog = x\n[weir]\nlogg = x\n"
			  "timeout = 1\ndaemon = yes\n[defaults]\nmod = echo\n",
	    "t:4: unknown key \"time_out\" in [listener a] (did you mean "
	    "\"timeout\"?)\n"
	    "t:5: unknown key \"zebra\" in [listener a]\n"
	    "t:6: unknown key \"log\" in [listener a] (it is a key of [weir])\n"
	    "t:8: unknown key \"logg\" in [weir] (did you mean \"log\"?)\n"
	    "t:9: unknown key \"timeout\" in [weir] (it is a key of [listener "
	    "NAME])\n"
	    "t:10: unknown key \"daemon\" in [weir]\n"
	    "t:12: unknown key \"mod\" in [defaults] (did you mean \"mode\"?)\n");
}
END_TEST

START_TEST(unknown_sections_are_refused_once)
{
	support_refuses("[listner a]\nx = 1\n[wier]\n[gateway u]\nserver = 1\n"
			"[listener]\n[listener a b]\n[weir x]\n[Default]\n[]\n"
			"[listener \xc3\xa9]\n",
	    "t:1: unknown section [listner a] (did you mean [listener a]?)\n"
	    "t:3: unknown section [wier] (did you mean [weir]?)\n"
	    "t:4: unknown section [gateway u] (there are [weir], [defaults], "
	    "[listener NAME] and [upstream NAME])\n"
	    "t:6: [listener] has no name (write [listener NAME])\n"
	    "t:7: \"a b\" cannot be the name of a listener: it takes letters, "
	    "digits, _ . and -\n"
	    "t:8: [weir x]: this section has no name (write [weir])\n"
	    "t:9: unknown section [Default] (did you mean [defaults]?)\n"
	    "t:10: unknown section [] (there are [weir], [defaults], "
	    "[listener NAME] and [upstream NAME])\n"
	    "t:11: \"\xc3\xa9\" cannot be the name of a listener: it takes "
	    "letters, digits, _ . and -\n");
}
END_TEST

START_TEST(keys_that_are_not_built_are_unknown)
{
	char *mistakes = support_mistakes("[weir]\nadmin = off\n");

	ck_assert_ptr_nonnull(strstr(mistakes, "t:2: unknown key"));
	free(mistakes);
}
END_TEST

START_TEST(doubled_keys_and_sections_name_the_first_place)
{
	support_refuses("[weir]\nlog = stderr\nlog = syslog\n" A
			"mode = pipe\n[weir]\nlog = x\n" A,
	    "t:3: log: given twice (first at t:2)\n"
	    "t:7: mode: given twice (first at t:6)\n"
	    "t:8: [weir] stands already at t:1\n"
	    "t:10: [listener a] stands already at t:4\n");
}
END_TEST

START_TEST(keys_before_any_section_are_refused)
{
	support_refuses("listen = :0\n",
	    "t:1: listen: stands before any section (write [weir] or "
	    "[listener NAME] above it)\n");
}
END_TEST

START_TEST(empty_sections_are_noticed)
{
	support_refuses("[listener a]\n[listener b]",
	    "t:1: listener a has no listen (write listen = ADDRESS)\n"
	    "t:1: listener a has no mode (write mode = echo, forward or pipe)\n"
	    "t:2: listener b has no listen (write listen = ADDRESS)\n"
	    "t:2: listener b has no mode (write mode = echo, forward or "
	    "pipe)\n");
}
END_TEST

START_TEST(a_refused_value_is_not_also_missing)
{
	support_refuses("[listener a]\nlisten = srv:x\nmode = ehco\n",
	    "t:2: listen: \"srv:x\" is a name to connect to, not one to listen "
	    "on\n"
	    "t:3: mode: \"ehco\" is not known (echo, forward or pipe)\n");
}
END_TEST

START_TEST(defaults_count_for_listeners_after_them)
{
	struct config *config = support_config(
	    "[listener a]\nlisten = :0\nmode = echo\n"
	    "[defaults]\ntimeout = 1s\nmode = echo\nbuffer = 1k\n"
	    "allow = 10.0.0.0/8\n"
	    "[listener b]\nlisten = :0\nbuffer = 2k\n"
	    "[defaults]\ntimeout = 2s\nlisten = 127.0.0.1:0\n"
	    "[listener c]\ndeny = all\n"
	    "[listener d]\nlisten = :0\nlisten = [::1]:0\n");
	struct config_listener *const *l = config->listeners;

	ck_assert_uint_eq(l[0]->timeout_ms, 0);
	ck_assert_uint_eq(l[0]->acl_count, 0);
	ck_assert_uint_eq(l[1]->timeout_ms, 1000);
	ck_assert_uint_eq(l[1]->buffer, 2048);
	ck_assert_uint_eq(l[1]->acl_count, 1);
	ck_assert_uint_eq(l[2]->timeout_ms, 2000);
	ck_assert_uint_eq(l[2]->buffer, 1024);
	ck_assert_int_eq(l[2]->mode, CONFIG_ECHO);
	ck_assert_uint_eq(l[2]->listen_count, 1);
	ck_assert_uint_eq(l[2]->listen[0].origin.line, 14);
	/* A list of its own replaces that of [defaults]. */
	ck_assert_uint_eq(l[2]->acl_count, 1);
	ck_assert(!l[2]->acl[0].allow);
	ck_assert_uint_eq(l[3]->listen_count, 2);
	ck_assert_uint_eq(l[3]->acl_count, 1);
	ck_assert(l[3]->acl[0].allow);
	config_unref(config);
}
END_TEST

START_TEST(wrong_defaults_are_reported_once)
{
	support_refuses(
	    "[defaults]\ntimeout = soon\nmode = echo\n"
	    "[listener a]\nlisten = :0\n[listener b]\nlisten = :0\n",
	    "t:2: timeout: \"soon\" is not a duration (try 30s)\n");
	support_refuses("[defaults]\ntimeout = soon\ntimeout = 1\n",
	    "t:2: timeout: \"soon\" is not a duration (try 30s)\n"
	    "t:3: timeout: given twice (first at t:2)\n");
}
END_TEST

START_TEST(keys_of_another_mode_may_come_from_defaults)
{
	struct config *config =
	    support_config("[defaults]\nupstream = localhost:80\npipe = null\n"
			   "[listener a]\nlisten = :0\nmode = echo\n"
			   "[listener b]\nlisten = :0\nmode = forward\n"
			   "[listener c]\nlisten = :0\nmode = pipe\n");

	ck_assert_uint_eq(config->listeners[0]->upstream_count, 0);
	ck_assert_uint_eq(config->listeners[1]->upstream_count, 1);
	ck_assert_int_eq(config->listeners[2]->target, CONFIG_TARGET_NULL);
	config_unref(config);
}
END_TEST

START_TEST(variables_are_put_in)
{
	struct config *config;

	setenv("WEIR_TEST_HOST", "127.0.0.1", 1);
	setenv("WEIR_TEST_RAW", "a\\n${X}\" ;", 1);
	unsetenv("WEIR_TEST_NONE");
	config = support_config("[listener a]\nlisten = ${WEIR_TEST_HOST}:0\n"
				"mode = echo\ngreeting = \"${WEIR_TEST_RAW}|"
				"$${A}|$$|$\"\n");
	ck_assert_str_eq(config->listeners[0]->listen[0].text, "127.0.0.1:0");
	ck_assert_str_eq(
	    config->listeners[0]->greeting, "a\\n${X}\" ;|${A}|$$|$");
	config_unref(config);
	support_refuses(A "greeting = ${WEIR_TEST_NONE}\n",
	    "t:4: greeting: the environment variable WEIR_TEST_NONE is not set "
	    "($${ is a ${ itself)\n");
	support_refuses(A "greeting = ${A:-b}\n",
	    "t:4: greeting: after ${ the name of an environment variable and a "
	    "} are missing ($${ is a ${ itself)\n");
	support_refuses(A "greeting = ${\n",
	    "t:4: greeting: after ${ the name of an environment variable and a "
	    "} are missing ($${ is a ${ itself)\n");
}
END_TEST

static struct config_builder *
with_text(const char *text)
{
	struct config_builder *builder = config_builder_new();

	config_builder_read_text(builder, "t", text, strlen(text));
	return builder;
}

START_TEST(the_command_line_goes_before_files_in_any_order)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;
	static const char text[] = "[weir]\nlog = stderr\nlog_level = debug\n" A
				   "allow = 10.0.0.0/8\n";

	ck_assert_int_eq(
	    config_builder_set(builder, "weir", NULL, "log", "syslog", "-o"),
	    0);
	config_builder_read_text(builder, "t", text, strlen(text));
	ck_assert_int_eq(config_builder_set(
			     builder, "weir", NULL, "log_level", "error", "-o"),
	    0);
	ck_assert_int_eq(
	    config_builder_set(builder, "listener", "a", "deny", "all", "-o"),
	    0);
	ck_assert_int_eq(
	    config_builder_set(builder, "weir", NULL, "daemon", "yes", "-d"),
	    0);
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	ck_assert_int_eq(config->log, CONFIG_LOG_SYSLOG);
	ck_assert_int_eq(config->log_level, CONFIG_LEVEL_ERROR);
	ck_assert(config->daemon);
	ck_assert_uint_eq(config->listeners[0]->acl_count, 1);
	ck_assert(!config->listeners[0]->acl[0].allow);
	config_unref(config);
	config_builder_free(builder);
}
END_TEST

START_TEST(flags_make_listeners_of_their_own)
{
	struct config_builder *builder = config_builder_new();
	struct config *config;
	struct config_listener *l;

	config_builder_set(builder, "listener", "cli1", "listen", ":0", "-l");
	config_builder_set(builder, "listener", "cli1", "mode", "pipe", "-P");
	config_builder_set(builder, "listener", "cli1", "pipe",
	    "exec:sh -c \"a ; # b\"", "-P");
	config_builder_set(
	    builder, "listener", "cli1", "greeting", "hi\\r\\n; ", "-o");
	config_builder_set(builder, "listener", "cli2", "listen", ":0", "-l");
	config_builder_set(
	    builder, "listener", "cli2", "mode", "forward", "-f");
	config_builder_set(
	    builder, "listener", "cli2", "upstream", "localhost:1", "-f");
	config_builder_set(
	    builder, "listener", "cli2", "upstream", "localhost:2", "-f");
	ck_assert_int_eq(config_builder_finish(builder, &config), 0);
	l = config->listeners[0];
	ck_assert_str_eq(l->target_argv[2], "a ; # b");
	ck_assert_str_eq(l->greeting, "hi\r\n; ");
	ck_assert_str_eq(l->origin.file, "-l");
	ck_assert_uint_eq(l->origin.line, 0);
	ck_assert_uint_eq(config->listeners[1]->upstream_count, 2);
	config_unref(config);
	config_builder_free(builder);
}
END_TEST

START_TEST(mistakes_of_the_command_line_name_the_flag)
{
	struct config_builder *builder = with_text("[weir]\nlog = stderr\n");
	char *mistakes;

	ck_assert_int_eq(
	    config_builder_set(builder, "weir", NULL, "workers", "65", "-w"),
	    -1);
	ck_assert_int_eq(
	    config_builder_set(builder, "weir", NULL, "daemon", "yes", "-o"),
	    -1);
	ck_assert_int_eq(
	    config_builder_set(builder, "listener", "a", "mode", "echo", "-e"),
	    0);
	ck_assert_int_eq(
	    config_builder_set(builder, "listener", "a", "mode", "pipe", "-P"),
	    -1);
	ck_assert_int_eq(
	    config_builder_set(builder, "listener", "a", "tiemout", "1", "-o"),
	    -1);
	ck_assert_int_eq(config_builder_set(
			     builder, "listener", "a b", "mode", "echo", "-e"),
	    -1);
	mistakes = support_join(builder);
	ck_assert_str_eq(mistakes,
	    "-w: workers: \"65\" is too large (at most 64)\n"
	    "-o: unknown key \"daemon\" in [weir]\n"
	    "-o: unknown key \"tiemout\" in [listener a] (did you mean "
	    "\"timeout\"?)\n"
	    "-e: \"a b\" cannot be the name of a listener: it takes letters, "
	    "digits, _ . and -\n"
	    "-P: mode: given twice (first at -e)\n");
	free(mistakes);
	config_builder_free(builder);
}
END_TEST

START_TEST(a_listener_of_a_flag_and_of_a_file_are_doubled)
{
	struct config_builder *builder = config_builder_new();
	char *mistakes;

	config_builder_set(builder, "listener", "a", "listen", ":0", "-l");
	ck_assert_int_eq(
	    config_builder_read_text(builder, "t", A, strlen(A)), -1);
	mistakes = support_join(builder);
	ck_assert_str_eq(mistakes, "t:1: [listener a] stands already at -l\n");
	free(mistakes);
	config_builder_free(builder);
}
END_TEST

START_TEST(reading_tells_of_mistakes_of_before)
{
	struct config_builder *builder = with_text("[weir]\nlog = x\n");

	ck_assert_int_eq(config_builder_read_text(builder, "u", "", 0), -1);
	config_builder_free(builder);
	config_builder_free(NULL);
}
END_TEST

static Suite *
builder_suite(void)
{
	Suite *suite = suite_create("config/builder");
	TCase *tcase = tcase_create("builder");

	tcase_add_test(tcase, a_listener_has_its_place_and_number);
	tcase_add_test(tcase, unknown_names_come_with_the_nearest_one);
	tcase_add_test(tcase, unknown_sections_are_refused_once);
	tcase_add_test(tcase, keys_that_are_not_built_are_unknown);
	tcase_add_test(tcase, doubled_keys_and_sections_name_the_first_place);
	tcase_add_test(tcase, keys_before_any_section_are_refused);
	tcase_add_test(tcase, empty_sections_are_noticed);
	tcase_add_test(tcase, a_refused_value_is_not_also_missing);
	tcase_add_test(tcase, defaults_count_for_listeners_after_them);
	tcase_add_test(tcase, wrong_defaults_are_reported_once);
	tcase_add_test(tcase, keys_of_another_mode_may_come_from_defaults);
	tcase_add_test(tcase, variables_are_put_in);
	tcase_add_test(tcase, the_command_line_goes_before_files_in_any_order);
	tcase_add_test(tcase, flags_make_listeners_of_their_own);
	tcase_add_test(tcase, mistakes_of_the_command_line_name_the_flag);
	tcase_add_test(tcase, a_listener_of_a_flag_and_of_a_file_are_doubled);
	tcase_add_test(tcase, reading_tells_of_mistakes_of_before);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(builder_suite());
}
