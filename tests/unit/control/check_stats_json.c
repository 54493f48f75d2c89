/* The shape of the figures: names, order, kinds and values. */
#include "config.h"

#include "control/stats_json.h"

#include <check.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/version.h>

#include "control/answer.h"
#include "tests/unit/control/fake_proxy.h"

static struct proxy proxy;

static void
setup(void)
{
	fake_proxy_init(&proxy, 3);
}

/* The names of the members, in their order, with a blank after each. */
static void
check_names(json_t *object, const char *names)
{
	char text[512] = "";
	const char *key;
	json_t *value;

	ck_assert(json_is_object(object));
	json_object_foreach(object, key, value)
	{
		strcat(text, key);
		strcat(text, " ");
	}
	ck_assert_str_eq(text, names);
}

static json_int_t
integer(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	ck_assert_msg(json_is_integer(value), "%s is no integer", key);
	return json_integer_value(value);
}

static const char *
text(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	ck_assert_msg(json_is_string(value), "%s is no text", key);
	return json_string_value(value);
}

START_TEST(stats_have_everything_in_order)
{
	json_t *stats = stats_json(&proxy);

	check_names(stats,
	    "version pid uptime_s state connections workers listeners "
	    "upstreams ");
	ck_assert_str_eq(text(stats, "version"), weir_version());
	ck_assert_int_eq(integer(stats, "pid"), getpid());
	ck_assert_int_eq(integer(stats, "uptime_s"), 77);
	ck_assert_str_eq(text(stats, "state"), "running");
	ck_assert_int_eq(integer(stats, "connections"), 3);
	ck_assert_uint_eq(
	    json_array_size(json_object_get(stats, "workers")), 1);
	ck_assert_uint_eq(
	    json_array_size(json_object_get(stats, "listeners")), 2);
	ck_assert(json_is_array(json_object_get(stats, "upstreams")));
	json_decref(stats);
}
END_TEST

START_TEST(state_is_draining_while_it_drains)
{
	json_t *stats;

	proxy.draining = true;
	stats = stats_json(&proxy);
	ck_assert_str_eq(text(stats, "state"), "draining");
	json_decref(stats);
}
END_TEST

START_TEST(this_process_is_the_one_worker)
{
	json_t *workers = stats_json_workers(&proxy);
	json_t *worker = json_array_get(workers, 0);

	ck_assert_uint_eq(json_array_size(workers), 1);
	check_names(worker, "pid connections restarts ");
	ck_assert_int_eq(integer(worker, "pid"), getpid());
	ck_assert_int_eq(integer(worker, "connections"), 3);
	ck_assert_int_eq(integer(worker, "restarts"), 0);
	json_decref(workers);
}
END_TEST

START_TEST(a_listener_has_its_figures_in_order)
{
	json_t *listeners = stats_json_listeners(&proxy);
	json_t *web = json_array_get(listeners, 0), *addresses;

	check_names(web,
	    "name mode addresses state connections connections_peak "
	    "max_connections accepted rejected denied closed errors timeouts "
	    "bytes_in bytes_out buffered ");
	ck_assert_str_eq(text(web, "name"), "web");
	ck_assert_str_eq(text(web, "mode"), "forward");
	ck_assert_str_eq(text(web, "state"), "open");
	ck_assert_int_eq(integer(web, "connections"), 3);
	ck_assert_int_eq(integer(web, "connections_peak"), 4);
	ck_assert_int_eq(integer(web, "max_connections"), 20000);
	ck_assert_int_eq(integer(web, "accepted"), 1001);
	ck_assert_int_eq(integer(web, "rejected"), 1002);
	ck_assert_int_eq(integer(web, "denied"), 1003);
	ck_assert_int_eq(integer(web, "closed"), 1004);
	ck_assert_int_eq(integer(web, "errors"), 1005);
	ck_assert_int_eq(integer(web, "timeouts"), 1006);
	ck_assert_int_eq(integer(web, "bytes_in"), 1007);
	ck_assert_int_eq(integer(web, "bytes_out"), 5000000000);
	ck_assert_int_eq(integer(web, "buffered"), 1008);
	addresses = json_object_get(web, "addresses");
	ck_assert_uint_eq(json_array_size(addresses), 2);
	ck_assert_str_eq(
	    json_string_value(json_array_get(addresses, 1)), "[::1]:8124");
	json_decref(listeners);
}
END_TEST

START_TEST(a_closed_listener_has_no_addresses)
{
	json_t *listeners, *web, *addresses;

	proxy.listeners[0].state = LISTENER_CLOSED;
	listeners = stats_json_listeners(&proxy);
	web = json_array_get(listeners, 0);
	ck_assert_str_eq(text(web, "state"), "closed");
	addresses = json_object_get(web, "addresses");
	ck_assert(json_is_array(addresses));
	ck_assert_uint_eq(json_array_size(addresses), 0);
	json_decref(listeners);
}
END_TEST

/* The data of the answer to "connections". */
static json_t *
connections(void)
{
	struct answer answer = ANSWER_NULL;
	json_t *json, *data;
	const char *line;
	size_t length;

	stats_json_connections(&proxy, -1, &answer);
	line = answer_line(&answer, &length);
	json = json_loadb(line, length, 0, NULL);
	ck_assert_ptr_nonnull(json);
	data = json_incref(json_object_get(json, "data"));
	json_decref(json);
	answer_free(&answer);
	return data;
}

START_TEST(a_connection_has_its_figures_in_order)
{
	json_t *list = connections(), *row = json_array_get(list, 2);

	ck_assert_uint_eq(json_array_size(list), 3);
	check_names(row,
	    "id listener client server age_s idle_s bytes_in bytes_out "
	    "state ");
	ck_assert_int_eq(integer(row, "id"), 3);
	ck_assert_str_eq(text(row, "listener"), "web");
	ck_assert_str_eq(text(row, "client"), "127.0.0.1:40000");
	ck_assert_str_eq(text(row, "server"), "-");
	ck_assert_int_eq(integer(row, "bytes_in"), 11);
	ck_assert_int_eq(integer(row, "bytes_out"), 22);
	ck_assert_str_eq(text(row, "state"), "open");
	json_decref(list);
}
END_TEST

START_TEST(ages_are_numbers_to_the_millisecond)
{
	struct answer answer = ANSWER_NULL;
	const char *line;
	size_t length;

	stats_json_connections(&proxy, 0, &answer);
	line = answer_line(&answer, &length);
	ck_assert_ptr_nonnull(strstr(line, "\"age_s\":12.346,\"idle_s\":0.1,"));
	answer_free(&answer);
}
END_TEST

START_TEST(an_address_that_is_no_text_is_escaped)
{
	json_t *list;

	proxy.client = "unix:/tmp/\377\"x";
	list = connections();
	ck_assert_str_eq(
	    text(json_array_get(list, 0), "client"), "unix:/tmp/\\xff\"x");
	json_decref(list);
}
END_TEST

START_TEST(ten_thousand_connections_are_all_there)
{
	json_t *list;

	fake_proxy_init(&proxy, 10000);
	list = connections();
	ck_assert_uint_eq(json_array_size(list), 10000);
	ck_assert_int_eq(integer(json_array_get(list, 9999), "id"), 10000);
	json_decref(list);
}
END_TEST

START_TEST(a_figure_beyond_what_json_holds_is_its_greatest)
{
	json_t *listeners;

	proxy.listeners[0].bytes_in = UINT64_MAX;
	listeners = stats_json_listeners(&proxy);
	ck_assert_int_eq(
	    integer(json_array_get(listeners, 0), "bytes_in"), INT64_MAX);
	json_decref(listeners);
}
END_TEST

START_TEST(health_is_up_while_clients_are_not_refused)
{
	ck_assert_str_eq(stats_health(&proxy), "up");
	proxy.listeners[0].state = LISTENER_WAITING;
	proxy.listeners[1].state = LISTENER_RESTING;
	ck_assert_str_eq(stats_health(&proxy), "up");
}
END_TEST

START_TEST(health_is_down_with_one_listener_closed)
{
	proxy.listeners[1].state = LISTENER_CLOSED;
	ck_assert_str_eq(stats_health(&proxy), "down");
	proxy.listeners[1].state = LISTENER_STARTING;
	ck_assert_str_eq(stats_health(&proxy), "down");
}
END_TEST

START_TEST(health_is_drain_while_it_drains)
{
	proxy.draining = true;
	proxy.listeners[0].state = LISTENER_CLOSED;
	ck_assert_str_eq(stats_health(&proxy), "drain");
}
END_TEST

static Suite *
stats_suite(void)
{
	Suite *suite = suite_create("stats_json");
	TCase *tc = tcase_create("figures");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, stats_have_everything_in_order);
	tcase_add_test(tc, state_is_draining_while_it_drains);
	tcase_add_test(tc, this_process_is_the_one_worker);
	tcase_add_test(tc, a_listener_has_its_figures_in_order);
	tcase_add_test(tc, a_closed_listener_has_no_addresses);
	tcase_add_test(tc, a_connection_has_its_figures_in_order);
	tcase_add_test(tc, ages_are_numbers_to_the_millisecond);
	tcase_add_test(tc, an_address_that_is_no_text_is_escaped);
	tcase_add_test(tc, ten_thousand_connections_are_all_there);
	tcase_add_test(tc, a_figure_beyond_what_json_holds_is_its_greatest);
	tcase_add_test(tc, health_is_up_while_clients_are_not_refused);
	tcase_add_test(tc, health_is_down_with_one_listener_closed);
	tcase_add_test(tc, health_is_drain_while_it_drains);
	suite_add_tcase(suite, tc);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(stats_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
