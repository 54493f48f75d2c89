/* Listeners: bound, at their limits, closed and open again. */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/address.h>
#include <weir/loop.h>

#include "support.h"

#define WEIR "[weir]\ncontrol = off\n"
#define ECHO(name)                                                             \
	"[listener " name "]\nmode = echo\naccess_log = on\nlisten = "
#define ANY "127.0.0.1:0\n"

static struct bench bench;
static struct bench *const b = &bench;

static void
setup(void)
{
	memset(b, 0, sizeof(*b));
	bench_directory(b);
}

static const char *
state(size_t index)
{
	return listener_state_text(bench_figures(b, index).state);
}

/* It serves: a byte comes back. */
static void
serves(int fd)
{
	put(fd, "x");
	got(b, fd, "x");
}

static void
start_and_wait(void)
{
	proxy_start(b->proxy);
	until(b, b->ready + b->failed > 0);
	if (b->ready > 0)
		proxy_accept(b->proxy);
}

/* ---- closing and opening ---- */

START_TEST(a_closed_listener_refuses_and_its_connections_go_on)
{
	char address[200];
	int c;

	if (_i == 0)
		bench_start(b, WEIR ECHO("a") ANY);
	else
		bench_start(b, WEIR ECHO("a") "unix:%s/socket\n", b->directory);
	(void)snprintf(address, sizeof(address), "%s", bench_address(b, 0, 0));
	c = client(b, 0);
	serves(c);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	ck_assert_str_eq(state(0), "closed");
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), -EALREADY);
	ck_assert_uint_eq(bench_address_count(b, 0), 0);
	if (_i == 0)
		ck_assert_int_eq(client_of(address), -1);
	else
		ck_assert_int_eq(access(address + 5, F_OK), -1);
	serves(c);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	until(b, strcmp(state(0), "open") == 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), -EALREADY);
	/* A port that the system picked included. */
	ck_assert_str_eq(bench_address(b, 0, 0), address);
	serves(c);
	(void)close(c);
	c = client(b, 0);
	serves(c);
	(void)close(c);
	until(b, bench_figures(b, 0).closed == 2);
	bench_close(b);
}
END_TEST

START_TEST(closed_and_opened_in_one_turn_it_listens)
{
	int c;

	bench_start(b, WEIR ECHO("a") ANY);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	until(b, strcmp(state(0), "open") == 0);
	c = client(b, 0);
	serves(c);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(an_inherited_socket_is_not_closed_but_not_accepted_from)
{
	uint16_t port;
	int fd = upstream(&port), c;

	bench_start(b, WEIR ECHO("a") "fd:%d\n", fd);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	ck_assert_str_eq(state(0), "closed");
	c = client(b, 0);
	put(c, "x");
	bench_pass(b, 30);
	ck_assert_uint_eq(bench_figures(b, 0).accepted, 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	got(b, c, "x");
	ck_assert_str_eq(state(0), "open");
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(one_that_could_not_be_opened_again_is_opened_later)
{
	struct weir_address at;
	uint16_t port;
	int fd = upstream(&port), thief, c;

	(void)close(fd);
	bench_start(b, WEIR ECHO("a") "127.0.0.1:%u\n%s", port,
	    _i == 0 ? "" : "bind_retry = 1h\n");
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	thief = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(weir_address_set_ip(&at, "127.0.0.1", port), 0);
	ck_assert_int_eq(bind(thief, &at.u.sa, at.length), 0);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	until(b, bench_logged(b, "a address=") >= 2);
	ck_assert_uint_eq(bench_logged(b, "error cannot listen"), _i == 0);
	ck_assert_uint_eq(bench_logged(b, "warn the address is in use"), _i);
	ck_assert_str_eq(state(0), "closed");
	(void)close(thief);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	until(b, strcmp(state(0), "open") == 0);
	c = client(b, 0);
	serves(c);
	(void)close(c);
	bench_close(b);
}
END_TEST

/* ---- binding ---- */

START_TEST(an_address_in_use_fails_the_start)
{
	uint16_t port;
	int fd = upstream(&port);
	char text[64];

	bench_open(
	    b, 0, NULL, 0, WEIR ECHO("a") ANY ECHO("b") "127.0.0.1:%u\n", port);
	start_and_wait();
	ck_assert_uint_eq(b->failed, 1);
	ck_assert_uint_eq(b->ready, 0);
	(void)snprintf(text, sizeof(text),
	    "error cannot listen listener=b address=127.0.0.1:%u", port);
	ck_assert_uint_eq(bench_logged(b, text), 1);
	(void)close(fd);
	bench_close(b);
}
END_TEST

START_TEST(an_address_in_use_is_tried_again)
{
	uint16_t port;
	int fd = upstream(&port), c;

	bench_open(b, 0, NULL, 0,
	    WEIR ECHO("a") "127.0.0.1:%u\nbind_retry = 20ms\n", port);
	proxy_start(b->proxy);
	bench_pass(b, 100);
	ck_assert_uint_eq(b->ready + b->failed, 0);
	ck_assert_str_eq(state(0), "starting");
	ck_assert_uint_eq(bench_logged(b, "the address is in use"), 1);
	(void)close(fd);
	until(b, b->ready == 1);
	proxy_accept(b->proxy);
	c = client(b, 0);
	serves(c);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_failure_does_not_wait_for_what_is_tried_again)
{
	uint16_t port, other;
	int fd = upstream(&port), fd2 = upstream(&other);

	bench_open(b, 0, NULL, 0,
	    WEIR "%s127.0.0.1:%u\n%s\n%s127.0.0.1:%u\n%s\n", ECHO("a"), port,
	    _i == 0 ? "bind_retry = 1h" : "reuse_port = yes", ECHO("b"), other,
	    _i == 0 ? "reuse_port = yes" : "bind_retry = 1h");
	start_and_wait();
	ck_assert_uint_eq(b->failed, 1);
	bench_pass(b, 20);
	ck_assert_uint_eq(b->failed, 1);
	(void)close(fd);
	(void)close(fd2);
	bench_close(b);
}
END_TEST

START_TEST(a_range_is_a_socket_a_port)
{
	uint16_t port;
	unsigned tries;
	int c;
	size_t i;

	for (tries = 0;; tries++) { /* three in a row that are free */
		ck_assert_uint_lt(tries, 50);
		/* Not among those that the system gives to clients: on a busy
		 * machine hardly one of these has free neighbours. */
		port =
		    (uint16_t)(10000 +
			       ((unsigned)getpid() * 31 + tries * 97) % 20000);
		bench_open(b, 0, NULL, 0, WEIR ECHO("a") "127.0.0.1:%u-%u\n",
		    port, port + 2u);
		start_and_wait();
		if (b->ready > 0)
			break;
		bench_close(b);
		setup();
	}
	ck_assert_uint_eq(bench_address_count(b, 0), 3);
	for (i = 0; i < 3; i++) {
		c = client_of(bench_address(b, 0, i));
		serves(c);
		(void)close(c);
	}
	until(b, bench_figures(b, 0).closed == 3);
	bench_close(b);
}
END_TEST

START_TEST(a_name_is_bound_at_each_of_its_addresses)
{
	unsigned n;
	size_t i;
	int c;

	bench_start(b, WEIR ECHO("a") "localhost:0\n");
	n = bench_address_count(b, 0);
	ck_assert_uint_ge(n, 1);
	ck_assert_uint_eq(bench_logged(b, "listening listener=a"), n);
	for (i = 0; i < n; i++) {
		c = client_of(bench_address(b, 0, i));
		serves(c);
		(void)close(c);
	}
	until(b, bench_figures(b, 0).closed == n);
	bench_close(b);
}
END_TEST

START_TEST(a_name_without_addresses_fails_the_start)
{
	char servers[32];
	uint16_t port;

	(void)close(upstream(&port));
	bench_open(b, 0, NULL, 0, WEIR ECHO("a") "nobody.example:0\n");
	(void)snprintf(servers, sizeof(servers), "127.0.0.1:%u", port);
	ck_assert_int_eq(weir_loop_set_name_servers(b->loop, servers), 0);
	start_and_wait();
	ck_assert_uint_eq(b->failed, 1);
	ck_assert_uint_eq(bench_logged(b, "address=nobody.example:0"), 1);
	bench_close(b);
}
END_TEST

START_TEST(sockets_of_systemd_are_taken_by_their_names)
{
	struct proxy_passed_fd passed[3];
	uint16_t ports[3];
	int i, c;

	for (i = 0; i < 3; i++)
		passed[i] = (struct proxy_passed_fd){
		    .fd = upstream(&ports[i]),
		    .name = i == 1 ? "other" : "mine",
		};
	bench_open(b, 0, passed, 3,
	    WEIR ECHO("a") "systemd:mine\n" ECHO("b") "systemd:other\n");
	start_and_wait();
	ck_assert_uint_eq(b->ready, 1);
	ck_assert_uint_eq(bench_address_count(b, 0), 2);
	ck_assert_uint_eq(bench_address_count(b, 1), 1);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(passed[i].fd, -1);
	c = client(b, 1);
	serves(c);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(a_socket_that_systemd_did_not_pass_fails_the_start)
{
	bench_open(b, 0, NULL, 0, WEIR ECHO("a") "systemd:mine\n");
	start_and_wait();
	ck_assert_uint_eq(b->failed, 1);
	ck_assert_uint_eq(bench_logged(b, "no sockets were passed"), 1);
	bench_close(b);
}
END_TEST

/* ---- limits ---- */

START_TEST(above_max_connections_clients_are_closed)
{
	int c[3];

	bench_start(b, WEIR ECHO("a") ANY "max_connections = 2\n");
	c[0] = client(b, 0);
	c[1] = client(b, 0);
	serves(c[0]);
	serves(c[1]);
	c[2] = client(b, 0);
	until(b, *ended(c[2]) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 1);
	ck_assert_uint_eq(bench_figures(b, 0).accepted, 2);
	ck_assert_uint_eq(bench_logged(b, "end=limit"), 1);
	ck_assert_str_eq(state(0), "open");
	(void)close(c[0]);
	until(b, proxy_connections(b->proxy) == 1);
	(void)close(c[2]);
	c[2] = client(b, 0);
	serves(c[2]);
	(void)close(c[1]);
	(void)close(c[2]);
	until(b, proxy_connections(b->proxy) == 0);
	ck_assert_uint_eq(bench_figures(b, 0).connections_peak, 2);
	bench_close(b);
}
END_TEST

START_TEST(at_max_connections_clients_may_wait)
{
	int c[5], i;

	bench_start(
	    b, WEIR ECHO("a") ANY "max_connections = 2\non_limit = wait\n");
	for (i = 0; i < 5; i++)
		c[i] = client(b, 0);
	until(b, strcmp(state(0), "waiting") == 0);
	for (i = 0; i < 5; i++) {
		serves(c[i]);
		ck_assert_uint_le(bench_figures(b, 0).connections, 2);
		(void)close(c[i]);
	}
	until(b, bench_figures(b, 0).closed == 5);
	until(b, strcmp(state(0), "open") == 0);
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 0);
	ck_assert_uint_eq(bench_figures(b, 0).connections_peak, 2);
	bench_close(b);
}
END_TEST

START_TEST(at_the_limit_of_all_every_listener_waits_and_goes_on)
{
	int c[6], i;

	bench_open(b, 2, NULL, 0,
	    WEIR "[defaults]\non_limit = wait\n" ECHO("a") ANY ECHO("b")
		ANY ECHO("c") ANY);
	start_and_wait();
	for (i = 0; i < 6; i++)
		c[i] = client(b, (size_t)i % 3);
	for (i = 0; i < 3; i++)
		until(b, strcmp(state((size_t)i), "waiting") == 0);
	ck_assert_uint_eq(proxy_connections(b->proxy), 2);
	/* Whichever came in: each gets its turn as others leave. */
	for (i = 0; i < 6; i++)
		put(c[i], "x");
	bench_begin_wait(b);
	while (bench_figures(b, 0).closed + bench_figures(b, 1).closed +
		   bench_figures(b, 2).closed <
	       6) {
		ck_assert(bench_step(b));
		ck_assert_uint_le(proxy_connections(b->proxy), 2);
		for (i = 0; i < 6; i++)
			if (c[i] != -1 && !quiet(c[i])) {
				(void)close(c[i]);
				c[i] = -1;
			}
	}
	for (i = 0; i < 3; i++) {
		until(b, strcmp(state((size_t)i), "open") == 0);
		ck_assert_uint_eq(bench_figures(b, (size_t)i).accepted, 2);
	}
	bench_close(b);
}
END_TEST

START_TEST(one_source_has_its_own_limit_even_with_wait)
{
	int c[3];

	bench_start(
	    b, WEIR ECHO("a") ANY "max_per_source = 2\non_limit = wait\n");
	c[0] = client(b, 0);
	c[1] = client(b, 0);
	serves(c[1]);
	c[2] = client(b, 0);
	until(b, *ended(c[2]) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 1);
	(void)close(c[2]);
	reset(c[0]);
	until(b, proxy_connections(b->proxy) == 1);
	c[0] = client(b, 0);
	serves(c[0]);
	(void)close(c[0]);
	(void)close(c[1]);
	bench_close(b);
}
END_TEST

START_TEST(who_is_denied_is_counted_apart)
{
	int c;

	bench_start(b, WEIR ECHO("a") ANY "deny = 127.0.0.0/8\n");
	c = client(b, 0);
	until(b, *ended(c) != '\0');
	ck_assert_uint_eq(bench_figures(b, 0).denied, 1);
	ck_assert_uint_eq(bench_figures(b, 0).accepted, 0);
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 0);
	ck_assert_uint_eq(bench_logged(b, "end=denied"), 1);
	(void)close(c);
	bench_close(b);
}
END_TEST

START_TEST(above_max_rate_clients_wait)
{
	uint64_t begin;
	int c[6], i;

	bench_start(b, WEIR ECHO("a") ANY
	    "max_rate = 20\non_limit = wait\nmax_connections = 100\n");
	begin = weir_loop_now_ms(b->loop);
	for (i = 0; i < 6; i++)
		c[i] = client(b, 0);
	until(b, strcmp(state(0), "waiting") == 0);
	for (i = 0; i < 6; i++)
		serves(c[i]);
	/* Two at the most came at once. */
	ck_assert_uint_ge(weir_loop_now_ms(b->loop) - begin, 190);
	until(b, strcmp(state(0), "open") == 0);
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 0);
	for (i = 0; i < 6; i++)
		(void)close(c[i]);
	bench_close(b);
}
END_TEST

/* ---- out of descriptors ---- */

/* No descriptor more can be had. Returns what to give to allow_fds(). */
static rlim_t
forbid_fds(void)
{
	struct rlimit limit;
	rlim_t was;
	int lowest = dup(0);

	ck_assert_int_eq(close(lowest), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	was = limit.rlim_cur;
	limit.rlim_cur = (rlim_t)lowest;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	return was;
}

static void
allow_fds(rlim_t was)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = was;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(closed_while_it_rests_it_is_open_when_it_is_opened)
{
	uint16_t port;
	int fd, c;
	rlim_t was;

	fd = upstream(&port);
	if (_i == 0)
		bench_start(b, WEIR ECHO("a") "fd:%d\n", fd);
	else
		bench_start(b, WEIR ECHO("a") ANY);
	c = client(b, 0);
	was = forbid_fds();
	until(b, strcmp(state(0), "resting") == 0);
	ck_assert_int_eq(proxy_listener_close(b->proxy, "a"), 0);
	ck_assert_str_eq(state(0), "closed");
	allow_fds(was);
	ck_assert_int_eq(proxy_listener_open(b->proxy, "a"), 0);
	if (_i == 0) {
		serves(c);
	} else {
		until(b, strcmp(state(0), "open") == 0);
		(void)close(c);
		c = client(b, 0);
		serves(c);
	}
	until(b, strcmp(state(0), "open") == 0);
	ck_assert_uint_eq(bench_logged(b, "cannot accept"), 1);
	(void)close(c);
	if (_i == 1)
		(void)close(fd);
	bench_close(b);
}
END_TEST

/* A client in, a client out: the log is not to grow with them. */
START_TEST(out_of_descriptors_again_and_again_is_said_once)
{
	int c, i;
	rlim_t was;

	bench_start(b, WEIR ECHO("a") ANY);
	for (i = 0; i < 3; i++) {
		c = client(b, 0);
		was = forbid_fds();
		until(b, strcmp(state(0), "resting") == 0);
		allow_fds(was);
		serves(c);
		until(b, strcmp(state(0), "open") == 0);
		(void)close(c);
		until(b, proxy_connections(b->proxy) == 0);
	}
	ck_assert_uint_eq(bench_logged(b, "cannot accept"), 1);
	ck_assert_uint_eq(bench_logged(b, "accepting again"), 1);
	bench_close(b);
}
END_TEST

START_TEST(out_of_descriptors_clients_wait_for_one)
{
	int one, two;
	rlim_t was;

	bench_start(b, WEIR ECHO("a") ANY);
	one = client(b, 0);
	serves(one);
	two = client(b, 0);
	was = forbid_fds();
	put(two, "x");
	until(b, strcmp(state(0), "resting") == 0);
	/* The end of the first makes room for the second. */
	ck_assert_int_eq(shutdown(one, SHUT_WR), 0);
	got(b, two, "x");
	allow_fds(was);
	(void)close(one);
	one = client(b, 0);
	serves(one);
	until(b, strcmp(state(0), "open") == 0);
	ck_assert_uint_eq(bench_logged(b, "cannot accept"), 1);
	ck_assert_uint_eq(bench_logged(b, "accepting again"), 1);
	(void)close(one);
	(void)close(two);
	bench_close(b);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listener");
	TCase *tc = tcase_create("listener");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(
	    tc, a_closed_listener_refuses_and_its_connections_go_on, 0, 2);
	tcase_add_test(tc, closed_and_opened_in_one_turn_it_listens);
	tcase_add_test(
	    tc, an_inherited_socket_is_not_closed_but_not_accepted_from);
	tcase_add_loop_test(
	    tc, one_that_could_not_be_opened_again_is_opened_later, 0, 2);
	tcase_add_test(tc, an_address_in_use_fails_the_start);
	tcase_add_test(tc, an_address_in_use_is_tried_again);
	tcase_add_loop_test(
	    tc, a_failure_does_not_wait_for_what_is_tried_again, 0, 2);
	tcase_add_test(tc, a_range_is_a_socket_a_port);
	tcase_add_test(tc, a_name_is_bound_at_each_of_its_addresses);
	tcase_add_test(tc, a_name_without_addresses_fails_the_start);
	tcase_add_test(tc, sockets_of_systemd_are_taken_by_their_names);
	tcase_add_test(tc, a_socket_that_systemd_did_not_pass_fails_the_start);
	tcase_add_test(tc, above_max_connections_clients_are_closed);
	tcase_add_test(tc, at_max_connections_clients_may_wait);
	tcase_add_test(
	    tc, at_the_limit_of_all_every_listener_waits_and_goes_on);
	tcase_add_test(tc, one_source_has_its_own_limit_even_with_wait);
	tcase_add_test(tc, who_is_denied_is_counted_apart);
	tcase_add_test(tc, above_max_rate_clients_wait);
	if (!under_valgrind())
		tcase_add_loop_test(tc,
		    closed_while_it_rests_it_is_open_when_it_is_opened, 0, 2);
	if (!under_valgrind())
		tcase_add_test(tc, out_of_descriptors_clients_wait_for_one);
	if (!under_valgrind())
		tcase_add_test(
		    tc, out_of_descriptors_again_and_again_is_said_once);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
