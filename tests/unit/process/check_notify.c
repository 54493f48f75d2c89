/*
 * The notification protocol, against a socket like the manager's.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/notify.h"

static char folder[] = "/tmp/check_notifyXXXXXX";
static char path[64];
static char text[4096];
static int manager;
static struct notify *notify;

static int
bind_to(const char *name, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	memcpy(address.sun_path, name, length);
	ck_assert_int_eq(
	    bind(fd, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
	    0);
	return fd;
}

static void
setup(void)
{
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/notify", folder);
	manager = bind_to(path, strlen(path));
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	setenv("NOTIFY_SOCKET", path, 1);
	notify = NULL;
}

static void
teardown(void)
{
	notify_free(notify);
	close(manager);
	unlink(path);
	rmdir(folder);
}

static void
start(void)
{
	char *error = NULL;
	int result = notify_new(&notify, &error);

	ck_assert_msg(result == 0, "%s", error);
}

static const char *
receive(void)
{
	ssize_t count = recv(manager, text, sizeof(text) - 1, 0);

	ck_assert_int_ge(count, 0);
	text[count] = '\0';
	return text;
}

static void
expect_error(const char *expected)
{
	char *error = NULL;

	ck_assert_int_lt(notify_new(&notify, &error), 0);
	ck_assert_str_eq(error, expected);
	free(error);
	ck_assert_ptr_nonnull(notify);
	ck_assert(!notify_enabled(notify));
	ck_assert_int_eq(notify_ready(notify, "x"), 0);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	notify_free(notify);
	notify = NULL;
}

START_TEST(each_state_is_a_message)
{
	start();
	ck_assert(notify_enabled(notify));
	ck_assert_int_eq(notify_ready(notify, "0 connections"), 0);
	ck_assert_str_eq(receive(), "READY=1\nSTATUS=0 connections");
	ck_assert_int_eq(notify_ready(notify, NULL), 0);
	ck_assert_str_eq(receive(), "READY=1\n");
	ck_assert_int_eq(notify_stopping(notify, "draining"), 0);
	ck_assert_str_eq(receive(), "STOPPING=1\nSTATUS=draining");
	ck_assert_int_eq(notify_status(notify, "%d connections", 5), 0);
	ck_assert_str_eq(receive(), "STATUS=5 connections");
	ck_assert_int_eq(notify_watchdog(notify), 0);
	ck_assert_str_eq(receive(), "WATCHDOG=1");
}
END_TEST

START_TEST(a_reload_says_when_it_began)
{
	unsigned long long usec;
	int end = 0;

	start();
	ck_assert_int_eq(notify_reloading(notify), 0);
	ck_assert_int_eq(sscanf(receive(), "RELOADING=1\nMONOTONIC_USEC=%llu%n",
			     &usec, &end),
	    1);
	ck_assert_uint_gt(usec, 0);
	ck_assert_int_eq(text[end], '\0');
}
END_TEST

START_TEST(a_line_in_a_status_is_no_statement)
{
	start();
	ck_assert_int_eq(notify_status(notify, "%s", "a\nREADY=1\rb"), 0);
	ck_assert_str_eq(receive(), "STATUS=a READY=1 b");
}
END_TEST

START_TEST(children_do_not_inherit_the_environment)
{
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	start();
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_ptr_null(getenv("WATCHDOG_USEC"));
	ck_assert_ptr_null(getenv("WATCHDOG_PID"));
}
END_TEST

START_TEST(once_another_process_serves_this_one_is_silent)
{
	char wanted[40];

	start();
	snprintf(wanted, sizeof(wanted), "MAINPID=%d", 1234567);
	ck_assert_int_eq(notify_main_pid(notify, 1234567), 0);
	ck_assert_str_eq(receive(), wanted);
	ck_assert(!notify_enabled(notify));
	ck_assert_int_eq(notify_status(notify, "still there"), 0);
	ck_assert_int_eq(notify_watchdog(notify), 0);
	ck_assert_int_eq(recv(manager, text, sizeof(text), 0), -1);
	ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(without_a_manager_nothing_is_told)
{
	int fd = open("/dev/null", O_RDONLY);

	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "30000000", 1);
	start();
	ck_assert(!notify_enabled(notify));
	ck_assert_uint_eq(notify_watchdog_ms(notify), 0);
	ck_assert_int_eq(notify_ready(notify, "x"), 0);
	ck_assert_int_eq(notify_stopping(notify, NULL), 0);
	ck_assert_int_eq(notify_reloading(notify), 0);
	ck_assert_int_eq(notify_status(notify, "x"), 0);
	ck_assert_int_eq(notify_watchdog(notify), 0);
	ck_assert_int_eq(notify_store_fds(notify, "web", &fd, 1), 0);
	ck_assert_int_eq(notify_remove_fds(notify, "web"), 0);
	ck_assert_int_lt(recv(manager, text, sizeof(text), 0), 0);
	ck_assert_int_eq(errno, EAGAIN);
	close(fd);
}
END_TEST

START_TEST(an_abstract_socket_is_reached_too)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "@check_notify.%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	name[0] = '\0';
	fd = bind_to(name, 1 + strlen(name + 1));
	start();
	ck_assert_int_eq(notify_watchdog(notify), 0);
	ck_assert_int_eq(recv(fd, text, sizeof(text), 0), 10);
	close(fd);
}
END_TEST

START_TEST(a_manager_that_does_not_read_is_not_waited_for)
{
	int result = 0;

	start();
	for (int i = 0; i < 100000 && result == 0; i++)
		result = notify_watchdog(notify);
	ck_assert_int_eq(result, -EAGAIN);
}
END_TEST

/* Its queue is full of something else, and nobody would say it again. */
START_TEST(a_change_of_state_waits_for_room)
{
	int status;
	pid_t pid;

	start();
	while (notify_watchdog(notify) == 0)
		;
	pid = fork();
	if (pid == 0) {
		while (recv(manager, text, sizeof(text), 0) < 0 ||
		       strncmp(text, "READY=1", 7) != 0)
			(void)usleep(10);
		_exit(0);
	}
	ck_assert_int_eq(notify_ready(notify, NULL), 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	/* But not for ever. */
	while (notify_watchdog(notify) == 0)
		;
	ck_assert_int_eq(notify_ready(notify, NULL), -EAGAIN);
}
END_TEST

START_TEST(a_manager_that_is_gone_is_an_error)
{
	start();
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(notify_watchdog(notify), -ENOENT);
}
END_TEST

START_TEST(half_of_the_watchdogs_time_is_the_interval)
{
	char pid[32];

	setenv("WATCHDOG_USEC", "30000000", 1);
	start();
	ck_assert_uint_eq(notify_watchdog_ms(notify), 15000);
	notify_free(notify);

	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "1000", 1);
	setenv("WATCHDOG_PID", pid, 1);
	start();
	ck_assert_uint_eq(notify_watchdog_ms(notify), 1);
	notify_free(notify);

	/* Somebody else's. */
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	start();
	ck_assert_uint_eq(notify_watchdog_ms(notify), 0);
}
END_TEST

START_TEST(malformed_values_are_errors_that_tell_nobody)
{
	char name[200] = "/";

	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	expect_error("NOTIFY_SOCKET: \"vsock:2:1\" is no address of a unix "
		     "socket (a path that begins with \"/\", or @NAME)");
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "soon", 1);
	expect_error("WATCHDOG_USEC: \"soon\" is no number of microseconds "
		     "above 0");
	setenv("NOTIFY_SOCKET", path, 1);
	setenv("WATCHDOG_USEC", "1000000", 1);
	setenv("WATCHDOG_PID", "-7", 1);
	expect_error("WATCHDOG_PID: \"-7\" is no process id");
	memset(name + 1, 'x', sizeof(name) - 2);
	setenv("NOTIFY_SOCKET", name, 1);
	ck_assert_int_eq(notify_new(&notify, NULL), -ENAMETOOLONG);
}
END_TEST

/* Receive a message with descriptors; returns how many. */
static size_t
receive_fds(int *fds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(253 * sizeof(int))];
	} control;
	struct iovec data = {text, sizeof(text) - 1};
	struct msghdr message = {.msg_iov = &data,
	    .msg_iovlen = 1,
	    .msg_control = &control,
	    .msg_controllen = sizeof(control)};
	struct cmsghdr *header;
	ssize_t count = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
	size_t fd_count;

	ck_assert_int_ge(count, 0);
	text[count] = '\0';
	ck_assert_int_eq(message.msg_flags & MSG_CTRUNC, 0);
	header = CMSG_FIRSTHDR(&message);
	if (header == NULL)
		return 0;
	ck_assert_int_eq(header->cmsg_type, SCM_RIGHTS);
	fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	memcpy(fds, CMSG_DATA(header), fd_count * sizeof(int));
	for (size_t i = 1; i < fd_count; i++)
		close(fds[i]);
	return fd_count;
}

START_TEST(descriptors_are_handed_over_under_a_name)
{
	struct stat ours, theirs;
	int fds[253];

	start();
	ck_assert_int_eq(notify_store_fds(notify, "web", &manager, 1), 0);
	ck_assert_uint_eq(receive_fds(fds), 1);
	ck_assert_str_eq(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=web");
	ck_assert_int_eq(fstat(manager, &ours), 0);
	ck_assert_int_eq(fstat(fds[0], &theirs), 0);
	ck_assert_uint_eq(ours.st_ino, theirs.st_ino);
	close(fds[0]);
	ck_assert_int_eq(notify_remove_fds(notify, "web"), 0);
	ck_assert_uint_eq(receive_fds(fds), 0);
	ck_assert_str_eq(text, "FDSTOREREMOVE=1\nFDNAME=web");
}
END_TEST

START_TEST(many_descriptors_take_several_messages)
{
	int ours[300], fds[253];

	start();
	for (size_t i = 0; i < 300; i++)
		ours[i] = manager;
	ck_assert_int_eq(notify_store_fds(notify, "web", ours, 300), 0);
	ck_assert_uint_eq(receive_fds(fds), 253);
	close(fds[0]);
	ck_assert_uint_eq(receive_fds(fds), 47);
	close(fds[0]);
}
END_TEST

START_TEST(a_name_that_the_manager_would_refuse_is_an_error)
{
	char name[257];

	start();
	ck_assert_int_eq(notify_store_fds(notify, "", &manager, 1), -EINVAL);
	ck_assert_int_eq(notify_store_fds(notify, "a:b", &manager, 1), -EINVAL);
	ck_assert_int_eq(
	    notify_store_fds(notify, "a\nREADY=1", &manager, 1), -EINVAL);
	memset(name, 'n', 256);
	name[256] = '\0';
	ck_assert_int_eq(notify_remove_fds(notify, name), -EINVAL);
	name[255] = '\0';
	ck_assert_int_eq(notify_remove_fds(notify, name), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("notify");
	TCase *tcase = tcase_create("notify");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, each_state_is_a_message);
	tcase_add_test(tcase, a_reload_says_when_it_began);
	tcase_add_test(tcase, a_line_in_a_status_is_no_statement);
	tcase_add_test(tcase, children_do_not_inherit_the_environment);
	tcase_add_test(tcase, once_another_process_serves_this_one_is_silent);
	tcase_add_test(tcase, without_a_manager_nothing_is_told);
	tcase_add_test(tcase, an_abstract_socket_is_reached_too);
	tcase_add_test(tcase, a_manager_that_does_not_read_is_not_waited_for);
	tcase_add_test(tcase, a_change_of_state_waits_for_room);
	tcase_add_test(tcase, a_manager_that_is_gone_is_an_error);
	tcase_add_test(tcase, half_of_the_watchdogs_time_is_the_interval);
	tcase_add_test(tcase, malformed_values_are_errors_that_tell_nobody);
	tcase_add_test(tcase, descriptors_are_handed_over_under_a_name);
	tcase_add_test(tcase, many_descriptors_take_several_messages);
	tcase_add_test(tcase, a_name_that_the_manager_would_refuse_is_an_error);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
