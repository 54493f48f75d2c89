/*
 * Texts of failures.
 */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "process/failure.h"

START_TEST(a_failure_has_its_text_and_code)
{
	char *error = NULL;

	errno = ENOENT;
	ck_assert_int_eq(
	    failure(&error, -EINVAL, "%s: %m", "/etc/weir"), -EINVAL);
	ck_assert_str_eq(
	    failure_text(error), "/etc/weir: No such file or directory");
	free(error);
}
END_TEST

START_TEST(a_failure_without_a_place_for_text_has_its_code)
{
	ck_assert_int_eq(failure(NULL, -EIO, "unheard"), -EIO);
	ck_assert_str_eq(failure_text(NULL), "out of memory");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("failure");
	TCase *tcase = tcase_create("failure");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_failure_has_its_text_and_code);
	tcase_add_test(tcase, a_failure_without_a_place_for_text_has_its_code);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
