/*
 * From an address or a name to a connection, or to the error that there is
 * none; what was asked for before, and the same object again and again.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "support.h"

static int
accepted(int listener)
{
	int fd;

	until(!silent_fd(listener));
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	return fd;
}

START_TEST(a_connection_is_told_from_the_loop_and_works)
{
	struct weir_address at, there;
	struct watcher w = {0};
	int listener = listening_fd((enum kind)_i, &at), fd;

	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	ck_assert_int_eq(weir_socket_ready_state(w.socket), WEIR_OPENING);
	ck_assert_uint_eq(w.calls, 0);
	until(was_told(&w, "ready"));
	ck_assert_str_eq(w.told, "attempt connect ready ");
	ck_assert_int_eq(weir_socket_remote_address(w.socket, &there), 0);
	ck_assert(weir_address_equal(&at, &there));
	fd = accepted(listener);
	say(fd, "hello");
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "attempt connect ready data end close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(connecting_while_connected_is_refused_and_changes_nothing)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at), fd;

	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_connect(w.socket, &at, NULL), WEIR_E_SOCKET_CONNECTED);
	until(was_told(&w, "ready"));
	ck_assert_int_eq(
	    weir_socket_connect(w.socket, &at, NULL), WEIR_E_SOCKET_CONNECTED);
	ck_assert_int_eq(
	    weir_socket_connect_host(w.socket, "localhost", 1, NULL),
	    WEIR_E_SOCKET_CONNECTED);
	fd = accepted(listener);
	say(fd, "x");
	until(w.length == 1);
	weir_socket_destroy(w.socket, 0);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL),
	    WEIR_E_SOCKET_CONNECTED); /* its on_close is due */
	until(w.closes == 1);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(connects_that_make_no_sense_are_refused)
{
	const struct weir_connect_options family = {.family = 5};
	struct weir_address at = address_for(TCP4), none = {0}, odd = at;
	struct watcher w = {0};
	char longest[WEIR_HOST_TEXT + 8];

	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(NULL, &at, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_connect(w.socket, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_connect(w.socket, &none, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, &family), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_connect_host(w.socket, longest, 1, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_connect_host(NULL, "localhost", 1, NULL), -EINVAL);
	ck_assert(weir_socket_dormant(w.socket));
	ck_assert_int_eq(weir_loop_run(loop), 0);
	odd.u.sa.sa_family = 250;
	ck_assert_int_eq(weir_socket_connect(w.socket, &odd, NULL), 0);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, -EAFNOSUPPORT);
	ck_assert_str_eq(w.told, "attempt failed error close ");
	forget_watcher(&w);
}
END_TEST

START_TEST(a_connect_that_is_refused_leaves_no_timeout)
{
	const struct weir_connect_options options = {.timeout_ms = 1};
	struct watcher w = {0};

	watch_new(&w, &loud, false);
	ck_assert_int_eq(
	    weir_socket_connect_host(w.socket, "no name", 80, &options),
	    -EINVAL);
	(void)turns_in(10);
	ck_assert_uint_eq(w.calls, 0);
	forget_watcher(&w);
}
END_TEST

/* 0: bytes, an end; 1: an end alone; 2: destroy_soon alone; 3: bytes and
 * destroy_soon. After the connect call, before it is made. */
START_TEST(what_was_asked_for_before_the_connection_happens_after_it)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(_i / 4 % 2 == 0 ? TCP4 : UNIX, &at), fd;
	int what = _i % 4;

	watch_new(&w, _i / 8 == 0 ? &loud : &quiet, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	if (what == 0 || what == 3)
		ck_assert_int_eq(
		    weir_socket_write(w.socket, "early", 5), WEIR_WAIT);
	if (what < 2) {
		ck_assert_int_eq(weir_socket_end(w.socket), 0);
		ck_assert_int_eq(weir_socket_write(w.socket, "x", 1),
		    WEIR_E_WRITE_AFTER_END);
	} else {
		weir_socket_destroy_soon(w.socket);
	}
	fd = accepted(listener);
	if (what == 0 || what == 3)
		expect(fd, "early");
	expect_end(fd);
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(bytes_written_before_connect_go_first_and_drain)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at), fd;

	watch_new(&w, _i == 0 ? &loud : &quiet, true);
	ck_assert_int_eq(weir_socket_write(w.socket, "before ", 7), WEIR_WAIT);
	ck_assert_uint_eq(weir_socket_buffered(w.socket), 7);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_write(w.socket, "and after", 9), WEIR_WAIT);
	fd = accepted(listener);
	expect(fd, "before and after");
	until(w.drains == 1);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), 16);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 16);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_refused_connection_is_an_error_and_can_be_tried_again)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd((enum kind)_i, &at), fd, i;

	ck_assert_int_eq(close(listener), 0);
	watch_new(&w, &loud, false);
	for (i = 1; i <= 3; i++) {
		ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
		until(w.closes == (unsigned)i);
		ck_assert_int_eq(w.closed, -ECONNREFUSED);
	}
	w.told[0] = '\0';
	w.error = 0;
	listener = listening_fd((enum kind)_i, &at);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	fd = accepted(listener);
	say(fd, "again");
	until(w.length == 5);
	ck_assert_str_eq(w.told, "attempt connect ready data ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

static void
connect_again(struct watcher *w, const char *what)
{
	if (strcmp(what, "close") != 0 || w->closes >= 3)
		return;
	w->error = 0;
	ck_assert_int_eq(weir_socket_connect(w->socket, w->extra, NULL), 0);
}

START_TEST(on_close_may_connect_again)
{
	struct weir_address at;
	struct watcher w = {.act = connect_again, .extra = &at};
	int listener = listening_fd(TCP4, &at), i;

	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(close(accepted(listener)), 0);
	until(w.closes == 3);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_drain_that_was_waited_for_ends_with_its_connect)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at), fd;

	ck_assert_int_eq(close(listener), 0);
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	ck_assert_int_eq(weir_socket_write(w.socket, "x", 1), WEIR_WAIT);
	until(w.closes == 1);
	w.error = 0;
	listener = listening_fd(TCP4, &at);
	ck_assert_int_eq(weir_socket_set_high_water_mark(w.socket, 100), 0);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, NULL), 0);
	ck_assert_int_eq(weir_socket_write(w.socket, "y", 1), 0);
	fd = accepted(listener);
	expect(fd, "y");
	settle();
	ck_assert_uint_eq(w.drains, 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_full_queue_of_a_unix_listener_is_waited_for_or_times_out)
{
	struct weir_connect_options options = {0};
	struct weir_address at = address_for(UNIX);
	struct watcher w = {0};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int full[2];

	ck_assert_int_eq(bind(listener, &at.u.sa, at.length), 0);
	ck_assert_int_eq(listen(listener, 0), 0);
	full[0] = connected_fd(&at);
	options.attempt_timeout_ms = _i == 0 ? 0 : _i == 1 ? 30 : UINT64_MAX;
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, &options), 0);
	ck_assert_uint_lt(turns_in(70), 30);
	if (_i != 1) {
		ck_assert_str_eq(w.told, "attempt ");
		full[1] = accepted(listener);
		until(was_told(&w, "ready"));
		ck_assert_int_eq(close(full[1]), 0);
	} else {
		until(w.closes == 1);
		ck_assert_int_eq(w.closed, WEIR_E_CONNECT_TIMEOUT);
	}
	forget_watcher(&w);
	ck_assert_int_eq(close(full[0]), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_connection_comes_from_where_it_is_told_to)
{
	struct weir_connect_options options = {0};
	struct weir_address at, from, here;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at);

	ck_assert_int_eq(weir_address_set_ip(&from, "127.0.0.2", 0), 0);
	options.local = &from;
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, &options), 0);
	until(was_told(&w, "ready"));
	ck_assert_int_eq(weir_socket_local_address(w.socket, &here), 0);
	ck_assert_uint_eq(here.u.in.sin_addr.s_addr, from.u.in.sin_addr.s_addr);
	weir_socket_destroy(w.socket, 0);
	until(w.closes == 1);
	/* An address of the other family is that attempt's failure. */
	ck_assert_int_eq(weir_address_set_ip(&from, "::1", 0), 0);
	ck_assert_int_eq(weir_socket_connect(w.socket, &at, &options), 0);
	until(w.closes == 2);
	ck_assert_int_eq(w.closed, -EAFNOSUPPORT);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

/* As those of TIME_WAIT are, which a connection before this one has left. */
START_TEST(a_port_that_others_share_is_connected_from)
{
	struct weir_connect_options options = {0};
	struct weir_address to, here = address_for(TCP4);
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &to), on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, &here.u.sa, here.length), 0);
	ck_assert_int_eq(getsockname(fd, &here.u.sa, &here.length), 0);
	options.local_port = weir_address_port(&here);
	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect(w.socket, &to, &options), 0);
	until(was_told(&w, "ready") || w.closes > 0);
	ck_assert_int_eq(weir_socket_local_address(w.socket, &here), 0);
	ck_assert_uint_eq(weir_address_port(&here), options.local_port);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

START_TEST(a_name_is_looked_up_and_each_address_tried)
{
	struct weir_address at;
	struct watcher w = {0};
	int listener = listening_fd(TCP4, &at);

	watch_new(&w, &loud, false);
	ck_assert_int_eq(weir_socket_connect_host(w.socket, "localhost",
			     weir_address_port(&at), NULL),
	    0);
	until(was_told(&w, "ready"));
	ck_assert_int_eq(strncmp(w.told, "lookup attempt ", 15), 0);
	forget_watcher(&w);
	ck_assert_int_eq(close(listener), 0);
}
END_TEST

static Suite *
connect_suite(void)
{
	Suite *suite = suite_create("connect");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, support_begin, support_end);
	tcase_add_loop_test(
	    tests, a_connection_is_told_from_the_loop_and_works, 0, 3);
	tcase_add_test(
	    tests, connecting_while_connected_is_refused_and_changes_nothing);
	tcase_add_test(tests, connects_that_make_no_sense_are_refused);
	tcase_add_test(tests, a_connect_that_is_refused_leaves_no_timeout);
	tcase_add_loop_test(tests,
	    what_was_asked_for_before_the_connection_happens_after_it, 0, 16);
	tcase_add_loop_test(
	    tests, bytes_written_before_connect_go_first_and_drain, 0, 2);
	tcase_add_loop_test(tests,
	    a_refused_connection_is_an_error_and_can_be_tried_again, 0, 3);
	tcase_add_test(tests, on_close_may_connect_again);
	tcase_add_test(
	    tests, a_drain_that_was_waited_for_ends_with_its_connect);
	tcase_add_loop_test(tests,
	    a_full_queue_of_a_unix_listener_is_waited_for_or_times_out, 0, 3);
	tcase_add_test(tests, a_connection_comes_from_where_it_is_told_to);
	tcase_add_test(tests, a_port_that_others_share_is_connected_from);
	tcase_add_test(tests, a_name_is_looked_up_and_each_address_tried);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return run_suite(connect_suite());
}
