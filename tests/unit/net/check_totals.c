/*
 * Totals that several sockets share: at any moment they are the sum of what
 * the sockets themselves say, whatever lane the bytes take.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <weir/error.h>
#include <weir/tls.h>

#include "support.h"
#include "tls_support.h"

#define MUCH (4 * 1024 * 1024)

/* near <-> a <-> b <-> far, each side with totals of its own. */
struct line {
	struct watcher a, b;
	struct weir_totals at_a, at_b;
	int near, far;
};

static void
same(const struct weir_socket *socket, const struct weir_totals *totals)
{
	ck_assert_uint_eq(weir_socket_bytes_read(socket), totals->read);
	ck_assert_uint_eq(
	    weir_socket_bytes_delivered(socket), totals->delivered);
}

static void
lay_out(struct line *line, enum kind kind)
{
	memset(line, 0, sizeof(*line));
	line->near = watched_pair(kind, &line->a, &quiet, true);
	line->far = watched_pair(kind, &line->b, &quiet, true);
	weir_socket_set_totals(line->a.socket, &line->at_a);
	weir_socket_set_totals(line->b.socket, &line->at_b);
}

static void
clear(struct line *line)
{
	forget_watcher(&line->a);
	forget_watcher(&line->b);
	ck_assert_int_eq(close(line->near), 0);
	ck_assert_int_eq(close(line->far), 0);
}

/* ---- lanes ---- */

START_TEST(of_a_pipe_they_are_right_in_each_turn)
{
	const struct weir_pipe_options options = {.no_splice = _i >= 2};
	struct line line;
	uint64_t sent = 0, at = 0;

	lay_out(&line, _i % 2 == 0 ? TCP4 : UNIX);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, &options), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line.b.socket, line.a.socket, &options), 0);
	say(line.far, "hello");
	while (at < MUCH) {
		sent += stuff_most(line.near, sent, MUCH - sent);
		turn();
		same(line.a.socket, &line.at_a);
		same(line.b.socket, &line.at_b);
		/* A slow reader at first, so that bytes are held. */
		if (sent > MUCH / 2 || line.at_b.read > 0)
			(void)take(line.far, &at, 100 * 1000);
	}
	expect(line.near, "hello");
	ck_assert_uint_eq(line.at_a.read, MUCH);
	ck_assert_uint_eq(line.at_a.delivered, 5);
	ck_assert_uint_eq(line.at_b.read, 5);
	ck_assert_uint_eq(line.at_b.delivered, MUCH);
	clear(&line);
}
END_TEST

START_TEST(what_a_destroyed_socket_had_queued_is_not_delivered)
{
	struct watcher w = {0};
	struct weir_totals totals = {0};
	int fd = watched_pair(UNIX, &w, &loud, true);
	unsigned char *bytes = pattern_bytes(0, MUCH);
	uint64_t at = 0;

	weir_socket_set_totals(w.socket, &totals);
	ck_assert_int_eq(weir_socket_write(w.socket, bytes, MUCH), WEIR_WAIT);
	ck_assert_uint_gt(weir_socket_buffered(w.socket), 0);
	(void)take(fd, &at, 1000);
	turn();
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), MUCH);
	same(w.socket, &totals);
	weir_socket_destroy(w.socket, 0);
	until(w.closes == 1);
	same(w.socket, &totals);
	ck_assert_uint_lt(totals.delivered, MUCH);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), MUCH);
	while (take(fd, &at, MUCH))
		;
	ck_assert_uint_eq(at, totals.delivered);
	free(bytes);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(handlers_are_counted_too)
{
	struct watcher w = {0};
	struct weir_totals totals = {0};
	int fd = watched_pair(TCP4, &w, &loud, true);

	weir_socket_set_totals(w.socket, &totals);
	say(fd, "one two");
	until(w.length == 7);
	ck_assert_int_eq(weir_socket_write(w.socket, "three", 5), 0);
	expect(fd, "three");
	same(w.socket, &totals);
	ck_assert_uint_eq(totals.read, 7);
	ck_assert_uint_eq(totals.delivered, 5);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(a_file_is_counted_too)
{
	struct watcher from = {0}, to = {0};
	struct weir_totals totals = {0};
	FILE *file = tmpfile();
	int fd = watched_pair(UNIX, &from, &quiet, true);

	ck_assert_ptr_nonnull(file);
	watch_new(&to, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(to.socket, dup(fileno(file)), false, true), 0);
	weir_socket_set_totals(to.socket, &totals);
	ck_assert_int_eq(weir_socket_pipe(from.socket, to.socket, NULL), 0);
	say(fd, "to the file");
	until(totals.delivered == 11);
	same(to.socket, &totals);
	forget_watcher(&from);
	forget_watcher(&to);
	ck_assert_int_eq(fclose(file), 0);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* ---- TLS ---- */

static unsigned secured;

static void
on_secure(struct weir_socket *socket, void *user)
{
	(void)socket;
	(void)user;
	secured++;
}

static void
on_data(struct weir_socket *socket, const void *data, size_t length, void *user)
{
	(void)socket;
	(void)data;
	*(uint64_t *)user += length;
}

static const struct weir_socket_handlers secure_handlers = {
    .on_data = on_data,
    .on_secure = on_secure,
};

START_TEST(with_tls_they_are_the_bytes_within)
{
	const struct weir_secure_options any = {.any_name = true};
	struct weir_tls_context_options options = {0};
	struct weir_tls_context *server, *client;
	struct weir_totals totals[2] = {{0}};
	struct credentials self;
	struct weir_tls_pair pair;
	struct weir_socket *s[2];
	uint64_t got[2] = {0, 0};
	unsigned char *bytes = pattern_bytes(0, MUCH);
	int fds[2], i;

	directory_make();
	credentials_make(&self, NULL, &(struct wish){.name = "self"});
	pair = pair_of(&self);
	options.server = true;
	options.pairs = &pair;
	options.pair_count = 1;
	server = make_context(&options);
	client = make_context(
	    &(struct weir_tls_context_options){.verify = WEIR_TLS_VERIFY_NONE});
	stream_pair(TCP4, fds);
	secured = 0;
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(weir_socket_new(&s[i], loop, NULL,
				     &secure_handlers, &got[i]),
		    0);
		weir_socket_set_totals(s[i], &totals[i]);
		ck_assert_int_eq(
		    weir_socket_open_fd(s[i], fds[i], true, true), 0);
		ck_assert_int_eq(weir_socket_set_secure(
				     s[i], i == 0 ? server : client, &any),
		    0);
	}
	until(secured == 2);
	ck_assert_uint_eq(totals[0].read + totals[0].delivered, 0);
	ck_assert_int_ge(weir_socket_write(s[1], bytes, MUCH), 0);
	while (got[0] < MUCH) {
		turn();
		for (i = 0; i < 2; i++)
			same(s[i], &totals[i]);
	}
	ck_assert_uint_eq(totals[1].delivered, MUCH);
	ck_assert_uint_eq(totals[0].read, MUCH);
	ck_assert_uint_eq(totals[0].delivered + totals[1].read, 0);
	for (i = 0; i < 2; i++)
		weir_socket_free(s[i]);
	weir_tls_context_unref(server);
	weir_tls_context_unref(client);
	credentials_free(&self);
	directory_remove();
	free(bytes);
}
END_TEST

/* ---- sharing ---- */

START_TEST(several_sockets_add_to_one_and_openings_take_nothing_away)
{
	struct watcher w = {0}, other = {0};
	struct weir_totals totals = {0};
	int fds[2], fd = watched_pair(UNIX, &w, &loud, false), more;

	weir_socket_set_totals(w.socket, &totals);
	say(fd, "12345");
	until(w.length == 5);
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	stream_pair(TCP6, fds);
	ck_assert_int_eq(weir_socket_open_fd(w.socket, fds[0], true, true), 0);
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 0);
	ck_assert_uint_eq(totals.read, 5);
	more = watched_pair(TCP4, &other, &loud, false);
	weir_socket_set_totals(other.socket, &totals);
	say(fds[1], "678");
	say(more, "90");
	until(w.length == 8 && other.length == 2);
	ck_assert_uint_eq(totals.read, 10);
	weir_socket_set_totals(other.socket, NULL);
	say(more, "unseen");
	until(other.length == 8);
	ck_assert_uint_eq(totals.read, 10);
	ck_assert_uint_eq(weir_socket_bytes_read(other.socket), 8);
	forget_watcher(&w);
	forget_watcher(&other);
	ck_assert_int_eq(close(fds[1]), 0);
	ck_assert_int_eq(close(more), 0);
}
END_TEST

static Suite *
totals_suite(void)
{
	Suite *suite = suite_create("totals");
	TCase *tc = tcase_create("totals");

	tcase_add_checked_fixture(tc, support_begin, support_end);
	tcase_add_loop_test(tc, of_a_pipe_they_are_right_in_each_turn, 0, 4);
	tcase_add_test(tc, what_a_destroyed_socket_had_queued_is_not_delivered);
	tcase_add_test(tc, handlers_are_counted_too);
	tcase_add_test(tc, a_file_is_counted_too);
	tcase_add_test(tc, with_tls_they_are_the_bytes_within);
	tcase_add_test(
	    tc, several_sockets_add_to_one_and_openings_take_nothing_away);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	return run_suite(totals_suite());
}
