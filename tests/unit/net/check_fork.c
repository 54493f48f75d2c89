/*
 * A loop in two processes: servers whose handle they share, and what is the
 * parent's alone. The child says over a pipe what it sees.
 */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/server.h>
#include <weir/socket.h>

static struct weir_loop *loop;
static struct weir_server *server;
static struct weir_address at;
static struct weir_socket *accepted;
static size_t counted;
static bool answered;
static int failed_with;
static pid_t child;
static int from_child, to_parent;

static void
turn(void)
{
	(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
}

static void
on_data(struct weir_socket *s, const void *data, size_t length, void *user)
{
	(void)user;
	(void)weir_socket_write(s, data, length);
}

static void
on_socket_close(struct weir_socket *s, int err, void *user)
{
	(void)err;
	(void)user;
	weir_socket_free(s);
	accepted = NULL;
}

static const struct weir_socket_handlers socket_handlers = {
    .on_data = on_data,
    .on_close = on_socket_close,
};

/* Greets with who it is. */
static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	accepted = socket;
	weir_socket_set_handlers(socket, &socket_handlers, NULL);
	(void)weir_socket_write(socket, child == 0 ? "c" : "p", 1);
}

static void
on_error(struct weir_server *s, int err, void *user)
{
	(void)s;
	(void)user;
	failed_with = err;
}

static const struct weir_server_handlers handlers = {
    .on_connection = on_connection,
    .on_error = on_error,
};

static void
on_counted(struct weir_server *s, int err, size_t count, void *user)
{
	(void)s;
	(void)err;
	(void)user;
	answered = true;
	counted = count;
}

static size_t
connections(void)
{
	answered = false;
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	while (!answered)
		turn();
	return counted;
}

static void
listen_now(const struct weir_address *to, bool exclusive)
{
	const struct weir_listen_options o = {.exclusive = exclusive};

	ck_assert_int_eq(weir_server_listen(server, to, &o), 0);
	while (!weir_server_listening(server))
		turn();
	ck_assert_int_eq(weir_server_address(server, &at), 0);
}

static void
set_up(void)
{
	accepted = NULL;
	failed_with = 0;
	child = -1;
	from_child = -1;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &handlers, NULL), 0);
	ck_assert_int_eq(weir_address_set_ip(&at, "127.0.0.1", 0), 0);
}

static void
tear_down(void)
{
	if (child > 0) {
		(void)kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, NULL, 0), child);
	}
	if (from_child != -1)
		ck_assert_int_eq(close(from_child), 0);
	weir_socket_free(accepted);
	weir_server_free(server);
	weir_loop_free(loop);
}

/* In the child: tell the parent a byte. */
static void
tell(char what)
{
	if (write(to_parent, &what, 1) != 1)
		_exit(1);
}

static char
heard(void)
{
	char what = 0;

	ck_assert_int_eq(read(from_child, &what, 1), 1);
	return what;
}

/* Fork; the child has its loop in order, does this, and runs on. */
static void
fork_and(void (*act)(void))
{
	int fds[2];

	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	child = fork();
	ck_assert_int_ne(child, -1);
	if (child == 0) {
		(void)close(fds[0]);
		to_parent = fds[1];
		if (weir_loop_after_fork(loop) != 0)
			_exit(1);
		act();
		for (;;)
			turn();
	}
	ck_assert_int_eq(close(fds[1]), 0);
	from_child = fds[0];
}

static void
say_ready(void)
{
	tell('r');
}

static int
connected(void)
{
	int fd = socket(at.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, &at.u.sa, at.length), 0);
	return fd;
}

static char
first_byte(int fd)
{
	char byte = 0;

	ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
	return byte;
}

/* A client that this process serves. */
static int
own_client(void)
{
	int fd = connected();

	while (accepted == NULL)
		turn();
	ck_assert_int_eq(first_byte(fd), 'p');
	return fd;
}

START_TEST(both_accept_and_the_count_is_of_both)
{
	int mine, theirs[2];

	listen_now(&at, false);
	fork_and(say_ready);
	ck_assert_int_eq(heard(), 'r');
	/* While the parent does not turn the child takes them all. */
	theirs[0] = connected();
	theirs[1] = connected();
	ck_assert_int_eq(first_byte(theirs[0]), 'c');
	ck_assert_int_eq(first_byte(theirs[1]), 'c');
	ck_assert_int_eq(kill(child, SIGSTOP), 0);
	mine = own_client();
	ck_assert_int_eq(kill(child, SIGCONT), 0);
	ck_assert_uint_eq(connections(), 3);
	ck_assert_uint_eq(weir_server_connections(server), 1);
	ck_assert_int_eq(close(theirs[0]), 0);
	while (connections() != 2)
		; /* it takes turns itself */
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	while (connections() != 1)
		;
	ck_assert_int_eq(close(theirs[1]), 0);
	ck_assert_int_eq(close(mine), 0);
}
END_TEST

static void
look_at_exclusive(void)
{
	struct weir_address where;

	tell(weir_server_listening(server) || weir_server_fd(server) != -1 ||
		     weir_server_address(server, &where) == 0
		 ? 'l'
		 : 'n');
	if (weir_server_listen(server, &at, NULL) != 0)
		_exit(1);
	while (failed_with == 0)
		turn();
	tell(failed_with == -EADDRINUSE ? 'u' : 'x');
}

START_TEST(an_exclusive_handle_is_the_parents)
{
	listen_now(&at, true);
	fork_and(look_at_exclusive);
	ck_assert_int_eq(heard(), 'n');
	ck_assert_int_eq(heard(), 'u');
	ck_assert_int_eq(close(own_client()), 0);
	ck_assert(weir_server_listening(server));
}
END_TEST

START_TEST(a_second_use_of_an_exclusive_port_is_an_error)
{
	struct weir_server *second;

	listen_now(&at, true);
	ck_assert_int_eq(
	    weir_server_new(&second, loop, NULL, &handlers, NULL), 0);
	ck_assert_int_eq(weir_server_listen(second, &at, NULL), 0);
	while (failed_with == 0)
		turn();
	ck_assert_int_eq(failed_with, -EADDRINUSE);
	weir_server_free(second);
}
END_TEST

static void
close_and_free(void)
{
	weir_socket_free(accepted);
	accepted = NULL;
	(void)weir_server_close(server);
	turn();
	weir_server_free(server);
	weir_loop_free(loop);
	tell('d');
	_exit(0);
}

START_TEST(what_the_child_frees_ends_nothing_of_the_parents)
{
	char path[] = "/tmp/weir-check-fork-XXXXXX", socket_path[64];
	struct weir_address where;
	struct stat st;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(path));
	(void)snprintf(socket_path, sizeof(socket_path), "%s/s", path);
	ck_assert_int_eq(weir_address_set_unix(&where, socket_path, false), 0);
	listen_now(&where, false);
	fd = own_client();
	fork_and(close_and_free);
	ck_assert_int_eq(heard(), 'd');
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	child = -1;
	ck_assert_int_eq(lstat(socket_path, &st), 0);
	ck_assert_uint_eq(connections(), 1);
	ck_assert_int_eq(send(fd, "x", 1, 0), 1);
	while (weir_socket_bytes_delivered(accepted) < 2)
		turn();
	ck_assert_int_eq(first_byte(fd), 'x');
	ck_assert_int_eq(close(fd), 0);
	while (accepted != NULL)
		turn();
	accepted = NULL;
	ck_assert_int_eq(close(own_client()), 0);
	weir_server_free(server);
	server = NULL;
	ck_assert_int_eq(lstat(socket_path, &st), -1);
	ck_assert_int_eq(rmdir(path), 0);
}
END_TEST

static void
close_waits_for_nothing(void)
{
	weir_server_unref(server);
	tell(weir_server_connections(server) == 0 ? '0' : '1');
	if (weir_server_close(server) != 0)
		_exit(1);
	if (connections() != 1) /* the parent's */
		_exit(1);
	tell('k');
}

START_TEST(connections_of_before_are_the_parents_to_count)
{
	int fd;

	listen_now(&at, false);
	fd = own_client();
	fork_and(close_waits_for_nothing);
	ck_assert_int_eq(heard(), '0');
	ck_assert_int_eq(heard(), 'k');
	ck_assert_uint_eq(weir_server_connections(server), 1);
	ck_assert_uint_eq(connections(), 1);
	/* The child has the client's end, too. */
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(close(fd), 0);
	while (accepted != NULL)
		turn();
	ck_assert_uint_eq(connections(), 0);
}
END_TEST

START_TEST(there_has_to_be_a_loop)
{
	ck_assert_int_eq(weir_loop_after_fork(NULL), -EINVAL);
}
END_TEST

/* ---- bytes in a kernel pipe ---- */

#define MUCH ((size_t)8 * 1024 * 1024) /* a bulk flow for certain */

static struct weir_socket *source, *sink;

static void
free_both(void)
{
	weir_socket_free(source);
	weir_socket_free(sink);
	weir_loop_free(loop);
	tell('d');
	_exit(0);
}

/* Write the pattern until there is no room; returns where it is. */
static size_t
stuff(int fd, size_t from)
{
	unsigned char block[4096];
	ssize_t n;
	size_t i;

	for (;;) {
		for (i = 0; i < sizeof(block); i++)
			block[i] = (unsigned char)((from + i) % 251);
		n = send(fd, block, sizeof(block), MSG_DONTWAIT);
		if (n == -1)
			return from;
		from += (size_t)n;
	}
}

static size_t
check_pattern(int fd, size_t from)
{
	unsigned char block[65536];
	ssize_t n, i;

	while ((n = recv(fd, block, sizeof(block), MSG_DONTWAIT)) > 0)
		for (i = 0; i < n; i++, from++)
			if (block[i] != from % 251)
				ck_abort_msg("byte %zu is wrong", from);
	return from;
}

START_TEST(a_bulk_flow_of_the_parents_loses_no_byte)
{
	int in[2], out[2];
	size_t sent = 0, got = 0, stuck = 0, last;

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in), 0);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out), 0);
	ck_assert_int_eq(weir_socket_new(&source, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_socket_new(&sink, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_socket_open_fd(source, in[0], true, true), 0);
	ck_assert_int_eq(weir_socket_open_fd(sink, out[0], true, true), 0);
	ck_assert_int_eq(weir_socket_pipe(source, sink, NULL), 0);
	/* Let it flow until it is bulk, then let it get stuck. */
	while (sent < MUCH) {
		sent = stuff(in[1], sent);
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_NONBLOCK);
		got = check_pattern(out[1], got);
	}
	while (stuck < 3) {
		last = weir_socket_bytes_read(source);
		sent = stuff(in[1], sent);
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_NONBLOCK);
		stuck = last == weir_socket_bytes_read(source) ? stuck + 1 : 0;
	}
	fork_and(free_both);
	ck_assert_int_eq(heard(), 'd');
	ck_assert_int_eq(shutdown(in[1], SHUT_WR), 0);
	while (got < sent) {
		got = check_pattern(out[1], got);
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_NONBLOCK);
	}
	ck_assert_uint_eq(got, sent);
	weir_socket_free(source);
	weir_socket_free(sink);
	ck_assert_int_eq(close(in[1]), 0);
	ck_assert_int_eq(close(out[1]), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/fork");
	TCase *c = tcase_create("fork");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, both_accept_and_the_count_is_of_both);
	tcase_add_test(c, an_exclusive_handle_is_the_parents);
	tcase_add_test(c, a_second_use_of_an_exclusive_port_is_an_error);
	tcase_add_test(c, what_the_child_frees_ends_nothing_of_the_parents);
	tcase_add_test(c, connections_of_before_are_the_parents_to_count);
	tcase_add_test(c, there_has_to_be_a_loop);
	tcase_add_test(c, a_bulk_flow_of_the_parents_loses_no_byte);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
