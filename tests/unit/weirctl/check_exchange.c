/* One request and its answer, with a server in a process of its own. */
#include "config.h"

#include "weirctl/exchange.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS 30000

static char directory[32];
static char path[64];
static int listener;
static pid_t server;
static struct exchange result;

/* What the server does with its one connection. */
enum manner { ECHO, SILENT, CLOSE, HALF, BIG };

#define BIG_LENGTH ((size_t)8 * 1024 * 1024)

static void
setup(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)strcpy(directory, "/tmp/weir-exchange-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	(void)snprintf(path, sizeof(path), "%s/c.sock", directory);
	memcpy(address.sun_path, path, strlen(path));
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(listener, (void *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 5), 0);
	server = -1;
}

static void
teardown(void)
{
	exchange_finish(&result);
	if (server > 0) {
		(void)kill(server, SIGKILL);
		(void)waitpid(server, NULL, 0);
	}
	(void)close(listener);
	(void)unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void
write_all(int fd, const char *text, size_t length)
{
	ssize_t n;

	for (; length > 0; text += n, length -= (size_t)n) {
		n = write(fd, text, length);
		if (n <= 0)
			_exit(1);
	}
}

static void __attribute__((noreturn)) serve(enum manner manner)
{
	char line[256];
	char *big;
	int fd = accept(listener, NULL, NULL);
	ssize_t n = read(fd, line, sizeof(line));

	if (n <= 0)
		_exit(1);
	if (manner == ECHO)
		write_all(fd, line, (size_t)n);
	if (manner == HALF)
		write_all(fd, "half", 4);
	if (manner == BIG) {
		big = malloc(BIG_LENGTH);
		if (big == NULL)
			_exit(1);
		memset(big, 'x', BIG_LENGTH);
		write_all(fd, big, BIG_LENGTH);
		write_all(fd, "\n", 1);
	}
	if (manner == CLOSE || manner == HALF)
		_exit(0);
	(void)pause();
	_exit(0);
}

static void
start(enum manner manner)
{
	server = fork();
	ck_assert_int_ge(server, 0);
	if (server == 0)
		serve(manner);
}

static void
check_fails(uint64_t timeout_ms, const char *format)
{
	char expected[EXCHANGE_PROBLEM_TEXT];

	ck_assert_int_eq(exchange_run(&result, path, "ping\n", timeout_ms), -1);
	(void)strcpy(expected, path);
	(void)strcat(expected, format);
	ck_assert_ptr_nonnull(strstr(result.problem, expected));
}

START_TEST(the_answer_is_the_line_without_its_end)
{
	start(ECHO);
	ck_assert_int_eq(exchange_run(&result, path, "ping\n", PATIENCE_MS), 0);
	ck_assert_str_eq(strbuf_get(&result.answer), "ping");
	ck_assert_uint_eq(result.answer.length, 4);
}
END_TEST

START_TEST(without_a_timeout_it_is_waited_for)
{
	start(ECHO);
	ck_assert_int_eq(exchange_run(&result, path, "ping\n", 0), 0);
	ck_assert_str_eq(strbuf_get(&result.answer), "ping");
}
END_TEST

START_TEST(a_big_answer_is_whole)
{
	start(BIG);
	ck_assert_int_eq(exchange_run(&result, path, "ping\n", PATIENCE_MS), 0);
	ck_assert_uint_eq(result.answer.length, BIG_LENGTH);
}
END_TEST

START_TEST(no_answer_in_time_is_told)
{
	start(SILENT);
	check_fails(50, " did not answer within 0.05 s");
}
END_TEST

START_TEST(an_end_without_an_answer_is_told)
{
	start(CLOSE);
	check_fails(PATIENCE_MS,
	    " closed the connection without an answer; perhaps too many "
	    "clients are connected to it");
}
END_TEST

START_TEST(an_end_within_the_answer_is_told)
{
	start(HALF);
	check_fails(PATIENCE_MS, " closed the connection within its answer");
}
END_TEST

START_TEST(a_socket_that_nobody_listens_on_is_told)
{
	(void)close(listener);
	check_fails(PATIENCE_MS,
	    ": Connection refused; is weir running? (-s SOCKET is another "
	    "one)");
}
END_TEST

START_TEST(a_socket_that_is_not_there_is_told)
{
	(void)unlink(path);
	check_fails(PATIENCE_MS,
	    ": No such file or directory; is weir running? (-s SOCKET is "
	    "another one)");
}
END_TEST

START_TEST(a_path_that_is_too_long_is_told)
{
	char text[200];

	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	ck_assert_int_eq(exchange_run(&result, text, "ping\n", 1), -1);
	ck_assert_ptr_nonnull(strstr(result.problem, "File name too long"));
}
END_TEST

static Suite *
exchange_suite(void)
{
	Suite *suite = suite_create("exchange");
	TCase *tc = tcase_create("socket");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_answer_is_the_line_without_its_end);
	tcase_add_test(tc, without_a_timeout_it_is_waited_for);
	tcase_add_test(tc, a_big_answer_is_whole);
	tcase_add_test(tc, no_answer_in_time_is_told);
	tcase_add_test(tc, an_end_without_an_answer_is_told);
	tcase_add_test(tc, an_end_within_the_answer_is_told);
	tcase_add_test(tc, a_socket_that_nobody_listens_on_is_told);
	tcase_add_test(tc, a_socket_that_is_not_there_is_told);
	tcase_add_test(tc, a_path_that_is_too_long_is_told);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(exchange_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
