/*
 * The front: levels, targets that replace one another, and further files.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log_priv.h"

static char folder[] = "/tmp/check_logXXXXXX";
static char path[64], other[64];
static char text[65536];

static void
setup(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	log_set_level(LOG_LEVEL_INFO);
	ck_assert_int_eq(log_open(LOG_TO_FILE, path, LOG_FORMAT_TEXT), 0);
}

static void
teardown(void)
{
	log_close();
	unlink(path);
	unlink(other);
	rmdir(folder);
}

static const char *
read_file(const char *name)
{
	int fd = open(name, O_RDONLY);
	ssize_t count;

	ck_assert_int_ge(fd, 0);
	count = read(fd, text, sizeof(text) - 1);
	ck_assert_int_ge(count, 0);
	text[count] = '\0';
	close(fd);
	return text;
}

static unsigned
count_lines(const char *name)
{
	unsigned lines = 0;

	for (const char *c = read_file(name); *c != '\0'; c++)
		lines += *c == '\n';
	return lines;
}

START_TEST(messages_above_the_level_are_not_written)
{
	log_set_level(LOG_LEVEL_WARN);
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_WARN);
	log_error("e");
	log_warn("w");
	log_info("i");
	log_debug("d");
	ck_assert_uint_eq(count_lines(path), 2);
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("d", LOG_T("k", "v"));
	ck_assert_ptr_nonnull(strstr(read_file(path), " error e\n"));
	ck_assert_ptr_nonnull(strstr(text, " warn w\n"));
	ck_assert_ptr_nonnull(strstr(text, " debug d k=v\n"));
}
END_TEST

START_TEST(a_filtered_message_is_not_evaluated)
{
	int calls = 0;

	log_debug("d", LOG_N("calls", ++calls));
	ck_assert_int_eq(calls, 0);
}
END_TEST

START_TEST(a_formatted_message_keeps_errno)
{
	errno = ENOENT;
	log_write(LOG_LEVEL_ERROR, NULL, "%s: %m (%d%%)", "x", 5);
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_ptr_nonnull(strstr(
	    read_file(path), " error x: No such file or directory (5%)\n"));
}
END_TEST

START_TEST(opening_again_changes_target_and_format)
{
	log_info("one");
	ck_assert_int_eq(log_open(LOG_TO_FILE, other, LOG_FORMAT_JSON), 0);
	ck_assert_int_eq(log_get_format(), LOG_FORMAT_JSON);
	log_info("two");
	ck_assert_uint_eq(count_lines(path), 1);
	ck_assert_uint_eq(count_lines(other), 1);
	ck_assert_ptr_nonnull(strstr(text, "\"message\":\"two\""));
}
END_TEST

START_TEST(a_target_that_cannot_be_opened_leaves_the_old_one)
{
	log_journal_path = other;
	ck_assert_int_eq(
	    log_open(LOG_TO_JOURNAL, NULL, LOG_FORMAT_JSON), -ENOENT);
	ck_assert_int_eq(
	    log_open(LOG_TO_FILE, folder, LOG_FORMAT_JSON), -EISDIR);
	ck_assert_int_eq(log_open(LOG_TO_FILE, NULL, LOG_FORMAT_JSON), -EINVAL);
	ck_assert_int_eq(log_get_format(), LOG_FORMAT_TEXT);
	log_info("still here");
	ck_assert_ptr_nonnull(strstr(read_file(path), "info still here\n"));
}
END_TEST

START_TEST(syslog_and_journal_get_datagrams)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	ssize_t count;

	strcpy(address.sun_path, other);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	log_syslog_path = log_journal_path = other;
	ck_assert_int_eq(log_open(LOG_TO_SYSLOG, NULL, LOG_FORMAT_TEXT), 0);
	log_warn("m", LOG_T("k", "v"));
	count = recv(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(count, 0);
	text[count] = '\0';
	ck_assert_mem_eq(text, "<28>", 4);
	ck_assert_ptr_nonnull(strstr(text, "]: warn m k=v"));
	ck_assert_int_eq(log_open(LOG_TO_JOURNAL, NULL, LOG_FORMAT_TEXT), 0);
	log_warn("m", LOG_T("k", "v"));
	count = recv(fd, text, sizeof(text) - 1, 0);
	ck_assert_int_gt(count, 0);
	text[count] = '\0';
	ck_assert_ptr_nonnull(strstr(text, "MESSAGE=warn m k=v\n"));
	ck_assert_ptr_nonnull(strstr(text, "WEIR_K=v\n"));
	close(fd);
}
END_TEST

START_TEST(lines_lost_are_told_to_the_next_target)
{
	ck_assert_int_eq(
	    log_open(LOG_TO_FILE, "/dev/full", LOG_FORMAT_TEXT), 0);
	log_info("lost");
	log_info("lost");
	ck_assert_int_eq(log_open(LOG_TO_FILE, path, LOG_FORMAT_TEXT), 0);
	log_info("found");
	ck_assert_ptr_nonnull(strstr(read_file(path), "lost=2 "));
}
END_TEST

START_TEST(files_of_one_path_are_one_object)
{
	const struct log_field fields[] = {LOG_N("id", 1), LOG_END};
	struct log_file *one, *two;

	ck_assert_int_eq(log_file_open(&one, other), 0);
	ck_assert_int_eq(log_file_open(&two, other), 0);
	ck_assert_ptr_eq(one, two);
	log_file_unref(one);
	/* Its lines have no level to be below. */
	log_set_level(LOG_LEVEL_ERROR);
	log_file_write(two, "connection", fields);
	ck_assert_ptr_nonnull(
	    strstr(read_file(other), " info connection id=1\n"));
	log_file_unref(two);
	log_file_unref(NULL);
	ck_assert_int_eq(
	    log_file_open(&one, "/nonexistent/access.log"), -ENOENT);
}
END_TEST

START_TEST(the_file_without_a_path_is_the_log)
{
	struct log_file *one, *two;

	ck_assert_int_eq(log_file_open(&one, NULL), 0);
	ck_assert_int_eq(log_file_open(&two, NULL), 0);
	log_file_write(one, "connection", NULL);
	log_file_unref(one);
	log_file_write(two, "connection", NULL);
	ck_assert_uint_eq(count_lines(path), 2);
	log_set_level(LOG_LEVEL_WARN);
	log_file_write(two, "connection", NULL);
	ck_assert_uint_eq(count_lines(path), 2);
	log_file_unref(two);
}
END_TEST

START_TEST(reopening_reaches_the_log_and_every_file)
{
	struct log_file *file;
	const char *which;

	ck_assert_int_eq(log_file_open(&file, other), 0);
	log_info("old");
	log_file_write(file, "old", NULL);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(other), 0);
	ck_assert_int_eq(log_reopen(&which), 0);
	log_info("new");
	log_file_write(file, "new", NULL);
	ck_assert_ptr_nonnull(strstr(read_file(path), "info new\n"));
	ck_assert_uint_eq(count_lines(path), 1);
	ck_assert_ptr_nonnull(strstr(read_file(other), "info new\n"));
	ck_assert_uint_eq(count_lines(other), 1);
	log_file_unref(file);
}
END_TEST

START_TEST(before_it_is_opened_the_log_is_stderr)
{
	int saved = dup(STDERR_FILENO), fds[2];
	ssize_t count;

	log_close();
	unsetenv("JOURNAL_STREAM");
	ck_assert_int_eq(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	log_info("early");
	dup2(saved, STDERR_FILENO);
	count = read(fds[0], text, sizeof(text) - 1);
	ck_assert_int_gt(count, 0);
	text[count] = '\0';
	ck_assert_str_eq(text + 24, " info early\n");
	close(saved);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(files_given_to_a_user_can_be_reopened_by_it)
{
	struct log_file *file;
	pid_t child;
	int status;
	const char *which;

	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(log_file_open(&file, other), 0);
	ck_assert_int_eq(log_chown(4242, (gid_t)-1), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(4243, 4243, 4243) < 0 ||
		    setresuid(4242, 4242, 4242) < 0)
			_exit(1);
		_exit(log_reopen(&which) == 0 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	log_file_unref(file);
}
END_TEST

START_TEST(what_is_no_file_is_not_given_away)
{
	ck_assert_int_eq(
	    log_open(LOG_TO_FILE, "/dev/null", LOG_FORMAT_TEXT), 0);
	ck_assert_int_eq(log_chown(4242, 4242), 0);
	ck_assert_int_eq(log_open(LOG_TO_STDERR, NULL, LOG_FORMAT_TEXT), 0);
	ck_assert_int_eq(log_chown(4242, 4242), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log");
	TCase *tcase = tcase_create("front");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, messages_above_the_level_are_not_written);
	tcase_add_test(tcase, a_filtered_message_is_not_evaluated);
	tcase_add_test(tcase, a_formatted_message_keeps_errno);
	tcase_add_test(tcase, opening_again_changes_target_and_format);
	tcase_add_test(
	    tcase, a_target_that_cannot_be_opened_leaves_the_old_one);
	tcase_add_test(tcase, syslog_and_journal_get_datagrams);
	tcase_add_test(tcase, lines_lost_are_told_to_the_next_target);
	tcase_add_test(tcase, files_of_one_path_are_one_object);
	tcase_add_test(tcase, the_file_without_a_path_is_the_log);
	tcase_add_test(tcase, reopening_reaches_the_log_and_every_file);
	tcase_add_test(tcase, before_it_is_opened_the_log_is_stderr);
	tcase_add_test(tcase, what_is_no_file_is_not_given_away);
	/* Only root can become somebody else. */
	if (geteuid() == 0)
		tcase_add_test(
		    tcase, files_given_to_a_user_can_be_reopened_by_it);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
