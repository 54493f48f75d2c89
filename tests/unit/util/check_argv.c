/* Unit tests of util/argv. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/argv.h"

/* The words with | between them; "" for no words. */
static void
check_words(const char *text, const char *words)
{
	char joined[256] = "";
	char **argv = NULL;
	size_t i;

	ck_assert_int_eq(argv_split(text, &argv, NULL), 0);
	for (i = 0; i < argv_count(argv); i++) {
		if (i > 0)
			strcat(joined, "|");
		strcat(joined, argv[i]);
	}
	ck_assert_str_eq(joined, words);
	argv_free(argv);
}

START_TEST(blanks_divide_words)
{
	check_words("", "");
	check_words("  \t ", "");
	check_words("cat", "cat");
	check_words("  cat  -n\t/etc/passwd ", "cat|-n|/etc/passwd");
}
END_TEST

START_TEST(quotes_keep_blanks_and_may_stand_inside_a_word)
{
	check_words("sh -c 'echo hi; ls'", "sh|-c|echo hi; ls");
	check_words("sh -c \"echo hi\"", "sh|-c|echo hi");
	check_words("a'b c'd", "ab cd");
	check_words("'' x \"\"", "|x|");
	check_words("'a\\b' \"a\\b\"", "a\\b|a\\b");
	check_words("\"a\\\"b\\\\c\"", "a\"b\\c");
	check_words("'\"' \"'\"", "\"|'");
}
END_TEST

START_TEST(a_backslash_keeps_the_next_character)
{
	check_words("a\\ b c", "a b|c");
	check_words("\\\\ \\' \\\"", "\\|'|\"");
}
END_TEST

START_TEST(nothing_else_is_special)
{
	check_words(
	    "echo $HOME *.c ~ a;b | c > d", "echo|$HOME|*.c|~|a;b|||c|>|d");
}
END_TEST

static void
check_refused(const char *text, const char *problem)
{
	const char *found = NULL;
	char **argv = NULL;

	ck_assert_int_eq(argv_split(text, &argv, &found), -EINVAL);
	ck_assert_str_eq(found, problem);
	ck_assert_ptr_null(argv);
	ck_assert_int_eq(argv_split(text, &argv, NULL), -EINVAL);
}

START_TEST(unbalanced_quoting_is_refused)
{
	check_refused("a 'b", "a ' is not closed");
	check_refused("a \"b", "a \" is not closed");
	check_refused("a \"b\\\"", "a \" is not closed");
	check_refused("a '", "a ' is not closed");
	check_refused("a \\", "a \\ stands at the end");
}
END_TEST

START_TEST(nothing_is_freed_of_nothing)
{
	argv_free(NULL);
}
END_TEST

static Suite *
argv_suite(void)
{
	Suite *suite = suite_create("util/argv");
	TCase *tcase = tcase_create("argv");

	tcase_add_test(tcase, blanks_divide_words);
	tcase_add_test(tcase, quotes_keep_blanks_and_may_stand_inside_a_word);
	tcase_add_test(tcase, a_backslash_keeps_the_next_character);
	tcase_add_test(tcase, nothing_else_is_special);
	tcase_add_test(tcase, unbalanced_quoting_is_refused);
	tcase_add_test(tcase, nothing_is_freed_of_nothing);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(argv_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
