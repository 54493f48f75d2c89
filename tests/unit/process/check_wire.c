/* Messages that wait for room, in order and with their descriptors. */
#include "config.h"

#include "process/wire.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>
#include <weir/loop.h>

static struct weir_loop *loop;
static struct wire *here, *there;
static unsigned got, fds_got;
static bool closed, writable;
static char last[64];

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	const char *texts[WIRE_TEXTS];
	char wanted[16];

	(void)wire;
	(void)user;
	weir_loop_stop(loop);
	fds_got += (unsigned)message->fd_count;
	wire_close_fds(message);
	if (wire_texts(message, texts) == 0) {
		last[0] = '\0';
		got++;
		return;
	}
	(void)snprintf(last, sizeof(last), "%s|%s|%s", texts[0], texts[1],
	    texts[WIRE_TEXTS - 1]);
	(void)snprintf(wanted, sizeof(wanted), "%u", got);
	if (strcmp(texts[0], "n") == 0)
		ck_assert_str_eq(texts[1], wanted);
	got++;
}

static void
on_close(struct wire *wire, void *user)
{
	(void)wire;
	(void)user;
	closed = true;
	weir_loop_stop(loop);
}

static const struct wire_handlers handlers = {
    .on_message = on_message,
    .on_close = on_close,
};

static void
turn(void)
{
	(void)weir_loop_run(loop); /* until something is told */
}

static void
set_up(void)
{
	int fds[2];

	got = fds_got = 0;
	closed = writable = false;
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&here, loop, fds[0], &handlers, NULL), 0);
	ck_assert_int_eq(wire_new(&there, loop, fds[1], &handlers, NULL), 0);
}

static void
tear_down(void)
{
	wire_free(here);
	wire_free(there);
	weir_loop_free(loop);
}

static void
on_writable(void *user)
{
	*(bool *)user = true;
	weir_loop_stop(loop);
}

START_TEST(more_than_there_is_room_for_arrives_in_order)
{
	char number[16];
	unsigned i;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	for (i = 0; i < 2000; i++) {
		(void)snprintf(number, sizeof(number), "%u", i);
		ck_assert_int_eq(
		    wire_say(here, i % 100 == 0 ? fd : -1, "n", number, NULL),
		    0);
	}
	ck_assert(wire_waits(here));
	ck_assert_int_eq(wire_try(here, "x", 1, NULL, 0), -EAGAIN);
	ck_assert_int_eq(close(fd), 0);
	wire_when_writable(here, on_writable, &writable);
	while (got < 2000)
		turn();
	while (!writable)
		turn();
	ck_assert(!wire_waits(here));
	ck_assert_uint_eq(fds_got, 20);
	ck_assert_int_eq(wire_try(here, "x", 1, NULL, 0), 0);
	while (got < 2001)
		turn();
	ck_assert_str_eq(last, "");
}
END_TEST

START_TEST(what_is_not_there_is_an_empty_text)
{
	ck_assert_int_eq(wire_say(here, -1, "one", NULL), 0);
	while (got == 0)
		turn();
	ck_assert_str_eq(last, "one||");
}
END_TEST

START_TEST(what_waits_is_dropped_with_the_wire)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), i;

	for (i = 0; i < 1000; i++)
		ck_assert_int_eq(wire_say(here, fd, "m", NULL), 0);
	ck_assert(wire_waits(here));
	ck_assert_int_eq(close(fd), 0);
	wire_free(here);
	here = NULL;
	while (!closed)
		turn();
	wire_free(NULL);
}
END_TEST

int
main(void)
{
	Suite *s = suite_create("process/wire");
	TCase *tc = tcase_create("wire");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, more_than_there_is_room_for_arrives_in_order);
	tcase_add_test(tc, what_is_not_there_is_an_empty_text);
	tcase_add_test(tc, what_waits_is_dropped_with_the_wire);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
