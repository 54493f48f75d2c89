/* Deadlines of sessions: each told once, in time, and none that was cleared. */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <weir/loop.h>

#include "proxy/deadlines.h"
#include "proxy/session.h"
#include "support.h"

#define MANY 3000

static struct weir_loop *loop;
static struct deadlines all;
static struct session *sessions;
static uint64_t due_ms[MANY]; /* 0: none */
static unsigned told[MANY], told_all, early;

static void
on_due(struct session *session)
{
	size_t i = (size_t)(session - sessions);

	told[i]++;
	told_all++;
	early += due_ms[i] == 0 || weir_loop_now_ms(loop) < due_ms[i];
	due_ms[i] = 0;
	if (told_all == MANY)
		weir_loop_stop(loop);
}

static void
setup(void)
{
	ck_assert_int_eq(weir_loop_new(&loop, NULL), 0);
	sessions = calloc(MANY, sizeof(*sessions));
	ck_assert_ptr_nonnull(sessions);
	deadlines_init(&all, loop, on_due);
	/* All tests run in one process under valgrind. */
	memset(due_ms, 0, sizeof(due_ms));
	memset(told, 0, sizeof(told));
	told_all = early = 0;
}

static void
teardown(void)
{
	deadlines_free(&all);
	free(sessions);
	weir_loop_free(loop);
}

static void
set(size_t i, uint64_t ms)
{
	due_ms[i] = weir_loop_now_ms(loop) + ms;
	if (deadline_set(&all, &sessions[i], ms) != 0)
		abort();
}

static void
clear(size_t i)
{
	due_ms[i] = 0;
	deadline_clear(&all, &sessions[i]);
}

/* Each has its place, and none comes before one that is later. */
static bool
is_in_order(void)
{
	size_t i, places = 0;

	for (i = 0; i < MANY; i++) {
		if ((sessions[i].deadline != 0) != (due_ms[i] != 0))
			return false;
		places += sessions[i].deadline;
	}
	return places == (size_t)all.count * (all.count + 1) / 2;
}

static void
on_end(struct weir_timer *timer, void *user)
{
	(void)user;
	weir_timer_stop(timer);
}

static void
run_for(uint64_t ms)
{
	struct weir_timer *end;

	/* Nothing holds the loop but this. */
	ck_assert_int_eq(weir_timer_new(&end, loop, on_end, NULL), 0);
	ck_assert_int_eq(weir_timer_start(end, ms), 0);
	(void)weir_loop_run(loop);
	weir_timer_free(end);
}

START_TEST(each_is_told_once_and_not_before_its_time)
{
	size_t i;

	for (i = 0; i < MANY; i++)
		set(i, 1 + (uint64_t)(rand() % 40));
	/* Moved to and fro, cleared and set again. */
	for (i = 0; i < 20 * MANY; i++)
		if (rand() % 3 == 0)
			clear((size_t)rand() % MANY);
		else
			set((size_t)rand() % MANY, 1 + (uint64_t)(rand() % 40));
	ck_assert(is_in_order());
	for (i = 0; i < MANY; i++)
		set(i, 1 + (uint64_t)(rand() % 40));
	ck_assert_uint_eq(all.count, MANY);
	run_for(10000);
	ck_assert_uint_eq(told_all, MANY);
	ck_assert_uint_eq(early, 0);
	for (i = 0; i < MANY && told[i] == 1; i++)
		;
	ck_assert_uint_eq(i, MANY);
	ck_assert_uint_eq(all.count, 0);
}
END_TEST

START_TEST(those_that_are_cleared_are_never_told)
{
	size_t i;

	for (i = 0; i < MANY; i++)
		set(i, 1 + i % 7);
	for (i = 0; i < MANY; i++)
		if (i != 5)
			clear(i);
	/* What many took is given back. */
	ck_assert_uint_lt(all.room, 256);
	ck_assert(is_in_order());
	run_for(50);
	ck_assert_uint_eq(told_all, 1);
	ck_assert_uint_eq(told[5], 1);
}
END_TEST

START_TEST(an_earlier_one_does_not_wait_for_a_later_one)
{
	set(0, 3600000);
	set(1, UINT64_MAX);
	set(2, 1);
	run_for(50);
	ck_assert_uint_eq(told_all, 1);
	ck_assert_uint_eq(told[2], 1);
	set(0, 1);
	run_for(50);
	ck_assert_uint_eq(told[0], 1);
	ck_assert_uint_eq(all.count, 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("deadlines");
	TCase *tc = tcase_create("deadlines");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, each_is_told_once_and_not_before_its_time);
	tcase_add_test(tc, those_that_are_cleared_are_never_told);
	tcase_add_test(tc, an_earlier_one_does_not_wait_for_a_later_one);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
