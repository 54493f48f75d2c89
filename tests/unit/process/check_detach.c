/*
 * Going into the background. Each case is a command typed in a process of its
 * own, whose exit status and output are looked at.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/detach.h"

static char text[1024];

/* What the daemon does once it is one; returns never. */
typedef void daemon_fn(struct detach *detach, int told);

static int
command(daemon_fn *run, int told)
{
	enum detach_side side;
	struct detach *detach;
	char *error = NULL;
	int status;

	if (detach_start(&detach, &side, &status, &error) < 0)
		return 99;
	if (side == DETACH_DAEMON)
		run(detach, told);
	if (error != NULL) {
		dprintf(told, "error: %s\n", error);
		free(error);
	}
	return status;
}

/* Type the command; its status. What either told is in text, read until both
 * have ended. */
static int
type(daemon_fn *run, int stderr_fd)
{
	int told[2], status;
	size_t length = 0;
	ssize_t count;
	pid_t pid;

	ck_assert_int_eq(pipe2(told, O_CLOEXEC), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (stderr_fd >= 0)
			dup2(stderr_fd, STDERR_FILENO);
		_exit(command(run, told[1]));
	}
	close(told[1]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	while ((count = read(
		    told[0], text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)count;
	text[length] = '\0';
	close(told[0]);
	return WEXITSTATUS(status);
}

static void
serve(struct detach *detach, int told)
{
	struct stat null, there;
	char before[PATH_MAX], after[PATH_MAX];

	/* Paths of the configuration may be relative. */
	if (getcwd(before, sizeof(before)) == NULL)
		dprintf(told, "no folder\n");

	if (detach_report(detach, 0) < 0)
		_exit(1);
	if (getsid(0) != getpid())
		dprintf(told, "no session\n");
	if (getcwd(after, sizeof(after)) == NULL || strcmp(before, after) != 0)
		dprintf(told, "folder %s\n", after);
	stat("/dev/null", &null);
	for (int fd = 0; fd < 3; fd++)
		if (fstat(fd, &there) == 0 && there.st_rdev == null.st_rdev)
			dprintf(told, "null %d\n", fd);
	_exit(0);
}

static void
refuse(struct detach *detach, int told)
{
	(void)told;
	detach_report(detach, 2);
	_exit(0);
}

static void
exit_unreported(struct detach *detach, int told)
{
	(void)detach;
	(void)told;
	_exit(7);
}

static void
be_killed(struct detach *detach, int told)
{
	(void)detach;
	(void)told;
	raise(SIGKILL);
	_exit(0);
}

START_TEST(a_daemon_that_serves_ends_the_command_with_0)
{
	int pipe_fds[2];

	ck_assert_int_eq(pipe(pipe_fds), 0);
	ck_assert_int_eq(type(serve, pipe_fds[1]), 0);
	ck_assert_str_eq(text, "null 0\nnull 1\nnull 2\n");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}
END_TEST

START_TEST(a_log_file_on_stderr_stays)
{
	FILE *file = tmpfile();

	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(type(serve, fileno(file)), 0);
	ck_assert_str_eq(text, "null 0\nnull 1\n");
	fclose(file);
}
END_TEST

START_TEST(a_reported_failure_is_the_commands_status)
{
	ck_assert_int_eq(type(refuse, -1), 2);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(an_unreported_end_is_the_commands_status)
{
	ck_assert_int_eq(type(exit_unreported, -1), 7);
	ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_daemon_that_was_killed_is_told)
{
	ck_assert_int_eq(type(be_killed, -1), 1);
	ck_assert_ptr_nonnull(
	    strstr(text, " was ended by signal 9 (Killed) before it served"));
}
END_TEST

START_TEST(without_a_detach_nothing_is_reported)
{
	ck_assert_int_eq(detach_report(NULL, 0), 0);
}
END_TEST

START_TEST(closed_standard_descriptors_are_filled)
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int next;

		close(0);
		close(2);
		if (detach_fill_standard_fds() < 0)
			_exit(1);
		for (int fd = 0; fd < 3; fd++)
			if (fcntl(fd, F_GETFD) < 0)
				_exit(2);
		next = open("/dev/null", O_RDONLY);
		_exit(next > 2 ? 0 : 3);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("detach");
	TCase *tcase = tcase_create("detach");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_daemon_that_serves_ends_the_command_with_0);
	tcase_add_test(tcase, a_log_file_on_stderr_stays);
	tcase_add_test(tcase, a_reported_failure_is_the_commands_status);
	tcase_add_test(tcase, an_unreported_end_is_the_commands_status);
	tcase_add_test(tcase, a_daemon_that_was_killed_is_told);
	tcase_add_test(tcase, without_a_detach_nothing_is_reported);
	tcase_add_test(tcase, closed_standard_descriptors_are_filled);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
