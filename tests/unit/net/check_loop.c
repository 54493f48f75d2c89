/*
 * The loop: what holds it, how it is left, timers and signals; on a base of
 * its own, on a caller's, and several at once.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "support.h"

struct alarm {
	struct weir_timer *timer;
	unsigned times, again;
	bool stop, free;
};

static void
on_alarm(struct weir_timer *timer, void *user)
{
	struct alarm *a = user;

	ck_assert(!weir_timer_running(timer));
	a->times++;
	if (a->again > 0) {
		a->again--;
		ck_assert_int_eq(weir_timer_start(timer, 0), 0);
	}
	if (a->stop)
		weir_loop_stop(loop);
	if (a->free) {
		weir_timer_free(timer);
		a->timer = NULL;
	}
}

static void
alarm_new(struct alarm *a, struct weir_loop *on)
{
	ck_assert_int_eq(weir_timer_new(&a->timer, on, on_alarm, a), 0);
}

START_TEST(a_loop_without_work_returns_at_once)
{
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_loop_free(NULL);
}
END_TEST

START_TEST(a_running_timer_holds_the_loop_until_it_has_ended)
{
	struct alarm a = {.again = 3};

	alarm_new(&a, loop);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(a.times, 0);
	ck_assert_int_eq(weir_timer_start(a.timer, 1), 0);
	ck_assert(weir_timer_running(a.timer));
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(a.times, 4);
	weir_timer_free(a.timer);
}
END_TEST

static void
run_again(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	ck_assert_int_eq(weir_loop_run(loop), -EBUSY);
}

START_TEST(a_loop_does_not_run_inside_of_itself)
{
	struct weir_timer *timer;

	ck_assert_int_eq(weir_timer_new(&timer, loop, run_again, NULL), 0);
	ck_assert_int_eq(weir_timer_start(timer, 0), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_timer_free(timer);
}
END_TEST

START_TEST(a_timer_that_is_stopped_or_unrefd_holds_nothing)
{
	struct alarm a = {0};

	alarm_new(&a, loop);
	weir_timer_stop(a.timer);
	ck_assert_int_eq(weir_timer_start(a.timer, 60000), 0);
	ck_assert_int_eq(weir_timer_start(a.timer, 60000), 0);
	weir_timer_stop(a.timer);
	weir_timer_stop(a.timer);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_timer_unref(a.timer);
	ck_assert_int_eq(weir_timer_start(a.timer, 60000), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_timer_ref(a.timer);
	weir_timer_ref(a.timer);
	weir_timer_unref(a.timer);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(a.times, 0);
	weir_timer_free(a.timer);
	weir_timer_free(NULL);
}
END_TEST

START_TEST(a_timer_may_free_itself)
{
	struct alarm a = {.free = true};

	alarm_new(&a, loop);
	ck_assert_int_eq(weir_timer_start(a.timer, 0), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(a.times, 1);
	ck_assert_ptr_null(a.timer);
}
END_TEST

START_TEST(absurdly_long_timers_do_not_end)
{
	struct alarm a = {0}, b = {0};

	alarm_new(&a, loop);
	alarm_new(&b, loop);
	ck_assert_int_eq(weir_timer_start(a.timer, UINT64_MAX), 0);
	ck_assert_int_eq(weir_timer_start(b.timer, 1), 0);
	until(b.times == 1);
	ck_assert_uint_eq(a.times, 0);
	ck_assert(weir_timer_running(a.timer));
	weir_timer_free(a.timer);
	weir_timer_free(b.timer);
}
END_TEST

START_TEST(stop_makes_run_return_one_and_lets_it_run_again)
{
	struct alarm a = {.stop = true}, b = {0};

	alarm_new(&a, loop);
	alarm_new(&b, loop);
	weir_loop_stop(loop); /* not running: forgotten by the next run */
	ck_assert_int_eq(weir_timer_start(b.timer, 60000), 0);
	ck_assert_int_eq(weir_timer_start(a.timer, 0), 0);
	ck_assert_int_eq(weir_loop_run(loop), 1);
	ck_assert_uint_eq(a.times, 1);
	ck_assert_int_eq(weir_timer_start(a.timer, 0), 0);
	ck_assert_int_eq(weir_loop_run(loop), 1);
	ck_assert_uint_eq(a.times, 2);
	weir_timer_free(a.timer);
	weir_timer_free(b.timer);
}
END_TEST

static void
stop_on_close(struct watcher *w, const char *what)
{
	if (strcmp(what, "close") == 0)
		weir_loop_stop(loop);
	(void)w;
}

/* Three closes are due in the same turn; each stops the loop. */
START_TEST(after_stop_no_further_handler_is_called)
{
	struct watcher w[3] = {{.act = stop_on_close}, {.act = stop_on_close},
	    {.act = stop_on_close}};
	int fd[3];
	unsigned i, n;

	for (i = 0; i < 3; i++)
		fd[i] = watched_pair(UNIX, &w[i], &quiet, true);
	for (i = 0; i < 3; i++)
		weir_socket_destroy(w[i].socket, 0);
	for (n = 1; n <= 3; n++) {
		ck_assert_int_eq(weir_loop_run(loop), 1);
		ck_assert_uint_eq(w[0].closes + w[1].closes + w[2].closes, n);
	}
	ck_assert_int_eq(weir_loop_run(loop), 0);
	for (i = 0; i < 3; i++) {
		forget_watcher(&w[i]);
		ck_assert_int_eq(close(fd[i]), 0);
	}
}
END_TEST

START_TEST(the_clock_never_goes_back)
{
	uint64_t last = weir_loop_now_ms(loop), now;
	int i;

	for (i = 0; i < 1000; i++, last = now) {
		now = weir_loop_now_ms(loop);
		ck_assert_uint_ge(now, last);
	}
}
END_TEST

/* ---- bases ---- */

START_TEST(a_base_of_the_callers_gets_all_handlers_and_is_left_alone)
{
	struct event_base *base = event_base_new();
	struct weir_loop *mine = loop, *other;
	struct watcher w = {0};
	struct alarm a = {0};
	int fd, i;

	ck_assert_int_eq(weir_loop_new(&other, base), 0);
	ck_assert_ptr_eq(weir_loop_base(other), base);
	loop = other;
	fd = watched_pair(UNIX, &w, &loud, false);
	alarm_new(&a, other);
	ck_assert_int_eq(weir_timer_start(a.timer, 0), 0);
	say(fd, "text");
	ck_assert_int_eq(close(fd), 0);
	for (i = 0; i < 100; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_str_eq(w.told, "data end close ");
	ck_assert_uint_eq(a.times, 1);
	ck_assert_int_eq(weir_loop_run(other), 0);
	weir_timer_free(a.timer);
	forget_watcher(&w);
	weir_loop_free(other);
	loop = mine;
	ck_assert_int_ne(event_base_loop(base, EVLOOP_NONBLOCK), -1);
	event_base_free(base);
}
END_TEST

START_TEST(stop_does_not_starve_a_base_that_runs_by_other_means)
{
	struct watcher w = {.act = stop_on_close}, v = {.act = stop_on_close};
	int fd = watched_pair(UNIX, &w, &quiet, true);
	int gd = watched_pair(UNIX, &v, &quiet, true);

	weir_socket_destroy(w.socket, 0);
	weir_socket_destroy(v.socket, 0);
	until(w.closes == 1 && v.closes == 1);
	forget_watcher(&w);
	forget_watcher(&v);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(gd), 0);
}
END_TEST

START_TEST(several_loops_live_side_by_side)
{
	struct weir_loop *first = loop, *second;
	struct watcher w = {0}, v = {0};
	int fd, gd;

	ck_assert_int_eq(weir_loop_new(&second, NULL), 0);
	fd = watched_pair(UNIX, &w, &loud, false);
	loop = second;
	gd = watched_pair(UNIX, &v, &loud, false);
	loop = first;
	say(fd, "one");
	say(gd, "three");
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(gd), 0);
	ck_assert_int_eq(weir_loop_run(second), 0);
	ck_assert_uint_eq(v.length, 5);
	ck_assert_uint_eq(w.calls, 0);
	ck_assert_int_eq(weir_loop_run(first), 0);
	ck_assert_uint_eq(w.length, 3);
	forget_watcher(&w);
	forget_watcher(&v);
	weir_loop_free(second);
}
END_TEST

/* ---- signals ---- */

struct bell {
	struct weir_signal *signal;
	unsigned times;
	int signo;
};

static void
on_bell(struct weir_signal *signal, int signo, void *user)
{
	struct bell *bell = user;

	bell->times++;
	bell->signo = signo;
	weir_signal_free(signal);
	bell->signal = NULL;
}

START_TEST(a_signal_is_told_from_the_loop_and_holds_nothing)
{
	struct bell bell = {0};
	struct sigaction before, after;

	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &before), 0);
	ck_assert_int_eq(
	    weir_signal_new(&bell.signal, loop, SIGUSR1, on_bell, &bell), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(raise(SIGUSR1), 0);
	ck_assert_uint_eq(bell.times, 0);
	until(bell.times == 1);
	ck_assert_int_eq(bell.signo, SIGUSR1);
	ck_assert_int_eq(sigaction(SIGUSR1, NULL, &after), 0);
	ck_assert(before.sa_handler == after.sa_handler);
	ck_assert_int_eq(
	    weir_signal_new(&bell.signal, loop, 0, on_bell, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_signal_new(&bell.signal, loop, 9999, on_bell, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_signal_new(&bell.signal, loop, SIGUSR1, NULL, NULL), -EINVAL);
	weir_signal_free(NULL);
}
END_TEST

static Suite *
loop_suite(void)
{
	Suite *suite = suite_create("loop");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, support_begin, support_end);
	tcase_add_test(all, a_loop_without_work_returns_at_once);
	tcase_add_test(all, a_running_timer_holds_the_loop_until_it_has_ended);
	tcase_add_test(all, a_loop_does_not_run_inside_of_itself);
	tcase_add_test(all, a_timer_that_is_stopped_or_unrefd_holds_nothing);
	tcase_add_test(all, a_timer_may_free_itself);
	tcase_add_test(all, absurdly_long_timers_do_not_end);
	tcase_add_test(all, stop_makes_run_return_one_and_lets_it_run_again);
	tcase_add_test(all, after_stop_no_further_handler_is_called);
	tcase_add_test(all, the_clock_never_goes_back);
	tcase_add_test(
	    all, a_base_of_the_callers_gets_all_handlers_and_is_left_alone);
	tcase_add_test(
	    all, stop_does_not_starve_a_base_that_runs_by_other_means);
	tcase_add_test(all, several_loops_live_side_by_side);
	tcase_add_test(all, a_signal_is_told_from_the_loop_and_holds_nothing);
	suite_add_tcase(suite, all);
	return suite;
}

int
main(void)
{
	return run_suite(loop_suite());
}
