/*
 * What few sockets ask for: writes that tell, an end that tells, encodings and
 * the high-water mark; each over a pair of connected sockets.
 */
#include "config.h"

#include <sys/socket.h>

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/socket.h>

#define MUCH ((size_t)4 * 1024 * 1024) /* more than the kernel takes */

/* One end of a pair, and what was told to its owner, in order. */
struct end {
	struct weir_socket *socket;
	char told[1024];
	size_t bytes;
	char text[256];
	bool free_in_callback, pause_at_data;
};

static struct weir_loop *loop;
static struct end left, right;

static void
note(struct end *end, const char *what)
{
	if (end->told[0] != '\0')
		strcat(end->told, " ");
	strcat(end->told, what);
}

static void
on_data(struct weir_socket *s, const void *data, size_t length, void *user)
{
	struct end *end = user;
	size_t have = strlen(end->text);

	(void)s;
	end->bytes += length;
	if (have + length < sizeof(end->text))
		memcpy(end->text + have, data, length);
	if (length < 100)
		note(end, "data");
	if (end->pause_at_data)
		weir_socket_pause(s);
}

static void
on_connect(struct weir_socket *s, void *user)
{
	(void)s;
	note(user, "connect");
}

static void
on_end(struct weir_socket *s, void *user)
{
	(void)s;
	note(user, "end");
}

static void
on_drain(struct weir_socket *s, void *user)
{
	(void)s;
	note(user, "drain");
}

static void
on_error(struct weir_socket *s, int err, void *user)
{
	(void)s;
	note(user, "error");
	note(user, weir_error_name(err));
}

static void
on_close(struct weir_socket *s, int err, void *user)
{
	(void)s;
	(void)err;
	note(user, "close");
}

static const struct weir_socket_handlers handlers = {
    .on_connect = on_connect,
    .on_data = on_data,
    .on_end = on_end,
    .on_drain = on_drain,
    .on_error = on_error,
    .on_close = on_close,
};

/* "w", and why not where it did not get out. */
static void
on_written(struct weir_socket *s, int err, void *user)
{
	struct end *end = user;

	note(end, "w");
	if (err != 0)
		note(end, weir_error_name(err));
	if (end->free_in_callback) {
		weir_socket_free(s);
		end->socket = NULL;
	}
}

static void
on_finished(struct weir_socket *s, int err, void *user)
{
	(void)s;
	note(user, "fin");
	if (err != 0)
		note(user, weir_error_name(err));
}

static void
open_pair(void)
{
	int fds[2];

	memset(&left, 0, sizeof(left));
	memset(&right, 0, sizeof(right));
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_new(&left.socket, loop, NULL, &handlers, &left), 0);
	ck_assert_int_eq(
	    weir_socket_new(&right.socket, loop, NULL, &handlers, &right), 0);
	ck_assert_int_eq(
	    weir_socket_open_fd(left.socket, fds[0], true, true), 0);
	ck_assert_int_eq(
	    weir_socket_open_fd(right.socket, fds[1], true, true), 0);
}

static void
close_pair(void)
{
	weir_socket_free(left.socket);
	weir_socket_free(right.socket);
	weir_loop_free(loop);
}

static char *
much(void)
{
	char *data = calloc(1, MUCH);

	ck_assert_ptr_nonnull(data);
	return data;
}

/* ---- writes ---- */

START_TEST(a_write_that_the_kernel_took_is_told_later)
{
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "abc", 3, on_written, &left), 0);
	ck_assert_str_eq(left.told, ""); /* not from inside the call */
	ck_assert_int_eq(weir_socket_end(left.socket), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "w end close");
	ck_assert_str_eq(right.told, "data end close");
}
END_TEST

START_TEST(writes_are_told_in_order_after_drain)
{
	char *data = much();

	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, data, MUCH, on_written, &left),
	    WEIR_WAIT);
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "", 0, on_written, &left),
	    WEIR_WAIT);
	free(data);
	while (strstr(left.told, "w w") == NULL)
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_int_eq(
	    weir_socket_end_data(left.socket, "bye", 3, on_finished, &left), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "drain w w fin end close");
	ck_assert_uint_eq(right.bytes, MUCH + 3);
}
END_TEST

START_TEST(a_piece_is_told_although_others_still_wait)
{
	char *data = much();

	/* The reader stops after some bytes: the first piece is out by then,
	 * the second is not. */
	right.pause_at_data = true;
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "a", 1, on_written, &left), 0);
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, data, MUCH, on_written, &left),
	    WEIR_WAIT);
	free(data);
	while (left.told[0] == '\0')
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_str_eq(left.told, "w");
	weir_socket_destroy(left.socket, 0);
	weir_socket_destroy(right.socket, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "w w WEIR_E_SOCKET_CLOSED close");
}
END_TEST

START_TEST(what_did_not_get_out_is_told_before_error_and_close)
{
	char *data = much();

	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, data, MUCH, on_written, &left),
	    WEIR_WAIT);
	ck_assert_int_eq(
	    weir_socket_end_data(left.socket, NULL, 0, on_finished, &left), 0);
	free(data);
	weir_socket_destroy(left.socket, -EPROTO);
	weir_socket_destroy(right.socket, 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "w EPROTO fin EPROTO error EPROTO close");
}
END_TEST

START_TEST(a_callback_may_free_its_socket)
{
	char *data = much();

	left.free_in_callback = true;
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, data, MUCH, on_written, &left),
	    WEIR_WAIT);
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, data, 1, on_written, &left),
	    WEIR_WAIT);
	free(data);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "drain w"); /* and nothing after it */
}
END_TEST

START_TEST(a_freed_socket_tells_nothing)
{
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "a", 1, on_written, &left), 0);
	weir_socket_free(left.socket);
	left.socket = NULL;
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "");
}
END_TEST

START_TEST(a_bad_write_is_refused_and_never_told)
{
	struct weir_socket *s = left.socket;

	ck_assert_int_eq(
	    weir_socket_write_cb(NULL, "a", 1, on_written, &left), -EINVAL);
	ck_assert_int_eq(weir_socket_write_cb(s, "a", 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_write_cb(s, NULL, 1, on_written, &left), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_end_data(NULL, NULL, 0, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_end_data(s, NULL, 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_end(s), 0);
	ck_assert_int_eq(weir_socket_write_cb(s, "a", 1, on_written, &left),
	    WEIR_E_WRITE_AFTER_END);
	ck_assert_int_eq(weir_socket_end_data(s, "a", 1, on_finished, &left),
	    WEIR_E_WRITE_AFTER_END);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "end close");
	ck_assert_int_eq(
	    weir_socket_write_cb(NULL, "a", 1, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_end_data(s, "a", 1, on_finished, &left),
	    WEIR_E_SOCKET_CLOSED);
}
END_TEST

START_TEST(a_last_piece_that_cannot_be_written_is_told_and_not_refused)
{
	weir_socket_free(right.socket);
	right.socket = NULL;
	ck_assert_int_eq(
	    weir_socket_end_data(left.socket, "x", 1, on_finished, &left), 0);
	ck_assert_str_eq(left.told, "");
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "fin EPIPE error EPIPE close");
}
END_TEST

START_TEST(an_end_without_data_may_tell)
{
	ck_assert_int_eq(
	    weir_socket_end_data(left.socket, NULL, 0, on_finished, &left), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "fin end close");
}
END_TEST

/* A write before the opening, and one of the opening before that. */
START_TEST(a_write_before_opening_is_told_once_it_is_out)
{
	char got[16];
	int fds[2];

	ck_assert_int_eq(weir_socket_write(left.socket, "first", 5), 0);
	weir_socket_destroy_soon(left.socket);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_uint_eq(weir_socket_bytes_written(left.socket), 5);
	left.told[0] = '\0';
	ck_assert_int_eq(
	    weir_socket_write_cb(left.socket, "second", 6, on_written, &left),
	    WEIR_WAIT);
	ck_assert_int_eq(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(
	    weir_socket_open_fd(left.socket, fds[0], true, true), 0);
	while (left.told[0] == '\0')
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_str_eq(left.told, "drain w");
	ck_assert_int_eq(read(fds[1], got, sizeof(got)), 6);
	ck_assert_mem_eq(got, "second", 6);
	ck_assert_int_eq(close(fds[1]), 0);
}
END_TEST

START_TEST(a_high_water_mark_lets_so_much_wait)
{
	char *data = much();
	size_t buffered;

	ck_assert_int_eq(weir_socket_set_high_water_mark(NULL, 1), -EINVAL);
	ck_assert_int_eq(
	    weir_socket_set_high_water_mark(left.socket, 2 * MUCH), 0);
	ck_assert_int_eq(weir_socket_write(left.socket, data, MUCH), 0);
	buffered = weir_socket_buffered(left.socket);
	ck_assert_uint_gt(buffered, 0);
	ck_assert_int_eq(weir_socket_write(left.socket, data, MUCH), 0);
	ck_assert_int_eq(
	    weir_socket_set_high_water_mark(left.socket, buffered), 0);
	ck_assert_int_eq(weir_socket_write(left.socket, data, 1), WEIR_WAIT);
	free(data);
	while (left.told[0] == '\0')
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_int_eq(
	    weir_socket_end_data(left.socket, NULL, 0, on_finished, &left), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(left.told, "drain fin end close");
	ck_assert_uint_eq(right.bytes, 2 * MUCH + 1);
}
END_TEST

/* ---- encodings ---- */

static void
send_and_end(const char *data)
{
	for (; *data != '\0'; data++) {
		ck_assert_int_eq(weir_socket_write(left.socket, data, 1), 0);
		while (weir_socket_bytes_read(right.socket) <
		       weir_socket_bytes_written(left.socket))
			(void)event_base_loop(
			    weir_loop_base(loop), EVLOOP_ONCE);
	}
	ck_assert_int_eq(weir_socket_end(left.socket), 0);
	ck_assert_int_eq(weir_loop_run(loop), 0);
}

START_TEST(a_character_cut_between_reads_is_put_together)
{
	ck_assert_int_eq(weir_socket_set_encoding(right.socket, WEIR_UTF8), 0);
	send_and_end("\xe2\x82\xac.");
	ck_assert_str_eq(right.text, "\xe2\x82\xac.");
	ck_assert_str_eq(right.told, "data data end close");
	ck_assert_uint_eq(weir_socket_bytes_read(right.socket), 4);
}
END_TEST

START_TEST(an_unfinished_character_comes_before_the_end)
{
	ck_assert_int_eq(weir_socket_set_encoding(right.socket, WEIR_UTF8), 0);
	send_and_end("\xe2\x82");
	ck_assert_str_eq(right.text, "\xef\xbf\xbd");
	ck_assert_str_eq(right.told, "data end close");
}
END_TEST

START_TEST(base64_goes_on_across_reads)
{
	ck_assert_int_eq(
	    weir_socket_set_encoding(right.socket, WEIR_BASE64), 0);
	send_and_end("Many");
	ck_assert_str_eq(right.text, "TWFueQ==");
	ck_assert_str_eq(right.told, "data data end close");
}
END_TEST

START_TEST(a_handler_may_pause_at_the_last_text)
{
	ck_assert_int_eq(
	    weir_socket_set_encoding(right.socket, WEIR_BASE64), 0);
	right.pause_at_data = true;
	ck_assert_int_eq(weir_socket_write(left.socket, "a", 1), 0);
	ck_assert_int_eq(weir_socket_end(left.socket), 0);
	while (right.told[0] == '\0')
		(void)event_base_loop(weir_loop_base(loop), EVLOOP_ONCE);
	ck_assert_str_eq(right.told, "data");
	weir_socket_resume(right.socket);
	ck_assert_int_eq(weir_loop_run(loop), 0);
	ck_assert_str_eq(right.told, "data end close");
	ck_assert_str_eq(right.text, "YQ==");
}
END_TEST

START_TEST(an_encoding_can_be_taken_back)
{
	ck_assert_int_eq(weir_socket_set_encoding(right.socket, WEIR_HEX), 0);
	ck_assert_int_eq(weir_socket_set_encoding(right.socket, WEIR_RAW), 0);
	send_and_end("raw");
	ck_assert_str_eq(right.text, "raw");
}
END_TEST

START_TEST(what_is_no_encoding_is_refused)
{
	ck_assert_int_eq(weir_socket_set_encoding(NULL, WEIR_HEX), -EINVAL);
	ck_assert_int_eq(weir_socket_set_encoding(
			     right.socket, (enum weir_encoding)(WEIR_HEX + 1)),
	    -EINVAL);
	ck_assert_int_eq(
	    weir_socket_set_encoding(right.socket, (enum weir_encoding) - 1),
	    -EINVAL);
	send_and_end("raw");
	ck_assert_str_eq(right.text, "raw");
}
END_TEST

START_TEST(a_pipe_passes_bytes_and_shows_text)
{
	static const struct weir_pipe_options keep = {.keep_open = true};

	ck_assert_int_eq(weir_socket_set_encoding(right.socket, WEIR_HEX), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(right.socket, right.socket, &keep), 0);
	send_and_end("\x01\x02");
	ck_assert_str_eq(right.text, "0102");
	ck_assert_str_eq(left.text, "\x01\x02");
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("net/extra");
	TCase *w = tcase_create("writes"), *e = tcase_create("encodings");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(w, open_pair, close_pair);
	tcase_add_test(w, a_write_that_the_kernel_took_is_told_later);
	tcase_add_test(w, writes_are_told_in_order_after_drain);
	tcase_add_test(w, a_piece_is_told_although_others_still_wait);
	tcase_add_test(w, what_did_not_get_out_is_told_before_error_and_close);
	tcase_add_test(w, a_callback_may_free_its_socket);
	tcase_add_test(w, a_freed_socket_tells_nothing);
	tcase_add_test(w, a_bad_write_is_refused_and_never_told);
	tcase_add_test(
	    w, a_last_piece_that_cannot_be_written_is_told_and_not_refused);
	tcase_add_test(w, an_end_without_data_may_tell);
	tcase_add_test(w, a_write_before_opening_is_told_once_it_is_out);
	tcase_add_test(w, a_high_water_mark_lets_so_much_wait);
	suite_add_tcase(s, w);

	tcase_add_checked_fixture(e, open_pair, close_pair);
	tcase_add_test(e, a_character_cut_between_reads_is_put_together);
	tcase_add_test(e, an_unfinished_character_comes_before_the_end);
	tcase_add_test(e, base64_goes_on_across_reads);
	tcase_add_test(e, a_handler_may_pause_at_the_last_text);
	tcase_add_test(e, an_encoding_can_be_taken_back);
	tcase_add_test(e, what_is_no_encoding_is_refused);
	tcase_add_test(e, a_pipe_passes_bytes_and_shows_text);
	suite_add_tcase(s, e);

	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
