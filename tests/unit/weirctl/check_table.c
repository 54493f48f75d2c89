/* Tables as text. */
#include "config.h"

#include "weirctl/table.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct table table;

static void
teardown(void)
{
	table_finish(&table);
}

static void
add_texts(const char *const *texts)
{
	for (; *texts != NULL; texts++)
		table_add(&table, *texts, TABLE_TEXT);
}

static void
check_prints(const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(table_print(&table, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	static const char *const texts[] = {
	    "NAME", "X", "a", "yy", "longer", "z", NULL};

	table_init(&table, 2, true);
	add_texts(texts);
	check_prints("NAME    X\n"
		     "a       yy\n"
		     "longer  z\n");
}
END_TEST

START_TEST(numbers_stand_to_the_right)
{
	table_init(&table, 3, true);
	table_add(&table, "ID", TABLE_TEXT);
	table_add(&table, "NAME", TABLE_TEXT);
	table_add(&table, "BYTES", TABLE_TEXT);
	table_add(&table, "7", TABLE_NUMBER);
	table_add(&table, "web", TABLE_TEXT);
	table_add(&table, "12345678", TABLE_NUMBER);
	table_add(&table, "1234", TABLE_NUMBER);
	table_add(&table, "w", TABLE_TEXT);
	table_add(&table, "0", TABLE_NUMBER);
	check_prints("  ID  NAME     BYTES\n"
		     "   7  web   12345678\n"
		     "1234  w            0\n");
}
END_TEST

START_TEST(a_column_with_one_text_stands_to_the_left)
{
	table_init(&table, 1, true);
	table_add(&table, "N", TABLE_TEXT);
	table_add(&table, "100", TABLE_NUMBER);
	table_add(&table, "-", TABLE_TEXT);
	table_add(&table, "1", TABLE_NUMBER);
	check_prints("N\n100\n-\n1\n");
}
END_TEST

START_TEST(without_a_heading_the_first_row_counts)
{
	table_init(&table, 1, false);
	table_add(&table, "1", TABLE_NUMBER);
	table_add(&table, "10", TABLE_NUMBER);
	check_prints(" 1\n10\n");
}
END_TEST

START_TEST(a_heading_alone_stands_to_the_left)
{
	static const char *const texts[] = {"A", "B", NULL};

	table_init(&table, 2, true);
	add_texts(texts);
	check_prints("A  B\n");
}
END_TEST

START_TEST(no_text_is_a_dash)
{
	static const char *const texts[] = {"", "b", NULL};

	table_init(&table, 2, false);
	add_texts(texts);
	check_prints("-  b\n");
}
END_TEST

START_TEST(wide_letters_are_counted_as_letters)
{
	static const char *const texts[] = {
	    "\303\244\303\266", "x", "abc", "y", NULL};

	table_init(&table, 2, false);
	add_texts(texts);
	check_prints("\303\244\303\266   x\nabc  y\n");
}
END_TEST

START_TEST(what_a_terminal_would_obey_is_shown_as_numbers)
{
	static const char *const texts[] = {
	    "a\033[2J\nb", "\302\233x\302\240", "\177", "c", NULL};

	table_init(&table, 2, false);
	add_texts(texts);
	check_prints("a\\x1b[2J\\x0ab  \\xc2\\x9bx\302\240\n"
		     "\\x7f           c\n");
}
END_TEST

START_TEST(a_last_row_may_be_short)
{
	static const char *const texts[] = {"a", "b", "c", NULL};

	table_init(&table, 2, false);
	add_texts(texts);
	check_prints("a  b\nc\n");
}
END_TEST

START_TEST(nothing_prints_nothing)
{
	table_init(&table, 2, false);
	check_prints("");
}
END_TEST

START_TEST(many_rows_are_all_printed)
{
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	table_init(&table, 9, false);
	for (i = 0; i < (size_t)9 * 10000; i++)
		table_add(&table, "12345678", TABLE_NUMBER);
	ck_assert_int_eq(table_print(&table, out), 0);
	ck_assert_int_eq(fclose(out), 0);
	ck_assert_uint_eq(size, 10000 * (9 * 8 + 8 * 2 + 1));
	free(text);
}
END_TEST

static Suite *
table_suite(void)
{
	Suite *suite = suite_create("table");
	TCase *tc = tcase_create("print");

	tcase_add_checked_fixture(tc, NULL, teardown);
	tcase_add_test(tc, columns_are_as_wide_as_their_widest_cell);
	tcase_add_test(tc, numbers_stand_to_the_right);
	tcase_add_test(tc, a_column_with_one_text_stands_to_the_left);
	tcase_add_test(tc, without_a_heading_the_first_row_counts);
	tcase_add_test(tc, a_heading_alone_stands_to_the_left);
	tcase_add_test(tc, no_text_is_a_dash);
	tcase_add_test(tc, wide_letters_are_counted_as_letters);
	tcase_add_test(tc, what_a_terminal_would_obey_is_shown_as_numbers);
	tcase_add_test(tc, a_last_row_may_be_short);
	tcase_add_test(tc, nothing_prints_nothing);
	tcase_add_test(tc, many_rows_are_all_printed);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(table_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
