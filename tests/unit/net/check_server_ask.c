/*
 * What is asked of a server and answered later: connections counted, a close
 * that tells, a host to listen on; and listening on the handle of another.
 */
#include "config.h"

#include <sys/socket.h>

#include <check.h>
#include <errno.h>
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
static struct weir_server *server, *other;
static struct weir_socket *accepted;
static char told[1024];
static bool free_in_answer;

static void
note(const char *what)
{
	if (told[0] != '\0')
		strcat(told, " ");
	strcat(told, what);
}

static void
note_number(const char *what, size_t n)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%s:%zu", what, n);
	note(text);
}

static void
on_listening(struct weir_server *s, void *user)
{
	(void)s;
	(void)user;
	note("listening");
}

static void
on_connection(struct weir_server *s, struct weir_socket *socket, void *user)
{
	(void)s;
	(void)user;
	note("connection");
	accepted = socket;
}

static void
on_error(struct weir_server *s, int err, void *user)
{
	(void)s;
	(void)user;
	(void)err;
	note("error");
}

static void
on_close(struct weir_server *s, void *user)
{
	(void)s;
	(void)user;
	note("close");
}

static const struct weir_server_handlers handlers = {
    .on_listening = on_listening,
    .on_connection = on_connection,
    .on_error = on_error,
    .on_close = on_close,
};

static void
on_closed(struct weir_server *s, int err, void *user)
{
	(void)user;
	note(err == 0 ? "closed" : weir_error_name(err));
	if (free_in_answer) {
		weir_server_free(s);
		server = NULL;
	}
}

static void
on_counted(struct weir_server *s, int err, size_t count, void *user)
{
	(void)s;
	(void)user;
	ck_assert_int_eq(err, 0);
	note_number("count", count);
}

static void
turn(void)
{
	(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
}

static struct weir_address
address_of(const struct weir_server *s)
{
	struct weir_address at;

	ck_assert_int_eq(weir_server_address(s, &at), 0);
	return at;
}

/* Listen on a port of 127.0.0.1, and be told so. */
static void
listen_now(struct weir_server *s)
{
	struct weir_address any;

	ck_assert_int_eq(weir_address_set_ip(&any, "127.0.0.1", 0), 0);
	ck_assert_int_eq(weir_server_listen(s, &any, NULL), 0);
	while (!weir_server_listening(s))
		turn();
	told[0] = '\0';
}

/* A client, and the server's end of it in accepted. */
static int
client_of(const struct weir_server *s)
{
	struct weir_address at = address_of(s);
	int fd = socket(at.u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(connect(fd, &at.u.sa, at.length), 0);
	accepted = NULL;
	while (accepted == NULL)
		turn();
	told[0] = '\0';
	return fd;
}

static void
set_up(void)
{
	told[0] = '\0';
	free_in_answer = false;
	accepted = NULL;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &handlers, NULL), 0);
	ck_assert_int_eq(
	    weir_server_new(&other, loop, NULL, &handlers, NULL), 0);
}

static void
tear_down(void)
{
	weir_socket_free(accepted);
	weir_server_free(server);
	weir_server_free(other);
	weir_loop_free(loop);
}

/* ---- close ---- */

START_TEST(a_close_is_told_after_on_close)
{
	listen_now(server);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed");
}
END_TEST

START_TEST(a_close_waits_for_the_last_connection)
{
	int fd;

	listen_now(server);
	fd = client_of(server);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	turn();
	ck_assert_str_eq(told, "");
	weir_socket_destroy(accepted, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed WEIR_E_SERVER_NOT_RUNNING");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
listen_and_close(struct weir_server *s, void *user)
{
	struct weir_address any;
	unsigned *again = user;

	note("close");
	if ((*again)-- != 1)
		return;
	ck_assert_int_eq(weir_address_set_ip(&any, "127.0.0.1", 0), 0);
	ck_assert_int_eq(weir_server_listen(s, &any, NULL), 0);
	ck_assert_int_eq(weir_server_close_cb(s, on_closed, NULL), 0);
}

START_TEST(a_close_in_on_close_is_of_the_next_listen)
{
	const struct weir_server_handlers again_handlers = {
	    .on_connection = on_connection,
	    .on_close = listen_and_close,
	};
	unsigned again = 1;

	weir_server_free(server);
	ck_assert_int_eq(
	    weir_server_new(&server, loop, NULL, &again_handlers, &again), 0);
	listen_now(server);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed close closed");
	weir_server_free(server);
	server = NULL;
}
END_TEST

START_TEST(a_close_of_what_was_not_open_is_told_so)
{
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "WEIR_E_SERVER_NOT_RUNNING");
}
END_TEST

START_TEST(a_close_may_free_the_server_while_more_is_asked)
{
	listen_now(server);
	free_in_answer = true;
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed");
}
END_TEST

START_TEST(a_freed_server_answers_nothing)
{
	listen_now(server);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	weir_server_free(server);
	server = NULL;
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "");
}
END_TEST

/* ---- connections ---- */

START_TEST(connections_are_counted_later)
{
	int fd;

	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "count:0"); /* it never listened */
	listen_now(server);
	fd = client_of(server);
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	while (told[0] == '\0')
		turn();
	ck_assert_str_eq(told, "count:1");
	ck_assert_uint_eq(weir_server_connections(server), 1);
	weir_socket_free(accepted);
	accepted = NULL;
	weir_server_unref(server);
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0); /* the question holds it */
	ck_assert_str_eq(told, "count:1 count:0");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_fresh_listen_counts_afresh)
{
	int fd;

	listen_now(server);
	fd = client_of(server);
	weir_socket_free(accepted);
	accepted = NULL;
	ck_assert_int_eq(weir_server_close(server), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(close(fd), 0);
	listen_now(server);
	fd = client_of(server);
	ck_assert_int_eq(
	    weir_server_get_connections(server, on_counted, NULL), 0);
	while (told[0] == '\0')
		turn();
	ck_assert_str_eq(told, "count:1");
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(bad_questions_are_refused)
{
	ck_assert_int_eq(
	    weir_server_get_connections(NULL, on_counted, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_get_connections(server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_server_close_cb(NULL, on_closed, NULL), -EINVAL);
	listen_now(server);
	ck_assert_int_eq(weir_server_close_cb(server, NULL, NULL), -EINVAL);
	ck_assert(weir_server_listening(server));
}
END_TEST

/* ---- hosts ---- */

START_TEST(a_host_is_looked_up_and_listened_on)
{
	struct weir_address at;

	ck_assert_int_eq(
	    weir_server_listen_host(server, "localhost", 0, NULL), 0);
	ck_assert_int_eq(weir_server_listen_host(server, "localhost", 0, NULL),
	    WEIR_E_SERVER_ALREADY_LISTEN);
	ck_assert_int_eq(
	    weir_server_address(server, &at), WEIR_E_SERVER_NOT_RUNNING);
	while (told[0] == '\0')
		turn();
	ck_assert_str_eq(told, "listening");
	at = address_of(server);
	ck_assert_uint_ne(weir_address_port(&at), 0);
}
END_TEST

START_TEST(a_host_may_be_an_address_or_none)
{
	struct weir_address at;

	ck_assert_int_eq(
	    weir_server_listen_host(server, "127.0.0.1", 0, NULL), 0);
	ck_assert_int_eq(weir_server_listen_host(other, NULL, 0, NULL), 0);
	while (!weir_server_listening(server) || !weir_server_listening(other))
		turn();
	at = address_of(server);
	ck_assert_int_eq(weir_address_family(&at), 4);
	ck_assert_int_eq(weir_server_close(other), 0);
	ck_assert_int_eq(weir_server_close(server), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_int_eq(weir_server_listen_host(other, "", 0, NULL), 0);
	while (!weir_server_listening(other))
		turn();
}
END_TEST

START_TEST(a_host_that_is_not_known_is_an_error)
{
	/* Nobody answers on this port. */
	ck_assert_int_eq(weir_loop_set_name_servers(loop, "127.0.0.1:9"), 0);
	ck_assert_int_eq(
	    weir_server_listen_host(server, "nosuch.invalid", 0, NULL), 0);
	ck_assert_str_eq(told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "error close");
	listen_now(server);
}
END_TEST

START_TEST(a_host_can_be_closed_before_it_is_found)
{
	ck_assert_int_eq(
	    weir_server_listen_host(server, "localhost", 0, NULL), 0);
	ck_assert_int_eq(weir_server_close_cb(server, on_closed, NULL), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed");
	ck_assert_int_eq(
	    weir_server_listen_host(server, "localhost", 0, NULL), 0);
	weir_server_free(server);
	server = NULL;
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(told, "close closed");
}
END_TEST

START_TEST(a_bad_host_is_refused)
{
	char host[300];
	const struct weir_listen_options o = {
	    .interface = "a-name-of-an-interface-that-is-too-long",
	};

	memset(host, 'a', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	ck_assert_int_eq(
	    weir_server_listen_host(NULL, "localhost", 0, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_listen_host(server, host, 0, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_server_listen_host(server, "localhost", 0, &o), -EINVAL);
	listen_now(server);
}
END_TEST

/* ---- handles ---- */

START_TEST(a_server_listens_on_the_handle_of_another)
{
	struct weir_address first, second;
	int fd;

	ck_assert_int_eq(weir_server_listen_server(other, server, NULL),
	    WEIR_E_SERVER_NOT_RUNNING);
	ck_assert_int_eq(weir_server_listen_server(other, NULL, NULL), -EINVAL);
	listen_now(server);
	first = address_of(server);
	ck_assert_int_eq(weir_server_listen_server(other, server, NULL), 0);
	ck_assert_int_eq(weir_server_listen_server(other, server, NULL),
	    WEIR_E_SERVER_ALREADY_LISTEN);
	while (!weir_server_listening(other))
		turn();
	second = address_of(other);
	ck_assert(weir_address_equal(&first, &second));
	weir_server_free(server);
	server = NULL;
	fd = client_of(other); /* it goes on alone */
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_server_listens_on_the_handle_of_a_socket)
{
	struct weir_address at;
	struct weir_socket *bound;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(weir_address_set_ip(&at, "127.0.0.1", 0), 0);
	ck_assert_int_eq(bind(fd, &at.u.sa, at.length), 0);
	ck_assert_int_eq(weir_socket_new(&bound, loop, NULL, NULL, NULL), 0);
	ck_assert_int_eq(weir_server_listen_socket(server, bound, NULL),
	    WEIR_E_SOCKET_CLOSED);
	ck_assert_int_eq(
	    weir_server_listen_socket(server, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_open_fd(bound, fd, true, true), 0);
	ck_assert_int_eq(weir_server_listen_socket(server, bound, NULL), 0);
	weir_socket_free(bound);
	while (!weir_server_listening(server))
		turn();
	ck_assert_int_eq(close(client_of(server)), 0);
}
END_TEST

START_TEST(a_connected_socket_is_no_handle_to_listen_on)
{
	int fd;

	listen_now(server);
	fd = client_of(server);
	ck_assert_int_eq(weir_server_listen_socket(other, accepted, NULL), 0);
	while (told[0] == '\0')
		turn();
	ck_assert_str_eq(told, "error close");
	ck_assert_int_eq(
	    weir_socket_ready_state(accepted), WEIR_OPEN); /* unharmed */
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/server_ask");
	TCase *c = tcase_create("server_ask");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, a_close_is_told_after_on_close);
	tcase_add_test(c, a_close_waits_for_the_last_connection);
	tcase_add_test(c, a_close_in_on_close_is_of_the_next_listen);
	tcase_add_test(c, a_close_of_what_was_not_open_is_told_so);
	tcase_add_test(c, a_close_may_free_the_server_while_more_is_asked);
	tcase_add_test(c, a_freed_server_answers_nothing);
	tcase_add_test(c, connections_are_counted_later);
	tcase_add_test(c, a_fresh_listen_counts_afresh);
	tcase_add_test(c, bad_questions_are_refused);
	tcase_add_test(c, a_host_is_looked_up_and_listened_on);
	tcase_add_test(c, a_host_may_be_an_address_or_none);
	tcase_add_test(c, a_host_that_is_not_known_is_an_error);
	tcase_add_test(c, a_host_can_be_closed_before_it_is_found);
	tcase_add_test(c, a_bad_host_is_refused);
	tcase_add_test(c, a_server_listens_on_the_handle_of_another);
	tcase_add_test(c, a_server_listens_on_the_handle_of_a_socket);
	tcase_add_test(c, a_connected_socket_is_no_handle_to_listen_on);
	suite_add_tcase(s, c);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
