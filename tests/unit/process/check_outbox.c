/* A queue before a channel whose other end does not read. */
#include "config.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/loop.h>

#include "process/outbox.h"

#define MOST 100

static struct weir_loop *loop;
static struct weir_channel *writer, *reader;
static struct outbox outbox;
static unsigned next, with_fds;

static void
on_message(struct weir_channel *channel, struct weir_socket *socket,
    const void *data, size_t length, void *user)
{
	(void)channel;
	(void)socket;
	(void)data;
	(void)length;
	(void)user;
	ck_abort();
}

static void
on_fds(struct weir_channel *channel, const int *fds, size_t count,
    const void *data, size_t length, void *user)
{
	unsigned number;
	struct stat st;

	(void)channel;
	(void)user;
	ck_assert_uint_eq(length, sizeof(number));
	memcpy(&number, data, sizeof(number));
	ck_assert_uint_eq(number, next++);
	while (count > 0) {
		ck_assert_int_eq(fstat(fds[--count], &st), 0);
		ck_assert(S_ISCHR(st.st_mode));
		(void)close(fds[count]);
		with_fds++;
	}
}

static void
on_writable(struct weir_channel *channel, void *user)
{
	(void)channel;
	(void)user;
	outbox_flush(&outbox);
}

static const struct weir_channel_handlers handlers = {
    .on_message = on_message,
    .on_fds = on_fds,
    .on_writable = on_writable,
};

static void
setup(void)
{
	int fds[2];

	next = with_fds = 0;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    weir_channel_new(&writer, loop, fds[0], &handlers, NULL), 0);
	ck_assert_int_eq(
	    weir_channel_new(&reader, loop, fds[1], &handlers, NULL), 0);
	outbox_init(&outbox, writer, MOST);
}

static void
teardown(void)
{
	outbox_free(&outbox);
	weir_channel_free(writer);
	weir_channel_free(reader);
	weir_loop_free(loop);
}

static int
send_number(unsigned number, const int *fds, size_t count)
{
	return outbox_send(&outbox, &number, sizeof(number), fds, count);
}

static void
on_tick(struct weir_timer *timer, void *user)
{
	(void)timer;
	(void)user;
	weir_loop_stop(loop);
}

static void
run_until(unsigned number)
{
	struct weir_timer *tick;

	ck_assert_int_eq(weir_timer_new(&tick, loop, on_tick, NULL), 0);
	while (next < number) {
		ck_assert_int_eq(weir_timer_start(tick, 1), 0);
		(void)weir_loop_run(loop);
	}
	weir_timer_free(tick);
}

START_TEST(messages_wait_in_their_order_and_are_sent_later)
{
	unsigned sent = 0;

	while (outbox.count < MOST / 2)
		ck_assert_int_eq(send_number(sent++, NULL, 0), 0);
	run_until(sent);
	ck_assert_uint_eq(outbox.count, 0);
	/* And then they go at once again. */
	ck_assert_int_eq(send_number(sent++, NULL, 0), 0);
	ck_assert_uint_eq(outbox.count, 0);
	run_until(sent);
}
END_TEST

START_TEST(descriptors_that_wait_are_copies)
{
	unsigned sent = 0, n = 0;
	int fd;

	while (outbox.count < MOST / 2)
		ck_assert_int_eq(send_number(sent++, NULL, 0), 0);
	for (; n < 3; n++) {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		ck_assert_int_ne(fd, -1);
		ck_assert_int_eq(send_number(sent++, &fd, 1), 0);
		ck_assert_int_eq(close(fd), 0);
	}
	run_until(sent);
	ck_assert_uint_eq(with_fds, n);
}
END_TEST

START_TEST(more_than_the_most_are_refused)
{
	unsigned sent = 0;
	int err = 0, fd = -1;

	for (; err == 0; sent++)
		err = send_number(sent, NULL, 0);
	ck_assert_int_eq(err, -ENOBUFS);
	ck_assert_uint_eq(outbox.count, MOST);
	run_until(sent - 1);
	/* What cannot be sent is told, and nothing is kept of it. */
	ck_assert_int_eq(send_number(sent, &fd, 1), -EBADF);
	ck_assert_uint_eq(outbox.count, 0);
}
END_TEST

START_TEST(without_a_channel_nothing_is_sent)
{
	unsigned sent = 0;

	while (outbox.count < 3)
		ck_assert_int_eq(send_number(sent++, NULL, 0), 0);
	outbox_free(&outbox);
	ck_assert_int_eq(send_number(0, NULL, 0), -EPIPE);
	outbox_flush(&outbox);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("outbox");
	TCase *tc = tcase_create("outbox");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, messages_wait_in_their_order_and_are_sent_later);
	tcase_add_test(tc, descriptors_that_wait_are_copies);
	tcase_add_test(tc, more_than_the_most_are_refused);
	tcase_add_test(tc, without_a_channel_nothing_is_sent);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
