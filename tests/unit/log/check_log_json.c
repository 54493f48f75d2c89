/*
 * The JSON format: what is written is read back by a strict parser.
 */
#include "config.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "log/log_priv.h"

/* The line as an object; it must be one line. */
static json_t *
encode(const char *message, const struct log_field *fields)
{
	const struct log_entry entry = {.level = LOG_LEVEL_WARN,
	    .time = {.tv_sec = 1709210096, .tv_nsec = 789000000},
	    .message = message,
	    .fields = fields};
	struct log_buffer buffer;
	json_error_t error;
	json_t *object;

	log_buffer_init(&buffer);
	log_json_encode(&buffer, &entry);
	ck_assert(!buffer.failed);
	ck_assert_ptr_null(memchr(buffer.data, '\n', buffer.length));
	object = json_loadb(
	    buffer.data, buffer.length, JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(object != NULL, "%s", error.text);
	log_buffer_free(&buffer);
	return object;
}

static const char *
text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

START_TEST(an_object_has_time_level_message_and_fields)
{
	const struct log_field fields[] = {LOG_T("client", "unix:"),
	    LOG_N("bytes_in", 42), LOG_T("server", NULL), LOG_END};
	json_t *object = encode("closed", fields);

	ck_assert_str_eq(text_of(object, "time"), "2024-02-29T12:34:56.789Z");
	ck_assert_str_eq(text_of(object, "level"), "warn");
	ck_assert_str_eq(text_of(object, "message"), "closed");
	ck_assert_str_eq(text_of(object, "client"), "unix:");
	ck_assert_str_eq(text_of(object, "server"), "-");
	ck_assert_int_eq(
	    json_integer_value(json_object_get(object, "bytes_in")), 42);
	json_decref(object);
}
END_TEST

START_TEST(hostile_text_comes_back_as_it_was)
{
	const char *value = "\"},\n{\"level\":\"error\\\r\t\x01";
	const struct log_field fields[] = {LOG_T("sni", value), LOG_END};
	json_t *object = encode(value, fields);

	ck_assert_str_eq(text_of(object, "sni"), value);
	ck_assert_str_eq(text_of(object, "message"), value);
	json_decref(object);
}
END_TEST

START_TEST(bytes_that_are_no_utf8_are_replaced)
{
	const struct log_field fields[] = {
	    LOG_T("a", "x\xff\xfey\xc3\xbc"),
	    LOG_T("b", "\xe2\x82"),
	    LOG_T("c", "\xed\xa0\x80"),
	    LOG_END,
	};
	json_t *object = encode("bad \x80 byte", fields);

	ck_assert_str_eq(
	    text_of(object, "a"), "x\xef\xbf\xbd\xef\xbf\xbdy\xc3\xbc");
	ck_assert_str_eq(text_of(object, "b"), "\xef\xbf\xbd\xef\xbf\xbd");
	ck_assert_str_eq(
	    text_of(object, "c"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	ck_assert_str_eq(text_of(object, "message"), "bad \xef\xbf\xbd byte");
	json_decref(object);
}
END_TEST

START_TEST(a_number_beyond_signed_stays_positive)
{
	const struct log_field fields[] = {LOG_N("n", UINT64_MAX), LOG_END};
	json_t *object = encode("m", fields);

	ck_assert_double_gt(
	    json_number_value(json_object_get(object, "n")), 1.8e19);
	json_decref(object);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log_json");
	TCase *tcase = tcase_create("objects");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, an_object_has_time_level_message_and_fields);
	tcase_add_test(tcase, hostile_text_comes_back_as_it_was);
	tcase_add_test(tcase, bytes_that_are_no_utf8_are_replaced);
	tcase_add_test(tcase, a_number_beyond_signed_stays_positive);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
