/* Whether a server is up: windows of failures, one that finds out, and what
 * weirctl and checks say. */
#include "config.h"

#include <string.h>

#include "proxy/board.h"
#include "proxy/server_state.h"
#include "support.h"

#define TIME 10000 /* fail_timeout */

static struct board_server row;

static void
setup(void)
{
	memset(&row, 0, sizeof(row));
	atomic_store(&row.weight, 1);
}

static bool
fails(uint64_t now, unsigned max)
{
	return server_failed(&row, now, max, TIME);
}

static bool
claim(uint64_t now)
{
	bool probing;

	return server_claim(&row, now, TIME, &probing);
}

START_TEST(a_new_one_is_up)
{
	bool probing;

	ck_assert_int_eq(server_state(&row, 5), SERVER_IS_UP);
	ck_assert(server_usable(&row, 5));
	ck_assert(server_claim(&row, 5, TIME, &probing));
	ck_assert(!probing);
}
END_TEST

START_TEST(so_many_failures_in_a_window_take_it_down)
{
	ck_assert(!fails(1000, 3));
	ck_assert(!fails(2000, 3));
	ck_assert(server_usable(&row, 2000));
	ck_assert(fails(3000, 3));
	ck_assert_int_eq(server_state(&row, 3001), SERVER_IS_DOWN);
	ck_assert(!server_usable(&row, 3000 + TIME - 1));
	ck_assert(server_usable(&row, 3000 + TIME));
}
END_TEST

START_TEST(failures_of_an_older_window_do_not_count)
{
	ck_assert(!fails(1000, 2));
	ck_assert(!fails(1000 + TIME, 2));
	ck_assert(fails(1001 + TIME, 2));
}
END_TEST

START_TEST(one_that_connects_between_begins_anew)
{
	ck_assert(!fails(1000, 2));
	ck_assert(!server_connected(&row, 1001));
	ck_assert(!fails(1002, 2));
	ck_assert(fails(1003, 2));
}
END_TEST

START_TEST(without_max_fails_nothing_takes_it_down)
{
	int i;

	for (i = 0; i < 100; i++)
		ck_assert(!fails(1000, 0));
	ck_assert(server_usable(&row, 1000));
}
END_TEST

START_TEST(after_its_time_one_alone_finds_out)
{
	bool probing;

	ck_assert(fails(1000, 1));
	ck_assert(!claim(1000 + TIME - 1));
	ck_assert(server_claim(&row, 1000 + TIME, TIME, &probing));
	ck_assert(probing);
	ck_assert(!claim(1000 + TIME));
	ck_assert(!server_usable(&row, 1000 + TIME));
	/* Who is never heard of again does not keep it down for ever. */
	ck_assert(claim(1000 + 2 * TIME));
}
END_TEST

START_TEST(what_was_found_out_holds)
{
	ck_assert(fails(1000, 1));
	ck_assert(claim(1000 + TIME));
	ck_assert(!fails(1100 + TIME, 5)); /* it was down, and is */
	ck_assert(!server_usable(&row, 1099 + 2 * TIME));
	ck_assert(claim(1100 + 2 * TIME));
	ck_assert(server_connected(&row, 1200 + 2 * TIME));
	ck_assert(server_usable(&row, 1200 + 2 * TIME));
	ck_assert_uint_eq(atomic_load(&row.up_since_ms), 1200 + 2 * TIME);
	ck_assert(!server_connected(&row, 1300 + 2 * TIME));
}
END_TEST

START_TEST(what_was_not_found_out_is_for_the_next)
{
	ck_assert(fails(1000, 1));
	ck_assert(claim(1000 + TIME));
	server_unclaim(&row, 1500 + TIME);
	ck_assert(claim(1500 + TIME));
}
END_TEST

START_TEST(weirctl_goes_before_all)
{
	ck_assert(server_set_admin(&row, SERVER_DRAIN, 10));
	ck_assert_int_eq(server_state(&row, 10), SERVER_IS_DRAINING);
	ck_assert(!server_usable(&row, 10));
	ck_assert(!server_set_admin(&row, SERVER_DRAIN, 11));
	ck_assert(server_set_admin(&row, SERVER_DOWN, 12));
	ck_assert_int_eq(server_state(&row, 12), SERVER_IS_DOWN);
	ck_assert(fails(13, 1));
	ck_assert(server_set_admin(&row, SERVER_UP, 14));
	ck_assert_int_eq(server_state(&row, 14), SERVER_IS_UP);
	ck_assert_uint_eq(atomic_load(&row.up_since_ms), 14);
}
END_TEST

START_TEST(checks_take_it_down_and_bring_it_back)
{
	ck_assert(server_set_health(&row, SERVER_WELL, 10));
	ck_assert_uint_eq(atomic_load(&row.up_since_ms), 0);
	ck_assert(server_set_health(&row, SERVER_ILL, 11));
	ck_assert(!server_set_health(&row, SERVER_ILL, 12));
	ck_assert(!server_usable(&row, 12));
	ck_assert(fails(13, 1));
	ck_assert(server_set_health(&row, SERVER_WELL, 14));
	ck_assert(server_usable(&row, 14));
	ck_assert_uint_eq(atomic_load(&row.up_since_ms), 14);
}
END_TEST

START_TEST(without_weight_nothing_new_goes_there)
{
	atomic_store(&row.weight, 0);
	ck_assert(!server_usable(&row, 1));
	ck_assert_int_eq(server_state(&row, 1), SERVER_IS_UP);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("proxy/server_state");
	TCase *tc = tcase_create("server_state");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_new_one_is_up);
	tcase_add_test(tc, so_many_failures_in_a_window_take_it_down);
	tcase_add_test(tc, failures_of_an_older_window_do_not_count);
	tcase_add_test(tc, one_that_connects_between_begins_anew);
	tcase_add_test(tc, without_max_fails_nothing_takes_it_down);
	tcase_add_test(tc, after_its_time_one_alone_finds_out);
	tcase_add_test(tc, what_was_found_out_holds);
	tcase_add_test(tc, what_was_not_found_out_is_for_the_next);
	tcase_add_test(tc, weirctl_goes_before_all);
	tcase_add_test(tc, checks_take_it_down_and_bring_it_back);
	tcase_add_test(tc, without_weight_nothing_new_goes_there);
	suite_add_tcase(suite, tc);
	return support_run(suite);
}
