/*
 * Descriptors and connections.
 */
#include "config.h"

#include <sys/resource.h>

#include <check.h>
#include <stdlib.h>

#include "process/limits.h"

START_TEST(needed_and_allowed_are_each_others_inverse)
{
	ck_assert_uint_eq(limits_fds_needed(9000, 2, 32), 18032);
	ck_assert_uint_eq(limits_connections(18032, 2, 32), 9000);
	ck_assert_uint_eq(limits_connections(18031, 2, 32), 8999);
	ck_assert_uint_eq(limits_connections(18033, 2, 32), 9000);
}
END_TEST

START_TEST(too_few_descriptors_allow_no_connection)
{
	ck_assert_uint_eq(limits_connections(32, 2, 32), 0);
	ck_assert_uint_eq(limits_connections(33, 2, 32), 0);
	ck_assert_uint_eq(limits_connections(34, 2, 32), 1);
	ck_assert_uint_eq(limits_connections(0, 2, 32), 0);
}
END_TEST

START_TEST(no_limit_stays_none)
{
	ck_assert_uint_eq(limits_connections(LIMITS_NONE, 2, 32), LIMITS_NONE);
	ck_assert_uint_eq(limits_connections(1024, 0, 32), LIMITS_NONE);
}
END_TEST

START_TEST(more_than_a_number_holds_does_not_wrap)
{
	ck_assert_uint_eq(
	    limits_fds_needed(UINT64_MAX / 2 + 1, 2, 0), LIMITS_NONE);
	ck_assert_uint_eq(
	    limits_fds_needed(UINT64_MAX / 2, 2, 32), LIMITS_NONE);
}
END_TEST

static void
expect(uint64_t connections, uint64_t fds, int result, const char *text)
{
	char *described;

	ck_assert_int_eq(
	    limits_describe(&described, connections, 2, 32, fds, 1), result);
	ck_assert_str_eq(described, text);
	free(described);
}

START_TEST(a_description_says_whether_the_limit_suffices)
{
	expect(9000, 1024, 0,
	    "max_connections 9000 needs 18032 descriptors; the limit is 1024, "
	    "which is enough for 496 connections: raise it (ulimit -n, "
	    "LimitNOFILE=) or lower max_connections");
	expect(9000, 33, 0,
	    "the limit of descriptors, 33, allows no connection: weir will "
	    "not start with fewer than 34; raise it (ulimit -n, "
	    "LimitNOFILE=)");
	expect(0, 33, 0,
	    "the limit of descriptors, 33, allows no connection: weir will "
	    "not start with fewer than 34; raise it (ulimit -n, "
	    "LimitNOFILE=)");
	expect(9000, 18032, 1,
	    "max_connections 9000 needs 18032 descriptors; the limit is "
	    "18032");
	expect(9000, LIMITS_NONE, 1,
	    "max_connections 9000 needs 18032 descriptors; there is no "
	    "limit");
}
END_TEST

START_TEST(the_soft_limit_is_raised_to_the_hard_one)
{
	struct rlimit before, low, after;
	uint64_t raised, most;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
	ck_assert_int_eq(limits_fds(&most), 0);
	ck_assert_int_eq(limits_raise_fds(&raised), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &after), 0);
	ck_assert_uint_eq(after.rlim_cur, before.rlim_max);
	ck_assert_uint_eq(after.rlim_max, before.rlim_max);
	ck_assert_uint_eq(raised, most);
	if (before.rlim_max != RLIM_INFINITY)
		ck_assert_uint_eq(raised, before.rlim_max);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tcase = tcase_create("limits");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, needed_and_allowed_are_each_others_inverse);
	tcase_add_test(tcase, too_few_descriptors_allow_no_connection);
	tcase_add_test(tcase, no_limit_stays_none);
	tcase_add_test(tcase, more_than_a_number_holds_does_not_wrap);
	tcase_add_test(tcase, a_description_says_whether_the_limit_suffices);
	tcase_add_test(tcase, the_soft_limit_is_raised_to_the_hard_one);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
