/*
 * What the program before leaves, played by the test from beginning to end,
 * and what becomes of one that leaves nonsense, or dies.
 */
#include "config.h"

#include "process/takeover.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/loop.h>

#include "process/program.h"
#include "process/upgrade.h"
#include "process/wire.h"

static struct weir_loop *loop;
static struct wire *old; /* the other program's end */
static struct takeover *takeover;
static char *error;
static char heard[256]; /* what it was told, a word each */
static int fds_before;

static int
open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	(void)closedir(dir);
	return n;
}

static void
hear(const char *word)
{
	ck_assert_uint_lt(strlen(heard) + strlen(word) + 2, sizeof(heard));
	strcat(heard, word);
	strcat(heard, " ");
	weir_loop_stop(loop);
}

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	const char *texts[WIRE_TEXTS];

	(void)wire;
	(void)user;
	wire_close_fds(message);
	ck_assert_uint_gt(wire_texts(message, texts), 0);
	hear(texts[0]);
	if (strcmp(texts[0], "failed") == 0)
		hear(texts[1]);
}

static void
on_close(struct wire *wire, void *user)
{
	(void)wire;
	(void)user;
}

static const struct wire_handlers wire_handlers = {
    .on_message = on_message,
    .on_close = on_close,
};

static void
on_go(void *user)
{
	(void)user;
	hear("go");
}

static void
on_connections(int fd, unsigned place, void *user)
{
	char word[32];

	(void)user;
	ck_assert_int_eq(close(fd), 0);
	(void)snprintf(word, sizeof(word), "mover%u", place);
	hear(word);
}

static void
on_over(void *user)
{
	(void)user;
	hear("over");
}

static const struct takeover_handlers handlers = {
    .on_go = on_go,
    .on_connections = on_connections,
    .on_over = on_over,
};

static void
set_up(void)
{
	char number[16];
	int fds[2];

	ck_assert_int_eq(
	    log_open(LOG_TO_FILE, "/dev/null", LOG_FORMAT_TEXT), 0);
	fds_before = open_fds();
	heard[0] = '\0';
	error = NULL;
	takeover = NULL;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&old, loop, fds[0], &wire_handlers, NULL), 0);
	(void)snprintf(number, sizeof(number), "%d", fds[1]);
	ck_assert_int_eq(setenv(PROGRAM_UPGRADE, number, 1), 0);
}

static void
tear_down(void)
{
	takeover_free(takeover);
	wire_free(old);
	weir_loop_free(loop);
	free(error);
	ck_assert_int_eq(open_fds(), fds_before);
}

static void
say(int fd, const char *a, const char *b, const char *c, const char *d)
{
	ck_assert_int_eq(wire_say(old, fd, a, b, c, d, NULL), 0);
}

static void
hears(const char *all)
{
	while (strcmp(heard, all) != 0) {
		ck_assert_msg(
		    strncmp(heard, all, strlen(heard)) == 0, "%s", heard);
		(void)weir_loop_run(loop);
	}
}

START_TEST(all_that_is_left_is_taken)
{
	enum log_level level, configured;
	struct proxy_handed_fd *sockets;
	size_t count;
	int fd;

	say(-1, "hello", UPGRADE_FORMAT, "9.9", "");
	say(0, "board", "", "", "");
	say(0, "pidfile", "/run/x.pid", "", "");
	say(0, "control", "/run/x.sock", "", "");
	say(0, "listen", "a", "*:80", "0");
	say(0, "listen", "b", "fd:3", "1");
	say(-1, "closed", "c", "", "");
	say(-1, "log_level", "debug", "info", "");
	/* Of a program that knows more. */
	say(0, "future", "x", "", "");
	say(-1, "future", "x", "", "");
	say(-1, "end", "", "", "");
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), 0);
	ck_assert_ptr_nonnull(takeover);
	fd = takeover_board(takeover);
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	ck_assert_int_eq(takeover_board(takeover), -1);
	ck_assert_int_eq(takeover_pidfile(takeover, "/run/other"), -1);
	fd = takeover_pidfile(takeover, "/run/x.pid");
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	fd = takeover_control(takeover, "/run/x.sock");
	ck_assert_int_ne(fd, -1);
	(void)close(fd);
	sockets = takeover_sockets(takeover, &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq(sockets[1].listener, "b");
	ck_assert_str_eq(sockets[0].text, "*:80");
	ck_assert(takeover_log_level(takeover, &level, &configured));
	ck_assert_int_eq((int)level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq((int)configured, LOG_LEVEL_INFO);
	takeover_ready(takeover, &handlers, NULL);
	hears("ready ");
	say(-1, "go", "", "", "");
	say(0, "mover", "", "", "");
	say(0, "mover", "", "", "");
	say(0, "future", "", "", "");
	say(-1, "over", "", "", "");
	hears("ready go mover0 mover1 over ");
	/* Said once more it is nothing new. */
	say(-1, "go", "", "", "");
	say(-1, "over", "", "", "");
	say(0, "mover", "", "", "");
	hears("ready go mover0 mover1 over mover2 ");
}
END_TEST

START_TEST(another_format_is_refused_with_its_version)
{
	say(-1, "hello", "99", "9.9", "");
	say(0, "board", "", "", "");
	say(-1, "end", "", "", "");
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), -EPROTO);
	ck_assert_ptr_null(takeover);
	ck_assert_ptr_nonnull(strstr(error, "9.9"));
	(void)weir_loop_run(loop);
	ck_assert_int_eq(strncmp(heard, "failed ", 7), 0);
}
END_TEST

START_TEST(one_that_dies_too_early_leaves_nothing)
{
	say(-1, "hello", UPGRADE_FORMAT, "9.9", "");
	say(0, "board", "", "", "");
	say(0, "listen", "a", "*:80", "0");
	wire_free(old);
	old = NULL;
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), -EPIPE);
	ck_assert_ptr_null(takeover);
	ck_assert_ptr_nonnull(strstr(error, "ended before"));
}
END_TEST

START_TEST(one_that_dies_later_leaves_all)
{
	say(-1, "hello", UPGRADE_FORMAT, "9.9", "");
	say(-1, "end", "", "", "");
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), 0);
	if (_i == 0) {
		takeover_ready(takeover, &handlers, NULL);
		hears("ready ");
	}
	wire_free(old);
	old = NULL;
	if (_i == 1)
		takeover_ready(takeover, &handlers, NULL);
	hears(_i == 0 ? "ready go over " : "go over ");
}
END_TEST

START_TEST(nonsense_is_ignored_and_closed)
{
	const int fds[3] = {0, 0, 0};
	enum log_level level, configured;
	char bytes[2000];
	size_t count;

	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_int_eq(wire_send(old, bytes, sizeof(bytes), fds, 3), 0);
	ck_assert_int_eq(wire_send(old, "", 1, fds, 2), 0);
	ck_assert_int_eq(wire_send(old, NULL, 0, fds, 1), 0);
	say(-1, "board", "", "", "");
	say(-1, "listen", "a", "*:80", "0");
	say(0, "hello", UPGRADE_FORMAT, "9.9", "");
	say(0, "end", "", "", "");
	say(-1, "log_level", "loud", "", "");
	say(0, "pidfile", "", "", "");
	say(0, "pidfile", "/run/x.pid", "", "");
	say(-1, "end", "", "", "");
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), 0);
	ck_assert_int_eq(takeover_board(takeover), -1);
	(void)takeover_sockets(takeover, &count);
	ck_assert_uint_eq(count, 0);
	ck_assert(!takeover_log_level(takeover, &level, &configured));
}
END_TEST

START_TEST(a_program_that_was_not_started_so_takes_nothing)
{
	char *text = getenv(PROGRAM_UPGRADE);

	ck_assert_int_eq(close(atoi(text)), 0);
	ck_assert_int_eq(unsetenv(PROGRAM_UPGRADE), 0);
	ck_assert_int_eq(takeover_begin(&takeover, loop, &error), 0);
	ck_assert_ptr_null(takeover);
	takeover_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("takeover");
	TCase *tc = tcase_create("takeover");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, all_that_is_left_is_taken);
	tcase_add_test(tc, another_format_is_refused_with_its_version);
	tcase_add_test(tc, one_that_dies_too_early_leaves_nothing);
	tcase_add_loop_test(tc, one_that_dies_later_leaves_all, 0, 2);
	tcase_add_test(tc, nonsense_is_ignored_and_closed);
	tcase_add_test(tc, a_program_that_was_not_started_so_takes_nothing);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
