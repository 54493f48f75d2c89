/* Unit tests of util/strbuf. */
#include "config.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/strbuf.h"

START_TEST(what_is_added_stands_in_order_and_ends_with_nul)
{
	struct strbuf b = STRBUF_NULL;

	ck_assert_str_eq(strbuf_get(&b), "");
	strbuf_text(&b, "one");
	strbuf_char(&b, ' ');
	strbuf_format(&b, "%d %s", 2, "three");
	strbuf_add(&b, "\0x", 2);
	ck_assert_uint_eq(b.length, 13);
	ck_assert_mem_eq(b.data, "one 2 three\0x", 14);
	strbuf_free(&b);
	ck_assert_ptr_null(b.data);
}
END_TEST

START_TEST(it_grows_as_far_as_needed)
{
	struct strbuf b = STRBUF_NULL;
	size_t i;

	for (i = 0; i < 100000; i++)
		strbuf_char(&b, (char)('a' + i % 26));
	strbuf_format(&b, "%0500d", 7);
	ck_assert(!b.failed);
	ck_assert_uint_eq(b.length, 100500);
	ck_assert_uint_eq(strlen(b.data), 100500);
	ck_assert_int_eq(b.data[99999], 'a' + 99999 % 26);
	strbuf_free(&b);
}
END_TEST

START_TEST(a_refused_allocation_is_remembered)
{
	struct strbuf b = STRBUF_NULL;

	strbuf_text(&b, "before");
	strbuf_add(&b, "x", SIZE_MAX / 2);
	ck_assert(b.failed);
	strbuf_text(&b, "after");
	ck_assert_str_eq(strbuf_get(&b), "before");
	ck_assert_ptr_null(strbuf_take(&b));
	ck_assert(!b.failed);
	strbuf_text(&b, "anew");
	ck_assert_str_eq(strbuf_get(&b), "anew");
	strbuf_free(&b);
}
END_TEST

START_TEST(a_taken_text_is_the_callers)
{
	struct strbuf b = STRBUF_NULL;
	char *text;

	text = strbuf_take(&b);
	ck_assert_str_eq(text, "");
	free(text);
	strbuf_text(&b, "mine");
	text = strbuf_take(&b);
	ck_assert_uint_eq(b.length, 0);
	ck_assert_ptr_null(b.data);
	ck_assert_str_eq(text, "mine");
	free(text);
}
END_TEST

START_TEST(reset_forgets_content_and_failure)
{
	struct strbuf b = STRBUF_NULL;

	strbuf_reset(&b);
	strbuf_text(&b, "old");
	strbuf_add(&b, "x", SIZE_MAX / 2);
	strbuf_reset(&b);
	ck_assert(!b.failed);
	ck_assert_str_eq(strbuf_get(&b), "");
	strbuf_free(&b);
}
END_TEST

START_TEST(quoted_bytes_are_shown_with_escapes)
{
	struct strbuf b = STRBUF_NULL;

	strbuf_quote(&b, "a\"b\\\r\n\0\x7f\xc3\xa9", 10);
	ck_assert_str_eq(
	    strbuf_get(&b), "\"a\\\"b\\\\\\r\\n\\x00\\x7f\xc3\xa9\"");
	strbuf_free(&b);
}
END_TEST

static Suite *
strbuf_suite(void)
{
	Suite *suite = suite_create("util/strbuf");
	TCase *tcase = tcase_create("strbuf");

	tcase_add_test(tcase, what_is_added_stands_in_order_and_ends_with_nul);
	tcase_add_test(tcase, it_grows_as_far_as_needed);
	tcase_add_test(tcase, a_refused_allocation_is_remembered);
	tcase_add_test(tcase, a_taken_text_is_the_callers);
	tcase_add_test(tcase, reset_forgets_content_and_failure);
	tcase_add_test(tcase, quoted_bytes_are_shown_with_escapes);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(strbuf_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
