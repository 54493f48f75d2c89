/*
 * The handlers' lane: data as it comes, no more of it than is wanted, ends
 * and failures after it, and the way into this lane and out of it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "support.h"

#define MB (1024 * 1024)

START_TEST(much_data_comes_whole_and_in_order)
{
	struct watcher w = {0};
	int fd = watched_pair((enum kind)_i, &w, &loud, false);
	uint64_t sent = 0;
	unsigned char *bytes;

	while (sent < 8 * MB) {
		sent += stuff_most(fd, sent, 8 * MB - sent);
		turn();
	}
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "data end close ");
	bytes = pattern_bytes(0, sent);
	ck_assert_uint_eq(w.length, sent);
	ck_assert_mem_eq(w.data, bytes, sent);
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), sent);
	free(bytes);
	forget_watcher(&w);
}
END_TEST

static size_t largest_piece, length_before;

static void
measure_piece(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") != 0)
		return;
	if (w->length - length_before > largest_piece)
		largest_piece = w->length - length_before;
	length_before = w->length;
}

START_TEST(much_that_waits_comes_in_large_pieces)
{
	struct watcher w = {.act = measure_piece};
	int fd = watched_pair((enum kind)_i, &w, &loud, false);
	uint64_t sent = 0;

	largest_piece = length_before = 0;
	while (sent < 100 * 1024)
		sent += stuff_most(fd, sent, 100 * 1024 - sent);
	until(w.length == sent);
	ck_assert_uint_gt(largest_piece, 16 * 1024);
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	forget_watcher(&w);
}
END_TEST

static void
pause_on_data(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") == 0)
		weir_socket_pause(w->socket);
}

START_TEST(a_handler_that_pauses_gets_no_more_and_holds_little)
{
	struct watcher w = {.act = pause_on_data};
	int fd = watched_pair(TCP4, &w, &loud, true);
	uint64_t sent = 0, n;
	size_t had;
	int idle = 0, pieces = 0;

	while (idle < 4) {
		n = stuff(fd, sent);
		idle = n == 0 ? idle + 1 : 0;
		sent += n;
		turn();
	}
	ck_assert_uint_gt(w.length, 0);
	ck_assert_uint_le(weir_socket_held(w.socket), 128 * 1024);
	ck_assert_uint_eq(w.length + weir_socket_held(w.socket),
	    weir_socket_bytes_read(w.socket));
	ck_assert_uint_lt(turns_in(20), 15);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	for (; w.length < sent; pieces++) {
		had = w.length;
		weir_socket_resume(w.socket);
		until(w.length > had);
		settle();
		ck_assert(weir_socket_paused(w.socket));
		ck_assert(!was_told(&w, "end"));
	}
	ck_assert_int_gt(pieces, 1);
	weir_socket_resume(w.socket);
	until(was_told(&w, "end"));
	ck_assert_uint_eq(w.length, sent);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_reset_is_an_error_after_the_data_before_it)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	say(fd, "last");
	until(w.length == 4);
	reset_fd(fd);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, -ECONNRESET);
	ck_assert_str_eq(w.told, "data error close ");
	forget_watcher(&w);
}
END_TEST

START_TEST(a_reset_while_a_write_waits_is_an_error)
{
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);
	unsigned char *bytes = pattern_bytes(0, 8 * MB);

	(void)weir_socket_write(w.socket, bytes, 8 * MB);
	settle();
	if (_i == 1)
		weir_socket_pause(w.socket);
	reset_fd(fd);
	until(w.closes == 1);
	ck_assert_int_lt(w.closed, 0);
	ck_assert_str_eq(w.told, "error close ");
	ck_assert_uint_lt(weir_socket_bytes_delivered(w.socket), 8 * MB);
	free(bytes);
	forget_watcher(&w);
}
END_TEST

START_TEST(handlers_are_exchanged_between_two_pieces_of_data)
{
	struct watcher w = {0}, v = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	say(fd, "one");
	until(w.length == 3);
	weir_socket_set_handlers(w.socket, &loud, &v);
	say(fd, "two");
	until(v.length == 3);
	ck_assert_uint_eq(w.length, 3);
	weir_socket_set_handlers(w.socket, &quiet, &w);
	say(fd, "kept");
	settle();
	ck_assert_uint_lt(turns_in(20), 15);
	weir_socket_set_handlers(w.socket, &loud, &v);
	until(v.length == 7);
	ck_assert_mem_eq(v.data, "twokept", 7);
	weir_socket_set_handlers(w.socket, NULL, NULL);
	free(v.data);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
answer(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") == 0)
		ck_assert_int_ge(weir_socket_write(w->socket, "pong", 4), 0);
	if (strcmp(what, "end") == 0) {
		ck_assert_int_ge(weir_socket_write(w->socket, " bye", 4), 0);
		ck_assert_int_eq(weir_socket_end(w->socket), 0);
	}
}

START_TEST(handlers_may_answer_data_and_the_end)
{
	struct watcher w = {.act = answer};
	int fd = watched_pair((enum kind)_i, &w, &loud, true);

	say(fd, "ping");
	expect(fd, "pong");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect(fd, " bye");
	expect_end(fd);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "data end close ");
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* Looks at what has come so far until it has seven bytes, and puts all back. */
static void
look(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") != 0 || w->length < 7)
		return;
	weir_socket_pause(w->socket);
	ck_assert_int_eq(weir_socket_unshift(w->socket, w->data, w->length), 0);
	w->length = 0;
}

START_TEST(what_is_put_back_is_read_again_first)
{
	struct watcher w = {.act = look}, v = {0};
	int fd = watched_pair((enum kind)_i, &w, &loud, true);

	say(fd, "1234");
	until(w.length == 4);
	say(fd, "5678");
	until(weir_socket_paused(w.socket));
	ck_assert_uint_eq(weir_socket_held(w.socket), 8);
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 8);
	say(fd, "9");
	settle();
	weir_socket_set_handlers(w.socket, &loud, &v);
	weir_socket_resume(w.socket);
	until(v.length == 9);
	ck_assert_mem_eq(v.data, "123456789", 9);
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 9);
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	until(was_told(&v, "end"));
	ck_assert_int_eq(
	    weir_socket_unshift(w.socket, "x", 1), WEIR_E_SOCKET_CLOSED);
	free(v.data);
	weir_socket_set_handlers(w.socket, NULL, NULL);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
look_and_pipe(struct watcher *w, const char *what)
{
	look(w, what);
	if (strcmp(what, "data") != 0 || !weir_socket_paused(w->socket))
		return;
	weir_socket_set_handlers(w->socket, &quiet, w);
	ck_assert_int_eq(weir_socket_pipe(w->socket, w->socket, NULL), 0);
}

START_TEST(what_is_put_back_goes_through_a_pipe_first)
{
	struct watcher w = {.act = look_and_pipe};
	int fd = watched_pair((enum kind)_i, &w, &loud, true);

	say(fd, "123456");
	until(w.length == 6);
	say(fd, "7");
	say(fd, "8");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect(fd, "12345678");
	expect_end(fd);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static void
put_back_in_turns(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") != 0)
		return;
	w->act = NULL;
	w->length = 0;
	ck_assert_int_eq(weir_socket_unshift(w->socket, "cd", 2), 0);
	ck_assert_int_eq(weir_socket_unshift(w->socket, "ab", 2), 0);
	ck_assert_int_eq(weir_socket_unshift(w->socket, NULL, 0), 0);
	ck_assert_int_eq(weir_socket_unshift(w->socket, NULL, 1), -EINVAL);
	ck_assert_int_eq(weir_socket_unshift(NULL, "x", 1), -EINVAL);
}

START_TEST(what_is_put_back_last_is_read_first)
{
	struct watcher w = {.act = put_back_in_turns};
	int fd = watched_pair(TCP4, &w, &loud, true);

	say(fd, "data");
	until(w.length == 4);
	ck_assert_mem_eq(w.data, "abcd", 4);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

static Suite *
stream_suite(void)
{
	Suite *suite = suite_create("stream");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, support_begin, support_end);
	tcase_add_loop_test(tests, much_data_comes_whole_and_in_order, 0, 3);
	tcase_add_loop_test(tests, much_that_waits_comes_in_large_pieces, 0, 3);
	tcase_add_test(
	    tests, a_handler_that_pauses_gets_no_more_and_holds_little);
	tcase_add_test(tests, a_reset_is_an_error_after_the_data_before_it);
	tcase_add_loop_test(
	    tests, a_reset_while_a_write_waits_is_an_error, 0, 2);
	tcase_add_test(
	    tests, handlers_are_exchanged_between_two_pieces_of_data);
	tcase_add_loop_test(tests, handlers_may_answer_data_and_the_end, 0, 3);
	tcase_add_loop_test(tests, what_is_put_back_is_read_again_first, 0, 3);
	tcase_add_loop_test(
	    tests, what_is_put_back_goes_through_a_pipe_first, 0, 3);
	tcase_add_test(tests, what_is_put_back_last_is_read_first);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return run_suite(stream_suite());
}
