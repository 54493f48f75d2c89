/* Unit tests of config/option_server and option_health: servers of upstreams,
 * name servers, and how servers are asked whether they are well. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"
#include "util/strbuf.h"

#define U "[upstream u]\nserver = a:1\n"

/* An upstream with one more line; the caller unrefs. */
static struct config *
with(const char *line)
{
	struct strbuf text = STRBUF_NULL;
	struct config *config;

	strbuf_format(&text, U "%s\n", line);
	config = support_config(strbuf_get(&text));
	strbuf_free(&text);
	return config;
}

/* The line is dumped as the other, which is dumped as itself. */
static void
accepts(const char *line, const char *dumped)
{
	struct config *config = with(line);

	support_dump_has(config, dumped);
	config_unref(config);
	config = with(dumped);
	support_dump_has(config, dumped);
	config_unref(config);
}

static void
refuses(const char *line, const char *problem)
{
	struct strbuf text = STRBUF_NULL, expected = STRBUF_NULL;

	strbuf_format(&text, U "%s\n", line);
	strbuf_format(&expected, "t:3: %s\n", problem);
	support_refuses(strbuf_get(&text), strbuf_get(&expected));
	strbuf_free(&text);
	strbuf_free(&expected);
}

START_TEST(a_server_is_an_address_and_words)
{
	struct config *config = with(
	    "server = 127.0.0.1:8000 weight=256 backup down max_connections=9 "
	    "max_fails=0 fail_timeout=1m name=web-1");
	const struct config_server *a = &config->upstreams[0]->servers[0];
	const struct config_server *b = &config->upstreams[0]->servers[1];

	ck_assert_str_eq(a->name, "a:1");
	ck_assert(!a->named && !a->backup && !a->down && !a->max_fails_set);
	ck_assert_uint_eq(a->weight, 1);
	ck_assert_uint_eq(a->max_fails, 1);
	ck_assert_uint_eq(a->fail_timeout_ms, 10000);
	ck_assert_str_eq(a->origin.file, "t");
	ck_assert_uint_eq(a->origin.line, 2);
	ck_assert_str_eq(b->name, "web-1");
	ck_assert_str_eq(b->text, "127.0.0.1:8000");
	ck_assert(b->named && b->backup && b->down && b->max_fails_set);
	ck_assert_uint_eq(b->weight, 256);
	ck_assert_uint_eq(b->max_connections, 9);
	ck_assert_uint_eq(b->max_fails, 0);
	ck_assert_uint_eq(b->fail_timeout_ms, 60000);
	ck_assert_uint_eq(b->origin.line, 3);
	config_unref(config);
	/* In any order; what is usual is not written. */
	accepts("server =   [::1]:9  down   weight=2 ",
	    "server = [::1]:9 weight=2 down");
	accepts("server = b:1 weight=1", "server = b:1");
	accepts("server = b:1 weight=0", "server = b:1 weight=0");
	accepts("server = srv:_a._tcp.b", "server = srv:_a._tcp.b");
	accepts("server = '/a b' name=c", "server = \"unix:/a\\\\ b name=c\"");
}
END_TEST

START_TEST(servers_take_what_their_upstream_says)
{
	struct config *config = with("max_fails = 7\nfail_timeout = 3s\n"
				     "server = b:1 max_fails=2\n"
				     "server = c:1 fail_timeout=9s");
	const struct config_server *s = config->upstreams[0]->servers;

	ck_assert_uint_eq(s[0].max_fails, 7);
	ck_assert_uint_eq(s[0].fail_timeout_ms, 3000);
	ck_assert_uint_eq(s[1].max_fails, 2);
	ck_assert_uint_eq(s[1].fail_timeout_ms, 3000);
	ck_assert_uint_eq(s[2].max_fails, 7);
	ck_assert_uint_eq(s[2].fail_timeout_ms, 9000);
	config_unref(config);
}
END_TEST

START_TEST(each_server_has_a_name_of_its_own)
{
	struct config *config = with("server = a:1\nserver = b:1 name=a:1#2\n"
				     "server = a:1\nserver = c:1 name=c\n"
				     "server = c:1");
	const struct config_server *s = config->upstreams[0]->servers;

	ck_assert_str_eq(s[0].name, "a:1");
	ck_assert_str_eq(s[1].name, "a:1#3");
	ck_assert_str_eq(s[2].name, "a:1#2");
	ck_assert_str_eq(s[3].name, "a:1#4");
	ck_assert_str_eq(s[4].name, "c");
	ck_assert_str_eq(s[5].name, "c:1");
	config_unref(config);
	support_refuses(U "server = b:1 name=x\nserver = c:1 name=x\n",
	    "t:4: server: name=x is that of another server of this upstream "
	    "already\n");
}
END_TEST

START_TEST(words_of_a_server_say_what_is_wrong)
{
	static const struct {
		const char *value, *problem;
	} rows[] = {
	    {"b", "\"b\" is not an address: the port is missing; write "
		  "HOST:PORT"},
	    {":80", "\":80\" has no host; any address is only for listen "
		    "(127.0.0.1 is this machine)"},
	    {"b:0", "\"b:0\" has port 0, which is only for listen"},
	    {"b:1-2", "\"b:1-2\" is a range of ports, which is only for "
		      "listen"},
	    {"fd:3", "\"fd:3\" is a socket to listen on, not one to connect "
		     "to"},
	    {"b:1 weigth=1", "\"b:1 weigth=1\" holds \"weigth\" (did you mean "
			     "\"weight\"?)"},
	    {"b:1 zzz", "\"b:1 zzz\" holds \"zzz\" (a server is ADDRESS "
			"[weight=N] [backup] [down] [max_connections=N] "
			"[max_fails=N] [fail_timeout=T] [name=TEXT])"},
	    {"b:1 weight", "\"b:1 weight\" has weight without a value (write "
			   "weight=N)"},
	    {"b:1 backup=yes",
		"\"b:1 backup=yes\" gives backup a value, which takes none"},
	    {"b:1 weight=1 weight=2", "\"b:1 weight=1 weight=2\" has weight "
				      "twice"},
	    {"b:1 down down", "\"b:1 down down\" has down twice"},
	    {"b:1 weight=257", "\"b:1 weight=257\" has a weight above 256"},
	    {"b:1 weight=x", "\"b:1 weight=x\" has a weight that is not a "
			     "number"},
	    {"b:1 weight=", "\"b:1 weight=\" has a weight that is not a "
			    "number"},
	    {"b:1 max_connections=4294967296",
		"\"b:1 max_connections=4294967296\" has a max_connections "
		"above 4294967295"},
	    {"b:1 fail_timeout=10mm",
		"\"b:1 fail_timeout=10mm\" has a fail_timeout that is not a "
		"duration (try 10m)"},
	    {"b:1 fail_timeout=0", "\"b:1 fail_timeout=0\" has a fail_timeout "
				   "of nothing (max_fails=0 is never down)"},
	    {"b:1 fail_timeout=3651d", "\"b:1 fail_timeout=3651d\" has a "
				       "fail_timeout above 3650d"},
	    {"b:1 name=", "\"b:1 name=\" has a name that is not 1 to 128 bytes "
			  "long"},
	    {"b:1 'name=a b'", "\"b:1 'name=a b'\" has a name with a blank or "
			       "a control character"},
	    {"'b:1", "\"'b:1\" is no server: a ' is not closed"},
	};
	struct strbuf line = STRBUF_NULL, problem = STRBUF_NULL;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_reset(&line);
		strbuf_reset(&problem);
		strbuf_format(&line, "server = %s", rows[i].value);
		strbuf_format(&problem, "server: %s", rows[i].problem);
		refuses(strbuf_get(&line), strbuf_get(&problem));
	}
	strbuf_free(&line);
	strbuf_free(&problem);
}
END_TEST

START_TEST(name_servers_are_addresses_with_a_port)
{
	accepts("dns = 10.0.0.53", "dns = 10.0.0.53:53");
	accepts("dns = 10.0.0.53:5353", "dns = 10.0.0.53:5353");
	accepts("dns = ::1", "dns = [::1]:53");
	accepts("dns = [::1]", "dns = [::1]:53");
	accepts(
	    "dns = [::1]:1\ndns = 1.1.1.1", "dns = [::1]:1\ndns = 1.1.1.1:53");
#define REFUSED(value)                                                         \
	refuses("dns = " value,                                                \
	    "dns: \"" value "\" is no IP address of a name server "            \
	    "(10.0.0.53, 10.0.0.53:5353 or [::1]:53)")
	REFUSED("localhost");
	REFUSED("localhost:53");
	REFUSED("unix:/x");
	REFUSED("1.1.1.1:0");
	REFUSED("1.1.1.1:1-2");
	REFUSED("[::1");
	REFUSED(":53");
	REFUSED("[]");
#undef REFUSED
	refuses("dns = fe80::1%lo",
	    "dns: \"fe80::1%lo\" has a zone, which name servers cannot have");
}
END_TEST

START_TEST(name_servers_of_weir_are_others)
{
	struct config *config = support_config(
	    "[weir]\ndns = 1.1.1.1\ndns = 1.1.1.2\n" U "dns = 1.1.1.3\n");

	ck_assert_uint_eq(config->dns_count, 2);
	ck_assert_str_eq(config->dns[1], "1.1.1.2:53");
	ck_assert_uint_eq(config->upstreams[0]->dns_count, 1);
	config_unref(config);
}
END_TEST

START_TEST(a_check_sends_bytes_and_expects_some)
{
	struct config *config =
	    with("health_check = send \"a\\x00\\r\\n\" expect \"\\\"\\0\"");
	const struct config_upstream *u = config->upstreams[0];

	ck_assert_int_eq(u->health, CONFIG_HEALTH_SEND_EXPECT);
	ck_assert_uint_eq(u->health_send_length, 4);
	ck_assert_mem_eq(u->health_send, "a\0\r\n", 4);
	ck_assert_uint_eq(u->health_expect_length, 2);
	ck_assert_mem_eq(u->health_expect, "\"\0", 2);
	config_unref(config);
	accepts("health_check = off", "health_check = off");
	accepts("health_check = tcp", "health_check = tcp");
	accepts("health_check = expect \"220\"",
	    "health_check = \"expect \\\"220\\\"\"");
	accepts("health_check = send \"\" expect\t\"x\" ",
	    "health_check = \"expect \\\"x\\\"\"");
	/* A blank and a comment's sign, in quotes as a whole. */
	accepts("health_check = \"send \\\"a ; b\\\" expect \\\"#\\\"\"",
	    "health_check = \"send \\\"a ; b\\\" expect \\\"#\\\"\"");
}
END_TEST

START_TEST(checks_say_what_is_wrong)
{
	static const struct {
		const char *value, *problem;
	} rows[] = {
	    {"udp", "\"udp\" is not known (off, tcp, or send \"...\" expect "
		    "\"...\")"},
	    {"send \"a\"", "\"send \\\"a\\\"\" is not known (off, tcp, or send "
			   "\"...\" expect \"...\")"},
	    {"send a expect \"b\"",
		"\"send a expect \\\"b\\\"\" has no quoted text after send "
		"(send \"PING\\r\\n\" expect \"+PONG\")"},
	    {"expect \"a ; b\"",
		"\"expect \\\"a\" has a quote after expect that is not closed "
		"(a value with ; or # after a blank needs double quotes "
		"around all of it, or \\x3b and \\x23)"},
	    {"expect \"\\q\"", "\"expect \\\"\\\\q\\\"\" has a \\ after expect "
			       "that is no escape (\\r \\n \\t \\\\ \\\" \\xHH "
			       "\\0)"},
	    {"expect \"\"", "\"expect \\\"\\\"\" expects nothing (tcp is a "
			    "connection alone)"},
	    {"expect \"a\" b", "\"expect \\\"a\\\" b\" goes on after what is "
			       "expected"},
	};
	struct strbuf line = STRBUF_NULL, problem = STRBUF_NULL;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		strbuf_reset(&line);
		strbuf_reset(&problem);
		strbuf_format(&line, "health_check = %s", rows[i].value);
		strbuf_format(&problem, "health_check: %s", rows[i].problem);
		refuses(strbuf_get(&line), strbuf_get(&problem));
	}
	/* Too much of it. */
	strbuf_reset(&line);
	strbuf_text(&line, U "health_check = expect \"");
	for (i = 0; i < 4097; i++)
		strbuf_text(&line, i % 100 == 99 ? "x\\\n" : "x");
	strbuf_text(&line, "\"\n");
	ck_assert_ptr_nonnull(strstr(strbuf_get(&line), "xxx"));
	{
		char *mistakes = support_mistakes(strbuf_get(&line));

		ck_assert_ptr_nonnull(
		    strstr(mistakes, "has more than 4096 bytes after expect"));
		free(mistakes);
	}
	strbuf_free(&line);
	strbuf_free(&problem);
}
END_TEST

START_TEST(keys_of_an_upstream_have_a_range)
{
	accepts("balance = source", "balance = source");
	accepts("retries = 0", "retries = 0");
	accepts("queue_timeout = 0", "queue_timeout = off");
	accepts("resolve = 100ms", "resolve = 100ms");
	accepts("slow_start = 90s", "slow_start = 90s");
	accepts("on_down = close", "on_down = close");
	refuses("balance = ordered",
	    "balance: \"ordered\" is not known (round_robin, least_conn, "
	    "random or source)");
	refuses(
	    "retries = 1001", "retries: \"1001\" is too large (at most 1000)");
	refuses("fail_timeout = 0",
	    "fail_timeout: \"0\" is too small (at least 1ms)");
	refuses("health_timeout = off",
	    "health_timeout: \"off\" is too small (at least 1ms)");
	refuses("rise = 0", "rise: \"0\" is too small (at least 1)");
	refuses("resolve = 99ms",
	    "resolve: \"99ms\" is too small (at least 100ms)");
	refuses(
	    "on_down = kill", "on_down: \"kill\" is not known (keep or close)");
	refuses("timeout = 5s", "unknown key \"timeout\" in [upstream u] (it "
				"is a key of [listener NAME])");
	refuses("ballance = source",
	    "unknown key \"ballance\" in [upstream u] (did you mean "
	    "\"balance\"?)");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("config/option_server");
	TCase *servers = tcase_create("servers");
	TCase *health = tcase_create("health");

	tcase_add_test(servers, a_server_is_an_address_and_words);
	tcase_add_test(servers, servers_take_what_their_upstream_says);
	tcase_add_test(servers, each_server_has_a_name_of_its_own);
	tcase_add_test(servers, words_of_a_server_say_what_is_wrong);
	tcase_add_test(servers, name_servers_are_addresses_with_a_port);
	tcase_add_test(servers, name_servers_of_weir_are_others);
	tcase_add_test(servers, keys_of_an_upstream_have_a_range);
	tcase_add_test(health, a_check_sends_bytes_and_expects_some);
	tcase_add_test(health, checks_say_what_is_wrong);
	suite_add_tcase(suite, servers);
	suite_add_tcase(suite, health);
	return support_run(suite);
}
