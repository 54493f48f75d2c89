/*
 * What a socket waits for: edges are told once, and nothing that is still in
 * the kernel may be forgotten for that.
 */
#include "config.h"

#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <weir/error.h>

#include "support.h"

/* near <-> a <-> b <-> far. */
struct line {
	struct watcher a, b;
	int near, far;
};

static void
lay_out(struct line *line, enum kind kind, bool half_open)
{
	memset(line, 0, sizeof(*line));
	line->near = watched_pair(kind, &line->a, &quiet, half_open);
	line->far = watched_pair(kind, &line->b, &quiet, half_open);
	ck_assert_int_eq(
	    weir_socket_pipe(line->a.socket, line->b.socket, NULL), 0);
	ck_assert_int_eq(
	    weir_socket_pipe(line->b.socket, line->a.socket, NULL), 0);
}

static void
clear(struct line *line)
{
	forget_watcher(&line->a);
	forget_watcher(&line->b);
	ck_assert_int_eq(close(line->near), 0);
	ck_assert_int_eq(close(line->far), 0);
}

START_TEST(a_read_that_ends_at_telnets_mark_is_not_the_last)
{
	struct line line;

	lay_out(&line, _i == 0 ? TCP4 : TCP6, true);
	say(line.near, "hello");
	expect(line.far, "hello");
	say(line.near, "output \xff");
	ck_assert_int_eq(send(line.near, "\xf2", 1, MSG_OOB), 1);
	say(line.near, "prompt");
	expect(line.far, "output \xffprompt");
	clear(&line);
}
END_TEST

START_TEST(a_read_that_ends_at_a_mark_before_the_end_loses_nothing)
{
	struct line line;

	lay_out(&line, TCP4, true);
	say(line.near, "hello");
	expect(line.far, "hello");
	say(line.near, "one");
	ck_assert_int_eq(send(line.near, "!", 1, MSG_OOB), 1);
	say(line.near, "two");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect(line.far, "onetwo");
	expect_end(line.far);
	clear(&line);
}
END_TEST

START_TEST(a_read_that_ends_with_a_passed_descriptor_is_not_the_last)
{
	char word[] = "with", room[CMSG_SPACE(sizeof(int))];
	struct iovec part = {.iov_base = word, .iov_len = 4};
	struct msghdr message = {
	    .msg_iov = &part,
	    .msg_iovlen = 1,
	    .msg_control = room,
	    .msg_controllen = sizeof(room),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	struct line line;

	lay_out(&line, UNIX, true);
	memset(room, 0, sizeof(room));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &line.near, sizeof(int));
	say(line.near, "one ");
	ck_assert_int_eq(sendmsg(line.near, &message, 0), 4);
	say(line.near, " two");
	expect(line.far, "one with two");
	clear(&line);
}
END_TEST

/* The bytes and the FIN are there when the loop first looks. */
START_TEST(bytes_and_the_end_that_come_together_are_passed_on)
{
	struct line line;

	lay_out(&line, (enum kind)(_i / 2), _i % 2 == 0);
	say(line.near, "request");
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect(line.far, "request");
	expect_end(line.far);
	if (_i % 2 == 0)
		say(line.far, "answer");
	ck_assert_int_eq(shutdown(line.far, SHUT_WR), 0);
	if (_i % 2 == 0)
		expect(line.near, "answer");
	expect_end(line.near);
	until(line.a.closes == 1 && line.b.closes == 1);
	ck_assert_int_eq(line.a.closed, 0);
	ck_assert_int_eq(line.b.closed, 0);
	clear(&line);
}
END_TEST

START_TEST(bytes_that_come_while_it_is_paused_wait_and_wake_nobody)
{
	struct line line;
	uint64_t sent = 0, at = 0;
	int i;

	lay_out(&line, (enum kind)_i, true);
	settle();
	weir_socket_pause(line.a.socket);
	for (i = 0; i < 20; i++) {
		sent += stuff_most(line.near, sent, 1000);
		settle();
	}
	ck_assert(silent_fd(line.far));
	ck_assert_uint_lt(turns_in(50), 20);
	weir_socket_resume(line.a.socket);
	while (at < sent) {
		until(!silent_fd(line.far));
		ck_assert(take(line.far, &at, sent - at));
	}
	/* And it goes on from there. */
	ck_assert_int_eq(shutdown(line.near, SHUT_WR), 0);
	expect_end(line.far);
	clear(&line);
}
END_TEST

START_TEST(a_reset_while_it_is_paused_is_told)
{
	struct line line;

	lay_out(&line, TCP4, true);
	settle();
	weir_socket_pause(line.a.socket);
	if (_i > 0) {
		(void)stuff_most(line.near, 0, 1000);
		settle();
	}
	if (_i > 1) {
		(void)stuff_most(line.near, 1000, 1000);
		settle();
	}
	reset_fd(line.near);
	line.near = dup(line.far);
	until(line.a.broken != 0 || line.a.error != 0);
	clear(&line);
}
END_TEST

/* Both come before the loop looks: the read of the bytes is not to be the last
 * look at the socket. */
START_TEST(a_reset_that_comes_with_bytes_is_told)
{
	struct line line;

	lay_out(&line, TCP4, true);
	settle();
	say(line.near, "bytes");
	reset_fd(line.near);
	line.near = dup(line.far);
	until(line.a.closes == 1);
	ck_assert_int_eq(line.a.closed, -ECONNRESET);
	clear(&line);
}
END_TEST

START_TEST(an_end_that_nobody_reads_is_still_seen)
{
	struct watcher w = {0};
	int fd = watched_pair((enum kind)_i, &w, &quiet, true);

	settle();
	ck_assert_int_eq(weir_socket_end(w.socket), 0);
	settle();
	ck_assert_int_eq(close(fd), 0);
	until(w.closes == 1);
	ck_assert_str_eq(w.told, "end close ");
	forget_watcher(&w);
}
END_TEST

static Suite *
await_suite(void)
{
	Suite *suite = suite_create("await");
	TCase *tests = tcase_create("all");

	tcase_add_checked_fixture(tests, support_begin, support_end);
	tcase_add_loop_test(
	    tests, a_read_that_ends_at_telnets_mark_is_not_the_last, 0, 2);
	tcase_add_test(
	    tests, a_read_that_ends_at_a_mark_before_the_end_loses_nothing);
	tcase_add_test(
	    tests, a_read_that_ends_with_a_passed_descriptor_is_not_the_last);
	tcase_add_loop_test(
	    tests, bytes_and_the_end_that_come_together_are_passed_on, 0, 6);
	tcase_add_loop_test(tests,
	    bytes_that_come_while_it_is_paused_wait_and_wake_nobody, 0, 3);
	tcase_add_loop_test(tests, a_reset_while_it_is_paused_is_told, 0, 3);
	tcase_add_test(tests, a_reset_that_comes_with_bytes_is_told);
	tcase_add_loop_test(
	    tests, an_end_that_nobody_reads_is_still_seen, 0, 3);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	return run_suite(await_suite());
}
