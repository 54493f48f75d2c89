/* What is told of listeners and sessions. */
#include "config.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define TWO                                                                    \
	"[weir]\ncontrol = off\n[listener a]\nlisten = 127.0.0.1:0\n"          \
	"mode = echo\nmax_connections = 7\n[listener b]\n"                     \
	"listen = 127.0.0.1:0\nmode = pipe\npipe = peer\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

START_TEST(each_state_has_its_text)
{
	ck_assert_str_eq(listener_state_text(LISTENER_STARTING), "starting");
	ck_assert_str_eq(listener_state_text(LISTENER_OPEN), "open");
	ck_assert_str_eq(listener_state_text(LISTENER_WAITING), "waiting");
	ck_assert_str_eq(listener_state_text(LISTENER_RESTING), "resting");
	ck_assert_str_eq(listener_state_text(LISTENER_CLOSED), "closed");
}
END_TEST

START_TEST(before_it_accepts_a_listener_is_starting)
{
	bench_open(b, 0, NULL, 0, TWO);
	proxy_start(b->proxy);
	until(b, b->ready == 1);
	ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_STARTING);
	proxy_accept(b->proxy);
	ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_OPEN);
	bench_close(b);
}
END_TEST

START_TEST(a_listener_is_described_by_its_configuration)
{
	bench_start(b, TWO);
	ck_assert_uint_eq(proxy_listener_count(b->proxy), 2);
	ck_assert_str_eq(bench_figures(b, 0).name, "a");
	ck_assert_str_eq(bench_figures(b, 0).mode, "echo");
	ck_assert_uint_eq(bench_figures(b, 0).max_connections, 7);
	ck_assert_str_eq(bench_figures(b, 1).name, "b");
	ck_assert_str_eq(bench_figures(b, 1).mode, "pipe");
	ck_assert_uint_eq(bench_figures(b, 1).max_connections, 0);
	ck_assert_uint_eq(proxy_uptime_s(b->proxy), 0);
	bench_close(b);
}
END_TEST

static void
copy(const struct session_figures *figures, void *user)
{
	struct session_figures *to = user;

	*to = *figures;
	to->client = strcmp(figures->client, "127.0.0.1:0") > 0 ? "TCP" : "?";
	to->server = strcmp(figures->server, "-") == 0 ? "-" : "one";
	to->state = strcmp(figures->state, "open") == 0 ? "open" : "?";
}

static void
count(const struct session_figures *figures, void *user)
{
	(void)figures;
	++*(unsigned *)user;
}

START_TEST(each_open_session_is_told_of_one_listener_or_all)
{
	struct session_figures f = {0};
	unsigned n = 0;
	int one, two;

	bench_start(b, TWO);
	one = client(b, 0);
	put(one, "abc");
	got(b, one, "abc");
	two = client(b, 1);
	until(b, proxy_connections(b->proxy) == 2);
	proxy_each_session(b->proxy, -1, count, &n);
	ck_assert_uint_eq(n, 2);
	proxy_each_session(b->proxy, 0, copy, &f);
	ck_assert_uint_eq(f.id, 1);
	ck_assert_str_eq(f.listener, "a");
	ck_assert_str_eq(f.client, "TCP");
	ck_assert_str_eq(f.server, "-");
	ck_assert_str_eq(f.state, "open");
	ck_assert_uint_eq(f.bytes_in, 3);
	ck_assert_uint_eq(f.bytes_out, 3);
	ck_assert(f.age_s >= f.idle_s && f.idle_s >= 0);
	bench_pass(b, 30);
	proxy_each_session(b->proxy, 0, copy, &f);
	ck_assert(f.age_s >= 0.02 && f.idle_s >= 0.02);
	(void)close(one);
	(void)close(two);
	bench_close(b);
}
END_TEST

START_TEST(each_change_of_the_count_is_told)
{
	unsigned before;
	int c;

	bench_start(b, TWO);
	before = b->changes;
	c = client(b, 0);
	until(b, proxy_connections(b->proxy) == 1);
	ck_assert_uint_eq(b->changes, before + 1);
	(void)close(c);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(b->changes, before + 2);
	bench_close(b);
}
END_TEST

START_TEST(the_figures_of_each_listener_are_logged)
{
	int c;

	bench_start(b, TWO);
	c = client(b, 0);
	put(c, "abc");
	got(b, c, "abc");
	proxy_log_figures(b->proxy);
	ck_assert_uint_eq(
	    bench_logged(b,
		"figures listener=a state=open connections=1 "
		"connections_peak=1 accepted=1 rejected=0 denied=0 closed=0 "
		"errors=0 timeouts=0 bytes_in=3 bytes_out=3 buffered=0"),
	    1);
	ck_assert_uint_eq(bench_logged(b, "figures listener=b"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("figures");
	TCase *tc = tcase_create("figures");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, each_state_has_its_text);
	tcase_add_test(tc, before_it_accepts_a_listener_is_starting);
	tcase_add_test(tc, a_listener_is_described_by_its_configuration);
	tcase_add_test(tc, each_open_session_is_told_of_one_listener_or_all);
	tcase_add_test(tc, each_change_of_the_count_is_told);
	tcase_add_test(tc, the_figures_of_each_listener_are_logged);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
