/* Names and texts of errors. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/version.h>

START_TEST(system_errors_have_the_systems_names)
{
	ck_assert_str_eq(weir_error_name(-EADDRINUSE), "EADDRINUSE");
	ck_assert_str_eq(
	    weir_error_text(-EADDRINUSE), "Address already in use");
	ck_assert_str_eq(weir_error_name(-EPERM), "EPERM");
	ck_assert_str_eq(weir_error_name(-ENOMEM), "ENOMEM");
}
END_TEST

START_TEST(own_errors_have_names_and_texts)
{
	ck_assert_str_eq(
	    weir_error_name(WEIR_E_ALREADY_PIPED), "WEIR_E_ALREADY_PIPED");
	ck_assert_str_eq(
	    weir_error_text(WEIR_E_ALREADY_PIPED), "already piped");
	ck_assert_str_eq(
	    weir_error_name(WEIR_E_NAME_NOT_FOUND), "WEIR_E_NAME_NOT_FOUND");
	ck_assert_str_eq(
	    weir_error_text(WEIR_E_NAME_NOT_FOUND), "the name is not known");
}
END_TEST

START_TEST(each_own_error_is_negative_and_unlike_all_others)
{
	int error;

	for (error = WEIR_ERROR_FIRST_ + 1; error < WEIR_ERROR_LAST_; error++) {
		ck_assert_int_lt(error, -WEIR_ERROR_BASE);
		ck_assert_int_eq(
		    strncmp(weir_error_name(error), "WEIR_E_", 7), 0);
		ck_assert_ptr_null(strstr(weir_error_text(error), "unknown"));
		ck_assert_ptr_null(strchr(weir_error_text(error), '\n'));
		ck_assert_str_ne(
		    weir_error_name(error), weir_error_name(error + 1));
		ck_assert_str_ne(
		    weir_error_text(error), weir_error_text(error + 1));
	}
}
END_TEST

START_TEST(no_error_says_so)
{
	ck_assert_str_eq(weir_error_text(0), "no error");
	ck_assert_str_eq(weir_error_name(0), "EUNKNOWN");
}
END_TEST

START_TEST(numbers_that_are_no_error_are_shown)
{
	static const int none[] = {1, EADDRINUSE, INT_MAX, INT_MIN,
	    -WEIR_ERROR_BASE, -WEIR_ERROR_BASE + 1, WEIR_ERROR_FIRST_,
	    WEIR_ERROR_LAST_};
	size_t i;

	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		ck_assert_str_eq(weir_error_name(none[i]), "EUNKNOWN");
		ck_assert_ptr_nonnull(
		    strstr(weir_error_text(none[i]), "unknown error "));
	}
	ck_assert_str_eq(weir_error_text(INT_MIN), "unknown error -2147483648");
	ck_assert_str_eq(weir_error_text(-19999), "unknown error -19999");
}
END_TEST

START_TEST(the_library_is_as_its_headers)
{
	ck_assert_str_eq(weir_version(), WEIR_VERSION);
	ck_assert_str_eq(weir_version(), PACKAGE_VERSION);
}
END_TEST

static Suite *
error_suite(void)
{
	Suite *suite = suite_create("error");
	TCase *tc = tcase_create("error");

	tcase_add_test(tc, system_errors_have_the_systems_names);
	tcase_add_test(tc, own_errors_have_names_and_texts);
	tcase_add_test(tc, each_own_error_is_negative_and_unlike_all_others);
	tcase_add_test(tc, no_error_says_so);
	tcase_add_test(tc, numbers_that_are_no_error_are_shown);
	tcase_add_test(tc, the_library_is_as_its_headers);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *sr = srunner_create(error_suite());
	int failed;

	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
