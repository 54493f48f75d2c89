/*
 * Channels: messages, and connections that go on in other hands; in one
 * process where that is enough, and in two where it is not.
 */
#include "config.h"

#include <sys/resource.h>
#include <sys/socket.h>
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

#include <weir/channel.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/server.h>
#include <weir/socket.h>

static struct weir_loop *loop;
static struct weir_channel *here, *there;
static struct weir_server *server;
static struct weir_socket *accepted, *received;
static char told[1024], bytes[256];
static size_t counted;
static int received_fds[WEIR_MESSAGE_FDS];
static size_t received_count;

static void
note(const char *what)
{
	if (told[0] != '\0')
		strcat(told, " ");
	strcat(told, what);
}

static void
turn(void)
{
	(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
}

/* ---- what is told ---- */

static void
on_data(struct weir_socket *s, const void *data, size_t length, void *user)
{
	(void)s;
	(void)user;
	strncat(bytes, data, length);
}

static void
on_end(struct weir_socket *s, void *user)
{
	(void)s;
	(void)user;
	note("end");
}

static void
on_socket_close(struct weir_socket *s, int err, void *user)
{
	(void)s;
	ck_assert_int_eq(err, 0);
	note(user);
}

static const struct weir_socket_handlers socket_handlers = {
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_socket_close,
};

static char gone[] = "gone", done[] = "done";

static void
on_message(struct weir_channel *c, struct weir_socket *s, const void *data,
    size_t length, void *user)
{
	char text[64];

	(void)c;
	(void)user;
	(void)snprintf(
	    text, sizeof(text), "%.*s", (int)length, (const char *)data);
	note(text);
	if (s == NULL)
		return;
	note("+socket");
	received = s;
	weir_socket_set_handlers(s, &socket_handlers, done);
}

static void
on_lost(struct weir_channel *c, int err, void *user)
{
	(void)c;
	(void)user;
	note("lost");
	note(weir_error_name(err));
}

static void
on_fds(struct weir_channel *c, const int *fds, size_t count, const void *data,
    size_t length, void *user)
{
	char text[64];

	(void)c;
	(void)user;
	(void)snprintf(text, sizeof(text), "%.*s+%zu", (int)length,
	    (const char *)data, count);
	note(text);
	ck_assert_uint_le(received_count + count, WEIR_MESSAGE_FDS);
	for (size_t i = 0; i < count; i++)
		received_fds[received_count++] = fds[i];
}

static void
on_writable(struct weir_channel *c, void *user)
{
	(void)c;
	(void)user;
	note("writable");
}

static void
on_channel_close(struct weir_channel *c, int err, void *user)
{
	(void)c;
	(void)user;
	note(err == 0 ? "close" : weir_error_name(err));
}

static const struct weir_channel_handlers channel_handlers = {
    .on_message = on_message,
    .on_fds = on_fds,
    .on_lost = on_lost,
    .on_writable = on_writable,
    .on_close = on_channel_close,
};

static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	accepted = socket;
	weir_socket_set_handlers(socket, &socket_handlers, gone);
}

static void
on_server_close(struct weir_server *s, void *user)
{
	(void)s;
	(void)user;
	note("server");
}

static const struct weir_server_handlers server_handlers = {
    .on_connection = on_connection,
    .on_close = on_server_close,
};

static void
on_counted(struct weir_server *s, int err, size_t count, void *user)
{
	(void)s;
	(void)err;
	*(bool *)user = true;
	counted = count;
}

static size_t
connections(void)
{
	bool answered = false;

	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, &answered), 0);
	while (!answered)
		turn();
	return counted;
}

/* ---- a stage ---- */

static void
open_server(void)
{
	const struct weir_server_options options = {.pause_on_connect = true};
	struct weir_address any;

	ck_assert_int_eq(
	    weir_server_new(&server, loop, &options, &server_handlers, NULL),
	    0);
	ck_assert_int_eq(weir_address_set_ip(&any, "127.0.0.1", 0), 0);
	ck_assert_int_eq(weir_server_listen(server, &any, NULL), 0);
	while (!weir_server_listening(server))
		turn();
}

/* A client that has said something before anybody listens. */
static int
client(const char *early)
{
	struct weir_address at;
	int fd;

	ck_assert_int_eq(weir_server_address(server, &at), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, &at.u.sa, at.length), 0);
	ck_assert_int_eq(
	    send(fd, early, strlen(early), 0), (ssize_t)strlen(early));
	accepted = NULL;
	while (accepted == NULL)
		turn();
	return fd;
}

static void
set_up(void)
{
	int fds[2];

	told[0] = bytes[0] = '\0';
	accepted = received = NULL;
	received_count = 0;
	server = NULL;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    weir_channel_new(&here, loop, fds[0], &channel_handlers, NULL), 0);
	ck_assert_int_eq(
	    weir_channel_new(&there, loop, fds[1], &channel_handlers, NULL), 0);
}

static void
tear_down(void)
{
	weir_socket_free(accepted);
	weir_socket_free(received);
	while (received_count > 0)
		ck_assert_int_eq(close(received_fds[--received_count]), 0);
	weir_server_free(server);
	weir_channel_free(here);
	weir_channel_free(there);
	weir_loop_free(loop);
}

/* ---- messages ---- */

START_TEST(messages_keep_their_bounds_and_order)
{
	ck_assert_int_eq(weir_channel_send(here, NULL, "one", 3), 0);
	ck_assert_int_eq(weir_channel_send(here, NULL, NULL, 0), 0);
	ck_assert_int_eq(weir_channel_send(here, NULL, "three", 5), 0);
	ck_assert_str_eq(told, "");
	while (strstr(told, "three") == NULL)
		turn();
	ck_assert_str_eq(told, "one  three");
}
END_TEST

START_TEST(the_end_of_a_channel_is_told_after_its_messages)
{
	ck_assert_int_eq(weir_channel_send(here, NULL, "last", 4), 0);
	weir_channel_free(here);
	here = NULL;
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "last close");
	ck_assert_int_eq(weir_channel_send(there, NULL, "x", 1), -EPIPE);
}
END_TEST

START_TEST(a_full_channel_says_when_there_is_room)
{
	char message[WEIR_MESSAGE_MAX] = "";
	int err;

	while ((err = weir_channel_send(
		    here, NULL, message, sizeof(message))) == 0)
		;
	ck_assert_int_eq(err, -EAGAIN);
	while (strstr(told, "writable") == NULL) {
		memset(told, 0, sizeof(told));
		turn();
	}
	ck_assert_int_eq(weir_channel_send(here, NULL, "x", 1), 0);
}
END_TEST

START_TEST(an_unreferenced_channel_does_not_hold_the_loop)
{
	weir_channel_unref(here);
	weir_channel_unref(here);
	weir_channel_unref(there);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	weir_channel_ref(there);
	ck_assert_int_eq(weir_channel_send(here, NULL, "x", 1), 0);
	weir_channel_free(here);
	here = NULL;
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "x close");
}
END_TEST

START_TEST(bad_channels_and_messages_are_refused)
{
	char message[WEIR_MESSAGE_MAX + 1] = "";
	struct weir_channel *c = NULL;
	int fds[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(
	    weir_channel_new(&c, loop, fds[0], &channel_handlers, NULL),
	    -EPROTOTYPE);
	ck_assert_int_eq(
	    weir_channel_new(&c, loop, -1, &channel_handlers, NULL),
	    -EPROTOTYPE);
	ck_assert_int_eq(
	    weir_channel_new(NULL, loop, fds[0], &channel_handlers, NULL),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_channel_new(&c, NULL, fds[0], &channel_handlers, NULL),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_channel_new(&c, loop, fds[0], NULL, NULL), -EINVAL);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(close(fds[0]), 0);
	ck_assert_int_eq(close(fds[1]), 0);
	ck_assert_int_eq(weir_channel_pair(NULL), -EINVAL);
	ck_assert_int_eq(weir_channel_send(NULL, NULL, "x", 1), -EINVAL);
	ck_assert_int_eq(weir_channel_send(here, NULL, NULL, 1), -EINVAL);
	ck_assert_int_eq(
	    weir_channel_send(here, NULL, message, sizeof(message)), -EMSGSIZE);
	weir_channel_ref(NULL);
	weir_channel_unref(NULL);
	weir_channel_free(NULL);
}
END_TEST

START_TEST(what_is_no_message_is_told_and_closed)
{
	struct weir_channel *c;
	int fds[2];

	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    weir_channel_new(&c, loop, fds[0], &channel_handlers, NULL), 0);
	ck_assert_int_eq(send(fds[1], "nonsense", 8, 0), 8);
	ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
	while (strstr(told, "lost EBADMSG lost EBADMSG") == NULL)
		turn();
	ck_assert_int_eq(close(fds[1]), 0);
	weir_channel_free(c);
}
END_TEST

/* ---- connections ---- */

START_TEST(a_connection_goes_on_in_other_hands)
{
	char got[16] = "";
	int fd;

	open_server();
	fd = client("early");
	ck_assert_uint_eq(connections(), 1);
	ck_assert_int_eq(weir_channel_send(here, accepted, "take", 4), 0);
	ck_assert_int_eq(weir_socket_fd(accepted), -1);
	ck_assert_str_eq(told, "");
	while (received == NULL || strstr(told, "gone") == NULL)
		turn();
	ck_assert_str_eq(told, "gone take +socket");
	ck_assert_uint_eq(weir_server_connections(server), 0);
	ck_assert_uint_eq(connections(), 1);
	ck_assert(weir_socket_paused(received));

	/* No byte is lost, and none of it was an end for the client. */
	ck_assert_int_eq(weir_socket_write(received, "hello", 5), 0);
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 5);
	ck_assert_str_eq(got, "hello");
	weir_socket_resume(received);
	while (strcmp(bytes, "early") != 0)
		turn();
	ck_assert_int_eq(weir_server_close(server), 0);
	ck_assert_int_eq(close(fd), 0);
	weir_channel_unref(here);
	weir_channel_unref(there);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "gone take +socket end done server");
	ck_assert_uint_eq(connections(), 0);
}
END_TEST

START_TEST(a_connection_may_go_on_again)
{
	struct weir_socket *first;
	int fd;

	open_server();
	fd = client("early");
	ck_assert_int_eq(weir_channel_send(here, accepted, "", 0), 0);
	while (received == NULL)
		turn();
	first = received;
	received = NULL;
	ck_assert_int_eq(weir_channel_send(there, first, "", 0), 0);
	while (received == NULL)
		turn();
	weir_socket_free(first);
	ck_assert_uint_eq(connections(), 1);
	weir_socket_resume(received);
	while (strcmp(bytes, "early") != 0)
		turn();
	weir_socket_free(received);
	received = NULL;
	while (connections() != 0)
		; /* it takes turns itself */
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_connection_that_nobody_takes_is_ended)
{
	char byte;
	int fd;

	open_server();
	fd = client("early");
	ck_assert_int_eq(weir_channel_send(here, accepted, "", 0), 0);
	weir_channel_free(there); /* with the connection in it */
	there = NULL;
	while (connections() != 0)
		; /* it takes turns itself */
	/* Its bytes were never read: that is a reset. */
	ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_half_of_a_connection_goes_on_as_one)
{
	struct weir_socket *s;
	char byte;
	int fds[2];

	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(
	    weir_socket_new(&s, loop, NULL, &socket_handlers, gone), 0);
	ck_assert_int_eq(weir_socket_open_fd(s, fds[0], true, true), 0);
	ck_assert_int_eq(weir_socket_end(s), 0);
	ck_assert_int_eq(weir_channel_send(here, s, "", 0), 0);
	while (received == NULL)
		turn();
	weir_socket_free(s);
	ck_assert_int_eq(weir_socket_ready_state(received), WEIR_READ_ONLY);
	ck_assert_int_eq(recv(fds[1], &byte, 1, 0), 0);
	ck_assert_int_eq(
	    weir_socket_write(received, "x", 1), WEIR_E_WRITE_AFTER_END);
	ck_assert_int_eq(send(fds[1], "x", 1, 0), 1);
	while (strcmp(bytes, "x") != 0) /* it was not paused */
		turn();
	ck_assert_int_eq(close(fds[1]), 0);
}
END_TEST

START_TEST(what_cannot_go_stays_as_it_is)
{
	static const char much[4 * 1024 * 1024];
	struct weir_socket *idle, *file;
	int fd, pipe_fds[2];

	open_server();
	fd = client("early");
	ck_assert_int_eq(weir_socket_new(&idle, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(
	    weir_channel_send(here, idle, "", 0), WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(weir_socket_pipe(accepted, idle, NULL), 0);
	ck_assert_int_eq(
	    weir_channel_send(here, accepted, "", 0), WEIR_E_ALREADY_PIPED);
	ck_assert_int_eq(weir_socket_unpipe(accepted), 0);
	weir_socket_free(idle);

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_socket_new(&file, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_open_fd(file, pipe_fds[0], true, false), 0);
	ck_assert_int_eq(
	    weir_channel_send(here, file, "", 0), WEIR_E_NOT_A_STREAM);
	weir_socket_free(file);
	ck_assert_int_eq(close(pipe_fds[1]), 0);

	ck_assert_int_eq(
	    weir_socket_write(accepted, much, sizeof(much)), WEIR_WAIT);
	ck_assert_int_eq(weir_channel_send(here, accepted, "", 0), -EBUSY);
	ck_assert_int_eq(weir_socket_ready_state(accepted), WEIR_OPEN);
	ck_assert_uint_eq(connections(), 1);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_connection_without_a_descriptor_is_lost)
{
	struct rlimit limit, none;
	int fd;

	open_server();
	fd = client("early");
	ck_assert_int_eq(weir_channel_send(here, accepted, "", 0), 0);
	while (strstr(told, "gone") == NULL && received == NULL)
		(void)event_base_loop(
		    weir_loop_base(loop), EVLOOP_ONCE | EVLOOP_NONBLOCK);
	if (received != NULL) /* it was told before: send it once more */
		ck_assert_int_eq(weir_channel_send(there, received, "", 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = limit;
	none.rlim_cur = 0;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	while (strstr(told, "lost EMFILE") == NULL)
		turn();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (connections() != 0)
		; /* it takes turns itself */
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- descriptors ---- */

START_TEST(descriptors_of_any_kind_go_along)
{
	int pipe_fds[2], fds[WEIR_MESSAGE_FDS + 1];
	char byte = 'x';
	size_t i;

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
	for (i = 0; i < WEIR_MESSAGE_FDS + 1; i++)
		fds[i] = pipe_fds[1];
	ck_assert_int_eq(weir_channel_send_fds(here, "two", 3, pipe_fds, 2), 0);
	ck_assert_int_eq(weir_channel_send_fds(here, "none", 4, NULL, 0), 0);
	ck_assert_int_eq(weir_channel_send(here, NULL, "plain", 5), 0);
	ck_assert_int_eq(
	    weir_channel_send_fds(here, "most", 4, fds, WEIR_MESSAGE_FDS - 2),
	    0);
	ck_assert_int_eq(close(pipe_fds[0]), 0);
	ck_assert_int_eq(close(pipe_fds[1]), 0);
	while (strstr(told, "most") == NULL)
		turn();
	ck_assert_str_eq(told, "two+2 none+0 plain most+62");
	ck_assert_int_eq(fcntl(received_fds[0], F_GETFD), FD_CLOEXEC);
	for (i = 1; i < received_count; i++)
		ck_assert_int_eq(write(received_fds[i], "y", 1), 1);
	ck_assert_int_eq(read(received_fds[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 'y');
}
END_TEST

START_TEST(descriptors_that_cannot_go_are_refused)
{
	int fds[WEIR_MESSAGE_FDS + 1] = {0}, closed = 1 << 20;
	char message[WEIR_MESSAGE_MAX + 1] = "";

	ck_assert_int_eq(
	    weir_channel_send_fds(here, "x", 1, fds, WEIR_MESSAGE_FDS + 1),
	    -EMSGSIZE);
	ck_assert_int_eq(
	    weir_channel_send_fds(here, message, sizeof(message), fds, 1),
	    -EMSGSIZE);
	ck_assert_int_eq(weir_channel_send_fds(here, NULL, 1, fds, 1), -EINVAL);
	ck_assert_int_eq(weir_channel_send_fds(here, "x", 1, NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_channel_send_fds(NULL, "x", 1, fds, 1), -EINVAL);
	ck_assert_int_eq(
	    weir_channel_send_fds(here, "x", 1, &closed, 1), -EBADF);
	weir_channel_free(there);
	there = NULL;
	ck_assert_int_eq(weir_channel_send_fds(here, "x", 1, fds, 1), -EPIPE);
}
END_TEST

START_TEST(descriptors_that_nobody_wants_are_closed)
{
	static const struct weir_channel_handlers deaf = {
	    .on_message = on_message,
	    .on_lost = on_lost,
	};
	int pipe_fds[2];
	char byte;

	weir_channel_free(there);
	weir_channel_free(here);
	ck_assert_int_eq(weir_channel_pair(pipe_fds), 0);
	ck_assert_int_eq(
	    weir_channel_new(&here, loop, pipe_fds[0], &deaf, 0), 0);
	ck_assert_int_eq(
	    weir_channel_new(&there, loop, pipe_fds[1], &deaf, 0), 0);
	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(
	    weir_channel_send_fds(here, "x", 1, &pipe_fds[1], 1), 0);
	ck_assert_int_eq(close(pipe_fds[1]), 0);
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), -1);
	while (strstr(told, "lost EBADMSG") == NULL)
		turn();
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 0);
	ck_assert_int_eq(close(pipe_fds[0]), 0);
}
END_TEST

START_TEST(descriptors_that_find_no_room_are_lost_together)
{
	int pipe_fds[2];
	struct rlimit limit, few;
	char byte;

	ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK), 0);
	for (int i = 0; i < 2; i++) {
		int twice[2] = {pipe_fds[1], pipe_fds[1]};

		ck_assert_int_eq(
		    weir_channel_send_fds(here, "x", 1, twice, 2), 0);
	}
	ck_assert_int_eq(close(pipe_fds[1]), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	few = limit;
	few.rlim_cur = (rlim_t)pipe_fds[1] + 1; /* one is free */
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (strstr(told, "lost EMFILE") == NULL)
		turn();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	while (strstr(told, "x+2") == NULL &&
	       strstr(told, "lost EMFILE lost EMFILE") == NULL)
		turn();
	while (received_count > 0)
		ck_assert_int_eq(close(received_fds[--received_count]), 0);
	ck_assert_int_eq(read(pipe_fds[0], &byte, 1), 0);
	ck_assert_int_eq(close(pipe_fds[0]), 0);
}
END_TEST

/* ---- two processes ---- */

/* The other process: echoes what comes by the connections that it is sent. */
static void
serve(int fd)
{
	struct weir_channel *c;

	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
	    weir_channel_new(&c, loop, fd, &channel_handlers, NULL), 0);
	for (;;) {
		turn();
		if (strstr(told, "close") != NULL)
			_exit(0);
		if (received == NULL)
			continue;
		weir_socket_resume(received);
		(void)weir_socket_pipe(received, received, NULL);
		received = NULL;
	}
}

START_TEST(another_process_goes_on_with_a_connection)
{
	char got[16] = "";
	int fds[2], fd;
	pid_t pid;

	ck_assert_int_eq(weir_channel_pair(fds), 0);
	pid = fork();
	ck_assert_int_ne(pid, -1);
	if (pid == 0) {
		(void)close(fds[0]);
		serve(fds[1]);
	}
	ck_assert_int_eq(close(fds[1]), 0);
	weir_channel_free(here);
	ck_assert_int_eq(
	    weir_channel_new(&here, loop, fds[0], &channel_handlers, NULL), 0);
	open_server();
	fd = client("early");
	ck_assert_int_eq(weir_channel_send(here, accepted, "", 0), 0);
	weir_socket_free(accepted);
	accepted = NULL;
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 5);
	ck_assert_str_eq(got, "early");
	ck_assert_uint_eq(connections(), 1);
	ck_assert_uint_eq(weir_server_connections(server), 0);
	if (_i == 0)
		ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	else
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
	while (connections() != 0)
		; /* it takes turns itself */
	ck_assert_int_eq(recv(fd, got, sizeof(got), 0), 0);
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* It plays the limit of descriptors itself, and the kernel knows none. */
static bool
under_valgrind(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return preload != NULL && strstr(preload, "vgpreload") != NULL;
}

int
main(void)
{
	Suite *s = suite_create("net/channel");
	TCase *m = tcase_create("messages"), *c = tcase_create("connections");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(m, set_up, tear_down);
	tcase_add_test(m, messages_keep_their_bounds_and_order);
	tcase_add_test(m, the_end_of_a_channel_is_told_after_its_messages);
	tcase_add_test(m, a_full_channel_says_when_there_is_room);
	tcase_add_test(m, an_unreferenced_channel_does_not_hold_the_loop);
	tcase_add_test(m, bad_channels_and_messages_are_refused);
	tcase_add_test(m, what_is_no_message_is_told_and_closed);
	suite_add_tcase(s, m);

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_connection_goes_on_in_other_hands);
	tcase_add_test(c, a_connection_may_go_on_again);
	tcase_add_test(c, a_connection_that_nobody_takes_is_ended);
	tcase_add_test(c, a_half_of_a_connection_goes_on_as_one);
	tcase_add_test(c, what_cannot_go_stays_as_it_is);
	if (!under_valgrind())
		tcase_add_test(c, a_connection_without_a_descriptor_is_lost);
	tcase_add_test(c, descriptors_of_any_kind_go_along);
	tcase_add_test(c, descriptors_that_cannot_go_are_refused);
	tcase_add_test(c, descriptors_that_nobody_wants_are_closed);
	if (!under_valgrind())
		tcase_add_test(
		    c, descriptors_that_find_no_room_are_lost_together);
	tcase_add_loop_test(c, another_process_goes_on_with_a_connection, 0, 2);
	suite_add_tcase(s, c);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
