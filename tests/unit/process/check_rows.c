/* Figures of connections, there and back. */
#include "config.h"

#include <check.h>
#include <string.h>

#include "process/rows.h"
#include "proxy/proxy.h"

static struct session_figures seen[8];
static char texts[8][4][800];
static unsigned count;

static const struct session_figures one = {
    .id = 7,
    .listener = "web",
    .client = "127.0.0.1:4000",
    .server = "-",
    .age_s = 1.5,
    .idle_s = 0.25,
    .bytes_in = 5000000000,
    .bytes_out = 3,
    .state = "open",
};

static void
on_row(const struct session_figures *figures, void *user)
{
	ck_assert_ptr_eq(user, &count);
	ck_assert_uint_lt(count, 8);
	seen[count] = *figures;
	strcpy(texts[count][0], figures->listener);
	strcpy(texts[count][1], figures->client);
	strcpy(texts[count][2], figures->server);
	strcpy(texts[count][3], figures->state);
	count++;
}

START_TEST(what_is_added_is_told)
{
	struct session_figures two = one;
	char data[4000];
	size_t length;

	two.id = 8;
	two.server = "[::1]:80";
	length = rows_add(data, sizeof(data), 0, &one);
	ck_assert_uint_gt(length, 0);
	length = rows_add(data, sizeof(data), length, &two);
	count = 0;
	rows_each(data, length, on_row, &count);
	ck_assert_uint_eq(count, 2);
	ck_assert_uint_eq(seen[0].id, 7);
	ck_assert_uint_eq(seen[1].id, 8);
	ck_assert_uint_eq(seen[0].bytes_in, 5000000000);
	ck_assert_uint_eq(seen[0].bytes_out, 3);
	ck_assert(seen[0].age_s > 1.4 && seen[0].age_s < 1.6);
	ck_assert(seen[0].idle_s > 0.2 && seen[0].idle_s < 0.3);
	ck_assert_str_eq(texts[0][0], "web");
	ck_assert_str_eq(texts[0][1], "127.0.0.1:4000");
	ck_assert_str_eq(texts[0][3], "open");
	ck_assert_str_eq(texts[1][2], "[::1]:80");
}
END_TEST

START_TEST(a_message_is_full_at_its_end)
{
	char data[4000];
	size_t length = 0, next;
	unsigned n = 0;

	while ((next = rows_add(data, sizeof(data), length, &one)) > 0) {
		length = next;
		n++;
	}
	ck_assert_uint_gt(n, 20);
	ck_assert_uint_le(length, sizeof(data));
}
END_TEST

START_TEST(the_longest_texts_fit_into_a_message)
{
	struct session_figures long_one = one;
	char text[2000], data[4000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	long_one.listener = long_one.client = long_one.server = long_one.state =
	    text;
	ck_assert_uint_gt(rows_add(data, sizeof(data), 0, &long_one), 0);
}
END_TEST

START_TEST(half_a_row_is_none)
{
	char data[4000];
	size_t length = rows_add(data, sizeof(data), 0, &one), i;

	for (i = 0; i < length; i++) {
		count = 0;
		rows_each(data, i, on_row, &count);
		ck_assert_uint_eq(count, 0);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("rows");
	TCase *tc = tcase_create("rows");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, what_is_added_is_told);
	tcase_add_test(tc, a_message_is_full_at_its_end);
	tcase_add_test(tc, the_longest_texts_fit_into_a_message);
	tcase_add_test(tc, half_a_row_is_none);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
