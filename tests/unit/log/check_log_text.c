/*
 * The text format: every value, however hostile, stays on its line and can be
 * told from what stands beside it.
 */
#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_priv.h"

static void
expect(const char *message, const struct log_field *fields, const char *line)
{
	const struct log_entry entry = {
	    .level = LOG_LEVEL_INFO, .message = message, .fields = fields};
	struct log_buffer buffer;

	log_buffer_init(&buffer);
	log_text_encode(&buffer, &entry, false);
	ck_assert(!buffer.failed);
	log_buffer_add(&buffer, "", 1);
	ck_assert_str_eq(buffer.data, line);
	log_buffer_free(&buffer);
}

static void
expect_value(const char *value, const char *written)
{
	const struct log_field fields[] = {LOG_T("k", value), LOG_END};
	char line[512] = "info m k=";

	strcat(line, written);
	expect("m", fields, line);
}

START_TEST(a_line_is_level_message_and_fields)
{
	const struct log_field fields[] = {
	    LOG_T("listener", "web"),
	    LOG_T("address", "[::1]:8124"),
	    LOG_N("bytes", UINT64_MAX),
	    LOG_T("server", NULL),
	    LOG_END,
	};

	expect("listening", fields,
	    "info listening listener=web address=[::1]:8124 "
	    "bytes=18446744073709551615 server=-");
	expect("no fields", NULL, "info no fields");
}
END_TEST

START_TEST(values_that_could_mislead_are_quoted)
{
	expect_value("plain", "plain");
	expect_value("a=b", "a=b");
	expect_value("", "\"\"");
	expect_value("two words", "\"two words\"");
	expect_value("say \"x\"", "\"say \\\"x\\\"\"");
	expect_value("back\\slash", "\"back\\\\slash\"");
}
END_TEST

START_TEST(control_characters_do_not_leave_the_line)
{
	expect_value("a\nerror forged k=v", "\"a\\nerror forged k=v\"");
	expect_value("\r\t", "\"\\r\\t\"");
	expect_value("\x1b[31m\x7f", "\"\\x1b[31m\\x7f\"");
	expect("mes\nsage \\ \x01", NULL, "info mes\\nsage \\\\ \\x01");
}
END_TEST

START_TEST(utf8_stays_and_what_is_none_is_escaped)
{
	expect_value("gr\xc3\xbc\xc3\x9f\x65", "gr\xc3\xbc\xc3\x9f\x65");
	expect_value("\xf0\x9f\x90\x9f", "\xf0\x9f\x90\x9f");
	expect_value("\xff", "\"\\xff\"");
	expect_value("\xc3", "\"\\xc3\"");	    /* ends too early */
	expect_value("\xc0\xaf", "\"\\xc0\\xaf\""); /* too long a form */
	expect_value("\xe0\x80\xaf", "\"\\xe0\\x80\\xaf\"");
	expect_value("\xed\xa0\x80", "\"\\xed\\xa0\\x80\""); /* surrogate */
	expect_value("\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"");
}
END_TEST

START_TEST(characters_that_break_or_turn_a_line_are_escaped)
{
	expect_value("a\xc2\x85z", "\"a\\u0085z\"");
	expect_value("a\xe2\x80\xa8z", "\"a\\u2028z\"");
	expect_value("a\xe2\x80\xaez", "\"a\\u202ez\"");
}
END_TEST

START_TEST(a_time_stamp_is_utc_with_milliseconds)
{
	const struct log_entry entry = {.level = LOG_LEVEL_ERROR,
	    .time = {.tv_sec = 1709210096, .tv_nsec = 7999999},
	    .message = "m"};
	struct log_buffer buffer;

	log_buffer_init(&buffer);
	log_text_encode(&buffer, &entry, true);
	log_buffer_add(&buffer, "", 1);
	ck_assert_str_eq(buffer.data, "2024-02-29T12:34:56.007Z error m");
	log_buffer_free(&buffer);
}
END_TEST

START_TEST(a_long_value_is_whole)
{
	enum { LENGTH = 300000 };
	char *value = malloc(LENGTH + 1);
	const struct log_field fields[] = {LOG_T("k", value), LOG_END};
	const struct log_entry entry = {
	    .level = LOG_LEVEL_WARN, .message = "m", .fields = fields};
	struct log_buffer buffer;

	ck_assert_ptr_nonnull(value);
	memset(value, 'v', LENGTH);
	value[LENGTH] = '\0';
	log_buffer_init(&buffer);
	log_text_encode(&buffer, &entry, false);
	ck_assert(!buffer.failed);
	ck_assert_uint_eq(buffer.length, strlen("warn m k=") + LENGTH);
	ck_assert_mem_eq(buffer.data + strlen("warn m k="), value, LENGTH);
	log_buffer_free(&buffer);
	free(value);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log_text");
	TCase *tcase = tcase_create("lines");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, a_line_is_level_message_and_fields);
	tcase_add_test(tcase, values_that_could_mislead_are_quoted);
	tcase_add_test(tcase, control_characters_do_not_leave_the_line);
	tcase_add_test(tcase, utf8_stays_and_what_is_none_is_escaped);
	tcase_add_test(tcase, characters_that_break_or_turn_a_line_are_escaped);
	tcase_add_test(tcase, a_time_stamp_is_utc_with_milliseconds);
	tcase_add_test(tcase, a_long_value_is_whole);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
