/* Unit tests of util/text: numbers, durations, sizes, rates, escapes. */
#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct row {
	const char *text;
	int result;
	uint64_t number;
};

static void
check_rows(
    int (*read)(const char *, uint64_t *), const struct row *rows, size_t count)
{
	uint64_t number;
	size_t i;

	for (i = 0; i < count; i++) {
		number = 4711;
		ck_assert_msg(read(rows[i].text, &number) == rows[i].result,
		    "\"%s\" gives another result", rows[i].text);
		ck_assert_msg(
		    number == (rows[i].result == 0 ? rows[i].number : 4711),
		    "\"%s\" is read as %ju", rows[i].text, (uintmax_t)number);
	}
}

START_TEST(numbers_are_decimal_digits_that_fit)
{
	static const struct row rows[] = {
	    {"0", 0, 0},
	    {"007", 0, 7},
	    {"18446744073709551615", 0, UINT64_MAX},
	    {"18446744073709551616", -ERANGE, 0},
	    {"99999999999999999999999", -ERANGE, 0},
	    {"", -EINVAL, 0},
	    {"-1", -EINVAL, 0},
	    {"+1", -EINVAL, 0},
	    {" 1", -EINVAL, 0},
	    {"1 ", -EINVAL, 0},
	    {"1.5", -EINVAL, 0},
	    {"0x10", -EINVAL, 0},
	    {"99999999999999999999999x", -EINVAL, 0},
	};

	check_rows(text_number, rows, COUNT(rows));
}
END_TEST

START_TEST(marks_may_be_hexadecimal)
{
	static const struct row rows[] = {
	    {"0x10", 0, 16},
	    {"0XfF", 0, 255},
	    {"10", 0, 10},
	    {"0x", -EINVAL, 0},
	    {"0xg", -EINVAL, 0},
	    {"ff", -EINVAL, 0},
	    {"0xffffffffffffffff", 0, UINT64_MAX},
	    {"0x10000000000000000", -ERANGE, 0},
	};

	check_rows(text_number_hex, rows, COUNT(rows));
}
END_TEST

START_TEST(modes_are_octal)
{
	static const struct row rows[] = {
	    {"0660", 0, 0660},
	    {"600", 0, 0600},
	    {"8", -EINVAL, 0},
	    {"rw", -EINVAL, 0},
	};

	check_rows(text_octal, rows, COUNT(rows));
}
END_TEST

START_TEST(durations_have_units_and_a_bare_one_is_seconds)
{
	static const struct row rows[] = {
	    {"500ms", 0, 500},
	    {"30s", 0, 30000},
	    {"5m", 0, 300000},
	    {"2h", 0, 7200000},
	    {"1d", 0, 86400000},
	    {"30", 0, 30000},
	    {"0", 0, 0},
	    {"0s", 0, 0},
	    {"off", 0, 0},
	    {"213503982334d", 0, UINT64_C(213503982334) * 86400000},
	    {"213503982335d", -ERANGE, 0},
	    {"18446744073709551616ms", -ERANGE, 0},
	    {"10mm", -EINVAL, 0},
	    {"10 m", -EINVAL, 0},
	    {"m", -EINVAL, 0},
	    {"", -EINVAL, 0},
	    {"OFF", -EINVAL, 0},
	    {"1.5s", -EINVAL, 0},
	    {"1h30m", -EINVAL, 0},
	    {"-1s", -EINVAL, 0},
	};

	check_rows(text_duration, rows, COUNT(rows));
}
END_TEST

START_TEST(sizes_are_powers_of_1024)
{
	static const struct row rows[] = {
	    {"4096", 0, 4096},
	    {"64k", 0, 65536},
	    {"1m", 0, 1048576},
	    {"1g", 0, 1073741824},
	    {"0", 0, 0},
	    {"17179869183g", 0, UINT64_C(17179869183) << 30},
	    {"17179869184g", -ERANGE, 0},
	    {"64K", -EINVAL, 0},
	    {"64kb", -EINVAL, 0},
	    {"64k/s", -EINVAL, 0},
	    {"k", -EINVAL, 0},
	    {"off", -EINVAL, 0},
	};

	check_rows(text_size, rows, COUNT(rows));
}
END_TEST

START_TEST(rates_are_sizes_a_second)
{
	static const struct row rows[] = {
	    {"64k/s", 0, 65536},
	    {"100/s", 0, 100},
	    {"0", 0, 0},
	    {"0/s", 0, 0},
	    {"off", 0, 0},
	    {"64k", -EINVAL, 0},
	    {"64k/m", -EINVAL, 0},
	    {"/s", -EINVAL, 0},
	    {"17179869184g/s", -ERANGE, 0},
	};

	check_rows(text_rate, rows, COUNT(rows));
}
END_TEST

START_TEST(booleans_have_six_words)
{
	static const char *const yes[] = {"yes", "on", "true"};
	static const char *const no[] = {"no", "off", "false"};
	static const char *const neither[] = {"", "Yes", "1", "yess", "n"};
	bool value;
	size_t i;

	for (i = 0; i < COUNT(yes); i++) {
		value = false;
		ck_assert_int_eq(text_boolean(yes[i], &value), 0);
		ck_assert(value);
		value = true;
		ck_assert_int_eq(text_boolean(no[i], &value), 0);
		ck_assert(!value);
	}
	for (i = 0; i < COUNT(neither); i++)
		ck_assert_int_eq(text_boolean(neither[i], &value), -EINVAL);
}
END_TEST

START_TEST(hints_are_readable_by_the_readers)
{
	static const struct {
		const char *wrong, *duration, *size, *rate;
	} rows[] = {
	    {"10mm", "10m", "10m", "10m/s"},
	    {"10 m", "10m", "10m", "10m/s"},
	    {"200msec", "200ms", "200m", "200m/s"},
	    {"200 millis", "200ms", "200m", "200m/s"},
	    {"3hours", "3h", "3", "3/s"},
	    {"5Days", "5d", "5", "5/s"},
	    {"64KB", "64s", "64k", "64k/s"},
	    {"1.5s", "1s", "1", "1/s"},
	    {"", "30s", "64k", "64k/s"},
	    {"soon", "30s", "64k", "64k/s"},
	    {"99999999999999999999x", "30s", "64k", "64k/s"},
	};
	char text[TEXT_NUMBER];
	uint64_t number;
	size_t i;

	for (i = 0; i < COUNT(rows); i++) {
		ck_assert_str_eq(
		    text_duration_hint(rows[i].wrong, text), rows[i].duration);
		ck_assert_int_eq(text_duration(text, &number), 0);
		ck_assert_str_eq(
		    text_size_hint(rows[i].wrong, text), rows[i].size);
		ck_assert_int_eq(text_size(text, &number), 0);
		ck_assert_str_eq(
		    text_rate_hint(rows[i].wrong, text), rows[i].rate);
		ck_assert_int_eq(text_rate(text, &number), 0);
	}
}
END_TEST

START_TEST(durations_are_written_in_the_largest_exact_unit)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
	    {0, "off"},
	    {1, "1ms"},
	    {1000, "1s"},
	    {1500, "1500ms"},
	    {60000, "60s"},
	    {120000, "2m"},
	    {3600000, "60m"},
	    {7200000, "2h"},
	    {86400000, "24h"},
	    {172800000, "2d"},
	};
	char text[TEXT_NUMBER];
	size_t i;

	for (i = 0; i < COUNT(rows); i++)
		ck_assert_str_eq(
		    text_from_duration(rows[i].ms, text), rows[i].text);
}
END_TEST

START_TEST(sizes_and_rates_are_written_in_the_largest_exact_unit)
{
	char text[TEXT_NUMBER];

	ck_assert_str_eq(text_from_size(0, text), "0");
	ck_assert_str_eq(text_from_size(65536, text), "64k");
	ck_assert_str_eq(text_from_size(65537, text), "65537");
	ck_assert_str_eq(text_from_size(1 << 20, text), "1m");
	ck_assert_str_eq(text_from_size(1 << 30, text), "1g");
	ck_assert_str_eq(text_from_rate(0, text), "off");
	ck_assert_str_eq(text_from_rate(1000, text), "1000/s");
	ck_assert_str_eq(text_from_rate(2048, text), "2k/s");
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
	static const uint64_t edges[] = {0, 1, 999, 1000, 1023, 1024, 59999,
	    60000, 86399999, UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 63};
	char text[TEXT_NUMBER];
	uint64_t number, again;
	size_t i;

	srandom(1);
	for (i = 0; i < 20000; i++) {
		number =
		    i < COUNT(edges)
			? edges[i]
			: ((uint64_t)random() << 31 | (uint64_t)random()) >>
			      random() % 62;
		if (i % 3 == 0)
			number -= number % 1024;
		ck_assert_int_eq(
		    text_duration(text_from_duration(number, text), &again), 0);
		ck_assert(again == number);
		ck_assert_int_eq(
		    text_size(text_from_size(number, text), &again), 0);
		ck_assert(again == number);
		ck_assert_int_eq(
		    text_rate(text_from_rate(number, text), &again), 0);
		ck_assert(again == number);
	}
}
END_TEST

START_TEST(escapes_are_undone_one_at_a_time)
{
	static const struct {
		const char *text;
		size_t taken;
		char byte;
	} rows[] = {
	    {"\\r\\n", 2, '\r'},
	    {"\\n", 2, '\n'},
	    {"\\t", 2, '\t'},
	    {"\\\\", 2, '\\'},
	    {"\\\"", 2, '"'},
	    {"\\'", 2, '\''},
	    {"\\a", 2, '\a'},
	    {"\\v", 2, '\v'},
	    {"\\0", 2, '\0'},
	    {"\\033[", 4, '\033'},
	    {"\\377", 4, '\377'},
	    {"\\400", 0, 0},
	    {"\\8", 0, 0},
	    {"\\x41B", 4, 'A'},
	    {"\\xfF", 4, '\xff'},
	    {"\\x4", 0, 0},
	    {"\\xg1", 0, 0},
	    {"\\x", 0, 0},
	    {"\\", 0, 0},
	    {"\\q", 0, 0},
	    {"a", 0, 0},
	    {"", 0, 0},
	};
	size_t i;
	char byte;

	for (i = 0; i < COUNT(rows); i++) {
		byte = 0;
		ck_assert_msg(
		    text_unescape_one(rows[i].text, &byte) == rows[i].taken,
		    "%s", rows[i].text);
		ck_assert_int_eq(byte, rows[i].byte);
	}
}
END_TEST

START_TEST(every_byte_survives_its_escape)
{
	char text[TEXT_ESCAPE], byte;
	int i;

	for (i = 0; i < 256; i++) {
		text_escape((unsigned char)i, text);
		if (text[0] == '\\') {
			ck_assert_uint_eq(
			    text_unescape_one(text, &byte), strlen(text));
			ck_assert_int_eq((unsigned char)byte, i);
		} else {
			ck_assert_uint_eq(strlen(text), 1);
			ck_assert_int_eq((unsigned char)text[0], i);
		}
	}
}
END_TEST

static Suite *
text_suite(void)
{
	Suite *suite = suite_create("util/text");
	TCase *tcase = tcase_create("text");

	tcase_add_test(tcase, numbers_are_decimal_digits_that_fit);
	tcase_add_test(tcase, marks_may_be_hexadecimal);
	tcase_add_test(tcase, modes_are_octal);
	tcase_add_test(tcase, durations_have_units_and_a_bare_one_is_seconds);
	tcase_add_test(tcase, sizes_are_powers_of_1024);
	tcase_add_test(tcase, rates_are_sizes_a_second);
	tcase_add_test(tcase, booleans_have_six_words);
	tcase_add_test(tcase, hints_are_readable_by_the_readers);
	tcase_add_test(tcase, durations_are_written_in_the_largest_exact_unit);
	tcase_add_test(
	    tcase, sizes_and_rates_are_written_in_the_largest_exact_unit);
	tcase_add_test(tcase, what_is_written_is_read_back);
	tcase_add_test(tcase, escapes_are_undone_one_at_a_time);
	tcase_add_test(tcase, every_byte_survives_its_escape);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(text_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
