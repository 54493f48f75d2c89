/* Unit tests of util/map. */
#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/map.h"

START_TEST(what_was_put_is_found_and_nothing_else)
{
	struct map *map = map_new();
	int values[2];

	ck_assert_ptr_null(map_get(map, "a"));
	ck_assert_int_eq(map_put(map, "a", &values[0]), 0);
	ck_assert_int_eq(map_put(map, "", &values[1]), 0);
	ck_assert_ptr_eq(map_get(map, "a"), &values[0]);
	ck_assert_ptr_eq(map_get(map, ""), &values[1]);
	ck_assert_ptr_null(map_get(map, "b"));
	map_free(map);
	map_free(NULL);
}
END_TEST

START_TEST(the_first_value_of_a_key_stays)
{
	struct map *map = map_new();
	int values[2];
	char key[] = "key";

	ck_assert_int_eq(map_put(map, key, &values[0]), 0);
	ck_assert_int_eq(map_put(map, "key", &values[1]), 1);
	ck_assert_ptr_eq(map_get(map, "key"), &values[0]);
	key[0] = 'K'; /* it was copied */
	ck_assert_ptr_eq(map_get(map, "key"), &values[0]);
	map_free(map);
}
END_TEST

START_TEST(it_grows)
{
	struct map *map = map_new();
	static int values[5000];
	char key[16];
	int i;

	for (i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof(key), "key %d", i);
		ck_assert_int_eq(map_put(map, key, &values[i]), 0);
	}
	for (i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof(key), "key %d", i);
		ck_assert_ptr_eq(map_get(map, key), &values[i]);
	}
	ck_assert_ptr_null(map_get(map, "key 5000"));
	map_free(map);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("map");
	TCase *tcase = tcase_create("map");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, what_was_put_is_found_and_nothing_else);
	tcase_add_test(tcase, the_first_value_of_a_key_stays);
	tcase_add_test(tcase, it_grows);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
