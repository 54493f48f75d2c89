/* Room for connections, with another worker whose counts a test sets. */
#include "config.h"

#include <check.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proxy/board.h"
#include "proxy/proxy_priv.h"
#include "support.h"

#define ONE "[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n"
#define NS  UINT64_C(1000000000)

static struct bench bench, *const b = &bench;

static void
setup(void)
{
	bench = (struct bench){.workers = 2};
}

/* This process is the first of two workers; the other one is only counts. */
static void
start(const char *keys)
{
	bench_start(b, ONE "%s", keys);
	board_worker_began(b->board, 0, getpid());
	board_worker_began(b->board, 1, getpid());
	proxy_be_worker(b->proxy, 0, 0);
}

static struct board_listener_slot *
other(void)
{
	return board_listener_slot(b->board, 1, b->proxy->listeners[0]->row);
}

static void
set_other(uint64_t connections)
{
	atomic_store(&other()->connections, connections);
	atomic_store(&other()->accepted, connections);
	atomic_store(&board_worker(b->board, 1)->connections, connections);
}

static void
finish(void)
{
	board_worker_ended(b->board, 1);
	bench_close(b);
}

START_TEST(connections_of_others_count)
{
	int one, two;

	start("max_connections = 5\n");
	set_other(4);
	one = client(b, 0);
	put(one, "hi");
	got(b, one, "hi");
	two = client(b, 0);
	until(b, strcmp(ended(two), "") != 0);
	ck_assert_uint_eq(bench_figures(b, 0).connections, 5);
	ck_assert_uint_eq(bench_figures(b, 0).connections_peak, 5);
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 1);
	(void)close(one);
	(void)close(two);
	until(b, bench_figures(b, 0).connections == 4);
	finish();
}
END_TEST

START_TEST(one_that_came_too_late_waits_and_is_served)
{
	int c;

	start("max_connections = 3\non_limit = wait\n");
	set_other(3);
	c = client(b, 0);
	put(c, "hi");
	until(b, bench_figures(b, 0).state == LISTENER_WAITING);
	bench_pass(b, 60);
	ck_assert(quiet(c));
	ck_assert_uint_eq(bench_figures(b, 0).rejected, 0);
	/* Nobody tells that the other worker has room: it looks. */
	set_other(2);
	got(b, c, "hi");
	ck_assert_uint_eq(bench_figures(b, 0).connections, 3);
	(void)close(c);
	until(b, bench_figures(b, 0).connections == 2);
	until(b, bench_figures(b, 0).state == LISTENER_OPEN);
	finish();
}
END_TEST

START_TEST(one_that_waits_may_leave)
{
	int c, d;

	start("max_connections = 1\non_limit = wait\n");
	set_other(1);
	c = client(b, 0);
	until(b, bench_figures(b, 0).state == LISTENER_WAITING);
	reset(c);
	d = client(b, 0);
	put(d, "hi");
	bench_pass(b, 30);
	set_other(0);
	until(b, !quiet(d));
	until(b, bench_figures(b, 0).connections == 1);
	(void)close(d);
	until(b, bench_figures(b, 0).connections == 0);
	finish();
}
END_TEST

START_TEST(those_that_wait_are_closed_at_the_end)
{
	int c;

	start("max_connections = 1\non_limit = wait\n");
	set_other(1);
	c = client(b, 0);
	until(b, bench_figures(b, 0).state == LISTENER_WAITING);
	proxy_drain(b->proxy, 0);
	until(b, b->drained == 1);
	until(b, strcmp(ended(c), "") != 0);
	(void)close(c);
	finish();
}
END_TEST

/* What each of two workers would have in a process of its own. */
static struct {
	struct proxy proxy;
	struct listener listener;
	bool has;
} racer[2];

static void
stay(unsigned worker)
{
	racer[worker].has = false;
}

static bool
take_room(unsigned worker)
{
	racer[worker].has = room_take(&racer[worker].listener);
	return racer[worker].has;
}

static void
give_room(unsigned worker)
{
	if (racer[worker].has)
		room_give(&racer[worker].listener);
}

START_TEST(two_that_come_at_one_moment_never_have_the_last_place)
{
	const struct race race = {stay, take_room, give_room};
	unsigned i;

	start(_i == 0 ? "max_connections = 1\n" : "");
	if (_i == 1)
		b->proxy->max_connections = 1;
	for (i = 0; i < 2; i++) {
		racer[i].proxy = *b->proxy;
		racer[i].proxy.worker = i;
		racer[i].listener = *b->proxy->listeners[0];
		racer[i].listener.proxy = &racer[i].proxy;
		racer[i].listener.slot =
		    board_listener_slot(b->board, i, racer[i].listener.row);
	}
	ck_assert(race_is_fair(&race));
	/* And nothing is left of those that did not get it. */
	ck_assert_uint_eq(bench_figures(b, 0).connections, 0);
	ck_assert_uint_eq(atomic_load(&other()->connections), 0);
	ck_assert_uint_eq(board_connections(b->board), 0);
	finish();
}
END_TEST

START_TEST(max_rate_is_of_all)
{
	struct board_listener *row;
	struct timespec now;
	int c, d;

	start("max_rate = 10\n");
	c = client(b, 0);
	put(c, "x");
	got(b, c, "x");
	row = board_listener(b->board, b->proxy->listeners[0]->row);
	/* Others have come meanwhile, as if for the next hour. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&row->rate_at_ns, ((uint64_t)now.tv_sec + 3600) * NS);
	d = client(b, 0);
	put(d, "x");
	bench_pass(b, 200);
	ck_assert(quiet(d));
	ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_WAITING);
	(void)close(c);
	(void)close(d);
	until(b, bench_figures(b, 0).connections == 0);
	finish();
}
END_TEST

START_TEST(who_has_many_leaves_the_next_to_others_but_not_for_ever)
{
	int c[40];
	unsigned i;

	start("");
	for (i = 0; i < 40; i++)
		c[i] = client(b, 0);
	/* The other one is stopped, say: all are served here. */
	for (i = 0; i < 40; i++) {
		put(c[i], "x");
		until(b, !quiet(c[i]));
	}
	ck_assert_int_eq(bench_figures(b, 0).state, LISTENER_OPEN);
	for (i = 0; i < 40; i++)
		(void)close(c[i]);
	until(b, bench_figures(b, 0).connections == 0);
	finish();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("room");
	TCase *tc = tcase_create("room");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, connections_of_others_count);
	tcase_add_test(tc, one_that_came_too_late_waits_and_is_served);
	tcase_add_test(tc, one_that_waits_may_leave);
	tcase_add_test(tc, those_that_wait_are_closed_at_the_end);
	tcase_add_loop_test(
	    tc, two_that_come_at_one_moment_never_have_the_last_place, 0, 2);
	tcase_add_test(tc, max_rate_is_of_all);
	tcase_add_test(
	    tc, who_has_many_leaves_the_next_to_others_but_not_for_ever);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
