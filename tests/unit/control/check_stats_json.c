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
#include "tests/unit/control/fake_fleet.h"

static struct proxy proxy;
static struct fleet fleet;
static struct control_subject subject;

static void
setup(void)
{
	fake_proxy_init(&proxy, 3);
	fake_fleet_init(&fleet, &proxy);
	subject = fake_subject(&fleet);
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
	json_t *stats = stats_json(&subject);

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
	stats = stats_json(&subject);
	ck_assert_str_eq(text(stats, "state"), "draining");
	json_decref(stats);
}
END_TEST

START_TEST(each_worker_has_its_row)
{
	json_t *workers, *worker;

	fleet.workers = 4;
	fleet.silent = 1;
	workers = stats_json_workers(&subject);
	ck_assert_uint_eq(json_array_size(workers), 4);
	worker = json_array_get(workers, 1);
	check_names(worker, "pid connections restarts state ");
	ck_assert_int_eq(integer(worker, "pid"), 1001);
	ck_assert_int_eq(integer(worker, "connections"), 0);
	ck_assert_int_eq(integer(worker, "restarts"), 1);
	ck_assert_str_eq(text(worker, "state"), "serving");
	worker = json_array_get(workers, 2);
	ck_assert_str_eq(text(worker, "state"), "draining");
	worker = json_array_get(workers, 3);
	ck_assert_str_eq(text(worker, "state"), "silent");
	json_decref(workers);
}
END_TEST

START_TEST(a_listener_has_its_figures_in_order)
{
	json_t *listeners = stats_json_listeners(&subject);
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

START_TEST(an_upstream_has_its_servers)
{
	json_t *upstreams = stats_json_upstreams(&subject);
	json_t *pool = json_array_get(upstreams, 0), *servers, *server;

	ck_assert_uint_eq(json_array_size(upstreams), 2);
	check_names(pool, "name balance queued servers ");
	ck_assert_str_eq(text(pool, "name"), "pool");
	ck_assert_str_eq(text(pool, "balance"), "round_robin");
	ck_assert_int_eq(integer(pool, "queued"), 2000);
	servers = json_object_get(pool, "servers");
	ck_assert_uint_eq(json_array_size(servers), 2);
	server = json_array_get(servers, 0);
	check_names(server,
	    "name address state backup weight connections total failures "
	    "connect_ms bytes_in bytes_out max_connections check checked_s ");
	ck_assert_str_eq(text(server, "name"), "one");
	ck_assert_str_eq(text(server, "address"), "10.0.0.1:80");
	ck_assert_str_eq(text(server, "state"), "up");
	ck_assert(json_is_false(json_object_get(server, "backup")));
	ck_assert_int_eq(integer(server, "weight"), 3);
	ck_assert_int_eq(integer(server, "connections"), 2001);
	ck_assert_int_eq(integer(server, "max_connections"), 2002);
	ck_assert_int_eq(integer(server, "total"), 2003);
	ck_assert_int_eq(integer(server, "failures"), 2004);
	ck_assert_int_eq(integer(server, "connect_ms"), 2005);
	ck_assert_int_eq(integer(server, "bytes_in"), 2006);
	ck_assert_int_eq(integer(server, "bytes_out"), 2007);
	ck_assert_str_eq(text(server, "check"), "answered in 1 ms");
	ck_assert(
	    json_real_value(json_object_get(server, "checked_s")) == 1.235);
	server = json_array_get(servers, 1);
	ck_assert_str_eq(text(server, "state"), "drain");
	ck_assert(json_is_true(json_object_get(server, "backup")));
	pool = json_array_get(upstreams, 1);
	ck_assert_uint_eq(json_array_size(json_object_get(pool, "servers")), 0);
	json_decref(upstreams);
}
END_TEST

START_TEST(a_closed_listener_has_no_addresses)
{
	json_t *listeners, *web, *addresses;

	proxy.listeners[0].state = LISTENER_CLOSED;
	listeners = stats_json_listeners(&subject);
	web = json_array_get(listeners, 0);
	ck_assert_str_eq(text(web, "state"), "closed");
	addresses = json_object_get(web, "addresses");
	ck_assert(json_is_array(addresses));
	ck_assert_uint_eq(json_array_size(addresses), 0);
	json_decref(listeners);
}
END_TEST

static const struct session_figures session = {
    .id = 3,
    .listener = "web",
    .client = "127.0.0.1:40000",
    .server = "-",
    .age_s = 12.3456,
    .idle_s = 0.1,
    .bytes_in = 11,
    .bytes_out = 22,
    .state = "open",
};

START_TEST(a_connection_has_its_figures_in_order)
{
	json_t *row = stats_json_session(&session);

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
	json_decref(row);
}
END_TEST

START_TEST(ages_are_numbers_to_the_millisecond)
{
	struct answer answer = ANSWER_NULL;
	const char *line;
	size_t length;

	answer_ok(&answer, stats_json_session(&session));
	line = answer_line(&answer, &length);
	ck_assert_ptr_nonnull(strstr(line, "\"age_s\":12.346,\"idle_s\":0.1,"));
	answer_free(&answer);
}
END_TEST

START_TEST(an_address_that_is_no_text_is_escaped)
{
	struct session_figures other = session;
	json_t *row;

	other.client = "unix:/tmp/\377\"x";
	row = stats_json_session(&other);
	ck_assert_str_eq(text(row, "client"), "unix:/tmp/\\xff\"x");
	json_decref(row);
}
END_TEST

START_TEST(a_figure_beyond_what_json_holds_is_its_greatest)
{
	json_t *listeners;

	proxy.listeners[0].bytes_in = UINT64_MAX;
	listeners = stats_json_listeners(&subject);
	ck_assert_int_eq(
	    integer(json_array_get(listeners, 0), "bytes_in"), INT64_MAX);
	json_decref(listeners);
}
END_TEST

START_TEST(health_is_up_while_clients_are_not_refused)
{
	ck_assert_str_eq(stats_health(&subject), "up");
	proxy.listeners[0].state = LISTENER_WAITING;
	proxy.listeners[1].state = LISTENER_RESTING;
	ck_assert_str_eq(stats_health(&subject), "up");
}
END_TEST

START_TEST(health_is_down_with_one_listener_closed)
{
	proxy.listeners[1].state = LISTENER_CLOSED;
	ck_assert_str_eq(stats_health(&subject), "down");
	proxy.listeners[1].state = LISTENER_STARTING;
	ck_assert_str_eq(stats_health(&subject), "down");
}
END_TEST

START_TEST(health_is_drain_while_it_drains)
{
	proxy.draining = true;
	proxy.listeners[0].state = LISTENER_CLOSED;
	ck_assert_str_eq(stats_health(&subject), "drain");
	proxy.draining = false;
	ck_assert_str_eq(stats_health(&subject), "down");
	fleet.drain = true;
	ck_assert_str_eq(stats_health(&subject), "drain");
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
	tcase_add_test(tc, each_worker_has_its_row);
	tcase_add_test(tc, an_upstream_has_its_servers);
	tcase_add_test(tc, a_listener_has_its_figures_in_order);
	tcase_add_test(tc, a_closed_listener_has_no_addresses);
	tcase_add_test(tc, a_connection_has_its_figures_in_order);
	tcase_add_test(tc, ages_are_numbers_to_the_millisecond);
	tcase_add_test(tc, an_address_that_is_no_text_is_escaped);
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
