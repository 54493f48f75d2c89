/*
 * Pipes: every byte once and in order, its FIN after the last of them, held
 * within bounds, and no flow that stands still or spins.
 */
#include "config.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "net/socket_priv.h"

#include "support.h"

/* A line of two pipes: near <-> a <-> b <-> far. */
struct line {
	struct watcher a, b;
	int near, far;
};

static void
join(struct line *line, const struct weir_pipe_options *o)
{
	ck_assert_int_eq(
	    weir_socket_pipe(line->a.socket, line->b.socket, o), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line->b.socket, line->a.socket, o), 0);
}

static void
lay_out(struct line *line, enum kind kind, bool half_open)
{
	memset(line, 0, sizeof(*line));
	line->near = watched_pair(kind, &line->a, &quiet, half_open);
	line->far = watched_pair(kind, &line->b, &quiet, half_open);
}

static void
clear(struct line *line)
{
	forget_watcher(&line->a);
	forget_watcher(&line->b);
	if (line->near != -1)
		ck_assert_int_eq(close(line->near), 0);
	if (line->far != -1)
		ck_assert_int_eq(close(line->far), 0);
}

/* Stuff near until nothing moves any more; returns how much went in. */
static uint64_t
block(struct line *line, uint64_t from)
{
	uint64_t n, all = 0;
	int quiet_turns = 0;

	while (quiet_turns < 4) {
		n = stuff(line->near, from + all);
		quiet_turns = n == 0 ? quiet_turns + 1 : 0;
		all += n;
		turn();
	}
	return all;
}

/* Turn until far has got everything up to end. */
static void
drain(struct line *line, uint64_t *at, uint64_t end)
{
	while (*at < end) {
		until(!silent_fd(line->far));
		ck_assert(take(line->far, at, end - *at));
	}
}

/* ---- echo and big transfers ---- */

START_TEST(a_socket_piped_to_itself_echoes)
{
	struct watcher w = {0};
	int fd = watched_pair((enum kind)_i, &w, &quiet, true);

	ck_assert_int_eq(weir_socket_pipe(w.socket, w.socket, NULL), 0);
	say(fd, "one");
	expect(fd, "one");
	say(fd, "two");
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	expect(fd, "two");
	expect_end(fd);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "end close ");
	ck_assert_uint_eq(weir_socket_bytes_read(w.socket), 6);
	ck_assert_uint_eq(weir_socket_bytes_written(w.socket), 6);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), 6);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* An echo to a client that writes much before it reads. */
START_TEST(an_echo_that_nobody_reads_waits_and_loses_nothing)
{
	const struct weir_pipe_options options = {.no_splice = _i == 1};
	struct watcher w = {0};
	int fd = watched_pair(TCP4, &w, &quiet, true);
	uint64_t sent = 0, at = 0, n;
	int idle = 0;

	ck_assert_int_eq(weir_socket_pipe(w.socket, w.socket, &options), 0);
	while (idle < 4) {
		n = stuff(fd, sent);
		idle = n == 0 ? idle + 1 : 0;
		sent += n;
		turn();
	}
	until(turns_in(50) < 20); /* the kernel's buffers may still grow */
	ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
	while (at < sent) {
		until(!silent_fd(fd));
		ck_assert(take(fd, &at, 1 << 20));
	}
	expect_end(fd);
	until(w.closes == 1);
	ck_assert_int_eq(w.closed, 0);
	ck_assert_uint_eq(weir_socket_bytes_delivered(w.socket), sent);
	forget_watcher(&w);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

struct transfer {
	enum kind kind;
	size_t buffer;
	bool no_splice;
	uint64_t length;
};

#define MB (1024 * 1024)
static const struct transfer transfers[] = {
    {TCP4, 0, false, 64 * MB},
    {TCP4, 0, true, 64 * MB},
    {TCP6, 0, false, 8 * MB},
    {UNIX, 0, false, 64 * MB},
    {UNIX, 0, true, 8 * MB},
    {TCP4, 1, false, 16 * MB},
    {TCP4, 1, true, 64 * 1024},
    {TCP4, 100, false, 16 * MB},
    {TCP4, 100, true, MB},
    {TCP4, MB, false, 16 * MB},
    {TCP4, MB, true, 16 * MB},
};

START_TEST(big_transfers_come_whole_and_in_order)
{
	const struct transfer *t = &transfers[_i];
	const struct weir_pipe_options options = {
	    .buffer = t->buffer,
	    .no_splice = t->no_splice,
	};
	struct line line;
	uint64_t sent = 0, at = 0;

	lay_out(&line, t->kind, true);
	join(&line, &options);
	do {
		if (sent < t->length) {
			sent += stuff_most(line.near, sent, t->length - sent);
			if (sent >= t->length)
				(void)shutdown(line.near, SHUT_WR);
		}
		turn();
		while (!silent_fd(line.far) && take(line.far, &at, MB)) {
			if (silent_fd(line.far) || at >= sent)
				break;
		}
		ck_assert_uint_le(at, sent);
	} while (sent < t->length || at < sent);
	expect_end(line.far);
	/* The other direction still works. */
	say(line.far, "thanks");
	expect(line.near, "thanks");
	ck_assert_uint_eq(weir_socket_bytes_read(line.a.socket), sent);
	ck_assert_uint_eq(weir_socket_bytes_delivered(line.b.socket), sent);
	ck_assert_uint_eq(weir_socket_bytes_read(line.b.socket), 6);
	ck_assert_int_eq(shutdown(line.far, SHUT_WR), 0);
	expect_end(line.near);
	until(line.a.closes == 1 && line.b.closes == 1);
	ck_assert_str_eq(line.a.told, "end close ");
	ck_assert_str_eq(line.b.told, "end close ");
	clear(&line);
}
END_TEST

/* ---- bounds ---- */

static const size_t bounds[] = {1, 100, 4096, 64 * 1024, MB};

START_TEST(a_slow_reader_holds_no_more_than_the_buffer)
{
	const struct weir_pipe_options options = {
	    .buffer = bounds[_i],
	    .no_splice = true,
	};
	struct line line;
	uint64_t sent, at = 0;

	lay_out(&line, UNIX, true);
	if (bounds[_i] <= 100) { /* few bytes a turn */
		shrink(line.near);
		shrink(weir_socket_fd(line.b.socket));
	}
	join(&line, &options);
	sent = block(&line, 0);
	ck_assert_uint_le(weir_socket_held(line.a.socket), bounds[_i]);
	ck_assert_uint_gt(weir_socket_held(line.a.socket), 0);
	ck_assert_uint_lt(turns_in(50), 20);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	drain(&line, &at, sent);
	ck_assert_uint_eq(weir_socket_held(line.a.socket), 0);
	expect_end(line.far);
	clear(&line);
}
END_TEST

START_TEST(a_blocked_bulk_flow_neither_spins_nor_loses)
{
	struct line line;
	uint64_t sent, at = 0;
	size_t before = descriptors();

	lay_out(&line, _i == 0 ? TCP4 : UNIX, true);
	join(&line, NULL);
	sent = block(&line, 0);
	ck_assert_uint_gt(sent, 64 * 1024);
	ck_assert_uint_lt(turns_in(50), 20);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	drain(&line, &at, sent);
	expect_end(line.far);
	clear(&line);
	/* At most the pool of idle kernel pipes is left. */
	ck_assert_uint_le(descriptors(), before + 4);
}
END_TEST

#define FLOWS 8

static uint64_t
delivered(const struct line *lines)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < FLOWS; i++)
		n += weir_socket_bytes_delivered(lines[i].b.socket);
	return n;
}

/* Whoever has one request is not to wait for all of them; nor for what they
 * only have to write any more. */
START_TEST(events_come_between_the_turns_of_bulk_flows)
{
	const struct weir_pipe_options held = {.buffer = MB, .no_splice = true};
	struct line lines[FLOWS];
	uint64_t sent[FLOWS], at[FLOWS] = {0}, start, before;
	int i, many = 0;

	for (i = 0; i < FLOWS; i++) {
		lay_out(&lines[i], TCP4, true);
		join(&lines[i], _i == 1 ? &held : NULL);
		sent[i] = block(&lines[i], 0);
		if (_i == 1)
			weir_socket_pause(lines[i].a.socket);
	}
	for (i = 0; i < FLOWS; i++) /* there is room again, for all at once */
		while (!silent_fd(lines[i].far))
			ck_assert(take(lines[i].far, &at[i], MB));
	start = delivered(lines);
	for (i = 0; i < 16 * FLOWS; i++) {
		before = delivered(lines);
		turn();
		/* Where little came for a moment, as when others have the
		 * processor, a flow is none of bulk for one turn. */
		many += delivered(lines) - before > 3 * MB;
	}
	ck_assert_uint_gt(delivered(lines) - start, 4 * MB);
	ck_assert_uint_le(many, _i == 1 ? 0 : FLOWS);
	for (i = 0; i < FLOWS; i++) {
		if (_i == 1)
			weir_socket_resume(lines[i].a.socket);
		drain(&lines[i], &at[i], sent[i]);
		clear(&lines[i]);
	}
}
END_TEST

/* An idle connection costs no more for what it once was through. */
START_TEST(a_flow_that_was_blocked_gives_its_memory_back)
{
	const struct weir_pipe_options options = {.no_splice = _i == 1};
	struct line line;
	uint64_t sent, at = 0;

	lay_out(&line, TCP4, true);
	join(&line, &options);
	sent = block(&line, 0);
	ck_assert_ptr_nonnull(line.a.socket->extra);
	drain(&line, &at, sent);
	say(line.near, "no bulk any more");
	expect(line.far, "no bulk any more");
	until(line.a.socket->extra == NULL);
	ck_assert_ptr_null(line.b.socket->extra);
	clear(&line);
}
END_TEST

START_TEST(unpiping_a_blocked_flow_keeps_its_bytes_for_the_next)
{
	const struct weir_pipe_options options = {.no_splice = _i == 1};
	struct line line;
	struct watcher next = {0};
	uint64_t sent, at = 0;
	int far;

	lay_out(&line, TCP4, true);
	join(&line, &options);
	sent = block(&line, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	if (_i < 2) {
		ck_assert_int_eq(weir_socket_unpipe(line.a.socket), 0);
		/* What the first has taken is out; the rest goes to next. */
		while (take(line.far, &at, MB) && !silent_fd(line.far))
			;
	} else {
		/* The destination goes with what its kernel has taken. */
		at = weir_socket_bytes_delivered(line.b.socket);
		weir_socket_destroy(line.b.socket, 0);
	}
	until(at == weir_socket_bytes_delivered(line.b.socket) ||
	      !take(line.far, &at, MB) || at == sent);
	far = watched_pair(TCP4, &next, &quiet, true);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, next.socket, NULL), 0);
	ck_assert_int_eq(close(line.far), 0);
	line.far = far;
	drain(&line, &at, sent);
	expect_end(far);
	ck_assert_uint_eq(weir_socket_bytes_read(line.a.socket), sent);
	forget_watcher(&next);
	clear(&line);
}
END_TEST

START_TEST(unpiped_bytes_are_read_by_the_handler_when_it_resumes)
{
	struct line line;
	uint64_t sent, at;
	unsigned char *bytes;

	lay_out(&line, TCP4, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	sent = block(&line, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), 0);
	ck_assert(weir_socket_paused(line.a.socket));
	at = weir_socket_bytes_delivered(line.b.socket);
	weir_socket_set_handlers(line.a.socket, &loud, &line.a);
	settle();
	ck_assert_uint_eq(line.a.length, 0); /* it is paused */
	weir_socket_resume(line.a.socket);
	until(was_told(&line.a, "end"));
	ck_assert_uint_eq(at + line.a.length, sent);
	bytes = pattern_bytes(at, line.a.length);
	ck_assert_mem_eq(line.a.data, bytes, line.a.length);
	free(bytes);
	clear(&line);
}
END_TEST

/* ---- before the connection is made ---- */

static void
connect_to_listener(struct watcher *w, int *listener, struct weir_address *at)
{
	*listener = listening_fd(TCP4, at);
	ck_assert_int_eq(weir_socket_connect(w->socket, at, NULL), 0);
}

static int
accepted(int listener)
{
	int fd;

	until(!silent_fd(listener));
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(close(listener), 0);
	return fd;
}

/* 0: data and FIN, 1: a FIN alone, 2: much data and FIN, 3: data alone. */
START_TEST(what_came_before_the_connection_is_passed_on_with_its_fin)
{
	struct line line = {0};
	struct weir_address at;
	uint64_t sent = 0, got = 0;
	int listener;

	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	join(&line, NULL);
	if (_i == 2)
		sent = block(&line, 0);
	else if (_i != 1)
		say(line.near, "early");
	if (_i != 3)
		ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	settle();
	ck_assert_uint_le(weir_socket_held(line.a.socket), 64 * 1024);
	ck_assert_uint_lt(turns_in(30), 15);
	connect_to_listener(&line.b, &listener, &at);
	line.far = accepted(listener);
	if (_i == 2)
		drain(&line, &got, sent);
	else if (_i != 1)
		expect(line.far, "early");
	if (_i != 3)
		expect_end(line.far);
	say(line.far, "answer");
	expect(line.near, "answer");
	clear(&line);
}
END_TEST

/* The same, but the destination is opened around a descriptor. */
START_TEST(what_came_before_is_passed_on_to_an_opened_descriptor)
{
	struct line line = {0};
	int fds[2];

	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	join(&line, NULL);
	if (_i == 0)
		say(line.near, "early");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	settle();
	stream_pair(UNIX, fds);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.b.socket, fds[0], true, true), 0);
	line.far = fds[1];
	if (_i == 0)
		expect(line.far, "early");
	expect_end(line.far);
	clear(&line);
}
END_TEST

static struct weir_address
nobody_there(void)
{
	struct weir_address at;
	int fd = listening_fd(TCP4, &at);

	ck_assert_int_eq(close(fd), 0);
	return at;
}

/* The object is connected again, or another takes its place. */
START_TEST(a_failed_destination_loses_nothing_for_the_next)
{
	struct line line = {0};
	struct weir_address at = nobody_there();
	int listener;

	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	join(&line, NULL);
	say(line.near, "early");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	ck_assert_int_eq(weir_socket_connect(line.b.socket, &at, NULL), 0);
	until(line.b.closes == 1);
	ck_assert_int_eq(line.b.closed, -ECONNREFUSED);
	ck_assert_str_eq(line.b.told, "attempt failed error close ");
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), WEIR_E_NOT_PIPED);
	if (_i == 1) {
		forget_watcher(&line.b);
		watch_new(&line.b, &quiet, true);
	}
	line.b.error = 0;
	join(&line, NULL);
	connect_to_listener(&line.b, &listener, &at);
	line.far = accepted(listener);
	expect(line.far, "early");
	expect_end(line.far);
	say(line.far, "late");
	expect(line.near, "late");
	ck_assert_uint_eq(weir_socket_bytes_written(line.b.socket), 5);
	clear(&line);
}
END_TEST

/* ---- ends ---- */

START_TEST(half_close_lets_a_late_answer_through)
{
	struct line line;
	int i;

	lay_out(&line, (enum kind)_i, true);
	join(&line, NULL);
	say(line.near, "request");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect(line.far, "request");
	expect_end(line.far);
	ck_assert_str_eq(line.a.told, "end ");
	ck_assert_int_eq(
	    weir_socket_ready_state(line.a.socket), WEIR_WRITE_ONLY);
	ck_assert_int_eq(
	    weir_socket_ready_state(line.b.socket), WEIR_READ_ONLY);
	for (i = 0; i < 5; i++) {
		ck_assert_uint_lt(turns_in(10), 15);
		say(line.far, "piece");
		expect(line.near, "piece");
	}
	ck_assert_int_eq(shutdown(line.far, SHUT_WR), 0);
	expect_end(line.near);
	until(line.a.closes == 1 && line.b.closes == 1);
	ck_assert_int_eq(line.a.closed, 0);
	ck_assert_int_eq(line.b.closed, 0);
	clear(&line);
}
END_TEST

START_TEST(without_half_open_an_end_ends_both_sides)
{
	struct line line;

	lay_out(&line, TCP4, false);
	join(&line, NULL);
	say(line.near, "bye");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect(line.far, "bye");
	expect_end(line.far);
	expect_end(line.near);
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, 0);
	clear(&line);
}
END_TEST

START_TEST(without_half_open_all_that_was_read_is_still_written)
{
	struct line line;
	uint64_t got = 0, held;

	lay_out(&line, TCP4, false);
	/* Much from far to near, which reads nothing. */
	ck_assert_int_eq(
	    weir_socket_pipe(line.b.socket, line.a.socket, NULL), 0);
	{
		struct line back = {.near = line.far};

		(void)block(&back, 0);
	}
	held = weir_socket_bytes_read(line.b.socket);
	weir_socket_resume(line.a.socket);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	until(was_told(&line.a, "end"));
	while (got < held) {
		until(!silent_fd(line.near));
		ck_assert(take(line.near, &got, MB));
	}
	ck_assert_uint_ge(weir_socket_bytes_read(line.b.socket), held);
	while (take(line.near, &got, MB))
		until(!silent_fd(line.near));
	until(line.a.closes == 1);
	ck_assert_uint_eq(got, weir_socket_bytes_delivered(line.a.socket));
	clear(&line);
}
END_TEST

/* Both have ended before the blocked one could pass all on. */
START_TEST(an_end_read_while_blocked_is_told_when_the_reader_ends_too)
{
	struct line line;
	uint64_t sent, got = 0;

	lay_out(&line, TCP4, false);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	shrink(weir_socket_fd(line.b.socket));
	sent = stuff(line.near, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	settle();
	/* The reader's own FIN, while bytes for it are held. */
	weir_socket_resume(line.b.socket);
	ck_assert_int_eq(shutdown(line.far, SHUT_WR), 0);
	until(was_told(&line.b, "end"));
	do {
		until(!silent_fd(line.far));
	} while (take(line.far, &got, MB));
	ck_assert_uint_le(got, sent);
	until(line.b.closes == 1);
	if (weir_socket_bytes_read(line.a.socket) == sent) {
		weir_socket_resume(line.a.socket);
		until(line.a.closes == 1);
		ck_assert_str_eq(line.a.told, "end close ");
	}
	clear(&line);
}
END_TEST

START_TEST(keep_open_leaves_the_destination_open)
{
	const struct weir_pipe_options options = {.keep_open = true};
	struct line line;

	lay_out(&line, TCP4, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, &options), 0);
	say(line.near, "first ");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	until(was_told(&line.a, "end"));
	ck_assert_int_eq(weir_socket_write(line.b.socket, "second", 6), 0);
	ck_assert_int_eq(weir_socket_end(line.b.socket), 0);
	expect(line.far, "first second");
	expect_end(line.far);
	clear(&line);
}
END_TEST

START_TEST(keep_open_does_not_keep_a_socket_open_that_may_not_be_half_open)
{
	const struct weir_pipe_options options = {.keep_open = true};
	struct line line;

	lay_out(&line, TCP4, false);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, &options), 0);
	weir_socket_resume(line.b.socket);
	ck_assert_int_eq(shutdown(line.far, SHUT_WR), 0);
	expect_end(line.far);
	until(line.b.closes == 1);
	clear(&line);
}
END_TEST

START_TEST(ending_a_destination_by_hand_stops_the_flow_and_keeps_the_rest)
{
	struct line line;
	struct watcher next = {0};
	int far;

	lay_out(&line, TCP4, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "one");
	expect(line.far, "one");
	ck_assert_int_eq(weir_socket_end(line.b.socket), 0);
	expect_end(line.far);
	say(line.near, "two");
	until(weir_socket_held(line.a.socket) == 3);
	settle();
	far = watched_pair(TCP4, &next, &quiet, true);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, next.socket, NULL), 0);
	expect(far, "two");
	forget_watcher(&next);
	ck_assert_int_eq(close(far), 0);
	clear(&line);
}
END_TEST

/* ---- resets and failures ---- */

START_TEST(a_reset_of_an_idle_pipe_is_told)
{
	struct line line;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	settle();
	reset_fd(line.near);
	line.near = -1;
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -ECONNRESET);
	ck_assert_str_eq(line.a.told, "error close ");
	ck_assert_uint_eq(line.b.calls, 0);
	clear(&line);
}
END_TEST

START_TEST(bytes_before_a_reset_are_passed_on_first)
{
	struct line line;

	lay_out(&line, UNIX, true);
	join(&line, NULL);
	/* A unix socket that is closed with bytes unread is a reset. */
	say(line.far, "never read");
	until(!silent_fd(line.near));
	say(line.near, "last words");
	ck_assert_int_eq(close(line.near), 0);
	line.near = -1;
	expect(line.far, "last words");
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -ECONNRESET);
	clear(&line);
}
END_TEST

START_TEST(a_reset_is_seen_while_the_pipe_is_blocked)
{
	const struct weir_pipe_options options = {.no_splice = _i == 1};
	struct line line;
	uint64_t got = 0;

	lay_out(&line, TCP4, true);
	join(&line, &options);
	(void)block(&line, 0);
	reset_fd(line.near);
	line.near = -1;
	until(was_told(&line.a, "broken"));
	ck_assert_int_eq(line.a.broken, -ECONNRESET);
	ck_assert(weir_socket_write_ended(line.a.socket));
	ck_assert_int_lt(weir_socket_write(line.a.socket, "x", 1), 0);
	ck_assert_uint_lt(turns_in(50), 20);
	until(line.a.closes == 1 || (take(line.far, &got, MB), false));
	ck_assert_int_eq(line.a.closed, -ECONNRESET);
	ck_assert_str_eq(line.a.told, "broken error close ");
	drain(&line, &got, weir_socket_bytes_read(line.a.socket));
	ck_assert(silent_fd(line.far));
	ck_assert_uint_eq(got, weir_socket_bytes_delivered(line.b.socket));
	clear(&line);
}
END_TEST

START_TEST(a_reset_after_a_half_close_is_told)
{
	struct line line;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect_end(line.far);
	settle();
	reset_fd(line.near);
	line.near = -1;
	until(line.a.closes == 1);
	ck_assert_str_eq(line.a.told, "end error close ");
	clear(&line);
}
END_TEST

START_TEST(a_paused_pipe_sees_a_reset)
{
	struct line line;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	weir_socket_pause(line.a.socket);
	settle();
	reset_fd(line.near);
	line.near = -1;
	until(was_told(&line.a, "broken"));
	weir_socket_resume(line.a.socket);
	until(line.a.closes == 1);
	clear(&line);
}
END_TEST

START_TEST(last_bytes_are_passed_on_when_nothing_can_be_written_back)
{
	struct line line;
	uint64_t sent, got = 0;

	lay_out(&line, UNIX, true);
	join(&line, NULL);
	sent = block(&line, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_RD), 0);
	say(line.far, "cannot arrive");
	until(was_told(&line.a, "broken"));
	ck_assert_int_eq(line.a.broken, -EPIPE);
	ck_assert_uint_lt(turns_in(50), 20);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	drain(&line, &got, sent);
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -EPIPE);
	ck_assert_str_eq(line.a.told, "broken error close ");
	clear(&line);
}
END_TEST

START_TEST(a_broken_socket_that_is_to_be_destroyed_soon_goes_at_once)
{
	struct line line;

	lay_out(&line, UNIX, true);
	join(&line, NULL);
	(void)block(&line, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_RD), 0);
	say(line.far, "cannot arrive");
	until(was_told(&line.a, "broken"));
	weir_socket_destroy_soon(line.a.socket);
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -EPIPE);
	clear(&line);
}
END_TEST

/* The source's peer has gone, and then its destination goes as well. */
START_TEST(a_source_that_failed_ends_when_its_destination_goes)
{
	struct line line;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	(void)block(&line, 0);
	reset_fd(line.near);
	line.near = -1;
	until(was_told(&line.a, "broken"));
	if (_i == 0)
		weir_socket_destroy(line.b.socket, 0);
	else if (_i == 1)
		weir_socket_free(line.b.socket);
	else
		ck_assert_int_eq(weir_socket_unpipe(line.a.socket), 0);
	if (_i == 1)
		line.b.socket = NULL;
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -ECONNRESET);
	clear(&line);
}
END_TEST

START_TEST(a_destination_that_is_reset_is_unpiped_and_the_source_paused)
{
	struct line line;

	lay_out(&line, TCP4, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	settle();
	reset_fd(line.far);
	line.far = -1;
	until(line.b.closes == 1);
	ck_assert_int_eq(line.b.closed, -ECONNRESET);
	ck_assert(weir_socket_paused(line.a.socket));
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), WEIR_E_NOT_PIPED);
	say(line.near, "kept");
	settle();
	ck_assert_uint_eq(line.a.calls, 0);
	clear(&line);
}
END_TEST

/* ---- pausing ---- */

START_TEST(a_pipe_can_be_paused_and_resumed)
{
	struct line line;
	int i;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	for (i = 0; i < 3; i++) {
		weir_socket_pause(line.a.socket);
		say(line.near, "waits");
		settle();
		ck_assert(silent_fd(line.far));
		ck_assert_uint_lt(turns_in(20), 15);
		weir_socket_resume(line.a.socket);
		expect(line.far, "waits");
	}
	weir_socket_pause(line.a.socket);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	settle();
	ck_assert_uint_eq(line.a.calls, 0);
	weir_socket_resume(line.a.socket);
	expect_end(line.far);
	clear(&line);
}
END_TEST

START_TEST(a_blocked_pipe_can_be_paused_and_resumed)
{
	struct line line;
	uint64_t sent, got = 0;

	lay_out(&line, TCP4, true);
	join(&line, NULL);
	sent = block(&line, 0);
	weir_socket_pause(line.a.socket);
	/* What was read before goes on, and no more. */
	drain(&line, &got, weir_socket_bytes_read(line.a.socket));
	settle();
	ck_assert(silent_fd(line.far));
	weir_socket_resume(line.a.socket);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	drain(&line, &got, sent);
	expect_end(line.far);
	clear(&line);
}
END_TEST

/* ---- what stands before, and who listens in ---- */

START_TEST(own_bytes_go_before_those_of_the_pipe)
{
	struct line line;

	lay_out(&line, TCP4, true);
	say(line.near, "piped");
	if (_i == 0) {
		(void)weir_socket_write(line.b.socket, "greeting ", 9);
		join(&line, NULL);
	} else {
		join(&line, NULL);
		(void)weir_socket_write(line.b.socket, "greeting ", 9);
	}
	expect(line.far, "greeting piped");
	clear(&line);
}
END_TEST

/* With the handlers' lane in between or not. */
START_TEST(many_own_bytes_that_wait_go_before_those_of_the_pipe)
{
	struct line line;
	size_t length = 6 * MB;
	unsigned char *own = pattern_bytes(0, length);
	uint64_t got = 0;

	memset(&line, 0, sizeof(line));
	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	line.far = watched_pair(TCP4, &line.b, _i == 0 ? &quiet : &loud, true);
	ck_assert_int_eq(
	    weir_socket_write(line.b.socket, own, length), WEIR_WAIT);
	if (_i == 2)
		settle();
	if (_i == 3) { /* into the handlers' lane and out of it, at once */
		weir_socket_set_handlers(line.b.socket, &quiet, &line.b);
		weir_socket_set_handlers(line.b.socket, &loud, &line.b);
	}
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "and the rest");
	drain(&line, &got, length);
	expect(line.far, "and the rest");
	ck_assert_uint_eq(line.b.drains, 1);
	ck_assert_uint_eq(
	    weir_socket_bytes_delivered(line.b.socket), length + 12);
	free(own);
	clear(&line);
}
END_TEST

START_TEST(a_write_that_waits_on_a_fresh_socket_reaches_a_pipes_destination)
{
	struct line line = {0};
	struct weir_address at;
	size_t length = 6 * MB;
	unsigned char *own = pattern_bytes(0, length);
	uint64_t got = 0;
	int listener;

	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &loud, true);
	ck_assert_int_eq(
	    weir_socket_write(line.b.socket, own, length), WEIR_WAIT);
	connect_to_listener(&line.b, &listener, &at);
	until(was_told(&line.b, "ready"));
	line.far = accepted(listener);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "and the rest");
	drain(&line, &got, length);
	expect(line.far, "and the rest");
	free(own);
	clear(&line);
}
END_TEST

START_TEST(a_handler_of_the_source_sees_the_bytes_too)
{
	struct line line;

	memset(&line, 0, sizeof(line));
	line.near = watched_pair(TCP4, &line.a, &loud, true);
	line.far = watched_pair(TCP4, &line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "both");
	expect(line.far, "both");
	ck_assert_uint_eq(line.a.length, 4);
	ck_assert_mem_eq(line.a.data, "both", 4);
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), 0);
	weir_socket_resume(line.a.socket);
	say(line.near, "mine");
	until(line.a.length == 8);
	ck_assert_mem_eq(line.a.data, "bothmine", 8);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "again");
	expect(line.far, "again");
	ck_assert_uint_eq(line.a.length, 13);
	clear(&line);
}
END_TEST

START_TEST(data_that_waits_on_both_sides_goes_along_when_they_are_joined)
{
	struct line line;

	memset(&line, 0, sizeof(line));
	line.near = watched_pair(TCP4, &line.a, &loud, true);
	line.far = watched_pair(TCP4, &line.b, &loud, true);
	say(line.near, "hello ");
	say(line.far, "welcome ");
	until(line.a.length == 6 && line.b.length == 8);
	weir_socket_pause(line.a.socket);
	weir_socket_pause(line.b.socket);
	say(line.near, "waits");
	say(line.far, "as well");
	settle();
	join(&line, NULL);
	expect(line.far, "waits");
	expect(line.near, "as well");
	/* And back to the handlers. */
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), 0);
	ck_assert_int_eq(weir_socket_unpipe(line.b.socket), 0);
	weir_socket_resume(line.a.socket);
	say(line.near, "x");
	until(line.a.length >= 7 && line.a.data[line.a.length - 1] == 'x');
	clear(&line);
}
END_TEST

static void
pipe_on_data(struct watcher *w, const char *what)
{
	if (strcmp(what, "data") == 0 && w->extra != NULL) {
		ck_assert_int_eq(
		    weir_socket_pipe(w->socket, w->extra, NULL), 0);
		w->extra = NULL;
	}
}

/* The first bytes are looked at, the rest is passed on; none twice. */
START_TEST(a_handler_may_pipe_in_the_middle_of_the_data)
{
	struct line line;
	uint64_t sent, at;

	memset(&line, 0, sizeof(line));
	line.near = watched_pair(TCP4, &line.a, &loud, true);
	line.far = watched_pair(TCP4, &line.b, &quiet, true);
	line.a.act = pipe_on_data;
	line.a.extra = line.b.socket;
	sent = stuff(line.near, 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	until(line.a.length > 0);
	weir_socket_set_handlers(line.a.socket, &quiet, &line.a);
	at = line.a.length;
	if (_i == 1)
		settle();
	drain(&line, &at, sent);
	expect_end(line.far);
	clear(&line);
}
END_TEST

/* ---- another flow is undone while a handler looks at bytes ---- */

struct intruder {
	struct weir_socket *destination;
	bool done;
	unsigned char seen[64];
};

static void
intrude(struct watcher *w, const char *what)
{
	struct intruder *i = w->extra;

	if (strcmp(what, "data") != 0 || i->done)
		return;
	i->done = true;
	weir_socket_destroy(i->destination, 0);
}

START_TEST(undoing_another_flow_does_not_touch_the_bytes_of_this_one)
{
	struct line line, other;
	struct intruder intruder = {0};

	lay_out(&other, TCP4, true);
	join(&other, NULL);
	(void)block(&other, 0); /* by now with a kernel pipe, which is full */

	memset(&line, 0, sizeof(line));
	line.near = watched_pair(TCP4, &line.a, &loud, true);
	line.far = watched_pair(TCP4, &line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	intruder.destination = other.b.socket;
	line.a.act = intrude;
	line.a.extra = &intruder;
	say(line.near, "untouched");
	expect(line.far, "untouched");
	ck_assert(intruder.done);
	clear(&line);
	clear(&other);
}
END_TEST

/* ---- what is not a socket ---- */

static char *
temporary(char *path, size_t size, const char *name)
{
	(void)snprintf(
	    path, size, "/tmp/weir-check-%ld.%s", (long)getpid(), name);
	(void)unlink(path);
	return path;
}

static const int file_flags[] = {0, O_APPEND};

START_TEST(a_pipe_to_a_file_writes_all_and_closes_it)
{
	struct line line = {.far = -1};
	char path[128];
	int fd;
	uint64_t sent = 0, at = 0;

	fd = open(temporary(path, sizeof(path), "file"),
	    O_WRONLY | O_CREAT | O_CLOEXEC | file_flags[_i], 0600);
	ck_assert_int_ne(fd, -1);
	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.b.socket, fd, false, true), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	while (sent < 8 * MB) {
		sent += stuff(line.near, sent);
		turn();
	}
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	until(line.b.closes == 1);
	ck_assert_str_eq(line.b.told, "close ");
	ck_assert_str_eq(line.a.told, "end ");
	ck_assert_uint_eq(weir_socket_bytes_delivered(line.b.socket), sent);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while (take(fd, &at, MB))
		;
	ck_assert_uint_eq(at, sent);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(unlink(path), 0);
	clear(&line);
}
END_TEST

START_TEST(a_file_without_room_makes_the_source_wait)
{
	struct line line = {.far = -1};
	uint64_t sent;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.b.socket, fd, false, true), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	sent = block(&line, 0);
	ck_assert_str_eq(line.b.told, "full ");
	ck_assert_int_eq(line.b.full, -ENOSPC);
	ck_assert_uint_le(weir_socket_held(line.a.socket), 64 * 1024);
	ck_assert_uint_gt(sent, weir_socket_bytes_read(line.a.socket));
	/* It is tried again, told once, and does not spin. */
	ck_assert_uint_lt(turns_in(700), 40);
	ck_assert_str_eq(line.b.told, "full ");
	/* Room at last: the same descriptor leads elsewhere. */
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(dup2(fd, weir_socket_fd(line.b.socket)),
	    weir_socket_fd(line.b.socket));
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	until(line.b.closes == 1);
	ck_assert_uint_eq(weir_socket_bytes_delivered(line.b.socket), sent);
	ck_assert_int_eq(line.b.closed, 0);
	clear(&line);
}
END_TEST

START_TEST(a_pipe_descriptor_can_be_read_and_written)
{
	struct line line = {0};
	int in[2], out[2];
	uint64_t sent = 0, at = 0;

	ck_assert_int_eq(pipe2(in, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(out, O_NONBLOCK | O_CLOEXEC), 0);
	line.near = in[1];
	line.far = out[0];
	watch_new(&line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.a.socket, in[0], true, false), 0);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.b.socket, out[1], false, true), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	while (sent < 4 * MB) {
		sent += stuff(line.near, sent);
		turn();
		while (!silent_fd(line.far) && at < sent)
			ck_assert(take(line.far, &at, MB));
	}
	ck_assert_int_eq(close(line.near), 0);
	line.near = -1;
	drain(&line, &at, sent);
	expect_end(line.far);
	until(line.a.closes == 1 && line.b.closes == 1);
	ck_assert_str_eq(line.a.told, "end close ");
	ck_assert_str_eq(line.b.told, "close ");
	clear(&line);
}
END_TEST

/* Idle, or while it is full. */
START_TEST(a_fifo_whose_reader_leaves_is_an_error)
{
	struct line line = {0};
	char path[128];
	int fd;

	ck_assert_int_eq(
	    mkfifo(temporary(path, sizeof(path), "fifo"), 0600), 0);
	line.far = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	ck_assert_int_ne(fd, -1);
	line.near = watched_pair(TCP4, &line.a, &quiet, true);
	watch_new(&line.b, &quiet, true);
	ck_assert_int_eq(
	    weir_socket_open_fd(line.b.socket, fd, false, true), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	say(line.near, "text");
	expect(line.far, "text");
	if (_i == 1)
		(void)block(&line, 0);
	ck_assert_int_eq(close(line.far), 0);
	line.far = -1;
	until(line.b.closes == 1);
	ck_assert_int_eq(line.b.closed, -EPIPE);
	ck_assert_uint_eq(line.a.closes, 0);
	ck_assert_int_eq(unlink(path), 0);
	clear(&line);
}
END_TEST

/* ---- rates ---- */

START_TEST(a_rate_is_never_exceeded)
{
	static const uint64_t rates[] = {2000, 200 * 1024, 20 * MB};
	const struct weir_pipe_options options = {
	    .rate = rates[_i],
	    .no_splice = _i == 1,
	};
	struct line line;
	uint64_t got = 0, sent = 0, started, us, most = rates[_i] * 3 / 10;

	lay_out(&line, TCP4, true);
	started = weir_loop_now_ms(loop);
	join(&line, &options);
	while (got < most) {
		sent += stuff(line.near, sent);
		until(!silent_fd(line.far));
		ck_assert(take(line.far, &got, MB));
		/* The first tenth may come at once; a millisecond is lost to
		 * the clock. */
		us = (weir_loop_now_ms(loop) - started + 2) * 1000;
		ck_assert_uint_le(
		    got, rates[_i] / 10 + 1 + rates[_i] * us / 1000000);
	}
	ck_assert_uint_lt(turns_in(100), 100);
	clear(&line);
}
END_TEST

START_TEST(a_rated_flow_delivers_its_rest_after_the_end)
{
	const struct weir_pipe_options options = {.rate = 2000};
	struct line line;
	uint64_t got = 0;
	unsigned char *bytes = pattern_bytes(0, 700);

	lay_out(&line, TCP4, true);
	join(&line, &options);
	ck_assert_int_eq(write(line.near, bytes, 700), 700);
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	drain(&line, &got, 700);
	expect_end(line.far);
	free(bytes);
	clear(&line);
}
END_TEST

/* ---- wrong calls ---- */

START_TEST(pipes_that_make_no_sense_are_refused)
{
	struct line line;
	struct watcher third = {0};

	lay_out(&line, TCP4, true);
	watch_new(&third, &quiet, true);
	ck_assert_int_eq(weir_socket_pipe(NULL, line.a.socket, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, NULL, NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_unpipe(NULL), -EINVAL);
	ck_assert_int_eq(weir_socket_unpipe(line.a.socket), WEIR_E_NOT_PIPED);
	ck_assert_int_eq(
	    weir_socket_pipe(line.a.socket, line.b.socket, NULL), 0);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, line.b.socket, NULL),
	    WEIR_E_ALREADY_PIPED);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, third.socket, NULL),
	    WEIR_E_ALREADY_PIPED);
	ck_assert_int_eq(weir_socket_pipe(third.socket, line.b.socket, NULL),
	    WEIR_E_ALREADY_PIPED);
	/* A failed call has changed nothing. */
	say(line.near, "works");
	expect(line.far, "works");
	weir_socket_destroy(line.a.socket, 0);
	ck_assert_int_eq(weir_socket_pipe(line.a.socket, third.socket, NULL),
	    WEIR_E_SOCKET_CLOSED);
	until(line.a.closes == 1);
	forget_watcher(&third);
	clear(&line);
}
END_TEST

static Suite *
pump_suite(void)
{
	Suite *suite = suite_create("pump");
	TCase *flow = tcase_create("flow"), *ends = tcase_create("ends"),
	      *lanes = tcase_create("lanes"), *files = tcase_create("files");

	tcase_add_checked_fixture(flow, support_begin, support_end);
	tcase_add_checked_fixture(ends, support_begin, support_end);
	tcase_add_checked_fixture(lanes, support_begin, support_end);
	tcase_add_checked_fixture(files, support_begin, support_end);

	tcase_add_loop_test(flow, a_socket_piped_to_itself_echoes, 0, 3);
	tcase_add_loop_test(
	    flow, an_echo_that_nobody_reads_waits_and_loses_nothing, 0, 2);
	tcase_add_loop_test(flow, big_transfers_come_whole_and_in_order, 0,
	    sizeof(transfers) / sizeof(transfers[0]));
	tcase_add_loop_test(flow, a_slow_reader_holds_no_more_than_the_buffer,
	    0, sizeof(bounds) / sizeof(bounds[0]));
	tcase_add_loop_test(
	    flow, a_blocked_bulk_flow_neither_spins_nor_loses, 0, 2);
	tcase_add_loop_test(
	    flow, events_come_between_the_turns_of_bulk_flows, 0, 2);
	tcase_add_loop_test(
	    flow, a_flow_that_was_blocked_gives_its_memory_back, 0, 2);
	tcase_add_loop_test(
	    flow, unpiping_a_blocked_flow_keeps_its_bytes_for_the_next, 0, 3);
	tcase_add_test(
	    flow, unpiped_bytes_are_read_by_the_handler_when_it_resumes);
	tcase_add_test(flow, a_pipe_can_be_paused_and_resumed);
	tcase_add_test(flow, a_blocked_pipe_can_be_paused_and_resumed);
	tcase_add_loop_test(flow, a_rate_is_never_exceeded, 0, 3);
	tcase_add_test(flow, a_rated_flow_delivers_its_rest_after_the_end);
	tcase_add_test(flow, pipes_that_make_no_sense_are_refused);
	suite_add_tcase(suite, flow);

	tcase_add_loop_test(ends,
	    what_came_before_the_connection_is_passed_on_with_its_fin, 0, 4);
	tcase_add_loop_test(
	    ends, what_came_before_is_passed_on_to_an_opened_descriptor, 0, 2);
	tcase_add_loop_test(
	    ends, a_failed_destination_loses_nothing_for_the_next, 0, 2);
	tcase_add_loop_test(ends, half_close_lets_a_late_answer_through, 0, 3);
	tcase_add_test(ends, without_half_open_an_end_ends_both_sides);
	tcase_add_test(
	    ends, without_half_open_all_that_was_read_is_still_written);
	tcase_add_test(
	    ends, an_end_read_while_blocked_is_told_when_the_reader_ends_too);
	tcase_add_test(ends, keep_open_leaves_the_destination_open);
	tcase_add_test(ends,
	    keep_open_does_not_keep_a_socket_open_that_may_not_be_half_open);
	tcase_add_test(ends,
	    ending_a_destination_by_hand_stops_the_flow_and_keeps_the_rest);
	tcase_add_test(ends, a_reset_of_an_idle_pipe_is_told);
	tcase_add_test(ends, bytes_before_a_reset_are_passed_on_first);
	tcase_add_loop_test(
	    ends, a_reset_is_seen_while_the_pipe_is_blocked, 0, 2);
	tcase_add_test(ends, a_reset_after_a_half_close_is_told);
	tcase_add_test(ends, a_paused_pipe_sees_a_reset);
	tcase_add_test(
	    ends, last_bytes_are_passed_on_when_nothing_can_be_written_back);
	tcase_add_test(
	    ends, a_broken_socket_that_is_to_be_destroyed_soon_goes_at_once);
	tcase_add_loop_test(
	    ends, a_source_that_failed_ends_when_its_destination_goes, 0, 3);
	tcase_add_test(
	    ends, a_destination_that_is_reset_is_unpiped_and_the_source_paused);
	suite_add_tcase(suite, ends);

	tcase_add_loop_test(lanes, own_bytes_go_before_those_of_the_pipe, 0, 2);
	tcase_add_loop_test(
	    lanes, many_own_bytes_that_wait_go_before_those_of_the_pipe, 0, 4);
	tcase_add_test(lanes,
	    a_write_that_waits_on_a_fresh_socket_reaches_a_pipes_destination);
	tcase_add_test(lanes, a_handler_of_the_source_sees_the_bytes_too);
	tcase_add_test(lanes,
	    data_that_waits_on_both_sides_goes_along_when_they_are_joined);
	tcase_add_loop_test(
	    lanes, a_handler_may_pipe_in_the_middle_of_the_data, 0, 2);
	tcase_add_test(
	    lanes, undoing_another_flow_does_not_touch_the_bytes_of_this_one);
	suite_add_tcase(suite, lanes);

	tcase_add_loop_test(
	    files, a_pipe_to_a_file_writes_all_and_closes_it, 0, 2);
	tcase_add_test(files, a_file_without_room_makes_the_source_wait);
	tcase_add_test(files, a_pipe_descriptor_can_be_read_and_written);
	tcase_add_loop_test(
	    files, a_fifo_whose_reader_leaves_is_an_error, 0, 2);
	suite_add_tcase(suite, files);
	return suite;
}

int
main(void)
{
	return run_suite(pump_suite());
}
