/*
 * The datagram protocols, byte for byte.
 */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log/log_priv.h"

START_TEST(syslog_has_priority_local_time_and_name)
{
	const struct log_entry entry = {.level = LOG_LEVEL_ERROR,
	    .time = {.tv_sec = 1709210096},
	    .message = "m"};
	struct log_buffer buffer;
	char expected[128];

	setenv("TZ", "XYZ-2", 1);
	tzset();
	log_buffer_init(&buffer);
	log_syslog_encode(&buffer, &entry, "error m", 7);
	log_buffer_add(&buffer, "", 1);
	/* LOG_DAEMON is 3 and LOG_ERR is 3: 3 * 8 + 3. */
	snprintf(expected, sizeof(expected),
	    "<27>Feb 29 14:34:56 weir[%ld]: error m", (long)getpid());
	ck_assert_str_eq(buffer.data, expected);
	log_buffer_free(&buffer);
}
END_TEST

START_TEST(the_journal_gets_fields_of_its_own)
{
	const struct log_field fields[] = {LOG_T("listener", "web"),
	    LOG_N("bytes-in", 7), LOG_T("server", NULL), LOG_END};
	const struct log_entry entry = {
	    .level = LOG_LEVEL_WARN, .message = "m", .fields = fields};
	struct log_buffer buffer;
	char expected[256];

	log_buffer_init(&buffer);
	log_journal_encode(&buffer, &entry, "warn m", 6);
	log_buffer_add(&buffer, "", 1);
	snprintf(expected, sizeof(expected),
	    "MESSAGE=warn m\nPRIORITY=4\nSYSLOG_IDENTIFIER=weir\n"
	    "SYSLOG_FACILITY=3\nSYSLOG_PID=%ld\n"
	    "WEIR_LISTENER=web\nWEIR_BYTES_IN=7\nWEIR_SERVER=-\n",
	    (long)getpid());
	ck_assert_str_eq(buffer.data, expected);
	log_buffer_free(&buffer);
}
END_TEST

START_TEST(a_newline_in_a_value_makes_no_field)
{
	static const char expected[] =
	    "WEIR_SNI\n\x0c\0\0\0\0\0\0\0a\nPRIORITY=0\n";
	const struct log_field fields[] = {
	    LOG_T("sni", "a\nPRIORITY=0"), LOG_END};
	const struct log_entry entry = {
	    .level = LOG_LEVEL_INFO, .message = "m", .fields = fields};
	struct log_buffer buffer;
	size_t length = sizeof(expected) - 1;

	log_buffer_init(&buffer);
	log_journal_encode(&buffer, &entry, "info m", 6);
	ck_assert_uint_gt(buffer.length, length);
	ck_assert_mem_eq(
	    buffer.data + buffer.length - length, expected, length);
	log_buffer_free(&buffer);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("log_datagram");
	TCase *tcase = tcase_create("messages");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, syslog_has_priority_local_time_and_name);
	tcase_add_test(tcase, the_journal_gets_fields_of_its_own);
	tcase_add_test(tcase, a_newline_in_a_value_makes_no_field);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
