/* Answers as lines of JSON. */
#include "config.h"

#include "control/answer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct answer answer = ANSWER_NULL;

static void
teardown(void)
{
	answer_free(&answer);
}

static void
check_line(const char *expected)
{
	size_t length;
	const char *line = answer_line(&answer, &length);

	ck_assert_uint_eq(length, strlen(expected));
	ck_assert_mem_eq(line, expected, length);
}

START_TEST(data_stands_in_an_object)
{
	ck_assert(!answer_given(&answer));
	answer_ok(&answer, json_string("pong"));
	ck_assert(answer_given(&answer));
	check_line("{\"ok\":true,\"data\":\"pong\"}\n");
}
END_TEST

START_TEST(an_error_is_text_of_one_line)
{
	answer_error(&answer, "no \"%s\"\n%d", "x", 5);
	check_line("{\"ok\":false,\"error\":\"no \\\"x\\\"\\n5\"}\n");
}
END_TEST

START_TEST(an_error_that_is_no_utf8_is_escaped)
{
	answer_error(&answer, "no %s", "\303\244\377");
	check_line("{\"ok\":false,\"error\":\"no \\\\xc3\\\\xa4\\\\xff\"}\n");
}
END_TEST

START_TEST(a_list_has_commas_between_its_rows)
{
	answer_list_begin(&answer);
	answer_list_row(&answer, json_integer(1));
	answer_list_row(&answer, json_true());
	answer_list_row(&answer, json_array());
	answer_list_end(&answer);
	check_line("{\"ok\":true,\"data\":[1,true,[]]}\n");
}
END_TEST

START_TEST(an_empty_list_is_a_list)
{
	answer_list_begin(&answer);
	answer_list_end(&answer);
	check_line("{\"ok\":true,\"data\":[]}\n");
}
END_TEST

START_TEST(memory_refused_is_an_answer_too)
{
	answer_list_begin(&answer);
	answer_list_row(&answer, NULL);
	answer_list_row(&answer, json_integer(2));
	answer_list_end(&answer);
	ck_assert(answer_given(&answer));
	check_line("{\"ok\":false,\"error\":\"weir is out of memory\"}\n");
	answer_free(&answer);
	answer_ok(&answer, NULL);
	check_line("{\"ok\":false,\"error\":\"weir is out of memory\"}\n");
}
END_TEST

START_TEST(an_answer_may_be_used_again)
{
	answer_ok(&answer, json_integer(1));
	answer_free(&answer);
	ck_assert(!answer_given(&answer));
	answer_ok(&answer, json_real(0.125));
	check_line("{\"ok\":true,\"data\":0.125}\n");
}
END_TEST

START_TEST(a_warning_stands_behind_the_data)
{
	answer_warn(&answer, "%u \"did\" not", 2);
	answer_ok(&answer, json_true());
	check_line("{\"ok\":true,\"data\":true,"
		   "\"warning\":\"2 \\\"did\\\" not\"}\n");
	answer_free(&answer);
	answer_list_begin(&answer);
	answer_warn(&answer, "late");
	answer_list_end(&answer);
	check_line("{\"ok\":true,\"data\":[],\"warning\":\"late\"}\n");
	answer_free(&answer);
	answer_ok(&answer, json_true());
	check_line("{\"ok\":true,\"data\":true}\n");
}
END_TEST

START_TEST(a_list_may_be_sent_in_parts)
{
	answer_list_begin(&answer);
	answer_list_row(&answer, json_integer(1));
	check_line("{\"ok\":true,\"data\":[1");
	answer_sent(&answer);
	ck_assert(!answer_given(&answer));
	answer_list_row(&answer, json_integer(2));
	check_line(",2");
	answer_sent(&answer);
	answer_list_end(&answer);
	check_line("]}\n");
}
END_TEST

START_TEST(it_is_too_late_for_an_error_once_a_part_was_sent)
{
	size_t length;

	answer_list_begin(&answer);
	ck_assert(!answer_failed(&answer));
	answer_sent(&answer);
	answer_list_row(&answer, NULL);
	ck_assert(answer_failed(&answer));
	ck_assert_ptr_null(answer_line(&answer, &length));
}
END_TEST

static Suite *
answer_suite(void)
{
	Suite *suite = suite_create("answer");
	TCase *tc = tcase_create("lines");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, data_stands_in_an_object);
	tcase_add_test(tc, an_error_is_text_of_one_line);
	tcase_add_test(tc, an_error_that_is_no_utf8_is_escaped);
	tcase_add_test(tc, a_list_has_commas_between_its_rows);
	tcase_add_test(tc, an_empty_list_is_a_list);
	tcase_add_test(tc, memory_refused_is_an_answer_too);
	tcase_add_test(tc, an_answer_may_be_used_again);
	tcase_add_test(tc, a_warning_stands_behind_the_data);
	tcase_add_test(tc, a_list_may_be_sent_in_parts);
	tcase_add_test(tc, it_is_too_late_for_an_error_once_a_part_was_sent);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(answer_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
