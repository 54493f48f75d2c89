/* The access log: one line a connection. */
#include "config.h"

#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define ONE "[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

/* A client that sends three bytes and leaves. */
static void
visit(void)
{
	int c = client(b, 0);

	put(c, "abc");
	ck_assert_int_eq(shutdown(c, SHUT_WR), 0);
	until(b, *ended(c) != '\0');
	until(b, proxy_connections(b->proxy) == 0);
	(void)close(c);
}

START_TEST(a_line_has_every_field_in_order)
{
	static const char *const keys[] = {"connection id=1", " listener=a ",
	    " client=127.0.0.1:", " upstream=echo ", " server=- ", " tried=- ",
	    " connect_ms=0 ", " duration_ms=", " bytes_in=3 ", " bytes_out=3 ",
	    " end=client"};
	char *log, *at;
	size_t i;

	bench_start(b, ONE "mode = echo\naccess_log = on\n");
	visit();
	log = bench_log(b);
	at = strstr(log, "connection id=1");
	ck_assert_ptr_nonnull(at);
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		at = strstr(at, keys[i]);
		ck_assert_msg(at != NULL, "no \"%s\" in %s", keys[i], log);
	}
	free(log);
	bench_close(b);
}
END_TEST

START_TEST(without_an_access_log_there_is_no_line)
{
	bench_start(b, ONE "mode = echo\n");
	visit();
	ck_assert_uint_eq(bench_logged(b, "connection id="), 0);
	bench_close(b);
}
END_TEST

START_TEST(a_file_of_its_own_takes_the_lines)
{
	char text[300] = "", path[100];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/access", b->directory);
	bench_start(b, ONE "mode = echo\naccess_log = file:%s\n", path);
	visit();
	ck_assert_uint_eq(bench_logged(b, "connection id="), 0);
	f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), f));
	ck_assert_ptr_nonnull(strstr(text, "connection id=1 listener=a"));
	(void)fclose(f);
	bench_close(b);
}
END_TEST

static const struct {
	const char *mode, *upstream;
} targets[] = {
    {"null", "upstream=null server=- tried=- "},
    {"stdout", "upstream=stdout server=- tried=- "},
    {"file:/dev/null", "upstream=file server=- tried=- "},
    {"exec:cat", "upstream=exec server=- tried=- "},
};

START_TEST(a_target_is_told_by_its_kind)
{
	int saved = dup(1);

	if (_i == 1)
		ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
	bench_start(b, ONE "mode = pipe\naccess_log = on\npipe = %s\n",
	    targets[_i].mode);
	visit();
	ck_assert_uint_eq(bench_logged(b, targets[_i].upstream), 1);
	ck_assert_int_eq(fflush(stdout), 0);
	ck_assert_int_eq(dup2(saved, 1), 1);
	(void)close(saved);
	proxy_free(b->proxy);
	b->proxy = NULL;
	bench_close(b);
}
END_TEST

START_TEST(two_that_are_joined_are_each_others_servers)
{
	char line[120];
	int one, two;
	struct sockaddr_in at[2];
	socklen_t length = sizeof(at[0]);

	bench_start(b, ONE "mode = pipe\npipe = peer\naccess_log = on\n");
	one = client(b, 0);
	two = client(b, 0);
	ck_assert_int_eq(
	    getsockname(one, (struct sockaddr *)&at[0], &length), 0);
	ck_assert_int_eq(
	    getsockname(two, (struct sockaddr *)&at[1], &length), 0);
	put(one, "x");
	got(b, two, "x");
	(void)close(one);
	(void)close(two);
	until(b, proxy_connections(b->proxy) == 0);
	(void)snprintf(line, sizeof(line),
	    "client=127.0.0.1:%u upstream=peer server=127.0.0.1:%u ",
	    ntohs(at[0].sin_port), ntohs(at[1].sin_port));
	ck_assert_uint_eq(bench_logged(b, line), 1);
	(void)snprintf(line, sizeof(line),
	    "client=127.0.0.1:%u upstream=peer server=127.0.0.1:%u ",
	    ntohs(at[1].sin_port), ntohs(at[0].sin_port));
	ck_assert_uint_eq(bench_logged(b, line), 1);
	bench_close(b);
}
END_TEST

START_TEST(a_name_is_told_as_it_is_configured_and_what_it_became)
{
	uint16_t port;
	int listening = upstream(&port), c, s;
	char text[64];

	bench_start(b,
	    ONE "mode = forward\naccess_log = on\nfamily = 4\n"
		"upstream = localhost:%u\n",
	    port);
	c = client(b, 0);
	s = upstream_accept(b, listening);
	(void)close(c);
	(void)close(s);
	until(b, proxy_connections(b->proxy) == 0);
	until(b, bench_figures(b, 0).closed == 1);
	(void)snprintf(text, sizeof(text), " upstream=localhost:%u ", port);
	ck_assert_uint_eq(bench_logged(b, text), 1);
	(void)snprintf(text, sizeof(text), " server=127.0.0.1:%u ", port);
	ck_assert_uint_eq(bench_logged(b, text), 1);
	(void)close(listening);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("session_log");
	TCase *tc = tcase_create("session_log");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_line_has_every_field_in_order);
	tcase_add_test(tc, without_an_access_log_there_is_no_line);
	tcase_add_test(tc, a_file_of_its_own_takes_the_lines);
	tcase_add_loop_test(tc, a_target_is_told_by_its_kind, 0, 4);
	tcase_add_test(tc, two_that_are_joined_are_each_others_servers);
	tcase_add_test(
	    tc, a_name_is_told_as_it_is_configured_and_what_it_became);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
