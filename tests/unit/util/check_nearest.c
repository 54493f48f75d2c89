/* Unit tests of util/nearest. */
#include "config.h"

#include <check.h>
#include <stdlib.h>

#include "util/nearest.h"

static const char *const names[] = {"timeout", "lifetime", "listen", "mode",
    "mark", "max_connections", "half_close_timeout", "log", "on"};

static const char *
find(const char *word)
{
	struct nearest nearest;
	size_t i;

	nearest_begin(&nearest, word);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		nearest_try(&nearest, names[i]);
	return nearest_get(&nearest);
}

START_TEST(small_slips_find_their_name)
{
	ck_assert_str_eq(find("time_out"), "timeout");
	ck_assert_str_eq(find("tiemout"), "timeout");
	ck_assert_str_eq(find("timeuot"), "timeout");
	ck_assert_str_eq(find("listn"), "listen");
	ck_assert_str_eq(find("listenn"), "listen");
	ck_assert_str_eq(find("Listen"), "listen");
	ck_assert_str_eq(find("maxconnections"), "max_connections");
	ck_assert_str_eq(find("max-conections"), "max_connections");
	ck_assert_str_eq(find("lgo"), "log");
}
END_TEST

START_TEST(words_that_share_too_little_find_nothing)
{
	ck_assert_ptr_null(find("zebra"));
	ck_assert_ptr_null(find("xy"));
	ck_assert_ptr_null(find("a"));
	ck_assert_ptr_null(find(""));
	ck_assert_ptr_null(find("completely_different_from_all_of_them"));
}
END_TEST

START_TEST(the_nearer_of_two_is_taken)
{
	ck_assert_str_eq(find("mod"), "mode");
	ck_assert_str_eq(find("mar"), "mark");
	ck_assert_str_eq(find("lifetim"), "lifetime");
}
END_TEST

START_TEST(words_longer_than_any_name_are_not_compared)
{
	char word[10001];
	size_t i;

	for (i = 0; i + 1 < sizeof(word); i++)
		word[i] = 't';
	word[i] = '\0';
	ck_assert_ptr_null(find(word));
}
END_TEST

static Suite *
nearest_suite(void)
{
	Suite *suite = suite_create("util/nearest");
	TCase *tcase = tcase_create("nearest");

	tcase_add_test(tcase, small_slips_find_their_name);
	tcase_add_test(tcase, words_that_share_too_little_find_nothing);
	tcase_add_test(tcase, the_nearer_of_two_is_taken);
	tcase_add_test(tcase, words_longer_than_any_name_are_not_compared);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(nearest_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
