/*
 * The server: listening on whatever can be listened on, its own socket file
 * and no other, limits, resting where descriptors are short, and its life.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/move.h>

#include "support.h"

#define MANY 100

static struct house {
	struct weir_server *server;
	struct weir_socket *sockets[MANY];
	unsigned count, listenings, drops, closes, restings, acceptings;
	int error, rest_error;
	char told[4096];
	const char *free_at; /* on this occasion the server is freed */
	bool close_sockets;
} house;

static void
note(const char *what)
{
	size_t length = strlen(house.told);

	ck_assert_uint_lt(length + strlen(what) + 2, sizeof(house.told));
	(void)snprintf(
	    house.told + length, sizeof(house.told) - length, "%s ", what);
	if (house.free_at != NULL && strcmp(house.free_at, what) == 0) {
		weir_server_free(house.server);
		house.server = NULL;
	}
}

static void
on_listening(struct weir_server *server, void *user)
{
	ck_assert(weir_server_listening(server));
	(void)user;
	house.listenings++;
	note("listening");
}

static void
on_connection(
    struct weir_server *server, struct weir_socket *socket, void *user)
{
	(void)server;
	(void)user;
	ck_assert_uint_lt(house.count, MANY);
	if (house.close_sockets)
		weir_socket_free(socket);
	else
		house.sockets[house.count] = socket;
	house.count++;
	note("connection");
}

static void
on_drop(struct weir_server *server, const struct weir_address *local,
    const struct weir_address *remote, void *user)
{
	(void)server;
	(void)user;
	ck_assert_uint_gt(local->length, 0);
	ck_assert_uint_gt(remote->length, 0);
	house.drops++;
	note("drop");
}

static void
on_resting(struct weir_server *server, int err, void *user)
{
	(void)server;
	(void)user;
	house.rest_error = err;
	house.restings++;
	note("resting");
}

static void
on_accepting(struct weir_server *server, void *user)
{
	(void)server;
	(void)user;
	house.acceptings++;
	note("accepting");
}

static void
on_error(struct weir_server *server, int err, void *user)
{
	(void)server;
	(void)user;
	house.error = err;
	note("error");
}

static void
on_close(struct weir_server *server, void *user)
{
	struct weir_address at;

	(void)user;
	ck_assert(!weir_server_listening(server));
	ck_assert_int_eq(
	    weir_server_address(server, &at), WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_fd(server), -1);
	house.closes++;
	note("close");
}

static const struct weir_server_handlers handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_drop = on_drop,
    .on_resting = on_resting,
    .on_accepting = on_accepting,
    .on_error = on_error,
    .on_close = on_close,
};

static void
begin(void)
{
	support_begin();
	memset(&house, 0, sizeof(house));
	ck_assert_int_eq(
	    weir_server_new(&house.server, loop, NULL, &handlers, NULL), 0);
}

static void
free_sockets(void)
{
	unsigned i;

	for (i = 0; i < house.count; i++) {
		weir_socket_free(house.sockets[i]);
		house.sockets[i] = NULL;
	}
	house.count = 0;
}

static void
end(void)
{
	free_sockets();
	weir_server_free(house.server);
	support_end();
}

static struct weir_address
open_house(enum kind kind, const struct weir_listen_options *options)
{
	struct weir_address at = address_for(kind);

	ck_assert_int_eq(weir_server_listen(house.server, &at, options), 0);
	ck_assert_uint_eq(house.listenings, 0);
	until(house.listenings == 1 || house.closes == 1);
	ck_assert_int_eq(weir_server_address(house.server, &at), 0);
	return at;
}

/* ---- listening ---- */

START_TEST(a_server_listens_accepts_and_closes_after_its_last_connection)
{
	struct weir_address at = open_house((enum kind)_i, NULL);
	int a = connected_fd(&at), b = connected_fd(&at);

	if (_i != UNIX)
		ck_assert_uint_ne(weir_address_port(&at), 0);
	until(house.count == 2);
	ck_assert_uint_eq(weir_server_connections(house.server), 2);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	ck_assert_int_eq(
	    weir_server_close(house.server), WEIR_E_SERVER_NOT_RUNNING);
	ck_assert(!weir_server_listening(house.server));
	settle();
	ck_assert_uint_eq(house.closes, 0);
	weir_socket_destroy(house.sockets[0], 0);
	settle();
	ck_assert_uint_eq(house.closes, 0);
	weir_socket_free(house.sockets[1]);
	house.sockets[1] = NULL;
	until(house.closes == 1);
	ck_assert_str_eq(house.told, "listening connection connection close ");
	/* And again. */
	house.listenings = house.closes = 0;
	(void)open_house((enum kind)_i, NULL);
	ck_assert_int_eq(close(a), 0);
	ck_assert_int_eq(close(b), 0);
}
END_TEST

START_TEST(any_address_takes_both_families)
{
	struct weir_address at, to;
	int fd;

	ck_assert_int_eq(weir_server_listen_any(house.server, 0, NULL), 0);
	until(house.listenings == 1);
	ck_assert_int_eq(weir_server_address(house.server, &at), 0);
	ck_assert_int_eq(
	    weir_address_set_ip(&to, "127.0.0.1", weir_address_port(&at)), 0);
	fd = connected_fd(&to);
	until(house.count == 1);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(calls_that_make_no_sense_are_refused)
{
	struct weir_address at = address_for(TCP4), none = {0}, odd = at;
	struct weir_server *server;
	struct weir_server_handlers without = handlers;

	without.on_connection = NULL;
	ck_assert_int_eq(
	    weir_server_new(NULL, loop, NULL, &handlers, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_new(&server, NULL, NULL, &handlers, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &without, NULL), -EINVAL);
	weir_server_free(NULL);
	ck_assert_int_eq(weir_server_listen(NULL, &at, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_listen(house.server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_listen(house.server, &none, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_listen_fd(house.server, -1, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_close(NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_close(house.server), WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_address(house.server, &none),
	    WEIR_E_SERVER_NOT_RUNNING);
	settle();
	ck_assert_str_eq(house.told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0); /* nothing holds it */
	odd.u.sa.sa_family = 250;
	ck_assert_int_eq(weir_server_listen(house.server, &odd, NULL), 0);
	until(house.closes == 1);
	ck_assert_int_eq(house.error, -EAFNOSUPPORT);
}
END_TEST

START_TEST(listening_twice_is_refused_and_changes_nothing)
{
	struct weir_address at = address_for(TCP4);
	int fd;

	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL),
	    WEIR_E_SERVER_ALREADY_LISTEN);
	ck_assert_int_eq(weir_server_listen_any(house.server, 0, NULL),
	    WEIR_E_SERVER_ALREADY_LISTEN);
	ck_assert_int_eq(weir_server_listen_fd(house.server, 0, NULL),
	    WEIR_E_SERVER_ALREADY_LISTEN);
	until(house.listenings == 1);
	ck_assert_int_eq(weir_server_address(house.server, &at), 0);
	fd = connected_fd(&at);
	until(house.count == 1);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(an_address_in_use_is_told_and_can_be_tried_again)
{
	struct weir_address at;
	int fd = listening_fd((enum kind)_i, &at);

	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	ck_assert_uint_eq(house.closes, 0);
	until(house.closes == 1);
	ck_assert_str_eq(house.told, "error close ");
	ck_assert_int_eq(house.error, -EADDRINUSE);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	if (_i == UNIX) {
		struct stat st;

		/* The file is not ours, and stays. */
		ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
		ck_assert_int_eq(unlink(at.u.un.sun_path), 0);
	}
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	until(house.listenings == 1);
	fd = connected_fd(&at);
	until(house.count == 1);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(closing_before_it_listens_tells_no_listening)
{
	struct weir_address at = address_for(TCP4);

	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	until(house.closes == 1);
	ck_assert_str_eq(house.told, "close ");
}
END_TEST

/* ---- socket files ---- */

START_TEST(a_stale_socket_file_is_replaced_only_when_asked)
{
	const struct weir_listen_options replace = {.replace_stale = true};
	struct weir_address at;
	struct stat st;
	int fd = listening_fd(UNIX, &at);

	/* Alive: refused either way. */
	ck_assert_int_eq(weir_server_listen(house.server, &at, &replace), 0);
	until(house.closes == 1);
	ck_assert_int_eq(house.error, -EADDRINUSE);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	/* Stale: its listener has gone. */
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	until(house.closes == 2);
	ck_assert_int_eq(house.error, -EADDRINUSE);
	ck_assert_int_eq(weir_server_listen(house.server, &at, &replace), 0);
	until(house.listenings == 1);
	fd = connected_fd(&at);
	until(house.count == 1);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_socket_file_with_a_full_queue_is_not_stale)
{
	const struct weir_listen_options replace = {.replace_stale = true};
	struct weir_address at = address_for(UNIX);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), waits;

	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	ck_assert_int_eq(listen(fd, 0), 0);
	waits = connected_fd(&at);
	ck_assert_int_eq(weir_server_listen(house.server, &at, &replace), 0);
	until(house.closes == 1);
	ck_assert_int_eq(house.error, -EADDRINUSE);
	ck_assert_int_eq(close(waits), 0);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_never_replaced)
{
	const struct weir_listen_options replace = {.replace_stale = true};
	struct weir_address at = address_for(UNIX);
	struct stat st;
	int fd = open(at.u.un.sun_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(weir_server_listen(house.server, &at, &replace), 0);
	until(house.closes == 1);
	ck_assert_int_eq(house.error, WEIR_E_NOT_A_SOCKET_FILE);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	ck_assert(S_ISREG(st.st_mode));
}
END_TEST

START_TEST(the_mode_is_set_and_the_file_removed_at_the_end)
{
	const struct weir_listen_options options = {
	    .set_mode = true,
	    .mode = 0640,
	    .set_uid = true,
	    .uid = getuid(),
	};
	struct weir_address at = address_for(UNIX);
	struct stat st;

	ck_assert_int_eq(weir_server_listen(house.server, &at, &options), 0);
	/* Before the first connection can be accepted. */
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0640);
	until(house.listenings == 1);
	if (_i == 0) {
		ck_assert_int_eq(weir_server_close(house.server), 0);
	} else {
		weir_server_free(house.server);
		house.server = NULL;
	}
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), -1);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(another_file_in_its_place_is_left_alone)
{
	struct weir_address at = open_house(UNIX, NULL);
	struct stat st;
	int fd;

	ck_assert_int_eq(unlink(at.u.un.sun_path), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	until(house.closes == 1);
	ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(a_descriptor_that_is_bound_or_listens_is_taken_over)
{
	struct weir_address at = address_for((enum kind)(_i / 2));
	int fd = socket(at.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	if (_i % 2 == 1)
		ck_assert_int_eq(listen(fd, 5), 0);
	ck_assert_int_eq(weir_server_listen_fd(house.server, fd, NULL), 0);
	until(house.listenings == 1);
	ck_assert_int_eq(weir_server_fd(house.server), fd);
	ck_assert_int_eq(weir_server_address(house.server, &at), 0);
	fd = connected_fd(&at);
	until(house.count == 1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	if (at.u.sa.sa_family == AF_UNIX) /* whose it was made removes it */
		ck_assert_int_eq(lstat(at.u.un.sun_path, &st), 0);
}
END_TEST

static int
unusable(int which, int *other, int *expected)
{
	struct weir_address at;
	int fds[2], fd;

	*other = -1;
	switch (which) {
	case 0: /* connected */
		stream_pair(TCP4, fds);
		*other = fds[1];
		*expected = -EISCONN;
		return fds[0];
	case 1:
		*expected = WEIR_E_NOT_A_STREAM;
		return socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	case 2: /* not bound */
		*expected = -EINVAL;
		return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 3:
		*expected = -EINVAL;
		return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 4:
		*expected = -EINVAL;
		return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	case 5:
		*expected = WEIR_E_NOT_A_STREAM;
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default: /* closed */
		fd = listening_fd(TCP4, &at);
		ck_assert_int_eq(close(fd), 0);
		*expected = -EBADF;
		return fd;
	}
}

START_TEST(a_descriptor_that_cannot_listen_is_an_error_and_closed)
{
	int other, expected, fd = unusable(_i, &other, &expected);

	ck_assert_int_eq(weir_server_listen_fd(house.server, fd, NULL), 0);
	until(house.closes == 1);
	ck_assert_str_eq(house.told, "error close ");
	ck_assert_int_eq(house.error, expected);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
	if (other != -1)
		ck_assert_int_eq(close(other), 0);
}
END_TEST

/* The longest path that the system takes: sun_path has no room for its end. */
START_TEST(a_path_without_an_end_is_no_harm)
{
	struct weir_address at = address_for(UNIX), bound;
	char *path = at.u.un.sun_path;
	char whole[sizeof(at.u.un.sun_path) + 1] = "";
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memset(
	    path + strlen(path), 'x', sizeof(at.u.un.sun_path) - strlen(path));
	memcpy(whole, path, sizeof(at.u.un.sun_path));
	at.length = sizeof(at.u.un);
	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), -EINVAL);
	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	ck_assert_int_eq(weir_server_listen_fd(house.server, fd, NULL), 0);
	until(house.listenings == 1);
	ck_assert_int_eq(weir_server_address(house.server, &bound), 0);
	ck_assert_uint_le(bound.length, sizeof(bound.u));
	ck_assert_int_eq(weir_server_own_path(house.server), -ENAMETOOLONG);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	ck_assert_int_eq(unlink(whole), 0);
}
END_TEST

START_TEST(the_name_of_an_interface_is_not_cut)
{
	const struct weir_listen_options options = {
	    .interface = "lo23456789012345"};
	struct weir_address at = address_for(TCP4);

	ck_assert_int_eq(weir_server_listen(house.server, &at, &options), 0);
	until(house.closes == 1);
	ck_assert_int_eq(house.error, -EINVAL);
}
END_TEST

/* ---- limits ---- */

START_TEST(above_max_connections_clients_are_dropped)
{
	struct weir_address at = open_house((enum kind)_i, NULL);
	int a, b, c;

	weir_server_set_max_connections(house.server, 1);
	a = connected_fd(&at);
	b = connected_fd(&at);
	until(house.drops == 1);
	expect_end(b);
	ck_assert_uint_eq(house.count, 1);
	ck_assert_uint_eq(weir_server_connections(house.server), 1);
	free_sockets();
	c = connected_fd(&at);
	until(house.count == 1);
	weir_server_set_max_connections(house.server, 0);
	ck_assert_int_eq(close(b), 0);
	b = connected_fd(&at);
	until(house.drops == 2);
	ck_assert_int_eq(close(a), 0);
	ck_assert_int_eq(close(b), 0);
	ck_assert_int_eq(close(c), 0);
}
END_TEST

START_TEST(a_paused_server_leaves_clients_waiting)
{
	struct weir_address at = open_house(TCP4, NULL);
	int a;

	weir_server_pause(house.server);
	a = connected_fd(&at);
	settle();
	ck_assert_uint_eq(house.count, 0);
	ck_assert_uint_lt(turns_in(30), 15);
	weir_server_resume(house.server);
	until(house.count == 1);
	ck_assert_int_eq(close(a), 0);
}
END_TEST

START_TEST(a_burst_of_clients_is_accepted_whole)
{
	struct weir_address at = open_house(TCP4, NULL);
	int fds[MANY], i;

	for (i = 0; i < MANY; i++)
		fds[i] = connected_fd(&at);
	until(house.count == MANY);
	for (i = 0; i < MANY; i++)
		ck_assert_int_eq(close(fds[i]), 0);
}
END_TEST

/* Valgrind keeps the limit itself: it accepts the client, and closes it. */
static bool
limits_are_the_kernels(void)
{
	const char *loaded = getenv("LD_PRELOAD");

	return loaded == NULL || strstr(loaded, "vgpreload") == NULL;
}

/* 0: a connection ends; 1: a descriptor that is none of ours. */
START_TEST(without_descriptors_it_rests_and_goes_on_when_there_is_one)
{
	struct weir_address at = open_house(TCP4, NULL);
	struct rlimit was, none;
	int a = connected_fd(&at), b, spare, filler[64], fillers = 0;

	if (!limits_are_the_kernels()) {
		ck_assert_int_eq(close(a), 0);
		return;
	}
	until(house.count == 1);
	b = connected_fd(&at);
	spare = dup(b);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)spare + 1;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (fillers < 64 && (filler[fillers] = dup(b)) != -1)
		fillers++;
	ck_assert_int_eq(errno, EMFILE);
	until(house.restings == 1);
	ck_assert_int_eq(house.rest_error, -EMFILE);
	ck_assert_uint_lt(turns_in(60), 20);
	ck_assert_uint_eq(house.count, 1);
	if (_i == 0)
		weir_socket_destroy(house.sockets[0], 0);
	else
		ck_assert_int_eq(close(spare), 0);
	until(house.count == 2);
	/* That was the last one, and it is short of them still. */
	ck_assert_uint_eq(house.acceptings, 0);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	until(house.acceptings == 1);
	ck_assert_uint_eq(house.restings, 1);
	while (fillers > 0)
		ck_assert_int_eq(close(filler[--fillers]), 0);
	ck_assert_int_eq(close(a), 0);
	ck_assert_int_eq(close(b), 0);
	if (_i == 0)
		ck_assert_int_eq(close(spare), 0);
}
END_TEST

START_TEST(who_waits_at_the_close_is_waited_for_without_descriptors)
{
	struct weir_address at = open_house(TCP4, NULL);
	struct rlimit was, none;
	int fd;

	if (!limits_are_the_kernels())
		return;
	weir_server_pause(house.server);
	fd = connected_fd(&at);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(weir_server_close_soon(house.server), 0);
	until(house.restings == 1);
	ck_assert_uint_lt(turns_in(60), 20);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &was), 0);
	until(house.count == 1);
	until(!weir_server_listening(house.server));
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- options ---- */

START_TEST(accepted_sockets_start_with_the_servers_options)
{
	const struct weir_server_options options = {
	    .pause_on_connect = true,
	    .allow_half_open = true,
	    .no_delay = true,
	    .keep_alive = true,
	    .keep_alive_initial_delay_ms = 5000,
	};
	struct weir_address at;
	int fd, value;
	socklen_t length = sizeof(value);

	weir_server_free(house.server);
	ck_assert_int_eq(
	    weir_server_new(&house.server, loop, &options, &handlers, NULL), 0);
	at = open_house(TCP4, NULL);
	fd = connected_fd(&at);
	until(house.count == 1);
	ck_assert(weir_socket_paused(house.sockets[0]));
	ck_assert_int_eq(getsockopt(weir_socket_fd(house.sockets[0]),
			     IPPROTO_TCP, TCP_NODELAY, &value, &length),
	    0);
	ck_assert_int_ne(value, 0);
	ck_assert_int_eq(getsockopt(weir_socket_fd(house.sockets[0]),
			     IPPROTO_TCP, TCP_KEEPIDLE, &value, &length),
	    0);
	ck_assert_int_eq(value, 5);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- life ---- */

START_TEST(an_open_server_holds_the_loop_unless_it_is_unrefd)
{
	(void)open_house(TCP4, NULL);
	weir_server_unref(house.server);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_server_ref(house.server);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(house.closes, 1);
}
END_TEST

START_TEST(what_is_due_is_told_of_an_unreferenced_server_too)
{
	(void)open_house(TCP4, NULL);
	weir_server_unref(house.server);
	ck_assert_int_eq(weir_server_close(house.server), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(house.closes, 1);
}
END_TEST

START_TEST(connections_live_on_when_their_server_is_freed)
{
	struct weir_address at = open_house(TCP4, NULL);
	int fd = connected_fd(&at);

	until(house.count == 1);
	weir_server_free(house.server);
	house.server = NULL;
	ck_assert_int_eq(weir_socket_write(house.sockets[0], "on", 2), 0);
	expect(fd, "on");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static const char *const occasions[] = {
    "listening", "connection", "drop", "error", "close"};

START_TEST(a_handler_may_free_the_server)
{
	struct weir_address at = address_for(TCP4);
	int fd = -1, busy = -1, i;

	house.free_at = occasions[_i];
	if (strcmp(house.free_at, "error") == 0)
		busy = listening_fd(TCP4, &at);
	if (strcmp(house.free_at, "drop") == 0)
		weir_server_set_max_connections(house.server, 0);
	ck_assert_int_eq(weir_server_listen(house.server, &at, NULL), 0);
	settle();
	if (house.server != NULL) {
		ck_assert_int_eq(weir_server_address(house.server, &at), 0);
		fd = connected_fd(&at);
		for (i = 0; i < 4; i++)
			settle();
	}
	if (house.server != NULL)
		ck_assert_int_eq(weir_server_close(house.server), 0);
	free_sockets();
	until(house.server == NULL);
	settle();
	if (fd != -1)
		ck_assert_int_eq(close(fd), 0);
	if (busy != -1)
		ck_assert_int_eq(close(busy), 0);
}
END_TEST

START_TEST(a_connection_may_be_freed_where_it_is_handed_over)
{
	struct weir_address at = open_house(TCP4, NULL);
	int fd = connected_fd(&at);

	house.close_sockets = true;
	until(house.count == 1);
	expect_end(fd);
	ck_assert_uint_eq(weir_server_connections(house.server), 0);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static Suite *
server_suite(void)
{
	Suite *suite = suite_create("server");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, begin, end);
	tcase_add_loop_test(all,
	    a_server_listens_accepts_and_closes_after_its_last_connection, 0,
	    3);
	tcase_add_test(all, any_address_takes_both_families);
	tcase_add_test(all, calls_that_make_no_sense_are_refused);
	tcase_add_test(all, listening_twice_is_refused_and_changes_nothing);
	tcase_add_loop_test(
	    all, an_address_in_use_is_told_and_can_be_tried_again, 0, 3);
	tcase_add_test(all, closing_before_it_listens_tells_no_listening);
	tcase_add_test(all, a_stale_socket_file_is_replaced_only_when_asked);
	tcase_add_test(all, a_socket_file_with_a_full_queue_is_not_stale);
	tcase_add_test(all, a_file_that_is_no_socket_is_never_replaced);
	tcase_add_loop_test(
	    all, the_mode_is_set_and_the_file_removed_at_the_end, 0, 2);
	tcase_add_test(all, another_file_in_its_place_is_left_alone);
	tcase_add_loop_test(
	    all, a_descriptor_that_is_bound_or_listens_is_taken_over, 0, 6);
	tcase_add_loop_test(
	    all, a_descriptor_that_cannot_listen_is_an_error_and_closed, 0, 7);
	tcase_add_test(all, a_path_without_an_end_is_no_harm);
	tcase_add_test(all, the_name_of_an_interface_is_not_cut);
	tcase_add_loop_test(
	    all, above_max_connections_clients_are_dropped, 0, 3);
	tcase_add_test(all, a_paused_server_leaves_clients_waiting);
	tcase_add_test(all, a_burst_of_clients_is_accepted_whole);
	tcase_add_loop_test(all,
	    without_descriptors_it_rests_and_goes_on_when_there_is_one, 0, 2);
	tcase_add_test(
	    all, who_waits_at_the_close_is_waited_for_without_descriptors);
	tcase_add_test(all, accepted_sockets_start_with_the_servers_options);
	tcase_add_test(all, an_open_server_holds_the_loop_unless_it_is_unrefd);
	tcase_add_test(all, what_is_due_is_told_of_an_unreferenced_server_too);
	tcase_add_test(all, connections_live_on_when_their_server_is_freed);
	tcase_add_loop_test(all, a_handler_may_free_the_server, 0, 5);
	tcase_add_test(all, a_connection_may_be_freed_where_it_is_handed_over);
	suite_add_tcase(suite, all);
	return suite;
}

int
main(void)
{
	return run_suite(server_suite());
}
