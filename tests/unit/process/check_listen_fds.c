/*
 * Descriptors passed by the service manager. They have fixed numbers, so each
 * case is played in a process of its own that tells what came out.
 */
#include "config.h"

#include <sys/mman.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/failure.h"
#include "process/listen_fds.h"

static struct outcome {
	int result;
	size_t count;
	char names[256]; /* "3=web 4=unknown " */
	char error[256];
	bool close_on_exec; /* all of them */
	bool environment;   /* something was left */
} * outcome;		    /* shared with the child */

static void
setup(void)
{
	outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(outcome, MAP_FAILED);
}

static void
teardown(void)
{
	munmap(outcome, sizeof(*outcome));
}

/* Descriptors 3 to 3 + count - 1 are open, and no others above them. */
static void
open_fds(int count)
{
	int null = open("/dev/null", O_RDWR);
	int high = fcntl(null, F_DUPFD, 100);

	for (int fd = LISTEN_FDS_START; fd < 100; fd++)
		close(fd);
	for (int i = 0; i < count; i++)
		dup2(high, LISTEN_FDS_START + i);
	close(high);
}

static void
record(void)
{
	struct listen_fds fds;
	char *error = NULL;
	size_t used = 0;

	outcome->result = listen_fds_take(&fds, &error);
	if (outcome->result < 0)
		snprintf(outcome->error, sizeof(outcome->error), "%s",
		    failure_text(error));
	outcome->count = fds.count;
	outcome->close_on_exec = true;
	for (size_t i = 0; i < fds.count; i++) {
		used += (size_t)snprintf(outcome->names + used,
		    sizeof(outcome->names) - used, "%d=%s ", fds.fds[i].fd,
		    fds.fds[i].name);
		if (fcntl(fds.fds[i].fd, F_GETFD) != FD_CLOEXEC)
			outcome->close_on_exec = false;
	}
	outcome->environment = getenv("LISTEN_PID") != NULL ||
			       getenv("LISTEN_FDS") != NULL ||
			       getenv("LISTEN_FDNAMES") != NULL;
	listen_fds_free(&fds);
	free(error);
}

static void
set(const char *name, const char *value)
{
	if (value == NULL)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

/* pid NULL is that of the child. */
static void
play(int opened, const char *pid, const char *count, const char *names)
{
	pid_t child;
	int status;

	memset(outcome, 0, sizeof(*outcome));
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		char own[32];

		snprintf(own, sizeof(own), "%ld", (long)getpid());
		set("LISTEN_PID", pid == NULL ? own : pid);
		set("LISTEN_FDS", count);
		set("LISTEN_FDNAMES", names);
		open_fds(opened);
		record();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert(!outcome->environment);
}

static void
expect_error(const char *text)
{
	ck_assert_int_lt(outcome->result, 0);
	ck_assert_str_eq(outcome->error, text);
	ck_assert_uint_eq(outcome->count, 0);
}

START_TEST(descriptors_have_their_names_and_close_on_exec)
{
	play(2, NULL, "2", "web:admin");
	ck_assert_int_eq(outcome->result, 0);
	ck_assert_uint_eq(outcome->count, 2);
	ck_assert_str_eq(outcome->names, "3=web 4=admin ");
	ck_assert(outcome->close_on_exec);
}
END_TEST

START_TEST(without_names_they_are_unknown)
{
	play(2, NULL, "2", NULL);
	ck_assert_str_eq(outcome->names, "3=unknown 4=unknown ");
	play(2, NULL, "2", ":admin");
	ck_assert_str_eq(outcome->names, "3=unknown 4=admin ");
	play(1, NULL, "1", "");
	ck_assert_str_eq(outcome->names, "3=unknown ");
}
END_TEST

START_TEST(nothing_passed_is_no_error)
{
	play(0, NULL, NULL, NULL);
	ck_assert_int_eq(outcome->result, 0);
	ck_assert_uint_eq(outcome->count, 0);
	play(0, NULL, "0", NULL);
	ck_assert_int_eq(outcome->result, 0);
	ck_assert_uint_eq(outcome->count, 0);
}
END_TEST

START_TEST(what_is_meant_for_another_process_is_left_alone)
{
	play(2, "1", "2", "web:admin");
	ck_assert_int_eq(outcome->result, 0);
	ck_assert_uint_eq(outcome->count, 0);
}
END_TEST

START_TEST(a_number_that_is_none_is_an_error)
{
	play(2, NULL, "two", NULL);
	expect_error("LISTEN_FDS: \"two\" is no number of descriptors");
	play(2, NULL, "-1", NULL);
	expect_error("LISTEN_FDS: \"-1\" is no number of descriptors");
	play(2, NULL, "2x", NULL);
	expect_error("LISTEN_FDS: \"2x\" is no number of descriptors");
	play(2, NULL, "99999999999999999999", NULL);
	expect_error("LISTEN_FDS: \"99999999999999999999\" is no number of "
		     "descriptors");
	play(2, "x", "2", NULL);
	expect_error("LISTEN_PID: \"x\" is no process id");
}
END_TEST

START_TEST(a_descriptor_that_is_not_open_is_an_error)
{
	play(1, NULL, "2", NULL);
	expect_error("LISTEN_FDS promises descriptor 4, which is not open: "
		     "Bad file descriptor");
}
END_TEST

START_TEST(names_that_do_not_match_the_number_are_an_error)
{
	play(2, NULL, "2", "web");
	expect_error("LISTEN_FDNAMES: \"web\" has 1 names for 2 descriptors");
	play(2, NULL, "2", "web:admin:more");
	expect_error("LISTEN_FDNAMES: \"web:admin:more\" has more names than "
		     "the 2 descriptors of LISTEN_FDS");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("listen_fds");
	TCase *tcase = tcase_create("listen_fds");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, descriptors_have_their_names_and_close_on_exec);
	tcase_add_test(tcase, without_names_they_are_unknown);
	tcase_add_test(tcase, nothing_passed_is_no_error);
	tcase_add_test(tcase, what_is_meant_for_another_process_is_left_alone);
	tcase_add_test(tcase, a_number_that_is_none_is_an_error);
	tcase_add_test(tcase, a_descriptor_that_is_not_open_is_an_error);
	tcase_add_test(tcase, names_that_do_not_match_the_number_are_an_error);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
