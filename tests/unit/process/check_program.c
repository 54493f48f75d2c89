/*
 * The program is started once more as it was started, from the file that its
 * name leads to by then. The test remembers itself under another name, and the
 * file of that name is a script which tells how it was started.
 */
#include "config.h"

#include "process/program.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[PATH_MAX], path[PATH_MAX + 16], out[PATH_MAX + 16];

static void
write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	ck_assert_int_eq(close(fd), 0);
}

/* Remembered under a name that leads to this very file, which then is another
 * one. */
static void
remember(const char *first, const char *second)
{
	char *argv[] = {
	    path, (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
	char running[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", running, sizeof(running) - 1);

	ck_assert_int_gt(n, 0);
	running[n] = '\0';
	ck_assert_int_eq(symlink(running, path), 0);
	ck_assert_int_eq(program_remember(3, argv), 0);
	ck_assert_str_eq(program_path(), path);
	ck_assert_int_eq(unlink(path), 0);
}

static void
set_up(void)
{
	strcpy(folder, "/tmp/weir-program-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/program", folder);
	(void)snprintf(out, sizeof(out), "%s/out", folder);
	ck_assert_int_eq(setenv("OUT", out, 1), 0);
	ck_assert_ptr_null(program_path());
}

static void
tear_down(void)
{
	program_forget();
	ck_assert_ptr_null(program_path());
	ck_assert_int_eq(chdir("/"), 0);
	(void)unlink(path);
	(void)unlink(out);
	ck_assert_int_eq(rmdir(folder), 0);
}

/* What the script wrote, once it has ended well. */
static const char *
told(const struct program_run *run)
{
	static char text[4096];
	int status, fd;
	ssize_t n;

	while (!program_ended(run, &status))
		(void)usleep(1000);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	fd = open(out, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	n = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	(void)close(fd);
	return text;
}

START_TEST(it_is_started_as_it_was)
{
	char *error = NULL, wanted[PATH_MAX * 2];
	int pipes[2];
	struct program_run run;

	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(setenv("LISTEN_FDS", "7", 1), 0);
	ck_assert_int_eq(setenv("KEPT", "yes", 1), 0);
	remember("-x", "two words");
	/* Neither what changed since, nor what was for this process alone. */
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(setenv("KEPT", "no", 1), 0);
	write_file(path,
	    "#!/bin/sh\n"
	    "echo \"$1|$2|$KEPT|${LISTEN_FDS-none}|$(pwd)\" >$OUT\n"
	    "echo fd >/proc/self/fd/$WEIR_UPGRADE\n",
	    0700);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(program_start(pipes[1], &run, &error), 0);
	ck_assert_ptr_null(error);
	(void)snprintf(
	    wanted, sizeof(wanted), "-x|two words|yes|none|%s\n", folder);
	ck_assert_str_eq(told(&run), wanted);
	ck_assert_int_eq(read(pipes[0], wanted, 3), 3);
	ck_assert_int_eq(strncmp(wanted, "fd\n", 3), 0);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	ck_assert_int_eq(unsetenv("LISTEN_FDS"), 0);
	ck_assert_int_eq(unsetenv("KEPT"), 0);
}
END_TEST

START_TEST(one_that_cannot_be_started_is_told)
{
	char *error = NULL;
	struct program_run run;

	remember("-x", "-y");
	ck_assert_int_eq(program_start(0, &run, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error, path));
	ck_assert_ptr_nonnull(strstr(error, "No such file"));
	free(error);
	error = NULL;
	write_file(path, "#!/bin/sh\n", 0600);
	ck_assert_int_eq(program_start(0, &run, &error), -EACCES);
	free(error);
	/* Nobody is left to be waited for. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}
END_TEST

START_TEST(how_it_ended_is_told)
{
	static const struct {
		const char *script;
		int status;
	} rows[] = {
	    {"#!/bin/sh\nexit 7\n", 7 << 8},
	    {"#!/bin/sh\nkill -KILL $$\n", SIGKILL},
	    {"#!/bin/sh\nkill -TERM $$\n", SIGTERM},
	    {"#!/bin/sh\nkill -ABRT $$\n", SIGABRT},
	};
	struct program_run run;
	char *error = NULL;
	int status;
	size_t i;

	remember("-x", "-y");
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file(path, rows[i].script, 0700);
		ck_assert_int_eq(program_start(2, &run, &error), 0);
		while (!program_ended(&run, &status))
			(void)usleep(1000);
		ck_assert_int_eq(status, rows[i].status);
		ck_assert_int_eq(kill(run.pid, 0), -1);
	}
}
END_TEST

/* What goes on until it is ended, with this pipe held open by it alone. */
static void
start_patient(struct program_run *run, int pipes[2])
{
	char *error = NULL;

	remember("-x", "-y");
	write_file(path,
	    "#!/bin/sh\necho >/proc/self/fd/$WEIR_UPGRADE\nexec sleep 99\n",
	    0700);
	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(program_start(pipes[1], run, &error), 0);
	(void)close(pipes[1]);
	ck_assert_int_eq(read(pipes[0], &(char){0}, 1), 1);
}

static void
wait_for_end_of_all(int fd)
{
	ck_assert_int_eq(read(fd, &(char){0}, 1), 0);
	(void)close(fd);
}

START_TEST(it_is_ended)
{
	struct program_run run;
	int pipes[2], status;

	start_patient(&run, pipes);
	ck_assert(!program_ended(&run, &status));
	ck_assert(program_end(&run, &status));
	ck_assert_int_eq(status, SIGKILL);
	wait_for_end_of_all(pipes[0]);
	ck_assert_int_eq(kill(run.pid, 0), -1);
}
END_TEST

/* The service manager is told of a process that is its own child. */
START_TEST(let_go_it_is_of_whoever_watches_over_us)
{
	struct program_run run;
	int pipes[2], status;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	start_patient(&run, pipes);
	ck_assert_int_eq(waitpid(run.pid, NULL, WNOHANG), -1);
	program_let_go(&run);
	ck_assert_int_eq(waitpid(run.pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(kill(run.pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(run.pid, &status, 0), run.pid);
	wait_for_end_of_all(pipes[0]);
}
END_TEST

/* Without the old one nobody stands between the new one and its watcher. */
START_TEST(it_outlives_who_started_it)
{
	struct program_run run;
	int pipes[2], ids[2];
	pid_t old;

	ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	ck_assert_int_eq(pipe2(ids, O_CLOEXEC), 0);
	old = fork();
	if (old == 0) {
		start_patient(&run, pipes);
		(void)!write(ids[1], &run, sizeof(run));
		(void)kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(read(ids[0], &run, sizeof(run)), sizeof(run));
	ck_assert_int_eq(waitpid(old, NULL, 0), old);
	ck_assert_int_eq(waitpid(run.parent, NULL, 0), run.parent);
	ck_assert_int_eq(waitpid(run.pid, NULL, WNOHANG), 0);
	ck_assert_int_eq(kill(run.pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(run.pid, NULL, 0), run.pid);
	ck_assert_int_eq(unlink(path), 0);
	(void)close(ids[0]);
	(void)close(ids[1]);
}
END_TEST

START_TEST(what_came_by_standard_input_comes_again)
{
	char *error = NULL, text[8] = "";
	int pipes[2], i;
	struct program_run run;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(write(pipes[1], "conf", 4), 4);
	ck_assert_int_eq(dup2(pipes[0], STDIN_FILENO), STDIN_FILENO);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
	remember("-c", "-");
	ck_assert_int_eq(read(STDIN_FILENO, text, sizeof(text)), 4);
	ck_assert_str_eq(text, "conf");
	write_file(path, "#!/bin/sh\ncat >$OUT\n", 0700);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(program_start(STDERR_FILENO, &run, &error), 0);
		ck_assert_str_eq(told(&run), "conf");
	}
}
END_TEST

START_TEST(only_a_descriptor_that_is_open_is_an_upgrade)
{
	static const char *const none[] = {
	    "", "x", "3x", "-1", "0", "2", "99999999999999999999", "4000"};
	char text[16];
	size_t i;
	int fd;

	ck_assert_int_eq(program_upgrade_fd(), -1);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ck_assert_int_eq(setenv(PROGRAM_UPGRADE, none[i], 1), 0);
		ck_assert_int_eq(program_upgrade_fd(), -1);
		ck_assert_ptr_null(getenv(PROGRAM_UPGRADE));
	}
	fd = dup(STDERR_FILENO);
	(void)snprintf(text, sizeof(text), "%d", fd);
	ck_assert_int_eq(setenv(PROGRAM_UPGRADE, text, 1), 0);
	ck_assert_int_eq(program_upgrade_fd(), fd);
	ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	ck_assert_ptr_null(getenv(PROGRAM_UPGRADE));
	(void)close(fd);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("program");
	TCase *tc = tcase_create("program");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, it_is_started_as_it_was);
	tcase_add_test(tc, one_that_cannot_be_started_is_told);
	tcase_add_test(tc, how_it_ended_is_told);
	tcase_add_test(tc, it_is_ended);
	tcase_add_test(tc, let_go_it_is_of_whoever_watches_over_us);
	tcase_add_test(tc, it_outlives_who_started_it);
	tcase_add_test(tc, what_came_by_standard_input_comes_again);
	tcase_add_test(tc, only_a_descriptor_that_is_open_is_an_upgrade);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
