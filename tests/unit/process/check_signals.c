/*
 * What signals mean, on a loop. A signal that the process sends itself is
 * there before kill() returns, so the loop need only be run until its handler
 * has been called; a timer ends it if that never happens.
 */
#include "config.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "log/log.h"
#include "process/signals.h"

static struct weir_loop *loop;
static struct signals *signals;
static char order[64];
static char path[] = "/tmp/check_signalsXXXXXX";

static void
note(void *user, const char *what)
{
	ck_assert_ptr_eq(user, order);
	strcat(order, what);
	weir_loop_stop(loop);
}

static void
on_graceful(void *user)
{
	note(user, "graceful ");
}

static void
on_immediate(void *user)
{
	note(user, "immediate ");
}

static void
on_reopen(void *user)
{
	note(user, "reopen ");
}

static void
on_upgrade(void *user)
{
	note(user, "upgrade ");
}

static void
on_reload(void *user)
{
	note(user, "reload ");
}

static const struct signals_handlers handlers = {
    .on_reload = on_reload,
    .on_graceful = on_graceful,
    .on_immediate = on_immediate,
    .on_reopen = on_reopen,
    .on_upgrade = on_upgrade,
};

static void
setup(void)
{
	int fd;

	memcpy(path + strlen(path) - 6, "XXXXXX", 6);
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(log_open(LOG_TO_FILE, path, LOG_FORMAT_TEXT), 0);
	order[0] = '\0';
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(signals_start(&signals, loop, &handlers, order), 0);
}

static void
teardown(void)
{
	signals_stop(signals);
	weir_loop_free(loop);
	log_close();
	unlink(path);
}

/* Nothing else holds the loop, so a timer does; it fails the test. */
static void
on_timer(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	ck_abort_msg("no handler was called for the signal");
}

/* Raise it, and run the loop until a handler stops it. */
static void
raise_and_run(int signo)
{
	struct weir_timer *timer;

	ck_assert_int_eq(weir_timer_new(&timer, loop, on_timer, NULL), 0);
	ck_assert_int_eq(weir_timer_start(timer, 30000), 0);
	ck_assert_int_eq(kill(getpid(), signo), 0);
	weir_loop_run(loop);
	weir_timer_free(timer);
}

START_TEST(the_second_wish_to_stop_is_immediate)
{
	raise_and_run(SIGTERM);
	ck_assert_str_eq(order, "graceful ");
	raise_and_run(SIGINT);
	ck_assert_str_eq(order, "graceful immediate ");
	raise_and_run(SIGTERM);
	ck_assert_str_eq(order, "graceful immediate immediate ");
}
END_TEST

START_TEST(an_interrupt_is_graceful_too)
{
	raise_and_run(SIGINT);
	ck_assert_str_eq(order, "graceful ");
}
END_TEST

START_TEST(quit_is_immediate)
{
	raise_and_run(SIGQUIT);
	ck_assert_str_eq(order, "immediate ");
}
END_TEST

START_TEST(usr1_reopens_each_time)
{
	raise_and_run(SIGUSR1);
	raise_and_run(SIGUSR1);
	ck_assert_str_eq(order, "reopen reopen ");
}
END_TEST

START_TEST(an_upgrade_is_asked_for)
{
	raise_and_run(SIGUSR2);
	raise_and_run(SIGUSR2);
	ck_assert_str_eq(order, "upgrade upgrade ");
}
END_TEST

START_TEST(a_hangup_reloads_each_time)
{
	raise_and_run(SIGHUP);
	raise_and_run(SIGHUP);
	ck_assert_str_eq(order, "reload reload ");
}
END_TEST

START_TEST(a_broken_pipe_ends_nothing)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	ck_assert_int_eq(write(fds[1], "x", 1), -1);
	close(fds[1]);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("signals");
	TCase *tcase = tcase_create("signals");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_second_wish_to_stop_is_immediate);
	tcase_add_test(tcase, an_interrupt_is_graceful_too);
	tcase_add_test(tcase, quit_is_immediate);
	tcase_add_test(tcase, usr1_reopens_each_time);
	tcase_add_test(tcase, an_upgrade_is_asked_for);
	tcase_add_test(tcase, a_hangup_reloads_each_time);
	tcase_add_test(tcase, a_broken_pipe_ends_nothing);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
