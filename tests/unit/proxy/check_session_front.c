/* What comes before a session begins: headers and hellos, and what is told of
 * them. Handshakes are tested with real peers (test_tls.py). */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/tls.h>

#include "proxy/proxy_priv.h"
#include "proxy/session.h"
#include "proxy/session_front.h"
#include "proxy/tls.h"
#include "support.h"

#define HEADER "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"

static struct bench bench;

static void
set_up(void)
{
	memset(&bench, 0, sizeof(bench));
}

static struct session *
first_session(void)
{
	return TAILQ_FIRST(&bench.proxy->listeners[0]->sessions);
}

static const char *
client_text(void)
{
	static char text[WEIR_ADDRESS_TEXT];
	struct weir_address address;

	session_client_address(first_session(), &address);
	return weir_address_text(&address, text, sizeof(text));
}

START_TEST(a_header_is_who_the_client_is_and_where_it_went)
{
	char text[WEIR_ADDRESS_TEXT];
	struct weir_address address;
	int c;

	bench_start(&bench, "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
			    "accept_proxy = 127.0.0.0/8\n");
	c = client(&bench, 0);
	put(c, "PROXY TCP4 192.0.2.1");
	until(&bench, bench_figures(&bench, 0).connections == 1);
	ck_assert(session_is_before(first_session()));
	ck_assert_str_eq(bench_session(&bench, 0), "handshake");
	put(c, " 198.51.100.2 56324 443\r\nhello");
	got(&bench, c, "hello");
	ck_assert(!session_is_before(first_session()));
	ck_assert_str_eq(client_text(), "192.0.2.1:56324");
	session_local_address(first_session(), &address);
	ck_assert_str_eq(weir_address_text(&address, text, sizeof(text)),
	    "198.51.100.2:443");
	ck_assert_int_eq(close(c), 0);
	until(&bench, bench_figures(&bench, 0).connections == 0);
	bench_close(&bench);
}
END_TEST

START_TEST(a_header_of_somebody_else_is_data)
{
	int c;

	bench_start(&bench, "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
			    "accept_proxy = 192.0.2.0/24\n");
	c = client(&bench, 0);
	put(c, HEADER);
	got(&bench, c, HEADER);
	ck_assert_ptr_null(first_session()->front);
	ck_assert_int_eq(close(c), 0);
	until(&bench, bench_figures(&bench, 0).connections == 0);
	bench_close(&bench);
}
END_TEST

START_TEST(who_is_denied_by_a_header_is_counted_so)
{
	struct listener_figures f;
	int c;

	bench_start(&bench, "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
			    "accept_proxy = all\ndeny = 192.0.2.1\n");
	c = client(&bench, 0);
	put(c, HEADER);
	until(&bench, *ended(c) != '\0');
	until(&bench, bench_figures(&bench, 0).connections == 0);
	f = bench_figures(&bench, 0);
	ck_assert_uint_eq(f.denied, 1);
	ck_assert_uint_eq(f.accepted, 1);
	ck_assert_uint_eq(f.rejected, 0);
	ck_assert_int_eq(close(c), 0);
	bench_close(&bench);
}
END_TEST

START_TEST(one_that_is_killed_before_it_began_is_gone)
{
	int c;

	bench_start(&bench,
	    "[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
	    "upstream = 127.0.0.1:1\nsni = a.example 127.0.0.1:1\n");
	c = client(&bench, 0);
	put(c, "\x16\x03\x01");
	until(&bench, bench_figures(&bench, 0).connections == 1);
	ck_assert_int_eq(
	    proxy_kill(bench.proxy, bench_session_id(&bench, 0)), 0);
	until(&bench, bench_figures(&bench, 0).connections == 0);
	ck_assert_str_ne(ended(c), "");
	ck_assert_int_eq(close(c), 0);
	bench_close(&bench);
}
END_TEST

START_TEST(what_is_under_way_at_the_end_is_freed)
{
	int c, d;

	bench_start(&bench,
	    "[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
	    "sni = a.example 127.0.0.1:1\naccept_proxy = all\n");
	c = client(&bench, 0);
	d = client(&bench, 0);
	put(c, HEADER "\x16\x03\x01");
	put(d, "PROXY");
	until(&bench, bench_figures(&bench, 0).connections == 2);
	bench_pass(&bench, 20);
	ck_assert_int_eq(close(c), 0);
	ck_assert_int_eq(close(d), 0);
	bench_close(&bench); /* which has not seen that */
}
END_TEST

static unsigned mistakes;

static void
count_mistake(
    const struct config_listener *listener, const char *text, void *user)
{
	(void)user;
	ck_assert_str_eq(listener->name, mistakes == 0 ? "l" : "m");
	ck_assert_int_eq(
	    strncmp(text, mistakes == 0 ? "tls: " : "upstream_tls: ",
		mistakes == 0 ? 5 : 14),
	    0);
	mistakes++;
}

START_TEST(contexts_are_made_all_or_none)
{
	struct config_listener *listener;
	struct config *config;

	bench_start(&bench,
	    "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
	    "[listener m]\nlisten = 127.0.0.1:0\nmode = echo\n");
	config = bench.config;
	ck_assert_ptr_null(config->attached);
	ck_assert_ptr_null(tls_of_clients(config->listeners[0]));
	ck_assert_int_eq(tls_make(config, NULL, count_mistake, NULL), 0);
	ck_assert_ptr_null(config->attached);

	listener = config->listeners[0];
	listener->upstream_tls.on = listener->tls.on = true; /* of no key */
	config->listeners[1]->upstream_tls.on = true;
	config->listeners[1]->upstream_tls.ca = strdup("/nowhere.pem");
	mistakes = 0;
	ck_assert_int_lt(tls_make(config, NULL, count_mistake, NULL), 0);
	ck_assert_uint_eq(mistakes, 2);
	ck_assert_ptr_null(config->attached);

	listener->tls.on = config->listeners[1]->upstream_tls.on = false;
	ck_assert_int_eq(tls_make(config, NULL, count_mistake, NULL), 0);
	ck_assert_ptr_nonnull(tls_of_servers(listener));
	ck_assert_ptr_null(tls_of_clients(listener));
	ck_assert_ptr_null(tls_of_servers(config->listeners[1]));
	ck_assert_ptr_null(tls_session_find(listener, "a"));
	bench_close(&bench);
}
END_TEST

static Suite *
front_suite(void)
{
	Suite *suite = suite_create("session_front");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, set_up, NULL);
	tcase_add_test(tests, a_header_is_who_the_client_is_and_where_it_went);
	tcase_add_test(tests, a_header_of_somebody_else_is_data);
	tcase_add_test(tests, who_is_denied_by_a_header_is_counted_so);
	tcase_add_test(tests, one_that_is_killed_before_it_began_is_gone);
	tcase_add_test(tests, what_is_under_way_at_the_end_is_freed);
	tcase_add_test(tests, contexts_are_made_all_or_none);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return support_run(front_suite());
}
