/*
 * Sinks: nothing waits, nothing fails the caller, lines stay whole, and what
 * was lost is told. stderr itself is replaced, so each test wants a process
 * of its own or puts it back (CK_FORK=no).
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/log_priv.h"

static int saved_stderr;
static char folder[] = "/tmp/check_log_sinkXXXXXX";
static char path[64];
static char text[1 << 18];

static void
setup(void)
{
	saved_stderr = dup(STDERR_FILENO);
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	unsetenv("JOURNAL_STREAM");
	signal(SIGPIPE, SIG_IGN);
}

static void
teardown(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	unlink(path);
	rmdir(folder);
}

static void
write_line(struct log_sink *sink, const char *message)
{
	const struct log_entry entry = {
	    .level = LOG_LEVEL_INFO, .message = message};

	errno = EDOM;
	log_sink_write(sink, LOG_FORMAT_TEXT, &entry);
	ck_assert_int_eq(errno, EDOM);
}

/* What can be read from fd now, as text. */
static size_t
read_text(int fd)
{
	size_t length = 0;
	ssize_t count;

	while (length < sizeof(text) - 1 &&
	       (count = read(fd, text + length, sizeof(text) - 1 - length)) > 0)
		length += (size_t)count;
	text[length] = '\0';
	return length;
}

static const char *
read_path(void)
{
	int fd = open(path, O_RDONLY);

	ck_assert_int_ge(fd, 0);
	read_text(fd);
	close(fd);
	return text;
}

/* Whether the text is whole lines "... info MESSAGE" with messages that begin
 * with start, or the one about lost lines. Returns how many there are. */
static unsigned
count_whole_lines(const char *start)
{
	unsigned lines = 0;

	for (char *line = text; *line != '\0'; lines++) {
		char *end = strchr(line, '\n');
		char *message;

		ck_assert_ptr_nonnull(end);
		*end = '\0';
		message = strstr(line, " info ");
		if (message == NULL) {
			ck_assert_ptr_nonnull(
			    strstr(line, " warn log lines were lost: "));
		} else {
			ck_assert_int_eq(message - line, 24);
			ck_assert_mem_eq(message + 6, start, strlen(start));
			ck_assert_ptr_null(strstr(message + 6, "info"));
		}
		line = end + 1;
	}
	return lines;
}

static void
stderr_to(int fd)
{
	ck_assert_int_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

START_TEST(a_file_is_appended_to_with_mode_0640)
{
	struct log_sink sink;
	struct stat status;
	mode_t mask = umask(0);

	ck_assert_int_eq(log_sink_open_file(&sink, path), 0);
	write_line(&sink, "one");
	log_sink_close(&sink);
	ck_assert_int_eq(log_sink_open_file(&sink, path), 0);
	write_line(&sink, "two");
	ck_assert_int_eq(fcntl(sink.fd, F_GETFD), FD_CLOEXEC);
	log_sink_close(&sink);
	umask(mask);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0640);
	ck_assert_ptr_nonnull(strstr(read_path(), "info one\n"));
	ck_assert_ptr_nonnull(strstr(text, "info two\n"));
	ck_assert_uint_eq(count_whole_lines(""), 2);
}
END_TEST

START_TEST(a_file_that_cannot_be_opened_is_an_error)
{
	struct log_sink sink;

	ck_assert_int_eq(log_sink_open_file(&sink, folder), -EISDIR);
	ck_assert_int_eq(
	    log_sink_open_file(&sink, "/nonexistent/weir.log"), -ENOENT);
}
END_TEST

START_TEST(reopening_follows_the_name)
{
	struct log_sink sink;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.1", path);
	ck_assert_int_eq(log_sink_open_file(&sink, path), 0);
	write_line(&sink, "before");
	ck_assert_int_eq(rename(path, moved), 0);
	write_line(&sink, "still");
	ck_assert_int_eq(log_sink_reopen(&sink), 0);
	write_line(&sink, "after");
	ck_assert_ptr_nonnull(strstr(read_path(), "info after\n"));
	ck_assert_ptr_null(strstr(text, "still"));
	ck_assert_int_eq(rename(moved, path), 0);
	ck_assert_ptr_nonnull(strstr(read_path(), "info still\n"));
	log_sink_close(&sink);
}
END_TEST

START_TEST(a_file_that_cannot_be_reopened_stays)
{
	struct log_sink sink;
	char moved[80];

	snprintf(moved, sizeof(moved), "%s.1", path);
	ck_assert_int_eq(log_sink_open_file(&sink, path), 0);
	ck_assert_int_eq(rename(path, moved), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	ck_assert_int_eq(log_sink_reopen(&sink), -EISDIR);
	write_line(&sink, "old one");
	ck_assert_uint_eq(sink.lost, 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rename(moved, path), 0);
	ck_assert_ptr_nonnull(strstr(read_path(), "info old one\n"));
	log_sink_close(&sink);
}
END_TEST

START_TEST(lines_lost_to_a_full_disk_are_told)
{
	struct log_sink sink;

	ck_assert_int_eq(log_sink_open_file(&sink, "/dev/full"), 0);
	write_line(&sink, "lost");
	write_line(&sink, "lost");
	write_line(&sink, "lost");
	ck_assert_uint_eq(sink.lost, 3);
	ck_assert_int_eq(sink.lost_error, ENOSPC);
	/* The disk has room again. */
	free(sink.path);
	sink.path = strdup(path);
	ck_assert_ptr_nonnull(sink.path);
	ck_assert_int_eq(log_sink_reopen(&sink), 0);
	write_line(&sink, "found");
	ck_assert_uint_eq(sink.lost, 0);
	read_path();
	ck_assert_ptr_nonnull(strstr(text,
	    " warn log lines were lost: they could not be written lost=3 "
	    "error=\"No space left on device\"\n"));
	ck_assert_ptr_nonnull(strstr(text, " info found\n"));
	ck_assert_ptr_null(strstr(text, "info lost"));
	ck_assert_uint_eq(count_whole_lines("found"), 2);
	log_sink_close(&sink);
}
END_TEST

static void
fill_and_read(struct log_sink *sink, int reader, const char *message)
{
	unsigned before, lost;

	for (before = 0; sink->lost < 5; before++) {
		ck_assert_uint_lt(before, 100000);
		write_line(sink, message);
	}
	lost = (unsigned)sink->lost;
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	read_text(reader);
	/* The rest of a line that was cut is first, then what was lost. */
	write_line(sink, message);
	ck_assert_uint_eq(sink->lost, 0);
	ck_assert_uint_eq(sink->rest_length, 0);
	read_text(reader);
	ck_assert_ptr_nonnull(strstr(text, "lost=5 "));
	ck_assert_uint_eq(lost, 5);
}

/* As above, but all that comes out is whole lines. */
static void
expect_whole(struct log_sink *sink, int reader, const char *message)
{
	unsigned written = 0;
	size_t length;

	while (sink->lost < 5) {
		ck_assert_uint_lt(written, 100000);
		write_line(sink, message);
		written++;
	}
	ck_assert_int_eq(fcntl(reader, F_SETFL, O_NONBLOCK), 0);
	length = read_text(reader);
	write_line(sink, message);
	ck_assert_uint_eq(sink->lost, 0);
	ck_assert_uint_lt(length, sizeof(text) / 2);
	{
		char *first = strdup(text);

		ck_assert_ptr_nonnull(first);
		read_text(reader);
		ck_assert_ptr_nonnull(strstr(text, "lost=5 "));
		memmove(text + length, text, strlen(text) + 1);
		memcpy(text, first, length);
		free(first);
	}
	/* Five were lost, one came after, and one tells. */
	ck_assert_uint_eq(count_whole_lines(message), written - 5 + 2);
}

START_TEST(a_pipe_that_nobody_reads_does_not_wait)
{
	struct log_sink sink;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	stderr_to(fds[1]);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	ck_assert(sink.owns_fd);
	expect_whole(&sink, fds[0], "a line of some length for the pipe");
	/* The description shared with others was left alone. */
	ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	log_sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_long_line_cut_by_a_full_pipe_is_made_whole)
{
	static char message[10000];
	struct log_sink sink;
	int fds[2];

	memset(message, 'm', sizeof(message) - 1);
	ck_assert_int_eq(pipe(fds), 0);
	stderr_to(fds[1]);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	expect_whole(&sink, fds[0], message);
	log_sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_pipe_that_cannot_be_reopened_is_polled)
{
	struct log_sink sink;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	log_sink_init(&sink);
	sink.fd = fds[1];
	sink.may_block = true;
	fill_and_read(&sink, fds[0], "a line of some length for the pipe");
	log_sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(a_pipe_without_a_reader_is_no_failure)
{
	struct log_sink sink;
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	stderr_to(fds[1]);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	close(fds[0]);
	write_line(&sink, "unheard");
	ck_assert_uint_eq(sink.lost, 1);
	ck_assert_int_eq(sink.lost_error, EPIPE);
	log_sink_close(&sink);
	close(fds[1]);
}
END_TEST

START_TEST(a_socket_that_nobody_reads_does_not_wait)
{
	struct log_sink sink;
	int fds[2], size = 4096;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(
	    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	stderr_to(fds[1]);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	ck_assert(sink.is_socket);
	expect_whole(&sink, fds[0], "a line of some length for the socket");
	log_sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(the_journals_stream_gets_a_priority_and_no_time)
{
	struct log_sink sink;
	struct stat status;
	char stream[64];
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	ck_assert_int_eq(fstat(fds[1], &status), 0);
	stderr_to(fds[1]);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	write_line(&sink, "hello");
	ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
	read_text(fds[0]);
	ck_assert_str_eq(text, "<6>info hello\n");
	log_sink_close(&sink);

	/* stderr was redirected: it is somebody else's stream. */
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
	    (uintmax_t)status.st_ino + 1);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert_int_eq(log_sink_open_stderr(&sink), 0);
	ck_assert(!sink.prefix);
	log_sink_close(&sink);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static int
bind_datagram(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	strcpy(address.sun_path, path);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

START_TEST(a_datagram_socket_is_found_again_after_a_restart)
{
	struct log_sink sink;
	int fd = bind_datagram();

	ck_assert_int_eq(
	    log_sink_open_datagram(&sink, LOG_SINK_JOURNAL, path), 0);
	write_line(&sink, "first");
	ck_assert_uint_gt(read_text(fd), 0);
	ck_assert_ptr_nonnull(strstr(text, "MESSAGE=info first\n"));
	close(fd);
	write_line(&sink, "lost");
	ck_assert_uint_eq(sink.lost, 1);
	ck_assert_int_eq(unlink(path), 0);
	fd = bind_datagram();
	write_line(&sink, "again");
	ck_assert_uint_eq(sink.lost, 0);
	ck_assert_uint_gt(read_text(fd), 0);
	ck_assert_ptr_nonnull(strstr(text, "WEIR_LOST=1\n"));
	ck_assert_ptr_nonnull(strstr(text, "MESSAGE=info again\n"));
	close(fd);
	log_sink_close(&sink);
}
END_TEST

START_TEST(a_full_datagram_socket_does_not_wait)
{
	struct log_sink sink;
	int fd = bind_datagram();

	ck_assert_int_eq(
	    log_sink_open_datagram(&sink, LOG_SINK_SYSLOG, path), 0);
	for (unsigned i = 0; sink.lost < 5; i++) {
		ck_assert_uint_lt(i, 100000);
		write_line(&sink, "a message");
	}
	read_text(fd);
	write_line(&sink, "a message");
	ck_assert_uint_eq(sink.lost, 0);
	read_text(fd);
	ck_assert_ptr_nonnull(strstr(text, "lost=5 "));
	close(fd);
	log_sink_close(&sink);
}
END_TEST

START_TEST(a_datagram_socket_that_is_not_there_is_an_error)
{
	struct log_sink sink;

	ck_assert_int_eq(
	    log_sink_open_datagram(&sink, LOG_SINK_JOURNAL, path), -ENOENT);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log_sink");
	TCase *tcase = tcase_create("sinks");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, a_file_is_appended_to_with_mode_0640);
	tcase_add_test(tcase, a_file_that_cannot_be_opened_is_an_error);
	tcase_add_test(tcase, reopening_follows_the_name);
	tcase_add_test(tcase, a_file_that_cannot_be_reopened_stays);
	tcase_add_test(tcase, lines_lost_to_a_full_disk_are_told);
	tcase_add_test(tcase, a_pipe_that_nobody_reads_does_not_wait);
	tcase_add_test(tcase, a_long_line_cut_by_a_full_pipe_is_made_whole);
	tcase_add_test(tcase, a_pipe_that_cannot_be_reopened_is_polled);
	tcase_add_test(tcase, a_pipe_without_a_reader_is_no_failure);
	tcase_add_test(tcase, a_socket_that_nobody_reads_does_not_wait);
	tcase_add_test(tcase, the_journals_stream_gets_a_priority_and_no_time);
	tcase_add_test(tcase, a_datagram_socket_is_found_again_after_a_restart);
	tcase_add_test(tcase, a_full_datagram_socket_does_not_wait);
	tcase_add_test(tcase, a_datagram_socket_that_is_not_there_is_an_error);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
