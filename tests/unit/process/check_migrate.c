/*
 * All connections of a program that serves by itself, on their way to another
 * one, which the test plays; and those that it takes.
 */
#include "config.h"

#include "process/migrate.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>

#include "process/fleet.h"
#include "process/mover_priv.h"
#include "process/wire.h"
#include "support.h"

static struct bench bench;
static struct bench *const b = &bench;
static struct fleet *fleet;
static struct wire *here, *there; /* of the two programs */
static struct wire *mover;	  /* its other end, as it was said */
static struct migrate *migrate;
static struct migrate_hands *hands;
static struct mover_counts counts;
static unsigned done, sessions;
static bool failed, taker_is_silent, taker_says_no, all_said, closed;

/* The taker's end of a mover. */
static void
on_moved(struct wire *wire, const struct wire_message *message, void *user)
{
	struct mover_head head, answer;

	(void)user;
	memcpy(&head, message->data, sizeof(head));
	wire_close_fds(message);
	if (head.kind == MOVER_END)
		all_said = true;
	if (head.kind != MOVER_SESSION)
		return;
	sessions++;
	if (taker_is_silent)
		return;
	answer = head;
	answer.kind = taker_says_no ? MOVER_NO : MOVER_HAVE;
	ck_assert_int_eq(wire_send(wire, &answer, sizeof(answer), NULL, 0), 0);
}

static void
on_close(struct wire *wire, void *user)
{
	(void)wire;
	(void)user;
	closed = true;
}

static const struct wire_handlers mover_handlers = {
    .on_message = on_moved,
    .on_close = on_close,
};

static void
on_said(struct wire *wire, const struct wire_message *message, void *user)
{
	const char *texts[WIRE_TEXTS];

	(void)wire;
	(void)user;
	ck_assert_uint_eq(wire_texts(message, texts), 1);
	ck_assert_str_eq(texts[0], "mover");
	ck_assert_uint_eq(message->fd_count, 1);
	ck_assert_int_eq(
	    wire_new(&mover, b->loop, message->fds[0], &mover_handlers, NULL),
	    0);
}

static const struct wire_handlers handlers = {
    .on_message = on_said,
    .on_close = on_close,
};

static void
on_done(const struct mover_counts *all, bool bad, void *user)
{
	(void)user;
	counts = *all;
	failed = bad;
	done++;
}

static void
begin(void)
{
	static const struct fleet_handlers none = {0};
	struct fleet_options options = {.workers = 1};
	int fds[2];

	memset(b, 0, sizeof(*b));
	migrate = NULL;
	mover = NULL;
	done = sessions = 0;
	failed = taker_says_no = all_said = closed = false;
	taker_is_silent = true;
	bench_start(b, "[weir]\ncontrol = off\n"
		       "[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n");
	options.proxy = b->proxy;
	options.board = b->board;
	ck_assert_int_eq(fleet_new(&fleet, b->loop, &options, &none, NULL), 0);
	ck_assert_int_eq(migrate_hands_new(&hands, b->loop, b->proxy), 0);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&here, b->loop, fds[0], &handlers, NULL), 0);
	ck_assert_int_eq(wire_new(&there, b->loop, fds[1], &handlers, NULL), 0);
}

static void
end(void)
{
	migrate_free(migrate);
	migrate_hands_free(hands);
	wire_free(mover);
	wire_free(here);
	wire_free(there);
	fleet_free(fleet);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}

static int
served(void)
{
	int fd = client(b, 0);

	put(fd, "ping");
	got(b, fd, "ping");
	return fd;
}

static void
give(void)
{
	ck_assert_int_eq(migrate_give(&migrate, b->loop, fleet, b->proxy, here,
			     on_done, NULL),
	    0);
}

START_TEST(what_the_other_does_not_want_stays_and_is_counted)
{
	int one, two;

	begin();
	one = served();
	two = served();
	taker_says_no = true;
	taker_is_silent = false;
	give();
	until(b, done == 1);
	until(b, all_said);
	ck_assert(!failed);
	ck_assert_uint_eq(sessions, 2);
	ck_assert_uint_eq(counts.moved, 0);
	ck_assert_uint_eq(counts.stayed, 2);
	put(one, "pong");
	got(b, one, "pong");
	(void)close(one);
	(void)close(two);
	end();
}
END_TEST

START_TEST(with_nothing_to_give_it_is_over_at_once)
{
	begin();
	give();
	until(b, done == 1);
	ck_assert(!failed);
	ck_assert_uint_eq(counts.moved + counts.stayed, 0);
	end();
}
END_TEST

START_TEST(one_that_dies_fails_it_and_all_stays)
{
	int fd;

	begin();
	fd = served();
	give();
	until(b, sessions == 1);
	wire_free(mover);
	mover = NULL;
	until(b, done == 1);
	ck_assert(failed);
	put(fd, "pong");
	got(b, fd, "pong");
	(void)close(fd);
	end();
}
END_TEST

START_TEST(given_up_all_goes_on_and_nobody_is_told)
{
	int fd;

	begin();
	fd = served();
	give();
	until(b, sessions == 1);
	migrate_free(migrate);
	migrate = NULL;
	until(b, closed);
	ck_assert_uint_eq(done, 0);
	put(fd, "pong");
	got(b, fd, "pong");
	(void)close(fd);
	end();
}
END_TEST

START_TEST(hands_let_go_of_what_is_over)
{
	const struct mover_head over = {.kind = MOVER_END};
	int fds[2], before;

	begin();
	before = bench_fds();
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(
	    wire_new(&mover, b->loop, fds[1], &mover_handlers, NULL), 0);
	migrate_take(hands, fleet, fds[0], 7);
	ck_assert_int_eq(wire_send(mover, &over, sizeof(over), NULL, 0), 0);
	until(b, closed);
	wire_free(mover);
	mover = NULL;
	ck_assert_int_eq(bench_fds(), before);
	/* And of what is not, at the end. */
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	migrate_take(hands, fleet, fds[0], 0);
	(void)close(fds[1]);
	end();
}
END_TEST

START_TEST(a_hold_leaves_clients_in_the_backlog)
{
	int fd;

	begin();
	migrate_hold(fleet, b->proxy, true);
	fd = client(b, 0);
	put(fd, "ping");
	bench_pass(b, 20);
	ck_assert(quiet(fd));
	migrate_hold(fleet, b->proxy, false);
	got(b, fd, "ping");
	(void)close(fd);
	end();
}
END_TEST

START_TEST(questions_of_others_are_left_to_them)
{
	const struct fleet_message message = {.kind = 1};

	begin();
	ck_assert(!migrate_answer(hands, fleet, 1, 0, &message));
	migrate_free(NULL);
	migrate_hands_free(NULL);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("migrate");
	TCase *tc = tcase_create("migrate");

	tcase_add_test(tc, what_the_other_does_not_want_stays_and_is_counted);
	tcase_add_test(tc, with_nothing_to_give_it_is_over_at_once);
	tcase_add_test(tc, one_that_dies_fails_it_and_all_stays);
	tcase_add_test(tc, given_up_all_goes_on_and_nobody_is_told);
	tcase_add_test(tc, hands_let_go_of_what_is_over);
	tcase_add_test(tc, a_hold_leaves_clients_in_the_backlog);
	tcase_add_test(tc, questions_of_others_are_left_to_them);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
