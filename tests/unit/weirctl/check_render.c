/* Answers as text for people. */
#include "config.h"

#include "weirctl/render.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static void
check_renders(const char *json, const char *expected)
{
	json_error_t problem;
	json_t *data = json_loads(json, JSON_DECODE_ANY, &problem);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_msg(data != NULL, "%s", problem.text);
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(render(data, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, expected);
	json_decref(data);
	free(text);
}

START_TEST(values_are_printed_as_themselves)
{
	check_renders("\"pong\"", "pong\n");
	check_renders("9007199254740993", "9007199254740993\n");
	check_renders("0.5", "0.500\n");
	check_renders("true", "yes\n");
	check_renders("null", "-\n");
}
END_TEST

START_TEST(a_list_of_objects_is_a_table)
{
	check_renders("[{\"id\":1,\"client\":\"[::1]:40000\",\"age_s\":1.5,"
		      "\"state\":\"open\"},{\"id\":20,\"client\":\"unix:\","
		      "\"age_s\":100.25,\"state\":\"closing\"}]",
	    "ID  CLIENT         AGE_S  STATE\n"
	    " 1  [::1]:40000    1.500  open\n"
	    "20  unix:        100.250  closing\n");
}
END_TEST

START_TEST(lists_in_a_row_are_divided_by_commas)
{
	check_renders("[{\"name\":\"web\",\"addresses\":[\"a:1\",\"b:2\"]},"
		      "{\"name\":\"db\",\"addresses\":[]}]",
	    "NAME  ADDRESSES\n"
	    "web   a:1,b:2\n"
	    "db    -\n");
}
END_TEST

START_TEST(members_that_only_some_rows_have_are_shown)
{
	check_renders("[{\"a\":1},{\"b\":2,\"a\":3}]", "A  B\n"
						       "1  -\n"
						       "3  2\n");
}
END_TEST

START_TEST(lists_of_objects_in_rows_are_one_more_table)
{
	check_renders("[{\"name\":\"u\",\"servers\":[{\"name\":\"a\","
		      "\"up\":true},{\"name\":\"b\",\"up\":false}],"
		      "\"queued\":3},{\"name\":\"v\",\"servers\":[],"
		      "\"queued\":0},{\"name\":\"w\",\"servers\":[{"
		      "\"name\":\"c\",\"up\":true}],\"queued\":0}]",
	    "NAME  QUEUED\n"
	    "u          3\n"
	    "v          0\n"
	    "w          0\n"
	    "\n"
	    "servers:\n"
	    "OF  NAME  UP\n"
	    "u   a     yes\n"
	    "u   b     no\n"
	    "w   c     yes\n");
}
END_TEST

START_TEST(what_is_nested_deeper_is_shown_as_it_came)
{
	check_renders("[{\"name\":\"u\",\"of\":{\"up\":true}}]",
	    "NAME  OF\n"
	    "u     {\"up\":true}\n");
}
END_TEST

START_TEST(an_empty_list_says_so)
{
	check_renders("[]", "none\n");
}
END_TEST

START_TEST(an_object_is_lines_and_then_its_lists)
{
	check_renders("{\"version\":\"1\",\"pid\":42,\"workers\":[{\"pid\":42,"
		      "\"restarts\":0}],\"state\":\"running\","
		      "\"upstreams\":[]}",
	    "version    1\n"
	    "pid        42\n"
	    "state      running\n"
	    "upstreams  none\n"
	    "\n"
	    "workers:\n"
	    "PID  RESTARTS\n"
	    " 42         0\n");
}
END_TEST

START_TEST(an_object_of_numbers_stands_to_the_left)
{
	check_renders("{\"a\":1,\"b\":100}", "a  1\nb  100\n");
}
END_TEST

START_TEST(an_object_of_lists_has_no_empty_line_first)
{
	check_renders("{\"a\":[{\"b\":1}],\"c\":{\"d\":2}}", "a:\n"
							     "B\n"
							     "1\n"
							     "\n"
							     "c:\n"
							     "d  2\n");
}
END_TEST

static Suite *
render_suite(void)
{
	Suite *suite = suite_create("render");
	TCase *tc = tcase_create("text");

	tcase_add_test(tc, values_are_printed_as_themselves);
	tcase_add_test(tc, a_list_of_objects_is_a_table);
	tcase_add_test(tc, lists_in_a_row_are_divided_by_commas);
	tcase_add_test(tc, members_that_only_some_rows_have_are_shown);
	tcase_add_test(tc, lists_of_objects_in_rows_are_one_more_table);
	tcase_add_test(tc, what_is_nested_deeper_is_shown_as_it_came);
	tcase_add_test(tc, an_empty_list_says_so);
	tcase_add_test(tc, an_object_is_lines_and_then_its_lists);
	tcase_add_test(tc, an_object_of_numbers_stands_to_the_left);
	tcase_add_test(tc, an_object_of_lists_has_no_empty_line_first);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(render_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
