/* Unit tests of config/option and its types: the table, and each form of
 * value. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/option.h"
#include "support.h"
#include "util/strbuf.h"

START_TEST(the_table_is_sound)
{
	const struct config_option *a, *b;
	size_t i, j;

	for (i = 0; i < option_count(); i++) {
		a = option_at(i);
		ck_assert_ptr_nonnull(a->key);
		ck_assert_ptr_nonnull(a->help);
		ck_assert_ptr_nonnull(a->form);
		ck_assert_ptr_eq(option_find(a->section, a->key), a);
		for (j = 0; j < i; j++) {
			b = option_at(j);
			ck_assert(a->section != b->section ||
				  strcmp(a->key, b->key) != 0);
			ck_assert(a->section >= b->section);
		}
	}
	ck_assert_ptr_null(option_find(OPTION_WEIR, "listen"));
	ck_assert_str_eq(option_nearest(OPTION_LISTENER, "tiemout"), "timeout");
	ck_assert_str_eq(option_section_text(OPTION_WEIR), "weir");
	ck_assert_str_eq(option_section_text(OPTION_LISTENER), "listener");
}
END_TEST

START_TEST(every_default_is_a_value_of_its_option)
{
	const struct config_option *option;
	struct config_builder *builder;
	size_t i;

	builder = config_builder_new();
	for (i = 0; i < option_count(); i++) {
		option = option_at(i);
		if (option->value == NULL)
			continue;
		/* From the command line, so that daemon is among them. */
		ck_assert_msg(config_builder_set(builder,
				  option_section_text(option->section), "a",
				  option->key, option->value, "-x") == 0,
		    "%s", option->key);
	}
	ck_assert_uint_eq(config_builder_mistake_count(builder), 0);
	config_builder_free(builder);
}
END_TEST

/* A listener with one more line. */
static char *
listener_with(const char *line)
{
	struct strbuf text = STRBUF_NULL;

	strbuf_format(&text,
	    "[listener a]\nlisten = unix:/tmp/a\nmode = echo\n%s\n", line);
	return strbuf_take(&text);
}

/* line, in [weir] where it begins with a space and else in a listener, is
 * dumped as the other. */
static void
accepts(const char *line, const char *dumped)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;
	char *listener = listener_with(*line == ' ' ? "" : line);

	strbuf_format(
	    &text, "[weir]\n%s\n%s", *line == ' ' ? line : "", listener);
	config = support_config(strbuf_get(&text));
	support_dump_has(config, dumped);
	config_unref(config);
	strbuf_free(&text);
	free(listener);
}

static void
refuses(const char *line, const char *problem)
{
	struct strbuf text = STRBUF_NULL, expected = STRBUF_NULL;
	char *listener = listener_with(*line == ' ' ? "" : line);

	if (*line == ' ') {
		strbuf_format(&text, "[weir]\n%s\n%s", line, listener);
		strbuf_format(&expected, "t:2: %s\n", problem);
	} else {
		strbuf_text(&text, listener);
		strbuf_format(&expected, "t:4: %s\n", problem);
	}
	support_refuses(strbuf_get(&text), strbuf_get(&expected));
	strbuf_free(&text);
	strbuf_free(&expected);
	free(listener);
}

START_TEST(numbers_have_a_range)
{
	accepts("backlog = 1", "backlog = 1");
	accepts("backlog = 65536", "backlog = 65536");
	refuses("backlog = 0", "backlog: \"0\" is too small (at least 1)");
	refuses("backlog = 2147483648",
	    "backlog: \"2147483648\" is too large (at most 2147483647)");
	refuses("backlog = 99999999999999999999",
	    "backlog: \"99999999999999999999\" is too large (at most "
	    "2147483647)");
	refuses("backlog = many",
	    "backlog: \"many\" is not a number (1 to 2147483647)");
	refuses("local_port = 65536",
	    "local_port: \"65536\" is too large (at most 65535)");
	accepts("local_port = 65535", "local_port = 65535");
	refuses("keep_alive_count = 128",
	    "keep_alive_count: \"128\" is too large (at most 127)");
	accepts("mark = 0xffffffff", "mark = 4294967295");
	refuses("mark = 0x100000000",
	    "mark: \"0x100000000\" is too large (at most 4294967295)");
	accepts("max_connections = 4294967295", "max_connections = 4294967295");
	accepts(" max_connections = 7", "max_connections = 7");
}
END_TEST

START_TEST(durations_sizes_and_rates_have_a_range)
{
	accepts("timeout = 90", "timeout = 90s");
	accepts("timeout = 0", "timeout = off");
	accepts("timeout = 3650d", "timeout = 3650d");
	refuses("timeout = 3651d",
	    "timeout: \"3651d\" is too large (at most 3650d)");
	refuses("timeout = 99999999999999999d",
	    "timeout: \"99999999999999999d\" is too large (at most 3650d)");
	refuses(
	    "timeout = 10mm", "timeout: \"10mm\" is not a duration (try 10m)");
	accepts("keep_alive = off", "keep_alive = off");
	accepts("keep_alive = 1m", "keep_alive = 60s");
	refuses("keep_alive = 500ms",
	    "keep_alive: \"500ms\" is too small (at least 1s, or off)");
	refuses("keep_alive = 1500ms",
	    "keep_alive: \"1500ms\" is no multiple of 1s");
	refuses("keep_alive_interval = off",
	    "keep_alive_interval: \"off\" is too small (at least 1s)");
	accepts("buffer = 1", "buffer = 1");
	accepts("buffer = 128k", "buffer = 128k");
	refuses("buffer = 0", "buffer: \"0\" is too small (at least 1)");
	refuses("buffer = 2g", "buffer: \"2g\" is too large (at most 1g)");
	refuses("buffer = 64K", "buffer: \"64K\" is not a size (try 64k)");
	accepts("rate_in = 64k/s", "rate_in = 64k/s");
	accepts("rate_out = 0", "rate_out = off");
	refuses("rate_in = 64k", "rate_in: \"64k\" is not a rate (try 64k/s)");
	accepts(" drain_timeout = 0", "drain_timeout = off");
}
END_TEST

START_TEST(words_are_chosen_from_a_list)
{
	accepts("exclusive = on", "exclusive = yes");
	accepts("no_delay = false", "no_delay = no");
	refuses("no_delay = 1", "no_delay: \"1\" is neither yes nor no");
	accepts("family = 6", "family = 6");
	refuses("family = ipv4", "family: \"ipv4\" is not known (any, 4 or 6)");
	accepts("splice = off", "splice = off");
	accepts("on_limit = wait", "on_limit = wait");
	accepts(" log_level = debug", "log_level = debug");
	refuses(" log_level = loud",
	    "log_level: \"loud\" is not known (error, warn, info or debug)");
	accepts(" log_format = json", "log_format = json");
}
END_TEST

START_TEST(workers_are_a_number_or_auto)
{
	accepts(" workers = 1", "workers = 1");
	accepts(" workers = 64", "workers = 64");
	accepts(" workers = auto", "workers = auto");
	refuses(" workers = 0", "workers: \"0\" is too small (at least 1)");
	refuses(" workers = 65", "workers: \"65\" is too large (at most 64)");
	refuses(" workers = 99999999999999999999",
	    "workers: \"99999999999999999999\" is too large (at most 64)");
	refuses(" workers = two",
	    "workers: \"two\" is neither auto nor a number (try 1)");
}
END_TEST

START_TEST(logs_go_to_known_places)
{
	accepts(" log = syslog", "log = syslog");
	accepts(" log = journal", "log = journal");
	accepts(" log = file:/var/log/weir", "log = file:/var/log/weir");
	refuses(" log = file:", "log: \"file:\" has no path after file:");
	refuses(" log = /var/log/weir",
	    "log: \"/var/log/weir\" is not known (stderr, syslog, journal or "
	    "file:PATH)");
	accepts("access_log = on", "access_log = on");
	accepts("access_log = file:a b", "access_log = file:a b");
	refuses("access_log = file:",
	    "access_log: \"file:\" has no path after file:");
	refuses("access_log = maybe",
	    "access_log: \"maybe\" is not known (off, on or file:PATH)");
}
END_TEST

START_TEST(the_control_socket_is_a_path_or_off)
{
	struct config *config;

	accepts(" control = off", "control = off");
	accepts(" control = ./c.sock", "control = ./c.sock");
	refuses(" control = on",
	    "control: \"on\" is neither off nor a path (write ./NAME for a file "
	    "of the working directory)");
	config = support_config("[weir]\ncontrol = /run/weir/control.sock\n");
	ck_assert(config->control_set);
	config_unref(config);
	config = support_config("");
	ck_assert(!config->control_set);
	ck_assert_str_eq(config->control, "/run/weir/control.sock");
	support_dump_has(config, "# control = /run/weir/control.sock");
	config_unref(config);
}
END_TEST

START_TEST(a_control_path_must_fit_a_socket)
{
	char line[160] = " control = /", *text;
	size_t i;

	for (i = strlen(line); i < 11 + 107; i++)
		line[i] = 'x';
	accepts(line, line + 1);
	line[i] = 'x';
	text = malloc(512);
	snprintf(text, 512,
	    "control: \"%s\" is too long for a unix socket (at most 107 bytes)",
	    line + 11);
	refuses(line, text);
	free(text);
}
END_TEST

START_TEST(users_and_groups_must_exist)
{
	struct config *config;

	accepts(" user = root", "user = root");
	accepts(" user = 12345", "user = 12345");
	accepts(" user = \"\"", "# user: none");
	refuses(" user = nobody-of-that-name",
	    "user: \"nobody-of-that-name\" is no user of this system");
	refuses(" group = nobody-of-that-name",
	    "group: \"nobody-of-that-name\" is no group of this system");
	refuses(" user = 4294967295",
	    "user: \"4294967295\" is no user of this system");
	accepts("unix_user = root", "unix_user = 0");
	accepts("unix_group = 7", "unix_group = 7");
	refuses("unix_user = nobody-of-that-name",
	    "unix_user: \"nobody-of-that-name\" is no user of this system");
	refuses("unix_group = nobody-of-that-name",
	    "unix_group: \"nobody-of-that-name\" is no group of this system");
	accepts("unix_mode = 600", "unix_mode = 0600");
	refuses("unix_mode = rw", "unix_mode: \"rw\" is not an octal mode (try "
				  "0660)");
	refuses("unix_mode = 1000",
	    "unix_mode: \"1000\" is too large (at most 0777)");
	config = support_config("[listener a]\nlisten = /tmp/a\nmode = echo\n");
	ck_assert(!config->listeners[0]->unix_user_set);
	ck_assert_uint_eq(config->listeners[0]->unix_mode, 0660);
	config_unref(config);
}
END_TEST

START_TEST(texts_have_a_length)
{
	accepts("interface = eth0", "interface = eth0");
	accepts("interface = \"\"", "# interface: none");
	refuses("interface = aaaaaaaaaaaaaaaa",
	    "interface: \"aaaaaaaaaaaaaaaa\" is longer than 15 bytes");
	refuses("interface = \"a\\n\"",
	    "interface: \"a\\n\" holds a control character");
	refuses(
	    "interface = \"a\\0b\"", "interface: \"a\\x00b\" holds a NUL byte");
}
END_TEST

START_TEST(greetings_have_escapes_with_and_without_quotes)
{
	struct config *config;

	config = support_config("[listener a]\nlisten = :0\nmode = echo\n"
				"greeting = a\\r\\n\\0\\x00b\n");
	ck_assert_uint_eq(config->listeners[0]->greeting_length, 6);
	ck_assert_mem_eq(config->listeners[0]->greeting, "a\r\n\0\0b", 7);
	config_unref(config);
	accepts("greeting = \" hi; \\\"you\\\"\\n\"",
	    "greeting = \" hi; \\\"you\\\"\\n\"");
	accepts("greeting = \"\"", "# greeting: none");
	refuses("greeting = \\q",
	    "greeting: \\q is no escape (\\r \\n \\t \\\\ \\\" \\xHH \\0; \\\\ "
	    "is a backslash)");
}
END_TEST

START_TEST(networks_have_no_host_bits)
{
	struct config *config;
	const struct config_acl *acl;

	refuses("allow = 10.0.0.1/8",
	    "allow: \"10.0.0.1/8\" has bits set behind its prefix: write "
	    "10.0.0.0/8 for the network, or 10.0.0.1 for the one address");
	refuses("deny = 2001:db8::1/32",
	    "deny: \"2001:db8::1/32\" has bits set behind its prefix: write "
	    "2001:db8::/32 for the network, or 2001:db8::1 for the one address");
	refuses("allow = 10.0.0.0/33",
	    "allow: \"10.0.0.0/33\" has no prefix length from 0 to 32 after the "
	    "/");
	refuses("allow = ::/",
	    "allow: \"::/\" has no prefix length from 0 to 128 after the /");
	refuses("allow = localhost",
	    "allow: \"localhost\" is no network (10.0.0.0/8, 2001:db8::/32, an "
	    "address, all, user:NAME or group:NAME)");
	refuses("allow = user:nobody-of-that-name",
	    "allow: \"user:nobody-of-that-name\" is no user of this system");
	refuses("deny = group:nobody-of-that-name",
	    "deny: \"group:nobody-of-that-name\" is no group of this system");
	config = support_config(
	    "[listener a]\nlisten = :0\nmode = echo\nallow = 10.0.0.0/12\n"
	    "deny = 1.2.3.4\nallow = 2001:db8::/33\ndeny = user:root\n"
	    "allow = group:7\nallow = 0.0.0.0/0\ndeny = all\n");
	ck_assert_uint_eq(config->listeners[0]->acl_count, 7);
	acl = config->listeners[0]->acl;
	ck_assert(acl[0].allow && acl[0].kind == CONFIG_ACL_CIDR);
	ck_assert(acl[0].family == 4 && acl[0].prefix == 12);
	ck_assert(!acl[1].allow && acl[1].prefix == 32);
	ck_assert_mem_eq(acl[1].bytes, "\1\2\3\4", 4);
	ck_assert(acl[2].family == 6 && acl[2].prefix == 33);
	ck_assert(acl[3].kind == CONFIG_ACL_USER && acl[3].id == 0);
	ck_assert(acl[4].kind == CONFIG_ACL_GROUP && acl[4].id == 7);
	ck_assert(acl[5].prefix == 0);
	ck_assert(!acl[6].allow && acl[6].kind == CONFIG_ACL_ALL);
	config_unref(config);
}
END_TEST

START_TEST(addresses_say_what_is_wrong)
{
	refuses("listen = srv:_a._tcp.b",
	    "listen: \"srv:_a._tcp.b\" is a name to connect to, not one to "
	    "listen on");
	accepts("local_address = 127.0.0.1", "local_address = 127.0.0.1");
	accepts("local_address = ::1", "local_address = ::1");
	accepts("local_address = any", "local_address = any");
	refuses("local_address = 127.0.0.1:80",
	    "local_address: \"127.0.0.1:80\" is neither any nor an IP address "
	    "(the port is of local_port)");
}
END_TEST

/* An upstream that is refused, and the reason. */
static void
refuses_upstream(const char *upstream, const char *problem)
{
	struct strbuf text = STRBUF_NULL, expected = STRBUF_NULL;

	strbuf_format(&text,
	    "[listener a]\nlisten = :0\nmode = forward\nupstream = %s\n",
	    upstream);
	strbuf_format(
	    &expected, "t:4: upstream: \"%s\" %s\n", upstream, problem);
	support_refuses(strbuf_get(&text), strbuf_get(&expected));
	strbuf_free(&text);
	strbuf_free(&expected);
}

START_TEST(upstreams_are_addresses_to_connect_to)
{
	refuses_upstream("*:80",
	    "has no host; any address is only for listen (127.0.0.1 is this "
	    "machine)");
	refuses_upstream("localhost:0", "has port 0, which is only for listen");
	refuses_upstream(
	    "localhost:80-81", "is a range of ports, which is only for listen");
	refuses_upstream(
	    "fd:3", "is a socket to listen on, not one to connect to");
	refuses_upstream(
	    "systemd:x", "is a socket to listen on, not one to connect to");
	refuses_upstream("srv:_a._tcp.b:80",
	    "is not an address: a srv: name has no port; its records tell the "
	    "ports");
}
END_TEST

START_TEST(targets_have_a_form)
{
	static const struct {
		const char *value, *problem;
	} rows[] = {
	    {"nul", "\"nul\" is not known (peer, peer:LISTENER, exec:COMMAND, "
		    "file:PATH, fifo:PATH, stdout or null)"},
	    {"null:", "\"null:\" is not known (peer, peer:LISTENER, "
		      "exec:COMMAND, file:PATH, fifo:PATH, stdout or null)"},
	    {"file:", "\"file:\" has no path after file:"},
	    {"peer:", "\"peer:\" has no listener after peer:"},
	    {"exec:", "\"exec:\" has no command after exec:"},
	    {"exec:''", "\"exec:''\" has no command after exec:"},
	    {"exec:a 'b",
		"\"exec:a 'b\" is not a command: a ' is not closed (a value "
		"with ; or # after a blank needs double quotes around all of "
		"it)"},
	};
	struct strbuf text = STRBUF_NULL, expected = STRBUF_NULL;
	struct config *config;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_reset(&text);
		strbuf_reset(&expected);
		strbuf_format(&text,
		    "[listener a]\nlisten = :0\nmode = pipe\npipe = %s\n",
		    rows[i].value);
		strbuf_format(&expected, "t:4: pipe: %s\n", rows[i].problem);
		support_refuses(strbuf_get(&text), strbuf_get(&expected));
	}
	strbuf_free(&text);
	strbuf_free(&expected);
	config = support_config("[listener a]\nlisten = :0\nmode = pipe\n"
				"pipe = exec:/bin/sh -c 'a b' \"c d\"\n");
	ck_assert_int_eq(config->listeners[0]->target, CONFIG_TARGET_EXEC);
	ck_assert_str_eq(config->listeners[0]->target_argv[0], "/bin/sh");
	ck_assert_str_eq(config->listeners[0]->target_argv[2], "a b");
	ck_assert_str_eq(config->listeners[0]->target_argv[3], "c d");
	ck_assert_ptr_null(config->listeners[0]->target_argv[4]);
	config_unref(config);
}
END_TEST

static Suite *
option_suite(void)
{
	Suite *suite = suite_create("config/option");
	TCase *tcase = tcase_create("option");

	tcase_add_test(tcase, the_table_is_sound);
	tcase_add_test(tcase, every_default_is_a_value_of_its_option);
	tcase_add_test(tcase, numbers_have_a_range);
	tcase_add_test(tcase, durations_sizes_and_rates_have_a_range);
	tcase_add_test(tcase, words_are_chosen_from_a_list);
	tcase_add_test(tcase, workers_are_a_number_or_auto);
	tcase_add_test(tcase, logs_go_to_known_places);
	tcase_add_test(tcase, the_control_socket_is_a_path_or_off);
	tcase_add_test(tcase, a_control_path_must_fit_a_socket);
	tcase_add_test(tcase, users_and_groups_must_exist);
	tcase_add_test(tcase, texts_have_a_length);
	tcase_add_test(tcase, greetings_have_escapes_with_and_without_quotes);
	tcase_add_test(tcase, networks_have_no_host_bits);
	tcase_add_test(tcase, addresses_say_what_is_wrong);
	tcase_add_test(tcase, upstreams_are_addresses_to_connect_to);
	tcase_add_test(tcase, targets_have_a_form);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	return support_run(option_suite());
}
