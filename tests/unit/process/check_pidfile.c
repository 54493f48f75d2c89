/*
 * The pid file. Locks belong to open files, not to processes, so a second
 * object in one process stands for a second daemon.
 */
#include "config.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/pidfile.h"

static char folder[] = "/tmp/check_pidfileXXXXXX";
static char path[64];
static char text[256];

static void
setup(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/weir.pid", folder);
}

/* Nothing may be left but what the tests put there. */
static void
teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(folder), 0);
}

static void
put(const char *content)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(content, file);
	fclose(file);
}

static const char *
get(void)
{
	int fd = open(path, O_RDONLY);
	ssize_t count;

	ck_assert_int_ge(fd, 0);
	count = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(count, 0);
	text[count] = '\0';
	close(fd);
	return text;
}

static void
expect_own(void)
{
	char own[32];

	snprintf(own, sizeof(own), "%ld\n", (long)getpid());
	ck_assert_str_eq(get(), own);
}

static struct pidfile *
make(void)
{
	struct pidfile *pidfile;
	char *error = NULL;
	int result = pidfile_new(&pidfile, path, &error);

	ck_assert_msg(result == 0, "%s", error);
	return pidfile;
}

static struct pidfile *
make_written(void)
{
	struct pidfile *pidfile = make();
	char *error = NULL;
	int result = pidfile_write(pidfile, &error);

	ck_assert_msg(result == 0, "%s", error);
	return pidfile;
}

static void expect_refusal(int code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
expect_refusal(int code, const char *format, ...)
{
	struct pidfile *pidfile;
	char expected[256];
	va_list arguments;
	char *error = NULL;

	va_start(arguments, format);
	vsnprintf(expected, sizeof(expected), format, arguments);
	va_end(arguments);
	ck_assert_int_eq(pidfile_new(&pidfile, path, &error), code);
	ck_assert_ptr_null(pidfile);
	ck_assert_str_eq(error, expected);
	free(error);
}

START_TEST(it_is_written_when_told_and_removed_at_the_end)
{
	struct pidfile *pidfile = make();
	struct stat status;
	mode_t mask = umask(077);

	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(pidfile_write(pidfile, NULL), 0);
	umask(mask);
	expect_own();
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0644);
	ck_assert_uint_eq(status.st_nlink, 1);
	pidfile_free(pidfile);
	ck_assert_int_ne(access(path, F_OK), 0);
	pidfile_free(NULL);
}
END_TEST

START_TEST(one_that_was_never_written_leaves_nothing)
{
	put("99999\n");
	pidfile_free(make());
	ck_assert_str_eq(get(), "99999\n");
}
END_TEST

START_TEST(a_living_daemon_is_told_with_its_pid)
{
	struct pidfile *pidfile = make_written();

	expect_refusal(
	    -EEXIST, "%s: already running, pid %ld", path, (long)getpid());
	expect_own();
	pidfile_free(pidfile);
}
END_TEST

START_TEST(of_two_that_start_at_once_one_wins)
{
	struct pidfile *one = make(), *two = make();
	char expected[256];
	char *error = NULL;

	ck_assert_int_eq(pidfile_write(one, NULL), 0);
	ck_assert_int_eq(pidfile_write(two, &error), -EEXIST);
	snprintf(expected, sizeof(expected), "%s: already running, pid %ld",
	    path, (long)getpid());
	ck_assert_str_eq(error, expected);
	free(error);
	pidfile_free(two);
	expect_own();
	pidfile_free(one);
}
END_TEST

START_TEST(a_stale_file_is_replaced_even_if_its_pid_lives)
{
	struct pidfile *pidfile;
	char content[32];

	/* Process 1 lives, and has not locked it. */
	put("1\n");
	pidfile = make_written();
	expect_own();
	pidfile_free(pidfile);
	put("");
	pidfile = make_written();
	expect_own();
	pidfile_free(pidfile);
	/* One that died while it put its number over a longer one. */
	put("1\n\n\n\n");
	pidfile = make_written();
	expect_own();
	pidfile_free(pidfile);
	snprintf(content, sizeof(content), "%ld", (long)getppid());
	put(content);
	pidfile_free(make_written());
}
END_TEST

START_TEST(a_file_is_handed_on)
{
	struct pidfile *pidfile;
	char *error = NULL;
	int fd;

	put("4999999999\n");
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pidfile_adopt(&pidfile, path, fd, &error), 0);
	ck_assert_str_eq(pidfile_path(pidfile), path);
	ck_assert_int_eq(pidfile_fd(pidfile), fd);
	/* It is the other's until it is written. */
	ck_assert_str_eq(get(), "4999999999\n");
	ck_assert_int_eq(pidfile_write(pidfile, &error), 0);
	expect_own();
	pidfile_leave(pidfile);
	pidfile_free(pidfile);
	expect_own();
	/* Another file by now. */
	fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(unlink(path), 0);
	put("1\n");
	ck_assert_int_eq(pidfile_adopt(&pidfile, path, fd, &error), -ESTALE);
	ck_assert_ptr_nonnull(strstr(error, path));
	free(error);
	close(fd);
	ck_assert_str_eq(get(), "1\n");
}
END_TEST

START_TEST(a_file_that_is_no_pid_file_is_left_alone)
{
	put("[weir]\nworkers = 1\n");
	expect_refusal(-EINVAL,
	    "%s: holds something else than a process id; it is left alone",
	    path);
	put("12 monkeys\n");
	expect_refusal(-EINVAL,
	    "%s: holds something else than a process id; it is left alone",
	    path);
	ck_assert_str_eq(get(), "12 monkeys\n");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	expect_refusal(-ELOOP,
	    "%s: a symbolic link, and so no pid file; it is left alone", path);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	expect_refusal(-EINVAL,
	    "%s: not a regular file, and so no pid file; it is left alone",
	    path);
}
END_TEST

START_TEST(a_folder_that_is_not_there_is_an_error)
{
	struct pidfile *pidfile;
	char *error = NULL;

	ck_assert_int_eq(
	    pidfile_new(&pidfile, "/nonexistent/weir.pid", &error), -ENOENT);
	ck_assert_str_eq(error,
	    "/nonexistent/weir.pid: the folder cannot be opened: No such file "
	    "or directory");
	free(error);
	ck_assert_int_eq(pidfile_new(&pidfile, "/run/", &error), -EINVAL);
	ck_assert_str_eq(
	    error, "\"/run/\" is no path of a pid file: it has no file name");
	free(error);
}
END_TEST

START_TEST(a_relative_path_stays_where_it_was)
{
	int before = open(".", O_PATH | O_DIRECTORY);
	struct pidfile *pidfile;

	ck_assert_int_eq(chdir(folder), 0);
	ck_assert_int_eq(pidfile_new(&pidfile, "weir.pid", NULL), 0);
	ck_assert_int_eq(chdir("/"), 0);
	ck_assert_int_eq(pidfile_write(pidfile, NULL), 0);
	expect_own();
	pidfile_free(pidfile);
	ck_assert_int_ne(access(path, F_OK), 0);
	ck_assert_int_eq(fchdir(before), 0);
	close(before);
}
END_TEST

START_TEST(one_that_another_has_replaced_is_not_removed)
{
	struct pidfile *pidfile = make_written();

	ck_assert_int_eq(unlink(path), 0);
	put("4711\n");
	pidfile_free(pidfile);
	ck_assert_str_eq(get(), "4711\n");
}
END_TEST

START_TEST(a_child_does_not_remove_its_parents)
{
	struct pidfile *pidfile = make_written();
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		pidfile_free(pidfile);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	expect_own();
	/* And the lock is still held. */
	expect_refusal(
	    -EEXIST, "%s: already running, pid %ld", path, (long)getpid());
	pidfile_free(pidfile);
}
END_TEST

START_TEST(without_the_right_to_remove_it_is_emptied)
{
	pid_t child = fork();
	int status;

	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct pidfile *pidfile;

		if (pidfile_new(&pidfile, path, NULL) < 0 ||
		    pidfile_write(pidfile, NULL) < 0 ||
		    setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		pidfile_free(pidfile);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(get(), "");
	pidfile_free(make_written());
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("pidfile");
	TCase *tcase = tcase_create("pidfile");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, it_is_written_when_told_and_removed_at_the_end);
	tcase_add_test(tcase, one_that_was_never_written_leaves_nothing);
	tcase_add_test(tcase, a_living_daemon_is_told_with_its_pid);
	tcase_add_test(tcase, of_two_that_start_at_once_one_wins);
	tcase_add_test(tcase, a_stale_file_is_replaced_even_if_its_pid_lives);
	tcase_add_test(tcase, a_file_is_handed_on);
	tcase_add_test(tcase, a_file_that_is_no_pid_file_is_left_alone);
	tcase_add_test(tcase, a_folder_that_is_not_there_is_an_error);
	tcase_add_test(tcase, a_relative_path_stays_where_it_was);
	tcase_add_test(tcase, one_that_another_has_replaced_is_not_removed);
	tcase_add_test(tcase, a_child_does_not_remove_its_parents);
	/* Only root can become somebody else. */
	if (geteuid() == 0) {
		tcase_add_test(
		    tcase, without_the_right_to_remove_it_is_emptied);
	}
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
