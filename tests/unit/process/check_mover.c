/*
 * Sessions that are given and taken, by a mover whose other end is played by
 * the test; whatever that says, each session has one owner and goes on.
 */
#include "config.h"

#include "process/mover_priv.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/channel.h>

#include "config/config.h"
#include "support.h"
#include "util/strbuf.h"

#define HEARD 64

static struct bench bench;
static struct bench *const b = &bench;
static struct wire *other; /* the end that the test plays */
static struct mover *mover;
static unsigned done;
static bool closed;

/* What the mover said, and the descriptors of the last. */
static struct {
	struct mover_head head;
	int fds[SESSION_FDS + 1];
	size_t fd_count, length;
	char data[4096];
} heard[HEARD];
static unsigned heard_count;

static void
on_message(struct wire *wire, const struct wire_message *message, void *user)
{
	(void)wire;
	(void)user;
	ck_assert_uint_ge(message->length, sizeof(heard[0].head));
	ck_assert_uint_lt(heard_count, HEARD);
	memcpy(&heard[heard_count].head, message->data, sizeof(heard[0].head));
	heard[heard_count].length = message->length - sizeof(heard[0].head);
	memcpy(heard[heard_count].data,
	    (const char *)message->data + sizeof(heard[0].head),
	    heard[heard_count].length);
	heard[heard_count].fd_count = message->fd_count;
	if (message->fd_count > 0)
		memcpy(heard[heard_count].fds, message->fds,
		    message->fd_count * sizeof(int));
	heard_count++;
}

static void
on_close(struct wire *wire, void *user)
{
	(void)wire;
	(void)user;
	closed = true;
}

static const struct wire_handlers handlers = {
    .on_message = on_message,
    .on_close = on_close,
};

static void
on_done(struct mover *m, void *user)
{
	(void)user;
	ck_assert_ptr_eq(m, mover);
	done++;
}

static const struct mover_handlers mover_handlers = {.on_done = on_done};

/* The n-th that it said, which is waited for. */
static void
hears(unsigned n, enum mover_kind kind)
{
	until(b, heard_count > n);
	ck_assert_int_eq((int)heard[n].head.kind, (int)kind);
}

static void
say(enum mover_kind kind, uint32_t number, const void *data, size_t length,
    const int *fds, size_t fd_count)
{
	const struct mover_head head = {.kind = kind, .number = number};
	struct strbuf all = STRBUF_NULL;

	strbuf_add(&all, &head, sizeof(head));
	strbuf_add(&all, data, length);
	ck_assert_int_eq(
	    wire_send(other, all.data, all.length, fds, fd_count), 0);
	strbuf_free(&all);
}

static void
close_heard(void)
{
	unsigned i;

	for (i = 0; i < heard_count; i++)
		while (heard[i].fd_count > 0)
			(void)close(heard[i].fds[--heard[i].fd_count]);
}

static void
begin(bool giving)
{
	int fds[2];

	memset(b, 0, sizeof(*b));
	heard_count = done = 0;
	closed = false;
	bench_start(b, "[weir]\ncontrol = off\n"
		       "[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n");
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&other, b->loop, fds[1], &handlers, NULL), 0);
	if (!giving)
		ck_assert_int_eq(mover_take(&mover, b->loop, fds[0], b->proxy,
				     &mover_handlers, NULL),
		    0);
	else
		ck_assert_int_eq(close(fds[0]), 0);
}

/* A connection that is served. */
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
	int fds[2];

	wire_free(other);
	ck_assert_int_eq(weir_channel_pair(fds), 0);
	ck_assert_int_eq(wire_new(&other, b->loop, fds[1], &handlers, NULL), 0);
	ck_assert_int_eq(mover_give(&mover, b->loop, fds[0], b->proxy,
			     &mover_handlers, NULL),
	    0);
}

static void
end(void)
{
	close_heard();
	mover_free(mover);
	mover = NULL;
	wire_free(other);
	until(b, proxy_connections(b->proxy) == 0);
	bench_close(b);
}

static void
echoes(int fd)
{
	put(fd, "pong");
	got(b, fd, "pong");
}

/* ---- giving ---- */

START_TEST(one_is_given_up_when_the_other_has_it_and_told_to_run)
{
	uint64_t moved;
	int fd;

	begin(true);
	fd = served();
	give();
	hears(0, MOVER_CONFIG);
	hears(1, MOVER_SESSION);
	ck_assert_uint_eq(heard[1].fd_count, 1);
	put(fd, "held up");
	bench_pass(b, 10);
	ck_assert(quiet(fd));
	ck_assert_uint_eq(proxy_connections(b->proxy), 1);
	say(MOVER_HAVE, heard[1].head.number + 100, NULL, 0, NULL, 0);
	say(MOVER_HAVE, heard[1].head.number, NULL, 0, NULL, 0);
	hears(2, MOVER_RUN);
	ck_assert_uint_eq(heard[2].head.number, heard[1].head.number);
	hears(3, MOVER_END);
	until(b, done == 1);
	ck_assert_uint_eq(proxy_connections(b->proxy), 0);
	moved = mover_counts(mover).moved;
	ck_assert_uint_eq(moved, 1);
	ck_assert(!mover_failed(mover));
	/* It goes on with what was told of it. */
	ck_assert_int_eq(session_adopt(b->proxy, b->config, heard[1].data,
			     heard[1].length, heard[1].fds, 1),
	    0);
	heard[1].fd_count = 0;
	got(b, fd, "held up");
	(void)close(fd);
	end();
}
END_TEST

START_TEST(one_that_is_not_wanted_stays)
{
	int fd;

	begin(true);
	fd = served();
	give();
	hears(1, MOVER_SESSION);
	say(MOVER_NO, heard[1].head.number, NULL, 0, NULL, 0);
	until(b, done == 1);
	ck_assert_uint_eq(mover_counts(mover).stayed, 1);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

START_TEST(all_go_on_where_they_were_when_the_taker_dies)
{
	int fds[40];
	size_t i;

	begin(true);
	for (i = 0; i < 40; i++)
		fds[i] = served();
	give();
	hears(MOVER_WINDOW, MOVER_SESSION);
	close_heard();
	wire_free(other);
	other = NULL;
	until(b, done == 1);
	ck_assert(mover_failed(mover));
	ck_assert_uint_eq(mover_counts(mover).moved, 0);
	ck_assert_uint_eq(proxy_connections(b->proxy), 40);
	for (i = 0; i < 40; i++) {
		echoes(fds[i]);
		(void)close(fds[i]);
	}
	end();
}
END_TEST

START_TEST(one_that_is_killed_under_way_is_taken_back)
{
	int fd;

	begin(true);
	fd = served();
	give();
	hears(1, MOVER_SESSION);
	ck_assert_int_eq(proxy_kill(b->proxy, bench_session_id(b, 0)), 0);
	until(b, proxy_connections(b->proxy) == 0);
	say(MOVER_HAVE, heard[1].head.number, NULL, 0, NULL, 0);
	hears(2, MOVER_CANCEL);
	(void)close(fd);
	end();
}
END_TEST

START_TEST(a_giver_that_is_freed_takes_all_back)
{
	int fd;

	begin(true);
	fd = served();
	give();
	hears(1, MOVER_SESSION);
	mover_free(mover);
	mover = NULL;
	hears(2, MOVER_CANCEL);
	until(b, closed);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

/* ---- taking ---- */

static int
file_of(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

/* What sessions are under, by its place among them. */
static void
say_config(uint32_t number, uint32_t place)
{
	int fd = file_of("[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n");

	say(MOVER_CONFIG, number, &place, sizeof(place), &fd, 1);
	(void)close(fd);
}

/* Freeze the first one, and say it. */
static struct session *
say_session(uint32_t number, struct session **ref)
{
	struct strbuf parcel = STRBUF_NULL;
	struct session *session;
	int fds[SESSION_FDS], count;

	session_move_begin(b->proxy);
	session = session_move_next(b->proxy);
	count = session_freeze(session, 0, &parcel, fds, ref);
	ck_assert_int_eq(count, 1);
	say(MOVER_SESSION, number, parcel.data, parcel.length, fds, 1);
	strbuf_free(&parcel);
	return session;
}

START_TEST(one_runs_when_it_was_given_up)
{
	struct session *session, *ref;
	int fd;

	begin(false);
	fd = served();
	say_config(1, 0);
	session = say_session(2, &ref);
	hears(0, MOVER_HAVE);
	ck_assert_uint_eq(heard[0].head.number, 2);
	put(fd, "pong");
	bench_pass(b, 10);
	ck_assert(quiet(fd));
	session_release(session);
	say(MOVER_RUN, 2, NULL, 0, NULL, 0);
	got(b, fd, "pong");
	say(MOVER_END, 0, NULL, 0, NULL, 0);
	until(b, done == 1);
	ck_assert_uint_eq(mover_counts(mover).moved, 1);
	(void)close(fd);
	end();
}
END_TEST

START_TEST(one_that_was_taken_back_is_closed_here)
{
	struct session *session, *ref;
	int fd, before;

	begin(false);
	fd = served();
	say_config(1, 0);
	bench_pass(b, 5);
	before = bench_fds();
	session = say_session(2, &ref);
	hears(0, MOVER_HAVE);
	ck_assert_int_eq(bench_fds(), before + 1);
	say(MOVER_CANCEL, 2, NULL, 0, NULL, 0);
	until(b, bench_fds() == before);
	session_thaw(session);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

/* Whoever had it is dead: it is nobody's but the taker's. And draining waits
 * for it. */
START_TEST(one_whose_giver_died_runs)
{
	struct session *session, *ref;
	int fd;

	begin(false);
	fd = served();
	say_config(1, 0);
	session = say_session(2, &ref);
	hears(0, MOVER_HAVE);
	session_release(session);
	proxy_drain(b->proxy, 0);
	bench_pass(b, 5);
	ck_assert_uint_eq(b->drained, 0);
	wire_free(other);
	other = NULL;
	until(b, done == 1);
	echoes(fd);
	ck_assert_uint_eq(b->drained, 0);
	(void)close(fd);
	until(b, b->drained == 1);
	end();
}
END_TEST

START_TEST(a_proxy_that_drains_takes_none)
{
	struct session *session, *ref;
	int fd;

	begin(false);
	fd = served();
	say_config(1, 0);
	bench_pass(b, 5);
	proxy_drain(b->proxy, 0);
	session = say_session(2, &ref);
	hears(0, MOVER_NO);
	session_thaw(session);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

/* Of one that got lost on the way no other takes the place. */
START_TEST(a_session_without_its_configuration_is_refused)
{
	struct session *session, *ref;
	int fd;

	begin(false);
	fd = served();
	say_config(1, 1);
	say_config(2, MOVER_CONFIGS);
	session = say_session(3, &ref); /* it is under the one of place 0 */
	hears(0, MOVER_NO);
	ck_assert_uint_eq(heard[0].head.number, 3);
	session_thaw(session);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

START_TEST(nonsense_is_refused_and_nothing_of_it_kept)
{
	struct session *session, *ref;
	char bytes[3000];
	int fd, before, junk[3] = {0, 0, 0}, i;

	begin(false);
	fd = served();
	before = bench_fds();
	memset(bytes, 'x', sizeof(bytes));
	ck_assert_int_eq(wire_send(other, "x", 1, junk, 1), 0);
	ck_assert_int_eq(wire_send(other, NULL, 0, junk, 3), 0);
	say((enum mover_kind)'?', 1, bytes, sizeof(bytes), junk, 2);
	say(MOVER_RUN, 99, NULL, 0, NULL, 0);
	say(MOVER_CANCEL, 99, NULL, 0, NULL, 0);
	say(MOVER_HAVE, 99, NULL, 0, NULL, 0);
	say(MOVER_CONFIG, 1, NULL, 0, NULL, 0);
	say(MOVER_CONFIG, 2, NULL, 0, junk, 2);
	junk[0] = file_of("[nonsense]\n");
	say(MOVER_CONFIG, 3, NULL, 0, junk, 1);
	say(MOVER_SESSION, 4, NULL, 0, NULL, 0);
	say(MOVER_SESSION, 5, bytes, sizeof(bytes), junk, 1);
	say(MOVER_SESSION, 6, bytes, sizeof(bytes), junk, 3);
	say(MOVER_PARCEL, 7, NULL, 0, NULL, 0);
	say(MOVER_PARCEL, 8, NULL, 0, junk, 1);
	say(MOVER_PARCEL, 9, NULL, 0, junk, 2);
	(void)close(junk[0]);
	/* Under a configuration that was not understood. */
	session = say_session(10, &ref);
	for (i = 0; i < 7; i++) {
		hears((unsigned)i, MOVER_NO);
		ck_assert_uint_eq(heard[i].head.number, (uint32_t)i + 4);
	}
	session_thaw(session);
	ck_assert_int_eq(bench_fds(), before);
	ck_assert_uint_eq(done, 0);
	echoes(fd);
	(void)close(fd);
	end();
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mover");
	TCase *tc = tcase_create("mover");

	tcase_add_test(
	    tc, one_is_given_up_when_the_other_has_it_and_told_to_run);
	tcase_add_test(tc, one_that_is_not_wanted_stays);
	tcase_add_test(tc, all_go_on_where_they_were_when_the_taker_dies);
	tcase_add_test(tc, one_that_is_killed_under_way_is_taken_back);
	tcase_add_test(tc, a_giver_that_is_freed_takes_all_back);
	tcase_add_test(tc, one_runs_when_it_was_given_up);
	tcase_add_test(tc, one_that_was_taken_back_is_closed_here);
	tcase_add_test(tc, one_whose_giver_died_runs);
	tcase_add_test(tc, a_proxy_that_drains_takes_none);
	tcase_add_test(tc, a_session_without_its_configuration_is_refused);
	tcase_add_test(tc, nonsense_is_refused_and_nothing_of_it_kept);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
